"""Primitives that read and write memory, made for given element types: the dtype in memory and the one in registers."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from numbapool.dtypes import itemsize
from numbapool.kernels.llvm import (
    F16,
    F32,
    F64,
    I1,
    I8,
    I32,
    I64,
    Vec,
    address,
    broadcast,
    call,
    const,
    constant_of,
    convert,
    has_feature,
    lane_mask,
    llvm_type,
    overload,
    scalar_type,
)
from numbapool.kernels.simd import emit_add


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
    """The i-th 64-bit integer of a table. What is read or set as a word is nowhere read or stored as an element: LLVM relies on it."""

    def codegen(ctx, b, sig, args):
        return _told(b, b.load(b.gep(b.inttoptr(args[0], I64.as_pointer()), [args[1]])), "word")

    return types.int64(address, types.int64), codegen


@intrinsic
def set_word(tc, base, i, value):
    def codegen(ctx, b, sig, args):
        _told(b, b.store(args[2], b.gep(b.inttoptr(args[0], I64.as_pointer()), [args[1]])), "word")
        return ctx.get_dummy_value()

    return types.void(address, types.int64, types.int64), codegen


def _told(b, instruction, what):
    """Tell LLVM what is read or written: words and elements never share memory, so words need not be read again after a result was stored."""
    known = vars(b.module).setdefault("tags_of_memory", {})
    if what not in known:
        md = b.module.add_metadata
        kind_ = md([what, md(["numbapool"]), I64(0)])
        known[what] = md([kind_, kind_, I64(0)])
    instruction.set_metadata("tbaa", known[what])
    return instruction


def _pointer(b, addr, element):
    return b.inttoptr(addr, element.as_pointer())


def _load(b, addr, t, what="element"):
    v = _told(b, b.load(_pointer(b, addr, t)), what)
    v.align = 1
    return v


def _store(b, addr, v):
    s = _told(b, b.store(v, _pointer(b, addr, v.type)), "element")
    s.align = 1
    return s


def masks(size):
    """Whether masked loads and stores of elements of `size` bytes are instructions (else LLVM makes a branch per lane)."""
    if has_feature("avx512vl") and has_feature("avx512bw"):
        return True
    return size >= 4 and has_feature("avx2")


def _mask_of_elements(b, n, vector):
    return lane_mask(b, n, vector.count, _bits(vector.element))


def _masked(b, kind_, vector, args):
    name = f"llvm.masked.{kind_}.v{vector.count}{overload(vector.element)}.p0"
    result = ir.VoidType() if kind_ == "store" else vector
    fn = b.module.globals.get(name) or ir.Function(
        b.module, ir.FunctionType(result, [a.type for a in args]), name
    )
    # LLVM has the alignment as an attribute of the pointer; without one it is 1.
    return _told(b, b.call(fn, args), "element")


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


def _load_n(b, addr, n, vector, fill, mask):
    if masks(_bits(vector.element) // 8):
        return _masked(b, "load", vector, [_pointer(b, addr, vector), mask, fill])
    element = vector.element
    with b.goto_entry_block():
        room = b.alloca(vector)
    b.store(fill, room)
    source, target = _pointer(b, addr, element), b.bitcast(room, element.as_pointer())

    def body(i):
        v = _told(b, b.load(b.gep(source, [i])), "element")
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
        s = _told(b, b.store(b.load(b.gep(source, [i])), b.gep(target, [i])), "element")
        s.align = 1

    _each_lane(b, n, body)


def _bits(element):
    return {F16: 16, F32: 32, F64: 64}.get(element) or element.width


def table_loader(stored, loaded, lanes):
    """As `loader` from a table that no kernel writes: what is stored elsewhere does not change it."""
    return loader(stored, loaded, lanes, "word")


def loader(stored, loaded, lanes, what="element"):
    """`load(address)`: `lanes` neighbours of dtype `stored`, as dtype `loaded`; `what` they are is said to LLVM."""
    vector, result = ir.VectorType(llvm_type(stored), lanes), Vec(scalar_type(loaded), lanes)

    @intrinsic
    def load(tc, addr):
        return result(address), lambda ctx, b, sig, args: convert(
            b, _load(b, args[0], vector, what), stored, loaded
        )

    return load


def spread_loader(stored, loaded, lanes):
    """`load_2(address)`: every other of 2·lanes − 1 elements; the one behind the last may not exist and is not read."""
    element = llvm_type(stored)
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


def both_loader(stored, loaded, lanes):
    """`load_both(address)`: every other of 2·lanes elements, and those between them. Of bytes that are widened neither takes a shuffle: they are the lower and the upper halves of lanes."""
    vector, result = ir.VectorType(llvm_type(stored), 2 * lanes), Vec(scalar_type(loaded), lanes)

    @intrinsic
    def load_both(tc, addr):
        def codegen(ctx, b, sig, args):
            v = _load(b, args[0], vector)
            masks = (ir.Constant(ir.VectorType(I32, lanes), list(range(k, 2 * lanes, 2))) for k in (0, 1))
            halves = [convert(b, b.shuffle_vector(v, v, mask), stored, loaded) for mask in masks]
            return ctx.make_tuple(b, sig.return_type, halves)

        return types.UniTuple(result, 2)(address), codegen

    return load_both


def block_loader(stored, loaded, lanes, block):
    """`load(address)`: `block` neighbours of dtype `stored`, added in pairs of halves until `lanes` are left, as dtype `loaded`; `load_n(address, n)`: n <= block of them; `load_most(address, n)`: the same of at least three quarters, which are read without a mask."""
    vector, result = ir.VectorType(llvm_type(stored), block), Vec(scalar_type(loaded), lanes)

    def folded(b, v):
        while v.type.count > lanes:
            half = v.type.count // 2
            low, high = (
                b.shuffle_vector(v, v, ir.Constant(ir.VectorType(I32, half), list(range(at, at + half))))
                for at in (0, half)
            )
            v = emit_add(b, True, low, high)
        return convert(b, v, stored, loaded)

    @intrinsic
    def load(tc, addr):
        return result(address), lambda ctx, b, sig, args: folded(b, _load(b, args[0], vector))

    @intrinsic
    def load_n(tc, addr, n):
        def codegen(ctx, b, sig, args):
            none, mask = ir.Constant(vector, None), _mask_of_elements(b, args[1], vector)
            return folded(b, _load_n(b, *args, vector, none, mask))

        return result(address, types.int64), codegen

    @intrinsic
    def load_most(tc, addr, n):
        def codegen(ctx, b, sig, args):
            (addr, n), size = args, block // 4
            quarter, step = ir.VectorType(vector.element, size), itemsize(stored) * size
            v = [_load(b, b.add(addr, addr.type(k * step)), quarter) for k in range(3)]
            rest = b.sub(n, n.type(3 * size))
            none, mask = ir.Constant(quarter, None), _mask_of_elements(b, rest, quarter)
            v.append(_load_n(b, b.add(addr, addr.type(3 * step)), rest, quarter, none, mask))
            v = [
                b.shuffle_vector(
                    *v[k : k + 2], ir.Constant(ir.VectorType(I32, 2 * size), list(range(2 * size)))
                )
                for k in (0, 2)
            ]
            return folded(b, b.shuffle_vector(*v, ir.Constant(ir.VectorType(I32, block), list(range(block)))))

        return result(address, types.int64), codegen

    return load, load_n, load_most


def partial_loader(stored, loaded, lanes, fill):
    """`load_n(address, n)`: n < lanes neighbours, the other lanes hold `fill` (a value of dtype `loaded`, or "mark")."""
    vector, result = ir.VectorType(llvm_type(stored), lanes), Vec(scalar_type(loaded), lanes)
    wide = ir.VectorType(llvm_type(loaded), lanes)

    @intrinsic
    def load_n(tc, addr, n):
        def codegen(ctx, b, sig, args):
            zero, mask = ir.Constant(vector, None), _mask_of_elements(b, args[1], vector)
            v = convert(b, _load_n(b, args[0], args[1], vector, zero, mask), stored, loaded)
            return v if fill == 0 else b.select(mask, v, constant_of(b, wide, wide.element, fill))

        return result(address, types.int64), codegen

    return load_n


def planes_loader(stored, loaded, lanes, planes, fill):
    """`load_n(address, gap, n)`: n neighbours of one or two planes, which lie `gap` bytes apart, each in its share of the lanes; the others hold `fill`."""
    share, result = ir.VectorType(llvm_type(stored), lanes // planes), Vec(scalar_type(loaded), lanes)
    at_once = fill if stored == loaded else 0

    @intrinsic
    def load_n(tc, addr, gap, n):
        def codegen(ctx, b, sig, args):
            addr, gap, n = args
            mask, rest = _mask_of_elements(b, n, share), constant_of(b, share, share.element, at_once)
            v = _load_n(b, addr, n, share, rest, mask)
            if planes == 2:
                other = _load_n(b, b.add(addr, gap), n, share, rest, mask)
                v = b.shuffle_vector(v, other, ir.Constant(ir.VectorType(I32, lanes), list(range(lanes))))
            v = convert(b, v, stored, loaded)
            if fill == at_once:
                return v
            rest = constant_of(b, v.type, v.type.element, fill)
            return b.select(lane_mask(b, n, lanes, planes=planes), v, rest)

        return result(address, types.int64, types.int64), codegen

    return load_n


def whole_planes_loader(stored, loaded, lanes, planes):
    """`load(address, gap)`: as many neighbours of each of one or two planes, `gap` bytes apart, as it has lanes."""
    share, result = ir.VectorType(llvm_type(stored), lanes // planes), Vec(scalar_type(loaded), lanes)

    @intrinsic
    def load(tc, addr, gap):
        def codegen(ctx, b, sig, args):
            v = _load(b, args[0], share)
            if planes == 2:
                other = _load(b, b.add(*args), share)
                v = b.shuffle_vector(v, other, ir.Constant(ir.VectorType(I32, lanes), list(range(lanes))))
            return convert(b, v, stored, loaded)

        return result(address, types.int64), codegen

    return load


def getter(stored, loaded):
    """`get(address)`: one element."""
    element, result = llvm_type(stored), scalar_type(loaded)

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


def past_storer(given, stored, lanes, align=16):
    """`store(address, vector)` past the caches, to an address that is a multiple of `align`: elsewhere the process ends."""
    vec = Vec(scalar_type(given), lanes)

    @intrinsic
    def store(tc, addr, v):
        def codegen(ctx, b, sig, args):
            s = _store(b, args[0], convert(b, args[1], given, stored))
            s.align = align  # LLVM makes as many stores of so many bytes of it as it takes
            s.set_metadata("nontemporal", b.module.add_metadata([I32(1)]))
            return ctx.get_dummy_value()

        return types.void(address, vec), codegen

    return store


@intrinsic
def fence(tc):
    """What was stored past the caches is there for other threads."""

    def codegen(ctx, b, sig, args):
        if b.module.triple.startswith("x86_64"):  # elsewhere such stores are ordered like others
            name = "llvm.x86.sse.sfence"
            fnty = ir.FunctionType(ir.VoidType(), [])
            b.call(b.module.globals.get(name) or ir.Function(b.module, fnty, name), [])
        return ctx.get_dummy_value()

    return types.void(), codegen


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


def planes_storer(given, stored, lanes, planes):
    """`store_n(address, gap, vector, n)`: the first n lanes of each plane's share."""
    vec, share = Vec(scalar_type(given), lanes), lanes // planes

    @intrinsic
    def store_n(tc, addr, gap, v, n):
        def codegen(ctx, b, sig, args):
            addr, gap, v, n = args
            v = convert(b, v, given, stored)
            for k in range(planes):
                own = ir.Constant(ir.VectorType(I32, share), list(range(k * share, (k + 1) * share)))
                _store_n(b, b.add(addr, gap) if k else addr, b.shuffle_vector(v, v, own), n)
            return ctx.get_dummy_value()

        return types.void(address, types.int64, vec, types.int64), codegen

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


def flag_loader(lanes):
    """`load(address)`: bytes as a mask; a scalar if `lanes` is None."""
    t = types.boolean if lanes is None else Vec(types.boolean, lanes)
    stored = I8 if lanes is None else ir.VectorType(I8, lanes)

    @intrinsic
    def load(tc, addr):
        def codegen(ctx, b, sig, args):
            v = _load(b, args[0], stored)
            return b.icmp_unsigned("!=", v, const(v.type, 0))

        return t(address), codegen

    return load


def partial_flag_loader(lanes):
    """`load_n(address, n)`: n bytes as a mask, in which the other lanes are not."""
    vector = ir.VectorType(I8, lanes)

    @intrinsic
    def load_n(tc, addr, n):
        def codegen(ctx, b, sig, args):
            none = const(vector, 0)
            v = _load_n(b, args[0], args[1], vector, none, _mask_of_elements(b, args[1], vector))
            return b.icmp_unsigned("!=", v, none)

        return Vec(types.boolean, lanes)(address, types.int64), codegen

    return load_n


def flag_splatter(lanes):
    """`splat(address)`: one byte as a mask of equal lanes."""

    @intrinsic
    def splat(tc, addr):
        def codegen(ctx, b, sig, args):
            v = _load(b, args[0], I8)
            return broadcast(b, b.icmp_unsigned("!=", v, I8(0)), lanes)

        return Vec(types.boolean, lanes)(address), codegen

    return splat


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


@intrinsic
def store_some(tc, addr, v, bits):
    """Store the lanes whose bits are set, one behind the other; what follows them, up to a whole vector, is lost."""

    def codegen(ctx, b, sig, args):
        at, v, bits = args
        size = _bits(v.type.element)
        lanes = min(v.type.count, 512 // size)  # LLVM 22 compresses vectors of several registers wrongly,
        if lanes * size < 128:  # and at those of half a register it ends the process
            raise NotImplementedError(f"lanes of a vector of {lanes * size} bits, one behind the other")
        part = ir.VectorType(v.type.element, lanes)
        name = f"llvm.experimental.vector.compress.v{lanes}{overload(part.element)}"
        for first in range(0, v.type.count, lanes):
            chosen = ir.Constant(ir.VectorType(I32, lanes), list(range(first, first + lanes)))
            own = b.trunc(b.lshr(bits, I64(first)), ir.IntType(lanes)) if lanes < 64 else bits
            mask = b.bitcast(own, ir.VectorType(I1, lanes))
            fnty = ir.FunctionType(part, [part, mask.type, part])
            fn = b.module.globals.get(name) or ir.Function(b.module, fnty, name)
            _store(b, at, b.call(fn, [b.shuffle_vector(v, v, chosen), mask, const(part, 0)]))
            count = call(b, "llvm.ctpop", own.type, [own])
            at = b.add(at, b.mul(b.zext(count, I64) if lanes < 64 else count, I64(size // 8)))
        return ctx.get_dummy_value()

    return types.void(address, v, types.int64), codegen
