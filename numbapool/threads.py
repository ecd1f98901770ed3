"""Bands over threads: how many, and on whose.

A call is cut into parts, ranges of its work items, and whoever is free takes the next one: the caller from the front, and helpers of
our own from the back, which large arrays take less time by. The caller waits for the helpers that have joined in and for no others, so one that wakes late costs nothing.
It is the same machine code on the same items every time, and therefore the same bits.

Why not Numba's threading layer. The end of an OpenMP region waits for the whole team. A team that sleeps is often woken on
the caller's CPU, at least in a virtual machine, and there the two spin in turn, a scheduler's tick each: 4 or 8 ms for
a call of 0.1 ms. OpenMP also ends the child of a fork, and Numba's workqueue ends a process in which two threads launch
at once. Numba's layer is neither started nor changed here.
"""

import ctypes
import functools
import math
import os
import sys
import threading
from typing import Any

from numbapool import settings

PARTS = 16  # per thread: the last ones to finish are apart by a part
SPINS = 2000  # looks at a word before a thread goes to sleep: 50 µs on Zen 4
JOBS = 4  # calls that share the helpers; another one runs on its caller's thread
MOST = 255  # helpers

_lock = threading.Lock()
_launch: Any = None  # C function launch(crew, band, args, items, parts, helpers); False if it cannot be had


def bands(items, nbytes):
    """
    On how many threads a call should run now, each with a scratch slot of its own.

    Parameters
    ----------
    items : int
        Work items of the call.
    nbytes : int
        Bytes that it reads and writes.
    """
    if nbytes < settings.get("parallel_threshold") or items < 2:
        return 1
    return min(threads(), items)


def launch(kernel, args, items, bands, most=0):
    """
    Run a kernel over all items, on at most `bands` threads with the scratch slots ``0 … bands-1``.

    Parameters
    ----------
    kernel : Kernel
    args : ndarray of int64, or int
        The argument block, or its address; kept alive by the caller.
    items, bands : int
    most : int, optional
        Parts, unless there are more threads; 0: any number.
    """
    address = args if type(args) is int else args.ctypes.data
    if bands > 1:
        bands = min(bands, _numba_limit(), MOST + 1)
    if bands <= 1 or kernel.address is None or not (_launch or start()):
        kernel.call(address, 0, 0, items)
    else:
        parts = min(items, PARTS * bands)
        if most:
            parts = min(parts, max(most // bands, 1) * bands)
        # C from here on: an interrupt waits for its end, nothing can be left locked or half done
        _launch(_crew.at(bands - 1), kernel.address, address, items, parts, bands - 1)


def threads():
    """Threads that a call of this thread may use now."""
    if _numba().config.DISABLE_JIT or _launch is False:
        return 1
    chosen = settings.get("num_threads")
    if chosen is not None:
        return min(chosen, max(64, _numba_limit()))
    return max(1, min(_cpus(), _fixed_limit(), _numba_setting()))


def layer():
    """Whose threads they are, in words."""
    return "none could be had: sequential" if _launch is False else "numbapool's own"


# ---------------------------------------------------------------------------------------------- how many


def _cpus():
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on macOS and Windows
        return os.cpu_count() or 1


def _omp_num_threads():
    """OMP_NUM_THREADS, of which Numba takes no notice; a list is one number per nesting level."""
    text = os.environ.get("OMP_NUM_THREADS")
    try:
        return max(1, int(text.split(",")[0])) if text else sys.maxsize
    except ValueError:
        return sys.maxsize


def _numba():
    return sys.modules.get("numba") or __import__("numba")


def _numba_limit():
    return _numba().config.NUMBA_NUM_THREADS


def _numba_setting():
    """`numba.get_num_threads()`, without starting the layer to ask it."""
    loaded = sys.modules.get("numba.np.ufunc.parallel")
    if loaded is not None and loaded._is_initialized:
        return max(1, loaded._get_num_threads())
    return _numba_limit()


@functools.cache
def _fixed_limit():
    """What does not change while a process runs: cgroup quota and OMP_NUM_THREADS."""
    return min(cgroup_quota(), _omp_num_threads())


def cgroup_quota(root="/"):
    """
    CPUs that the cgroups of this process may use, rounded up; `sys.maxsize` if nothing limits them.

    Parameters
    ----------
    root : str
        Folder under which ``proc/self/cgroup`` and ``sys/fs/cgroup`` are looked for.
    """
    least = math.inf
    for line in _read(root, "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mounts, quota = ["sys/fs/cgroup", "sys/fs/cgroup/unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, quota = [f"sys/fs/cgroup/{c}" for c in (controllers, "cpu", "cpu,cpuacct")], _quota_v1
        else:
            continue
        parts = [p for p in path.split("/") if p and p != ".."]
        # a limit holds for all below it; inside a container the path may start above what is mounted
        for depth in range(len(parts) + 1):
            for mount in mounts:
                least = min(least, quota(root, "/".join([mount, *parts[:depth]])))
    return max(1, math.ceil(least)) if least < math.inf else sys.maxsize


def _quota_v2(root, folder):
    words = _read(root, folder + "/cpu.max").split()
    try:
        return int(words[0]) / int(words[1])
    except (IndexError, ValueError, ZeroDivisionError):  # no file, or "max 100000"
        return math.inf


def _quota_v1(root, folder):
    try:
        quota = int(_read(root, folder + "/cpu.cfs_quota_us"))
        return quota / int(_read(root, folder + "/cpu.cfs_period_us")) if quota > 0 else math.inf
    except (ValueError, ZeroDivisionError):
        return math.inf


def _read(root, path):
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


# ---------------------------------------------------------------------------------------------- on whose


def start():
    """Make the launcher if there is none; False if it cannot be had, and every call is sequential then."""
    global _launch
    if _launch is None:
        with _lock:
            if _launch is None:
                try:
                    from numbapool.kernels import build

                    _launch = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)(
                        build.launcher(_launcher, __name__)
                    )
                except Exception:
                    _launch = False
    return bool(_launch)


class _Crew:
    """
    The helpers: daemon threads that are in C for good and know nothing of the GIL.

    Their memory is words of 64 bits, see `_launcher`; it is never freed, since they look at it until the process ends.
    """

    def __init__(self):
        memory = (ctypes.c_int64 * (_WORDS + 8))()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
        self.address = -(-ctypes.addressof(memory) // 64) * 64
        self.words = (ctypes.c_int64 * _WORDS).from_address(self.address)
        self.size = 0
        self.words[_FUNCTIONS : _FUNCTIONS + len(_CALLED)] = _addresses()
        for j in range(JOBS):
            self.words[_job(j) + _CALLER + _LOCK] = _closed_lock()

    def at(self, helpers):
        """The address of the crew, in which there are now so many helpers, if they can be had."""
        if self.size < helpers:
            with _lock:
                while self.size < helpers:
                    i = self.size
                    help = functools.partial(self.help, i, threading.get_native_id())
                    # counted before it starts: an interrupt must not make two of one number
                    self.size = self.words[_SIZE] = i + 1
                    try:
                        threading.Thread(target=help, name="numbapool", daemon=True).start()
                    except RuntimeError:  # no more threads to be had, or the interpreter is ending
                        self.size = i
                        break
        return self.address

    def help(self, i, starter):
        me, thread = _helper(i), threading.get_native_id()
        if thread != starter:  # else this is no thread but a greenlet, and everybody would wait for it
            self.words[me : me + 4] = 0, _closed_lock(), thread, -1
            _launch(self.address, 0, self.address + 8 * me, 0, 0, 0)


def _closed_lock():
    """A lock of Python's, taken. Python's own are the same on every platform, and need no GIL."""
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", ctypes.pythonapi))
    acquire = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)(
        ("PyThread_acquire_lock", ctypes.pythonapi)
    )
    lock = allocate()
    if not lock:
        raise MemoryError("no more locks to be had")
    acquire(lock, 1)
    return lock


def _addresses():
    """Where the functions lie that compiled code calls; 0 for what is not there."""
    found = [getattr(ctypes.pythonapi, name) for name in _CALLED[:2]]
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    found += [getattr(libc, name, None) for name in _CALLED[2:]]
    return [0 if f is None else ctypes.cast(f, ctypes.c_void_p).value for f in found]


# The words of a crew: calls that it was offered, helpers, functions; then its jobs, of two cache lines each, and the helpers.
_OFFERS, _SIZE, _FUNCTIONS = 0, 8, 9
_CALLED = (
    "PyThread_acquire_lock",
    "PyThread_release_lock",
    "sched_getcpu",
    "sched_getaffinity",
    "sched_setaffinity",
)
_BUSY, _SEATS, _BAND, _ARGS, _ITEMS, _PARTS, _TAKEN, _DONE, _CALLER, _BACK = 0, 1, 2, 3, 4, 5, 8, 9, 10, 15
_ASLEEP, _LOCK, _THREAD, _AVOIDS = range(4)  # of a helper; a job's caller has the first two, and no thread


def _job(j):
    return 16 + 16 * j


def _helper(i):
    return _job(JOBS) + 4 * i


_WORDS = _helper(MOST)


def _launcher():
    """
    LLVM IR of ``launch(crew, band, args, items, parts, helpers)``; with ``band = 0`` a helper's life, ``args`` being its words.

    ::

        launch:  job = a job of the crew that is not busy; if there is none, band(args, 0, 0, items) and return
                 job.band, .args, .items, .parts = …;  job.taken = job.back = job.done = 0
                 job.seats = helpers;  offers += 1;  wake two
                 work(job, 0)
                 joined = helpers - swap(job.seats, 0)            # whoever comes later finds no seat
                 wait until job.done == joined

        helper:  for ever:
                     seen = offers
                     for job in jobs:
                         if job.seats > 0: seat = job.seats--;  wake two;  work(job, seat);  job.done++;  wake the caller
                     wait until offers != seen

        work(job, slot):  while job.taken++ < job.parts:
                              i = front++ for the caller, job.parts - 1 - job.back++ for a helper
                              band(args, slot, part i of the items)

    To wait is to look `SPINS` times, for a call that follows at once, and then to sleep on a lock: whoever changes the flag
    "asleep" from 1 to 0 owes the sleeper a release, so none is lost and none is left over. One woken wakes two
    more, so that many are awake in a few steps. On Linux a helper is told to avoid the CPU of the one that wakes it: it would
    otherwise often be put there to wait for its end.
    """
    from llvmlite import binding as ll
    from llvmlite import ir

    i1, i32, i64, void = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.VoidType()
    words = i64.as_pointer()
    module = ir.Module("launcher")

    def function(name, *types, result=void):
        f = ir.Function(module, ir.FunctionType(result, types), name)
        f.linkage = "external" if name == "launch" else "internal"
        return f, ir.IRBuilder(f.append_basic_block()), f.args

    def foreign(b, crew, name, result, *types):
        """A function that this process has, and where, is known to the crew: the code is that of every process."""
        address = word(b, crew, _FUNCTIONS + _CALLED.index(name))
        return b.inttoptr(address, ir.FunctionType(result, types).as_pointer())

    def at(b, p, i):
        return b.gep(p, [i64(i)])

    def word(b, p, i):
        return b.load(at(b, p, i))

    def look(b, p, i=0):
        return b.load_atomic(at(b, p, i), "seq_cst", 8)

    def change(b, how, p, i, value):
        return b.atomic_rmw(how, at(b, p, i), value if isinstance(value, ir.Value) else i64(value), "seq_cst")

    def test(b, x, how, y=0):
        return b.icmp_signed(how, x, y if isinstance(y, ir.Value) else x.type(y))

    def leave_if(b, condition, *value):
        with b.if_then(condition):
            b.ret(*value) if value else b.ret_void()

    def two(b, most):
        return b.select(test(b, most, "<", 2), most, i64(2))

    def loop(b):
        block = b.append_basic_block()
        b.branch(block)
        b.position_at_end(block)
        return block

    # work(job, slot)
    work, b, (job, slot) = function("work", words, i64)
    band = b.inttoptr(word(b, job, _BAND), ir.FunctionType(void, [i64] * 4).as_pointer())
    args, items, parts = (word(b, job, i) for i in (_ARGS, _ITEMS, _PARTS))
    front, part = b.alloca(i64), b.alloca(i64)
    b.store(i64(0), front)
    again = loop(b)
    leave_if(b, test(b, change(b, "add", job, _TAKEN, 1), ">=", parts))
    with b.if_else(test(b, slot, "==")) as (caller, helper):
        with caller:
            b.store(b.load(front), part)
            b.store(b.add(b.load(front), i64(1)), front)
        with helper:
            b.store(b.sub(b.sub(parts, i64(1)), change(b, "add", job, _BACK, 1)), part)
    i = b.load(part)
    b.call(band, [args, slot, *(b.sdiv(b.mul(k, items), parts) for k in (i, b.add(i, i64(1))))])
    b.branch(again)

    # avoid(crew, sleeper): from now on, the CPU of this thread
    avoid, b, (crew, sleeper) = function("avoid", words, words)
    for k in range(2, len(_CALLED)):
        leave_if(b, test(b, word(b, crew, _FUNCTIONS + k), "=="))
    get_cpu = foreign(b, crew, "sched_getcpu", i32)
    get_mask, set_mask = (
        foreign(b, crew, f"sched_{n}affinity", i32, i32, i64, words) for n in ("get", "set")
    )
    thread, cpu = b.trunc(word(b, sleeper, _THREAD), i32), b.sext(b.call(get_cpu, []), i64)
    leave_if(b, test(b, thread, "=="))  # no helper, but a caller
    leave_if(b, test(b, cpu, "==", word(b, sleeper, _AVOIDS)))
    mask = b.alloca(i64, 1024 // 64)
    leave_if(b, test(b, b.call(get_mask, [i32(0), i64(128), mask]), "!="))  # more CPUs than that
    leave_if(b, test(b, cpu, "<"))
    b.store(cpu, at(b, sleeper, _AVOIDS))
    cell = b.gep(mask, [b.lshr(cpu, i64(6))])
    b.store(b.and_(b.load(cell), b.not_(b.shl(i64(1), b.and_(cpu, i64(63))))), cell)
    b.call(set_mask, [thread, i64(128), mask])  # refused if no CPU is left
    b.ret_void()

    # rouse(crew, sleeper): 1 if it slept
    rouse, b, (crew, sleeper) = function("rouse", words, words, result=i64)
    leave_if(b, test(b, look(b, sleeper, _ASLEEP), "=="), i64(0))
    leave_if(b, test(b, change(b, "xchg", sleeper, _ASLEEP, 0), "=="), i64(0))
    b.call(avoid, [crew, sleeper])
    b.call(foreign(b, crew, "PyThread_release_lock", void, i64), [word(b, sleeper, _LOCK)])
    b.ret(i64(1))

    # wake(crew, most): so many sleeping helpers, or all
    wake, b, (crew, most) = function("wake", words, i64)
    i, left = b.alloca(i64), b.alloca(i64)
    b.store(i64(0), i)
    b.store(most, left)
    size = look(b, crew, _SIZE)
    again = loop(b)
    leave_if(b, b.or_(test(b, b.load(left), "=="), test(b, b.load(i), ">=", size)))
    helper = b.gep(crew, [b.add(i64(_helper(0)), b.mul(b.load(i), i64(_helper(1) - _helper(0))))])
    b.store(b.sub(b.load(left), b.call(rouse, [crew, helper])), left)
    b.store(b.add(b.load(i), i64(1)), i)
    b.branch(again)

    # wait(crew, sleeper, cell, value, differs): until the cell has, or has not, the value
    pauses = {"x86_64": ("llvm.x86.sse2.pause", []), "aarch64": ("llvm.aarch64.isb", [i32(15)])}
    machine = ll.get_process_triple().partition("-")[0].replace("arm64", "aarch64")
    name, operands = pauses.get(machine, ("llvm.donothing", []))
    pause = ir.Function(module, ir.FunctionType(void, [o.type for o in operands]), name)
    wait, b, (crew, sleeper, cell, value, differs) = function("wait", words, words, words, i64, i1)
    n = b.alloca(i64)
    b.store(i64(0), n)

    def over():
        return b.xor(test(b, look(b, cell), "==", value), differs)

    again, tired = loop(b), b.append_basic_block()
    leave_if(b, over())
    b.call(pause, operands)
    b.store(b.add(b.load(n), i64(1)), n)
    b.cbranch(test(b, b.load(n), "<", SPINS), again, tired)
    b.position_at_end(tired)
    again = loop(b)
    change(b, "xchg", sleeper, _ASLEEP, 1)
    with b.if_then(over()):
        leave_if(b, test(b, change(b, "xchg", sleeper, _ASLEEP, 0), "!="))
    b.call(foreign(b, crew, "PyThread_acquire_lock", void, i64, i32), [word(b, sleeper, _LOCK), i32(1)])
    leave_if(b, over())
    b.branch(again)

    # join(crew, job): a helper's part in it
    join, b, (crew, job) = function("join", words, words)
    again = loop(b)
    seat = look(b, job, _SEATS)
    leave_if(b, test(b, seat, "=="))
    others = b.sub(seat, i64(1))
    taken = b.extract_value(b.cmpxchg(at(b, job, _SEATS), seat, others, "seq_cst", "seq_cst"), 1)
    with b.if_then(b.not_(taken)):
        b.branch(again)
    b.call(wake, [crew, two(b, others)])
    b.call(work, [job, seat])
    change(b, "add", job, _DONE, 1)
    b.call(rouse, [crew, at(b, job, _CALLER)])
    b.ret_void()

    # run(crew, job, band, args, items, parts, helpers)
    run, b, (crew, job, *given, helpers) = function("run", words, words, *[i64] * 5)
    counts = _TAKEN, _DONE, _BACK
    for i, value in zip((_BAND, _ARGS, _ITEMS, _PARTS, *counts), (*given, *[i64(0)] * 3), strict=True):
        b.store(value, at(b, job, i))
    change(b, "xchg", job, _SEATS, helpers)
    change(b, "add", crew, _OFFERS, 1)
    b.call(wake, [crew, two(b, helpers)])
    b.call(work, [job, i64(0)])
    joined = b.sub(helpers, change(b, "xchg", job, _SEATS, 0))
    b.call(wait, [crew, at(b, job, _CALLER), at(b, job, _DONE), joined, i1(0)])
    change(b, "xchg", job, _BUSY, 0)
    b.ret_void()

    _, b, (crew, *given) = function("launch", *[i64] * 6)
    crew, (band, args, items, *_) = b.inttoptr(crew, words), given
    jobs = [at(b, crew, _job(j)) for j in range(JOBS)]
    with b.if_then(test(b, band, "==")):
        again = loop(b)
        seen = look(b, crew, _OFFERS)
        for job in jobs:
            b.call(join, [crew, job])
        b.call(wait, [crew, b.inttoptr(args, words), at(b, crew, _OFFERS), seen, i1(1)])
        b.branch(again)
    for job in jobs:
        with b.if_then(test(b, change(b, "xchg", job, _BUSY, 1), "==")):
            b.call(run, [crew, job, *given])
            b.ret_void()
    b.call(b.inttoptr(band, ir.FunctionType(void, [i64] * 4).as_pointer()), [args, i64(0), i64(0), items])
    b.ret_void()
    return module


_crew = _Crew()


# ---------------------------------------------------------------------------------------------- fork


def _after_fork_in_child():
    global _lock, _crew
    _lock, _crew = threading.Lock(), _Crew()  # the helpers stayed with the parent
    _fixed_limit.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
