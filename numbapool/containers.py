"""Containers: any array on this host as an ndarray over the same memory, and results in the caller's kind of container.

No package is imported for it: who holds a tensor has imported its framework already. A kind of container is an object with
``array(x, name)``, the way in, ``output(out, name)``, the same for what is written to, and ``wrap(y, dtype)``, the way out. NumPy's kind is None.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

HOST_DEVICES = (1, 3, 11)  # DLPack's numbers for host memory: plain, pinned by CUDA, pinned by ROCm
CUDA_DEVICES = (2, 13)  # and for memory of CUDA devices: plain, managed
FAILURES = (
    AttributeError,
    BufferError,
    RuntimeError,
    TypeError,
    ValueError,
)  # of a foreign exporter or importer


class bfloat16:
    """What `BFloat16.dtype` is: bfloat16 by name, 16 bits to NumPy, which takes a type with a `dtype` for that dtype."""

    name = "bfloat16"
    dtype = np.dtype(np.uint16)
    itemsize = 2
    isnative = True

    @classmethod
    def newbyteorder(cls, order="="):
        """Itself: no tensor has a foreign byte order."""
        return cls


class BFloat16(np.ndarray):
    """Memory of bfloat16 elements that only passes through: kernels know it by its dtype's name, NumPy sees 16-bit integers.

    NumPy itself has no bfloat16, and the package that gives it one (ml_dtypes) need not be there for a tensor of that type.
    """

    dtype = bfloat16  # type: ignore[assignment]


def converted(a: np.ndarray, dtype: Any) -> np.ndarray:
    """a with elements of `dtype`, which may be `bfloat16`, in native byte order; a itself if it has them."""
    if isinstance(a, BFloat16):
        if dtype is bfloat16:
            return a
        a = (a.view(np.ndarray).astype(np.uint32) << 16).view(np.float32)
    if dtype is not bfloat16:
        return a if a.dtype == dtype and a.dtype.isnative else a.astype(dtype)
    wide = np.asarray(a, np.float32)
    bits = wide.view(np.uint32)
    nearest = (
        bits + ((bits >> 16 & 1) + np.uint32(0x7FFF))
    ) >> 16  # ties to even; carries into inf as they should
    quiet = bits >> 16 | 0x40  # a NaN whose payload lies in the lower half stays one
    return np.where(wide == wide, nearest, quiet).astype(np.uint16).view(BFloat16)


class Tensors:
    """torch's dense tensors on the CPU."""

    name = "torch.Tensor"

    def __init__(self, torch):
        self.torch = torch

    def array(self, x, name):
        """A tensor's memory."""
        torch = self.torch
        if x.device.type != "cpu":
            raise elsewhere(name, f"the device {x.device}")
        if x.requires_grad:
            raise requires_grad(name)
        if x.layout is not torch.strided:
            raise TypeError(f"{name} must be a dense tensor, not one with layout {x.layout}")
        try:
            if x.dtype is torch.bfloat16:
                return x.view(torch.int16).numpy().view(np.uint16).view(BFloat16)
            return x.numpy()
        except TypeError:
            raise unsupported(name, x.dtype) from None
        except RuntimeError as error:
            raise TypeError(f"{name} must be a tensor with memory of its own: {error}") from None

    def output(self, out, name):
        """A tensor's memory, every element in a place of its own."""
        if not isinstance(out, self.torch.Tensor):
            raise other_kind(name, self.name, out)
        array = self.array(out, name)
        if any(step == 0 and size > 1 for step, size in zip(array.strides, array.shape, strict=True)):
            raise ValueError(f"{name} must not be an expanded tensor, whose elements share memory")
        return array

    def wrap(self, y, dtype):
        """A tensor over y's memory."""
        if dtype == "bfloat16":
            return self.torch.from_numpy(y.view(np.ndarray).view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(y)


class Exchanged:
    """Arrays of a library that has the array API's ``from_dlpack``."""

    def __init__(self, x, namespace):
        self.type = type(x)
        self.name = f"{self.type.__module__}.{self.type.__qualname__}"
        self.namespace = namespace

    def array(self, x, name):
        """An array's memory; a copy only if it cannot be exchanged (JAX's bfloat16)."""
        array = _exchanged(x, name)
        return _asarray(x, name) if array is None else array

    def output(self, out, name):
        """An array's memory, or an error."""
        if not isinstance(out, self.type):
            raise other_kind(name, self.name, out)
        array = _exchanged(out, name, copy=False)
        if array is None:
            raise TypeError(f"{name} cannot be written to: its memory is not to be had through DLPack")
        return array

    def wrap(self, y, dtype):
        """An array of the library, over y's memory if it takes such memory."""
        try:
            return self.namespace.from_dlpack(y)
        except FAILURES:  # a dtype or strides that DLPack or the library has no place for
            return self.namespace.asarray(y)


def torch_of(x: Any) -> Any:
    """The module torch if x is a tensor of its, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(x, getattr(torch, "Tensor", ())) else None


def unwrap(x: Any, name: str) -> tuple[np.ndarray, Any]:
    """An ndarray over the memory of x, and the kind of container that x is: None for NumPy's and all that has no way back. On a GPU: a `DeviceArray`.

    Raises
    ------
    TypeError
        For masked arrays, memory of other devices than CUDA's, and what is no array.
    ValueError
        For tensors that require grad.
    """
    if isinstance(x, np.ndarray):
        if isinstance(x, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array; pass its data and where=~{name}.mask")
        return x.view(np.ndarray), None
    torch = torch_of(x)
    if torch is not None:
        if x.device.type == "cuda":
            return _on_device(x, name)
        tensors = Tensors(torch)
        return tensors.array(x, name), tensors
    if hasattr(x, "__cuda_array_interface__"):
        return _on_device(x, name)
    if getattr(x, "requires_grad", False) is True:
        raise requires_grad(name)
    if not hasattr(x, "__dlpack__"):
        return _asarray(x, name), None
    if _dlpack_device(x) in CUDA_DEVICES:
        return _on_device(x, name)
    array = _exchanged(x, name)
    array = _asarray(x, name) if array is None else array
    try:
        namespace = x.__array_namespace__()
    except FAILURES:
        return array, None
    return array, Exchanged(x, namespace) if hasattr(namespace, "from_dlpack") else None


def _on_device(x, name):
    from numbapool import device

    return device.unwrap(x, name)


def _dlpack_device(x):
    """DLPack's number for the memory that x lies in, None if it does not say."""
    try:
        return int(x.__dlpack_device__()[0])
    except FAILURES:
        return None


def _exchanged(x, name, **options):
    """x through DLPack, or None where that is not possible."""
    device = _dlpack_device(x)
    if device is None:
        return None
    if device not in HOST_DEVICES:
        raise elsewhere(name, f"a device that is neither the host nor CUDA (DLPack's number {device})")
    try:
        return np.from_dlpack(x, **options)
    except FAILURES:
        return None


def _asarray(x, name):
    try:
        return np.asarray(x)
    except (ValueError, TypeError, RuntimeError) as error:
        raise TypeError(f"{name} must be an array or nested lists of numbers: {error}") from None


def elsewhere(name: str, place: str) -> TypeError:
    """The error for memory that is not the host's."""
    return TypeError(f"{name} lies on {place}; numbapool works on host memory and on CUDA devices")


def requires_grad(name: str) -> ValueError:
    """The error for a tensor that another package's gradients would have to go through."""
    return ValueError(
        f"{name} is a tensor that requires grad; pass {name}.detach() and take gradients with vjp"
    )


def unsupported(name: str, dtype: Any) -> TypeError:
    """The error for a dtype that pooling has no meaning for."""
    return TypeError(
        f"{name} must be bool, integer or floating of at most 64 bits (bfloat16 included), not {dtype}"
    )


def other_kind(name: str, kind: str, value: Any) -> TypeError:
    """The error for `out=` of another kind than x."""
    return TypeError(f"{name} must be a {kind} as x is, not {type(value).__name__}")
