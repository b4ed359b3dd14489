"""Why an instance is where it is: what it and its story wait for, and what was refused meanwhile.

Everything is a reading of the tape and of the machines on it; `now` is only what ages and overdue
timers are counted from. An expectation is a non-final state's: what it says under `expects`, or
else the events that leave it. It is unmet since the instance entered that state; the oldest one
over the whole story is the first thing to look at. A state that says why it needs no deadline can
wait for long without anything being wrong: it comes behind all others; and if it expects nothing,
it is at rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..fsm.decide import EVALUATION_ERRORS, PARKED, REJECTED
from ..fsm.entry import Entry, decode
from ..fsm.errors import StatetapeError
from ..fsm.machine import REQUIRED, Event, Machine
from ..fsm.types import Json
from ..storage import projection
from .inspect import entry_json
from .links import Group, Member, Missing, group_of, moment_of

if TYPE_CHECKING:
    from .inspect import Inspector, Seen

REFUSED_MAX = 50
"""Refusals kept of each instance; all are counted, as far back as it was read."""
MISSED_MAX = 5
EFFECTS_MAX = 20
WAY_STEPS_MAX = 4


@dataclass(frozen=True)
class Since:
    """When an instance came to its state. `exact`: by this entry; else by one before it."""

    entry: Entry
    exact: bool

    def json(self, now: int) -> Json:
        """Return it for machines."""
        at = self.entry.at
        said = {"pos": self.entry.pos, "at": at, "age_us": now - at, "exact": self.exact}
        return {**said, "event": self.entry.event} if self.exact else said


@dataclass(frozen=True)
class Figure:
    """One figure of an instance's ledger; `error`: why it has no value now."""

    name: str
    type: str
    value: Json
    shown: str
    error: str | None = None


@dataclass(frozen=True)
class OpenTimer:
    """An armed timer. `left` to its deadline, in its clock's unit (None: no height is known)."""

    name: str
    event: str
    kind: str
    deadline: int
    left: int | None
    chain: str | None

    @property
    def overdue(self) -> bool:
        """Whether it should have fired by now; it fires when the engine next runs."""
        return self.left is not None and self.left <= 0


@dataclass(frozen=True)
class OpenParked:
    """A parked command, since when, the states that take it, and when it is given up (time)."""

    entry: Entry
    accepted_in: list[str]
    expires: int | None


@dataclass(frozen=True)
class OpenEffect:
    """An effect that is still to be done, and the consumers that have not acknowledged it."""

    pos: int
    effect: Json
    behind: list[str]


@dataclass(frozen=True)
class Place:
    """Where one instance of the story is, and what it waits for.

    `leaving`: the events that would leave its state. `refused`: what was not accepted since it
    came there, newest first (`refused_count` of them; `counted`: they are all). `missed`: refused
    before it came there, and accepted there; the newest of each event, those that leave first.
    """

    member: Member
    since: Since
    leaving: list[str]
    refused: list[Entry]
    refused_count: int
    counted: bool
    missed: list[Entry]
    ledger: list[Figure]
    timers: list[OpenTimer]
    parked: list[OpenParked]
    effects: list[OpenEffect]

    @property
    def seen(self) -> Seen:
        """The instance."""
        return self.member.seen

    @property
    def name(self) -> str:
        """machine/key."""
        return self.member.name

    @property
    def expects(self) -> str | None:
        """What its state says that it waits for, and from whom."""
        return self.seen.machine.states[self.seen.folded.state].expects

    @property
    def no_deadline(self) -> str | None:
        """Why its state may last for as long as it does, if the machine says so."""
        return self.seen.machine.states[self.seen.folded.state].no_deadline

    @property
    def moves(self) -> list[str]:
        """The events that would leave its state and that somebody has to send."""
        timed = {timer.event for timer in self.seen.machine.states[self.seen.folded.state].timers}
        return [event for event in self.leaving if event not in timed]

    @property
    def waits(self) -> bool:
        """Whether something should still happen to it; else it is over, or at rest."""
        return not self.seen.final and (self.expects is not None or self.no_deadline is None)


@dataclass(frozen=True)
class Explanation:
    """The places of a story, that of the instance asked about first."""

    places: list[Place]
    missing: tuple[Missing, ...]
    more: bool
    now: int
    height: int | None

    @property
    def place(self) -> Place:
        """Where the instance asked about is."""
        return self.places[0]

    @property
    def oldest(self) -> Place | None:
        """Who has waited longest in the whole story; None: nobody waits.

        Who may take as long as it likes is named only where nobody else waits.
        """
        waiting = [place for place in self.places if place.waits]
        pressing = [place for place in waiting if place.no_deadline is None]
        first = pressing or waiting
        return min(first, key=lambda place: place.since.entry.pos, default=None)

    def json(self) -> Json:
        """Return everything for machines; docs/how-to/explain-a-stuck-retrieval.md has the keys."""
        place = self.place
        oldest = self.oldest
        return {
            **place.seen.json(),
            "now": self.now,
            "height": self.height,
            "since": place.since.json(self.now),
            "moved": entry_json(place.since.entry),
            "refused": [entry_json(entry) for entry in reversed(place.refused)],
            "oldest_unmet": oldest.name if oldest else None,
            "story": [place_json(one, self.now) for one in self.places],
            "missing": [{"instance": m.name, "via": m.via, "why": m.why} for m in self.missing],
            "more": self.more,
            "accepted": accepted_json(place.seen),
        }


def explain(inspector: Inspector, name: str, now: int) -> Explanation:
    """Return why the instance `name` is where it is, at `now` (microseconds since 1970 UTC).

    Raises InstanceUnknown.
    """
    group: Group = group_of(inspector, name, now)
    cursors = projection.cursors(inspector.reader)
    places = [_place(inspector, member, now, cursors) for member in group.members]
    height = inspector.world.height(places[0].seen.machine.chain)
    return Explanation(places, group.missing, group.more, now, height)


def counterparts(inspector: Inspector, name: str, now: int) -> list[Explanation]:
    """Return the explanations, on this tape, of what may be the other side of `name` of another.

    Only what keeps a ledger: those are the sides whose counts can be compared.
    """
    key = name.partition("/")[2]
    found = [explain(inspector, one, now) for one in inspector.names.counterparts(key)]
    return [one for one in found if one.place.ledger]


def _place(inspector: Inspector, member: Member, now: int, cursors: Mapping[str, int]) -> Place:
    seen, recent = member.seen, member.recent
    entered = recent.entered
    since = Since(entered or recent.oldest, entered is not None)
    after = since.entry.pos if entered else 0
    told = [entry for entry in recent.telling if entry.outcome is not None]
    refused = [entry for entry in told if entry.pos > after]
    last = seen.folded.refused
    if last is not None and not refused:  # it lies further back than was read
        refused.append(_entry_at(inspector, last[0]))
    leaving = leaving_events(seen.machine, seen.folded.state)
    return Place(
        member,
        since,
        leaving,
        refused[:REFUSED_MAX],
        len(refused),
        recent.whole or (entered is not None and recent.telling[-1].pos <= after),
        _missed(seen, [entry for entry in told if entry.pos < after], leaving),
        _ledger(inspector, seen, now),
        _timers(inspector, seen, now),
        _parked(inspector, member),
        _effects(recent.telling, after, cursors),
    )


def _entry_at(inspector: Inspector, pos: int) -> Entry:
    return decode(next(inspector.reader.bodies([pos])), f"entry {pos}")


def leaving_events(machine: Machine, state: str) -> list[str]:
    """Return the events that leave a state; those that only its timers raise come last."""
    leaving = [
        event
        for event, rows in machine.table[state].items()
        if any(row.to not in (None, state) and not row.same for row in rows)
    ]
    timed = {timer.event for timer in machine.states[state].timers}
    return sorted(leaving, key=lambda event: event in timed)


def _missed(seen: Seen, refused: Iterable[Entry], leaving: list[str]) -> list[Entry]:
    """Return the refusals, newest first, of events that the state accepts; one of each event."""
    accepted = seen.machine.table[seen.folded.state]
    newest: dict[str, Entry] = {}
    for entry in refused:
        event = entry.event or ""
        if entry.outcome == REJECTED and event in accepted:
            newest.setdefault(event, entry)
    found = sorted(newest.values(), key=lambda entry: entry.event not in leaving)
    return found[:MISSED_MAX]


def way(machine: Machine, state: str, targets: Iterable[str]) -> list[tuple[str, str]]:
    """Return the shortest row of (event, state that it leads to) from a state to one of `targets`.

    Guards are not looked at: it is what would have to happen first, not that it would succeed.
    """
    wanted = frozenset(targets)
    waiting: deque[tuple[str, list[tuple[str, str]]]] = deque([(state, [])])
    known = {state}
    while waiting:
        here, steps = waiting.popleft()
        for event, rows in machine.table[here].items():
            for row in rows:
                if row.to is None or row.to in known:
                    continue
                known.add(row.to)
                there = [*steps, (event, row.to)]
                if row.to in wanted:
                    return there
                if len(there) < WAY_STEPS_MAX:
                    waiting.append((row.to, there))
    return []


def _ledger(inspector: Inspector, seen: Seen, now: int) -> list[Figure]:
    if not seen.machine.ledger:
        return []
    data = seen.machine.thaw(seen.folded.data)
    moment = moment_of(inspector, seen, now)
    figures = []
    for name, expression in seen.machine.ledger:
        of = expression.type
        try:
            value = expression.call(data, {}, moment)
            figure = Figure(name, of.name, of.to_json(value), of.show(value))
        except EVALUATION_ERRORS as error:
            why = error.message if isinstance(error, StatetapeError) else "cannot be computed"
            figure = Figure(name, of.name, None, "?", why)
        figures.append(figure)
    return figures


def _timers(inspector: Inspector, seen: Seen, now: int) -> list[OpenTimer]:
    machine = seen.machine
    events = {timer.name: timer.event for timer in machine.states[seen.folded.state].timers}
    found = []
    for name, (kind, deadline, _) in seen.folded.timers.items():
        if name.startswith(PARKED):
            continue
        clock = now if kind == "at" else inspector.world.height(machine.chain)
        left = None if clock is None else deadline - clock
        found.append(OpenTimer(name, events.get(name, ""), kind, deadline, left, machine.chain))
    return sorted(found, key=lambda timer: (timer.kind, timer.deadline, timer.name))


def _parked(inspector: Inspector, member: Member) -> list[OpenParked]:
    folded = member.seen.folded
    known = {entry.pos: entry for entry in member.recent.telling}
    found = []
    for pos, event, _ in folded.parked:
        expiry = folded.timers.get(f"{PARKED}{pos}")
        entry = known.get(pos) or _entry_at(inspector, pos)
        accepted_in = member.seen.machine.accepted_in(event)
        found.append(OpenParked(entry, accepted_in, expiry[1] if expiry else None))
    return found


def _effects(telling: Iterable[Entry], since: int, cursors: Mapping[str, int]) -> list[OpenEffect]:
    """Return the effects since a position that some consumer, or nobody at all, has done."""
    found = []
    for entry in telling:
        behind = [name for name, pos in cursors.items() if pos < entry.pos]
        if entry.effects and entry.pos >= since and (behind or not cursors):
            found += [OpenEffect(entry.pos, effect, behind) for effect in entry.effects]
        if len(found) >= EFFECTS_MAX:
            break
    return found


def place_json(place: Place, now: int) -> Json:
    """Return a place for machines."""
    return {
        "instance": place.name,
        "via": place.member.via,
        "state": place.seen.folded.state,
        "final": place.seen.final,
        "waits": place.waits,
        "since": place.since.json(now),
        "expects": place.expects,
        "no_deadline": place.no_deadline,
        "events": place.leaving,
        "refused": [entry_json(entry) for entry in reversed(place.refused)],
        "refused_count": place.refused_count,
        "counted": place.counted,
        "missed": [entry_json(entry) for entry in place.missed],
        "ledger": [
            {"name": one.name, "type": one.type, "value": one.value, "shown": one.shown}
            | ({"error": one.error} if one.error else {})
            for one in place.ledger
        ],
        "timers": [
            {
                "name": one.name,
                "event": one.event,
                one.kind: one.deadline,
                "left": one.left,
                "overdue": one.overdue,
            }
            for one in place.timers
        ],
        "parked": [
            {
                "pos": one.entry.pos,
                "event": one.entry.event,
                "age_us": now - one.entry.at,
                "accepted_in": one.accepted_in,
                "expires": one.expires,
            }
            for one in place.parked
        ],
        "effects": [
            {"pos": one.pos, "effect": one.effect, "behind": one.behind} for one in place.effects
        ],
    }


def accepted_json(seen: Seen) -> Json:
    """Return what an instance accepts: each event's parameters, and where it leads."""
    return [
        {
            "event": event.name,
            "params": [
                {"name": param.name, "type": param.type.name}
                | ({} if param.default is REQUIRED else {"default": _default(event, param.name)})
                for param in event.params
            ],
            "leads": leads(seen.machine, seen.folded.state, event.name),
        }
        for event in seen.accepts()
    ]


def _default(event: Event, name: str) -> Json:
    param = event.parameter(name)
    if param is None or param.default is None:
        return None
    return param.type.to_json(param.default)


def leads(machine: Machine, state: str, event: str) -> list[dict[str, str | None]]:
    """Return where an event leads from a state: `to` (None: it stays) and `when`, row by row."""
    return [
        {
            "to": state if row.same else row.to,
            "when": row.when.text if row.when is not None else None,
        }
        for row in machine.table[state][event]
    ]
