"""What is installed, and that what the documents show is true."""

import doctest
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import numbapool as nbp

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


def test_runtime_dependencies_are_numpy_and_numba():
    assert sorted(re.match(r"[\w-]+", d)[0] for d in PROJECT["dependencies"]) == ["numba", "numpy"]
    assert {"cuda12", "cuda13", "demo", "test", "bench", "docs"} <= set(PROJECT["optional-dependencies"])


def test_installed_metadata():
    try:
        metadata = importlib.metadata.metadata("numbapool")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("numbapool is on the path but not installed")
    assert metadata["Version"] == nbp.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="numbapool")
    assert script.load() is importlib.import_module("numbapool.cli").main


def test_typed():
    assert (Path(nbp.__file__).parent / "py.typed").exists()


def test_version_is_a_literal():
    """setuptools reads it without importing NumPy or Numba."""
    assert re.search(r'^__version__ = "\d+\.\d+\.\d+[\w.]*"$', Path(nbp.__file__).read_text(), re.M)


@pytest.mark.parametrize("page", PAGES)
def test_examples(page):
    """The ``>>>`` blocks of one page, in one namespace."""
    text = (ROOT / page).read_text()
    source = "\n".join(re.findall(r"^```(?:pycon|python)\n(.*?)^```", text, re.M | re.S))
    test = doctest.DocTestParser().get_doctest(source, {}, page, page, 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    out = []
    runner.run(test, out=out.append)
    assert not runner.failures, "".join(out)


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_between_documents(page):
    """Relative links of the Markdown files lead to files of the checkout."""
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{page} links to {target}"


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_says_what_is_wrong_with_an_old_python(target, tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.10 && exit\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(["make", "-C", ROOT, target, f"PYTHON={old}", f"VENV={tmp_path}/venv"], text=True,
                          capture_output=True, env={"PATH": os.environ["PATH"]})  # fmt: skip
    assert done.returncode and "needs Python 3.11 or newer" in done.stderr and "3.8.10" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_lazy_command_line(run_python):
    """`python -m numbapool --help` imports no compiler."""
    run_python("""
        import sys
        import numbapool.cli
        heavy = {"numba", "llvmlite", "skimage", "matplotlib", "rich", "PIL"} & set(sys.modules)
        assert not heavy, heavy
    """)


def test_python_is_supported():
    assert sys.version_info >= (3, 11)
    assert PROJECT["requires-python"] == ">=3.11"
