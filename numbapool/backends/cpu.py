"""NumPy memory: from windows, a reduction and an array to a band kernel and its argument block."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from numbapool import dtypes, threads
from numbapool.kernels import block, build
from numbapool.layout import canonical
from numbapool.windows import untouched

ROW_BYTES = 32 * 1024  # a scratch row stays in the first-level cache
QUEUE_BYTES = 512 * 1024  # the rows of a queue in the second-level cache
ITEM_BYTES = 64 * 1024  # about what a work item reads
TALL = 8  # rows from which overlapping windows go through the queue
BROAD = 8  # columns from which windows are doubled
LINE = 64
MOST_PLACES = 254  # taps that a byte can number, with one value left for none


@dataclass(frozen=True)
class Plan:
    """A call, but for its addresses."""

    kernel: object
    args: np.ndarray
    tables: list
    items: int
    scratch: int
    nbytes: int

    def run(self, x, y, keys):
        """Compute y (and keys) from x."""
        bands = threads.bands(self.items, self.nbytes)
        room = np.empty(bands * self.scratch + LINE, np.uint8)
        args = self.args.copy()
        args[block.INDEX["X"]] = address(x)
        args[block.INDEX["Y"]] = address(y)
        if keys is not None:
            args[block.INDEX["K"]] = address(keys)
        args[block.INDEX["SCRATCH"]] = -(-address(room) // LINE) * LINE
        threads.launch(self.kernel, args, self.items, bands)


def run(request):
    """Carry out a request; the result, or with `return_indices` the pair (y, indices)."""
    y, keys = _forward(request, "positions" if request.indices else None)
    return (y, keys) if request.indices else y


def _forward(request, key):
    """The values and, if `key` names a kind of keys, those."""
    x, shape = request.x, request.shape
    order = result_layout(x.shape, x.strides)
    y_dtype = _dtype(request, request.reduction.types(x.dtype.name, request.dtype, False).y)
    y, keys = request.out
    if x.size and any(o is not None and np.may_share_memory(x, o) for o in request.out):
        x = x.copy("K")
    y = empty(shape, order, y_dtype) if y is None else y
    if y.size == 0:
        return y, (empty(shape, order, np.int64) if keys is None else keys) if key else None
    kind = key and ("places" if _taps(request.windows) <= MOST_PLACES else "positions")
    saved = None
    if kind:
        saved = empty(shape, order, np.uint8) if kind == "places" else empty(shape, order, np.int64) if keys is None else keys
    plan = forward(
        request.reduction, x.shape, x.strides, x.dtype.name, request.axes, request.windows, request.dtype, request.divisor,
        y.strides, kind, saved.strides if kind else None,
    )  # fmt: skip
    plan.run(x, y, saved)
    if key == "positions" and kind == "places":
        saved = _positions(request, saved, empty(shape, order, np.int64) if keys is None else keys)
    return y, saved


def _dtype(request, name):
    """The NumPy dtype called `name`; bfloat16 only ever comes with the array that has it."""
    return request.x.dtype if name == request.x.dtype.name else np.dtype(name)


def _taps(windows):
    count = 1
    for w in windows:
        count *= w.most
    return count


def _positions(request, places, out):
    """Indices in the plane of x from the numbers of taps; -1 for none."""
    sizes = [request.x.shape[a] for a in request.axes]
    plane = _key_steps(sizes)
    offsets = np.zeros(1, np.int64)
    base = np.zeros((1,) * out.ndim, np.int64)
    for a, w, step in zip(request.axes, request.windows, plane, strict=True):
        offsets = (offsets[:, None] + np.arange(w.most) * w.step * step).ravel()
        begin = (w.table[:, 0] - w.table[:, 2] * w.step) * step
        base = base + begin.reshape([-1 if b == a else 1 for b in range(out.ndim)])
    table = np.full(256, 0, np.int64)
    table[: len(offsets)] = offsets
    np.take(table, places, out=out, mode="clip")
    out += base
    out[places == 255] = -1
    return out


def _key_steps(sizes):
    """What one step along each axis adds to a row-major index."""
    steps = [1]
    for n in reversed(sizes[1:]):
        steps.insert(0, steps[0] * n)
    return steps


def address(array):
    """Where an array's first element lies."""
    return array.__array_interface__["data"][0]


def result_layout(shape, strides):
    """The order of axes, slowest first, in which a result for an array of these strides lies in memory (order "K")."""
    order = sorted(range(len(shape)), key=lambda a: (-abs(strides[a]), a))
    return tuple(order)


def packed_strides(shape, order, itemsize):
    """Byte strides of a new array whose axes lie in `order`."""
    strides, step = [0] * len(shape), itemsize
    for a in reversed(order):
        strides[a] = step
        step *= shape[a]
    return tuple(strides)


def empty(shape, order, dtype):
    """A new array whose axes lie in `order`."""
    if order == tuple(range(len(shape))):
        return np.empty(shape, dtype)
    return np.empty([shape[a] for a in order], dtype).transpose(np.argsort(order))


def _roles(view, axes, windows):
    """The windows of D, H and W."""
    of = dict(zip(axes, windows, strict=True))
    return [of[a] if a >= 0 else untouched(1) for a in view.axes]


def _key_weights(view, axes, sizes):
    """What a step along D, H, W adds to a row-major count over axes of these sizes."""
    weights, step = {-1: 0}, 1
    for a, n in zip(reversed(axes), reversed(sizes), strict=True):
        weights[a] = step
        step *= n
    return [weights[a] for a in view.axes]


@lru_cache(maxsize=512)
def forward(reduction, shape, strides, x_name, axes, windows, y_name, divisor, y_strides, key, key_strides):
    """The plan of a forward call.

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
    key : {None, "places", "positions"}
        What is saved besides the values: one byte per window (the number of the tap) or int64 plane indices.
    """
    from numbapool.kernels import bind, large, rows

    view = canonical(shape, axes, [strides, y_strides, key_strides or y_strides])
    d, h, w = _roles(view, axes, windows)
    taps = d.most * h.most * w.most
    sequential = d.most * h.most + w.most - 2
    queued = h.step == 1 and h.most >= TALL and h.overlap and h.most > 3 * (h.regular or (0, 1))[1]
    wide = reduction.types(x_name, y_name, True) != reduction.types(x_name, y_name, False) and sequential > 4
    is_large = wide or queued or w.most >= BROAD or (key == "positions")
    types = reduction.types(x_name, y_name, is_large)
    key_name = {None: None, "places": "uint8", "positions": "int64"}[key]
    form = "large" if is_large else "rows"
    name = "_".join([reduction.name, form, *dict.fromkeys([types.x, types.acc, types.y])] + ([key] if key else []))
    kernel = build.kernel(large if is_large else rows, lambda: bind.forward(reduction, types, key_name), name)
    lanes = bind.lanes_for(types.x, types.acc, types.y)
    acc, key_size = dtypes.itemsize(types.acc), dtypes.itemsize(key_name) if key else 0

    kernel_w, stride_w, before_w = w.regular
    reach = (kernel_w - 1) * w.step + 1
    budget = ROW_BYTES // acc
    if queued:
        budget = min(budget, max(QUEUE_BYTES // (acc * h.most), 512))
    tile_i = min(view.inner, max(256, budget // reach) if view.inner * reach > budget else view.inner)
    tile_w = max((budget // tile_i - reach) // stride_w + 1, -(-reach // stride_w), 1)
    tile_w = min(tile_w, w.count)
    needed = (tile_w - 1) * stride_w + reach
    one_tile = tile_w == w.count and tile_i == view.inner
    group = max(1, min(view.outer, 256 // (needed * tile_i))) if one_tile else 1
    pitch = needed * tile_i
    count = group * pitch
    row_in = min(needed, w.size) * tile_i * dtypes.itemsize(x_name) * group
    h_stride = (h.regular or (0, 1))[1]
    block_h = max(1, ITEM_BYTES // max(row_in * h_stride * max(d.most, 1), 1))
    if queued:
        block_h = max(block_h, 3 * h.most // h_stride)
    block_h = min(block_h, h.count)

    slack = 4 * lanes
    capacity = count + (reach + 1) * tile_i + slack
    span = _align(capacity * acc)
    row_bytes = span + _align(capacity * key_size)
    out_elements = max(tile_w * tile_i, 1) + slack
    taps_bytes = _align(16 * (d.most * h.most + 1))
    at_row = taps_bytes
    at_line = at_row + row_bytes
    line_bytes = _align(row_bytes)
    ready = span + _align(out_elements * max(dtypes.itemsize(types.y), key_size)) * 2
    at_wide = at_line + line_bytes + max(ready, row_bytes)
    at_places = at_wide + (row_bytes if is_large else 0)
    at_queue = at_places + (_align(capacity * 8) if is_large and key else 0)
    scratch = at_queue + (row_bytes * (h.most + 2) if queued else 0)

    if key == "positions":
        weights = _key_weights(view, axes, [shape[a] for a in axes])
        steps = [weights[0] * d.step, weights[1] * h.step]
        tables = [_absolute(d.table), _absolute(h.table)]
    else:
        weights = _key_weights(view, axes, [v.most for v in windows])
        steps = weights[:2]
        tables = [d.table, h.table]
    divisors = np.zeros(1)
    if reduction.mean:
        divisors = np.ascontiguousarray(w.table[:, 3], dtype=types.end)
        if divisor is not None:
            divisors[:] = divisor
            tables = [_without_extent(d.table), _without_extent(h.table)]
        if view.inner < lanes:
            divisors = np.repeat(divisors, view.inner)
    x_step = view.steps[0]
    item_x = dtypes.itemsize(x_name)
    tables += [divisors, *view.tables]
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer,
        "OUT_D": d.count, "OUT_H": h.count, "OUT_W": w.count,
        "WIDTH": w.size, "INNER": view.inner, "TILE_I": tile_i, "TILES_I": -(-view.inner // tile_i),
        "TILE_W": tile_w, "TILES_W": -(-w.count // tile_w), "BLOCK_H": block_h, "BLOCKS_H": -(-h.count // block_h),
        "STRIDE": stride_w, "BEFORE": before_w, "TAPS_W": kernel_w, "STEP_W": w.step,
        "D_TABLE": address(tables[0]), "D_STEP": d.step, "H_TABLE": address(tables[1]), "H_STEP": h.step,
        "W_DIVISORS": address(divisors),
        "DIVISOR_STEP": divisors.itemsize * (view.inner if view.inner < lanes else 1) if reduction.mean else 0,
        "KEY_D": weights[0], "KEY_D_STEP": steps[0], "KEY_H": weights[1], "KEY_H_STEP": steps[1], "KEY_W": weights[2],
        "SCRATCH_BYTES": scratch, "AT_ROW": at_row, "AT_WIDE": at_wide, "AT_LINE": at_line, "AT_QUEUE": at_queue,
        "QUEUE_LENGTH": h.most, "AT_PLACES": at_places, "PITCH": pitch, "SPAN": span, "LINE_BYTES": line_bytes,
        "ROW_BYTES": row_bytes, "QUEUED": queued,
        "PACKED": x_step[4] == item_x and x_step[3] == item_x * view.inner and tile_i == view.inner,
    }  # fmt: skip
    for i, letter in enumerate("XYK"):
        fields[f"{letter}_TABLE"] = address(view.tables[i])
        for role, step in zip("GDHWI", view.steps[i], strict=True):
            fields[f"{letter}_{role}"] = step if letter != "K" or key else 0
    args = np.zeros(block.COUNT, np.int64)
    for field, value in fields.items():
        args[block.INDEX[field]] = value
    items = len(view.tables[0]) * fields["GROUPS"] * fields["TILES_I"] * fields["TILES_W"] * d.count * fields["BLOCKS_H"]
    nbytes = int(np.prod(shape)) * item_x
    return Plan(kernel, args, tables, items, _align(scratch), nbytes)


def _absolute(table):
    """A table whose taps are numbered by the element they fall on."""
    table = table.copy()
    table[:, 2] = table[:, 0]
    return table


def _without_extent(table):
    table = table.copy()
    table[:, 3] = 1
    return table


def _align(n):
    return -(-n // LINE) * LINE
