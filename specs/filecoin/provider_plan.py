"""Pure functions of the provider's plan: which lanes are under way, and when to look again.

An attempt is what the plan knows of one lane: the nonce that it asked to be submitted, how often,
and `due`, the height from which it may ask again (or, while a message is under way, from which the
message is taken for lost). Attempts are data of the tape; nothing here remembers anything.

Last calls. `margin` epochs before a voucher's own time lock ends (`closes`), or the channel's
deadline, what no receipt has confirmed is asked for once more: what was given up, and what is
still under way, because a message that was lost tells nobody. At worst the second message fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .policies import SETTLE_DELAY, last_time_lock_min, settling_at_of

TRIES_MAX: Final = 8
BACKOFF_MAX: Final = 128
"""Epochs between two tries at most: about an hour."""
PATIENCE: Final = 20
"""Epochs after which a message without a receipt is taken for lost."""

Attempt = Mapping[str, Any]
Attempts = Mapping[int, Attempt]


def backoff(tries: int) -> int:
    """Return how many epochs to wait after so many tries: 1, 2, 4, … at most BACKOFF_MAX."""
    return int(min(1 << min(max(tries - 1, 0), 30), BACKOFF_MAX))


def closing(closes: int, height: int, margin: int) -> bool:
    """Whether these are the last epochs of a voucher that can be included up to `closes`."""
    return closes > 0 and closes - margin <= height <= closes


def submittable(
    attempts: Attempts, vouchers: Sequence[Mapping[str, Any]], height: int, margin: int
) -> tuple[Mapping[str, Any], ...]:
    """Return those vouchers that may be submitted now: neither waiting to be, nor given up.

    A lane's new voucher begins anew, however often an older one has failed; so does an older one
    when the newer one is given up. Each has its last call.
    """

    def may(one: Mapping[str, Any]) -> bool:
        known = attempts.get(one["lane"])
        if known is None or known["nonce"] < one["nonce"]:
            return True
        if known["nonce"] > one["nonce"] and not known["open"]:
            return True
        called = known["called"] and known["nonce"] == one["nonce"]
        if closing(one["closes"], height, margin) and not called:
            return True
        return bool(known["tries"] < TRIES_MAX and height >= known["due"])

    return tuple(one for one in vouchers if may(one))


def asked(
    attempts: Attempts,
    offered: Sequence[Mapping[str, Any]],
    chosen: Sequence[Mapping[str, Any]],
    height: int,
    more_from: int,
    margin: int,
) -> dict[int, Attempt]:
    """Return the attempts when `chosen`, of what was `offered`, is handed out to be submitted.

    A lane that was due, and of which nothing is offered, has nothing left to redeem now. (Lanes
    from `more_from` on were not looked at, where that is not 0.)
    """
    lanes = {one["lane"] for one in offered}
    after = dict(attempts)
    for lane in overdue(attempts, height, margin):
        if lane not in lanes and (more_from == 0 or lane < more_from):
            after[lane] = {**after[lane], "open": False}
    for one in chosen:
        known = after.get(one["lane"])
        tries = known["tries"] if known is not None and known["nonce"] == one["nonce"] else 0
        after[one["lane"]] = {
            "nonce": one["nonce"],
            "tries": tries + 1,
            "due": height + PATIENCE,
            "open": True,
            "closes": one["closes"],
            "called": closing(one["closes"], height, margin),
        }
    return after


def pushed(attempts: Attempts, lane: int, nonce: int, height: int) -> dict[int, Attempt]:
    """Return the attempts when a message of a lane was pushed, by us or by somebody's hand."""
    known = attempts.get(lane)
    if known is None or known["nonce"] != nonce:
        known = {"nonce": nonce, "tries": 1, "closes": 0, "called": False}
    return {**attempts, lane: {**known, "due": height + PATIENCE, "open": True}}


def failed(
    attempts: Attempts, lane: int, nonce: int, height: int, deadline: int
) -> dict[int, Attempt]:
    """Return the attempts when a lane's message failed: it is due again after its backoff.

    No later than the `deadline` (0: there is none), as long as that lies ahead; after it, and
    after a voucher's own last call, at the next height. After TRIES_MAX
    tries the lane is given up, until there are more funds, a better voucher, or the last call.
    """
    known = attempts.get(lane)
    if known is None or known["nonce"] > nonce:
        return dict(attempts)
    due = height + backoff(known["tries"])
    if height < deadline < due:
        due = deadline
    elif known["called"] or 0 < deadline <= height:
        due = height + 1
    return {**attempts, lane: {**known, "due": due, "open": known["tries"] < TRIES_MAX}}


def applied(attempts: Attempts, lane: int, nonce: int) -> dict[int, Attempt]:
    """Return the attempts when the chain has redeemed a lane up to `nonce`."""
    known = attempts.get(lane)
    if known is None or known["nonce"] > nonce:
        return dict(attempts)
    return {**attempts, lane: {**known, "open": False}}


def renewed(attempts: Attempts, height: int) -> dict[int, Attempt]:
    """Return the attempts when the channel has got more funds: what was given up is tried again."""
    return {
        lane: known
        if known["open"] or known["tries"] < TRIES_MAX
        else {**known, "tries": 0, "due": height, "open": True}
        for lane, known in attempts.items()
    }


def recalled(attempts: Attempts, height: int) -> dict[int, Attempt]:
    """Return the attempts at the channel's last call: all that is not redeemed is due at once."""
    return {
        lane: {**known, "tries": 0, "due": height, "open": True}
        if known["open"] or known["tries"] >= TRIES_MAX
        else known
        for lane, known in attempts.items()
    }


def outstanding(attempts: Attempts) -> int:
    """Return how many lanes still wait for a receipt or for their next try."""
    return sum(1 for known in attempts.values() if known["open"])


def overdue(attempts: Attempts, height: int, margin: int) -> tuple[int, ...]:
    """Return the lanes whose time has come: to try again, or to take their message for lost."""

    def is_due(known: Attempt) -> bool:
        last = closing(known["closes"], height, margin) and not known["called"]
        return bool(known["due"] <= height or last)

    return tuple(
        lane for lane in sorted(attempts) if attempts[lane]["open"] and is_due(attempts[lane])
    )


def may_settle(locked_until: int, height: int, margin: int) -> bool:
    """Whether a Settle now leaves time for the vouchers that are still locked, with a margin."""
    return locked_until <= last_time_lock_min(settling_at_of(height), margin)


def wake(
    attempts: Attempts, then: int, locked_until: int, more_from: int, height: int, margin: int
) -> int:
    """Return the height at which to ask the account again; 0: not before something is heard.

    `then`: when the account says that a time lock opens or is about to close. `locked_until`: when
    the last of them opens, which a Settle of our own has to leave time for. `more_from`: the
    account has more lanes than one answer names.
    """
    heights = [known["due"] for known in attempts.values() if known["open"]]
    heights += [
        known["closes"] - margin
        for known in attempts.values()
        if known["open"] and not known["called"] and known["closes"] > height
    ]
    if then:
        heights.append(then)
    if not may_settle(locked_until, height, margin):
        heights.append(locked_until - SETTLE_DELAY + 1 + margin)
    if more_from:
        heights.append(height + 1)
    return max(min(heights), height + 1) if heights else 0


def deadline_of(settling_at: int, margin: int) -> int:
    """Return the last height at which a message is still pushed in good time; 0: no deadline."""
    return max(last_time_lock_min(settling_at, margin), 1) if settling_at else 0


def act_at(min_settle_height: int, lead: int, act_by: int) -> int:
    """Return when to redeem and settle by ourselves: `lead` before the settle height; 0: never.

    Where no voucher names a settle height, that is `act_by`.
    """
    return max(min_settle_height - lead, 1) if min_settle_height > 0 else act_by


def earliest(one: int, other: int) -> int:
    """Return the lower of two heights, where 0 means that there is none."""
    return min(one, other) if one and other else one or other


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        act_at,
        applied,
        asked,
        backoff,
        deadline_of,
        earliest,
        failed,
        may_settle,
        outstanding,
        overdue,
        pushed,
        recalled,
        renewed,
        submittable,
        wake,
    )
}
