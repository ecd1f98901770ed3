"""Windows of many columns: every one is read from its first element to its last and merged in registers, without a scratch row.

What windows have in common is read again for each, so this is for windows that overlap little. Runs of neighbours are merged as in `whole.py`.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *
from numbapool.kernels.whole import add_columns, add_stack, fold, last_piece, piece, two

TEMPLATE = True


def piece_beside(source, mask, m_step, weights, v_step, key) -> "acc":
    return tap_if(source, key, allowed(mask, m_step), weighing(weights, v_step))


def last_piece_beside(line, source, mask, m_step, weights, v_step, key, n) -> "acc":
    """Fewer elements than a vector has, one after the other; all have the key of the first lane, as a vector has."""
    span = LANES * A_SIZE
    push(line, span, 0, nothing())
    for i in range(n):
        one = tap_if_1(
            source + i * X_SIZE, key, allowed_1(mask + i * m_step), weighing_1(weights + i * v_step)
        )
        push_1(line, span, i, one)
    return pull(line, span, 0, 0)


def read_window(args, x, mask, weights, d_line, h_line, w_line, stack, line) -> "int":
    """Merge a window into the stack; return how many chains it then holds."""
    begin, n, done = word(w_line, START), word(w_line, STOP) - word(w_line, START), 0
    x += begin * word(args, X_W)
    mask += begin * word(args, M_W)
    weights += begin * word(args, V_W)
    for i in range(word(d_line, START), word(d_line, STOP)):
        for j in range(word(h_line, START), word(h_line, STOP)):
            source = x + i * word(args, X_D) + j * word(args, X_H)
            m = mask + i * word(args, M_D) + j * word(args, M_H)
            v = weights + i * word(args, V_D) + j * word(args, V_H)
            key = i * word(args, KEY_D_STEP) + j * word(args, KEY_H_STEP) + begin
            if n <= word(args, ALONG):
                ask(source + word(args, FAR), n * X_SIZE)
            done = add_columns(args, source, m, v, key, n, stack, done, line)
    return done


def band(args, slot, first_item, last_item):
    """Items are neighbouring windows of a row, at most as many as a vector has lanes."""
    room = word(args, SCRATCH) + slot * word(args, SCRATCH_BYTES)
    row, span, stack = room + word(args, AT_ROW), word(args, SPAN), room + word(args, AT_WIDE)
    line = room + word(args, AT_LINE)
    for item in range(first_item, last_item):
        t = item // word(args, TILES_W)
        w = (item - t * word(args, TILES_W)) * word(args, TILE_W)
        rest = t // word(args, OUT_H)
        h = t - rest * word(args, OUT_H)
        t = rest // word(args, OUT_D)
        d = rest - t * word(args, OUT_D)
        entry = t // word(args, OUTER)
        g = t - entry * word(args, OUTER)
        d_line, h_line = word(args, D_TABLE) + d * 32, word(args, H_TABLE) + h * 32
        x = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G)
        m = word(args, M) + word(word(args, M_TABLE), entry) + g * word(args, M_G)
        v = word(args, V) + word(word(args, V_TABLE), entry) + g * word(args, V_G)
        columns = min(word(args, TILE_W), word(args, OUT_W) - w)
        for k in range(columns):
            done = read_window(args, x, m, v, d_line, h_line, word(args, W_TABLE) + (w + k) * 32, stack, line)
            add_stack(stack, word(args, STACK_SPAN), done, row, span, k * LANES)
        n = columns * LANES
        watch(args, noticed_row(nothing(), row, span, 0, n), row, span, n)
        for k in range(columns, LANES):
            push(row, span, k * LANES, nothing())
        fold(row, span, LANES // 2)
        acc = pull(row, span, 0, 0)
        y = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G)
        y += d * word(args, Y_D) + h * word(args, Y_H) + w * word(args, Y_W)
        keys += d * word(args, K_D) + h * word(args, K_H) + w * word(args, K_W)
        extents = word(d_line, EXTENT) * word(h_line, EXTENT)
        divisor = divisor_from(extents, word(args, W_DIVISORS) + w * D_SIZE)
        if word(args, DENSE):
            emit_n(y, keys, 0, columns, acc, divisor)
        else:
            ready = line + word(args, LINE_BYTES)
            emit(line, ready, 0, acc, divisor)
            for k in range(columns):
                copy_y(y + k * word(args, Y_W), line + k * Y_SIZE)
            copy_keys(keys, ready, columns, word(args, K_W))
