"""NaN policies, masks, weights and norms under the simulator."""

import numpy as np
import pytest
from cases import array
from on_device import OnDevice

import numbapool as nbp
from numbapool.testing import assert_matches, bounds, vjp_bounds


def moved(options):
    return {k: OnDevice(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}


def image(dtype):
    x = array((2, 6, 9), dtype, "ties")
    if x.dtype.kind == "f":
        x[0, 1, 2:6] = np.nan
        x[1, :3] = np.nan
    return x


THERE = np.arange(9) % 3 > 0
WEIGHTS = (np.arange(6).reshape(6, 1) % 3).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int16"])
@pytest.mark.parametrize(
    "options",
    [{"nan_policy": "omit"}, {"where": THERE}, {"where": THERE, "nan_policy": "omit"}],
    ids=["omit", "where", "both"],
)
@pytest.mark.parametrize("op", ["max", "min", "avg", "sum"])
def test_missing(op, options, dtype):
    fn, x = f"{op}_pool2d", image(dtype)
    function = getattr(nbp, fn)
    for args in ((2,), (3, 2, 1)):
        y = function(OnDevice(x), *args, **moved(options))
        assert_matches(y, *bounds(fn, x, *args, **options))
        if op in ("max", "min"):
            y, indices = function(OnDevice(x), *args, **moved(options), return_indices=True)
            np.testing.assert_array_equal(indices, function(x, *args, **options, return_indices=True)[1])
            if dtype == "float32":
                dy = array(y.shape, dtype, "ties", seed=1)
                _, pullback = nbp.vjp(function, OnDevice(x), *args, **moved(options))
                assert_matches(pullback(OnDevice(dy)), *vjp_bounds(fn, x, args, options, dy))


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {"nan_policy": "omit"},
        {"where": THERE},
        {"weights": WEIGHTS.astype(np.int8)},
        {"weights": WEIGHTS.astype(np.int8), "where": THERE, "nan_policy": "omit"},
    ],
    ids=["omit", "where", "weights", "all"],
)
@pytest.mark.parametrize("op", ["avg", "sum"])
def test_gradients_of_sums(op, options, dtype):
    fn, x = f"{op}_pool2d", image(dtype)
    for args in ((2,), (3, 2, 1)):
        dy = array(nbp.max_pool2d(x, *args).shape, dtype, "ties", seed=1)
        _, pullback = nbp.vjp(getattr(nbp, fn), OnDevice(x), *args, **moved(options))
        assert_matches(pullback(OnDevice(dy)), *vjp_bounds(fn, x, args, options, dy))


def check_learned(fn, x, weights, args, options):
    function = getattr(nbp, fn)
    y, pullback = nbp.vjp(function, OnDevice(x), *args, weights=OnDevice(weights), **moved(options))
    dy = array(np.shape(y), x.dtype.name, "ties", seed=1)
    options = {**options, "weights": weights}
    assert_matches(y, *bounds(fn, x, *args, **options))
    for part, expected in zip(pullback(OnDevice(dy)), vjp_bounds(fn, x, args, options, dy), strict=True):
        assert_matches(part, *expected)


@pytest.mark.parametrize("op", ["avg", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_gradients_of_weights(op, dtype):
    x = array((2, 6, 9), dtype, "distinct")
    shaped = array((6, 9), "float32", "any", seed=2)
    for weights in (WEIGHTS, shaped.astype(dtype), WEIGHTS.astype(np.float64)[None]):
        for args in ((2,), (3, 2, 1)):
            check_learned(f"{op}_pool2d", x, weights, args, {})
    holes = image(dtype)
    for options in ({"where": THERE}, {"nan_policy": "omit"}, {"where": THERE, "nan_policy": "omit"}):
        check_learned(f"{op}_pool2d", holes, WEIGHTS, (3, 2, 1), options)
    check_learned(f"{op}_pool2d", x, WEIGHTS, (2, 3), {})  # some elements belong to no window
    check_learned(f"{op}_pool1d", x, array(x.shape, "float32", "any"), (3, 2), {"dilation": 2, "axes": 1})


def test_gradients_of_weights_beyond():
    x, weights = array((2, 6, 9), "float32", "distinct"), array((6, 9), "float32", "any", seed=2)
    x[0, 2] = np.inf  # in no window
    weights[5] = np.nan
    check_learned("avg_pool2d", x, weights, (2, 3), {})
    check_learned("global_avg_pool", x[:, :2], np.float32(2), (), {"axes": None})
    many = array((2, 3, 1, 2, 3, 2), "float32", "distinct")
    check_learned(
        "global_avg_pool", many, array((3, 1, 1, 1, 2), "float32", "any"), (), {"axes": (0, 1, 3, 5)}
    )
    y, pullback = nbp.vjp(nbp.avg_pool2d, OnDevice(x[:0]), 2, weights=OnDevice(weights))
    dx, dw = pullback(OnDevice(y))
    assert dx.shape == (0, 6, 9) and (dw == np.zeros((6, 9))).all()


def test_windows_whose_weights_cancel():
    """They pass nothing on, whatever lies in them."""
    x, weights = array((2, 6, 8), "float32", "distinct"), np.ones((6, 8), "float32")
    weights[0, :2], weights[1, :2] = (1, -2), (-1, 2)
    x[0, 0, 0], x[1, 1, 1], x[1, 4, 4] = np.inf, np.nan, -np.inf
    for dtype in ("float32", "float64"):
        check_learned("avg_pool2d", x.astype(dtype), weights, (2,), {})
        check_learned("avg_pool2d", x.astype(dtype), weights, (3, 2, 1), {"where": array(x.shape, "bool")})
    check_learned("sum_pool2d", x, weights, (2,), {})


def test_axes_that_do_not_merge():
    x = array((2, 3, 4, 2, 3), "float32", "distinct")
    for part in (x, x.transpose(4, 1, 3, 0, 2), x[:, ::-1, ::2]):
        for options in ({"axes": None}, {"axes": (0, 1, 3, 4)}, {"axes": (0, 1, 3, 4), "keepdims": False}):
            y, indices = nbp.global_max_pool(OnDevice(part), return_indices=True, **options)
            expected = nbp.global_max_pool(part, return_indices=True, **options)
            assert_matches(y, expected[0])
            assert_matches(indices, expected[1])
            dy = array(y.shape, "float32", "distinct", seed=1)
            _, pullback = nbp.vjp(nbp.global_max_pool, OnDevice(part), **options)
            assert_matches(pullback(OnDevice(dy)), *vjp_bounds("global_max_pool", part, (), options, dy))
            there = array(part.shape, "bool")
            y = nbp.global_sum_pool(OnDevice(part), where=OnDevice(there), **options)
            assert_matches(y, *bounds("global_sum_pool", part, where=there, **options))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("op", ["avg", "sum"])
def test_weights(op, dtype):
    fn, x = f"{op}_pool2d", image(dtype)
    for options in ({"weights": WEIGHTS}, {"weights": WEIGHTS, "where": THERE, "nan_policy": "omit"}):
        y = getattr(nbp, fn)(OnDevice(x), 3, 2, 1, **moved(options))
        assert_matches(y, *bounds(fn, x, 3, 2, 1, **options))


@pytest.mark.parametrize("op", ["max", "min", "avg", "sum"])
def test_rows_of_neighbours(op):
    """Several windows a thread, all strides of masks and weights; of 0.0 and -0.0 the first."""
    rng, fn = np.random.default_rng(0), f"{op}_pool2d"
    function = getattr(nbp, fn)
    x = rng.choice([0.0, -0.0, -1.0, np.nan], (1, 5, 23), p=(0.3, 0.3, 0.3, 0.1)).astype(np.float32)
    there = rng.random((1, 5, 46)) < 0.7
    every = [{"nan_policy": "omit"}]
    for mask in (there[..., ::2], there[:, :1, 23:], there[:, :, :1], there[0, ::-1, 22::-1]):
        every += [{"where": mask}, {"where": mask, "nan_policy": "omit"}]
    if op in ("avg", "sum"):
        weights = rng.random((5, 46)).astype(np.float32)
        every += [{"weights": weights[:, ::2]}, {"weights": weights[:, :1], "where": there[..., :23]}]
    for n, options in enumerate(every):
        for args in ((2,), (3, 2, 1), (3, 1, 1), ((2, 5), 1, (0, 2)))[n % 2 :: 2]:
            y = function(OnDevice(x), *args, **moved(options))
            assert_matches(y, *bounds(fn, x, *args, **options))
            if op in ("max", "min"):
                kept, indices = function(OnDevice(x), *args, **moved(options), return_indices=True)
                assert ((kept == y) | np.isnan(y)).all() and (np.isnan(kept) == np.isnan(y)).all()
                assert (np.signbit(kept) == np.signbit(y))[~np.isnan(y)].all()
                _, expected = function(x, *args, **options, return_indices=True)
                np.testing.assert_array_equal(indices, expected)


def test_raise():
    x = image("float32")
    for dtype in ("float32", "float16", "float64"):
        with pytest.raises(ValueError, match="NaN"):
            nbp.max_pool2d(OnDevice(x.astype(dtype)), 2, nan_policy="raise")
    there = ~np.isnan(x)
    y = nbp.max_pool2d(OnDevice(x), 2, nan_policy="raise", where=OnDevice(there))
    np.testing.assert_array_equal(y, nbp.max_pool2d(x, 2, where=there))


@pytest.mark.parametrize("p", [1, 2, 3, 1.5, 0.5, -1, 8, np.inf, -np.inf])
def test_norms(p):
    x = array((2, 5, 7), "float32", "any")
    for options in ({}, {"nan_policy": "omit"}):
        y = nbp.lp_pool2d(OnDevice(x), p, 3, 2, **options)
        assert_matches(y, *bounds("lp_pool2d", x, p, 3, 2, **options))


@pytest.mark.parametrize("p", [1, 2, 3, 1.5, 0.5, -1, 8, 300, np.inf, -np.inf])
def test_gradients_of_norms(p):
    x = array((2, 5, 7), "float32", "any")
    x[0, :2, :4] = 0
    for options in ({}, {"nan_policy": "omit"}, {"where": THERE[:7]}):
        for args in ((p, 3, 2), (p, 2)):
            dy = array(nbp.lp_pool2d(x, *args).shape, "float32", "ties", seed=1)
            y, pullback = nbp.vjp(nbp.lp_pool2d, OnDevice(x), *args, **moved(options))
            assert_matches(y, nbp.lp_pool2d(OnDevice(x), *args, **moved(options)))
            assert_matches(pullback(OnDevice(dy)), *vjp_bounds("lp_pool2d", x, args, options, dy))


@pytest.mark.parametrize("dtype", ["float16", "float64", "float32"])
def test_gradients_of_other_norms(dtype):
    x = array((2, 6, 5, 4), dtype, "distinct")
    for fn, args, options in (
        ("lp_pool2d", (3, 2, 1), {"padding": 1, "dilation": 2, "axes": (1, 2)}),
        ("lp_pool1d", (2.5, 3), {}),
        ("lp_pool2d", (np.inf, 3, 1), {"axes": (1, 2)}),
        ("global_lp_pool", (2,), {"axes": (1, 2)}),
        ("global_lp_pool", (-np.inf,), {"axes": None, "keepdims": False}),
    ):
        y, pullback = nbp.vjp(getattr(nbp, fn), OnDevice(x), *args, **options)
        dy = array(np.shape(y), dtype, "ties", seed=1)
        assert_matches(y, *bounds(fn, x, *args, **options))
        assert_matches(pullback(OnDevice(dy)), *vjp_bounds(fn, x, args, options, dy))


def test_norms_beyond_the_range_of_powers():
    for x, p in (
        (np.float32([1e30, 1e30, -1e-30, 1e-30]), 8),
        (np.array([1e300, -1e300, 1e-300, 3e-300]), 3),
        (np.float32([1e-38, 2e-38, 3e38, 3e38]), 2),
        (np.array([1e-200, 1e-200, 1e200, 1e200]), -4),
    ):
        y, pullback = nbp.vjp(nbp.lp_pool1d, OnDevice(x), p, 2)
        dy = np.ones_like(y)
        dx = pullback(OnDevice(dy))
        assert np.isfinite(dx).all()
        assert_matches(dx, *vjp_bounds("lp_pool1d", x, (p, 2), {}, dy))
