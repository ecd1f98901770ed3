"""Indices of elements in their plane from the numbers of taps that a forward call has saved."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def coordinate(o, tap, axis):
    """Which element of an axis is the tap of a window that a number names."""
    along = tap // at_least(axis[KEY], 1) % axis[TAPS]
    return wide(o * axis[STRIDE] - axis[BEFORE] + along * axis[STEP])


def entry(items, sizes, at, taps, indices, plane, d, h, w):
    """`at`: the addresses of both arrays, whose strides follow; `plane`: what a step along D, H, W adds to an index."""
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = split(i, sizes, d[0], h[0], w[0])
        convert(address(at[0], taps, place), address(at[1], indices, place), place, plane, d, h, w)


def convert(source, target, place, plane, d, h, w):
    tap = get_tap(source)
    none = tap >= NO_TAP
    tap, index = narrow(pick(none, 0, tap)), wide(0)
    for k, axis in enumerate((d, h, w)):
        index = index + coordinate(place[3 + k], tap, axis) * plane[k]
    put_index(target, pick(none, -1, index))
