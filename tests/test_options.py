"""options, set_options, show_config and the environment."""

import asyncio
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import numbapool as nbp
from numbapool import configuration, settings

DEFAULTS = {"num_threads": None, "cache_dir": None, "stream": None, "check_values": True}


@pytest.fixture(autouse=True)
def process_options(monkeypatch):
    """Every test starts from nothing set, and leaves nothing behind."""
    for name in ("NUMBAPOOL_NUM_THREADS", "NUMBAPOOL_CACHE_DIR", "NUMBAPOOL_CHECK_VALUES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "_process", {})


def test_defaults():
    for name, value in DEFAULTS.items():
        assert settings.get(name) == value
    assert settings.get("parallel_threshold") > 0


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("num_threads", 3, 3),
        ("num_threads", np.int64(3), 3),
        ("num_threads", None, None),
        ("parallel_threshold", 0, 0),
        ("parallel_threshold", 1 << 40, 1 << 40),
        ("cache_dir", "/some/folder", "/some/folder"),
        ("cache_dir", Path("/some/folder"), str(Path("/some/folder"))),
        ("cache_dir", None, None),
        ("stream", "anything", "anything"),
        ("check_values", False, False),
        ("check_values", 0, False),
        ("check_values", np.True_, True),
    ],
)
def test_values(name, value, stored):
    with nbp.options(**{name: value}):
        assert settings.get(name) == stored and type(settings.get(name)) is type(stored)
    nbp.set_options(**{name: value})
    assert settings.get(name) == stored


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("num_threads", 0, "positive integer or None"),
        ("num_threads", -1, "positive integer or None"),
        ("num_threads", 2.0, "positive integer or None"),
        ("num_threads", True, "positive integer or None"),
        ("num_threads", "2", "positive integer or None"),
        ("num_threads", [2], "positive integer or None"),
        ("parallel_threshold", -1, "bytes"),
        ("parallel_threshold", None, "bytes"),
        ("parallel_threshold", 0.5, "bytes"),
        ("cache_dir", 3, "path or None"),
        ("cache_dir", "", "path or None"),
        ("cache_dir", "a\0b", "path or None"),
        ("check_values", None, "True or False"),
        ("check_values", 2, "True or False"),
        ("check_values", "no", "True or False"),
        ("check_values", np.array([True, False]), "True or False"),
    ],
)
def test_bad_values(name, value, allowed):
    for change in (nbp.set_options, nbp.options):
        with pytest.raises(ValueError, match=f"option {name} must be .*{allowed}") as e:
            change(**{"check_values": False, name: value})
        assert repr(value) in str(e.value)
    assert settings.get("check_values") is True  # nothing of a refused call was taken


def test_unknown():
    for change in (nbp.set_options, nbp.options):
        with pytest.raises(
            ValueError, match=r"unknown option 'threads'; the options are num_threads, parallel_threshold"
        ):
            change(threads=2)
    with pytest.raises(ValueError, match="unknown option 'threads'"):
        settings.get("threads")
    with pytest.raises(TypeError):
        nbp.set_options(2)


def test_nesting():
    nbp.set_options(num_threads=5)
    with nbp.options(num_threads=4, check_values=False):
        with nbp.options(num_threads=3):
            assert (settings.get("num_threads"), settings.get("check_values")) == (3, False)
        assert settings.get("num_threads") == 4
        with pytest.raises(KeyError), nbp.options(num_threads=2):
            raise KeyError
        assert settings.get("num_threads") == 4
        nbp.set_options(num_threads=6)
        assert settings.get("num_threads") == 4
    assert (settings.get("num_threads"), settings.get("check_values")) == (6, True)


def test_one_object_many_times():
    two = nbp.options(num_threads=2)
    with two:
        with nbp.options(num_threads=3), two:
            assert settings.get("num_threads") == 2
        assert settings.get("num_threads") == 2
    with two:
        assert settings.get("num_threads") == 2
    assert settings.get("num_threads") is None


def test_threads_and_tasks_apart():
    seen = {}

    def look():
        seen["before"] = settings.get("num_threads")
        with nbp.options(num_threads=7):
            seen["inside"] = settings.get("num_threads")
            ready.wait()
            leave.wait()

    ready, leave = threading.Barrier(2), threading.Barrier(2)
    with nbp.options(num_threads=2):
        t = threading.Thread(target=look)
        t.start()
        ready.wait()
        assert settings.get("num_threads") == 2
        leave.wait()
        t.join()
    assert seen == {"before": None, "inside": 7}

    async def task(n):
        with nbp.options(num_threads=n):
            await asyncio.sleep(0.01)
            return settings.get("num_threads")

    async def all_tasks():
        return await asyncio.gather(*map(task, range(1, 5)))

    assert asyncio.run(all_tasks()) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("NUMBAPOOL_NUM_THREADS", "3", "num_threads", 3),
        ("NUMBAPOOL_NUM_THREADS", " ", "num_threads", None),
        ("NUMBAPOOL_CACHE_DIR", "/some/folder", "cache_dir", "/some/folder"),
        ("NUMBAPOOL_CACHE_DIR", "", "cache_dir", None),
        ("NUMBAPOOL_CHECK_VALUES", "0", "check_values", False),
        ("NUMBAPOOL_CHECK_VALUES", "False", "check_values", False),
        ("NUMBAPOOL_CHECK_VALUES", "on", "check_values", True),
    ],
)
def test_environment(monkeypatch, variable, text, name, value):
    monkeypatch.setenv(variable, text)
    assert settings.get(name) == value


@pytest.mark.parametrize(
    ("variable", "text", "name"),
    [
        ("NUMBAPOOL_NUM_THREADS", "0", "num_threads"),
        ("NUMBAPOOL_NUM_THREADS", "two", "num_threads"),
        ("NUMBAPOOL_NUM_THREADS", "1.5", "num_threads"),
        ("NUMBAPOOL_CHECK_VALUES", "maybe", "check_values"),
    ],
)
def test_bad_environment(monkeypatch, variable, text, name):
    monkeypatch.setenv(variable, text)
    for _ in range(2):
        with pytest.raises(ValueError, match=f"environment variable {variable} must be .*, got '{text}'"):
            settings.get(name)
    nbp.set_options(**{name: 1})  # a value that was set does not ask the environment
    assert settings.get(name) == 1


def test_show_config(run_python, tmp_path):
    out = run_python(
        """
        import sys
        import numbapool as nbp
        assert nbp.show_config() is None
        assert "numba.cuda" not in sys.modules
        """,
        NUMBAPOOL_CACHE_DIR=str(tmp_path),
    )
    for part in ("device", "threading layer", "numbapool's own", "SIMD", str(tmp_path), "CUDA", "numba ", "llvmlite", "numpy", "python",
                 sys.version.split()[0], nbp.__version__):  # fmt: skip
        assert part in out, part
    assert not list(tmp_path.iterdir())  # looking creates nothing


def test_config_starts_the_layer_on_demand():
    config = configuration.config(start=True)
    assert all(isinstance(v, str) and v for v in config.values())
    assert "not started" not in config["threading layer"]
    assert int(config["threads"]) >= 1
