"""kill -9 at random moments: nothing acknowledged is lost, nothing takes effect twice.

Promises 1 and 4.

STATETAPE_CRASH_TRIALS sets how many processes are killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.crash.audit import ROOT, FastClock, audited, problems, seeded

TRIALS = int(os.environ.get("STATETAPE_CRASH_TRIALS", "40"))
TRIALS_PER_TAPE = 4
ACKS_MAX = 200


class Nursery:
    """Children at work, one after the other, and their acknowledgements."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.killed_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.buffer = b""

    def lines(self, until: float) -> Iterator[str]:
        """Yield what the child says until a moment of the monotonic clock."""
        while True:
            line, newline, rest = self.buffer.partition(b"\n")
            if newline:
                self.buffer = rest
                yield line.decode()
                continue
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return
            read = os.read(self.process.stdout.fileno(), 65_536)
            assert read, "the nursery died"
            self.buffer += read

    def killed(self, rng: Random, path: Path, sender: str, zero_ns: int) -> dict[str, int] | None:
        """Let a child work and kill it; return what it acknowledged (None: it was done before).

        After a random number of acknowledgements, and then a little later: the moment falls
        anywhere in a commit.
        """
        wanted = rng.choice([0, rng.randrange(ACKS_MAX)])
        delay = rng.random() * rng.choice([0.0, 0.001, 0.01, 0.05])
        request = {"path": str(path), "sender": sender, "zero_ns": zero_ns}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        pid = 0
        acked: dict[str, int] = {}
        deadline = time.monotonic() + 60
        for line in self.lines(deadline):
            first, second = line.split()
            if first == "pid":
                pid = int(second)
            elif first == "ended":
                assert int(second) == signal.SIGKILL, f"the child ended by itself: {second}"
                return acked
            else:
                acked[first] = int(second)
            if pid and len(acked) >= wanted:
                break
        for line in self.lines(time.monotonic() + delay):
            first, second = line.split()
            assert first != "ended", f"the child ended by itself: {second}"
            acked[first] = int(second)
        os.kill(pid, signal.SIGKILL)
        for line in self.lines(deadline):
            first, second = line.split()
            if first == "ended":
                return acked
            acked[first] = int(second)
        raise AssertionError("the nursery says nothing more")

    def close(self) -> None:
        """End the nursery, which has no child now."""
        self.process.communicate()


@pytest.fixture(scope="module")
def nursery():
    """One for all trials: starting Python would take longer than the trials."""
    made = Nursery()
    yield made
    made.close()


def in_flight(acked: dict[str, int], trial: str) -> list[str]:
    """Keys of the commands that may have been on their way when the process died."""
    senders = [f"{trial}t{i}" for i in ("0", "1", "2", "loop")]
    latest = dict.fromkeys(senders, -1)
    for key in acked:
        sender, _, number = key.rpartition("-")
        if sender in latest:
            latest[sender] = max(latest[sender], int(number))
    return [
        f"{sender}-{number}"
        for sender, newest in latest.items()
        for number in range(max(0, newest - 5), newest + 10)
    ]


def test_nothing_acknowledged_is_lost_and_nothing_takes_effect_twice(nursery, tmp_path):
    """Threads and an event loop, flushes, anchors, moving the WAL, closing and opening again."""
    rng = seeded("kill")
    zero_ns = time.time_ns()
    clock = FastClock(zero_ns)
    acked: dict[str, int] = {}
    totals = {"trials": 0, "acknowledged": 0, "stored and not acknowledged": 0, "before work": 0}
    path = tmp_path / "none"
    for trial in range(TRIALS):
        if trial % TRIALS_PER_TAPE == 0:
            path = tmp_path / f"{trial}.db"
            acked = {}
        fresh = nursery.killed(rng, path, f"{trial}t", zero_ns)
        assert fresh is not None
        acked |= fresh
        totals["trials"] += 1
        totals["acknowledged"] += len(fresh)
        if not path.exists():
            assert not fresh
            totals["before work"] += 1
            continue
        retry = in_flight(acked, str(trial))
        found, bodies = audited(path, acked, retry, clock=clock)
        keys = {json.loads(body).get("key", "") for body in bodies}
        extra = {key for key in keys if key.startswith(f"{trial}t")} - fresh.keys()
        totals["stored and not acknowledged"] += len(extra)
        assert not found, f"trial {trial}: {found[:5]}"
    print(totals)

    assert totals["acknowledged"] > 10 * TRIALS
    assert totals["stored and not acknowledged"]


def test_the_audit_notices_a_lost_a_doubled_and_a_changed_entry(nursery, tmp_path):
    """Negative control: with any one of them missing or more than once, it does not pass."""
    rng = seeded("control")
    zero_ns = time.time_ns()
    path = tmp_path / "t.db"
    acked: dict[str, int] = {}
    while len(acked) < 20:
        acked |= nursery.killed(rng, path, f"{len(acked)}t", zero_ns) or {}
    found, bodies = audited(path, acked, clock=FastClock(zero_ns))
    assert not found
    last = max(acked.values())

    assert problems(bodies[: last - 1], acked)
    assert problems([*bodies[: last - 1], *bodies[last:]], acked)
    assert problems([*bodies, bodies[last - 1]], acked)
    assert problems(bodies, {**acked, "never-1": 5})
    changed = bodies[last - 1].replace(b'"by":', b'"by": ')
    assert changed != bodies[last - 1]
    assert problems([*bodies[: last - 1], changed, *bodies[last:]], acked)
    handed = next(body for body in bodies if b'"raised":' in body)
    forged = handed.replace(b'"raised":', b'"raised":1')
    assert "handed over" in problems([forged if b == handed else b for b in bodies], acked)[0]
