"""Windows along an axis, and places in arrays, as formulas: an axis comes to a kernel as a tuple of integers."""

# ruff: noqa: F821 - free names are bound by the builder

TEMPLATE = True

# The fields of an axis.
COUNT = 0  # windows
SIZE = 1  # elements
TAPS = 2  # of a window that slides; 0: the windows divide the axis
STRIDE = 3
BEFORE = 4
STEP = 5  # from tap to tap
KEY = 6  # what a step along the axis adds to a key
REACH = 7  # the part of a window that its divisor counts, as if nothing had been cut off: elements, 0 for the taps that are there
BEGIN = 8  # where it begins: this much in front of window · stride
LIMIT = 9  # and where all end
FIELDS = 10


def as_is(v):
    return v


def at_least(x, low) -> "int":
    return pick(x < low, low + 0 * x, x)


def at_most(x, high) -> "int":
    return pick(x < high, x, high + 0 * x)


def rounded_up(x, n) -> "int":
    return (x + n - 1) // n


def bounds(o, axis):
    """Window o of an axis: (taps, the element that the first of them is, its number)."""
    begin = o * axis[STRIDE] - axis[BEFORE]
    if DIVIDED:
        return divided_bounds(o, axis, begin)
    if DILATED:
        first = rounded_up(at_least(-1 * begin, 0), axis[STEP])
        start = begin + first * axis[STEP]
        stop = at_most(begin + (axis[TAPS] - 1) * axis[STEP] + 1, axis[SIZE])
        return rounded_up(at_least(stop - start, 0), axis[STEP]), start, first
    start = at_least(begin, 0)
    stop = at_most(begin + axis[TAPS], axis[SIZE])
    return at_least(stop - start, 0), start, start - begin


def divided_bounds(o, axis, begin):
    """The same where windows may divide the axis: from floor(o·size/count) to ceil((o + 1)·size/count)."""
    slides = axis[TAPS] > 0
    low = o * axis[SIZE] // axis[COUNT]
    high = rounded_up((o + 1) * axis[SIZE], axis[COUNT])
    start = pick(slides, at_least(begin, 0), low)
    stop = pick(slides, at_most(begin + axis[TAPS], axis[SIZE]), high)
    return at_least(stop - start, 0), start, start - pick(slides, begin, low)


def extent(o, axis, taps):
    """How many taps of window o its divisor counts."""
    begin = o * axis[STRIDE] - axis[BEGIN]
    counted = at_least(at_most(begin + axis[REACH], axis[LIMIT]) - begin, 0)
    if DILATED:
        counted = rounded_up(counted, axis[STEP])
    return pick(axis[REACH] > 0, counted, taps)


def covering(i, axis):
    """The windows that may cover element i: (how many, the first)."""
    reach = (axis[TAPS] - 1) * axis[STEP]
    place = i + axis[BEFORE]
    low = rounded_up(at_least(place - reach, 0), axis[STRIDE])
    high = at_most(place // axis[STRIDE] + 1, axis[COUNT])
    if FRACTIONAL:
        low, high = perhaps_covering(i, axis)
    elif DIVIDED:
        slides = axis[TAPS] > 0
        low = pick(slides, low, i * axis[COUNT] // axis[SIZE])
        high = pick(slides, high, rounded_up((i + 1) * axis[COUNT], axis[SIZE]))
    return at_least(high - low, 0), low


def perhaps_covering(i, axis):
    """Fractional windows that may cover element i: each starts at most `BEFORE` elements away from floor(o·last/spaces), but for the last one."""
    last, spaces = at_least(axis[SIZE] - axis[TAPS], 1), axis[COUNT] - 1
    low = rounded_up(at_least(i - axis[TAPS] - axis[BEFORE] + 1, 0) * spaces, last)
    high = rounded_up((i + axis[BEFORE] + 1) * spaces, last)
    return low, at_most(at_least(high, 1), axis[COUNT])


def tap_of(i, o, axis):
    """(whether element i is a tap of window o, one of those that may cover it, the number of that tap)."""
    apart = i + axis[BEFORE] - o * axis[STRIDE]
    if not DILATED:
        return True, apart
    tap = apart // axis[STEP]
    return tap * axis[STEP] >= apart, tap


def divisor_of(place, taps, d, h, w):
    """How many taps the divisor of a window counts."""
    rows = wide(extent(place[3], d, taps[0])) * extent(place[4], h, taps[1])
    return int_to_end(rows * extent(place[5], w, taps[2]))


def no_divisor(place, taps, d, h, w):
    return wide(0)


# ---- places ---------------------------------------------------------------------------------------------------------


def number(thread, block, threads):
    """Which of the threads of a grid one is."""
    return whole(thread) + whole(block) * whole(threads)


def split(i, sizes, planes, rows, columns):
    """What thread i does: (three outer places, D, H, W, piece of the inner axis). `sizes`: pieces, and of the two inner ones of the outer axes."""
    rest, piece = i // sizes[0], i % sizes[0]
    rest, w = rest // columns, rest % columns
    rest, h = rest // rows, rest % rows
    rest, d = rest // planes, rest % planes
    rest, inner = rest // sizes[1], rest % sizes[1]
    return rest // sizes[2], rest % sizes[2], inner, d, h, w, piece


def address(base, steps, place):
    """Of an element, `steps` apart along the axes of `split`."""
    offset = place[0] * steps[0]
    for k in range(1, 7):
        offset = offset + place[k] * steps[k]
    return wide(base) + offset


def moved(place, d, h, w):
    return place[0], place[1], place[2], d, h, w, place[6]


def onward(at, step):
    return wide(at) + step


def onward_by(at, n, step):
    return wide(at) + n * step
