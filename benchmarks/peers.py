"""Who is measured: every library at its best public option, each as a `Contender` ready to run.

A builder takes a `Job` and returns contenders; it raises `Unsupported` where its library lacks the case.
Peers get the data in their own native layout, numbapool in the layout of the case.
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any

import numpy as np

from .cases import Case, Data, np_dtype

COPIES = ("np.copyto", "x.copy()")
PACKAGES = {
    "numbapool": "numbapool",
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "scipy": "scipy",
    "scikit-image": "skimage",
    "opencv": "cv2",
}
# Contenders whose result differs for a known reason: {(name, direction, op): reason}. The data have no NaN.
KNOWN_DEFECTS: dict[tuple[str, str, str], str] = {}


SLOW = "visits every tap, takes minutes"


class Unsupported(Exception):
    """The library has no such operation."""


@dataclass
class Contender:
    """`run()` does the work once; `result(run())` is its value as a logical (N, C, spatial…) array."""

    name: str
    run: Callable[[], Any]
    result: Callable[[Any], np.ndarray] = lambda value: value
    fresh: bool = True  # the result is new memory at every call
    context: Callable[[], AbstractContextManager] = nullcontext
    rest: float = 0.01  # seconds its threads go on spinning, which would slow down whoever is next


@dataclass(frozen=True)
class Job:
    case: Case
    data: Data
    direction: str = "forward"
    threads: int = 2


def configure(threads):
    """The same number of threads for everybody; returns the importable libraries and why others are not."""
    present, missing = {}, {}
    for name, package in PACKAGES.items():
        try:
            present[name] = importlib.import_module(package)
        except ImportError as error:
            missing[name] = str(error)
    if "torch" in present:
        present["torch"].set_num_threads(threads)
    if "opencv" in present:
        present["opencv"].setNumThreads(threads)
    try:
        present["numbapool"].set_options(num_threads=threads)
    except (AttributeError, ImportError) as error:
        present.pop("numbapool")
        missing["numbapool"] = str(error)
    return present, missing


def build(job, present, pattern=None):
    """All contenders for a job, and {name: reason} for those that have none."""
    contenders, lacking = [*copies(job)], {}
    for name, builder in BUILDERS:
        if PACKAGE_OF.get(name, name) not in present or (pattern and not pattern.search(name)):
            continue
        try:
            contenders += builder(job)
        except Unsupported as lack:
            lacking.update({name: str(lack)} if str(lack) else {})
        except Exception as error:  # one line in the table, not the end of the run
            lacking[name] = reason(error)
    return contenders, lacking


def is_peer(name):
    return name not in COPIES and not name.startswith("numbapool")


def reason(error):
    """An exception in one short line."""
    text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return text if len(text) < 100 else text[:97] + "..."


def _fastest(contenders):
    """The fastest of one library's public options, by a short trial."""

    def trial(contender):
        contender.run()
        best = float("inf")
        for _ in range(3):
            start = perf_counter()
            contender.run()
            best = min(best, perf_counter() - start)
        sleep(contender.rest)
        return best

    return min(contenders, key=trial) if len(contenders) > 1 else contenders[0]


def copies(job):
    """A copy that moves as many bytes as the case: into touched memory, and into new memory."""
    case = job.case
    source = np.ones(case.nbytes // 2, np.uint8)
    target = np.ones_like(source)
    yield Contender("x.copy()", source.copy, lambda value: None)
    if job.direction == "forward":
        yield Contender("np.copyto", lambda: np.copyto(target, source), lambda value: None, fresh=False)


def numbapool(job):
    import numbapool as nbp

    case, data = job.case, job.data
    function = getattr(nbp, f"{case.op}_pool{case.ndim}d")
    args, kw = (data.x, case.kernel, case.stride, case.padding), {}
    if case.axes:
        kw["axes"] = case.axes
    if job.direction == "backward":
        _, pullback = nbp.vjp(function, *args, **kw)
        dy = data.given(data.dy)
        found = [Contender("numbapool", lambda: pullback(dy), data.logical)]
    else:
        out = np.empty_like(function(*args, **kw))
        out.fill(0)
        found = [
            Contender("numbapool out=", lambda: function(*args, out=out, **kw), data.logical, fresh=False),
            Contender("numbapool", lambda: function(*args, **kw), data.logical),
        ]
    if case.threads:
        first = found[0]
        single = Contender(
            f"{first.name} 1 thread", first.run, first.result, first.fresh, lambda: nbp.options(num_threads=1)
        )
        found.append(single)
    return found


def _tensor(array):
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _array(tensor):
    import torch

    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(np_dtype("bfloat16"))
    return tensor.numpy()


def _torch(job, name, convert, planar=True):
    """`planar=False`: one-dimensional data as (N, C, 1, L), because channels_last needs two dimensions."""
    import torch

    case, data = job.case, job.data
    if case.work > 5e9:
        raise Unsupported(SLOW)
    lift = case.ndim == 1 and not planar
    pool = getattr(torch.nn.functional, f"{case.op}_pool{2 if lift else case.ndim}d")
    args = case.kernel, case.stride, case.padding
    if lift:
        args = tuple(zip((1, 1, 0), args, strict=True))

    def take(array):
        tensor = _tensor(array)
        return convert(tensor.unsqueeze(2) if lift else tensor)

    def give(value):
        value = _array(value)
        return value[:, :, 0] if lift else value

    x = take(data.native)
    if job.direction == "forward":
        mode = torch.no_grad if x.layout != torch.strided else torch.inference_mode
        return [Contender(name, lambda: pool(x, *args), give, context=mode)]
    if not case.is_float:
        raise Unsupported("no gradient for integers")
    x = x.detach().requires_grad_()
    y = pool(x, *args)
    dy = take(data.dy)
    return [Contender(name, lambda: torch.autograd.grad(y, x, dy, retain_graph=True)[0], give)]


def torch_contiguous(job):
    return _torch(job, "torch", lambda t: t.contiguous())


def torch_channels_last(job):
    import torch

    case = job.case
    if case.shape[1] == 1:
        raise Unsupported("one channel: the same memory as contiguous")
    order = torch.channels_last_3d if case.ndim == 3 else torch.channels_last
    return _torch(job, "torch channels_last", lambda t: t.contiguous(memory_format=order), planar=False)


def torch_mkldnn(job):
    """torch's oneDNN tensors: another public layout, and often its fastest pooling."""
    case = job.case
    if case.dtype not in ("float32", "bfloat16") or case.ndim == 1:
        raise Unsupported("oneDNN tensors: float32 and bfloat16 in two and three dimensions")
    if job.direction == "backward" and case.work > 2e8:
        raise Unsupported(SLOW)
    return _torch(job, "torch mkldnn", lambda t: t.to_mkldnn())


def onnxruntime(job):
    import onnxruntime as ort
    from onnx import TensorProto, helper

    case, data = job.case, job.data
    _forward_only(job)
    if case.work > 5e10:
        raise Unsupported(SLOW)
    types = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "uint8": TensorProto.UINT8}
    if case.dtype not in types:
        raise Unsupported("dtype")

    def session(level, nhwc=False):
        move = (lambda a: np.ascontiguousarray(np.moveaxis(a, 1, -1))) if nhwc else (lambda a: a)
        x, y = move(data.native), move(np.zeros(case.output_shape, case.dtype))
        attributes = {
            "kernel_shape": [case.kernel] * case.ndim,
            "strides": [case.stride] * case.ndim,
            "pads": [case.padding] * 2 * case.ndim,
        }
        kind = {"max": "MaxPool", "avg": "AveragePool"}[case.op]
        if case.op == "avg":
            attributes["count_include_pad"] = 1
        if nhwc:
            kind, attributes["domain"] = "NhwcMaxPool", "com.microsoft"
        node = helper.make_node(kind, ["x"], ["y"], **attributes)
        ends = [helper.make_tensor_value_info(n, types[case.dtype], a.shape) for n, a in (("x", x), ("y", y))]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(
            helper.make_graph([node], "pool", ends[:1], ends[1:]), opset_imports=opsets, ir_version=9
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
        options.graph_optimization_level, options.log_severity_level = level, 3
        run = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = run.io_binding()
        binding.bind_input("x", "cpu", 0, x.dtype, x.shape, x.ctypes.data)
        binding.bind_output("y", "cpu", 0, y.dtype, y.shape, y.ctypes.data)
        keep = (x, y, run)  # the binding holds addresses only
        logical = np.moveaxis(y, -1, 1) if nhwc else y
        return Contender(
            "onnxruntime",
            lambda: run.run_with_iobinding(binding),
            lambda value, keep=keep: logical,
            fresh=False,
            rest=0.06,
        )

    # With all optimisations it may reorder to a blocked layout and back: sometimes worth it, often not.
    levels = ort.GraphOptimizationLevel
    options = [session(level) for level in (levels.ORT_ENABLE_BASIC, levels.ORT_ENABLE_ALL)]
    if case.dtype == "uint8" and case.op == "max" and case.ndim == 2:
        options.append(session(levels.ORT_ENABLE_ALL, nhwc=True))
    return [_fastest(options)]


def openvino(job):
    import openvino as ov
    from openvino import opset1
    from openvino.preprocess import PrePostProcessor

    case, data = job.case, job.data
    _forward_only(job)
    if case.work > 5e10:
        raise Unsupported(SLOW)
    types = {"float32": ov.Type.f32, "bfloat16": ov.Type.bf16, "uint8": ov.Type.u8}
    if case.dtype not in types:
        raise Unsupported("dtype")
    kind = types[case.dtype]
    config = {
        "INFERENCE_NUM_THREADS": job.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if case.dtype == "bfloat16" else "f32",
    }
    core = ov.Core()

    def tensor(array):
        return ov.Tensor(array.view(np.uint16) if case.dtype == "bfloat16" else array, array.shape, kind)

    def request(nhwc):
        parameter = opset1.parameter(list(case.input_shape), kind)
        window, stride, pad = ([v] * case.ndim for v in (case.kernel, case.stride, case.padding))
        if case.op == "max":
            node = opset1.max_pool(parameter, stride, pad, pad, window, "floor", "explicit")
        else:
            node = opset1.avg_pool(parameter, stride, pad, pad, window, False, "floor", "explicit")
        model = ov.Model([node], [parameter], "pool")
        x, y = data.native, np.zeros(case.output_shape, np_dtype(case.dtype))
        if nhwc:
            process = PrePostProcessor(model)
            for end in (process.input(), process.output()):
                end.tensor().set_layout(ov.Layout("NHWC"))
                end.model().set_layout(ov.Layout("NCHW"))
            model = process.build()
            x, y = (np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, y))
        infer = core.compile_model(model, "CPU", config).create_infer_request()
        infer.set_input_tensor(tensor(x))
        infer.set_output_tensor(tensor(y))
        keep = (x, y)
        logical = np.moveaxis(y, -1, 1) if nhwc else y
        return Contender(
            "openvino", lambda: infer.infer(share_outputs=True), lambda value, keep=keep: logical, fresh=False
        )

    return [_fastest([request(nhwc) for nhwc in ((False, True) if case.dtype == "uint8" else (False,))])]


def scipy(job):
    from scipy import ndimage

    case, data = job.case, job.data
    _forward_only(job)
    if case.dtype == "bfloat16":
        raise Unsupported("dtype")
    x = data.native
    out = np.zeros_like(x)
    size = (1, 1, *(case.kernel,) * case.ndim)
    lowest = 0 if case.op == "avg" or not case.is_float else -np.inf
    function = ndimage.maximum_filter if case.op == "max" else ndimage.uniform_filter
    first, step = case.kernel // 2 - case.padding, case.stride
    chosen = (..., *(slice(first, first + step * (n - 1) + 1, step) for n in case.output_shape[2:]))
    return [
        Contender(
            "scipy",
            lambda: function(x, size, output=out, mode="constant", cval=lowest),
            lambda value: out[chosen],
            fresh=False,
        )
    ]


def scikit_image(job):
    from skimage.measure import block_reduce

    case, data = job.case, job.data
    _forward_only(job)
    if case.kernel != case.stride or case.padding or case.dtype == "bfloat16":
        raise Unsupported("windows side by side only")
    x = data.native[(..., *(slice(n * case.stride) for n in case.output_shape[2:]))]
    function = np.max if case.op == "max" else np.mean
    return [Contender("scikit-image", lambda: block_reduce(x, (1, 1, *(case.kernel,) * case.ndim), function))]


def opencv(job):
    import cv2

    case, data = job.case, job.data
    _forward_only(job)
    if case.ndim != 2 or case.shape[:2] != (1, 1) or case.dtype not in ("float32", "uint8", "float64"):
        raise Unsupported("single planes only")
    k, x, out = case.kernel, data.native[0, 0], np.zeros(case.output_shape[2:], case.dtype)
    if case.stride == 1 and k % 2 and case.padding == k // 2:
        if case.op == "max":
            element = cv2.getStructuringElement(cv2.MORPH_RECT, (k, k))
            run = lambda: cv2.dilate(x, element, dst=out)
        else:
            run = lambda: cv2.blur(x, (k, k), dst=out, borderType=cv2.BORDER_CONSTANT)
    elif (
        case.op == "avg"
        and case.stride == k
        and not case.padding
        and x.shape == tuple(n * k for n in out.shape)
    ):
        run = lambda: cv2.resize(x, out.shape[::-1], dst=out, interpolation=cv2.INTER_AREA)
    else:
        raise Unsupported("stride 1 with odd windows, or area averages")
    return [Contender("opencv", run, lambda value: out[None, None], fresh=False)]


def _forward_only(job):
    if job.direction != "forward":
        raise Unsupported


BUILDERS = (
    ("numbapool", numbapool),
    ("torch", torch_contiguous),
    ("torch channels_last", torch_channels_last),
    ("torch mkldnn", torch_mkldnn),
    ("onnxruntime", onnxruntime),
    ("openvino", openvino),
    ("scipy", scipy),
    ("scikit-image", scikit_image),
    ("opencv", opencv),
)
PACKAGE_OF = {"torch channels_last": "torch", "torch mkldnn": "torch"}
