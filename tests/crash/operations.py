"""The changes a recorded process made to its directory, as typed data.

`parse` turns the records of recorder.c into operations. It owns the identity of files: an inode
number may be used again after a file is gone, so each file gets a number of its own that follows it
through renames and hard links. Operations stand in the order in which they took effect.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ACKS = "acks"
"""Name of the bookkeeping file: each line written to it acknowledges one event."""

IGNORED_SUFFIX = "-shm"
"""Shared memory of SQLite: rebuilt at the first open after a crash, so it is in no image."""


class TraceError(Exception):
    """The trace does not tell what happened to the directory."""


@dataclass(frozen=True, slots=True)
class Write:
    """`data` was written at `offset`."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """The file became `size` bytes long."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync or fdatasync succeeded; it began when the first `covers` operations were complete."""

    file: int
    covers: int


@dataclass(frozen=True, slots=True)
class SyncDirectory:
    """fsync of the directory `path` succeeded; "" is the recorded directory. Cf. `Sync`."""

    path: str
    covers: int


@dataclass(frozen=True, slots=True)
class Link:
    """`path` became a name of the file: it was created, or hard-linked."""

    path: str
    file: int


@dataclass(frozen=True, slots=True)
class Unlink:
    """`path` ceased to be a name of the file."""

    path: str
    file: int


@dataclass(frozen=True, slots=True)
class Rename:
    """The file moved from `source` to `target`, replacing what was there."""

    source: str
    target: str
    file: int


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """The directory `path` was created."""

    path: str


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """The empty directory `path` was removed."""

    path: str


@dataclass(frozen=True, slots=True)
class Ack:
    """One line arrived in the file `acks`."""

    text: str


Entry = Link | Unlink | Rename | MakeDirectory | RemoveDirectory
Operation = Write | Truncate | Sync | SyncDirectory | Entry | Ack


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Content of a directory: names, file contents by number, and where inodes map to."""

    names: Mapping[str, int]
    contents: Mapping[int, bytes]
    directories: frozenset[str] = frozenset()
    inodes: Mapping[int, int] | None = None

    def files(self) -> dict[str, bytes]:
        """Content by name."""
        return {name: self.contents[file] for name, file in self.names.items()}


ACKS_FILE = -1


def snapshot(directory: Path) -> Snapshot:
    """What `directory` holds, without `acks` and shared memory.

    It opens every file: this process must hold no SQLite connection to any of them, as closing a
    second descriptor would drop the locks of that connection.
    """
    names: dict[str, int] = {}
    contents: dict[int, bytes] = {}
    directories = set()
    inodes: dict[int, int] = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_dir() and not path.is_symlink():
            directories.add(name)
        elif path.is_symlink() or not path.is_file():
            raise TraceError(f"{name} is neither a file nor a directory")
        elif name == ACKS:
            inodes[path.stat().st_ino] = ACKS_FILE
        elif not name.endswith(IGNORED_SUFFIX):
            number = inodes.setdefault(path.stat().st_ino, len(contents))
            names[name] = number
            contents[number] = path.read_bytes()
    return Snapshot(names, contents, frozenset(directories), inodes)


_HEADER = struct.Struct("=IIQQQIIQ")
_MAGIC = 0x31435250


class _Record(NamedTuple):
    inode: int
    value: int
    since: int
    path: str
    target: str
    data: bytes


def parse(trace: bytes, start: Snapshot) -> tuple[Operation, ...]:
    """The operations in `trace`, made on a directory that held `start`.

    A record cut off at the very end (the process was killed while it wrote it) is left out.
    Raises TraceError for anything else that is not a complete account.
    """
    parser = _Parser(start)
    at = 0
    while at + _HEADER.size <= len(trace):
        header = _HEADER.unpack_from(trace, at)
        magic, kind, inode, value, since, path_size, target_size, data_size = header
        if magic != _MAGIC or kind not in _HANDLERS:
            raise TraceError(f"no record at byte {at} of the trace")
        body = at + _HEADER.size
        end = body + path_size + target_size + data_size
        if end > len(trace):
            break
        path = os.fsdecode(trace[body : body + path_size])
        target = os.fsdecode(trace[body + path_size : end - data_size])
        record = _Record(inode, value, since, path, target, trace[end - data_size : end])
        _HANDLERS[kind](parser, record)
        parser.complete(end)
        at = end
    return tuple(parser.operations)


class _Parser:
    """Follows names and inodes through the trace."""

    def __init__(self, start: Snapshot) -> None:
        self.operations: list[Operation] = []
        self._names = dict(start.names)
        self._directories = {"", *start.directories}
        self._files = dict(start.inodes or {})
        self._next_file = len(start.contents)
        self._ends: list[int] = []
        self._line = b""

    def complete(self, end: int) -> None:
        """The operations so far were recorded in the first `end` bytes of the trace."""
        self._ends += [end] * (len(self.operations) - len(self._ends))

    def _file(self, inode: int) -> int:
        if inode not in self._files:
            raise TraceError(f"inode {inode} changed, but was never opened under the recorder")
        return self._files[inode]

    def opened(self, record: _Record) -> None:
        if record.path == ACKS:
            self._files[record.inode] = ACKS_FILE
            return
        known = self._files.get(record.inode)
        if record.path and known is not None and self._names.get(record.path) == known:
            if record.value:
                self.operations.append(Truncate(known, 0))
            return
        # A name that is not there yet was created, and its inode is new or has been freed.
        self._files[record.inode] = self._next_file
        if record.path:
            self._names[record.path] = self._next_file
            self.operations.append(Link(record.path, self._next_file))
        self._next_file += 1

    def written(self, record: _Record) -> None:
        file = self._file(record.inode)
        if file != ACKS_FILE:
            self.operations.append(Write(file, record.value, record.data))
            return
        *lines, self._line = (self._line + record.data).split(b"\n")
        self.operations += [Ack(line.decode()) for line in lines]

    def truncated(self, record: _Record) -> None:
        file = self._file(record.inode)
        if file != ACKS_FILE:
            self.operations.append(Truncate(file, record.value))

    def synced(self, record: _Record) -> None:
        file = self._file(record.inode)
        if file != ACKS_FILE:
            self.operations.append(Sync(file, bisect_right(self._ends, record.since)))

    def directory_synced(self, record: _Record) -> None:
        covers = bisect_right(self._ends, record.since)
        self.operations.append(SyncDirectory(record.path, covers))

    def linked(self, record: _Record) -> None:
        file = self._file(record.inode)
        self._names[record.path] = file
        self.operations.append(Link(record.path, file))

    def unlinked(self, record: _Record) -> None:
        file = self._file(record.inode)
        if file != ACKS_FILE and self._names.get(record.path) == file:
            del self._names[record.path]
            self.operations.append(Unlink(record.path, file))

    def renamed(self, record: _Record) -> None:
        if record.path in {"", ACKS} or record.target == ACKS or record.path in self._directories:
            raise TraceError(f"not modelled: {record.path!r} renamed to {record.target!r}")
        file = self._file(record.inode)
        if self._names.get(record.target) == file:
            return  # two names of one file: POSIX says that nothing happens
        self._names.pop(record.path, None)
        if record.target:
            self._names[record.target] = file
            self.operations.append(Rename(record.path, record.target, file))
        else:
            self.operations.append(Unlink(record.path, file))

    def directory_made(self, record: _Record) -> None:
        self._directories.add(record.path)
        self.operations.append(MakeDirectory(record.path))

    def directory_removed(self, record: _Record) -> None:
        self._directories.discard(record.path)
        self.operations.append(RemoveDirectory(record.path))


_HANDLERS: dict[int, Callable[[_Parser, _Record], None]] = dict(
    enumerate(
        (
            _Parser.opened,
            _Parser.written,
            _Parser.truncated,
            _Parser.synced,
            _Parser.directory_synced,
            _Parser.linked,
            _Parser.unlinked,
            _Parser.renamed,
            _Parser.directory_made,
            _Parser.directory_removed,
        ),
        start=1,
    )
)
