"""Random lives of a tape that is collected from: jobs that tell one another, end, and go."""

from __future__ import annotations

from pathlib import Path
from random import Random

from statetape.engine import collection
from statetape.engine.commands import Command, Create, Hold, Observe, Send
from statetape.engine.engine import Engine
from statetape.storage.merkle import leaf_hashes

from .machines import Clock, machine, open_tape

HOUR = 3600

JOB = machine("""
machine: tests.job
version: 1
title: A job that tells its partner
chain: chain
data:
  note: text
  partner: text = ""
  count: uint = 0
  heard: uint = 0
  until: epoch = 0
create:
  params: {note: text, partner: text = ""}
  set: {note: note, partner: partner}
links:
  partner: partner
states:
  open:
    initial: true
    timers:
      late: {after: 20h, event: expire}
  waiting:
    timers:
      rise: {at_height: until, event: wake}
  done: {final: true, retain: 2h}
  kept: {final: true}
events:
  add:
    params: {by: uint = 1}
    require:
      - that: by > 0
        else: {reason: NOTHING}
    set: {count: count + by}
    effects:
      - {raise: told, to: partner, when: partner != ""}
      - {do: print, with: {count: count}}
    go: [{from: open}]
  told:
    set: {heard: heard + 1}
    effects:
      - {raise: thanks, to: partner, when: partner != "" and heard % 3 == 0}
    go: [{from: [open, waiting]}]
  thanks:
    otherwise: defer
    go: [{from: waiting}]
  rest:
    params: {until: epoch}
    set: {until: until}
    go: [{from: open, to: waiting}]
  wake:
    go: [{from: waiting, to: open}]
  finish:
    effects:
      - {raise: told, to: partner, when: partner != ""}
    go: [{from: [open, waiting], to: done}]
  keep:
    go: [{from: open, to: kept}]
  expire:
    go: [{from: open, to: done}]
""")


class Life:
    """A tape that random commands are sent to, and everything that was ever on it."""

    def __init__(self, path: Path, rng: Random) -> None:
        self.path = path
        self.rng = rng
        self.clock = Clock()
        self.engine = self.open()
        self.names: list[str] = []
        self.height = 1
        self.bodies: list[bytes] = []
        """The bytes of all entries, those that went too."""
        self.checkpoints: dict[int, bytes] = {}
        """Size → root of everything that was ever anchored."""

    def open(self) -> Engine:
        """Open the tape."""
        return open_tape(self.path, self.clock, synchronous="OFF")

    def reopen(self) -> None:
        """Close the tape and open it again."""
        self.engine.close()
        self.engine = self.open()

    def learn(self) -> None:
        """Take down what was appended."""
        self.bodies += self.engine.tape.read(len(self.bodies) + 1)

    @property
    def leaves(self) -> list[bytes]:
        """The leaf hashes of all entries."""
        return leaf_hashes(self.bodies)

    def command(self) -> Command:
        """Return something to ask of the tape."""
        rng = self.rng
        if not self.names or rng.random() < 0.12:
            name = f"tests.job/{len(self.names)}"
            self.names.append(name)
            partner = f"tests.job/{rng.randrange(len(self.names) + 2)}"
            params = {"note": f"note of {name}", "partner": rng.choice([partner, partner, ""])}
            return Create(JOB, name, params, key=rng.choice([None, "new"]))
        if rng.random() < 0.05:  # refused, or answered: it is there already
            return Create(JOB, rng.choice(self.names), {"note": "again"}, key=rng.choice("xyz"))
        name = rng.choice(self.names[-12:] if rng.random() < 0.9 else self.names)
        event, params = rng.choice(
            [
                *[("add", {"by": rng.randrange(4)})] * 6,
                ("rest", {"until": self.height + rng.randrange(1, 4)}),
                ("finish", {}),
                ("finish", {}),
                ("keep", {}) if rng.random() < 0.2 else ("wake", {}),
                ("nonsense", {"x": 1}),
            ]
        )
        key = rng.choice([None, None, f"k{rng.randrange(50)}"])
        return Send(name, event, params, key=key)

    def step(self) -> None:
        """Do something."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.06:
            self.clock.forward(rng.randrange(2 * HOUR))
            self.engine.tick()
        elif kind < 0.12:
            self.height += rng.randrange(3)
            self.engine.execute_many([Observe("chain", self.height)])
        elif kind < 0.14:
            name = rng.choice(self.names or ["tests.job/0"])
            release = rng.random() < 0.5
            self.engine.execute_many([Hold(name, "a dispute", release)])
        elif kind < 0.15:
            self.engine.anchor()
        else:
            self.engine.execute_many([self.command() for _ in range(rng.randrange(1, 6))])
        self.learn()

    def anchor(self) -> None:
        """Sign a checkpoint, and take it down."""
        self.engine.anchor()
        self.learn()
        self.checkpoints[self.engine.tape.size] = self.engine.tape.edge.root()

    def collect(self, *, shrinking: bool = False) -> collection.Collection:
        """Collect what may go."""
        self.anchor()
        found = collection.collect(
            self.engine,
            shrinking=shrinking,
            uncosigned=True,
            batch_entries=self.rng.choice([1, 50, 20_000]),
        )
        self.learn()
        return found
