"""numbapool: pooling for scientific Python, compiled by Numba.

Public names are loaded when they are first used, and Numba when the first kernel is.
"""

import importlib

__version__ = "0.1.0"

_HOMES = {
    "functional.window": [f"{op}_pool{n}d" for op in ("max", "min", "avg", "sum", "lp") for n in (1, 2, 3)],
    "functional.adaptive": [
        *(f"adaptive_{op}_pool{n}d" for op in ("max", "avg") for n in (1, 2, 3)),
        *(f"global_{op}_pool" for op in ("max", "min", "avg", "sum", "lp")),
    ],
    "functional.fractional": ["fractional_max_pool2d", "fractional_max_pool3d"],
    "functional.unpool": [f"max_unpool{n}d" for n in (1, 2, 3)],
    "gradients": ["vjp"],
    "settings": ["options", "set_options"],
    "configuration": ["show_config"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name):
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
