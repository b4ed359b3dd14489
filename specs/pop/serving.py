"""What the serving machine's expressions call: the provider's metering, as one transfer sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..filecoin.metering import Meter, Terms, next_interval, payment_owed
from .linking import is_link


def asks_for_money(price: int, sent: int, paid_for: int, interval: int, size: int) -> bool:
    """Whether a block of `size` bytes more brings the count to the boundary."""
    _, metered = Meter(price, sent, paid_for, interval).block(size)
    return metered.pause


def owed_for(price: int, sent: int, paid_for: int) -> int:
    """Return what the bytes that are sent and not paid for cost; below zero: paid ahead."""
    return Meter(price, sent, paid_for, 0).owed


def still_owed(
    price: int, first: int, increase: int, unseal: int, interval: int, total_paid: int
) -> int:
    """Return what is missing before anything goes out beyond `interval`; not above 0: nothing."""
    if price == 0:
        return max(unseal - total_paid, 0)
    return payment_owed(Terms(price, first, increase, unseal), interval, total_paid)


def bytes_paid_for(price: int, unseal: int, total_paid: int) -> int:
    """Return how many bytes a total pays for, once unsealing is paid."""
    return max(total_paid - unseal, 0) // price if price > 0 else 0


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "asks_for_money": asks_for_money,
    "bytes_paid_for": bytes_paid_for,
    "is_link": is_link,
    "next_interval": next_interval,
    "owed_for": owed_for,
    "still_owed": still_owed,
}
