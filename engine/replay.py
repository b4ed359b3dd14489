"""Replay: decide every entry again from its recorded inputs, and compare every byte.

Nothing recorded is trusted but the inputs: who asked what, when, and at which height. The same
ledger that the engine uses decides each of them with the machine whose text the tape holds, and
must stage the recorded bytes. Timers and parked commands must follow by themselves, in order.

Of a tape that was collected from (`Collected`), everything that is left must follow all the same,
byte for byte. The positions that went are passed over. What a collected instance raised to another
is taken as it is told, since nothing is left that could raise it; what was raised to a collected
one leads to nothing, unless its refusal is there. Only how many links such an event had behind it
is not known any more, and taken as told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from ..fsm.decide import Raised
from ..fsm.entry import (
    COLLECTED,
    FORMAT,
    HEAD,
    HOLD,
    OPENED,
    RELEASE,
    REORG,
    SHRUNK,
    SPEC,
    Entry,
    decode,
    encode,
)
from ..fsm.errors import StatetapeError
from ..fsm.machine import Machine
from ..fsm.tombstone import Tombstone, positions_of
from ..fsm.types import exact_int
from .commands import Create, Hold, Observe, Send, asked
from .ledger import UNLOADABLE, Ledger
from .loading import machine_of, spec_entry
from .recording import LINKS_DEEP_MAX, Chain, Link
from .world import Nothing, World, check_format, held_by, key_scope

PROGRESS_EVERY = 1000


@dataclass(frozen=True)
class Difference:
    """The first entry that does not follow from what came before: both sides, and why."""

    pos: int
    recorded: bytes
    decided: bytes | None
    why: str


@dataclass
class Report:
    """What a replay found. No `difference`: every byte followed."""

    entries: int = 0
    difference: Difference | None = None
    notes: list[str] = field(default_factory=list)


class _Impossible(Exception):
    """An entry that no input can have led to."""


class Collected:
    """What was collected from a tape: the instances' names, the positions of their entries."""

    def __init__(self, stones: Iterable[Tombstone] = ()) -> None:
        self.names: set[str] = set()
        self.went = bytearray()
        """By position: whether its entry went."""
        for stone in stones:
            self.names.add(stone.name)
            positions = positions_of(stone)
            if len(self.went) <= positions[-1]:
                self.went += bytes(positions[-1] + 1 - len(self.went))
            for pos in positions:
                self.went[pos] = True

    def has(self, pos: int) -> bool:
        """Whether the entry of a position was collected."""
        return pos < len(self.went) and bool(self.went[pos])


class _Holed(World):
    """A world that takes only the positions that were not collected."""

    def __init__(self, machines: Callable[[Entry], Machine], collected: Collected) -> None:
        super().__init__(Nothing(), machines)
        self.collected = collected

    def grow(self, instance: int) -> int:
        """Take the next position; those after it that were collected are passed over at once."""
        pos = super().grow(instance)
        while self.collected.has(self.size + 1):
            self.size += 1
        return pos


class _Torn(Chain):
    """A chain of links of which some went: how many there were is not known."""


class Replayer:
    """Replays a whole tape, or (`alone`) the entries of one instance with its machine's entry.

    `collected`: of a whole tape, what was collected from it.
    """

    def __init__(
        self,
        machines: Callable[[Entry], Machine] = machine_of,
        *,
        alone: bool = False,
        collected: Collected | None = None,
    ) -> None:
        self.collected = collected or Collected()
        self.world = _Holed(machines, self.collected)
        self.ledger = Ledger(self.world)
        self.ledger.fires = not alone
        self.alone = alone
        self.report = Report()
        self._expected: deque[bytes] = deque()

    def run(
        self, bodies: Iterable[bytes], progress: Callable[[int], None] = lambda _: None
    ) -> Report:
        """Replay entries in order of position; stops at the first difference."""
        report = self.report
        for body in bodies:
            entry = decode(body, f"entry {report.entries + 1}")
            decided, why = self._next(entry)
            report.entries += 1
            if decided != body:
                if decided is not None:
                    why = f"{why}; they differ in {', '.join(differing(entry, decode(decided)))}"
                report.difference = Difference(entry.pos, body, decided, why)
                return report
            if report.entries % PROGRESS_EVERY == 0:
                progress(report.entries)
        self._drop_lost(None)
        if self.ledger.waiting and not self._expected:
            link = self.ledger.waiting.popleft()
            self.ledger.deliver_one(link, link.at)
            self._expected.extend(self.ledger.staged)
        if self._expected:
            why = "the tape ends, and this should have followed"
            report.difference = Difference(self.world.size, b"", self._expected[0], why)
        return report

    def _next(self, entry: Entry) -> tuple[bytes | None, str]:
        """Return what is decided where `entry` stands, and what a difference would mean."""
        if not self._expected:
            try:
                self._feed(entry)
            except (StatetapeError, _Impossible) as error:
                return None, str(error)
            self._expected.extend(self.ledger.staged)
            self.ledger.staged.clear()
            if self.alone and self.ledger.waiting:
                self._keep_own(entry)
            self.world.settled()
            self.world.window.clear()
        if not self._expected:
            return None, "nothing follows from this entry's inputs"
        return self._expected.popleft(), "the recorded entry does not follow from its inputs"

    def _feed(self, entry: Entry) -> None:
        """Give the ledger the input that `entry` records."""
        world = self.world
        now = entry.happened
        at = entry.at if entry.recorded is not None else None
        height = exact_int(entry.height)
        if height is None and entry.height is not None:
            raise _Impossible(f"{entry.height!r} is no height")
        if entry.key is not None:
            self._fresh(entry)
        if self.alone:
            world.size = entry.pos - 1
        if entry.tape is not None:
            self._feed_tape(entry, now, at, height)
        elif entry.timer is not None:
            self._feed_timer(entry, now, height)
        elif entry.offer is not None:
            raise _Impossible("nothing led to this offer of a parked command")
        elif entry.raised is not None:
            self._feed_raised(entry, now, height)
        elif entry.create is not None:
            if entry.spec is not None:
                if entry.spec not in world.machines:
                    raise _Impossible(f"entry {entry.spec} holds no machine")
                machine = world.machine(entry.spec)
                world.specs[machine.digest] = entry.spec
            else:
                machine = self._owner(entry).machine
            options = (entry.key, entry.by, entry.cause, at, height)
            adopting = entry.event == machine.adopt.name
            state = (entry.to or machine.initial) if adopting else None
            create = Create(
                asked(machine, entry), entry.create, entry.params or {}, *options, state
            )
            self.ledger.run(create, now)
        else:
            name = entry.name or self._owner(entry).name
            options = (entry.key, entry.by, entry.cause, at, height)
            self.ledger.run(Send(name, entry.event or "", entry.params or {}, *options), now)

    def _keep_own(self, entry: Entry) -> None:
        """Alone, only what the instance raises to itself comes back."""
        waiting = self.ledger.waiting
        own = self._owner(entry).name if entry.instance else entry.create
        kept = [link for link in waiting if link.instance == own]
        waiting.clear()
        waiting.extend(kept)

    def _feed_raised(self, entry: Entry, now: int, height: int | None) -> None:
        """Deliver the raised event that comes next; alone, another instance's as it is told."""
        waiting = self.ledger.waiting
        if self.alone and height is not None:
            self.world.heads[self._owner(entry).machine.chain] = (height, entry.pos)
        told = self.collected.has(entry.raised or 0)
        if not self.alone and not told:
            self._drop_lost(entry)
            if not waiting:
                raise _Impossible("nothing raised this event")
        if not told and waiting and (not self.alone or waiting[0].pos == entry.raised):
            link = waiting.popleft()
        else:
            raised = Raised(entry.event or "", None, entry.params or {})
            name = entry.name or self._owner(entry).name
            link = Link(entry.raised or 0, entry.at, name, raised, 1, _Torn())
        if self.alone or isinstance(link.chain, _Torn):
            # How many links of other instances lie before it is not known here.
            depth = LINKS_DEEP_MAX + 1 if too_deep(entry) else 1
            link = link._replace(depth=depth, chain=Chain() if self.alone else _Torn())
        if (entry.reason or {}).get("kind") == UNLOADABLE:  # by the version that recorded it
            self.ledger.refuse_link(link, now, {"kind": UNLOADABLE})
        else:
            self.ledger.deliver_one(link, now)

    def _drop_lost(self, entry: Entry | None) -> None:
        """Drop what waits for collected instances before `entry`'s event: what it led to is gone.

        A refusal, from before such an instance began or after it was collected, is there.
        """
        waiting = self.ledger.waiting
        while waiting and waiting[0].instance in self.collected.names:
            first = waiting[0]
            if entry is not None and (entry.name, entry.raised) == (first.instance, first.pos):
                return
            waiting.popleft()
            for index, link in enumerate(waiting):
                if link.chain is first.chain:
                    waiting[index] = link._replace(chain=_Torn())

    def _fresh(self, entry: Entry) -> None:
        """A key takes effect once: a command that repeats it is answered, not recorded."""
        scope = key_scope(entry)
        instance = self.world.instance(entry.name) if entry.name else None
        if instance is not None:  # it says that there is none
            scope = (instance.pos, entry.key or "")
        taken = self.world.key_position(*scope)
        if taken is not None:
            raise _Impossible(f"its key {entry.key!r} was taken at position {taken}")

    def _owner(self, entry: Entry):  # type: ignore[no-untyped-def] # noqa: ANN202
        owner = self.world.instance_at(entry.instance or 0)
        if owner is None:
            raise _Impossible(f"no entry created instance {entry.instance}")
        return owner

    def _feed_tape(self, entry: Entry, now: int, at: int | None, height: int | None) -> None:
        if entry.tape in (HEAD, REORG):
            command = Observe(entry.chain or "", height if height is not None else -1, entry.by, at)
            self.ledger.run(command, now)
        elif entry.tape == SPEC:
            machine = self.world.machine_of(entry)
            told = spec_entry(entry, machine)
            if told.digest != machine.digest:
                self.report.notes.append(
                    f"entry {entry.pos}: {entry.machine} was recorded with other functions than "
                    "this version has; every outcome is compared all the same"
                )
            told.pos = self.world.size + 1
            self.ledger.staged.append(encode(told))
            self.world.add_machine(self.world.grow(0), machine)
        elif entry.tape == OPENED and self.world.size == entry.pos - 1 == 0:
            check_format(entry)
            told = Entry(at=now, format=FORMAT, origin=entry.origin, pos=1, tape=OPENED)
            self.ledger.staged.append(encode(told))
            self.world.grow(0)
        elif entry.tape in (HOLD, RELEASE) and entry.name not in self.collected.names:
            hold = Hold(entry.name or "", entry.text or "", entry.tape == RELEASE, entry.by, at)
            self.ledger.run(hold, now)
        elif entry.tape in (HOLD, RELEASE, COLLECTED, SHRUNK):
            self._tell(entry)
        else:
            raise _Impossible(f"a tape has no {entry.tape!r} entry here")

    def _tell(self, entry: Entry) -> None:
        """Take as told what only the collected entries could prove: the hashes vouch for it."""
        world = self.world
        for stone in entry.collected or ():
            if not all(map(self.collected.has, positions_of(stone))):
                raise _Impossible(f"{stone.name} is said to be collected, and was not")
        told = Entry(
            at=entry.at,
            by=entry.by,
            collected=entry.collected,
            name=entry.name,
            pos=world.size + 1,
            recorded=entry.recorded,
            shrunk=entry.shrunk,
            tape=entry.tape,
            text=entry.text,
        )
        self.ledger.staged.append(encode(told))
        if entry.collected:
            world.collect(entry.collected, entry.pos)
        if entry.tape in (HOLD, RELEASE):
            world.hold(entry.name or "", held_by(entry))
        world.grow(0)

    def _feed_timer(self, entry: Entry, now: int, height: int | None) -> None:
        """Fire the one timer that is due next; alone, the named one, if it is due."""
        if not self.alone:
            if not self.ledger.fire_due(now, 1):
                raise _Impossible(f"timer {entry.timer!r} was not due")
            return
        owner = self._owner(entry)
        chain = owner.machine.chain
        if height is not None:
            self.world.heads[chain] = (height, entry.pos)
        armed = owner.timers.get(entry.timer)
        if armed is None or armed[1] > (now if armed[0] == "at" else self.world.height(chain) or 0):
            raise _Impossible(f"timer {entry.timer!r} was not due")
        self.ledger.fire(owner.pos, entry.timer or "", now)


def too_deep(entry: Entry) -> bool:
    """Whether an entry is the refusal of a link too many."""
    return (entry.reason or {}).get("kind") == "links_too_deep"


def differing(one: Entry, other: Entry) -> list[str]:
    """Return the names of the members that differ, in their order; of equal entries, `form`."""
    fields = msgspec.structs.fields(Entry)
    names = [f.encode_name for f in fields if getattr(one, f.name) != getattr(other, f.name)]
    return names or ["form"]
