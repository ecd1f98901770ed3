"""Windows with gaps that are done in columns, as those are which reach over millions of elements: here also short ones."""

import numpy as np
import pytest
from cases import array, forget_plans, slow_but

import numbapool as nbp
from numbapool import columns, windows
from numbapool.backends import divide, gaps, plans
from numbapool.testing import check, check_vjp

CALLS = [  # shape without leading axes, kernel, stride, padding, dilation
    ((61,), (5,), (1,), 0, (7,)),
    ((61,), (4,), (3,), ((20, 14),), (12,)),
    ((90,), (9,), (4,), ((9, 3),), (6,)),
    ((47,), (2,), (2,), ((5, 1),), (17,)),  # columns without one of the taps
    ((64,), (2,), (1,), 0, (32,)),
    ((64,), (3,), (5,), 0, (2,)),
    ((40, 9), (3, 3), (1, 2), 1, (9, 1)),
    ((5, 50), (2, 4), (2, 1), ((0, 1), (7, 12)), (1, 13)),
    ((9, 40, 6), (2, 3, 2), (1, 2, 1), 0, (4, 10, 2)),
]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Columns for all windows that have some; the requests that were carried out so."""
    filled, fill = [], gaps.fill

    def spy(request, *args):
        filled.append(request)
        return fill(request, *args)

    for module, names in (
        (plans, {"MOST_ROOM": 0}),
        (gaps, {"SIZE": 40, "fill": spy}),
        (divide, {"LONGEST": 10}),
    ):
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    forget_plans()
    yield filled
    forget_plans()


def test_columns():
    """They have every window, each with its elements, once."""
    rng = np.random.default_rng(0)
    done = 0
    for _ in range(2000):
        size, kernel, stride, dilation = (int(rng.integers(1, n)) for n in (60, 8, 9, 12))
        before, after = (int(n) for n in rng.integers(0, kernel * dilation, 2))
        try:
            w = windows.sliding(
                size,
                kernel,
                stride,
                before,
                after,
                dilation,
                bool(rng.random() < 0.5),
                bool(rng.random() < 0.5),
            )
        except ValueError:
            continue
        found, seen = columns.columns(w), np.zeros(w.count, int)
        done += bool(found)
        for some in found:
            for o, (start, stop, _, extent) in enumerate(some.windows.table):
                for m in range(some.number):
                    number = some.y + o * some.y_steps[0] + m * some.y_steps[1]
                    elements = some.x + np.arange(start, stop) * some.x_steps[0] + m * some.x_steps[1]
                    theirs = np.arange(*w.table[number, :2], w.step)
                    assert np.array_equal(elements, theirs)
                    assert extent == w.table[number, 3]
                    seen[number] += 1
        assert not found or np.all(seen == 1)
        assert columns.columns(w) is found
    assert done > 500


@pytest.mark.parametrize(
    ("op", "dtype"),
    slow_but(
        [("max", "float32"), ("avg", "float32"), ("lp", "float32")],
        [(op, t) for op in ("max", "min", "avg", "sum", "lp") for t in ("float32", "float64", "float16", "bfloat16", "uint8", "int64")],
    ),
)  # fmt: skip
def test_values(short, op, dtype):
    for spatial, kernel, stride, padding, dilation in CALLS:
        fn, n = f"{op}_pool{len(spatial)}d", len(spatial)
        args = (2.0, kernel, stride) if op == "lp" else (kernel, stride, padding)
        options = {"dilation": dilation}
        if op in ("lp", "avg", "sum"):
            options |= {"ceil_mode": True} if op == "avg" else {"padding": padding} if op == "lp" else {}
        for shape, axes in ((2, 3, *spatial), range(2, 2 + n)), ((*spatial, 5), range(n)):
            x = array(shape, dtype, "ties")
            if np.issubdtype(x.dtype, np.floating):
                x.reshape(-1)[::97] = np.nan
            given = options | {"axes": tuple(axes)}
            for masked in ({}, {"where": array(shape, "int32", "ties", seed=7) > -1}):
                check(fn, x, *args, **given, **masked)
                if op in ("max", "min"):
                    check(fn, x, *args, **given, **masked, return_indices=True)
            if op == "avg":
                check(fn, x, *args, **given, count_include_pad=False)
                check(fn, x, *args, **given, divisor_override=7)
                check(fn, x, *args, **given, weights=np.arange(x.size).reshape(shape) % 3)
    assert len(short) > len(CALLS)


@pytest.mark.parametrize("op", ["max", "avg", "sum", "lp"])
def test_gradients(short, op):
    for spatial, kernel, stride, padding, dilation in CALLS:
        fn, x = f"{op}_pool{len(spatial)}d", array((2, *spatial), kind="distinct")
        args = (2.0, kernel, stride) if op == "lp" else (kernel, stride, padding)
        masks = ({}, {"where": array(x.shape, "int32", "ties", seed=7) > -1})
        more = {"avg": [{"count_include_pad": False}], "sum": [{"weights": array((1, *spatial)) + 9}]}
        for given in (*masks, *more.get(op, ())):
            options = given | {"dilation": dilation}
            y = getattr(nbp, fn)(x, *args, **options)
            check_vjp(fn, x, args, options, array(y.shape, seed=1))
    assert len(short) > len(CALLS)
