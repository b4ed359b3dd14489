"""Opening a file: the settings that promises rest on, and every file that is no tape."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.fsm.errors import StatetapeError
from statetape.storage.connection import connect, named
from statetape.storage.errors import (
    NotATape,
    OutcomeUnknown,
    StoreFailed,
    StoreFull,
    TapeBusy,
    TapeDamaged,
    TapeMissing,
    TapeTooNew,
)
from statetape.storage.files import Files
from statetape.storage.reader import Reader
from statetape.storage.schema import APPLICATION_ID, VERSION
from statetape.storage.verify import verify

from .tapes import FIRST, append, new_tape, open_tape, small_tape, vandal

SETTINGS = {
    "synchronous": 2,
    "journal_mode": "wal",
    "wal_autocheckpoint": 0,
    "foreign_keys": 1,
    "recursive_triggers": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "journal_size_limit": 64 * 1024 * 1024,
    "application_id": APPLICATION_ID,
    "user_version": VERSION,
}


@pytest.mark.parametrize("write", [True, False])
def test_every_setting_is_in_force(tmp_path, write):
    """Read back from the connection: none of them is stored in the file but the last three."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    with closing(connect(path, write=write)) as connection:
        found = {name: connection.execute(f"PRAGMA {name}").fetchone() for name in SETTINGS}

    assert found == {name: (value,) for name, value in SETTINGS.items()}


def test_a_plain_connection_has_other_settings(tmp_path):
    """Negative control: the settings are this module's doing, not SQLite's defaults."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    with closing(sqlite3.connect(path)) as connection:
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in SETTINGS}

    assert {name for name, value in SETTINGS.items() if found[name] != value} >= {
        "wal_autocheckpoint",
        "foreign_keys",
        "cell_size_check",
        "journal_size_limit",
    }


def test_weaker_synchronous_is_in_force_only_when_asked_for(tmp_path):
    """The negative controls of the crash tests rest on it."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    for number, name in enumerate(["OFF", "NORMAL", "FULL"]):
        with closing(connect(path, write=True, synchronous=name)) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (number,)


def plain_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE entry (pos INTEGER PRIMARY KEY, body TEXT, crc INTEGER)")
        connection.commit()


def other_application(path: Path) -> None:
    plain_database(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 12345")


def left_in_wal_mode(path: Path) -> None:
    """A database of something else whose process was killed: its WAL holds a committed row."""
    script = f"""
import os, sqlite3
connection = sqlite3.connect({str(path)!r}, isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE other (x)")
connection.execute("INSERT INTO other VALUES (1)")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    assert Path(f"{path}-wal").stat().st_size


def newer_tape(path: Path) -> None:
    new_tape(path).close()
    for suffix in (".anchor", ".key", ".lock"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


FOREIGN = {
    "plain database": (plain_database, NotATape),
    "database of another program": (other_application, NotATape),
    "database of another program, in WAL mode": (left_in_wal_mode, NotATape),
    "newer tape": (newer_tape, TapeTooNew),
    "text": (lambda path: path.write_text("Dear diary,\n" * 1000), NotATape),
    "short text": (lambda path: path.write_text("no"), NotATape),
    "nothing": (lambda path: path.write_bytes(b""), NotATape),
    "zeros": (lambda path: path.write_bytes(bytes(8192)), NotATape),
}


def content(folder: Path) -> dict[str, bytes]:
    """Every file that holds somebody's data: no locks, no shared memory, no empty WAL."""
    kept = [path for path in folder.iterdir() if not path.name.endswith(("-shm", ".lock"))]
    found = {path.name: path.read_bytes() for path in kept}
    return {name: data for name, data in found.items() if data or not name.endswith("-wal")}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("how", ["to write", "to read"])
def test_a_file_that_is_no_tape_of_this_version_is_refused_untouched(tmp_path, name, how):
    """By name and with its path; not a byte of it, nor of what lies beside it, changes."""
    make, error = FOREIGN[name]
    path = tmp_path / "t.db"
    make(path)
    before = content(tmp_path)

    opened = Engine.open if how == "to write" else lambda path: Reader.open(Files.of(path))
    with pytest.raises(error) as refused:
        opened(path)

    assert refused.value.place == str(path)
    assert content(tmp_path) == before


def test_a_missing_tape_is_refused_by_name(tmp_path):
    """And nothing is created: neither by reading, nor by writing without leave to create."""
    path = tmp_path / "t.db"
    with pytest.raises(TapeMissing, match="no tape"):
        Reader.open(Files.of(path))
    with pytest.raises(TapeMissing):
        Engine.open(path, create=False)

    assert not list(tmp_path.iterdir())


def test_a_directory_is_not_taken_for_a_tape(tmp_path):
    """It is refused when reading, and when writing it is no place for a new tape."""
    path = tmp_path / "t.db"
    path.mkdir()
    for opening in (lambda: Reader.open(Files.of(path)), lambda: Engine.open(path)):
        with pytest.raises(NotATape) as failed:
            opening()
        assert failed.value.place == str(path)

    assert list(tmp_path.rglob("*")) == [path]


def test_a_folder_that_is_not_there_is_an_error_of_the_disk(tmp_path):
    """By name, with the path."""
    with pytest.raises(StoreFailed) as failed:
        Engine.open(tmp_path / "nowhere" / "t.db")

    assert "nowhere" in failed.value.place


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "50%20#1.db", "ünï.db", "x&mode=memory.db"])
def test_a_file_name_means_nothing_but_itself(tmp_path, name):
    """SQLite is given the name as a URI, where ? # % & would mean something."""
    path = tmp_path / name
    tape = new_tape(path)
    append(tape, b"second")
    tape.close()

    assert path.is_file()
    with Reader.open(Files.of(path)) as reader:
        assert list(reader.read()) == [FIRST, b"second"]


def test_readers_write_nothing(tmp_path):
    """A reader's connection refuses to change even what no guard protects."""
    path = tmp_path / "t.db"
    small_tape(path)
    with Reader.open(Files.of(path)) as reader:
        for sql in ("DELETE FROM cursor", "CREATE TABLE more (x)", "DELETE FROM entry"):
            with pytest.raises(sqlite3.DatabaseError):
                reader.db.execute(sql)


def sqlite_error(name: str) -> sqlite3.OperationalError:
    """An error as the driver makes it."""
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorname = name
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


@pytest.mark.parametrize(
    ("name", "working", "committing"),
    [
        ("SQLITE_FULL", StoreFull, StoreFull),
        ("SQLITE_IOERR", StoreFailed, OutcomeUnknown),
        ("SQLITE_IOERR_FSYNC", StoreFailed, OutcomeUnknown),
        ("SQLITE_IOERR_WRITE", StoreFailed, OutcomeUnknown),
        ("SQLITE_BUSY", TapeBusy, TapeBusy),
        ("SQLITE_BUSY_SNAPSHOT", TapeBusy, TapeBusy),
        ("SQLITE_LOCKED", TapeBusy, TapeBusy),
        ("SQLITE_CONSTRAINT_TRIGGER", StoreFailed, StoreFailed),
        ("SQLITE_CORRUPT", TapeDamaged, OutcomeUnknown),
        ("SQLITE_CORRUPT_INDEX", TapeDamaged, OutcomeUnknown),
        ("SQLITE_NOTADB", NotATape, OutcomeUnknown),
        ("SQLITE_READONLY", StoreFailed, OutcomeUnknown),
        ("SQLITE_CANTOPEN", StoreFailed, OutcomeUnknown),
    ],
)
def test_each_of_sqlite_s_errors_has_a_name_here(tmp_path, name, working, committing):
    """Whoever commits and fails cannot know, unless SQLite says that nothing was stored."""
    path = tmp_path / "t.db"
    error = sqlite_error(name)

    assert type(named(error, path)) is working
    assert type(named(error, path, committing=True)) is committing
    assert named(error, path).place == str(path)
    assert name in str(named(error, path))


def test_an_error_without_a_code_has_a_name_too(tmp_path):
    """The driver makes some of its own, as when it is used after closing."""
    path = tmp_path / "t.db"
    tape = new_tape(path)
    tape.close()
    with pytest.raises(StatetapeError):
        tape.query("SELECT 1")
    assert type(named(sqlite3.ProgrammingError("closed"), path)) is StoreFailed


def descriptors() -> int:
    """How many descriptors this process has."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("/proc/self/fd is needed to count descriptors")
    return len(list(folder.iterdir()))


@pytest.mark.parametrize("opened", [Engine.open, open_tape, Inspector.open])
@pytest.mark.parametrize("damage", ["anchor", "projection"])
def test_opening_gives_everything_back_when_it_fails(tmp_path, opened, damage):
    """No connection and no lock file stays open behind a refused tape, not even until the garbage
    collector comes: the operator's next step is to replace that file.
    """
    path = tmp_path / "t.db"
    small_tape(path)
    if damage == "anchor":
        Path(f"{path}.anchor").write_text("nonsense")
    else:
        with vandal(path) as db:
            db.execute("UPDATE head SET height = 7")
    if (opened, damage) == (open_tape, "projection"):
        opened(path)
        return  # below the engine nobody reads projections
    gc.collect()
    gc.disable()
    try:
        before = descriptors()
        for _ in range(5):
            with pytest.raises(StatetapeError):
                opened(path)
        assert descriptors() == before
    finally:
        gc.enable()


NOBODY = 65534


@contextmanager
def without_write_access(folder):
    """Make a folder read-only; for root, who may write all the same, as another user."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def public():
    """A folder that everybody can reach: pytest's own are its user's alone."""
    folder = Path(tempfile.mkdtemp(prefix="statetape-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_tape_in_a_read_only_folder_can_be_read(public):
    """As a backup is; writing to it is refused by name."""
    small_tape(public / "t.db")
    with without_write_access(public):
        with Reader.open(Files.of(public / "t.db")) as reader:
            assert verify(reader) == []
        with pytest.raises(StoreFailed):
            Engine.open(public / "t.db")


def test_a_read_only_folder_with_an_unmoved_wal_is_refused(public):
    """Reading past what stands in the WAL would show an older tape than there is."""
    tape = new_tape(public / "t.db")
    append(tape, b"two")
    shutil.copy(public / "t.db", public / "copy.db")
    shutil.copy(public / "t.db-wal", public / "copy.db-wal")
    tape.close()
    with without_write_access(public), pytest.raises(StoreFailed, match="-wal") as failed:
        Reader.open(Files.of(public / "copy.db"))

    assert "copy" in failed.value.hint
