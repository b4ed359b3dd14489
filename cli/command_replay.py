"""`replay`: decide what is recorded again, as it was or with changes. It never writes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .looking import looking
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, TapeOption
from .output import UsageInvalid, progress, say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.inspect import Inspector
    from ..engine.playing import Insertion
    from ..engine.replay import Difference, Report
    from ..engine.whatif import Changes
    from ..fsm.machine import Machine

WANTED = "write --insert 'POS EVENT PARAM=VALUE …' in quotes; POS is a position, or `end`"


def add(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(rich_help_panel="Decide and prove")(replay)


def replay(
    instance: Annotated[
        str | None, typer.Argument(help="Only this instance; without, the whole tape.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(help="Only up to a position, time:2020-12-01T00:00:00Z, or height:1900."),
    ] = None,
    step: Annotated[
        bool, typer.Option("--step", help="Show entry by entry what was asked and decided.")
    ] = False,
    with_spec: Annotated[
        str | None,
        typer.Option(metavar="MACHINE", help="Decide with another machine: its name or its file."),
    ] = None,
    drop: Annotated[
        list[int] | None, typer.Option(metavar="POS", help="Leave the command at POS out.")
    ] = None,
    insert: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'POS EVENT [PARAM=VALUE]...'",
            help="Send an event before the entry at POS, or after the last (POS: end).",
        ),
    ] = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Decide every entry again and compare every byte; or, with changes, ask what if.

    Each is decided from its recorded inputs alone. With changes: what would have become of an
    INSTANCE with another machine, without a command, or with one more. Timers, parked commands and
    what it raises to itself follow as they would have; what it raises to others goes nowhere, and
    nothing is written to the tape.

    statetape replay 4711 --drop 17 --insert '19 ProviderEventComplete'

    Exits with 1 if any outcome differs, and tells the first difference and both ends.
    """
    changed = step or any(one is not None for one in (until, with_spec, drop, insert))
    if instance is None and changed:
        why = "--until, --step, --with-spec, --drop and --insert replay one instance: name it"
        raise UsageInvalid(why, hint="`statetape list` shows the instances")
    with looking(tape, anchor) as inspector:
        if not changed:
            return _told(_replayed(inspector, instance), as_json=json)
        from ..engine.whatif import what_if
        from .whatif import what_if_json, what_if_lines

        name = inspector.find(instance or "")
        changes = _changes(inspector, name, until, with_spec, drop or (), insert or ())
        found = what_if(inspector, name, changes)
        if json:
            say_json(what_if_json(found, changes, steps=step))
        else:
            for line in what_if_lines(found, changes, steps=step):
                say(line)
    return EXIT_DONE if found.same else EXIT_FINDING


def _changes(
    inspector: Inspector,
    name: str,
    until: str | None,
    with_spec: str | None,
    drop: Sequence[int],
    insert: Sequence[str],
) -> Changes:
    """Read what is to be otherwise; parameters with the types of the machine that decides."""
    from ..engine import catalogue
    from ..engine.inspect import parse_point
    from ..engine.whatif import Changes

    machine = catalogue.find(with_spec) if with_spec is not None else None
    recorded = inspector.world.instance(name)
    deciding = machine or (recorded.machine if recorded else None)
    return Changes(
        machine=machine,
        drop=tuple(dict.fromkeys(drop)),
        insert=tuple(_insertion(text, deciding) for text in insert),
        until=parse_point(until) if until is not None else None,
    )


def _insertion(text: str, machine: Machine | None) -> Insertion:
    from ..engine.playing import Insertion
    from ..engine.whatif import ChangeInvalid
    from .values import read

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ChangeInvalid(f"{text!r}: {error}", hint=WANTED) from None
    if len(words) < 2 or not (words[0] == "end" or (words[0].isascii() and words[0].isdigit())):
        raise ChangeInvalid(f"{text!r} is no position and event", hint=WANTED)
    place, event, *rest = words
    declared = machine.events.get(event) if machine else None
    if declared is not None:
        params = read(declared, rest)
    else:  # refused by the machine, with these as they stand
        params = {name: value for name, _, value in (word.partition("=") for word in rest)}
    return Insertion(None if place == "end" else int(place), event, params)


def _replayed(inspector: Inspector, instance: str | None) -> Report:
    """Replay the whole tape or one instance, unchanged."""
    from ..engine.collection import stones_of
    from ..engine.replay import Collected, Replayer

    if instance is not None:
        return Replayer(alone=True).run(inspector.replay_bodies(inspector.find(instance)))
    size = inspector.reader.stored_size()
    with progress("replaying", size) as report:
        collected = Collected(stones_of(inspector.reader))
        return Replayer(collected=collected).run(inspector.reader.read(), report)


def _told(found: Report, *, as_json: bool) -> int:
    """Print what an unchanged replay found."""
    difference = found.difference
    if as_json:
        said: dict[str, Any] = {"entries": found.entries, "notes": found.notes}
        if difference is not None:
            decided = difference.decided.decode() if difference.decided else None
            said["difference"] = {
                "pos": difference.pos,
                "why": difference.why,
                "recorded": difference.recorded.decode(),
                "decided": decided,
            }
        say_json(said)
    else:
        for note in found.notes:
            say(f"note: {note}")
        if difference is None:
            say(f"{found.entries} entries replayed, every byte as recorded")
        else:
            _show_difference(difference)
    return EXIT_DONE if difference is None else EXIT_FINDING


def _show_difference(difference: Difference) -> None:
    say(f"position {difference.pos}: {difference.why}")
    say(f"  recorded: {difference.recorded.decode() or 'nothing'}")
    say(f"  decided:  {difference.decided.decode() if difference.decided else 'nothing'}")
