"""Primitives made for given element types that touch no memory: constants, casts, keys, powers, masks of lanes."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from numbapool.dtypes import itemsize, kind
from numbapool.kernels.llvm import (
    I1,
    I8,
    Vec,
    broadcast,
    call,
    const,
    constant_of,
    convert,
    lane_mask,
    libdevice,
    llvm_type,
    on_gpu,
    scalar_type,
)
from numbapool.kernels.simd import generic


def splatter(dtype, lanes):
    """`splat(scalar)`: all lanes the same."""
    scalar = scalar_type(dtype)

    @intrinsic
    def splat(tc, v):
        return Vec(scalar, lanes)(scalar), lambda ctx, b, sig, args: broadcast(b, args[0], lanes)

    return splat


def caster(src, dst, lanes):
    """`cast(v)`: a vector (lanes) or a scalar (lanes=None) of dtype `src` as dtype `dst`."""
    s, d = scalar_type(src), scalar_type(dst)
    given, result = (s, d) if lanes is None else (Vec(s, lanes), Vec(d, lanes))

    @intrinsic
    def cast(tc, v):
        return result(given), lambda ctx, b, sig, args: convert(b, args[0], src, dst)

    return cast


def key_adder(key, lanes):
    """`key_add(keys, n)`: keys + n, where uint8 keys saturate so that "none" (255) stays none."""
    scalar = scalar_type(key)
    vec = Vec(scalar, lanes) if lanes else scalar

    @intrinsic
    def key_add(tc, keys, n):
        def codegen(ctx, b, sig, args):
            n = args[1] if key == "int64" else b.trunc(args[1], I8)
            n = broadcast(b, n, lanes) if lanes else n
            if key == "int64":
                return b.add(args[0], n)
            return call(b, "llvm.uadd.sat", args[0].type, [args[0], n])

        return vec(vec, types.int64), codegen

    return key_add


def lane_numberer(key, lanes):
    """`lane_keys(keys)`: keys + the number of their lane; uint8 keys saturate."""
    vec = Vec(scalar_type(key), lanes)

    @intrinsic
    def lane_keys(tc, keys):
        def codegen(ctx, b, sig, args):
            iota = ir.Constant(args[0].type, list(range(lanes)))
            if key == "int64":
                return b.add(args[0], iota)
            return call(b, "llvm.uadd.sat", args[0].type, [args[0], iota])

        return vec(vec), codegen

    return lane_keys


def key_splatter(key, lanes):
    """`splat_k(key)`: an int64 in all lanes of a key vector."""
    vec = Vec(scalar_type(key), lanes)

    @intrinsic
    def splat_k(tc, value):
        return vec(types.int64), lambda ctx, b, sig, args: broadcast(
            b, convert(b, args[0], "int64", key), lanes
        )

    return splat_k


def key_splatter_n(key, lanes, none, planes=1):
    """`splat_k_n(key, n)`: the key in the first n lanes of every plane, none in the others."""
    vec = Vec(scalar_type(key), lanes)

    @intrinsic
    def splat_k_n(tc, value, n):
        def codegen(ctx, b, sig, args):
            v = broadcast(b, convert(b, args[0], "int64", key), lanes)
            return b.select(lane_mask(b, args[1], lanes, planes=planes), v, const(v.type, none))

        return vec(types.int64, types.int64), codegen

    return splat_k_n


def settler(key, lanes, none):
    """`settle(keys)`: keys as they are saved; an int64 key that names no element becomes -1."""
    vec = Vec(scalar_type(key), lanes)

    @intrinsic
    def settle(tc, keys):
        def codegen(ctx, b, sig, args):
            if key == "uint8":
                return args[0]
            nowhere = b.icmp_signed(">=", args[0], const(args[0].type, none))
            return b.select(nowhere, const(args[0].type, -1), args[0])

        return vec(vec), codegen

    return settle


def constant(dtype, value, lanes):
    """`constant()`: a vector with `value` in all lanes, or a scalar if `lanes` is None."""
    result = scalar_type(dtype) if lanes is None else Vec(scalar_type(dtype), lanes)

    @intrinsic
    def constant(tc):
        def codegen(ctx, b, sig, args):
            return constant_of(b, ctx.get_value_type(result), llvm_type(dtype), value)

        return result(), codegen

    return constant


def constant_like(dtype, value):
    """`constant(v)`: `value` (a number, or "mark": the NaN that stands for no element) as dtype `dtype`, a vector if v is one."""
    scalar, element = scalar_type(dtype), llvm_type(dtype)

    @intrinsic
    def constant(tc, v):
        result = Vec(scalar, v.lanes) if isinstance(v, Vec) else scalar

        def codegen(ctx, b, sig, args):
            return constant_of(b, ctx.get_value_type(result), element, value)

        return result(v), codegen

    return constant


def power(exponent):
    """`power(v)` of what is not negative: products for small integers, roots for 1/2 and 1/4, else `pow` lane by lane."""

    def emit(b, signed, v):
        if exponent in (0.5, 0.25):
            root = call(b, "llvm.sqrt", v.type, [v])
            return root if exponent == 0.5 else call(b, "llvm.sqrt", v.type, [root])
        if exponent == 0:
            return const(v.type, 1)
        if exponent not in range(1, 9) and on_gpu(b):
            return libdevice(b, "pow", v, const(v.type, exponent))
        if exponent not in range(1, 9):
            return call(b, "llvm.pow", v.type, [v, const(v.type, exponent)])
        result, square, left = None, v, int(exponent)
        while left:
            if left & 1:
                result = square if result is None else b.fmul(result, square)
            left >>= 1
            square = b.fmul(square, square) if left else square
        return result

    return generic(emit)


def clipper(dtype):
    """`clip(v)`: floating values into the range of an integer dtype."""
    bits = 8 * itemsize(dtype)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind(dtype) == "i" else (0, 2**bits - 1)

    def emit(b, signed, v):
        v = b.select(b.fcmp_ordered("<", v, const(v.type, float(low))), const(v.type, float(low)), v)
        return b.select(b.fcmp_ordered(">", v, const(v.type, float(high))), const(v.type, float(high)), v)

    return generic(emit)


def lane_counter(lanes, planes=1):
    """`first_lanes(n)`: a mask of the first n lanes of every plane."""
    mask = Vec(types.boolean, lanes)

    @intrinsic
    def first_lanes(tc, n):
        return mask(types.int64), lambda ctx, b, sig, args: lane_mask(b, args[0], lanes, planes=planes)

    return first_lanes


def flags(lanes):
    """`every()`: a mask that is true everywhere; a scalar if `lanes` is None."""
    t = types.boolean if lanes is None else Vec(types.boolean, lanes)

    @intrinsic
    def every(tc):
        return t(), lambda ctx, b, sig, args: const(I1 if lanes is None else ir.VectorType(I1, lanes), 1)

    return every


def lanes_in_bits(lanes):
    """`lanes_in(bits)`: the bits of a word as a mask."""

    @intrinsic
    def lanes_in(tc, bits):
        def codegen(ctx, b, sig, args):
            own = args[0] if lanes == 64 else b.trunc(args[0], ir.IntType(lanes))
            return b.bitcast(own, ir.VectorType(I1, lanes))

        return Vec(types.boolean, lanes)(types.int64), codegen

    return lanes_in


def named_types(acc, end, key, lanes):
    """The Numba types that templates name in annotations: an accumulator as a vector, as a scalar, and a finished vector."""
    scalars = [scalar_type(acc)] + ([scalar_type(key)] if key else [])
    vectors = [Vec(t, lanes) for t in scalars]
    last = scalar_type(end)
    masks = {"mask": Vec(types.boolean, lanes), "flag": types.boolean}
    common = {"end": Vec(last, lanes), "weight": Vec(last, lanes), "weight_1": last} | masks
    acc, one = (types.Tuple(vectors), types.Tuple(scalars)) if key else (vectors[0], scalars[0])
    pairs = {"accs_2": types.Tuple([acc, acc]), "ends_4": types.Tuple([common["end"]] * 4)}
    return {"acc": acc, "one": one} | pairs | common


def named_vectors(lanes, **names):
    """The same of vectors of these dtypes."""
    return {name: Vec(scalar_type(dtype), lanes) for name, dtype in names.items()}
