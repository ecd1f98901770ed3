"""Plans of gradients: the transposed windows of sums, the blocks of dx that a scatter owns. Memoised; integers only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from numbapool import dtypes
from numbapool.backends import narrow_plans, phase_plans, run_plans, scatter_plans
from numbapool.backends.blocks import (
    Room,
    address,
    align,
    assemble,
    count_items,
    in_groups,
    kernel_name,
    key_steps,
    look_ahead,
    packed,
    roles,
    set_divisors,
    set_passes,
    set_strides,
    size_of,
    tiles,
)
from numbapool.backends.forms import HALF_ROUNDINGS, ROUNDINGS
from numbapool.backends.plans import forward
from numbapool.kernels import block, build, vectors
from numbapool.layout import canonical
from numbapool.reductions import ALL, AVG, Elements, Types
from numbapool.windows import Windows

COVERING = 32  # windows over an element that are read one by one


def _backward_view(shape, strides, axes, windows, dy_strides, beside=(), ordered=False):
    view = canonical(shape, axes, [strides, dy_strides, *beside], ordered)
    return view, roles(view, axes, windows)


@dataclass(frozen=True)
class Factors:
    """What makes the gradient of a sum other than the sum of dy over the windows that cover an element.

    Attributes
    ----------
    elements : Elements
        A mask, weights or NaNs of x: each element of dx has a factor.
    power : float, optional
        The order of a norm: the slope of |x|^p is a factor, and dy is divided by that of its window.
    sums : str
        The dtype of the windows' sums of weights, or norms, which dy is divided by; "" for none.
    """

    elements: Elements = ALL
    power: float | None = None
    sums: str = ""

    def __bool__(self):
        return bool(self.elements) or self.power is not None

    @property
    def name(self) -> str:
        """For the names of kernels."""
        slope = "" if self.power is None else f"lp{self.power!r}"
        return "_".join(n for n in (self.elements.name, slope, self.sums and f"by_{self.sums}") if n)

    def types(self, dy, x):
        """Element types of a kernel: float64 in between where powers or weights ask for it."""
        if self.power is not None or "float64" in (self.elements.weights, self.sums):
            return Types(dy, "float64", x, "float64")
        return None


@lru_cache(maxsize=512)
def summing(
    mean, shape, strides, x_name, axes, windows, dy_name, divisor, dy_strides, factors=Factors(), beside=()
):  # fmt: skip
    """The plan of the backward of a sum (or a mean): dx, of this shape and these strides, from dy. None if that is a forward call for which there is none.

    `beside` are the letters and byte strides of the arrays that `factors` are read from.
    """
    from numbapool.kernels import bind_gradients, spread

    constant = shared_divisor(mean, windows, divisor)
    even = constant is not None
    turned = None if factors else as_forward(mean, windows, divisor)
    if turned:
        counts = dict(zip(axes, (w.count for w in windows), strict=True))
        dy_shape = tuple(counts.get(a, n) for a, n in enumerate(shape))
        return forward(
            AVG, dy_shape, dy_strides, dy_name, axes, turned[0], x_name, turned[1], strides, None, None
        )
    letters = [letter for letter, _ in beside]
    view, (d, h, w) = _backward_view(
        shape, strides, axes, windows, dy_strides, [steps for _, steps in beside]
    )
    td, th, tw = d.transposed, h.transposed, w.transposed_line
    limit = 16 * (HALF_ROUNDINGS if dtypes.is_half(dy_name) else ROUNDINGS)
    wide = td.most * th.most * (w.most if w.regular else tw.most) > limit
    types = factors.types(dy_name, x_name) or AVG.types(dy_name, x_name, wide)
    nbytes = size_of(shape) * dtypes.itemsize(x_name)
    if not factors:
        turned, of_dx = view.of(1, 0), (td, th, w.transposed)
        rows = [(w.count, dtypes.itemsize(dy_name)), (w.size, dtypes.itemsize(x_name))]
        if narrow_plans.fits(turned, of_dx, types, rows, narrow_plans.period_of((d, h, w))):
            shared = constant if even else None
            return narrow_plans.summing(turned, of_dx, (d, h, w), types, shared, nbytes)
    name = kernel_name("avg", "spread", types, factors.name)
    kernel = build.kernel(spread, lambda: bind_gradients.summing(types, factors), name)
    lanes = vectors.lanes_for(types.x, types.acc, types.y)
    acc, x_item, y_item = (dtypes.itemsize(n) for n in (types.acc, types.x, types.y))
    fields, capacity = tiles(view, td, th, tw, acc, lanes, x_item, False)
    set_strides(fields, view, "YX" + "".join(letters), x_item, {"Y": y_item})
    set_passes(fields)
    look_ahead(fields, view, X=nbytes * d.count * h.count * w.count // (d.size * h.size * w.size), Y=nbytes)
    tables = [td.table, th.table, d.table, h.table]
    divisors = set_divisors(fields, w, None, types, view.inner, lanes, capacity)
    last = np.full(fields["TILE_W"] * fields["TILE_I"] + lanes, constant if even else 1, types.end)
    fields |= {
        "D_TABLE": address(tables[0]), "H_TABLE": address(tables[1]), "DY_D_TABLE": address(tables[2]),
        "DY_H_TABLE": address(tables[3]), "LAST_DIVISORS": address(last), "UNEVEN": not even or bool(factors.sums),
    }  # fmt: skip
    together = {letter: packed(fields, view, letter) for letter in letters}
    fields["PACKED_S"] = together.pop("S", True)
    fields["PACKED_BESIDE"] = all(together.values())
    for letter in "KMVS":
        fields.setdefault(f"{letter}_TABLE", fields["Y_TABLE"])  # of an array that is not there
    room = Room()
    room.take(16 * (td.most * th.most + 3))
    fields["AT_ARGS"] = room.take(8 * block.COUNT if beside else 0)
    row = align(capacity * acc)
    results = (fields["TILE_W"] * fields["TILE_I"] + 4 * lanes) * max(y_item, acc)
    fields |= {"SPAN": row, "ROW_BYTES": row, "LINE_BYTES": row, "AT_ROW": room.take(row)}
    # Whether nothing is divided or moved before it is stored.
    straight = tw.regular and fields["DENSE"] and not fields["UNEVEN"]
    fields["AT_LINE"] = room.take(0 if straight else 2 * row + results)
    fields["AT_WIDE"] = room.take(row)
    fields["AT_QUEUE"] = room.take(row if straight and not factors else 2 * row)
    return assemble(
        kernel, fields, [tables, tw, divisors, last, view.tables], count_items(fields, view), room, nbytes
    )


def shared_divisor(mean, windows, divisor):
    """What the sums of all windows are divided by, None if that is not the same."""
    if not mean:
        return 1.0
    if divisor is not None:
        return float(divisor)
    # Windows without an element have no gradient.
    return float(size_of([w.extent for w in windows]) or 1) if all(w.even for w in windows) else None


def as_forward(mean, windows, divisor):
    """Where the gradient of a sum or mean is itself the sum of dy over windows that slide, divided by a number: those windows and that number. Else None.

    Windows must start at neighbours, and be no longer than there are of them, or cover an element by many: else those that cover one are soon read.
    """
    if not all(w.regular and w.regular[1] == 1 for w in windows):
        return None
    many = size_of([min(w.count, w.most) for w in windows]) > COVERING
    constant = shared_divisor(mean, windows, divisor)
    if constant is None or not (many or all(w.count >= w.most for w in windows)):
        return None
    return tuple(map(_reversed, windows)), constant


@lru_cache(maxsize=512)
def _reversed(windows):
    """The transposed windows of windows with stride 1: they slide by one as well, over the outputs themselves."""
    kernel, _, before = windows.regular
    return Windows(
        windows.count,
        windows.transposed.lines,
        windows.transposed.step,
        (kernel, 1, (kernel - 1) * windows.step - before),
    )


@lru_cache(maxsize=512)
def filling(shape, strides, x_name, axes, windows, dy_name, divisor, dy_strides):
    """The plan of the backward of a sum over whole planes, divided by this; None where a plane's elements do not lie one behind the other in memory."""
    from numbapool.kernels import bind_gradients, fill

    view, roles = _backward_view(shape, strides, axes, windows, dy_strides, ())
    if not _is_onehot(view, roles, "positions", dtypes.itemsize(x_name)):
        return None
    types = AVG.types(dy_name, x_name, False)
    kernel = build.kernel(fill, lambda: bind_gradients.fill(types), kernel_name("any", "fill", types))
    n = size_of([v.size for v in roles])
    fields, items = in_groups(view, "YX", n * dtypes.itemsize(x_name))
    divisors = np.full(vectors.lanes_of(types, None), divisor, types.end)
    fields |= {"RUN": n, "W_DIVISORS": address(divisors)}
    return assemble(
        kernel, fields, [divisors, view.tables], items, Room(), size_of(shape) * dtypes.itemsize(x_name)
    )


def _is_onehot(view, roles, key, item):
    """Whether every plane has one window, whose elements are numbered as they lie in memory, one behind the other."""
    step = item
    for v, at in zip(roles[::-1], view.steps[0][3:0:-1], strict=True):
        whole = key == "positions" or (v.sliding == (v.size, v.sliding[1], 0) and v.step == 1)
        if v.count > 1 or not whole or (v.size > 1 and at != step):
            return False
        step *= v.size
    return view.inner == 1


def _onehot(view, n, types, key):
    from numbapool.kernels import bind_gradients, onehot

    kernel = build.kernel(onehot, lambda: bind_gradients.onehot(types), kernel_name("any", "onehot", types))
    plane = n * dtypes.itemsize(types.y)
    fields, items = in_groups(view, "YXK", plane)
    fields |= {"RUN": n, "PLACES_TABLE": key == "places"}
    return assemble(kernel, fields, [view.tables], items, Room(), plane * view.outer * len(view.tables[0]))


@lru_cache(maxsize=512)
def selecting(shape, strides, x_name, axes, windows, dy_name, dy_strides, key, key_strides, key_item):
    """The plan of the backward of a selecting reduction: dx, of this shape and these strides, from dy and saved keys, of so many bytes each."""
    view, (d, h, w) = _backward_view(shape, strides, axes, windows, dy_strides, (key_strides,), ordered=True)
    types = AVG.types(dy_name, x_name, False)
    if _is_onehot(view, (d, h, w), key, dtypes.itemsize(x_name)):
        return _onehot(view, size_of(shape) // max(view.outer * len(view.tables[0]), 1), types, key)
    weights = None
    if key == "places":
        turned, of_dx = view.of(1, 0, 2), tuple(v.transposed for v in (d, h, w))
        rows = [(w.count, dtypes.itemsize(dy_name)), (w.size, dtypes.itemsize(x_name)), (w.count, 1)]
        weights = key_steps(view, axes, [v.most for v in windows])
        nbytes = size_of(shape) * dtypes.itemsize(x_name)
        if narrow_plans.fits_flat(turned, of_dx, (d, h, w), types):
            return narrow_plans.flat(turned, of_dx, (d, h, w), types, weights, nbytes)
        if narrow_plans.fits_rows(turned, of_dx, types, rows):
            return narrow_plans.selecting(turned, of_dx, (d, h, w), types, weights, nbytes)
        items = [item for _, item in rows]
        if run_plans.fits(turned, (d, h, w), items):
            return run_plans.selecting(turned, (d, h, w), types, weights, nbytes)
        if phase_plans.fits(turned, (d, h, w), items):
            return phase_plans.selecting(turned, (d, h, w), types, weights, nbytes)
    return scatter_plans.selecting(view, (d, h, w), types, weights, key_item)
