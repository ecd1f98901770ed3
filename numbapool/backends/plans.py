"""Plans: from windows, a reduction and memory layouts to a kernel and its argument block. Memoised; integers only."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from numbapool import dtypes, threads
from numbapool.kernels import block, build
from numbapool.layout import Canonical, canonical
from numbapool.reductions import ALL, AVG, Types
from numbapool.windows import Windows, untouched

ROW_BYTES = 32 * 1024  # a scratch row stays in the first-level cache
QUEUE_BYTES = 2 << 20  # rows of a queue, written once and read once, may leave the second-level cache
BLOCK_BYTES = 256 * 1024  # a block of accumulators stays in it
ITEM_BYTES = 64 * 1024  # about what a work item reads
SMALL_ROW = 512  # rows of fewer elements are done several planes at a time
TALL = 8  # rows from which overlapping windows go through the queue
BROAD = 8  # columns from which windows are doubled
ROUNDINGS = 4  # in a row that a float32 sum may take
HALF_ROUNDINGS = 512  # the same where x is a half, whose own rounding is 2^13 times as large
MOST_PLACES = 254  # taps that a byte can number, with one value left for none
WHOLE_RUN = 16  # neighbours from which planes with one window are read as a whole
LINE = 64
PAGE = 4096
KEPT_BYTES = 1 << 20  # of scratch memory, from one call of a thread to its next
CACHE_BYTES = 16 << 20  # more than this comes from memory


@dataclass(frozen=True)
class Plan:
    """A call, but for its addresses."""

    kernel: build.Kernel
    args: np.ndarray
    keep: list  # the tables that args point to
    items: int
    scratch: int
    nbytes: int
    axes: tuple[int, ...] = ()  # that play D, H, W

    def run(self, x, y, keys, mask=None, weights=None, planes=None):
        """Fill y (and keys, or from keys) from x, beside arrays that a plan was made for."""
        bands = threads.bands(self.items, self.nbytes)
        room, at = _scratch(8 * block.COUNT + bands * self.scratch)
        args = room[: block.COUNT]
        args[:] = self.args
        args[block.X] = address(x)
        args[block.Y] = address(y)
        for word, array in ((block.K, keys), (block.M, mask), (block.V, weights), (block.P, planes)):
            if array is not None:
                args[word] = address(array)
        args[block.SCRATCH] = align(at + 8 * block.COUNT)
        threads.launch(self.kernel, at, self.items, bands)
        if room.nbytes <= KEPT_BYTES:
            _idle.room = room, at


_idle = threading.local()


def _scratch(nbytes):
    """Words of memory for a call, and their address: those of the last call of this thread if nobody has them and they are enough."""
    room, at = _idle.__dict__.pop("room", (None, 0))
    if room is None or room.nbytes < nbytes + LINE:
        room = np.empty((nbytes + LINE) // 8 + 1, np.int64)
        at = address(room)
    return room, at


class Room:
    """The layout of a scratch slot, piece by piece."""

    def __init__(self):
        self.size = 0

    def take(self, nbytes):
        """Reserve; the offset."""
        at, self.size = self.size, self.size + align(nbytes)
        return at


def address(array):
    """Where an array's first element lies."""
    return array.__array_interface__["data"][0]


def align(n):
    """n, rounded up to whole cache lines."""
    return -(-n // LINE) * LINE


def _roles(view, axes, windows):
    """The windows of D, H and W."""
    of = dict(zip(axes, windows, strict=True))
    return [of[a] if a >= 0 else untouched(1) for a in view.axes]


def _weights(view, axes, sizes):
    """What a step along D, H, W adds to a row-major count over axes of these sizes."""
    weights, step = {-1: 0}, 1
    for a, n in zip(reversed(axes), reversed(sizes), strict=True):
        weights[a] = step
        step *= n
    return [weights[a] for a in view.axes]


def _with_column(table, column, values):
    """A table of windows with one column replaced."""
    table = table.copy()
    table[:, column] = values
    return table


def _tiles(view, d, h, w, acc, lanes, item, queued, alone=False):
    """How a call is cut into work items, with planes `alone` or in groups: the fields of the argument block, and the elements of a scratch row."""
    kernel, stride, before = w.regular or (w.most, -(-w.size // w.count), 0)
    reach = (kernel - 1) * w.step + 1
    budget = ROW_BYTES // acc
    if queued:
        budget = min(budget, max(QUEUE_BYTES // (acc * h.most), 512))
    tile_i = view.inner if view.inner * reach <= budget else min(view.inner, max(256, budget // reach))
    tile_w = max((budget // tile_i - reach) // stride + 1, -(-reach // stride), 1)
    tile_w = -(-len(w.table) // -(-len(w.table) // tile_w))  # equal tiles
    needed = (tile_w - 1) * stride + reach
    if not w.regular:
        begins = np.arange(0, w.count, tile_w)
        ends = np.minimum(begins + tile_w, w.count) - 1
        needed = int(max(np.max(w.table[ends, block.STOP] - w.table[begins, block.START]), tile_w))
        kernel, stride = w.least, 1  # of what the table leaves
    group = 1
    if tile_w == len(w.table) and tile_i == view.inner and not alone:
        group = max(1, min(view.outer, SMALL_ROW // (needed * tile_i)))
    pitch = needed * tile_i
    step_h = h.pace
    row = min(needed, w.size * w.up[0]) * tile_i * item * group * step_h * max(d.most, 1)
    block_h = max(1, ITEM_BYTES // row)
    if queued:
        block_h = max(block_h, 3 * h.most // step_h)
    block_h = min(block_h, len(h.table))
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer,
        "OUT_D": len(d.table), "OUT_H": len(h.table), "OUT_W": len(w.table), "WIDTH": w.size,
        "INNER": view.inner, "TILE_I": tile_i, "TILES_I": -(-view.inner // tile_i),
        "TILE_W": tile_w, "TILES_W": -(-len(w.table) // tile_w),
        "BLOCK_H": block_h, "BLOCKS_H": -(-len(h.table) // block_h),
        "STRIDE": stride, "BEFORE": before, "UP": w.up[0], "UP_BEFORE": w.up[1], "TAPS_W": kernel, "STEP_W": w.step,
        "W_TABLE": 0 if w.regular else address(w.table), "D_STEP": d.step, "H_STEP": h.step, "PITCH": pitch, "QUEUED": queued, "QUEUE_LENGTH": h.most,
    }  # fmt: skip
    capacity = group * pitch + (reach + 1) * tile_i + 4 * lanes
    return fields, capacity


def _items(fields, view):
    n = len(view.tables[0])
    for field in ("GROUPS", "TILES_I", "TILES_W", "OUT_D", "BLOCKS_H"):
        n *= fields[field]
    return n


def _dense(view, fields, letter, item):
    """Whether a row of a result is one run of neighbours in memory."""
    if view.inner == 1:
        return fields[f"{letter}_W"] == item or fields["OUT_W"] == 1
    whole = fields["TILE_I"] == view.inner or fields["TILE_W"] == 1
    return (
        whole
        and fields[f"{letter}_I"] == item
        and (fields[f"{letter}_W"] == item * view.inner or fields["OUT_W"] == 1)
    )


def _strides(fields, view, letters, x_item, x_bytes, sizes):
    """The strides of every array; `letters` names them in the order of the view."""
    for letter, steps, table in zip(letters, view.steps, view.tables, strict=True):
        fields[f"{letter}_TABLE"] = address(table)
        for role, step in zip("GDHWI", steps, strict=True):
            fields[f"{letter}_{role}"] = step
    # Rows that are read side by side from one page keep the hardware from reading ahead, which costs more than a second pass over a
    # scratch row once the data does not come from a cache.
    fields["STREAMS"] = 512 <= abs(fields["X_H"]) <= PAGE and x_bytes > CACHE_BYTES
    whole = view.inner == 1 or (fields["TILE_I"] == view.inner and fields["X_I"] == x_item)
    fields["PACKED"] = whole and fields["X_W"] == x_item * view.inner
    fields["DENSE"] = all(_dense(view, fields, letter, size) for letter, size in sizes.items())


def assemble(kernel, fields, keep, items, room, nbytes, axes=()):
    """A plan from the fields of its argument block."""
    args = np.zeros(block.COUNT, np.int64)
    args[block.SCRATCH_BYTES] = align(room.size)
    for field, value in fields.items():
        args[block.INDEX[field]] = value
    return Plan(kernel, args, keep, items, align(room.size), nbytes, axes)


def _divisors(extents, types, inner, lanes):
    """The columns' part of divisors as floats, one per element of a row, with a vector of ones behind the last."""
    values = np.ones(len(extents) * (inner if inner < lanes else 1) + lanes, types.end)
    values[: len(values) - lanes] = np.repeat(extents, inner) if inner < lanes else extents
    return values


def key_kind(windows):
    """Whether the chosen elements of such windows are saved as a byte, the number of the tap, or as an index."""
    taps = _size([w.most for w in windows])
    small = taps <= MOST_PLACES and all(w.regular and w.most < min(TALL, BROAD) for w in windows)
    return "places" if small else "positions"


def _name(reduction, form, types, *rest):
    """The name of a kernel tells it from all others; equal types are named once."""
    names = (types.x, types.acc, types.y)
    return "_".join(n for n in (reduction, form, *(names[:1] if len(set(names)) == 1 else names), *rest) if n)


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
):
    view = canonical(shape, axes, [strides, y_strides, key_strides, *beside], apart=apart)
    d, h, w = _roles(view, axes, windows)
    queued = h.step == 1 and h.most >= TALL and h.overlap and h.most > 3 * h.pace
    narrow, broad = (reduction.types(x_name, y_name, wide, bool(elements.weights)) for wide in (False, True))
    half = dtypes.is_half(x_name)  # whose own rounding hides those of many float32
    precise = narrow != broad and d.most * h.most + w.most - 2 > (HALF_ROUNDINGS if half else ROUNDINGS)
    keyed = key_kind(windows) if reduction.selecting and reduction.power and not key else key
    keyed = None if keyed == "weights" else keyed
    runs = None if beside else _runs(view, (d, h, w), shape, axes, strides, x_name, keyed)
    is_large = precise or queued or w.most >= BROAD or keyed == "positions"
    types = broad if precise or ((is_large or runs) and not half) else narrow
    paired = bool(reduction.mean and elements) or reduction.scaled(x_name)
    channel = types.end if paired else {None: None, "places": "uint8", "positions": "int64"}[keyed]
    template = "whole" if runs else "large" if is_large else "rows"
    return _Form(view, (d, h, w), queued, keyed, paired, channel, types, template, runs)


def weights_dtype(reduction, shape, strides, x_name, axes, windows, y_name, y_strides, elements, beside):
    """The dtype in which a call saves sums of weights."""
    beside = tuple(b for b in beside if b is not None)
    return _form(
        reduction, shape, strides, x_name, axes, windows, y_name, y_strides, "weights", y_strides, elements, beside, False
    ).channel  # fmt: skip


def _kernel(reduction, form, key, elements, apart):
    from numbapool.kernels import bind, large, rows, whole

    accompanied = "paired" if form.paired else form.keyed or ""
    name = _name(
        reduction.name, form.template, form.types,
        f"{'' if key or not form.channel else 'unsaved_'}{accompanied}", elements.name, "planes" if apart else "",
    )  # fmt: skip
    template = {"whole": whole, "large": large, "rows": rows}[form.template]
    return build.kernel(
        template, lambda: bind.forward(reduction, form.types, form.channel, bool(key), elements, apart), name
    )


@lru_cache(maxsize=512)
def forward(
    reduction, shape, strides, x_name, axes, windows, y_name, divisor, y_strides, key, key_strides,
    elements=ALL, mask_strides=None, weight_strides=None, plane_strides=None,
):  # fmt: skip
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
    key : {None, "places", "positions", "weights"}
        What is saved besides the values: one byte per window (the number of the tap), int64 plane indices, or sums of weights.
    elements : Elements
        What the kernel reads beside x.
    mask_strides, weight_strides : tuple of int, optional
        Byte strides of the mask and of the weights over x's shape, 0 where they are broadcast.
    plane_strides : tuple of int, optional
        Byte strides of the tables of planes that have windows of their own, 0 along the pooled axes; `windows` then contain those.
    """
    from numbapool.kernels import bind

    beside = {"M": mask_strides, "V": weight_strides, "P": plane_strides}
    beside = {letter: steps for letter, steps in beside.items() if steps is not None}
    form = _form(
        reduction, shape, strides, x_name, axes, windows, y_name, y_strides, key, key_strides or y_strides, elements,
        tuple(beside.values()), plane_strides is not None,
    )  # fmt: skip
    view, (d, h, w), queued, keyed, paired, channel, types = (
        form.view, form.roles, form.queued, form.keyed, form.paired, form.channel, form.types,
    )  # fmt: skip
    is_large = form.template != "rows"
    kernel = _kernel(reduction, form, key, elements, plane_strides is not None)
    lanes = bind.lanes_of(types, channel)
    acc, x_item, y_item = (dtypes.itemsize(n) for n in (types.acc, types.x, types.y))
    key_item = dtypes.itemsize(channel) if channel else 0
    if form.runs:
        return _whole(kernel, form, lanes, shape, y_item, key_item, bool(key), divisor)
    fields, capacity = _tiles(view, d, h, w, acc, lanes, x_item, queued, plane_strides is not None)
    if not (is_large or w.regular):
        fields["TAPS_W"] = 1  # small windows are merged from single elements
    results = {"Y": y_item, "K": key_item} if key else {"Y": y_item}
    _strides(fields, view, "XYK" + "".join(beside), x_item, _size(shape) * x_item, results)
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

    tables = [d.table, h.table]
    positions = keyed == "positions"
    weights = _weights(
        view, axes, [shape[a] if positions else v.most for a, v in zip(axes, windows, strict=True)]
    )
    steps = weights
    if positions:  # taps are numbered by the element that they fall on
        tables = [_with_column(t, block.FIRST, t[:, block.START]) for t in tables]
        steps = [weights[0] * d.step, weights[1] * h.step, weights[2]]
    divisors = np.zeros(1)
    divided = reduction.mean and not paired
    if divided:
        extents = w.table[:, block.EXTENT]
        if divisor is not None:
            extents = np.full(len(extents), divisor)
            tables = [_with_column(t, block.EXTENT, 1) for t in tables]
        divisors = _divisors(extents, types, view.inner, lanes)
    fields |= {
        "D_TABLE": address(tables[0]), "H_TABLE": address(tables[1]), "W_DIVISORS": address(divisors),
        "DIVISOR_STEP": divisors.itemsize * (view.inner if view.inner < lanes else 1) if divided else 0,
        "KEY_D": weights[0], "KEY_D_STEP": steps[0], "KEY_H": weights[1], "KEY_H_STEP": steps[1], "KEY_W": weights[2],
    }  # fmt: skip

    room = Room()
    room.take((32 if beside else 16) * (d.most * h.most + 3))  # the list of taps; three are read ahead
    fields["AT_ARGS"] = room.take(8 * block.COUNT if beside else 0)
    span = align(capacity * acc)
    row = span + align(capacity * key_item)
    results = (fields["TILE_W"] * fields["TILE_I"] + 4 * lanes) * max(y_item, key_item, acc)
    fields |= {"SPAN": span, "ROW_BYTES": row, "LINE_BYTES": row, "AT_ROW": room.take(row)}
    fields["AT_LINE"] = room.take(row + max(span, align(results)) + results)
    if is_large:
        fields["AT_WIDE"] = room.take(row)
        fields["AT_PLACES"] = room.take(capacity * 8 if channel else 0)
        fields["AT_QUEUE"] = room.take(row * (h.most + 2) if queued else 0)
    nbytes = _size(shape) * x_item
    return assemble(
        kernel, fields, [tables, w, divisors, view.tables], _items(fields, view), room, nbytes, view.axes
    )


def _runs(view, roles, shape, axes, strides, x_name, keyed):
    """How whole planes are read if every plane has one window: (elements of a run of neighbours, tables of D and H, key of the first element, steps of the
    key along D and H); None if they are not read so."""
    item = dtypes.itemsize(x_name)
    at = [0 if a < 0 else strides[a] for a in view.axes]
    if (
        view.inner > 1
        or any(len(v.table) > 1 or v.step > 1 for v in roles)
        or (at[2] != item and roles[2].size > 1)
    ):
        return None
    weights = _weights(
        view, axes, [shape[a] if keyed == "positions" else _role(view, roles, a).most for a in axes]
    )
    if keyed and weights[2] != 1:
        return None
    d, h, w = (v.table.copy() for v in roles)
    column = block.START if keyed == "positions" else block.FIRST
    base = sum(int(t[0, column]) * step for t, step in zip((d, h, w), weights, strict=True))
    run = int(w[0, block.STOP] - w[0, block.START])
    if run < roles[2].size or run == 0:
        return (run, d, h, base, weights[:2]) if run >= WHOLE_RUN else None
    for table, step, weight in (h, at[1], weights[1]), (d, at[0], weights[0]):
        rows = int(table[0, block.STOP] - table[0, block.START])
        if rows != 1 and (step != run * item or (keyed and weight != run) or rows == 0):
            break
        if rows > 1:
            whole = rows == (roles[1] if table is h else roles[0]).size
            run *= rows
            table[0, block.STOP] = table[0, block.START] + 1
            if not whole:
                break
    return (run, d, h, base, weights[:2]) if run >= WHOLE_RUN else None


def _role(view, roles, axis):
    return roles[view.axes.index(axis)]


def _whole(kernel, form, lanes, shape, y_item, key_item, saved, divisor):
    """The plan of a kernel that reads whole planes."""
    view, roles, types = form.view, form.roles, form.types
    run, d, h, base, steps = form.runs
    acc, x_item = dtypes.itemsize(types.acc), dtypes.itemsize(types.x)
    if divisor is not None:
        d, h = _with_column(d, block.EXTENT, 1), _with_column(h, block.EXTENT, 1)
    divisors = np.full(1, roles[2].table[0, block.EXTENT] if divisor is None else divisor, types.end)
    plane = _size([v.size for v in roles]) * x_item
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
    room = Room()
    span = align(lanes * lanes * acc)
    stack = align(64 * lanes * acc)
    line = align(lanes * y_item)
    fields |= {"SPAN": span, "STACK_SPAN": stack, "LINE_BYTES": line}
    fields["AT_ROW"] = room.take(span + lanes * lanes * key_item)
    fields["AT_WIDE"] = room.take(stack + 64 * lanes * key_item)
    fields["AT_LINE"] = room.take(line + lanes * key_item)
    items = len(view.tables[0]) * fields["GROUPS"]
    return assemble(
        kernel, fields, [d, h, divisors, view.tables], items, room, _size(shape) * x_item, view.axes
    )


def rounded_up(n, step):
    """n, rounded up to a multiple of `step`."""
    return -(-n // step) * step


def _size(shape):
    n = 1
    for k in shape:
        n *= k
    return n


def _backward_view(shape, strides, axes, windows, dy_strides, key_strides=None, ordered=False):
    view = canonical(shape, axes, [strides, dy_strides] + ([key_strides] if key_strides else []), ordered)
    return view, _roles(view, axes, windows)


@lru_cache(maxsize=512)
def weighted(mean, shape, strides, x_name, axes, windows, dy_name, divisor, dy_strides):
    """The plan of the backward of a sum (or a mean): dx, of this shape and these strides, from dy."""
    from numbapool.kernels import bind, spread

    even = not mean or divisor is not None or all(w.even for w in windows)
    constant = 1.0
    if mean and even:
        extents = _size([int(w.table[0, block.EXTENT]) for w in windows])
        constant = (
            divisor if divisor is not None else extents or 1
        )  # windows without an element have no gradient
    if even and all(w.regular and w.regular[1] == 1 for w in windows):
        dy_shape = tuple(
            dict(zip(axes, (w.count for w in windows), strict=True)).get(a, n) for a, n in enumerate(shape)
        )
        lines = tuple(_reversed(w) for w in windows)
        return forward(
            AVG, dy_shape, dy_strides, dy_name, axes, lines, x_name, float(constant), strides, None, None
        )

    view, (d, h, w) = _backward_view(shape, strides, axes, windows, dy_strides)
    td, th, tw = d.transposed, h.transposed, w.transposed_line
    limit = 16 * (HALF_ROUNDINGS if dtypes.is_half(dy_name) else ROUNDINGS)
    types = AVG.types(dy_name, x_name, td.most * th.most * (w.most if w.regular else tw.most) > limit)
    name = _name("avg", "spread", types)
    kernel = build.kernel(spread, lambda: bind.backward(types, None), name)
    lanes = bind.lanes_for(types.x, types.acc, types.y)
    acc, x_item, y_item = (dtypes.itemsize(n) for n in (types.acc, types.x, types.y))
    fields, capacity = _tiles(view, td, th, tw, acc, lanes, x_item, False)
    _strides(fields, view, "YX", x_item, 0, {"Y": y_item})
    extents = w.table[:, block.EXTENT]
    tables = [td.table, th.table, d.table, h.table]
    divisors = _divisors(extents, types, view.inner, lanes)
    last = np.full(fields["TILE_W"] * fields["TILE_I"] + lanes, constant if even else 1, types.end)
    fields |= {
        "D_TABLE": address(tables[0]), "H_TABLE": address(tables[1]), "DY_D_TABLE": address(tables[2]),
        "DY_H_TABLE": address(tables[3]), "W_DIVISORS": address(divisors), "LAST_DIVISORS": address(last),
        "DIVISOR_STEP": divisors.itemsize * (view.inner if view.inner < lanes else 1), "UNEVEN": not even,
        "K_TABLE": fields["Y_TABLE"],
    }  # fmt: skip
    room = Room()
    room.take(16 * (td.most * th.most + 3))
    row = align(capacity * acc)
    results = (fields["TILE_W"] * fields["TILE_I"] + 4 * lanes) * max(y_item, acc)
    fields |= {"SPAN": row, "ROW_BYTES": row, "LINE_BYTES": row, "AT_ROW": room.take(row)}
    fields["AT_LINE"] = room.take(2 * row + results)
    fields["AT_WIDE"] = room.take(row)
    fields["AT_QUEUE"] = room.take(2 * row)
    nbytes = _size(shape) * y_item
    return assemble(
        kernel, fields, [tables, tw, divisors, last, view.tables], _items(fields, view), room, nbytes
    )


@lru_cache(maxsize=512)
def _reversed(windows):
    """The transposed windows of windows with stride 1: they slide by one as well, over the outputs themselves."""
    kernel, _, before = windows.regular
    return Windows(
        windows.count,
        windows.transposed.table,
        windows.transposed.step,
        (kernel, 1, (kernel - 1) * windows.step - before),
    )


@lru_cache(maxsize=512)
def selecting(shape, strides, x_name, axes, windows, dy_name, dy_strides, key, key_strides):
    """The plan of the backward of a selecting reduction: dx, of this shape and these strides, from dy and saved keys."""
    from numbapool.kernels import bind, scatter

    view, (d, h, w) = _backward_view(shape, strides, axes, windows, dy_strides, key_strides, ordered=True)
    types = AVG.types(dy_name, x_name, False)
    name = _name("any", "scatter", types, key)
    key_name = "uint8" if key == "places" else "int64"
    kernel = build.kernel(scatter, lambda: bind.backward(types, key_name), name)
    lanes = bind.lanes_for(types.x, types.acc, types.y)
    acc, x_item, y_item = (dtypes.itemsize(n) for n in (types.acc, types.x, types.y))

    tile_i = min(view.inner, max(64, BLOCK_BYTES // (acc * w.size)))
    flat = d.size * h.size == 1
    units, unit = (w.size, 1) if flat else (d.size * h.size, w.size)
    most = max(1, BLOCK_BYTES // (acc * unit * tile_i))
    if not flat and most < units:
        # Blocks share the outputs at their borders; they should be tall against the windows.
        most = max(most, min(4 * h.most, units))
    blocks = -(-units // most)
    lines = np.zeros((blocks, 8), np.int64)
    lines[:, 0] = np.arange(blocks) * most
    lines[:, 1] = np.minimum(lines[:, 0] + most, units)
    lines[:, [3, 5, 7]] = d.count, h.count, w.count
    first, last = lines[:, 0], lines[:, 1] - 1
    if flat:
        lines[:, 6], lines[:, 7] = w.covering(first, last)
    else:
        lines[:, 2], lines[:, 3] = d.covering(first // h.size, last // h.size)
        one = first // h.size == last // h.size
        low, high = h.covering(first % h.size, last % h.size)
        lines[:, 4] = np.where(one, low, 0)
        lines[:, 5] = np.where(one, high, h.count)

    group = max(1, min(view.outer, ITEM_BYTES // (acc * units * unit * tile_i)))
    plane = [h.size * w.size, w.size, 1]
    taps = _weights(view, axes, [v.most for v in windows])
    places = np.zeros(256, np.int64)
    if key == "places":
        for i in np.ndindex(d.most, h.most, w.most):
            number = sum(t * k for t, k in zip(taps, i, strict=True))
            places[number] = sum(k * v.step * s for k, v, s in zip(i, (d, h, w), plane, strict=True))
        places[255] = -(2**62)
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer, "INNER": view.inner, "TILE_I": tile_i, "TILES_I": -(-view.inner // tile_i),
        "WIDTH": w.size, "SIZE_H": h.size, "BLOCKS": blocks, "BLOCK_TABLE": address(lines), "UNIT": unit, "FLAT": flat,
        "PLACES_TABLE": address(places), "BASE": 0,
    }  # fmt: skip
    for role, v, s in zip("DHW", (d, h, w), plane, strict=True):
        # Windows that do not slide have positions for keys, which need no base.
        _, stride, before = v.regular or (0, 0, 0)
        fields["BASE"] -= before * s
        fields[f"BASE_{role}"] = stride * s
    _strides(fields, view, "YXK", x_item, 0, {})
    # Rows of dx that lie one behind the other are stored as one.
    fields["WHOLE"] = fields["Y_H"] == w.size * fields["Y_W"] and (
        d.size == 1 or fields["Y_D"] == h.size * fields["Y_H"]
    )
    room = Room()
    fields["AT_ROW"] = room.take((most * unit * tile_i + 4 * lanes) * acc)
    items = len(view.tables[0]) * fields["GROUPS"] * fields["TILES_I"] * blocks
    return assemble(kernel, fields, [lines, places, view.tables], items, room, _size(shape) * y_item)
