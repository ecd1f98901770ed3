"""Forward with a mask or weights beside x, tap by tap: as `forward.py`, an element and what belongs to it at a time."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *
from numbapool.kernels.cuda.forward import first_key, key_step, places, source, store, tap_step

TEMPLATE = True


def take(acc, at, key, mask, weight):
    there = splat_mask(mask) if MASKED else every()
    return merge_later(acc, tap_if(at, key, there, splat_w(get_w(weight)) if WEIGHED else ones()))


def carried(at, key, there, held):
    """As `tap_if`, of a value of the pass before that has its place beside it."""
    return load_x(at), key_add(held, key)


def entry(items, sizes, at, xs, ys, ks, ms, vs, d, h, w, constant):
    """`at`: the addresses of x, y, the keys, the mask and the weights."""
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = split(i, sizes, d[0], h[0], w[0])
        taps, starts, firsts = places(place, d, h, w)
        plane, plane_key = source(at[0], xs, place, starts), first_key(starts, firsts, d, h, w)
        plane_mask, plane_weight = source(at[3], ms, place, starts), source(at[4], vs, place, starts)
        acc = nothing()
        for _ in range(taps[0]):
            row, row_key, row_mask, row_weight = plane, plane_key, plane_mask, plane_weight
            for _ in range(taps[1]):
                line = nothing()
                here, key, mask, weight = row, row_key, row_mask, row_weight
                for _ in range(taps[2]):
                    line = take(line, here, key, mask, weight)
                    here = onward(here, tap_step(xs, 5, w))
                    key = onward(key, key_step(w))
                    mask = onward(mask, tap_step(ms, 5, w))
                    weight = onward(weight, tap_step(vs, 5, w))
                acc = merge_later(acc, line)
                row = onward(row, tap_step(xs, 4, h))
                row_key = onward(row_key, key_step(h))
                row_mask = onward(row_mask, tap_step(ms, 4, h))
                row_weight = onward(row_weight, tap_step(vs, 4, h))
            plane = onward(plane, tap_step(xs, 3, d))
            plane_key = onward(plane_key, key_step(d))
            plane_mask = onward(plane_mask, tap_step(ms, 3, d))
            plane_weight = onward(plane_weight, tap_step(vs, 3, d))
        store(at, ys, ks, place, acc, constant)
