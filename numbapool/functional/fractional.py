"""Fractional max pooling: windows at pseudo-random places, chosen for every plane."""

from __future__ import annotations

import numpy as np

from numbapool import arguments, dispatch, dtypes, settings
from numbapool.functional import texts
from numbapool.presence import numbers
from numbapool.reductions import MAX
from numbapool.request import Request, in_order, public, recall
from numbapool.windows import Planes, fractional

_DOC = """Maximum over windows at pseudo-random places along {axes}, chosen for every plane.

Parameters
----------
x : array_like
    Any number of leading (batch, channel) axes, then the {n} pooled {axis_word}; or the pooled axes anywhere, named by `axes`.
    {dtypes}
kernel_size : int or sequence of int
    Elements of a window, for all pooled axes or one per axis.
output_size : int or sequence of int, optional
    Number of windows, at most ``size - kernel_size + 1``.
output_ratio : float or sequence of float, optional
    The same as a fraction of the size, between 0 and 1: ``int(size * ratio)``. Exactly one of the two is given.
return_indices : bool
    Also return where each maximum was found.
random_samples : array_like of float, keyword only
    One number from 0 to 1 per plane and pooled axis: shape of x without the pooled axes, then {n}; or ``(1, C, {n})`` for x of shape (C, …).
    The columns belong to the pooled axes {order}. Default: drawn with `rng`.
rng : None, int or numpy.random.Generator, keyword only
    What draws the samples that are not given.
axes : int or sequence of int, keyword only
    The pooled axes, NumPy's convention; default: the last {n}.

Returns
-------
y : ndarray
    The maximum of every window, of x's dtype and memory order.{indices}

Raises
------
TypeError
    A wrong type or dtype of an argument; masked arrays.
ValueError
    A wrong value or shape of an argument, a sample outside of [0, 1] among them (unless ``options(check_values=False)``: such a sample
    is then taken for the nearest of these, NaN for 0).

Notes
-----
Along an axis of L elements, with n windows of k and the sample u: a = (L - k)/(n - 1), window i starts at ``int((i + u)·a) - int(u·a)``, the last one
at L - k. This is computed in the dtype of `random_samples` (float32 for halves), float64 for those drawn here. A NaN wins; of equal values the first.
With x on a GPU the samples may lie there or on the host; to check those on the GPU a call waits for the current stream.

References
----------
B. Graham, Fractional Max-Pooling, arXiv:1412.6071, in the form of ``torch.nn.functional.fractional_max_pool{n}d``.

Examples
--------
>>> import numpy as np, numbapool as nbp
{example}
"""

_EXAMPLES = {
    2: ">>> nbp.fractional_max_pool2d(np.arange(25.).reshape(5, 5), 2, 3, random_samples=[0., 0.5])\n"
    "array([[ 6.,  8.,  9.],\n       [11., 13., 14.],\n       [21., 23., 24.]])",
    3: ">>> nbp.fractional_max_pool3d(np.arange(27.).reshape(3, 3, 3), 2, 2, rng=0)\n"
    "array([[[13., 14.],\n        [16., 17.]],\n<BLANKLINE>\n       [[22., 23.],\n        [25., 26.]]])",
}


def _fractional_max(n: int):
    def pool(x, kernel_size, output_size=None, output_ratio=None, return_indices=False, *, random_samples=None, rng=None, axes=None) -> Request:  # fmt: skip
        x, kind = dispatch.array(x)
        ratio = _ratio(output_ratio, n)
        pooled, windows, _, counts, kernels = recall(
            _superset, x.shape, n, axes, kernel_size, output_size, ratio
        )
        indices = arguments.flag(return_indices, "return_indices")
        lead = tuple(s for a, s in enumerate(x.shape) if a not in pooled)
        samples = _samples(random_samples, rng, lead, n, x, kind)
        sizes = tuple(x.shape[a] for a in pooled)
        if n == 2:
            samples = samples.reversed() if dispatch.on_device(samples) else samples[..., ::-1]
        planes = Planes(samples, sizes, kernels, counts)
        return Request(MAX, x, pooled, windows, indices=indices, planes=planes, kind=kind)

    texts.named(pool, f"fractional_max_pool{n}d", __name__)
    axes, axis_word = texts.AXES[n]
    order = "the last axis first: (width, height)" if n == 2 else "in x's own order: (depth, height, width)"
    pool.__doc__ = _DOC.format(
        n=n, axes=axes, axis_word=axis_word, dtypes=texts.DTYPES, indices=texts.INDEX_RETURN, order=order, example=_EXAMPLES[n]
    )  # fmt: skip
    return public(pool)


def _ratio(value, n):
    """`output_ratio=` as None or one float per pooled axis."""
    if value is None:
        return None
    value = value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value
    values = tuple(value) if arguments.is_sequence(value) else (value,) * n
    if len(values) != n:
        raise ValueError(
            f"output_ratio must be a number or have one value per pooled axis ({n}), not {value!r}"
        )
    for v in values:
        if isinstance(v, (bool, np.bool_)) or not isinstance(v, (int, float, np.integer, np.floating)):
            raise TypeError(f"output_ratio must be a number between 0 and 1, not {v!r}")
        if not 0 < v < 1:
            raise ValueError(f"output_ratio must lie between 0 and 1, not {v!r}")
    return tuple(float(v) for v in values)


def _superset(shape, n, axes, kernel_size, output_size, ratio):
    """As `in_order`, for windows that contain those of all planes; and the numbers and sizes of windows along the pooled axes."""
    given = arguments.pooled_axes(axes, n, len(shape))
    arguments.not_empty(shape, given)
    kernel = arguments.per_axis(kernel_size, n, "kernel_size", 1)
    if (output_size is None) == (ratio is None):
        raise ValueError("exactly one of output_size and output_ratio must be given")
    if ratio is None:
        counts = arguments.per_axis(output_size, n, "output_size", 1)
    else:
        counts = tuple(int(shape[a] * r) for a, r in zip(given, ratio, strict=True))
    by_axis = {}
    for a, k, count in zip(given, kernel, counts, strict=True):
        if k > shape[a]:
            raise ValueError(f"kernel_size must be at most {shape[a]}, the elements along axis {a}, not {k}")
        if count < 1 or count + k - 1 > shape[a]:
            raise ValueError(
                f"{'output_size' if ratio is None else 'output_ratio'} must give from 1 to {shape[a] - k + 1} windows of kernel_size {k} "
                f"along an axis of {shape[a]} elements, not {count}"
            )
        by_axis[a] = count, k
    axes, windows, result = in_order(
        shape, {a: fractional(shape[a], k, count) for a, (count, k) in by_axis.items()}
    )
    return axes, windows, result, *(tuple(by_axis[a][i] for a in axes) for i in (0, 1))


def _samples(value, rng, lead, n, x, kind):
    """One number per plane and pooled axis, within [0, 1]; those of a device are for its backend to check."""
    shape = (*lead, n)
    if value is None:
        if isinstance(rng, (bool, np.bool_)):
            raise TypeError(f"rng must be None, an int or a numpy.random.Generator, not {rng!r}")
        try:
            return np.random.default_rng(rng).random(shape)
        except (TypeError, ValueError) as error:
            raise type(error)(f"rng must be None, an int or a numpy.random.Generator, not {rng!r}") from None
    if rng is not None:
        raise ValueError("rng must be None where random_samples are given")
    samples, _ = dispatch.array(value, "random_samples")
    if dispatch.on_device(samples):
        dispatch.together(samples, "random_samples", x)
        return _of_device(samples, (*lead, n), kind)
    if dtypes.name_of(samples.dtype) not in ("float32", "float64"):
        samples = numbers(samples).astype(
            np.float32 if dtypes.is_half(dtypes.name_of(samples.dtype)) else np.float64
        )
    _check_shape(samples.shape, shape)
    samples = samples.reshape(shape)
    inside = (samples >= 0) & (samples <= 1)
    if not inside.all():
        if settings.get("check_values"):
            raise ValueError(f"random_samples must lie between 0 and 1, not {samples[~inside].flat[0]}")
        samples = np.clip(np.nan_to_num(samples), 0, 1)
    return samples


def _check_shape(given, shape):
    if given != shape and (len(shape) != 2 or given != (1, *shape)):
        raise ValueError(f"random_samples must have shape {shape}, not {given}")


def _of_device(samples, shape, kind):
    from numbapool.backends import cuda

    _check_shape(samples.shape, shape)
    name = samples.dtype.name
    if name not in ("float32", "float64"):
        samples = cuda.copied(samples, kind, "float32" if dtypes.is_half(name) else "float64")
    return samples.reshape(shape)


fractional_max_pool2d, fractional_max_pool3d = (_fractional_max(n) for n in (2, 3))
