"""The one place that compiles for CUDA: a template's entry by ``cuda.jit``, its helpers as instructions of that entry.

A kernel is compiled when it is first launched on a device of a compute capability, once per process and thread-safe. Numba's cache on disk is not
used: its key does not cover the names that are bound here.
"""

from __future__ import annotations

import sys
import threading
import types as python
from collections.abc import Callable
from typing import Any

from numbapool import driver

_lock = threading.RLock()
_kernels: dict[str, Kernel] = {}


class Kernel:
    """A template with its names bound.

    Attributes
    ----------
    name : str
        Tells it from all others.
    function : function
        The entry.
    signature : str
        What its parameters are: one letter each, `i` for integers of the kernel's index type, `a` for an address, `f` and `d` for float32 and float64, a
        number in front for a tuple.
    wide : bool
        Indices have 64 bits.
    """

    def __init__(self, name: str, function: Any, signature: str, wide: bool):
        self.name, self.function, self.wide = name, function, wide
        self.signature = signature
        self._jitted: Any = None

    def types(self) -> tuple[Any, ...]:
        """The Numba types of its parameters."""
        from numba.cuda import types

        letters = {
            "i": types.int64 if self.wide else types.int32,
            "a": types.int64,
            "f": types.float32,
            "d": types.float64,
        }
        return tuple(
            types.UniTuple(letters[part[-1]], int(part[:-1])) if part[:-1] else letters[part]
            for part in self.signature.split()
        )

    @property
    def jitted(self) -> Any:
        """What ``cuda.jit`` makes of it for the current device."""
        if self._jitted is None:
            with _lock:
                from numba import cuda

                if driver.simulated():
                    self._jitted = cuda.jit(self.function)
                else:
                    # Divisors are never 0 where it matters, and Numba's check of them would be a branch and an exception.
                    self._jitted = cuda.jit([self.types()], opt=True)(self.function)
        return self._jitted

    def ptx(self, capability: tuple[int, int]) -> str:
        """Its PTX for a compute capability; needs no device."""
        from numba import cuda

        code, _ = cuda.compile_ptx(self.function, self.types(), cc=capability)
        return code


def kernel(template: Any, binding: Callable[[], dict], name: str, signature: str, wide: bool) -> Kernel:
    """The kernel `name`, made once.

    Parameters
    ----------
    template : module
        Its function `entry` is the kernel, its other functions are helpers.
    binding : callable
        Asked for what the free names mean.
    name : str
        Unique among all pairs of template and binding.
    signature, wide
        As of `Kernel`.
    """
    name = f"{name}_{64 if wide else 32}"
    try:
        return _kernels[name]
    except KeyError:
        pass
    with _lock:
        if name not in _kernels:
            _kernels[name] = Kernel(name, _bound(template, binding(), name), signature, wide)
        return _kernels[name]


def kernels() -> list[Kernel]:
    """All kernels of this process, in the order in which they were made."""
    return list(_kernels.values())


def _bound(template, binding, name):
    from numba import cuda

    names = {
        "__name__": template.__name__,
        "__builtins__": __builtins__,
        **vars(template),
        **binding,
        "cuda": cuda,
    }
    for key, f in list(names.items()):
        if not isinstance(f, python.FunctionType):
            continue
        if f.__module__ == template.__name__ or getattr(sys.modules.get(f.__module__), "TEMPLATE", False):
            names[key] = _copy(f, names, f"{name}.{key}")
    if driver.simulated():
        return names["entry"]
    from numbapool.kernels.cuda import staging

    function = _copy(
        names["entry"],
        staging.staged(names, "entry"),
        "numbapool_" + "".join(c if c.isalnum() else "_" for c in name),
    )
    function.__name__ = function.__qualname__
    return function


def _copy(function, names, qualname):
    copy = python.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__module__, copy.__qualname__ = function.__module__, qualname
    return copy
