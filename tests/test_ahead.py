"""What large arrays of short rows or planes ask the cache for: where, and that it changes nothing."""

import numpy as np
import pytest
from cases import same_bits

import numbapool as nbp
from numbapool.backends import blocks
from numbapool.kernels import block

LARGE = 20 << 20  # bytes, more than caches hold


def array(*plane):
    n = LARGE // (4 * int(np.prod(plane)))
    return np.random.default_rng(0).random((n, *plane), dtype=np.float32)


@pytest.fixture
def asked(native, monkeypatch):
    """Bytes of x that every row, or plane, of a call asks for: of what lies behind it, and of the planes that come next."""
    native(True)
    seen = []
    run = blocks.Plan.run

    def spy(self, *args, **beside):
        seen.append([int(self.args[block.INDEX[name]]) for name in ("NEW_X", "AHEAD_X")])
        return run(self, *args, **beside)

    monkeypatch.setattr(blocks.Plan, "run", spy)

    def call(fn, *args, **options):
        seen.clear()
        return getattr(nbp, fn)(*args, **options), seen[0]

    return call


@pytest.mark.parametrize(
    ("plane", "fn", "args", "expected"),
    [
        ((70, 70), "max_pool2d", (3, 2, 1), 2 * 280),
        ((70, 70), "avg_pool2d", (3, 1, 1), 280),
        ((70, 70), "max_pool2d", (4,), 4 * 280),
        ((9, 30, 40), "max_pool3d", (2,), 2 * 160),
        ((70, 400), "max_pool2d", (3, 2, 1), 0),
        ((7, 7), "max_pool2d", (2,), 196),
        ((7, 7), "global_avg_pool", (), 196),
        ((70, 70), "global_max_pool", (), 0),
        ((70, 70), "max_pool2d", (2, (8, 2)), 0),  # most rows are in no window
    ],
)
def test_large_arrays(asked, plane, fn, args, expected):
    x = array(*plane)
    y, (behind, next_planes) = asked(fn, x, *args)
    assert (behind, next_planes) == (expected, 0)
    _same_as_parts(asked, x, y, fn, *args)


def test_planes_in_groups(asked):
    x = array(40, 40)
    y, (behind, next_planes) = asked("avg_pool2d", x, 4)
    assert behind == 0 and next_planes > 0
    _same_as_parts(asked, x, y, "avg_pool2d", 4)


def _same_as_parts(asked, x, y, fn, *args):
    few = slice(0, 50), slice(-50, None)
    for part in few:
        own, (behind, _) = asked(fn, x[part].copy(), *args)
        assert behind == 0 and same_bits(own, y[part])


def test_what_lies_otherwise(asked):
    """Rows that do not follow each other in memory, or have a mask beside them, which asks on its own, or many neighbours along an inner axis."""
    x = array(70, 70)
    for view, options in (
        (x[:, ::-1], {}),
        (x, {"where": np.ones(x.shape[1:], bool)}),
        (x.transpose(0, 2, 1), {"axes": (0, 1)}),
    ):
        assert asked("max_pool2d", view, 3, 2, 1, **options)[1][0] == 0
    x = array(20, 10, 16)
    assert asked("max_pool2d", x, 3, 2, 1, axes=(1, 2))[1][0] == 0


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((80, 70, 70), {}, 35 * 4),  # rows of dy, by phases
        ((8, 70, 70), {}, 0),
        ((20, 40, 40, 16), {"axes": (1, 2)}, 20 * 16 * 4),  # by runs: a row of all channels
        ((2, 40, 40, 16), {"axes": (1, 2)}, 0),
    ],
)
def test_gradients(native, monkeypatch, shape, options, expected):
    """Rows of dy, and of saved taps, a byte for each of its elements."""
    native(True)
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    y, pullback = nbp.vjp(nbp.max_pool2d, x, 3, 2, 1, **options)
    seen = []
    run = blocks.Plan.run
    monkeypatch.setattr(
        blocks.Plan, "run", lambda self, *a, **k: (seen.append(self.args), run(self, *a, **k))[1]
    )
    dx = pullback(y)
    assert [int(seen[0][block.INDEX[n]]) for n in ("NEW_X", "NEW_K")] == [expected, expected // 4]
    _, of_two = nbp.vjp(nbp.max_pool2d, x[:2], 3, 2, 1, **options)
    assert same_bits(of_two(y[:2]), dx[:2])
