"""Lp norms, scaled by the largest (or smallest) magnitude of the window, in the widest floating type there is."""

import math

import numpy as np

from .arithmetic import is_floating
from .call import add_to, taps
from .selecting import scatter, select


def _norm(call):
    """(Σ|x|^p)^(1/p) in long double, and the index of the largest (p > 0) or smallest magnitude."""
    x = call.x.astype(np.float64) if is_floating(call.x.dtype) else call.x  # bfloat16 knows no long double
    magnitude, p = np.abs(x.astype(np.longdouble)), call.norm
    extreme, index = select(magnitude, call.windows, p > 0, call.present)
    extreme = np.where(index < 0, 0, extreme)  # nothing there: 0, for negative p too
    if math.isinf(p):
        return extreme, index
    p = np.longdouble(p)
    scale = np.where(np.isfinite(extreme) & (extreme > 0), extreme, 1)
    total = np.zeros(call.shape, np.longdouble)
    for outputs, inputs in taps(call.windows, call.sizes):
        power = (magnitude[inputs] / scale[outputs]) ** p
        total[outputs] += np.where(call.present[inputs], power, 0)
    return np.where(index < 0, 0, scale * total ** (1 / p)), index


def expected(call):
    """The norm in float64 before it is rounded, and the magnitude that its accuracy is measured by."""
    value = _norm(call)[0].astype(np.float64)
    return value, value * (0 if math.isinf(call.norm) else 2 + 2 / abs(call.norm))


def forward(call):
    """The result in its dtype, and no indices."""
    value = expected(call)[0]
    return (value if is_floating(call.dtype) else np.rint(value)).astype(call.dtype), None


def integer_tolerance(call):
    """How far an integer result may be from `forward`: near a tie either side will do."""
    value, size = expected(call)
    near = np.abs(np.abs(value - np.floor(value)) - 0.5) <= size * 2.0**-48
    return near + np.where(size > 2.0**40, size * 2.0**-50, 0.0)


def backward(call, dy):
    """[(dx, sum of magnitudes)]: dy · sign(x) · (|x|/y)^(p-1), 0 at x = 0 and where the norm is 0."""
    p = call.norm
    norm, index = _norm(call)
    x = call.x.astype(np.float64)
    if math.isinf(p):
        dx, size = scatter(call, index, dy)  # to the first of equal magnitudes
        return [(np.where(dx == 0, 0.0, dx * np.sign(x)), np.where(x == 0, 0.0, size))]
    dx, size = np.zeros((2, *x.shape))
    factor = 2 + 2 * abs(p - 1) * (1 + 1 / abs(p))
    for outputs, inputs in taps(call.windows, call.sizes):
        v, y = x[inputs], norm[outputs]
        slope = np.sign(v) * (np.abs(v) / y) ** (np.longdouble(p) - 1)
        term = np.where(call.present[inputs] & (v != 0) & (y != 0), dy[outputs] * slope, 0).astype(np.float64)
        add_to(dx, inputs, term)
        add_to(size, inputs, np.abs(term) * factor)
    return [(dx, size)]
