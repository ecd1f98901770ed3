"""Fractional max pooling: forward, indices and gradients against the reference and torch, other windows in every plane."""

import numpy as np
import pytest
from cases import FLOATS, array, same_bits

import numbapool as nbp
from numbapool.backends import cpu
from numbapool.testing import check, check_vjp, reference

# n, shape, axes
CASES = [
    (2, (2, 3, 11, 43), None), (2, (5, 3, 20, 9), (0, 2)), (2, (4, 9, 8, 3), (1, 2)), (2, (4, 9, 8, 3), (2, 1)), (2, (25, 7), None),
    (2, (3, 40, 60), None), (3, (2, 6, 7, 8), None), (3, (6, 7, 8, 2), (0, 1, 2)), (2, (2, 0, 9, 9), None),
]  # fmt: skip


def _samples(shape, n, axes, dtype, seed=0):
    axes = range(-n, 0) if axes is None else axes
    pooled = {a % len(shape) for a in axes}
    lead = tuple(s for a, s in enumerate(shape) if a not in pooled)
    return np.random.default_rng(seed).random((*lead, n)).astype(dtype)


@pytest.mark.parametrize(("n", "shape", "axes"), CASES, ids=str)
def test_fractional(n, shape, axes):
    fn, x = f"fractional_max_pool{n}d", array(shape, kind="ties")
    for kernel, size, ratio in (
        (2, 3, None),
        (3, None, 0.5),
        (2, None, 0.7),
        ((1, 2, 3)[:n], 2, None),
        (4, 1, None),
    ):
        for dtype in ("float32", "float64"):
            made = {"random_samples": _samples(shape, n, axes, dtype), "axes": axes}
            y, _ = check(fn, x, kernel, size, ratio, True, **made)
            assert same_bits(check(fn, x, kernel, size, ratio, **made), y)
        check_vjp(fn, x, (kernel, size, ratio), made, array(y.shape, seed=1))


@pytest.mark.parametrize("dtype", ["float16", "uint8", "float64", "bool"])
def test_dtypes(dtype):
    x = array((3, 20, 9), dtype, "ties")
    y, _ = check("fractional_max_pool2d", x, 2, (9, 5), None, True, rng=0)
    if dtype in FLOATS:
        check_vjp("fractional_max_pool2d", x, (2, (9, 5)), {"rng": 0}, array(y.shape, dtype, seed=1))


def test_nan_and_layouts():
    x = array((3, 4, 30, 17))
    x[1, 2, 3:9] = np.nan
    samples = _samples(x.shape, 2, None, "float32")
    y, indices = check("fractional_max_pool2d", x, 3, 6, None, True, random_samples=samples)
    for other in (np.asfortranarray(x), x.astype(">f4"), x[::-1][::-1]):
        again = nbp.fractional_max_pool2d(other, 3, 6, None, True, random_samples=samples)
        assert all(same_bits(np.ascontiguousarray(a), b) for a, b in zip(again, (y, indices), strict=True))


def test_parts(monkeypatch):
    x, samples = array((5, 7, 12, 13)), _samples((5, 7, 12, 13), 2, None, "float64")
    expected = nbp.fractional_max_pool2d(x, 2, 5, None, True, random_samples=samples)
    monkeypatch.setattr(cpu, "SLAB_BYTES", 20_000)
    again = nbp.fractional_max_pool2d(x, 2, 5, None, True, random_samples=samples)
    assert all(same_bits(a, b) for a, b in zip(again, expected, strict=True))


def test_documented():
    x = np.arange(5.0)[None]
    for u, starts in ((0.0, [0, 1, 3]), (0.5, [0, 2, 3])):
        y = nbp.fractional_max_pool2d(x, (1, 2), (1, 3), random_samples=[u, 0.0])
        assert y[0].tolist() == [s + 1 for s in starts]


def test_rng():
    x = array((2, 9, 9))
    y = nbp.fractional_max_pool2d(x, 2, 5, rng=7)
    assert same_bits(y, nbp.fractional_max_pool2d(x, 2, 5, rng=np.random.default_rng(7)))
    assert same_bits(y, reference("fractional_max_pool2d", x, 2, 5, rng=7))
    assert nbp.fractional_max_pool2d(x, 2, 5).shape == (2, 5, 5)


def test_torch():
    torch = pytest.importorskip("torch")
    for n in (2, 3):
        x = torch.randn(2, 3, *(30, 17, 9)[:n])
        samples = torch.rand(2, 3, n)
        theirs = getattr(torch.nn.functional, f"fractional_max_pool{n}d")
        theirs = theirs(x, 2, (7, 9, 4)[:n], _random_samples=samples, return_indices=True)
        ours = getattr(nbp, f"fractional_max_pool{n}d")(
            x, 2, (7, 9, 4)[:n], return_indices=True, random_samples=samples
        )
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


_X = np.ones((2, 6, 6))


@pytest.mark.parametrize(
    ("error", "name", "args", "kwargs"),
    [
        (ValueError, "output_size", (2,), {}), (ValueError, "output_size", (2, 3, 0.5), {}), (ValueError, "output_size", (2, 6), {}),
        (ValueError, "output_size", (2, 0), {}), (ValueError, "kernel_size", (7, 1), {}), (TypeError, "rng", (2, 3), {"rng": True}), (TypeError, "output_size", (2, 2.5), {}),
        (ValueError, "kernel_size", (0, 2), {}), (ValueError, "output_ratio", (2, None, 1.0), {}), (ValueError, "output_ratio", (2, None, 0.0), {}),
        (ValueError, "output_ratio", (2, None, np.nan), {}), (TypeError, "output_ratio", (2, None, "1"), {}), (ValueError, "output_ratio", (2, None, (0.5,) * 3), {}),
        (ValueError, "output_ratio", (2, None, 0.1), {}), (TypeError, "return_indices", (2, 3, None, 2.5), {}),
        (ValueError, "random_samples", (2, 3), {"random_samples": np.ones((3, 2))}), (ValueError, "random_samples", (2, 3), {"random_samples": np.full((2, 2), 1.1)}),
        (ValueError, "random_samples", (2, 3), {"random_samples": np.full((2, 2), np.nan)}), (TypeError, "random_samples", (2, 3), {"random_samples": "no"}),
        (TypeError, "rng", (2, 3), {"rng": "no"}), (ValueError, "rng", (2, 3), {"rng": -1}), (ValueError, "axes", (2, 3), {"axes": (0, 0)}),
    ],
    ids=str,
)  # fmt: skip
def test_bad_input(error, name, args, kwargs):
    with pytest.raises(error, match=name):
        nbp.fractional_max_pool2d(_X, *args, **kwargs)


def test_unchecked_samples():
    samples = np.array([[np.nan, 7.0], [-1.0, 0.5]])
    with nbp.options(check_values=False):
        y = nbp.fractional_max_pool2d(array((2, 6, 6)), 2, 3, random_samples=samples)
    assert same_bits(
        y, nbp.fractional_max_pool2d(array((2, 6, 6)), 2, 3, random_samples=[[0.0, 1.0], [0.0, 0.5]])
    )
