"""Backward: every operation, case and floating dtype against the reference and central differences."""

import numpy as np
import pytest
from cases import ALL, FLOATS, KERNEL_PATHS, OPS, Case, array, dtype_of, forget_plans, parametrize, same_bits

import numbapool as nbp
from numbapool.backends import gradient_plans, narrow_plans, phase_plans, plans, run_plans
from numbapool.kernels import block, build
from numbapool.reductions import AVG
from numbapool.testing import check_vjp, gradcheck, reference, reference_vjp
from numbapool.windows import sliding


def _dy(op, case, dtype, kind="ties", seed=1):
    shape = reference(case.function(op), np.zeros(case.shape, bool), **case.options(op)).shape
    return array(shape, dtype, kind, seed=seed)


@parametrize(ALL)
def test_float32(op, case):
    kinds = ("any", "ties") if op in ("max", "min") else ("any",)
    for kind in kinds:
        check_vjp(
            case.function(op),
            array(case.shape, kind=kind),
            (),
            case.options(op),
            _dy(op, case, "float32", "any"),
        )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", OPS)
def test_dtype(op, dtype):
    for case in KERNEL_PATHS:
        for kind in ("any", "ties"):
            x, dy = array(case.shape, dtype, kind), _dy(op, case, dtype, "ties")
            y, _ = check_vjp(case.function(op), x, (), case.options(op), dy)
            assert same_bits(y, getattr(nbp, case.function(op))(x, **case.options(op)))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(
    "options",
    [
        (2, 2, 0),
        (2, 1, 0),
        (3, 1, 1),
        (3, 2, 1),
        (3, 3, 1),
        (9, 2, 4),
        ((1, 13), 1, (0, 6)),
        ((3, 17), 1, (1, 8)),
        (3, 2, 2, 2),
    ],
    ids=lambda o: "-".join(map(str, o)).replace(" ", ""),
)
def test_every_width(op, options):
    kernel, stride, padding, dilation = (*options, 1)[:4]
    for width in range(1, 71):
        if width + 2 * (padding if isinstance(padding, int) else padding[1]) < 5:
            continue
        case = Case(2, (2, 9, width), kernel, stride, padding, dilation, ceil=width % 2 == 1)
        check_vjp(case.function(op), array(case.shape), (), case.options(op), _dy(op, case, "float32"))


@pytest.mark.parametrize("op", OPS)
def test_every_channel_count(op):
    for channels in range(1, 41):
        for options in ((2,), (3, 2, 1), (3, 1, 1)):
            case = Case(2, (1, 5, 7, channels), *options, axes=(1, 2))
            check_vjp(case.function(op), array(case.shape), (), case.options(op), _dy(op, case, "float32"))


@parametrize(
    [
        Case(2, (2, 5, 6), 2), Case(2, (1, 6, 7), 3, 2, 1),
        Case(2, (1, 6, 7), 3, 1, ((1, 0), (0, 2)), include=False),
        Case(2, (1, 7, 6), 3, 2, 2, 2, ceil=True), Case(2, (4, 5, 3), 2, 1, "same", axes=(0, 1)),
        Case(1, (9,), 3, 2, ceil=True),
        Case(3, (3, 4, 5), 2, 1, 1), Case(2, (1, 4, 20), 17, 1, 8), Case(2, (4, 5), 2, 1, divisor=-3),
    ]
)  # fmt: skip
def test_central_differences(op, case):
    gradcheck(getattr(nbp, case.function(op)), array(case.shape, "float64", "distinct"), **case.options(op))


@pytest.mark.parametrize(
    ("op", "source", "result"),
    [
        ("avg", "float16", "float32"), ("avg", "float32", "float64"), ("avg", "float64", "float32"),
        ("avg", "bfloat16", "float32"), ("sum", "float32", "float16"), ("sum", "float32", "float64"),
    ],
)  # fmt: skip
def test_result_dtype(op, source, result):
    x = array((2, 7, 21), source, "ties")
    y, _ = check_vjp(
        f"{op}_pool2d", x, (3, 2, 1), {"dtype": dtype_of(result)}, array((2, 4, 11), result, "ties")
    )
    assert y.dtype == dtype_of(result)


@pytest.mark.parametrize("op", OPS)
def test_pullback_again_and_again(op):
    x = array((2, 9, 33))
    y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), x, 3, 2, 1)
    dy = array(y.shape, seed=1)
    first = pullback(dy)
    assert same_bits(pullback(dy), first)
    other = pullback(-2 * dy)
    assert np.array_equal(other, -2 * first)
    assert not np.shares_memory(first, other)
    assert same_bits(pullback(dy=dy), first)


@pytest.mark.parametrize("op", OPS)
def test_pullback_does_not_look_at_what_happened_later(op):
    x = array((2, 9, 33), kind="distinct")
    y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), x, 3, 2, 1)
    dy = array(y.shape, seed=1)
    first = pullback(dy)
    x[...] = 0
    y[...] = 0
    assert same_bits(pullback(dy), first)


@pytest.mark.parametrize("fn", ["max_pool2d", "min_pool2d"])
@pytest.mark.parametrize("kernel", [3, 17])
def test_with_indices(fn, kernel):
    x = array((2, 20, 33), kind="ties")
    (y, index), pullback = nbp.vjp(getattr(nbp, fn), x, kernel, 2, 1, return_indices=True)
    want = getattr(nbp, fn)(x, kernel, 2, 1, return_indices=True)
    assert same_bits(y, want[0])
    assert same_bits(index, want[1])
    dy = array(y.shape, seed=1)
    dx = pullback(dy)
    assert same_bits(dx, nbp.vjp(getattr(nbp, fn), x, kernel, 2, 1)[1](dy))
    index[...] = -1
    assert same_bits(pullback(dy), dx)


_LAYOUTS = {
    "fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 3, -1)[::2, ..., ::3],
    "readonly": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize("op", OPS)
def test_layout_of_dy(op, layout):
    for x, args, kwargs in [
        (array((2, 3, 9, 33)), (3, 2, 1), {}),
        (array((2, 9, 33, 5)), (3, 2, 1), {"axes": (1, 2)}),
        (np.asfortranarray(array((4, 3, 9, 11))), (2, 1), {}),
        (array((2, 5, 5)), (2,), {}),
    ]:
        y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), x, *args, **kwargs)
        dy = array(y.shape, kind="ties", seed=1)
        assert same_bits(pullback(_LAYOUTS[layout](dy)), pullback(dy))


@pytest.mark.parametrize("op", OPS)
def test_broadcast_dy(op):
    y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), array((2, 9, 33)), 3, 2, 1)
    for small in (np.float32(2), array((17,), kind="ties"), array((2, 1, 1), kind="ties")):
        broadcast = np.broadcast_to(small, y.shape)
        assert same_bits(pullback(broadcast), pullback(broadcast.copy()))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("op", OPS)
def test_dtype_of_dy(op, dtype):
    y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), array((2, 9, 33)), 3, 2, 1)
    dy = array(y.shape, dtype, "ties")
    dx = pullback(dy)
    assert dx.dtype == np.float32
    assert same_bits(dx, pullback(dy.astype(np.float32)))


@pytest.mark.parametrize("op", OPS)
def test_layout_of_dx_follows_x(op):
    c = array((2, 3, 6, 8))
    for x in (c, np.asfortranarray(c), c.transpose(0, 3, 1, 2), c[:, ::-1, ::2], c.transpose(1, 0, 3, 2)):
        y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), x, 2)
        dy = array(y.shape, kind="ties")
        dx = pullback(dy)
        assert dx.strides == np.empty_like(x).strides
        assert type(dx) is np.ndarray
        np.testing.assert_array_equal(dx, pullback(dy.copy()))
        np.testing.assert_array_equal(dx, reference_vjp(f"{op}_pool2d", x, (2,), {}, dy))


@pytest.mark.parametrize("op", OPS)
def test_layout_of_x(op):
    base = array((2, 3, 8, 34), kind="distinct")
    dy = array((2, 3, 4, 17), kind="ties")
    want = reference_vjp(f"{op}_pool2d", base, (3, 2, 1), {}, dy)
    for layout in ("fortran", "reversed", "strided", "readonly", "swapped", "unaligned", "list"):
        x = _LAYOUTS[layout](base)
        dx = nbp.vjp(getattr(nbp, f"{op}_pool2d"), x, 3, 2, 1)[1](dy)
        assert dx.dtype == (np.float64 if layout == "list" else np.float32)
        assert dx.dtype.isnative
        np.testing.assert_allclose(dx, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("op", OPS)
def test_empty_batch(op):
    for shape in ((0, 5, 6), (2, 0, 5, 6)):
        y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), np.ones(shape, np.float32), 2)
        dx = pullback(np.ones(y.shape))
        assert (dx.shape, dx.dtype) == (shape, np.float32)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", OPS)
def test_same_bits_with_any_number_of_threads(op, dtype):
    for case in [
        *KERNEL_PATHS, Case(2, (3, 130, 140), 3, 2, 1), Case(2, (130, 140), 31, 1, 15),
        Case(2, (301, 40, 7), 3, axes=(0, 1)),
        Case(2, (130, 140), 5, 7), Case(1, (3000,), 5, 1, 2), Case(2, (130, 7), (100, 3), 1),
    ]:  # fmt: skip
        x, dy = array(case.shape, dtype, "ties"), _dy(op, case, dtype, "any")
        results = []
        for threads in (1, 2, 2):
            with nbp.options(num_threads=threads, parallel_threshold=0):
                results.append(nbp.vjp(getattr(nbp, case.function(op)), x, **case.options(op))[1](dy))
        assert same_bits(results[0], results[1])
        assert same_bits(results[1], results[2])


@pytest.mark.parametrize("fn", ["max_pool2d", "avg_pool2d"])
def test_special_dy(fn):
    x = array((1, 9, 40), kind="distinct")
    for special in (np.nan, np.inf, -np.inf):
        dy = np.ones((1, 9, 40), np.float32)
        dy[0, 4, 20] = special
        want = reference_vjp(fn, x, (3, 1, 1), {}, dy)
        got = nbp.vjp(getattr(nbp, fn), x, 3, 1, 1)[1](dy)
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
        np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("op", OPS)
def test_integers_have_no_gradient(op):
    for dtype in ("bool", "uint8", "int64"):
        with pytest.raises(TypeError, match=r"\bx\b"):
            nbp.vjp(getattr(nbp, f"{op}_pool2d"), np.ones((4, 4), dtype), 2)


@pytest.mark.parametrize("op", ["avg", "sum"])
def test_one_large_window_and_what_it_leaves(op):
    """Elements behind the last window have no gradient, however the rows of windows are merged."""
    for shape, kernel, stride, padding in (((10, 10), 8, None, 0), ((9, 91), (4, 86), (1, 86), ((0, 0), (26, 42))), ((2, 30), (1, 17), 20, 0)):  # fmt: skip
        options = {"kernel_size": kernel, "stride": stride, "padding": padding}
        y = getattr(nbp, f"{op}_pool2d")(np.ones(shape, "f4"), **options)
        check_vjp(f"{op}_pool2d", array(shape), (), options, array(y.shape, seed=1))


def test_rows_of_a_plane_go_together_only_where_the_kernel_does_so(native):
    native(False)

    def plan(shape, *kernels):
        x = np.zeros(shape, "f4")
        windows = tuple(
            sliding(n, k, 1, k // 2, k // 2, 1, False, True) for n, k in zip(shape[2:], kernels, strict=True)
        )
        args = plans.forward(
            AVG, shape, x.strides, "float32", (2, 3), windows, None, None, x.strides, None, None
        ).args
        return tuple(int(args[block.INDEX[n]]) for n in ("GROUP", "ROWS"))

    assert plan((8, 64, 35, 35), 3, 3) == (1, 13)  # rows of one plane, in the order of memory
    group, rows = plan((8, 64, 7, 7), 3, 3)  # rows of several planes
    assert group > 8 and rows == 1
    for kernels in (3, 9), (9, 9):
        group, rows = plan((8, 64, 35, 35), *kernels)
        assert group > 8 and rows == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_ways_of_selecting_give_the_same_bits(dtype, native, monkeypatch):
    """In order, in registers, along an inner axis, by phases, by scattering: how a gradient is gathered does not show, where sums are exact."""
    native(True)
    never = (
        [(narrow_plans, "fits_flat")]
        + [(p, "fits") for p in (narrow_plans, run_plans, phase_plans)]
        + [(gradient_plans, "_is_onehot")]
    )
    for shape, window, axes in (
        ((5, 3, 7, 7), (3, 2, 1), (-2, -1)),
        ((5, 3, 7, 7), (2, 1), (-2, -1)),
        ((5, 3, 9, 9), (3, 2), (-2, -1)),
        ((5, 3, 13, 4), (5, 3, 2), (-2, -1)),
        ((5, 4, 4, 3), (3, 2, 1), (1, 2)),
        ((2, 3, 7, 7), (7,), (-2, -1)),
        ((3, 6, 12), (4, 3, 2), (-2, -1)),
        ((2, 7, 9, 70), (3, 2, 1), (1, 2)),
        ((2, 7, 9, 35), (3, 1, 2, 2), (1, 2)),
        ((2, 7, 9, 17), (6, 1, 3), (1, 2)),
    ):
        y, pullback = nbp.vjp(nbp.max_pool2d, array(shape, dtype, "ties"), *window, axes=axes)
        dy = np.rint(8 * array(y.shape, dtype, seed=1))
        dy.flat[::3] = -0.0
        results = []
        with monkeypatch.context() as patch:
            for without in (None, *never):
                if without is not None:
                    patch.setattr(*without, lambda *args: False)
                forget_plans()
                results.append(pullback(dy))
        assert all(same_bits(other, results[0]) for other in results[1:])
    forget_plans()
    ways = {k.name.split("_")[1] for k in build.kernels() if k.name.startswith("any_")}
    assert ways >= {"onehot", "chosen", "runs", "phases", "scatter"}


@pytest.mark.parametrize("axes", [(-2, -1), (0, 1), (1, 2)])
def test_means_of_windows_longer_than_there_are_of_them(axes):
    """Side by side, the transposed windows of few long ones are short."""
    x = array((9, 11, 8))
    sizes = [x.shape[a] for a in axes]
    for away in (0, 0), (0, 3), (2, 0), (1, 1), (4, 3), (6, 6):
        kernel = tuple(max(n - a, 1) for n, a in zip(sizes, away, strict=True))
        for options in {}, {"count_include_pad": False}:
            for args in (kernel, 1), (kernel, 1, tuple(k // 2 for k in kernel)), (kernel,):
                dy = array(nbp.avg_pool2d(x, *args, axes=axes, **options).shape, seed=1)
                check_vjp("avg_pool2d", x, args, {"axes": axes, **options}, dy)
