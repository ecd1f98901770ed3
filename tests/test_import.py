"""What importing and calling the package brings into the process."""

import numpy as np
import pytest

import numbapool as nbp

HEAVY = ("numba", "llvmlite", "scipy", "torch", "cupy", "jax", "tensorflow", "onnx", "skimage", "matplotlib", "pandas", "dask",
         "xarray", "rich", "PIL", "ml_dtypes", "openvino", "pytest", "hypothesis")  # fmt: skip


def test_import_brings_numpy_alone(run_python):
    run_python(
        f"""
        import sys, numpy
        before = set(sys.modules)
        import numbapool
        assert numbapool.__version__
        assert not (set({HEAVY!r}) & set(sys.modules)), set({HEAVY!r}) & set(sys.modules)
        new = {{m.partition('.')[0] for m in set(sys.modules) - before}}
        assert new <= {{'numbapool', 'numpy'}} | set(sys.stdlib_module_names), new
        assert not {{'multiprocessing', 'asyncio', 'unittest', 'sqlite3'}} & (set(sys.modules) - before)
        """
    )


def test_names_are_there_without_numba(run_python):
    run_python(
        """
        import sys, numbapool
        for name in numbapool.__all__:
            getattr(numbapool, name)
        for n in (1, 2, 3):
            for op in ('max', 'min', 'avg', 'sum'):
                assert callable(getattr(numbapool, f'{op}_pool{n}d'))
        assert set(numbapool.__all__) <= set(dir(numbapool))
        with numbapool.options(num_threads=1):
            pass
        assert 'numba' not in sys.modules
        from numbapool import *
        assert callable(max_pool2d) and callable(vjp)
        try:
            numbapool.nonsense
        except AttributeError as error:
            assert 'nonsense' in str(error)
        else:
            raise SystemExit('numbapool.nonsense exists')
        assert 'numba' not in sys.modules
        """
    )


def test_a_bad_call_needs_no_numba(run_python):
    run_python(
        """
        import sys, numpy, numbapool
        try:
            numbapool.max_pool2d(numpy.ones((4, 4)), 0)
        except ValueError:
            pass
        assert 'numba' not in sys.modules
        """
    )


def test_a_call_brings_numba_and_no_framework(run_python):
    run_python(
        """
        import sys, numpy as np, numbapool as nbp
        x = np.ones((2, 9, 40), np.float32)
        y, pullback = nbp.vjp(nbp.max_pool2d, x, 3, 2, 1)
        pullback(y)
        nbp.avg_pool2d(np.ones((4, 4), np.float16), 2)
        assert 'numba' in sys.modules
        wrong = {'torch', 'cupy', 'jax', 'tensorflow', 'matplotlib', 'skimage', 'pandas', 'rich', 'numba.cuda', 'numba_cuda',
                 'ml_dtypes'} & set(sys.modules)
        assert not wrong, wrong
        """,
    )


def test_no_cuda_is_needed(run_python):
    run_python(
        """
        import numpy as np, numbapool as nbp
        assert nbp.max_pool2d(np.ones((4, 4)), 2).shape == (2, 2)
        """,
        CUDA_VISIBLE_DEVICES="",
        NUMBA_DISABLE_CUDA="1",
    )


def test_bfloat16_needs_no_import_of_ours(run_python):
    pytest.importorskip("ml_dtypes")
    run_python(
        """
        import numpy as np, ml_dtypes, numbapool as nbp
        y = nbp.avg_pool2d(np.ones((4, 4), ml_dtypes.bfloat16), 2)
        assert y.dtype == ml_dtypes.bfloat16
        """
    )


def test_version_and_names():
    assert nbp.__version__.count(".") >= 2
    assert len(set(nbp.__all__)) == len(nbp.__all__)
    assert {"vjp", "options", "set_options", "show_config", "max_pool2d", "sum_pool3d"} <= set(nbp.__all__)
    assert [name for name in nbp.__all__ if name.startswith("_")] in ([], ["__version__"])


def test_functions_can_be_pickled_and_documented():
    import inspect
    import pickle

    for name in nbp.__all__:
        value = getattr(nbp, name)
        assert isinstance(value, str) or inspect.getdoc(value), name
        if callable(value) and "_pool" in name:
            assert pickle.loads(pickle.dumps(value)) is value
            doc = inspect.getdoc(value)
            for part in ("Parameters", "Returns", "Examples"):
                assert part in doc, (name, part)
            for parameter in inspect.signature(value).parameters:
                assert parameter in doc, (name, parameter)
    assert isinstance(nbp.max_pool2d(np.ones((4, 4)), 2), np.ndarray)
