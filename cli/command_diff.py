"""`diff`: two histories side by side, of one tape or of two."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .entries import entry_lines, what
from .looking import looking
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, TapeOption
from .output import say, say_json, table_lines
from .whatif import shown_data, why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..engine.compare import Comparison, Row, Side
    from ..fsm.entry import Entry
    from ..fsm.types import Json

RUNS_MAX = 30
"""Lines of differences for people; --json has all."""


def add(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(rich_help_panel="Look")(diff)


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="An instance: machine/key, or key.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    other_tape: Annotated[
        Path | None, typer.Option(help="The tape that B is on, if it is another.")
    ] = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Compare two histories: where they part, what only one has, and how both end.

    Entries match that asked the same with the same outcome; times, positions and amounts may be
    others. Exits with 1 if the histories differ.

    statetape diff good-deal stuck-deal
    """
    from ..engine.compare import compare, read_side

    with ExitStack() as held:
        here = held.enter_context(looking(tape, anchor))
        there = here if other_tape is None else held.enter_context(looking(other_tape, None))
        found = compare(read_side(here, here.find(first)), read_side(there, there.find(second)))
    if json:
        say_json(_json(found))
    else:
        for line in _lines(found, other_tape):
            say(line)
    return EXIT_DONE if found.same else EXIT_FINDING


def _lines(found: Comparison, other_tape: Path | None) -> Iterator[str]:
    """Yield a comparison for people."""
    elsewhere = f" on {other_tape}" if other_tape is not None else ""
    for label, side, where in (("A", found.first, ""), ("B", found.second, elsewhere)):
        count = len(side.entries)
        yield f"{label}  {side.name}{where}: {count} {'entry' if count == 1 else 'entries'}"
    if found.parted is None:
        yield "the same events with the same outcomes, in the same order"
    else:
        yield from _parting_lines(found, found.parted)
        yield "differences"
        runs = list(_runs(found, found.parted))
        yield from (f"  {line}" for line in runs[:RUNS_MAX])
        if len(runs) > RUNS_MAX:
            yield f"  and {len(runs) - RUNS_MAX} more: --json has them all"
    if found.parted is not None or not found.same:
        yield from _end_lines(found)


def _parting_lines(found: Comparison, parted: int) -> Iterator[str]:
    """Yield up to where both are the same, and how each goes on from there."""
    if parted:
        last = found.rows[parted - 1]
        state = found.first.states[last.first or 0]
        places = [
            side.entries[index or 0].pos
            for side, index in ((found.first, last.first), (found.second, last.second))
        ]
        yield f"the same up to position {places[0]} of A and {places[1]} of B, in {state}"
    for label, side, index in (
        ("A", found.first, _next(found, parted, 0)),
        ("B", found.second, _next(found, parted, 1)),
    ):
        if index is None:
            yield f"{label} ends here"
        else:
            yield f"{label} goes on with"
            yield from entry_lines(side.entries[index], side.machine, state=side.states[index])


def _next(found: Comparison, parted: int, side: int) -> int | None:
    """Return the index of a side's first entry from a row on, or None."""
    for row in found.rows[parted:]:
        index = (row.first, row.second)[side]
        if index is not None:
            return index
    return None


def _runs(found: Comparison, parted: int) -> Iterator[str]:
    """Yield the differences, equal ones that stand together on one line."""
    run: list[Row] = []
    for row in found.rows[parted:]:
        if run and (row.same or _told(found, row) != _told(found, run[0])):
            yield _run_line(found, run)
            run = []
        if not row.same:
            run.append(row)
    if run:
        yield _run_line(found, run)


def _run_line(found: Comparison, run: list[Row]) -> str:
    places = []
    for label, side, indexes in (
        ("A", found.first, [row.first for row in run]),
        ("B", found.second, [row.second for row in run]),
    ):
        positions = [side.entries[index].pos for index in indexes if index is not None]
        if positions:
            to = f" to {positions[-1]}" if len(positions) > 1 else ""
            places.append(f"{label} {positions[0]}{to}")
    who = "both  " if len(places) == 2 else f"only {places[0][0]}"
    many = f"{len(run)} × " if len(run) > 1 else ""
    return f"{who}  {many}{_told(found, run[0])}  ({', '.join(places)})"


def _told(found: Comparison, row: Row) -> str:
    """Return a row in words: what was decided on either side."""
    sides = [
        (side.entries[index], side.states[index])
        for side, index in ((found.first, row.first), (found.second, row.second))
        if index is not None
    ]
    asked = _asked(sides[0][0])
    told = [_decided(*side) for side in sides]
    if len(told) == 2 and told[0] != told[1]:
        return f"{asked}: A {told[0]}, B {told[1]}"
    return f"{asked}: {told[0]}"


def _asked(entry: Entry) -> str:
    """Return what an entry was about, without a position: it means nothing in another history."""
    return f"{entry.event} (offered again)" if entry.offer is not None else what(entry)


def _decided(entry: Entry, state: str) -> str:
    if entry.outcome == "rejected":
        return f"rejected in {state} ({why(entry.reason or {})})"
    outcome = entry.outcome or "accepted"
    return f"{outcome} → {state}" if entry.to else f"{outcome} in {state}"


def _end_lines(found: Comparison) -> Iterator[str]:
    sides = (found.first, found.second)
    rows = [["state", *(side.states[-1] for side in sides)]]
    shown = [shown_data(side.machine, side.data) for side in sides]
    rows += [[name, *(one.get(name, "none") for one in shown)] for name in found.differing_data]
    if any(side.parked for side in sides):
        rows.append(["parked", *(", ".join(side.parked) or "none" for side in sides)])
    for counts in ("outcomes", "refused"):
        columns = [getattr(side, counts) for side in sides]
        for name in sorted({*columns[0], *columns[1]}):
            label = name if counts == "outcomes" else f"  {name}"
            rows.append([label, *(str(column.get(name, 0)) for column in columns)])
    yield from table_lines(["at the end", "A", "B"], rows)


def _json(found: Comparison) -> dict[str, Json]:
    """Return a comparison for machines."""
    return {
        "first": _side_json(found.first),
        "second": _side_json(found.second),
        "same": found.same,
        "parted": _parted_json(found, found.parted) if found.parted is not None else None,
        "differences": [_row_json(found, row) for row in found.differences],
        "differing_data": found.differing_data,
    }


def _side_json(side: Side) -> dict[str, Json]:
    return {
        "instance": side.name,
        "machine": {"name": side.machine.name, "version": side.machine.version},
        "entries": len(side.entries),
        "state": side.states[-1],
        "data": dict(side.data),
        "parked": list(side.parked),
        "outcomes": dict(side.outcomes),
        "refused": dict(side.refused),
    }


def _parted_json(found: Comparison, parted: int) -> dict[str, Json]:
    """Return how each side goes on from where they part."""
    from ..engine.inspect import entry_json

    one, two = _next(found, parted, 0), _next(found, parted, 1)
    return {
        "first": entry_json(found.first.entries[one]) if one is not None else None,
        "second": entry_json(found.second.entries[two]) if two is not None else None,
    }


def _row_json(found: Comparison, row: Row) -> dict[str, Json]:
    from ..engine.inspect import entry_json

    return {
        "first": entry_json(found.first.entries[row.first]) if row.first is not None else None,
        "second": entry_json(found.second.entries[row.second]) if row.second is not None else None,
        "told": _told(found, row),
    }
