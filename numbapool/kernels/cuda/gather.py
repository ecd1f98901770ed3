"""Backward, window by window: a thread owns an element of dx, or several neighbours along the inner axis, and adds what every window over it passes on.

A window that selects passes dy to the element that its saved key names; one that sums passes dy, divided by its divisor, to all. No element is written
twice and no thread waits for another, so the bits of the result are the same in every run.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def element(i, sizes, d, h, w):
    return split(i, sizes, d[SIZE], h[SIZE], w[SIZE])


def windows_over(place, d, h, w):
    """(how many, the first) of the windows that may cover an element, for D, H, W."""
    return tuple(covering(i, axis) for i, axis in zip(place[3:6], (d, h, w)))


def key_of(place, d, h, w):
    """The place of an element in its plane."""
    return wide(place[3]) * d[KEY] + wide(place[4]) * h[KEY] + wide(place[5]) * w[KEY]


def nearer(found, i, o, axis):
    """`found`, (whether the windows so far can be, the key that names the element in them), with window o of one more axis."""
    fits, tap = tap_of(i, o, axis)
    return both(found[0], fits), (found[1] if POSITIONS else found[1] + wide(tap) * axis[KEY])


def found_first(place, d, h, w):
    return True, key_of(place, d, h, w) if POSITIONS else wide(0)


def counted(rows, o, axis):
    """The divisor's part of one more axis."""
    return rows * wide(extent(o, axis, bounds(o, axis)[0])) if UNEVEN else rows


def own_of(at, beside, place):
    """What a window passes on may depend on the element: here it does not."""
    return beside


def names_it(key, first, own):
    """Whether a key is that of an element, or of one of those that a pass before has merged to it: `own` positions from the first."""
    return both(less(first - 1, key), less(key, first + own)) if RANGES else ties(key, first)


def passed(dy, key, found, rows, own):
    """What a window passes on to an element."""
    v = load_x(dy)
    if SELECTING:
        here = names_it(load_k(key), found[1], own)
        v = pick(both(found[0], here) if DILATED else here, v, zero_of(v))
    else:
        if UNEVEN:
            v = div(v, int_to_end(rows))
        if DILATED:
            v = pick(found[0], v, zero_of(v))
    return accumulator(v)


def entry(items, sizes, at, dys, dxs, ks, beside, d, h, w, constant):
    """`at`: the addresses of dy, dx, the keys, and of what lies beside dx, with the strides `beside`; `constant`: what dx is divided by."""
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = element(i, sizes, d, h, w)
        (nd, d0), (nh, h0), (nw, w0) = windows_over(place, d, h, w)
        corner = moved(place, d0, h0, w0)
        plane, plane_key = address(at[0], dys, corner), address(at[2], ks, corner)
        start = found_first(place, d, h, w)
        own = own_of(at, beside, place)
        acc = nothing()
        for a in range(nd):
            in_plane = nearer(start, place[3], onward(d0, a), d)
            planes = counted(one(), onward(d0, a), d)
            row, row_key = plane, plane_key
            for b in range(nh):
                in_row = nearer(in_plane, place[4], onward(h0, b), h)
                rows = counted(planes, onward(h0, b), h)
                line = begun(acc)
                here, key = row, row_key
                for c in range(nw):
                    o = onward(w0, c)
                    line = merge(
                        line, passed(here, key, nearer(in_row, place[5], o, w), counted(rows, o, w), own)
                    )
                    here = onward(here, dys[5])
                    key = onward(key, ks[5])
                acc = ended(acc, line)
                row = onward(row, dys[4])
                row_key = onward(row_key, ks[4])
            plane = onward(plane, dys[3])
            plane_key = onward(plane_key, ks[3])
        store(at, dxs, place, acc, constant)


def begun(acc):
    """What a row of windows is added to: dy that is passed on is added in order, as on the CPU; sums of a row for themselves are rounded less."""
    return acc if SELECTING else nothing()


def ended(acc, line):
    return line if SELECTING else merge(acc, line)


def one():
    return wide(1)


def store(at, dxs, place, acc, constant):
    emit(address(at[1], dxs, place), wide(0), 0, acc, constant)
