"""What a kernel takes of an element, by the options of a call: NaNs left out, weights multiplied, magnitudes raised to a power.

Each function is bound under the name that the accumulators call: `seen` (an element as a value), `valued` (the same with its weight), `placed`
(the key of an element), `found` (a result with its key). All serve scalars and vectors alike.
"""

# ruff: noqa: F821 - free names are bound by the builder

TEMPLATE = True


def as_is(v) -> "same":
    return v


def merge_three(acc, v, w) -> "same":
    return merge(merge(acc, v), w)


def merge_three_later(acc, v, w) -> "same":
    return merge_later(merge_later(acc, v), w)


def block_of(addr, key) -> "acc":
    return add_block(addr)


def block_of_n(addr, n, key) -> "acc":
    return add_block_n(addr, n)


def as_is_of(v, other) -> "same":
    return v


def no_doubt(v) -> "int":
    return 0


def as_is_row(v, row, span, at, n) -> "same":
    return v


def key_as_is(v, key) -> "second":
    return key


def unless_nan(v) -> "same":
    return pick(isnan(v), absent(v), v)


def one_nan(v) -> "same":
    """All NaNs as the one that is not the mark of absence."""
    return pick(isnan(v), nan(v), v)


def magnitude_unless_nan(v) -> "same":
    return pick(isnan(v), absent(v), fabs(v))


def raised(v) -> "same":
    return power(fabs(v))


def raised_unless_nan(v) -> "same":
    return pick(isnan(v), absent(v), power(fabs(v)))


def seen_below(v, n) -> "same":
    return pick(first_lanes(n), seen(v), absent(v))


def seen_of(v, weight) -> "same":
    return seen(v)


def weighed(v, weight) -> "same":
    return mul(v, weight)


def weighed_unless_nan(v, weight) -> "same":
    return pick(isnan(v), absent(v), mul(v, weight))


def key_unless_nan(v, key) -> "second":
    return pick(isnan(v), keyless(key), key)


def zero_if_none(v, key) -> "same":
    return pick(less(key, keyless(key)), v, zero(v))


# ---- masks and weights at an address, whose next element may be the same one --------------------------------------------


def mask_at(addr, step) -> "mask":
    return load_mask(addr) if step else splat_mask(addr)


def no_mask(addr, step) -> "mask":
    return every()


def no_mask_n(addr, n) -> "mask":
    return first_lanes(n)


def no_mask_1(addr) -> "flag":
    return every_1()


def weights_at(addr, step) -> "weight":
    return load_w(addr) if step else splat_w(get_w(addr))


def no_weights(addr, step) -> "weight":
    return ones()


def no_weights_n(addr, n) -> "weight":
    return ones()


def no_weights_1(addr) -> "weight_1":
    return ones_1()


def ignore(addr, v):
    pass


def ignore_row(args, least, row, span, n):
    pass


def ignore_columns(args, least, taps, count, source, columns):
    pass


def ignore_planes(addr, gap, v, n):
    pass


def ignore_n(addr, v, n):
    pass


def ignore_plane(args, source, g):
    pass


# ---- norms that neither overflow nor underflow: (scale, Σ(|x|/scale)^p) ---------------------------------------------------


def merge_scaled(acc, new) -> "same":
    scale = widest(acc[0], new[0])
    return scale, add(mul(acc[1], share(acc[0], scale)), mul(new[1], share(new[0], scale)))


def share(v, scale) -> "same":
    return power(pick(ties(v, scale), unit(v), div(v, scale)))


def merge_sums(acc, new) -> "same":
    return add(acc[0], new[0]), add(acc[1], new[1])


# ---- accumulators to results ----------------------------------------------------------------------------------------------


def finish_root(acc, divisor) -> "end":
    return root(acc)


def finish_rounded_root(acc, divisor) -> "end":
    return rint(root(acc))


def finish_scaled(acc, divisor) -> "end":
    return pick(ties(acc[1], zero(acc[1])), zero(acc[1]), mul(acc[0], root(acc[1])))


def finish_rounded_scaled(acc, divisor) -> "end":
    return rint(finish_scaled(acc, divisor))


def finish_weighted(acc, divisor) -> "end":
    return pick(ties(acc[1], zero(acc[1])), nan(acc[1]), div(to_end(acc[0]), acc[1]))


def finish_rounded_weighted(acc, divisor) -> "end":
    """Half to even; what negative weights carry out of the range stays at its end."""
    return within(rint(finish_weighted(acc, divisor)))


def finish_present(acc, divisor) -> "end":
    """The mark of absence as the identity."""
    return pick(known(acc), acc, identity_of(acc))


def finish_rounded(acc, divisor) -> "end":
    return rint(acc)
