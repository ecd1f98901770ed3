"""The table by which kernels find how far a tap is from the first of its window (see `kernels/digits.py`)."""

from __future__ import annotations

import numpy as np

from numbapool.backends import blocks
from numbapool.backends.blocks import size_of


def table(weights, sizes, steps, lanes, none=0):
    """`weights` are what taps along D, H, W, of these `sizes`, add to a number, `steps` what they are apart; `none` is where those that are none are, if there are few enough for two vectors of `lanes`."""
    from numbapool.kernels import digits

    by_weight = sorted((int(k), int(step)) for k, n, step in zip(weights, sizes, steps, strict=True) if n > 1)
    (_, worth), *rest = by_weight or [(1, 0)]
    radix, low, below = [worth], 1, worth
    for weight, worth in rest:
        # number // weight counts this digit and those above: what it adds, less what its carry took.
        radix += [-(-(1 << 16) // weight), worth - weight // low * below]
        low, below = weight, worth
    words = np.zeros(digits.RADIX + 1 + lanes, np.int64)
    words[: len(radix)] = radix
    few = blocks.NATIVE and size_of(sizes) < 2 * lanes
    words[digits.RADIX] = few
    if few:
        taps = words[digits.RADIX + 1 :].view(np.int32)
        taps[:] = none
        for tap in np.ndindex(*sizes):
            taps[np.dot(tap, weights)] = np.dot(tap, steps)
    return words
