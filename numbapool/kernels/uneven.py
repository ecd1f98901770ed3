"""The horizontal stage of windows that do not slide, adaptive and fractional ones: a table tells where they begin and end."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def mark_windows(args, room, table, columns, needed):
    """Write down, as a bit for each element of a scratch row, where the windows that a table tells begin, and where those of so many more elements than the smallest do.

    One word per vector for each; in front of them, whether there is a window at most at every element, in order.
    """
    marks, step, have = room + word(args, AT_MARKS), 1 + word(args, MORE), word(args, TAPS_W)
    for i in range((needed + LANES - 1) // LANES * step):
        set_word(marks, 1 + i, 0)
    begin = word(table, START)
    before, ordered = begin - 1, min(1, columns)
    for _ in range(columns):
        start, taps = word(table, START), word(table, STOP) - word(table, START)
        if start <= before:
            ordered = min(0, columns)
        before = start
        vector = (start - begin) // LANES
        bit = 1 << (start - begin - vector * LANES)
        for at in range(1 + vector * step, 1 + vector * step + max(taps - have, 0) + 1):
            set_word(marks, at, word(marks, at) | bit)
        table += 32
    set_word(marks, 0, ordered)


def by_marks(args, marks, row, wide, out, span, groups, needed):
    """As `by_table` for all elements of a row, of which those where a window begins are stored."""
    more, have, pitch = word(args, MORE), word(args, TAPS_W), word(args, PITCH)
    for g in range(groups):
        to, line = g * pitch, marks + 8
        for i in range(g * pitch, g * pitch + needed, LANES):
            acc = pull(wide, span, i, 0)
            for t in range(more):
                longer = merge(acc, pull(row, span, i + have + t, 0))
                acc = choose(lanes_in(word(line, 1 + t)), longer, acc)
            bits = word(line, 0)
            push_some(out, span, to, acc, bits)
            to += bits_in(bits)
            line += 8 + 8 * more


def by_table(args, room, table, row, wide, out, span, groups, columns, needed, inner):
    """Windows along W that a table tells: `columns` of them from the line `table` on, merged into the row `out`, one behind the other.

    `wide` holds the row's elements merged in runs of TAPS_W, the taps of the smallest window; the others take the rest from the row.
    """
    marks = room + word(args, AT_MARKS)
    if MARKS and word(args, AT_MARKS) and word(marks, 0):
        by_marks(args, marks, row, wide, out, span, groups, needed)
        return
    begin, have, pitch = word(table, START), word(args, TAPS_W), word(args, PITCH)
    for o in range(columns):
        first = word(table + o * 32, START) - begin
        rest = word(table + o * 32, STOP) - begin - first
        for g in range(groups):
            i, to = g * pitch + first * inner, g * pitch + o * inner
            if inner >= LANES:
                for j in range(0, inner, LANES):
                    c = min(j, inner - LANES)
                    acc = pull(wide, span, i + c, 0)
                    for t in range(have, rest):
                        acc = merge(acc, pull(row, span, i + t * inner + c, 0))
                    push(out, span, to + c, acc)
            else:
                for c in range(inner):
                    one = pull_1(wide, span, i + c, 0)
                    for t in range(have, rest):
                        one = merge(one, pull_1(row, span, i + t * inner + c, 0))
                    push_1(out, span, to + c, one)
