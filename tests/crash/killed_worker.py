"""Children that are killed at work: `python -m tests.crash.killed_worker`.

Reads a line of JSON for each child to be made ({"path", "sender", "zero_ns"}), forks it, says
`pid N`, and when it is dead `ended STATUS`. A child sends commands from threads and from an event
loop, acknowledges each with one os.write of `KEY POSITION` after its receipt, and now and then
closes the tape and opens it again. What takes long, Python and its imports, happens once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import traceback
from pathlib import Path

from statetape.engine import engine as engine_module
from statetape.engine.commands import Receipt
from statetape.engine.engine import Engine
from statetape.storage import tape as tape_module

from tests.crash.audit import FastClock, begin, command

THREADS = 3
ROUND = 20
"""Commands of each thread between two openings of the tape."""
ROUNDS = 40


def ack(receipt: Receipt, key: str | None) -> None:
    """Tell the parent, in one piece."""
    os.write(1, f"{key} {receipt.pos}\n".encode())


def run_thread(engine: Engine, sender: str, first: int) -> None:
    """Send some commands one by one, the last few together."""
    for number in range(first, first + ROUND - 4):
        one = command(sender, number)
        ack(engine.execute(one), one.key)
    several = [command(sender, number) for number in range(first + ROUND - 4, first + ROUND)]
    for one, answer in zip(several, engine.execute_many(several), strict=True):
        if not isinstance(answer, Receipt):
            raise answer
        ack(answer, one.key)


async def run_loop(engine: Engine, sender: str, first: int) -> None:
    """Send commands with several in flight."""

    async def send(number: int) -> None:
        one = command(sender, number)
        ack(await engine.execute_async(one), one.key)

    for start in range(first, first + ROUND, 5):
        await asyncio.gather(*(send(number) for number in range(start, start + 5)))


def child(path: Path, sender: str, zero_ns: int) -> None:
    """Work until killed, or for ROUNDS."""
    engine_module.FLUSH_ENTRIES = 40
    tape_module.WAL_BYTES_MAX = 100_000
    for number in range(ROUNDS):
        with Engine.open(path, clock=FastClock(zero_ns)) as engine:
            engine.anchor_every_s = 0.005
            engine.execute_many(begin())
            threads = [
                threading.Thread(target=run_thread, args=(engine, f"{sender}{i}", number * ROUND))
                for i in range(THREADS)
            ]
            for thread in threads:
                thread.start()
            asyncio.run(run_loop(engine, f"{sender}loop", number * ROUND))
            for thread in threads:
                thread.join()


def main() -> None:
    """Make one child for each line."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(**json.loads(line))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.write(1, f"pid {pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    main()
