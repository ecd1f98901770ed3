"""Plain-Python twins of the primitives in `simd.py`, over NumPy: what kernels run on where nothing is compiled.

A vector is an array of `lanes` elements, a scalar a NumPy scalar, an address an int. Slow; it is there to step through a kernel in a
debugger and to prove its logic apart from the code generator.
"""

import ctypes

import numpy as np

from numbapool.dtypes import CHOSEN_BFLOAT16, NEAREST, is_float, is_half, itemsize


def _stored(name):
    return np.dtype(np.uint16 if is_half(name) else np.uint8 if name == "bool" else name)


def _registers(name):
    return np.dtype(np.float32 if is_half(name) else np.uint8 if name == "bool" else name)


def convert(v, src, dst):
    if src == dst:
        return v
    v = np.asarray(v)
    if src == "float16":
        return convert(v.view(np.float16).astype(np.float32), "float32", dst)
    if src == "bfloat16":
        return convert((v.astype(np.uint32) << 16).view(np.float32), "float32", dst)
    with np.errstate(all="ignore"):
        if dst == "float16":
            return convert(v, src, "float32").astype(np.float16).view(np.uint16)
        if dst in ("bfloat16", CHOSEN_BFLOAT16):
            f = np.asarray(convert(v, src, "float32"))
            u = f.view(np.uint32)
            rounded = (u + np.uint32(0x7FFF) + ((u >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
            return np.where(np.isnan(f), (u >> np.uint32(16)) | np.uint32(0x40), rounded).astype(np.uint16)
        if dst in NEAREST.values():
            return convert(np.rint(v), src, dst.split()[1])
        if is_float(src) and not is_float(dst):
            wide = np.dtype(np.uint64 if dst == "uint64" else np.int64)
            info = np.iinfo(wide)
            inside = np.nan_to_num(np.clip(v, float(info.min), float(info.max)), nan=0.0)
            top = inside >= float(info.max)
            return (
                np.where(top, info.max, np.where(top, 0, inside).astype(wide))
                .astype(wide)
                .astype(_stored(dst))
            )
        return v.astype(_stored(dst))


def _read(address, name, n):
    kind = _stored(name)
    return np.frombuffer(ctypes.string_at(int(address), n * kind.itemsize), kind)


def _write(address, values):
    data = np.ascontiguousarray(values).tobytes()
    ctypes.memmove(int(address), data, len(data))


def _extreme(sign):
    def choose(acc, v):
        with np.errstate(invalid="ignore"):
            wins = ((v > acc) if sign > 0 else (v < acc)) | (v != v)
        return np.where(wins, v, acc)[()] if isinstance(v, (np.ndarray, np.generic)) else (v if wins else acc)

    return choose


def _beats(sign):
    def beats(v, acc):
        with np.errstate(invalid="ignore"):
            return ((v > acc) if sign > 0 else (v < acc)) | ((v != v) & (acc == acc))

    return beats


def sums_to(v):
    return np.cumsum(v, dtype=v.dtype)


def sums_from(v):
    return np.cumsum(v[::-1], dtype=v.dtype)[::-1]


def with_sign(x, y):
    return np.copysign(x, y)


def prefetch(addr):
    pass


def _three(choose):
    return lambda acc, v, w: choose(choose(acc, v), w)


maximum, minimum = _extreme(+1), _extreme(-1)
maximum_of_numbers, minimum_of_numbers = maximum, minimum
maximum_3, minimum_3 = _three(maximum), _three(minimum)
beats_max, beats_min = _beats(+1), _beats(-1)


def ties(v, acc):
    return (v == acc) | ((v != v) & (acc != acc))


def _quiet(function):
    def arithmetic(x, y):
        with np.errstate(all="ignore"):
            return function(x, y)

    return arithmetic


def _is_mark(v):
    bits = np.asarray(v)
    return bits.view(np.int64 if bits.dtype == np.float64 else np.int32) == -1


def _present_beats(sign):
    def beats(v, acc):
        with np.errstate(invalid="ignore"):
            better = (v > acc) if sign > 0 else (v < acc)
        return better | ((acc != acc) & ~_is_mark(v))

    return beats


def _present_extreme(sign):
    beats = _present_beats(sign)
    return lambda acc, v: np.where(beats(v, acc), v, acc)[()]


present_beats_max, present_beats_min = _present_beats(+1), _present_beats(-1)
present_maximum, present_minimum = _present_extreme(+1), _present_extreme(-1)


def known(v):
    return ~_is_mark(v)


isnan, fabs, equal = np.isnan, np.abs, np.equal


def isnumber(v):
    return ~np.isnan(v)


def unordered(x, y):
    return np.isnan(x) | np.isnan(y)


def everywhere(v):
    return np.ones(np.shape(v), bool)[()]


def nowhere(x, y):
    return np.zeros(np.shape(x), bool)[()]


add, sub, mul, div = (_quiet(f) for f in (np.add, np.subtract, np.multiply, np.divide))
rint = np.rint


def _lesser_bits(kind):
    def lesser(x, y):
        bits = f"{kind}{x.itemsize}"
        return np.where(x.view(bits) < y.view(bits), x, y)

    return lesser


lesser_bits, lesser_unsigned_bits = _lesser_bits("i"), _lesser_bits("u")


def upper_half(x, y):
    product = np.asarray(x).view(np.uint16).astype(np.uint32) * np.asarray(y).view(np.uint16)
    return (product >> 16).astype(np.uint16).view(np.int16)


def shifted(x, places):
    return (np.asarray(x).view(np.uint16) >> np.asarray(places).view(np.uint16)).view(np.int16)


def without_16_bits(v):
    return v >> 16


def run_sums(v, t):
    sums = v.copy()
    for k in range(1, len(v)):
        if t[k] == t[k - 1]:
            sums[k] = sums[k] + sums[k - 1]
    return sums


run_sums_of_4 = run_sums


def run_ends(t):
    return sum(1 << k for k in range(len(t)) if k + 1 == len(t) or t[k] != t[k + 1])


def compresses(size):
    return True


def store_some(addr, v, bits):
    _write(addr, v[[bool(bits >> k & 1) for k in range(len(v))]])


def lanes_in_bits(lanes):
    return lambda bits: np.array([bool(bits >> k & 1) for k in range(lanes)])


def bits_in(x):
    return (int(x) & (1 << 64) - 1).bit_count()


def trailing_zeros(x):
    return (x & -x).bit_length() - 1


def any_negative_zero(v):
    return np.any((v == 0) & np.signbit(v))


def any_positive_zero(v):
    return np.any((v == 0) & ~np.signbit(v))


less, either, both = np.less, np.logical_or, np.logical_and


def all_lanes(mask):
    return mask.all()


def any_lane(mask):
    return mask.any()


def pick(mask, x, y):
    return np.where(mask, x, y)[()]


def evens(x, y):
    return np.concatenate([x, y])[0::2]


def odds(x, y):
    return np.concatenate([x, y])[1::2]


def _moved(by):
    return lambda x, y: np.concatenate([x, y])[by if by > 0 else len(x) + by :][: len(x)]


moved_up, moved_up_2, moved_up_3 = (_moved(-s) for s in (1, 2, 3))
moved_down, moved_down_2, moved_down_3, moved_down_4, moved_down_8, moved_down_16, moved_down_32 = (
    _moved(s) for s in (1, 2, 3, 4, 8, 16, 32)
)


def _zipped(x, y):
    return np.stack([x, y], axis=-1).ravel()


def zip_low(x, y):
    return _zipped(x, y)[: len(x)]


def zip_high(x, y):
    return _zipped(x, y)[len(x) :]


REGISTER = 32


def permutes(size):
    return True


permutes_two = permutes


def masks(size):
    return True


def permuter(dtype, places, lanes):
    return lambda v, at, other: np.concatenate([v, other])[at]


def word(base, i):
    return int(_read(base + 8 * i, "int64", 1)[0])


def set_word(base, i, value):
    _write(base + 8 * i, np.uint64(int(value) & (1 << 64) - 1))


def loader(stored, loaded, lanes):
    return lambda addr: convert(_read(addr, stored, lanes), stored, loaded)


table_loader = loader


def spread_loader(stored, loaded, lanes):
    return lambda addr: convert(_read(addr, stored, 2 * lanes - 1)[::2], stored, loaded)


def both_loader(stored, loaded, lanes):
    return lambda addr: tuple(convert(_read(addr, stored, 2 * lanes)[k::2], stored, loaded) for k in (0, 1))


def block_loader(stored, loaded, lanes, block):
    def load_n(addr, n):
        v = np.zeros(block, _stored(stored))
        v[:n] = _read(addr, stored, n)
        while len(v) > lanes:
            v = add(*np.split(v, 2))
        return convert(v, stored, loaded)

    return lambda addr: load_n(addr, block), load_n, load_n


def partial_loader(stored, loaded, lanes, fill):
    def load_n(addr, n):
        v = np.array(_constant(loaded, fill, lanes))
        v[:n] = convert(_read(addr, stored, n), stored, loaded)
        return v

    return load_n


def planes_loader(stored, loaded, lanes, planes, fill):
    load = partial_loader(stored, loaded, lanes // planes, fill)
    return lambda addr, gap, n: np.concatenate([load(addr + k * gap, n) for k in range(planes)])


def getter(stored, loaded):
    return lambda addr: convert(_read(addr, stored, 1), stored, loaded)[0]


def storer(given, stored, lanes):
    return lambda addr, v: _write(addr, convert(v, given, stored))


def past_storer(given, stored, lanes, align=16):
    return storer(given, stored, lanes)


def fence():
    pass


def partial_storer(given, stored, lanes):
    return lambda addr, v, n: _write(addr, convert(v, given, stored)[:n])


def whole_planes_loader(stored, loaded, lanes, planes):
    load = loader(stored, loaded, lanes // planes)
    return lambda addr, gap: np.concatenate([load(addr + k * gap) for k in range(planes)])


def planes_storer(given, stored, lanes, planes):
    def store_n(addr, gap, v, n):
        for k, share in enumerate(np.split(convert(v, given, stored), planes)):
            _write(addr + k * gap, share[:n])

    return store_n


def putter(given, stored):
    return lambda addr, v: _write(addr, convert(np.asarray(v, _registers(given)), given, stored))


def splatter(dtype, lanes):
    return lambda v: np.full(lanes, v, _registers(dtype))


def caster(src, dst, lanes):
    def cast(v):
        out = convert(np.asarray(v, _registers(src)), src, dst)
        return out if lanes else out[()]

    return cast


def key_adder(key, lanes):
    if key == "int64":
        return lambda keys, n: keys + np.int64(n)
    return lambda keys, n: np.minimum(np.asarray(keys).astype(np.int64) + n, 255).astype(np.uint8)[()]


def lane_numberer(key, lanes):
    if key == "int64":
        return lambda keys: keys + np.arange(lanes)
    return lambda keys: np.minimum(keys.astype(np.int64) + np.arange(lanes), 255).astype(np.uint8)


def key_splatter(key, lanes):
    return lambda value: np.full(lanes, value, key)


def _first(lanes, planes, n):
    return np.arange(lanes) % (lanes // planes) < n


def key_splatter_n(key, lanes, none, planes=1):
    return lambda value, n: np.where(_first(lanes, planes, n), value, none).astype(key)


def settler(key, lanes, none):
    return lambda keys: keys if key == "uint8" else np.where(keys >= none, -1, keys)


def _constant(dtype, value, shape):
    kind = _registers(dtype)
    if isinstance(value, str):
        return np.full(shape, -1, f"i{kind.itemsize}").view(kind)[()]
    return np.full(shape, value, kind)[()]


def constant(dtype, value, lanes):
    return lambda: _constant(dtype, value, () if lanes is None else lanes)


def constant_like(dtype, value):
    return lambda v: _constant(dtype, value, np.shape(v))


def power(exponent):
    def raised(v):
        with np.errstate(all="ignore"):
            return np.power(v, np.asarray(v).dtype.type(exponent))

    return raised


def clipper(dtype):
    info = np.iinfo(dtype)
    return lambda v: np.clip(v, float(info.min), float(info.max))


def lane_counter(lanes, planes=1):
    return lambda n: _first(lanes, planes, n)


def flag_loader(lanes):
    return lambda addr: (_read(addr, "uint8", lanes or 1) != 0)[slice(None) if lanes else 0]


def partial_flag_loader(lanes):
    def load_n(addr, n):
        v = np.zeros(lanes, bool)
        v[:n] = _read(addr, "uint8", n) != 0
        return v

    return load_n


def flag_splatter(lanes):
    return lambda addr: np.full(lanes, _read(addr, "uint8", 1)[0] != 0)


def flags(lanes):
    return lambda: np.ones(lanes, bool) if lanes else np.True_


def copier(dtype):
    size = itemsize(dtype)
    return lambda to, source: ctypes.memmove(int(to), int(source), size)


def named_types(acc, end, key, lanes):
    return {}


def named_vectors(lanes, **names):
    return {}
