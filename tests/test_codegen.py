"""The machine code of kernels: packed instructions, no scalar arithmetic and no call in the loops that do the work."""

import json
import os
import re
import subprocess
import sys

import pytest
from cases import slow_but

SCRIPT = """
import json, sys
from dataclasses import replace
from numbapool import reductions
from numbapool.backends.gradient_plans import Factors
from numbapool.kernels import bind, bind_gradients, build, fused, large, narrow, phases, rows, runs, spread

def kernel(name, dtype, form, key):
    if form is spread:
        types = reductions.AVG.types(dtype, dtype, False)
        factors = Factors(reductions.Elements(where=True), sums=dtype) if name == "where" else Factors()
        return build.assembly(form, bind_gradients.summing(types, factors), "test")
    if form in (phases, runs):
        return build.assembly(form, bind_gradients.phases(reductions.AVG.types(dtype, dtype, False)), "test")
    rounded = name in ("ROUNDED", "COUNTED")
    reduction = reductions.AVG if rounded else getattr(reductions, name)
    small = {"uint8": "int16", "int16": "int32"}.get(dtype, "") if rounded else ""
    types = reduction.types(dtype, dtype if rounded else None, form is large, False, small)
    if name == "COUNTED":
        types = replace(types, end="int16")
    names = {narrow: bind.narrow, fused: bind.fused}.get(form, bind.forward)
    return build.assembly(form, names(reduction, types, key), "test")

modules = {m.__name__.split(".")[-1]: m for m in (rows, large, fused, spread, narrow, phases, runs)}
print(json.dumps([kernel(n, d, modules[f], k) for n, d, f, k in json.loads(sys.argv[1])]))
"""

PACKED = {
    "host": {
        "float32": r"v?(max|add)ps\b.*[xyz]mm",
        "float64": r"v?(max|add)pd\b.*[xyz]mm",
        "uint8": r"v?pmaxub\b.*[xyz]mm",
    },
    "generic": {"float32": r"\b(max|add)ps\b", "float64": r"\b(max|add)pd\b", "uint8": r"\bpmaxub\b"},
    "haswell": {
        "float32": r"\bv(max|add)ps\b.*ymm",
        "float64": r"\bv(max|add)pd\b.*ymm",
        "uint8": r"\bvpmaxub\b.*ymm",
    },
}
SCALAR = re.compile(r"^\s*v?(max|min|add|sub|mul|div)s[sd]\b")
CALL = re.compile(r"^\s*call")


def inner_loops(assembly):
    """The instructions of every loop that has no loop inside."""
    lines = assembly.splitlines()
    labels = {m[1]: i for i, line in enumerate(lines) if (m := re.match(r"^(\.L\w+):", line))}
    spans = []
    for i, line in enumerate(lines):
        jump = re.match(r"^\s*j\w+\s+(\.L\w+)", line)
        if jump and labels.get(jump[1], i) < i:
            spans.append((labels[jump[1]], i))
    innermost = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [lines[a : b + 1] for a, b in innermost]


def assemblies(target, wanted):
    environment = dict(os.environ)
    if target != "host":
        environment["NUMBA_CPU_NAME"] = target
        environment["NUMBA_CPU_FEATURES"] = "+avx2,+fma,+f16c,+bmi,+bmi2" if target == "haswell" else ""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(wanted)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


CASES = [
    ("MAX", "float32", "rows", None),
    ("AVG", "float32", "rows", None),
    ("MAX", "float32", "large", None),
    ("SUM", "float64", "large", None),
    ("MAX", "uint8", "rows", None),
    ("AVG", "float32", "spread", None),
    ("where", "float32", "spread", None),
    ("MAX", "float32", "narrow", None),
    ("AVG", "float32", "narrow", None),
    ("any", "float32", "phases", None),
    ("any", "float32", "runs", None),
    ("MAX", "float32", "fused", None),
    ("AVG", "float32", "fused", None),
]
ELSEWHERE = CASES[:2] + CASES[4:6] + CASES[9:10]  # of the fast tests


@pytest.mark.parametrize(
    ("target", "cases"),
    slow_but(
        [("host", CASES), ("generic", ELSEWHERE), ("haswell", ELSEWHERE)],
        [("host", CASES), *((t, c) for t in ("generic", "haswell") for c in (ELSEWHERE, CASES))],
    ),
    ids=lambda v: v if isinstance(v, str) else str(len(v)),
)
def test_loops(target, cases):
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("the patterns are x86-64 instructions")
    for case, assembly in zip(cases, assemblies(target, cases), strict=True):
        packed = re.compile(PACKED[target][case[1]])
        loops = [loop for loop in inner_loops(assembly) if any(packed.search(line) for line in loop)]
        assert len(loops) >= (1 if case[0] == "any" else 2), case  # gradients add in one place
        for loop in loops:
            bad = [line for line in loop if SCALAR.match(line) or CALL.match(line)]
            assert not bad, (case, bad)


@pytest.mark.parametrize(("dtype", "converts"), [("uint8", r"addps"), ("int32", r"cvttpd2dq")])
def test_rounding_takes_whole_vectors(dtype, converts):
    """From floats to integers as well, of which LLVM takes saturating conversions lane by lane."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("the patterns are x86-64 instructions")
    for assembly in assemblies("host", [("ROUNDED", dtype, form, None) for form in ("fused", "rows")]):
        assert re.search(converts, assembly)
        assert not re.search(r"cvtt?s[sd]2si", assembly)


@pytest.mark.parametrize("target", ["host", "generic", "haswell"])
def test_means_of_bytes_take_no_floats(target):
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("the patterns are x86-64 instructions")
    (assembly,) = assemblies(target, [("COUNTED", "uint8", "fused", None)])
    assert "pmulhuw" in assembly
    assert not re.search(r"v?(cvt\w*(ps|pd|dq)|(mul|div)[sp][sd])\b", assembly)
    assert len(re.findall(r"v?p(ex|in)tr[bw]\b", assembly)) < 8  # lanes stay together


@pytest.mark.parametrize("target", ["host", "generic", "haswell"])
def test_halves_need_no_library(target):
    """Where the CPU converts halves it is asked to, where it does not integer code does: never a call to a library."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("the patterns are x86-64 instructions")
    for assembly in assemblies(target, [("AVG", "float16", "rows", None), ("MAX", "bfloat16", "rows", None)]):
        assert not re.search(r"__(extendhfsf2|truncsfhf2|gnu_h2f|gnu_f2h)", assembly)


def test_kernel_budget():
    """At most ten kernels for a reduction and a dtype, whatever shapes, strides, windows and options come."""
    script = """
import itertools, numpy as np, numbapool as nbp
from numbapool.kernels import build
x = np.arange(2.0 * 40 * 40, dtype="f4").reshape(1, 2, 40, 40)
small = [np.ascontiguousarray(x[:, :, :n, :n]) for n in (7, 12)]
for a in (x, x[:, :, ::2, ::3], np.asfortranarray(x), x.transpose(0, 2, 3, 1), *small):
    for k, s, p, d in itertools.product((1, 2, 3, 5, 9), (1, 2, 3), (0, 1), (1, 2)):
        if p > d * (k - 1):
            continue
        for axes in ((2, 3), (1, 2)):
            try:
                nbp.max_pool2d(a, k, s, p, d, axes=axes)
            except ValueError:
                continue
            _, pullback = nbp.vjp(nbp.max_pool2d, a, k, s, p, d, True, True, axes=axes)
            pullback(nbp.max_pool2d(a, k, s, p, d, True, axes=axes))
            for include in (False, True):
                y, pullback = nbp.vjp(nbp.avg_pool2d, a, k, s, p, True, include, dilation=d, axes=axes)
                pullback(y)
names = [k.name for k in build.kernels()]
own = {op: [n for n in names if n.startswith(op)] for op in ("max", "avg")}
shared = [n for n in names if not n.startswith(("max", "avg"))]
for a in (x.astype("u1"), *(a.astype("u1") for a in small)):
    for k, s in itertools.product((1, 2, 5, 9, 20, 40), (1, 2, 40)):
        if k <= a.shape[-1]:
            nbp.avg_pool2d(a, k, s, dtype="uint8")
for k, s in ((200, 1), (200, 200), (40000, 1), (40000, 40000)):
    nbp.avg_pool1d(np.ones((3, 80000), "u1"), k, s, dtype="uint8")
bytes_ = [k.name for k in build.kernels() if k.name.startswith("avg") and "uint8" in k.name]
print(len(own["max"]), len(shared), len(own["avg"]), len(bytes_), names, bytes_)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    *counts, names = run.stdout.split(maxsplit=4)
    assert all(int(n) <= 10 for n in counts), names
