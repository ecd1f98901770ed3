"""Accumulators that are plain values: one number per lane.

`values`, `keyed` and `paired` define the same functions, so one template serves them all. `row` is a scratch row of accumulators and `span` the distance
from it to the row of what accompanies them (keys, weights).
"""

# ruff: noqa: F821 - free names are bound by the builder

TEMPLATE = True


def tap(addr, key) -> "acc":
    return accumulated(load_x(addr), key)


def accumulated(v, key) -> "acc":
    return seen(v)


def tap_2(addr, key) -> "acc":
    return seen(load_x_2(addr))


def tap_n(addr, n, key) -> "acc":
    return accumulated_n(load_x_n(addr, n), n, key)


def accumulated_n(v, n, key) -> "acc":
    return seen_n(v, n)


def tap_1(addr, key) -> "one":
    return seen(get_x(addr))


def tap_if(addr, key, there, weight) -> "acc":
    return accumulated_if(load_x(addr), key, there, weight)


def accumulated_if(v, key, there, weight) -> "acc":
    return pick(there, valued(v, weight), absent(v))


def tap_if_1(addr, key, there, weight) -> "one":
    v = get_x(addr)
    return pick(there, valued(v, weight), absent(v))


def pull(row, span, i, key) -> "acc":
    return load_a(row + i * A_SIZE)


def pull_1(row, span, i, key) -> "one":
    return get_a(row + i * A_SIZE)


def push(row, span, i, acc):
    store_a(row + i * A_SIZE, acc)


def push_1(row, span, i, acc):
    put_a(row + i * A_SIZE, acc)


def push_some(row, span, i, acc, bits):
    store_some(row + i * A_SIZE, acc, bits)


def choose(mask, first, second) -> "second":
    return pick(mask, first, second)


def nothing() -> "acc":
    return identity()


def spot(low, high, places, key) -> "acc":
    return permute(low, load_places(places), high)


def shuffled(low, high, lanes) -> "acc":
    """Those lanes of two vectors, one behind the other, that a primitive takes."""
    return lanes(low, high)


def in_column(acc, key) -> "same":
    """Of the tap along W whose key is this."""
    return acc


def spaced_low(acc) -> "acc":
    return zip_low(acc, nothing())


def spaced_high(acc) -> "acc":
    return zip_high(acc, nothing())


def numbered(acc) -> "same":
    return acc


def emit(y, keys, i, acc, divisor):
    store_y(y + i * Y_SIZE, finish(acc, divisor))


def emit_past(y, keys, i, acc, divisor):
    store_y_past(y + i * Y_SIZE, finish(acc, divisor))


def emit_line_past(y, keys, i, acc, divisor):
    store_y_line_past(y + i * Y_SIZE, finish(acc, divisor))


def emit_n(y, keys, i, n, acc, divisor):
    store_y_n(y + i * Y_SIZE, finish(acc, divisor), n)


def emit_planes(y, y_gap, keys, k_gap, n, acc, divisor):
    store_y_planes(y, y_gap, finish(acc, divisor), n)


def copy_keys(keys, line, n, step):
    pass


def locate(row, span, places, n):
    pass
