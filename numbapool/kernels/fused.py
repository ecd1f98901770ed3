"""Windows of two or three columns side by side, or five or seven one apart: both stages at once, in registers.

A row of windows goes through x from left to right. A vector of columns is merged from the rows of x, and windows along W are taken out of it and its
neighbours, which are still in registers: no scratch row is written only to be read, and memory is never idle while the other stage runs.
A window is seen from its middle column, of two from the first. The last vector is read and written under a mask, which stands for what is not there on the right as well.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.rows import *

TEMPLATE = True


def merged_n(taps, count, source, n) -> "acc":
    """As `merged`, at most n columns, which may be none."""
    acc = nothing()
    if n > 0:
        n = min(n, LANES)
        acc = tap_n(source + word(taps, 0), n, word(taps, 1))
        for t in range(1, count):
            acc = merge_later(acc, tap_n(source + word(taps, 2 * t), n, word(taps, 2 * t + 1)))
    return acc


def put(past, y, keys, i, n, acc, divisor):
    """Results from the i-th of n on."""
    if n - i >= LANES:
        put_vector(past, y, keys, i, acc, divisor)
    else:
        emit_n(y, keys, i, n - i, acc, divisor)


def two_apart(args, taps, count, source, columns, last, y, keys, n, window, key, rows, divisors) -> "acc":
    """A row of n windows of two or three columns, whose middles are every other one of `columns` from `source` on.

    The last lane of `last` is the column before. Returns what was noticed.
    """
    least, past, asks = nothing(), goes_past(args, y), word(args, ALONG)
    a, b, c = source + word(taps, 0), source + word(taps, 2), source + word(taps, 4)
    # Windows of two columns take nothing from the vector before, so the last one may overlap it, without a mask.
    latest = n - LANES if window == 2 and n >= LANES else n
    for j in range(0, n, LANES):
        i = min(j, latest)
        at, left = 2 * i * X_SIZE, columns - 2 * i
        if asks:
            ask_for_new(args, taps, count, source, 2 * i, columns)
            ask_for_new(args, taps, count, source, 2 * i + LANES, columns)
        if left >= LANES:
            low = merged(taps, count, source, a, b, c, at)
        else:
            low = merged_n(taps, count, source + at, left)
        if left >= 2 * LANES:
            high = merged(taps, count, source, a, b, c, at + LANES * X_SIZE)
        else:
            high = merged_n(taps, count, source + at + LANES * X_SIZE, left - LANES)
        least = noticed(least, noticed(low, high))
        near, far = shuffled(low, high, evens), shuffled(low, high, odds)
        if window > 2:
            acc = merge_3(shuffled(last, far, moved_up), in_column(near, key), in_column(far, 2 * key))
        else:
            acc = merge(near, in_column(far, key))
        put(past, y, keys, i, n, acc, divisor_from(rows, divisors + i * D_SIZE))
        last = far
    return least


def one_apart(args, taps, count, source, columns, last, y, keys, n, window, key, rows, divisors) -> "acc":
    """The same for windows of two, three, five or seven columns whose middles are neighbours; as many lanes of `last` as lie left of a middle are columns before."""
    a, b, c = source + word(taps, 0), source + word(taps, 2), source + word(taps, 4)
    if columns >= LANES:
        here = merged(taps, count, source, a, b, c, 0)
    else:
        here = merged_n(taps, count, source, columns)
    least, past, asks = here, goes_past(args, y), word(args, ALONG)
    for i in range(0, n, LANES):
        at, left = (i + LANES) * X_SIZE, columns - i - LANES
        if asks:
            ask_for_new(args, taps, count, source, i, columns)
        if left >= LANES:
            after = merged(taps, count, source, a, b, c, at)
        else:
            after = merged_n(taps, count, source + at, left)
        least = noticed(least, after)
        if window == 3:
            acc = three(last, here, after, key)
        elif window == 5:
            acc = five(last, here, after, key)
        elif window == 7:
            acc = seven(last, here, after, key)
        else:
            acc = merge(here, in_column(shuffled(here, after, moved_down), key))
        put(past, y, keys, i, n, acc, divisor_from(rows, divisors + i * D_SIZE))
        last, here = here, after
    return least


def three(last, here, after, key) -> "acc":
    """Windows of three columns from left to right, which is the order of elements in a row."""
    acc, right = shuffled(last, here, moved_up), shuffled(here, after, moved_down)
    return merge_3(acc, in_column(here, key), in_column(right, 2 * key))


def five(last, here, after, key) -> "acc":
    acc, second = shuffled(last, here, moved_up_2), shuffled(last, here, moved_up)
    acc = merge_3(acc, in_column(second, key), in_column(here, 2 * key))
    fourth, fifth = shuffled(here, after, moved_down), shuffled(here, after, moved_down_2)
    return merge_3(acc, in_column(fourth, 3 * key), in_column(fifth, 4 * key))


def seven(last, here, after, key) -> "acc":
    acc, second = shuffled(last, here, moved_up_3), shuffled(last, here, moved_up_2)
    acc = merge_3(acc, in_column(second, key), in_column(shuffled(last, here, moved_up), 2 * key))
    fifth = shuffled(here, after, moved_down)
    acc = merge_3(acc, in_column(here, 3 * key), in_column(fifth, 4 * key))
    sixth, seventh = shuffled(here, after, moved_down_2), shuffled(here, after, moved_down_3)
    return merge_3(acc, in_column(sixth, 5 * key), in_column(seventh, 6 * key))


def columns_before(taps, count, source, columns, n) -> "acc":
    """The first n of `columns` columns, at most three, in the last n lanes."""
    first = merged_n(taps, count, source, min(n, columns))
    if n == 1:
        first = shuffled(first, first, moved_down)
    elif n == 2:
        first = shuffled(first, first, moved_down_2)
    elif n > 2:
        first = shuffled(first, first, moved_down_3)
    return first


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
    """Output rows oh … last-1 of the planes of one item, those whose windows are alike in one pass."""
    window, stride, key = word(args, TAPS_W), word(args, STRIDE), word(args, KEY_W)
    runs = word(args, RUNS)
    early = (window - 1) // 2 - at  # columns of x before the first window's middle
    h = oh
    while h < last:
        count, h_line = list_taps(args, taps, od, h), word(args, H_TABLE) + h * 32
        rows = word(word(args, D_TABLE) + od * 32, EXTENT) * word(h_line, EXTENT)
        n = min(word(runs, h), last - h)
        for g in range(groups):
            here = source + g * word(args, X_G)
            to = y + h * word(args, Y_H) + g * word(args, Y_G)
            to_keys = keys + h * word(args, K_H) + g * word(args, K_G)
            for _ in range(n):
                ask_for_rows(args, taps, count, h_line, here, 1)
                before = nothing()
                if early > 0:
                    before = columns_before(taps, count, here, columns, early)
                middle, left = here + early * X_SIZE, columns - early
                if stride == 2:
                    least = two_apart(
                        args, taps, count, middle, left, before, to, to_keys, out_columns, window, key, rows, divisors
                    )  # fmt: skip
                else:
                    least = one_apart(
                        args, taps, count, middle, left, before, to, to_keys, out_columns, window, key, rows, divisors
                    )  # fmt: skip
                if count > 1:
                    watch_columns(args, noticed(least, before), taps, count, here, columns)
                here += word(args, X_PASS)
                to += word(args, Y_PASS)
                to_keys += word(args, K_PASS)
        h += n
