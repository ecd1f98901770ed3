"""Kernels for CUDA: templates, their primitives, and the one module that calls ``cuda.jit``."""
