"""Rows of at most two vectors: a plane's rows are merged in registers, and windows along W are taken out of them by permutations.

No scratch memory. What belongs to a row of results, and where it lies in a plane, is looked up in a table of lines that all planes share:
how many rows of x it takes, where it goes in y and among the keys, the rows' part of its divisor; then offset and key of each row of x.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.each import *

TEMPLATE = True


def read(addr, n, key, divisors) -> "acc":
    return tap_n(addr, n, key)


def read_share(addr, n, key, divisors) -> "acc":
    """For gradients of means: a row of dy over its windows' divisors, whose rows' part stands in for a key."""
    return div(tap_n(addr, n, key), divisor_from(key, divisors))


def down(line, source, n, divisors) -> "acc":
    """The rows of a line, merged: n neighbours of each."""
    count = word(line, 0)
    acc = nothing()
    if count > 0:
        acc = read(source + word(line, 4), n, word(line, 5), divisors)
        if count > 2:
            second = read(source + word(line, 6), n, word(line, 7), divisors)
            acc = merge_3_later(acc, second, read(source + word(line, 8), n, word(line, 9), divisors))
            for t in range(3, count):
                at = 4 + 2 * t
                acc = merge_later(acc, read(source + word(line, at), n, word(line, at + 1), divisors))
        elif count > 1:
            acc = merge_later(acc, read(source + word(line, 6), n, word(line, 7), divisors))
    return acc


def across(low, high, spots, taps, key) -> "acc":
    """Windows of `taps` columns: `spots` has a vector of lanes per tap."""
    acc = spot(low, high, spots, 0)
    if taps > 2:
        second = spot(low, high, spots + SPOT_BYTES, key)
        acc = merge_3(acc, second, spot(low, high, spots + 2 * SPOT_BYTES, 2 * key))
        for t in range(3, taps):
            acc = merge(acc, spot(low, high, spots + SPOT_BYTES * t, t * key))
    elif taps > 1:
        acc = merge(acc, spot(low, high, spots + SPOT_BYTES, key))
    return acc


def short_plane(args, source, y, keys):
    """A plane whose rows, and those of its results, are of one vector."""
    n, columns, taps, key = word(args, WIDTH), word(args, OUT_W), word(args, TAPS_W), word(args, KEY_W)
    spots, divisors = word(args, SPOTS), word(args, W_DIVISORS)
    line, step = word(args, LINES), word(args, LINE_STEP)
    least = nothing()
    for _ in range(word(args, LINE_COUNT)):
        row = down(line, source, n, divisors)
        least = noticed(least, row)
        acc = across(row, nothing(), spots, taps, key)
        divisor = divisor_from(word(line, 3), divisors)
        emit_n(y + word(line, 1), keys + word(line, 2), 0, columns, acc, divisor)
        line += step
    tell(args, least)


def wide_plane(args, source, y, keys):
    """A plane whose rows, or those of its results, are of two vectors."""
    n, columns, taps, key = word(args, WIDTH), word(args, OUT_W), word(args, TAPS_W), word(args, KEY_W)
    spots, divisors = word(args, SPOTS), word(args, W_DIVISORS)
    far = divisors + LANES * D_SIZE
    line, step = word(args, LINES), word(args, LINE_STEP)
    least = nothing()
    for _ in range(word(args, LINE_COUNT)):
        low, high = down(line, source, min(n, LANES), divisors), nothing()
        if n > LANES:
            high = down(line, source + LANES * X_SIZE, n - LANES, far)
        least = noticed(least, noticed(low, high))
        to, to_keys, rows = y + word(line, 1), keys + word(line, 2), word(line, 3)
        acc = across(low, high, spots, taps, key)
        emit_n(to, to_keys, 0, min(columns, LANES), acc, divisor_from(rows, divisors))
        if columns > LANES:
            acc = across(low, high, spots + taps * SPOT_BYTES, taps, key)
            emit_n(to, to_keys, LANES, columns - LANES, acc, divisor_from(rows, far))
        line += step
    tell(args, least)


def plane(args, source, y, keys):
    if max(word(args, WIDTH), word(args, OUT_W)) <= LANES:
        short_plane(args, source, y, keys)
    else:
        wide_plane(args, source, y, keys)
