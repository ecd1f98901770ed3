"""The one place that compiles kernels: templates bound to primitives, machine code, its way to and from the disk.

A *template* is a module of plain functions with free names. `kernel` copies its functions with new globals in which
those names are bound, compiles the copy of `band(args, slot, lo, hi)` and keeps nothing of Numba's but the machine code:
an object file with a single entry and no symbol of Python's or Numba's in it. A later process loads that object straight into LLVM,
without starting Numba's compiler.
"""

import contextlib
import ctypes
import functools
import gc
import hashlib
import os
import sys
import threading
import time
import types

from numbapool import cache

_BAND = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)

# what LLVM itself may call instead of inline code; every C library has them
_LIBC = frozenset("memcpy memmove memset memcmp bcmp fma fmaf floor floorf ceil ceilf trunc truncf rint rintf sqrt sqrtf "
                  "exp expf exp2 exp2f log logf log2 log2f log10 log10f log1p log1pf expm1 expm1f pow powf sin sinf cos cosf "
                  "tan tanf tanh tanhf fmod fmodf ldexp ldexpf frexp frexpf fmin fminf fmax fmaxf".split())  # fmt: skip

_lock = threading.RLock()
_kernels: dict = {}
_engine = None


class Kernel:
    """
    One compiled band.

    Attributes
    ----------
    name : str
    address : int or None
        Of a C function ``void(int64, int64, int64, int64)``; None if Numba's JIT is disabled.
    seconds : float
        It took to compile or to load.
    cached : bool
        Whether it was loaded from disk.
    call : callable
        ``call(args_address, slot, lo, hi)``; releases the GIL.
    """

    __slots__ = ("address", "cached", "call", "name", "seconds")

    def __init__(self, name, address, call, seconds, cached):
        self.name, self.address, self.call, self.seconds, self.cached = name, address, call, seconds, cached

    def __repr__(self):
        return f"<kernel {self.name}, {'loaded' if self.cached else 'compiled'} in {self.seconds:.3f} s>"


def kernel(template_module, binding, name):
    """
    The kernel `name`: the template's `band` with its free names bound, compiled or loaded once per process.

    Parameters
    ----------
    template_module : module
        Its plain functions are the template; `band(args, slot, lo, hi)` is the entry.
    binding : dict or callable
        What the free names mean: intrinsics, plain functions, numbers. Of Python's own, templates have `range`, `min` and `max` of two integers. A callable is asked for the dict only when
        something has to be compiled. Everything in it must be told apart by `name`.
    name : str
        Of the kernel, unique among all template and binding pairs.

    Returns
    -------
    Kernel
    """
    try:
        return _kernels[name]
    except KeyError:
        pass
    with _lock:
        if name not in _kernels:
            _kernels[name] = _make(template_module, binding, name)
        return _kernels[name]


def kernels():
    """All kernels of this process, in the order in which they were made."""
    return list(_kernels.values())


def assembly(template_module, binding, name):
    """Compile afresh and return the machine code as the assembly of the CPU that Numba compiles for."""
    with _compiling():
        module, _ = _compile(template_module, binding, name)
        return _codegen()._tm.emit_assembly(module)


def llvm_ir(template_module, binding, name):
    """Compile afresh and return the optimised LLVM IR."""
    with _compiling():
        return str(_compile(template_module, binding, name)[0])


_paused = False  # whether no garbage is looked for while something is compiled


@contextlib.contextmanager
def _compiling():
    """One at a time, and without looking for garbage: there is little, and to walk through all that Numba has in memory takes a tenth of the time.

    The pause is the whole process's, so it undoes a `gc.disable()` that another thread calls meanwhile.
    """
    global _paused
    from numba.core.compiler_lock import global_compiler_lock

    with global_compiler_lock:
        pauses = gc.isenabled()
        try:
            if pauses:
                _paused = True
                gc.disable()
            yield
        finally:
            if pauses:
                gc.enable()
                _paused = False


def _make(template_module, binding, name):
    from numba import config

    start = time.perf_counter()
    if config.DISABLE_JIT:
        band = _rebind(template_module, binding() if callable(binding) else binding, name, None)["band"]
        return Kernel(name, None, band, time.perf_counter() - start, False)
    source = _foreign_source(template_module)
    symbol = _symbol(name)
    code = None if source is None else cache.load(name, symbol, source)
    address = None
    with _compiling():
        cached = code is not None
        if not cached:
            module, loose = _compile(template_module, binding, name)
            _resolvable(loose, name)
            code = _codegen()._tm.emit_object(module)
            if not loose and source is not None:
                cache.store(name, symbol, code, source)
        address = _load(code, symbol)
    return Kernel(name, address, _BAND(address), time.perf_counter() - start, cached)


def _resolvable(symbols, name):
    """Raise for what the linker would not find: it does not raise, it ends the process."""
    from llvmlite import binding as ll

    missing = [s for s in symbols if ll.address_of_symbol(s) is None]
    if missing:
        raise RuntimeError(f"kernel {name} needs symbols that are not there: {', '.join(missing)}")


def _symbol(name):
    return "numbapool_" + hashlib.sha256(name.encode()).hexdigest()[:24]


@functools.cache
def _foreign_source(module):
    """A hash of a template's source if the cache's key does not cover it, "" if it does, None if it is unknown."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.abspath(getattr(module, "__file__", None) or "")
    if os.path.dirname(path) == here:
        return ""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def _rebind(module, binding, name, wrap):
    """
    The template's names, bound.

    Its functions, and those that it or the binding takes from modules marked `TEMPLATE`, are copied with the result as
    their globals, so that all of them see the same names; `wrap` is applied to each copy but the entry.
    """
    bound = {**vars(module), **binding}
    for key, f in list(bound.items()):
        if not isinstance(f, types.FunctionType):
            continue
        if f.__module__ != module.__name__ and not getattr(sys.modules.get(f.__module__), "TEMPLATE", False):
            continue
        copy = types.FunctionType(f.__code__, bound, key, f.__defaults__, f.__closure__)
        copy.__kwdefaults__, copy.__annotations__ = f.__kwdefaults__, f.__annotations__
        copy.__qualname__ = f"{name}.{key}"  # Numba's symbols come from it, and no two kernels may share one
        copy.__module__ = f.__module__
        bound[key] = copy if wrap is None or key == "band" else wrap(copy)
    return bound


def _compile(template_module, binding, name):
    """(LLVM module with the one entry `_symbol(name)`, names that it needs from elsewhere)."""
    from . import compiler, primitives

    binding = {"min": primitives.minimum, "max": primitives.maximum} | (
        binding() if callable(binding) else binding
    )
    binding = {n: compiler.Primitive(v._defn) if hasattr(v, "_defn") else v for n, v in binding.items()}
    named = compiler.resolver(binding.get("TYPES", {}))
    band = _rebind(template_module, binding, name, lambda f: compiler.helper(f, named))["band"]
    entry = _symbol(name)
    module = compiler.compile_band(band, name, entry)
    compiler.optimise(module, entry)
    loose = [v.name for v in (*module.functions, *module.global_variables)
             if v.is_declaration and not v.name.startswith("llvm.") and v.name not in _LIBC]  # fmt: skip
    return module, loose


def _codegen():
    from . import compiler

    return compiler.target().codegen()


def launcher(make, home):
    """The address of the function `launch` of the `llvmlite.ir` module that `make()` is, compiled or loaded; `home` names the Python module whose source says what it is."""
    from llvmlite import binding as ll

    symbol = "numbapool_launch"
    source = _foreign_source(sys.modules[home])
    with _compiling():
        code = None if source is None else cache.load("launcher", symbol, source)
        if code is None:
            codegen, module = _codegen(), make()
            module.triple, module.data_layout = ll.get_process_triple(), codegen._data_layout
            parsed = ll.parse_assembly(str(module))
            parsed.get_function("launch").name = symbol
            code = codegen._tm.emit_object(parsed)
            if source is not None:
                cache.store("launcher", symbol, code, source)
        return _load(code, symbol)


def _load(code, symbol):
    global _engine
    from llvmlite import binding as ll

    if _engine is None:
        ll.initialize_native_target()
        ll.initialize_native_asmprinter()
        triple = ll.get_process_triple()
        target = ll.Target.from_triple(triple).create_target_machine(codemodel="jitdefault", jit=True)
        module = ll.parse_assembly(f'target triple = "{triple}"')
        _engine = ll.create_mcjit_compiler(module, target), []
    engine, alive = _engine
    binary = ll.ObjectFileRef.from_data(code)
    engine.add_object_file(binary)
    engine.finalize_object()
    alive.append(binary)
    return engine.get_function_address(symbol)


# ---------------------------------------------------------------------------------------------- fork
#
# Nothing of LLVM's or ours may be in the middle of something when a process forks: the thread that would finish it does not exist
# in the child. So a fork waits for the compiler; the limit of time is there because the compiler could wait for the forking thread.

_held: list = []


def _locks():
    yield _lock
    for module, path in (
        ("numba.core.compiler_lock", "global_compiler_lock._lock"),
        ("llvmlite.binding.ffi", "lib._lock._lock"),
    ):
        try:
            lock = sys.modules[module]
            for name in path.split("."):
                lock = getattr(lock, name)
            yield lock
        except (KeyError, AttributeError):
            pass


def _before_fork():
    _held.extend((lock, lock.acquire(timeout=10)) for lock in _locks())


def _after_fork(child):
    global _paused
    if child and _paused:  # by a thread that is not there
        gc.enable()
        _paused = False
    while _held:
        lock, acquired = _held.pop()
        if acquired:
            lock.release()
        elif child:
            lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    # Numba logs, and a fork waits for that lock as well. Hooks run in reverse: whoever forks must not hold it while waiting for the compiler, which may be about to log.
    import logging

    os.register_at_fork(
        before=_before_fork,
        after_in_parent=functools.partial(_after_fork, False),
        after_in_child=functools.partial(_after_fork, True),
    )
