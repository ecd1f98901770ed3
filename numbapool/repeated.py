"""Calls like earlier ones: an array of the same shape, layout and dtype, and equal plain arguments, most of which were checked before.

What a call does follows from these alone, unless it looks at values. So the first one leaves behind what is left to do for those after it, and they go
straight from their arrays to the plan.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

MOST = 256  # kinds of calls that are remembered
_PLAIN = frozenset((int, float, bool, str, type(None), type))


class Slot:
    """Where the first call of a kind leaves what others do: a function of x and `out`."""

    __slots__ = ("run",)

    def __init__(self) -> None:
        self.run: Callable[[np.ndarray, np.ndarray | None], Any] | None = None


@functools.lru_cache(maxsize=MOST, typed=True)
def _slot(*kind: Any) -> Slot:
    """The slot of a kind of call. Kinds with unlike types are unlike: True is not 1."""
    return Slot()


forget = _slot.cache_clear


def slot(build: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Slot | None:
    """The slot of a call of the function that `build` makes requests for; None where the arguments do not say all."""
    if not args or type(args[0]) is not np.ndarray:
        return None
    x, *plain = args
    names: tuple[Any, ...] = tuple(options)
    if options:
        out = options.get("out")
        plain.extend(options.values() if out is None else [v for v in options.values() if v is not out])
        for array in out if type(out) is tuple else () if out is None else (out,):
            if type(array) is not np.ndarray:
                return None
            names = *names, array.shape, array.strides, array.dtype
    for value in plain:
        kind = type(value)
        if kind is tuple:
            for v in value:
                if type(v) is not int and v is not None:  # equal keys must mean equal calls
                    return None
        elif kind not in _PLAIN:
            return None
    return _slot(build, x.shape, x.strides, x.dtype, names, *plain)
