"""``make gpu``: the tests on a GPU, then times against torch and CuPy there, as one JSON report.

    python benchmarks/gpu.py [--report gpu.json] [--seconds 300] [--no-tests]

Needs numba, numba-cuda, CuPy, torch and pytest; neither a network nor an installed numbapool. Every case is timed with events on torch's stream, all
contenders in turn; GB/s are (bytes of what is read + bytes of what is written once) / median time, and the share is that of a device-to-device copy of
the same run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# operation, window, shape, dtype, layout: inputs of 0.5 to 4 GB, and of one image
CASES = [
    *(
        (op, window, shape, dtype, layout)
        for dtype in ("float32", "float16")
        for layout in ("NCHW", "NHWC")
        for op, window, shape in (
            ("max", (2, 2, 0), (80, 64, 224, 224)),
            ("avg", (2, 2, 0), (80, 64, 224, 224)),
            ("max", (3, 2, 1), (320, 64, 112, 112)),
            ("max", (3, 1, 1), (320, 64, 112, 112)),
            ("avg", (3, 1, 1), (320, 64, 112, 112)),
        )
    ),
    ("max", (2, 2, 0), (312, 64, 224, 224), "float32", "NCHW"),
    ("max", (3, 2, 1), (1248, 64, 112, 112), "float32", "NHWC"),
    ("max", (13, 1, 6), (1280, 256, 20, 20), "float32", "NCHW"),
    ("avg", (7, 7, 0), (1280, 2048, 7, 7), "float32", "NCHW"),
    ("max", (7, 7, 0), (1280, 2048, 7, 7), "float32", "NCHW"),
    ("avg", (56, 56, 0), (160, 256, 56, 56), "float32", "NCHW"),
    ("max", (2, 2, 0), (1280, 512, 14, 14), "float32", "NCHW"),
    ("max", (3, 2, 1), (1, 64, 112, 112), "float32", "NCHW"),
    ("avg", (2, 2, 0), (1, 64, 56, 56), "float16", "NCHW"),
    ("max", (2, 2, 0), (80, 64, 224, 224), "bfloat16", "NCHW"),
]
OTHERS = ["max_unpool2d", "fractional_max_pool2d", "lp_pool2d 2", "lp_pool2d 3", "avg_pool2d weights"]
FILTERS = [
    ("max", 3),
    ("max", 31),
    ("avg", 3),
    ("avg", 31),
]  # stride 1 on one plane, against cupyx.scipy.ndimage


def timed(torch, function, seconds):
    """Median milliseconds of one call on torch's stream."""
    function()
    torch.cuda.synchronize()
    times, stop = [], time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < stop and len(times) < 200):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        function()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times)


def window_case(torch, nbp, case, seconds, copy):
    """One case, forward and backward, against torch."""
    op, (kernel, stride, padding), shape, dtype, layout = case
    functional = torch.nn.functional
    x = torch.randn(shape, device="cuda").to(getattr(torch, dtype))
    if layout == "NHWC":
        x = x.contiguous(memory_format=torch.channels_last)
    name, args = f"{op}_pool2d", (kernel, stride, padding)
    label = f"{op} {kernel}x{kernel} s{stride} p{padding} {tuple(shape)} {dtype} {layout}"
    theirs = getattr(functional, name)
    return compared(
        torch, nbp, label, getattr(nbp, name), theirs, x, args, {}, {}, op == "max", seconds, copy
    )


def compared(torch, nbp, label, ours, theirs, x, args, mine, other, saves, seconds, copy):
    """Forward and backward with the options `mine`, against torch's function (None: it has none) with those of `other`; `saves`: a byte for each result."""
    y, pullback = nbp.vjp(ours, x, *args, **mine)
    dy = torch.ones_like(y)
    calls = {
        "forward": (lambda: ours(x, *args, **mine), x.nbytes + y.nbytes),
        "backward": (lambda: pullback(dy), x.nbytes + y.nbytes + saves * y.numel()),
    }
    against = {}
    if theirs is not None:
        leaf = x.detach().requires_grad_()
        result = theirs(leaf, *args, **other)
        rtol = 2e-2 if x.element_size() == 2 else 1e-5
        torch.testing.assert_close(y, result.detach(), rtol=rtol, atol=1e-5)
        against = {
            "forward": lambda: theirs(x, *args, **other),
            "backward": lambda: torch.autograd.grad(result, leaf, dy, retain_graph=True),
        }
    row = {"case": label}
    for name, (call, nbytes) in calls.items():
        ms = timed(torch, call, seconds / 4)
        rate = nbytes / ms / 1e6
        row[name] = {"ms": ms, "GB/s": rate, "share of copy": rate / copy}
        if against:
            torch_ms = timed(torch, against[name], seconds / 4)
            row[name] |= {"torch ms": torch_ms, "torch / ours": torch_ms / ms}
    return row


def other_case(torch, nbp, name, seconds, copy):
    """What is no plain window: indices that come with x, samples, powers, weights."""
    functional = torch.nn.functional
    name, *rest = name.split()
    ours, theirs = getattr(nbp, name), getattr(functional, name)
    x = torch.rand((160, 64, 112, 112), device="cuda") + 0.5
    args, mine, other, saves = (2,), {}, {}, 0
    if name == "max_unpool2d":
        x, indices = functional.max_pool2d(x, 2, return_indices=True)
        args, saves = (indices, 2), 4
    elif name == "fractional_max_pool2d":
        samples = torch.rand(160, 64, 2, device="cuda")
        args, saves = (2, 70), 8
        mine, other = {"random_samples": samples}, {"_random_samples": samples}
    elif name == "lp_pool2d":
        args, saves = (float(rest[0]), 2), 8
    else:
        mine, theirs = {"weights": torch.rand(112, 112, device="cuda")}, None
    label = f"{name} {' '.join(rest)} {tuple(x.shape)} float32"
    return compared(torch, nbp, label, ours, theirs, x, args, mine, other, saves, seconds, copy)


def filter_case(torch, nbp, cupy, op, size, seconds, copy):
    """Stride 1 with the plane's size kept, against cupyx.scipy.ndimage."""
    from cupyx.scipy import ndimage

    with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
        x = cupy.random.random((4096, 4096), dtype=cupy.float32)
        ours, theirs = (
            getattr(nbp, f"{op}_pool2d"),
            {"max": ndimage.maximum_filter, "avg": ndimage.uniform_filter}[op],
        )
        ms = timed(torch, lambda: ours(x, size, 1, size // 2), seconds / 2)
        other = timed(torch, lambda: theirs(x, size, mode="constant"), seconds / 2)
    rate = 2 * x.nbytes / ms / 1e6
    return {
        "case": f"{op} {size}x{size} s1 (4096, 4096) float32",
        "ms": ms,
        "GB/s": rate,
        "share of copy": rate / copy,
        "cupyx / ours": other / ms,
    }


def launch_overhead(torch, nbp, cupy):
    """Microseconds of the host for one call on a tiny array, with out=, per kind of container."""
    from numba import cuda

    made = {
        "torch": torch.zeros((8, 8), device="cuda"),
        "cupy": cupy.zeros((8, 8), cupy.float32),
        "numba": cuda.device_array((8, 8), "float32"),
    }
    rows = {}
    for name, x in made.items():
        out = nbp.max_pool2d(x, 2)
        count = 200
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            nbp.max_pool2d(x, 2, out=out)
        rows[name] = (time.perf_counter() - start) / count * 1e6
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(200):
        torch.nn.functional.max_pool2d(made["torch"][None, None], 2)
    rows["torch itself"] = (time.perf_counter() - start) / 200 * 1e6
    return rows


def copy_rate(torch):
    """GB/s of a device-to-device copy, both directions counted."""
    a = torch.empty(2**30 // 4, device="cuda")
    b = torch.empty_like(a)
    return 2 * a.nbytes / timed(torch, lambda: b.copy_(a), 2) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", default="gpu.json")
    parser.add_argument("--seconds", type=float, default=240, help="for the times; default: %(default)s")
    parser.add_argument("--no-tests", action="store_true")
    args = parser.parse_args()

    report = {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "tests": None}
    if not args.no_tests:
        import pytest

        print("tests", flush=True)
        # Without the settings and the conftest of the other tests, which need more packages.
        options = ["-q", "--noconftest", "-c", os.devnull, "-p", "no:cacheprovider", "-W", "ignore"]
        report["tests"] = int(pytest.main([*options, str(ROOT / "tests" / "gpu")]))

    import cupy
    import numba
    import numba_cuda
    import torch

    import numbapool as nbp

    if not torch.cuda.is_available():
        sys.exit("there is no CUDA device that torch can use")
    report |= {
        "device": torch.cuda.get_device_name(),
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "driver": cupy.cuda.runtime.driverGetVersion(),
        "versions": {
            "python": platform.python_version(), "numbapool": nbp.__version__, "numba": numba.__version__, "numba-cuda": numba_cuda.__version__,
            "cupy": cupy.__version__, "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
        },
    }  # fmt: skip
    copy = report["copy GB/s"] = copy_rate(torch)
    report["launch, microseconds"] = launch_overhead(torch, nbp, cupy)
    share = args.seconds / (2 * (len(CASES) + len(OTHERS)) + len(FILTERS))
    report["windows"], report["others"], report["filters"] = [], [], []
    for case in CASES:
        try:
            row = window_case(torch, nbp, case, share * 2, copy)
        except Exception as error:  # the report says so, and the other cases are timed
            row = {"case": str(case), "error": f"{type(error).__name__}: {error}"}
        report["windows"].append(row)
        print(json.dumps(row), flush=True)
        torch.cuda.empty_cache()
    for name in OTHERS:
        try:
            row = other_case(torch, nbp, name, share * 2, copy)
        except Exception as error:
            row = {"case": name, "error": f"{type(error).__name__}: {error}"}
        report["others"].append(row)
        print(json.dumps(row), flush=True)
        torch.cuda.empty_cache()
    for op, size in FILTERS:
        try:
            row = filter_case(torch, nbp, cupy, op, size, share, copy)
        except Exception as error:
            row = {"case": f"{op} {size}", "error": f"{type(error).__name__}: {error}"}
        report["filters"].append(row)
        print(json.dumps(row), flush=True)
    Path(args.report).write_text(json.dumps(report, indent=1) + "\n")
    print(args.report)
    failed = [r for r in (*report["windows"], *report["others"], *report["filters"]) if "error" in r]
    return 1 if failed or report["tests"] else 0


if __name__ == "__main__":
    sys.exit(main())
