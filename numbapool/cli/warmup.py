"""Compile the usual kernels ahead of time, into the disk cache.

Calls every window function, and the usual global, adaptive, Lp and NaN-omitting ones, forward and backward, on small arrays that
between them need every kernel of the usual dtypes. Without it a kernel is compiled when it is first needed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from .console import progress, table

HELP = "compile the usual kernels ahead of time"
OPS = ("max", "min", "avg", "sum", "lp")
DTYPES = ("uint8", "float32", "float64")
MORE_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16")

# (window, stride, padding, axes): side by side, overlapping by stride 2 and 1, any other stride, wide and tall;
# then channels last.
WINDOWS = [
    (2, 2, 0, (-2, -1)),
    (3, 2, 1, (-2, -1)),
    (3, 1, 1, (-2, -1)),
    (4, 3, 0, (-2, -1)),
    (31, 1, 15, (-2, -1)),
    (2, 2, 0, (0, 1)),
    (3, 1, 1, (0, 1)),
    (31, 1, 15, (0, 1)),
]

# The same for planes whose rows are a few elements.
SMALL_WINDOWS = [(2, 2, 0), (3, 2, 1)]

# op: function, arguments, keywords
MORE: dict[str, list[tuple[str, tuple[Any, ...], dict[str, Any]]]] = {
    "max": [("global_max_pool", (), {"axes": axes}) for axes in ((-2, -1), (0, 1))],
    "avg": [
        *(("global_avg_pool", (), {"axes": axes}) for axes in ((-2, -1), (0, 1))),
        ("adaptive_avg_pool2d", (7,), {}),
        ("avg_pool2d", (2,), {"nan_policy": "omit"}),
    ],
    "lp": [("lp_pool2d", (2, 2), {})],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--list", action="store_true", help="print a table of the kernels: name, seconds, cached"
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _calls(op: str, dtype: np.dtype) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """What to call: function, arguments behind the array, keywords."""
    if op == "lp" and dtype.kind != "f":
        return
    for *window, axes in WINDOWS if op != "lp" else ():
        call = f"{op}_pool2d", tuple(window)
        yield *call, {"axes": axes}
        if op in ("max", "min"):
            yield *call, {"axes": axes, "return_indices": True}
        elif op == "avg" and dtype.kind in "iu":
            yield *call, {"axes": axes, "dtype": dtype}
    yield from MORE.get(op, ())


def _small_calls(op: str) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """What to call with arrays of small planes."""
    for window in SMALL_WINDOWS if op != "lp" else ():
        yield f"{op}_pool2d", window, {}
        if op in ("max", "min"):
            yield f"{op}_pool2d", window, {"return_indices": True}


def _arrays(op: str, calls: list[Any], dtype: np.dtype) -> Iterator[tuple[np.ndarray, list[Any]]]:
    yield np.ones((48, 48, 40), dtype), calls
    yield np.ones((48, 7, 7), dtype), list(_small_calls(op))


def _steps(ops: Sequence[str], dtypes: Sequence[str]) -> Iterator[tuple[str, Callable[[], None]]]:
    for dtype in map(np.dtype, dtypes):
        for op in ops:
            if calls := list(_calls(op, dtype)):
                yield f"{op} {dtype}", partial(_forward, op, calls, dtype)
                if dtype.kind == "f":
                    yield f"{op} {dtype} backward", partial(_backward, op, calls, dtype)


def _forward(op: str, calls: list[Any], dtype: np.dtype) -> None:
    import numbapool as nbp

    for x, some in _arrays(op, calls, dtype):
        for name, args, options in some:
            getattr(nbp, name)(x, *args, **options)


def _backward(op: str, calls: list[Any], dtype: np.dtype) -> None:
    import numbapool as nbp

    for x, some in _arrays(op, calls, dtype):
        for name, args, options in some:
            if "return_indices" not in options:
                y, pullback = nbp.vjp(getattr(nbp, name), x, *args, **options)
                pullback(y)


def run(args: argparse.Namespace) -> None:
    for name, given, known in (("ops", args.ops, OPS), ("dtypes", args.dtypes, DTYPES + MORE_DTYPES)):
        if unknown := [g for g in given if g not in known]:
            args.command.error(
                f"argument --{name}: invalid choice: {unknown[0]!r} (choose from {', '.join(known)})"
            )

    start = time.perf_counter()
    steps = list(_steps(args.ops, args.dtypes))
    with progress(len(steps)) as step:
        for name, action in steps:
            step(name)
            action()

    from numbapool.kernels import build

    kernels = build.kernels()
    if args.list:
        rows = [
            (k.name, f"{k.seconds:.2f}", "yes" if k.cached else "no")
            for k in sorted(kernels, key=lambda k: k.name)
        ]
        print(table(("kernel", "seconds", "from the cache"), rows))
        print()
    new = [k for k in kernels if not k.cached]
    print(
        f"{len(kernels)} kernels ready in {time.perf_counter() - start:.1f} s: {len(new)} compiled "
        f"({sum(k.seconds for k in new):.1f} s), {len(kernels) - len(new)} from the cache"
    )
