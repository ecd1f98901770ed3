"""Adaptive and global pooling: forward, indices and backward against the reference and torch."""

import inspect

import numpy as np
import pytest
from cases import DTYPES, FLOATS, THOROUGH, array, same_bits, slow_but

import numbapool as nbp
from numbapool.testing import check, check_vjp, gradcheck
from numbapool.windows import adaptive, sliding

GLOBALS = ("max", "min", "avg", "sum")
nan = np.nan

# n, shape, output_size, axes: windows that divide the axis, slide without dividing it, or do neither; more windows than elements;
# channels last with fewer and more channels than a vector has lanes; axes in another order; a row cut into tiles; a tall plane.
CASES = [
    (1, (2, 3, 8), 4, None), (1, (3, 5), 2, None), (1, (3, 5), 3, None), (1, (3, 2), 5, None), (1, (3, 1), 4, None),
    (1, (2, 1), 1, None), (1, (5, 3, 2), (4,), 0), (1, (2, 40, 33), 7, 1), (1, (1, 20000), 9, None),
    (1, (1, 1500), 4001, None), (1, (2, 300, 60), 23, 1),
    (2, (2, 3, 6, 8), (3, 4), None), (2, (2, 3, 5, 7), (3, 4), None), (2, (2, 9, 11), (None, 4), None),
    (2, (2, 9, 11), (4, None), None), (2, (2, 30, 41), (7, 9), None), (2, (40, 9, 8), (11, 5), (2, 1)),
    (2, (2, 9, 7, 3), (4, 5), (1, 2)), (2, (2, 9, 7, 20), (4, 5), (2, 1)), (2, (1, 7, 8, 40), (13, 17), (1, 2)),
    (2, (1, 200, 301), (3, 4), None), (2, (2, 7, 6), (3, 4), None), (2, (33, 7, 7), 1, None), (2, (9, 7, 7), 6, None),
    (3, (2, 5, 6, 7), (3, 4, 5), None), (3, (5, 6, 7, 18), (3, 4, 5), (0, 1, 2)), (3, (2, 3, 4), (4, 3, 7), None),
    (3, (2, 4, 4, 4), 2, None), (3, (7, 2, 6, 5), (2, None, 4), (3, 0, 2)),
]  # fmt: skip
SOME = [CASES[i] for i in (2, 3, 12, 15, 17, 18, 24)]

GLOBAL_CASES = [
    ((2, 3, 7, 9), (-2, -1)), ((2, 7, 9, 3), (1, 2)), ((2, 7, 9, 20), (2, 1)), ((5,), 0), ((3, 4, 5), 1), ((3, 4, 5), (0,)),
    ((2, 3, 4, 5), (1, 2, 3)), ((2, 3, 4, 5), (0, 1, 2, 3)), ((2, 1, 4, 5, 3), (0, 1, 2, 3)), ((1, 1, 1, 1), (0, 1, 2, 3)),
    ((2, 3, 1, 5), (0, 1, 2, 3)), ((1, 50, 60), (1, 2)), ((2, 3, 2, 3, 2), (0, 1, 3, 4)), ((2, 3, 2, 3, 2, 2, 3), (0, 2, 4, 6)), ((40, 7, 7), (1, 2)), ((33, 3, 4, 5), (1, 2, 3)), ((3, 50, 61), (1, 2)), ((6, 1), None),
]  # fmt: skip


def _dy(y, dtype="float32"):
    return array((y[0] if isinstance(y, tuple) else y).shape, dtype, seed=1)


def _check(n, x, size, axes):
    check(f"adaptive_avg_pool{n}d", x, size, axes=axes)
    y, _ = check(f"adaptive_max_pool{n}d", x, size, return_indices=True, axes=axes)
    assert same_bits(check(f"adaptive_max_pool{n}d", x, size, axes=axes), y)
    return y


@pytest.mark.parametrize(("n", "shape", "size", "axes"), CASES, ids=str)
def test_adaptive(n, shape, size, axes):
    for kind in ("any", "ties"):
        x = array(shape, kind=kind)
        dy = _dy(_check(n, x, size, axes))
        for op in ("max", "avg"):
            check_vjp(f"adaptive_{op}_pool{n}d", x, (size,), {"axes": axes}, dy)


@pytest.mark.parametrize("dtype", slow_but(("uint8", "float16", "float32"), DTYPES))
def test_adaptive_dtype(dtype):
    for n, shape, size, axes in SOME:
        x = array(shape, dtype, "ties")
        dy = _dy(_check(n, x, size, axes), dtype)
        if dtype in FLOATS:
            for op in ("max", "avg"):
                check_vjp(f"adaptive_{op}_pool{n}d", x, (size,), {"axes": axes}, dy)


def test_every_size():
    for length in (*range(1, 14), 31, 32, 33, 70):
        for count in (*range(1, 20), 40, 71):
            x = array((2, length))
            _check(1, x, count, None)
            for op in ("max", "avg"):
                check_vjp(f"adaptive_{op}_pool1d", x, (count,), {}, array((2, count), seed=2))


def test_windows():
    for size in range(1, 40):
        for count in range(1, 60):
            windows = adaptive(size, count)
            expected = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
            assert windows.table[:, :2].tolist() == [list(e) for e in expected]
            covering = [[i for i, (a, b) in enumerate(expected) if a <= e < b] for e in range(size)]
            assert [list(range(a, b)) for a, b in windows.transposed.table[:, :2]] == covering
    assert all(adaptive(size, 3).regular for size in (3, 6, 7))  # 7: three elements, two apart


@pytest.mark.parametrize(("shape", "axes"), GLOBAL_CASES, ids=str)
@pytest.mark.parametrize("keepdims", [True, False])
def test_global(shape, axes, keepdims):
    kwargs = {"axes": tuple(range(len(shape))) if axes is None else axes, "keepdims": keepdims}
    for op in GLOBALS:
        fn = f"global_{op}_pool"
        x = array(shape, kind="ties")
        y = check(fn, x, **kwargs)
        assert same_bits(getattr(nbp, fn)(x, axes=axes, keepdims=keepdims), y)
        check_vjp(fn, x, (), kwargs, _dy(y))
        out = np.empty_like(y)
        assert getattr(nbp, fn)(x, **kwargs, out=out) is out and same_bits(out, y)
        if op in ("max", "min"):
            y, indices = check(fn, x, **kwargs, return_indices=True)
            pair = np.empty_like(y), np.empty_like(indices)
            given = getattr(nbp, fn)(x, **kwargs, return_indices=True, out=pair)
            assert given[0] is pair[0] and given[1] is pair[1] and same_bits(pair[1], indices)
            (again, same), pullback = nbp.vjp(getattr(nbp, fn), x, **kwargs, return_indices=True)
            assert same_bits(again, y) and same_bits(same, indices)
            assert pullback(np.ones_like(y)).shape == x.shape


@pytest.mark.parametrize(
    ("op", "dtype"),
    slow_but([(op, d) for op in GLOBALS for d in THOROUGH[op]], [(op, d) for op in GLOBALS for d in DTYPES]),
)
def test_global_dtype(op, dtype):
    for shape, axes in GLOBAL_CASES[:4]:
        x = array(shape, dtype, "ties")
        y = check(f"global_{op}_pool", x, axes=axes)
        if dtype in FLOATS:
            check_vjp(f"global_{op}_pool", x, (), {"axes": axes}, _dy(y, dtype))


@pytest.mark.parametrize(
    "layout", ["fortran", "reversed", "every other", "swapped bytes", "read-only", "transposed"]
)
def test_layouts(layout):
    x = array((3, 9, 14))
    change = {
        "fortran": np.asfortranarray, "reversed": lambda x: x[:, ::-1, ::-1], "every other": lambda x: x[:, :, ::2],
        "swapped bytes": lambda x: x.astype(x.dtype.newbyteorder()), "read-only": lambda x: np.broadcast_to(x[:1], x.shape),
        "transposed": lambda x: x.transpose(2, 0, 1),
    }[layout]  # fmt: skip
    x = change(x)
    for size in (2, (4, 5), (20, 3)):
        dy = _dy(_check(2, x, size, None))
        for op in ("max", "avg"):
            check_vjp(f"adaptive_{op}_pool2d", x, (size,), {}, dy)
    for op in GLOBALS:
        for keepdims in (True, False):
            y = check(f"global_{op}_pool", x, keepdims=keepdims)
            check_vjp(
                f"global_{op}_pool", x, (), {"keepdims": keepdims}, np.broadcast_to(_dy(y)[:1], y.shape)
            )


def test_result_dtypes():
    x = array((2, 7, 11), "uint8")
    for dtype in ("uint8", "float32", "int16"):
        check("adaptive_avg_pool2d", x, (3, 4), dtype=dtype)
        check("global_avg_pool", x, dtype=dtype)
        check("global_sum_pool", x, dtype=dtype)
    check("adaptive_avg_pool2d", x.astype("float16"), (3, 4), dtype="float32")


def test_out_overlaps_x():
    x = array((2, 7, 11))
    expected = nbp.adaptive_max_pool2d(x, (5, 4))
    out = x[:, 1:6, 2:6]
    assert nbp.adaptive_max_pool2d(x, (5, 4), out=out) is out
    assert same_bits(out, expected)


def test_numbers():
    five = np.arange(1.0, 6)
    assert nbp.adaptive_avg_pool1d(five, 3).tolist() == [1.5, 3, 4.5]
    assert nbp.adaptive_avg_pool1d(five, 2).tolist() == [2, 4]
    assert nbp.adaptive_avg_pool1d([1.0, 2], 5).tolist() == [1, 1, 1.5, 2, 2]
    assert nbp.adaptive_max_pool1d([nan, 1, 2], 2)[1] == 2
    (_, indices), pullback = nbp.vjp(nbp.adaptive_max_pool1d, np.array([0.0, 9, 0]), 2, True)
    assert indices.tolist() == [1, 1] and pullback(np.ones(2)).tolist() == [0, 2, 0]
    _, pullback = nbp.vjp(nbp.adaptive_avg_pool1d, five, 3)
    np.testing.assert_allclose(pullback(np.ones(3)), [1 / 2, 5 / 6, 1 / 3, 5 / 6, 1 / 2], rtol=1e-15)
    value = nbp.global_max_pool([[1.0, 7], [7, 2]], keepdims=False, return_indices=True)
    assert [v.shape for v in value] == [(), ()] and [v.item() for v in value] == [7, 1]
    assert nbp.global_sum_pool(np.ones((2, 3, 4), bool), axes=1).tolist() == np.full((2, 1, 4), 3).tolist()


def test_empty_batch():
    for fn, args in ((nbp.adaptive_max_pool2d, ((3, 4),)), (nbp.adaptive_avg_pool2d, ((3, 4),))):
        assert fn(np.ones((0, 5, 7)), *args).shape == (0, 3, 4)
    assert nbp.global_avg_pool(np.ones((0, 3, 5, 7)), keepdims=False).shape == (0, 3)
    _, pullback = nbp.vjp(nbp.global_max_pool, np.ones((0, 5, 7)), keepdims=False)
    assert pullback(np.ones(0)).shape == (0, 5, 7)


@pytest.mark.parametrize("dtype", slow_but(["float32", "uint8"], ["float32", "float64", "float16", "uint8"]))
def test_planes_of_few_vectors(dtype):
    """As many elements as vectors have lanes, one more, one less; planes that are not all there in a pass, and backwards."""
    for n in (1, 7, 8, 15, 16, 17, 33, 47, 48, 49, 63, 64, 65, 128, 129, 255, 256, 257):
        x = array((9, 1, n), dtype, "ties")
        for planes in (x, x[:1], x[:3], x[::-2], x[:6:2]):
            for op in ("max", "avg"):
                check(f"global_{op}_pool", planes)
            check("global_min_pool", planes, return_indices=True)


def test_gradients_by_differences():
    for size in ((3, 4), (7, 3), 2):
        for op in ("max", "avg"):
            gradcheck(getattr(nbp, f"adaptive_{op}_pool2d"), array((2, 5, 7), "float64"), size)
    for op in GLOBALS:
        gradcheck(getattr(nbp, f"global_{op}_pool"), array((2, 5, 7), "float64"))


def test_threads_do_not_change_bits():
    x = array((4, 65, 131), seed=3)
    results = []
    for threads in (1, 2):
        with nbp.options(num_threads=threads, parallel_threshold=0):
            y, pullback = nbp.vjp(nbp.adaptive_avg_pool2d, x, (9, 17))
            z, of_max = nbp.vjp(nbp.adaptive_max_pool2d, x, (9, 17))
            results.append((y, pullback(y), z, of_max(y)))
    assert all(same_bits(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 3, 32, 31), (1, 2, 3, 2)])
@pytest.mark.parametrize("size", [(3, 4), (1, 1), (7, 9), (None, 2)])
def test_torch(shape, size):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x, channels_last = array(shape), {"memory_format": torch.channels_last}
    tensor = torch.from_numpy(x.copy())
    for t in (tensor, tensor.to(**channels_last)):
        grad = t.clone().requires_grad_()
        for op in ("max", "avg"):
            fn = getattr(nbp, f"adaptive_{op}_pool2d")
            expected = getattr(functional, f"adaptive_{op}_pool2d")(grad, size)
            y, pullback = nbp.vjp(fn, t, size)
            assert (
                torch.equal(y, expected) if op == "max" else torch.allclose(y, expected, rtol=1e-5, atol=1e-6)
            )
            dy = torch.from_numpy(array(tuple(y.shape), seed=5))
            (dx,) = torch.autograd.grad(expected, grad, dy)
            assert torch.allclose(pullback(dy), dx, rtol=1e-5, atol=1e-6)
        y = nbp.global_avg_pool(t, keepdims=False)
        assert torch.allclose(y, t.mean((2, 3)), rtol=1e-5, atol=1e-6) and y.shape == shape[:2]
    _, indices = functional.adaptive_max_pool2d(tensor, size, return_indices=True)
    assert torch.equal(nbp.adaptive_max_pool2d(tensor, size, True)[1], indices)


_X = np.ones((2, 5, 7), np.float32)
_BAD = [
    (ValueError, "output_size", nbp.adaptive_max_pool2d, (_X, 0), {}),
    (ValueError, "output_size", nbp.adaptive_avg_pool2d, (_X, (3, -1)), {}),
    (ValueError, "output_size", nbp.adaptive_avg_pool2d, (_X, (3, 2, 1)), {}),
    (ValueError, "output_size", nbp.adaptive_avg_pool2d, (_X, ()), {}),
    (ValueError, "output_size", nbp.adaptive_avg_pool1d, (_X, 2**62), {}),
    (TypeError, "output_size", nbp.adaptive_avg_pool2d, (_X, True), {}),
    (TypeError, "output_size", nbp.adaptive_avg_pool2d, (_X, 2.0), {}),
    (TypeError, "output_size", nbp.adaptive_avg_pool2d, (_X, (2, 2.5)), {}),
    (TypeError, "output_size", nbp.adaptive_avg_pool2d, (_X, "2"), {}),
    (TypeError, "output_size", nbp.adaptive_avg_pool2d, (_X, {2, 3}), {}),
    (ValueError, "no elements", nbp.adaptive_max_pool1d, (np.ones((2, 0)), 1), {}),
    (ValueError, "no elements", nbp.adaptive_max_pool1d, (np.ones((2, 0)), None), {}),
    (ValueError, "no elements", nbp.global_max_pool, (np.ones((2, 0)),), {}),
    (ValueError, "x", nbp.global_max_pool, (np.ones(3),), {}),
    (ValueError, "axes", nbp.global_max_pool, (_X,), {"axes": (0, -3)}),
    (ValueError, "axes", nbp.global_max_pool, (_X,), {"axes": ()}),
    (ValueError, "axes", nbp.global_max_pool, (_X,), {"axes": 3}),
    (TypeError, "axes", nbp.global_max_pool, (_X,), {"axes": "ab"}),
    (TypeError, "axes", nbp.global_max_pool, (_X,), {"axes": (0.5,)}),
    (TypeError, "keepdims", nbp.global_max_pool, (_X,), {"keepdims": "no"}),
    (TypeError, "return_indices", nbp.adaptive_max_pool2d, (_X, 2, 3), {}),
    (TypeError, "dtype", nbp.global_avg_pool, (_X,), {"dtype": "int32"}),
    (ValueError, "out", nbp.global_avg_pool, (_X,), {"keepdims": False, "out": np.empty((2, 1, 1), np.float32)}),
    (TypeError, "out", nbp.global_avg_pool, (_X,), {"out": np.empty((2, 1, 1))}),
    (TypeError, "out", nbp.global_max_pool, (_X,), {"out": np.empty((2, 1, 1)), "return_indices": True}),
    (TypeError, "where", nbp.global_max_pool, (_X,), {"where": 1}),
    (ValueError, "nan_policy", nbp.adaptive_avg_pool1d, (_X, 2), {"nan_policy": "drop"}),
    (ValueError, "weights", nbp.adaptive_avg_pool1d, (_X, 2), {"weights": np.ones((2, *_X.shape))}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "word", "fn", "args", "kwargs"), _BAD)
def test_bad_input(error, word, fn, args, kwargs):
    with pytest.raises(error, match=word):
        fn(*args, **kwargs)


@pytest.mark.parametrize("fn", [n for n in nbp.__all__ if n.startswith(("adaptive_", "global_"))])
def test_signature(fn):
    names = list(inspect.signature(getattr(nbp, fn)).parameters)
    weighted = "avg" in fn or "sum" in fn
    norm = "lp" in fn
    tail = [*["dtype"] * (weighted or norm), "nan_policy", "where", *["weights"] * weighted, "out"]
    if fn.startswith("global_"):
        first = ["x", *["norm_type"] * norm, "axes", "keepdims"]
        assert names == [*first, *["return_indices"] * (not weighted and not norm), *tail]
    else:
        assert names == ["x", "output_size", *["return_indices"] * (not weighted), "axes", *tail]
    assert getattr(nbp, fn).__name__ == fn and getattr(nbp, fn).__doc__


def test_halves_over_many_rows():
    """Chains of additions in float32 are too short for their errors to be seen in a half."""
    x = np.full((200_000, 2), 0.1, np.float16)
    for rows in (x, np.ascontiguousarray(x.T).T):
        assert (nbp.global_avg_pool(rows, keepdims=False) == np.float16(0.1)).all()
        assert (nbp.global_avg_pool(rows, axes=0, nan_policy="omit") == np.float16(0.1)).all()


def test_all_axes():
    for x in (
        array((2, 1, 3, 1, 4, 1, 5)),
        np.asfortranarray(array((2, 3, 4, 5))),
        array((2, 3, 4, 5, 6))[..., ::-2],
    ):
        check("global_max_pool", x, axes=None, return_indices=True)
        check_vjp("global_avg_pool", x, (), {"axes": None}, np.ones((1,) * x.ndim))
    with pytest.raises(ValueError, match="axis"):
        nbp.global_avg_pool(3.0, axes=None)


def test_runs_of_windows_that_look_alike():
    for windows in (
        adaptive(13, 6), adaptive(14, 7), adaptive(3, 7), sliding(9, 3, 1, 1, 1, 1, False, True), sliding(9, 3, 2, 1, 2, 1, True, True),
        sliding(9, 3, 2, 2, 2, 2, False, False), sliding(4, 9, 1, 4, 4, 1, False, False), sliding(5, 1, 3, 0, 0, 1, False, True),
    ):  # fmt: skip
        table, runs = windows.table, windows.runs
        for i, run in enumerate(runs):
            steps = (
                table[i : i + run] - table[i] - np.arange(run)[:, None] * [windows.pace, windows.pace, 0, 0]
            )
            assert run >= 1 and not steps.any()
            if i + run < len(table):
                assert ((table[i + run] - table[i + run - 1]) != [windows.pace, windows.pace, 0, 0]).any()


@pytest.mark.parametrize(
    "dtype",
    slow_but(["float32", "uint8"], ["float16", "float32", "float64", "uint8", "int16", "int32"]),
)
def test_uneven_windows_of_long_rows(dtype):
    """Fewer results than elements, as many, and more, where windows begin twice at one element."""
    for shape, size in (((3, 40, 70), (17, 33)), ((3, 5, 300), (5, 100)), ((2, 9, 1000), (4, 37)), ((2, 9, 100), (4, 99)), ((2, 9, 100), (4, 130)), ((70, 200), (30, 7))):  # fmt: skip
        x = array(shape, dtype, "ties")
        for op in ("avg", "max"):
            check(f"adaptive_{op}_pool2d", x, size)
        check("adaptive_max_pool2d", x, size, return_indices=True)
        check("adaptive_avg_pool2d", x, size, where=array(shape, "bool"))
