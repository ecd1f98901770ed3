"""Accumulators of two numbers per lane, a value and what accompanies it, in registers and in scratch rows; `keyed.py` and `paired.py` say what is done with them.

In a row the second numbers lie `span` bytes behind the first.
"""

# ruff: noqa: F821 - free names are bound by the builder

TEMPLATE = True


def push(row, span, i, acc):
    store_a(row + i * A_SIZE, acc[0])
    store_k(row + span + i * K_SIZE, acc[1])


def push_1(row, span, i, acc):
    put_a(row + i * A_SIZE, acc[0])
    put_k(row + span + i * K_SIZE, acc[1])


def push_some(row, span, i, acc, bits):
    store_some(row + i * A_SIZE, acc[0], bits)
    store_some(row + span + i * K_SIZE, acc[1], bits)


def choose(mask, first, second) -> "second":
    return pick(mask, first[0], second[0]), pick(mask, first[1], second[1])


def nothing() -> "acc":
    return identity(), no_key()


def shuffled(low, high, lanes) -> "acc":
    return lanes(low[0], high[0]), lanes(low[1], high[1])


def copy_keys(keys, line, n, step):
    for i in range(n):
        copy_k(keys + i * step, line + i * K_SIZE)
