"""The horizontal stage of windows: runs of a scratch row are merged, finished and stored."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def window(row, span, i, taps, step, key) -> "acc":
    """Merge `taps` elements that lie `step` apart, from element i on, for a vector of windows."""
    acc = pull(row, span, i, 0)
    if taps > 2:
        acc = merge_3(acc, pull(row, span, i + step, key), pull(row, span, i + 2 * step, 2 * key))
        for t in range(3, taps):
            acc = merge(acc, pull(row, span, i + t * step, t * key))
    elif taps > 1:
        acc = merge(acc, pull(row, span, i + step, key))
    return acc


def pairs(row, span, i, taps, step, key) -> "acc":
    """The same for windows that start two elements apart: every other lane of two vectors."""
    low, high = pull(row, span, i, 0), pull(row, span, i + LANES, 0)
    acc = shuffled(low, high, evens)
    if step == 1 and taps > 2:
        acc = merge_3(acc, in_column(shuffled(low, high, odds), key), pair(row, span, i + 2, 2 * key))
        for t in range(3, taps):
            acc = merge(acc, pair(row, span, i + t, t * key))
    elif taps > 1:
        if step == 1:
            acc = merge(acc, in_column(shuffled(low, high, odds), key))
        else:
            acc = merge(acc, pair(row, span, i + step, key))
        for t in range(2, taps):
            acc = merge(acc, pair(row, span, i + t * step, t * key))
    return acc


def take_spaced(args, row, span, line, line_span, first, n, taps, step, key):
    """Windows that start several elements apart, for n results of a plane: a vector of those that lie within two vectors of the row, at a time."""
    stride, some, spots = word(args, STRIDE), word(args, SPACED), word(args, SPOTS)
    for j in range(0, n, some):
        i = max(min(j, n - some), 0)
        at = first + i * stride
        acc = spot(pull(row, span, at, 0), pull(row, span, at + LANES, 0), spots, 0)
        for t in range(1, taps):
            here = at + t * step
            low, high = pull(row, span, here, t * key), pull(row, span, here + LANES, t * key)
            acc = merge(acc, spot(low, high, spots, 0))
        push(line, line_span, first + i, acc)


def pair(row, span, i, key) -> "acc":
    return shuffled(pull(row, span, i, key), pull(row, span, i + LANES, key), evens)


def goes_past(args, y) -> "int":
    """Whether results from y on are stored past the caches: where that pays, and they begin where such stores may."""
    if word(args, PAST) == 1 and y & 15 == 0:
        return 1
    return 0


def put_vector(past, y, keys, i, acc, divisor):
    if past:
        emit_past(y, keys, i, acc, divisor)
    else:
        emit(y, keys, i, acc, divisor)


def put(past, y, keys, i, n, acc, divisor):
    """Results from the i-th of n on."""
    if n - i >= LANES:
        put_vector(past, y, keys, i, acc, divisor)
    else:
        emit_n(y, keys, i, n - i, acc, divisor)


def horizontal(
    args,
    row,
    span,
    line,
    line_span,
    y,
    keys,
    groups,
    y_group,
    k_group,
    columns,
    inner,
    taps,
    step,
    key,
    rows,
    divisors,
):
    """Windows along W: `columns` windows of `inner` elements for each plane, each of `taps` elements of the scratch row `step` columns apart.

    Results go to y and keys, one behind the other. `rows` is the rows' part of the divisor, `divisors` the address of the columns' part.
    """
    stride = word(args, STRIDE)
    pitch = word(args, PITCH)
    step *= inner
    n = columns * inner
    if inner >= LANES:
        for g in range(groups):
            past = goes_past(args, y)
            for o in range(columns):
                divisor = divisor_at(rows, divisors + o * D_SIZE)
                base = g * pitch + o * stride * inner
                for j in range(0, inner, LANES):
                    i = min(j, inner - LANES)
                    acc = window(row, span, base + i, taps, step, key)
                    put_vector(past, y, keys, o * inner + i, acc, divisor)
            y += y_group
            keys += k_group
        return
    if stride == 2 and inner == 1:
        for g in range(groups):
            first = g * pitch
            if n >= LANES:
                past = goes_past(args, y)
                for j in range(0, n, LANES):
                    i = min(j, n - LANES)
                    acc = pairs(row, span, first + 2 * i, taps, step, key)
                    put_vector(past, y, keys, i, acc, divisor_from(rows, divisors + i * D_SIZE))
            else:
                acc = pairs(row, span, first, taps, step, key)
                emit_n(y, keys, 0, n, acc, divisor_from(rows, divisors))
            y += y_group
            keys += k_group
        return
    if stride > 1 and word(args, SPOTS):
        for g in range(groups):
            take_spaced(args, row, span, line, line_span, g * pitch, n, taps, step, key)
        row, span, taps = line, line_span, 1
    elif stride > 1:
        for g in range(groups):
            for o in range(columns):
                for c in range(inner):
                    i = g * pitch + o * stride * inner + c
                    one = pull_1(row, span, i, 0)
                    for t in range(1, taps):
                        one = merge(one, pull_1(row, span, i + t * step, t * key))
                    push_1(line, line_span, g * pitch + o * inner + c, one)
        row, span, taps = line, line_span, 1
    for g in range(groups):
        first = g * pitch
        if n >= LANES:
            past = goes_past(args, y)
            for j in range(0, n, LANES):
                i = min(j, n - LANES)
                acc = window(row, span, first + i, taps, step, key)
                put_vector(past, y, keys, i, acc, divisor_from(rows, divisors + i * D_SIZE))
        else:
            acc = window(row, span, first, taps, step, key)
            emit_n(y, keys, 0, n, acc, divisor_from(rows, divisors))
        y += y_group
        keys += k_group


def finish_row(
    args, row, span, taps, step, key, line, line_span, y, keys, groups, columns, inner, rows, divisors
):
    """Horizontal stage and store; a result whose elements are not neighbours goes through a scratch line."""
    y_group, k_group = word(args, Y_PASS), word(args, K_PASS)
    if word(args, DENSE):
        horizontal(
            args, row, span, line, line_span, y, keys, groups, y_group, k_group, columns, inner, taps, step, key, rows, divisors
        )  # fmt: skip
        return
    y_column, y_step = word(args, Y_W), word(args, Y_I)
    k_column, k_step = word(args, K_W), word(args, K_I)
    ready = line + word(args, LINE_BYTES)
    ready_keys = ready + line_span
    for g in range(groups):
        at = g * word(args, PITCH) * A_SIZE
        horizontal(
            args, row + at, span + g * word(args, PITCH) * (K_SIZE - A_SIZE), line, line_span, ready, ready_keys, 1, 0, 0,
            columns, inner, taps, step, key, rows, divisors,
        )  # fmt: skip
        for o in range(columns):
            for c in range(inner):
                copy_y(y + o * y_column + c * y_step, ready + (o * inner + c) * Y_SIZE)
            copy_keys(keys + o * k_column, ready_keys + o * inner * K_SIZE, inner, k_step)
        y += y_group
        keys += k_group
