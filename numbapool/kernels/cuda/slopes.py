"""What a norm passes on to its elements, window by window: dy · sign(x) · (|x|/norm)^(p − 1), or for the largest and smallest magnitudes dy · sign(x) to one.

Magnitudes are divided before they are raised to a power: those of a window are never larger than its norm (p < 0: never smaller), so nothing overflows that
has a finite gradient.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def own_of(at, beside, place):
    """The element of x, 0 for one that is not there: both have no gradient. `beside`: strides of x and of the mask."""
    v = load_e(address(at[3], beside[:7], place))
    if OMITS:
        v = pick(isnan(v), zero_of(v), v)
    return pick(load_there(address(at[4], beside[7:], place)), v, zero_of(v)) if MASKED else v


def signed(size, own):
    return pick(isnan(own), own, with_sign(size, own))


def passed(dy, key, found, rows, own):
    v = load_x(dy)
    if SELECTING:
        nothing = equal(own, zero_of(own))
        here = ties(load_k(key), found[1])
        v = pick(here, mul(v, signed(one_of(own), own)), zero_of(v))
    else:
        norm = load_s(key)
        nothing = either(equal(own, zero_of(own)), equal(norm, zero_of(norm)))
        v = mul(v, signed(power(div(fabs(own), norm)), own))
    v = pick(nothing, zero_of(v), v)
    return accumulator(pick(found[0], v, zero_of(v)) if DILATED else v)
