"""Small planes and wide strides on machines with other permutations than this one's: in registers of AVX2, or through memory."""

import platform
from pathlib import Path

import pytest

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
    assert any('narrow' in k.name for k in build.kernels())
"""


@pytest.mark.parametrize(("target", "dtypes"), [("generic", "float32,uint8"), ("haswell", "float32")])
def test_other_machines(run_python, target, dtypes):
    if platform.machine() != "x86_64" or not CPU.exists():
        pytest.skip("the targets are x86-64 processors")
    if target == "haswell" and "avx2" not in CPU.read_text():
        pytest.skip("no AVX2 on this machine")
    features = "+avx2,+fma,+f16c,+bmi,+bmi2" if target == "haswell" else ""
    run_python(_CODE, target, dtypes, NUMBA_CPU_NAME=target, NUMBA_CPU_FEATURES=features)
