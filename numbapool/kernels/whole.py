"""One window over a whole plane, whose elements lie in runs of neighbours: merged in registers, a vector per plane.

Chains of merges are short and their ends are merged in pairs, as in pairwise summation: rounding errors grow with the logarithm of a plane's elements.
The vectors of as many planes as a vector has lanes are then folded into one vector of results.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def one_run(source, key, n) -> "acc":
    """A run that is one chain of merges."""
    acc = tap(source, key)
    whole = n // LANES * LANES
    for i in range(LANES, whole, LANES):
        acc = merge_later(acc, tap(source + i * X_SIZE, key + i))
    if whole < n:
        acc = merge(acc, tap_n(source + whole * X_SIZE, n - whole, key + whole))
    return acc


def add_run(source, key, n, stack, span, done) -> "int":
    """Merge a run of n elements into the stack, which holds `done` chains: a merged pair of 2^i of them per bit i. Returns how many it holds then."""
    i = 0
    while i < n:
        stop = min(i + CHAIN * LANES, n)
        if i + LANES <= n:
            acc = tap(source + i * X_SIZE, key + i)
            for j in range(i + LANES, stop - LANES + 1, LANES):
                acc = merge_later(acc, tap(source + j * X_SIZE, key + j))
            i += (stop - i) // LANES * LANES
        else:
            acc = tap_n(source + i * X_SIZE, n - i, key + i)
            i = n
        level, rest = 0, done
        while rest & 1:
            acc = merge(pull(stack, span, level * LANES, 0), acc)
            level += 1
            rest >>= 1
        push(stack, span, level * LANES, acc)
        done += 1
    return done


def add_stack(stack, span, done, row, row_span, at):
    """What the stack holds as one vector, to the scratch row."""
    acc = nothing()
    level = 0
    while done:
        if done & 1:
            acc = merge(pull(stack, span, level * LANES, 0), acc)
        level += 1
        done >>= 1
    push(row, row_span, at, numbered(acc))


def fold(row, span):
    """The vectors of the row, one per plane, to one vector: a lane per plane."""
    n = LANES // 2
    while n:
        for i in range(n):
            low, high = pull(row, span, 2 * i * LANES, 0), pull(row, span, (2 * i + 1) * LANES, 0)
            push(row, span, i * LANES, merge(even(low, high), odd(low, high, 0)))
        n //= 2


def band(args, slot, first_item, last_item):
    """Items are groups of planes."""
    room = word(args, SCRATCH) + slot * word(args, SCRATCH_BYTES)
    row, span = room + word(args, AT_ROW), word(args, SPAN)
    stack, stack_span = room + word(args, AT_WIDE), word(args, STACK_SPAN)
    d_first, d_last = word(word(args, D_TABLE), START), word(word(args, D_TABLE), STOP)
    h_first, h_last = word(word(args, H_TABLE), START), word(word(args, H_TABLE), STOP)
    divisor = divisor_at(
        word(word(args, D_TABLE), EXTENT) * word(word(args, H_TABLE), EXTENT), word(args, W_DIVISORS)
    )
    n, begin = word(args, RUN), word(args, BEFORE)
    short = d_last - d_first == 1 and h_last - h_first == 1 and LANES <= n and n <= CHAIN * LANES
    for item in range(first_item, last_item):
        entry = item // word(args, GROUPS)
        g = (item - entry * word(args, GROUPS)) * word(args, GROUP)
        last = min(g + word(args, GROUP), word(args, OUTER))
        source = word(args, X) + word(word(args, X_TABLE), entry) + begin * word(args, X_W)
        y = word(args, Y) + word(word(args, Y_TABLE), entry)
        keys = word(args, K) + word(word(args, K_TABLE), entry)
        while g < last:
            planes = min(LANES, last - g)
            for k in range(planes):
                plane = source + (g + k) * word(args, X_G)
                if short:
                    here = plane + d_first * word(args, X_D) + h_first * word(args, X_H)
                    push(row, span, k * LANES, numbered(one_run(here, word(args, KEY_BASE), n)))
                    continue
                done = 0
                for d in range(d_first, d_last):
                    for h in range(h_first, h_last):
                        key = (d - d_first) * word(args, KEY_D_STEP) + (h - h_first) * word(args, KEY_H_STEP)
                        here = plane + d * word(args, X_D) + h * word(args, X_H)
                        done = add_run(here, word(args, KEY_BASE) + key, n, stack, stack_span, done)
                add_stack(stack, stack_span, done, row, span, k * LANES)
            for k in range(planes, LANES):
                push(row, span, k * LANES, nothing())
            fold(row, span)
            acc = pull(row, span, 0, 0)
            to, to_keys = y + g * word(args, Y_G), keys + g * word(args, K_G)
            if word(args, DENSE):
                if planes == LANES:
                    emit(to, to_keys, 0, acc, divisor)
                else:
                    emit_n(to, to_keys, 0, planes, acc, divisor)
            else:
                line = room + word(args, AT_LINE)
                emit(line, line + word(args, LINE_BYTES), 0, acc, divisor)
                for k in range(planes):
                    copy_y(to + k * word(args, Y_G), line + k * Y_SIZE)
                copy_keys(to_keys, line + word(args, LINE_BYTES), planes, word(args, K_G))
            g += planes
