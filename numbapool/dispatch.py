"""On what: from an argument to a backend and an array that the backend works on."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from numbapool import containers, dtypes


def array(x: Any, name: str = "x", beside: Any = None) -> tuple[Any, Any]:
    """x as an ndarray whose dtype the kernels know, in any byte order, a view wherever that is possible, or as a `DeviceArray`; and its kind of container.

    `beside` is an array taken before, in whose memory x must lie as well.

    Raises
    ------
    TypeError
        For masked arrays, dtypes that pooling has no meaning for, and arrays that lie elsewhere than `beside`.
    ValueError
        For tensors that require grad.
    ImportError, RuntimeError
        For arrays on a GPU where numba-cuda or the driver is missing.
    """
    kind = None
    if type(x) is not np.ndarray:
        x, kind = containers.unwrap(x, name)
    if dtypes.name_of(x.dtype) not in dtypes.SUPPORTED:
        raise containers.unsupported(name, x.dtype)
    if beside is not None and on_device(x) + on_device(beside):
        together(x, name, beside)
    return x, kind


def on_device(x: Any) -> bool:
    """Whether an array lies on a CUDA device."""
    return not isinstance(x, np.ndarray)


def together(x: Any, name: str, beside: Any) -> None:
    """Raise unless both arrays lie in the host's memory or on one device."""
    from numbapool import device

    if not on_device(x):
        raise TypeError(f"{name} lies in host memory, but x on CUDA device {beside.device}; move one of them")
    if not on_device(beside):
        raise TypeError(f"{name} lies on CUDA device {x.device}, but x in host memory; move one of them")
    if x.device != beside.device:
        raise device.elsewhere(name, x.device, beside.device)


def backend(request: Any) -> Any:
    """The module that carries out a request: of its family, for the memory that its x lies in."""
    return _backend(on_device(request.x), request.family)


@lru_cache
def _backend(device: bool, family: str) -> Any:
    if device:
        from numbapool.backends import cuda, cuda_unpool

        return cuda_unpool if family == "unpool" else cuda
    from numbapool.backends import cpu, unpool

    return unpool if family == "unpool" else cpu
