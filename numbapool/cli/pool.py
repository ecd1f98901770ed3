"""Pool one file into another: .png, .jpg, .tif or .npy.

Images are pooled over rows and columns, each channel on its own; an .npy array over its last axes, one for each
number in --window. The dtype is kept (a mean of integers is rounded, half to even), except that a sum is as wide as
NumPy's. Numbers for several axes are separated by commas, in the order of --axes.

examples:
  python -m numbapool pool photo.jpg small.png --op max --window 4
  python -m numbapool pool scan.tif half.tif --op avg --window 2 --ceil-mode
  python -m numbapool pool field.npy out.npy --op min --window 2,2,2 --stride 1 --padding same
  python -m numbapool pool nhwc.npy out.npy --op avg --window 3 --stride 2 --padding 0:1,1:1 --axes 1,2
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .console import CommandError, extra, replacing

HELP = "pool an image or an .npy array"
PILLOW = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
CHANNELS = {
    ("PNG", "uint8"): (1, 2, 3, 4),
    ("PNG", "uint16"): (1,),
    ("PNG", "bool"): (1,),
    ("JPEG", "uint8"): (1, 3),
}
TIFF = (".tif", ".tiff")
SUFFIXES = (*PILLOW, *TIFF, ".npy")


def _int(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if value < least:
        raise argparse.ArgumentTypeError(f"{value} is less than {least}")
    return value


def _sizes(text: str) -> int | tuple[int, ...]:
    sizes = tuple(_int(t, 1) for t in text.split(","))
    return sizes[0] if len(sizes) == 1 else sizes


def _padding(text: str) -> Any:
    """2 | 1,2 | 0:1,1:1 (before:after) | valid | same | same_lower."""
    if text in ("valid", "same", "same_lower"):
        return text
    sides = [tuple(_int(t, 0) for t in side.split(":")) for side in text.split(",")]
    if any(len(side) > 2 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r}: an axis has at most two sides, before:after")
    if all(len(side) == 1 for side in sides):
        return sides[0][0] if len(sides) == 1 else tuple(side[0] for side in sides)
    return tuple((side[0], side[-1]) for side in sides)


def _axes(text: str) -> tuple[int, ...]:
    return tuple(_int(t, -64) for t in text.split(","))


def _path(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in one of {' '.join(SUFFIXES)}")
    return path


def _dtype(text: str) -> np.dtype:
    try:
        return np.dtype(text)
    except TypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a NumPy dtype") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", type=_path)
    parser.add_argument("output", metavar="OUT", type=_path)
    parser.add_argument("--op", required=True, choices=("max", "min", "avg", "sum"))
    parser.add_argument("--window", required=True, type=_sizes, metavar="K[,K]", help="window size")
    parser.add_argument("--stride", type=_sizes, metavar="S[,S]", help="default: the window size")
    parser.add_argument(
        "--padding",
        type=_padding,
        default=0,
        metavar="P[,P]",
        help="a number, before:after, or valid, same, same_lower; default: 0",
    )
    parser.add_argument("--dilation", type=_sizes, default=1, metavar="D[,D]", help="default: 1")
    parser.add_argument(
        "--axes",
        type=_axes,
        metavar="A[,A]",
        help="axes to pool; write --axes=-2,-1 if the first is negative",
    )
    parser.add_argument("--ceil-mode", action="store_true", help="keep the smaller last window")
    parser.add_argument(
        "--count-include-pad",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="avg: count padding in the divisor (default: yes)",
    )
    parser.add_argument("--dtype", type=_dtype, help="avg, sum: dtype of the result")


def run(args: argparse.Namespace) -> None:
    import numbapool as nbp

    if args.dtype is not None and args.op in ("max", "min"):
        args.command.error(f"argument --dtype: {args.op} keeps the dtype of its input")
    x, image_axes = _read(args.input)
    axes = args.axes or _default_axes(args, x, image_axes)
    if len(axes) > 3:
        args.command.error(f"{len(axes)} axes given; 1, 2 or 3 can be pooled")

    options: dict[str, Any] = {"dilation": args.dilation, "ceil_mode": args.ceil_mode, "axes": axes}
    if args.op == "avg":
        options["count_include_pad"] = args.count_include_pad
    if args.op in ("avg", "sum"):
        options["dtype"] = args.dtype or (x.dtype if args.op == "avg" else None)
    fn = getattr(nbp, f"{args.op}_pool{len(axes)}d")
    start = time.perf_counter()
    y = fn(x, args.window, args.stride, args.padding, **options)
    seconds = time.perf_counter() - start
    _write(args.output, y)
    print(f"{args.input} {x.shape} {x.dtype} -> {args.output} {y.shape} {y.dtype} in {seconds * 1e3:.1f} ms")


def _default_axes(
    args: argparse.Namespace, x: np.ndarray, image_axes: tuple[int, int] | None
) -> tuple[int, ...]:
    n = len(args.window) if isinstance(args.window, tuple) else min(2, x.ndim)
    if image_axes is None:
        if n > x.ndim:
            raise CommandError(f"{args.input} has {x.ndim} axes, --window names {n}")
        return tuple(range(x.ndim - n, x.ndim))
    if n != 2:
        raise CommandError(f"--window names {n} axes and an image has 2: name them with --axes")
    return image_axes


def _read(path: Path) -> tuple[np.ndarray, tuple[int, int] | None]:
    """The array and, for an image, its row and column axes."""
    suffix = path.suffix.lower()
    path.stat()  # a missing file is one error, whatever would have read it
    try:
        if suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        if suffix in TIFF:
            tifffile = extra("tifffile")
            with tifffile.TiffFile(path) as file:
                series = file.series[0]
                return series.asarray(), (series.axes.index("Y"), series.axes.index("X"))
        return _read_pillow(path), (0, 1)
    except CommandError:
        raise
    except Exception as e:  # readers raise anything at all on a damaged file
        raise CommandError(f"cannot read {path}: {' '.join(str(e).split()) or type(e).__name__}") from None


def _read_pillow(path: Path) -> np.ndarray:
    extra("PIL.Image", "demo")
    from PIL import Image, ImageOps

    with warnings.catch_warnings(), Image.open(path) as file:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image: Image.Image = file
        if file.tile and "16" in str(file.tile[0]) and image.mode in ("RGB", "RGBA", "LA"):
            raise CommandError(
                f"{path} has 16-bit colours, which Pillow would cut to 8: save it as .tif or .npy"
            )
        if image.mode in ("P", "PA"):  # pooling numbers of colours means nothing
            image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
        return np.asarray(ImageOps.exif_transpose(image))


def _write(path: Path, y: np.ndarray) -> None:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        with replacing(path) as file:
            np.save(file, y)
    elif suffix in TIFF:
        tifffile = extra("tifffile")
        colour = y.ndim >= 3 and y.shape[-1] in (3, 4) and y.dtype.kind == "u"
        with replacing(path) as file:
            tifffile.imwrite(file, y, photometric="rgb" if colour else "minisblack")
    else:
        _write_pillow(path, y)


def _write_pillow(path: Path, y: np.ndarray) -> None:
    extra("PIL.Image", "demo")
    from PIL import Image

    format = PILLOW[path.suffix.lower()]
    channels = 1 if y.ndim == 2 else y.shape[-1] if y.ndim == 3 else 0
    if channels not in CHANNELS.get((format, y.dtype.name), ()):
        raise CommandError(
            f"a {path.suffix} file cannot hold {y.shape} {y.dtype}: write .tif or .npy instead, "
            "or (avg, sum) choose another --dtype"
        )
    with replacing(path) as file:
        Image.fromarray(y[..., 0] if y.ndim == 3 and channels == 1 else y).save(file, format)
