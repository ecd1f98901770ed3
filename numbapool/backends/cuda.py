"""Memory of a CUDA device: results from the caller's library, kernels on its stream. Nothing here waits for the device but the check of values."""

from __future__ import annotations

from numbapool import device
from numbapool.backends import cuda_plans
from numbapool.backends.cpu import result_layout
from numbapool.device import DeviceArray


def run(request):
    """Carry out a request; the result, or with `return_indices` the pair (y, indices)."""
    _supported(request)
    y, keys = forward(request, "positions" if request.indices else None, *request.out)
    return (y, keys) if request.indices else y


def vjp(request):
    """The result of a request, its values alone, and the function that takes dy to dx."""
    _supported(request)
    kind, x, indices = request.kind, request.x, None
    key = cuda_plans.key_kind(request.windows) if request.reduction.selecting else None
    y, keys = forward(request, key, request.out[0])
    if request.indices:  # what backward needs stays private
        _, indices = forward(request, "positions")
    shape, order, name = x.shape, result_layout(x.shape, x.strides), request.x_name

    def pullback(dy):
        dx = kind.empty(shape, order, name)
        if dx.size == 0:
            return dx
        if dy.size == 0:
            raise NotImplementedError("gradients of empty results on a GPU")
        if dy.dtype.name != request.y_name:
            dy = copied(dy, kind, request.y_name)
        plan = cuda_plans.backward(
            request.reduction.mean, shape, dx.strides, name, request.axes, request.windows, request.y_name, request.divisor, dy.strides, key,
            keys.strides if key else None, _low(dx, dy, keys),
        )  # fmt: skip
        plan.run(dx.device, device.stream_of(kind), (dy.address, dx.address, keys.address if key else 0))
        return dx

    return ((y, indices) if request.indices else y), y, pullback


def _supported(request):
    present = request.presence
    for name, used in (
        ("nan_policy='omit'", present.elements.omit),
        ("where", present.where is not None),
        ("weights", present.weights is not None),
        ("norms", request.reduction.power is not None),
        ("fractional windows", request.planes is not None),
    ):
        if used:
            raise NotImplementedError(f"{name} on a GPU: not in this version; copy x to the host")


def forward(request, key, y=None, keys=None):
    """The values and, if `key` names what is saved beside them ("positions", "places"), that. Written to y and keys where they are given."""
    x, shape, kind = request.x, request.shape, request.kind
    order = result_layout(x.shape, x.strides)
    stream = device.stream_of(kind)
    if any(o is not None and o.overlaps(x) for o in (y, keys)):
        x = copied(x, kind)
    y = kind.empty(shape, order, request.y_name) if y is None else y
    if key:
        keys = kind.empty(shape, order, "uint8" if key == "places" else "int64") if keys is None else keys
    if y.size == 0:
        return y, keys
    plan = cuda_plans.forward(
        request.reduction, x.shape, x.strides, request.x_name, request.axes, request.windows, request.dtype, request.divisor, y.strides, key,
        keys.strides if key else None, _low(x, y, keys),
    )  # fmt: skip
    plan.run(x.device, stream, (x.address, y.address, keys.address if key else 0))
    return y, keys


def _low(*arrays):
    """The low bits of addresses, which say how elements can be moved."""
    low = 0
    for array in arrays:
        if array is not None:
            low |= array.address
    return low % cuda_plans.WORD


def copied(x: DeviceArray, kind, dtype: str = "") -> DeviceArray:
    """A copy, of another dtype if one is named, made on the device."""
    from numbapool.reductions import MAX, SUM
    from numbapool.windows import untouched

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
