"""Backward of selecting reductions with small windows: every element of dx asks the windows that cover it.

For each row of dx and each row of outputs that covers it, dy and the saved taps are laid out on a line with the stride between neighbours; then tap
number t of the row's taps receives dy where the saved tap is t. Compare, select, add: no scatter, one store per element.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.rows import band, clear, divided_from, locate_columns
from numbapool.kernels.spread import lay_out

TEMPLATE = True


def keys_at(args, od, o, first) -> "int":
    """The saved taps lie like dy."""
    return first * word(args, K_W)


def read_run(source, keys, x_step, k_step, row, span, at, n):
    """n neighbours of dy and of the saved taps."""
    if x_step != X_SIZE or k_step != K_SIZE:
        for i in range(n):
            push_1(row, span, at + i, (get_x(source + i * x_step), get_k(keys + i * k_step)))
    elif n >= LANES:
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            push(row, span, at + i, (load_x(source + i * X_SIZE), load_k(keys + i * K_SIZE)))
    else:
        push(row, span, at, (load_x_n(source, n), load_k_n(keys, n)))


def read_pairs(args, source, keys, row, span, columns, inner):
    if inner == 1:
        read_run(source, keys, word(args, X_W), word(args, K_W), row, span, 0, columns)
    elif word(args, PACKED) and word(args, K_I) == K_SIZE and word(args, K_W) == inner * K_SIZE:
        read_run(source, keys, X_SIZE, K_SIZE, row, span, 0, columns * inner)
    else:
        for w in range(columns):
            read_run(
                source + w * word(args, X_W), keys + w * word(args, K_W), word(args, X_I), word(args, K_I), row, span, w * inner, inner
            )  # fmt: skip


def route(sums, row, span, n, taps, step, key, key_step):
    """Add dy to those elements of a row of dx that were chosen as tap `key` + 0, 1 … of `taps`."""
    for i in range(0, n, LANES):
        acc = load_a(sums + i * A_SIZE)
        for t in range(taps):
            new = pull(row, span, i + t * step, 0)
            chosen = equal(new[1], splat_k(key + (taps - 1 - t) * key_step))
            acc = add(acc, pick(chosen, new[0], identity()))
        store_a(sums + i * A_SIZE, acc)


def store_row(args, sums, y, columns, inner):
    """A finished row to dx, whatever its strides."""
    n = columns * inner
    y_step, y_column = word(args, Y_I), word(args, Y_W)
    if inner == 1:
        y_step = y_column
    if y_step == Y_SIZE and (inner == 1 or y_column == inner * Y_SIZE):
        if n >= LANES:
            for j in range(0, n, LANES):
                i = min(j, n - LANES)
                store_y(y + i * Y_SIZE, load_a(sums + i * A_SIZE))
        else:
            store_y_n(y, load_a(sums), n)
    else:
        for o in range(columns):
            for c in range(inner):
                put_y(y + o * y_column + c * y_step, get_a(sums + (o * inner + c) * A_SIZE))


def sweep(
    args,
    room,
    taps,
    source,
    row,
    span,
    at,
    columns,
    needed,
    inner,
    groups,
    od,
    oh,
    last,
    y,
    keys,
    out_columns,
    divisors,
):
    """Rows oh … last-1 of dx for one item."""
    sums = room + word(args, AT_WIDE)
    packed = room + word(args, AT_QUEUE)
    up = word(args, UP)
    pitch = word(args, PITCH)
    step = word(args, STEP_W) * inner
    total = (groups - 1) * pitch + out_columns * inner
    d_line = word(args, D_TABLE) + od * 32
    for h in range(oh, last):
        h_line = word(args, H_TABLE) + h * 32
        for i in range(0, total, LANES):
            store_a(sums + i * A_SIZE, identity())
        key_d = word(d_line, FIRST) * word(args, KEY_D)
        for d in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
            key = key_d + word(h_line, FIRST) * word(args, KEY_H)
            for r in range(word(h_line, START), word(h_line, STOP), word(args, H_STEP)):
                for g in range(groups):
                    x_row = source + g * word(args, X_G) + d * word(args, X_D) + r * word(args, X_H)
                    k_row = keys + g * word(args, K_G) + d * word(args, K_D) + r * word(args, K_H)
                    read_pairs(args, x_row, k_row, packed, span, columns, inner)
                    lay_out(row, g * pitch + at, packed, span, columns, inner, up)
                route(sums, row, span, total, word(args, TAPS_W), step, key, word(args, KEY_W))
                key -= word(args, TAP_H) * word(args, KEY_H)
            key_d -= word(args, TAP_D) * word(args, KEY_D)
        for g in range(groups):
            store_row(
                args,
                sums + g * pitch * A_SIZE,
                y + g * word(args, Y_G) + h * word(args, Y_H),
                out_columns,
                inner,
            )
