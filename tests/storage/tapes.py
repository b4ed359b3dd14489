"""Tapes made to order for the tests of storage, and everything that a tape serves."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from random import Random

from statetape.engine.commands import Send
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.engine.transfer import export_events
from statetape.fsm.compiler import load
from statetape.storage import schema
from statetape.storage.checksum import crc32
from statetape.storage.files import Files
from statetape.storage.reader import Reader
from statetape.storage.tape import Tape

SECOND = 1_000_000
START = 1_600_000_000 * SECOND
ORIGIN = "tests/tape"
SEED = bytes(range(32))
FIRST = b'{"first":true}'

GATE = load(
    """
machine: tests.gate
version: 1
title: A gate that parks visitors while it is closed
chain: chain
data:
  owner: text
  passed: uint = 0
  until: epoch = 0
states:
  closed:
    initial: true
    timers:
      stale: {after: 1h, event: forget}
  open:
    timers:
      shut: {at_height: until, event: close}
  forgotten: {final: true}
events:
  visit:
    params: {text: text}
    otherwise: defer
    set: {passed: passed + 1}
    effects:
      - {do: greet, with: {who: owner}}
    go: [{from: open}]
  unlock:
    params: {until: epoch}
    require:
      - that: until > 0
        else: {reason: NEVER}
    set: {until: until}
    go: [{from: closed, to: open}]
  close:
    go: [{from: open, to: closed}]
  forget:
    go: [{from: closed, to: forgotten}]
""",
    "gate.yaml",
)


def seeded(name: str) -> Random:
    """A random source whose seed is STATETAPE_SEED (default 1), printed for a failing test."""
    seed = os.environ.get("STATETAPE_SEED", "1")
    print(f"STATETAPE_SEED={seed}")
    return Random(f"{seed} {name}")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        """Move the clock."""
        self.now += int(seconds * SECOND)


def entropy(count: int) -> bytes:
    """Random bytes that are always the same, so that tapes are."""
    return bytes(range(count))


def open_engine(path: Path, clock: Clock | None = None, **options: object) -> Engine:
    """An engine on the tape at `path`, with a clock that stands and fixed names and keys."""
    return Engine.open(path, **{"clock": clock or Clock(), "entropy": entropy, **options})


def new_tape(path: Path) -> Tape:
    """A tape of one entry, below the engine: its entries can be any text."""
    return Tape.create(Files.of(path), FIRST, origin=ORIGIN, seed=SEED)


def open_tape(path: Path, **options: object) -> Tape:
    """Open what `new_tape` made."""
    return Tape.open_to_write(Files.of(path), **options)


def append(tape: Tape, *bodies: bytes) -> None:
    """One turn that stores `bodies`."""
    tape.take()
    try:
        tape.write(bodies)
    finally:
        tape.give()


def small_tape(path: Path) -> None:
    """Make a closed tape of 20 entries with something in each of its tables.

    Idempotency keys, a timer of each kind, parked commands, effects, heads, refusals, four
    checkpoints, a consumer's cursor, and projections stored in two flushes. No tree node: that
    takes 256 entries.
    """
    with open_engine(path) as engine:
        for name in "abc":
            engine.create(GATE, name, {"owner": f"owner of {name}"}, key=f"new-{name}")
            engine.send(f"tests.gate/{name}", "visit", {"text": "early"}, key="k1")
            engine.anchor()
        engine.observe("chain", 5)
        engine.send("tests.gate/a", "unlock", {"until": 10}, key="k2", by="somebody")
        engine.send("tests.gate/b", "unlock", {"until": 20})
        engine.observe("chain", 10)
        engine.flush()
        engine.acknowledge("sender", 4)
        for name in "abc":
            engine.send(f"tests.gate/{name}", "visit", {"text": "late"}, key="k3")
        engine.send("tests.gate/c", "unlock", {"until": 0}, key="k4")
        engine.send("tests.gate/nobody", "visit", {"text": "?"}, key="k5")


def minimal_tape(path: Path) -> None:
    """Make a closed tape that is small enough for every one of its bits to be flipped in turn.

    Three entries, one instance, one checkpoint; and the smallest pages that SQLite has.
    """
    with open_engine(path) as engine:
        engine.create(GATE, "a", {"owner": "me"}, key="k")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA page_size = 512")
        connection.execute("VACUUM")
        connection.execute("PRAGMA journal_mode = WAL")


DUPLICATES = [
    *(Send(f"tests.gate/{name}", "visit", {"text": "early"}, key="k1") for name in "abc"),
    *(Send(f"tests.gate/{name}", "visit", {"text": "late"}, key="k3") for name in "abc"),
    Send("tests.gate/a", "unlock", {"until": 10}, key="k2"),
    Send("tests.gate/c", "unlock", {"until": 0}, key="k4"),
    Send("tests.gate/nobody", "visit", {"text": "?"}, key="k5"),
]
"""Commands of `small_tape` that have idempotency keys: sent again, they must change nothing."""


def long_tape(path: Path, entries: int = 300) -> None:
    """Make a closed tape that begins like `small_tape` and has tree nodes."""
    small_tape(path)
    with open_engine(path) as engine:
        visit = Send("tests.gate/b", "visit", {"text": "x"})
        engine.execute_many([visit] * (entries - engine.tape.size))


def exported(reader: Reader) -> bytes:
    """Every entry's bytes, a line each."""
    out = BytesIO()
    export_events(reader, out)
    return out.getvalue()


def served(path: Path) -> dict[str, object]:
    """Everything that readers and senders get from a tape made by `small_tape`."""
    with Inspector.open(path) as inspector:
        names = [folded.name for folded in inspector.instances()]
        answers: dict[str, object] = {
            "export": exported(inspector.reader),
            "shown": {name: inspector.show(name).json() for name in names},
            "history": {name: inspector.history(name) for name in names},
            "heads": dict(inspector.world.heads),
        }
    engine = open_engine(path)
    try:
        answers["duplicates"] = engine.execute_many(DUPLICATES)
        answers["effects"] = engine.effects("sender")
        answers["deadline"] = engine.next_deadline()
        answers["size"] = engine.tape.size
    finally:
        engine.abandon()
    return answers


def dumped(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of a tape, by SQLite alone: a cheap comparison of two files."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return rows_of(connection)


def rows_of(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table that a connection sees."""
    connection.text_factory = bytes
    return {
        table: connection.execute(f"SELECT * FROM {table}").fetchall()
        for table in (*schema.EVIDENCE, *schema.PROJECTIONS)
    }


@contextmanager
def vandal(path: Path) -> Iterator[sqlite3.Connection]:
    """A plain connection to a closed tape, without its guards; they are put back at the end."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in rows:
            connection.execute(f"DROP TRIGGER {name}")
        connection.create_function("crc32", 1, lambda text: crc32(text.encode()))
        yield connection
        for _, sql in rows:
            connection.execute(sql)


_CONSTRAINTS = re.compile(
    r"STRICT,? ?| NOT NULL| CHECK \(.*\)(?=,\n)|INTEGER(?! PRIMARY)|TEXT|BLOB"
)


@contextmanager
def unconstrained(path: Path) -> Iterator[sqlite3.Connection]:
    """As `vandal`, and every column takes values of every type: what a damaged record may hold."""
    with vandal(path) as guarded:
        tables = dict(
            guarded.execute("SELECT name, sql FROM sqlite_schema WHERE sql LIKE '%STRICT%'")
        )
        loose = {name: _CONSTRAINTS.sub("", sql) for name, sql in tables.items()}
        _declare(path, loose)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection
        _declare(path, tables)


def _declare(path: Path, tables: dict[str, str]) -> None:
    """Put these declarations in the schema, without touching a row."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        for name, sql in tables.items():
            connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql, name))
        connection.commit()
