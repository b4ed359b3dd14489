"""`list`, `show`, `history`, `explain`: look at instances, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE
from .explain import explain
from .history import history
from .looking import looking
from .options import DEFAULT_TAPE, AnchorOption, InstanceArgument, JsonOption, TapeOption
from .output import say, say_json, table

if TYPE_CHECKING:
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
