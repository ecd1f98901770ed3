"""The table of window cases under the simulator: against the reference, and against the CPU bit by bit."""

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from cases import (
    CHANNELS_LAST,
    DOCUMENTED,
    DOCUMENTED_GRADIENTS,
    DTYPES,
    FLOATS,
    NO_TAP,
    OPS,
    OPTIONS_1D,
    OPTIONS_2D,
    OPTIONS_3D,
    OTHER_AXES,
    SMALL_PLANES,
    TINY,
    array,
)
from on_device import OnDevice

import numbapool as nbp
from numbapool.testing import assert_matches, bounds, vjp_bounds

MOST = 700  # taps of all windows together: the simulator needs some 50 µs for one


def small(case):
    """A case with fewer planes, and fewer channels than a vector or some more."""
    if case.axes is None:
        return replace(case, shape=(1,) * (len(case.shape) - case.n) + case.shape[-case.n :])
    return case


def taps(case):
    """Of all windows, more or less."""
    kernel = np.broadcast_to(case.kernel, case.n)
    stride = np.broadcast_to(case.kernel if case.stride is None else case.stride, case.n)
    return prod(case.shape) * float(np.prod(kernel / stride))


def table(*cases):
    cases = [small(c) for c in cases]
    return [pytest.param(c, id=f"{c.n}d-{c.id}") for c in cases if taps(c) <= MOST]


def check(op, case, dtype, kind="ties", gradient=True):
    fn, options = case.function(op), case.options(op)
    function, x = getattr(nbp, fn), array(case.shape, dtype, kind)
    if op in ("max", "min"):
        y, indices = function(OnDevice(x), **options, return_indices=True)
        expected = function(x, **options, return_indices=True)
        assert_same(y, expected[0])
        np.testing.assert_array_equal(indices, expected[1])
    y = function(OnDevice(x), **options)
    assert_matches(typed(y, dtype), *bounds(fn, x, **options))
    if dtype not in FLOATS or not gradient:
        return
    dy = array(y.shape, dtype, kind, seed=1)
    if op in ("max", "min"):
        (y, indices), _ = nbp.vjp(function, OnDevice(x), **options, return_indices=True)
        assert_same(y, expected[0])
        np.testing.assert_array_equal(indices, expected[1])
    y, pullback = nbp.vjp(function, OnDevice(x), **options)
    assert_matches(typed(pullback(OnDevice(dy)), dtype), *vjp_bounds(fn, x, (), options, dy))


def typed(y, dtype):
    return y.view(array((1,), dtype).dtype) if dtype == "bfloat16" else y


def assert_same(y, expected):
    same = (typed(y, expected.dtype.name) == expected) | (expected != expected)
    assert same.all()


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("case", table(*OPTIONS_1D, *OPTIONS_2D, *OPTIONS_3D))
def test_options(op, case):
    check(op, case, "float32")


def test_rows_without_taps():
    x = array((1, 3, 9), "float32", "distinct")
    for op in ("max", "min"):
        function, args = getattr(nbp, f"{op}_pool2d"), ((2, 3), 1, (4, 1), (5, 1))
        y, indices = function(OnDevice(x), *args, return_indices=True)
        expected = function(x, *args, return_indices=True)
        assert_same(y, expected[0])
        np.testing.assert_array_equal(indices, expected[1])
        assert (indices == -1).any()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("op", ["max", "min"])
def test_signs_of_zero(op, dtype):
    """Of 0.0 and -0.0 the first in row-major order, in every kernel and memory order."""
    rng, function = np.random.default_rng(0), getattr(nbp, f"{op}_pool2d")
    x = rng.choice([0.0, -0.0, -1.0 if op == "max" else 1.0], (2, 12, 16), p=(0.2, 0.2, 0.6)).astype(dtype)
    for a in (x, np.asfortranarray(x), x.transpose(0, 2, 1), np.moveaxis(x, 0, -1)):
        axes = (0, 1) if a.shape[-1] == 2 else (1, 2)
        for args in ((2,), (3, 2, 1), (3, 1, 1), (5, 1, 2), (3, 3, 1, 2), (7, 1, 3), (12, 12)):
            y, indices = function(OnDevice(a), *args, axes=axes, return_indices=True)
            flat = np.moveaxis(a, axes, (-2, -1)).reshape(2, -1)
            first = np.take_along_axis(flat, np.moveaxis(indices, axes, (-2, -1)).reshape(2, -1), 1)
            for result in (y, function(OnDevice(a), *args, axes=axes)):
                np.testing.assert_array_equal(
                    np.signbit(np.moveaxis(result, axes, (-2, -1)).reshape(2, -1)), np.signbit(first)
                )
    volume = rng.choice([0.0, -0.0, -1.0], (4, 5, 6)).astype(dtype)
    for order in ((0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0)):
        a = volume.transpose(order)
        y, indices = nbp.max_pool3d(OnDevice(a), 2, 1, return_indices=True)
        for result in (y, nbp.max_pool3d(OnDevice(a), 2, 1)):
            np.testing.assert_array_equal(np.signbit(result), np.signbit(a.ravel()[indices]))


@pytest.mark.parametrize("op", ["min", "sum"])
@pytest.mark.parametrize("case", table(*NO_TAP, *SMALL_PLANES))
def test_small_planes(op, case):
    check(op, case, "float64")


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("case", table(*CHANNELS_LAST, *OTHER_AXES))
def test_layouts(op, case):
    check(op, case, "float16")


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(op, dtype):
    for case in TINY[::2]:
        check(op, case, dtype)


@pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expect"), DOCUMENTED)
def test_documented(fn, x, args, kwargs, expect):
    y = getattr(nbp, fn)(OnDevice(x), *args, **kwargs)
    if isinstance(expect, tuple):
        np.testing.assert_array_equal(y[1], expect[1])
        y, expect = y[0], expect[0]
    np.testing.assert_allclose(y, expect, rtol=1e-15)


@pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expect"), DOCUMENTED_GRADIENTS)
def test_documented_gradients(fn, x, args, kwargs, expect):
    y, pullback = nbp.vjp(getattr(nbp, fn), OnDevice(np.asarray(x, float)), *args, **kwargs)
    np.testing.assert_allclose(pullback(OnDevice(np.ones(y.shape))), expect, rtol=1e-15)
