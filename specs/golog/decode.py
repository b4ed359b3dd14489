"""Which machine wrote a line "Invalid transition in queue, state `13`, event `10`".

The line names no machine, and its numbers mean something in every table. Theory of operation: every
table that may have run at that time is asked what the pair is to it, and is excluded where it could
not have written the line. What remains is ranked. An excluded candidate says why; nothing is
guessed in silence.

A table is excluded where
  * it did not run at that time, or not in the program that wrote the log;
  * the program prints its states by name and the line has a number, or the other way round;
  * it has no such state or event, or the state never occurs in it;
  * it does not declare the event: sending it would have failed, with no such line;
  * the state is final: the line would have said that the machine is terminated;
  * it ACCEPTS the event there;
  * nothing ever sends that event.
Where the first two exclude it the table is not read, so the pair has no names there.

What remains is `possible`, or `unlikely` where only the entry of another state raises the event, or
where the program hardly runs that machine. The rules are data, with their reasons: `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...fsm.importing import Machines
from ...fsm.moments import show_time
from .rules import LACKING, RULES, Rule
from .table import Table

POSSIBLE = "possible"
UNLIKELY = "unlikely"
EXCLUDED = "excluded"
_RANKS = {POSSIBLE: 0, UNLIKELY: 1, EXCLUDED: 2}

ALIASES = {
    "DealStatusWaitingForLastBlocks": "DealStatusClientWaitingForLastBlocks",
    "ProviderEventCleanupFinished": "ProviderEventFinalized",
}
"""Names as printed, where they are not the names in the table."""


@dataclass(frozen=True)
class Candidate:
    """What a pair is to one machine, and how likely that is. `why` gives the reasons in words.

    `table` is None where it need not be asked. `accepts`: what the state would have taken.
    `accepted_in`: where the event would have been.
    """

    machine: str
    table: Table | None
    state: str | None
    event: str | None
    verdict: str
    why: tuple[str, ...]

    @property
    def accepts(self) -> list[str]:
        """The events that the state accepts."""
        return self.table.accepts(self.state) if self.table and self.state else []

    @property
    def accepted_in(self) -> list[str]:
        """The states that accept the event."""
        return self.table.accepted_in(self.event) if self.table and self.event else []

    def __str__(self) -> str:
        """`machine: state/event: why`, as far as they have names."""
        pair = f"{self.state}/{self.event}: " if self.state and self.event else ""
        return f"{self.machine}: {pair}{'; '.join(self.why) or self.verdict}"


class Decoder:
    """Says what machine wrote a line, by the tables of exact machines; each is read when needed."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._tables: dict[str, Table] = {}

    def table(self, machine: str) -> Table:
        """Return the table of a machine that the rules name."""
        if machine not in self._tables:
            exact, *lacks = LACKING.get(machine, (machine,))
            self._tables[machine] = Table(self._machines(exact), machine, lacks)
        return self._tables[machine]

    def decode(
        self,
        state: int | str,
        event: int | str,
        when: int | None = None,
        program: str | None = None,
    ) -> list[Candidate]:
        """Return what a refused pair can have been, the likeliest first, the excluded ones last.

        state, event: numbers or names, as printed. when: microseconds since 1970 UTC, if known.
        program: POP or UPSTREAM, if known.
        """
        pair = _printed(state), _printed(event)
        found = [self._judge(rule, *pair, when, program) for rule in RULES]
        unique: dict[str, Candidate] = {}
        for candidate in sorted(found, key=lambda one: _RANKS[one.verdict]):
            unique.setdefault(candidate.machine, candidate)
        return list(unique.values())

    def _judge(
        self, rule: Rule, state: int | str, event: int | str, when: int | None, program: str | None
    ) -> Candidate:
        against = [*_where(rule, when, program), *_printing(rule, state)]
        if against:
            return Candidate(rule.machine, None, None, None, EXCLUDED, tuple(against))
        table = self.table(rule.machine)
        named_state = table.state(state)
        named_event = table.event(event)
        if named_state is None:
            against.append(f"it has no state {state}")
        if named_event is None:
            against.append(f"it has no event {event}")
        if named_state is not None and named_event is not None:
            against += _meaning(rule, table, named_state, named_event)
        doubts = _doubts(rule, named_state, named_event)
        verdict = EXCLUDED if against else UNLIKELY if doubts else POSSIBLE
        why = tuple(against or doubts)
        return Candidate(rule.machine, table, named_state, named_event, verdict, why)

    def undeclared(self, printed: str) -> list[str]:
        """Return what an event that no machine took can have been, by machine."""
        found: dict[str, None] = {}
        for rule in RULES:
            table = self.table(rule.machine)
            name = table.event(_printed(printed))
            if name is not None and name in table.unused:
                found[f"{rule.machine}: {name}"] = None
        return list(found)


def _printed(value: int | str) -> int | str:
    if isinstance(value, str) and value.isdecimal() and len(value) <= 9:
        return int(value)
    return ALIASES.get(value, value) if isinstance(value, str) else value


def _where(rule: Rule, when: int | None, program: str | None) -> list[str]:
    against = []
    if program is not None and program not in rule.programs:
        against.append(f"{program} does not run it")
    if when is not None and rule.until is not None and when >= rule.until:
        against.append(f"it ran until {show_time(rule.until)}")
    if when is not None and rule.since is not None and when < rule.since:
        against.append(f"it ran from {show_time(rule.since)} on")
    return against


def _printing(rule: Rule, state: int | str) -> list[str]:
    if rule.named and isinstance(state, int):
        return ["its states are printed by name"]
    if not rule.named and isinstance(state, str):
        return ["its states are printed as numbers"]
    return []


def _meaning(rule: Rule, table: Table, state: str, event: str) -> list[str]:
    """Return why a table's own rules exclude a pair."""
    against = []
    if state in table.unused:
        against.append("it is never in that state")
    if event in table.unused:
        against.append("it does not declare that event: sending it fails before it is queued")
    if state in table.final:
        against.append("that state is final: the line would say that the machine is terminated")
    to = table.after(state, event)
    if to is not None:
        against.append(f"it accepts that: {'nothing moves' if to == state else f'to {to}'}")
    if event in rule.never:
        against.append(rule.never[event])
    return against


def _doubts(rule: Rule, state: str | None, event: str | None) -> list[str]:
    doubts = [rule.rare] if rule.rare else []
    raising = rule.raised_in.get(event or "", (state,))
    if state not in raising:
        doubts.append(f"only the entry of {' or '.join(map(str, raising))} raises it")
    return doubts
