"""Every benchmark body runs once, for every combination of parameters, on the smallest arrays: so they do not rot."""

import importlib
import importlib.util
import json
import pkgutil
import sys
from itertools import product
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "asv_bench"
PREFIXES = ("time_", "timeraw_", "peakmem_", "mem_", "track_")


def _load():
    """The benchmarks as a package of another name: `benchmarks` is taken by the comparison with the peers."""
    path = FOLDER / "benchmarks" / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        "asv_benchmarks", path, submodule_search_locations=[str(path.parent)]
    )
    package = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    package.TINY = True
    for info in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"asv_benchmarks.{info.name}")


def _classes():
    for module in _load():
        for cls in vars(module).values():
            if isinstance(cls, type) and cls.__module__ == module.__name__:
                yield pytest.param(cls, id=f"{module.__name__.rpartition('.')[2]}.{cls.__name__}")


def _bodies(cls):
    return [name for name in dir(cls) if name.startswith(PREFIXES)]


@pytest.mark.parametrize("cls", list(_classes()))
def test_bodies_run(cls, run_python):
    params = getattr(cls, "params", ())
    assert _bodies(cls), "a class without benchmarks"
    assert len(params) == len(getattr(cls, "param_names", ()))
    for values in product(*params):
        for name in _bodies(cls):
            bench = cls()
            if hasattr(bench, "setup"):
                bench.setup(*values)
            result = getattr(bench, name)(*values)
            if name.startswith("timeraw_"):
                code, setup = result if isinstance(result, tuple) else (result, "")
                run_python(f"{setup}\n{code}")
            if hasattr(bench, "teardown"):
                bench.teardown(*values)


def test_configuration():
    conf = json.loads((FOLDER / "asv.conf.json").read_text())
    assert (FOLDER / conf["benchmark_dir"] / "__init__.py").exists()
    assert (FOLDER / conf["repo"] / "pyproject.toml").exists()
    assert all(conf[key].startswith(".asv/") for key in ("env_dir", "results_dir", "html_dir"))
