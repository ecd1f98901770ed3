"""Memory of a CUDA device: results from the caller's library, kernels on its stream. Nothing here waits for the device but the check of values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from numbapool import device, driver, dtypes
from numbapool.backends import cuda_fractional, cuda_plans, cuda_weighed
from numbapool.backends.cpu import result_layout
from numbapool.device import DeviceArray
from numbapool.presence import WHOLE
from numbapool.reductions import ALL, MAX, SUM, Elements
from numbapool.request import Request
from numbapool.windows import sliding, untouched


def run(request):
    """Carry out a request; the result, or with `return_indices` the pair (y, indices)."""
    _supported(request)
    y, keys = forward(request, "positions" if request.indices else None, *request.out)
    return (y, keys) if request.indices else y


def vjp(request):
    """The result of a request, its values alone, and the function that takes dy to dx."""
    _supported(request, backward=True)
    kind, x, indices = request.kind, request.x, None
    key = cuda_plans.key_kind(request.windows) if request.reduction.selecting else None
    if request.presence.elements and not request.reduction.selecting:
        return _weighed_vjp(request)
    y, keys = forward(request, key, request.out[0])
    if request.indices:  # what backward needs stays private
        indices = copied(keys, kind) if key == "positions" else forward(request, "positions")[1]
    shape, order, name = x.shape, result_layout(x.shape, x.strides), request.x_name

    def pullback(dy):
        dx = kind.empty(shape, order, name)
        if dx.size == 0:  # and so has dy: windows are never none at all
            return dx
        if dy.dtype.name != request.y_name:
            dy = copied(dy, kind, request.y_name)
        rest = request
        if not key:
            dy, rest = _first_passes_back(request, dy)
        plan = cuda_plans.backward(
            rest.reduction.mean, shape, dx.strides, name, rest.axes, rest.windows, dy.dtype.name, rest.divisor, dy.strides, key,
            keys.strides if key else None, _low(dx, dy, keys),
        )  # fmt: skip
        plan.run(dx.device, device.stream_of(kind), (dy.address, dx.address, keys.address if key else 0))
        return dx

    return ((y, indices) if request.indices else y), y, pullback


def _weighed_vjp(request):
    """As `vjp`, for sums and means over elements that are missing or weighed: dx = factor · Σ dy / sum of weights."""
    kind, x, present, reduction = request.kind, request.x, request.presence, request.reduction
    elements = present.elements
    y, sums = forward(request, "weights" if reduction.mean else None)
    compute = "float64" if "float64" in (request.x_name, request.y_name) else "float32"

    def new(like, dtype):
        return kind.empty(like.shape, result_layout(x.shape, x.strides), dtype)

    def pullback(dy):
        if dy.dtype.name != request.y_name:
            dy = copied(dy, kind, request.y_name)
        dx = new(x, request.x_name)
        if dx.size == 0:
            return dx
        if sums is not None:
            share = new(dy, compute)
            _factored(kind, dy, share, sums, compute, True, ALL)
            dy = share
        total = _spread(replace(request, reduction=SUM), dy, new(x, compute))
        beside = x if elements.omit else None
        _factored(kind, total, dx, beside, compute, False, elements, present.where, present.weights)
        return dx

    return y, y, pullback


def _factored(kind, x, y, beside, compute, divides, elements, where=None, weights=None):
    """Fill y with x divided by what lies beside it, or weighed and masked."""
    arrays: tuple[DeviceArray | None, ...] = x, y, beside, where, weights
    names = tuple("" if a is None else a.dtype.name for a in arrays[:3])
    if not x.ndim:
        arrays = tuple(a if a is None else a.reshape((1,)) for a in arrays)
    strides = tuple(None if a is None else a.strides for a in arrays)
    plan = cuda_weighed.factored(x.shape or (1,), names, strides, compute, divides, elements)
    plan.run(x.device, device.stream_of(kind), tuple(0 if a is None else a.address for a in arrays))


def _spread(request, dy, dx):
    """Fill dx with the sums of dy over the windows that cover its elements."""
    dy, rest = _first_passes_back(request, dy)
    plan = cuda_plans.backward(
        rest.reduction.mean, dx.shape, dx.strides, dx.dtype.name, rest.axes, rest.windows, dy.dtype.name, rest.divisor, dy.strides, None, None,
        _low(dx, dy),
    )  # fmt: skip
    plan.run(dx.device, device.stream_of(request.kind), (dy.address, dx.address, 0))
    return dx


def _supported(request, backward=False):
    """Raise for what has no kernel here yet."""
    reduction, elements = request.reduction, request.presence.elements
    names = []
    if backward and reduction.power is not None:
        names.append("the gradient of norms")
    if backward and not reduction.selecting and elements.weights and dtypes.is_float(elements.weights):
        names.append("the gradient with respect to weights")
    if names:
        raise NotImplementedError(f"{names[0]} on a GPU: not in this version; copy x to the host")


def forward(request, key, y=None, keys=None):
    """The values and, if `key` names what is saved beside them ("positions", "places"), that. Written to y and keys where they are given."""
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
        _weighed(request, x, y, keys, key, stream)
        return y, keys
    if not key:
        x, request = _first_passes(request, x)
    plan = cuda_plans.forward(
        request.reduction, x.shape, x.strides, x.dtype.name, request.axes, request.windows, request.dtype, request.divisor, y.strides, key,
        keys.strides if key else None, _low(x, y, keys),
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
    )  # fmt: skip
    arrays = x, y, keys if key else None, where, weights
    plan.run(x.device, stream, tuple(0 if a is None else a.address for a in arrays))


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


def _first_passes(request, x):
    """x with all pooled axes but one merged already, and the request for the last: of windows of many taps along several axes."""
    windows, axes, reduction = request.windows, request.axes, request.reduction
    if not cuda_plans.in_passes([w.most for w in windows], windows):
        return x, request
    constant = cuda_plans.same_divisor(windows, request.divisor) if reduction.mean else None
    if constant == 0:
        return x, request  # each has a divisor of its own, which the last pass would not know
    part = reduction if reduction.selecting else SUM
    dtype = (
        x.dtype.name
        if reduction.selecting
        else SUM.types(x.dtype.name, _wider(x.dtype.name, request.y_name), False).y
    )
    # The axis first that leaves the fewest elements.
    order = sorted(range(len(axes)), key=lambda n: (windows[n].count / windows[n].size, n))
    for n in order[:-1]:
        shape = tuple(windows[n].count if a == axes[n] else size for a, size in enumerate(x.shape))
        through = request.kind.empty(shape, result_layout(x.shape, x.strides), dtype)
        plan = cuda_plans.forward(
            part, x.shape, x.strides, x.dtype.name, (axes[n],), (windows[n],), dtype, None, through.strides, None, None, _low(x, through)
        )  # fmt: skip
        plan.run(x.device, device.stream_of(request.kind), (x.address, through.address, 0))
        x = through
    last = order[-1]
    return x, replace(
        request,
        x=x,
        axes=(axes[last],),
        windows=(windows[last],),
        dtype=None if reduction.selecting else request.y_name,
        divisor=constant,
    )


def _first_passes_back(request, dy):
    """dy spread over all pooled axes but one already, and the request for the last."""
    windows, axes, mean = request.windows, request.axes, request.reduction.mean
    constant = cuda_plans.same_divisor(windows, request.divisor) if mean else None
    if constant == 0 or not cuda_plans.in_passes([w.transposed.most for w in windows], windows):
        return dy, request
    order = sorted(range(len(axes)), key=lambda n: (windows[n].size / windows[n].count, n))
    dtype = _wider(dy.dtype.name, request.x_name)
    for n in order[:-1]:
        shape = tuple(windows[n].size if a == axes[n] else size for a, size in enumerate(dy.shape))
        through = request.kind.empty(shape, result_layout(dy.shape, dy.strides), dtype)
        plan = cuda_plans.backward(
            False, shape, through.strides, dtype, (axes[n],), (windows[n],), dy.dtype.name, None, dy.strides, None, None, _low(dy, through)
        )  # fmt: skip
        plan.run(dy.device, device.stream_of(request.kind), (dy.address, through.address, 0))
        dy = through
    last = order[-1]
    return dy, replace(request, axes=(axes[last],), windows=(windows[last],), divisor=constant)


def _wider(x, y):
    """The dtype of sums between passes."""
    if not dtypes.is_float(x):
        return None if not dtypes.is_float(y) else "float64"
    return "float64" if "float64" in (x, y) else "float32"


def _low(*arrays):
    """The low bits of addresses, which say how elements can be moved."""
    low = 0
    for array in arrays:
        if array is not None:
            low |= array.address
    return low % cuda_plans.WORD


def copied(x: DeviceArray, kind, dtype: str = "") -> DeviceArray:
    """A copy, of another dtype if one is named, made on the device."""
    dtype = dtype or x.dtype.name
    new = kind.empty(x.shape, result_layout(x.shape, x.strides), dtype)
    if x.size:
        reduction = MAX if dtype == x.dtype.name else SUM
        axes = (x.ndim - 1,) if x.ndim else ()
        windows = tuple(untouched(x.shape[a]) for a in axes)
        plan = cuda_plans.forward(
            reduction, x.shape, x.strides, x.dtype.name, axes, windows, dtype, None, new.strides, None, None, _low(x, new)
        )  # fmt: skip
        plan.run(x.device, device.stream_of(kind), (x.address, new.address, 0))
    return new
