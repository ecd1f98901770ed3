"""NaN policies, masks and weights: forward, indices and gradients against the reference, for every window function that has them."""

import numpy as np
import pytest
from cases import DTYPES, FLOATS, KERNEL_PATHS, OPS, array, dtype_of, same_bits, slow_but

import numbapool as nbp
from numbapool.testing import check, check_vjp, gradcheck, reference

nan, inf = np.nan, np.inf
FULL = ("omit", "where", "where_omit")
BESIDE = ("full", "plane", "row", "column", "lead", "scalar")


def holes(shape, dtype="float32", kind="any", seed=0, infinite=True):
    """An array with some NaNs, infinities, and a stretch of nothing but NaNs."""
    x = array(shape, dtype, kind, seed)
    rng = np.random.default_rng([seed, 5, *shape])
    if dtype in FLOATS:
        x[rng.random(shape) < 0.2] = nan
        if infinite:
            x[rng.random(shape) < 0.02] = inf
            x[rng.random(shape) < 0.02] = -inf
        flat = x.reshape(-1)
        flat[x.size // 3 : x.size // 2] = nan
    return x


def beside(shape, kind):
    """A shape that broadcasts to `shape`."""
    n = len(shape)
    return {
        "full": shape,
        "plane": shape[max(n - 2, 0) :],
        "row": shape[n - 1 :],
        "column": (*shape[: n - 1], 1),
        "lead": (*shape[:1], *(1,) * (n - 1)),
        "scalar": (),
    }[kind]


def mask(shape, seed=0, share=0.6):
    return np.random.default_rng([seed, 7, *shape]).random(shape) < share


def options(x, names):
    """Keyword arguments by name: "omit", "where" and "weights"."""
    made = {}
    if "omit" in names:
        made["nan_policy"] = "omit"
    if "where" in names:
        made["where"] = mask(x.shape)
    if "weights" in names:
        made["weights"] = np.random.default_rng(3).random(x.shape) * 3 - 0.5
    return made


def _without_divisor(case, op):
    given = case.options(op)
    given.pop("divisor_override", None)
    return given


def _both(op, case, x, made, dy_dtype=None):
    """Forward, indices and gradient of a case with options."""
    fn, given = case.function(op), {**_without_divisor(case, op), **made}
    y = check(fn, x, **given)
    if op in ("max", "min"):
        both = check(fn, x, **given, return_indices=True)
        assert same_bits(np.nan_to_num(both[0].astype(np.float64)), np.nan_to_num(y.astype(np.float64)))
    if x.dtype.name in FLOATS:
        check_vjp(fn, x, (), given, array(y.shape, dy_dtype or x.dtype.name, seed=1))
    return y


USUAL = [("max", "omit"), ("min", "where"), ("sum", "where"), ("avg", "where omit")]


@pytest.mark.parametrize(
    ("op", "names"), slow_but(USUAL, [(op, n) for op in OPS for n in ("omit", "where", "where omit")])
)
@pytest.mark.parametrize("case", KERNEL_PATHS, ids=lambda c: c.id)
def test_paths(case, op, names):
    x = holes(case.shape)
    _both(op, case, x, options(x, names))


WEIGHTED = [("avg", "weights"), ("sum", "weights"), ("avg", "weights omit"), ("sum", "weights where")]


@pytest.mark.parametrize(
    ("op", "names"),
    slow_but(WEIGHTED, [(op, f"weights{n}") for op in ("avg", "sum") for n in ("", " omit", " where")]),
)
@pytest.mark.parametrize("case", KERNEL_PATHS[::3], ids=lambda c: c.id)
def test_weighted_paths(case, op, names):
    x = array(case.shape) if names == "weights" else holes(case.shape, infinite=False)
    _both(op, case, x, options(x, names))


SMALL = [KERNEL_PATHS[i] for i in (0, 2, 8, 11, 12, 20)]


KEPT = [("max", "float16"), ("avg", "uint8")]


@pytest.mark.parametrize(("op", "dtype"), slow_but(KEPT, [(op, d) for op in OPS for d in DTYPES]))
def test_dtypes(op, dtype):
    for case in SMALL[:3]:
        x = holes(case.shape, dtype, "ties")
        for names in ("omit", "where"):
            _both(op, case, x, options(x, names))


WEIGHTS = ["float32", "float64", "float16", "bfloat16", "int8", "bool", "uint64"]
DIAGONAL = [
    ("float16", "float32"),
    ("uint8", "float16"),
    ("int64", "bool"),
    ("bfloat16", "bfloat16"),
    ("float64", "int8"),
]


@pytest.mark.parametrize(
    ("dtype", "weight"), slow_but(DIAGONAL[:3], [(d, w) for d in DTYPES for w in WEIGHTS])
)
def test_weight_dtypes(dtype, weight):
    case = SMALL[0]
    x = array(case.shape, dtype, "ties")
    weights = array(case.shape[-2:], weight, "ties", seed=2)
    for op in ("avg", "sum"):
        _both(op, case, x, {"weights": weights})


@pytest.mark.parametrize("kind", slow_but(["plane", "column", "scalar"], BESIDE))
def test_broadcast(kind):
    for case in SMALL:
        x = holes(case.shape)
        there, weights = mask(beside(case.shape, kind)), array(beside(case.shape, kind), seed=4)
        for op in OPS:
            _both(op, case, x, {"where": there})
        for made in ({"weights": weights}, {"weights": weights, "where": mask(case.shape[-1:])}):
            for op in ("avg", "sum"):
                _both(op, case, array(case.shape), made)


def test_layouts():
    """Masks and weights of any memory layout, beside arrays of any other."""
    x, there, weights = holes((3, 12, 20)), mask((3, 12, 20)), array((3, 12, 20), seed=8)
    expected = {op: getattr(nbp, f"{op}_pool2d")(x, 3, 2, 1, where=there) for op in OPS}
    mean = nbp.avg_pool2d(x, 3, 2, 1, where=there, weights=weights)
    wide = np.zeros((3, 24, 60), bool)
    wide[:, ::2, ::3] = there
    swapped = weights.astype(weights.dtype.newbyteorder())
    for other in (np.asfortranarray(there), wide[:, ::2, ::3], there[:, ::-1][:, ::-1], there.tolist()):
        for y in (x, np.asfortranarray(x), x.astype(">f4")):
            for op in OPS:  # sums of another layout may be rounded in another order
                result = getattr(nbp, f"{op}_pool2d")(y, 3, 2, 1, where=other)
                np.testing.assert_allclose(result, expected[op], rtol=0 if op in ("max", "min") else 1e-6)
            for w in (weights, np.asfortranarray(weights), swapped, weights[::-1][::-1]):
                result = nbp.avg_pool2d(y, 3, 2, 1, where=other, weights=w)
                np.testing.assert_allclose(result, mean, rtol=1e-5)


def test_out_may_overlap_masks_and_weights():
    x, weights = array((2, 8, 8)), array((2, 8, 8), "float32", seed=1)
    expected = nbp.sum_pool2d(x, 3, 1, 1, weights=weights)
    assert nbp.sum_pool2d(x, 3, 1, 1, weights=weights, out=weights) is weights and same_bits(
        weights, expected
    )
    x, there = array((2, 8, 8), "bool"), mask((2, 8, 8))
    expected = nbp.max_pool2d(x, 3, 1, 1, where=there)
    assert same_bits(nbp.max_pool2d(x, 3, 1, 1, where=there, out=there), expected)


ADAPTIVE = [((2, 13, 17), (4, 5), (-2, -1)), ((2, 13, 17, 3), (13, 2), (1, 2)), ((2, 9, 8, 40), (3, 5), (1, 2)), ((3, 6, 8), (3, 4), (1, 2))]  # fmt: skip


@pytest.mark.parametrize(
    "names",
    slow_but(["omit", "weights where"], ["omit", "where", "weights", "weights where", "weights where omit"]),
)
def test_adaptive_and_global(names):
    for shape, size, axes in ADAPTIVE:
        x = holes(shape, infinite=False)
        made = options(x, names)
        for fn, args in (
            ("adaptive_avg_pool2d", (size,)), ("global_avg_pool", ()), ("global_sum_pool", ()),
            ("adaptive_max_pool2d", (size,)), ("global_max_pool", ()), ("global_min_pool", ()),
        ):  # fmt: skip
            if "weights" in made and ("max" in fn or "min" in fn):
                continue
            y = check(fn, x, *args, axes=axes, **made)
            check_vjp(fn, x, args, {"axes": axes, **made}, array(y.shape, seed=1))
            if "max" in fn:
                check(fn, x, *args, axes=axes, return_indices=True, **made)
    x = holes((2, 3, 4, 5, 6), infinite=False)
    made = options(x, names)
    y = check("global_avg_pool", x, axes=(0, 1, 2, 3, 4), **made)
    check_vjp("global_avg_pool", x, (), {"axes": (0, 1, 2, 3, 4), **made}, array(y.shape, seed=1))


def test_gradcheck():
    rng = np.random.default_rng(0)
    x, weights, there = rng.standard_normal((2, 5, 6)), rng.random((5, 6)) + 0.5, mask((2, 5, 6), share=0.9)
    for made in (
        {"where": there},
        {"weights": weights},
        {"weights": weights, "where": there},
        {"nan_policy": "omit"},
    ):
        for op in ("avg", "sum"):
            gradcheck(getattr(nbp, f"{op}_pool2d"), x, 3, 2, 1, **made)
    for axis in range(2):  # with respect to the weights, by differences
        _, pullback = nbp.vjp(nbp.avg_pool2d, x, 3, 2, weights=weights)
        step = np.zeros_like(weights)
        step[axis, 3] = 1e-6
        ahead, behind = (nbp.avg_pool2d(x, 3, 2, weights=weights + s).sum() for s in (step, -step))
        dw = pullback(np.ones((2, 2, 2)))[1]
        assert np.isclose((ahead - behind) / 2e-6, dw[axis, 3], rtol=1e-5, atol=1e-8)


DOCUMENTED = [
    # all NaN; nothing at all; NaN and nothing; a real -inf among NaNs
    ("max_pool1d", [nan, nan], (2,), {"nan_policy": "omit"}, ([nan], [-1])),
    ("min_pool1d", [nan, 3.0], (2,), {"nan_policy": "omit"}, ([3], [1])),
    ("max_pool1d", [nan, -inf], (2,), {"nan_policy": "omit"}, ([-inf], [1])),
    ("max_pool1d", [1.0, 2.0], (2,), {"where": [False, False]}, ([-inf], [-1])),
    ("min_pool1d", [1.0, 2.0], (2,), {"where": [False, False]}, ([inf], [-1])),
    ("max_pool1d", np.int8([1, 2]), (2,), {"where": [False, False]}, (np.int8([-128]), [-1])),
    ("max_pool1d", [nan, 2.0], (2,), {"where": [True, False], "nan_policy": "omit"}, ([nan], [-1])),
    ("max_pool1d", [nan, 2.0], (2,), {"where": [False, False], "nan_policy": "omit"}, ([-inf], [-1])),
    ("max_pool1d", [nan, 2.0], (2,), {"where": [False, True]}, ([2], [1])),
    ("max_pool1d", [3.0], (2, 1, 1, 2), {"nan_policy": "omit"}, ([-inf], [-1])),
    ("max_pool1d", [0.0, -0.0], (2,), {"nan_policy": "omit"}, ([0.0], [0])),
    # sums and means
    ("sum_pool1d", [nan, nan], (2,), {"nan_policy": "omit"}, [0]),
    ("avg_pool1d", [nan, nan], (2,), {"nan_policy": "omit"}, [nan]),
    ("avg_pool1d", [nan, 4.0, 2.0], (3,), {"nan_policy": "omit"}, [3]),
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"nan_policy": "omit"}, [1, 2.5]),  # padding does not count
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"where": True}, [1, 2.5]),
    ("avg_pool1d", [1.0, 2, 3], (2, 2, 1), {"weights": 1.0}, [1, 2.5]),
    ("avg_pool1d", np.uint8([1, 2, 3]), (2, 2, 1), {"nan_policy": "omit"}, [1, 2.5]),
    ("avg_pool1d", np.uint8([1, 2]), (2,), {"where": [False, False], "dtype": "uint8"}, np.uint8([0])),
    ("avg_pool1d", [1.0, 2.0], (2,), {"weights": [1.0, -1.0]}, [nan]),
    ("avg_pool1d", np.uint8([1, 2]), (2,), {"weights": [1.0, -1.0], "dtype": "int16"}, np.int16([0])),
    ("avg_pool1d", [1.0, nan], (2,), {"weights": [1.0, 0.0]}, [nan]),
    ("avg_pool1d", [1.0, inf], (2,), {"weights": [1.0, 0.0]}, [nan]),
    ("avg_pool1d", [1.0, nan], (2,), {"weights": [1.0, nan], "where": [True, False]}, [1]),
    ("avg_pool1d", [1.0, nan], (2,), {"weights": [1.0, nan], "nan_policy": "omit"}, [1]),
    ("sum_pool1d", np.uint8([1, 2]), (2,), {"weights": [1, 2]}, [5.0]),
    ("avg_pool1d", np.uint8([200, 100]), (2,), {"weights": [2.0, -1.0], "dtype": "uint8"}, np.uint8([255])),
]


@pytest.mark.parametrize(("fn", "x", "args", "kwargs", "expected"), DOCUMENTED)
def test_documented(fn, x, args, kwargs, expected):
    y = check(fn, x, *args, **kwargs)
    if isinstance(expected, tuple):
        y, indices = check(fn, x, *args, **kwargs, return_indices=True)
        assert indices.tolist() == expected[1]
        expected = expected[0]
    assert y.dtype == np.asarray(expected).dtype or not isinstance(expected, np.ndarray)
    assert np.array_equal(y, np.asarray(expected, y.dtype), equal_nan=y.dtype.kind == "f")
    if y.dtype.kind == "f" and y[0] == 0:
        assert np.signbit(y[0]) == np.signbit(np.asarray(expected, float)[0])


def test_raise():
    x = array((2, 9, 9))
    for fn, args in (("max_pool2d", (2,)), ("avg_pool2d", (2,)), ("global_sum_pool", ()), ("adaptive_avg_pool2d", (2,)), ("lp_pool2d", (2, 2))):  # fmt: skip
        function = getattr(nbp, fn)
        plain = function(x, *args)
        assert same_bits(function(x, *args, nan_policy="raise"), plain)
        bad = x.copy()
        bad[1, 8, 8] = nan  # outside of every 2x2 window, too
        out = np.full(plain.shape, 7, np.float32)
        with pytest.raises(ValueError, match="nan_policy"):
            function(bad, *args, nan_policy="raise", out=out)
        assert (out == 7).all()
        there = np.ones(x.shape, bool)
        there[1, 8, 8] = False
        function(bad, *args, nan_policy="raise", where=there)
    nbp.max_pool2d(x.astype(np.int8), 2, nan_policy="raise")
    with pytest.raises(ValueError, match="NaN"):
        nbp.max_pool1d(np.array([1, nan], dtype_of("bfloat16")), 2, nan_policy="raise")


_X = np.ones((2, 4, 4), np.float32)
BAD = [
    (TypeError, "where", {"where": np.ones((4, 4))}), (TypeError, "where", {"where": 1}), (TypeError, "where", {"where": "yes"}),
    (ValueError, "where", {"where": np.ones((3, 4), bool)}), (ValueError, "where", {"where": np.ones((1, 2, 4, 4), bool)}),
    (TypeError, "weights", {"weights": np.ones((4, 4), complex)}), (TypeError, "weights", {"weights": "heavy"}),
    (ValueError, "weights", {"weights": np.ones((2, 2, 4, 4))}), (ValueError, "weights", {"weights": np.ones(3)}),
    (TypeError, "weights", {"weights": np.ma.masked_array(np.ones(4))}), (TypeError, "where", {"where": np.ma.masked_array(np.ones(4, bool))}),
    (TypeError, "nan_policy", {"nan_policy": None}), (ValueError, "nan_policy", {"nan_policy": "drop"}),
    (ValueError, "divisor_override", {"divisor_override": 3, "where": True}), (ValueError, "divisor_override", {"divisor_override": 3, "weights": 1.0}),
    (ValueError, "divisor_override", {"divisor_override": 3, "nan_policy": "omit"}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "name", "kwargs"), BAD, ids=str)
def test_bad_input(error, name, kwargs):
    out = np.full((2, 2, 2), 7, np.float32)
    with pytest.raises(error, match=name):
        nbp.avg_pool2d(_X, 2, **kwargs, out=out)
    assert (out == 7).all()


def test_the_pullback_of_weights():
    x, weights = array((3, 6, 6)), array((6, 1), "float64", seed=1)
    y, pullback = nbp.vjp(nbp.avg_pool2d, x, 2, weights=weights)
    dx, dw = pullback(np.ones_like(y))
    assert dx.shape == x.shape and dx.dtype == x.dtype and dw.shape == (6, 1) and dw.dtype == np.float64
    assert same_bits(pullback(np.ones_like(y))[1], dw)
    assert isinstance(
        nbp.vjp(nbp.avg_pool2d, x, 2, weights=np.arange(6))[1](y), np.ndarray
    )  # integers have no gradient
    dx, dw = nbp.vjp(nbp.sum_pool1d, [1.0, 2.0], 2, weights=[3.0, 4.0])[1]([1.0])
    assert dx.tolist() == [3, 4] and dw.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_windows_whose_weights_cancel_have_no_gradient(dtype, value):
    """Whatever lies in them; windows beside them do."""
    x = np.array([value, 2, 1, 2, 5, value], dtype)
    for weights in [0, 0, 1, 1, 0, 0], [1, -1, 1, 1, 2, -2]:
        y, pullback = nbp.vjp(nbp.avg_pool1d, x, 2, weights=np.array(weights, dtype))
        dx, dw = pullback(np.ones_like(y))
        assert dx.tolist() == [0, 0, 0.5, 0.5, 0, 0]
        assert dw.tolist() == [0, 0, -0.25, 0.25, 0, 0]


def test_many_threads_same_bits():
    x, there = holes((8, 100, 120)), mask((8, 100, 120))
    for made in (
        {"where": there},
        {"nan_policy": "omit"},
        {"weights": array(x.shape, seed=2), "where": there},
    ):
        results = []
        for threads in (1, 2, 5):
            with nbp.options(num_threads=threads, parallel_threshold=0):
                results.append(nbp.avg_pool2d(x, 3, 2, 1, **made))
        assert same_bits(results[0], results[1]) and same_bits(results[0], results[2])


def test_torch():
    torch = pytest.importorskip("torch")
    x, there, weights = (
        torch.randn(2, 3, 8, 8),
        torch.rand(8, 8) > 0.5,
        torch.rand(8, 8, dtype=torch.bfloat16),
    )
    y, pullback = nbp.vjp(nbp.avg_pool2d, x, 2, where=there, weights=weights)
    dx, dw = pullback(torch.ones_like(y))
    assert isinstance(dx, torch.Tensor) and dw.dtype == torch.bfloat16 and dw.shape == weights.shape
    expected = reference("avg_pool2d", x.numpy(), 2, where=there.numpy(), weights=weights.float().numpy())
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)


def test_the_pullback_does_not_depend_on_the_result_it_came_with():
    x, weights = array((4, 6)), np.random.default_rng(0).random((4, 6))
    for fn, args, kwargs in ((nbp.avg_pool2d, (2,), {"weights": weights}), (nbp.lp_pool2d, (2, 2), {}), (nbp.avg_pool2d, (2,), {"where": weights > 0.3})):  # fmt: skip
        for source in (x, x.astype(np.float64)):
            y, pullback = nbp.vjp(fn, source, *args, **kwargs)
            before = pullback(np.ones_like(y))
            y[...] = 7
            assert all(np.array_equal(a, b) for a, b in zip(before, pullback(np.ones_like(y)), strict=True))


def test_vjp_returns_what_the_function_returns():
    x, there = holes((4, 30, 31)), mask((4, 30, 31))
    for given in ((2,), (3, 1, 1), (9, 1)):
        for made in ({"where": there}, {"nan_policy": "omit"}, {"weights": array(x.shape, seed=1)}):
            for source in (x, x.astype(np.float16)):
                y, _ = nbp.vjp(nbp.avg_pool2d, source, *given, **made)
                assert np.array_equal(y, nbp.avg_pool2d(source, *given, **made), equal_nan=True)
    y, _ = nbp.vjp(nbp.global_avg_pool, x, nan_policy="omit")
    assert np.array_equal(y, nbp.global_avg_pool(x, nan_policy="omit"), equal_nan=True)


def test_out_may_be_what_the_weights_are_a_column_of():
    x, out = array((2, 8, 8)), array((2, 8, 8), seed=1)
    expected = nbp.sum_pool2d(x, 3, 1, 1, weights=out[:, :, :1].copy())
    assert same_bits(nbp.sum_pool2d(x, 3, 1, 1, weights=out[:, :, :1], out=out), expected)


@pytest.mark.parametrize("names", ["where", "where omit", "integers"])
def test_gradients_of_rows_in_several_tiles(names):
    """Channels, or columns, that do not fit into a scratch row; rows of 0 stride; the same from NumPy's arithmetic."""
    for shape, axes in (((1, 5, 6, 5000), (1, 2)), ((1, 2, 4, 20000), (2, 3)), ((70, 5, 6, 40), (1, 2))):
        x = holes(shape, infinite=False) if "omit" in names else array(shape)
        made = options(x, names) | ({"weights": np.arange(shape[-1]) % 3} if names == "integers" else {})
        dy = array(nbp.avg_pool2d(x, 3, 2, 1, axes=axes).shape, seed=1)
        check_vjp("avg_pool2d", x, (3, 2, 1), {"axes": axes, **made}, dy)
