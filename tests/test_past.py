"""Large results, which are stored past the caches: where, and that nothing is lost or written beside them."""

import numpy as np
import pytest
from cases import same_bits

import numbapool as nbp
from numbapool import reductions
from numbapool.backends import blocks
from numbapool.kernels import bind, block, build, rows
from numbapool.kernels.twins import word

LARGE = 21 << 20  # bytes, more than caches hold


@pytest.fixture
def past(native, monkeypatch):
    """Whether the plan of the last call stores past the caches, at least into arrays that are given."""
    native(True)
    seen = []
    run = blocks.Plan.run
    monkeypatch.setattr(
        blocks.Plan, "run", lambda self, *a, **k: (seen.append(self.args[block.PAST]), run(self, *a, **k))[1]
    )
    return lambda: bool(seen[-1])


def room(shape, dtype, order="C", at=16):
    """An array that begins `at` bytes behind a line's border, amid others' bytes, and all of those bytes."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = np.full(nbytes + 256, 77, np.uint8)
    start = 64 + (at - whole.ctypes.data) % 64
    return whole[start : start + nbytes].view(dtype).reshape(shape, order=order), whole, start


CASES = [
    ((32, 128), {}, (2,), "float32", True),  # rows of whole vectors
    ((32, 96), {}, (3, 1, 1), "float32", True),
    ((32, 40), {}, (3, 1, 1), "float32", False),  # a row ends in half a line
    ((8, 1400), {}, (2,), "float32", True),  # unless it is long
    ((8, 1398), {}, (2,), "float32", False),  # and the next begins where such stores may
    ((9, 9, 32), {"axes": (1, 2)}, (3, 2, 1), "float32", True),  # channels last
    ((9, 9, 24), {"axes": (1, 2)}, (3, 2, 1), "float32", False),
    ((8, 6, 4, 64), {"axes": (1, 2, 3)}, (2,), "uint8", True),
    ((32, 67), {}, (4, 1), "float64", True),  # with a scratch row
    ((32, 64), {}, (9, 1, 4), "float32", True),
    ((32, 128), {}, (2,), "float16", False),
    ((2, 40000), {}, (2,), "float32", True),  # tiles of whole vectors
]


@pytest.mark.parametrize(("plane", "options", "args", "dtype", "expected"), CASES)
@pytest.mark.parametrize("name", ["max", "avg"])
def test_results(past, name, plane, options, args, dtype, expected):
    fn = getattr(nbp, f"{name}_pool{len(options.get('axes', (1, 2)))}d")
    one = np.zeros((1, *plane), dtype)
    y = fn(one, *args, **options)
    n = LARGE // y.nbytes + 1
    x = (np.random.default_rng(0).random((n, *plane)) * 100).astype(dtype)
    y = fn(x, *args, **options)
    assert past() == expected
    parts = np.concatenate([fn(x[i : i + n // 3], *args, **options) for i in range(0, n, n // 3)])
    assert not past()
    assert same_bits(y, parts)
    for at in 16, 4 if y.itemsize > 2 else 3, 0:
        out, whole, start = room(y.shape, y.dtype, at=at)
        assert fn(x, *args, out=out, **options) is out
        assert same_bits(out, parts)
        assert np.all(whole[:start] == 77) and np.all(whole[start + out.nbytes :] == 77)


def test_rows_apart(past):
    """A result whose rows do not touch: what lies between them stays."""
    x = np.random.default_rng(0).random((1400, 64, 256), dtype=np.float32)
    expected_y = nbp.max_pool2d(x, 2)
    for width, expected in (130, False), (132, True), (144, True):
        whole = np.full((1400, 32, width), 77, np.float32)
        nbp.max_pool2d(x, 2, out=whole[..., :128])
        assert past() == expected
        assert same_bits(np.ascontiguousarray(whole[..., :128]), expected_y)
        assert np.all(whole[..., 128:] == 77)


def test_beside_a_mask(past):
    x = np.random.default_rng(0).random((1400, 32, 512), dtype=np.float32)
    there = np.random.default_rng(1).random(x.shape[1:]) < 0.7
    for options in {"where": there}, {"where": there, "nan_policy": "omit"}:
        y = nbp.avg_pool2d(x, 2, **options)
        assert past()
        assert same_bits(y[-3:], nbp.avg_pool2d(x[-3:], 2, **options))


def test_with_indices(past):
    """Values go past the caches, their indices do not."""
    x = np.random.default_rng(0).random((1400, 32, 512), dtype=np.float32)
    y, indices = nbp.max_pool2d(x, 2, return_indices=True)
    assert past()
    few, some = nbp.max_pool2d(x[-3:], 2, return_indices=True)
    assert same_bits(y[-3:], few) and same_bits(indices[-3:], some)


def test_new_pages(native, monkeypatch):
    """The pages of a large new array were just cleared in the cache."""
    native(True)
    seen = []
    launch = blocks.threads.launch

    def spy(kernel, at, *rest):
        seen.append(word(at, block.PAST))
        return launch(kernel, at, *rest)

    monkeypatch.setattr(blocks.threads, "launch", spy)
    x = np.zeros((36, 1024, 1024), np.float32)
    y = nbp.max_pool2d(x, 2)
    nbp.max_pool2d(x, 2, out=y)
    nbp.max_pool2d(x[:20], 2)
    assert seen == [0, 1, 1]


def test_instructions(native):
    """Stores past the caches, and the fence behind them, where the machine has both."""
    native(True)
    types = reductions.MAX.types("float32", "float32", False)
    text = build.assembly(rows, bind.forward(reductions.MAX, types), "past_max_rows_float32")
    if "xmm" in text:
        assert "movntp" in text and "sfence" in text
