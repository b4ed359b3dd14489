"""Reading a whole tape: fold, replay, verify; opening it after a kill; its size on disk.

Raw limits: a loop that selects, decodes and applies; a loop that selects and hashes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from statetape.engine.engine import Engine
from statetape.engine.replay import Replayer
from statetape.fsm.fold import fold
from statetape.storage.files import Files
from statetape.storage.reader import Reader
from statetape.storage.verify import verify_entries

from .workload import PARAMS, filled, report, seconds, workspace

ENTRIES = 1_000_000
ROUNDS = 3


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        tape = path / "tape.db"
        filled(tape, ENTRIES)
        _size(tape)
        with Reader.open(Files.of(tape)) as reader:
            _fold(reader)
            _verify(reader)
            _replay(reader)
        _open_after_kill(path, tape)


def _size(tape: Path) -> None:
    value = tape.stat().st_size / ENTRIES
    report("bytes on disk per entry, 200 bytes of parameters", "B", value, None, "<= 400")


def _compare(ours: Callable[[], object], raw: Callable[[], object]) -> tuple[float, float]:
    """Return entries per second of both, measured in turns."""
    rates = [(ENTRIES / seconds(ours), ENTRIES / seconds(raw)) for _ in range(ROUNDS)]
    first, second = zip(*rates, strict=True)
    return statistics.median(first), statistics.median(second)


def _fold(reader: Reader) -> None:
    decode = msgspec.json.decode

    def raw() -> None:
        states: dict[int, dict[str, object]] = {}
        for (body,) in reader.db.execute("SELECT body FROM entry"):
            entry = decode(body)
            owner = entry.get("instance")
            if owner is not None:
                states[owner].update(entry["set"])
            elif "create" in entry:
                states[entry["pos"]] = entry["set"]

    ours, limit = _compare(lambda: fold(reader.read()), raw)
    report("fold of 1,000,000 entries, all instances", "1/s", ours, limit, ">= 70 % of raw")


def _verify(reader: Reader) -> None:
    sha256 = hashlib.sha256

    def raw() -> None:
        for (body,) in reader.db.execute("SELECT CAST(body AS BLOB) FROM entry"):
            sha256(body).digest()

    def ours() -> None:
        if list(verify_entries(reader)):
            raise AssertionError("a sound tape has findings")

    value, limit = _compare(ours, raw)
    report("verify, every hash and the tree", "1/s", value, limit, ">= 60 % of raw")


def _replay(reader: Reader) -> None:
    def ours() -> None:
        if Replayer().run(reader.read()).difference is not None:
            raise AssertionError("a sound tape does not replay")

    report("replay, every byte compared", "1/s", ENTRIES / seconds(ours), None, ">= 50,000/s")


_KILLED = """
import os, signal, sys
sys.path.insert(0, os.getcwd())
from statetape.engine.commands import Send
from statetape.engine.engine import Engine
from tests.bench.workload import PARAMS
engine = Engine.open(sys.argv[1])
for start in range(0, 15000, 5000):
    engine.execute_many([Send(f"bench.session/i{i % 1000}", "mark", PARAMS) for i in range(5000)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def _open_after_kill(path: Path, tape: Path) -> None:
    """Kill a session that left 15,000 entries unprojected; then time opening and one command."""
    times = []
    for number in range(ROUNDS):
        copy = path / f"killed{number}.db"
        for suffix in ("", ".anchor", ".key"):
            shutil.copyfile(f"{tape}{suffix}", f"{copy}{suffix}")
        died = subprocess.run([sys.executable, "-c", _KILLED, str(copy)], check=False)
        if died.returncode != -signal.SIGKILL:
            raise AssertionError(f"the process ended with {died.returncode}")
        started = time.perf_counter()
        engine = Engine.open(copy)
        engine.send("bench.session/i7", "mark", PARAMS)
        times.append(time.perf_counter() - started)
        engine.close()
        copy.unlink()
    value = statistics.median(times)
    raw = seconds(lambda: _raw_open(tape))
    what = "open 1,000,000 entries after a kill, to the first accepted command"
    report(what, "s", value, None, "< 1 s", sqlite_open_and_insert=round(raw, 4))


def _raw_open(tape: Path) -> None:
    connection = sqlite3.connect(tape, isolation_level=None)
    connection.execute("CREATE TABLE IF NOT EXISTS scratch (x)")
    connection.execute("INSERT INTO scratch VALUES (1)")
    connection.close()


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
