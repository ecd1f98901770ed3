"""Backward of selecting reductions with one window a plane: dy at the element that was chosen, zeros elsewhere, written in the order of memory."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.each import *

TEMPLATE = True


def place_of(key, small) -> "int":
    if small:
        return get_tap(key)
    return get_index(key)


def there(dy, place, first) -> "acc":
    """A vector of dx, from element `first` of the plane on: a sum that begins with 0, as everywhere, so -0.0 becomes 0.0."""
    chosen = ties(lane_keys(splat_k(first)), splat_k(place))
    return pick(chosen, add(identity(), splat_a(get_x(dy))), identity())


def plane(args, dy, dx, keys):
    n, place = word(args, RUN), place_of(keys, word(args, PLACES_TABLE))
    if n < LANES:
        store_y_n(dx, there(dy, place, 0), n)
    else:
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            store_y(dx + i * Y_SIZE, there(dy, place, i))
