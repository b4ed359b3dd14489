"""What the retrieval machines' expressions call: intervals, amounts, and the payment channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .metering import Terms, amount_to_send, next_interval
from .metering import data_limit as _data_limit
from .statuses import RETRIEVAL, RETRIEVAL_OF_POP, name_of


def with_channel(info: dict[str, Any] | None, channel: str) -> dict[str, Any]:
    """Return a deal's payment info with its channel, unless it has one already."""
    return info or {"PayCh": channel, "Lane": 0}


def with_lane(info: dict[str, Any] | None, lane: int) -> dict[str, Any]:
    """Return a deal's payment info with its lane."""
    return {"PayCh": info["PayCh"] if info else "", "Lane": lane}


def channel_of(info: dict[str, Any] | None) -> str:
    """Return the payment channel in a deal's payment info, "" if it has none."""
    return str(info["PayCh"]) if info else ""


def data_limit(
    price_per_byte: int, interval: int, increase: int, unseal_price: int, funds_received: int
) -> int:
    """Return how many bytes may be sent for the money received; 0 where nothing limits them."""
    if interval == 0 and increase == 0:
        return 0
    return _data_limit(Terms(price_per_byte, interval, increase, unseal_price), funds_received)


def decimal(number: int) -> str:
    """Return a number as text."""
    return str(number)


def status_name(status: str) -> str:
    """Return the name that go-fil-markets prints for a status."""
    return name_of(status, RETRIEVAL)


def status_name_of_pop(status: str) -> str:
    """Return the name of a status of pop."""
    return name_of(status, RETRIEVAL_OF_POP)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "amount_to_send": amount_to_send,
    "channel_of": channel_of,
    "data_limit": data_limit,
    "decimal": decimal,
    "next_interval": next_interval,
    "status_name": status_name,
    "status_name_of_pop": status_name_of_pop,
    "with_channel": with_channel,
    "with_lane": with_lane,
}
