"""Plans of calls on a CUDA device: from windows and layouts to a kernel and its parameters. Memoised; integers only."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from numbapool import driver, dtypes
from numbapool.backends.blocks import key_steps, roles
from numbapool.backends.forms import HALF_ROUNDINGS, ROUNDINGS
from numbapool.kernels.cuda import bind, build, gather_sliding, sliding, tree
from numbapool.kernels.cuda import forward as tap_by_tap
from numbapool.kernels.cuda import gather as window_by_window
from numbapool.kernels.cuda.bind import Form, Slide
from numbapool.layout import Canonical, canonical
from numbapool.reductions import AVG
from numbapool.windows import Windows, margin, untouched
from numbapool.windows import sliding as sliding_windows

THREADS = 256  # of a block
WARP = 32  # of them read each other's registers
FEW_THREADS, FEW_IN_WARP = 8, 4  # where each is a thread of the host: the simulator
WORD = 16  # bytes that a thread moves at once
REGISTERS = 64  # bytes of accumulators that a thread holds
DOUBLE_ROUNDINGS = 8  # in a row that a float64 sum may take
MOST_TAPS = 5  # along W of windows whose kernels know them
MOST_STRIDE = 4
SPAN_REGISTERS = 128  # bytes of accumulators that a thread holds of a span
SEPARABLE_TAPS = 36  # from which windows of several axes are merged axis by axis
MANY_TAPS = 128  # from which several threads do a window that hardly overlaps with others
SOME_TAPS = 32  # the same where no inner axis has neighbouring threads read what lies together
OWN_TAPS = 8  # moves of a thread, if a team of so few is no more than a warp
LEAST_TEAM = 8
NARROW = 2**31 - 2**20  # what 32-bit indices reach
OUTER = 3  # outer axes that a kernel counts through; a launch for each element of the others


@dataclass(frozen=True)
class Plan:
    """A call, but for its addresses.

    Attributes
    ----------
    kernel : Kernel
    items : int
        What is done by a thread, or a team of them.
    before, after : tuple
        The parameters in front of the addresses, and behind them.
    offsets : tuple of tuple of int
        What is added to the addresses, launch by launch.
    """

    kernel: build.Kernel
    items: int
    before: tuple
    after: tuple
    offsets: tuple[tuple[int, ...], ...]
    team: int = 1  # threads for an item

    def run(self, device: int, stream: int, addresses: tuple[int, ...]) -> None:
        """Launch on a stream."""
        if self.items == 0:
            return
        threads = block_size()
        blocks = -(-self.items * self.team // threads)
        for offset in self.offsets:
            at = tuple(a + o if a else 0 for a, o in zip(addresses, offset, strict=True))
            args = *self.before, at, *self.after
            driver.launch(self.kernel, device, stream, blocks, threads, args)


def block_size() -> int:
    """Threads of a block."""
    return FEW_THREADS if driver.simulated() else THREADS


def warp_size() -> int:
    """Threads that read each other's registers."""
    return FEW_IN_WARP if driver.simulated() else WARP


def low_bits(*arrays):
    """The low bits of addresses, which say how elements can be moved."""
    low = 0
    for array in arrays:
        if array is not None:
            low |= array.address
    return low % WORD


@dataclass(frozen=True)
class Places:
    """How a thread finds its place in several arrays: see `split` in ``kernels/cuda/axis.py``."""

    sizes: tuple[int, int, int]
    outer: int
    strides: tuple[tuple[int, ...], ...]
    offsets: tuple[tuple[int, ...], ...]


def places(view: Canonical, lanes: int) -> Places:
    """Outer axes as a kernel counts through them, for threads that do `lanes` elements of the inner axis."""
    outer = [(view.outer, tuple(s[0] for s in view.steps))]
    for n, steps in view.more:
        size, inner = outer[-1]
        if all(s == size * t for s, t in zip(steps, inner, strict=True)):
            outer[-1] = size * n, inner
        else:
            outer.append((n, steps))
    arrays = len(view.steps)
    outer += [(1, (0,) * arrays)] * (OUTER - len(outer))
    beyond = outer[OUTER:]
    offsets = [
        tuple(sum(i * steps[k] for i, (_, steps) in zip(index, beyond, strict=True)) for k in range(arrays))
        for index in itertools.product(*(range(n) for n, _ in beyond))
    ]
    strides = tuple(
        (*(outer[n][1][k] for n in reversed(range(OUTER))), *view.steps[k][1:4], lanes * view.steps[k][4])
        for k in range(arrays)
    )
    sizes = -(-view.inner // lanes), outer[0][0], outer[1][0]
    return Places(sizes, prod(n for n, _ in outer[:OUTER]), strides, tuple(offsets))


def reach(view: Canonical, sizes: Sequence[Sequence[int]]) -> int:
    """The largest byte offset in any of the arrays, whose D, H, W have these sizes."""
    largest = 0
    for k, ((g, *steps, i), extent) in enumerate(zip(view.steps, sizes, strict=True)):
        n = (view.outer - 1) * abs(g) + (view.inner - 1) * abs(i)
        n += sum((size - 1) * abs(s) for size, s in zip(extent, steps, strict=True))
        n += sum((size - 1) * abs(steps_[k]) for size, steps_ in view.more)
        largest = max(largest, n)
    return largest


def axis(windows: Windows, key: int) -> tuple[int, ...]:
    """The fields of ``kernels/cuda/axis.py``."""
    if windows.regular is None:
        if windows.sure is not None:
            return windows.count, windows.size, windows.sure, 1, margin(windows.size), 1, key, 0, 0, 0
        return windows.count, windows.size, 0, 1, 0, 1, key, 0, 0, 0
    taps, stride, before = windows.regular
    counted = windows.counted or (0, 0, 0)
    # A launch takes Python's integers alone.
    return windows.count, windows.size, taps, stride, before, windows.step, key, *counted


def form_of(axes: Sequence[Windows], aligned: bool, furthest: int, items: int) -> Form:
    """What a kernel has to know of windows and memory."""
    fractional = any(w.sure is not None for w in axes)
    products = [(w.count + 1) * (w.size + margin(w.size) + 1) for w in axes if w.regular is None]
    spans = [
        w.size + w.regular[2] + w.step * w.regular[0] + w.count * w.regular[1] for w in axes if w.regular
    ]
    wide = max(furthest, items, prod(w.size for w in axes), *products, *spans) > NARROW
    divided = not fractional and any(w.regular is None for w in axes)
    return Form(aligned, divided, any(w.step > 1 for w in axes), wide, fractional)


def lanes_along_inner(view: Canonical, items: Sequence[int], widest: int, low: int) -> tuple[int, bool]:
    """(elements of the inner axis that a thread does, whether they are moved as vectors); `low` are the low bits of all addresses."""
    lanes = max(min(WORD // items[0], REGISTERS // widest), 1)
    if view.inner == 1 or any(s[4] != item for s, item in zip(view.steps, items, strict=True)):
        return 1, False
    while view.inner % lanes:
        lanes //= 2
    steps = [(*view.steps[k][:4], *(t[k] for _, t in view.more)) for k in range(len(items))]
    for steps_, item in zip(steps, items, strict=True):
        if any(s % min(lanes * item, WORD) for s in (*steps_, low)):
            return 1, False
    return lanes, lanes > 1


def key_kind(windows: Sequence[Windows]) -> str:
    """Whether the chosen elements are saved for backward as the numbers of taps in bytes, or as int64 places."""
    small = prod(w.most for w in windows) < MANY_TAPS and all(w.regular for w in windows)
    return "places" if small else "positions"


def is_precise(types, roundings: int) -> bool:
    """Whether a sum with so many roundings in a row has to carry what they take."""
    if not dtypes.is_float(types.acc) or not dtypes.is_float(types.x):
        return False
    if types.acc == "float64":
        return roundings > DOUBLE_ROUNDINGS
    return roundings > (HALF_ROUNDINGS if dtypes.is_half(types.x) else ROUNDINGS)


CONSTANTS = {"float32": "f", "float64": "d"}


@dataclass(frozen=True)
class _Call:
    """What the plans of all templates need to know of the arrays."""

    view: Canonical
    roles: tuple[Windows, Windows, Windows]
    lanes: int
    places: Places
    form: Form
    items: int


def call_of(shape, axes, windows, strides, stored, widest, low, ordered, backward=False, beside=0) -> _Call:
    """See the arrays as a kernel does.

    Parameters
    ----------
    shape : tuple of int
        Of x or dx.
    strides : sequence of tuple of int
        Of x, y and the keys; backward of dx, dy and the keys.
    stored : sequence of str
        Their dtypes.
    widest : int
        Bytes of what a thread holds of each element.
    beside : int
        How many of the arrays, the last ones, lie beside the first, which has their shape.
    """
    view = canonical(shape, axes, strides, ordered=ordered)
    of = tuple(roles(view, axes, windows))
    item_sizes = [dtypes.itemsize(n) for n in stored]
    lanes, aligned = lanes_along_inner(view, item_sizes, widest, low)
    large, small = [v.size for v in of], [v.count for v in of]
    where = places(view, lanes)
    items = where.outer * where.sizes[0] * prod(large if backward else small)
    sizes = [large] + [small] * (len(strides) - 1 - beside) + [large] * beside
    form = form_of(of, aligned, reach(view, sizes), items)
    return _Call(view, of, lanes, where, form, items)


def plan_of(template, binding, name, call, constant, letter, keys, beside="", step=0):
    """The plan of a call, its arrays in the order of `call`.

    `beside`: the letters of one more parameter of the template: the strides of the arrays behind the first three, or the integer `step`.
    """
    strides = (*call.places.strides, (0,) * 7)[: max(3, len(call.places.strides))]
    signature = f"i 3i {len(strides)}a 7i 7i 7i {beside} 10i 10i 10i {letter}"
    kernel = build.kernel(template, binding, name, signature, call.form.wide)
    offsets = tuple((*o, 0)[: len(strides)] for o in call.places.offsets)
    fields = tuple(axis(v, int(k)) for v, k in zip(call.roles, keys, strict=True))
    last = constant if isinstance(constant, tuple) else (constant,)
    more = sum(strides[3:], ()) or step
    after = (*strides[:3], *((more,) if beside else ()), *fields, *last)
    return Plan(kernel, call.items, (call.items, call.places.sizes), after, offsets)


def name_of(*parts):
    return "_".join(p for p in parts if p)


def keys_of(call, axes, windows, sizes, key):
    """What a step along D, H, W adds to a key."""
    return key_steps(
        call.view, axes, [n if key == "positions" else v.most for n, v in zip(sizes, windows, strict=True)]
    )


CHANNELS = {None: None, "places": "uint8", "positions": "int64"}


def sliding_call(call, windows, stored, widest, low, backward=False):
    """The call as the templates for rows of neighbours see it, and what they know of its windows; None where they do not serve."""
    view, w = call.view, call.roles[2]
    if (
        view.inner > 1
        or w.regular is None
        or w.step > 1
        or w.count < 2
        or any(v.regular is None for v in call.roles)
    ):
        return None
    taps, stride, before = w.regular
    items = [dtypes.itemsize(n) for n in stored]
    rows = [s[3] for s in view.steps[: len(items)]]
    if taps > MOST_TAPS or stride > MOST_STRIDE or not 0 <= before < taps or rows != items:
        return None
    lanes = max(min(WORD // items[0], SPAN_REGISTERS // (stride * widest)), 1)
    while lanes > 1 and lanes >= 2 * w.count:
        lanes //= 2
    lanes = 1 << (lanes.bit_length() - 1)
    slide = Slide(taps, stride, before, lanes)
    threads = [slide.main] + [lanes] * (
        len(items) - 1
    )  # elements of each array from one thread of a row to the next
    aligned = True
    for k, (item, n) in enumerate(zip(items, threads, strict=True)):
        unit = min(n * item & -(n * item), WORD)
        others = [view.steps[k][r] for r in range(3)] + [t[k] for _, t in view.more]
        aligned &= (unit == WORD or unit == n * item) and not any(s % unit for s in (*others, low))
    pieces = -(-w.size // slide.main) if backward else -(-w.count // lanes)
    where = call.places
    strides = [(*s[:6], n * item) for s, n, item in zip(where.strides, threads, items, strict=False)]
    strides += [(*s[:6], slide.main * s[5]) for s in where.strides[len(items) :]]  # what lies beside x
    of_rows = call.roles[:2]
    count = prod(v.size for v in of_rows) if backward else prod(v.count for v in of_rows)
    form = replace(call.form, aligned=aligned, dilated=any(v.step > 1 for v in of_rows))
    places_ = replace(where, sizes=(pieces, *where.sizes[1:]), strides=tuple(strides))
    return replace(call, places=places_, items=where.outer * pieces * count, form=form, lanes=lanes), slide


def is_apart(windows: Sequence[Windows], least: int = MANY_TAPS) -> bool:
    """Whether windows are so large, of so many taps at `least`, and overlap so little, that several threads do one."""
    overlap = any(w.most > 2 * w.pace and w.count > 1 for w in windows)
    return not overlap and prod(w.most for w in windows) >= least


def in_passes(taps: Sequence[int], windows: Sequence[Windows]) -> bool:
    """Whether windows of so many taps along their axes are merged axis by axis, through memory, so that the cost is their sum and not their product: where they overlap."""
    return prod(taps) >= SEPARABLE_TAPS and sum(n > 1 for n in taps) > 1 and not is_apart(windows, 1)


def same_divisor(windows: Sequence[Windows], divisor: float | None) -> float:
    """What all windows are divided by; 0 where each has its own."""
    return _constant(windows, divisor)


def _tree(call, windows, shape, axes, stored, low, key):
    """The call as the template `tree` sees it, the threads of a team, how many of them are side by side along the inner axis, and the steps of keys; None where it does not serve."""
    of = list(call.roles)
    if not is_apart(of, SOME_TAPS if call.view.inner == 1 else MANY_TAPS):
        return None
    view, items = call.view, [dtypes.itemsize(n) for n in stored]
    steps = [list(s) for s in view.steps]
    keys = keys_of(call, axes, windows, [shape[a] for a in axes], key)
    # Whole axes that lie one behind the other are one.
    for outer_, inner_ in ((1, 2), (0, 1), (0, 2)):
        a, b = of[outer_], of[inner_]
        joins = all(_is_whole(v) for v in (a, b)) and a.size > 1
        if (
            joins
            and steps[0][1 + outer_] == b.size * steps[0][1 + inner_]
            and (not key or keys[outer_] == b.size * keys[inner_])
        ):
            of[inner_], of[outer_] = (
                sliding_windows(a.size * b.size, a.size * b.size, 1, 0, 0, 1, False, True),
                untouched(1),
            )
    lanes, w = 1, of[2]
    if view.inner == 1 and _is_whole(w) and steps[0][3] == items[0]:
        lanes = WORD // items[0]
        if any(s % WORD for s in (*steps[0][:3], *(t[0] for _, t in view.more), low)):
            lanes = 1
    across = 1
    while across < min(view.inner, block_size()):
        across *= 2
    team, moves = block_size(), prod(v.most for v in of) // lanes
    if across == 1 and moves <= OWN_TAPS * WARP:
        team = min(1 << max(-(-moves // OWN_TAPS) - 1, LEAST_TEAM - 1).bit_length(), warp_size())
    where = places(replace_steps(view, steps), 1)
    pieces = -(-view.inner // across)
    where = replace(where, sizes=(pieces, *where.sizes[1:]))
    items_ = where.outer * pieces * prod(v.count for v in of)
    form = replace(call.form, aligned=lanes > 1)
    return (
        replace(call, roles=tuple(of), places=where, items=items_, form=form, lanes=lanes),
        (team, warp_size(), block_size()),
        across,
        keys,
    )


def _is_whole(w):
    """Whether there is one window, of all elements."""
    return w.count == 1 and w.step == 1 and w.table[0, 0] == 0 and w.table[0, 1] == w.size


def replace_steps(view, steps):
    return replace(view, steps=[tuple(s) for s in steps])


@lru_cache(maxsize=1024)
def forward(
    reduction, shape, strides, x_name, axes, windows, y_name, divisor, y_strides, key, key_strides, low
):
    """The plan of a forward call.

    Parameters
    ----------
    reduction, shape, strides, x_name, axes, windows, y_name, divisor, y_strides
        As of `numbapool.backends.plans.forward`.
    key : {None, "places", "positions"}
        What is saved beside the values.
    key_strides : tuple of int or None
    low : int
        The low four bits of all addresses.
    """
    types, channel = reduction.types(x_name, y_name, False), CHANNELS[key]
    stored = (types.x, types.y, channel) if channel else (types.x, types.y)
    arrays = [strides, y_strides, key_strides][: len(stored)]
    call = call_of(
        shape, axes, windows, arrays, stored, dtypes.itemsize(channel or types.acc), low, ordered=bool(key)
    )
    d, h, w = call.roles
    precise = not reduction.selecting and is_precise(types, d.most * h.most + w.most - 2)
    constant = _constant(call.roles, divisor) if reduction.mean else 0
    letter = CONSTANTS[types.end] if reduction.mean else "a"
    # Of 0.0 and -0.0 the first stays: where taps are not merged in their order, their places go along.
    signed = reduction.selecting and not key and dtypes.is_float(x_name)
    seen = [a for a in call.view.axes if a >= 0]
    in_order, across = seen == sorted(seen), seen[-1] == min(seen)
    sizes = [shape[a] for a in axes]

    def planned(template, binding, carried, *parts, extra=(), letters=letter, beside="", of=call, keys=None):
        keys = keys_of(of, axes, windows, sizes, carried) if keys is None else keys
        accompanied = key or "unsaved" * bool(carried)
        name = name_of(reduction.name, *parts, accompanied, "precise" * precise, of.form.name)
        last = (*extra, constant)
        return plan_of(template, lambda: binding(CHANNELS[carried]), name, of, last, letters, keys, beside)

    stored_types = types.x, types.acc, types.y
    carried = key or ("positions" if signed else None)
    if found := _tree(call, windows, shape, axes, stored, low, carried):
        joined, threads, side, steps = found
        made = planned(
            tree,
            lambda c: bind.tree(reduction, types, joined.lanes, threads, joined.form, c, bool(key), precise),
            carried, "tree", *stored_types, f"x{joined.lanes}", f"by{threads[0]}",
            extra=(side, joined.view.inner), letters=f"i i {letter}", of=joined, keys=steps,
        )  # fmt: skip
        return replace(made, team=threads[0])
    carried = key or ("positions" if signed and not in_order and not across else None)
    widest = dtypes.itemsize(types.acc) * (1 + precise)
    widest += dtypes.itemsize(CHANNELS[carried]) if carried else 0
    if found := sliding_call(call, windows, stored, widest, low):
        rows, slide = found
        by_rows = signed and in_order
        return planned(
            sliding,
            lambda c: bind.sliding(reduction, types, slide, rows.form, c, bool(key), precise, by_rows),
            carried, "slide", slide.name, "rows" * by_rows, *stored_types, beside="i", of=rows,
        )  # fmt: skip
    carried = key or ("positions" if signed and not in_order else None)
    return planned(
        tap_by_tap,
        lambda c: bind.forward(reduction, types, call.lanes, call.form, c, bool(key), precise=precise),
        carried, "taps", *stored_types, f"x{call.lanes}", beside="i",
    )  # fmt: skip


@lru_cache(maxsize=1024)
def backward(
    mean, shape, strides, x_name, axes, windows, dy_name, divisor, dy_strides, key, key_strides, low, step=0
):
    """The plan of the gradient: dx, of this shape and these strides, from dy and, of what selects, saved keys.

    Parameters
    ----------
    mean : bool
        Windows are divided by their extents, or all by `divisor`.
    shape, strides, x_name
        Of dx.
    axes, windows, key, key_strides, low
        As of `forward`.
    dy_name, dy_strides
        Of dy.
    step : int
        Of one axis whose windows select elements by positions in a larger plane: what a step along the axis adds to these.
    """
    types, channel = AVG.types(dy_name, x_name, False), CHANNELS[key]
    stored = (x_name, dy_name, channel) if channel else (x_name, dy_name)
    arrays = [strides, dy_strides, key_strides][: len(stored)]
    call = call_of(
        shape,
        axes,
        windows,
        arrays,
        stored,
        dtypes.itemsize(types.acc),
        low,
        ordered=bool(key),
        backward=True,
    )
    constant = (_constant(call.roles, divisor) if mean else 1.0) if key is None else 1.0
    uneven = constant == 0
    d, h, w = (v.transposed.most for v in call.roles)
    # Gradients may err four times as much.
    precise = is_precise(types, (d * h + w - 2) // (1 if types.acc == "float64" else 3))
    # Of these few are more than neighbours, and their gradient is the CPU's to the bit.
    precise = precise and not call.form.fractional
    keys = (0, 0, step) if step else keys_of(call, axes, windows, [shape[a] for a in axes], key)
    widest = dtypes.itemsize(types.acc)
    found = None
    if key != "positions" and not precise:
        found = sliding_call(call, windows, stored, widest, low, backward=True)
    if found:
        call, slide = found
        name = name_of(
            "select" if key else "sum", "gather", slide.name, dy_name, types.acc, x_name, key, "uneven" * uneven, call.form.name
        )  # fmt: skip
        plan = plan_of(
            gather_sliding,
            lambda: bind.gather_sliding(types, channel, slide, call.form, uneven),
            name,
            call,
            constant or 1.0,
            CONSTANTS[types.end],
            keys,
        )
        return reading_second(plan)
    name = name_of(
        "select" if key else "sum", "gather", dy_name, types.acc, x_name, f"x{call.lanes}", key, "precise" * precise, "uneven" * uneven,
        "ranges" * bool(step), call.form.name,
    )  # fmt: skip
    plan = plan_of(
        window_by_window,
        lambda: bind.gather(types, channel, call.lanes, call.form, uneven, precise, bool(step)),
        name,
        call,
        constant or 1.0,
        CONSTANTS[types.end],
        keys,
        "i",
        step,
    )
    return reading_second(plan)


def reading_second(plan):
    """The plan for a template that reads the second array and writes the first: dy and dx."""
    dx, dy, *rest = plan.after
    return replace(plan, after=(dy, dx, *rest), offsets=tuple((b, a, *c) for a, b, *c in plan.offsets))


def _constant(windows, divisor):
    """What all windows are divided by; 0 where each has its own."""
    if divisor is not None:
        return float(divisor)
    return float(prod(w.extent for w in windows)) if all(w.even for w in windows) else 0.0
