"""`list`, `show`, `history`, `explain`: look at instances, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE
from .entries import collected_line
from .explain import explain
from .history import history
from .looking import looking
from .options import DEFAULT_TAPE, AnchorOption, InstanceArgument, JsonOption, TapeOption
from .output import say, say_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.collection import Grave
    from ..engine.inspect import Seen

PANEL = "Look"
PointOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="An earlier point: a position, time:2020-12-01T00:00:00Z, or height:1900.",
    ),
]


def add(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command("list", rich_help_panel=PANEL)(list_instances)
    app.command(rich_help_panel=PANEL)(show)
    app.command(rich_help_panel=PANEL)(history)
    app.command(rich_help_panel=PANEL)(explain)


def list_instances(
    machine: Annotated[str | None, typer.Option("--machine", help="Only of this machine.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only in this state.")] = None,
    at: PointOption = None,
    collected: Annotated[
        bool, typer.Option("--collected", help="Those that were collected (see gc), instead.")
    ] = False,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """List the instances on the tape, now or --at a point; or those that were --collected."""
    from ..engine.inspect import parse_point

    point = parse_point(at) if at is not None else None
    with looking(tape, anchor) as inspector:
        if collected:
            return _list_gone(inspector.graves(), machine, state, as_json=json)
        found = [
            one
            for one in (inspector.fold_at(point) if point else inspector.instances())
            if (machine is None or one.name.partition("/")[0] == machine)
            and (state is None or one.state == state)
        ]
        gone = inspector.world.any_gone
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
    if gone and not json:
        say("others were collected: `statetape list --collected` shows them")
    return EXIT_DONE


def _list_gone(
    graves: Sequence[Grave], machine: str | None, state: str | None, *, as_json: bool
) -> int:
    found = [
        one
        for one in graves
        if machine in (None, one.stone.name.partition("/")[0]) and state in (None, one.stone.state)
    ]
    if as_json:
        say_json([one.json() for one in found])
    elif not found:
        say("no instances")
    else:
        rows = [
            [stone.name, stone.state, str(stone.seq), str(stone.pos), str(entry.pos)]
            for stone, entry in ((one.stone, one.entry) for one in found)
        ]
        table(["instance", "state", "entries", "created at", "collected at"], rows)
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
        gone = inspector.grave(instance)
        if gone is not None:
            return _show_gone(gone, as_json=json)
        seen = inspector.show(inspector.find(instance), point)
        held = inspector.world.holds.get(seen.name)
    if json:
        hold = {"hold": {"pos": held.pos, "why": held.why, "by": held.by}} if held else {}
        say_json(seen.json() | hold)
        return EXIT_DONE
    _show(seen)
    if held is not None:
        by = f" by {held.by}" if held.by else ""
        say(f"on hold since position {held.pos}{by}: {held.why}")
    say("accepts")
    for event in seen.accepts():
        params = " ".join(param.name for param in event.params)
        say(f"  {event.name} {params}".rstrip())
    return EXIT_DONE


def _show_gone(gone: Grave, *, as_json: bool) -> int:
    """Show what is left of an instance that was collected."""
    stone = gone.stone
    if as_json:
        say_json(gone.json())
        return EXIT_DONE
    say(f"{stone.name}  {stone.state}, when it was collected")
    say(f"  {collected_line(gone)}")
    say(f"  {stone.seq} entries from position {stone.pos} on; none of them can be read here")
    say(f"  digest {stone.digest}")
    return EXIT_DONE


def _show(seen: Seen) -> None:
    from ..fsm.decide import PARKED

    folded = seen.folded
    final = " (final)" if seen.final else ""
    say(f"{folded.name}  {folded.state}{final}")
    say(f"  {seen.machine.title}, version {seen.machine.version}")
    say(f"  {folded.seq} entries, positions {folded.pos} to {folded.last}")
    say("data")
    for name, value in seen.shown().items():
        say(f"  {name} = {value}")
    timers = dict(folded.timers)
    given_up = {pos: timers.pop(f"{PARKED}{pos}", None) for pos, _, _ in folded.parked}
    for name, (kind, deadline, _) in timers.items():
        say(f"timer {name} {_when(kind, deadline)}")
    for pos, event, _ in folded.parked:
        until = given_up[pos]
        more = f", given up {_when(*until[:2])}" if until else ""
        say(f"parked: {event}, since position {pos}{more}")


def _when(kind: str, deadline: int) -> str:
    from ..fsm.moments import show_time

    return f"at height {deadline}" if kind == "height" else f"at {show_time(deadline)}"
