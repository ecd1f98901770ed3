"""Every parameter of every function: the type of error, the argument's name in it, and nothing written."""

import re

import numpy as np
import pytest
from cases import FUNCTIONS, OPS, array, dtype_of

import numbapool as nbp

SELECTING = tuple(f for f in FUNCTIONS if f[:3] in ("max", "min"))
SUMMING = tuple(f for f in FUNCTIONS if f[:3] in ("avg", "sum"))
AVERAGING = tuple(f for f in FUNCTIONS if f[:3] == "avg")
EITHER = (TypeError, ValueError)


class NotAnInteger:
    def __repr__(self):
        return "<not an integer>"


def _rejects(fn, error, name, *args, **kwargs):
    """The call fails with `error`, says `name`, and leaves a given `out` alone."""
    with pytest.raises(error) as caught:
        getattr(nbp, fn)(*args, **kwargs)
    assert type(caught.value) in (TypeError, ValueError) or isinstance(
        caught.value, (np.exceptions.AxisError,)
    )
    assert name in str(caught.value), f"{name!r} is not named: {caught.value}"
    out = kwargs.get("out")
    if isinstance(out, np.ndarray):
        assert (np.asarray(out) == 7).all()


def _out(fn, size=3):
    return np.full((2, *[size] * int(fn[-2])), 7.0, np.float32)


def _x(fn, dtype=np.float32):
    return np.ones((2, *[6] * int(fn[-2])), dtype)


@pytest.mark.parametrize("fn", FUNCTIONS)
class TestEveryFunction:
    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (0, ValueError), (-1, ValueError), (7, ValueError), (2**31, ValueError), (2**63, ValueError),
            (2**70, ValueError),
            (2.5, TypeError), (2.0, TypeError), ("2", TypeError), (None, TypeError), (1j, TypeError),
            (np.float32(2), TypeError),
            (np.nan, EITHER), ([], ValueError), ((2,) * 4, ValueError), ({2}, TypeError), ({2: 2}, TypeError),
            ([[2, 2]], EITHER),
            ((2.5,), EITHER), (("2",), EITHER), ((0,), ValueError), (NotAnInteger(), TypeError),
            (b"22", TypeError), (object, TypeError),
        ],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )  # fmt: skip
    def test_kernel_size(self, fn, value, error):
        _rejects(fn, error, "kernel_size", _x(fn), value, out=_out(fn))

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (0, ValueError), (-2, ValueError), (1.5, TypeError), ("2", TypeError), ([], ValueError),
            ((2,) * 4, ValueError),
            ({2}, TypeError), (np.nan, EITHER), ([[1, 1]], EITHER), ((0,), ValueError),
            ((-1,) * 3, ValueError), (NotAnInteger(), TypeError),
        ],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )  # fmt: skip
    def test_stride(self, fn, value, error):
        _rejects(fn, error, "stride", _x(fn), 2, value, out=_out(fn))

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (-1, ValueError), (2, ValueError), (2**70, ValueError), (1.5, TypeError), (None, TypeError),
            ("reflect", ValueError),
            ("SAME", ValueError), ("", ValueError), ([], ValueError), ((1,) * 4, ValueError),
            ([(1, 0)] * 4, ValueError),
            ([(1, 0, 0)], EITHER), ([(-1, 0)] * 3, ValueError), ([(0, 2)], ValueError), ({1}, TypeError),
            ([("a", "b")], EITHER),
            (np.nan, EITHER), ([[[1, 1]]], EITHER), (NotAnInteger(), TypeError), (b"same", EITHER),
        ],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )  # fmt: skip
    def test_padding(self, fn, value, error):
        _rejects(fn, error, "padding", _x(fn), 2, 2, value, out=_out(fn))

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (0, ValueError), (-1, ValueError), (6, ValueError), (2**70, ValueError), (1.5, TypeError),
            ("1", TypeError),
            (None, TypeError), ([], ValueError), ((1,) * 4, ValueError), ({1}, TypeError), (np.nan, EITHER),
            ((0,) * 3, ValueError),
        ],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )  # fmt: skip
    def test_dilation(self, fn, value, error):
        name = "dilation"
        _rejects(fn, error, name, _x(fn), 2, dilation=value, out=_out(fn))

    @pytest.mark.parametrize(
        "value",
        ["yes", 2, -1, None, 1.5, [True], np.array([1, 0]), NotAnInteger(), np.nan],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )
    def test_ceil_mode(self, fn, value):
        _rejects(fn, EITHER, "ceil_mode", _x(fn), 2, ceil_mode=value, out=_out(fn))

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (9, ValueError), (-9, ValueError), ((0,) * 4, ValueError), ([], ValueError), (1.0, TypeError),
            ("0", TypeError),
            ({0}, TypeError), ((0.5,), EITHER), (2**70, EITHER), (np.nan, EITHER), ((9, 8, 7), ValueError),
            (NotAnInteger(), TypeError),
        ],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )  # fmt: skip
    def test_axes(self, fn, value, error):
        _rejects(fn, error, "axes", _x(fn), 2, axes=value, out=_out(fn))

    def test_axes_twice(self, fn):
        n = int(fn[-2])
        x = np.ones((4,) * 4, np.float32)
        if n > 1:
            _rejects(fn, ValueError, "axes", x, 2, axes=(1,) * n)
            _rejects(fn, ValueError, "axes", x, 2, axes=(1, -3, 2)[:n])

    @pytest.mark.parametrize(
        "value",
        ["ignore", "", None, 1, True, "Propagate", NotAnInteger()],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )
    def test_nan_policy(self, fn, value):
        _rejects(fn, EITHER, "nan_policy", _x(fn), 2, nan_policy=value, out=_out(fn))

    @pytest.mark.parametrize(
        "dtype",
        ["complex64", "complex128", "O", "M8[s]", "m8[s]", "U3", "S3", "V8", "longdouble", [("a", "f4")]],
        ids=str,
    )
    def test_dtype_of_x(self, fn, dtype):
        if np.dtype(dtype) == np.float64:
            pytest.skip("long double is double here")
        _rejects(fn, TypeError, "x", np.zeros(_x(fn).shape, dtype), 2, out=_out(fn))

    @pytest.mark.parametrize(
        "value",
        [None, "text", object(), {1: 2}, [1j, 2], [None, 1.0], [2**70, 1]],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )
    def test_x(self, fn, value):
        _rejects(fn, EITHER, "x", value, 1)

    def test_ragged_list(self, fn):
        with pytest.raises(EITHER):
            getattr(nbp, fn)([[1.0, 2], [3.0]], 1)

    def test_masked_array(self, fn):
        _rejects(fn, TypeError, "where", np.ma.masked_array(_x(fn), False), 2, out=_out(fn))

    def test_too_few_dimensions(self, fn):
        for ndim in range(int(fn[-2])):
            _rejects(fn, ValueError, "x", np.ones((3,) * ndim), 1)

    def test_pooled_axis_of_length_0(self, fn):
        n = int(fn[-2])
        for axis in range(n):
            shape = [4] * n
            shape[axis] = 0
            for options in ({}, {"padding": "same"}, {"padding": 1}, {"ceil_mode": True}):
                with pytest.raises(ValueError, match=r"x|size|axis|axes|length"):
                    getattr(nbp, fn)(np.ones((2, *shape)), 2, **options)

    def test_sizes_that_leave_nothing(self, fn):
        x = _x(fn)
        for args, kwargs in [
            ((7,), {}),
            ((3,), {"dilation": 3}),
            ((9, 3), {"ceil_mode": True}),
            ((2, 1, 0), {"dilation": 6}),
        ]:
            with pytest.raises(ValueError, match=r"6") as caught:
                getattr(nbp, fn)(x, *args, **kwargs)
            assert "kernel_size" in str(caught.value)
        assert getattr(nbp, fn)(x, 8, 3, ceil_mode=True).shape == (2, *[1] * int(fn[-2]))

    def test_unknown_keyword(self, fn):
        with pytest.raises(TypeError, match="kernel"):
            getattr(nbp, fn)(_x(fn), 2, kernel=3)
        with pytest.raises(TypeError):
            getattr(nbp, fn)(_x(fn))
        with pytest.raises(TypeError):
            getattr(nbp, fn)(_x(fn), 2, 2, 0, 1, False, False, None, None)

    def test_out(self, fn):
        x, shape = _x(fn), _out(fn).shape
        wrong = [
            (np.full(shape, 7.0, np.float64), TypeError),
            (np.full(shape, 7, np.int32), TypeError),
            (np.full(shape, 7.0, np.dtype(np.float32).newbyteorder()), TypeError),
            (np.full(shape, 7.0, np.float16), TypeError),
            (np.full((2, *shape), 7.0, np.float32), ValueError),
            (np.full((*shape[:-1], 4), 7.0, np.float32), ValueError),
            (np.full(shape[1:], 7.0, np.float32), ValueError),
            (np.full((), 7.0, np.float32), ValueError),
            (np.zeros(shape, np.float32).tolist(), TypeError),
            ("text", TypeError),
            (7.0, TypeError),
            (np.float32(7), TypeError),
            (np.ma.masked_array(np.full(shape, 7.0, np.float32)), TypeError),
        ]
        for out, error in wrong:
            _rejects(fn, error, "out", x, 2, out=out)
        readonly = _out(fn)
        readonly.flags.writeable = False
        _rejects(fn, EITHER, "out", x, 2, out=readonly)
        _rejects(fn, EITHER, "out", x, 2, out=np.broadcast_to(np.float32(7), shape))
        _rejects(fn, TypeError, "out", x, 2, out=(_out(fn),))

    def test_nothing_is_written_when_a_later_argument_is_bad(self, fn):
        out = _out(fn)
        for kwargs in (
            {"nan_policy": "no"},
            {"axes": 99},
            {"ceil_mode": "no"},
            {"dilation": 0},
            {"padding": -1},
            {"stride": 0},
        ):
            with pytest.raises(EITHER):
                getattr(nbp, fn)(_x(fn), 2, **kwargs, out=out)
            assert (out == 7).all()

    def test_message_names_value_and_what_is_allowed(self, fn):
        with pytest.raises(ValueError, match=r"stride.*-3|-3.*stride"):
            getattr(nbp, fn)(_x(fn), 2, -3)
        with pytest.raises(ValueError, match=r"padding.*-5|-5.*padding"):
            getattr(nbp, fn)(_x(fn), 2, padding=-5)
        with pytest.raises(ValueError, match=r"(?s)nan_policy.*'sometimes'"):
            getattr(nbp, fn)(_x(fn), 2, nan_policy="sometimes")
        with pytest.raises(TypeError, match=r"complex64"):
            getattr(nbp, fn)(_x(fn, np.complex64), 2)

    def test_result_that_cannot_exist(self, fn):
        n = int(fn[-2])
        x = np.broadcast_to(np.int8(1), (2**60, *(1,) * n))
        if fn in SUMMING:
            with pytest.raises((ValueError, MemoryError)) as caught:
                getattr(nbp, fn)(x, 1)
            assert type(caught.value) is ValueError
        if fn in SELECTING:
            with pytest.raises(ValueError, match=r"x|indices"):
                getattr(nbp, fn)(x, 1, return_indices=True)

    def test_huge_strides_are_harmless(self, fn):
        for stride in (2**31, 2**40, 2**62, 2**63 - 1):
            assert getattr(nbp, fn)(_x(fn), 2, stride).shape == (2, *[1] * int(fn[-2]))
        try:
            getattr(nbp, fn)(_x(fn), 2, 2**64)
        except ValueError as error:
            assert "stride" in str(error)


@pytest.mark.parametrize("fn", SELECTING)
class TestIndices:
    @pytest.mark.parametrize(
        "value", ["yes", 2, None, 1.5, [True], np.nan], ids=lambda v: re.sub(r" at 0x\w+", "", repr(v))
    )
    def test_return_indices(self, fn, value):
        _rejects(fn, EITHER, "return_indices", _x(fn), 2, return_indices=value, out=_out(fn))

    def test_out_must_be_a_pair(self, fn):
        x, y = _x(fn), _out(fn)
        index = np.full(y.shape, 7, np.int64)
        _rejects(fn, TypeError, "out", x, 2, return_indices=True, out=y)
        for bad in ((y,), (y, index, index), [], "ab"):
            _rejects(fn, EITHER, "out", x, 2, return_indices=True, out=bad)
        _rejects(fn, TypeError, "out", x, 2, out=(y, index))
        for bad in (index.astype(np.int32), index.astype(np.uint64), index.astype(np.float64)):
            _rejects(fn, TypeError, "out", x, 2, return_indices=True, out=(y, bad))
        _rejects(fn, ValueError, "out", x, 2, return_indices=True, out=(y, index[:1]))
        _rejects(fn, TypeError, "out", x, 2, return_indices=True, out=(y.astype(np.float64), index))
        _rejects(fn, ValueError, "out", x, 2, return_indices=True, out=(y[:1], index))
        frozen = index.copy()
        frozen.flags.writeable = False
        _rejects(fn, EITHER, "out", x, 2, return_indices=True, out=(y, frozen))
        assert (y == 7).all()
        assert (index == 7).all()

    def test_out_may_not_be_its_own_indices(self, fn):
        shared = np.full((2, *[3] * int(fn[-2])), 7, np.int64)
        _rejects(fn, EITHER, "out", _x(fn, np.int64), 2, return_indices=True, out=(shared, shared))
        assert (shared == 7).all()


@pytest.mark.parametrize("fn", SUMMING)
class TestDtype:
    @pytest.mark.parametrize(
        "value",
        ["nonsense", "complex64", object, "M8[s]", "U3", 3, [1], np.longdouble],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )
    def test_dtype(self, fn, value):
        for x in (_x(fn), _x(fn, np.uint8)):
            _rejects(fn, TypeError, "dtype", x, 2, dtype=value, out=_out(fn))

    @pytest.mark.parametrize("value", ["int8", "int64", "uint8", "bool"])
    def test_floating_into_integers(self, fn, value):
        for source in ("float16", "bfloat16", "float32", "float64"):
            _rejects(fn, TypeError, "dtype", _x(fn, dtype_of(source)), 2, dtype=value)

    def test_weights_and_where_are_checked_too(self, fn):
        with pytest.raises(EITHER, match="weights"):
            getattr(nbp, fn)(_x(fn), 2, weights="text")
        with pytest.raises(EITHER, match="where"):
            getattr(nbp, fn)(_x(fn), 2, where="text")


@pytest.mark.parametrize("fn", AVERAGING)
class TestAverage:
    @pytest.mark.parametrize(
        "value", ["yes", 2, None, 1.5, [True], np.nan], ids=lambda v: re.sub(r" at 0x\w+", "", repr(v))
    )
    def test_count_include_pad(self, fn, value):
        _rejects(fn, EITHER, "count_include_pad", _x(fn), 2, count_include_pad=value, out=_out(fn))

    @pytest.mark.parametrize(
        ("value", "error"),
        [(0, ValueError), (0.0, ValueError), (np.nan, ValueError), ("2", TypeError), ([2], EITHER), (1j, TypeError), (object(), TypeError)],
        ids=lambda v: re.sub(r" at 0x\w+", "", repr(v)),
    )  # fmt: skip
    def test_divisor_override(self, fn, value, error):
        _rejects(fn, error, "divisor_override", _x(fn), 2, divisor_override=value, out=_out(fn))


# ---------------------------------------------------------------------------------------------- gradients


def test_vjp_of_something_else():
    x = np.ones((4, 4))
    for fn in (np.sum, "max_pool2d", None, 3, lambda x, k: x, nbp.options):
        with pytest.raises(EITHER, match="fn"):
            nbp.vjp(fn, x, 2)
    with pytest.raises(TypeError):
        nbp.vjp()
    with pytest.raises(TypeError, match="kernel_size"):
        nbp.vjp(nbp.max_pool2d, x)
    with pytest.raises(TypeError, match="nonsense"):
        nbp.vjp(nbp.max_pool2d, x, 2, nonsense=1)


@pytest.mark.parametrize("op", OPS)
def test_vjp_checks_as_the_function_does(op):
    fn, x = getattr(nbp, f"{op}_pool2d"), np.ones((4, 4))
    for error, name, args, kwargs in [
        (ValueError, "kernel_size", (x, 0), {}), (ValueError, "stride", (x, 2, 0), {}),
        (ValueError, "padding", (x, 2, 2, -1), {}),
        (TypeError, "kernel_size", (x, 1.5), {}), (ValueError, "axes", (x, 2), {"axes": (0, 0)}),
        (TypeError, "x", (x.astype(int), 2), {}),
        (TypeError, "x", (x > 0, 2), {}), (TypeError, "x", (x * 1j, 2), {}), (ValueError, "x", (x[0], 2), {}),
        (TypeError, "out", (x, 2), {"out": np.zeros((2, 2))}),
        (EITHER, "nan_policy", (x, 2), {"nan_policy": "no"}),
        (TypeError, "where", (np.ma.masked_array(x), 2), {}),
    ]:  # fmt: skip
        with pytest.raises(error, match=name):
            nbp.vjp(fn, *args, **kwargs)


@pytest.mark.parametrize("op", OPS)
def test_dy(op):
    y, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), array((2, 6, 6)), 2)
    good = np.ones(y.shape, np.float32)
    for dy, error in [
        (good[0], ValueError), (good[..., :2], ValueError), (np.float32(1), ValueError), (1.0, ValueError),
        (good[None], ValueError),
        (good * 1j, TypeError), (good.astype(object), TypeError), (good.astype("U"), TypeError),
        (None, TypeError), ("text", TypeError),
        (np.zeros(y.shape, "M8[s]"), TypeError), ((good, good), EITHER), ([[1.0], [2.0, 3.0]], EITHER),
    ]:  # fmt: skip
        with pytest.raises(error, match="dy"):
            pullback(dy)
    with pytest.raises(TypeError):
        pullback()
    assert pullback(good).shape == (2, 6, 6)


# ------------------------------------------------------------------------------------------------ options


@pytest.mark.parametrize("setter", ["options", "set_options"])
def test_options(setter):
    setter = getattr(nbp, setter)
    for kwargs in (
        {"threads": 2}, {"num_threads": 0}, {"num_threads": -1}, {"num_threads": 1.5}, {"num_threads": "2"},
        {"num_threads": True},
        {"parallel_threshold": -1}, {"parallel_threshold": "many"}, {"parallel_threshold": 0.5},
        {"parallel_threshold": None},
        {"check_values": 2}, {"check_values": "no"}, {"check_values": None}, {"cache_dir": 3},
        {"cache_dir": ""}, {"cache_dir": "a\0b"},
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            setter(**kwargs)
    with pytest.raises(TypeError):
        setter(2)


def test_a_bad_option_changes_nothing():
    with pytest.raises(ValueError, match="num_threads"):
        nbp.set_options(parallel_threshold=1 << 40, num_threads=0)
    x = np.ones((600, 600), np.float32)
    assert nbp.max_pool2d(x, 2).shape == (300, 300)


def test_options_are_for_a_block():
    x = array((4, 40, 40))
    want = nbp.max_pool2d(x, 3, 2, 1)
    with nbp.options(num_threads=1):
        with nbp.options(num_threads=2, parallel_threshold=0):
            np.testing.assert_array_equal(nbp.max_pool2d(x, 3, 2, 1), want)
        np.testing.assert_array_equal(nbp.max_pool2d(x, 3, 2, 1), want)
    with pytest.raises(ZeroDivisionError), nbp.options(num_threads=1):
        raise ZeroDivisionError


def test_show_config(capsys):
    assert nbp.show_config() is None
    assert "numba" in capsys.readouterr().out.lower()
