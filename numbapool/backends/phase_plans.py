"""Plans of the gradient of selecting reductions by phases (see `kernels/phases.py`)."""

from __future__ import annotations

import numpy as np

from numbapool import dtypes
from numbapool.backends.blocks import (
    FAR_BYTES,
    ITEM_BYTES,
    NEAR_BYTES,
    PAGE,
    Room,
    address,
    align,
    assemble,
    kernel_name,
    set_strides,
    size_of,
)
from numbapool.kernels import block, build, vectors

BUDGET = (
    64 * 1024
)  # bytes of scratch memory: rows of dx are put together of phases that are still in the cache
MOST_COLUMNS = 1 << 15  # a row, with all that it takes, stays in the second-level cache
MOST_ROWS = 64  # of dy before those of a block, which every block reads again; and phases of rows
MOST_TAPS = 9  # that fall on an element: each costs a comparison
LEAST_COLUMNS = 64  # shorter rows cost as much as these


def fits(view, of, items):
    """Whether a call can be carried out so: `view` is of dy, dx and the saved taps, `items` are the sizes of their elements."""
    kernel, stride, _ = of[1].sliding
    return (
        size_of([v.transposed.most for v in of]) <= MOST_TAPS
        and of[2].size >= LEAST_COLUMNS
        and max((kernel - 1) * of[1].step // stride, stride) <= MOST_ROWS
        and view.inner == 1
        and of[2].sliding[1] <= 2
        and max(of[2].size, of[2].count) <= MOST_COLUMNS
        and all(column == item for (*_, column, _), item in zip(view.steps, items, strict=True))
    )


def selecting(view, of, types, weights, nbytes):
    """The plan: `of` are the windows along D, H and W, `weights` what taps along them add to a number, `nbytes` is the size of dx."""
    from numbapool.kernels import bind_gradients, phases

    d, h, w = of
    lanes = vectors.phase_lanes(types)
    acc = dtypes.itemsize(types.acc)
    kernel = build.kernel(phases, lambda: bind_gradients.phases(types), kernel_name("any", "phases", types))
    h_table, lead = _phases(h, weights[1])
    w_table, margin = _phases(w, weights[2])
    td = d.transposed
    d_table = td.table.copy()
    _, stride_d, before_d = d.sliding
    d_table[:, block.FIRST] = (
        (np.arange(d.size) + before_d - td.table[:, block.START] * stride_d) // d.step * weights[0]
    )

    stride_h, before_h, shift_h = _start(h)
    stride_w, before_w, shift_w = _start(w)
    groups_h = (h.size - 1 + before_h) // stride_h + 1  # rows of a phase
    columns = max(w.count + shift_w, (w.size - 1 + before_w) // stride_w + 1) + margin
    slices = max(td.most, 1)
    # What a row of a phase takes: dy and taps of every plane that touches it, and its phases along W.
    cost = columns * (slices * (acc + 1) + stride_w * acc)
    rows = int(np.clip(BUDGET // cost - lead, 1, groups_h))
    rows = -(-groups_h // -(-groups_h // rows))
    elements = slices * (rows + lead) * columns + 2 * margin + 2 * lanes
    plane = size_of([v.size for v in of]) * dtypes.itemsize(types.y)
    group = max(1, min(view.outer, ITEM_BYTES // plane))
    fields = {
        "GROUPS": -(-view.outer // group), "GROUP": group, "OUTER": view.outer,
        "OUT_D": d.size, "OUT_H": h.count, "OUT_W": w.count, "WIDTH": w.size, "SIZE_H": h.size, "LINE_COUNT": groups_h, "BLOCK_H": rows, "BLOCKS_H": -(-groups_h // rows),
        "D_TABLE": address(d_table), "D_STEP": td.step, "KEY_D_STEP": weights[0] * td.step * stride_d // d.step,
        "PHASES_H": address(h_table), "PHASE_H_BYTES": h_table.strides[0], "PHASES_W": address(w_table), "PHASE_W_BYTES": w_table.strides[0],
        "STRIDE_H": stride_h, "BEFORE_H": before_h, "SHIFT_H": shift_h, "SHIFT_W": shift_w, "LEAD": lead, "STRIDE": stride_w, "BEFORE": before_w, "MARGIN": margin, "COLUMNS": columns, "ELEMENTS": elements,
    }  # fmt: skip
    set_strides(fields, view, "XYK", dtypes.itemsize(types.x), {})
    if nbytes > NEAR_BYTES and 0 < fields["X_H"] <= PAGE and 0 < fields["K_H"] <= PAGE:
        fields |= {
            "NEW_X": fields["X_H"],
            "NEW_K": fields["K_H"],
            "FAR": FAR_BYTES,
            "FAR_K": FAR_BYTES // dtypes.itemsize(types.x),
        }
    room = Room()
    room.take(16 * slices * h.most * w.most)  # the list of taps
    fields["AT_PLACES"] = room.take(elements + lanes)
    fields["AT_ROW"] = room.take((elements + lanes) * acc)
    fields["SPAN"] = align((rows * columns + 2 * lanes) * acc)
    fields["AT_WIDE"] = room.take(fields["SPAN"] * stride_w)
    items = len(view.tables[0]) * fields["GROUPS"] * d.size * fields["BLOCKS_H"]
    return assemble(kernel, fields, [d_table, h_table, w_table, view.tables], items, room, nbytes)


def _start(windows):
    """Stride, how far the line of phases starts before the elements, and how many steps that is before the first window, which may start behind the first element."""
    _, stride, before = windows.sliding
    shift = max(-(before // stride), 0)
    return stride, before + shift * stride, shift


def _phases(windows, weight):
    """Per phase of an axis: how many taps it has, then of each how many outputs back, and its number, the farthest first; and how many outputs back any goes."""
    kernel, stride, _ = windows.sliding
    table = np.zeros((stride, 1 + 2 * kernel), np.int64)
    for t in reversed(range(kernel)):
        back, phase = divmod(t * windows.step, stride)
        at = table[phase, 0]
        table[phase, 1 + 2 * at : 3 + 2 * at] = back, t * weight
        table[phase, 0] += 1
    return table, (kernel - 1) * windows.step // stride
