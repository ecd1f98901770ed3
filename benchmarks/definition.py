"""What every case must give, from the definition: windows tap by tap in plain NumPy, sums in float64.

Arrays are logical, (N, C, spatial…); here the last axes are the pooled ones and all others come along.
"""

import numpy as np

from .windows import NORM


def exact(array):
    """float16 and bfloat16 as float32, all else as it is: what NumPy can compare."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 and array.dtype.kind != "i" else array


def forward(case, x):
    """The result: a maximum in its own dtype, all else in float64."""
    if case.op == "unpool":
        return _scattered(case, exact(x))
    return _by_plane(case, lambda spans, x: _pooled(case, spans, x)[0], exact(x))


def backward(case, x, dy):
    """The gradient of x in float64. A maximum sends it to its first place, an Lp norm shares it as dy · x / y."""
    dy = exact(dy).astype(np.float64)
    if case.op == "unpool":
        flat = dy.reshape(*x.shape[:2], -1)
        return np.take_along_axis(flat, case.indices().reshape(*x.shape[:2], -1), -1).reshape(x.shape)
    gradient = _first_places if case.op == "max" else _shares
    return _by_plane(case, lambda spans, x, dy: gradient(case, spans, x, dy), exact(x), dy)


def tolerance(case, values, direction="forward"):
    """Largest accepted error: what is only moved is exact; the rest is what plain summation in the dtype may lose."""
    if case.op == "unpool" or (case.op == "max" and direction == "forward"):
        return 0.0
    if not case.is_float:
        return 0.5  # to the nearest integer
    eps = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float64": 2.0**-53}.get(case.dtype, 2.0**-24)
    roundings = 8 + (2 * case.window.overlap**case.ndim if case.op == "max" else 4 * case.taps**0.5)
    return eps * roundings * float(np.nanmax(np.abs(exact(values))))


def _by_plane(case, function, x, *others):
    """`function` of the windows and the arrays: at once, or for each plane where each has windows of its own."""
    sizes = x.shape[2:]
    if not case.window.random:
        return function([case.window.spans(size) for size in sizes], x, *others)
    planes = [
        function([case.window.spans(*axis) for axis in zip(sizes, case.samples()[plane])], *parts)
        for plane, parts in ((plane, [a[plane] for a in (x, *others)]) for plane in np.ndindex(*x.shape[:2]))
    ]
    return np.stack(planes).reshape(*x.shape[:2], *planes[0].shape)


def _pooled(case, spans, x):
    """The result, and what divides the gradient on its way back."""
    if case.op == "max":
        lowest = -np.inf if case.is_float else np.iinfo(x.dtype).min
        return _merged(np.maximum, x, spans, lowest), None
    if case.op == "lp":
        y = _merged(np.add, np.abs(x.astype(np.float64)) ** NORM, spans, 0) ** (1 / NORM)
        return y, y ** (NORM - 1)
    if case.is_partial:
        present = _present(case, x)
        x = np.where(present, x, x.dtype.type(0))
        divisor = _merged(np.add, present.astype(np.float64), spans, 0)
    else:
        divisor = np.ones(())
        for start, stop in spans:
            divisor = divisor[..., None] * (stop - start)
    return _merged(np.add, x.astype(np.float64), spans, 0) / divisor, divisor


def _present(case, x):
    return ~np.isnan(x) if case.option == "omit" else np.broadcast_to(case.mask(), x.shape)


def _merged(merge, y, spans, identity):
    """All elements of every window merged, axis by axis."""
    for axis, (start, stop) in enumerate(spans, y.ndim - len(spans)):
        y, start, stop = _padded(y, axis, start, stop, identity)
        rest = [np.arange(n) for n in y.shape[axis + 1 :]]
        out = np.full((*y.shape[:axis], len(start), *y.shape[axis + 1 :]), identity, y.dtype)
        for tap in range((stop - start).max()):
            some = np.flatnonzero(stop - start > tap)
            into, part = _at(some, *rest), y[_at(start[some] + tap, *rest)]
            out[into] = merge(out[into], part)
        y = out
    return y


def _padded(y, axis, start, stop, value):
    """As many elements on both sides as the windows reach beyond the axis, and the windows counted from there."""
    before, after = max(0, -start[0]), max(0, stop[-1] - y.shape[axis])
    if before or after:
        pads = [(0, 0)] * y.ndim
        pads[axis] = before, after
        y = np.pad(y, pads, constant_values=value)
    return y, start + before, stop + before


def _at(*places):
    """The index of these places along the last axes: slices where they are evenly spaced."""
    slices = []
    for p in places:
        step = int(p[1] - p[0]) if len(p) > 1 else 1
        if (np.diff(p) != step).any():
            return (..., *np.ix_(*places))
        slices.append(slice(int(p[0]), int(p[-1]) + 1, step))
    return (..., *slices)


def _shares(case, spans, x, dy):
    """Every element's share in the results of its windows."""
    dx = dy / _pooled(case, spans, x)[1]
    for axis, (start, stop) in enumerate(spans, x.ndim - len(spans)):
        size = x.shape[axis]
        before, after = max(0, -start[0]), max(0, stop[-1] - size)
        wide = np.zeros((*dx.shape[:axis], before + size + after, *dx.shape[axis + 1 :]))
        rest = [np.arange(n) for n in dx.shape[axis + 1 :]]
        for tap in range((stop - start).max()):
            some = np.flatnonzero(stop - start > tap)
            wide[_at(start[some] + before + tap, *rest)] += dx[_at(some, *rest)]
        dx = wide[_at(np.arange(before, before + size), *rest)]
    if case.op == "lp":
        return dx * np.sign(x) * np.abs(x.astype(np.float64)) ** (NORM - 1)
    return dx * _present(case, x) if case.is_partial else dx


def _first_places(case, spans, x, dy):
    """dy added up where the first maximum of each window stands."""
    y = _pooled(case, spans, x)[0]
    inside, starts, widths = [], [], []
    for axis, (start, stop) in enumerate(spans, x.ndim - len(spans)):
        inside.append(np.arange(x.shape[axis]) + max(0, -start[0]))
        x, start, stop = _padded(x, axis, start, stop, -np.inf)
        starts.append(start)
        widths.append(stop - start)
    dx, open_ = np.zeros(x.shape), np.ones(y.shape, bool)
    for taps in np.ndindex(*(w.max() for w in widths)):
        some = [np.flatnonzero(w > t) for w, t in zip(widths, taps)]
        into, source = _at(*some), _at(*(s[i] + t for s, i, t in zip(starts, some, taps)))
        hit = (x[source] == y[into]) & open_[into]
        open_[into] &= ~hit
        dx[source] += dy[into] * hit
    return dx[_at(*inside)]


def _scattered(case, x):
    y = np.zeros((*x.shape[:2], int(np.prod(case.output_shape[2:]))), x.dtype)
    np.put_along_axis(y, case.indices().reshape(*x.shape[:2], -1), x.reshape(*x.shape[:2], -1), -1)
    return y.reshape(case.output_shape)
