"""A disk with a volatile cache: what is surely on it, and what a power cut may or may not leave.

Invariants, cited by the tests:

1. What a successful sync covered is in every image, unless a later operation may replace it.
2. An operation that was not synced is subject to the mode (`Mode`), each image choosing anew.
3. File contents and directory entries are independent: syncing a file does not make its name
   durable, nor the reverse (`Directories` is the knob).
4. A rename is atomic: an image has it wholly or not at all.

The state advances with each operation; an image costs a copy of the files that have unsynced
writes, not a replay from the start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.crash.operations import (
    Ack,
    Entry,
    Link,
    MakeDirectory,
    Operation,
    RemoveDirectory,
    Rename,
    Snapshot,
    Sync,
    SyncDirectory,
    Truncate,
    Unlink,
    Write,
)

SECTOR_BYTES = 512


class Mode(StrEnum):
    """What becomes of the operations that were not synced when the power went."""

    DROP = "drop"
    """None survives."""
    KEEP = "keep"
    """All survive."""
    MIXED = "mixed"
    """Each survives or not; those that do are whole and in order."""
    TORN = "torn"
    """As mixed, but each 512-byte sector of a write by itself survives, is lost or is garbage."""
    REORDER = "reorder"
    """As mixed, but those that survive reach the file in any order."""


class Directories(StrEnum):
    """When a change of a directory (create, rename, link, unlink, mkdir, rmdir) is durable."""

    STRICT = "strict"
    """Only after fsync of each directory concerned; until then each survives or not by itself.
    POSIX promises no more."""
    JOURNALLED = "journalled"
    """Changes reach the disk in order, and any sync of a file or directory makes all earlier ones
    durable: what ext4 and XFS do, and what applications often rely on without knowing."""


Change = tuple[int, bytes | None]
"""(offset, data) of a write, or (new size, None) of a truncation."""

_LIKELIHOODS = (0.0, 0.1, 0.5, 0.9, 1.0)
"""Drawn anew for each file and image. One fixed share would hardly ever give the images that find
most bugs, where one file is nearly complete and another nearly untouched."""

_GARBAGE = 0.3
"""Share of garbage among the sectors that did not survive."""


def change_content(content: bytearray, changes: Iterable[Change]) -> None:
    """Apply `changes` to `content`; gaps read as zeros."""
    for at, data in changes:
        size = len(content)
        if at > size:
            content.extend(bytes(at - size))
        if data is None:
            del content[at:]
        else:
            content[at : at + len(data)] = data


def _tear(at: int, data: bytes, share: float, rng: Random) -> list[Change]:
    """The sectors of one write that reached the disk, some as garbage.

    Garbage stays inside the bytes that were written, even when they share a sector with others:
    SQLite assumes this of disks (SQLITE_IOCAP_POWERSAFE_OVERWRITE, the default on unix).
    """
    pieces: list[Change] = []
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR_BYTES - (at + start) % SECTOR_BYTES)
        if rng.random() < share:
            pieces.append((at + start, data[start:end]))
        elif rng.random() < _GARBAGE:
            # Zeros: the file grew, and the new block was never filled.
            garbage = rng.randbytes(end - start) if rng.random() < 0.5 else bytes(end - start)
            pieces.append((at + start, garbage))
        start = end
    return pieces


def _survivors(changes: Sequence[Change], mode: Mode, rng: Random) -> list[Change]:
    """Those of the unsynced `changes` of one file that a power cut leaves, in order of arrival."""
    if mode is Mode.DROP:
        return []
    if mode is Mode.KEEP:
        return list(changes)
    share = rng.choice(_LIKELIHOODS)
    if mode is not Mode.TORN:
        chosen = [change for change in changes if rng.random() < share]
        if mode is Mode.REORDER:
            rng.shuffle(chosen)
        return chosen
    torn: list[Change] = []
    for at, data in changes:
        if data is not None:
            torn += _tear(at, data, share, rng)
        elif rng.random() < share:
            torn.append((at, None))
    return torn


class _File:
    """Durable content, and the changes since, each with its place in the trace."""

    __slots__ = ("content", "indexes", "pending", "shown")

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.pending: list[Change] = []
        self.indexes: list[int] = []
        self.shown: bytes | None = content

    def change(self, index: int, change: Change) -> None:
        """`change` took place, as the operation at `index`."""
        self.indexes.append(index)
        self.pending.append(change)

    def sync(self, covers: int) -> None:
        """Changes among the first `covers` operations become durable."""
        count = bisect_left(self.indexes, covers)
        change_content(self.content, self.pending[:count])
        del self.pending[:count], self.indexes[:count]
        if count:
            self.shown = None

    def image(self, mode: Mode, rng: Random) -> bytes | bytearray:
        if self.pending:
            chosen = _survivors(self.pending, mode, rng)
            if chosen:
                content = self.content.copy()
                change_content(content, chosen)
                return content
        if self.shown is None:
            self.shown = bytes(self.content)
        return self.shown


@dataclass(frozen=True, slots=True)
class Contents:
    """One image: file contents by name, and the directories."""

    files: dict[str, bytes | bytearray]
    directories: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Pending:
    """A directory operation, and the directories whose fsync it waits for."""

    index: int
    entry: Entry
    waits_for: set[str]


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _parents(entry: Entry) -> set[str]:
    if isinstance(entry, Rename):
        return {_parent(entry.source), _parent(entry.target)}
    return {_parent(entry.path)}


def _change_names(names: dict[str, int], directories: set[str], entries: Iterable[Entry]) -> None:
    """Apply `entries`. None depends on an earlier one, as that may have been lost."""
    for entry in entries:
        match entry:
            case Link(path, file):
                names[path] = file
            case Unlink(path, file):
                if names.get(path) == file:
                    del names[path]
            case Rename(source, target, file):
                if names.get(source) == file:
                    del names[source]
                names[target] = file
            case MakeDirectory(path):
                directories.add(path)
            case RemoveDirectory(path):
                directories.discard(path)


class Disk:
    """State after the operations handed to `advance`, in order."""

    def __init__(self, start: Snapshot, model: Directories = Directories.STRICT) -> None:
        self._model = model
        self._files = {file: _File(content) for file, content in start.contents.items()}
        self._names = dict(start.names)
        self._directories = set(start.directories)
        self._entries: list[_Pending] = []

    def advance(self, index: int, operation: Operation) -> None:
        """`operation`, the one at `index` of the trace, took place."""
        match operation:
            case Write(file, offset, data):
                self._file(file).change(index, (offset, data))
            case Truncate(file, size):
                self._file(file).change(index, (size, None))
            case Sync(file, covers):
                self._file(file).sync(covers)
                if self._model is Directories.JOURNALLED:
                    self._commit_entries(covers)
            case SyncDirectory():
                self._sync_directory(operation)
            case Ack():
                pass
            case _:
                self._entries.append(_Pending(index, operation, _parents(operation)))

    def _file(self, file: int) -> _File:
        return self._files.setdefault(file, _File())

    def _sync_directory(self, sync: SyncDirectory) -> None:
        if self._model is Directories.JOURNALLED:
            self._commit_entries(sync.covers)
            return
        for pending in self._entries:
            if pending.index < sync.covers:
                pending.waits_for.discard(sync.path)
        durable = [pending.entry for pending in self._entries if not pending.waits_for]
        self._entries = [pending for pending in self._entries if pending.waits_for]
        _change_names(self._names, self._directories, durable)

    def _commit_entries(self, covers: int) -> None:
        count = sum(pending.index < covers for pending in self._entries)
        durable = [pending.entry for pending in self._entries[:count]]
        del self._entries[:count]
        _change_names(self._names, self._directories, durable)

    def _surviving_entries(self, mode: Mode, rng: Random) -> list[Entry]:
        entries = [pending.entry for pending in self._entries]
        if mode is Mode.DROP:
            return []
        if mode is Mode.KEEP or not entries:
            return entries
        if self._model is Directories.JOURNALLED:
            return entries[: rng.randint(0, len(entries))]
        share = rng.choice(_LIKELIHOODS)
        return [entry for entry in entries if rng.random() < share]

    def image(self, mode: Mode, rng: Random) -> Contents:
        """What the disk may hold if the power goes now."""
        names, directories = self._names, self._directories
        if self._entries:
            names, directories = dict(names), set(directories)
            _change_names(names, directories, self._surviving_entries(mode, rng))
        kept = _reachable(directories)
        shown: dict[int, bytes | bytearray] = {}  # hard links show one content
        files = {}
        for name, file in names.items():
            if _parent(name) in kept:
                if file not in shown:
                    shown[file] = self._file(file).image(mode, rng)
                files[name] = shown[file]
        return Contents(files, kept - {""})


def _reachable(directories: set[str]) -> frozenset[str]:
    """The root and those `directories` of which every parent exists."""
    kept = {""}
    for path in sorted(directories):
        if _parent(path) in kept:
            kept.add(path)
    return frozenset(kept)
