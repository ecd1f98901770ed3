"""Plans of calls whose elements may be missing, weighed or raised to a power: one template, tap by tap, for all of them."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from numbapool.backends.blocks import key_steps, roles
from numbapool.backends.cuda_plans import CHANNELS, Plan, axis, form_of, is_precise, key_kind, places, reach
from numbapool.kernels.cuda import bind, build, masked
from numbapool.layout import canonical


@lru_cache(maxsize=512)
def forward(
    reduction, shape, strides, x_name, axes, windows, y_name, y_strides, key, key_strides, elements, mask_strides, weight_strides
):  # fmt: skip
    """The plan of a forward call; arguments as of `numbapool.backends.plans.forward`."""
    nothing = (0,) * len(shape)
    arrays = [
        strides,
        y_strides,
        key_strides or y_strides,
        mask_strides or nothing,
        weight_strides or nothing,
    ]
    view = canonical(shape, axes, arrays, ordered=True)
    of = roles(view, axes, windows)
    d, h, w = of
    weighted = bool(elements.weights)
    types = reduction.types(x_name, y_name, False, weighted)
    if not reduction.selecting and is_precise(types, d.most * h.most + w.most - 2):
        types = reduction.types(x_name, y_name, True, weighted)
    if reduction.selecting and reduction.power and not key:
        key_channel = CHANNELS[key_kind(windows)]
    else:
        key_channel = CHANNELS[key]
    paired = bool(reduction.mean and elements) or reduction.scaled(x_name)
    channel = types.end if paired else key_channel
    where = places(view, 1)
    items = where.outer * where.sizes[0] * prod(v.count for v in of)
    small = [v.count for v in of]
    large = [v.size for v in of]
    form = form_of(of, False, reach(view, [large, small, small, large, large]), items)
    weights = key_steps(
        view,
        axes,
        [shape[a] if key_channel == "int64" else v.most for a, v in zip(axes, windows, strict=True)],
    )
    accompanied = "paired" if paired else f"{'' if key else 'unsaved_'}{channel}" if channel else ""
    parts = reduction.name, "masked", types.x, types.acc, types.y, accompanied, elements.name, form.name
    kernel = build.kernel(
        masked,
        lambda: bind.masked(reduction, types, form, channel, bool(key), elements),
        "_".join(p for p in parts if p),
        "i 3i 5a 7i 7i 7i 7i 7i 10i 10i 10i a",
        form.wide,
    )
    fields = tuple(axis(v, k) for v, k in zip(of, weights, strict=True))
    return Plan(kernel, items, (items, where.sizes), (*where.strides, *fields, 0), where.offsets)
