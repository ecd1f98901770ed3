"""NumPy memory: allocate, call the planned kernel, hand back."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from math import prod

import numpy as np

from numbapool import columns, containers
from numbapool.backends import forms, index_plans, plans
from numbapool.backends.blocks import address

SLAB_BYTES = 8 << 20  # of a foreign byte order, converted at a time


def run(request):
    """Carry out a request; the result, or with `return_indices` the pair (y, indices)."""
    y, keys = forward(request, "positions" if request.indices else None)
    return (y, keys) if request.indices else y


class _New:
    """New arrays of one shape, order of axes and dtype."""

    def __init__(self, shape, order, dtype):
        self.shape, self.dtype, self.axes = tuple(shape[a] for a in order), dtype, None
        if order != tuple(range(len(order))):
            self.axes = tuple(np.argsort(order).tolist())

    def __call__(self):
        new = np.empty(self.shape, self.dtype)
        return new if self.axes is None else new.transpose(self.axes)


class _Span:
    """Where the bytes of an array lie, from the address of its first element on."""

    def __init__(self, array):
        first, behind = np.lib.array_utils.byte_bounds(array)
        self.first, self.behind = first - address(array), behind - address(array)

    def meets(self, at, other, there):
        """Whether an array at this address may share memory with another."""
        return at + self.first < there + other.behind and there + other.first < at + self.behind


class Repeated:
    """What is left to do for calls like an earlier one: allocate or look at `out`, and run its plans."""

    def __init__(self, request, results):
        x, y = request.x, results[0]
        order = result_layout(x.shape, x.strides)
        self.shape_out = request.shape_out
        self.new = [_New(a.shape, order, a.dtype) for a in results]
        self.spans = [_Span(a) for a in (x, *results)]
        kind = keys = self.places = None
        if request.indices:
            kind, keys = forms.key_kind(request.windows), results[1]
        if kind == "places":
            self.places = _New(y.shape, order, np.dtype(np.uint8))
            keys = self.places()
            self.indexing = _indexing(request, keys, results[1])
        made = _plan_of(request, y, kind, keys)
        self.plan, self.signed = made(), partial(made, signs=True)

    def __call__(self, x, out):
        """The result; None where x and `out` need a closer look."""
        if out is None:
            y, *indices = [new() for new in self.new]
        else:
            y, *indices = out if type(out) is tuple else (out,)
            if not self._apart(x, y, *indices):
                return None
        if not indices:
            if self.plan.run(x, y, out is not None):
                signed = self.signed()
                if signed is None:
                    return None
                signed.run(x, y, out is not None)
        elif self.places is None:
            self.plan.run(x, y, out is not None, K=indices[0])
        else:
            places = self.places()
            self.plan.run(x, y, out is not None, K=places)
            self.indexing.run(places, indices[0])
        if out is not None:
            return out
        if self.shape_out is not None:
            y, indices = y.reshape(self.shape_out), [a.reshape(self.shape_out) for a in indices]
        return (y, *indices) if indices else y

    def _apart(self, x, *outputs):
        """Whether the outputs are writeable, and share no memory with x or each other."""
        addresses = [address(x), *map(address, outputs)]
        for i, array in enumerate(outputs, 1):
            span, at = self.spans[i], addresses[i]
            if not array.flags.writeable or span.meets(at, self.spans[0], addresses[0]):
                return False
        return len(outputs) == 1 or not span.meets(at, self.spans[1], addresses[1])


def repeated(request, x, result):
    """What calls like this one, of an array like x, do; None where that does not follow from their arguments alone."""
    results = result if request.indices else (result,)
    plain = request.kind is None and request.planes is None
    plain = plain and request.presence.where is None and request.presence.weights is None
    if plain and request.x.dtype.isnative and results[0].size and address(request.x) == address(x):
        run = Repeated(request, results)
        return run if run.plan is not None else None
    return None


def _plan_of(request, y, kind=None, saved=None, beside=()):
    """The plan for results that lie as y does, and `saved` beside them if `kind` says what is; of arrays beside x the strides."""
    x = request.x
    return partial(
        plans.forward,
        request.reduction, x.shape, x.strides, request.x_name, request.axes, request.windows, request.dtype, request.divisor,
        y.strides, kind, None if saved is None else saved.strides, request.presence.elements, *beside,
    )  # fmt: skip


def vjp(request):
    """The result of a request and the function that takes dy to dx."""
    from numbapool.backends import backward

    return backward.vjp(request)


def _in_parts(request, key):
    """A request that is carried out a part at a time along the longest axis that is not pooled: x is in foreign byte order and has to be converted, or every
    plane has windows of its own and needs tables."""
    x, shape, planes = request.x, request.shape, request.planes
    nbytes = x.nbytes if planes is None else planes.samples[..., 0].size * planes.rows * 32
    free = [a for a in range(x.ndim) if a not in request.axes]
    axis = max(free, key=lambda a: x.shape[a], default=None)
    if axis is None or nbytes <= SLAB_BYTES:
        return _part(request, key, planes and planes.samples)
    order = result_layout(x.shape, x.strides)
    y, keys = request.out
    y = empty(shape, order, result_dtype(request)) if y is None else y
    if key and keys is None:
        keys = empty(shape, order, _kept(request, key))
    there = key and key != "weights" and keys.dtype != np.int32  # where kernels may write
    present = request.presence.apart_from(y, keys)
    if any(o is not None and np.may_share_memory(x, o) for o in (y, keys)):
        x = x.copy("K")
    step = max(1, SLAB_BYTES * x.shape[axis] // nbytes)
    for begin in range(0, x.shape[axis], step):
        part = (slice(None),) * axis + (slice(begin, begin + step),)
        samples = planes and planes.samples[(slice(None),) * free.index(axis) + part[-1:]]
        out = y[part], keys[part] if there else None
        _, saved = _part(replace(request, x=x[part], out=out, presence=present.part(part)), key, samples)
        if key and not there:
            keys[part] = saved
    return y, keys


def _kept(request, key):
    """The dtype of what is kept beside the values of a request that is carried out in parts."""
    if key == "weights":  # those of the parts follow from their layout
        return np.float64
    if key == "places" and forms.key_kind(request.windows) == "places":
        return np.uint8
    return index_dtype(request) if key == "places" else np.int64


def index_dtype(request):
    """The dtype of a gradient's indices, which are nobody's but ours."""
    return np.int32 if prod(request.x.shape[a] for a in request.axes) < 2**31 else np.int64


def _part(request, key, samples):
    x = request.x if request.x.dtype.isnative else request.x.astype(request.x.dtype.newbyteorder("="))
    return forward(replace(request, x=x), key, samples)


def forward(request, key, samples=None):
    """The values and, if `key` names what is saved beside them ("positions", "places" where they do, "weights"), that.

    `samples` are those of the request's planes where it has `planes`.
    """
    if not request.x.dtype.isnative or (request.planes is not None and samples is None):
        return _in_parts(request, key)
    x, shape, present = request.x, request.shape, request.presence
    given = request.out[0] is not None
    order = result_layout(x.shape, x.strides)
    y, keys = request.out
    if x.size and y is not keys:  # one of them is given
        if any(o is not None and np.may_share_memory(x, o) for o in request.out):
            x = x.copy("K")
        present = present.apart_from(y, keys)
    if y is None:
        y = empty(shape, order, result_dtype(request))
    kind = forms.key_kind(request.windows) if key in ("positions", "places") else key
    if y.size == 0:
        return y, (empty(shape, order, np.int64) if keys is None else keys) if key else None
    saved = None
    mask, weights = present.where, present.weights
    beside = [None if a is None else a.strides for a in (mask, weights)]
    if kind == "weights":
        dtype = forms.weights_dtype(
            request.reduction, x.shape, x.strides, request.x_name, request.axes, request.windows, request.dtype, y.strides, present.elements, beside
        )  # fmt: skip
        saved = empty(shape, order, dtype)
    elif kind:
        saved = keys if key == "places" or kind == "positions" else None
        saved = empty(shape, order, np.uint8 if kind == "places" else np.int64) if saved is None else saved
    if request.planes is not None:
        beside.append(_table_strides(request))
    made = _plan_of(replace(request, x=x) if x is not request.x else request, y, kind, saved, beside)
    plan = made()
    tables = None
    if request.planes is not None:
        tables = request.planes.tables(
            samples, tuple(request.axes.index(a) if a >= 0 else -1 for a in plan.axes)
        )
    if plan is not None and plan.run(x, y, given, K=saved, M=mask, V=weights, P=tables):
        plan = made(signs=True)
        if plan is not None:
            plan.run(x, y, given, M=mask, V=weights, P=tables)
    if plan is None:
        from numbapool.backends import gaps, slabs

        if kind == "weights" and "float64" not in (request.x_name, request.y_name):
            saved = empty(shape, order, np.float32)  # as gradients take them; no kernel asks for more
        how = slabs if columns.axis(request.windows) is None else gaps
        how.fill(replace(request, x=x, presence=present), y, saved, kind)
    if key == "positions" and kind == "places":
        saved = positions(request, saved, keys)
    return y, saved


def _table_strides(request):
    """How far apart the tables of neighbouring planes lie along x's axes."""
    steps, step = [0] * request.x.ndim, request.planes.rows * 32
    for a in reversed(range(request.x.ndim)):
        if a not in request.axes:
            steps[a] = step
            step *= request.x.shape[a]
    return tuple(steps)


def result_dtype(request):
    """The dtype of a request's values."""
    # bfloat16 only ever comes with the array that has it
    if request.y_name != request.x_name:
        return np.dtype(request.y_name)
    dtype = request.x.dtype
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def positions(request, places, out=None):
    """Indices in the plane of x from the numbers of taps; -1 for none."""
    if out is None:
        out = empty(places.shape, result_layout(request.x.shape, request.x.strides), np.int64)
    _indexing(request, places, out).run(places, out)
    return out


def _indexing(request, places, indices):
    return index_plans.indexing(places.shape, places.strides, request.axes, request.windows, indices.strides)


@lru_cache(maxsize=512)
def result_layout(shape, strides):
    """The order of axes, slowest first, in which a result for an array of these strides lies in memory (order "K")."""
    return tuple(sorted(range(len(shape)), key=lambda a: (-abs(strides[a]), a)))


def empty(shape, order, dtype):
    """A new array whose axes lie in `order`."""
    new = _New(shape, order, dtype)()
    # Of that NumPy makes 16-bit integers.
    return new.view(containers.BFloat16) if dtype is containers.bfloat16 else new
