"""Benchmarks of numbapool for airspeed velocity: ``asv run`` in the folder above.

Peers are measured elsewhere (``python -m benchmarks`` in the repository's root); here numbapool is compared with itself
across commits. Setup calls everything once, so that no benchmark times the compiler.

Every benchmark runs in a process of its own, forked from one that has imported this package: Numba is loaded once.
"""

import numba  # noqa: F401
import numpy as np

# Where well-known networks pool: operation, shape, window, stride, padding.
NETWORKS = {
    "ResNet-50 stem": ("max", (8, 64, 112, 112), 3, 2, 1),
    "VGG-16 pool1": ("max", (4, 64, 224, 224), 2, 2, 0),
    "GoogLeNet inception 3a": ("max", (8, 192, 28, 28), 3, 1, 1),
    "Inception-v3 mixed 5b": ("avg", (8, 192, 35, 35), 3, 1, 1),
    "DenseNet-121 transition 1": ("avg", (8, 128, 56, 56), 2, 2, 0),
    "MobileNetV2 head": ("avg", (32, 1280, 7, 7), 7, 1, 0),
    "YOLOv3 SPP": ("max", (4, 512, 13, 13), 13, 1, 6),
    "LeNet-5 S2": ("sum", (256, 6, 28, 28), 2, 2, 0),
    "C3D pool2": ("max", (1, 128, 16, 56, 56), 2, 2, 0),
    "M5 audio": ("max", (16, 128, 4096), 4, 4, 0),
}
# The rest of the family: function, shape, arguments behind the arrays, keywords.
FAMILY = {
    "ResNet-50 head": ("global_avg_pool", (32, 2048, 7, 7), (), {}),
    "global maximum": ("global_max_pool", (8, 512, 60, 60), (), {}),
    "adaptive 13 to 6": ("adaptive_avg_pool2d", (16, 256, 13, 13), (6,), {}),
    "Lp": ("lp_pool2d", (4, 64, 112, 112), (2, 2), {}),
    "fractional": ("fractional_max_pool2d", (4, 64, 112, 112), (2,), {"output_ratio": 0.7, "rng": 0}),
    "SegNet unpooling": ("max_unpool2d", (4, 64, 56, 56), (2,), {}),
    "gaps in a field": ("avg_pool2d", (2048, 2048), (2,), {"nan_policy": "omit"}),
    "a field on land": ("avg_pool2d", (2048, 2048), (2,), {"where": ...}),
}
TINY = False  # the tests set it: every benchmark on arrays that cost nothing


def tiny(shape, window):
    """The shape to use: as given, or small enough for a test."""
    return (1, 2, *(min(n, window + 2) for n in shape[2:])) if TINY else shape


def random(shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "bfloat16":
        import ml_dtypes

        return rng.standard_normal(shape, dtype="float32").astype(ml_dtypes.bfloat16)
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def function(op, ndim):
    import numbapool

    return getattr(numbapool, f"{op}_pool{ndim}d")


def call(network, layout="NCHW", dtype="float32"):
    """(function, arguments, keywords) of one pooling of a network."""
    op, shape, window, stride, padding = NETWORKS[network]
    x, keywords = random(tiny(shape, window), dtype), {}
    if layout == "NHWC":
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        keywords["axes"] = tuple(range(1, x.ndim - 1))
    return function(op, len(shape) - 2), (x, window, stride, padding), keywords


def relative(name):
    """(function, arguments, keywords) of one of the rest of the family."""
    import numbapool

    function, shape, args, keywords = FAMILY[name]
    if TINY:
        shape = (*(1, 2)[: len(shape) - 2], *(min(n, 8) for n in shape[-2:]))
    x, arrays, keywords = random(shape), (), dict(keywords)
    if "unpool" in function:
        wide = random((*shape[:-2], *(2 * n for n in shape[-2:])))
        x, *arrays = numbapool.max_pool2d(wide, 2, return_indices=True)
    elif "nan_policy" in keywords:
        x[random(shape, "bool", 1)] = np.nan
    elif "where" in keywords:
        keywords["where"] = random(shape, "bool", 1)
    return getattr(numbapool, function), (x, *arrays, *args), keywords
