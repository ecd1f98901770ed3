"""Forward kernels, row by row: vertical merge into a scratch row, horizontal merge out of it.

The template of all window reductions. Free names (`tap`, `merge`, `emit`, `LANES` …) are bound by the builder to primitives and to the functions of
a reduction. See docs/dev/architecture.md for the stages and `block.py` for the words of `args`.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.horizontal import *
from numbapool.kernels.uneven import *
from numbapool.kernels.vertical import *

TEMPLATE = True


def keys_at(args, od, o, first) -> "int":
    """Offset of the keys of a tile: forward they lie like the result."""
    return od * word(args, K_D) + o * word(args, K_W)


def divided_from(o, first) -> "int":
    """The column whose divisor is the first: forward it is the result that is divided."""
    return o


def locate_columns(args, room, begin, needed, inner, groups):
    pass


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
    runs = word(args, RUNS)
    h = oh
    while h < last:
        look_ahead(args, source, y, h - oh)
        count = list_taps(args, taps, od, h)
        if runs:  # a pass does several rows of one plane, not one row of several planes
            groups = min(min(word(runs, h), word(args, ROWS)), last - h)
        rows = word(word(args, D_TABLE) + od * 32, EXTENT) * word(word(args, H_TABLE) + h * 32, EXTENT)
        ask_for_rows(args, taps, count, word(args, H_TABLE) + h * 32, source, groups)
        least = fill_row(args, taps, count, source, row, span, at, columns, inner, groups)
        if count > 1:
            watch(args, least, row, span, (groups - 1) * word(args, PITCH) + needed * inner)
        ready, left = row, word(args, TAPS_W)
        if columns_table:
            by_table(args, room, columns_table, row, row, line, span, groups, out_columns, needed, inner)
            ready, left = line, 1
        finish_row(
            args, ready, span, left, word(args, STEP_W), word(args, KEY_W), line, span,
            y + h * word(args, Y_H), keys + h * word(args, K_H), groups, out_columns, inner, rows, divisors,
        )  # fmt: skip
        h += groups if runs else 1


def enter(args, room, entry, g, c) -> "int":
    """The argument block that an item reads."""
    return args


def begin_at(args, first):
    """The first column of x that an item reads."""


def band(shared, slot, first_item, last_item):
    """Work items first_item … last_item-1 with scratch slot `slot`.

    An item is a group of outer elements, a range of inner elements, a range of columns, one output plane and a block of output rows.
    """
    room = word(shared, SCRATCH) + slot * word(shared, SCRATCH_BYTES)
    row = room + word(shared, AT_ROW)
    span = word(shared, SPAN)
    width, stride, before = word(shared, WIDTH), word(shared, STRIDE), word(shared, BEFORE)
    up, up_before = word(shared, UP), word(shared, UP_BEFORE)
    reach = (word(shared, TAPS_W) - 1) * word(shared, STEP_W) + 1
    item = first_item
    while item < last_item:
        rest = item // word(shared, BLOCKS_H)
        # Blocks of rows that follow one another are done as one.
        block = item - rest * word(shared, BLOCKS_H)
        blocks = min(word(shared, BLOCKS_H) - block, last_item - item)
        oh = block * word(shared, BLOCK_H)
        t = rest
        rest = t // word(shared, OUT_D)
        od = t - rest * word(shared, OUT_D)
        t = rest
        rest = t // word(shared, TILES_W)
        o = (t - rest * word(shared, TILES_W)) * word(shared, TILE_W)
        t = rest
        rest = t // word(shared, TILES_I)
        # The last range of inner elements overlaps its neighbour: all are equally wide.
        inner = word(shared, TILE_I)
        c = min((t - rest * word(shared, TILES_I)) * inner, word(shared, INNER) - inner)
        entry = rest // word(shared, GROUPS)
        g = (rest - entry * word(shared, GROUPS)) * word(shared, GROUP)
        args = enter(shared, room, entry, g, c)

        last = min(oh + blocks * word(args, BLOCK_H), word(args, OUT_H))
        out_columns = min(word(args, TILE_W), word(args, OUT_W) - o)
        groups = min(word(args, GROUP), word(args, OUTER) - g)

        # Column q of x stands at q·UP - UP_BEFORE on the line that windows slide along (backward spreads its input by the stride).
        begin = o * stride - before
        needed = (out_columns - 1) * stride + reach
        columns_table = word(args, W_TABLE)
        if columns_table:  # the windows do not slide
            columns_table += o * 32
            begin = word(columns_table, START)
            needed = word(columns_table + (out_columns - 1) * 32, STOP) - begin
        first = max((begin + up_before + up - 1) // up, 0)
        columns = max(min((begin + needed - 1 + up_before) // up + 1, width) - first, 0)
        begin_at(args, first)
        left = min(max(first * up - up_before - begin, 0), needed)
        right = min(left + columns, needed) if up == 1 else left
        if item == first_item or word(args, TILES_W) > 1:  # else nobody has written there since
            for k in range(word(args, SCRATCH_ROWS)):
                base = k * word(args, PITCH)
                clear(row, span, base, base + left * inner)
                clear(row, span, base + right * inner, base + word(args, PITCH))

        source = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G)
        source += first * word(args, X_W) + c * word(args, X_I)
        y = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G)
        y += od * word(args, Y_D) + o * word(args, Y_W) + c * word(args, Y_I)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G) + c * word(args, K_I)
        keys += keys_at(args, od, o, first)
        locate_columns(args, room, begin, needed, inner, groups)
        if MARKS and columns_table and word(args, AT_MARKS):
            mark_windows(args, room, columns_table, out_columns, needed)
        # Of the windows inside, which have equal divisors, most are left out.
        divided = divided_from(o, first)
        divided = min(divided, max(word(args, ALIKE_FROM), divided - word(args, ALIKE_LESS)))
        divisors = word(args, W_DIVISORS) + divided * word(args, DIVISOR_STEP)
        sweep(
            args, room, room, source, row, span, left * inner, columns, needed, inner, groups,
            od, oh, last, y, keys, out_columns, divisors, columns_table,
        )  # fmt: skip
        item += blocks
    if word(shared, PAST):
        fence()
