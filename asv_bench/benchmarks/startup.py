"""Fresh processes: imports, and the first call with a warm and with a cold cache of kernels."""

DATA = "import numpy; x = numpy.ones((1, 64, 112, 112), numpy.float32)"
FRESH = "import os, tempfile; folder = tempfile.TemporaryDirectory(); os.environ['NUMBAPOOL_CACHE_DIR'] = folder.name"
CALL = "import numbapool; numbapool.max_pool2d(x, 3, 2, 1)"
STEP = "import numbapool; y, pullback = numbapool.vjp(numbapool.max_pool2d, x, 3, 2, 1); pullback(y)"


class Import:
    number = 1

    def timeraw_numpy(self):
        return "import numpy"

    def timeraw_numba(self):
        return "import numba"

    def timeraw_numbapool(self):
        return "import numbapool"


class FirstCall:
    """The interpreter and NumPy are there already; the warm cache is the user's own."""

    number = 1
    timeout = 300

    def setup(self):
        import numpy as np

        import numbapool

        y, pullback = numbapool.vjp(numbapool.max_pool2d, np.ones((1, 64, 112, 112), np.float32), 3, 2, 1)
        pullback(y)

    def timeraw_forward_warm(self):
        return CALL, DATA

    def timeraw_step_warm(self):
        return STEP, DATA

    def timeraw_forward_cold(self):
        return CALL, f"{DATA}\n{FRESH}"

    def timeraw_step_cold(self):
        return STEP, f"{DATA}\n{FRESH}"
