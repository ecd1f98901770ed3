"""Which elements of x are there, and what each of them weighs: `nan_policy`, `where` and `weights`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from numbapool import arguments, containers, dispatch, dtypes
from numbapool.reductions import ALL, Elements

SLAB = 1 << 18  # elements that are looked at together


class Given(NamedTuple):
    """Weights as the caller gave them."""

    shape: tuple[int, ...] = ()
    dtype: str = ""
    kind: Any = None  # of container


UNWEIGHED = Given()


@dataclass(frozen=True, eq=False)
class Presence:
    """The checked options.

    Attributes
    ----------
    partial : bool
        Elements may be missing or weighed, so that padding never counts: any of the options is in use, whatever x holds.
    elements : Elements
        What kernels need to know: nothing of "omit" where x cannot hold a NaN.
    where : ndarray or DeviceArray of bool, or None
        Broadcast to x's shape.
    weights : ndarray or DeviceArray, or None
        Broadcast to x's shape, in native byte order.
    given : Given
    """

    partial: bool = False
    elements: Elements = ALL
    where: Any = None
    weights: Any = None
    given: Given = UNWEIGHED

    def refuse_nan(self, x: np.ndarray) -> None:
        """Raise if a NaN is there."""
        if not dtypes.is_float(dtypes.name_of(x.dtype)):
            return
        for part in slabs(x.shape):
            nan = np.isnan(numbers(x[part]))
            if (nan if self.where is None else nan & self.where[part]).any():
                raise ValueError("x contains NaN, and nan_policy is 'raise'")

    def there(self, x: np.ndarray, part: Any) -> np.ndarray | None:
        """A mask of the elements of ``x[part]`` that take part; None: all."""
        where = None if self.where is None else self.where[part]
        if not self.elements.omit:
            return where
        known = ~np.isnan(numbers(x[part]))
        return known if where is None else known & where

    def part(self, part: Any) -> Presence:
        """The same of ``x[part]``."""
        if self.where is None and self.weights is None:
            return self
        where, weights = (None if a is None else a[part] for a in (self.where, self.weights))
        return replace(self, where=where, weights=weights)

    def apart_from(self, *outputs: np.ndarray | None) -> Presence:
        """The same, sharing no memory with what is written to."""
        if self.where is None and self.weights is None:
            return self

        def own(array):
            shared = array is not None and any(
                o is not None and np.may_share_memory(array, o) for o in outputs
            )
            if not shared:
                return array
            once = tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)
            return np.broadcast_to(array[once].copy(), array.shape, subok=True)

        return replace(self, where=own(self.where), weights=own(self.weights))


WHOLE = Presence()


def checked(x: Any, nan_policy: Any = "propagate", where: Any = None, weights: Any = None) -> Presence:
    """The options for x, but for the values of x itself (see `Presence.refuse_nan`)."""
    policy = arguments.policy(nan_policy)
    if where is None and weights is None and policy != "omit":
        return WHOLE
    omit = policy == "omit" and dtypes.is_float(dtypes.name_of(x.dtype))
    name, given = "", WHOLE.given
    if where is not None:
        where, _ = dispatch.array(where, "where", x)
        if where.dtype != np.bool_:
            raise TypeError(f"where must be boolean, not {where.dtype}")
        where = arguments.spread_over(where, x.shape, "where")
    if weights is not None:
        weights, kind = dispatch.array(weights, "weights", x)
        name = dtypes.name_of(weights.dtype)
        given = Given(weights.shape, name, kind)
        if not weights.dtype.isnative:
            weights = weights.astype(weights.dtype.newbyteorder("="))
        weights = arguments.spread_over(weights, x.shape, "weights")
    return Presence(True, Elements(omit, where is not None, name), where, weights, given)


def numbers(a: np.ndarray, dtype: str = "") -> np.ndarray:
    """Elements of any dtype that kernels know as numbers that NumPy can reckon with: of `dtype`, or halves as float32 and others as they are."""
    if dtype or dtypes.is_half(dtypes.name_of(a.dtype)):
        return containers.converted(a, np.dtype(dtype or "float32"))
    return a


def slabs(
    shape: tuple[int, ...], axes: tuple[int, ...] | None = None, size: int = SLAB
) -> Iterator[tuple[slice, ...]]:
    """Slices that cut an array into parts of about `size` elements, along one of `axes` (None: any)."""
    elements = int(np.prod(shape, dtype=np.float64))
    axis = max(range(len(shape)) if axes is None else axes, key=lambda a: (shape[a], -a), default=None)
    if axis is None or elements <= size:
        yield (slice(None),) * len(shape)
        return
    step = max(1, size * shape[axis] // elements)
    for begin in range(0, shape[axis], step):
        yield (slice(None),) * axis + (slice(begin, begin + step),)
