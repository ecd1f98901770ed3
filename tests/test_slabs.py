"""Windows that are done a slab of their axis after the other, as very long ones are: here also short ones, as long ones would take the reference minutes."""

import numpy as np
import pytest
from cases import array, forget_plans, same_bits, slow_but

import numbapool as nbp
from numbapool import windows
from numbapool.backends import divide, norms, passing, plans, slabs
from numbapool.testing import check, check_vjp

WINDOWS = [  # shape without leading axes, kernel, stride, padding
    ((61,), (25,), (1,), 0),
    ((61,), (40,), (3,), ((20, 39),)),
    ((67,), (60,), (2,), ((59, 3),)),
    ((40, 9), (17, 3), (1, 2), 1),
    ((5, 50), (1, 33), (2, 1), ((0, 0), (32, 7))),
    ((4, 40, 6), (2, 19, 4), (1, 2, 1), 0),
]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Slabs for all windows that can be cut, of few elements; the requests that were carried out so."""
    filled, fill = [], slabs.fill

    def spy(request, *args, **kwargs):
        filled.append(request)
        return fill(request, *args, **kwargs)

    for module, names in (
        (plans, {"MOST_ROOM": 0, "LEAST_SLABBED": 10}),
        (slabs, {"SHORTEST": 3, "MOST": 60, "fill": spy}),
        (divide, {"LONGEST": 10}),
    ):
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    forget_plans()
    yield filled
    forget_plans()


@pytest.mark.parametrize(
    ("op", "dtype"),
    slow_but(
        [("max", "float32"), ("avg", "float32"), ("sum", "int32"), ("lp", "float32")],
        [
            (op, dtype)
            for op in ("max", "min", "avg", "sum", "lp")
            for dtype in ("float32", "float64", "float16", "bfloat16", "uint8", "int64", "bool")
            if (op, dtype) != ("lp", "bool")
        ],
    ),
)
def test_values(short, op, dtype):
    """As of the reference, whatever is in between; twice, as calls are remembered."""
    for spatial, kernel, stride, padding in WINDOWS:
        fn, n = f"{op}_pool{len(spatial)}d", len(spatial)
        args = (2.0, kernel, stride, True) if op == "lp" else (kernel, stride, padding)
        for shape, axes in ((2, 3, *spatial), range(2, 2 + n)), ((*spatial, 5), range(n)):
            x = array(shape, dtype, "ties")
            if np.issubdtype(x.dtype, np.floating):
                x.reshape(-1)[::97] = np.nan
                x[..., :2] = -np.inf
            given = {"axes": tuple(axes)}
            for _ in range(2):
                check(fn, x, *args, **given)
            if op == "avg":
                check(fn, x, *args, **given, count_include_pad=False)
                check(fn, x, *args, **given, divisor_override=7)
                check(fn, x, *args, **given, dtype="int32" if x.dtype.kind in "iu" else "float64")
            if op == "sum" and x.dtype.kind in "iu":
                check(fn, x, *args, **given, dtype="float32")
            if op == "max":
                check(fn, x, *args, **given, return_indices=True)
    assert len(short) > 2 * len(WINDOWS)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64"])
def test_weighed_means_beyond_the_range(short, dtype):
    """Stay at its ends in the dtype of x, and are cast to another."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 120, (3, 90)).astype(dtype)
    weights = rng.choice([-0.5, 1.0], x.shape)
    for given in ({}, {"dtype": dtype}, {"dtype": "int8"}):
        check("avg_pool1d", x, 40, 3, weights=weights, **given)
    assert short


@pytest.mark.parametrize(("power", "spread"), [(2.0, 0), (3.5, 30), (0.5, 0), (-2.0, 10)])
def test_gradients_of_norms(short, monkeypatch, power, spread):
    """Of several magnitudes in bands, whose norms are taken again where they are asked for."""
    monkeypatch.setattr(passing, "FEW", 0)
    monkeypatch.setattr(norms, "BAND", 20)
    for spatial, kernel, stride, _ in WINDOWS:
        n, x = len(spatial), array((2, *spatial), kind="distinct").astype("float64")
        x *= 2.0 ** np.random.default_rng(0).integers(-spread, spread + 1, x.shape)
        args = power, kernel, stride, True
        y = getattr(nbp, f"lp_pool{n}d")(x, *args)
        check_vjp(f"lp_pool{n}d", x, args, {}, array(y.shape, seed=1))
    assert len(short) > len(WINDOWS)


@pytest.mark.parametrize("op", ["max", "avg", "sum"])
def test_gradients(short, op):
    for spatial, kernel, stride, padding in WINDOWS:
        fn, x = f"{op}_pool{len(spatial)}d", array((2, *spatial), kind="distinct")
        for given in ({}, {"count_include_pad": False}) if op == "avg" else ({},):
            args = kernel, stride, padding
            y = getattr(nbp, fn)(x, *args, **given)
            check_vjp(fn, x, args, given, array(y.shape, seed=1))
    assert len(short) > len(WINDOWS)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(23, 2, 0), (16, 20, 0), (40, 1, 0), (20, 3, 19)])
def test_gradients_of_what_no_window_has(kernel, stride, padding):
    """Slabs without an element that is covered, phases without one, one window alone, an axis shorter than its stride."""
    for n in range(kernel, 60):
        x = array((1, n), kind="distinct")
        for op in ("sum", "avg"):
            y = getattr(nbp, f"{op}_pool1d")(x, kernel, stride, padding)
            check_vjp(f"{op}_pool1d", x, (kernel, stride, padding), {}, array(y.shape, seed=1))
    x = array((1, 3, 60), kind="distinct")
    args = (5, kernel), (4, min(stride, 3)), ((4, 4), (padding, padding))
    y = nbp.avg_pool2d(x, *args)
    check_vjp("avg_pool2d", x, args, {}, array(y.shape, seed=1))


def test_sums_beyond_64_bits(short):
    x = np.full((1, 50), 2**62, np.int64)
    assert np.all(nbp.sum_pool1d(x, 20, 1, dtype="float64") == 20 * 2.0**62)
    assert short


def masked(shape, dtype):
    """Values, masks and weights with stretches longer than windows where nothing is, NaNs alone, or both."""
    x, where = array(shape, dtype, "ties"), np.random.default_rng(2).random(shape) < 0.7
    weights = array(shape, "float64", "distinct") / 100
    where[-1, ..., :7] = False
    where.reshape(-1)[len(where.reshape(-1)) // 3 :][:60] = False
    weights.reshape(-1)[5:70] = 0
    if x.dtype.kind == "f":
        x[np.random.default_rng(3).random(shape) < 0.2] = np.nan
        x.reshape(-1)[-len(where.reshape(-1)) // 4 :] = np.nan
        x[..., :2] = -np.inf
    return x, where, weights


MASKED = [("max", None), ("min", None), ("avg", None), ("sum", None)]
MASKED += [("lp", power) for power in (2.0, -1.0, -2.0, np.inf, -np.inf)]
OPTIONS = ["where", "shared", "omit", "omit where", "weights", "weights where", "learned", "integers"]
FEW = [
    ("max", "omit where"),
    ("avg", "shared"),
    ("avg", "omit where"),
    ("avg", "learned"),
    ("lp", "omit where"),
]


@pytest.mark.parametrize(
    ("op", "power", "dtype", "names"),
    slow_but(
        [(op, -2.0 if op == "lp" else None, "float32", names) for op, names in FEW],
        [
            (op, power, dtype, names)
            for op, power in MASKED
            for dtype in ("float32", "float64", "float16", "int32", "uint8")
            for names in (OPTIONS if op in ("avg", "sum") else OPTIONS[:4])
            if dtype not in ("int32", "uint8") or not {"omit", "learned"} & set(names.split())
        ],
    ),
)
def test_masks_and_weights(short, monkeypatch, op, power, dtype, names):
    """What is known of pieces beside their values says what is there."""
    monkeypatch.setattr(passing, "FEW", 0)
    for spatial, kernel, stride, padding in WINDOWS:
        fn, n, x, where, weights = f"{op}_pool{len(spatial)}d", len(spatial), *masked((2, *spatial), dtype)
        given: dict = {"axes": tuple(range(1, n + 1))}
        if "omit" in names:
            given["nan_policy"] = "omit"
        if "where" in names or names == "shared":
            given["where"] = where[0] if names == "shared" else where
        if "weights" in names:
            given["weights"] = weights
        if names == "learned":
            given["weights"] = np.abs(weights).astype(dtype) + 1
        if names == "integers":
            given["weights"] = np.arange(x.size).reshape(x.shape) % 5
        args = (kernel, stride, padding) if power is None else (power, kernel, stride, True)
        check(fn, x, *args, **given)
        if op == "max":
            check(fn, x, *args, **given, return_indices=True)
        if x.dtype.kind == "f" and power != -1:
            y = getattr(nbp, fn)(x, *args, **given)
            check_vjp(fn, np.nan_to_num(x, posinf=3, neginf=-3), args, given, array(y.shape, seed=1))
    assert len(short) > len(WINDOWS)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_selected_along_a_later_axis(short, dtype):
    """Where pieces side by side do not follow each other in a plane: of equals the first in it, with its zero's sign."""
    for shape, kernel in ((40, 43), (3, 20)), ((9, 5, 50), (2, 2, 20)), ((3, 64), (2, 33)):
        x = array((2, *shape), dtype, "ties")
        if x.dtype.kind == "f":
            x[array(x.shape, dtype, "ties", seed=9) > 0] = -0.0
            x[array(x.shape, dtype, "ties", seed=8) > 1] = 0.0
        fn = f"max_pool{len(shape)}d"
        for given in ({}, {"where": array(x.shape, "int32", "ties", seed=7) > 0}):
            y, _ = getattr(nbp, fn)(x, kernel, 1, return_indices=True, **given)
            check(fn, x, kernel, 1, return_indices=True, **given)
            assert same_bits(getattr(nbp, fn)(x, kernel, 1, **given), y)
    axes = {request.axes[plans.axis_of_slabs(request.windows)] for request in short}
    assert axes >= {2, 3}


def test_first_of_equals_and_signs_of_zeros(short):
    """Between heads, cores and tails, too."""
    x = np.zeros((1, 80), np.float32)
    x[:, ::3] = -0.0
    for first in (0.0, -0.0):
        x[0, 0] = first
        y, at = nbp.max_pool1d(x, 30, 1, return_indices=True)
        assert same_bits(y, np.take_along_axis(x, at, 1))
        assert np.array_equal(at[0], np.arange(51))
        assert same_bits(nbp.max_pool1d(x, 30, 1), y)
    assert len(short) == 4


def test_signs_of_zeros_may_ask_for_more_memory(short, monkeypatch):
    """A call that has a plan, but for the one that tells the first of equal elements."""
    monkeypatch.setattr(plans, "MOST_ROOM", 30_000)
    forget_plans()
    x = array((1, 40, 60), kind="ties")
    nbp.max_pool2d(x + 10, 20, 1)
    assert not short
    x = np.where(x > 0, -0.0, np.minimum(x, 0)).astype("f4")
    for _ in range(2):
        check("max_pool2d", x, 20, 1)
    assert len(short) >= 2


def test_which_axis(short, monkeypatch):
    """That of the longest windows which can be cut; none of windows with gaps, of one alone, of those that do not slide, or beside too many others."""
    short, long, gaps, one = (
        windows.sliding(n, k, 1, 0, 0, d, False, False)
        for n, k, d in ((90, 20, 1), (90, 30, 1), (90, 30, 2), (90, 90, 1))
    )
    assert plans.axis_of_slabs((short, long)) == 1
    assert plans.axis_of_slabs((long, short)) == 0
    assert plans.axis_of_slabs((windows.untouched(5), long)) == 1
    for other in gaps, one, windows.adaptive(90, 7), windows.untouched(90):
        assert plans.axis_of_slabs((other,)) is None
        assert plans.axis_of_slabs((other, short)) == 1
    monkeypatch.setattr(plans, "MOST_BESIDE", 65)
    assert plans.axis_of_slabs((short, long)) == 0
    monkeypatch.setattr(plans, "MOST_BESIDE", 60)
    assert plans.axis_of_slabs((short, long)) is None


def test_elements_of_a_phase():
    """The windows over them are those that cover them."""
    rng = np.random.default_rng(0)
    for _ in range(500):
        size, kernel, stride = (int(rng.integers(1, n)) for n in (40, 20, 6))
        before, after = (int(n) for n in rng.integers(0, kernel, 2))
        try:
            w = windows.sliding(size, kernel, stride, before, after, 1, False, False)
        except ValueError:
            continue
        for first in range(min(w.regular[1], size)):
            phase, lines = w.phase(first), w.transposed.table[first :: w.regular[1], :2]
            if phase is None:
                assert np.all(lines[:, 0] >= lines[:, 1])
            else:
                some = lines[:, 0] < lines[:, 1]
                assert phase.count == len(lines)
                assert np.array_equal(phase.table[some, :2], lines[some])
                assert np.all(phase.table[~some, 0] >= phase.table[~some, 1])
