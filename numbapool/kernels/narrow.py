"""Rows of at most two vectors: a plane's rows are merged in registers, and windows along W are taken out of them by permutations.

No scratch memory. What rows of results take is looked up in a table that all planes share: of runs of rows that are alike, but for where they begin.
A run is done for all planes of a group, so that what is known of it stays in registers. Where the machine can permute vectors of 64 bytes, two planes share one, half of its lanes each.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.each import *

TEMPLATE = True

# Words of a run: how many rows of x a row of results takes, where the first one goes in y and among the keys, the rows' part of the divisor, how far ahead memory is asked for,
# how many rows of results there are, and the steps from one to the next. Then offset and key of each row of x that the first one takes.
COUNT, Y_AT, K_AT, SHARE, AHEAD, LENGTH, X_STEP, Y_STEP, K_STEP, ROWS_AT = range(10)


def read(addr, gap, n, whole, key, divisors) -> "inline_acc":
    """n neighbours of two planes, or as many as there are lanes if `whole`."""
    if whole:
        return accumulated(load_x_planes(addr, gap), key)
    return accumulated_n(load_x_planes_n(addr, gap, n), n, key)


def read_share(addr, gap, n, whole, key, divisors) -> "inline_acc":
    """For gradients of means: a row of dy over its windows' divisors, whose rows' part stands in for a key."""
    return div(read_row(addr, gap, n, whole, 0, divisors), divisor_from(key, divisors))


def down(run, count, source, gap, n, whole, divisors) -> "inline_acc":
    """The `count` rows of x, merged: n neighbours of each."""
    acc, at = nothing(), run + 8 * ROWS_AT
    if count > 0:
        acc = read(source + word(at, 0), gap, n, whole, word(at, 1), divisors)
        if count > 2:
            second = read(source + word(at, 2), gap, n, whole, word(at, 3), divisors)
            third = read(source + word(at, 4), gap, n, whole, word(at, 5), divisors)
            acc = merge_3_later(acc, second, third)
            for t in range(3, count):
                later = read(source + word(at, 2 * t), gap, n, whole, word(at, 2 * t + 1), divisors)
                acc = merge_later(acc, later)
        elif count > 1:
            acc = merge_later(acc, read(source + word(at, 2), gap, n, whole, word(at, 3), divisors))
    if whole:
        acc = choose(first_lanes(n), acc, nothing())
    return acc


def across(low, high, spots, taps, key) -> "inline_acc":
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


def one_run(args, run, count, taps, whole, wide, source, y, keys, pairs) -> "inline_acc":
    """A run of `pairs` pairs of planes, or of one plane in both places if there are none; `wide`: whose rows, or those of their results, may be of two vectors."""
    n, columns, key = word(args, WIDTH), word(args, OUT_W), word(args, KEY_W)
    spots, near, new = word(args, SPOTS), word(args, W_DIVISORS), word(args, NEW_X)
    far = near + LANES * D_SIZE
    divisor, far_divisor = divisor_from(word(run, SHARE), near), divisor_from(word(run, SHARE), far)
    apart = min(pairs, 1)
    x_gap, y_gap, k_gap = apart * word(args, X_G), apart * word(args, Y_G), apart * word(args, K_G)
    least = nothing()
    for _ in range(max(pairs, 1)):
        here, to, to_keys, ahead = source, y, keys, source + word(run, AHEAD)
        for _ in range(word(run, LENGTH)):
            ask(ahead, new)
            if wide:
                low, high = down(run, count, here, x_gap, min(n, COLUMNS), whole, near), nothing()
                if n > COLUMNS:
                    high = down(run, count, here + COLUMNS * X_SIZE, x_gap, n - COLUMNS, whole, far)
                least = noticed(least, noticed(low, high))
                acc = across(low, high, spots, taps, key)
                emit_planes(to, y_gap, to_keys, k_gap, min(columns, COLUMNS), acc, divisor)
                if columns > COLUMNS:
                    acc = across(low, high, spots + taps * SPOT_BYTES, taps, key)
                    behind, behind_keys = to + COLUMNS * Y_SIZE, to_keys + COLUMNS * K_SIZE
                    emit_planes(behind, y_gap, behind_keys, k_gap, columns - COLUMNS, acc, far_divisor)
            else:
                row = down(run, count, here, x_gap, n, whole, near)
                least = noticed(least, row)
                acc = across(row, nothing(), spots, taps, key)
                emit_planes(to, y_gap, to_keys, k_gap, columns, acc, divisor)
            here += word(run, X_STEP)
            to += word(run, Y_STEP)
            to_keys += word(run, K_STEP)
            ahead += new
        source += PLANES * x_gap
        y += PLANES * y_gap
        keys += PLANES * k_gap
    return least


def any_run(args, run, whole, source, y, keys, pairs) -> "acc":
    """The same of any rows; what most windows take is known at compile time."""
    count, taps = word(run, COUNT), word(args, TAPS_W)
    two, three = whole and count == 2 and taps == 2, whole and count == 3 and taps == 3
    if max(word(args, WIDTH), word(args, OUT_W)) > COLUMNS:
        if two:
            return one_run(args, run, 2, 2, 1, 1, source, y, keys, pairs)
        if three:
            return one_run(args, run, 3, 3, 1, 1, source, y, keys, pairs)
        return one_run(args, run, count, taps, 0, 1, source, y, keys, pairs)
    if two:
        return one_run(args, run, 2, 2, 1, 0, source, y, keys, pairs)
    if three:
        return one_run(args, run, 3, 3, 1, 0, source, y, keys, pairs)
    return one_run(args, run, count, taps, 0, 0, source, y, keys, pairs)


def runs(args, whole, source, y, keys, pairs):
    least = nothing()
    run = word(args, LINES)
    for _ in range(word(args, LINE_COUNT)):
        to, to_keys = y + word(run, Y_AT), keys + word(run, K_AT)
        least = noticed(least, any_run(args, run, whole, source, to, to_keys, pairs))
        run += word(args, LINE_STEP)
    tell(args, least)


def group(args, source, y, keys, planes, after):
    """Rows are read by whole vectors, which reach into what lies behind them, but for those of the last planes: behind these there may be nothing."""
    x_step, y_step, k_step = word(args, X_G), word(args, Y_G), word(args, K_G)
    pairs = max(planes - max(word(args, SPARE) - after, 0), 0) // PLANES
    if pairs > 0:
        runs(args, 1, source, y, keys, pairs)
    done = pairs * PLANES
    while done < planes:
        pairs = (planes - done) // PLANES
        runs(args, 0, source + done * x_step, y + done * y_step, keys + done * k_step, pairs)
        done += max(pairs * PLANES, 1)
