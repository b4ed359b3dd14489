"""A transition table as a log shows it: numbers, names, and which event is accepted where.

What a log line holds of a machine is a state and an event, by number or by name. A `Table` says
what they are called, whether they can occur, and what the machine would have made of them. Tables
are written down compactly (see `read`), by the tool that reads them off the exact machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SAME = "="
RECORD = "."
FINAL = "!"
UNUSED = "-"
ANY = "*"


@dataclass(frozen=True)
class Table:
    """One machine's table.

    `states` and `events` are by number. `final` states take nothing; `unused` states and events
    stand in the original's enumeration and do not occur in this machine. `rows` gives, for an event
    and a state (or ANY), the state that follows, SAME, or RECORD.
    """

    machine: str
    initial: str
    states: Mapping[int, str]
    events: Mapping[int, str]
    final: frozenset[str]
    unused: frozenset[str]
    rows: Mapping[tuple[str, str], str]

    def state(self, printed: int | str) -> str | None:
        """Return the name of a state that a log shows by number or name, or None."""
        return _named(self.states, printed)

    def event(self, printed: int | str) -> str | None:
        """Return the name of an event that a log shows by number or name, or None."""
        return _named(self.events, printed)

    def after(self, state: str, event: str) -> str | None:
        """Return the state after `event` in `state`, or None where it is not accepted there.

        An exact row comes before one for any state. A final state accepts nothing.
        """
        if state in self.final:
            return None
        to = self.rows.get((event, state), self.rows.get((event, ANY)))
        return state if to in (SAME, RECORD) else to

    def accepts(self, state: str) -> list[str]:
        """Return the events that are accepted in a state, in the order of their numbers."""
        return [name for name in self.events.values() if self.after(state, name) is not None]

    def accepted_in(self, event: str) -> list[str]:
        """Return the states that accept an event, in the order of their numbers."""
        used = [name for name in self.states.values() if name not in self.unused]
        return [name for name in used if self.after(name, event) is not None]


def read(machine: str, states: str, events: str, rows: str) -> Table:
    """Return a table from its compact form.

    States and events are `NUMBER:NAME`, the initial state first, a final one with FINAL behind it,
    one that does not occur with UNUSED. A row is `EVENT:STATE,STATE` in numbers, or `EVENT:*`, and
    then `>` and the number of the state that follows, SAME, or RECORD.
    """
    marks: dict[str, str] = {}
    state_of = _numbered(states, marks)
    event_of = _numbered(events, marks)
    table: dict[tuple[str, str], str] = {}
    for row in rows.split():
        event, _, rest = row.partition(":")
        sources, arrow, target = rest.partition(">")
        to = state_of[int(target)] if arrow else rest[-1]
        for source in (sources if arrow else rest[:-1]).split(","):
            name = ANY if source == ANY else state_of[int(source)]
            table[event_of[int(event)], name] = to
    return Table(
        machine=machine,
        initial=next(iter(state_of.values())),
        states=dict(sorted(state_of.items())),
        events=dict(sorted(event_of.items())),
        final=frozenset(name for name, mark in marks.items() if mark == FINAL),
        unused=frozenset(name for name, mark in marks.items() if mark == UNUSED),
        rows=table,
    )


def _numbered(text: str, marks: dict[str, str]) -> dict[int, str]:
    names = {}
    for word in text.split():
        number, _, name = word.partition(":")
        if name[-1] in (FINAL, UNUSED):
            marks[name[:-1]] = name[-1]
            name = name[:-1]
        names[int(number)] = name
    return names


def _named(names: Mapping[int, str], printed: int | str) -> str | None:
    if isinstance(printed, int):
        return names.get(printed)
    return printed if printed in names.values() else None
