"""Reading an SQLite file of somebody else: nothing of it is changed, nothing in it trusted."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest
from statetape.storage.foreign import Foreign, ForeignChanged, ForeignInvalid, ForeignMissing

from .tapes import new_tape


@pytest.fixture
def path(tmp_path):
    """Where somebody's database lies: alone in its folder."""
    folder = tmp_path / "somebody"
    folder.mkdir()
    return folder / "boost.db"


def write(path, *statements):
    """Run statements on a database, each committed, as its own program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def rows(path, table, *columns):
    """Return a table's rows."""
    with Foreign(path) as foreign:
        return list(foreign.rows(table, columns))


def test_rows_come_in_the_order_of_their_rowids(path):
    """Whatever index or order of insertion there is."""
    write(path, "CREATE TABLE Deals (ID TEXT, n INT)", "CREATE INDEX i ON Deals (ID)")
    write(path, "INSERT INTO Deals (rowid, ID, n) VALUES (3, 'a', 1), (1, 'c', 2), (2, 'b', 3)")

    assert [row["ID"] for row in rows(path, "Deals", "ID")] == ["c", "b", "a"]


def test_a_table_without_rowids_is_read_in_its_keys_order(path):
    """Boost's own Deals is such a one."""
    write(path, "CREATE TABLE Deals (ID TEXT PRIMARY KEY) WITHOUT ROWID")
    write(path, "INSERT INTO Deals VALUES ('b'), ('a')")

    assert rows(path, "Deals", "ID") == [{"ID": "a"}, {"ID": "b"}]


def test_columns_that_are_not_there_are_left_out(path):
    """An older version's file has fewer; how a name is spelt does not matter."""
    write(path, "CREATE TABLE deals (id TEXT)", "INSERT INTO deals VALUES ('a')")

    assert rows(path, "Deals", "ID", "CheckpointAt") == [{"ID": "a"}]
    assert rows(path, "DealLogs", "DealUUID") == []


def test_a_name_that_hides_the_rowid_hides_nothing(path):
    """A column may be called like it, and hold what it likes."""
    write(path, "CREATE TABLE t (rowid TEXT, oid INT, _rowid_ BLOB, x INT)")
    write(path, "INSERT INTO t VALUES ('b', 2, x'00', 7), ('a', 1, x'01', 8)")

    assert rows(path, "t", "x", "rowid") == [{"x": 7, "rowid": "b"}, {"x": 8, "rowid": "a"}]


def test_text_that_is_not_utf_8_is_shown_with_its_octets(path):
    """Nothing is lost, and nothing fails."""
    write(path, "CREATE TABLE t (x TEXT)", "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")

    assert rows(path, "t", "x") == [{"x": "\\xffA"}]


def contents(folder):
    """Return name, octets and time of change of every file of a folder."""
    return {
        found.name: (found.read_bytes(), found.stat().st_mtime_ns)
        for found in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_reading_leaves_the_folder_as_it_was(path, mode):
    """No -wal, -shm or -journal appears, and no octet changes."""
    write(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    before = contents(path.parent)

    assert rows(path, "t", "x") == [{"x": 1}]
    assert contents(path.parent) == before
    assert list(before) == ["boost.db"]


def test_an_ordinary_reader_would_leave_files_behind(path):
    """The control: SQLite itself makes them for a file in WAL mode."""
    write(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x)")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.execute("SELECT * FROM t").fetchall()
        during = os.listdir(path.parent)

    assert len(during) > 1


def test_what_is_only_in_the_wal_is_read(path):
    """The program that owns the file is running: its newest commits are not in the file yet."""
    write(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x)")
    with closing(sqlite3.connect(path, isolation_level=None)) as owner:
        owner.execute("PRAGMA wal_autocheckpoint = 0")
        owner.execute("INSERT INTO t VALUES (1)")
        before = contents(path.parent)
        found = rows(path, "t", "x")

        assert found == [{"x": 1}]
        assert contents(path.parent) == before


def test_what_a_hot_journal_takes_back_is_not_read(path, tmp_path):
    """A program died in a commit: the journal beside the file says what was there before."""
    write(path, "PRAGMA cache_size = 1", "CREATE TABLE t (x)", "INSERT INTO t VALUES ('before')")
    with closing(sqlite3.connect(path, isolation_level=None)) as dying:
        dying.execute("PRAGMA cache_size = 1")
        dying.execute("BEGIN IMMEDIATE")
        dying.execute("UPDATE t SET x = 'torn'")
        dying.execute(
            "CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
            "SELECT i + 1 FROM n WHERE i < 3000) SELECT i, zeroblob(400) z FROM n"
        )
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for name in ("boost.db", "boost.db-journal"):
            (crashed / name).write_bytes((path.parent / name).read_bytes())
        dying.execute("ROLLBACK")
    before = contents(crashed)

    assert rows(crashed / "boost.db", "t", "x") == [{"x": "before"}]
    assert contents(crashed) == before


def test_a_file_that_changes_while_it_is_read_is_noticed(path):
    """Before a row of the mixture is handed out."""
    write(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    with Foreign(path) as foreign:
        write(path, "INSERT INTO t VALUES (2)")
        with pytest.raises(ForeignChanged):
            list(foreign.rows("t", ["x"]))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW Deals AS SELECT 'x' AS ID",
        "CREATE VIRTUAL TABLE Deals USING fts5(ID)",
    ],
    ids=["view", "virtual"],
)
def test_only_an_ordinary_table_is_read(path, statement):
    """A view's text is a program of somebody's."""
    write(path, "CREATE TABLE t (x)", statement)

    with pytest.raises(ForeignInvalid, match="ordinary"):
        rows(path, "Deals", "ID")


def test_a_computed_column_is_not_computed(path):
    """It could ask for more memory than there is."""
    write(path, "CREATE TABLE t (x, y AS (zeroblob(900000000)))", "INSERT INTO t VALUES (1)")

    assert rows(path, "t", "x", "y") == [{"x": 1}]


def interior(octets, page_bytes):
    """Return where in a database the root page of its first table has its cells."""
    start = page_bytes
    assert octets[start] == 5, "an interior page of a table"
    cells = int.from_bytes(octets[start + 3 : start + 5], "big")
    pointers = start + 12
    return [
        start + int.from_bytes(octets[pointers + 2 * i : pointers + 2 * i + 2], "big")
        for i in range(cells)
    ]


def test_pages_that_lead_in_circles_end(path):
    """All children of the root are one page: its rows would come again and again."""
    write(path, "PRAGMA page_size = 512", "CREATE TABLE t (x)")
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
    write(path, f"INSERT INTO t {many} SELECT i FROM n")
    octets = bytearray(path.read_bytes())
    cells = interior(octets, 512)
    for cell in cells:
        octets[cell : cell + 4] = octets[cells[0] : cells[0] + 4]
    path.write_bytes(octets)

    with pytest.raises(ForeignInvalid):
        rows(path, "t", "x")


@pytest.mark.parametrize("octets", [b"2021-06-11T18:08:45Z\tERROR" * 50, b"\x00" * 4096])
def test_what_is_no_sqlite_file_is_refused_by_name(path, octets):
    """A log, say, or a file of zeros."""
    path.write_bytes(octets)

    with pytest.raises(ForeignInvalid, match="not an SQLite file"):
        Foreign(path)


@pytest.mark.parametrize("kept", [100, 600, 2000, 6000])
def test_a_truncated_file_is_refused_or_read_as_far_as_it_goes(path, kept):
    """Never anything but the named error."""
    write(path, "CREATE TABLE t (x)")
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
    write(path, f"INSERT INTO t {many} SELECT hex(randomblob(9)) FROM n")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(ForeignInvalid):
        rows(path, "t", "x")


def test_a_tape_is_refused(tmp_path):
    """Its history is imported from an export; opening its file would drop its own locks."""
    with closing(new_tape(tmp_path / "t.db")), pytest.raises(ForeignInvalid, match="tape"):
        Foreign(tmp_path / "t.db")


def test_a_file_that_is_not_there_is_missing(path):
    """And none is made."""
    with pytest.raises(ForeignMissing):
        Foreign(path)

    assert not path.exists()
