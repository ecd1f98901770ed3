"""Backward of selecting reductions: every output adds its dy to the element that it chose.

A work item owns a block of dx: whole rows of a plane, or columns of a one-dimensional one. It visits all outputs whose windows touch the
block and adds those that chose an element of it, in row-major order, to a block of accumulators; nobody else writes there.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def add_output(places, source, keys, base, offset, count, sums):
    """An output to the element that it chose, if that is one of the block's."""
    target = place(places, keys, base, offset)
    if 0 <= target and target < count:
        at = sums + target * A_SIZE
        put_a(at, add(get_a(at), get_x(source)))


def add_outputs(args, source, keys, base, first, last, inner, offset, count, sums):
    """The outputs first … last-1 of one row; `offset` and `count` say which elements of the plane the block holds."""
    places = word(args, PLACES_TABLE)
    x_column, k_column, base_column = word(args, X_W), word(args, K_W), word(args, BASE_W)
    x_step, k_step = word(args, X_I), word(args, K_I)
    base += first * base_column - offset
    source += first * x_column
    keys += first * k_column
    if inner == 1:
        for _ in range(first, last):
            add_output(places, source, keys, base, offset, count, sums)
            base += base_column
            source += x_column
            keys += k_column
        return
    for _ in range(first, last):
        for c in range(inner):
            target = place(places, keys + c * k_step, base, offset)
            if 0 <= target and target < count:
                at = sums + (target * inner + c) * A_SIZE
                put_a(at, add(get_a(at), get_x(source + c * x_step)))
        base += base_column
        source += x_column
        keys += k_column


def add_together(args, planes, source, keys, base, first, last, offset, count, sums):
    """The same for two or four planes at once: neighbouring outputs often choose one element, and each would wait for the sum of the one before."""
    places = word(args, PLACES_TABLE)
    x_column, k_column, base_column = word(args, X_W), word(args, K_W), word(args, BASE_W)
    x_plane, k_plane, sums_plane = word(args, X_G), word(args, K_G), word(args, SPAN)
    base += first * base_column - offset
    source += first * x_column
    keys += first * k_column
    second, third, fourth = sums + sums_plane, sums + 2 * sums_plane, sums + 3 * sums_plane
    for _ in range(first, last):
        add_output(places, source, keys, base, offset, count, sums)
        add_output(places, source + x_plane, keys + k_plane, base, offset, count, second)
        if planes > 2:
            add_output(places, source + 2 * x_plane, keys + 2 * k_plane, base, offset, count, third)
            add_output(places, source + 3 * x_plane, keys + 3 * k_plane, base, offset, count, fourth)
        base += base_column
        source += x_column
        keys += k_column


def store_row(args, sums, y, columns, inner):
    """A finished row to dx, whatever its strides."""
    n, runs, step, column = columns * inner, 1, word(args, Y_I), word(args, Y_W)
    if inner == 1:
        step = column
    elif step != Y_SIZE or column != inner * Y_SIZE:
        n, runs = inner, columns
    for o in range(runs):
        here, to = sums + o * n * A_SIZE, y + o * column
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
            here = sums + (unit - begin) * width * inner * A_SIZE
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
        left = min(word(args, GROUP), word(args, OUTER) - g)
        while left > 0:
            planes = 1
            if inner == 1 and left > 1:
                planes = 4 if left > 3 else 2
            for k in range(planes):
                for i in range(0, count * inner, LANES):
                    store_a(sums + k * word(args, SPAN) + i * A_SIZE, identity())
            for od in range(word(line, 2), word(line, 3)):
                for oh in range(word(line, 4), word(line, 5)):
                    base = word(args, BASE) + od * word(args, BASE_D) + oh * word(args, BASE_H)
                    x_row = source + od * word(args, X_D) + oh * word(args, X_H)
                    k_row = keys + od * word(args, K_D) + oh * word(args, K_H)
                    if planes > 1:
                        add_together(
                            args, planes, x_row, k_row, base, word(line, 6), word(line, 7), offset, count, sums
                        )  # fmt: skip
                    else:
                        add_outputs(
                            args, x_row, k_row, base, word(line, 6), word(line, 7), inner, offset, count, sums
                        )
            for k in range(planes):
                store_block(
                    args, sums + k * word(args, SPAN), y + k * word(args, Y_G), begin, end, count, inner
                )
            source += planes * word(args, X_G)
            keys += planes * word(args, K_G)
            y += planes * word(args, Y_G)
            left -= planes


def place(places, key, base, offset) -> "int":
    """Where in the block the element is that an output chose: by the number of its tap if there is a table of `places`, else by its index, of so many bytes."""
    if places > 8:
        return base + word(places, get_tap(key))
    if places == 4:
        return get_index_4(key) - offset
    return get_index(key) - offset
