"""Sums and averages, with and without weights."""

import numpy as np

from .arithmetic import exact, half_even, is_floating, quotient, wrapped
from .call import add_to, taps


def totals(values, windows):
    """Sum over the taps on the axes: exact for integers, twice the precision of float64 for floats."""
    sizes = values.shape[values.ndim - len(windows) :]
    shape = values.shape[: values.ndim - len(windows)] + tuple(len(w) for w in windows)
    total, error = np.zeros(shape, values.dtype), np.zeros(shape, values.dtype)
    for outputs, inputs in taps(windows, sizes):
        a, b = total[outputs], values[inputs]
        s = a + b
        if values.dtype == np.float64:  # Knuth's TwoSum: a + b = s + (what s lost)
            c = s - a
            error[outputs] += (a - (s - c)) + (b - c)
        total[outputs] = s
    return np.where(np.isfinite(total), total + error, total) if values.dtype == np.float64 else total


def _terms(call):
    """What is added up over each window: x or weight · x, and 0 for what is not present."""
    # (float64 holds the product of two float32 exactly)
    values = exact(call.x) if call.weights is None else call.x.astype(np.float64) * call.weights
    return np.where(call.present, values, np.zeros((), values.dtype))


def _divisor(call):
    if call.op == "sum":
        return 1
    if call.divisor is not None:
        return call.divisor
    if call.weights is None:
        return totals(call.present.astype(np.int64), call.windows)
    return totals(np.where(call.present, call.weights, 0.0), call.windows)


def _conditioning(call, divisor):
    """How much a rounding of the sum of weights is worth in the result: 1 unless weights cancel each other."""
    if call.op == "sum" or call.weights is None:
        return np.ones(())
    size = totals(np.where(call.present, np.abs(call.weights), 0.0), call.windows)
    return np.where(divisor == 0, 1.0, size / np.abs(divisor))


def expected(call):
    """The result before it is rounded, in float64, and the sum of magnitudes that its accuracy is measured by."""
    terms, divisor = _terms(call), _divisor(call)
    value = quotient(totals(terms, call.windows), divisor)
    size = np.abs(quotient(totals(np.abs(terms), call.windows), divisor))
    return value, size * (2 * _conditioning(call, divisor) - 1)


def forward(call):
    """The result in its dtype, and no indices."""
    dtype = call.dtype
    if is_floating(dtype):
        return expected(call)[0].astype(dtype), None
    if call.weights is not None:
        value = expected(call)[0]
        integers = np.array([int(v) if np.isfinite(v) else 0 for v in np.rint(value).ravel()], object)
        integers = integers.reshape(value.shape)
        if call.op == "avg" and dtype == call.x.dtype and dtype.kind in "iu":
            # negative weights can leave the range
            integers = np.clip(integers, np.iinfo(dtype).min, np.iinfo(dtype).max)
        return wrapped(integers, dtype), None
    total, divisor = totals(_terms(call), call.windows), _divisor(call)
    if call.op == "sum":
        return wrapped(total, dtype), None
    if isinstance(divisor, float) and not divisor.is_integer():
        return np.rint(quotient(total, divisor)).astype(dtype), None
    return wrapped(half_even(total, int(divisor) if isinstance(divisor, float) else divisor), dtype), None


def integer_tolerance(call):
    """How far an integer result may be from `forward`."""
    if call.weights is None and (call.op == "sum" or call.x.dtype.itemsize < 8):
        return 0.0
    # Means of 64-bit integers are taken in float64, as NumPy takes them, and so is everything with weights.
    value, size = expected(call)
    allowed = np.where(size > 2.0**40, 1 + size * 2.0**-50, 0.0)
    if call.weights is not None:  # near a tie either side will do
        allowed += np.abs(np.abs(value - np.floor(value)) - 0.5) <= size * 2.0**-48
    return allowed


def backward(call, dy):
    """[(dx, sum of magnitudes)], and the same for the weights where they are floating."""
    divisor = np.broadcast_to(_divisor(call), call.shape)
    live = divisor != 0  # nothing there, or weights that cancel: no gradient
    share = np.where(live, dy / divisor, 0.0)
    scale = np.abs(share) * _conditioning(call, divisor)
    weights = np.ones(call.x.shape) if call.weights is None else call.weights
    dx, dx_size, dw, dw_size = np.zeros((4, *call.x.shape))
    for outputs, inputs in taps(call.windows, call.sizes):
        there = call.present[inputs] & live[outputs]
        w = weights[inputs]
        add_to(dx, inputs, np.where(there, share[outputs] * w, 0.0))
        add_to(dx_size, inputs, np.where(there, scale[outputs] * np.abs(w), 0.0))
    if call.weights is None or not is_floating(call.weights_dtype):
        return [(dx, dx_size)]
    x = call.x.astype(np.float64)
    mean, mean_size = expected(call) if call.op == "avg" else np.zeros((2, *call.shape))
    for outputs, inputs in taps(call.windows, call.sizes):  # d(Σwx/Σw)/dw = (x - mean)/Σw; of a sum: x
        there, v = call.present[inputs] & live[outputs], x[inputs]
        add_to(dw, inputs, np.where(there, share[outputs] * (v - mean[outputs]), 0.0))
        add_to(dw_size, inputs, np.where(there, scale[outputs] * (np.abs(v) + mean_size[outputs]), 0.0))
    return [(dx, dx_size), (dw, dw_size)]
