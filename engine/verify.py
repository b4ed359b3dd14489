"""Verify a whole tape: its evidence, then its projections against what the entries fold to.

The evidence is storage's to check. A projection is only as good as the entries that it came from,
so it is folded again from the first entry and compared row by row; without sound evidence there is
nothing to compare it with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..fsm.errors import StatetapeError
from ..storage import projection
from ..storage.errors import TapeDamaged
from ..storage.projection import InstanceRow
from ..storage.reader import Reader
from ..storage.verify import Finding
from ..storage.verify import verify as verify_evidence
from .loading import machine_of, row_of
from .world import Nothing, World

__all__ = ["Finding", "verify"]

Progress = Callable[[int], None]


def verify(reader: Reader, progress: Progress = lambda _: None) -> list[Finding]:
    """Return everything that is wrong with a tape; an empty list means sound."""
    findings = verify_evidence(reader, progress)
    if not findings:
        try:
            with reader.snapshot():
                findings = list(_projections(reader))
        except StatetapeError as error:
            findings = [Finding(error.place, error.message)]
    return findings


def _projections(reader: Reader) -> Iterator[Finding]:
    """Compare every projected table with a fold of the entries."""
    upto = projection.projected(reader)
    for name in projection.cursors(reader):
        projection.cursor(reader, name)
    world = World(Nothing(), machine_of)
    world.absorb(reader.read(1, upto))
    expected = {folded.pos: row_of(folded) for folded in world.tail()}
    yield from _instances(reader, expected)
    yield from _history(reader, world, set(expected))
    yield from _pairs("idempotency", dict(projection.keys(reader)), world.keys)
    yield from _pairs("head", projection.heads(reader), world.heads)
    stored = {pos: (digest, chain) for pos, digest, chain in projection.specs(reader)}
    rows = {pos: (digest, chain) for pos, _, digest, chain in world.spec_rows}
    yield from _pairs("spec", stored, rows)


def _instances(reader: Reader, expected: dict[int, InstanceRow]) -> Iterator[Finding]:
    found = set()
    try:
        for row in projection.instances(reader):
            found.add(row.pos)
            if expected.get(row.pos) != row:
                place = f"table instance, row {row.pos}"
                yield Finding(place, "it is not what the entries fold to")
    except TapeDamaged as damage:
        yield Finding(damage.place, damage.message)
        return
    for pos in sorted(expected.keys() - found):
        yield Finding(f"table instance, row {pos}", "the row is missing")


def _history(reader: Reader, world: World, instances: set[int]) -> Iterator[Finding]:
    expected: dict[int, list[int]] = {pos: [] for pos in instances}
    for pos, owner in enumerate(world.window, 1):
        if owner:
            expected[owner].append(pos)
    for instance in sorted(instances | set(projection.indexed(reader))):
        if projection.positions(reader, instance) != expected.get(instance):
            place = f"table history, instance {instance}"
            yield Finding(place, "it does not lead to the instance's entries")


def _pairs(table: str, stored: dict, expected: dict) -> Iterator[Finding]:  # type: ignore[type-arg]
    for key in sorted(stored.keys() | expected.keys(), key=str):
        if stored.get(key) != expected.get(key):
            why = f"{stored.get(key)} is stored, the entries give {expected.get(key)}"
            yield Finding(f"table {table}, row {key}", why)
