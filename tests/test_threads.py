"""Threads and processes, under every threading layer of Numba in fresh interpreters: with a kernel of the tests' own and with max_pool2d."""

import os
import sys
from pathlib import Path

import pytest

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


def _tbb_folder():
    """Where pip's tbb puts its library, which is not on the loader's path."""
    folder = Path(sys.prefix) / "lib"
    return folder if (folder / "libtbb.so.12").exists() else None


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One kernel cache for all interpreters of this file."""
    return str(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(params=["omp", "workqueue", "tbb"])
def layer(request, run_python, store, monkeypatch):
    """Runs source text under one threading layer; skips where Numba cannot load it."""
    name = request.param
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    environment = {"NUMBA_THREADING_LAYER": name, "NUMBAPOOL_CACHE_DIR": store, "NUMBA_NUM_THREADS": "4"}
    if name == "tbb":
        if _tbb_folder() is None:
            pytest.skip("no libtbb.so.12 beside this interpreter (pip install tbb)")
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(
            [str(_tbb_folder()), os.environ.get("LD_LIBRARY_PATH", "")]
        )
    if name not in _loadable:
        probe = "from numba.np.ufunc import parallel\ntry:\n    parallel._launch_threads()\n    print('yes')\nexcept ValueError as e:\n    print(e)"
        _loadable[name] = run_python(probe, **environment).strip()
    if _loadable[name] != "yes":
        pytest.skip(f"Numba cannot load its {name} layer here: {_loadable[name]}")

    def run(source, **more):
        return run_python(source, **{**environment, "LAYER": name, **more})

    run.name = name
    return run


_loadable: dict = {}


# --------------------------------------------------------------------------- how many threads


def test_cgroup_quota(tmp_path):
    from numbapool.threads import cgroup_quota

    def files(**contents):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for path, text in contents.items():
            file = folder / path.replace("__", "/").replace("_DOT_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return cgroup_quota(str(folder))

    v2, v1 = (
        {"proc__self__cgroup": "0::/a/b\n"},
        {"proc__self__cgroup": "3:memory:/x\n2:cpu,cpuacct:/docker/1\n"},
    )
    assert files() == sys.maxsize
    assert files(**v2) == sys.maxsize
    assert files(**v2, sys__fs__cgroup__a__b__cpu_DOT_max="max 100000\n") == sys.maxsize
    assert files(**v2, sys__fs__cgroup__a__b__cpu_DOT_max="200000 100000\n") == 2
    assert files(**v2, sys__fs__cgroup__a__b__cpu_DOT_max="150000 100000\n") == 2
    assert files(**v2, sys__fs__cgroup__a__b__cpu_DOT_max="10000 100000\n") == 1
    assert (
        files(
            **v2, sys__fs__cgroup__a__cpu_DOT_max="300000 100000", sys__fs__cgroup__a__b__cpu_DOT_max="max 1"
        )
        == 3
    )
    assert (
        files(**v2, sys__fs__cgroup__cpu_DOT_max="100000 100000\n") == 1
    )  # a namespace: the path is the host's
    assert files(**v2, sys__fs__cgroup__cpu_DOT_max="nonsense\n") == sys.maxsize
    quota, period = "cpu_DOT_cfs_quota_us", "cpu_DOT_cfs_period_us"
    for mount in (
        "sys__fs__cgroup__cpu,cpuacct__docker__1__",
        "sys__fs__cgroup__cpu__docker__1__",
        "sys__fs__cgroup__cpu__",
    ):
        assert files(**v1, **{mount + quota: "350000\n", mount + period: "100000\n"}) == 4
        assert files(**v1, **{mount + quota: "-1\n", mount + period: "100000\n"}) == sys.maxsize


def test_default_number(run_python, store, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    source = """
        import os, sys
        from numbapool import settings, threads
        print(threads.threads())
    """

    def number(prelude="", **environment):
        environment = {"NUMBAPOOL_CACHE_DIR": store, "NUMBA_NUM_THREADS": "8", **environment}
        return int(
            run_python(
                prelude + "\n" + "\n".join(line.strip() for line in source.splitlines()), **environment
            )
        )

    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = number()
    assert 1 <= free <= min(cpus, 8)
    assert number(OMP_NUM_THREADS="1") == 1
    assert number(OMP_NUM_THREADS="1,4") == 1
    assert number(OMP_NUM_THREADS="many") == free
    assert number(NUMBA_NUM_THREADS="1") == 1
    assert number(NUMBAPOOL_NUM_THREADS="3") == 3
    assert number(NUMBA_DISABLE_JIT="1") == 1
    if hasattr(os, "sched_setaffinity"):
        assert number("import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])") == 1


def test_bands(run_python, store):
    run_python(
        """
        import numba
        from numbapool import settings, threads
        with settings.options(num_threads=4, parallel_threshold=1000):
            assert threads.bands(100, 999) == 1
            assert threads.bands(100, 1000) == 4
            assert threads.bands(3, 1000) == 3 and threads.bands(1, 1 << 40) == 1 and threads.bands(0, 1 << 40) == 1
            with settings.options(num_threads=1):
                assert threads.bands(100, 1 << 40) == 1
        with settings.options(num_threads=None, parallel_threshold=0):
            numba.set_num_threads(1)              # the user's own setting is a limit
            assert threads.bands(100, 1 << 40) == 1
        """,
        NUMBAPOOL_CACHE_DIR=store,
        NUMBA_NUM_THREADS="4",
    )


# --------------------------------------------------------------------------- every layer


def test_right_and_settings_untouched(layer):
    layer("""
        import os, threading
        import numba
        from numbapool import settings, threads
        from templates_sample import Sample
        s = Sample()
        with settings.options(num_threads=3):
            assert s.run() == 3
        from numba.np.ufunc import parallel
        assert not parallel._is_initialized       # nobody needed it
        assert numba.get_num_threads() == 4       # starts it
        assert numba.threading_layer() == os.environ["LAYER"]
        for n in (1, 2, 3, 4, 7, 64):
            with settings.options(num_threads=n):
                assert s.run() == n and numba.get_num_threads() == 4
            s.run(n)
        numba.set_num_threads(2)
        with settings.options(num_threads=4):
            s.run()
        assert numba.get_num_threads() == 2
        seen = []
        def other():                              # Numba's setting is one per Python thread
            numba.set_num_threads(3)
            Sample().run(4)
            seen.append(numba.get_num_threads())
        t = threading.Thread(target=other); t.start(); t.join()
        assert seen == [3] and numba.get_num_threads() == 2
    """)


@linux
def test_many_python_threads(layer):
    """First calls at once from many threads, then many more threads: right, one compilation, a bounded number of OS threads."""
    layer(
        """
        import threading
        from numbapool import settings, threads
        from numbapool.kernels import build
        from templates_sample import Sample
        settings.set_options(num_threads=8)
        counts, wrong = [], []
        start = threading.Barrier(8)
        def count():
            with open("/proc/self/status") as f:
                return next(int(line.split()[1]) for line in f if line.startswith("Threads:"))
        def work(first):
            try:
                start.wait()
                s = Sample(add=5, rows=80, n=512)
                for _ in range(25):
                    s.run()
                counts.append(count())
            except BaseException as e:
                wrong.append(e)
                raise
        import numpy, scipy.linalg                # with each comes a BLAS and its threads
        before = count()
        for _ in range(6):
            ts = [threading.Thread(target=work, args=(i,)) for i in range(8)]
            [t.start() for t in ts]; [t.join() for t in ts]
        assert not wrong
        assert len(build.kernels()) == 1
        # 8 callers and 7 helpers; the 8 callers of before, though joined, may not be gone yet
        assert max(counts) <= before + 8 + 7 + 8, (before, counts)
        assert sum(t.name == "numbapool" for t in threading.enumerate()) == 7
        """,
        NUMBA_NUM_THREADS="8",
    )


@forks
def test_fork(layer):
    """A child pools, compiles and forks on, whether or not its parent pooled before; so do the workers of a Pool."""
    layer("""
        import multiprocessing, os, sys
        from numbapool import settings, threads
        from templates_sample import Sample
        settings.set_options(num_threads=4, parallel_threshold=0)

        def child(function):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    function(); code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0, function

        def fresh():
            assert Sample().run() == 4            # the parent has not pooled yet
        def after():
            assert Sample().run() == 4
            Sample(add=2).run()                   # a kernel that the parent does not have
            assert threads._crew.size == 3        # helpers of its own
        def grandchild():
            after(); child(after)

        child(fresh)
        assert Sample().run() == 4
        child(after)
        child(grandchild)
        def task(i):
            Sample(add=3).run()
            return Sample().run()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map_async(task, range(6)).get(60) == [4] * 6
        assert Sample().run() == 4                # and the parent as before
    """)


@forks
def test_interrupt(layer):
    """The call runs to its end, then the exception comes; nothing stays locked."""
    layer("""
        import signal, threading, time
        from numbapool import settings, threads
        from templates_sample import Sample
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        settings.set_options(num_threads=4)
        s = Sample(rows=64, n=2048, repeat=1)
        s.run()
        s.args[4] = s.repeat_for(2.0)
        s.y.fill(0)
        main = threading.main_thread().ident
        for late in (0.1, 0.2):
            timer = threading.Timer(late, signal.pthread_kill, (main, signal.SIGINT))
            timer.start()
            try:
                threads.launch(s.kernel, s.args, s.rows, 4)
            except KeyboardInterrupt:
                pass
            else:
                raise AssertionError("not interrupted")
            s.check(4)                            # C from beginning to end
            assert not any(threads._crew.words[threads._job(j) + threads._BUSY] for j in range(threads.JOBS))
            timer.join()
        s.args[4] = 1
        assert s.run() == 4
    """)


def test_beside_parallel_kernels_of_others(layer):
    """Numba's workqueue aborts on two launches at once; ours are none."""
    layer("""
        import threading
        import numba, numpy as np
        from numbapool import settings
        from templates_sample import Sample

        @numba.njit(parallel=True)
        def total(x):
            s = 0.0
            for i in numba.prange(x.size):
                s += x[i]
            return s

        x = np.ones(100000)
        assert total(x) == x.size
        settings.set_options(num_threads=4)
        wrong = []
        def pooling():
            try:
                s = Sample(rows=64, n=2048)
                for _ in range(100):
                    s.run()
            except BaseException as e:
                wrong.append(e)
        ts = [threading.Thread(target=pooling) for _ in range(3)]
        [t.start() for t in ts]
        while any(t.is_alive() for t in ts):
            assert total(x) == x.size
        assert not wrong
    """)


# --------------------------------------------------------------------------- without a layer, around a fork


def test_no_layer(run_python, store):
    """What Numba can load does not matter."""
    run_python(
        """
        from numbapool import settings
        from templates_sample import Sample
        settings.set_options(num_threads=4)
        assert Sample().run() == 4
        """,
        NUMBA_THREADING_LAYER="none of them",
        NUMBAPOOL_CACHE_DIR=store,
    )


def test_launcher_of_another_process(run_python, store):
    """The second process compiles nothing, and finds its own functions where they are."""
    for loads in False, True:
        run_python(
            f"""
            from numbapool import settings, threads
            from numbapool.kernels import build
            from templates_sample import Sample
            def refuse():
                raise AssertionError("nothing is to be compiled")
            if {loads}:
                build._codegen = refuse
            assert threads.start()
            settings.set_options(num_threads=4)
            assert Sample().run() == 4
            """,
            NUMBAPOOL_CACHE_DIR=store,
        )


def test_no_launcher(run_python, store):
    run_python(
        """
        from numbapool import settings, threads
        from numbapool.kernels import build
        from templates_sample import Sample
        def launcher(*args):
            raise OSError("no memory may be made executable")
        build.launcher = launcher
        settings.set_options(num_threads=4)
        s = Sample()
        assert s.run() == 4 and threads.layer().startswith("none") and threads.threads() == 1 and s.run() == 1
        assert (s.slots == 0).all()
        """,
        NUMBAPOOL_CACHE_DIR=store,
    )


def test_no_more_threads(run_python, store):
    """A thread that cannot be started is one fewer, and is asked for again at the next call."""
    run_python(
        """
        import threading
        from numbapool import settings, threads
        from templates_sample import Sample
        settings.set_options(num_threads=4)
        start, threading.Thread.start = threading.Thread.start, lambda self: exec('raise RuntimeError("no")')
        s = Sample()
        assert s.run() == 4 and (s.slots == 0).all() and threads._crew.size == 0
        threading.Thread.start = start
        assert s.run() == 4 and threads._crew.size == 3
        """,
        NUMBAPOOL_CACHE_DIR=store,
        NUMBA_NUM_THREADS="4",
    )


def test_greenlets(run_python, store):
    """Where threads are made to be coroutines of one thread, none of them may be a helper."""
    run_python(
        """
        import threading
        from numbapool import settings
        from templates_sample import Sample
        settings.set_options(num_threads=4)
        threading.Thread.start = threading.Thread.run
        s = Sample()
        assert s.run() == 4 and (s.slots == 0).all()
        """,
        NUMBAPOOL_CACHE_DIR=store,
        NUMBA_NUM_THREADS="4",
        timeout=60,
    )


def test_helpers_help(run_python, store):
    """All threads get work, one after another and at once, after a pause and without one."""
    run_python(
        """
        import threading, time
        from numbapool import settings
        from templates_sample import Sample
        settings.set_options(num_threads=3)
        def work(pause):
            s = Sample(rows=96, n=2048, repeat=1)
            s.run()
            s.args[4] = s.repeat_for(0.1)
            for _ in range(20):
                s.run()
                if len(set(s.slots)) == 3:
                    return
                time.sleep(pause)
            missing.append(s.slots)
        missing = []
        for pause in (0, 0.01):
            work(pause)
        ts = [threading.Thread(target=work, args=(0.001,)) for _ in range(6)]      # more than share the helpers
        [t.start() for t in ts]; [t.join() for t in ts]
        assert not missing, missing
        """,
        NUMBAPOOL_CACHE_DIR=store,
        NUMBA_NUM_THREADS="4",
    )


@linux
def test_affinity(run_python, store):
    """The callers' own affinity stays, also where it leaves no CPU for the helpers."""
    run_python(
        """
        import os, time
        from numbapool import settings
        from templates_sample import Sample
        settings.set_options(num_threads=3)
        s = Sample()
        def run():
            before = os.sched_getaffinity(0)
            for _ in range(20):
                s.run(); time.sleep(0.002)
            assert os.sched_getaffinity(0) == before
        run()
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        run()
        """,
        NUMBAPOOL_CACHE_DIR=store,
        NUMBA_NUM_THREADS="4",
    )


@pytest.mark.parametrize("pause", [0, 0.01])
def test_exit(run_python, store, pause):
    """The interpreter ends at once while helpers look for work or sleep, and while a daemon thread pools."""
    run_python(
        f"""
        import threading, time
        from numbapool import settings
        from templates_sample import Sample
        settings.set_options(num_threads=4)
        s = Sample()
        s.run()
        def for_ever():
            s = Sample()
            while True:
                s.run()
        if {pause}:
            threading.Thread(target=for_ever, daemon=True).start()
        time.sleep({pause})
        s.run()
        """,
        NUMBAPOOL_CACHE_DIR=store,
        NUMBA_NUM_THREADS="4",
        timeout=60,
    )


def test_disabled_jit(run_python):
    run_python(
        """
        from numbapool import settings
        from templates_sample import Sample
        s = Sample(rows=5, n=3)
        assert s.kernel.address is None and s.run() == 1 and s.run(3) == 3
        """,
        NUMBA_DISABLE_JIT="1",
    )


@forks
def test_worker_of_a_parent_that_used_openmp(run_python, store):
    """numbapool is imported in the child of a process whose own kernels had started OpenMP, which would end that child."""
    run_python(
        """
        import multiprocessing
        import numba

        def task(i):
            from numbapool import threads
            from templates_sample import Sample
            Sample().run(4)
            return Sample().run(), threads.threads()

        numba.set_num_threads(2)                  # starts the layer
        if numba.threading_layer() == "omp":
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map_async(task, range(4)).get(60) == [(2, 2)] * 4
        """,
        NUMBAPOOL_CACHE_DIR=store,
        NUMBA_NUM_THREADS="4",
    )


@forks
def test_fork_waits_no_longer_than_the_compiler(run_python, store):
    """Whoever forks holds no lock that the compiler waits for, and children look for garbage."""
    run_python(
        """
        import gc, os, threading, time
        import numpy as np
        import numbapool as nbp
        first = lambda: nbp.avg_pool2d(np.ones((1, 1, 30, 30)), (9, 15), 1)
        t = threading.Thread(target=first)
        t.start()
        while gc.isenabled() and t.is_alive():
            time.sleep(0.002)
        start = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if gc.isenabled() else 3)
        waited = time.perf_counter() - start
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        t.join()
        assert gc.isenabled()
        assert waited < 9, waited
        """,
        NUMBAPOOL_CACHE_DIR="",
        XDG_CACHE_HOME=store,
    )


@forks
def test_child_of_a_fork_in_a_pause_looks_for_garbage(run_python):
    run_python("""
        import gc, os
        from numbapool.kernels import build
        with build._compiling():
            assert not gc.isenabled()
            with build._compiling():
                pass
            assert not gc.isenabled()
            build._after_fork(True)
            assert gc.isenabled()
        assert gc.isenabled()
        try:
            with build._compiling():
                raise KeyError
        except KeyError:
            assert gc.isenabled()
        gc.disable()
        with build._compiling():
            pass
        assert not gc.isenabled()
    """)


@forks
def test_fork_while_compiling(run_python, store):
    run_python(
        """
        import os, threading, time
        from templates_sample import Sample
        Sample().run()
        t = threading.Thread(target=lambda: [Sample(add=a).run() for a in range(100, 104)])
        t.start()
        for i in range(5):
            time.sleep(0.05)
            pid = os.fork()
            if pid == 0:
                try:
                    Sample(add=200 + i).run()
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitpid(pid, 0)[1] == 0
        t.join()
        """,
        NUMBAPOOL_CACHE_DIR="",
        XDG_CACHE_HOME=store,
        NUMBA_NUM_THREADS="2",
    )


def test_import_is_light(run_python):
    run_python("""
        import sys
        import numbapool.settings, numbapool.threads, numbapool.cache, numbapool.kernels.build
        heavy = {"numba", "llvmlite", "scipy"} & set(sys.modules)
        assert not heavy, heavy
    """)


# --------------------------------------------------------------------------- through the public functions


def test_max_pool2d(layer):
    layer("""
        import os, threading
        import numba, numpy as np
        import numbapool as nbp
        x = np.random.default_rng(0).standard_normal((8, 64, 64), np.float32)
        expected = x.reshape(8, 32, 2, 32, 2).max((2, 4))
        nbp.set_options(parallel_threshold=0)
        wrong = []
        def work():
            try:
                for n in (1, 2, 3, 4, None):
                    with nbp.options(num_threads=n):
                        for _ in range(5):
                            assert np.array_equal(nbp.max_pool2d(x, 2), expected)
            except BaseException as e:
                wrong.append(e)
        ts = [threading.Thread(target=work) for _ in range(6)]
        [t.start() for t in ts]; [t.join() for t in ts]
        assert not wrong, wrong
        assert numba.get_num_threads() == 4 and numba.threading_layer() == os.environ["LAYER"]      # now started
        if hasattr(os, "fork"):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    code = 0 if np.array_equal(nbp.max_pool2d(x, 2), expected) else 2
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0
    """)
