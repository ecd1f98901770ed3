"""Gradients checked against central differences."""

import inspect

import numpy as np


def gradcheck(fn, /, *args, step=1e-5, tolerance=1e-6, seed=0, **kwargs):
    """Compare the pullback of ``numbapool.vjp(fn, *args, **kwargs)`` with central differences in float64.

    Parameters
    ----------
    fn : callable
        A differentiable function of this package.
    *args, **kwargs
        Its arguments. Every argument that is a floating array (but `random_samples`) is differentiated, and must be
        float64. Elements that compete in a maximum or minimum should differ by more than 2 `step`.
    step : float
        Half the distance between the two points of a difference.
    tolerance : float
        The largest allowed error, relative to the larger of 1 and the largest element of the gradient.
    seed : int
        For the random `dy`.

    Raises
    ------
    AssertionError
        Where they differ.

    Examples
    --------
    >>> import numpy as np, numbapool as nbp
    >>> from numbapool.testing import gradcheck
    >>> gradcheck(nbp.avg_pool2d, np.random.default_rng(0).random((2, 5, 6)), 3, stride=2, padding=1)
    """
    from numbapool import vjp

    bound = inspect.signature(fn).bind(*args, **kwargs)
    arrays = {n: v for n, v in bound.arguments.items() if isinstance(v, np.ndarray) and n != "random_samples"}
    names = [n for n, v in arrays.items() if v.dtype.kind == "f"]
    for name in names:
        if bound.arguments[name].dtype != np.float64:
            raise TypeError(f"{name} must be float64, got {bound.arguments[name].dtype}")
    with_indices = bool(bound.arguments.get("return_indices"))

    def value(**changed):
        call = inspect.BoundArguments(bound.signature, {**bound.arguments, **changed})
        y = fn(*call.args, **call.kwargs)
        return y[0] if with_indices else y

    y, pullback = vjp(fn, *args, **kwargs)
    y = y[0] if with_indices else y
    several = isinstance(y, (tuple, list))
    rng = np.random.default_rng(seed)
    dy = [rng.uniform(-1, 1, np.shape(part)) for part in y] if several else rng.uniform(-1, 1, np.shape(y))
    gradients = pullback(tuple(dy) if several else dy)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    if len(gradients) != len(names):
        raise AssertionError(f"{len(gradients)} gradients for the arguments {names}")

    def loss(**changed):
        parts = zip(value(**changed), dy, strict=True) if several else [(value(**changed), dy)]
        return sum(float(np.sum(np.multiply(part, weight))) for part, weight in parts)

    for name, gradient in zip(names, gradients, strict=True):
        at = bound.arguments[name]
        if (gradient.shape, gradient.dtype) != (at.shape, at.dtype):
            raise AssertionError(
                f"gradient of {name} is {gradient.dtype}{gradient.shape}, not {at.dtype}{at.shape}"
            )
        numeric = np.empty(at.shape)
        for i in np.ndindex(at.shape):
            above, below = at.copy(), at.copy()
            above[i] += step
            below[i] -= step
            numeric[i] = (loss(**{name: above}) - loss(**{name: below})) / (above[i] - below[i])
        error = np.abs(gradient - numeric).max(initial=0)
        allowed = tolerance * max(1.0, np.abs(numeric).max(initial=0))
        if not error <= allowed:
            worst = np.unravel_index(np.nanargmax(np.abs(gradient - numeric)), at.shape)
            raise AssertionError(
                f"gradient of {name} is off by {error:.3g} (allowed {allowed:.3g}), at {worst}: "
                f"{gradient[worst]!r}, central difference {numeric[worst]!r}"
            )
