"""Two folds of one channel, compared: what the chain's entries give, and what a side's book says.

The book (`filecoin.channel_account`) knows of the chain what its node saw; the chain's own fold is
`filecoin.payment_channel`. Neither is ever written from the other, so they may differ: because the
book is old, because somebody else put money in, or because one of them is wrong. What a difference
means is the auditor's to say; here it is only found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One figure on which chain and book differ. `lane`: None where it is of the channel."""

    what: str
    lane: int | None
    chain: int | str | None
    book: int | str | None

    def __str__(self) -> str:
        """`what lane N: the chain has …, the book …`."""
        where = "" if self.lane is None else f" of lane {self.lane}"
        return f"{self.what}{where}: the chain has {self.chain}, the book {self.book}"


_OF_BOTH = (
    ("balance", "balance"),
    ("to_send", "to_send"),
    ("settling_at", "settling_at"),
    ("min_settle_height", "min_settle_height"),
)


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
    if deposited != sent and int(book.get("direction", 1)) == 2:
        found.append(Difference("deposits", None, deposited, sent))
    on_chain, in_book = _lanes(chain.get("lanes")), _lanes(book.get("seen_lanes"))
    for lane in sorted({*on_chain, *in_book}):
        for part, name in enumerate(("redeemed", "nonce")):
            one = on_chain[lane][part] if lane in on_chain else None
            other = in_book[lane][part] if lane in in_book else None
            if one != other:
                found.append(Difference(name, lane, one, other))
    return found


def _number(value: Any) -> int:
    """Return a figure that may be typed, JSON (a decimal string), or absent."""
    return int(value or 0)


def _lanes(lanes: Mapping[Any, Mapping[str, Any]] | None) -> dict[int, tuple[int, int]]:
    return {
        int(lane): (_number(one.get("redeemed")), _number(one.get("nonce")))
        for lane, one in (lanes or {}).items()
    }
