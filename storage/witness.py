"""What a witness remembers: of each log that it trusts, the largest tree it has cosigned.

Theory of operation.

W1  A witness signs a checkpoint only if its tree extends the largest one that it signed of that
    log before. `advance` compares and remembers in one transaction (BEGIN IMMEDIATE), so of two
    submissions at once the second is compared with the first.
W2  `advance` returns after the transaction is synced, and only then is anything signed. A crash
    leaves the witness remembering at least what it signed; what it remembers and did not sign, it
    signs when asked again.
W3  What is remembered never shrinks and never changes to another tree of that size: a trigger
    refuses it, whatever the program above does. Its times never go back either.
W4  State and key belong together. The state knows its key, and only `create` makes a state, always
    with a new key: a witness that lost its memory cannot go on under the name it had.
W5  The journal is SQLite's rollback journal, with synchronous=EXTRA: FULL, and the journal's end
    is durable too. WAL would need the care that storage/tape.py takes (its T2 and `move_wal`), for
    a speed that nobody asks of a witness.

What nothing here can see is an old copy of state put back: keep the file on a disk of its own, and
never restore it from a backup; make a new witness.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ..fsm.errors import EXIT_FINDING, CallerError, ConflictError, OperatorError
from . import verifier
from .errors import NoteInvalid, StoreFailed, StoreFull
from .files import failed, prepare_key, read_key, settle_key, sync_directory, temporary
from .note import SignerKey
from .verifier import (
    COSIGNER,
    ED25519,
    EMPTY_ROOT,
    Checkpoint,
    EvidenceInvalid,
    VerifierKey,
    check_consistency,
    is_key_name,
)

APPLICATION_ID = 0x53545754
"""`STWT` in the file's header: this file is a witness's state."""
VERSION = 1
BUSY_TIMEOUT_S = 10.0
LOGS_MAX = 10_000
NAME_BYTES_MAX = 200
_EXTRA = 3
_TABLES = (
    "CREATE TABLE witness (vkey TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    "CREATE TABLE log (vkey TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    """CREATE TABLE seen (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    time_s INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE contradiction (
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    held TEXT NOT NULL,
    given TEXT NOT NULL,
    PRIMARY KEY (origin, size)
) STRICT, WITHOUT ROWID""",
    """CREATE TRIGGER seen_grows BEFORE UPDATE ON seen
WHEN new.origin IS NOT old.origin OR new.size < old.size OR new.time_s < old.time_s
OR (new.size = old.size AND new.root IS NOT old.root)
BEGIN SELECT RAISE(ABORT, 'what a witness saw only grows'); END""",
    """CREATE TRIGGER seen_no_delete BEFORE DELETE ON seen
BEGIN SELECT RAISE(ABORT, 'a witness does not forget'); END""",
    """CREATE TRIGGER seen_once BEFORE INSERT ON seen
WHEN EXISTS (SELECT 1 FROM seen WHERE origin = new.origin)
BEGIN SELECT RAISE(ABORT, 'a witness does not forget'); END""",
)


class WitnessMissing(CallerError):
    """There is no witness here: state or key are missing."""

    code = "witness-missing"


class WitnessNameInvalid(CallerError):
    """A witness cannot have that name."""

    code = "witness-name-invalid"


class WitnessExists(CallerError):
    """There is a witness here already; it is not replaced."""

    code = "witness-exists"


class WitnessUnsound(OperatorError):
    """A witness's state is damaged, or not of this key: it signs nothing."""

    code = "witness-unsound"
    exit_status = EXIT_FINDING


class WitnessBusy(ConflictError):
    """Another process holds the witness's state longer than we wait. Try again."""

    code = "witness-busy"


@dataclass(frozen=True)
class Seen:
    """The largest tree of a log that the witness has cosigned, the time it gave, and the note."""

    origin: str
    size: int
    root: bytes
    time_s: int
    note: str


@dataclass(frozen=True)
class Contradiction:
    """Two checkpoints of one size with different roots, both signed by the log: its own proof."""

    origin: str
    size: int
    held: str
    given: str


@dataclass(frozen=True)
class Verdict:
    """What came of a submission; `size` is what the witness holds now.

    remembered: sign it, with `time_s`. stale: the proof does not begin at what is held.
    inconsistent: it is another history, and `why` says in what.
    """

    kind: Literal["remembered", "stale", "inconsistent"]
    size: int
    time_s: int = 0
    why: str = ""


class Witness:
    """A witness's key and memory. Any thread, and any number of processes, may use one state."""

    def __init__(self, path: Path, signer: SignerKey) -> None:
        """Use `open` or `create`."""
        self.path = path
        self.signer = signer
        self._turn = threading.Lock()

    @classmethod
    def create(cls, path: Path, key_path: Path, name: str, seed: bytes) -> Witness:
        """Make a witness that has seen nothing, with the key made of `seed` (32 bytes).

        Crash: there is a key without a state, or less; it has signed nothing.
        """
        if not is_key_name(name) or not name.isprintable() or len(name.encode()) > NAME_BYTES_MAX:
            why = f"a witness's name has no spaces, no `+`, and at most {NAME_BYTES_MAX} bytes"
            raise WitnessNameInvalid(why, place=ascii(name))
        for one in (path, key_path):
            if one.exists():
                hint = "name other files; a state is never begun anew under a key that has signed"
                raise WitnessExists("there is a file here already", place=str(one), hint=hint)
        signer = SignerKey(name, seed, COSIGNER)
        prepare_key(key_path, signer)
        _build(path, signer.verifier)
        settle_key(key_path)
        try:
            temporary(path).rename(path)
            sync_directory(path.parent)
        except OSError as error:
            raise failed(error, path) from error
        return cls(path, signer)

    @classmethod
    def open(cls, path: Path, key_path: Path) -> Witness:
        """Return the witness of these two files. Raises WitnessMissing, WitnessUnsound."""
        signer = read_key(key_path)
        if signer is None or not path.is_file():
            place = str(path if signer else key_path)
            hint = "`statetape witness new` makes one, with a key of its own"
            raise WitnessMissing("there is no witness here", place=place, hint=hint)
        witness = cls(path, signer)
        _recognise(path)
        with witness._connection() as db:
            known = db.execute("SELECT vkey FROM witness").fetchall()
        if known != [(signer.verifier.text,)] or signer.kind != COSIGNER:
            raise WitnessUnsound("this state belongs to another key", place=str(path))
        return witness

    # the logs it trusts

    def trust(self, keys: Sequence[VerifierKey]) -> None:
        """Trust these log keys from now on, durably."""
        if not keys:
            return
        for key in keys:
            if key.kind != ED25519:
                raise NoteInvalid("this is a witness's key, not a log's", place=key.name)
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO log VALUES (?)", [(key.text,) for key in keys])
            [count] = db.execute("SELECT count(*) FROM log").fetchone()
            if count > LOGS_MAX:
                raise WitnessUnsound(f"a witness trusts at most {LOGS_MAX} keys")

    def distrust(self, keys: Sequence[VerifierKey]) -> None:
        """Trust these log keys no longer. What was seen of their logs stays known."""
        if not keys:
            return
        with self._transaction() as db:
            db.executemany("DELETE FROM log WHERE vkey = ?", [(key.text,) for key in keys])

    def trusted(self, origin: str | None = None) -> list[VerifierKey]:
        """Return the log keys that are trusted (for one origin)."""
        start = "" if origin is None else f"{origin}+"
        with self._connection() as db:
            sql = "SELECT vkey FROM log WHERE substr(vkey, 1, ?) = ? ORDER BY vkey"
            rows = db.execute(sql, (len(start), start)).fetchall()
        try:
            return [verifier.parse_verifier_key(vkey) for (vkey,) in rows]
        except EvidenceInvalid as error:
            raise WitnessUnsound(f"table log: {error}", place=str(self.path)) from None

    # what it saw

    def seen(self) -> list[Seen]:
        """Return what is remembered of each log."""
        with self._connection() as db:
            rows = db.execute(f"{_SEEN} ORDER BY origin").fetchall()
        return [self._sound(Seen(*row)) for row in rows]

    def contradictions(self) -> list[Contradiction]:
        """Return the pairs of checkpoints by which logs have contradicted themselves."""
        with self._connection() as db:
            rows = db.execute("SELECT * FROM contradiction ORDER BY origin, size").fetchall()
        return [Contradiction(*row) for row in rows]

    def advance(
        self, given: Checkpoint, note: str, old_size: int, proof: Sequence[bytes], now_s: int
    ) -> Verdict:
        """Compare a checkpoint with what is remembered, and remember it if it is consistent (W1).

        given: the checkpoint in `note`, whose log's signature the caller has verified. The proof
        leads from `old_size` to it. Returns after what it says is durable.
        """
        with self._transaction() as db:
            row = db.execute(f"{_SEEN} WHERE origin = ?", (given.origin,)).fetchone()
            held = self._sound(Seen(*row)) if row else Seen(given.origin, 0, EMPTY_ROOT, 0, "")
            if old_size != held.size:
                return Verdict("stale", held.size)
            try:
                _check_extends(held, given, proof)
            except EvidenceInvalid as error:
                if given.size == held.size and given.root != held.root and row:
                    pair = (given.origin, given.size, held.note, note)
                    db.execute("INSERT OR IGNORE INTO contradiction VALUES (?, ?, ?, ?)", pair)
                return Verdict("inconsistent", held.size, why=str(error))
            time_s = max(now_s, held.time_s)
            if row:
                sql = (
                    "UPDATE seen SET size = ?2, root = ?3, time_s = ?4, note = ?5 WHERE origin = ?1"
                )
            else:
                sql = "INSERT INTO seen VALUES (?1, ?2, ?3, ?4, ?5)"
            db.execute(sql, (given.origin, given.size, given.root, time_s, note))
        return Verdict("remembered", given.size, time_s)

    def _sound(self, seen: Seen) -> Seen:
        """Return what is stored if size and root are those of the note beside them."""
        try:
            noted = verifier.parse_checkpoint(verifier.parse_note(seen.note.encode()).text)
        except EvidenceInvalid:
            noted = None
        if noted != Checkpoint(seen.origin, seen.size, seen.root):
            why = f"what is remembered of {seen.origin} does not fit its own note"
            raise WitnessUnsound(why, place=str(self.path))
        return seen

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection within a transaction that is durable when the block has ended."""
        with self._turn, self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # closing the connection ends it too
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to the state: never to a new file, nor to something else's."""
        try:
            with closing(_connect(self.path, "mode=rw")) as db:
                _check_header(db, self.path)
                [synced] = db.execute("PRAGMA synchronous").fetchone()
                [journal] = db.execute("PRAGMA journal_mode").fetchone()
                if (synced, journal) != (_EXTRA, "delete"):
                    why = f"synchronous is {synced}, journal mode {journal}"
                    raise StoreFailed(why, place=str(self.path))
                yield db
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _named(error, self.path) from error


_SEEN = "SELECT origin, size, root, time_s, note FROM seen"


def _check_extends(held: Seen, given: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raise EvidenceInvalid unless `given` extends `held`; every tree extends the empty one."""
    if given.size == held.size and given.root != held.root:
        raise EvidenceInvalid("the tree of that size had another root")
    if held.size:
        check_consistency(held.size, given.size, proof, held.root, given.root)
    elif proof:
        raise EvidenceInvalid("from an empty tree no proof leads anywhere")


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{how}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    try:
        db.execute(f"PRAGMA synchronous = {_EXTRA}")
        db.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        db.close()
        raise
    return db


def _recognise(path: Path) -> None:
    """Raise WitnessUnsound where a file is not a state, without a change to whatever it is.

    A connection that may write would end with moving another program's WAL, or a journal, into it.
    """
    try:
        with closing(_connect(path, "mode=ro&immutable=1")) as db:
            _check_header(db, path)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _named(error, path) from error


def _check_header(db: sqlite3.Connection, path: Path) -> None:
    [application] = db.execute("PRAGMA application_id").fetchone()
    [version] = db.execute("PRAGMA user_version").fetchone()
    if (application, version) != (APPLICATION_ID, VERSION):
        why = "this is no state of a witness, or a newer one; it was not touched"
        raise WitnessUnsound(why, place=str(path))


def _build(path: Path, key: VerifierKey) -> None:
    """Build a state that has seen nothing, under its temporary name."""
    unfinished = temporary(path)
    try:
        for suffix in ("", "-journal"):
            Path(f"{unfinished}{suffix}").unlink(missing_ok=True)
        with closing(_connect(unfinished, "mode=rwc")) as db:
            db.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                db.execute(statement)
            db.execute("INSERT INTO witness VALUES (?)", (key.text,))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")
        unfinished.chmod(0o600)
    except sqlite3.Error as error:
        raise _named(error, path) from error
    except OSError as error:
        raise failed(error, path) from error


def _named(
    error: sqlite3.Error | UnicodeDecodeError, path: Path
) -> StoreFull | StoreFailed | WitnessBusy | WitnessUnsound:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    said = f"{error} ({getattr(error, 'sqlite_errorname', 'no code')})"
    if primary == sqlite3.SQLITE_FULL:
        return StoreFull(f"the disk is full: {said}", place=str(path))
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WitnessBusy(f"another process holds the state: {said}", place=str(path))
    if primary in (None, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        return WitnessUnsound(f"the state cannot be read: {said}", place=str(path))
    if primary == sqlite3.SQLITE_CONSTRAINT:
        return WitnessUnsound(f"the state refused this: {said}", place=str(path))
    return StoreFailed(said, place=str(path))
