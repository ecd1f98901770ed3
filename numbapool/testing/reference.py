"""Pooling in plain NumPy: windows enumerated tap by tap, sums in exact integers or in pairs of float64.

Slow and obvious on purpose. Nothing here knows how the kernels work, and nothing but NumPy is imported.
"""

import inspect
import itertools
import math
import re

import numpy as np

# bits of precision and the exponent of the smallest subnormal, by dtype name (NumPy has no finfo for bfloat16)
_FLOATS = {"float16": (11, -24), "bfloat16": (8, -133), "float32": (24, -149), "float64": (53, -1074)}


def _select(
    x,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    return_indices=False,
    *,
    axes=None,
    nan_policy="propagate",
    where=None,
): ...


def _average(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    dilation=1,
    axes=None,
    dtype=None,
    nan_policy="propagate",
    where=None,
    weights=None,
): ...


def _sum(
    x,
    kernel_size,
    stride=None,
    padding=0,
    *,
    dilation=1,
    ceil_mode=False,
    axes=None,
    dtype=None,
    nan_policy="propagate",
    where=None,
    weights=None,
): ...


_SIGNATURES = {
    op: inspect.signature(f)  # type: ignore[arg-type]
    for op, f in {"max": _select, "min": _select, "avg": _average, "sum": _sum}.items()
}


def is_floating(dtype):
    """Whether `dtype` is one of the four floating dtypes that window pooling knows."""
    return np.dtype(dtype).name in _FLOATS


def ulp(value, dtype):
    """The distance between neighbours of `dtype` at the magnitude of `value`, as float64."""
    bits, smallest = _FLOATS[np.dtype(dtype).name]
    fraction, exponent = np.frexp(np.asarray(value, np.float64))
    return np.ldexp(1.0, np.where(fraction == 0, smallest, np.maximum(exponent - bits, smallest)))


# ---------------------------------------------------------------------------------------------------- windows


def axis_windows(size, kernel, stride, padding, dilation=1, ceil_mode=False):
    """Positions of every tap of every window on one axis.

    Parameters
    ----------
    size, kernel, stride, dilation : int
    padding : (int, int) or {"same", "same_lower"}
    ceil_mode : bool

    Returns
    -------
    positions : ndarray of int, shape (windows, kernel)
        Where each tap lies; outside 0 … size-1 there is nothing.
    end : int
        Where the padding behind the axis ends.
    """
    span = dilation * (kernel - 1) + 1
    if min(size, kernel, stride, dilation) < 1:
        raise ValueError(
            f"size, kernel_size, stride and dilation must be positive: {size, kernel, stride, dilation}"
        )
    if isinstance(padding, str):
        count = -(-size // stride)
        total = max((count - 1) * stride + span - size, 0)
        before = total // 2 if padding == "same" else total - total // 2
        after = total - before
    else:
        before, after = padding
        if not (0 <= before < span and 0 <= after < span):
            raise ValueError(
                f"padding {padding} must lie between 0 and the effective kernel - 1 = {span - 1}"
            )
        room = size + before + after - span
        count = (-(-room // stride) if ceil_mode else room // stride) + 1
        if (count - 1) * stride >= size + before:  # such a window would start in the padding behind the axis
            count -= 1
    if count < 1:
        raise ValueError(f"kernel_size {kernel} with dilation {dilation} leaves no output of size {size}")
    return np.arange(count)[:, None] * stride - before + np.arange(kernel) * dilation, size + after


def _per_axis(value, n):
    return [int(value)] * n if np.ndim(value) == 0 else [int(v) for v in value]


def _paddings(padding, n):
    if isinstance(padding, str):
        return [{"valid": (0, 0)}.get(padding, padding)] * n
    if np.ndim(padding) == 0:
        return [(int(padding), int(padding))] * n
    if n == 1 and np.ndim(padding) == 1 and len(padding) == 2:
        return [(int(padding[0]), int(padding[1]))]
    return [(int(p), int(p)) if np.ndim(p) == 0 else (int(p[0]), int(p[1])) for p in padding]


class _Call:
    """The bound arguments of one call: x with its pooled axes last, in ascending order, and their windows."""

    def __init__(self, name, x, args, kwargs):
        match = re.fullmatch(r"(max|min|avg|sum)_pool([123])d", name)
        if not match:
            raise ValueError(f"no reference for {name!r}")
        self.op, self.n = match[1], int(match[2])
        bound = _SIGNATURES[self.op].bind(x, *args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        for later in ("where", "weights"):
            if given.get(later) is not None:
                raise NotImplementedError(f"the reference does not know {later}")
        if given["nan_policy"] != "propagate":
            raise NotImplementedError(f"the reference does not know nan_policy={given['nan_policy']!r}")
        x = np.asarray(x)
        x = x.astype(x.dtype.newbyteorder("="))
        axes = given["axes"] if given["axes"] is not None else range(-self.n, 0)
        axes = [a % x.ndim for a in ([axes] if np.ndim(axes) == 0 else axes)]
        if len(axes) != self.n or len(set(axes)) != self.n:
            raise ValueError(f"axes must name {self.n} different axes, got {given['axes']}")
        kernel = _per_axis(given["kernel_size"], self.n)
        stride = kernel if given["stride"] is None else _per_axis(given["stride"], self.n)
        padding, dilation = _paddings(given["padding"], self.n), _per_axis(given["dilation"], self.n)
        order = np.argsort(axes)
        self.axes = [axes[i] for i in order]
        self.x = np.moveaxis(x, self.axes, range(-self.n, 0))
        self.sizes = self.x.shape[x.ndim - self.n :]
        self.windows, ends = zip(
            *(
                axis_windows(
                    x.shape[axes[i]], kernel[i], stride[i], padding[i], dilation[i], given["ceil_mode"]
                )
                for i in order
            ),
            strict=True,
        )
        self.shape = self.x.shape[: x.ndim - self.n] + tuple(len(w) for w in self.windows)
        self.return_indices = given.get("return_indices", False)
        self.dtype = self._result_dtype(given.get("dtype"))
        include = given.get("count_include_pad", True) and not isinstance(given["padding"], str)
        override = given.get("divisor_override")
        if override == 0:
            raise ValueError("divisor_override must not be 0")
        self.override = override
        self.divisor = 1
        if self.op == "avg":
            # how many taps count: those on the axis, or those that end before the padding does
            limits = zip(self.windows, self.sizes, ends, strict=True)
            counts = [((w < end) if include else (w >= 0) & (w < size)).sum(1) for w, size, end in limits]
            self.divisor = math.prod(np.ix_(*counts)) if override is None else override

    def _result_dtype(self, dtype):
        x = self.x.dtype
        if self.op in ("max", "min"):
            return x
        if dtype is None:
            if is_floating(x):
                return x
            return np.dtype(np.float64 if self.op == "avg" else np.uint64 if x.kind == "u" else np.int64)
        dtype = np.dtype(dtype).newbyteorder("=")
        if is_floating(x) and not is_floating(dtype):
            raise TypeError(f"dtype must be floating for floating x, got {dtype}")
        return dtype

    def taps(self):
        """For each tap of the window, in row-major order: which outputs have it, and the input element it is."""
        for tap in itertools.product(*(range(w.shape[1]) for w in self.windows)):
            outputs, inputs = [], []
            for windows, size, t in zip(self.windows, self.sizes, tap, strict=True):
                there = np.flatnonzero((windows[:, t] >= 0) & (windows[:, t] < size))
                outputs.append(there)
                inputs.append(windows[there, t])
            yield np.ix_(*outputs), np.ix_(*inputs)

    def plane_index(self, position):
        return sum(p * math.prod(self.sizes[a + 1 :]) for a, p in enumerate(position))

    def restore(self, array):
        """The pooled axes back to where they came from."""
        return np.ascontiguousarray(np.moveaxis(array, range(-self.n, 0), self.axes))


# ------------------------------------------------------------------------------------------------ forward


def _identity(dtype, largest):
    if is_floating(dtype):
        return -np.inf if largest else np.inf
    if dtype.kind == "b":
        return not largest
    return np.iinfo(dtype).min if largest else np.iinfo(dtype).max


def _selected(call):
    """Value and flat plane index of the first largest (or smallest) tap; the first NaN wins over everything."""
    largest = call.op == "max"
    best = np.full(call.shape, _identity(call.x.dtype, largest), call.x.dtype)
    index = np.full(call.shape, -1, np.int64)
    for outputs, inputs in call.taps():
        old, known = best[(..., *outputs)], index[(..., *outputs)] >= 0
        new = call.x[(..., *inputs)]
        beats = (new > old) if largest else (new < old)
        beats |= (new != new) & (old == old)
        beats |= ~known
        best[(..., *outputs)] = np.where(beats, new, old)
        index[(..., *outputs)] = np.where(beats, call.plane_index(inputs), index[(..., *outputs)])
    return best, index


def _totals(call, x):
    """Sum over the valid taps: exact for integers, twice the precision of float64 for floats."""
    total = np.zeros(call.shape, x.dtype)
    error = np.zeros(call.shape, x.dtype)
    for outputs, inputs in call.taps():
        a, b = total[(..., *outputs)], x[(..., *inputs)]
        s = a + b
        if x.dtype == np.float64:  # Knuth's TwoSum: a + b = s + (what s lost)
            c = s - a
            error[(..., *outputs)] += (a - (s - c)) + (b - c)
        total[(..., *outputs)] = s
    return np.where(np.isfinite(total), total + error, total) if x.dtype == np.float64 else total


def _exact_input(x):
    """x in a type in which sums are exact (or twice as precise as any result)."""
    if is_floating(x.dtype):
        return x.astype(np.float64)
    return x.astype(np.int64 if x.dtype.itemsize <= 4 else object)  # object: Python's integers


def _wrapped(integers, dtype):
    """Integers (int64 or Python's) cast to `dtype`, modulo its range; to bool: whether they are not 0."""
    if dtype.kind == "b":
        return (integers != 0).astype(bool)
    flat = [int(v) & 0xFFFF_FFFF_FFFF_FFFF for v in integers.ravel().tolist()]
    return np.array(flat, np.uint64).reshape(integers.shape).astype(dtype)


def _half_even(total, divisor):
    """round(total / divisor) of integers, exactly; 0 where the divisor is 0."""
    divisor = np.broadcast_to(np.asarray(divisor), total.shape)
    sign = np.where(divisor < 0, -1, 1)
    empty = divisor == 0
    total, divisor = total * sign, np.where(empty, 1, divisor * sign)
    quotient = total // divisor
    twice = 2 * (total - quotient * divisor)
    up = (twice > divisor) | ((twice == divisor) & (quotient % 2 == 1))
    return np.where(empty, 0, quotient + up.astype(np.int64))


def _finished(call, total):
    """Totals divided and rounded once into the dtype of the result."""
    divisor, dtype = call.divisor, call.dtype
    if is_floating(dtype):
        return _quotient(total, divisor).astype(dtype)
    if call.op == "sum":
        return _wrapped(total, dtype)
    if isinstance(divisor, float) and not divisor.is_integer():
        return np.rint(_quotient(total, divisor)).astype(dtype)
    divisor = int(divisor) if isinstance(divisor, float) else divisor
    return _wrapped(_half_even(total, divisor), dtype)


def _quotient(total, divisor):
    """total / divisor in float64, NaN for 0 / 0."""
    if total.dtype != object:
        return np.true_divide(total, divisor, dtype=np.float64)
    divisor = np.broadcast_to(np.asarray(divisor), total.shape)
    flat = [
        t / d if d else math.nan
        for t, d in zip(total.ravel().tolist(), divisor.ravel().tolist(), strict=True)
    ]
    return np.array(flat, np.float64).reshape(total.shape)


def reference(fn_name, x, *args, **kwargs):
    """What the public window function `fn_name` must return, by enumerating taps in NumPy.

    Parameters
    ----------
    fn_name : str
        ``"max_pool1d"`` … ``"sum_pool3d"``.
    x : array_like
        The input.
    *args, **kwargs
        The other arguments of the public function (all but ``out``).

    Returns
    -------
    ndarray, or (ndarray, ndarray) with ``return_indices=True``
        In the result's dtype, C order. Sums are exact for integers and rounded once for floats.

    Raises
    ------
    ValueError, TypeError
        For sizes that leave no output and for a dtype that cannot be.

    Examples
    --------
    >>> from numbapool.testing import reference
    >>> reference("max_pool2d", [[0, 1, 2], [3, 4, 5], [6, 7, 8]], 2, 1)
    array([[4, 5],
           [7, 8]])
    """
    call = _Call(fn_name, x, args, kwargs)
    with np.errstate(all="ignore"):
        if call.op in ("max", "min"):
            y, index = _selected(call)
            return (call.restore(y), call.restore(index)) if call.return_indices else call.restore(y)
        return call.restore(_finished(call, _totals(call, _exact_input(call.x))))


# ------------------------------------------------------------------------------------------------ backward


def _gradient(fn_name, x, args, kwargs, dy):
    """The call, dx in float64, the sum of |dy · weight| over the windows of each element, and their number."""
    call = _Call(fn_name, x, args, kwargs)
    if not is_floating(call.x.dtype):
        raise TypeError(f"x must be floating, got {call.x.dtype}")
    dy = np.broadcast_to(np.asarray(dy).astype(call.dtype), call.restore(np.empty(call.shape, bool)).shape)
    dy = np.moveaxis(dy.astype(np.float64), call.axes, range(-call.n, 0))
    dx, size, count = (np.zeros(call.x.shape) for _ in range(3))
    with np.errstate(all="ignore"):
        if call.op in ("max", "min"):
            planes = math.prod(call.x.shape[: call.x.ndim - call.n])
            index = _selected(call)[1].reshape(planes, -1 if planes else 0)
            rows, columns = np.nonzero(index >= 0)
            into, values = (rows, index[rows, columns]), dy.reshape(index.shape)[rows, columns]
            for target, terms in ((dx, values), (size, np.abs(values)), (count, 1)):
                np.add.at(target.reshape(planes, math.prod(call.sizes)), into, terms)
        else:
            share = dy / call.divisor  # a window without a tap divides by 0, and has nobody to send that to
            for outputs, inputs in call.taps():
                dx[(..., *inputs)] += share[(..., *outputs)]
                size[(..., *inputs)] += np.abs(share[(..., *outputs)])
                count[(..., *inputs)] += 1
    return call, dx, size, count


def reference_vjp(fn_name, x, args, kwargs, dy):
    """The gradient that the pullback of ``vjp(fn, x, *args, **kwargs)`` must return for `dy`.

    Parameters
    ----------
    fn_name : str
        As in `reference`.
    x : array_like
        The input, of a floating dtype.
    args, kwargs : tuple, dict
        The other arguments of the public function.
    dy : array_like
        The gradient of the result, broadcast to its shape and converted to its dtype.

    Returns
    -------
    ndarray
        The gradient of x, accumulated in float64 and rounded once to the dtype of x.

    Examples
    --------
    >>> from numbapool.testing import reference_vjp
    >>> reference_vjp("max_pool1d", [1., 5, 2, 3, 0], (3, 1), {}, 1.0)
    array([0., 2., 0., 1., 0.])
    """
    call, dx, _, _ = _gradient(fn_name, x, args, kwargs, dy)
    with np.errstate(all="ignore"):
        return call.restore(dx).astype(call.x.dtype)


# -------------------------------------------------------------------------------------------------- accuracy


def _rounding(dtype, taps, gradient=False):
    """Allowed error: this much of the sum of magnitudes, and this many ulp of the result."""
    name, large = np.dtype(dtype).name, max(math.log2(max(taps, 1)) - 2, 0)
    if name == "float64":  # 4 eps; pairwise summation beyond 16 taps
        return (4 + large + 4 * gradient) * 2.0**-52, 0.5
    scale = 2.0**-22 * (1 + 3 * gradient)
    if name == "float32":
        return scale, 1.0
    # half floats accumulate in float32, whose own error grows with the number of taps, and round once
    return scale * (1 + large), 0.501


def bounds(fn_name, x, *args, **kwargs):
    """The exact result of a sum or an average, and how far from it a result may be.

    Parameters
    ----------
    fn_name, x, *args, **kwargs
        As in `reference`.

    Returns
    -------
    expected : ndarray of float64
        The result before it is rounded to its dtype.
    tolerance : ndarray of float64, or 0.0
        The largest error that the documented accuracy allows: for float32, 2⁻²² of the sum (or mean) of ``|x|`` plus
        1 ulp of the result; 0 for maxima and minima, and for integers but the means of 64-bit ones.
    dtype : dtype
        The dtype the result must have.
    """
    call = _Call(fn_name, x, args, kwargs)
    with np.errstate(all="ignore"):
        if call.op in ("max", "min"):
            return call.restore(_selected(call)[0]), 0.0, call.dtype
        values = _exact_input(call.x)
        if not is_floating(call.dtype):
            expected = call.restore(_finished(call, _totals(call, values)))
            if call.op != "avg" or call.x.dtype.itemsize < 8:
                return expected, 0.0, call.dtype
            # Means of 64-bit integers are taken in float64, as NumPy takes them.
            size = np.abs(_quotient(_totals(call, np.abs(values)), call.divisor)).astype(np.float64)
            return expected, call.restore(np.where(size > 2.0**40, 1 + size * 2.0**-50, 0.0)), call.dtype
        expected = _quotient(_totals(call, values), call.divisor)
        size = np.abs(_quotient(_totals(call, np.abs(values)), call.divisor))
        scale, ulps = _rounding(call.dtype, math.prod(w.shape[1] for w in call.windows))
        tolerance = scale * size + ulps * ulp(expected, call.dtype)
    return call.restore(expected), call.restore(tolerance), call.dtype


def vjp_bounds(fn_name, x, args, kwargs, dy):
    """The exact gradient of `reference_vjp`, and how far from it a gradient may be.

    Parameters
    ----------
    fn_name, x, args, kwargs, dy
        As in `reference_vjp`.

    Returns
    -------
    expected, tolerance, dtype
        As in `bounds`. What a maximum or minimum passes on from one window alone must be exact; sums may err by a few
        roundings.
    """
    call, expected, size, count = _gradient(fn_name, x, args, kwargs, dy)
    dtype = call.x.dtype
    with np.errstate(all="ignore"):
        scale, ulps = _rounding(dtype, math.prod(w.shape[1] for w in call.windows), gradient=True)
        tolerance = scale * size + ulps * ulp(expected, dtype)
        if call.op in ("max", "min"):
            tolerance[count <= 1] = 0
    return call.restore(expected), call.restore(tolerance), dtype
