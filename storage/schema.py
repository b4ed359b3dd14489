"""Tables, triggers and migrations of a tape.

Evidence (append-only; triggers refuse every other change):
    entry       one row per entry: its position, its exact bytes, their CRC-32
    node        roots of complete subtrees of 256, 65,536, … entries
    checkpoint  every signed checkpoint, by size
    signer      the public keys whose checkpoints count
    tile        the 256 leaf hashes of a complete block some of whose entries were collected
    shrunk      the blocks whose tile went too: their root in `node` is all that is left of them
    cosignature lines of witnesses, by the size of the checkpoint that they signed
Projections (derived from the entries; may lag behind and are caught up at open):
    instance, history, idempotency, head, spec, cursor, gone, hold

An entry is deleted only while its block's tile is stored, a tile only where its block is marked as
shrunk, has its root, and no entry any more; and by a collection alone (`authorize_collection`).

The CRC names the place of damage and keeps damaged bytes from being served; what proves history is
the tree. `sqlite-utils` runs the migrations and keeps their record; `user_version` counts them, so
that an older program refuses a newer tape before it reads a row. A migration is never edited after
its release: add one.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x53544150
"""`STAP` in the file's header: this file is a tape."""
_FIRST_EVIDENCE = ("entry", "node", "checkpoint", "signer")
EVIDENCE = (*_FIRST_EVIDENCE, "tile", "shrunk", "cosignature")
PROJECTIONS = ("instance", "history", "idempotency", "head", "spec", "cursor", "gone", "hold")
COLLECTABLE = ("entry", "tile")
"""What a collection may delete from."""

_TABLES = (
    """CREATE TABLE entry (
    pos INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    crc INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE node (
    level INTEGER NOT NULL CHECK (level > 0 AND level % 8 = 0),
    idx INTEGER NOT NULL CHECK (idx >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL
) STRICT""",
    """CREATE TABLE signer (
    vkey TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE instance (
    pos INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    spec INTEGER NOT NULL,
    state TEXT NOT NULL,
    seq INTEGER NOT NULL,
    last INTEGER NOT NULL,
    data TEXT NOT NULL,
    timers TEXT,
    parked TEXT,
    crc INTEGER NOT NULL
) STRICT""",
    "CREATE INDEX instance_timers ON instance (pos) WHERE timers IS NOT NULL",
    """CREATE TABLE history (
    instance INTEGER NOT NULL,
    base INTEGER NOT NULL,
    offsets BLOB NOT NULL,
    PRIMARY KEY (instance, base)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE idempotency (
    instance INTEGER NOT NULL,
    key TEXT NOT NULL,
    pos INTEGER NOT NULL,
    PRIMARY KEY (instance, key)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE head (
    chain TEXT PRIMARY KEY,
    height INTEGER NOT NULL,
    pos INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE spec (
    pos INTEGER PRIMARY KEY,
    machine TEXT NOT NULL,
    digest TEXT NOT NULL,
    chain TEXT
) STRICT""",
    """CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    pos INTEGER NOT NULL,
    crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TRIGGER entry_next BEFORE INSERT ON entry
WHEN new.pos IS NOT (SELECT coalesce(max(pos), 0) + 1 FROM entry)
BEGIN SELECT RAISE(ABORT, 'an entry takes the next position'); END""",
    """CREATE TRIGGER node_once BEFORE INSERT ON node
WHEN EXISTS (SELECT 1 FROM node WHERE level = new.level AND idx = new.idx)
BEGIN SELECT RAISE(ABORT, 'node is append-only'); END""",
    """CREATE TRIGGER checkpoint_once BEFORE INSERT ON checkpoint
WHEN EXISTS (SELECT 1 FROM checkpoint WHERE size = new.size)
BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only'); END""",
)


def _guard(table: str, change: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


_COLLECTION = (
    """CREATE TABLE tile (
    idx INTEGER PRIMARY KEY CHECK (idx >= 0),
    hashes BLOB NOT NULL CHECK (length(hashes) = 8192)
) STRICT""",
    """CREATE TABLE shrunk (
    idx INTEGER PRIMARY KEY CHECK (idx >= 0)
) STRICT""",
    """CREATE TABLE cosignature (
    size INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (size, line)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE gone (
    name TEXT PRIMARY KEY,
    pos INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE hold (
    name TEXT PRIMARY KEY,
    pos INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    "DROP TRIGGER entry_no_delete",
    """CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry
WHEN NOT EXISTS (SELECT 1 FROM tile WHERE idx = (old.pos - 1) >> 8)
BEGIN SELECT RAISE(ABORT, 'entry is append-only: its leaf hash is not kept'); END""",
    """CREATE TRIGGER tile_once BEFORE INSERT ON tile
WHEN EXISTS (SELECT 1 FROM tile WHERE idx = new.idx)
OR NOT EXISTS (SELECT 1 FROM node WHERE level = 8 AND idx = new.idx)
BEGIN SELECT RAISE(ABORT, 'a tile is of a complete block, once'); END""",
    """CREATE TRIGGER tile_no_delete BEFORE DELETE ON tile
WHEN NOT EXISTS (SELECT 1 FROM shrunk WHERE idx = old.idx)
OR NOT EXISTS (SELECT 1 FROM node WHERE level = 8 AND idx = old.idx)
OR EXISTS (SELECT 1 FROM entry WHERE pos BETWEEN old.idx * 256 + 1 AND old.idx * 256 + 256)
BEGIN SELECT RAISE(ABORT, 'tile is append-only: its block is not shrunk'); END""",
    """CREATE TRIGGER shrunk_once BEFORE INSERT ON shrunk
WHEN EXISTS (SELECT 1 FROM shrunk WHERE idx = new.idx)
OR NOT EXISTS (SELECT 1 FROM tile WHERE idx = new.idx)
BEGIN SELECT RAISE(ABORT, 'a block that has a tile is shrunk, once'); END""",
    """CREATE TRIGGER cosignature_once BEFORE INSERT ON cosignature
WHEN EXISTS (SELECT 1 FROM cosignature WHERE size = new.size AND line = new.line)
BEGIN SELECT RAISE(ABORT, 'cosignature is append-only'); END""",
    _guard("tile", "UPDATE"),
    _guard("shrunk", "UPDATE"),
    _guard("shrunk", "DELETE"),
    _guard("cosignature", "UPDATE"),
    _guard("cosignature", "DELETE"),
)

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "tape_1",
        (
            *_TABLES,
            *(_guard(table, how) for table in _FIRST_EVIDENCE for how in ("UPDATE", "DELETE")),
        ),
    ),
    ("tape_2", _COLLECTION),
)
"""Name and statements of each migration, oldest first."""
VERSION = len(MIGRATIONS)
RECORD = (("table", "_sqlite_migrations"), ("index", "idx__sqlite_migrations_migration_set_name"))
"""What `sqlite-utils` keeps its record of migrations in."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tape behind `connection` to VERSION, each migration whole or not at all."""
    # Imported here: only a new or an old tape pays for it.
    from sqlite_utils import Database, Migrations  # noqa: PLC0415

    migrations = Migrations("statetape")
    for number, (name, statements) in enumerate(MIGRATIONS, 1):
        migrations(name=name)(_apply(number, statements))
    migrations.apply(Database(connection))


def _apply(number: int, statements: tuple[str, ...]):  # type: ignore[no-untyped-def] # noqa: ANN202
    def apply(db) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        for statement in statements:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {number}")

    return apply


def expected_schema(version: int | None = None) -> dict[str, str]:
    """Return name → SQL of every object that a version (default: VERSION) has, as SQLite keeps it.

    An older tape that is only read is not migrated, and sound as it is.
    """
    objects: dict[str, str] = {}
    for _, statements in MIGRATIONS[:version]:
        for statement in statements:
            how, _, name = statement.split()[:3]
            if how == "DROP":
                del objects[name]
            else:
                objects[name] = statement
    return objects


def authorize(action: int, first: str | None, _second: str | None, *_: object) -> int:
    """An authorizer for connections: honest code cannot even prepare a change of the evidence.

    The triggers already refuse to change a row; this refuses to drop them or their tables.
    """
    if action in (sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE) and first in EVIDENCE:
        return sqlite3.SQLITE_DENY
    if action in _DROPS and first not in PROJECTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def authorize_collection(action: int, first: str | None, second: str | None, *more: object) -> int:
    """`authorize`, while a collection runs: it may delete what the triggers let it delete."""
    if action == sqlite3.SQLITE_DELETE and first in COLLECTABLE:
        return sqlite3.SQLITE_OK
    return authorize(action, first, second, *more)


_DROPS = frozenset(
    {
        sqlite3.SQLITE_DROP_TABLE,
        sqlite3.SQLITE_DROP_TRIGGER,
        sqlite3.SQLITE_DROP_INDEX,
        sqlite3.SQLITE_DROP_VIEW,
        sqlite3.SQLITE_ALTER_TABLE,
    }
)
