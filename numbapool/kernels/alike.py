"""Masks and weights that lie in their planes as x does: an element's are found from its address, so nothing has to know of them but what takes an element.

Of every row of a window, its key says where to look up how a plane of x and those beside it lie to each other.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def begin_plane(args, source, g):
    set_word(args, PLANE_X, source)
    set_word(args, PLANE_M, word(args, M) + g * word(args, M_G))
    set_word(args, PLANE_V, word(args, V) + g * word(args, V_G))


def put_tap(args, taps, count, d, h, key):
    set_word(taps, 2 * count, d * word(args, X_D) + h * word(args, X_H))
    set_word(taps, 2 * count + 1, args + 8 * PLANE_X)


def tap(addr, key) -> "acc":
    i = (addr - word(key, 0)) >> X_SHIFT
    return tap_if(addr, 0, allowed(word(key, 1) + i, 1), weighing(word(key, 2) + i * V_SIZE, 1))


def tap_n(addr, n, key) -> "acc":
    i = (addr - word(key, 0)) >> X_SHIFT
    there, weight = allowed_n(word(key, 1) + i, n), weighing_n(word(key, 2) + i * V_SIZE, n)
    return accumulated_if(load_x_n(addr, n), 0, there, weight)
