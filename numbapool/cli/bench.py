"""Time numbapool against its peers, interleaved in one run (needs a checkout and the "bench" extra).

All arguments are the benchmark's own: `bench --list` shows its cases, `bench --quick` whether everything runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numbapool

from .console import CommandError

HELP = "time numbapool against its peers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: the benchmark has its own parser and gets everything that stands behind the command."""


def run(args: argparse.Namespace) -> int:
    checkout = Path(numbapool.__file__).resolve().parents[1]
    if not (checkout / "benchmarks" / "__main__.py").is_file():
        raise CommandError(
            "the benchmarks are not part of the installed package: run this in a source checkout, "
            "with pip install -e '.[bench]', or simply `make bench` there"
        )
    return subprocess.call([sys.executable, "-m", "benchmarks", *args.args], cwd=checkout)
