"""Gradients of norms: ``sign(x) |x|^(p-1) Σ dy y^(1-p)``, both powers relative to a scale near |x|.

The norms y are needed as they were before they were rounded; to take them again, a part at a time, costs less than the memory to keep them.
Where magnitudes span more than float64 can hold once raised, they are done in bands, each with its scale. A window's norm is never smaller than an
element of it (p < 0: larger), so what leaves the range belongs to other bands, or is nothing beside the rest.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np

from numbapool import presence
from numbapool.backends import cpu, divide, passing, slabs
from numbapool.presence import numbers

BAND = 800  # binades that a band may span once raised
NARROWEST = 1e-5  # binades of a band before
MOST_BANDS = 32  # more are slower than a look at every tap
NO_BAND = -(2**31)
SAFE = 500  # binades that a power of a norm may be away from 1
SLAB = 1 << 21  # elements whose norms are taken again together


def pullback(request):
    """The function that takes dy to dx."""
    p = request.reduction.power
    x, covered = request.x, passing.covered(request)
    direct = p >= 1 and passing.few(request)
    width = BAND / max(abs(p - 1), 0.5)  # binades
    size = divide.LONG if divide.are_long(request) else SLAB if direct else None

    @np.errstate(all="ignore")
    def pull(dy):
        dx = passing.new(request)
        if dx.size == 0 or dy.size == 0:
            dx[...] = 0
            return dx
        phases = divide.phases(request) if divide.is_uncut(request, joins=False) else None
        if phases is not None and _by_phases(request, phases, covered, width, dy, dx):
            return dx
        last = y = None
        for piece in divide.parts(request, size, joins=False):
            part, shares = piece.x, dy[piece.y]
            if shares.size == 0:
                dx[part] = 0
                continue
            some = divide.restricted(request, part, piece.windows)
            if piece.y != last:  # parts of windows that take all of them have the same norms
                last = piece.y
                y, _ = cpu.forward(replace(divide.reading(request, piece), dtype="float64"), None)
            if direct and _near_one(y, p) and (dy.dtype != np.float64 or _near_one(shares, 2)):
                passing.factored(some, shares, y, dx[part])
                continue
            v, there = numbers(x[part], "float64"), passing.there(request, covered, part)
            bands = np.empty(v.shape, np.int32)
            if width > NARROWEST:
                for rows in presence.slabs(v.shape):
                    bands[rows] = _bands(v[rows], None if there is None else there[rows], width)
            used = np.unique(bands)
            used = used[used != NO_BAND]
            if len(used) > MOST_BANDS or width <= NARROWEST:
                passing.store(dx, part, _by_taps(some, v, numbers(shares, "float64"), y, there))
                continue
            dx[part] = 0
            total = np.empty(v.shape if len(used) else ())
            for band in used:
                scale = _scale(band, width)
                share = _share(p, shares, y, scale)
                passing.spread(False, some, share, total, "float64")
                for rows in presence.slabs(v.shape):
                    here = bands[rows] == band
                    if not here.any():
                        continue
                    target = dx[part][rows]
                    slope = _slope(p, v[rows], total[rows], scale)
                    passing.store(target, ..., np.where(here, slope, numbers(target)))
        return dx

    return pull


def _scale(band, width):
    return 2.0 ** min(max(float(band) * width, -1020.0), 1020.0)


def _share(p, dy, y, scale):
    """What a window whose norm is y passes on to its elements."""
    return np.where(y == 0, 0.0, numbers(dy, "float64") * (y / scale) ** (1 - p))


def _slope(p, v, total, scale):
    """What an element makes of it."""
    return np.sign(v) * np.abs(v / scale) ** (p - 1) * total


def _by_phases(request, phases, covered, width, dy, dx):
    """Fill dx a phase at a time, and take norms again where they are asked for; False where there are too many bands."""
    p, x = request.reduction.power, request.x
    used: set = set()
    if width > NARROWEST:
        for part in presence.slabs(x.shape):
            there = passing.there(request, covered, part)
            used.update(np.unique(_bands(numbers(x[part], "float64"), there, width)))
    used.discard(NO_BAND)
    if len(used) > MOST_BANDS or width <= NARROWEST:
        return False

    def share(scale, part):
        reading = divide.reading(request, divide.Part(part, part, request.windows))
        y, _ = cpu.forward(replace(reading, dtype="float64"), None)
        for some in presence.slabs(y.shape, size=divide.LONG // 2):
            y[some] = _share(p, dy[part][some], y[some], scale)
        return y

    def kept(band, scale, of):
        some, to = divide.restricted(request, of, request.windows), dx[of]
        over = None if covered is None else covered[of]

        def take(part, total):
            v = numbers(some.x[part], "float64")
            here = _bands(v, passing.there(some, over, part), width) == band
            passing.store(to, part, np.where(here, _slope(p, v, total, scale), numbers(to[part])))

        return slabs.Parts(to.shape, take)

    dx[...] = 0
    for band in used:
        scale = _scale(band, width)
        shares = slabs.Parts(dy.shape, partial(share, scale))
        passing.by_phases(request, phases, shares, partial(kept, band, scale))
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


def _by_taps(request, v, dy, y, there):
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
    return passing.kept(dx, there)
