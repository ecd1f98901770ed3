"""Lp pooling: every kind of order, magnitudes at the ends of the range, and gradients, against a reference in long double."""

import numpy as np
import pytest
from cases import KERNEL_PATHS, array, same_bits, slow_but

import numbapool as nbp
from numbapool.backends import norms, passing
from numbapool.testing import check, check_vjp, gradcheck

inf, nan = np.inf, np.nan
ORDERS = (1, 2, 3, 0.5, 2.5, -1, inf, -inf)  # each of them is compiled for itself
USUAL = (2, -1, inf)
PATHS = [KERNEL_PATHS[i] for i in (0, 2, 4, 8, 10, 12, 20)]


def _check(case, norm, x, **made):
    given = {"axes": case.axes, "stride": case.stride, "padding": case.padding, "dilation": case.dilation, "ceil_mode": case.ceil, **made}  # fmt: skip
    fn = f"lp_pool{case.n}d"
    y = check(fn, x, norm, case.kernel, **given)
    if x.dtype.kind == "f":
        check_vjp(fn, x, (norm, case.kernel), given, array(y.shape, x.dtype.name, seed=1))
    return y


@pytest.mark.parametrize("case", KERNEL_PATHS, ids=lambda c: c.id)
def test_two(case):
    _check(case, 2, array(case.shape))


@pytest.mark.parametrize("norm", slow_but((*USUAL, 1, 0.5), ORDERS))
def test_orders(norm):
    for case in PATHS[:4] if norm in (2, inf) else PATHS[:2]:
        _check(case, norm, array(case.shape, kind="ties"))  # zeros among them


@pytest.mark.parametrize("norm", slow_but((2, inf), ORDERS))
def test_orders_of_what_is_there(norm):
    for case in PATHS[:4] if norm == 2 else PATHS[:2]:
        x = array(case.shape)
        x[..., 2:4] = nan
        _check(case, norm, x, nan_policy="omit")
        _check(case, norm, x, where=np.random.default_rng(0).random(x.shape) < 0.6)


@pytest.mark.parametrize(
    ("dtype", "norm"),
    [
        ("float64", 2),
        ("float16", 2),
        ("uint8", 3),
        ("int64", inf),
        ("float16", -inf),
        ("bool", 1),
        ("float64", 1),
    ],
)
def test_dtypes(dtype, norm):
    for case in PATHS[:3]:
        _check(case, norm, array(case.shape, dtype, "ties"))


def test_result_dtype():
    x = array((2, 4, 4), "uint8")
    for norm in (2, inf):
        for dtype in ("float32", "uint8") if norm == 2 else ("uint8",):
            check("lp_pool2d", x, norm, 2, dtype=dtype)
    check("lp_pool2d", array((2, 4, 4)), inf, 2, dtype="float64")
    with pytest.raises(TypeError, match="dtype"):
        nbp.lp_pool2d(array((2, 4, 4)), 2, 2, dtype="int32")


def test_range():
    """Nothing overflows or underflows that has a result."""
    for dtype, big, small in (("float32", 1e38, 1e-44), ("float64", 1e300, 1e-300)):
        for norm in (2, 40):
            x = np.array(
                [big, 1, small, 0, big, big, small, small, small, small, 1e30, 1e30, 0, 0, inf, 1, -inf, nan],
                dtype,
            )
            y = check("lp_pool1d", x, norm, 2)
            assert np.isfinite(y[:7]).all()
            check_vjp("lp_pool1d", x[:14], (norm, 2), {}, np.ones(7, dtype))


def test_documented():
    assert nbp.lp_pool1d([3.0, 4.0, 5.0], 2, 2, ceil_mode=True).tolist() == [5, 5]
    assert np.isclose(nbp.lp_pool1d([-1.0, -1.0], 3, 2)[0], 2 ** (1 / 3))
    assert np.isclose(nbp.lp_pool1d(np.float32([1e30, 1e30]), 8, 2)[0], 1e30 * 2 ** (1 / 8))
    assert nbp.lp_pool1d([3], 2, 1).dtype == np.float64
    # no element: 0, for every order
    for norm in USUAL:
        x = np.float32([3, nan])
        assert nbp.lp_pool1d(x, norm, 2, where=[False, False])[0] == 0
        assert nbp.lp_pool1d(np.float32([nan, nan]), norm, 2, nan_policy="omit")[0] == 0
    _, pullback = nbp.vjp(nbp.lp_pool1d, [0.0, 0.0, 3.0, -3.0], inf, 2)
    assert pullback([1.0, 1.0]).tolist() == [0, 0, 1, 0]
    _, pullback = nbp.vjp(nbp.lp_pool1d, [0.0, -2.0], 1, 2)
    assert pullback([1.0]).tolist() == [0, -1]


def test_global():
    for shape, axes in (((2, 3, 7, 9), (-2, -1)), ((2, 7, 9, 3), (1, 2)), ((2, 3, 4, 5), (0, 1, 2, 3))):
        x = array(shape)
        for norm in (2, inf):
            y = check("global_lp_pool", x, norm, axes=axes)
            check_vjp("global_lp_pool", x, (norm,), {"axes": axes}, array(y.shape, seed=1))
            assert same_bits(nbp.global_lp_pool(x, norm, axes=axes, keepdims=False), y.squeeze(axes))


def test_gradcheck():
    x = np.random.default_rng(0).standard_normal((2, 6, 7))
    for norm in (2, -1, inf):
        gradcheck(nbp.lp_pool2d, x, norm, 3, 2)


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (nan, ValueError), ("2", TypeError), (None, TypeError), (True, TypeError), (1j, TypeError), ([2], TypeError), (10**400, ValueError)],
    ids=lambda v: str(v)[:20],
)  # fmt: skip
def test_bad_norm(value, error):
    out = np.full((2, 2), 7.0)
    with pytest.raises(error, match="norm_type"):
        nbp.lp_pool2d(np.ones((4, 4)), value, 2, out=out)
    with pytest.raises(error, match="norm_type"):
        nbp.global_lp_pool(np.ones((4, 4)), value)
    assert (out == 7).all()


def test_gradients_of_high_orders():
    x = np.array([2, 2, 1.9, 1, 1e-300, 0, 3, -3, 1e300, 5, 7, 7.0])
    for norm in (40, 1100, -1100):
        check_vjp("lp_pool1d", x, (norm, 4), {}, np.ones(3))


def test_gradients_tap_by_tap(monkeypatch):
    """What very high orders need must give what bands give, and those what the kernel gives."""
    x = np.random.default_rng(0).standard_normal((2, 7, 9)) * 2.0 ** np.random.default_rng(1).integers(
        -40, 40, (2, 7, 9)
    )
    x[0, 2, 3] = 0
    calls = (2, 3, 2, False), {"padding": 1, "where": np.random.default_rng(2).random(x.shape) < 0.8}
    taken = []
    by_taps = norms._by_taps
    monkeypatch.setattr(norms, "_by_taps", lambda *args: taken.append(1) or by_taps(*args))
    for few, limit in ((64, 32), (0, 32), (0, 0)):
        monkeypatch.setattr(passing, "FEW", few)
        monkeypatch.setattr(norms, "MOST_BANDS", limit)
        check_vjp("lp_pool2d", x, *calls, array((2, 4, 5), "float64", seed=1))
    assert taken == [1]
    _, pullback = nbp.vjp(
        nbp.lp_pool1d, [1.0, 3.0, -3.0, 0.0], 1e300, 4
    )  # narrower bands than there are numbers
    assert len(taken) == 1 and np.isfinite(pullback([1.0])).all() and len(taken) == 2


def test_gradients_need_the_exact_norm():
    for x, norm, kwargs in (
        ([1e50, 1e50], 2, {"dtype": "float32"}), ([1e-50, 1e-50], 2, {"dtype": "float32"}),
        (np.float32([3e38, 3e38]), 2, {}), (np.float32([1e38, 3e38]), 0.5, {}), (np.float32([1e-45, 1e-45]), 2, {}),
    ):  # fmt: skip
        _, pullback = nbp.vjp(nbp.lp_pool1d, x, norm, 2, **kwargs)
        exact, wide = nbp.vjp(nbp.lp_pool1d, np.asarray(x, np.float64), norm, 2)
        assert np.allclose(pullback([1.0]), wide([1.0]), rtol=1e-6) and np.isfinite(exact).all()


def test_gradients_of_rows_in_several_tiles():
    for shape, axes in (((1, 5, 6, 5000), (1, 2)), ((1, 2, 4, 20000), (2, 3)), ((70, 5, 6, 40), (1, 2))):
        x = array(shape)
        dy = array(nbp.lp_pool2d(x, 2, 3, 2, padding=1, axes=axes).shape, seed=1)
        check_vjp("lp_pool2d", x, (2, 3, 2), {"padding": 1, "axes": axes}, dy)


def test_gradients_far_from_one():
    """Neither norms nor what comes back may be raised out of float64's range."""
    for size, passed in ((2.0**-240, 2.0**600), (2.0**240, 2.0**-700), (1.0, 2.0**1000), (2.0**-600, 1.0)):
        check_vjp("lp_pool1d", np.ones(4) * size, (3, 2, 1), {}, np.full(3, passed))
