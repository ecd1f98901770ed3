"""What the free names of a template mean for one combination of element types: gradients, and unpooling."""

from __future__ import annotations

import numpy as np

from numbapool import dtypes, reductions
from numbapool.kernels import taken
from numbapool.kernels.bind import NO_TAP, beside, forward, functions, narrow
from numbapool.kernels.vectors import (
    INDEXED,
    lanes_of,
    narrow_lanes,
    phase_lanes,
    places_dtype,
    scatter_lanes,
    stage,
    unpool_lanes,
)


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


def chosen(types):
    """Binding of the gradient of selecting reductions for rows of at most two vectors."""
    from numbapool.kernels import primitives as p

    lanes, places = narrow_lanes(types), places_dtype(types)
    return forward(reductions.SUM, types, lanes=lanes) | {
        "SPOT_BYTES": p.REGISTER,
        "add": p.add,
        "pick": p.pick,
        "ties": p.ties,
        "permute_k": p.permuter(places, places, lanes),
        "load_k_n": p.partial_loader("uint8", places, lanes, 0),
        "splat_place": p.key_splatter(places, lanes),
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


def selecting(types):
    """Binding of the gradient of selecting reductions."""
    from numbapool.kernels import primitives as p

    lanes = scatter_lanes(types)
    names = forward(reductions.AVG, types, lanes=lanes)
    copiers = {f"copy_{size}": p.copier(f"uint{8 * size}") for size in (1, 4, 8)}
    used = {n: getattr(p, n) for n in ("sub", "run_sums", "run_sums_of_4", "run_ends", "trailing_zeros")}
    return names | copiers | used | _spots(p, lanes) | {
        "TYPES": names["TYPES"] | p.named_vectors(lanes, spots="int32"),
        "COMPRESSES": p.compresses(4),
        "STAGE": stage(),
        "load_x_n": p.partial_loader(types.x, types.acc, lanes, 0),
        "load_index": p.loader("int32", "int32", lanes),
        "load_index_n": p.partial_loader("int32", "int32", lanes, -1),
        "load_wide_index": p.loader("int64", "int64", lanes),
        "load_wide_index_n": p.partial_loader("int64", "int64", lanes, -1),
        "store_spot": p.storer("int32", "int32", lanes),
        "get_spot": p.getter("int32", "int64"),
        "splat_wide": p.key_splatter("int64", lanes),
        "to_spot": p.caster("int64", "int32", lanes),
        "copy_x": p.copier(types.x),
        "put_y": p.putter(types.end, types.y),
    }  # fmt: skip


def _spots(p, lanes):
    """What elements and taps are found by: numbers of 32 bits, and of taps that are bytes in memory."""
    names = ("add", "mul", "pick", "ties", "lesser_unsigned_bits", "without_16_bits")
    return {n: getattr(p, n) for n in names} | {
        "NO_TAP": NO_TAP,
        "PERMUTES": p.permutes(4),
        "permute_spot": p.permuter("int32", "int32", lanes),
        "load_tap": p.loader("uint8", "int32", lanes),
        "load_tap_n": p.partial_loader("uint8", "int32", lanes, NO_TAP),
        "load_spot": p.loader("int32", "int32", lanes),
        "splat_spot": p.key_splatter("int32", lanes),
    }


def indexing():
    """Binding of the way from taps to indices."""
    from numbapool.kernels import primitives as p

    return _spots(p, INDEXED) | {
        "TYPES": p.named_vectors(INDEXED, spots="int32"),
        "LANES": INDEXED,
        "word": p.word,
        "set_word": p.set_word,
        "get_tap": p.getter("uint8", "int64"),
        "store_index": p.storer("int32", "int64", INDEXED),
        "store_index_n": p.partial_storer("int32", "int64", INDEXED),
    }


def summing(types, factors):
    """Binding of the gradient of sums."""
    from numbapool.kernels import primitives as p

    names = forward(reductions.AVG, types) | {n: getattr(p, n) for n in ("zip_low", "zip_high", "div")}
    names["load_a_n"] = p.partial_loader(types.acc, types.acc, lanes_of(types, None), 0)
    names["MARKS"] = False  # several windows of the gradient begin at one element
    return names | (_factors(p, types, factors) if factors else {})


def _factors(p, types, factors):
    from numbapool.kernels import factored

    lanes, elements, sums = lanes_of(types, None), factors.elements, factors.sums
    norm, omit = factors.power is not None, elements.omit
    names = functions(taken) | beside(p, types.acc, elements, lanes) | functions(factored)
    names |= {n: getattr(p, n) for n in ("mul", "div", "pick", "both", "either", "equal", "isnan", "isnumber", "less", "fabs", "with_sign")}  # fmt: skip
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
