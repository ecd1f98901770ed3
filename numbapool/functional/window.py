"""Sliding windows: max, min, average, sum and Lp pooling over one, two or three axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbapool import arguments, reductions
from numbapool.functional import texts
from numbapool.reductions import AVG, MAX, MIN, SUM, Reduction
from numbapool.request import Request, public, window_request

_DOC = """{title} over a window that slides along {axes}.

Parameters
----------
x : array_like
    Any number of leading (batch, channel) axes, then the {n} pooled {axis_word}; or the pooled axes anywhere, named by `axes`.
    {dtypes}
{norm}kernel_size : int or sequence of int
    Elements of the window, for all pooled axes or one per axis.
stride : int or sequence of int, optional
    Steps between windows. Default: `kernel_size`.
{parameters}axes : int or sequence of int, keyword only
    The pooled axes, NumPy's convention; default: the last {n}. ``axes=(1, 2)`` pools a channels-last image batch in place.
{dtype}{presence}{out}
Returns
-------
{returns}

Raises
------
{errors}

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

_PADDING = """padding : int, sequence of int, sequence of (before, after) or {{"valid", "same", "same_lower"}}{kw}
    Elements added on each side, at most the window's extent - 1. {what} "same" gives
    ``ceil(size / stride)`` outputs, with the odd element of padding at the end ("same_lower": at the start).
"""
_CEIL = """ceil_mode : bool
    Keep the smaller last window: round the number of outputs up. No window starts in the padding.
"""
_DILATION = """dilation : int or sequence of int{kw}
    Distance between the taps of a window. Default 1.
"""
_COUNT = """count_include_pad : bool
    Whether padding counts in the divisor. The overhang of `ceil_mode` never does, nor the padding of "same".
divisor_override : number, optional
    Divide by this instead. Not together with `where`, `weights` or ``nan_policy="omit"``.
"""
_EXAMPLES = {
    ("max", 1): ">>> nbp.max_pool1d([1., 5., 2., 3.], 2, 1)\narray([5., 5., 3.])",
    ("max", 2): ">>> nbp.max_pool2d(np.arange(9.).reshape(3, 3), 2, 1)\narray([[4., 5.],\n       [7., 8.]])",
    ("max", 3): ">>> nbp.max_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[7.]]])",
    ("min", 1): ">>> nbp.min_pool1d([1., 5., 2., 3.], 2, 1)\narray([1., 2., 2.])",
    ("min", 2): ">>> nbp.min_pool2d(np.arange(9.).reshape(3, 3), 2, 1)\narray([[0., 1.],\n       [3., 4.]])",
    ("min", 3): ">>> nbp.min_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[0.]]])",
    ("avg", 1): ">>> nbp.avg_pool1d([1., 2., 3.], 2, 2, 1)\narray([0.5, 2.5])\n"
    '>>> nbp.avg_pool1d([1., np.nan, 3., 5.], 2, nan_policy="omit")\narray([1., 4.])',
    ("avg", 2): ">>> nbp.avg_pool2d(np.arange(9.).reshape(3, 3), 2, 1)\narray([[2., 3.],\n       [5., 6.]])",
    ("avg", 3): ">>> nbp.avg_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[3.5]]])",
    ("sum", 1): ">>> nbp.sum_pool1d([1., 2., 3.], 2, 1)\narray([3., 5.])",
    ("sum", 2): ">>> nbp.sum_pool2d(np.ones((4, 4), np.uint8), 2)\n"
    "array([[4, 4],\n       [4, 4]], dtype=uint64)",
    ("sum", 3): ">>> nbp.sum_pool3d(np.arange(8.).reshape(2, 2, 2), 2)\narray([[[28.]]])",
    ("lp", 1): ">>> nbp.lp_pool1d([3., 4., 5.], 2, 2, ceil_mode=True)\narray([5., 5.])",
    ("lp", 2): ">>> nbp.lp_pool2d([[1., -1.], [1., 1.]], 2, 2)\narray([[2.]])",
    ("lp", 3): ">>> nbp.lp_pool3d(np.ones((2, 2, 2)), 1, 2)\narray([[[8.]]])",
}


def _document(function: Callable[..., Any], name: str, n: int, **text: str) -> None:
    texts.named(function, f"{name}_pool{n}d", __name__)
    common = {"norm": "", "dtype": "", "presence": texts.PRESENCE, "out": texts.OUT.format(out="ndarray")}
    function.__doc__ = _DOC.format(
        n=n, axes=texts.AXES[n][0], axis_word=texts.AXES[n][1], dtypes=texts.DTYPES, example=_EXAMPLES[name, n],
        errors=texts.ERRORS.format(sizes="or sizes that leave no output"), **common | text,
    )  # fmt: skip


def _extreme(name: str, reduction: Reduction, n: int):
    def pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, *, axes=None, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return window_request(
            reduction, n, x, kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode, return_indices=return_indices,
            axes=axes, nan_policy=nan_policy, where=where, out=out,
        )  # fmt: skip

    word = texts.WORDS[name]
    _document(
        pool, name, n, title=word.capitalize(),
        parameters=_PADDING.format(what="It never wins.", kw="") + _DILATION.format(kw="") + _CEIL + texts.INDICES.format(what=word, kw=""), out=texts.OUT.format(out=texts.PAIR),
        returns=f"y : ndarray\n    The {word} of every window, of x's dtype and memory order.{texts.INDEX_RETURN}",
        notes=texts.EXTREME_NOTES.format(padding="Padding never wins. "),
        reference=f"The conventions of ``torch.nn.functional.max_pool{n}d``; K. Yamaguchi et al., ICSLP 1990, for max pooling.",
    )  # fmt: skip
    return public(pool)


def _avg(n: int):
    def pool(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None, *, dilation=1, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return window_request(
            AVG, n, x, kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode, count_include_pad=count_include_pad,
            divisor_override=divisor_override, axes=axes, dtype=dtype, nan_policy=nan_policy, where=where, weights=weights, out=out,
        )  # fmt: skip

    _document(
        pool, "avg", n, title="Average",
        parameters=_PADDING.format(what="It counts as zeros unless `count_include_pad` is False.", kw="") + _CEIL + _COUNT + _DILATION.format(kw=", keyword only"),
        dtype=texts.MEAN_TYPE, presence=texts.PRESENCE + texts.MEAN_WEIGHTS,
        returns="y : ndarray\n    The mean of every window, in x's memory order.", notes=texts.SUM_NOTES,
        reference=f"The conventions of ``torch.nn.functional.avg_pool{n}d``; Y. LeCun et al., Proc. IEEE 86 (1998), for average pooling.",
    )  # fmt: skip
    return public(pool)


def _sum(n: int):
    def pool(x, kernel_size, stride=None, padding=0, *, dilation=1, ceil_mode=False, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return window_request(
            SUM, n, x, kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode, axes=axes, dtype=dtype,
            nan_policy=nan_policy, where=where, weights=weights, out=out,
        )  # fmt: skip

    _document(
        pool, "sum", n, title="Sum",
        parameters=_PADDING.format(what="It counts as zeros.", kw="") + _DILATION.format(kw=", keyword only") + _CEIL,
        dtype=texts.SUM_TYPE, presence=texts.PRESENCE + texts.SUM_WEIGHTS,
        returns="y : ndarray\n    The sum of every window, in x's memory order.", notes=texts.SUM_NOTES,
        reference="As `numpy.sum` over every window.",
    )  # fmt: skip
    return public(pool)


def _lp(n: int):
    def pool(x, norm_type, kernel_size, stride=None, ceil_mode=False, *, padding=0, dilation=1, axes=None, dtype=None, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return window_request(
            reductions.lp(arguments.norm(norm_type)), n, x, kernel_size, stride, padding, dilation=dilation, ceil_mode=ceil_mode,
            axes=axes, dtype=dtype, nan_policy=nan_policy, where=where, out=out,
        )  # fmt: skip

    _document(
        pool, "lp", n, title="Lp norm", norm=texts.NORM,
        parameters=_CEIL + _PADDING.format(what="It is not part of any window.", kw=", keyword only") + _DILATION.format(kw=", keyword only"), dtype=texts.NORM_TYPE,
        returns="y : ndarray\n    The norm of every window, in x's memory order.", notes=texts.NORM_NOTES,
        reference=f"The signature of ``torch.nn.functional.lp_pool{n}d``; ONNX's LpPool for partial windows; "
        "C. Gulcehre et al., Learned-Norm Pooling, ECML 2014.",
    )  # fmt: skip
    return public(pool)


max_pool1d, max_pool2d, max_pool3d = (_extreme("max", MAX, n) for n in (1, 2, 3))
min_pool1d, min_pool2d, min_pool3d = (_extreme("min", MIN, n) for n in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_avg(n) for n in (1, 2, 3))
sum_pool1d, sum_pool2d, sum_pool3d = (_sum(n) for n in (1, 2, 3))
lp_pool1d, lp_pool2d, lp_pool3d = (_lp(n) for n in (1, 2, 3))
