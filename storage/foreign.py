"""Read an SQLite file of somebody else's program, and never change a byte in its folder.

Theory of operation. What is read is what the file held at one moment:

  1. The file is opened immutable: SQLite takes no lock and makes no file beside it. So the file's
     own program is not kept waiting, and a commit of its would go unnoticed: the file's identity,
     size and time of change are compared after each page of rows, before the page is handed out.
  2. A write-ahead log or a rollback journal with something in it belongs to the file. Reading that
     needs a writer, so the file and what lies beside it are copied to a folder of our own first.
  3. The file's schema is not trusted: only ordinary tables are read, no view, no virtual table, no
     computed column; the authorizer allows the reading of that and nothing else; and a table whose
     pages lead in circles is noticed by its rowids, or by having more rows than the file has room
     for.

A tape of statetape is refused before anything opens it by other means than SQLite: closing a
descriptor of our own tape would drop its locks.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from ..fsm.errors import CallerError, ConflictError, PeerError
from .connection import SQLITE_ERRORS
from .errors import StoreFailed
from .schema import APPLICATION_ID

PAGE_ROWS = 512
VALUE_BYTES_MAX = 16 * 1024 * 1024
COPIES_MAX = 3
_CELL_BYTES_MIN = 4
"""A row takes at least a pointer of 2 bytes and a cell of 2 in its page."""
_ROWID_NAMES = ("rowid", "oid", "_rowid_")
_BESIDE = ("-wal", "-journal")
_READS = {
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_PRAGMA,
}

Row = Mapping[str, Any]
"""Column to value: int, float, str, bytes or None, as SQLite keeps it."""


class ForeignMissing(CallerError):
    """There is no such file to import."""

    code = "foreign-missing"


class ForeignInvalid(PeerError):
    """The file to import is no SQLite file, is damaged, or is not shaped as it must be."""

    code = "foreign-invalid"


class ForeignChanged(ConflictError):
    """The file to import changed while it was read. What was read of it is as it was before."""

    code = "foreign-changed"


class Foreign:
    """An SQLite file of somebody else, as it was when it was opened."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises ForeignMissing, ForeignInvalid, ForeignChanged, StoreFailed."""
        self.path = path
        self._resources = ExitStack()
        if not path.is_file():
            raise ForeignMissing("there is no such file", place=str(path))
        try:
            self._refuse_a_tape()
            self._read = path
            self._was = _stamp(path)  # before the look at its journal: no commit falls between
            if self._unfinished():
                self._read = self._own_copy()
                self._was = _stamp(self._read)
            self.db = self._resources.enter_context(closing(self._connect(self._read)))
            self._rows_max = self._room()
            self._tables = self._find_tables()
        except BaseException:
            self._resources.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back, and forget the copy if there was one."""
        self._resources.close()

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the ordinary tables."""
        return tuple(self._tables)

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the names of a table's stored columns; of no such table, none."""
        found = self._table(table)
        return self._tables[found] if found else ()

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of a table in the order of their rowids (or of their primary key).

        `columns` are wanted; a row has those that there are. Without such a table there are no
        rows. Raises ForeignInvalid, ForeignChanged.
        """
        found = self._table(table)
        if found is None:
            return
        stored = {name.lower(): name for name in self._tables[found]}
        wanted = [name for name in columns if name.lower() in stored]
        listed = ", ".join(_name(stored[name.lower()]) for name in wanted) or "NULL"
        rowid = self._rowid(found)
        asked = f"{listed}, {rowid or 'NULL'}"
        order = f" ORDER BY {rowid}" if rowid else ""
        sql = f"SELECT {asked} FROM {_name(found)} NOT INDEXED{order}"  # noqa: S608
        before = None
        for row in self._pages(sql):
            if before is not None and row[-1] <= before:
                raise ForeignInvalid(f"the pages of {found} lead in circles", place=str(self.path))
            before = row[-1]
            yield dict(zip(wanted, row, strict=False))

    # opening

    def _refuse_a_tape(self) -> None:
        with closing(self._connect(self.path)) as db:
            try:
                [application] = db.execute("PRAGMA application_id").fetchone()
            except SQLITE_ERRORS as error:
                raise self._invalid(error) from None
        if application == APPLICATION_ID:
            hint = "import a history that `statetape export` wrote instead"
            raise ForeignInvalid("this is a tape of statetape", place=str(self.path), hint=hint)

    def _unfinished(self) -> bool:
        """Whether a log or a journal beside the file belongs to what it holds."""
        return any(_size(Path(f"{self.path}{suffix}")) for suffix in _BESIDE)

    def _own_copy(self) -> Path:
        """Return a copy of the file with its log played in, taken while nothing changed."""
        folder = tempfile.TemporaryDirectory(prefix="statetape-foreign-")
        copy = Path(self._resources.enter_context(folder)) / "copy.db"
        parts = ("", *_BESIDE)
        for _ in range(COPIES_MAX):
            before = [_stamp(Path(f"{self.path}{part}")) for part in parts]
            try:
                for part in parts:
                    Path(f"{copy}{part}").unlink(missing_ok=True)
                    if Path(f"{self.path}{part}").is_file():
                        shutil.copyfile(f"{self.path}{part}", f"{copy}{part}")
            except FileNotFoundError:
                continue
            except OSError as error:
                why = f"cannot copy the file, whose log has to be read with it: {error.strerror}"
                raise StoreFailed(why, place=str(self.path)) from None
            if before == [_stamp(Path(f"{self.path}{part}")) for part in parts]:
                self._play_in(copy)
                return copy
        raise self._changed()

    def _play_in(self, copy: Path) -> None:
        """Let SQLite finish in the copy what its log or journal says."""
        try:
            with closing(sqlite3.connect(copy, isolation_level=None)) as db:
                db.execute("PRAGMA trusted_schema = OFF")
                db.execute("SELECT 1 FROM sqlite_schema").fetchone()
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except SQLITE_ERRORS as error:
            raise self._invalid(error) from None

    def _connect(self, path: Path) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        except SQLITE_ERRORS as error:
            raise self._invalid(error) from None
        db.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
        try:
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON"):
                db.execute(f"PRAGMA {pragma}")
            db.execute("PRAGMA mmap_size = 0")
            db.set_authorizer(_authorize)
        except BaseException:
            db.close()
            raise
        return db

    def _room(self) -> int:
        """Return how many rows the whole file has room for."""
        [[pages]] = self._query("PRAGMA page_count")
        [[bytes_each]] = self._query("PRAGMA page_size")
        return int(pages) * int(bytes_each) // _CELL_BYTES_MIN + 1

    def _find_tables(self) -> dict[str, tuple[str, ...]]:
        found = {}
        sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid"
        for name, text in self._query(sql):
            words = str(text or "").split(None, 2)
            virtual = len(words) > 1 and words[1].upper() == "VIRTUAL"
            if isinstance(name, str) and not virtual and not name.lower().startswith("sqlite_"):
                listed = self._query(f"PRAGMA table_xinfo({_name(name)})")
                found[name] = tuple(str(row[1]) for row in listed if row[6] == 0)
        return found

    def _table(self, name: str) -> str | None:
        """Return a table's name as the file spells it. Raises ForeignInvalid for a view."""
        for found in self._tables:
            if found.lower() == name.lower():
                return found
        sql = "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE"
        if self._query(sql, (name,)):
            why = f"{name} is no ordinary table; only such a one is read"
            raise ForeignInvalid(why, place=str(self.path))
        return None

    def _rowid(self, table: str) -> str | None:
        """Return what a table's rowid can be called, or None: then its primary key is the order."""
        names = [name.lower() for name in self._tables[table]]
        free = next((name for name in _ROWID_NAMES if name not in names), None)
        listed = self._query(f"PRAGMA table_list({_name(table)})")
        without_rowid = any(row[4] for row in listed if row[0] == "main")
        return None if without_rowid else free

    # reading

    def _pages(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Yield a query's rows, each page of them checked before it is handed out."""
        left = self._rows_max
        try:
            cursor = self.db.execute(sql)
        except SQLITE_ERRORS as error:
            raise self._invalid(error) from None
        with closing(cursor):
            while True:
                try:
                    page = cursor.fetchmany(PAGE_ROWS)
                except SQLITE_ERRORS as error:
                    self._check_unchanged()
                    raise self._invalid(error) from None
                self._check_unchanged()
                left -= len(page)
                if left < 0:
                    why = "a table has more rows than the file has room for"
                    raise ForeignInvalid(why, place=str(self.path))
                if not page:
                    return
                yield from page

    def _query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self.db.execute(sql, values).fetchall()
        except SQLITE_ERRORS as error:
            self._check_unchanged()
            raise self._invalid(error) from None

    def _check_unchanged(self) -> None:
        if _stamp(self._read) != self._was:
            raise self._changed()

    def _changed(self) -> ForeignChanged:
        hint = "import it again (what is there already is not added twice), or import a copy"
        return ForeignChanged("it changed while it was read", place=str(self.path), hint=hint)

    def _invalid(self, error: Exception) -> ForeignInvalid:
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(code, int) and code & 0xFF == sqlite3.SQLITE_NOTADB:
            return ForeignInvalid("not an SQLite file", place=str(self.path))
        return ForeignInvalid(f"SQLite cannot read it: {error}", place=str(self.path))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one content of a file from another, or None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _name(name: str) -> str:
    """Return a name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def _authorize(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY
