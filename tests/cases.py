"""One table of cases for all tests, and the arrays they run on."""

import math
from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np
import pytest

OPS = ("max", "min", "avg", "sum")
FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = ("bool", *INTEGERS, *FLOATS)
# Every dtype goes through the kernels for small windows of max and avg. Through all others go these: compiling takes about a second
# a kernel, and what differs between two integer dtypes, or max and min, is seen in the small ones. (`--slow` runs all of them.)
COMMON = ("uint8", "float16", "float32", "float64")
THOROUGH = {
    "max": (*COMMON, "int64", "bfloat16"),
    "min": ("float16", "float32", "int8", "uint8"),
    "avg": (*COMMON, "int64", "uint64", "bfloat16"),
    "sum": ("float16", "float32", "int64", "uint64"),
}


def slow_but(kept, values):
    """Parameters of a test, those that are not `kept` only with --slow."""
    mark = pytest.mark.slow
    return [
        v if v in kept else pytest.param(*(v if isinstance(v, tuple) else (v,)), marks=mark) for v in values
    ]


EACH = slow_but(
    [(op, d) for op in OPS for d in (DTYPES if op in ("max", "avg") else THOROUGH[op])],
    [(op, d) for op in OPS for d in DTYPES],
)
FUNCTIONS = tuple(f"{op}_pool{n}d" for op in OPS for n in (1, 2, 3))


def dtype_of(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


@dataclass(frozen=True)
class Case:
    """A shape and the options of a window; what an operation does not know is left out of its call."""

    n: int
    shape: tuple
    kernel: object
    stride: object = None
    padding: object = 0
    dilation: object = 1
    ceil: bool = False
    include: bool = True
    divisor: object = None
    axes: tuple | None = None

    def function(self, op):
        return f"{op}_pool{self.n}d"

    def options(self, op):
        """Keyword arguments for max, min, avg or sum."""
        kwargs = {
            "kernel_size": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil,
            "axes": self.axes,
        }
        if op == "avg":
            kwargs |= {"count_include_pad": self.include, "divisor_override": self.divisor}
        return kwargs

    @property
    def id(self):
        def text(value):
            return str(value).replace(" ", "").replace("'", "")

        parts = ["x".join(map(str, self.shape)), f"k{text(self.kernel)}"]
        parts += [f"s{text(self.stride)}"] * (self.stride is not None)
        parts += [f"p{text(self.padding)}"] * (self.padding != 0)
        parts += [f"d{text(self.dilation)}"] * (self.dilation != 1)
        parts += ["ceil"] * self.ceil + ["valid_only"] * (not self.include)
        parts += [f"div{self.divisor}"] * (self.divisor is not None)
        parts += [f"axes{text(self.axes)}"] * (self.axes is not None)
        return "-".join(parts)


def _table(n, shape, *options, **common):
    return [Case(n, shape, **{**common, **o}) for o in options]


def _o(kernel, stride=None, padding=0, dilation=1, **more):
    return {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation, **more}


# Every option, alone and together with those it meets.
OPTIONS_2D = _table(
    2, (2, 3, 11, 13),
    _o(2), _o(2, 1), _o(3, 2, 1), _o(3, 1, 1), _o(5, 1, 2), _o(1), _o(1, 2), _o(3, 5), _o(2, 3, 1),
    _o((11, 13)),
    _o((2, 3), (1, 2), (1, 0)), _o((1, 4), (3, 1), (0, 3)), _o((4, 1), (1, 3), (2, 0)),
    _o(3, 2, ((1, 0), (0, 2))), _o(3, 1, ((2, 2), (1, 0))), _o(4, 4, 3),
    _o(3, 2, "valid"), _o(2, 1, "same"), _o(2, 1, "same_lower"), _o(3, 2, "same"), _o(4, 3, "same_lower"),
    _o(2, 5, "same"), _o((3, 2), (2, 3), "same", (1, 2)),
    _o(2, 1, 0, 2), _o(3, 2, 2, (2, 3)), _o(2, 1, 1, 4), _o(3, 4, 5, 3), _o((2, 3), 1, (0, 4), (10, 3)),
    _o(2, 2, ceil=True), _o(3, 2, 1, ceil=True), _o(4, 3, 1, ceil=True), _o(2, 3, 1, ceil=True),
    _o(1, 2, ceil=True),
    _o(3, 5, (1, 0), ceil=True), _o(3, 2, 1, 2, ceil=True), _o((12, 14), (3, 3), ceil=True),
    _o(3, 2, "same", ceil=True),
    _o(3, 2, 1, include=False), _o(3, 2, 1, ceil=True, include=False),
    _o(3, 1, ((2, 0), (0, 1)), include=False),
    _o(3, 2, 2, (2, 3), include=False, ceil=True),
    _o(3, 2, 1, divisor=4), _o(3, 2, 1, ceil=True, divisor=-3, include=False), _o(2, divisor=1),
)  # fmt: skip

# Windows of which some have no valid tap at all.
NO_TAP = [
    Case(2, (2, 3, 2, 2), 2, 1, 2, 3),
    Case(2, (2, 3, 2, 2), 2, 1, 2, 3, include=False),
    Case(2, (3, 4, 5), 2, 1, (5, 2), (7, 3), include=False),
    Case(2, (3, 4, 20), (2, 3), 2, (5, 1), (7, 2), ceil=True),
    Case(1, (3, 1), 2, 1, "same", 2),
    Case(1, (2, 3), 2, 1, (4, 4), 5, ceil=True, include=False),
    Case(3, (2, 2, 1, 3), 2, 1, (2, 1, 1), (3, 2, 2), include=False),
]

# Planes too small for a vector, and those that just fill one.
SMALL_PLANES = [
    Case(2, (5, 1, 1), 1), Case(2, (5, 1, 1), 3, 1, 1), Case(2, (5, 1, 2), (1, 2)),
    Case(2, (5, 2, 1), (2, 1)),
    Case(2, (67, 2, 2), 2), Case(2, (4, 3, 3), 2, 1), Case(2, (4, 3, 3), 3, 2, 1),
    Case(2, (4, 3, 4), 2, ceil=True),
    Case(2, (6, 4, 4), 2), Case(2, (6, 5, 5), 3, 2, 1), Case(2, (6, 5, 5), 5, 1, 2), Case(2, (6, 6, 6), 3, 3),
    Case(2, (33, 7, 7), 2), Case(2, (33, 7, 7), 3, 2, 1), Case(2, (33, 7, 7), 7), Case(2, (9, 7, 7), 3, 1, 1),
    Case(2, (9, 8, 8), 2), Case(2, (9, 8, 8), 3, 2, "same"), Case(2, (9, 8, 8), 8),
    Case(2, (9, 8, 8), 13, 1, 6),
    Case(2, (3, 1, 300), 3, 2, 1), Case(2, (3, 300, 1), 3, 2, 1), Case(2, (3, 300, 2), 2),
]  # fmt: skip

# Windows whose cost must not grow, also where one covers the plane, and those of more than 254 taps.
LARGE_WINDOWS = [
    Case(2, (2, 20, 20), 13, 1, 6), Case(2, (2, 20, 20), 13, 2, 6), Case(2, (1, 45, 50), 31, 1, 15),
    Case(2, (1, 45, 50), 31, 2, 15, ceil=True), Case(2, (1, 70, 75), (40, 9), 1),
    Case(2, (1, 75, 70), (9, 40), 2),
    Case(2, (1, 64, 66), 17, 1), Case(2, (1, 64, 66), 17, 3, 8, include=False), Case(2, (1, 60, 61), 16, 16),
    Case(2, (2, 40, 90), (2, 7), 1, 0, (13, 12)), Case(2, (2, 40, 40), 9, 1, 12, 3),
    Case(2, (1, 50, 50), 33, 5),
    Case(1, (2, 700), 255, 1), Case(1, (2, 700), 254, 1), Case(1, (2, 700), 127, 2, 63),
    Case(1, (2, 700), 300, 7, 5, 2),
    Case(1, (1, 3000), 1025, 1, 512), Case(1, (1, 3000), 1024, 1024, ceil=True),
    Case(3, (1, 12, 12, 12), 7, 1, 3),
]  # fmt: skip

# Rows longer than any buffer one might think of as enough.
LONG_ROWS = [
    Case(2, (1, 5, 4200), 3, 1, 1), Case(2, (1, 5, 4200), 3, 2, 1), Case(2, (1, 5, 4201), 2),
    Case(2, (1, 5, 4200), (2, 5), 3),
    Case(2, (1, 5, 8200), (3, 31), 1, (1, 15)), Case(2, (1, 5, 4200), 3, 1, 0, 2),
    Case(2, (4200, 3), (3, 2), 2),
    Case(1, (2, 9001), 3, 2), Case(1, (70000,), 2), Case(1, (70001,), 4, 1, "same"),
    Case(1, (3, 4100), 5, 3, 2, 2),
]  # fmt: skip

# Channels last, for channel counts around the vector lengths, and other places for the pooled axes.
CHANNELS = (1, 3, 5, 16, 64, 100)
CHANNELS_LAST = [
    Case(2, (2, 9, 10, c), *o, axes=(1, 2)) for c in CHANNELS for o in ((2,), (3, 2, 1), (3, 1, "same"))
] + [
    Case(2, (1, 12, 40, 3), 5, 3, 2, 2, ceil=True, axes=(1, 2)),
    Case(2, (1, 12, 40, 20), (4, 9), 1, axes=(1, 2), include=False, padding=(1, 3)),
    Case(2, (1, 24, 23, 18), 17, 1, 8, axes=(1, 2)),
    Case(1, (2, 50, 7), 3, 2, 1, axes=(1,)),
    Case(1, (300, 5), 4, axes=(0,)),
    Case(3, (2, 5, 6, 7, 5), 2, axes=(1, 2, 3)),
    Case(3, (1, 5, 6, 7, 33), 3, 2, 1, axes=(1, 2, 3)),
]  # fmt: skip
OTHER_AXES = [
    Case(2, (5, 3, 6, 4), 2, 1, axes=(0, 2)), Case(2, (5, 3, 6, 4), 3, 2, 1, axes=(1, 3)),
    Case(2, (7, 3, 6), 2, axes=(0, 2)),
    Case(2, (5, 3, 9, 8), (2, 3), (1, 2), ((1, 0), (0, 2)), axes=(3, 1)),
    Case(2, (6, 7, 5), 2, 1, axes=(-2, -3)),
    Case(2, (6, 9), (3, 2), axes=(1, 0)), Case(3, (4, 2, 5, 3, 6), (2, 1, 3), (1, 1, 2), axes=(4, 0, 2)),
    Case(3, (4, 5, 6, 2), 2, 1, 1, axes=(2, 0, 1)), Case(1, (4, 5, 6, 2), 2, 1, axes=(1,)),
    Case(1, (4, 5, 6), 3, axes=-2),
    Case(2, (2, 3, 2, 2, 3, 6, 7), 2, axes=(-2, -1)), Case(2, (2, 6, 2, 7, 2, 3), 3, 2, 1, axes=(1, 3)),
]  # fmt: skip

OPTIONS_1D = _table(
    1, (3, 17),
    _o(2), _o(3, 2, 1), _o(3, 1, "same"), _o(4, 3, (1, 2)), _o(4, 3, ((1, 2),)), _o((4,), (3,), (2,), (2,)),
    _o(17), _o(5, 4, ceil=True),
    _o(3, 2, 1, include=False, ceil=True), _o(18, 2, ceil=True), _o(2, 7), _o(1),
)  # fmt: skip
OPTIONS_3D = _table(
    3, (2, 5, 6, 7),
    _o(2), _o(2, 1), _o(3, 2, 1), _o((1, 2, 3)), _o((3, 1, 2), (1, 2, 1), (1, 0, 1)), _o(3, 2, "same"),
    _o(2, 2, ceil=True),
    _o(2, 1, 1, 2), _o((2, 2, 3), (2, 1, 3), ((1, 0), (0, 1), (2, 1)), include=False), _o((5, 6, 7)),
    _o(3, 3, 1, ceil=True, divisor=7),
)  # fmt: skip

ALL = [
    *OPTIONS_1D, *OPTIONS_2D, *OPTIONS_3D, *NO_TAP, *SMALL_PLANES, *LARGE_WINDOWS, *LONG_ROWS, *CHANNELS_LAST,
    *OTHER_AXES,
]  # fmt: skip

# One case for every way through the kernels, for the tests that multiply by dtypes or layouts.
KERNEL_PATHS = [
    Case(2, (2, 3, 11, 43), 2), Case(2, (2, 3, 11, 43), 3, 1, 1),
    Case(2, (2, 3, 11, 43), 3, 2, 1, include=False),
    Case(2, (2, 3, 11, 43), (2, 4), 3, 1, ceil=True), Case(2, (2, 3, 11, 43), 3, 2, 2, 2),
    Case(2, (67, 7, 7), 2),
    Case(2, (9, 5, 5), 3, 1, 1), Case(2, (5, 9, 1), (3, 1), 2), Case(2, (1, 24, 50), 13, 1, 6),
    Case(2, (1, 40, 50), 17, 2),
    Case(2, (1, 9, 10, 3), 3, 2, 1, axes=(1, 2)), Case(2, (1, 9, 10, 3), 3, 1, 1, axes=(1, 2)),
    Case(2, (1, 9, 10, 70), 2, axes=(1, 2)), Case(2, (1, 9, 10, 70), 3, 1, "same", axes=(1, 2)),
    Case(1, (2, 300), 3, 2), Case(1, (2, 300), 65, 1, 32), Case(1, (2, 300), 129, 1, 64), Case(1, (300, 5), 4, 3, axes=(0,)),
    Case(3, (2, 5, 6, 19), 2),
    Case(3, (1, 5, 6, 7, 20), 3, 2, 1, axes=(1, 2, 3)), Case(2, (5, 3, 9, 20), (2, 3), 1, axes=(3, 1)),
    NO_TAP[0], NO_TAP[2],
]  # fmt: skip

# Of these, the ones with small windows.
SMALL_WINDOWS = [c for c in KERNEL_PATHS if c.n < 3 and max(np.ravel(c.kernel)) < 8 and c not in NO_TAP]

# Small enough for the kernels' templates to be run by the Python interpreter.
TINY = [
    Case(2, (1, 4, 5), 2), Case(2, (2, 4, 5), 3, 2, 1), Case(2, (1, 4, 5), 2, 1, "same"),
    Case(2, (1, 5, 19), 3, 1, 1),
    Case(2, (1, 4, 18), (2, 3), 3, 1, ceil=True), Case(2, (3, 4, 2), 2, 1, axes=(0, 1)),
    Case(2, (1, 3, 4, 17), 2, 2, axes=(1, 2)),
    Case(2, (1, 2, 2), 2, 1, 2, 3, include=False), Case(2, (1, 6, 20), 17, 1, 8, include=False),
    Case(1, (20,), 9, 1, 4),
    Case(1, (7,), 3, 2), Case(3, (2, 3, 3), 2, 1), Case(2, (4, 3), (3, 2), axes=(1, 0), stride=1),
]  # fmt: skip


def parametrize(table, ops=OPS):
    """Run a test for every operation and case."""
    params = [pytest.param(op, case, id=f"{op}-{case.n}d-{case.id}") for op in ops for case in table]
    return pytest.mark.parametrize(("op", "case"), params)


def with_width(case, width):
    """The case with another length of its last axis."""
    return replace(case, shape=(*case.shape[:-1], width))


def array(shape, dtype="float32", kind="any", seed=0):
    """Random values: "any" over the range of the dtype, "ties" few and small, "distinct" all different."""
    dtype = dtype_of(dtype)
    rng = np.random.default_rng([seed, *shape])
    if dtype.kind == "b":
        return rng.random(shape) < (0.5 if kind == "any" else 0.1)
    if kind == "distinct":
        return (rng.permutation(math.prod(shape)).reshape(shape) - math.prod(shape) // 2).astype(dtype)
    if kind == "ties":
        return rng.integers(0 if dtype.kind == "u" else -3, 4, shape).astype(dtype)
    if dtype.kind in "iu":
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    return (rng.standard_normal(shape) * 2.0 ** rng.integers(-6, 6, shape)).astype(dtype)


def forget_plans():
    """Have all plans made anew, for what a test has changed."""
    from numbapool import repeated
    from numbapool.backends import forms, gradient_plans, index_plans, plans

    caches = (
        forms.form_of,
        plans.forward,
        gradient_plans.summing,
        gradient_plans.selecting,
        index_plans.indexing,
    )
    for cache in caches:
        cache.cache_clear()
    repeated.forget()


def same_bits(a, b):
    """Equal dtype, shape and bytes."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _row(fn, x, *args, expect, **kwargs):
    name = f"{fn}-{np.asarray(x).tolist() if np.size(x) < 10 else np.shape(x)}-{args}-{kwargs}".replace(
        " ", ""
    )
    return pytest.param(fn, x, args, kwargs, expect, id=name)


_ONE_TO_FIVE = [1.0, 2, 3, 4, 5]
_SMALLEST = np.full((1, 2, 2), -128, np.int8)

# Numbers that the documentation states: function, x, positional arguments, keyword arguments, result
# (a tuple with indices).
DOCUMENTED = [
    # output sizes
    _row("max_pool1d", [1.0, 2, 3], 2, 2, 1, ceil_mode=True, expect=[1, 3]),
    _row("max_pool1d", _ONE_TO_FIVE, 2, ceil_mode=True, expect=[2, 4, 5]),
    _row("max_pool1d", [1.0, 2], 1, 2, ceil_mode=True, expect=[1]),
    _row("max_pool1d", [1.0, 2], 3, 2, ceil_mode=True, expect=[2]),
    _row("max_pool1d", _ONE_TO_FIVE, 2, 1, "same", expect=[2, 3, 4, 5, 5]),
    _row("max_pool1d", _ONE_TO_FIVE, 2, 1, "same_lower", expect=[1, 2, 3, 4, 5]),
    _row("avg_pool1d", _ONE_TO_FIVE, 2, 2, "same", expect=[1.5, 3.5, 5]),
    _row("avg_pool1d", _ONE_TO_FIVE, 2, 2, "same_lower", expect=[1, 2.5, 4.5]),
    _row("avg_pool1d", _ONE_TO_FIVE, 2, 2, "same", count_include_pad=True, expect=[1.5, 3.5, 5]),
    _row("max_pool1d", _ONE_TO_FIVE, 2, 2, "same", ceil_mode=True, expect=[2, 4, 5]),
    _row("max_pool1d", _ONE_TO_FIVE, 2, 2, "valid", expect=[2, 4]),
    # padding never wins; ties; all -inf; no valid tap
    _row(
        "max_pool2d", _SMALLEST, 2, 2, 1, return_indices=True,
        expect=(np.full((1, 2, 2), -128, np.int8), [[[0, 1], [2, 3]]]),
    ),
    _row("max_pool1d", [2.0, 7, 7, 7], 3, 1, return_indices=True, expect=([7, 7], [1, 1])),
    _row("max_pool1d", [-np.inf, -np.inf], 2, return_indices=True, expect=([-np.inf], [0])),
    _row("max_pool1d", [1.0, np.nan, 3, np.nan], 4, return_indices=True, expect=([np.nan], [1])),
    _row("min_pool1d", [1.0, np.nan, 3, np.nan], 4, return_indices=True, expect=([np.nan], [1])),
    _row("max_pool1d", [0.0, -0.0], 2, return_indices=True, expect=([0.0], [0])),
    _row("max_pool1d", [-0.0, 0.0], 2, return_indices=True, expect=([-0.0], [0])),
    _row("min_pool1d", [0.0, -0.0], 2, return_indices=True, expect=([0.0], [0])),
    _row("max_pool1d", [3.0], 2, 1, 1, 2, return_indices=True, expect=([-np.inf], [-1])),
    _row("min_pool1d", [3.0], 2, 1, 1, 2, return_indices=True, expect=([np.inf], [-1])),
    _row("max_pool1d", np.int16([3]), 2, 1, 1, 2, return_indices=True, expect=(np.int16([-32768]), [-1])),
    _row("min_pool1d", np.uint8([3]), 2, 1, 1, 2, return_indices=True, expect=(np.uint8([255]), [-1])),
    _row("sum_pool1d", [3.0], 2, 1, 1, dilation=2, expect=[0]),
    _row("avg_pool1d", [3.0], 2, 1, 1, dilation=2, count_include_pad=False, expect=[np.nan]),
    _row("avg_pool1d", [3.0], 2, 1, 1, dilation=2, expect=[0]),
    _row("avg_pool1d", np.uint8([3]), 2, 1, 1, dilation=2, count_include_pad=False, dtype="uint8", expect=np.uint8([0])),
    # divisors
    _row("avg_pool1d", [1.0, 2, 3], 2, 2, 1, expect=[0.5, 2.5]),
    _row("avg_pool1d", [1.0, 2, 3], 2, 2, 1, count_include_pad=False, expect=[1, 2.5]),
    _row("avg_pool1d", [1.0, 2, 3, 4], 3, 2, 1, ceil_mode=True, expect=[1, 3, 2]),
    _row("avg_pool1d", [1.0, 2, 3, 4], 3, 2, 1, ceil_mode=True, count_include_pad=False, expect=[1.5, 3, 4]),
    _row("avg_pool1d", np.ones(5), 5, 5, 1, ceil_mode=True, expect=[0.8, 0.5]),
    _row("avg_pool1d", [1.0, 2, 3, 4], 2, 1, (0, 1), expect=[1.5, 2.5, 3.5, 2]),
    _row("avg_pool1d", [1.0, 2, 3, 4], 2, 1, [(0, 1)], expect=[1.5, 2.5, 3.5, 2]),
    _row("avg_pool1d", _ONE_TO_FIVE, 2, 1, dilation=2, expect=[2, 3, 4]),
    _row("avg_pool1d", [1.0, 2, 3], 2, 2, 1, divisor_override=4, expect=[0.25, 1.25]),
    # integers
    _row("avg_pool1d", np.uint8([1, 2, 2, 2]), 4, expect=[1.75]),
    _row("avg_pool1d", np.uint8([1, 2, 2, 2]), 4, dtype=np.uint8, expect=np.uint8([2])),
    _row("avg_pool1d", np.uint8([255, 255, 255, 254, 2, 3, 1, 2]), 2, dtype=np.uint8, expect=np.uint8([255, 254, 2, 2])),
    _row("avg_pool1d", np.int8([-1, -2, -3, -4, -128, -128]), 2, dtype=np.int8, expect=np.int8([-2, -4, -128])),
    _row("sum_pool1d", np.uint8([200, 100]), 2, expect=np.uint64([300])),
    _row("sum_pool1d", np.int8([-100, -100]), 2, expect=np.int64([-200])),
    _row("sum_pool1d", np.uint8([200, 100]), 2, dtype=np.uint8, expect=np.uint8([44])),
    _row("sum_pool1d", np.array([True, True, False]), 3, expect=np.int64([2])),
    _row("avg_pool1d", np.array([True, True, False, False]), 4, expect=[0.5]),
    _row("sum_pool1d", np.int64([2**62, 2**61, 1]), 3, expect=np.int64([2**62 + 2**61 + 1])),
    _row("sum_pool1d", np.uint64([2**63, 2**62, 3]), 3, expect=np.uint64([2**63 + 2**62 + 3])),
    # inf and -inf
    _row("sum_pool1d", [1.0, np.inf, -np.inf, 2, 3], 2, 1, expect=[np.inf, np.nan, -np.inf, 5]),
    _row("avg_pool1d", [1.0, np.inf, 3, 4, -np.inf, 5, 6], 2, 1, expect=[np.inf, np.inf, 3.5, -np.inf, -np.inf, 5.5]),
]  # fmt: skip

# The same for gradients of dy = 1.
DOCUMENTED_GRADIENTS = [
    _row("max_pool1d", [1.0, 5, 2, 3, 0], 3, 1, expect=[0, 2, 0, 1, 0]),
    _row("avg_pool1d", [1.0, 2, 3], 2, 2, 1, expect=[0.5, 0.5, 0.5]),
    _row("avg_pool1d", [1.0, 2, 3], 2, 2, 1, count_include_pad=False, expect=[1, 0.5, 0.5]),
    _row("avg_pool1d", _ONE_TO_FIVE, 2, ceil_mode=True, expect=[0.5, 0.5, 0.5, 0.5, 1]),
    _row("sum_pool1d", [1.0, 2, 3], 2, 1, expect=[1, 2, 1]),
    _row("min_pool1d", [1.0, 5, 2, 3, 0], 3, 1, expect=[1, 0, 1, 0, 1]),
    _row("max_pool1d", [3.0], 2, 1, 1, 2, expect=[0]),
    _row("max_pool1d", [4.0, 4, 4], 3, expect=[1, 0, 0]),
    _row("max_pool1d", [4.0, np.nan, np.nan], 3, expect=[0, 1, 0]),
    _row("max_pool1d", [-np.inf, -np.inf], 2, expect=[1, 0]),
    _row("avg_pool1d", [1.0, 2, 3], 2, 1, divisor_override=4, expect=[0.25, 0.5, 0.25]),
]
