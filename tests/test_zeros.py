"""Zeros of both signs are equal: the maximum of a window is the first of them, whatever the order in which a kernel merges its elements."""

import itertools

import numpy as np
import pytest
from cases import KERNEL_PATHS, LARGE_WINDOWS, Case, array, parametrize, slow_but

from numbapool.backends import blocks
from numbapool.testing import check

CASES = [*KERNEL_PATHS, *LARGE_WINDOWS[:6], Case(3, (1, 12, 13, 14), 9, 1, 4), Case(2, (9, 20, 20), 5, 1, 2)]


def zeros(op, shape, dtype="float32", share=0.5):
    """An array whose maxima, or minima, are zeros where a window has one; half of them are negative."""
    rng = np.random.default_rng([1, *shape])
    x = np.abs(array(shape, dtype, "distinct")) + np.asarray(1, dtype)
    x = -x if op == "max" else x
    chance = rng.random(shape)
    x[chance < share] = 0.0
    x[chance < share / 2] = -0.0
    return x


@parametrize(CASES, ("max", "min"))
def test_first_of_zeros(op, case):
    for share in (0.5, 0.05):
        x = zeros(op, case.shape, share=share)
        for made in (x, np.asfortranarray(x), x[..., ::-1]):
            check(case.function(op), made, **case.options(op))


@pytest.mark.parametrize("op", ["max", "min"])
def test_axes_in_any_order_of_memory(op):
    for axes in itertools.permutations(range(3)):
        x = zeros(op, (5, 40, 6), share=0.9).transpose(axes).copy().transpose(np.argsort(axes))
        for args in ((2,), ((1, 2, 2),), (2, (1, 2, 1)), (3, 2, 1), (3, 1)):
            check(f"{op}_pool3d", x, *args)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@parametrize([c for c in CASES if c.n == 2][:6], ("max",))
def test_dtypes(op, case, dtype):
    check(case.function(op), zeros(op, case.shape, dtype), **case.options(op))


@pytest.mark.parametrize(
    ("op", "order"), slow_but([("max", "C"), ("min", "F")], [(op, o) for op in ("max", "min") for o in "CF"])
)
def test_elements_left_out(op, order):
    for shape, args in [((3, 9, 41), (3, 2, 1)), ((2, 20, 40), (9, 1)), ((9, 7, 7), (2,))]:
        x = zeros(op, shape).copy(order)
        there = np.random.default_rng(3).random(shape) < 0.6
        check(f"{op}_pool2d", x, *args, where=there)
        check(f"{op}_pool2d", x, *args, where=there[0])
        x[~there] = np.nan
        check(f"{op}_pool2d", x, *args, nan_policy="omit")


@pytest.mark.parametrize(
    ("op", "order"), slow_but([("max", "C"), ("min", "F")], [(op, o) for op in ("max", "min") for o in "CF"])
)
def test_whole_planes(op, order):
    for shape in [(3, 17, 19), (70, 7, 7), (3, 120, 130), (2, 5, 6, 7)]:
        for share in (0.5, 0.02):
            x = zeros(op, shape, share=share).copy(order)
            for axes in ((-2, -1), (0, 1), (0, 2), None):
                if axes or len(shape) < 4:
                    check(f"global_{op}_pool", x, axes=axes)


@pytest.mark.parametrize("order", "CF")
def test_windows_that_do_not_slide(order):
    for shape, size in [((3, 17, 19), (3, 5)), ((2, 40, 50), (7, 7)), ((70, 13, 13), 6), ((9, 30), (40, 3))]:
        check("adaptive_max_pool2d", zeros("max", shape).copy(order), size)
    x = zeros("max", (2, 3, 20, 21)).copy(order)
    samples = np.random.default_rng(2).random((2, 3, 2))
    check("fractional_max_pool2d", x, 2, output_size=(9, 8), random_samples=samples)


def test_long_windows():
    check("max_pool2d", zeros("max", (2, 50_000), share=1e-4), (2, 20_000), (1, 20_000))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_doubt_no_work(monkeypatch, dtype):
    """Zeros of one sign cost nothing but a look."""
    doubts, run = [], blocks.Plan.run
    monkeypatch.setattr(blocks.Plan, "run", lambda *a, **k: doubts.append(run(*a, **k)) or doubts[-1])
    x = -np.abs(array((4, 33, 70), dtype))
    for zero in (0.0, -0.0):
        made = np.where(np.random.default_rng(0).random(x.shape) < 0.5, zero, x).astype(dtype)
        for args in ((2,), (3, 2, 1), (3, 1, 1), (17, 1)):
            check("max_pool2d", made, *args)
    assert doubts == [False] * 8


def test_twins(run_python):
    run_python(
        """
        import numpy as np
        from test_zeros import zeros
        from numbapool.testing import check
        for fn, *args in ('max_pool2d', 2), ('max_pool2d', 3, 2, 1), ('max_pool2d', 9, 1, 4), ('global_max_pool',):
            check(fn, zeros('max', (2, 5, 19)), *args)
        check('max_pool2d', zeros('max', (2, 5, 19)).T, 2)
        there = np.arange(19) % 3 > 0
        check('max_pool2d', zeros('max', (2, 5, 19)), 2, where=there)
        """,
        NUMBA_DISABLE_JIT="1",
        NUMBAPOOL_NUM_THREADS="1",
    )
