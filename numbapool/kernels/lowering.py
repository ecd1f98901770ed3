"""How a template's code becomes LLVM's: Numba's lowering, without what only Python needs.

Numba's functions may raise, its variables own what they hold, its ranges know how many elements they have, and its divisors may be zero. Templates need none of that; what would be
emitted for it is half of what LLVM has to read.

Templates know integers, ranges, tuples and primitives. Numba's own contexts know all of Python and NumPy as well, and to load that takes longer than to
compile a kernel; they ask every NumPy function about every sum of two integers, and look for news whenever a primitive is typed.
So kernels have contexts of their own.
"""

import functools
import operator

from llvmlite import ir
from numba.core import cpu, lowering, typed_passes, types, typing
from numba.core.callconv import BaseCallConv
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import register_pass
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.typing.templates import (
    AbstractTemplate,
    Registry,
    _TemplateTargetHelperMixin,
    builtin_registry,
)


class PrimitiveType(types.Function):
    """The type of a primitive, which knows its signatures and what it emits: Numba has nothing to look up."""

    def __init__(self, primitive):
        super().__init__(type("_Template", (AbstractTemplate,), {"key": primitive}))
        self.define, self.signatures, self.emits = primitive._defn, {}, {}

    def get_call_type(self, context, args, kws):
        args = tuple(types.unliteral(a) for a in args)
        if args not in self.signatures:
            typed, emit = self.define(context, *args)
            self.signatures[args], self.emits[typed.args] = typed, emit
        return self.signatures[args]


register_default(PrimitiveType)(models.OpaqueModel)  # where a template's variable holds one


class Primitive:
    """A function of Numba's types that emits LLVM code: `define(typing context, *types)` gives a signature and a code generator, as for an intrinsic."""

    def __init__(self, define):
        self._defn = define
        self._numba_type_ = PrimitiveType(self)


class Typing(typing.Context):
    """Types of integers, ranges, tuples and primitives, and of nothing else."""

    def __init__(self):
        super().__init__()
        self._resolved = {}

    def refresh(self):
        """Nothing comes later: primitives carry their types with them."""

    def resolve_function_type(self, func, args, kws):
        """What a sum of two integers is does not change, and asking takes longer than all else that is done with it."""
        if isinstance(func, PrimitiveType) or kws:
            return super().resolve_function_type(func, args, kws)
        if (func, args) not in self._resolved:
            self._resolved[func, args] = super().resolve_function_type(func, args, kws)
        return self._resolved[func, args]

    def _load_builtins(self):
        """Python's operators and types, without the overloads, which would load Numba's own contexts."""
        plain = Registry()
        plain.functions = [
            t for t in builtin_registry.functions if not issubclass(t, _TemplateTargetHelperMixin)
        ]
        plain.globals = builtin_registry.globals
        self.install_registry(plain)


class _CallConv(BaseCallConv):
    """Values are passed and returned as they are, vectors in registers, and there is no status."""

    def _make_call_helper(self, builder):
        return None

    def get_function_type(self, restype, argtypes):
        returned = ir.VoidType()
        if restype is not types.void:
            returned = self.context.data_model_manager[restype].get_return_type()
        return ir.FunctionType(returned, self._get_arg_packer(argtypes).argument_types)

    def decorate_function(self, fn, args, fe_argtypes, noalias=False):
        self._get_arg_packer(fe_argtypes).assign_names(fn.args, args)

    def get_arguments(self, func):
        return func.args

    def return_value(self, builder, retval):
        if isinstance(builder.function.ftype.return_type, ir.VoidType):
            builder.ret_void()
        else:
            builder.ret(retval)

    def call_function(self, builder, callee, resty, argtys, args, attrs=None):
        value = builder.call(callee, self._get_arg_packer(argtys).as_arguments(builder, args))
        if resty is types.void:
            return None, self.context.get_dummy_value()
        return None, self.context.get_returned_value(builder, resty, value)


class Target(cpu.CPUContext):
    """The target of all kernels."""

    call_conv = functools.cached_property(_CallConv)

    def refresh(self):
        pass

    def get_function(self, fn, sig, _firstcall=True):
        if isinstance(fn, PrimitiveType):
            emit = fn.emits[sig.args]
        else:
            emit = _SIMPLER.get((fn.get_impl_key(sig) if isinstance(fn, types.Callable) else fn, sig.args))
        if emit is None:
            return super().get_function(fn, sig, _firstcall)
        return lambda builder, args, loc=None: emit(self, builder, sig, args)

    def pair_first(self, builder, val, ty):
        return builder.extract_value(val, 0)

    def pair_second(self, builder, val, ty):
        return builder.extract_value(val, 1)

    def post_lowering(self, mod, library):
        """Templates count no references, so nothing of Numba's runtime is linked."""


def _pack(context, builder, kind, *values):
    """A struct of the Numba type `kind`."""
    packed = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for i, value in enumerate(values):
        packed = builder.insert_value(packed, value, i)
    return packed


def _range(context, builder, sig, args):
    if len(args) == 1:
        args = [args[0].type(0), *args]
    if len(args) == 2:
        args = [*args, args[0].type(1)]
    return _pack(context, builder, sig.return_type, *args)


def _getiter(context, builder, sig, args):
    start, stop, step = (builder.extract_value(args[0], i) for i in range(3))
    with builder.goto_entry_block():
        here, left = builder.alloca(start.type), builder.alloca(start.type)
    builder.store(start, here)
    builder.store(builder.sub(stop, start, flags=["nsw"]), left)
    return _pack(context, builder, sig.return_type, here, stop, step, left)


def _iternext(context, builder, sig, args):
    """Neighbours are counted, which LLVM makes the better loops of; others are compared with the end, which takes no division."""
    here, stop, step, left = (builder.extract_value(args[0], i) for i in range(4))
    i, n = builder.load(here), builder.load(left)
    builder.store(builder.add(i, step, flags=["nsw"]), here)
    builder.store(builder.sub(n, n.type(1), flags=["nsw"]), left)
    below, above = builder.icmp_signed("<", i, stop), builder.icmp_signed(">", i, stop)
    goes_on = builder.select(builder.icmp_signed(">", step, step.type(0)), below, above)
    goes_on = builder.select(
        builder.icmp_signed("==", step, step.type(1)), builder.icmp_signed(">", n, n.type(0)), goes_on
    )
    return _pack(context, builder, sig.return_type, i, goes_on)


def _floordiv(context, builder, sig, args):
    x, y = args
    if isinstance(y, ir.Constant):
        if y.constant <= 0:
            raise ValueError(f"templates divide by positive numbers, not by {y.constant}")
        if y.constant & (y.constant - 1) == 0:
            return builder.ashr(x, y.type(y.constant.bit_length() - 1))
    quotient = builder.sdiv(x, y)
    below = builder.icmp_signed("<", builder.sub(x, builder.mul(quotient, y)), y.type(0))
    return builder.add(quotient, builder.sext(below, y.type))


# Templates divide by positive numbers, and no step of a range is zero.
_SIMPLER = {(range, (types.int64,) * n): _range for n in (1, 2, 3)} | {
    ("getiter", (types.range_state64_type,)): _getiter,
    ("iternext", (types.range_iter64_type,)): _iternext,
    (operator.floordiv, (types.int64, types.int64)): _floordiv,
    (operator.ifloordiv, (types.int64, types.int64)): _floordiv,
}


class _Lower(lowering.Lower):
    """What a variable held before is of no interest, nor is any Python function that the code came from."""

    def emit_environment_object(self):
        pass

    def alloca_lltype(self, name, lltype, datamodel=None):
        with self.builder.goto_entry_block():
            return self.builder.alloca(lltype, name=name)

    def storevar(self, value, name, argidx=None):
        self._alloca_var(name, self.typeof(name))
        if name in self._singly_assigned_vars:
            self._blk_local_varmap[name] = value
        else:
            self.builder.store(value, self.varmap[name])


@register_pass(mutates_CFG=True, analysis_only=False)
class Lowering(typed_passes.BaseNativeLowering):
    _name = "lowering_of_templates"
    lowering_class = _Lower


@functools.cache
def target():
    """The target context of all kernels."""
    from numba.core.imputils import builtin_registry as lowered

    # Imported, they register how they are lowered.
    from numba.cpython import builtins, numbers, tupleobj

    with global_compiler_lock:
        context = Target(Typing())
        context.typing_context._load_builtins()
        context.install_registry(lowered)
        return context
