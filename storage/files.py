"""The files beside a tape: its lock, its signing key, its anchor.

    TAPE          the SQLite file (with -wal and -shm while open)
    TAPE.lock     held while a transaction or a WAL checkpoint runs; says who wrote last
    TAPE.key      the Ed25519 key that signs checkpoints, mode 0600
    TAPE.anchor   the newest signed checkpoint

Key and anchor may be kept elsewhere, and are worth more there: whoever can change the tape and
both of them can change history. A file is replaced by writing a temporary one, syncing it,
renaming it and syncing the directory, so a crash leaves the old or the new one. The tape itself
is never opened here: closing any descriptor of it would drop SQLite's locks.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import FilesOverlap, KeyInvalid, NoteInvalid, StoreFailed, StoreFull, TapeBusy
from .note import SignerKey, parse_signer_key

_POLL_S = 0.001
_MARK_BYTES = 16


@dataclass(frozen=True)
class Files:
    """Where the parts of one tape lie."""

    tape: Path
    anchor: Path
    key: Path

    @classmethod
    def of(
        cls, tape: str | Path, anchor: str | Path | None = None, key: str | Path | None = None
    ) -> Files:
        """Return the files of a tape; key and anchor lie beside it unless said otherwise.

        Raises FilesOverlap where one would be written over another.
        """
        path = Path(tape)
        files = cls(path, Path(anchor or f"{path}.anchor"), Path(key or f"{path}.key"))
        seen: set[str] = set()
        for each in files.all():
            real = os.path.realpath(each)
            if real in seen:
                raise FilesOverlap("this is another of the tape's files", place=str(each))
            seen.add(real)
        return files

    def all(self) -> list[Path]:
        """Return every file that belongs to the tape, whether it is there now or not."""
        written = (self.tape, self.anchor, self.key)
        sqlite = [Path(f"{self.tape}-{suffix}") for suffix in ("wal", "shm", "journal")]
        return [*written, self.lock, *sqlite, *map(temporary, written)]

    @property
    def lock(self) -> Path:
        """The lock file: always beside the tape, so that all processes meet there."""
        return Path(f"{self.tape}.lock")

    @property
    def wal(self) -> Path:
        """SQLite's write-ahead log."""
        return Path(f"{self.tape}-wal")


class Lock:
    """An exclusive lock between processes, taken for the length of one transaction.

    With it no WAL checkpoint of one process ever meets a commit of another (SQLite before 3.51.3
    can corrupt the file when they do), and waiting has a clear end.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self._depth = 0
        self._mine = os.urandom(_MARK_BYTES)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if os.fstat(self._descriptor).st_size < _MARK_BYTES:
                # Written, not stretched: touching a mapped page that a full disk cannot hold kills.
                os.pwrite(self._descriptor, bytes(_MARK_BYTES), 0)
            self._mark = mmap.mmap(self._descriptor, _MARK_BYTES)
        except OSError as error:
            raise failed(error, path) from error

    def others_wrote(self) -> bool:
        """Whether another holder may have written since this one last asked. Ask while holding.

        The lock file's content is the mark of its last writer, set before it writes anything: so
        a holder that finds its own mark need not look at the tape again.
        """
        if self._mark[:] == self._mine:
            return False
        self._mark[:] = self._mine
        return True

    def acquire(self) -> None:
        """Take the lock, or raise TapeBusy after the timeout. May be taken again while held."""
        if self._depth == 0:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._wait()
        self._depth += 1

    def _wait(self) -> None:
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    why = f"another process has held the tape for {self.timeout_s:g} s"
                    raise TapeBusy(why, place=str(self.path), hint="try again") from None
                time.sleep(_POLL_S)
            else:
                return

    def release(self) -> None:
        """Give the lock back, as often as it was taken."""
        self._depth -= 1
        if self._depth == 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give everything back. Closing again does nothing."""
        if not self._mark.closed:
            self._mark.close()
            os.close(self._descriptor)


def failed(error: OSError, path: Path) -> StoreFull | StoreFailed:
    """Return the named error for an operating system's error."""
    kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreFailed
    return kind(error.strerror or str(error), place=str(path))


def temporary(path: Path) -> Path:
    """Return the name under which a file is written before it gets its own."""
    return Path(f"{path}.new")


def replace(path: Path, content: bytes) -> None:
    """Make `content` the durable content of `path`; a crash leaves the old content or the new."""
    try:
        _write_synced(temporary(path), content, os.O_TRUNC, 0o644)
        temporary(path).replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise failed(error, path) from error


def _write_synced(path: Path, content: bytes, how: int, mode: int) -> None:
    _fill(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, mode), content)


def _fill(descriptor: int, content: bytes) -> None:
    """Write all of `content` to a file that is open, sync it and close it."""
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_small(path: Path, size_max: int) -> bytes | None:
    """Return a small file's content, or None if there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(size_max + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(error, path) from error


def read_key(path: Path) -> SignerKey | None:
    """Return the signing key in `path`, or None if there is none. Raises KeyInvalid."""
    content = read_small(path, 4096)
    if content is None:
        return None
    try:
        return parse_signer_key(content.decode("utf-8", "replace"))
    except NoteInvalid as error:
        raise KeyInvalid(error.message, place=str(path)) from None


def prepare_key(path: Path, key: SignerKey) -> None:
    """Store a new signing key durably, readable by its owner alone, under its temporary name."""
    try:
        _write_private(temporary(path), key.text.encode() + b"\n")
        sync_directory(path.parent)
    except OSError as error:
        raise failed(error, path) from error


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that is its owner's alone from the first byte, whatever was left there."""
    path.unlink(missing_ok=True)
    _write_synced(path, content, os.O_EXCL, 0o600)


def replace_private(path: Path, content: bytes) -> None:
    """As `replace`, for what its owner alone may read: the file has mode 0600, or less."""
    try:
        _write_private(temporary(path), content)
        temporary(path).replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise failed(error, path) from error


def create_private(path: Path, content: bytes) -> bool:
    """Store a new file durably, for its owner alone; False, and nothing done, if one is there.

    After a crash it may be there in part.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise failed(error, path) from error
    try:
        _fill(descriptor, content)
        sync_directory(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise failed(error, path) from error
    return True


def settle_key(path: Path) -> None:
    """Give a prepared key its name. An existing one is never replaced: KeyInvalid."""
    if path.exists():
        raise KeyInvalid("there is a key already; it is not replaced", place=str(path))
    try:
        temporary(path).rename(path)
        sync_directory(path.parent)
    except OSError as error:
        raise failed(error, path) from error
