"""Windows with gaps as windows without: what each takes of every n-th element are neighbours among these. Pure integers, no array is touched here."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import gcd
from typing import NamedTuple

import numpy as np

from numbapool.windows import Lines, Windows, sliding

MOST_RANGES = 64


class Columns(NamedTuple):
    """Neighbouring columns that are alike: of elements, from `x` on and `x_steps` to the next row and column, and of windows, from `y` on; none of these has an element at its first `without` taps."""

    number: int
    x: int
    x_steps: tuple[int, int]
    y: int
    y_steps: tuple[int, int]
    windows: Windows
    without: int

    def some(self, begin, end):
        """Some of the columns."""
        return self._replace(
            number=end - begin, x=self.x + begin * self.x_steps[1], y=self.y + begin * self.y_steps[1]
        )


def columns(w: Windows) -> list[Columns]:
    """The columns in which windows have no gaps, in ranges that are alike; none if that is not done."""
    if "_columns" not in w.__dict__:  # plans are remembered by windows
        w.__dict__.setdefault("_columns", _columns(w))
    return w.__dict__["_columns"]


def _columns(w):
    if w.regular is None or w.step == 1 or w.up != (1, 0) or (w.counted and not w.even):
        return []
    kernel, stride, before = w.regular
    shared = gcd(stride, w.step)
    places, pace = w.step // shared, stride // shared
    if pace > MOST_RANGES:
        return []

    def first_row(m):  # that has an element
        return -((m * stride - before) // w.step)

    def last_row(m):
        return (w.size - 1 + before - m * stride) // w.step

    edges = {0, places, w.count % places}
    edges |= {-((k * w.step - before) // stride) for k in range(first_row(places - 1), first_row(0))}
    edges |= {
        (w.size - 1 + before - (k + 1) * w.step) // stride + 1
        for k in range(last_row(places - 1), last_row(0))
    }
    found = []
    for begin, end in itertools.pairwise(sorted(m for m in edges if 0 <= m <= min(places, w.count))):
        first, size = first_row(begin), last_row(begin) - first_row(begin) + 1
        count = -((begin - w.count) // places)
        if size < 1:
            return []
        after = (count - 1) * pace + kernel - size - first
        slid = sliding(size, kernel, pace, first, after, 1, False, False)
        found.append(
            Columns(
                end - begin, first * w.step + begin * stride - before, (w.step, stride), begin, (places, 1),
                _counting(slid, w.extent) if w.even else slid, first - slid.sliding[2],
            )
        )  # fmt: skip
    return found


def _counting(w, extent):
    """The same windows, whose means are divided by `extent`."""
    lines = w.lines

    def at(o):
        table = np.array(lines.at(o) if isinstance(lines, Lines) else lines[o])
        table[:, 3] = extent
        return table

    kept = Lines(w.count, at, lines.most, lines.inside) if isinstance(lines, Lines) else at(slice(None))
    return replace(w, lines=kept)


def axis(windows):
    """Which pooled axis has the windows that reach farthest of those that can be done in columns; None if none can."""
    can = [i for i, w in enumerate(windows) if w.step > 1 and w.most > 1 and columns(w)]
    return max(can, key=lambda i: windows[i].most * windows[i].step, default=None)
