"""Append-only, whoever asks: through a tape's own connection, and through a plain one."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from statetape.engine.verify import verify
from statetape.storage import connection as connection_module
from statetape.storage import schema, tape
from statetape.storage.errors import TapeTooNew
from statetape.storage.files import Files
from statetape.storage.reader import Reader

from .tapes import SEED, append, long_tape, new_tape, open_tape, small_tape

CHANGES = [
    "UPDATE entry SET body = 'other' WHERE pos = 2",
    "UPDATE entry SET pos = 100 WHERE pos = 2",
    "UPDATE OR REPLACE entry SET pos = 3 WHERE pos = 2",
    "UPDATE node SET root = zeroblob(32)",
    "UPDATE checkpoint SET note = ''",
    "UPDATE signer SET vkey = 'x'",
    "DELETE FROM entry",
    "DELETE FROM entry WHERE pos = (SELECT max(pos) FROM entry)",
    "DELETE FROM node",
    "DELETE FROM checkpoint",
    "DELETE FROM signer",
    "INSERT OR REPLACE INTO entry VALUES (2, 'other', 0)",
    "REPLACE INTO entry VALUES (1, 'other', 0)",
    "INSERT INTO entry VALUES (2, 'other', 0)",
    "INSERT INTO entry VALUES (2, 'other', 0) ON CONFLICT (pos) DO UPDATE SET body = 'other'",
    "INSERT INTO entry VALUES (100000, 'a gap', 0)",
    "INSERT INTO entry VALUES (0, 'before the first', 0)",
    "INSERT INTO entry VALUES (-1, 'before the first', 0)",
    "INSERT INTO entry (body, crc) VALUES ('at whatever position SQLite takes', 0)",
    "REPLACE INTO node SELECT level, idx, zeroblob(32) FROM node",
    "REPLACE INTO checkpoint SELECT size, '' FROM checkpoint",
    "INSERT INTO entry VALUES ((SELECT max(pos) + 1 FROM entry), x'00', 0)",
    "INSERT INTO entry VALUES ((SELECT max(pos) + 1 FROM entry), NULL, 0)",
    "INSERT INTO node VALUES (7, 0, zeroblob(32))",
    "INSERT INTO node VALUES (8, 99, zeroblob(31))",
    "INSERT INTO node VALUES (8, -1, zeroblob(32))",
]
"""What must be refused, whatever connection it comes through."""

DROPS = [
    *(f"DROP TABLE {table}" for table in schema.EVIDENCE),
    "DROP TRIGGER entry_next",
    "DROP TRIGGER entry_no_update",
    "DROP TRIGGER entry_no_delete",
    "DROP TRIGGER checkpoint_once",
    "DROP INDEX instance_timers",
    "ALTER TABLE entry RENAME TO other",
    "ALTER TABLE entry DROP COLUMN crc",
    "ALTER TABLE entry ADD COLUMN more TEXT",
]
"""What SQLite lets any connection do, and a tape's own does not."""


def evidence(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Everything in the evidence's tables."""
    return [row for table in schema.EVIDENCE for row in db.execute(f"SELECT * FROM {table}")]


@pytest.mark.parametrize("sql", CHANGES + DROPS)
def test_a_tape_s_own_connection_changes_no_evidence(tmp_path, sql):
    """Triggers, constraints and the authorizer, each of which catches its share."""
    path = tmp_path / "t.db"
    long_tape(path)
    with open_tape(path) as handle:
        before = evidence(handle.db)
        with pytest.raises(sqlite3.Error):
            handle.db.execute(sql)

        assert evidence(handle.db) == before


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_the_guards_hold_for_a_plain_connection(tmp_path, recursive):
    """A tool that knows nothing of tapes is stopped by what lies in the file itself.

    REPLACE deletes without firing the DELETE trigger when recursive_triggers is off.
    """
    path = tmp_path / "t.db"
    long_tape(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA recursive_triggers = {recursive}")
        before = evidence(db)
        for sql in CHANGES:
            with pytest.raises(sqlite3.Error):
                db.execute(sql)

        assert evidence(db) == before


def test_without_the_guards_every_change_that_is_wellformed_succeeds(tmp_path):
    """Negative control: it is the guards that refuse, not a slip in the statements."""
    path = tmp_path / "t.db"
    long_tape(path)
    refused = []
    for sql in CHANGES + DROPS:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            triggers = db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            db.execute("BEGIN")
            try:
                if not sql.startswith("DROP TRIGGER"):
                    for (name,) in triggers.fetchall():
                        db.execute(f"DROP TRIGGER {name}")
                db.execute(sql)
            except sqlite3.IntegrityError:
                refused.append(sql)

    assert len(refused) == 7, refused  # STRICT, NOT NULL, CHECK and primary keys: not a trigger


def test_the_next_entry_node_and_checkpoint_are_welcome(tmp_path):
    """Negative control: the guards leave the one door that appending goes through."""
    path = tmp_path / "t.db"
    with new_tape(path) as handle:
        append(handle, *[b"x"] * 300)
        handle.anchor()

        assert handle.query("SELECT count(*), max(pos) FROM entry") == [(301, 301)]
        assert handle.query("SELECT level, idx FROM node") == [(8, 0)]
        assert handle.query("SELECT size FROM checkpoint") == [(301,)]


def test_projections_may_change(tmp_path):
    """Negative control: nothing guards what is only derived."""
    path = tmp_path / "t.db"
    small_tape(path)
    with open_tape(path, new_seed=SEED) as handle:
        for table in schema.PROJECTIONS:
            handle.db.execute(f"DELETE FROM {table}")
            assert handle.query(f"SELECT * FROM {table}") == []


def test_verify_names_a_guard_that_is_gone_or_changed(tmp_path):
    """And a table or trigger that does not belong there."""
    path = tmp_path / "t.db"
    small_tape(path)
    for sql, place in [
        ("DROP TRIGGER entry_next", "schema entry_next"),
        ("DROP INDEX instance_timers", "schema instance_timers"),
        ("CREATE TABLE extra (x)", "schema extra"),
        ("CREATE TRIGGER spy AFTER INSERT ON entry BEGIN SELECT 1; END", "schema spy"),
        ("CREATE VIEW look AS SELECT 1", "schema look"),
    ]:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(sql)
        with Reader.open(Files.of(path)) as reader:
            assert place in [finding.place for finding in verify(reader)], sql


def test_verify_names_a_trigger_whatever_it_is_called(tmp_path):
    """The record of migrations has tables; a trigger with such a name does not belong to a tape."""
    path = tmp_path / "t.db"
    small_tape(path)
    name = "_sqlite_migrations_spy"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"CREATE TRIGGER {name} AFTER INSERT ON entry BEGIN DELETE FROM cursor; END")
    with Reader.open(Files.of(path)) as reader:
        assert f"schema {name}" in [finding.place for finding in verify(reader)]


@pytest.fixture
def newer(monkeypatch):
    """A version of this program that has one migration more."""
    statements = ("CREATE TABLE later (x INTEGER) STRICT", "INSERT INTO later VALUES (7)")
    more = (*schema.MIGRATIONS, (f"tape_{schema.VERSION + 1}", statements))

    def upgrade(migrations=more):
        monkeypatch.setattr(schema, "MIGRATIONS", migrations)
        for module in (schema, tape, connection_module):
            monkeypatch.setattr(module, "VERSION", len(migrations))

    return upgrade


def test_an_older_tape_is_brought_up_to_this_version(tmp_path, newer):
    """Its entries stay, the guards too; an older program then refuses it before reading a row."""
    path = tmp_path / "t.db"
    small_tape(path)
    with Reader.open(Files.of(path)) as reader:
        before = list(reader.read())
    old = schema.VERSION

    newer()
    with open_tape(path) as handle:
        assert handle.query("SELECT x FROM later") == [(7,)]
        assert handle.query("PRAGMA user_version") == [(old + 1,)]
        assert list(handle.read()) == before
        with pytest.raises(sqlite3.DatabaseError):
            handle.db.execute("DELETE FROM entry")
        with pytest.raises(sqlite3.DatabaseError):
            handle.db.execute("DROP TABLE later")
    open_tape(path).close()

    connection_module.VERSION = old
    with pytest.raises(TapeTooNew):
        Reader.open(Files.of(path))


def test_a_migration_that_fails_leaves_the_tape_as_it_was(tmp_path, newer):
    """Whole or not at all: the table made by its first statement is gone again."""
    path = tmp_path / "t.db"
    small_tape(path)
    old = schema.VERSION
    broken = ("CREATE TABLE later (x INTEGER) STRICT", "INSERT INTO nowhere VALUES (7)")

    newer((*schema.MIGRATIONS, ("tape_next", broken)))
    with pytest.raises(Exception, match="nowhere"):
        open_tape(path)

    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (old,)
        assert not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'later'").fetchall()


def test_the_schema_that_verify_expects_is_the_one_that_is_made(tmp_path):
    """Name by name; so neither can be changed alone."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    with closing(sqlite3.connect(path)) as db:
        made = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))

    assert schema.expected_schema().items() <= made.items()
    assert made.keys() - schema.expected_schema().keys() <= {
        "_sqlite_migrations",
        "idx__sqlite_migrations_migration_set_name",
    }
