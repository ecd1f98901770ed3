"""What plans are made of: argument blocks and how they are filled, scratch memory, work items."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass

import numpy as np

from numbapool import dtypes, threads
from numbapool.kernels import block, build, vectors
from numbapool.windows import untouched

ROW_BYTES = 32 * 1024  # a scratch row stays in the first-level cache
QUEUE_BYTES = 2 << 20  # rows of a queue, written once and read once, may leave the second-level cache
# Of the elements that a window reaches over, with those beside them along an inner axis that are done with it.
INNER_BYTES = 2 << 20
ITEM_BYTES = 64 * 1024  # about what a work item reads
SMALL_ROW = 512  # rows of fewer elements are done several planes at a time
LINE = 64
PAGE = 4096
SMALL_BYTES = 256 * 1024  # are in the second-level cache, more or less
SLOTS_BYTES = 28 << 20  # of scratch memory: of few threads, where each needs a lot
KEPT_BYTES = 1 << 20  # of scratch memory, from one call of a thread to its next
NATIVE = True  # whether lanes are permuted and masked, where the machine can
SHORT_ROW = 1024  # bytes: the hardware does not foresee the next in time
STREAM = 1024  # bytes from one row to the next, in windows without columns, from which on they are read one after the other
STREAM_OF_FOURS = 2048  # the same from which on they are read four by four: nearer ones, in one page of memory, are not foreseen
STAGED_ROW = 8 * 1024  # bytes of rows that are gathered before they are stored past the caches
LONG_ROW = 2048  # bytes: a line that is stored in two parts does not count
FEW = 4  # neighbours along an inner axis; more are read as whole vectors, which it does foresee
FAR_BYTES = 8 * 1024  # comes to the second-level cache in time, and does not push out what is there
ALONG_BYTES = 4 * 1024  # the same along a row; less comes too late, more costs a second line at its end
NEAR_BYTES = 1 << 20  # are in the second-level cache
# More than this comes from memory, and of so many results too little would be left in the cache.
CACHE_BYTES = 12 << 20
MAPPED_BYTES = 32 << 20  # new arrays of more are new pages, which the system has just cleared in the cache


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
    doubtful: bool = False
    parts: int = 0  # at most so many, unless there are more threads; 0: any number

    def run(self, x, y, given=False, **beside):
        """Fill y from x; the other arrays that the plan was made for are named by their letters. `given`: the caller's own y, whose pages most likely were in use before. Whether signs of zeros are in doubt."""
        bands = threads.bands(self.items, self.nbytes)
        bands = min(bands, max(SLOTS_BYTES // max(self.scratch, 1), 1))
        room, at = _scratch(8 * block.COUNT + bands * self.scratch)
        args = room[: block.COUNT]
        args[:] = self.args
        args[block.X] = address(x)
        args[block.Y] = address(y)
        for letter, array in beside.items():
            if array is not None:
                args[block.INDEX[letter]] = address(array)
        if not given and args[block.PAST] and y.nbytes > MAPPED_BYTES:
            args[block.PAST] = 0
        args[block.SCRATCH] = align(at + 8 * block.COUNT)
        if self.doubtful:
            args[block.DOUBTS] = at + 8 * block.DOUBT
        threads.launch(self.kernel, at, self.items, bands, self.parts)
        doubt = self.doubtful and bool(args[block.DOUBT])
        if room.nbytes <= KEPT_BYTES:
            _idle.room = room, at
        return doubt


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


_word_at, _HEAD = ctypes.c_ssize_t.from_address, object.__basicsize__


def _address_read(array):
    """Where an array's first element lies: what C code finds behind the head of the object, as NumPy's binary interface has it."""
    return _word_at(id(array) + _HEAD).value


def _address_asked(array):
    return array.__array_interface__["data"][0]  # NumPy describes all of the array: five times as long


_probe = np.zeros(1)
address = _address_read if _address_read(_probe) == _address_asked(_probe) else _address_asked


def align(n):
    """n, rounded up to whole cache lines."""
    return -(-n // LINE) * LINE


def roles(view, axes, windows):
    """The windows of D, H and W."""
    of = dict(zip(axes, windows, strict=True))
    return [of[a] if a >= 0 else untouched(1) for a in view.axes]


def key_steps(view, axes, sizes):
    """What a step along D, H, W adds to a row-major count over axes of these sizes."""
    weights, step = {-1: 0}, 1
    for a, n in zip(reversed(axes), reversed(sizes), strict=True):
        weights[a] = step
        step *= n
    return [weights[a] for a in view.axes]


def with_column(table, column, values):
    """A table of windows with one column replaced."""
    table = table.copy()
    table[:, column] = values
    return table


def tiles(view, d, h, w, acc, lanes, item, queued, alone=False, by_rows=False, fused=False):
    """How a call is cut into work items, with planes `alone` or in groups: the fields of the argument block, and the elements of a scratch row.

    `by_rows`: several rows of one plane may be done at a time, where their windows are alike. `fused`: so are any number of them, without a scratch row.
    """
    kernel, stride, before = w.regular or (w.most, -(-w.size // w.count), 0)
    reach = (kernel - 1) * w.step + 1
    budget = ROW_BYTES // acc
    if queued:
        budget = min(budget, max(QUEUE_BYTES // (acc * h.most), 512))
    tile_i = view.inner
    if tile_i * reach > budget:
        # Some lines of memory at least, unless windows are so long that no cache holds them; equal tiles.
        some = max(min(256, INNER_BYTES // (acc * reach)), budget // reach, lanes)
        tile_i = min(tile_i, rounded_up(-(-tile_i // -(-tile_i // some)), lanes))
    tile_w, most = ((n * budget // tile_i - reach) // stride + 1 for n in (1, 2))
    # What neighbouring tiles share is read twice, from memory: rather a scratch row that leaves the first-level cache than more than an eighth of a tile.
    tile_w = max(tile_w, min(most, 8 * (reach - stride) // stride), -(-reach // stride), 1)
    tile_w = -(-w.count // -(-w.count // tile_w))  # equal tiles
    if view.inner == 1 and lanes < tile_w < w.count:
        tile_w = min(rounded_up(tile_w, lanes), w.count)  # of whole vectors
    needed = (tile_w - 1) * stride + reach
    if not w.regular:
        begins = np.arange(0, w.count, tile_w)
        ends = np.minimum(begins + tile_w, w.count) - 1
        needed = int(max(np.max(w.table[ends, block.STOP] - w.table[begins, block.START]), tile_w))
        kernel, stride = w.least, 1  # of what the table leaves
    group, rows = 1, 1
    pitch = needed * tile_i
    pitch = rounded_up(pitch, 16) if pitch > 64 else pitch  # a pass has its rows at equal places in lines
    if fused:
        rows = int(h.runs.max())
        if tile_w == w.count:
            group = max(min(view.outer, ITEM_BYTES // max(w.size * h.size * max(d.most, 1) * item, 1)), 1)
    elif pitch <= SMALL_ROW:
        if tile_w == w.count and tile_i == view.inner and not alone:
            group = min(view.outer, SMALL_ROW // pitch)
        # Memory is then read in order, which is worth up to twice the passes.
        if by_rows and _passes(h.runs, SMALL_ROW // pitch) <= 2 * h.count / group:
            group, rows = 1, min(SMALL_ROW // pitch, int(h.runs.max()))
        if d.count * h.count == 1:  # large planes are work enough, one by one
            group = min(group, max(4 * ITEM_BYTES // (d.size * h.size * pitch * item), 1))
    scratch_rows = 0 if fused else max(group, rows)
    step_h = h.pace
    row = min(needed, w.size * w.up[0]) * tile_i * item * group * step_h * max(d.most, 1)
    nbytes = size_of([d.size, h.size, w.size, view.inner, view.outer, len(view.tables[0])]) * item
    # Planes that come from memory in groups are not cut if that can be avoided: of whole ones it is known which come next (`look_ahead`).
    block_h = max(1, (2 * ITEM_BYTES if group > 1 and nbytes > CACHE_BYTES else ITEM_BYTES) // row)
    if queued:
        # Blocks of suffixes, wherever a part begins: results have the same bits with any number of threads.
        block_h = min(rounded_up(block_h, -(-h.most // step_h)), h.count)
    else:
        block_h = -(-h.count // -(-h.count // min(block_h, h.count)))  # equal blocks
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer,
        "OUT_D": d.count, "OUT_H": h.count, "OUT_W": w.count, "WIDTH": w.size,
        "INNER": view.inner, "TILE_I": tile_i, "TILES_I": -(-view.inner // tile_i),
        "TILE_W": tile_w, "TILES_W": -(-w.count // tile_w),
        "BLOCK_H": block_h, "BLOCKS_H": -(-h.count // block_h),
        "RUNS": address(h.runs) if rows > 1 or fused else 0, "ROWS": rows, "SCRATCH_ROWS": scratch_rows, "STRIDE": stride, "BEFORE": before, "UP": w.up[0], "UP_BEFORE": w.up[1], "TAPS_W": kernel, "STEP_W": w.step,
        "W_TABLE": 0 if w.regular else address(w.table), "D_STEP": d.step, "H_STEP": h.step, "PITCH": pitch, "QUEUED": queued, "QUEUE_LENGTH": h.most,
    }  # fmt: skip
    capacity = max(scratch_rows, 1) * pitch + (reach + 1) * tile_i + 4 * lanes
    return fields, capacity


def _passes(runs, most):
    """In how many passes of at most `most` rows, all alike, those of a plane can be done."""
    at, n = 0, 0
    while at < len(runs):
        at, n = at + int(runs[at]), n + -(-int(runs[at]) // most)
    return n


def set_spots(fields, types, lanes):
    """How windows that start several elements apart are taken out of two vectors of a scratch row by a permutation: the table of its lanes, or None."""
    from numbapool.kernels import primitives

    stride, inner = fields["STRIDE"], fields["TILE_I"]
    columns = min((2 * lanes // inner - 1) // stride + 1, lanes // inner)
    paired = stride == 2 and inner == 1  # which needs no table
    if (
        not NATIVE
        or stride == 1
        or paired
        or columns < 2
        or not primitives.permutes(dtypes.itemsize(types.acc))
    ):
        return None
    spots = np.zeros(lanes, vectors.places_dtype(types))
    column, c = np.divmod(np.arange(columns * inner), inner)
    spots[: columns * inner] = column * stride * inner + c
    fields |= {"SPOTS": address(spots), "SPACED": columns * inner}
    return spots


def set_passes(fields, pace=1):
    """From one row of a pass to the next: planes, or the rows of one plane, whose windows lie `pace` apart."""
    for letter, step in ("X", pace), ("Y", 1), ("K", 1):
        planes, rows = fields.get(f"{letter}_G", 0), fields.get(f"{letter}_H", 0) * step
        fields[f"{letter}_PASS"] = planes if fields["ROWS"] == 1 else rows


def look_ahead(fields, view, **nbytes):
    """How much of the planes that come next the cache is asked for at every row, per letter of an array, where small planes are done in groups.

    Their rows are too short and too many side by side for the hardware to foresee. `nbytes` are the sizes of the arrays.
    """
    whole = fields["GROUP"] > 1 and fields["OUT_D"] == fields["BLOCKS_H"] == fields["TILES_I"] == 1
    for letter, n in nbytes.items():
        step = fields[f"{letter}_G"]
        near = 0 < step <= 2 * n // (view.outer * len(view.tables[0]))
        ahead = fields["GROUP"] * step // fields["OUT_H"] if whole and near and n > SMALL_BYTES else 0
        fields[f"AHEAD_{letter}"] = rounded_up(ahead, LINE)


def set_rows_asked_for(fields, view, roles, item, nbytes, near=CACHE_BYTES):
    """What the cache is asked for while rows of x, an array of `nbytes`, are read, if these are more than `near`.

    Before rows so short that the hardware does not foresee the next: as many bytes as are new to the windows of a row of results, some way behind them.
    As long rows are read, vector by vector: what lies a little further on in those that are new (along three axes, in all), and at their ends in the next ones.
    """
    d, h, w = roles
    step, row = fields["X_H"], w.size * view.inner * item
    read = h.pace <= 2 * h.most  # else most rows are read by no window
    if h.step > 1 or not read or nbytes <= near:
        return
    if abs(step) > SHORT_ROW and fields["PACKED"]:
        ahead, windows = ALONG_BYTES, 1
        if step != row < ALONG_BYTES:
            # Behind a row of a cropped array lies what nobody reads: as far on, in the windows that follow.
            ahead, windows = row, -(-ALONG_BYTES // (h.pace * row))
        rows = h.pace if d.most == 1 else d.most * h.most
        fields |= {"ALONG": ahead, "ASKED": rows, "NEXT_X": windows * h.pace * step}
    elif 0 < step <= SHORT_ROW and view.inner <= FEW and not fields.get("AHEAD_X"):
        fields |= {"NEW_X": h.pace * step, "FAR": FAR_BYTES}


def set_past(fields, y_name, lanes, nbytes, fused, many):
    """Whether y, an array of `nbytes`, is stored past the caches, which would read its lines before they are written: where it is too large for them.

    Such stores need addresses that are multiples of 16, or the process ends. Kernels look at the begin of every row; that the other vectors of it lie a multiple of 16
    behind is what this function sees to: rows are whole vectors, or of such a length that the last one, if it overlaps its neighbour, does so by such a multiple.
    """
    inner, tile, item = fields["INNER"], fields["TILE_I"], dtypes.itemsize(y_name)
    run = tile if tile >= lanes else fields["TILE_W"] * tile  # what is stored vector by vector
    row = fields["OUT_W"] * inner
    whole = row % lanes == run % lanes == inner % tile == 0
    # A line that is written in two parts costs more, but a long row has few.
    long = fused and run == row and row * item >= LONG_ROW and row * item % 16 == 0
    # Else most rows begin where such stores may not.
    together = all(fields[f"Y_{role}"] % 16 == 0 for role in ("G", "D", "H"))
    # Of float16, LLVM makes the conversion and the store one instruction, which goes through the cache.
    can = fields["DENSE"] and lanes * item >= 16 and y_name != "float16"
    direct = can and together and (whole or long)
    # Rows that lie one behind the other are gathered to whole lines of memory first, which pays if they are `many` beside what is read.
    rows = fused and many and fields["DENSE"] and run == row and row * item <= STAGED_ROW
    rows &= fields["OUT_H"] > 1 and fields["Y_H"] == row * item
    staged = rows and fields["Y_G"] % item == fields["Y_D"] % item == 0
    fields["PAST"] = (1 if direct else 2 if staged else 0) if nbytes >= CACHE_BYTES else 0


def set_planes_asked_for(fields, view, nbytes, cached=NEAR_BYTES):
    """The same where planes of about `nbytes`, which lie side by side, are done one after the other; `cached` bytes in all are near enough."""
    step = fields["X_G"]
    if 0 < step <= min(2 * nbytes, PAGE) and step * view.outer * len(view.tables[0]) > cached:
        fields |= {"NEW_X": step, "FAR": FAR_BYTES}


def in_groups(view, letters, nbytes, at_once=1):
    """The fields of kernels that do a plane at a time, or some `at_once` (`kernels/each.py`), each of about `nbytes`; `letters` name the arrays in the order of the view."""
    group = min(max(ITEM_BYTES // nbytes, 1), view.outer)
    group = max(group // at_once * at_once, 1)
    fields = {"GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer}
    for letter, steps, table in zip(letters, view.steps, view.tables, strict=False):
        fields |= {f"{letter}_TABLE": address(table), f"{letter}_G": steps[0]}
    fields.setdefault("K_TABLE", fields["Y_TABLE"])  # of keys that are not there
    set_planes_asked_for(fields, view, nbytes)
    return fields, len(view.tables[0]) * fields["GROUPS"]


def count_items(fields, view):
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


def is_row(steps, shape, step):
    """Whether elements of this shape, of `step` bytes, are neighbours in their order, where those of an axis are `steps` apart."""
    for at, n in zip(reversed(steps), reversed(shape), strict=False):
        if n > 1 and at != step:
            return False
        step *= n
    return True


def packed(fields, view, letter):
    """Whether the inner elements of neighbouring columns of a tile are as far apart as those of one column."""
    return fields["TILE_I"] == view.inner and fields[f"{letter}_W"] == fields[f"{letter}_I"] * view.inner


def _streams(step, rows):
    """How the rows of a window without columns, so many bytes apart, are read: 0 side by side, 1 one after the other, 2 four by four where that saves work.

    They are often many: too many to be foreseen side by side, or more than the first-level cache holds, and then every vector of columns would read all of their lines again; but rows of few vectors wait for the sums of the row before.
    """
    if step < STREAM and (step <= 2 * LINE or rows * step <= ROW_BYTES):
        return 0
    return 2 if step >= STREAM_OF_FOURS else 1


def set_strides(fields, view, letters, x_item, sizes, rows=1):
    """The strides of every array; `letters` names them in the order of the view, `rows` are the most of a window."""
    for letter, steps, table in zip(letters, view.steps, view.tables, strict=True):
        fields[f"{letter}_TABLE"] = address(table)
        for role, step in zip("GDHWI", steps, strict=True):
            fields[f"{letter}_{role}"] = step
    fields["STREAMS"] = _streams(abs(fields["X_H"]), rows) if view.axes[2] < 0 else 0
    if view.inner == 1:
        fields["PACKED"] = fields["X_W"] == x_item
    else:
        fields["PACKED"] = packed(fields, view, "X") and fields["X_I"] == x_item
    fields["DENSE"] = all(_dense(view, fields, letter, size) for letter, size in sizes.items())


def assemble(kernel, fields, keep, items, room, nbytes, axes=()):
    """A plan from the fields of its argument block."""
    args = np.zeros(block.COUNT, np.int64)
    args[block.SCRATCH_BYTES] = align(room.size)
    for field, value in fields.items():
        args[block.INDEX[field]] = value
    return Plan(kernel, args, keep, items, align(room.size), nbytes, axes)


def divisors_of(extents, types, inner, lanes):
    """The columns' part of divisors as floats, one per element of a row, with a vector of ones behind the last."""
    values = np.ones(len(extents) * (inner if inner < lanes else 1) + lanes, types.end)
    values[: len(values) - lanes] = np.repeat(extents, inner) if inner < lanes else extents
    return values


def set_divisors(fields, w, divisor, types, inner, lanes, capacity):
    """The divisors of a row's windows, or this one. Where all are equal there are as many as a scratch row has elements; else millions of windows inside share as many."""
    if w.even or divisor is not None:
        divisors, step = np.full(capacity + lanes, w.extent if divisor is None else divisor, types.end), 0
    else:
        first, less = w.alike(capacity)
        some = np.concatenate([np.arange(first), np.arange(first + less, w.count)])
        divisors = divisors_of(w.extents(some, types.end), types, inner, lanes)
        step = divisors.itemsize * (inner if inner < lanes else 1)
        fields |= {"ALIKE_FROM": first, "ALIKE_LESS": less}
    fields |= {"W_DIVISORS": address(divisors), "DIVISOR_STEP": step}
    return divisors


def kernel_name(reduction, form, types, *rest):
    """The name of a kernel tells it from all others; equal types are named once."""
    names = (types.x, types.acc, types.y)
    return "_".join(n for n in (reduction, form, *(names[:1] if len(set(names)) == 1 else names), *rest) if n)


def rounded_up(n, step):
    """n, rounded up to a multiple of `step`."""
    return -(-n // step) * step


def size_of(shape):
    n = 1
    for k in shape:
        n *= k
    return n
