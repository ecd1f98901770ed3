"""Windows of many columns, which are read one by one, and very many windows, whose tables are not made."""

import numpy as np
import pytest
from cases import array, forget_plans, same_bits, slow_but

import numbapool as nbp
from numbapool import request, windows
from numbapool.backends import forms
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


OPTIONS = ["", "omit", "where", "where omit"]


@pytest.mark.parametrize(
    ("op", "names"),
    slow_but(
        [
            *(("max", n) for n in OPTIONS),
            ("avg", "where"),
            ("avg", "weights where"),
            ("sum", ""),
            ("sum", "where omit"),
        ],
        [(op, n) for op in ("max", "avg", "sum") for n in OPTIONS]
        + [(op, "weights where") for op in ("avg", "sum")],
    ),
)
def test_window(op, names):
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


@pytest.mark.parametrize("dtype", slow_but(["float16"], ["uint8", "float16"]))
def test_dtype(dtype):
    x = array((2, 3, 20_011), dtype, "ties")
    for op in ("max", "avg"):
        check(f"adaptive_{op}_pool2d", x, (2, 1))
        check(f"{op}_pool2d", x, (2, 17_000), (1, 2_000), where=mask(x.shape))


def test_two_and_three_axes(monkeypatch):
    """Windows of several rows and planes, elements that end anywhere, masks that are broadcast; short ones, as long ones would take the reference minutes."""
    monkeypatch.setattr(forms, "LONG", 32)
    forget_plans()
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
        forget_plans()


@pytest.mark.parametrize("dtype", slow_but(["float32", "uint8"], ["float32", "float64", "uint8", "int16"]))
def test_windows_of_some_vectors(dtype):
    """From the columns on from which windows are read one by one, as many together as a vector has lanes, or what is left."""
    for columns in 31, 32, 33, 64, 65, 100, 257:
        for rows in 1, 2:
            x = array((2, 3 * rows, 19 * columns + 5), dtype, "ties")
            for op in ("max", "avg", "sum"):
                check(f"{op}_pool2d", x, (rows, columns))
            check("max_pool2d", x, (rows, columns), return_indices=True)
            check("avg_pool2d", x, (rows, columns), (rows, columns // 2), where=mask(x.shape))
    x = np.asfortranarray(array((3, 40, 300), dtype, "ties"))  # results that do not lie one behind the other
    for op in ("max", "avg"):
        check(f"{op}_pool2d", x, (40, 70), axes=(1, 2))
        check(f"{op}_pool2d", np.swapaxes(x, 0, 2).copy(), (70, 40), axes=(0, 1))


def test_tables_on_demand(monkeypatch):
    """What is known of windows without their table is what the table says."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(2000):
        size, kernel, stride, dilation = (int(rng.integers(1, n)) for n in (40, 9, 8, 4))
        before, after = (int(n) for n in rng.integers(0, dilation * (kernel - 1) + 1, 2))
        args = size, kernel, stride, before, after, dilation, bool(rng.integers(2)), bool(rng.integers(2))
        with monkeypatch.context() as patch:
            try:
                made = windows.sliding.__wrapped__(*args)
                turned = made.transposed
            except ValueError:
                continue
            patch.setattr(windows, "MANY", 0)
            patch.setattr(windows, "SOME", 0)
            known = windows.sliding.__wrapped__(*args)
            if isinstance(known.lines, np.ndarray):
                continue
            found += 1
            for name in ("count", "regular", "most", "least", "even", "extent"):
                assert getattr(known, name) == getattr(made, name), (args, name)
            assert known.overlap >= made.overlap
            bare = np.flatnonzero(turned.table[:, 0] >= turned.table[:, 1])
            assert np.array_equal(made.uncovered(), bare)
            assert np.array_equal(known.uncovered(), bare)
            assert np.array_equal(known.table, made.table)
            assert np.array_equal(known.extents(np.arange(known.count), "int64"), made.table[:, 3])
            first, less = known.alike(0)
            assert less > 0
            assert len(set(made.table[first : first + less, 3])) == 1
            assert np.array_equal(known.transposed.table, turned.table)
            assert known.transposed.step == turned.step
            assert known.transposed.most >= turned.most
            assert np.array_equal(known.transposed_line.table, made.transposed_line.table)
    assert found > 1000


def test_very_many_windows(monkeypatch):
    """Results do not show whether there is a table."""
    x = array((200_003,))

    def results():
        for inner in (3, 37):  # tiles at both ends, and many between
            columns = array((66_001, inner))
            for kernel, padding, dilation in ((3, 1, 1), (70, 35, 7)):
                options = {"dilation": dilation, "axes": 0, "count_include_pad": False}
                y, pullback = nbp.vjp(nbp.avg_pool1d, columns, kernel, 1, padding, **options)
                yield y
                yield pullback(array(y.shape, seed=1))
        for op in ("max", "avg"):
            fn = getattr(nbp, f"{op}_pool1d")
            for args in ((2,), (3, 2, 1), (3, 1, 1), (9, 2, 4)):
                for given in ({},) if op == "max" else ({}, {"count_include_pad": False}):
                    y, pullback = nbp.vjp(fn, x, *args, **given)
                    yield y
                    yield pullback(array(y.shape, seed=1))

    found = list(results())
    monkeypatch.setattr(windows, "SOME", 1 << 62)
    monkeypatch.setattr(windows, "MANY", 1 << 62)
    caches = windows.sliding, request._remembered
    for cached in caches:
        cached.cache_clear()
    forget_plans()
    assert (
        windows.sliding(200_003, 2, 2, 0, 0, 1, False, True).table
        is windows.sliding(200_003, 2, 2, 0, 0, 1, False, True).lines
    )
    for one, other in zip(found, results(), strict=True):
        assert same_bits(one, other)
    for cached in caches:
        cached.cache_clear()
    forget_plans()


def test_windows_with_gaps_are_even_only_if_all_are():
    """The middle one may lie at an end where windows have gaps and padding is on one side."""
    x = np.ones((1, 10_000), "f4")
    y, pullback = nbp.vjp(nbp.avg_pool1d, x, 3, 1, ((2000, 4000),), dilation=4000, count_include_pad=False)
    assert np.all(y == 1)
    assert pullback(y).sum() == y.size


def test_what_covers_an_element():
    """The windows of backward, against those of forward, element by element."""
    rng = np.random.default_rng(1)
    for _ in range(400):
        size, kernel, dilation, stride = (int(rng.integers(1, n)) for n in (40, 7, 13, 13))
        before, after = (int(n) for n in rng.integers(0, dilation * (kernel - 1) + 1, 2))
        try:
            made = windows.sliding.__wrapped__(size, kernel, stride, before, after, dilation, False, True)
        except ValueError:
            continue
        turned = made.transposed
        taken = [set(range(*line[:2], made.step)) for line in made.table.tolist()]
        for i, line in enumerate(turned.table.tolist()):
            assert set(range(*line[:2], turned.step)) == {o for o, some in enumerate(taken) if i in some}


def test_large_dilation():
    """What a gradient costs does not grow with it."""
    for x, args in (
        (array((10,)), (1, 1, 0, 2**28)),
        (array((2, 60_000)), (2, 1, 0, 30_000)),
        (array((4_000, 8)), ((2, 3), 1, (0, 1), (2_000, 1))),
    ):
        fn = nbp.max_pool2d if np.ndim(args[0]) else nbp.max_pool1d
        y, pullback = nbp.vjp(fn, x, *args)
        assert pullback(np.ones_like(y)).sum() == y.size


@pytest.mark.parametrize(("kernel", "dilation"), [(900_000, 1), (2, 300_000)])
@pytest.mark.parametrize("shape", [(0, 1_000_000), (2, 0, 1_000_000)])
@pytest.mark.parametrize(
    ("op", "options"),
    [("max", ()), ("max", ("where",)), ("avg", ()), ("avg", ("where",)), ("avg", ("weights",)), ("lp", ())],
)
def test_no_planes(op, options, shape, kernel, dilation):
    """Windows that would be cut, of nothing."""
    fn, x = getattr(nbp, f"{op}_pool1d"), np.ones(shape, "f4")
    args = (x, 2, kernel, 1) if op == "lp" else (x, kernel, 1)
    given = {name: np.ones(shape, {"where": bool, "weights": "f4"}[name]) for name in options}
    y, pullback = nbp.vjp(fn, *args, dilation=dilation, **given)
    assert y.shape == (*shape[:-1], 1_000_000 - (kernel - 1) * dilation)
    found = pullback(y)
    for gradient in found if "weights" in options else (found,):
        assert gradient.shape == shape
