"""Gradients of what `cpu` computes: a scatter for what selects, the transposed windows for what sums.

Sums over elements of unlike weight, and norms, are the plain sum of the windows' shares, times a factor of each element:
``dx = factor(x) · Σ share(dy, y)``. All of it is one kernel's; where that would not do (large windows, learned weights, a range of magnitudes that float64
does not hold once raised), shares and factors are NumPy's, on slabs that bound their temporaries.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import prod

import numpy as np

from numbapool import containers, dtypes, presence
from numbapool.backends import cpu, gradient_plans
from numbapool.backends.cpu import empty, result_layout
from numbapool.presence import numbers

BAND = 800  # binades that a band may span once raised
NARROWEST = 1e-5  # binades of a band before
MOST_BANDS = 32  # more are slower than a look at every tap
NO_BAND = -(2**31)
FEW = 64  # windows that cover an element, for which a kernel reads them one by one
NORM_SLAB = 1 << 21  # elements whose norms are taken again together
SAFE = 500  # binades that a power of a norm may be away from 1


def vjp(request):
    """The result of a request, its values alone, and the function that takes dy to dx (or to dx and the gradient of the weights)."""
    reduction, elements = request.reduction, request.presence.elements
    if reduction.selecting:
        return _selecting(request)
    key = "weights" if reduction.mean and elements else None
    if key and dtypes.is_float(elements.weights or "bool"):
        # This gradient needs the result as it was before it was rounded, in memory that the caller does not have.
        exact, sums = cpu.forward(replace(request, dtype="float64"), key)
        y = _rounded(exact, cpu.result_dtype(request))
        return y, y, _weighted(request, exact, sums)
    y, sums = cpu.forward(request, key)
    if reduction.power is not None:
        return y, y, _norm(request)
    return y, y, _weighted(request, None, sums) if elements else lambda dy: _plain(request, dy)


@np.errstate(all="ignore")
def _rounded(exact, dtype):
    """Results in float64 as those that a kernel stores."""
    if dtypes.itemsize(dtypes.name_of(dtype)) == 2:
        exact = exact.astype(np.float32)
    return containers.converted(exact, dtype) if dtype != np.float64 else exact.copy("K")


def _new(request):
    """dx, not filled, as the caller gets it."""
    x = request.x
    return empty(x.shape, result_layout(x.shape, x.strides), x.dtype.newbyteorder("="))


def _few(request):
    """Whether a kernel may give the elements of dx their factors."""
    native = request.x.dtype.isnative and dtypes.is_float(request.x_name)
    return native and prod(w.transposed.most for w in request.windows) <= FEW


def _factored(request, dy, sums, dx):
    """dx = the sum of dy over windows, divided by what they summed (None: nothing), times what the elements' own factors are."""
    x, present, power = request.x, request.presence, request.reduction.power
    if dx.size == 0 or dy.size == 0:
        dx[...] = 0
        return dx
    by = "" if sums is None else sums.dtype.name
    factors = gradient_plans.Factors(present.elements, power, by)
    reads = present.elements.omit or power is not None
    beside = {"K": x if reads else None, "M": present.where, "V": present.weights, "S": sums}
    beside = {letter: array for letter, array in beside.items() if array is not None}
    plan = gradient_plans.summing(
        False, dx.shape, dx.strides, request.x_name, request.axes, request.windows, dtypes.name_of(dy.dtype), None, dy.strides, factors,
        tuple((letter, array.strides) for letter, array in beside.items()),
    )  # fmt: skip
    plan.run(dy, dx, **beside)
    for elements in _uncovered(request) if power is not None or present.weights is not None else ():
        dx[elements] = 0
    return dx


def _spread(mean, request, dy, dx, name, divisor=None):
    """dx = the sum over windows of dy, for a `mean` divided by their extents. The arrays may be parts of the request's."""
    if dy.size == 0 or dx.size == 0:
        dx[...] = 0
        return dx
    if dy.dtype == dx.dtype and dx.dtype.itemsize > 2 and all(_whole(w) for w in request.windows):
        extents = prod(w.extent for w in request.windows)
        with np.errstate(all="ignore"):
            np.copyto(dx, dy / dx.dtype.type(divisor or extents) if mean else dy)
        return dx
    plan = gradient_plans.summing(
        mean, dx.shape, dx.strides, name, request.axes, request.windows, dtypes.name_of(dy.dtype), divisor, dy.strides
    )  # fmt: skip
    plan.run(dy, dx)
    return dx


def _whole(windows):
    """Whether there is one window, of all elements: what it passes on is a copy for every one of them."""
    return windows.count == 1 and windows.step == 1 and windows.table[0, :2].tolist() == [0, windows.size]


def _plain(request, dy):
    return _spread(request.reduction.mean, request, dy, _new(request), request.x_name, request.divisor)


def _selecting(request):
    y, keys = cpu.forward(request, "places")
    indices = None
    if request.indices:
        indices = request.out[1]
        if keys.dtype == np.uint8:
            new = empty(y.shape, result_layout(request.x.shape, request.x.strides), np.int64)
            indices = cpu.positions(request, keys, new if indices is None else indices)
        else:
            indices = keys.copy("K")

    def pullback(dy):
        dx = _new(request)
        if dx.size == 0 or dy.size == 0:
            dx[...] = 0
            return dx
        key = "places" if keys.dtype == np.uint8 else "positions"
        plan = gradient_plans.selecting(
            dx.shape, dx.strides, request.x_name, request.axes, request.windows, dtypes.name_of(dy.dtype), dy.strides, key, keys.strides
        )  # fmt: skip
        plan.run(dy, dx, K=keys)
        if request.reduction.power is not None:  # of a magnitude
            for part in presence.slabs(dx.shape):
                passed = numbers(dx[part])
                with np.errstate(invalid="ignore"):
                    signed = passed * np.sign(numbers(request.x[part]))
                _store(dx, part, np.where(passed == 0, 0, signed))
        return dx

    return ((y, indices) if request.indices else y), y, pullback


def _uncovered(request):
    """Per pooled axis the elements that are in no window, as indices of x. They have no gradient, whatever they and their weights are."""
    found = []
    for w, a in zip(request.windows, request.axes, strict=True):
        if (elements := w.uncovered()).size:
            found.append((*(slice(None),) * a, elements))
    return found


def _covered(request):
    """A mask of the elements that some window covers, over x's shape; None: all."""
    bare = _uncovered(request)
    if not bare:
        return None
    mask = np.ones([n if a in request.axes else 1 for a, n in enumerate(request.x.shape)], bool)
    for elements in bare:
        mask[elements] = False
    return np.broadcast_to(mask, request.x.shape)


def _there(request, covered, part):
    """A mask of the elements of a part that have a gradient; None: all."""
    there = request.presence.there(request.x, part)
    if covered is None:
        return there
    return covered[part] if there is None else there & covered[part]


def _store(dx, part, values):
    dx[part] = (
        containers.converted(values, containers.bfloat16) if isinstance(dx, containers.BFloat16) else values
    )


def _parts(request, size=presence.SLAB):
    """Slices along an axis that is not pooled: parts of x, of about `size` elements, and of y that belong to each other."""
    free = tuple(a for a in range(request.x.ndim) if a not in request.axes)
    yield from presence.slabs(request.x.shape, free, size)


def _weighted(request, y, sums):
    """The pullback of sums and means over elements that are weighed or missing; `sums` of their weights divide a mean, y is one whose weights are learned."""
    present, x = request.presence, request.x
    weights, given = present.weights, present.given
    learned = weights is not None and dtypes.is_float(given.dtype)
    compute = np.dtype("float64" if "float64" in (request.x_name, request.y_name, given.dtype) else "float32")
    sums = None if sums is None else sums.astype(compute, copy=False)
    # Over the shape of the weights, with all axes; axes that were merged are told apart in the end.
    kept = (1,) * (x.ndim - len(given.shape)) + given.shape if request.restored is None else x.shape

    if not learned and _few(request):
        return lambda dy: _factored(request, dy, sums, _new(request))
    covered = None if weights is None else _covered(request)

    @np.errstate(all="ignore")
    def pullback(dy):
        dx = _new(request)
        dw = np.zeros(kept if learned else ())
        for part in _parts(request):
            share = numbers(dy[part]).astype(compute, copy=False)
            if sums is not None:
                share = _nothing_where(sums[part] == 0, share / sums[part])
            if weights is None:
                _spread(False, request, share, dx[part], request.x_name)
                _clear(dx[part], present.part(part), x[part])
                continue
            there = _there(request, covered, part)
            total = _spread(False, request, share, np.empty(x[part].shape, compute), compute.name)
            _store(dx, part, _kept(total * numbers(weights[part]), there))
            if not learned:
                continue
            slope = total * numbers(x[part])
            if sums is not None:
                share = _nothing_where(sums[part] == 0, share * y[part])
                slope -= _spread(False, request, share, total, compute.name)
            shared = tuple(a for a in range(x.ndim) if kept[a] == 1)
            target = dw[tuple(s if n > 1 else slice(None) for s, n in zip(part, kept, strict=False))]
            target += _kept(slope, there).sum(axis=shared, keepdims=True, dtype=np.float64)
        if not learned:
            return dx
        if request.restored is not None:
            dw = _unbroadcast(request.restored(dw), given.shape)
        dtype = containers.bfloat16 if given.dtype == "bfloat16" and given.kind is not None else weights.dtype
        return dx, containers.converted(dw.reshape(given.shape), dtype)

    return pullback


def _unbroadcast(array, shape):
    """Summed over the axes along which something of `shape` was broadcast."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    return array.sum(axis=tuple(a for a, n in enumerate(shape) if n == 1), keepdims=True)


def _nothing_where(mask, values):
    """The values, which may be changed, but 0 where the mask is set."""
    if mask.any():
        np.copyto(values, 0, where=mask)
    return values


def _kept(values, there):
    """Values where something is there, else 0."""
    return values if there is None else np.where(there, values, 0)


def _clear(dx, present, x):
    """dx = 0 where nothing is there."""
    # As integers: 0 times the bits of an infinity or a NaN is 0.
    bits = dx.view(np.ndarray).view(f"i{dx.itemsize}")
    for part in presence.slabs(dx.shape):
        there = present.there(x, part)
        if there is not None:
            np.multiply(bits[part], there.view(np.int8), out=bits[part])


def _norm(request):
    """The pullback of a norm: ``sign(x) |x|^(p-1) Σ dy y^(1-p)``, both powers relative to a scale near |x|.

    The norms y are needed as they were before they were rounded; to take them again, a part at a time, costs less than the memory to keep them.
    Where magnitudes span more than float64 can hold once raised, they are done in bands, each with its scale. A window's norm is never smaller than an
    element of it (p < 0: larger), so what leaves the range belongs to other bands, or is nothing beside the rest.
    """
    p = request.reduction.power
    x, covered = request.x, _covered(request)
    direct = p >= 1 and _few(request)
    width = BAND / max(abs(p - 1), 0.5)  # binades

    @np.errstate(all="ignore")
    def pullback(dy):
        dx = _new(request)
        if dx.size == 0 or dy.size == 0:
            dx[...] = 0
            return dx
        for part in _parts(request, NORM_SLAB if direct else presence.SLAB):
            some = replace(request, x=x[part], presence=request.presence.part(part), out=(None, None))
            y = cpu.forward(replace(some, dtype="float64"), None)[0]
            if direct and _near_one(y, p) and (dy.dtype != np.float64 or _near_one(dy[part], 2)):
                _factored(some, dy[part], y, dx[part])
                continue
            v, there = numbers(x[part], "float64"), _there(request, covered, part)
            bands = np.empty(v.shape, np.int32)
            if width > NARROWEST:
                for rows in presence.slabs(v.shape):
                    bands[rows] = _bands(v[rows], None if there is None else there[rows], width)
            used = np.unique(bands)
            used = used[used != NO_BAND]
            if len(used) > MOST_BANDS or width <= NARROWEST:
                _store(dx, part, _norm_by_taps(request, v, numbers(dy[part], "float64"), y, there))
                continue
            dx[part] = 0
            total = np.empty(v.shape if len(used) else ())
            for band in used:
                scale = 2.0 ** min(max(float(band) * width, -1020.0), 1020.0)
                share = np.where(y == 0, 0.0, numbers(dy[part], "float64") * (y / scale) ** (1 - p))
                _spread(False, request, share, total, "float64")
                for rows in presence.slabs(v.shape):
                    here = bands[rows] == band
                    if not here.any():
                        continue
                    w = v[rows]
                    slope = np.sign(w) * np.abs(w / scale) ** (p - 1) * total[rows]
                    target = dx[part][rows]
                    _store(target, ..., np.where(here, slope, numbers(target)))
        return dx

    return pullback


def _near_one(y, p):
    """Whether what is finite and not 0 stays within `SAFE` once raised to p - 1."""
    for part in presence.slabs(y.shape):
        low, high = np.min(y[part]), np.max(y[part])
        if low > 0 and high < np.inf:  # nearly always, and much faster
            if max(abs(np.log2(low)), abs(np.log2(high))) * (p - 1) > SAFE:
                return False
            continue
        size = np.abs(y[part])
        size = size[np.isfinite(size) & (size != 0)]
        if size.size and max(abs(np.log2(size.max())), abs(np.log2(size.min()))) * (p - 1) > SAFE:
            return False
    return True


def _bands(v, there, width):
    """For every element the number of its band of magnitudes, `NO_BAND` for those that have no gradient."""
    size = np.abs(v)
    exponent = np.where(np.isfinite(v), np.log2(size, where=size > 0, out=np.zeros_like(size)), 0)
    used = (v != 0) if there is None else (v != 0) & there
    return np.where(used, np.rint(exponent / width), NO_BAND)


def _norm_by_taps(request, v, dy, y, there):
    """The gradient of a norm tap by tap: of any order and any range, and as slow as windows are large."""
    p, axes = request.reduction.power, request.axes
    dx = np.zeros(v.shape)
    lines = []
    for w in request.windows:
        start, stop = w.table[:, 0], w.table[:, 1]
        lines.append([(np.flatnonzero(start + t * w.step < stop), start, t * w.step) for t in range(w.most)])
    for taps in itertools.product(*lines):
        outputs, inputs = [np.arange(n) for n in y.shape], [np.arange(n) for n in v.shape]
        for a, (some, start, offset) in zip(axes, taps, strict=True):
            outputs[a], inputs[a] = some, start[some] + offset
        to, at = np.ix_(*outputs), np.ix_(*inputs)
        element, norm = v[at], y[to]
        term = dy[to] * np.sign(element) * (np.abs(element) / norm) ** (p - 1)
        np.add.at(dx, at, np.where((element != 0) & (norm != 0), term, 0.0))
    return _kept(dx, there)
