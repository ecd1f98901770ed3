"""Vector-Jacobian products, as `jax.vjp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbapool import containers, dispatch, dtypes


def vjp(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Call a pooling function and get its pullback.

    Parameters
    ----------
    fn : callable
        A differentiable function of this package.
    *args, **kwargs
        Its arguments, except `out`. x must be floating.

    Returns
    -------
    y : array or tuple
        What ``fn(*args, **kwargs)`` returns.
    pullback : callable
        ``pullback(dy)`` is the gradient with respect to x, of x's kind, shape, dtype and memory order, where dy has the shape of y
        (broadcast strides are fine), any real dtype and any kind of container. With ``return_indices=True`` dy still belongs to the values alone. With
        floating `weights` it is the pair of the gradients with respect to x and to the weights, each in its shape and dtype. It may be called again; where elements
        are masked, left out, weighed or raised to a power it reads x, `where` and `weights` again, which must not have changed.

    Raises
    ------
    TypeError
        fn is not a function of this package, x is not floating, `out` is given, or dy is not a real array.
    ValueError
        As fn; or dy does not have y's shape.

    Notes
    -----
    Backward is deterministic: every element of the gradient is computed by one thread, in an order that depends on shapes alone. What it needs is saved by
    the forward call, one byte per window for max and min (eight if the window has eight or more elements along an axis, or more than 254), nothing for sums.

    Examples
    --------
    >>> import numpy as np, numbapool as nbp
    >>> y, pullback = nbp.vjp(nbp.max_pool1d, np.array([1., 5., 2., 3., 0.]), 3, 1)
    >>> pullback(np.ones(3))
    array([0., 2., 0., 1., 0.])
    """
    request_of = getattr(fn, "request", None)
    if request_of is None or not getattr(fn, "__module__", "").startswith("numbapool."):
        raise TypeError(f"fn must be a differentiable function of numbapool, not {fn!r}")
    if "out" in kwargs:
        raise TypeError("vjp takes no out=")
    request = request_of(*args, **kwargs)
    name, kind = request.x_name, request.kind
    shape = request.shape if request.shape_out is None else request.shape_out
    if not dtypes.is_float(name):
        raise TypeError(f"x must be floating to have a gradient, not {request.x.dtype}")
    returned, y, backward = dispatch.backend(request).vjp(request)
    dtype = y.dtype if kind is None or request.y_name != "bfloat16" else containers.bfloat16

    def pullback(dy: Any) -> Any:
        dy, _ = dispatch.array(dy, "dy", request.x)
        if dy.shape != shape:
            raise ValueError(f"dy must have the shape of y, {shape}, not {dy.shape}")
        if not dispatch.on_device(dy):  # there kernels take dy as it is
            dy = containers.converted(dy, dtype)
        dx = backward(dy if request.shape_out is None else dy.reshape(request.shape))
        dx, *rest = dx if isinstance(dx, tuple) else (dx,)
        if request.restored is not None:
            dx = request.restored(dx)
        dx = dx if kind is None else kind.wrap(dx, name)
        if not rest:
            return dx
        weights = request.presence.given
        return dx, rest[0] if weights.kind is None else weights.kind.wrap(rest[0], weights.dtype)

    return request.wrapped(returned), pullback
