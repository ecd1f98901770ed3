"""The peers that work on NumPy's arrays: what a NumPy user writes, SciPy, scikit-image, OpenCV, bottleneck, xarray."""

import numpy as np

from .contenders import Contender, Unsupported, forward_only, sliding
from .windows import Sliding


def blocks(case):
    """The shape of an array cut into its windows, and the axes within a window: windows side by side, nothing left over."""
    window, sizes = case.simplest, case.input_shape[2:]
    regular = isinstance(window, Sliding) and window.kernel == window.stride and not window.padding
    if not regular or any(n % window.kernel for n in sizes) or case.op not in ("max", "avg"):
        raise Unsupported
    cut = [n for size in sizes for n in (size // window.kernel, window.kernel)]
    return (*case.input_shape[:2], *cut), tuple(range(3, 2 + len(cut), 2))


def numpy(job):
    """A reshaped view; only for NaNs and masks, because scikit-image does the same for the rest."""
    case, x = job.case, job.data.native
    forward_only(job)
    if not case.is_partial:
        raise Unsupported
    shape, inner = blocks(case)
    if case.option == "omit":
        return [Contender("numpy", lambda: np.nanmean(x.reshape(shape), axis=inner))]
    where = np.broadcast_to(job.data.mask, x.shape)
    return [Contender("numpy", lambda: np.mean(x.reshape(shape), axis=inner, where=where.reshape(shape)))]


def bottleneck(job):
    """It reduces one axis, so the elements of each window are brought side by side."""
    import bottleneck

    case, data = job.case, job.data
    forward_only(job)
    if not case.is_partial:
        raise Unsupported
    shape, inner = blocks(case)
    outer = tuple(a for a in range(len(shape)) if a not in inner)
    last = (*(shape[a] for a in outer), -1)

    def run():
        x = data.native if case.option == "omit" else np.where(data.mask, data.native, np.float32(np.nan))
        return bottleneck.nanmean(x.reshape(shape).transpose(*outer, *inner).reshape(last), axis=-1)

    return [Contender("bottleneck", run)]


def xarray(job):
    import xarray

    case, data = job.case, job.data
    forward_only(job)
    if not case.is_partial:
        raise Unsupported
    blocks(case)
    names = [f"axis {i}" for i in range(2 + case.ndim)]
    x = xarray.DataArray(data.native, dims=names)
    mask = xarray.DataArray(data.mask, dims=names[2:])
    window = dict.fromkeys(names[2:], case.simplest.kernel)

    def run():
        return (x if case.option == "omit" else x.where(mask)).coarsen(window).mean()

    return [Contender("xarray", run, lambda value: value.to_numpy())]


def scipy(job):
    from scipy import ndimage

    case, data, window = job.case, job.data, sliding(job.case)
    forward_only(job)
    if case.dtype == "bfloat16":
        raise Unsupported("dtype")
    if case.op not in ("max", "avg"):
        raise Unsupported
    if case.op == "avg" and not case.is_float:
        raise Unsupported("it cuts off decimals, after every axis")
    x = data.native
    out = np.zeros_like(x)
    size = (1, 1, *(window.kernel,) * case.ndim)
    lowest = 0 if case.op == "avg" or not case.is_float else -np.inf
    function = ndimage.maximum_filter if case.op == "max" else ndimage.uniform_filter
    first, step = window.kernel // 2 - window.padding, window.stride
    chosen = (..., *(slice(first, first + step * (n - 1) + 1, step) for n in case.output_shape[2:]))
    return [
        Contender(
            "scipy",
            lambda: function(x, size, output=out, mode="constant", cval=lowest),
            lambda value: out[chosen],
            fresh=False,
        )
    ]


def scikit_image(job):
    from skimage.measure import block_reduce

    case, data, window = job.case, job.data, job.case.simplest
    forward_only(job)
    if not isinstance(window, Sliding) or window.kernel != window.stride or window.padding:
        raise Unsupported("windows side by side only")
    if case.dtype == "bfloat16":
        raise Unsupported("dtype")
    functions = {("max", ""): np.max, ("avg", ""): np.mean, ("avg", "omit"): np.nanmean}
    if (case.op, case.option) not in functions:
        raise Unsupported
    x = data.native[(..., *(slice(n * window.stride) for n in case.output_shape[2:]))]
    size = (1, 1, *(window.kernel,) * case.ndim)
    function = functions[case.op, case.option]
    return [Contender("scikit-image", lambda: block_reduce(x, size, function))]


def opencv(job):
    import cv2

    case, data, window = job.case, job.data, sliding(job.case)
    forward_only(job)
    if case.ndim != 2 or case.shape[:2] != (1, 1) or case.dtype not in ("float32", "uint8", "float64"):
        raise Unsupported("single planes only")
    k, x, out = window.kernel, data.native[0, 0], np.zeros(case.output_shape[2:], case.dtype)
    if window.stride == 1 and k % 2 and window.padding == k // 2:
        if case.op == "max":
            element = cv2.getStructuringElement(cv2.MORPH_RECT, (k, k))
            run = lambda: cv2.dilate(x, element, dst=out)
        else:
            run = lambda: cv2.blur(x, (k, k), dst=out, borderType=cv2.BORDER_CONSTANT)
    elif (
        case.op == "avg"
        and window.stride == k
        and not window.padding
        and x.shape == tuple(n * k for n in out.shape)
    ):
        run = lambda: cv2.resize(x, out.shape[::-1], dst=out, interpolation=cv2.INTER_AREA)
    else:
        raise Unsupported("stride 1 with odd windows, or area averages")
    return [Contender("opencv", run, lambda value: out[None, None], fresh=False)]


BUILDERS = (
    ("scipy", scipy),
    ("scikit-image", scikit_image),
    ("opencv", opencv),
    ("numpy", numpy),
    ("bottleneck", bottleneck),
    ("xarray", xarray),
)
