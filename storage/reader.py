"""Read a tape: entries by position, the tree's edge, the anchor. Nothing here changes a byte.

Bytes are served only when they fit the CRC that was stored beside them; what does not fit is
damage, reported with its position. Long reads go page by page, so that no read transaction stays
open and keeps the WAL from shrinking.

Collected entries (docs/decisions/0027-collection.md) leave holes: a position that is absent while
its block has a tile, or is marked as shrunk, is passed over; any other absent position is damage.
Whether exactly those are absent that were collected, the tape's own entries say: `verify` compares.
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
    EntryCollected,
    HashesShrunk,
    NoteInvalid,
    TapeDamaged,
    TapeForked,
    TapeRolledBack,
)
from .files import Files, read_small
from .merkle import WIDTH, WIDTH_BITS, Edge, complete_root, leaf_hashes
from .note import open_note, parse_checkpoint, parse_verifier_key
from .verifier import HASH_BYTES, Checkpoint, VerifierKey

NOTE_BYTES_MAX = 65_536
COLLECTING_VERSION = 2
"""From this version of the tables on a tape can be collected from."""
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


def split(tile: bytes) -> list[bytes]:
    """Return the 256 leaf hashes of a tile."""
    return [tile[cut : cut + HASH_BYTES] for cut in range(0, len(tile), HASH_BYTES)]


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
        """Return the bytes of one entry, or None. Raises TapeDamaged if they changed.

        Raises EntryCollected where there was one and it was collected.
        """
        rows = self.query(f"{_ENTRY} pos = ?", (pos,))
        if not rows and self.was_collected(pos):
            why = "this entry was collected: its hash is kept, its bytes are gone"
            hint = "`statetape list --collected` tells which instances went, and when"
            raise EntryCollected(why, place=f"entry {pos}", hint=hint)
        return sound(*rows[0]) if rows else None

    def bodies(self, positions: Sequence[int]) -> Iterator[bytes]:
        """Yield the bytes of these entries, in this order. Raises TapeDamaged, EntryCollected."""
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
                self.body(positions[len(found)])  # says so if it was collected
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
        for _, _, page in self.pages(first, last):
            yield page

    def pages(self, first: int, last: int | None) -> Iterator[tuple[int, int, list[Row]]]:
        """Yield (first position, last position, what is there of them), unchecked, page by page."""
        size = self.stored_size()
        end = size if last is None else min(last, size)
        sql = f"{_ENTRY} pos BETWEEN ? AND ? ORDER BY pos"
        while first <= end:
            upto = min(end, first + READ_ROWS - 1)
            yield first, upto, self.query(sql, (first, upto))
            first += READ_ROWS

    def read(self, first: int = 1, last: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of the entries from `first` to `last` (default, and at most: the end).

        Those that were collected are passed over: whoever needs positions takes them from the
        entries. Raises TapeDamaged at a position that is absent otherwise, or at bytes that do not
        fit their CRC.
        """
        for begin, upto, page in self.pages(first, last):
            bodies = [body for _, body, _ in page]
            if list(map(crc32, bodies)) != [crc for _, _, crc in page]:
                for row in page:
                    sound(*row)
            if len(page) != upto - begin + 1:
                self.check_absent(begin, upto, [pos for pos, _, _ in page])
            yield from bodies

    # what was collected

    @property
    def collects(self) -> bool:
        """Whether the tape's tables know collection: an older tape that is only read has none."""
        return int(self.query("PRAGMA user_version")[0][0]) >= COLLECTING_VERSION

    def was_collected(self, pos: int) -> bool:
        """Whether an absent position is one of a block that was collected from."""
        return bool(self._collected_from((pos - 1) // WIDTH, (pos - 1) // WIDTH))

    def _collected_from(self, first: int, last: int) -> set[int]:
        """Return which of the blocks from `first` to `last` have a tile, or had one."""
        if not self.collects:
            return set()
        sql = (
            "SELECT idx FROM tile WHERE idx BETWEEN ?1 AND ?2 "
            "UNION SELECT idx FROM shrunk WHERE idx BETWEEN ?1 AND ?2"
        )
        return {idx for (idx,) in self.query(sql, (first, last))}

    def check_absent(self, first: int, last: int, present: Sequence[int]) -> list[int]:
        """Return the positions from `first` to `last` that are not `present`: all were collected.

        Raises TapeDamaged, naming the first that cannot have been.
        """
        absent = sorted(set(range(first, last + 1)).difference(present))
        if absent:
            known = self._collected_from((absent[0] - 1) // WIDTH, (absent[-1] - 1) // WIDTH)
            for pos in absent:
                if (pos - 1) // WIDTH not in known:
                    raise TapeDamaged("an entry is missing", place=f"entry {pos}")
        return absent

    def tiles(self, first: int, last: int) -> dict[int, bytes]:
        """Return the stored tiles of the blocks from `first` to `last`: 256 leaf hashes each."""
        if not self.collects:
            return {}
        rest = "WHERE idx BETWEEN ? AND ?"
        found = self.table("tile", "idx, hashes", tuple[int, bytes], rest, (first, last))
        if any(len(hashes) != WIDTH * HASH_BYTES for _, hashes in found):
            raise TapeDamaged("a tile is not of 256 hashes", place="table tile")
        return dict(found)

    @property
    def minimum_index(self) -> int:
        """Everything from this position's successor on can be proved; before it, not everything.

        The end of the last block whose leaf hashes were shrunk to their root; 0: there is none.
        """
        if not self.collects:
            return 0
        [(last,)] = self.query("SELECT max(idx) FROM shrunk")
        return 0 if last is None else (int(last) + 1) * WIDTH

    # the tree

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Return the leaf hashes of the entries from `first` to `last`, present or collected.

        Raises HashesShrunk where they are gone, TapeDamaged.
        """
        if last - first < WIDTH:  # the tree's edge: nobody collects there
            hashes = leaf_hashes(list(self.read(first, last)))
            if len(hashes) == last - first + 1:
                return hashes
        with self.snapshot():
            tiles = self.tiles((first - 1) // WIDTH, (last - 1) // WIDTH)
            if not tiles:
                return self._hashed(first, last)
            found: list[bytes] = []
            for idx in range((first - 1) // WIDTH, (last - 1) // WIDTH + 1):
                base = idx * WIDTH
                begin, end = max(first, base + 1), min(last, base + WIDTH)
                tile = tiles.get(idx)
                if tile is None:
                    found += self._hashed(begin, end)
                else:
                    found += split(tile)[begin - base - 1 : end - base]
            return found

    def _hashed(self, first: int, last: int) -> list[bytes]:
        """Return the leaf hashes of entries that should all be there."""
        hashes = leaf_hashes(list(self.read(first, last)))
        if len(hashes) != last - first + 1:
            why = "these leaf hashes were shrunk to the root of their block"
            hint = "only who kept a proof from before can show an entry of it"
            raise HashesShrunk(why, place=f"entries {first} to {last}", hint=hint)
        return hashes

    def subtree(self, level: int, idx: int) -> bytes:
        """Return the root over the complete 2**level leaves that follow leaf `idx << level`.

        From stored nodes; below level 8 from leaf hashes. Raises HashesShrunk, TapeDamaged.
        """
        bits = level - level % WIDTH_BITS
        count = 1 << level - bits
        first = idx * count
        if bits == 0:
            return complete_root(self.leaves(first + 1, first + count))
        return complete_root(self.nodes(bits, first, count))

    def nodes(self, bits: int, first: int, count: int) -> list[bytes]:
        """Return `count` stored roots of the level of `bits`. Raises TapeDamaged."""
        rest = "WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
        rows = self.table("node", "root", tuple[bytes], rest, (bits, first, first + count))
        if len(rows) != count:
            raise TapeDamaged("a tree node is missing", place=f"table node, level {bits}")
        return [root for (root,) in rows]

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
        """Return the tree's right edge at `size`, from stored nodes and the last leaf hashes.

        Raises TapeDamaged, and HashesShrunk for a size within a block that was shrunk.
        """
        levels = [self.leaves((size & -WIDTH) + 1, size)]
        bits = WIDTH_BITS
        while size >> bits:
            count = size >> bits
            first = count & -WIDTH
            levels.append(self.nodes(bits, first, count - first))
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
        try:
            root = self.edge_at(anchor.size).root()
        except HashesShrunk as error:
            if self.anchored() != anchor:  # collected meanwhile, below a newer anchor
                return self.compare_anchor()
            why = f"it signs {anchor.size} entries, and {error.message}: nothing tells if it fits"
            hint = "compare with a newer checkpoint of this tape, or restore a copy from before"
            raise AnchorInvalid(why, place=str(self.files.anchor), hint=hint) from None
        if root != anchor.root:
            self._explain_mismatch(anchor)
        return anchor

    def _explain_mismatch(self, anchor: Checkpoint) -> None:
        """Say whether the entries, the stored nodes, or the history itself differ."""
        edge = Edge()
        for idx in range(-(-anchor.size // WIDTH)):
            first, last = idx * WIDTH + 1, min((idx + 1) * WIDTH, anchor.size)
            try:
                edge.extend(self.leaves(first, last))
            except HashesShrunk:
                edge.add_root(self.subtree(WIDTH_BITS, idx), 1)
        if edge.root() == anchor.root:
            raise TapeDamaged("a stored tree node is wrong", place="table node")
        why = f"the first {anchor.size} entries are not those that the anchor signed"
        hint = "two histories began from one tape: find out which one is yours"
        raise TapeForked(why, place=str(self.files.tape), hint=hint)
