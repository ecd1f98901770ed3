"""What the free names of a template mean for one combination of reduction and element types."""

from __future__ import annotations

import numpy as np

from numbapool import dtypes, reductions
from numbapool.kernels import keyed, values

NOWHERE = 2**62  # int64 keys from here on: no element
NO_TAP = 255


def lanes_for(*names):
    """Elements per vector: two 64-byte registers of the widest type, one if all types are of one size; 64 at most."""
    sizes = {dtypes.itemsize(n) for n in names}
    return min((128 if len(sizes) > 1 else 64) // max(sizes), 64)


def functions(module):
    """The functions that a module of accumulators contributes."""
    return {n: f for n, f in vars(module).items() if callable(f) and f.__module__ == module.__name__}


def forward(reduction, types, key):
    """Binding of the row templates: values only (key None), or with keys of dtype `key`."""
    from numbapool.kernels import primitives as p

    lanes = lanes_for(types.x, types.acc, types.y)
    identity = reduction.identity(types.x if reduction.selecting else types.acc)
    fill = np.dtype(types.acc).type(identity)
    names = {
        "TYPES": p.named_types(types.acc, types.end, key, lanes),
        "LANES": lanes,
        "X_SIZE": dtypes.itemsize(types.x),
        "A_SIZE": dtypes.itemsize(types.acc),
        "Y_SIZE": dtypes.itemsize(types.y),
        "D_SIZE": dtypes.itemsize(types.end),
        "K_SIZE": dtypes.itemsize(key) if key else 0,
        "IDEMPOTENT": reduction.selecting,
        "load_x": p.loader(types.x, types.acc, lanes),
        "load_x_2": p.spread_loader(types.x, types.acc, lanes),
        "load_x_n": p.partial_loader(types.x, types.acc, lanes, identity),
        "get_x": p.getter(types.x, types.acc),
        "load_a": p.loader(types.acc, types.acc, lanes),
        "get_a": p.getter(types.acc, types.acc),
        "store_a": p.storer(types.acc, types.acc, lanes),
        "put_a": p.putter(types.acc, types.acc),
        "store_y": p.storer(types.end, types.y, lanes),
        "store_y_n": p.partial_storer(types.end, types.y, lanes),
        "copy_y": p.copier(types.y),
        "identity": p.constant(types.acc, fill, lanes),
        "evens": p.evens,
        "odds": p.odds,
        "min": p.minimum,
        "max": p.maximum,
        "word": p.word,
        "set_word": p.set_word,
    }
    if key:
        names |= functions(keyed) | _keys(p, key, lanes)
        names |= {n: getattr(p, n) for n in ("ties", "less", "either", "both", "pick")}
        names["beats"] = getattr(p, reduction.beats)
    else:
        names |= functions(values)
        names["merge"] = names["merge_later"] = getattr(p, reduction.merge)
    names |= _finish(p, reduction, types, lanes)
    return names


def backward(types, key):
    """Binding of the backward templates: weighted (no key), or selecting with keys of dtype `key`."""
    from numbapool.kernels import primitives as p
    from numbapool.kernels import scatter

    names = forward(reductions.AVG, types, None)
    if not key:
        return names | {n: getattr(p, n) for n in ("zip_low", "zip_high", "div")}
    return names | {
        "K_SIZE": dtypes.itemsize(key),
        "add": p.add,
        "put_y": p.putter(types.end, types.y),
        "get_k": p.getter(key, "int64"),
        "place": scatter.place_of_tap if key == "uint8" else scatter.place_of_index,
    }


def _finish(p, reduction, types, lanes):
    names = {
        "finish": reductions.finish_as_is,
        "divisor_from": reductions.no_divisor,
        "divisor_at": reductions.no_divisor,
    }
    if types.acc != types.end:
        names |= {"finish": reductions.finish_cast, "to_end": p.caster(types.acc, types.end, lanes)}
    if reduction.mean:
        rounds = not dtypes.is_float(types.y)
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
    return names


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
        "store_k_n": p.partial_storer(key, key, lanes),
        "put_k": p.putter(key, key),
        "copy_k": p.copier(key),
        "settle": p.settler(key, lanes, none),
        "add": p.add,
    }


def unpool(item, key, backward):
    """Binding of the unpooling template for elements of `item` bytes, whatever they are, and indices of dtype `key`."""
    from numbapool.kernels import primitives as p

    return {
        "BACKWARD": backward,
        "LANES": 64,
        "get_k": p.getter(key, "int64"),
        "copy_y": p.copier(f"uint{8 * item}"),
        "get_marks": p.getter("uint32", "int64"),
        "put_marks": p.putter("int64", "uint32"),
        "store_marks": p.storer("uint8", "uint8", 64),
        "no_marks": p.constant("uint8", 0, 64),
        "word": p.word,
        "set_word": p.set_word,
    }
