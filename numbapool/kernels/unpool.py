"""Max unpooling: every value to the element of the result that its index names, and the gradient back.

A work item owns whole planes of the result (of a range of inner elements), so the values that go to one element are written by one thread, in
row-major order, and the last one stays. An index outside of the plane is skipped, and reported if it is not -1.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def place(args, index) -> "int":
    """Where an element lies in its plane of the large array (Y forward, X backward), in bytes."""
    column, row, plane = word(args, BASE_W), word(args, BASE_H), word(args, BASE_D)
    if word(args, FLAT):
        return index * column
    h = index // word(args, WIDTH)
    d = h // word(args, SIZE_H)
    return d * plane + (h - d * word(args, SIZE_H)) * row + (index - h * word(args, WIDTH)) * column


def scatter_line(args, source, keys, y, count, x_step, k_step, y_step) -> "int":
    """Neighbours on one line of x, in order; 1 if an index is out of range."""
    elements, flat, column = word(args, ELEMENTS), word(args, FLAT), word(args, BASE_W)
    fault = 0
    for _ in range(count):
        index = get_k(keys)
        if 0 <= index and index < elements:
            copy_y(y + (index * column if flat else place(args, index)), source)
        elif index != -1:
            fault = 1
        source += x_step
        keys += k_step
        y += y_step
    return fault


def gather_line(args, dy, keys, dx, marks, count, x_step, k_step, y_step, bit_step):
    """The same line backward, from its last element to its first: who finds an element unmarked wrote it last."""
    elements, flat, column = word(args, ELEMENTS), word(args, FLAT), word(args, BASE_W)
    bits = word(args, TILE_I)
    nothing = marks - word(args, AT_ROW)
    for i in range(count - 1, -1, -1):
        index = get_k(keys + i * k_step)
        source = nothing
        if 0 <= index and index < elements:
            n = index * bits + i * bit_step
            at = marks + (n >> 5) * 4
            mask, seen = 1 << (n & 31), get_marks(at)
            put_marks(at, seen | mask)
            if seen & mask == 0:
                source = dy + i * x_step + (index * column if flat else place(args, index))
        copy_y(dx + i * y_step, source)


def scatter_plane(args, x, keys, y, inner) -> "int":
    columns = word(args, OUT_W)
    fault = 0
    for d in range(word(args, OUT_D)):
        for h in range(word(args, OUT_H)):
            source = x + d * word(args, X_D) + h * word(args, X_H)
            index = keys + d * word(args, K_D) + h * word(args, K_H)
            if inner == 1:
                fault |= scatter_line(args, source, index, y, columns, word(args, X_W), word(args, K_W), 0)
                continue
            for w in range(columns):
                fault |= scatter_line(args, source + w * word(args, X_W), index + w * word(args, K_W), y, inner,
                                      word(args, X_I), word(args, K_I), word(args, Y_I))  # fmt: skip
    return fault


def gather_plane(args, dy, keys, dx, marks, inner):
    columns = word(args, OUT_W)
    for at in range(marks, marks + word(args, SPAN), MARKS):
        store_marks(at, no_marks())
    for d in range(word(args, OUT_D) - 1, -1, -1):
        for h in range(word(args, OUT_H) - 1, -1, -1):
            index = keys + d * word(args, K_D) + h * word(args, K_H)
            target = dx + d * word(args, Y_D) + h * word(args, Y_H)
            if inner == 1:
                gather_line(args, dy, index, target, marks, columns, 0, word(args, K_W), word(args, Y_W), 0)
                continue
            for w in range(columns - 1, -1, -1):
                gather_line(args, dy, index + w * word(args, K_W), target + w * word(args, Y_W), marks, inner,
                            word(args, X_I), word(args, K_I), word(args, Y_I), 1)  # fmt: skip


def band(args, slot, first_item, last_item):
    """Items are groups of planes, or of a plane a range of inner elements."""
    marks = word(args, SCRATCH) + slot * word(args, SCRATCH_BYTES) + word(args, AT_ROW)
    if BACKWARD:
        store_marks(marks - word(args, AT_ROW), no_marks())  # the gradient of what was overwritten
    fault = 0
    for item in range(first_item, last_item):
        rest = item // word(args, TILES_I)
        c = (item - rest * word(args, TILES_I)) * word(args, TILE_I)
        entry = rest // word(args, GROUPS)
        g = (rest - entry * word(args, GROUPS)) * word(args, GROUP)
        inner = min(word(args, TILE_I), word(args, INNER) - c)
        x = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G) + c * word(args, X_I)
        y = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G) + c * word(args, Y_I)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G) + c * word(args, K_I)
        for _ in range(g, min(g + word(args, GROUP), word(args, OUTER))):
            if BACKWARD:
                if word(args, LINE_COUNT) == 0 or not take_plane(args, x, keys, y):
                    gather_plane(args, x, keys, y, marks, inner)
            else:
                fault |= scatter_plane(args, x, keys, y, inner)
            x += word(args, X_G)
            y += word(args, Y_G)
            keys += word(args, K_G)
    if fault:
        set_word(word(args, FAULTS), 0, 1)
