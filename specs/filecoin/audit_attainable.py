"""The best that a payee can still redeem: vouchers are all or nothing, the balance is the limit.

Theory of operation. Without merges only one voucher per lane counts in the end, and lanes that fall
can be redeemed before lanes that rise, so no order passes the balance on its way if the end does
not: what is asked is a choice per lane whose sum is greatest within the balance. A1: where all the
best fit, they are the answer. A2: else every reachable sum is kept, lane by lane, and what cannot
beat the best known is dropped; within `work` steps this is exact. A3: beyond, the sums that are
kept give "at least", the balance "at most". A4: with merges, or where a lane
may fall and windows end (the order matters), the actor's own effects are followed through every
order of a small set of vouchers, each at its earliest epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .audit_recheck import Lane, merged
from .voucher import SignedVoucher

WORK_MAX = 200_000
SUMS_MIN = 16
MERGING_MAX = 7


class Choice(NamedTuple):
    """One way to leave a lane: what it pays then, and which voucher does it ("": none)."""

    amount: int
    voucher: str = ""


class Attained(NamedTuple):
    """What `to_send` can become: at least, with these vouchers, and at most."""

    least: int
    most: int
    vouchers: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the two are one."""
        return self.least == self.most


class _Trail(NamedTuple):
    voucher: str
    before: _Trail | None


def attain(
    to_send: int,
    balance: int,
    lanes: Sequence[tuple[int, Sequence[Choice]]],
    work: int = WORK_MAX,
) -> Attained:
    """Return the greatest `to_send` within the balance, without merges.

    `lanes`: of every lane that has vouchers, what is redeemed on it, and the choices to replace it.
    """
    options = [_worthwhile(redeemed, choices) for redeemed, choices in lanes]
    options = [one for one in options if len(one) > 1]
    if not options:
        return Attained(to_send, to_send)
    options.sort(key=lambda one: one[-1].amount - one[0].amount, reverse=True)
    rises = [max(choice.amount for choice in one) for one in options]
    falls = [min(choice.amount for choice in one) for one in options]
    ceiling = min(balance, to_send + sum(rises))
    if to_send + sum(rises) <= balance:
        chosen = tuple(max(one, key=lambda c: c.amount).voucher for one in options)
        return Attained(to_send + sum(rises), ceiling, tuple(one for one in chosen if one))
    sums_max = max(SUMS_MIN, work // sum(len(one) for one in options))
    best, trail, whole = _search(to_send, balance, options, rises, falls, sums_max)
    vouchers = []
    while trail is not None:
        vouchers.append(trail.voucher)
        trail = trail.before
    return Attained(best, best if whole else max(best, ceiling), tuple(reversed(vouchers)))


def _worthwhile(redeemed: int, choices: Sequence[Choice]) -> list[Choice]:
    """Return a lane's different changes, "none" first; amounts become what they add."""
    found = {0: Choice(0)}
    for choice in choices:
        found.setdefault(choice.amount - redeemed, Choice(choice.amount - redeemed, choice.voucher))
    return [found.pop(0), *sorted(found.values())]


def _search(
    to_send: int,
    balance: int,
    options: Sequence[Sequence[Choice]],
    rises: Sequence[int],
    falls: Sequence[int],
    sums_max: int,
) -> tuple[int, _Trail | None, bool]:
    """Return the greatest sum found within the balance, its vouchers, and whether none is greater.

    What the lanes that are left can add at most and at least bounds every sum (branch and bound).
    """
    rise_left, fall_left = sum(rises), sum(falls)
    sums: dict[int, _Trail | None] = {to_send: None}
    best, trail, whole = to_send, None, True
    for index, choices in enumerate(options):
        rise_left -= rises[index]
        fall_left -= falls[index]
        reached: dict[int, _Trail | None] = {}
        for total, before in sums.items():
            for choice in choices:
                new = total + choice.amount
                if new + fall_left > balance or new + rise_left <= best or new in reached:
                    continue
                way = _Trail(choice.voucher, before) if choice.voucher else before
                reached[new] = way
                if best < new <= balance:
                    best, trail = new, way
        if best == balance:
            return best, trail, True
        if len(reached) > sums_max:
            whole = False
            # Sums near the balance have the most to give; a spread keeps small steps possible.
            kept = sorted(reached, key=lambda one: (abs(balance - rise_left // 2 - one), one))
            reached = {one: reached[one] for one in kept[:sums_max]}
        sums = reached
    return best, trail, whole


def attain_merging(
    to_send: int,
    balance: int,
    lanes: Mapping[int, Lane],
    vouchers: Sequence[tuple[str, SignedVoucher]],
    opens: Mapping[str, int] | None = None,
) -> Attained:
    """Return the greatest `to_send` over every set and order of vouchers, merges included.

    `opens`: the first epoch of each (default: its time_lock_min); after one that opens late none
    can come whose time_lock_max is past. Exact for at most MERGING_MAX vouchers; of more only
    those that promise the most are tried.
    """
    first = {name: terms.time_lock_min for name, terms in vouchers} if opens is None else opens
    ranked = sorted(vouchers, key=lambda one: (-one[1].amount, one[0]))
    tried = ranked[:MERGING_MAX]
    best: tuple[int, tuple[str, ...]] = (to_send, ())
    waiting: list[tuple[int, dict[int, Lane], tuple[str, ...], int]] = []
    waiting.append((to_send, dict(lanes), (), min(first.values(), default=0)))
    while waiting:
        total, now, used, at = waiting.pop()
        if total > best[0]:
            best = (total, used)
        for name, terms in tried:
            epoch, last = max(at, first[name]), terms.time_lock_max
            if name in used or (last != 0 and epoch > last):
                continue
            after = _redeemed(total, balance, now, terms)
            if after is not None:
                waiting.append((*after, (*used, name), epoch))
    most = best[0] if len(tried) == len(ranked) else _most(to_send, balance, lanes, vouchers)
    return Attained(best[0], max(best[0], most), best[1])


def _redeemed(
    total: int, balance: int, lanes: Mapping[int, Lane], terms: SignedVoucher
) -> tuple[int, dict[int, Lane]] | None:
    """Return to_send and lanes after redeeming a voucher, None where a check fails."""
    own = lanes.get(terms.lane)
    merging = merged(terms, lanes.get)
    if merging.failure or (own is not None and own.nonce >= terms.nonce):
        return None
    new = total + terms.amount - merging.subtracted - (own.redeemed if own else 0)
    if not 0 <= new <= balance:
        return None
    return new, {**lanes, **merging.lanes, terms.lane: Lane(terms.amount, terms.nonce)}


def _most(
    to_send: int,
    balance: int,
    lanes: Mapping[int, Lane],
    vouchers: Sequence[tuple[str, SignedVoucher]],
) -> int:
    """Return a bound: on each lane the best replaces what was redeemed, and merging is free."""
    best: dict[int, int] = {}
    for _, terms in vouchers:
        best[terms.lane] = max(best.get(terms.lane, 0), terms.amount)
    redeemed = {lane: value.redeemed for lane, value in lanes.items()}
    gains = (max(0, amount - redeemed.get(lane, 0)) for lane, amount in best.items())
    return min(balance, to_send + sum(gains))
