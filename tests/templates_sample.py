"""A small kernel template for the tests of threads and cache, with what its free names mean.

y[r] = x[r] + ADD for rows r of `n` float64, computed `repeat` times; where[r] = the scratch slot that did row r.
"""

# ruff: noqa: F821 - free names are bound by the builder

import ctypes
import sys

TEMPLATE = True


def one_row(x, y, n):
    for i in range(n):
        put(y + 8 * i, get(x + 8 * i) + ADD)


def band(args, slot, lo, hi):
    n = word(args, 2)
    for r in range(lo, hi):
        for _ in range(word(args, 4)):
            one_row(word(args, 0) + 8 * n * r, word(args, 1) + 8 * n * r, n)
        set_word(word(args, 3), r, slot)


class Sample:
    """Binding, arrays and check of the template (a class, so that the builder does not take it for a part)."""

    @staticmethod
    def binding(add):
        import numba

        return Sample.twins(add) if numba.config.DISABLE_JIT else Sample.intrinsics(add)

    @staticmethod
    def twins(add):
        def word(address, i):
            return ctypes.c_int64.from_address(address + 8 * i).value

        def set_word(address, i, value):
            ctypes.c_int64.from_address(address + 8 * i).value = value

        def get(address):
            return ctypes.c_double.from_address(address).value

        def put(address, value):
            ctypes.c_double.from_address(address).value = value

        return {"word": word, "set_word": set_word, "get": get, "put": put, "ADD": float(add)}

    @staticmethod
    def intrinsics(add):
        from llvmlite import ir
        from numba import types
        from numba.extending import intrinsic

        i64, f64 = ir.IntType(64).as_pointer(), ir.DoubleType().as_pointer()

        def at(b, address, kind, i=0):
            return b.gep(b.inttoptr(address, kind), [i or ir.IntType(64)(0)])

        @intrinsic
        def word(typingctx, address, i):
            return types.int64(types.int64, types.int64), lambda c, b, s, a: b.load(at(b, a[0], i64, a[1]))

        @intrinsic
        def get(typingctx, address):
            return types.float64(types.int64), lambda c, b, s, a: b.load(at(b, a[0], f64))

        @intrinsic
        def set_word(typingctx, address, i, value):
            def code(c, b, s, a):
                b.store(a[2], at(b, a[0], i64, a[1]))
                return c.get_dummy_value()

            return types.void(types.int64, types.int64, types.int64), code

        @intrinsic
        def put(typingctx, address, value):
            def code(c, b, s, a):
                b.store(a[1], at(b, a[0], f64))
                return c.get_dummy_value()

            return types.void(types.int64, types.float64), code

        return {"word": word, "set_word": set_word, "get": get, "put": put, "ADD": float(add)}

    def __init__(self, add=1, rows=64, n=256, repeat=1):
        import numpy as np

        from numbapool.kernels import build

        self.kernel = build.kernel(sys.modules[__name__], lambda: self.binding(add), f"sample_add{add}")
        self.add, self.rows = add, rows
        self.x = np.random.default_rng(0).standard_normal((rows, n))
        self.y, self.slots = np.empty((rows, n)), np.empty(rows, np.int64)
        self.args = np.array([self.x.ctypes.data, self.y.ctypes.data, n, self.slots.ctypes.data, repeat])

    def run(self, bands=None):
        """One call; the number of bands, after everything was checked."""
        import numpy as np

        from numbapool import threads

        self.y.fill(np.nan)
        self.slots.fill(-1)
        if bands is None:
            bands = threads.bands(self.rows, 1 << 40)
        threads.launch(self.kernel, self.args, self.rows, bands)
        self.check(bands)
        return bands

    def repeat_for(self, seconds):
        """The value of `repeat` with which all rows take about so long on one thread."""
        import time

        from numbapool import threads

        start, self.args[4] = time.perf_counter(), 100
        threads.launch(self.kernel, self.args, self.rows, 1)
        return int(100 * seconds / (time.perf_counter() - start)) + 1

    def check(self, bands):
        import numpy as np

        assert np.array_equal(self.y, self.x + self.add)
        # whoever is free takes the next part, in a slot of his own
        assert ((self.slots >= 0) & (self.slots < bands)).all(), self.slots
