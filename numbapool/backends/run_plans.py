"""Plans of the gradient of selecting reductions along an inner axis (see `kernels/runs.py`)."""

from __future__ import annotations

import numpy as np

from numbapool import dtypes
from numbapool.backends.blocks import (
    ITEM_BYTES,
    LINE,
    NEAR_BYTES,
    Room,
    address,
    assemble,
    count_items,
    kernel_name,
    rounded_up,
    set_strides,
    size_of,
)
from numbapool.kernels import block, build, vectors
from numbapool.windows import MANY

# Bytes of dy and saved taps that are asked again by the next element of a row of dx, and by the next row: they stay in the first- and the second-level cache.
ELEMENT_BYTES = 24 * 1024
ROW_BYTES = 1024 * 1024
MOST_TAPS = 25  # that fall on an element: each costs a comparison
SHORTEST = 16  # neighbours, enough for a vector of any dtype


def fits(view, of, items):
    """Whether a call can be carried out so: `view` is of dy, dx and the saved taps, `items` are the sizes of their elements."""
    neighbours = all(steps[-1] == item for steps, item in zip(view.steps, items, strict=True))
    short = max(v.size for v in of) <= MANY  # elements of an axis have a line each
    taps = size_of([v.transposed.most for v in of])
    return neighbours and short and view.inner >= SHORTEST and taps <= MOST_TAPS


def selecting(view, of, types, weights, nbytes):
    """The plan: `of` are the windows along D, H and W, `weights` what taps along them add to a number, `nbytes` is the size of dx."""
    from numbapool.kernels import bind_gradients, runs

    d, h, w = of
    lanes = vectors.phase_lanes(types)
    while lanes > view.inner:  # no run may be shorter than a vector
        lanes //= 2
    kernel = build.kernel(
        runs, lambda: bind_gradients.phases(types, lanes), kernel_name("any", "runs", types, f"x{lanes}")
    )
    td, th, tw = (v.transposed for v in of)
    tables = [_numbered(v, weight) for v, weight in zip(of, weights, strict=True)]
    rows, item = max(td.most * th.most, 1), dtypes.itemsize(types.x) + 1
    most = min(ROW_BYTES // (rows * w.count * item), ELEMENT_BYTES // (rows * max(tw.most, 1) * item))
    tile_i = min(view.inner, max(most // lanes, 1) * lanes)
    row = w.size * tile_i * dtypes.itemsize(types.y)
    block_h = min(max(ITEM_BYTES // row, 1), h.size)
    group = min(max(ITEM_BYTES // (row * h.size * d.size), 1), view.outer)
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer, "INNER": view.inner, "TILE_I": tile_i, "TILES_I": -(-view.inner // tile_i),
        "OUT_D": d.size, "SIZE_H": h.size, "WIDTH": w.size, "BLOCK_H": block_h, "BLOCKS_H": -(-h.size // block_h), "TILES_W": 1,
        "D_TABLE": address(tables[0]), "H_TABLE": address(tables[1]), "W_TABLE": address(tables[2]), "D_STEP": td.step, "H_STEP": th.step, "STEP_W": tw.step,
    }  # fmt: skip
    for field, v, t, weight in zip(
        ("KEY_D_STEP", "KEY_H_STEP", "KEY_W"), of, (td, th, tw), weights, strict=True
    ):
        fields[field] = weight * t.step * v.sliding[1] // v.step
    set_strides(fields, view, "XYK", dtypes.itemsize(types.x), {})
    row = view.inner * w.count
    dense = (fields["X_H"], fields["K_H"]) == (row * dtypes.itemsize(types.x), row)
    if (
        nbytes > NEAR_BYTES and fields["TILES_I"] == 1 and dense
    ):  # then the next row is asked for, in as many parts as dx has columns
        parts = {f"NEW_{n}": rounded_up(-(-fields[f"{n}_H"] // w.size), LINE) for n in "XK"}
        fields |= parts | {"FAR": fields["X_H"], "FAR_K": row}
    room = Room()
    room.take(24 * rows)  # the list of rows
    return assemble(kernel, fields, [*tables, view.tables], count_items(fields, view), room, nbytes)


def _numbered(windows, weight):
    """The windows that cover each element, what tap of the first of them it is, weighed, and how many they are."""
    turned = windows.transposed
    _, stride, before = windows.sliding
    start, stop = turned.table[:, block.START], turned.table[:, block.STOP]
    taps = (np.arange(windows.size) + before - start * stride) // windows.step
    return np.ascontiguousarray(
        np.stack([start, stop, taps * weight, np.maximum(-((start - stop) // turned.step), 0)], axis=1)
    )
