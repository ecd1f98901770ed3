"""Max unpooling under the simulator: duplicates, −1, indices out of range, every width of values and indices, layouts."""

import numpy as np
import pytest
from cases import array
from on_device import OnDevice

import numbapool as nbp
from numbapool.testing import assert_matches, reference, vjp_bounds

CASES = [
    ("max_unpool1d", (7,), (2,), {}),
    ("max_unpool1d", (2, 4, 5), (3, 2, (1, 0)), {"axes": 1, "output_size": (2, 9, 5)}),
    ("max_unpool2d", (2, 3, 4), ((3, 2), (2, 3), (1, 0)), {"output_size": (6, 12)}),
    ("max_unpool2d", (2, 3, 2, 5), (2,), {"axes": (1, 2)}),
    ("max_unpool2d", (3, 4, 2, 2), ((1, 4),), {"axes": (-1, 0)}),
    ("max_unpool3d", (2, 2, 2, 3), (2, (2, 1, 2)), {}),
    ("max_unpool2d", (0, 3, 4), (2,), {}),
]


def indices_of(fn, shape, args, options):
    """Random, with duplicates and −1."""
    size = reference(fn, np.zeros(shape, bool), np.full(shape, -1), *args, **options).shape
    axes = np.atleast_1d(options.get("axes", range(-int(fn[-2]), 0)))
    elements = int(np.prod([size[a] for a in axes]))
    return np.random.default_rng(0).integers(-1, elements, shape), size


def check(fn, x, indices, args, options, dy):
    function = getattr(nbp, fn)
    y, pullback = nbp.vjp(function, OnDevice(x), OnDevice(indices), *args, **options)
    expected = function(x, indices, *args, **options)
    assert_matches(y, expected)
    if not y.size:
        return
    assert y.strides == expected.strides
    dx = pullback(OnDevice(dy))
    assert_matches(dx, *vjp_bounds(fn, x, (indices, *args), options, dy))
    assert dx.strides == nbp.vjp(function, x, indices, *args, **options)[1](dy).strides


@pytest.mark.parametrize(("fn", "shape", "args", "options"), CASES)
def test_cases(fn, shape, args, options):
    indices, size = indices_of(fn, shape, args, options)
    x, dy = array(shape, "float32", "distinct"), array(size, "float32", "distinct", seed=1)
    check(fn, x, indices, args, options, dy)
    check(fn, np.asfortranarray(x), np.ascontiguousarray(indices[::-1])[::-1], args, options, dy[..., ::-1])
    check(fn, x, np.zeros(shape, int), args, options, dy)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float16", "float64", "int64"])
def test_values(dtype):
    x = array((2, 3, 4), dtype, "any")
    indices = np.random.default_rng(0).integers(-1, 48, x.shape)
    assert_matches(nbp.max_unpool2d(OnDevice(x), OnDevice(indices), 2), nbp.max_unpool2d(x, indices, 2))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32", "uint64"])
def test_indices(dtype):
    x = array((3, 4), "float32", "distinct")
    indices = np.arange(12)[::-1].reshape(3, 4).astype(dtype)
    check("max_unpool2d", x, indices, (2,), {}, array((6, 8), "float32", "distinct", seed=1))


@pytest.mark.parametrize(
    "wrong", [-2, 12, np.iinfo(np.int64).min, np.uint64(2**64 - 1)], ids=["low", "high", "least", "most"]
)
def test_out_of_range(wrong):
    x = np.ones((2, 3), np.float32)
    indices = np.array([[0, 1, 2], [3, wrong, 5]], np.uint64 if isinstance(wrong, np.uint64) else np.int64)
    with pytest.raises(ValueError, match=r"indices must lie between -1 .* and 11,.* at \(1, 1\)") as error:
        nbp.max_unpool1d(OnDevice(x), OnDevice(indices), 4, 4)
    with pytest.raises(ValueError) as expected:
        nbp.max_unpool1d(x, indices, 4, 4)
    assert str(error.value) == str(expected.value)
    with nbp.options(check_values=False):
        y, pullback = nbp.vjp(nbp.max_unpool1d, OnDevice(x), OnDevice(indices), 4, 4)
        np.testing.assert_array_equal(y, nbp.max_unpool1d(x, indices, 4, 4))
        np.testing.assert_array_equal(pullback(OnDevice(np.ones(y.shape, np.float32)))[1], [1, 0, 1])


def test_where_indices_lie():
    x = np.ones((2, 4), np.float32)
    with pytest.raises(TypeError, match="indices lies in host memory"):
        nbp.max_unpool1d(OnDevice(x), np.zeros((2, 4), int), 2)
    with pytest.raises(TypeError, match="indices must be integers"):
        nbp.max_unpool1d(OnDevice(x), OnDevice(x), 2)
