"""What the free names of a template mean for one combination of reduction and element types: forward."""

from __future__ import annotations

import numpy as np

from numbapool import dtypes, reductions
from numbapool.kernels import double, keyed, paired, planes, taken, values, watch
from numbapool.kernels.vectors import (
    ADDED,
    PAIRS,
    fused_lanes,
    lanes_of,
    narrow_lanes,
    narrow_planes,
    places_dtype,
    whole_lanes,
    widens,
)

NOWHERE = 2**62  # int64 keys from here on: no element
NO_TAP = 255


_MOVES = tuple(
    "moved_up moved_up_2 moved_up_3 moved_down moved_down_2 moved_down_3 moved_down_4 moved_down_8 moved_down_16 moved_down_32".split()
)


def functions(module):
    """The functions that a module of accumulators contributes."""
    return {n: f for n, f in vars(module).items() if callable(f) and f.__module__ == module.__name__}


def forward(
    reduction, types, channel=None, saves=False, elements=reductions.ALL, apart=False, lanes=None, p=None
):
    """Binding of the row templates.

    Parameters
    ----------
    reduction : Reduction
    types : Types
    channel : {None, "uint8", "int64", "float32", "float64"}
        The dtype of what accompanies every value: keys, or if it floats the other half of a pair.
    saves : bool
        Whether what accompanies the results is stored.
    elements : Elements
    apart : bool
        Every plane has windows of its own.
    lanes : int, optional
        Elements per vector, where it is not for `lanes_of` to say.
    p : module, optional
        Other primitives than those of the CPU.
    """
    other = p is not None
    if not other:
        from numbapool.kernels import primitives as p

    lanes = lanes or lanes_of(types, channel)
    identity = identity_of(reduction, types)
    present = tells_absent(reduction, elements)
    y_name = types.y if other else y_dtype(reduction, types)
    names = {
        "TYPES": p.named_types(types.acc, types.end, channel, lanes),
        "LANES": lanes,
        "CHAIN": 16,
        "X_SIZE": dtypes.itemsize(types.x),
        "A_SIZE": dtypes.itemsize(types.acc),
        "Y_SIZE": dtypes.itemsize(types.y),
        "D_SIZE": dtypes.itemsize(types.end),
        "K_SIZE": dtypes.itemsize(channel) if channel else 0,
        "IDEMPOTENT": reduction.selecting,
        "JOINS": not elements.beside,
        "load_x": p.loader(types.x, types.acc, lanes),
        "load_x_2": p.spread_loader(types.x, types.acc, lanes),
        "load_x_n": p.partial_loader(types.x, types.acc, lanes, "mark" if present else identity),
        "get_x": p.getter(types.x, types.acc),
        "load_a": p.loader(types.acc, types.acc, lanes),
        "get_a": p.getter(types.acc, types.acc),
        "store_a": p.storer(types.acc, types.acc, lanes),
        "put_a": p.putter(types.acc, types.acc),
        "put_place": p.putter("int64", "int64"),
        "store_y": p.storer(types.end, y_name, lanes),
        "store_y_n": p.partial_storer(types.end, y_name, lanes),
        "copy_y": p.copier(types.y),
        "identity": p.constant(types.acc, "mark" if present else identity, lanes),
        "evens": p.evens,
        "odds": p.odds,
        "word": p.word,
        "set_word": p.set_word,
        "prefetch": p.prefetch,
        "merge": getattr(p, ("present_" if present else "") + reduction.merge),
    }
    names |= {"seen": taken.as_is, "seen_n": taken.as_is_of}
    names |= _finish(p, reduction, types, lanes, channel)
    if channel in PAIRS:
        names |= functions(double) | functions(paired) | _pairs(p, channel, lanes)
    elif channel:
        names |= functions(double) | functions(keyed) | _keys(p, channel, lanes)
        names |= {n: getattr(p, n) for n in ("ties", "less", "either", "both", "pick")}
        names |= {
            "beats": getattr(p, ("present_" if present else "") + reduction.beats),
            "found": taken.as_is_of,
            "placed": taken.key_as_is,
        }
    else:
        names |= functions(values)
    names["SCANS"] = scans(reduction, channel)
    if names["SCANS"]:
        names |= {n: getattr(p, n) for n in ("sums_to", "sums_from", "pick")}
        names |= {"first_lanes": p.lane_counter(lanes), "splat_a": p.splatter(types.acc, lanes)}
    if elements or reduction.power is not None:
        names |= _elements(p, reduction, types, channel, elements, lanes)
    if channel and not saves:
        names |= {"save_k": taken.ignore, "save_k_n": taken.ignore_n, "copy_keys": values.copy_keys}
    if apart:
        names |= functions(planes)
    names.setdefault("merge_later", names["merge"])
    if other:
        return names
    names |= {n: getattr(p, n) for n in (*_MOVES, "fence")}
    names["store_y_past"] = p.past_storer(types.end, y_name, lanes)
    names |= {"MARKS": False} | (_marking(p, lanes) if marks(types, channel) else {})
    names |= _at_once(p, reduction, types, channel, elements, lanes, names["merge"])
    names["TYPES"] = names["TYPES"] | p.named_vectors(lanes, tree=types.x if names["WIDENS"] else types.acc)
    return names | _watch(p, reduction, types, channel, lanes) | _sliding(p, reduction, types, lanes, y_name, slides(reduction, types, channel, elements))  # fmt: skip


def y_dtype(reduction, types):
    """The dtype of results, with a word on how they become it."""
    chooses = reduction.selecting and reduction.power is None and types.x == types.y == "bfloat16"
    if _rounds_small(reduction, types):
        return dtypes.NEAREST[types.y]
    return dtypes.CHOSEN_BFLOAT16 if chooses else types.y


def _rounds_small(reduction, types):
    """Whether means of small integers become integers of a byte or two as they are stored."""
    return (
        reduction.mean
        and dtypes.kind(types.acc) == "i"
        and types.end == "float32"
        and types.y in dtypes.NEAREST
    )


def marks(types, channel):
    """Whether windows that do not slide, whose taps no byte tells, are taken out of a row by bits that say where they begin."""
    from numbapool.kernels import primitives as p

    return channel != "uint8" and all(p.compresses(dtypes.itemsize(n)) for n in (types.acc, channel) if n)


def _marking(p, lanes):
    common = {n: getattr(p, n) for n in ("store_some", "bits_in", "pick")}
    return common | {"MARKS": True, "lanes_in": p.lanes_in_bits(lanes)}


def _at_once(p, reduction, types, channel, elements, lanes, merge):
    """What is done to several vectors at once: lanes taken out of two, three merged, trees of many."""
    places = places_dtype(types)
    names = {
        "load_places": p.table_loader(places, places, lanes),
        "permute": p.permuter(types.acc, places, lanes),
        "merge_3": taken.merge_three,
        "merge_3_later": taken.merge_three_later,
        "WIDENS": widens(reduction, types, elements),
        "TREES": reduction.merge == "add" and reduction.power is None and not (channel or elements),
    }
    if channel:
        names["permute_k"] = p.permuter(channel, places, lanes)
    if merge in (p.maximum, p.minimum):
        names["merge_3"] = names["merge_3_later"] = getattr(p, f"{reduction.merge}_3")
    if names["TREES"]:
        leaves = types.x if names["WIDENS"] else types.acc
        names |= {
            "load_tree": p.loader(types.x, leaves, lanes),
            "load_tree_n": p.partial_loader(types.x, leaves, lanes, 0),
            "widened": p.caster(leaves, types.acc, lanes) if names["WIDENS"] else taken.as_is,
            "add": p.add,
        }
    return names


def scans(reduction, channel):
    """Whether windows of more than two vectors along W are added up from blocks."""
    return channel is None and reduction.merge == "add"


def slides(reduction, types, channel, elements):
    """Whether windows along W are made from run to run in registers (`covering.slide`)."""
    from numbapool.kernels import primitives as p

    # Where NaNs are left out, one that stands for no element lies at every edge.
    apt = reduction.selecting and channel is None and not tells_absent(reduction, elements)
    lanes = lanes_of(types, channel)
    # A dozen vectors are in use at a time: those of 128 bytes only where a register holds 64.
    held = lanes * dtypes.itemsize(types.acc) <= 64 or p.permutes_two(4)
    return apt and held and lanes >= 8 and lanes * dtypes.itemsize(types.y) >= 64  # whole lines of results


def _sliding(p, reduction, types, lanes, y_name, slides):
    if not slides:
        return {"SLIDES": False}
    numbers = dtypes.is_float(types.acc)
    return {
        "SLIDES": True,
        "merge_numbers": getattr(p, f"{reduction.merge}_of_numbers" if numbers else reduction.merge),
        "unordered": p.unordered if numbers else p.nowhere,
        "any_lane": p.any_lane,
        "store_y_line_past": p.past_storer(types.end, y_name, lanes, 64),
        "either": p.either,
    }


def _watch(p, reduction, types, channel, lanes):
    """Whether zeros of both signs are looked for; keys tell which one is the first."""
    if channel or not reduction.signed_zeros(types.x):
        blind = {
            "watch": taken.ignore_row,
            "watch_columns": taken.ignore_columns,
            "tell": taken.ignore,
            "in_doubt": taken.no_doubt,
        }
        return blind | {"noticed": taken.as_is_of, "noticed_row": taken.as_is_row}
    bits = ("lesser_bits", "lesser_unsigned_bits", "any_negative_zero", "any_positive_zero")
    names = {n: getattr(p, n) for n in (*bits, "pick")}
    return functions(watch) | names | {"first_lanes": p.lane_counter(lanes)}


def fused(reduction, types, channel=None, saves=False, elements=reductions.ALL):
    """Binding of the template for windows of two, three, five or seven columns, which are merged in registers."""
    from numbapool.kernels import primitives as p

    line, lanes = ("int64", "int64", 8), fused_lanes(types)
    names = forward(reduction, types, channel, saves, elements, lanes=lanes)
    splits = not (channel or elements) and (dtypes.itemsize(types.x), types.acc) == (1, "int16")
    if splits:
        names["load_both"] = p.both_loader(types.x, types.acc, lanes)
    if elements.beside:
        names |= _alike(p, types, elements, lanes)
    return names | {
        "MARKS": False,  # its windows slide
        "ALIKE": bool(elements.beside),
        "begin_plane": names.get("begin_plane", taken.ignore_plane),
        "SPLITS": splits,
        "TWO_ROWS": not (channel or elements.beside or names["WIDENS"]),
        "load_line": p.loader(*line),
        "store_line": p.storer(*line),
        "store_line_past": p.past_storer(*line, 64),
    }


def _alike(p, types, elements, lanes):
    """What is beside x, where it lies as x does."""
    from numbapool.kernels import alike

    names = functions(alike) | {"X_SHIFT": dtypes.itemsize(types.x).bit_length() - 1}
    names |= {"allowed_n": taken.no_mask_n, "weighing_n": taken.no_weights_n}
    if elements.where:
        names["allowed_n"] = p.partial_flag_loader(lanes)
    if elements.weights:
        names["weighing_n"] = p.partial_loader(elements.weights, types.end, lanes, 0)
    return names


def whole(reduction, types, channel=None, saves=False, elements=reductions.ALL):
    """Binding of the template for planes with one window."""
    from numbapool.kernels import primitives as p

    names = forward(
        reduction, types, channel, saves, elements, lanes=whole_lanes(reduction, types, channel, elements)
    )
    lanes = names["LANES"]
    if widens(reduction, types, elements):
        loads = p.block_loader(types.x, types.acc, lanes, ADDED)
        names |= dict(zip(("add_block", "add_block_n", "most_of_block"), loads, strict=True))
        names |= {"BLOCK": ADDED, "block": taken.block_of, "block_n": taken.block_of_n}
        return names | {"FEW": True, "FEW_LEAST": 1, "FEW_MOST": ADDED, "MOST_OF_BLOCK": ADDED // 4 * 3}
    names |= {"BLOCK": lanes, "block": names["tap"], "block_n": names["tap_n"]}
    return names | {"FEW": reduction.selecting, "FEW_LEAST": lanes, "FEW_MOST": 4 * lanes}


def long(reduction, types, channel=None, saves=False, elements=reductions.ALL):
    """Binding of the template for windows of many columns."""
    from numbapool.kernels import long as template

    names = whole(reduction, types, channel, saves, elements)
    if elements.beside:
        names |= {"piece": template.piece_beside, "last_piece": template.last_piece_beside}
    return names


def narrow(reduction, types, channel=None, saves=False, elements=reductions.ALL, shares=False):
    """Binding of the template for rows of at most two vectors; with `shares` every row of x is divided as it is read."""
    from numbapool.kernels import narrow as template
    from numbapool.kernels import primitives as p

    columns, planes = narrow_lanes(types), narrow_planes(types)
    lanes = columns * planes
    names = forward(reduction, types, channel, saves, elements, lanes=lanes)
    fill = "mark" if tells_absent(reduction, elements) else identity_of(reduction, types)
    names |= {
        "COLUMNS": columns,
        "PLANES": planes,
        "SPOT_BYTES": p.REGISTER * planes,
        "load_x_planes": p.whole_planes_loader(types.x, types.acc, lanes, planes),
        "load_x_planes_n": p.planes_loader(types.x, types.acc, lanes, planes, fill),
        "store_y_planes": p.planes_storer(types.end, y_dtype(reduction, types), lanes, planes),
        "save_k_planes": taken.ignore_planes,
        "first_lanes": p.lane_counter(lanes, planes),
        "pick": p.pick,
    }
    if saves:
        names["save_k_planes"] = p.planes_storer(channel, channel, lanes, planes)
    if channel and channel not in PAIRS:
        names["splat_k_n"] = p.key_splatter_n(channel, lanes, none_of(channel), planes)
    if shares:
        names |= {
            "read": template.read_share,
            "read_row": template.read,
            "finish": reductions.finish_as_is,
            "div": p.div,
        }
    return names


def identity_of(reduction, types):
    """The accumulator of no element."""
    plain = (
        reduction.selecting and reduction.power is None
    )  # then bool, an integer to kernels, has limits of its own
    return np.dtype(types.acc).type(reduction.identity(types.x if plain else types.acc))


def tells_absent(reduction, elements):
    """Whether accumulators tell a NaN that was left out from no element at all."""
    return elements.omit and reduction.selecting and reduction.power is None


def _elements(p, reduction, types, channel, elements, lanes):
    """What `elements` and norms change in how an element is taken, and a result finished."""
    identity = identity_of(reduction, types)
    pairs = channel in PAIRS
    norm, omit = reduction.power is not None, elements.omit
    present = tells_absent(reduction, elements)
    names = functions(taken) | {
        n: getattr(p, n)
        for n in ("pick", "isnan", "ties", "less", "both", "add", "mul", "div", "fabs", "known")
    }
    names |= {
        "absent": p.constant_like(types.acc, "mark" if present else identity),
        "identity_of": p.constant_like(types.acc, identity),
        "zero": p.constant_like(types.end, 0),
        "unit": p.constant_like(types.end, 1),
        "first_lanes": p.lane_counter(lanes),
        "counts": p.isnumber if omit else p.everywhere,
        "valued": taken.seen_of,
    }
    if dtypes.is_float(types.end):
        names["nan"] = p.constant_like(types.end, float("nan"))
    if channel and not pairs:
        names["keyless"] = p.constant_like(channel, none_of(channel))
        if omit:
            names["placed"] = taken.key_unless_nan
    if norm:
        names |= _norm(p, reduction, types, pairs, omit)
    elif present:
        names["ties"] = p.equal  # what has no key has no place among others of its kind
        names |= {"seen": taken.one_nan, "seen_n": taken.seen_below, "finish": taken.finish_present}
    elif omit and not pairs:
        names |= {"seen": taken.unless_nan, "seen_n": taken.seen_below}
    if elements.weights:
        names["valued"] = taken.weighed_unless_nan if omit and not pairs else taken.weighed
    if elements.beside:
        from numbapool.kernels import masked

        item = dtypes.itemsize(elements.weights) if elements.weights else 1
        names |= functions(masked) | {"V_SIZE": item}
        if channel and not pairs:
            names["merge_later"] = (
                keyed.merge
            )  # what is masked has no key, and may stand in front of its equals
        names |= beside(p, types.end, elements, lanes)
    return names


def _norm(p, reduction, types, pairs, omit):
    rounds = not dtypes.is_float(types.y)
    names = {"seen_n": taken.seen_below, "seen": taken.magnitude_unless_nan if omit and not pairs else p.fabs}
    if reduction.selecting:
        names |= {
            "found": taken.zero_if_none,
            "finish": taken.finish_rounded if rounds else reductions.finish_as_is,
        }
    elif pairs:
        names |= {"merge": taken.merge_scaled, "widest": p.maximum if reduction.power > 0 else p.minimum}
        names["finish"] = taken.finish_rounded_scaled if rounds else taken.finish_scaled
    else:
        names["seen"] = taken.raised_unless_nan if omit else taken.raised
        names["finish"] = taken.finish_rounded_root if rounds else taken.finish_root
    if not reduction.selecting:
        names |= {"power": p.power(reduction.power), "root": p.power(1 / reduction.power)}
    return names | {"rint": p.rint}


def beside(p, compute, elements, lanes):
    """How masks and weights are read, weights as dtype `compute`."""
    names = {
        "load_mask": p.flag_loader(lanes), "splat_mask": p.flag_splatter(lanes), "allowed": taken.mask_at, "allowed_1": p.flag_loader(None),
    } if elements.where else {"every": p.flags(lanes), "every_1": p.flags(None), "allowed": taken.no_mask, "allowed_1": taken.no_mask_1}  # fmt: skip
    get = p.getter(elements.weights, compute) if elements.weights else None
    return names | ({
        "load_w": p.loader(elements.weights, compute, lanes), "splat_w": p.splatter(compute, lanes), "get_w": get,
        "weighing": taken.weights_at, "weighing_1": get,
    } if elements.weights else {
        "ones": p.constant(compute, 1, lanes), "ones_1": p.constant(compute, 1, None),
        "weighing": taken.no_weights, "weighing_1": taken.no_weights_1,
    })  # fmt: skip


def _finish(p, reduction, types, lanes, channel):
    names = {
        "finish": reductions.finish_as_is,
        "divisor_from": reductions.no_divisor,
        "divisor_at": reductions.no_divisor,
    }
    rounds = not dtypes.is_float(types.y) and not _rounds_small(reduction, types)
    if types.acc != types.end or rounds:
        names["to_end"] = p.caster(types.acc, types.end, lanes)
        names["rint"] = p.rint
    if types.acc != types.end:
        names["finish"] = reductions.finish_cast
    elif rounds and dtypes.is_float(types.end):
        names["finish"] = taken.finish_rounded
    if reduction.mean:
        names |= {
            "finish": reductions.finish_rounded_mean if rounds else reductions.finish_mean,
            "divisor_from": reductions.divisor_of_row,
            "divisor_at": reductions.divisor_of_column,
            "to_end": p.caster(types.acc, types.end, lanes),
            "load_end": p.table_loader(types.end, types.end, lanes),
            "get_end": p.getter(types.end, types.end),
            "int_to_end": p.caster("int64", types.end, None),
            "splat_end": p.splatter(types.end, lanes),
            "mul": p.mul,
            "div": p.div,
            "rint": p.rint,
        }
    if reduction.mean and types.end == "int16":
        names |= {
            "finish": reductions.finish_counted_mean,
            "divisor_from": reductions.divisor_of_count,
            "beneath": p.constant_like("int16", reductions.below_zero(types.x)),
            "one_more": p.constant_like("int16", 1),
        }
        names |= {n: getattr(p, n) for n in ("add", "sub", "equal", "both", "pick", "shifted", "upper_half")}
    if reduction.mean and channel:  # each result is divided by the sum of its weights
        clipped = rounds and types.y == types.x
        names |= {
            "finish": taken.finish_rounded_weighted if rounds else taken.finish_weighted,
            "within": p.clipper(types.y) if clipped else taken.as_is,
            "divisor_from": reductions.no_divisor,
            "divisor_at": reductions.no_divisor,
        }
    return names


def _pairs(p, channel, lanes):
    return {
        "no_key": p.constant(channel, 0, lanes),
        "load_k": p.loader(channel, channel, lanes),
        "get_k": p.getter(channel, channel),
        "store_k": p.storer(channel, channel, lanes),
        "put_k": p.putter(channel, channel),
        "save_k": p.storer(channel, channel, lanes),
        "save_k_n": p.partial_storer(channel, channel, lanes),
        "copy_k": p.copier(channel),
        "merge": taken.merge_sums,
        "add": p.add,
    }


def none_of(key):
    """The key of no element."""
    return NO_TAP if key == "uint8" else NOWHERE


def _keys(p, key, lanes):
    none = none_of(key)
    return {
        "splat_k": p.key_splatter(key, lanes),
        "splat_k_n": p.key_splatter_n(key, lanes, none),
        "key_1": p.caster("int64", key, None),
        "no_key": p.constant(key, np.dtype(key).type(none), lanes),
        "key_add": p.key_adder(key, lanes),
        "key_add_1": p.key_adder(key, None),
        "load_k": p.loader(key, key, lanes),
        "get_k": p.getter(key, key),
        "store_k": p.storer(key, key, lanes),
        "save_k": p.storer(key, key, lanes),
        "save_k_n": p.partial_storer(key, key, lanes),
        "put_k": p.putter(key, key),
        "copy_k": p.copier(key),
        "settle": p.settler(key, lanes, none),
        "add": p.add,
        "lane_keys": p.lane_numberer(key, lanes),
    }
