"""On what: from an argument to a backend and an array that the backend works on."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbapool import containers, dtypes


def host_array(x: Any, name: str = "x") -> tuple[np.ndarray, Any]:
    """x as an ndarray whose dtype the kernels know, in any byte order, a view wherever that is possible; and its kind of container.

    Raises
    ------
    TypeError
        For masked arrays, arrays on a GPU, and dtypes that pooling has no meaning for.
    ValueError
        For tensors that require grad.
    """
    kind = None
    if type(x) is not np.ndarray:
        x, kind = containers.unwrap(x, name)
    if dtypes.name_of(x.dtype) not in dtypes.SUPPORTED:
        raise containers.unsupported(name, x.dtype)
    return x, kind


def backend(request: Any) -> Any:
    """The module that carries out a request: of its family, for the memory that its x lies in."""
    from numbapool.backends import cpu, unpool

    return unpool if request.family == "unpool" else cpu
