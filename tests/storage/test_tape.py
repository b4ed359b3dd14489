"""Appending: what is written is read, what fails leaves nothing (T1 to T5 of storage/tape.py)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from statetape.storage import tape as tape_module
from statetape.storage.checksum import crc32
from statetape.storage.errors import (
    OutcomeUnknown,
    StoreFailed,
    StoreFull,
    TapeBusy,
    TapeDamaged,
    TapePoisoned,
    TapeRolledBack,
)
from statetape.storage.files import Files
from statetape.storage.merkle import Edge, leaf_hashes
from statetape.storage.reader import Reader
from statetape.storage.verify import verify

from .tapes import FIRST, append, new_tape, open_tape, seeded, vandal


def root(*bodies: bytes) -> bytes:
    """The root over entries, from nothing but their bytes."""
    edge = Edge()
    edge.extend(leaf_hashes(bodies))
    return edge.root()


@pytest.fixture
def path(tmp_path):
    """Where the test's tape lies."""
    return tmp_path / "t.db"


@pytest.fixture
def tape(path):
    """A new tape of one entry; let go of without being closed."""
    made = new_tape(path)
    yield made
    made.abandon()


class Failing:
    """A connection on which some statements fail: before they are run, or after."""

    def __init__(self, db: sqlite3.Connection, error: BaseException, *, when: str, after: bool):
        self.db = db
        self.error = error
        self.when = when
        self.after = after
        self.failed = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.db, name)

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        """Run `sql`, or fail instead, or run it and fail then."""
        if not sql.startswith(self.when):
            return self.db.execute(sql, *values)
        self.failed += 1
        if self.after:
            self.db.execute(sql, *values)
        raise self.error


def failure(name: str) -> sqlite3.OperationalError:
    """One of SQLite's errors, as the driver makes it."""
    error = sqlite3.OperationalError("disk trouble")
    error.sqlite_errorname = name
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


BODIES = [
    b"{}",
    b"\x00",
    "Grüße, \U0001f680, \u2028".encode(),
    b"a" * 65_535,
    b"\n\r\t\x1f",
    *(b"%d" % number for number in range(600)),
]


def test_what_is_written_is_read_back_byte_for_byte(tape, path):
    """One by one, in batches, across the borders of stored nodes; a reader sees the same."""
    rng = seeded("write")
    left = BODIES.copy()
    while left:
        count = rng.choice([1, 1, 2, 50, 255, 256])
        append(tape, *left[:count])
        del left[:count]
        assert tape.size == len(BODIES) + 1 - len(left)

    expected = [FIRST, *BODIES]
    assert list(tape.read()) == expected
    assert tape.edge.root() == root(*expected)
    with Reader.open(Files.of(path)) as reader:
        assert list(reader.read()) == expected
        assert [reader.body(pos) for pos in (1, 5, 600)] == [expected[i] for i in (0, 4, 599)]
        assert reader.body(0) is reader.body(len(expected) + 1) is None
        assert list(reader.read(590, 600)) == expected[589:600]
        assert list(reader.read(len(expected) + 1)) == []
        assert [row[0] for page in reader.rows() for row in page] == list(range(1, 607))
        assert verify(reader) == []


def test_positions_and_crcs_are_stored_as_they_are_defined(tape):
    """Dense from 1, and CRC-32 as zlib has it."""
    append(tape, b"two", b"three")

    rows = tape.query("SELECT pos, body, crc FROM entry")
    assert rows == [(n, body.decode(), crc32(body)) for n, body in enumerate(tape.read(), 1)]
    assert crc32(b"123456789") == 0xCBF43926


def test_a_turn_without_entries_stores_nothing(tape):
    """Neither an entry nor a node."""
    append(tape)

    assert (tape.size, tape.stored_size()) == (1, 1)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_what_also_is_to_be_stored_fails_and_takes_the_entries_with_it(tape, count):
    """Entries, nodes and projections are one transaction; the handle goes on as before."""
    before = tape.edge.root()

    def broken():
        tape.db.execute("INSERT INTO cursor VALUES ('x', 1, 1)")
        raise RuntimeError("a bug")

    tape.take()
    with pytest.raises(RuntimeError):
        tape.write([b"x"] * count, broken)
    tape.give()

    assert (tape.size, tape.edge.root(), tape.poisoned) == (1, before, False)
    assert list(tape.read()) == [FIRST]
    assert tape.query("SELECT * FROM node") == tape.query("SELECT * FROM cursor") == []
    append(tape, b"next")
    assert list(tape.read()) == [FIRST, b"next"]
    assert tape.edge.root() == root(FIRST, b"next")


@pytest.mark.parametrize("when", ["BEGIN", "INSERT", "COMMIT"])
def test_a_full_disk_stores_nothing_and_the_handle_goes_on(tape, when):
    """StoreFull, whichever statement meets it; the same entries go in when there is space again."""
    bodies = [b"x"] if when == "INSERT" else [b"x"] * 300
    db = tape.db
    tape.db = Failing(db, failure("SQLITE_FULL"), when=when, after=False)
    tape.take()
    with pytest.raises(StoreFull):
        tape.write(bodies)
    tape.give()
    assert tape.db.failed == 1
    tape.db = db

    assert list(tape.read()) == [FIRST]
    assert not tape.poisoned
    append(tape, *bodies)
    assert tape.edge.root() == root(FIRST, *bodies)


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize("after", [True, False])
def test_a_failed_commit_is_an_unknown_outcome_and_poisons_the_handle(tape, path, count, after):
    """Whether it was stored is seen by whoever opens the tape again; this handle serves no turn."""
    when = "INSERT" if count == 1 else "COMMIT"
    db = tape.db
    tape.db = Failing(db, failure("SQLITE_IOERR_FSYNC"), when=when, after=after)
    tape.take()
    with pytest.raises(OutcomeUnknown) as unknown:
        tape.write([b"x"] * count)
    tape.give()

    assert "again" in unknown.value.hint
    tape.db = db
    with pytest.raises(TapePoisoned):
        tape.take()
    tape.close()
    again = open_tape(path)
    assert again.size == (1 + count if after else 1)
    append(again, b"on it goes")
    assert verify(again) == []
    again.close()


def test_a_poisoned_handle_signs_nothing(tape):
    """What it believes to be stored may not be."""
    append(tape, b"x")
    before = tape.files.anchor.read_bytes()
    tape.poisoned = True
    with pytest.raises(TapePoisoned):
        tape.anchor()

    assert tape.files.anchor.read_bytes() == before


@pytest.mark.parametrize("count", [1, 300])
def test_an_interrupt_just_after_a_commit_leaves_no_handle_at_odds_with_its_tape(tape, path, count):
    """Ctrl-C arrives between two bytecodes: the entry is stored and `write` did not return.

    The handle must either know of it or be poisoned; one that is a position behind refuses every
    later command for a reason that no one can follow.
    """
    when = "INSERT" if count == 1 else "COMMIT"
    db = tape.db
    tape.db = Failing(db, KeyboardInterrupt(), when=when, after=True)
    tape.take()
    with pytest.raises(KeyboardInterrupt):
        tape.write([b"x"] * count)
    tape.give()
    tape.db = db

    try:
        append(tape, b"next")
    except TapePoisoned:
        return
    with Reader.open(Files.of(path)) as reader:
        assert list(reader.read()) == [FIRST, *[b"x"] * count, b"next"]


def test_an_error_while_preparing_leaves_the_handle_in_use(tape):
    """A failed BEGIN or INSERT is no commit: nothing was stored, and that is known."""
    db = tape.db
    tape.db = Failing(db, failure("SQLITE_IOERR_READ"), when="BEGIN", after=False)
    tape.take()
    with pytest.raises(StoreFailed):
        tape.write([b"x", b"y"])
    tape.give()
    tape.db = db
    append(tape, b"next")

    assert list(tape.read()) == [FIRST, b"next"]


def test_two_handles_take_turns(tape, path):
    """Each learns what the other appended, in order and once, before it decides anything."""
    other = open_tape(path)
    append(tape, b"a1", b"a2")
    other.take()
    assert other.foreign() == [b"a1", b"a2"]
    assert other.foreign() == []
    other.write([b"b1"])
    other.give()
    append(tape, *[b"a"] * 300)
    tape.take()
    assert tape.foreign() == [b"b1"]
    tape.give()
    other.take()
    assert other.foreign() == [b"a"] * 300
    other.give()

    assert other.edge.root() == tape.edge.root() == root(*tape.read())
    assert verify(other) == []
    other.abandon()


def test_a_handle_that_learned_is_not_told_again(tape, path):
    """Its own entries are never foreign."""
    append(tape, b"one")
    append(tape, b"two")
    tape.take()

    assert tape.foreign() == []
    tape.give()


def test_a_tape_that_shrinks_under_its_handle_is_noticed(tape, path):
    """Somebody put an older file in the place of the open one, or cut it."""
    append(tape, b"one", b"two")
    with vandal(path) as db:
        db.execute("DELETE FROM entry WHERE pos = 3")
    other = open_tape(path)
    append(other)
    other.abandon()

    with pytest.raises(TapeRolledBack, match="shrank"):
        tape.take()
    with pytest.raises(TapePoisoned):
        tape.take()


def test_damage_that_a_turn_meets_poisons_the_handle(tape, path):
    """What another process appended is not taken over unless it fits its CRC."""
    other = open_tape(path)
    append(other, b"good", b"bad")
    other.abandon()
    with vandal(path) as db:
        db.execute("UPDATE entry SET body = 'evil' WHERE pos = 3")

    with pytest.raises(TapeDamaged) as damaged:
        tape.take()
    assert damaged.value.place == "entry 3"
    with pytest.raises(TapePoisoned):
        tape.take()


def test_a_plain_writer_s_transaction_makes_the_tape_busy(tape, path, monkeypatch):
    """A tool that holds SQLite's own write lock: TapeBusy, nothing stored, and on it goes."""
    tape.db.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for bodies in ([b"x"], [b"x", b"y"]):
        tape.take()
        with pytest.raises(TapeBusy):
            tape.write(bodies)
        tape.give()
    other.execute("ROLLBACK")
    other.close()
    append(tape, b"next")

    assert list(tape.read()) == [FIRST, b"next"]


def test_abandoning_keeps_every_entry(path):
    """As a crash does: what `write` returned for is there, with or without a good end."""
    tape = new_tape(path)
    append(tape, b"one")
    append(tape, *[b"x"] * 400)
    tape.abandon()

    again = open_tape(path)
    assert again.size == 402
    assert verify(again) == []
    again.close()


def test_the_wal_is_moved_when_it_has_grown(path, monkeypatch):
    """Into the file; it stays small over any number of turns."""
    monkeypatch.setattr(tape_module, "WAL_BYTES_MAX", 100_000)
    tape = new_tape(path)
    wal = Path(f"{path}-wal")
    for _ in range(100):
        append(tape, b"x" * 5000)
        tape.move_wal()
        assert wal.stat().st_size < 300_000
    tape.move_wal(whole=True)
    assert wal.stat().st_size == 0
    tape.close()
    assert not wal.exists()
    assert open_tape(path).size == 101


def test_a_long_reader_keeps_the_wal_and_then_lets_it_go(tape, path):
    """Nobody waits and nothing fails; when the reader is gone, the WAL is emptied."""
    with Reader.open(Files.of(path)) as reader:
        reader.db.execute("BEGIN")
        before = reader.stored_size()
        tape.db.execute("PRAGMA busy_timeout = 20")
        append(tape, *[b"x"] * 1000)
        tape.move_wal(whole=True)
        assert Path(f"{path}-wal").stat().st_size > 0
        assert reader.stored_size() == before
        reader.db.execute("COMMIT")
        assert reader.stored_size() == before + 1000
    tape.move_wal(whole=True)

    assert Path(f"{path}-wal").stat().st_size == 0


def test_reading_page_by_page_holds_no_snapshot(tape, path):
    """A slow export does not keep the WAL from being emptied."""
    append(tape, *[b"x" * 100] * 3000)
    with Reader.open(Files.of(path)) as reader:
        bodies = reader.read()
        next(bodies)
        tape.move_wal(whole=True)
        assert Path(f"{path}-wal").stat().st_size == 0
        assert sum(1 for _ in bodies) == 3000
