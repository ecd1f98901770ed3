"""Benchmarks against the other libraries: ``python -m benchmarks --help``."""
