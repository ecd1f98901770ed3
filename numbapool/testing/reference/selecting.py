"""Maxima and minima: one tap of each window, whatever made the windows."""

import math

import numpy as np

from .call import taps


def _identity(dtype, largest):
    if dtype.kind == "b":
        return not largest
    if dtype.kind in "iu":
        return np.iinfo(dtype).min if largest else np.iinfo(dtype).max
    return -np.inf if largest else np.inf


def select(x, windows, largest, present):
    """Value and flat plane index of the first largest (or smallest) present tap of each window.

    The first NaN wins over everything; a window without a tap gives the identity and -1.
    """
    sizes = x.shape[x.ndim - len(windows) :]
    plane = np.arange(math.prod(sizes)).reshape(sizes)
    shape = x.shape[: x.ndim - len(windows)] + tuple(len(w) for w in windows)
    best = np.full(shape, _identity(x.dtype, largest), x.dtype)
    index = np.full(shape, -1, np.int64)
    for outputs, inputs in taps(windows, sizes):
        old, new = best[outputs], x[inputs]
        beats = (new > old) if largest else (new < old)
        beats |= (new != new) & (old == old)
        beats |= index[outputs] < 0
        beats &= present[inputs]
        best[outputs] = np.where(beats, new, old)
        index[outputs] = np.where(beats, plane[inputs[1:]], index[outputs])
    return best, index


def any_tap(flags, windows):
    """Whether any tap of each window is flagged."""
    sizes = flags.shape[flags.ndim - len(windows) :]
    found = np.zeros(flags.shape[: flags.ndim - len(windows)] + tuple(len(w) for w in windows), bool)
    for outputs, inputs in taps(windows, sizes):
        found[outputs] |= flags[inputs]
    return found


def forward(call):
    """Values and indices."""
    largest = call.op == "max"
    if call.form == "fractional":
        best, index = np.empty(call.shape, call.x.dtype), np.empty(call.shape, np.int64)
        for plane in np.ndindex(call.lead):
            windows = call.random_windows(plane)
            best[plane], index[plane] = select(call.x[plane], windows, largest, call.present[plane])
        return best, index
    best, index = select(call.x, call.windows, largest, call.present)
    if call.dropped.any():  # of nothing but NaNs
        best[(index < 0) & any_tap(call.dropped, call.windows)] = np.nan
    return best, index


def scatter(call, index, dy):
    """Each output's `dy` added to the element that its index names; the sums of magnitudes where more than one is."""
    planes, elements = math.prod(call.lead), math.prod(call.sizes)
    dx, size, count = np.zeros((3, planes, elements))
    rows, columns = np.nonzero((index >= 0).reshape(planes, -1 if planes else 0))
    into = rows, index.reshape(planes, -1 if planes else 0)[rows, columns]
    values = dy.reshape(planes, -1 if planes else 0)[rows, columns]
    np.add.at(dx, into, values)
    np.add.at(size, into, np.abs(values))
    np.add.at(count, into, 1)
    size[count <= 1] = 0  # what comes from one window alone is exact
    return dx.reshape(call.x.shape), size.reshape(call.x.shape)


def backward(call, dy):
    """[(dx, sum of magnitudes)]."""
    return [scatter(call, forward(call)[1], dy)]
