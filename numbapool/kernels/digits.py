"""How far a tap is from the first of its window, from its number: digits along W, H and D, each with a worth of its own; or by a look into a table in two registers."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True

SPOT_SIZE = 4
RADIX = 5  # words of digits; behind them the word whether all taps are in the table that follows


def far_of_few(number, taps) -> "same":
    """By a table of at most two vectors; others than its taps are where its last one says."""
    at = lesser_unsigned_bits(number, splat_spot(2 * LANES - 1))
    return permute_spot(load_spot(taps), at, load_spot(taps + LANES * SPOT_SIZE))


def far_of_tap(number, radix) -> "same":
    """By digits; `radix` has what each is worth, and what to multiply by for a quotient times 2^16."""
    far = mul(number, splat_spot(word(radix, 0)))
    far = add(far, mul(without_16_bits(mul(number, splat_spot(word(radix, 1)))), splat_spot(word(radix, 2))))
    return add(far, mul(without_16_bits(mul(number, splat_spot(word(radix, 3)))), splat_spot(word(radix, 4))))
