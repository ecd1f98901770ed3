"""Helpers of a kernel, emitted where they are called by running them while the kernel is compiled.

A template for CUDA is an entry with the loops and branches that depend on run-time values, and helpers without any. While the entry is lowered, a call
of a helper runs that helper as Python, over `Number` and `Lanes` in place of values: every primitive that it calls emits instructions. So a loop over a
constant is unrolled, a choice by a constant is made, several lanes stay in registers of their own, and no call is left. Where nothing is compiled
(the CUDA simulator) the same helpers run on NumPy scalars and arrays.
"""

from __future__ import annotations

import contextlib
import threading
import types as python

from llvmlite import ir
from numba.cuda import types
from numba.cuda.datamodel.models import PrimitiveModel
from numba.cuda.extending import register_model
from numba.cuda.typing import signature
from numba.cuda.typing.templates import AbstractTemplate

TRIPLE = "nvptx64-nvidia-cuda"
_now = threading.local()


class Vector(types.Type):
    """Several scalars, each in a register of its own, as a value that an entry can keep in a variable."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}x{lanes})")


@register_model(Vector)
class _VectorModel(PrimitiveModel):
    def __init__(self, dmm, fe_type):
        element = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.ArrayType(element, fe_type.lanes))


def emitting():
    """(target context, builder) of the code that is being emitted."""
    return _now.context, _now.builder


@contextlib.contextmanager
def _into(context, builder):
    before = getattr(_now, "context", None), getattr(_now, "builder", None)
    _now.context, _now.builder = context, builder
    try:
        yield
    finally:
        _now.context, _now.builder = before


class Number:
    """A scalar of the code that is being emitted. Integers reckon in the wider type of the two; quotients are of what is not negative."""

    __slots__ = ("type", "value")

    def __init__(self, type_, value):
        self.type, self.value = types.unliteral(type_), value

    def __bool__(self):
        raise TypeError("a helper cannot branch on a value that is known at run time only")

    def _operands(self, other):
        if isinstance(other, Number):
            kind = max(self.type, other.type, key=lambda t: t.bitwidth)
            return kind, _integer(self, kind), _integer(other, kind)
        return self.type, self.value, ir.Constant(self.value.type, other)

    def _reckon(self, name, other, flip=False):
        kind, x, y = self._operands(other)
        x, y = (y, x) if flip else (x, y)
        return Number(kind, getattr(_now.builder, name)(x, y))

    def _compare(self, how, other):
        if isinstance(self.type, types.Float):
            x, y = (
                self.value,
                other.value if isinstance(other, Number) else ir.Constant(self.value.type, other),
            )
            return Number(types.boolean, _now.builder.fcmp_ordered(how, x, y))
        _, x, y = self._operands(other)
        return Number(types.boolean, _now.builder.icmp_signed(how, x, y))

    def __add__(self, other):
        return self._reckon("add", other)

    __radd__ = __add__

    def __sub__(self, other):
        return self._reckon("sub", other)

    def __rsub__(self, other):
        return self._reckon("sub", other, flip=True)

    def __mul__(self, other):
        return self._reckon("mul", other)

    __rmul__ = __mul__

    def __floordiv__(self, other):
        return self._reckon("udiv", other)

    def __mod__(self, other):
        return self._reckon("urem", other)

    def __lt__(self, other):
        return self._compare("<", other)

    def __le__(self, other):
        return self._compare("<=", other)

    def __gt__(self, other):
        return self._compare(">", other)

    def __ge__(self, other):
        return self._compare(">=", other)

    def same(self, other):
        """Whether both are equal (``==`` is left to Python's containers)."""
        return self._compare("==", other)


def _integer(number, kind):
    """The LLVM value of an integer in an integer type at least as wide."""
    if number.type.bitwidth == kind.bitwidth:
        return number.value
    extend = _now.builder.sext if number.type.signed else _now.builder.zext
    return extend(number.value, ir.IntType(kind.bitwidth))


class Lanes(list):
    """Several scalars of one type, which primitives take one by one; a mask may hold Python's own True and False."""


def over_lanes(function):
    """A function of scalars as one that takes `Lanes` as well."""

    def call(*args):
        lanes = [len(a) for a in args if isinstance(a, Lanes)]
        if not lanes:
            return function(*args)
        columns = [a if isinstance(a, Lanes) else [a] * lanes[0] for a in args]
        return Lanes(function(*column) for column in zip(*columns, strict=True))

    return call


def primitive(intrinsic):
    """What a helper calls in place of a primitive for scalars: it emits its instructions here and now, lane by lane."""

    def emit(*args):
        context, builder = emitting()
        args = [a if isinstance(a, Number) else _constant(a) for a in args]
        typed, codegen = intrinsic._defn(None, *(a.type for a in args))
        values = [
            _integer(a, t) if isinstance(t, types.Integer) else a.value
            for a, t in zip(args, typed.args, strict=True)
        ]
        result = codegen(context, builder, typed, values)
        return None if typed.return_type is types.void else Number(typed.return_type, result)

    return over_lanes(emit)


def _constant(value):
    if isinstance(value, bool):
        return Number(types.boolean, ir.Constant(ir.IntType(1), int(value)))
    return Number(types.int64, ir.Constant(ir.IntType(64), int(value)))


def _unpack(kind, value):
    if isinstance(kind, types.IntegerLiteral):
        return kind.literal_value
    if isinstance(kind, types.BaseTuple):
        return tuple(_unpack(t, _now.builder.extract_value(value, i)) for i, t in enumerate(kind))
    if isinstance(kind, Vector):
        return Lanes(Number(kind.dtype, _now.builder.extract_value(value, i)) for i in range(kind.lanes))
    return Number(kind, value)


def _type(value):
    if value is None:
        return types.void
    if isinstance(value, tuple):
        return types.Tuple([_type(v) for v in value])
    if isinstance(value, Lanes):
        return Vector(value[0].type, len(value))
    return value.type if isinstance(value, Number) else _constant(value).type


def _pack(value):
    context, builder = emitting()
    if value is None:
        return context.get_dummy_value()
    if isinstance(value, tuple):
        return context.make_tuple(builder, _type(value), [_pack(v) for v in value])
    if isinstance(value, Lanes):
        packed = ir.Constant(context.get_value_type(_type(value)), ir.Undefined)
        for i, v in enumerate(value):
            packed = builder.insert_value(packed, v.value, i)
        return packed
    return value.value if isinstance(value, Number) else _constant(value).value


class _Template(AbstractTemplate):
    """The typing of a helper: that of what it returns when it is run."""

    prefer_literal = True  # an integer that is written in a call is known to the helper

    def generic(self, args, kws):
        args = tuple(a if isinstance(a, types.IntegerLiteral) else types.unliteral(a) for a in args)
        known = self.key.known
        if args not in known:
            known[args] = self.key.define(args)
        return known[args][0]

    def get_impl_key(self, sig):
        return self.key.known[sig.args][1]


class Helper:
    """A helper as an entry's code calls it."""

    def __init__(self, function):
        self.function, self.known = function, {}
        self._numba_type_ = types.Function(type("_Helper", (_Template,), {"key": self}))

    def define(self, args):
        from numba.cuda.descriptor import cuda_target

        context = cuda_target.target_context
        # A rehearsal tells the type of the result.
        module = ir.Module()
        module.triple = TRIPLE
        kinds = [context.get_value_type(t) for t in args]
        stage = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), "rehearsal")
        builder = ir.IRBuilder(stage.append_basic_block())
        with _into(context, builder):
            result = _type(self.function(*(_unpack(t, v) for t, v in zip(args, stage.args, strict=True))))

        def emit(context, builder, sig, values):
            with _into(context, builder):
                return _pack(self.function(*(_unpack(t, v) for t, v in zip(args, values, strict=True))))

        context.insert_func_defn([(emit, emit, args)])
        return signature(result, *args), emit


def staged(names, entry):
    """The names of a template for its entry, from those of its helpers: functions as `Helper`, the rest as it is."""
    return {
        n: Helper(v) if isinstance(v, python.FunctionType) and n != entry else v for n, v in names.items()
    }
