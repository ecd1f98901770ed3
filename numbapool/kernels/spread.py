"""Backward of sums and averages: the transposed windows, read from dy, with strides between its elements.

For each row of dx: the rows of dy that cover it are added, laid out on a line with `stride - 1` zeros between neighbours, and summed along the line
by doubling. If windows have different divisors each row of dy is divided before it is added, else dx is divided once at the end.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.large import combine, widen
from numbapool.kernels.rows import *

TEMPLATE = True


def divided_from(o, first) -> "int":
    return first


def scale(out, row, span, n, columns, inner, rows, divisors):
    """out = row / (the rows' part of its windows' divisors times the columns' part)."""
    if inner >= LANES:
        for o in range(columns):
            divisor = divisor_at(rows, divisors + o * D_SIZE)
            for j in range(0, inner, LANES):
                i = o * inner + min(j, inner - LANES)
                push(out, span, i, div(pull(row, span, i, 0), divisor))
    else:
        for i in range(0, n, LANES):
            push(out, span, i, div(pull(row, span, i, 0), divisor_from(rows, divisors + i * D_SIZE)))


def lay_out(out, at, row, span, columns, inner, up):
    """Copy a row to a line from element `at` on, `up` columns from one to the next; between them the line has nothing."""
    n = columns * inner
    if n >= LANES and (up == 1 or (up == 2 and inner == 1)):
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            acc = pull(row, span, i, 0)
            if up == 1:
                push(out, span, at + i, acc)
            else:
                push(out, span, at + 2 * i, spaced_low(acc))
                push(out, span, at + 2 * i + LANES, spaced_high(acc))
    elif inner >= LANES:
        for o in range(columns):
            for j in range(0, inner, LANES):
                i = min(j, inner - LANES)
                push(out, span, at + o * up * inner + i, pull(row, span, o * inner + i, 0))
    else:
        for o in range(columns):
            for c in range(inner):
                push_1(out, span, at + o * up * inner + c, pull_1(row, span, o * inner + c, 0))


def row_divisor(args, od, oh) -> "int":
    return word(word(args, DY_D_TABLE) + od * 32, EXTENT) * word(word(args, DY_H_TABLE) + oh * 32, EXTENT)


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
    columns_table,
):
    """Rows oh … last-1 of dx for one item."""
    line = room + word(args, AT_LINE)
    wide = room + word(args, AT_WIDE)
    packed = room + word(args, AT_QUEUE)
    extra = packed + word(args, ROW_BYTES)
    up = word(args, UP)
    n = columns * inner
    pitch = word(args, PITCH)
    step = word(args, STEP_W) * inner
    total = (groups - 1) * pitch + needed * inner
    d_line = word(args, D_TABLE) + od * 32
    for h in range(oh, last):
        h_line = word(args, H_TABLE) + h * 32
        look_ahead(args, source, y, h - oh)
        count = list_taps(args, taps, od, h)
        for g in range(groups):
            here = source + g * word(args, X_G)
            if word(args, UNEVEN) and count > 0:
                t = 0
                for d in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
                    for r in range(word(h_line, START), word(h_line, STOP), word(args, H_STEP)):
                        fill_row(args, taps + 16 * t, 1, here, line, span, 0, columns, inner, 1)
                        target = packed if t == 0 else extra
                        scale(target, line, span, n, columns, inner, row_divisor(args, d, r), divisors)
                        if t > 0:
                            combine(packed, packed, extra, span, n)
                        t += 1
            else:
                fill_row(args, taps, count, here, packed, span, 0, columns, inner, 1)
            lay_out(row, g * pitch + at, packed, span, columns, inner, up)
        wider = widen(row, wide, span, total, word(args, TAPS_W), step)
        if columns_table:
            by_table(args, columns_table, row, wider, line, span, groups, out_columns, inner)
            wider = line
        finish_row(
            args, wider, span, 1, 0, 0, line, span, y + h * word(args, Y_H), keys, groups, out_columns, inner, 1, word(args, LAST_DIVISORS),
        )  # fmt: skip
