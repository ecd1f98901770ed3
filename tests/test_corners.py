"""Corners that once went wrong, or nearly."""

import threading

import numpy as np
import pytest
from cases import array, slow_but

import numbapool as nbp
from numbapool.testing import assert_matches, check, reference


@pytest.mark.parametrize("shape", [(3, 4, 1), (4, 4, 1), (8, 50, 1)])
def test_gradient_of_a_last_axis_of_one_in_fortran_order(shape):
    x = np.asfortranarray(np.random.default_rng(0).standard_normal(shape))
    y, pullback = nbp.vjp(nbp.max_pool2d, x, (2, 1))
    dx = pullback(np.ones(y.shape))
    assert dx.sum() == y.size and np.isin(dx, (0, 1)).all()


@pytest.mark.parametrize("channels", [4097, 4100, 4111, 2733])
@pytest.mark.parametrize("include", [True, False])
def test_many_channels_last(channels, include):
    x = np.ones((1, 4, 6, channels), np.float32)
    y, pullback = nbp.vjp(nbp.avg_pool2d, x, 3, 1, 1, False, include, axes=(1, 2))
    assert (y[..., :1] == y).all() and y[0, 1, 1, 0] == 1
    dx = pullback(np.ones_like(y))
    assert (dx[..., :1] == dx).all()


@pytest.mark.parametrize(
    ("shape", "args"), [((1, 20), ((2, 8), 1, (1, 1), (2, 1))), ((20, 1), ((8, 2), 1, (4, 1), (1, 2)))]
)
def test_no_index_where_there_is_no_tap(shape, args):
    x = np.zeros(shape, np.float32)
    y, indices = nbp.max_pool2d(x, *args, return_indices=True)
    expected, expected_indices = reference("max_pool2d", x, *args, return_indices=True)
    assert_matches(y, expected)
    assert np.array_equal(indices, expected_indices)


def test_windows_far_larger_than_the_axis():
    x = np.arange(5.0)
    assert nbp.max_pool3d(np.ones((5, 5, 5), "f4"), 10**5, 10**5, "same").shape == (1, 1, 1)
    assert np.array_equal(nbp.max_pool1d(x, 2**31, 1, "same"), [4, 4, 4, 4, 4])
    assert np.array_equal(nbp.avg_pool1d(x, 10**6, 1, "same"), [2, 2, 2, 2, 2])
    y, indices = nbp.max_pool1d(x, 2, 1, "same", 2**31, return_indices=True)
    assert (y == -np.inf).all() and (indices == -1).all()
    assert np.array_equal(nbp.vjp(nbp.max_pool1d, x, 2**31, 1, "same")[1](np.ones(5)), [0, 0, 0, 0, 5])


@pytest.mark.parametrize("size", [1, 2, 5, 7])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(2, 1, 3, 3), (2, 3, 3, 4), (3, 2, 4, 2), (4, 9, 3, 1), (5, 1, 4, 1)],
)
def test_padding_wider_than_the_axis(size, kernel, stride, padding, dilation):
    x = np.random.default_rng(1).standard_normal((3, size))
    args = kernel, stride, padding
    try:
        want = reference("max_pool1d", x, *args, dilation, return_indices=True)
    except ValueError:
        pytest.skip("no output")
    y, indices = nbp.max_pool1d(x, *args, dilation, return_indices=True)
    assert_matches(y, want[0])
    assert np.array_equal(indices, want[1])
    for include in (True, False):
        y = nbp.avg_pool1d(x, *args, count_include_pad=include, dilation=dilation)
        np.testing.assert_allclose(
            y, reference("avg_pool1d", x, *args, count_include_pad=include, dilation=dilation), rtol=1e-14
        )


def test_sizes_beyond_reason_are_refused():
    x = np.arange(5.0)
    for call in (
        lambda: nbp.max_pool1d(x, 2**62, 1, "same"),
        lambda: nbp.max_pool1d(x, 2, 1, 0, 2**62),
        lambda: nbp.avg_pool1d(x, 2, divisor_override=10**400),
    ):
        with pytest.raises(ValueError, match=r"kernel_size|stride|dilation|divisor_override"):
            call()


def test_one_options_object_in_two_threads():
    shared, entered, errors = nbp.options(num_threads=1), threading.Event(), []

    def other():
        try:
            with shared:
                entered.wait(5)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    thread.start()
    with shared:
        entered.set()
        thread.join()
    assert not errors


def test_interleaved_results():
    both = np.zeros((5, 2))
    y, indices = nbp.max_pool1d(
        np.arange(10.0), 2, return_indices=True, out=(both[:, 0], both[:, 1].view("i8"))
    )
    assert np.array_equal(y, [1, 3, 5, 7, 9]) and np.array_equal(indices, [1, 3, 5, 7, 9])


@pytest.mark.parametrize("channels", slow_but([130], [16, 32, 40, 64, 130, 300, 513]))
def test_many_rows_with_channels_last(channels):
    """Planes with one window whose rows are read side by side, one after the other or four by four; more rows than are listed."""
    for plane in (7, 9), (20, 33), (70, 61):
        x = array((3, *plane, channels), "float32")
        for op in ("max", "avg", "sum"):
            check(f"global_{op}_pool", x, axes=(1, 2))
        check("global_sum_pool", x, axes=(1, 2), dtype="float64")
        x[0, 3, 5, 7], x[1, 2, :, 9], x[2] = np.nan, np.inf, -0.0
        check("global_max_pool", x, axes=(1, 2), return_indices=True)
        check("global_min_pool", x, axes=(1, 2))
        check("max_pool2d", x, (5, plane[1]), axes=(1, 2))
    check("global_avg_pool", array((2, 300, 250, 4), "float32"), axes=(1, 2))


def test_sums_of_many_rows_in_float64():
    """Errors do not add up row by row."""
    for shape in (1, 4097, 1, 520), (1, 64, 300, 64), (2, 65, 130, 17):
        x = np.abs(array(shape, "float64"))
        check("global_sum_pool", x, axes=(1, 2))
        check("global_avg_pool", x, axes=(1, 2))
        check("global_sum_pool", x.astype("f4"), axes=(1, 2), dtype="float64")
