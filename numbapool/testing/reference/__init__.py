"""Pooling in plain NumPy: windows enumerated tap by tap, sums in exact integers or in pairs of float64.

Slow and obvious on purpose. Nothing here knows how the kernels work, and nothing but NumPy is imported.
"""

import numpy as np

from . import norms, selecting, sums, unpooling
from .arithmetic import is_floating, tolerance, ulp
from .call import Call, adaptive_windows, axis_windows, described, fractional_windows

__all__ = [
    "adaptive_windows",
    "axis_windows",
    "bounds",
    "fractional_windows",
    "is_exact",
    "is_floating",
    "reference",
    "reference_vjp",
    "ulp",
    "vjp_bounds",
]

_FAMILIES = {
    "max": selecting,
    "min": selecting,
    "avg": sums,
    "sum": sums,
    "lp": norms,
    "unpool": unpooling,
}


def is_exact(fn_name):
    """Whether the function selects or moves values, so that its result must be the reference's to the bit."""
    return described(fn_name)[1] in ("max", "min", "unpool")


def reference(fn_name, x, *args, **kwargs):
    """What the public window function `fn_name` must return, by enumerating taps in NumPy.

    Parameters
    ----------
    fn_name : str
        ``"max_pool1d"`` … ``"lp_pool3d"``, ``"adaptive_max_pool1d"`` … ``"adaptive_avg_pool3d"``, ``"global_max_pool"`` …
        ``"global_lp_pool"``, ``"fractional_max_pool2d"``, ``"fractional_max_pool3d"``, ``"max_unpool1d"`` … ``"max_unpool3d"``.
    x : array_like
        The input.
    *args, **kwargs
        The other arguments of the public function (all but ``out``). Random samples that are not given are drawn by
        ``numpy.random.default_rng(rng).random(leading shape + (N,))``.

    Returns
    -------
    ndarray, or (ndarray, ndarray) with ``return_indices=True``
        In the result's dtype, C order. Sums are exact for integers and rounded once for floats.

    Raises
    ------
    ValueError, TypeError
        For sizes that leave no output, a dtype that cannot be, and values that a function documents as errors.

    Examples
    --------
    >>> from numbapool.testing import reference
    >>> reference("max_pool2d", [[0, 1, 2], [3, 4, 5], [6, 7, 8]], 2, 1)
    array([[4, 5],
           [7, 8]])
    """
    call = Call(fn_name, x, args, kwargs)
    with np.errstate(all="ignore"):
        y, index = _FAMILIES[call.op].forward(call)
    return (call.restored(y), call.restored(index)) if call.return_indices else call.restored(y)


def reference_vjp(fn_name, x, args, kwargs, dy):
    """The gradient that the pullback of ``vjp(fn, x, *args, **kwargs)`` must return for `dy`.

    Parameters
    ----------
    fn_name : str
        As in `reference`.
    x : array_like
        The input, of a floating dtype.
    args, kwargs : tuple, dict
        The other arguments of the public function.
    dy : array_like
        The gradient of the result, broadcast to its shape and converted to its dtype.

    Returns
    -------
    ndarray, or (ndarray, ndarray) with floating ``weights``
        The gradient of x (and of the weights), accumulated in float64 and rounded once to the dtype of x.

    Examples
    --------
    >>> from numbapool.testing import reference_vjp
    >>> reference_vjp("max_pool1d", [1., 5, 2, 3, 0], (3, 1), {}, 1.0)
    array([0., 2., 0., 1., 0.])
    """
    with np.errstate(all="ignore"):
        parts = [g.astype(dtype) for g, _, dtype in _gradients(Call(fn_name, x, args, kwargs), dy)]
    return tuple(parts) if len(parts) > 1 else parts[0]


def bounds(fn_name, x, *args, **kwargs):
    """The exact result of a sum, an average or a norm, and how far from it a result may be.

    Parameters
    ----------
    fn_name, x, *args, **kwargs
        As in `reference`.

    Returns
    -------
    expected : ndarray of float64
        The result before it is rounded to its dtype.
    tolerance : ndarray of float64, or 0.0
        The largest error that the documented accuracy allows: for float32, 2⁻²² of the sum (or mean) of ``|x|`` plus
        1 ulp of the result; 0 for what only selects or moves values, and for integers but the means of 64-bit ones.
        Norms may err by a few roundings, of which small `norm_type` magnify some.
    dtype : dtype
        The dtype the result must have.
    """
    call = Call(fn_name, x, args, kwargs)
    family = _FAMILIES[call.op]
    with np.errstate(all="ignore"):
        if family in (selecting, unpooling):
            return call.restored(family.forward(call)[0]), 0.0, call.dtype
        if is_floating(call.dtype):
            expected, size = family.expected(call)
            allowed = tolerance(expected, size, call.dtype, call.taps_per_window)
        else:
            expected, allowed = family.forward(call)[0], family.integer_tolerance(call)
    return call.restored(expected), call.restored(np.broadcast_to(allowed, call.shape)), call.dtype


def vjp_bounds(fn_name, x, args, kwargs, dy):
    """The exact gradient of `reference_vjp`, and how far from it a gradient may be.

    Parameters
    ----------
    fn_name, x, args, kwargs, dy
        As in `reference_vjp`.

    Returns
    -------
    expected, tolerance, dtype
        As in `bounds`; with floating ``weights`` a pair of such triples. What a maximum or minimum passes on from one
        window alone must be exact; sums may err by a few roundings.
    """
    call, parts = Call(fn_name, x, args, kwargs), []
    with np.errstate(all="ignore"):
        for gradient, size, dtype in _gradients(call, dy):
            # float64 weights of a float32 array: no more than the products of float32 are asked for
            working = np.float32 if dtype == np.float64 != call.x.dtype else dtype
            allowed = tolerance(gradient, size, working, call.taps_per_window, gradient=True)
            parts.append((gradient, allowed, dtype))
    return tuple(parts) if len(parts) > 1 else parts[0]


def _gradients(call, dy):
    """For every differentiable argument its gradient in float64, the sum of magnitudes in it, and its dtype."""
    if not is_floating(call.x.dtype):
        raise TypeError(f"x must be floating, got {call.x.dtype}")
    dy = call.moved_result(np.asarray(dy).astype(call.dtype).astype(np.float64))
    parts = [[call.restored_input(a) for a in pair] for pair in _FAMILIES[call.op].backward(call, dy)]
    yield *parts[0], call.x.dtype
    if len(parts) > 1:
        yield *(_unbroadcast(a, call.weights_shape) for a in parts[1]), call.weights_dtype


def _unbroadcast(array, shape):
    """Summed over the axes along which something of `shape` was broadcast."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    repeated = tuple(a for a, size in enumerate(shape) if size == 1 and array.shape[a] != 1)
    return array.sum(axis=repeated, keepdims=True)
