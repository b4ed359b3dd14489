"""What if: one instance's history decided again with changes, and compared with the record.

Changes: another machine, commands left out, commands added, an earlier end. Nothing of it is
written to the tape; see engine/playing.py for what is given to the ledger, engine/pairing.py for
how the two sides are compared. Without changes every member of every entry is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from ..fsm import fold
from ..fsm.decide import ACCEPTED, PARKED, REJECTED
from ..fsm.entry import Entry, decode
from ..fsm.errors import CallerError
from ..fsm.fold import Folded
from ..fsm.machine import Machine
from ..fsm.types import Json, exact_int
from .commands import InstanceUnknown
from .inspect import Inspector, Point
from .pairing import Pairing, Step
from .playing import Head, Insertion, Play, Record


class ChangeInvalid(CallerError):
    """A change that this history has no place for: nothing to drop there, or to insert before."""

    code = "change-invalid"


@dataclass(frozen=True)
class Changes:
    """What is to be otherwise than recorded. `until`: only what was up to this point."""

    machine: Machine | None = None
    drop: Sequence[int] = ()
    insert: Sequence[Insertion] = ()
    until: Point | None = None

    def __bool__(self) -> bool:
        """Whether anything but the end is to be otherwise."""
        return bool(self.machine or self.drop or self.insert)


@dataclass(frozen=True)
class End:
    """Where a history ends. `state` None: there is no instance. `data` is in JSON form.

    `parked` are positions and events; `outcomes` and `refused` count entries, the latter by the
    kind of refusal.
    """

    state: str | None
    data: Mapping[str, Json]
    parked: tuple[tuple[int, str], ...]
    outcomes: Mapping[str, int]
    refused: Mapping[str, int]


@dataclass(frozen=True)
class WhatIf:
    """What became of a history with changes, beside what was recorded.

    `machine` decided the record, `other` the what-if; `fields` are the data fields of both.
    """

    name: str
    machine: Machine
    other: Machine
    fields: frozenset[str]
    steps: list[Step]
    recorded: End
    end: End
    bodies: list[bytes] = field(repr=False)
    """The entries of the what-if under its own positions, for folding."""

    @property
    def differences(self) -> list[Step]:
        """The steps whose outcomes differ, in order; what was dropped or inserted is none."""
        return [step for step in self.steps if step.different]

    @property
    def first_difference(self) -> Step | None:
        """The first step whose outcome differs."""
        return next((step for step in self.steps if step.different), None)

    def standing(self) -> Iterator[tuple[Step, Folded | None]]:
        """Yield every step, and the instance after it in the what-if.

        It is one object that goes on with the steps: look at it before you take the next.
        """
        bodies = iter(self.bodies)
        folded: Folded | None = None
        for step in self.steps:
            if step.decided is not None:
                entry = fold.step(next(bodies))
                if folded is not None:
                    folded.apply(entry)
                elif entry.create is not None and entry.outcome is None:
                    folded = fold.begin(entry)
            yield step, folded

    @property
    def same_end(self) -> bool:
        """Whether both end in the same state, with the same data, and with the same parked."""
        ends = [
            (end.state, {name: end.data.get(name) for name in self.fields}, end.parked)
            for end in (self.recorded, self.end)
        ]
        return ends[0] == ends[1]

    @property
    def same(self) -> bool:
        """Whether no outcome differs, and both end alike."""
        return self.first_difference is None and self.same_end


def what_if(inspector: Inspector, name: str, changes: Changes) -> WhatIf:
    """Return what would have become of an instance. Raises InstanceUnknown, ChangeInvalid."""
    record = read_record(inspector, name, changes.machine)
    until = _last(record, changes.until)
    _check(inspector, record, changes, until)
    machine = changes.machine or record.machine
    fields = frozenset(record.machine.fields) & frozenset(machine.fields)
    spec = next(iter(record.entries.values())).spec if machine is record.machine else None
    pairing = Pairing(record.size, fields if changes else None, spec)
    drop, changed = frozenset(changes.drop), bool(changes)
    play = Play(record, machine, pairing, drop, changes.insert, changed=changed)
    play.run(_end_of_turn(record, until), on=changed and changes.until is None)
    steps = _steps_until(pairing.steps, until)
    decided = [step.decided for step in steps if step.decided is not None]
    # Steps are in the order of the what-if's own entries, so that their number leads to these.
    bodies = play.bodies[: len(decided)]
    past = [one for one in record.entries.values() if one.pos <= until]
    return WhatIf(
        name=name,
        machine=record.machine,
        other=machine,
        fields=fields,
        steps=steps,
        recorded=_end(past, record.bodies[: len(past)], {}),
        end=_end(decided, bodies, pairing.positions),
        bodies=bodies,
    )


def read_record(inspector: Inspector, name: str, other: Machine | None = None) -> Record:
    """Return what the tape holds of an instance, for its machine or for another."""
    instance = inspector.world.instance(name)
    if instance is None:
        raise InstanceUnknown(f"no instance {name!r} on this tape")
    bodies = list(inspector.bodies(instance.pos))
    entries = [decode(body) for body in bodies]
    size = inspector.world.size
    last = decode(next(inspector.reader.bodies([size])))
    return Record(
        name=name,
        machine=instance.machine,
        bodies=bodies,
        entries={entry.pos: entry for entry in entries},
        heads=_heads(inspector, (other or instance.machine).chain),
        size=size,
        end=last.happened,
    )


def _heads(inspector: Inspector, chain: str | None) -> list[Head]:
    """Return the heads of a chain that the tape observed."""
    if chain is None or chain not in inspector.world.heads:
        return []
    # In canonical form `tape` is the last member of a head, and of no other entry.
    found = [decode(body) for body in inspector.reader.bodies_ending('"tape":"head"}')]
    return [
        Head(entry.pos, exact_int(entry.height) or 0, entry.happened)
        for entry in found
        if entry.chain == chain
    ]


def _last(record: Record, until: Point | None) -> int:
    """Return the position of the instance's last entry up to a point."""
    entries = record.entries.values()
    if until is None:
        return next(reversed(record.entries))
    past = [entry.pos for entry in takewhile(until.includes, entries)]
    if not past:
        first = next(iter(entries)).pos
        why = f"{record.name} did not exist at {until.kind} {until.value}"
        raise InstanceUnknown(why, hint=f"it was created at position {first}")
    return past[-1]


def _end_of_turn(record: Record, until: int) -> int:
    """Return the position of the last entry that followed at once from those up to `until`."""
    clock = record.entries[until].happened
    for entry in record.entries.values():
        if entry.pos > until:
            if not record.follows(entry) or entry.happened != clock:
                break
            until = entry.pos
    return until


def _steps_until(steps: list[Step], until: int) -> list[Step]:
    """Return the steps before the first one that the record has beyond `until`."""

    def within(step: Step) -> bool:
        return step.recorded is None or step.recorded.pos <= until

    return list(takewhile(within, steps))


def _end(entries: Iterable[Entry], bodies: Iterable[bytes], positions: Mapping[int, int]) -> End:
    """Return where entries lead; `positions`: how the positions in `bodies` are told."""
    folded = next(iter(fold.fold(bodies).values()), None)
    outcomes = Counter(entry.outcome or ACCEPTED for entry in entries)
    refused = Counter(
        str(entry.reason["kind"]) for entry in entries if entry.outcome == REJECTED and entry.reason
    )
    if folded is None:
        return End(None, {}, (), outcomes, refused)
    parked = tuple((positions.get(pos, pos), event) for pos, event, _ in folded.parked)
    return End(folded.state, folded.data, parked, outcomes, refused)


def _check(inspector: Inspector, record: Record, changes: Changes, until: int) -> None:
    """Raise ChangeInvalid where a change has no place in this history."""
    first = next(iter(record.entries))
    for pos in changes.drop:
        entry = _place(inspector, record, pos, until)
        if pos == first:
            why = f"position {pos} created {record.name}: without it there is no history"
            raise ChangeInvalid(why, hint="another machine may begin it otherwise: --with-spec")
        if record.follows(entry):
            hint = "drop what it follows from, or insert what prevents it"
            raise ChangeInvalid(f"{_told(entry)} followed by itself", hint=hint)
    for insertion in changes.insert:
        if insertion.before is None:
            continue
        entry = _place(inspector, record, insertion.before, until)
        if entry.pos == first:
            why = f"before position {first} there is no {record.name} that could take an event"
            raise ChangeInvalid(why)
        if record.follows(entry) and entry.timer is None:
            hint = "insert before the command that it follows from, or before the next one"
            raise ChangeInvalid(f"{_told(entry)} followed at once, by itself", hint=hint)


def _place(inspector: Inspector, record: Record, pos: int, until: int) -> Entry:
    """Return the instance's entry at a position, or raise ChangeInvalid."""
    entry = record.entries.get(pos)
    hint = f"`statetape history {record.name}` shows the positions of its entries"
    if entry is None:
        if not 0 < pos <= record.size:
            why = f"there is no position {pos}: the tape ends at {record.size}"
            raise ChangeInvalid(why, hint=hint)
        found = decode(next(inspector.reader.bodies([pos])))
        owner = inspector.world.instance_at(found.instance or pos)
        whose = owner.name if owner else found.name or found.create or "the tape itself"
        raise ChangeInvalid(f"position {pos} belongs to {whose}, not to {record.name}", hint=hint)
    if pos > until:
        raise ChangeInvalid(f"position {pos} lies beyond the point that is replayed up to")
    return entry


def _told(entry: Entry) -> str:
    """Return in words what an entry is that followed by itself."""
    if entry.timer is not None and not entry.timer.startswith(PARKED):
        return f"position {entry.pos}, the firing of timer {entry.timer},"
    if entry.offer is not None:
        return f"position {entry.pos}, {entry.event} parked at {entry.offer},"
    return f"position {entry.pos}, {entry.event} raised at {entry.raised},"
