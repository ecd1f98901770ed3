"""Backward of selecting reductions where rows are of at most two vectors: every element asks the windows that cover it whether they chose it.

A line of the table has the number of rows of dy for a row of dx, and where that goes; then for each its offset, its offset among the keys, and what
the rows add to the number of a tap.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def share(low, high, low_taps, high_taps, spots, numbers, base) -> "acc":
    """What elements get of a row of dy: each by one of the windows that may cover it."""
    at = load_places(spots)
    number = add(load_places(numbers), splat_place(base))
    chosen = ties(permute_k(low_taps, at, high_taps), number)
    return pick(chosen, permute(low, at, high), identity())


def shares(args, line, dy, keys, n, spots, numbers) -> "acc":
    """A vector of a row of dx: of each window in row-major order."""
    taps = word(args, TAPS_W)
    acc = identity()
    for _ in range(word(line, 0)):
        from_dy, from_keys = dy + word(line, 2), keys + word(line, 3)
        low, low_taps = load_x_n(from_dy, min(n, LANES)), load_k_n(from_keys, min(n, LANES))
        high, high_taps = low, low_taps
        if n > LANES:
            high = load_x_n(from_dy + LANES * X_SIZE, n - LANES)
            high_taps = load_k_n(from_keys + LANES, n - LANES)
        for t in range(taps):
            at = t * SPOT_BYTES
            acc = add(acc, share(low, high, low_taps, high_taps, spots + at, numbers + at, word(line, 4)))
        line += 24
    return acc


def band(args, slot, first_item, last_item):
    """Items are groups of planes."""
    n, columns = word(args, WIDTH), word(args, OUT_W)
    columns_low, columns_high = min(columns, LANES), columns - LANES
    spots, numbers = word(args, SPOTS), word(args, PLACES_TABLE)
    lines, step, count = word(args, LINES), word(args, LINE_STEP), word(args, LINE_COUNT)
    far = word(args, TAPS_W) * SPOT_BYTES
    for item in range(first_item, last_item):
        entry = item // word(args, GROUPS)
        g = (item - entry * word(args, GROUPS)) * word(args, GROUP)
        dy = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G)
        dx = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G)
        for _ in range(min(word(args, GROUP), word(args, OUTER) - g)):
            line = lines
            for _ in range(count):
                to = dx + word(line, 1)
                store_y_n(to, shares(args, line, dy, keys, n, spots, numbers), columns_low)
                if columns_high > 0:
                    acc = shares(args, line, dy, keys, n, spots + far, numbers + far)
                    store_y_n(to + LANES * Y_SIZE, acc, columns_high)
                line += step
            dy += word(args, X_G)
            dx += word(args, Y_G)
            keys += word(args, K_G)
