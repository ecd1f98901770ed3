"""What large arrays of short rows or planes ask the cache for: where, and that it changes nothing."""

import numpy as np
import pytest
from cases import same_bits

import numbapool as nbp
from numbapool.backends import blocks
from numbapool.kernels import block, vectors
from numbapool.reductions import Types

LARGE = 20 << 20  # bytes, more than caches hold
FIELDS = "NEW_X", "AHEAD_X", "ASKED", "NEXT_X", "ALONG"


def array(*plane):
    n = LARGE // (4 * int(np.prod(plane)))
    return np.random.default_rng(0).random((n, *plane), dtype=np.float32)


@pytest.fixture
def asked(native, monkeypatch):
    """What a call asks for: bytes of x behind every row, or plane; bytes of the planes that come next; rows of x along which it asks, and how far the next such row is."""
    native(True)
    seen = []
    run = blocks.Plan.run

    def spy(self, *args, **beside):
        seen.append([int(self.args[block.INDEX[name]]) for name in FIELDS])
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
        ((7, 7), "max_pool2d", (2,), "a third of the planes that share a vector"),
        ((7, 7), "global_avg_pool", (), 196),
        ((70, 70), "global_max_pool", (), 0),
        ((70, 70), "max_pool2d", (2, (8, 2)), 0),  # most rows are in no window
    ],
)
def test_large_arrays(asked, plane, fn, args, expected):
    if isinstance(expected, str):
        expected = -(-vectors.narrow_planes(Types(*["float32"] * 4)) * 196 // 3)
    x = array(*plane)
    y, found = asked(fn, x, *args)
    assert found == [expected, 0, 0, 0, 0]
    _same_as_parts(asked, x, y, fn, *args)


@pytest.mark.parametrize(
    ("shape", "fn", "args", "options", "rows", "step"),
    [
        ((10, 64, 400), "max_pool2d", (3, 2, 1), {}, 2, 2 * 1600),
        ((10, 64, 400), "max_pool2d", (2, 1), {}, 1, 1600),
        ((10, 64, 500), "avg_pool2d", (7, 1, 3), {}, 1, 2000),
        ((3, 20, 24, 400), "max_pool3d", (2,), {}, 4, 2 * 1600),
        ((10, 64, 400), "avg_pool2d", (4,), {}, 4, 4 * 1600),  # with float64 in between
        ((10, 64, 400), "max_pool2d", (4,), {"return_indices": True}, 4, 4 * 1600),
        ((10, 40, 40, 16), "max_pool2d", (3, 2, 1), {"axes": (1, 2)}, 2, 2 * 40 * 64),
        ((4, 20, 9, 1100), "avg_pool2d", (3, 1), {"axes": (1, 2)}, 1, 9 * 4400),
        ((4, 20, 9, 1100), "avg_pool2d", (3, 2), {"axes": (1, 2)}, 9, 2 * 4400),  # element by element
        ((20, 64, 255), "max_pool2d", (3, 2, 1), {}, 0, 0),  # rows of less than a kilobyte
        ((10, 64, 400), "max_pool2d", (2, (8, 2)), {}, 0, 0),  # most rows are in no window
        ((10, 64, 400), "max_pool2d", (3, 2, 1), {"where": np.ones((64, 400), bool)}, 2, 2 * 1600),
        ((10, 64, 400), "max_pool2d", (3, 2, 1), {"where": np.ones((400, 64), bool).T}, 0, 0),
    ],
)
def test_along_long_rows(asked, shape, fn, args, options, rows, step):
    x = array(*shape[1:])
    y, found = asked(fn, x, *args, **options)
    assert found[2:] == [rows, step, 4096 if rows else 0]
    y = y[0] if options.get("return_indices") else y
    part, found = asked(fn, x[-2:].copy(), *args, **options)
    assert found[2:] == [0, 0, 0]
    assert same_bits(part[0] if options.get("return_indices") else part, y[-2:])


@pytest.mark.parametrize(
    ("width", "ahead", "windows"),
    [(20, 80, 26), (200, 800, 3), (300, 1200, 2), (1500, 4096, 1)],
)
def test_crops(asked, width, ahead, windows):
    """What lies behind a row of theirs nobody reads: they ask for the next row's, or that of a window a few rows on, which is as far."""
    x = array(50, max(2 * width, 300))
    x = np.concatenate([x] * (2 if width > 20 else 16))[..., :width]
    y, found = asked("max_pool2d", x, 3, 2, 1)
    assert found[2:] == [2, windows * 2 * x.strides[-2], ahead]
    assert same_bits(y, nbp.max_pool2d(x.copy(), 3, 2, 1))


def test_rows_upside_down(asked):
    x = array(64, 400)
    y, found = asked("max_pool2d", x[:, ::-1], 3, 2, 1)
    assert found[2:] == [2, 2 * -2 * 1600, 1600]
    assert same_bits(y, nbp.max_pool2d(x[:, ::-1].copy(), 3, 2, 1))


def test_planes_in_groups(asked):
    x = array(40, 40)
    y, (behind, next_planes, *_) = asked("avg_pool2d", x, 4)
    assert behind == 0 and next_planes > 0
    _same_as_parts(asked, x, y, "avg_pool2d", 4)


def _same_as_parts(asked, x, y, fn, *args):
    few = slice(0, 50), slice(-50, None)
    for part in few:
        own, (behind, *_) = asked(fn, x[part].copy(), *args)
        assert behind == 0 and same_bits(own, y[part])


def test_what_lies_otherwise(asked):
    """Rows that do not follow each other in memory, or have a mask beside them that lies otherwise, which asks on its own, or many neighbours along an inner axis."""
    x = array(70, 70)
    for view, options in (
        (x[:, ::-1], {}),
        (x, {"where": np.ones(x.shape[1:], bool, order="F")}),
        (x.transpose(0, 2, 1), {"axes": (0, 1)}),
    ):
        assert asked("max_pool2d", view, 3, 2, 1, **options)[1][0] == 0
    x = array(20, 10, 16)
    assert asked("max_pool2d", x, 3, 2, 1, axes=(1, 2))[1][0] == 0


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((80, 70, 70), {}, [35 * 4, 35]),  # rows of dy, by phases
        ((8, 70, 70), {}, [0, 0]),
        (
            (20, 40, 40, 16),
            {"axes": (1, 2)},
            [64, 64],
        ),  # by runs: a part of a row of all channels, in whole lines
        ((2, 40, 40, 16), {"axes": (1, 2)}, [0, 0]),
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
    assert [int(seen[0][block.INDEX[n]]) for n in ("NEW_X", "NEW_K")] == expected
    _, of_two = nbp.vjp(nbp.max_pool2d, x[:2], 3, 2, 1, **options)
    assert same_bits(of_two(y[:2]), dx[:2])
