"""The primitives in use: LLVM vectors, or their NumPy twins where nothing is compiled."""

from numba.core import config

if config.DISABLE_JIT:
    from numbapool.kernels.twins import *  # noqa: F403
else:
    from numbapool.kernels.memory import *  # noqa: F403
    from numbapool.kernels.permute import *  # noqa: F403
    from numbapool.kernels.simd import *  # noqa: F403
    from numbapool.kernels.typed import *  # noqa: F403
