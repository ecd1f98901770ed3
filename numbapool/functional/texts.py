"""What the docstrings of pooling functions have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AXES = {1: ("one axis", "axis"), 2: ("two axes", "axes"), 3: ("three axes", "axes")}
WORDS = {"max": "maximum", "min": "minimum", "avg": "mean", "sum": "sum", "lp": "norm"}

DTYPES = "Dtypes: bool, (u)int8 to (u)int64, float16, bfloat16, float32, float64. Any memory layout, read in place."
INDICES = """return_indices : bool{kw}
    Also return where each {what} was found.
"""
DTYPE = """dtype : dtype, keyword only
    Of the result, as in `numpy.{numpy}`. Default: x's own if floating, {integers}.
"""
MEAN_TYPE = DTYPE.format(numpy="mean", integers="float64 otherwise; an integer dtype rounds half to even")
SUM_TYPE = DTYPE.format(
    numpy="sum", integers="the widest integer of the same signedness otherwise, float64 with `weights`"
)
NORM_TYPE = DTYPE.format(numpy="mean", integers="float64 otherwise; an integer dtype rounds half to even")
NORM = """norm_type : number
    The order p of the norm: any number but 0, infinities included.
"""
PRESENCE = """nan_policy : {"propagate", "omit", "raise"}, keyword only
    A NaN in a window makes its result NaN; is left out; or is an error wherever `where` does not mask it.
where : array_like of bool, keyword only
    Broadcast to x's shape: elements that are False are not there.
"""
WEIGHTS = """weights : array_like of real numbers, keyword only
    Broadcast to x's shape: what each element weighs. {what} May be negative. A floating array has a gradient, too.
"""
PAIR = "ndarray or, with `return_indices`, a pair (y, indices) of which either may be None"
OUT = """out : {out}, keyword only
    Where the result goes: exactly its shape and dtype, any strides; may overlap the inputs.
"""
MEAN_WEIGHTS = WEIGHTS.format(what="The mean is Σwx/Σw, NaN where Σw is 0.")
SUM_WEIGHTS = WEIGHTS.format(what="The sum is Σwx.")
INDEX_RETURN = "\nindices : ndarray of int64\n    Only with `return_indices`."
ERRORS = """TypeError
    A wrong type or dtype of an argument; masked arrays; arrays in different memory.
ValueError
    A wrong value or shape of an argument, {sizes}; a NaN with ``nan_policy="raise"``. Nothing is written then."""

EXTREME_NOTES = """{padding}Of equal values the first in row-major order is the one that `indices` names; an index counts within the pooled
plane of x, −1 for a window that has no element. Such a window gives the least (a minimum: greatest) value of the dtype, one of nothing but NaNs that are left out NaN.
Else a NaN wins against everything. Halves are compared exactly."""
SUM_NOTES = """Small windows of float32 are summed in float32 (at most four roundings in a row), larger ones in float64; float16 and bfloat16 in float32, very tall
windows in float64, rounded once; anything with weights in float64. Integers are summed exactly in 64 bits, but for means of 64-bit integers, which are taken in float64 as NumPy's.
Nothing is ever subtracted, so inf, NaN and rounding errors stay in their window. With `nan_policy` "omit", `where` or `weights` padding never counts; the
mean of nothing is NaN, the sum 0."""
NORM_NOTES = """(Σ|x|^p)^(1/p) over the elements of a window, padding not among them; 0 for a window without any. p = inf: the largest magnitude, −inf: the smallest.
Computed in float64, scaled where powers could leave its range, so that nothing overflows or underflows on the way. Partial windows are not rescaled. The
gradient is 0 at 0; for infinite p it goes to the first of equal magnitudes. Each order is compiled for itself."""


def named(function: Callable[..., Any], name: str, module: str) -> None:
    """Give a function that a loop made the name under which it is public."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = module
