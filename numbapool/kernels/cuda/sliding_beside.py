"""What lies beside rows of x, for `sliding.py`: a mask and weights, an element at a time, repeated where their strides are 0."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *
from numbapool.kernels.cuda.sliding import source, tap_step

TEMPLATE = True


def lying_at(at, beside, place, starts):
    """Where what belongs to the first row begins. `beside`: strides of the mask, then of the weights."""
    return source(at[3], beside[:7], place, starts), source(at[4], beside[7:], place, starts)


def side_of(lying, beside, a, b, d, h):
    """The same of row b of plane a, and how far neighbours lie apart."""
    mask, weights = beside[:7], beside[7:]
    mask_at = lying[0] + wide(tap_step(mask, 3, d)) * a + wide(tap_step(mask, 4, h)) * b
    weights_at = lying[1] + wide(tap_step(weights, 3, d)) * a + wide(tap_step(weights, 4, h)) * b
    return mask_at, weights_at, mask[5], weights[5]


def along(load, at, step, inside):
    return [load(at + step * (e - BEFORE_W), lanes_of([inside[e]]))[0] for e in range(SPAN)]


def there_of(side, inside):
    return lanes_of([flag > 0 for flag in along(load_flag, side[0], side[2], inside)]) if MASKED else inside


def weight_of(v, side, inside):
    return lanes_of(along(load_weight, side[1], side[3], inside)) if WEIGHED else unit(v)
