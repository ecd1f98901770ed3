"""What is reported: one table, the ratios, and how many cases are won."""

import os
import platform
from dataclasses import replace
from importlib import metadata
from math import exp, log
from statistics import median

from .contenders import COPIES, is_peer
from .windows import Sliding

PACKAGES = (
    "numbapool numba numpy torch onnxruntime openvino scipy scikit-image opencv-python-headless opencv-python "
    "bottleneck xarray"
).split()


def machine(threads):
    """Where and with what this was measured."""
    info = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "threads": threads}
    try:
        with open("/proc/cpuinfo") as file:
            info["cpu"] = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    info["python"] = platform.python_version()
    info["load"] = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    for name in PACKAGES:
        try:
            info[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return info


def paired(row, slow, fast):
    """How many times faster `fast` is than `slow`: the median over the rounds that both ran."""
    pairs = list(zip(row.samples.get(slow, ()), row.samples.get(fast, ()), strict=False))
    return median(s / f for s, f in pairs) if pairs else None


def own(row, fresh):
    """numbapool's call of the same kind: one that returns new memory, or one with out=, where the function has it."""
    names = ("numbapool",) if fresh else ("numbapool out=", "numbapool")
    return next((name for name in names if name in row.samples), None)


def figures(row):
    """The numbers of one row of the table.

    A peer that writes into prepared memory is compared with ``out=``, one that returns new memory with the
    plain call; `ratio` is the smallest of these, `strict` the plain call against any peer.
    """
    out = {"case": row.case.name, "direction": row.direction, "nbytes": row.case.nbytes, "op": row.case.op}
    out["seconds"] = {
        n: {"min": min(s), "median": median(s), "rounds": len(s)} for n, s in row.samples.items()
    }
    plain, prepared = own(row, True), own(row, False)
    valid = [n for n in row.samples if is_peer(n) and n not in row.wrong]
    ranked = sorted(valid, key=lambda n: median(row.samples[n]))
    out["fastest_peer"] = ranked[0] if ranked else None
    right = not any(n in row.wrong for n in (plain, prepared) if n)
    ratios = {n: paired(row, n, own(row, row.fresh[n])) for n in valid if own(row, row.fresh[n])}
    out["ratio"] = (min(ratios.values()) if right else 0.0) if ratios else None
    out["closest"] = min(ratios, key=ratios.get) if ratios else None
    strict = [paired(row, n, plain) for n in valid] if plain else []
    out["strict"] = (min(strict) if right else 0.0) if strict else None
    torch = [paired(row, n, plain) for n in valid if n.startswith("torch")] if plain else []
    out["torch"] = min(torch) if torch else None
    out["share"] = paired(row, "x.copy()", plain) if plain else None
    out["share_out"] = paired(row, "np.copyto", "numbapool out=")
    bare = next((n for n in row.samples if " without " in n), None)
    out["option"] = paired(row, bare.partition(" without ")[0], bare) if bare else None
    out["wrong"], out["allowed"], out["lacking"] = row.wrong, row.allowed, row.lacking
    out["threads"] = None
    single = [n for n in row.samples if n.endswith("1 thread")]
    if single:
        out["threads"] = paired(row, single[0], single[0].removesuffix(" 1 thread"))
    return out


def _number(value, form="{:.2f}"):
    return "-" if value is None else form.format(value)


def block(row):
    """One case, all contenders, the fastest first."""
    data = figures(row)
    lines = [f"{row.direction} {row.case.name}  ({row.case.nbytes / 1e6:.1f} MB)"]
    for name, samples in sorted(row.samples.items(), key=lambda item: median(item[1])):
        mid, least = median(samples), min(samples)
        shares = [paired(row, copy, name) for copy in COPIES if copy in row.samples and is_peer(name)]
        share = (
            data["share_out"] if name == "numbapool out=" else data["share"] if name == "numbapool" else None
        )
        if shares:
            share = paired(row, COPIES[row.fresh[name]], name)
        mine = own(row, row.fresh[name])
        ratio = paired(row, name, mine) if mine and is_peer(name) else None
        lines.append(
            f"    {name:26}{least * 1e3:10.3f}{mid * 1e3:10.3f} ms{row.case.nbytes / mid / 1e9:8.1f} GB/s"
            f"{_number(share, '{:8.0%} of copy') if share is not None else '':17}"
            f"{_number(ratio, '{:8.2f} x') if ratio is not None else '':11}"
            f"{len(samples):4}{'  WRONG' if name in row.wrong else ''}"
        )
    if row.lacking:
        lines.append("    -  " + "; ".join(f"{name}: {reason}" for name, reason in row.lacking.items()))
    lines += [f"    known defect of {name}: {reason}" for name, reason in row.allowed.items()]
    lines += [f"!!! MISMATCH {name}: {fault}" for name, fault in row.wrong.items()]
    return "\n".join(lines)


HEADER = (
    "case",
    "",
    "MB",
    "copyto",
    "copy()",
    "out=",
    "plain",
    "peer",
    "fastest peer",
    "out/copyto",
    "plain/copy()",
    "ratio",
    "strict",
)


def _cells(data):
    def ms(name):
        return (
            _number(data["seconds"].get(name, {}).get("median"), "{}")
            if name is None
            else (f"{data['seconds'][name]['median'] * 1e3:.3f}" if name in data["seconds"] else "-")
        )

    return (
        data["case"],
        data["direction"][:3],
        f"{data['nbytes'] / 1e6:.1f}",
        ms("np.copyto"),
        ms("x.copy()"),
        ms("numbapool out="),
        ms("numbapool"),
        ms(data["fastest_peer"]),
        data["fastest_peer"] or "-",
        _number(data["share_out"], "{:.0%}"),
        _number(data["share"], "{:.0%}"),
        _number(data["ratio"]) + ("" if data["ratio"] is None or data["ratio"] > 1 else " lost"),
        _number(data["strict"]),
    )


LEGEND = (
    "ratio: fastest peer / numbapool, peers with prepared outputs against out=, others against the plain call; "
    "strict: any peer against the plain call.\nA copy moves as many bytes as the case: input and output once "
    "(backward: dy and dx). Peers get their own native layout,"
    " but where elements are not neighbours, which they copy in the time measured."
)


def table(rows):
    """One line a case: medians in milliseconds, shares of the copies' bandwidth, ratios from pairs."""
    lines = [HEADER, *(_cells(figures(row)) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    left = (0, 1, 8)
    return "\n".join(
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown(rows, info, summary_text):
    """The table with every contender: minimum / median in milliseconds."""
    data = [figures(row) for row in rows]
    names = dict.fromkeys(n for n in (*COPIES, "numbapool out=", "numbapool"))
    names.update(dict.fromkeys(n for d in data for n in d["seconds"]))
    names = [n for n in names if any(n in d["seconds"] for d in data)]
    head = ("case", "direction", "MB", *names, "out= / copyto", "plain / copy()", "ratio", "strict")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for d in data:
        cells = [d["case"], d["direction"], f"{d['nbytes'] / 1e6:.1f}"]
        for n in names:
            t = d["seconds"].get(n)
            cells.append(f"{t['min'] * 1e3:.3f} / {t['median'] * 1e3:.3f}" if t else "-")
        cells += [
            _number(d["share_out"], "{:.0%}"),
            _number(d["share"], "{:.0%}"),
            _number(d["ratio"]),
            _number(d["strict"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    about = ", ".join(f"{k} {v}" for k, v in info.items() if v is not None)
    return (
        f"Minimum / median in milliseconds. {LEGEND} {about}\n\n"
        + "\n".join(lines)
        + f"\n\n```\n{summary_text}\n```\n"
    )


def geometric_mean(values):
    values = [v for v in values if v]
    return exp(sum(map(log, values)) / len(values)) if values else None


def summary(rows):
    """Cases won, geometric means, cases lost, and the limits that go beyond one row."""
    data = [figures(row) for row in rows]
    out = {}
    for direction in ("forward", "backward"):
        these = [d for d in data if d["direction"] == direction and d["ratio"] is not None]
        if not these:
            continue
        shares = "share" if direction == "backward" else "share_out"
        large = {d["case"]: d[shares] for d in these if d["nbytes"] > 64e6 and d[shares]}
        out[direction] = {
            "cases": len(these),
            "won": sum(d["ratio"] > 1 for d in these),
            "won_strict": sum(d["strict"] > 1 for d in these),
            "mean_ratio": geometric_mean(d["ratio"] for d in these),
            "mean_strict": geometric_mean(d["strict"] for d in these),
            "mean_torch": geometric_mean(d["torch"] for d in these if d["torch"]),
            "large_mean_share": geometric_mean(large.values()),
            "large_min_share": min(large.items(), key=lambda item: item[1]) if large else None,
            "large_plain_mean_share": geometric_mean(
                d["share"] for d in these if d["nbytes"] > 64e6 and d["share"]
            ),
            "lost": {d["case"]: [d["ratio"], d["closest"]] for d in these if d["ratio"] <= 1},
        }
    out["wrong"] = {f"{d['direction']} {d['case']}": d["wrong"] for d in data if d["wrong"]}
    out["threads"] = {f"{d['direction']} {d['case']}": d["threads"] for d in data if d["threads"]}
    out["options"] = {f"{d['direction']} {d['case']}": d["option"] for d in data if d["option"]}
    out["windows"] = window_growth(rows)
    return out


def window_growth(rows, narrow=15, wide=127):
    """t(wide window) / t(narrow window) at stride 1 on one plane, from the minima."""
    out = {}
    for row in rows:
        case = row.case
        if case.shape[:2] != (1, 1) or case.window != Sliding(wide, 1, wide // 2):
            continue
        same = replace(case, window=Sliding(narrow, 1, narrow // 2))
        for other in rows:
            if (other.case, other.direction) != (same, row.direction):
                continue
            for name in ("numbapool out=", "numbapool"):
                if name in row.samples and name in other.samples:
                    out[f"{row.direction} {case.op} {name}"] = min(row.samples[name]) / min(
                        other.samples[name]
                    )
    return out


def summary_text(rows):
    data = summary(rows)
    lines = []
    for direction in ("forward", "backward"):
        if direction not in data:
            continue
        d = data[direction]
        ratio, strict, torch = (_number(d[f"mean_{k}"]) for k in ("ratio", "strict", "torch"))
        lines.append(
            f"{direction}: {d['won']} of {d['cases']} cases won, {ratio} x the fastest peer in geometric mean; plain "
            f"call against any peer: {d['won_strict']} won, {strict} x; against the best torch: {torch} x"
        )
        if d["large_min_share"]:
            worst, least = d["large_min_share"]
            mean, plain = (_number(d[f"large_{k}mean_share"], "{:.0%}") for k in ("", "plain_"))
            lines.append(
                f"    over 64 MB: {mean} of copy bandwidth in geometric mean, least {least:.0%} ({worst}); "
                f"plain calls {plain}"
            )
        lines += [f"    lost: {case}  {ratio:.2f} x {peer}" for case, (ratio, peer) in d["lost"].items()]
    lines += [f"two threads against one, {case}: {ratio:.2f} x" for case, ratio in data["threads"].items()]
    lines += [
        f"against the plain call, {case}: {ratio:.2f} x the time" for case, ratio in data["options"].items()
    ]
    lines += [
        f"window 127 against 15, {name}: {ratio:.2f} x the time" for name, ratio in data["windows"].items()
    ]
    lines += [f"!!! MISMATCH {case}: {', '.join(wrong)}" for case, wrong in data["wrong"].items()]
    return "\n".join(lines) or "nothing of numbapool was measured"
