"""Large windows under the simulator: merged axis by axis where they overlap, by a block of threads where they do not; whole planes, uneven windows."""

import numpy as np
import pytest
from cases import array
from on_device import OnDevice

import numbapool as nbp
from numbapool.backends import cuda_plans
from numbapool.kernels.cuda import build
from numbapool.testing import assert_matches, bounds, vjp_bounds

OPS = ("max", "min", "avg", "sum")


def check(fn, x, *args, **kwargs):
    function = getattr(nbp, fn)
    if "max" in fn or "min" in fn:
        y, indices = function(OnDevice(x), *args, **kwargs, return_indices=True)
        expected = function(x, *args, **kwargs, return_indices=True)
        np.testing.assert_array_equal(y, expected[0])
        np.testing.assert_array_equal(indices, expected[1])
    y = function(OnDevice(x), *args, **kwargs)
    assert_matches(y, *bounds(fn, x, *args, **kwargs))
    if x.dtype.kind != "f":
        return
    dy = array(y.shape, x.dtype.name, "ties", seed=1)
    y, pullback = nbp.vjp(function, OnDevice(x), *args, **kwargs)
    assert_matches(pullback(OnDevice(dy)), *vjp_bounds(fn, x, args, kwargs, dy))


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("max", "float32"),
        ("min", "float16"),
        ("avg", "float32"),
        ("sum", "float64"),
        ("avg", "int16"),
        ("max", "uint8"),
    ],
)
def test_overlapping(op, dtype):
    x = array((1, 12, 14), dtype, "ties")
    check(f"{op}_pool2d", x, 7, 1, 3)
    check(f"{op}_pool2d", x, 9, 2, 4, ceil_mode=True)
    check(f"{op}_pool1d", x[0, :3], 11, 1)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int16"])
def test_divisors_of_their_own(dtype, monkeypatch):
    """Each axis divides by its part."""
    plans = []
    run = cuda_plans.Plan.run
    monkeypatch.setattr(cuda_plans.Plan, "run", lambda self, *a: (plans.append(self), run(self, *a))[1])
    x = array((1, 12, 14), dtype, "any")
    for kernel, stride, padding in ((7, 1, 3), ((9, 6), 2, (4, 3))):
        plans.clear()
        y = nbp.avg_pool2d(OnDevice(x), kernel, stride, padding, count_include_pad=False)
        assert len(plans) == 2
        assert_matches(y, *bounds("avg_pool2d", x, kernel, stride, padding, count_include_pad=False))
        check("avg_pool2d", x, kernel, stride, padding, ceil_mode=True, count_include_pad=False)
    if dtype == "int16":
        check("avg_pool2d", x, 7, 1, 3, count_include_pad=False, dtype="int16")


@pytest.mark.parametrize(("op", "dtype"), [("max", "float32"), ("min", "float16"), ("max", "uint8")])
def test_places_go_from_pass_to_pass(op, dtype):
    x = array((1, 13, 15), dtype, "ties")
    if x.dtype.kind == "f":
        x[0, 3, 4:7] = np.nan
    check(f"{op}_pool2d", x, (12, 13), 1, 5)
    check(f"{op}_pool2d", np.asfortranarray(x), 12, (1, 2), 6)
    check(f"{op}_pool2d", np.moveaxis(x, 0, -1), 12, 2, 4, axes=(0, 1))
    check(f"{op}_pool2d", array((30, 9), dtype, "ties"), (25, 6), 1, (3, 2))
    check(f"{op}_pool3d", array((6, 7, 8), dtype, "ties"), (5, 6, 5), 1, 2)
    check(f"{op}_pool2d", x, 6, 1, 5, 2)
    assert any("_carried_" in k.name for k in build.kernels())
    assert x.dtype.kind != "f" or any("_ranges" in k.name for k in build.kernels())


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        ("max", "float32"),
        ("min", "float16"),
        ("avg", "float32"),
        ("sum", "float64"),
        ("avg", "int16"),
        ("max", "uint8"),
    ],
)
def test_global(op, dtype):
    for shape, axes in (
        ((1, 12, 13), (-2, -1)),
        ((1, 16, 16), (-2, -1)),
        ((1, 12, 11, 3), (1, 2)),
        ((150, 3), (0,)),
        ((2, 4, 5), (-2, -1)),
    ):
        x = array(shape, dtype, "ties")
        check(f"global_{op}_pool", x, axes=axes)
        check(f"global_{op}_pool", x, axes=axes, keepdims=False)


@pytest.mark.parametrize("op", ["max", "avg"])
def test_divided(op):
    for shape, size in (((2, 7, 10), (3, 4)), ((1, 41, 40), 3), ((1, 3, 4), (5, 2)), ((2, 9, 8), (None, 3))):
        check(f"adaptive_{op}_pool2d", array(shape, "float32", "ties"), size)
    check(f"adaptive_{op}_pool2d", array((7, 10, 12), "float32", "ties"), (3, 4), axes=(0, 1))
    check(f"adaptive_{op}_pool3d", array((5, 6, 7), "float16", "ties"), (3, 4, 2))


def test_blocks_of_apart_windows():
    x = array((1, 20, 30), "float32", "any")
    for op in OPS:
        check(f"{op}_pool2d", x, (12, 14), (11, 14), 1)


@pytest.mark.parametrize("op", ["max", "avg"])
def test_teams(op, monkeypatch):
    """A part of a warp a window, or a block; the last block has more teams than there are windows left."""
    names = []
    run = cuda_plans.Plan.run
    monkeypatch.setattr(
        cuda_plans.Plan, "run", lambda self, *a: (names.append(self.kernel.name), run(self, *a))[1]
    )
    for shape, args, team in (
        ((3, 7, 7), (), "by4"),
        ((1, 14, 21), (7,), "by4"),
        ((1, 12, 24), ((4, 8),), "by4"),
        ((5, 3, 17), ((3, 17),), "by4"),
        ((1, 30, 31), (), "by8"),
    ):
        x = array(shape, "float32", "ties")
        fn = f"{op}_pool2d" if args else f"global_{op}_pool"
        names.clear()
        getattr(nbp, fn)(OnDevice(x), *args)
        assert len(names) == 1 and f"{op}_tree_" in names[0] and f"_{team}_" in names[0]
        check(fn, x, *args)


def test_the_mean_of_many():
    x = np.full((1, 300, 300), 0.1, np.float32)
    for y in (nbp.global_avg_pool(OnDevice(x)), nbp.avg_pool2d(OnDevice(x), 300)):
        assert abs(float(y[0, 0, 0]) - np.float64(np.float32(0.1))) <= 2 * np.spacing(np.float32(0.1))


@pytest.mark.parametrize(
    ("op", "dtype"), [("avg", "float32"), ("sum", "float32"), ("avg", "float16"), ("avg", "float64")]
)
def test_missing_and_weighed(op, dtype, monkeypatch):
    """Large windows of which elements are missing or weighed are added up like others; means of nothing are NaN."""
    names = []
    run = cuda_plans.Plan.run
    monkeypatch.setattr(
        cuda_plans.Plan, "run", lambda self, *a: (names.append(self.kernel.name), run(self, *a))[1]
    )
    x, rng = array((2, 13, 17), dtype, "ties"), np.random.default_rng(5)
    x[0, 3, 4:7] = np.nan
    x[1, 2, 3] = np.inf
    there = rng.random((13, 17)) < 0.6
    there[:, 13:] = False
    weights = rng.integers(-1, 4, (2, 13, 1)).astype("int8")
    some = ((12, 1), ((13, 10), (1, 7)), ((12, 11), (3, 2))) if dtype == "float32" else ((12, 4),)
    for kernel, stride in some:
        for given in ({"where": there}, {"nan_policy": "omit"}, {"weights": weights, "where": there}):
            args = (kernel, stride)
            moved = {k: v if k == "nan_policy" else OnDevice(v) for k, v in given.items()}
            y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), OnDevice(x), *args, **moved)
            assert_matches(y, *bounds(f"{op}_pool2d", x, *args, **given))
            dy = array(y.shape, dtype, "ties", seed=1)
            assert_matches(pullback(OnDevice(dy)), *vjp_bounds(f"{op}_pool2d", x, args, given, dy))
    assert any("_means" in name for name in names) == (op == "avg") and not any(
        "_masked_" in name for name in names
    )


def test_sums_of_weights_in_float64():
    """Weights that nearly cancel, and products beyond float32."""
    rng = np.random.default_rng(3)
    x = array((1, 13, 16), "float32", "distinct")
    signs = np.where(np.arange(13) % 2, 1, -1)[:, None]
    for weights in (
        (signs * (2**30 + rng.integers(0, 9, (13, 16)))).astype("int64"),
        (signs * (2**24 + 1) + rng.integers(0, 2, (13, 16))).astype("int32"),
    ):
        y = nbp.avg_pool2d(OnDevice(x), 12, 1, weights=OnDevice(weights))
        assert_matches(y, *bounds("avg_pool2d", x, 12, 1, weights=weights))
    heavy, there = np.full((13, 16), 1e10, "float32"), rng.random((13, 16)) < 0.7
    large = (x * np.float32(1e30)).astype("float32")
    y = nbp.avg_pool2d(OnDevice(large), 12, 1, weights=OnDevice(heavy))
    assert_matches(y, *bounds("avg_pool2d", large, 12, 1, weights=heavy))
    tiny = np.full((13, 16), 1e-60)
    y, pullback = nbp.vjp(nbp.avg_pool2d, OnDevice(x), 2, weights=OnDevice(tiny))
    dy = array(y.shape, "float32", "ties", seed=1)
    expected = vjp_bounds("avg_pool2d", x, (2,), {"weights": tiny}, dy)
    for part, of_part in zip(pullback(OnDevice(dy)), expected, strict=True):
        assert_matches(part, *of_part)
    apart = np.full((1, 12, 12), 3e38, "float32")
    there = there[:12, :12]
    y = nbp.global_avg_pool(OnDevice(apart), where=OnDevice(there))
    assert_matches(y, *bounds("global_avg_pool", apart, where=there))


def test_gradients_of_weights_of_large_windows():
    x, weights = array((2, 13, 17), "float32", "distinct"), array((13, 17), "float32", "any", seed=2)
    y, pullback = nbp.vjp(nbp.avg_pool2d, OnDevice(x), (12, 13), 1, weights=OnDevice(weights))
    assert_matches(y, *bounds("avg_pool2d", x, (12, 13), 1, weights=weights))
    dy = array(y.shape, "float32", "ties", seed=1)
    expected = vjp_bounds("avg_pool2d", x, ((12, 13), 1), {"weights": weights}, dy)
    for part, of_part in zip(pullback(OnDevice(dy)), expected, strict=True):
        assert_matches(part, *of_part)
