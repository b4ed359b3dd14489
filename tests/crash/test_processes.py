"""Several processes on one tape at once: as if there were one, and nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.engine.verify import verify
from statetape.storage.files import Files
from statetape.storage.reader import Reader

from tests.crash.audit import INSTANCES, PULSE, ROOT, FastClock, audited, begin, command, name

PROCESSES = 3
COMMANDS = int(os.environ.get("STATETAPE_PROCESS_COMMANDS", "30"))


def start(path: Path, sender: str, zero_ns: int, *more: str) -> subprocess.Popen[str]:
    """Start one process; it waits for the others."""
    argv = [sys.executable, "-m", "tests.crash.parallel_worker", str(path), sender]
    return subprocess.Popen(
        [*argv, str(COMMANDS), str(zero_ns), *more],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(children: list[subprocess.Popen[str]]) -> dict[str, int]:
    """Let them run together; return what they were told of their commands."""
    for child in children:
        assert child.stdout.readline() == "ready\n", child.communicate()[1]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    acked: dict[str, int] = {}
    for child in children:
        out, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        for line in out.splitlines():
            key, pos = line.split()
            assert key not in acked
            acked[key] = int(pos)
    return acked


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A tape that several processes wrote at once, the last one without ever flushing."""
    path = tmp_path_factory.mktemp("processes") / "t.db"
    zero_ns = time.time_ns()
    with Engine.open(path, clock=FastClock(zero_ns)) as engine:
        engine.execute_many(begin())
    with ExitStack() as stack:
        children = []
        for number in range(PROCESSES):
            more = ["--hold-back"] if number == 0 else []
            children.append(stack.enter_context(start(path, f"p{number}", zero_ns, *more)))
            stack.callback(children[-1].kill)
        acked = finish(children)
    return path, acked, FastClock(zero_ns)


def test_every_acknowledged_command_is_there_once_and_in_order(shared):
    """Dense positions, dense numbers in each instance, replay and verification clean."""
    path, acked, clock = shared
    found, bodies = audited(path, acked, clock=clock)

    assert not found
    assert len(acked) >= PROCESSES * 4 * COMMANDS
    stored = [json.loads(body) for body in bodies]
    assert sum("-" in entry.get("key", "") for entry in stored) == len(acked) + PROCESSES


def test_timers_of_all_processes_fired_once(shared):
    """Each beat has its own deadline, and was armed by the beat before it."""
    path, _, _ = shared
    with Reader.open(Files.of(path)) as reader:
        beats = [entry for entry in map(json.loads, reader.read()) if entry.get("timer")]
    per_instance = Counter(entry["instance"] for entry in beats)

    assert len(per_instance) >= INSTANCES
    assert len({(entry["instance"], entry["at"]) for entry in beats}) == len(beats)


def test_projections_are_right_after_all_of_them_flushed(shared):
    """Whoever projected which part of it."""
    path, acked, _ = shared
    with Inspector.open(path) as inspector:
        assert verify(inspector.reader) == []
        for instance in range(INSTANCES):
            shown = inspector.show(name(instance))
            history = inspector.history(name(instance))
            told = [
                command(*split(key)) for key in acked if int(split(key)[1]) % INSTANCES == instance
            ]
            counted = sum(one.params["by"] for one in told if one.params["by"] > 0)
            assert shown.folded.data["count"] == counted
            assert len(history) == shown.folded.seq


def split(key: str) -> tuple[str, int]:
    """Sender and number of a key."""
    sender, _, number = key.rpartition("-")
    return sender, int(number)


def test_the_processes_really_wrote_by_turns(shared):
    """Negative control: had one run after the other, nothing of this would be tested."""
    path, _, _ = shared
    with Reader.open(Files.of(path)) as reader:
        keys = [json.loads(body).get("key", "") for body in reader.read()]
    senders = [key[:2] for key in keys if key.startswith("p")]
    changes = sum(one != other for one, other in pairwise(senders))

    assert changes > 2 * PROCESSES


def test_two_engines_in_one_process_take_turns(tmp_path):
    """Neither decides from a state that the other has changed; both project; retries are known."""
    path = tmp_path / "t.db"
    clock = FastClock(time.time_ns())
    with Engine.open(path, clock=clock) as one, Engine.open(path, clock=clock) as other:
        one.create(PULSE, "0")
        engines = [one, other]
        for number in range(0, 200, INSTANCES):
            engine, following = engines[number // 4 % 2], engines[number // 4 % 2 - 1]
            receipt = engine.execute(command("s", number))
            again = following.execute(command("s", number))
            assert (again.outcome, again.pos) == ("duplicate", receipt.pos)
            if number % 24 == 0:
                following.flush()
            if number % 40 == 0:
                engine.anchor()
        assert list(one.tape.read()) == list(other.tape.read())
        one.flush()
        assert verify(one.tape) == []
        other.flush()
        assert verify(other.tape) == []
    found, _ = audited(path, {}, clock=clock)
    assert not found


def test_an_instance_created_elsewhere_is_not_created_again(tmp_path):
    """Two engines, one name: the second is told that it exists."""
    path = tmp_path / "t.db"
    clock = FastClock(time.time_ns())
    with Engine.open(path, clock=clock) as one, Engine.open(path, clock=clock) as other:
        assert one.create(PULSE, "x").outcome == "accepted"
        refused = other.create(PULSE, "x")
        assert refused.outcome == "rejected"
        assert refused.reason["kind"] == "already_exists"
