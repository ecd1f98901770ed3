"""On a real GPU: containers, streams, agreement with the CPU, arrays above 2^31 elements.

Needs numba-cuda, CuPy, torch and pytest alone; ``make gpu`` runs it without the settings and the conftest of the other tests.
"""

import importlib.util

import numpy as np
import pytest

import numbapool as nbp
from numbapool.testing import assert_matches, bounds, vjp_bounds


def _missing():
    for name in ("numba_cuda", "cupy", "torch"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    from numba import cuda

    return "" if cuda.is_available() else "there is no CUDA device"


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(_missing()), reason=_missing() or "there")]

FLOATS = ("float16", "float32", "float64")
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", *FLOATS)
OPS = ("max", "min", "avg", "sum")
WINDOWS = [
    ((2, 3, 32, 48), (2,), {}),
    ((2, 3, 33, 47), (3, 2, 1), {}),
    ((2, 3, 32, 64), (3, 1, 1), {}),
    ((1, 2, 40, 40), (13, 1, 6), {}),
    ((1, 2, 40, 40), (3, 2, 2), {"dilation": 2, "ceil_mode": True}),
    ((2, 33, 47, 16), (3, 2, 1), {"axes": (1, 2)}),
    ((2, 33, 47, 5), (2,), {"axes": (1, 2)}),
]


def array(shape, dtype, seed=0):
    """Few values, so that there are ties, and of floats a NaN and infinities."""
    rng = np.random.default_rng([seed, *shape])
    x = rng.integers(0, 5, shape).astype(dtype)
    if x.dtype.kind == "f":
        x += (rng.random(shape) * 0.1).astype(dtype)
        x.flat[:: max(x.size // 7, 1)] = np.nan
        x.flat[3 :: max(x.size // 5, 1)] = np.inf
    return x


def to_cupy(x):
    import cupy

    return cupy.asarray(x)


def to_torch(x):
    import torch

    return torch.from_numpy(x).cuda()


def to_numba(x):
    from numba import cuda

    return cuda.to_device(x)


def host(y):
    if hasattr(y, "copy_to_host"):
        return y.copy_to_host()
    return y.get() if hasattr(y, "get") else y.cpu().numpy()


CONTAINERS = {"cupy": to_cupy, "torch": to_torch, "numba": to_numba}


def agree(y, expected):
    """Equal but for the payload of NaNs."""
    assert y.dtype == expected.dtype and y.shape == expected.shape
    assert ((y == expected) | ((y != y) & (expected != expected))).all()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("shape", "args", "kwargs"), WINDOWS)
@pytest.mark.parametrize("op", OPS)
def test_windows(op, shape, args, kwargs, container):
    put, function, fn = CONTAINERS[container], getattr(nbp, f"{op}_pool2d"), f"{op}_pool2d"
    for dtype in DTYPES if container == "cupy" else ("float32", "float16", "uint8"):
        x = array(shape, dtype)
        y = function(put(x), *args, **kwargs)
        assert type(y) is type(put(x)) or container == "numba"
        if op in ("max", "min"):
            agree(host(y), function(x, *args, **kwargs))
            y, indices = function(put(x), *args, **kwargs, return_indices=True)
            expected = function(x, *args, **kwargs, return_indices=True)
            agree(host(y), expected[0])
            agree(host(indices), expected[1])
        else:
            assert_matches(host(y), *bounds(fn, x, *args, **kwargs))
        if dtype in FLOATS:
            dy = np.random.default_rng(1).integers(-3, 4, y.shape).astype(dtype)
            _, pullback = nbp.vjp(function, put(x), *args, **kwargs)
            first, second = host(pullback(put(dy))), host(pullback(put(dy)))
            assert first.tobytes() == second.tobytes()
            assert_matches(first, *vjp_bounds(fn, x, args, kwargs, dy))


@pytest.mark.parametrize("op", OPS)
def test_global_and_adaptive(op):
    for shape, axes in (
        ((64, 31, 33), (1, 2)),
        ((8, 64, 64), (1, 2)),
        ((4, 20, 21, 100), (1, 2)),
        ((3, 7, 7), (1, 2)),
    ):
        x = array(shape, "float32")
        assert_matches(
            host(getattr(nbp, f"global_{op}_pool")(to_cupy(x), axes=axes)),
            *bounds(f"global_{op}_pool", x, axes=axes),
        )
    if op in ("max", "avg"):
        x = array((3, 30, 41), "float32")
        fn = f"adaptive_{op}_pool2d"
        assert_matches(host(getattr(nbp, fn)(to_cupy(x), (7, 6))), *bounds(fn, x, (7, 6)))


def gradients(fn, x, put, args, kwargs, moved):
    """The pullback's, twice the same bits, on the host, and dy."""
    y, pullback = nbp.vjp(getattr(nbp, fn), put(x), *args, **moved)
    y = host(y[0] if isinstance(y, tuple) else y)
    dy = np.random.default_rng(1).integers(-3, 4, y.shape).astype(x.dtype)
    first, second = pullback(put(dy)), pullback(put(dy))
    one, two = ([host(g) for g in (v if isinstance(v, tuple) else (v,))] for v in (first, second))
    assert [g.tobytes() for g in one] == [g.tobytes() for g in two]
    return y, one, dy


@pytest.mark.parametrize("container", CONTAINERS)
def test_unpool(container):
    put = CONTAINERS[container]
    for dtype in ("float32", "float16", "uint8"):
        for shape, axes in (((2, 3, 33, 47), (2, 3)), ((2, 33, 47, 5), (1, 2))):
            x = array(shape, dtype)
            size = 4 * int(np.prod([shape[a] for a in axes]))
            indices = np.random.default_rng(0).integers(-1, size, shape)
            expected = nbp.max_unpool2d(x, indices, 2, axes=axes)
            agree(host(nbp.max_unpool2d(put(x), put(indices), 2, axes=axes)), expected)
            if dtype in FLOATS:
                options = {"axes": axes}
                _, (dx,), dy = gradients("max_unpool2d", x, put, (put(indices), 2), options, options)
                assert_matches(dx, *vjp_bounds("max_unpool2d", x, (indices, 2), options, dy))
    with pytest.raises(ValueError, match="indices must lie between -1"):
        nbp.max_unpool2d(put(x), put(indices + size), 2, axes=axes)


@pytest.mark.parametrize("container", CONTAINERS)
def test_fractional(container):
    put = CONTAINERS[container]
    for dtype in ("float32", "float64"):
        for shape, axes in (((2, 3, 33, 47), (2, 3)), ((2, 33, 47, 5), (1, 2))):
            x = array(shape, "float32")
            lead = tuple(n for a, n in enumerate(shape) if a not in axes)
            samples = np.random.default_rng(0).random((*lead, 2)).astype(dtype)
            expected, back = nbp.vjp(nbp.fractional_max_pool2d, x, 2, (20, 31), return_indices=True, random_samples=samples, axes=axes)  # fmt: skip
            moved = {"return_indices": True, "random_samples": put(samples), "axes": axes}
            y, indices = nbp.fractional_max_pool2d(put(x), 2, (20, 31), **moved)
            agree(host(y), expected[0])
            agree(host(indices), expected[1])
            _, (dx,), dy = gradients("fractional_max_pool2d", x, put, (2, (20, 31)), moved, moved)
            agree(dx, back(dy))
    with pytest.raises(ValueError, match="random_samples must lie between 0 and 1"):
        nbp.fractional_max_pool2d(put(x), 2, (20, 31), random_samples=put(samples + 1), axes=axes)


@pytest.mark.parametrize("p", [1, 2, 2.5, -1, 8, np.inf, -np.inf])
def test_gradients_of_norms(p):
    for dtype in FLOATS:
        x = np.random.default_rng(0).standard_normal((2, 3, 33, 48)).astype(dtype)
        for fn, args in (("lp_pool2d", (p, 3, 2)), ("lp_pool2d", (p, 2)), ("global_lp_pool", (p,))):
            y, (dx,), dy = gradients(fn, x, to_cupy, args, {}, {})
            assert_matches(y, *bounds(fn, x, *args))
            assert_matches(dx, *vjp_bounds(fn, x, args, {}, dy))
    x = np.float32([1e30, 1e30, -1e-30, 1e-30])
    _, (dx,), dy = gradients("lp_pool1d", x, to_cupy, (8, 2), {}, {})
    assert_matches(dx, *vjp_bounds("lp_pool1d", x, (8, 2), {}, dy))


@pytest.mark.parametrize("op", ["avg", "sum"])
def test_gradients_of_weights(op):
    fn = f"{op}_pool2d"
    for dtype in FLOATS:
        x = np.random.default_rng(0).standard_normal((2, 3, 33, 48)).astype(dtype)
        for shape in ((33, 48), (3, 1, 48), x.shape):
            weights = np.random.default_rng(2).random(shape).astype("float32")
            there = np.arange(48) % 3 > 0
            for more in ({}, {"where": there}):
                options = {"weights": weights, **more}
                moved = {k: to_cupy(v) for k, v in options.items()}
                y, parts, dy = gradients(fn, x, to_cupy, (3, 2, 1), options, moved)
                assert_matches(y, *bounds(fn, x, 3, 2, 1, **options))
                for part, expected in zip(parts, vjp_bounds(fn, x, (3, 2, 1), options, dy), strict=True):
                    assert_matches(part, *expected)


def test_bfloat16():
    import torch

    x = torch.randn(2, 8, 32, 32, device="cuda").to(torch.bfloat16)
    assert torch.equal(nbp.max_pool2d(x, 2), torch.nn.functional.max_pool2d(x, 2))
    y = nbp.avg_pool2d(x, 2)
    assert y.dtype is torch.bfloat16
    torch.testing.assert_close(y, torch.nn.functional.avg_pool2d(x, 2))


def test_layouts_and_out():
    import torch

    x = torch.randn(2, 16, 33, 32, device="cuda").to(memory_format=torch.channels_last)
    y = nbp.max_pool2d(x, 3, 2, 1)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(y, torch.nn.functional.max_pool2d(x, 3, 2, 1))
    out = torch.empty_like(y)
    assert nbp.max_pool2d(x, 3, 2, 1, out=out) is out and torch.equal(out, y)
    strided = torch.randn(4, 6, 40, 40, device="cuda")[::2, 1::2, :, ::2]
    assert torch.equal(nbp.max_pool2d(strided, 2), torch.nn.functional.max_pool2d(strided, 2))
    with pytest.raises(ValueError, match="detach"):
        nbp.max_pool2d(x.requires_grad_(), 2)
    with pytest.raises(TypeError, match="host memory"):
        nbp.vjp(nbp.max_pool2d, strided, 2)[1](np.ones(3))


def test_streams():
    """A result is there for whatever follows on the stream that was current; nothing waits in between."""
    import cupy
    import torch

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        x = torch.randn(64, 16, 224, 224, device="cuda")
        y = nbp.max_pool2d(x, 2)
        z = y + 0
    side.synchronize()
    assert torch.equal(z, torch.nn.functional.max_pool2d(x, 2))
    stream = cupy.cuda.Stream(non_blocking=True)
    a = cupy.random.random((16, 16, 128, 128), dtype=cupy.float32)
    cupy.cuda.Device().synchronize()
    for chosen in (stream, stream.ptr):
        with nbp.options(stream=chosen):
            b = nbp.avg_pool2d(a, 2)
        stream.synchronize()
        cupy.testing.assert_allclose(b, a.reshape(16, 16, 64, 2, 64, 2).mean(axis=(3, 5)), rtol=1e-5)


def test_more_than_32_bits():
    import cupy

    n = 2**31 + 4096
    free, _ = cupy.cuda.runtime.memGetInfo()
    if free < 3 * n:
        pytest.skip("not enough memory")
    x = cupy.zeros((n // 1024, 1024), cupy.uint8)
    x[-1, -1] = x[-2, 5] = 7
    y = nbp.max_pool2d(x, 2)
    assert int(y[-1, -1]) == int(y[-1, 2]) == 7 and int(y.sum(dtype=cupy.int64)) == 14
