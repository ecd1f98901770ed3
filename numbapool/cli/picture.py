"""The picture that the demo draws: what each kind of pooling does to a photograph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

import numbapool as nbp

if TYPE_CHECKING:
    from .demo import Result

BACK, CARD, TEXT, DIM, LINE = "#10151c", "#18202a", "#e8edf2", "#8b98a5", "#2a3644"
COLOURS = {
    "max": "#ffb454",
    "min": "#59c2ff",
    "avg": "#7fd962",
    "sum": "#d2a6ff",
    "lp": "#f07178",
    "unpool": "#95e6cb",
}
STYLE: dict[Any, Any] = {
    "figure.facecolor": BACK,
    "savefig.facecolor": BACK,
    "axes.facecolor": CARD,
    "axes.edgecolor": LINE,
    "text.color": TEXT,
    "axes.labelcolor": DIM,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def draw(
    file: BinaryIO,
    photo: np.ndarray,
    patch: dict[str, np.ndarray],
    results: list[Result],
    config: dict[str, Any],
) -> None:
    """Draw everything and write it as PNG."""
    import matplotlib
    from matplotlib.figure import Figure  # no pyplot: no window system, no global state

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(18, 13.8))
        grid = figure.add_gridspec(
            5, 6, left=0.022, right=0.982, top=0.918, bottom=0.037, wspace=0.07, hspace=0.27
        )
        figure.text(0.022, 0.969, "numbapool", size=27, weight="bold", va="center")
        figure.text(0.165, 0.9665, "one photograph, every kind of pooling", size=15, color=DIM, va="center")
        where = " · ".join(str(config[k]) for k in ("CPU", "SIMD") if k in config)
        figure.text(0.982, 0.967, where, size=10, color=DIM, va="center", ha="right")

        _image(
            figure.add_subplot(grid[:2, :2]),
            photo,
            "the photograph",
            f"{photo.shape} uint8, channels last",
            size=14,
        )
        figure.axes[0].annotate(
            "Chelsea, photographed by Stefan van der Walt (CC0)",
            (0, 0),
            (0, -8),
            size=8.5,
            color=DIM,
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
        )
        for i, (title, call, picture, cmap) in enumerate(_gallery(photo[:, :450])):
            _image(figure.add_subplot(grid[i // 4, 2 + i % 4]), picture, title, call, cmap)
        for i, (title, call, picture, cmap) in enumerate(_family(photo[:, :450])):
            _image(figure.add_subplot(grid[2, i]), picture, title, call, cmap)
        _scan_line(figure.add_subplot(grid[3, :2]), photo)
        _routes((figure.add_subplot(grid[3, 2]), figure.add_subplot(grid[3, 3])), photo)
        for i, (key, title, call) in enumerate(
            (
                ("pixels", "a few pixels", "one window of 3 × 3"),
                ("max", "gradient of one output: max", "vjp(max_pool2d, x, 3, 2)"),
                ("avg", "gradient of one output: average", "vjp(avg_pool2d, x, 3, 2)"),
                ("all", "gradient of all outputs: max", "shared pixels add up"),
            )
        ):
            _patch(figure.add_subplot(grid[4, i]), patch[key], title, call, key)
        _speed(figure.add_subplot(grid[3:, 4:]), results)
        figure.savefig(file, dpi=110, format="png")


def _titles(ax: Any, title: str, call: str, size: int = 11) -> None:
    for text, above, style in (
        (call, 5, {"size": 8.5, "color": DIM, "family": "DejaVu Sans Mono"}),
        (title, 18, {"size": size, "weight": "bold"}),
    ):
        ax.annotate(text, (0, 1), (0, above), xycoords="axes fraction", textcoords="offset points", **style)


def _image(
    ax: Any, picture: np.ndarray, title: str, call: str, cmap: str | None = None, size: int = 11
) -> None:
    ax.imshow(picture, cmap=cmap, interpolation="nearest", extent=(0, 451, 300, 0))
    ax.set_anchor("N")
    ax.set_axis_off()
    _titles(ax, title, call, size)


def _gallery(photo: np.ndarray) -> list[tuple[str, str, np.ndarray, str | None]]:
    green = np.ascontiguousarray(photo[..., 1])
    axes = (0, 1)
    edges = nbp.max_pool2d(green, 3, 1, 1) - nbp.min_pool2d(green, 3, 1, 1)
    clip = np.stack([np.roll(photo, -2 * t, axis=1) for t in range(12)])
    return [
        ("max", "max_pool2d(x, 10)", nbp.max_pool2d(photo, 10, axes=axes), None),
        ("min", "min_pool2d(x, 10)", nbp.min_pool2d(photo, 10, axes=axes), None),
        (
            "average",
            "avg_pool2d(x, 10, dtype=uint8)",
            nbp.avg_pool2d(photo, 10, axes=axes, dtype=np.uint8),
            None,
        ),
        ("sum", "sum_pool2d(edges, 10)", nbp.sum_pool2d(edges, 10), "magma"),
        ("overlapping windows", "max_pool2d(x, 9, 1, 4)", nbp.max_pool2d(photo, 9, 1, 4, axes=axes), None),
        ("max − min: outlines", "3 × 3, stride 1, padding 1", edges, "gray"),
        (
            "any shape of window",
            "avg_pool2d(x, (2, 45))",
            nbp.avg_pool2d(photo, (2, 45), axes=axes, dtype=np.uint8),
            None,
        ),
        (
            "3-D: twelve frames at once",
            "avg_pool3d(clip, (12, 2, 2))",
            nbp.avg_pool3d(clip, (12, 2, 2), axes=(0, 1, 2), dtype=np.uint8)[0],
            None,
        ),
    ]


def _family(photo: np.ndarray) -> list[tuple[str, str, np.ndarray, str | None]]:
    """Windows whose number is given, whole axes, norms, random windows, the way back, and pixels that are missing."""
    axes = (0, 1)
    height, width, _ = photo.shape

    columns = [
        nbp.global_max_pool(photo, axes=0),
        nbp.global_avg_pool(photo, axes=0, dtype=np.uint8),
        nbp.global_min_pool(photo, axes=0),
    ]
    light = photo.astype(np.float32) / 255
    green = np.ascontiguousarray(light[..., 1])
    contrast = nbp.lp_pool2d(green - nbp.avg_pool2d(green, 3, 1, "same"), 2, 4)
    fractions = light
    samples = np.random.default_rng(0).random((6, 1, 2)).repeat(3, 1)  # the same windows in each channel
    for sample in samples:
        fractions = nbp.fractional_max_pool2d(
            fractions, 2, output_ratio=0.7, random_samples=sample, axes=axes
        )
    eye = np.ascontiguousarray(light[74:134, 158:248])
    maxima = nbp.max_pool2d(eye, 3, axes=axes, return_indices=True)

    lost = np.random.default_rng(0).random((height, width, 1)) < 0.8
    gaps = np.where(lost, np.float32(np.nan), light)
    means = nbp.avg_pool2d(gaps, 6, axes=axes, nan_policy="omit").repeat(6, 0).repeat(6, 1)
    both = np.nan_to_num(np.where(np.arange(width)[:, None] < width // 2, gaps, means), nan=0.09)
    return [
        (
            "windows by their number",
            "adaptive_avg_pool2d(x, (8, 13))",
            nbp.adaptive_avg_pool2d(photo, (8, 13), axes=axes, dtype=np.uint8),
            None,
        ),
        (
            "columns: max, mean, min",
            "global_avg_pool(x, axes=0)",
            np.concatenate(columns).repeat(100, 0),
            None,
        ),
        ("norm: local contrast", "lp_pool2d(x − mean, 2, 4)", contrast**0.5, "inferno"),
        ("random windows, six times", "fractional_max_pool2d(x, 2, …)", fractions, None),
        (
            "back to where maxima stood",
            "max_unpool2d(y, indices, 3)",
            nbp.max_unpool2d(*maxima, 3, axes=axes),
            None,
        ),
        ("four of five pixels missing", 'avg_pool2d(x, 6, nan_policy="omit")', both, None),
    ]


def _routes(axes: tuple[Any, Any], photo: np.ndarray) -> None:
    """Where maxima stand in their windows, and how much gradient overlapping windows send to each pixel."""
    eye = np.ascontiguousarray(photo[74:134, 158:248])
    green = eye[..., 1].astype(np.float32)
    extent = (0, green.shape[1], green.shape[0], 0)

    indices = nbp.max_pool2d(green, 10, return_indices=True)[1]
    rows, columns = np.divmod(indices, green.shape[1])
    axes[0].imshow(eye, extent=extent, interpolation="nearest", alpha=0.75)
    axes[0].hlines(np.arange(0, 61, 10), 0, 90, color=BACK, lw=1)
    axes[0].vlines(np.arange(0, 91, 10), 0, 60, color=BACK, lw=1)
    axes[0].scatter(
        columns + 0.5, rows + 0.5, s=15, color=COLOURS["max"], edgecolor=BACK, lw=0.7, zorder=3, clip_on=False
    )
    _titles(axes[0], "where the maxima stand", "max_pool2d(x, 10, return_indices=True)")

    y, pullback = nbp.vjp(nbp.max_pool2d, green, 5, 1, 2)
    gradient = pullback(np.ones_like(y))
    axes[1].imshow(gradient**0.5, extent=extent, interpolation="nearest", cmap="inferno")
    _titles(axes[1], "where the gradient goes", "vjp(max_pool2d, x, 5, 1, 2)")
    for ax in axes:
        ax.set_anchor("N")
        ax.set_axis_off()


def _scan_line(ax: Any, photo: np.ndarray) -> None:
    line = np.ascontiguousarray(photo[178, :, 1].astype(np.float32))
    k = 15
    at = np.arange(line.size)
    low, high = nbp.min_pool1d(line, k, 1, k // 2), nbp.max_pool1d(line, k, 1, k // 2)
    mean = nbp.avg_pool1d(line, k, 1, k // 2, count_include_pad=False)
    ax.fill_between(at, low, high, color=TEXT, alpha=0.07, lw=0)
    ax.plot(at, line, color=DIM, lw=0.8, label="pixels")
    for op, values, name in (("max", high, "max"), ("avg", mean, "average"), ("min", low, "min")):
        ax.plot(at, values, color=COLOURS[op], lw=1.7, label=name)
    ax.set_xlim(0, line.size - 1)
    ax.set_xticks([])
    ax.set_ylim(bottom=0)
    ax.legend(
        ncols=4,
        frameon=False,
        fontsize=8,
        loc="upper right",
        bbox_to_anchor=(1.01, 1.17),
        labelcolor=TEXT,
        handlelength=1.3,
        columnspacing=1.2,
    )
    _titles(ax, "1-D: one row of pixels", "max_pool1d(row, 15, 1, 7)")


def _patch(ax: Any, values: np.ndarray, title: str, call: str, key: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    colour = COLOURS.get(key, COLOURS["max"])
    cmap = "gray" if key == "pixels" else LinearSegmentedColormap.from_list(key, [CARD, colour])
    ax.imshow(
        values,
        cmap=cmap,
        vmin=None if key == "pixels" else 0,
        vmax=None if key == "pixels" else values.max() * (2.2 if key == "avg" else 1),
        aspect="auto",
    )
    middle = (values.min() + values.max()) / 2
    for (i, j), v in np.ndenumerate(values):
        if key == "pixels" or v:
            ink = BACK if key != "avg" and v > middle else TEXT
            ax.text(
                j,
                i,
                f"{v:.2f}".lstrip("0") if key == "avg" else f"{v:.0f}",
                ha="center",
                va="center",
                size=8.5,
                color=ink,
            )
    ax.set_xticks(np.arange(-0.5, 7), [])
    ax.set_yticks(np.arange(-0.5, 7), [])
    ax.grid(color=BACK, lw=1)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if key != "all":
        ax.add_patch(
            Rectangle((1.5, 1.5), 3, 3, fill=False, ec=COLOURS["max" if key == "pixels" else key], lw=2)
        )
    _titles(ax, title, call)


def _label(result: Result) -> str:
    return result.kind.title.replace(" backward", " ←")


def _speed(ax: Any, results: list[Result]) -> None:
    arrays = ("planes", "clip", "tiles", "pooled", "gaps")
    shown = [
        r for r in results if r.kind.on in arrays and r.kind.op not in ("min", "sum") and len(_label(r)) < 31
    ]
    y = np.arange(len(shown))[::-1]
    ax.barh(
        y,
        [r.share * 100 for r in shown],
        height=0.62,
        color=[COLOURS[r.kind.op] for r in shown],
        alpha=0.9,
    )
    for at, r in zip(y, shown, strict=True):
        inside = r.share > 0.2
        ax.text(
            2 if inside else r.share * 100 + 2,
            at,
            f"{r.nbytes / r.seconds / 1e9:.1f} GB/s",
            va="center",
            size=7.5,
            weight="bold",
            color=BACK if inside else DIM,
        )
    ax.set_yticks(y, [_label(r) for r in shown], family="DejaVu Sans Mono", size=7)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.7, len(shown) - 0.3)
    ax.set_xlim(0, max(108, *(r.share * 100 + 4 for r in shown)))
    ax.axvline(100, color=TEXT, lw=1, ls=(0, (4, 3)), alpha=0.7)
    ax.set_xlabel("% of the speed of a copy of as many bytes; ← backward", size=8.5)
    box = ax.get_position()
    ax.set_position([box.x0 + 0.105, box.y0 + 0.01, box.width - 0.105, box.height - 0.01])
    _titles(ax, "speed", "a copy: 100 %, float32")
