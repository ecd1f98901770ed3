"""What a contender is, those that are always there (the copies and numbapool), and what the builders of peers share."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from time import perf_counter, sleep
from typing import Any

import numpy as np

from .cases import Case, Data
from .windows import Sliding

COPIES = ("np.copyto", "x.copy()")
SLOW = "visits every tap, takes minutes"


class Unsupported(Exception):
    """The library has no such operation."""


@dataclass
class Contender:
    """`run()` does the work once; `result(run())` is its value as a logical (N, C, spatial…) array."""

    name: str
    run: Callable[[], Any]
    result: Callable[[Any], np.ndarray] = lambda value: value
    fresh: bool = True  # the result is new memory at every call
    context: Callable[[], AbstractContextManager] = nullcontext
    rest: float = 0.01  # seconds its threads go on spinning, which would slow down whoever is next


@dataclass(frozen=True)
class Job:
    case: Case
    data: Data
    direction: str = "forward"
    threads: int = 2


def is_peer(name):
    return name not in COPIES and not name.startswith("numbapool")


def reason(error):
    """An exception in one short line."""
    text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return text if len(text) < 100 else text[:97] + "..."


def fastest(contenders):
    """The fastest of one library's public options, by a short trial."""

    def trial(contender):
        best = float("inf")
        with contender.context():
            contender.run()
            for _ in range(3):
                start = perf_counter()
                contender.run()
                best = min(best, perf_counter() - start)
        sleep(contender.rest)
        return best

    return min(contenders, key=trial) if len(contenders) > 1 else contenders[0]


def copies(job):
    """A copy that moves as many bytes as the case: into touched memory, and into new memory."""
    case = job.case
    source = np.ones(case.nbytes // 2, np.uint8)
    target = np.ones_like(source)
    yield Contender("x.copy()", source.copy, lambda value: None)
    if job.direction == "forward":
        yield Contender("np.copyto", lambda: np.copyto(target, source), lambda value: None, fresh=False)


def numbapool(job):
    import numbapool as nbp

    case, data = job.case, job.data
    function = getattr(nbp, case.function)

    def calls(args, kw):
        if job.direction == "backward":
            _, pullback = nbp.vjp(function, *args, **kw)
            dy = data.given(data.dy)
            return [Contender("numbapool", lambda: pullback(dy), data.logical)]
        plain = Contender("numbapool", lambda: function(*args, **kw), data.result)
        if case.window.random or case.op == "unpool":
            return [plain]  # functions without out=
        first = function(*args, **kw)
        out = tuple(map(np.zeros_like, first)) if isinstance(first, tuple) else np.zeros_like(first)
        for array in out if isinstance(out, tuple) else (out,):
            array.fill(0)
        run = lambda: function(*args, out=out, **kw)
        return [Contender("numbapool out=", run, data.result, fresh=False), plain]

    found = calls(*data.call())
    first = found[0]
    if case.threads:
        single = lambda: nbp.options(num_threads=1)
        found.append(replace(first, name=f"{first.name} 1 thread", context=single))
    if case.option:
        bare = calls(*data.call(option=False))[0]
        found.append(replace(bare, name=f"{first.name} without {case.option}", result=lambda value: None))
    return found


def forward_only(job):
    if job.direction != "forward":
        raise Unsupported


def sliding(case):
    """The window, stride and padding of a case without an option, also one that is adaptive but regular."""
    if case.option or not isinstance(case.simplest, Sliding):
        raise Unsupported
    return case.simplest
