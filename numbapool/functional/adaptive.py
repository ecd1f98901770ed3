"""Adaptive and global pooling: windows whose number is given instead of their size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from numbapool import arguments, dispatch, dtypes, presence
from numbapool.functional import texts
from numbapool.reductions import AVG, MAX, MIN, SUM, Reduction, lp
from numbapool.request import Request, checked, in_order, public, recall
from numbapool.windows import adaptive, sliding

MOST_AXES = 3  # that a kernel pools at once


def adaptive_request(
    reduction: Reduction, n: int, x: Any, output_size: Any, *, return_indices: Any = False, axes: Any = None, dtype: Any = None,
    nan_policy: Any = "propagate", where: Any = None, weights: Any = None, out: Any = None,
) -> Request:  # fmt: skip
    """Check the arguments of a function that divides n axes of x into a given number of windows."""
    x, kind = dispatch.array(x)
    present = presence.checked(x, nan_policy, where, weights)
    pooled, windows, shape = recall(_adaptive, x.shape, n, axes, output_size)
    indices = arguments.flag(return_indices, "return_indices")
    name = dtypes.name_of(x.dtype)
    dtype = arguments.result_dtype(dtype, name)
    request = Request(reduction, x, pooled, windows, dtype, indices, None, present, kind=kind)
    request.shape, request.x_name = shape, name  # as they are known
    return checked(request, nan_policy, out)


def global_request(
    reduction: Reduction, x: Any, *, axes: Any, keepdims: Any, return_indices: Any = False, dtype: Any = None,
    nan_policy: Any = "propagate", where: Any = None, weights: Any = None, out: Any = None,
) -> Request:  # fmt: skip
    """Check the arguments of a function that reduces whole axes of x."""
    x, kind = dispatch.array(x)
    present = presence.checked(x, nan_policy, where, weights)
    pooled, windows, shape, shape_out = recall(_global, x.shape, axes, arguments.flag(keepdims, "keepdims"))
    indices = arguments.flag(return_indices, "return_indices")
    name = dtypes.name_of(x.dtype)
    dtype = arguments.result_dtype(dtype, name)
    restored = None
    merged = len(pooled) > MOST_AXES
    if merged:
        (x, where, weights), pooled, restored = _merged((x, present.where, present.weights), pooled, kind)
        windows = tuple(_whole(x.shape[a]) for a in pooled)
        present = replace(present, where=where, weights=weights)
    request = Request(
        reduction, x, pooled, windows, dtype, indices, None, present, kind=kind, restored=restored, shape_out=shape_out
    )  # fmt: skip
    request.x_name = name  # as it is known
    if not merged:
        request.shape = shape
    return checked(request, nan_policy, out)


def _adaptive(shape, n, axes, output_size):
    given = arguments.pooled_axes(axes, n, len(shape))
    arguments.not_empty(shape, given)
    output_size = (None,) * n if output_size is None else output_size
    if arguments.is_sequence(output_size) and len(output_size) == n:
        output_size = tuple(shape[a] if s is None else s for a, s in zip(given, output_size, strict=True))
    counts = arguments.per_axis(output_size, n, "output_size", 1)
    result = list(shape)
    for a, count in zip(given, counts, strict=True):
        result[a] = count
    arguments.possible(result, "output_size gives")  # before there are tables of that many windows
    return in_order(shape, {a: adaptive(shape[a], c) for a, c in zip(given, counts, strict=True)})


def _global(shape, axes, keepdims):
    """The axes to pool, ascending, their windows, the shape of the result, and the one that the caller sees if that is another."""
    if axes is None and not shape:
        raise ValueError("x must have at least one axis to pool")
    axes = tuple(range(len(shape))) if axes is None else axes
    n = len(axes) if arguments.is_sequence(axes) else 1
    if n == 0:
        raise ValueError("axes must name at least one axis, not ()")
    given = arguments.pooled_axes(axes, n, len(shape))
    arguments.not_empty(shape, given)
    # Axes of one element count neither in results nor in indices; a kernel need not know them.
    pooled = sorted(a for a in given if shape[a] > 1) if n > MOST_AXES else sorted(given)
    pooled = pooled or [given[0]]
    shape_out = None
    if not keepdims:
        shape_out = tuple(s for a, s in enumerate(shape) if a not in given)
    elif len(pooled) > MOST_AXES:
        shape_out = tuple(1 if a in given else s for a, s in enumerate(shape))
    return *in_order(shape, {a: _whole(shape[a]) for a in pooled}), shape_out


def _whole(size):
    return sliding(size, size, size, 0, 0, 1, False, True)


def _merged(arrays, pooled, kind):
    """Arrays of one shape (or None) with their pooled axes seen as at most `MOST_AXES`, those axes, and the way back to the shape of before.

    Neighbours that lie in memory as one axis are seen as one. Where that does not do, the arrays are copied with their pooled axes side by side.
    """
    given = arrays[0].shape
    shape: list[int] = []
    axes = []
    for a, size in enumerate(given):
        if (
            a - 1 in pooled
            and a in pooled
            and all(v is None or v.strides[a - 1] == size * v.strides[a] for v in arrays)
        ):
            shape[-1] *= size
            continue
        if a in pooled:
            axes.append(len(shape))
        shape.append(size)
    if len(axes) <= MOST_AXES:
        return (
            [None if v is None else v.reshape(shape) for v in arrays],
            tuple(axes),
            lambda dx: dx.reshape(given),
        )
    free = [a for a in range(len(given)) if a not in pooled]
    turned = (*free, *pooled)
    back = tuple(turned.index(a) for a in range(len(given)))
    order = tuple(given[a] for a in turned)
    one = (*order[: len(free)], math.prod(order[len(free) :]))
    views = [None if v is None else _by_rows(v.transpose(turned), kind).reshape(one) for v in arrays]
    return views, (len(free),), lambda dx: dx.reshape(order).transpose(back)


def _by_rows(x, kind):
    """x in row-major order, copied where it is not."""
    if not dispatch.on_device(x):
        return np.ascontiguousarray(x)
    from numbapool.backends import cuda

    return cuda.copied(x, kind, by_rows=True)


_DOC = """{title}.

Parameters
----------
x : array_like
    {x}
    {dtypes}
{parameters}{dtype}{presence}{out}
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

_ADAPTIVE_X = "Any number of leading (batch, channel) axes, then the {n} pooled {axis_word}; or the pooled axes anywhere, named by `axes`."
_OUTPUT_SIZE = """output_size : int or sequence of int or None
    Number of windows, for all pooled axes or one per axis; None keeps an axis as it is. More windows than elements are allowed.
"""
_ADAPTIVE_AXES = """axes : int or sequence of int, keyword only
    The pooled axes, NumPy's convention; default: the last {n}. `output_size` follows their order.
"""
_GLOBAL_AXES = """axes : int or sequence of int, keyword only
    The axes to pool, NumPy's convention; default: the last two. None: all.
keepdims : bool, keyword only
    Keep the pooled axes, with one element each.
"""
_WINDOWS = """Window i of n along an axis of L elements is [floor(i·L/n), ceil((i+1)·L/n)): windows differ in size by at most one, and
neighbours may share an element, whose gradients add up."""
_EXAMPLES = {
    ("max", 1): ">>> nbp.adaptive_max_pool1d([0., 9., 0.], 2)\narray([9., 9.])",
    ("max", 2): ">>> nbp.adaptive_max_pool2d(np.arange(9.).reshape(3, 3), (None, 1))\n"
    "array([[2.],\n       [5.],\n       [8.]])",
    ("max", 3): ">>> nbp.adaptive_max_pool3d(np.arange(27.).reshape(3, 3, 3), 1)\narray([[[26.]]])",
    ("avg", 1): ">>> nbp.adaptive_avg_pool1d([1., 2., 3., 4., 5.], 3)\narray([1.5, 3. , 4.5])",
    ("avg", 2): ">>> nbp.adaptive_avg_pool2d(np.arange(9.).reshape(3, 3), 2)\n"
    "array([[2., 3.],\n       [5., 6.]])",
    ("avg", 3): ">>> nbp.adaptive_avg_pool3d(np.arange(8.).reshape(2, 2, 2), 1)\narray([[[3.5]]])",
    "max": ">>> nbp.global_max_pool([[1., 5.], [2., 3.]], keepdims=False)\narray(5.)",
    "min": ">>> nbp.global_min_pool([[1., 5.], [2., 3.]])\narray([[1.]])",
    "avg": ">>> nbp.global_avg_pool(np.arange(8.).reshape(2, 2, 2), keepdims=False)\narray([1.5, 5.5])",
    "sum": ">>> nbp.global_sum_pool(np.ones((3, 4), np.uint8), axes=0)\narray([[3, 3, 3, 3]], dtype=uint64)",
    "lp": ">>> nbp.global_lp_pool([[3., 0.], [0., -4.]], 2)\narray([[5.]])",
}


def _document_adaptive(function: Callable[..., Any], op: str, n: int, notes: str, **text: str) -> None:
    texts.named(function, f"adaptive_{op}_pool{n}d", __name__)
    axes, axis_word = texts.AXES[n]
    function.__doc__ = _DOC.format(
        title=f"{texts.WORDS[op].capitalize()} over a given number of windows along {axes}", x=_ADAPTIVE_X.format(n=n, axis_word=axis_word),
        dtypes=texts.DTYPES, notes=f"{_WINDOWS}\n\n{notes}", reference=f"The conventions of ``torch.nn.functional.adaptive_{op}_pool{n}d``.",
        example=_EXAMPLES[op, n], errors=texts.ERRORS.format(sizes="or a pooled axis without elements"), **text,
    )  # fmt: skip


def _document_global(function: Callable[..., Any], op: str, **text: str) -> None:
    texts.named(function, f"global_{op}_pool", __name__)
    common = {"presence": texts.PRESENCE, "out": texts.OUT.format(out="ndarray")}
    function.__doc__ = _DOC.format(
        title=f"{texts.WORDS[op].capitalize()} over whole axes", x="An array that has the pooled axes.", dtypes=texts.DTYPES,
        errors=texts.ERRORS.format(sizes="or a pooled axis without elements"),
        reference="M. Lin, Q. Chen and S. Yan, Network in Network, ICLR 2014, for average pooling.", example=_EXAMPLES[op], **common | text,
    )  # fmt: skip


def _adaptive_max(n: int):
    def pool(x, output_size, return_indices=False, *, axes=None, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return adaptive_request(
            MAX, n, x, output_size, return_indices=return_indices, axes=axes, nan_policy=nan_policy, where=where, out=out
        )  # fmt: skip

    _document_adaptive(
        pool, "max", n, notes=texts.EXTREME_NOTES.format(padding=""), dtype="", presence=texts.PRESENCE, out=texts.OUT.format(out=texts.PAIR),
        parameters=_OUTPUT_SIZE + texts.INDICES.format(what="maximum", kw="") + _ADAPTIVE_AXES.format(n=n),
        returns=f"y : ndarray\n    The maximum of every window, of x's dtype and memory order.{texts.INDEX_RETURN}",
    )  # fmt: skip
    return public(pool)


def _adaptive_avg(n: int):
    def pool(x, output_size, *, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return adaptive_request(
            AVG, n, x, output_size, axes=axes, dtype=dtype, nan_policy=nan_policy, where=where, weights=weights, out=out
        )  # fmt: skip

    _document_adaptive(
        pool, "avg", n, notes=texts.SUM_NOTES, dtype=texts.MEAN_TYPE, presence=texts.PRESENCE + texts.MEAN_WEIGHTS,
        out=texts.OUT.format(out="ndarray"), parameters=_OUTPUT_SIZE + _ADAPTIVE_AXES.format(n=n),
        returns="y : ndarray\n    The mean of every window, in x's memory order.",
    )  # fmt: skip
    return public(pool)


def _global_extreme(op: str, reduction: Reduction):
    def pool(x, *, axes=(-2, -1), keepdims=True, return_indices=False, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return global_request(
            reduction, x, axes=axes, keepdims=keepdims, return_indices=return_indices, nan_policy=nan_policy, where=where, out=out
        )  # fmt: skip

    word = texts.WORDS[op]
    _document_global(
        pool, op, notes=texts.EXTREME_NOTES.format(padding=""), dtype="", out=texts.OUT.format(out=texts.PAIR),
        parameters=_GLOBAL_AXES + texts.INDICES.format(what=word, kw=", keyword only"),
        returns=f"y : ndarray\n    The {word} over the axes, of x's dtype and memory order.{texts.INDEX_RETURN}",
    )  # fmt: skip
    return public(pool)


def _global_weighted(op: str, reduction: Reduction, dtype: str, weights: str):
    def pool(x, *, axes=(-2, -1), keepdims=True, dtype=None, nan_policy="propagate", where=None, weights=None, out=None) -> Request:  # fmt: skip
        return global_request(
            reduction, x, axes=axes, keepdims=keepdims, dtype=dtype, nan_policy=nan_policy, where=where, weights=weights, out=out
        )  # fmt: skip

    _document_global(
        pool, op, notes=texts.SUM_NOTES, dtype=dtype, presence=texts.PRESENCE + weights, parameters=_GLOBAL_AXES,
        returns=f"y : ndarray\n    The {texts.WORDS[op]} over the axes, in x's memory order.",
    )  # fmt: skip
    return public(pool)


def _global_lp():
    def pool(x, norm_type, *, axes=(-2, -1), keepdims=True, dtype=None, nan_policy="propagate", where=None, out=None) -> Request:  # fmt: skip
        return global_request(
            lp(arguments.norm(norm_type)), x, axes=axes, keepdims=keepdims, dtype=dtype, nan_policy=nan_policy, where=where, out=out
        )  # fmt: skip

    _document_global(
        pool, "lp", notes=texts.NORM_NOTES, dtype=texts.NORM_TYPE, parameters=texts.NORM + _GLOBAL_AXES,
        returns="y : ndarray\n    The norm over the axes, in x's memory order.",
    )  # fmt: skip
    return public(pool)


adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (_adaptive_max(n) for n in (1, 2, 3))
adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (_adaptive_avg(n) for n in (1, 2, 3))
global_max_pool, global_min_pool = _global_extreme("max", MAX), _global_extreme("min", MIN)
global_avg_pool = _global_weighted("avg", AVG, texts.MEAN_TYPE, texts.MEAN_WEIGHTS)
global_sum_pool = _global_weighted("sum", SUM, texts.SUM_TYPE, texts.SUM_WEIGHTS)
global_lp_pool = _global_lp()
