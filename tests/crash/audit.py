"""What must hold of a tape after a crash, whatever kind of crash it was.

The machine, the commands and the clock of every campaign are here too, so that whoever audits a
tape can send its commands again.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from statetape.engine.commands import Create, Receipt, Send
from statetape.engine.engine import Engine
from statetape.engine.replay import Replayer
from statetape.engine.verify import verify
from statetape.fsm.compiler import load
from statetape.fsm.errors import StatetapeError

ROOT = Path(__file__).resolve().parents[2]
START = 1_600_000_000_000_000
INSTANCES = 4

PULSE = load(
    """
machine: tests.pulse
version: 1
title: It counts what it is told and its own heartbeats, and tells its neighbour of every fourth
data:
  count: int = 0
  beats: int = 0
  told: int = 0
  neighbour: text
create: {params: {neighbour: text = ""}, set: {neighbour: neighbour}}
states:
  open:
    initial: true
    timers:
      beat: {after: 1s, event: beat}
events:
  add:
    params: {by: int = 1, text: text = ''}
    require:
      - that: by > 0
        else: {reason: NOT_POSITIVE}
    set: {count: count + by}
    effects:
      - {raise: told, to: neighbour, when: by == 4 and neighbour != "", with: {by: by}}
    go: [{from: open}]
  told:
    params: {by: int}
    set: {told: told + by}
    go: [{from: open}]
  beat:
    set: {beats: beats + 1}
    go: [{from: open, to: same}]
""",
    "pulse.yaml",
)


def seeded(name: str) -> Random:
    """A random source whose seed is STATETAPE_SEED (default 1), printed for a failing test."""
    seed = os.environ.get("STATETAPE_SEED", "1")
    print(f"STATETAPE_SEED={seed}")
    return Random(f"{seed} {name}")


class FastClock:
    """A clock that all processes of a campaign share, and that runs 500 times as fast as time.

    So timers of a second fire all the while.
    """

    def __init__(self, zero_ns: int) -> None:
        self.zero_ns = zero_ns

    def __call__(self) -> int:
        return START + (time.time_ns() - self.zero_ns) // 2


def name(instance: int) -> str:
    """The name of one of the campaign's instances."""
    return f"tests.pulse/{instance}"


def begin() -> list[Create]:
    """Commands that create the instances; they can be repeated."""
    return [
        Create(PULSE, name(i), {"neighbour": name((i + 1) % INSTANCES)}, key="begin")
        for i in range(INSTANCES)
    ]


def command(sender: str, number: int) -> Send:
    """The command `number` of a sender: its key says which it is, so that it can be sent again.

    Every seventh is refused, every eleventh is large.
    """
    params: dict[str, Any] = {"by": -1 if number % 7 == 3 else 1 + number % 5}
    if number % 11 == 5:
        params["text"] = "x" * 9000
    return Send(name(number % INSTANCES), "add", params, key=f"{sender}-{number}")


def again(key: str) -> Send:
    """The command that has this key."""
    sender, _, number = key.rpartition("-")
    return command(sender, int(number))


def entries(bodies: Iterable[bytes]) -> list[dict[str, Any]]:
    """Entries as JSON."""
    return [json.loads(body) for body in bodies]


def problems(bodies: list[bytes], acked: Mapping[str, int]) -> list[str]:
    """What is wrong with a history in which `acked` (key → position) were acknowledged."""
    found = []
    stored = entries(bodies)
    if [entry["pos"] for entry in stored] != list(range(1, len(stored) + 1)):
        found.append("positions are not dense")
    per_instance: Counter[int] = Counter()
    for entry in stored:
        owner = entry.get("instance") or (entry["pos"] if "create" in entry else 0)
        if "seq" in entry:
            per_instance[owner] += 1
            if entry["seq"] != per_instance[owner]:
                found.append(f"entry {entry['pos']} has seq {entry['seq']}")
    at = {entry["key"]: entry["pos"] for entry in stored if "-" in entry.get("key", "")}
    taken = Counter(entry["key"] for entry in stored if "-" in entry.get("key", ""))
    raising = {entry["pos"]: len(entry["raises"]) for entry in stored if "raises" in entry}
    raised = Counter(entry["raised"] for entry in stored if "raised" in entry)
    if raising != raised:
        lost = sorted(set(raising.items()) ^ set(raised.items()))[:5]
        found.append(f"handed over and delivered differ: {lost}")
    found += [f"{key} took effect {count} times" for key, count in taken.items() if count > 1]
    found += [
        f"{key} was acknowledged at {pos}, and is at {at.get(key)}"
        for key, pos in acked.items()
        if at.get(key) != pos
    ]
    if not found:
        difference = Replayer().run(bodies).difference
        if difference is not None:
            found.append(f"replay differs at {difference.pos}: {difference.why}")
    return found


def audited(
    path: Path, acked: Mapping[str, int], retry: Iterable[str] = (), **options: Any
) -> tuple[list[str], list[bytes]]:
    """Open the tape at `path` after a crash; return what is wrong with it, and its entries.

    Commands whose keys are in `retry` are sent again, and must take effect once in all. A refusal
    to open is a problem: an honest crash gives no reason for one.
    """
    try:
        engine = Engine.open(path, **options)
    except StatetapeError as error:
        return [f"{error.code}: {error}"], []
    with engine:
        bodies = list(engine.tape.read())
        found = problems(bodies, acked)
        found += [f"{finding.place}: {finding.message}" for finding in verify(engine.tape)]
        present = {entry["key"] for entry in entries(bodies) if "key" in entry}
        keys = list(retry)
        for key, answer in zip(keys, engine.execute_many([again(k) for k in keys]), strict=True):
            if not isinstance(answer, Receipt):
                found.append(f"{key} was answered with {answer!r}")
            elif (answer.outcome == "duplicate") != (key in present):
                found.append(f"{key} was answered {answer.outcome}, present: {key in present}")
        after = list(engine.tape.read())
        if after[: len(bodies)] != bodies:
            found.append("history changed")
        found += problems(after, acked)
        engine.flush()
        found += [f"after: {finding.place}: {finding.message}" for finding in verify(engine.tape)]
    return found, bodies
