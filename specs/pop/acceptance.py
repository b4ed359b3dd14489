"""Pure functions of the provider's side of a query: whether a proposal fits the offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .linking import is_link

ACCEPTED = ""


def proposal_verdict(offer: Mapping[str, Any], proposal: Mapping[str, Any]) -> str:
    """Return why a proposal is rejected, in words; "" where it is accepted.

    A client may pay more than the offer says, and sooner: never less, and never later. An interval
    of nothing that grows by nothing would never be over.
    """
    if proposal["price"] < offer["price"]:
        return f"price per byte too low: {proposal['price']} below {offer['price']} attofil"
    if proposal["unseal"] < offer["unseal"]:
        return f"unseal price too low: {proposal['unseal']} below {offer['unseal']} attofil"
    if proposal["payment_interval"] > offer["payment_interval"]:
        longest = offer["payment_interval"]
        return f"payment interval too large: {proposal['payment_interval']} above {longest} bytes"
    if proposal["interval_increase"] > offer["interval_increase"]:
        most = offer["interval_increase"]
        grows = proposal["interval_increase"]
        return f"payment interval increase too large: {grows} above {most} bytes"
    if proposal["price"] > 0 and proposal["payment_interval"] + proposal["interval_increase"] == 0:
        return "payment interval and its increase are zero: no payment would ever be due"
    return ACCEPTED


def balance_or_none(balance: int | None) -> int:
    """Return what a wallet holds; where nobody said, nothing."""
    return balance or 0


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "balance_or_none": balance_or_none,
    "is_link": is_link,
    "proposal_verdict": proposal_verdict,
}
