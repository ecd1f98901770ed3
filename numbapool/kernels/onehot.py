"""Backward of selecting reductions with one window a plane: dy at the element that was chosen, zeros elsewhere, written in the order of memory."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def place_of(key, small) -> "int":
    if small:
        return get_tap(key)
    return get_index(key)


def there(dy, place, first) -> "acc":
    """A vector of dx, from element `first` of the plane on: a sum that begins with 0, as everywhere, so -0.0 becomes 0.0."""
    chosen = ties(lane_keys(splat_k(first)), splat_k(place))
    return pick(chosen, add(identity(), splat_a(get_x(dy))), identity())


def band(args, slot, first_item, last_item):
    """Items are groups of planes."""
    n = word(args, RUN)
    for item in range(first_item, last_item):
        entry = item // word(args, GROUPS)
        g = (item - entry * word(args, GROUPS)) * word(args, GROUP)
        dy = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G)
        dx = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G)
        for _ in range(min(word(args, GROUP), word(args, OUTER) - g)):
            place = place_of(keys, word(args, PLACES_TABLE))
            if n < LANES:
                store_y_n(dx, there(dy, place, 0), n)
            else:
                for j in range(0, n, LANES):
                    i = min(j, n - LANES)
                    store_y(dx + i * Y_SIZE, there(dy, place, i))
            dy += word(args, X_G)
            dx += word(args, Y_G)
            keys += word(args, K_G)
