"""Whole histories out and in: one entry per line, byte for byte.

An export is the entries' exact bytes, a line each. Importing appends them to a tape that holds a
prefix of the same history (or none), so running an import twice adds nothing, and exporting again
gives the same bytes. A line that is not canonical, or a history that parts from the tape's own, is
refused with its line before anything of it is stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..fsm.entry import ENTRY_BYTES_MAX, OPENED, Entry, EntryInvalid, check_canonical
from ..storage.errors import TapeForked, TapeMissing
from ..storage.files import Files
from ..storage.reader import Reader
from ..storage.tape import Tape
from .engine import Engine
from .loading import machine_of
from .world import Nothing, World

BATCH = 1000

Progress = Callable[[int], None]


def export_events(reader: Reader, out: BinaryIO, progress: Progress = lambda _: None) -> int:
    """Write every entry's bytes, a line each; returns how many."""
    count = 0
    for body in reader.read():
        out.write(body + b"\n")
        count += 1
        if count % BATCH == 0:
            progress(count)
    return count


def read_lines(path: Path) -> Iterator[tuple[str, bytes, Entry]]:
    """Yield (place, bytes, entry) of each line. Raises EntryInvalid at the line that is wrong."""
    expected = 0
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(ENTRY_BYTES_MAX + 2), b""), 1):
            place = f"{path}:{number}"
            if not line.endswith(b"\n"):
                raise EntryInvalid("the line does not end, or is longer than an entry", place=place)
            body = line[:-1]
            entry = check_canonical(body, place)
            expected += 1
            if entry.pos != expected:
                why = f"position {entry.pos}, and {expected} comes next"
                raise EntryInvalid(why, place=place)
            if (entry.tape == OPENED) != (expected == 1):
                raise EntryInvalid("a history begins with one `opened` entry", place=place)
            yield place, body, entry


def import_events(
    path: Path,
    files: Files,
    *,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    progress: Progress = lambda _: None,
) -> tuple[int, int]:
    """Append the history in `path` to a tape; returns (entries read, entries added).

    A tape that is not there is created, with a signing key of its own. The whole file is checked
    before the first line is stored. Crash: run it again; what was stored is recognised.
    Raises EntryInvalid with the line, TapeForked where the tape's history is another.
    """
    count = _check(path)
    created = 0
    try:
        tape = Tape.open_to_write(files)
    except TapeMissing:
        _, first, opened = next(read_lines(path))
        tape = Tape.create(files, first, origin=opened.origin or "", seed=entropy(32))
        created = 1
    engine = Engine(tape)
    try:
        return count, created + _append(engine, read_lines(path), progress)
    finally:
        engine.close()


def _check(path: Path) -> int:
    """Check a whole file, also that each entry fits those before it; returns its entries."""
    world = World(Nothing(), machine_of)
    seqs: dict[int, int] = {}
    names: set[str] = set()
    for place, body, entry in read_lines(path):
        try:
            world.absorb([body])
            _follows(entry, world, seqs, names)
        except EntryInvalid as error:
            raise EntryInvalid(error.message, place=place) from None
        world.window.clear()
    if world.size == 0:
        raise EntryInvalid("the file holds no entry", place=str(path))
    return world.size


def _follows(entry: Entry, world: World, seqs: dict[int, int], names: set[str]) -> None:
    """Raise EntryInvalid where an entry cannot follow; whether it was decided so, replay says."""
    owner = entry.instance
    if owner is None and entry.create and entry.outcome is None:
        owner = entry.pos
        if entry.spec not in world.chains:
            raise EntryInvalid(f"entry {entry.spec} holds no machine")
        if entry.create in names:
            raise EntryInvalid(f"{entry.create} was created before")
        names.add(entry.create)
    if owner is not None:
        comes = seqs[owner] = seqs.get(owner, 0) + 1
        if entry.seq != comes:
            raise EntryInvalid(f"seq {entry.seq}, and {comes} comes next")


def _append(engine: Engine, lines: Iterator[tuple[str, bytes, Entry]], progress: Progress) -> int:
    """Compare what the tape has, then store the rest in batches."""
    tape = engine.tape
    had = tape.size
    stored = tape.read()
    batch: list[bytes] = []
    for place, body, entry in lines:
        if entry.pos <= had:
            if next(stored) != body:
                why = "this entry differs from the tape's at the same position"
                raise TapeForked(why, place=place, hint="import into a tape of its own")
            continue
        batch.append(body)
        if len(batch) == BATCH:
            engine.adopt(batch)
            progress(entry.pos)
            batch = []
    if batch:
        engine.adopt(batch)
    return tape.size - had
