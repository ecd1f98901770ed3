"""The signs of zeros put right: every result that is a zero becomes the first zero of its window.

Runs after a maximum or minimum whose kernel was in doubt (`watch.py`), with an argument block as those of `rows.py`. Zeros that are the largest or smallest
element of many windows are many, so that the first is never far.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.rows import *

TEMPLATE = True


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
    """Output rows oh … last-1 of one item."""
    left = at // inner  # columns of the first window that are not in x
    step, n = word(args, STEP_W), word(args, TAPS_W)
    for h in range(oh, last):
        count = list_taps(args, taps, od, h)
        for g in range(groups):
            for o in range(out_columns):
                begin = o * word(args, STRIDE) - left
                if columns_table:
                    begin = word(columns_table + o * 32, START) - word(columns_table, START)
                    n = word(columns_table + o * 32, STOP) - word(columns_table + o * 32, START)
                for c in range(inner):
                    to = (
                        y
                        + g * word(args, Y_G)
                        + h * word(args, Y_H)
                        + o * word(args, Y_W)
                        + c * word(args, Y_I)
                    )
                    if equal(get_y(to), nought()):
                        x = source + g * word(args, X_G) + c * word(args, X_I)
                        mask = word(args, M) + g * word(args, M_G) + c * word(args, M_I)
                        take_first(args, taps, count, x, mask, begin, n, step, columns, to)


def take_first(args, taps, count, x, mask, begin, n, step, columns, to):
    """Put the first zero among the taps into y; their columns are those from `begin` on that x has."""
    ordered = word(args, KEY_W) == 1  # else columns are not what comes last in the order of elements
    least = 0 + NOWHERE
    for t in range(count):
        here, beside = x + word(taps, TAP_WORDS * t), mask + word(taps, TAP_WORDS * t + 2)
        for k in range(n):
            w = begin + k * step
            if 0 <= w and w < columns and allowed_1(beside + w * word(args, M_W)):
                v = get_x(here + w * word(args, X_W))
                key = word(taps, TAP_WORDS * t + 1) + k * word(args, KEY_W)
                if equal(v, nought()) and key < least:
                    put_y(to, v)
                    least = key
                    if ordered:
                        return
