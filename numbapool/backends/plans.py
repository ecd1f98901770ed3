"""Plans of forward calls: from windows, a reduction and memory layouts to a kernel and its argument block. Memoised; integers only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from numbapool import columns, dtypes
from numbapool.backends import blocks, narrow_plans
from numbapool.backends.blocks import (
    CACHE_BYTES,
    ITEM_BYTES,
    LINE,
    Room,
    address,
    align,
    assemble,
    count_items,
    divisors_of,
    kernel_name,
    key_steps,
    look_ahead,
    roles,
    rounded_up,
    set_divisors,
    set_passes,
    set_past,
    set_planes_asked_for,
    set_rows_asked_for,
    set_spots,
    set_strides,
    size_of,
    tiles,
    with_column,
)
from numbapool.kernels import block, build, trees, vectors
from numbapool.layout import Canonical, canonical, inner_as_columns, without_columns
from numbapool.reductions import ALL, SMALL, Types, below_zero, counts_packed
from numbapool.windows import MANY, Windows, untouched

TALL = 8  # rows from which overlapping windows go through the queue
WINDOWS_A_PART = 8  # one below the other, in which parts that a queue begins with do not count
BROAD = 8  # columns from which windows are doubled
ROUNDINGS = 4  # in a row that a float32 sum may take
HALF_ROUNDINGS = 512  # the same where x is a half, whose own rounding is 2^13 times as large
MOST_PLACES = 254  # taps that a byte can number, with one value left for none
MOST_LISTED, FEWER_LISTED = 65536, 4096  # rows of a window that are merged without a scratch row of columns
MOST_SHORT = 128  # bytes whose sum 16 bits hold; windows of more of them, or of two-byte integers, are left to one kernel
WHOLE_RUN = 16  # neighbours from which planes with one window are read as a whole
INNER_LEAST = 256  # bytes of inner elements, beside which small windows are merged one by one, in registers
INNER_CACHE_BYTES = 16 << 20  # from which on what they read is asked for
MOST_SELECTED = 9  # elements of such windows: more are too many streams of memory
MOST_ADDED = 25  # the same of sums, which would be done in float64 otherwise
LONG = 256  # bytes from which rows of windows are read one by one, rather than from a scratch row: four vectors, for sums 64 elements; half if a window has but one
OFTEN = 4  # times that they may read an element, if they are as many times as long
SOMEWHAT = 9 / 8  # the same of any
MOST_ROOM = 24 << 20  # bytes of scratch memory, about: windows that need more are done in slabs
LEAST_SLABBED = 256  # elements of a window that can be
MOST_BESIDE = 8192  # results along the other pooled axes: heads are merged for each of them


def key_kind(windows):
    """Whether the chosen elements of such windows are saved as a byte, the number of the tap, or as an index."""
    taps = size_of([w.most for w in windows])
    small = taps <= MOST_PLACES and all(w.regular and w.most < min(TALL, BROAD) for w in windows)
    return "places" if small else "positions"


@dataclass(frozen=True)
class _Form:
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
def _form(
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
    return _Form(view, (d, h, w), queued, keyed, paired, channel, types, template, runs)


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


def axis_of_slabs(windows):
    """Which pooled axis can be done in slabs; None if none can."""
    can = []
    for i, w in enumerate(windows):
        slides = w.regular is not None and w.step == 1 and w.up == (1, 0) and w.overlap
        beside = size_of([v.count for v in windows]) // w.count
        if slides and w.count > 1 and min(w.most, w.size) >= LEAST_SLABBED and beside <= MOST_BESIDE:
            can.append(i)
    return max(can, key=lambda i: windows[i].most, default=None)


def weights_dtype(reduction, shape, strides, x_name, axes, windows, y_name, y_strides, elements, beside):
    """The dtype in which a call saves sums of weights."""
    beside = tuple(b for b in beside if b is not None)
    return _form(
        reduction, shape, strides, x_name, axes, windows, y_name, y_strides, "weights", y_strides, elements, beside, False
    ).channel  # fmt: skip


def _kernel(reduction, form, key, elements, apart):
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


def _lanes(form):
    """Elements per vector of the kernels for rows."""
    if form.template == "fused":
        return vectors.fused_lanes(form.types)
    return vectors.lanes_of(form.types, form.channel)


@lru_cache(maxsize=512)
def forward(
    reduction, shape, strides, x_name, axes, windows, y_name, divisor, y_strides, key, key_strides,
    elements=ALL, mask_strides=None, weight_strides=None, plane_strides=None, signs=False,
):  # fmt: skip
    """The plan of a forward call; None if windows are so long that they had better be done in slabs.

    Parameters
    ----------
    reduction : Reduction
    shape, strides, x_name
        Of x; strides in bytes, the dtype by name.
    axes : tuple of int
        Pooled axes, ascending.
    windows : tuple of Windows
        One per pooled axis.
    y_name : str or None
        The argument ``dtype=``.
    divisor : float or None
        What every sum is divided by; None: the extents of the windows.
    y_strides, key_strides : tuple of int
        Byte strides of the result and, if `key` is given, of the keys.
    key : {None, "places", "positions", "weights"}
        What is saved besides the values: one byte per window (the number of the tap), int64 plane indices, or sums of weights.
    elements : Elements
        What the kernel reads beside x.
    mask_strides, weight_strides : tuple of int, optional
        Byte strides of the mask and of the weights over x's shape, 0 where they are broadcast.
    plane_strides : tuple of int, optional
        Byte strides of the tables of planes that have windows of their own, 0 along the pooled axes; `windows` then contain those.
    signs : bool
        The plan of the same call with keys, which tell the first of equal elements, for where zeros of both signs were found.
    """
    from numbapool.kernels import bind, covering, fused

    beside = {"M": mask_strides, "V": weight_strides, "P": plane_strides}
    beside = {letter: steps for letter, steps in beside.items() if steps is not None}
    form = _form(
        reduction, shape, strides, x_name, axes, windows, y_name, y_strides, key, key_strides or y_strides, elements,
        tuple(beside.values()), plane_strides is not None, signs, divisor is None,
    )  # fmt: skip
    view, (d, h, w), queued, keyed, paired, channel, types = (
        form.view, form.roles, form.queued, form.keyed, form.paired, form.channel, form.types,
    )  # fmt: skip
    is_large = form.template == "large"
    kernel = _kernel(reduction, form, key, elements, plane_strides is not None)
    lanes = _lanes(form)
    acc, x_item, y_item = (dtypes.itemsize(n) for n in (types.acc, types.x, types.y))
    key_item = dtypes.itemsize(channel) if channel else 0
    # Columns are merged last. Where W comes before the other axes, that is the order of elements in a plane, but for a queue of rows of several planes.
    signed = reduction.signed_zeros(x_name) and not keyed
    axes_of_rows = [a for a, v in zip(view.axes, (d, h), strict=False) if v.most > 1]
    after = any(a < view.axes[2] for a in axes_of_rows)
    disorderly = (w.most > 1 and (after or form.runs or form.template == "long")) or (queued and d.most > 1)
    doubtful = signed and bool(disorderly)
    if form.template == "narrow":
        weights = key_steps(view, axes, [v.most for v in windows])
        divided = None if not reduction.mean or paired else 0 if divisor is None else divisor
        view = view if key else view.of(0, 1)
        plan = narrow_plans.plan(kernel, view, form.roles, types, weights, divided, size_of(shape) * x_item)
        return replace(plan, doubtful=doubtful and d.most * h.most > 1)
    if form.runs:
        lanes = vectors.whole_lanes(reduction, types, channel, elements)
        plan = _whole(kernel, form, lanes, shape, y_item, key_item, bool(key), divisor)
        return replace(plan, doubtful=doubtful)
    if form.template == "long":
        lanes = vectors.whole_lanes(reduction, types, channel, elements)
        letters = "XYK" + "".join(beside)
        plan = _long(kernel, form, lanes, letters, axes, shape, key_item, bool(key), divisor)
        return replace(plan, doubtful=doubtful)
    positions = keyed == "positions"
    alike = not (is_large or beside)  # the large template does a row at a time
    nbytes = size_of(shape) * x_item
    results = {"Y": y_item, "K": key_item} if key else {"Y": y_item}
    fields, capacity = tiles(
        view, d, h, w, acc, lanes, x_item, queued, plane_strides is not None, alike, form.template == "fused"
    )
    cut = columns.axis(windows) if axis_of_slabs(windows) is None or not is_large else 0
    if plane_strides is None and cut is not None:
        # The row, what is put beside it, divisors and a queue: before any of them is made, as some are as long.
        rows = 3 + reduction.mean + (h.most + 2 if queued else 0)
        if rows * capacity * (acc + key_item) > MOST_ROOM:
            return None
    if is_large and bind.slides(reduction, types, channel, elements):
        capacity += covering.BEYOND * lanes
    if not (is_large or w.regular):
        fields["TAPS_W"] = 1  # small windows are merged from single elements
    set_strides(fields, view, "XYK" + "".join(beside), x_item, results, d.most * h.most)
    for letter, item in ("M", 1), ("V", dtypes.itemsize(elements.weights or "bool")):
        if letter in beside and view.inner > 1:
            step, column = fields[f"{letter}_I"], fields[f"{letter}_W"]
            fields["PACKED"] &= step in (0, item) and column == step * view.inner
    for letter in "MV":
        fields.setdefault(
            f"{letter}_TABLE", fields["X_TABLE"]
        )  # of an array that is not there; any table will do
    if not key:
        fields |= {f"K_{role}": 0 for role in "GDHWI"}
    spots = set_spots(fields, types, lanes)
    set_passes(fields, h.pace)
    # Neighbouring rows of windows have all rows of x but two in common.
    next_rows = d.most == 1 and h.most > 1 and h.pace == h.step
    fields["TOGETHER"] = next_rows and fields["STRIDE"] == 1 and fields["TAPS_W"] > 1
    y_bytes = (
        nbytes
        * size_of([v.count for v in (d, h, w)])
        * y_item
        // (size_of([v.size for v in (d, h, w)]) * x_item)
    )
    set_past(fields, types.y, lanes, y_bytes, form.template == "fused", 2 * y_bytes >= nbytes)
    if form.template != "fused":  # which does its planes one after the other
        look_ahead(fields, view, X=nbytes, Y=y_bytes)
    if queued and nbytes > CACHE_BYTES:
        fields["NEXT_X"] = fields["X_H"]
    elif not queued and (not beside or form.template == "fused"):
        # Long runs of memory, with windows in the order of it: from a near cache the hardware foresees them as well.
        near = CACHE_BYTES if form.template != "fused" or view.axes[2] >= 0 else INNER_CACHE_BYTES
        set_rows_asked_for(fields, view, (d, h, w), x_item, nbytes, near)

    tables = [d.table, h.table]
    weights = key_steps(
        view, axes, [shape[a] if positions else v.most for a, v in zip(axes, windows, strict=True)]
    )
    steps = weights
    if positions:  # taps are numbered by the element that they fall on
        tables = [with_column(t, block.FIRST, t[:, block.START]) for t in tables]
        steps = [weights[0] * d.step, weights[1] * h.step, weights[2]]
    divisors = None
    divided = reduction.mean and not paired
    if divided:
        if divisor is not None:
            tables = [with_column(t, block.EXTENT, 1) for t in tables]
        if types.end == "int16":
            number = h.table[:, block.EXTENT] * d.extent * w.extent
            number = counts_packed(number, below_zero(x_name))
            tables = [with_column(t, block.EXTENT, n) for t, n in zip(tables, (1, number), strict=True)]
        divisors = set_divisors(fields, w, divisor, types, view.inner, lanes, capacity)
    fields |= {
        "D_TABLE": address(tables[0]), "H_TABLE": address(tables[1]),
        "KEY_D": weights[0], "KEY_D_STEP": steps[0], "KEY_H": weights[1], "KEY_H_STEP": steps[1], "KEY_W": weights[2],
    }  # fmt: skip

    room = Room()
    room.take((32 if beside else 16) * (d.most * h.most + 3))  # the list of taps; three are read ahead
    fields["AT_ARGS"] = room.take(8 * block.COUNT if beside else 0)
    span = align(capacity * acc)
    row = 0 if form.template == "fused" else span + align(capacity * key_item)
    fields |= {"SPAN": span, "ROW_BYTES": row, "AT_ROW": room.take(row)}
    if row:
        _set_line(fields, room, types, key_item, w, lanes, row, span, bind.scans(reduction, channel))
    # By bits, a vector of columns costs about as much as a window does by its table.
    often = view.inner == 1 and w.count * lanes >= w.size
    if not w.regular and often and w.least > 0 and bind.marks(types, channel):
        fields["MORE"] = (w.sure or w.most) - fields["TAPS_W"]
        fields["AT_MARKS"] = room.take(8 + 8 * (fields["PITCH"] // lanes + 1) * (1 + fields["MORE"]))
    if fields["PAST"] == 2:
        # Its words, two rows more than it holds, and vectors and lines that begin in them.
        fields["AT_STAGE"] = room.take(fused.STAGE + 2 * w.count * y_item + 4 * (lanes * y_item + fused.LINE))
    if is_large:
        fields["AT_WIDE"] = room.take(row)
        fields["AT_PLACES"] = room.take(capacity * 8 if channel else 0)
        fields["AT_QUEUE"] = room.take(row * (h.most + 2) if queued else 0)
    plan = assemble(
        kernel,
        fields,
        [tables, h, w, divisors, spots, view.tables],
        count_items(fields, view),
        room,
        nbytes,
        view.axes,
    )
    # A part reads as many rows as a window has that the one before it reads as well.
    parts = (
        plan.items // fields["BLOCKS_H"] * max(h.count * h.pace // (WINDOWS_A_PART * h.most), 1)
        if queued
        else 0
    )
    return replace(plan, doubtful=doubtful and d.most * h.most > 1, parts=parts)


def _set_line(fields, room, types, key_item, w, lanes, row, span, scans):
    """Scratch memory beside a scratch row: for windows that do not follow each other in it, for sums along W, and for results whose places in memory do not."""
    acc, inner, stride = dtypes.itemsize(types.acc), fields["TILE_I"], fields["STRIDE"]
    sums = 0
    if scans and w.regular and w.step == inner == 1 and fields["TAPS_W"] > 2 * lanes:
        line, sums = row, 3 * (row // lanes + 3 * lanes * acc)  # what blocks of a vector add up to
    elif w.regular and (stride == 1 or inner >= lanes or (stride == 2 and inner == 1)):
        line = 0
    else:  # what accompanies values lies a row behind them
        windows = (fields["SCRATCH_ROWS"] - 1) * fields["PITCH"] + fields["TILE_W"] * inner
        line = row if key_item else min(align((windows + 2 * lanes) * acc), row)
    results = 0
    if not fields["DENSE"]:
        results = (fields["TILE_W"] * inner + 4 * lanes) * max(dtypes.itemsize(types.y), key_item)
        results += max(span, align(results)) if key_item else 0
    fields |= {"LINE_BYTES": line, "AT_LINE": room.take(line + max(sums, results))}


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


def _long(kernel, form, lanes, letters, axes, shape, key_item, saved, divisor):
    """The plan of a kernel that reads long windows one by one; `letters` name the arrays of the view."""
    view, roles, types = form.view, form.roles, form.types
    tables, counts = [v.table for v in roles], [v.count for v in roles]
    x_item = dtypes.itemsize(types.x)
    extents = tables[2][:, block.EXTENT]
    if divisor is not None:
        tables[:2] = (with_column(t, block.EXTENT, 1) for t in tables[:2])
        extents = np.full(counts[2], divisor)
    divisors = divisors_of(extents, types, 1, lanes)
    steps = key_steps(view, axes, [shape[a] for a in axes])
    window = max(size_of([v.size for v in roles]) * x_item // size_of(counts), 1)
    tile = min(max(ITEM_BYTES // window, 1), lanes, counts[2])
    fields = {
        "OUTER": view.outer, "OUT_D": counts[0], "OUT_H": counts[1], "OUT_W": counts[2], "TILE_W": tile, "TILES_W": -(-counts[2] // tile), "D_TABLE": address(tables[0]), "H_TABLE": address(tables[1]),
        "W_TABLE": address(tables[2]), "W_DIVISORS": address(divisors), "KEY_D_STEP": steps[0], "KEY_H_STEP": steps[1], "TILE_I": 1,
    }  # fmt: skip
    for letter in "MV":
        fields[f"{letter}_TABLE"] = address(
            view.tables[0]
        )  # of an array that is not there; any table will do
    set_strides(
        fields, view, letters, x_item, {"Y": dtypes.itemsize(types.y)} | ({"K": key_item} if saved else {})
    )
    if not saved:
        fields |= {f"K_{role}": 0 for role in "GDHWI"}
    room = _room(fields, types, lanes, max(map(dtypes.itemsize, (types.acc, types.y))), key_item)
    items = len(view.tables[0]) * view.outer * counts[0] * counts[1] * fields["TILES_W"]
    nbytes = size_of(shape) * x_item
    if nbytes > blocks.NEAR_BYTES:
        fields |= {"ALONG": blocks.PAGE // x_item, "FAR": blocks.ALONG_BYTES}
    return assemble(kernel, fields, [tables, divisors, view.tables], items, room, nbytes, view.axes)


def _room(fields, types, lanes, item, key_item):
    """Scratch memory of kernels that merge in registers: as many vectors as have lanes, a stack of vectors, and a vector of results, of this `item` size."""
    acc = dtypes.itemsize(types.acc)
    room = Room()
    span, stack, line = align(lanes * lanes * acc), align(64 * lanes * acc), align(lanes * item)
    fields |= {"SPAN": span, "STACK_SPAN": stack, "LINE_BYTES": line}
    fields["AT_ROW"] = room.take(span + lanes * lanes * key_item)
    fields["AT_WIDE"] = room.take(stack + 64 * lanes * key_item)
    fields["AT_LINE"] = room.take(line + lanes * key_item)
    return room


def _whole(kernel, form, lanes, shape, y_item, key_item, saved, divisor):
    """The plan of a kernel that reads whole planes."""
    view, roles, types = form.view, form.roles, form.types
    run, d, h, base, steps = form.runs
    x_item = dtypes.itemsize(types.x)
    if divisor is not None:
        d, h = with_column(d, block.EXTENT, 1), with_column(h, block.EXTENT, 1)
    divisors = np.full(1, roles[2].table[0, block.EXTENT] if divisor is None else divisor, types.end)
    plane = size_of([v.size for v in roles]) * x_item
    group = min(rounded_up(max(ITEM_BYTES // plane, 1), lanes), view.outer)
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer, "D_TABLE": address(d), "H_TABLE": address(h),
        "W_DIVISORS": address(divisors), "RUN": run, "BEFORE": int(roles[2].table[0, block.START]), "KEY_BASE": base,
        "KEY_D_STEP": steps[0], "KEY_H_STEP": steps[1], "TILE_I": 1,
    }  # fmt: skip
    for letter, at, table in zip("XYK", view.steps, view.tables, strict=False):
        fields |= {f"{letter}_TABLE": address(table)} | {
            f"{letter}_{role}": n for role, n in zip("GDHWI", at, strict=True)
        }
    if not saved:
        fields |= {f"K_{role}": 0 for role in "GDHWI"}
    fields["DENSE"] = fields["Y_G"] == y_item and (not saved or fields["K_G"] == key_item)
    set_planes_asked_for(fields, view, plane, CACHE_BYTES)
    room = _room(fields, types, lanes, y_item, key_item)
    items = len(view.tables[0]) * fields["GROUPS"]
    return assemble(
        kernel, fields, [d, h, divisors, view.tables], items, room, size_of(shape) * x_item, view.axes
    )
