"""What comes in comes out: tensors, arrays of other libraries, subclasses; no copy on the way, nothing imported."""

import types

import ml_dtypes
import numpy as np
import pytest
from cases import dtype_of

import numbapool as nbp
from numbapool import containers, dispatch

RNG = np.random.default_rng(11)
X = RNG.standard_normal((2, 3, 9, 10)).astype(np.float32)


class Exchange:
    """An array of a library with the array API: DLPack and a namespace, and no `__array__` unless a subclass has it."""

    device = (1, 0)

    def __init__(self, a):
        self.a = a

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **options):
        return self.a.__dlpack__(**options)

    def __array_namespace__(self, api_version=None):
        return types.SimpleNamespace(from_dlpack=self.from_dlpack, asarray=self.asarray)

    @classmethod
    def from_dlpack(cls, y):
        return cls(np.from_dlpack(y))

    @classmethod
    def asarray(cls, y):
        return cls(np.array(y))


class Legacy(Exchange):
    """DLPack before its protocol had versions."""

    def __dlpack__(self, stream=None):
        return self.a.__dlpack__(stream=stream)


class Readable:
    """`__array__` alone, as xarray, pandas and Dask."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return self.a


class Interface:
    def __init__(self, a):
        self.a = a
        self.__array_interface__ = a.__array_interface__


def address(array):
    return array.__array_interface__["data"][0]


def same(a, b):
    """Equal bits and dtypes."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape
    np.testing.assert_array_equal(a, b)


# ------------------------------------------------------------------------------------------------------- NumPy and likes


class TestNumPyOut:
    def test_subclasses_come_back_as_ndarray(self, tmp_path):
        class Own(np.ndarray):
            pass

        mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=X.shape)
        mapped[...] = X
        for x in (X.view(Own), mapped):
            y, pullback = nbp.vjp(nbp.max_pool2d, x, 2, return_indices=True)
            assert type(y[0]) is type(y[1]) is type(pullback(y[0])) is np.ndarray
            same(y[0], nbp.max_pool2d(X, 2))
        assert type(nbp.avg_pool2d(np.eye(4).view(np.matrix), 2)) is np.ndarray

    def test_out_may_be_a_subclass(self, tmp_path):
        mapped = np.memmap(tmp_path / "y", np.float32, "w+", shape=(2, 3, 4, 5))
        assert nbp.max_pool2d(X, 2, out=mapped) is mapped
        same(mapped, nbp.max_pool2d(X, 2))

    @pytest.mark.parametrize("holder", [Readable, Interface])
    def test_protocols_without_a_way_back(self, holder):
        x = holder(X)
        y, pullback = nbp.vjp(nbp.avg_pool2d, x, 2)
        assert type(y) is type(pullback(Readable(y))) is np.ndarray
        same(y, nbp.avg_pool2d(X, 2))
        array, kind = dispatch.array(x)
        assert kind is None and address(array) == address(X)
        out = np.empty_like(y)
        assert nbp.avg_pool2d(x, 2, out=out) is out

    def test_lists_and_buffers(self):
        import array

        for x in ([1.0, 5.0, 2.0, 3.0], (1.0, 5.0, 2.0, 3.0), array.array("d", [1.0, 5.0, 2.0, 3.0])):
            same(nbp.max_pool1d(x, 2), np.array([5.0, 3.0]))
        with pytest.raises(ValueError, match="x must have at least 1 dimensions"):
            nbp.max_pool1d(3.0, 2)

    def test_masked_array(self):
        for masked in (np.ma.masked_invalid(X), np.ma.array(X)):
            with pytest.raises(TypeError, match=r"where=~x\.mask"):
                nbp.max_pool2d(masked, 2)
            with pytest.raises(TypeError, match="dy"):
                nbp.vjp(nbp.max_pool2d, X, 2)[1](masked)

    def test_no_array_at_all(self):
        class Broken:
            def __array__(self, dtype=None, copy=None):
                raise RuntimeError("too large to be made dense")

        for x in (
            None,
            "text",
            b"text",
            {1: 2},
            object(),
            np.ndarray,
            Exchange,
            Broken(),
            [[1.0], [1.0, 2.0]],
        ):
            with pytest.raises(TypeError, match=r"^x "):
                nbp.max_pool1d(x, 2)

    def test_arrays_on_a_gpu(self):
        class Device:
            __cuda_array_interface__ = X.__array_interface__

        managed = Exchange(X)
        managed.device = (2, 0)
        for x in (Device(), managed):
            # numba-cuda or the driver is missing, or else the two lie in different memory
            with pytest.raises((ImportError, RuntimeError, TypeError), match=r"x .*(GPU|CUDA)"):
                nbp.max_pool2d(x, 2)
            with pytest.raises((ImportError, RuntimeError, TypeError), match=r"dy .*(GPU|CUDA)"):
                nbp.vjp(nbp.max_pool2d, X, 2)[1](x)

    def test_tensors_of_unknown_frameworks_that_require_grad(self):
        x = Readable(X)
        x.requires_grad = True
        with pytest.raises(ValueError, match=r"x\.detach\(\)"):
            nbp.max_pool2d(x, 2)


# --------------------------------------------------------------------------------------------------------------- DLPack


class TestExchange:
    @pytest.mark.parametrize("kind", [Exchange, Legacy])
    def test_its_own_kind_comes_back(self, kind):
        (y, i), pullback = nbp.vjp(nbp.max_pool2d, kind(X), 3, 2, 1, return_indices=True)
        expected, backward = nbp.vjp(nbp.max_pool2d, X, 3, 2, 1, return_indices=True)
        assert type(y) is type(i) is kind
        same(y.a, expected[0])
        same(i.a, expected[1])
        for dy in (y, expected[0], expected[0].astype(np.float64)):
            dx = pullback(dy)
            assert type(dx) is kind
            same(dx.a, backward(expected[0]))

    def test_nothing_is_copied(self):
        array, kind = dispatch.array(Exchange(X))
        assert address(array) == address(X)
        y = np.empty(3)
        assert address(kind.wrap(y, "float64").a) == address(y)

    def test_strides_and_order(self):
        x = np.asfortranarray(X)[:, ::-1, ::2]
        y = nbp.max_pool2d(Exchange(x), 2)
        same(y.a, nbp.max_pool2d(x, 2))
        assert y.a.strides == nbp.max_pool2d(x, 2).strides

    def test_out(self):
        out = Exchange(np.empty((2, 3, 4, 5), np.float32)), Exchange(np.empty((2, 3, 4, 5), np.int64))
        assert nbp.max_pool2d(Exchange(X), 2, out=out[0]) is out[0]
        same(out[0].a, nbp.max_pool2d(X, 2))
        out[0].a[...] = 0
        y, i = nbp.max_pool2d(Exchange(X), 2, return_indices=True, out=out)
        assert y is out[0] and i is out[1]
        same(i.a, nbp.max_pool2d(X, 2, return_indices=True)[1])
        y, i = nbp.max_pool2d(Exchange(X), 2, return_indices=True, out=(None, out[1]))
        assert type(y) is Exchange and i is out[1]

    def test_out_of_another_kind(self):
        y = np.empty((2, 3, 4, 5), np.float32)
        with pytest.raises(TypeError, match=r"^out must be a .*Exchange as x is, not ndarray"):
            nbp.max_pool2d(Exchange(X), 2, out=y)
        with pytest.raises(TypeError, match=r"^out must be a numpy\.ndarray, not Exchange"):
            nbp.max_pool2d(X, 2, out=Exchange(y))
        with pytest.raises(TypeError, match=r"^out must have dtype float32, not float64"):
            nbp.max_pool2d(Exchange(X), 2, out=Exchange(y.astype(np.float64)))
        with pytest.raises(ValueError, match=r"^out must have shape"):
            nbp.max_pool2d(Exchange(X), 2, out=Exchange(y[:1]))
        y.flags.writeable = False
        with pytest.raises(ValueError, match=r"^out must be writeable"):
            nbp.max_pool2d(Exchange(X), 2, out=Exchange(y))

    def test_a_dtype_that_dlpack_cannot_say(self):
        class Library(Exchange):
            def __array__(self, dtype=None, copy=None):
                return self.a

        x = X.astype(ml_dtypes.bfloat16)
        y, pullback = nbp.vjp(nbp.avg_pool2d, Library(x), 2)
        assert type(y) is type(pullback(y)) is Library
        same(y.a, nbp.avg_pool2d(x, 2))
        with pytest.raises(TypeError, match=r"^x "):
            nbp.avg_pool2d(Exchange(x), 2)
        with pytest.raises(TypeError, match=r"^out cannot be written to"):
            nbp.avg_pool2d(Library(x), 2, out=Library(np.empty((2, 3, 4, 5), x.dtype)))

    @pytest.mark.parametrize("lack", ["namespace", "from_dlpack"])
    def test_no_way_back(self, lack):
        class OneWay(Exchange):
            def __array_namespace__(self, api_version=None):
                if lack == "namespace":
                    raise AttributeError
                return types.SimpleNamespace()

        y = nbp.max_pool2d(OneWay(X), 2)
        assert type(y) is np.ndarray
        same(y, nbp.max_pool2d(X, 2))


# ------------------------------------------------------------------------------------------------------ bfloat16's stand-in


def test_conversion_to_bfloat16_is_that_of_ml_dtypes():
    bits = np.arange(2**16, dtype=np.uint32) << 16
    for low in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
        x = (bits + np.uint32(low)).view(np.float32)
        with np.errstate(invalid="ignore"):
            expected = x.astype(ml_dtypes.bfloat16)
        got = containers.converted(x, containers.bfloat16)
        assert got.dtype.name == "bfloat16"
        number = ~np.isnan(x)
        np.testing.assert_array_equal(got.view(np.ndarray)[number], expected.view(np.uint16)[number])
        again = containers.converted(got, np.dtype(np.float64))
        np.testing.assert_array_equal(again, expected.astype(np.float64))


# ---------------------------------------------------------------------------------------------------------------- torch


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def tensor(torch, a):
    """A tensor of a's values, dtype and strides."""
    if a.dtype.name == "bfloat16":
        return torch.from_numpy(a.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(a)


def numpy(torch, t):
    assert type(t) is torch.Tensor
    if t.dtype is torch.bfloat16:
        return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return t.numpy()


@pytest.mark.peers
class TestTorch:
    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64"])
    @pytest.mark.parametrize("fn", ["max_pool2d", "avg_pool2d", "sum_pool2d"])
    def test_dtypes(self, torch, fn, dtype):
        x = (X * 8).astype(dtype_of(dtype))
        t = tensor(torch, x)
        expected = getattr(nbp, fn)(x, 3, 2, 1)
        y = getattr(nbp, fn)(t, 3, 2, 1)
        same(numpy(torch, y), expected)
        out = torch.empty_like(y)
        assert getattr(nbp, fn)(t, 3, 2, 1, out=out) is out
        same(numpy(torch, out), expected)
        if dtype == "bfloat16" and fn == "avg_pool2d":
            assert y.dtype is torch.bfloat16
            same(numpy(torch, nbp.avg_pool2d(t, 2, dtype=np.float32)), nbp.avg_pool2d(x, 2, dtype=np.float32))
            wide = X[:1]
            same(
                numpy(torch, nbp.avg_pool2d(tensor(torch, wide), 2, dtype=x.dtype)),
                nbp.avg_pool2d(wide, 2, dtype=x.dtype),
            )

    @pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
    @pytest.mark.parametrize("fn", ["max_pool2d", "avg_pool2d"])
    def test_vjp(self, torch, fn, dtype):
        x = X.astype(dtype_of(dtype))
        y, pullback = nbp.vjp(getattr(nbp, fn), tensor(torch, x), 3, 2, 1)
        expected, backward = nbp.vjp(getattr(nbp, fn), x, 3, 2, 1)
        same(numpy(torch, y), expected)
        dy = RNG.standard_normal(expected.shape)
        for given in (dy, torch.from_numpy(dy), dy.astype(x.dtype), y.new_ones(1).expand(y.shape), y):
            plain = numpy(torch, given) if isinstance(given, torch.Tensor) else given
            dx = pullback(given)
            assert dx.dtype is y.dtype
            same(numpy(torch, dx), backward(plain))
            same(backward(given), backward(plain))
        with pytest.raises(ValueError, match=r"dy\.detach\(\)"):
            pullback(y.clone().requires_grad_())
        with pytest.raises(ValueError, match=r"^dy must have the shape of y"):
            pullback(y[:1])

    @pytest.mark.parametrize(
        ("fn", "args", "options"),
        [
            ("avg_pool2d", (3, 2, 1), {"weights": "float32"}),
            ("avg_pool2d", (3, 2, 1), {"weights": "bfloat16"}),
            ("avg_pool2d", (2,), {"weights": "bfloat16", "where": True}),
            ("sum_pool2d", (9, 1, 4), {"weights": "int32"}),
            ("avg_pool2d", (9, 1, 4), {"where": True}),
            ("global_avg_pool", (), {"weights": "bfloat16"}),
            ("adaptive_avg_pool2d", ((3, 4),), {"weights": "bfloat16"}),
            *(("lp_pool2d", (p, 3, 2), {}) for p in (2, 3.5, 0.5, -2, 300, np.inf, -np.inf)),
            ("global_lp_pool", (np.inf,), {}),
            ("max_pool2d", (3, 2, 1), {"nan_policy": "omit"}),
        ],
    )
    def test_gradients_of_bfloat16(self, torch, fn, args, options):
        """Also where NumPy does a part of them, to which a tensor's elements are 16-bit integers."""
        rng = np.random.default_rng(0)

        def of(dtype, *shape):
            values = rng.integers(1, 9, shape) if dtype == "int32" else rng.standard_normal(shape) + 2
            return values.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)

        x = of("bfloat16", 2, 3, 10, 12) - of("bfloat16", 2, 3, 10, 12)
        made = dict(options)
        if "weights" in options:
            made["weights"] = of(options["weights"], 10, 12)
        if "where" in options:
            made["where"] = rng.random((10, 12)) < 0.7
        given = {k: tensor(torch, v) if isinstance(v, np.ndarray) else v for k, v in made.items()}
        expected, backward = nbp.vjp(getattr(nbp, fn), x, *args, **made)
        y, pullback = nbp.vjp(getattr(nbp, fn), tensor(torch, x), *args, **given)
        np.testing.assert_array_equal(numpy(torch, y).astype(np.float32), expected.astype(np.float32))
        dy = of("bfloat16", *expected.shape)
        found, wanted = pullback(tensor(torch, dy)), backward(dy)
        for a, b in zip(*((g if isinstance(g, tuple) else (g,)) for g in (found, wanted)), strict=True):
            np.testing.assert_array_equal(numpy(torch, a).astype(np.float32), b.astype(np.float32))

    def test_agrees_with_autograd(self, torch):
        t = torch.from_numpy(X).clone().requires_grad_()
        y = torch.nn.functional.max_pool2d(t, 3, 2, 1)
        y.backward(torch.ones_like(y))
        ours, pullback = nbp.vjp(nbp.max_pool2d, t.detach(), 3, 2, 1)
        assert torch.equal(ours, y.detach()) and torch.equal(pullback(torch.ones_like(ours)), t.grad)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
    def test_channels_last_stays(self, torch, dtype):
        x = np.ascontiguousarray(X.astype(dtype_of(dtype)).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        t = tensor(torch, x)
        assert t.is_contiguous(memory_format=torch.channels_last)
        (y, i), pullback = nbp.vjp(nbp.max_pool2d, t, 3, 2, 1, return_indices=True)
        assert i.dtype is torch.int64
        for result in (y, i, pullback(y), nbp.max_pool2d(t, 3, 2, 1), nbp.avg_pool2d(t, 3, 2, 1)):
            assert result.is_contiguous(memory_format=torch.channels_last)
            assert not result.is_contiguous()
        theirs, places = torch.nn.functional.max_pool2d(t, 3, 2, 1, return_indices=True)
        assert torch.equal(y, theirs) and torch.equal(i, places)

    def test_any_layout(self, torch):
        t = torch.from_numpy(X)
        for view in (
            t.transpose(0, 3),
            t[:, 1:, ::2, 1::3],
            t[:1].expand(4, -1, -1, -1),
            t[:0],
            t.bfloat16()[..., ::2],
        ):
            y, i = nbp.max_pool2d(view, 2, 1, return_indices=True)
            if view.numel():
                theirs, places = torch.nn.functional.max_pool2d(view, 2, 1, return_indices=True)
                assert torch.equal(y, theirs) and torch.equal(i, places)
            assert y.shape[0] == view.shape[0] and y.dtype is view.dtype

    def test_nothing_is_copied(self, torch):
        for t in (torch.from_numpy(X)[:, :, ::2], torch.from_numpy(X).bfloat16()):
            array, kind = dispatch.array(t)
            assert address(array) == t.data_ptr()
            y = np.empty(4, np.uint16 if t.dtype is torch.bfloat16 else np.float32)
            wrapped = kind.wrap(y, array.dtype.name)
            assert wrapped.data_ptr() == address(y) and wrapped.dtype is t.dtype

    def test_out(self, torch):
        t = torch.from_numpy(X)
        y, i = torch.empty(2, 3, 4, 5), torch.empty(2, 3, 4, 5, dtype=torch.int64)
        a, b = nbp.max_pool2d(t, 2, return_indices=True, out=(y, i))
        assert a is y and b is i
        expected = nbp.max_pool2d(t, 2, return_indices=True)
        assert torch.equal(y, expected[0]) and torch.equal(i, expected[1])
        strided = torch.zeros(2, 3, 8, 10)
        nbp.max_pool2d(t, 2, out=strided[:, :, ::2, ::2])
        assert torch.equal(strided[:, :, ::2, ::2], y)
        for dtype in (torch.float32, torch.bfloat16):  # in place
            x = t.to(dtype)
            expected = nbp.avg_pool2d(x.clone(), 3, 1, 1)
            assert nbp.avg_pool2d(x, 3, 1, 1, out=x) is x and torch.equal(x, expected)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
    def test_bad_out(self, torch, dtype):
        t = torch.from_numpy(X).to(getattr(torch, dtype))
        y = nbp.max_pool2d(t, 2)
        seven = torch.full_like(y, 7)
        bad = [
            (np.empty(y.shape, np.float32), TypeError, r"out must be a torch\.Tensor as x is, not ndarray"),
            ([1.0], TypeError, "out must be a torch"),
            (y.double(), TypeError, f"out must have dtype {dtype}, not float64"),
            (
                seven.view(torch.int16 if dtype == "bfloat16" else torch.int32),
                TypeError,
                "out must have dtype",
            ),
            (seven.view(torch.uint16) if dtype == "bfloat16" else y.int(), TypeError, "out must have dtype"),
            (seven[:1], ValueError, "out must have shape"),
            (seven[:1].expand(y.shape), ValueError, "out must not be an expanded tensor"),
            (seven.clone().requires_grad_(), ValueError, r"out .* pass out\.detach\(\)"),
            (seven.to("meta"), TypeError, "out lies on the device meta"),
        ]
        for out, error, message in bad:
            with pytest.raises(error, match="^" + message):
                nbp.max_pool2d(t, 2, out=out)
        with pytest.raises(TypeError, match=r"^out\[1\] must have dtype int64"):
            nbp.max_pool2d(t, 2, return_indices=True, out=(seven, y.int()))
        with pytest.raises(TypeError, match=r"^out must be a numpy\.ndarray, not Tensor"):
            nbp.max_pool2d(X, 2, out=seven)
        with pytest.raises(TypeError, match="takes no out"):
            nbp.vjp(nbp.max_pool2d, t, 2, out=seven)
        assert (seven == 7).all()

    def test_tensors_that_are_refused(self, torch):
        t = torch.ones(4, 4)
        for x in (t.clone().requires_grad_(), torch.nn.Parameter(t), t.clone().requires_grad_() * 2):
            with pytest.raises(ValueError, match=r"x is a tensor that requires grad; pass x\.detach\(\)"):
                nbp.max_pool2d(x, 2)
            assert torch.equal(nbp.max_pool2d(x.detach(), 2), x.detach()[:2, :2])
        for x in (t.to_sparse(), t.to("meta"), t * 1j, t.to(torch.float8_e5m2), torch.imag((t * 1j).conj())):
            with pytest.raises(TypeError, match=r"^x "):
                nbp.max_pool2d(x, 2)
        with pytest.raises(TypeError, match="x must be floating"):
            nbp.vjp(nbp.max_pool2d, t.int(), 2)

    def test_a_parameter_without_grad_gives_a_tensor(self, torch):
        x = torch.nn.Parameter(torch.ones(4, 4), requires_grad=False)
        assert type(nbp.max_pool2d(x, 2)) is torch.Tensor

    def test_bfloat16_needs_no_other_package(self, torch, run_python):
        run_python(
            """
            import sys, torch, numbapool as nbp
            sys.modules['ml_dtypes'] = None
            x = torch.arange(64.).bfloat16().reshape(8, 8)
            for fn in (nbp.max_pool2d, nbp.avg_pool2d):
                out = torch.empty(4, 4, dtype=torch.bfloat16)
                y, pullback = nbp.vjp(fn, x, 2)
                assert fn(x, 2, out=out) is out and torch.equal(y, out)
                assert pullback(y).dtype is pullback([[1.] * 4] * 4).dtype is torch.bfloat16
                try:
                    fn(x, 2, out=out.float())
                except TypeError as error:
                    assert 'out must have dtype bfloat16' in str(error)
                else:
                    raise SystemExit('float32 was taken')
            """,
            warnings="default",  # of torch's own imports
        )

    def test_templates_without_compiling(self, torch, run_python):
        run_python(
            """
            import torch, numbapool as nbp
            x = torch.arange(36.).bfloat16().reshape(6, 6)
            y, pullback = nbp.vjp(nbp.avg_pool2d, x, 2)
            assert torch.equal(y, torch.nn.functional.avg_pool2d(x[None], 2)[0])
            assert torch.equal(pullback(torch.ones(3, 3)), torch.full((6, 6), 0.25, dtype=torch.bfloat16))
            """,
            warnings="default",
            NUMBA_DISABLE_JIT="1",
        )


# ----------------------------------------------------------------------------------------------- other libraries, if there


class TestLibraries:
    def test_array_api_strict(self):
        xp = pytest.importorskip("array_api_strict")
        x = xp.asarray(X)
        (y, i), pullback = nbp.vjp(nbp.max_pool2d, x, 2, return_indices=True)
        assert type(y) is type(i) is type(pullback(y)) is type(x)
        assert y.dtype == xp.float32 and i.dtype == xp.int64
        same(np.from_dlpack(y), nbp.max_pool2d(X, 2))
        out = xp.empty_like(y)
        assert nbp.max_pool2d(x, 2, out=out) is out and xp.all(out == y)

    def test_jax(self):
        jnp = pytest.importorskip("jax.numpy")
        for dtype in (jnp.float32, jnp.bfloat16, jnp.bool_, jnp.uint8):
            x = jnp.asarray(X).astype(dtype)
            y = nbp.max_pool2d(x, 2)
            assert type(y) is type(x) and y.dtype == x.dtype
            same(y, nbp.max_pool2d(np.asarray(x), 2))
        x = jnp.asarray(X)
        y, pullback = nbp.vjp(nbp.avg_pool2d, x, 2)
        assert type(pullback(y)) is type(pullback(np.asarray(y))) is type(x)
        with pytest.raises(ValueError, match="out must be writeable"):
            nbp.max_pool2d(x, 2, out=y)

    def test_pandas(self):
        pandas = pytest.importorskip("pandas")
        y = nbp.max_pool1d(pandas.Series([1.0, 5.0, 2.0, 3.0]), 2)
        assert type(y) is np.ndarray
        same(y, np.array([5.0, 3.0]))
        frame = pandas.DataFrame(
            X[0, 0]
        )  # whose memory may be Fortran's, in which sums are taken in another order
        same(nbp.sum_pool2d(frame, 3), nbp.sum_pool2d(np.asarray(frame), 3))

    def test_xarray(self):
        xarray = pytest.importorskip("xarray")
        y = nbp.max_pool2d(xarray.DataArray(X), 2)
        assert type(y) is np.ndarray
        same(y, nbp.max_pool2d(X, 2))

    def test_dask(self):
        dask = pytest.importorskip("dask.array")
        y = nbp.max_pool2d(dask.from_array(X), 2)
        assert type(y) is np.ndarray
        same(y, nbp.max_pool2d(X, 2))


def test_no_framework_is_imported(run_python):
    run_python(
        """
        import sys, numpy as np, numbapool as nbp
        class Holder:
            def __array__(self, dtype=None, copy=None):
                return np.ones((4, 4))
        y, pullback = nbp.vjp(nbp.max_pool2d, Holder(), 2)
        pullback([[1., 2.], [3., 4.]])
        wrong = {'torch', 'jax', 'cupy', 'tensorflow', 'pandas', 'xarray', 'ml_dtypes', 'numba.cuda'} & set(sys.modules)
        assert not wrong, wrong
        """
    )
