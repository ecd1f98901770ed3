"""Which kernel a forward call takes, and how it sees the arrays: whole planes or long rows in registers, narrow planes by permutations, small windows in one loop, all others by way of scratch rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from numbapool import dtypes
from numbapool.backends import blocks, narrow_plans
from numbapool.backends.blocks import LINE, kernel_name, key_steps, roles, size_of
from numbapool.kernels import block, build, trees, vectors
from numbapool.layout import Canonical, canonical, inner_as_columns, without_columns
from numbapool.reductions import SMALL, Types
from numbapool.windows import MANY, Windows, untouched

TALL = 8  # rows from which overlapping windows go through the queue
BROAD = 8  # columns from which windows are doubled
ROUNDINGS = 4  # in a row that a float32 sum may take
HALF_ROUNDINGS = 512  # the same where x is a half, whose own rounding is 2^13 times as large
MOST_PLACES = 254  # taps that a byte can number, with one value left for none
MOST_LISTED, FEWER_LISTED = 65536, 4096  # rows of a window that are merged without a scratch row of columns
MOST_SHORT = 128  # bytes whose sum 16 bits hold; windows of more of them, or of two-byte integers, are left to one kernel
WHOLE_RUN = 16  # neighbours from which planes with one window are read as a whole
INNER_LEAST = 256  # bytes of inner elements, beside which small windows are merged one by one, in registers
MOST_SELECTED = 9  # elements of such windows: more are too many streams of memory
MOST_ADDED = 25  # the same of sums, which would be done in float64 otherwise
LONG = 256  # bytes from which rows of windows are read one by one, rather than from a scratch row: four vectors, for sums 64 elements; half if a window has but one
OFTEN = 4  # times that they may read an element, if they are as many times as long
SOMEWHAT = 9 / 8  # the same of any


def key_kind(windows):
    """Whether the chosen elements of such windows are saved as a byte, the number of the tap, or as an index."""
    taps = size_of([w.most for w in windows])
    small = taps <= MOST_PLACES and all(w.regular and w.most < min(TALL, BROAD) for w in windows)
    return "places" if small else "positions"


@dataclass(frozen=True)
class Form:
    """Which kernel a call takes, and how it sees the arrays."""

    view: Canonical
    roles: tuple[Windows, Windows, Windows]  # of D, H, W
    queued: bool
    keyed: str | None  # the kind of keys that accompany the values, saved or not
    paired: bool
    channel: str | None  # the dtype of what accompanies the values
    types: Types
    template: str
    runs: tuple | None  # how whole planes are read


@lru_cache(maxsize=512)
def form_of(
    reduction,
    shape,
    strides,
    x_name,
    axes,
    windows,
    y_name,
    y_strides,
    key,
    key_strides,
    elements,
    beside,
    apart,
    signs=False,
    counted=False,
):
    """`counted`: means are sums divided by the number of their elements, not by a number that was given."""
    view = canonical(shape, axes, [strides, y_strides, key_strides, *beside], apart=apart)
    d, h, w = roles(view, axes, windows)
    if (
        view.inner > 1
        and w.count == 1
        and view.axes[0] == -1
        and h.most * w.most <= _listed(reduction, view, x_name, y_name)
    ):
        view = without_columns(view)
        d, h, w = roles(view, axes, windows)
    one_by_one = not (beside or key or apart or signs or reduction.power is not None) and _are_one_by_one(
        reduction, view, (d, h, w), x_name, y_name, elements
    )
    if one_by_one:
        w, view = untouched(view.inner), inner_as_columns(view)
        d, h, _ = roles(view, axes, windows)
    queued = not one_by_one and h.step == 1 and h.most >= TALL and h.overlap and h.most > 3 * h.pace
    keyed = None if key == "weights" else key
    if not key and reduction.selecting and (reduction.power or signs):
        keyed = key_kind(windows)
    signed = reduction.signed_zeros(x_name)
    runs = None if beside else _runs(view, (d, h, w), shape, axes, strides, x_name, keyed, signed)
    long = not (runs or apart) and _are_long(
        view, (d, h, w), axes, shape, x_name, reduction.selecting, keyed, elements, signed
    )
    is_large = queued or w.most >= BROAD or keyed == "positions"
    taps, small = d.most * h.most * w.most, ""
    if reduction.adds_integers(x_name) and not elements:
        # Of a given number float32 may know too little; where the result is float64 it is not asked.
        if counted or reduction.types(x_name, y_name, True).y == "float64":
            small = _sums_in(x_name, taps, runs or long)
        is_large |= taps > MOST_SHORT or not small
    narrow, broad = (
        reduction.types(x_name, y_name, wide, bool(elements.weights), small) for wide in (False, True)
    )
    half = dtypes.is_half(x_name)  # whose own rounding hides those of many float32
    roundings = d.most * h.most + w.most - 2
    if one_by_one and d.most * h.most <= trees.MOST:
        roundings = ROUNDINGS
    precise = narrow != broad and roundings > (HALF_ROUNDINGS if half else ROUNDINGS)
    types = broad if precise or ((is_large or runs) and not half) else narrow
    sizes = [dtypes.itemsize(x_name), dtypes.itemsize(types.y)]
    widens = precise and vectors.widens(reduction, types, elements) and w.size > vectors.fused_lanes(types)
    in_registers = widens and not (is_large or runs or apart) and _are_fused(view, (d, h, w), sizes)
    is_large |= precise and not in_registers
    paired = bool(reduction.mean and elements) or reduction.scaled(x_name)
    channel = types.end if paired else {None: None, "places": "uint8", "positions": "int64"}[keyed]
    template = (
        "long" if long else "whole" if runs else "large" if is_large else "fused" if in_registers else "rows"
    )
    items = [dtypes.itemsize(n) for n in (x_name, types.y, channel if key else None) if n]
    if template == "rows" and not (beside or apart or (channel in vectors.PAIRS and channel != types.acc)):
        rows = list(zip((w.size, w.count, w.count), items, strict=False))
        if narrow_plans.fits(view.of(*range(len(rows))), (d, h, w), types, rows, 1 if h.regular else 0):
            template = "narrow"
    weight = dtypes.itemsize(elements.weights) if elements.weights else None
    besides = [n for n, is_there in ((1, elements.where), (weight, elements.weights)) if is_there]
    if (
        template == "rows"
        and not (apart or (beside and keyed))
        and _are_fused(view, (d, h, w), items)
        and _are_alike(view, dtypes.itemsize(x_name), besides)
    ):
        template = "fused"
    if (
        template == "fused"
        and small == "int16"
        and counted
        and d.even
        and w.even
        and types.y in dtypes.NEAREST
    ):
        types = replace(types, end="int16")  # means as integers are made by integers
    return Form(view, (d, h, w), queued, keyed, paired, channel, types, template, runs)


def _sums_in(x_name, taps, at_once):
    """The integer dtype in which so many elements of one or two bytes are added up, "" for the widest; `at_once`: where planes or windows are read as a whole, which have a kernel less."""
    nbytes = dtypes.itemsize(x_name)
    if nbytes == 1 and taps <= MOST_SHORT and not at_once:
        return "int16"
    return "int32" if taps << 8 * nbytes <= SMALL else ""


def _listed(reduction, view, x_name, y_name):
    """How many rows of a window are merged without a scratch row of columns: fewer where all are read twice, or where rounding errors of float64 would add up."""
    again = LINE < view.inner * dtypes.itemsize(x_name) <= 2 * LINE
    long = not reduction.selecting and reduction.types(x_name, y_name, True).y == "float64"
    return FEWER_LISTED if again or long else MOST_LISTED


def _are_one_by_one(reduction, view, roles, x_name, y_name, elements):
    """Whether windows are small, and have few elements in common along W, beside enough inner elements to merge their columns as rows are, in registers."""
    from numbapool.kernels import primitives

    _, h, w = roles
    items = [dtypes.itemsize(n) for n in (x_name, reduction.types(x_name, y_name, False).y)]
    # By way of a scratch row every column is merged once, and then the columns of a window.
    otherwise = h.most * min(w.pace, w.most) + w.most
    if reduction.selecting:
        most = min(MOST_SELECTED, otherwise)
    elif elements:
        most = min(ROUNDINGS + 1, otherwise)
    elif h.most + w.most - 2 <= ROUNDINGS:
        most = otherwise
    else:  # in float64
        most = min(MOST_ADDED, 3 * otherwise // 2)
    return (
        blocks.NATIVE
        and view.axes[0] == -1
        and view.inner * items[0] >= INNER_LEAST
        and w.count > 1
        and w.regular
        and min(h.least, w.least) > 0
        and h.most * w.most <= most
        and all(at[4] == item for at, item in zip(view.steps, items, strict=False))
        and all(primitives.masks(item) for item in items)
    )


def _are_fused(view, roles, items):
    """Whether windows along W are among those that are merged in registers; `items` are the sizes of elements of x and of the results."""
    from numbapool.kernels import primitives

    d, h, w = roles
    kernel, stride, before = w.regular or (0, 0, 0)
    counts = w.size, w.count, w.count
    return (
        blocks.NATIVE
        and view.inner == 1
        and (kernel in {1: (2, 3, 5, 7), 2: (2, 3)}.get(stride, ()) or (view.axes[2] < 0 and w.size > 1))
        and before <= (kernel - 1) // 2
        and (w.step, w.up[0]) == (1, 1)
        and min(d.least, h.least) > 0
        and all(n == 1 or at[3] == item for n, at, item in zip(counts, view.steps, items, strict=False))
        and all(primitives.masks(item) for item in items)
    )


def _are_alike(view, item, besides):
    """Whether arrays beside x, the last ones of the view, lie in their planes as x does, whole elements apart; `item` and `besides` are the sizes of elements."""
    x = view.steps[0][1:]
    others = zip(view.steps[len(view.steps) - len(besides) :], besides, strict=True)
    return not besides or (
        all(a % item == 0 for a in x)
        and all(a * size == b * item for steps, size in others for a, b in zip(x, steps[1:], strict=True))
    )


def _runs(view, roles, shape, axes, strides, x_name, keyed, signed):
    """How whole planes are read if every plane has one window: (elements of a run of neighbours, tables of D and H, key of the first element, steps of the
    key along D and H); None if they are not read so."""
    item = dtypes.itemsize(x_name)
    at = [0 if a < 0 else strides[a] for a in view.axes]
    if (
        view.inner > 1
        or any(v.count > 1 or v.step > 1 for v in roles)
        or (at[2] != item and roles[2].size > 1)
    ):
        return None
    weights = key_steps(
        view, axes, [_role(view, roles, a).most if keyed == "places" else shape[a] for a in axes]
    )
    if (keyed or signed) and weights[2] != 1:
        return None
    d, h, w = (v.table.copy() for v in roles)
    column = block.START if keyed == "positions" else block.FIRST
    base = sum(int(t[0, column]) * step for t, step in zip((d, h, w), weights, strict=True))
    run = int(w[0, block.STOP] - w[0, block.START])
    if run < roles[2].size or run == 0:
        return (run, d, h, base, weights[:2]) if run >= WHOLE_RUN else None
    for table, step, weight in (h, at[1], weights[1]), (d, at[0], weights[0]):
        rows = int(table[0, block.STOP] - table[0, block.START])
        ordered = weight == run or not (keyed or signed)
        if rows != 1 and (step != run * item or rows == 0 or not ordered):
            break
        if rows > 1:
            whole = rows == (roles[1] if table is h else roles[0]).size
            run *= rows
            table[0, block.STOP] = table[0, block.START] + 1
            if not whole:
                break
    return (run, d, h, base, weights[:2]) if run >= WHOLE_RUN else None


def _are_long(view, roles, axes, shape, x_name, selects, keyed, elements, signed):
    """Whether windows have so many columns, and so few of them in common, that each is read by itself."""
    item = dtypes.itemsize(x_name)
    least = (LONG // item if selects else min(LONG // item, 64)) // (
        1 if roles[0].most * roles[1].most > 1 else 2
    )
    if view.inner > 1 or roles[2].most < least or any(v.step > 1 or v.count > MANY for v in roles):
        return False
    beside = [1] * elements.where + [dtypes.itemsize(elements.weights or "bool")] * bool(elements.weights)
    if view.steps[0][3] != item:
        return False
    if any(steps[3] not in (0, own) for steps, own in zip(view.steps[3:], beside, strict=True)):
        return False
    if (keyed or signed) and (keyed == "places" or key_steps(view, axes, [shape[a] for a in axes])[2] != 1):
        return False
    # What windows share is read again: a little always may be, more the longer windows are.
    most = max(SOMEWHAT, min(roles[2].most * item / LONG, OFTEN)) * size_of([v.size for v in roles])
    if size_of([v.count for v in roles]) * least > 2 * most:
        return False  # windows at the ends are no less than half of those inside
    return size_of([int(np.sum(v.table[:, block.STOP] - v.table[:, block.START])) for v in roles]) <= most


def _role(view, roles, axis):
    return roles[view.axes.index(axis)]


def weights_dtype(reduction, shape, strides, x_name, axes, windows, y_name, y_strides, elements, beside):
    """The dtype in which a call saves sums of weights."""
    beside = tuple(b for b in beside if b is not None)
    return form_of(
        reduction, shape, strides, x_name, axes, windows, y_name, y_strides, "weights", y_strides, elements, beside, False
    ).channel  # fmt: skip


def kernel_of(reduction, form, key, elements, apart):
    from numbapool.kernels import bind, fused, large, long, narrow, rows, whole

    accompanied = "paired" if form.paired else form.keyed or ""
    by = f"by_{form.types.end}" if reduction.mean and form.types.end == "int16" else ""
    name = kernel_name(
        reduction.name, form.template, form.types, by,
        f"{'' if key or not form.channel else 'unsaved_'}{accompanied}", elements.name, "planes" if apart else "",
    )  # fmt: skip
    templates: dict[str, tuple] = {
        "rows": (rows, partial(bind.forward, apart=apart)), "large": (large, partial(bind.forward, apart=apart)),
        "fused": (fused, bind.fused), "narrow": (narrow, bind.narrow), "whole": (whole, bind.whole), "long": (long, bind.long),
    }  # fmt: skip
    template, names = templates[form.template]
    return build.kernel(
        template, lambda: names(reduction, form.types, form.channel, bool(key), elements), name
    )


def lanes_of(form):
    """Elements per vector of the kernels for rows."""
    if form.template == "fused":
        return vectors.fused_lanes(form.types)
    return vectors.lanes_of(form.types, form.channel)
