"""The numbers of the documents this package started from, of its own, and defects seen elsewhere."""

import numpy as np
import pytest
from cases import DOCUMENTED, DOCUMENTED_GRADIENTS

import numbapool as nbp

THREE = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
SIXTEEN = np.arange(16.0, dtype=np.float32).reshape(1, 1, 4, 4)


def _equal(actual, expect):
    np.testing.assert_array_equal(np.squeeze(actual), np.squeeze(np.asarray(expect)))


def test_maximum_of_2_by_2():
    _equal(nbp.max_pool2d([[0, 1, 2], [3, 4, 5], [6, 7, 8]], 2, 1), [[4, 5], [7, 8]])


def test_average_of_2_by_2():
    _equal(nbp.avg_pool2d([[0, 1, 2], [3, 4, 5], [6, 7, 8]], 2, 1), [[2, 3], [5, 6]])


def test_stride_is_the_window_unless_given():
    y = nbp.max_pool2d(SIXTEEN, 3)
    assert y.shape == (1, 1, 1, 1)
    _equal(y, 10)


def test_padding_and_stride():
    _equal(nbp.max_pool2d(SIXTEEN, 3, padding=1, stride=2), [[5, 7], [13, 15]])


def test_window_that_is_not_square():
    _equal(nbp.max_pool2d(SIXTEEN, (2, 4), padding=(1, 2), stride=(2, 3)), [[1, 3], [9, 11], [13, 15]])


def test_channels_are_pooled_on_their_own():
    y = nbp.max_pool2d(np.concatenate([SIXTEEN, SIXTEEN + 1], 1), 3, padding=1, stride=2)
    assert y.shape == (1, 2, 2, 2)
    _equal(y[0, 0], [[5, 7], [13, 15]])
    _equal(y[0, 1], [[6, 8], [14, 16]])


def test_one_to_nine():
    x = np.arange(1, 10).reshape(3, 3)
    _equal(nbp.max_pool2d(x, 2, 1), [[5, 6], [8, 9]])
    _equal(nbp.avg_pool2d(x, 2, 1), [[3, 4], [6, 7]])


def test_line_detector():
    image = np.zeros((8, 8), np.float32)
    image[:, 3:5] = 1
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    kernel = np.float32([[0, 1, 0]] * 3)
    features = np.maximum((windows * kernel).sum((-2, -1)), 0).reshape(1, 6, 6, 1)
    for fn in (nbp.avg_pool2d, nbp.max_pool2d):
        y = fn(features, 2, axes=(1, 2))
        assert y.shape == (1, 3, 3, 1)
        _equal(y, [[0, 3, 0]] * 3)


def test_minimum():
    _equal(nbp.min_pool2d(THREE, 2, 1), [[0, 1], [3, 4]])
    _equal(nbp.min_pool1d([3.0, 1, 2], 2, 1), [1, 1])
    _equal(nbp.min_pool3d(np.arange(8.0).reshape(2, 2, 2)[::-1], 2), 0)


def test_the_smaller_last_region_is_kept():
    x = [0.1, 1.0, 0.2, 0.1, 0.0, 0.1]
    _equal(nbp.max_pool1d(x, 3, 2, ceil_mode=True), [1, 0.2, 0.1])
    _equal(nbp.max_pool1d(x, 3, 2), [1, 0.2])


def test_conventions_of_keras_and_torch():
    x = np.arange(25.0).reshape(1, 5, 5, 1)  # channels last, as Keras has it
    for padding, size in (("valid", 2), ("same", 3)):
        y = nbp.max_pool2d(x, kernel_size=(2, 2), stride=(2, 2), padding=padding, axes=(1, 2))
        assert y.shape == (1, size, size, 1)
    _equal(nbp.max_pool2d(x, 2, 2, "same", axes=(1, 2)), [[6, 8, 9], [16, 18, 19], [21, 23, 24]])
    _equal(nbp.avg_pool2d(x, 2, 2, "same", axes=(1, 2)), [[3, 5, 6.5], [13, 15, 16.5], [20.5, 22.5, 24]])
    y, index = nbp.max_pool2d(x.transpose(0, 3, 1, 2), 3, 2, 1, 1, False, True)  # torch's order of arguments
    _equal(y, [[6, 8, 9], [16, 18, 19], [21, 23, 24]])
    _equal(index, [[6, 8, 9], [16, 18, 19], [21, 23, 24]])
    y = nbp.avg_pool2d(x.transpose(0, 3, 1, 2), 2, 2, 1, False, False, None)
    _equal(y, [[0, 1.5, 3.5], [7.5, 9, 11], [17.5, 19, 21]])


# --------------------------------------------------------------------------------------- the documentation


@pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expect"), DOCUMENTED)
def test_documented(fn, x, args, kwargs, expect):
    actual = getattr(nbp, fn)(x, *args, **kwargs)
    if isinstance(expect, tuple):
        assert actual[1].dtype == np.int64
        np.testing.assert_array_equal(actual[1], expect[1])
        actual, expect = actual[0], expect[0]
    assert actual.dtype == (expect.dtype if isinstance(expect, np.ndarray) else np.float64)
    np.testing.assert_array_equal(actual, expect)
    if fn.startswith(("max", "min")) and actual.dtype.kind == "f":
        real = ~np.isnan(actual)
        np.testing.assert_array_equal(np.signbit(actual[real]), np.signbit(np.asarray(expect)[real]))


@pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expect"), DOCUMENTED_GRADIENTS)
def test_documented_gradient(fn, x, args, kwargs, expect):
    y, pullback = nbp.vjp(getattr(nbp, fn), np.asarray(x), *args, **kwargs)
    np.testing.assert_array_equal(pullback(np.ones(y.shape)), expect)


# -------------------------------------------------------------------------------------- defects seen elsewhere


def test_index_and_gradient_stay_in_their_plane():
    """torch: with dilation and padding, a window without a tap points outside, and feeds the next channel."""
    x = np.arange(16.0).reshape(1, 4, 2, 2)
    y, index = nbp.max_pool2d(x, 2, 1, 2, 3, return_indices=True)
    assert (index[np.isneginf(y)] == -1).all()
    assert (index >= -1).all()
    assert (index < 4).all()
    dy = np.zeros_like(y)
    dy[0, 1] = 1
    dx = nbp.vjp(nbp.max_pool2d, x, 2, 1, 2, 3)[1](dy)
    assert dx[0, 1].sum() == np.count_nonzero(index[0, 1] >= 0)
    assert not dx[0, [0, 2, 3]].any()


def test_float32_sums_do_not_drift():
    """torch: a naive float32 sum makes the mean of 0.1 0.1153."""
    x = np.full((1024, 1024), 0.1, np.float32)
    tenth = np.float32(0.1)
    for y in (
        nbp.avg_pool2d(x, 1024),
        nbp.avg_pool2d(x, 1000, 12),
        nbp.avg_pool1d(x.ravel(), 2**20),
        nbp.avg_pool2d(x, 511, 500),
    ):
        assert (np.abs(y - tenth) <= 2 * np.spacing(tenth)).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_and_minus_infinity_are_not_dropped(dtype):
    """TensorFlow, onnxruntime and OpenVINO drop NaN; TensorFlow gives -3.4e38 where all is NaN or -inf."""
    for width in (4, 5, 64, 67):
        x = np.ones((1, 1, 4, width), dtype)
        x[0, 0, 1, 2] = np.nan
        y = nbp.max_pool2d(x, 2)
        assert np.isnan(y[0, 0, 0, 1])
        assert np.isnan(y).sum() == 1
        assert np.isnan(nbp.min_pool2d(x, 2)).sum() == 1
        assert np.isnan(nbp.max_pool2d(np.full_like(x, np.nan), 2)).all()
        assert np.isneginf(nbp.max_pool2d(np.full_like(x, -np.inf), 3, 2, 1)).all()
        assert np.isposinf(nbp.min_pool2d(np.full_like(x, np.inf), 3, 2, 1)).all()


def test_one_of_several_ties_gets_the_gradient():
    """TensorFlow's max_pool3d sends it to all of them."""
    for n, width in ((1, 8), (2, 8), (3, 8), (3, 40)):
        x = np.zeros((*[4] * (n - 1), width))
        y, pullback = nbp.vjp(getattr(nbp, f"max_pool{n}d"), x, 2)
        dx = pullback(np.ones(y.shape))
        assert dx.sum() == y.size
        assert np.count_nonzero(dx) == y.size
        assert (dx[(slice(None, None, 2),) * n] == 1).all()


def test_a_remainder_is_not_padded_with_zeros():
    """scikit-image's block_reduce: the maximum of negative numbers at the edge becomes 0."""
    x = -np.arange(1.0, 26).reshape(5, 5)
    _equal(nbp.max_pool2d(x, 3, ceil_mode=True), [[-1, -4], [-16, -19]])
    _equal(nbp.avg_pool2d(-np.ones((5, 5)), 3, ceil_mode=True), -np.ones((2, 2)))


@pytest.mark.parametrize("window", [3, 9, 33])
def test_nan_does_not_smear(window):
    """SciPy's uniform_filter carries a NaN to the end of the row."""
    x = np.ones((3, 200))
    x[1, 50] = np.nan
    y = nbp.avg_pool1d(x, window, 1)
    assert np.isnan(y).sum() == window
    assert (y[~np.isnan(y)] == 1).all()
    y = nbp.avg_pool2d(x, (3, window), 1)
    assert np.isnan(y).sum() == window
