"""What numbapool found on this machine, in words."""

import platform
from importlib import metadata

from numbapool import cache, driver, threads


def config(start=False):
    """
    What numbapool found on this machine.

    Parameters
    ----------
    start : bool
        Make the launcher of threads to learn whether there can be one.

    Returns
    -------
    dict of str
    """
    import llvmlite
    import numba
    import numpy

    import numbapool

    if start:
        threads.start()
    machine = cache.machine()
    bits, instructions = cache.simd(machine["features"])
    return {
        "device": f"CPU, {platform.machine()}",
        "CPU": machine["cpu"],
        "SIMD": f"{instructions}, {bits} bit ({bits // 32} float32)",
        "threads": str(threads.threads()),
        "threading layer": threads.layer(),
        "JIT": "off (NUMBA_DISABLE_JIT)" if numba.config.DISABLE_JIT else "on",
        "cache": str(cache.folder() or "none (no writable folder is known)"),
        "CUDA": _cuda(),
        "numbapool": getattr(numbapool, "__version__", "unknown"),
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
    }


def _cuda():
    """What there is for GPUs, without loading it."""
    try:
        return f"numba-cuda {metadata.version('numba-cuda')}"
    except metadata.PackageNotFoundError:
        return driver.INSTALL


def show_config():
    """
    Print the device, threads, SIMD width, cache folder and versions that numbapool uses.

    Examples
    --------
    >>> import numbapool as nbp
    >>> nbp.show_config()                                          # doctest: +SKIP
    device            CPU, x86_64
    ...
    """
    for key, value in config().items():
        print(f"{key:<17} {value}")  # noqa: T201
