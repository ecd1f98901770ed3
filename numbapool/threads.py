"""Bands over threads: how many, and on whose.

A call is cut into bands of work items. Numba's threading layer runs them, whichever one Numba is set to, or threads of
our own where that layer cannot; one band, a busy layer or none at all means the caller's thread. It is the same
machine code every time, and therefore the same bits.
"""

import ctypes
import functools
import itertools
import math
import os
import queue
import sys
import threading
import time

from numbapool import settings

_lock = threading.Lock()
_layer = None  # name of the layer in use; "" if none can be had
_launch = None  # C function launch(band, args, items, bands, threads); None: the crew runs the bands
_busy = ctypes.c_int32(0)  # 1 while a launch runs under OpenMP
_sequential = False  # for ever: a child whose parent had started OpenMP
# OpenMP keeps a team of threads for every thread that ever launched, so only one may. Since when nobody has the right:
_teams = [-math.inf]
_local = threading.local()


def bands(items, nbytes):
    """
    Into how many bands a call should be cut now.

    Parameters
    ----------
    items : int
        Work items of the call.
    nbytes : int
        Bytes that it reads and writes.
    """
    if nbytes < settings.get("parallel_threshold") or items < 2 or _sequential or _layer == "":
        return 1
    return min(threads(), items)


def launch(kernel, args, items, bands):
    """
    Run a kernel over all items: band i does the items ``i*items//bands … (i+1)*items//bands`` in scratch slot i.

    Parameters
    ----------
    kernel : Kernel
    args : ndarray of int64, or int
        The argument block, or its address; kept alive by the caller.
    items, bands : int
    """
    address = args if type(args) is int else args.ctypes.data
    if bands <= 1:
        kernel.call(address, 0, 0, items)
    elif kernel.address is None or _sequential or not (_layer or start()):
        for i in range(bands):
            kernel.call(address, i, i * items // bands, (i + 1) * items // bands)
    elif _launch is not None and (_layer != "omp" or _has_team()):
        # the launcher is C from here on: an interrupt waits for its end, nothing can be left locked or unset
        _launch(kernel.address, address, items, bands, min(bands, _numba_limit()))
    else:
        _crew.run(kernel.call, address, items, bands, min(bands, _numba_limit()) - 1)


def threads():
    """Threads that a call of this thread may use now."""
    numba = _numba()
    if numba.config.DISABLE_JIT or _sequential or _layer == "":
        return 1
    chosen = settings.get("num_threads")
    if chosen is not None:
        return min(chosen, max(64, _numba_limit()))
    return max(1, min(_cpus(), _fixed_limit(), _numba_setting()))


def layer():
    """The threading layer in words."""
    if _sequential:
        return "none (forked from a process that used OpenMP): sequential"
    if _layer == "":
        return "none could be loaded: sequential"
    loaded = sys.modules.get("numba.np.ufunc.parallel")
    if loaded is not None and loaded._is_initialized:
        return loaded._threading_layer
    config = _numba().config
    wanted = str(config.THREADING_LAYER)
    return f"not started ({', '.join(config.THREADING_LAYER_PRIORITY) if wanted == 'default' else wanted})"


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
    """Start Numba's threading layer if it is not running; False if there is none, and every call is sequential then."""
    global _layer, _launch
    if _layer is None and not _sequential:
        with _lock:
            if _layer is None:
                try:
                    name, function = _start()
                except Exception:
                    name, function = "", None
                _launch = function
                _layer = name  # last: whoever sees it needs the function
    return bool(_layer) and not _sequential


def _start():
    from llvmlite import binding as ll
    from numba.np.ufunc import parallel

    from numbapool.kernels import build

    parallel._launch_threads()
    name = parallel.threading_layer()
    if name == "workqueue":
        return name, None
    symbols = [ll.address_of_symbol(s) for s in ("numba_parallel_for", "get_num_threads", "set_num_threads")]
    if None in symbols:
        return name, None
    address = build.launcher(_launcher(symbols, ctypes.addressof(_busy) if name == "omp" else 0))
    return name, ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 5)(address)


def _launcher(symbols, busy):
    """
    LLVM IR of ``launch(band, args, items, bands, threads)``.

    It calls what a `prange` of Numba ends in, `numba_parallel_for`, with a loop over bands as the body. Compared with
    a compiled `prange` the number of threads is an argument and not Numba's own setting (which this puts back), the
    GIL is not asked for, and nothing has to be typed or lowered: the function is ready in a few milliseconds. `busy`
    is the address of a flag that is set while a launch runs, or 0: a second launch then runs its bands on its own
    thread, since the first one has the CPUs.
    """
    from llvmlite import ir

    i32, i64, void = ir.IntType(32), ir.IntType(64), ir.VoidType()
    words = i64.as_pointer()
    parallel_for, get_threads, set_threads = symbols
    module = ir.Module("launcher")

    def function(name, *types):
        f = ir.Function(module, ir.FunctionType(void, types), name)
        return f, ir.IRBuilder(f.append_basic_block())

    def at(b, address, signature):
        return b.inttoptr(i64(address), signature.as_pointer())

    def word(b, pointer, i=0):
        return b.load(b.gep(pointer, [i64(i)]))

    def block(b, *values):
        pointer = b.alloca(i64, len(values))
        for i, value in enumerate(values):
            b.store(value, b.gep(pointer, [i64(i)]))
        return pointer

    # some(job, first, count): the bands first … first+count-1 of a job (band, args, items, bands)
    some, b = function("some", words, i64, i64)
    some.linkage = "internal"
    job, first, count = some.args
    band = b.inttoptr(word(b, job), ir.FunctionType(void, [i64] * 4).as_pointer())
    args, items, bands = (word(b, job, i) for i in (1, 2, 3))
    last, entry, loop, end = b.add(first, count), b.block, b.append_basic_block(), b.append_basic_block()
    b.cbranch(b.icmp_signed("<", first, last), loop, end)
    b.position_at_end(loop)
    i = b.phi(i64)
    i.add_incoming(first, entry)
    following = b.add(i, i64(1))
    lo, hi = (b.sdiv(b.mul(k, items), bands) for k in (i, following))
    b.call(band, [args, i, lo, hi])
    i.add_incoming(following, loop)
    b.cbranch(b.icmp_signed("<", following, last), loop, end)
    b.position_at_end(end)
    b.ret_void()

    # body(args, dimensions, steps, data): what a layer calls for some iterations. The one array starts at address 0 and has a
    # step of 1, so that the address it is given is the number of the first iteration.
    body, b = function("body", words, words, words, words)
    body.linkage = "internal"
    b.call(some, [body.args[3], word(b, body.args[0]), word(b, body.args[1])])
    b.ret_void()

    launch, b = function("launch", *[i64] * 5)
    band, args, items, bands, threads = launch.args
    job = block(b, band, args, items, bands)
    if busy:
        flag = at(b, busy, i32)
        taken = b.extract_value(b.cmpxchg(flag, i32(0), i32(1), "acquire", "monotonic"), 1)
        with b.if_then(b.not_(taken), likely=False):
            b.call(some, [job, i64(0), bands])
            b.ret_void()
    before = b.call(at(b, get_threads, ir.FunctionType(i32, [])), [])
    i8p = ir.IntType(8).as_pointer()
    pointers = [b.bitcast(p, i8p) for p in (body, block(b, i64(0)), block(b, bands), block(b, i64(1)), job)]
    call = at(b, parallel_for, ir.FunctionType(void, [i8p] * 5 + [i64] * 3))
    b.call(call, [*pointers, i64(0), i64(1), threads])
    b.call(at(b, set_threads, ir.FunctionType(void, [i32])), [before])
    if busy:
        b.store_atomic(i32(0), flag, "release", 4)
    b.ret_void()
    return module


class _Team:
    """The right to launch under OpenMP; free for another thread when the one that has it ends."""

    def __init__(self):
        _teams.pop()
        self.free, self.now = _teams.append, time.monotonic  # globals may be gone when the interpreter ends

    def __del__(self):
        if hasattr(self, "free"):
            self.free(self.now())


def _has_team():
    if hasattr(_local, "team"):
        return True
    try:
        if (
            time.monotonic() - _teams[0] < 1
        ):  # the team of the thread that had the right may still be on its way out
            return False
        _local.team = _Team()
    except IndexError:
        return False
    return True


class _Crew:
    """
    Threads of our own for what Numba's layers cannot do: its workqueue aborts the process if a second thread launches
    while one does, be it a kernel of somebody else's, and OpenMP keeps a team for every thread that launches.

    A run offers its bands to the crew and works on them itself; whoever is free takes the next one. A crew that is busy with
    other runs therefore delays nothing, and any number of runs share its threads.
    """

    def __init__(self):
        self.offers: queue.SimpleQueue = queue.SimpleQueue()
        self.threads = 0

    def run(self, call, address, items, bands, helpers):
        counter = itertools.count()  # atomic under the GIL

        def work():
            for i in counter:
                if i >= bands:
                    return
                call(address, i, i * items // bands, (i + 1) * items // bands)

        # A ticket is an RLock: the helper that gets it works, and one that comes too late does not. The caller takes all of them in the
        # end, which waits for those at work. Taking one twice does no harm, so an interrupt may come at any time.
        tickets = [threading.RLock() for _ in range(helpers)]
        interrupt = None
        try:
            self.grow(helpers)
            for ticket in tickets:
                self.offers.put((ticket, work))
            work()
        except BaseException as e:
            interrupt = e
        while True:
            try:
                for ticket in tickets:
                    ticket.acquire()
                break
            except BaseException as e:
                interrupt = e
        if interrupt is not None:
            raise interrupt

    def grow(self, size):
        with _lock:
            while self.threads < size:
                try:
                    threading.Thread(target=self.help, name="numbapool", daemon=True).start()
                except RuntimeError:  # no more threads to be had, or the interpreter is ending
                    break
                self.threads += 1

    def help(self):
        offers = self.offers
        while True:
            ticket, work = offers.get()
            if ticket.acquire(blocking=False):
                try:
                    work()
                finally:
                    ticket.release()
            del ticket, work


_crew = _Crew()


# ---------------------------------------------------------------------------------------------- fork
#
# A child must not use the OpenMP that its parent had started, whoever started it: GNU's then ends the child.

_had_openmp = False


def _openmp_runs():
    loaded = sys.modules.get("numba.np.ufunc.parallel")
    return loaded is not None and loaded._is_initialized and loaded._threading_layer == "omp"


def _forked_worker():
    """Whether this is a worker of multiprocessing that began as a copy of its parent."""
    process = sys.modules.get("multiprocessing.process")
    return (
        process is not None
        and process.parent_process() is not None
        and "--multiprocessing-fork" not in sys.orig_argv
    )


def _before_fork():
    global _had_openmp
    _had_openmp = _openmp_runs()


def _after_fork_in_child():
    global _lock, _crew, _sequential
    _lock, _crew = threading.Lock(), _Crew()
    _busy.value = 0
    _fixed_limit.cache_clear()
    _sequential = _sequential or _had_openmp


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
if _openmp_runs() and _forked_worker():  # imported after the fork, so the hooks above did not see it
    _sequential = True
