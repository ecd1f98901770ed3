"""Forward, tap by tap: a thread merges the taps of one window, or of several windows whose elements are neighbours along the inner axis.

Serves every layout and every kind of windows. What slides along W with a small constant stride is done by `sliding.py`.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def first_key(starts, firsts, d, h, w):
    """The key of a window's first tap: its number, or the place of its element."""
    d0, h0, w0 = starts if POSITIONS else firsts
    return wide(d0) * d[KEY] + wide(h0) * h[KEY] + wide(w0) * w[KEY]


def key_step(axis):
    return wide(axis[KEY]) * axis[STEP] if POSITIONS else wide(axis[KEY])


def places(place, d, h, w):
    """(taps, starts, first taps) of the window that a thread does, each for D, H, W."""
    of = [bounds(o, axis) for o, axis in zip(place[3:6], (d, h, w))]
    return tuple(b[0] for b in of), tuple(b[1] for b in of), tuple(b[2] for b in of)


def windows_of(at, beside, place, d, h, w):
    """`places` of windows that follow from their axes alone, whatever lies beside x."""
    return places(place, d, h, w)


def source(base, steps, place, starts):
    return address(base, steps, moved(place, *starts))


def tap_step(steps, k, axis):
    return wide(steps[k]) * axis[STEP]


def take(acc, at, key):
    return merge_later(acc, tap(at, key))


def entry(items, sizes, at, xs, ys, ks, beside, d, h, w, constant):
    """`at`: the addresses of x, y and the keys; `beside`: what windows depend on beside their axes; `constant`: what is divided by, 0 where each window has its own divisor."""
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = split(i, sizes, d[0], h[0], w[0])
        taps, starts, firsts = windows_of(at, beside, place, d, h, w)
        plane = source(at[0], xs, place, starts)
        plane_key = first_key(starts, firsts, d, h, w)
        d_step, h_step, w_step = tap_step(xs, 3, d), tap_step(xs, 4, h), tap_step(xs, 5, w)
        d_key, h_key, w_key = key_step(d), key_step(h), key_step(w)
        acc = nothing()
        for _ in range(taps[0]):
            row, row_key = plane, plane_key
            for _ in range(taps[1]):
                line = nothing()  # rows for themselves: fewer roundings in a row
                here, key = row, row_key
                for _ in range(taps[2]):
                    line = take(line, here, key)
                    here = onward(here, w_step)
                    key = onward(key, w_key)
                acc = merge_later(acc, line)
                row = onward(row, h_step)
                row_key = onward(row_key, h_key)
            plane = onward(plane, d_step)
            plane_key = onward(plane_key, d_key)
        divisor = constant
        if constant == 0:
            divisor = window_divisor(place, taps, d, h, w)
        store(at, ys, ks, place, acc, divisor)


def store(at, ys, ks, place, acc, divisor):
    emit(address(at[1], ys, place), address(at[2], ks, place), 0, acc, divisor)
