"""Kernels: templates (rows, route, spread), the primitives they are written in (simd, twins) and their builder."""
