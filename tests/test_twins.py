"""The kernels' templates run by the Python interpreter, on their plain-Python twins: NUMBA_DISABLE_JIT=1."""

import pytest
from cases import OPS

_CODE = """
    import sys
    import numpy as np
    from cases import TINY, array
    from numbapool.testing import check, check_vjp, reference
    op, dtypes = sys.argv[1], sys.argv[2].split(',')
    for case in TINY:
        fn, options = case.function(op), case.options(op)
        for dtype in dtypes:
            print(case.id, dtype, flush=True)
            x = array(case.shape, dtype, 'ties')
            if op in ('max', 'min'):
                check(fn, x, **options, return_indices=True)
            y = check(fn, x, **options)
            if dtype.startswith(('float', 'bfloat')):
                check_vjp(fn, x, (), options, array(y.shape, dtype, 'ties', seed=1))
    import numba
    assert numba.config.DISABLE_JIT
"""


@pytest.mark.parametrize("dtypes", ["float32,uint8", "float64,int16", "float16,bfloat16", "bool,int64"])
@pytest.mark.parametrize("op", OPS)
def test_twins(run_python, op, dtypes):
    run_python(_CODE, op, dtypes, NUMBA_DISABLE_JIT="1", NUMBAPOOL_NUM_THREADS="1")


def test_special_values_on_twins(run_python):
    run_python(
        """
        import numpy as np
        from numbapool.testing import check
        x = np.zeros((4, 19), np.float32)
        x[1, 3], x[2, 9], x[0, 17], x[3] = np.nan, np.inf, -np.inf, -0.0
        for fn in ('max_pool2d', 'min_pool2d'):
            check(fn, x, 2, 1, return_indices=True)
            check(fn, x, 3, 2, 1)
        for fn in ('avg_pool2d', 'sum_pool2d'):
            check(fn, x, 3, 1, 1)
        """,
        NUMBA_DISABLE_JIT="1",
    )


def test_masks_weights_and_norms_on_twins(run_python):
    run_python(
        """
        import numpy as np
        from cases import array
        from numbapool.backends import blocks
        from numbapool.kernels import build
        from numbapool.testing import check, check_vjp
        x = array((2, 4, 19), 'float32')
        x[0, 1, 3:7] = np.nan
        there, weights = np.arange(19) % 3 > 0, np.arange(4).reshape(4, 1) % 3
        assert blocks.NATIVE
        for beside in ({'where': np.tile(there, (4, 1))}, {'where': np.tile(there, (2, 4, 1)), 'weights': np.tile(weights, 19)}):
            for fn in ('avg_pool2d', 'sum_pool2d', 'max_pool2d')[: 3 - len(beside) // 2]:
                check(fn, x, 3, 2, 1, **beside)
        assert any('fused' in k.name and 'where' in k.name for k in build.kernels())
        dy = array((2, 2, 10), seed=1)
        for made in ({'where': there}, {'nan_policy': 'omit'}, {'weights': weights}, {'where': there, 'nan_policy': 'omit'}):
            for fn in ('avg_pool2d', 'sum_pool2d'):
                check(fn, x, 3, 2, 1, **made)
                check_vjp(fn, x, (3, 2, 1), made, dy)
        for p in (1, 1.5, 2, 3):
            check('lp_pool2d', x, p, 3, 2, padding=1, nan_policy='omit')
            check_vjp('lp_pool2d', x, (p, 3, 2), {'padding': 1, 'nan_policy': 'omit'}, dy)
        check('avg_pool1d', x, 34, 1, 17)
        check('global_avg_pool', x, axes=(0, 1))
        """,
        NUMBA_DISABLE_JIT="1",
        NUMBAPOOL_NUM_THREADS="1",
    )
