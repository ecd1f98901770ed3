"""What windows pass on to their elements, added up: the sum of dy over the windows that cover an element, and what it makes of it.

The windows' shares and the elements' factors are the kernel's as well, if it has few windows to read.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod

import numpy as np

from numbapool import containers, dtypes, presence
from numbapool.backends import cpu, divide, gradient_plans, slabs
from numbapool.presence import numbers
from numbapool.reductions import AVG
from numbapool.request import Request
from numbapool.windows import divisors

FEW = 64  # windows that cover an element, for which a kernel reads them one by one


def new(request):
    """dx, not filled, as the caller gets it."""
    x = request.x
    return cpu.empty(x.shape, cpu.result_layout(x.shape, x.strides), x.dtype.newbyteorder("="))


def few(request):
    """Whether a kernel may give the elements of dx their factors."""
    native = request.x.dtype.isnative and dtypes.is_float(request.x_name)
    return native and prod(w.transposed.most for w in request.windows) <= FEW


def factored(request, dy, sums, dx):
    """dx = the sum of dy over windows, divided by what they summed (None: nothing), times what the elements' own factors are."""
    x, present, power = request.x, request.presence, request.reduction.power
    if dx.size == 0 or dy.size == 0:
        dx[...] = 0
        return dx
    by = "" if sums is None else sums.dtype.name
    factors = gradient_plans.Factors(present.elements, power, by)
    reads = present.elements.omit or power is not None
    beside = {"K": x if reads else None, "M": present.where, "V": present.weights, "S": sums}
    beside = {letter: array for letter, array in beside.items() if array is not None}
    plan = gradient_plans.summing(
        False, dx.shape, dx.strides, request.x_name, request.axes, request.windows, dtypes.name_of(dy.dtype), None, dy.strides, factors,
        tuple((letter, array.strides) for letter, array in beside.items()),
    )  # fmt: skip
    plan.run(dy, dx, **beside)
    for elements in _uncovered(request) if power is not None or present.weights is not None else ():
        dx[elements] = 0
    return dx


@np.errstate(all="ignore")
def factored_in_parts(request, dy, sums):
    """The same into a new dx; of windows that are long a part at a time, as the kernel has rows as long as they are."""
    dx = new(request)
    if not divide.are_long(request):
        return factored(request, dy, sums, dx)
    for part in divide.parts(request, divide.LONG):
        some, share = divide.restricted(request, part.x, part.windows), dy[part.y]
        by = None if sums is None else sums[part.y]
        if part.joined is not None:
            share, by = part.share(divided(numbers(share, "float64"), by)), None
        factored(some, share, by, dx[part.x])
    return dx


def divided(share, sums):
    """What windows pass on; those whose weights add up to nothing, nothing."""
    return share if sums is None else nothing_where(sums == 0, share / sums)


def spread(mean, request, dy, dx, name, divisor=None):
    """dx = the sum over windows of dy, for a `mean` divided by their extents. The arrays may be parts of the request's."""
    if dy.size == 0 or dx.size == 0:
        dx[...] = 0
        return dx
    plan, dy_name = None, dtypes.name_of(dy.dtype)
    if all(_whole(w) for w in request.windows):
        share = (divisor or prod(w.extent for w in request.windows)) if mean else 1
        plan = gradient_plans.filling(
            dx.shape, dx.strides, name, request.axes, request.windows, dy_name, share, dy.strides
        )
        if plan is None and dy.dtype == dx.dtype and dx.dtype.itemsize > 2:
            with np.errstate(all="ignore"):
                np.copyto(dx, dy / dx.dtype.type(share) if mean else dy)
            return dx
    plan = plan or gradient_plans.summing(
        mean, dx.shape, dx.strides, name, request.axes, request.windows, dy_name, divisor, dy.strides
    )
    if plan is None:
        windows, share = gradient_plans.as_forward(mean, request.windows, divisor)
        cpu.forward(Request(AVG, dy, request.axes, windows, name, divisor=share, out=(dx, None)), None)
    else:
        plan.run(dy, dx)
    return dx


def _whole(windows):
    """Whether there is one window, of all elements: what it passes on is a copy for every one of them."""
    return windows.count == 1 and windows.step == 1 and windows.table[0, :2].tolist() == [0, windows.size]


@np.errstate(all="ignore")
def plain(request, dy):
    dx, mean, name = new(request), request.reduction.mean, request.x_name
    if not divide.are_long(request) or all(_whole(w) for w in request.windows):
        return spread(mean, request, dy, dx, name, request.divisor)
    phases = divide.phases(request)
    if phases is not None:
        divisor = gradient_plans.shared_divisor(mean, request.windows, request.divisor)
        share = dy
        if divisor is None:
            share = slabs.Parts(dy.shape, partial(_evenly, request, dy))
        by_phases(request, phases, share, lambda of: dx[of], divisor or 1.0)
        return dx
    for part in divide.parts(request, divide.LONG):
        share = numbers(dy[part.y], "float64") / (request.divisor or 1)
        if mean and not request.divisor:
            share = share / divisors(request.windows, request.axes, part.y, dx.ndim)
        spread(False, replace(request, windows=part.windows), part.share(share), dx[part.x], name)
    return dx


def _evenly(request, dy, part):
    """What the windows of a mean pass on to each of their elements."""
    return numbers(dy[part], "float64") / divisors(request.windows, request.axes, part, dy.ndim)


def by_phases(request, phases, share, kept, divisor=1.0):
    """Add up what the windows that cover an element pass on, divided; `kept` says where the sums of a phase go, `share` and that may be `slabs.Parts`."""
    for of, windows in phases:
        total = kept(of)
        if None in windows:  # which cover no such element
            for part in presence.slabs(total.shape):
                if isinstance(total, slabs.Parts):
                    total.of(total[part].slices, np.zeros(total[part].shape))
                else:
                    total[part] = 0
            continue
        adding = Request(AVG, share, request.axes, windows, request.x_name, divisor=divisor)
        if isinstance(share, slabs.Parts):
            slabs.fill(adding, total)
        else:
            cpu.forward(replace(adding, out=(total, None)), None)


def _uncovered(request):
    """Per pooled axis the elements that are in no window, as indices of x. They have no gradient, whatever they and their weights are."""
    found = []
    for w, a in zip(request.windows, request.axes, strict=True):
        if (elements := w.uncovered()).size:
            found.append((*(slice(None),) * a, elements))
    return found


def covered(request):
    """A mask of the elements that some window covers, over x's shape; None: all."""
    bare = _uncovered(request)
    if not bare:
        return None
    mask = np.ones([n if a in request.axes else 1 for a, n in enumerate(request.x.shape)], bool)
    for elements in bare:
        mask[elements] = False
    return np.broadcast_to(mask, request.x.shape)


def there(request, covered, part):
    """A mask of the elements of a part that have a gradient; None: all."""
    there = request.presence.there(request.x, part)
    if covered is None:
        return there
    return covered[part] if there is None else there & covered[part]


def nothing_where(mask, values):
    """The values, which may be changed, but 0 where the mask is set."""
    if mask.any():
        np.copyto(values, 0, where=mask)
    return values


def kept(values, there):
    """Values where something is there, else 0."""
    return values if there is None else np.where(there, values, 0)


def store(dx, part, values):
    dx[part] = (
        containers.converted(values, containers.bfloat16) if isinstance(dx, containers.BFloat16) else values
    )
