"""Accumulators of two numbers per lane: a sum and the sum of the weights in it, or a norm's scale and its scaled sum.

The second number is of the type in which results are finished. `first_of`, `second_of` and `merge` make the pair what it is.
"""

# ruff: noqa: F821 - free names are bound by the builder

TEMPLATE = True


def tap(addr, key) -> "acc":
    return accumulated(load_x(addr), key)


def accumulated(v, key) -> "acc":
    return paired(v, counts(v), unit(v))


def tap_2(addr, key) -> "acc":
    v = load_x_2(addr)
    return paired(v, counts(v), unit(v))


def tap_n(addr, n, key) -> "acc":
    return accumulated_n(load_x_n(addr, n), n, key)


def accumulated_n(v, n, key) -> "acc":
    return paired(v, both(counts(v), first_lanes(n)), unit(v))


def tap_1(addr, key) -> "one":
    v = get_x(addr)
    return paired(v, counts(v), unit(v))


def tap_if(addr, key, there, weight) -> "acc":
    return accumulated_if(load_x(addr), key, there, weight)


def accumulated_if(v, key, there, weight) -> "acc":
    return paired(v, both(there, counts(v)), weight)


def tap_if_1(addr, key, there, weight) -> "one":
    v = get_x(addr)
    return paired(v, both(there, counts(v)), weight)


def paired(v, there, weight) -> "accs":
    return pick(there, valued(v, weight), absent(v)), pick(there, weight, zero(v))


def pull(row, span, i, key) -> "acc":
    return load_a(row + i * A_SIZE), load_k(row + span + i * K_SIZE)


def pull_1(row, span, i, key) -> "one":
    return get_a(row + i * A_SIZE), get_k(row + span + i * K_SIZE)


def spot(low, high, places, key) -> "acc":
    at = load_places(places)
    return permute(low[0], at, high[0]), permute_k(low[1], at, high[1])


def in_column(acc, key) -> "same":
    return acc


def numbered(acc) -> "same":
    return acc


def emit(y, keys, i, acc, divisor):
    store_y(y + i * Y_SIZE, finish(acc, divisor))
    save_k(keys + i * K_SIZE, acc[1])


def emit_past(y, keys, i, acc, divisor):
    store_y_past(y + i * Y_SIZE, finish(acc, divisor))
    save_k(keys + i * K_SIZE, acc[1])


def emit_n(y, keys, i, n, acc, divisor):
    store_y_n(y + i * Y_SIZE, finish(acc, divisor), n)
    save_k_n(keys + i * K_SIZE, acc[1], n)


def emit_planes(y, y_gap, keys, k_gap, n, acc, divisor):
    store_y_planes(y, y_gap, finish(acc, divisor), n)
    save_k_planes(keys, k_gap, acc[1], n)


def locate(row, span, places, n):
    pass
