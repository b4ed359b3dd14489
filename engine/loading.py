"""From the tape's files to a world in memory, and back to its projection."""

from __future__ import annotations

import functools
from dataclasses import replace

import msgspec

from ..fsm.entry import HEAD, HOLD, Entry, decode
from ..fsm.fold import Folded
from ..fsm.load import load
from ..fsm.machine import Machine
from ..storage import projection
from ..storage.projection import InstanceRow, Projection
from ..storage.reader import Reader
from ..storage.tape import Tape
from . import catalogue
from .recording import machine_entry
from .world import Held, World, check_format, key_scope, spec_row, text

REFUSED = ""
"""Beside the timers of a projected instance, under no timer's name: its last refusal."""


MACHINES_KEPT = 32
"""Compiled machines of tapes that are kept: who replays many tapes meets the same texts again."""


def machine_of(entry: Entry) -> Machine:
    """Return the machine whose text an entry of the tape holds."""
    return _machine(entry.text or "", f"entry {entry.pos}")


@functools.lru_cache(maxsize=MACHINES_KEPT)
def _machine(text: str, file: str) -> Machine:
    return load(text, file, catalogue.library)


def spec_entry(entry: Entry, machine: Machine) -> Entry:
    """Return what a `spec` entry has to say whose text is that of `machine`.

    Where it names functions that this version has otherwise, the digest covers those: text and
    digest prove each other all the same.
    """
    theirs = entry.functions
    if theirs and machine.functions_digest not in ("", theirs):
        machine = load(
            machine.text,
            f"entry {entry.pos}",
            lambda module: replace(catalogue.library(module), digest=theirs),
        )
    told = machine_entry(machine, entry.at)
    told.pos = entry.pos
    return told


class Projected:
    """A world's source: the projections and entries of a tape."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def by_name(self, name: str) -> Folded | None:
        """Return an instance as projected."""
        row = projection.instance_by_name(self.reader, name)
        return folded_of(row) if row else None

    def by_pos(self, pos: int) -> Folded | None:
        """Return an instance as projected."""
        row = projection.instance_by_pos(self.reader, pos)
        return folded_of(row) if row else None

    def key_position(self, instance: int, key: str) -> int | None:
        """Return the position of the entry that took an idempotency key."""
        pos = projection.key_position(self.reader, instance, key)
        if pos is not None:
            entry = _entry(self.reader, pos, "idempotency")
            _agree((instance, key), key_scope(entry), "idempotency", str(instance))
        return pos

    def gone_position(self, name: str) -> int | None:
        """Return the position of the entry that says that an instance was collected."""
        return projection.gone_position(self.reader, name)

    def body(self, pos: int) -> bytes:
        """Return the bytes of an entry."""
        return next(self.reader.bodies([pos]))


def folded_of(row: InstanceRow) -> Folded:
    """Return an instance from its projected row."""
    folded = Folded(row.pos, row.name, row.spec, row.state, msgspec.json.decode(row.data))
    folded.seq = row.seq
    folded.last = row.last
    if row.timers:
        timers = msgspec.json.decode(row.timers)
        refused = timers.pop(REFUSED, None)
        folded.refused = tuple(refused) if refused else None
        folded.timers = {name: (kind, at, armed) for name, (kind, at, armed) in timers.items()}
    if row.parked:
        parked = msgspec.json.decode(row.parked)
        folded.parked = tuple((pos, event, params) for pos, event, params in parked)
    return folded


def row_of(folded: Folded) -> InstanceRow:
    """Return the row that projects an instance."""
    timers: dict[str, object] = dict(folded.timers)
    if folded.refused is not None:
        timers[REFUSED] = folded.refused
    return InstanceRow(
        folded.pos,
        folded.name,
        folded.spec,
        folded.state,
        folded.seq,
        folded.last,
        text(folded.data),
        text(timers) if timers else None,
        text(folded.parked) if folded.parked else None,
    )


def open_world(reader: Reader, *, timers: bool = True) -> World:
    """Return the world of a tape: its projections, and what they lack folded in.

    `timers`: put every armed timer among the deadlines; who only looks does without, since that
    reads every instance that has one.
    """
    world = World(Projected(reader), machine_of)
    world.size = projection.projected(reader)
    if world.size:
        check_format(decode(next(reader.bodies([1])), "entry 1"))
    world.window_base = world.size + 1
    for chain, (height, pos) in projection.heads(reader).items():
        entry = _entry(reader, pos, "head")
        recorded = (entry.tape, entry.chain, int(entry.height or 0))
        _agree((HEAD, chain, height), recorded, "head", chain)
        world.heads[chain] = (height, pos)
    for spec in projection.specs(reader):
        entry = _entry(reader, spec.pos, "spec")
        _agree(spec, spec_row(entry), "spec", str(spec.pos))
        world.specs[spec.digest] = spec.pos
        world.chains[spec.pos] = spec.chain
    for name, pos in projection.holds(reader).items():
        entry = _entry(reader, pos, "hold")
        _agree((HOLD, name), (entry.tape, entry.name), "hold", name)
        world.holds[name] = Held(pos, entry.text or "", entry.by)
    world.any_gone = projection.any_gone(reader)
    if timers:
        for row in projection.instances(reader, with_timers=True):
            world.arm_folded(folded_of(row))
    world.absorb(reader.read(world.size + 1))
    return world


def _entry(reader: Reader, pos: int, table: str) -> Entry:
    body = reader.body(pos)
    if body is None:
        raise projection.damaged(f"it names entry {pos}, which is not there", f"table {table}")
    return decode(body, f"entry {pos}")


def _agree(projected: object, recorded: object, table: str, row: str) -> None:
    """A projected row must say what its entry says: decisions rest on it."""
    if projected != recorded:
        why = f"{projected} is projected, {recorded} was recorded"
        raise projection.damaged(why, f"table {table}, row {row}")


def _position(held: Held | None) -> int | None:
    return held.pos if held else None


def store(tape: Tape, world: World) -> None:
    """Store what changed since the last flush, inside the tape's running transaction.

    Another process may have projected part of our window already: that part is left out, so that
    no position stands twice in an instance's history.
    """
    already = projection.projected(tape) - (world.window_base - 1)
    skip = max(0, already)
    projection.store(
        tape,
        Projection(
            upto=world.size,
            instances=[row_of(folded) for folded in world.tail()],
            window_base=world.window_base + skip,
            window=world.window[skip:],
            keys=[(scope, key, pos) for (scope, key), pos in world.keys.items()],
            heads=world.heads,
            specs=world.spec_rows,
            gone=world.gone,
            holds={name: _position(world.holds.get(name)) for name in sorted(world.held)},
        ),
    )
