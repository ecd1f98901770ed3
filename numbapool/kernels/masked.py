"""The vertical stage beside a mask, weights or both: every tap has an element of theirs.

Their strides are their own: an array that is broadcast has some of 0. An item reads its own copy of the argument block, in which they
begin where the item does.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *

TEMPLATE = True


def enter(args, room, entry, g, c) -> "int":
    own = room + word(args, AT_ARGS)
    for i in range(COUNT):
        set_word(own, i, word(args, i))
    mask = word(args, M) + word(word(args, M_TABLE), entry) + g * word(args, M_G) + c * word(args, M_I)
    weights = word(args, V) + word(word(args, V_TABLE), entry) + g * word(args, V_G) + c * word(args, V_I)
    set_word(own, M, mask)
    set_word(own, V, weights)
    return own


def begin_at(args, first):
    set_word(args, M, word(args, M) + first * word(args, M_W))
    set_word(args, V, word(args, V) + first * word(args, V_W))


def put_tap(args, taps, count, d, h, key):
    set_word(taps, 4 * count, d * word(args, X_D) + h * word(args, X_H))
    set_word(taps, 4 * count + 1, key)
    set_word(taps, 4 * count + 2, d * word(args, M_D) + h * word(args, M_H))
    set_word(taps, 4 * count + 3, d * word(args, V_D) + h * word(args, V_H))


def fill_row(args, taps, count, source, row, span, at, columns, inner, groups) -> "acc":
    """As that of `rows`."""
    pitch = word(args, PITCH)
    mask, weights = word(args, M), word(args, V)
    least = nothing()
    for g in range(groups):
        to = g * pitch + at
        if count == 0:
            clear(row, span, to, to + columns * inner)
        elif inner == 1:
            line(taps, count, source, word(args, X_W), mask, word(args, M_W), weights, word(args, V_W), row, span, to, columns)  # fmt: skip
        elif word(args, PACKED):
            line(taps, count, source, X_SIZE, mask, word(args, M_I), weights, word(args, V_I), row, span, to, columns * inner)  # fmt: skip
        else:
            for w in range(columns):
                here, beside, along = source + w * word(args, X_W), mask + w * word(args, M_W), weights + w * word(args, V_W)  # fmt: skip
                line(taps, count, here, word(args, X_I), beside, word(args, M_I), along, word(args, V_I), row, span, to + w * inner, inner)  # fmt: skip
        least = noticed_row(least, row, span, to, columns * inner)
        source += word(args, X_G)
        mask += word(args, M_G)
        weights += word(args, V_G)
    return least


def line(taps, count, source, step, mask, m_step, weights, v_step, row, span, at, n):
    """n elements `step` apart, and those of the mask and the weights that belong to them."""
    if n >= LANES and step == X_SIZE and (m_step == 0 or m_step == 1) and (v_step == 0 or v_step == V_SIZE):
        # The first two without a loop, from addresses that stores to the row would make the compiler load again.
        a, a_key, a_mask, a_weights = word(taps, 0), word(taps, 1), word(taps, 2), word(taps, 3)
        b, b_key, b_mask, b_weights = word(taps, 4), word(taps, 5), word(taps, 6), word(taps, 7)
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            here, beside, along = source + i * X_SIZE, mask + i * m_step, weights + i * v_step
            acc = tap_beside(here + a, a_key, beside + a_mask, m_step, along + a_weights, v_step)
            if count > 1:
                second = tap_beside(here + b, b_key, beside + b_mask, m_step, along + b_weights, v_step)
                acc = merge_later(acc, second)
            for t in range(2, count):
                acc = merge_later(acc, beside_tap(taps, t, here, beside, m_step, along, v_step))
            push(row, span, at + i, acc)
    else:
        for i in range(n):
            here, beside, along = source + i * step, mask + i * m_step, weights + i * v_step
            one = beside_tap_1(taps, 0, here, beside, along)
            for t in range(1, count):
                one = merge_later(one, beside_tap_1(taps, t, here, beside, along))
            push_1(row, span, at + i, one)


def beside_tap(taps, t, source, mask, m_step, weights, v_step) -> "acc":
    beside, along = mask + word(taps, 4 * t + 2), weights + word(taps, 4 * t + 3)
    return tap_beside(source + word(taps, 4 * t), word(taps, 4 * t + 1), beside, m_step, along, v_step)


def tap_beside(source, key, mask, m_step, weights, v_step) -> "acc":
    prefetch(source + NEAR)  # LLVM makes a load under a mask of it
    return tap_if(source, key, allowed(mask, m_step), weighing(weights, v_step))


def beside_tap_1(taps, t, source, mask, weights) -> "one":
    there = allowed_1(mask + word(taps, 4 * t + 2))
    weight = weighing_1(weights + word(taps, 4 * t + 3))
    return tap_if_1(source + word(taps, 4 * t), word(taps, 4 * t + 1), there, weight)
