"""The judge of damaged tapes: reported by name and place, harmless, or neither.

A damaged tape may be served as it was, when the damage is where nothing is kept, or be reported: by
a named error when it is opened or verified, or by a finding. Anything else fails the campaign:
content served otherwise than it was written, or an error without a name.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from statetape.engine.verify import findings, verify
from statetape.fsm.errors import StatetapeError
from statetape.storage.files import Files
from statetape.storage.reader import Reader

from .tapes import dumped, rows_of, served

BESIDE = (".anchor", ".key", ".lock")


@dataclass
class Whole:
    """An undamaged tape: its files, what it stores, what it serves."""

    path: Path
    files: dict[str, bytes] = field(init=False)
    rows: object = field(init=False)
    answers: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        # Read before any connection: closing a descriptor of a file that SQLite has open in this
        # process drops SQLite's locks.
        suffixes = ("", "-wal", *BESIDE)
        paths = {suffix: Path(f"{self.path}{suffix}") for suffix in suffixes}
        self.files = {name: path.read_bytes() for name, path in paths.items() if path.exists()}
        self.restore(self.path)
        self.answers = served(self.path)
        self.restore(self.path)
        self.rows = dumped(self.path)

    def restore(self, path: Path, **changed: bytes) -> None:
        """Write the tape's files to `path`; `tape=` or `wal=` replaces that file's content."""
        files = self.files | {
            "-wal" if name == "wal" else "": data for name, data in changed.items()
        }
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        for suffix, content in files.items():
            if suffix not in BESIDE or path != self.path:
                Path(f"{path}{suffix}").write_bytes(content)


@contextmanager
def fast_directory() -> Iterator[Path]:
    """A directory in memory, where there is one: these campaigns test content, not syncs."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def reports(path: Path) -> list[tuple[str, str]]:
    """Return (place, message) of everything that verifying the tape at `path` reports."""
    try:
        with Reader.open(Files.of(path)) as reader:
            return [(finding.place, finding.message) for finding in verify(reader)]
    except StatetapeError as error:
        return [(error.place, f"{error.code}: {error.message}")]


def verdict(path: Path, whole: Whole, *, closely: bool = True) -> str:
    """Return "reported", "harmless", or in words what is wrong with the damaged tape at `path`.

    `closely` asks everything that is served even where every row reads as it was written.
    """
    try:
        found = reports(path)
    except Exception as error:  # an error without a name is what is looked for
        return f"verify raised {type(error).__name__}"
    if found:
        nowhere = [message for place, message in found if not place]
        return f"reported without a place: {nowhere[0].split(':')[0]}" if nowhere else "reported"
    try:
        if not closely and dumped(path) == whole.rows:
            return "harmless"
        answers = served(path)
    except StatetapeError as error:
        return "reported" if error.place else f"reported without a place: {error.code}"
    except Exception as error:
        return f"opening raised {type(error).__name__}"
    different = [name for name, answer in whole.answers.items() if answers[name] != answer]
    return f"served otherwise: {different}" if different else "harmless"


@dataclass
class InMemory:
    """Judges contents of a closed tape's file without writing them: thousands in a second.

    Only the header's mark of the WAL mode is another one than in the file; and damage of the header
    is `verdict`'s to judge.
    """

    path: Path
    rows: object = field(init=False)

    def __post_init__(self) -> None:
        content = self.path.read_bytes()
        with closing(self._connected(content)) as connection:
            self.rows = rows_of(connection)
        assert self.verdict(content) == "harmless"

    @staticmethod
    def _connected(content: bytes) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.deserialize(content[:18] + b"\x01\x01" + content[20:])
        return connection

    def verdict(self, content: bytes) -> str:
        """Return what `verdict` does of a file with this content."""
        with closing(self._connected(content)) as connection:
            try:
                found = next(findings(Reader(Files.of(self.path), connection)), None)
                if found is not None:
                    return "reported" if found.place else "reported without a place"
                return "harmless" if rows_of(connection) == self.rows else "served otherwise"
            except StatetapeError as error:
                return "reported" if error.place else "reported without a place"
            except Exception as error:
                return f"verify raised {type(error).__name__}"


GOOD = ("reported", "harmless")


@dataclass
class Tally:
    """What became of many damaged tapes."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: dict[str, list[str]] = field(default_factory=dict)

    def add(self, where: str, verdict: str) -> None:
        """Note one; `where` says how to repeat it."""
        self.counts[verdict if verdict in GOOD else "wrong"] += 1
        if verdict not in GOOD:
            self.bad.setdefault(verdict, []).append(where)

    def merge(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.counts += other.counts
        for verdict, places in other.bad.items():
            self.bad.setdefault(verdict, []).extend(places)

    def __str__(self) -> str:
        """The counts, and each kind of wrong verdict with how often and where first."""
        wrong = [f"{len(at)} x {what} ({at[0]})" for what, at in sorted(self.bad.items())]
        return "\n".join([str(dict(self.counts)), *wrong])


def flipped(content: bytes, bit: int) -> bytes:
    """Return `content` with one bit changed."""
    changed = bytearray(content)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)
