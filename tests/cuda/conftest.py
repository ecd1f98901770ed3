"""These tests run in a process of their own, under the CUDA simulator: see ../test_cuda.py."""

import os

if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") in ("", "0"):
    collect_ignore_glob = ["test_*.py"]
