"""A power-cut simulator for the production driver: record a process, rebuild what a cut may leave.

`record` runs a child under recorder.c (LD_PRELOAD), so what is tested is the real interpreter with
its real libsqlite3, not a stand-in. `Trace.images` then yields directories that a power cut at any
moment could have left behind; open each and check that every acknowledged event is there.

    trace = record([sys.executable, "writer.py", str(directory / "log.db")], directory)
    rng = random.Random(seed)
    for description, acks, materialise in trace.images(rng, per_mode=400):
        materialise(image)
        assert set(acks) <= stored_events(image / "log.db"), (seed, description)

The child acknowledges an event by appending a line to the file `acks` in the watched directory
with one os.write. That file is bookkeeping: it is in no image, and syncing it has no effect.

Modelled (disk.py has the rules): lost, partly lost, torn, garbled and reordered unsynced writes and
truncations per file; created, renamed, linked and unlinked names and sub-directories, durable after
fsync of the directory. SQLite syncs the directory with the first sync of a journal or WAL that it
created, and deletes these files without a sync; both are as recorded, nothing is assumed of the
file system. `Directories.JOURNALLED` is the milder model of ext4 and XFS; a test that passes only
there relies on the file system.

Not modelled: a disk that lies about syncs, damage outside the bytes being written (see `_tear`),
several disks, file modes and times, renamed directories, symbolic links, memory-mapped files
(`-shm` is left out: SQLite rebuilds it). `record` raises TraceError when the recording does not
explain the directory the child left, so that an unseen system call cannot pass for a success.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

from tests.crash.disk import Contents, Directories, Disk, Mode
from tests.crash.operations import (
    ACKS,
    Ack,
    Operation,
    Snapshot,
    TraceError,
    Write,
    parse,
    snapshot,
)

__all__ = [
    "ACKS",
    "Directories",
    "Image",
    "Mode",
    "Trace",
    "TraceError",
    "missing",
    "record",
    "record_python",
]

ALL_MODES = tuple(Mode)

Kind = TypeVar("Kind", bound=Operation)


def missing() -> str | None:
    """Why nothing can be recorded here, to be given as the reason of a skipped test, or None."""
    if sys.platform != "linux":
        return "the power-cut recorder needs Linux (LD_PRELOAD and /proc)"
    if _compiler() is None:
        return "the power-cut recorder needs a C compiler (cc or gcc)"
    return None


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


@functools.cache
def recorder() -> Path:
    """The recorder library, compiled once for each session."""
    compiler = _compiler()
    if compiler is None:
        raise RuntimeError(missing())
    folder = tempfile.mkdtemp(prefix="powercut-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = Path(folder, "recorder.so")
    source = Path(__file__).with_name("recorder.c")
    # Fortified headers would redirect the very functions that the library defines.
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-pthread", "-U_FORTIFY_SOURCE"]
    build = [compiler, *flags, "-o", str(library), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        raise RuntimeError(f"recorder.c does not compile cleanly:\n{done.stderr}")
    return library


class Image(NamedTuple):
    """A directory that a power cut could have left."""

    description: str
    acks: tuple[str, ...]
    """The lines acknowledged before the cut, in order."""
    materialise: Callable[[Path], None]
    """Make a directory hold exactly this image. Close every connection into it first. It may be
    called at any time, also after later images were drawn."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a child did to its directory, in the order in which it took effect."""

    start: Snapshot
    operations: tuple[Operation, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def acks(self) -> tuple[str, ...]:
        """All acknowledged lines."""
        return tuple(operation.text for operation in self.of(Ack))

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The operations of one kind: tests assert on their number, lest they pass vacuously."""
        return [operation for operation in self.operations if isinstance(operation, kind)]

    def images(
        self,
        rng: Random,
        *,
        per_mode: int = 400,
        modes: Sequence[Mode] = ALL_MODES,
        directories: Directories = Directories.STRICT,
    ) -> Iterator[Image]:
        """Yield `per_mode` images for each of `modes`, in the order of their cut points.

        The cut points are spread evenly: a cut after each operation, and before the first one,
        comes up once before any comes up twice. Same trace, arguments and state of `rng`: same
        images. Whether and when they are materialised makes no difference.
        """
        total = len(self.operations)
        schedule: list[list[Mode]] = [[] for _ in range(total + 1)]
        for mode in modes:
            for cut in _cut_points(rng, total + 1, per_mode):
                schedule[cut].append(mode)
        disk = Disk(self.start, directories)
        acks: tuple[str, ...] = ()
        for cut, due in enumerate(schedule):
            if cut:
                operation = self.operations[cut - 1]
                disk.advance(cut - 1, operation)
                if isinstance(operation, Ack):
                    acks += (operation.text,)
            for number, mode in enumerate(due):
                description = f"{mode} #{number} after {cut} of {total} operations"
                if cut:
                    description += f", the last {_brief(operation)}"
                contents = disk.image(mode, rng)
                yield Image(description, acks, functools.partial(_materialise, contents))

    def final(self) -> dict[str, bytes]:
        """The files if every operation survives: what the child saw at its end."""
        disk = Disk(self.start)
        for index, operation in enumerate(self.operations):
            disk.advance(index, operation)
        kept = disk.image(Mode.KEEP, Random(0)).files
        return {name: bytes(content) for name, content in kept.items()}


def _cut_points(rng: Random, points: int, count: int) -> list[int]:
    """`count` of range(points): each equally often, the rest drawn one from each equal stretch."""
    rounds, rest = divmod(count, points)
    drawn = [int((stretch + rng.random()) * points / rest) for stretch in range(rest)]
    return [*range(points)] * rounds + drawn


def _brief(operation: Operation) -> str:
    if isinstance(operation, Write):
        return f"Write(file={operation.file}, offset={operation.offset}, {len(operation.data)} B)"
    return repr(operation)


def _materialise(contents: Contents, path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry)
            else:
                os.unlink(entry)
    for directory in sorted(contents.directories):
        (path / directory).mkdir()
    for name, content in contents.files.items():
        descriptor = os.open(f"{path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            file.write(content)


def record(
    argv: Sequence[str | Path],
    directory: Path,
    env: Mapping[str, str] | None = None,
    *,
    returncode: int = 0,
    timeout_s: float = 300.0,
) -> Trace:
    """Run `argv` and return all that it, and its children, changed in `directory`.

    directory: exists; what it holds is taken as durable, so an image can be recorded again (a cut
    during recovery). This process must hold no SQLite connection into it.
    env: as for subprocess, None for that of this process.
    returncode: the one expected, -9 for a child that kills itself.
    Raises TraceError for another one, and if the recording does not explain what the directory
    holds at the end (not checked for a child ended by a signal: its last call may be unrecorded).
    """
    directory = directory.resolve(strict=True)
    start = snapshot(directory)
    with tempfile.TemporaryDirectory(prefix="powercut-") as scratch:
        records = Path(scratch, "trace")
        done = subprocess.run(
            [str(part) for part in argv],
            env=_environment(os.environ if env is None else env, directory, records),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != returncode:
            raise TraceError(f"{argv} ended with {done.returncode}:\n{done.stderr}")
        if not records.exists():
            raise TraceError(f"{argv} did not load the recorder")
        operations = parse(records.read_bytes(), start)
    trace = Trace(start, operations, done.returncode, done.stdout, done.stderr)
    if returncode >= 0:
        _refuse_unexplained(trace.final(), snapshot(directory).files())
    return trace


def _environment(env: Mapping[str, str], directory: Path, records: Path) -> dict[str, str]:
    preload = f"{recorder()} {env.get('LD_PRELOAD', '')}".strip()
    watched = {"RECORDER_DIR": str(directory), "RECORDER_TRACE": str(records)}
    return {**env, "LD_PRELOAD": preload, **watched}


def record_python(script: str, directory: Path, *, returncode: int = 0) -> Trace:
    """Record Python code, which may be indented, that works in `directory` as its current one.

    The module os is imported. See `record`.
    """
    code = f"import os\nos.chdir({str(directory)!r})\n{textwrap.dedent(script)}"
    return record([sys.executable, "-c", code], directory, returncode=returncode)


def _refuse_unexplained(recorded: Mapping[str, bytes], found: Mapping[str, bytes]) -> None:
    names = recorded.keys() | found.keys()
    differing = sorted(name for name in names if recorded.get(name) != found.get(name))
    if differing:
        raise TraceError(f"changed by calls that the recorder does not see: {differing}")
