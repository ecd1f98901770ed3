"""NumPy memory: allocate, call the planned kernel, hand back."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from numbapool import dtypes
from numbapool.backends import plans

SLAB_BYTES = 8 << 20  # of a foreign byte order, converted at a time


def run(request):
    """Carry out a request; the result, or with `return_indices` the pair (y, indices)."""
    y, keys = _forward(request, "positions" if request.indices else None)
    return (y, keys) if request.indices else y


def vjp(request):
    """The result of a request and the function that takes dy to dx."""
    y, keys = _forward(request, "places" if request.reduction.selecting else None)
    indices = None
    if request.indices:
        places = keys.dtype == np.uint8
        indices = request.out[1]
        if places:
            new = empty(y.shape, result_layout(request.x.shape, request.x.strides), np.int64)
            indices = _positions(request, keys, new if indices is None else indices)
        else:
            indices = keys.copy("K")
    shape, strides, dtype = request.x.shape, request.x.strides, request.x.dtype.newbyteorder("=")
    order, name = result_layout(shape, strides), request.x_name
    axes, windows = request.axes, request.windows

    def pullback(dy):
        dx = empty(shape, order, dtype)
        if dx.size == 0 or dy.size == 0:
            dx[...] = 0
            return dx
        if request.reduction.selecting:
            key = "places" if keys.dtype == np.uint8 else "positions"
            plan = plans.selecting(
                shape,
                dx.strides,
                name,
                axes,
                windows,
                dtypes.name_of(dy.dtype),
                dy.strides,
                key,
                keys.strides,
            )
        else:
            plan = plans.weighted(
                request.reduction.mean,
                shape,
                dx.strides,
                name,
                axes,
                windows,
                dtypes.name_of(dy.dtype),
                request.divisor,
                dy.strides,
            )
        plan.run(dy, dx, keys)
        return dx

    return ((y, indices) if request.indices else y), y, pullback


def _in_slabs(request, key):
    """A request whose x is in foreign byte order, converted a slab at a time along the longest axis that is not pooled."""
    x, shape = request.x, request.shape
    native = x.dtype.newbyteorder("=")
    free = [a for a in range(x.ndim) if a not in request.axes]
    axis = max(free, key=lambda a: x.shape[a], default=None)
    if axis is None or x.nbytes <= SLAB_BYTES:
        return _forward(replace(request, x=x.astype(native)), key)
    order = result_layout(x.shape, x.strides)
    y, keys = request.out
    y = empty(shape, order, np.dtype(request.y_name)) if y is None else y
    if key and keys is None:
        small = key == "places" and plans.key_kind(request.windows) == "places"
        keys = empty(shape, order, np.uint8 if small else np.int64)
    if any(o is not None and np.may_share_memory(x, o) for o in (y, keys)):
        x = x.copy("K")
    step = max(1, SLAB_BYTES * x.shape[axis] // x.nbytes)
    for begin in range(0, x.shape[axis], step):
        part = (slice(None),) * axis + (slice(begin, begin + step),)
        out = y[part], (keys[part] if key else None)
        _forward(replace(request, x=x[part].astype(native), out=out), key)
    return y, keys


def _forward(request, key):
    """The values and, if `key` names a kind of keys, those."""
    if not request.x.dtype.isnative:
        return _in_slabs(request, key)
    x, shape = request.x, request.shape
    order = result_layout(x.shape, x.strides)
    y, keys = request.out
    if x.size and any(o is not None and np.may_share_memory(x, o) for o in request.out):
        x = x.copy("K")
    if y is None:
        # bfloat16 only ever comes with the array that has it
        same = request.y_name == request.x_name
        y = empty(shape, order, x.dtype if same else np.dtype(request.y_name))
    if y.size == 0:
        return y, (empty(shape, order, np.int64) if keys is None else keys) if key else None
    kind = key and plans.key_kind(request.windows)
    saved = None
    if kind:
        saved = keys if key == "places" or kind == "positions" else None
        saved = empty(shape, order, np.uint8 if kind == "places" else np.int64) if saved is None else saved
    plan = plans.forward(
        request.reduction, x.shape, x.strides, request.x_name, request.axes, request.windows, request.dtype, request.divisor,
        y.strides, kind, None if saved is None else saved.strides,
    )  # fmt: skip
    plan.run(x, y, saved)
    if key == "positions" and kind == "places":
        saved = _positions(request, saved, empty(shape, order, np.int64) if keys is None else keys)
    return y, saved


def _positions(request, places, out):
    """Indices in the plane of x from the numbers of taps; -1 for none."""
    sizes = [request.x.shape[a] for a in request.axes]
    plane = _key_steps(sizes)
    offsets = np.zeros(1, np.int64)
    base = np.zeros((1,) * out.ndim, np.int64)
    for a, w, step in zip(request.axes, request.windows, plane, strict=True):
        offsets = (offsets[:, None] + np.arange(w.most) * w.step * step).ravel()
        begin = (w.table[:, 0] - w.table[:, 2] * w.step) * step
        base = base + begin.reshape([-1 if b == a else 1 for b in range(out.ndim)])
    table = np.full(256, 0, np.int64)
    table[: len(offsets)] = offsets
    np.take(table, places, out=out, mode="clip")
    out += base
    out[places == 255] = -1
    return out


@lru_cache(maxsize=512)
def result_layout(shape, strides):
    """The order of axes, slowest first, in which a result for an array of these strides lies in memory (order "K")."""
    return tuple(sorted(range(len(shape)), key=lambda a: (-abs(strides[a]), a)))


def empty(shape, order, dtype):
    """A new array whose axes lie in `order`."""
    if order == tuple(range(len(shape))):
        return np.empty(shape, dtype)
    return np.empty([shape[a] for a in order], dtype).transpose(np.argsort(order))


def _key_steps(sizes):
    """What one step along each axis adds to a row-major index."""
    steps = [1]
    for n in reversed(sizes[1:]):
        steps.insert(0, steps[0] * n)
    return steps
