"""What is measured: the cases and their data. What they must give is in `definition`."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from .definition import backward, exact, forward, tolerance
from .windows import Adaptive, Fractional, Global, Sliding, Unpool

__all__ = ["CASES", "LAYOUTS", "Case", "Data", "backward", "exact", "forward", "np_dtype", "tolerance"]

LAYOUTS = ("C", "NHWC", "F", "strided")


@dataclass(frozen=True)
class Case:
    """One pooling of one array; `shape` is the logical (N, C, spatial…), whatever the layout in memory."""

    op: str  # "max", "avg", "lp" or "unpool"
    shape: tuple
    window: Sliding | Adaptive | Global | Fractional | Unpool
    dtype: str = "float32"
    layout: str = "C"
    option: str = ""  # "omit": NaNs are left out; "where": what a mask of the last axes leaves out is; "indices": of maxima, forward
    threads: bool = False  # also timed with one thread

    @property
    def name(self):
        text = f"{self.op} {self.window.label(self.ndim)} ({','.join(map(str, self.shape))})"
        named = ((self.dtype, "float32"), (self.layout, "C"), (self.option, ""))
        return text + "".join(f" {v}" for v, default in named if v != default)

    @property
    def function(self):
        """The name of the public function, of numbapool and mostly of torch."""
        return self.window.function.format(op=self.op, n=self.ndim)

    @property
    def ndim(self):
        return len(self.shape) - 2

    @property
    def taps(self):
        """Of the largest window."""
        if self.op == "unpool":
            return 1
        samples = self.samples()[0, 0] if self.window.random else [None] * self.ndim
        spans = (self.window.spans(*axis) for axis in zip(self.input_shape[2:], samples))
        return prod(int((stop - start).max()) for start, stop in spans)

    @property
    def input_shape(self):
        """Logical shape of the array that is pooled: a strided case takes every other pixel of `shape`."""
        if self.layout != "strided":
            return self.shape
        return self.shape[:2] + tuple((n + 1) // 2 for n in self.shape[2:])

    @property
    def output_shape(self):
        return self.input_shape[:2] + tuple(map(self.window.count, self.input_shape[2:]))

    @property
    def simplest(self):
        """The windows as the least general rule has it: what a library without the general one can do."""
        return self.window.simplest(self.input_shape[2:])

    @property
    def axes(self):
        return tuple(range(1, 1 + self.ndim)) if self.layout == "NHWC" else None

    @property
    def is_float(self):
        return self.dtype not in ("uint8", "int8")

    @property
    def is_partial(self):
        """Whether elements are left out."""
        return self.option in ("omit", "where")

    @property
    def itemsize(self):
        return np_dtype(self.dtype).itemsize

    @property
    def nbytes(self):
        """The public inputs and the output, each once; the same number backward (dy and dx)."""
        extra = 8 * prod(self.shape) if self.op == "unpool" else 0
        extra += prod(self.shape[2:]) if self.option == "where" else 0
        extra += 8 * prod(self.output_shape) if self.option == "indices" else 0
        return (prod(self.input_shape) + prod(self.output_shape)) * self.itemsize + extra

    @property
    def work(self):
        """Taps visited by an algorithm that visits them all; decides which peers would take minutes."""
        return prod(self.output_shape) * self.taps

    def shrunk(self, limit=1 << 16, least=16):
        """The same case on fewer planes and smaller ones, for quick runs."""
        least = max(least, 2 * getattr(self.window, "kernel", 0))
        spatial = tuple(min(n, least) for n in self.shape[2:])
        planes = max(1, limit // prod(spatial))
        channels = min(self.shape[1], 16, planes)
        return replace(self, shape=(min(self.shape[0], max(1, planes // channels)), channels, *spatial))

    def indices(self):
        """Of an unpooling, logical: a random place in each window, counted in the plane of the result."""
        rng, shape, k = np.random.default_rng(1), self.shape[2:], self.window.kernel
        index = np.zeros(self.shape, np.int64)
        for axis, n in enumerate(shape):
            place = np.arange(n).reshape(-1, *(1,) * (self.ndim - 1 - axis)) * k
            index = index * n * k + place + rng.integers(0, k, self.shape)
        return index

    def samples(self):
        """The random numbers of each plane, one per pooled axis in the order of the axes."""
        return np.random.default_rng(1).random((*self.shape[:2], self.ndim), np.float32)

    def mask(self):
        """What is there, a boolean array of the pooled axes: nine of ten, and something in every window."""
        mask = np.random.default_rng(1).random(self.shape[2:], np.float32) < 0.9
        mask[(slice(None, None, 2),) * self.ndim] = True
        return mask


def np_dtype(name):
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


FIRST = ("max", (32, 64, 112, 112), Sliding(3, 2, 1))
NETWORKS = (
    FIRST,
    ("max", (1, 64, 112, 112), Sliding(3, 2, 1)),
    ("max", (16, 64, 224, 224), Sliding(2, 2)),
    ("avg", (16, 64, 224, 224), Sliding(2, 2)),
    ("avg", (32, 192, 35, 35), Sliding(3, 1, 1)),
    ("max", (32, 192, 35, 35), Sliding(5, 1, 2)),
    ("max", (16, 256, 20, 20), Sliding(13, 1, 6)),
)
HEADS = tuple((op, (64, 2048, 7, 7), Global()) for op in ("avg", "max"))
FAMILY = (
    *HEADS,
    ("avg", (32, 512, 14, 14), Adaptive(7)),
    ("avg", (8, 2048, 7, 7), Adaptive(1)),
    ("avg", (32, 256, 13, 13), Adaptive(6)),
    ("lp", (16, 64, 224, 224), Sliding(2, 2)),
    ("max", (16, 64, 112, 112), Fractional(2, 0.7)),
    ("unpool", (16, 64, 112, 112), Unpool(2)),
)
CASES = (
    *(Case(*args, threads=args[1][0] == 1) for args in NETWORKS),
    Case("max", (64, 512, 7, 7), Sliding(2, 2)),
    *(Case(op, (4, 32, 32, 64, 64), Sliding(2, 2)) for op in ("max", "avg")),
    Case("max", (64, 128, 4096), Sliding(3, 2)),
    *(Case(op, (1, 1, 8192, 8192), Sliding(2, 2)) for op in ("max", "avg")),
    *(Case(*args, layout="NHWC") for args in NETWORKS),
    *(Case(*FIRST, dtype=dtype) for dtype in ("float64", "bfloat16", "uint8")),
    *(Case(*FIRST, layout=layout) for layout in ("F", "strided")),
    *(
        Case(op, (1, 1, 2048, 2048), Sliding(k, 1, k // 2))
        for op in ("max", "avg")
        for k in (3, 7, 15, 31, 63, 127)
    ),
    *(Case(*args) for args in FAMILY),
    *(Case(*args, layout="NHWC") for args in HEADS),
    *(Case("avg", (1, 1, 4096, 4096), Sliding(2, 2), option=option) for option in ("omit", "where")),
    *(Case("avg", (1, 1, 4096, 4096), window, dtype="uint8") for window in (Sliding(2, 2), Sliding(3, 1, 1))),
    *(Case(*args, layout=layout, option="indices") for args in NETWORKS[:3] for layout in ("C", "NHWC")),
)


class Data:
    """The arrays of a case: `x` as numbapool gets it, `native` C-contiguous (N, C, …) for the peers."""

    def __init__(self, case, seed=0):
        self.case = case
        self.rng = np.random.default_rng(seed)
        x = self._random(case.shape)
        if case.option == "omit":
            x = np.where(case.mask(), x, x.dtype.type(np.nan))
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

    @cached_property
    def arguments(self):
        """Positional, behind the array, arrays logical: in torch's order, which is numbapool's."""
        indices = (self.case.indices(),) if self.case.op == "unpool" else ()
        return *indices, *self.case.window.arguments(self.case.op)

    @cached_property
    def samples(self):
        """The random numbers of fractional windows, in torch's order: in two dimensions the last one is the rows'."""
        samples = self.case.samples()
        return samples[..., ::-1].copy() if self.case.ndim == 2 else samples

    @cached_property
    def mask(self):
        return self.case.mask()

    def call(self, option=True):
        """The arguments of numbapool's function in the layout of the case, without the option to compare with."""
        case = self.case
        arrays = [self.given(a) if isinstance(a, np.ndarray) else a for a in self.arguments]
        keywords = {"axes": case.axes} if case.axes else {}
        if case.op == "avg" and not case.is_float:
            keywords["dtype"] = case.dtype
        if case.window.random:
            keywords["random_samples"] = self.samples
        if option and case.option:
            options = {"omit": ("nan_policy", "omit"), "indices": ("return_indices", True)}
            name, value = options.get(case.option) or ("where", self.mask)
            keywords[name] = value
        return (self.x, *arrays), keywords

    def given(self, logical):
        """A logical array in the memory layout of the case."""
        if self.case.layout == "NHWC":
            return np.ascontiguousarray(np.moveaxis(logical, 1, -1))
        return np.asfortranarray(logical) if self.case.layout == "F" else logical

    def result(self, value):
        """What a function gave for `x`, logical; of a pair of values and indices those that the indices name, if they are the values."""
        if self.case.option == "indices":
            return self.chosen(*map(self.logical, value))
        return self.logical(value)

    def chosen(self, y, indices):
        """The values at these places of x, which must be y; arrays are logical."""
        flat = self.native.reshape(*self.native.shape[:2], -1)
        found = np.take_along_axis(flat, indices.reshape(*y.shape[:2], -1), -1).reshape(y.shape)
        return np.where(found == y, y, np.nan)

    def logical(self, array):
        """The (N, C, spatial…) view of an array in the layout of the case."""
        return np.moveaxis(array, -1, 1) if self.case.layout == "NHWC" else array
