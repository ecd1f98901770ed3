"""Max unpooling of memory of a CUDA device. The check of the indices waits for the device; nothing else does."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np

from numbapool import device, driver, dtypes, settings
from numbapool.backends import unpool
from numbapool.backends.cpu import result_layout
from numbapool.backends.cuda import copied
from numbapool.backends.cuda_plans import NARROW, WORD, Plan, places, reach
from numbapool.kernels.cuda import bind, build
from numbapool.kernels.cuda import unpool as template
from numbapool.layout import canonical


def run(request):
    """The result of a request."""
    return _forward(request)[0]


def vjp(request):
    """The result of a request, twice, and the function that takes dy to dx."""
    kind, x, name = request.kind, request.x, request.x_name
    y, owners = _forward(request)
    order = result_layout(x.shape, x.strides)
    # Which elements the values have: a quarter or half of the memory of owners and indices, which the caller may write to.
    kept = kind.empty(x.shape, order, _numbers(request))
    if kept.size:
        _step(
            "settle", request, (kept, owners, request.indices), (kept.dtype.name, request.indices.dtype.name)
        )

    def pullback(dy):
        dx = kind.empty(x.shape, order, name)
        if dx.size:
            if dy.dtype.name != name:
                dy = copied(dy, kind, name)
            _step("pass_back", request, (dx, dy, kept), (name, kept.dtype.name))
        return dx

    return y, y, pullback


def _forward(request):
    """The result, and for each of its elements the number of the value that it has, -1 for none."""
    kind, x, indices, shape = request.kind, request.x, request.indices, request.shape
    y = kind.empty(shape, result_layout(x.shape, x.strides), request.x_name)
    if y.size == 0:
        return y, None
    name = _numbers(request)
    item = dtypes.itemsize(name)
    room = kind.empty((y.size + 1,), (0,), name)  # one more for faults
    stream = device.stream_of(kind)
    driver.fill(x.device, stream, room.address, room.size * item, 255)
    owners = replace(room, shape=shape, strides=tuple(s // y.itemsize * item for s in y.strides))
    faults = room.address + y.size * item
    _step("claim", request, (indices, owners, indices), (name, indices.dtype.name), faults)
    _step("fill", request, (x, owners, y), (request.x_name, name))
    if settings.get("check_values") and not any(driver.read(x.device, stream, faults, item)):
        _refuse(request)
    return y, owners


def _numbers(request):
    """The dtype that numbers of values and of elements of a plane fit into."""
    largest = max(prod(s[a] for a in request.axes) for s in (request.x.shape, request.shape))
    return "int32" if largest < 2**31 else "int64"


def _refuse(request):
    """Raise for the first index that is out of range: with the error comes a copy on the host."""
    indices = copied(request.indices, request.kind)
    order = result_layout(indices.shape, indices.strides)
    data = driver.read(
        indices.device, device.stream_of(request.kind), indices.address, indices.size * indices.itemsize
    )
    values = np.frombuffer(data, indices.dtype).reshape([indices.shape[a] for a in order])
    unpool.refuse(values.transpose(np.argsort(order)), unpool.elements(request))


def _step(step, request, arrays, names, faults=0):
    """Launch one step over three arrays."""
    x = request.x
    launch = plan(step, x.shape, request.shape, request.axes, tuple(a.strides for a in arrays), names)
    launch.run(x.device, device.stream_of(request.kind), (*(a.address for a in arrays), faults))


@lru_cache(maxsize=512)
def plan(step, shape, large, axes, strides, names):
    """The plan of a step.

    Parameters
    ----------
    step : str
        A function of the template.
    shape, large : tuple of int
        Of x and of the result.
    axes : tuple of int
        Pooled axes, ascending.
    strides : tuple of tuple of int
        Of its arrays.
    names : tuple of str
        Dtypes that the step depends on: see `bind.unpool`.
    """
    # Indices count in the array's own order of axes, and so must we, or the last one would not win.
    view = canonical(shape, axes, strides, ordered=True)
    where = places(view, 1)
    few, many = ([1 if a < 0 else s[a] for a in view.axes] for s in (shape, large))
    lanes = _lanes(view, many, names) if step == "fill" else 1
    if lanes > 1:
        strides_of = (
            where.strides[0],
            *(
                (*s[:6], lanes * dtypes.itemsize(n))
                for s, n in zip(where.strides[1:], reversed(names), strict=True)
            ),
        )
        where = replace(where, sizes=(many[2] // lanes, *where.sizes[1:]), strides=strides_of)
    over = (*many[:2], 1 if lanes > 1 else many[2]) if step == "fill" else few
    items = where.outer * where.sizes[0] * prod(over)
    is_wide = max(reach(view, [many] * 3), items, prod(many), prod(few)) > NARROW
    kernel = build.kernel(
        template,
        lambda: bind.unpool(step, names, lanes, is_wide),
        f"unpool_{step}_{bind.unpool_name(step, names)}" + f"_x{lanes}" * (lanes > 1),
        "i 3i 4a 7i 7i 7i 3i 3i",
        is_wide,
    )
    offsets = tuple((*o, 0) for o in where.offsets)
    return Plan(kernel, items, (items, where.sizes), (*where.strides, tuple(few), tuple(many)), offsets)


def _lanes(view, sizes, names):
    """Neighbours of a row of the result that a thread fills: those that it can store at once."""
    value, owner = (dtypes.itemsize(n) for n in names)
    lanes = max(WORD // max(value, owner), 1)
    # Both arrays are new, so whole groups of a row lie where vectors do.
    if view.inner > 1 or sizes[2] % lanes or view.steps[1][3] != owner or view.steps[2][3] != value:
        return 1
    return lanes
