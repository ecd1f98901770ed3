"""Windows whose elements lie so far apart that scratch memory would be as long as they reach: the columns of a table.

What windows with gaps of d elements take of every d-th element are neighbours among these. With x written row by row into a table of d columns, windows slide down its
columns, and have no gaps; they begin in every column, or, as every `stride`-th element begins one, in as many of them as there are places to begin at::

    x = a b c d e f g h i …      a b c      windows of 2 elements, 3 apart, are {a, d}, {b, e}, {c, f}, {d, g}, …:
                                 d e f      of 2 neighbours in a column
                                 g h i

The table is a view of x, and that of results one of y. Its first and last rows are not whole, so that a few ranges of columns, each an ordinary call, share it.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from numbapool.backends import cpu
from numbapool.columns import axis, columns
from numbapool.presence import slabs as parts_of

SIZE = 1 << 18  # elements, or results, of the parts where something is put aside


def of_x(array, axis, some):
    """The table of the elements of some columns, in place of an axis of an array like x."""
    return _table(array, axis, some.x, (some.windows.size, some.number), some.x_steps)


def of_y(array, axis, some):
    """The same of an array like y."""
    return _table(array, axis, some.y, (some.windows.count, some.number), some.y_steps)


def _table(array, axis, first, shape, steps):
    if array is None:
        return None
    step = array.strides[axis]
    seen = np.lib.stride_tricks.as_strided(
        array[(slice(None),) * axis + (slice(first, None),)].view(np.ndarray),
        (*array.shape[:axis], *shape, *array.shape[axis + 1 :]),
        (*array.strides[:axis], steps[0] * step, steps[1] * step, *array.strides[axis + 1 :]),
    )
    return seen.view(type(array))


def split(request, i, size=None):
    """Requests for the columns along the i-th pooled axis, of about `size` elements if it is given, with the columns that they are for."""
    a = request.axes[i]
    for found in columns(request.windows[i]):
        step = found.number
        if size is not None:
            lines = max(request.x.size // request.x.shape[a], 1)
            step = max(size // (lines * found.windows.size), 1)
        for begin in range(0, found.number, step):
            some = found.some(begin, min(begin + step, found.number))
            present = request.presence
            where, weights = of_x(present.where, a, some), of_x(present.weights, a, some)
            windows = (*request.windows[:i], some.windows, *request.windows[i + 1 :])
            yield (
                some,
                replace(
                    request,
                    x=of_x(request.x, a, some),
                    axes=tuple(b + (b > a) for b in request.axes),
                    windows=windows,
                    presence=replace(present, where=where, weights=weights),
                    out=(None, None),
                ),
            )


def fill(request, y, saved, key):
    """As `slabs.fill`."""
    i = axis(request.windows)
    a = request.axes[i]
    for some, part in split(request, i, SIZE if key else None):
        to = of_y(y, a, some), of_y(saved, a, some)
        _, beside = cpu.forward(replace(part, out=(to[0], to[1] if key == "positions" else None)), key)
        if key == "positions":
            _restore(to[1], part, request, i, some)
        elif key == "places":
            to[1][...] = _places(part, request, i, some.without)[beside]
        elif key:
            to[1][...] = beside


def _places(part, request, i, without):
    """The numbers of taps in `request` by those in a part, whose windows may have fewer."""
    places = np.arange(256, dtype=np.uint8)  # the last one stands for no tap
    here, there = ([w.most for w in of.windows] for of in (part, request))
    for tap in np.ndindex(*here):
        at = (*tap[:i], tap[i] + without, *tap[i + 1 :])
        places[np.ravel_multi_index(tap, here)] = np.ravel_multi_index(at, there)
    return places


def _restore(indices, part, request, i, some):
    """Indices in a table's columns as those in the plane of x, in place."""
    a, rows = request.axes[i], part.x.shape[request.axes[i]]
    inner = prod(request.x.shape[b] for b in request.axes[i + 1 :])
    column = np.arange(some.number).reshape(-1, *[1] * (indices.ndim - a - 2))
    column = np.broadcast_to(column, indices.shape)
    for few in parts_of(indices.shape, size=SIZE):
        quotient, rest = np.divmod(indices[few], inner)
        outer, row = np.divmod(quotient, rows)
        at = outer * request.x.shape[a] + row * some.x_steps[0] + column[few] * some.x_steps[1] + some.x
        np.copyto(indices[few], at * inner + rest, where=indices[few] >= 0)
