"""`explain` on a tape of 1,000,000 entries, whatever their shape, as a command that somebody types.

Raw limit: a Python that opens the tape and reads one entry of it, and the empty one beside it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from statetape.engine import catalogue
from statetape.engine.commands import Create, Send
from statetape.engine.engine import Engine

from .workload import report, seconds, workspace

ENTRIES = 1_000_000
SMALL = 100_000
LINKED = 63
ROUNDS = 7
TAIL = 15_000
BATCH = 5000
MACHINE_FILE = Path(__file__).with_name("deal.yaml")
RAW = """
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
db.execute("SELECT body FROM entry WHERE pos = 500000").fetchall()
"""
SHAPES = {
    "one of 100,000 small instances with timers, by its key": "small50000",
    "an instance of 400,000 accepted entries": "bench.deal/long",
    "an instance of 100,000 refused entries": "bench.deal/refused",
    "an instance linked to 63 others of 3,000 refused entries": "bench.deal/hub",
    "a retrieval of five bundled machines": "pop.deal_client/retrieval",
    "a key that nobody has": "small5000x",
}


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        tape = path / "tape.db"
        _fill(tape)
        raw = _median([sys.executable, "-c", RAW, str(tape)])
        bare = _median([sys.executable, "-c", ""])
        for shape, name in SHAPES.items():
            _report(shape, tape, name, raw, bare)
        _leave_a_tail(tape)
        _report(f"the same, {TAIL} entries not projected yet", tape, "bench.deal/hub", raw, bare)


def _report(shape: str, tape: Path, name: str, raw: float, bare: float) -> None:
    command = [sys.executable, "-m", "statetape.cli.main", "explain", name, "--tape", str(tape)]
    took = _median(command)
    what = f"explain, 1,000,000 entries: {shape}"
    report(what, "s", took, raw, "< 0.5 s", bare_python=round(bare, 4))


def _median(command: list[str]) -> float:
    return statistics.median(
        seconds(lambda: subprocess.run(command, check=False, capture_output=True))
        for _ in range(ROUNDS)
    )


def _fill(tape: Path) -> None:
    """Make the tape: every shape is on it."""
    told = catalogue.machine_file(MACHINE_FILE)
    linked = [f"bench.deal/linked{number}" for number in range(LINKED)]
    small = [f"bench.deal/small{number}" for number in range(SMALL)]
    with Engine.open(tape) as engine:
        _run(engine, [Create(told, name, {"peer": "bench.deal/hub"}) for name in linked])
        _run(engine, [Create(told, "bench.deal/hub", {"deals": linked})])
        _run(engine, [Create(told, f"bench.deal/{key}") for key in ("long", "refused")])
        _retrieval(engine)
        _run(engine, [Create(told, name) for name in small])
        _run(engine, [Send("bench.deal/refused", "complete")] * 100_000)
        _run(engine, [Send(name, "complete") for name in linked] * 3000)
        _run(engine, [Send(name, "block", {"total": 1}) for name in small] * 2)
        left = ENTRIES - engine.world.size
        _run(engine, [Send("bench.deal/long", "block", {"total": n}) for n in range(left)])


def _retrieval(engine: Engine) -> None:
    """Take over a retrieval with what belongs to it, each in its first state."""
    tied = {
        "transfer": "filecoin.dt_channel_v1_11_5",
        "lane": "pop.payment_channel",
        "tx": "pop.tx",
    }
    for machine in tied.values():
        engine.create(machine, "retrieval", {}, state=catalogue.find(machine).initial)
    links = {link: f"{machine}/retrieval" for link, machine in tied.items()}
    for machine in ("pop.deal_client", "pop.deal_provider"):
        found = catalogue.find(machine)
        fields = {link: name for link, name in links.items() if link in found.fields}
        engine.create(found, "retrieval", fields, state=found.initial)


def _run(engine: Engine, commands: list[Create | Send]) -> None:
    for start in range(0, len(commands), BATCH):
        engine.execute_many(commands[start : start + BATCH])


def _leave_a_tail(tape: Path) -> None:
    """Leave entries that no flush has covered, as a node that runs or was killed does."""
    engine = Engine.open(tape)
    _run(engine, [Send("bench.deal/hub", "block", {"total": n}) for n in range(TAIL)])
    engine.abandon()


if __name__ == "__main__":
    main()
