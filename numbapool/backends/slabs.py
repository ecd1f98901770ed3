"""Windows for which no scratch memory is long enough, a slab of their axis after the other.

All windows that begin in one slab and end in another have what lies between in common::

    |         |         |         |         |         |     slabs of x
        [=head|=============core============|==tail==)      a window
         [head|=============core============|==tail===)     the next one

Heads go on to the end of their slab and tails come from the beginning of theirs; cores are made of whole slabs, which are merged once. Each of the three is an
ordinary call with windows no longer than a slab, and so is merging them. Nothing is subtracted, and what is read of x does not grow with the windows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from math import prod

import numpy as np

from numbapool.backends import cpu, plans
from numbapool.presence import numbers
from numbapool.presence import slabs as parts_of
from numbapool.reductions import SUM
from numbapool.windows import divisors, sliding, untouched

LONGEST, SHORTEST = 1 << 16, plans.LEAST_SLABBED // 4  # elements of a slab
INNER_LONGEST = 1 << 12  # the same beside many inner elements
MOST = 1 << 17  # results that are merged at a time


def fill(request, y, keys, divided=None):
    """Write the values, and if there are `keys` the indices in a plane, of a request for which there is no plan.

    `divided`: windows whose results x are, and by whose extents they are still to be divided.
    """
    i = plans.axis_of_slabs(request.reduction, request.windows)
    axis, w = request.axes[i], request.windows[i]
    beside = prod(y.shape[a] for a in request.axes if a != axis)
    free = tuple(a for a in range(y.ndim) if a not in request.axes)
    inner = prod(y.shape[a] for a in free if a > axis)  # whose elements share lines of memory
    length = max(
        min(LONGEST, w.most // 4, MOST // beside, max(MOST // (beside * inner), INNER_LONGEST)), SHORTEST
    )
    planes = max(MOST // (length * beside), 1)
    for part in parts_of(request.x.shape, free, planes * prod(request.x.shape[a] for a in request.axes)):
        some = replace(request, x=request.x[part], out=(None, None))
        _Slabs(some, i, length, keys is not None, divided).fill(y[part], None if keys is None else keys[part])


def _all(n):
    """The one window of n elements."""
    return sliding(n, n, 1, 0, 0, 1, False, False)


class _Slabs:
    """A request along whose i-th pooled axis there are slabs. Places on it count from where the first window begins, which may be in the padding."""

    def __init__(self, request, i, length, indices, divided):
        self.divided = divided
        self.request, self.i, self.axis, self.w = request, i, request.axes[i], request.windows[i]
        self.kernel, self.stride, self.before = self.w.sliding
        self.windows = max(length // self.stride, 1)  # that begin in a slab
        self.length = self.windows * self.stride
        self.key = "positions" if indices else None
        reduction = request.reduction
        self.adds = reduction.merge == "add" and reduction.power is None
        self.reduction = SUM if self.adds else reduction
        # Results as they are before they are divided and rounded; sums of integers are integers.
        exact = reduction.types(request.x_name, request.dtype, True).acc
        self.dtype = "float64" if exact == "float64" and not reduction.selecting else None

    def fill(self, y, keys):
        """Write the results."""
        self.first = self.before // self.length  # the first slab that has elements
        before = self.before - self.first * self.length
        after = -(before + self.w.size) % self.length
        whole = sliding(self.w.size, self.length, self.length, before, after, 1, False, False)
        self.merged, self.chosen = self._wholes(whole)
        for begin in range(0, self.w.count, self.windows):
            end = min(begin + self.windows, self.w.count)
            part = self._along(begin, end)
            self._merge(self._pieces(begin, end), begin, end, y[part], None if keys is None else keys[part])

    def _wholes(self, w):
        """Results and indices of whole slabs, some at a time."""
        step = max(4 * MOST // self.length, 1)
        found = []
        for begin in range(0, w.count, step):
            windows = begin, min(begin + step, w.count)
            elements = w.span(*windows)
            found.append(self._pooled(elements, w.cut(elements, windows)))
        merged, chosen = zip(*found, strict=True)
        return np.concatenate(merged, self.axis), np.concatenate(chosen, self.axis) if self.key else None

    def _along(self, begin, end):
        return (slice(None),) * self.axis + (slice(begin, end),)

    def _forward(self, x, axes, windows):
        some = replace(
            self.request,
            reduction=self.reduction,
            x=x,
            axes=axes,
            windows=windows,
            dtype=self.dtype,
            divisor=None,
        )
        return cpu.forward(some, self.key)

    def _pooled(self, elements, windows):
        """Results and indices of windows that take these elements of the axis."""
        axes, others = self.request.axes, self.request.windows
        part = self._along(*elements)
        x = self.request.x[part]
        if self.divided:
            x = numbers(x, "float64") / divisors(self.divided, axes, part, x.ndim)
        y, indices = self._forward(x, axes, (*others[: self.i], windows, *others[self.i + 1 :]))
        if self.key:  # of a plane that has no other elements
            inner = prod(x.shape[a] for a in axes[self.i + 1 :])
            plane = x.shape[self.axis] * inner
            missing = (self.w.size * inner - plane) * (indices // plane) if self.i else 0
            np.add(indices, missing + elements[0] * inner, out=indices, where=indices >= 0)
        return y, indices

    def _pieces(self, begin, end):
        """Results and indices of the heads, the core and the tails of windows begin … end - 1, in this order: of those in which every window has an element."""
        start = begin * self.stride
        head = begin // self.windows + 1  # the slab that begins where heads end
        tail = (start + self.kernel - 1) // self.length
        last = (end - 1) * self.stride + self.kernel
        pieces = [
            self._ends(start, head * self.length, begin, end),
            self._core(head, tail),
            self._ends(tail * self.length, last, begin, end),
        ]
        return [piece for piece in pieces if piece is not None]

    def _ends(self, low, high, begin, end):
        elements = max(low - self.before, 0), min(high - self.before, self.w.size)
        if elements[0] < elements[1]:
            return self._pooled(elements, self.w.cut(elements, (begin, end)))
        return None

    def _core(self, low, high):
        part = self._along(max(low - self.first, 0), max(high - self.first, 0))
        merged = self.merged[part]
        if not merged.shape[self.axis]:
            return None
        y, at = self._forward(merged, (self.axis,), (_all(merged.shape[self.axis]),))
        return y, np.take_along_axis(self.chosen[part], at, self.axis) if self.key else None

    @np.errstate(all="ignore")
    def _merge(self, pieces, begin, end, y, keys):
        """Write the results of windows begin … end - 1; a core is the same for all of them."""
        request, values = self.request, [piece for piece, _ in pieces]
        merging = replace(request, dtype=request.y_name, divisor=None)
        if self.adds:
            total, divisor = (
                reduce(np.add, values, np.zeros((), values[0].dtype if values else None)),
                request.divisor,
            )
            if request.reduction.mean and divisor is None:
                total, divisor = (
                    total / divisors(request.windows, request.axes, self._along(begin, end), y.ndim),
                    1.0,
                )
            x, windows = np.broadcast_to(total, y.shape), tuple(untouched(y.shape[a]) for a in request.axes)
            cpu.forward(replace(merging, x=x, windows=windows, divisor=divisor, out=(y, None)), None)
            return
        stack = cpu.empty((len(values), *y.shape), range(y.ndim + 1), values[0].dtype)
        for i, value in enumerate(values):
            stack[i] = value
        merging = replace(merging, x=stack, axes=(0,), windows=(_all(len(values)),), out=(y[None], None))
        _, chosen = cpu.forward(merging, self.key)
        if self.key:
            for i, (_, indices) in enumerate(pieces):
                np.copyto(keys, indices, where=chosen[0] == i)
