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
