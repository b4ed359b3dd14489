"""Pure functions of the funding queue: which requests are served, which fail, what is sent.

The rules are those of lotus's paychmgr (mergedFundsReq in simple.go): requests are merged into one
message; first those that may not touch the chain, then those that reserve, then plain deposits, and
within a class the smaller first. What was sent ahead and reserved by nobody serves reservations
without a message; a request is served whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...fsm.entry import names_instance
from .stored_voucher import account_of

Request = Mapping[str, Any]


def merge(requests: Mapping[int, Request], available: int, is_open: bool) -> dict[str, Any]:
    """Return what becomes of all requests that wait, if nothing is under way.

    `served`: out of `available`, without a message. `failed`: may not use the chain, and cannot be
    served. `carried`: go into one message of `message` attoFIL, of which `ahead` is reserved by
    nobody. `left`: of `available`. Without a channel nothing is available.
    """
    served, failed, sent = [], [], []
    left = available if is_open else 0
    serving = True
    for number in sorted(requests, key=lambda one: _rank(requests[one], one)):
        request = requests[number]
        if is_open and serving and request["reserve"] and request["amount"] <= left:
            left -= request["amount"]
            served.append(number)
        elif request["off_chain"]:
            failed.append(number)
        else:
            serving = False  # the next are no smaller, or reserve nothing
            sent.append(number)
    return {
        "served": tuple(served),
        "failed": tuple(failed),
        "carried": {number: requests[number] for number in sent},
        "message": amount_of(requests, sent),
        "ahead": amount_of(requests, [one for one in sent if not requests[one]["reserve"]]),
        "left": left if is_open else available,
        "used": available - left if is_open else 0,
    }


def _rank(request: Request, number: int) -> tuple[bool, bool, int, int]:
    return (not request["off_chain"], not request["reserve"], request["amount"], number)


def amount_of(requests: Mapping[int, Request], numbers: Sequence[int]) -> int:
    """Return what these requests ask for together."""
    return sum(requests[number]["amount"] for number in numbers)


def is_account(name: str) -> bool:
    """Whether a text names the book of a channel."""
    return names_instance(name) and name.startswith(account_of(""))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {"is_account": is_account, "merge": merge}
