"""From bound template functions to one LLVM module, optimised once.

`@njit` and `register_jitable` compile every helper function for itself: its own library, its own run of the optimiser, its own machine code that nobody
calls. A kernel here is a dozen helpers around one entry, so they are lowered with Numba's compiler into *one* module instead, made
internal, and optimised together: a fifth of the time, and better inlining.

A helper says with its annotation what it returns: nothing (void), `int`, or a name from the binding's `TYPES`.
"""

import inspect

from llvmlite import binding as ll
from numba.core import compiler, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.typing import signature
from numba.extending import intrinsic


def _flags():
    flags = compiler.Flags()
    flags.error_model = "numpy"
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.no_rewrites = True
    flags.enable_pyobject = False
    return flags


def _lower(function, args, result, library):
    target = cpu_target.target_context
    return compiler.compile_internal(
        cpu_target.typing_context, target, library, function, args, result, _flags(), {}
    )


def helper(function, named_types):
    """What the other functions of a template call in place of `function`: lowered into the caller's module once per argument types."""
    result = named_types(function.__annotations__.get("return"))
    lowered = {}

    def typed(*args):
        args = tuple(types.unliteral(a) for a in args)
        returns = args[0] if result is None else result

        def codegen(context, builder, sig, values):
            library = context.active_code_library
            if lowered.get(sig.args, (None,))[0] is not library:
                lowered[sig.args] = library, _lower(function, sig.args, sig.return_type, library)
            return context.call_internal_no_propagate(builder, lowered[sig.args][1].fndesc, sig, values)[1]

        return signature(returns, *args), codegen

    names = ", ".join(inspect.signature(function).parameters)
    # Numba asks an intrinsic for its parameters by name, so it needs a function of the same arity.
    return intrinsic(eval(f"lambda typingctx, {names}: typed({names})", {"typed": typed}))


def resolver(table):
    """annotation -> Numba type; None stands for "same as the first argument"."""

    def named(annotation):
        annotation = annotation.strip("'\"") if isinstance(annotation, str) else annotation
        if annotation is None or annotation is inspect.Signature.empty:
            return types.void
        if annotation in (int, "int"):
            return types.int64
        return None if annotation == "same" else table[annotation]

    return named


def compile_band(band, name):
    """Lower `band(args, slot, lo, hi)` and its helpers; (LLVM module with nothing exported, name of the native function)."""
    with global_compiler_lock:
        cpu_target.typing_context.refresh()
        cpu_target.target_context.refresh()
        codegen = cpu_target.target_context.codegen()
        library = codegen.create_library(name)
        result = _lower(band, (types.int64,) * 4, types.void, library)
        for other in library._linking_libraries:  # overloads of builtins that a template calls
            library._final_module.link_in(other._get_module_for_linking(), preserve=True)
        return library._final_module, result.fndesc.llvm_func_name


def optimise(module, entry):
    """Keep only `entry` visible and run LLVM's whole pipeline."""
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != entry:
            value.linkage = "internal"
    codegen = cpu_target.target_context.codegen()
    passes, builder = codegen._module_pass_manager()
    passes.run(module, builder)
    passes = ll.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, builder)
    module.verify()
