"""The world of a tape, folded and in memory: heads, machines, instances, keys, timers.

Theory of operation. The world is what all entries up to `size` fold to, loaded as far as needed:
an instance is read from its projection when it is first asked for, and entries beyond the
projection are absorbed at open. (Another process may have projected further than this world: an
entry that an instance has already is not applied again.) Every change is journalled until its
transaction is durable, so that a failed commit leaves the world as it was (`rollback`), and what
changed since the last flush is known (`dirty`, `window`), so that the projection can follow.

Collected instances are none any more: their entries are holes that folding passes over, and what
is kept of them is the name (`gone`). A world that knew one forgets it when it absorbs the entry
that says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import msgspec

from ..fsm import fold
from ..fsm.entry import (
    COLLECTED,
    FORMAT,
    HEAD,
    HOLD,
    OPENED,
    RELEASE,
    SPEC,
    Entry,
    EntryInvalid,
    decode,
)
from ..fsm.errors import SpecError
from ..fsm.fold import Armed, Folded, Parked
from ..fsm.machine import Machine
from ..fsm.tombstone import Tombstone, positions_of
from ..storage.errors import RESTORE, TapeDamaged, TapeTooNew
from ..storage.projection import Spec
from .deadlines import WALL, Deadlines

CACHE_MAX = 100_000
"""Clean instances kept in memory; beyond it they are read again when needed."""

_NO_DATA = (AttributeError, LookupError, TypeError, ValueError)
"""What typing data raises that no machine froze."""
_FORMAT = re.compile(r"statetape/[1-9][0-9]{0,9}\Z")


class Source(Protocol):
    """Where a world reads what it does not hold."""

    def by_name(self, name: str) -> Folded | None:
        """Return an instance as projected."""

    def by_pos(self, pos: int) -> Folded | None:
        """Return an instance as projected."""

    def key_position(self, instance: int, key: str) -> int | None:
        """Return the position of the entry that took an idempotency key, as projected."""

    def gone_position(self, name: str) -> int | None:
        """Return the position of the entry that says that an instance was collected."""

    def body(self, pos: int) -> bytes:
        """Return the bytes of a stored entry."""


class Nothing:
    """The source of a world that holds everything itself, as in a replay."""

    def by_name(self, _name: str) -> Folded | None:
        """Know no instance."""

    def by_pos(self, _pos: int) -> Folded | None:
        """Know no instance."""

    def key_position(self, _instance: int, _key: str) -> int | None:
        """Know no key."""

    def gone_position(self, _name: str) -> int | None:
        """Know of no collection."""

    def body(self, pos: int) -> bytes:
        """Know no entry."""
        raise LookupError(pos)


class Held(NamedTuple):
    """A hold on an instance: the newest entry that put it there, why, and by whom."""

    pos: int
    why: str
    by: str | None


class Instance:
    """One instance, typed, as decisions need it. `data` is replaced, never changed in place."""

    __slots__ = (
        "data",
        "key",
        "last",
        "machine",
        "name",
        "parked",
        "pos",
        "refused",
        "seq",
        "spec",
        "state",
        "timers",
    )

    def __init__(self, folded: Folded, machine: Machine) -> None:
        self.pos = folded.pos
        self.name = folded.name
        self.key = folded.name.partition("/")[2]
        self.spec = folded.spec
        self.machine = machine
        self.state = folded.state
        self.data: dict[str, Any] = machine.thaw(folded.data)
        self.seq = folded.seq
        self.last = folded.last
        self.timers: dict[str, Armed] = folded.timers
        self.parked: tuple[Parked, ...] = folded.parked
        self.refused: tuple[int, str] | None = folded.refused

    def folded(self) -> Folded:
        """Return the JSON form, for a projection or for folding on."""
        data = self.machine.freeze(self.data)
        folded = Folded(self.pos, self.name, self.spec, self.state, data)
        folded.seq = self.seq
        folded.last = self.last
        folded.timers = dict(self.timers)
        folded.parked = self.parked
        folded.refused = self.refused
        return folded

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Undo every change since `World.touch` noted this instance."""
        _, self.state, self.data, self.seq, self.last = saved[:5]
        self.timers, self.parked, self.refused = saved[5:]


class World:
    """See the module's theory of operation."""

    def __init__(self, source: Source, machine_of: Callable[[Entry], Machine]) -> None:
        """`machine_of` compiles the machine in a `spec` entry."""
        self.source = source
        self.machine_of = machine_of
        self.size = 0
        self.heads: dict[str, tuple[int, int]] = {}
        self.gone: dict[str, int] = {}
        """Collected instances that are not projected yet: name → position of the entry."""
        self.any_gone = False
        """Whether anything was ever collected."""
        self.holds: dict[str, Held] = {}
        """Instances on hold, by name."""
        self.held: set[str] = set()
        """Names whose hold changed since the last flush."""
        self.specs: dict[str, int] = {}
        self.spec_rows: list[Spec] = []
        self.chains: dict[int, str | None] = {}
        self.unloadable: dict[int, SpecError] = {}
        """Machines on the tape that this version cannot load; their instances rest."""
        self.machines: dict[int, Machine] = {}
        self.names: dict[str, Instance] = {}
        self.positions: dict[int, Instance] = {}
        self.keys: dict[tuple[int, str], int] = {}
        self.deadlines = Deadlines(self._armed)
        self.dirty: set[Instance] = set()
        self.window_base = 1
        self.window: list[int] = []
        self._journal: list[Callable[[], object] | tuple[Any, ...]] = []
        self._tail: dict[int, Folded] = {}
        self._tail_names: dict[str, Folded] = {}

    # look-up

    def instance(self, name: str) -> Instance | None:
        """Return the instance of that name, or None."""
        found = self.names.get(name)
        if found is None:
            folded = self._tail_names.get(name) or self.source.by_name(name)
            found = self._enter(folded) if folded else None
        return found

    def exists(self, name: str) -> bool:
        """Whether there is an instance of that name, whether or not its machine loads here."""
        return (
            name in self.names or name in self._tail_names or self.source.by_name(name) is not None
        )

    def instance_at(self, pos: int) -> Instance | None:
        """Return the instance that the entry at `pos` created, or None."""
        found = self.positions.get(pos)
        if found is None:
            folded = self._tail.get(pos) or self.source.by_pos(pos)
            found = self._enter(folded) if folded else None
        return found

    def _enter(self, folded: Folded) -> Instance:
        machine = self.machine(folded.spec)
        place = f"entry {folded.last}"
        try:
            instance = Instance(folded, machine)
        except _NO_DATA:
            why = f"the data of {folded.name} is not that of {machine.name}"
            raise TapeDamaged(why, place=place, hint=RESTORE) from None
        if folded.state not in machine.states:
            why = f"{folded.name} is in {folded.state!r}, and {machine.name} has no such state"
            raise TapeDamaged(why, place=place, hint=RESTORE)
        self.names[instance.name] = instance
        self.positions[instance.pos] = instance
        if self._tail.pop(folded.pos, None) is not None:
            self._tail_names.pop(folded.name, None)
            self.dirty.add(instance)
        return instance

    def gone_position(self, name: str) -> int | None:
        """Return the position of the entry that says that `name` was collected, or None."""
        if not self.any_gone:
            return None
        return self.gone.get(name) or self.source.gone_position(name)

    def machine(self, spec: int) -> Machine:
        """Return the machine whose text the entry at `spec` put on the tape."""
        machine = self.machines.get(spec)
        if machine is None:
            if spec in self.unloadable:
                raise self.unloadable[spec]
            try:
                machine = self.machine_of(decode(self.source.body(spec)))
            except SpecError as error:
                self.unloadable[spec] = error
                raise
            self.machines[spec] = machine
        return machine

    def height(self, chain: str | None) -> int | None:
        """Return the newest observed height of a chain, or None."""
        head = self.heads.get(chain) if chain else None
        return head[0] if head else None

    def key_position(self, instance: int, key: str) -> int | None:
        """Return the position of the entry that took an idempotency key, or None."""
        pos = self.keys.get((instance, key))
        if pos is not None or instance >= self.window_base:  # nothing of it is projected yet
            return pos
        return self.source.key_position(instance, key)

    def _armed(self, pos: int, name: str) -> Armed | None:
        try:
            instance = self.instance_at(pos)
        except SpecError:
            return None
        return instance.timers.get(name) if instance else None

    # change

    def touch(self, instance: Instance) -> None:
        """Note that an instance is about to change."""
        i = instance
        saved = (i, i.state, i.data, i.seq, i.last, i.timers, i.parked, i.refused)
        self._journal.append(saved)
        self.dirty.add(i)

    def add(self, instance: Instance) -> None:
        """Add an instance that was just created."""
        self.names[instance.name] = instance
        self.positions[instance.pos] = instance
        self.dirty.add(instance)
        self._journal.append(lambda: self._remove(instance))

    def _remove(self, instance: Instance) -> None:
        del self.names[instance.name]
        del self.positions[instance.pos]
        self.dirty.discard(instance)

    def add_machine(self, pos: int, machine: Machine) -> None:
        """Add a machine whose text was just put on the tape."""
        self.machines[pos] = machine
        self.specs[machine.digest] = pos
        self.chains[pos] = machine.chain
        self.spec_rows.append(Spec(pos, machine.name, machine.digest, machine.chain))
        self._journal.append(lambda: self._remove_machine(pos, machine.digest))

    def _remove_machine(self, pos: int, digest: str) -> None:
        del self.machines[pos]
        del self.specs[digest]
        self.spec_rows.pop()

    def take_key(self, entry: Entry) -> None:
        """Note that an entry took its idempotency key."""
        scope = key_scope(entry)
        self.keys[scope] = entry.pos
        self._journal.append(lambda: self.keys.pop(scope, None))

    def observe(self, chain: str, height: int, pos: int) -> None:
        """Note a new head."""
        before = self.heads.get(chain)
        self.heads[chain] = (height, pos)
        self._journal.append(lambda: self._unobserve(chain, before))

    def _unobserve(self, chain: str, before: tuple[int, int] | None) -> None:
        if before is None:
            del self.heads[chain]
        else:
            self.heads[chain] = before

    def hold(self, name: str, held: Held | None) -> None:
        """Note that an instance is on hold; None: no more."""
        before = self.holds.get(name)
        self._set_hold(name, held)
        self._journal.append(lambda: self._set_hold(name, before))

    def _set_hold(self, name: str, held: Held | None) -> None:
        self.held.add(name)
        if held is None:
            self.holds.pop(name, None)
        else:
            self.holds[name] = held

    def arm(self, instance: Instance, name: str, armed: Armed) -> None:
        """Put an instance's timer among the deadlines."""
        clock = WALL if armed[0] == "at" else instance.machine.chain or WALL
        self.deadlines.arm(clock, name, instance.pos, armed)

    def grow(self, instance: int) -> int:
        """Take the next position for an entry of `instance` (0: of the tape itself)."""
        self.size += 1
        self.window.append(instance)
        return self.size

    # transactions

    def settled(self) -> None:
        """The journalled changes are durable."""
        self._journal.clear()

    def rollback(self, size: int) -> None:
        """Undo the journalled changes, back to `size` entries."""
        restored: list[Instance] = []
        for change in reversed(self._journal):
            if isinstance(change, tuple):
                change[0].restore(change)
                restored.append(change[0])
            else:
                change()
        self._journal.clear()
        if size < self.size:
            del self.window[size - self.size :]
        self.size = size
        for instance in restored:
            # The heap may have put a timer later while it was changed.
            for name, armed in instance.timers.items():
                self.arm(instance, name, armed)

    # catching up

    def absorb(self, bodies: Iterable[bytes]) -> None:
        """Fold entries that are on the tape already: at open, or from another process."""
        changed: set[int] = set()
        for body in bodies:
            entry = decode(body, f"entry {self.size + 1}")
            if entry.pos > self.size + 1:  # those between were collected
                self.window += [0] * (entry.pos - self.size - 1)
                self.size = entry.pos - 1
            owner = entry.instance or (entry.pos if entry.create and not entry.outcome else 0)
            self.grow(owner)
            if entry.tape is not None:
                self._absorb_tape(entry)
            if entry.key is not None:
                self.keys[key_scope(entry)] = entry.pos
            if entry.instance is not None:
                folded = self._folded(entry.instance)
                if entry.pos > folded.last:
                    folded.apply(fold.step(body))
                changed.add(entry.instance)
            elif owner and owner not in self.positions:
                folded = fold.begin(fold.step(body))
                self._tail[owner] = self._tail_names[folded.name] = folded
                changed.add(owner)
        for pos in changed & self._tail.keys():
            self.arm_folded(self._tail[pos])

    def _folded(self, pos: int) -> Folded:
        """Return an instance in JSON form, for folding on; its typed form is dropped."""
        folded = self._tail.get(pos)
        if folded is None:
            instance = self.positions.pop(pos, None)
            if instance is not None:
                del self.names[instance.name]
                self.dirty.discard(instance)
                folded = instance.folded()
            else:
                folded = self.source.by_pos(pos)
            if folded is None:
                why = f"no entry created instance {pos}"
                raise EntryInvalid(why, place=f"entry {self.size}")
            self._tail[pos] = self._tail_names[folded.name] = folded
        return folded

    def arm_folded(self, folded: Folded) -> None:
        """Put a folded instance's timers among the deadlines."""
        for name, armed in folded.timers.items():
            clock = WALL if armed[0] == "at" else self.chains.get(folded.spec) or WALL
            self.deadlines.arm(clock, name, folded.pos, armed)

    def _absorb_tape(self, entry: Entry) -> None:
        if entry.tape == OPENED:
            check_format(entry)
        elif entry.tape == HEAD:
            self.heads[entry.chain or ""] = (int(entry.height or 0), entry.pos)
        elif entry.tape == SPEC:
            self.specs[entry.digest or ""] = entry.pos
            self.chains[entry.pos] = entry.chain
            self.spec_rows.append(spec_row(entry))
        elif entry.tape in (HOLD, RELEASE):
            self._set_hold(entry.name or "", held_by(entry))
        elif entry.tape == COLLECTED:
            self.collect(entry.collected or (), entry.pos)

    def collect(self, stones: Iterable[Tombstone], pos: int) -> None:
        """Forget instances: the entry at `pos` says that they were collected."""
        self.any_gone = True
        went: set[int] = set()
        for stone in stones:
            self.gone.setdefault(stone.name, pos)
            instance = self.positions.pop(stone.pos, None)
            if instance is not None:
                del self.names[stone.name]
                self.dirty.discard(instance)
            known = self._tail.pop(stone.pos, None)
            if known is not None:
                self._tail_names.pop(stone.name, None)
            if instance is not None or known is not None:
                went.update(positions_of(stone))
        if went:
            self._forget_entries(went)

    def _forget_entries(self, went: set[int]) -> None:
        """Forget what collected entries added since the last flush."""
        for scope in [scope for scope, at in self.keys.items() if at in went]:
            del self.keys[scope]
        for index, at in enumerate(range(self.window_base, self.size + 1)):
            if at in went:
                self.window[index] = 0

    def tail(self) -> list[Folded]:
        """Return everything that differs from the projection, in JSON form, by position."""
        folded = [*self._tail.values(), *(instance.folded() for instance in self.dirty)]
        return sorted(folded, key=lambda one: one.pos)

    def flushed(self) -> None:
        """The projection has caught up."""
        self.dirty.clear()
        self.keys.clear()
        self.gone.clear()
        self.held.clear()
        self.spec_rows.clear()
        self.window_base = self.size + 1
        self.window.clear()
        self._tail.clear()
        self._tail_names.clear()
        if len(self.positions) > CACHE_MAX:
            self.names.clear()
            self.positions.clear()


def check_format(first: Entry) -> None:
    """Raise TapeTooNew for a tape that a later version began, EntryInvalid for none of ours."""
    if first.tape == OPENED and first.format == FORMAT:
        return
    place = f"entry {first.pos}"
    if first.tape == OPENED and _FORMAT.match(first.format or ""):
        why = f"the tape's format is {first.format}, and this version reads {FORMAT}"
        raise TapeTooNew(why, place=place, hint="use the newer statetape")
    why = f"a tape begins with an `opened` entry of format {FORMAT}, not {first.format!r}"
    raise EntryInvalid(why, place=place)


def spec_row(entry: Entry) -> Spec:
    """Return the row that projects an entry that holds a machine's text."""
    return Spec(entry.pos, entry.machine or "", entry.digest or "", entry.chain)


def held_by(entry: Entry) -> Held | None:
    """Return the hold that a `hold` entry puts on its instance; None: a `release`."""
    return Held(entry.pos, entry.text or "", entry.by) if entry.tape == HOLD else None


def key_scope(entry: Entry) -> tuple[int, str]:
    """Return whose an entry's idempotency key is: an instance's, or (0) a name's."""
    name = entry.create or entry.name
    return (0, f"{name} {entry.key}") if name else (entry.instance or 0, entry.key or "")


def text(value: object) -> str:
    """Return JSON text with sorted members."""
    return msgspec.json.encode(value, order="deterministic").decode()
