"""Pure functions of the payment channel machine: what a voucher is worth on its lane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .backoff import backoff
from .linking import is_link


def voucher_total(before: int, delta: int | None, amount: int | None) -> int:
    """Return a lane's cumulative amount with a voucher, from its amount or from its difference."""
    return amount if amount is not None else before + (delta or 0)


def voucher_agrees(before: int, delta: int | None, amount: int | None) -> bool:
    """Whether amount and difference, where both are said, say the same."""
    return delta is None or amount is None or amount - before == delta


def affordable(amount: int, balance: int | None) -> bool:
    """Whether a wallet covers an amount; a balance that nobody said does."""
    return balance is None or amount <= balance


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "affordable": affordable,
    "backoff": backoff,
    "is_link": is_link,
    "voucher_agrees": voucher_agrees,
    "voucher_total": voucher_total,
}
