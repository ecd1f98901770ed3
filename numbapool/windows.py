"""Where: which elements of an axis belong to which window. Pure integers, no array is touched here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

SOME = (
    1 << 12
)  # windows of one axis, whose table is only made where it is needed: plans, which are kept, seldom do, and parts of long windows are many
MANY = 1 << 16  # windows or elements of one axis that are not done in a way that needs their table
PIECE = 1 << 16  # lines of it that are looked at together


@dataclass(frozen=True, eq=False)
class Lines:
    """A table of windows that slide, line by line: a signal of millions of samples has one of hundreds of megabytes.

    Attributes
    ----------
    count : int
    at : callable
        ``at(o)`` are the lines of an array of windows.
    most : int
        Elements of the largest window.
    inside : int
        One of the windows that have most.
    """

    count: int
    at: Callable[[np.ndarray], np.ndarray]
    most: int
    inside: int

    def __len__(self):
        return self.count

    @cached_property
    def ends(self) -> np.ndarray:
        """The lines of the first window, of one inside and of the last: towards the ends windows of x only get smaller."""
        return self.at(np.array([0, self.inside, self.count - 1]))


@dataclass(frozen=True, eq=False)
class Windows:
    """All windows along one axis.

    Window *o* takes the elements ``start[o], start[o] + step, … < stop[o]``. ``first[o]`` is the number of the tap that falls on ``start[o]``, and
    ``extent[o]`` the number of taps that the divisor of an average counts.
    """

    size: int
    lines: np.ndarray | Lines  # (count, 4) int64: start, stop, first, extent
    step: int = 1
    regular: tuple[int, int, int] | None = None  # (kernel, stride, before): the windows slide
    up: tuple[int, int] = (1, 0)  # elements stand at q·up[0] - up[1] on the line that the windows slide along
    sure: int | None = None  # the table only bounds the windows, which have this many elements each
    # Of windows that slide and whose divisors count padding: (elements that a window spans, before, where the last ends), nothing cut off.
    counted: tuple[int, int, int] | None = None

    @property
    def count(self) -> int:
        """Number of windows."""
        return len(self.lines)

    @cached_property
    def table(self) -> np.ndarray:
        """The lines of all windows."""
        return self.lines.at(np.arange(self.count)) if isinstance(self.lines, Lines) else self.lines

    @property
    def _ends(self) -> np.ndarray:
        """Lines that show what all have in common."""
        return self.lines.ends if isinstance(self.lines, Lines) else self.lines

    @property
    def sliding(self) -> tuple[int, int, int]:
        """`regular`, of windows that must be."""
        if self.regular is None:
            raise NotImplementedError("these windows do not slide")
        return self.regular

    @cached_property
    def most(self) -> int:
        """Taps of the largest window, padding included."""
        if self.regular:
            return self.regular[0]
        if isinstance(self.lines, Lines):
            return self.lines.most
        return int(np.max(-((self.table[:, 0] - self.table[:, 1]) // self.step), initial=0))

    @cached_property
    def least(self) -> int:
        """Elements of the smallest window."""
        if self.sure is not None:
            return self.sure
        return int(np.min(-((self._ends[:, 0] - self._ends[:, 1]) // self.step)))

    @property
    def pace(self) -> int:
        """Elements from one window to the next, rounded down where they are not the same everywhere."""
        return self.regular[1] if self.regular else max(self.size // self.count, 1)

    @cached_property
    def overlap(self) -> bool:
        """Whether windows share elements."""
        if self.regular and isinstance(self.lines, Lines):
            kernel, stride, _ = self.regular
            return (kernel - 1) * self.step + 1 > stride
        start, stop = self.table[:, 0], self.table[:, 1]
        return bool(np.any(start[1:] < stop[:-1])) if self.count > 1 else False

    @property
    def runs(self) -> np.ndarray:
        """For every window how many in a row, itself the first, look alike: each lies one pace behind the one before.

        One array, whichever thread asks first: plans point into it.
        """
        found = self.__dict__.get("_runs")
        return self.__dict__.setdefault("_runs", self._find_runs()) if found is None else found

    def _find_runs(self):
        differs = np.any(np.diff(self.table, axis=0) != [self.pace, self.pace, 0, 0], axis=1)
        ends = np.append(np.flatnonzero(differs), self.count - 1)
        here = np.arange(self.count)
        return ends[np.searchsorted(ends, here)] - here + 1

    @cached_property
    def transposed(self) -> Windows:
        """For every element the windows that cover it: the windows of backward.

        ``first`` is 0, ``extent`` 1.
        """
        if self.regular is None:
            elements = np.arange(self.size, dtype=np.int64)
            table = np.full((self.size, 4), [0, 0, 0, 1], np.int64)
            table[:, 0], table[:, 1] = self.covering(elements, elements)
            return Windows(self.count, table)
        kernel, stride, before = self.sliding
        # i − o·stride = tap·dilation: the solutions o are `step` apart, their taps stride/gcd.
        shared = int(np.gcd(self.step, stride))
        step, most = self.step // shared, -(-kernel * shared // stride)
        if self.size <= MANY:
            lines = self._covering(np.arange(self.size))
        else:
            lines = Lines(self.size, self._covering, min(most, self.count), self.size // 2)
        return Windows(self.count, lines, step, None, (stride, before))

    def _covering(self, elements):
        """The lines of `transposed` for some elements."""
        kernel, stride, before = self.sliding
        reach = (kernel - 1) * self.step
        i = elements + before
        lowest = np.maximum(-((reach - i) // stride), 0)
        highest = np.minimum(i // stride, self.count - 1)
        if self.step > 1:  # o·stride ≡ i modulo the dilation
            shared = int(np.gcd(self.step, stride))
            step = self.step // shared
            quotient, rest = np.divmod(i, shared)
            residue = quotient % step
            if step >= 1 << 31:  # products need more than 64 bits
                residue = residue.astype(object)
            solution = (residue * pow(stride // shared, -1, step) % step).astype(np.int64)
            lowest = np.where(rest == 0, lowest + (solution - lowest) % step, highest + 1)
            lowest = np.minimum(lowest, highest + 1)
        table = np.full((len(elements), 4), [0, 0, 0, 1], np.int64)
        table[:, 0] = lowest
        table[:, 1] = np.maximum(highest + 1, lowest)
        return table

    def covering(self, first, last):
        """The windows that can touch any of the elements first … last, as (first, behind the last)."""
        if self.regular is None:  # windows only ever move forward
            start, stop = self.table[:, 0], self.table[:, 1]
            return np.searchsorted(stop, first, "right"), np.searchsorted(start, last, "right")
        kernel, stride, before = self.regular
        reach = (kernel - 1) * self.step
        low = np.maximum(-((reach - first - before) // stride), 0)
        high = np.minimum((last + before) // stride, self.count - 1) + 1
        return low, np.maximum(high, low)

    @cached_property
    def transposed_line(self) -> Windows:
        """The windows of backward as windows that slide by one along a line on which the outputs stand `stride` apart.

        Of windows that do not slide: the windows of backward as they are.
        """
        if self.regular is None:
            return self.transposed
        kernel, stride, before = self.sliding
        return Windows(
            self.count,
            self.transposed.lines,
            self.step,
            (kernel, 1, (kernel - 1) * self.step),
            (stride, before),
        )

    def phase(self, of: int) -> Windows | None:
        """Of windows whose elements are neighbours: those that cover the elements `of`, `of` + stride, …, which slide by one over the windows; None if no window does."""
        kernel, stride, before = self.sliding
        # The first of the windows that cover `of`, were there as many.
        lowest = -((kernel - 1 - of - before) // stride)
        kernel = (of + before) // stride - lowest + 1
        after = -((of - self.size) // stride) - self.count + lowest + kernel - 1
        return sliding(self.count, kernel, 1, -lowest, after, 1, False, False) if kernel > 0 else None

    def uncovered(self) -> np.ndarray:
        """The elements that are in no window."""
        if self.regular and self.step == 1 and self.regular[0] >= self.regular[1]:  # all between the ends are
            return np.concatenate([np.arange(self._ends[0, 0]), np.arange(self._ends[-1, 1], self.size)])
        found = []
        for begin in range(0, self.size, PIECE):
            elements = np.arange(begin, min(begin + PIECE, self.size))
            lines = self.transposed.lines
            lines = lines.at(elements) if isinstance(lines, Lines) else lines[elements]
            found.append(elements[lines[:, 0] >= lines[:, 1]])
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    @cached_property
    def even(self) -> bool:
        """Whether all windows have the same extent."""
        return bool(np.all(self._ends[:, 3] == self._ends[0, 3]))

    def extents(self, windows: np.ndarray, dtype: str) -> np.ndarray:
        """The extents of some windows, without the table of all."""
        if not isinstance(self.lines, Lines):
            return self.lines[windows, 3].astype(dtype)
        found = np.empty(len(windows), dtype)
        for begin in range(0, len(windows), PIECE):
            found[begin : begin + PIECE] = self.lines.at(windows[begin : begin + PIECE])[:, 3]
        return found

    def alike(self, most: int) -> tuple[int, int]:
        """Where the windows begin that lie inside, and have equal extents, and how many they are beyond `most`."""
        if not isinstance(self.lines, Lines):
            return 0, 0
        kernel, stride, before = self.sliding
        first = max(-(-before // stride), 0)
        behind = (self.size - (kernel - 1) * self.step - 1 + before) // stride + 1
        return first, max(behind - first - most, 0)

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Between which elements windows begin … end - 1 lie, as (first, behind the last)."""
        if self.regular is None:
            return int(self.table[begin, 0]), int(self.table[end - 1, 1])
        kernel, stride, before = self.regular
        first = min(max(begin * stride - before, 0), self.size)
        return first, max(min((end - 1) * stride - before + (kernel - 1) * self.step + 1, self.size), first)

    def cut(self, elements: tuple[int, int], windows: tuple[int, int]) -> Windows:
        """Some windows, of what they have of some elements: ranges of both, each given as (first, behind the last). Extents have no meaning."""
        (first, last), (begin, end) = elements, windows
        if self.regular is None:  # the same windows for the same question: plans are remembered by them
            known = self.__dict__.setdefault("_cuts", {})
            if (elements, windows) not in known:
                lines = self.table[begin:end] - [first, first, 0, 0]
                lines[:, 1] = np.clip(lines[:, 1], 0, last - first)
                lines[:, 0] = np.minimum(np.maximum(lines[:, 0], 0), lines[:, 1])  # their step is 1
                known.setdefault((elements, windows), Windows(last - first, lines))
            return known[elements, windows]
        kernel, stride, before = self.regular
        before += first - begin * stride
        after = (end - begin - 1) * stride + (kernel - 1) * self.step + 1 - (last - first) - before
        return sliding(last - first, kernel, stride, before, after, self.step, False, False)

    @property
    def extent(self) -> int:
        """The extent of the first window."""
        return int(self._ends[0, 3])


@lru_cache(maxsize=1024)
def sliding(size, kernel, stride, before, after, dilation, ceil_mode, count_padding) -> Windows:
    """Windows that slide along an axis of `size` elements with `before` and `after` elements of padding.

    Raises
    ------
    ValueError
        If no output is left.
    """
    dilation = dilation if kernel > 1 else 1
    reach = dilation * (kernel - 1) + 1
    room = size + before + after - reach
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + before:
        count -= 1  # no window starts in the padding at the end
    if count < 1:
        raise ValueError(
            f"kernel_size={kernel} with dilation={dilation} spans {reach} elements, but the axis has {size} "
            f"and padding {before} + {after}: no output is left"
        )
    stride = stride if count > 1 else 1
    counted = (reach, before, size + after) if count_padding else None

    # Taps that fall outside in every window are dropped: windows far larger than the axis cost what the axis costs.
    lowest, highest = 0, kernel
    if dilation == 1:  # so that no window lies between elements
        lowest, highest = max(before - (count - 1) * stride, 0), min(size + before, kernel)

    def lines(o):
        begin = o * stride - before
        first = np.maximum(-(begin // dilation), 0)
        start = begin + first * dilation
        stop = np.maximum(np.minimum(begin + reach, size), start)
        end = np.minimum(begin + reach, size + after) - begin if count_padding else stop - start
        return np.stack([start, stop, first - lowest, -(-end // dilation)], axis=1)

    regular = highest - lowest, stride, before - lowest * dilation
    inside = max(-(-regular[2] // stride), 0)  # the first window that begins with an element
    spanned = (regular[0] - 1) * dilation + 1
    if count > SOME and inside < count and inside * stride - regular[2] + spanned <= size:
        return Windows(size, Lines(count, lines, regular[0], inside), dilation, regular, counted=counted)
    start, stop, first, extent = lines(np.arange(count)).T
    # So are those of windows that have no element: what is cut from others, or lies between elements.
    taps = -(-(stop - start) // dilation)
    some = taps > 0
    dropped = int(first[some].min()) if some.any() else 0
    highest = int((first + taps)[some].max()) if some.any() else 1
    first = np.where(some, first - dropped, 0)
    start, stop = np.where(some, start, 0), np.where(some, stop, 0)
    table = np.ascontiguousarray(np.stack([start, stop, first, extent], axis=1))
    table.flags.writeable = False
    regular = highest - dropped, stride, before - (lowest + dropped) * dilation
    return Windows(size, table, dilation, regular, counted=counted)


@lru_cache(maxsize=1024)
def adaptive(size, count) -> Windows:
    """`count` windows that divide an axis of `size` elements: from floor(i·size/count) to ceil((i+1)·size/count)."""
    whole, rest = divmod(size, count)
    i = np.arange(count, dtype=np.int64)
    start = i * whole + i * rest // count  # i·size may be more than 64 bits hold
    stop = (i + 1) * whole - -(i + 1) * rest // count
    taps = stop - start
    stride = int(start[1]) if count > 1 else 1
    if stride and np.all(taps == taps[0]) and np.all(np.diff(start) == stride):
        return sliding(size, int(taps[0]), stride, 0, 0, 1, False, True)
    table = np.ascontiguousarray(np.stack([start, stop, np.zeros_like(start), taps], axis=1))
    table.flags.writeable = False
    return Windows(size, table)


@lru_cache(maxsize=1024)
def fractional(size, kernel, count) -> Windows:
    """What contains the fractional windows of any sample: those of exact arithmetic, and what rounding may add."""
    last, far = size - kernel, margin(size)
    i = np.arange(count, dtype=np.int64)
    exact = i * last // max(count - 1, 1) if count > 1 else np.array([last])
    start = np.maximum(exact - far, 0)
    stop = np.minimum(exact + far, last) + kernel
    start[-1], stop[-1] = last, size
    table = np.stack([start, stop, np.zeros_like(start), np.full_like(start, kernel)], axis=1)
    table = np.ascontiguousarray(table)
    table.flags.writeable = False
    return Windows(size, table, sure=kernel)


def margin(size) -> int:
    """How far fractional windows may start from the same fraction of the axis, rounded down."""
    return 2 + size * 4 // 2**23  # a float32 may err by an element or more


@dataclass(frozen=True, eq=False)
class Planes:
    """Fractional windows, other ones in every plane.

    Attributes
    ----------
    samples : ndarray or DeviceArray
        Of float32 or float64, within [0, 1]: the shape of x without the pooled axes, then one number per pooled axis.
    sizes, kernels, counts : tuple of int
        Elements, elements per window and windows along the pooled axes, which are ascending.
    """

    samples: Any
    sizes: tuple[int, ...]
    kernels: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Lines of the tables of one plane, for three axes whatever their number."""
        return sum(self.counts) + 3 - len(self.counts)

    def tables(self, samples: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
        """The tables of planes with these samples, one behind the other for the axes in `order` (-1: one that is not there)."""
        lead = samples.shape[:-1]
        parts = [
            np.broadcast_to(np.array([0, 1, 0, 1]), (*lead, 1, 4)) if n < 0 else self._table(n, samples)
            for n in order
        ]
        return np.ascontiguousarray(np.concatenate(parts, axis=-2))

    def _table(self, n, samples):
        size, kernel, count = self.sizes[n], self.kernels[n], self.counts[n]
        number = samples.dtype.type
        u = samples[..., n, None]
        last = size - kernel
        step = number(last) / number(max(count - 1, 1))
        i = np.arange(count).astype(samples.dtype)
        start = ((i + u) * step).astype(np.int64) - (u * step).astype(np.int64)
        bounds = fractional(size, kernel, count).table
        start = np.clip(start, bounds[:, 0], bounds[:, 1] - kernel)
        return np.stack([start, start + kernel, start, np.full_like(start, kernel)], axis=-1)


@lru_cache(maxsize=64)
def untouched(size) -> Windows:
    """One window per element: an axis that is not pooled."""
    return sliding(size, 1, 1, 0, 0, 1, False, True)


def divisors(windows, axes, part, ndim):
    """What sums over the windows ``y[part]`` are divided by, for broadcasting over an array of `ndim` axes."""
    product = np.ones((1,) * ndim)
    for a, w in zip(axes, windows, strict=True):
        begin, end, _ = (part[a] if a < len(part) else slice(None)).indices(w.count)
        first, less = w.alike(0)
        alike = w.even or first <= begin < end <= first + less
        along = w.extents(np.arange(begin, min(begin + 1, end) if alike else end), "float64")
        product = product * along.reshape([-1 if b == a else 1 for b in range(ndim)])
    return product


def same_padding(size, kernel, stride, dilation, lower) -> tuple[int, int]:
    """Padding that gives ceil(size / stride) outputs; the odd element goes to the end, or to the start if `lower`."""
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)
