"""What may go from a tape, what stays and why, and collecting it.

Theory of operation.

G1  An instance is collected whole or not at all, and only where folding shows that nothing can
    come of it: it is final, and has been for longer than its state's `retain` (by its last entry's
    clock); or that is so of the instance that it ends with (its machine's `ends_with`). Nobody
    holds it, every consumer is past it, and its entries lie in complete blocks of 256 below the
    anchor. A final state that says no `retain` keeps its instances for ever; so does a machine
    that cannot be loaded.
G2  A batch is one transaction: tiles, deletions, projections, and the `collected` entries with a
    tombstone of each instance. What qualifies is looked at again within its turn.
G3  A collected name is never used again: commands and events for it are refused, and recorded. So
    a command that is repeated after its instance was collected is never done twice.
G4  Shrinking takes the leaf hashes of blocks that have no entry left, below the last cosigned
    checkpoint; the roots stay.

Everything about the tape itself (its opening, machines' texts, heads, holds, collections) stays,
and so does what was refused without an instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..fsm.decide import EVALUATION_ERRORS, Moment
from ..fsm.entry import (
    COLLECTED,
    ENTRY_BYTES_MAX,
    HOLD,
    RELEASE,
    SHRUNK,
    Entry,
    decode,
    encode,
)
from ..fsm.errors import CallerError, SpecError
from ..fsm.fold import Folded
from ..fsm.machine import Machine, State
from ..fsm.tombstone import Tombstone, check_before, packed, positions_of, tombstones
from ..fsm.types import Json
from ..storage import collection, cosignatures, projection
from ..storage.merkle import WIDTH
from ..storage.reader import Reader
from ..storage.tape import Tape
from ..storage.verify import Finding
from .loading import folded_of
from .world import World, key_scope

if TYPE_CHECKING:
    from .engine import Engine

BATCH_ENTRIES = 20_000
"""Entries per transaction, about: an instance is never split."""
RANGES_MAX = 2_000
"""Ranges per `shrunk` entry."""
SHOWN_MAX = 1_000
"""Instances named in a plan; all are counted."""
_STONES_BYTES_MAX = ENTRY_BYTES_MAX - 2_000

LIVE = "it is not final"
RETAINED = "its time to be retained is not over"
FOREVER = "its final state says no `retain`"
UNLOADABLE = "its machine cannot be loaded here"
RECENT = "an entry lies in the last block, which is not complete"

Progress = Callable[[int], None]
"""Called with the number of entries collected so far."""


class NotCosigned(CallerError):
    """No witness cosigned a checkpoint: nothing outside this tape vouches for its leaf hashes."""

    code = "not-cosigned"


class Verdict(NamedTuple):
    """Whether an instance would be collected: `why` it stays, or None."""

    name: str
    pos: int
    entries: int
    why: str | None


@dataclass
class Plan:
    """What would go and what stays; of each some, and how many there are."""

    going: list[Verdict] = field(default_factory=list)
    staying: list[Verdict] = field(default_factory=list)
    instances: int = 0
    entries: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Why instances stay → how many."""


@dataclass
class Collection:
    """What was collected; `compacted`: whether its bytes have left the tape's files too."""

    instances: int = 0
    entries: int = 0
    blocks_shrunk: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    compacted: bool = True


class Rules:
    """Judges instances at a moment; see G1 in the module's theory of operation."""

    def __init__(
        self, reader: Reader, world: World, now: int, fresh: Iterable[Folded] = ()
    ) -> None:
        """`fresh`: instances that are not projected as they are now."""
        self.reader = reader
        self.world = world
        self.now = now
        self.fresh = {folded.name: folded for folded in fresh}
        self._owners: dict[str, str | None] = {}
        self.cursors = projection.cursors(reader)
        self.complete = world.size // WIDTH * WIDTH
        """Entries up to this position lie in complete blocks."""

    def why(self, folded: Folded) -> str | None:
        """Return why an instance stays, or None: it may go."""
        try:
            machine = self.world.machine(folded.spec)
        except SpecError:
            return UNLOADABLE
        state = machine.states.get(folded.state)
        if state is None or folded.timers or folded.parked:
            return LIVE
        over = self._retained(folded, state) if state.final else self._with_owner(folded, machine)
        if over in (LIVE, FOREVER):
            return over
        held = self.world.holds.get(folded.name)
        if held is not None:
            return f"it is held since position {held.pos}: {held.why}"
        if folded.last > self.complete:
            return RECENT
        behind = [name for name, pos in self.cursors.items() if pos < folded.last]
        if behind:
            return f"{', '.join(behind)} has not come so far"
        return over

    def _retained(self, folded: Folded, state: State) -> str | None:
        """Return why a final instance is to be retained, or None: its time is over."""
        if state.retain_us is None:
            return FOREVER
        body = self.reader.body(folded.last)
        last = decode(body or b"", f"entry {folded.last}").happened
        return None if self.now - last > state.retain_us else RETAINED

    def _with_owner(self, folded: Folded, machine: Machine) -> str | None:
        """Return why the end of what an instance ends with is not its own yet, or None: it is."""
        if machine.ends_with is None:
            return LIVE
        key = folded.name.partition("/")[2]
        height = self.world.height(machine.chain)
        moment = Moment(self.now, height, key, folded.state, machine.chain)
        try:
            name = str(machine.ends_with.call(machine.thaw(folded.data), {}, moment))
        except EVALUATION_ERRORS:
            return LIVE
        if name not in self._owners:
            self._owners[name] = self._owner(name)
        return self._owners[name]

    def _owner(self, name: str) -> str | None:
        """Return why what is named is not over for those that end with it, or None: it is."""
        if self.world.gone_position(name) is not None:
            return None
        row = projection.instance_by_name(self.reader, name)
        owner = self.fresh.get(name) or (folded_of(row) if row else None)
        if owner is None:
            return LIVE
        try:
            state = self.world.machine(owner.spec).states.get(owner.state)
        except SpecError:
            return UNLOADABLE
        if state is None or not state.final:
            return LIVE
        held = self.world.holds.get(name)
        if held is not None:
            return f"{name}, with which it ends, is held since position {held.pos}: {held.why}"
        return self._retained(owner, state)


def plan(reader: Reader, world: World, now: int) -> Plan:
    """Return what collecting at `now` would take, and what would stay."""
    fresh = {folded.pos: folded for folded in world.tail()}
    rules = Rules(reader, world, now, fresh.values())
    found = Plan()
    for folded in _instances(reader, fresh):
        verdict = Verdict(folded.name, folded.pos, folded.seq, rules.why(folded))
        listed = found.going if verdict.why is None else found.staying
        if len(listed) < SHOWN_MAX:
            listed.append(verdict)
        if verdict.why is None:
            found.instances += 1
            found.entries += folded.seq
        else:
            about = verdict.why.partition(" since position")[0]
            found.reasons[about] = found.reasons.get(about, 0) + 1
    return found


def _instances(reader: Reader, fresh: dict[int, Folded]) -> Iterator[Folded]:
    for row in projection.instances(reader):
        yield fresh.pop(row.pos) if row.pos in fresh else folded_of(row)
    yield from (fresh[pos] for pos in sorted(fresh))


def collect(
    engine: Engine,
    *,
    shrinking: bool = False,
    uncosigned: bool = False,
    by: str | None = None,
    batch_entries: int = BATCH_ENTRIES,
    progress: Progress = lambda _: None,
) -> Collection:
    """Collect everything that may go, batch by batch, and take its bytes off the disk.

    `shrinking`: then shrink what can be shrunk, see `shrink`. The tape is anchored first. Others
    may write between two batches. Crash: every batch is whole or not there; run it again. Raises
    TapeDamaged, and nothing of that batch goes (also where the holds are not those of the entries);
    NotCosigned.
    """
    engine.flush()
    engine.anchor()
    _check_holds(engine)
    engine.tape.move_wal(whole=True)
    found = Collection(bytes_before=collection.size_bytes(engine.tape))
    with collection.overwriting(engine.tape):
        batches = _batches(engine, batch_entries)
        while True:
            with engine.committer.leader:
                batch = next(batches, None)
                if batch is None:
                    break
                with engine.turn():
                    went = _collect(engine, batch, by)
                engine.tape.move_wal()
            found.instances += len(went)
            found.entries += sum(folded.seq for folded in went)
            progress(found.entries)
        if shrinking:
            found.blocks_shrunk = shrink(engine, uncosigned=uncosigned, by=by)
        if found.entries or found.blocks_shrunk or collection.leftovers(engine.tape):
            found.compacted = _compact(engine)
    found.bytes_after = collection.size_bytes(engine.tape)
    return found


def _check_holds(engine: Engine) -> None:
    """Raise TapeDamaged unless those are on hold, as projected, whom the entries say to hold.

    Nothing that can be folded again may decide what goes for good. A row may be lost, or was never
    written: an older program that was open while the tape was migrated passes over holds.
    """
    with engine.turn():
        size = engine.world.size
        known = {name: held.pos for name, held in engine.world.holds.items()}
    tape = engine.tape
    said: dict[str, int] = {}
    positions = tape.positions_where({"tape": HOLD}) + tape.positions_where({"tape": RELEASE})
    for entry in map(decode, tape.bodies(sorted(pos for pos in positions if pos <= size))):
        if entry.tape == HOLD:
            said[entry.name or ""] = entry.pos
        else:
            said.pop(entry.name or "", None)
    if said != known:
        raise projection.damaged("other instances are on hold than the entries say", "table hold")


def _batches(engine: Engine, entries: int) -> Iterator[list[int]]:
    """Yield the positions of instances that may go, a batch of about so many entries at a time."""
    rules = Rules(engine.tape, engine.world, engine.clock())
    batch: list[int] = []
    count = 0
    for folded in _instances(engine.tape, {}):
        if folded.pos > rules.complete:  # from here on others are still writing, perhaps faster
            break
        if rules.why(folded) is None:
            batch.append(folded.pos)
            count += folded.seq
            if count >= entries:
                yield batch
                batch, count = [], 0
    if batch:
        yield batch


def _collect(engine: Engine, batch: Iterable[int], by: str | None) -> list[Folded]:
    """Collect instances in one transaction, within a turn; returns those that still may go."""
    tape, world = engine.tape, engine.world
    now = engine.clock()
    rules = Rules(tape, world, now)
    going: list[Folded] = []
    owned: dict[int, list[int]] = {}
    for pos in batch:
        row = projection.instance_by_pos(tape, pos)
        if row is None:
            continue
        folded = folded_of(row)
        if folded.last <= tape.anchored_size and rules.why(folded) is None:
            owned[pos] = projection.positions(tape, pos)
            going.append(folded)
    if not going:
        return going
    prepared = collection.prepare(tape, sorted(p for ps in owned.values() for p in ps))
    keys = [key for one in going for key in _checked(one, owned[one.pos], prepared.bodies)]
    bodies = _said(going, owned, world.size, now, by)

    def remove() -> None:
        collection.remove(tape, prepared)
        for entry in map(decode, bodies):
            named = [(stone.pos, stone.name) for stone in entry.collected or ()]
            projection.collect(tape, named, keys, entry.pos)
        projection.move_cursor(tape, projection.PROJECTED, world.size + len(bodies))

    tape.write(bodies, remove)
    world.absorb(bodies)
    world.flushed()
    return going


def _checked(
    folded: Folded, positions: Sequence[int], bodies: dict[int, bytes]
) -> Iterator[tuple[int, str]]:
    """Yield whose and which idempotency keys an instance's entries took: see `key_scope`.

    Raises TapeDamaged unless these are the instance's entries, all of them.
    """
    for seq, pos in enumerate(positions, 1):
        entry = decode(bodies[pos], f"entry {pos}")
        if entry.seq != seq or folded.pos not in (entry.instance, entry.pos):
            raise projection.misled(folded.pos)
        if entry.key is not None:
            yield key_scope(entry)
    if len(positions) != folded.seq or positions[0] != folded.pos:
        raise projection.misled(folded.pos)


def _said(
    going: Iterable[Folded], owned: dict[int, list[int]], size: int, now: int, by: str | None
) -> list[bytes]:
    """Return the entries that say what went, for the positions after `size`."""
    stones = (stone for folded in going for stone in tombstones(folded, owned[folded.pos]))
    groups = packed(stones, _STONES_BYTES_MAX)
    return [
        encode(Entry(at=now, by=by, collected=group, pos=pos, tape=COLLECTED))
        for pos, group in enumerate(groups, size + 1)
    ]


def _compact(engine: Engine) -> bool:
    with engine.committer.leader:
        return collection.compact(engine.tape)


# shrinking


def shrink(engine: Engine, *, uncosigned: bool = False, by: str | None = None) -> int:
    """Shrink the leaf hashes of blocks that have no entry left to their roots; returns how many.

    Below the last cosigned checkpoint; `uncosigned`: below the anchor. Raises NotCosigned where
    no witness signed one.
    """
    tape, world = engine.tape, engine.world
    with engine.turn():
        upto = check_cosigned(tape, uncosigned=uncosigned)
        blocks = collection.shrinkable(tape, min(upto, tape.anchored_size))
        if not blocks:
            return 0
        ranges = _ranges(blocks)
        now = engine.clock()
        bodies = [
            encode(
                Entry(
                    at=now,
                    by=by,
                    pos=world.size + 1 + number,
                    shrunk=ranges[start : start + RANGES_MAX],
                    tape=SHRUNK,
                )
            )
            for number, start in enumerate(range(0, len(ranges), RANGES_MAX))
        ]

        def remove() -> None:
            collection.shrink(tape, blocks)
            projection.move_cursor(tape, projection.PROJECTED, world.size + len(bodies))

        tape.write(bodies, remove)
        world.absorb(bodies)
        world.flushed()
    return len(blocks)


def check_cosigned(tape: Tape, *, uncosigned: bool = False) -> int:
    """Return the size up to which hashes may be shrunk, or raise NotCosigned."""
    upto = tape.anchored_size if uncosigned else cosignatures.newest(tape)
    if upto is None:
        hint = "let a witness cosign (`statetape cosign`), or say --uncosigned"
        raise NotCosigned("no checkpoint of this tape is cosigned by a witness", hint=hint)
    return upto


def _ranges(blocks: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and last position of each run of blocks."""
    found: list[tuple[int, int]] = []
    for idx in blocks:
        first, last = idx * WIDTH + 1, (idx + 1) * WIDTH
        if found and found[-1][1] == first - 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


# what was collected


def entries_about(reader: Reader) -> Iterator[Entry]:
    """Yield the entries that say what was collected, in order. Reads the whole tape."""
    if reader.collects:
        for body in reader.bodies_ending(f'"tape":"{COLLECTED}"}}'):
            entry = decode(body)
            if entry.tape == COLLECTED:
                yield entry


def stones_of(reader: Reader) -> Iterator[Tombstone]:
    """Yield the tombstones of everything that was collected. Reads the whole tape.

    Raises TombstoneInvalid.
    """
    for entry in entries_about(reader):
        for stone in entry.collected or ():
            check_before(stone, entry.pos)
            yield stone


def findings(reader: Reader) -> Iterator[Finding]:
    """Yield where the tape is not what its own entries say of collection.

    Exactly the positions that tombstones name are gone, exactly the blocks said to be are shrunk.
    """
    with reader.snapshot():
        if collection.any_tiles(reader):
            yield from _compared(reader)


def _compared(reader: Reader) -> Iterator[Finding]:
    named: set[int] = set()
    for stone in stones_of(reader):
        named.update(positions_of(stone))
    gone: set[int] = set()
    for first, last in collection.absent(reader):
        gone.update(range(first, last + 1))
    for pos in sorted(gone - named):
        yield Finding(f"entry {pos}", "it is gone, and no entry says that it was collected")
    for pos in sorted(named - gone):
        yield Finding(f"entry {pos}", "an entry says that it was collected, and it is there")
    said: set[int] = set()
    for body in reader.bodies_ending(f'"tape":"{SHRUNK}"}}'):
        for first, last in decode(body).shrunk or ():
            said.update(range(first // WIDTH, last // WIDTH))
    for idx in sorted(said ^ collection.shrunk_blocks(reader)):
        why = (
            "is said to be shrunk, and is not" if idx in said else "is shrunk, and no entry says so"
        )
        yield Finding(f"table shrunk, row {idx}", f"the block {why}")


@dataclass(frozen=True)
class Grave:
    """What is left of one instance: its tombstone (positions aside), and the entry that has it."""

    stone: Tombstone
    entry: Entry

    @property
    def positions(self) -> list[int]:
        """The positions of its entries that this entry names."""
        return [pos for one in self.about.collected or () for pos in positions_of(one)]

    @property
    def about(self) -> Entry:
        """The entry, without what it says of others."""
        mine = [one for one in self.entry.collected or () if one.pos == self.stone.pos]
        return msgspec.structs.replace(self.entry, collected=mine)

    def json(self) -> dict[str, Json]:
        """Return it for machines."""
        return {
            "instance": self.stone.name,
            "state": self.stone.state,
            "created": self.stone.pos,
            "seq": self.stone.seq,
            "digest": self.stone.digest,
            "positions": self.positions,
            "collected": self.entry.pos,
            "collected_at": self.entry.at,
            "collected_by": self.entry.by,
        }


def graves(reader: Reader, world: World) -> list[Grave]:
    """Return what is left of every collected instance, by the position that created it."""
    first = {**world.gone, **projection.gone(reader)}
    found: dict[int, Grave] = {}
    for pos in sorted(set(first.values())):
        entry = decode(next(reader.bodies([pos])), f"entry {pos}")
        for stone in entry.collected or ():
            found.setdefault(stone.pos, Grave(stone, entry))
    return [found[pos] for pos in sorted(found)]


def graves_at(reader: Reader, positions: Iterable[int]) -> dict[int, Grave]:
    """Return position → what is left of the instance whose entry stood there.

    Reads the whole tape, once: ask for all that are wanted together.
    """
    found: dict[int, Grave] = {}
    wanted = set(positions)
    last = max(wanted, default=0)
    for entry in entries_about(reader) if wanted else ():
        for stone in entry.collected or ():
            if stone.pos <= last:
                stood = wanted.intersection(positions_of(stone))
                found.update(dict.fromkeys(stood, Grave(stone, entry)))
    return found


def grave(reader: Reader, world: World, name: str) -> Grave | None:
    """Return what is left of the collected instance `name`, or None: it was not collected."""
    pos = world.gone_position(name)
    if pos is None:
        return None
    entry = decode(next(reader.bodies([pos])), f"entry {pos}")
    stone = next((one for one in entry.collected or () if one.name == name), None)
    if stone is None:
        raise projection.damaged(f"it names entry {pos}, which does not", f"table gone, row {name}")
    return Grave(stone, entry)
