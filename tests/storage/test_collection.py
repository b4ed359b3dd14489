"""Entries leave the files for good, their hashes stay; damage of what is left is reported."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from statetape.engine import collection
from statetape.engine.commands import Send
from statetape.engine.engine import Engine
from statetape.engine.verify import verify
from statetape.fsm.compiler import load
from statetape.storage import connection as connection_module
from statetape.storage import schema, tape
from statetape.storage.errors import AnchorInvalid, EntryCollected, StoreFull, TapeDamaged
from statetape.storage.files import Files
from statetape.storage.merkle import leaf_hashes
from statetape.storage.reader import Reader
from statetape.storage.verify import notes as notes_of
from statetape.storage.verify import verify as verify_evidence

from .damage import InMemory, Tally
from .tapes import Clock, append, new_tape, open_engine, open_tape, seeded

NOTE = load(
    """
machine: tests.note
version: 1
title: A note that is thrown away
data: {words: text}
create: {params: {words: text}, set: {words: words}}
states:
  kept: {initial: true}
  thrown: {final: true, retain: 1h}
events:
  add:
    params: {more: text = ""}
    go: [{from: kept}]
  throw:
    go: [{from: kept, to: thrown}]
""",
    "note.yaml",
)
MARK = b"what nobody may read any more"


def notes(path: Path, clock: Clock, count: int = 40) -> Engine:
    """An engine on a tape of notes of which all but one were thrown away, long ago."""
    engine = open_engine(path, clock, synchronous="OFF")
    for number in range(count):
        engine.create(NOTE, str(number), {"words": f"{MARK.decode()} {number}"}, key="new")
    engine.execute_many(
        [
            Send(f"tests.note/{number}", "add", {"more": f"{MARK.decode()} and more"}, key=f"k{n}")
            for number in range(count)
            for n in range(4)
        ]
    )
    engine.anchor()
    engine.execute_many([Send(f"tests.note/{number}", "throw") for number in range(count)])
    engine.create(NOTE, "pad", {"words": "what fills the last block"})
    engine.execute_many([Send("tests.note/pad", "add")] * 256)
    clock.forward(2 * 3600)
    return engine


def collected_tape(path: Path, *, shrinking: bool = False) -> None:
    """Make a closed tape that was collected from."""
    with notes(path, Clock()) as engine:
        collection.collect(engine, shrinking=shrinking, uncosigned=True)


def thrown(engine: Engine) -> list[int]:
    """The notes that were thrown away, as projected."""
    rows = engine.tape.query("SELECT pos FROM instance WHERE state = 'thrown'")
    return [pos for (pos,) in rows]


def marked(path: Path) -> dict[str, int]:
    """How often the mark stands in each file of a closed tape."""
    files = {suffix: Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")}
    return {s: file.read_bytes().count(MARK) for s, file in files.items() if file.exists()}


def test_no_byte_of_what_was_collected_is_left_in_any_file(tmp_path):
    """Not in the table, an index, a free page or the WAL; before, it is there (control).

    The engine is left as a crash would leave it, so that closing it does not tidy up for it.
    """
    path = tmp_path / "t.db"
    engine = notes(path, Clock())
    engine.flush()
    engine.abandon()
    before = marked(path)
    clock = Clock()
    clock.forward(3 * 3600)
    engine = open_engine(path, clock)
    found = collection.collect(engine)
    engine.abandon()

    assert sum(before.values()) >= 40
    assert (found.instances, found.compacted) == (40, True)
    assert sum(marked(path).values()) == 0
    assert found.bytes_after < found.bytes_before
    assert path.stat().st_size <= found.bytes_after


def test_before_the_file_is_rewritten_the_bytes_are_overwritten_already(tmp_path):
    """What a crash leaves between the batch and the rewriting has them in the WAL at most."""
    path = tmp_path / "t.db"
    with notes(path, Clock()) as engine:
        engine.flush()
        engine.anchor()
        batch = thrown(engine)
        with collection.collection.overwriting(engine.tape), engine.turn():
            assert len(collection._collect(engine, batch, None)) == 40
        engine.tape.move_wal(whole=True)
        engine.abandon()

    assert sum(marked(path).values()) == 0


def test_without_overwriting_bytes_stay_in_free_pages(tmp_path):
    """Negative control: deleting alone leaves them for whoever looks."""
    path = tmp_path / "t.db"
    with notes(path, Clock()) as engine:
        engine.flush()
        engine.anchor()
        engine.tape.query("PRAGMA secure_delete = OFF")
        batch = thrown(engine)
        with engine.turn():
            collection._collect(engine, batch, None)

    assert sum(marked(path).values()) > 0


def test_a_reader_that_is_still_open_is_told_of(tmp_path):
    """It keeps the WAL; when it is closed, collecting again frees the bytes."""
    path = tmp_path / "t.db"
    with notes(path, Clock()) as engine:
        engine.flush()
        engine.tape.query("PRAGMA busy_timeout = 20")  # how long the reader is waited for
        with Reader.open(Files.of(path)) as reader, reader.snapshot():
            before = list(reader.read())
            found = collection.collect(engine)
            assert list(reader.read()) == before

        assert (found.instances, found.compacted) == (40, False)
        engine.tape.move_wal(whole=True)
        assert verify(engine.tape) == []
    assert sum(marked(path).values()) == 0


def test_leaf_hashes_are_those_that_they_were(tmp_path):
    """Of every range, whether its entries are there, were collected, or partly."""
    path = tmp_path / "t.db"
    rng = seeded("leaves")
    with notes(path, Clock()) as engine:
        leaves = leaf_hashes(list(engine.tape.read()))
        root = engine.tape.edge_at(256).root()
        collection.collect(engine)
        reader = engine.tape
        for _ in range(50):
            first, last = sorted(rng.randrange(1, len(leaves) + 1) for _ in range(2))
            assert reader.leaves(first, last) == leaves[first - 1 : last]

        assert reader.edge_at(256).root() == root == reader.subtree(8, 0)
        assert reader.leaves(5, 4) == []
        with pytest.raises(EntryCollected):
            reader.body(5)
        assert reader.body(len(leaves) + 100) is None
        assert reader.minimum_index == 0


def test_what_is_missing_and_was_not_collected_is_damage(tmp_path):
    """A hole needs a tile beside it."""
    path = tmp_path / "t.db"
    with new_tape(path) as handle:
        append(handle, *[b"x"] * 600)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TRIGGER entry_no_delete")
        db.execute("DELETE FROM entry WHERE pos IN (7, 300)")
    with Reader.open(Files.of(path)) as reader:
        with pytest.raises(TapeDamaged, match="entry 7: an entry is missing"):
            list(reader.read())
        with pytest.raises(TapeDamaged, match="entry 300"):
            reader.leaves(257, 400)
        with pytest.raises(TapeDamaged, match="entry 300"):
            reader.bodies_of([299, 300])
        assert reader.body(7) is None


def test_what_shrinking_took_is_noted_and_no_finding(tmp_path):
    """A checkpoint within a shrunk block; an anchor as old as that is refused: nothing tells."""
    path = tmp_path / "t.db"
    with notes(path, Clock(), 200) as engine:
        [(size, old), *_] = engine.tape.query("SELECT size, note FROM checkpoint ORDER BY size")
        collection.collect(engine, shrinking=True, uncosigned=True)
        [note] = notes_of(engine.tape)
        assert engine.tape.minimum_index > size
        assert verify(engine.tape) == []
        assert note.startswith("1 checkpoint lies within blocks whose leaf hashes were shrunk")
    Path(f"{path}.anchor").write_text(old)
    with Reader.open(Files.of(path)) as reader, pytest.raises(AnchorInvalid, match="nothing tells"):
        reader.compare_anchor()


def test_without_shrinking_nothing_is_noted(tmp_path):
    """Negative control; and an anchor from before fits."""
    path = tmp_path / "t.db"
    with notes(path, Clock(), 200) as engine:
        [(old,), *_] = engine.tape.query("SELECT note FROM checkpoint ORDER BY size")
        collection.collect(engine)
        assert notes_of(engine.tape) == []
    Path(f"{path}.anchor").write_text(old)
    with Reader.open(Files.of(path)) as reader:
        assert reader.compare_anchor().size < reader.stored_size()


def test_a_disk_that_is_full_keeps_what_should_have_gone(tmp_path):
    """Nothing of the batch goes, the engine goes on, and with space it is done."""
    path = tmp_path / "t.db"
    with notes(path, Clock()) as engine:
        engine.flush()
        engine.anchor()
        [[pages]] = engine.tape.query("PRAGMA page_count")
        engine.tape.query(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreFull):
            collection.collect(engine)
        assert engine.tape.query("SELECT count(*) FROM tile") == [(0,)]
        assert engine.world.instance("tests.note/1") is not None
        assert verify(engine.tape) == []

        engine.tape.query("PRAGMA max_page_count = 1000000")
        assert collection.collect(engine).instances == 40
        assert verify(engine.tape) == []


GUARDED = [
    "DELETE FROM entry WHERE pos = 1",
    "DELETE FROM entry WHERE pos = 300",
    "DELETE FROM tile",
    "UPDATE tile SET hashes = zeroblob(8192)",
    "INSERT INTO tile VALUES (0, zeroblob(8192))",
    "REPLACE INTO tile VALUES (0, zeroblob(8192))",
    "INSERT INTO tile VALUES (9, zeroblob(8192))",
    "INSERT INTO tile VALUES (1, zeroblob(8191))",
    "INSERT INTO shrunk VALUES (1)",
    "UPDATE shrunk SET idx = 9",
    "DELETE FROM shrunk",
    "UPDATE cosignature SET line = 'x'",
    "DELETE FROM cosignature",
    "REPLACE INTO cosignature SELECT size, line FROM cosignature",
    "DROP TRIGGER tile_no_delete",
    "DROP TABLE shrunk",
]
PLAIN = [sql for sql in GUARDED if not sql.startswith(("DROP", "DELETE FROM entry WHERE pos = 1"))]


@pytest.mark.parametrize("sql", GUARDED)
def test_outside_a_collection_no_entry_and_no_hash_goes(tmp_path, sql):
    """Not even what the triggers would let go: the tape's own connection may not."""
    path = tmp_path / "t.db"
    guarded_tape(path)
    with open_tape(path) as handle:
        before = evidence(handle.db)
        with pytest.raises(sqlite3.Error):
            handle.db.execute(sql)

        assert evidence(handle.db) == before


def test_the_guards_hold_for_a_plain_connection(tmp_path):
    """A tool that knows nothing of tapes deletes only what has its hash in a tile."""
    path = tmp_path / "t.db"
    guarded_tape(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        before = evidence(db)
        for sql in PLAIN:
            with pytest.raises(sqlite3.Error):
                db.execute(sql)
            assert evidence(db) == before, sql
        assert db.execute("DELETE FROM entry WHERE pos = 1").rowcount == 1


def guarded_tape(path: Path) -> None:
    """Make a tape of 601 entries; of three blocks the first has a tile, and is whole."""
    with new_tape(path) as handle:
        append(handle, *[b"x"] * 600)
        tile = b"".join(handle.leaves(1, 256))
        handle.db.execute("INSERT INTO tile VALUES (0, ?)", (tile,))
        handle.db.execute("INSERT INTO shrunk VALUES (0)")
        handle.anchor()
        handle.db.execute("INSERT INTO cosignature VALUES (601, 'a line')")


def evidence(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Everything in the evidence's tables."""
    return [row for table in schema.EVIDENCE for row in db.execute(f"SELECT * FROM {table}")]


def test_verify_names_what_does_not_fit_a_tile(tmp_path):
    """A tile's hash against its entry and its root; tiles and marks where none belong."""
    path = tmp_path / "t.db"
    collected_tape(path)
    changes = [
        ("UPDATE tile SET hashes = zeroblob(8192) WHERE idx = 0", "table node, level 8, index 0"),
        ("UPDATE entry SET body = 'forged', crc = 3355103006 WHERE pos = 2", "entry 2"),
        ("INSERT INTO tile VALUES (77, zeroblob(8192))", "table tile, row 77"),
        ("INSERT INTO shrunk VALUES (78)", "table shrunk, row 78"),
        ("INSERT INTO shrunk VALUES (0)", "table shrunk, row 0"),
        ("DELETE FROM tile", "entry 3"),
        ("INSERT INTO cosignature VALUES (7, 'x')", "table cosignature, size 7"),
        ("INSERT INTO gone VALUES ('tests.note/x', 3)", "table gone, row tests.note/x"),
        ("DELETE FROM gone WHERE name = 'tests.note/3'", "table gone, row tests.note/3"),
        ("INSERT INTO hold VALUES ('tests.note/pad', 4)", "table hold, row tests.note/pad"),
    ]
    content = path.read_bytes()
    for sql, place in changes:
        path.write_bytes(content)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            guards = db.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in guards:
                db.execute(f"DROP TRIGGER {name}")
            db.execute(sql)
            for _, made in guards:
                db.execute(made)
        with Reader.open(Files.of(path)) as reader:
            assert place in [finding.place for finding in verify(reader)], sql
    path.write_bytes(content)
    with Reader.open(Files.of(path)) as reader:  # negative control
        assert verify(reader) == []


@pytest.mark.parametrize("shrinking", [False, True])
def test_flipped_bits_of_a_collected_tape_are_reported(tmp_path, shrinking):
    """Or harmless: nothing else is served than what was written."""
    path = tmp_path / "t.db"
    collected_tape(path, shrinking=shrinking)
    judge = InMemory(path)
    content = path.read_bytes()
    rng = seeded(f"flips {shrinking}")
    used = [place for place, byte in enumerate(content) if byte]
    tally = Tally()
    for _ in range(150):
        place = rng.choice(used)
        changed = bytearray(content)
        changed[place] ^= 1 << rng.randrange(8)
        if place >= 100:  # the header is for those that open files
            tally.add(f"byte {place}", judge.verdict(bytes(changed)))

    assert not tally.bad, str(tally)
    assert tally.counts["reported"] > 100


@pytest.fixture
def first_version(monkeypatch):
    """This program as it was when tapes had their first version; returns what makes it newer."""
    newest = schema.MIGRATIONS

    def become(migrations) -> None:
        monkeypatch.setattr(schema, "MIGRATIONS", migrations)
        for module in (schema, tape, connection_module):
            monkeypatch.setattr(module, "VERSION", len(migrations))

    def upgrade() -> None:
        become(newest)

    become(newest[:1])
    return upgrade


def test_a_tape_of_the_first_version_is_read_as_it_is_and_migrated_to_be_written(
    tmp_path, first_version
):
    """Looking does not change it, and finds it sound; writing makes it one to collect from."""
    path = tmp_path / "t.db"
    with new_tape(path) as handle:
        append(handle, *[b"x"] * 600)
        made = {name for (name,) in handle.query("SELECT name FROM sqlite_schema")}
    first_version()
    before = path.read_bytes()
    with Reader.open(Files.of(path)) as reader:
        assert verify_evidence(reader) == []
        assert len(list(reader.read())) == 601
        assert reader.body(602) is None
        assert (reader.collects, reader.minimum_index) == (False, 0)
        assert len(reader.leaves(1, 601)) == 601
    assert path.read_bytes() == before
    assert "tile" not in made

    with open_tape(path) as handle:
        assert handle.query("PRAGMA user_version") == [(2,)]
        assert len(list(handle.read())) == 601
        tile = b"".join(handle.leaves(257, 512))
        handle.db.execute("INSERT INTO tile VALUES (1, ?)", (tile,))
        assert verify_evidence(handle) == []
