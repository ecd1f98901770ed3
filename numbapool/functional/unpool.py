"""Max unpooling: values back to where max pooling found them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numbapool import arguments, dispatch, dtypes
from numbapool.functional import texts
from numbapool.request import public, recall

_DOC = """Values back to the places along {axes} where max pooling found them, zeros everywhere else.

Parameters
----------
x : array_like
    Any number of leading (batch, channel) axes, then the {n} pooled {axis_word}; or the pooled axes anywhere, named by `axes`. Dtypes: bool, (u)int8 to
    (u)int64, float16, bfloat16, float32, float64. Any memory layout, read in place.
indices : array_like of int
    Of x's shape: the element of the result's plane that each value goes to, counted in row-major order, as ``max_pool{n}d(…, return_indices=True)``
    returns them; −1 for nowhere. int64 is read in place.
kernel_size : int or sequence of int
    Elements of the windows that were pooled, for all pooled axes or one per axis.
stride : int or sequence of int, optional
    Steps between the windows. Default: `kernel_size`.
padding : int, sequence of int, sequence of (before, after) or {{"valid", "same", "same_lower"}}
    What had been added on each side, at most ``kernel_size - 1``. "same" needs `output_size`.
output_size : int or sequence of int, optional
    Sizes of the result along the pooled axes, or its full shape. Default: ``(size - 1) * stride - before - after + kernel_size``;
    others must be less than one `stride` away from that ("same": ``ceil(output_size / stride)`` must be x's size).
axes : int or sequence of int, keyword only
    The pooled axes, NumPy's convention; default: the last {n}.

Returns
-------
y : ndarray
    Of x's dtype and memory order.

Raises
------
TypeError
    A wrong type or dtype of an argument; masked arrays.
ValueError
    A wrong value or shape of an argument, an index that names no element of the result among them. (With ``options(check_values=False)`` such an index
    is treated as −1.)

Notes
-----
Of several values with the same index the last one in row-major order stays, always. The gradient is that of this forward: each value that stayed
gets the gradient of the element that it went to, all others 0. On a GPU the check of the indices waits for the current stream.

References
----------
The conventions of ``torch.nn.functional.max_unpool{n}d``; M. D. Zeiler, G. W. Taylor and R. Fergus, Adaptive Deconvolutional Networks, ICCV 2011.

Examples
--------
>>> import numpy as np, numbapool as nbp
{example}
"""

_EXAMPLES = {
    1: ">>> y, indices = nbp.max_pool1d([1., 5., 2., 3.], 2, return_indices=True)\n"
    ">>> nbp.max_unpool1d(y, indices, 2)\narray([0., 5., 0., 3.])",
    2: ">>> y, indices = nbp.max_pool2d([[1., 5.], [2., 3.]], 2, return_indices=True)\n"
    ">>> nbp.max_unpool2d(y, indices, 2)\narray([[0., 5.],\n       [0., 0.]])",
    3: ">>> y, indices = nbp.max_pool3d(np.arange(8.).reshape(2, 2, 2), 2, return_indices=True)\n"
    ">>> nbp.max_unpool3d(y, indices, 2)\n"
    "array([[[0., 0.],\n        [0., 0.]],\n<BLANKLINE>\n       [[0., 0.],\n        [0., 7.]]])",
}


@dataclass
class Unpooling:
    """An unpooling call with all its arguments checked, but for the values of the indices. It can do what a `Request` can.

    Attributes
    ----------
    x, indices : ndarray or DeviceArray
        Of one shape; indices of any integer dtype.
    axes : tuple of int
        Pooled axes, ascending.
    shape : tuple of int
        Of the result.
    cells : tuple of int or None
        How far apart the windows are along each of the axes, where none overlaps another.
    kind : object
        The kind of container that x came in.
    """

    x: Any
    indices: Any
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    cells: tuple[int, ...] | None
    kind: Any

    family = "unpool"
    looks = True  # at indices
    restored = shape_out = None

    @property
    def x_name(self) -> str:
        """The dtype of x by name."""
        return dtypes.name_of(self.x.dtype)

    y_name = x_name

    def wrapped(self, y: Any) -> Any:
        """A backend's result in the caller's kind of container."""
        return y if self.kind is None else self.kind.wrap(y, self.y_name)


def _max_unpool(n: int):
    def unpool(x, indices, kernel_size, stride=None, padding=0, output_size=None, *, axes=None) -> Unpooling:
        x, kind = dispatch.array(x)
        pooled, shape, cells = recall(_result, x.shape, n, axes, kernel_size, stride, padding, output_size)
        indices, _ = dispatch.array(indices, "indices", x)
        if dtypes.kind(dtypes.name_of(indices.dtype)) not in "iu":
            raise TypeError(f"indices must be integers, not {indices.dtype}")
        if indices.shape != x.shape:
            raise ValueError(f"indices must have the shape of x, {x.shape}, not {indices.shape}")
        return Unpooling(x, indices, pooled, shape, cells, kind)

    unpool.__name__ = unpool.__qualname__ = f"max_unpool{n}d"
    unpool.__module__ = __name__
    axes, axis_word = texts.AXES[n]
    unpool.__doc__ = _DOC.format(n=n, axes=axes, axis_word=axis_word, example=_EXAMPLES[n])
    return public(unpool)


def _result(shape, n, axes, kernel_size, stride, padding, output_size):
    """The pooled axes, ascending, the shape of the result and the `cells`, for arguments as the caller gave them."""
    given = arguments.pooled_axes(axes, n, len(shape))
    kernel = arguments.per_axis(kernel_size, n, "kernel_size", 1)
    steps = kernel if stride is None else arguments.per_axis(stride, n, "stride", 1)
    pads = arguments.padding_pairs(padding, n)
    sizes = _output_sizes(output_size, shape, given)
    arguments.not_empty(shape, given)
    result = list(shape)
    for i, a in enumerate(given):
        result[a] = _size(shape[a], kernel[i], steps[i], pads if isinstance(pads, str) else pads[i], sizes[i])
    arguments.possible(result, "kernel_size, stride, padding and output_size give")
    apart = all(k <= s for k, s in zip(kernel, steps, strict=True))
    cells = tuple(steps[given.index(a)] for a in sorted(given)) if apart else None
    return tuple(sorted(given)), tuple(result), cells


def _output_sizes(value, shape, axes):
    """`output_size=` along each of the axes, in their order; None where it is not given."""
    n, ndim = len(axes), len(shape)
    if value is None:
        return (None,) * n
    if ndim > n and arguments.is_sequence(value) and len(value) == ndim:
        full = arguments.per_axis(value, ndim, "output_size", 0)
        for a in range(ndim):
            if a not in axes and full[a] != shape[a]:
                raise ValueError(
                    f"output_size must agree with x's shape {shape} along the axes that are not pooled, not {value!r}"
                )
        return tuple(full[a] for a in axes)
    return arguments.per_axis(value, n, "output_size", 1)


def _size(size, kernel, stride, pads, wanted):
    """Elements of the result along an axis."""
    if pads == "valid":
        pads = (0, 0)
    if isinstance(pads, str):
        if wanted is None:
            raise ValueError(f"padding={pads!r} needs output_size: several sizes give {size} windows")
        low, high = (size - 1) * stride + 1, size * stride
    else:
        if max(pads) > kernel - 1:
            raise ValueError(f"padding must be at most {kernel - 1}, kernel_size - 1, not {pads}")
        default = (size - 1) * stride - sum(pads) + kernel
        wanted = default if wanted is None else wanted
        low, high = default - stride + 1, default + stride - 1
        if default < 1 and wanted == default:
            raise ValueError(f"kernel_size={kernel} with padding={pads} leaves no element of the result")
    if not max(low, 1) <= wanted <= high:
        raise ValueError(
            f"output_size must be from {max(low, 1)} to {high} where x has {size} elements, not {wanted}"
        )
    return wanted


max_unpool1d, max_unpool2d, max_unpool3d = (_max_unpool(n) for n in (1, 2, 3))
