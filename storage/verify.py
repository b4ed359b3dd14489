"""Verify: every stored byte of evidence against every other, with the place of each damage.

Order: the schema, SQLite's own structure, then in one pass over the entries their positions,
CRCs, tree nodes and checkpoints, and last the anchor. All findings are listed, not only the
first. Rehashing is the only test that sees a changed entry: SQLite's integrity check sees page
structure, not content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from ..fsm.errors import OperatorError, PeerError
from . import cosignatures
from .errors import NoteInvalid
from .merkle import WIDTH, Edge, Node
from .note import open_note, parse_checkpoint
from .reader import Reader
from .schema import RECORD, VERSION, expected_schema
from .survey import Survey, surveys
from .verifier import VerifierKey

FINDINGS_MAX = 1000

Progress = Callable[[int], None]
"""Called with the position reached."""
Nodes = dict[tuple[int, int], bytes]
"""(level, index) → root, as stored."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: where, and what."""

    place: str
    message: str


def verify(reader: Reader, progress: Progress = lambda _: None) -> list[Finding]:
    """Return everything that is wrong with the evidence of a tape; an empty list means sound.

    Projections are compared by the engine, which can fold. At most FINDINGS_MAX are listed.
    """
    return list(islice(findings(reader, progress), FINDINGS_MAX))


def findings(reader: Reader, progress: Progress = lambda _: None) -> Iterator[Finding]:
    """Yield what `verify` lists, as it is found."""
    return listed(
        _schema(reader), _structure(reader), verify_entries(reader, progress), _anchor(reader)
    )


def listed(*checks: Iterator[Finding]) -> Iterator[Finding]:
    """Yield what each check finds, once; an error that ends a check is a finding too."""
    found = set()
    for check in checks:
        try:
            for finding in check:
                if finding not in found:
                    found.add(finding)
                    yield finding
        except (OperatorError, PeerError) as error:
            yield Finding(error.place, error.message)


def _schema(reader: Reader) -> Iterator[Finding]:
    """Tables and triggers are exactly those of the version that the tape says it has."""
    [[version]] = reader.query("PRAGMA user_version")
    if not 0 < version <= VERSION:
        yield Finding("header", f"user_version is {version}, and this version writes {VERSION}")
        version = VERSION
    expected = expected_schema(version)
    rows = reader.table("sqlite_schema", "type, name, sql", tuple[str, str, str | None])
    found = {(name, sql) for kind, name, sql in rows if sql and (kind, name) not in RECORD}
    for name, _ in sorted(found - expected.items()):
        why = "is not what was made" if name in expected else "does not belong to a tape"
        yield Finding(f"schema {name}", f"{name} {why}")
    for name in sorted(expected.keys() - {name for name, _ in found}):
        yield Finding(f"schema {name}", f"{name} is missing")


def _structure(reader: Reader) -> Iterator[Finding]:
    """SQLite's own check of pages, records and indexes."""
    for (said,) in reader.query("PRAGMA integrity_check(100)"):
        for line in str(said).splitlines():
            if line != "ok" and not line.startswith("*** in database"):
                yield Finding("page structure", line)


def verify_entries(reader: Reader, progress: Progress = lambda _: None) -> Iterator[Finding]:
    """Yield what is wrong with entries, tree nodes and checkpoints, in one pass."""
    keys = reader.signers()
    with reader.snapshot():
        size = reader.stored_size()
        notes = dict(reader.table("checkpoint", "size, note", tuple[int, str]))
        stored = reader.table("node", "level, idx, root", tuple[int, int, bytes])
        nodes: Nodes = {(level, idx): root for level, idx, root in stored}
        early = reader.query("SELECT pos FROM entry WHERE pos < 1 ORDER BY pos")
    for (pos,) in early:
        yield Finding(f"entry {pos}", "an entry before the first")
    edge = Edge()
    broken = False
    for found in surveys(reader, size):
        for place, message in found.findings:
            yield Finding(place, message)
        broken = broken or found.broken
        if not broken:
            yield from _tree(found, edge, nodes, notes, keys)
            progress(max(found.tails))
    if broken:
        return
    for level, idx in sorted(nodes):
        yield Finding(f"table node, level {level}, index {idx}", "a node beyond the entries")
    yield from _tiles(reader)
    for place, message in cosignatures.problems(reader):
        yield Finding(place, message)
    for beyond in sorted(notes):
        yield Finding(f"checkpoint {beyond}", f"the tape has {size} entries, this signs {beyond}")


def _tiles(reader: Reader) -> Iterator[Finding]:
    """Tiles and marks of shrunk blocks are of complete blocks, and of a block there is one.

    As of now: while the entries were read, others may have appended and collected.
    """
    if not reader.collects:
        return
    for table in ("tile", "shrunk"):
        rest = "WHERE idx < 0 OR idx >= (SELECT max(pos) FROM entry) / 256 ORDER BY idx"
        for (idx,) in reader.table(table, "idx", tuple[int], rest):
            yield Finding(f"table {table}, row {idx}", "there is no complete block of this number")
    both = "WHERE idx IN (SELECT idx FROM tile) ORDER BY idx"
    for (idx,) in reader.table("shrunk", "idx", tuple[int], both):
        yield Finding(f"table shrunk, row {idx}", "the block is marked as shrunk, and has a tile")
    there = "WHERE EXISTS (SELECT 1 FROM entry WHERE pos BETWEEN idx * 256 + 1 AND idx * 256 + 256)"
    for (idx,) in reader.table("shrunk", "idx", tuple[int], there):
        yield Finding(f"table shrunk, row {idx}", "the block is marked as shrunk, and has entries")


def notes(reader: Reader) -> list[str]:
    """Return what nobody can check any more, in words: none of it is a finding.

    The root of a checkpoint within a shrunk block cannot be computed again; its signature can.
    """
    if not reader.collects:
        return []
    within = "SELECT count(*) FROM checkpoint JOIN shrunk ON size >> 8 = idx WHERE size & 255 <> 0"
    [(count,)] = reader.query(within)
    if not count:
        return []
    lie = "1 checkpoint lies" if count == 1 else f"{count} checkpoints lie"
    why = "the signature was checked, and the root cannot be computed again"
    return [f"{lie} within blocks whose leaf hashes were shrunk: {why}"]


def _tree(
    found: Survey, edge: Edge, nodes: Nodes, notes: dict[int, str], keys: list[VerifierKey]
) -> Iterator[Finding]:
    """Grow the tree by one stripe, and compare it with the stored nodes and checkpoints."""
    roots = iter(found.roots)
    for cut, tail in sorted(found.tails.items()):
        for root in islice(roots, (cut - edge.size) // WIDTH):
            for node in edge.add_root(root, 1):
                yield from _node(node, nodes)
        if cut in notes:
            whole = None if tail is None else Edge(cut, [tail, *edge.levels[1:]])
            yield from _checkpoint(notes.pop(cut), cut, whole, keys)


def _node(node: Node, nodes: Nodes) -> Iterator[Finding]:
    level, idx, root = node
    stored = nodes.pop((level, idx), None)
    if stored != root:
        first, last = (idx << level) + 1, (idx + 1) << level
        why = "is missing" if stored is None else "does not fit the entries"
        place = f"table node, level {level}, index {idx}"
        yield Finding(place, f"the tree node over entries {first} to {last} {why}")


def _checkpoint(
    note: str, size: int, edge: Edge | None, keys: list[VerifierKey]
) -> Iterator[Finding]:
    """Compare a checkpoint with the tree; without an edge, its block was shrunk: see `notes`."""
    place = f"checkpoint {size}"
    try:
        checkpoint = parse_checkpoint(open_note(note.encode(), keys))
    except NoteInvalid as error:
        yield Finding(place, error.message)
        return
    if checkpoint.size != size:
        yield Finding(place, f"it signs {checkpoint.size} entries")
    elif edge is not None and checkpoint.root != edge.root():
        yield Finding(place, f"the first {size} entries are not those that were signed")


def _anchor(reader: Reader) -> Iterator[Finding]:
    """The tape extends its anchor, and holds the checkpoint that the anchor is a copy of."""
    anchor = reader.compare_anchor()
    kept = "SELECT 1 FROM checkpoint WHERE size = ?"
    if anchor.size and not reader.query(kept, (anchor.size,)):
        yield Finding(f"checkpoint {anchor.size}", "it is in the anchor, and gone from the tape")
