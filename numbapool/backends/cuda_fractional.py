"""Fractional windows on a CUDA device: the samples of every plane lie beside x, and kernels reckon from them where windows start."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from numbapool import driver, settings
from numbapool.backends.blocks import key_steps, roles
from numbapool.backends.cuda_plans import CHANNELS, Plan, axis, form_of, places, reach
from numbapool.device import DeviceArray
from numbapool.kernels.cuda import bind, build
from numbapool.kernels.cuda import forward as tap_by_tap
from numbapool.layout import canonical


def run(request, x, y, keys, key, stream):
    """Fill y, and keys where `key` says "positions". Waits for the device to check samples that lie there."""
    samples, kind = request.planes.samples, request.kind
    given = isinstance(samples, DeviceArray)
    wrong = kind.empty((1,), (0,), samples.dtype.name)
    if given:
        driver.fill(x.device, stream, wrong.address, wrong.itemsize, 0)
    else:
        samples = _sent(samples, kind, stream)
    launch = plan(
        request.reduction, x.shape, x.strides, request.x_name, request.axes, request.windows, y.strides, key, keys.strides if key else None,
        samples.dtype.name, samples.strides,
    )  # fmt: skip
    addresses = x.address, y.address, keys.address if key else 0, samples.address, wrong.address
    launch.run(x.device, stream, addresses)
    if not given or not settings.get("check_values"):
        return
    (value,) = np.frombuffer(driver.read(x.device, stream, wrong.address, wrong.itemsize), wrong.dtype)
    if value != 0:
        raise ValueError(f"random_samples must lie between 0 and 1, not {value}")


def _sent(samples, kind, stream):
    """Samples of the host on the device."""
    samples = np.ascontiguousarray(samples)
    new = kind.empty(samples.shape, tuple(range(samples.ndim)), samples.dtype.name)
    driver.write(new.device, stream, new.address, samples)
    return new


@lru_cache(maxsize=512)
def plan(reduction, shape, strides, x_name, axes, windows, y_strides, key, key_strides, name, sample_strides):
    """The plan of a forward call.

    Parameters
    ----------
    reduction, shape, strides, x_name, axes, windows, y_strides, key, key_strides
        As of `cuda_plans.forward`.
    name, sample_strides
        Dtype and strides of the samples: x's axes without the pooled ones, then one column per pooled axis.
    """
    free = iter(sample_strides)
    beside = tuple(0 if a in axes else next(free) for a in range(len(shape)))
    view = canonical(shape, axes, [strides, y_strides, key_strides or y_strides, beside], ordered=True)
    of = roles(view, axes, windows)
    types, channel = reduction.types(x_name, None, False), CHANNELS[key]
    where = places(view, 1)
    counts, sizes = [w.count for w in of], [w.size for w in of]
    items = where.outer * where.sizes[0] * prod(counts)
    form = form_of(of, False, reach(view, [sizes, counts, counts, sizes]), items)
    kernel = build.kernel(
        tap_by_tap,
        lambda: bind.fractional(reduction, types, name, form, channel),
        "_".join(p for p in (reduction.name, "taps", types.x, types.acc, types.y, name, key, form.name) if p),
        "i 3i 5a 7i 7i 7i 10i 10i 10i 10i a",
        form.wide,
    )
    columns = tuple(0 if a < 0 else axes.index(a) * sample_strides[-1] for a in view.axes)
    fields = tuple(
        axis(v, int(k)) for v, k in zip(of, key_steps(view, axes, [shape[a] for a in axes]), strict=True)
    )
    *rows, samples = where.strides
    offsets = tuple((*o, 0) for o in where.offsets)
    after = (*rows, (*samples, *columns), *fields, 0)
    return Plan(kernel, items, (items, where.sizes), after, offsets)
