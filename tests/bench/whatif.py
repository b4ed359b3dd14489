"""What-if replay of one instance with 10,000 entries, through the command line.

Raw limit: reading and folding the same entries once, in this process, which decides nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from statetape.engine.inspect import Inspector
from statetape.engine.whatif import Changes, what_if
from statetape.fsm.fold import fold

from .workload import filled, machine, report, seconds, workspace

ENTRIES = 10_000
INSTANCES = 20
NAME = "bench.session/i7"
ROUNDS = 5


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        tape = path / "tape.db"
        filled(tape, ENTRIES * INSTANCES, instances=INSTANCES)
        with Inspector.open(tape) as inspector:
            entries = inspector.history(NAME)
        drop = entries[len(entries) // 2].pos
        _command(tape, len(entries), drop)
        _engine(tape, len(entries), drop)


def _command(tape: Path, entries: int, drop: int) -> None:
    words = [sys.executable, "-m", "statetape.cli.main", "replay", NAME, "--drop", str(drop)]

    def ours() -> None:
        done = subprocess.run([*words, "--tape", str(tape)], check=False, capture_output=True)
        if done.returncode != 1 or b"first difference of 4999" not in done.stdout:
            raise AssertionError(done)

    took = statistics.median(seconds(ours) for _ in range(ROUNDS))
    help_words = [*words[:3], "--help"]
    start = statistics.median(
        seconds(lambda: subprocess.run(help_words, check=True, capture_output=True))
        for _ in range(ROUNDS)
    )
    what = f"what-if of an instance with {entries:,} entries, through the command line"
    report(what, "s", took, None, "< 1 s", help_alone=round(start, 4))


def _engine(tape: Path, entries: int, drop: int) -> None:
    with Inspector.open(tape) as inspector:
        pos = inspector.world.instance(NAME).pos
        other = Changes(machine=machine())
        rates = [
            (
                seconds(lambda: fold(inspector.bodies(pos))),
                seconds(lambda: what_if(inspector, NAME, Changes(drop=(drop,)))),
                seconds(lambda: what_if(inspector, NAME, other)),
            )
            for _ in range(ROUNDS)
        ]
    raw, dropped, decided = (entries / statistics.median(one) for one in zip(*rates, strict=True))
    report("what-if, a command dropped", "1/s", dropped, raw, ">= 5 % of raw")
    report("what-if, with another machine", "1/s", decided, raw, ">= 5 % of raw")


if __name__ == "__main__":
    main()
