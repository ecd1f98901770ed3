"""Plans for planes whose rows are of at most two vectors: what every row of results takes, and which lanes, as tables that all planes share."""

from __future__ import annotations

import itertools

import numpy as np

from numbapool import dtypes
from numbapool.backends import blocks
from numbapool.backends.blocks import (
    Room,
    address,
    assemble,
    divisors_of,
    in_groups,
    is_row,
    kernel_name,
    rounded_up,
    size_of,
)
from numbapool.kernels import block, build, narrow, vectors
from numbapool.reductions import AVG

MOST_WORDS = 1024  # of a table, which shares the first-level cache with the planes
MOST_BYTES = 16 * 1024  # of the tables of a flat plane, likewise
MOST_ROWS = 1024  # of results, each of which is looked at to find those that are alike
FEW_RUNS = 4  # for which a group of planes may be fetched again from the second-level cache; for more it is a quarter as large
NO_NUMBER = 2**30  # of no tap
SCATTERED = 40  # outputs that could be scattered while a plane of no outputs is


def fits(view, roles, types, rows, period):
    """Whether a call can be carried out so. `rows` has for each array of the view how many columns its rows have and the size of its elements. Rows of results that are `period` apart are alike, but at the ends; 0: none are."""
    from numbapool.kernels import primitives

    d, h, w = roles
    most = 2 * vectors.narrow_lanes(types)
    widest = max(w.size, w.count) * view.inner
    rows_of_windows = d.count * h.count
    runs = d.count * min(h.count, period * (2 * h.most + 1)) if period else rows_of_windows
    if (
        not blocks.NATIVE
        or widest > most
        or rows_of_windows > MOST_ROWS
        or runs * (narrow.ROWS_AT + 2 * d.most * h.most) > MOST_WORDS
        or not primitives.permutes(dtypes.itemsize(types.acc))
    ):
        return False
    if w.size * view.inner == most and w.least < w.most:
        return False  # no lane is left to stand for what is not there
    return all(
        (view.inner == 1 or step == item) and (columns == 1 or column == item * view.inner)
        for (*_, column, step), (columns, item) in zip(view.steps, rows, strict=True)
    )


def period_of(windows):
    """How far apart elements along H are that are in as many windows of D, H and W; 0: there is no such distance."""
    return windows[1].regular[1] if windows[1].regular else 0


def fits_rows(view, roles, types, rows):
    """Whether the gradient of a selecting reduction can be carried out so, and sooner than a scatter that adds each output: every window costs every vector of dx some."""

    d, h, w = roles
    lines = d.count * h.count * (2 + 3 * d.most * h.most)
    if lines > MOST_WORDS or not fits(view, roles, types, rows, 1):
        return False
    columns = -(-w.count * view.inner // vectors.narrow_lanes(types))
    outputs = size_of([v.size for v in roles]) * view.inner
    return d.count * h.count * columns * size_of([v.most for v in roles]) <= SCATTERED + outputs


def fits_flat(view, roles, of, types):
    """Whether planes of dy are of at most two vectors, and lie in memory as one row does; so do those of dx and the saved taps, the other arrays of the view."""
    from numbapool.kernels import primitives

    lanes = vectors.narrow_lanes(types)
    dy, dx = ([*(getattr(v, n) for v in of), view.inner] for n in ("count", "size"))
    if size_of(dy) > 2 * lanes:
        return False
    taps = size_of([v.most for v in roles])
    items = dtypes.itemsize(types.x), dtypes.itemsize(types.y), 1
    return (
        blocks.NATIVE
        and primitives.permutes(dtypes.itemsize(types.acc))
        and 2 * primitives.REGISTER * -(-size_of(dx) // lanes) * max(taps, 1) <= MOST_BYTES
        and all(map(is_row, view.steps, (dy, dx, dy), items))
    )


def plan(kernel, view, roles, types, weights, divisor, nbytes):
    """The plan of a forward call, whose `view` is of x, y and the keys that are saved.

    `weights` are what taps along D, H and W add to a key. `divisor` is None for sums, 0 for the windows' own extents. `nbytes` is the size of x.
    """
    d, h, w = roles

    def share(od, oh):
        return 1 if divisor else d.table[od, block.EXTENT] * h.table[oh, block.EXTENT]

    runs = _runs(view, d, h, lambda m, i, n, j: m * weights[0] + n * weights[1], share)
    extents = np.full(w.count, divisor) if divisor else w.table[:, block.EXTENT]
    return _merging(kernel, view, roles, types, runs, extents, weights[2], nbytes)


def summing(view, roles, of, types, divisor, nbytes):
    """The plan of the gradient of a sum, whose `view` is of dy and dx: `roles` are the windows that elements of dx have in dy, `of` those of the call.

    `divisor` is what all sums are divided by, or None where every row of dy is divided as it is read. `nbytes` is the size of dx.
    """
    from numbapool.kernels import bind

    d, h, w = (windows.table[:, block.EXTENT] for windows in of)
    period = max(period_of(of), 1)
    runs = _runs(view, roles[0], roles[1], lambda m, i, n, j: d[i] * h[j], lambda od, oh: 1, period)
    extents = w if divisor is None else np.full(roles[2].count, divisor)
    name = kernel_name("avg", "narrow", types, "shares" if divisor is None else "")
    kernel = build.kernel(narrow, lambda: bind.narrow(AVG, types, shares=divisor is None), name)
    return _merging(kernel, view, roles, types, runs, extents, 0, nbytes)


def selecting(view, roles, of, types, weights, nbytes):
    """The plan of the gradient of a selecting reduction, whose `view` is of dy, dx and the keys."""
    d, h, w = roles
    dy, dx, k = view.steps
    lines = np.zeros((d.count, h.count, 2 + 3 * max(d.most * h.most, 1)), np.int64)
    for i, j in np.ndindex(lines.shape[:2]):
        rows = [
            (od * dy[1] + oh * dy[2], od * k[1] + oh * k[2], m * weights[0] + n * weights[1])
            for m, od in _numbered(d, of[0], i)
            for n, oh in _numbered(h, of[1], j)
        ]
        lines[i, j, :2] = len(rows), i * dx[1] + j * dx[2]
        lines[i, j, 2 : 2 + 3 * len(rows)] = np.ravel(rows)
    numbers = _per_lane(
        w, view.inner, types, NO_NUMBER, lambda i: [[n * weights[2]] for n, _ in _numbered(w, of[2], i)]
    )
    places = {"SPOTS": _spots(w, view.inner, types), "PLACES_TABLE": numbers}
    fields, items = _in_groups(view, roles, types)
    return _assembled(_chosen(types), view, roles, lines, places, fields, items, nbytes)


def flat(view, roles, of, types, weights, nbytes):
    """The same where planes are one row each."""

    lanes, inner = vectors.narrow_lanes(types), view.inner
    count, size = (inner * size_of([getattr(v, n) for v in of]) for n in ("count", "size"))
    shape = -(-size // lanes), max(size_of([v.most for v in roles]), 1), lanes
    spots, numbers = (np.full(shape, n, vectors.places_dtype(types)) for n in (0, NO_NUMBER))
    for e, i in enumerate(np.ndindex(*(v.size for v in of))):
        covering = itertools.product(*map(_numbered, roles, of, i))
        for t, windows in enumerate(covering):
            place = np.ravel_multi_index([o for _, o in windows], [v.count for v in of]) * inner
            for c in range(inner):
                vector, lane = divmod(e * inner + c, lanes)
                spots[vector, t, lane] = place + c
                numbers[vector, t, lane] = sum(n * k for (n, _), k in zip(windows, weights, strict=True))
    fields, items = in_groups(view, "XYK", size * dtypes.itemsize(types.y))
    fields |= {
        "FLAT": 1, "WIDTH": count, "OUT_W": size, "TAPS_W": shape[1], "SPOTS": address(spots), "PLACES_TABLE": address(numbers),
    }  # fmt: skip
    return assemble(_chosen(types), fields, [spots, numbers, view.tables], items, Room(), nbytes, view.axes)


def _chosen(types):
    from numbapool.kernels import bind_gradients, chosen

    return build.kernel(chosen, lambda: bind_gradients.chosen(types), kernel_name("any", "chosen", types))


def _merging(kernel, view, roles, types, runs, extents, key, nbytes):
    planes, columns = vectors.narrow_planes(types), 2 * vectors.narrow_lanes(types)
    # One per lane, whatever `inner`: rows are always divided by vectors.
    divisors = divisors_of(np.repeat(extents, view.inner), types, 1, columns)[:columns]
    divisors = np.tile(divisors.reshape(2, -1), planes)
    places = {"SPOTS": _spots_of_planes(_spots(roles[2], view.inner, types), types)}
    groups, items = _in_groups(view, roles, types, planes, small=len(runs) > FEW_RUNS)
    fields = groups | {"KEY_W": key, "W_DIVISORS": address(divisors), "SPARE": _spare(view, roles[2], types)}
    _set_asked_for(fields, runs, planes, nbytes)
    return _assembled(kernel, view, roles, runs, places, fields, items, nbytes, [divisors])


def _set_asked_for(fields, runs, planes, nbytes):
    """What every row of results asks the cache for: its share of as many planes as are done at a time. Planes that lie in the cache are read in order, which the hardware foresees."""
    plane = fields.pop("NEW_X", 0)
    if plane and nbytes > blocks.CACHE_BYTES:
        lengths = runs[:, narrow.LENGTH]
        share = -(-planes * plane // int(lengths.sum()))
        # Planes that are gone through several times are those of a group, so the others are those of the next.
        far = blocks.FAR_BYTES if len(runs) == 1 else fields["GROUP"] * plane
        runs[:, narrow.AHEAD] = far + share * (np.cumsum(lengths) - lengths)
        fields["NEW_X"] = share


def _in_groups(view, roles, types, planes=1, small=False):
    plane = size_of([v.size for v in roles]) * view.inner * dtypes.itemsize(types.x)
    return in_groups(view, "XYK", plane * (4 if small else 1), planes)


def _assembled(kernel, view, roles, lines, places, fields, items, nbytes, keep=()):
    """`places` are tables of a vector of lanes per vector of a row of results and tap along W, by field."""
    w = roles[2]
    fields = fields | {field: address(table) for field, table in places.items()} | {
        "WIDTH": w.size * view.inner, "OUT_W": w.count * view.inner, "TAPS_W": places["SPOTS"].shape[1],
        "LINES": address(lines), "LINE_STEP": lines.itemsize * lines.shape[-1], "LINE_COUNT": size_of(lines.shape[:-1]),
    }  # fmt: skip
    keep = [lines, *places.values(), *keep, view.tables]
    return assemble(kernel, fields, keep, items, Room(), nbytes, view.axes)


def _spare(view, w, types):
    """How many planes, the last ones, have rows behind which a vector may not be read: the others reach into the next at most."""
    row, vector = w.size * view.inner, vectors.narrow_lanes(types)
    beyond = (rounded_up(row, vector) - row) * dtypes.itemsize(types.x)
    return 1 if view.steps[0][0] >= max(beyond, 1) else view.outer


def _runs(view, d, h, number, share, period=1):
    """The table of the rows of results (`kernels/narrow.py`), of which those that are `period` apart may be alike. The key of a row of x is its `number`, a function of tap and element along D and H; ``share(od, oh)`` is the rows' part of a divisor."""
    x, y, k = (*view.steps, (0,) * 5)[:3]
    runs: list = []  # what rows have in common, where the first and the last one begin, the step from one to the next, how many they are
    for od, oh in itertools.product(range(d.count), sorted(range(h.count), key=lambda oh: oh % period)):
        rows = [(i * x[1] + j * x[2], number(m, i, n, j)) for m, i in _taps(d, od) for n, j in _taps(h, oh)]
        first = rows[0][0] if rows else 0
        like = share(od, oh), [(at - first, n) for at, n in rows]
        begins = np.array([first, od * y[1] + oh * y[2], od * k[1] + oh * k[2]])
        if runs and runs[-1][0] == like:
            _, begun, last, step, n = runs[-1]
            if n == 1 or np.array_equal(begins - last, step):
                runs[-1] = like, begun, begins, begins - last, n + 1
                continue
        runs.append((like, begins, begins, begins - begins, 1))
    table = np.zeros((len(runs), narrow.ROWS_AT + 2 * d.most * h.most), np.int64)
    for line, ((part, rows), (at, to, to_keys), _, step, n) in zip(table, runs, strict=True):
        words = [len(rows), to, to_keys, part, 0, n, *step]
        words += [word for offset, key in rows for word in (at + offset, key)]
        line[: len(words)] = words
    return table


def _taps(windows, o):
    """The taps of window o that fall on elements, as (number, element)."""
    start, stop, first, _ = (int(n) for n in windows.table[o])
    return [(first + k, i) for k, i in enumerate(range(start, stop, windows.step))]


def _numbered(transposed, windows, i):
    """The windows that cover element i, as (number of the tap that falls on it, window)."""
    _, stride, before = windows.sliding
    return [((i + before - o * stride) // windows.step, o) for _, o in _taps(transposed, i)]


def _spots(w, inner, types):
    """Which element of a row of x each tap of each element of a row of results falls on; the one behind the last is none."""

    def elements(o):
        taps = dict(_taps(w, o))
        return [range(taps[t] * inner, (taps[t] + 1) * inner) if t in taps else none for t in range(w.most)]

    none = [min(w.size * inner, 2 * vectors.narrow_lanes(types) - 1)] * inner
    return _per_lane(w, inner, types, none[0], elements)


def _spots_of_planes(spots, types):
    """The same lanes where a vector has the columns of several planes."""
    columns, planes = vectors.narrow_lanes(types), vectors.narrow_planes(types)
    vector, column = np.divmod(spots, columns)
    return np.concatenate([(vector * planes + k) * columns + column for k in range(planes)], axis=-1)


def _per_lane(w, inner, types, default, values):
    """A table of vectors (vector of a row of results, tap along W): ``values(o)`` are those of window o, per tap one or one per inner element."""

    lanes = vectors.narrow_lanes(types)
    table = np.full((max(w.most, 1), 2 * lanes), default, vectors.places_dtype(types))
    for o in range(w.count):
        for t, value in enumerate(values(o)):
            table[t, o * inner : (o + 1) * inner] = value
    return np.ascontiguousarray(table.reshape(-1, 2, lanes).transpose(1, 0, 2))
