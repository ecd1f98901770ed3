"""Memory of a CUDA device: results from the caller's library, kernels on its stream. Nothing here waits for the device but the check of values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from numbapool import device, driver, dtypes
from numbapool.backends import cuda_fractional, cuda_passes, cuda_plans, cuda_weighed
from numbapool.backends.cpu import result_layout
from numbapool.device import DeviceArray
from numbapool.presence import WHOLE
from numbapool.reductions import ALL, MAX, SUM, Elements
from numbapool.request import Request
from numbapool.windows import sliding, untouched


def run(request):
    """Carry out a request; the result, or with `return_indices` the pair (y, indices)."""
    y, keys = forward(request, "positions" if request.indices else None, *request.out)
    return (y, keys) if request.indices else y


def vjp(request):
    """The result of a request and the function that takes dy to dx."""
    from numbapool.backends import cuda_backward

    return cuda_backward.vjp(request)


def forward(request, key, y=None, keys=None, stages=None):
    """The values and, if `key` names what is saved beside them ("positions", "places"), that. Written to y and keys where they are given.

    `stages`: a list for what the passes of windows that are merged axis by axis have saved, the last first.
    """
    x, shape, kind = request.x, request.shape, request.kind
    order = result_layout(x.shape, x.strides)
    stream = device.stream_of(kind)
    if any(o is not None and o.overlaps(x) for o in (y, keys)):
        x = copied(x, kind)
    y = kind.empty(shape, order, request.y_name) if y is None else y
    if key:
        keys = kind.empty(shape, order, _key_dtype(request, key)) if keys is None else keys
    if y.size == 0:
        return y, keys
    if request.planes is not None:
        cuda_fractional.run(request, x, y, keys, key, stream)
        return y, keys
    if request.presence.elements or request.reduction.power is not None:
        if cuda_passes.adds(request):
            _added(request, x, y, keys)
        else:
            _weighed(request, x, y, keys, key, stream)
        return y, keys
    if key and cuda_passes.carries(request):
        kept = cuda_passes.carried(request, x, y, keys, stream)
        if stages is not None:
            stages += kept
        return y, keys
    if not key:
        x, request = cuda_passes.first(request, x)
    plan = cuda_plans.forward(
        request.reduction, x.shape, x.strides, x.dtype.name, request.axes, request.windows, request.dtype, request.divisor, y.strides, key,
        keys.strides if key else None, cuda_plans.low_bits(x, y, keys),
    )  # fmt: skip
    plan.run(x.device, stream, (x.address, y.address, keys.address if key else 0))
    return y, keys


def _key_dtype(request, key):
    """The dtype of what is saved beside values."""
    if key != "weights":
        return "uint8" if key == "places" else "int64"
    x = request.x
    return cuda_weighed.sums_dtype(
        request.reduction,
        request.x_name,
        request.dtype,
        request.axes,
        request.windows,
        request.presence.elements,
        x.shape,
        x.strides,
    )


def _weighed(request, x, y, keys, key, stream):
    """Fill y and keys where elements are missing, weighed or raised to a power."""
    present = request.presence
    where, weights = (
        a
        if a is None or not any(o is not None and o.overlaps(a) for o in (y, keys))
        else copied(a, request.kind)
        for a in (present.where, present.weights)
    )
    plan = cuda_weighed.forward(
        request.reduction, x.shape, x.strides, request.x_name, request.axes, request.windows, request.dtype, y.strides, key,
        keys.strides if key else None, present.elements, where and where.strides, weights and weights.strides,
        cuda_plans.low_bits(x, y, keys),
    )  # fmt: skip
    arrays = (x, y, keys if key else None, where, weights)[: len(plan.offsets[0])]
    plan.run(x.device, stream, tuple(0 if a is None else a.address for a in arrays))


def _added(request, x, y, keys):
    """Fill y and keys with sums or means over large windows, and with sums of weights: what is missing is made 0, and the rest weighed, in memory of its own, over which windows are as cheap as any."""
    kind, present = request.kind, request.presence
    elements, weights = present.elements, present.weights
    compute = _key_dtype(request, "weights")  # as wherever sums of weights are saved
    plain = replace(request, reduction=SUM, presence=WHOLE)

    def summed(values, to, dtype):
        there = kind.empty(x.shape, result_layout(x.shape, x.strides), compute)
        cuda_weighed.fill(
            kind, values, there, compute, "", elements, x if elements.omit else None, present.where, weights
        )
        return forward(replace(plain, x=there, dtype=dtype), None, to)[0]

    if not request.reduction.mean:
        summed(x, y, y.dtype.name)
        return
    sums = summed(x, None, compute)
    counts = summed(ones(kind, x.shape, compute), keys, compute)
    cuda_weighed.fill(kind, sums, y, compute, "means", ALL, counts)


def ones(kind, shape, dtype):
    """An array of ones, in the memory of a single one."""
    one = kind.empty((1,) * len(shape), tuple(range(len(shape))), "uint8")
    driver.fill(one.device, device.stream_of(kind), one.address, 1, 1)
    return copied(one, kind, dtype).broadcast_to(shape)


def refuse_nan(request):
    """Raise if x has a NaN that is not masked. Waits for the stream."""
    x, kind, present = request.x, request.kind, request.presence
    if not dtypes.is_float(request.x_name) or not x.size:
        return
    present = replace(present, partial=True, elements=Elements(where=present.where is not None), weights=None)
    while True:
        windows = (sliding(x.shape[-1], x.shape[-1], 1, 0, 0, 1, False, True),) if x.ndim else ()
        part = Request(MAX, x, (x.ndim - 1,) if x.ndim else (), windows, presence=present, kind=kind)
        x, _ = forward(part, None)
        present = WHOLE
        if x.size == 1:
            break
        x = replace(x, shape=x.shape[:-1], strides=x.strides[:-1])
    data = driver.read(x.device, device.stream_of(kind), x.address, x.itemsize)
    value = np.frombuffer(data, np.uint16 if x.itemsize == 2 else x.dtype)
    if x.dtype.name == "bfloat16":
        value = (value.astype(np.uint32) << 16).view(np.float32)
    elif x.itemsize == 2:
        value = value.view(np.float16)
    if np.isnan(value).any():
        raise ValueError("x contains NaN, and nan_policy is 'raise'")


def copied(x: DeviceArray, kind, dtype: str = "", by_rows: bool = False) -> DeviceArray:
    """A copy, of another dtype if one is named, made on the device: in x's memory order, or row by row."""
    dtype = dtype or x.dtype.name
    order = tuple(range(x.ndim)) if by_rows else result_layout(x.shape, x.strides)
    new = kind.empty(x.shape, order, dtype)
    if x.size:
        reduction = MAX if dtype == x.dtype.name else SUM
        axes = (x.ndim - 1,) if x.ndim else ()
        windows = tuple(untouched(x.shape[a]) for a in axes)
        plan = cuda_plans.forward(
            reduction, x.shape, x.strides, x.dtype.name, axes, windows, dtype, None, new.strides, None, None, cuda_plans.low_bits(x, new)
        )  # fmt: skip
        plan.run(x.device, device.stream_of(kind), (x.address, new.address, 0))
    return new
