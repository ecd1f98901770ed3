"""Forward kernels whose cost does not grow with the window: a queue of rows vertically, doubling horizontally.

The queue is two stacks. Rows in front of `edge` are kept as suffixes (row h merged with all rows up to the edge), rows from `edge` on as one
running prefix, so that a window is one suffix merged with the prefix: three merges a row whatever the height, for any windows that move
forward. Nothing is ever taken out of an accumulator, so inf, NaN and rounding errors leave with their row.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *
from numbapool.kernels.covering import *
from numbapool.kernels.rows import *

TEMPLATE = True

PATIENCE = 16  # rows that `slide` does not try after one that it had to leave: NaNs stay in a queue


def list_row(args, taps, od, h) -> "int":
    """As `list_taps` for the single row h of the planes in window od."""
    line = word(args, D_TABLE) + od * 32
    key = word(line, FIRST) * word(args, KEY_D) + h * word(args, KEY_H)
    count = 0
    for d in range(word(line, START), word(line, STOP), word(args, D_STEP)):
        put_tap(args, taps, count, d, h, key)
        key += word(args, KEY_D_STEP)
        count += 1
    return count


def read_row(args, taps, od, h, source, row, span, at, columns, inner, groups):
    """Fill a scratch row with row h, merged over the planes of window od."""
    count = list_row(args, taps, od, h)
    least = fill_row(args, taps, count, source, row, span, at, columns, inner, groups)
    if count > 1:
        tell(args, least)


def join_row(
    args, taps, od, h, source, out, other, first, row, span, at, columns, inner, groups, total, asks
):
    """Merge row h and the row `other`, of which h is the `first` or not, in one pass where a row of x is one run of neighbours."""
    count = list_row(args, taps, od, h)
    if JOINS and count == 1 and word(args, PACKED):
        ahead = (-word(args, NEXT_X) if first else word(args, NEXT_X)) if asks else 0
        here = source + word(taps, 0)
        for g in range(groups):
            base = g * word(args, PITCH) + at
            there = here + g * word(args, X_G)
            join(out, other, there, word(taps, 1), first, span, base, columns * inner, ahead)
        return
    least = fill_row(args, taps, count, source, row, span, at, columns, inner, groups)
    if count > 1:
        tell(args, least)
    if first:
        combine(out, row, other, span, total)
    else:
        combine(out, other, row, span, total)


def join(out, other, source, key, first, span, at, n, ahead):
    """`ahead`: from where row h lies to the row that is asked for; 0 for none."""
    whole = n // LANES * LANES
    for i in range(0, whole, LANES):
        if ahead:
            ask(source + i * X_SIZE + ahead, LANES * X_SIZE)
        push(out, span, at + i, ordered(tap(source + i * X_SIZE, key), pull(other, span, at + i, 0), first))
    if whole < n:  # not by a vector that overlaps its neighbour: out may be the other row
        rest = tap_n(source + whole * X_SIZE, n - whole, key)
        push(out, span, at + whole, ordered(rest, pull(other, span, at + whole, 0), first))


def ordered(new, other, first) -> "acc":
    """Merged in the order of rows: of equal values the first stays."""
    return merge(new, other) if first else merge(other, new)


def combine(out, first, second, span, n) -> "acc":
    least = nothing()
    for i in range(0, n, LANES):
        acc = merge(pull(first, span, i, 0), pull(second, span, i, 0))
        push(out, span, i, acc)
        least = noticed(least, acc)
    return least


def carry(out, row, span, n) -> "acc":
    least = nothing()
    for i in range(0, n, LANES):
        acc = pull(row, span, i, 0)
        push(out, span, i, acc)
        least = noticed(least, acc)
    return least


def widen(row, out, span, n, taps, step) -> "int":
    """Merge `taps` elements that lie `step` apart, from every element on: the bits of `taps` from the top, one pass a bit."""
    bit = 1
    while 2 * bit <= taps:
        bit *= 2
    have, source = 1, row
    while bit > 1:
        bit //= 2
        near, far = have * step, 2 * have * step
        if taps & bit:
            for i in range(0, n, LANES):
                acc = merge(pull(source, span, i, 0), pull(source, span, i + near, 0))
                push(out, span, i, merge(acc, pull(row, span, i + far, 0)))
            have = 2 * have + 1
        else:
            for i in range(0, n, LANES):
                push(out, span, i, merge(pull(source, span, i, 0), pull(source, span, i + near, 0)))
            have = 2 * have
        source = out
    return source


def add_up(row, other, begins, ends, totals, room, span, blocks, taps) -> "int":
    """Sums of more than two vectors of neighbours, at a cost that does not grow with `taps`; of a row and, if there is one, another that is added to it first.

    A vector is a block. A window is the end of a block, whole blocks and the beginning of one: sums from each element to its block's end (`ends`) and
    from its block's beginning (`begins`), and sums of the blocks' `totals`, of which the windows of a block's later elements take one more. Returns where the sums of fewer are; those of more lie two times `room` behind `totals`.
    """
    for b in range(blocks):
        acc = pull(row, span, b * LANES, 0)
        if other:
            acc = merge(acc, pull(other, span, b * LANES, 0))
        push(ends, span, b * LANES, sums_from(acc))
        push(begins, span, b * LANES, sums_to(acc))
        push_1(totals, span, b, pull_1(ends, span, b * LANES, 0))
    whole = (taps - 1) // LANES - 1
    runs = widen(totals, totals + room, span, blocks, whole, 1)
    for b in range(0, blocks, LANES):
        acc = merge(pull(runs, span, b, 0), pull(totals, span, b + whole, 0))
        push(totals + 2 * room, span, b, acc)
    return runs


def added(begins, ends, fewer, more, span, b, taps, early) -> "acc":
    """The windows that begin in block b; `early` of them take fewer blocks."""
    acc = merge(pull(ends, span, b * LANES, 0), pull(begins, span, b * LANES + taps - 1, 0))
    some = pick(
        first_lanes(early), splat_a(pull_1(fewer, span, b + 1, 0)), splat_a(pull_1(more, span, b + 1, 0))
    )
    return merge(acc, some)


def sum_windows(
    args, row, other, begins, line, span, total, taps, y, keys, groups, columns, inner, rows, divisors
) -> "int":
    """Results of a row whose windows are added up, if they can be stored as they are made; else `begins` holds the windows. Returns whether they were stored."""
    ends, totals = line, line + word(args, LINE_BYTES)
    blocks = (total + LANES - 1) // LANES
    room = (blocks + 2 * LANES) * A_SIZE  # of the sums of all blocks, and what is read behind them
    fewer, more = add_up(row, other, begins, ends, totals, room, span, blocks, taps), totals + 2 * room
    early = LANES - (taps - 1) % LANES
    if groups == 1 and inner == 1 and word(args, STRIDE) == 1 and word(args, DENSE):
        past = goes_past(args, y)
        for i in range(0, columns, LANES):
            acc = added(begins, ends, fewer, more, span, i // LANES, taps, early)
            put(past, y, keys, i, columns, acc, divisor_from(rows, divisors + i * D_SIZE))
        return 1
    for i in range(0, total - taps + 1, LANES):
        push(begins, span, i, added(begins, ends, fewer, more, span, i // LANES, taps, early))
    return 0


def locate_columns(args, room, begin, needed, inner, groups):
    """Write the columns' part of the keys of a scratch row."""
    places = room + word(args, AT_PLACES)
    if K_SIZE == 8:
        for g in range(groups):
            for j in range(needed):
                # Columns outside x hold nothing, and its key stays as it is.
                place = (
                    (begin + j) * word(args, KEY_W) if 0 <= begin + j and begin + j < word(args, WIDTH) else 0
                )
                for c in range(inner):
                    # No word: `locate` reads them as elements.
                    put_place(places + 8 * (g * word(args, PITCH) + j * inner + c), place)


def sweep(
    args,
    room,
    taps,
    source,
    row,
    span,
    at,
    columns,
    needed,
    inner,
    groups,
    od,
    oh,
    last,
    y,
    keys,
    out_columns,
    divisors,
    columns_table,
):
    """Output rows oh … last-1 of one item."""
    line = room + word(args, AT_LINE)
    wide = room + word(args, AT_WIDE)
    places = room + word(args, AT_PLACES)
    size = word(args, ROW_BYTES)
    prefix = room + word(args, AT_QUEUE)
    suffixes = prefix + size
    total = (groups - 1) * word(args, PITCH) + needed * inner
    step = word(args, STEP_W) * inner
    table = word(args, H_TABLE)
    taps_w = word(args, TAPS_W)
    # Whether windows along W are added up, for which two rows need not be merged before. Where that is called, SCANS stands beside it: what is false at compile time is not compiled.
    adds = 0 * taps_w
    if SCANS and step == 1 and taps_w > 2 * LANES and columns_table == 0:
        adds += 1
    bottom = edge = end = word(table + oh * 32, START)
    block = oh
    tries, margin = 0 * taps_w, word(args, PITCH)
    if SLIDES:
        tries += may_slide(args, step, taps_w, groups, inner, out_columns, columns_table)
    if SLIDES and tries:  # it reads behind rows, where a NaN would tell of nothing
        margin = total + BEYOND * LANES
        clear(row, span, word(args, PITCH), margin)
    if word(args, QUEUED):
        for r in range(word(args, QUEUE_LENGTH) + 1):
            for g in range(groups):
                base = g * word(args, PITCH)
                clear(prefix + r * size, span, base, base + at)
                clear(prefix + r * size, span, base + at + columns * inner, base + margin)
    again = oh
    for h in range(oh, last):
        start, stop = word(table + h * 32, START), word(table + h * 32, STOP)
        look_ahead(args, source, y, h - oh)
        least = nothing()
        ready, other, sliding = row, 0 * h, 0 * h
        if tries and h >= again:
            sliding += 1
        if not word(args, QUEUED):
            count = list_taps(args, taps, od, h)
            ask_for_rows(args, taps, count, table + h * 32, source, groups)
            least = fill_row(args, taps, count, source, row, span, at, columns, inner, groups)
        elif start >= stop:
            clear(row, span, 0, total)
        elif start >= edge or h >= block:
            bottom, edge, end = start, stop, stop
            while block <= h:
                block += word(args, BLOCK_H)
            for r in range(stop - 1, start - 1, -1):
                suffix = suffixes + (r - start) * size
                if r == stop - 1:
                    read_row(args, taps, od, r, source, suffix, span, at, columns, inner, groups)
                else:
                    join_row(
                        args, taps, od, r, source, suffix, suffix + size, True, row, span, at, columns, inner, groups, total, 1
                    )  # fmt: skip
            ready = suffixes
        else:
            for r in range(end, stop):
                if r == edge:
                    read_row(args, taps, od, r, source, prefix, span, at, columns, inner, groups)
                else:
                    join_row(
                        args, taps, od, r, source, prefix, prefix, False, row, span, at, columns, inner, groups, total, 1 - sliding
                    )  # fmt: skip
            end = max(end, stop)
            ready = suffixes + (start - bottom) * size
            if end > edge:
                other = prefix
        rows = word(word(args, D_TABLE) + od * 32, EXTENT) * word(table + h * 32, EXTENT)
        to, to_keys, done = y + h * word(args, Y_H), keys + h * word(args, K_H), 0 * h
        if SLIDES and sliding:
            asked = 0 * h
            if word(args, NEXT_X) and h + 1 < last and word(table + (h + 1) * 32, STOP) > end:
                if list_row(args, taps, od, end) == 1:
                    asked += source + word(taps, 0)
            beside = other if other else ready
            past = goes_past(args, to)
            done += slide(ready, beside, wide, span, taps_w, past, to, to_keys, out_columns, rows, asked)
            if done == 0:
                again = h + 1 + PATIENCE
        if done:
            continue
        if ready != row and not adds:
            if other:
                least = combine(row, ready, other, span, total)
            else:
                least = carry(row, ready, span, total)
            ready = row
        watch(args, least, row, span, total)
        locate(row, span, places, total)
        if columns_table:
            wider = widen(row, wide, span, total, taps_w, inner)
            by_table(args, room, columns_table, row, wider, line, span, groups, out_columns, needed, inner)
            wider, left, apart = line, 1, 0
        elif IDEMPOTENT:
            have = cover(row, wide, span, total, taps_w, step)
            wider = row if have == 1 else wide
            left, apart = (2 if taps_w > have else 1), (taps_w - have) * word(args, STEP_W)
        elif SCANS and adds:
            done = sum_windows(
                args, ready, other, wide, line, span, total, taps_w, to, to_keys, groups, out_columns, inner, rows, divisors
            )  # fmt: skip
            wider, left, apart = wide, 1, 0
        else:
            wider = widen(row, wide, span, total, taps_w, step)
            left, apart = 1, 0
        if done == 0:
            finish_row(
                args, wider, span, left, apart, 0, line, span, to, to_keys, groups, out_columns, inner, rows, divisors
            )  # fmt: skip
