"""Backward of selecting reductions along an inner axis by vectors: every run of neighbours of dx asks the windows that cover it.

The windows that cover an element are the same for all its neighbours along the inner axis, so a vector of saved taps is compared with one number,
and where they agree dy is added: in row-major order of outputs, from where they lie, without scratch memory.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *

TEMPLATE = True


def list_rows(args, rows, dy, keys, d_line, h_line) -> "int":
    """Write down the rows of dy that a row of dx asks, as (dy, saved taps, what its windows add to the number of a tap); return how many."""
    count, plane_number = 0, word(d_line, FIRST)
    for d in range(word(d_line, START), word(d_line, STOP), word(args, D_STEP)):
        number = plane_number + word(h_line, FIRST)
        for h in range(word(h_line, START), word(h_line, STOP), word(args, H_STEP)):
            set_word(rows, 3 * count, dy + d * word(args, X_D) + h * word(args, X_H))
            set_word(rows, 3 * count + 1, keys + d * word(args, K_D) + h * word(args, K_H))
            set_word(rows, 3 * count + 2, number)
            number -= word(args, KEY_H_STEP)
            count += 1
        plane_number -= word(args, KEY_D_STEP)
    return count


def answers(args, rows, count, line, i) -> "acc":
    """What a vector of elements gets, `i` elements into the runs of the windows of a line of W."""
    acc = identity()
    step, k_step = word(args, STEP_W) * word(args, X_W), word(args, STEP_W) * word(args, K_W)
    for r in range(count):
        dy = word(rows, 3 * r) + word(line, START) * word(args, X_W) + i * X_SIZE
        keys = word(rows, 3 * r + 1) + word(line, START) * word(args, K_W) + i
        number = word(rows, 3 * r + 2) + word(line, FIRST)
        for _ in range(word(line, EXTENT)):
            acc = pick(ties(load_k(keys), splat_k(number)), add(acc, load_x(dy)), acc)
            dy += step
            keys += k_step
            number -= word(args, KEY_W)
    return acc


def band(args, slot, first_item, last_item):
    """Items are blocks of rows of dx, per plane along D, range of inner elements and group of outer ones."""
    rows = word(args, SCRATCH) + slot * word(args, SCRATCH_BYTES)
    n = word(args, TILE_I)
    for item in range(first_item, last_item):
        rest = item // word(args, BLOCKS_H)
        begin = (item - rest * word(args, BLOCKS_H)) * word(args, BLOCK_H)
        t = rest
        rest = t // word(args, OUT_D)
        d = t - rest * word(args, OUT_D)
        t = rest
        rest = t // word(args, TILES_I)
        # The last range starts early rather than to be short: where it overlaps another both write the same.
        c = min((t - rest * word(args, TILES_I)) * n, word(args, INNER) - n)
        entry = rest // word(args, GROUPS)
        g = (rest - entry * word(args, GROUPS)) * word(args, GROUP)
        dy = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G) + c * X_SIZE
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G) + c
        dx = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G) + c * Y_SIZE
        dx += d * word(args, Y_D)
        asked = 0 * c
        for _ in range(min(word(args, GROUP), word(args, OUTER) - g)):
            for h in range(begin, min(begin + word(args, BLOCK_H), word(args, SIZE_H))):
                d_line, h_line = word(args, D_TABLE) + d * 32, word(args, H_TABLE) + h * 32
                count = list_rows(args, rows, dy, keys, d_line, h_line)
                line, to = word(args, W_TABLE), dx + h * word(args, Y_H)
                newest = 3 * max(count - 1, 0)
                x, k = word(rows, newest), word(rows, newest + 1)
                known = x == asked
                asked = x
                for _ in range(word(args, WIDTH)):
                    if not known:
                        ask_beside(args, x, k)  # a part of the row after the newest one
                        x += word(args, NEW_X)
                        k += word(args, NEW_K)
                    for j in range(0, n, LANES):
                        i = min(j, n - LANES)
                        store_y(to + i * Y_SIZE, answers(args, rows, count, line, i))
                    line += 32
                    to += word(args, Y_W)
            dy += word(args, X_G)
            keys += word(args, K_G)
            dx += word(args, Y_G)
