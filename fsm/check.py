"""Check a machine: what is legal in its file but unsound, and which invariants can be broken.

Two parts. The *structure* is read off the table: states that cannot be reached or left, states
where an instance may wait for ever without anybody noticing, rows that never match, timers whose
event their state does not take. The *search* runs the machine itself,
breadth first, over the samples that its `check` section gives (or small values of each type), and
reports the shortest sequence that breaks an invariant or makes an expression fail. A search is
bounded, so silence from it is not a proof; the structure's findings are exact.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from .composite import List, Map, Optional, Record
from .decide import (
    ACCEPTED,
    EVALUATION_ERRORS,
    UNDECIDED,
    Decision,
    Moment,
    arguments_of,
    create,
    decide,
)
from .machine import REQUIRED, Event, Machine
from .spec import StateSpec
from .types import Amount, Anything, Bool, Bytes, Int, Scalar, Text, Type, ValueInvalid

NODES_MAX = 5_000
DECISIONS_MAX = 50_000
SAMPLES_MAX = 12
STEP_US = 1_000_000

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that is unsound: where, how bad, and what."""

    place: str
    level: str
    message: str

    def __str__(self) -> str:
        """`file:line:column: level: message`."""
        return f"{self.place}: {self.level}: {self.message}"


def check(machine: Machine) -> list[Finding]:
    """Return everything that is unsound about a machine, its structure first."""
    findings = [*_states(machine), *_deadlines(machine), *_rows(machine)]
    findings += [*_timers(machine), *_events(machine)]
    findings += _Search(machine).run()
    return findings


def _states(machine: Machine) -> Iterator[Finding]:
    """States must be reachable, and all but the final ones must have a way out."""
    leads: dict[str, set[str]] = {state: set() for state in machine.states}
    for source, events in machine.table.items():
        for rows in events.values():
            leads[source] |= {row.to for row in rows if row.to is not None}
    reached = {machine.initial}
    waiting = [machine.initial]
    while waiting:
        for target in leads[waiting.pop()] - reached:
            reached.add(target)
            waiting.append(target)
    for name, state in machine.states.items():
        place = machine.document.place(("states", name))
        written = machine.spec.states[name] or StateSpec()
        if name not in reached and not written.unreached:
            yield Finding(place, ERROR, f"state {name!r} cannot be reached")
        if name in reached and written.unreached:
            why = f"state {name!r} can be reached, and `unreached` says it cannot"
            yield Finding(place, ERROR, why)
        left = state.final or bool(leads[name] - {name})
        if not left and not written.no_exit:
            why = f"state {name!r} is not final, and nothing and no timer can leave it"
            yield Finding(place, ERROR, why)
        if left and written.no_exit:
            why = f"state {name!r} can be left or is final, and `no_exit` says it cannot be left"
            yield Finding(place, ERROR, why)


def _deadlines(machine: Machine) -> Iterator[Finding]:
    """A state that is not final has a timer that is always armed, or says why it needs none."""
    for name, state in machine.states.items():
        bounded = any(timer.when is None for timer in state.timers)
        if not state.final and not bounded and state.no_deadline is None:
            why = f"state {name!r} has no deadline, and no reason (`no_deadline`) why not"
            yield Finding(machine.document.place(("states", name)), ERROR, why)


def _rows(machine: Machine) -> Iterator[Finding]:
    """A row that stands behind one without a condition, in every state it names, never matches."""
    matches: set[tuple[str, int]] = set()
    for events in machine.table.values():
        for name, rows in events.items():
            for row in rows:
                matches.add((name, row.index))
                if row.when is None:
                    break
    for name, event in machine.events.items():
        for row in event.rows:
            if (name, row.index) not in matches:
                place = machine.document.place(("events", name, "go", row.index))
                why = f"this row of {name!r} never matches: rows before it take every case"
                yield Finding(place, ERROR, why)


def _timers(machine: Machine) -> Iterator[Finding]:
    for name, state in machine.states.items():
        for timer in state.timers:
            if timer.event not in machine.table[name]:
                place = machine.document.place(("states", name, "timers", timer.name))
                why = f"timer {timer.name!r} fires {timer.event!r}, which {name!r} does not take"
                yield Finding(place, ERROR, why)


def _events(machine: Machine) -> Iterator[Finding]:
    for name in machine.events:
        if not machine.accepted_in(name):
            place = machine.document.place(("events", name))
            yield Finding(place, WARNING, f"no state takes {name!r}")


@dataclass(frozen=True)
class _Node:
    """A state that the search reached, and the commands that led there."""

    state: str
    data: dict[str, Any]
    timers: Mapping[str, tuple[str, int]]
    now: int
    height: int | None
    path: tuple[str, ...]


class _Search:
    """Breadth-first search over a machine's samples."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.told = machine.spec.check
        self.findings: dict[tuple[str, str], Finding] = {}
        self.left = DECISIONS_MAX
        self.heights: list[int | None] = list(self.told.heights)
        if not self.heights:
            self.heights = [None if machine.chain is None else 1]

    def run(self) -> list[Finding]:
        """Return what the search found, each kind of trouble once, by its shortest sequence."""
        seen: set[bytes] = set()
        waiting = deque(self._begin())
        while waiting and len(seen) < NODES_MAX and self.left > 0:
            node = waiting.popleft()
            mark = self._mark(node)
            if mark in seen:
                continue
            seen.add(mark)
            if len(node.path) <= self.told.depth:
                waiting.extend(self._successors(node))
        return list(self.findings.values())

    def _mark(self, node: _Node) -> bytes:
        data = self.machine.freeze(node.data)
        timers = {name: list(deadline) for name, deadline in node.timers.items()}
        whole = (node.state, data, timers, node.height)
        return msgspec.json.encode(whole, order="deterministic")

    def _begin(self) -> Iterator[_Node]:
        machine = self.machine
        for params in self._samples(machine.create, self.told.create):
            height = self.heights[0]
            moment = Moment(0, height, "check", machine.initial, machine.chain)
            label = _label(machine.create.name, params, None)
            decision = self._decide(label, (), lambda m=moment, p=params: create(machine, p, m))
            if decision is not None and decision.data is not None:
                timers = _after({}, decision, None)
                yield _Node(machine.initial, decision.data, timers, 0, height, (label,))

    def _successors(self, node: _Node) -> Iterator[_Node]:
        machine = self.machine
        for name in machine.accepts(node.state):
            event = machine.events[name]
            firing = self._firing(node, name)
            samples = self._given(node, firing) or self._samples(
                event, self.told.samples.get(name, [])
            )
            for params, (now, height) in itertools.product(samples, self._when(node, firing)):
                if self.left == 0:
                    return
                self.left -= 1
                label = _label(name, params, height if machine.chain else None)
                follows = firing is not None
                moment = Moment(now, height, "check", node.state, machine.chain, follows=follows)
                decision = self._decide(
                    label,
                    node.path,
                    lambda n=name, p=params, m=moment, f=firing: decide(
                        machine, n, node.state, node.data, node.timers, p, m, f
                    ),
                )
                if decision is not None and decision.outcome == ACCEPTED:
                    timers = _after(node.timers, decision, firing)
                    state = decision.to or node.state
                    data = decision.data or node.data
                    yield _Node(state, data, timers, now, height, (*node.path, label))

    def _firing(self, node: _Node, event: str) -> str | None:
        """Return the armed timer that fires this event; only a timer sends such an event here."""
        timers = self.machine.states[node.state].timers
        return next((t.name for t in timers if t.event == event and t.name in node.timers), None)

    def _given(self, node: _Node, firing: str | None) -> list[dict[str, Any]]:
        """Return what an armed timer gives its event; nothing where none fires it."""
        timers = self.machine.states[node.state].timers
        timer = next((one for one in timers if one.name == firing), None)
        if timer is None:
            return []
        chain = self.machine.chain
        moment = Moment(node.now, node.height, "check", node.state, chain, follows=True)
        try:
            return [arguments_of(timer, node.data, moment)]
        except EVALUATION_ERRORS:
            return [{}]

    def _when(self, node: _Node, firing: str | None) -> list[tuple[int, int | None]]:
        """Return the clocks and heights of what may come next; a timer waits for its deadline."""
        now = node.now + STEP_US
        low = node.height
        heights = [one for one in self.heights if low is None or one is None or one >= low]
        kind, deadline = node.timers[firing] if firing else ("at", now)
        if kind == "height":
            reached = {max(deadline, one) for one in heights if one is not None}
            return [(now, one) for one in sorted(reached or {deadline})]
        return [(max(now, deadline), one) for one in heights or [low]]

    def _decide(self, label: str, path: tuple[str, ...], decision_of: Any) -> Decision | None:
        """Decide, and note what is wrong with how it came out."""
        try:
            decision: Decision = decision_of()
        except UNDECIDED:
            return None
        reason = decision.reason or {}
        kind = reason.get("kind")
        if kind in ("invariant_broken", "evaluation_failed"):
            what = str(reason.get("name") or reason.get("that") or reason.get("detail") or label)
            self._note(kind, what, " → ".join((*path, label)))
        return decision

    def _note(self, kind: str, what: str, path: str) -> None:
        if (kind, what) in self.findings:
            return
        document = self.machine.document
        if kind == "invariant_broken":
            index = [one.name for one in self.machine.invariants].index(what)
            place = document.place(("invariants", index))
            message = f"invariant {what} is broken by: {path}"
        else:
            place = document.place(("machine",))
            message = f"`{what}` cannot be evaluated after: {path}"
        self.findings[kind, what] = Finding(place, ERROR, message)

    def _samples(self, event: Event, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the samples of an event: the file's, or small values of each parameter's type."""
        if told:
            return told
        choices = []
        for param in event.params:
            if param.default is not REQUIRED:
                continue
            values = _small(param.type)
            if not values:
                return []
            choices.append([(param.name, value) for value in values])
        products = itertools.islice(itertools.product(*choices), SAMPLES_MAX)
        return [dict(product) for product in products]


def _after(
    timers: Mapping[str, tuple[str, int]], decision: Decision, fired: str | None
) -> dict[str, tuple[str, int]]:
    kept = {name: deadline for name, deadline in timers.items() if name != fired}
    for name, deadline in (decision.timers or {}).items():
        kept.pop(name, None)
        if deadline is not None:
            kept[name] = deadline
    return kept


def _label(event: str, params: Mapping[str, Any], height: int | None) -> str:
    said = ", ".join(f"{name}={value}" for name, value in params.items())
    where = f" at {height}" if height is not None else ""
    return f"{event}({said}){where}"


def _small(of: Type) -> list[Any]:
    """Return a few values of a type that often break things; none for a type without any."""
    if isinstance(of, Optional):
        return [None, *_small(of.of)[:1]]
    if isinstance(of, Int | Amount):
        wanted = [0, 1, -1]
        return [value for value in wanted if _fits(of, value)]
    if isinstance(of, Bool):
        return [False, True]
    if isinstance(of, Text | Scalar):
        return [value for value in ("a", "") if _fits(of, value)]
    if isinstance(of, Bytes | List):
        return [of.zero()]
    if isinstance(of, Map):
        return [{}]
    if isinstance(of, Record):
        inner = {name: _small(part) for name, part in of.fields.items()}
        return [{name: values[0] for name, values in inner.items()}] if all(inner.values()) else []
    return [None] if isinstance(of, Anything) else []


def _fits(of: Type, value: Any) -> bool:
    try:
        of.coerce(value, "sample")
    except ValueInvalid:
        return False
    return True
