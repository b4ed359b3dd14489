"""Small machines that the engine's tests run, and the tape that they run on."""

from __future__ import annotations

from pathlib import Path

from statetape.engine.engine import Engine
from statetape.fsm.compiler import load
from statetape.fsm.machine import Machine

SECOND = 1_000_000
START = 1_600_000_000 * SECOND


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def forward(self, seconds: float) -> None:
        """Move the clock, also backwards."""
        self.now += int(seconds * SECOND)


def machine(text: str) -> Machine:
    """Return the machine in `text`."""
    return load(text, "test.yaml")


def fixed_entropy(count: int) -> bytes:
    """Random bytes that are the same every time, so that tapes are."""
    return bytes(range(count))


def open_tape(path: Path, clock: Clock | None = None, **options: object) -> Engine:
    """Open a tape whose name, key and clock are fixed."""
    return Engine.open(path, clock=clock or Clock(), entropy=fixed_entropy, **options)


COUNTER = machine("""
machine: test.counter
version: 1
title: A counter with a limit
data:
  count: int = 0
  limit: int = 3
states:
  open: {initial: true}
  full: {final: true}
events:
  add:
    params: {by: int = 1}
    require:
      - that: by > 0
        else: {code: 7, name: NOT_POSITIVE, reason: BY_NOT_POSITIVE}
    set: {count: count + by}
    go:
      - {from: open, to: full, when: count + by >= limit}
      - {from: open}
""")

LEASE = machine("""
machine: test.lease
version: 1
title: A lease that lapses unless it is renewed
chain: moon
data:
  renewed: int = 0
  until: epoch = 0
states:
  idle: {initial: true}
  held:
    timers:
      lapse: {after: 10s, event: lapsed}
      expiry: {at_height: until, event: expired, when: until > 0}
  lapsed: {final: true}
  expired: {final: true}
events:
  take:
    params: {until: epoch = 0}
    set: {until: until}
    go: [{from: idle, to: held}]
  renew:
    set: {renewed: renewed + 1}
    go: [{from: held, to: same}]
  glance:
    go: [{from: held}]
  release:
    go: [{from: held, to: idle}]
  lapsed:
    go: [{from: held, to: lapsed}]
  expired:
    go: [{from: held, to: expired}]
""")

TRANSFER = machine("""
machine: test.transfer
version: 1
title: A transfer whose last block may overtake its acceptance
data:
  sent: int = 0
states:
  new: {initial: true}
  ongoing: {}
  done: {final: true}
defer_max: 2
events:
  accept:
    go: [{from: new, to: ongoing}]
  block:
    params: {size: int}
    set: {sent: sent + size}
    otherwise: defer
    go: [{from: ongoing}]
  complete:
    otherwise: defer
    go: [{from: ongoing, to: done, when: sent > 0}]
  hello:
    otherwise: ignore
""")
