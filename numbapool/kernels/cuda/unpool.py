"""Max unpooling and its gradient, in steps of one thread for each element.

`claim`: every value raises the number at the element that it goes to, to its own number in its plane. A maximum of integers does not depend on who comes
first, so the last value in row-major order has the element, always. `fill`: every element takes the value that has it. `settle`: every value notes the element
that it has, for the gradient. `pass_back`: its gradient is that of this element. An array is named by its place: (first, second, third).
"""

# ruff: noqa: F403, F405 - free names are bound by the builder

from numbapool.kernels.cuda.axis import *

TEMPLATE = True


def entry(items, sizes, at, firsts, seconds, thirds, small, large):
    """`at`: the addresses of three arrays and of a word that becomes 0 for an index out of range; `small`, `large`: sizes of the planes of x and of the result."""
    i = number(cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockDim.x)
    if i < items:
        place = place_of(i, sizes, small, large)
        work(place, at, firsts, seconds, thirds, small, large)


def place_of(i, sizes, small, large):
    """As of `split`; where a thread does several neighbours of a row, the last item is the number of their group."""
    sizes_of = large if OVER_LARGE else small
    return split(i, sizes, sizes_of[0], sizes_of[1], 1 if LANES > 1 else sizes_of[2])


def number_of(place, sizes):
    """Of an element in its plane, row by row."""
    return wide(place[3] * sizes[1] + place[4]) * sizes[2] + place[5]


def element(place, n, sizes):
    """Where the element with a number in the same plane is."""
    n = to_index(n)
    rest = n // sizes[2]
    return moved(place, rest // sizes[1], rest % sizes[1], n % sizes[2])


def index_at(address):
    index = get_k(address)
    return pick(index < 0, OUT_OF_RANGE, index) if UNSIGNED else index


def inside(index, sizes):
    """(whether an index is that of an element of a plane, whether it is one that must not be)."""
    elements = wide(sizes[0] * sizes[1]) * sizes[2]
    return both(index >= 0, index < elements), either(index < -1, index >= elements)


def claim(place, at, firsts, seconds, thirds, small, large):
    index = index_at(address(at[2], thirds, place))
    there, wrong = inside(index, large)
    raise_to(address(at[1], seconds, element(place, index, large)), number_of(place, small), there)
    report(wide(at[3]), lanes_of([wide(0)]), lanes_of([wrong]))


def settle(place, at, firsts, seconds, thirds, small, large):
    index = index_at(address(at[2], thirds, place))
    there, _ = inside(index, large)
    owner = load_n(address(at[1], seconds, element(place, index, large)), lanes_of([there]))[0]
    has = ties(owner, number_of(place, small))
    store_k(address(at[0], firsts, place), lanes_of([pick(has, index, -1)]))


def fill(place, at, firsts, seconds, thirds, small, large):
    values = []
    for owner in load_owners(address(at[1], seconds, place)):
        source = address(at[0], firsts, element(place, owner, small))
        values.append(load_v(source, lanes_of([owner >= 0])))
    store_v(address(at[2], thirds, place), joined(*values))


def pass_back(place, at, firsts, seconds, thirds, small, large):
    index = get_k(address(at[2], thirds, place))
    value = load_v(address(at[1], seconds, element(place, index, large)), lanes_of([index >= 0]))
    store_v(address(at[0], firsts, place), value)
