"""The vertical stage of windows: rows of x are merged into a scratch row, as many elements at a time as a vector has."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *
from numbapool.kernels.trees import *

TEMPLATE = True


def vertical(args, taps, count, source, step, row, span, at, n, groups, x_group, pitch) -> "acc":
    """Merge n elements of each row in the list `taps` into the scratch row, from element `at` on, for each of `groups` planes; what was noticed of them."""
    least = nothing()
    if step == 2 * X_SIZE and n >= LANES:
        for _ in range(groups):
            for j in range(0, n, LANES):
                i = min(j, n - LANES)
                here = source + i * step
                acc = tap_2(here + word(taps, 0), word(taps, 1))
                for t in range(1, count):
                    acc = merge_later(acc, tap_2(here + word(taps, 2 * t), word(taps, 2 * t + 1)))
                push(row, span, at + i, acc)
                least = noticed(least, acc)
            source += x_group
            at += pitch
    elif step != X_SIZE:
        for _ in range(groups):
            for i in range(n):
                one = tap_1(source + word(taps, 0) + i * step, word(taps, 1))
                for t in range(1, count):
                    one = merge_later(
                        one, tap_1(source + word(taps, 2 * t) + i * step, word(taps, 2 * t + 1))
                    )
                push_1(row, span, at + i, one)
            least = noticed_row(least, row, span, at, n)
            source += x_group
            at += pitch
    elif n >= LANES:
        whole = n // LANES * LANES
        for _ in range(groups):
            if word(args, STREAMS):
                done = 1
                if WIDENS and count > 3 and word(args, STREAMS) > 1:
                    for done in range(0, count - 3, 4):
                        four_rows(args, taps + 16 * done, source, done == 0, row, span, at, whole)
                    done = count // 4 * 4
                else:
                    first_row(source + word(taps, 0), word(taps, 1), row, span, at, whole)
                for t in range(done, count):
                    here = source + word(taps, 2 * t)
                    least = next_row(here, word(taps, 2 * t + 1), row, span, at, whole, least)
                if whole < n:
                    last = n - LANES
                    least = merge_rows(
                        args, taps, count, source + last * X_SIZE, row, span, at + last, LANES, least
                    )
            else:
                least = merge_rows(args, taps, count, source, row, span, at, n, least)
            source += x_group
            at += pitch
    else:
        for _ in range(groups):
            if WIDENS:
                acc = tree_rows(taps, count, source, n)
            else:
                acc = tap_n(source + word(taps, 0), n, word(taps, 1))
                for t in range(1, count):
                    acc = merge_later(acc, tap_n(source + word(taps, 2 * t), n, word(taps, 2 * t + 1)))
            push(row, span, at, acc)
            least = noticed(least, acc)
            source += x_group
            at += pitch
    return least


def merge_rows(args, taps, count, source, row, span, at, n, least) -> "acc":
    """All taps of a vector at once, in a register.

    The last vector overlaps its neighbour: there is no scalar tail.
    """
    asks = word(args, ALONG)
    if WIDENS:
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            here = source + i * X_SIZE
            if asks:
                ask_for_new(args, taps, count, source, i, LANES, n)
            push(row, span, at + i, tree_rows(taps, count, here, LANES))
        return least
    a, b, c = source + word(taps, 0), source + word(taps, 2), source + word(taps, 4)
    for j in range(0, n, LANES):
        i = min(j, n - LANES)
        if asks:
            ask_for_new(args, taps, count, source, i, LANES, n)
        acc = merged(taps, count, source, a, b, c, i * X_SIZE)
        push(row, span, at + i, acc)
        least = noticed(least, acc)
    return least


def merged(taps, count, source, a, b, c, at) -> "inline_acc":
    """All rows of a vector of columns, `at` bytes behind the first; the first three, nearly always all, without a loop, from a, b and c, which stores to y would make the compiler load again."""
    acc = tap(a + at, word(taps, 1))
    if count > 2:
        acc = merge_3_later(acc, tap(b + at, word(taps, 3)), tap(c + at, word(taps, 5)))
        here = source + at
        for t in range(4, count, 2):
            second = tap(here + word(taps, 2 * t - 2), word(taps, 2 * t - 1))
            acc = merge_3_later(acc, second, tap(here + word(taps, 2 * t), word(taps, 2 * t + 1)))
        if count & 1 == 0:
            acc = merge_later(acc, tap(here + word(taps, 2 * count - 2), word(taps, 2 * count - 1)))
    elif count > 1:
        acc = merge_later(acc, tap(b + at, word(taps, 3)))
    return acc


def first_row(source, key, row, span, at, n):
    """The rows one after the other, as so many side by side would keep the hardware from reading ahead."""
    for i in range(0, n, LANES):
        push(row, span, at + i, tap(source + i * X_SIZE, key))


def next_row(source, key, row, span, at, n, least) -> "acc":
    for i in range(0, n, LANES):
        acc = merge_later(pull(row, span, at + i, 0), tap(source + i * X_SIZE, key))
        push(row, span, at + i, acc)
        least = noticed(least, acc)
    return least


def four_rows(args, taps, source, first, row, span, at, n):
    """As `first_row` and `next_row`, four rows at a time."""
    asks = word(args, ALONG)
    for i in range(0, n, LANES):
        if asks:
            ask_along(args, taps, 0, 4, source, i, LANES, n, 4 * word(args, X_H))
        acc = widened(tree_4(taps, source + i * X_SIZE, LANES, leaf))
        if not first:
            acc = merge(pull(row, span, at + i, 0), acc)
        push(row, span, at + i, acc)


def clear(row, span, first, last):
    for i in range(first, last, LANES):
        push(row, span, i, nothing())


def put_tap(args, taps, count, d, h, key):
    set_word(taps, 2 * count, d * word(args, X_D) + h * word(args, X_H))
    set_word(taps, 2 * count + 1, key)


def list_taps(args, taps, od, oh) -> "int":
    """Write the rows of the window (od, oh) as pairs (offset in x, key); return how many."""
    d_line = word(args, D_TABLE) + od * 32
    h_line = word(args, H_TABLE) + oh * 32
    count = 0
    d_key = word(d_line, FIRST) * word(args, KEY_D)
    for d in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
        key = d_key + word(h_line, FIRST) * word(args, KEY_H)
        for h in range(word(h_line, START), word(h_line, STOP), word(args, H_STEP)):
            put_tap(args, taps, count, d, h, key)
            key += word(args, KEY_H_STEP)
            count += 1
        d_key += word(args, KEY_D_STEP)
    return count


def fill_row(args, taps, count, source, row, span, at, columns, inner, groups) -> "acc":
    """Vertical stage: `columns` × `inner` elements of each plane, as few runs of neighbours as the strides allow; what was noticed of them."""
    least = nothing()
    x_group = word(args, X_PASS)
    pitch = word(args, PITCH)
    if count == 0:
        for g in range(groups):
            clear(row, span, g * pitch + at, g * pitch + at + columns * inner)
    elif inner == 1:
        least = vertical(
            args, taps, count, source, word(args, X_W), row, span, at, columns, groups, x_group, pitch
        )
    elif word(args, PACKED):
        n = columns * inner
        least = vertical(args, taps, count, source, X_SIZE, row, span, at, n, groups, x_group, pitch)
    else:
        for g in range(groups):
            for w in range(columns):
                here = source + g * x_group + w * word(args, X_W)
                to = g * pitch + at + w * inner
                new = vertical(args, taps, count, here, word(args, X_I), row, span, to, inner, 1, 0, 0)
                least = noticed(least, new)
    return least
