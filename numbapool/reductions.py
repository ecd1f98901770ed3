"""What: how the elements of a window become one number, and how its gradient flows back.

A reduction is a row of a table. Its functions are written over primitives (`kernels/simd.py`) that take scalars and vectors alike; the builder binds the
free names, so the same line serves a scalar, a SIMD vector and plain Python.
"""

# ruff: noqa: F821 - free names are bound by the builder

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from numbapool import dtypes


@dataclass(frozen=True)
class Elements:
    """Which elements of x a call takes, and how much of each; what a kernel has to know of it.

    Attributes
    ----------
    omit : bool
        NaNs are left out.
    where : bool
        A mask says which elements are there.
    weights : str
        The dtype of the elements' weights by name; "" for none.
    """

    omit: bool = False
    where: bool = False
    weights: str = ""

    def __bool__(self):
        return self.omit or self.where or bool(self.weights)

    @property
    def beside(self) -> bool:
        """Whether arrays are read beside x."""
        return self.where or bool(self.weights)

    @property
    def name(self) -> str:
        """For the names of kernels."""
        return "_".join(
            n for n in ("omit" * self.omit, "where" * self.where, self.weights and f"w{self.weights}") if n
        )


ALL = Elements()


@dataclass(frozen=True, eq=False)
class Reduction:
    """One way to make a number from a window.

    Attributes
    ----------
    name : str
        Used in kernel names.
    merge : str
        The primitive that merges two accumulators.
    selecting : bool
        The result is one of the window's elements, so that it has an index; its gradient goes to that element.
    mean : bool
        The result is divided by the number of taps, or by the sum of weights.
    beats : str
        For selecting reductions, the primitive that says whether a later element replaces an earlier one.
    identity : callable
        dtype name -> the accumulator of an empty window.
    power : float or None
        Of a norm: magnitudes are raised to it, and the result is its root. Infinite: the largest or smallest magnitude.
    """

    name: str
    merge: str
    identity: Callable[[str], float | int]
    selecting: bool = False
    mean: bool = False
    beats: str = ""
    power: float | None = None

    @lru_cache(maxsize=512)  # noqa: B019 - there are few reductions, and most live as long as the module
    def types(self, x: str, dtype: str | None, wide: bool, weighted: bool = False, small: str = "") -> Types:
        """Element types of a call on dtype `x` with the argument ``dtype=`` (names), `wide` for many taps; `small`: the dtype that holds sums of integers, if these are `SMALL` at most."""
        if self.selecting and (self.power is None or dtypes.is_float(x)):
            acc = "float32" if dtypes.is_half(x) else "uint8" if x == "bool" else x
            acc = "float64" if dtype == "float64" else acc
            return Types(x, acc, dtype or x, acc)
        if weighted or self.power is not None:
            return Types(x, "float64", dtype or (x if dtypes.is_float(x) else "float64"), "float64")
        if dtypes.is_float(x):
            y = dtype or x
            if "float64" in (x, y):
                acc = "float64"
            else:
                acc = "float64" if wide else "float32"
            return Types(x, acc, y, acc)
        signed = dtypes.kind(x) == "i" or (x == "bool" and not self.mean)
        widest = "int64" if signed else "uint64"
        y = dtype or ("float64" if self.mean else widest)
        floating = self.mean or dtypes.is_float(y)
        if small:
            end = "float64" if y == "float64" else "float32"
            return Types(x, small, y, end if floating else small)
        acc = "float64" if floating and dtypes.itemsize(x) == 8 else widest
        return Types(x, acc, y, "float64" if floating else acc)

    def signed_zeros(self, x: str) -> bool:
        """Whether the result of elements of dtype `x` may be a zero of either sign, and which one depends on their order."""
        return self.selecting and self.power is None and dtypes.is_float(x)

    def adds_integers(self, x: str) -> bool:
        """Whether elements of dtype `x` are integers of one or two bytes, which are added."""
        added = self.merge == "add" and self.power is None
        return added and not dtypes.is_float(x) and dtypes.itemsize(x) <= 2

    def scaled(self, x: str) -> bool:
        """Whether powers of elements of dtype `x` could leave the range of float64, or nothing look like something."""
        if self.power is None or self.selecting:
            return False
        if self.power < 0:
            return True
        binades = {"float64": 1100, "float16": 24, "float32": 150, "bfloat16": 150}.get(x, 64)
        return self.power != 1 and self.power * binades > 1000


# Sums s of integers up to here are exact in float32, and s / n divided in float32 rounds to the same integer as the exact quotient, half to even: one that is no tie is at least 1 / 2n
# away from a tie, and float32 errs by less.
SMALL = 1 << 23


@dataclass(frozen=True)
class Types:
    """Element types of a kernel: stored in x, accumulated, stored in y, and what `finish` yields."""

    x: str
    acc: str
    y: str
    end: str


def _lowest(name):
    if dtypes.is_float(name):
        return float("-inf")
    return -(2 ** (8 * dtypes.itemsize(name) - 1)) if dtypes.kind(name) == "i" else 0


def _highest(name):
    if dtypes.is_float(name):
        return float("inf")
    bits = 8 * dtypes.itemsize(name)
    return 1 if name == "bool" else 2 ** (bits - (dtypes.kind(name) == "i")) - 1


TEMPLATE = True  # the builder binds the free names of the functions below

MAX = Reduction("max", "maximum", _lowest, selecting=True, beats="beats_max")
MIN = Reduction("min", "minimum", _highest, selecting=True, beats="beats_min")
SUM = Reduction("sum", "add", lambda name: 0)
AVG = Reduction("avg", "add", lambda name: 0, mean=True)


@lru_cache(maxsize=256)
def lp(power: float) -> Reduction:
    """The norm of order `power`, which is not 0."""
    if math.isinf(power):
        side, identity = ("max", lambda name: 0) if power > 0 else ("min", _highest)
        return Reduction(f"lp{power:+}", f"{side}imum", identity, True, beats=f"beats_{side}", power=power)
    identity = (lambda name: 0) if power > 0 else _highest
    return Reduction(f"lp{power!r}", "add", identity, power=power)


# ---- finish: accumulator and divisor -> result ----------------------------------------------------------------------


def finish_as_is(acc, divisor) -> "same":
    return acc


def finish_cast(acc, divisor) -> "end":
    return to_end(acc)


def finish_mean(acc, divisor) -> "end":
    return div(to_end(acc), divisor)


def finish_rounded_mean(acc, divisor) -> "end":
    """Half to even: the mean of integers as an integer."""
    return rint(div(to_end(acc), divisor))


def finish_counted_mean(acc, divisor) -> "end":
    """The same without floating point, of sums of bytes: the next lower integer, from what is half a unit more, unless that is a tie, which goes to an even one."""
    n, share, places, more = divisor
    total = add(acc, more)  # never negative
    mean = shifted(upper_half(total, share), places)
    odd = both(mean, sub(one_more(n), both(n, one_more(n))))  # of odd numbers there is no tie
    mean = sub(mean, pick(equal(mul(mean, n), total), odd, sub(n, n)))
    return sub(mean, beneath(n))


# ---- divisors: the rows' part times the columns' part ---------------------------------------------------------------


def no_divisor(rows, columns) -> "int":
    return rows


def divisor_of_row(rows, columns) -> "end":
    return mul(splat_end(int_to_end(rows)), load_end(columns))


def below_zero(name):
    """How far the integers of a dtype go below zero."""
    return -_lowest(name)


def counts_packed(n, below):
    """Of windows of n <= 128 elements, each of which counts for `below` more, what `divisor_of_count` unpacks: the number; 2^16 / n times a power of two, and that power; what is added to sums."""
    places = np.array([max((int(k) - 1).bit_length() - 1, 0) for k in n])
    share = np.minimum(-(-(1 << 16 + places) // n), (1 << 16) - 1)
    more = np.maximum(n // 2, 1) + below * n  # as the share of one is 1 - 2^-16
    return n | share << 16 | places << 32 | more << 48


def divisor_of_count(rows, columns) -> "ends_4":
    n, share = splat_end(int_to_end(rows)), splat_end(int_to_end(rows >> 16))
    return n, share, splat_end(int_to_end(rows >> 32)), splat_end(int_to_end(rows >> 48))


def divisor_of_column(rows, columns) -> "end":
    return splat_end(mul(int_to_end(rows), get_end(columns)))
