"""Backward of sums and means with one window a plane: every element of the plane gets the same, written in the order of memory."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.each import *

TEMPLATE = True


def plane(args, dy, dx, keys):
    n = word(args, RUN)
    share = finish(splat_a(get_x(dy)), divisor_from(1, word(args, W_DIVISORS)))
    if n < LANES:
        store_y_n(dx, share, n)
    else:
        for j in range(0, n, LANES):
            store_y(dx + min(j, n - LANES) * Y_SIZE, share)
