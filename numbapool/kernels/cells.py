"""Gradient of max unpooling by rows, where every value went to the cell of its own window.

Windows that lie side by side tile the plane: window o has the *cell* of elements o·stride … (o + 1)·stride − 1. Where all indices of a plane name elements of
their own cells, no two of them are the same, and a row of dx is put together of the rows of its cells, by comparing indices with the places there.
Whether they do is seen on the way: where one strays, the plane is done again by those who look for the last of equal indices.

Along W two elements of a cell are neighbours at most, and are taken apart as vectors.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def got(addr, n) -> "acc":
    """Neighbours, n of them or all lanes; zeros where there are none."""
    return load(addr) if n >= LANES else load_n(addr, max(n, 0))


def take_line(args, dy, keys, dx, place, n) -> "flag":
    """A row of dx, from the cells whose first element is `place`; whether all its indices lie there, or are -1."""
    stride, spots = word(args, STRIDE), load_k(word(args, SPOTS))
    nowhere, settled = sub(splat_k(-1), spots), every()
    for i in range(0, n, LANES):
        left = n - i
        k = sub(load_k(keys + i * K_SIZE) if left >= LANES else load_k_n(keys + i * K_SIZE, left), spots)
        home, v = ties(k, nowhere), zeros()
        for row in range(word(args, LINE_COUNT)):
            source = dy + word(word(args, LINES), 2 * row) + i * stride * Y_SIZE
            first = place + word(word(args, LINES), 2 * row + 1) + i * stride
            here = ties(k, splat_k(first))
            home = either(home, here)
            if stride == 1:
                v = pick(here, got(source, left), v)
            else:
                low, high = got(source, 2 * left), got(source + LANES * Y_SIZE, 2 * left - LANES)
                v = pick(here, evens(low, high), v)
                here = ties(k, splat_k(first + 1))
                home = either(home, here)
                v = pick(here, odds(low, high), v)
        settled = both(settled, home)
        if left >= LANES:
            store(dx + i * Y_SIZE, v)
        else:
            store_n(dx + i * Y_SIZE, v, left)
    return all_lanes(settled)


def take_plane(args, dy, keys, dx) -> "int":
    """All rows of a plane; whether no index strayed."""
    for d in range(word(args, OUT_D)):
        for h in range(word(args, OUT_H)):
            source = dy + d * word(args, CELL_D) + h * word(args, CELL_H)
            line = keys + d * word(args, K_D) + h * word(args, K_H)
            target = dx + d * word(args, Y_D) + h * word(args, Y_H)
            place = d * word(args, KEY_D) + h * word(args, KEY_H)
            if not take_line(args, source, line, target, place, word(args, OUT_W)):
                return 0
    return 1
