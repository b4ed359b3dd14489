"""A disk that is full for a while: `python -m tests.crash.full_disk FOLDER`, in a mount namespace.

Mounts a small file system of its own on FOLDER and fills it; prints what is wrong, line by line.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from statetape.engine.commands import Receipt
from statetape.engine.engine import Engine
from statetape.engine.verify import verify
from statetape.storage.errors import StoreFull

from tests.crash.audit import START, audited, begin, command, problems

REFUSALS = 5


def clock() -> int:
    """A clock that stands."""
    return START


def full_for_a_while(
    path: Path, fill: Callable[[Engine], None], free: Callable[[Engine], None]
) -> list[str]:
    """Send commands while the disk becomes full, and when there is space again.

    Returns what is wrong: an acknowledged command lost, a refused one that left something, a
    refusal without its name, or one that is not taken later.
    """
    engine = Engine.open(path, clock=clock)
    engine.execute_many(begin())
    fill(engine)
    acked: dict[str, int] = {}
    refused = []
    number = 0
    while len(refused) < REFUSALS:
        several = [command("s", n) for n in range(number, number + (1 if number % 3 else 4))]
        number += len(several)
        before = engine.tape.size
        answers = engine.execute_many(several)
        for one, answer in zip(several, answers, strict=True):
            if isinstance(answer, Receipt):
                acked[str(one.key)] = answer.pos
            elif isinstance(answer, StoreFull):
                refused.append(one)
            else:
                return [f"{one} was answered with {answer!r}"]
        if refused and refused[-1] is several[-1] and engine.tape.size != before:
            return ["a refused command left something"]
    found = problems(list(engine.tape.read()), acked)
    found += [str(finding) for finding in verify(engine.tape)]
    free(engine)
    for one in refused:
        receipt = engine.execute(one)
        if receipt.outcome == "duplicate":
            found.append(f"{one} was refused, and took effect")
        acked[str(one.key)] = receipt.pos
    engine.close()
    return found + audited(path, acked, clock=clock)[0]


def main(folder: Path) -> None:
    """Fill a file system of 500 KiB; the ballast leaves room for moving the WAL later."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "none", str(folder)]
    subprocess.run(mount, check=True)
    ballast = folder / "ballast"

    def fill(_: Engine) -> None:
        with ballast.open("wb") as file:
            file.write(bytes(250_000))

    for line in full_for_a_while(folder / "t.db", fill, lambda _: ballast.unlink()):
        print(line)
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
