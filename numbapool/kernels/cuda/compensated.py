"""Accumulators of two numbers per lane: a sum, and what rounding took from it (Møller 1965, Knuth's TwoSum). Never with multiplications, which a compiler may fuse."""

# ruff: noqa: F821 - free names are bound by the builder

TEMPLATE = True


def tap(addr, key):
    return accumulator(seen(load_x(addr)))


def accumulator(v):
    return v, zero_of(v)


def nothing():
    return identity(), identity()


def merge(acc, new):
    total = add(acc[0], new[0])
    part = sub(total, acc[0])
    lost = add(sub(acc[0], sub(total, part)), sub(new[0], part))
    return total, add(add(acc[1], new[1]), lost)


def settled(acc):
    """The sum; where it is infinite, what was lost is not a number."""
    return pick(isnan(acc[1]), acc[0], add(acc[0], acc[1]))


def emit(y, keys, i, acc, divisor):
    store_y(y + i * Y_SIZE, finish(settled(acc), divisor))


def emit_n(y, keys, i, n, acc, divisor):
    store_y_n(y + i * Y_SIZE, finish(settled(acc), divisor), n)
