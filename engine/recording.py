"""Recording: the entry of a decision is staged, and the instance follows it.

A decision becomes an entry at the next position; the instance it is about moves with it, its
timers are armed, what it raises is put behind everything that waits. Nothing is stored here: the
engine stores what was staged, or rolls the world back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..fsm.decide import ACCEPTED, DEFERRED, PARKED, REJECTED, Decision, Raised, bind
from ..fsm.entry import SPEC, Entry, encode
from ..fsm.fold import Folded
from ..fsm.machine import Event, Machine
from ..fsm.moments import TIME_MAX_US
from ..fsm.types import Json, ValueInvalid, as_json, json_int
from .commands import Receipt
from .world import Instance, World

LINKS_DEEP_MAX = 16
LINKS_MAX = 1000


class Chain:
    """The links that one command led to: how many more there may be."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = LINKS_MAX


class Link(NamedTuple):
    """An event on its way: raised by the entry at `pos`, when, for whom, how deep in its chain."""

    pos: int
    at: int
    instance: str
    raised: Raised
    depth: int
    chain: Chain


class Recorder:
    """Stages entries; see the module's docstring."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.staged: list[bytes] = []
        self.waiting: deque[Link] = deque()
        """Raised events that were not delivered yet."""
        self._link: Link | None = None
        """What is being delivered."""

    def forget(self) -> None:
        """Drop what was staged and what waits for delivery: it was stored, or never happened."""
        self.staged.clear()
        self.waiting.clear()

    def _begin(self, machine: Machine, entry: Entry, decision: Decision) -> Receipt:
        """Stage a creation; without an instance if it was refused."""
        world = self.world
        name = entry.create or ""
        if decision.outcome != ACCEPTED:
            entry.outcome = decision.outcome
            entry.reason = decision.reason
            pos = self._stage(entry, 0)
            return Receipt(decision.outcome, pos, name, None, None, decision.reason)
        entry.seq = 1
        entry.set = decision.patch
        entry.to = decision.to
        entry.effects = decision.effects
        entry.raises = _raises(decision, name)
        entry.timers = _timers(decision)
        pos = self._stage(entry, world.size + 1)
        folded = Folded(pos, name, entry.spec or 0, decision.to or "", {})
        instance = Instance(folded, machine)
        instance.data = decision.data or {}
        world.add(instance)
        self._arm(instance, decision, entry, pos)
        if decision.raises:
            self._hand_over(instance, entry, decision.raises)
        return Receipt(ACCEPTED, pos, name, 1, instance.state, None, decision.effects)

    def _put_machine(self, machine: Machine, now: int) -> int:
        """Return where the machine's text stands on the tape, putting it there if need be."""
        known = self.world.specs.get(machine.digest)
        if known is not None:
            return known
        pos = self._stage(machine_entry(machine, now), 0)
        self.world.add_machine(pos, machine)
        return pos

    def _record(self, instance: Instance, entry: Entry, decision: Decision) -> Receipt:
        """Stage the entry of a decision about `instance`, and let the instance follow it."""
        world = self.world
        outcome = decision.outcome
        if outcome == DEFERRED and len(instance.parked) >= instance.machine.defer_max:
            reason = {"kind": "deferral_full", "parked": len(instance.parked)}
            decision = Decision(REJECTED, decision.params, reason=reason)
            outcome = REJECTED
        elif outcome == DEFERRED and instance.machine.defer_for_us is not None:
            until = entry.at + max(instance.machine.defer_for_us, 1)
            expiry = ("at", min(until, TIME_MAX_US))
            decision.timers = {f"{PARKED}{world.size + 1}": expiry}
            entry.timers = _timers(decision)
        seq = entry.seq = instance.seq + 1
        if outcome == ACCEPTED:
            if decision.to is not None:
                entry.from_ = instance.state
                entry.to = decision.to
            entry.set = decision.patch
            entry.effects = decision.effects
            entry.timers = _timers(decision)
            if decision.raises:
                entry.raises = _raises(decision, instance.name)
        else:
            entry.outcome = outcome
            entry.reason = decision.reason
            if outcome == REJECTED:
                entry.from_ = instance.state
        pos = self._stage(entry, instance.pos)
        world.touch(instance)
        instance.seq = seq
        instance.last = pos
        if entry.offer is not None:
            instance.parked = tuple(one for one in instance.parked if one[0] != entry.offer)
        if outcome == ACCEPTED:
            if decision.data is not None:
                instance.data = decision.data
            if decision.to is not None:
                instance.state = decision.to
                instance.refused = None
            if decision.raises:
                self._hand_over(instance, entry, decision.raises)
        elif outcome == REJECTED:
            instance.refused = (pos, entry.event or "")
        elif outcome == DEFERRED:
            instance.parked = (*instance.parked, (pos, entry.event or "", decision.params))
        if decision.timers is not None or entry.timer is not None or entry.offer is not None:
            self._arm(instance, decision, entry, pos)
        return Receipt(
            outcome, pos, instance.name, seq, instance.state, decision.reason, decision.effects
        )

    def _hand_over(self, instance: Instance, entry: Entry, raises: list[Raised]) -> None:
        """Put what an entry raises behind everything that waits."""
        link = self._link
        depth, chain = (link.depth + 1, link.chain) if link else (1, Chain())
        for one in raises:
            to = one.to or instance.name
            self.waiting.append(Link(entry.pos, entry.at, to, one, depth, chain))

    def _arm(self, instance: Instance, decision: Decision, entry: Entry, pos: int) -> None:
        """Let the instance's timers follow a decision."""
        timers = instance.timers.copy()
        if entry.timer is not None:
            timers.pop(entry.timer, None)
        if entry.offer is not None:
            timers.pop(f"{PARKED}{entry.offer}", None)
        for name, deadline in (decision.timers or {}).items():
            if deadline is None:
                timers.pop(name, None)
            else:
                timers[name] = armed = (*deadline, pos)
                self.world.arm(instance, name, armed)
        instance.timers = timers

    def _stage(self, entry: Entry, owner: int) -> int:
        """Encode the entry at the next position; raises EntryTooLarge before anything changed."""
        entry.pos = self.world.size + 1
        self.staged.append(encode(entry))
        if entry.key is not None:
            self.world.take_key(entry)
        return self.world.grow(owner)

    def _body(self, pos: int) -> bytes:
        """Return an entry that is stored or only staged."""
        index = pos - (self.world.size - len(self.staged)) - 1
        return self.staged[index] if index >= 0 else self.world.source.body(pos)


def machine_entry(machine: Machine, now: int) -> Entry:
    """Return the entry that puts a machine's text on the tape; its position is still open."""
    return Entry(
        at=now,
        chain=machine.chain,
        digest=machine.digest,
        functions=machine.functions_digest or None,
        machine=machine.name,
        tape=SPEC,
        text=machine.text,
        version=machine.version,
    )


def stored(event: Event | None, params: Mapping[str, Any]) -> Json:
    """Return parameters as an entry stores them: typed where they fit the event, else as given."""
    if event is not None:
        with suppress(ValueInvalid):
            return bind(event, params)[1]
    return as_json(dict(params), "params") or None


def _raises(decision: Decision, own: str) -> list[dict[str, str]] | None:
    """Return an entry's `raises` from a decision's; `own` is the name of the raising instance."""
    if not decision.raises:
        return None
    return [{"event": one.event, "to": one.to or own} for one in decision.raises]


def _timers(decision: Decision) -> dict[str, dict[str, int | str] | None] | None:
    """Return an entry's `timers` from a decision's."""
    if decision.timers is None:
        return None
    return {
        name: None if deadline is None else {deadline[0]: json_int(deadline[1])}
        for name, deadline in decision.timers.items()
    }
