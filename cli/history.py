"""`history`: every entry of an instance and of those tied to it, in the order of the tape."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE
from .entries import collected_line, entry_lines
from .looking import looking
from .options import DEFAULT_TAPE, AnchorOption, InstanceArgument, JsonOption, TapeOption
from .output import say, say_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..engine.links import Group, Missing

TAIL_CHARS = 12


def history(
    instance: InstanceArgument,
    alone: Annotated[
        bool, typer.Option("--alone", help="Only this instance, not those linked to it.")
    ] = False,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Show every entry of an instance: what was asked, when, and what was decided.

    Merged with the entries of the instances linked to it: by its machine's `links`, by what its
    entries raised, or by what caused them. `← 17` names the entry that one came from.
    """
    from ..engine.inspect import entry_json
    from ..engine.timeline import timeline

    with looking(tape, anchor) as inspector:
        gone = inspector.grave(instance)
        refused = "/" in instance and not inspector.named(instance)
        name = gone.stone.name if gone else instance if refused else inspector.find(instance)
        told = timeline(inspector, name, time.time_ns() // 1000, alone=alone)
        if json:
            of_it = [entry_json(gone.about) | {"instance_name": name}] if gone else []
            say_json(of_it + [one.json() for one in told.entries])
            return EXIT_DONE
        group = told.group
        linked = group.names if group and len(group.names) > 1 else []
        short = dict(zip(linked, labels(linked), strict=True))
        width = max(map(len, short.values()), default=0)
        say(name)
        if gone is not None:
            say(f"  {collected_line(gone)}")
        for line in group_lines(group, short) if group else []:
            say(line)
        for one in told.entries:
            label = f"{short[one.name]:<{width}}" if linked else None
            for line in entry_lines(one.entry, one.machine, label=label, state=one.state):
                say(line)
    return EXIT_DONE


def labels(names: Sequence[str]) -> list[str]:
    """Return a short name for each instance, different from all others: of its machine at best."""
    parts = [name.partition("/") for name in names]
    shortest = [machine.rpartition(".")[2] for machine, _, _ in parts]
    keyed = [f"{short}/{_tail(key)}" for short, (_, _, key) in zip(shortest, parts, strict=True)]
    whole = [machine for machine, _, _ in parts]
    for found in (shortest, whole, keyed):
        if len(set(found)) == len(names):
            return found
    return [one if keyed.count(one) == 1 else name for one, name in zip(keyed, names, strict=True)]


def _tail(key: str) -> str:
    return key if len(key) <= TAIL_CHARS else f"…{key[-TAIL_CHARS:]}"


def group_lines(group: Group, short: dict[str, str]) -> list[str]:
    """Return whose entries follow, and what was named and is not there."""
    width = max(map(len, short.values()), default=0)
    lines = []
    for member in group.members if short else ():
        via = f"  ({member.via})" if member.via else ""
        lines.append(f"  {short[member.name]:<{width}}  {member.name}{via}")
    return lines + missing_lines(group.missing, more=group.more)


def missing_lines(missing: Iterable[Missing], *, more: bool) -> list[str]:
    """Return what a story names and cannot show."""
    lines = [f"  {one.why}: {one.name} ({one.via})" for one in missing]
    return [*lines, "  and perhaps others: not all links were followed"] if more else lines
