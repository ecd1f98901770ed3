"""Max unpooling of NumPy memory: plans, and the calls that carry them out."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np

from numbapool import dtypes, settings
from numbapool.backends import blocks
from numbapool.backends.cpu import empty, result_layout
from numbapool.kernels import block, build, vectors
from numbapool.layout import canonical

TILE_BYTES = 128  # of neighbouring inner elements that an item moves side by side
MOST_PLACES = 16  # of a cell, each of which costs every index a comparison
FEWEST = 6  # windows in a row: its loads and stores cost as much as those of a vector's


def run(request):
    """The result of a request.

    Indices are checked as they are used: those out of range are skipped, and what was written by then is dropped with the error.
    """
    x, shape, indices = request.x, request.shape, _int64(request.indices)
    order = result_layout(x.shape, x.strides)
    # New memory comes zeroed from the system, which costs less than zeroing it.
    y = np.zeros([shape[a] for a in order], x.dtype.newbyteorder("=")).transpose(np.argsort(order))
    if y.size == 0:
        return y
    last = elements(request)
    plan = _plan(
        False, x.shape, x.strides, shape, y.strides, request.axes, None, y.itemsize, "int64", indices.strides
    )  # fmt: skip
    faults = np.zeros(1, np.int64)
    args = plan.args.copy()
    args[block.INDEX["FAULTS"]] = blocks.address(faults)
    replace(plan, args=args).run(x, y, K=indices)
    if faults[0] and settings.get("check_values"):
        refuse(request.indices, last)
    return y if x.dtype.isnative else y.byteswap(inplace=True)


def vjp(request):
    """The result of a request, twice, and the function that takes dy to dx."""
    y = run(request)
    x, axes, indices = request.x, request.axes, _int64(request.indices)
    # A copy, because the caller may write to his own; checked indices are as good in four bytes.
    small = settings.get("check_values") and elements(request) < 2**31
    keys = indices.astype(np.int32 if small else np.int64)
    shape, dtype, order = x.shape, x.dtype.newbyteorder("="), result_layout(x.shape, x.strides)

    def pullback(dy):
        dx = empty(shape, order, dtype)
        if dx.size:
            plan = _plan(
                True,
                shape,
                dx.strides,
                dy.shape,
                dy.strides,
                axes,
                request.cells,
                dx.itemsize,
                keys.dtype.name,
                keys.strides,
            )
            plan.run(dy, dx, K=keys)
        return dx

    return y, y, pullback


def elements(request):
    """Of a plane of the result."""
    return prod(request.shape[a] for a in request.axes)


def _int64(indices):
    """Indices as the kernels read them; what int64 does not hold becomes its largest, which no plane has."""
    if dtypes.name_of(indices.dtype) == "uint64":
        indices = np.minimum(indices, np.uint64(2**63 - 1))
    return indices if indices.dtype == np.int64 and indices.dtype.isnative else indices.astype(np.int64)


def refuse(indices, elements):
    """Raise for the first index that is out of range."""
    wrong = (indices < -1) | (indices >= elements)
    at = tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
    raise ValueError(
        f"indices must lie between -1 (nothing is written) and {elements - 1}, the last element of a plane of the result, not {indices[at]} at {at}"
    )


@lru_cache(maxsize=512)
def _plan(backward, shape, strides, large, large_strides, axes, cells, item, key, key_strides):
    """The plan of a call, forward or backward.

    Parameters
    ----------
    backward : bool
    shape, strides
        Of x or dx; strides in bytes.
    large, large_strides
        Shape and strides of the result or of dy.
    axes : tuple of int
        Pooled axes, ascending.
    cells : tuple of int or None
        Backward, how far apart windows are that do not overlap, along each of them.
    item : int
        Bytes of an element: what it means does not matter here.
    key : {"int64", "int32"}
    key_strides : tuple of int
        The indices: their dtype and strides.
    """
    from numbapool.kernels import bind_gradients, unpool

    # Indices count in the array's own order of axes, and so must we, or the last one would not win.
    view = canonical(shape, axes, [strides, large_strides, key_strides], ordered=True)
    kernel = build.kernel(
        unpool,
        lambda: bind_gradients.unpool(item, key, backward),
        f"unpool_{'gather' if backward else 'scatter'}_{8 * item}_{key}",
    )
    counts, sizes = ([1 if a < 0 else s[a] for a in view.axes] for s in (shape, large))
    tile_i = min(view.inner, TILE_BYTES // item)
    elements = prod(sizes)
    group = max(1, min(view.outer, blocks.ITEM_BYTES // (elements * tile_i * item)))
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer, "INNER": view.inner,
        "TILE_I": tile_i, "TILES_I": -(-view.inner // tile_i), "OUT_D": counts[0], "OUT_H": counts[1], "OUT_W": counts[2],
        "SIZE_H": sizes[1], "WIDTH": sizes[2], "ELEMENTS": elements,
    }  # fmt: skip
    for letter, steps, table in zip("YXK" if backward else "XYK", view.steps, view.tables, strict=True):
        fields[f"{letter}_TABLE"] = blocks.address(table)
        for role, step in zip("GDHWI", steps, strict=True):
            fields[f"{letter}_{role}"] = step
    plane, row, column = view.steps[1][1:4]
    fields |= {"BASE_D": plane, "BASE_H": row, "BASE_W": column}
    fields["FLAT"] = (sizes[1] == 1 or row == sizes[2] * column) and (
        sizes[0] == 1 or plane == sizes[1] * sizes[2] * column
    )
    room = blocks.Room()
    if backward:
        room.take(blocks.LINE)  # zeros
        fields["SPAN"] = blocks.align(-(-elements * tile_i // 8))
        fields["AT_ROW"] = room.take(fields["SPAN"])
    tables = []
    if cells is not None:
        by_rows, tables = _by_rows(view, dict(zip(axes, cells, strict=True)), counts, sizes, item, key)
        fields |= by_rows
    items = len(view.tables[0]) * fields["GROUPS"] * fields["TILES_I"]
    return blocks.assemble(kernel, fields, [view.tables, *tables], items, room, prod(shape) * (item + 8))


def _by_rows(view, cells, counts, sizes, item, key):
    """The fields and tables that the gradient needs where values went to the cells of their own windows; nothing where it cannot be done by rows."""

    steps = [cells.get(a, 1) for a in view.axes]
    neighbours = all(s[3] == n for s, n in zip(view.steps, (item, item, dtypes.itemsize(key)), strict=True))
    inside = all(n * s <= size for n, s, size in zip(counts, steps, sizes, strict=True))
    small = steps[2] <= 2 and prod(steps) <= MOST_PLACES and counts[2] >= FEWEST
    if view.inner > 1 or not (neighbours and inside and small):
        return {}, []
    places, far = (sizes[1] * sizes[2], sizes[2]), view.steps[1][1:3]
    rows = np.array([[np.dot(at, far), np.dot(at, places)] for at in np.ndindex(*steps[:2])])
    spots = np.arange(vectors.unpool_lanes(f"uint{8 * item}"), dtype=key) * steps[2]
    fields = {
        "LINES": blocks.address(rows),
        "LINE_COUNT": len(rows),
        "SPOTS": blocks.address(spots),
        "STRIDE": steps[2],
    }
    for role, step, place, large in zip("DH", steps, places, far, strict=False):
        fields[f"KEY_{role}"], fields[f"CELL_{role}"] = step * place, step * large
    return fields, [rows, spots]
