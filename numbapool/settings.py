"""Options: for the process (`set_options`), for a thread or task (`options`), from the environment."""

import operator
import os
from contextvars import ContextVar

_THRESHOLD = 512 * 1024  # measured: below it waking a thread costs more than it saves

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def _threads(value):
    if value is None:
        return None
    value = _integer(value)
    if value < 1:
        raise ValueError
    return value


def _threshold(value):
    value = _integer(value)
    if value < 0:
        raise ValueError
    return value


def _integer(value):
    if isinstance(value, bool):
        raise ValueError
    return operator.index(value)


def _folder(value):
    if value is None:
        return None
    value = os.fsdecode(value)
    if not value or "\0" in value:
        raise ValueError
    return value


def _flag(value):
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    value = operator.index(value)
    if value not in (0, 1):
        raise ValueError
    return bool(value)


def _flag_text(text):
    text = text.strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError


# name: (default, check of a value, what is allowed, environment variable, reading of its text)
_TABLE = {
    "num_threads": (
        None,
        _threads,
        "a positive integer or None",
        "NUMBAPOOL_NUM_THREADS",
        lambda s: _threads(int(s)),
    ),
    "parallel_threshold": (_THRESHOLD, _threshold, "a number of bytes, an integer of at least 0", None, None),
    "cache_dir": (None, _folder, "a path or None", "NUMBAPOOL_CACHE_DIR", _folder),
    "stream": (None, lambda value: value, "a CUDA stream or None", None, None),
    "check_values": (True, _flag, "True or False", "NUMBAPOOL_CHECK_VALUES", _flag_text),
}

_process: dict = {}  # filled from the environment or the default at first use
_context: ContextVar = ContextVar("numbapool.options", default=None)
_outer: ContextVar[tuple] = ContextVar("numbapool_outer_options", default=())


def _checked(values):
    checked = {}
    for name, value in values.items():
        if name not in _TABLE:
            raise ValueError(f"unknown option {name!r}; the options are {', '.join(_TABLE)}")
        _, check, allowed, _, _ = _TABLE[name]
        try:
            checked[name] = check(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"option {name} must be {allowed}, got {value!r}") from None
    return checked


def _initial(name):
    if name not in _TABLE:
        raise ValueError(f"unknown option {name!r}; the options are {', '.join(_TABLE)}")
    default, _, allowed, variable, read = _TABLE[name]
    text = os.environ.get(variable, "") if variable else ""
    if read is None or not text.strip():
        return default
    try:
        return read(text)
    except (TypeError, ValueError, OverflowError):
        if read is _flag_text:
            allowed = f"one of {', '.join(_TRUE + _FALSE)}"
        raise ValueError(f"environment variable {variable} must be {allowed}, got {text!r}") from None


def get(name):
    """The value of one option, as it holds in this thread or task now."""
    local = _context.get()
    if local is not None and name in local:
        return local[name]
    try:
        return _process[name]
    except KeyError:
        return _process.setdefault(name, _initial(name))


def set_options(**kw):
    """
    Set options for the whole process.

    Parameters
    ----------
    num_threads : int or None
        Threads that one call may use. None (default): what the process may use, the least of its CPU affinity,
        its cgroup quota, ``OMP_NUM_THREADS`` and Numba's own setting.
    parallel_threshold : int
        Bytes of the input (backward: of the gradient) below which a call stays on the caller's thread.
    cache_dir : str, path or None
        Folder for compiled kernels. None (default): the platform's user cache folder.
    stream : object
        The CUDA stream to launch on. None (default): the caller's current one.
    check_values : bool
        False skips the checks that must read array values (indices, boxes, labels, random samples).

    Raises
    ------
    ValueError
        For an unknown option or a value that an option cannot take. Nothing is changed then.

    See Also
    --------
    options : the same for a block of code.

    Examples
    --------
    >>> import numbapool as nbp
    >>> nbp.set_options(num_threads=2)
    >>> nbp.set_options(num_threads=None)
    """
    _process.update(_checked(kw))


class options:
    """
    Set options for a block of code, in this thread or asyncio task alone.

    Parameters
    ----------
    **kw
        The options of `set_options`.

    Raises
    ------
    ValueError
        For an unknown option or a value that an option cannot take.

    Examples
    --------
    >>> import numbapool as nbp
    >>> with nbp.options(num_threads=1):
    ...     pass
    """

    def __init__(self, **kw):
        self._values = _checked(kw)

    def __enter__(self):
        before = _context.get()
        _context.set({**(before or {}), **self._values})
        _outer.set((*_outer.get(), before))  # of this thread or task, so that one object may serve several
        return self

    def __exit__(self, *exception):
        *outer, before = _outer.get()
        _outer.set(tuple(outer))
        _context.set(before)
