"""From bound template functions to one LLVM module, optimised once.

`@njit` and `register_jitable` compile every helper function for itself: its own library, its own run of the optimiser, its own machine code that nobody
calls. A kernel here is a dozen helpers around one entry, so they are lowered with Numba's compiler into *one* module instead, made
internal, and optimised together: a fifth of the time, and better inlining.

A helper says with its annotation what it returns: nothing (void), `int`, or a name from the binding's `TYPES`; "inline_" before it has the helper inlined wherever it
is called, as no vector stays in its register over a call, which LLVM does not count.
"""

import builtins
import copy
import dis
import functools
import inspect
from types import FunctionType

from llvmlite import binding as ll
from llvmlite import ir
from numba.core import compiler, typed_passes, types, untyped_passes
from numba.core import ir as numba_ir
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.ir_utils import build_definitions
from numba.core.typing import signature

from numbapool.kernels.lowering import Lowering, Primitive, PrimitiveType, target


def _flags(inline):
    flags = compiler.Flags()
    flags.error_model = "numpy"
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.no_rewrites = True
    flags.enable_pyobject = False
    flags.forceinline = inline
    return flags


_translated: dict = {}  # code -> Numba's IR of it


@register_pass(mutates_CFG=True, analysis_only=False)
class _Translate(untyped_passes.TranslateByteCode):
    """Numba's IR of a function follows from its bytecode, but for its globals: a fifth of the front end's time, once for all kernels of a template."""

    _name = "translate_bytecode_once"

    def run_pass(self, state):
        code = state.func_id.func.__code__
        if code not in _translated:
            super().run_pass(state)
            _translated[code] = state.func_ir
        state["func_ir"] = _with_globals(_translated[code], state.func_id)
        return True


def _with_globals(known, func_id):
    """The IR of the same code with the globals of another function; later passes change statements in place."""
    space = func_id.func.__globals__

    def again(statement):
        if not isinstance(statement, numba_ir.Assign):
            return copy.copy(statement)
        value = statement.value
        if isinstance(value, numba_ir.Global):
            value = numba_ir.Global(
                value.name, space.get(value.name, getattr(builtins, value.name, None)), value.loc
            )
        return numba_ir.Assign(value, statement.target, statement.loc)

    blocks = {}
    for label, block in known.blocks.items():
        blocks[label] = numba_ir.Block(block.scope, block.loc)
        blocks[label].body = [again(s) for s in block.body]
    return numba_ir.FunctionIR(
        blocks, False, func_id, known.loc, build_definitions(blocks), known.arg_count, known.arg_names
    )


class _Pipeline(compiler.CompilerBase):
    """Numba's pipeline without what templates have no use for: closures, `with`, overload inlining, array rewrites and SSA.

    A sixth of the front end's time. Without SSA a variable keeps one type throughout its function.
    """

    def define_pipelines(self):
        manager = PassManager("templates")
        for step in (
            _Translate,
            untyped_passes.FixupArgs,
            untyped_passes.RewriteSemanticConstants,
            untyped_passes.DeadBranchPrune,
            typed_passes.NopythonTypeInference,
            typed_passes.AnnotateTypes,
            Lowering,
            typed_passes.NoPythonBackend,
        ):
            manager.add_pass(step, step.__name__)
        manager.finalize()
        return [manager]


def _lower(function, args, result, library, inline=False):
    return compiler.compile_extra(
        target().typing_context, target(), function, args, result, _flags(inline), {},
        library=library, pipeline_class=_Pipeline,
    )  # fmt: skip


class _Traced:
    """A value of a straight-line function while its code is being emitted: arithmetic on addresses emits arithmetic."""

    __slots__ = ("builder", "type", "value")

    def __init__(self, builder, type_, value):
        self.builder, self.type, self.value = builder, type_, value

    def _emit(self, name, x, y):
        x, y = (v.value if isinstance(v, _Traced) else ir.Constant(ir.IntType(64), v) for v in (x, y))
        return _Traced(self.builder, types.int64, getattr(self.builder, name)(x, y))

    def __add__(self, other):
        return self._emit("add", self, other)

    def __radd__(self, other):
        return self._emit("add", other, self)

    def __sub__(self, other):
        return self._emit("sub", self, other)

    def __mul__(self, other):
        return self._emit("mul", self, other)

    def __rmul__(self, other):
        return self._emit("mul", other, self)

    def __rshift__(self, other):
        return self._emit("ashr", self, other)


def _trace(function, context, builder, arg_types, values, result):
    """Emit a straight-line function by running it: primitives that it calls, or is given, emit their instructions into `builder`."""

    def pack(value):
        if isinstance(value, tuple):
            parts = [pack(v) for v in value]
            kind = types.Tuple([p.type for p in parts])
            return _Traced(builder, kind, context.make_tuple(builder, kind, [p.value for p in parts]))
        if isinstance(value, int):
            return _Traced(builder, types.int64, ir.Constant(ir.IntType(64), value))
        return value

    def unpack(kind, value):
        if isinstance(kind, PrimitiveType):
            return calling(kind)
        if isinstance(kind, types.BaseTuple):
            return tuple(unpack(t, builder.extract_value(value, i)) for i, t in enumerate(kind))
        return _Traced(builder, kind, value)

    def calling(kind):
        def call(*args):
            args = [pack(a) for a in args]
            signature_, codegen = kind.define(None, *(a.type for a in args))
            value = codegen(context, builder, signature_, [a.value for a in args])
            return unpack(signature_.return_type, value)

        call.type, call.value = kind, context.get_dummy_value()  # it may be handed on
        return call

    space = {n: function.__globals__[n] for n in function.__code__.co_names if n in function.__globals__}
    space = {n: calling(v._numba_type_) if isinstance(v, Primitive) else v for n, v in space.items()}
    run = FunctionType(function.__code__, space, function.__name__)
    returned = run(*(unpack(t, v) for t, v in zip(arg_types, values, strict=True)))
    return context.get_dummy_value() if result is types.void else pack(returned).value


def _straight(function):
    """Whether a function has neither loops nor branches."""
    return not any(i.opcode in dis.hasjrel or i.opcode in dis.hasjabs for i in dis.get_instructions(function))


def helper(function, named_types):
    """What the other functions of a template call in place of `function`.

    A straight-line function is emitted where it is called; any other is lowered into the caller's module, once per argument types.
    """
    inline, result = named_types(function.__annotations__.get("return"))
    straight = _straight(function)
    lowered = {}

    def typed(*args):
        args = tuple(types.unliteral(a) for a in args)
        returns = result(args) if isinstance(result, _OfArguments) else result

        def codegen(context, builder, sig, values):
            if straight:
                return _trace(function, context, builder, sig.args, values, sig.return_type)
            if sig.args not in lowered:  # a helper belongs to one kernel, so to one library
                lowered[sig.args] = _lower(
                    function, sig.args, sig.return_type, context.active_code_library, inline
                ).fndesc.llvm_func_name
            callee = builder.module.globals[lowered[sig.args]]
            return context.call_conv.call_function(builder, callee, sig.return_type, sig.args, values)[1]

        return signature(returns, *args), codegen

    return Primitive(lambda context, *args: typed(*args))


class _OfArguments:
    """A return type that follows from the arguments' types."""

    def __init__(self, rule):
        self.rule = rule

    def __call__(self, args):
        return self.rule(args)


def resolver(table):
    """annotation -> (whether to inline the helper, Numba type or the rule that tells it: "same" and "second" as those arguments, "accs" an accumulator of the first one's shape)."""
    rules = {
        "same": _OfArguments(lambda args: args[0]),
        "second": _OfArguments(lambda args: args[1]),
        "accs": _OfArguments(lambda args: table["one" if isinstance(args[0], types.Number) else "acc"]),
    }

    def named(annotation):
        if annotation in (None, inspect.Signature.empty):
            return False, types.void
        # Quoted twice where annotations are postponed.
        annotation = getattr(annotation, "__name__", annotation).strip("'\"")
        name = annotation.removeprefix("inline_")
        return name != annotation, rules.get(name) or table.get(name) or {"int": types.int64}[name]

    return named


class _Library(CPUCodeLibrary):
    """All functions of a kernel, in one module."""

    def __init__(self, name):
        super().__init__(target().codegen(), name)
        self.module = super().create_ir_module(name)

    def create_ir_module(self, name):
        return self.module

    def add_ir_module(self, ir_module):
        pass


def compile_band(band, name, entry):
    """Lower `band(args, slot, lo, hi)` and its helpers into an LLVM module; the function is called `entry` in it."""
    with global_compiler_lock:
        library = _Library(name)
        lowered = _lower(band, (types.int64,) * 4, types.void, library)
        module = ll.parse_assembly(str(library.module))
        module.get_function(lowered.fndesc.llvm_func_name).name = entry
        return module


def optimise(module, entry):
    """Keep only `entry` visible and run LLVM's whole pipeline."""
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != entry:
            value.linkage = "internal"
    # Kernels are vectorised and unrolled as they are written; LLVM's own vectoriser and unroller only make them longer.
    tuning = ll.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = False
    builder = ll.create_pass_builder(target().codegen()._tm, tuning)
    builder.getModulePassManager().run(module, builder)
    passes = ll.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, builder)
    module.verify()
