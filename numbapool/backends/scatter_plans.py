"""Plans of the gradient of selecting reductions by scattering (see `kernels/scatter.py`)."""

from __future__ import annotations

import functools

import numpy as np

from numbapool import dtypes
from numbapool.backends import digits
from numbapool.backends.blocks import (
    ALONG_BYTES,
    ITEM_BYTES,
    NEAR_BYTES,
    Room,
    address,
    assemble,
    is_row,
    kernel_name,
    set_strides,
    size_of,
)
from numbapool.kernels import build, vectors

BLOCK_BYTES = 8 * 1024  # a block of accumulators stays in the first-level cache
MOST_BLOCK_BYTES = 256 * 1024  # or at least in the second-level one
TALL_BLOCK_BYTES = 12 * 1024 * 1024  # or at most so much, where windows are tall and rows long
NOWHERE = -(1 << 30)  # from any window, the place of no tap
LINE_ELEMENTS = 4096  # of dy, which share the first-level cache with them


def selecting(view, of, types, weights, key_item):
    """The plan, or None if taps are too far apart: `view` is of dx, dy and the saved keys, which are taps, or indices of `key_item` bytes if there are no `weights`: what taps along D, H, W add to a number."""
    from numbapool.kernels import bind_gradients, scatter

    d, h, w = of
    kernel = build.kernel(
        scatter, lambda: bind_gradients.selecting(types), kernel_name("any", "scatter", types)
    )
    lanes = vectors.scatter_lanes(types)
    acc, x_item, y_item = (dtypes.itemsize(n) for n in (types.acc, types.x, types.y))

    tile = min(view.inner, max(64, MOST_BLOCK_BYTES // (acc * w.size)))
    tiles = -(-view.inner // tile)
    flat = d.size * h.size == 1
    units, unit = (w.size, 1) if flat else (d.size * h.size, w.size)
    lines = _lines(of, units, acc * unit * tile, flat)
    group = max(1, min(view.outer, ITEM_BYTES // (acc * units * unit * tile)))
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer, "INNER": view.inner, "TILE_I": tile, "TILES_I": tiles,
        "WIDTH": w.size, "SIZE_H": h.size, "BLOCKS": len(lines), "BLOCK_TABLE": address(lines), "UNIT": unit, "FLAT": flat, "KEY_SIZE": key_item, "JOINED": 1 if view.inner > 1 else _longest_run(w),
    }  # fmt: skip
    set_strides(fields, view, "YXK", x_item, {})
    # Rows of dx that lie one behind the other are stored as one.
    fields["WHOLE"] = fields["Y_H"] == w.size * fields["Y_W"] and (
        d.size == 1 or fields["Y_D"] == h.size * fields["Y_H"]
    )

    packed = functools.partial(_are_packed, ((view.steps[1], x_item), (view.steps[2], key_item)), tile)
    counts = _joined(lines, of, packed, tile) if tiles == 1 and not flat else None
    joined = counts is not None
    if counts is None:
        counts = 1, 1, 1 if tiles > 1 else min(max(LINE_ELEMENTS // tile, 1), w.count)
    run, block = size_of(counts), int(np.max(lines[:, 1] - lines[:, 0])) * unit * tile
    fields |= {"RUN": max(run, 1), "PACKED": joined or packed((1, 1, run))}

    spots = np.zeros(run * tile + lanes, np.int32)  # the last vector goes beyond the line
    keep = [lines, spots, view.tables]
    if weights is None:
        fields["PLACES_TABLE"] = key_item  # which no address is
        spots[: run * tile] = np.tile(np.arange(tile), run)
    else:
        # What windows and taps are apart, in sums of a block: of each of its elements one for every inner element.
        steps = np.array([h.size * w.size, w.size, 1]) * tile
        strides, before = (np.array([v.sliding[i] for v in of]) * steps for i in (1, 2))
        taps = np.array([v.step for v in of]) * steps
        # Where windows that touch a block begin, and where their taps are, is no further from it than they reach.
        if 2 * (sum((v.most - 1) * int(t) for v, t in zip(of, taps, strict=True)) + 2 * block) >= -NOWHERE:
            return None
        begins = sum(np.ix_(*(np.arange(n) * s for n, s in zip(counts, strides, strict=True))))
        spots[: run * tile] = np.add.outer(begins.ravel(), np.arange(tile)).ravel()
        places = digits.table(weights, [v.most for v in of], taps, lanes, NOWHERE)
        fields |= {"PLACES_TABLE": address(places), "BASE": -np.sum(before)}
        fields |= {f"BASE_{role}": step for role, step in zip("DHW", strides, strict=True)}
        keep.append(places)
    fields["SPOTS"] = address(spots)

    room, stage = Room(), vectors.stage() + lanes
    fields["AT_ROW"] = room.take((block + tile + 4 * lanes) * acc)
    fields["AT_PLACES"], fields["AT_LINE"] = room.take(stage * scatter.SPOT_SIZE), room.take(stage * acc)
    packs = 0 if fields["PACKED"] else run * tile
    fields["AT_WIDE"], fields["AT_QUEUE"] = room.take(packs * x_item), room.take(packs * key_item)
    planes = len(view.tables[0])
    nbytes = size_of([planes, view.outer, units, unit, view.inner]) * y_item
    # Of planes in one piece the hardware foresees what comes.
    if nbytes > NEAR_BYTES and (view.inner > 1 or len(lines) > 1):
        fields |= {"FAR": ALONG_BYTES, "FAR_K": ALONG_BYTES * key_item // x_item}
    return assemble(kernel, fields, keep, planes * fields["GROUPS"] * tiles * len(lines), room, nbytes)


def _shared(w):
    """How many elements of an axis a window has in common with the next."""
    kernel, stride, _ = w.regular or (2, 1, 0)
    return max((kernel - 1) * w.step + 1 - stride, 0)


def _lines(of, units, unit_bytes, flat):
    """The blocks of dx: of each its first unit and the one behind its last, and the windows that touch it, as (first, behind the last) of D, H and W.

    A block stays in the first-level cache if it is then large against what it shares with the next: those outputs are visited for both.
    """
    d, h, w = of
    shared = _shared(w) if flat else _shared(d) * h.size + _shared(h)
    most = max(BLOCK_BYTES // unit_bytes, min(8 * shared, MOST_BLOCK_BYTES // unit_bytes), 1)
    if not flat:
        most = max(most, min(4 * h.most, TALL_BLOCK_BYTES // unit_bytes))
    # Blocks of equally many whole planes along D, or rows of one.
    plane = 1 if flat or d.size == 1 or most < h.size else h.size
    per = h.size if not flat and d.size > 1 and plane == 1 else units
    many = per // plane
    most = -(-many // max(many // (most // plane), 1)) * plane
    firsts = np.add.outer(np.arange(0, units, per), np.arange(0, per, most)).ravel()
    lines = np.zeros((len(firsts), 8), np.int64)
    lines[:, 0] = firsts
    lines[:, 1] = np.minimum(firsts + most, firsts // per * per + per)
    lines[:, [3, 5, 7]] = d.count, h.count, w.count
    first, last = lines[:, 0], lines[:, 1] - 1
    if flat:
        lines[:, 6], lines[:, 7] = w.covering(first, last)
        return lines
    lines[:, 2], lines[:, 3] = d.covering(first // h.size, last // h.size)
    if d.size == 1 or per == h.size:
        lines[:, 4], lines[:, 5] = h.covering(first % h.size, last % h.size)
    return lines


def _are_packed(arrays, tile, counts):
    """Whether so many outputs along D, H and W lie one behind the other in all arrays, given as (strides, size of an element)."""
    return all(is_row(steps, [*counts, tile], item) for steps, item in arrays)


def _joined(lines, of, packed, tile):
    """Make the outputs of a block one line, or those of each of its planes; their greatest counts along D, H and W, or None if they do not lie one behind the other, or are too many."""
    _, h, w = of
    planes, rows = lines[:, 3] - lines[:, 2], lines[:, 5] - lines[:, 4]
    all_planes, all_rows = (int(np.max(n, initial=0)) for n in (planes, rows))
    for counts in (all_planes, all_rows, w.count), (1, all_rows, w.count):
        whole = counts[0] == 1 or np.all(rows == h.count)
        if whole and size_of(counts) * tile <= LINE_ELEMENTS and packed(counts):
            break
    else:
        return None
    if counts[0] > 1:
        rows = planes * rows
        lines[:, 3] = lines[:, 2] + 1
    lines[:, 7] = rows * w.count
    lines[:, 5] = lines[:, 4] + 1
    return counts


def _longest_run(w):
    """How many outputs one behind the other may choose the same element: those of a row whose windows have it, if the last one of a row and the first one of the next have none in common."""
    kernel, stride, _ = w.regular or (w.size, 0, 0)
    span = (kernel - 1) * w.step
    longest = span // stride + 1 if span < (w.count - 1) * stride else 2 * LINE_ELEMENTS
    return longest if longest > 2 else 1  # to add twice costs no more than to join
