"""Show what numbapool runs on: device, threading layer, SIMD width, cache place, versions."""

from __future__ import annotations

import argparse
import json

HELP = "show device, threading layer, SIMD width, cache place and versions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(args: argparse.Namespace) -> None:
    from numbapool import configuration

    config = configuration.config(start=True)
    if args.json:
        print(json.dumps(config, indent=2))
    else:
        width = max(map(len, config))
        print("\n".join(f"{key:<{width}}  {value}" for key, value in config.items()))
