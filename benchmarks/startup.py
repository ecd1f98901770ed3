"""Whole processes, interpreter and NumPy included: imports, first calls with a warm and a cold cache."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).parents[1]
FIRST = "import numpy, numbapool; numbapool.max_pool2d(numpy.ones((1, 64, 112, 112), numpy.float32), 3, 2, 1)"
PROCESSES = {
    "import numpy": "import numpy",
    "import numba": "import numba",
    "import numbapool": "import numbapool",
    "first call, warm cache": FIRST,
    "first call, cold cache": FIRST,
}


def run(repeat=11):
    """Measure all processes in turn; the text, the data and whether the limits hold."""
    samples = {name: [] for name in PROCESSES}
    failed = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in PROCESSES:  # fills the warm cache, and writes bytecode
            _once(name, folder, f"{folder}/cold", failed)
        for turn in range(repeat):
            for name in PROCESSES:
                if name not in failed:
                    samples[name].append(_once(name, folder, f"{folder}/cold{turn}", failed))
    times = {name: median(s) for name, s in samples.items() if s}
    base = times["import numba"]
    lines = [f"{'process (median of ' + str(repeat) + ')':32}{'ms':>8}{'least':>8}{'x import numba':>16}"]
    lines += [f"{n:32}{t * 1e3:8.1f}{min(samples[n]) * 1e3:8.1f}{t / base:16.2f}" for n, t in times.items()]
    lines += [f"{name:32}{'-':>8}  {error}" for name, error in failed.items()]
    limits = {
        "import numbapool": ("import numpy plus 50 ms", times["import numpy"] + 0.05),
        "first call, warm cache": ("2.2 x import numba", 2.2 * base),
        "first call, cold cache": ("6 x import numba", 6 * base),
    }
    good = not failed
    for name, (text, limit) in limits.items():
        if name in times:
            held = times[name] <= limit
            good &= held
            lines.append(f"{name}: at most {text} = {limit * 1e3:.0f} ms: {'yes' if held else 'NO'}")
    return (
        "\n".join(lines),
        {"startup": {n: {"median": median(s), "samples": s} for n, s in samples.items() if s}},
        good,
    )


def _once(name, folder, cold, failed):
    cache = cold if "cold" in name else f"{folder}/warm"
    environment = {**os.environ, "NUMBAPOOL_CACHE_DIR": cache, "NUMBA_CACHE_DIR": f"{cache}-numba"}
    # Bytecode of all packages alike, as where they are installed; this checkout may be read-only, or Python told to leave none.
    environment["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PROCESSES[name]],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    stop = perf_counter()
    if done.returncode:
        failed[name] = (done.stderr.strip().splitlines() or ["no message"])[-1][:150]
    return stop - start
