"""Who is measured: every library at its best public option, each as a `Contender` ready to run.

A builder takes a `Job` and returns contenders; it raises `Unsupported` where its library lacks the case.
Peers get the data in their own native layout, numbapool in the layout of the case; where that is every other element, peers first fetch those. Here are the frameworks, with sessions and threads
of their own; `libraries` has those that work on NumPy's arrays.
"""

import importlib
from dataclasses import replace
from math import prod

import numpy as np

from . import libraries
from .cases import np_dtype
from .contenders import (  # noqa: F401
    COPIES,
    SLOW,
    Contender,
    Job,
    Unsupported,
    copies,
    fastest,
    forward_only,
    is_peer,
    numbapool,
    reason,
    sliding,
)
from .windows import NORM, Adaptive, Fractional, Global, Sliding, Unpool

PACKAGES = {
    "numpy": "numpy",
    "numbapool": "numbapool",
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "scipy": "scipy",
    "scikit-image": "skimage",
    "opencv": "cv2",
    "bottleneck": "bottleneck",
    "xarray": "xarray",
}
# Contenders whose result differs for a known reason: {(name, direction, op): reason}. The data have no NaN.
KNOWN_DEFECTS: dict[tuple[str, str, str], str] = {}


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
            contenders += [_fetching(c, job) if is_peer(c.name) else c for c in builder(job)]
        except Unsupported as lack:
            lacking.update({name: str(lack)} if str(lack) else {})
        except Exception as error:  # one line in the table, not the end of the run
            lacking[name] = reason(error)
    return contenders, lacking


def _fetching(contender, job):
    """With the copy that a library needs of an array whose elements are not neighbours: in that case the work is to fetch them."""
    data, run = job.data, contender.run
    if job.case.layout != "strided" or job.direction == "backward":
        return contender
    if not contender.name.startswith("torch"):
        return replace(contender, run=lambda: (np.copyto(data.native, data.x), run())[1])
    source, target = _tensor(data.x), _tensor(data.native)
    return replace(contender, run=lambda: (target.copy_(source), run())[1])  # by as many threads as pool


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

    def take(array):
        tensor = _tensor(array)
        return convert(tensor.unsqueeze(2) if lift else tensor)

    def give(value):
        if case.option == "indices":
            return data.chosen(*map(give_one, value))
        return give_one(value)

    def give_one(value):
        value = _array(value)
        return value[:, :, 0] if lift else value

    x = take(data.native)
    if job.direction == "backward":
        if not case.is_float:
            raise Unsupported("no gradient for integers")
        x = x.detach().requires_grad_()
        dy = take(data.dy)

    def contender(pool):
        if job.direction == "forward":
            mode = torch.no_grad if x.layout != torch.strided else torch.inference_mode
            return Contender(name, lambda: pool(x), give, context=mode)
        y = pool(x)
        return Contender(name, lambda: torch.autograd.grad(y, x, dy, retain_graph=True)[0], give)

    return [fastest([contender(pool) for pool in _torch_pools(case, data, take, lift)])]


def _torch_pools(case, data, take, lift):
    """Functions of a tensor that do the case: where torch has several ways, all of them."""
    import torch
    import torch.nn.functional as F

    axes = tuple(range(2, 2 + case.ndim))
    if case.option == "omit":
        blocks, inner = libraries.blocks(case)
        return [lambda x: x.reshape(blocks).nanmean(inner)]
    if case.option == "where":
        mask, pool = torch.from_numpy(data.mask[None, None]), getattr(F, case.function)
        return [lambda x: pool(x * mask, *data.arguments) / pool(mask.to(x.dtype), *data.arguments)]
    if isinstance(case.window, Global):
        adaptive = getattr(F, f"adaptive_{case.op}_pool{case.ndim}d")
        whole = {
            "avg": lambda x: x.mean(axes, keepdim=True),
            "max": lambda x: x.amax(axes, keepdim=True),
        }
        return [lambda x: adaptive(x, 1), whole[case.op]]
    pool = getattr(F, case.function.replace("1d", "2d") if lift else case.function)
    args = [take(a) if isinstance(a, np.ndarray) else a for a in data.arguments]
    if case.window.random:
        args[2] = (case.window.ratio,) * case.ndim
    if lift:
        args = zip((1, 1, 0), args, strict=True)
    kw = {"_random_samples": torch.from_numpy(data.samples)} if case.window.random else {}
    if case.option == "indices":
        kw["return_indices"] = True
    args = tuple(args)
    return [lambda x: pool(x, *args, **kw)]


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
    if case.op not in ("max", "avg") or case.option or isinstance(case.window, (Global, Fractional)):
        raise Unsupported
    if job.direction == "backward" and case.work > 2e8:
        raise Unsupported(SLOW)
    return _torch(job, "torch mkldnn", lambda t: t.to_mkldnn())


def onnxruntime(job):
    import onnxruntime as ort
    from onnx import TensorProto, helper

    case, data = job.case, job.data
    forward_only(job)
    if case.work > 5e10:
        raise Unsupported(SLOW)
    types = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "uint8": TensorProto.UINT8}
    if case.dtype not in types:
        raise Unsupported("dtype")
    kind, attributes = _onnx_node(case)

    def session(level, nhwc=False):
        move = (lambda a: np.ascontiguousarray(np.moveaxis(a, 1, -1))) if nhwc else (lambda a: a)
        x, y = move(data.native), move(np.zeros(case.output_shape, case.dtype))
        special = {"op_type": "NhwcMaxPool", "domain": "com.microsoft"} if nhwc else {"op_type": kind}
        given = {"x": x}
        if case.op == "unpool":  # its indices count in the whole array
            planes = np.arange(prod(case.shape[:2])).reshape(*case.shape[:2], *(1,) * case.ndim)
            given["indices"] = data.arguments[0] + planes * prod(case.output_shape[2:])
        made = {"y": y}
        if case.option == "indices":
            made["indices"] = np.zeros(case.output_shape, np.int64)
        node = helper.make_node(inputs=[*given], outputs=[*made], **special, **attributes)
        ends = [
            helper.make_tensor_value_info(
                n, TensorProto.INT64 if n == "indices" else types[case.dtype], a.shape
            )
            for n, a in (*given.items(), *made.items())
        ]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(
            helper.make_graph([node], "pool", ends[: len(given)], ends[len(given) :]),
            opset_imports=opsets,
            ir_version=9,
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
        options.graph_optimization_level, options.log_severity_level = level, 3
        run = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = run.io_binding()
        for name, a in given.items():
            binding.bind_input(name, "cpu", 0, a.dtype, a.shape, a.ctypes.data)
        for name, a in made.items():
            binding.bind_output(name, "cpu", 0, a.dtype, a.shape, a.ctypes.data)
        keep = (given, made, run)  # the binding holds addresses only
        logical = np.moveaxis(y, -1, 1) if nhwc else y

        def result(value, keep=keep):
            if case.option != "indices":
                return logical
            return data.chosen(
                y, made["indices"] % prod(case.input_shape[2:])
            )  # they count in the whole array

        return Contender(
            "onnxruntime",
            lambda: run.run_with_iobinding(binding),
            result,
            fresh=False,
            rest=0.1,
        )

    # With all optimisations it may reorder to a blocked layout and back: sometimes worth it, often not.
    levels = ort.GraphOptimizationLevel
    options = [session(level) for level in (levels.ORT_ENABLE_BASIC, levels.ORT_ENABLE_ALL)]
    if case.dtype == "uint8" and kind == "MaxPool" and case.ndim == 2:
        options.append(session(levels.ORT_ENABLE_ALL, nhwc=True))
    return [fastest(options)]


def _onnx_node(case):
    """Operation and attributes of a case in ONNX."""
    if case.is_partial:
        raise Unsupported
    if isinstance(case.simplest, Global):
        kinds = {"avg": "GlobalAveragePool", "max": "GlobalMaxPool", "lp": "GlobalLpPool"}
        return kinds[case.op], {"p": NORM} if case.op == "lp" else {}
    if isinstance(case.window, Unpool):
        k = [case.window.kernel] * case.ndim
        return "MaxUnpool", {"kernel_shape": k, "strides": k}
    window, n = sliding(replace(case, option="")), case.ndim
    kinds = {"avg": "AveragePool", "max": "MaxPool", "lp": "LpPool"}
    attributes = {
        "kernel_shape": [window.kernel] * n,
        "strides": [window.stride] * n,
        "pads": [window.padding] * 2 * n,
    }
    more = {"avg": {"count_include_pad": 1}, "max": {}, "lp": {"p": NORM}}
    return kinds[case.op], attributes | more[case.op]


def openvino(job):
    import openvino as ov
    from openvino import opset1
    from openvino.preprocess import PrePostProcessor

    case, data = job.case, job.data
    forward_only(job)
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
    nodes = _openvino_nodes(case)

    def tensor(array):
        return ov.Tensor(array.view(np.uint16) if case.dtype == "bfloat16" else array, array.shape, kind)

    def request(node, nhwc=False):
        parameter = opset1.parameter(list(case.input_shape), kind)
        model = ov.Model([node(parameter)], [parameter], "pool")
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

    layouts = (False, True) if case.dtype == "uint8" else (False,)
    return [fastest([request(node, nhwc) for node in nodes for nhwc in layouts])]


def _openvino_nodes(case):
    """Functions of a parameter that give the operation, every one that there is."""
    from openvino import opset1, opset8

    if case.option or case.op not in ("max", "avg") or isinstance(case.window, Fractional):
        raise Unsupported
    axes, nodes = np.arange(2, 2 + case.ndim), []
    if isinstance(case.window, Adaptive) and case.op == "avg":
        counts = np.full(case.ndim, case.window.number)
        nodes.append(lambda x: opset8.adaptive_avg_pool(x, counts))
    if isinstance(case.simplest, Global):
        reduce = {"max": opset1.reduce_max, "avg": opset1.reduce_mean}[case.op]
        nodes.append(lambda x: reduce(x, axes, keep_dims=True))
    elif isinstance(case.simplest, Sliding):
        window = case.simplest
        kernel, stride, pad = ([v] * case.ndim for v in (window.kernel, window.stride, window.padding))
        rest = pad, pad, kernel, *((False,) if case.op == "avg" else ()), "floor", "explicit"
        nodes.append(lambda x: getattr(opset1, f"{case.op}_pool")(x, stride, *rest))
    return nodes


BUILDERS = (
    ("numbapool", numbapool),
    ("torch", torch_contiguous),
    ("torch channels_last", torch_channels_last),
    ("torch mkldnn", torch_mkldnn),
    ("onnxruntime", onnxruntime),
    ("openvino", openvino),
    *libraries.BUILDERS,
)
PACKAGE_OF = {"torch channels_last": "torch", "torch mkldnn": "torch"}
