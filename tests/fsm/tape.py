"""A tape in memory: decisions as canonical entries, without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statetape.fsm.decide import ACCEPTED, Decision, Moment, create, decide
from statetape.fsm.entry import Entry, check_canonical, decode, encode
from statetape.fsm.fold import Folded, fold
from statetape.fsm.machine import Machine
from statetape.fsm.types import json_int

KEY = "channel"


class Tape:
    """One instance of a machine: its typed data as decided, and the entries that were written."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.bodies: list[bytes] = []
        self.state = machine.initial
        self.data: dict[str, Any] = {}
        self.timers: dict[str, tuple[str, int, int]] = {}
        self.exists = False

    def begin(self, params: Mapping[str, Any], now: int = 0, height: int | None = None) -> Decision:
        """Create the instance, and write the entry if that was accepted."""
        at = Moment(now, height, KEY, self.machine.initial, self.machine.chain)
        decision = create(self.machine, params, at)
        if decision.outcome == ACCEPTED:
            entry = Entry(at=now, create=f"{self.machine.name}/{KEY}", seq=1, spec=1)
            self._write(entry, decision)
            self.exists = True
        return decision

    def send(
        self,
        event: str,
        params: Mapping[str, Any],
        now: int = 0,
        height: int | None = None,
        firing: str | None = None,
    ) -> Decision:
        """Decide a command and write its entry, whatever came of it."""
        follows = firing is not None
        at = Moment(now, height, KEY, self.state, self.machine.chain, follows=follows)
        decision = decide(
            self.machine, event, self.state, self.data, self.timers, params, at, firing
        )
        entry = Entry(at=now, instance=1, seq=len(self.bodies) + 1, event=event, timer=firing)
        self._write(entry, decision)
        return decision

    def _write(self, entry: Entry, decision: Decision) -> None:
        entry.pos = len(self.bodies) + 1
        entry.params = decision.params
        if decision.outcome == ACCEPTED:
            entry.to = decision.to
            entry.set = decision.patch
            entry.effects = decision.effects
            entry.timers = decision.timers and {
                name: None if due is None else {due[0]: json_int(due[1])}
                for name, due in decision.timers.items()
            }
            self.state = decision.to or self.state
            self.data = self.data if decision.data is None else decision.data
        else:
            entry.outcome = decision.outcome
            entry.reason = decision.reason
        self.bodies.append(encode(entry))
        if entry.timer is not None:
            self.timers.pop(entry.timer, None)
        for name, due in (decision.timers or {}).items():
            self.timers.pop(name, None)
            if due is not None:
                self.timers[name] = (*due, entry.pos)

    def folded(self) -> Folded:
        """Return what the written entries fold to."""
        return fold(self.bodies)[1]

    def check(self) -> None:
        """See that every byte is canonical, and that the entries fold to what was decided."""
        for body in self.bodies[-1:]:
            assert check_canonical(body) == decode(body)
        folded = self.folded()
        assert self.machine.thaw(folded.data) == self.data
        assert (folded.state, folded.timers) == (self.state, self.timers)
        assert (folded.seq, folded.last) == (len(self.bodies), len(self.bodies))
