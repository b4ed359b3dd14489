"""What the books come to over height: deposits, promises, what the payee could still redeem.

Theory of operation. Q1: a row stands for the state after everything up to its height; it is written
only where a value changed. Q2: `entitled` is the upper bound of the definition (the balance, or all
the best of every lane); `attainable` is what a payee can really reach, and where a search was cut
short it is "at least", beside "at most". Q3: sums run along, lane by lane, so a row costs nothing
while all that is held fits the balance. Q4: from settling_at on nothing more can be obtained.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...fsm.audit import Measure, Quantities
from .audit_attainable import WORK_MAX, Attained, Choice, attain, attain_merging
from .audit_chain import Chain, Message
from .audit_papers import PAYER, Voucher
from .audit_recheck import Lane, State
from .payment_channel import MAX_LANE
from .voucher import SignedVoucher

UNIT = "attofil"
EPOCHS = "epoch"
ROW_WORK_MAX = 20_000
ROWS_WORK_MAX = 200_000
MERGING_ROWS_MAX = 100

MEASURES = (
    Measure("balance", "balance of the channel", UNIT, charted=True),
    Measure("deposited", "deposited so far", UNIT, charted=True),
    Measure("promised", "promised: the highest voucher of each lane", UNIT, charted=True),
    Measure("to_send", "redeemed: what Collect would pay the payee", UNIT, charted=True),
    Measure("best", "held by the payee, or redeemed, whatever the balance", UNIT),
    Measure(
        "entitled", "entitled: the upper bound of what the payee can reach", UNIT, charted=True
    ),
    Measure("attainable", "attainable by the payee, at least", UNIT),
    Measure("attainable_at_most", "attainable by the payee, at most", UNIT),
    Measure("exposure", "held but not redeemed: entitled less to_send", UNIT),
    Measure("over_issued", "promised beyond the balance", UNIT),
    Measure("deadline", "last epoch at which a voucher can be redeemed", EPOCHS),
)


class Candidate(NamedTuple):
    """A voucher that the payee might redeem.

    `held`: the height from which the payee had it. `known`: the height from which its secret was
    known (`held`, where it has none; None: never). `proven`: the payer's signature is good and no
    extra call decides; of another nobody can say that the chain takes it.
    """

    voucher: str
    terms: SignedVoucher
    held: int
    known: int | None
    proven: bool

    def open_at(self, height: int, deadline: int | None) -> bool:
        """Whether there is an epoch left, from this height to the deadline, to redeem it."""
        # As policies.window, which costs more; this is asked for every voucher at every height.
        first, last = max(self.terms.time_lock_min, height), self.terms.time_lock_max
        return (last == 0 or first <= last) and (deadline is None or first <= deadline)

    def opens_by(self, height: int) -> int:
        """Return the first epoch at which the payee could redeem it, as known at a height."""
        known = self.known if self.known is not None and self.known <= height else self.held
        return max(self.held, known, self.terms.time_lock_min)

    def sure_at(self, height: int) -> bool:
        """Whether the payee surely could redeem it: proven, and its secret known while it holds."""
        if not self.proven or self.known is None or self.known > height:
            return False
        last = self.terms.time_lock_max
        return last == 0 or self.known <= last


class Promise(NamedTuple):
    """A voucher that the payer signed, and the first height at which a record shows it."""

    height: int
    lane: int
    amount: int


def deadline_of(state: State) -> int | None:
    """Return the last epoch at which a voucher can be redeemed; None: nobody has settled."""
    return state.settling_at - 1 if state.settling_at else None


def redeemable(voucher: Voucher) -> bool:
    """Whether a voucher could count for the payee at all: the payer's (or nobody can tell), ours.

    Not: vouchers of another channel, unsigned or with a type that the chain does not know, below
    zero, on a lane that cannot be.
    """
    terms = voucher.terms
    return (
        terms is not None
        and voucher.for_channel
        and terms.amount >= 0
        and terms.lane <= MAX_LANE
        and voucher.redeemable_by_signature(PAYER) is not False
    )


def feasible(
    candidates: Iterable[Candidate],
    lane_of: Callable[[int], Lane | None],
    height: int,
    deadline: int | None,
) -> Iterator[Candidate]:
    """Yield what the payee held at a height and could still redeem from it to the deadline."""
    for one in candidates:
        if one.held <= height and one.open_at(height, deadline):
            lane = lane_of(one.terms.lane)
            if lane is None or lane.nonce < one.terms.nonce:
                yield one


def attained(
    state: State,
    lanes: dict[int, Lane],
    held: Sequence[Candidate],
    height: int,
    work: int = WORK_MAX,
    since: int | None = None,
) -> Attained:
    """Return what `to_send` could become with these vouchers, proven ones for "at least".

    `held`: feasible candidates, from `since` on (default: `height`). Of those whose secret is not
    known at `height`, and of those that are not proven, "at most" assumes the best.
    """
    sure = [one for one in held if one.sure_at(height)]
    begin = height if since is None else since
    opens = {one.voucher: max(begin, one.opens_by(height)) for one in held}
    least = _choose(state, lanes, sure, work, opens)
    if len(sure) == len(held):
        return least
    most = _choose(state, lanes, held, work, opens)
    return Attained(least.least, max(least.most, most.most), least.vouchers)


def _choose(
    state: State,
    lanes: dict[int, Lane],
    held: Sequence[Candidate],
    work: int,
    opens: Mapping[str, int],
) -> Attained:
    plain = [one for one in held if not one.terms.merges]
    by_lane: dict[int, list[Choice]] = {}
    for one in plain:
        # A lane that once shrank through merges may not fall below what is left of it.
        redeemed = lanes[one.terms.lane].redeemed if one.terms.lane in lanes else 0
        if state.merged_away == 0 or one.terms.amount >= redeemed:
            by_lane.setdefault(one.terms.lane, []).append(Choice(one.terms.amount, one.voucher))
    grouped = [
        (lanes[lane].redeemed if lane in lanes else 0, by_lane[lane]) for lane in sorted(by_lane)
    ]
    found = attain(state.to_send, state.balance, grouped, work)
    order_matters = len(plain) < len(held) or (
        any(one.terms.time_lock_max for one in held)
        and any(choice.amount < redeemed for redeemed, choices in grouped for choice in choices)
    )
    if not order_matters:
        return found
    merging = attain_merging(
        state.to_send, state.balance, lanes, [(one.voucher, one.terms) for one in held], opens
    )
    if len(plain) == len(held):
        ordered = merging if merging.exact else found
        return Attained(ordered.least, max(found.most, ordered.least), ordered.vouchers)
    better = merging if merging.least > found.least else found
    return Attained(better.least, max(found.least, merging.most), better.vouchers)


class _Best:
    """The greatest amount of every lane among candidates that are still good, and the gains' sum.

    Candidates that are used up leave for good when they come to the top of their lane's heap.
    """

    def __init__(self, book: _Running) -> None:
        self.book = book
        self.heaps: dict[int, list[tuple[int, int, Candidate]]] = {}
        self.gains: dict[int, int] = {}
        self.gain = 0
        self.added = 0

    def add(self, one: Candidate) -> None:
        heap = self.heaps.setdefault(one.terms.lane, [])
        heapq.heappush(heap, (-one.terms.amount, self.added, one))
        self.added += 1
        self.refresh(one.terms.lane)

    def refresh(self, lane: int) -> None:
        heap = self.heaps.get(lane)
        if heap is None:
            return
        while heap and not self.book.good(heap[0][2]):
            heapq.heappop(heap)
        redeemed = self.book.redeemed(lane)
        gain = max(0, -heap[0][0] - redeemed) if heap else 0
        self.gain += gain - self.gains.get(lane, 0)
        self.gains[lane] = gain


@dataclass
class _Running:
    """The state of the sums at one height."""

    state: State = field(default_factory=State)
    lanes: dict[int, Lane] = field(default_factory=dict)
    height: int = 0
    promised: dict[int, int] = field(default_factory=dict)
    promised_sum: int = 0
    claims: dict[int, int] = field(default_factory=dict)
    claims_sum: int = 0
    work: int = ROWS_WORK_MAX
    merging_rows: int = MERGING_ROWS_MAX

    def __post_init__(self) -> None:
        self.upper = _Best(self)
        self.sure = _Best(self)
        self.held: list[Candidate] = []
        self.merging = False

    def redeemed(self, lane: int) -> int:
        found = self.lanes.get(lane)
        return found.redeemed if found is not None else 0

    def good(self, one: Candidate) -> bool:
        found = self.lanes.get(one.terms.lane)
        if found is not None and found.nonce >= one.terms.nonce:
            return False
        return one.open_at(self.height, deadline_of(self.state))

    def take(self, one: Candidate) -> None:
        """The payee gets a voucher."""
        self.held.append(one)
        self.merging = self.merging or bool(one.terms.merges)
        self.upper.add(one)
        if one.known is not None and one.known <= self.height:
            self.learn(one)

    def learn(self, one: Candidate) -> None:
        """The payee has a voucher and its secret."""
        if one.proven and not one.terms.merges:
            self.sure.add(one)

    def promise(self, one: Promise) -> None:
        """A voucher of the payer is first seen."""
        old = self.promised.get(one.lane, 0)
        if one.amount > old:
            self.promised[one.lane] = one.amount
            self.promised_sum += one.amount - old
        self.claim(one.lane)

    def claim(self, lane: int) -> None:
        """Keep the sum of max(redeemed, promised) over the lanes."""
        new = max(self.redeemed(lane), self.promised.get(lane, 0))
        self.claims_sum += new - self.claims.get(lane, 0)
        self.claims[lane] = new

    def apply(self, message: Message, lanes: dict[int, Lane]) -> None:
        """A chain fact happens; `lanes`: those that it changed."""
        old = deadline_of(self.state)
        self.state = message.after
        self.lanes.update(lanes)
        for lane in lanes:
            self.upper.refresh(lane)
            self.sure.refresh(lane)
            self.claim(lane)
        new = deadline_of(self.state)
        if new != old:
            self.reopen(old, new)

    def reopen(self, old: int | None, new: int | None) -> None:
        """The deadline moved: what was shut out by it may be open again, and the other way."""
        if (
            old is not None
            and new is not None
            and not any(
                old < one.terms.time_lock_min <= new for one in self.held if one.terms.time_lock_min
            )
        ):
            return
        held, self.held = self.held, []
        self.upper, self.sure = _Best(self), _Best(self)
        for one in held:
            self.take(one)

    def values(self) -> dict[str, str | None]:
        """Return the row."""
        state = self.state
        deadline = deadline_of(state)
        gone = state.phase == "collected"
        over = deadline is not None and self.height > deadline
        entitled = state.to_send
        least = most = state.to_send
        if not over and not gone:
            entitled = min(state.balance, state.to_send + self.upper.gain)
            least, most = self._attainable(entitled)
        claims = max(0, self.claims_sum - state.merged_away - state.balance)
        return {
            "balance": str(state.balance),
            "deposited": str(state.deposited),
            "promised": str(self.promised_sum),
            "to_send": str(state.to_send),
            "best": str(state.to_send + (0 if over or gone else self.upper.gain)),
            "entitled": str(entitled),
            "attainable": str(least),
            "attainable_at_most": str(most),
            "exposure": str(max(0, entitled - state.to_send)),
            "over_issued": None if gone else str(claims),
            "deadline": None if deadline is None else str(deadline),
        }

    def _attainable(self, entitled: int) -> tuple[int, int]:
        """Return what is attainable, at least and at most (Q2, Q3)."""
        state = self.state
        reach = state.to_send + self.sure.gain
        if not self.merging and reach <= state.balance:
            return reach, entitled
        if self.merging and self.merging_rows > 0:
            self.merging_rows -= 1
            found = self._searched()
            return found.least, min(entitled, found.most)
        if not self.merging and self.work > 0:
            found = self._searched()
            self.work -= ROW_WORK_MAX
            return found.least, found.most if self.sure.gain == self.upper.gain else entitled
        return self._greedy(), entitled

    def _searched(self) -> Attained:
        deadline = deadline_of(self.state)
        held = list(feasible(self.held, self.lanes.get, self.height, deadline))
        return attained(self.state, self.lanes, held, self.height, ROW_WORK_MAX)

    def _greedy(self) -> int:
        """Return what the best of the lanes give, the greatest gains first, while they fit."""
        total = self.state.to_send
        for gain in sorted(self.sure.gains.values(), reverse=True):
            if total + gain <= self.state.balance:
                total += gain
        return total


def quantities(
    chain: Chain, candidates: Sequence[Candidate], promises: Sequence[Promise], head: int | None
) -> list[Quantities]:
    """Return a row for every height at which a value changed.

    Heights of the chain's facts never go back here: what was reported late counts when it was.
    """
    happenings = _ordered(chain, candidates, promises, head)
    running = _Running()
    rows: list[Quantities] = []
    index = 0
    changed = _lane_changes(chain)
    while index < len(happenings):
        height = happenings[index][0]
        running.height = height
        stop = bisect_right(happenings, height, lo=index, key=lambda one: one[0])
        for _, _, what in happenings[index:stop]:
            _advance(running, what, changed)
        index = stop
        if running.state.phase == "absent":
            continue
        values = running.values()
        if not rows or rows[-1].values != values:
            rows.append(Quantities(height, values))
    return rows


class _Learned(NamedTuple):
    candidate: Candidate


class _Lapsed(NamedTuple):
    lane: int


_What = Message | Candidate | Promise | _Learned | _Lapsed | None


def _advance(running: _Running, what: _What, changed: dict[int, dict[int, Lane]]) -> None:
    if isinstance(what, Message):
        running.apply(what, changed.get(what.number, {}))
    elif isinstance(what, Candidate):
        running.take(what)
    elif isinstance(what, Promise):
        running.promise(what)
    elif isinstance(what, _Learned):
        running.learn(what.candidate)
    elif isinstance(what, _Lapsed):
        running.upper.refresh(what.lane)
        running.sure.refresh(what.lane)


def _lane_changes(chain: Chain) -> dict[int, dict[int, Lane]]:
    changed: dict[int, dict[int, Lane]] = {}
    for lane in chain.lanes():
        for message, value in chain.lane_changes(lane):
            changed.setdefault(message.number, {})[lane] = value
    return changed


def _ordered(
    chain: Chain, candidates: Sequence[Candidate], promises: Sequence[Promise], head: int | None
) -> list[tuple[int, int, _What]]:
    """Return everything that can change a value, by height; facts before what lapses."""
    found: list[tuple[int, int, _What]] = []
    for message in chain.messages:
        found.append((chain.heights[message.number], 0, message))
        settling_at = message.after.settling_at
        if settling_at != message.before.settling_at:
            found.append((settling_at, 3, None))
    for one in candidates:
        found.append((one.held, 2, one))
        if one.known is not None and one.known > one.held:
            found.append((one.known, 2, _Learned(one)))
        if one.terms.time_lock_max > 0:
            found.append((one.terms.time_lock_max + 1, 3, _Lapsed(one.terms.lane)))
    found += [(one.height, 1, one) for one in promises]
    last = max(chain.heights[-1] if chain.heights else 0, head or 0)
    found = [one for one in found if one[0] <= last]
    return sorted(found, key=lambda one: one[:2])


def value_at(rows: Sequence[Quantities], height: int) -> dict[str, str | None] | None:
    """Return the values that hold at a height, None before the first row."""
    place = bisect_right(rows, height, key=lambda one: one.height)
    return rows[place - 1].values if place else None
