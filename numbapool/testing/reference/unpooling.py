"""Max unpooling: every value to the place that its index names."""

import math

import numpy as np


def _writers(call):
    """For every element of the output the flat place of the value written there last, -1 where there is none."""
    planes, elements = math.prod(call.lead), math.prod(call.shape[len(call.lead) :])
    writers = np.full((planes, elements), -1)
    for plane in range(planes):
        for place, target in enumerate(call.indices.reshape(planes, -1)[plane].tolist()):
            if target >= 0:
                writers[plane, target] = place
    return writers


def forward(call):
    """The result, and no indices."""
    writers = _writers(call)
    y = np.zeros(writers.shape, call.x.dtype)
    values = call.x.reshape(len(y), math.prod(call.sizes))
    for plane, row in enumerate(writers):
        y[plane, row >= 0] = values[plane, row[row >= 0]]
    return y.reshape(call.shape), None


def backward(call, dy):
    """[(dx, 0)]: the gradient of what each value wrote and nothing overwrote."""
    writers = _writers(call)
    dx = np.zeros((len(writers), math.prod(call.sizes)))
    dy = dy.reshape(writers.shape)
    for plane, row in enumerate(writers):
        dx[plane, row[row >= 0]] = dy[plane, row >= 0]
    dx = dx.reshape(call.x.shape)
    return [(dx, np.zeros(dx.shape))]
