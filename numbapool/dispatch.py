"""On what: from an argument to a backend and an array that the backend works on."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbapool import dtypes


def host_array(x: Any, name: str = "x") -> np.ndarray:
    """x as a NumPy array whose dtype the kernels know, in any byte order; a view wherever that is possible.

    Raises
    ------
    TypeError
        For masked arrays, arrays on a GPU, and dtypes that pooling has no meaning for.
    """
    if type(x) is not np.ndarray:
        if isinstance(x, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array; pass its data and where=~{name}.mask")
        if hasattr(x, "__cuda_array_interface__"):
            raise TypeError(f"{name} lies on a GPU; this version of numbapool works on host memory only")
        if getattr(x, "requires_grad", False) is True:
            raise ValueError(
                f"{name} is a tensor that requires grad; pass {name}.detach() and take gradients with vjp"
            )
        if isinstance(x, np.ndarray):
            x = x.view(np.ndarray)
        else:
            try:
                x = np.asarray(x)
            except (ValueError, TypeError) as error:
                raise TypeError(f"{name} must be an array or nested lists of numbers: {error}") from None
    if x.dtype.name not in dtypes.SUPPORTED:
        raise TypeError(
            f"{name} must be bool, integer or floating of at most 64 bits (bfloat16 included), not {x.dtype}"
        )
    return x


def backend(x: np.ndarray) -> Any:
    """The module that computes on x."""
    from numbapool.backends import cpu

    return cpu
