"""Verify: every stored byte of evidence against every other, with the place of each damage.

Order: the schema, SQLite's own structure, then in one pass over the entries their positions,
CRCs, tree nodes and checkpoints, and last the anchor. All findings are listed, not only the
first. Rehashing is the only test that sees a changed entry: SQLite's integrity check sees page
structure, not content.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..fsm.errors import StatetapeError
from .checksum import crc32
from .connection import named
from .errors import NoteInvalid, TapeDamaged
from .merkle import Edge, Node, leaf_hashes
from .note import VerifierKey, open_note, parse_checkpoint
from .reader import Reader, Row, missing
from .schema import expected_schema

FINDINGS_MAX = 1000

Progress = Callable[[int], None]
"""Called with the position reached."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: where, and what."""

    place: str
    message: str


def verify(reader: Reader, progress: Progress = lambda _: None) -> list[Finding]:
    """Return everything that is wrong with the evidence of a tape; an empty list means sound.

    Projections are compared by the engine, which can fold. At most FINDINGS_MAX are listed.
    """
    findings: list[Finding] = []
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _schema(reader),
        lambda: _structure(reader),
        lambda: verify_entries(reader, progress),
        lambda: _anchor(reader),
    )
    for check in checks:
        try:
            for finding in check():
                if len(findings) < FINDINGS_MAX and finding not in findings:
                    findings.append(finding)
        except TapeDamaged as damage:
            findings.append(Finding(damage.place, damage.message))
    return findings


def _schema(reader: Reader) -> Iterator[Finding]:
    """Tables and triggers are exactly those of this version."""
    expected = expected_schema()
    found = {}
    for name, sql in reader.query("SELECT name, sql FROM sqlite_schema"):
        if sql is not None and not str(name).startswith(("_sqlite_migrations", "idx__sqlite")):
            found[str(name)] = str(sql)
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            why = "is missing" if name not in found else "is not what this version makes"
            why = "does not belong to a tape" if name not in expected else why
            yield Finding(f"schema {name}", f"{name} {why}")


def _structure(reader: Reader) -> Iterator[Finding]:
    """SQLite's own check of pages, records and indexes."""
    try:
        rows = reader.db.execute("PRAGMA integrity_check(100)").fetchall()
    except sqlite3.Error as error:
        yield Finding(str(reader.files.tape), named(error, reader.files.tape).message)
        return
    for (said,) in rows:
        for line in str(said).splitlines():
            if line != "ok" and not line.startswith("*** in database"):
                yield Finding("page structure", line)


def verify_entries(reader: Reader, progress: Progress = lambda _: None) -> Iterator[Finding]:
    """Yield what is wrong with entries, tree nodes and checkpoints, in one pass."""
    edge = Edge()
    keys = reader.signers()
    checkpoints = {int(s): str(n) for s, n in reader.query("SELECT size, note FROM checkpoint")}
    nodes: dict[tuple[int, int], bytes] = {
        (level, idx): root for level, idx, root in reader.query("SELECT * FROM node")
    }
    for page in reader.rows():
        yield from _page(page, edge, nodes, checkpoints, keys)
        progress(edge.size)
    for level, idx in sorted(nodes):
        yield Finding(f"table node, level {level}, index {idx}", "a node beyond the entries")
    for size in sorted(checkpoints):
        yield Finding(f"checkpoint {size}", f"the tape has {edge.size} entries, this signs {size}")


def _page(
    page: list[Row],
    edge: Edge,
    nodes: dict[tuple[int, int], bytes],
    checkpoints: dict[int, str],
    keys: list[VerifierKey],
) -> Iterator[Finding]:
    """Check one page of rows, in runs that end where a checkpoint must be compared."""
    if page[0][0] != edge.size + 1 or page[-1][0] != edge.size + len(page):
        raise TapeDamaged("an entry is missing", place=f"entry {missing(page, edge.size + 1)}")
    bodies = [body for _, body, _ in page]
    if list(map(crc32, bodies)) != [crc for _, _, crc in page]:
        for pos, body, crc in page:
            if crc32(body) != crc:
                yield Finding(f"entry {pos}", "the stored bytes changed")
    hashes = leaf_hashes(bodies)
    base = edge.size
    end = base + len(hashes)
    for size in sorted({end}.union(size for size in checkpoints if base < size < end)):
        for node in edge.extend(hashes[edge.size - base : size - base]):
            yield from _node(node, nodes)
        if size in checkpoints:
            yield from _checkpoint(checkpoints.pop(size), edge, keys)


def _node(node: Node, nodes: dict[tuple[int, int], bytes]) -> Iterator[Finding]:
    level, idx, root = node
    stored = nodes.pop((level, idx), None)
    if stored != root:
        first, last = (idx << level) + 1, (idx + 1) << level
        why = "is missing" if stored is None else "does not fit the entries"
        place = f"table node, level {level}, index {idx}"
        yield Finding(place, f"the tree node over entries {first} to {last} {why}")


def _checkpoint(note: str, edge: Edge, keys: list[VerifierKey]) -> Iterator[Finding]:
    place = f"checkpoint {edge.size}"
    try:
        checkpoint = parse_checkpoint(open_note(note.encode(), keys))
    except NoteInvalid as error:
        yield Finding(place, error.message)
        return
    if checkpoint.size != edge.size:
        yield Finding(place, f"it signs {checkpoint.size} entries")
    elif checkpoint.root != edge.root():
        yield Finding(place, f"the first {edge.size} entries are not those that were signed")


def _anchor(reader: Reader) -> Iterator[Finding]:
    """The tape extends its anchor."""
    try:
        reader.compare_anchor()
    except StatetapeError as error:
        yield Finding(error.place, error.message)
