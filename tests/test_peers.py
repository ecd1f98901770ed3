"""The same numbers as SciPy, scikit-image, onnxruntime, OpenVINO and torch, where those follow the documentation."""

import numpy as np
import pytest
from cases import CHANNELS_LAST, LARGE_WINDOWS, OPS, OPTIONS_1D, OPTIONS_2D, OPTIONS_3D, Case, array

import numbapool as nbp
from numbapool.testing import assert_matches, bounds, vjp_bounds

# ------------------------------------------------------------------------------------------------------- SciPy


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("size", [(3, 3), (1, 5), (7, 1), (13, 31), (31, 31)])
def test_scipy(size, dtype):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = array((40, 53), dtype, "ties")
    padding = tuple(s // 2 for s in size)
    for stride in (1, (2, 3)):
        pick = (slice(None),) * 2 if stride == 1 else (slice(None, None, 2), slice(None, None, 3))
        theirs = ndimage.maximum_filter(x, size, mode="nearest")[
            pick
        ]  # repeating the edge adds no new maximum
        np.testing.assert_array_equal(nbp.max_pool2d(x, size, stride, padding), theirs)
        theirs = ndimage.minimum_filter(x, size, mode="nearest")[pick]
        np.testing.assert_array_equal(nbp.min_pool2d(x, size, stride, padding), theirs)
        theirs = ndimage.uniform_filter(x.astype(np.float64), size, mode="constant")[pick]
        np.testing.assert_allclose(nbp.avg_pool2d(x, size, stride, padding), theirs, rtol=1e-5, atol=1e-5)


def test_scipy_in_other_dimensions():
    ndimage = pytest.importorskip("scipy.ndimage")
    x = array((12, 13, 14), "int16", "ties")
    np.testing.assert_array_equal(
        nbp.max_pool3d(x, (3, 5, 7), 1, (1, 2, 3)), ndimage.maximum_filter(x, (3, 5, 7), mode="nearest")
    )
    for axis in range(3):
        theirs = ndimage.minimum_filter1d(x, 5, axis, mode="nearest")
        np.testing.assert_array_equal(nbp.min_pool1d(x, 5, 1, 2, axes=axis), theirs)


# ------------------------------------------------------------------------------------------------ scikit-image


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("block", [(2, 2), (1, 5), (4, 3), (16, 20)])
def test_scikit_image(block, dtype):
    measure = pytest.importorskip("skimage.measure")
    if dtype in ("bool", "int64") and max(block) > 5:
        return
    x = array((48, 60), dtype)
    np.testing.assert_array_equal(nbp.max_pool2d(x, block), measure.block_reduce(x, block, np.max))
    np.testing.assert_array_equal(nbp.min_pool2d(x, block), measure.block_reduce(x, block, np.min))
    assert_matches(nbp.avg_pool2d(x, block), *bounds("avg_pool2d", x, block))
    theirs = measure.block_reduce(x, block, np.mean, func_kwargs={"dtype": np.float64})
    np.testing.assert_allclose(nbp.avg_pool2d(x, block), theirs, rtol=1e-5, atol=1e-6)
    if dtype == "float64":
        np.testing.assert_allclose(
            nbp.sum_pool2d(x, block), measure.block_reduce(x, block, np.sum), rtol=1e-12, atol=1e-12
        )
    elif dtype != "float32":
        np.testing.assert_array_equal(nbp.sum_pool2d(x, block), measure.block_reduce(x, block, np.sum))


def test_scikit_image_pads_a_remainder_and_we_do_not():
    measure = pytest.importorskip("skimage.measure")
    x = -np.arange(1.0, 8)
    np.testing.assert_array_equal(measure.block_reduce(x, 3, np.max), [-1, -4, 0])
    np.testing.assert_array_equal(nbp.max_pool1d(x, 3, ceil_mode=True), [-1, -4, -7])
    np.testing.assert_array_equal(nbp.avg_pool1d(x, 3, ceil_mode=True), [-2, -5, -7])


# ---------------------------------------------------------------------------------------- ONNX


def _pads(case):
    """(before…, after…) of numeric padding."""
    padding = case.padding
    if isinstance(padding, int):
        return [padding] * (2 * case.n)
    if case.n == 1 and len(padding) == 2 and isinstance(padding[0], int):
        return list(padding)
    pairs = [(p, p) if isinstance(p, int) else p for p in padding]
    return [p[0] for p in pairs] + [p[1] for p in pairs]


def _each(value, n):
    return [value] * n if isinstance(value, int) else list(value)


def _is_portable(op, case):
    """Cases on which the ONNX operators have the same meaning and no known defect."""
    if (
        op not in ("max", "avg")
        or case.axes is not None
        or case.divisor is not None
        or len(case.shape) > case.n + 2
    ):
        return False
    if case.ceil and not isinstance(case.padding, int):
        return False
    if op == "avg" and (case.ceil or case.dilation != 1):
        return False  # their divisors of overhanging and dilated windows differ between versions
    if isinstance(case.padding, str):
        return case.dilation == 1 and case.padding != "valid" and not case.ceil
    kernel, pads = _each(case.kernel, case.n) * 2, _pads(case)
    if case.ceil:
        size = [s + 2 * case.padding for s in case.shape[-case.n :]]
        if any(k > s for k, s in zip(kernel, size, strict=False)):
            return False
    return (all(p < k for p, k in zip(pads, kernel, strict=True)) and case.dilation == 1) or (
        op == "max" and not any(pads)
    )


_TABLE = [*OPTIONS_1D, *OPTIONS_2D, *OPTIONS_3D, *LARGE_WINDOWS]
_PORTABLE = [
    pytest.param(op, c, id=f"{op}-{c.n}d-{c.id}")
    for op in ("max", "avg")
    for c in _TABLE
    if _is_portable(op, c)
]


def _model(op, case, shape):
    from onnx import TensorProto, helper

    attributes = {"kernel_shape": _each(case.kernel, case.n)}
    attributes["strides"] = _each(case.kernel if case.stride is None else case.stride, case.n)
    if isinstance(case.padding, str):
        attributes["auto_pad"] = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER"}[case.padding]
    else:
        attributes["pads"] = _pads(case)
    if case.ceil:
        attributes["ceil_mode"] = 1
    if op == "max":
        attributes["dilations"] = _each(case.dilation, case.n)
    else:
        attributes["count_include_pad"] = int(case.include and not isinstance(case.padding, str))
    node = helper.make_node({"max": "MaxPool", "avg": "AveragePool"}[op], ["x"], ["y"], **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "pool", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    model.ir_version = 8
    return model.SerializeToString()


def _batched(case):
    """x as (N, C, …), which ONNX wants."""
    x = array(case.shape, kind="any")
    return x.reshape((1,) * (case.n + 2 - x.ndim) + x.shape)


@pytest.mark.parametrize(("op", "case"), _PORTABLE)
def test_onnxruntime(op, case):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    if (
        isinstance(case.padding, str)
        and case.stride is not None
        and any(s > k for s, k in zip(_each(case.stride, case.n), _each(case.kernel, case.n), strict=True))
    ):
        pytest.skip("onnxruntime asks for negative padding where the stride exceeds the window, and fails")
    x = _batched(case)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = runtime.InferenceSession(_model(op, case, x.shape), options, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": x})
    ours = getattr(nbp, case.function(op))(x, **case.options(op))
    if op == "max":
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.peers
@pytest.mark.parametrize(("op", "case"), [p for p in _PORTABLE if p.values[1].n < 3 or p.values[0] == "max"])
def test_openvino(op, case):
    pytest.importorskip("onnx")
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    x = _batched(case)
    if case.n == 1 or isinstance(case.padding, str) or case.dilation != 1:
        pytest.skip("kept to what OpenVINO's CPU plugin states")
    if op == "max" and case.ceil and case.padding:
        pytest.skip("OpenVINO lets a window start in the padding at the end, which then holds -3.4e38")
    core = openvino.Core()
    model = core.read_model(_model(op, case, x.shape))
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    theirs = next(iter(compiled(x).values()))
    ours = getattr(nbp, case.function(op))(x, **case.options(op))
    np.testing.assert_allclose(ours, theirs, rtol=0 if op == "max" else 1e-4, atol=0 if op == "max" else 1e-4)


# ------------------------------------------------------------------------------------------------------- torch


def _torch_knows(op, case):
    kernel = _each(case.kernel, case.n)
    if not isinstance(case.padding, int) or 2 * case.padding > min(kernel) or op == "min":
        return False
    if op == "sum":
        return case.n > 1 and case.dilation == 1
    return op != "avg" or (case.dilation == 1 and (case.n > 1 or case.divisor is None))


_TORCH = [
    pytest.param(op, c, id=f"{op}-{c.n}d-{c.id}")
    for op in OPS
    for c in [*_TABLE, *(c for c in CHANNELS_LAST if c.n == 2)]
    if _torch_knows(op, c)
]


def _torch_pool(torch, op, case, leaf):
    stride = case.kernel if case.stride is None else case.stride
    if op == "max":
        pool = getattr(torch.nn.functional, f"max_pool{case.n}d")
        return pool(leaf, case.kernel, stride, case.padding, case.dilation, case.ceil, return_indices=True)
    more = () if case.n == 1 else (1 if op == "sum" else case.divisor,)
    pool = getattr(torch.nn.functional, f"avg_pool{case.n}d")
    return pool(leaf, case.kernel, stride, case.padding, case.ceil, case.include, *more), None


@pytest.mark.peers
@pytest.mark.parametrize(("op", "case"), _TORCH)
def test_torch(op, case):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    fn, options = case.function(op), case.options(op)
    x = array(case.shape, "float64")
    there = np.moveaxis(x, case.axes, (-2, -1)) if case.axes else x
    leaf = torch.tensor(there, requires_grad=True)
    y, index = _torch_pool(torch, op, case, leaf)
    dy = array(tuple(y.shape), "float64", seed=1)
    y.backward(torch.tensor(dy))

    def back(a):
        return np.moveaxis(a, (-2, -1), case.axes) if case.axes else a

    if op == "max":
        ours = getattr(nbp, fn)(x, **options, return_indices=True)
        np.testing.assert_array_equal(ours[0], back(y.detach().numpy()))
        np.testing.assert_array_equal(ours[1], back(index.numpy()))
    else:
        ours = getattr(nbp, fn)(x, **options)
        np.testing.assert_allclose(ours, back(y.detach().numpy()), rtol=1e-11, atol=1e-11)
    dx = nbp.vjp(getattr(nbp, fn), x, **options)[1](back(dy))
    np.testing.assert_allclose(dx, back(leaf.grad.numpy()), rtol=1e-11, atol=1e-11)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16"])
def test_torch_dtypes(dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = array((2, 3, 14, 15), dtype, "ties")
    tensor = torch.from_numpy(x.view(np.uint16) if dtype == "bfloat16" else x)
    tensor = tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor
    theirs, index = torch.nn.functional.max_pool2d(tensor, 3, 2, 1, return_indices=True)
    ours, our_index = nbp.max_pool2d(x, 3, 2, 1, return_indices=True)
    np.testing.assert_array_equal(ours.astype(np.float32), theirs.float().numpy())
    np.testing.assert_array_equal(our_index, index.numpy())


@pytest.mark.peers
def test_where_torch_is_wrong():
    """A window without a valid tap: torch's index leaves the plane, and its gradient the channel."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = np.arange(4.0).reshape(1, 2, 1, 2)
    case = Case(2, x.shape, 2, 1, 1, 2)
    y, index = nbp.max_pool2d(x, **case.options("max"), return_indices=True)
    assert (index[np.isneginf(y)] == -1).all()
    leaf = torch.tensor(x, requires_grad=True)
    _, theirs = _torch_pool(torch, "max", case, leaf)
    valid = index >= 0
    np.testing.assert_array_equal(index[valid], theirs.numpy()[valid])
    dx = nbp.vjp(nbp.max_pool2d, x, **case.options("max"))[1](np.ones(y.shape))
    assert_matches(dx, *vjp_bounds("max_pool2d", x, (), case.options("max"), np.ones(y.shape)))
