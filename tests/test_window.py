"""Forward: every operation, case and dtype against the reference."""

import numpy as np
import pytest
from cases import (
    ALL,
    DTYPES,
    EACH,
    FLOATS,
    FUNCTIONS,
    INTEGERS,
    KERNEL_PATHS,
    OPS,
    SMALL_WINDOWS,
    THOROUGH,
    Case,
    array,
    dtype_of,
    parametrize,
    same_bits,
    slow_but,
)

import numbapool as nbp
from numbapool.testing import check


@parametrize(ALL)
def test_float32(op, case):
    fn, options = case.function(op), case.options(op)
    if op in ("avg", "sum"):
        check(fn, array(case.shape), **options)
        return
    for kind in ("any", "ties"):
        x = array(case.shape, kind=kind)
        y, _ = check(fn, x, **options, return_indices=True)
        assert same_bits(check(fn, x, **options), y)


def _check_dtype(op, dtype, table, indices):
    for case in table:
        fn, options = case.function(op), case.options(op)
        for kind in ("any", "ties"):
            x = array(case.shape, dtype, kind)
            y = check(fn, x, **options)
            if indices and op in ("max", "min"):
                assert same_bits(check(fn, x, **options, return_indices=True)[0], y)


@pytest.mark.parametrize(("op", "dtype"), EACH)
def test_dtype(op, dtype):
    thorough = dtype in THOROUGH[op]
    _check_dtype(op, dtype, KERNEL_PATHS if thorough else SMALL_WINDOWS, thorough)


@pytest.mark.slow
@pytest.mark.parametrize(("op", "dtype"), [(o, d) for o in OPS for d in DTYPES if d not in THOROUGH[o]])
def test_dtype_thoroughly(op, dtype):
    _check_dtype(op, dtype, KERNEL_PATHS, True)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(
    "options",
    [
        (2, 2, 0),
        (2, 1, 0),
        (3, 1, 1),
        (3, 2, 1),
        (3, 3, 1),
        (5, 1, 2),
        (9, 2, 4),
        ((1, 13), 1, (0, 6)),
        (3, 2, 2, 2),
    ],
    ids=lambda o: "-".join(map(str, o)).replace(" ", ""),
)
def test_every_width(op, dtype, options):
    kernel, stride, padding, dilation = (*options, 1)[:4]
    for width in range(1, 71):
        case = Case(2, (2, 9, width), kernel, stride, padding, dilation, ceil=width % 2 == 1)
        x = array(case.shape, dtype, "ties" if op in ("max", "min") else "any")
        if width + 2 * (padding if isinstance(padding, int) else padding[1]) < 5:
            continue
        check(case.function(op), x, **case.options(op))


@pytest.mark.parametrize("op", OPS)
def test_every_channel_count(op):
    for channels in range(1, 41):
        for options in ((2,), (3, 2, 1), (3, 1, 1)):
            case = Case(2, (1, 5, 7, channels), *options, axes=(1, 2))
            check(case.function(op), array(case.shape), **case.options(op))


@pytest.mark.parametrize("op", OPS)
def test_every_window(op):
    for k in range(1, 41):
        for stride in (1, 2):
            for case in (
                Case(2, (1, 42, 47), (k, 3), stride, ((k - 1) // 2, 1)),
                Case(2, (1, 42, 47), (3, k), stride, (1, (k - 1) // 2)),
                Case(1, (2, 90), k, stride, 0, 2),
            ):
                check(case.function(op), array(case.shape), **case.options(op))


_SOME_RESULTS = [
    *(("avg", d, d) for d in ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64")),
    *(("sum", d, d) for d in ("uint8", "int8", "int16", "uint64")),
    ("avg", "uint8", "float32"), ("avg", "int64", "float32"), ("avg", "float16", "float32"),
    ("avg", "float32", "float64"),
    ("avg", "float64", "float32"), ("avg", "bfloat16", "float32"), ("avg", "float32", "float16"),
    ("avg", "int16", "uint8"),
    ("avg", "float64", "bfloat16"), ("avg", "bool", "float32"), ("avg", "bool", "uint8"),
    ("avg", "int32", "float16"),
    ("sum", "uint8", "float32"), ("sum", "bool", "uint8"), ("sum", "int64", "int32"),
    ("sum", "float16", "float64"),
    ("sum", "float64", "float16"), ("sum", "uint64", "int64"), ("sum", "int32", "float64"),
]  # fmt: skip
_ALL_RESULTS = [
    (op, s, r)
    for op in ("avg", "sum")
    for s in DTYPES
    for r in (*INTEGERS, *FLOATS)
    if r in FLOATS or s not in FLOATS
]


@pytest.mark.parametrize(("op", "source", "result"), slow_but(_SOME_RESULTS[::2], _SOME_RESULTS))
def test_result_dtype(op, source, result):
    case = Case(2, (2, 7, 21), 3, 2, 1)
    x = array(case.shape, source, "ties" if result in ("float16", "bfloat16") else "any")
    if op == "avg" and source != result and result not in FLOATS:  # a mean out of range has no defined cast
        x = np.minimum(array(case.shape, source, "ties"), dtype_of(source).type(3))
        x = np.abs(x) if x.dtype.kind == "i" else x
    if source in FLOATS and result in FLOATS and dtype_of(result).itemsize < dtype_of(source).itemsize:
        x = x / dtype_of(source).type(64)
    y = check(case.function(op), x, **case.options(op), dtype=dtype_of(result))
    assert y.dtype == dtype_of(result)


@pytest.mark.slow
@pytest.mark.parametrize(("op", "source", "result"), [r for r in _ALL_RESULTS if r not in _SOME_RESULTS])
def test_every_result_dtype(op, source, result):
    test_result_dtype(op, source, result)


@pytest.mark.parametrize("result", INTEGERS)
@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("fn", ["avg_pool2d", "sum_pool2d"])
def test_floating_x_has_no_integer_result(fn, source, result):
    with pytest.raises(TypeError, match="dtype"):
        getattr(nbp, fn)(np.ones((4, 4), dtype_of(source)), 2, dtype=result)


@pytest.mark.parametrize("dtype", [np.float64, float, "float64", "f8", ">f8", np.dtype("f8")])
def test_spellings_of_dtype(dtype):
    y = nbp.avg_pool2d(np.ones((4, 4), np.float32), 2, dtype=dtype)
    assert y.dtype == np.float64
    assert y.dtype.isnative


@pytest.mark.parametrize("name", INTEGERS)
def test_rounded_means_never_wrap(name):
    info = np.iinfo(name)
    for value in (info.min, info.max):
        x = np.full((3, 40, 45), value, name)
        for kernel in (2, 3, 7, 20) if name in ("uint8", "int64", "uint64") else (2, 3):
            y = nbp.avg_pool2d(x, kernel, 1, dtype=name)
            assert (y == value).all()


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_empty_batch(fn):
    n = int(fn[-2])
    for batch in ((0,), (0, 3), (2, 0), (2, 0, 3)):
        y = getattr(nbp, fn)(np.ones((*batch, *(5, 6, 7)[:n]), np.float32), 2)
        assert y.shape == (*batch, *(2, 3, 3)[:n])
        assert y.dtype == np.float32
    if fn[:3] in ("max", "min"):
        y, index = getattr(nbp, fn)(np.ones((0, 4, 4, 4), np.uint8), 2, return_indices=True)
        assert (y.shape, y.dtype, index.dtype) == (index.shape, np.uint8, np.int64)
    for axis in range(n):
        shape = [4] * n
        shape[axis] = 0
        with pytest.raises(ValueError, match=r"x|size|axis|axes"):
            getattr(nbp, fn)(np.ones(shape), 2)


@pytest.mark.parametrize("leading", [(), (1,), (2, 3), (2, 1, 3), (1, 2, 1, 2, 1, 3), (2,) * 8])
@pytest.mark.parametrize("op", OPS)
def test_leading_axes(op, leading):
    x = array((*leading, 5, 6))
    y = check(f"{op}_pool2d", x, 2, 1, 1)
    flat = getattr(nbp, f"{op}_pool2d")(x.reshape(-1, 5, 6), 2, 1, 1)
    assert same_bits(y.reshape(flat.shape), flat)


def test_per_axis_values():
    x = array((9, 9))
    want = nbp.max_pool2d(x, (2, 3), (2, 1), (1, 0), (1, 2))
    for kind in (list, np.array, lambda v: np.array(v, np.uint8), lambda v: [np.int16(e) for e in v]):
        got = nbp.max_pool2d(x, kind((2, 3)), kind((2, 1)), kind((1, 0)), kind((1, 2)))
        assert same_bits(got, want)
    one = nbp.max_pool1d(x, 3, 2, 1, 2)
    for kind in (np.int64, np.array, lambda v: (v,), lambda v: [v]):
        assert same_bits(nbp.max_pool1d(x, kind(3), kind(2), kind(1), kind(2)), one)
    for flag in (True, np.True_, 1):
        assert nbp.max_pool1d(x, 2, ceil_mode=flag).shape == (9, 5)
        assert nbp.max_pool1d(x, 2, return_indices=flag)[1].shape == (9, 4)
        assert same_bits(nbp.avg_pool1d(x, 2, 2, 1, count_include_pad=flag), nbp.avg_pool1d(x, 2, 2, 1))
    for flag in (False, np.False_, 0):
        assert nbp.max_pool1d(x, 2, ceil_mode=flag, return_indices=flag).shape == (9, 4)


def test_axes_may_be_an_int():
    x = array((4, 5, 6))
    for axis in (0, 1, 2, -1, -2, -3):
        assert same_bits(nbp.max_pool1d(x, 2, axes=axis), nbp.max_pool1d(x, 2, axes=(axis,)))
    for axes in ([0, 2], np.array([0, 2]), (np.int64(0), -1)):
        assert same_bits(nbp.max_pool2d(x, 2, axes=axes), nbp.max_pool2d(x, 2, axes=(0, 2)))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("op", OPS)
def test_same_bits_with_any_number_of_threads(op, dtype):
    for case in [
        *KERNEL_PATHS, Case(2, (3, 130, 140), 3, 2, 1), Case(2, (130, 140), 31, 1, 15),
        Case(2, (301, 40, 7), 3, axes=(0, 1)), *(Case(2, (700, 20), (23, 3), stride, (11, 1)) for stride in (1, 2, 5)),
    ]:  # fmt: skip
        x = array(case.shape, dtype)
        results = []
        for threads in (1, 2, 5):
            with nbp.options(num_threads=threads, parallel_threshold=0):
                y = getattr(nbp, case.function(op))(x, **case.options(op))
                results.append(y)
                if op in ("max", "min"):
                    results[-1] = getattr(nbp, case.function(op))(x, **case.options(op), return_indices=True)[
                        1
                    ]
        assert all(same_bits(y, results[0]) for y in results)


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_signature(fn):
    import inspect

    parameters = inspect.signature(getattr(nbp, fn)).parameters
    names = {
        "max": "x kernel_size stride padding dilation ceil_mode return_indices * axes nan_policy where out",
        "avg": "x kernel_size stride padding ceil_mode count_include_pad divisor_override "
        "* dilation axes dtype nan_policy where weights out",
        "sum": "x kernel_size stride padding * dilation ceil_mode axes dtype nan_policy where weights out",
    }
    names["min"] = names["max"]
    positional, keywords = (part.split() for part in names[fn[:3]].split("*"))
    assert [n for n, p in parameters.items() if p.kind != p.KEYWORD_ONLY] == positional
    assert [n for n, p in parameters.items() if p.kind == p.KEYWORD_ONLY] == keywords
    defaults = {
        "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False,
        "axes": None,
        "count_include_pad": True, "divisor_override": None, "dtype": None, "nan_policy": "propagate",
        "where": None,
        "weights": None, "out": None,
    }  # fmt: skip
    for name, parameter in parameters.items():
        if name not in ("x", "kernel_size"):
            assert parameter.default == defaults[name]
    assert getattr(nbp, fn).__doc__
    assert getattr(nbp, fn).__name__ == fn
    assert fn in nbp.__all__


def test_sums_beyond_float32_in_float64():
    """Elements of float32 are not added in float32 where the result is to be float64."""
    x = np.full((1, 8, 40), 1e38, "f4")
    for fn, args in (
        ("sum_pool2d", ((4, 4), 1)),
        ("sum_pool2d", ((4, 20), 3)),
        ("global_sum_pool", ()),
        ("global_avg_pool", ()),
    ):
        y = check(fn, x, *args, dtype="float64")
        assert np.isfinite(y).all()
