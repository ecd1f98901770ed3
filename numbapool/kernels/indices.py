"""Indices in planes from the numbers of taps, one byte a window, as which kernels of small windows save what was chosen.

An index is that of the window's first tap, which need not be an element of the plane, and how far from it the chosen one is.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.digits import *

TEMPLATE = True


def index_of(number, taps, first, base) -> "same":
    """Indices of a vector of windows, whose first taps are `base` and what is at `first`; -1 where nothing was chosen."""
    if PERMUTES and word(taps, RADIX):
        far = far_of_few(number, taps + 8 * (RADIX + 1))
    else:
        far = far_of_tap(number, taps)
    index = add(add(far, load_spot(first)), splat_spot(base))
    return pick(ties(number, splat_spot(NO_TAP)), splat_spot(-1), index)


def put_line(places, y, n, taps, first, base):
    """n windows that are neighbours in memory."""
    whole = n // LANES * LANES
    for i in range(0, whole, LANES):
        store_index(y + 8 * i, index_of(load_tap(places + i), taps, first + i * SPOT_SIZE, base))
    if whole < n:
        number = load_tap_n(places + whole, n - whole)
        store_index_n(y + 8 * whole, index_of(number, taps, first + whole * SPOT_SIZE, base), n - whole)


def put_each(args, places, y, columns, inner, base):
    """A row of windows one by one, in any layout; `LINES` has how far every tap is."""
    for w in range(columns):
        for c in range(inner):
            number = get_tap(places + w * word(args, X_W) + c * word(args, X_I))
            index = base + w * word(args, BASE_W) + word(word(args, LINES), number)
            set_word(y + w * word(args, Y_W) + c * word(args, Y_I), 0, -1 if number == NO_TAP else index)


def band(args, slot, first_item, last_item):
    """An item is a group of outer elements, of them a range of inner elements, a range of columns, one plane and a block of rows."""
    for item in range(first_item, last_item):
        t = item
        rest = t // word(args, BLOCKS_H)
        oh = (t - rest * word(args, BLOCKS_H)) * word(args, BLOCK_H)
        t = rest
        rest = t // word(args, OUT_D)
        od = t - rest * word(args, OUT_D)
        t = rest
        rest = t // word(args, TILES_W)
        o = (t - rest * word(args, TILES_W)) * word(args, TILE_W)
        t = rest
        rest = t // word(args, TILES_I)
        c = (t - rest * word(args, TILES_I)) * word(args, TILE_I)
        entry = rest // word(args, GROUPS)
        g = (rest - entry * word(args, GROUPS)) * word(args, GROUP)
        rows = min(word(args, BLOCK_H), word(args, OUT_H) - oh)
        columns = min(word(args, TILE_W), word(args, OUT_W) - o)
        inner = min(word(args, TILE_I), word(args, INNER) - c)
        base = word(args, BASE) + od * word(args, BASE_D) + oh * word(args, BASE_H) + o * word(args, BASE_W)
        places = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G) + od * word(args, X_D)
        places += oh * word(args, X_H) + o * word(args, X_W) + c * word(args, X_I)
        y = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G) + od * word(args, Y_D)
        y += oh * word(args, Y_H) + o * word(args, Y_W) + c * word(args, Y_I)
        for _ in range(min(word(args, GROUP), word(args, OUTER) - g)):
            if word(args, DENSE):
                n = rows * columns * inner
                put_line(places, y, n, word(args, PLACES_TABLE), word(args, SPOTS), base)
            else:
                for h in range(rows):
                    source, to = places + h * word(args, X_H), y + h * word(args, Y_H)
                    put_each(args, source, to, columns, inner, base + h * word(args, BASE_H))
            places += word(args, X_G)
            y += word(args, Y_G)
