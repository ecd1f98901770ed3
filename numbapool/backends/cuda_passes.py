"""Large windows of several axes, merged axis by axis by several launches, so that the cost is the sum of their sizes and not the product."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

from numbapool import device, dtypes
from numbapool.backends import cuda_plans, cuda_weighed
from numbapool.backends.blocks import roles
from numbapool.backends.cpu import result_layout
from numbapool.backends.cuda_plans import low_bits
from numbapool.device import DeviceArray
from numbapool.kernels.cuda import bind
from numbapool.layout import canonical
from numbapool.reductions import SUM


def first(request, x):
    """x with all pooled axes but one merged already, and the request for the last: of windows of many taps along several axes."""
    windows, axes, reduction = request.windows, request.axes, request.reduction
    if not cuda_plans.in_passes([w.most for w in windows], windows):
        return x, request
    constant = cuda_plans.same_divisor(windows, request.divisor) if reduction.mean else None
    own = constant == 0  # divisors, of which each axis has its part
    if own and not dtypes.is_float(request.y_name):
        return x, request  # which is rounded, and once
    part = reduction if reduction.selecting or own else SUM
    dtype = (
        x.dtype.name
        if reduction.selecting
        else part.types(x.dtype.name, wider(x.dtype.name, request.y_name), False).y
    )
    # The axis first that leaves the fewest elements; but of 0.0 and -0.0 the first stays only if rows are merged before columns.
    order = sorted(range(len(axes)), key=lambda n: (windows[n].count / windows[n].size, n))
    if reduction.selecting and dtypes.is_float(x.dtype.name):
        order.sort(reverse=True)
    for n in order[:-1]:
        shape = tuple(windows[n].count if a == axes[n] else size for a, size in enumerate(x.shape))
        through = request.kind.empty(shape, result_layout(x.shape, x.strides), dtype)
        plan = cuda_plans.forward(
            part, x.shape, x.strides, x.dtype.name, (axes[n],), (windows[n],), dtype, None, through.strides, None, None, low_bits(x, through)
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
        divisor=constant or None,
    )


def first_back(request, dy):
    """dy spread over all pooled axes but one already, and the request for the last."""
    windows, axes, mean = request.windows, request.axes, request.reduction.mean
    constant = cuda_plans.same_divisor(windows, request.divisor) if mean else None
    if not cuda_plans.in_passes([w.transposed.most for w in windows], windows):
        return dy, request
    order = sorted(range(len(axes)), key=lambda n: (windows[n].size / windows[n].count, n))
    dtype = wider(dy.dtype.name, request.x_name)
    for n in order[:-1]:
        shape = tuple(windows[n].size if a == axes[n] else size for a, size in enumerate(dy.shape))
        through = request.kind.empty(shape, result_layout(dy.shape, dy.strides), dtype)
        plan = cuda_plans.backward(
            constant == 0, shape, through.strides, dtype, (axes[n],), (windows[n],), dy.dtype.name, None, dy.strides, None, None,
            low_bits(dy, through),
        )  # fmt: skip
        plan.run(dy.device, device.stream_of(request.kind), (dy.address, through.address, 0))
        dy = through
    last = order[-1]
    return dy, replace(request, axes=(axes[last],), windows=(windows[last],), divisor=constant or None)


def wider(x, y):
    """The dtype of sums between passes."""
    if not dtypes.is_float(x):
        return None if not dtypes.is_float(y) else "float64"
    return "float64" if "float64" in (x, y) else "float32"


def carries(request):
    """Whether values go with their places from pass to pass."""
    windows, presence = request.windows, request.presence
    plain = request.planes is None and not presence.elements and request.reduction.power is None
    taps = [w.most for w in windows]
    # What has a place is never nothing, which is a place that others could not be told from.
    return (
        plain
        and prod(taps) >= cuda_plans.MANY_TAPS
        and cuda_plans.in_passes(taps, windows)
        and min(w.least for w in windows) > 0
    )


def adds(request):
    """Whether elements that are missing or weighed are added up like others, once they are made 0 or weighed: where windows are so large that these take fewer steps, or are shared by threads."""
    windows, plain = request.windows, request.planes is None and request.reduction.power is None
    if request.reduction.selecting or not plain or not dtypes.is_float(request.x_name):
        return False
    taps = [w.most for w in windows]
    shared = cuda_plans.is_apart(windows, cuda_plans.MANY_TAPS)
    return prod(taps) >= cuda_plans.MANY_TAPS and (shared or cuda_plans.in_passes(taps, windows))


def goes_back(request):
    """Whether the gradient of such windows takes the same way back."""
    return carries(request) and cuda_plans.in_passes(
        [w.transposed.most for w in request.windows], request.windows
    )


def carried(request, x, y, keys, stream):
    """Fill y and keys with values and their positions; the positions after every pass, those of the last first.

    Of equal values each pass keeps the one with the lower position so far, so the last keeps the first of all.
    """
    axes, windows, reduction, kind = request.axes, request.windows, request.reduction, request.kind
    steps = _steps(x.shape, axes)
    layout, held = result_layout(x.shape, x.strides), None
    stages: list[DeviceArray] = []
    for n in reversed(range(len(axes))):
        shape = tuple(windows[n].count if a == axes[n] else size for a, size in enumerate(x.shape))
        out = y if n == 0 else kind.empty(shape, layout, x.dtype.name)
        places = keys if n == 0 else kind.empty(shape, layout, "int64")
        if held is None:
            plan = cuda_plans.forward(
                reduction, x.shape, x.strides, x.dtype.name, (axes[n],), (windows[n],), None, None, out.strides, "positions", places.strides,
                low_bits(x, out, places),
            )  # fmt: skip
            plan.run(x.device, stream, (x.address, out.address, places.address))
        else:
            plan = next_pass(
                reduction, x.shape, x.strides, x.dtype.name, axes[n], windows[n], out.strides, places.strides, held.strides, steps[n]
            )  # fmt: skip
            plan.run(x.device, stream, (x.address, out.address, places.address, 0, held.address))
        x, held = out, places
        stages.insert(0, places)
    return stages


def carried_back(request, dy, dx, stages):
    """Fill dx: each pass gives dy back to what it came from, the last pass first."""
    axes, windows, kind = request.axes, request.windows, request.kind
    dtype = wider(dy.dtype.name, request.x_name)
    for n, (places, step) in enumerate(zip(stages, _steps(dx.shape, axes), strict=True)):
        shape = tuple(windows[n].size if a == axes[n] else size for a, size in enumerate(dy.shape))
        out = dx if n == len(axes) - 1 else kind.empty(shape, result_layout(dx.shape, dx.strides), dtype)
        plan = cuda_plans.backward(
            False, shape, out.strides, out.dtype.name, (axes[n],), (windows[n],), dy.dtype.name, None, dy.strides, "positions", places.strides,
            low_bits(dy, out, places), step,
        )  # fmt: skip
        plan.run(dy.device, device.stream_of(kind), (dy.address, out.address, places.address))
        dy = out
    return dx


def _steps(shape, axes):
    """What a step along each axis adds to a position."""
    return [prod(shape[a] for a in axes[n + 1 :]) for n in range(len(axes))]


@lru_cache(maxsize=512)
def next_pass(reduction, shape, strides, x_name, axis, windows, y_strides, key_strides, held_strides, step):
    """The plan of a pass behind the first.

    Parameters
    ----------
    reduction, shape, strides, x_name, windows, y_strides, key_strides
        As of `cuda_plans.forward`, for one axis.
    held_strides : tuple of int
        Of the positions so far, which lie beside x.
    step : int
        What a step along the axis adds to a position.
    """
    arrays = [strides, y_strides, key_strides, (0,) * len(shape), held_strides]
    view = canonical(shape, (axis,), arrays, ordered=True)
    types = reduction.types(x_name, None, False)
    return cuda_weighed.masked_plan(
        lambda form: bind.carried(reduction, types, form),
        (reduction.name, "carried", types.x, types.acc, types.y),
        view,
        roles(view, (axis,), (windows,)),
        (0, 0, step),
    )
