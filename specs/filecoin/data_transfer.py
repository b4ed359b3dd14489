"""What the data transfer machines' expressions call: vouchers, stage log, what a deal hears.

A transfer tells the deal that it serves what it saw; the client of a deal reads the provider's
answer out of each voucher result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .stage_log import logged
from .statuses import RETRIEVAL, name_of

VOUCHERS_KEPT = 100
"""How many vouchers, and voucher results, the data holds: the newest. The tape holds all."""
TAKES_CHANNEL = (
    "filecoin.gfm_retrieval_provider",
    "filecoin.gfm_retrieval_provider_pinned",
    "pop.retrieval_provider_before_b74d8aa",
)
"""The providers whose DealAccepted names the channel; pop's later one knows it before."""


def kept(vouchers: Mapping[int, Any], voucher: Any) -> dict[int, Any]:
    """Return the vouchers, by their number from 0, with another one; only the newest stay."""
    number = max(vouchers, default=-1) + 1
    oldest = number + 1 - VOUCHERS_KEPT
    return {**{at: one for at, one in vouchers.items() if at >= oldest}, number: voucher}


def answer(result: Any) -> dict[str, Any]:
    """Return the deal response in a voucher result: Status ("" if it is none), owed, message."""
    if not isinstance(result, dict) or not isinstance(result.get("Status"), str | int):
        return {"Status": "", "PaymentOwed": 0, "Message": ""}
    owed = str(result.get("PaymentOwed") or 0)
    message = result.get("Message")
    return {
        "Status": name_of(str(result["Status"]), RETRIEVAL),
        "PaymentOwed": int(owed) if owed.isdecimal() and len(owed) <= 1000 else 0,
        "Message": message if isinstance(message, str) else "",
    }


def takes_channel(deal: str) -> bool:
    """Whether the machine of the instance `deal` is told the channel when the deal is accepted."""
    return deal.partition("/")[0] in TAKES_CHANNEL


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "answer": answer,
    "kept": kept,
    "logged": logged,
    "takes_channel": takes_channel,
}
