"""Forward, over networks, layouts, dtypes, windows and threads."""

import numpy as np

from . import FAMILY, NETWORKS, call, function, random, relative, tiny


class Networks:
    params = (list(NETWORKS), ["NCHW", "NHWC"])
    param_names = ("network", "layout")
    min_run_count = 5

    def setup(self, network, layout):
        self.function, self.args, self.keywords = call(network, layout)
        self.out = np.zeros_like(self.function(*self.args, **self.keywords))
        self.function(*self.args, **self.keywords, out=self.out)

    def time_new(self, network, layout):
        self.function(*self.args, **self.keywords)

    def time_out(self, network, layout):
        self.function(*self.args, **self.keywords, out=self.out)


class Family:
    params = (list(FAMILY),)
    param_names = ("kind",)
    min_run_count = 5

    def setup(self, kind):
        self.function, self.args, self.keywords = relative(kind)
        self.time_new(kind)

    def time_new(self, kind):
        self.function(*self.args, **self.keywords)


class Dtypes:
    params = (
        ["max", "avg"],
        ["bool", "uint8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"],
    )
    param_names = ("op", "dtype")
    min_run_count = 5

    def setup(self, op, dtype):
        self.function, self.x = function(op, 2), random(tiny((8, 64, 112, 112), 3), dtype)
        self.time_3x3_stride_2(op, dtype)

    def time_3x3_stride_2(self, op, dtype):
        self.function(self.x, 3, 2, 1)


class Indices:
    params = ([name for name, (op, *_) in NETWORKS.items() if op == "max"],)
    param_names = ("network",)
    min_run_count = 5

    def setup(self, network):
        self.function, self.args, _ = call(network)
        self.time_return_indices(network)

    def time_return_indices(self, network):
        self.function(*self.args, return_indices=True)


class Windows:
    """The cost of a window at stride 1: it should not grow."""

    params = (["max", "avg"], [3, 7, 15, 31, 63, 127])
    param_names = ("op", "window")
    min_run_count = 5

    def setup(self, op, window):
        self.function, self.x = function(op, 2), random(tiny((1, 1, 1024, 1024), window)[2:])
        self.time_stride_1(op, window)

    def time_stride_1(self, op, window):
        self.function(self.x, window, 1, window // 2)


class Layouts:
    """One array as it may come: other orders of memory, views, other byte orders."""

    params = (["C", "Fortran", "every other", "reversed", "transposed", "byte-swapped"],)
    param_names = ("layout",)
    min_run_count = 5

    def setup(self, layout):
        x = random(tiny((8, 64, 112, 112), 3))
        self.x = {
            "C": lambda: x,
            "Fortran": lambda: np.asfortranarray(x),
            "every other": lambda: x[:, :, ::2, ::2],
            "reversed": lambda: x[:, :, ::-1, ::-1],
            "transposed": lambda: x.swapaxes(-1, -2),
            "byte-swapped": lambda: x.astype(x.dtype.newbyteorder()),
        }[layout]()
        self.function = function("max", 2)
        self.time_3x3_stride_2(layout)

    def time_3x3_stride_2(self, layout):
        self.function(self.x, 3, 2, 1)


class Threads:
    params = (["ResNet-50 stem", "Inception-v3 mixed 5b"], [1, 2])
    param_names = ("network", "threads")
    min_run_count = 5

    def setup(self, network, threads):
        import numbapool

        self.function, self.args, _ = call(network)
        numbapool.set_options(num_threads=threads)
        self.time_new(network, threads)

    def teardown(self, network, threads):
        import numbapool

        numbapool.set_options(num_threads=None)

    def time_new(self, network, threads):
        self.function(*self.args)
