"""Payment intervals: how much is paid for, what is owed, and how far data may flow before money.

A deal has a price for each byte, a first interval and an increase. Money is due at the boundaries:
after the first interval I, then after another I+d, then after another I+2d, and so on, counted from
the beginning: I, 2I+d, 3I+3d. All amounts are cumulative, in attoFIL; all counts are bytes since
the beginning. An interval and an increase that are both zero have no boundary: the originals loop
for ever on them, here they are refused (`interval-zero`). Boundaries are computed, not walked to:
a deal of one byte an interval costs no more than any other.

Versions differ in two things, and callers say which one they mean: whether a boundary that was just
reached counts as a lower bound (v1.28.3 of go-fil-markets says yes, pop and v1.6 say no), and
whether the provider keeps its interval (pop, v1.6) or derives it from the money (v1.28.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

from ...fsm.errors import CallerError


class IntervalZero(CallerError):
    """Interval and increase are both zero, so there is no boundary at which money is due."""

    code = "interval-zero"


@dataclass(frozen=True)
class Terms:
    """What a deal costs, and when. `price_per_byte` and `unseal_price` in attoFIL, others bytes."""

    price_per_byte: int
    interval: int
    increase: int
    unseal_price: int

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Terms:
        """Read the terms out of a deal's data fields; what is not there is zero."""
        return cls(
            amount(fields, "PricePerByte"),
            amount(fields, "PaymentInterval"),
            amount(fields, "PaymentIntervalIncrease"),
            amount(fields, "UnsealPrice"),
        )


def amount(fields: Mapping[str, Any], name: str) -> int:
    """Return a field as an exact number: an int, or a decimal string; absent or none is 0."""
    value = fields.get(name)
    return 0 if value is None else int(value)


def next_interval(interval: int, increase: int, current: int) -> int:
    """Return the first boundary above `current`: NextInterval of the originals."""
    return _boundary(interval, increase, _passed(interval, increase, current) + 1)


def interval_lower_bound(interval: int, increase: int, current: int, *, reached: bool) -> int:
    """Return the last boundary below `current`, or also at it (`reached`); 0 if there is none."""
    if not reached and current <= 0:
        return 0
    last = current if reached else current - 1
    return _boundary(interval, increase, _passed(interval, increase, last))


def _boundary(interval: int, increase: int, number: int) -> int:
    """Return boundary 0 (nothing), 1 (the first interval), 2, …"""
    return number * interval + increase * (number * (number - 1) // 2)


def _passed(interval: int, increase: int, count: int) -> int:
    """Return the number of the last boundary at or below `count`. Raises IntervalZero."""
    if interval <= 0 and increase <= 0:
        raise IntervalZero("a payment interval and an increase of zero have no boundary")
    if increase <= 0:
        return max(count, 0) // interval
    low, high = 0, isqrt(2 * max(count, 0) // increase + 1) + 2
    while high - low > 1:
        middle = (low + high) // 2
        if _boundary(interval, increase, middle) <= count:
            low = middle
        else:
            high = middle
    return low


def amount_to_send(
    received: int,
    interval: int,
    price_per_byte: int,
    unseal_price: int,
    unseal_paid: int,
    all_received: bool,
) -> int:
    """Return what a client owes in total for `received` bytes, unsealing included.

    While unsealing is unpaid, or when all blocks are there, every received byte is paid for. Else
    only whole intervals are: nothing below the current `interval`, and no byte beyond it.
    """
    if unseal_paid >= unseal_price and not all_received:
        if received < interval:
            return 0
        received = interval
    return received * price_per_byte + unseal_price


def outstanding_balance(terms: Terms, funds_received: int, sent: int, *, finalizing: bool) -> int:
    """Return what a v1.28.3 provider is owed for `sent` bytes; at the end every byte counts."""
    if funds_received < terms.unseal_price:
        return terms.unseal_price - funds_received
    if terms.price_per_byte == 0:
        return 0
    due = sent
    if not finalizing:
        due = interval_lower_bound(terms.interval, terms.increase, sent, reached=True)
    return max(due * terms.price_per_byte - (funds_received - terms.unseal_price), 0)


def data_limit(terms: Terms, funds_received: int) -> int:
    """Return how many bytes a v1.28.3 provider may send for the money it has; 0: no limit."""
    if terms.price_per_byte == 0:
        return 0
    paid_for = (funds_received - terms.unseal_price) // terms.price_per_byte
    return next_interval(terms.interval, terms.increase, max(paid_for, 0))


def payment_owed(terms: Terms, interval: int, total_paid: int) -> int:
    """Return what a provider of pop or v1.6 is owed before it sends beyond its `interval`.

    It may be negative: the client paid ahead. Only what is above zero keeps the transfer paused.
    """
    if total_paid < terms.unseal_price:
        return terms.unseal_price - total_paid
    due = interval_lower_bound(terms.interval, terms.increase, interval, reached=False)
    return due * terms.price_per_byte - (total_paid - terms.unseal_price)


@dataclass(frozen=True)
class Metered:
    """What the provider makes of sent data: the event for its deal, and what the client is told.

    `pause`: the transfer waits for money. `status` and `owed` are the voucher result, if there is
    one (`status` is not empty).
    """

    events: tuple[tuple[str, Mapping[str, Any]], ...]
    pause: bool = False
    status: str = ""
    owed: int = 0


@dataclass(frozen=True)
class Meter:
    """The provider's count of one transfer, as pop and v1.6 keep it (in memory; here it is data).

    It follows the deal only when money arrived (`reload`), which is why it can be ahead of it.
    """

    price_per_byte: int
    total_sent: int
    paid_for: int
    interval: int

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Meter:
        """Begin (or, after a payment or a crash, begin again) at what the deal says."""
        terms = Terms.of(fields)
        paid_for = 0
        if terms.price_per_byte > 0:
            paid = max(amount(fields, "FundsReceived") - terms.unseal_price, 0)
            paid_for = paid // terms.price_per_byte
        sent = amount(fields, "TotalSent")
        return cls(terms.price_per_byte, sent, paid_for, amount(fields, "CurrentInterval"))

    @property
    def owed(self) -> int:
        """What the bytes that were sent and are not paid for cost."""
        return (self.total_sent - self.paid_for) * self.price_per_byte

    def block(self, size: int) -> tuple[Meter, Metered]:
        """Return the count after a block of `size` bytes was queued, and what it led to."""
        sent = self.total_sent + size
        after = Meter(self.price_per_byte, sent, self.paid_for, self.interval)
        params = {"totalSent": sent}
        if self.price_per_byte == 0 or sent < self.interval:
            return after, Metered((("ProviderEventBlockSent", params),))
        requested = (("ProviderEventPaymentRequested", params),)
        return after, Metered(requested, True, "DealStatusFundsNeeded", after.owed)

    def end(self) -> Metered:
        """Return what the end of the transfer leads to: completion, or the last payment."""
        completed: tuple[str, Mapping[str, Any]] = ("ProviderEventBlocksCompleted", {})
        if self.owed == 0:
            return Metered((completed,), status="DealStatusCompleted")
        requested = ("ProviderEventPaymentRequested", {"totalSent": self.total_sent})
        return Metered((completed, requested), True, "DealStatusFundsNeededLastPayment", self.owed)


def payment(fields: Mapping[str, Any], status: str, received: int, channel: str) -> Metered:
    """Return what a saved voucher worth `received` leads to at a provider of pop.

    `fields` and `status` are the deal's before it. The provider reloads its `Meter` after a
    payment that was enough.
    """
    paid = amount(fields, "FundsReceived") + received
    owed = payment_owed(Terms.of(fields), amount(fields, "CurrentInterval"), paid)
    params = {"fundsReceived": received, "ch": channel}
    if owed > 0:
        return Metered((("ProviderEventPartialPaymentReceived", params),), True, status, owed)
    last = status == "DealStatusFundsNeededLastPayment"
    result = "DealStatusCompleted" if last else ""
    return Metered((("ProviderEventPaymentReceived", params),), status=result)
