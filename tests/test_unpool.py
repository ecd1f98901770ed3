"""Max unpooling: every dtype, layout and path against the reference, duplicates, −1, and what indices must not do."""

import math

import numpy as np
import pytest
from cases import DTYPES, FLOATS, array, same_bits
from guarded import guarded, guarded_allocations, moved

import numbapool as nbp
from numbapool.backends import blocks
from numbapool.kernels import block
from numbapool.testing import check, check_vjp, gradcheck, reference

# function, shape of x, arguments after the indices, options
CASES = [
    ("max_unpool1d", (7,), (2,), {}),
    ("max_unpool1d", (3, 5, 9), (3, 2, 1), {}),
    ("max_unpool1d", (4, 6), (3,), {"axes": 0}),
    ("max_unpool1d", (2, 4, 5), (3, 2, (1, 0)), {"axes": 1, "output_size": (2, 9, 5)}),
    ("max_unpool2d", (4, 5), (2,), {}),
    ("max_unpool2d", (2, 3, 4, 5), (2,), {}),
    ("max_unpool2d", (2, 3, 4, 5), (3, 1, 1), {}),
    ("max_unpool2d", (2, 3, 4, 5), ((3, 2), (2, 3), (1, 0)), {"output_size": (8, 15)}),
    ("max_unpool2d", (2, 3, 4, 5), (2, 2, "same"), {"output_size": (7, 10)}),
    ("max_unpool2d", (2, 3, 4, 5), (2, 2, "valid"), {}),
    ("max_unpool2d", (2, 4, 5, 35), (2,), {"axes": (1, 2)}),
    ("max_unpool2d", (4, 5, 3), ((2, 3),), {"axes": (1, 0)}),
    ("max_unpool2d", (3, 4, 2, 5), ((1, 4),), {"axes": (-1, 0)}),
    ("max_unpool3d", (2, 3, 2, 3), (2,), {}),
    ("max_unpool3d", (2, 2, 3, 2, 33), (2, (2, 1, 2)), {"axes": (1, 2, 3)}),
    ("max_unpool3d", (2, 3, 2, 3), (2,), {"axes": (0, 1, 3), "output_size": (4, 6, 7)}),
]


def _indices(fn, shape, args, options, seed=0):
    """Random, with duplicates and −1."""
    size = reference(fn, np.zeros(shape, bool), np.full(shape, -1), *args, **options).shape
    n = int(fn[-2])
    axes = options.get("axes", range(-n, 0))
    elements = math.prod(size[a] for a in ([axes] if isinstance(axes, int) else axes))
    return np.random.default_rng([seed, *shape]).integers(-1, elements, shape), size


def _layouts(a):
    """The same values in other memory."""
    yield a
    yield np.asfortranarray(a)
    yield np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -1, 0)), 0, -1)
    yield np.repeat(a, 2, -1)[..., ::2]
    yield np.ascontiguousarray(a[::-1])[::-1]
    yield a.astype(a.dtype.newbyteorder())
    raw = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    raw[...] = a
    raw.flags.writeable = False
    yield raw


@pytest.mark.parametrize("fn, shape, args, options", CASES)
def test_cases(fn, shape, args, options):
    indices, size = _indices(fn, shape, args, options)
    for i in (indices, np.full(shape, -1), np.zeros(shape, int)):
        for dtype in ("float32", "float64"):
            check(fn, array(shape, dtype), i, *args, **options)
            check_vjp(fn, array(shape, dtype), (i, *args), options, array(size, dtype, seed=1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    for fn, shape, args, options in CASES[5::5]:
        indices, size = _indices(fn, shape, args, options)
        check(fn, array(shape, dtype), indices, *args, **options)
        if dtype in FLOATS:
            check_vjp(fn, array(shape, dtype), (indices, *args), options, array(size, dtype, seed=1))


def test_bits_are_moved():
    x = np.array([0x7FA00001, 0x80000000, 0xFFC12345], np.uint32).view(np.float32)
    y = nbp.max_unpool1d(x, [2, 0, 1], 1)
    assert y.view(np.uint32).tolist() == [0x80000000, 0xFFC12345, 0x7FA00001]


@pytest.mark.parametrize("fn, shape, args, options", CASES[4::2])
def test_layouts(fn, shape, args, options):
    indices, size = _indices(fn, shape, args, options)
    x, dy = array(shape), array(size, seed=1)
    for a in _layouts(x):
        for i in _layouts(indices):
            check(fn, a, i, *args, **options)
            check_vjp(fn, a, (i, *args), options, dy)
    for d in _layouts(dy):
        check_vjp(fn, x, (indices, *args), options, d)
    check_vjp(fn, x, (indices, *args), options, np.broadcast_to(np.float32(3), size))
    check(fn, np.broadcast_to(np.float32(3), shape), np.broadcast_to(np.int64(1), shape), *args, **options)


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64", ">i4", ">i8"]
)
def test_index_dtypes(dtype):
    check("max_unpool2d", array((3, 4, 5)), np.arange(60).reshape(3, 4, 5).astype(dtype), 2)
    check_vjp(
        "max_unpool2d",
        array((3, 4, 5)),
        (np.arange(60).reshape(3, 4, 5).astype(dtype), 2),
        {},
        array((3, 8, 10)),
    )


def test_memory_order():
    x = np.zeros((3, 4, 5, 6), np.float32)
    for order in [(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2), (2, 0, 3, 1)]:
        a = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
        y, pullback = nbp.vjp(nbp.max_unpool2d, a, np.full(x.shape, -1), 2)
        assert y.transpose(order).flags.c_contiguous and pullback(y).strides == a.strides


@pytest.mark.parametrize("end", [True, False])
def test_memory_bounds(end, monkeypatch):
    for fn, shape, args, options in CASES:
        indices, size = _indices(fn, shape, args, options)
        x, dy = array(shape), array(size)
        expected = nbp.vjp(getattr(nbp, fn), x, indices, *args, **options)[1](dy)
        x, i, dy = (moved(a, end) for a in (x, indices, dy))
        with monkeypatch.context() as patch, guarded_allocations(end):
            patch.setattr(np, "zeros", lambda shape, dtype=float: guarded(shape, dtype, end, 0))
            for k in (i, i + 1, i * 5 - 3):
                with nbp.options(check_values=False):
                    _, pullback = nbp.vjp(getattr(nbp, fn), x, k, *args, **options)
                    dx = pullback(dy)
                    assert k is not i or same_bits(dx, expected)


def test_lists():
    assert nbp.max_unpool1d([5, 3], [1, 2], 2).tolist() == [0, 5, 3, 0]


def test_empty():
    for shape in ((0, 4, 5), (3, 0, 4, 5)):
        y, pullback = nbp.vjp(nbp.max_unpool2d, np.zeros(shape), np.zeros(shape, int), 2)
        assert y.shape == (*shape[:-2], 8, 10)
        assert pullback(y).shape == shape


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gradients_by_cells(dtype):
    """Rows of all widths whose indices lie in the cells of their own windows; then one that does not, and is the same as another or not."""
    rng = np.random.default_rng(0)
    for n, kernel in (1, (2,)), (2, (2, 2)), (2, (3, 1)), (2, (1, 2)), (3, (2, 1, 2)), (2, (1, 1)):
        for width in 1, 7, 8, 16, 17, 33:
            for more in 0, 1:
                x = array((3, *(4, 3)[: n - 1], width), dtype)
                sizes = [m * k + (more if k > 1 else 0) for m, k in zip(x.shape[1:], kernel)]
                taps = np.stack([rng.integers(0, k, x.shape) for k in kernel])
                cells = np.indices(x.shape)[1:] * np.reshape(kernel, (n,) + (1,) * x.ndim)
                i = np.ravel_multi_index(tuple(cells + taps), sizes)
                dy = array((3, *sizes), dtype, seed=1)
                for stray in (
                    None,
                    -1,
                    i.flat[0],
                    math.prod(sizes) - 1,
                    sizes[-1] if n > 1 else min(4, sizes[0] - 1),
                ):
                    if stray is not None:
                        i[1].flat[-1] = stray
                    check_vjp(f"max_unpool{n}d", x, (i, kernel), {"output_size": sizes}, dy)


@pytest.mark.parametrize(
    ("fn", "shape", "args", "options", "rows"),
    [
        ("max_unpool2d", (3, 8, 9), (2,), {}, 2),
        ("max_unpool1d", (3, 9), (2,), {}, 1),
        ("max_unpool3d", (3, 4, 5, 6), ((2, 3, 2),), {}, 6),
        ("max_unpool2d", (3, 8, 9), (2,), {"output_size": (17, 19)}, 2),
        ("max_unpool2d", (3, 8, 9), (3, 2), {}, 0),  # windows overlap
        ("max_unpool2d", (3, 8, 9), (3,), {}, 0),  # three elements of a cell are neighbours
        ("max_unpool2d", (3, 8, 9), ((9, 2),), {}, 0),  # too many comparisons
        ("max_unpool2d", (3, 8, 5), (2,), {}, 0),  # too few windows in a row
        ("max_unpool2d", (3, 8, 9), (2,), {"output_size": (15, 17)}, 0),  # the last cells are cut
        ("max_unpool2d", (8, 9, 3), (2,), {"axes": (0, 1)}, 0),  # an inner axis
    ],
)
def test_which_gradients_go_by_cells(fn, shape, args, options, rows, monkeypatch):
    seen = []
    run = blocks.Plan.run
    monkeypatch.setattr(
        blocks.Plan, "run", lambda self, *a, **k: (seen.append(self.args), run(self, *a, **k))[1]
    )
    y, pullback = nbp.vjp(getattr(nbp, fn), array(shape), np.full(shape, -1), *args, **options)
    pullback(np.ones_like(y))
    forward, backward = (a[block.INDEX["LINE_COUNT"]] for a in seen)
    assert (forward, backward) == (0, rows)


def test_there_and_back():
    x = array((2, 3, 9, 11), "float32", "distinct")
    for kernel, stride, padding in [(2, 2, 0), (3, 2, 1), (3, 1, 0)]:
        y, indices = nbp.max_pool2d(x, kernel, stride, padding, return_indices=True)
        back = check("max_unpool2d", y, indices, kernel, stride, padding, x.shape)
        chosen = back != 0
        assert (back[chosen] == x[chosen]).all() and set(back[chosen]) == set(y[y != 0])


def test_gradients():
    rng = np.random.default_rng(0)
    x, i = rng.random((2, 3, 4)), rng.integers(-1, 48, (2, 3, 4))
    gradcheck(nbp.max_unpool2d, x, i, 2)
    gradcheck(nbp.max_unpool1d, x, i % 6, 2, axes=1)
    y, pullback = nbp.vjp(nbp.max_unpool2d, x, i, 2)
    dy = rng.random(y.shape)
    first = pullback(dy)
    i[...] = 0  # the pullback belongs to the call, not to what its arguments become
    x[...] = 0
    assert same_bits(first, pullback(dy))
    with pytest.raises(TypeError, match="x must be floating"):
        nbp.vjp(nbp.max_unpool1d, [1, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="dy must have the shape"):
        pullback(dy[0])


@pytest.mark.parametrize(
    "shape, axes",
    [((8, 5, 40, 40), (2, 3)), ((2, 40, 40, 70), (1, 2)), ((40, 40, 64), (0, 1)), ((300, 300), (0, 1))],
)
def test_threads_change_nothing(shape, axes):
    rng = np.random.default_rng(0)
    x = rng.random(shape, dtype=np.float32)
    i = rng.integers(-1, 4 * math.prod(shape[a] for a in axes) // 3, shape)  # many duplicates
    results = []
    for threads in (1, 2, 5):
        with nbp.options(num_threads=threads, parallel_threshold=0):
            y, pullback = nbp.vjp(nbp.max_unpool2d, x, i, 2, axes=axes)
            assert same_bits(y, nbp.max_unpool2d(x, i, 2, axes=axes))
            results.append((y, pullback(y)))
    for y, dx in results[1:]:
        assert same_bits(y, results[0][0]) and same_bits(dx, results[0][1])
    # in the last place where an index occurs in its plane stands the value that stays
    moved, places = (
        np.moveaxis(a, axes, (-2, -1)).reshape(-1, math.prod(shape[a] for a in axes)) for a in (x, i)
    )
    y = np.moveaxis(y, axes, (-2, -1)).reshape(len(moved), -1)
    expected = np.zeros_like(y)
    for row, value, place in zip(expected, moved, places):
        unique, last = np.unique(place[::-1], return_index=True)
        row[unique[unique >= 0]] = value[::-1][last[unique >= 0]]
    assert same_bits(y, expected)


# ------------------------------------------------------------------------------------------------------- bad input

X, I = np.arange(8.0).reshape(2, 2, 2), np.arange(8).reshape(2, 2, 2)


@pytest.mark.parametrize(
    "bad, at",
    [(16, (1, 0, 1)), (-2, (0, 1, 1)), (2**62, (0, 0, 0)), (-(2**63), (1, 1, 1)), (2**63 - 1, (1, 1, 1))],
)
def test_indices_out_of_range(bad, at):
    i = I.copy()
    i[at] = bad
    with pytest.raises(ValueError, match=r"indices must lie between -1 .* and 15.* not -?\d+ at") as error:
        nbp.max_unpool2d(X, i, 2)
    assert f"{bad} at {at}" in str(error.value)
    with pytest.raises(ValueError, match="indices must lie"):
        nbp.vjp(nbp.max_unpool2d, X, i, 2)
    none = i.copy()
    none[at] = -1
    with nbp.options(check_values=False):
        assert same_bits(nbp.max_unpool2d(X, i, 2), nbp.max_unpool2d(X, none, 2))
        dy = np.arange(32.0).reshape(2, 4, 4)
        dx, expected = (nbp.vjp(nbp.max_unpool2d, X, k, 2)[1](dy) for k in (i, none))
        assert same_bits(dx, expected)


def test_unsigned_indices_out_of_range():
    for bad in (2**64 - 1, 2**63, 2**63 - 1, 4):
        i = np.array([0, bad], np.uint64)
        with pytest.raises(ValueError, match=f"not {bad} at"):
            nbp.max_unpool1d([1.0, 2.0], i, 2)
        with nbp.options(check_values=False):
            assert nbp.max_unpool1d([1.0, 2.0], i, 2).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("axes", [(1, 2), (0, 1)])
def test_random_indices_unchecked(axes):
    """Nothing is read or written out of bounds, whatever the indices are."""
    rng = np.random.default_rng(0)
    i = rng.integers(-(2**63), 2**63 - 1, (12, 12, 12)) >> rng.integers(0, 62, (12, 12, 12))
    x = rng.random(i.shape)
    none = np.where((i < 0) | (i >= 576), -1, i)
    with nbp.options(check_values=False):
        y, pullback = nbp.vjp(nbp.max_unpool2d, x, i, 2, axes=axes)
        assert same_bits(y, reference("max_unpool2d", x, none, 2, axes=axes))
        assert same_bits(pullback(y), nbp.vjp(nbp.max_unpool2d, x, none, 2, axes=axes)[1](y))


@pytest.mark.parametrize("error, name, args, options", [
    (TypeError, "x", (np.array(["a"]), I, 2), {}),
    (TypeError, "x", (np.ma.masked_array(X), I, 2), {}),
    (TypeError, "x", (X.astype(complex), I, 2), {}),
    (ValueError, "x", (X[0, 0], I[0, 0], 2), {}),
    (ValueError, "x", (X[:, :0], I[:, :0], 2), {}),
    (TypeError, "indices", (X, I.astype(float), 2), {}),
    (TypeError, "indices", (X, I > 2, 2), {}),
    (TypeError, "indices", (X, None, 2), {}),
    (TypeError, "indices", (X, np.ma.masked_array(I), 2), {}),
    (ValueError, "indices", (X, I[0], 2), {}),
    (ValueError, "indices", (X, I[..., :1], 2), {}),
    (ValueError, "kernel_size", (X, I, 0), {}),
    (ValueError, "kernel_size", (X, I, (2, 2, 2)), {}),
    (TypeError, "kernel_size", (X, I, 2.0), {}),
    (TypeError, "kernel_size", (X, I, True), {}),
    (ValueError, "stride", (X, I, 2, 0), {}),
    (TypeError, "stride", (X, I, 2, "2"), {}),
    (ValueError, "padding", (X, I, 2, 2, 2), {}),
    (ValueError, "padding", (X, I, 2, 2, -1), {}),
    (ValueError, "padding", (X, I, 2, 2, "full"), {}),
    (ValueError, "padding", (X, I, 2, 2, "same"), {}),
    (TypeError, "padding", (X, I, 2, 2, None), {}),
    (ValueError, "padding", (X[:, :1, :1], I[:, :1, :1], 2, 2, 1), {}),
    (ValueError, "output_size", (X, I, 2), {"output_size": 2}),
    (ValueError, "output_size", (X, I, 2), {"output_size": 6}),
    (ValueError, "output_size", (X, I, 2), {"output_size": 0}),
    (ValueError, "output_size", (X, I, 2, 2, "same"), {"output_size": 5}),
    (ValueError, "output_size", (X, I, 2), {"output_size": (3, 4, 4)}),
    (ValueError, "output_size", (X, I, 2), {"output_size": (4, 4, 4, 4)}),
    (TypeError, "output_size", (X, I, 2), {"output_size": "44"}),
    (TypeError, "output_size", (X, I, 2), {"output_size": 4.0}),
    (ValueError, "axes", (X, I, 2), {"axes": (0, 0)}),
    (ValueError, "axes", (X, I, 2), {"axes": (0, 3)}),
    (ValueError, "axes", (X, I, 2), {"axes": 1}),
    (TypeError, "axes", (X, I, 2), {"axes": "12"}),
    (ValueError, "kernel_size", (X, I, 2**62), {}),
])  # fmt: skip
def test_bad_input(error, name, args, options):
    with pytest.raises(error, match=name):
        nbp.max_unpool2d(*args, **options)


def test_axes_order():
    """Sizes belong to `axes` as given; indices to the array's own order."""
    i = np.array([[0, 7], [11, 23]])
    a = nbp.max_unpool2d(X[0], i, (2, 3), axes=(0, 1))
    assert a.shape == (4, 6) and same_bits(a, nbp.max_unpool2d(X[0], i, (3, 2), axes=(1, 0)))


# ------------------------------------------------------------------------------------------------------ containers


@pytest.mark.peers
@pytest.mark.parametrize("n", [1, 2, 3])
def test_torch(n):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    functional = torch.nn.functional
    x = torch.from_numpy(array((2, 3, 9, 8, 7)[: n + 2], "float32", "distinct"))
    for kernel, stride, padding in [(2, 2, 0), (3, 3, 1), (2, 3, 0)]:
        v, i = getattr(functional, f"max_pool{n}d")(x, kernel, stride, padding, return_indices=True)
        v.requires_grad_()
        theirs = getattr(functional, f"max_unpool{n}d")(v, i, kernel, stride, padding, x.shape)
        ours, pullback = nbp.vjp(
            getattr(nbp, f"max_unpool{n}d"), v.detach(), i, kernel, stride, padding, x.shape
        )
        assert torch.equal(ours, theirs)
        dy = torch.rand_like(ours)
        assert torch.equal(pullback(dy), torch.autograd.grad(theirs, v, dy)[0])
    half = v.detach().bfloat16()
    ours, pullback = nbp.vjp(
        getattr(nbp, f"max_unpool{n}d"), half, i.numpy(), kernel, stride, padding, x.shape
    )
    assert ours.dtype is torch.bfloat16 and torch.equal(ours.float(), theirs.detach().bfloat16().float())
    assert torch.equal(pullback(ours), half)
    with pytest.raises(ValueError, match="detach"):
        nbp.max_unpool1d(v, i, 2)


def test_twins(run_python):
    run_python(
        """
        import numpy as np
        from test_unpool import CASES, _indices
        from cases import array
        from numbapool.testing import check, check_vjp
        for fn, shape, args, options in CASES[:14]:
            i, size = _indices(fn, shape, args, options)
            check(fn, array(shape, 'uint8'), i, *args, **options)
            check_vjp(fn, array(shape), (i, *args), options, array(size))
        """,
        NUMBA_DISABLE_JIT="1",
        NUMBAPOOL_NUM_THREADS="1",
    )
