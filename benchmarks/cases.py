"""What is measured: the cases, their data, and results computed from the definition in plain NumPy."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

LAYOUTS = ("C", "NHWC", "F", "strided")


@dataclass(frozen=True)
class Case:
    """One pooling of one array; `shape` is the logical (N, C, spatial…), whatever the layout in memory."""

    op: str  # "max" or "avg"
    shape: tuple
    kernel: int
    stride: int = 1
    padding: int = 0
    dtype: str = "float32"
    layout: str = "C"
    threads: bool = False  # also timed with one thread

    @property
    def name(self):
        window = "x".join([str(self.kernel)] * self.ndim)
        text = f"{self.op} {window} s{self.stride} p{self.padding} ({','.join(map(str, self.shape))})"
        return text + "".join(
            f" {v}" for v, default in ((self.dtype, "float32"), (self.layout, "C")) if v != default
        )

    @property
    def ndim(self):
        return len(self.shape) - 2

    @property
    def taps(self):
        return self.kernel**self.ndim

    @property
    def input_shape(self):
        """Logical shape of the array that is pooled: a strided case takes every other pixel of `shape`."""
        if self.layout != "strided":
            return self.shape
        return self.shape[:2] + tuple((n + 1) // 2 for n in self.shape[2:])

    @property
    def output_shape(self):
        spatial = self.input_shape[2:]
        return self.input_shape[:2] + tuple(
            (n + 2 * self.padding - self.kernel) // self.stride + 1 for n in spatial
        )

    @property
    def axes(self):
        return tuple(range(1, 1 + self.ndim)) if self.layout == "NHWC" else None

    @property
    def is_float(self):
        return self.dtype not in ("uint8", "int8")

    @property
    def itemsize(self):
        return np_dtype(self.dtype).itemsize

    @property
    def nbytes(self):
        """The public input and output, each once; the same number backward (dy and dx)."""
        return (prod(self.input_shape) + prod(self.output_shape)) * self.itemsize

    @property
    def work(self):
        """Taps visited by an algorithm that visits them all; decides which peers would take minutes."""
        return prod(self.output_shape) * self.taps

    def shrunk(self, limit=1 << 16, least=16):
        """The same case on fewer planes and smaller ones, for quick runs."""
        least = max(least, 2 * self.kernel)
        spatial = tuple(min(n, least) for n in self.shape[2:])
        planes = max(1, limit // prod(spatial))
        channels = min(self.shape[1], 16, planes)
        shape = (min(self.shape[0], max(1, planes // channels)), channels, *spatial)
        return Case(
            self.op, shape, self.kernel, self.stride, self.padding, self.dtype, self.layout, self.threads
        )


def np_dtype(name):
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


FIRST = ("max", (32, 64, 112, 112), 3, 2, 1)
NETWORKS = (
    FIRST,
    ("max", (1, 64, 112, 112), 3, 2, 1),
    ("max", (16, 64, 224, 224), 2, 2),
    ("avg", (16, 64, 224, 224), 2, 2),
    ("avg", (32, 192, 35, 35), 3, 1, 1),
    ("max", (32, 192, 35, 35), 5, 1, 2),
    ("max", (16, 256, 20, 20), 13, 1, 6),
)
CASES = (
    *(Case(*args, threads=args[1][0] == 1) for args in NETWORKS),
    Case("max", (64, 512, 7, 7), 2, 2),
    *(Case(op, (4, 32, 32, 64, 64), 2, 2) for op in ("max", "avg")),
    Case("max", (64, 128, 4096), 3, 2),
    *(Case(op, (1, 1, 8192, 8192), 2, 2) for op in ("max", "avg")),
    *(Case(*args, layout="NHWC") for args in NETWORKS),
    *(Case(*FIRST, dtype=dtype) for dtype in ("float64", "bfloat16", "uint8")),
    *(Case(*FIRST, layout=layout) for layout in ("F", "strided")),
    *(Case(op, (1, 1, 2048, 2048), k, 1, k // 2) for op in ("max", "avg") for k in (3, 7, 15, 31, 63, 127)),
)


class Data:
    """The arrays of a case: `x` as numbapool gets it, `native` C-contiguous (N, C, …) for the peers."""

    def __init__(self, case, seed=0):
        self.case = case
        self.rng = np.random.default_rng(seed)
        x = self._random(case.shape)
        self.x = x[(..., *(slice(None, None, 2),) * case.ndim)] if case.layout == "strided" else self.given(x)
        self.native = x if self.x is x else np.ascontiguousarray(self.logical(self.x))

    def _random(self, shape):
        if not self.case.is_float:
            return self.rng.integers(0, 256, shape, dtype=np.uint8).astype(self.case.dtype, copy=False)
        dtype = np.dtype("float64" if self.case.dtype == "float64" else "float32")
        # A large array repeats one random block: the values are what matters, not their number.
        block = self.rng.standard_normal(min(prod(shape), (1 << 22) + 17), dtype=dtype)
        return np.resize(block, shape).astype(np_dtype(self.case.dtype), copy=False)

    @cached_property
    def dy(self):
        """Gradient of the result, logical and C-contiguous."""
        return self._random(self.case.output_shape)

    def given(self, logical):
        """A logical array in the memory layout of the case."""
        if self.case.layout == "NHWC":
            return np.ascontiguousarray(np.moveaxis(logical, 1, -1))
        return np.asfortranarray(logical) if self.case.layout == "F" else logical

    def logical(self, array):
        """The (N, C, spatial…) view of an array in the layout of the case."""
        return np.moveaxis(array, -1, 1) if self.case.layout == "NHWC" else array


def exact(array):
    """float16 and bfloat16 as float32, all else as it is: what NumPy can compare."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 and array.dtype.kind != "i" else array


def _slices(ndim, axis, start, stride, count):
    chosen = slice(start, start + stride * (count - 1) + 1, stride)
    return tuple(chosen if a == axis else slice(None) for a in range(ndim))


def forward(case, x):
    """Max or average of every window, axis by axis, averages in float64."""
    y = exact(x) if case.op == "max" else exact(x).astype(np.float64)
    for axis in range(2, y.ndim):
        count = (y.shape[axis] + 2 * case.padding - case.kernel) // case.stride + 1
        if case.padding:
            lowest = 0.0 if case.op == "avg" else -np.inf if case.is_float else np.iinfo(y.dtype).min
            pads = [(0, 0)] * y.ndim
            pads[axis] = (case.padding, case.padding)
            y = np.pad(y, pads, constant_values=lowest)
        taps = [y[_slices(y.ndim, axis, i, case.stride, count)] for i in range(case.kernel)]
        y = taps[0].copy()
        for tap in taps[1:]:
            np.maximum(y, tap, out=y) if case.op == "max" else np.add(y, tap, out=y)
    return y if case.op == "max" else y / case.taps


def backward(case, x, dy):
    """Gradient in float64: an average spreads dy over its window, a maximum sends it to its first place."""
    dy = exact(dy).astype(np.float64)
    padded = [n + 2 * case.padding for n in x.shape[2:]]
    inside = (..., *(slice(case.padding, n - case.padding) for n in padded))
    if case.op == "avg":
        dx = dy / case.taps
        for axis in range(2, x.ndim):
            wide = np.zeros((*dx.shape[:axis], padded[axis - 2], *dx.shape[axis + 1 :]))
            for i in range(case.kernel):
                wide[_slices(x.ndim, axis, i, case.stride, dx.shape[axis])] += dx
            dx = wide
        return dx[inside]
    x = exact(x)
    wide = np.full((*x.shape[:2], *padded), -np.inf, x.dtype)
    wide[inside] = x
    dx = np.zeros(wide.shape)
    y = forward(case, x)
    open_ = np.ones(y.shape, bool)
    for tap in np.ndindex(*(case.kernel,) * case.ndim):
        where = (slice(None), slice(None))
        for axis, i in enumerate(tap, 2):
            where += (slice(i, i + case.stride * (y.shape[axis] - 1) + 1, case.stride),)
        hit = (wide[where] == y) & open_
        open_ &= ~hit
        dx[where] += dy * hit
    return dx[inside]


def tolerance(case, values, direction="forward"):
    """Largest accepted error: maxima are exact; the rest is what plain summation in the dtype may lose."""
    if case.op == "max" and direction == "forward":
        return 0.0
    eps = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float64": 2.0**-53}.get(case.dtype, 2.0**-24)
    overlap = (-(-case.kernel // case.stride)) ** case.ndim
    roundings = 8 + (4 * case.taps**0.5 if case.op == "avg" else 2 * overlap)
    return eps * roundings * float(np.abs(exact(values)).max())
