"""A photograph pooled by every kind there is: each checked against NumPy, timed, and drawn to one picture."""

from __future__ import annotations

import argparse
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .console import CommandError, extra, progress, replacing, table

HELP = "pool a photograph by every kind there is, check, time and draw it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path("demo.png"), help="the picture; default: demo.png"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=1024,
        metavar="N",
        help="the photograph is repeated to N × N pixels for checks and times; default: 1024",
    )
    parser.add_argument(
        "--seconds", type=float, default=0.3, metavar="S", help="of timing for each kind; default: 0.3"
    )


@dataclass
class Kind:
    """One call: which function, on what, how. A name of one of the demo's arrays stands for that array."""

    fn: str
    on: str
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    backward: bool = False
    blocks: str = ""  # the NumPy function with which block_reduce does the same

    @property
    def title(self) -> str:
        words = [f"{k}={v}".replace(" ", "") for k, v in self.options.items()]
        given = ", ".join([str(a).replace(" ", "") for a in self.args] + words)
        return f"{self.fn}({given})" + (" backward" if self.backward else "")

    @property
    def op(self) -> str:
        return next(op for op in ("unpool", "max", "min", "avg", "sum", "lp") if op in self.fn)

    def call(self, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, tuple[Any, ...], dict[str, Any]]:
        """The array and the other arguments."""
        found = lambda v: arrays.get(v, v) if isinstance(v, str) else v
        return arrays[self.on], tuple(map(found, self.args)), {k: found(v) for k, v in self.options.items()}


@dataclass
class Result:
    kind: Kind
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    seconds: float
    nbytes: int
    copy: float  # seconds in which this machine copies as many bytes
    reference: float
    blocks: float | None

    @property
    def share(self) -> float:
        return self.copy / self.seconds


KINDS = [
    Kind("max_pool2d", "image", (2,), {"axes": (0, 1)}, blocks="max"),
    Kind("min_pool2d", "image", (2,), {"axes": (0, 1)}, blocks="min"),
    Kind("avg_pool2d", "image", (2,), {"axes": (0, 1), "dtype": "uint8"}),
    Kind("sum_pool2d", "image", (2,), {"axes": (0, 1), "dtype": "uint16"}),
    Kind("max_pool2d", "planes", (2,), blocks="max"),
    Kind("min_pool2d", "planes", (2,), blocks="min"),
    Kind("avg_pool2d", "planes", (2,), blocks="mean"),
    Kind("sum_pool2d", "planes", (2,), blocks="sum"),
    Kind("max_pool2d", "planes", (3, 2, 1)),
    Kind("avg_pool2d", "planes", (3, 1, 1)),
    Kind("max_pool2d", "planes", ((2, 5),), blocks="max"),
    Kind("avg_pool2d", "planes", (3, 2), {"ceil_mode": True}),
    Kind("max_pool2d", "planes", (3, 1, 2), {"dilation": 2}),
    Kind("min_pool2d", "planes", (3, 2, "same")),
    Kind("avg_pool2d", "planes", (4, 2, ((0, 2), (1, 1))), {"count_include_pad": False}),
    Kind("max_pool2d", "planes", (2,), {"return_indices": True}),
    Kind("max_pool2d", "small", (21, 1, 10)),
    Kind("avg_pool2d", "small", (21, 1, 10)),
    Kind("max_pool2d", "strided", (2,), blocks="max"),
    Kind("avg_pool2d", "half", (2,)),
    *(Kind(f"{op}_pool1d", "planes", (3, 2)) for op in ("max", "min", "avg", "sum")),
    *(
        Kind(f"{op}_pool3d", "clip", (2,), blocks={"avg": "mean"}.get(op, op))
        for op in ("max", "min", "avg", "sum")
    ),
    Kind("adaptive_max_pool2d", "planes", (300,)),
    Kind("adaptive_avg_pool2d", "planes", (300,)),
    Kind("global_max_pool", "tiles", ()),
    Kind("global_avg_pool", "tiles", ()),
    Kind("lp_pool2d", "planes", (2, 2)),
    Kind("fractional_max_pool2d", "planes", (2,), {"output_ratio": 0.7, "rng": 0}),
    Kind("max_unpool2d", "pooled", ("indices", 2)),
    Kind("max_pool2d", "gaps", (2,), {"nan_policy": "omit"}),
    Kind("avg_pool2d", "gaps", (2,), {"nan_policy": "omit"}),
    Kind("avg_pool2d", "planes", (2,), {"where": "mask"}),
    Kind("avg_pool2d", "planes", (3, 2, 1), {"weights": "weights"}),
    *(Kind(f"{op}_pool2d", "planes", (2,), backward=True) for op in ("max", "min", "avg", "sum")),
    Kind("max_pool2d", "planes", (3, 2, 1), backward=True),
    Kind("avg_pool2d", "planes", (3, 1, 1), backward=True),
    Kind("max_pool1d", "planes", (3, 2), backward=True),
    Kind("avg_pool3d", "clip", (2,), backward=True),
    Kind("adaptive_avg_pool2d", "planes", (300,), backward=True),
    Kind("global_avg_pool", "tiles", (), backward=True),
    Kind("lp_pool2d", "planes", (2, 2), backward=True),
    Kind("max_unpool2d", "pooled", ("indices", 2), backward=True),
    Kind("avg_pool2d", "planes", (2,), {"where": "mask"}, backward=True),
]


def photograph() -> np.ndarray:
    """Chelsea the cat, (300, 451, 3) uint8, which scikit-image ships (by Stefan van der Walt, CC0)."""
    photo: np.ndarray = extra("skimage.data").chelsea()
    return photo


def _inputs(photo: np.ndarray, size: int) -> dict[str, np.ndarray]:
    from numbapool import max_pool2d

    rows, columns, _ = photo.shape
    image = np.pad(photo, ((0, max(size - rows, 0)), (0, max(size - columns, 0)), (0, 0)), "symmetric")[
        :size, :size
    ]
    planes = np.ascontiguousarray(np.moveaxis(image, -1, 0).astype(np.float32) / 255)
    half = size // 2
    clip = np.stack([planes[1, 4 * t : 4 * t + half, 3 * t : 3 * t + half] for t in range(8)])
    pooled, indices = max_pool2d(planes, 2, return_indices=True)
    tiles = planes[:, : size // 8 * 8, : size // 8 * 8].reshape(3, size // 8, 8, size // 8, 8).swapaxes(2, 3)
    mask = planes[1] > 0.35
    return {
        "image": np.ascontiguousarray(image),
        "planes": planes,
        "tiles": np.ascontiguousarray(tiles),
        "pooled": pooled,
        "indices": indices,
        "mask": mask,
        "gaps": np.where(mask, planes, np.float32(np.nan)),
        "weights": np.linspace(0.5, 1, size, dtype=np.float32),
        "clip": clip,
        "small": np.ascontiguousarray(planes[1, :300, :400]),
        "strided": planes[:, ::-2, ::2],
        "half": planes.astype(np.float16),
    }


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _expected(
    kind: Kind, x: np.ndarray, args: tuple[Any, ...], options: dict[str, Any], dy: np.ndarray | None
) -> tuple[Any, ...]:
    """For each array that a call returns what `assert_matches` needs, from the NumPy reference."""
    from numbapool import testing
    from numbapool.testing.reference import is_exact

    if dy is not None:
        return (testing.vjp_bounds(kind.fn, x, args, options, dy),)
    if is_exact(kind.fn):
        return tuple((part,) for part in _parts(testing.reference(kind.fn, x, *args, **options)))
    return (testing.bounds(kind.fn, x, *args, **options),)


def _measure(kind: Kind, arrays: dict[str, np.ndarray], seconds: float) -> Result:
    """Check one kind against the reference, then time it, a copy and block_reduce in turns."""
    import numbapool as nbp
    from numbapool import testing

    fn = getattr(nbp, kind.fn)
    x, args, options = kind.call(arrays)
    dy = None
    into: dict[str, Any] = {}
    if kind.backward:
        dy = np.random.default_rng(0).random(fn(x, *args, **options).shape, dtype=np.float32)
        pullback = nbp.vjp(fn, x, *args, **options)[1]
        ours: Callable[[], Any] = lambda: pullback(dy)
    else:
        ours = lambda: fn(x, *args, **options, **into)
    results = _parts(ours())
    start = time.perf_counter()
    expected = _expected(kind, x, args, options, dy)
    reference = time.perf_counter() - start
    for result, values in zip(results, expected, strict=True):
        testing.assert_matches(result, *values)
    if not kind.backward and "out" in inspect.signature(fn).parameters:
        into["out"] = results if len(results) > 1 else results[0]

    moved = x if dy is None else dy
    given = [moved, *(v for v in (*args, *options.values()) if isinstance(v, np.ndarray))]
    nbytes = sum(a.nbytes for a in (*given, *results))

    # a copy reads and writes: half as many bytes each; where a call returns a new array, its copy does too
    source = np.ones(nbytes // 2, np.uint8)
    target = source.copy()
    copy: Callable[[], Any] = (lambda: np.copyto(target, source)) if into else source.copy

    blocks = None
    if kind.blocks:
        reduce, func = extra("skimage.measure").block_reduce, getattr(np, kind.blocks)
        window = np.ones(x.ndim, int)
        n = int(kind.fn[-2])
        window[list(kind.options.get("axes", range(-n, 0)))] = kind.args[0]
        blocks = lambda: reduce(x, tuple(int(w) for w in window), func)

    times = _in_turns([ours, copy, *([blocks] if blocks else [])], seconds)
    shapes = (moved.shape, results[0].shape)
    return Result(kind, shapes, times[0], nbytes, times[1], reference, times[2] if blocks else None)


def _in_turns(calls: list[Callable[[], Any]], seconds: float, most: int = 200) -> list[float]:
    """Best seconds of each call, one after the other so that all meet the same machine."""
    times: list[list[float]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or (len(times[0]) < most and time.perf_counter() < end):
        for call, seen in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            seen.append(time.perf_counter() - start)
    return [min(seen) for seen in times]


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


def _rows(results: list[Result]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for r in results:
        shape = " -> ".join("×".join(map(str, s)) for s in r.shapes)
        rows.append(
            (
                r.kind.title,
                r.kind.on,
                shape,
                f"{r.seconds * 1e3:.2f} ms",
                f"{r.nbytes / r.seconds / 1e9:.1f}",
                f"{r.share:.0%}",
                _times(r.reference / r.seconds),
                _times(r.blocks and r.blocks / r.seconds),
            )
        )
    return rows


def patch_gradients(photo: np.ndarray) -> dict[str, np.ndarray]:
    """A few pixels of the photograph and the gradients that one output pixel, or all, send back to them."""
    import numbapool as nbp

    x = np.ascontiguousarray(photo[140:147, 120:127, 1].astype(np.float32))
    one = np.zeros((3, 3), np.float32)
    one[1, 1] = 1
    return {
        "pixels": x,
        "max": nbp.vjp(nbp.max_pool2d, x, 3, 2)[1](one),
        "avg": nbp.vjp(nbp.avg_pool2d, x, 3, 2)[1](one),
        "all": nbp.vjp(nbp.max_pool2d, x, 3, 2)[1](np.ones_like(one)),
    }


def _grids(patch: dict[str, np.ndarray]) -> str:
    columns = [
        ("the pixels, a window in [ ]", patch["pixels"], "{:4.0f}"),
        ("max_pool2d(3, 2)", patch["max"], "{:4.0f}"),
        ("avg_pool2d(3, 2)", patch["avg"], "{:4.2f}"),
        ("max, all outputs", patch["all"], "{:4.0f}"),
    ]
    lines = ["  ".join(f"{title:<35}" for title, _, _ in columns).rstrip()]
    for i in range(7):
        cells = []
        for c, (_, values, form) in enumerate(columns):
            row = [form.format(v) if v else "   ·" for v in values[i]]
            ends = (
                ["[" if j == 2 else "]" if j == 5 else " " for j in range(8)]
                if c == 0 and 2 <= i <= 4
                else [" "] * 8
            )
            cells.append("".join(e + v for e, v in zip(ends, [*row, ""], strict=True)))
        lines.append("  ".join(f"{cell:<35}" for cell in cells).rstrip())
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    if not 400 <= args.size <= 16384:
        args.command.error(f"argument --size: {args.size} is not between 400 and 16384")
    if args.output.suffix.lower() != ".png":
        args.command.error(f"argument --output: {str(args.output)!r} does not end in .png")
    for module in ("skimage", "matplotlib", "rich"):
        extra(module)
    from numbapool import configuration

    from .picture import draw

    photo = photograph()
    inputs = _inputs(photo, args.size)
    print(
        "One photograph: Chelsea the cat, by Stefan van der Walt (CC0), shipped by scikit-image.", flush=True
    )
    results = []
    with progress(len(KINDS) + 1) as step:
        for kind in KINDS:
            step(f"{kind.title}, checked against NumPy")
            try:
                results.append(_measure(kind, inputs, args.seconds))
            except AssertionError as e:
                raise CommandError(f"{kind.title} differs from the NumPy reference: {e}") from None
        step(f"drawing {args.output}")
        patch = patch_gradients(photo)
        with replacing(args.output) as file:
            draw(file, photo, patch, results, configuration.config())

    print(
        f"\nAll {len(results)} agree with the NumPy reference. Bytes are input and output, indices and masks too, each once "
        "(backward: dy and dx).\n"
    )
    print(
        table(
            ("kind", "array", "shape", "time", "GB/s", "of a copy", "NumPy ref.", "block_reduce"),
            _rows(results),
            left=3,
        )
    )
    print(
        "\nimage: channels last, uint8; planes: channels first, float32; clip: 8 frames; small: one plane; strided: "
        "planes[:, ::-2, ::2]; half: float16; tiles: planes cut into 8 × 8; pooled, indices: of max_pool2d(planes, 2); mask: brighter than "
        "a third; gaps: planes, NaN where the mask is False; weights: by column.\nTimes are the best of several; "
        '"of a copy": speed in relation to copying as many bytes, measured in turns with it; the last two columns: how many times '
        "faster than the check against the reference, and than block_reduce."
    )
    print("\nWhere the gradient of one output pixel goes:\n")
    print(_grids(patch))
    print(f"\nThe picture: {args.output}")
