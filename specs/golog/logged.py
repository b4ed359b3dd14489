"""The text of a machine as a log shows it: an exact machine without what no log holds.

The same states, numbers, events and rows; no arguments, no data, no deadlines. What a log or a
database holds besides (Boost's `specs/boost/recorded.py`) is added by whoever asks for the parts.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator

from .table import Table

WIDTH = 100
ABOUT = (
    "The table of {machine} as a log shows it: what a line says of an event is its name and the "
    "state. Its arguments are in no log, so events have none here, and there is no data. An "
    "instance is the machine of one deal as it was seen in one state."
)
FUNCTIONS = "functions: {module: golog.keys, signatures: {story_of: (text) -> text}}"
CHECK = ("check:", "  depth: 1")


def machine_named(table: str) -> str:
    """Return the machine that refusals read as a table's are recorded in."""
    system, _, name = table.partition(".")
    return f"golog.{name}" if system == "filecoin" else f"golog.{system}_{name}"


def logged(table: Table) -> str:
    """Return the text of the machine that refusals read as `table` are recorded in."""
    name, title = machine_named(table.machine), f"{table.machine}, as a log shows it"
    return joined(
        heading(table, name, title, ABOUT.format(machine=table.machine)),
        [FUNCTIONS],
        states(table),
        events(table),
        ["links:", "  story: story_of(key)"],
        CHECK,
    )


def joined(*parts: Iterable[str]) -> str:
    """Return parts of a machine's file as its text."""
    return "".join(f"{line}\n" for part in parts for line in part)


def heading(table: Table, name: str, title: str, about: str) -> Iterator[str]:
    """Yield what a machine's file begins with."""
    yield f"machine: {name}"
    yield "version: 1"
    yield f"title: {title}"
    yield "about: >"
    yield from textwrap.wrap(about, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield f"source: the table of {table.machine}"


def states(table: Table, said: tuple[str, ...] = ("expects", "unreached")) -> Iterator[str]:
    """Yield a table's states with what is `said` of each, and the numbers that it does not use."""
    yield "states:"
    for code, name in table.states.items():
        if name in table.unused:
            continue
        yield f"  {name}:"
        yield f"    code: {code}"
        if name == table.initial:
            yield "    initial: true"
        if name in table.final:
            yield "    final: true"
            continue
        written = table.exact.spec.states[name]
        for member in said:
            text = getattr(written, member, "")
            if text:
                yield f"    {member}: {json.dumps(text, ensure_ascii=False)}"
        yield "    no_deadline: what was recorded shows what happened, not what was waited for"
    yield "unused:"
    for member, names in (("states", table.states), ("events", table.events)):
        left = [f"    {code}: {name}" for code, name in names.items() if name in table.unused]
        yield from [f"  {member}:", *left] if left else [f"  {member}: {{}}"]


def events(table: Table, params: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a table's events by name, each with the same parameters."""
    yield "events:"
    for code, name in table.events.items():
        if name in table.unused:
            continue
        yield f"  {name}:"
        yield f"    code: {code}"
        if params:
            yield f"    params: {{{', '.join(params)}}}"
        yield "    go:"
        for row in table.exact.events[name].rows:
            sources = [one for one in row.sources if (one, name) not in table.lacks]
            to = "same" if row.same else row.to
            if sources:
                yield from _row(["any"] if row.wildcard else sources, to)


def _row(sources: list[str], to: str | None) -> Iterator[str]:
    where = f"[{', '.join(sources)}]" if len(sources) > 1 else sources[0]
    line = f"      - {{from: {where}{f', to: {to}' if to else ''}}}"
    if len(line) <= WIDTH:
        yield line
        return
    yield "      - from:"
    yield from (f"          - {name}" for name in sources)
    if to:
        yield f"        to: {to}"
