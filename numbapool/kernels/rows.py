"""Forward kernels, row by row: vertical merge into a scratch row, horizontal merge out of it.

The template of all window reductions. Free names (`tap`, `merge`, `emit`, `LANES` …) are bound by the builder to primitives and to the functions of
a reduction. See docs/dev/architecture.md for the stages and `block.py` for the words of `args`.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *

TEMPLATE = True


def vertical(args, taps, count, source, step, row, span, at, n, groups, x_group, pitch) -> "acc":
    """Merge n elements of each row in the list `taps` into the scratch row, from element `at` on, for each of `groups` planes; what was noticed of them."""
    least = nothing()
    if step == 2 * X_SIZE and n >= LANES:
        for _ in range(groups):
            for j in range(0, n, LANES):
                i = min(j, n - LANES)
                here = source + i * step
                acc = tap_2(here + word(taps, 0), word(taps, 1))
                for t in range(1, count):
                    acc = merge_later(acc, tap_2(here + word(taps, 2 * t), word(taps, 2 * t + 1)))
                push(row, span, at + i, acc)
                least = noticed(least, acc)
            source += x_group
            at += pitch
    elif step != X_SIZE:
        for _ in range(groups):
            for i in range(n):
                one = tap_1(source + word(taps, 0) + i * step, word(taps, 1))
                for t in range(1, count):
                    one = merge_later(
                        one, tap_1(source + word(taps, 2 * t) + i * step, word(taps, 2 * t + 1))
                    )
                push_1(row, span, at + i, one)
            least = noticed_row(least, row, span, at, n)
            source += x_group
            at += pitch
    elif n >= LANES:
        whole = n // LANES * LANES
        for _ in range(groups):
            if word(args, STREAMS):
                done = 1
                if FOURS and count > 3:
                    for done in range(0, count - 3, 4):
                        four_rows(args, taps + 16 * done, source, done == 0, row, span, at, whole)
                    done = count // 4 * 4
                else:
                    first_row(source + word(taps, 0), word(taps, 1), row, span, at, whole)
                for t in range(done, count):
                    here = source + word(taps, 2 * t)
                    least = next_row(here, word(taps, 2 * t + 1), row, span, at, whole, least)
                if whole < n:
                    last = n - LANES
                    least = merge_rows(
                        args, taps, count, source + last * X_SIZE, row, span, at + last, LANES, least
                    )
            else:
                least = merge_rows(args, taps, count, source, row, span, at, n, least)
            source += x_group
            at += pitch
    else:
        for _ in range(groups):
            acc = tap_n(source + word(taps, 0), n, word(taps, 1))
            for t in range(1, count):
                acc = merge_later(acc, tap_n(source + word(taps, 2 * t), n, word(taps, 2 * t + 1)))
            push(row, span, at, acc)
            least = noticed(least, acc)
            source += x_group
            at += pitch
    return least


def merge_rows(args, taps, count, source, row, span, at, n, least) -> "acc":
    """All taps of a vector at once, in a register.

    The last vector overlaps its neighbour: there is no scalar tail.
    """
    asks = word(args, ALONG)
    if FOURS and count > 3:
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            here = source + i * X_SIZE
            if asks:
                ask_for_new(args, taps, count, source, i, n)
            acc = four_taps(taps, here)
            for t in range(4, count - 3, 4):
                acc = merge(acc, four_taps(taps + 16 * t, here))
            for t in range(count // 4 * 4, count):
                acc = merge_later(acc, tap(here + word(taps, 2 * t), word(taps, 2 * t + 1)))
            push(row, span, at + i, acc)
        return least
    a, b, c = source + word(taps, 0), source + word(taps, 2), source + word(taps, 4)
    for j in range(0, n, LANES):
        i = min(j, n - LANES)
        if asks:
            ask_for_new(args, taps, count, source, i, n)
        acc = merged(taps, count, source, a, b, c, i * X_SIZE)
        push(row, span, at + i, acc)
        least = noticed(least, acc)
    return least


def merged(taps, count, source, a, b, c, at) -> "inline_acc":
    """All rows of a vector of columns, `at` bytes behind the first; the first three, nearly always all, without a loop, from a, b and c, which stores to y would make the compiler load again."""
    acc = tap(a + at, word(taps, 1))
    if count > 2:
        acc = merge_3_later(acc, tap(b + at, word(taps, 3)), tap(c + at, word(taps, 5)))
        here = source + at
        for t in range(4, count, 2):
            second = tap(here + word(taps, 2 * t - 2), word(taps, 2 * t - 1))
            acc = merge_3_later(acc, second, tap(here + word(taps, 2 * t), word(taps, 2 * t + 1)))
        if count & 1 == 0:
            acc = merge_later(acc, tap(here + word(taps, 2 * count - 2), word(taps, 2 * count - 1)))
    elif count > 1:
        acc = merge_later(acc, tap(b + at, word(taps, 3)))
    return acc


def first_row(source, key, row, span, at, n):
    """The rows one after the other, as so many side by side would keep the hardware from reading ahead."""
    for i in range(0, n, LANES):
        push(row, span, at + i, tap(source + i * X_SIZE, key))


def next_row(source, key, row, span, at, n, least) -> "acc":
    for i in range(0, n, LANES):
        acc = merge_later(pull(row, span, at + i, 0), tap(source + i * X_SIZE, key))
        push(row, span, at + i, acc)
        least = noticed(least, acc)
    return least


def four_taps(taps, source) -> "acc":
    """Four rows merged before they are widened: where one rounds, and the other costs more than the rest."""
    return four(
        source + word(taps, 0), source + word(taps, 2), source + word(taps, 4), source + word(taps, 6)
    )


def four_rows(args, taps, source, first, row, span, at, n):
    """As `first_row` and `next_row`, four rows at a time."""
    asks = word(args, ALONG)
    for i in range(0, n, LANES):
        if asks:
            ask_along(args, taps, 0, 4, source, i, n, 4 * word(args, X_H))
        acc = four_taps(taps, source + i * X_SIZE)
        if not first:
            acc = merge(pull(row, span, at + i, 0), acc)
        push(row, span, at + i, acc)


def clear(row, span, first, last):
    for i in range(first, last, LANES):
        push(row, span, i, nothing())


def put_tap(args, taps, count, d, h, key):
    set_word(taps, 2 * count, d * word(args, X_D) + h * word(args, X_H))
    set_word(taps, 2 * count + 1, key)


def list_taps(args, taps, od, oh) -> "int":
    """Write the rows of the window (od, oh) as pairs (offset in x, key); return how many."""
    d_line = word(args, D_TABLE) + od * 32
    h_line = word(args, H_TABLE) + oh * 32
    count = 0
    d_key = word(d_line, FIRST) * word(args, KEY_D)
    for d in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
        key = d_key + word(h_line, FIRST) * word(args, KEY_H)
        for h in range(word(h_line, START), word(h_line, STOP), word(args, H_STEP)):
            put_tap(args, taps, count, d, h, key)
            key += word(args, KEY_H_STEP)
            count += 1
        d_key += word(args, KEY_D_STEP)
    return count


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
    if word(args, PAST) and y & 15 == 0:
        return 1
    return 0


def put_vector(past, y, keys, i, acc, divisor):
    if past:
        emit_past(y, keys, i, acc, divisor)
    else:
        emit(y, keys, i, acc, divisor)


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


def fill_row(args, taps, count, source, row, span, at, columns, inner, groups) -> "acc":
    """Vertical stage: `columns` × `inner` elements of each plane, as few runs of neighbours as the strides allow; what was noticed of them."""
    least = nothing()
    x_group = word(args, X_PASS)
    pitch = word(args, PITCH)
    if count == 0:
        for g in range(groups):
            clear(row, span, g * pitch + at, g * pitch + at + columns * inner)
    elif inner == 1:
        least = vertical(
            args, taps, count, source, word(args, X_W), row, span, at, columns, groups, x_group, pitch
        )
    elif word(args, PACKED):
        n = columns * inner
        least = vertical(args, taps, count, source, X_SIZE, row, span, at, n, groups, x_group, pitch)
    else:
        for g in range(groups):
            for w in range(columns):
                here = source + g * x_group + w * word(args, X_W)
                to = g * pitch + at + w * inner
                new = vertical(args, taps, count, here, word(args, X_I), row, span, to, inner, 1, 0, 0)
                least = noticed(least, new)
    return least


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
    for item in range(first_item, last_item):
        rest = item // word(shared, BLOCKS_H)
        oh = (item - rest * word(shared, BLOCKS_H)) * word(shared, BLOCK_H)
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

        last = min(oh + word(args, BLOCK_H), word(args, OUT_H))
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
        divisors = word(args, W_DIVISORS) + divided_from(o, first) * word(args, DIVISOR_STEP)
        sweep(
            args, room, room, source, row, span, left * inner, columns, needed, inner, groups,
            od, oh, last, y, keys, out_columns, divisors, columns_table,
        )  # fmt: skip
    if word(shared, PAST):
        fence()
