"""A call taken apart: the array with its pooled axes last, which elements are there, and every window's taps."""

import inspect
import itertools
import math
import operator

import numpy as np

from .arithmetic import is_floating


# fmt: off
def _select(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, *,
            axes=None, nan_policy="propagate", where=None): ...
def _average(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None, *,
             dilation=1, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None): ...
def _sum(x, kernel_size, stride=None, padding=0, *, dilation=1, ceil_mode=False,
         axes=None, dtype=None, nan_policy="propagate", where=None, weights=None): ...
def _lp(x, norm_type, kernel_size, stride=None, ceil_mode=False, *, padding=0, dilation=1,
        axes=None, dtype=None, nan_policy="propagate", where=None): ...
def _adaptive_max(x, output_size, return_indices=False, *, axes=None, nan_policy="propagate", where=None): ...
def _adaptive_avg(x, output_size, *, axes=None, dtype=None, nan_policy="propagate", where=None, weights=None): ...
def _global_select(x, *, axes=(-2, -1), keepdims=True, return_indices=False, nan_policy="propagate", where=None): ...
def _global_sum(x, *, axes=(-2, -1), keepdims=True, dtype=None, nan_policy="propagate", where=None, weights=None): ...
def _global_lp(x, norm_type, *, axes=(-2, -1), keepdims=True, dtype=None, nan_policy="propagate", where=None): ...
def _fractional(x, kernel_size, output_size=None, output_ratio=None, return_indices=False, *,
                random_samples=None, rng=None, axes=None): ...
def _unpool(x, indices, kernel_size, stride=None, padding=0, output_size=None, *, axes=None): ...
# fmt: on

_SLIDING = {"max": _select, "min": _select, "avg": _average, "sum": _sum, "lp": _lp}
_ADAPTIVE = {"max": _adaptive_max, "avg": _adaptive_avg}
_GLOBAL = {
    "max": _global_select,
    "min": _global_select,
    "avg": _global_sum,
    "sum": _global_sum,
    "lp": _global_lp,
}

# name: form of the windows, operation, number of axes, arguments
_FUNCTIONS = {
    **{f"{op}_pool{n}d": ("sliding", op, n, f) for op, f in _SLIDING.items() for n in (1, 2, 3)},
    **{f"adaptive_{op}_pool{n}d": ("adaptive", op, n, f) for op, f in _ADAPTIVE.items() for n in (1, 2, 3)},
    **{f"global_{op}_pool": ("global", op, None, f) for op, f in _GLOBAL.items()},
    **{f"fractional_max_pool{n}d": ("fractional", "max", n, _fractional) for n in (2, 3)},
    **{f"max_unpool{n}d": ("unpool", "unpool", n, _unpool) for n in (1, 2, 3)},
}


def described(fn_name):
    """The form of a function's windows, its operation, its number of axes (global: None) and a function of its arguments."""
    if fn_name not in _FUNCTIONS:
        raise ValueError(f"no reference for {fn_name!r}")
    return _FUNCTIONS[fn_name]


# ---------------------------------------------------------------------------------------------------- windows


def axis_windows(size, kernel, stride, padding, dilation=1, ceil_mode=False):
    """Positions of every tap of every window on one axis.

    Parameters
    ----------
    size, kernel, stride, dilation : int
    padding : (int, int) or {"same", "same_lower"}
    ceil_mode : bool

    Returns
    -------
    positions : ndarray of int, shape (windows, kernel)
        Where each tap lies; outside 0 … size-1 there is nothing.
    end : int
        Where the padding behind the axis ends.
    """
    span = dilation * (kernel - 1) + 1
    if min(size, kernel, stride, dilation) < 1:
        raise ValueError(
            f"size, kernel_size, stride and dilation must be positive: {size, kernel, stride, dilation}"
        )
    if isinstance(padding, str):
        count = -(-size // stride)
        total = max((count - 1) * stride + span - size, 0)
        before = total // 2 if padding == "same" else total - total // 2
        after = total - before
    else:
        before, after = check_padding(padding, span)
        room = size + before + after - span
        count = (-(-room // stride) if ceil_mode else room // stride) + 1
        if (count - 1) * stride >= size + before:  # such a window would start in the padding behind the axis
            count -= 1
    if count < 1:
        raise ValueError(f"kernel_size {kernel} with dilation {dilation} leaves no output of size {size}")
    return np.arange(count)[:, None] * stride - before + np.arange(kernel) * dilation, size + after


def adaptive_windows(size, count):
    """As `axis_windows`: window i is [floor(i·size/count), ceil((i+1)·size/count)); -1 fills the shorter rows."""
    if min(size, count) < 1:
        raise ValueError(f"size and output_size must be positive: {size, count}")
    rows = [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    width = max(len(row) for row in rows)
    return np.array([[*row, *[-1] * (width - len(row))] for row in rows])


def fractional_windows(size, kernel, count, sample):
    """As `axis_windows`: torch's intervals for one random sample, in the precision of that sample."""
    last = size - kernel
    starts = [last] * count
    if count > 1:
        number = type(sample)
        step = number(last) / number(count - 1)
        for i in range(count - 1):
            starts[i] = min(int((number(i) + sample) * step) - int(sample * step), last)
    return np.array(starts)[:, None] + np.arange(kernel)


def taps(windows, sizes):
    """For each tap of the window, in row-major order: which outputs have it, and the input element it is."""
    for tap in itertools.product(*(range(w.shape[1]) for w in windows)):
        outputs, inputs = [], []
        for w, size, t in zip(windows, sizes, tap, strict=True):
            there = np.flatnonzero((w[:, t] >= 0) & (w[:, t] < size))
            outputs.append(there)
            inputs.append(w[there, t])
        yield (..., *np.ix_(*outputs)), (..., *np.ix_(*inputs))


def add_to(array, inputs, values):
    """``array[inputs] += values``, where an element may be the same tap of several windows (adaptive ones)."""
    if all(len(set(axis.flat)) == axis.size for axis in inputs[1:]):
        array[inputs] += values
    else:
        np.add.at(array, inputs, values)


def check_padding(padding, span):
    """A pair of at most the effective kernel - 1 each."""
    if not (0 <= padding[0] < span and 0 <= padding[1] < span):
        raise ValueError(f"padding {padding} must lie between 0 and the effective kernel - 1 = {span - 1}")
    return padding


def _per_axis(value, n, name):
    values = [value] * n if value is None or np.ndim(value) == 0 else list(value)
    if len(values) != n:
        raise ValueError(f"{name} must have one value per pooled axis ({n}), got {value!r}")
    return [None if v is None else operator.index(v) for v in values]


def _paddings(padding, n):
    if isinstance(padding, str):
        return [{"valid": (0, 0)}.get(padding, padding)] * n
    if np.ndim(padding) == 0:
        return [(int(padding), int(padding))] * n
    if n == 1 and np.ndim(padding) == 1 and len(padding) == 2:
        return [(int(padding[0]), int(padding[1]))]
    return [(int(p), int(p)) if np.ndim(p) == 0 else (int(p[0]), int(p[1])) for p in padding]


# ------------------------------------------------------------------------------------------------------- calls


class Call:
    """The bound arguments of one call. Every array has the pooled axes last, in ascending order.

    Attributes
    ----------
    x : ndarray
    present : ndarray of bool, x's shape
        False: `where` masks the element, or `nan_policy="omit"` drops it.
    dropped : ndarray of bool, x's shape
        The NaNs that `nan_policy="omit"` drops and `where` would have kept.
    weights : ndarray or None
        Broadcast to x's shape.
    windows : list of ndarray
        Positions of the taps, one table per axis (fractional and unpool: none; see `random_windows`).
    divisor : ndarray or number or None
        Of an average whose divisor follows from the windows alone. None: present taps or weights are counted.
    shape, dtype
        Of the result.
    """

    def __init__(self, fn_name, x, args, kwargs):
        self.form, self.op, n, arguments = described(fn_name)
        bound = inspect.signature(arguments).bind(x, *args, **kwargs)
        bound.apply_defaults()
        given = self.given = bound.arguments
        x = np.asarray(x)
        x = x.astype(x.dtype.newbyteorder("="))
        if not (x.dtype.kind in "biu" or is_floating(x.dtype)):
            raise TypeError(f"x must be bool, integer or floating of at most 64 bits, got {x.dtype}")
        axes = given["axes"] if given["axes"] is not None else range(-(n or x.ndim), 0)
        axes = [axes] if np.ndim(axes) == 0 else list(axes)
        self.n = n = len(axes) if n is None else n
        known = all(-x.ndim <= a < x.ndim for a in axes)
        axes = [a % max(x.ndim, 1) for a in axes]
        if not known or n < 1 or len(axes) != n or len(set(axes)) != n:
            raise ValueError(f"axes must name {n} different axes of x, got {given['axes']}")
        self.order = [int(i) for i in np.argsort(axes)]
        self.axes = [int(axes[i]) for i in self.order]
        self.keepdims = given.get("keepdims", True)
        self.original_shape = x.shape
        self.x = self.moved(x)
        self.lead, self.sizes = self.x.shape[: x.ndim - n], self.x.shape[x.ndim - n :]
        if min(self.sizes) < 1:
            raise ValueError(f"the pooled axes of x must not be empty, got shape {x.shape}")
        self.windows = []
        self.return_indices = bool(given.get("return_indices", False))
        self._bind_elements(given)
        self.dtype = self._result_dtype(given.get("dtype"))
        self.norm = given.get("norm_type", 0)
        if self.op == "lp" and not (abs(self.norm) > 0):
            raise ValueError(f"norm_type must be a number but 0, got {self.norm}")
        {
            "sliding": self._slide,
            "adaptive": self._adapt,
            "global": self._adapt,
            "fractional": self._fraction,
            "unpool": self._unpool,
        }[self.form]()

    # -------------------------------------------------------------------------------------------- elements

    def _bind_elements(self, given):
        """`where`, `nan_policy` and `weights`."""
        where, weights = given.get("where"), given.get("weights")
        policy = given.get("nan_policy", "propagate")
        if policy not in ("propagate", "omit", "raise"):
            raise ValueError(f"nan_policy must be 'propagate', 'omit' or 'raise', got {policy!r}")
        where = np.asarray(True if where is None else where)
        if where.dtype != bool:
            raise TypeError(f"where must be boolean, got {where.dtype}")
        self.present = self.moved(np.broadcast_to(where, self.original_shape))
        with np.errstate(invalid="ignore"):  # signalling NaNs
            nan = (self.x != self.x) & self.present
        if policy == "raise" and nan.any():
            raise ValueError("x contains NaN and nan_policy is 'raise'")
        self.dropped = nan if policy == "omit" else np.zeros_like(nan)
        self.present = self.present & ~self.dropped
        self.weights = None
        if weights is not None:
            weights = np.asarray(weights)
            if not (weights.dtype.kind in "biu" or is_floating(weights.dtype)):
                raise TypeError(f"weights must be real numbers, got {weights.dtype}")
            self.weights_shape, self.weights_dtype = weights.shape, weights.dtype.newbyteorder("=")
            self.weights = self.moved(np.broadcast_to(weights.astype(np.float64), self.original_shape))
        # the option decides, not what it does to this array
        self.counts_present = policy == "omit" or given.get("where") is not None or weights is not None

    def _result_dtype(self, dtype):
        x = self.x.dtype
        if self.op in ("max", "min", "unpool"):
            return x
        if dtype is None:
            if is_floating(x):
                return x
            if self.op != "sum" or self.weights is not None:
                return np.dtype(np.float64)
            return np.dtype(np.uint64 if x.kind == "u" else np.int64)
        dtype = np.dtype(dtype).newbyteorder("=")
        if is_floating(x) and not is_floating(dtype):
            raise TypeError(f"dtype must be floating for floating x, got {dtype}")
        return dtype

    # --------------------------------------------------------------------------------------------- windows

    def _sorted(self, value, name):
        """An argument with one value per axis in the order of `axes`, in the array's own order of axes."""
        values = _per_axis(value, self.n, name)
        return [values[i] for i in self.order]

    def _set_counts(self, counts):
        self.shape = (*self.lead, *counts)

    def _slide(self):
        given = self.given
        kernel = self._sorted(given["kernel_size"], "kernel_size")
        dilation = self._sorted(given["dilation"], "dilation")
        stride = kernel if given["stride"] is None else self._sorted(given["stride"], "stride")
        paddings = _paddings(given["padding"], self.n)
        padding = [paddings[i] for i in self.order]
        axes = zip(self.sizes, kernel, stride, padding, dilation, strict=True)
        tables = [axis_windows(*axis, given["ceil_mode"]) for axis in axes]
        self.windows, ends = [w for w, _ in tables], [end for _, end in tables]
        self._set_counts(len(w) for w in self.windows)
        override = given.get("divisor_override")
        if override is not None and (override == 0 or self.counts_present):
            raise ValueError(
                "divisor_override must not be 0, nor given with where, weights or nan_policy='omit'"
            )
        self.divisor = override
        if self.op == "avg" and override is None and not self.counts_present:
            # how many taps count: those that end before the padding does, or those on the axis
            include = given["count_include_pad"] and not isinstance(given["padding"], str)
            limits = zip(self.windows, self.sizes, ends, strict=True)
            counts = [((w < end) if include else (w >= 0) & (w < size)).sum(1) for w, size, end in limits]
            self.divisor = math.prod(np.ix_(*counts))

    def _adapt(self):
        counts = (
            [1] * self.n if self.form == "global" else self._sorted(self.given["output_size"], "output_size")
        )
        counts = [size if count is None else count for size, count in zip(self.sizes, counts, strict=True)]
        self.windows = [adaptive_windows(size, count) for size, count in zip(self.sizes, counts, strict=True)]
        self._set_counts(counts)
        self.divisor = None

    def _fraction(self):
        given = self.given
        kernel = self._sorted(given["kernel_size"], "kernel_size")
        if (given["output_size"] is None) == (given["output_ratio"] is None):
            raise ValueError("exactly one of output_size and output_ratio must be given")
        if given["output_size"] is not None:
            counts = self._sorted(given["output_size"], "output_size")
        else:
            ratio = given["output_ratio"]
            ratios = [ratio] * self.n if np.ndim(ratio) == 0 else list(ratio)
            if len(ratios) != self.n or not all(0 < r < 1 for r in ratios):
                raise ValueError(f"output_ratio must lie between 0 and 1 for each axis, got {ratio}")
            counts = [int(size * ratios[i]) for size, i in zip(self.sizes, self.order, strict=True)]
        for size, k, count in zip(self.sizes, kernel, counts, strict=True):
            if k < 1 or count < 1 or count + k - 1 > size:
                raise ValueError(
                    f"output_size + kernel_size - 1 must be at most {size}, got {count} + {k} - 1"
                )
        samples = given["random_samples"]
        if samples is None:
            samples = np.random.default_rng(given["rng"]).random((*self.lead, self.n))
        samples = np.asarray(samples)
        samples = samples if is_floating(samples.dtype) else samples.astype(np.float64)
        if samples.shape == (1, *self.lead, self.n) and len(self.lead) == 1:
            samples = samples[0]  # torch's for x without a batch axis
        if samples.shape != (*self.lead, self.n):
            raise ValueError(f"random_samples must have shape {(*self.lead, self.n)}, got {samples.shape}")
        if not ((samples >= 0) & (samples <= 1)).all():
            raise ValueError("random_samples must lie between 0 and 1")
        self.samples = samples[..., ::-1] if self.n == 2 else samples  # torch: (W, H), but (T, H, W)
        self.kernel = kernel
        self._set_counts(counts)

    def random_windows(self, plane):
        """The windows of one plane (an index of the leading axes) of a fractional pooling."""
        counts = self.shape[len(self.lead) :]
        axes = zip(self.sizes, self.kernel, counts, self.samples[plane], strict=True)
        return [fractional_windows(*axis) for axis in axes]

    def _unpool(self):
        given, n = self.given, self.n
        indices = np.asarray(given["indices"])
        if indices.dtype.kind not in "iu":
            raise TypeError(f"indices must be integers, got {indices.dtype}")
        if indices.shape != self.original_shape:
            raise ValueError(f"indices must have x's shape {self.original_shape}, got {indices.shape}")
        self.indices = self.moved(indices)
        kernel = self._sorted(given["kernel_size"], "kernel_size")
        stride = kernel if given["stride"] is None else self._sorted(given["stride"], "stride")
        paddings = _paddings(given["padding"], n)
        wanted = given["output_size"]
        if wanted is not None and np.ndim(wanted) == 1 and len(wanted) == self.x.ndim > n:
            others = [s for a, s in enumerate(wanted) if a not in self.axes]
            if others != list(self.lead):
                raise ValueError(f"output_size {wanted} does not fit x of shape {self.original_shape}")
            wanted = [wanted[a] for a in self.axes]
        elif wanted is not None:
            wanted = self._sorted(wanted, "output_size")
        sizes = []
        for a, (length, k, s) in enumerate(zip(self.sizes, kernel, stride, strict=True)):
            if min(k, s) < 1:
                raise ValueError(f"kernel_size and stride must be positive: {k, s}")
            padding = paddings[self.order[a]]
            if isinstance(padding, str):
                if wanted is None:
                    raise ValueError(f"padding {padding!r} needs output_size")
                low, high = (length - 1) * s + 1, length * s  # those sizes of which ceil(size / s) is length
                size = wanted[a]
            else:
                default = (length - 1) * s - sum(check_padding(padding, k)) + k
                low, high = default - s + 1, default + s - 1
                size = default if wanted is None else wanted[a]
            if not max(low, 1) <= size <= high:
                raise ValueError(f"output_size must lie between {max(low, 1)} and {high}, got {size}")
            sizes.append(size)
        self._set_counts(sizes)
        if self.indices.size and not (self.indices.min() >= -1 and self.indices.max() < math.prod(sizes)):
            raise ValueError(f"indices must lie between -1 and {math.prod(sizes) - 1}")

    # ------------------------------------------------------------------------------------------- there and back

    def moved(self, array):
        """An array of x's shape with the pooled axes last."""
        return np.moveaxis(array, self.axes, range(-self.n, 0))

    def moved_result(self, array):
        """An array of the result's shape (or one that broadcasts to it) with the pooled axes last."""
        shape = self.restored(np.empty(self.shape, bool)).shape
        array = np.broadcast_to(array, shape)
        return self.moved(array if self.keepdims else np.expand_dims(array, tuple(self.axes)))

    def restored_input(self, array):
        """The pooled axes back to where they came from."""
        return np.ascontiguousarray(np.moveaxis(array, range(-self.n, 0), self.axes))

    def restored(self, array):
        """A result with its pooled axes where they belong, or without them."""
        array = self.restored_input(array)
        return array if self.keepdims else array.squeeze(tuple(self.axes))

    @property
    def taps_per_window(self):
        """At most; of those that add something up."""
        return math.prod(w.shape[1] for w in self.windows)
