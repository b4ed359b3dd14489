"""The entries of one story in the order in which they were recorded, each with whose it is.

Read as they are asked for, so that a history of a million entries begins at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..fsm.entry import Entry, decode
from ..fsm.machine import Machine
from ..fsm.types import Json
from .inspect import entry_json
from .links import Group, group_of

if TYPE_CHECKING:
    from .inspect import Inspector, Seen


@dataclass(frozen=True)
class Told:
    """An entry, the instance that it is about, and that one's state after it.

    Of a name that never became an instance: no state and no machine.
    """

    entry: Entry
    name: str
    state: str | None
    machine: Machine | None

    def json(self) -> dict[str, Json]:
        """Return the entry's members, and `instance_name` and `state`."""
        return {**entry_json(self.entry), "instance_name": self.name, "state": self.state}


@dataclass(frozen=True)
class Timeline:
    """A history: of which instances, and their entries. `group` is None for a name of nobody."""

    name: str
    group: Group | None
    entries: Iterator[Told]


def timeline(inspector: Inspector, name: str, now: int, *, alone: bool = False) -> Timeline:
    """Return the history of an instance merged with that of its story, or (`alone`) its own.

    `now` is what links are evaluated at. A name that never became an instance has its refused
    commands. Raises InstanceUnknown where there is not even one.
    """
    if inspector.world.instance(name) is None:
        refused = inspector.history(name)
        return Timeline(name, None, iter([Told(entry, name, None, None) for entry in refused]))
    if alone:
        seen = [inspector.show(name)]
        return Timeline(name, Group(()), _merged(inspector, seen))
    group = group_of(inspector, name, now)
    return Timeline(name, group, _merged(inspector, [member.seen for member in group.members]))


def _merged(inspector: Inspector, seen: Iterable[Seen]) -> Iterator[Told]:
    histories = [_history(inspector, one) for one in seen]
    return heapq.merge(*histories, key=lambda told: told.entry.pos)


def _history(inspector: Inspector, seen: Seen) -> Iterator[Told]:
    state = ""
    for body in inspector.bodies(seen.folded.pos):
        entry = decode(body)
        state = entry.to or state
        yield Told(entry, seen.name, state, seen.machine)
