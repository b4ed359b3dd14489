"""Read a tape: entries by position, the tree's edge, the anchor. Nothing here changes a byte.

Bytes are served only when they fit the CRC that was stored beside them; what does not fit is
damage, reported with its position. Long reads go page by page, so that no read transaction stays
open and keeps the WAL from shrinking.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self, TypeVar

import msgspec

from .checksum import crc32
from .connection import SQLITE_ERRORS, connect, named
from .errors import (
    RESTORE,
    AnchorInvalid,
    AnchorMissing,
    NoteInvalid,
    TapeDamaged,
    TapeForked,
    TapeRolledBack,
)
from .files import Files, read_small
from .merkle import WIDTH, WIDTH_BITS, Edge, leaf_hashes
from .note import open_note, parse_checkpoint, parse_verifier_key
from .verifier import Checkpoint, VerifierKey

NOTE_BYTES_MAX = 65_536
READ_ROWS = 1024
BATCH_ROWS = 500

Row = tuple[int, bytes, int]
"""(position, bytes, CRC-32) as stored."""
Of = TypeVar("Of")
_ENTRY = "SELECT pos, ifnull(CAST(body AS BLOB), x''), crc FROM entry WHERE"
"""No entry is empty, so bytes that are gone do not fit their CRC."""


def sound(pos: int, body: bytes, crc: int) -> bytes:
    """Return `body` if it fits its CRC, or raise TapeDamaged naming the position."""
    if crc32(body) != crc:
        raise TapeDamaged("the stored bytes changed", place=f"entry {pos}", hint=RESTORE)
    return body


def missing(page: Sequence[Row], expected: int) -> int:
    """Return the first position that a page should have, from `expected` on, and has not."""
    for pos, _, _ in page:
        if pos != expected:
            break
        expected += 1
    return expected


def check_anchor(note: bytes, keys: Sequence[VerifierKey], place: str) -> Checkpoint:
    """Return the checkpoint in an anchor's bytes, or raise AnchorInvalid at `place`."""
    hint = (
        "put the tape's anchor back; or, if it is lost, move this file away and use "
        "`statetape recover --new-anchor`"
    )
    try:
        checkpoint = parse_checkpoint(open_note(note, keys))
    except NoteInvalid as error:
        raise AnchorInvalid(error.message, place=place, hint=hint) from None
    if all(checkpoint.origin != key.name for key in keys):
        why = f"it anchors {checkpoint.origin}, another tape"
        raise AnchorInvalid(why, place=place, hint=hint)
    return checkpoint


class Reader:
    """Read access to a tape; never changes it."""

    def __init__(self, files: Files, connection: sqlite3.Connection) -> None:
        self.files = files
        self.db = connection

    @classmethod
    def open(cls, files: Files) -> Reader:
        """Return a reader of the tape. Raises what `connect` raises."""
        return cls(files, connect(files.tape, write=False))

    def close(self) -> None:
        """Give the connection back."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stored_size(self) -> int:
        """Return how many entries are stored."""
        [size] = self.query("SELECT coalesce(max(pos), 0) FROM entry")[0]
        return int(size)

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query, with SQLite's errors named."""
        try:
            return self.db.execute(sql, values).fetchall()
        except SQLITE_ERRORS as error:
            raise named(error, self.files.tape) from error

    def table(
        self, name: str, columns: str, of: type[Of], rest: str = "", values: Sequence[object] = ()
    ) -> list[Of]:
        """Return these columns of a table's rows, each row a tuple of the type `of`.

        `rest` is what follows in the query. Raises TapeDamaged for a value of another type: a
        damaged record can say that it holds anything, whatever the table declares.
        """
        rows = self.query(f"SELECT {columns} FROM {name} {rest}", values)  # noqa: S608
        if not rows:
            return []
        try:
            return msgspec.convert(rows, list[of], builtin_types=(bytes,))  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            row = rows[int(str(error).rpartition("$[")[2].partition("]")[0])]
            raise TapeDamaged(str(error), place=f"table {name}, row {row[0]}") from None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let several queries see one state of the tape, whatever others append meanwhile.

        Keep it short where others write: until it ends the WAL cannot shrink. Within another
        one it is that one.
        """
        if self.db.in_transaction:
            yield
            return
        self.query("BEGIN")
        try:
            yield
        finally:
            with suppress(sqlite3.Error):  # closing the connection has ended it too
                self.db.execute("ROLLBACK")

    def body(self, pos: int) -> bytes | None:
        """Return the bytes of one entry, or None. Raises TapeDamaged if they changed."""
        rows = self.query(f"{_ENTRY} pos = ?", (pos,))
        return sound(*rows[0]) if rows else None

    def bodies(self, positions: Sequence[int]) -> Iterator[bytes]:
        """Yield the bytes of these entries, in this order. Raises TapeDamaged."""
        for pos in positions:
            body = self.body(pos)
            if body is None:
                raise TapeDamaged("an entry is missing", place=f"entry {pos}")
            yield body

    def bodies_of(self, positions: Sequence[int]) -> list[bytes]:
        """Return the bytes of these entries, whose positions ascend. Raises TapeDamaged.

        The same as `bodies` in a few queries, for whoever needs many.
        """
        found: list[bytes] = []
        for start in range(0, len(positions), BATCH_ROWS):
            wanted = positions[start : start + BATCH_ROWS]
            marks = ",".join("?" * len(wanted))
            rows = self.query(f"{_ENTRY} pos IN ({marks}) ORDER BY pos", wanted)
            for pos, row in zip(wanted, rows, strict=False):
                if row[0] != pos:
                    break
                found.append(sound(*row))
            if len(found) != start + len(wanted):
                place = f"entry {positions[len(found)]}"
                raise TapeDamaged("an entry is missing", place=place)
        return found

    def positions_where(self, members: Mapping[str, str]) -> list[int]:
        """Return the positions of entries that have one of these JSON members; reads them all."""
        tests = " OR ".join("json_extract(body, '$.' || ?) = ?" for _ in members)
        values = [value for pair in members.items() for value in pair]
        rows = self.query(f"SELECT pos FROM entry WHERE {tests} ORDER BY pos", values)  # noqa: S608
        return [int(pos) for (pos,) in rows]

    def bodies_ending(self, end: str) -> Iterator[bytes]:
        """Yield the bytes of the entries that end so, in order; looks at all of them."""
        pos = 0
        sql = f"{_ENTRY} pos > ? AND substr(body, ?) = ? ORDER BY pos LIMIT ?"
        while rows := self.query(sql, (pos, -len(end), end, READ_ROWS)):
            for row in rows:
                yield sound(*row)
            pos = rows[-1][0]

    def rows(self, first: int = 1, last: int | None = None) -> Iterator[list[Row]]:
        """Yield pages of (position, bytes, CRC) from `first` to `last`, unchecked.

        No page holds a read transaction open while the caller works on it.
        """
        size = self.stored_size()
        end = size if last is None else min(last, size)
        sql = f"{_ENTRY} pos BETWEEN ? AND ? ORDER BY pos"
        while first <= end:
            page = self.query(sql, (first, min(end, first + READ_ROWS - 1)))
            yield page
            first += READ_ROWS

    def read(self, first: int = 1, last: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of the entries from `first` to `last` (default, and at most: the end).

        Raises TapeDamaged at a missing position or at bytes that do not fit their CRC.
        """
        expected = first
        for page in self.rows(first, last):
            bodies = [body for _, body, _ in page]
            if list(map(crc32, bodies)) != [crc for _, _, crc in page]:
                for row in page:
                    sound(*row)
            if not page or page[0][0] != expected or page[-1][0] != expected + len(page) - 1:
                raise TapeDamaged("an entry is missing", place=f"entry {missing(page, expected)}")
            expected += len(page)
            yield from bodies

    def signers(self) -> list[VerifierKey]:
        """Return the public keys whose checkpoints count for this tape: all bear its name."""
        try:
            rows = self.table("signer", "vkey", tuple[str])
            keys = [parse_verifier_key(vkey) for (vkey,) in rows]
        except NoteInvalid as error:
            raise TapeDamaged(error.message, place="table signer") from None
        if len({key.name for key in keys}) > 1:
            raise TapeDamaged("a key signs for another tape", place="table signer")
        return keys

    @property
    def origin(self) -> str:
        """The tape's name in checkpoints."""
        keys = self.signers()
        if not keys:
            raise TapeDamaged("no signing key is named", place="table signer")
        return keys[0].name

    def edge_at(self, size: int) -> Edge:
        """Return the tree's right edge at `size`, from stored nodes and the last entries."""
        levels = [leaf_hashes(list(self.read((size & -WIDTH) + 1, size)))]
        bits = WIDTH_BITS
        while size >> bits:
            count = size >> bits
            first = count & -WIDTH
            rest = "WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
            rows = self.table("node", "root", tuple[bytes], rest, (bits, first, count))
            if len(rows) != count - first:
                raise TapeDamaged("a tree node is missing", place=f"table node, level {bits}")
            levels.append([root for (root,) in rows])
            bits += WIDTH_BITS
        return Edge(size, levels)

    def anchored(self) -> Checkpoint | None:
        """Return the checkpoint in the anchor file, or None if there is no file.

        Raises AnchorInvalid when it is not a checkpoint of this tape by one of its keys.
        """
        note = read_small(self.files.anchor, NOTE_BYTES_MAX)
        if note is None:
            return None
        return check_anchor(note, self.signers(), str(self.files.anchor))

    def compare_anchor(self) -> Checkpoint:
        """Return the anchor's checkpoint if the tape extends it.

        Raises TapeRolledBack, TapeForked, AnchorInvalid, AnchorMissing, TapeDamaged.
        """
        anchor = self.anchored()
        if anchor is None:
            hint = "put the anchor back; or, if it is lost, `statetape recover --new-anchor`"
            raise AnchorMissing("the anchor is gone", place=str(self.files.anchor), hint=hint)
        size = self.stored_size()
        place = str(self.files.tape)
        if size < anchor.size:
            why = f"the tape has {size} entries, and its anchor signed {anchor.size}"
            hint = "a tail was lost or an old copy was put back: restore the newest copy"
            raise TapeRolledBack(why, place=place, hint=hint)
        if self.edge_at(anchor.size).root() != anchor.root:
            self._explain_mismatch(anchor)
        return anchor

    def _explain_mismatch(self, anchor: Checkpoint) -> None:
        """Say whether the entries, the stored nodes, or the history itself differ."""
        edge = Edge()
        for body in self.read(1, anchor.size):
            edge.extend(leaf_hashes([body]))
        if edge.root() == anchor.root:
            raise TapeDamaged("a stored tree node is wrong", place="table node")
        why = f"the first {anchor.size} entries are not those that the anchor signed"
        hint = "two histories began from one tape: find out which one is yours"
        raise TapeForked(why, place=str(self.files.tape), hint=hint)
