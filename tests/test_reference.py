"""The reference itself: the documented numbers, SciPy, and torch where the documentation follows it."""

import numpy as np
import pytest
from cases import DOCUMENTED, DOCUMENTED_GRADIENTS, OPS, OPTIONS_1D, OPTIONS_2D, OPTIONS_3D, array

from numbapool.testing import assert_matches, bounds, reference, reference_vjp, vjp_bounds
from numbapool.testing.reference import axis_windows, ulp


@pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expect"), DOCUMENTED)
def test_documented(fn, x, args, kwargs, expect):
    actual = reference(fn, x, *args, **kwargs)
    if isinstance(expect, tuple):
        np.testing.assert_array_equal(actual[1], expect[1])
        actual, expect = actual[0], expect[0]
    if isinstance(expect, np.ndarray):
        assert actual.dtype == expect.dtype
    np.testing.assert_array_equal(actual, expect)
    assert (
        (np.signbit(actual) == np.signbit(expect)).all() or actual.dtype.kind != "f" or np.isnan(actual).any()
    )


@pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expect"), DOCUMENTED_GRADIENTS)
def test_documented_gradient(fn, x, args, kwargs, expect):
    np.testing.assert_array_equal(reference_vjp(fn, x, args, kwargs, 1.0), expect)


def test_windows():
    positions, end = axis_windows(5, 3, 2, (1, 0), 2, False)
    np.testing.assert_array_equal(positions, [[-1, 1, 3]])
    assert end == 5
    positions, end = axis_windows(5, 2, 2, "same")
    np.testing.assert_array_equal(positions, [[0, 1], [2, 3], [4, 5]])
    assert end == 6
    assert len(axis_windows(2, 3, 2, (0, 0), ceil_mode=True)[0]) == 1
    for size, kernel, stride, padding, ceil in [
        (2, 3, 2, (0, 0), False), (2, 4, 2, (0, 0), True), (2, 3, 1, (0, 0), True), (4, 2, 1, (2, 0), False),
        (4, 2, 1, (0, -1), False), (0, 1, 1, (0, 0), False), (4, 2, 0, (0, 0), False),
        (4, 0, 1, "same", False),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=r"size|padding"):
            axis_windows(size, kernel, stride, padding, 1, ceil)


def test_ulp():
    for dtype in ("float16", "float32", "float64"):
        values = np.array([1.0, 0.3, 7, 1000, 0, np.finfo(dtype).tiny, np.finfo(dtype).tiny / 4], dtype)
        np.testing.assert_array_equal(ulp(values, dtype), np.spacing(values).astype(float))
    assert ulp(1.0, np.dtype("float32")) == 2.0**-23


def test_averages_of_integers_are_exact():
    values = np.int64([2**62 + 1, 2**62, -(2**63), 2**63 - 1])
    assert reference("avg_pool1d", values[:2], 2, dtype=np.int64) == 2**62  # half to even
    assert reference("avg_pool1d", values, 4, dtype=np.int64) == 2**61
    assert reference("avg_pool1d", np.uint64([2**64 - 1] * 3), 3, dtype=np.uint64) == np.uint64(2**64 - 1)
    assert reference("sum_pool1d", np.int64([2**62] * 3), 3) == -(2**62)  # wraps as NumPy
    with np.errstate(over="ignore"):
        assert reference("sum_pool1d", values, 4, dtype=np.int16) == values.astype(np.int16).sum(
            dtype=np.int16
        )


def test_sums_lose_nothing():
    x = np.array([1e16, 1.0, -1e16, 1e-3])
    assert reference("sum_pool1d", x, 4) == 1.001
    assert reference("sum_pool1d", x.astype(np.float32), 4) == np.float32(1 + np.float64(np.float32(1e-3)))
    expected, tolerance, dtype = bounds("avg_pool1d", np.float32([3, -4]), 2)
    assert (expected, dtype) == (-0.5, np.float32)
    assert tolerance == 2.0**-22 * 3.5 + 2.0**-24


@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_scipy(dtype):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = array((14, 15), dtype, "ties")
    for op, ours, kwargs in [
        ("maximum", "max_pool2d", {"mode": "constant", "cval": -100}),
        ("minimum", "min_pool2d", {"mode": "constant", "cval": 100}),
    ]:
        theirs = getattr(ndimage, f"{op}_filter")(x, (3, 5), **kwargs)
        np.testing.assert_array_equal(reference(ours, x, (3, 5), 1, (1, 2)), theirs)
        np.testing.assert_array_equal(reference(ours, x, (3, 5), (2, 3), (1, 2)), theirs[::2, ::3])
    theirs = ndimage.uniform_filter(x.astype(float), (3, 5), mode="constant")
    np.testing.assert_allclose(reference("avg_pool2d", x, (3, 5), 1, (1, 2)), theirs, rtol=1e-12, atol=1e-12)


def test_axes_and_order():
    x = array((4, 3, 5, 6), kind="ties")
    for axes in [(1, 2), (2, 1), (0, -1), (3, 0)]:
        there = np.moveaxis(x, sorted(a % 4 for a in axes), (2, 3))
        kernel = (2, 3) if axes[0] % 4 < axes[1] % 4 else (3, 2)
        y, index = reference("max_pool2d", there, kernel, 1, return_indices=True)
        back = sorted(a % 4 for a in axes)
        got = reference("max_pool2d", x, (2, 3), 1, axes=axes, return_indices=True)
        np.testing.assert_array_equal(got[0], np.moveaxis(y, (2, 3), back))
        np.testing.assert_array_equal(got[1], np.moveaxis(index, (2, 3), back))


def test_assert_matches_notices():
    good = np.float32([1, 0, np.nan])
    assert_matches(good, good)
    assert_matches(good, good.astype(float), 0.0, np.float32)
    for bad in (np.float32([1, -0.0, np.nan]), np.float32([1, 0, 0]), np.float64([1, 0, np.nan]), np.float32([1, 0]),
                np.float32([np.nextafter(np.float32(1), 2), 0, np.nan]), good.view(np.recarray)):  # fmt: skip
        with pytest.raises(AssertionError):
            assert_matches(bad, good)
    assert_matches(np.float32([1.0001]), np.array([1.0]), 1e-3, np.float32)
    for value in (1.01, np.inf, np.nan):
        with pytest.raises(AssertionError, match=r"\(0,\)"):
            assert_matches(np.float32([value]), np.array([1.0]), 1e-3, np.float32)


def test_only_numpy_is_imported(run_python):
    code = """
        import sys, numpy
        before = set(sys.modules)
        import numbapool.testing
        new = {m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)
        assert new <= {'numbapool', 'numpy'}, new
    """
    run_python(code)


def _torch_knows(op, case):
    kernel = case.kernel if isinstance(case.kernel, tuple) else (case.kernel,)
    if not isinstance(case.padding, int) or 2 * case.padding > min(kernel):
        return False
    if op == "sum":
        return case.n > 1 and case.dilation == 1
    return op != "avg" or (case.dilation == 1 and (case.n > 1 or case.divisor is None))


_KNOWN = [
    (op, case) for op in OPS for case in [*OPTIONS_1D, *OPTIONS_2D, *OPTIONS_3D] if _torch_knows(op, case)
]


@pytest.mark.peers
@pytest.mark.parametrize(("op", "case"), _KNOWN, ids=[f"{op}-{case.n}d-{case.id}" for op, case in _KNOWN])
def test_torch(op, case):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    functional, fn, options = torch.nn.functional, case.function(op), case.options(op)
    sign = -1 if op == "min" else 1
    x = array(case.shape, "float64")
    leaf = torch.tensor(sign * x, requires_grad=True)
    stride = case.kernel if case.stride is None else case.stride
    if op in ("max", "min"):
        pool = getattr(functional, f"max_pool{case.n}d")
        y, index = pool(
            leaf, case.kernel, stride, case.padding, case.dilation, case.ceil, return_indices=True
        )
        ours = reference(fn, x, **options, return_indices=True)
        np.testing.assert_array_equal(ours[1], index.numpy())
        np.testing.assert_array_equal(ours[0], sign * y.detach().numpy())
    else:
        more = () if case.n == 1 else (1 if op == "sum" else case.divisor,)
        pool = getattr(functional, f"avg_pool{case.n}d")
        y = pool(leaf, case.kernel, stride, case.padding, case.ceil, case.include, *more)
        assert_matches(y.detach().numpy(), *bounds(fn, x, **options))
    dy = array(tuple(y.shape), "float64", seed=1)
    y.backward(torch.tensor(sign * dy))
    assert_matches(sign * leaf.grad.numpy(), *vjp_bounds(fn, x, (), options, dy))
