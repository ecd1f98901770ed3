"""Exact integers, sums of twice the precision of float64, and one rounding at the end."""

import math

import numpy as np

# bits of precision and the exponent of the smallest subnormal, by dtype name (NumPy has no finfo for bfloat16)
_FLOATS = {"float16": (11, -24), "bfloat16": (8, -133), "float32": (24, -149), "float64": (53, -1074)}


def is_floating(dtype):
    """Whether `dtype` is one of the four floating dtypes that window pooling knows."""
    return np.dtype(dtype).name in _FLOATS


def ulp(value, dtype):
    """The distance between neighbours of `dtype` at the magnitude of `value`, as float64."""
    bits, smallest = _FLOATS[np.dtype(dtype).name]
    fraction, exponent = np.frexp(np.asarray(value, np.float64))
    return np.ldexp(1.0, np.where(fraction == 0, smallest, np.maximum(exponent - bits, smallest)))


def exact(x):
    """x in a type in which sums are exact (or twice as precise as any result)."""
    if is_floating(x.dtype):
        return x.astype(np.float64)
    return x.astype(np.int64 if x.dtype.itemsize <= 4 else object)  # object: Python's integers


def wrapped(integers, dtype):
    """Integers (int64 or Python's) cast to `dtype`, modulo its range; to bool: whether they are not 0."""
    if dtype.kind == "b":
        return (integers != 0).astype(bool)
    flat = [int(v) & 0xFFFF_FFFF_FFFF_FFFF for v in integers.ravel().tolist()]
    return np.array(flat, np.uint64).reshape(integers.shape).astype(dtype)


def half_even(total, divisor):
    """round(total / divisor) of integers, exactly; 0 where the divisor is 0."""
    divisor = np.broadcast_to(np.asarray(divisor), total.shape)
    sign = np.where(divisor < 0, -1, 1)
    empty = divisor == 0
    total, divisor = total * sign, np.where(empty, 1, divisor * sign)
    quotient = total // divisor
    twice = 2 * (total - quotient * divisor)
    up = (twice > divisor) | ((twice == divisor) & (quotient % 2 == 1))
    return np.where(empty, 0, quotient + up.astype(np.int64))


def quotient(total, divisor):
    """total / divisor in float64, NaN where the divisor is 0."""
    divisor = np.broadcast_to(np.asarray(divisor), total.shape)
    if total.dtype != object:
        return np.where(divisor == 0, np.nan, np.true_divide(total, divisor, dtype=np.float64))
    flat = [
        t / d if d else math.nan
        for t, d in zip(total.ravel().tolist(), divisor.ravel().tolist(), strict=True)
    ]
    return np.array(flat, np.float64).reshape(total.shape)


def tolerance(value, size, dtype, taps, gradient=False):
    """How far from the exact `value` a result may be whose terms have magnitudes that add up to `size`."""
    name, large = np.dtype(dtype).name, max(math.log2(max(taps, 1)) - 2, 0)
    scale, ulps = 2.0**-22 * (1 + 3 * gradient), 1.0
    if name == "float64":  # 4 eps; pairwise summation beyond 16 taps
        scale, ulps = (4 + large + 4 * gradient) * 2.0**-52, 0.5
    elif name != "float32":
        # half floats accumulate in float32, whose own error grows with the number of taps, and round once
        scale, ulps = scale * (1 + large), 0.501
    return np.where(size == 0, 0.0, scale * size + ulps * ulp(value, dtype))
