"""A transition table as a log shows it: numbers, names, and which event is accepted where.

What a log line holds of a machine is a state and an event, by number or by name. A `Table` says
what they are called, whether they can occur, and what the machine would have made of them. It is
read off the exact machine, so nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...fsm.machine import Machine


class Table:
    """One machine's table.

    `states` and `events` are by number, in its order. `final` states take nothing; `unused` states
    and events stand in the original's enumeration and do not occur in this machine. A table may be
    that of an exact machine but for rows that it `lacks` (state and event); it has a name then.
    """

    def __init__(
        self, exact: Machine, machine: str = "", lacks: Collection[tuple[str, str]] = ()
    ) -> None:
        unused = exact.spec.unused
        self.exact = exact
        self.machine = machine or exact.name
        self.lacks = frozenset(lacks)
        self.initial = exact.initial
        self.states = _numbered(
            {name: state.code for name, state in exact.states.items()}, unused.states
        )
        self.events = _numbered(
            {name: event.code for name, event in exact.events.items()}, unused.events
        )
        self.unused = frozenset([*unused.states.values(), *unused.events.values()])
        self.final = frozenset(name for name, state in exact.states.items() if state.final)

    def state(self, printed: int | str) -> str | None:
        """Return the name of a state that a log shows by number or name, or None."""
        return _named(self.states, printed)

    def event(self, printed: int | str) -> str | None:
        """Return the name of an event that a log shows by number or name, or None."""
        return _named(self.events, printed)

    def after(self, state: str, event: str) -> str | None:
        """Return the state after `event` in `state`, or None where it is not accepted there."""
        rows = self.exact.table.get(state, {}).get(event)
        if not rows or (state, event) in self.lacks:
            return None
        return rows[0].to or state

    def accepts(self, state: str) -> list[str]:
        """Return the events that are accepted in a state, in the order of their numbers."""
        return [name for name in self.events.values() if self.after(state, name) is not None]

    def accepted_in(self, event: str) -> list[str]:
        """Return the states that accept an event, in the order of their numbers."""
        return [name for name in self.states.values() if self.after(name, event) is not None]


def _numbered(codes: Mapping[str, int | None], unused: Mapping[int, str]) -> dict[int, str]:
    own = {code: name for name, code in codes.items() if code is not None}
    return dict(sorted({**own, **unused}.items()))


def _named(names: Mapping[int, str], printed: int | str) -> str | None:
    if isinstance(printed, int):
        return names.get(printed)
    return printed if printed in names.values() else None
