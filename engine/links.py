"""Which instances belong to one story: those tied to an instance by declaration or by causation.

Theory of operation.

L1  What a machine declares under `links` is followed on the instance's data as it is now: a link
    to one instance from every instance of the story, a link to many (a list) only from the one
    that the story is about. Who names many serves many: a channel's other deals are no part of
    this deal's story.
    Who has the same key under another machine and links here belongs too (a deal's log, say).
L2  Causation is followed entry by entry. Of the instance that the story is about, all entries
    count; of the others those that an entry of the story caused or raised, or was caused or raised
    by. So a payment channel that serves a hundred deals leads from each of them to itself, and
    not to the ninety-nine others.
L3  Where an instance's creation was caused by another instance, that one's creation counts too: a
    story goes back to where it began.
L4  Everything is bounded: how many instances, how far back each is read, how many causes are
    looked up. What is near and new comes before what is far and old, in the same order each time;
    that instances were left out is said (`more`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..fsm.composite import List
from ..fsm.decide import EVALUATION_ERRORS, Moment
from ..fsm.entry import Entry, decode
from ..fsm.errors import SpecError
from ..storage.errors import EntryCollected
from .collection import graves_at
from .recent import Recent

if TYPE_CHECKING:
    from .inspect import Inspector, Seen
    from .world import Instance

MEMBERS_MAX = 64
MISSING_MAX = 64
NOT_THERE = "not on this tape"
OWN_READ_MAX = 40_000
"""Entries read back of the instance that the story is about, to when it came to its state."""
OWN_KEPT_MAX = 2_000
"""Of these, the last ones that say something: they are followed."""
OTHERS_READ_MAX = 20_000
"""Entries read back of all the others together, each at most OTHER_READ_MAX."""
OTHER_READ_MAX = 4_000
OTHER_READ_MIN = 16
OTHER_KEPT_MAX = 200
CAUSES_MAX = 2_000
PARTS_MAX = 200
"""Machines looked through for one that has the same key."""


@dataclass(frozen=True)
class Member:
    """An instance of the story. `via` says what ties it to it; None: it is the one asked about."""

    seen: Seen
    recent: Recent
    via: str | None

    @property
    def name(self) -> str:
        """machine/key."""
        return self.seen.name


@dataclass(frozen=True)
class Missing:
    """An instance that something of the story names, and that cannot be shown: why not."""

    name: str
    via: str
    why: str


@dataclass(frozen=True)
class Group:
    """The instances of one story, the one asked about first. `more`: there may be others."""

    members: tuple[Member, ...]
    missing: tuple[Missing, ...] = ()
    more: bool = False

    @property
    def names(self) -> list[str]:
        """The names of its instances."""
        return [member.name for member in self.members]


def collected(pos: int) -> str:
    """Return why an instance cannot be shown whose collection the entry at `pos` records."""
    return f"collected (position {pos})"


def moment_of(inspector: Inspector, seen: Seen, now: int) -> Moment:
    """Return the moment that expressions about an instance are evaluated at."""
    machine = seen.machine
    height = inspector.world.height(machine.chain)
    key = seen.name.partition("/")[2]
    return Moment(now, height, key, seen.folded.state, machine.chain)


def declared(
    inspector: Inspector, seen: Seen, now: int, *, lists: bool = True
) -> Iterator[tuple[str, str]]:
    """Yield (link's name, instance's name) of what a machine's `links` give now.

    `lists`: also of those that may name many. A link that cannot be evaluated, say for want of a
    height, ties nothing.
    """
    machine = seen.machine
    if not machine.links:
        return
    data = machine.thaw(seen.folded.data)
    moment = moment_of(inspector, seen, now)
    for link, expression in machine.links:
        if isinstance(expression.type, List) and not lists:
            continue
        try:
            value = expression.call(data, {}, moment)
        except EVALUATION_ERRORS:
            continue
        for name in _texts(value):
            yield link, name


def _texts(value: Any) -> Iterable[str]:
    values = (value,) if isinstance(value, str) else value or ()
    return [one for one in values if one]


def group_of(inspector: Inspector, name: str, now: int) -> Group:
    """Return the instances of the story of the instance `name`. Raises InstanceUnknown."""
    return _Search(inspector, now).run(inspector.show(name))


class _Search:
    """One search, breadth first: instances (no entry) and entries wait in one queue."""

    def __init__(self, inspector: Inspector, now: int) -> None:
        self.inspector = inspector
        self.now = now
        self.members: dict[int, Member] = {}
        self.missing: list[Missing] = []
        self.more = False
        self._own: frozenset[int] = frozenset()
        self._story: set[int] = set()
        self._waiting: deque[tuple[int, Entry | None]] = deque()
        self._depending: dict[int, list[tuple[int, Entry]]] = {}
        self._names: set[str] = set()
        self._read_left = OTHERS_READ_MAX
        self._causes_left = CAUSES_MAX
        self._lost: dict[int, str] = {}
        """Positions that something of the story names and that were collected, and by what tie."""

    def run(self, seen: Seen) -> Group:
        """Search from one instance until nothing waits."""
        self._names.add(seen.name)
        self._join(seen, None)
        while self._waiting:
            owner, entry = self._waiting.popleft()
            if entry is None:
                self._member(self.members[owner])
            elif entry.pos not in self._story:
                self._story.add(entry.pos)
                self._entry(entry)
        self._bury()
        return Group(tuple(self.members.values()), tuple(self.missing), self.more)

    def _join(self, seen: Seen, via: str | None) -> None:
        """Take an instance in."""
        if via is None:
            recent = self.inspector.recent(seen.folded, OWN_READ_MAX, OWN_KEPT_MAX)
            self._own = recent.positions
        else:
            limit = max(OTHER_READ_MIN, min(OTHER_READ_MAX, self._read_left))
            recent = self.inspector.recent(seen.folded, limit, OTHER_KEPT_MAX)
            self._read_left -= len(recent.positions)
        pos = seen.folded.pos
        self.members[pos] = Member(seen, recent, via)
        self._waiting.append((pos, None))

    def _room(self) -> bool:
        """Whether another instance may be looked for."""
        if len(self.members) < MEMBERS_MAX and len(self.missing) < MISSING_MAX:
            return True
        self.more = True
        return False

    def _named(self, name: str, via: str) -> None:
        """Take in the instance that something of the story names."""
        if name not in self._names and self._room():
            self._names.add(name)
            self._take(name, via, lambda: self.inspector.world.instance(name))

    def _take(self, name: str, via: str, find: Callable[[], Instance | None]) -> None:
        try:
            found = find()
        except SpecError as error:
            why = f"its machine cannot be loaded here: {error.message}"
            self.missing.append(Missing(name, via, why))
            return
        if found is None:
            gone = self.inspector.world.gone_position(name)
            why = NOT_THERE if gone is None else collected(gone)
            self.missing.append(Missing(name, via, why))
        else:
            self._names.add(found.name)
            self._join(self.inspector.seen(found.folded()), via)

    def _told(self, pos: int) -> bool:
        """Whether an entry is known to belong to the story."""
        return pos in self._story or pos in self._own

    def _member(self, member: Member) -> None:
        """Follow what an instance declares, then what its entries say."""
        own = member.via is None
        for link, name in declared(self.inspector, member.seen, self.now, lists=own):
            self._named(name, f"link {link}")
        if own:
            self._namesakes(member)
        pos = member.seen.folded.pos
        for entry in member.recent.telling:
            causes = [one for one in (entry.cause, entry.raised) if one is not None]
            if any(self._told(one) for one in causes) or (own and (causes or entry.raises)):
                self._waiting.append((pos, entry))
            else:
                for cause in causes:
                    self._depending.setdefault(cause, []).append((pos, entry))
        if own and not member.recent.whole:
            self._waiting.append((pos, self._entry_at(pos)))

    def _namesakes(self, member: Member) -> None:
        """Take in who has the same key under another machine, and names this one."""
        inspector = self.inspector
        key = member.name.partition("/")[2]
        for part in inspector.names.parts()[:PARTS_MAX]:
            name = f"{part}/{key}"
            if name in self._names or name not in inspector.names:
                continue
            with suppress(SpecError):
                found = inspector.world.instance(name)
                seen = inspector.seen(found.folded()) if found else None
                links = declared(inspector, seen, self.now) if seen else ()
                link = next((link for link, other in links if other == member.name), None)
                if seen is not None and link is not None and self._room():
                    self._names.add(name)
                    self._join(seen, f"its link {link}")

    def _entry(self, entry: Entry) -> None:
        """Follow an entry of the story to what it came from and to what it led to."""
        for pos, verb in ((entry.cause, "caused"), (entry.raised, "raised")):
            if pos is not None and not self._told(pos):
                self._follow(pos, f"{verb} {entry.pos}", began=entry.create is not None)
        for one in entry.raises or ():
            self._named(one["to"], f"{one['event']} raised at {entry.pos}")
        self._waiting.extend(self._depending.pop(entry.pos, ()))

    def _follow(self, pos: int, via: str, *, began: bool) -> None:
        """Take in the instance whose entry at `pos` led to an entry of the story."""
        if self._causes_left == 0:
            self.more = True
            return
        self._causes_left -= 1
        try:
            entry = self._entry_at(pos)
        except EntryCollected:
            self._lost.setdefault(pos, via)
            return
        owner = entry.instance or (entry.pos if entry.create and not entry.outcome else None)
        if owner is None:  # the tape's own entry, or a command to nobody
            return
        if owner not in self.members and self._room():
            name = f"the instance of {owner}"
            self._take(name, via, lambda: self.inspector.world.instance_at(owner))
        if owner in self.members:
            self._waiting.append((owner, entry))
            if began:
                self._waiting.append((owner, self._entry_at(owner)))

    def _bury(self) -> None:
        """Say whose the entries were that were collected: all at once, it takes a long look."""
        graves = graves_at(self.inspector.reader, self._lost)
        for pos, via in self._lost.items():
            grave = graves.get(pos)
            name = grave.stone.name if grave else f"the instance of {pos}"
            if name not in self._names and self._room():
                self._names.add(name)
                self.missing.append(
                    Missing(name, via, collected(grave.entry.pos if grave else pos))
                )

    def _entry_at(self, pos: int) -> Entry:
        return decode(next(self.inspector.reader.bodies([pos])), f"entry {pos}")
