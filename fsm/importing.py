"""What an importer makes of foreign material: items that the engine turns into commands.

A system's `imports.py` offers `IMPORTERS`, format name to importer (docs/how-to/add-a-machine.md).
An importer is pure: a file's bytes, or the rows of tables, in; items out, lazily and in the file's
order. Each item names itself by `once`, from what it says alone: so importing a file again, or
the rest of one after a crash, or another file that says the same, adds nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

from .machine import Machine

Row = Mapping[str, Any]
"""One row of a foreign table: column to value, as SQLite keeps it."""
Tables = Callable[[str], Iterator[Row]]
"""The rows of a table by its name, in the table's own order."""
Machines = Callable[[str], Machine]
"""A bundled machine by its name, compiled when it is first asked for."""


class _Item(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What items share.

    `once`: the idempotency key, 1 to 200 printable characters, unique within the instance.
    `place`: where in the file it stands (`line 7`, `events[3]`), for whoever is told of a refusal.
    """

    once: str
    place: str = ""


class Begin(_Item, frozen=True, gc=False):
    """An instance `machine/key` begins; `params` and `state` depend on the key alone.

    So every file that tells of the instance says the same of its beginning. With `state` the
    instance begins there, in mid-life, and `params` are its data fields. `at`: microseconds.
    `text`: the file of `machine`, where it is none of the bundled ones.
    """

    machine: str
    key: str
    params: Mapping[str, Any] = {}
    state: str | None = None
    at: int | None = None
    by: str | None = None
    text: str | None = None


class Event(_Item, frozen=True, gc=False):
    """Something happened to the instance `machine/key`; `at`: when, in microseconds."""

    instance: str
    event: str
    params: Mapping[str, Any] = {}
    at: int | None = None
    by: str | None = None


class Note(msgspec.Struct, frozen=True, gc=False):
    """A part of the file that says nothing to any machine: what it is, and where.

    With `warning`, nothing was left out, and somebody had better look all the same. With `aside`,
    nobody expected it to say anything: lines of other programs in a log, say.
    """

    place: str
    message: str
    warning: bool = False
    aside: bool = False


Item = Begin | Event | Note


class Importer(Protocol):
    """How a system reads material of one format.

    `tables`: of an SQLite file, the tables wanted and their columns; {} reads the file's bytes.
    """

    title: str
    tables: Mapping[str, tuple[str, ...]]

    def items(self, source: Any, machines: Machines) -> Iterator[Item]:
        """Yield what the source says: `bytes`, or `Tables` where `tables` are wanted.

        What a bundled machine knows (numbers, names, rows) is read off it, by `machines`.
        Whatever is wrong with the source becomes a Note with its place: nothing is raised, and
        what stands before and after is read.
        """


@runtime_checkable
class Dated(Protocol):
    """An importer with rules about the future: it is asked for `as_of(now)` before `items`."""

    def as_of(self, now: int) -> Importer:
        """Return the importer for a file that is read at `now` (microseconds)."""
