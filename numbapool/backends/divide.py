"""Gradients that need more memory than they should, a part of x at a time: slices with what windows have of them, or phases of the strides."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np

from numbapool import presence
from numbapool.backends import plans
from numbapool.windows import Windows, sliding

LONG = 1 << 16  # elements of the parts in which gradients of windows that are long are done
LONGEST = 1 << 18  # elements of a window up to which a kernel has scratch rows as long as it
MOST_LINES = 1 << 12  # elements of a part of windows that do not slide
MOST_PHASES = 64  # of strides, which are done one by one


class Part(NamedTuple):
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


def parts(request, size=None, joins=True):
    """Parts of about `size` elements: slices along an axis that is not pooled, and where those are too large along a pooled one as well; `joins`: windows may be joined."""
    x, axes, size = request.x, request.axes, size or presence.SLAB
    long, step, ranges = _cut(request, size, joins)
    w, free = request.windows[axes.index(long)], _unpooled(request)
    for part in presence.slabs(x.shape, free, size):
        if ranges is None:
            yield Part(part, part, request.windows)
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
            yield Part(of_x, of_y, windows, long if whole and high - low > 1 else None)


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


def is_uncut(request, joins=True):
    """Whether parts would be long, or kernels need scratch rows that are."""
    long, step, ranges = _cut(request, presence.SLAB, joins)
    if ranges is None:
        return are_long(request) or step < request.x.shape[long] // 2
    of_parts = [
        w for a, w in zip(request.axes, request.windows, strict=True) if a != long or _reach(w) <= step
    ]
    return are_long(replace(request, windows=tuple(of_parts)))


def are_long(request):
    """Whether a kernel would need scratch rows of many elements: they are as long as a window."""
    return any(w.most * w.step > LONGEST for w in request.windows)


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


def phases(request):
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


def reading(request, part):
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
    return restricted(request, tuple(around), tuple(windows))


def restricted(request, part, windows):
    """The request for a part of x."""
    return replace(
        request, x=request.x[part], windows=windows, presence=request.presence.part(part), out=(None, None)
    )
