"""What the free names of the CUDA templates mean for one combination of reduction and element types: the bindings of the CPU over other primitives."""

from __future__ import annotations

from dataclasses import dataclass

from numbapool import dtypes, reductions
from numbapool.kernels import bind
from numbapool.kernels.cuda import axis, compensated
from numbapool.reductions import Types


def _primitives():
    from numbapool import driver

    if driver.simulated():
        from numbapool.kernels.cuda import twins

        return twins
    from numbapool.kernels.cuda import primitives

    return primitives


def forward(reduction, types, lanes, form, channel=None, saves=False, elements=reductions.ALL, precise=False):
    """Binding of the forward templates.

    Parameters
    ----------
    reduction, types, channel, saves, elements
        As of `numbapool.kernels.bind.forward`.
    lanes : int
        Results of a thread.
    form : Form
        What a kernel knows of windows and memory when it is compiled.
    precise : bool
        Sums carry what rounding takes from them.
    """
    p = _primitives()
    names = bind.forward(reduction, types, channel, saves, elements, p=p, lanes=lanes)
    if precise:
        names |= (
            bind.functions(compensated)
            | {n: getattr(p, n) for n in ("add", "sub", "isnan", "pick")}
            | {"zero_of": p.constant_like(types.acc, 0)}
        )
    if precise or channel in ("uint8", "int64"):
        # A thread starts with no element, which what ties with it has to replace.
        names["merge_later"] = names["merge"]
    names |= _common(types, form) | {
        "load_x": p.loader(types.x, types.acc, lanes, form.aligned),
        "store_y": p.storer(types.end, types.y, lanes, form.aligned),
        "POSITIONS": channel == "int64",
    }
    if channel:
        names["save_k"] = p.storer(channel, channel, lanes, form.aligned) if saves else names["save_k"]
    divided = reduction.mean and channel not in bind.PAIRS
    names["window_divisor"] = axis.divisor_of if divided else axis.no_divisor
    return names


def fractional(reduction, types, samples, form, channel):
    """Binding of the template `forward` for windows that follow from samples of this dtype; other arguments as of `forward`."""
    from numbapool.kernels.cuda import fractional as windows

    p = _primitives()
    names = forward(reduction, types, 1, form, channel, bool(channel)) | bind.functions(windows)
    names |= {n: getattr(p, n) for n in ("isnan", "either", "lanes_of", "mul")}
    return names | {
        "get_sample": p.getter(samples, samples),
        "add_samples": p.add,
        "div_samples": p.div,
        "one_sample": p.constant_like(samples, 1),
        "no_sample": p.constant_like(samples, 0),
        "to_sample": p.caster("int64", samples, None),
        "to_element": p.caster(samples, "int64", None),
        "to_index": p.wide if form.wide else p.narrow,
        "report": p.guarded_storer(samples, samples),
    }


def masked(reduction, types, form, channel, saves, elements):
    """Binding of the template `masked`; arguments as of `forward`."""
    p = _primitives()
    names = forward(reduction, types, 1, form, channel, saves, elements)
    names |= {
        "MASKED": elements.where,
        "WEIGHED": bool(elements.weights),
        "every": p.flags(1),
        "ones": p.constant(types.end, 1, 1),
        "splat_mask": p.flag_splatter(1),
        "get_w": p.getter(elements.weights, types.end) if elements.weights else None,
        "splat_w": p.splatter(types.end, 1),
    }
    return names


def carried(reduction, types, form):
    """Binding of the template `masked` for values that come with their places."""
    from numbapool.kernels.cuda import masked as template

    p = _primitives()
    return forward(reduction, types, 1, form, "int64", True) | {
        "MASKED": False,
        "WEIGHED": True,
        "every": p.flags(1),
        "get_w": p.getter("int64", "int64"),
        "splat_w": p.splatter("int64", 1),
        "tap_if": template.carried,
    }


def factored(x, beside, y, compute, form, how, elements):
    """Binding of the template `factored`: dtypes of what is read, of what lies beside it and of what is written; what is done with that; elements."""
    p = _primitives()
    names = {n: getattr(p, n) for n in ("mul", "div", "sub", "isnan", "ties")}
    return names | _common(Types(x, compute, y, compute), form) | {
        "DIVIDES": how in ("divides", "means"),
        "KEEPS": how in ("divides", "keeps"),
        "SUBTRACTS": how == "subtracts",
        "OMITS": elements.omit,
        "MASKED": elements.where,
        "WEIGHED": bool(elements.weights),
        "load_x": p.loader(x, compute, 1),
        "load_s": p.loader(beside, compute, 1) if beside else None,
        "get_w": p.getter(elements.weights, compute) if elements.weights else None,
        "splat_w": p.splatter(compute, 1),
        "splat_mask": p.flag_splatter(1),
        "store_y": p.storer(compute, y, 1),
        "zero": p.constant_like(compute, 0),
    }  # fmt: skip


def tree(reduction, types, lanes, threads, form, channel=None, saves=False, precise=False):
    """Binding of the template `tree`: `threads` of (a team, a warp, a block), each taking `lanes` neighbours at once; the rest as of `forward`."""
    from numba.cuda import types as numba_types

    from numbapool import driver
    from numbapool.kernels.cuda import tree as template

    p = _primitives()
    names = forward(reduction, types, lanes, form, channel, saves, precise=precise)
    kind = "keyed" if channel else "compensated" if precise else "values"
    team, warp, block = threads

    def element(name):
        return getattr(numba_types, "uint8" if name == "bool" else name)

    names |= {
        "LANES": lanes,
        "TEAM": team,
        "WARP": warp,
        "BLOCK": block,
        "SHARED": block if team > warp else 1,
        "VALUE": element(types.acc),
        "SECOND": element(channel or (types.acc if precise else "int64")),
        "load_some": p.guarded_loader(types.x, types.acc, bind.identity_of(reduction, types)),
        "store_y": p.storer(types.end, types.y, 1),
        "tap_some": getattr(template, f"tap_some_{kind}"),
        "with_lane_keys": template.lane_keys_of_places if channel else template.as_it_is,
        "made": template.paired if channel or precise else template.plain,
        "whole_index": names["whole"],
        "lanes_of": p.lanes_of,
        "selected": p.selected,
    }
    if driver.simulated():
        names["register_of"] = template.register_through_memory
    else:
        names["from_lane_behind"] = p.from_lane_behind
    if precise:
        names["accumulator"] = compensated.accumulator
    if channel and saves:
        names["save_k"] = p.storer(channel, channel, 1)
    return names


def gather(types, key, lanes, form, uneven=False, precise=False, ranges=False):
    """Binding of the backward templates.

    Parameters
    ----------
    types : Types
        Of a mean of dy.
    key : {None, "uint8", "int64"}
        What names the element that a window selected; None: windows sum.
    uneven : bool
        Windows have divisors of their own.
    lanes, form, precise
        As of `forward`.
    ranges : bool
        Positions are those of a larger plane.
    """
    p = _primitives()
    names = forward(reductions.AVG, types, lanes, form, precise=precise)
    return names | {
        "SELECTING": bool(key),
        "POSITIONS": key == "int64",
        "UNEVEN": uneven,
        "RANGES": ranges,
        "less": p.less,
        "load_k": p.loader(key, "int64", lanes, form.aligned) if key else None,
        "accumulator": compensated.accumulator if precise else axis.as_is,
        "zero_of": p.constant_like(types.acc, 0),
        "ties": p.ties,
        "both": p.both,
        "div": p.div,
    }


def norm_gather(types, reduction, saved, x, lanes, form, elements, precise):
    """Binding of the template `gather` for norms.

    Parameters
    ----------
    types : Types
        Of dy, of what is reckoned in, of dx.
    reduction : Reduction
    saved : str
        The dtype of keys or norms.
    x : str
        The dtype of the elements.
    elements : Elements
    lanes, form, precise
        As of `forward`.
    """
    from numbapool.kernels.cuda import slopes

    p = _primitives()
    names = gather(types, saved if reduction.selecting else None, lanes, form, precise=precise)
    names |= {n: getattr(p, n) for n in ("isnan", "either", "equal", "mul", "fabs", "with_sign")}
    names |= bind.functions(slopes) | {
        "MASKED": elements.where,
        "OMITS": elements.omit,
        "load_e": p.loader(x, types.acc, lanes, form.aligned),
        "load_there": p.flag_loader(lanes),
        "one_of": p.constant_like(types.acc, 1),
    }
    if reduction.selecting:
        return names
    names["load_s"] = p.loader(saved, types.acc, lanes, form.aligned)
    return names | {"power": p.power(reduction.power - 1)}


@dataclass(frozen=True)
class Slide:
    """Windows along W of which a kernel knows taps, stride and padding in front; `lanes` of them are one thread's."""

    taps: int
    stride: int
    before: int
    lanes: int

    @property
    def main(self) -> int:
        """Elements that lie under the windows of a thread and, but for overlaps, no others."""
        return self.lanes * self.stride

    @property
    def name(self) -> str:
        """For the names of kernels."""
        return f"k{self.taps}s{self.stride}p{self.before}x{self.lanes}"


def sliding(
    reduction, types, slide, form, channel=None, saves=False, precise=False, by_rows=False, elements=reductions.ALL
):  # fmt: skip
    """Binding of the template `sliding`, whose taps are merged row by row if `by_rows`, else column by column; other arguments as of `forward`."""
    from numbapool.kernels.cuda import sliding as template
    from numbapool.kernels.cuda import sliding_beside

    p = _primitives()
    behind = max(slide.taps - slide.stride - slide.before, 0)
    span = slide.before + slide.main + behind
    names = forward(reduction, types, span, form, channel, saves, elements, precise)
    pairs = channel in bind.PAIRS
    kind = "paired" if pairs else "keyed" if channel else "compensated" if precise else "values"
    identity = bind.identity_of(reduction, types)
    divided = reduction.mean and not pairs
    names |= _slide(slide) | {
        "BEHIND": behind,
        "SPAN": span,
        "SEES": bool(elements) or reduction.power is not None,
        "BY_ROWS": by_rows,
        "load_x": p.loader(types.x, types.acc, slide.main, form.aligned),
        "load_some": p.guarded_loader(types.x, types.acc, identity),
        "store_y": p.storer(types.end, types.y, slide.lanes, form.aligned),
        "spanned": getattr(template, f"spanned_{kind}"),
        "placed_in_row": template.placed_by_column if channel == "int64" else template.as_before,
        "numbered_tap": template.numbered_by_tap if channel == "uint8" else template.as_before,
        "given_divisor": p.splatter(types.end, slide.lanes) if divided else axis.as_is,
        "window_divisors": template.divisors_of if divided else template.no_divisors,
    }
    if precise:
        names["accumulator"] = compensated.accumulator
    if by_rows:
        names["identity"] = p.constant(
            types.acc, "mark" if bind.tells_absent(reduction, elements) else identity, slide.lanes
        )
    if elements.beside:
        names |= bind.functions(sliding_beside) | {
            "MASKED": elements.where,
            "WEIGHED": bool(elements.weights),
            "load_flag": p.guarded_loader("uint8", "int64", 0),
            "load_weight": p.guarded_loader(elements.weights, types.end, 0) if elements.weights else None,
        }
    if channel and saves:
        names["save_k"] = p.storer(channel, channel, slide.lanes, form.aligned)
    return names


def gather_sliding(types, key, slide, form, uneven=False):
    """Binding of the template `gather_sliding`; arguments as of `gather`."""
    p = _primitives()
    names = gather(types, key, slide.main, form, uneven)
    zero = bind.identity_of(reductions.AVG, types)
    names |= _slide(slide) | {
        "LEFT": (slide.taps - 1 - slide.before) // slide.stride,
        "RIGHT": (slide.main - 1 + slide.before) // slide.stride - (slide.lanes - 1),
        "load_dy": p.loader(types.x, types.acc, slide.lanes, form.aligned),
        "load_dy_some": p.guarded_loader(types.x, types.acc, zero),
        "add_selected": p.add_selected,
    }
    if key:
        names |= {
            "K_SIZE": 1,
            "load_k": p.loader(key, "int64", slide.lanes, form.aligned),
            "load_k_some": p.guarded_loader(key, "int64", 255),
        }
    return names


def positions(form):
    """Binding of the template `positions`."""
    p = _primitives()
    types = Types("uint8", "int64", "int64", "int64")
    return _common(types, form) | {
        "NO_TAP": bind.NO_TAP,
        "get_tap": p.getter("uint8", "int64"),
        "put_index": p.putter("int64", "int64"),
        "narrow": p.wide if form.wide else p.narrow,
    }


def unpool(step, names, lanes, is_wide):
    """Binding of the template `unpool`.

    Parameters
    ----------
    step : {"claim", "settle", "fill", "pass_back"}
    names : tuple of str
        Dtypes. "claim": of numbers, of indices. "settle": of what is kept, of indices. "fill": of values, of numbers. "pass_back": of values, of what is kept.
    lanes : int
        Neighbours that a thread does.
    is_wide : bool
        Indices of the kernel have 64 bits.
    """
    from numbapool.kernels.cuda import unpool as template

    p = _primitives()
    first, second = names
    moves = step in ("fill", "pass_back")
    numbers, indices = (second, second) if moves else (first, second)
    value = f"uint{8 * dtypes.itemsize(first)}"  # whose meaning does not matter
    bound = {
        "work": getattr(template, step),
        "OVER_LARGE": step == "fill",
        "UNSIGNED": indices == "uint64",
        "OUT_OF_RANGE": 2**62,
        "to_index": p.wide if is_wide else p.narrow,
        "get_k": p.getter(indices, "int64"),
        "load_owners": p.loader(numbers, "int64", lanes, aligned=True),
        "LANES": lanes,
        "joined": p.joined,
        "load_n": p.guarded_loader(numbers, "int64", -1),
        "raise_to": p.raiser(numbers),
        "report": p.guarded_storer("int64", numbers),
        "store_k": p.storer("int64", numbers, 1),
        "load_v": p.guarded_loader(value, value, 0),
        "store_v": p.storer(value, value, lanes, aligned=True),
    }
    bound |= {n: getattr(p, n) for n in ("pick", "wide", "both", "either", "ties", "lanes_of")}
    return bound | {"whole": p.wide if is_wide else axis.as_is}


def unpool_name(step, names):
    """For the names of kernels: elements that are moved are named by their bytes."""
    first, second = names
    moves = step in ("fill", "pass_back")
    return f"{8 * dtypes.itemsize(first) if moves else first}_{second}"


def _slide(slide):
    p = _primitives()
    return {
        "TAPS_W": slide.taps,
        "STRIDE_W": slide.stride,
        "BEFORE_W": slide.before,
        "LANES": slide.lanes,
        "MAIN": slide.main,
        "joined": p.joined,
        "selected": p.selected,
        "lanes_of": p.lanes_of,
        "pick": p.pick,
    }


@dataclass(frozen=True)
class Form:
    """What a kernel knows of windows and memory when it is compiled.

    Attributes
    ----------
    aligned : bool
        Vectors lie at multiples of their size.
    divided : bool
        Some axes are divided by their windows.
    dilated : bool
        Taps of some axes are apart.
    wide : bool
        Indices have 64 bits.
    fractional : bool
        Windows are fractional.
    """

    aligned: bool = False
    divided: bool = False
    dilated: bool = False
    wide: bool = False
    fractional: bool = False

    @property
    def name(self) -> str:
        """For the names of kernels."""
        flags = (
            ("aligned", self.aligned),
            ("divided", self.divided),
            ("dilated", self.dilated),
            ("fractional", self.fractional),
        )
        return "_".join(n for n, there in flags if there)


def _common(types, form):
    p = _primitives()
    return {
        "DIVIDED": form.divided,
        "DILATED": form.dilated,
        "FRACTIONAL": form.fractional,
        "pick": p.pick,
        "wide": p.wide,
        "whole": p.wide if form.wide else axis.as_is,
        "int_to_end": p.caster("int64", types.end, None),
    }
