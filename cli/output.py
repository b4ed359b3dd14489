"""Printing: text for people, JSON for programs, errors with their place and hint, progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..fsm.errors import EXIT_BUG, CallerError, OperatorError, StatetapeError

PROGRESS_AFTER_S = 1.0


class OutputFailed(OperatorError):
    """The output could not be written whole. What the command recorded, it recorded."""

    code = "output-failed"


class UsageInvalid(CallerError):
    """The command line names no command, or a wrong option, or lacks an argument."""

    code = "usage"


class ArgumentInvalid(CallerError):
    """An argument, or a setting in the environment, is not text."""

    code = "argument-invalid"


class Bug(StatetapeError):
    """Something that nobody foresaw."""

    code = "bug"
    exit_status = EXIT_BUG


def say(text: str = "") -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """Print a JSON document on one line; beyond UTF-8, with JSON's own escapes."""
    escaped = sys.stdout.encoding.lower() != "utf-8"
    sys.stdout.write(json.dumps(value, ensure_ascii=escaped, default=str) + "\n")


def warn(text: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(text + "\n")


def complain(error: StatetapeError, *, as_json: bool) -> None:
    """Print an error: what, where, and what to do."""
    if as_json:
        said = {"code": error.code, "message": error.message}
        said |= {k: v for k, v in (("place", error.place), ("hint", error.hint)) if v}
        say_json({"error": said})
        return
    warn(f"error: {error} [{error.code}]")
    if error.hint:
        warn(f"  hint: {error.hint}")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, columns as wide as they need to be."""
    for line in table_lines(headers, rows):
        say(line)


def table_lines(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, columns as wide as they need to be."""
    widths = [len(header) for header in headers]
    for row in rows:
        widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
    lines = []
    for row in [headers, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that reports how far the work has come.

    A bar appears on a terminal once the work has taken a second; elsewhere nothing is printed.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Imported here: most commands never show a bar.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=total)
    shown = False

    def report(done: int) -> None:
        nonlocal shown
        if not shown and time.monotonic() - started > PROGRESS_AFTER_S:
            bar.start()
            shown = True
        if shown:
            bar.update(task, completed=done)

    try:
        yield report
    finally:
        if shown:
            bar.stop()
