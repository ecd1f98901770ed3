"""Checks of what users pass: every message names the argument, what was given and what is allowed."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from numbapool import dtypes

MODES = ("valid", "same", "same_lower")
LIMIT = 2**63 - 1


def flag(value: Any, name: str) -> bool:
    """bool, numpy.bool, 0 or 1."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
        return bool(value)
    raise TypeError(f"{name} must be True or False, not {value!r}")


def integer(value: Any, name: str, low: int | None = None) -> int:
    """An integer of any kind but bool, at least `low`."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError(f"{name} must be an integer, not an array of shape {value.shape}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if low is not None and number < low:
        raise ValueError(f"{name} must be at least {low}, not {number}")
    return number


def is_sequence(value: Any) -> bool:
    """Whether a value gives one item per axis: a tuple, a list or a 1-D array."""
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim == 1)


def per_axis(value: Any, n: int, name: str, low: int) -> tuple[int, ...]:
    """An int for all axes or one int per axis."""
    if is_sequence(value):
        if len(value) not in (1, n) or (len(value) == 1 and n > 1):
            raise ValueError(f"{name} must be an int or have one value per pooled axis ({n}), not {value!r}")
        return tuple(integer(v, name, low) for v in value)
    if isinstance(value, (str, bytes, set, frozenset, dict)):
        raise TypeError(f"{name} must be an int or a tuple, list or 1-D array of ints, not {value!r}")
    return (integer(value, name, low),) * n


def padding_pairs(value: Any, n: int) -> str | tuple[tuple[int, int], ...]:
    """A mode, or one (before, after) pair per axis."""
    if isinstance(value, str):
        if value not in MODES:
            raise ValueError(
                f"padding must be an int, ints or pairs per axis, or one of {MODES}, not {value!r}"
            )
        return value
    if is_sequence(value) and any(is_sequence(v) for v in value):
        if len(value) != n:
            raise ValueError(
                f"padding must have one (before, after) pair per pooled axis ({n}), not {value!r}"
            )
        pairs = []
        for pair in value:
            if not is_sequence(pair) or len(pair) != 2:
                raise ValueError(f"padding must have one (before, after) pair per pooled axis, not {value!r}")
            pairs.append((integer(pair[0], "padding", 0), integer(pair[1], "padding", 0)))
        return tuple(pairs)
    if n == 1 and is_sequence(value) and len(value) == 2:
        return ((integer(value[0], "padding", 0), integer(value[1], "padding", 0)),)
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return padding_pairs(value.tolist(), n)
    return tuple((p, p) for p in per_axis(value, n, "padding", 0))


def pooled_axes(value: Any, n: int, ndim: int) -> tuple[int, ...]:
    """`axes=` as non-negative ints in the caller's order; None: the last n."""
    if ndim < n:
        raise ValueError(f"x must have at least {n} dimensions, not {ndim}")
    if value is None:
        return tuple(range(ndim - n, ndim))
    if not is_sequence(value):
        if isinstance(value, (str, bytes, set, frozenset, dict)):
            raise TypeError(f"axes must be an int or a tuple of ints, not {value!r}")
        value = (value,)
    axes = []
    for a in value:
        a = integer(a, "axes")
        if not -ndim <= a < ndim:
            raise ValueError(f"axes={tuple(value)!r}: axis {a} is out of range for x with {ndim} dimensions")
        axes.append(a % ndim)
    if len(axes) != n:
        raise ValueError(f"axes must name {n} axes, not {tuple(value)!r}")
    if len(set(axes)) != n:
        raise ValueError(f"axes must differ from each other, not {tuple(value)!r}")
    return tuple(axes)


def divisor(value: Any) -> float | None:
    """`divisor_override=`: None or a non-zero finite number."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"divisor_override must be a number or None, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number == 0:
        raise ValueError(
            "divisor_override must be finite and not zero" + (f", not {value!r}" if number == 0 else "")
        )
    return number


def result_dtype(value: Any, x: str) -> str | None:
    """`dtype=` as a name, checked against the dtype of x."""
    if value is None:
        return None
    try:
        name = np.dtype(value).name
    except TypeError:
        raise TypeError(f"dtype must be a NumPy dtype, not {value!r}") from None
    if name not in dtypes.SUPPORTED or name == "bool":
        raise TypeError(f"dtype must be an integer or floating dtype of at most 64 bits, not {name}")
    if dtypes.is_float(x) and not dtypes.is_float(name):
        raise TypeError(f"dtype must be floating because x is {x}, not {name}")
    return name


def policy(value: Any) -> str:
    """`nan_policy=`."""
    if not isinstance(value, str):
        raise TypeError(f"nan_policy must be 'propagate', 'omit' or 'raise', not {value!r}")
    if value not in ("propagate", "omit", "raise"):
        raise ValueError(f"nan_policy must be 'propagate', 'omit' or 'raise', not {value!r}")
    return value


def norm(value: Any) -> float:
    """`norm_type=`: a number but 0 and NaN."""
    value = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"norm_type must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("norm_type must be at most the largest float64, or inf") from None
    if math.isnan(number) or number == 0:
        raise ValueError(f"norm_type must be a number other than 0 (inf and -inf included), not {value!r}")
    return number


def spread_over(array: Any, shape: Sequence[int], name: str) -> Any:
    """A mask or weights, broadcast to x's shape without a copy."""
    try:
        if isinstance(array, np.ndarray):
            return np.broadcast_to(array, shape, subok=True)  # bfloat16 tensors stay such
        return array.broadcast_to(shape)
    except ValueError:
        raise ValueError(
            f"{name} must broadcast to x's shape {tuple(shape)}, not have shape {array.shape}"
        ) from None


def not_empty(shape: Sequence[int], axes: Sequence[int]) -> None:
    """Pooled axes must have elements."""
    for a in axes:
        if shape[a] == 0:
            raise ValueError(f"x has no elements along the pooled axis {a}")


def possible(shape: Sequence[int], names: str) -> None:
    """A result of this shape must fit into memory's addresses."""
    if math.prod(shape) * 8 > LIMIT:
        raise ValueError(f"{names} a result of shape {tuple(shape)}, which cannot exist")


def output(value: Any, shape: Sequence[int], dtype: np.dtype, name: str = "out") -> np.ndarray:
    """`out=`: exactly the result's shape and dtype, writeable."""
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a numpy.ndarray, not {type(value).__name__}")
    if value.dtype != dtype or not value.dtype.isnative:
        raise TypeError(
            f"{name} must have dtype {dtype}, not {value.dtype.newbyteorder('=') if value.dtype == dtype else value.dtype}"
        )
    if value.shape != tuple(shape):
        raise ValueError(f"{name} must have shape {tuple(shape)}, not {value.shape}")
    if not value.flags.writeable:
        raise ValueError(f"{name} must be writeable")
    return value
