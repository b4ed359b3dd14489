"""`new`, `send` and `head`: commands that leave something on the tape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .entries import effect_line, refusal_lines
from .options import (
    DEFAULT_TAPE,
    AnchorOption,
    ByOption,
    CauseOption,
    HappenedOption,
    HeightOption,
    IdempotencyOption,
    InstanceArgument,
    JsonOption,
    KeyFileOption,
    TapeOption,
)
from .output import say, say_json

if TYPE_CHECKING:
    from ..engine.commands import Receipt
    from ..fsm.entry import Entry

PANEL = "Do"


def add(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command(rich_help_panel=PANEL)(new)
    app.command(rich_help_panel=PANEL)(send)
    app.command(rich_help_panel=PANEL)(head)


def new(
    machine: Annotated[str, typer.Argument(help="A bundled machine's name, or a machine's file.")],
    instance_key: Annotated[str, typer.Argument(metavar="KEY", help="The new instance's key.")],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="What it begins with.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", help="Take over an instance in mid-life: its state, its data."),
    ] = None,
    key: IdempotencyOption = None,
    by: ByOption = None,
    cause: CauseOption = None,
    at: HappenedOption = None,
    height: HeightOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Begin an instance of a machine, and the tape too if there is none yet.

    Amounts, times and addresses are written as people write them:

    statetape new filecoin.payment_channel f0100 id=f0100 from=f0101 to=f0102 value="1.5 FIL"

    A map's entry is FIELD.KEY=VALUE; lists and maps may be JSON. `statetape spec show MACHINE` says
    what a machine takes.
    """
    from ..engine import catalogue
    from ..engine.engine import Engine
    from ..fsm.moments import parse_time
    from .values import read

    found = catalogue.find(machine)
    params = read(found.create if state is None else found.adopt, fields or [])
    happened = None if at is None else parse_time(at, "--at")
    with Engine.open(tape, anchor=anchor, key=key_file) as engine:
        options = {"key": key, "by": by, "cause": cause, "at": happened, "height": height}
        receipt = engine.create(found, instance_key, params, **options, state=state)
    return _told(receipt, as_json=json)


def send(
    instance: InstanceArgument,
    event: Annotated[str, typer.Argument(help="The event's name.")],
    params: Annotated[
        list[str] | None, typer.Argument(metavar="[PARAM=VALUE]...", help="Its parameters.")
    ] = None,
    key: IdempotencyOption = None,
    by: ByOption = None,
    cause: CauseOption = None,
    at: HappenedOption = None,
    height: HeightOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Send an event to an instance. A refused event is recorded too, and exits with 1.

    statetape send f0100 settle caller=f0101 --key settle-1
    """
    from ..engine.engine import Engine
    from ..fsm.moments import parse_time

    happened = None if at is None else parse_time(at, "--at")
    with Engine.open(tape, anchor=anchor, key=key_file, create=False) as engine:
        name = _known_name(engine, instance)
        values = _parameters(engine, name, event, params or [])
        options = {"key": key, "by": by, "cause": cause, "at": happened, "height": height}
        receipt = engine.send(name, event, values, **options)
    return _told(receipt, as_json=json)


def _known_name(engine: Any, instance: str) -> str:
    """Return the full name; a full name of no instance is sent as it is, and so recorded."""
    from ..engine.inspect import Inspector

    if engine.world.instance(instance) is not None:
        return instance
    with Inspector(engine.tape) as inspector:
        if "/" in instance and not inspector.named(instance):
            return instance
        gone = inspector.grave(instance)
        return inspector.find(instance) if gone is None else gone.stone.name


def _parameters(engine: Any, name: str, event: str, words: list[str]) -> dict[str, Any]:
    """Read the words with the event's types; an event that the machine lacks gets them as text."""
    from .values import read

    instance = engine.world.instance(name)
    declared = instance.machine.events.get(event) if instance else None
    if declared is not None:
        return read(declared, words)
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def head(
    chain: Annotated[str, typer.Argument(help="The chain's name, e.g. filecoin.")],
    height: Annotated[int, typer.Argument(help="The newest block height seen on it.")],
    by: ByOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Record a chain's head. Every timer at or below it fires, in the same commit.

    Heights only rise: a lower head is recorded as a reorganisation, and changes nothing.
    """
    from ..engine.engine import Engine
    from ..engine.inspect import entry_json
    from ..fsm.entry import decode

    with Engine.open(tape, anchor=anchor, key=key_file) as engine:
        before = engine.tape.size
        receipt = engine.observe(chain, height, by=by)
        fired = [decode(body) for body in engine.tape.read(before + 1)]
        fired = [entry for entry in fired if entry.timer is not None]
        names = {entry.pos: _instance_name(engine, entry) for entry in fired}
    if json:
        said = {"chain": chain, "height": height, "pos": receipt.pos, "outcome": receipt.outcome}
        say_json({**said, "reason": receipt.reason, "fired": [entry_json(one) for one in fired]})
        return EXIT_DONE
    if receipt.outcome == "duplicate":
        say(f"{chain} was at {height} already (position {receipt.pos})")
    elif receipt.reason:
        say(f"{chain} showed a lower head, {height}: recorded at position {receipt.pos}")
    else:
        say(f"{chain} is at {height} (position {receipt.pos})")
    for entry in fired:
        moved = f", {entry.from_} → {entry.to}" if entry.to else ""
        say(f"  fired {entry.timer} of {names[entry.pos]}: {entry.event}{moved}")
    return EXIT_DONE


def _instance_name(engine: Any, entry: Entry) -> str:
    instance = engine.world.instance_at(entry.instance)
    return instance.name if instance else f"instance {entry.instance}"


def _told(receipt: Receipt, *, as_json: bool) -> int:
    """Print what became of a command; a refusal is a finding."""
    import msgspec

    status = EXIT_DONE if receipt.accepted or _harmless(receipt) else EXIT_FINDING
    if as_json:
        say_json({k: v for k, v in msgspec.structs.asdict(receipt).items() if v is not None})
        return status
    first, *rest = receipt_lines(receipt)
    say(f"{receipt.instance}  {first}")
    for line in rest:
        say(f"  {line}")
    return status


def receipt_lines(receipt: Receipt) -> list[str]:
    """Return what became of a command, in words."""
    place = f"position {receipt.pos}" + (f", seq {receipt.seq}" if receipt.seq else "")
    state = f", {receipt.state}" if receipt.state else ""
    lines = [f"{receipt.outcome}: {place}{state}"]
    if receipt.first is not None:
        lines.append(f"the first command with this key was {receipt.first}; nothing was appended")
    lines += refusal_lines(receipt.reason)
    return lines + [f"to do: {effect_line(effect)}" for effect in receipt.effects or []]


def _harmless(receipt: Receipt) -> bool:
    return (receipt.first or receipt.outcome) in ("deferred", "ignored")
