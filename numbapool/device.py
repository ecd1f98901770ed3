"""Memory of a CUDA device: any array there as its address and strides, and results in the caller's kind of container.

Nothing here touches the elements, and no package is imported that the caller does not hold an array of. A kind of container is as in `containers`, and
also says where its memory comes from (`empty`) and on which stream its library works (`stream`).
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from numbapool import containers, dtypes, settings
from numbapool.containers import CUDA_DEVICES, FAILURES, bfloat16


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """An array in device memory, as far as the host may know it.

    Attributes
    ----------
    address : int
        Of the first element.
    shape, strides : tuple of int
        Strides in bytes.
    dtype : numpy.dtype or containers.bfloat16
        Known by its `name`.
    device : int
        Number of the device.
    owner : object
        What keeps the memory alive.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any
    device: int
    owner: Any

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("memory of a CUDA device cannot be read from the host")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return dtypes.itemsize(self.dtype.name)

    def extent(self) -> tuple[int, int]:
        """The addresses from which and before which all elements lie."""
        reach = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)] if self.size else []
        low = self.address + sum(r for r in reach if r < 0)
        return low, self.address + sum(r for r in reach if r > 0) + self.itemsize

    def overlaps(self, other: DeviceArray) -> bool:
        """Whether both may have elements in the same memory."""
        (a, b), (c, d) = self.extent(), other.extent()
        return bool(self.size and other.size) and self.device == other.device and a < d and c < b

    def transpose(self, order: tuple[int, ...]) -> DeviceArray:
        """The same with its axes in another order."""
        return replace(
            self, shape=tuple(self.shape[a] for a in order), strides=tuple(self.strides[a] for a in order)
        )

    def reversed(self) -> DeviceArray:
        """The same with its last axis the other way round."""
        step, n = self.strides[-1], self.shape[-1]
        return replace(self, address=self.address + (n - 1) * step, strides=(*self.strides[:-1], -step))

    def broadcast_to(self, shape: tuple[int, ...]) -> DeviceArray:
        """The same repeated along axes of one element; ValueError where NumPy would raise it."""
        new = len(shape) - self.ndim
        pairs = list(zip(self.shape, self.strides, shape[max(new, 0) :], strict=False))
        if new < 0 or any(n not in (1, m) for n, _, m in pairs):
            raise ValueError(f"shape {self.shape} cannot be broadcast to {tuple(shape)}")
        strides = (0,) * new + tuple(0 if n != m else s for n, s, m in pairs)
        return replace(self, shape=tuple(shape), strides=strides)

    def reshape(self, shape: tuple[int, ...]) -> DeviceArray:
        """The same elements in another shape, without a copy."""
        shape = tuple(shape)
        if prod(shape) != self.size:
            raise ValueError(f"an array of shape {self.shape} cannot have shape {shape}")
        strides = reshaped(self.shape, self.strides, shape, self.itemsize)
        if strides is None:
            raise NotImplementedError(
                f"device memory of strides {self.strides} in shape {shape}: it would have to be copied"
            )
        return replace(self, shape=shape, strides=strides)


def reshaped(
    old: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...], item: int
) -> tuple[int, ...] | None:
    """The byte strides with which memory has another shape; None if it cannot."""
    if 0 in new:
        return tuple(item * prod(new[a + 1 :]) for a in range(len(new)))
    left = [(n, s) for n, s in zip(old, strides, strict=True) if n != 1]
    result = []
    for size in reversed(new):
        if size == 1:
            result.append(left[-1][1] if left else item)
            continue
        n, s = left.pop()
        result.append(s)
        while n % size:  # several axes become one, if they lie as one
            if not left or left[-1][1] != n * s:
                return None
            n *= left.pop()[0]
        if n > size:  # one becomes several
            left.append((n // size, s * size))
    return tuple(reversed(result))


def is_device(x: Any) -> bool:
    """Whether an array that `dispatch` has taken lies on a device."""
    return isinstance(x, DeviceArray)


# ---- kinds of containers ----------------------------------------------------------------------------------------------


class _Kind:
    """What all kinds have in common."""

    name = ""
    on_device = True

    def __init__(self, device: int):
        self.device = device

    def stream(self) -> int:
        """The stream that the library works on now, as a driver's handle."""
        return 0

    def on_stream(self, stream: int) -> Any:
        """A context in which the library works on a stream."""
        return contextlib.nullcontext()

    def output(self, out: Any, name: str) -> DeviceArray:
        """What is written to, every element in a place of its own."""
        array, kind = unwrap(out, name) if _on_device(out) else (None, None)
        if array is None or type(kind) is not type(self):
            raise containers.other_kind(name, self.name, out)
        if array.device != self.device:
            raise elsewhere(name, array.device, self.device)
        if any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True)):
            raise ValueError(f"{name} must not be broadcast: its elements would share memory")
        return array

    def empty(self, shape: tuple[int, ...], order: tuple[int, ...], dtype: str) -> DeviceArray:
        """New memory, its axes in `order`, the slowest first."""
        stored = np.dtype("uint16" if dtype == "bfloat16" else dtype)
        steps, step = [0] * len(shape), stored.itemsize
        for a in reversed(order):
            steps[a] = step
            step *= max(shape[a], 1)
        given = settings.get("stream")
        # A library's pool gives memory again to what works on the stream that it was taken on.
        with self.on_stream(stream_of(self)) if given is not None else contextlib.nullcontext():
            owner, address = self.allocate(tuple(shape), tuple(steps), dtype)
        kept = bfloat16 if dtype == "bfloat16" else stored
        return DeviceArray(address, tuple(shape), tuple(steps), kept, self.device, owner)

    def allocate(self, shape, strides, dtype):
        """An array of the library with these strides, and its address."""
        raise NotImplementedError

    def view(self, owner, array):
        """The library's array `owner` with the shape and strides of `array`."""
        raise NotImplementedError

    def wrap(self, array: DeviceArray, dtype: str) -> Any:
        """The library's array over memory that `empty` gave."""
        return self.view(array.owner, array)


class CudaTensors(_Kind):
    """torch's tensors on a CUDA device."""

    name = "torch.Tensor"

    def __init__(self, torch, device):
        super().__init__(device)
        self.torch = torch

    def stream(self):
        return int(self.torch.cuda.current_stream(self.device).cuda_stream)

    def on_stream(self, stream):
        return self.torch.cuda.stream(self.torch.cuda.ExternalStream(stream, device=self.device))

    def allocate(self, shape, strides, dtype):
        steps = [s // dtypes.itemsize(dtype) for s in strides]
        owner = self.torch.empty_strided(
            shape, steps, dtype=getattr(self.torch, dtype), device=f"cuda:{self.device}"
        )
        return owner, owner.data_ptr()

    def view(self, owner, array):
        return owner.as_strided(array.shape, [s // array.itemsize for s in array.strides])


class CupyArrays(_Kind):
    """CuPy's arrays."""

    name = "cupy.ndarray"

    def __init__(self, cupy, device):
        super().__init__(device)
        self.cupy = cupy

    def stream(self):
        with self.cupy.cuda.Device(self.device):
            return int(self.cupy.cuda.get_current_stream().ptr)

    def on_stream(self, stream):
        return self.cupy.cuda.ExternalStream(stream, self.device)

    def allocate(self, shape, strides, dtype):
        nbytes = prod(shape) * dtypes.itemsize(dtype)
        with self.cupy.cuda.Device(self.device):
            memory = self.cupy.cuda.alloc(max(nbytes, 1))
            owner = self.cupy.ndarray(shape, _numpy_dtype(dtype), memory, strides=strides)
        return owner, owner.data.ptr

    def view(self, owner, array):
        return self.cupy.ndarray(array.shape, owner.dtype, owner.data, strides=array.strides)


class NumbaArrays(_Kind):
    """Numba's device arrays, and what everything else on a device becomes."""

    name = "numba.cuda device array"

    def __init__(self, device, stream=0):
        super().__init__(device)
        self._stream = stream

    def stream(self):
        return self._stream

    def allocate(self, shape, strides, dtype):
        from numbapool import driver

        return driver.array(self.device, shape, strides, _numpy_dtype(dtype))

    def view(self, owner, array):
        from numbapool import driver

        return driver.view(owner, array.shape, array.strides)


def _numpy_dtype(name):
    """A NumPy dtype; of bfloat16 that of ml_dtypes, which whoever holds such an array has, else 16 bits."""
    if name != "bfloat16":
        return np.dtype(name)
    package = sys.modules.get("ml_dtypes")
    return np.dtype(np.uint16 if package is None else package.bfloat16)


# ---- ways in ------------------------------------------------------------------------------------------------------------


def _on_device(x):
    """Whether x says that it lies on a CUDA device."""
    if containers.torch_of(x) is not None:
        return x.device.type == "cuda"
    if isinstance(x, np.ndarray):
        return False
    try:
        return hasattr(x, "__cuda_array_interface__") or int(x.__dlpack_device__()[0]) in CUDA_DEVICES
    except FAILURES:
        return False


def unwrap(x: Any, name: str) -> tuple[DeviceArray, Any]:
    """x, which lies on a CUDA device, as a `DeviceArray`, and its kind of container.

    Raises
    ------
    ImportError
        Without numba-cuda.
    RuntimeError
        Without a driver.
    TypeError
        For what has no plain strided memory.
    ValueError
        For tensors that require grad, and elements that do not lie at multiples of their size.
    """
    from numbapool import driver

    driver.require(name)
    torch = containers.torch_of(x)
    if torch is not None:
        return _tensor(torch, x, name)
    try:
        interface = x.__cuda_array_interface__
    except AttributeError:
        array, kind = _exchanged(x, name)
        _check_aligned(array, name)
        return array, kind
    except FAILURES as error:
        raise TypeError(f"{name} does not give its memory: {error}") from None
    array = _from_interface(interface, x, name)
    _check_aligned(array, name)
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(x, getattr(cupy, "ndarray", ())):
        number = int(getattr(x, "device").id)  # noqa: B009 - mypy takes x for an object here
        return replace(array, device=number), CupyArrays(cupy, number)
    return array, NumbaArrays(array.device, interface.get("stream") or 0)


def _check_aligned(array, name):
    """Raise for elements that a device cannot read: it would fail in the middle of a kernel, and everything behind it."""
    if array.dtype.name not in dtypes.SUPPORTED:
        return  # which is an error of its own
    item, bits = array.itemsize, array.address
    for n, step in zip(array.shape, array.strides, strict=True):
        bits |= step if n > 1 else 0
    if array.size and bits % item:
        raise ValueError(
            f"{name} must have its elements at multiples of their size, {item} bytes, not at address {array.address:#x} with strides {array.strides}"
        )


def _tensor(torch, x, name):
    if x.requires_grad:
        raise containers.requires_grad(name)
    if x.layout is not torch.strided:
        raise TypeError(f"{name} must be a dense tensor, not one with layout {x.layout}")
    dtype = str(x.dtype).removeprefix("torch.")
    if dtype not in dtypes.SUPPORTED:
        raise containers.unsupported(name, x.dtype)
    size = x.element_size()
    device = x.device.index
    array = DeviceArray(
        x.data_ptr(),
        tuple(x.shape),
        tuple(s * size for s in x.stride()),
        bfloat16 if dtype == "bfloat16" else np.dtype(dtype),
        device,
        x,
    )
    return array, CudaTensors(torch, device)


def _from_interface(interface, owner, name):
    from numbapool import driver

    if interface.get("mask") is not None:
        raise TypeError(f"{name} is a masked array; pass its data and where=~mask")
    dtype = np.dtype(interface["typestr"])
    if not dtype.isnative:
        raise TypeError(f"{name} must be in native byte order on a GPU, not {dtype.str}")
    if dtype.kind == "V":  # what libraries export types by that NumPy does not know
        known = getattr(owner, "dtype", None)
        dtype = bfloat16 if str(getattr(known, "name", known)).endswith("bfloat16") else dtype
    shape = tuple(int(n) for n in interface["shape"])
    strides = interface.get("strides")
    if strides is None:
        item = dtypes.itemsize(dtype.name) if dtype is bfloat16 else dtype.itemsize
        strides = [item * prod(shape[a + 1 :]) for a in range(len(shape))]
    address = int(interface["data"][0] or 0)
    return DeviceArray(
        address, shape, tuple(int(s) for s in strides), dtype, driver.device_of(address), owner
    )


def _exchanged(x, name):
    """x through DLPack, as its memory is when what was launched before has run."""
    from numbapool import driver

    try:
        address, shape, strides, dtype, device, owner = driver.exchanged(x)
    except FAILURES as error:
        raise TypeError(f"{name} cannot be exchanged through DLPack: {error}") from None
    return DeviceArray(address, shape, strides, dtype, device, owner), NumbaArrays(device)


def elsewhere(name: str, device: int, wanted: int) -> TypeError:
    """The error for memory of another device than x's."""
    return TypeError(f"{name} lies on CUDA device {device}, but x on CUDA device {wanted}; move one of them")


def stream_of(kind: Any) -> int:
    """The stream that a call is launched on: `options(stream=…)`, or the one that the caller's library works on."""
    given = settings.get("stream")
    if given is None:
        return kind.stream()
    if hasattr(given, "__cuda_stream__"):
        return int(given.__cuda_stream__()[1])
    for attribute in ("ptr", "cuda_stream", "handle", "value"):
        inner = getattr(given, attribute, None)
        if inner is not None:
            return int(getattr(inner, "value", inner) or 0)
    try:
        return int(given)
    except (TypeError, ValueError):
        raise TypeError(f"option stream must be a CUDA stream or the handle of one, not {given!r}") from None
