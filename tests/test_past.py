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
    """Whether the plan of the last call stores past the caches, at least into arrays that are given: 1, or 2 by way of whole lines."""
    native(True)
    seen = []
    run = blocks.Plan.run

    def spy(self, *args, **options):
        if self.kernel.name != "any_indices":
            seen.append(self.args[block.PAST])
        return run(self, *args, **options)

    monkeypatch.setattr(blocks.Plan, "run", spy)
    return lambda: int(seen[-1])


def room(shape, dtype, order="C", at=16):
    """An array that begins `at` bytes behind a line's border, amid others' bytes, and all of those bytes."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = np.full(nbytes + 256, 77, np.uint8)
    start = 64 + (at - whole.ctypes.data) % 64
    return whole[start : start + nbytes].view(dtype).reshape(shape, order=order), whole, start


CASES = [
    ((32, 128), {}, (2,), "float32", 1),  # rows of whole vectors
    ((32, 96), {}, (3, 1, 1), "float32", 1),
    ((32, 40), {}, (3, 1, 1), "float32", 2),  # a row ends in half a line
    ((5, 34), {}, (2, 1), "float32", 2),  # planes of a few lines
    ((30, 50), {}, (3, 1, 1), "float16", 2),
    ((20, 19), {}, (3, 1, 1), "float64", 2),
    ((1001,), {"axes": (1,)}, (3, 1, 1), "float32", 0),  # little work a row
    ((4, 3001), {}, (3, 1, 1), "float32", 0),  # long rows are mostly whole lines
    ((33, 35), {}, (3, 2, 1), "float32", 0),  # few results: nothing is gained
    ((8, 1400), {}, (2,), "float32", 1),  # a long row that is no whole vectors
    ((8, 1398), {}, (2,), "float32", 0),  # the next begins where such stores may not
    ((9, 9, 32), {"axes": (1, 2)}, (3, 2, 1), "float32", 1),  # channels last
    ((9, 9, 24), {"axes": (1, 2)}, (3, 2, 1), "float32", 0),
    ((8, 6, 4, 64), {"axes": (1, 2, 3)}, (2,), "uint8", 1),
    ((32, 67), {}, (4, 1), "float64", 1),  # with a scratch row
    ((32, 64), {}, (9, 1, 4), "float32", 1),
    ((32, 128), {}, (2,), "float16", 0),
    ((2, 40000), {}, (2,), "float32", 1),  # tiles of whole vectors
]


MAXIMA = [
    ((3, 81), {}, ((4, 3), 1, (2, 1)), "float32", 2),  # no two rows of windows are alike
    ((35, 35), {}, (5, 1, 2), "float32", 2),
    ((6, 5, 37), {"axes": (1, 2, 3)}, (3, 1, 1), "float32", 2),
    ((20, 77), {}, (7, 1, 3), "uint8", 2),
]


@pytest.mark.parametrize(
    ("name", "plane", "options", "args", "dtype", "expected"),
    [*((name, *case) for case in CASES for name in ("max", "avg")), *(("max", *case) for case in MAXIMA)],
)
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


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_planes_apart_by_way_of_lines(past, threads):
    """Results whose planes do not touch, indices beside them, and elements that lie anywhere."""
    x = np.random.default_rng(0).standard_normal((LARGE // 4900 + 1, 35, 35), dtype=np.float32)
    parts = [nbp.max_pool2d(p, 5, 1, 2, return_indices=True) for p in np.array_split(x, 3)]
    expected, places = (np.concatenate(p) for p in zip(*parts, strict=True))
    with nbp.options(num_threads=threads):
        for gap in 1, 35, 100:
            whole = np.full((len(x), 35 * 35 + gap), 77, np.float32)
            out = np.lib.stride_tricks.as_strided(whole, x.shape, (whole.strides[0], 140, 4))
            nbp.max_pool2d(x, 5, 1, 2, out=out)
            assert past() == 2
            assert same_bits(out, expected)
            assert np.all(whole[:, 35 * 35 :] == 77)
        y, indices = np.empty_like(x), np.empty(x.shape, np.int64)
        nbp.max_pool2d(x, 5, 1, 2, return_indices=True, out=(y, indices))
        assert past() == 2
        assert same_bits(y, expected)
        assert same_bits(indices, places)
        memory = np.empty(x.nbytes + 8, np.uint8)
        out = memory[1 : 1 + x.nbytes].view(np.float32).reshape(x.shape)
        assert same_bits(nbp.max_pool2d(x, 5, 1, 2, out=out).copy(), expected)


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
