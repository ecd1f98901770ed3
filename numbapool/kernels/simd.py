"""Primitives of any vector or scalar: what kernels merge, choose and shuffle with.

A kernel template names primitives as free functions. Those of this module know what to do from the types that they are given; those of `memory.py` and `typed.py` are
made for a combination of element types. All of them work on addresses (plain integers), so a kernel does not care which container,
layout or read-only flag the memory has. Each primitive has a twin in `twins.py` that computes the same with NumPy.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from numbapool.kernels.llvm import (
    F64,
    I1,
    I32,
    I64,
    Vec,
    call,
    const,
    has_feature,
    is_fp,
    libdevice,
    like,
    on_gpu,
    overload,
)


def generic(emit, result=None):
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
    if is_fp(x.type):
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
        if not is_fp(v.type):
            return r
        # A constant NaN, because LLVM would merge two choices of v into mask arithmetic.
        return b.select(b.fcmp_unordered("uno", v, v), const(v.type, float("nan")), r)

    return generic(emit)


def _extreme_3(sign):
    """The same of three: one comparison finds a NaN in either of the later two."""
    two = _extreme_of(sign)

    def emit(b, signed, acc, v, w):
        r = two(b, signed, two(b, signed, acc, v), w)
        if not is_fp(v.type):
            return r
        return b.select(b.fcmp_unordered("uno", v, w), const(v.type, float("nan")), r)

    return generic(emit)


def _beats(sign):
    """Whether v replaces acc where v comes later in row-major order."""

    def emit(b, signed, v, acc):
        if not is_fp(v.type):
            return _greater(b, signed, v, acc) if sign > 0 else _greater(b, signed, acc, v)
        later = b.fcmp_unordered(">" if sign > 0 else "<", v, acc)
        return b.and_(later, b.fcmp_ordered("ord", acc, acc))

    return generic(emit, _mask_of)


def _emit_ties(b, signed, v, acc):
    if not is_fp(v.type):
        return b.icmp_signed("==", v, acc)
    nans = b.and_(b.fcmp_unordered("uno", v, v), b.fcmp_unordered("uno", acc, acc))
    return b.or_(b.fcmp_ordered("==", v, acc), nans)


def emit_add(b, signed, x, y):
    return b.fadd(x, y) if is_fp(x.type) else b.add(x, y)


def _emit_mul(b, signed, x, y):
    return b.fmul(x, y) if is_fp(x.type) else b.mul(x, y)


def _emit_upper_half(b, x, y):
    """The upper bits of products of unsigned lanes of 16 bits. By its name, as LLVM knows the instruction again where both factors are widened side by side, not if one was outside a loop."""
    n = x.type.count
    if b.module.triple.startswith("x86_64"):
        size, name = (32, "avx512.pmulhu.w.512") if has_feature("avx512bw") else (16, "avx2.pmulhu.w") if has_feature("avx2") else (8, "sse2.pmulhu.w")  # fmt: skip
        if n > size:
            parts = [
                [b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, n // 2), list(lanes))) for v in (x, y)]
                for lanes in (range(n // 2), range(n // 2, n))
            ]
            both_parts = ir.Constant(ir.VectorType(I32, n), list(range(n)))
            return b.shuffle_vector(*(_emit_upper_half(b, *part) for part in parts), both_parts)
        if n == size:
            name, fnty = f"llvm.x86.{name}", ir.FunctionType(x.type, [x.type] * 2)
            return b.call(b.module.globals.get(name) or ir.Function(b.module, fnty, name), [x, y])
    wide = like(x.type, I32)
    product = b.mul(b.zext(x, wide), b.zext(y, wide))
    return b.trunc(b.lshr(product, const(wide, 16)), x.type)


def _emit_fabs(b, signed, x):
    if not on_gpu(b):
        return call(b, "llvm.fabs", x.type, [x])
    bits = I64 if x.type == F64 else I32  # NVVM does not know the intrinsic
    return b.bitcast(b.and_(b.bitcast(x, bits), bits((1 << (bits.width - 1)) - 1)), x.type)


def _emit_with_sign(b, signed, x, y):
    if on_gpu(b):
        return libdevice(b, "copysign", x, y)
    return call(b, "llvm.copysign", x.type, [x, y])


def _is_mark(b, v):
    """Whether v is the NaN that stands for no element at all."""
    bits = _bits_of(b, v)
    return b.icmp_signed("==", bits, const(bits.type, -1))


def _present_wins(b, sign, v, acc):
    """Whether v replaces acc where NaNs are left out: a number beats a NaN, and a NaN the mark of no element."""
    better = b.fcmp_ordered(">" if sign > 0 else "<", v, acc)
    return b.or_(better, b.and_(b.fcmp_unordered("uno", acc, acc), b.not_(_is_mark(b, v))))


def _present_beats(sign):
    return generic(lambda b, signed, v, acc: _present_wins(b, sign, v, acc), _mask_of)


def _present_extreme(sign):
    return generic(lambda b, signed, acc, v: b.select(_present_wins(b, sign, v, acc), v, acc))


maximum, minimum = _extreme(+1), _extreme(-1)


maximum_of_numbers, minimum_of_numbers = generic(_extreme_of(+1)), generic(_extreme_of(-1))


maximum_3, minimum_3 = _extreme_3(+1), _extreme_3(-1)


beats_max, beats_min = _beats(+1), _beats(-1)


present_maximum, present_minimum = _present_extreme(+1), _present_extreme(-1)


present_beats_max, present_beats_min = _present_beats(+1), _present_beats(-1)


known = generic(lambda b, signed, x: b.not_(_is_mark(b, x)), _mask_of)


ties = generic(_emit_ties, _mask_of)


add = generic(emit_add)


sub = generic(lambda b, signed, x, y: b.fsub(x, y) if is_fp(x.type) else b.sub(x, y))


mul = generic(_emit_mul)


div = generic(lambda b, signed, x, y: b.fdiv(x, y))


equal = generic(
    lambda b, signed, x, y: (b.fcmp_ordered if is_fp(x.type) else b.icmp_signed)("==", x, y), _mask_of
)


isnan = generic(lambda b, signed, x: b.fcmp_unordered("uno", x, x), _mask_of)


unordered = generic(lambda b, signed, x, y: b.fcmp_unordered("uno", x, y), _mask_of)


nowhere = generic(lambda b, signed, x, y: const(like(x.type, I1), 0), _mask_of)


isnumber = generic(lambda b, signed, x: b.fcmp_ordered("ord", x, x), _mask_of)


everywhere = generic(lambda b, signed, x: const(like(x.type, I1), 1), _mask_of)


fabs = generic(_emit_fabs)


rint = generic(
    lambda b, signed, x: libdevice(b, "rint", x) if on_gpu(b) else call(b, "llvm.roundeven", x.type, [x])
)


with_sign = generic(_emit_with_sign)


upper_half = generic(lambda b, signed, x, y: _emit_upper_half(b, x, y))


less = generic(lambda b, signed, x, y: _greater(b, signed, y, x), _mask_of)


either = generic(lambda b, signed, x, y: b.or_(x, y))


both = generic(lambda b, signed, x, y: b.and_(x, y))


def _bits_of(b, v):
    wide = getattr(v.type, "element", v.type) in (F64, I64)
    return b.bitcast(v, like(v.type, I64 if wide else I32))


def _lesser_bits(compare):
    def emit(b, signed, x, y):
        left, right = _bits_of(b, x), _bits_of(b, y)  # as integers also chosen: a minimum is one instruction
        return b.bitcast(b.select(getattr(b, compare)("<", left, right), left, right), x.type)

    return generic(emit)


def _any_of_bits(value):
    """Whether a lane of a vector has these bits."""

    def emit(b, signed, v):
        bits = _bits_of(b, v)
        lanes = b.icmp_signed("==", bits, const(bits.type, value(bits.type.element.width)))
        mask = ir.IntType(v.type.count)
        return b.icmp_unsigned("!=", b.bitcast(lanes, mask), mask(0))

    return generic(emit, lambda t: types.boolean)


lesser_bits, lesser_unsigned_bits = _lesser_bits("icmp_signed"), _lesser_bits("icmp_unsigned")


shifted = generic(lambda b, signed, x, places: b.lshr(x, places))


without_16_bits = generic(lambda b, signed, x: b.ashr(x, const(x.type, 16)))


any_negative_zero = _any_of_bits(lambda width: -(1 << (width - 1)))


any_positive_zero = _any_of_bits(lambda width: 0)


def _lanes_as_bits(compare, value):
    @intrinsic
    def primitive(tc, mask):
        def codegen(ctx, b, sig, args):
            bits = ir.IntType(args[0].type.count)
            return b.icmp_unsigned(compare, b.bitcast(args[0], bits), bits(value))

        return types.boolean(mask), codegen

    return primitive


all_lanes, any_lane = _lanes_as_bits("==", -1), _lanes_as_bits("!=", 0)


@intrinsic
def pick(tc, mask, x, y):
    """x where mask, else y."""
    return x(mask, x, y), lambda ctx, b, sig, args: b.select(*args)


def _shuffle(lane):
    """The lanes lane(k, n) of two vectors of n lanes, one behind the other."""

    def emit(b, signed, x, y):
        n = x.type.count
        return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, n), [lane(k, n) for k in range(n)]))

    return generic(emit)


evens, odds = _shuffle(lambda k, n: 2 * k), _shuffle(lambda k, n: 2 * k + 1)


moved_up, moved_up_2, moved_up_3 = (_shuffle(lambda k, n, s=s: n - s + k) for s in (1, 2, 3))


moved_down, moved_down_2, moved_down_3, moved_down_4, moved_down_8, moved_down_16, moved_down_32 = (
    _shuffle(lambda k, n, s=s: k + s) for s in (1, 2, 3, 4, 8, 16, 32)
)


def _scan(backward):
    """Sums of a vector's lanes up to each lane, or from each lane on."""

    def emit(b, signed, v):
        n, step = v.type.count, 1
        while step < n:
            lanes = [k + step if backward else k - step for k in range(n)]
            lanes = [k if 0 <= k < n else n for k in lanes]
            moved = b.shuffle_vector(v, const(v.type, 0), ir.Constant(ir.VectorType(I32, n), lanes))
            v, step = emit_add(b, signed, v, moved), 2 * step
        return v

    return generic(emit)


sums_to, sums_from = _scan(False), _scan(True)


def _linked(b, t):
    """Bit by bit, whether a lane has the same as the one before."""
    n = t.type.count
    before = b.shuffle_vector(t, t, ir.Constant(ir.VectorType(I32, n), [max(k - 1, 0) for k in range(n)]))
    bits = ir.IntType(n)
    return b.and_(b.bitcast(b.icmp_signed("==", t, before), bits), bits(-2))


def _run_sums(longest):
    def codegen(ctx, b, sig, args):
        v, t = args
        n, step, linked = v.type.count, 1, _linked(b, t)
        while step < min(n, longest):
            lanes = [k - step if k >= step else n for k in range(n)]
            moved = b.shuffle_vector(v, const(v.type, 0), ir.Constant(ir.VectorType(I32, n), lanes))
            mask = b.bitcast(linked, ir.VectorType(I1, n))
            v = b.select(mask, emit_add(b, True, v, moved), v)
            linked = b.and_(linked, b.shl(linked, linked.type(step)))
            step *= 2
        return v

    @intrinsic
    def run_sums(tc, v, t):
        """Of every lane the sum of v over the lanes since t last changed, which may be so many."""
        return v(v, t), codegen

    return run_sums


run_sums, run_sums_of_4 = _run_sums(64), _run_sums(4)


@intrinsic
def run_ends(tc, t):
    """A word in which the bits of the last lanes of runs of equal ones are set."""

    def codegen(ctx, b, sig, args):
        linked = _linked(b, args[0])
        ends = b.not_(b.lshr(linked, linked.type(1)))
        return b.zext(ends, I64)

    return types.int64(t), codegen


def compresses(size):
    """Whether lanes of `size` bytes are brought together by an instruction."""
    return has_feature("avx512vl") and has_feature("avx512vbmi2" if size < 4 else "avx512f")


@intrinsic
def bits_in(tc, x):
    """How many bits of a word are set."""
    return types.int64(types.int64), lambda ctx, b, sig, args: call(b, "llvm.ctpop", I64, [args[0]])


@intrinsic
def trailing_zeros(tc, x):
    """The number of the lowest bit that is set; there must be one."""

    def codegen(ctx, b, sig, args):
        return b.cttz(args[0], I1(1))

    return types.int64(types.int64), codegen


zip_low = _shuffle(lambda k, n: k // 2 + n * (k % 2))


zip_high = _shuffle(lambda k, n: (n + k) // 2 + n * (k % 2))
