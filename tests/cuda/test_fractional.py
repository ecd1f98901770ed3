"""Fractional max pooling under the simulator: the CPU's results to the bit, gradients included, wherever the samples lie."""

import numpy as np
import pytest
from cases import FLOATS, array
from on_device import OnDevice

import numbapool as nbp
from numbapool.testing import assert_matches

# n, shape, axes
CASES = [
    (2, (2, 9, 11), None),
    (2, (7, 2, 8), (0, 2)),
    (2, (7, 8, 2), (0, 1)),
    (2, (2, 5, 6, 2), (2, 1)),
    (3, (5, 6, 4), None),
    (2, (0, 9, 9), None),
]


def samples_of(shape, n, axes, dtype):
    pooled = {a % len(shape) for a in (range(-n, 0) if axes is None else axes)}
    lead = tuple(s for a, s in enumerate(shape) if a not in pooled)
    return np.random.default_rng(0).random((*lead, n)).astype(dtype)


def check(fn, x, *args, samples, **options):
    function = getattr(nbp, fn)
    expected, back = nbp.vjp(function, x, *args, return_indices=True, random_samples=samples, **options)
    for given in (samples, OnDevice(samples)):
        y, pullback = nbp.vjp(function, OnDevice(x), *args, return_indices=True, random_samples=given, **options)  # fmt: skip
        for part, other in zip(y, expected, strict=True):
            assert_matches(part, other)
    assert_matches(function(OnDevice(x), *args, random_samples=samples, **options), expected[0])
    dy = array(y[0].shape, x.dtype.name, "distinct", seed=1)
    assert_matches(np.abs(pullback(OnDevice(dy))), np.abs(back(dy)))  # gradients keep no sign of zero


@pytest.mark.parametrize(("n", "shape", "axes"), CASES, ids=str)
def test_cases(n, shape, axes):
    x, fn = array(shape, "float32", "ties"), f"fractional_max_pool{n}d"
    for args, dtype in (
        ((2, 3), "float32"),
        ((3, None, 0.5), "float64"),
        (((1, 2, 3)[:n], 2), "float64"),
        ((4, 1), "float32"),
    ):
        check(fn, x, *args, samples=samples_of(shape, n, axes, dtype), axes=axes)


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
def test_dtypes(dtype):
    x = array((1, 9, 7), dtype, "ties")
    samples = samples_of(x.shape, 2, None, "float32")
    if dtype in FLOATS:
        check("fractional_max_pool2d", x, 2, (6, 5), samples=samples)
    y = nbp.fractional_max_pool2d(OnDevice(x), 2, (6, 5), random_samples=OnDevice(samples))
    assert_matches(y, nbp.fractional_max_pool2d(x, 2, (6, 5), random_samples=samples))


def test_samples():
    x = array((2, 9, 9), "float32", "distinct")
    expected = nbp.fractional_max_pool2d(x, 2, 5, rng=7)
    assert_matches(nbp.fractional_max_pool2d(OnDevice(x), 2, 5, rng=7), expected)
    drawn = np.random.default_rng(7).random((1, 2, 2))
    for given in (drawn, drawn[..., ::-1].copy()[..., ::-1]):
        assert_matches(nbp.fractional_max_pool2d(OnDevice(x), 2, 5, random_samples=OnDevice(given)), expected)
    half = drawn.astype(np.float16)
    y = nbp.fractional_max_pool2d(OnDevice(x), 2, 5, random_samples=OnDevice(half))
    assert_matches(y, nbp.fractional_max_pool2d(x, 2, 5, random_samples=half))


@pytest.mark.parametrize("wrong", [1.5, -0.5, np.nan, np.inf])
def test_samples_out_of_range(wrong):
    x = array((2, 9, 9), "float32", "distinct")
    samples = np.array([[0.5, 1.0], [wrong, 0.0]], np.float32)
    with pytest.raises(ValueError, match=f"random_samples must lie between 0 and 1, not {wrong}"):
        nbp.fractional_max_pool2d(OnDevice(x), 2, 5, random_samples=OnDevice(samples))
    with nbp.options(check_values=False):
        y = nbp.fractional_max_pool2d(OnDevice(x), 2, 5, random_samples=OnDevice(samples))
        assert_matches(y, nbp.fractional_max_pool2d(x, 2, 5, random_samples=samples))


def test_bad_samples():
    x = np.ones((2, 6, 6), np.float32)
    with pytest.raises(ValueError, match="random_samples must have shape"):
        nbp.fractional_max_pool2d(OnDevice(x), 2, 3, random_samples=OnDevice(np.ones((3, 2))))
    with pytest.raises(TypeError, match="random_samples lies on CUDA device 0, but x in host memory"):
        nbp.fractional_max_pool2d(x, 2, 3, random_samples=OnDevice(np.ones((2, 2))))
