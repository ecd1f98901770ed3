"""What all tests share: the table of cases on the import path, subprocesses, and one hypothesis profile."""

import os
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # `from cases import …`, under any import mode

# The same examples in every run; HYPOTHESIS_PROFILE=explore looks for new ones.
_quiet = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": False}
settings.register_profile("suite", derandomize=True, max_examples=60, database=None, **_quiet)
settings.register_profile("explore", max_examples=2000, **_quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_addoption(parser):
    parser.addoption(
        "--slow", action="store_true", help="also run tests marked slow: every dtype through every kernel"
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: run with --slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def native(request):
    """Small planes and narrow windows have kernels of their own, and most tests are of such: half of the tests take them away, as machines that cannot permute and mask lanes do, so that the others are tried as well."""
    from cases import forget_plans

    from numbapool.backends import blocks

    def use(enabled):
        if blocks.NATIVE != enabled:
            blocks.NATIVE = enabled
            forget_plans()

    use(zlib.crc32(request.node.nodeid.encode()) % 2 == 0)
    return use


@pytest.fixture(scope="session")
def run_python():
    """Run source text in a fresh interpreter with this one's import path; fails on any other exit code."""

    def run(source, *args, code=0, timeout=300, warnings="error", **environment):
        path = os.pathsep.join(str(p) for p in sys.path if p)
        env = {**os.environ, "PYTHONPATH": path, "PYTHONFAULTHANDLER": "1", **environment}
        command = [sys.executable, "-W", warnings, "-c", textwrap.dedent(source), *map(str, args)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run
