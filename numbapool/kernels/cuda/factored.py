"""Element by element: what a gradient is divided by before it is spread, multiplied by behind it, or less there; elements made 0 or weighed before they are added up, and sums divided."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def factored(x, beside, mask, weight):
    v = load_x(x)
    w = splat_w(get_w(weight)) if WEIGHED else None
    s = load_s(beside) if DIVIDES or KEEPS or SUBTRACTS or OMITS else None
    if DIVIDES:
        v = div(v, s)
    if WEIGHED:
        v = mul(v, w)
    if KEEPS:
        v = pick(ties(s, zero(s)), zero(v), v)
    if SUBTRACTS:
        v = sub(v, s)
    if OMITS:
        v = pick(isnan(w if SUBTRACTS else s), zero(v), v)
    return pick(splat_mask(mask), v, zero(v)) if MASKED else v


def entry(items, sizes, at, xs, ys, ks, ms, vs, d, h, w, constant):
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = split(i, sizes, d[0], h[0], w[0])
        v = factored(
            address(at[0], xs, place),
            address(at[2], ks, place),
            address(at[3], ms, place),
            address(at[4], vs, place),
        )
        put(address(at[1], ys, place), v)


def put(at, v):
    store_y(at, v)
