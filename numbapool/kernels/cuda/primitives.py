"""The primitives of CUDA kernels: those of the CPU on scalars, one a lane, and what differs: memory, keys, constants of several lanes.

Under the CUDA simulator, whose device memory is the host's, their twins in `twins.py` serve.
"""

from llvmlite import ir
from numba.cuda import types

from numbapool.dtypes import itemsize
from numbapool.kernels import llvm, simd, typed
from numbapool.kernels.cuda.staging import Lanes, Number, emitting, over_lanes, primitive

WORD = 16  # bytes that one instruction moves

for _name in (
    "maximum minimum beats_max beats_min present_maximum present_minimum present_beats_max present_beats_min known ties sub mul div "
    "equal isnan isnumber everywhere fabs with_sign less"
).split():
    globals()[_name] = primitive(getattr(simd, _name))
rint, add = primitive(simd.rint), primitive(simd.add)


def _logic(combine):
    def emit(x, y):
        if isinstance(x, bool) or isinstance(y, bool):
            constant_, other = (x, y) if isinstance(x, bool) else (y, x)
            return combine(constant_, other)
        return _both(x, y) if combine is _all else _either(x, y)

    return over_lanes(emit)


def _all(known, other):
    return other if known else False


def _any(known, other):
    return True if known else other


_both, _either, _pick = primitive(simd.both), primitive(simd.either), primitive(simd.pick)
both, either = _logic(_all), _logic(_any)


@over_lanes
def pick(mask, x, y):
    if isinstance(mask, bool):
        return x if mask else y
    return _pick(mask, x, y)


evens = odds = zip_low = zip_high = sums_to = sums_from = prefetch = word = set_word = None


@over_lanes
def wide(x):
    """An integer of 64 bits."""
    return x + Number(types.int64, ir.Constant(ir.IntType(64), 0))


@over_lanes
def narrow(x):
    """The low 32 bits of an integer."""
    return _converted(wide(x).value, "int64", "int32")


# ---- memory: addresses are integers, elements lie at multiples of their size


def _pointer(builder, addr, kind):
    return builder.inttoptr(addr.value, ir.PointerType(kind, 1))  # 1: global memory


def _read(addr, kind, align):
    _, builder = emitting()
    v = builder.load(_pointer(builder, addr, kind))
    v.align = align
    return v


def _write(addr, value, align):
    _, builder = emitting()
    builder.store(value, _pointer(builder, addr, value.type)).align = align


def _converted(value, src, dst):
    _, builder = emitting()
    return Number(llvm.scalar_type(dst), llvm.convert(builder, value, src, dst))


def _pieces(nbytes):
    """How a run of bytes is cut into the largest moves: (offset, bytes)."""
    at = 0
    while at < nbytes:
        size = WORD
        while size > nbytes - at:
            size //= 2
        yield at, size
        at += size


def _unit(stored):
    """The type that vectors in memory are made of: 32 bits, or the element where it is larger."""
    return llvm.llvm_type(stored) if itemsize(stored) >= 4 else llvm.I32


def loader(stored, loaded, lanes, aligned=False):
    """`load(address)`: neighbours; in moves of 16 bytes if every address is a multiple of that (or of all of them, where they are fewer)."""
    element, size = llvm.llvm_type(stored), itemsize(stored)

    def load(addr):
        _, builder = emitting()
        values = []
        if not aligned or lanes * size < 4:
            values = [_read(addr + i * size, element, size) for i in range(lanes)]
        else:
            unit = _unit(stored)
            per = max(size, 4)
            for at, nbytes in _pieces(lanes * size):
                if nbytes < 4:
                    values += [_read(addr + at + i * size, element, size) for i in range(nbytes // size)]
                    continue
                n = nbytes // per
                moved = _read(addr + at, ir.VectorType(unit, n) if n > 1 else unit, nbytes)
                units = [builder.extract_element(moved, llvm.I32(i)) for i in range(n)] if n > 1 else [moved]
                for u in units:
                    values += [u] if size >= 4 else _cut(builder, u, element, size)
        return Lanes(_converted(v, stored, loaded) for v in values)

    return load


table_loader = loader


def _cut(builder, unit, element, size):
    """The elements within 32 bits, the first in the lowest."""
    return [
        builder.trunc(builder.lshr(unit, llvm.I32(8 * size * i)) if i else unit, element)
        for i in range(4 // size)
    ]


def storer(given, stored, lanes, aligned=False):
    """`store(address, v)`: the same the other way."""
    size = itemsize(stored)

    def store(addr, v):
        _, builder = emitting()
        values = [llvm.convert(builder, n.value, given, stored) for n in v]
        if not aligned or lanes * size < 4:
            for i, value in enumerate(values):
                _write(addr + i * size, value, size)
            return
        unit, per = _unit(stored), max(size, 4)
        for at, nbytes in _pieces(lanes * size):
            part = values[at // size : (at + nbytes) // size]
            if nbytes < 4:
                for i, value in enumerate(part):
                    _write(addr + at + i * size, value, size)
                continue
            if size < 4:
                part = [
                    _joined(builder, part[i : i + 4 // size], size) for i in range(0, len(part), 4 // size)
                ]
            if len(part) == 1:
                _write(addr + at, part[0], nbytes)
                continue
            moved = ir.Constant(ir.VectorType(unit, nbytes // per), ir.Undefined)
            for i, value in enumerate(part):
                moved = builder.insert_element(moved, value, llvm.I32(i))
            _write(addr + at, moved, nbytes)

    return store


def _joined(builder, parts, size):
    unit = builder.zext(parts[0], llvm.I32)
    for i, part in enumerate(parts[1:], 1):
        unit = builder.or_(unit, builder.shl(builder.zext(part, llvm.I32), llvm.I32(8 * size * i)))
    return unit


def guarded_loader(stored, loaded, fill):
    """`load(address, inside)`: neighbours where the mask is set, `fill` elsewhere; nothing else is read."""
    element, size = llvm.llvm_type(stored), itemsize(stored)
    get, empty = getter(stored, loaded), constant(loaded, fill, None)

    def one(addr, here):
        if isinstance(here, bool):
            return get(addr) if here else empty()
        _, builder = emitting()
        other = empty()
        with builder.if_else(here.value) as (then, otherwise):
            with then:
                v = llvm.convert(builder, _read(addr, element, size), stored, loaded)
                loaded_in = builder.basic_block
            with otherwise:
                left_in = builder.basic_block
        result = builder.phi(v.type)
        result.add_incoming(v, loaded_in)
        result.add_incoming(other.value, left_in)
        return Number(llvm.scalar_type(loaded), result)

    return lambda addr, inside: Lanes(one(addr + i * size, here) for i, here in enumerate(inside))


def guarded_storer(given, stored):
    size = itemsize(stored)
    put = putter(given, stored)

    def store(addr, v, inside):
        _, builder = emitting()
        for i, here in enumerate(inside):
            if isinstance(here, bool):
                if here:
                    put(addr + i * size, v[i])
                continue
            with builder.if_then(here.value):
                put(addr + i * size, v[i])

    return store


def getter(stored, loaded):
    """`get(address)`: one element."""
    element, size = llvm.llvm_type(stored), itemsize(stored)
    return lambda addr: _converted(_read(addr, element, size), stored, loaded)


def putter(given, stored):
    """`put(address, scalar)`."""
    size = itemsize(stored)
    return lambda addr, v: _write(addr, llvm.convert(emitting()[1], v.value, given, stored), size)


def raiser(dtype):
    """`raise_to(address, value, here)`: where `here`, the integer there becomes the larger of both, whatever other threads do at the same time."""
    kind = llvm.llvm_type(dtype)

    def raise_to(addr, value, here):
        _, builder = emitting()
        value = _converted(wide(value).value, "int64", dtype).value
        with builder.if_then(here.value):
            builder.atomic_rmw("max", _pointer(builder, addr, kind), value, "monotonic")

    return raise_to


def copier(dtype):
    """`copy(to, from)`: one element, bit for bit."""
    kind, size = ir.IntType(8 * itemsize(dtype)), itemsize(dtype)
    return lambda to, source: _write(to, _read(source, kind, size), size)


def joined(*parts):
    """Lanes one behind the other."""
    return Lanes(v for part in parts for v in part)


def lanes_of(values):
    return Lanes(values)


def selected(v, lanes):
    """Some lanes of v, by number."""
    return Lanes(v[i] for i in lanes)


def add_selected(v, terms, lanes):
    """v + some lanes of `terms`, by number; None: nothing."""
    return Lanes(x if i is None else add(x, terms[i]) for x, i in zip(v, lanes, strict=True))


@over_lanes
def from_lane_behind(v, distance):
    """What the thread `distance` behind this one in its warp has in this register; all threads of the warp must ask."""
    _, builder = emitting()
    distance = narrow(distance).value
    word, flag = llvm.I32, llvm.I1
    result = ir.LiteralStructType((word, flag))
    shuffle = "llvm.nvvm.shfl.sync.i32"
    fn = builder.module.globals.get(shuffle) or ir.Function(
        builder.module, ir.FunctionType(result, [word] * 5), shuffle
    )
    every, down, last = word(0xFFFFFFFF), word(2), word(31)

    def moved(bits):
        return builder.extract_value(builder.call(fn, [every, down, bits, distance, last]), 0)

    kind = v.value.type
    size = {llvm.F32: 32, llvm.F64: 64}.get(kind) or kind.width
    bits = builder.bitcast(v.value, ir.IntType(size))
    if size < 32:
        bits = builder.trunc(moved(builder.zext(bits, word)), ir.IntType(size))
    elif size == 32:
        bits = moved(bits)
    else:
        low, high = (
            moved(builder.trunc(bits, word)),
            moved(builder.trunc(builder.lshr(bits, llvm.I64(32)), word)),
        )
        bits = builder.or_(
            builder.zext(low, llvm.I64), builder.shl(builder.zext(high, llvm.I64), llvm.I64(32))
        )
    return Number(v.type, builder.bitcast(bits, kind))


# ---- values


def constant(dtype, value, lanes):
    """`constant()`: in all lanes, or a scalar if `lanes` is None."""
    scalar = primitive(typed.constant(dtype, value, None))
    return scalar if lanes is None else lambda: Lanes([scalar()] * lanes)


def constant_like(dtype, value):
    return primitive(typed.constant_like(dtype, value))


def splatter(dtype, lanes):
    return lambda v: Lanes([v] * lanes)


def caster(src, dst, lanes):
    return primitive(typed.caster(src, dst, None))


def power(exponent):
    return primitive(typed.power(exponent))


def clipper(dtype):
    return primitive(typed.clipper(dtype))


def spread_loader(stored, loaded, lanes):
    return None


# ---- keys: numbers of taps in a byte, 255 for none, or places in a plane as int64


def _key(key, value):
    return primitive(typed.caster("int64", key, None))(wide(value) if isinstance(value, Number) else value)


def key_adder(key, lanes):
    """`key_add(keys, n)`: keys + n, where uint8 keys saturate so that "none" (255) stays none."""

    @over_lanes
    def add_to(k, n):
        if key == "int64":
            return k + n
        _, builder = emitting()
        wide_sum = builder.add(
            builder.zext(k.value, llvm.I32),
            builder.trunc(
                (wide(n) if isinstance(n, Number) else Number(types.int64, llvm.I64(n))).value, llvm.I32
            ),
        )
        top = llvm.I32(255)
        least = builder.select(builder.icmp_unsigned("<", wide_sum, top), wide_sum, top)
        return Number(types.uint8, builder.trunc(least, llvm.I8))

    return add_to


def key_splatter(key, lanes):
    return lambda value: Lanes([_key(key, value)] * lanes)


def key_splatter_n(key, lanes, none):
    return None


def lane_numberer(key, lanes):
    return None


def settler(key, lanes, none):
    """`settle(keys)`: keys as they are saved; an int64 key that names no element becomes -1."""
    if key == "uint8":
        return lambda keys: keys
    minus_one = constant("int64", -1, None)
    return over_lanes(lambda k: pick(k >= none, minus_one(), k))


# ---- masks


def flag_loader(lanes):
    def load(addr):
        _, builder = emitting()
        flags_ = Lanes(
            Number(types.boolean, builder.icmp_unsigned("!=", _read(addr + i, llvm.I8, 1), llvm.I8(0)))
            for i in range(lanes or 1)
        )
        return flags_ if lanes else flags_[0]

    return load


def flag_splatter(lanes):
    get = flag_loader(None)
    return lambda addr: Lanes([get(addr)] * lanes)


def flags(lanes):
    return lambda: Lanes([True] * lanes) if lanes else True


def partial_loader(stored, loaded, lanes, fill):
    return guarded_loader(stored, loaded, fill)


def partial_storer(given, stored, lanes):
    return guarded_storer(given, stored)


def lane_counter(lanes):
    """`first_lanes(mask)`: what says how many lanes there are is a mask already."""
    return lambda inside: inside


def named_types(acc, end, key, lanes):
    """Helpers are not annotated: what they return is known when they have been run."""
    return {}
