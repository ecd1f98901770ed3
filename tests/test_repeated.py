"""Calls like earlier ones, which are not checked again: what they may share with them, and what not."""

import numpy as np
import pytest
from cases import array, forget_plans, same_bits

import numbapool as nbp
from numbapool.backends import cpu
from numbapool.testing import check

CALLS = [
    ("max_pool2d", (3, 2, 1), {}),
    ("max_pool2d", ((2, 3), (1, 2), (0, 1)), {"axes": (0, 2)}),
    ("min_pool1d", (5,), {"ceil_mode": True}),
    ("avg_pool2d", (3, 2, 1), {"count_include_pad": False}),
    ("avg_pool2d", (2,), {"divisor_override": 3.0, "dtype": "float64"}),
    ("avg_pool2d", (2,), {"nan_policy": "omit"}),
    ("sum_pool3d", (2,), {"dtype": np.float64}),
    ("lp_pool2d", (2.0, 2), {}),
    ("adaptive_avg_pool2d", (3,), {}),
    ("adaptive_max_pool2d", ((2, None),), {}),
    ("global_avg_pool", (), {}),
    ("max_pool2d", (3, 2, 1), {"return_indices": True}),
    ("min_pool2d", (9, 2, 1), {"return_indices": True, "axes": (2, 1)}),
    ("adaptive_max_pool2d", (3,), {"return_indices": True}),
    ("global_max_pool", (), {"keepdims": False, "return_indices": True}),
    ("global_max_pool", (), {"keepdims": False, "axes": (0, 2)}),
]


@pytest.fixture
def checks(monkeypatch):
    """How many calls were checked so far."""
    counted = []
    forget_plans()
    run = cpu.run
    monkeypatch.setattr(cpu, "run", lambda request: counted.append(1) or run(request))
    yield counted
    forget_plans()


@pytest.mark.parametrize("order", ["C", "F", "strided"])
@pytest.mark.parametrize("name, args, options", CALLS)
def test_same_as_the_first(name, args, options, order, checks):
    fn = getattr(nbp, name)
    for seed in range(4):
        x = array((5, 12, 9), "float32", "ties", seed=seed)
        x = {"C": x, "F": np.asfortranarray(x), "strided": np.repeat(x, 2, axis=1)[:, ::2]}[order]
        y = check(name, x, *args, **options)
        results = y if isinstance(y, tuple) else (y,)
        out = tuple(map(np.empty_like, results)) if isinstance(y, tuple) else np.empty_like(y)
        given = fn(x, *args, **options, out=out)
        for one, other, third in zip(
            results, *(v if isinstance(v, tuple) else (v,) for v in (out, given)), strict=True
        ):
            assert other is third and same_bits(one, other)
        again = fn(x, *args, **options)
        for one, other in zip(results, again if isinstance(again, tuple) else (again,), strict=True):
            assert one.strides == other.strides and same_bits(one, other)
    assert len(checks) == 2  # one without and one with out


def test_what_is_another_call():
    """Equal numbers of other types, other layouts, other dtypes."""
    x = array((4, 12, 9))
    assert same_bits(nbp.max_pool2d(x, 1, 1), x)
    for wrong in True, 1.0, "1", None, (1, True), (1, 1.0):
        with pytest.raises((TypeError, ValueError), match="kernel_size"):
            nbp.max_pool2d(x, wrong, 1)
    nbp.max_pool2d(x, (1, 1), 1)
    with pytest.raises(TypeError, match="kernel_size"):
        nbp.max_pool2d(x, (1, True), 1)
    assert nbp.avg_pool2d(x, 2, divisor_override=1).dtype == np.float32
    with pytest.raises(TypeError, match="divisor_override"):
        nbp.avg_pool2d(x, 2, divisor_override=True)
    for other in (
        x.astype("f8"),
        x.astype(">f4"),
        np.asfortranarray(x),
        x[:, ::-1],
        x[None, :3],
        x.astype("i4"),
    ):
        check("max_pool2d", other, 3, 2, 1)
        check("max_pool2d", other, 3, 2, 1)


def test_values_that_are_looked_at():
    x = array((4, 12, 9))
    for _ in range(2):
        nbp.max_pool2d(x, 2, nan_policy="raise")
    x[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        nbp.max_pool2d(x, 2, nan_policy="raise")


def test_zeros_of_both_signs():
    """A call that is done again with keys, when the one before needed it, or when it did not."""
    x = np.zeros((2, 40, 50), np.float32)
    x[0, ::3, ::2] = -0.0
    for _ in range(2):
        for given in x, np.abs(x):
            check("max_pool2d", given, (40, 3), 1)


def test_samples_are_drawn_anew():
    x = array((2, 3, 30, 30))
    drawn = {nbp.fractional_max_pool2d(x, 2, output_ratio=0.7).tobytes() for _ in range(8)}
    assert len(drawn) > 1


def test_out_is_looked_at():
    x = array((1, 24, 24))
    y = nbp.max_pool2d(x, 2, out=np.empty((1, 12, 12), np.float32))
    locked = np.empty_like(y)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writeable"):
        nbp.max_pool2d(x, 2, out=locked)
    with pytest.raises(ValueError, match="shape"):
        nbp.max_pool2d(x, 2, out=np.empty((1, 12, 11), np.float32))
    with pytest.raises(TypeError, match="dtype"):
        nbp.max_pool2d(x, 2, out=np.empty((1, 12, 12)))
    with pytest.raises(TypeError, match="out"):
        nbp.max_pool2d(x, 2, out=[0])


def test_pairs_of_out_are_looked_at():
    x = array((1, 24, 24), "float32", "distinct")
    y, indices = nbp.max_pool2d(x, 2, return_indices=True)
    for _ in range(2):
        out = np.empty_like(y), np.empty_like(indices)
        assert nbp.max_pool2d(x, 2, return_indices=True, out=out)[1] is out[1]
    locked = np.empty_like(indices)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        nbp.max_pool2d(x, 2, return_indices=True, out=(out[0], locked))
    memory = np.zeros(2000, np.float32)
    with pytest.raises(ValueError, match="share memory"):
        nbp.max_pool2d(
            x,
            2,
            return_indices=True,
            out=(memory[:144].reshape(y.shape), memory[:288].view(np.int64).reshape(y.shape)),
        )
    memory = np.zeros(4000, np.float32)
    memory[400:976] = x.ravel()
    out = memory[100:244].reshape(y.shape), memory[300:588].view(np.int64).reshape(y.shape)
    got = nbp.max_pool2d(memory[400:976].reshape(x.shape), 2, return_indices=True, out=out)
    assert same_bits(got[0], y) and same_bits(got[1], indices)
    for wrong in (out[0],), (out[0], None, out[1]), (out[1], out[0]):
        with pytest.raises((TypeError, ValueError), match="out"):
            nbp.max_pool2d(x, 2, return_indices=True, out=wrong)
    half = nbp.max_pool2d(x, 2, return_indices=True, out=(out[0], None))
    assert half[0] is out[0] and same_bits(half[1], indices)


def test_out_over_x():
    """At any distance from it, before and behind."""
    memory = np.zeros(4000, np.float32)
    values = array((1, 24, 24), "float32", "distinct")
    for steps in ((1, 24, 1), (1, -24, -1)):
        for at in range(0, 1600, 100):
            x = np.lib.stride_tricks.as_strided(memory[1700:], values.shape, [4 * s for s in steps])
            out = memory[at + 500 : at + 500 + 484].reshape(1, 22, 22)
            memory[...] = 0
            x[...] = values
            got = nbp.max_pool2d(x, 3, 1, out=out)
            assert same_bits(got, nbp.max_pool2d(values, 3, 1))


def test_arrays_may_be_read_only():
    x = array((2, 9, 9))
    y = nbp.max_pool2d(x, 2)
    x.flags.writeable = False
    assert same_bits(nbp.max_pool2d(x, 2), y)


def test_subclasses_come_back_as_before():
    class Named(np.ndarray):
        pass

    x = array((2, 9, 9))
    nbp.max_pool2d(x, 2)
    kind = type(nbp.max_pool2d(x.view(Named), 2))
    assert kind is type(nbp.max_pool2d(x.view(Named), 2))
    masked = np.ma.masked_array(x)
    with pytest.raises(TypeError, match="where"):
        nbp.max_pool2d(masked, 2)
