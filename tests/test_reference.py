"""The reference itself: the documented numbers, NumPy, SciPy, torch where the documentation follows it, differences."""

import ml_dtypes
import numpy as np
import pytest
from cases import DOCUMENTED, DOCUMENTED_GRADIENTS, OPS, OPTIONS_1D, OPTIONS_2D, OPTIONS_3D, array

from numbapool.testing import assert_matches, bounds, reference, reference_vjp, vjp_bounds
from numbapool.testing.reference import adaptive_windows, axis_windows, fractional_windows, is_exact, ulp

inf, nan = np.inf, np.nan


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


# fmt: off
_ONE_TO_FIVE = [1.0, 2, 3, 4, 5]
_MAP = np.tile([0.0, 0, 3, 3, 0, 0], (6, 1)).reshape(1, 6, 6, 1)
_HUGE, _TINY = np.float32([1e30, 1e30]), np.float32([1e-30, 1e-30])
_INT8_MASKED = {"where": [False, False, True, True], "return_indices": True}

# function, x, positional arguments, keyword arguments, result (a tuple with indices)
MORE = [
    # NaN policies and masks of maxima and minima
    ("max_pool1d", [1, nan, nan, nan, 3, 2], (2,), {"nan_policy": "omit", "return_indices": True}, ([1, nan, 3], [0, -1, 4])),
    ("min_pool1d", [1, nan, nan, nan, 3, 2], (2,), {"nan_policy": "omit", "return_indices": True}, ([1, nan, 2], [0, -1, 5])),
    ("max_pool1d", [nan, 1, nan, nan], (2,), {"where": [True, True, False, False], "nan_policy": "omit"}, [1, -inf]),
    ("min_pool1d", [nan, 1, nan, nan], (2,), {"where": [True, True, False, True], "nan_policy": "omit"}, [1, nan]),
    ("max_pool1d", [nan, 1, 2, nan], (2,), {"where": [False, True, True, False]}, [1, 2]),
    ("max_pool1d", [nan, 1, 2, nan], (2,), {"where": [False, True, True, False], "nan_policy": "raise"}, [1, 2]),
    ("max_pool1d", np.int8([1, 2, 3, 4]), (2,), _INT8_MASKED, (np.int8([-128, 4]), [-1, 3])),
    ("min_pool1d", np.int8([1, 2, 3, 4]), (2,), _INT8_MASKED, (np.int8([127, 3]), [-1, 2])),
    ("max_pool1d", np.array([True, True]), (2,), {"where": False}, np.array([False])),
    ("min_pool1d", np.array([False, False]), (2,), {"where": False}, np.array([True])),
    ("max_pool1d", [3.0, 5, 5, 5], (4,), {"where": [True, False, True, True], "return_indices": True}, ([5], [2])),
    ("max_pool1d", [-inf, -inf], (2,), {"where": [False, True], "return_indices": True}, ([-inf], [1])),
    ("max_pool1d", [[1.0, 2], [3, 4]], (2,), {"where": [[False, True]]}, [[2], [4]]),
    ("max_pool1d", [[1.0, 2], [3, 4]], (2,), {"where": [[False], [True]], "axes": 0}, [[3, 4]]),
    # and of averages and sums: padding no longer counts, whatever the data
    ("avg_pool1d", [1, nan, nan, nan], (2,), {"nan_policy": "omit"}, [1, nan]),
    ("sum_pool1d", [1, nan, nan, nan], (2,), {"nan_policy": "omit"}, [1, 0]),
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"nan_policy": "omit"}, [1, 2.5]),
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"nan_policy": "raise"}, [0.5, 2.5]),
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"where": True}, [1, 2.5]),
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"weights": [1, 1, 1]}, [1, 2.5]),
    ("avg_pool1d", np.uint8([1, 2, 3]), (2, 2, 1), {"nan_policy": "omit"}, [1, 2.5]),
    ("avg_pool1d", [1.0, nan], (2,), {"where": [True, False]}, [1]),
    ("avg_pool1d", [1.0, 2, 3, 4], (2,), {"where": [True, True, False, False]}, [1.5, nan]),
    ("sum_pool1d", [1.0, 2, 3, 4], (2,), {"where": [True, True, False, False]}, [3, 0]),
    ("avg_pool1d", np.uint8([1, 2, 4, 9]), (2,), {"where": [True, True, False, False], "dtype": "uint8"}, np.uint8([2, 0])),
    ("sum_pool1d", np.uint8([1, 2, 4, 9]), (2,), {"where": [True, True, False, True]}, np.uint64([3, 9])),
    # weights
    ("avg_pool1d", [1.0, 2, 3, 4], (2,), {"weights": [1, 3, 1, 0]}, [1.75, 3]),
    ("sum_pool1d", [1.0, 2, 3, 4], (2,), {"weights": [1, 3, 1, 0]}, [7, 3]),
    ("avg_pool1d", [1.0, 2, 3, 4], (2,), {"weights": [1, -1, 0, 0]}, [nan, nan]),
    ("sum_pool1d", [1.0, 2, 3, 4], (2,), {"weights": [1, -1, 0, 0]}, [-1, 0]),
    ("avg_pool1d", [1.0, nan, 3, inf, 5, -inf], (2,), {"weights": [1.0, 0, 1, 0, 1, 0]}, [nan, nan, nan]),
    ("avg_pool1d", [1.0, nan, 3, 4], (2,), {"weights": [1.0, 5, 1, 3], "nan_policy": "omit"}, [1, 3.75]),
    ("avg_pool1d", [1.0, nan, 3, 4], (2,), {"weights": [2.0, 0, 1, 3], "where": [True, False, True, True]}, [1, 3.75]),
    ("avg_pool1d", np.float32([1, 2]), (2,), {"weights": np.float64([1, 3])}, np.float32([1.75])),
    ("avg_pool1d", np.uint8([1, 2]), (2,), {"weights": np.float32([1, 3])}, np.float64([1.75])),
    ("sum_pool1d", np.uint8([1, 2]), (2,), {"weights": [1, 3]}, np.float64([7])),
    ("avg_pool1d", np.uint8([1, 2, 2, 3, 9, 9]), (2,), {"weights": [1, 1, 1, 1, 1, -1], "dtype": "uint8"}, np.uint8([2, 2, 0])),
    ("avg_pool1d", np.uint8([200, 0]), (2,), {"weights": [2, -1], "dtype": "uint8"}, np.uint8([255])),
    # Lp
    ("lp_pool1d", [3.0, 4, 5], (2, 2), {"ceil_mode": True}, [5, 5]),
    ("lp_pool1d", [-1.0, -1], (3, 2), {}, [2 ** (1 / 3)]),
    ("lp_pool1d", [3.0, -5, 4], (inf, 3), {}, [5]),
    ("lp_pool1d", [3.0, -5, 4], (-inf, 3), {}, [3]),
    ("lp_pool1d", [3.0, -5, 4], (1, 3), {}, [12]),
    ("lp_pool1d", [4.0, 9], (0.5, 2), {}, [25]),
    ("lp_pool1d", [4.0, -4], (-1, 2), {}, [2]),
    ("lp_pool1d", [4.0, 0], (-1, 2), {}, [0]),
    ("lp_pool1d", [0.0, 0], (-2, 2), {}, [0]),
    ("lp_pool1d", [0.0, 0], (2, 2), {}, [0]),
    ("lp_pool1d", _HUGE, (8, 2), {}, np.float32([1e30 * 2 ** (1 / 8)])),
    ("lp_pool1d", _TINY, (8, 2), {}, np.float32([1e-30 * 2 ** (1 / 8)])),
    ("lp_pool1d", _TINY, (-8, 2), {}, np.float32([1e-30 * 2 ** (-1 / 8)])),
    ("lp_pool1d", [3e300, 4e300, 3e-320, 4e-320], (2, 2), {}, [5e300, 5e-320]),
    ("lp_pool1d", [inf, 1, -inf, inf], (2, 2), {}, [inf, inf]),
    ("lp_pool1d", [inf, 1, -inf, inf], (-1, 2), {}, [1, inf]),
    ("lp_pool1d", [inf, nan, 1, nan], (2, 2), {}, [nan, nan]),
    ("lp_pool1d", [inf, nan, 1, nan], (inf, 2), {}, [nan, nan]),
    ("lp_pool1d", [3.0, nan, nan, nan], (2, 2), {"nan_policy": "omit"}, [3, 0]),
    ("lp_pool1d", [3.0, nan, nan, nan], (inf, 2), {"nan_policy": "omit"}, [3, 0]),
    ("lp_pool1d", [3.0, 4, 5], (2, 2), {"where": [True, False, True]}, [3]),
    ("lp_pool1d", [3.0], (2, 2, 1), {"padding": 1, "dilation": 2}, [0]),
    ("lp_pool1d", np.int8([-128, 0]), (2, 2), {}, np.float64([128])),
    ("lp_pool1d", np.int8([-3, 4]), (2, 2), {"dtype": "float32"}, np.float32([5])),
    ("lp_pool2d", [[1.0, 1], [1, 1]], (2, 2), {}, [[2]]),
    # adaptive
    ("adaptive_avg_pool1d", _ONE_TO_FIVE, (3,), {}, [1.5, 3, 4.5]),
    ("adaptive_avg_pool1d", _ONE_TO_FIVE, (2,), {}, [2, 4]),
    ("adaptive_avg_pool1d", [1.0, 2], (5,), {}, [1, 1, 1.5, 2, 2]),
    ("adaptive_max_pool1d", [0.0, 9, 0], (2, True), {}, ([9, 9], [1, 1])),
    ("adaptive_avg_pool2d", np.ones((3, 4)), ((None, 2),), {}, np.ones((3, 2))),
    ("adaptive_avg_pool2d", np.arange(12.0).reshape(3, 4), ((1, None),), {"axes": (1, 0)}, [[1.5], [5.5], [9.5]]),
    ("adaptive_avg_pool1d", np.uint8([1, 2, 4]), (2,), {"dtype": "uint8"}, np.uint8([2, 3])),
    ("adaptive_avg_pool1d", [1.0, nan, 3], (2,), {"nan_policy": "omit"}, [1, 3]),
    ("adaptive_avg_pool1d", [1.0, 2, 4], (2,), {"weights": [1, 0, 3]}, [1, 4]),
    # global: a map seen by a line detector
    ("global_max_pool", _MAP, (), {"axes": (1, 2), "keepdims": False}, [[3]]),
    ("global_avg_pool", _MAP, (), {"axes": (1, 2), "keepdims": False}, [[1]]),
    ("global_max_pool", _MAP, (), {"axes": (1, 2), "return_indices": True}, ([[[[3]]]], [[[[2]]]])),
    ("global_min_pool", [[3.0, 1], [2, 1]], (), {"keepdims": False, "return_indices": True}, (1, 1)),
    ("global_sum_pool", np.ones((2, 3, 4), bool), (), {"axes": 1}, np.full((2, 1, 4), 3)),
    ("global_lp_pool", [[3.0, 0], [0, -4]], (2,), {}, [[5]]),
    ("global_avg_pool", [[1.0, nan], [3, 8]], (), {"nan_policy": "omit", "where": [[True], [False]]}, [[1]]),
    ("global_max_pool", np.arange(16.0).reshape(2, 2, 2, 2), (), {"axes": (0, 1, 2, 3), "keepdims": False}, 15),
    # norms of windows; the summaries of four quadrants
    ("lp_pool2d", [[3.0, 4, 0], [0, 0, 12]], (2, (2, 2), 1), {}, [[5, 12.649110640673518]]),
    ("adaptive_max_pool2d", np.arange(35.0).reshape(5, 7), (2,), {}, [[17, 20], [31, 34]]),
    ("adaptive_max_pool2d", np.arange(99.0).reshape(9, 11), (2,), {}, [[49, 54], [93, 98]]),
    # fractional
    ("fractional_max_pool2d", [[1.0, 5, 2, 4, 3]] * 5, (2, (3, 3)), {"random_samples": [0.0, 0.5]}, [[5, 5, 4]] * 3),
    # unpooling; a duplicate index: the last one wins
    ("max_unpool1d", [5.0, 3], (np.array([1, 2]), 2), {}, [0, 5, 3, 0]),
    ("max_unpool1d", [5.0, 3], (np.array([1, -1]), 2), {}, [0, 5, 0, 0]),
    ("max_unpool1d", [5.0, 3, 4], (np.array([1, 1, 0]), 1), {}, [4, 3, 0]),
    ("max_unpool1d", [5.0, 3], (np.array([1, 4]), 2), {"output_size": 5}, [0, 5, 0, 0, 3]),
    ("max_unpool1d", [5.0, 3], (np.array([0, 2]), 3, 2, 1), {}, [5, 0, 3]),
    ("max_unpool1d", [5.0, 3], (np.array([0, 2]), 3, 2, (1, 0)), {}, [5, 0, 3, 0]),
    ("max_unpool1d", [5.0, 3], (np.array([0, 2]), 2, 2, "same"), {"output_size": 3}, [5, 0, 3]),
    ("max_unpool1d", [[5.0, 3]], (np.array([[1, 2]]), 2), {"output_size": (1, 5)}, [[0, 5, 3, 0, 0]]),
    ("max_unpool2d", np.int8([[1, 2]]), (np.array([[0, 3]]), 2), {}, np.int8([[1, 0, 0, 2], [0, 0, 0, 0]])),
    ("max_unpool2d", np.int8([[1], [2]]), (np.array([[0], [7]]), 2), {"axes": (1, 0), "output_size": (3, 4)},
     np.int8([[1, 0, 0], [0, 0, 0], [0, 2, 0], [0, 0, 0]])),
]

# The same for gradients of dy = 1; a tuple: of x and of the weights.
MORE_GRADIENTS = [
    ("max_pool1d", [1, nan, nan, nan, 3, 2], (2,), {"nan_policy": "omit"}, [1, 0, 0, 0, 1, 0]),
    ("max_pool1d", [1.0, 5, 5, 2], (4,), {"where": [True, False, True, True]}, [0, 0, 1, 0]),
    ("avg_pool1d", [1, nan, 3, nan, nan, nan], (2,), {"nan_policy": "omit"}, [1, 0, 1, 0, 0, 0]),
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"where": True}, [1, 0.5, 0.5]),
    ("sum_pool1d", [1.0, 2, 3, 4], (2,), {"where": [True, False, False, False]}, [1, 0, 0, 0]),
    ("avg_pool1d", [1.0, 2, 3, 4], (2,), {"weights": [1, 3, 1, 0]}, [0.25, 0.75, 1, 0]),
    ("avg_pool1d", [1.0, 2, 3, 4], (2,), {"weights": [1.0, 3, 1, 0]}, ([0.25, 0.75, 1, 0], [-0.1875, 0.0625, 0, 1])),
    ("sum_pool1d", [1.0, 2, 3, 4], (2,), {"weights": [1.0, 3, 1, 0]}, ([1, 3, 1, 0], [1, 2, 3, 4])),
    ("avg_pool1d", [1.0, 2, 3, 5], (2,), {"weights": [1.0, -1, 1, 1]}, ([0, 0, 0.5, 0.5], [0, 0, -0.5, 0.5])),
    ("sum_pool1d", [[1.0, 2], [3, 4]], (2,), {"weights": [2.0, 3]}, ([[2, 3], [2, 3]], [4, 6])),
    ("sum_pool1d", [[1.0, 2], [3, 4]], (2,), {"weights": [[2.0], [3.0]]}, ([[2, 2], [3, 3]], [[3], [7]])),
    ("sum_pool1d", [[1.0, nan], [3, 4]], (2,), {"weights": 2.0, "nan_policy": "omit"}, ([[2, 0], [2, 2]], 8)),
    ("lp_pool1d", [3.0, -4], (2, 2), {}, [0.6, -0.8]),
    ("lp_pool1d", [0.0, 0], (2, 2), {}, [0, 0]),
    ("lp_pool1d", [0.0, 0], (0.5, 2), {}, [0, 0]),
    ("lp_pool1d", [0.0, -2], (1, 2), {}, [0, -1]),
    ("lp_pool1d", [0.0, 2], (-1, 2), {}, [0, 0]),
    ("lp_pool1d", [-5.0, 5, 3], (inf, 3), {}, [-1, 0, 0]),
    ("lp_pool1d", [-3.0, 5, 3], (-inf, 3), {}, [-1, 0, 0]),
    ("lp_pool1d", [0.0, 0], (inf, 2), {}, [0, 0]),
    ("lp_pool1d", [3.0, 4, nan], (2, 3), {"nan_policy": "omit"}, [0.6, 0.8, 0]),
    ("lp_pool1d", [3.0, 4, 9], (inf, 3), {"where": [True, True, False]}, [0, 1, 0]),
    ("lp_pool1d", [3.0], (2, 2, 1), {"padding": 1, "dilation": 2}, [0]),
    ("adaptive_max_pool1d", [0.0, 9, 0], (2,), {}, [0, 2, 0]),
    ("adaptive_avg_pool1d", _ONE_TO_FIVE, (3,), {}, [1 / 2, 5 / 6, 1 / 3, 5 / 6, 1 / 2]),
    ("global_max_pool", [[1.0, 7], [7, 2]], (), {"keepdims": False}, [[0, 1], [0, 0]]),
    ("global_avg_pool", np.ones((2, 2, 2)), (), {"keepdims": False}, np.full((2, 2, 2), 0.25)),
    ("max_unpool1d", [5.0, 3, 4, 6], (np.array([1, 1, 0, -1]), 1), {}, [0, 1, 1, 0]),
]
# fmt: on


def _rows(table):
    ids = [f"{i}-{row[0]}" for i, row in enumerate(table)]
    return pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expect"), table, ids=ids)


@_rows(MORE)
def test_numbers(fn, x, args, kwargs, expect):
    actual = reference(fn, x, *args, **kwargs)
    if isinstance(expect, tuple):
        assert actual[1].dtype == np.int64
        np.testing.assert_array_equal(actual[1], expect[1])
        actual, expect = actual[0], expect[0]
    if isinstance(expect, np.ndarray):
        assert actual.dtype == expect.dtype
    assert actual.shape == np.shape(expect)
    np.testing.assert_allclose(actual, expect, rtol=0 if is_exact(fn) else 1e-15)
    assert_matches(actual, *bounds(fn, x, *args, **kwargs))


@_rows(MORE_GRADIENTS)
def test_gradient_numbers(fn, x, args, kwargs, expect):
    actual = reference_vjp(fn, x, args, kwargs, 1.0)
    assert isinstance(actual, tuple) == isinstance(expect, tuple)
    for got, want in zip(*((actual, expect) if isinstance(expect, tuple) else ((actual,), (expect,)))):
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-15, atol=1e-16)


def test_translation_invariance():
    before, after = np.array([0.1, 1.0, 0.2, 0.1]), np.array([0.3, 0.1, 1.0, 0.2])
    pooled = [reference("max_pool1d", x, 3, 1, 1) for x in (before, after)]
    assert (before != after).all()
    np.testing.assert_array_equal(pooled[0] != pooled[1], [True, False, False, True])


def test_inverse_of_pooling():
    x = array((2, 3, 7, 9), "float64", "distinct")
    for kernel, stride, padding in [(2, 2, 0), (3, 2, 1), (2, 3, "same"), (3, 2, ((1, 0), (0, 2)))]:
        y, index = reference("max_pool2d", x, kernel, stride, padding, return_indices=True)
        back = reference("max_unpool2d", y, index, kernel, stride, padding, output_size=(7, 9))
        again = reference("max_pool2d", np.where(back == 0, -inf, back), kernel, stride, padding)
        np.testing.assert_array_equal(again, np.where(y == 0, -inf, y))
        there = back != 0
        np.testing.assert_array_equal(back[there], x[there])
        np.testing.assert_array_equal(
            there.sum(), len(np.unique(index + np.arange(6).reshape(2, 3, 1, 1) * 63)) - (y == 0).any()
        )


# fmt: off
ERRORS = [
    (ValueError, "max_pool1d", [1.0, nan], (2,), {"nan_policy": "raise"}),
    (ValueError, "max_pool1d", [1.0, nan], (2,), {"nan_policy": "raise", "where": [False, True]}),
    (ValueError, "sum_pool1d", [1.0, nan, 3], (2,), {"nan_policy": "raise", "weights": [1, 0, 1]}),
    (ValueError, "lp_pool1d", [1.0, 2, nan], (2, 2), {"nan_policy": "raise"}),  # anywhere, in a window or not
    (ValueError, "max_pool1d", [1.0], (1,), {"nan_policy": "ignore"}),
    (ValueError, "max_pool1d", [1.0, 2], (1,), {"where": [[True], [False]]}),
    (ValueError, "sum_pool1d", [1.0, 2], (1,), {"weights": [1, 2, 3]}),
    (TypeError, "max_pool1d", [1.0, 2], (1,), {"where": [1, 0]}),
    (TypeError, "sum_pool1d", [1.0, 2], (1,), {"weights": [1j, 2]}),
    (TypeError, "max_pool1d", [1j, 2], (1,), {}),
    (TypeError, "max_pool1d", np.longdouble([1, 2]), (1,), {}),
    (TypeError, "lp_pool1d", [1.0, 2], (2, 1), {"dtype": int}),
    (ValueError, "avg_pool1d", [1.0, 2], (1,), {"divisor_override": 2, "where": True}),
    (ValueError, "avg_pool1d", [1.0, 2], (1,), {"divisor_override": 2, "weights": 1}),
    (ValueError, "avg_pool1d", [1.0, 2], (1,), {"divisor_override": 2, "nan_policy": "omit"}),
    (ValueError, "lp_pool1d", [1.0, 2], (0, 2), {}),
    (ValueError, "lp_pool1d", [1.0, 2], (nan, 2), {}),
    (ValueError, "adaptive_max_pool1d", [1.0, 2], (0,), {}),
    (ValueError, "adaptive_avg_pool2d", [[1.0, 2]], ((1, 1, 1),), {}),
    (ValueError, "adaptive_avg_pool1d", np.ones((2, 0)), (1,), {}),
    (ValueError, "global_max_pool", np.ones((2, 0)), (), {}),
    (ValueError, "global_max_pool", np.ones(3), (), {}),
    (ValueError, "global_max_pool", np.ones((3, 3)), (), {"axes": (0, -2)}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2,), {"random_samples": [0.5, 0.5]}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2, 3, 0.5), {"random_samples": [0.5, 0.5]}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2, 5), {"random_samples": [0.5, 0.5]}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2, None, 1.0), {"random_samples": [0.5, 0.5]}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2, None, 0.1), {"random_samples": [0.5, 0.5]}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2, 3), {"random_samples": [0.5, 1.5]}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2, 3), {"random_samples": [nan, 0.5]}),
    (ValueError, "fractional_max_pool2d", np.ones((5, 5)), (2, 3), {"random_samples": [0.5, 0.5, 0.5]}),
    (ValueError, "max_unpool1d", [1.0, 2], (np.array([0, 4]), 2), {}),
    (ValueError, "max_unpool1d", [1.0, 2], (np.array([0, -2]), 2), {}),
    (ValueError, "max_unpool1d", [1.0, 2], (np.array([0]), 2), {}),
    (TypeError, "max_unpool1d", [1.0, 2], (np.array([0.0, 1]), 2), {}),
    (ValueError, "max_unpool1d", [1.0, 2], (np.array([0, 1]), 2), {"output_size": 6}),
    (ValueError, "max_unpool1d", [1.0, 2], (np.array([0, 1]), 2), {"output_size": 2}),
    (ValueError, "max_unpool1d", [1.0, 2], (np.array([0, 1]), 2, 2, "same"), {}),
    (ValueError, "max_unpool1d", [1.0, 2], (np.array([0, 1]), 2, 2, "same"), {"output_size": 5}),
    (ValueError, "max_unpool1d", [[1.0, 2]], (np.array([[0, 1]]), 2), {"output_size": (2, 4)}),
    (ValueError, "max_unpool1d", [1.0], (np.array([0]), 2, 2, 2), {}),
    (ValueError, "max_pool4d", [1.0], (1,), {}),
    (ValueError, "fractional_max_pool1d", [1.0], (1, 1), {}),
]
# fmt: on


@pytest.mark.parametrize(
    ("error", "fn", "x", "args", "kwargs"), ERRORS, ids=[f"{i}-{row[1]}" for i, row in enumerate(ERRORS)]
)
def test_errors(error, fn, x, args, kwargs):
    with pytest.raises(error):
        reference(fn, x, *args, **kwargs)


def test_other_windows():
    np.testing.assert_array_equal(adaptive_windows(5, 3), [[0, 1, -1], [1, 2, 3], [3, 4, -1]])
    np.testing.assert_array_equal(adaptive_windows(3, 2), [[0, 1], [1, 2]])
    for size in range(1, 12):
        for count in range(1, 14):
            for i, row in enumerate(adaptive_windows(size, count)):
                np.testing.assert_array_equal(
                    row[row >= 0],
                    np.arange(int(np.floor(i * size / count)), int(np.ceil((i + 1) * size / count))),
                )
    for sample, starts in [(0.0, [0, 1, 3]), (0.5, [0, 2, 3])]:
        np.testing.assert_array_equal(fractional_windows(5, 2, 3, np.float64(sample))[:, 0], starts)
    np.testing.assert_array_equal(fractional_windows(7, 3, 1, np.float32(0.3)), [[4, 5, 6]])
    for dtype in (np.float16, np.float32, np.float64, ml_dtypes.bfloat16):
        for sample in (0, 0.25, 1):
            for size, kernel, count in [(5, 2, 4), (100, 3, 60), (3000, 2, 2200), (7, 7, 1)]:
                windows = fractional_windows(size, kernel, count, dtype(sample))
                assert windows.shape == (count, kernel)
                assert windows.min() >= 0
                assert windows.max() == size - 1


@pytest.mark.parametrize("lead", [(0,), (0, 3), (2, 0)])
def test_empty_batch(lead):
    x = np.ones((*lead, 4, 5), np.float32)
    index = np.zeros(x.shape, int)
    for fn, args, kwargs, size in [
        ("max_pool2d", (2,), {"nan_policy": "omit"}, (2, 2)),
        ("avg_pool2d", (2,), {"weights": 1.0}, (2, 2)),
        ("lp_pool2d", (2, 2), {}, (2, 2)),
        ("adaptive_max_pool2d", (3,), {}, (3, 3)),
        ("adaptive_avg_pool2d", (3,), {}, (3, 3)),
        ("global_max_pool", (), {}, (1, 1)),
        ("global_lp_pool", (inf,), {"keepdims": False}, ()),
        ("fractional_max_pool2d", (2, 3), {}, (3, 3)),
        ("max_unpool2d", (index, 2), {}, (8, 10)),
    ]:
        assert reference(fn, x, *args, **kwargs).shape == (*lead, *size)
        dx = reference_vjp(fn, x, args, kwargs, 1.0)
        assert (dx[0] if isinstance(dx, tuple) else dx).shape == x.shape


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_narrow_floats(dtype):
    x = array((2, 6, 6), dtype)
    wide, index = x.astype(np.float64), np.arange(72).reshape(2, 6, 6) % 36
    for fn, args, kwargs in [
        ("lp_pool2d", (3, 2), {}), ("lp_pool2d", (-inf, 2), {}), ("adaptive_avg_pool2d", (4,), {}), ("global_sum_pool", (), {}),
        ("avg_pool2d", (2,), {"weights": abs(x[0])}), ("max_pool2d", (2,), {"where": x > 0}), ("max_unpool2d", (index, 1), {}),
        ("fractional_max_pool2d", (2, 3), {"rng": 0}),
    ]:  # fmt: skip
        y = reference(fn, x, *args, **kwargs)
        assert y.dtype == x.dtype
        with np.errstate(over="ignore"):
            want = reference(fn, wide, *args, **kwargs).astype(x.dtype)
        np.testing.assert_array_equal(y.astype(float), want.astype(float))


def _blocks(x):
    """2 × 3 blocks of the last two axes, each as one last axis."""
    h, w = x.shape[-2] // 2, x.shape[-1] // 3
    return x.reshape(*x.shape[:-2], h, 2, w, 3).swapaxes(-3, -2).reshape(*x.shape[:-2], h, w, 6)


def test_numpy():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 8, 9))
    x[rng.random(x.shape) < 0.2] = nan
    x[0, 0, :2, :3] = nan
    where, weights = rng.random(x.shape) < 0.6, rng.random((3, 1, 9)) + 0.1
    where[:, :, 4:6, 3:6] |= True
    b, bw, full = _blocks(x), _blocks(where), (2, 3)
    some = ~np.isnan(b).all(-1)
    for fn, theirs in [
        ("max_pool2d", np.nanmax),
        ("min_pool2d", np.nanmin),
        ("avg_pool2d", np.nanmean),
        ("sum_pool2d", np.nansum),
    ]:
        ours = reference(fn, x, full, nan_policy="omit")
        np.testing.assert_allclose(ours[some], theirs(b[some], axis=-1), rtol=1e-14)
        assert fn == "sum_pool2d" or np.isnan(ours[~some]).all()
    np.testing.assert_allclose(reference("sum_pool2d", x, full, where=where), b.sum(-1, where=bw), rtol=1e-14)
    np.testing.assert_array_equal(
        reference("max_pool2d", x, full, where=where), b.max(-1, where=bw, initial=-inf)
    )
    with np.errstate(all="ignore"):
        means = b.sum(-1, where=bw) / bw.sum(-1)
    np.testing.assert_allclose(reference("avg_pool2d", x, full, where=where), means, rtol=1e-14)
    x = np.nan_to_num(x)
    b, bw = _blocks(x), _blocks(np.broadcast_to(weights, x.shape))
    np.testing.assert_allclose(
        reference("avg_pool2d", x, full, weights=weights), np.average(b, -1, bw), rtol=1e-14, atol=1e-15
    )
    np.testing.assert_allclose(reference("global_avg_pool", x, weights=weights, keepdims=False),
                               np.average(x, (2, 3), np.broadcast_to(weights, x.shape)), rtol=1e-13)  # fmt: skip
    for p in (0.5, 1, 2, 3.5, inf, -inf, -1):
        with np.errstate(divide="ignore"):
            norms = np.linalg.norm(b, p, axis=-1)
        np.testing.assert_allclose(reference("lp_pool2d", x, p, full), norms, rtol=1e-13)
    whole = np.arange(72).reshape(8, 9)
    np.testing.assert_array_equal(reference("avg_pool2d", whole, full, weights=weights[0]),
                                  reference("avg_pool2d", whole.astype(float), full, weights=weights[0]))  # fmt: skip


def test_axes_of_the_other_functions():
    """Axes named in another order, or standing elsewhere, give what a transposed array gives."""
    x = array((4, 3, 5, 6), "float64")
    mask, weights = array(x.shape, "bool"), abs(array((3, 1, 6), "float64"))
    there = np.moveaxis(x, (1, 3), (2, 3))
    moved = {"where": np.moveaxis(mask, (1, 3), (2, 3)),
             "weights": np.moveaxis(np.broadcast_to(weights, x.shape), (1, 3), (2, 3))}  # fmt: skip
    for fn, args, same, kwargs in [
        ("max_pool2d", ((3, 2),), ((2, 3),), {"where": mask}),
        ("avg_pool2d", ((3, 2),), ((2, 3),), {"weights": weights, "where": mask}),
        ("lp_pool2d", (3, (3, 2)), (3, (2, 3)), {}),
        ("adaptive_max_pool2d", ((4, 2),), ((2, 4),), {}),
        ("adaptive_avg_pool2d", ((4, None),), ((None, 4),), {"weights": weights}),
        ("fractional_max_pool2d", ((3, 2), (2, 1)), ((2, 3), (1, 2)), {"random_samples": array((4, 5, 2), "float64") % 1}),
        ("max_unpool2d", (np.argsort(x, 1), (3, 2)), (np.moveaxis(np.argsort(x, 1), 1, 2), (2, 3)), {}),
    ]:  # fmt: skip
        elsewhere = {**kwargs, **{k: v for k, v in moved.items() if k in kwargs}}
        got = reference(fn, x, *args, axes=(3, 1), **kwargs)
        want = np.moveaxis(reference(fn, there, *same, **elsewhere), (2, 3), (1, 3))
        np.testing.assert_allclose(got, want, rtol=1e-14)
        dx = reference_vjp(fn, x, args, {**kwargs, "axes": (3, 1)}, 1.0)
        want = reference_vjp(fn, there, same, elsewhere, 1.0)
        if isinstance(dx, tuple):
            assert dx[1].shape == weights.shape
            np.testing.assert_allclose(
                dx[1], np.moveaxis(want[1], (2, 3), (1, 3)).sum(axis=(0, 2)).reshape(3, 1, 6), atol=1e-12
            )
            dx, want = dx[0], want[0]
        np.testing.assert_allclose(dx, np.moveaxis(want, (2, 3), (1, 3)), rtol=1e-14)


def _difference(fn, x, args, kwargs, dy, name="x", step=1e-6):
    """Central differences of Σ dy·y in float64, for x or for a keyword argument."""
    at = np.asarray(x if name == "x" else kwargs[name], float)

    def loss(value):
        changed = (value, kwargs) if name == "x" else (x, {**kwargs, name: value})
        y = bounds(fn, changed[0], *args, **changed[1])[0]
        return np.sum(y * dy, where=dy != 0)

    gradient = np.empty(at.shape)
    for i in np.ndindex(at.shape):
        above, below = at.copy(), at.copy()
        above[i] += step
        below[i] -= step
        gradient[i] = (loss(above) - loss(below)) / (above[i] - below[i])
    return gradient


_RNG = np.random.default_rng(3)
_MASK, _WEIGHTS = _RNG.random((2, 5, 6)) < 0.6, _RNG.random((5, 6)) + 0.2


# fmt: off
DIFFERENTIABLE = [
    ("max_pool2d", (3, 2, 1), {"where": _MASK}), ("min_pool2d", (3, 2, 1), {"where": _MASK}),
    ("avg_pool2d", (3, 2, 1), {"where": _MASK}), ("avg_pool2d", (3, 2, 1), {"nan_policy": "omit"}),
    ("avg_pool2d", (3, 2, 1), {"weights": _WEIGHTS}), ("avg_pool2d", (3, 2, 1), {"weights": _WEIGHTS[:, :1], "where": _MASK}),
    ("sum_pool2d", (3, 2, 1), {"weights": _WEIGHTS, "where": _MASK}), ("sum_pool2d", (2, 1), {"weights": -_WEIGHTS[0]}),
    ("adaptive_max_pool2d", ((2, 4),), {}), ("adaptive_avg_pool2d", ((3, 4),), {}),
    ("adaptive_avg_pool2d", ((7, 13),), {}), ("adaptive_avg_pool2d", ((9, 2),), {"weights": _WEIGHTS, "where": _MASK}),
    ("adaptive_max_pool2d", ((7, 13),), {}),
    ("adaptive_avg_pool2d", ((3, None),), {"weights": _WEIGHTS}), ("adaptive_avg_pool1d", (4,), {"where": _MASK, "axes": 1}),
    ("global_max_pool", (), {}), ("global_min_pool", (), {"keepdims": False}),
    ("global_avg_pool", (), {"axes": (0, 2), "keepdims": False, "weights": _WEIGHTS}),
    ("global_sum_pool", (), {"axes": 1, "where": _MASK}), ("global_lp_pool", (3,), {"keepdims": False}),
    *[("lp_pool2d", (p, 3, 2), {"padding": 1, "where": _MASK}) for p in (-np.inf, -2, -0.7, 0.5, 1, 2, 3.3, np.inf)],
    ("lp_pool1d", (4, 3, 1), {"dilation": 2}), ("lp_pool3d", (2, 2), {}),
    ("fractional_max_pool2d", (2, (3, 4)), {"random_samples": _RNG.random((2, 2))}),
    ("fractional_max_pool3d", (2, None, (0.5, 0.5, 0.4)), {"random_samples": _RNG.random(3)}),
    ("max_unpool2d", (_RNG.integers(-1, 6, (2, 5, 6)), 2, 1), {}),
    ("max_unpool1d", (_RNG.integers(0, 12, (2, 5, 6)), 2), {"axes": 1, "output_size": 11}),
]
# fmt: on


@pytest.mark.parametrize(
    ("fn", "args", "kwargs"), DIFFERENTIABLE, ids=[f"{i}-{row[0]}" for i, row in enumerate(DIFFERENTIABLE)]
)
def test_differences(fn, args, kwargs):
    x = np.random.default_rng(5).permutation(60).reshape(2, 5, 6) / 20 - 1.51  # apart, and away from 0
    if fn == "max_unpool1d":
        args = (args[0] % 10, *args[1:])
    if kwargs.get("nan_policy") == "omit":
        x[0, 1:3, 2:5] = nan
    y = reference(fn, x, *args, **kwargs)
    dy = np.random.default_rng(6).uniform(-1, 1, y.shape) * np.isfinite(y)
    gradients = reference_vjp(fn, x, args, kwargs, dy)
    if "weights" in kwargs:
        numeric = _difference(fn, x, args, kwargs, dy, "weights")
        np.testing.assert_allclose(gradients[1], numeric, rtol=1e-6, atol=1e-7)
        gradients = gradients[0]
    numeric = _difference(fn, x, args, kwargs, dy)
    np.testing.assert_allclose(gradients, np.where(np.isnan(x), 0, numeric), rtol=1e-6, atol=1e-7)


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


def _torch_check(fn, x, args, kwargs, theirs, indices=None):
    """Value, indices and gradient against a torch function of one tensor."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    leaf = torch.tensor(x, requires_grad=True)
    y = theirs(leaf)
    if isinstance(y, tuple):
        ours, index = reference(fn, x, *args, **kwargs, return_indices=True)
        np.testing.assert_array_equal(index, y[1].numpy())
        y = y[0]
        np.testing.assert_array_equal(ours, y.detach().numpy())
    else:
        assert_matches(y.detach().numpy(), *bounds(fn, x, *args, **kwargs))
    dy = array(tuple(y.shape), "float64", seed=1).astype(x.dtype)
    y.backward(torch.tensor(dy))
    assert_matches(leaf.grad.numpy(), *vjp_bounds(fn, x, args, kwargs, dy))


@pytest.mark.peers
@pytest.mark.parametrize("n", [1, 2, 3])
def test_torch_others(n):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    functional = torch.nn.functional
    x = array((2, 3, 7, 9, 8)[: n + 2], "float64")
    for size in (1, 3, 5, 11, (4, 7, 12)[:n], *[(None, 2, 3)[:n]] * (n > 1)):
        pool = getattr(functional, f"adaptive_max_pool{n}d")
        _torch_check(f"adaptive_max_pool{n}d", x, (size,), {}, lambda t: pool(t, size, return_indices=True))
        mean = getattr(functional, f"adaptive_avg_pool{n}d")
        _torch_check(f"adaptive_avg_pool{n}d", x, (size,), {}, lambda t: mean(t, size))
    for p in (
        1,
        2,
        3,
        2.5,
        0.5,
    ):
        norm = getattr(functional, f"lp_pool{n}d")
        for kernel, stride in [(2, None), (3, 2), ((3, 1, 2)[:n] if n > 1 else 3, 1)]:
            y = norm(torch.tensor(abs(x)), p, kernel, stride).numpy()
            np.testing.assert_allclose(reference(f"lp_pool{n}d", abs(x), p, kernel, stride), y, rtol=1e-13)
            leaf = torch.tensor(abs(x), requires_grad=True)
            norm(leaf, p, kernel, stride).sum().backward()
            ours = reference_vjp(f"lp_pool{n}d", abs(x), (p, kernel, stride), {}, 1.0)
            np.testing.assert_allclose(ours, leaf.grad.numpy(), rtol=1e-12)
    unpool = getattr(functional, f"max_unpool{n}d")
    for kernel, stride, padding in [
        (2, 2, 0),
        (3, 3, 1),
        (2, 3, 1),
        ((3, 2, 2)[:n], (3, 2, 4)[:n], (1, 0, 1)[:n]),
    ]:
        y, index = reference(f"max_pool{n}d", x, kernel, stride, padding, return_indices=True)
        for size in (x.shape, x.shape[2:]):
            _torch_check(f"max_unpool{n}d", y, (index, kernel, stride, padding, size), {},
                         lambda t: unpool(t, torch.tensor(index), kernel, stride, padding, size))  # fmt: skip
        small = np.stack([np.random.default_rng(7).permutation(index[0, 0].size)] * 6).reshape(index.shape)
        _torch_check(f"max_unpool{n}d", y, (small, kernel, stride, padding), {},
                     lambda t: unpool(t, torch.tensor(small), kernel, stride, padding))  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 3])
def test_torch_fractional(n, dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pool = getattr(torch.nn.functional, f"fractional_max_pool{n}d_with_indices")
    x = array((2, 3, 31, 17, 12)[: n + 2], dtype)
    samples = np.random.default_rng(n).random((2, 3, n)).astype(dtype)
    samples[0, 0] = 0
    for kernel, size, ratio in [(2, 9, None), ((3, 2, 1)[:n], (20, 13, 11)[:n], None), (2, None, (0.7,) * n), (1, None, (0.9, 0.5, 0.3)[:n]), (3, 1, None)]:  # fmt: skip
        _torch_check(f"fractional_max_pool{n}d", x, (kernel, size, ratio), {"random_samples": samples},
                     lambda t: pool(t, kernel, size, ratio, True, torch.tensor(samples)))  # fmt: skip
    _torch_check(f"fractional_max_pool{n}d", x[0], (2, 7), {"random_samples": samples[:1]},
                 lambda t: pool(t, 2, 7, None, True, torch.tensor(samples[:1])))  # fmt: skip
