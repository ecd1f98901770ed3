"""Windows along W of reductions that may merge an element twice: two runs of neighbours cover a window, whatever its width.

`slide` makes the runs and the results in one loop, from stage to stage in registers. Rows that it leaves, and windows that it does not do, take a pass a stage (`cover`).
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *
from numbapool.kernels.horizontal import put_vector

TEMPLATE = True

LEAST_SLIDING, MOST_SLIDING = 5, 128  # columns that twice the runs which `slide` makes cover
BEYOND = 8  # vectors behind a row that it reads, and writes: what its last runs are behind, and two, less their length
GAP = 20  # vectors from where runs are written to where they are read across the borders of vectors: until then they have left the queue of stores


def quadruple(row, out, span, n, step):
    """Merge four elements that lie `step` apart, from every element on; out may be the row."""
    for i in range(0, n, LANES):
        a, b = pull(row, span, i, 0), pull(row, span, i + step, 0)
        c, d = pull(row, span, i + 2 * step, 0), pull(row, span, i + 3 * step, 0)
        push(out, span, i, merge(merge(a, b), merge(c, d)))


def quadruple_near(row, out, span, n, once, twice):
    """The same for elements that are less than half a vector apart: the primitives move lanes down by that and by twice that, so that every vector is read once."""
    here, next_one = pull(row, span, 0, 0), pull(row, span, LANES, 0)
    both = merge(here, shuffled(here, next_one, once))
    for i in range(0, n, LANES):
        here, next_one = next_one, pull(row, span, i + 2 * LANES, 0)
        two = merge(here, shuffled(here, next_one, once))
        push(out, span, i, merge(both, shuffled(both, two, twice)))
        both = two


def quadruple_whole(row, out, span, n):
    """The same for elements that are a vector apart."""
    here = pull(row, span, 2 * LANES, 0)
    second = pull(row, span, LANES, 0)
    first, second = merge(pull(row, span, 0, 0), second), merge(second, here)
    for i in range(0, n, LANES):
        next_one = pull(row, span, i + 3 * LANES, 0)
        third = merge(here, next_one)
        push(out, span, i, merge(first, third))
        here, first, second = next_one, second, third


def cover(row, out, span, n, taps, step) -> "int":
    """Runs that reach at least half of `taps` elements that lie `step` apart, two of which cover them.

    Returns the length of the runs; they are in `out`, or in `row` if it is 1.
    """
    have, source = 1, row
    while 4 * have < taps:
        apart = have * step
        if apart == 1:
            quadruple_near(source, out, span, n, moved_down, moved_down_2)
        elif LANES >= 16 and apart == 4:
            quadruple_near(source, out, span, n, moved_down_4, moved_down_8)
        elif apart == LANES:
            quadruple_whole(source, out, span, n)
        else:
            quadruple(source, out, span, n, apart)
        have, source = 4 * have, out
    while 2 * have < taps:
        for i in range(0, n, LANES):
            push(out, span, i, merge(pull(source, span, i, 0), pull(source, span, i + have * step, 0)))
        have, source = 2 * have, out
    return have


def may_slide(args, step, taps, groups, inner, columns, columns_table) -> "int":
    """Whether `slide` does such windows."""
    if taps < LEAST_SLIDING or MOST_SLIDING < taps or step > 1 or inner > 1 or groups > 1:
        return 0
    if columns < 2 * LANES or columns_table or word(args, STRIDE) > 1:
        return 0
    return word(args, DENSE)


def longer(before, here, move) -> "acc":
    """Runs twice as long, of two vectors of runs that follow each other."""
    return merge_numbers(before, shuffled(before, here, move))


def covered(runs, span, i, apart) -> "acc":
    """The two runs that cover a vector of windows."""
    return merge_numbers(pull(runs, span, i, 0), pull(runs, span, i + apart, 0))


def put_line(past, y, keys, i, acc, divisor):
    """A vector of results, of which each begins with a cache line if they go past the caches."""
    if past:
        emit_line_past(y, keys, i, acc, divisor)
    else:
        emit(y, keys, i, acc, divisor)


def slide(row, other, out, span, taps, past, y, keys, columns, divisor, asked) -> "int":
    """Results of the row that two scratch rows merged are, and whether they hold: of NaNs, and of zeros of both signs, nothing is known here.

    Every stage merges a vector of the stage before with the next one, moved down by the length of the runs, so it is a vector behind. The results follow the last stage.
    What lies at `asked`, if anything does, is asked for meanwhile.
    """
    have = 4 if taps <= 8 else 8
    if taps > 16:
        have = 16
    if taps > 32:
        have = 32
    if taps > 64:
        have = 64
    delay = 2 * LANES  # of the last runs: a vector a stage, or as many as it goes on
    if have > 4:
        delay += LANES
    if have > 8:
        delay += LANES
    if have > 16:
        delay += max(LANES, 16)
    if have > 32:
        delay += max(LANES, 32)
    apart, stop, runs = taps - have, columns + taps - have + delay, out + delay * A_SIZE
    behind = (apart + delay + 2 * LANES - 1) // (2 * LANES) * (2 * LANES) + GAP * LANES
    # Results before those that begin with a cache line, where whole lines are stored.
    lead = ((0 - y) & 63) // Y_SIZE if past else 0
    least = nothing()
    one, two, four, eight, sixteen = least, least, least, least, least
    first, second, third, fourth, fifth, sixth = least, least, least, least, least, least
    odd = unordered(least, least)
    for i in range(0, stop, 2 * LANES):
        if asked:
            ask(asked + i * X_SIZE, 2 * LANES * X_SIZE)
        a, b = pull(row, span, i, 0), pull(other, span, i, 0)
        c, d = pull(row, span, i + LANES, 0), pull(other, span, i + LANES, 0)
        odd = either(odd, either(unordered(a, b), unordered(c, d)))
        a, b = merge_numbers(a, b), merge_numbers(c, d)
        least = noticed(noticed(least, a), b)
        c, d, one = longer(one, a, moved_down), longer(a, b, moved_down), b
        a, b, two = longer(two, c, moved_down_2), longer(c, d, moved_down_2), d
        if have > 4:
            c, d, four = longer(four, a, moved_down_4), longer(a, b, moved_down_4), b
            a, b = c, d
            if have > 8:
                c, d, eight = longer(eight, a, moved_down_8), longer(a, b, moved_down_8), b
                a, b = c, d
                if have > 16:
                    if LANES > 8:
                        c, d, sixteen = longer(sixteen, a, moved_down_16), longer(a, b, moved_down_16), b
                    else:  # two vectors on: those of this round with the ones before
                        c, d = merge_numbers(second, a), merge_numbers(first, b)
                        second, first = a, b
                    a, b = c, d
                    if have > 32:
                        if LANES > 16:
                            c, d, first = longer(first, a, moved_down_32), longer(a, b, moved_down_32), b
                        elif LANES > 8:
                            c, d = merge_numbers(second, a), merge_numbers(first, b)
                            second, first = a, b
                        else:  # four vectors on
                            c, d = merge_numbers(sixth, a), merge_numbers(fifth, b)
                            sixth, fifth, fourth, third = fourth, third, a, b
                        a, b = c, d
        push(out, span, i, a)
        push(out, span, i + LANES, b)
        if i >= behind:
            j = i - behind + lead
            put_line(past, y, keys, j, covered(runs, span, j, apart), divisor)
            j += LANES
            put_line(past, y, keys, j, covered(runs, span, j, apart), divisor)
    if any_lane(odd):
        return 0
    if in_doubt(least):
        return 0
    if lead:
        put_vector(past, y, keys, 0, covered(runs, span, 0, apart), divisor)
    rounds = max((stop - behind + 2 * LANES - 1) // (2 * LANES), 0)
    for j in range(rounds * 2 * LANES + lead, columns - LANES + 1, LANES):
        put_line(past, y, keys, j, covered(runs, span, j, apart), divisor)
    if (columns - lead) & (LANES - 1):
        j = columns - LANES
        put_vector(past, y, keys, j, covered(runs, span, j, apart), divisor)
    return 1
