"""What a call costs beside its work: arrays of sixteen elements."""

import numpy as np


class Tiny:
    params = (["max_pool2d", "avg_pool2d", "min_pool2d", "sum_pool2d"],)
    param_names = ("function",)

    def setup(self, name):
        import numbapool

        self.function, self.vjp = getattr(numbapool, name), numbapool.vjp
        self.x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
        self.nhwc = self.x.reshape(1, 4, 4, 1)
        self.list = self.x.tolist()
        self.out = np.zeros_like(self.function(self.x, 2))
        self.dy, self.pullback = self.vjp(self.function, self.x, 2)
        for name_ in dir(self):
            if name_.startswith("time_"):
                getattr(self, name_)(name)

    def time_new(self, name):
        self.function(self.x, 2)

    def time_out(self, name):
        self.function(self.x, 2, out=self.out)

    def time_every_argument(self, name):
        self.function(self.nhwc, (3, 3), (2, 2), ((1, 1), (1, 1)), axes=(1, 2))

    def time_list(self, name):
        self.function(self.list, 2)

    def time_vjp(self, name):
        self.vjp(self.function, self.x, 2)

    def time_pullback(self, name):
        self.pullback(self.dy)


class Options:
    def setup(self):
        import numbapool

        self.options = numbapool.options

    def time_context(self):
        with self.options(num_threads=1):
            pass
