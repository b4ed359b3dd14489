"""Connections to a tape's SQLite file, with the settings that its promises rest on.

WAL with synchronous=FULL: a commit is synced before it returns. Automatic WAL checkpoints are off
on every connection; `Tape` runs them itself, under the lock, and looks at their result. Settings
that could silently not take effect are read back.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from .errors import (
    NotATape,
    OutcomeUnknown,
    StoreFailed,
    StoreFull,
    TapeBusy,
    TapeDamaged,
    TapeMissing,
    TapeTooNew,
)
from .schema import APPLICATION_ID, VERSION, authorize

BUSY_TIMEOUT_S = 5.0
JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024
_SYNCHRONOUS = {"OFF": 0, "NORMAL": 1, "FULL": 2}
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError, MemoryError)
"""What the driver raises; the second where SQLite's own message quotes damaged text, the third
where a damaged record claims a size that no memory holds."""


def connect(path: Path, *, write: bool, synchronous: str = "FULL") -> sqlite3.Connection:
    """Return a connection to the tape at `path`.

    `synchronous` is FULL; the weaker settings exist for negative controls of crash tests alone.
    Raises TapeMissing, NotATape, TapeTooNew, TapeDamaged, StoreFailed.
    """
    if write:  # look first: closing a writer moves a WAL into its file, whoever's it is
        connect(path, write=False).close()
    if not path.is_file():
        if path.exists():
            raise NotATape("this is no regular file", place=str(path))
        hint = "create an instance with `statetape new`, or name the tape with --tape"
        raise TapeMissing("there is no tape here", place=str(path), hint=hint)
    try:
        return _opened(path, "mode=rw" if write else "mode=ro", write, synchronous)
    except StoreFailed:
        if write or not _read_only(path):
            raise
    if _bytes_in_wal(path):
        why = "the folder cannot be written, and the tape has a -wal that is not moved into it yet"
        hint = "copy the tape and its -wal to a folder that can be written, and read it there"
        raise StoreFailed(why, place=str(path), hint=hint)
    return _opened(path, "mode=ro&immutable=1", write, synchronous)


def _read_only(path: Path) -> bool:
    """Whether SQLite cannot make the files beside the tape that even a reader needs."""
    return not os.access(path.absolute().parent, os.W_OK, effective_ids=True)


def _bytes_in_wal(path: Path) -> bool:
    wal = Path(f"{path}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _opened(path: Path, how: str, write: bool, synchronous: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{how}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_S,
            check_same_thread=False,
            cached_statements=256,
        )
    except SQLITE_ERRORS as error:
        raise named(error, path) from error
    try:
        _recognise(connection, path)
        _settle(connection, write=write, synchronous=synchronous)
    except SQLITE_ERRORS as error:
        connection.close()
        raise named(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _recognise(connection: sqlite3.Connection, path: Path) -> None:
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        why = "an SQLite file of something else" if application or version else "not a tape"
        raise NotATape(f"{why}; it was not touched", place=str(path))
    if version > VERSION:
        why = f"the tape has version {version}; this program knows versions up to {VERSION}"
        raise TapeTooNew(why, place=str(path), hint="use the newer statetape")


def _settle(connection: sqlite3.Connection, *, write: bool, synchronous: str) -> None:
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA recursive_triggers = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_SIZE_LIMIT}")
    [synced] = connection.execute("PRAGMA synchronous").fetchone()
    if synced != _SYNCHRONOUS[synchronous]:
        raise StoreFailed(f"synchronous is {synced} although {synchronous} was asked for")
    [journal] = connection.execute("PRAGMA journal_mode").fetchone()
    if write and journal != "wal":
        [journal] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal != "wal":
            why = f"journal mode is {journal}: write-ahead logging needs a local file system"
            raise StoreFailed(why)
    connection.set_authorizer(authorize)


def named(
    error: sqlite3.Error | UnicodeDecodeError | MemoryError,
    path: Path,
    *,
    committing: bool = False,
) -> StoreFull | StoreFailed | TapeBusy | TapeDamaged | NotATape | OutcomeUnknown:
    """Return the named error for one of SQLite's."""
    if isinstance(error, MemoryError) and not committing:
        why = "SQLite got no memory for a record: it is damaged, or memory is short"
        return StoreFailed(why, place=str(path), hint="`statetape verify` tells which")
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    said = f"{error} ({getattr(error, 'sqlite_errorname', 'no code')})"
    place = str(path)
    if primary == sqlite3.SQLITE_FULL:
        hint = "free space on the disk and send the command again"
        return StoreFull(f"the disk is full: {said}", place=place, hint=hint)
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return StoreFailed(f"the tape refused a row: {said}", place=place)
    if committing and primary not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        hint = "open the tape again; commands with an idempotency key can safely be repeated"
        return OutcomeUnknown(f"the commit failed: {said}", place=place, hint=hint)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return TapeBusy(f"another process holds the tape: {said}", place=place)
    if primary == sqlite3.SQLITE_NOTADB:
        return NotATape(f"not an SQLite file: {said}", place=place)
    if primary == sqlite3.SQLITE_CORRUPT or _undecodable(error):
        hint = "restore the tape from a backup"
        return TapeDamaged(f"SQLite cannot read the file: {said}", place=place, hint=hint)
    return StoreFailed(said, place=place)


def _undecodable(error: sqlite3.Error | UnicodeDecodeError | MemoryError) -> bool:
    """Whether the driver, not SQLite, failed: a stored text is not UTF-8."""
    made_by_sqlite = hasattr(error, "sqlite_errorcode")
    return not made_by_sqlite and isinstance(error, sqlite3.OperationalError | UnicodeDecodeError)
