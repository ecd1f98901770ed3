"""The arithmetic that templates are lowered with is Python's: ranges, division, branches, helpers that return values or nothing."""

# ruff: noqa: F821 - free names are bound by the builder

import sys
from itertools import product

import numpy as np
import pytest

from numbapool.kernels import build, primitives

TEMPLATE = True
STEPS = (1, 2, 3, 64, -1, -3)  # those that are known when a kernel is compiled


def note(at, value) -> "int":
    set_word(word(at, 0), word(at, 1), value)
    set_word(at, 1, word(at, 1) + 1)
    return value


def forget(at):
    set_word(at, 1, word(at, 1) * 0)


def ranges(at, start, stop, step):
    for i in range(stop):
        note(at, i)
    for i in range(start, stop):
        note(at, i)
    for i in range(start, stop, STEP):
        for j in range(i, stop, step):
            note(at, j)


def quotients(at, x, y):
    if y > 0:
        note(at, x // 1)
        note(at, x // 2)
        note(at, x // 7)
        note(at, x // 64)
        note(at, x // y)
        note(at, x // DIVISOR)
        x //= 4
        note(at, x)


def band(args, slot, lo, hi):
    forget(args)
    if slot == 0:
        ranges(args, lo, hi, word(args, 2))
    elif slot == 1:
        quotients(args, lo, hi)
    elif (lo > 0 and not hi < 0) or lo == -1:
        note(args, min(lo, hi) - max(lo, hi))


def run(step, slot, lo, hi, inner=1):
    """What the kernel notes."""
    binding = {"word": primitives.word, "set_word": primitives.set_word, "STEP": step, "DIVISOR": 5}
    kernel = build.kernel(sys.modules[__name__], binding, f"lowering_{step}")
    notes, args = np.full(4096, 7, np.int64), np.zeros(3, np.int64)
    args[:] = notes.ctypes.data, 5, inner
    kernel.call(args.ctypes.data, slot, lo, hi)
    return notes[: args[1]].tolist()


@pytest.mark.parametrize("step", STEPS)
def test_ranges(step):
    ends = (-5, -1, 0, 1, 2, 7) if abs(step) < 64 else (-70, 0, 63, 64, 65)
    for start, stop, inner in product(ends, ends, (1, 2, -2)):
        expected = [*range(stop), *range(start, stop)]
        for i in range(start, stop, step):
            expected += range(i, stop, inner)
        assert run(step, 0, start, stop, inner) == expected, (start, stop, inner)


def test_quotients():
    for x, y in product(
        (-129, -128, -65, -64, -8, -7, -1, 0, 1, 6, 7, 63, 64, 2**62, -(2**62)), (1, 2, 3, 64, 2**40)
    ):
        assert run(1, 1, x, y) == [x // 1, x // 2, x // 7, x // 64, x // y, x // 5, x // 4]


def test_branches():
    for x, y in product((-2, -1, 0, 1, 2), repeat=2):
        expected = [min(x, y) - max(x, y)] if (x > 0 and not y < 0) or x == -1 else []
        assert run(1, 2, x, y) == expected


def test_divisors_that_are_not_positive():
    from numba.core import config

    if config.DISABLE_JIT:
        pytest.skip("nothing is lowered")
    binding = {"word": primitives.word, "set_word": primitives.set_word, "STEP": 1, "DIVISOR": 0}
    with pytest.raises(Exception, match="divide by positive numbers"):
        build.llvm_ir(sys.modules[__name__], binding, "lowering_divisor")
