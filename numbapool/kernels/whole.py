"""One window over a whole plane, whose elements lie in runs of neighbours: merged in registers, a vector per plane.

What is read at a time is a *block*: a vector, or as many elements as may be added in their own precision before they are widened. Chains of merges are short and their ends are merged in pairs, as in pairwise summation: rounding errors grow with the logarithm of a plane's elements.
The vectors of as many planes as a vector has lanes are then folded into one vector of results.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *

TEMPLATE = True


def one_run(source, key, n) -> "acc":
    """A run that is one chain of merges."""
    whole = n // BLOCK * BLOCK
    if whole == 0:
        acc = block_n(source, n, key)
    else:
        acc = block(source, key)
        for i in range(BLOCK, whole - BLOCK, 2 * BLOCK):
            later = i + BLOCK
            acc = merge_3_later(
                acc, block(source + i * X_SIZE, key + i), block(source + later * X_SIZE, key + later)
            )
        if whole & BLOCK == 0:
            last = whole - BLOCK
            acc = merge_later(acc, block(source + last * X_SIZE, key + last))
        if whole < n:
            if IDEMPOTENT:  # what was read is read again, which costs less than a mask
                acc = merge(acc, block(source + (n - BLOCK) * X_SIZE, key + n - BLOCK))
            else:
                acc = merge(acc, block_n(source + whole * X_SIZE, n - whole, key + whole))
    return acc


def add_columns(args, source, mask, weights, key, n, stack, done, line) -> "int":
    """Merge a run of n elements, and what belongs to them, into the stack, which holds `done` chains. Returns how many it holds then."""
    span, m_step, v_step = word(args, STACK_SPAN), word(args, M_W), word(args, V_W)
    i = 0
    while i < n:
        stop = min(i + CHAIN * BLOCK, n)
        if i + BLOCK <= n:
            acc = piece(source + i * X_SIZE, mask + i * m_step, m_step, weights + i * v_step, v_step, key + i)
            for j in range(i + BLOCK, stop - BLOCK + 1, BLOCK):
                new = piece(
                    source + j * X_SIZE, mask + j * m_step, m_step, weights + j * v_step, v_step, key + j
                )
                acc = merge_later(acc, new)
            i += (stop - i) // BLOCK * BLOCK
        else:
            acc = last_piece(
                line,
                source + i * X_SIZE,
                mask + i * m_step,
                m_step,
                weights + i * v_step,
                v_step,
                key + i,
                n - i,
            )
            i = n
        level, rest = 0, done
        while rest & 1:
            acc = merge(pull(stack, span, level * LANES, 0), acc)
            level += 1
            rest >>= 1
        push(stack, span, level * LANES, acc)
        done += 1
    return done


def piece(source, mask, m_step, weights, v_step, key) -> "acc":
    """A block; other templates read a mask and weights beside it."""
    return block(source, key)


def last_piece(line, source, mask, m_step, weights, v_step, key, n) -> "acc":
    return block_n(source, n, key)


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


def two(low, high) -> "acc":
    """Neighbouring lanes merged: the first half of the lanes is of one vector, the second of the other."""
    return merge(shuffled(low, high, evens), shuffled(low, high, odds))


def fold(row, span, n):
    """2n vectors of the row, of as many planes together as they have lanes, to one vector: a lane per plane."""
    while n:
        for i in range(n):
            folded = two(pull(row, span, 2 * i * LANES, 0), pull(row, span, (2 * i + 1) * LANES, 0))
            push(row, span, i * LANES, folded)
        n //= 2


def chain(source, key, n, second, third) -> "acc":
    """A run that is one chain of merges."""
    return numbered(one_run(source, key, n))


def few(source, key, n, second, third) -> "acc":
    """A run of at most a block of sums, or of one to four vectors, which may overlap: those behind the first begin with elements `second`, `third` and n - LANES."""
    if BLOCK > LANES:
        acc = most_of_block(source, n) if n >= MOST_OF_BLOCK else block_n(source, n, key)
    else:
        last = n - LANES
        acc = block(source, key)
        acc = merge_3_later(
            acc, block(source + second * X_SIZE, key + second), block(source + third * X_SIZE, key + third)
        )
        acc = merge_later(acc, block(source + last * X_SIZE, key + last))
    return numbered(acc)


def read_short(args, source, planes, n, row, span, read):
    """Planes that are one run each, which `read` merges: four at a time, which are folded to one vector before it is put away."""
    step, key = word(args, X_G), word(args, KEY_BASE)
    second, third = max(min(LANES, n - LANES), 0), max(min(2 * LANES, n - LANES), 0)
    least = nothing()
    for k in range(0, planes, 4):
        ask(source + word(args, FAR), 4 * word(args, NEW_X))
        # Planes that are not there are read as the ones before.
        b = source + step if k + 1 < planes else source
        c = b + step if k + 2 < planes else b
        d = c + step if k + 3 < planes else c
        p, q = read(source, key, n, second, third), read(b, key, n, second, third)
        r, s = read(c, key, n, second, third), read(d, key, n, second, third)
        least = noticed(noticed(least, noticed(p, q)), noticed(r, s))
        push(row, span, k // 4 * LANES, two(two(p, q), two(r, s)))
        source += 4 * step
    tell(args, least)
    fold(row, span, LANES // 8)


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
    short = d_last - d_first == 1 and h_last - h_first == 1 and n <= CHAIN * BLOCK
    for item in range(first_item, last_item):
        entry = item // word(args, GROUPS)
        g = (item - entry * word(args, GROUPS)) * word(args, GROUP)
        last = min(g + word(args, GROUP), word(args, OUTER))
        source = word(args, X) + word(word(args, X_TABLE), entry) + begin * word(args, X_W)
        y = word(args, Y) + word(word(args, Y_TABLE), entry)
        keys = word(args, K) + word(word(args, K_TABLE), entry)
        while g < last:
            planes = min(LANES, last - g)
            if short:
                here = source + g * word(args, X_G) + d_first * word(args, X_D) + h_first * word(args, X_H)
                if FEW and FEW_LEAST <= n and n <= FEW_MOST:
                    read_short(args, here, planes, n, row, span, few)
                else:
                    read_short(args, here, planes, n, row, span, chain)
            else:
                for k in range(planes):
                    plane = source + (g + k) * word(args, X_G)
                    ask(plane + word(args, FAR), word(args, NEW_X))
                    done = 0
                    for d in range(d_first, d_last):
                        for h in range(h_first, h_last):
                            key = (d - d_first) * word(args, KEY_D_STEP)
                            key += (h - h_first) * word(args, KEY_H_STEP) + word(args, KEY_BASE)
                            here = plane + d * word(args, X_D) + h * word(args, X_H)
                            done = add_columns(args, here, 0, 0, key, n, stack, done, 0)
                    add_stack(stack, stack_span, done, row, span, k * LANES)
                watch(args, noticed_row(nothing(), row, span, 0, planes * LANES), row, span, planes * LANES)
                fold(row, span, LANES // 2)
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
