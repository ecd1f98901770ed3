"""SIMD vectors as a Numba type, and every primitive that kernels are written in.

A kernel template names primitives as free functions; :func:`primitives` makes the set for one
combination of element types. All of them work on addresses (plain integers), so a kernel does not care which container,
layout or read-only flag the memory has. Each primitive has a twin in `twins.py` that computes the same with NumPy.

Vectors are LLVM vectors of any length: LLVM splits them into what the machine has.
"""

import llvmlite.binding as ll
import numpy as np
from llvmlite import ir
from numba.core import config, types
from numba.extending import intrinsic, models, register_model

from numbapool.dtypes import is_float, is_half, itemsize, kind

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


def _llvm(name):
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


# ---- small helpers over LLVM values ---------------------------------------------------------------------------------


def on_gpu(b):
    """Whether the code that `b` builds is for a GPU."""
    return b.module.triple.startswith("nvptx")


def _is_fp(t):
    return isinstance(getattr(t, "element", t), (ir.FloatType, ir.DoubleType, ir.HalfType))


def _like(t, element):
    """Type `element`, as a vector if `t` is one."""
    return ir.VectorType(element, t.count) if isinstance(t, ir.VectorType) else element


def _const(t, value):
    return ir.Constant(t, [value] * t.count if isinstance(t, ir.VectorType) else value)


def _splat(b, value, lanes):
    vector = ir.VectorType(value.type, lanes)
    one = b.insert_element(ir.Constant(vector, ir.Undefined), value, I32(0))
    return b.shuffle_vector(
        one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def _call(b, name, result, args):
    """Call an LLVM intrinsic whose overloads are the given types."""
    suffix = "".join(
        "." + (f"v{t.count}" if isinstance(t, ir.VectorType) else "") + _suffix(getattr(t, "element", t))
        for t in ([result] if name.endswith((".fptosi.sat", ".fptoui.sat")) else []) + [args[0].type]
    )
    fnty = ir.FunctionType(result, [a.type for a in args])
    module = b.module
    fn = module.globals.get(name + suffix) or ir.Function(module, fnty, name + suffix)
    return b.call(fn, args)


def _suffix(t):
    return {F16: "f16", F32: "f32", F64: "f64"}.get(t) or f"i{t.width}"


# ---- conversions ----------------------------------------------------------------------------------------------------


def _half_to_f32(b, v):
    if on_gpu(b) or has_feature("f16c"):
        return b.fpext(b.bitcast(v, _like(v.type, F16)), _like(v.type, F32))
    # Without F16C LLVM would call a library function that no linker here provides.
    i32, f32 = _like(v.type, I32), _like(v.type, F32)
    h = b.zext(v, i32)
    magnitude = b.and_(h, _const(i32, 0x7FFF))
    shifted = b.shl(magnitude, _const(i32, 13))
    scaled = b.bitcast(b.fmul(b.bitcast(shifted, f32), _const(f32, 2.0**112)), i32)
    special = b.or_(shifted, _const(i32, 0x7F800000))
    bits = b.select(b.icmp_unsigned(">=", magnitude, _const(i32, 0x7C00)), special, scaled)
    return b.bitcast(b.or_(bits, b.shl(b.and_(h, _const(i32, 0x8000)), _const(i32, 16))), f32)


def _f32_to_half(b, v):
    i16 = _like(v.type, I16)
    if on_gpu(b) or has_feature("f16c"):
        return b.bitcast(b.fptrunc(v, _like(v.type, F16)), i16)
    i32, f32 = _like(v.type, I32), _like(v.type, F32)
    u = b.bitcast(v, i32)
    sign = b.and_(u, _const(i32, 0x80000000))
    u = b.xor(u, sign)
    huge = b.select(
        b.icmp_unsigned(">", u, _const(i32, 0x7F800000)), _const(i32, 0x7E00), _const(i32, 0x7C00)
    )
    magic = 126 << 23  # adding 0.5 shifts a subnormal's mantissa into place and rounds it
    tiny = b.sub(b.bitcast(b.fadd(b.bitcast(u, f32), _const(f32, 0.5)), i32), _const(i32, magic))
    odd = b.and_(b.lshr(u, _const(i32, 13)), _const(i32, 1))
    rebias = _const(i32, ((15 - 127) << 23) + 0xFFF & 0xFFFFFFFF)
    usual = b.lshr(b.add(b.add(u, rebias), odd), _const(i32, 13))
    out = b.select(b.icmp_unsigned("<", u, _const(i32, 113 << 23)), tiny, usual)
    out = b.select(b.icmp_unsigned(">=", u, _const(i32, 143 << 23)), huge, out)
    return b.trunc(b.or_(out, b.lshr(sign, _const(i32, 16))), i16)


def _bfloat_to_f32(b, v):
    i32 = _like(v.type, I32)
    return b.bitcast(b.shl(b.zext(v, i32), _const(i32, 16)), _like(v.type, F32))


def _f32_to_bfloat(b, v):
    i32 = _like(v.type, I32)
    u = b.bitcast(v, i32)
    odd = b.and_(b.lshr(u, _const(i32, 16)), _const(i32, 1))
    rounded = b.lshr(b.add(b.add(u, _const(i32, 0x7FFF)), odd), _const(i32, 16))
    quiet = b.or_(b.lshr(u, _const(i32, 16)), _const(i32, 0x40))
    out = b.select(b.fcmp_unordered("uno", v, v), quiet, rounded)
    return b.trunc(out, _like(v.type, I16))


def convert(b, v, src, dst):
    """LLVM code that turns `v` of dtype `src` into dtype `dst` (names); integers wrap, floats to integers saturate."""
    if src == dst:
        return v
    if is_half(src):
        v = (_half_to_f32 if src == "float16" else _bfloat_to_f32)(b, v)
        return convert(b, v, "float32", dst)
    if is_half(dst):
        v = convert(b, v, src, "float32")
        return (_f32_to_half if dst == "float16" else _f32_to_bfloat)(b, v)
    to = _like(v.type, _llvm(dst))
    if is_float(src) and is_float(dst):
        return b.fpext(v, to) if itemsize(dst) > itemsize(src) else b.fptrunc(v, to)
    if is_float(src):
        wide = _like(v.type, I64)
        if on_gpu(b):  # whose instruction saturates by itself
            v = (b.fptoui if dst == "uint64" else b.fptosi)(v, wide)
        else:
            name = "llvm.fptoui.sat" if dst == "uint64" else "llvm.fptosi.sat"
            v = _call(b, name, wide, [v])
        return v if itemsize(dst) == 8 else b.trunc(v, to)
    if is_float(dst):
        return (b.sitofp if kind(src) == "i" else b.uitofp)(v, to)
    if itemsize(dst) <= itemsize(src):
        return v if itemsize(dst) == itemsize(src) else b.trunc(v, to)
    return (b.sext if kind(src) == "i" else b.zext)(v, to)


# ---- generic primitives: any vector or scalar -----------------------------------------------------------------------


def _generic(emit, result=None):
    """An intrinsic over equal-typed arguments from `emit(builder, signed, *values)`."""

    def typed(arity):
        def make(*tys):
            ret = result(tys[0]) if result else tys[0]

            def codegen(ctx, b, sig, args):
                dtype = getattr(sig.args[0], "dtype", sig.args[0])
                return emit(b, getattr(dtype, "signed", True), *args)

            return ret(*tys), codegen

        if arity == 1:
            return intrinsic(lambda tc, x: make(x))
        if arity == 2:
            return intrinsic(lambda tc, x, y: make(x, y))
        return intrinsic(lambda tc, x, y, z: make(x, y, z))

    return typed(emit.__code__.co_argcount - 2)


def _mask_of(t):
    return Vec(types.boolean, t.lanes) if isinstance(t, Vec) else types.boolean


def _greater(b, signed, x, y):
    if _is_fp(x.type):
        return b.fcmp_ordered(">", x, y)
    return (b.icmp_signed if signed else b.icmp_unsigned)(">", x, y)


def _extreme_of(sign):
    """Code for the maximum (+1) or minimum (-1), where a NaN in v is lost: one maxps."""

    def emit(b, signed, acc, v):
        wins = _greater(b, signed, v, acc) if sign > 0 else _greater(b, signed, acc, v)
        return b.select(wins, v, acc)

    return emit


def _extreme(sign):
    """Maximum (+1) or minimum (-1): NaN wins, the first of equals stays (so 0.0 is not replaced by -0.0)."""
    two = _extreme_of(sign)

    def emit(b, signed, acc, v):
        r = two(b, signed, acc, v)
        if not _is_fp(v.type):
            return r
        # A constant NaN, because LLVM would merge two choices of v into mask arithmetic.
        return b.select(b.fcmp_unordered("uno", v, v), _const(v.type, float("nan")), r)

    return _generic(emit)


def _extreme_3(sign):
    """The same of three: one comparison finds a NaN in either of the later two."""
    two = _extreme_of(sign)

    def emit(b, signed, acc, v, w):
        r = two(b, signed, two(b, signed, acc, v), w)
        if not _is_fp(v.type):
            return r
        return b.select(b.fcmp_unordered("uno", v, w), _const(v.type, float("nan")), r)

    return _generic(emit)


def _beats(sign):
    """Whether v replaces acc where v comes later in row-major order."""

    def emit(b, signed, v, acc):
        if not _is_fp(v.type):
            return _greater(b, signed, v, acc) if sign > 0 else _greater(b, signed, acc, v)
        later = b.fcmp_unordered(">" if sign > 0 else "<", v, acc)
        return b.and_(later, b.fcmp_ordered("ord", acc, acc))

    return _generic(emit, _mask_of)


def _emit_ties(b, signed, v, acc):
    if not _is_fp(v.type):
        return b.icmp_signed("==", v, acc)
    nans = b.and_(b.fcmp_unordered("uno", v, v), b.fcmp_unordered("uno", acc, acc))
    return b.or_(b.fcmp_ordered("==", v, acc), nans)


def _emit_add(b, signed, x, y):
    return b.fadd(x, y) if _is_fp(x.type) else b.add(x, y)


def _emit_mul(b, signed, x, y):
    return b.fmul(x, y) if _is_fp(x.type) else b.mul(x, y)


def _emit_fabs(b, signed, x):
    if not on_gpu(b):
        return _call(b, "llvm.fabs", x.type, [x])
    bits = I64 if x.type == F64 else I32  # NVVM does not know the intrinsic
    return b.bitcast(b.and_(b.bitcast(x, bits), bits((1 << (bits.width - 1)) - 1)), x.type)


def _emit_with_sign(b, signed, x, y):
    if on_gpu(b):
        return _libdevice(b, "copysign", x, y)
    return _call(b, "llvm.copysign", x.type, [x, y])


def _is_mark(b, v):
    """Whether v is the NaN that stands for no element at all."""
    bits = _bits_of(b, v)
    return b.icmp_signed("==", bits, _const(bits.type, -1))


def _present_wins(b, sign, v, acc):
    """Whether v replaces acc where NaNs are left out: a number beats a NaN, and a NaN the mark of no element."""
    better = b.fcmp_ordered(">" if sign > 0 else "<", v, acc)
    return b.or_(better, b.and_(b.fcmp_unordered("uno", acc, acc), b.not_(_is_mark(b, v))))


def _present_beats(sign):
    return _generic(lambda b, signed, v, acc: _present_wins(b, sign, v, acc), _mask_of)


def _present_extreme(sign):
    return _generic(lambda b, signed, acc, v: b.select(_present_wins(b, sign, v, acc), v, acc))


maximum, minimum = _extreme(+1), _extreme(-1)
maximum_3, minimum_3 = _extreme_3(+1), _extreme_3(-1)
beats_max, beats_min = _beats(+1), _beats(-1)
present_maximum, present_minimum = _present_extreme(+1), _present_extreme(-1)
present_beats_max, present_beats_min = _present_beats(+1), _present_beats(-1)
known = _generic(lambda b, signed, x: b.not_(_is_mark(b, x)), _mask_of)
ties = _generic(_emit_ties, _mask_of)
add = _generic(_emit_add)
sub = _generic(lambda b, signed, x, y: b.fsub(x, y) if _is_fp(x.type) else b.sub(x, y))
mul = _generic(_emit_mul)
div = _generic(lambda b, signed, x, y: b.fdiv(x, y))
equal = _generic(lambda b, signed, x, y: b.fcmp_ordered("==", x, y), _mask_of)
isnan = _generic(lambda b, signed, x: b.fcmp_unordered("uno", x, x), _mask_of)
isnumber = _generic(lambda b, signed, x: b.fcmp_ordered("ord", x, x), _mask_of)
everywhere = _generic(lambda b, signed, x: _const(_like(x.type, I1), 1), _mask_of)
fabs = _generic(_emit_fabs)
rint = _generic(
    lambda b, signed, x: _libdevice(b, "rint", x) if on_gpu(b) else _call(b, "llvm.roundeven", x.type, [x])
)
with_sign = _generic(_emit_with_sign)
less = _generic(lambda b, signed, x, y: _greater(b, signed, y, x), _mask_of)
either = _generic(lambda b, signed, x, y: b.or_(x, y))
both = _generic(lambda b, signed, x, y: b.and_(x, y))


def _bits_of(b, v):
    return b.bitcast(v, _like(v.type, I64 if getattr(v.type, "element", v.type) == F64 else I32))


def _lesser_bits(compare):
    def emit(b, signed, x, y):
        left, right = _bits_of(b, x), _bits_of(b, y)  # as integers also chosen: a minimum is one instruction
        return b.bitcast(b.select(getattr(b, compare)("<", left, right), left, right), x.type)

    return _generic(emit)


def _any_of_bits(value):
    """Whether a lane of a vector has these bits."""

    def emit(b, signed, v):
        bits = _bits_of(b, v)
        lanes = b.icmp_signed("==", bits, _const(bits.type, value(bits.type.element.width)))
        mask = ir.IntType(v.type.count)
        return b.icmp_unsigned("!=", b.bitcast(lanes, mask), mask(0))

    return _generic(emit, lambda t: types.boolean)


lesser_bits, lesser_unsigned_bits = _lesser_bits("icmp_signed"), _lesser_bits("icmp_unsigned")
any_negative_zero = _any_of_bits(lambda width: -(1 << (width - 1)))
any_positive_zero = _any_of_bits(lambda width: 0)


@intrinsic
def all_lanes(tc, mask):
    """Whether a mask is true everywhere."""

    def codegen(ctx, b, sig, args):
        bits = ir.IntType(args[0].type.count)
        return b.icmp_unsigned("==", b.bitcast(args[0], bits), bits(-1))

    return types.boolean(mask), codegen


@intrinsic
def pick(tc, mask, x, y):
    """x where mask, else y."""
    return x(mask, x, y), lambda ctx, b, sig, args: b.select(*args)


def _shuffle(lane):
    """The lanes lane(k, n) of two vectors of n lanes, one behind the other."""

    def emit(b, signed, x, y):
        n = x.type.count
        return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, n), [lane(k, n) for k in range(n)]))

    return _generic(emit)


evens, odds = _shuffle(lambda k, n: 2 * k), _shuffle(lambda k, n: 2 * k + 1)
moved_up, moved_up_2, moved_up_3 = (_shuffle(lambda k, n, s=s: n - s + k) for s in (1, 2, 3))
moved_down, moved_down_2, moved_down_3 = (_shuffle(lambda k, n, s=s: k + s) for s in (1, 2, 3))


def _scan(backward):
    """Sums of a vector's lanes up to each lane, or from each lane on."""

    def emit(b, signed, v):
        n, step = v.type.count, 1
        while step < n:
            lanes = [k + step if backward else k - step for k in range(n)]
            lanes = [k if 0 <= k < n else n for k in lanes]
            moved = b.shuffle_vector(v, _const(v.type, 0), ir.Constant(ir.VectorType(I32, n), lanes))
            v, step = _emit_add(b, signed, v, moved), 2 * step
        return v

    return _generic(emit)


sums_to, sums_from = _scan(False), _scan(True)


zip_low = _shuffle(lambda k, n: k // 2 + n * (k % 2))
zip_high = _shuffle(lambda k, n: (n + k) // 2 + n * (k % 2))


@intrinsic
def prefetch(tc, addr):
    """Ask the second-level cache for the line of an address, which need not be anybody's."""

    def codegen(ctx, b, sig, args):
        pointer, name = I8.as_pointer(), "llvm.prefetch.p0"
        fnty = ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32])
        fn = b.module.globals.get(name) or ir.Function(b.module, fnty, name)
        b.call(fn, [_pointer(b, args[0], I8), I32(0), I32(2), I32(1)])
        return ctx.get_dummy_value()

    return types.void(address), codegen


@intrinsic
def word(tc, base, i):
    """The i-th 64-bit integer of a table."""

    def codegen(ctx, b, sig, args):
        return b.load(b.gep(b.inttoptr(args[0], I64.as_pointer()), [args[1]]))

    return types.int64(address, types.int64), codegen


@intrinsic
def set_word(tc, base, i, value):
    def codegen(ctx, b, sig, args):
        b.store(args[2], b.gep(b.inttoptr(args[0], I64.as_pointer()), [args[1]]))
        return ctx.get_dummy_value()

    return types.void(address, types.int64, types.int64), codegen


# ---- primitives for given element types -----------------------------------------------------------------------------


def _pointer(b, addr, element):
    return b.inttoptr(addr, element.as_pointer())


def _load(b, addr, t):
    v = b.load(_pointer(b, addr, t))
    v.align = 1
    return v


def _store(b, addr, v):
    s = b.store(v, _pointer(b, addr, v.type))
    s.align = 1


def masks(size):
    """Whether masked loads and stores of elements of `size` bytes are instructions (else LLVM makes a branch per lane)."""
    if has_feature("avx512vl") and has_feature("avx512bw"):
        return True
    return size >= 4 and has_feature("avx2")


def _lane_mask(b, n, lanes, bits=32):
    """The first n lanes; with fewer `bits`, in which n fits, as one comparison where elements are as small."""
    kind_ = ir.IntType(min(bits, 32))
    iota = ir.Constant(ir.VectorType(kind_, lanes), list(range(lanes)))
    return b.icmp_signed("<", iota, _splat(b, b.trunc(n, kind_), lanes))


def _mask_of_elements(b, n, vector):
    return _lane_mask(b, n, vector.count, _bits(vector.element))


def _masked(b, kind_, vector, args):
    suffix = f".v{vector.count}{_suffix(vector.element)}.p0"
    name = f"llvm.masked.{kind_}{suffix}"
    result = ir.VoidType() if kind_ == "store" else vector
    fn = b.module.globals.get(name) or ir.Function(
        b.module, ir.FunctionType(result, [a.type for a in args]), name
    )
    # LLVM has the alignment as an attribute of the pointer; without one it is 1.
    return b.call(fn, args)


def _each_lane(b, n, body):
    """Emit `for i in range(n): body(i)`."""
    start = b.basic_block
    head, stop = b.append_basic_block("lane"), b.append_basic_block("lanes.end")
    b.cbranch(b.icmp_signed(">", n, I64(0)), head, stop)
    b.position_at_end(head)
    i = b.phi(I64)
    i.add_incoming(I64(0), start)
    # LLVM would make a call of memcpy from the loop, which costs more than the few elements.
    b.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], side_effect=True)
    body(i)
    after = b.add(i, I64(1))
    i.add_incoming(after, b.basic_block)
    b.cbranch(b.icmp_signed("<", after, n), head, stop)
    b.position_at_end(stop)


def _load_n(b, addr, n, vector, fill):
    if masks(_bits(vector.element) // 8):
        return _masked(b, "load", vector, [_pointer(b, addr, vector), _mask_of_elements(b, n, vector), fill])
    element = vector.element
    with b.goto_entry_block():
        room = b.alloca(vector)
    b.store(fill, room)
    source, target = _pointer(b, addr, element), b.bitcast(room, element.as_pointer())

    def body(i):
        v = b.load(b.gep(source, [i]))
        v.align = 1
        b.store(v, b.gep(target, [i]))

    _each_lane(b, n, body)
    return b.load(room)


def _store_n(b, addr, v, n):
    vector = v.type
    if masks(_bits(vector.element) // 8):
        _masked(b, "store", vector, [v, _pointer(b, addr, vector), _mask_of_elements(b, n, vector)])
        return
    element = vector.element
    with b.goto_entry_block():
        room = b.alloca(vector)
    b.store(v, room)
    source, target = b.bitcast(room, element.as_pointer()), _pointer(b, addr, element)

    def body(i):
        s = b.store(b.load(b.gep(source, [i])), b.gep(target, [i]))
        s.align = 1

    _each_lane(b, n, body)


def _bits(element):
    return {F16: 16, F32: 32, F64: 64}.get(element) or element.width


def loader(stored, loaded, lanes):
    """`load(address)`: `lanes` neighbours of dtype `stored`, as dtype `loaded`."""
    vector, result = ir.VectorType(_llvm(stored), lanes), Vec(scalar_type(loaded), lanes)

    @intrinsic
    def load(tc, addr):
        return result(address), lambda ctx, b, sig, args: convert(
            b, _load(b, args[0], vector), stored, loaded
        )

    return load


def spread_loader(stored, loaded, lanes):
    """`load_2(address)`: every other of 2·lanes − 1 elements; the one behind the last may not exist and is not read."""
    element = _llvm(stored)
    vector, result = ir.VectorType(element, lanes), Vec(scalar_type(loaded), lanes)
    mask = [2 * k if 2 * k < lanes else 2 * k + 1 for k in range(lanes)]

    @intrinsic
    def load_2(tc, addr):
        def codegen(ctx, b, sig, args):
            far = b.add(args[0], I64((lanes - 1) * itemsize(stored)))
            low, high = _load(b, args[0], vector), _load(b, far, vector)
            v = b.shuffle_vector(low, high, ir.Constant(ir.VectorType(I32, lanes), mask))
            return convert(b, v, stored, loaded)

        return result(address), codegen

    return load_2


def block_loader(stored, loaded, lanes, block):
    """`load(address)`: `block` neighbours of dtype `stored`, added in pairs of halves until `lanes` are left, as dtype `loaded`; `load_n(address, n)`: n < block of them."""
    vector, result = ir.VectorType(_llvm(stored), block), Vec(scalar_type(loaded), lanes)

    def folded(b, v):
        while v.type.count > lanes:
            half = v.type.count // 2
            low, high = (
                b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, half), list(range(at, at + half))))
                for at in (0, half)
            )
            v = _emit_add(b, True, low, high)
        return convert(b, v, stored, loaded)

    @intrinsic
    def load(tc, addr):
        return result(address), lambda ctx, b, sig, args: folded(b, _load(b, args[0], vector))

    @intrinsic
    def load_n(tc, addr, n):
        def codegen(ctx, b, sig, args):
            return folded(b, _load_n(b, args[0], args[1], vector, ir.Constant(vector, None)))

        return result(address, types.int64), codegen

    return load, load_n


def partial_loader(stored, loaded, lanes, fill):
    """`load_n(address, n)`: n < lanes neighbours, the other lanes hold `fill` (a value of dtype `loaded`, or "mark")."""
    vector, result = ir.VectorType(_llvm(stored), lanes), Vec(scalar_type(loaded), lanes)
    wide = ir.VectorType(_llvm(loaded), lanes)

    @intrinsic
    def load_n(tc, addr, n):
        def codegen(ctx, b, sig, args):
            zero = ir.Constant(vector, None)
            v = convert(b, _load_n(b, args[0], args[1], vector, zero), stored, loaded)
            if fill == 0:
                return v
            return b.select(_mask_of_elements(b, args[1], vector), v, _constant(b, wide, wide.element, fill))

        return result(address, types.int64), codegen

    return load_n


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def getter(stored, loaded):
    """`get(address)`: one element."""
    element, result = _llvm(stored), scalar_type(loaded)

    @intrinsic
    def get(tc, addr):
        return result(address), lambda ctx, b, sig, args: convert(
            b, _load(b, args[0], element), stored, loaded
        )

    return get


def storer(given, stored, lanes):
    """`store(address, vector)`: converted to dtype `stored`."""
    vec = Vec(scalar_type(given), lanes)

    @intrinsic
    def store(tc, addr, v):
        def codegen(ctx, b, sig, args):
            _store(b, args[0], convert(b, args[1], given, stored))
            return ctx.get_dummy_value()

        return types.void(address, vec), codegen

    return store


def partial_storer(given, stored, lanes):
    """`store_n(address, vector, n)`: the first n < lanes lanes."""
    vec = Vec(scalar_type(given), lanes)

    @intrinsic
    def store_n(tc, addr, v, n):
        def codegen(ctx, b, sig, args):
            _store_n(b, args[0], convert(b, args[1], given, stored), args[2])
            return ctx.get_dummy_value()

        return types.void(address, vec, types.int64), codegen

    return store_n


def putter(given, stored):
    """`put(address, scalar)`."""
    scalar = scalar_type(given)

    @intrinsic
    def put(tc, addr, v):
        def codegen(ctx, b, sig, args):
            _store(b, args[0], convert(b, args[1], given, stored))
            return ctx.get_dummy_value()

        return types.void(address, scalar), codegen

    return put


def splatter(dtype, lanes):
    """`splat(scalar)`: all lanes the same."""
    scalar = scalar_type(dtype)

    @intrinsic
    def splat(tc, v):
        return Vec(scalar, lanes)(scalar), lambda ctx, b, sig, args: _splat(b, args[0], lanes)

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
            n = _splat(b, n, lanes) if lanes else n
            if key == "int64":
                return b.add(args[0], n)
            return _call(b, "llvm.uadd.sat", args[0].type, [args[0], n])

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
            return _call(b, "llvm.uadd.sat", args[0].type, [args[0], iota])

        return vec(vec), codegen

    return lane_keys


def key_splatter(key, lanes):
    """`splat_k(key)`: an int64 in all lanes of a key vector."""
    vec = Vec(scalar_type(key), lanes)

    @intrinsic
    def splat_k(tc, value):
        return vec(types.int64), lambda ctx, b, sig, args: _splat(b, convert(b, args[0], "int64", key), lanes)

    return splat_k


def key_splatter_n(key, lanes, none):
    """`splat_k_n(key, n)`: the key in the first n lanes, none in the others."""
    vec = Vec(scalar_type(key), lanes)

    @intrinsic
    def splat_k_n(tc, value, n):
        def codegen(ctx, b, sig, args):
            v = _splat(b, convert(b, args[0], "int64", key), lanes)
            return b.select(_lane_mask(b, args[1], lanes), v, _const(v.type, none))

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
            nowhere = b.icmp_signed(">=", args[0], _const(args[0].type, none))
            return b.select(nowhere, _const(args[0].type, -1), args[0])

        return vec(vec), codegen

    return settle


def constant(dtype, value, lanes):
    """`constant()`: a vector with `value` in all lanes, or a scalar if `lanes` is None."""
    result = scalar_type(dtype) if lanes is None else Vec(scalar_type(dtype), lanes)

    @intrinsic
    def constant(tc):
        def codegen(ctx, b, sig, args):
            return _constant(b, ctx.get_value_type(result), _llvm(dtype), value)

        return result(), codegen

    return constant


def constant_like(dtype, value):
    """`constant(v)`: `value` (a number, or "mark": the NaN that stands for no element) as dtype `dtype`, a vector if v is one."""
    scalar, element = scalar_type(dtype), _llvm(dtype)

    @intrinsic
    def constant(tc, v):
        result = Vec(scalar, v.lanes) if isinstance(v, Vec) else scalar

        def codegen(ctx, b, sig, args):
            return _constant(b, ctx.get_value_type(result), element, value)

        return result(v), codegen

    return constant


def _constant(b, t, element, value):
    if not isinstance(value, str):
        return _const(t, _plain(value))
    bits = _like(t, I64 if element == F64 else I32)
    return b.bitcast(_const(bits, -1), t)


def _libdevice(b, name, *args):
    """Call a function of NVIDIA's library, which is linked into every kernel and inlined."""
    t = args[0].type
    name = f"__nv_{name}{'f' if t == F32 else ''}"
    fn = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(t, [a.type for a in args]), name)
    return b.call(fn, args)


def power(exponent):
    """`power(v)` of what is not negative: products for small integers, roots for 1/2 and 1/4, else `pow` lane by lane."""

    def emit(b, signed, v):
        if exponent in (0.5, 0.25):
            root = _call(b, "llvm.sqrt", v.type, [v])
            return root if exponent == 0.5 else _call(b, "llvm.sqrt", v.type, [root])
        if exponent == 0:
            return _const(v.type, 1)
        if exponent not in range(1, 9) and on_gpu(b):
            return _libdevice(b, "pow", v, _const(v.type, exponent))
        if exponent not in range(1, 9):
            return _call(b, "llvm.pow", v.type, [v, _const(v.type, exponent)])
        result, square, left = None, v, int(exponent)
        while left:
            if left & 1:
                result = square if result is None else b.fmul(result, square)
            left >>= 1
            square = b.fmul(square, square) if left else square
        return result

    return _generic(emit)


def clipper(dtype):
    """`clip(v)`: floating values into the range of an integer dtype."""
    bits = 8 * itemsize(dtype)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if kind(dtype) == "i" else (0, 2**bits - 1)

    def emit(b, signed, v):
        v = b.select(b.fcmp_ordered("<", v, _const(v.type, float(low))), _const(v.type, float(low)), v)
        return b.select(b.fcmp_ordered(">", v, _const(v.type, float(high))), _const(v.type, float(high)), v)

    return _generic(emit)


def lane_counter(lanes):
    """`first_lanes(n)`: a mask of the first n lanes."""
    mask = Vec(types.boolean, lanes)

    @intrinsic
    def first_lanes(tc, n):
        return mask(types.int64), lambda ctx, b, sig, args: _lane_mask(b, args[0], lanes)

    return first_lanes


def flag_loader(lanes):
    """`load(address)`: bytes as a mask; a scalar if `lanes` is None."""
    t = types.boolean if lanes is None else Vec(types.boolean, lanes)
    stored = I8 if lanes is None else ir.VectorType(I8, lanes)

    @intrinsic
    def load(tc, addr):
        def codegen(ctx, b, sig, args):
            v = _load(b, args[0], stored)
            return b.icmp_unsigned("!=", v, _const(v.type, 0))

        return t(address), codegen

    return load


def flag_splatter(lanes):
    """`splat(address)`: one byte as a mask of equal lanes."""

    @intrinsic
    def splat(tc, addr):
        def codegen(ctx, b, sig, args):
            v = _load(b, args[0], I8)
            return _splat(b, b.icmp_unsigned("!=", v, I8(0)), lanes)

        return Vec(types.boolean, lanes)(address), codegen

    return splat


def flags(lanes):
    """`every()`: a mask that is true everywhere; a scalar if `lanes` is None."""
    t = types.boolean if lanes is None else Vec(types.boolean, lanes)

    @intrinsic
    def every(tc):
        return t(), lambda ctx, b, sig, args: _const(I1 if lanes is None else ir.VectorType(I1, lanes), 1)

    return every


def copier(dtype):
    """`copy(to, from)`: one element, bit for bit."""
    element = ir.IntType(8 * itemsize(dtype))

    @intrinsic
    def copy(tc, to, source):
        def codegen(ctx, b, sig, args):
            _store(b, args[0], _load(b, args[1], element))
            return ctx.get_dummy_value()

        return types.void(address, address), codegen

    return copy


def named_types(acc, end, key, lanes):
    """The Numba types that templates name in annotations: an accumulator as a vector, as a scalar, and a finished vector."""
    scalars = [scalar_type(acc)] + ([scalar_type(key)] if key else [])
    vectors = [Vec(t, lanes) for t in scalars]
    last = scalar_type(end)
    masks = {"mask": Vec(types.boolean, lanes), "flag": types.boolean}
    common = {"end": Vec(last, lanes), "weight": Vec(last, lanes), "weight_1": last} | masks
    if key:
        return {"acc": types.Tuple(vectors), "one": types.Tuple(scalars)} | common
    return {"acc": vectors[0], "one": scalars[0]} | common
