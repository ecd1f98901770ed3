"""Forward, for windows of a few taps that slide along rows of neighbours: a thread does several windows of a row, side by side.

The elements that these windows span are read once, in moves of 16 bytes where rows allow it, and merged in registers, first along D and H, then the taps
along W (`BY_ROWS`: these first). Taps, stride and padding along W are constants of the kernel (`TAPS_W`, `STRIDE_W`, `BEFORE_W`), so every choice of a lane is made when it is compiled.
A span is `BEFORE_W` elements, the `MAIN` ones that belong to the thread's windows alone, and those `BEHIND` it.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def place_of(i, sizes, d, h):
    """As of `split`, its last item the number of a group of `LANES` windows."""
    return split(i, sizes, d[COUNT], h[COUNT], 1)


def rows_of(place, d, h):
    """(taps, starts, first taps) for D and H."""
    of = [bounds(o, axis) for o, axis in zip(place[3:5], (d, h))]
    return tuple(b[0] for b in of), tuple(b[1] for b in of), tuple(b[2] for b in of)


def first_column(place):
    return place[6] * MAIN


def source(base, steps, place, starts):
    return address(base, steps, moved(place, starts[0], starts[1], 0 * starts[1]))


def row_key(starts, firsts, d, h):
    at = starts if POSITIONS else firsts
    return wide(at[0]) * d[KEY] + wide(at[1]) * h[KEY]


def key_step(axis):
    return wide(axis[KEY]) * axis[STEP] if POSITIONS else wide(axis[KEY])


def tap_step(steps, k, axis):
    return wide(steps[k]) * axis[STEP]


def is_whole(column, w):
    """Whether all elements of `MAIN` exist."""
    return column + MAIN <= w[SIZE]


def from_left(column):
    """Which elements in front of `MAIN` exist."""
    return lanes_of([column + e >= BEFORE_W for e in range(BEFORE_W)])


def from_right(column, w):
    return lanes_of([column + (MAIN + e) < w[SIZE] for e in range(BEHIND)])


def lying_at(at, beside, place, starts):
    """What lies beside the elements: here nothing does. See `sliding_beside.py`."""
    return 0


def side_of(lying, beside, a, b, d, h):
    return 0


def there_of(side, inside):
    return inside


def weight_of(v, side, inside):
    return unit(v) if SEES else None


def take_whole(acc, at, key, column, w, side):
    left, right = from_left(column), from_right(column, w)
    values = joined(load_some(at - BEFORE_W * X_SIZE, left), load_x(at), load_some(at + MAIN * X_SIZE, right))
    return take(acc, values, key, joined(left, lanes_of([True] * MAIN), right), column, w, side)


def take_part(acc, at, key, column, w, side):
    inside = lanes_of([column + e < w[SIZE] for e in range(MAIN)])
    inside = joined(from_left(column), inside, from_right(column, w))
    return take(acc, load_some(at - BEFORE_W * X_SIZE, inside), key, inside, column, w, side)


def take(acc, values, key, inside, column, w, side):
    """Columns are merged first, which is less to do, or where the order of taps matters the taps of each row."""
    row = spanned(values, key, there_of(side, inside), weight_of(values, side, inside))
    return merge(acc, slid(row, column, w)) if BY_ROWS else merge(acc, row)


def slide(acc, column, w):
    return acc if BY_ROWS else slid(acc, column, w)


def taps_of(acc, t):
    """Tap t of every window out of a span."""
    lanes = [j * STRIDE_W + t for j in range(LANES)]
    return tuple(selected(part, lanes) for part in acc) if isinstance(acc, tuple) else selected(acc, lanes)


def slid(acc, column, w):
    """Merge the taps along W."""
    acc = placed_in_row(acc, column, w)
    windows = numbered_tap(taps_of(acc, 0), 0, w)
    for t in range(1, TAPS_W):
        windows = merge(windows, numbered_tap(taps_of(acc, t), t, w))
    return windows


def divisors_of(place, rows, d, h, w):
    """How many taps the divisors of the windows count."""
    n = wide(extent(place[3], d, rows[0])) * extent(place[4], h, rows[1])
    columns = [place[6] * LANES + j for j in range(LANES)]
    return lanes_of([int_to_end(n * extent(o, w, bounds(o, w)[0])) for o in columns])


def no_divisors(place, rows, d, h, w):
    return wide(0)


def are_all(place, w):
    """Whether all windows of a thread exist."""
    return (place[6] + 1) * LANES <= w[COUNT]


def entry(items, sizes, at, xs, ys, ks, beside, d, h, w, constant):
    """As in `forward.py`, `beside` being strides of what lies beside x; the last strides are those from one thread of a row to the next."""
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = place_of(i, sizes, d, h)
        rows, starts, firsts = rows_of(place, d, h)
        column = first_column(place)
        whole_main = is_whole(column, w)
        plane, plane_key = source(at[0], xs, place, starts), row_key(starts, firsts, d, h)
        d_step, h_step, d_key, h_key = tap_step(xs, 3, d), tap_step(xs, 4, h), key_step(d), key_step(h)
        lying = lying_at(at, beside, place, starts)
        acc = nothing()
        for a in range(rows[0]):
            row, key = plane, plane_key
            for b in range(rows[1]):
                side = side_of(lying, beside, a, b, d, h)
                if whole_main:
                    acc = take_whole(acc, row, key, column, w, side)
                else:
                    acc = take_part(acc, row, key, column, w, side)
                row = onward(row, h_step)
                key = onward(key, h_key)
            plane = onward(plane, d_step)
            plane_key = onward(plane_key, d_key)
        divisor = given_divisor(constant)
        if constant == 0:
            divisor = window_divisors(place, rows, d, h, w)
        if are_all(place, w):
            store(at, ys, ks, place, slide(acc, column, w), divisor)
        else:
            store_some(at, ys, ks, place, slide(acc, column, w), divisor, w)


def store(at, ys, ks, place, windows, divisor):
    emit(address(at[1], ys, place), address(at[2], ks, place), 0, windows, divisor)


def store_some(at, ys, ks, place, windows, divisor, w):
    there = lanes_of([place[6] * LANES + j < w[COUNT] for j in range(LANES)])
    emit_n(address(at[1], ys, place), address(at[2], ks, place), 0, there, windows, divisor)


# ---- spans of values alone, with keys, of pairs, and of compensated sums -----------------------------------------------------------


def spanned_values(v, key, there, weight):
    return pick(there, valued(v, weight), absent(v)) if SEES else v


def spanned_keyed(v, key, there, weight):
    none = no_key()
    return (pick(there, seen(v), absent(v)) if SEES else v), pick(there, placed(v, splat_k(key)), none)


def spanned_paired(v, key, there, weight):
    return paired(v, both(there, counts(v)), weight)


def spanned_compensated(v, key, there, weight):
    return accumulator(v)


def as_before(acc, x, y):
    return acc


def placed_by_column(acc, column, w):
    """Keys that so far are of a row, with the part of their column."""
    first = wide(column) - BEFORE_W
    # What lies in front of the row has no key, and must not get one that is lower.
    columns = lanes_of([at_least(first + e, 0) * w[KEY] for e in range(SPAN)])
    return acc[0], key_add(acc[1], columns)


def numbered_by_tap(acc, t, w):
    return acc[0], key_add(acc[1], wide(w[KEY]) * t)
