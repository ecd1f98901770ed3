"""Peak memory of a process that pools once; `peakmem_setup` is what the input and the imports take."""

import numpy as np

from . import NETWORKS, call, function


class Peak:
    params = (["ResNet-50 stem", "Inception-v3 mixed 5b", "C3D pool2"], ["NCHW", "NHWC"])
    param_names = ("network", "layout")

    def setup(self, network, layout):
        import numbapool

        self.vjp = numbapool.vjp
        self.function, self.args, self.keywords = call(network, layout)
        op, shape, *window = NETWORKS[network]
        small = np.ones((1, 1, *(2 * window[0],) * (len(shape) - 2)), np.float32)
        y, pullback = self.vjp(
            function(op, len(shape) - 2), small, *window
        )  # the compiler's memory is not meant
        pullback(y)

    def peakmem_setup(self, network, layout):
        pass

    def peakmem_forward(self, network, layout):
        self.function(*self.args, **self.keywords)

    def peakmem_step(self, network, layout):
        y, pullback = self.vjp(self.function, *self.args, **self.keywords)
        pullback(y)
