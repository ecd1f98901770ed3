"""Small planes and wide strides: rows at the borders of their vectors, and other permutations than this machine's, in registers of AVX2 or through memory."""

import platform
from pathlib import Path

import numpy as np
import pytest
from cases import array, forget_plans, slow_but

import numbapool as nbp
from numbapool.kernels import primitives
from numbapool.testing import check, check_vjp

CPU = Path("/proc/cpuinfo")

_CODE = """
    import sys
    import numpy as np
    from cases import array
    from numbapool.kernels import build, primitives
    from numbapool.testing import check, check_vjp
    if sys.argv[1] == 'generic':  # where the kernels are not taken by themselves
        primitives.permutes = lambda size: True
    for dtype in sys.argv[2].split(','):
        x = array((2, 3, 7, 7), dtype, 'ties')
        for op in ('max', 'avg'):
            for window in ((2,), (3, 2, 1), (2, 1)):
                y = check(f'{op}_pool2d', x, *window)
                if dtype.startswith('float'):
                    check_vjp(f'{op}_pool2d', x, window, {}, array(y.shape, dtype, 'ties', seed=1))
            check(f'adaptive_{op}_pool2d', x, 5)
        check('max_pool2d', x, 3, 2, 1, return_indices=True)
        x = array((2, 9, 70), dtype, 'ties')
        check('max_pool2d', x, 3, return_indices=True)
        check('avg_pool2d', x, 4)
        check('max_pool2d', array((9, 41, 3), dtype, 'ties'), 2, axes=(0, 1))
        if dtype.startswith('float'):  # scattered: few taps, many, indices
            for window in ((5, 1, 2), (7, 1, 3), (17, 1, 8)):
                x = array((2, 23, 21), dtype, 'ties')
                check_vjp('max_pool2d', x, window, {}, array(x.shape, dtype, 'ties', seed=1))
    assert any('narrow' in k.name for k in build.kernels())
"""


@pytest.mark.parametrize(
    ("target", "dtypes"),
    slow_but(
        [("generic", "float32"), ("haswell", "float32")],
        [("generic", "float32"), ("generic", "uint8"), ("haswell", "float32")],
    ),
)
def test_other_machines(run_python, target, dtypes):
    if platform.machine() != "x86_64" or not CPU.exists():
        pytest.skip("the targets are x86-64 processors")
    if target == "haswell" and "avx2" not in CPU.read_text():
        pytest.skip("no AVX2 on this machine")
    features = "+avx2,+fma,+f16c,+bmi,+bmi2" if target == "haswell" else ""
    run_python(_CODE, target, dtypes, NUMBA_CPU_NAME=target, NUMBA_CPU_FEATURES=features)


def _windows(sizes):
    """kernel_size and options of windows over two axes of these sizes."""
    for kernel in ((1, 1), (2, 1), (1, 2), tuple(sizes)):
        if all(k <= n for k, n in zip(kernel, sizes, strict=True)):
            yield kernel, {}
            yield kernel, {"divisor_override": 5}
    yield 3, {"padding": 1}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_that_fill_their_vectors(dtype, native):
    """Rows of as many elements as one and two vectors have lanes, one less and one more; made of columns or of inner elements."""
    native(True)
    lanes = 32 // np.dtype(dtype).itemsize
    for n in (lanes - 1, lanes, lanes + 1, 2 * lanes - 1, 2 * lanes, 2 * lanes + 1):
        for shape, axes in (
            ((2, 3, n), (1, 2)),
            ((2, 3, 1, n), (1, 2)),
            ((2, 3, 2, n // 2), (1, 2)),
            ((1, 2, n), (0, 1)),
        ):
            x = array(shape, dtype, "ties")
            for kernel, options in _windows([shape[a] for a in axes]):
                for op in ("avg",) if "divisor_override" in options else ("avg", "max"):
                    given = {**options, "axes": axes, "stride": 1}
                    y = check(f"{op}_pool2d", x, kernel, **given)
                    check_vjp(f"{op}_pool2d", x, (kernel,), given, array(y.shape, dtype, "ties", seed=1))


_PLANES = """
    import itertools, sys
    import numpy as np
    from cases import array
    from guarded import guarded, guarded_allocations
    from numbapool.kernels import build
    from numbapool.testing import check, check_vjp

    def views(shape, dtype):
        n, h, w = shape
        for end in (True, False):
            whole = guarded(shape, dtype, end, 0)
            wide = guarded((n, h, w + 2), dtype, end, 0)
            high = guarded((n, 2 * h, w), dtype, end, 0)
            halves = guarded((n, 2, h, w), dtype, end, 0)
            yield from (whole, whole[::-1], whole[:, ::-1], wide[..., :w], wide[..., 2:], high[:, ::2], high[:, h:])
            yield from (halves[:, 1], halves.transpose(1, 0, 2, 3)[:, ::-1])
            yield np.broadcast_to(guarded((1, h, w), dtype, end, 0), shape)

    calls = [((2,), {}), ((3, 2, 1), {}), ((3, 1, 1), {}), ((2, 1), {}), ((3, 1), {}), ((3, 1, 1), {'return_indices': True}),
             ((2,), {'nan_policy': 'omit'}), ((3, 2), {'return_indices': True})]
    for n, (h, w), dtype in itertools.product((1, 2, 3, 5), ((7, 7), (4, 8), (5, 14), (3, 16)), sys.argv[1].split(',')):
        for view, (window, options) in itertools.product(views((n, h, w), dtype), calls):
            values = array(view.shape, dtype, 'ties')
            if view.flags.writeable:
                view[...] = values
            for op in ('max', 'avg'):
                if op == 'max' or 'return_indices' not in options:
                    with guarded_allocations(True):
                        y = check(f'{op}_pool2d', view, *window, **options)
        if dtype == 'float32':
            check_vjp('avg_pool2d', values, (3, 2, 1), {}, array((n, (h - 1) // 2 + 1, (w - 1) // 2 + 1), dtype))
    assert any('narrow' in k.name for k in build.kernels())
"""


permuting = pytest.mark.skipif(
    not all(map(primitives.permutes, (1, 4, 8))), reason="this machine permutes no lanes"
)


@permuting
@pytest.mark.parametrize("dtypes", slow_but(["float32"], ["float32", "float64,uint8", "float16"]))
def test_planes_beside_each_other(run_python, dtypes):
    """Odd and even numbers of planes, in any order of memory, between protected pages: what lies behind the last one is not read."""
    run_python(_PLANES, dtypes)


@permuting
def test_runs_of_rows(native, monkeypatch):
    """Rows of results are described by what they have in common, however many there are."""
    from numbapool.backends import narrow_plans
    from numbapool.kernels import narrow

    native(True)
    forget_plans()
    seen = []

    def spy(*args, **options):
        seen.append(args[4])
        return merging(*args, **options)

    merging = narrow_plans._merging
    monkeypatch.setattr(narrow_plans, "_merging", spy)
    for shape, window, lengths in (
        ((4, 7, 7), (2,), [3]),
        ((4, 14, 14), (3, 1, 1), [1, 12, 1]),
        ((4, 13, 13), (3, 2, 1), [1, 5, 1]),
        ((4, 14, 13), (3, 2, 1), [1, 6]),
    ):
        check("max_pool2d", array(shape), *window)
        assert seen.pop()[:, narrow.LENGTH].tolist() == lengths
    check("max_pool3d", array((4, 6, 6, 6)), 2)
    assert seen.pop()[:, narrow.LENGTH].tolist() == [3, 3, 3]
    for shape, window, lengths in (  # of the gradient, whose rows are as many apart as windows are
        ((4, 100, 8), (2,), [50, 50]),
        ((4, 14, 14), (3, 2, 1), [7, 6, 1]),
        ((4, 14, 13), (3, 1, 1), [1, 12, 1]),
    ):
        y = nbp.avg_pool2d(array(shape), *window)
        seen.clear()
        check_vjp("avg_pool2d", array(shape), window, {}, array(y.shape, seed=1))
        assert seen.pop()[:, narrow.LENGTH].tolist() == lengths


def test_gradients_keep_no_sign_of_zero():
    """However a gradient is gathered, it is a sum that begins with 0."""
    for shape, window in (((3,), 3), ((2, 40), 3), ((2, 40), 20), ((2, 9), 3)):
        x = array(shape, "float32")
        y, pullback = nbp.vjp(nbp.max_pool1d, x, window)
        assert not np.signbit(pullback(np.full_like(y, -0.0))).any()
