"""Which vouchers a payee should take: redemption windows, and named policies as pure functions.

Theory of operation. A voucher v is worth something only if an UpdateChannelState that carries it
can be included within its window, [max(T_min, now), min(T_max if T_max != 0, settling_at - 1)].
While nobody settles there is no settling_at; the worst case is that the payer's Settle is in the
very next block: max(now + 1 + 1440, M_on), where M_on is the chain's min_settle_height, known from
vouchers that *were redeemed*. What an unredeemed voucher says of a minimum settle height binds
nobody, because the actor never refuses a Settle.

Three policies, each of which can be computed for every voucher whatever an account follows:

* `lotus`    no extra call, no time lock, no secret (lotus, paychmgr: four refusals, in that order).
* `literal`  myelnet/pop#144 as it is written: refuse iff T_min > M + 1440, M the voucher's own.
* `strict`   what the chain's rules ask for: the voucher can still be redeemed, with a margin, if
             the payer settles next. It knows the chain's M_on and nothing of promises.

The literal rule is off by one even where its assumption holds, that the payer settles at M and no
sooner: at T_min = M + 1440 = settling_at it accepts what the chain answers with 32. The bound
under that assumption is M + 1439 (`last_time_lock_min`). And it says nothing if the payer settles
before M, as it may.

Heights are epochs. Nothing here reads a clock; `now` is the head that the caller has seen.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

SETTLE_DELAY: Final = 1440
"""Epochs from a Settle to the first Collect: 12 hours of 30 seconds."""

MARGIN: Final = 10
"""Epochs that a message may need: lotus's confirmation depth of 5, and 5 to be included."""

OK: Final = "ok"

LOTUS: Final = "lotus"
LITERAL: Final = "literal"
STRICT: Final = "strict"
POLICIES: Final = (LOTUS, LITERAL, STRICT)


class Conditions(Protocol):
    """What the policies read of a voucher; `voucher.SignedVoucher` is one."""

    @property
    def time_lock_min(self) -> int:
        """First epoch at which it can be redeemed."""

    @property
    def time_lock_max(self) -> int:
        """Last such epoch; only exactly 0 means none."""

    @property
    def min_settle_height(self) -> int:
        """What it promises of the payer's Settle, and pins once it is redeemed."""

    @property
    def secret_pre_image(self) -> bytes:
        """Hash of the secret that redeeming needs, or empty."""

    @property
    def extra(self) -> object | None:
        """A call that has to succeed, or None."""


class Terms(NamedTuple):
    """What is known of a channel when a voucher arrives.

    now: the head. settling_at: as the chain has it, 0 if nobody has settled. min_settle_height: the
    chain's (M_on). margin: how many epochs before its end a window must still be open.
    """

    now: int
    settling_at: int = 0
    min_settle_height: int = 0
    margin: int = MARGIN


class Window(NamedTuple):
    """The epochs, both inclusive, at which a message may be included; `last` None: no end yet."""

    first: int
    last: int | None

    @property
    def empty(self) -> bool:
        """Whether there is no such epoch."""
        return self.last is not None and self.first > self.last

    def meets(self, first: int, last: int | None) -> bool:
        """Whether it has an epoch in common with [first, last]; `last` None: without end."""
        start = max(self.first, first)
        ends = [end for end in (self.last, last) if end is not None]
        return all(start <= end for end in ends)


def window(voucher: Conditions, now: int, settling_at: int = 0) -> Window:
    """Return when `voucher` can be redeemed from `now` on; settling_at 0: nobody has settled."""
    ends = []
    if voucher.time_lock_max != 0:
        ends.append(voucher.time_lock_max)
    if settling_at != 0:
        ends.append(settling_at - 1)
    return Window(max(voucher.time_lock_min, now), min(ends) if ends else None)


def settling_at_of(settle_epoch: int, min_settle_height: int = 0) -> int:
    """Return the settling_at that a Settle included at `settle_epoch` gives (actor, Settle)."""
    return max(settle_epoch + SETTLE_DELAY, min_settle_height)


def settling_at_worst(terms: Terms) -> int:
    """Return the earliest settling_at that can still come about: what it is, or a Settle next."""
    if terms.settling_at != 0:
        return terms.settling_at
    return settling_at_of(terms.now + 1, terms.min_settle_height)


def last_time_lock_min(settling_at: int, margin: int = 0) -> int:
    """Return the greatest T_min that leaves `margin` epochs before `settling_at`."""
    return settling_at - 1 - margin


def last_settle_without_delay(min_settle_height: int) -> int:
    """Return the last epoch at which a Settle costs no time: settling_at is the height anyway."""
    return min_settle_height - SETTLE_DELAY


def lotus(voucher: Conditions) -> str:
    """Return "ok", or why lotus refuses to handle such a voucher at all; in lotus's order."""
    if voucher.extra is not None:
        return "EXTRA_NOT_ALLOWED"
    if voucher.time_lock_max != 0:
        return "TIME_LOCK_MAX_NOT_ALLOWED"
    if voucher.time_lock_min != 0:
        return "TIME_LOCK_MIN_NOT_ALLOWED"
    if voucher.secret_pre_image:
        return "SECRET_NOT_ALLOWED"
    return OK


def literal(voucher: Conditions, terms: Terms) -> str:
    """Return "ok", or the refusal of pop#144's rule: T_min more than 1440 above the voucher's M.

    `terms` is not looked at: the rule trusts the voucher alone.
    """
    del terms
    if voucher.time_lock_min > voucher.min_settle_height + SETTLE_DELAY:
        return "TIME_LOCK_BEYOND_SETTLE_HEIGHT"
    return OK


def strict(voucher: Conditions, terms: Terms) -> str:
    """Return "ok", or why the voucher may turn out worthless if the payer settles next.

    CHANNEL_SETTLED: it comes at or after settling_at. TIME_LOCK_MIN_TOO_LATE: T_min is beyond
    settling_at - 1 - margin in the worst case. TIME_LOCK_MAX_TOO_SOON: T_max is before
    now + margin. WINDOW_TOO_SHORT: each bound is fine alone, but from the later of T_min and now
    to the earlier of T_max and settling_at - 1 there are fewer than `margin` epochs.
    """
    settling_at = settling_at_worst(terms)
    if terms.now >= settling_at:
        return "CHANNEL_SETTLED"
    if voucher.time_lock_min > last_time_lock_min(settling_at, terms.margin):
        return "TIME_LOCK_MIN_TOO_LATE"
    if voucher.time_lock_max != 0 and voucher.time_lock_max < terms.now + terms.margin:
        return "TIME_LOCK_MAX_TOO_SOON"
    first, last = window(voucher, terms.now, settling_at)
    if last is not None and first + terms.margin > last:
        return "WINDOW_TOO_SHORT"
    return OK


def conditions(policy: str, voucher: Conditions, terms: Terms) -> str:
    """Return "ok", or why an account of this policy refuses what the voucher asks for.

    policy: one of POLICIES. Under `literal` and `strict` time locks are what the policy is for, so
    lotus's refusal of them does not apply; extra calls and secrets stay refused, in lotus's order,
    and so is whatever comes at or after settling_at.
    """
    if policy == LOTUS:
        return lotus(voucher)
    if voucher.extra is not None:
        return "EXTRA_NOT_ALLOWED"
    if voucher.secret_pre_image:
        return "SECRET_NOT_ALLOWED"
    if terms.settling_at != 0 and terms.now >= terms.settling_at:
        return "CHANNEL_SETTLED"
    return literal(voucher, terms) if policy == LITERAL else strict(voucher, terms)
