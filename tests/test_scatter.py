"""Gradients of maxima whose outputs are added one by one: blocks, lines, runs and strides of every kind against the reference."""

import numpy as np
import pytest
from cases import array, forget_plans, same_bits

import numbapool as nbp
from numbapool.backends import narrow_plans, phase_plans, run_plans, scatter_plans
from numbapool.testing import check_vjp

WAYS = [(narrow_plans, "fits_flat"), (narrow_plans, "fits"), (run_plans, "fits"), (phase_plans, "fits")]


@pytest.fixture(params=["one block", "many blocks"])
def scattered(request, monkeypatch):
    """Every gradient of a maximum is scattered, of planes that are one block or cut into many."""
    for way in WAYS:
        monkeypatch.setattr(*way, lambda *args: False)
    if request.param == "many blocks":
        monkeypatch.setattr(scatter_plans, "BLOCK_BYTES", 256)
        monkeypatch.setattr(scatter_plans, "MOST_BLOCK_BYTES", 512)
    forget_plans()
    yield
    forget_plans()


def check(name, shape, *window, dtype="float32", dy=lambda dy: dy, kind="ties", **options):
    x = array(shape, dtype, kind)
    y = getattr(nbp, name)(x, *window, **options)
    check_vjp(name, x, window, options, dy(np.rint(8 * array(y.shape, dtype, seed=1))))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_windows(scattered, dtype):
    for kind in "any", "ties", "distinct":
        for window in (
            (2,),
            (2, 1),
            (3, 2, 1),
            (5, 1, 2),
            (4, 3),
            (6, 1, 3),
            ((2, 9), 1, (1, 4)),
            (3, 2, 2, 2),
        ):
            check("max_pool2d", (3, 19, 37), *window, dtype=dtype, kind=kind)
        check("max_pool1d", (5, 1001), 5, 2, 1, dtype=dtype, kind=kind)


def test_volumes(scattered):
    for window in (2,), (3, 1, 1), (3, 2, 1), ((2, 1, 3), 1, (1, 0, 1)), (5, 1, 2), ((7, 1, 1), 1, (3, 0, 0)):
        check("max_pool3d", (2, 9, 11, 13), *window)
    check("max_pool3d", (1, 4, 40, 50), (3, 5, 7), 1, (1, 2, 3))


def test_indices(scattered):
    """Of windows whose taps no byte tells, in four bytes, and in eight as a caller may keep them."""
    for window in (9, 1, 4), ((17, 3), 2, (8, 1)), ((1, 31), 1, (0, 15)):
        check("max_pool2d", (2, 40, 50), *window)
    check("adaptive_max_pool2d", (3, 40, 50), (7, 9))
    check("max_pool1d", (2, 9000), 300, 1)


@pytest.mark.parametrize("axes", [(0, 1), (1, 2), (0, 2)])
def test_inner_axes(scattered, axes):
    for shape in (20, 21, 3), (20, 21, 18), (9, 10, 700):
        for window in (3, 2, 1), (5, 1, 2), (9, 1, 4):
            check("max_pool2d", shape, *window, axes=axes)


def test_long_inner_axis(scattered):
    """In several ranges, the last of which is shorter."""
    check("max_pool2d", (1, 70, 5000), (1, 7), 1, (0, 3), axes=(0, 1))
    check("max_pool1d", (3000, 90), 5, 1, 2, axes=(0,))


def test_gradients_that_do_not_lie_in_order(scattered):
    for window in (3, 2, 1), (5, 1, 2), (9, 1, 4):
        for layout in (np.asfortranarray, lambda dy: np.repeat(dy, 2, -1)[..., ::2], lambda dy: dy[..., ::-1][..., ::-1], lambda dy: np.broadcast_to(dy[:1], dy.shape)):  # fmt: skip
            check("max_pool2d", (3, 30, 40), *window, dy=layout)
            check("max_pool2d", (30, 40, 5), *window, dy=layout, axes=(0, 1))


def test_gradients_of_one_column(scattered):
    """Whose columns may be any distance apart."""
    for shape, kernel in ((2000, 5), (7, 5)), ((3, 40, 5), (7, 5)), ((3, 40, 5), (9, 5)), ((9, 7, 1), (2, 1)):
        for layout in (lambda dy: np.ascontiguousarray(dy.swapaxes(-1, -2)).swapaxes(-1, -2), lambda dy: np.broadcast_to(dy[:1], dy.shape), lambda dy: np.repeat(dy, 3, -2)[..., ::3, :]):  # fmt: skip
            check("max_pool2d", shape, kernel, 1, dy=layout)


def test_axes_of_one_tap(scattered):
    """Which add nothing to the number of a tap, however far apart their taps would be."""
    for kernel, padding, dilation in (
        ((7, 7, 2), ((3, 3), (3, 3), (0, 1000)), (1, 1, 1000)),
        ((7, 2, 7), ((3, 3), (0, 1000), (3, 3)), (1, 1000, 1)),
        ((2, 7, 5), ((0, 1000), (3, 3), (2, 2)), (1000, 1, 1)),
        ((1, 7, 5), 0, 1),
        ((3, 1, 7), 0, 1),
        ((5, 5, 1), 0, 1),
    ):
        check("max_pool3d", (9, 14, 15), kernel, 1, padding, dilation)


def test_windows_without_elements(scattered):
    """What has chosen nothing is added nowhere, nor are windows that lie beside all elements."""
    check("max_pool3d", (2, 2, 1, 3), 2, 1, (2, 1, 1), (3, 2, 2))
    x = np.full((2, 12, 13), np.nan, "f4")
    x[:, 3:5, 2] = 1
    for window in (2,), (5, 1, 2), (9, 1, 4):
        y, pullback = nbp.vjp(nbp.max_pool2d, x, *window, nan_policy="omit")
        dx = pullback(np.ones_like(y))
        assert np.all(dx[np.isnan(x)] == 0)
        assert dx.sum() == np.count_nonzero(~np.isnan(y))


def test_one_element_chosen_by_all(scattered):
    """Runs as long as lines, over their ends as well; -0.0 alone gives 0.0."""
    for shape, kernel in ((2, 30, 40), 31), ((2, 5, 6), 5), ((1, 3000), 3001):
        x = np.zeros(shape, "f4")
        x[..., -1] = 1
        name = f"max_pool{len(shape) - 1}d"
        y, pullback = nbp.vjp(getattr(nbp, name), x, kernel, stride=1, padding=kernel // 2)
        assert pullback(np.ones_like(y)).sum() == y.size
        dx = pullback(np.full_like(y, -0.0))
        assert not np.signbit(dx).any()


def test_taps_too_far_apart_for_their_bytes(scattered, monkeypatch):
    x = array((2, 30, 40))
    y, pullback = nbp.vjp(nbp.max_pool2d, x, 3, stride=2, padding=1)
    dy = np.rint(array(y.shape, seed=1))
    dx = pullback(dy)
    monkeypatch.setattr(scatter_plans, "NOWHERE", -100)
    forget_plans()
    assert same_bits(pullback(dy), dx)


def test_sums_are_accurate(scattered):
    """However they are ordered: a run is added in pairs."""
    x = np.zeros((1, 1 << 16), "f4")
    x[0, 1 << 15] = 1
    y, pullback = nbp.vjp(nbp.max_pool1d, x, 1 << 15, stride=1)
    dy = np.full_like(y, 0.1)
    got = pullback(dy)[0, 1 << 15]
    want = np.float64(np.float32(0.1)) * np.count_nonzero(y)
    assert abs(got - want) <= 1e-4 * want
