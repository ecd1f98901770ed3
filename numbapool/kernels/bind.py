"""What the free names of a template mean for one combination of reduction and element types."""

from __future__ import annotations

import numpy as np

from numbapool import dtypes, reductions
from numbapool.kernels import keyed, paired, planes, taken, values, watch

NOWHERE = 2**62  # int64 keys from here on: no element
NO_TAP = 255
ADDED = 64  # elements of float32 that are added in pairs until an eighth of them is left: three roundings
PAIRS = ("float32", "float64")  # what accompanies a value is the other half of a pair, not a key


_MOVES = ("moved_up", "moved_up_2", "moved_up_3", "moved_down", "moved_down_2", "moved_down_3")


def lanes_for(*names):
    """Elements per vector: two 64-byte registers of the widest type, one if all types are of one size; 64 at most."""
    sizes = {dtypes.itemsize(n) for n in names}
    return min((128 if len(sizes) > 1 else 64) // max(sizes), 64)


def lanes_of(types, channel):
    """Elements per vector of a kernel that loads, accumulates and stores these types; keys have no say."""
    names = types.x, types.acc, types.y
    return lanes_for(*names, channel) if channel in PAIRS else lanes_for(*names)


def fused_lanes(types):
    """Elements per vector where windows are merged in registers, of which three or four are in use at a time."""
    return min(64 // max(dtypes.itemsize(n) for n in (types.x, types.acc, types.y)), 64)


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
    identity = _identity(reduction, types)
    present = _marks(reduction, elements)
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
        "TWO_ROWS": not channel,
        "JOINS": not elements.beside,
        "load_x": p.loader(types.x, types.acc, lanes),
        "load_x_2": p.spread_loader(types.x, types.acc, lanes),
        "load_x_n": p.partial_loader(types.x, types.acc, lanes, "mark" if present else identity),
        "get_x": p.getter(types.x, types.acc),
        "load_a": p.loader(types.acc, types.acc, lanes),
        "get_a": p.getter(types.acc, types.acc),
        "store_a": p.storer(types.acc, types.acc, lanes),
        "put_a": p.putter(types.acc, types.acc),
        "store_y": p.storer(types.end, types.y, lanes),
        "store_y_n": p.partial_storer(types.end, types.y, lanes),
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
        names |= functions(paired) | _pairs(p, channel, lanes)
    elif channel:
        names |= functions(keyed) | _keys(p, channel, lanes)
        names |= {n: getattr(p, n) for n in ("ties", "less", "either", "both", "pick")}
        names |= {
            "beats": getattr(p, ("present_" if present else "") + reduction.beats),
            "found": taken.as_is_of,
            "placed": taken.key_as_is,
        }
    else:
        names |= functions(values)
    names["SCANS"] = channel is None and reduction.merge == "add"
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
    names["store_y_past"] = p.past_storer(types.end, types.y, lanes)
    names |= {"MARKS": False} | (_marking(p, lanes) if marks(types, channel) else {})
    return names | _at_once(p, reduction, types, channel, elements, lanes, names["merge"]) | _watch(p, reduction, types, channel, lanes)  # fmt: skip


def marks(types, channel):
    """Whether windows that do not slide, whose taps no byte tells, are taken out of a row by bits that say where they begin."""
    from numbapool.kernels import primitives as p

    return channel != "uint8" and all(p.compresses(dtypes.itemsize(n)) for n in (types.acc, channel) if n)


def _marking(p, lanes):
    common = {n: getattr(p, n) for n in ("store_some", "bits_in", "pick")}
    return common | {"MARKS": True, "lanes_in": p.lanes_in_bits(lanes)}


def _at_once(p, reduction, types, channel, elements, lanes, merge):
    """What is done to several vectors at once: lanes taken out of two, three merged, four widened."""
    places = places_dtype(types)
    names = {
        "load_places": p.loader(places, places, lanes),
        "permute": p.permuter(types.acc, places, lanes),
        "merge_3": taken.merge_three,
        "merge_3_later": taken.merge_three_later,
        "FOURS": widens(reduction, types, elements),
        "four": taken.no_four,
    }
    if channel:
        names["permute_k"] = p.permuter(channel, places, lanes)
    if merge in (p.maximum, p.minimum):
        names["merge_3"] = names["merge_3_later"] = getattr(p, f"{reduction.merge}_3")
    if names["FOURS"]:
        names |= {
            "four": taken.four_of,
            "load_narrow": p.loader(types.x, types.x, lanes),
            "widened": p.caster(types.x, types.acc, lanes),
            "add": p.add,
        }
    return names


def _watch(p, reduction, types, channel, lanes):
    """Whether zeros of both signs are looked for; keys tell which one is the first."""
    if channel or not reduction.signed_zeros(types.x):
        blind = {"watch": taken.ignore_row, "watch_columns": taken.ignore_columns, "tell": taken.ignore}
        return blind | {"noticed": taken.as_is_of, "noticed_row": taken.as_is_row}
    bits = ("lesser_bits", "lesser_unsigned_bits", "any_negative_zero", "any_positive_zero")
    names = {n: getattr(p, n) for n in (*bits, "pick")}
    return functions(watch) | names | {"first_lanes": p.lane_counter(lanes)}


def whole(reduction, types, channel=None, saves=False, elements=reductions.ALL):
    """Binding of the template for planes with one window."""
    from numbapool.kernels import primitives as p

    names = forward(
        reduction, types, channel, saves, elements, lanes=whole_lanes(reduction, types, channel, elements)
    )
    if widens(reduction, types, elements):
        names["add_block"], names["add_block_n"] = p.block_loader(types.x, types.acc, names["LANES"], ADDED)
        return names | {"BLOCK": ADDED, "block": taken.block_of, "block_n": taken.block_of_n}
    return names | {"BLOCK": names["LANES"], "block": names["tap"], "block_n": names["tap_n"]}


def long(reduction, types, channel=None, saves=False, elements=reductions.ALL):
    """Binding of the template for windows of many columns."""
    from numbapool.kernels import long as template

    names = whole(reduction, types, channel, saves, elements)
    if elements.beside:
        return names | {"piece": template.piece_beside, "last_piece": template.last_piece_beside}
    return names | {"piece": template.plain_piece, "last_piece": template.plain_last_piece}


def widens(reduction, types, elements):
    """Whether elements are widened to be added, so that a few may be added before: half the work, and a few roundings of those that are allowed."""
    plain = reduction.merge == "add" and reduction.power is None and not elements
    return plain and (types.x, types.acc) == ("float32", "float64") and types.y != "float64"


def whole_lanes(reduction, types, channel, elements):
    """Elements per vector where planes are read as a whole."""
    return ADDED // 8 if widens(reduction, types, elements) else lanes_of(types, channel)


def narrow(reduction, types, channel=None, saves=False, elements=reductions.ALL, shares=False):
    """Binding of the template for rows of at most two vectors; with `shares` every row of x is divided as it is read."""
    from numbapool.kernels import narrow as template
    from numbapool.kernels import primitives as p

    names = forward(reduction, types, channel, saves, elements, lanes=narrow_lanes(types))
    names["SPOT_BYTES"] = p.REGISTER
    if shares:
        names |= {"read": template.read_share, "finish": reductions.finish_as_is, "div": p.div}
    return names


def fill(types):
    """Binding of the gradient of sums with one window a plane."""
    from numbapool.kernels import primitives as p

    return forward(reductions.AVG, types) | {"splat_a": p.splatter(types.acc, lanes_of(types, None))}


def onehot(types):
    """Binding of the gradient of selecting reductions with one window a plane."""
    from numbapool.kernels import primitives as p

    lanes = lanes_of(types, None)
    return forward(reductions.AVG, types) | {
        "add": p.add,
        "get_tap": p.getter("uint8", "int64"),
        "get_index": p.getter("int64", "int64"),
        "pick": p.pick,
        "ties": p.ties,
        "splat_a": p.splatter(types.acc, lanes),
        "splat_k": p.key_splatter("int64", lanes),
        "lane_keys": p.lane_numberer("int64", lanes),
    }


def phases(types, lanes=None):
    """Binding of the gradient of selecting reductions by phases: as many lanes as a register has bytes, for the taps, or `lanes`."""
    from numbapool.kernels import primitives as p

    lanes = lanes or phase_lanes(types)
    return forward(reductions.SUM, types, lanes=lanes) | {
        "add": p.add,
        "pick": p.pick,
        "ties": p.ties,
        "zip_low": p.zip_low,
        "zip_high": p.zip_high,
        "load_x_n": p.partial_loader(types.x, types.acc, lanes, 0),
        "no_key": p.constant("uint8", np.uint8(NO_TAP), lanes),
        "load_k": p.loader("uint8", "uint8", lanes),
        "load_k_n": p.partial_loader("uint8", "uint8", lanes, NO_TAP),
        "store_k": p.storer("uint8", "uint8", lanes),
        "splat_k": p.key_splatter("uint8", lanes),
    }


def phase_lanes(types):
    """Elements per vector where saved taps are compared: four registers of values."""
    return 256 // dtypes.itemsize(types.acc)


def chosen(types):
    """Binding of the gradient of selecting reductions for rows of at most two vectors."""
    from numbapool.kernels import primitives as p

    lanes, places = narrow_lanes(types), places_dtype(types)
    return narrow(reductions.SUM, types) | {
        "add": p.add,
        "pick": p.pick,
        "ties": p.ties,
        "permute_k": p.permuter(places, places, lanes),
        "load_k_n": p.partial_loader("uint8", places, lanes, 0),
        "splat_place": p.key_splatter(places, lanes),
    }


def narrow_lanes(types):
    """Elements per vector where lanes are permuted."""
    from numbapool.kernels import primitives as p

    return p.REGISTER // dtypes.itemsize(types.acc)


def places_dtype(types):
    """The dtype of the numbers of lanes where lanes are permuted."""
    return f"uint{8 * dtypes.itemsize(types.acc)}"


def _identity(reduction, types):
    """The accumulator of no element."""
    plain = (
        reduction.selecting and reduction.power is None
    )  # then bool, an integer to kernels, has limits of its own
    return np.dtype(types.acc).type(reduction.identity(types.x if plain else types.acc))


def _marks(reduction, elements):
    """Whether accumulators tell a NaN that was left out from no element at all."""
    return elements.omit and reduction.selecting and reduction.power is None


def _elements(p, reduction, types, channel, elements, lanes):
    """What `elements` and norms change in how an element is taken, and a result finished."""
    identity = _identity(reduction, types)
    pairs = channel in PAIRS
    norm, omit = reduction.power is not None, elements.omit
    present = _marks(reduction, elements)
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
        none = NO_TAP if channel == "uint8" else NOWHERE
        names["keyless"] = p.constant_like(channel, none)
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
        names |= _beside(p, types.end, elements, lanes)
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


def summing(types, factors):
    """Binding of the gradient of sums."""
    from numbapool.kernels import primitives as p

    names = forward(reductions.AVG, types) | {n: getattr(p, n) for n in ("zip_low", "zip_high", "div")}
    names["load_a_n"] = p.partial_loader(types.acc, types.acc, lanes_of(types, None), 0)
    names["MARKS"] = False  # several windows of the gradient begin at one element
    return names | (_factors(p, types, factors) if factors else {})


def selecting(types):
    """Binding of the gradient of selecting reductions."""
    from numbapool.kernels import primitives as p

    lanes = scatter_lanes(types)
    names = forward(reductions.AVG, types, lanes=lanes)
    copiers = {f"copy_{size}": p.copier(f"uint{8 * size}") for size in (1, 4, 8)}
    return names | copiers | {n: getattr(p, n) for n in ("mul", "sub", "pick", "ties", "lesser_unsigned_bits", "without_16_bits", "run_sums", "run_sums_of_4", "run_ends", "trailing_zeros")} | {
        "TYPES": names["TYPES"] | p.named_vectors(lanes, spots="int32"),
        "NO_TAP": NO_TAP,
        "COMPRESSES": p.compresses(4),
        "PERMUTES": p.permutes(4),
        "permute_spot": p.permuter("int32", "int32", lanes),
        "STAGE": stage(),
        "load_x_n": p.partial_loader(types.x, types.acc, lanes, 0),
        "load_tap": p.loader("uint8", "int32", lanes),
        "load_tap_n": p.partial_loader("uint8", "int32", lanes, NO_TAP),
        "load_index": p.loader("int32", "int32", lanes),
        "load_index_n": p.partial_loader("int32", "int32", lanes, -1),
        "load_wide_index": p.loader("int64", "int64", lanes),
        "load_wide_index_n": p.partial_loader("int64", "int64", lanes, -1),
        "load_spot": p.loader("int32", "int32", lanes),
        "store_spot": p.storer("int32", "int32", lanes),
        "get_spot": p.getter("int32", "int64"),
        "splat_spot": p.key_splatter("int32", lanes),
        "splat_wide": p.key_splatter("int64", lanes),
        "to_spot": p.caster("int64", "int32", lanes),
        "copy_x": p.copier(types.x),
        "add": p.add,
        "put_y": p.putter(types.end, types.y),
    }  # fmt: skip


def scatter_lanes(types):
    """Elements per vector where outputs find their sums: no more than a register has, because LLVM compresses no others right."""
    return min(fused_lanes(types), 16)


def stage():
    """Outputs that find their sums at a time: as many as a word has bits where that is how they are told."""
    from numbapool.kernels import primitives as p

    return 512 if p.compresses(4) else 64


def _factors(p, types, factors):
    from numbapool.kernels import factored

    lanes, elements, sums = lanes_of(types, None), factors.elements, factors.sums
    norm, omit = factors.power is not None, elements.omit
    beside = functions(taken) | _beside(p, types.acc, elements, lanes) | functions(factored)
    names = beside | {n: getattr(p, n) for n in ("mul", "div", "pick", "both", "either", "equal", "isnan", "isnumber", "less", "fabs", "with_sign")}  # fmt: skip
    names |= {
        "READS_X": norm or omit,
        "E_SIZE": dtypes.itemsize(types.y),
        "V_SIZE": dtypes.itemsize(elements.weights) if elements.weights else 1,
        "zero": p.constant_like(types.acc, 0),
        "identity_1": p.constant(types.acc, 0, None),
        "passed": factored.where_known if omit else factored.where_allowed,
    }
    if norm:
        passed = factored.sloped_known if omit else factored.sloped
        names |= {"power": p.power(factors.power - 1), "passed": passed}
    if norm or omit:
        names |= {"element": p.loader(types.y, types.acc, lanes), "element_1": p.getter(types.y, types.acc)}
    else:
        names |= {"element": factored.no_element, "element_1": factored.no_element_1}
    if sums:
        names |= {
            "scale": factored.share, "S_SIZE": dtypes.itemsize(sums), "load_s": p.loader(sums, types.acc, lanes),
            "load_s_n": p.partial_loader(sums, types.acc, lanes, 0), "get_s": p.getter(sums, types.acc),
            "shared": factored.share_of_norm if norm else factored.share_of_sum,
        }  # fmt: skip
    return names


def _beside(p, compute, elements, lanes):
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
    rounds = not dtypes.is_float(types.y)
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
            "load_end": p.loader(types.end, types.end, lanes),
            "get_end": p.getter(types.end, types.end),
            "int_to_end": p.caster("int64", types.end, None),
            "splat_end": p.splatter(types.end, lanes),
            "mul": p.mul,
            "div": p.div,
            "rint": p.rint,
        }
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


def _keys(p, key, lanes):
    none = NO_TAP if key == "uint8" else NOWHERE
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


def unpool(item, key, backward):
    """Binding of the unpooling template for elements of `item` bytes, whatever they are, and indices of dtype `key`."""
    from numbapool.kernels import primitives as p

    values = f"uint{8 * item}"
    names = {
        "BACKWARD": backward,
        "get_k": p.getter(key, "int64"),
        "copy_y": p.copier(values),
        "get_marks": p.getter("uint32", "int64"),
        "put_marks": p.putter("int64", "uint32"),
        "MARKS": 64,
        "store_marks": p.storer("uint8", "uint8", 64),
        "no_marks": p.constant("uint8", 0, 64),
        "word": p.word,
        "set_word": p.set_word,
    }
    return names | _cells(p, values, key) if backward else names


def _cells(p, values, key):
    from numbapool.kernels import cells

    lanes, used = (
        unpool_lanes(values),
        ("all_lanes", "both", "either", "evens", "odds", "pick", "sub", "ties"),
    )
    return functions(cells) | {n: getattr(p, n) for n in used} | {
        "TYPES": p.named_types(values, values, None, lanes),
        "LANES": lanes,
        "Y_SIZE": dtypes.itemsize(values),
        "K_SIZE": dtypes.itemsize(key),
        "load": p.loader(values, values, lanes),
        "load_n": p.partial_loader(values, values, lanes, 0),
        "store": p.storer(values, values, lanes),
        "store_n": p.partial_storer(values, values, lanes),
        "zeros": p.constant(values, 0, lanes),
        "load_k": p.loader(key, key, lanes),
        "load_k_n": p.partial_loader(key, key, lanes, -1),
        "splat_k": p.key_splatter(key, lanes),
        "every": p.flags(lanes),
    }  # fmt: skip


def unpool_lanes(values):
    """Elements per vector of rows that are unpooled; the indices beside them are of up to eight bytes."""
    return min(64 // dtypes.itemsize(values), 16)
