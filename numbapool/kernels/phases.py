"""Backward of selecting reductions by vectors: elements that stand alike to the windows look for their outputs together.

Along an axis of stride s the elements fall into s *phases*: element j·s + r − before is covered by the outputs j − m, m = 0, 1 …, and tap r + m·s of output
j − m falls on it. So all elements of a phase find tap for tap the outputs that may have chosen them at one distance in memory: a vector of saved taps
is compared with the number of the tap, and where they agree dy is added.

An item takes a block of rows of one plane (or of several, if planes are small): dy and the taps are copied to scratch memory with margins of
"no tap", so that edges need no care; then comes one phase after the other, and rows of dx are put together of them. Contributions are added in row-major order of outputs.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *

TEMPLATE = True


def fetch_row(dy, keys, values, chosen, n):
    """A row of dy and of saved taps to scratch memory; behind its end there is no tap."""
    whole = n // LANES * LANES
    for i in range(0, whole, LANES):
        store_a(values + i * A_SIZE, load_x(dy + i * X_SIZE))
        store_k(chosen + i, load_k(keys + i))
    if whole < n:
        store_a(values + whole * A_SIZE, load_x_n(dy + whole * X_SIZE, n - whole))
        store_k(chosen + whole, load_k_n(keys + whole, n - whole))


def fetch(args, dy, keys, values, chosen, first, count, d_line):
    """All rows that an item needs: `count` from row `first` on, of every plane along D that touches the item's."""
    n, pitch = word(args, OUT_W), word(args, COLUMNS)
    for d in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
        for o in range(first, first + count):
            if 0 <= o and o < word(args, OUT_H):
                from_dy = dy + d * word(args, X_D) + o * word(args, X_H)
                from_keys = keys + d * word(args, K_D) + o * word(args, K_H)
                ask_beside(args, from_dy, from_keys)
                fetch_row(from_dy, from_keys, values, chosen, n)
            values += pitch * A_SIZE
            chosen += pitch


def list_taps(args, taps, d_line, plane, h_phase, w_phase) -> "int":
    """Write the taps of a phase as pairs (distance in elements, number); return how many."""
    count, offset, number = 0, 0, word(d_line, FIRST)
    for _ in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
        for a in range(word(h_phase, 0)):
            row = offset - word(h_phase, 1 + 2 * a) * word(args, COLUMNS)
            row_number = number + word(h_phase, 2 + 2 * a)
            for b in range(word(w_phase, 0)):
                set_word(taps, 2 * count, row - word(w_phase, 1 + 2 * b))
                set_word(taps, 2 * count + 1, row_number + word(w_phase, 2 + 2 * b))
                count += 1
        offset += plane
        number -= word(args, KEY_D_STEP)
    return count


def collect(taps, count, values, chosen, out, n):
    """A phase: what n elements get."""
    for i in range(0, n, LANES):
        acc = identity()
        for t in range(count):
            at = i + word(taps, 2 * t)
            meant = ties(load_k(chosen + at), splat_k(word(taps, 2 * t + 1)))
            acc = pick(meant, add(acc, load_a(values + at * A_SIZE)), acc)
        store_a(out + i * A_SIZE, acc)


def copy_row(source, y, n):
    whole = n // LANES * LANES
    for i in range(0, whole, LANES):
        store_y(y + i * Y_SIZE, load_a(source + i * A_SIZE))
    if whole < n:
        store_y_n(y + whole * Y_SIZE, load_a(source + whole * A_SIZE), n - whole)


def zip_row(first, second, y, n):
    """A row of dx of two phases in turn."""
    for i in range(0, n, 2 * LANES):
        a, b = load_a(first + i // 2 * A_SIZE), load_a(second + i // 2 * A_SIZE)
        left = n - i
        if left >= 2 * LANES:
            store_y(y + i * Y_SIZE, zip_low(a, b))
            store_y(y + (i + LANES) * Y_SIZE, zip_high(a, b))
        else:
            store_y_n(y + i * Y_SIZE, zip_low(a, b), min(left, LANES))
            if left > LANES:
                store_y_n(y + (i + LANES) * Y_SIZE, zip_high(a, b), left - LANES)


def put_row(args, phases, span, y):
    """A row of dx from its place in the phases along W, which lie `span` apart."""
    before, width = word(args, BEFORE), word(args, WIDTH)
    if word(args, STRIDE) == 1:
        copy_row(phases + before * A_SIZE, y, width)
    else:
        first, second = phases + before // 2 * A_SIZE, phases + span + before // 2 * A_SIZE
        if before % 2:
            first, second = second, first + A_SIZE
        zip_row(first, second, y, width)


def band(args, slot, first_item, last_item):
    """Items are blocks of rows of dx, per plane along D and group of outer elements."""
    room = word(args, SCRATCH) + slot * word(args, SCRATCH_BYTES)
    all_chosen, all_values = room + word(args, AT_PLACES), room + word(args, AT_ROW)
    phases, span = room + word(args, AT_WIDE), word(args, SPAN)
    lead, stride_h = word(args, LEAD), word(args, STRIDE_H)
    for item in range(first_item, last_item):
        rest = item // word(args, BLOCKS_H)
        begin = (item - rest * word(args, BLOCKS_H)) * word(args, BLOCK_H)
        t = rest
        rest = t // word(args, OUT_D)
        d = t - rest * word(args, OUT_D)
        entry = rest // word(args, GROUPS)
        g = (rest - entry * word(args, GROUPS)) * word(args, GROUP)
        dy = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G)
        dx = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G)
        dx += d * word(args, Y_D)

        # Row r of scratch memory is row begin - lead + r of dy; its elements stand behind a margin. Row j of a phase lies `lead` rows further.
        rows = min(word(args, BLOCK_H), word(args, LINE_COUNT) - begin)
        pitch, margin = word(args, COLUMNS), word(args, MARGIN)
        d_line = word(args, D_TABLE) + d * 32
        at = 2 * margin
        to = at + word(args, SHIFT_W)
        first = begin - lead - word(args, SHIFT_H)
        for i in range(0, word(args, ELEMENTS), LANES):
            store_k(all_chosen + i, no_key())
        for _ in range(min(word(args, GROUP), word(args, OUTER) - g)):
            fetch(args, dy, keys, all_values + to * A_SIZE, all_chosen + to, first, rows + lead, d_line)
            here = at + lead * pitch
            for r in range(stride_h):
                h_phase = word(args, PHASES_H) + r * word(args, PHASE_H_BYTES)
                for s in range(word(args, STRIDE)):
                    w_phase = word(args, PHASES_W) + s * word(args, PHASE_W_BYTES)
                    count = list_taps(args, room, d_line, (rows + lead) * pitch, h_phase, w_phase)
                    values, chosen = all_values + here * A_SIZE, all_chosen + here
                    collect(room, count, values, chosen, phases + s * span, rows * pitch - margin)
                for j in range(rows):
                    h = (begin + j) * stride_h + r - word(args, BEFORE_H)
                    if 0 <= h and h < word(args, SIZE_H):
                        put_row(args, phases + j * pitch * A_SIZE, span, dx + h * word(args, Y_H))
            dy += word(args, X_G)
            keys += word(args, K_G)
            dx += word(args, Y_G)
