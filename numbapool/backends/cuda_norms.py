"""Gradients of norms on a CUDA device: what each window passes on depends on the element that it is passed to."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from numbapool import device, dtypes
from numbapool.backends import cuda_plans
from numbapool.backends.cpu import result_layout
from numbapool.backends.cuda import copied, forward
from numbapool.kernels.cuda import bind
from numbapool.kernels.cuda import gather as window_by_window
from numbapool.reductions import Types

STEEP = 64  # orders from here on magnify rounding so much that norms of halves are kept in float64


def vjp(request):
    """The result of a norm, its values alone, and the function that takes dy to dx."""
    kind, x, reduction, present = request.kind, request.x, request.reduction, request.presence
    compute = compute_of(reduction, request.x_name, request.y_name)
    if reduction.selecting:
        key = cuda_plans.key_kind(request.windows)
        y, saved = forward(request, key)
    else:
        # Norms before they are rounded, in memory that the caller does not have.
        key = compute
        saved, _ = forward(replace(request, dtype=compute), None)
        y = copied(saved, kind, request.y_name)

    def pullback(dy):
        dx = kind.empty(x.shape, result_layout(x.shape, x.strides), request.x_name)
        if dx.size == 0:
            return dx
        if dy.dtype.name != request.y_name:
            dy = copied(dy, kind, request.y_name)
        where = present.where
        launch = plan(
            reduction, x.shape, dx.strides, request.x_name, request.axes, request.windows, request.y_name, dy.strides, key, saved.strides,
            x.strides, present.elements, where and where.strides, cuda_plans.low_bits(dx, dy, saved, x, where),
        )  # fmt: skip
        arrays = (dy, dx, saved, x, *((where,) if where else ()))
        launch.run(dx.device, device.stream_of(kind), tuple(a.address for a in arrays))
        return dx

    return y, y, pullback


def compute_of(reduction, x_name, y_name):
    """The dtype that gradients are reckoned in: one whose range holds the norms."""
    small = dtypes.is_half(x_name) and y_name != "float64"
    if reduction.selecting:
        return "float64" if "float64" in (x_name, y_name) else "float32"
    return "float32" if small and abs(reduction.power) < STEEP else "float64"


@lru_cache(maxsize=512)
def plan(
    reduction, shape, strides, x_name, axes, windows, dy_name, dy_strides, saved, saved_strides, x_strides, elements, mask_strides, low
):  # fmt: skip
    """The plan of the gradient.

    Parameters
    ----------
    reduction, elements
        The norm, and which elements are there.
    shape, strides, x_name, axes, windows, dy_name, dy_strides, low
        As of `cuda_plans.backward`.
    saved : str
        What the forward call left for windows: "places" or "positions" of elements, or norms, by their dtype.
    saved_strides, x_strides, mask_strides
        Of that, of x and of the mask (None: there is none).
    """
    compute = compute_of(reduction, x_name, dy_name)
    key = cuda_plans.CHANNELS[saved] if reduction.selecting else None
    stored = x_name, dy_name, key or saved, x_name, *(("bool",) if elements.where else ())
    arrays = [strides, dy_strides, saved_strides, x_strides, *((mask_strides,) if elements.where else ())]
    call = cuda_plans.call_of(
        shape,
        axes,
        windows,
        arrays,
        stored,
        2 * dtypes.itemsize(compute),
        low,
        ordered=True,
        backward=True,
        beside=len(arrays) - 3,
    )
    d, h, w = (v.transposed.most for v in call.roles)
    types = Types(dy_name, compute, x_name, compute)
    precise = compute == x_name and cuda_plans.is_precise(types, d * h + w - 2)
    order = "inf" if math.isinf(reduction.power) else f"{reduction.power!r}"
    name = cuda_plans.name_of(
        f"lp{order}", "gather", dy_name, compute, x_name, saved, f"x{call.lanes}", "precise" * precise, elements.name, call.form.name
    )  # fmt: skip
    made = cuda_plans.plan_of(
        window_by_window,
        lambda: bind.norm_gather(types, reduction, key or saved, x_name, call.lanes, call.form, elements, precise),
        name,
        call,
        1.0,
        cuda_plans.CONSTANTS[compute],
        cuda_plans.keys_of(call, axes, windows, [shape[a] for a in axes], saved),
        beside=f"{7 * len(arrays[3:])}i",
    )  # fmt: skip
    return cuda_plans.reading_second(made)
