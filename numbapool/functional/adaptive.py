"""Adaptive and global pooling: windows whose number is given instead of their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbapool import arguments, dispatch, dtypes
from numbapool.reductions import AVG, MAX, MIN, SUM, Reduction
from numbapool.request import LIMIT, Request, _check_out, in_order, public, recall
from numbapool.windows import adaptive, sliding

MOST_AXES = 3  # that a kernel pools at once


def adaptive_request(
    reduction: Reduction, n: int, x: Any, output_size: Any, *, return_indices: Any = False, axes: Any = None, dtype: Any = None,
    nan_policy: Any = "propagate", where: Any = None, weights: Any = None, out: Any = None,
) -> Request:  # fmt: skip
    """Check the arguments of a function that divides n axes of x into a given number of windows."""
    x, kind = dispatch.host_array(x)
    pooled, windows, _ = recall(_adaptive, x.shape, n, axes, output_size)
    indices = arguments.flag(return_indices, "return_indices")
    dtype = arguments.result_dtype(dtype, dtypes.name_of(x.dtype), reduction.mean)
    arguments.later(nan_policy, where, weights)
    return _with_out(Request(reduction, x, pooled, windows, dtype, None, indices, kind=kind), out)


def global_request(
    reduction: Reduction, x: Any, *, axes: Any, keepdims: Any, return_indices: Any = False, dtype: Any = None,
    nan_policy: Any = "propagate", where: Any = None, weights: Any = None, out: Any = None,
) -> Request:  # fmt: skip
    """Check the arguments of a function that reduces whole axes of x."""
    x, kind = dispatch.host_array(x)
    pooled, windows, shape_out = recall(_global, x.shape, axes, arguments.flag(keepdims, "keepdims"))
    indices = arguments.flag(return_indices, "return_indices")
    dtype = arguments.result_dtype(dtype, dtypes.name_of(x.dtype), reduction.mean)
    arguments.later(nan_policy, where, weights)
    shape_in = None
    if len(pooled) > MOST_AXES:
        shape_in = x.shape
        x, pooled, windows = _merged(x, pooled)
    request = Request(
        reduction, x, pooled, windows, dtype, None, indices, kind=kind, shape_in=shape_in, shape_out=shape_out
    )
    return _with_out(request, out)


def _with_out(request, out):
    if out is not None:
        request.out = _check_out(request, out)
        request.given = out if request.indices else (out, None)
    return request


def _adaptive(shape, n, axes, output_size):
    given = arguments.pooled_axes(axes, n, len(shape))
    _not_empty(shape, given)
    output_size = (None,) * n if output_size is None else output_size
    if arguments._sequence(output_size) and len(output_size) == n:
        output_size = tuple(shape[a] if s is None else s for a, s in zip(given, output_size, strict=True))
    counts = arguments.per_axis(output_size, n, "output_size", 1)
    result = list(shape)
    for a, count in zip(given, counts, strict=True):
        result[a] = count
    _check_size(result)
    return in_order(shape, {a: adaptive(shape[a], c) for a, c in zip(given, counts, strict=True)})


def _not_empty(shape, axes):
    for a in axes:
        if shape[a] == 0:
            raise ValueError(f"x has no elements along the pooled axis {a}")


def _check_size(shape):
    size = 1
    for n in shape:
        size *= n
    if size * 8 > LIMIT:
        raise ValueError(f"output_size gives a result of shape {tuple(shape)}, which cannot exist")


def _global(shape, axes, keepdims):
    """The axes to pool, ascending, their windows, and the shape of the result if it is not x's with ones."""
    axes = tuple(range(len(shape))) if axes is None else axes
    n = len(axes) if arguments._sequence(axes) else 1
    if n == 0:
        raise ValueError("axes must name at least one axis, not ()")
    given = arguments.pooled_axes(axes, n, len(shape))
    _not_empty(shape, given)
    # Axes of one element count neither in results nor in indices; a kernel need not know them.
    pooled = sorted(a for a in given if shape[a] > 1) if n > MOST_AXES else sorted(given)
    pooled = pooled or [given[0]]
    shape_out = None
    if not keepdims:
        shape_out = tuple(s for a, s in enumerate(shape) if a not in given)
    elif len(pooled) > MOST_AXES:
        shape_out = tuple(1 if a in given else s for a, s in enumerate(shape))
    pooled, windows, _ = in_order(shape, {a: _whole(shape[a]) for a in pooled})
    return pooled, windows, shape_out


def _whole(size):
    return sliding(size, size, size, 0, 0, 1, False, True)


def _merged(x, pooled):
    """x with neighbouring pooled axes seen as one, the pooled axes and windows of that view."""
    shape: list[int] = []
    axes = []
    for a, size in enumerate(x.shape):
        if a - 1 in pooled and a in pooled and x.strides[a - 1] == size * x.strides[a]:
            shape[-1] *= size
            continue
        if a in pooled:
            axes.append(len(shape))
        shape.append(size)
    if len(axes) > MOST_AXES:
        raise NotImplementedError(
            f"axes={pooled}: more than {MOST_AXES} axes can be pooled only where neighbours lie in memory as one; "
            "np.ascontiguousarray(x), with the pooled axes side by side, does"
        )
    return x.reshape(shape), tuple(axes), tuple(_whole(shape[a]) for a in axes)


_DOC = """{title}.

Parameters
----------
x : array_like
    {x} Dtypes: bool, (u)int8 to (u)int64, float16, bfloat16,
    float32, float64. Any memory layout, read in place.
{parameters}{dtype}nan_policy : {{"propagate"}}, keyword only
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
    A wrong type or dtype of an argument; masked and GPU arrays.
ValueError
    A wrong value or shape of an argument, or a pooled axis without elements. Nothing is written then.{raises}

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

_ADAPTIVE_X = "Any number of leading (batch, channel) axes, then the {n} pooled {axis_word}; or the pooled axes anywhere, named by `axes`."
_OUTPUT_SIZE = """output_size : int or sequence of int or None
    Number of windows, for all pooled axes or one per axis; None keeps an axis as it is. More windows than elements are allowed.
"""
_ADAPTIVE_AXES = """axes : int or sequence of int, keyword only
    The pooled axes, NumPy's convention; default: the last {n}. `output_size` follows their order.
"""
_GLOBAL_X = "An array that has the pooled axes."
_GLOBAL_AXES = """axes : int or sequence of int, keyword only
    The axes to pool, NumPy's convention; default: the last two. None: all.
keepdims : bool, keyword only
    Keep the pooled axes with one element, the default, or drop them.
"""
_INDICES = """return_indices : bool{kw}
    Also return where each {what} was found.
"""
_DTYPE = """dtype : dtype, keyword only
    Of the result, as in `numpy.{numpy}`. Default: x's own if floating, {integers}.
"""
_MEAN_TYPE = _DTYPE.format(numpy="mean", integers="float64 otherwise; an integer dtype rounds half to even")
_SUM_TYPE = _DTYPE.format(numpy="sum", integers="the widest integer of the same signedness otherwise")
_AXES = {1: ("one axis", "axis"), 2: ("two axes", "axes"), 3: ("three axes", "axes")}
_WORDS = {"max": "maximum", "min": "minimum", "avg": "mean", "sum": "sum"}
_PAIR = "ndarray or, with `return_indices`, a pair (y, indices) of which either may be None"
_WINDOWS = """Window i of n along an axis of L elements is [floor(i·L/n), ceil((i+1)·L/n)): windows differ in size by at most one, and
neighbours may share an element, whose gradients add up."""
_EXTREME_NOTES = """Of equal values the first in row-major order is the one that `indices` names; an index counts within the pooled plane of x.
A NaN wins against everything. Halves are compared exactly."""
_SUM_NOTES = """Small windows of float32 are summed in float32 (at most four roundings in a row), larger ones in float64; float16 and bfloat16 in
float32, rounded once. Integers are summed exactly in 64 bits, but for means of 64-bit integers, which are taken in float64 as NumPy's."""
_MANY_AXES = """
NotImplementedError
    More than three pooled axes longer than one element of which no neighbours lie in memory as one axis (C order)."""
_INDEX_RETURN = "\nindices : ndarray of int64\n    Only with `return_indices`."

_EXAMPLES = {
    ("max", 1): ">>> nbp.adaptive_max_pool1d([0., 9., 0.], 2)\narray([9., 9.])",
    (
        "max",
        2,
    ): ">>> nbp.adaptive_max_pool2d(np.arange(9.).reshape(3, 3), (None, 1))\narray([[2.],\n       [5.],\n       [8.]])",
    ("max", 3): ">>> nbp.adaptive_max_pool3d(np.arange(27.).reshape(3, 3, 3), 1)\narray([[[26.]]])",
    ("avg", 1): ">>> nbp.adaptive_avg_pool1d([1., 2., 3., 4., 5.], 3)\narray([1.5, 3. , 4.5])",
    (
        "avg",
        2,
    ): ">>> nbp.adaptive_avg_pool2d(np.arange(9.).reshape(3, 3), 2)\narray([[2., 3.],\n       [5., 6.]])",
    ("avg", 3): ">>> nbp.adaptive_avg_pool3d(np.arange(8.).reshape(2, 2, 2), 1)\narray([[[3.5]]])",
    "max": ">>> nbp.global_max_pool([[1., 5.], [2., 3.]], keepdims=False)\narray(5.)",
    "min": ">>> nbp.global_min_pool([[1., 5.], [2., 3.]])\narray([[1.]])",
    "avg": ">>> nbp.global_avg_pool(np.arange(8.).reshape(2, 2, 2), keepdims=False)\narray([1.5, 5.5])",
    "sum": ">>> nbp.global_sum_pool(np.ones((3, 4), np.uint8), axes=0)\narray([[3, 3, 3, 3]], dtype=uint64)",
}


def _name(function: Callable[..., Any], name: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__


def _document_adaptive(function: Callable[..., Any], op: str, n: int, notes: str, **text: str) -> None:
    _name(function, f"adaptive_{op}_pool{n}d")
    axes, axis_word = _AXES[n]
    function.__doc__ = _DOC.format(
        title=f"{_WORDS[op].capitalize()} over a given number of windows along {axes}", x=_ADAPTIVE_X.format(n=n, axis_word=axis_word),
        notes=f"{_WINDOWS}\n\n{notes}", reference=f"The conventions of ``torch.nn.functional.adaptive_{op}_pool{n}d``.",
        example=_EXAMPLES[op, n], raises="", **text,
    )  # fmt: skip


def _document_global(function: Callable[..., Any], op: str, **text: str) -> None:
    _name(function, f"global_{op}_pool")
    function.__doc__ = _DOC.format(
        title=f"{_WORDS[op].capitalize()} over whole axes", x=_GLOBAL_X, raises=_MANY_AXES,
        reference="M. Lin, Q. Chen and S. Yan, Network in Network, ICLR 2014, for average pooling.", example=_EXAMPLES[op], **text,
    )  # fmt: skip


def _adaptive_max(n: int):
    def pool(x, output_size, return_indices=False, *, axes=None, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return adaptive_request(
            MAX, n, x, output_size, return_indices=return_indices, axes=axes, nan_policy=nan_policy, where=where, out=out
        )  # fmt: skip

    _document_adaptive(
        pool, "max", n, notes=_EXTREME_NOTES, dtype="", weights="", out=_PAIR,
        parameters=_OUTPUT_SIZE + _INDICES.format(what="maximum", kw="") + _ADAPTIVE_AXES.format(n=n),
        returns=f"y : ndarray\n    The maximum of every window, of x's dtype and memory order.{_INDEX_RETURN}",
    )  # fmt: skip
    return public(pool)


def _adaptive_avg(n: int):
    def pool(x, output_size, *, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return adaptive_request(
            AVG, n, x, output_size, axes=axes, dtype=dtype, nan_policy=nan_policy, where=where, weights=weights, out=out
        )  # fmt: skip

    _document_adaptive(
        pool, "avg", n, notes=_SUM_NOTES, dtype=_MEAN_TYPE, weights=", weights", out="ndarray",
        parameters=_OUTPUT_SIZE + _ADAPTIVE_AXES.format(n=n),
        returns="y : ndarray\n    The mean of every window, in x's memory order.",
    )  # fmt: skip
    return public(pool)


def _global_extreme(op: str, reduction: Reduction):
    def pool(x, *, axes=(-2, -1), keepdims=True, return_indices=False, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return global_request(
            reduction, x, axes=axes, keepdims=keepdims, return_indices=return_indices, nan_policy=nan_policy, where=where, out=out
        )  # fmt: skip

    _document_global(
        pool, op, notes=_EXTREME_NOTES, dtype="", weights="", out=_PAIR,
        parameters=_GLOBAL_AXES + _INDICES.format(what=_WORDS[op], kw=", keyword only"),
        returns=f"y : ndarray\n    The {_WORDS[op]} over the axes, of x's dtype and memory order.{_INDEX_RETURN}",
    )  # fmt: skip
    return public(pool)


def _global_weighted(op: str, reduction: Reduction, dtype_text: str):
    def pool(x, *, axes=(-2, -1), keepdims=True, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return global_request(
            reduction, x, axes=axes, keepdims=keepdims, dtype=dtype, nan_policy=nan_policy, where=where, weights=weights, out=out
        )  # fmt: skip

    _document_global(
        pool, op, notes=_SUM_NOTES, dtype=dtype_text, weights=", weights", out="ndarray", parameters=_GLOBAL_AXES,
        returns=f"y : ndarray\n    The {_WORDS[op]} over the axes, in x's memory order.",
    )  # fmt: skip
    return public(pool)


adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (_adaptive_max(n) for n in (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (_adaptive_avg(n) for n in (1, 2, 3))
global_max_pool, global_min_pool = _global_extreme("max", MAX), _global_extreme("min", MIN)
global_avg_pool = _global_weighted("avg", AVG, _MEAN_TYPE)
global_sum_pool = _global_weighted("sum", SUM, _SUM_TYPE)
