"""Stages of a gradient whose elements have factors of their own (masked, weighed, left out as NaNs, slopes of a norm), and whose dy is divided by what the
forward call summed.

Beside dx lie `M` (mask), `V` (weights) and `K` (x), beside dy `S` (sums of weights, or norms). An item reads its own copy of the argument block, in which all
but x begin where the item does.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.block import *

TEMPLATE = True


def enter(args, room, entry, g, c) -> "int":
    own = room + word(args, AT_ARGS)
    for i in range(COUNT):
        set_word(own, i, word(args, i))
    set_word(
        own, M, word(args, M) + word(word(args, M_TABLE), entry) + g * word(args, M_G) + c * word(args, M_I)
    )
    set_word(
        own, V, word(args, V) + word(word(args, V_TABLE), entry) + g * word(args, V_G) + c * word(args, V_I)
    )
    set_word(
        own, S, word(args, S) + word(word(args, S_TABLE), entry) + g * word(args, S_G) + c * word(args, S_I)
    )
    return own


def begin_at(args, first):
    set_word(args, S, word(args, S) + first * word(args, S_W))


def keys_at(args, od, o, first) -> "int":
    set_word(args, M, word(args, M) + od * word(args, M_D) + o * word(args, M_W))
    set_word(args, V, word(args, V) + od * word(args, V_D) + o * word(args, V_W))
    return od * word(args, K_D) + o * word(args, K_W)


def share(args, out, row, span, groups, columns, inner, d, h, divisors):
    """As `scale` of `spread`, by sums that are read."""
    sums = word(args, S) + d * word(args, S_D) + h * word(args, S_H)
    for g in range(groups):
        at = g * word(args, PITCH)
        if inner == 1:
            share_line(row, out, span, at, columns, sums, word(args, S_W))
        elif word(args, PACKED_S):
            share_line(row, out, span, at, columns * inner, sums, word(args, S_I))
        else:
            for w in range(columns):
                share_line(row, out, span, at + w * inner, inner, sums + w * word(args, S_W), word(args, S_I))
        sums += word(args, S_G)


def share_line(row, out, span, at, n, sums, step):
    if step == S_SIZE and n >= LANES:
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            push(out, span, at + i, shared(pull(row, span, at + i, 0), load_s(sums + i * S_SIZE)))
    elif step == S_SIZE:
        push(out, span, at, shared(pull(row, span, at, 0), load_s_n(sums, n)))
    else:
        for i in range(n):
            push_1(out, span, at + i, shared(pull_1(row, span, at + i, 0), get_s(sums + i * step)))


def share_of_sum(v, s) -> "same":
    return pick(equal(s, zero(s)), zero(v), div(v, s))


def share_of_norm(v, s) -> "same":
    return pick(equal(s, zero(s)), zero(v), div(v, power(s)))


def weigh(args, row, out, span, h, x, groups, columns, inner) -> "int":
    """out = row times the factors of row h of dx; the address of out."""
    x += h * word(args, K_H)
    mask, weights = word(args, M) + h * word(args, M_H), word(args, V) + h * word(args, V_H)
    for g in range(groups):
        at = g * word(args, PITCH)
        if inner == 1:
            weigh_line(row, out, span, at, columns, x, word(args, K_W), mask, word(args, M_W), weights, word(args, V_W))  # fmt: skip
        elif word(args, PACKED_BESIDE):
            weigh_line(row, out, span, at, columns * inner, x, word(args, K_I), mask, word(args, M_I), weights, word(args, V_I))  # fmt: skip
        else:
            for w in range(columns):
                weigh_line(
                    row, out, span, at + w * inner, inner, x + w * word(args, K_W), word(args, K_I),
                    mask + w * word(args, M_W), word(args, M_I), weights + w * word(args, V_W), word(args, V_I),
                )  # fmt: skip
        x += word(args, K_G)
        mask += word(args, M_G)
        weights += word(args, V_G)
    return out


def weigh_line(row, out, span, at, n, x, x_step, mask, m_step, weights, v_step):
    near = (x_step == E_SIZE or not READS_X) and (m_step == 0 or m_step == 1)
    if n >= LANES and near and (v_step == 0 or v_step == V_SIZE):
        for j in range(0, n, LANES):
            i = min(j, n - LANES)
            v = mul(pull(row, span, at + i, 0), weighing(weights + i * v_step, v_step))
            there = allowed(mask + i * m_step, m_step)
            push(out, span, at + i, passed(v, element(x + i * x_step), there))
    else:
        for i in range(n):
            one = mul(pull_1(row, span, at + i, 0), weighing_1(weights + i * v_step))
            there_1 = allowed_1(mask + i * m_step)
            push_1(out, span, at + i, passed(one, element_1(x + i * x_step), there_1))


def where_allowed(v, e, there) -> "same":
    return pick(there, v, zero(v))


def where_known(v, e, there) -> "same":
    return pick(both(there, isnumber(e)), v, zero(v))


def sloped(v, e, there) -> "same":
    """Times the slope of |e|^p / p, which 0 does not have."""
    size = fabs(e)
    slope = pick(isnan(e), e, with_sign(power(size), e))
    return pick(both(there, either(less(zero(v), size), isnan(e))), mul(v, slope), zero(v))


def sloped_known(v, e, there) -> "same":
    return pick(isnumber(e), sloped(v, e, there), zero(v))


def no_element(addr) -> "acc":
    return identity()


def no_element_1(addr) -> "one":
    return identity_1()
