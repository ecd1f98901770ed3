"""Backward of selecting reductions where rows are of at most two vectors: every element asks the windows that cover it whether they chose it.

Where all of dy's plane is of at most two vectors, it is one row, and so is the plane of dx, of however many. Else a line of the table has the number of rows of
dy for a row of dx, and where that goes; then for each its offset, its offset among the keys, and what the rows add to the number of a tap.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.each import *

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


def gathered(low, high, low_taps, high_taps, spots, numbers, taps) -> "acc":
    """A vector of a flat plane: what its elements get from each of `taps` windows."""
    acc = add(identity(), share(low, high, low_taps, high_taps, spots, numbers, 0))
    for t in range(1, taps):
        at = t * SPOT_BYTES
        acc = add(acc, share(low, high, low_taps, high_taps, spots + at, numbers + at, 0))
    return acc


def flat_plane(args, dy, dx, keys):
    """A plane whose dy is of at most two vectors: they are read once."""
    n, columns = word(args, WIDTH), word(args, OUT_W)
    spots, numbers = word(args, SPOTS), word(args, PLACES_TABLE)
    low, low_taps = load_x_n(dy, min(n, LANES)), load_k_n(keys, min(n, LANES))
    high, high_taps = low, low_taps
    if n > LANES:
        high, high_taps = load_x_n(dy + LANES * X_SIZE, n - LANES), load_k_n(keys + LANES, n - LANES)
    taps, step = word(args, TAPS_W), word(args, TAPS_W) * SPOT_BYTES
    for _ in range(columns // LANES):
        store_y(dx, gathered(low, high, low_taps, high_taps, spots, numbers, taps))
        dx += LANES * Y_SIZE
        spots += step
        numbers += step
    if columns % LANES:
        acc = gathered(low, high, low_taps, high_taps, spots, numbers, taps)
        store_y_n(dx, acc, columns % LANES)


def plane_of_rows(args, dy, dx, keys):
    """A plane whose rows, and those of dy, are of at most two vectors."""
    n, columns = word(args, WIDTH), word(args, OUT_W)
    spots, numbers = word(args, SPOTS), word(args, PLACES_TABLE)
    far = word(args, TAPS_W) * SPOT_BYTES
    line, step = word(args, LINES), word(args, LINE_STEP)
    for _ in range(word(args, LINE_COUNT)):
        to = dx + word(line, 1)
        store_y_n(to, shares(args, line, dy, keys, n, spots, numbers), min(columns, LANES))
        if columns > LANES:
            acc = shares(args, line, dy, keys, n, spots + far, numbers + far)
            store_y_n(to + LANES * Y_SIZE, acc, columns - LANES)
        line += step


def plane(args, dy, dx, keys):
    if word(args, FLAT):
        flat_plane(args, dy, dx, keys)
    else:
        plane_of_rows(args, dy, dx, keys)
