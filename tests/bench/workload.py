"""What the benchmarks share: the machine, tapes filled to order, and timing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from statetape.engine import catalogue
from statetape.engine.commands import Create, Send
from statetape.engine.engine import Engine
from statetape.fsm.machine import Machine

MACHINE_FILE = Path(__file__).with_name("session.yaml")
PARAMS = {"text": "x" * 200}
INSTANCES = 1000


def machine() -> Machine:
    """Return the benchmarks' machine."""
    return catalogue.machine_file(MACHINE_FILE)


@contextmanager
def workspace() -> Iterator[Path]:
    """A directory on this checkout's disk (a tmpfs would make syncs free)."""
    path = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path.cwd()))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def names(count: int = INSTANCES) -> list[str]:
    """Return the names of the instances that `filled` creates."""
    return [f"bench.session/i{i}" for i in range(count)]


def filled(path: Path, entries: int, *, event: str = "mark", instances: int = INSTANCES) -> None:
    """Make a tape of about `entries` entries over `instances` instances."""
    told = machine()
    with Engine.open(path) as engine:
        engine.execute_many([Create(told, name, {"owner": "me"}) for name in names(instances)])
        todo = entries - engine.world.size
        for start in range(0, todo, 5000):
            engine.execute_many(
                [
                    Send(f"bench.session/i{i % instances}", event, PARAMS)
                    for i in range(start, min(start + 5000, todo))
                ]
            )


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def raw_tape(path: Path) -> sqlite3.Connection:
    """Return a plain SQLite log with the same durability: WAL, synchronous=FULL, one table."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE log (pos INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
    return connection


def report(
    what: str, unit: str, value: float, raw: float | None, goal: str, **more: object
) -> None:
    """Print one figure as a line of JSON."""
    line: dict[str, object] = {"what": what, "unit": unit, "value": round(value, 4)}
    if raw is not None:
        line["raw"] = round(raw, 4)
        line["ratio"] = round(value / raw, 4)
    print(json.dumps({**line, "goal": goal, **more}), flush=True)
