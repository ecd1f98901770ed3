"""Indices of what was chosen: from the numbers of taps to places in planes, in any layout, for windows of any number of axes."""

import numpy as np
import pytest
from cases import array, forget_plans, same_bits

import numbapool as nbp
from numbapool.backends import index_plans
from numbapool.testing import check

WINDOWS = [(2,), (2, 1), (3, 2, 1), (5, 1, 2), (4, 3), ((2, 7), (1, 3), (1, 3)), (3, 2, 2, 2), (7, 3, 3, 1, True), ((6, 5), 2, (3, 1))]  # fmt: skip


@pytest.fixture(params=[4096, 64])
def line(request, monkeypatch):
    """Planes that are one line, rows that are, or parts of rows."""
    monkeypatch.setattr(index_plans, "LINE", request.param)
    forget_plans()
    yield
    forget_plans()


@pytest.mark.parametrize("axes", [(-2, -1), (0, 1), (0, 2), (1, 0)])
def test_windows(line, axes):
    for window in WINDOWS:
        for shape in ((5, 19, 37), (23, 9, 70), (90, 10, 11)):
            x = array(shape, "float32", "ties")
            if all(shape[a] > 12 or window[0] in (2, 3) for a in axes):
                check("max_pool2d", x, *window, return_indices=True, axes=axes)


def test_other_numbers_of_axes(line):
    for window in (3, 1, 1), (2,), ((2, 1, 3), 1, (1, 0, 1)), (5, 1, 2), (4, 2, 1):
        check("min_pool3d", array((2, 9, 11, 13), "float64", "ties"), *window, return_indices=True)
        check(
            "min_pool3d", array((9, 11, 13, 3), "uint8", "ties"), *window, return_indices=True, axes=(0, 1, 2)
        )
    for window in (2, 1), (7, 5, 3), (6, 1, 5, 3):
        check("max_pool1d", array((3, 1001), "int16", "ties"), *window, return_indices=True)
        check("max_pool1d", array((301, 5), "int16", "ties"), *window, return_indices=True, axes=0)


def strided(shape, dtype, order):
    """An array of this shape whose axes lie in this order in memory, every other element."""
    memory = np.full([2 * shape[a] for a in order], 99, dtype)
    return memory[(slice(None, None, 2),) * len(shape)].transpose(np.argsort(order))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0), (1, 0, 3, 2)])
def test_given_results_of_any_layout(line, order):
    """What lies between their elements stays as it was."""
    x = array((2, 3, 20, 31), "float32", "ties")
    for window in (3, 2, 1), (2, 1), (5, 1, 2):
        y, indices = nbp.max_pool2d(x, *window, return_indices=True)
        for source in x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2):
            given = strided(y.shape, np.float32, order), strided(y.shape, np.int64, order)
            got = nbp.max_pool2d(source, *window, return_indices=True, out=given)
            assert got[0] is given[0] and same_bits(got[0], y)
            assert got[1] is given[1] and same_bits(got[1], indices)
            assert np.count_nonzero(given[1].base == 99) >= given[1].base.size - indices.size


def test_where_nothing_was_chosen(line):
    """-1, from the first element of a line to the last."""
    x = array((4, 33, 50), "float32", "distinct")
    x[1], x[2, :, 20:] = np.nan, np.nan
    _, indices = check("max_pool2d", x, 3, 2, 1, nan_policy="omit", return_indices=True)
    assert (indices[1] == -1).all() and (indices[0] >= 0).all()
    assert (indices[2] == -1).any() and (indices[2] >= 0).any()


def test_planes_of_more_elements_than_32_bits_count(monkeypatch):
    """The way of such planes, taken by small ones."""
    x = array((3, 12, 40), "float32", "ties")
    expected = nbp.max_pool2d(x, 3, 2, 1, return_indices=True)[1]
    monkeypatch.setattr(index_plans, "FAR", 1)
    forget_plans()
    try:
        assert same_bits(nbp.max_pool2d(x, 3, 2, 1, return_indices=True)[1], expected)
    finally:
        forget_plans()


def test_same_with_any_number_of_threads():
    x = array((8, 64, 200, 40), "float32", "ties")
    results = []
    for n in 1, 2, 5:
        with nbp.options(num_threads=n, parallel_threshold=0):
            results.append(nbp.max_pool2d(x, 3, 2, 1, return_indices=True)[1])
    assert same_bits(results[0], results[1]) and same_bits(results[0], results[2])


def test_on_twins(run_python):
    run_python(
        """
        import numpy as np
        from numbapool.backends import index_plans
        from numbapool.testing import check
        index_plans.LINE = 16
        x = (np.arange(2 * 7 * 23) * 7 % 11).astype(np.float32).reshape(2, 7, 23)
        check('max_pool2d', x, 3, 2, 1, return_indices=True)
        check('max_pool2d', x, (4, 7), 1, (2, 3), return_indices=True)
        check('max_pool2d', x, 3, 2, 1, return_indices=True, axes=(0, 1))
        """,
        NUMBA_DISABLE_JIT="1",
    )
