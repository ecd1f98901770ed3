"""Gradients of what `cuda` computes: gathers alone, so that an element is written by one thread."""

from __future__ import annotations

from dataclasses import replace

from numbapool import device, dtypes
from numbapool.backends import cuda_learned, cuda_norms, cuda_passes, cuda_plans, cuda_positions, cuda_weighed
from numbapool.backends.cpu import result_layout
from numbapool.backends.cuda import copied, forward
from numbapool.device import DeviceArray
from numbapool.reductions import ALL, SUM, Elements


def vjp(request):
    """The result of a request, its values alone, and the function that takes dy to dx."""
    if request.reduction.power is not None:
        return cuda_norms.vjp(request)
    kind, x, indices = request.kind, request.x, None
    key = cuda_plans.key_kind(request.windows) if request.reduction.selecting else None
    if request.presence.elements and not request.reduction.selecting:
        return _weighed_vjp(request)
    stages: list[DeviceArray] = []
    y, keys = forward(request, key, request.out[0], stages=stages)
    if not cuda_passes.goes_back(request):
        stages.clear()
    if request.indices:  # what backward needs stays private
        indices = cuda_positions.indices(request, keys, key)
    shape, order, name = x.shape, result_layout(x.shape, x.strides), request.x_name

    def pullback(dy):
        dx = kind.empty(shape, order, name)
        if dx.size == 0:  # and so has dy: windows are never none at all
            return dx
        if dy.dtype.name != request.y_name:
            dy = copied(dy, kind, request.y_name)
        rest = request
        if stages:
            return cuda_passes.carried_back(request, dy, dx, stages)
        if not key:
            dy, rest = cuda_passes.first_back(request, dy)
        plan = cuda_plans.backward(
            rest.reduction.mean, shape, dx.strides, name, rest.axes, rest.windows, dy.dtype.name, rest.divisor, dy.strides, key,
            keys.strides if key else None, cuda_plans.low_bits(dx, dy, keys),
        )  # fmt: skip
        plan.run(dx.device, device.stream_of(kind), (dy.address, dx.address, keys.address if key else 0))
        return dx

    return ((y, indices) if request.indices else y), y, pullback


def _weighed_vjp(request):
    """As `vjp`, for sums and means over elements that are missing or weighed: dx = factor · Σ dy / sum of weights.

    Weights that float have a gradient of their own, Σ dy (x − y) / sum of weights, for sums Σ dy x.
    """
    kind, x, present, mean = request.kind, request.x, request.presence, request.reduction.mean
    elements, given = present.elements, present.given
    learned = dtypes.is_float(elements.weights) if elements.weights else False
    exact = None
    if learned and mean:
        # Results before they are rounded, in memory that the caller does not have.
        exact, sums = forward(replace(request, dtype="float64"), "weights")
        y = copied(exact, kind, request.y_name)
    else:
        y, sums = forward(request, "weights" if mean else None)
    compute = "float64" if "float64" in (request.x_name, request.y_name, given.dtype) else "float32"
    summing = replace(request, reduction=SUM)

    def new(like, dtype):
        return kind.empty(like.shape, result_layout(x.shape, x.strides), dtype)

    def pullback(dy):
        if dy.dtype.name != request.y_name:
            dy = copied(dy, kind, request.y_name)
        dx = new(x, request.x_name)
        if dx.size == 0:
            return (dx, cuda_learned.nothing(request)) if learned else dx
        share = dy
        if sums is not None:
            share = cuda_weighed.fill(kind, dy, new(dy, compute), compute, "divides", ALL, sums)
        total = spread(summing, share, new(x, compute))
        where = cuda_learned.covered(request, new) if learned else present.where
        kept = replace(elements, where=where is not None)
        cuda_weighed.fill(
            kind, total, dx, compute, "", kept, x if elements.omit else None, where, present.weights
        )
        if not learned:
            return dx
        back = None
        if exact is not None:
            by = Elements(weights=exact.dtype.name)
            share = cuda_weighed.fill(kind, dy, new(dy, compute), compute, "divides", by, sums, None, exact)
            back = spread(summing, share, new(x, compute))
            where = cuda_learned.covered(request, new, sums)
        return dx, cuda_learned.gradient(request, total, back, where, compute)

    return y, y, pullback


def spread(request, dy, dx):
    """Fill dx with the sums of dy over the windows that cover its elements."""
    dy, rest = cuda_passes.first_back(request, dy)
    plan = cuda_plans.backward(
        rest.reduction.mean, dx.shape, dx.strides, dx.dtype.name, rest.axes, rest.windows, dy.dtype.name, rest.divisor, dy.strides, None, None,
        cuda_plans.low_bits(dx, dy),
    )  # fmt: skip
    plan.run(dx.device, device.stream_of(request.kind), (dy.address, dx.address, 0))
    return dx
