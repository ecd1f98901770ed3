"""Windows for which no scratch memory is long enough, a slab of their axis after the other.

All windows that begin in one slab and end in another have what lies between in common::

    |         |         |         |         |         |     slabs of x
        [=head|=============core============|==tail==)      a window
         [head|=============core============|==tail===)     the next one

Heads go on to the end of their slab and tails come from the beginning of theirs; cores are made of whole slabs, which are merged once. Each of the three is an
ordinary call with windows no longer than a slab. Nothing is subtracted, and what is read of x does not grow with the windows.

What merging has to know of a piece lies beside its values: of masked means the sums of weights, of what is selected the indices, as elements may be missing, and
as pieces side by side do not follow each other in a plane where another pooled axis comes first.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np

from numbapool import dtypes
from numbapool.backends import cpu, plans
from numbapool.presence import WHOLE, Presence, numbers
from numbapool.presence import slabs as parts_of
from numbapool.reductions import AVG, MAX, MIN, SUM, Elements
from numbapool.windows import divisors, sliding, untouched

LONGEST, SHORTEST = 1 << 16, plans.LEAST_SLABBED // 4  # elements of a slab
INNER_LONGEST = 1 << 12  # the same beside many inner elements
MOST = 1 << 17  # results that are merged at a time
LAST = np.iinfo(np.int64).max  # behind all indices


class Parts:
    """An array of float64 that is only ever there in parts: `of` makes one, or takes one, of which it is told by its slices."""

    dtype = np.dtype(np.float64)

    def __init__(self, shape, of, begins=None):
        self.shape, self.of, self.ndim = tuple(shape), of, len(shape)
        self.begins = begins or (0,) * self.ndim

    def __getitem__(self, part):
        bounds = [s.indices(n) for s, n in zip(part, self.shape, strict=False)]
        bounds += [(0, n, 1) for n in self.shape[len(bounds) :]]
        begins = tuple(first + begin for first, (begin, _, _) in zip(self.begins, bounds, strict=True))
        return Parts([end - begin for begin, end, _ in bounds], self.of, begins)

    @property
    def slices(self):
        """Where this part lies in the whole."""
        return tuple(slice(first, first + n) for first, n in zip(self.begins, self.shape, strict=True))


def fill(request, y, saved=None, key=None):
    """Write the values, and to `saved` what `key` names ("positions", "weights"), of a request for which there is no plan.

    Of sums, x and y may be `Parts`: ``x.of(slices)`` makes a part of x, ``y.of(slices, total)`` takes a part of the sums.
    """
    if 0 in y.shape:
        return
    i = plans.axis_of_slabs(request.windows)
    axis, w = request.axes[i], request.windows[i]
    beside = prod(y.shape[a] for a in request.axes if a != axis)
    free = tuple(a for a in range(y.ndim) if a not in request.axes)
    inner = prod(y.shape[a] for a in free if a > axis)  # whose elements share lines of memory
    length = max(
        min(LONGEST, w.most // 4, MOST // beside, max(MOST // (beside * inner), INNER_LONGEST)), SHORTEST
    )
    planes = max(MOST // (length * beside), 1)
    slabs: Any = _Norms
    if request.reduction.selecting:
        slabs = partial(_Chosen, indices=key is not None)
    elif request.reduction.power is None:
        slabs = _Sums
    for part in parts_of(request.x.shape, free, planes * prod(request.x.shape[a] for a in request.axes)):
        some = replace(request, x=request.x[part], presence=request.presence.part(part), out=(None, None))
        slabs(some, i, length).fill(y[part], None if saved is None else saved[part])


def _all(n):
    """The one window of n elements."""
    return sliding(n, n, 1, 0, 0, 1, False, False)


class _Piece(NamedTuple):
    """Of parts of windows the results before they are divided and rounded, and what is known beside them."""

    values: Any
    beside: Any  # None: nothing


class _Slabs:
    """A request along whose i-th pooled axis there are slabs. Places on it count from where the first window begins, which may be in the padding.

    Attributes
    ----------
    reduction : Reduction
        What pieces are made by.
    dtype : str or None
        Of their values, as the argument ``dtype=``.
    key : {None, "positions", "weights"}
        What is beside them.
    """

    reduction: Any
    dtype: str | None = None
    key: str | None = None

    def __init__(self, request, i, length):
        self.request, self.i, self.axis, self.w = request, i, request.axes[i], request.windows[i]
        self.kernel, self.stride, self.before = self.w.sliding
        self.windows = max(length // self.stride, 1)  # that begin in a slab
        self.length = self.windows * self.stride
        self.reduction = request.reduction

    def _joined(self, piece, axis):
        """One piece of those that lie beside each other along an axis."""
        raise NotImplementedError

    def _store(self, pieces, part, y, saved):
        """Merge the pieces of the windows in `part` of all, and write what they are."""
        raise NotImplementedError

    @np.errstate(all="ignore")
    def fill(self, y, saved):
        """Write the results."""
        self.first = self.before // self.length  # the first slab that has elements
        before = self.before - self.first * self.length
        after = -(before + self.w.size) % self.length
        self.whole = self._wholes(
            sliding(self.w.size, self.length, self.length, before, after, 1, False, False)
        )
        for begin in range(0, self.w.count, self.windows):
            end = min(begin + self.windows, self.w.count)
            part = self._along(begin, end)
            self._store(self._pieces(begin, end), part, y[part], None if saved is None else saved[part])

    def _wholes(self, w):
        """The piece of whole slabs, some at a time."""
        step = max(4 * MOST // self.length, 1)
        if isinstance(self.request.x, Parts):
            n = self.request.x.shape
            step = max(MOST // (self.length * (prod(n) // n[self.axis])), 1)
        found = []
        for begin in range(0, w.count, step):
            windows = begin, min(begin + step, w.count)
            elements = w.span(*windows)
            found.append(self._pooled(elements, w.cut(elements, windows)))
        return _side_by_side(found, self.axis)

    def _along(self, begin, end):
        return (slice(None),) * self.axis + (slice(begin, end),)

    def _pooled(self, elements, windows):
        """The piece of windows that take these elements of the axis."""
        request = self.request
        axes, others = request.axes, request.windows
        part = self._along(*elements)
        x = request.x[part]
        if isinstance(x, Parts):
            x = x.of(x.slices)
        some = replace(
            request,
            reduction=self.reduction,
            x=x,
            windows=(*others[: self.i], windows, *others[self.i + 1 :]),
            presence=request.presence.part(part),
            dtype=self.dtype,
            divisor=None,
        )
        values, beside = cpu.forward(some, self.key if self.reduction.selecting else None)
        if self.key == "weights":
            _, beside = cpu.forward(replace(some, reduction=AVG, dtype="float64"), "weights")
        elif self.key:  # of a plane that has no other elements
            inner = prod(x.shape[a] for a in axes[self.i + 1 :])
            plane = x.shape[self.axis] * inner
            missing = (self.w.size * inner - plane) * (beside // plane) if self.i else 0
            np.add(beside, missing + elements[0] * inner, out=beside, where=beside >= 0)
        return _Piece(values, beside)

    def _pieces(self, begin, end):
        """The heads, the core and the tails of windows begin … end - 1, in this order: those of which every window has an element."""
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
        values = self.whole.values[part]
        if not values.shape[self.axis]:
            return None
        return self._joined(_Piece(values, None if self.key is None else self.whole.beside[part]), self.axis)

    def _called(self, reduction, values, axes, dtype, key=None, windows=None, **options):
        """What an ordinary call makes of values, by default of all along an axis, and what it saves beside them."""
        windows = windows or tuple(_all(values.shape[a]) for a in axes)
        given = {"presence": WHOLE, "divisor": None, "out": (None, None)} | options
        some = replace(
            self.request, reduction=reduction, x=values, axes=axes, windows=windows, dtype=dtype, **given
        )
        return cpu.forward(some, key)


class _Sums(_Slabs):
    """Sums, and means from them and what they are divided by."""

    def __init__(self, request, *args):
        super().__init__(request, *args)
        elements, self.mean = request.presence.elements, self.reduction.mean
        # Sums of integers are integers.
        exact = self.reduction.types(request.x_name, request.dtype, True, bool(elements.weights)).acc
        self.reduction, self.dtype = SUM, "float64" if exact == "float64" else None
        self.key = "weights" if self.mean and elements else None

    def _joined(self, piece, axis):
        made = (
            None if array is None else self._called(SUM, array, (axis,), self.dtype)[0] for array in piece
        )
        return _Piece(*made)

    def _store(self, pieces, part, y, saved):
        request = self.request
        total, weights = map(_total, zip(*pieces, strict=True)) if pieces else (np.zeros(()), None)
        divisor = request.divisor
        if self.mean and divisor is None:
            divisor = 1.0
            if weights is None:
                total = total / divisors(request.windows, request.axes, part, y.ndim)
            else:
                total = np.where(weights == 0, np.nan, total / weights)
                if request.y_name == request.x_name and not dtypes.is_float(request.y_name):
                    total = total.clip(MAX.identity(request.y_name), MIN.identity(request.y_name))
        if saved is not None:
            saved[...] = weights
        if isinstance(y, Parts):
            total = np.broadcast_to(total, y.shape)
            for some in parts_of(y.shape, size=MOST // 4):  # which takes several times as much
                y[some].of(y[some].slices, total[some])
            return
        windows = tuple(untouched(y.shape[a]) for a in request.axes)
        total = np.broadcast_to(total, y.shape)
        self._called(
            request.reduction,
            total,
            request.axes,
            request.y_name,
            None,
            windows,
            divisor=divisor,
            out=(y, None),
        )


class _Norms(_Slabs):
    """Norms, which are norms of those of their pieces; of negative order but for pieces of nothing, which are 0 as well."""

    dtype = "float64"

    def __init__(self, request, *args):
        super().__init__(request, *args)
        self.key = "weights" if self.reduction.power < 0 and request.presence.elements else None

    def _joined(self, piece, axis):
        values, counts = piece
        if counts is not None:
            values, counts = np.where(counts == 0, np.inf, values), counts.sum(axis, keepdims=True)
        values, _ = self._called(self.reduction, values, (axis,), "float64")
        return _Piece(values if counts is None else np.where(counts == 0, 0, values), counts)

    def _store(self, pieces, part, y, saved):
        values, counts = _stacked(pieces, y.shape)
        if counts is not None:
            values[counts == 0] = np.inf
        self._called(self.reduction, values, (0,), self.request.y_name, out=(y[None], None))
        if counts is not None:
            np.copyto(y.view(np.ndarray), 0, where=(counts == 0).all(0))


class _Chosen(_Slabs):
    """Elements of windows, the first of the best: the first in the plane, where pieces side by side do not follow each other if another pooled axis comes before theirs."""

    def __init__(self, request, *args, indices):
        super().__init__(request, *args)
        self.dtype = request.dtype
        self.in_order = all(w.most == 1 for w in request.windows[: self.i])
        self.key = "positions" if indices or request.presence.elements else None

    def fill(self, y, saved):
        super().fill(y, saved)
        if self.key or self.in_order or not self.reduction.signed_zeros(self.request.x_name):
            return
        if any((numbers(y[part]) == 0).any() for part in parts_of(y.shape)):
            self.key = "positions"  # which tell the first of zeros of both signs
            super().fill(y, saved)

    def _joined(self, piece, axis):
        values, at = piece
        if at is None:
            return _Piece(self._called(self.reduction, values, (axis,), self.dtype)[0], None)
        chosen = self._first(values, at, axis)
        taken = np.take_along_axis(values.view(np.ndarray), chosen, axis)
        return _Piece(taken.view(type(values)), np.take_along_axis(at, chosen, axis))

    def _first(self, values, at, axis):
        """Which of the values along an axis is the first of the best. What is there beats all that is not, of which a NaN beats what stands for nothing."""
        there = at >= 0
        if self.in_order:
            masked = Presence(True, Elements(where=True), there) if self.request.presence.elements else WHOLE
            _, chosen = self._called(
                self.reduction, values, (axis,), self.dtype, "positions", presence=masked
            )
            none = chosen < 0
            if none.any():
                np.copyto(chosen, np.isnan(numbers(values)).argmax(axis, keepdims=True), where=none)
            return chosen
        values = numbers(values)
        nan, none = values != values, self.reduction.identity(dtypes.name_of(values.dtype))
        better = np.maximum if self.reduction.merge == "maximum" else np.minimum
        best = better.reduce(np.where(there, values, values.dtype.type(none)), axis, keepdims=True)
        wins = there & ((values == best) | nan)
        return np.where(wins, at, LAST - nan).argmin(axis, keepdims=True)

    def _store(self, pieces, part, y, saved):
        values, at = self._joined(_stacked(pieces, y.shape), 0)
        y.view(np.ndarray)[...] = values.view(np.ndarray)[0]
        if saved is not None:
            saved[...] = at[0]


def _total(arrays: Any) -> Any:
    return None if arrays[0] is None else reduce(np.add, arrays)


def _stacked(pieces, shape):
    """Pieces one after the other along a new first axis, of a core as often as there are windows."""
    made = []
    for arrays in zip(*pieces, strict=True):
        stack = None
        if arrays[0] is not None:
            stack = cpu.empty((len(arrays), *shape), range(len(shape) + 1), arrays[0].dtype)
            for i, array in enumerate(arrays):
                stack[i] = array
        made.append(stack)
    return _Piece(*made)


def _side_by_side(pieces, axis):
    """The same next to each other along an axis there is."""
    if len(pieces) == 1:
        return pieces[0]
    return _Piece(
        *(
            None if a[0] is None else np.concatenate(a, axis).view(type(a[0]))
            for a in zip(*pieces, strict=True)
        )
    )
