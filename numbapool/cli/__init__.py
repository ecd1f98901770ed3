"""The command line: one module per command, each with ``HELP``, ``add_arguments(parser)`` and ``run(args)``.

Exit codes: 0 done, 1 something went wrong (one line on stderr), 2 bad arguments, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from . import bench, demo, info, pool, ptx, warmup
from .console import CommandError

__all__ = ["main"]

COMMANDS = {"info": info, "warmup": warmup, "demo": demo, "pool": pool, "bench": bench, "ptx": ptx}


def _parser() -> argparse.ArgumentParser:
    name = os.path.basename(sys.argv[0])
    prog = "python -m numbapool" if name in ("__main__.py", "-m") else name
    parser = argparse.ArgumentParser(prog=prog, description="Pooling for NumPy arrays at memory speed.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run, command=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with contextlib.suppress(AttributeError):  # a terminal that knows no "×" gets a "?", not an error
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    args, rest = _parser().parse_known_args(argv)
    if args.run is bench.run:
        args.args = rest
    elif rest:
        args.command.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        code: int = args.run(args) or 0
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `… | head`: nobody reads any more; keep the interpreter's last flush quiet too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CommandError, OSError, ValueError, TypeError, MemoryError) as e:
        message = " ".join(str(e).split()) or type(e).__name__
        print(f"{args.command.prog}: error: {message}", file=sys.stderr)
        return 1
