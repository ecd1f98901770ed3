"""The gradient of weights on a CUDA device: of every element, then summed over the axes along which weights were repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from numbapool import device, driver
from numbapool.backends import cuda_backward, cuda_weighed
from numbapool.backends.cuda import forward, ones
from numbapool.reductions import ALL, SUM, Elements
from numbapool.request import Request
from numbapool.windows import sliding

AT_ONCE = 3  # axes that one call sums over


def nothing(request):
    """The gradient where x has no element."""
    dw = _empty(request)
    if dw.size:
        driver.fill(dw.device, device.stream_of(request.kind), dw.address, dw.size * dw.itemsize, 0)
    return dw


def gradient(request, total, back, where, compute):
    """x · total − back over the elements that are there, in the shape and dtype of the weights. `total`, `back`: what windows pass on (None: nothing)."""
    x, kind, given = request.x, request.kind, request.presence.given
    elements = Elements(request.presence.elements.omit, where is not None, request.x_name)
    beside = back if back is not None else x if elements.omit else None
    dw = _empty(request)
    lead = x.ndim if request.restored is None else request.restored(x).ndim
    wanted = (1,) * (lead - len(given.shape)) + given.shape
    full = request.restored is None and wanted == x.shape
    slope = dw.reshape(wanted) if full else kind.empty(x.shape, tuple(range(x.ndim)), compute)
    how = "" if back is None else "subtracts"
    cuda_weighed.fill(kind, total, slope, compute, how, elements, beside, where, x)
    if not full:
        slope = slope if request.restored is None else request.restored(slope)
        _sum(kind, slope, dw.reshape(wanted))
    return dw


def _sum(kind, slope, dw):
    """Fill dw with the sums over the axes along which it has one element; a copy where there are none."""
    axes = [a for a in range(dw.ndim) if dw.shape[a] != slope.shape[a]]
    groups = [axes[i : i + AT_ONCE] for i in range(0, len(axes), AT_ONCE)] or [[]]
    for n, group in enumerate(groups):
        last = n == len(groups) - 1
        some = tuple(group) or (dw.ndim - 1,)
        sizes = [slope.shape[a] if group else 1 for a in some]
        windows = tuple(
            sliding(slope.shape[a], size, size, 0, 0, 1, False, True)
            for a, size in zip(some, sizes, strict=True)
        )
        request = Request(SUM, slope, some, windows, dw.dtype.name if last else "float64", kind=kind)
        slope, _ = forward(request, None, dw if last else None)


def _empty(request):
    """Memory of the weights' own library, as it is handed back."""
    given = request.presence.given
    return given.kind.empty(given.shape, tuple(range(len(given.shape))), given.dtype)


def covered(request, new, sums=None):
    """A mask of the elements that are there and that some window covers; None: all. The others have no gradient, whatever they are.

    With `sums`, windows whose weights sum to 0 do not count: they pass nothing on.
    """
    where = request.presence.where
    tables = (w.transposed.table for w in request.windows)
    if sums is None and all((table[:, 0] < table[:, 1]).all() for table in tables):
        return where
    kind = request.kind
    some = ones(kind, request.shape, "float32")
    if sums is not None:
        some = cuda_weighed.fill(kind, some, new(sums, "float32"), sums.dtype.name, "keeps", ALL, sums)
    counts = cuda_backward.spread(replace(request, reduction=SUM), some, new(request.x, "float32"))
    mask = new(request.x, "uint8")
    elements = Elements(where=where is not None)
    cuda_weighed.fill(kind, counts, mask, "float32", "divides", elements, counts, where)
    return replace(mask, dtype=np.dtype(np.bool_))
