"""Backward of windows of a few taps that slide along rows of neighbours: a thread owns `MAIN` neighbours of dx, which `LANES` windows and those beside them cover.

Taps, stride and padding along W are constants; which window covers which element is settled when the kernel is compiled. Keys are numbers of taps.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *
from numbapool.kernels.cuda.gather import counted, nearer, one

TEMPLATE = True


def place_of(i, sizes, d, h):
    return split(i, sizes, d[SIZE], h[SIZE], 1)


def rows_over(place, d, h):
    """(how many, the first) of the windows that may cover an element, for D and H."""
    return tuple(covering(i, axis) for i, axis in zip(place[3:5], (d, h)))


def corner_of(base, steps, place, d0, h0):
    return address(base, steps, moved(place, d0, h0, 0 * h0))


def no_tap_yet(place):
    return True, wide(0) * place[3]


def is_whole(place, w):
    """Whether all windows of `LANES` exist."""
    return (place[6] + 1) * LANES <= w[COUNT]


def beside(place, w, first, n):
    """Which of n windows from one on exist."""
    o = place[6] * LANES
    return lanes_of([both(o + (first + e) >= 0, o + (first + e) < w[COUNT]) for e in range(n)])


def read_whole(load, load_some, at, size, place, w):
    left = load_some(at - LEFT * size, beside(place, w, -LEFT, LEFT))
    right = load_some(at + LANES * size, beside(place, w, LANES, RIGHT))
    return joined(left, load(at), right)


def add_row(acc, dys, keys, found, rows, place, w):
    """dx and what a row of windows passes on to it: span `dys`, keys of the same."""
    if UNEVEN:
        o = place[6] * LANES
        columns = [o + (e - LEFT) for e in range(LEFT + LANES + RIGHT)]
        dys = div(
            dys, lanes_of([int_to_end(rows * at_least(extent(c, w, bounds(c, w)[0]), 1)) for c in columns])
        )
    for t in range(TAPS_W - 1, -1, -1):  # the first window has an element as its last tap
        terms = dys
        if SELECTING:
            terms = pick(ties(keys, found[1] + wide(w[KEY]) * t), dys, zero_of(dys))
        if DILATED:
            terms = pick(found[0], terms, zero_of(terms))
        lanes = [
            (j + BEFORE_W - t) // STRIDE_W + LEFT if (j + BEFORE_W - t) % STRIDE_W == 0 else None
            for j in range(MAIN)
        ]
        acc = add_selected(acc, terms, lanes)
    return acc


def take_whole(acc, dy, key, found, rows, place, w):
    keys = read_whole(load_k, load_k_some, key, K_SIZE, place, w) if SELECTING else None
    return add_row(acc, read_whole(load_dy, load_dy_some, dy, X_SIZE, place, w), keys, found, rows, place, w)


def take_part(acc, dy, key, found, rows, place, w):
    inside = beside(place, w, -LEFT, LEFT + LANES + RIGHT)
    keys = load_k_some(key - LEFT * K_SIZE, inside) if SELECTING else None
    return add_row(acc, load_dy_some(dy - LEFT * X_SIZE, inside), keys, found, rows, place, w)


def entry(items, sizes, at, dys, dxs, ks, d, h, w, constant):
    """As in `gather.py`; the last strides are those from one thread of a row to the next."""
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = place_of(i, sizes, d, h)
        (nd, d0), (nh, h0) = rows_over(place, d, h)
        plane, plane_key = corner_of(at[0], dys, place, d0, h0), corner_of(at[2], ks, place, d0, h0)
        whole_row = is_whole(place, w)
        start = no_tap_yet(place)
        acc = nothing()
        for a in range(nd):
            in_plane = nearer(start, place[3], onward(d0, a), d)
            planes = counted(one(), onward(d0, a), d)
            row, key = plane, plane_key
            for b in range(nh):
                found = nearer(in_plane, place[4], onward(h0, b), h)
                rows = counted(planes, onward(h0, b), h)
                if whole_row:
                    acc = take_whole(acc, row, key, found, rows, place, w)
                else:
                    acc = take_part(acc, row, key, found, rows, place, w)
                row = onward(row, dys[4])
                key = onward(key, ks[4])
            plane = onward(plane, dys[3])
            plane_key = onward(plane_key, ks[3])
        if exist(place, w):
            store(at, dxs, place, acc, constant)
        else:
            store_some(at, dxs, place, acc, constant, w)


def exist(place, w):
    """Whether all elements of `MAIN` do."""
    return (place[6] + 1) * MAIN <= w[SIZE]


def store(at, dxs, place, acc, constant):
    emit(address(at[1], dxs, place), wide(0), 0, acc, constant)


def store_some(at, dxs, place, acc, constant, w):
    there = lanes_of([place[6] * MAIN + j < w[SIZE] for j in range(MAIN)])
    emit_n(address(at[1], dxs, place), wide(0), 0, there, acc, constant)
