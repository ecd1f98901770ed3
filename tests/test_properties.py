"""Laws that hold for every shape and option, on examples that hypothesis makes."""

import hypothesis.strategies as st
import numpy as np
from cases import COMMON, OPS, array, same_bits
from hypothesis import assume, given

import numbapool as nbp
from numbapool.testing import check, check_vjp, reference


@st.composite
def calls(draw, n=None, ops=OPS, dtypes=COMMON):
    """An operation, an array and options that leave at least one output."""
    n = draw(st.integers(1, 3)) if n is None else n
    op = draw(st.sampled_from(ops))
    pooled = [draw(st.integers(1, (70, 24, 9)[n - 1])) for _ in range(n)]
    others = draw(st.lists(st.integers(1, 5), max_size=2))
    kernel = tuple(draw(st.integers(1, 7 if n > 1 else 20)) for _ in range(n))
    stride = draw(st.one_of(st.none(), st.tuples(*[st.integers(1, 5)] * n)))
    dilation = tuple(draw(st.sampled_from((1, 1, 1, 2, 3))) for _ in range(n))
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = draw(
        st.one_of(
            st.sampled_from(("valid", "same", "same_lower")),
            st.tuples(*(st.integers(0, min(s - 1, 9)) for s in span)),
            st.tuples(*(st.tuples(st.integers(0, s - 1), st.integers(0, s - 1)) for s in span)),
        )
    )
    padding = padding[0] if n == 1 and isinstance(padding, tuple) else padding
    options = {
        "kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation,
        "ceil_mode": draw(st.booleans()),
    }  # fmt: skip
    if op == "avg":
        options["count_include_pad"] = draw(st.booleans())
        options["divisor_override"] = draw(st.sampled_from((None, None, None, 1, 5)))
    ndim = n + len(others)
    order = draw(st.permutations(range(ndim)))
    axes, rest = order[:n], order[n:]
    shape = [0] * ndim
    for axis, size in zip([*axes, *rest], [*pooled, *others], strict=True):
        shape[axis] = size
    options["axes"] = tuple(a - ndim * draw(st.booleans()) for a in axes)
    x = array(
        tuple(shape),
        draw(st.sampled_from(dtypes)),
        draw(st.sampled_from(("any", "ties"))),
        draw(st.integers(0, 99)),
    )
    memory = draw(st.permutations(range(ndim)))
    x = x.transpose(memory).copy().transpose(np.argsort(memory))
    fn = f"{op}_pool{n}d"
    try:
        reference(fn, np.zeros(shape, bool), **options)
    except ValueError:
        assume(False)
    return op, fn, x, options


@given(calls())
def test_forward(call):
    op, fn, x, options = call
    y = check(fn, x, **options)
    if op in ("max", "min"):
        again, _ = check(fn, x, **options, return_indices=True)
        assert same_bits(np.ascontiguousarray(again), np.ascontiguousarray(y))


@given(calls(dtypes=COMMON[1:]), st.integers(0, 99))
def test_backward(call, seed):
    _, fn, x, options = call
    shape = reference(fn, np.zeros(x.shape, bool), **options).shape
    check_vjp(fn, x, (), options, array(shape, x.dtype.name, "ties", seed))


@given(calls(ops=("max", "min"), dtypes=("float32", "float64", "float16")))
def test_minimum_is_the_negative_maximum(call):
    op, fn, x, options = call
    other = getattr(nbp, ("min" if op == "max" else "max") + fn[3:])
    y, index = getattr(nbp, fn)(x, **options, return_indices=True)
    negative, same_index = other(-x, **options, return_indices=True)
    np.testing.assert_array_equal(y, -negative)
    np.testing.assert_array_equal(index, same_index)


@given(calls(ops=("max", "min")))
def test_index_names_the_value(call):
    _, fn, x, options = call
    y, index = getattr(nbp, fn)(x, **options, return_indices=True)
    axes = sorted(a % x.ndim for a in options["axes"])
    planes = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*np.delete(x.shape, axes), -1)
    places = np.moveaxis(index, axes, range(-len(axes), 0))
    flat = places.reshape(*np.delete(x.shape, axes), -1)
    picked = np.take_along_axis(planes, np.maximum(flat, 0), -1).reshape(places.shape)
    got = np.moveaxis(y, axes, range(-len(axes), 0))
    assert ((picked == got) | (places < 0)).all()
    assert (index < planes.shape[-1]).all()
    assert (index >= -1).all()


@given(calls(ops=("avg", "sum"), dtypes=("float64",)), st.integers(0, 99))
def test_pullback_is_the_adjoint(call, seed):
    _, fn, x, options = call
    y, pullback = nbp.vjp(getattr(nbp, fn), x, **options)
    dy = array(y.shape, "float64", "ties", seed)
    empty = np.isnan(y)  # a mean of nothing has no gradient either
    dx = pullback(dy)
    left, right = np.sum(np.where(empty, 0, y) * dy), np.sum(x * dx)
    assert abs(left - right) <= 1e-9 * (
        1 + np.sum(np.abs(np.where(empty, 0, y) * dy)) + np.sum(np.abs(x * dx))
    )


@given(calls(n=2, ops=("max", "min", "sum"), dtypes=("uint8", "int32", "float32")))
def test_one_axis_after_the_other(call):
    op, fn, x, options = call
    if x.dtype == np.float32:
        x = np.rint(np.clip(x, -1000, 1000))  # sums of whole numbers are exact in any order

    def axis(i):
        values = {
            k: v if v is None or isinstance(v, (str, bool, int)) else v[i]
            for k, v in options.items()
            if k not in ("axes",)
        }
        return {**values, "axes": options["axes"][i]}

    once = getattr(nbp, fn)(x, **options)
    twice = getattr(nbp, f"{op}_pool1d")(getattr(nbp, f"{op}_pool1d")(x, **axis(0)), **axis(1))
    if op == "sum":
        twice = twice.astype(once.dtype)
    np.testing.assert_array_equal(once, twice)


@given(calls(ops=("max", "min", "avg", "sum")))
def test_stride_picks_from_stride_one(call):
    op, fn, x, options = call
    assume(not isinstance(options["padding"], str) and not options["ceil_mode"])
    n = int(fn[-2])
    stride = options["stride"] or options["kernel_size"]
    dense = getattr(nbp, fn)(x, **{**options, "stride": 1})
    pick = [slice(None)] * x.ndim
    for axis, step in zip(options["axes"], stride, strict=True):
        pick[axis] = slice(None, None, step)
    strided = getattr(nbp, fn)(x, **options)
    assert strided.shape == dense[tuple(pick)].shape
    if op in ("max", "min") or x.dtype.kind in "biu":
        np.testing.assert_array_equal(strided, dense[tuple(pick)])
    assert n == len(stride)


@given(calls(), st.integers(1, 3))
def test_batches_do_not_know_each_other(call, copies):
    _, fn, x, options = call
    stack = np.stack([x] * copies + [x[..., ::-1]] if x.shape[-1] else [x])
    axes = tuple(a % x.ndim + 1 for a in options["axes"])
    y = getattr(nbp, fn)(stack, **{**options, "axes": axes})
    one = getattr(nbp, fn)(x, **options)
    for i in range(copies):
        np.testing.assert_array_equal(y[i], one)


@given(calls(dtypes=("float32",)), st.data())
def test_out_of_any_strides(call, data):
    op, fn, x, options = call
    y = getattr(nbp, fn)(x, **options)
    order = data.draw(st.permutations(range(y.ndim)))
    steps = [data.draw(st.sampled_from((1, 2, -1))) for _ in range(y.ndim)]
    memory = np.full([y.shape[a] * abs(s) for a, s in zip(order, steps, strict=True)], 7, np.float32)
    out = memory[tuple(slice(None, None, s) for s in steps)].transpose(np.argsort(order))
    assert out.shape == y.shape
    assert getattr(nbp, fn)(x, **options, out=out) is out
    if op in ("max", "min"):
        np.testing.assert_array_equal(out, y)
    else:  # how memory lies may decide in which order elements are added
        bound = 2.0**-21 * np.abs(getattr(nbp, fn)(np.abs(x), **options)) + np.spacing(np.abs(y))
        assert np.all((np.abs(out - y) <= bound) | ((out == y) | (np.isnan(out) & np.isnan(y))))
    out[...] = 7
    assert (memory == 7).all()
