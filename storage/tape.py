"""Append to a tape durably.

Theory of operation.

T1  Entries have positions 1, 2, 3, … without gaps; the stored bytes are the hashed bytes. What was
    collected leaves its position and its hash: see `collection`.
T2  A turn is: take the lock, learn what others appended, decide, `write` in one SQL transaction,
    give the lock back. `write` returns after the WAL is synced. Nobody is told of an entry before.
T3  A crash before the commit leaves nothing of a `write`, a crash after it all of it.
T4  The tree's right edge is in memory and moves with `write`; after a failure it is made anew from
    what is stored.
T5  A failed commit is an unknown outcome: the handle is poisoned, and whoever opens the tape
    again sees what really happened. A full disk is known to have stored nothing.
T6  `anchor` writes a signed checkpoint into the tape, then into the anchor file. A crash between
    leaves the tape ahead of its anchor, which is no finding; an anchor ahead of its tape is.
T7  Opening compares the tape with its anchor, before anything is served.
T8  A tape is created in this order: its key under a temporary name, an anchor of no entries, the
    whole tape under a temporary name; then tape and key get their names. What a crash leaves before
    the tape has its name is overwritten by the next try; after it, opening gives the key its name.

One `Tape` is used by one thread at a time (the engine holds its own mutex); several processes
may each hold one on the same file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ..fsm.errors import StatetapeError
from .checksum import crc32
from .connection import SQLITE_ERRORS, connect, named
from .errors import (
    RESTORE,
    AnchorMissing,
    KeyInvalid,
    NoteInvalid,
    OutcomeUnknown,
    TapeDamaged,
    TapeExists,
    TapePoisoned,
    TapeRolledBack,
)
from .files import (
    Files,
    Lock,
    failed,
    prepare_key,
    read_key,
    read_small,
    replace,
    settle_key,
    sync_directory,
    temporary,
)
from .merkle import Node, leaf_hashes
from .note import SignerKey, parse_checkpoint, sign_note
from .reader import NOTE_BYTES_MAX, Reader, check_anchor
from .schema import VERSION, authorize, migrate
from .verifier import EMPTY_ROOT, Checkpoint, VerifierKey

LOCK_TIMEOUT_S = 5.0
WAL_BYTES_MAX = 4 * 1024 * 1024
"""After about this much the WAL is moved into the file, between two transactions. A WAL that stays
small is overwritten in place, and syncing it is half as dear as syncing one that grows."""
PAGE_BYTES = 4096

_INSERT = "INSERT INTO entry (pos, body, crc) VALUES (?, ?, ?)"


class Tape(Reader):
    """Write access to a tape. See the module's theory of operation."""

    def __init__(
        self, files: Files, connection: sqlite3.Connection, lock: Lock, signer: SignerKey | None
    ) -> None:
        super().__init__(files, connection)
        self.lock = lock
        self.signer = signer
        self.poisoned = False
        self.edge = self.edge_at(self.stored_size())
        self.anchored_size = 0
        self._anchored: Checkpoint | None = None
        self._wal_bytes = 0
        self._foreign: list[bytes] = []
        self._foreign_from = 1

    @classmethod
    def create(
        cls,
        files: Files,
        first: bytes,
        *,
        origin: str,
        seed: bytes,
        timeout_s: float = LOCK_TIMEOUT_S,
        synchronous: str = "FULL",
    ) -> Tape:
        """Create a tape whose first entry is `first`, and return it open.

        `origin` names it in checkpoints; `seed` is the 32 bytes of its signing key, unless the
        key file already holds a key of that origin. Crash: there is a whole tape, or none.
        Raises TapeExists, and TapeRolledBack where an anchor remembers a tape that is gone.
        """
        lock = Lock(files.lock, timeout_s)
        lock.acquire()
        try:
            _refuse_existing(files)
            known = read_key(files.key)
            signer = known or SignerKey(origin, seed)
            if signer.name != origin:
                why = f"the key signs for {signer.name}, and the new tape is {origin}"
                raise KeyInvalid(why, place=str(files.key), hint="move the old key away")
            if known is None:
                prepare_key(files.key, signer)
            nothing = Checkpoint(origin, 0, EMPTY_ROOT)
            replace(files.anchor, sign_note(nothing.text, signer).encode())
            _build(files, first, signer.verifier)
            if known is None:
                settle_key(files.key)
        finally:
            lock.release()
            lock.close()
        return cls.open_to_write(files, timeout_s=timeout_s, synchronous=synchronous)

    @classmethod
    def open_to_write(
        cls,
        files: Files,
        *,
        timeout_s: float = LOCK_TIMEOUT_S,
        new_seed: bytes | None = None,
        synchronous: str = "FULL",
    ) -> Tape:
        """Open the tape, compared with its anchor, ready to append.

        `new_seed` accepts that anchor or key are gone (never that they disagree): a missing key
        is made from it. Raises what `connect` and `compare_anchor` raise, KeyInvalid, TapeBusy.
        """
        connection = connect(files.tape, write=True, synchronous=synchronous)
        lock = Lock(files.lock, timeout_s)
        try:
            lock.acquire()
            try:
                _migrate(connection)
                tape = cls(files, connection, lock, read_key(files.key))
                tape._compare(accept_missing=new_seed is not None)
                tape._check_key(new_seed)
            finally:
                lock.release()
        except SQLITE_ERRORS as error:
            connection.close()
            lock.close()
            raise named(error, files.tape) from error
        except BaseException:
            connection.close()
            lock.close()
            raise
        return tape

    def _compare(self, *, accept_missing: bool) -> None:
        try:
            self._remember(self.compare_anchor())
        except AnchorMissing:
            if not accept_missing:
                raise

    def _remember(self, anchor: Checkpoint) -> None:
        """Keep what the anchor file says, which the tape extends."""
        self._anchored = anchor
        self.anchored_size = anchor.size

    def _check_key(self, new_seed: bytes | None) -> None:
        """The signing key must be there and be one of the tape's."""
        path = self.files.key
        hint = "put the tape's key back; or, if it is lost, `statetape recover --new-anchor`"
        if self.signer is None:
            self.signer = self._prepared_key()
            if self.signer is None:
                if new_seed is None:
                    raise KeyInvalid("the tape's signing key is gone", place=str(path), hint=hint)
                self.signer = SignerKey(self.origin, new_seed)
                prepare_key(path, self.signer)
                self.db.execute("INSERT INTO signer VALUES (?)", (self.signer.verifier.text,))
            settle_key(path)
        elif self.signer.verifier not in self.signers():
            hint = hint.replace("lost,", "lost, move this one away and use")
            raise KeyInvalid("this key never signed for this tape", place=str(path), hint=hint)

    def _prepared_key(self) -> SignerKey | None:
        """Return the key that a crash left under its temporary name, if it is one of the tape's."""
        try:
            key = read_key(temporary(self.files.key))
        except KeyInvalid:
            return None
        return key if key is not None and key.verifier in self.signers() else None

    @property
    def size(self) -> int:
        """How many entries the tape has."""
        return self.edge.size

    # turns

    def take(self) -> None:
        """Begin a turn: nobody else writes until `give`. Learns what others wrote (`foreign`)."""
        if self.poisoned:
            why = "an earlier commit failed: close this handle and open the tape again"
            raise TapePoisoned(why, place=str(self.files.tape))
        self.lock.acquire()
        if self.lock.others_wrote():
            try:
                self._learn()
            except BaseException:
                self.poisoned = True
                self.lock.release()
                raise

    def give(self) -> None:
        """End the turn."""
        self.lock.release()

    def _learn(self) -> None:
        """Catch up with what is stored."""
        stored = self.stored_size()
        if stored < self.edge.size:
            why = f"the tape shrank from {self.edge.size} to {stored} entries while open"
            raise TapeRolledBack(why, place=str(self.files.tape))
        known = self.edge.size
        fresh = list(self.read(known + 1, stored))
        if len(fresh) == stored - known:
            self.edge.extend(leaf_hashes(fresh))
        else:  # some of it was collected meanwhile
            self.edge = self.edge_at(stored)
        if self._foreign:  # read in an earlier turn: some of it may have been collected since
            fresh = list(self.read(self._foreign_from, stored))
        else:
            self._foreign_from = known + 1
        self._foreign = fresh

    def foreign(self) -> list[bytes]:
        """Return the entries of other processes that were not asked for yet, in order.

        Those that were collected since are not among them.
        """
        bodies, self._foreign = self._foreign, []
        return bodies

    def write(self, bodies: Sequence[bytes], also: Callable[[], None] | None = None) -> None:
        """Store entries at the next positions, durably, all or none; called within a turn.

        `also` writes projections in the same transaction. Raises StoreFull (nothing was stored)
        or another OperatorError; OutcomeUnknown poisons the handle.
        """
        before = self.edge.size
        nodes = self.edge.extend(leaf_hashes(bodies))
        rows = [(pos, body.decode(), crc32(body)) for pos, body in enumerate(bodies, before + 1)]
        self._wal_bytes += PAGE_BYTES + sum(map(len, bodies))
        try:
            if nodes or also is not None or len(rows) != 1:
                self._write_all(rows, nodes, also)
            else:
                self._commit(_INSERT, rows[0])
        except BaseException:
            self._restore(before)
            raise

    def _write_all(
        self,
        rows: Sequence[tuple[int, str, int]],
        nodes: Sequence[Node],
        also: Callable[[], None] | None,
    ) -> None:
        try:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.executemany(_INSERT, rows)
            self.db.executemany("INSERT INTO node (level, idx, root) VALUES (?, ?, ?)", nodes)
            if also is not None:
                also()
        except SQLITE_ERRORS as error:
            raise named(error, self.files.tape) from error
        self._commit("COMMIT")

    def _commit(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run what commits: COMMIT, or a single INSERT that is its own transaction."""
        try:
            self.db.execute(sql, values)
        except SQLITE_ERRORS as error:
            failure = named(error, self.files.tape, committing=True)
            self.poisoned = isinstance(failure, OutcomeUnknown)
            raise failure from error

    def _restore(self, size: int) -> None:
        """Undo a failed write: the transaction, and the tree's edge.

        An interrupt may come when the transaction is stored already: then the handle is poisoned.
        """
        try:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            self.edge = self.edge_at(size)
            self.poisoned = self.poisoned or self.stored_size() != size
        except (*SQLITE_ERRORS, StatetapeError):
            self.poisoned = True

    # upkeep

    def move_wal(self, *, whole: bool = False) -> None:
        """Move the WAL into the file if it has grown (`whole`: always, and empty it).

        A WAL that a long reader keeps from shrinking is left for the next time.
        """
        if not whole and self._wal_bytes < WAL_BYTES_MAX:
            return
        self.lock.acquire()
        try:
            how = "TRUNCATE" if whole else "PASSIVE"
            self.db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
            self._wal_bytes = 0
        except SQLITE_ERRORS as error:
            raise named(error, self.files.tape) from error
        finally:
            self.lock.release()

    def anchor(self) -> Checkpoint | None:
        """Sign a checkpoint of everything stored, keep it in the tape and in the anchor file.

        Returns it, or None where the anchor already says so. Raises TapeForked rather than sign
        a history that the anchor contradicts.
        """
        if self.signer is None:
            raise KeyInvalid("there is no signing key", place=str(self.files.key))
        if self.size == self.anchored_size:
            return None
        self.take()
        try:
            checkpoint, note = self._sign(self.signer)
            content = note.encode()
            written = read_small(self.files.anchor, NOTE_BYTES_MAX) == content
            if not written:
                replace(self.files.anchor, content)
            self._remember(checkpoint)
            return None if written else checkpoint
        finally:
            self.give()

    def _sign(self, signer: SignerKey) -> tuple[Checkpoint, str]:
        """Return a checkpoint of everything stored and its note, which the tape holds now."""
        on_file = read_small(self.files.anchor, NOTE_BYTES_MAX)
        if on_file is not None:
            anchor = check_anchor(on_file, self.signers(), str(self.files.anchor))
            if anchor != self._anchored:  # of the same size, it may still be another history's
                self.compare_anchor()
        checkpoint = Checkpoint(signer.name, self.size, self.edge.root())
        rows = self.table("checkpoint", "note", tuple[str], "WHERE size = ?", (self.size,))
        if rows:
            [(note,)] = rows
            if not note.startswith(f"{checkpoint.text}\n"):
                why = f"the first {self.size} entries are not those that were signed"
                raise TapeDamaged(why, place=f"checkpoint {self.size}", hint=RESTORE)
            return checkpoint, note
        note = sign_note(checkpoint.text, signer)
        self._commit("INSERT INTO checkpoint VALUES (?, ?)", (self.size, note))
        return checkpoint, note

    def close(self) -> None:
        """Anchor what is new, empty the WAL, give everything back."""
        try:
            if not self.poisoned:
                if self.signer is not None:
                    self.anchor()
                self.move_wal(whole=True)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Give everything back without touching the tape, as a crash would."""
        self.db.close()
        self.lock.close()


def _refuse_existing(files: Files) -> None:
    if files.tape.exists():
        raise TapeExists("there is a file here already", place=str(files.tape))
    note = read_small(files.anchor, NOTE_BYTES_MAX)
    if note is not None and not _of_nothing(note):
        why = "there is no tape here, and its anchor remembers one"
        hint = "restore the tape from a backup; or remove anchor and key to begin a new one"
        raise TapeRolledBack(why, place=str(files.tape), hint=hint)


def _of_nothing(note: bytes) -> bool:
    """Whether an anchor is that of a tape without entries: of a creation that did not end."""
    text, _, _ = note.decode("utf-8", "replace").partition("\n\n")
    try:
        return parse_checkpoint(f"{text}\n").size == 0
    except NoteInvalid:
        return False


def _build(files: Files, first: bytes, key: VerifierKey) -> None:
    """Build the tape under another name, sync it, and give it its name."""
    unfinished = temporary(files.tape)
    try:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{unfinished}{suffix}").unlink(missing_ok=True)
        connection = sqlite3.connect(unfinished, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            migrate(connection)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_INSERT, (1, first.decode(), crc32(first)))
            connection.execute("INSERT INTO signer VALUES (?)", (key.text,))
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
        sync_directory(files.tape.parent)
        unfinished.rename(files.tape)
        sync_directory(files.tape.parent)
    except SQLITE_ERRORS as error:
        raise named(error, files.tape) from error
    except OSError as error:
        raise failed(error, files.tape) from error


def _migrate(connection: sqlite3.Connection) -> None:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if version < VERSION:
        connection.set_authorizer(None)
        migrate(connection)
        connection.set_authorizer(authorize)
