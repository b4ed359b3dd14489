"""Two histories of one instance side by side: the recorded entries, and those of a what-if.

Theory of operation. A command is paired with the entry that was decided for it in the what-if, by
construction. What follows from a command (timers, commands offered again, events that the instance
raised to itself) is paired by what it is, up to the next command: the firing of one timer, the
offer of one parked command, the delivery of one raised event. What has no partner happened on one
side alone.

A what-if counts positions of its own. Here its entries are renumbered: one with a partner bears
its partner's position, so that an unchanged history has the recorded bytes again; one without gets
a position after the tape's end, which no recorded entry has.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ..fsm.decide import PARKED
from ..fsm.entry import Entry
from .replay import differing

COMMAND = "command"
FOLLOWS = "follows"
DROPPED = "dropped"
INSERTED = "inserted"

ONLY_RECORDED = "only recorded"
ONLY_HERE = "only here"
OUTCOMES = frozenset({"outcome", "state", "reason", "set", ONLY_RECORDED, ONLY_HERE})
"""What counts as another outcome; effects and raised events are told, and count for nothing."""

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the record and its partner in the what-if; either may be missing.

    `how`: a command, something that follows by itself, or the change that makes this a what-if.
    `error`: why a command could not be taken at all (code and message); nothing was decided then.
    `state_before` and `state_after` are the what-if's (None: there is no instance), the other two
    the record's. `differs` names what is not the same; of an entry without a partner, on which
    side it is.
    """

    how: str
    recorded: Entry | None
    decided: Entry | None
    error: tuple[str, str] | None
    state_before_recorded: str | None
    state_after_recorded: str | None
    state_before: str | None
    state_after: str | None
    differs: tuple[str, ...]
    different: bool
    """Whether the outcome is another one."""


class _Region:
    """A command, and what follows from it on both sides, up to the next command."""

    __slots__ = ("decided", "error", "how", "partners", "recorded", "unknown", "unpaired")

    def __init__(self, how: str, error: tuple[str, str] | None) -> None:
        self.how = how
        self.error = error
        self.recorded: list[Entry] = []
        self.decided: list[Entry] = []
        self.partners: dict[int, Entry] = {}
        """Recorded position → entry of the what-if."""
        self.unpaired: dict[Key, deque[Entry]] = {}
        """What follows and waits for a partner; the key begins with the side that it is on."""
        self.unknown: dict[int, list[Entry]] = {}
        """What follows, in the what-if, from an entry that waits for its own partner itself."""


class Pairing:
    """Makes steps of the entries of both sides, each given in its order."""

    def __init__(self, end: int, fields: frozenset[str] | None, spec: int | None) -> None:
        """`end`: the tape's last position. `fields`: the data fields to compare; None: compare
        every member of an entry. `spec`: the machine's position in the record, if it is the same.
        """
        self.steps: list[Step] = []
        self.positions: dict[int, int] = {}
        """Position in the what-if → the partner's, or one after the tape's end."""
        self.own: dict[int, int] = {}
        """Position of a recorded entry → its partner's in the what-if."""
        self._end = end
        self._fields = fields
        self._spec = spec
        self._region = _Region(FOLLOWS, None)
        self._here: str | None = None
        self._there: str | None = None

    # what comes

    def command(
        self,
        how: str,
        recorded: Entry | None,
        decided: Entry | None,
        error: tuple[str, str] | None = None,
    ) -> None:
        """Add a command: as recorded (None: inserted) and as decided (None: dropped, or error)."""
        self.close()
        region = self._region = _Region(how, error)
        if recorded is not None:
            region.recorded.append(recorded)
        if decided is not None:
            region.decided.append(decided)
        if recorded is not None and decided is not None:
            self._pair(recorded, decided)

    def recorded_followed(self, entry: Entry) -> None:
        """Add an entry that the record says followed by itself."""
        self._region.recorded.append(entry)
        key = _key(entry, entry.timer, entry.offer, entry.raised)
        partner = self._take("here", key)
        if partner is None:
            self._region.unpaired.setdefault(("there", *key), deque()).append(entry)
        else:
            self._pair(entry, partner)

    def decided_followed(self, entry: Entry) -> None:
        """Add an entry that followed by itself in the what-if."""
        self._region.decided.append(entry)
        self._find_partner(entry)

    def _find_partner(self, entry: Entry) -> None:
        """Pair an entry of the what-if, or let it wait, if need be for what it follows from."""
        source = entry.raised if entry.offer is None else entry.offer
        if source is not None and source not in self.positions:
            self._region.unknown.setdefault(source, []).append(entry)
            return
        timer = self._timer(entry.timer)
        key = _key(entry, timer, self._position(entry.offer), self._position(entry.raised))
        partner = self._take("there", key)
        if partner is None:
            self._region.unpaired.setdefault(("here", *key), deque()).append(entry)
        else:
            self._pair(partner, entry)

    def _take(self, side: str, key: Key) -> Entry | None:
        waiting = self._region.unpaired.get((side, *key))
        return waiting.popleft() if waiting else None

    def _pair(self, recorded: Entry, decided: Entry) -> None:
        self._region.partners[recorded.pos] = decided
        self.positions[decided.pos] = recorded.pos
        self.own[recorded.pos] = decided.pos
        for entry in self._region.unknown.pop(decided.pos, ()):
            self._find_partner(entry)

    # steps

    def close(self) -> None:
        """Make steps of everything that was added; each side stays in its order."""
        region = self._region
        recorded = deque(region.recorded)
        decided = deque(region.decided)
        if region.how != FOLLOWS:
            there = None if region.how == INSERTED else recorded.popleft()
            here = None if region.how == DROPPED or region.error else decided.popleft()
            self._step(region.how, there, here, region.error)
        while recorded or decided:
            if decided and decided[0].pos not in self.positions:
                self._step(FOLLOWS, None, decided.popleft())
            elif recorded and recorded[0].pos not in region.partners:
                self._step(FOLLOWS, recorded.popleft(), None)
            else:
                told = decided.popleft()
                pos = self.positions[told.pos]
                partner = next(one for one in recorded if one.pos == pos)
                recorded.remove(partner)
                self._step(FOLLOWS, partner, told)
        self._region = _Region(FOLLOWS, None)

    def _step(
        self,
        how: str,
        recorded: Entry | None,
        decided: Entry | None,
        error: tuple[str, str] | None = None,
    ) -> None:
        before_recorded, before = self._there, self._here
        if recorded is not None and recorded.to is not None:
            self._there = recorded.to
        if decided is not None:
            if decided.pos not in self.positions:
                self._end += 1
                self.positions[decided.pos] = self._end
            self._renumber(decided)
            if how == COMMAND and recorded is not None:
                # What the ledger was not told, because its own positions and keys are others.
                decided.key, decided.cause = recorded.key, recorded.cause
                decided.raised = recorded.raised
            if decided.to is not None:
                self._here = decided.to
        differs = self._differs(how, recorded, decided)
        different = bool(differs) and (self._fields is None or not OUTCOMES.isdisjoint(differs))
        states = (before_recorded, self._there, before, self._here)
        self.steps.append(Step(how, recorded, decided, error, *states, differs, different))

    def _differs(self, how: str, recorded: Entry | None, decided: Entry | None) -> tuple[str, ...]:
        if recorded is None or decided is None:
            if how in (DROPPED, INSERTED):
                return ()
            return (ONLY_HERE,) if recorded is None else (ONLY_RECORDED,)
        if self._fields is None:
            return tuple(differing(recorded, decided)) if recorded != decided else ()
        names = []
        if recorded.outcome != decided.outcome:
            names.append("outcome")
        if self._there != self._here:
            names.append("state")
        if recorded.reason != decided.reason and _said(recorded) != _said(decided):
            names.append("reason")
        if recorded.set != decided.set and self._shared(recorded) != self._shared(decided):
            names.append("set")
        if recorded.effects != decided.effects:
            names.append("effects")
        if recorded.raises != decided.raises:
            names.append("raises")
        return tuple(names)

    def _shared(self, entry: Entry) -> dict[str, object]:
        """Return what an entry sets of the fields that both machines have."""
        fields = self._fields or ()
        return {name: value for name, value in (entry.set or {}).items() if name in fields}

    # positions

    def _position(self, pos: int | None) -> int | None:
        """Return a position of the what-if as it is told; of an entry without one, negative."""
        return None if pos is None else self.positions.get(pos, -pos)

    def _timer(self, name: str | None) -> str | None:
        """Return a timer's name as it is told: that of a deferral holds a position."""
        if name is None or not name.startswith(PARKED):
            return name
        return f"{PARKED}{self._position(int(name.removeprefix(PARKED)))}"

    def _renumber(self, entry: Entry) -> None:
        """Give an entry and what it refers to the positions that are told."""
        known = self.positions
        entry.pos = known[entry.pos]
        if entry.instance is not None:
            entry.instance = known[entry.instance]
        if entry.spec is not None:
            entry.spec = self._spec
        if entry.offer is not None:
            entry.offer = known[entry.offer]
        if entry.raised is not None:
            entry.raised = known.get(entry.raised, entry.raised)
        if entry.timer is not None:
            entry.timer = self._timer(entry.timer)
            if entry.cause is not None:
                entry.cause = known[entry.cause]
        if entry.timers:
            timers = {self._timer(name) or "": at for name, at in entry.timers.items()}
            entry.timers = timers


def _key(entry: Entry, timer: str | None, offer: int | None, raised: int | None) -> Key:
    """Return by what an entry that followed is known again on the other side."""
    if timer is not None:
        return ("timer", timer)
    if offer is not None:
        return ("offer", offer)
    return ("raised", raised, entry.event)


def _said(entry: Entry) -> tuple[object, ...]:
    """Return what a refusal says that does not depend on how the machine's file puts it."""
    reason = entry.reason or {}
    return tuple(reason.get(name) for name in ("kind", "code", "name", "reason"))
