"""Memory that comes soon, asked for by hand: rows and planes are too short for the hardware to foresee the next, and loads under masks teach it nothing."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True

NEAR = 1024  # bytes ahead, where every vector asks for another


def ask(addr, n):
    """Have n bytes, which need not be anybody's, brought to the second-level cache."""
    for i in range(0, n, 64):
        prefetch(addr + i)


def ask_for_rows(args, taps, count, h_line, source):
    """Ask for what comes soon behind the rows that are new in a window, of every plane along D that it takes."""
    tall, n = max(word(h_line, STOP) - word(h_line, START), 1), word(args, NEW_X)
    t = tall - 1
    while t < count:  # a range with such a step would divide
        ask(source + word(taps, 2 * t) + word(args, FAR) - n, n)
        t += tall


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
