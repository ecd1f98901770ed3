"""Sliding windows: max, min, average and sum pooling over one, two or three axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbapool.reductions import AVG, MAX, MIN, SUM, Reduction
from numbapool.request import Request, public, window_request

_DOC = """{title} over a window that slides along {axes}.

Parameters
----------
x : array_like
    Any number of leading (batch, channel) axes, then the {n} pooled {axis_word}; or the pooled axes anywhere, named by `axes`. Dtypes: bool, (u)int8 to
    (u)int64, float16, bfloat16, float32, float64. Any memory layout, read in place.
kernel_size : int or sequence of int
    Elements of the window, for all pooled axes or one per axis.
stride : int or sequence of int, optional
    Steps between windows. Default: `kernel_size`.
padding : int, sequence of int, sequence of (before, after) or {{"valid", "same", "same_lower"}}
    Elements added on each side, at most the window's extent - 1. {padding} "same" gives
    ``ceil(size / stride)`` outputs, with the odd element of padding at the end ("same_lower": at the start).
{parameters}axes : int or sequence of int, keyword only
    The pooled axes, NumPy's convention; default: the last {n}. ``axes=(1, 2)`` pools a channels-last image batch in place.
{dtype}nan_policy : {{"propagate"}}, keyword only
    A NaN in a window makes its result NaN. ("omit" and "raise" are not in this version.)
where{weights} : None, keyword only
    Not in this version.
out : {out}, keyword only
    Where the result goes: exactly its shape and dtype, any strides; may overlap x.

Returns
-------
{returns}

Raises
------
TypeError
    A wrong type or dtype of an argument; masked and GPU arrays. (Tensors and other containers on this host come back as their own kind.)
ValueError
    A wrong value or shape of an argument, or sizes that leave no output. Nothing is written then.

Notes
-----
{notes}

References
----------
{reference}

Examples
--------
>>> import numpy as np, numbapool as nbp
{example}
"""

_CEIL = """ceil_mode : bool
    Keep the smaller last window: round the number of outputs up. No window starts in the padding.
"""
_DILATION = """dilation : int or sequence of int{kw}
    Distance between the taps of a window. Default 1.
"""
_INDICES = """return_indices : bool
    Also return where each {what} was found.
"""
_COUNT = """count_include_pad : bool
    Whether padding counts in the divisor. The overhang of `ceil_mode` never does, nor the padding of "same".
divisor_override : number, optional
    Divide by this instead.
"""
_DTYPE = """dtype : dtype, keyword only
    Of the result, as in `numpy.{numpy}`. Default: x's own if floating, {integers}.
"""
_AXES = {1: ("one axis", "axis"), 2: ("two axes", "axes"), 3: ("three axes", "axes")}
_EXTREME_NOTES = """Padding never wins. Of equal values the first in row-major order is the one that `indices` names; an index counts within the pooled
plane of x without padding, −1 for a window that has no element. A NaN wins against everything. Halves are compared exactly."""
_SUM_NOTES = """Small windows of float32 are summed in float32 (at most four roundings in a row), larger ones in float64; float16 and bfloat16 in float32, rounded
once. Integers are summed exactly in 64 bits, but for means of 64-bit integers, which are taken in float64 as NumPy's. Nothing is ever subtracted, so inf, NaN and rounding errors stay in their window."""


_EXAMPLES = {
    ("max", 1): ">>> nbp.max_pool1d([1., 5., 2., 3.], 2, 1)\narray([5., 5., 3.])",
    ("max", 2): ">>> nbp.max_pool2d(np.arange(9.).reshape(3, 3), 2, 1)\narray([[4., 5.],\n       [7., 8.]])",
    ("max", 3): ">>> nbp.max_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[7.]]])",
    ("min", 1): ">>> nbp.min_pool1d([1., 5., 2., 3.], 2, 1)\narray([1., 2., 2.])",
    ("min", 2): ">>> nbp.min_pool2d(np.arange(9.).reshape(3, 3), 2, 1)\narray([[0., 1.],\n       [3., 4.]])",
    ("min", 3): ">>> nbp.min_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[0.]]])",
    ("avg", 1): ">>> nbp.avg_pool1d([1., 2., 3.], 2, 2, 1)\narray([0.5, 2.5])",
    ("avg", 2): ">>> nbp.avg_pool2d(np.arange(9.).reshape(3, 3), 2, 1)\narray([[2., 3.],\n       [5., 6.]])",
    ("avg", 3): ">>> nbp.avg_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[3.5]]])",
    ("sum", 1): ">>> nbp.sum_pool1d([1., 2., 3.], 2, 1)\narray([3., 5.])",
    (
        "sum",
        2,
    ): ">>> nbp.sum_pool2d(np.ones((4, 4), np.uint8), 2)\narray([[4, 4],\n       [4, 4]], dtype=uint64)",
    ("sum", 3): ">>> nbp.sum_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[28.]]])",
}


def _document(function: Callable[..., Any], name: str, n: int, **text: str) -> None:
    function.__name__ = function.__qualname__ = f"{name}_pool{n}d"
    function.__module__ = __name__
    function.__doc__ = _DOC.format(
        n=n, axes=_AXES[n][0], axis_word=_AXES[n][1], example=_EXAMPLES[name, n], **text
    )


def _extreme(name: str, reduction: Reduction, n: int):
    def pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, *, axes=None, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return window_request(
            reduction, n, x, kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode, return_indices=return_indices,
            axes=axes, nan_policy=nan_policy, where=where, out=out,
        )  # fmt: skip

    word = {"max": "maximum", "min": "minimum"}[name]
    _document(
        pool, name, n, title=word.capitalize(), padding="It never wins.",
        parameters=_DILATION.format(kw="") + _CEIL + _INDICES.format(what=word),
        dtype="", weights="", out="ndarray or, with `return_indices`, a pair (y, indices) of which either may be None",
        returns=f"y : ndarray\n    The {word} of every window, of x's dtype and memory order.\nindices : ndarray of int64\n    Only with `return_indices`.",
        notes=_EXTREME_NOTES, reference=f"The conventions of ``torch.nn.functional.max_pool{n}d``; K. Yamaguchi et al., ICSLP 1990, for max pooling.",
    )  # fmt: skip
    return public(pool)


def _avg(n: int):
    def pool(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None, *, dilation=1, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return window_request(
            AVG, n, x, kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode, count_include_pad=count_include_pad,
            divisor_override=divisor_override, axes=axes, dtype=dtype, nan_policy=nan_policy, where=where, weights=weights, out=out,
        )  # fmt: skip

    _document(
        pool, "avg", n, title="Average", padding="It counts as zeros unless `count_include_pad` is False.",
        parameters=_CEIL + _COUNT + _DILATION.format(kw=", keyword only"),
        dtype=_DTYPE.format(numpy="mean", integers="float64 otherwise; an integer dtype rounds half to even"), weights=", weights", out="ndarray",
        returns="y : ndarray\n    The mean of every window, in x's memory order.",
        notes=_SUM_NOTES, reference=f"The conventions of ``torch.nn.functional.avg_pool{n}d``; Y. LeCun et al., Proc. IEEE 86 (1998), for average pooling.",
    )  # fmt: skip
    return public(pool)


def _sum(n: int):
    def pool(x, kernel_size, stride=None, padding=0, *, dilation=1, ceil_mode=False, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return window_request(
            SUM, n, x, kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode, axes=axes, dtype=dtype,
            nan_policy=nan_policy, where=where, weights=weights, out=out,
        )  # fmt: skip

    _document(
        pool, "sum", n, title="Sum", padding="It counts as zeros.", parameters=_DILATION.format(kw=", keyword only") + _CEIL,
        dtype=_DTYPE.format(numpy="sum", integers="the widest integer of the same signedness otherwise"), weights=", weights", out="ndarray",
        returns="y : ndarray\n    The sum of every window, in x's memory order.",
        notes=_SUM_NOTES, reference="As `numpy.sum` over every window.",
    )  # fmt: skip
    return public(pool)


max_pool1d, max_pool2d, max_pool3d = (_extreme("max", MAX, n) for n in (1, 2, 3))
min_pool1d, min_pool2d, min_pool3d = (_extreme("min", MIN, n) for n in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_avg(n) for n in (1, 2, 3))
sum_pool1d, sum_pool2d, sum_pool3d = (_sum(n) for n in (1, 2, 3))
