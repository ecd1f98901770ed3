"""Element types: names, what is stored, what is accumulated, what comes out.

A dtype is known by its name. `bfloat16` is the type of that name that ml_dtypes registers with NumPy; no package is imported for it.
"""

FLOATS = ("float16", "bfloat16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
CHOSEN_BFLOAT16 = (
    "chosen bfloat16"  # to kernels: one that was widened before, of which nothing has to be rounded
)
# To kernels as well: integers that float32 numbers below 2^22 are rounded to as they are stored, half to even.
NEAREST = {name: f"nearest {name}" for name in ("int8", "int16", "uint8", "uint16")}
SUPPORTED = ("bool", *SIGNED, *UNSIGNED, *FLOATS)
_SIZES = {"bool": 1, "float16": 2, "bfloat16": 2}


def is_half(name):
    """Whether elements are 16-bit floats, which are computed in float32."""
    return name in ("float16", "bfloat16")


def is_float(name):
    """Whether `name` is a floating type."""
    return name in FLOATS


def kind(name):
    """`b`, `i`, `u` or `f`."""
    return "f" if name in FLOATS else name[0]


def itemsize(name):
    """Bytes of an element."""
    return _SIZES.get(name) or int(name.lstrip("uintfloa")) // 8


_names: dict = {}  # NumPy makes a dtype's name anew whenever it is asked for, which takes longer than the rest of a check


def name_of(dtype):
    """`dtype.name`, remembered."""
    name = _names.get(dtype)
    if name is None:
        name = _names[dtype] = dtype.name
    return name
