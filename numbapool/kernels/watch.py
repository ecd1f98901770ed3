"""Whether the sign of a zero is in doubt: a zero is the maximum, or the minimum, and elements were not merged in the order in which they lie in a plane.

Zeros of both signs are equal, and the first of them is the result. A scratch row holds the first of every column, so the sign that comes out of several columns
can only be wrong where the row holds zeros of both; as integers, -0.0 is then the least with a sign, 0.0 the least without. What is found here is told to the
caller, who does the call again with keys: looking for the sign while merging would cost every call what hardly any needs.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def noticed(least, acc) -> "same":
    """What was noticed so far, and a vector more."""
    return lesser_bits(least, acc)


def noticed_row(least, row, span, at, n) -> "acc":
    for i in range(0, n, LANES):
        least = lesser_bits(least, pull(row, span, at + i, 0))
    return least


def watch(args, least, row, span, n):
    """Say so if n elements of a scratch row, whose order is lost when they are merged, hold zeros of both signs; `least` is what was noticed of them."""
    if any_negative_zero(least):
        least = nothing()
        for i in range(0, n, LANES):
            there = pick(first_lanes(n - i), pull(row, span, i, 0), nothing())
            least = lesser_unsigned_bits(least, there)
        if any_positive_zero(least):
            doubt(args)


def in_doubt(least) -> "int":
    """Whether the zeros among what was noticed are to be looked for."""
    return 1 if any_negative_zero(least) else 0


def tell(args, least):
    """The same for elements that are merged with others, among which zeros of the other sign may be."""
    if any_negative_zero(least):
        doubt(args)


def doubt(args):
    if word(args, DOUBTS):
        set_word(word(args, DOUBTS), 0, 1)


def watch_columns(args, least, taps, count, source, columns):
    """The same for a row whose columns were merged in registers: they are merged again."""
    if any_negative_zero(least):
        least = nothing()
        for i in range(0, columns, LANES):
            least = lesser_unsigned_bits(least, merged_n(taps, count, source + i * X_SIZE, columns - i))
        if any_positive_zero(least):
            doubt(args)
