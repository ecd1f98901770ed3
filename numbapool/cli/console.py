"""What the commands share: errors, progress, tables, imports of extras, files written whole or not at all."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, BinaryIO


class CommandError(Exception):
    """A failure that one line explains."""


def extra(module: str, name: str = "demo") -> ModuleType:
    """Import a module that an extra brings, or say which extra."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        missing = (e.name or module).partition(".")[0]
        raise CommandError(f"{missing} is not installed: pip install 'numbapool[{name}]'") from None


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A progress bar on stderr, as a function to call with the name of each step *before* it is taken."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield _plain_progress(total)
        return
    console = Console(stderr=True)
    columns = (
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    # no thread that redraws: it would disturb what is being timed
    with Progress(*columns, console=console, disable=not console.is_terminal, auto_refresh=False) as bar:
        task = bar.add_task("", total=total)
        started = False

        def step(name: str) -> None:
            nonlocal started
            bar.update(task, advance=int(started), description=name, refresh=True)
            started = True

        yield step
        bar.update(task, completed=total, description="")


def _plain_progress(total: int) -> Callable[[str], None]:
    done = 0

    def step(name: str) -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            filled = 32 * done // total
            end = "\n" if done == total else ""
            print(
                f"\r[{'#' * filled}{'.' * (32 - filled)}] {done}/{total} {name:<40.40}",
                end=end,
                file=sys.stderr,
            )

    return step


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """Text in columns, the first `left` of them flush left; plain, so that it can be piped and pasted."""
    cells = [[str(c) for c in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "─" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that becomes `path` only when the block ends well; until then `path` is as it was."""
    target = os.path.realpath(path)
    temporary = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w+b") as file:
            yield file
        os.replace(temporary, target)
    except OSError as e:
        if e.filename == temporary:  # the user knows nothing of our temporary name
            raise CommandError(f"cannot write {os.fspath(path)}: {e.strerror}") from None
        raise
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
