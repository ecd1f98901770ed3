"""Plans of the way from the numbers of taps to indices in planes (see `kernels/indices.py`)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from numbapool.backends import digits
from numbapool.backends.blocks import (
    ITEM_BYTES,
    Room,
    address,
    assemble,
    count_items,
    is_row,
    key_steps,
    roles,
    set_strides,
    size_of,
)
from numbapool.kernels import build, vectors
from numbapool.layout import canonical

INDEX = 8  # bytes
LINE = 4096  # windows that share a table of where they begin, which stays in the first-level cache
FAR = 1 << 30  # elements, which sums of three numbers of 32 bits may be


@lru_cache(maxsize=512)
def indexing(shape, strides, axes, windows, y_strides):
    """The plan for the numbers of taps, an array of this shape and these byte strides, of sliding windows along `axes`; `y_strides` are those of the indices."""
    from numbapool.kernels import bind_gradients, indices

    kernel = build.kernel(indices, bind_gradients.indexing, "any_indices")
    lanes = vectors.INDEXED
    view = canonical(shape, axes, [strides, y_strides])
    of = d, h, w = roles(view, axes, windows)
    plane = key_steps(view, axes, [v.size for v in windows])
    counts = [v.count for v in of]
    strides_of, before = ([v.sliding[i] * step for v, step in zip(of, plane, strict=True)] for i in (1, 2))
    taps = [v.step * step for v, step in zip(of, plane, strict=True)]

    tile_i = min(view.inner, LINE)
    tile_w = min(max(LINE // tile_i, 1), w.count) if tile_i == view.inner else 1
    block_h = min(max(LINE // (w.count * tile_i), 1), h.count)

    def neighbours(*n):
        return all(is_row(at[-len(n) :], n, item) for at, item in zip(view.steps, (1, INDEX), strict=True))

    if tile_w < w.count or not neighbours(block_h, w.count, tile_i):
        block_h = 1
    reach = size_of([v.size for v in of]) + sum(before) + sum(map(int, strides_of))
    dense = neighbours(tile_w, tile_i) and reach < FAR
    line = [block_h, tile_w]
    first = sum(np.ix_(*(np.arange(n) * step for n, step in zip(line, strides_of[1:], strict=True))))
    group = max(1, min(view.outer, ITEM_BYTES // (size_of([*line, tile_i]) * INDEX)))
    weights = key_steps(view, axes, [v.most for v in windows])
    numbers, far = digits.table(weights, [v.most for v in of], taps, lanes), np.zeros(256, np.int64)
    for tap in np.ndindex(*(v.most for v in of)):
        far[np.dot(tap, weights)] = np.dot(tap, taps)
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer, "OUT_D": d.count, "OUT_H": h.count, "OUT_W": w.count,
        "INNER": view.inner, "TILE_I": tile_i, "TILES_I": -(-view.inner // tile_i), "TILE_W": tile_w, "TILES_W": -(-w.count // tile_w),
        "BLOCK_H": block_h, "BLOCKS_H": -(-h.count // block_h), "BASE": -sum(before), "LINES": address(far), "PLACES_TABLE": address(numbers),
    }  # fmt: skip
    set_strides(fields, view, "XY", 1, {})
    nbytes = size_of([len(view.tables[0]), view.outer, *counts, view.inner]) * INDEX
    fields["DENSE"] = dense
    fields |= {f"BASE_{role}": step for role, step in zip("DHW", strides_of, strict=True)}
    spots = np.zeros(0, np.int32)
    if dense:
        spots = np.zeros(first.size * tile_i + lanes, np.int32)  # the last vector goes beyond the line
        spots[: first.size * tile_i] = np.repeat(first.ravel(), tile_i)
    fields["SPOTS"] = address(spots)
    return assemble(
        kernel,
        fields,
        [spots, numbers, far, view.tables],
        count_items(fields, view),
        Room(),
        nbytes + nbytes // INDEX,
    )
