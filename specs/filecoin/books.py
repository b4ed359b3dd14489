"""Two folds of one channel, compared: what the chain's entries give, and what a side's book says.

The book (`filecoin.channel_account`) knows of the chain what its node saw; the chain's own fold is
`filecoin.payment_channel`. Neither is ever written from the other, so they may differ: because the
book is old, because somebody else put money in, or because one of them is wrong. What a difference
means is the auditor's to say; here it is only found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...fsm.types import exact_int
from .channel_account import OUTBOUND


class Difference(NamedTuple):
    """One figure on which chain and book differ. `lane`: None where it is of the channel."""

    what: str
    lane: int | None
    chain: int | str | None
    book: int | str | None

    def __str__(self) -> str:
        """`what of lane N: the chain has …, the book …`."""
        chain, book = self.shown
        return f"{self.figure}: the chain has {chain}, the book {book}"

    @property
    def figure(self) -> str:
        """The figure's name, with its lane."""
        return self.what if self.lane is None else f"{self.what} of lane {self.lane}"

    @property
    def shown(self) -> tuple[str, str]:
        """What the chain has, and what the book, in words."""
        chain, book = ("nothing" if one is None else str(one) for one in (self.chain, self.book))
        return chain, book


DEPOSITS = "deposits"
_OF_BOTH = (
    ("balance", "balance"),
    ("to_send", "to_send"),
    ("settling_at", "settling_at"),
    ("min_settle_height", "min_settle_height"),
)
ACCOUNT_FIELDS = (*(seen for _, seen in _OF_BOTH), "amount", "direction", "present", "seen_lanes")
"""What of an account's data says what it has seen of the chain."""


def compare(chain: Mapping[str, Any], book: Mapping[str, Any]) -> list[Difference]:
    """Return where the fold of a channel (`chain`) and a side's book (`book`) differ, in order.

    Both are the data of an instance, typed or in JSON form. Compared are the balance, to_send,
    settling_at and min_settle_height as seen, each lane as seen, and the deposits: the book knows
    those of its own side alone, so where the chain has more, that is somebody else's money.
    """
    found = [
        Difference(what, None, _number(chain.get(what)), _number(book.get(seen)))
        for what, seen in _OF_BOTH
        if _number(chain.get(what)) != _number(book.get(seen))
    ]
    deposited, sent = _number(chain.get("deposited")), _number(book.get("amount"))
    if deposited != sent and _number(book.get("direction")) == OUTBOUND:
        found.append(Difference(DEPOSITS, None, deposited, sent))
    on_chain, in_book = _lanes(chain.get("lanes")), _lanes(book.get("seen_lanes"))
    for lane in sorted({*on_chain, *in_book}):
        for part, name in enumerate(("redeemed", "nonce")):
            one = on_chain[lane][part] if lane in on_chain else None
            other = in_book[lane][part] if lane in in_book else None
            if one != other:
                found.append(Difference(name, lane, one, other))
    return found


def _number(value: Any) -> int:
    """Return a figure that may be typed, JSON (a decimal string), absent, or no figure at all."""
    return exact_int(value) or 0


def _lanes(lanes: Any) -> dict[int, tuple[int, int]]:
    """Return redeemed and nonce of each lane that is one: a hostile book may hold anything."""
    return {
        number: (_number(one.get("redeemed")), _number(one.get("nonce")))
        for lane, one in (lanes.items() if isinstance(lanes, Mapping) else ())
        if isinstance(one, Mapping) and (number := exact_int(lane)) is not None
    }
