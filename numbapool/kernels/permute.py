"""Lanes of vectors in any order: primitives beside those of `simd.py`, whose order of lanes is fixed."""

from llvmlite import ir
from numba.extending import intrinsic

from numbapool.dtypes import itemsize
from numbapool.kernels.llvm import I32, I64, Vec, has_feature, scalar_type

REGISTER = 32  # bytes of the vectors that hold short rows: longer ones would cross a cache line at every load

_NAMES = {ir.FloatType(): "ps", ir.DoubleType(): "pd"} | {
    ir.IntType(bits): name for bits, name in {8: "qi", 16: "hi", 32: "d", 64: "q"}.items()
}
_FEATURES = {1: "avx512vbmi", 2: "avx512bw"}


def permutes(size):
    """Whether the machine has instructions that take lanes of `size` bytes in any order."""
    return permutes_two(size) or (size == 4 and has_feature("avx2"))


def permutes_two(size):
    """Whether it has some that take them out of two vectors of 64 bytes."""
    return has_feature("avx512vl") and has_feature(_FEATURES.get(size, "avx512f"))


def permuter(dtype, places, lanes):
    """`permute(v, at, other)`: lane k of the result is lane ``at[k]`` of v, or from `lanes` on of `other`.

    `at` is a vector of dtype `places`; elements of v may be narrower than its own.
    """
    vec, at_vec = (Vec(scalar_type(name), lanes) for name in (dtype, places))
    own, wide = (ir.VectorType(ir.IntType(8 * itemsize(name)), lanes) for name in (dtype, places))

    @intrinsic
    def permute(tc, v, at, other):
        def codegen(ctx, b, sig, args):
            v, at, other = args
            if itemsize(dtype) == itemsize(places):
                return _permute(b, v, at, other)
            if itemsize(dtype) > itemsize(places):
                return _permute(b, v, b.zext(at, own), other)
            bits = (b.zext(b.bitcast(given, own), wide) for given in (v, other))
            return b.bitcast(b.trunc(_permute(b, next(bits), at, next(bits)), own), v.type)

        return vec(vec, at_vec, vec), codegen

    return permute


def _permute(b, v, at, other):
    vector, element, width, lanes = v.type, v.type.element, at.type.element.width, v.type.count
    two, known = permutes_two(width // 8), permutes(width // 8)
    if known and width * lanes > (512 if two else 256):
        return _permute_halves(b, v, at, other)
    if two:
        name = f"llvm.x86.avx512.vpermi2var.{_NAMES[element]}.{width * lanes}"
        return _call(b, name, vector, v, at, other)
    if known:
        name = f"llvm.x86.avx2.perm{_NAMES[element]}"
        return b.select(_behind(b, at), *(_call(b, name, vector, half, at) for half in (other, v)))
    with b.goto_entry_block():  # elsewhere through memory, a lane at a time
        room = b.alloca(ir.ArrayType(vector, 2))
    first = b.bitcast(room, vector.as_pointer())
    b.store(v, first)
    b.store(other, b.gep(first, [I32(1)]))
    elements, result = b.bitcast(room, element.as_pointer()), ir.Constant(vector, ir.Undefined)
    for k in range(lanes):
        place = b.extract_element(at, I32(k))
        place = place if width == 64 else b.zext(place, I64)
        result = b.insert_element(result, b.load(b.gep(elements, [place])), I32(k))
    return result


def _permute_halves(b, v, at, other):
    """Vectors of several registers: lanes of v and lanes of `other`, and a choice of the two."""
    (v0, v1), (o0, o1) = _halves(b, v), _halves(b, other)
    results = [
        b.select(behind, _permute(b, o0, places, o1), _permute(b, v0, places, v1))
        for places, behind in zip(_halves(b, at), _halves(b, _behind(b, at)), strict=True)
    ]
    both = ir.Constant(ir.VectorType(I32, v.type.count), list(range(v.type.count)))
    return b.shuffle_vector(*results, both)


def _halves(b, v):
    half = v.type.count // 2
    for first in (0, half):
        yield b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, half), list(range(first, first + half))))


def _behind(b, at):
    """Which places are those of the second vector: the bit above those that number lanes."""
    lanes = ir.Constant(at.type, [at.type.count] * at.type.count)
    return b.icmp_unsigned("!=", b.and_(at, lanes), ir.Constant(at.type, None))


def _call(b, name, result, *args):
    fnty = ir.FunctionType(result, [a.type for a in args])
    return b.call(b.module.globals.get(name) or ir.Function(b.module, fnty, name), args)
