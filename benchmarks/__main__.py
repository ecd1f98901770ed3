"""``python -m benchmarks``: numbapool and its peers in one interleaved run."""

import argparse
import json
import re
import sys

from . import cases, measure, memory, peers, report, startup


def parse(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--cases", metavar="REGEX", default="", help="only cases whose name matches (see --list)")
    add("--peers", metavar="REGEX", help="only libraries whose name matches; the copies always run")
    add("--list", action="store_true", help="print the names of the cases and stop")
    add("--quick", action="store_true", help="small arrays, few rounds: shows that it runs, not how fast")
    add("--forward", action="store_true", help="only forward")
    add("--backward", action="store_true", help="only backward")
    add("--threads", type=int, default=2, help="threads for everybody (default 2)")
    add("--repeat", type=int, metavar="N", help="rounds (default 9; --quick 3; --startup 11)")
    add(
        "--budget", type=float, metavar="S", default=2.0, help="a slow contender stops after S seconds a case"
    )
    add("--json", metavar="FILE", help="write all samples and figures")
    add("--markdown", metavar="FILE", help="write the table with every contender")
    add("--memory", action="store_true", help="instead of times, peak memory of every case")
    add("--startup", action="store_true", help="instead of pooling, whole processes: imports and first calls")
    return parser.parse_args(argv)


def chosen_cases(args):
    found = [case for case in cases.CASES if re.search(args.cases, case.name)]
    return list(dict.fromkeys(case.shrunk() for case in found)) if args.quick else found


def main(argv=None):
    args = parse(argv)
    chosen = chosen_cases(args)
    if args.list:
        print("\n".join(case.name for case in chosen))
        return 0
    if not chosen:
        print(f"no case matches {args.cases!r}; --list shows them", file=sys.stderr)
        return 2
    directions = [d for d in ("forward", "backward") if getattr(args, d)] or ["forward", "backward"]
    info = report.machine(args.threads)
    print(", ".join(f"{k} {v}" for k, v in info.items() if v is not None), flush=True)
    if (info["load"] or 0) > 0.5:
        print(f"others use this machine (load {info['load']}): mind the ratios, not the times", flush=True)
    if args.startup or args.memory:
        if args.startup:
            text, data, good = startup.run(args.repeat or (3 if args.quick else 11))
        else:
            text, data, good = memory.run(chosen, directions)
        document = text
    else:
        text, data, document, good = times(args, chosen, directions, info)
    print(text)
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"machine": info, **data}, file, indent=1)
    if args.markdown:
        with open(args.markdown, "w") as file:
            file.write(document)
    return 0 if good else 1


def times(args, chosen, directions, info):
    present, missing = peers.configure(args.threads)
    for name, reason in missing.items():
        print(f"{name}: skipped, {reason}", flush=True)
    pattern = re.compile(args.peers) if args.peers else None
    options = {"threads": args.threads, "pattern": pattern, "repeat": args.repeat or (3 if args.quick else 9)}
    options["budget"] = min(args.budget, 0.2) if args.quick else args.budget
    rows = []
    print(
        "(least and median time, bandwidth, share of a copy's, how many times slower than numbapool, rounds)"
    )
    for direction in directions:
        for case in chosen:
            if direction == "backward" and (not case.is_float or case.option == "indices"):
                continue
            row = measure.measure(case, direction, present, **options)
            rows.append(row)
            print(report.block(row), flush=True)
    result = report.summary_text(rows)
    data = {
        "rows": [{**report.figures(row), "samples": row.samples} for row in rows],
        "summary": report.summary(rows),
        "missing": missing,
    }
    good = not any(row.wrong for row in rows)
    return (
        f"\n{report.table(rows)}\n{report.LEGEND}\n\n{result}",
        data,
        report.markdown(rows, info, result),
        good,
    )


if __name__ == "__main__":
    sys.exit(main())
