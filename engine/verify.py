"""Verify a whole tape: its evidence, then its projections against what the entries fold to.

The evidence is storage's to check. A projection is only as good as the entries that it came from,
so it is folded again from the first entry and compared row by row; without sound evidence there is
nothing to compare it with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from ..storage import projection
from ..storage import verify as evidence
from ..storage.projection import InstanceRow
from ..storage.reader import Reader
from ..storage.verify import FINDINGS_MAX, Finding, listed
from . import collection
from .loading import machine_of, row_of
from .world import Nothing, World

__all__ = ["Finding", "findings", "verify"]

Progress = Callable[[int], None]


def verify(reader: Reader, progress: Progress = lambda _: None) -> list[Finding]:
    """Return everything that is wrong with a tape; an empty list means sound."""
    return list(islice(findings(reader, progress), FINDINGS_MAX))


def findings(reader: Reader, progress: Progress = lambda _: None) -> Iterator[Finding]:
    """Yield what `verify` lists, as it is found."""
    sound = True
    for finding in evidence.findings(reader, progress):
        sound = False
        yield finding
    if sound:
        with reader.snapshot():
            yield from listed(collection.findings(reader), _projections(reader))


def _projections(reader: Reader) -> Iterator[Finding]:
    """Compare every projected table with a fold of the entries."""
    projection.cursors(reader)
    world = World(Nothing(), machine_of)
    world.absorb(reader.read(1, projection.projected(reader)))
    expected = {folded.pos: row_of(folded) for folded in world.tail()}
    specs = {row.pos: row for row in world.spec_rows}
    held = {name: one.pos for name, one in world.holds.items()}
    yield from listed(
        _instances(reader, expected),
        _history(reader, world, set(expected)),
        _pairs("idempotency", lambda: dict(projection.keys(reader)), world.keys),
        _pairs("head", lambda: projection.heads(reader), world.heads),
        _pairs("gone", lambda: projection.gone(reader), world.gone),
        _pairs("hold", lambda: projection.holds(reader), held),
        _pairs("spec", lambda: {row.pos: row for row in projection.specs(reader)}, specs),
    )


def _instances(reader: Reader, expected: dict[int, InstanceRow]) -> Iterator[Finding]:
    found = set()
    for row in projection.instances(reader):
        found.add(row.pos)
        if expected.get(row.pos) != row:
            place = f"table instance, row {row.pos}"
            yield Finding(place, "it is not what the entries fold to")
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


def _pairs(
    table: str, read: Callable[[], Mapping[Any, object]], expected: Mapping[Any, object]
) -> Iterator[Finding]:
    stored = read()
    for key in sorted(stored.keys() | expected.keys(), key=str):
        if stored.get(key) != expected.get(key):
            why = f"{stored.get(key)} is stored, the entries give {expected.get(key)}"
            yield Finding(f"table {table}, row {key}", why)
