"""Plans of calls whose elements may be missing, weighed or raised to a power: one template, tap by tap, for all of them."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from numbapool import device, dtypes
from numbapool.backends.blocks import key_steps, roles
from numbapool.backends.cuda_plans import (
    CHANNELS,
    Plan,
    axis,
    call_of,
    form_of,
    is_precise,
    key_kind,
    name_of,
    places,
    plan_of,
    reach,
    sliding_call,
)
from numbapool.device import DeviceArray
from numbapool.kernels.cuda import bind, build, masked, sliding
from numbapool.kernels.cuda import factored as by_element
from numbapool.layout import canonical
from numbapool.windows import untouched


def types_of(reduction, x_name, y_name, weighted, roundings):
    """Element types: float64 in between where float32 would round too often in a row."""
    types = reduction.types(x_name, y_name, False, weighted)
    if not reduction.selecting and is_precise(types, roundings):
        types = reduction.types(x_name, y_name, True, weighted)
    return types


def sums_dtype(reduction, x_name, y_name, axes, windows, elements, shape, strides):
    """The dtype in which a forward call saves sums of weights."""
    d, h, w = roles(canonical(shape, axes, [strides], ordered=True), axes, windows)
    return types_of(reduction, x_name, y_name, bool(elements.weights), d.most * h.most + w.most - 2).end


def fill(kind, x, y, compute, how, elements, beside=None, where=None, weights=None):
    """Fill y with x, weighed and masked, and if `how` says so put together with what lies beside it, in one of the ways of `factored`; y."""
    arrays: tuple[DeviceArray | None, ...] = x, y, beside, where, weights
    names = tuple("" if a is None else a.dtype.name for a in arrays[:3])
    if not x.ndim:
        arrays = tuple(a if a is None else a.reshape((1,)) for a in arrays)
    strides = tuple(None if a is None else a.strides for a in arrays)
    plan = factored(x.shape or (1,), names, strides, compute, how, elements)
    plan.run(x.device, device.stream_of(kind), tuple(0 if a is None else a.address for a in arrays))
    return y


@lru_cache(maxsize=512)
def factored(shape, names, strides, compute, how, elements):
    """The plan of dividing or subtracting, weighing and masking element by element.

    Parameters
    ----------
    names : tuple of str
        The dtypes of what is read, what is written, and what lies beside it ("" for nothing).
    strides : tuple
        Of the same, the mask and the weights; None for what is not there.
    compute : str
        The dtype that is reckoned in.
    how : {"divides", "means", "keeps", "subtracts", ""}
        What lies beside is a divisor, or it is subtracted; else it is the elements that may be NaN. "divides" leaves nothing where the divisor is 0, as "keeps" does, which divides by nothing.
    elements : Elements
    """
    arrays = [(0,) * len(shape) if s is None else s for s in strides]
    axes = (len(shape) - 1,)
    windows = (untouched(shape[-1]),)
    view = canonical(shape, axes, arrays, ordered=True)
    of = roles(view, axes, windows)
    where = places(view, 1)
    sizes = [v.size for v in of]
    items = where.outer * where.sizes[0] * prod(sizes)
    form = form_of(of, False, reach(view, [sizes] * 5), items)
    x, y, beside = names
    kernel = build.kernel(
        by_element,
        lambda: bind.factored(x, beside, y, compute, form, how, elements),
        "_".join(p for p in ("factored", *names, compute, how, elements.name) if p),
        "i 3i 5a 7i 7i 7i 7i 7i 10i 10i 10i a",
        form.wide,
    )
    fields = tuple(axis(v, 0) for v in of)
    return Plan(kernel, items, (items, where.sizes), (*where.strides, *fields, 0), where.offsets)


@lru_cache(maxsize=512)
def forward(
    reduction, shape, strides, x_name, axes, windows, y_name, y_strides, key, key_strides, elements, mask_strides, weight_strides, low
):  # fmt: skip
    """The plan of a forward call; arguments as of `cuda_plans.forward`. With the key "weights" the sums of weights are saved."""
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
    types = types_of(reduction, x_name, y_name, weighted, d.most * h.most + w.most - 2)
    if reduction.selecting and reduction.power and not key:
        key_channel = CHANNELS[key_kind(windows)]
    else:
        key_channel = CHANNELS.get(key)
    paired = bool(reduction.mean and elements) or reduction.scaled(x_name)
    channel = types.end if paired else key_channel
    weights = key_steps(
        view,
        axes,
        [shape[a] if key_channel == "int64" else v.most for a, v in zip(axes, windows, strict=True)],
    )
    accompanied = f"{'' if key else 'unsaved_'}{'paired' if paired else channel}" if channel else ""
    # To merge two scaled sums takes two powers, which are too much code for several windows at once.
    if view.inner == 1 and not reduction.scaled(x_name):
        stored = types.x, types.y, channel if key else types.y
        widest = dtypes.itemsize(types.acc) + (dtypes.itemsize(channel) if channel else 0)
        several = arrays if elements.beside else arrays[:3]
        call = call_of(
            shape, axes, windows, several, stored, widest, low, ordered=True, beside=len(several) - 3
        )
        if found := sliding_call(call, windows, stored, widest, low):
            call, slide = found
            # Of 0.0 and -0.0 the first stays.
            by_rows = reduction.selecting and not channel and dtypes.is_float(x_name)
            name = name_of(
                reduction.name, "slide", slide.name, "rows" * by_rows, types.x, types.acc, types.y, accompanied, elements.name, call.form.name
            )  # fmt: skip
            return plan_of(
                sliding,
                lambda: bind.sliding(
                    reduction, types, slide, call.form, channel, bool(key), by_rows=by_rows, elements=elements
                ),
                name,
                call,
                0,
                "a",
                weights,
                "14i" if elements.beside else "i",
            )
    return masked_plan(
        lambda form: bind.masked(reduction, types, form, channel, bool(key), elements),
        (reduction.name, "masked", types.x, types.acc, types.y, accompanied, elements.name),
        view,
        of,
        weights,
    )


def masked_plan(binding, parts, view, of, keys):
    """A plan with the template `masked`, from what its name is made of and what a step along D, H, W adds to a key."""
    where = places(view, 1)
    items = where.outer * where.sizes[0] * prod(v.count for v in of)
    small, large = [v.count for v in of], [v.size for v in of]
    form = form_of(of, False, reach(view, [large, small, small, large, large]), items)
    kernel = build.kernel(
        masked,
        lambda: binding(form),
        "_".join(p for p in (*parts, form.name) if p),
        "i 3i 5a 7i 7i 7i 7i 7i 10i 10i 10i a",
        form.wide,
    )
    fields = tuple(axis(v, int(k)) for v, k in zip(of, keys, strict=True))
    return Plan(kernel, items, (items, where.sizes), (*where.strides, *fields, 0), where.offsets)
