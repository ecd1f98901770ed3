"""Indices from what is saved for a gradient, on a CUDA device."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from numbapool import device
from numbapool.backends.blocks import key_steps, roles
from numbapool.backends.cpu import result_layout
from numbapool.backends.cuda import copied
from numbapool.backends.cuda_plans import Plan, axis, form_of, places, reach
from numbapool.kernels.cuda import bind, build
from numbapool.kernels.cuda import positions as template
from numbapool.layout import canonical


def indices(request, keys, key):
    """Indices for the caller, who may write to them, from the keys of a forward call."""
    x, kind = request.x, request.kind
    if key == "positions":
        return copied(keys, kind)
    made = kind.empty(request.shape, result_layout(x.shape, x.strides), "int64")
    if made.size:
        launch = plan(x.shape, request.axes, request.windows, request.shape, keys.strides, made.strides)
        launch.run(x.device, device.stream_of(kind), (keys.address, made.address))
    return made


@lru_cache(maxsize=256)
def plan(shape, axes, windows, pooled, key_strides, index_strides):
    """The plan of the conversion.

    Parameters
    ----------
    shape, pooled : tuple of int
        Of x and of the result.
    axes, windows
        As of `cuda_plans.forward`.
    key_strides, index_strides
        Of both arrays.
    """
    view = canonical(pooled, axes, [key_strides, index_strides], ordered=True)
    of = roles(view, axes, windows)
    where = places(view, 1)
    counts = [w.count for w in of]
    items = where.outer * where.sizes[0] * prod(counts)
    form = form_of(of, False, reach(view, [counts] * 2), items)
    kernel = build.kernel(
        template,
        lambda: bind.positions(form),
        f"positions_uint8_int64_{form.name}".rstrip("_"),
        "i 3i 2a 7i 7i 3i 10i 10i 10i",
        form.wide,
    )
    taps = key_steps(view, axes, [w.most for w in windows])
    fields = tuple(axis(v, int(k)) for v, k in zip(of, taps, strict=True))
    plane = tuple(int(k) for k in key_steps(view, axes, [shape[a] for a in axes]))
    return Plan(kernel, items, (items, where.sizes), (*where.strides, plane, *fields), where.offsets)
