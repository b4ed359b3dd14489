"""`new`, `send` and `head` change something; `list`, `show`, `history` and `explain` look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .looking import looking
from .options import (
    DEFAULT_TAPE,
    AnchorOption,
    ByOption,
    CauseOption,
    HappenedOption,
    HeightOption,
    IdempotencyOption,
    JsonOption,
    KeyFileOption,
    TapeOption,
)
from .output import say, say_json, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engine.commands import Receipt
    from ..engine.inspect import Seen
    from ..fsm.entry import Entry
    from ..fsm.machine import Field, Machine, Parameter
    from ..fsm.types import Type

PANEL_DO = "Do"
PANEL_LOOK = "Look"

InstanceArgument = Annotated[
    str, typer.Argument(help="machine/key, or the key alone where it is the only one.")
]
PointOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="An earlier point: a position, time:2020-12-01T00:00:00Z, or height:1900.",
    ),
]


def add(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command(rich_help_panel=PANEL_DO)(new)
    app.command(rich_help_panel=PANEL_DO)(send)
    app.command(rich_help_panel=PANEL_DO)(head)
    app.command("list", rich_help_panel=PANEL_LOOK)(list_instances)
    app.command(rich_help_panel=PANEL_LOOK)(show)
    app.command(rich_help_panel=PANEL_LOOK)(history)
    app.command(rich_help_panel=PANEL_LOOK)(explain)


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
        return inspector.find(instance)


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


def refusal_lines(reason: Any) -> list[str]:
    """Return a refusal in words: what, what had to hold, what was seen, what would be accepted."""
    if not reason:
        return []
    parts = [str(reason[name]) for name in ("name", "reason") if name in reason]
    code = f" (exit code {reason['code']})" if "code" in reason else ""
    lines = [f"{': '.join(parts) or reason['kind']}{code}"]
    if "that" in reason:
        lines.append(f"needed: {reason['that']}")
    if "saw" in reason:
        lines.append(
            "saw: " + ", ".join(f"{name} = {value}" for name, value in reason["saw"].items())
        )
    if "detail" in reason:
        lines.append(str(reason["detail"]))
    if reason.get("needs"):
        lines.append("needed: " + ", or ".join(reason["needs"]))
    if "accepts" in reason:
        lines.append("accepted here: " + (", ".join(reason["accepts"]) or "nothing"))
    if reason.get("accepted_in"):
        lines.append("it is accepted in: " + ", ".join(reason["accepted_in"]))
    return lines


def effect_line(effect: Any) -> str:
    """Return an effect on one line."""
    said = ", ".join(f"{name}={value}" for name, value in effect.items() if name != "do")
    return f"{effect['do']} {said}"


def list_instances(
    machine: Annotated[str | None, typer.Option("--machine", help="Only of this machine.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only in this state.")] = None,
    at: PointOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """List the instances on the tape, now or --at a point."""
    from ..engine.inspect import parse_point

    point = parse_point(at) if at is not None else None
    with looking(tape, anchor) as inspector:
        found = [
            one
            for one in (inspector.fold_at(point) if point else inspector.instances())
            if (machine is None or one.name.partition("/")[0] == machine)
            and (state is None or one.state == state)
        ]
    if json:
        say_json(
            [
                {
                    "instance": o.name,
                    "state": o.state,
                    "seq": o.seq,
                    "created": o.pos,
                    "last": o.last,
                }
                for o in found
            ]
        )
    elif not found:
        say("no instances")
    else:
        rows = [[o.name, o.state, str(o.seq), str(o.pos), str(o.last)] for o in found]
        table(["instance", "state", "entries", "created at", "last at"], rows)
    return EXIT_DONE


def show(
    instance: InstanceArgument,
    at: PointOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Show an instance: state, data, timers, and what it accepts. Now, or --at a point."""
    from ..engine.inspect import parse_point

    point = parse_point(at) if at is not None else None
    with looking(tape, anchor) as inspector:
        seen = inspector.show(inspector.find(instance), point)
    if json:
        say_json(seen.json())
        return EXIT_DONE
    _show(seen)
    say("accepts")
    for event in seen.accepts():
        params = " ".join(param.name for param in event.params)
        say(f"  {event.name} {params}".rstrip())
    return EXIT_DONE


def _show(seen: Seen) -> None:
    folded = seen.folded
    final = " (final)" if seen.final else ""
    say(f"{folded.name}  {folded.state}{final}")
    say(f"  {seen.machine.title}, version {seen.machine.version}")
    say(f"  {folded.seq} entries, positions {folded.pos} to {folded.last}")
    say("data")
    for name, value in seen.shown().items():
        say(f"  {name} = {value}")
    for name, (kind, deadline, _) in folded.timers.items():
        say(f"timer {name} {_when(kind, deadline)}")
    for pos, event, _ in folded.parked:
        say(f"parked: {event}, since position {pos}")


def _when(kind: str, deadline: int) -> str:
    from ..fsm.moments import show_time

    return f"at height {deadline}" if kind == "height" else f"at {show_time(deadline)}"


def history(
    instance: InstanceArgument,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Show every entry of an instance: what was asked, when, and what was decided."""
    from ..engine.inspect import entry_json

    with looking(tape, anchor) as inspector:
        refused = "/" in instance and not inspector.named(instance)
        name = instance if refused else inspector.find(instance)
        entries = inspector.history(name)
        found = inspector.world.instance(name)
        machine = found.machine if found else None
    if json:
        say_json([entry_json(entry) for entry in entries])
        return EXIT_DONE
    say(name)
    for entry in entries:
        for line in entry_lines(entry, machine):
            say(line)
    return EXIT_DONE


def entry_lines(entry: Entry, machine: Machine | None = None) -> list[str]:
    """Return an entry in words; with its machine, values are shown as people write them."""
    from ..fsm.moments import show_time

    height = f"  height {entry.height}" if entry.height is not None else ""
    who = f"  by {entry.by}" if entry.by else ""
    what = f"timer {entry.timer}: {entry.event}" if entry.timer else str(entry.event)
    if entry.tape is not None:
        what = " ".join(filter(None, (entry.tape, entry.chain, entry.machine)))
    if entry.offer is not None:
        what = f"{what} (parked at {entry.offer}, offered again)"
    moved = f"  {entry.from_ or ''} → {entry.to}" if entry.to else ""
    outcome = "" if entry.tape else f"  {entry.outcome or 'accepted'}"
    lines = [f"{entry.pos:>8}  {show_time(entry.at)}{height}  {what}{outcome}{moved}{who}"]
    said = []
    if entry.params:
        event = machine and (
            machine.create if entry.create else machine.events.get(entry.event or "")
        )
        said.append("asked: " + _flat(entry.params, event.params if event else ()))
    if entry.set:
        said.append("set: " + _flat(entry.set, machine.fields.values() if machine else ()))
    said += refusal_lines(entry.reason)
    said += [f"to do: {effect_line(effect)}" for effect in entry.effects or []]
    return lines + [f"{'':>10}{line}" for line in said]


def _flat(members: Any, declared: Iterable[Field | Parameter]) -> str:
    types = {one.name: one.type for one in declared}
    said = [f"{name}={_short(_written(value, types.get(name)))}" for name, value in members.items()]
    return ", ".join(said)


def _written(value: Any, of: Type | None) -> str:
    """Return a value of an entry as people write it; what its type does not take, as it stands."""
    from ..fsm.types import ValueInvalid

    try:
        return of.show(of.coerce(value, "")) if of is not None else str(value)
    except ValueInvalid:
        return str(value)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def explain(
    instance: InstanceArgument,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Say why an instance is where it is: what led there, what was refused since, what waits.

    For each refusal: what had to hold, and what was seen instead.
    """
    from ..engine.inspect import entry_json

    with looking(tape, anchor) as inspector:
        found = inspector.explain(inspector.find(instance))
    seen = found.seen
    if json:
        refused = [entry_json(entry) for entry in found.refused]
        moved = entry_json(found.moved)
        say_json({**seen.json(), "moved": moved, "height": found.height, "refused": refused})
        return EXIT_DONE
    _show(seen)
    say("brought here by")
    for line in entry_lines(found.moved, seen.machine):
        say(line)
    if found.refused:
        say(f"refused since then ({len(found.refused)})")
        for entry in found.refused[-5:]:
            for line in entry_lines(entry, seen.machine):
                say(line)
    for name, (kind, deadline, _) in seen.folded.timers.items():
        left = (
            f", {deadline - found.height} to go"
            if kind == "height" and found.height is not None
            else ""
        )
        say(f"waits for {name} {_when(kind, deadline)}{left}")
    accepted = ", ".join(event.name for event in seen.accepts())
    say(f"accepts now: {accepted or 'nothing: it is over'}")
    return EXIT_DONE
