"""Windows of two or three columns side by side, or five or seven one apart: both stages at once, in registers.

A row of windows goes through x from left to right. A vector of columns is merged from the rows of x, and windows along W are taken out of it and its
neighbours, which are still in registers: no scratch row is written only to be read, and memory is never idle while the other stage runs.
A window is seen from its middle column, of two from the first. The last vector is read and written under a mask, which stands for what is not there on the right as well.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.rows import *

TEMPLATE = True

LINE = 64  # bytes of a line of memory
STAGE = 2048  # bytes of results that are gathered before they are stored as whole lines
# Words in front of them: where they go, from a line's border on; how many of them are in front of ours; how many there are, these included.
GOAL, HEAD, THERE = range(3)


def merged_n(taps, count, source, n) -> "inline_acc":
    """As `merged`, at most n columns, which may be none."""
    acc = nothing()
    if WIDENS and n > 0:
        acc = tree_rows(taps, count, source, n)
    elif n > 0:
        n = min(n, LANES)
        acc = tap_n(source + word(taps, 0), n, word(taps, 1))
        for t in range(1, count):
            acc = merge_later(acc, tap_n(source + word(taps, 2 * t), n, word(taps, 2 * t + 1)))
    return acc


def merged_most(taps, count, source, a, b, c, at, n) -> "inline_acc":
    """As `merged`, if there are as many columns."""
    if WIDENS:
        return merged_n(taps, count, source + at, n)
    if n >= LANES:
        return merged(taps, count, source, a, b, c, at)
    return merged_n(taps, count, source + at, n)


def merged_both(taps, count, source, a, b, at) -> "inline_accs_2":
    """The rows of two vectors' columns, even ones and odd ones."""
    even, odd = load_both(a + at)
    if count > 1:
        new_even, new_odd = load_both(b + at)
        even, odd = merge(even, new_even), merge(odd, new_odd)
        for t in range(2, count):
            new_even, new_odd = load_both(source + word(taps, 2 * t) + at)
            even, odd = merge(even, new_even), merge(odd, new_odd)
    return even, odd


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
            ask_for_new(args, taps, count, source, 2 * i, 2 * LANES, columns)
        if SPLITS and left >= 2 * LANES:
            near, far = merged_both(taps, count, source, a, b, at)
        else:
            low = merged_most(taps, count, source, a, b, c, at, left)
            high = merged_most(taps, count, source, a, b, c, at + LANES * X_SIZE, left - LANES)
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
    here = merged_most(taps, count, source, a, b, c, 0, columns)
    least, past, asks = here, goes_past(args, y), word(args, ALONG)
    for i in range(0, n, LANES):
        if asks:
            ask_for_new(args, taps, count, source, i, LANES, columns)
        at = i + LANES
        after = merged_most(taps, count, source, a, b, c, at * X_SIZE, columns - at)
        least = noticed(least, after)
        acc = along(window, last, here, after, key)
        put(past, y, keys, i, n, acc, divisor_from(rows, divisors + i * D_SIZE))
        last, here = here, after
    return least


def alone(args, taps, count, source, y, keys, n, rows, divisors) -> "acc":
    """A row of n windows of one column: the elements of an inner axis, whose windows' columns are merged as rows are."""
    a, b, c = source + word(taps, 0), source + word(taps, 2), source + word(taps, 4)
    least, past, asks = nothing(), goes_past(args, y), word(args, ALONG)
    for i in range(0, n, LANES):
        if asks:
            ask_for_new(args, taps, count, source, i, LANES, n)
        if TREES and count > 5:
            acc = tree_rows(taps, count, source + i * X_SIZE, n - i)
        else:
            acc = merged_most(taps, count, source, a, b, c, i * X_SIZE, n - i)
        least = noticed(least, acc)
        put(past, y, keys, i, n, acc, divisor_from(rows, divisors + i * D_SIZE))
    return least


def merged_twice(taps, count, source, a, b, c, below, at, n) -> "inline_accs_2":
    """The rows of a vector of columns, and those from the second on with the one `below`; at most n columns."""
    if not IDEMPOTENT:
        return added_twice(taps, count, source + at, below + at, n)
    shared = merged_most(taps + 16, count - 1, source, a, b, c, at, n)
    first = source + word(taps, 0) + at
    if n >= LANES:
        return merge_later(tap(first, 0), shared), merge_later(shared, tap(below + at, 0))
    n = max(n, 0)
    return merge_later(tap_n(first, n, 0), shared), merge_later(shared, tap_n(below + at, n, 0))


def added_twice(taps, count, source, below, n) -> "inline_accs_2":
    """The same row by row, as elsewhere: the order of additions shows."""
    first, second = source + word(taps, 0), source + word(taps, 2)
    if n >= LANES:
        acc, acc_below = tap(first, 0), tap(second, 0)
        acc = merge_later(acc, acc_below)
        for t in range(2, count):
            new = tap(source + word(taps, 2 * t), 0)
            acc, acc_below = merge_later(acc, new), merge_later(acc_below, new)
        return acc, merge_later(acc_below, tap(below, 0))
    n = max(n, 0)
    acc, acc_below = tap_n(first, n, 0), tap_n(second, n, 0)
    acc = merge_later(acc, acc_below)
    for t in range(2, count):
        new = tap_n(source + word(taps, 2 * t), n, 0)
        acc, acc_below = merge_later(acc, new), merge_later(acc_below, new)
    return acc, merge_later(acc_below, tap_n(below, n, 0))


def two_rows(
    args, taps, count, source, columns, last, last_below, y, keys, n, window, rows, divisors
) -> "acc":
    """As `one_apart` for two rows of windows, which have all rows of x but the first and the last one in common: these are merged once. Nothing is saved beside values."""
    a, b, c = source + word(taps, 2), source + word(taps, 4), source + word(taps, 6)
    below, y_below = source + word(taps, 2 * count - 2) + word(args, X_PASS), y + word(args, Y_H)
    past, past_below, asks = goes_past(args, y), goes_past(args, y_below), word(args, ALONG)
    here, here_below = merged_twice(taps, count, source, a, b, c, below, 0, columns)
    least = noticed(here, here_below)
    for i in range(0, n, LANES):
        if asks:
            ask_for_new(args, taps, count, source, i, LANES, columns)
            ask_for_new(args, taps, count, source + word(args, X_PASS), i, LANES, columns)
        at = i + LANES
        after, after_below = merged_twice(taps, count, source, a, b, c, below, at * X_SIZE, columns - at)
        least = noticed(least, noticed(after, after_below))
        divisor = divisor_from(rows, divisors + i * D_SIZE)
        put(past, y, keys, i, n, along(window, last, here, after, 0), divisor)
        put(past_below, y_below, keys, i, n, along(window, last_below, here_below, after_below, 0), divisor)
        last, last_below, here, here_below = here, here_below, after, after_below
    return least


def along(window, last, here, after, key) -> "second":
    """Windows along W whose middles are the columns `here`."""
    if window == 3:
        return three(last, here, after, key)
    if window == 5:
        return five(last, here, after, key)
    if window == 7:
        return seven(last, here, after, key)
    return merge(here, in_column(shuffled(here, after, moved_down), key))


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
    if n == 0:
        return nothing()
    first = merged_n(taps, count, source, min(n, columns))
    if n == 1:
        first = shuffled(first, first, moved_down)
    elif n == 2:
        first = shuffled(first, first, moved_down_2)
    else:
        first = shuffled(first, first, moved_down_3)
    return first


def drain(stage, everything):
    """Store the whole lines of the stage past the caches, and with `everything` the elements of others one by one; else what is left is moved to the front."""
    lines, goal, head, n = stage + LINE, word(stage, GOAL), word(stage, HEAD), word(stage, THERE)
    whole = n // LINE * LINE
    first = 0 * n
    if head > 0 and whole > 0:
        copy_results(goal, lines, head, LINE)
        head, first = 0 * n, LINE + 0 * n
    for i in range(first, whole, LINE):
        store_line_past(goal + i, load_line(lines + i))
    if everything:
        copy_results(goal + whole, lines + whole, head, n - whole)
        n = whole
    else:
        store_line(lines, load_line(lines + whole))
    set_word(stage, GOAL, goal + whole)
    set_word(stage, HEAD, 0)
    set_word(stage, THERE, n - whole)


def copy_results(to, source, first, last):
    for i in range(first, last, Y_SIZE):
        copy_y(to + i, source + i)


def aim(stage, y) -> "int":
    """Have the next results go to y; where in the stage they are written."""
    if word(stage, GOAL) + word(stage, THERE) != y:
        drain(stage, 1)
        head = y - y // LINE * LINE
        set_word(stage, GOAL, y - head)
        set_word(stage, HEAD, head)
        set_word(stage, THERE, head)
    return stage + LINE + word(stage, THERE)


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
    """Output rows oh … last-1 of the planes of one item, those whose windows are alike in one pass; in the order of memory if results are gathered to whole lines of it."""
    early = (word(args, TAPS_W) - 1) // 2 - at  # columns of x before the first window's middle
    stage, step, g = 0 * groups, groups, 0 * groups
    if word(args, PAST) == 2 and y & (Y_SIZE - 1) == 0:
        stage = room + word(args, AT_STAGE)
        for i in range(3):
            set_word(stage, i, 0)
        # A run of all planes, then another, would not be in the order of memory.
        if word(word(args, RUNS), oh) < last - oh:
            step = min(groups, 1)
    if ALIKE:
        step = min(groups, 1)
    while g < groups:
        begin_plane(args, source + g * word(args, X_G), g)
        rows_of(
            args, taps, source + g * word(args, X_G), early, columns, step, od, oh, last,
            y + g * word(args, Y_G), keys + g * word(args, K_G), out_columns, divisors, stage,
        )  # fmt: skip
        g += step
    if stage:
        drain(stage, 1)


def rows_of(args, taps, source, early, columns, groups, od, oh, last, y, keys, out_columns, divisors, stage):
    """The rows of `groups` planes, run by run of windows that are alike; `stage`: where results are gathered, 0 if they are not."""
    window, stride, key = word(args, TAPS_W), word(args, STRIDE), word(args, KEY_W)
    runs, x_pass, y_pass = word(args, RUNS), word(args, X_PASS), word(args, Y_H)
    left = columns - early
    lines, full = stage + LINE, 1 << 62  # never
    if stage:
        full = lines + STAGE
    h = oh
    while h < last:
        count, h_line = list_taps(args, taps, od, h), word(args, H_TABLE) + h * 32
        rows = word(word(args, D_TABLE) + od * 32, EXTENT) * word(h_line, EXTENT)
        n = min(word(runs, h), last - h)
        together = 0 * n
        if TWO_ROWS and word(args, TOGETHER) and count > 1:  # windows of one row have none in common
            together = n // 2
        for g in range(groups):
            here = source + g * word(args, X_G)
            to_keys = keys + h * word(args, K_H) + g * word(args, K_G)
            to = y + h * word(args, Y_H) + g * word(args, Y_G)
            if stage:
                to = aim(stage, to)
            i = 0 * n
            while i < n:
                ask_for_rows(args, taps, count, h_line, here, 1)
                before = columns_before(taps, count, here, columns, early)
                middle = here + early * X_SIZE
                if TWO_ROWS and i < 2 * together:
                    ask_for_rows(args, taps, count, h_line, here + x_pass, 1)
                    below = columns_before(taps, count, here + x_pass, columns, early)
                    least = two_rows(
                        args, taps, count, middle, left, before, below, to, to_keys, out_columns, window, rows, divisors
                    )  # fmt: skip
                    least = noticed(least, below)
                    done = 2 + 0 * n
                else:
                    if window == 1:
                        least = alone(args, taps, count, middle, to, to_keys, out_columns, rows, divisors)
                    elif stride == 2:
                        least = two_apart(
                            args, taps, count, middle, left, before, to, to_keys, out_columns, window, key, rows, divisors
                        )  # fmt: skip
                    else:
                        least = one_apart(
                            args, taps, count, middle, left, before, to, to_keys, out_columns, window, key, rows, divisors
                        )  # fmt: skip
                    done = 1 + 0 * n
                if count > 1:
                    least = noticed(least, before)
                    for k in range(done):
                        watch_columns(args, least, taps, count, here + k * x_pass, columns)
                here += done * x_pass
                to += done * y_pass
                to_keys += done * word(args, K_PASS)
                i += done
                if to >= full:
                    set_word(stage, THERE, to - lines)
                    drain(stage, 0)
                    to = lines + word(stage, THERE)
            if stage:
                set_word(stage, THERE, to - lines)
        h += n
