"""Plans of forward calls that need no scratch row: planes with one window, and long rows of windows, are merged in registers."""

from __future__ import annotations

import numpy as np

from numbapool import dtypes
from numbapool.backends import blocks
from numbapool.backends.blocks import (
    CACHE_BYTES,
    ITEM_BYTES,
    Room,
    address,
    align,
    assemble,
    divisors_of,
    key_steps,
    rounded_up,
    set_planes_asked_for,
    set_strides,
    size_of,
    with_column,
)
from numbapool.kernels import block


def whole(kernel, form, lanes, shape, y_item, key_item, saved, divisor):
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


def long(kernel, form, lanes, letters, axes, shape, key_item, saved, divisor):
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
