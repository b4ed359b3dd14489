"""Drive nodes: perform what their tapes say is to be done, and bring the results to their tapes.

Theory of operation.

D1  What to do next is read off the tapes: the oldest effect that its node has not acknowledged,
    ties in the order of the nodes. There is no queue and no schedule beside them.
D2  Performing is a pure function of the effect and of its node as it was at the effect's entry,
    whatever has happened since. Each command it asks for has an idempotency key made of node,
    position, number of the effect and number of the command. So an effect that is performed again
    asks for the same commands under the same keys, and those that were taken are duplicates.
D3  An effect is acknowledged after its last command is durable. A crash in between performs it
    again: at least once, and with D2 each command exactly once.
D4  What is on its way (`Carry`) may arrive, get lost, or come late: after everything else that
    moves. While something is late its effect is not acknowledged, nor are those after it on that
    tape; so a crash brings it again.

Time is the engines' clocks. A lost command is lost for good: nobody is told, as in a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..fsm import fold
from ..fsm.driving import (
    DELIVERED,
    LATE,
    Act,
    Begin,
    Carry,
    Effect,
    Look,
    Perform,
    Then,
    delivered,
)
from ..fsm.entry import decode
from ..fsm.errors import StatetapeError
from ..fsm.machine import Machine
from ..storage import projection
from . import catalogue
from .commands import Command, Create, Receipt, Send
from .engine import Engine
from .outbox import Pending

CONSUMER = "driver"
PORTION = 64
EFFECTS_MAX = 100_000
"""Effects performed in one run; machines that keep each other busy for ever are stopped there."""


class DriverEndless(StatetapeError):
    """The nodes did not come to rest: what they do leads to more to do, for ever."""

    code = "driver-endless"


class _OnItsWay(NamedTuple):
    """A command, and the effect that asked for it."""

    effect: Effect
    number: int
    act: Act


class Driver:
    """Performs the effects of some nodes. See the module's theory of operation."""

    def __init__(
        self,
        nodes: Mapping[str, Engine],
        perform: Perform,
        carry: Carry = delivered,
        machine: Callable[[str], Machine] = catalogue.machine,
    ) -> None:
        """`nodes`: name → engine; the names are part of the keys, so they must not change.

        `machine` finds the machine of an instance that is to begin.
        """
        self.nodes = nodes
        self.perform = perform
        self.carry = carry
        self.machine = machine
        self._performed = dict.fromkeys(nodes, 0)
        """By node: up to where effects were performed, acknowledged or not."""
        self._late: list[_OnItsWay] = []

    def run(self, effects_max: int = EFFECTS_MAX) -> int:
        """Perform effects until nothing is left to do; returns how many steps that took.

        Raises DriverEndless after `effects_max`, and whatever keeps a command from being stored:
        then its effect is not acknowledged, and running again goes on there.
        """
        for steps in range(effects_max):
            if not self.step():
                return steps
        raise DriverEndless(f"the nodes are still busy after {effects_max} effects")

    def step(self) -> bool:
        """Perform the effects of the oldest entry that has any; False: there is none.

        When nothing else moves, what was late arrives.
        """
        found = self._oldest()
        if found is not None:
            self._perform(*found)
        elif self._late:
            for one in self._late:
                self._deliver(one)
            self._late.clear()
        else:
            return False
        if not self._late:
            self._acknowledge()
        return True

    def _oldest(self) -> tuple[str, list[Pending]] | None:
        """Return the node and the effects of the entry that is to be performed next."""
        found: tuple[int, str, list[Pending]] | None = None
        for name, engine in self.nodes.items():
            waiting = self._waiting(name, engine)
            if not waiting:
                continue
            first = [one for one in waiting if one.pos == waiting[0].pos]
            with engine.committer.leader:
                body = next(engine.tape.bodies([first[0].pos]))
            at = decode(body).happened
            if found is None or at < found[0]:
                found = at, name, first
        return None if found is None else found[1:]

    def _waiting(self, name: str, engine: Engine) -> list[Pending]:
        """Return effects of a node that were not performed; whole entries."""
        performed = self._performed[name]
        limit = PORTION
        while True:
            page = engine.effects(CONSUMER, limit)
            waiting = [one for one in page if one.pos > performed]
            if waiting or len(page) < limit:
                return waiting
            limit *= 2  # much is late: what follows lies beyond it

    def _perform(self, node: str, effects: list[Pending]) -> None:
        engine = self.nodes[node]
        for pending in effects:
            params = {name: value for name, value in pending.effect.items() if name != "do"}
            do = pending.effect["do"]
            effect = Effect(node, pending.pos, pending.number, pending.instance, do, params)
            for number, act in enumerate(self.perform(effect, _as_of(engine, pending.pos))):
                one = _OnItsWay(effect, number, act)
                fate = self.carry(effect, act)
                if fate == DELIVERED:
                    self._deliver(one)
                elif fate == LATE:
                    self._late.append(one)
        self._performed[node] = effects[-1].pos

    def _deliver(self, one: _OnItsWay) -> Receipt:
        return self.nodes[one.act.node].execute(self._command(one))

    def _command(self, one: _OnItsWay) -> Command:
        """Return the command for an act: its key names the effect, across tapes; see D2."""
        effect, act = one.effect, one.act
        key = f"{effect.node}/{effect.pos}.{effect.number}.{one.number}"
        cause = effect.pos if effect.node == act.node else None
        if isinstance(act, Begin):
            machine = self.machine(act.machine)
            name = act.instance
            return Create(machine, name, act.params, key=key, by=effect.node, cause=cause)
        return Send(act.instance, act.event, act.params, key=key, by=effect.node, cause=cause)

    def _acknowledge(self) -> None:
        for name, engine in self.nodes.items():
            performed = self._performed[name]
            with engine.committer.leader:
                acknowledged = projection.cursor(engine.tape, CONSUMER)
            if performed > acknowledged:
                engine.acknowledge(CONSUMER, performed)


def _as_of(engine: Engine, pos: int) -> Look:
    """Return a look at a node as it was at `pos`."""

    def look(name: str) -> Then | None:
        with engine.committer.leader:
            instance = engine.world.instance(name)
            if instance is None or instance.pos > pos:
                return None
            if instance.last <= pos:
                return Then(name, instance.state, instance.data)
            world = engine.world
            stored = projection.positions(engine.tape, instance.pos)
            after = stored[-1] if stored else 0
            fresh = enumerate(world.window, world.window_base)
            stored += [at for at, owner in fresh if owner == instance.pos and at > after]
            bodies = engine.tape.bodies([at for at in stored if at <= pos])
            then = fold.fold(bodies)[instance.pos]
            return Then(name, then.state, instance.machine.thaw(then.data))

    return look
