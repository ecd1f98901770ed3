"""Arrays that say that they lie on a CUDA device; under the simulator, whose device memory is the host's, that is true of NumPy's."""

import numpy as np


class OnDevice:
    """An ndarray through `__cuda_array_interface__` alone."""

    def __init__(self, array):
        self.array = np.asarray(array)

    @property
    def dtype(self):
        return self.array.dtype

    @property
    def __cuda_array_interface__(self):
        a = self.array
        interface = dict(a.__array_interface__, version=3, stream=None)
        if a.dtype.name == "bfloat16":
            interface["typestr"] = "<V2"
        return interface


def host(y):
    """A result's values."""
    if isinstance(y, tuple):
        return tuple(map(host, y))
    return y if isinstance(y, np.ndarray) else y.array
