"""Rows added in pairs: 16 of them are four roundings in a row, which float32 may take, and their sum is widened once."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True

MOST = 16  # rows of a tree


def tree_rows(taps, count, source, n) -> "inline_acc":
    """The rows in the list `taps`, at least one, of at most n columns: a tree, and what the next ones come to."""
    acc = tree_widened(taps, min(count, MOST), source, n)
    for t in range(MOST, count, MOST):
        acc = merge(acc, tree_widened(taps + 16 * t, min(count - t, MOST), source, n))
    return acc


def tree_widened(taps, count, source, n) -> "inline_acc":
    if n >= LANES:
        return widened(tree(taps, count, source, LANES, leaf))
    return widened(tree(taps, count, source, n, leaf_n))


def leaf(source, taps, t, n) -> "tree":
    return load_tree(source + word(taps, 2 * t))


def leaf_n(source, taps, t, n) -> "tree":
    return load_tree_n(source + word(taps, 2 * t), n)


def tree(taps, count, source, n, read) -> "inline_tree":
    if count < 4:
        acc = tree_few(taps, count, source, n, read)
    elif count < 8:
        acc = tree_4(taps, source, n, read)
        if count > 4:
            acc = add(acc, tree_few(taps + 64, count - 4, source, n, read))
    else:
        acc = add(tree_4(taps, source, n, read), tree_4(taps + 64, source, n, read))
        if count >= 12:
            four = tree_4(taps + 128, source, n, read)
            if count > 12:
                four = add(four, tree_few(taps + 192, count - 12, source, n, read))
            acc = add(acc, four)
        elif count > 8:
            acc = add(acc, tree_few(taps + 128, count - 8, source, n, read))
    return acc


def tree_4(taps, source, n, read) -> "tree":
    first = add(read(source, taps, 0, n), read(source, taps, 1, n))
    return add(first, add(read(source, taps, 2, n), read(source, taps, 3, n)))


def tree_few(taps, count, source, n, read) -> "inline_tree":
    """One row to four."""
    acc = read(source, taps, 0, n)
    if count > 1:
        acc = add(acc, read(source, taps, 1, n))
        if count > 3:
            acc = add(acc, add(read(source, taps, 2, n), read(source, taps, 3, n)))
        elif count > 2:
            acc = add(acc, read(source, taps, 2, n))
    return acc
