"""What primitives are made of: a SIMD vector as a Numba type, and LLVM values of the dtypes and their conversions.

Vectors are LLVM vectors of any length: LLVM splits them into what the machine has.
"""

import llvmlite.binding as ll
import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.extending import models, register_model

from numbapool.dtypes import CHOSEN_BFLOAT16, NEAREST, is_float, is_half, itemsize, kind

I1, I8, I16, I32, I64 = (ir.IntType(n) for n in (1, 8, 16, 32, 64))
F16, F32, F64 = ir.HalfType(), ir.FloatType(), ir.DoubleType()
address = types.int64


class Vec(types.Type):
    """`lanes` elements of a Numba scalar type in one LLVM vector."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vec({dtype}x{lanes})")


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        element = I1 if fe_type.dtype is types.boolean else dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(element, fe_type.lanes))


def scalar_type(name):
    """The Numba type that elements of dtype `name` have in registers or, for halves, in memory."""
    if is_half(name):
        return types.uint16
    return types.uint8 if name == "bool" else getattr(types, name)


def llvm_type(name):
    """The LLVM type that elements of dtype `name` have in memory."""
    if is_half(name):
        return I16
    return {"float32": F32, "float64": F64}.get(name) or ir.IntType(8 * itemsize(name))


def has_feature(feature):
    """Whether the machine that code is generated for has a CPU feature (`avx512bw`, `f16c` …)."""
    if config.CPU_FEATURES is not None:
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    if config.CPU_NAME not in (None, "host"):
        return False
    return bool(ll.get_host_cpu_features().get(feature))


def on_gpu(b):
    """Whether the code that `b` builds is for a GPU."""
    return b.module.triple.startswith("nvptx")


def is_fp(t):
    """Whether an LLVM type, or that of a vector's elements, floats."""
    return isinstance(getattr(t, "element", t), (ir.FloatType, ir.DoubleType, ir.HalfType))


def like(t, element):
    """Type `element`, as a vector if `t` is one."""
    return ir.VectorType(element, t.count) if isinstance(t, ir.VectorType) else element


def const(t, value):
    """`value` as type `t`, in all lanes of a vector."""
    return ir.Constant(t, [value] * t.count if isinstance(t, ir.VectorType) else value)


def broadcast(b, value, lanes):
    """A vector of equal lanes."""
    vector = ir.VectorType(value.type, lanes)
    one = b.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
    return b.shuffle_vector(
        one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def call(b, name, result, args):
    """Call an LLVM intrinsic whose overloads are the given types."""
    suffix = "".join(
        "." + (f"v{t.count}" if isinstance(t, ir.VectorType) else "") + overload(getattr(t, "element", t))
        for t in ([result] if name.endswith((".fptosi.sat", ".fptoui.sat")) else []) + [args[0].type]
    )
    fnty = ir.FunctionType(result, [a.type for a in args])
    module = b.module
    fn = module.globals.get(name + suffix) or ir.Function(module, fnty, name + suffix)
    return b.call(fn, args)


def overload(t):
    """What the names of LLVM's intrinsics say of a type of elements."""
    return {F16: "f16", F32: "f32", F64: "f64"}.get(t) or f"i{t.width}"


def _half_to_f32(b, v):
    if on_gpu(b) or has_feature("f16c"):
        return b.fpext(b.bitcast(v, like(v.type, F16)), like(v.type, F32))
    # Without F16C LLVM would call a library function that no linker here provides.
    i32, f32 = like(v.type, I32), like(v.type, F32)
    h = b.zext(v, i32)
    magnitude = b.and_(h, const(i32, 0x7FFF))
    shifted = b.shl(magnitude, const(i32, 13))
    scaled = b.bitcast(b.fmul(b.bitcast(shifted, f32), const(f32, 2.0**112)), i32)
    special = b.or_(shifted, const(i32, 0x7F800000))
    bits = b.select(b.icmp_unsigned(">=", magnitude, const(i32, 0x7C00)), special, scaled)
    return b.bitcast(b.or_(bits, b.shl(b.and_(h, const(i32, 0x8000)), const(i32, 16))), f32)


def _f32_to_half(b, v):
    i16 = like(v.type, I16)
    if on_gpu(b) or has_feature("f16c"):
        return b.bitcast(b.fptrunc(v, like(v.type, F16)), i16)
    i32, f32 = like(v.type, I32), like(v.type, F32)
    u = b.bitcast(v, i32)
    sign = b.and_(u, const(i32, 0x80000000))
    u = b.xor(u, sign)
    huge = b.select(b.icmp_unsigned(">", u, const(i32, 0x7F800000)), const(i32, 0x7E00), const(i32, 0x7C00))
    magic = 126 << 23  # adding 0.5 shifts a subnormal's mantissa into place and rounds it
    tiny = b.sub(b.bitcast(b.fadd(b.bitcast(u, f32), const(f32, 0.5)), i32), const(i32, magic))
    odd = b.and_(b.lshr(u, const(i32, 13)), const(i32, 1))
    rebias = const(i32, ((15 - 127) << 23) + 0xFFF & 0xFFFFFFFF)
    usual = b.lshr(b.add(b.add(u, rebias), odd), const(i32, 13))
    out = b.select(b.icmp_unsigned("<", u, const(i32, 113 << 23)), tiny, usual)
    out = b.select(b.icmp_unsigned(">=", u, const(i32, 143 << 23)), huge, out)
    return b.trunc(b.or_(out, b.lshr(sign, const(i32, 16))), i16)


def _bfloat_to_f32(b, v):
    i32 = like(v.type, I32)
    return b.bitcast(b.shl(b.zext(v, i32), const(i32, 16)), like(v.type, F32))


def _f32_to_bfloat(b, v):
    i32 = like(v.type, I32)
    u = b.bitcast(v, i32)
    odd = b.and_(b.lshr(u, const(i32, 16)), const(i32, 1))
    rounded = b.lshr(b.add(b.add(u, const(i32, 0x7FFF)), odd), const(i32, 16))
    quiet = b.or_(b.lshr(u, const(i32, 16)), const(i32, 0x40))
    out = b.select(b.fcmp_unordered("uno", v, v), quiet, rounded)
    return b.trunc(out, like(v.type, I16))


def convert(b, v, src, dst):
    """LLVM code that turns `v` of dtype `src` into dtype `dst` (names); integers wrap, floats to integers saturate."""
    if src == dst:
        return v
    if dst == CHOSEN_BFLOAT16:
        return b.trunc(
            b.lshr(b.bitcast(v, like(v.type, I32)), const(like(v.type, I32), 16)), like(v.type, I16)
        )
    if dst in NEAREST.values():  # in the lowest bits of what has units of one
        v = b.bitcast(b.fadd(v, const(v.type, 1.5 * 2**23)), like(v.type, I32))
        return b.trunc(v, like(v.type, llvm_type(dst.split()[1])))
    if is_half(src):
        v = (_half_to_f32 if src == "float16" else _bfloat_to_f32)(b, v)
        return convert(b, v, "float32", dst)
    if is_half(dst):
        v = convert(b, v, src, "float32")
        return (_f32_to_half if dst == "float16" else _f32_to_bfloat)(b, v)
    to = like(v.type, llvm_type(dst))
    if is_float(src) and is_float(dst):
        return b.fpext(v, to) if itemsize(dst) > itemsize(src) else b.fptrunc(v, to)
    if is_float(src):
        if on_gpu(b):  # whose instruction saturates by itself
            v = (b.fptoui if dst == "uint64" else b.fptosi)(v, like(v.type, I64))
        else:
            v = _saturated(b, v, I32 if itemsize(dst) < 4 or dst == "int32" else I64, dst != "uint64")
        return v if v.type == to else b.trunc(v, to)
    if is_float(dst):
        return (b.sitofp if kind(src) == "i" else b.uitofp)(v, to)
    if itemsize(dst) <= itemsize(src):
        return v if itemsize(dst) == itemsize(src) else b.trunc(v, to)
    return (b.sext if kind(src) == "i" else b.zext)(v, to)


def _saturated(b, v, element, signed):
    """Floats as integers, what is too large or too small as the largest or smallest, NaN as 0: of vectors LLVM's own intrinsic takes lane by lane."""
    wide, bits = like(v.type, element), element.width - signed
    high, low = const(v.type, 2.0**bits), const(v.type, -(2.0**bits) if signed else 0.0)
    above, below = b.fcmp_ordered(">=", v, high), b.fcmp_ordered("<", v, low)
    there = b.and_(b.fcmp_ordered(">=", v, low), b.fcmp_ordered("<", v, high))
    v = b.select(there, v, const(v.type, 0.0))
    v = (b.fptosi if signed else b.fptoui)(v, wide)
    v = b.select(above, const(wide, 2**bits - 1), v)
    return b.select(below, const(wide, -(2**bits) if signed else 0), v)


def lane_mask(b, n, lanes, bits=32, planes=1):
    """The first n lanes, of each plane that has its share of them; with fewer `bits`, in which n fits, as one comparison where elements are as small."""
    kind_ = ir.IntType(min(bits, 32))
    kept = has_feature("avx512vl") and has_feature("avx512bw") and not on_gpu(b)
    count = max(lanes, 8) if kept else lanes
    iota = ir.Constant(ir.VectorType(kind_, count), [k % (lanes // planes) for k in range(count)])
    mask = b.icmp_signed("<", iota, broadcast(b, b.trunc(n, kind_), count))
    return _kept(b, mask, lanes) if kept else mask


def _kept(b, mask, lanes):
    """The first lanes of a mask that LLVM leaves in its register: it moves comparisons to where they are used, out of which it would not take them again though that were a loop."""
    bits = ir.IntType(mask.type.count)
    same = b.asm(ir.FunctionType(bits, [bits]), "", "=^Yk,0", [b.bitcast(mask, bits)], side_effect=False)
    for attribute in ("nounwind", "readnone"):
        same.attributes.add(attribute)
    mask = b.bitcast(same, mask.type)
    first = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return mask if lanes == mask.type.count else b.shuffle_vector(mask, mask, first)


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def constant_of(b, t, element, value):
    """As `const`, also of "mark": the NaN that stands for no element, all of whose bits are set."""
    if not isinstance(value, str):
        return const(t, _plain(value))
    bits = like(t, I64 if element == F64 else I32)
    return b.bitcast(const(bits, -1), t)


def libdevice(b, name, *args):
    """Call a function of NVIDIA's library, which is linked into every kernel and inlined."""
    t = args[0].type
    name = f"__nv_{name}{'f' if t == F32 else ''}"
    fn = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(t, [a.type for a in args]), name)
    return b.call(fn, args)
