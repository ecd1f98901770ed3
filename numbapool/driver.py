"""The CUDA driver through numba-cuda: what is installed, devices, memory, launches. Imported when there is an array on a device, never before."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import warnings
from typing import Any

INSTALL = 'pip install "numbapool[cuda12]" (or "numbapool[cuda13]" for drivers of CUDA 13)'


def simulated() -> bool:
    """Whether device memory is the host's: Numba's CUDA simulator."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def require(name: str) -> None:
    """Raise if the argument `name`, which lies on a GPU, cannot be worked on."""
    problem = missing()
    if problem:
        kind = ImportError if INSTALL in problem else RuntimeError
        raise kind(f"{name} lies on a GPU, {problem}")


@functools.cache
def missing() -> str:
    """What is missing to work on a GPU; "" for nothing."""
    if simulated():
        return ""
    if importlib.util.find_spec("numba_cuda") is None:
        return f"which needs numba-cuda: {INSTALL}"
    from numba import cuda

    if not cuda.is_available():
        return f"but no CUDA driver with a device is to be had ({_reason()})"
    return ""


def _reason() -> str:
    from numba.cuda.cudadrv import driver

    error = getattr(driver.driver, "initialization_error", None)
    return str(error).strip().splitlines()[-1] if error else "cuda.is_available() is False"


def on(device: int) -> Any:
    """A context in which the device is the current one."""
    if simulated():
        return contextlib.nullcontext()
    from numba import cuda

    return cuda.gpus[device]


def device_of(address: int) -> int:
    """The device that an address belongs to; that of no address is the current one."""
    if simulated():
        return 0
    from numba import cuda

    if not address:
        return int(cuda.get_current_device().id)
    from cuda.bindings import driver

    attribute = driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    error, ordinal = driver.cuPointerGetAttribute(attribute, address)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise TypeError(f"address {address:#x} is not one of CUDA's ({error.name})")
    return int(ordinal)


def array(device: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any) -> tuple[Any, int]:
    """A new device array of Numba's, and its address."""
    from numba import cuda

    if simulated():
        import numpy as np

        nbytes = int(np.prod(shape)) * dtype.itemsize
        owner = np.ndarray(shape, dtype, np.empty(max(nbytes, 1), np.uint8), strides=strides)
        return owner, owner.__array_interface__["data"][0]
    with on(device):
        owner = cuda.device_array(shape, dtype, strides=strides)
        return owner, int(owner.device_ctypes_pointer.value or 0)


def view(owner: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """The same memory in another shape."""
    if tuple(owner.shape) == shape and tuple(owner.strides) == strides:
        return owner
    if simulated():
        import numpy as np

        return np.lib.stride_tricks.as_strided(owner, shape, strides)
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    return DeviceNDArray(shape, strides, owner.dtype, gpu_data=owner.gpu_data)


def exchanged(x: Any) -> tuple[int, tuple[int, ...], tuple[int, ...], Any, int, Any]:
    """(address, shape, byte strides, dtype, device, owner) of an array through DLPack."""
    from cuda.core.utils import StridedMemoryView

    held = StridedMemoryView.from_dlpack(x, stream_ptr=-1)
    item = held.dtype.itemsize
    shape = tuple(int(n) for n in held.shape)
    if held.strides is None:
        steps: list[int] = []
        step = item
        for n in reversed(shape):
            steps.insert(0, step)
            step *= n
    else:
        steps = [int(s) * item for s in held.strides]
    return int(held.ptr), shape, tuple(steps), held.dtype, int(held.device_id), (held, x)


def read(device: int, stream: int, address: int, nbytes: int) -> bytes:
    """Bytes of device memory, when all that was launched on the stream has run."""
    import ctypes

    if simulated():
        return ctypes.string_at(address, nbytes)
    from cuda.bindings import driver

    room = ctypes.create_string_buffer(nbytes)
    with on(device):
        (error,) = driver.cuMemcpyDtoHAsync(ctypes.addressof(room), address, nbytes, stream)
        if error == driver.CUresult.CUDA_SUCCESS:
            (error,) = driver.cuStreamSynchronize(stream)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"reading device memory failed: {error.name}")
    return room.raw


def write(device: int, stream: int, address: int, array: Any) -> None:
    """Copy an array of the host, contiguous, to device memory on a stream. Its memory is free when this returns."""
    import ctypes

    source = array.__array_interface__["data"][0]
    if simulated():
        ctypes.memmove(address, source, array.nbytes)
        return
    from cuda.bindings import driver

    with on(device):
        (error,) = driver.cuMemcpyHtoDAsync(address, source, array.nbytes, stream)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"writing device memory failed: {error.name}")


def fill(device: int, stream: int, address: int, nbytes: int, value: int) -> None:
    """Set every byte of a piece of device memory to a value, on a stream."""
    if simulated():
        import ctypes

        ctypes.memset(address, value, nbytes)
        return
    from cuda.bindings import driver

    with on(device):
        (error,) = driver.cuMemsetD8Async(address, value, nbytes, stream)
    if error != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"writing device memory failed: {error.name}")


def launch(kernel: Any, device: int, stream: int, blocks: int, threads: int, args: tuple[Any, ...]) -> None:
    """Launch a kernel on a stream, given by its handle, and return at once."""
    if simulated():
        kernel.jitted[blocks, threads](*args)
        return
    with on(device):
        _configured(kernel, device, stream, blocks, threads)(*args)


@functools.lru_cache(maxsize=1024)
def _configured(kernel, device, stream, blocks, threads):
    """A kernel with its grid and stream."""
    from numba import cuda

    with warnings.catch_warnings():  # Numba warns of every small grid
        warnings.simplefilter("ignore")
        on_stream = cuda.external_stream(stream) if stream else cuda.default_stream()
        return kernel.jitted[blocks, threads, on_stream]
