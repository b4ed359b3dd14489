"""Pure functions of the transaction machine: prices, and which offer comes first.

Offers are records as `tx.yaml` declares them; a queue holds their ids in the order in which they
are to be tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .backoff import rounds
from .linking import is_link

Offer = Mapping[str, Any]

BACKOFF_MAX_US = 3_600_000_000
FREE_ONLY = -1
FIRST = "SelectFirst"
CHEAPEST = "SelectCheapest"
FIRST_LOWER_THAN = "SelectFirstLowerThan"


def price_cap(maxppb: int, node_maxppb: int, max_price: int | None) -> int:
    """Return the highest price per byte that may be paid, in attofil.

    `maxppb`: -1 only free, 0 the node's value, else the value; the node's own reads the same, and
    where it says nothing (0) nothing is paid. A strategy's `max_price` only lowers it.
    """
    cap = max(node_maxppb if maxppb == 0 else maxppb, 0)
    return cap if max_price is None else min(cap, max_price)


def within_cap(price: int, cap: int | None) -> bool:
    """Whether a price is not above the cap; without one, every price is."""
    return cap is None or price <= cap


def chosen_strategy(strategy: str, cap: int) -> str:
    """Return the strategy: the one that was asked for, else what the cap suggests."""
    return strategy or (FIRST_LOWER_THAN if cap > 0 else FIRST)


def cheapest_first(queue: Sequence[str], offers: Mapping[str, Offer]) -> tuple[str, ...]:
    """Return the queue by price per byte; of the same price, the earlier offer first."""
    return tuple(sorted(queue, key=lambda one: offers[one]["price"]))


def queued(
    queue: Sequence[str], offers: Mapping[str, Offer], offer: Offer, by_price: bool
) -> tuple[str, ...]:
    """Return the queue with one more offer: at its end, or the whole by price."""
    longer = (*queue, offer["id"])
    if not by_price:
        return longer
    return cheapest_first(longer, {**offers, offer["id"]: offer})


def funds_available(balance: int | None, remaining: int) -> int:
    """Return what may be spent: the wallet's balance, and what an earlier deal left over."""
    return (balance or 0) + remaining


def balance_after(balance: int | None, taken: int) -> int | None:
    """Return the wallet's balance without what was taken; unknown stays unknown."""
    return None if balance is None else balance - taken


def amount_or(given: int | None, other: int) -> int:
    """Return the amount that was given, or the other one."""
    return other if given is None else given


def distinct(items: Sequence[str]) -> tuple[str, ...]:
    """Return the items, each once, where it came first."""
    return tuple(dict.fromkeys(items))


def dispatch_time(attempts: int, backoff_min: int) -> int:
    """Return how long all rounds of a dispatch last at most, in microseconds."""
    return rounds(attempts, backoff_min, BACKOFF_MAX_US)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "amount_or": amount_or,
    "balance_after": balance_after,
    "cheapest_first": cheapest_first,
    "chosen_strategy": chosen_strategy,
    "dispatch_time": dispatch_time,
    "distinct": distinct,
    "funds_available": funds_available,
    "is_link": is_link,
    "price_cap": price_cap,
    "queued": queued,
    "within_cap": within_cap,
}
