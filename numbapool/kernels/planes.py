"""Planes that have windows of their own: every item reads the tables of its plane."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def enter(args, room, entry, g, c) -> "int":
    """A copy of the argument block with the plane's tables, which lie behind each other."""
    own = room + word(args, AT_ARGS)
    for i in range(COUNT):
        set_word(own, i, word(args, i))
    table = word(args, P) + word(word(args, P_TABLE), entry) + g * word(args, P_G)
    set_word(own, D_TABLE, table)
    table += 32 * word(args, OUT_D)
    set_word(own, H_TABLE, table)
    set_word(own, W_TABLE, table + 32 * word(args, OUT_H))
    return own
