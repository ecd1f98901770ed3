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


def scale(args, out, row, span, groups, columns, inner, d, h, divisors):
    """out = row (d, h) of dy / (the rows' part of its windows' divisors times the columns' part)."""
    rows = word(word(args, DY_D_TABLE) + d * 32, EXTENT) * word(word(args, DY_H_TABLE) + h * 32, EXTENT)
    for g in range(groups):
        base = g * word(args, PITCH)
        if inner >= LANES:
            for o in range(columns):
                divisor = divisor_at(rows, divisors + o * D_SIZE)
                for j in range(0, inner, LANES):
                    i = base + o * inner + min(j, inner - LANES)
                    push(out, span, i, div(pull(row, span, i, 0), divisor))
        else:
            for i in range(0, columns * inner, LANES):
                divisor = divisor_from(rows, divisors + i * D_SIZE)
                push(out, span, base + i, div(pull(row, span, base + i, 0), divisor))


def lay_out(out, at, row, base, span, columns, inner, up):
    """Copy a row from element `base` on to a line from element `at` on, `up` columns from one to the next; between them the line has nothing."""
    n = columns * inner
    if up == 1 or (up == 2 and inner == 1):
        for j in range(0, n, LANES):
            i = min(j, max(n - LANES, 0))
            acc = pull(row, span, base + i, 0) if n >= LANES else load_a_n(row + base * A_SIZE, n)
            if up == 1:
                push(out, span, at + i, acc)
            else:
                push(out, span, at + 2 * i, spaced_low(acc))
                push(out, span, at + 2 * i + LANES, spaced_high(acc))
    elif inner >= LANES:
        for o in range(columns):
            for j in range(0, inner, LANES):
                i = min(j, inner - LANES)
                push(out, span, at + o * up * inner + i, pull(row, span, base + o * inner + i, 0))
    else:
        for o in range(columns):
            for c in range(inner):
                push_1(out, span, at + o * up * inner + c, pull_1(row, span, base + o * inner + c, 0))


def weigh(args, row, out, span, h, x, groups, columns, inner) -> "int":
    """A stage for gradients whose elements have factors; here they have none."""
    return row


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
    pitch = word(args, PITCH)
    step = word(args, STEP_W) * inner
    total = (groups - 1) * pitch + needed * inner
    d_line = word(args, D_TABLE) + od * 32
    summed, before = row, word(args, H_TABLE) + oh * 32
    for h in range(oh, last):
        h_line = word(args, H_TABLE) + h * 32
        look_ahead(args, source, y, h - oh)
        same = word(h_line, START) == word(before, START) and word(h_line, STOP) == word(before, STOP)
        before = h_line
        if h == oh or not same:  # else the sums of the row before are those of this one
            count = list_taps(args, taps, od, h)
            if word(args, UNEVEN) and count > 0:
                t = 0
                for d in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
                    for r in range(word(h_line, START), word(h_line, STOP), word(args, H_STEP)):
                        fill_row(args, taps + 16 * t, 1, source, line, span, 0, columns, inner, groups)
                        target = packed if t == 0 else extra
                        scale(args, target, line, span, groups, columns, inner, d, r, divisors)
                        if t > 0:
                            combine(packed, packed, extra, span, total)
                        t += 1
            else:
                fill_row(args, taps, count, source, packed, span, 0, columns, inner, groups)
            for g in range(groups):
                lay_out(row, g * pitch + at, packed, g * pitch, span, columns, inner, up)
            summed = widen(row, wide, span, total, word(args, TAPS_W), step)
            if columns_table:
                by_table(
                    args, room, columns_table, row, summed, line, span, groups, out_columns, total, inner
                )
                summed = line
        weighed = weigh(args, summed, extra, span, h, keys, groups, out_columns, inner)
        finish_row(
            args, weighed, span, 1, 0, 0, line, span, y + h * word(args, Y_H), keys, groups, out_columns, inner, 1, word(args, LAST_DIVISORS),
        )  # fmt: skip
