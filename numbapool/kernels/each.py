"""The band of templates that need no more than a plane at a time and no scratch memory: they say what `plane` does."""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.ahead import *
from numbapool.kernels.block import *

TEMPLATE = True


def group(args, source, y, keys, planes, after):
    """One plane after the other; as many as `after` follow."""
    for _ in range(planes):
        ask(source + word(args, FAR), word(args, NEW_X))
        plane(args, source, y, keys)
        source += word(args, X_G)
        y += word(args, Y_G)
        keys += word(args, K_G)


def band(args, slot, first_item, last_item):
    """Items are groups of planes."""
    for item in range(first_item, last_item):
        entry = item // word(args, GROUPS)
        g = (item - entry * word(args, GROUPS)) * word(args, GROUP)
        source = word(args, X) + word(word(args, X_TABLE), entry) + g * word(args, X_G)
        y = word(args, Y) + word(word(args, Y_TABLE), entry) + g * word(args, Y_G)
        keys = word(args, K) + word(word(args, K_TABLE), entry) + g * word(args, K_G)
        left = word(args, OUTER) - g
        planes = min(word(args, GROUP), left)
        group(args, source, y, keys, planes, left - planes)
