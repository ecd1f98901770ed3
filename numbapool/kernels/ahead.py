"""Memory that comes soon, asked for by hand: short rows and planes the hardware does not foresee, long ones side by side too late, and loads under masks teach it nothing."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True

NEAR = 3 * 1024  # bytes ahead, where every vector asks for another


def ask(addr, n):
    """Have n bytes, which need not be anybody's, brought to the second-level cache."""
    for i in range(0, n, 64):
        prefetch(addr + i)


def ask_for_rows(args, taps, count, h_line, source, groups):
    """Ask for what comes soon behind the rows that are new in a window, of every plane along D that it takes, for the `groups` of a pass."""
    n = word(args, NEW_X)
    if n == 0:
        return
    tall = max(word(h_line, STOP) - word(h_line, START), 1)
    for g in range(groups):
        here = source + g * word(args, X_PASS) + word(args, FAR) - n
        for t in range(tall - 1, count, tall):
            ask(here + word(taps, 2 * t), n)


def ask_along(args, taps, first, count, source, i, lanes, n, step):
    """Ask for what comes soon behind element i of n of the rows first … count-1, `lanes` elements; behind the last element begin the rows that come next, `step` bytes from these."""
    far, size = i * X_SIZE + word(args, ALONG), lanes * X_SIZE
    if far >= n * X_SIZE:
        far += step - n * X_SIZE
    if i + lanes >= n:
        size += 64  # a load under a mask waits for all lines of its vector, also for what the mask leaves out
    for t in range(first, count):
        ask(source + word(taps, 2 * t) + far, size)


def ask_for_new(args, taps, count, source, i, lanes, n):
    """The same of those rows of a window that are new in it, which come last."""
    ask_along(args, taps, max(count - word(args, ASKED), 0), count, source, i, lanes, n, word(args, NEXT_X))


def ask_beside(args, x, keys):
    """Ask for what comes soon behind a row of x and a row of saved taps."""
    ask(x + word(args, FAR), word(args, NEW_X))
    ask(keys + word(args, FAR_K), word(args, NEW_K))


def look_ahead(args, source, y, row):
    """Ask for a part of the planes that come after those of this item; `row` is the number of the item's row."""
    n = word(args, AHEAD_X)
    ask(source + word(args, GROUP) * word(args, X_G) + row * n, n)
    n = word(args, AHEAD_Y)
    ask(y + word(args, GROUP) * word(args, Y_G) + row * n, n)
