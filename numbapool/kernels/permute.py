"""Lanes of vectors in any order: primitives beside those of `simd.py`, whose order of lanes is fixed."""

from llvmlite import ir
from numba.extending import intrinsic

from numbapool.dtypes import itemsize
from numbapool.kernels import simd

REGISTER = 32  # bytes of the vectors that can be permuted: two of them hold a row, and longer ones would cross a cache line at every load

_NAMES = {ir.FloatType(): "ps", ir.DoubleType(): "pd"} | {
    ir.IntType(bits): name for bits, name in {8: "qi", 16: "hi", 32: "d", 64: "q"}.items()
}
_FEATURES = {1: "avx512vbmi", 2: "avx512bw"}


def permutes(size):
    """Whether the machine has instructions that take lanes of `size` bytes in any order."""
    return _permutes_two(size) or (size == 4 and simd.has_feature("avx2"))


def _permutes_two(size):
    return simd.has_feature("avx512vl") and simd.has_feature(_FEATURES.get(size, "avx512f"))


def permuter(dtype, places, lanes):
    """`permute(v, at, other)`: lane k of the result is lane ``at[k]`` of v, or from `lanes` on of `other`.

    `at` is a vector of dtype `places`, which fills a register; elements of v may be narrower than its own.
    """
    vec, at_vec = (simd.Vec(simd.scalar_type(name), lanes) for name in (dtype, places))
    wide = ir.VectorType(ir.IntType(8 * itemsize(places)), lanes)

    @intrinsic
    def permute(tc, v, at, other):
        def codegen(ctx, b, sig, args):
            v, at, other = args
            if itemsize(dtype) == itemsize(places):
                return _permute(b, v, at, other)
            return b.trunc(_permute(b, b.zext(v, wide), at, b.zext(other, wide)), v.type)

        return vec(vec, at_vec, vec), codegen

    return permute


def _permute(b, v, at, other):
    vector, width = v.type, at.type.element.width
    if _permutes_two(width // 8):
        name = f"llvm.x86.avx512.vpermi2var.{_NAMES[vector.element]}.{8 * REGISTER}"
        return _call(b, name, vector, v, at, other)
    if permutes(width // 8):
        name = f"llvm.x86.avx2.perm{_NAMES[vector.element]}"
        second = b.icmp_unsigned(">=", at, ir.Constant(at.type, [vector.count] * vector.count))
        return b.select(second, *(_call(b, name, vector, half, at) for half in (other, v)))
    with b.goto_entry_block():  # elsewhere through memory, a lane at a time
        room = b.alloca(ir.ArrayType(vector, 2))
    first = b.bitcast(room, vector.as_pointer())
    b.store(v, first)
    b.store(other, b.gep(first, [simd.I32(1)]))
    lanes, result = b.bitcast(room, vector.element.as_pointer()), ir.Constant(vector, ir.Undefined)
    for k in range(vector.count):
        place = b.extract_element(at, simd.I32(k))
        place = place if width == 64 else b.zext(place, simd.I64)
        result = b.insert_element(result, b.load(b.gep(lanes, [place])), simd.I32(k))
    return result


def _call(b, name, result, *args):
    fnty = ir.FunctionType(result, [a.type for a in args])
    return b.call(b.module.globals.get(name) or ir.Function(b.module, fnty, name), args)
