"""For tests, yours and ours: a NumPy reference of the pooling functions, accuracy bounds, gradient checks.

Only NumPy is imported; the functions under test are looked up when they are called.
"""

import importlib

import numpy as np

from .gradcheck import gradcheck
from .reference import bounds, is_exact, reference, reference_vjp, vjp_bounds

__all__ = [
    "assert_matches",
    "bounds",
    "check",
    "check_vjp",
    "gradcheck",
    "reference",
    "reference_vjp",
    "vjp_bounds",
]


def assert_matches(actual, expected, tolerance=None, dtype=None):
    """Assert that an array is what it should be: exactly, or within a tolerance for every element.

    Parameters
    ----------
    actual : ndarray
        The result under test.
    expected : ndarray
        What it should be: of the same dtype, or unrounded in float64 where `dtype` says what `actual` must be.
    tolerance : ndarray or float, optional
        The largest allowed error of each element. None: equal, down to the sign of a zero (not of a NaN).
    dtype : dtype, optional
        The dtype `actual` must have; by default that of `expected`.

    Raises
    ------
    AssertionError
        Naming the worst element.

    Examples
    --------
    >>> import numpy as np
    >>> from numbapool.testing import assert_matches
    >>> assert_matches(np.float32([0.1]), np.array([0.1]), tolerance=1e-8, dtype=np.float32)
    """
    expected = np.asarray(expected)
    dtype = np.dtype(expected.dtype if dtype is None else dtype)
    if type(actual) is not np.ndarray:
        raise AssertionError(f"a {type(actual).__name__}, not an ndarray")
    if actual.dtype != dtype or not actual.dtype.isnative:
        raise AssertionError(f"dtype {actual.dtype}, not {dtype}")
    if actual.shape != expected.shape:
        raise AssertionError(f"shape {actual.shape}, not {expected.shape}")
    with np.errstate(all="ignore"):
        rounded = expected.astype(dtype)
        same = (actual == rounded) | ((actual != actual) & (rounded != rounded))
        if tolerance is None:
            if dtype.kind not in "biu":  # 0.0 == -0.0, but a maximum keeps the first
                same &= (np.signbit(actual) == np.signbit(rounded)) | (rounded != rounded)
        elif dtype.kind in "iu":
            apart = np.where(actual > rounded, actual - rounded, rounded - actual)
            same |= apart.astype(np.float64) <= tolerance
        elif dtype.kind != "b":
            # what overflows or is NaN must do so exactly
            error = np.abs(actual.astype(np.float64) - expected)
            same |= np.isfinite(rounded.astype(np.float64)) & (error <= tolerance)
    if same.all():
        return
    wrong = np.argwhere(~same)
    first = tuple(int(i) for i in wrong[0])
    allowed = "" if tolerance is None else f" ± {np.broadcast_to(tolerance, expected.shape)[first]:.3g}"
    raise AssertionError(
        f"{len(wrong)} of {actual.size} elements are wrong, the first at {first}: "
        f"{actual[first]!r}, not {expected[first]!r}{allowed}"
    )


def check(fn_name, x, *args, **kwargs):
    """Call a public function and assert that its result is what the reference says; returns the result.

    Parameters
    ----------
    fn_name : str
        As in `reference`.
    x, *args, **kwargs
        The arguments of the function.

    Returns
    -------
    ndarray or (ndarray, ndarray)
        What the function returned.

    Examples
    --------
    >>> import numpy as np
    >>> from numbapool.testing import check
    >>> check("avg_pool2d", np.arange(9.0).reshape(3, 3), 2, 1)
    array([[2., 3.],
           [5., 6.]])
    """
    y = getattr(importlib.import_module("numbapool"), fn_name)(x, *args, **kwargs)
    given = {k: v for k, v in kwargs.items() if k != "out"}
    if is_exact(fn_name):
        expected = reference(fn_name, x, *args, **given)
        for part, value in zip(
            *((y, expected) if isinstance(expected, tuple) else ((y,), (expected,))), strict=True
        ):
            assert_matches(part, value)
    else:
        assert_matches(y, *bounds(fn_name, x, *args, **given))
    return y


def check_vjp(fn_name, x, args, kwargs, dy):
    """Call `numbapool.vjp`, assert that value and gradient are what the reference says, and return both.

    Parameters
    ----------
    fn_name, x, args, kwargs, dy
        As in `reference_vjp`.

    Returns
    -------
    y : ndarray or (ndarray, ndarray)
    dx : ndarray or (ndarray, ndarray)
        The gradients of x and of floating `weights`.

    Examples
    --------
    >>> import numpy as np
    >>> from numbapool.testing import check_vjp
    >>> y, dx = check_vjp("max_pool1d", np.array([1., 5, 2, 3, 0]), (3, 1), {}, np.ones(3))
    >>> dx
    array([0., 2., 0., 1., 0.])
    """
    package = importlib.import_module("numbapool")
    y, pullback = package.vjp(getattr(package, fn_name), x, *args, **kwargs)
    value = y[0] if isinstance(y, tuple) else y
    assert_matches(value, *bounds(fn_name, x, *args, **kwargs))
    dx = pullback(dy)
    expected = vjp_bounds(fn_name, x, args, kwargs, dy)
    if isinstance(dx, tuple):
        for gradient, part in zip(dx, expected, strict=True):
            assert_matches(gradient, *part)
    else:
        assert_matches(dx, *expected)
    return y, dx
