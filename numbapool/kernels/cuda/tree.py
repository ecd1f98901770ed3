"""Forward, for large windows that hardly overlap, whole planes among them: a team of threads merges the taps of one window, or of a few neighbours of the
inner axis. A team is a block, or where a window is not so large a warp or a part of one.

Every thread merges the taps that are its own, in moves of 16 bytes where a window is a run of neighbours; then halves of the team are merged, pair by
pair: through shared memory down to a warp, whose threads read each other's registers. Which thread takes what depends on sizes alone, and so do the bits of a sum.
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *
from numbapool.kernels.cuda.forward import first_key, key_step, places, source, tap_step

TEMPLATE = True


def own_tap(at, key, w):
    """`LANES` neighbours with their keys."""
    return with_lane_keys(tap(at, key), w)


def last_tap(at, key, n, w):
    """The first n of them."""
    return with_lane_keys(tap_some(at, key, lanes_of([j < n for j in range(LANES)])), w)


def lane_keys_of_places(acc, w):
    return acc[0], key_add(acc[1], lanes_of([wide(w[KEY]) * j for j in range(LANES)]))


def as_it_is(acc, w):
    return acc


def tap_some_values(at, key, inside):
    return load_some(at, inside)


def tap_some_keyed(at, key, inside):
    return load_some(at, inside), pick(inside, splat_k(key), no_key())


def tap_some_compensated(at, key, inside):
    return accumulator(load_some(at, inside))


def folded(acc):
    """The lanes merged into one."""
    one = lane_of(acc, 0)
    for j in range(1, LANES):
        one = merge(one, lane_of(acc, j))
    return one


def lane_of(acc, j):
    return tuple(selected(part, [j]) for part in acc) if isinstance(acc, tuple) else selected(acc, [j])


def value_of(acc):
    return acc[0][0] if isinstance(acc, tuple) else acc[0]


def second_of(acc):
    return acc[1][0] if isinstance(acc, tuple) else wide(0)


def plain(value, second):
    return lanes_of([value])


def paired(value, second):
    return lanes_of([value]), lanes_of([second])


def taken(acc, other):
    return merge(acc, other)


def lanes_and_rest(taps):
    return taps // LANES, taps % LANES


def share(member, across):
    """(place across the inner axis, part of the taps, parts)."""
    return member % across, member // across, (0 * across + TEAM) // across


def shifted(place, sizes, across, column):
    """The place with the inner element of a thread."""
    return (*place[:6], place[6] * across + column)


def register_of(acc, distance):
    """What the thread `distance` behind this one in its warp has; all threads of the warp must ask, and what the last ones get is nobody's."""
    return (
        tuple(from_lane_behind(part, distance) for part in acc)
        if isinstance(acc, tuple)
        else from_lane_behind(acc, distance)
    )


def register_through_memory(acc, distance):
    """The twin of `register_of`."""
    first = cuda.shared.array(BLOCK, VALUE)
    second = cuda.shared.array(BLOCK, SECOND)
    thread = cuda.threadIdx.x
    first[thread] = value_of(acc)
    second[thread] = second_of(acc)
    cuda.syncthreads()
    other = (thread + distance) % BLOCK
    there = made(first[other], second[other])
    cuda.syncthreads()
    return there


def entry(items, sizes, at, xs, ys, ks, d, h, w, across, inner, constant):
    """A team per item; `across`: threads that are side by side along the inner axis, a power of 2; `inner`: its elements."""
    first = cuda.shared.array(SHARED, VALUE)
    second = cuda.shared.array(SHARED, SECOND)
    thread = cuda.threadIdx.x
    member = thread % TEAM
    column, part, parts = share(whole_index(member), across)
    item = whole_index(cuda.blockIdx.x) * (BLOCK // TEAM) + whole_index(thread // TEAM)
    # Teams behind the last item do it as well, because a warp reads its registers together.
    place = shifted(split(at_most(item, items - 1), sizes, d[0], h[0], w[0]), sizes, across, column)
    acc = nothing()
    taps, starts, firsts = places(place, d, h, w)
    if place[6] < inner:
        plane, plane_key = source(at[0], xs, place, starts), first_key(starts, firsts, d, h, w)
        d_step, h_step, w_step = tap_step(xs, 3, d), tap_step(xs, 4, h), tap_step(xs, 5, w)
        d_key, h_key, w_key = key_step(d), key_step(h), key_step(w)
        vectors, rest = lanes_and_rest(taps[2])
        for _ in range(taps[0]):
            row, row_key = plane, plane_key
            for _ in range(taps[1]):
                c = part
                while c < vectors:
                    acc = taken(
                        acc,
                        own_tap(onward_by(row, c, w_step * LANES), onward_by(row_key, c, w_key * LANES), w),
                    )
                    c += parts
                if rest > 0 and part == parts - 1:
                    last = vectors * LANES
                    acc = taken(
                        acc, last_tap(onward_by(row, last, w_step), onward_by(row_key, last, w_key), rest, w)
                    )
                row = onward(row, h_step)
                row_key = onward(row_key, h_key)
            plane = onward(plane, d_step)
            plane_key = onward(plane_key, d_key)
    one = folded(acc)
    half = TEAM // 2
    if TEAM > WARP:
        first[thread] = value_of(one)
        second[thread] = second_of(one)
        cuda.syncthreads()
        while half >= across and half >= WARP:
            if member < half:
                one = taken(one, made(first[thread + half], second[thread + half]))
                first[thread] = value_of(one)
                second[thread] = second_of(one)
            cuda.syncthreads()
            half //= 2
    while half >= across:
        one = taken(one, register_of(one, half))
        half //= 2
    if part == 0 and place[6] < inner and item < items:
        divisor = constant
        if constant == 0:
            divisor = window_divisor(place, taps, d, h, w)
        store(at, ys, ks, place, one, divisor)


def store(at, ys, ks, place, acc, divisor):
    emit(address(at[1], ys, place), address(at[2], ks, place), 0, acc, divisor)
