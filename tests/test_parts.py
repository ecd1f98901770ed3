"""Gradients that are done a part at a time, also along pooled axes: parts of a few elements instead of some hundred thousand."""

import numpy as np
import pytest
from cases import array, slow_but

import numbapool as nbp
from numbapool import presence
from numbapool.backends import divide, norms
from numbapool.testing import check_vjp

WINDOWS = [
    ((40, 13), (3, 2, 1), {}), ((13, 40), ((4, 3), (1, 2), (2, 0)), {"dilation": (3, 2)}), ((2, 30, 9), ((1, 5), (4, 7)), {}),
    ((3, 11, 12), ((7, 9), 2, (3, 4)), {}), ((26, 5, 2), (2, 3), {"axes": (0, 1)}), ((23, 22), ((20, 21), (2, 1)), {}),
]  # fmt: skip
OPTIONS = ["", "weights", "weights where", "integers", "omit", "broadcast weights"]


@pytest.fixture(autouse=True, params=[7, 40])
def small(request, monkeypatch):
    monkeypatch.setattr(presence, "SLAB", request.param)
    monkeypatch.setattr(norms, "SLAB", request.param)
    monkeypatch.setattr(divide, "LONG", 4)


def given(x, names):
    rng = np.random.default_rng(2)
    options = {}
    if "weights" in names:
        shape = x.shape if "broadcast" not in names else (1, *x.shape[1:])
        options["weights"] = rng.random(shape).astype("f4") + 1
    if "integers" in names:
        options["weights"] = rng.integers(0, 4, x.shape)
    if "where" in names:
        options["where"] = rng.random(x.shape) < 0.7
    if "omit" in names:
        options["nan_policy"] = "omit"
        x[rng.random(x.shape) < 0.2] = np.nan
    return options


@pytest.mark.parametrize(
    ("op", "names"),
    slow_but(
        [("sum", ""), *(("avg", n) for n in OPTIONS[1:4])],
        [(op, n) for op in ("avg", "sum") for n in OPTIONS],
    ),
)
def test_sums(op, names):
    for shape, args, options in WINDOWS:
        for order in "CF":
            x = array(shape).copy(order)
            options = options | given(x, names)
            y = getattr(nbp, f"{op}_pool2d")(x, *args, **options)
            check_vjp(f"{op}_pool2d", x, args, options, array(y.shape, seed=1))


@pytest.mark.parametrize(
    ("p", "names"),
    slow_but(
        [(2, "where omit"), (-2, "")], [(p, n) for p in (2, 3, 0.5, -2, 100) for n in ("", "where omit")]
    ),
)
def test_norms(p, names):
    for shape, args, options in WINDOWS:
        x = array(shape, kind="distinct") + np.float32(0.5)
        options = options | given(x, names) | {"padding": args[2] if len(args) > 2 else 0}
        y = nbp.lp_pool2d(x, p, *args[:2], **options)
        check_vjp("lp_pool2d", x, (p, *args[:2]), options, array(y.shape, seed=1))


@pytest.mark.parametrize("factor", [1, 3, 10])
def test_weights_that_planes_share(factor, small, monkeypatch):
    """Added up part by part of theirs, over slices of several planes, of which the last has fewer."""
    monkeypatch.setattr(presence, "SLAB", presence.SLAB * factor)
    rng = np.random.default_rng(3)
    for shape, of_weights in (
        *(
            ((5, 3, 9, 10), w)
            for w in ((9, 10), (3, 9, 10), (3, 1, 10), (5, 1, 9, 1), (1, 3, 1, 1), (10,), ())
        ),
        ((7, 3, 30), (3, 30)),
    ):
        x = array(shape)
        n = len(shape) - 2
        for dtype in "f4", "f8":
            options = {"weights": (rng.random(of_weights) + 1).astype(dtype)}
            y = getattr(nbp, f"avg_pool{n}d")(x, 3, 2, 1, **options)
            check_vjp(f"avg_pool{n}d", x, (3, 2, 1), options, array(y.shape, np.dtype(y.dtype).name, seed=1))


def test_nothing_there():
    """No warning either, from windows without an element."""
    x = array((90,))
    y, pullback = nbp.vjp(nbp.avg_pool1d, x, 40, 20, where=np.zeros(90, bool))
    assert not pullback(np.ones_like(y)).any()


def test_windows_of_their_own_length():
    for shape, size in [((2, 50), 7), ((90,), 13), ((2, 31), 40)]:
        x = array(shape)
        for options in ({}, given(x, "where"), given(x, "weights")):
            y = nbp.adaptive_avg_pool1d(x, size, **options)
            check_vjp("adaptive_avg_pool1d", x, (size,), options, array(y.shape, seed=1))
    for names in ("where", "weights", "omit"):
        x = array((3, 90))
        options = given(x, names) | {"axes": 1}
        for fn, *args in ("global_avg_pool",), ("global_sum_pool",), ("global_lp_pool", 2):
            if "weights" not in names or not args:
                check_vjp(fn, x, tuple(args), options, array((3, 1), seed=1))
