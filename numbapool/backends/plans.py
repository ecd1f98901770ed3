"""Plans of forward calls: from windows, a reduction and memory layouts to a kernel and its argument block. Memoised; integers only."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from numbapool import columns, dtypes
from numbapool.backends import forms, narrow_plans, register_plans
from numbapool.backends.blocks import (
    CACHE_BYTES,
    Room,
    address,
    align,
    assemble,
    count_items,
    key_steps,
    look_ahead,
    set_divisors,
    set_passes,
    set_past,
    set_rows_asked_for,
    set_spots,
    set_strides,
    size_of,
    tiles,
    with_column,
)
from numbapool.kernels import block, vectors
from numbapool.reductions import ALL, below_zero, counts_packed

WINDOWS_A_PART = 8  # one below the other, in which parts that a queue begins with do not count
INNER_CACHE_BYTES = 16 << 20  # from which on what windows beside inner elements read is asked for
MOST_ROOM = 24 << 20  # bytes of scratch memory, about: windows that need more are done in slabs
LEAST_SLABBED = 256  # elements of a window that can be
MOST_BESIDE = 8192  # results along the other pooled axes: heads are merged for each of them


def axis_of_slabs(windows):
    """Which pooled axis can be done in slabs; None if none can."""
    can = []
    for i, w in enumerate(windows):
        slides = w.regular is not None and w.step == 1 and w.up == (1, 0) and w.overlap
        beside = size_of([v.count for v in windows]) // w.count
        if slides and w.count > 1 and min(w.most, w.size) >= LEAST_SLABBED and beside <= MOST_BESIDE:
            can.append(i)
    return max(can, key=lambda i: windows[i].most, default=None)


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
    form = forms.form_of(
        reduction, shape, strides, x_name, axes, windows, y_name, y_strides, key, key_strides or y_strides, elements,
        tuple(beside.values()), plane_strides is not None, signs, divisor is None,
    )  # fmt: skip
    view, (d, h, w), queued, keyed, paired, channel, types = (
        form.view, form.roles, form.queued, form.keyed, form.paired, form.channel, form.types,
    )  # fmt: skip
    is_large = form.template == "large"
    kernel = forms.kernel_of(reduction, form, key, elements, plane_strides is not None)
    lanes = forms.lanes_of(form)
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
        plan = register_plans.whole(kernel, form, lanes, shape, y_item, key_item, bool(key), divisor)
        return replace(plan, doubtful=doubtful)
    if form.template == "long":
        lanes = vectors.whole_lanes(reduction, types, channel, elements)
        letters = "XYK" + "".join(beside)
        plan = register_plans.long(kernel, form, lanes, letters, axes, shape, key_item, bool(key), divisor)
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
