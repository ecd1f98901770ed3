"""Arrays between two protected pages, flush against one of them: a byte too far ends the process."""

import ctypes
import math
import mmap
import os
from contextlib import contextmanager

import numpy as np

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(shape, dtype, end, fill=None):
    """A new array that ends at (or, with ``end=False``, begins at) a page that may be neither read nor written."""
    shape = (shape,) if np.ndim(shape) == 0 else tuple(int(s) for s in shape)
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if not nbytes:
        return np.zeros(shape, dtype)
    pages = -(-nbytes // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (start, start + (pages + 1) * PAGE):
        if _libc.mprotect(page, PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = PAGE + (pages * PAGE - nbytes if end else 0)
    array = np.frombuffer(memory, np.uint8, nbytes, offset).view(dtype).reshape(shape)
    if fill is not None:
        array[...] = fill
    return array


def moved(array, end):
    """A copy of the array between protected pages, its axes in the same order of memory."""
    order = sorted(range(array.ndim), key=lambda a: -abs(array.strides[a]))
    there = guarded([array.shape[a] for a in order], array.dtype, end).transpose(np.argsort(order))
    there[...] = array
    return there


@contextmanager
def guarded_allocations(end):
    """Within it, numpy.empty gives guarded arrays: new results, gradients, saved offsets and scratch memory."""
    made, empty = [0], np.empty

    def guarded_empty(shape, dtype=float, order="C", **_):
        made[0] += 1
        shape = (shape,) if np.ndim(shape) == 0 else tuple(shape)
        return guarded(shape[::-1], dtype, end).T if order == "F" else guarded(shape, dtype, end)

    np.empty = guarded_empty
    try:
        yield made
    finally:
        np.empty = empty


def exercise_beside(case, end):
    """Masks, weights and norms, forward and backward, on memory that is guarded throughout."""
    from cases import array

    import numbapool as nbp

    plain, options = array(case.shape), case.options("avg")
    options.pop("divisor_override", None)
    norm = {k: v for k, v in options.items() if k != "count_include_pad"} | {"norm_type": 2}
    there, weights = array(case.shape, "bool", seed=3), array(case.shape, "uint8", seed=4)
    for name, given, beside in (
        (case.function("avg"), options, {"where": there}),
        (case.function("avg"), options, {"weights": weights}),
        (f"lp_pool{case.n}d", norm, {"where": there}),
    ):
        os.write(1, f"{name} {sorted(beside)} end={end} {case.id}\n".encode())
        fn = getattr(nbp, name)
        want, pullback = nbp.vjp(fn, plain, **given, **beside)
        dy = array(want.shape, seed=1)
        back = pullback(dy)
        x, moved_dy = moved(plain, end), moved(dy, end)
        beside = {key: moved(value, end) for key, value in beside.items()}
        with guarded_allocations(end):
            got, pullback = nbp.vjp(fn, x, **given, **beside)
            got_back = pullback(moved_dy)
        assert got.tobytes() == want.tobytes() and got_back.tobytes() == back.tobytes()


def exercise(case, dtype, end, ops=("max", "min", "avg", "sum")):
    """Operations, forward and backward, on memory that is guarded throughout."""
    from cases import array

    import numbapool as nbp

    for op in ops:
        os.write(1, f"{op} {dtype} end={end} {case.id}\n".encode())
        fn, options = getattr(nbp, case.function(op)), case.options(op)
        plain = array(case.shape, dtype, "ties")
        want = fn(plain, **options)  # compiled here, with the real numpy.empty
        x, out = moved(plain, end), moved(want, end)
        out[...] = 0
        with guarded_allocations(end) as made:
            fresh = fn(x, **options)
            fn(x, **options, out=out)
        assert made[0], "results do not come from numpy.empty: this test sees nothing"
        assert fresh.tobytes() == out.tobytes() == want.tobytes()
        if op in ("max", "min"):
            want, places = fn(plain, **options, return_indices=True)
            with guarded_allocations(end):
                got = fn(x, **options, return_indices=True, out=(out, moved(places, end)))
            assert got[0].tobytes() == want.tobytes()
            assert got[1].tobytes() == places.tobytes()
        if plain.dtype.kind != "u":
            dy = array(want.shape, dtype, "ties", seed=1)
            want = nbp.vjp(fn, plain, **options)[1](dy)
            with guarded_allocations(end):
                got = nbp.vjp(fn, x, **options)[1](moved(dy, end))
            assert got.tobytes() == want.tobytes()
        assert x.tobytes() == plain.tobytes()
