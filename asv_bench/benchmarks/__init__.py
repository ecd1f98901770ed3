"""Benchmarks of numbapool for airspeed velocity: ``asv run`` in the folder above.

Peers are measured elsewhere (``python -m benchmarks`` in the repository's root); here numbapool is compared with itself
across commits. Setup calls everything once, so that no benchmark times the compiler.
"""

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
