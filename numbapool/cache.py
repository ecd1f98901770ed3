"""The store of machine code on disk: one file per kernel in a folder whose name hashes all that could make it stale.

There is no index, nothing is ever changed in place, and no failure leaves this module: a file that is missing, short,
foreign or unreadable is a miss, a folder that cannot be written means that the kernel lives in memory alone.
"""

import contextlib
import functools
import hashlib
import os
import re
import sys
import tempfile
import time

from numbapool import settings

_MAGIC = b"numbapool\x01"
_SUFFIX = ".kernel"
_FOLDER = re.compile(r"[0-9a-f]{20}")  # 20 hex digits: a key folder of ours
_MONTH = 30 * 86400.0
_FOLDERS = 24  # key folders kept at most, each one version of something

# what of Numba's configuration changes the code that it makes
_SWITCHES = (
    "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "ENABLE_AVX", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "CPU_NAME", "CPU_FEATURES",
    "DISABLE_INTEL_SVML", "USING_SVML", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS", "USE_RVSDG_FRONTEND", "FORCE_INLINE",
    "USE_LEGACY_TYPE_SYSTEM", "FUNCTION_INLINING", "USE_LLVMLITE_MEMORY_MANAGER",
)  # fmt: skip


@functools.cache
def machine():
    """Name and features of the CPU that code is made for, as Numba sees it."""
    from llvmlite import binding
    from numba import config
    from numba.core.codegen import get_host_cpu_features

    return {
        "triple": binding.get_process_triple(),
        "cpu": binding.get_host_cpu_name() if config.CPU_NAME is None else config.CPU_NAME,
        "features": get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES,
    }


def simd(features):
    """(bits, name) of the widest vectors among LLVM's CPU features."""
    on = set(features.split(","))
    for feature, bits, name in (("+avx512f", 512, "AVX-512"), ("+avx2", 256, "AVX2"), ("+avx", 256, "AVX"),
                                ("+sve", 128, "SVE"), ("+neon", 128, "NEON"), ("+sse2", 128, "SSE2")):  # fmt: skip
        if feature in on:
            return bits, name
    return 128, "baseline"


def _sources():
    """A hash of all sources that decide what a kernel is; "" where they cannot be read."""
    here = os.path.dirname(os.path.abspath(__file__))
    h = hashlib.sha256()
    try:
        names = sorted("kernels/" + n for n in os.listdir(os.path.join(here, "kernels")) if n.endswith(".py"))
        for name in [*names, "reductions.py", "dtypes.py"]:
            with open(os.path.join(here, name), "rb") as file:
                text = file.read()
            h.update(f"{name}\0{len(text)}\0".encode() + text)
    except OSError:
        return ""
    return h.hexdigest()


# As they are when the package is imported. A process that lives through an upgrade has the old code under the old name, see `store`.
_IMPORTED = _sources()


@functools.cache
def key():
    """The name of the key folder, or None where the sources cannot be read (then nothing is stored)."""
    import llvmlite
    import numba

    import numbapool

    if not _IMPORTED:
        return None
    m = machine()
    parts = (
        _MAGIC, _IMPORTED, getattr(numbapool, "__version__", ""), numba.__version__, llvmlite.__version__, sys.version,
        sys.platform, m["triple"], m["cpu"], m["features"], [(s, repr(getattr(numba.config, s, None))) for s in _SWITCHES],
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def root():
    """The folder that holds the key folders, or None where there is no place for one."""
    chosen = settings.get("cache_dir")
    if chosen is not None:
        return os.path.abspath(os.path.expanduser(chosen))
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # the XDG specification: a relative path is invalid and ignored
            base = os.path.expanduser("~/.cache")
    return os.path.join(base, "numbapool") if os.path.isabs(base) else None


def folder():
    """Where this process's kernels are stored, or None."""
    try:
        where, name = root(), key()
        return os.path.join(where, name) if where and name else None
    except (OSError, ValueError):
        return None


def _path(where, name, source):
    digest = hashlib.sha256(f"{name}\0{source}".encode()).hexdigest()[:16]
    return os.path.join(where, re.sub(r"[^A-Za-z0-9_]+", "_", name)[:80] + "-" + digest + _SUFFIX)


def load(name, symbol, source=""):
    """The object code stored for kernel `name` with entry `symbol`, or None. `source`: a hash of sources outside the package."""
    where = folder()
    if where is None:
        return None
    try:
        with open(_path(where, name, source), "rb") as file:
            data = file.read()
    except (OSError, ValueError):
        return None
    body = data[len(_MAGIC) + 32 :]
    head = f"{name}\0{symbol}\0{source}\0".encode()
    if not (data.startswith(_MAGIC) and hashlib.sha256(body).digest() == data[len(_MAGIC):len(_MAGIC) + 32]
            and body.startswith(head) and len(body) > len(head)):  # fmt: skip
        return None
    _touch(where)
    return body[len(head) :]


def store(name, symbol, code, source=""):
    """Store object code under a final name by one atomic rename; False (and nothing left behind) where that fails."""
    where = folder()
    if where is None or _sources() != _IMPORTED:  # edited since: some modules may be old and some new
        return False
    body = f"{name}\0{symbol}\0{source}\0".encode() + code
    temporary = None
    try:
        os.makedirs(where, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=where)
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(temporary, _path(where, name, source))
        temporary = None
    except (OSError, ValueError):
        return False
    finally:
        if temporary is not None:
            _remove(temporary)
    _prune(os.path.dirname(where), os.path.basename(where))
    return True


def _remove(path):
    with contextlib.suppress(OSError):
        os.unlink(path)


@functools.cache
def _touch(where):
    """Once a process: mark a key folder as in use, so that pruning leaves it alone."""
    with contextlib.suppress(OSError):
        os.utime(where)


@functools.cache
def _prune(parent, current):
    """
    Once a process, and only one that has stored something: remove key folders that nobody used for a month or that are
    too many, and what a killed process left half written. Whoever still needs a removed kernel compiles it again.
    """
    try:
        now = time.time()
        with os.scandir(parent) as entries:
            old = sorted((e.stat().st_mtime, e.path) for e in entries if _FOLDER.fullmatch(e.name) and e.name != current
                         and e.is_dir(follow_symlinks=False))  # fmt: skip
        surplus = len(old) + 1 - _FOLDERS
        for i, (used, path) in enumerate(old):
            if now - used > _MONTH or (i < surplus and now - used > 86400):
                _clear(path, lambda name: name.endswith((_SUFFIX, ".tmp")))
                os.rmdir(path)
        here = os.path.join(parent, current)
        _clear(
            here,
            lambda name: name.endswith(".tmp") and now - os.stat(os.path.join(here, name)).st_mtime > 86400,
        )
    except OSError:
        pass


def _clear(path, which):
    for name in os.listdir(path):
        if which(name):
            _remove(os.path.join(path, name))
