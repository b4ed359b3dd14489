"""Chain facts of a payment channel: what one book recorded, folded, and compared with the rules.

Theory of operation. C1: only entries of the channel's own instance are chain facts; what a side
says of itself never moves this state. C2: the state comes from the entries' `set` and `to`, not
from any machine. C3: each message is checked once more with the actor's own table
(audit_recheck.py) in the state before it, and three answers stand beside each other: what the
table gives, what the tape decided, and what the receipt shows. C4: a hostile book gives problems in
words, never an exception.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fsm.audit import Book, Cited
from ...fsm.entry import Entry
from ...fsm.errors import StatetapeError
from ...fsm.types import Json
from .address import canonical, is_id
from .audit_papers import Shelf, Voucher
from .audit_recheck import Lane, Outcome, Situation, State, check, whole

CONSTRUCTED = "constructor"
ADOPTED = "adopted"
UPDATE = "update_channel_state"
SETTLE = "settle"
COLLECT = "collect"
SEND = "send"
OBSERVED = "observe_balance"
CHECKED = (UPDATE, SETTLE, COLLECT, SEND)
FACTS = (CONSTRUCTED, ADOPTED, *CHECKED, "call", OBSERVED)


@dataclass(slots=True)
class Message:
    """One chain fact.

    `number`: its place in the chain, from 0. `height`: its inclusion epoch; None: not recorded.
    `sender`: the caller's ID address, "" unknown. `message`: its id on the chain, "" unknown.
    `accepted`, `code`, `reason`: as the tape decided. `exit`: the receipt's exit code, None where
    none is recorded. `expected`: what the actor's table gives; None where nothing is checked.
    """

    side: str
    number: int
    pos: int
    at: int
    height: int | None
    event: str
    sender: str
    message: str
    params: Mapping[str, Json]
    accepted: bool
    code: int | None
    reason: str
    exit: int | None
    before: State
    after: State
    voucher: Voucher | None = None
    expected: Outcome | None = None
    differs: tuple[str, ...] = ()

    @property
    def value(self) -> int:
        """The funds that it carries."""
        return whole(self.params.get("value")) or 0

    @property
    def outcome(self) -> str:
        """How it ended, in words."""
        if self.accepted:
            return "exit 0"
        return f"exit {self.code} {self.reason}".strip() if self.code else self.reason

    @property
    def says(self) -> str:
        """The fact in words."""
        what = {UPDATE: "UpdateChannelState", SEND: "Send", CONSTRUCTED: "Constructor"}
        words = what.get(self.event, self.event.capitalize())
        if self.voucher is not None:
            words += f" with {self.voucher.title}"
        if self.value:
            words += f" carrying {self.value}"
        if self.sender:
            words += f" from {self.sender}"
        return f"{words}: {self.outcome}"

    @property
    def cited(self) -> Cited:
        """The fact as evidence."""
        return Cited(self.side, self.pos, self.says, self.height)


@dataclass(slots=True)
class Chain:
    """One book's chain facts in the order of the tape, and the state between any two of them.

    `heights`: of each message the greatest height so far. `phases`: height, position and phase of
    what timers of the tape told. `problems`: what could not be read, with its entry.
    """

    side: str
    messages: list[Message] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    actors: dict[str, str] | None = None
    problems: list[tuple[str, Cited]] = field(default_factory=list)
    phases: list[tuple[int | None, int, str]] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    _first: dict[str, Message] = field(default_factory=dict)
    _lanes: dict[int, list[tuple[int, Lane]]] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The state after everything."""
        return self.messages[-1].after if self.messages else State()

    @property
    def creation(self) -> Message | None:
        """The fact that the channel began with, if it began."""
        return self._first.get(CONSTRUCTED) or self._first.get(ADOPTED)

    @property
    def applied(self) -> list[Message]:
        """Every Update that the tape decided as applied."""
        return [one for one in self.messages if one.event == UPDATE and one.accepted]

    @property
    def settled_by(self) -> Message | None:
        """The Settle that was applied."""
        return self._first.get(SETTLE)

    @property
    def collected_by(self) -> Message | None:
        """The Collect that was applied."""
        return self._first.get(COLLECT)

    def first_accepted(self, event: str) -> Message | None:
        """Return the first message of a kind that took effect."""
        return self._first.get(event)

    def add(self, one: Message) -> None:
        """Append the next message."""
        newest = self.heights[-1] if self.heights else 0
        self.heights.append(max(newest, one.height if one.height is not None else newest))
        self.messages.append(one)
        if one.accepted:
            self._first.setdefault(one.event, one)

    def lane(self, lane: int, before: int | None = None) -> Lane | None:
        """Return a lane as it was before message number `before` (None: after all of them)."""
        history = self._lanes.get(lane, [])
        if before is None:
            return history[-1][1] if history else None
        place = bisect_left(history, before, key=lambda one: one[0])
        return history[place - 1][1] if place else None

    def lanes(self, before: int | None = None) -> dict[int, Lane]:
        """Return every lane as it was before message number `before` (None: after all)."""
        found = ((lane, self.lane(lane, before)) for lane in sorted(self._lanes))
        return {lane: value for lane, value in found if value is not None}

    def lane_changes(self, lane: int) -> list[tuple[Message, Lane]]:
        """Return every message that changed a lane, with what the lane was after it."""
        return [(self.messages[number], value) for number, value in self._lanes.get(lane, [])]

    def state_at(self, height: int) -> State:
        """Return the state after every fact up to a height, in the tape's order."""
        place = bisect_right(self.heights, height)
        return self.messages[place - 1].after if place else State()

    def resolve(self, address: object) -> str:
        """Return the ID address that an address resolves to, "" where that is not known."""
        if not isinstance(address, str):
            return ""
        try:
            known = canonical(address)
            return known if is_id(known) else self.addresses.get(known, "")
        except StatetapeError:
            return ""

    def names_of(self, actor: str) -> list[str]:
        """Return every address that resolves to an actor, its ID address first."""
        return [actor, *(name for name, found in self.addresses.items() if found == actor)]

    def put_lane(self, number: int, lane: int, value: Lane) -> None:
        """Record what a lane is after message `number`."""
        self._lanes.setdefault(lane, []).append((number, value))


def fold_chain(book: Book, instance: str, shelf: Shelf) -> Chain:
    """Return a book's chain facts of the channel `instance`, each checked once more."""
    chain = Chain(book.side)
    mine = {pos for pos, name in book.names.items() if name == instance}
    phase = ""
    for entry in book.entries:
        if entry.create == instance or entry.instance in mine:
            phase = _take(chain, entry, phase, shelf)
    return chain


def _take(chain: Chain, entry: Entry, phase: str, shelf: Shelf) -> str:
    """Fold one entry; returns the phase after it."""
    before = chain.state
    if entry.event not in FACTS or entry.timer is not None:
        # A timer of the tape is no message; only the phase that it tells of changes.
        if entry.outcome is None and chain.messages and entry.to:
            chain.phases.append((whole(entry.height), entry.pos, entry.to))
        return entry.to or phase
    if before.phase not in ("absent", "collected") and phase:
        before = before._replace(phase=phase)
    one = _message(chain, entry, before, shelf)
    one.expected = _expected(chain, one, shelf)
    if one.accepted:
        phase = entry.to or phase
        one.after = _fold(chain, one, entry, phase)
        one.differs = tuple(_differences(chain, one))
    chain.add(one)
    return phase


def _message(chain: Chain, entry: Entry, before: State, shelf: Shelf) -> Message:
    params = entry.params if isinstance(entry.params, dict) else {}
    reason = entry.reason or {}
    accepted = entry.outcome is None
    words = reason.get("reason") or reason.get("kind") or ""
    voucher = None
    if entry.event == UPDATE and params.get("sv") is not None:
        voucher = shelf.read(params["sv"])
    return Message(
        side=chain.side,
        number=len(chain.messages),
        pos=entry.pos,
        at=entry.at,
        height=whole(entry.height),
        event=entry.event or "",
        sender=chain.resolve(params.get("caller")),
        message=_text(params.get("message")),
        params=params,
        accepted=accepted,
        code=0 if accepted else whole(reason.get("code")),
        reason="" if accepted else str(words),
        exit=whole(params.get("exit")),
        before=before,
        after=before,
        voucher=voucher,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _expected(chain: Chain, one: Message, shelf: Shelf) -> Outcome | None:
    """Return what the actor's table gives for a message, None where it has none for it."""
    if one.event not in CHECKED or not chain.messages:
        return None
    situation = Situation(
        event=one.event,
        height=one.height,
        params=one.params,
        state=one.before,
        lane=chain.lane,
        resolve=chain.resolve,
        addresses=chain.addresses,
        actors=chain.actors,
        shelf=shelf,
        voucher=one.voucher,
    )
    return check(situation)


_NUMBERS = (
    "balance",
    "to_send",
    "settling_at",
    "min_settle_height",
    "merged_away",
    "deposited",
    "paid_to",
    "paid_from",
)


def _fold(chain: Chain, one: Message, entry: Entry, phase: str) -> State:
    """Return the state after an accepted entry: what its `set` and `to` say (C2)."""
    patch = entry.set if isinstance(entry.set, dict) else {}
    changes: dict[str, Any] = {"phase": phase}
    for name in _NUMBERS:
        if name in patch:
            number = whole(patch[name])
            if number is None:
                chain.problems.append((f"its {name} is no number", one.cited))
            else:
                changes[name] = number
    for name, field_name in (("id", "id"), ("from", "payer"), ("to", "payee")):
        if isinstance(patch.get(name), str):
            changes[field_name] = patch[name]
    if isinstance(patch.get("addresses"), dict):
        found = patch["addresses"].items()
        chain.addresses.update({name: to for name, to in found if isinstance(to, str)})
    if isinstance(patch.get("actors"), dict):
        found = patch["actors"].items()
        chain.actors = {name: kind for name, kind in found if isinstance(kind, str)}
    _fold_lanes(chain, one, patch.get("lanes"))
    return one.before._replace(**changes)


def _fold_lanes(chain: Chain, one: Message, lanes: Json) -> None:
    for name, value in lanes.items() if isinstance(lanes, dict) else ():
        lane = whole(name)
        old = chain.lane(lane) if lane is not None else None
        given = value if isinstance(value, dict) else {}
        redeemed = whole(given.get("redeemed", old and old.redeemed))
        nonce = whole(given.get("nonce", old and old.nonce))
        if lane is None or redeemed is None or nonce is None:
            chain.problems.append(("a lane that it changes cannot be read", one.cited))
        else:
            chain.put_lane(one.number, lane, Lane(redeemed, nonce))


def _differences(chain: Chain, one: Message) -> list[str]:
    """Return where the recorded changes differ from what the actor's rules give."""
    expected = one.expected
    if expected is None or expected.after is None:
        return []
    found = [
        f"{name}: recorded {was}, the rules give {should}"
        for name, was, should in zip(State._fields, one.after, expected.after, strict=True)
        if name != "phase" and was != should
    ]
    for lane, should in expected.lanes.items():
        recorded = chain.lane(lane)
        if recorded != should:
            found.append(f"lane {lane}: recorded {recorded}, the rules give {should}")
    return found
