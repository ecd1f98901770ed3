"""NaN, infinities, signed zeros, ties and the smallest integers, at every place of a window."""

from fractions import Fraction

import numpy as np
import pytest
from cases import COMMON, EACH, FLOATS, NO_TAP, THOROUGH, Case, array, dtype_of, parametrize, slow_but

import numbapool as nbp
from numbapool.testing import assert_matches, check, check_vjp, reference

_WINDOWS = [
    Case(2, (1, 7, 37), 2), Case(2, (1, 7, 37), 3, 1, 1), Case(2, (1, 7, 37), 3, 2, 1),
    Case(2, (1, 9, 37), 7, 1, 3),
    Case(2, (1, 5, 5), 3, 2, 1), Case(2, (1, 20, 40), 17, 1, 8), Case(2, (1, 5, 7, 3), 3, 1, 1, axes=(1, 2)),
    Case(2, (1, 5, 7, 20), 2, axes=(1, 2)), Case(1, (1, 60), 5, 3, 2, 2),
]  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@parametrize(_WINDOWS, ("max", "min"))
def test_nan(op, case, dtype):
    rng = np.random.default_rng(7)
    for density in (0.01, 0.1, 0.5, 1.0):
        for kind in ("ties", "any"):
            x = array(case.shape, dtype, kind)
            x[rng.random(case.shape) < density] = np.nan
            check(case.function(op), x, **case.options(op))
            check(case.function(op), x, **case.options(op), return_indices=True)
            x[rng.random(case.shape) < 0.3] = -np.inf if op == "max" else np.inf
            check(case.function(op), x, **case.options(op), return_indices=True)


@parametrize(_WINDOWS, ("avg", "sum"))
@pytest.mark.parametrize("dtype", FLOATS)
def test_nothing_leaks(op, case, dtype):
    """What is not finite, or far larger, shows in its own windows and in no other."""
    rng = np.random.default_rng(8)
    large = {"float16": 60000, "bfloat16": 1e30, "float32": 1e30, "float64": 1e250}[dtype]
    for special in (np.nan, np.inf, -np.inf, large):
        x = array(case.shape, dtype)
        x[rng.random(case.shape) < 0.03] = special
        check(case.function(op), x, **case.options(op))
    x = array(case.shape, dtype)
    x[rng.random(case.shape) < 0.05] = np.inf
    x[rng.random(case.shape) < 0.05] = -np.inf
    check(case.function(op), x, **case.options(op))


@pytest.mark.parametrize("window", [3, 15, 31, 100])
def test_one_bad_element_in_a_long_signal(window):
    x = array((1, 2000), "float32")
    x[0, 300], x[0, 777], x[0, 1500] = 1e20, np.inf, np.nan
    for op in ("sum", "avg"):
        y = check(f"{op}_pool1d", x, window, 1)
        assert np.count_nonzero(np.isnan(y)) == window
        assert np.count_nonzero(np.isinf(y)) == window
        check(f"{op}_pool2d", np.broadcast_to(x[:, :400], (20, 400)), min(window, 20), 1)


@pytest.mark.parametrize(
    ("op", "dtype"),
    slow_but(
        [*(("max", d) for d in FLOATS), ("min", "float32")],
        [(op, d) for op in ("max", "min") for d in FLOATS],
    ),
)
def test_signed_zeros(op, dtype):
    x = np.where(np.random.default_rng(3).random((2, 9, 41)) < 0.5, 0.0, -0.0).astype(dtype_of(dtype))
    for args in ((2,), (3, 1, 1), (3, 2, 1), (9, 1, 4), (3, 2, 2, 2), ((9, 40), 1)):
        y, index = check(f"{op}_pool2d", x, *args, return_indices=True)
        check(f"{op}_pool2d", x, *args)
        flat = x.reshape(2, -1)
        picked = np.stack([flat[i].take(index[i].ravel()) for i in range(2)]).reshape(y.shape)
        np.testing.assert_array_equal(np.signbit(y), np.signbit(picked))


@pytest.mark.parametrize(("op", "dtype"), [p for p in EACH if getattr(p, "values", p)[0] in ("max", "min")])
def test_what_padding_could_win_against(op, dtype):
    """Planes full of the value that padding has: it still never wins, and the first tap is the index."""
    kind = dtype_of(dtype).kind
    if kind in "biu":
        info = np.iinfo(np.uint8 if kind == "b" else dtype)
        lowest = (info.min if op == "max" else info.max) if kind != "b" else op == "min"
    else:
        lowest = -np.inf if op == "max" else np.inf
    thorough = dtype in THOROUGH[op]
    for shape in ((2, 4, 5), (2, 9, 40), (2, 40, 42)):
        x = np.full(shape, lowest, dtype_of(dtype))
        for args in ((2, 2, 1), (3, 1, 1), (3, 2, 1), (3, 2, 2, 2), (31, 1, 1)):
            if args[0] == 31 and (not thorough or shape[1] < 40):
                continue
            y = check(f"{op}_pool2d", x, *args)
            assert (y == lowest).all()
            if thorough:
                _, index = check(f"{op}_pool2d", x, *args, return_indices=True)
                assert (index >= 0).all()


@parametrize(NO_TAP)
@pytest.mark.parametrize("dtype", COMMON)
def test_windows_without_a_tap(op, case, dtype):
    x = array(case.shape, dtype)
    check(case.function(op), x, **case.options(op))
    if op in ("max", "min"):
        _, index = check(case.function(op), x, **case.options(op), return_indices=True)
        assert (index == -1).any()
    if op == "avg" and dtype == "uint8":
        check(case.function(op), x, **case.options(op), dtype=dtype)
    if dtype in FLOATS:
        y = reference(case.function(op), x, **case.options(op))
        check_vjp(case.function(op), x, (), case.options(op), np.ones(y.shape))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", ["max", "min", "avg", "sum"])
def test_subnormal_and_extreme(op, dtype):
    tiny = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 5e-324}[dtype]
    x = (np.random.default_rng(4).integers(-20, 20, (2, 9, 40)) * tiny).astype(dtype_of(dtype))
    assert (x != 0).any()
    for args in ((2,), (3, 1, 1), (3, 2, 1)):
        check(f"{op}_pool2d", x, *args)


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_half_float(op, dtype):
    """All 65536 patterns, each against a random neighbour."""
    patterns = np.random.default_rng(5).permutation(np.arange(65536, dtype=np.uint16)).view(dtype_of(dtype))
    check(f"{op}_pool1d", patterns, 2)
    check(f"{op}_pool1d", patterns, 3, 1, return_indices=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_half_float_survives_an_average(dtype):
    """A window of one: loading and rounding give every number back."""
    patterns = np.arange(65536, dtype=np.uint16).view(dtype_of(dtype))
    assert_matches(nbp.avg_pool1d(patterns, 1), patterns, 0.0)
    # Two of the largest bfloat16 overflow float32, in which they are added.
    with np.errstate(all="ignore"):
        fits = patterns[~(np.abs(patterns.astype(np.float32)) > np.finfo(np.float32).max / 2)]
        assert_matches(nbp.avg_pool1d(np.repeat(fits, 2), 2), fits, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_floats_round_once_to_even(dtype):
    rng = np.random.default_rng(6)
    pairs = (rng.integers(1024, 2048, (4000, 2)) * 2.0 ** rng.integers(-3, 3, (4000, 1))).astype(
        dtype_of(dtype)
    )
    exact = pairs.astype(np.float64).sum(1)
    want = exact.astype(np.float32).astype(dtype_of(dtype))  # the sum of two is exact in float32
    assert_matches(nbp.sum_pool1d(pairs, 2)[:, 0], want, 0.0)
    assert_matches(
        nbp.avg_pool1d(pairs, 2)[:, 0], (exact / 2).astype(np.float32).astype(dtype_of(dtype)), 0.0
    )


def test_mean_of_a_tenth():
    """The mean of 0.1 over 4096² in float32 is 0.1 within 2 ulp."""
    x = np.full((4096, 4096), 0.1, np.float32)
    tenth = np.float32(0.1)
    for y in (
        nbp.avg_pool2d(x, 4096),
        nbp.avg_pool1d(x.reshape(-1), 4096 * 4096),
        nbp.avg_pool2d(x[:2048], 2048, 1024),
    ):
        assert (np.abs(y - tenth) <= 2 * np.spacing(tenth)).all()
    total = nbp.sum_pool2d(x, 4096)
    exact = float(tenth) * 4096**2
    assert abs(float(total[0, 0]) - exact) <= 2.0**-22 * exact + np.spacing(np.float32(exact))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("kernel", [3, 5, 13, (40, 5), (5, 40), (1, 140)], ids=str)
def test_accuracy_of_cancelling_sums(kernel, dtype):
    rng = np.random.default_rng(11)
    x = rng.standard_normal((1, 130, 140)).astype(dtype_of(dtype))
    x[0, ::2] = -x[0, 1::2]
    for stride in (1, kernel):
        check("sum_pool2d", x, kernel, stride)
        check("avg_pool2d", x, kernel, stride)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_sums_of_64_bit_integers_are_exact(dtype):
    x = np.random.default_rng(9).integers(0, 2**53, (3, 20, 40)).astype(dtype) * 11 + 3
    for args in ((2,), (3, 1, 1), (13, 1, 6)):
        y = check("sum_pool2d", x, *args)
        assert y.dtype == dtype
    total = nbp.sum_pool2d(x[:1, :13, :13], 13)
    assert int(total[0, 0, 0]) == sum(int(v) for v in x[0, :13, :13].ravel())


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint8"])
def test_rounded_means_of_large_integers(dtype):
    info = np.iinfo(dtype)
    x = np.random.default_rng(10).integers(info.min, info.max, (2, 20, 41), dtype, endpoint=True)
    for args in ((2,), (3, 1, 1), (3, 2, 1), (13, 1, 6)):
        for include in (True, False):
            check("avg_pool2d", x, *args, count_include_pad=include, dtype=dtype)
    edges = np.array([info.max, info.max - 1, info.min, info.min + 1] * 10, dtype)
    check("avg_pool1d", edges, 2, 1, dtype=dtype)


@pytest.mark.parametrize("dtype", slow_but(["uint8", "int16"], ["uint8", "int8", "uint16", "int16"]))
def test_means_of_small_integers_are_rounded_right(dtype):
    """Of any number of elements, at ties and beside them, also where float32 has no more bits than the sum needs; divided by another integer, or by a number that is none."""
    info, rng = np.iinfo(dtype), np.random.default_rng(3)
    for n in (2, 3, 6, 10, 100, 128, 129, 1000):
        quotients = rng.integers(int(info.min), int(info.max), 400)
        totals = quotients * n + (n + rng.integers(-1, 2, 400)) // 2  # a tie, or next to one
        x = np.repeat(totals[:, None] // n, n, axis=1)
        x += np.arange(n) < (totals % n)[:, None]
        assert np.array_equal(x.sum(axis=1), totals)
        x = x.astype(dtype)
        for divisor in (None, n + 1, n + 0.5):
            by = Fraction(divisor or n)
            exact = [round(int(t) / by) for t in totals]
            got = nbp.avg_pool2d(x[:, None], (1, n), divisor_override=divisor, dtype=dtype)
            assert got.ravel().tolist() == np.array(exact).astype(dtype).tolist(), (n, divisor)
            y = nbp.avg_pool2d(x[:, None], (1, n), divisor_override=divisor, dtype="float32")
            assert np.array_equal(y.ravel(), np.array([np.float32(float(int(t) / by)) for t in totals]))


@pytest.mark.parametrize("kernel", [33, 34, 48, 64, 127])
def test_wide_sums_stay_in_their_window(kernel):
    """Blocks, their ends and what lies beside a row, for several planes at a time."""
    for shape in ((5, 40), (3, 200), (2, 3, 130)):
        for place, value in ((7, np.nan), (16, np.inf), (-20, -np.inf)):
            x = array(shape)
            x.flat[place] = value
            for stride in (1, 2, 3):
                if kernel <= shape[-1] + 2 * (kernel // 2):
                    check("avg_pool1d", x, kernel, stride, kernel // 2)
                if kernel <= shape[-1]:
                    check("sum_pool1d", x, kernel, stride)
