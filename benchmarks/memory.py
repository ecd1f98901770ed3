"""Peak memory of every case in its own process: result + saved offsets + at most 32 MB beside the input.

The kernels are compiled in a process before, because a compiler's memory is not the pooling's; the process
that is measured loads them on a small array first.
"""

import contextlib
import ctypes
import gc
import json
import re
import subprocess
import sys
from math import prod
from pathlib import Path

from . import cases

LIMIT = 32 << 20
ROOT = Path(__file__).parents[1]


def run(chosen, directions):
    """Measure all cases; the text, the data and whether all stay within the limit."""
    lines = [f"{'case':52}{'':10}{'result MB':>11}{'saved MB':>10}{'peak MB':>10}{'beyond MB':>11}"]
    data, good = [], True
    for direction in directions:
        for case in chosen:
            if direction == "backward" and not case.is_float:
                continue
            for _ in range(2):  # the first one compiles
                found = _child(case, direction)
            if "error" in found:
                lines.append(f"{case.name:52}{direction:10}  - {found['error']}")
                good = False
                continue
            beyond = found["peak"] - found["result"] - found["saved"]
            found |= {"case": case.name, "direction": direction, "beyond": beyond, "good": beyond <= LIMIT}
            data.append(found)
            good &= found["good"]
            numbers = "".join(
                f"{found[k] / 1e6:{w}.1f}" for k, w in zip(FIELDS, (11, 10, 10, 11), strict=True)
            )
            lines.append(f"{case.name:52}{direction:10}{numbers}{'' if found['good'] else '  TOO MUCH'}")
    lines.append("beyond: peak less the result and the saved offsets; at most 33.6 MB (32 MiB)")
    return "\n".join(lines), {"memory": data}, good


FIELDS = ("result", "saved", "peak", "beyond")


def _child(case, direction):
    imports = "from benchmarks.memory import *; from benchmarks.windows import *"
    code = f"{imports}; child(cases.{case!r}, {direction!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1][:150]}
    return json.loads(done.stdout.splitlines()[-1])


def child(case, direction):
    """Pool once and print what it took, as JSON."""
    import numbapool as nbp
    from numbapool import threads

    function = getattr(nbp, case.function)

    def prepared(case):
        data = cases.Data(case)
        return *data.call(), data.given(data.dy)

    def work(args, kw, dy):
        if direction == "forward":
            return function(*args, **kw)
        y, pullback = nbp.vjp(function, *args, **kw)
        return y, pullback, pullback(dy)

    threads.start()
    work(*prepared(case.shrunk(1 << 19, 512)))  # enough for several threads
    given = prepared(case)
    start = _reset()
    value = work(*given)
    peak = _peak() - start
    result = prod(case.output_shape) * case.itemsize
    saved = 0
    if direction == "backward":
        result += prod(case.input_shape) * case.itemsize
        saved = _saved(case)
    del value
    print(json.dumps({"result": result, "saved": saved, "peak": peak}))


def _saved(case):
    """Bytes of offsets that a pullback needs: a byte for a tap of a window, else an index; those of an unpooling are the caller's, who may change them, in four bytes."""
    if case.op == "unpool":
        return prod(case.input_shape) * 4
    if case.op != "max":
        return 0
    return prod(case.output_shape) * (1 if case.taps <= 254 else 4)


def _status(key):
    return int(re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def _reset():
    """Forget the peak so far; the memory in use now, in bytes."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # memory that is free but not given back would hide what follows
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return _peak()  # where it cannot be forgotten: the growth of the peak


def _peak():
    with contextlib.suppress(OSError):
        return _status("VmHWM")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
