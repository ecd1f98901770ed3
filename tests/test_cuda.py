"""The CUDA backend without a GPU: errors, the simulator (in a process of its own), and the PTX of its kernels."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from on_device import OnDevice

import numbapool as nbp

HERE = Path(__file__).parent
INSTALLED = importlib.util.find_spec("numba_cuda") is not None
CAPABILITIES = ("7.5", "8.0", "9.0")

needs_numba_cuda = pytest.mark.skipif(
    not INSTALLED, reason='needs numba-cuda: pip install "numbapool[cuda12]"'
)


@needs_numba_cuda  # not for the simulator's sake: it takes minutes, and belongs to the run for CUDA
def test_simulator():
    """All of tests/cuda, where device memory is the host's."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTEST_ADDOPTS": ""}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--durations=0",
        "--durations-min=5",
        str(HERE / "cuda"),
    ]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=HERE.parent, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]


@pytest.fixture
def no_gpu():
    if INSTALLED:
        from numba import cuda

        if cuda.is_available():
            pytest.skip("there is a GPU")


def test_a_device_array_without_a_device(no_gpu):
    x = OnDevice(np.ones((4, 4), np.float32))
    kind, what = (RuntimeError, "no CUDA driver") if INSTALLED else (ImportError, r"numbapool\[cuda12\]")
    with pytest.raises(kind, match=f"x lies on a GPU.*{what}"):
        nbp.max_pool2d(x, 2)
    with pytest.raises(kind, match="where lies on a GPU"):
        nbp.max_pool2d(np.ones((4, 4)), 2, where=x)


@needs_numba_cuda
@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize(
    "dtypes",
    [
        "float32,float16,bfloat16",
        "float64,uint8",
        pytest.param("bool,int8,int16,int32,int64,uint16,uint32,uint64", marks=pytest.mark.slow),
    ],
)
def test_ptx(run_python, dtypes, capability):
    """Every kernel compiles; none keeps anything in local memory or calls what could be inlined; float64 only where it is asked for; vectors where promised."""
    run_python(
        """
        import re, sys
        from numbapool.cli import ptx
        dtypes, capability = sys.argv[1].split(','), tuple(map(int, sys.argv[2].split('.')))
        def element(name):
            return re.search('b?float[136][0-9]|u?int[0-9]+|bool', name).group()
        for kernel in ptx.usual(dtypes=dtypes):
            one = ptx.compiled(kernel, capability)
            assert not one.local, (kernel.name, 'local memory')
            raised = kernel.name.startswith('lp2.5')  # by NVIDIA's library, which does not inline all of it
            assert raised or not one.calls, (kernel.name, 'calls')
            widened = '_masked_' in kernel.name or 'float64' in kernel.name or element(kernel.name) not in ('float32', 'float16', 'bfloat16')
            if not widened:
                assert not one.doubles, (kernel.name, one.doubles, 'instructions on float64')
            if '_aligned' in kernel.name:
                assert one.vectors, (kernel.name, 'no vector load or store')
        """,
        dtypes,
        capability,
        timeout=900,
        warnings="ignore",
    )


@needs_numba_cuda
def test_ptx_command():
    command = [
        sys.executable,
        "-m",
        "numbapool",
        "ptx",
        "--cc",
        "8.0",
        "--list",
        "--ops",
        "max",
        "--dtypes",
        "uint8",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "max_slide_k2s2p0x" in done.stdout
    assert "kernels compiled to PTX for compute capability 8.0" in done.stdout
