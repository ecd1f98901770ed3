"""The comparison with the peers runs, counts right, and says so when a result is wrong."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from numbapool.testing import reference, reference_vjp

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bench():
    """The modules of the root package `benchmarks`."""
    sys.path.insert(0, str(ROOT))
    try:
        names = ("cases", "definition", "measure", "peers", "report", "windows")
        yield SimpleNamespace(**{name: importlib.import_module(f"benchmarks.{name}") for name in names})
    finally:
        sys.path.remove(str(ROOT))


def test_quick_run(tmp_path):
    """A case of every kind, both directions, every library that is installed."""
    files = tmp_path / "bench.json", tmp_path / "bench.md"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--repeat", "2"]
    command += [
        "--cases",
        r"3x3 s2 p1 \(1,64,112,112\)$|avg 3x3 s1 p1 \(32|max global .*7\)$|adaptive 6|lp|fractional|unpool|omit|where",
        "--json",
        files[0],
        "--markdown",
        files[1],
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "MISMATCH" not in done.stdout
    data = json.loads(files[0].read_text())
    assert {row["direction"] for row in data["rows"]} == {"forward", "backward"}
    for row in data["rows"]:
        assert "numbapool" in row["seconds"] and "x.copy()" in row["seconds"]
        assert all(len(samples) == 2 for samples in row["samples"].values())
    assert len(files[1].read_text().splitlines()) > 6


@pytest.mark.parametrize("flag", ["--list", "--help"])
def test_arguments(flag):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", flag], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert flag == "--help" or "max 3x3 s2 p1 (32,64,112,112) NHWC" in done.stdout.splitlines()


def test_no_case():
    command = [sys.executable, "-m", "benchmarks", "--cases", "nothing like it"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "--list" in done.stderr


def test_definition(bench):
    """The forward and backward that everything is checked against, on numbers that are known."""
    x = np.array([0, 1, 5, 2, 3, 0], np.float32).reshape(1, 1, 6)
    Sliding = bench.windows.Sliding
    case = bench.cases.Case("max", x.shape, Sliding(3))
    np.testing.assert_array_equal(bench.cases.forward(case, x), [[[5, 5, 5, 3]]])
    np.testing.assert_array_equal(bench.cases.backward(case, x, np.ones((1, 1, 4))), [[[0, 0, 3, 0, 1, 0]]])
    case = bench.cases.Case("avg", x.shape, Sliding(2, 2, 1))
    np.testing.assert_array_equal(bench.cases.forward(case, x), [[[0, 3, 2.5, 0]]])
    np.testing.assert_array_equal(bench.cases.backward(case, x, np.ones((1, 1, 4))), np.full((1, 1, 6), 0.5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_definition_is_the_reference(bench, dtype):
    """Every kind of window and every option: the definition here and the reference of the tests know nothing of each other."""
    kinds = {}
    for case in bench.cases.CASES:
        if case.is_float:
            kinds.setdefault((case.op, type(case.window), case.simplest, case.layout, case.option), case)
    small = [
        c for c in kinds.values() if not isinstance(c.window, bench.windows.Sliding) or c.window.kernel < 6
    ]
    for case in dict.fromkeys(replace(c, dtype=dtype).shrunk(1 << 9, 13) for c in small):
        data = bench.cases.Data(case)
        (x, *args), kw = data.call()
        y = bench.cases.forward(case, data.native)
        accepted = bench.cases.tolerance(case, data.native)
        fault = bench.measure.compare(data.result(reference(case.function, x, *args, **kw)), y, accepted)
        assert not fault, f"{case.name}: {fault}"
        dx = bench.cases.backward(case, data.native, data.dy)
        accepted = bench.cases.tolerance(case, data.dy, "backward")
        expected = data.logical(reference_vjp(case.function, x, args, kw, data.given(data.dy)))
        fault = bench.measure.compare(expected, dx, accepted)
        assert not fault, f"{case.name} backward: {fault}"


def test_layouts(bench):
    """Every layout holds the numbers that the peers get."""
    for layout in bench.cases.LAYOUTS:
        case = bench.cases.Case("max", (2, 3, 6, 8), bench.windows.Sliding(2, 2), layout=layout)
        data = bench.cases.Data(case)
        np.testing.assert_array_equal(data.logical(data.x), data.native)
        assert data.native.shape == case.input_shape and data.native.flags.c_contiguous
        assert bench.cases.forward(case, data.native).shape == case.output_shape == data.dy.shape


def test_counting(bench):
    """Ratios from pairs; prepared outputs against out=, new memory against the plain call."""
    case = bench.cases.Case("max", (1, 1, 8, 8), bench.windows.Sliding(2, 2))
    row = bench.measure.Row(case, "forward")
    row.samples = {
        "np.copyto": [1.0, 2.0],
        "x.copy()": [2.0, 4.0],
        "numbapool out=": [2.0, 4.0],
        "numbapool": [4.0, 8.0],
        "onnxruntime": [6.0, 12.0],
        "torch": [6.0, 12.0],
    }
    row.fresh = {name: name in ("x.copy()", "numbapool", "torch") for name in row.samples}
    data = bench.report.figures(row)
    assert (data["ratio"], data["closest"], data["strict"]) == (1.5, "torch", 1.5)
    assert (data["share_out"], data["share"]) == (0.5, 0.5)
    summary = bench.report.summary([row, row])["forward"]
    assert (summary["won"], summary["cases"]) == (2, 2)
    assert summary["mean_ratio"] == pytest.approx(1.5)
    row.samples["numbapool out= without omit"] = [1.0, 2.0]
    row.fresh["numbapool out= without omit"] = False
    assert bench.report.figures(row)["option"] == 2.0
    row.wrong = {"torch": "wrong"}
    assert bench.report.figures(row)["ratio"] == 3.0
    row.wrong = {"numbapool": "wrong"}
    assert bench.report.figures(row)["ratio"] == 0.0
    assert "MISMATCH" in bench.report.block(row)


def test_wrong_result_is_found(bench):
    case = bench.cases.Case("max", (1, 2, 8, 8), bench.windows.Sliding(2, 2))
    data = bench.cases.Data(case)
    right = bench.cases.forward(case, data.native)
    wrong = right.copy()
    wrong[0, 1, 2, 3] += 1
    row = bench.measure.Row(case, "forward")
    contenders = [bench.peers.Contender("good", right.copy), bench.peers.Contender("bad", wrong.copy)]
    able = bench.measure.check(row, data, contenders)
    assert [c.name for c in able] == ["good", "bad"]
    assert list(row.wrong) == ["bad"] and "(0, 1, 2, 3)" in row.wrong["bad"]


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_memory(tmp_path):
    file = tmp_path / "memory.json"
    command = [sys.executable, "-m", "benchmarks", "--memory", "--cases", r"max 3x3 s2 p1 \(1,64,112,112\)$"]
    done = subprocess.run([*command, "--json", file], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert len(json.loads(file.read_text())["memory"]) == 2


@pytest.mark.slow
def test_startup(tmp_path):
    file = tmp_path / "startup.json"
    command = [sys.executable, "-m", "benchmarks", "--startup", "--repeat", "1", "--json", file]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode in (0, 1), (
        f"{done.stdout}\n{done.stderr}"
    )  # a single run on a busy machine proves no limit
    assert len(json.loads(file.read_text())["startup"]) == 5
