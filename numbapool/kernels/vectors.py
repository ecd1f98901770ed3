"""How many elements a vector has, by what is done to it."""

from __future__ import annotations

from numbapool import dtypes

ADDED = 64  # elements of float32 that are added in pairs until an eighth of them is left: three roundings
INDEXED = 16  # windows whose indices are found at a time, in 32 bits
PAIRS = ("float32", "float64")  # what accompanies a value is the other half of a pair, not a key


def lanes_for(*names):
    """Elements per vector: two 64-byte registers of the widest type, one if all types are of one size; 64 at most."""
    sizes = {dtypes.itemsize(n) for n in names}
    return min((128 if len(sizes) > 1 else 64) // max(sizes), 64)


def lanes_of(types, channel):
    """Elements per vector of a kernel that loads, accumulates and stores these types; keys have no say."""
    names = types.x, types.acc, types.y
    return lanes_for(*names, channel) if channel in PAIRS else lanes_for(*names)


def fused_lanes(types):
    """Elements per vector where windows are merged in registers, of which three or four are in use at a time."""
    names = [types.x, types.y]
    if not _is_between(types):  # else most of what is done to an element is done before it is widened
        names.append(types.acc)
    return min(64 // max(map(dtypes.itemsize, names)), 64)


def whole_lanes(reduction, types, channel, elements):
    """Elements per vector where planes are read as a whole."""
    return ADDED // 8 if widens(reduction, types, elements) else lanes_of(types, channel)


def narrow_lanes(types):
    """Elements of a row per vector where lanes are permuted."""
    from numbapool.kernels import primitives as p

    return p.REGISTER // dtypes.itemsize(types.acc)


def narrow_planes(types):
    """Planes whose rows share such a vector: two where the machine takes lanes of 64 bytes in any order."""
    from numbapool.kernels import primitives as p

    return 2 if p.permutes_two(dtypes.itemsize(types.acc)) else 1


def phase_lanes(types):
    """Elements per vector where saved taps are compared: four registers of values."""
    return 256 // dtypes.itemsize(types.acc)


def scatter_lanes(types):
    """Elements per vector where outputs find their sums: no more than a register has, because LLVM compresses no others right."""
    return min(fused_lanes(types), 16)


def unpool_lanes(values):
    """Elements per vector of rows that are unpooled; the indices beside them are of up to eight bytes."""
    return min(64 // dtypes.itemsize(values), 16)


def stage():
    """Outputs that find their sums at a time: as many as a word has bits where that is how they are told."""
    from numbapool.kernels import primitives as p

    return 512 if p.compresses(4) else 64


def places_dtype(types):
    """The dtype of the numbers of lanes where lanes are permuted."""
    return f"uint{8 * dtypes.itemsize(types.acc)}"


def widens(reduction, types, elements):
    """Whether elements are widened to be added, so that a few may be added before: half the work, and a few roundings of those that are allowed."""
    plain = reduction.merge == "add" and reduction.power is None and not elements
    return plain and _is_between(types)


def _is_between(types):
    """Whether float64 is only used between elements and results of float32, or of less."""
    return (types.x, types.acc) == ("float32", "float64") and types.y != "float64"
