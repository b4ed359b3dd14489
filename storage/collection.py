"""Take entries off a tape for good, and keep every proof: their leaf hashes stay.

Theory of operation.

C1  `prepare` reads what is to go and checks it: CRCs, and the leaf hashes of its blocks of 256
    against the stored root. What is damaged is not collected: it would take the evidence of the
    damage along.
C2  `remove` runs inside the transaction that appends the entries which say what went: first the
    tiles, then the deletions. So a crash leaves all of a batch, or nothing of it.
C3  The entries of one block may go in several batches. Its tile is written with the first.
C4  `shrink` takes away the tile of a block that has no entry left; the block's root stays, and so
    does every proof that does not lead into the block.
C5  Deleted bytes are overwritten (secure_delete), and `compact` rewrites the file and empties the
    WAL: after it no byte of a collected entry is in the tape's files. A crash before that leaves
    them for the next `compact`.

Which entries may go is for whoever knows what they mean: engine/collection.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from .connection import SQLITE_ERRORS, named
from .errors import RESTORE, StoreFailed, TapeDamaged
from .merkle import WIDTH, WIDTH_BITS, complete_root, leaf_hashes
from .reader import Reader, sound, split
from .schema import authorize, authorize_collection
from .tape import Tape
from .verifier import leaf_hash


@dataclass
class Prepared:
    """What is to go: the tiles to write first, and the bytes of the entries, by position."""

    tiles: dict[int, bytes] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)


def prepare(tape: Tape, positions: Sequence[int]) -> Prepared:
    """Return what collecting the entries at `positions`, which ascend, takes; within a turn.

    Raises TapeDamaged where what is stored is not what was hashed, or not there.
    """
    found = Prepared()
    for idx, group in groupby(positions, lambda pos: (pos - 1) // WIDTH):
        first, last = idx * WIDTH + 1, (idx + 1) * WIDTH
        there = {row[0]: sound(*row) for page in tape.rows(first, last) for row in page}
        known = tape.tiles(idx, idx).get(idx)
        if known is None:
            if len(there) != WIDTH:
                raise _damaged(f"entries {first} to {last}", "some are missing")
            hashes = leaf_hashes([there[pos] for pos in range(first, last + 1)])
            if [complete_root(hashes)] != tape.nodes(WIDTH_BITS, idx, 1):
                why = "they are not what the tree was made of"
                raise _damaged(f"entries {first} to {last}", why)
            found.tiles[idx] = b"".join(hashes)
        else:
            hashes = split(known)
        for pos in group:
            body = there.get(pos)
            if body is None or leaf_hash(body) != hashes[pos - first]:
                raise _damaged(f"entry {pos}", "it is not there" if body is None else "it changed")
            found.bodies[pos] = body
    return found


def _damaged(place: str, why: str) -> TapeDamaged:
    return TapeDamaged(why, place=place, hint=RESTORE)


def remove(tape: Tape, prepared: Prepared) -> None:
    """Write the tiles and delete the entries, inside the running transaction."""
    try:
        with _collecting(tape):
            tape.db.executemany("INSERT INTO tile VALUES (?, ?)", sorted(prepared.tiles.items()))
            rows = [(pos,) for pos in sorted(prepared.bodies)]
            gone = tape.db.executemany("DELETE FROM entry WHERE pos = ?", rows).rowcount
    except SQLITE_ERRORS as error:
        raise named(error, tape.files.tape) from error
    if gone != len(rows):
        raise StoreFailed(f"{gone} of {len(rows)} entries were there to delete")


@contextmanager
def _collecting(tape: Tape) -> Iterator[None]:
    """Let this connection delete entries and tiles: nothing else of it ever may."""
    tape.db.set_authorizer(authorize_collection)
    try:
        yield
    finally:
        tape.db.set_authorizer(authorize)


def shrinkable(reader: Reader, upto: int) -> list[int]:
    """Return the blocks that have a tile, no entry, and no position beyond `upto`.

    Raises TapeDamaged where a tile is not what the tree was made of: its root must stand for it.
    """
    found = []
    rest = (
        "WHERE idx < ? AND NOT EXISTS "
        "(SELECT 1 FROM entry WHERE pos BETWEEN idx * 256 + 1 AND idx * 256 + 256) ORDER BY idx"
    )
    for (idx,) in reader.table("tile", "idx", tuple[int], rest, (upto // WIDTH,)):
        if complete_root(split(reader.tiles(idx, idx)[idx])) != reader.nodes(WIDTH_BITS, idx, 1)[0]:
            raise _damaged(f"table tile, row {idx}", "the tile does not fit its root")
        found.append(idx)
    return found


def shrink(tape: Tape, blocks: Sequence[int]) -> None:
    """Take away the tiles of blocks, inside the running transaction; their roots stay."""
    rows = [(idx,) for idx in blocks]
    try:
        with _collecting(tape):
            tape.db.executemany("INSERT INTO shrunk VALUES (?)", rows)
            tape.db.executemany("DELETE FROM tile WHERE idx = ?", rows)
    except SQLITE_ERRORS as error:
        raise named(error, tape.files.tape) from error


@contextmanager
def overwriting(tape: Tape) -> Iterator[None]:
    """Overwrite with zeros what is deleted meanwhile."""
    [[before]] = tape.query("PRAGMA secure_delete")
    tape.query("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        tape.query(f"PRAGMA secure_delete = {int(before)}")


def compact(tape: Tape) -> bool:
    """Rewrite the file without what was deleted, and empty the WAL.

    Returns whether that is done: a reader that is still open keeps the WAL, until it closes and
    somebody compacts again. Others wait meanwhile. Crash: the file is the old one or the new one.
    """
    tape.lock.acquire()
    try:
        tape.db.set_authorizer(None)
        tape.db.execute("VACUUM")
        busy, _, _ = tape.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except SQLITE_ERRORS as error:
        raise named(error, tape.files.tape) from error
    finally:
        tape.db.set_authorizer(authorize)
        tape.lock.release()
    return not busy


def absent(reader: Reader) -> list[tuple[int, int]]:
    """Return the ranges of positions, first and last, that have no entry."""
    sql = (
        "SELECT before + 1, pos - 1 FROM "
        "(SELECT pos, lag(pos, 1, 0) OVER (ORDER BY pos) AS before FROM entry WHERE pos > 0) "
        "WHERE pos > before + 1 ORDER BY pos"
    )
    return [(int(first), int(last)) for first, last in reader.query(sql)]


def shrunk_blocks(reader: Reader) -> set[int]:
    """Return the blocks that are marked as shrunk."""
    return {idx for (idx,) in reader.table("shrunk", "idx", tuple[int])}


def any_tiles(reader: Reader) -> bool:
    """Whether anything was ever collected, or is missing as if it had been."""
    if not reader.collects:
        return False
    return bool(reader.query("SELECT 1 FROM tile UNION ALL SELECT 1 FROM shrunk LIMIT 1"))


def leftovers(reader: Reader) -> bool:
    """Whether the file has pages of deleted rows: a collection did not come to its end."""
    return bool(reader.query("PRAGMA freelist_count")[0][0])


def size_bytes(reader: Reader) -> int:
    """Return how many bytes the tape and its WAL take on disk."""
    paths = (reader.files.tape, reader.files.wal)
    return sum(path.stat().st_size for path in paths if path.exists())
