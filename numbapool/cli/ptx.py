"""Compile the kernels of the CUDA backend to PTX, for any compute capability and without a GPU.

Plans the usual calls of every window function, forward and backward, in both layouts, and compiles every kernel that they need. With NVIDIA's assembler
(``pip install nvidia-cuda-nvcc-cu12``, or ptxas on PATH) the table also has registers and spilled bytes.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .console import CommandError, progress, table

HELP = "compile the CUDA kernels to PTX, without a GPU"
OPS = ("max", "min", "avg", "sum", "lp", "unpool", "fractional")
DTYPES = ("float32", "float16", "bfloat16", "float64", "uint8")
MORE_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64")

# (window, stride, padding, dilation) in planes of 64 x 64 elements; a tuple of one: a number of windows that divide them.
WINDOWS: list[tuple[int, ...]] = [
    *((2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1)),
    *((8, 8, 0, 1), (9, 1, 4, 1), (3, 1, 2, 2)),
    *((5,), (1,)),
]

ELEMENTS: list[dict[str, Any]] = [{"omit": True}, {"where": True}, {"weights": "float32"}]
POWERS = (1.0, 2.0, 2.5, float("inf"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cc", default="9.0", metavar="X.Y", help="compute capability; default: 9.0")
    parser.add_argument("--list", action="store_true", help="print a table of the kernels")
    parser.add_argument("--markdown", action="store_true", help="print that table as Markdown")
    parser.add_argument(
        "--ops", type=_names, default=OPS, metavar="A,B", help=f"of {','.join(OPS)}; default: all"
    )
    parser.add_argument(
        "--dtypes",
        type=_names,
        default=DTYPES,
        metavar="A,B",
        help=f"default: {','.join(DTYPES)}; also {','.join(MORE_DTYPES)}",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


@dataclass
class Compiled:
    """A kernel's PTX and what can be said of it.

    Attributes
    ----------
    kernel : Kernel
    ptx : str
    seconds : float
        It took to compile.
    """

    kernel: Any
    ptx: str
    seconds: float

    @property
    def instructions(self) -> list[str]:
        """The instructions of the kernel, without operands."""
        body = self.ptx[self.ptx.index(".entry") :]
        return re.findall(r"^\s+(?:@!?%p\d+\s+)?([a-z][a-z0-9_]*(?:\.[a-z0-9_:]+)*)\s", body, re.M)

    @property
    def doubles(self) -> int:
        """Instructions on float64."""
        return sum("f64" in i for i in self.instructions)

    @property
    def calls(self) -> int:
        """Functions that were not inlined."""
        return sum(i.startswith("call") for i in self.instructions)

    @property
    def local(self) -> bool:
        """Whether it has memory of its own beside registers."""
        return bool(re.search(r"\.local|__local_depot", self.ptx))

    @property
    def vectors(self) -> int:
        """Loads and stores of more than one element."""
        return sum(bool(re.match(r"(ld|st)\.global.*\.v[24]", i)) for i in self.instructions)


def usual(ops: Any = OPS, dtypes: Any = DTYPES) -> list[Any]:
    """The kernels of the usual calls."""
    from numbapool.kernels.cuda import build

    for dtype in dtypes:
        for op in ops:
            for plan in _plans(op, dtype):
                plan()
    return sorted(build.kernels(), key=lambda k: k.name)


def _plans(op: str, dtype: str) -> Iterator[Any]:
    args: tuple[Any, ...]
    from numbapool import reductions
    from numbapool.backends import cuda_plans, cuda_positions
    from numbapool.dtypes import is_float, itemsize
    from numbapool.windows import adaptive, sliding

    if op == "lp":
        for power in POWERS:
            yield from _weighed(reductions.lp(power), dtype, reductions.ALL)
            if is_float(dtype):
                yield from _norms(reductions.lp(power), dtype)
        return
    if op == "unpool":
        yield from _unpool(dtype)
        return
    if op == "fractional":
        yield from _fractional(dtype)
        return
    reduction = getattr(reductions, op.upper())
    for elements in ELEMENTS if op in ("max", "avg") else ():
        if not (op == "max" and elements.get("weights")) and (is_float(dtype) or not elements.get("omit")):
            yield from _weighed(reduction, dtype, reductions.Elements(**elements))
    if reduction.selecting:
        yield from _passes(reduction, dtype)
    for window in WINDOWS:
        for channels_last in (False, True):
            shape, axes = ((4, 64, 64, 16), (1, 2)) if channels_last else ((4, 16, 64, 64), (2, 3))
            if len(window) == 1:
                along = adaptive(64, window[0])
            else:
                kernel, stride, padding, dilation = window
                along = sliding(64, kernel, stride, padding, padding, dilation, False, True)
            windows = (along, along)
            pooled = tuple(along.count if a in axes else n for a, n in enumerate(shape))
            y_name = reduction.types(dtype, None, False).y
            strides, y_strides = _steps(shape, itemsize(dtype)), _steps(pooled, itemsize(y_name))
            if op == "avg" and not is_float(dtype) and dtype != "bool":  # rounded to integers
                args = (
                    reduction,
                    shape,
                    strides,
                    dtype,
                    axes,
                    windows,
                    dtype,
                    None,
                    _steps(pooled, itemsize(dtype)),
                    None,
                    None,
                    0,
                )
                yield lambda args=args: cuda_plans.forward(*args)
            for key in (None, "positions") if reduction.selecting else (None,):
                keys = _steps(pooled, 8) if key else None
                args = reduction, shape, strides, dtype, axes, windows, None, None, y_strides, key, keys, 0
                yield lambda args=args: cuda_plans.forward(*args)
            if not is_float(dtype):
                continue
            key = cuda_plans.key_kind(windows) if reduction.selecting else None
            keys = _steps(pooled, 1 if key == "places" else 8) if key else None
            if key == "places":
                args = reduction, shape, strides, dtype, axes, windows, None, None, y_strides, key, keys, 0
                yield lambda args=args: cuda_plans.forward(*args)
                steps = keys, _steps(pooled, 8)
                yield lambda args=(shape, axes, windows, pooled, *steps): cuda_positions.plan(*args)
            args = reduction.mean, shape, strides, dtype, axes, windows, dtype, None, y_strides, key, keys, 0
            yield lambda args=args: cuda_plans.backward(*args)


def _passes(reduction: Any, dtype: str) -> Iterator[Any]:
    """Of large windows, the passes behind the first and the gradient's."""
    from numbapool.backends import cuda_passes, cuda_plans
    from numbapool.dtypes import is_float, itemsize
    from numbapool.windows import sliding

    shape, along = (16, 64, 64), sliding(64, 13, 1, 6, 6, 1, False, True)
    steps, places = _steps(shape, itemsize(dtype)), _steps(shape, 8)
    yield lambda: cuda_passes.next_pass(reduction, shape, steps, dtype, 1, along, steps, places, places, 64)
    if is_float(dtype):
        args = (False, shape, steps, dtype, (1,), (along,), dtype, None, steps, "positions", places, 0, 64)
        yield lambda: cuda_plans.backward(*args)


def _fractional(dtype: str) -> Iterator[Any]:
    from numbapool.backends import cuda_fractional, cuda_plans
    from numbapool.dtypes import is_float, itemsize
    from numbapool.reductions import MAX
    from numbapool.windows import fractional

    shape, pooled, windows = (16, 64, 64), (16, 40, 40), (fractional(64, 2, 40),) * 2
    steps, y_steps, key_steps = _steps(shape, itemsize(dtype)), _steps(pooled, itemsize(dtype)), _steps(pooled, 8)  # fmt: skip
    x = MAX, shape, steps, dtype, (1, 2), windows, y_steps
    for key, keys in ((None, None), ("positions", key_steps)):
        for samples in ("float32", "float64"):
            beside = samples, _steps((16, 2), itemsize(samples))
            yield lambda args=(*x, key, keys, *beside): cuda_fractional.plan(*args)
    if is_float(dtype):
        args = False, shape, steps, dtype, (1, 2), windows, dtype, None, y_steps, "positions", key_steps, 0
        yield lambda: cuda_plans.backward(*args)


def _unpool(dtype: str) -> Iterator[Any]:
    from numbapool.backends import cuda_unpool
    from numbapool.dtypes import is_float, itemsize

    small, large = (16, 32, 32), (16, 64, 64)
    few = {n: _steps(small, itemsize(n)) for n in (dtype, "int32", "int64")}
    many = {n: _steps(large, itemsize(n)) for n in (dtype, "int32")}
    calls = [
        ("claim", (few["int64"], many["int32"], few["int64"]), ("int32", "int64")),
        ("fill", (few[dtype], many["int32"], many[dtype]), (dtype, "int32")),
        ("settle", (few["int32"], many["int32"], few["int64"]), ("int32", "int64")),
        ("pass_back", (few[dtype], many[dtype], few["int32"]), (dtype, "int32")),
    ]
    for step, strides, names in calls[: 4 if is_float(dtype) else 2]:
        yield lambda args=(step, small, large, (1, 2), strides, names): cuda_unpool.plan(*args)


def _norms(reduction: Any, dtype: str) -> Iterator[Any]:
    from numbapool import reductions
    from numbapool.backends import cuda_norms, cuda_plans
    from numbapool.dtypes import itemsize
    from numbapool.windows import sliding

    along = sliding(64, 3, 2, 1, 1, 1, False, False)
    saved = cuda_plans.key_kind((along, along)) if reduction.selecting else cuda_norms.compute_of(reduction, dtype, dtype)  # fmt: skip
    for channels_last in (False, True):
        shape, axes = ((4, 64, 64, 16), (1, 2)) if channels_last else ((4, 16, 64, 64), (2, 3))
        pooled = tuple(along.count if a in axes else n for a, n in enumerate(shape))
        steps, y_steps = _steps(shape, itemsize(dtype)), _steps(pooled, itemsize(dtype))
        saved_steps = _steps(pooled, 1 if reduction.selecting else itemsize(saved))
        args = reduction, shape, steps, dtype, axes, (along, along), dtype, y_steps, saved, saved_steps, steps, reductions.ALL, None, 0  # fmt: skip
        yield lambda args=args: cuda_norms.plan(*args)


def _weighed(reduction: Any, dtype: str, elements: Any) -> Iterator[Any]:
    from numbapool import reductions
    from numbapool.backends import cuda_weighed
    from numbapool.dtypes import is_float, itemsize
    from numbapool.windows import sliding

    shape = 16, 64, 64
    beside = (
        _steps(shape, 1) if elements.where else None,
        _steps(shape, itemsize(elements.weights)) if elements.weights else None,
    )
    y_size = itemsize(reduction.types(dtype, None, False, bool(elements.weights)).y)
    # Rows of neighbours, and tap by tap.
    for along in (sliding(64, 3, 2, 1, 1, 1, False, False), sliding(64, 3, 1, 2, 2, 2, False, False)):
        y_strides = _steps((16, along.count, along.count), y_size)
        x = reduction, shape, _steps(shape, itemsize(dtype)), dtype, (1, 2), (along, along)
        args = *x, None, y_strides, None, None, elements, *beside, 0
        yield lambda args=args: cuda_weighed.forward(*args)
    if elements and not reduction.selecting and is_float(dtype):
        compute = "float64" if dtype == "float64" else "float32"
        steps, wide = _steps(shape, itemsize(dtype)), _steps(shape, itemsize(compute))
        divisor = wide, _steps(shape, itemsize(dtype)), wide, None, None
        names = dtype, compute, compute
        yield lambda: cuda_weighed.factored(shape, names, divisor, compute, "divides", reductions.ALL)
        yield lambda: cuda_weighed.factored(
            shape, (compute, dtype, compute), (wide, steps, *divisor[2:]), compute, "means", reductions.ALL
        )
        factors = wide, steps, steps if elements.omit else None, *beside
        names_back = compute, dtype, dtype if elements.omit else ""
        yield lambda: cuda_weighed.factored(shape, names_back, factors, compute, "", elements)
    if elements.weights and reduction.mean and is_float(dtype):
        # What a gradient of weights takes beside: dy times results, and x times dy less that.
        exact = (*divisor[:4], _steps(shape, 8))
        by = reductions.Elements(weights="float64")
        yield lambda: cuda_weighed.factored(shape, names, exact, compute, "divides", by)
        sums = (0, 0, 0), _steps(shape, 4), _steps(shape, 8), None, None
        names = "float32", "float32", "float64"
        yield lambda: cuda_weighed.factored(shape, names, sums, "float64", "keeps", reductions.ALL)
        slopes = wide, wide, wide, None, steps
        by_x = reductions.Elements(weights=dtype)
        yield lambda: cuda_weighed.factored(shape, (compute,) * 3, slopes, compute, "subtracts", by_x)


def _steps(shape: tuple[int, ...], step: int) -> tuple[int, ...]:
    steps: list[int] = []
    for n in reversed(shape):
        steps.insert(0, step)
        step *= n
    return tuple(steps)


def compiled(kernel: Any, capability: tuple[int, int]) -> Compiled:
    """The PTX of a kernel."""
    start = time.perf_counter()
    ptx = kernel.ptx(capability)
    return Compiled(kernel, ptx, time.perf_counter() - start)


def assembler() -> str | None:
    """Where NVIDIA's assembler is, if it is installed."""
    for place in Path(sysconfig.get_paths()["purelib"], "nvidia").glob("*/bin/ptxas"):
        return str(place)
    return shutil.which("ptxas")


def assembled(ptx: str, capability: tuple[int, int], ptxas: str) -> tuple[int, int]:
    """(registers, spilled bytes) of PTX, as the assembler says."""
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        arch = f"sm_{capability[0]}{capability[1]}"
        command = [ptxas, "-v", f"-arch={arch}", "-o", "/dev/null", file.name]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"ptxas: {done.stderr.strip()}")
    registers = max(map(int, re.findall(r"Used (\d+) registers", done.stderr)))
    return registers, sum(map(int, re.findall(r"(\d+) bytes spill", done.stderr)))


def run(args: argparse.Namespace) -> None:
    import importlib.util

    from numbapool import driver

    if driver.simulated():
        raise CommandError("the CUDA simulator compiles nothing; unset NUMBA_ENABLE_CUDASIM")
    if importlib.util.find_spec("numba_cuda") is None:
        raise CommandError(f"numba-cuda is missing: {driver.INSTALL}")
    try:
        major, minor = map(int, args.cc.split("."))
    except ValueError:
        args.command.error(f"argument --cc: {args.cc!r} is not of the form X.Y")
    for name, known in (("ops", OPS), ("dtypes", DTYPES + MORE_DTYPES)):
        unknown = [v for v in getattr(args, name) if v not in known]
        if unknown:
            args.command.error(
                f"argument --{name}: invalid choice: {unknown[0]!r} (choose from {', '.join(known)})"
            )

    kernels, ptxas = usual(args.ops, args.dtypes), assembler()
    done, rows = [], []
    with progress(len(kernels)) as step:
        for kernel in kernels:
            step(kernel.name)
            one = compiled(kernel, (major, minor))
            done.append(one)
            if args.list or args.markdown:
                registers, spilled = assembled(one.ptx, (major, minor), ptxas) if ptxas else ("?", "?")
                rows.append(
                    (
                        kernel.name,
                        f"{one.seconds:.2f}",
                        str(len(one.instructions)),
                        str(one.vectors),
                        str(one.doubles),
                        str(registers),
                        str(spilled),
                    )
                )
    header = ("kernel", "seconds", "instructions", "vector moves", "of float64", "registers", "spilled bytes")
    if args.markdown:
        for row in (header, ("---",) + ("---:",) * 6, *rows):
            print(f"| {' | '.join(row)} |")
        print()
    elif args.list:
        print(table(header, rows))
        print()
    seconds = sum(one.seconds for one in done)
    print(f"{len(done)} kernels compiled to PTX for compute capability {major}.{minor} in {seconds:.1f} s")
