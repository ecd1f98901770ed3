"""What comes in and goes out, under the simulator: `out=`, `dy` of other dtypes, any number of leading axes, memory that does not belong together."""

import numpy as np
import pytest
from cases import array
from on_device import OnDevice

import numbapool as nbp
from numbapool import device
from numbapool.testing import assert_matches, bounds, vjp_bounds


def test_out():
    x = array((2, 6, 8), "float32", "distinct")
    expected, places = nbp.max_pool2d(x, 2, return_indices=True)
    out, indices = OnDevice(np.zeros((2, 3, 4), np.float32)), OnDevice(np.zeros((2, 3, 4), np.int64))
    assert nbp.max_pool2d(OnDevice(x), 2, out=out) is out
    np.testing.assert_array_equal(out.array, expected)
    out = OnDevice(np.zeros((3, 4, 2), np.float32).transpose(2, 0, 1))  # any strides
    y, kept = nbp.max_pool2d(OnDevice(x), 2, return_indices=True, out=(out, indices))
    assert y is out and kept is indices
    np.testing.assert_array_equal(out.array, expected)
    np.testing.assert_array_equal(indices.array, places)
    for wrong, error in (
        (np.zeros((2, 3, 4), np.float32), TypeError),
        (OnDevice(np.zeros((2, 3, 4))), TypeError),
        (OnDevice(np.zeros((2, 3, 5), np.float32)), ValueError),
        (OnDevice(np.broadcast_to(np.float32(0), (2, 3, 4))), ValueError),
    ):
        with pytest.raises(error, match="out"):
            nbp.max_pool2d(OnDevice(x), 2, out=wrong)


def test_overlapping_out():
    x = array((1, 6, 8), "float32", "distinct")
    expected = nbp.max_pool2d(x, 3, 1, 1)
    shared = OnDevice(x.copy())
    nbp.max_pool2d(shared, 3, 1, 1, out=shared)
    np.testing.assert_array_equal(shared.array, expected)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32"])
def test_dy_of_another_dtype(dtype):
    x = array((2, 4, 6), "float32", "distinct")
    dy = array((2, 2, 3), dtype, "ties")
    for fn in ("max_pool2d", "avg_pool2d"):
        _, pullback = nbp.vjp(getattr(nbp, fn), OnDevice(x), 2)
        assert_matches(pullback(OnDevice(dy)), *vjp_bounds(fn, x, (2,), {}, dy.astype(np.float32)))
    with pytest.raises(ValueError, match="dy must have the shape"):
        pullback(OnDevice(dy[:1]))


def test_broadcast_dy():
    x = array((2, 4, 6), "float32", "distinct")
    dy = np.broadcast_to(np.float32(2), (2, 2, 3))
    _, pullback = nbp.vjp(nbp.avg_pool2d, OnDevice(x), 2)
    np.testing.assert_array_equal(pullback(OnDevice(dy)), np.full((2, 4, 6), 0.5, np.float32))


def test_leading_axes_and_strides():
    whole = array((3, 4, 3, 4, 3, 6, 8), "int16", "any")
    for x in (
        whole[::2, ::3, ::2, ::3, ::2],
        whole[0, 0, 0, ::-1, :, ::2, ::-1],
        whole[0, 0, 0, 0, 0].T,
        whole[..., :0, :, :],
    ):
        y = nbp.max_pool2d(OnDevice(x), 2)
        np.testing.assert_array_equal(y, nbp.max_pool2d(x, 2))
    x = array((2, 5, 6, 4), "float32", "ties")
    for order in ("C", "F"):
        y = nbp.avg_pool2d(OnDevice(np.asarray(x, order=order)), 3, 2, 1, axes=(1, 2))
        assert_matches(y, *bounds("avg_pool2d", x, 3, 2, 1, axes=(1, 2)))
        assert y.flags[f"{order}_CONTIGUOUS"]


def test_memory_that_does_not_belong_together():
    x = np.ones((4, 4), np.float32)
    with pytest.raises(TypeError, match="where lies in host memory, but x on CUDA device 0"):
        nbp.max_pool2d(OnDevice(x), 2, where=x > 0)
    with pytest.raises(TypeError, match="weights lies on CUDA device 0, but x in host memory"):
        nbp.avg_pool2d(x, 2, weights=OnDevice(x))
    with pytest.raises(TypeError, match="dy lies in host memory"):
        nbp.vjp(nbp.max_pool2d, OnDevice(x), 2)[1](x[:2, :2])


def test_elements_are_never_read_by_the_host():
    x, _ = device.unwrap(OnDevice(np.ones((4, 4), np.float32)), "x")
    with pytest.raises(TypeError, match="cannot be read from the host"):
        np.asarray(x)


def test_elements_out_of_step():
    raw = np.zeros(4 * 6 * 32 + 1, np.uint8)
    x = raw[1:].view(np.float32).reshape(6, 32)[:, :8]
    with pytest.raises(ValueError, match="x must have its elements at multiples of their size, 4 bytes"):
        nbp.max_pool2d(OnDevice(x), 2)
    assert (nbp.max_pool2d(OnDevice(x.copy()), 2) == 0).all()


def test_bad_dtype():
    for wrong in (np.ones((4, 4), complex), np.ones((4, 4), ">f4")):
        with pytest.raises(TypeError, match=r"^x "):
            nbp.max_pool2d(OnDevice(wrong), 2)


def test_reshaped():
    """As NumPy says which shapes memory can have without a copy."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(1, 5)))
        base = np.empty(tuple(n * int(rng.integers(1, 3)) for n in shape), np.float32)
        view = base[tuple(slice(None, n) for n in shape)].transpose(rng.permutation(len(shape)))
        new = tuple(int(n) for n in rng.permutation([*view.shape, 1]))
        merged = (-1, *view.shape[2:]) if view.ndim > 1 else (view.size,)
        for target in (new, np.empty(view.shape).reshape(merged).shape):
            expected = view.view()
            try:
                expected = np.reshape(view, target, copy=False)
            except ValueError:
                expected = None
            strides = device.reshaped(view.shape, view.strides, target, 4)
            if expected is None:
                assert strides is None
            else:
                assert strides is not None
                big = [n > 1 for n in target]
                assert [s for s, b in zip(strides, big) if b] == [
                    s for s, b in zip(expected.strides, big) if b
                ]
