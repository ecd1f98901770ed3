"""Backward of selecting reductions: every output adds its dy to the element that it chose.

A work item owns a block of dx: whole rows of a plane, or columns of a one-dimensional one. It visits all outputs whose windows touch the
block and adds those that chose an element of it to a block of accumulators, in an order that does not depend on threads; nobody else writes there.

Neighbouring outputs often choose one element, and each would wait for the sum of the one before. So outputs are staged: vectors find which sum each belongs to, and add up
runs of neighbours that belong to the same one, so that only the last of a run has to be added. What was chosen outside of the block goes to a sum behind it.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.digits import *

TEMPLATE = True


def clipped(spot, table, base, behind) -> "same":
    """The sum of an element that is so far from where a window begins, which is `base` and what the table has."""
    return lesser_unsigned_bits(add(add(spot, load_spot(table)), splat_spot(base)), splat_spot(behind))


def spot_of_few(number, taps, table, base, behind) -> "same":
    """The sum that an output belongs to by the number of its tap, where a table in two vectors has all `taps`."""
    return clipped(far_of_few(number, taps), table, base, behind)


def spot_of_tap(number, radix, table, base, behind) -> "same":
    """The same of many taps."""
    far = far_of_tap(number, radix)
    return pick(ties(number, splat_spot(NO_TAP)), splat_spot(behind), clipped(far, table, base, behind))


def spot_of_index(index, table, offset, count, tile) -> "same":
    """The same by an index in the plane; `table` has what is beside it."""
    spot = lesser_unsigned_bits(sub(index, splat_spot(offset)), splat_spot(count))
    return add(mul(spot, splat_spot(tile)), load_spot(table))


def spots_of(places, keys, n, table, base, count, tile) -> "spots":
    """The sums that n neighbouring outputs belong to, by taps if there is a table of `places`, else by indices of so many bytes; that behind all `count` · `tile` if to none of them."""
    if places > 8:
        number = load_tap(keys) if n == LANES else load_tap_n(keys, n)
        if PERMUTES and word(places, RADIX):
            return spot_of_few(number, places + 8 * (RADIX + 1), table, base, count * tile)
        return spot_of_tap(number, places, table, base, count * tile)
    if places == 4:
        index = load_index(keys) if n == LANES else load_index_n(keys, n)
        return spot_of_index(index, table, base, count, tile)
    wide = load_wide_index(keys) if n == LANES else load_wide_index_n(keys, n)
    spot = to_spot(lesser_unsigned_bits(sub(wide, splat_wide(base)), splat_wide(count)))
    return add(mul(spot, splat_spot(tile)), load_spot(table))


def sums_of(value, spot, longest) -> "acc":
    """Sums since runs began, which are of at most `longest` outputs."""
    if longest <= 4:
        return run_sums_of_4(value, spot)
    return run_sums(value, spot)


def stage(args, source, keys, table, base, n, count, spots, values) -> "int":
    """Of n outputs: which sums they belong to, and their dy. Return how many are to be added.

    If runs of as many may be `joined`, these are the last ones of runs, with the sums of dy of their runs: one behind the other, or if that takes many instructions where they are; then what
    is returned has a bit for each.
    """
    places, key_size, joined, tile = (
        word(args, PLACES_TABLE),
        word(args, KEY_SIZE),
        word(args, JOINED),
        word(args, TILE_I),
    )
    far, far_k = word(args, FAR), word(args, FAR_K)
    found = 0
    for i in range(0, n, LANES):
        left = min(n - i, LANES)
        at, dy = i * SPOT_SIZE, source + i * X_SIZE
        if far:  # ask for what comes soon
            prefetch(dy + far)
            prefetch(keys + i * key_size + far_k)
        spot = spots_of(places, keys + i * key_size, left, table + at, base, count, tile)
        value = load_x(dy) if left == LANES else load_x_n(dy, left)
        if joined == 1:
            store_spot(spots + at, spot)
            store_a(values + i * A_SIZE, value)
            found += left
        elif COMPRESSES:
            ends = run_ends(spot)
            store_some(spots + found * SPOT_SIZE, spot, ends)
            store_some(values + found * A_SIZE, sums_of(value, spot, joined), ends)
            found += bits_in(ends)
        else:
            store_spot(spots + at, spot)
            store_a(values + i * A_SIZE, sums_of(value, spot, joined))
            found |= run_ends(spot) << i
    return found


def add_one(sums, spot, value):
    at = sums + get_spot(spot) * A_SIZE
    put_a(at, add(get_a(at), get_a(value)))


def add_line(args, room, sums, source, keys, base, n, count):
    """A line of n outputs that are neighbours in memory."""
    spots, values, table = room + word(args, AT_PLACES), room + word(args, AT_LINE), word(args, SPOTS)
    for j in range(0, n, STAGE):
        most, key = min(STAGE, n - j), keys + j * word(args, KEY_SIZE)
        found = stage(args, source + j * X_SIZE, key, table + j * SPOT_SIZE, base, most, count, spots, values)
        if COMPRESSES or word(args, JOINED) == 1:
            # Four at a time; the last ones may be nothing, to the sum behind all.
            store_spot(spots + found * SPOT_SIZE, splat_spot(count * word(args, TILE_I)))
            store_a(values + found * A_SIZE, identity())
            spot, value = spots + 0 * n, values + 0 * n
            for _ in range((found + 3) // 4):
                add_one(sums, spot, value)
                add_one(sums, spot + SPOT_SIZE, value + A_SIZE)
                add_one(sums, spot + 2 * SPOT_SIZE, value + 2 * A_SIZE)
                add_one(sums, spot + 3 * SPOT_SIZE, value + 3 * A_SIZE)
                spot += 4 * SPOT_SIZE
                value += 4 * A_SIZE
        else:
            while found != 0:
                i = trailing_zeros(found)
                add_one(sums, spots + i * SPOT_SIZE, values + i * A_SIZE)
                found &= found - 1


def pack(args, room, source, keys, columns, inner):
    """Outputs that are not neighbours in memory, and their keys, one behind the other."""
    to, to_keys, size = room + word(args, AT_WIDE), room + word(args, AT_QUEUE), word(args, KEY_SIZE)
    for w in range(columns):
        for c in range(inner):
            copy_x(to, source + w * word(args, X_W) + c * word(args, X_I))
            key = keys + w * word(args, K_W) + c * word(args, K_I)
            if size == 1:
                copy_1(to_keys, key)
            elif size == 4:
                copy_4(to_keys, key)
            else:
                copy_8(to_keys, key)
            to += X_SIZE
            to_keys += size


def add_outputs(args, room, sums, source, keys, line, offset, count, inner):
    """All outputs of a line of the table of blocks; `offset` and `count` say which elements of the plane the block holds."""
    most = word(args, RUN)
    for od in range(word(line, 2), word(line, 3)):
        for oh in range(word(line, 4), word(line, 5)):
            for first in range(word(line, 6), word(line, 7), most):
                columns = min(most, word(line, 7) - first)
                x = source + od * word(args, X_D) + oh * word(args, X_H) + first * word(args, X_W)
                k = keys + od * word(args, K_D) + oh * word(args, K_H) + first * word(args, K_W)
                base = offset
                if word(args, PLACES_TABLE) > 8:
                    base = word(args, BASE) + od * word(args, BASE_D) + oh * word(args, BASE_H)
                    base += first * word(args, BASE_W) - offset * word(args, TILE_I)
                if word(args, PACKED) == 0:
                    pack(args, room, x, k, columns, inner)
                    x, k = room + word(args, AT_WIDE), room + word(args, AT_QUEUE)
                add_line(args, room, sums, x, k, base, columns * inner, count)


def store_row(args, sums, y, columns, inner):
    """A finished row to dx, whatever its strides."""
    n, runs, step, column = columns * inner, 1, word(args, Y_I), word(args, Y_W)
    if inner == 1:
        step = column
    elif step != Y_SIZE or column != inner * Y_SIZE:
        n, runs = inner, columns
    for o in range(runs):
        here, to = sums + o * word(args, TILE_I) * A_SIZE, y + o * column
        if step != Y_SIZE:
            for c in range(n):
                put_y(to + c * step, get_a(here + c * A_SIZE))
        elif n < LANES:
            store_y_n(to, load_a(here), n)
        else:
            for j in range(0, n, LANES):
                i = min(j, n - LANES)
                store_y(to + i * Y_SIZE, load_a(here + i * A_SIZE))


def store_block(args, sums, y, begin, end, count, inner):
    """A finished block to dx."""
    if word(args, FLAT):
        store_row(args, sums, y + begin * word(args, Y_W), count, inner)
    elif word(args, WHOLE):
        store_row(args, sums, y + begin * word(args, Y_H), count, inner)
    else:
        width = word(args, WIDTH)
        for unit in range(begin, end):
            d = unit // word(args, SIZE_H)
            h = unit - d * word(args, SIZE_H)
            here = sums + (unit - begin) * width * word(args, TILE_I) * A_SIZE
            store_row(args, here, y + d * word(args, Y_D) + h * word(args, Y_H), width, inner)


def band(args, slot, first_item, last_item):
    """Items are blocks of dx, per group of outer elements and range of inner elements."""
    room = word(args, SCRATCH) + slot * word(args, SCRATCH_BYTES)
    sums = room + word(args, AT_ROW)
    for item in range(first_item, last_item):
        rest = item // word(args, BLOCKS)
        line = word(args, BLOCK_TABLE) + (item - rest * word(args, BLOCKS)) * 64
        t = rest
        rest = t // word(args, TILES_I)
        c = (t - rest * word(args, TILES_I)) * word(args, TILE_I)
        entry = rest // word(args, GROUPS)
        g = (rest - entry * word(args, GROUPS)) * word(args, GROUP)
        inner = min(word(args, TILE_I), word(args, INNER) - c)
        begin, end = word(line, 0), word(line, 1)  # units: rows, or columns where there is one row
        offset, count = begin * word(args, UNIT), (end - begin) * word(args, UNIT)
        source = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G) + c * word(args, X_I)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G) + c * word(args, K_I)
        y = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G) + c * word(args, Y_I)
        for _ in range(min(word(args, GROUP), word(args, OUTER) - g)):
            for i in range(0, count * word(args, TILE_I), LANES):
                store_a(sums + i * A_SIZE, identity())
            add_outputs(args, room, sums, source, keys, line, offset, count, inner)
            store_block(args, sums, y, begin, end, count, inner)
            source += word(args, X_G)
            keys += word(args, K_G)
            y += word(args, Y_G)
