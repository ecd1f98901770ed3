"""Gradients of sums and means over elements that are weighed or missing, and of the weights."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from math import prod

import numpy as np

from numbapool import containers, dtypes, presence
from numbapool.backends import divide, passing, slabs
from numbapool.presence import numbers


def pullback(request, y, sums):
    """The function that takes dy to dx; `sums` of the weights divide a mean, y is one whose weights are learned, and then have a gradient as well."""
    weights, given = request.presence.weights, request.presence.given
    compute = np.dtype("float64" if "float64" in (request.x_name, request.y_name, given.dtype) else "float32")
    if weights is not None and dtypes.is_float(given.dtype):
        return _Learned(request, y, sums, compute)
    if sums is not None:
        sums = sums.astype(compute, copy=False)
    if passing.few(request):
        return partial(passing.factored_in_parts, request, sums=sums)
    return _Weighed(request, sums, compute)


class _Weighed:
    """The pullback where elements are weighed, or missing."""

    def __init__(self, request, sums, compute):
        self.request, self.sums, self.compute = request, sums, compute
        self.covered = None if request.presence.weights is None else passing.covered(request)

    @np.errstate(all="ignore")
    def __call__(self, dy):
        dx = passing.new(self.request)
        phases = divide.phases(self.request) if divide.is_uncut(self.request) else None
        if phases is not None:
            self._by_phases(phases, dy, dx)
            return dx
        for piece in divide.parts(self.request):
            self._fill(piece, self._shares(dy, piece.y, self.compute), dx)
        return dx

    def _shares(self, dy, part, dtype="float64"):
        """What windows pass on to their elements."""
        sums = None if self.sums is None else self.sums[part].astype(dtype, copy=False)
        return passing.divided(numbers(dy[part]).astype(dtype, copy=False), sums)

    def _fill(self, piece, shares, dx):
        """Write a part of dx, and return what its elements receive, if they have weights."""
        part, present, x = piece.x, self.request.presence, self.request.x
        if present.weights is None:
            some = replace(self.request, windows=piece.windows)
            passing.spread(False, some, piece.share(shares), dx[part], self.request.x_name)
            _clear(dx[part], present.part(part), x[part])
            return None
        total = self._spread(piece, shares)
        there = passing.there(self.request, self.covered, part)
        passing.store(dx, part, passing.kept(total * numbers(present.weights[part]), there))
        return total

    def _spread(self, piece, shares):
        """What the elements of a part receive of what windows pass on."""
        some = replace(self.request, windows=piece.windows)
        total = np.empty(self.request.x[piece.x].shape, self.compute)
        return passing.spread(False, some, piece.share(shares), total, self.compute.name)

    def _by_phases(self, phases, dy, dx, dw=None):
        """Fill dx, and, if it holds what means make of it, dw."""
        shares = slabs.Parts(dy.shape, partial(self._shares, dy))
        passing.by_phases(self.request, phases, shares, partial(self._taking, dx, dw))

    def _taking(self, dx, dw, of):
        """What takes the sums of a phase, and writes what its elements, and their weights, get of them."""
        some, dx = divide.restricted(self.request, of, self.request.windows), dx[of]
        covered = None if self.covered is None else self.covered[of]
        dw = None if dw is None else dw[of]

        def take(part, total):
            there, weights = passing.there(some, covered, part), some.presence.weights
            if dw is not None:
                dw[part] = passing.kept(total * numbers(some.x[part]) - dw[part], there)
            weighed = total if weights is None else total * numbers(weights[part])
            passing.store(dx, part, passing.kept(weighed, there))

        return slabs.Parts(dx.shape, take)


class _Learned(_Weighed):
    """The same where weights have a gradient: ``Σ dy (x - y) / Σ weights`` over the windows of an element, or ``x Σ dy`` of a sum."""

    def __init__(self, request, y, *args):
        super().__init__(request, *args)
        self.y, self.given = y, request.presence.given

    @np.errstate(all="ignore")
    def __call__(self, dy):
        dx = passing.new(self.request)
        if self._is_alike() and divide.is_uncut(self.request):
            phases = divide.phases(self.request)
            if phases is not None and not (self.sums is not None and (self.sums == 0).any()):
                dw = np.zeros(dx.shape, self.compute)
                if self.sums is not None:
                    means = slabs.Parts(dy.shape, lambda part: self._shares(dy, part) * self.y[part])
                    passing.by_phases(self.request, phases, means, lambda of: dw[of])
                self._by_phases(phases, dy, dx, dw)
                return dx, dw
        return dx, self._in_parts(dy, dx)

    def _is_alike(self):
        """Whether the gradient of the weights is as x is."""
        request, given = self.request, self.given
        alike = given.shape == request.x.shape and request.restored is None
        return alike and given.dtype == request.x_name == self.compute.name

    def _in_parts(self, dy, dx):
        """Fill dx, and return dw: over the shape of the weights, with all axes; axes that were merged are told apart, and added up, in the end."""
        request, given, x = self.request, self.given, self.request.x
        kept = x.shape
        if request.restored is None:
            kept = (1,) * (x.ndim - len(given.shape)) + given.shape
        tensor = given.dtype == "bfloat16" and given.kind is not None
        dtype = containers.bfloat16 if tensor else request.presence.weights.dtype
        parts: dict = {}  # of the weights: what takes part in the sum of each
        for piece in divide.parts(request):
            whose = (s if n > 1 else slice(None) for s, n in zip(piece.x, kept, strict=False))
            parts.setdefault(tuple((s.start, s.stop) for s in whose), []).append(piece)
        added = request.restored is not None and prod(given.shape) < x.size
        dw = np.zeros(kept, np.float64 if added else dtype)
        dw = dw.view(containers.BFloat16) if tensor and not added else dw
        shared = tuple(a for a in range(x.ndim) if kept[a] == 1)
        for bounds, pieces in parts.items():
            slopes = (self._slope(piece, dy, dx) for piece in pieces)
            if shared:
                slopes = (slope.sum(axis=shared, keepdims=True, dtype=np.float64) for slope in slopes)
            total = next(slopes)
            for slope in slopes:
                total += slope
            passing.store(dw, tuple(itertools.starmap(slice, bounds)), total)
        if request.restored is not None:
            dw = request.restored(dw)
        if added:
            dw = containers.converted(_unbroadcast(dw, given.shape), dtype)
        return dw.reshape(given.shape)

    def _slope(self, piece, dy, dx):
        """Write a part of dx, and return the gradient of the weights of its elements."""
        shares = self._shares(dy, piece.y, self.compute)
        slope = self._fill(piece, shares, dx) * numbers(self.request.x[piece.x])
        if self.sums is not None:
            dead = self.sums[piece.y].astype(self.compute, copy=False) == 0
            slope -= self._spread(piece, passing.nothing_where(dead, shares * self.y[piece.y]))
            if dead.any():  # what only they have, which may be infinite, has no gradient
                slope[self._spread(piece, (~dead).astype(self.compute)) == 0] = 0
        return passing.kept(slope, passing.there(self.request, self.covered, piece.x))


def _unbroadcast(array, shape):
    """Summed over the axes along which something of `shape` was broadcast."""
    new = array.ndim - len(shape)
    axes = (*range(new), *(new + a for a, n in enumerate(shape) if n == 1 and array.shape[new + a] > 1))
    return array.sum(axis=axes, keepdims=True).reshape(shape)


def _clear(dx, present, x):
    """dx = 0 where nothing is there."""
    # As integers: 0 times the bits of an infinity or a NaN is 0.
    bits = dx.view(np.ndarray).view(f"i{dx.itemsize}")
    for part in presence.slabs(dx.shape):
        there = present.there(x, part)
        if there is not None:
            np.multiply(bits[part], there.view(np.int8), out=bits[part])
