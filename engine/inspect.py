"""Look at a tape: its instances now or at an earlier point, their history, and why they stand.

Reading only: no timer fires and no projection is written, so an auditor can look at a tape that
somebody else is writing. A tape that its anchor contradicts is refused, as it is for writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import msgspec

from ..fsm import fold
from ..fsm.decide import ACCEPTED
from ..fsm.entry import HEAD, Entry, decode
from ..fsm.errors import CallerError
from ..fsm.fold import Folded
from ..fsm.machine import Event, Machine
from ..fsm.moments import parse_time
from ..fsm.types import Json
from ..storage import projection
from ..storage.errors import AnchorMissing
from ..storage.files import Files
from ..storage.reader import BATCH_ROWS, Reader
from .collection import Grave, grave, graves
from .commands import InstanceCollected, InstanceUnknown
from .loading import folded_of, open_world
from .names import Names
from .recent import Recent, recent


class PointInvalid(CallerError):
    """A point on the tape is `POSITION`, `pos:N`, `time:2020-12-01T00:00:00Z` or `height:N`."""

    code = "point-invalid"


@dataclass(frozen=True)
class Point:
    """A point on the tape: everything before the first entry beyond `value` of its `kind`."""

    kind: str
    value: int

    def includes(self, entry: Entry) -> bool:
        """Whether an entry is at or before this point."""
        if self.kind == "pos":
            return entry.pos <= self.value
        if self.kind == "time":
            return entry.at <= self.value
        return entry.height is None or int(entry.height) <= self.value


def parse_point(text: str) -> Point:
    """Return the point that `text` names, or raise PointInvalid."""
    kind, colon, value = text.partition(":")
    if not colon:
        kind, value = "pos", text
    if kind == "time":
        return Point(kind, parse_time(value, "at"))
    if kind not in ("pos", "height") or not value.isascii() or not value.isdigit():
        raise PointInvalid(f"{text!r} is no point on a tape", hint=PointInvalid.__doc__ or "")
    return Point(kind, int(value))


@dataclass(frozen=True)
class Seen:
    """An instance at some point: JSON form of its data, and its machine to read it by."""

    folded: Folded
    machine: Machine

    @property
    def name(self) -> str:
        """machine/key."""
        return self.folded.name

    @property
    def final(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.machine.states[self.folded.state].final

    def accepts(self) -> list[Event]:
        """Return the events that have a row in its state."""
        return [self.machine.events[name] for name in self.machine.accepts(self.folded.state)]

    def shown(self) -> dict[str, str]:
        """Return its data as people read it; what is none is left out."""
        fields = self.machine.fields
        return {
            name: fields[name].type.show(value)
            for name, value in self.machine.thaw(self.folded.data).items()
            if value is not None
        }

    def json(self) -> dict[str, Json]:
        """Return everything, for machines."""
        folded = self.folded
        timers = {
            name: {kind: at, "armed": armed} for name, (kind, at, armed) in folded.timers.items()
        }
        return {
            "instance": folded.name,
            "machine": self.machine.name,
            "version": self.machine.version,
            "state": folded.state,
            "final": self.final,
            "data": folded.data,
            "timers": timers,
            "parked": [{"pos": pos, "event": event} for pos, event, _ in folded.parked],
            "created": folded.pos,
            "seq": folded.seq,
            "last": folded.last,
            "accepts": [event.name for event in self.accepts()],
        }


def open_reader(path: str | Path, anchor: str | Path | None = None) -> Reader:
    """Return a reader of the tape at `path`, which extends its anchor, or has none any more.

    Compared before anything else is read: an anchor that is written meanwhile signs what is there.
    Raises TapeRolledBack, TapeForked, AnchorInvalid, TapeDamaged, and what opening raises.
    """
    reader = Reader.open(Files.of(path, anchor))
    try:
        with suppress(AnchorMissing):
            reader.compare_anchor()
    except BaseException:
        reader.close()
        raise
    return reader


class Inspector:
    """A tape opened for looking: it stays as it was then, whatever others append meanwhile.

    Close it soon where others write: until then the tape's WAL cannot shrink.
    """

    def __init__(self, reader: Reader, *, owned: bool = False) -> None:
        """`owned`: closing the inspector closes the reader too."""
        self.reader = reader
        with ExitStack() as held:
            if owned:
                held.callback(reader.close)
            held.enter_context(reader.snapshot())
            self.world = open_world(reader, timers=False)
            self.names = Names(reader, self.world.tail())
            self._fresh: dict[int, list[int]] = {}
            for pos, owner in enumerate(self.world.window, self.world.window_base):
                if owner:
                    self._fresh.setdefault(owner, []).append(pos)
            self._held = held.pop_all()

    @classmethod
    def open(cls, path: str | Path, *, anchor: str | Path | None = None) -> Self:
        """Open the tape at `path` for reading; `anchor` says where that lies (default: beside it).

        Raises what `open_reader` raises.
        """
        return cls(open_reader(path, anchor), owned=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    # instances

    def find(self, name: str) -> str:
        """Return the full name of an instance, given whole or by its key alone.

        Raises InstanceUnknown, naming what comes near.
        """
        meant = self.named(name)
        if len(meant) == 1:
            return meant[0]
        grave = None if meant else self.grave(name)
        if grave is not None:
            raise self._unknown(grave.stone.name)
        near = meant or self.names.near(name)
        hint = f"did you mean {', '.join(near)}?" if near else "`statetape list` shows them all"
        why = f"{len(meant)} instances have the key" if meant else "no instance"
        raise InstanceUnknown(f"{why} {name!r} on this tape", hint=hint)

    def _unknown(self, name: str) -> InstanceUnknown:
        """Return the error for a name that no instance has, or has no more."""
        pos = self.world.gone_position(name)
        if pos is None:
            return InstanceUnknown(f"no instance {name!r} on this tape")
        why = f"{name} was collected (position {pos}): its hashes are kept, its entries are gone"
        return InstanceCollected(why, hint=f"`statetape show {name}` tells what is left of it")

    def grave(self, name: str) -> Grave | None:
        """Return what is left of a collected instance, named as in `find`; None: it is not one."""
        if self.names.meant(name):
            return None
        if self.world.gone_position(name) is not None:
            return grave(self.reader, self.world, name)
        ending = f"/{name}"
        found = [*projection.gone_ending(self.reader, ending, 2)] if self.world.any_gone else []
        found += [one for one in self.world.gone if one.endswith(ending)]
        return grave(self.reader, self.world, found[0]) if len(set(found)) == 1 else None

    def graves(self) -> list[Grave]:
        """Return what is left of every collected instance, by the position that created it."""
        return graves(self.reader, self.world)

    def named(self, name: str) -> list[str]:
        """Return the full names that `name` may mean: itself, or all that have it as their key."""
        return self.names.meant(name)

    def instances(self) -> list[Folded]:
        """Return every instance as it is now, by position."""
        folded = {row.pos: folded_of(row) for row in projection.instances(self.reader)}
        folded.update({one.pos: one for one in self.world.tail()})
        return [folded[pos] for pos in sorted(folded)]

    def fold_at(self, point: Point) -> list[Folded]:
        """Return every instance as it was at an earlier point, by position.

        A height is that of the chain whose heads the tape observed: everything up to the first
        head beyond it.
        """
        upto = 0
        for body in self.reader.read():
            entry = decode(body)
            beyond = entry.tape == HEAD if point.kind == "height" else True
            if beyond and not point.includes(entry):
                break
            upto = entry.pos
        folded = fold.fold(self.reader.read(1, upto))
        return [folded[pos] for pos in sorted(folded)]

    def seen(self, folded: Folded) -> Seen:
        """Return an instance with its machine."""
        return Seen(folded, self.world.machine(folded.spec))

    def show(self, name: str, point: Point | None = None) -> Seen:
        """Return an instance now, or at an earlier point. Raises InstanceUnknown."""
        instance = self.world.instance(name)
        if instance is None:
            raise self._unknown(name)
        if point is None:
            return self.seen(instance.folded())
        bodies = []
        for body in self.bodies(instance.pos):
            if not point.includes(decode(body)):
                break
            bodies.append(body)
        folded = fold.fold(bodies).get(instance.pos)
        if folded is None:
            why = f"{name} did not exist at {point.kind} {point.value}"
            raise InstanceUnknown(why, hint=f"it was created at position {instance.pos}")
        return self.seen(folded)

    # entries

    def positions(self, instance: int) -> list[int]:
        """Return the positions of an instance's entries."""
        return projection.positions(self.reader, instance) + self._fresh.get(instance, [])

    def histories(self, instances: Sequence[int]) -> dict[int, list[int]]:
        """Return the same positions of many instances, in few queries."""
        found = projection.positions_of(self.reader, instances)
        for instance in instances:
            found[instance] += self._fresh.get(instance, [])
        return found

    def bodies(self, instance: int) -> Iterator[bytes]:
        """Yield the bytes of an instance's entries, in order. Raises TapeDamaged.

        The index that finds them is only a projection, so what it finds is checked.
        """
        seq = 0
        positions = self.positions(instance)
        if any(one >= other for one, other in pairwise(positions)):
            raise projection.misled(instance)
        for start in range(0, len(positions), BATCH_ROWS):
            for body in self.reader.bodies_of(positions[start : start + BATCH_ROWS]):
                entry = decode(body)
                seq += 1
                if seq != entry.seq or instance not in (entry.instance, entry.pos):
                    raise projection.misled(instance)
                yield body
        found = self.world.instance_at(instance)
        if found is None or found.seq != seq:
            raise projection.misled(instance)

    def recent(self, instance: Folded, limit: int, keep: int) -> Recent:
        """Return what the last entries of an instance say: see `recent.recent`."""
        return recent(self.reader, instance, self._fresh.get(instance.pos, []), limit, keep)

    def history(self, name: str) -> list[Entry]:
        """Return an instance's entries; of a name that is none, or none any more, what it refused.

        Raises InstanceUnknown.
        """
        instance = self.world.instance(name)
        if instance is not None:
            return [decode(body) for body in self.bodies(instance.pos)]
        positions = self.reader.positions_where({"create": name, "name": name})
        if not positions and self.world.gone_position(name) is None:
            raise self._unknown(name)
        return [decode(body) for body in self.reader.bodies(positions)]

    def replay_bodies(self, name: str) -> list[bytes]:
        """Return what replaying one instance needs: its machine's entry and its own entries."""
        instance = self.world.instance(name)
        if instance is None:
            raise self._unknown(name)
        return list(self.reader.bodies([instance.spec, *self.positions(instance.pos)]))


def entry_json(entry: Entry) -> dict[str, Json]:
    """Return an entry for machines: its members, and the outcome that it does not spell out."""
    members: dict[str, Json] = msgspec.json.decode(msgspec.json.encode(entry))
    if entry.tape is None:
        members.setdefault("outcome", ACCEPTED)
    return members
