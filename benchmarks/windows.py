"""How the windows of a case lie: one class for each rule, and all that the definition and the peers ask about it.

`spans` says for one axis where each window starts and stops, outside the axis where there is padding.
"""

from dataclasses import dataclass

import numpy as np

NORM = 2  # of every Lp pooling measured here


def _times(number, n):
    return "x".join([str(number)] * n)


@dataclass(frozen=True)
class Sliding:
    kernel: int
    stride: int = 1
    padding: int = 0

    function = "{op}_pool{n}d"
    random = False

    def label(self, n):
        return f"{_times(self.kernel, n)} s{self.stride} p{self.padding}"

    def arguments(self, op):
        """Positional, behind the array: in torch's order, which is numbapool's."""
        return (NORM, self.kernel, self.stride) if op == "lp" else (self.kernel, self.stride, self.padding)

    def count(self, size):
        return (size + 2 * self.padding - self.kernel) // self.stride + 1

    def spans(self, size, sample=None):
        start = np.arange(self.count(size)) * self.stride - self.padding
        return start, start + self.kernel

    @property
    def overlap(self):
        """How many windows of an axis share an element, at most."""
        return -(-self.kernel // self.stride)

    def simplest(self, sizes):
        """The least general rule that gives the same windows on these sizes."""
        return self


@dataclass(frozen=True)
class Adaptive:
    number: int

    function = "adaptive_{op}_pool{n}d"
    random = False
    overlap = 2

    def label(self, n):
        return f"adaptive {_times(self.number, n)}"

    def arguments(self, op):
        return (self.number,)

    def count(self, size):
        return self.number

    def spans(self, size, sample=None):
        i = np.arange(self.number)
        return i * size // self.number, -(-(i + 1) * size // self.number)

    def simplest(self, sizes):
        if self.number == 1:
            return Global()
        if len(set(sizes)) == 1 and sizes[0] % self.number == 0:
            return Sliding(sizes[0] // self.number, sizes[0] // self.number)
        return self


@dataclass(frozen=True)
class Global:
    function = "global_{op}_pool"
    random = False
    overlap = 1

    def label(self, n):
        return "global"

    def arguments(self, op):
        return (NORM,) if op == "lp" else ()

    def count(self, size):
        return 1

    def spans(self, size, sample=None):
        return np.array([0]), np.array([size])

    def simplest(self, sizes):
        return self


@dataclass(frozen=True)
class Fractional:
    """Graham's random windows, other ones in each plane: `sample` is the random number of a plane's axis."""

    kernel: int
    ratio: float

    function = "fractional_{op}_pool{n}d"
    random = True
    overlap = 2

    def label(self, n):
        return f"fractional {_times(self.kernel, n)} {self.ratio}"

    def arguments(self, op):
        return self.kernel, None, self.ratio

    def count(self, size):
        return int(size * self.ratio)

    def spans(self, size, sample=None):
        last, count = size - self.kernel, self.count(size)
        step = np.float32(last) / np.float32(count - 1)
        i = np.arange(count, dtype=np.float32)
        start = ((i + sample) * step).astype(int) - int(sample * step)
        start[-1] = last
        return start, start + self.kernel

    def simplest(self, sizes):
        return self


@dataclass(frozen=True)
class Unpool:
    """Each element goes to one place in a window of its own."""

    kernel: int

    function = "max_unpool{n}d"
    random = False
    overlap = 1

    def label(self, n):
        return _times(self.kernel, n)

    def arguments(self, op):
        return (self.kernel,)

    def count(self, size):
        return size * self.kernel

    def spans(self, size, sample=None):
        raise NotImplementedError("places are given, not computed")

    def simplest(self, sizes):
        return self
