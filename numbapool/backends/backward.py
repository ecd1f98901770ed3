"""Gradients of what `cpu` computes: a scatter for what selects, the transposed windows for what sums.

Sums over elements of unlike weight, and norms, are the plain sum of the windows' shares, times a factor of each element:
``dx = factor(x) · Σ share(dy, y)``. All of it is one kernel's; where that would not do (large windows, learned weights, a range of magnitudes that float64
does not hold once raised), shares and factors are NumPy's, on slabs that bound their temporaries.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from math import prod
from typing import NamedTuple

import numpy as np

from numbapool import columns, containers, dtypes, presence
from numbapool.backends import cpu, gaps, gradient_plans, plans, slabs
from numbapool.backends.cpu import empty, result_layout
from numbapool.presence import numbers
from numbapool.reductions import AVG
from numbapool.request import Request
from numbapool.windows import Windows, divisors, sliding

BAND = 800  # binades that a band may span once raised
NARROWEST = 1e-5  # binades of a band before
MOST_BANDS = 32  # more are slower than a look at every tap
NO_BAND = -(2**31)
FEW = 64  # windows that cover an element, for which a kernel reads them one by one
MOST_LINES = 1 << 12  # elements of a part of windows that do not slide
LONG = 1 << 16  # elements of the parts in which gradients of longer windows are done
MOST_PHASES = 64  # of the strides of such windows, which are done one by one
LONGEST = 1 << 18  # elements of a window up to which a kernel has scratch rows as long as it
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
    i = columns.axis(request.windows) if _are_long(request) else None
    return y, y, _pullback(request, sums) if i is None else _in_columns(request, i, sums)


def _pullback(request, sums):
    """The function that takes dy to dx, where no weights are learned; `sums` of those there are, if the result is a mean."""
    if request.reduction.power is not None:
        return _norm(request)
    return _weighted(request, None, sums) if request.presence.elements else partial(_plain, request)


def _in_columns(request, i, sums):
    """The same of windows with gaps, in whose columns there are none."""

    def pullback(dy):
        dx, a = _new(request), request.axes[i]
        dx[...] = 0  # also in elements between the columns
        for some, part in gaps.split(request, i, gaps.SIZE):
            pull = _pullback(part, gaps.of_y(sums, a, some))
            gaps.of_x(dx, a, some)[...] = pull(gaps.of_y(dy, a, some))
        return dx

    return pullback


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


@np.errstate(all="ignore")
def _factored_in_parts(request, dy, sums):
    """The same into a new dx; of windows that are long a part at a time, as the kernel has rows as long as they are."""
    dx = _new(request)
    if not _are_long(request):
        return _factored(request, dy, sums, dx)
    for part in _parts(request, LONG):
        some, share = _restricted(request, part.x, part.windows), dy[part.y]
        by = None if sums is None else sums[part.y]
        if part.joined is not None:
            share, by = part.share(_divided(numbers(share, "float64"), by)), None
        _factored(some, share, by, dx[part.x])
    return dx


def _divided(share, sums):
    """What windows pass on; those whose weights add up to nothing, nothing."""
    return share if sums is None else _nothing_where(sums == 0, share / sums)


def _spread(mean, request, dy, dx, name, divisor=None):
    """dx = the sum over windows of dy, for a `mean` divided by their extents. The arrays may be parts of the request's."""
    if dy.size == 0 or dx.size == 0:
        dx[...] = 0
        return dx
    plan, dy_name = None, dtypes.name_of(dy.dtype)
    if all(_whole(w) for w in request.windows):
        share = (divisor or prod(w.extent for w in request.windows)) if mean else 1
        plan = gradient_plans.filling(
            dx.shape, dx.strides, name, request.axes, request.windows, dy_name, share, dy.strides
        )
        if plan is None and dy.dtype == dx.dtype and dx.dtype.itemsize > 2:
            with np.errstate(all="ignore"):
                np.copyto(dx, dy / dx.dtype.type(share) if mean else dy)
            return dx
    plan = plan or gradient_plans.summing(
        mean, dx.shape, dx.strides, name, request.axes, request.windows, dy_name, divisor, dy.strides
    )
    if plan is None:
        windows, share = gradient_plans.as_forward(mean, request.windows, divisor)
        cpu.forward(Request(AVG, dy, request.axes, windows, name, divisor=share, out=(dx, None)), None)
    else:
        plan.run(dy, dx)
    return dx


def _whole(windows):
    """Whether there is one window, of all elements: what it passes on is a copy for every one of them."""
    return windows.count == 1 and windows.step == 1 and windows.table[0, :2].tolist() == [0, windows.size]


@np.errstate(all="ignore")
def _plain(request, dy):
    dx, mean, name = _new(request), request.reduction.mean, request.x_name
    if not _are_long(request) or all(_whole(w) for w in request.windows):
        return _spread(mean, request, dy, dx, name, request.divisor)
    phases = _phases(request)
    if phases is not None:
        divisor = gradient_plans.shared_divisor(mean, request.windows, request.divisor)
        share = dy
        if divisor is None:
            share = slabs.Parts(dy.shape, partial(_evenly, request, dy))
        _by_phases(request, phases, share, lambda of: dx[of], divisor or 1.0)
        return dx
    for part in _parts(request, LONG):
        share = numbers(dy[part.y], "float64") / (request.divisor or 1)
        if mean and not request.divisor:
            share = share / divisors(request.windows, request.axes, part.y, dx.ndim)
        _spread(False, replace(request, windows=part.windows), part.share(share), dx[part.x], name)
    return dx


def _evenly(request, dy, part):
    """What the windows of a mean pass on to each of their elements."""
    return numbers(dy[part], "float64") / divisors(request.windows, request.axes, part, dy.ndim)


def _phases(request):
    """The elements of x in sets of every n-th one, each with the windows that cover them, where these slide by one over dy, so that what they add up is a forward call: slices and windows; None if they do not."""
    strides = [w.regular[1] if w.regular and w.step == 1 else MOST_PHASES + 1 for w in request.windows]
    if prod(strides) > MOST_PHASES:
        return None
    phases = []
    for firsts in itertools.product(
        *(range(min(s, w.size)) for s, w in zip(strides, request.windows, strict=True))
    ):
        some = dict(zip(request.axes, map(slice, firsts, itertools.repeat(None), strides), strict=True))
        windows = tuple(w.phase(first) for w, first in zip(request.windows, firsts, strict=True))
        if None not in windows and plans.axis_of_slabs(windows) is None:
            return None
        phases.append((tuple(some.get(a, slice(None)) for a in range(request.x.ndim)), windows))
    return phases


def _by_phases(request, phases, share, kept, divisor=1.0):
    """Add up what the windows that cover an element pass on, divided; `kept` says where the sums of a phase go, `share` and that may be `slabs.Parts`."""
    for of, windows in phases:
        total = kept(of)
        if None in windows:  # which cover no such element
            for part in presence.slabs(total.shape):
                if isinstance(total, slabs.Parts):
                    total.of(total[part].slices, np.zeros(total[part].shape))
                else:
                    total[part] = 0
            continue
        adding = Request(AVG, share, request.axes, windows, request.x_name, divisor=divisor)
        if isinstance(share, slabs.Parts):
            slabs.fill(adding, total)
        else:
            cpu.forward(replace(adding, out=(total, None)), None)


def _are_long(request):
    """Whether a kernel would need scratch rows of many elements: they are as long as a window."""
    return any(w.most * w.step > LONGEST for w in request.windows)


def _selecting(request):
    y, keys = cpu.forward(request, "places")
    indices = None
    if request.indices:
        indices = request.out[1]
        if keys.dtype == np.uint8:
            indices = cpu.positions(request, keys, indices)
        else:
            indices = keys.astype(np.int64, "K")
    if keys.dtype == np.int64 and any(w.count > 1 for w in request.windows):  # one window a plane has few
        keys = keys.astype(cpu.index_dtype(request), "K", copy=False)

    def pullback(dy):
        dx = _new(request)
        if dx.size == 0 or dy.size == 0:
            dx[...] = 0
            return dx
        made = partial(
            gradient_plans.selecting,
            dx.shape, dx.strides, request.x_name, request.axes, request.windows, dtypes.name_of(dy.dtype), dy.strides,
        )  # fmt: skip
        chosen = keys
        plan = made("places" if keys.dtype == np.uint8 else "positions", keys.strides, keys.itemsize)
        if plan is None:  # windows that reach over billions of elements
            chosen = cpu.positions(request, keys)
            plan = made("positions", chosen.strides, chosen.itemsize)
        plan.run(dy, dx, K=chosen)
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


class _Part(NamedTuple):
    """Elements of x, the windows that any of them is in, and what these have of the elements."""

    x: tuple[slice, ...]
    y: tuple[slice, ...]
    windows: tuple[Windows, ...]
    joined: int | None = None  # the axis along which all windows have all elements, and stand for one

    def share(self, values):
        """What the windows pass on, where those that stand for one are added up."""
        return (
            values if self.joined is None else values.sum(axis=self.joined, keepdims=True, dtype=np.float64)
        )


def _parts(request, size=None, joins=True):
    """Parts of about `size` elements: slices along an axis that is not pooled, and where those are too large along a pooled one as well; `joins`: windows may be joined."""
    x, axes, size = request.x, request.axes, size or presence.SLAB
    long, step, ranges = _cut(request, size, joins)
    w, free = request.windows[axes.index(long)], _unpooled(request)
    for part in presence.slabs(x.shape, free, size):
        if ranges is None:
            yield _Part(part, part, request.windows)
            continue
        part = (*part, *(slice(None),) * (x.ndim - len(part)))
        whole = _reach(w) > step
        for begin, end in ranges:
            low, high = map(int, w.covering(begin, end - 1))
            if whole or low == high:  # windows that are not there are not looked at
                cut = sliding(end - begin, end - begin, 1, 0, 0, 1, False, False)
            else:
                cut = w.cut((begin, end), (low, high))
            of_x, of_y = ((*part[:long], slice(*s), *part[long + 1 :]) for s in ((begin, end), (low, high)))
            windows = tuple(
                cut if a == long else other for a, other in zip(axes, request.windows, strict=True)
            )
            yield _Part(of_x, of_y, windows, long if whole and high - low > 1 else None)


def _unpooled(request):
    return tuple(a for a in range(request.x.ndim) if a not in request.axes)


def _cut(request, size, joins):
    """Along which axis the slices of about `size` elements are still too long, how many elements of it would do, and the ranges it is cut into, None if it is not."""
    x, axes = request.x, request.axes
    long = max(axes, key=lambda a: x.shape[a])
    slices = presence.slabs(x.shape, _unpooled(request), size)
    elements = max((x[part].size for part in slices), default=0)
    step = max(size * x.shape[long] // max(elements, 1), 1)
    # The same for all slices: what the ranges of one have of an array that they share, those of the others have.
    w = request.windows[axes.index(long)]
    return long, step, _ranges(w, step, joins) if elements > 2 * size else None


def _is_uncut(request, joins=True):
    """Whether parts would be long, or kernels need scratch rows that are."""
    long, step, ranges = _cut(request, presence.SLAB, joins)
    if ranges is None:
        return _are_long(request) or step < request.x.shape[long] // 2
    of_parts = [
        w for a, w in zip(request.axes, request.windows, strict=True) if a != long or _reach(w) <= step
    ]
    return _are_long(replace(request, windows=tuple(of_parts)))


def _reach(w):
    return (w.most - 1) * w.step + 1


def _ranges(w, step, joins):
    """Ranges of at most `step` elements of an axis, as (first, behind the last); None if it had better not be cut.

    Windows that are longer than that have all elements of a range or none.
    """
    if _reach(w) <= step:
        if w.regular is None and step > MOST_LINES:
            return None  # parts that are all different would keep tables of their own
        step -= step % w.pace if step > w.pace else 0  # so that parts, and the plans for them, are alike
        edges = [0, w.size]
    elif w.step > 1 or w.count > max(w.size // step, 4) or (w.overlap and not joins):
        return None  # between their ends would be little, and many parts
    else:
        edges = np.unique([0, w.size, *w.table[:, :2].ravel()]).tolist()
    return [
        (b, min(b + step, end)) for begin, end in itertools.pairwise(edges) for b in range(begin, end, step)
    ]


def _reading(request, part):
    """The request for the results of a part's windows, which may take elements of others."""
    around, windows = list(part.x), []
    for a, w in zip(request.axes, request.windows, strict=True):
        chosen = part.y[a] if a < len(part.y) else slice(None)
        if chosen == slice(None):
            windows.append(w)
            continue
        elements = w.span(chosen.start, chosen.stop)
        around[a] = slice(*elements)
        windows.append(w.cut(elements, (chosen.start, chosen.stop)))
    return _restricted(request, tuple(around), tuple(windows))


def _restricted(request, part, windows):
    """The request for a part of x."""
    return replace(
        request, x=request.x[part], windows=windows, presence=request.presence.part(part), out=(None, None)
    )


def _weighted(request, y, sums):
    """The pullback of sums and means over elements that are weighed or missing; `sums` of their weights divide a mean, y is one whose weights are learned."""
    present, x = request.presence, request.x
    weights, given = present.weights, present.given
    learned = weights is not None and dtypes.is_float(given.dtype)
    compute = np.dtype("float64" if "float64" in (request.x_name, request.y_name, given.dtype) else "float32")
    if sums is not None and not learned:  # else there is no room for a copy
        sums = sums.astype(compute, copy=False)
    # Over the shape of the weights, with all axes; axes that were merged are told apart, and added up, in the end.
    kept = (1,) * (x.ndim - len(given.shape)) + given.shape if request.restored is None else x.shape

    if not learned and _few(request):
        return lambda dy: _factored_in_parts(request, dy, sums)
    covered = None if weights is None else _covered(request)

    def spread(piece, dy, dx):
        """A part of dx; that of the weights' gradient, if they are learned."""
        part, of_y, some = piece.x, piece.y, replace(request, windows=piece.windows)
        by = None if sums is None else sums[of_y].astype(compute, copy=False)
        shares = _divided(numbers(dy[of_y]).astype(compute, copy=False), by)
        share = piece.share(shares)
        if weights is None:
            _spread(False, some, share, dx[part], request.x_name)
            _clear(dx[part], present.part(part), x[part])
            return None
        there = _there(request, covered, part)
        total = _spread(False, some, share, np.empty(x[part].shape, compute), compute.name)
        _store(dx, part, _kept(total * numbers(weights[part]), there))
        if not learned:
            return None
        slope = total * numbers(x[part])
        if by is not None:
            dead = by == 0
            share = piece.share(_nothing_where(dead, shares * y[of_y]))
            slope -= _spread(False, some, share, total, compute.name)
            if dead.any():  # what only they have, which may be infinite, has no gradient
                alive = piece.share((~dead).astype(compute))
                slope[_spread(False, some, alive, total, compute.name) == 0] = 0
        return _kept(slope, there)

    def passed(dy, part):
        return _divided(numbers(dy[part], "float64"), None if sums is None else sums[part])

    def by_phases(phases, dy, dx, dw):
        """Fill dx, and dw with the gradient of as many weights."""
        if dw is not None and sums is not None:
            _by_phases(
                request,
                phases,
                slabs.Parts(dy.shape, lambda part: passed(dy, part) * y[part]),
                lambda of: dw[of],
            )
        elif dw is not None:
            dw[...] = 0
        shares = slabs.Parts(dy.shape, partial(passed, dy))
        _by_phases(request, phases, shares, partial(_weighing, request, covered, dx, dw))

    @np.errstate(all="ignore")
    def pullback(dy):
        dx = _new(request)
        phases = _phases(request) if _is_uncut(request) else None
        if learned and phases is not None:
            alike = (
                given.shape == x.shape
                and request.restored is None
                and given.dtype == request.x_name == compute.name
            )
            if alike and not (sums is not None and (sums == 0).any()):
                dw = np.empty(x.shape, compute)
                by_phases(phases, dy, dx, dw)
                return dx, dw
        elif phases is not None:
            by_phases(phases, dy, dx, None)
            return dx
        if not learned:
            for piece in _parts(request):
                spread(piece, dy, dx)
            return dx
        tensor = given.dtype == "bfloat16" and given.kind is not None
        dtype = containers.bfloat16 if tensor else weights.dtype
        parts: dict = {}  # of the weights: what takes part in the sum of each
        for piece in _parts(request):
            whose = (s if n > 1 else slice(None) for s, n in zip(piece.x, kept, strict=False))
            parts.setdefault(tuple((s.start, s.stop) for s in whose), []).append(piece)
        added = request.restored is not None and prod(given.shape) < x.size
        dw = np.zeros(kept, np.float64 if added else dtype)
        dw = dw.view(containers.BFloat16) if tensor and not added else dw
        shared = tuple(a for a in range(x.ndim) if kept[a] == 1)
        for bounds, pieces in parts.items():
            slopes = (spread(piece, dy, dx) for piece in pieces)
            if shared:
                slopes = (slope.sum(axis=shared, keepdims=True, dtype=np.float64) for slope in slopes)
            total = next(slopes)
            for slope in slopes:
                total += slope
            _store(dw, tuple(itertools.starmap(slice, bounds)), total)
        if request.restored is not None:
            dw = request.restored(dw)
        if added:
            dw = containers.converted(_unbroadcast(dw, given.shape), dtype)
        return dx, dw.reshape(given.shape)

    return pullback


def _weighing(request, covered, dx, dw, of):
    """What takes the sums of a phase, and writes what its elements and, if there is dw, their weights get of them."""
    some, covered, dx = (
        _restricted(request, of, request.windows),
        None if covered is None else covered[of],
        dx[of],
    )
    dw = None if dw is None else dw[of]

    def take(part, total):
        there, weights = _there(some, covered, part), some.presence.weights
        if dw is not None:
            dw[part] = _kept(total * numbers(some.x[part]) - dw[part], there)
        _store(dx, part, _kept(total if weights is None else total * numbers(weights[part]), there))

    return slabs.Parts(dx.shape, take)


def _unbroadcast(array, shape):
    """Summed over the axes along which something of `shape` was broadcast."""
    new = array.ndim - len(shape)
    axes = (*range(new), *(new + a for a, n in enumerate(shape) if n == 1 and array.shape[new + a] > 1))
    return array.sum(axis=axes, keepdims=True).reshape(shape)


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
    size = LONG if _are_long(request) else NORM_SLAB if direct else None

    @np.errstate(all="ignore")
    def pullback(dy):
        dx = _new(request)
        if dx.size == 0 or dy.size == 0:
            dx[...] = 0
            return dx
        phases = _phases(request) if _is_uncut(request, joins=False) else None
        if phases is not None and _norm_by_phases(request, phases, covered, width, dy, dx):
            return dx
        last = y = None
        for piece in _parts(request, size, joins=False):
            part, shares = piece.x, dy[piece.y]
            if shares.size == 0:
                dx[part] = 0
                continue
            some = _restricted(request, part, piece.windows)
            if piece.y != last:  # parts of windows that take all of them have the same norms
                last, y = piece.y, cpu.forward(replace(_reading(request, piece), dtype="float64"), None)[0]
            if direct and _near_one(y, p) and (dy.dtype != np.float64 or _near_one(shares, 2)):
                _factored(some, shares, y, dx[part])
                continue
            v, there = numbers(x[part], "float64"), _there(request, covered, part)
            bands = np.empty(v.shape, np.int32)
            if width > NARROWEST:
                for rows in presence.slabs(v.shape):
                    bands[rows] = _bands(v[rows], None if there is None else there[rows], width)
            used = np.unique(bands)
            used = used[used != NO_BAND]
            if len(used) > MOST_BANDS or width <= NARROWEST:
                _store(dx, part, _norm_by_taps(some, v, numbers(shares, "float64"), y, there))
                continue
            dx[part] = 0
            total = np.empty(v.shape if len(used) else ())
            for band in used:
                scale = _scale(band, width)
                share = _share_of_norm(p, shares, y, scale)
                _spread(False, some, share, total, "float64")
                for rows in presence.slabs(v.shape):
                    here = bands[rows] == band
                    if not here.any():
                        continue
                    target = dx[part][rows]
                    slope = _slope_of_norm(p, v[rows], total[rows], scale)
                    _store(target, ..., np.where(here, slope, numbers(target)))
        return dx

    return pullback


def _scale(band, width):
    return 2.0 ** min(max(float(band) * width, -1020.0), 1020.0)


def _share_of_norm(p, dy, y, scale):
    """What a window whose norm is y passes on to its elements."""
    return np.where(y == 0, 0.0, numbers(dy, "float64") * (y / scale) ** (1 - p))


def _slope_of_norm(p, v, total, scale):
    """What an element makes of it."""
    return np.sign(v) * np.abs(v / scale) ** (p - 1) * total


def _norm_by_phases(request, phases, covered, width, dy, dx):
    """Fill dx a phase at a time, and take norms again where they are asked for; False where there are too many bands."""
    p, x = request.reduction.power, request.x
    used: set = set()
    if width > NARROWEST:
        for part in presence.slabs(x.shape):
            used.update(np.unique(_bands(numbers(x[part], "float64"), _there(request, covered, part), width)))
    used.discard(NO_BAND)
    if len(used) > MOST_BANDS or width <= NARROWEST:
        return False

    def share(scale, part):
        reading = _reading(request, _Part(part, part, request.windows))
        y, _ = cpu.forward(replace(reading, dtype="float64"), None)
        for some in presence.slabs(y.shape, size=LONG // 2):
            y[some] = _share_of_norm(p, dy[part][some], y[some], scale)
        return y

    def kept(band, scale, of):
        some, over, to = (
            _restricted(request, of, request.windows),
            None if covered is None else covered[of],
            dx[of],
        )

        def take(part, total):
            v = numbers(some.x[part], "float64")
            here = _bands(v, _there(some, over, part), width) == band
            _store(to, part, np.where(here, _slope_of_norm(p, v, total, scale), numbers(to[part])))

        return slabs.Parts(to.shape, take)

    dx[...] = 0
    for band in used:
        scale = _scale(band, width)
        shares = slabs.Parts(dy.shape, partial(share, scale))
        _by_phases(request, phases, shares, partial(kept, band, scale))
    return True


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
