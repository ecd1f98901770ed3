"""Kernels: templates (rows, large, spread, scatter), the primitives they are written in (simd, twins) and their builder."""
