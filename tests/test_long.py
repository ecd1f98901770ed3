"""Windows of many thousand columns, which are read one by one."""

import numpy as np
import pytest
from cases import array, same_bits

from numbapool.backends import plans
from numbapool.kernels import build
from numbapool.testing import check, check_vjp

WINDOW = (20_001, 15_000, 9_000)


def holes(shape, dtype="float32"):
    x = array(shape, dtype, "ties")
    x[..., ::7] = np.nan
    x[0, ..., : shape[-1] // 2] = np.nan
    return x


def mask(shape):
    there = np.random.default_rng(5).random(shape) < 0.6
    there[-1, ..., : shape[-1] // 2] = False
    return there


@pytest.mark.parametrize("names", ["", "omit", "where", "where omit", "weights where"])
@pytest.mark.parametrize("op", ["max", "avg", "sum"])
def test_window(op, names):
    if "weights" in names and op == "max":
        pytest.skip("maxima have no weights")
    fn = f"{op}_pool1d"
    x = holes((3, 40_005))
    given = {"nan_policy": "omit"} if "omit" in names else {}
    if "where" in names:
        given["where"] = mask(x.shape)
    if "weights" in names:
        x = array(x.shape)
        given["weights"] = array((1, x.shape[-1]), seed=3)
    y = check(fn, x, *WINDOW, **given)
    assert any("_long_" in k.name for k in build.kernels())
    if op == "max":
        both = check(fn, x, *WINDOW, **given, return_indices=True)
        assert same_bits(np.nan_to_num(both[0]), np.nan_to_num(y))
    else:
        check_vjp(fn, x, WINDOW, given, array(y.shape, seed=1))


@pytest.mark.parametrize("dtype", ["uint8", "float16"])
def test_dtype(dtype):
    x = array((2, 3, 20_011), dtype, "ties")
    for op in ("max", "avg"):
        check(f"adaptive_{op}_pool2d", x, (2, 1))
        check(f"{op}_pool2d", x, (2, 17_000), (1, 2_000), where=mask(x.shape))


def test_two_and_three_axes(monkeypatch):
    """Windows of several rows and planes, elements that end anywhere, masks that are broadcast; short ones, as long ones would take the reference minutes."""
    monkeypatch.setattr(plans, "LONG", 8)
    plans._form.cache_clear()
    plans.forward.cache_clear()
    try:
        for n, shape, kernel in ((2, (2, 5, 61), (3, 25)), (3, (2, 3, 4, 45), (2, 2, 19)), (1, (4, 30), 9)):
            x = holes(shape)
            some = mask((*shape[:-1], 1))
            for op in ("max", "avg"):
                fn = f"{op}_pool{n}d"
                half = [-(-k // 2) for k in np.atleast_1d(kernel)]
                for given in ({}, {"where": some}, {"where": mask(shape), "nan_policy": "omit"}):
                    check(fn, x, kernel, half, 1, ceil_mode=True, **given)
                    if op == "max":
                        check(fn, x, kernel, half, 1, **given, return_indices=True)
            check(f"adaptive_avg_pool{n}d", x, 3 if n == 1 else (2,) * (n - 1) + (3,))
            check(f"lp_pool{n}d", x, 2.0, kernel, half)
            check("global_avg_pool", x, axes=tuple(range(1, len(shape))), where=some)
    finally:
        plans._form.cache_clear()
        plans.forward.cache_clear()
