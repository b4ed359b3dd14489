"""Foreign material onto a tape: a system's importer says what a file holds, the engine records it.

Theory of operation. An importer's items become commands with the items' own idempotency keys, and
run in batches, each one commit. So a crash, or an error of the disk, leaves a prefix of the file on
the tape; importing it again finds that prefix, and adds the rest. Items of instances that were
collected meanwhile are passed over, and counted. What a machine refuses is
recorded as refused, like any command; what no machine can be told of is said with its place. Both
are said again at every import: they are findings about the file.
"""

from __future__ import annotations

import functools
import gc
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..fsm.decide import REJECTED
from ..fsm.errors import CallerError, ConflictError, SpecError
from ..fsm.importing import Begin, Dated, Event, Importer, Item, Note, Tables
from ..fsm.load import load
from ..fsm.machine import Machine
from ..storage.files import Files
from ..storage.foreign import Foreign, ForeignInvalid, ForeignMissing
from . import catalogue
from .commands import DUPLICATE, Command, Create, IdempotencyConflict, Receipt, Send
from .engine import Engine

BATCH = 10_000
"""Items per commit."""
NOTES_MAX = 1_000

Progress = Callable[[int], None]
Source = bytes | Tables


@dataclass
class Imported:
    """What an import came to: numbers of items, and what to tell about the file.

    `added`: recorded now, refusals among them; `duplicates`: on the tape already; `collected`: of
    instances that were collected since, so nobody can say whether each was there. `refused`: those
    that a machine refused, now or at an earlier import, or that cannot be recorded at all.
    `left_out`: parts of the file that are no items. `notes` holds the places of the first of these,
    and warnings. `aside`: parts that were never expected to be any; the first are in `passed`.
    """

    read: int = 0
    added: int = 0
    duplicates: int = 0
    collected: int = 0
    refused: int = 0
    left_out: int = 0
    warnings: int = 0
    aside: int = 0
    notes: list[Note] = field(default_factory=list)
    passed: list[Note] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether everything in the file was taken."""
        return not (self.refused or self.left_out)

    def note(self, note: Note) -> None:
        """Take a note, and count it."""
        if note.aside:
            self.aside += 1
            if len(self.passed) < NOTES_MAX:
                self.passed.append(note)
            return
        if note.warning:
            self.warnings += 1
        else:
            self.left_out += 1
        self._keep(note)

    def refusal(self, item: Begin | Event, why: str) -> None:
        """Note that an item was refused."""
        self.refused += 1
        what = "begins" if isinstance(item, Begin) else item.event
        self._keep(Note(item.place, f"{_name(item)}: {what}: {why}"))

    def _keep(self, note: Note) -> None:
        if len(self.notes) < NOTES_MAX:
            self.notes.append(note)


def import_foreign(
    engine: Engine, importer: Importer, path: Path, progress: Progress = lambda _: None
) -> Imported:
    """Record what `importer` makes of the file at `path`; returns what became of it.

    `progress` is told the number of items done. Running it twice adds nothing.
    Crash: every commit so far stays; run it again.
    Raises ForeignInvalid and the like, or OSError, for a file that cannot be read, and whatever
    keeps the engine from recording (OperatorError).
    """
    with opened(importer, path, engine.tape.files) as source:
        return import_source(engine, importer, source, progress)


@contextmanager
def opened(importer: Importer, path: Path, files: Files) -> Iterator[Source]:
    """Give what an importer reads of a file. The tape's own files are none to import.

    Raises ForeignMissing, ForeignInvalid, ForeignChanged, OSError.
    """
    if not path.exists():
        raise ForeignMissing("there is no such file", place=str(path))
    # Before it is opened: a descriptor of the tape that is closed drops the tape's locks.
    if any(own.exists() and path.samefile(own) for own in files.all()):
        raise ForeignInvalid("this is the tape itself, or a file of it", place=str(path))
    if not importer.tables:
        yield path.read_bytes()
        return
    tables = importer.tables
    with Foreign(path) as foreign:
        if not [table for table in tables if foreign.columns(table)]:  # looks at each of them
            why = f"it has none of the tables {', '.join(tables)}"
            raise ForeignInvalid(why, place=str(path))
        yield lambda table: foreign.rows(table, tables[table])


def import_source(
    engine: Engine, importer: Importer, source: Source, progress: Progress = lambda _: None
) -> Imported:
    """Record what an importer makes of a source. As `import_foreign`."""
    if isinstance(importer, Dated):
        importer = importer.as_of(engine.clock())
    return import_items(engine, importer.items(source, catalogue.machine), progress)


def import_items(
    engine: Engine, items: Iterable[Item], progress: Progress = lambda _: None
) -> Imported:
    """Record items, wherever they come from. As `import_foreign`."""
    done = Imported()
    left = iter(items)
    more = True
    while more:
        with _no_collection():
            batch = list(itertools.islice(left, BATCH))
            _record(engine, batch, done)
        progress(done.read)
        more = bool(batch)
    return done


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for garbage in cycles while a batch runs: it makes none.

    It would walk the same thousands of young objects again and again, a fifth of the whole time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _record(engine: Engine, items: Sequence[Item], done: Imported) -> None:
    """Run the commands of items in one commit, and count what became of them.

    Of a collected instance nothing is recorded: its keys went too, so that each import of the same
    file would otherwise leave a refusal, for ever, of everything that is over.
    """
    taken: list[Begin | Event] = []
    commands: list[Command] = []
    for item in items:
        if isinstance(item, Note):
            done.note(item)
            continue
        if engine.world.gone_position(_name(item)) is not None:
            done.read += 1
            done.collected += 1
            continue
        try:
            commands.append(command_of(item))
            taken.append(item)
        except (CallerError, SpecError) as error:
            done.read += 1
            done.refusal(item, str(error))
    done.read += len(taken)
    for item, answer in zip(taken, engine.execute_many(commands), strict=True):
        if isinstance(answer, Receipt):
            outcome = answer.outcome
            if outcome == DUPLICATE:
                done.duplicates += 1
                outcome = answer.first or ""
            else:
                done.added += 1
            if outcome == REJECTED:
                done.refusal(item, in_words(answer))
        elif isinstance(answer, IdempotencyConflict) and _seen_earlier(item):
            done.duplicates += 1
        elif isinstance(answer, (CallerError, ConflictError)):
            done.refusal(item, str(answer))
        else:
            raise answer


def _name(item: Begin | Event) -> str:
    """Return the name of the instance that an item is about."""
    return f"{item.machine}/{item.key}" if isinstance(item, Begin) else item.instance


def _seen_earlier(item: Begin | Event) -> bool:
    """Whether an item takes over an instance in mid-life: an earlier import did so already.

    In which state depends on how far back the file reaches; what is on the tape reaches further.
    """
    return isinstance(item, Begin) and item.state is not None


def command_of(item: Begin | Event) -> Command:
    """Return the command that an item is. Raises MachineUnknown, SpecError."""
    if isinstance(item, Event):
        return Send(item.instance, item.event, item.params, item.once, item.by, None, item.at)
    machine = catalogue.machine(item.machine) if item.text is None else _compiled(item.text)
    return Create(
        machine,
        f"{machine.name}/{item.key}",
        item.params,
        key=item.once,
        by=item.by,
        at=item.at,
        state=item.state,
    )


@functools.lru_cache(100)
def _compiled(text: str) -> Machine:
    """Return the machine that an importer wrote the text of; it is the same for many items."""
    return load(text, "a machine of the importer", catalogue.library)


def in_words(receipt: Receipt) -> str:
    """Return why something was refused, in a few words."""
    reason = receipt.reason or {}
    parts = [reason.get("kind"), reason.get("reason"), reason.get("detail")]
    return ": ".join(str(part) for part in parts if part)
