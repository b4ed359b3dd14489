"""One of several processes that write to a tape at once.

    python -m tests.crash.parallel_worker PATH SENDER COMMANDS ZERO_NS

Opens the tape, says `ready`, waits for a line, and sends its commands: one by one, many together,
from threads and from an event loop, to instances that all share and to one of its own. Prints
`KEY POSITION` for each. `--hold-back` leaves the projections to the others.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from statetape.engine import engine as engine_module
from statetape.engine.commands import Command, Receipt
from statetape.engine.engine import Engine
from statetape.storage import tape as tape_module

from tests.crash.audit import PULSE, FastClock, command


def told(one: Command, answer: object) -> None:
    """Print what became of a command, in one piece."""
    if not isinstance(answer, Receipt):
        raise SystemExit(f"{one} was answered with {answer!r}")
    os.write(1, f"{one.key} {answer.pos}\n".encode())


def main(path: Path, sender: str, count: int, zero_ns: int, *, hold_back: bool) -> None:
    """Send `count` commands in each of four ways."""
    engine_module.FLUSH_ENTRIES = 10**9 if hold_back else 25
    tape_module.WAL_BYTES_MAX = 60_000
    engine = Engine.open(path, clock=FastClock(zero_ns), timeout_s=60)
    engine.anchor_every_s = 0.002
    print("ready", flush=True)
    sys.stdin.readline()
    engine.create(PULSE, sender, key=f"{sender}-0")

    def alone(first: int) -> None:
        for number in range(first, first + count):
            one = command(sender, number)
            told(one, engine.execute(one))

    async def in_flight(first: int) -> None:
        for start in range(first, first + count, 7):
            several = [command(sender, number) for number in range(start, start + 7)]
            answers = await asyncio.gather(*(engine.execute_async(one) for one in several))
            for one, answer in zip(several, answers, strict=True):
                told(one, answer)

    alone(1000)
    for start in range(2000, 2000 + count, 10):
        several = [command(sender, number) for number in range(start, start + 10)]
        for one, answer in zip(several, engine.execute_many(several), strict=True):
            told(one, answer)
        engine.observe("chain", start)
    threads = [threading.Thread(target=alone, args=(first,)) for first in (3000, 4000)]
    for thread in threads:
        thread.start()
    asyncio.run(in_flight(5000))
    for thread in threads:
        thread.join()
    engine.close()


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2],
        int(sys.argv[3]),
        int(sys.argv[4]),
        hold_back="--hold-back" in sys.argv,
    )
