"""The canonical view: any strided array as (outer, D, H, W, inner), in bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Canonical:
    """How several arrays of equal rank, pooled over the same axes, are seen by a kernel.

    Attributes
    ----------
    axes : tuple of int
        The array axes that play D, H, W; -1 for none.
    inner : int
        Elements of the inner axis.
    outer : int
        Elements of the innermost outer axis, which has one stride per array.
    steps : list of tuple
        Per array the byte strides (outer, D, H, W, inner).
    tables : list of ndarray
        Per array the byte offsets of the other outer elements.
    more : tuple of (int, tuple of int)
        The other outer axes themselves, the one with the smallest stride first: elements, and per array the byte stride.
    """

    axes: tuple[int, int, int]
    inner: int
    outer: int
    steps: list[tuple[int, ...]]
    tables: list[np.ndarray]
    more: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def of(self, *arrays: int) -> Canonical:
        """The same of these arrays, in this order."""
        return replace(self, steps=[self.steps[i] for i in arrays], tables=[self.tables[i] for i in arrays])


def canonical(shape, axes, strides, ordered=False, apart=False) -> Canonical:
    """Assign axes to roles.

    Parameters
    ----------
    shape : tuple of int
        Shape of the first array; the others agree with it on all axes that are not pooled.
    axes : tuple of int
        The pooled axes, ascending, at most three.
    strides : sequence of tuple of int
        Byte strides of every array; the first decides.
    ordered : bool
        D, H, W are the pooled axes in their own order, wherever their elements lie.
    apart : bool
        All axes that are not pooled are outer ones.
    """
    lead = strides[0]
    # The pooled axis whose elements lie closest together is W; axes of one element have no say, and of equals the last wins.
    w = axes[-1] if ordered else min(axes, key=lambda a: (shape[a] == 1, abs(lead[a]), -a))
    d, h = ((-1, -1, *(a for a in axes if a != w)))[-2:]
    free = [a for a in range(len(shape)) if a not in axes and shape[a] != 1]
    free.sort(key=lambda a: (abs(lead[a]), -a))

    inner, run = 1, None
    for a in [a for a in free if 0 < abs(lead[a]) < abs(lead[w]) and not apart]:
        if run is None:
            run = a
        elif any(s[a] != s[run] * inner for s in strides):
            break
        inner *= shape[a]
        free.remove(a)
    outer, chain = 1, None
    while free and (chain is None or all(s[free[0]] == s[chain] * outer for s in strides)):
        a = free.pop(0)
        chain = a if chain is None else chain
        outer *= shape[a]

    steps, tables = [], []
    for s in strides:
        at = [0 if a < 0 else s[a] for a in (d, h, w)]
        steps.append((0 if chain is None else s[chain], *at, 0 if run is None else s[run]))
        table = np.zeros(1, np.int64)
        for a in free:  # smallest stride first, so the later ones come in front
            table = (np.arange(shape[a], dtype=np.int64)[:, None] * s[a] + table).ravel()
        tables.append(table)
    more = tuple((shape[a], tuple(s[a] for s in strides)) for a in free)
    return Canonical((d, h, w), inner, outer, steps, tables, more)


def without_columns(view):
    """A view whose D is free, with its H and W as D and H, in their own order, as earlier taps come first.

    Where there is one window along W its elements are merged as rows are, all of the inner axis at once.
    """
    _, h, w = view.axes
    forward = h < w
    steps: list[tuple[int, ...]] = [
        (g, *((sh, sw) if forward else (sw, sh)), view.inner * si, si) for g, _, sh, sw, si in view.steps
    ]
    return Canonical((min(h, w), max(h, w), -1), view.inner, view.outer, steps, view.tables)


def inner_as_columns(view):
    """The same with the inner axis as W, so that no axis is inner: a row of results is all of it, for one window along D and one along H."""
    view = without_columns(view)
    steps: list[tuple[int, ...]] = [(*at[:3], at[4], 0) for at in view.steps]
    return replace(view, inner=1, steps=steps)
