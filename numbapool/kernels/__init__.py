"""Kernels: templates (rows, large, spread, scatter), the primitives they are written in (simd, memory, typed, permute; twins) and their builder."""
