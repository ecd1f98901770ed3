"""Gradients of what `cpu` computes: a scatter for what selects, the transposed windows for what sums.

Sums over elements of unlike weight, and norms, are the plain sum of the windows' shares, times a factor of each element:
``dx = factor(x) · Σ share(dy, y)``. All of it is one kernel's (`passing.py`); where that would not do (large windows, learned weights, a range of magnitudes that float64
does not hold once raised), shares and factors are NumPy's (`weighed.py`, `norms.py`), on parts that bound their temporaries (`divide.py`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from numbapool import columns, containers, dtypes, presence
from numbapool.backends import cpu, divide, gaps, gradient_plans, norms, passing, weighed
from numbapool.presence import numbers


def vjp(request):
    """The result of a request, its values alone, and the function that takes dy to dx (or to dx and the gradient of the weights)."""
    reduction, elements = request.reduction, request.presence.elements
    if reduction.selecting:
        return _selecting(request)
    key = "weights" if reduction.mean and elements else None
    learned = dtypes.is_float(elements.weights or "bool")
    if learned and key:
        # This gradient needs the result as it was before it was rounded, in memory that the caller does not have.
        exact, sums = cpu.forward(replace(request, dtype="float64"), key)
        y = _rounded(exact, cpu.result_dtype(request))
        return y, y, weighed.pullback(request, exact, sums)
    y, sums = cpu.forward(request, key)
    i = columns.axis(request.windows) if divide.are_long(request) and not learned else None
    return y, y, _pullback(request, sums) if i is None else _in_columns(request, i, sums)


def _pullback(request, sums):
    """The function that takes dy to dx, where no weights are learned; `sums` of those there are, if the result is a mean."""
    if request.reduction.power is not None:
        return norms.pullback(request)
    return (
        weighed.pullback(request, None, sums)
        if request.presence.elements
        else partial(passing.plain, request)
    )


def _in_columns(request, i, sums):
    """The same of windows with gaps, in whose columns there are none."""

    def pullback(dy):
        dx, a = passing.new(request), request.axes[i]
        dx[...] = 0  # also in elements between the columns
        for some, part in gaps.split(request, i, gaps.SIZE):
            pull = _pullback(part, gaps.of_y(sums, a, some))
            gaps.of_x(dx, a, some)[...] = pull(gaps.of_y(dy, a, some))
        return dx

    return pullback


@np.errstate(all="ignore")
def _rounded(exact, dtype):
    """Results in float64 as those that a kernel stores."""
    if dtypes.itemsize(dtypes.name_of(dtype)) == 2:
        exact = exact.astype(np.float32)
    return containers.converted(exact, dtype) if dtype != np.float64 else exact.copy("K")


def _selecting(request):
    y, keys = cpu.forward(request, "places")
    indices = None
    if request.indices:
        indices = request.out[1]
        if keys.dtype == np.uint8:
            indices = cpu.positions(request, keys, indices)
        else:
            indices = keys.astype(np.int64, "K")
    if keys.dtype == np.int64 and any(w.count > 1 for w in request.windows):  # one window a plane has few
        keys = keys.astype(cpu.index_dtype(request), "K", copy=False)

    def pullback(dy):
        dx = passing.new(request)
        if dx.size == 0 or dy.size == 0:
            dx[...] = 0
            return dx
        made = partial(
            gradient_plans.selecting,
            dx.shape, dx.strides, request.x_name, request.axes, request.windows, dtypes.name_of(dy.dtype), dy.strides,
        )  # fmt: skip
        chosen = keys
        plan = made("places" if keys.dtype == np.uint8 else "positions", keys.strides, keys.itemsize)
        if plan is None:  # windows that reach over billions of elements
            chosen = cpu.positions(request, keys)
            plan = made("positions", chosen.strides, chosen.itemsize)
        plan.run(dy, dx, K=chosen)
        if request.reduction.power is not None:  # of a magnitude
            for part in presence.slabs(dx.shape):
                passed = numbers(dx[part])
                with np.errstate(invalid="ignore"):
                    signed = passed * np.sign(numbers(request.x[part]))
                passing.store(dx, part, np.where(passed == 0, 0, signed))
        return dx

    return ((y, indices) if request.indices else y), y, pullback
