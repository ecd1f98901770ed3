"""Inputs of every memory layout, results in the order of x, and `out` of any strides."""

import mmap

import numpy as np
import pytest
from cases import EACH, FUNCTIONS, KERNEL_PATHS, OPS, Case, array, dtype_of, same_bits

import numbapool as nbp
from numbapool.testing import bounds, check, reference


def _field(a):
    """The array as a packed field of records: neither contiguous nor aligned."""
    records = np.zeros(a.shape, np.dtype([("pad", "u1"), ("value", a.dtype)]))
    records["value"] = a
    return records["value"]


def _strided(a, *steps):
    """The array as a view of every step-th element of a larger one, full of something else."""
    steps = (1,) * (a.ndim - len(steps)) + steps
    large = np.full([s * abs(step) for s, step in zip(a.shape, steps, strict=True)], 99, a.dtype)
    view = large[tuple(slice(None, None, step) for step in steps)]
    view[...] = a
    return view


def _shifted(a):
    buffer = np.zeros(a.nbytes + 1, np.uint8)
    shifted = buffer[1:].view(a.dtype).reshape(a.shape)
    shifted[...] = a
    return shifted


def _anonymous_map(a):
    memory = mmap.mmap(-1, max(a.nbytes, 1))
    mapped = np.frombuffer(memory, a.dtype, a.size).reshape(a.shape)
    mapped[...] = a
    return mapped


def _readonly(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "fortran": np.asfortranarray,
    "transposed": lambda a: a.swapaxes(0, -1).copy().swapaxes(0, -1),
    "last_two_swapped": lambda a: a.swapaxes(-1, -2).copy().swapaxes(-1, -2) if a.ndim > 1 else a,
    "middle_last": lambda a: np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) if a.ndim > 2 else a[:],
    "step_2": lambda a: _strided(a, 2),
    "step_3_2": lambda a: _strided(a, 3, 2) if a.ndim > 1 else _strided(a, 3),
    "batch_step": lambda a: _strided(a, *(2,) + (1,) * (a.ndim - 1)),
    "reversed": lambda a: _strided(a, -1),
    "all_reversed": lambda a: _strided(a, *(-1,) * a.ndim),
    "step_minus_2": lambda a: _strided(a, -3, -2) if a.ndim > 1 else _strided(a, -2),
    "padded_rows": lambda a: np.concatenate([a, a], -1)[..., : a.shape[-1]],
    "unaligned": _shifted,
    "field": _field,
    "readonly": _readonly,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "swapped_strided": lambda a: _strided(a.astype(a.dtype.newbyteorder()), 2),
    "swapped_unaligned": lambda a: _shifted(a.astype(a.dtype.newbyteorder())),
    "mmap": _anonymous_map,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("op", OPS)
def test_layout(op, layout):
    for case in KERNEL_PATHS:
        x = array(case.shape, kind="ties" if op in ("max", "min") else "any")
        view = LAYOUTS[layout](x)
        assert np.array_equal(view, x)
        y = check(case.function(op), view, **case.options(op))
        if op in ("max", "min"):  # sums are taken in the order of memory
            assert same_bits(y, getattr(nbp, case.function(op))(x, **case.options(op)))
        if op in ("max", "min"):
            check(case.function(op), view, **case.options(op), return_indices=True)


@pytest.mark.parametrize(("op", "dtype"), EACH)
def test_layout_and_dtype(op, dtype):
    for layout in ("fortran", "step_3_2", "reversed", "field", "swapped"):
        if dtype == "bfloat16" and layout in ("swapped", "field"):
            continue  # ml_dtypes has no other byte order
        for case in (KERNEL_PATHS[0], KERNEL_PATHS[2], KERNEL_PATHS[10]):
            view = LAYOUTS[layout](array(case.shape, dtype, "ties"))
            assert check(case.function(op), view, **case.options(op)).dtype.isnative


@pytest.mark.parametrize("op", OPS)
def test_broadcast_input(op):
    row = array((1, 1, 40))
    for x in (
        np.broadcast_to(row, (3, 9, 40)),
        np.broadcast_to(np.float32(2.5), (9, 40)),
        np.broadcast_to(row.T, (40, 9, 20)),
    ):
        check(f"{op}_pool2d", x, 3, 2, 1)
        check(f"{op}_pool2d", x, 17 if min(x.shape[-2:]) > 17 else 9, 1)


@pytest.mark.parametrize("op", OPS)
def test_sliding_window_view_of_overlapping_memory(op):
    signal = array((100,))
    windows = np.lib.stride_tricks.sliding_window_view(signal, 41)
    check(f"{op}_pool2d", windows, 3, 2, 1)
    check(f"{op}_pool1d", windows, 5, axes=0)


def test_memmap(tmp_path):
    x = array((2, 9, 40))
    x.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", np.float32, "r", shape=x.shape)
    for op in OPS:
        y = check(f"{op}_pool2d", mapped, 3, 2, 1)
        assert type(y) is np.ndarray
    result = np.memmap(tmp_path / "y.bin", np.float32, "w+", shape=(2, 5, 20))
    assert nbp.max_pool2d(mapped, 3, 2, 1, out=result) is result
    result.flush()
    assert np.array_equal(
        np.fromfile(tmp_path / "y.bin", np.float32), reference("max_pool2d", x, 3, 2, 1).ravel()
    )


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_subclasses_come_back_as_ndarray():
    class Tagged(np.ndarray):
        pass

    x = array((6, 8))
    for y in (
        nbp.max_pool2d(x.view(Tagged), 2),
        nbp.avg_pool2d(np.asmatrix(x), 2),
        nbp.sum_pool2d(x.view(np.recarray), 2),
    ):
        assert type(y) is np.ndarray
    y, index = nbp.max_pool2d(x.view(Tagged), 2, return_indices=True)
    assert type(y) is type(index) is np.ndarray
    y, pullback = nbp.vjp(nbp.max_pool2d, x.view(Tagged), 2)
    assert type(y) is type(pullback(np.ones((3, 4)).view(Tagged))) is np.ndarray


def test_lists_and_tuples():
    assert same_bits(nbp.max_pool2d([[1, 2], [3, 4]], 2), np.array([[4]]))
    assert same_bits(nbp.max_pool1d((1.5, 2.5, 0.0), 2, 1), np.array([2.5, 2.5]))
    assert same_bits(nbp.avg_pool1d([True, False], 2), np.array([0.5]))
    assert same_bits(nbp.sum_pool1d(range(4), 2), np.array([1, 5]))
    assert same_bits(nbp.min_pool1d([np.float32(3), np.float32(2)], 2), np.array([2], np.float32))


# ---------------------------------------------------------------------------------------- order of the result


def _orders():
    c = array((2, 3, 6, 8))
    return {
        "C": c,
        "F": np.asfortranarray(c),
        "channels_last": np.moveaxis(np.ascontiguousarray(np.moveaxis(c, 1, -1)), -1, 1),
        "swapped_planes": c.swapaxes(0, 1),
        "swapped_rows": c.swapaxes(2, 3),
        "sliced": c[:, :, ::2, ::2],
        "reversed": c[::-1, :, ::-1, ::-1],
        "rolled": c.transpose(3, 0, 1, 2),
    }


@pytest.mark.parametrize("order", _orders())
@pytest.mark.parametrize("op", OPS)
def test_result_follows_the_order_of_x(op, order):
    x = _orders()[order]
    for axes in ((2, 3), (1, 2), (0, 3)):
        y = check(f"{op}_pool2d", x, 2, axes=axes)
        assert y.strides == np.empty_like(x, shape=y.shape).strides
        if op in ("max", "min"):
            y, index = check(f"{op}_pool2d", x, 2, axes=axes, return_indices=True)
            assert y.strides == np.empty_like(x, shape=y.shape).strides
            assert index.strides == np.empty_like(x, shape=y.shape, dtype=np.int64).strides


# ---------------------------------------------------------------------------------------------------- out


_OUT = {
    "C": lambda shape, dtype: np.zeros(shape, dtype),
    "F": lambda shape, dtype: np.zeros(shape, dtype, order="F"),
    "transposed": lambda shape, dtype: np.zeros((shape[-1], *shape[:-1]), dtype).transpose(
        *range(1, len(shape)), 0
    ),
    "step_2": lambda shape, dtype: np.zeros((*shape[:-1], shape[-1] * 2), dtype)[..., ::2],
    "step_3_2": lambda shape, dtype: np.zeros((*shape[:-2], shape[-2] * 3, shape[-1] * 2), dtype)[
        ..., ::3, ::2
    ],
    "reversed": lambda shape, dtype: np.zeros(shape, dtype)[..., ::-1],
    "all_reversed": lambda shape, dtype: np.zeros(shape, dtype)[(slice(None, None, -1),) * len(shape)],
    "unaligned": lambda shape, dtype: _shifted(np.zeros(shape, dtype)),
    "field": lambda shape, dtype: _field(np.zeros(shape, dtype)),
    "padded_rows": lambda shape, dtype: np.zeros((*shape[:-1], shape[-1] + 5), dtype)[..., 3:-2],
}
_OUT_CASES = [
    Case(2, (2, 3, 11, 43), 2), Case(2, (2, 11, 43), 3, 1, 1), Case(2, (2, 11, 43), 3, 2, 1),
    Case(2, (2, 5, 5), 3, 2, 1),
    Case(2, (1, 24, 50), 13, 1, 6), Case(2, (1, 9, 10, 20), 3, 2, 1, axes=(1, 2)), Case(1, (3, 90), 4, 3),
    Case(3, (2, 5, 6, 7), 2),
]  # fmt: skip


@pytest.mark.parametrize("layout", _OUT)
@pytest.mark.parametrize("op", OPS)
def test_out(op, layout):
    for case in _OUT_CASES:
        fn, options = getattr(nbp, case.function(op)), case.options(op)
        if layout == "step_3_2" and len(case.shape) < 2:
            continue
        for x in (array(case.shape, kind="ties"), np.asfortranarray(array(case.shape))):
            plain = fn(x, **options)
            out = _OUT[layout](plain.shape, plain.dtype)
            whole = _memory(out)
            assert fn(x, **options, out=out) is out
            assert same_bits(np.ascontiguousarray(out), np.ascontiguousarray(plain))
            out[...] = 0
            assert not whole.any()  # nothing between the elements was written


def _memory(a):
    """The bytes of the array that owns the memory of `a`."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a.reshape(-1, order="A").view(np.uint8)


@pytest.mark.parametrize("layout", _OUT)
@pytest.mark.parametrize("fn", ["max_pool2d", "min_pool2d"])
def test_out_with_indices(fn, layout):
    x = array((2, 11, 43), kind="ties")
    fn = getattr(nbp, fn)
    y, index = fn(x, 3, 2, 1, return_indices=True)
    out, where = _OUT[layout](y.shape, y.dtype), _OUT[layout](y.shape, np.dtype(np.int64))
    got = fn(x, 3, 2, 1, return_indices=True, out=(out, where))
    assert got[0] is out
    assert got[1] is where
    np.testing.assert_array_equal(out, y)
    np.testing.assert_array_equal(where, index)
    got = fn(x, 3, 2, 1, return_indices=True, out=(None, where))
    assert got[1] is where
    assert same_bits(got[0], y)
    got = fn(x, 3, 2, 1, return_indices=True, out=(out, None))
    assert got[0] is out
    assert same_bits(got[1], index)
    got = fn(x, 3, 2, 1, return_indices=True, out=(None, None))
    assert same_bits(got[1], index)


@pytest.mark.parametrize(("op", "dtype"), EACH)
def test_out_and_dtype(op, dtype):
    x = array((2, 11, 43), dtype, "ties")
    plain = getattr(nbp, f"{op}_pool2d")(x, 3, 2, 1)
    for layout in ("C", "step_2", "unaligned"):
        out = _OUT[layout](plain.shape, plain.dtype)
        getattr(nbp, f"{op}_pool2d")(x, 3, 2, 1, out=out)
        assert same_bits(np.ascontiguousarray(out), plain)
    if op in ("avg", "sum") and dtype in ("uint8", "float16", "float64"):
        out = np.zeros(plain.shape, dtype_of("float64" if dtype == "float64" else "float32"))
        getattr(nbp, f"{op}_pool2d")(x, 3, 2, 1, out=out, dtype=out.dtype)
        from numbapool.testing import assert_matches

        assert_matches(out, *bounds(f"{op}_pool2d", x, 3, 2, 1, dtype=out.dtype))


@pytest.mark.parametrize("op", OPS)
def test_out_that_overlaps_x(op):
    """As if x had been copied first."""
    fn = getattr(nbp, f"{op}_pool2d")
    for args in ((3, 1, 1), (1,), (13, 1, 6), (3, 1, 2, 2) if op in ("max", "min") else (5, 1, 2)):
        start = array((2, 30, 47), kind="any")
        want = fn(start, *args)
        x = start.copy()
        assert fn(x, *args, out=x) is x
        assert same_bits(x, want)
        for shift in (1, 47, 100):
            memory = np.zeros(start.size + shift, np.float32)
            for a, b in ((0, shift), (shift, 0)):
                x = memory[a : a + start.size].reshape(start.shape)
                out = memory[b : b + start.size].reshape(start.shape)
                x[...] = start
                fn(x, *args, out=out)
                assert same_bits(out, want)
        x = start.copy()
        fn(x, *args, out=x[..., ::-1])
        assert same_bits(np.ascontiguousarray(x[..., ::-1]), want)
    start = array((30, 48))
    x = start.copy()
    fn(x, 2, out=x[:15, ::2])
    np.testing.assert_array_equal(x[:15, ::2], fn(start, 2))


@pytest.mark.parametrize("fn", ["max_pool2d", "min_pool2d"])
def test_indices_that_overlap_x(fn):
    x = np.random.default_rng(0).permutation(16 * 40).reshape(16, 40).astype(np.int64)
    y, index = getattr(nbp, fn)(x, 3, 1, 1, return_indices=True)
    shared = x.copy()
    got = getattr(nbp, fn)(shared, 3, 1, 1, return_indices=True, out=(None, shared))
    assert same_bits(got[0], y)
    assert same_bits(shared, index)
    memory = np.zeros((2, 16, 40), np.int64)
    memory[0] = x
    getattr(nbp, fn)(memory[0], 3, 1, 1, return_indices=True, out=(memory[0], memory[1]))
    assert same_bits(memory[0], y)
    assert same_bits(memory[1], index)


def test_out_with_empty_batch():
    out = np.zeros((0, 2, 3), np.float32)
    assert nbp.max_pool2d(np.zeros((0, 4, 6), np.float32), 2, out=out) is out


def test_scalar_input_has_no_axes():
    for fn in FUNCTIONS:
        for x in (3.0, np.float32(1), np.ones(())):
            with pytest.raises(ValueError, match=r"x|axes|dimension"):
                getattr(nbp, fn)(x, 1)
