"""Windows along W that are merged in registers: every width around whole vectors, every padding, rows cut into tiles."""

import numpy as np
import pytest
from cases import array, forget_plans, same_bits, slow_but

import numbapool as nbp
from numbapool import reductions
from numbapool.backends import forms, narrow_plans
from numbapool.kernels import build, primitives
from numbapool.testing import check, check_vjp

WINDOWS = [(2, 1), (3, 1), (5, 1), (7, 1), (2, 2), (3, 2)]
WIDTHS = [1, 2, 3, 5, 8, 15, 17, 18, 31, 32, 33, 34, 35, 48, 49, 50, 63, 64, 65, 129]


@pytest.fixture(autouse=True)
def small_planes_too(native, monkeypatch):
    """They have another kernel, if they are not too tall for it."""
    native(True)
    monkeypatch.setattr(narrow_plans, "fits", lambda *a: False)
    forget_plans()
    yield
    forget_plans()


def given(dtype, *shape):
    """Zeros of both signs and a few that are not finite, where there are such."""
    x = array(shape, dtype)
    if np.dtype(dtype).kind == "f":
        spots = np.random.default_rng(3).random(shape)
        x[spots < 0.2] = 0
        x[spots < 0.1] = -0.0
        x[spots > 0.97] = np.inf
        x[spots > 0.98] = np.nan
    return x


@pytest.mark.parametrize(
    "op, dtype, indices",
    [("max", "f4", False), ("max", "f4", True), ("min", "u1", False), ("avg", "f4", False), ("avg", "u1", False), ("max", "f2", False)],
)  # fmt: skip
@pytest.mark.parametrize("kernel, stride", WINDOWS)
def test_widths(op, dtype, indices, kernel, stride):
    options = {"return_indices": True} if indices else {}
    for width in WIDTHS:
        for padding in range(kernel // 2 + 1):
            if width + 2 * padding >= kernel:
                for ceil in (False, True):
                    x = given(dtype, 2, 5, width)
                    args = (3, kernel), (2, stride), (1, padding)
                    check(f"{op}_pool2d", x, *args, **options, ceil_mode=ceil)
    if primitives.masks(np.dtype(dtype).itemsize):
        assert any(f"{op}_fused_{np.dtype(dtype).name}" in k.name for k in build.kernels())


MEANS = [
    ("u1", "u1"),
    ("i1", "i1"),
    ("?", "u2"),
    ("u1", "u2"),
    ("i1", "i2"),
    ("?", "i1"),
    ("?", "u1"),
    ("u1", "f4"),
]


@pytest.mark.parametrize("dtype, y", slow_but(MEANS[:3], MEANS))
def test_means_of_bytes(dtype, y):
    """As integers they are made by integers: half to even, of the greatest sums as well."""
    rng = np.random.default_rng(7)
    low, high = (0, 1) if dtype == "?" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for kernel in [(2, 2), (1, 2), (3, 3), (4, 3), (5, 5), (7, 7), (18, 7)]:
        few = rng.choice([low, high, high - 1], (2, 40, 133))
        for x in (
            few,
            rng.integers(low, high + 1, (1, 31, 70)),
            np.full((20, 33), low),
            np.full((20, 33), high),
        ):
            for stride in (1, 2):
                mean = nbp.avg_pool2d(x.astype("f8"), kernel, stride)
                expected = np.rint(mean) if np.dtype(y).kind != "f" else mean.astype(y)
                np.testing.assert_array_equal(
                    nbp.avg_pool2d(x.astype(dtype), kernel, stride, dtype=y), expected
                )
    if y == "u1" and dtype == "u1" and primitives.masks(1):
        assert any("avg_fused_uint8_int16_uint8_by_int16" in k.name for k in build.kernels())


@pytest.mark.parametrize("below", [0, 128])
def test_divisors_by_count(below):
    """Every sum of bytes there is, over every number of them, rounded by the bits that the kernels unpack."""
    for n in range(1, 129):
        packed = int(reductions.counts_packed(np.array([n]), below)[0])
        share, places, more = packed >> 16 & 0xFFFF, packed >> 32 & 0xFFFF, packed >> 48
        total = np.arange(255 * n + 1) - below * n + more
        mean = (total * share >> 16) >> places
        mean -= ((mean * n == total) & (n % 2 == 0)) * (mean & 1)
        assert total.min() >= 0 and total.max() < 1 << 16
        np.testing.assert_array_equal(mean, np.rint(np.arange(255 * n + 1) / n))


@pytest.mark.parametrize("kernel, stride", WINDOWS)
def test_tiles(kernel, stride):
    """The first windows of a tile begin within x."""
    for padding in {0, kernel // 2}:
        x = given("f4", 3, 20011)
        check("max_pool1d", x, kernel, stride, padding)
        check("max_pool2d", x, (2, kernel), (1, stride), (0, padding))


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("kernel", [2, 3, 5, 7])
def test_two_rows_at_once(op, kernel):
    """Which have all rows of x in common but two: any number of rows, tall windows and flat ones, rows further apart, and where they begin."""
    for height in range(1, 9):
        for tall, padding, dilation in (
            (1, 0, 1),
            (2, 1, 1),
            (3, 0, 1),
            (4, 2, 1),
            (5, 2, 1),
            (7, 3, 1),
            (3, 2, 2),
        ):
            if height + 2 * padding > (tall - 1) * dilation:
                for width in (kernel, 18, 35, 48):
                    x = given("f4", 2, height, width)
                    check(
                        f"{op}_pool2d",
                        x,
                        (tall, kernel),
                        1,
                        (padding, kernel // 2),
                        *[(dilation, 1)] * (op == "max"),
                    )
    for stride in (2, 3):  # as far apart as dilated taps
        check("max_pool2d", given("f4", 2, 23, 40), (3, kernel), (stride, 1), (stride, 0), (stride, 1))


@pytest.mark.parametrize("op", ["max", "avg"])
def test_two_rows_at_once_of_uneven_windows(op):
    """Neighbours of one row each, which look alike, have none in common."""
    for height in 1, 4, 7, 8, 13:
        for size in 1, 4, 6, 10, 14, 29:
            check(f"adaptive_{op}_pool2d", given("f4", 2, height, 40), (size, 39))
    check(f"adaptive_{op}_pool3d", given("f4", 3, 8, 40), (2, 10, 38), axes=(0, 1, 2))


def test_of_two_rows_at_once_the_first_zero_counts():
    """In either of the rows, before or behind the first vector."""
    for row in range(7):
        for column in (0, 1, 20, 39):
            x = np.full((1, 7, 40), -1, "f4")
            x[0, row, column] = -0.0
            x[0, row, min(column + 1, 39)] = 0.0
            x[0, min(row + 1, 6), max(column - 1, 0)] = 0.0
            for kernel in 3, 5, 7:
                check("max_pool2d", x, kernel, 1, kernel // 2)


def test_three_axes_and_orders():
    """Tall windows, of several planes, of an array in any order."""
    for shape, args in (
        ((4, 9, 37), ((2, 6, 3), (1, 1, 2), (1, 3, 1))),
        ((3, 12, 50), ((3, 7, 5), 1, (0, 2, 2))),
    ):
        for order in ((0, 1, 2), (1, 0, 2), (2, 1, 0)):
            x = given("f4", *shape).transpose(order).copy().transpose(np.argsort(order))
            check("max_pool3d", x[None], *args)


def test_many_planes_of_few_rows():
    """Several planes are an item of work."""
    for shape, args in [((3001, 18), (2, 2)), ((999, 40), (3, 2, 1)), ((40, 7, 100), (5, 1, 2))]:
        check("max_pool1d", given("f4", *shape), *args)
    for shape, args in [
        ((700, 2, 20), (2, 2)),
        ((500, 5, 20), (3, 2, 1)),
        ((90, 3, 11, 33), ((4, 3), (3, 1), 1)),
    ]:
        check("max_pool2d", given("f4", *shape), *args, return_indices=True)
        check("max_pool2d", given("f4", *shape), *args)


def test_gradients_of_means():
    """Where the stride is 1 the gradient of a mean is a mean of dy, whose windows reach over its ends."""
    for width in 17, 32, 40:
        x = array((2, 9, width))
        for kernel, padding in (2, 0), (2, 1), (3, 0), (3, 1):
            args = (2, kernel), 1, (0, padding)
            y = nbp.avg_pool2d(x, *args)
            check_vjp("avg_pool2d", x, args, {}, array(y.shape, seed=1))


def _rows_way(call, monkeypatch):
    """The same call where nothing beside x is found from addresses."""
    with monkeypatch.context() as patch:
        patch.setattr(forms, "_are_alike", lambda *a: False)
        forget_plans()
        result = call()
    forget_plans()
    return result


@pytest.mark.parametrize("dtype", slow_but(["f4", "u1"], ["f4", "u1", "f2", "f8"]))
@pytest.mark.parametrize("kernel, stride", WINDOWS)
def test_masks_and_weights(kernel, stride, dtype, monkeypatch):
    """Beside planes, rows and arrays, and of fewer axes than x; in every order of memory."""
    random = np.random.default_rng(5)
    shape = 3, 2, 5, 35
    x = given(dtype, *shape)
    for beside in ((5, 35), shape, (1, 2, 5, 35), (3, 1, 5, 35), (35,), (5, 1)):
        there, weights = random.random(beside) > 0.3, random.integers(0, 5, beside).astype("f4")
        for op, options in (
            ("max", {"where": there}),
            ("sum", {"where": there}),
            ("avg", {"where": there, "nan_policy": "omit"}),
            ("avg", {"weights": weights.astype("u1")}),
            ("avg", {"weights": weights, "where": there}),
        ):
            args = (2, kernel), (1, stride), (0, kernel // 2)

            def call(x=x, args=args, op=op, options=options):
                return getattr(nbp, f"{op}_pool2d")(x, *args, **options)

            assert same_bits(call(), _rows_way(call, monkeypatch)), (op, beside, sorted(options))
    check("avg_pool2d", x, *args, where=there, weights=weights)


def test_masks_in_other_orders_of_memory():
    x, there = given("f4", 4, 6, 40), np.random.default_rng(0).random((4, 6, 40)) > 0.3
    ways = [
        lambda a: a,
        lambda a: a[:, ::-1],
        lambda a: a[:, ::2],
        lambda a: a[..., 3:-2],
        lambda a: a[..., ::2],
    ]
    for order in ((0, 1, 2), (1, 0, 2), (2, 1, 0)):
        of_x = x.transpose(order).copy().transpose(np.argsort(order))
        for way in ways:
            for mask in (way(there), way(there).copy(), way(np.asfortranarray(there))):
                for op in "max", "avg":
                    check(f"{op}_pool2d", way(of_x), 2, 1, 1, where=mask)
                    check(f"{op}_pool2d", way(of_x), 3, 2, 1, where=mask, nan_policy="omit")


@pytest.mark.skipif(not primitives.masks(4), reason="this machine masks no lanes")
def test_what_is_alike_is_found_from_addresses(monkeypatch):
    """A mask of x's planes, whatever it is broadcast over; not one that lies otherwise, and not beside keys."""
    seen = []
    make = build.kernel
    monkeypatch.setattr(build, "kernel", lambda t, b, name: seen.append(name) or make(t, b, name))
    x = np.arange(1, 481, dtype="f4").reshape(3, 4, 40)  # without zeros, which may take a second kernel
    for mask, fused in (
        (np.ones((4, 40), bool), True),
        (np.ones((3, 4, 40), bool), True),
        (np.ones((3, 1, 1), bool), False),
        (np.ones((40, 4), bool).T, False),
        (np.ones((4, 80), bool)[:, ::2], False),
    ):
        seen.clear()
        nbp.max_pool2d(x, 2, where=mask)
        assert [("fused" in name) for name in seen] == [fused]
    seen.clear()
    nbp.max_pool2d(x, 2, where=np.ones((4, 40), bool), return_indices=True)
    assert not any("fused" in name for name in seen)


@pytest.mark.parametrize(
    "names", [("f4", "f2", 2, 1), ("f2", "f4", 1, 2), ("f4", "f8", 2, 4), ("f4", "f4", 2, 2)]
)
def test_rows_that_are_not_whole_elements_apart(names):
    """Fields of records: their strides are in proportion, though no multiples of their elements' sizes."""
    of_x, of_weights, more_x, more_weights = names
    random = np.random.default_rng(1)
    x = np.zeros(6, [("a", of_x, (40,)), ("rest", "u1", (more_x,))])["a"]
    weights = np.zeros(6, [("a", of_weights, (40,)), ("rest", "u1", (more_weights,))])["a"]
    there = np.zeros((6, 81), bool)[:, :40]
    x[...], weights[...], there[...] = (
        random.integers(1, 9, x.shape),
        random.integers(1, 5, x.shape),
        random.random(x.shape) > 0.3,
    )
    check("sum_pool2d", x, 3, 1, 1, weights=weights)
    check("avg_pool2d", x, 2, weights=weights, where=there)
    check("max_pool2d", x, 3, 2, 1, where=there)


def test_masks_of_many_columns():
    """Several tiles of a row, on two threads."""
    x = given("f4", 4, 9, 20011)
    there = np.random.default_rng(0).random((9, 20011)) > 0.3
    with nbp.options(num_threads=2):
        for op, args in (("max", (3, 2, 1)), ("avg", (2,)), ("sum", (5, 1, 2))):
            check(f"{op}_pool2d", x, *args, where=there)
            check(f"{op}_pool2d", x[..., 17:], *args, where=there[:, 17:])


@pytest.mark.parametrize("dtype", slow_but(["f4", "u1"], ["f4", "u1", "f2", "f8", "i8"]))
def test_small_windows_beside_an_inner_axis(dtype, monkeypatch):
    """Their columns are merged as rows are, of inner elements that are whole vectors or not; the signs of zeros among them."""
    apart = []
    plain = forms.inner_as_columns
    monkeypatch.setattr(forms, "inner_as_columns", lambda view: apart.append(1) or plain(view))
    least = forms.INNER_LEAST // np.dtype(dtype).itemsize
    windows = [(2,), (3,), ((1, 2),), (2, 3), ((3, 2), (1, 2)), ((2, 3), (3, 4)), (4,), ((3, 4), 4), ((5, 3),), ((7, 2),), ((13, 1), 1), ((11, 1), 1), (3, 2, 1), ((1, 5), (1, 2), (0, 2)), ((1, 8), 1), (2, 1), (4, 2, 1), (5, 3, 2), (2, 2, 1, 1, True), (3, 3, 1, 1, True), (2, 2, (0, 1))]  # fmt: skip
    for inner in least, least + 1, 2 * least + 7, 5 * least - 3:
        x = given(dtype, 2, 14, 13, inner)
        for window in windows:
            check("max_pool2d", x, *window, axes=(1, 2))
            check("min_pool2d", x, *window, axes=(2, 1))
            check("avg_pool2d", x, *window[:3], axes=(1, 2))
        check("max_pool1d", x, 3, axes=1)
    assert len(apart) >= 4 * 2 * len(windows)
    x = given(dtype, 14, 13, 14, 3 * least)
    for window in windows:
        check("max_pool2d", x, *window, axes=(0, 2))
        check("max_pool2d", x[:, :, :, ::2], *window, axes=(0, 1))
        out = np.zeros((2 * x.shape[0], *x.shape[1:]), x.dtype)[::2]
        y = check("max_pool2d", x, *window, axes=(1, 2))
        out = out[: y.shape[0], : y.shape[1], : y.shape[2]]
        assert same_bits(nbp.max_pool2d(x, *window, axes=(1, 2), out=out), y)


@pytest.mark.parametrize("op", ["max", "avg", "sum"])
def test_dilated_windows_beside_an_inner_axis(op):
    """Those that are no further apart than their elements overlap, and in other orders of axes windows along H may."""
    x = given("f4", 18, 20, 128)
    x[~np.isfinite(x)] = 3
    for window in (
        (2, 2),
        (2, 3),
        (3, 2),
        (3, 5),
        (2, 1),
        (1, 2),
        ((3, 1), (1, 2)),
        ((1, 3), (2, 1)),
        ((3, 1), (2, 2)),
        ((4, 2), (1, 4)),
    ):
        for dilation in 1, 2, 3, (2, 1), (1, 2):
            options = {"dilation": dilation, "axes": (0, 1)}
            check(f"{op}_pool2d", x, *window, **options)
            check(f"{op}_pool2d", x.transpose(1, 0, 2), *window, **options)
            if not isinstance(window[0], tuple) and not isinstance(dilation, tuple):
                check(f"{op}_pool1d", x, *window, dilation=dilation, axes=0)
                check(f"{op}_pool1d", x, *window, dilation=dilation, axes=1)


def test_zeros_of_both_signs_side_by_side():
    x = np.zeros((9, 8, 130), np.float32)
    x[::2, 1::2, ::3] = -0.0
    x[1, :, 5], x[3, 3, 7], x[4, 4, 9] = np.nan, np.inf, -np.inf
    for window in (2,), (3,), ((1, 2),), ((2, 3), (1, 3)):
        check("max_pool2d", x, *window, axes=(0, 1))
        check("min_pool2d", x, *window, axes=(0, 1))
        check("max_pool2d", x, *window, axes=(0, 1), nan_policy="omit")
        check("max_pool2d", x, *window, axes=(0, 1), return_indices=True)
