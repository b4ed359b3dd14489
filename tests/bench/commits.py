"""Durable commands: one at a time, and many in flight from an event loop.

Raw limit: the same bytes, already encoded, inserted into a plain SQLite log of the same
durability; for commands in flight, through the same leader commit.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from statetape.engine.commands import Create, Send
from statetape.engine.committer import Committer, Job
from statetape.engine.engine import Engine

from .workload import INSTANCES, PARAMS, machine, names, raw_tape, report, seconds, workspace

ROUNDS = 7
ALONE = 250
ALONE_ROUNDS = 40
IN_FLIGHT = {64: 64 * 400, 512: 512 * 100}


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        _alone(path)
        for flying, total in IN_FLIGHT.items():
            _flying(path / str(flying), flying, total)


def _body(path: Path) -> str:
    """Return the bytes of a typical entry, for the raw log."""
    with Engine.open(path / "sample.db") as engine:
        engine.create(machine(), "i1", {"owner": "me"})
        receipt = engine.send("bench.session/i1", "note", PARAMS)
        return (engine.tape.body(receipt.pos) or b"").decode()


def _alone(path: Path) -> None:
    """Alternate short rounds, so that a change of the disk's mood meets both; count them all."""
    body = _body(path)
    raw = raw_tape(path / "raw.db")
    told = machine()
    engine = Engine.open(path / "tape.db")
    engine.execute_many([Create(told, name, {"owner": "me"}) for name in names(100)])

    def insert() -> None:
        for _ in range(ALONE):
            raw.execute("BEGIN IMMEDIATE")
            raw.execute("INSERT INTO log (body) VALUES (?)", (body,))
            raw.execute("COMMIT")

    def send() -> None:
        for i in range(ALONE):
            engine.send(f"bench.session/i{i % 100}", "note", PARAMS)

    times = [(seconds(send), seconds(insert)) for _ in range(ALONE_ROUNDS)]
    engine.close()
    raw.close()
    total = ALONE * ALONE_ROUNDS
    ours, raws = (total / sum(column) for column in zip(*times, strict=True))
    report("durable commands, one at a time", "1/s", ours, raws, ">= 80 % of raw")


def _flying(path: Path, flying: int, total: int) -> None:
    path.mkdir()
    body = _body(path)
    raw = raw_tape(path / "raw.db")

    def insert(jobs: Sequence[Job[str, int]]) -> None:
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany("INSERT INTO log (body) VALUES (?)", [(job.ask,) for job in jobs])
        raw.execute("COMMIT")
        for job in jobs:
            job.answer = 1

    committer: Committer[str, int] = Committer(insert, lambda _: 1)
    told = machine()
    engine = Engine.open(path / "tape.db")
    engine.execute_many([Create(told, name, {"owner": "me"}) for name in names()])
    rates = []
    for _ in range(ROUNDS):
        ours = asyncio.run(
            _race(flying, total, lambda i: engine.execute_async(Send(i, "note", PARAMS)))
        )
        raws = asyncio.run(_race(flying, total, lambda _: committer.submit(body)))
        rates.append((ours, raws))
    committer.close()
    engine.close()
    raw.close()
    ours, raws = (statistics.median(column) for column in zip(*rates, strict=True))
    goal = ">= 40 % of raw" if flying == 64 else ">= 30 % of raw"
    report(f"durable commands, {flying} in flight from asyncio", "1/s", ours, raws, goal)


async def _race(flying: int, total: int, send: Callable[[str], Awaitable[object]]) -> float:
    """Return commands per second with `flying` tasks that each wait for their answer."""

    async def task(number: int) -> None:
        name = f"bench.session/i{number % INSTANCES}"
        for _ in range(total // flying):
            await send(name)

    started = time.perf_counter()
    await asyncio.gather(*(task(number) for number in range(flying)))
    return total / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
