"""A checked call: arrays, windows and a reduction. What public functions build and backends carry out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from numbapool import arguments, dispatch, dtypes, presence, repeated
from numbapool.presence import WHOLE, Presence
from numbapool.reductions import Reduction
from numbapool.windows import Planes, Windows, same_padding, sliding

F = TypeVar("F", bound=Callable[..., Any])
REACH = 2**40  # elements that a window may span, padding included


class lazy:
    """A property that is worked out once; `functools.cached_property` takes a lock, at a microsecond a time."""

    def __init__(self, function: Callable[[Any], Any]):
        self.function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.function(instance)
        return value


@dataclass
class Request:
    """One pooling call with all its arguments checked.

    Attributes
    ----------
    reduction : Reduction
    x : ndarray or DeviceArray
    axes : tuple of int
        Pooled axes, ascending.
    windows : tuple of Windows
        One per pooled axis.
    dtype : str or None
        The argument ``dtype=`` by name.
    indices : bool
        Whether indices are returned.
    divisor : float or None
        ``divisor_override=``.
    presence : Presence
        ``nan_policy=``, ``where=`` and ``weights=``.
    planes : Planes or None
        Every plane has windows of its own; `windows` then contain those.
    out : tuple
        Array or None for the values and for the indices.
    kind : object
        The kind of container that x came in, None for NumPy's (see `containers`).
    given : tuple
        `out` in that kind, as the caller gave it.
    restored : callable or None
        Makes of an array over `x` one over the caller's x, whose axes were merged.
    shape_out : tuple of int or None
        The shape of the result that the caller sees where it is not `shape`: axes were merged or dropped.
    looks : bool
        What is done depends on values, not on shapes, layouts and dtypes alone.
    """

    reduction: Reduction
    x: Any
    axes: tuple[int, ...]
    windows: tuple[Windows, ...]
    dtype: str | None = None
    indices: bool = False
    divisor: float | None = None
    presence: Presence = WHOLE
    planes: Planes | None = None
    out: tuple[Any, Any] = (None, None)
    kind: Any = None
    given: tuple[Any, Any] = (None, None)
    restored: Callable[[Any], Any] | None = None
    shape_out: tuple[int, ...] | None = None
    looks: bool = False

    family = "windows"  # not a field: which of a backend's modules carries it out

    @lazy
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return _pooled(self.x.shape, self.axes, self.windows)

    @lazy
    def x_name(self) -> str:
        """The dtype of x by name."""
        return dtypes.name_of(self.x.dtype)

    @lazy
    def y_name(self) -> str:
        """The dtype of the values by name."""
        return self.reduction.types(self.x_name, self.dtype, False, self.presence.weights is not None).y

    def wrapped(self, result: Any) -> Any:
        """A backend's result in the caller's kind of container; `out` as it was given."""
        if self.kind is None and self.shape_out is None:
            return result
        y, indices = result if self.indices else (result, None)
        y = self._outward(y, self.y_name) if self.given[0] is None else self.given[0]
        if not self.indices:
            return y
        return y, self._outward(indices, "int64") if self.given[1] is None else self.given[1]

    def _outward(self, array: Any, name: str) -> Any:
        if self.shape_out is not None:
            array = array.reshape(self.shape_out)
        return array if self.kind is None else self.kind.wrap(array, name)


def public(build: F) -> F:
    """A public function from one that checks its arguments and returns a Request.

    The Request can be had without running it as ``function.request(...)``: that is what `vjp` does.
    """

    @functools.wraps(build)
    def function(*args, **kwargs):
        slot = repeated.slot(build, args, kwargs)
        if slot is not None and slot.run is not None:
            result = slot.run(args[0], kwargs.get("out"))
            if result is not None:
                return result
        request = build(*args, **kwargs)
        backend = dispatch.backend(request)
        result = backend.run(request)
        if slot is not None and not request.looks:
            slot.run = backend.repeated(request, args[0], result)
        return result if request.kind is None and request.shape_out is None else request.wrapped(result)

    function.request = build  # type: ignore[attr-defined]
    return function  # type: ignore[return-value]


def window_request(
    reduction: Reduction, n: int, x: Any, kernel_size: Any, stride: Any, padding: Any, *, dilation: Any = 1, ceil_mode: Any = False,
    return_indices: Any = False, axes: Any = None, dtype: Any = None, count_include_pad: Any = True, divisor_override: Any = None,
    nan_policy: Any = "propagate", where: Any = None, weights: Any = None, out: Any = None,
) -> Request:  # fmt: skip
    """Check the arguments of a function that slides windows over n axes of x."""
    x, kind = dispatch.array(x)
    present = presence.checked(x, nan_policy, where, weights)
    include = arguments.flag(count_include_pad, "count_include_pad") and not present.partial
    ceil_mode = arguments.flag(ceil_mode, "ceil_mode")
    pooled, windows, shape = recall(
        _sliding, x.shape, n, axes, kernel_size, stride, padding, dilation, ceil_mode, include
    )
    indices = arguments.flag(return_indices, "return_indices")
    override = arguments.divisor(divisor_override)
    if override is not None and present.partial:
        raise ValueError("divisor_override must be None with nan_policy='omit', where or weights")
    name = dtypes.name_of(x.dtype)
    dtype = arguments.result_dtype(dtype, name)
    request = Request(reduction, x, pooled, windows, dtype, indices, override, present, kind=kind)
    request.shape, request.x_name = shape, name  # as they are known
    return checked(request, nan_policy, out)


def checked(request: Request, nan_policy: Any = "propagate", out: Any = None) -> Request:
    """A request with its last arguments: `out`, which depends on the result, and the check of x's values."""
    if out is not None:
        request.out = _check_out(request, out)
        request.given = out if request.indices else (out, None)
    if nan_policy == "raise":
        request.looks = True
        if dispatch.on_device(request.x):
            dispatch.backend(request).refuse_nan(request)
        else:
            request.presence.refuse_nan(request.x)
    return request


def recall(function: Callable[..., Any], *args: Any) -> Any:
    """``function(*args)``, a function of plain values that is asked the same over and over; its answers are remembered."""
    for value in args:
        kind = type(value)
        if kind is tuple:
            for v in value:  # equal keys must mean equal answers: True is not 1, nor is 1.0
                if type(v) is not int:
                    return function(*args)
        elif kind not in _PLAIN:
            return function(*args)
    return _remembered(function, *args)


_PLAIN = frozenset((int, bool, str, type(None)))


@functools.lru_cache(maxsize=1024, typed=True)
def _remembered(function, *args):
    return function(*args)


def _sliding(shape, n, axes, kernel_size, stride, padding, dilation, ceil_mode, include):
    """The pooled axes, ascending, and their windows, for arguments as the caller gave them; shape of the result."""
    given = arguments.pooled_axes(axes, n, len(shape))
    kernel = arguments.per_axis(kernel_size, n, "kernel_size", 1)
    steps = kernel if stride is None else arguments.per_axis(stride, n, "stride", 1)
    spread = arguments.per_axis(dilation, n, "dilation", 1)
    pads = arguments.padding_pairs(padding, n)
    arguments.not_empty(shape, given)
    windows = {}
    for i, a in enumerate(given):
        pad = pads if isinstance(pads, str) else pads[i]
        windows[a] = _along(shape[a], kernel[i], steps[i], pad, spread[i], ceil_mode, include)
    return in_order(shape, windows)


def in_order(shape, windows, names="kernel_size, stride and padding give"):
    """Windows by axis as (axes ascending, windows, shape of the result), which is checked; `names` says what gives it."""
    axes = tuple(sorted(windows))
    ordered = tuple(windows[a] for a in axes)
    pooled = _pooled(shape, axes, ordered)
    arguments.possible(pooled, names)
    return axes, ordered, pooled


def _pooled(shape, axes, windows):
    pooled = list(shape)
    for a, w in zip(axes, windows, strict=True):
        pooled[a] = w.count
    return tuple(pooled)


def _along(size, kernel, stride, pads, dilation, ceil_mode, include):
    reach = dilation * (kernel - 1) + 1
    for name, value in (
        ("kernel_size", kernel),
        ("dilation", dilation),
        ("kernel_size with dilation", reach),
    ):
        if value > REACH:
            raise ValueError(f"{name} must be at most 2**40 elements, not {value}")
    if pads == "valid":
        before = after = 0
    elif isinstance(pads, str):
        before, after = same_padding(size, kernel, stride, dilation, pads == "same_lower")
        ceil_mode, include = False, False
    else:
        before, after = pads
    if max(before, after) > reach - 1:
        raise ValueError(
            f"padding must be at most {reach - 1}, one less than the {reach} elements that "
            f"kernel_size={kernel} with dilation={dilation} spans, not {(before, after)}"
        )
    return sliding(size, kernel, stride, before, after, dilation, ceil_mode, include)


def _share(a: Any, b: Any) -> bool:
    if dispatch.on_device(a):
        return bool(a.overlaps(b))
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _check_out(request: Request, out: Any) -> tuple[Any, Any]:
    if not request.indices:
        return _output(request, out, request.y_name, "out"), None
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(f"out must be a pair (y, indices) with return_indices=True, not {type(out).__name__}")
    values = _output(request, out[0], request.y_name, "out[0]")
    places = _output(request, out[1], "int64", "out[1]")
    if values is not None and places is not None and _share(values, places):
        raise ValueError("out: y and indices must not share memory")
    return values, places


def _output(request: Request, out: Any, dtype: str, name: str) -> Any:
    if out is None:
        return None
    if dispatch.on_device(request.x):
        shape = request.shape if request.shape_out is None else request.shape_out
        array = request.kind.output(out, name)
        if array.dtype.name != dtype:
            raise TypeError(f"{name} must have dtype {dtype}, not {array.dtype.name}")
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
        return array.reshape(request.shape)
    if request.kind is not None:
        out = request.kind.output(out, name)
        if out.dtype.name != dtype:
            raise TypeError(f"{name} must have dtype {dtype}, not {out.dtype.name}")
        out = out.view(np.ndarray)
        dtype = out.dtype.newbyteorder("=").str  # what stands for bfloat16 included
    if request.shape_out is None:
        return arguments.output(out, request.shape, np.dtype(dtype), name)
    # Only axes of one element come and go, so this is a view.
    return arguments.output(out, request.shape_out, np.dtype(dtype), name).reshape(request.shape)
