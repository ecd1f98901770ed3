"""No byte outside the arrays is read or written, inputs stay as they were, nothing large is allocated in secret."""

import sys
import tracemalloc

import numpy as np
import pytest
from cases import CHANNELS_LAST, KERNEL_PATHS, OPS, SMALL_PLANES, Case, array, same_bits, slow_but

import numbapool as nbp

# ------------------------------------------------------------------------------------------ protected pages

_WIDTHS = """
    import os, sys
    import numpy as np
    from cases import Case
    from guarded import exercise
    dtype, ends = sys.argv[1], (True, False)
    for width in range(1, 71):
        for kernel, stride, padding in ((2, 2, 0), (3, 1, 1), (3, 2, 1), (5, 3, 2), ((2, 13), 1, (0, 6))):
            case = Case(2, (2, 5, width), kernel, stride, padding, ceil=True)
            if kernel == 2 and width < 2:
                continue
            for end in (True, False):
                exercise(case, dtype, end, (('max', 'avg'), ('min', 'sum'))[(width + end) % 2])
"""
_TABLES = """
    import sys
    import cases
    from guarded import exercise
    table = cases.KERNEL_PATHS + cases.SMALL_PLANES + cases.CHANNELS_LAST + cases.OTHER_AXES
    for case in cases.ALL if sys.argv[1] == 'float32' else table:
        for end in (True, False):
            exercise(case, sys.argv[1], end)
"""
_BESIDE = """
    import cases
    from cases import Case
    from guarded import exercise_beside
    widths = [Case(2, (2, 5, n), 3, s, 1, ceil=True) for n in (1, 5, 15, 16, 17, 33, 48) for s in (1, 2)]
    for case in widths + cases.SMALL_PLANES[::2] + cases.CHANNELS_LAST[::2] + cases.KERNEL_PATHS[:12]:
        for end in (True, False):
            exercise_beside(case, end)
"""
_VIEWS = """
    import os, sys
    import numpy as np
    import numbapool as nbp
    from cases import OPS, array
    from guarded import guarded
    dtype = sys.argv[1]
    for op in OPS:
        fn = getattr(nbp, f'{op}_pool2d')
        for width in range(1, 41):
            for args in ((1, 1), (3, 1, 1), (3, 2, 1)):
                os.write(1, f'{op} {width} {args}\\n'.encode())
                values = array((2, 5, width), dtype, 'ties')
                want = fn(values, *args)
                views = []
                steps = (np.s_[..., 1::2], np.s_[..., ::2], np.s_[..., ::-2], np.s_[..., -2::-2])
                for end, pick in zip((True, False, True, False), steps):
                    views.append((guarded((2, 5, width * 2), dtype, end, 9)[pick],
                                  guarded((*want.shape[:2], want.shape[2] * 2), want.dtype, end, 9)[pick]))
                for end, pick in ((True, slice(3, None)), (False, slice(-3))):
                    views.append((guarded((2, 5, width + 3), dtype, end, 9)[..., pick],
                                  guarded((*want.shape[:2], want.shape[2] + 3), want.dtype, end, 9)[..., pick]))
                for x, out in views:
                    x[...] = values
                    assert fn(x, *args, out=out).tobytes() == want.tobytes()
                    if values.dtype.kind == 'f':
                        pullback = nbp.vjp(fn, x, *args)[1]
                        out[...] = 1
                        assert pullback(out).tobytes() == pullback(np.ones_like(want)).tobytes()
"""

needs_mprotect = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="uses mmap and mprotect of Linux"
)


@needs_mprotect
def test_the_guard_guards(run_python):
    for end, index in ((True, "a.size"), (False, "-1")):
        run_python(
            f"""
            import ctypes
            from guarded import guarded
            a = guarded((3, 5), 'f4', {end}, 1)
            assert a.sum() == 15
            at = a.__array_interface__['data'][0] + 4 * ({index})
            ctypes.c_float.from_address(at).value
            """,
            code=-11,
        )


@needs_mprotect
@pytest.mark.parametrize("dtype", slow_but(["uint8", "float32"], ["uint8", "float16", "float32", "float64"]))
@pytest.mark.parametrize("source", ["_WIDTHS", "_TABLES", "_VIEWS"])
def test_protected_pages(run_python, source, dtype):
    for threads in (1, 2) if source == "_TABLES" and dtype == "float32" else (1,):
        run_python(globals()[source], dtype, NUMBAPOOL_NUM_THREADS=str(threads))


@needs_mprotect
def test_protected_pages_beside_masks_weights_and_norms(run_python):
    run_python(_BESIDE)


# ------------------------------------------------------------------------------------------------- canaries


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("op", OPS)
def test_canaries(op, dtype):
    """What lies around x and out is as it was, and so is x."""
    for case in [
        *KERNEL_PATHS,
        *SMALL_PLANES,
        *CHANNELS_LAST,
        *(Case(2, (2, 5, w), 3, 2, 1) for w in range(1, 71)),
    ]:
        fn, options = getattr(nbp, case.function(op)), case.options(op)
        plain = array(case.shape, dtype, "ties")
        want = fn(plain, **options)
        around_x, x = _between_canaries(plain)
        around_y, y = _between_canaries(want)
        before = around_x.copy(), around_y.copy()
        y[...] = 0
        fn(x, **options, out=y)
        assert around_x.tobytes() == before[0].tobytes()
        assert around_y.tobytes() == before[1].tobytes()


def _between_canaries(values, room=256):
    memory = np.full(values.nbytes + 2 * room, 0xA5, np.uint8)
    inner = memory[room : room + values.nbytes].view(values.dtype).reshape(values.shape)
    inner[...] = values
    return memory, inner


def test_inputs_stay_as_they_were():
    x = array((2, 9, 40), kind="ties")
    dy = array((2, 5, 20), seed=1)
    x_before, dy_before = x.copy(), dy.copy()
    for op in OPS:
        _, pullback = nbp.vjp(getattr(nbp, f"{op}_pool2d"), x, 3, 2, 1)
        pullback(dy)
        getattr(nbp, f"{op}_pool2d")(x, 3, 2, 1)
    assert same_bits(x, x_before)
    assert same_bits(dy, dy_before)


# ------------------------------------------------------------------------------------------------- peak memory

_PEAK = """
    import sys
    import numpy as np
    import numbapool as nbp
    from cases import forget_plans
    from numbapool.backends import divide, plans

    def peak():
        with open('/proc/self/status') as file:
            status = file.read()
        return {k: int(status.split(k + ':')[1].split()[0]) << 10 for k in ('VmHWM', 'VmRSS')}

    def measured(f):
        with open('/proc/self/clear_refs', 'w') as file:
            file.write('5')
        before = peak()['VmRSS']
        result = f()
        return result, peak()['VmHWM'] - before

    layout, dtype, op, n, shape, args, kwargs = eval(sys.argv[1])
    fn = getattr(nbp, f'{op}_pool{n}d')

    def make(shape):
        if layout == 'step':
            return np.ones((*shape[:-1], shape[-1] * 2), dtype)[..., ::2]
        if layout == 'swapped':
            return np.ones(shape, np.dtype(dtype).newbyteorder())
        return np.ones(shape, dtype, order='F' if layout == 'F' else 'C')

    def given(x):
        made = {'where': np.ones(x.shape, bool), True: np.ones(x.shape, x.dtype), 'shared': np.ones(x.shape[1:], x.dtype)}
        return {k: made[v] if k == 'weights' else made.get(k, v) for k, v in kwargs.items()}

    norm = op == 'lp'
    taps = int(np.prod(np.broadcast_to(args[norm], n)))
    limit = 32 << 20
    small = make((2, *[64] * (len(shape) - 1)) if 'axes' not in kwargs else (1, 64, 64, shape[-1]))
    small_args = args
    if taps >= 10**4:  # other kernels than for small windows
        small, rest = make((2, 50_000)), (min(n, 10_000) for n in args[norm + 1 :])
        small_args = *args[:norm], 20_000, *rest
    elif taps >= 10**3:
        small = make(shape)
    floating = small.dtype.kind == 'f'
    kept = plans.MOST_ROOM, divide.LONGEST
    for cut in (False, True) if taps > 10**5 else (False,):  # as windows are that a kernel has no memory for
        if cut:
            plans.MOST_ROOM, divide.LONGEST = 0, 1000
            forget_plans()
        if floating:
            y, pullback = nbp.vjp(fn, small, *small_args, **given(small))
            pullback(np.ones_like(y))
        fn(small, *small_args, **given(small))
    plans.MOST_ROOM, divide.LONGEST = kept
    forget_plans()
    del small

    x = make(shape)
    kwargs = given(x)
    y, grown = measured(lambda: fn(x, *args, **kwargs))
    print('forward', grown >> 20, y.nbytes >> 20)
    assert grown <= y.nbytes + limit, (grown, y.nbytes)
    _, grown = measured(lambda: fn(x, *args, **kwargs, out=y))
    print('forward into out', grown >> 20)
    assert grown <= limit, grown
    if floating:
        del y
        (y, pullback), grown = measured(lambda: nbp.vjp(fn, x, *args, **kwargs))
        saved = y.size * (1 if taps <= 254 else 8) if op in ('max', 'min') else 0
        saved += y.nbytes if op == 'avg' and 'where' in kwargs else 0  # how many were there
        saved += 16 * y.size if 'weights' in kwargs else 0  # means and sums of weights before they were rounded
        print('vjp', grown >> 20, (y.nbytes + saved) >> 20)
        assert grown <= y.nbytes + saved + limit, (grown, y.nbytes, saved)
        y[...] = 1
        dx, grown = measured(lambda: pullback(y))
        made = sum(d.nbytes for d in (dx if isinstance(dx, tuple) else (dx,)))
        print('pullback', grown >> 20, made >> 20)
        assert grown <= made + limit, (grown, made)
"""
_LARGE = [  # about 128 MB each: a copy of x would show
    ("C", "f4", "max", 2, (16, 64, 180, 180), (3, 2, 1), {}),
    ("C", "f4", "avg", 2, (16, 64, 180, 180), (3, 2, 1), {}),
    ("C", "f4", "max", 2, (16, 180, 180, 64), (3, 2, 1), {"axes": (1, 2)}),
    ("C", "f4", "avg", 2, (16, 180, 180, 64), (2,), {"axes": (1, 2)}),
    ("F", "f4", "max", 2, (16, 64, 180, 180), (3, 2, 1), {}),
    ("step", "f4", "max", 2, (16, 64, 180, 180), (3, 2, 1), {}),
    ("swapped", "f4", "max", 2, (16, 64, 180, 180), (2,), {}),
    ("C", "f4", "max", 2, (5700, 5700), (2,), {}),
    ("C", "f4", "max", 2, (2, 4000, 4000), (31, 31), {}),
    ("C", "f4", "avg", 2, (2, 4000, 4000), (31, 31), {}),
    ("C", "f2", "avg", 2, (16, 64, 256, 256), (3, 2, 1), {}),
    ("C", "u1", "max", 2, (16, 128, 256, 256), (3, 2, 1), {}),
    ("C", "u1", "sum", 2, (16, 128, 256, 256), (4,), {}),
    ("C", "f8", "sum", 1, (64, 250000), (5, 5), {}),
    ("C", "f4", "max", 3, (4, 16, 64, 90, 90), (2,), {}),
    ("C", "f4", "max", 1, (30_000_000,), (2,), {}),
    ("C", "f4", "avg", 1, (30_000_000,), (3, 2, 1), {}),
    ("C", "f4", "avg", 1, (30_000_000,), (3, 1, 1), {"count_include_pad": False}),
    ("C", "f4", "avg", 1, (30_000_000,), (2,), {"where": True}),
    ("C", "f4", "max", 1, (2, 16_000_000), (6_000_000, 3_000_000), {}),
    ("C", "f4", "avg", 1, (2, 16_000_000), (6_000_000, 3_000_000), {}),
    ("C", "f4", "avg", 1, (2, 16_000_000), (6_000_000, 3_000_000), {"where": True}),
    ("C", "i4", "avg", 1, (2, 16_000_000), (6_000_000, 3_000_000), {"where": True}),
    ("C", "i4", "max", 1, (8_000_000,), (2000, 50, 0, 300), {}),
    ("C", "f4", "max", 1, (26667, 300), (2000, 1), {"axes": (0,)}),
    ("C", "f4", "avg", 1, (26667, 300), (2000, 1), {"axes": (0,)}),
    ("C", "f4", "max", 1, (8_000_000,), (100_000, 1), {}),
    ("C", "f4", "avg", 1, (8_000_000,), (100_000, 1), {}),
    ("C", "f4", "max", 1, (8_000_000,), (1_000_000, 1), {}),
    ("C", "f4", "sum", 1, (8_000_000,), (1_000_000, 1), {}),
    ("C", "f4", "avg", 1, (8_000_000,), (3_000_000, 7, 1_000_000), {"count_include_pad": False}),
    ("C", "f4", "avg", 1, (8_000_000,), (1_000_000, 1), {"where": True}),
    ("C", "f4", "max", 1, (8_000_000,), (1_000_000, 1), {"where": True}),
    ("C", "f4", "avg", 1, (8_000_000,), (1_000_000, 1), {"weights": True}),
    ("C", "f4", "lp", 1, (8_000_000,), (2, 1_000_000, 1), {}),
    ("C", "f4", "avg", 2, (4000, 4000), (2,), {"weights": True}),
    ("C", "f4", "avg", 1, (16_000_000,), (3, 2, 1), {"weights": True}),
    ("C", "f4", "avg", 2, (3, 4000, 3000), (2,), {"weights": "shared"}),
    ("C", "f4", "lp", 1, (20_000_000,), (2, 2), {}),
    ("C", "f4", "lp", 1, (2, 16_000_000), (3, 16_000_000), {"where": True}),
]


@needs_mprotect
@pytest.mark.parametrize("call", _LARGE, ids=lambda c: "-".join(map(str, c)).replace(" ", ""))
def test_peak_memory(run_python, call):
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pytest.skip("peak memory cannot be reset here")
    try:
        run_python(_PEAK, repr(call))
    except AssertionError:  # kernels were compiled, which takes memory as well: now they are on the disk
        run_python(_PEAK, repr(call))


@pytest.mark.parametrize("given", [(60, 40, 50, 60), (60, 1, 50, 1), (40, 1, 60)])
def test_gradient_of_weights_beside_many_axes(given):
    """Axes that were merged are told apart without copies; what was broadcast is added up in float64."""
    x, weights = array((60, 40, 50, 60), "float32"), np.abs(array(given, "float32", "distinct")) + 1
    _, pullback = nbp.vjp(nbp.global_avg_pool, x, axes=(0, 1, 2, 3), weights=weights)
    dy = np.ones((1, 1, 1, 1), np.float32)
    dx, dw = pullback(dy)
    w = np.broadcast_to(weights, x.shape).astype(float)
    mean = (w * x).sum() / w.sum()
    slope = (x - mean) / w.sum()
    axes = tuple(a for a, n in enumerate((1,) * (4 - len(given)) + given) if n == 1)
    assert np.allclose(dw, slope.sum(axes, keepdims=True).reshape(given), rtol=1e-4, atol=1e-9)
    assert np.allclose(dx, w / w.sum(), rtol=1e-5)
    made = dx.nbytes + dw.nbytes
    tracemalloc.start()
    try:
        pullback(dy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= made + (8 << 20) + (0 if dw.size == x.size else 2 * x.nbytes)


# ------------------------------------------------------------------------------------- beyond 2³¹ elements


def _reserve(nbytes):
    """Zeros that take no memory until they are written."""
    import mmap

    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    try:
        return np.frombuffer(mmap.mmap(-1, nbytes, flags=flags), np.uint8)
    except OSError:
        pytest.skip("no address space to reserve")


@needs_mprotect
@pytest.mark.parametrize("op", OPS)
def test_offsets_beyond_32_bits(op):
    """A view whose strides are gigabytes: its offsets do not fit 32 bits, and it touches few pages."""
    gap = 2**31 + 3 * 4096
    for axis in range(3):
        shape, strides = (3, 4, 40), [4096 * 40, 4096, 1]
        strides[axis] = gap if axis < 2 else 2**27 + 64
        memory = _reserve(sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 64)
        x = np.lib.stride_tricks.as_strided(memory, shape, strides)
        values = array(shape, "uint8")
        x[...] = values
        for args in ((2,), (3, 1, 1)):
            for axes in ((1, 2), (0, 1)):
                got = getattr(nbp, f"{op}_pool2d")(x, *args, axes=axes)
                np.testing.assert_array_equal(got, getattr(nbp, f"{op}_pool2d")(values, *args, axes=axes))


@needs_mprotect
@pytest.mark.parametrize("window", [4, 40])
def test_indices_beyond_32_bits(window):
    """Planes of more than 2³¹ elements, of which few are looked at."""
    length, stride = 2**31 + 2**24, 2**20
    memory = _reserve(length)
    memory[2**31 + 3] = 9
    at = 2**31 // stride
    for view, args, axes in [
        (memory, (window, stride), (-1,)),
        (memory.reshape(-1, 2**12), ((window, 1), (2**8, 2**12)), (-2, -1)),
        (memory.reshape(-1, 2**20), ((1, window), (1, 2**20)), (-2, -1)),
    ]:
        n = view.ndim
        y, index = getattr(nbp, f"max_pool{n}d")(view, *args, axes=axes, return_indices=True)
        if view.shape[-1] == 2**12:
            assert index.reshape(-1)[at] == 2**31
            continue
        assert y.reshape(-1)[at] == 9
        assert index.reshape(-1)[at] == 2**31 + 3
        assert index.reshape(-1)[at - 1] == 2**31 - stride
        total = getattr(nbp, f"sum_pool{n}d")(view, *args, axes=axes)
        assert total.reshape(-1)[at] == total.sum() == 9
