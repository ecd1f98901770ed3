"""Windows of 5 to 128 columns, one apart, of maxima and minima: runs and results are made in one loop, for rows without NaNs and zeros of both signs."""

import numpy as np
import pytest
from cases import array, same_bits, slow_but
from guarded import guarded_allocations, moved
from numpy.lib.stride_tricks import sliding_window_view

import numbapool as nbp
from numbapool.backends import blocks
from numbapool.kernels import block
from numbapool.testing import check

# Around every length of the runs that cover a window, and around the ends of what is done so.
WIDTHS = (4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129)
DTYPES = ("float32", "float64", "float16", "bfloat16", "int8", "uint16", "int32", "int64")


def expected(op, x, height, width):
    y = getattr(sliding_window_view(x, height, axis=-2), op)(-1)
    return getattr(sliding_window_view(y, width, axis=-1), op)(-1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", slow_but(["float32", "float16", "int8", "int64"], DTYPES))
def test_widths(dtype, width):
    op = ("max", "min")[(width + len(dtype)) % 2]
    for height in (1, 9):
        # Fewer columns than results are behind runs, a few more, whole vectors and one more.
        for columns in (2, 31, 128, 129, 640, 641, 1030):
            x = array((2, height + 12, columns + width - 1), dtype, "distinct")
            y = getattr(nbp, f"{op}_pool2d")(x, (height, width), 1)
            assert same_bits(y, expected(op, x, height, width)), (height, columns)


def test_height_alone_is_padded():
    x = array((1, 40, 300), "float32", "distinct")
    inside = nbp.max_pool2d(x, (13, 33), 1)
    assert same_bits(nbp.max_pool2d(x, (13, 33), 1, (6, 0))[:, 6:-6], inside)
    assert same_bits(nbp.max_pool2d(x, (13, 33), 1, (6, 16))[:, 6:-6, 16:-16], inside)


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_rows_that_are_left(op, dtype):
    """NaNs and zeros of both signs, in some rows: they are done another way, and their neighbours are not harmed."""
    shape = (1, 60, 200)
    for args in ((9, 1, 4), ((1, 17), 1, (0, 8)), ((3, 40), 1, 0)):
        x = array(shape, dtype, "distinct")
        for row, column in ((0, 0), (3, 199), (28, 77), (29, 150), (59, 100)):
            x[0, row, column] = np.nan
        check(f"{op}_pool2d", x, *args)
        x = (-1 if op == "max" else 1) * (np.abs(x) + 1)
        x[0, 20:22, 30:170:9], x[0, 20:40:2, 31:170:11] = 0.0, -0.0
        check(f"{op}_pool2d", x, *args)
        check(f"{op}_pool2d", np.nan_to_num(x, nan=5), *args)


def test_what_lies_behind_a_row(run_python):
    """Whatever scratch memory held before, no row is left for a NaN that it has not; sixteen that follow one that has are left with it."""
    run_python(
        """
        import numpy as np
        empty = np.empty
        def dirty(shape, dtype=float, order='C', **_):
            made = empty(shape, dtype, order)
            made.reshape(-1, order='A').view(np.uint8)[...] = 255  # a NaN of any size
            return made
        np.empty = dirty
        from cases import array
        import numbapool as nbp
        from numbapool.kernels import large
        left = []
        large.cover = lambda *args: left.append(args) or 1
        for dtype in ('float32', 'float64', 'float16'):
            for width in (5, 9, 17, 33, 65):
                x = array((12, width + 127), dtype, 'distinct')
                for height in (9, 1):
                    nbp.max_pool2d(x, (height, width), 1, (height // 2, width // 2))
                    assert not left, (dtype, width, height)
        x = array((40, 192), 'float32', 'distinct')
        x[3, 40] = x[30, 2] = np.nan
        nbp.max_pool2d(x, (1, 65), 1)
        assert len(left) == 17 + 10
        """,
        NUMBA_DISABLE_JIT="1", NUMBAPOOL_NUM_THREADS="1",
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_lines_past_the_caches(native, monkeypatch, dtype):
    """Rows of results that begin anywhere in a cache line are stored by whole lines, rows with a NaN as others are, and nothing beside them."""
    native(True)
    seen = []
    run = blocks.Plan.run
    monkeypatch.setattr(
        blocks.Plan, "run", lambda self, *a, **k: (seen.append(self.args[block.PAST]), run(self, *a, **k))[1]
    )
    size = np.dtype(dtype).itemsize
    window, padding = (9, 15), (4, 7)
    for columns in (1024, 1024 + 64 // size):
        x = array((1, (13 << 20) // (columns * size), columns), dtype, "ties")
        if dtype != "uint8":
            x[0, 200:1000:300, 50] = np.nan
        rows = np.pad(x, ((0, 0), (4, 4), (0, 0)), "edge")
        want = [nbp.max_pool2d(rows[:, i : i + 508], window, 1, (0, 7)) for i in range(0, x.shape[1], 500)]
        want = np.concatenate(want, 1)
        assert not seen[-1]
        for at in (0, 16, 32, 48, 5 * size):
            whole = np.full(x.nbytes + 256, 77, np.uint8)
            start = 64 + (at - whole.ctypes.data) % 64
            out = whole[start : start + x.nbytes].view(dtype).reshape(x.shape)
            nbp.max_pool2d(x, window, 1, padding, out=out)
            assert seen[-1] == 1
            assert same_bits(out, want), (columns, at)
            assert (whole[:start] == 77).all() and (whole[start + x.nbytes :] == 77).all()


@pytest.mark.parametrize("end", [True, False])
def test_scratch_memory_between_protected_pages(end):
    for dtype in ("float32", "float64", "float16", "int8"):
        for width in (5, 16, 64, 128):
            x = array((1, 30, width + 140), dtype, "distinct")
            args = (9, width), 1, (4, width // 2)
            want = nbp.max_pool2d(x, *args)
            x = moved(x, end)
            with guarded_allocations(end):
                got = nbp.max_pool2d(x, *args)
            assert same_bits(got, want)
