"""Accumulators that remember where their value came from: (value, key) per lane.

Keys order the elements of a window row-major. In small windows a key is one byte, the number of the tap, 255 for nothing; in large ones it is the
element's place in its plane, an int64, from `NOWHERE` up for nothing.
"""

# ruff: noqa: F821 - free names are bound by the builder

TEMPLATE = True


def tap(addr, key) -> "acc":
    return accumulated(load_x(addr), key)


def accumulated(v, key) -> "acc":
    return seen(v), placed(v, splat_k(key))


def tap_2(addr, key) -> "acc":
    v = load_x_2(addr)
    return seen(v), placed(v, splat_k(key))


def tap_n(addr, n, key) -> "acc":
    return accumulated_n(load_x_n(addr, n), n, key)


def accumulated_n(v, n, key) -> "acc":
    return seen_n(v, n), placed(v, splat_k_n(key, n))


def tap_1(addr, key) -> "one":
    v = get_x(addr)
    return seen(v), placed(v, key_1(key))


def tap_if(addr, key, there, weight) -> "acc":
    v, k = load_x(addr), splat_k(key)
    return pick(there, seen(v), absent(v)), pick(there, placed(v, k), keyless(k))


def tap_if_1(addr, key, there, weight) -> "one":
    v, k = get_x(addr), key_1(key)
    return pick(there, seen(v), absent(v)), pick(there, placed(v, k), keyless(k))


def pull(row, span, i, key) -> "acc":
    return load_a(row + i * A_SIZE), key_add(load_k(row + span + i * K_SIZE), key)


def pull_1(row, span, i, key) -> "one":
    return get_a(row + i * A_SIZE), key_add_1(get_k(row + span + i * K_SIZE), key)


def spot(low, high, places, key) -> "acc":
    at = load_places(places)
    return permute(low[0], at, high[0]), key_add(permute_k(low[1], at, high[1]), key)


def in_column(acc, key) -> "same":
    return acc[0], key_add(acc[1], key)


def merge(acc, new) -> "same":
    """The better value; of equal ones the one that comes first in the window, whatever the order of merging."""
    wins = either(beats(new[0], acc[0]), both(ties(new[0], acc[0]), less(new[1], acc[1])))
    return pick(wins, new[0], acc[0]), pick(wins, new[1], acc[1])


def merge_later(acc, new) -> "same":
    """The same where `new` comes later in the window: of equal values it loses."""
    wins = beats(new[0], acc[0])
    return pick(wins, new[0], acc[0]), pick(wins, new[1], acc[1])


def numbered(acc) -> "same":
    """Keys that so far are those of a vector's first lane."""
    return acc[0], lane_keys(acc[1])


def emit(y, keys, i, acc, divisor):
    store_y(y + i * Y_SIZE, finish(found(acc[0], acc[1]), divisor))
    save_k(keys + i * K_SIZE, settle(acc[1]))


def emit_past(y, keys, i, acc, divisor):
    store_y_past(y + i * Y_SIZE, finish(found(acc[0], acc[1]), divisor))
    save_k(keys + i * K_SIZE, settle(acc[1]))


def emit_n(y, keys, i, n, acc, divisor):
    store_y_n(y + i * Y_SIZE, finish(found(acc[0], acc[1]), divisor), n)
    save_k_n(keys + i * K_SIZE, settle(acc[1]), n)


def emit_planes(y, y_gap, keys, k_gap, n, acc, divisor):
    store_y_planes(y, y_gap, finish(found(acc[0], acc[1]), divisor), n)
    save_k_planes(keys, k_gap, settle(acc[1]), n)


def locate(row, span, places, n):
    """Add the columns' part to keys that so far hold the rows' part."""
    for i in range(0, n, LANES):
        at = row + span + i * K_SIZE
        store_k(at, add(load_k(at), load_k(places + i * K_SIZE)))
