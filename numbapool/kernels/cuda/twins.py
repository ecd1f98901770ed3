"""Plain-Python twins of `primitives.py`: those of the CPU's, and what CUDA kernels have beside them."""

# ruff: noqa: F403, F405

import threading

import numpy as np

from numbapool.dtypes import itemsize
from numbapool.kernels.twins import *
from numbapool.kernels.twins import _read, _registers, _write, convert


def wide(x):
    return int(x)


def narrow(x):
    return int(np.int64(x).astype(np.int32))


def loader(stored, loaded, lanes, aligned=False):
    return lambda addr: convert(_read(addr, stored, lanes), stored, loaded)


table_loader = loader


def storer(given, stored, lanes, aligned=False):
    return lambda addr, v: _write(addr, convert(np.asarray(v, _registers(given)), given, stored))


def guarded_loader(stored, loaded, fill):
    """`load(address, inside)`: neighbours where the mask is set, `fill` elsewhere; nothing else is read."""
    size = itemsize(stored)

    def load(addr, inside):
        empty = constant(loaded, fill, None)()
        values = [
            convert(_read(addr + i * size, stored, 1), stored, loaded)[0] if here else empty
            for i, here in enumerate(inside)
        ]
        return np.array(values, _registers(loaded))

    return load


def guarded_storer(given, stored):
    size = itemsize(stored)

    def store(addr, v, inside):
        for i, here in enumerate(inside):
            if here:
                _write(addr + i * size, convert(v[i : i + 1], given, stored))

    return store


_one_at_a_time = threading.Lock()  # the simulator's threads are the host's


def raiser(dtype):
    """`raise_to(address, value, here)`: where `here`, the integer there becomes the larger of both, whatever other threads do at the same time."""

    def raise_to(addr, value, here):
        if here:
            with _one_at_a_time:
                _write(addr, np.maximum(_read(addr, dtype, 1), np.array([value], dtype)))

    return raise_to


def joined(*parts):
    """Lanes one behind the other."""
    return np.concatenate([np.atleast_1d(p) for p in parts if len(p)])


def lanes_of(values):
    return np.array(values)


def selected(v, lanes):
    """Some lanes of v, by number."""
    return v[list(lanes)]


def add_selected(v, terms, lanes):
    """v + some lanes of `terms`, by number; None: nothing."""
    picked = np.array([0 if i is None else terms[i] for i in lanes], terms.dtype)
    return np.where([i is None for i in lanes], v, add(v, picked))


def partial_loader(stored, loaded, lanes, fill):
    return guarded_loader(stored, loaded, fill)


def partial_storer(given, stored, lanes):
    return guarded_storer(given, stored)


def lane_counter(lanes):
    """`first_lanes(mask)`: what says how many lanes there are is a mask already."""
    return lambda inside: inside


def named_types(acc, end, key, lanes):
    """Helpers are not annotated: what they return is known when they have been run."""
    return {}
