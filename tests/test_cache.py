"""The kernel cache: hit by the next process, never in the way, never stale."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from numbapool import cache, settings

SAMPLE = """
from templates_sample import Sample
s = Sample(); s.run(1)
print("loaded" if s.kernel.cached else "compiled")
"""


def files(folder):
    return sorted(p.relative_to(folder) for p in Path(folder).rglob("*") if p.is_file())


@pytest.fixture
def sample(run_python):
    def run(folder=None, source=SAMPLE, **environment):
        if folder is not None:
            environment["NUMBAPOOL_CACHE_DIR"] = str(folder)
        return run_python(source, **environment).split()[-1]

    return run


@pytest.fixture
def stored(tmp_path):
    """A store with one entry: (load it, its path)."""
    with settings.options(cache_dir=tmp_path):
        assert cache.store("name", "symbol", b"code", "source")
        assert cache.load("name", "symbol", "source") == b"code"
        (path,) = tmp_path.rglob("*.kernel")
        yield lambda: cache.load("name", "symbol", "source"), path


# --------------------------------------------------------------------------- the store


def test_entry_is_told_apart(stored):
    assert cache.load("name", "symbol", "other") is None
    assert cache.load("name", "other", "source") is None
    assert cache.load("other", "symbol", "source") is None


@pytest.mark.parametrize("keep", [0, 1, 20, 60, -1])
def test_short_file(stored, keep):
    load, path = stored
    path.write_bytes(path.read_bytes()[:keep])
    assert load() is None


def test_every_byte_counts(stored):
    load, path = stored
    good = path.read_bytes()
    for i in range(len(good)):
        path.write_bytes(good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :])
        assert load() is None, i
    path.write_bytes(good + b"\0")
    assert load() is None
    path.write_bytes(good)
    assert load() == b"code"


def test_foreign_file(stored):
    load, path = stored
    cache.store("other", "symbol", b"other code", "source")
    (other,) = set(path.parent.iterdir()) - {path}
    shutil.copy(other, path)
    assert load() is None


def test_not_a_file(stored):
    load, path = stored
    path.unlink()
    path.mkdir()
    assert load() is None
    assert cache.store("name", "symbol", b"code", "source") is False
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file left


@pytest.mark.parametrize("name", ["a" * 500, "x/../../y", "ü\n\"'", ""])
def test_strange_names(tmp_path, name):
    with settings.options(cache_dir=tmp_path):
        assert cache.store(name, "symbol", b"code")
        assert cache.load(name, "symbol") == b"code"
        assert [len(p.parts) for p in files(tmp_path)] == [2]


def test_old_versions_are_removed(tmp_path):
    """What nobody used for a month goes, what is foreign or recent stays."""
    cache._prune.cache_clear()
    old, recent, foreign = tmp_path / ("0" * 20), tmp_path / ("1" * 20), tmp_path / "photographs"
    for folder in (old, recent, foreign):
        folder.mkdir()
        (folder / "some.kernel").write_bytes(b"")
    mixed = tmp_path / ("2" * 20)
    mixed.mkdir()
    (mixed / "thesis.txt").write_text("of somebody")
    then = time.time() - 40 * 86400
    for folder in (old, foreign, mixed):
        os.utime(folder, (then, then))
    with settings.options(cache_dir=tmp_path):
        assert cache.store("name", "symbol", b"code")
    assert not old.exists()
    assert (
        (recent / "some.kernel").exists()
        and (foreign / "some.kernel").exists()
        and (mixed / "thesis.txt").exists()
    )
    cache._prune.cache_clear()


def test_platform_folder(run_python, tmp_path):
    source = """
        import os, sys
        for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "NUMBAPOOL_CACHE_DIR"):
            os.environ.pop(name, None)
        os.environ.update(a.split("=", 1) for a in sys.argv[1:])
        from numbapool import cache, settings
        print(cache.root())
    """
    root = lambda *env: run_python(source, *env).strip()
    assert root(f"NUMBAPOOL_CACHE_DIR={tmp_path}") == str(tmp_path)
    if sys.platform.startswith("linux"):
        assert root(f"HOME={tmp_path}") == f"{tmp_path}/.cache/numbapool"
        assert root(f"HOME={tmp_path}", "XDG_CACHE_HOME=/x/y") == "/x/y/numbapool"
        assert root(f"HOME={tmp_path}", "XDG_CACHE_HOME=relative") == f"{tmp_path}/.cache/numbapool"
        assert root("HOME=not/absolute") == "None"


# --------------------------------------------------------------------------- processes


def test_second_process_hits_and_nothing_grows(sample, tmp_path):
    assert sample(tmp_path) == "compiled"
    first = files(tmp_path)
    assert len(first) == 1
    assert sample(tmp_path) == "loaded"
    assert files(tmp_path) == first

    path = tmp_path / first[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert sample(tmp_path) == "compiled"
    assert sample(tmp_path) == "loaded"
    assert files(tmp_path) == first


def test_unwritable(sample, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert sample(tmp_path / "file" / "below") == "compiled"
    with settings.options(cache_dir=tmp_path / "file"):
        assert not cache.store("name", "symbol", b"code") and cache.load("name", "symbol") is None
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if hasattr(os, "geteuid") and os.geteuid() != 0:  # root may write everywhere
        assert sample(locked) == "compiled"
        assert files(locked) == []


def test_no_home(sample, tmp_path):
    source = "import os; os.environ.pop('HOME', None); os.chdir(os.environ['HERE'])\n" + SAMPLE
    environment = {"NUMBAPOOL_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "xdg"), "HERE": str(tmp_path)}
    assert sample(None, source, **environment) == "compiled"
    assert sample(None, SAMPLE, NUMBAPOOL_CACHE_DIR="", XDG_CACHE_HOME="", HOME="not/absolute") == "compiled"
    assert {p.parts[0] for p in files(tmp_path)} == {"xdg"}


def test_read_only_hit(sample, tmp_path):
    """A cache shipped on a read-only medium is used."""
    assert sample(tmp_path) == "compiled"
    for path in [*tmp_path.rglob("*"), tmp_path]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        assert sample(tmp_path) == "loaded"
    finally:
        for path in [tmp_path, *tmp_path.rglob("*")]:
            path.chmod(0o700)


def test_simultaneous_cold_starts(sample, tmp_path):
    """Eight processes with empty caches at once: every one right, one file a kernel, and all of them good."""
    source = """
        import sys, time
        from templates_sample import Sample
        while time.time() < float(sys.argv[1]): pass
        for add in (1, 2):
            Sample(add=add).run(1)
    """
    import textwrap

    environment = {
        **os.environ,
        "NUMBAPOOL_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(source), str(time.time() + 1.5)]
    running = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(8)
    ]
    errors = [p.communicate(timeout=120)[1] for p in running]
    assert [p.returncode for p in running] == [0] * 8, errors
    assert len(files(tmp_path)) == 2
    again = "from templates_sample import Sample\nprint(all(Sample(add=a).kernel.cached for a in (1, 2)))"
    assert sample(tmp_path, again) == "True"


def test_key(run_python, tmp_path):
    """Everything that can make code stale or foreign changes the folder's name."""
    seen = [run_python("from numbapool import cache; print(cache.key())", **environment)
            for environment in ({}, {"NUMBA_CPU_NAME": "generic"}, {"NUMBA_CPU_FEATURES": ""}, {"NUMBA_OPT": "1"})]  # fmt: skip
    assert len(set(seen)) == len(seen), seen
    assert run_python("from numbapool import cache; print(cache.key())") == seen[0]

    shutil.copytree(
        Path(cache.__file__).parent, tmp_path / "numbapool", ignore=shutil.ignore_patterns("__pycache__")
    )
    run_python(
        """
        import os, sys
        sys.path.insert(0, os.environ["COPY"])
        from numbapool import cache
        root = os.path.join(os.environ["COPY"], "numbapool")
        assert cache.__file__.startswith(root)
        keys = {cache.key()}
        def key():
            cache._IMPORTED = cache._sources()
            cache.key.cache_clear()
            return cache.key()
        assert keys == {key()}
        for i, name in enumerate(("kernels/rows.py", "kernels/simd.py", "kernels/build.py", "reductions.py", "dtypes.py", "kernels/new.py")):
            with open(os.path.join(root, name), "a") as file:
                file.write("# one more line")
            keys.add(key())
            assert len(keys) == i + 2, name
        with open(os.path.join(root, "windows.py"), "a") as file:
            file.write("# plays no part in a kernel")
        assert key() in keys
        """,
        COPY=str(tmp_path),
        PYTHONDONTWRITEBYTECODE="1",
    )


def test_edit_in_a_running_process(run_python, tmp_path):
    """A process that was started before an upgrade stores nothing under the new name."""
    shutil.copytree(
        Path(cache.__file__).parent, tmp_path / "numbapool", ignore=shutil.ignore_patterns("__pycache__")
    )
    run_python(
        """
        import os, sys
        sys.path.insert(0, os.environ["COPY"])
        from numbapool import cache
        assert cache.store("a", "b", b"c")
        with open(os.path.join(os.environ["COPY"], "numbapool", "kernels", "rows.py"), "a") as file:
            file.write("# edited")
        assert cache.load("a", "b") == b"c"
        assert not cache.store("d", "e", b"f")
        """,
        COPY=str(tmp_path),
        NUMBAPOOL_CACHE_DIR=str(tmp_path / "store"),
        PYTHONDONTWRITEBYTECODE="1",
    )


def test_template_outside_the_package(run_python, tmp_path):
    """A template that the folder's name does not cover is told apart by its own source."""
    shutil.copy(Path(__file__).parent / "templates_sample.py", tmp_path / "elsewhere.py")
    source = """
        import os, sys
        sys.path.insert(0, os.environ["HERE"])
        from elsewhere import Sample
        s = Sample()
        try:
            s.run(1); right = True
        except AssertionError:
            right = False
        print(s.kernel.cached, right)
    """
    run = lambda: run_python(
        source, HERE=str(tmp_path), NUMBAPOOL_CACHE_DIR=str(tmp_path / "store"), PYTHONDONTWRITEBYTECODE="1"
    ).split()
    assert run() == ["False", "True"]
    assert run() == ["True", "True"]
    text = (tmp_path / "elsewhere.py").read_text()
    (tmp_path / "elsewhere.py").write_text(text.replace("+ ADD)", "+ ADD + ADD)"))
    assert run() == ["False", "False"]


def test_max_pool2d(run_python, tmp_path):
    source = """
        import numpy as np
        import numbapool as nbp
        from numbapool.kernels import build
        x = np.arange(64.0).reshape(8, 8)
        assert np.array_equal(nbp.max_pool2d(x, 2), x[1::2, 1::2])
        print(all(k.cached for k in build.kernels()), len(build.kernels()))
    """
    environment = {"NUMBAPOOL_CACHE_DIR": str(tmp_path)}
    assert run_python(source, **environment).split() == ["False", "1"]
    first = files(tmp_path)
    assert run_python(source, **environment).split() == ["True", "1"]
    assert files(tmp_path) == first
    for path in first:
        (tmp_path / path).write_bytes(b"")
    assert run_python(source, **environment).split() == ["False", "1"]


def test_kernels_do_not_clash():
    """Kernels of one template side by side, and the assembly and IR of one compiled afresh."""
    import templates_sample
    from templates_sample import Sample

    from numbapool.kernels import build

    samples = [Sample(add=a) for a in (11, 12)]
    for s in samples:
        s.run(1)
        assert s.kernel in build.kernels() and s.kernel.seconds > 0
        assert isinstance(s.kernel.address, int)
    assert samples[0].kernel is Sample(add=11).kernel
    bind = lambda: Sample.binding(11)
    text = build.assembly(templates_sample, bind, "sample_assembly")
    ir = build.llvm_ir(templates_sample, bind, "sample_ir")
    assert "ret" in text and "define" in ir
    for name in ("Py", "NRT_", "numba_"):
        assert name not in text
    assert np.array_equal(samples[0].y, samples[0].x + 11)
