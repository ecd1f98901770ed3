"""Backward: the pullback alone, and a whole step with the forward that saves what backward needs."""

from . import FAMILY, NETWORKS, call, function, random, relative, tiny


class Networks:
    params = (list(NETWORKS), ["NCHW", "NHWC"])
    param_names = ("network", "layout")
    min_run_count = 5

    def setup(self, network, layout):
        import numbapool

        self.vjp = numbapool.vjp
        self.function, self.args, self.keywords = call(network, layout)
        self.dy, self.pullback = self.vjp(self.function, *self.args, **self.keywords)
        self.pullback(self.dy)

    def time_pullback(self, network, layout):
        self.pullback(self.dy)

    def time_step(self, network, layout):
        y, pullback = self.vjp(self.function, *self.args, **self.keywords)
        pullback(y)


class Family:
    params = (list(FAMILY),)
    param_names = ("kind",)
    min_run_count = 5

    def setup(self, kind):
        import numbapool

        function, args, keywords = relative(kind)
        self.dy, self.pullback = numbapool.vjp(function, *args, **keywords)
        self.pullback(self.dy)

    def time_pullback(self, kind):
        self.pullback(self.dy)


class Dtypes:
    params = (["max", "avg"], ["float16", "bfloat16", "float32", "float64"])
    param_names = ("op", "dtype")
    min_run_count = 5

    def setup(self, op, dtype):
        import numbapool

        x = random(tiny((8, 64, 112, 112), 3), dtype)
        self.dy, self.pullback = numbapool.vjp(function(op, 2), x, 3, 2, 1)
        self.pullback(self.dy)

    def time_3x3_stride_2(self, op, dtype):
        self.pullback(self.dy)


class Windows:
    params = (["max", "avg"], [3, 15, 127])
    param_names = ("op", "window")
    min_run_count = 5

    def setup(self, op, window):
        import numbapool

        x = random(tiny((1, 1, 1024, 1024), window)[2:])
        self.dy, self.pullback = numbapool.vjp(function(op, 2), x, window, 1, window // 2)
        self.pullback(self.dy)

    def time_stride_1(self, op, window):
        self.pullback(self.dy)
