"""Two books' chain facts side by side: which messages only one has, and which ended differently.

A chain has one history, so wherever the books differ at least one of them is wrong or incomplete;
which, only a receipt can say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

from ...fsm.audit import Cited
from .audit_chain import OBSERVED, Chain, Message


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the books' chain facts differ.

    `kind`: missing (the book of `side` lacks a message that the other has) or outcome (both have
    it, with another end). `number`: the message's place in the chain that has it.
    """

    kind: str
    side: str
    number: int
    says: str
    cited: tuple[Cited, ...]


def compare_chains(one: Chain, other: Chain) -> list[Difference]:
    """Return every difference between two books' chain facts; [] where they agree."""
    pairs, alone_one, alone_other = _paired(one, other)
    found = [_missing(message, other.side) for message in alone_one]
    found += [_missing(message, one.side) for message in alone_other]
    for left, right in pairs:
        unlike = _unlike(left, right)
        if unlike:
            says = f"the books tell one message differently ({unlike})"
            found.append(
                Difference("outcome", other.side, left.number, says, (left.cited, right.cited))
            )
    return found


def _missing(message: Message, side: str) -> Difference:
    says = f"{side} does not have the message that {message.side} has: {message.says}"
    return Difference("missing", side, message.number, says, (message.cited,))


def _paired(
    one: Chain, other: Chain
) -> tuple[list[tuple[Message, Message]], list[Message], list[Message]]:
    """Pair messages by their id on the chain, else by what they are and when, in order."""
    pairs: list[tuple[Message, Message]] = []
    left = [message for message in one.messages if message.event != OBSERVED]
    right = [message for message in other.messages if message.event != OBSERVED]
    for key in (_by_id, _by_content):
        waiting: dict[Hashable, list[Message]] = defaultdict(list)
        for message in right:
            waiting[key(message)].append(message)
        rest = []
        for message in left:
            name = key(message)
            match = waiting[name].pop(0) if name is not None and waiting[name] else None
            if match is None:
                rest.append(message)
            else:
                pairs.append((message, match))
        taken = {(match.side, match.pos) for _, match in pairs}
        left, right = rest, [m for m in right if (m.side, m.pos) not in taken]
    return pairs, left, right


def _by_id(message: Message) -> Hashable:
    return (message.event, message.message) if message.message else None


def _by_content(message: Message) -> Hashable:
    voucher = message.voucher.id if message.voucher is not None else ""
    return (message.event, message.height, message.sender, voucher, message.value)


def _unlike(one: Message, other: Message) -> str:
    """Return in which way two records of one message differ, "" if they do not."""
    told = [
        (name, getattr(one, name), getattr(other, name))
        for name in ("height", "accepted", "code", "sender", "value")
    ]
    if one.before == other.before:  # else every later message would differ for the first one
        told += [
            (name, getattr(one.after, name), getattr(other.after, name))
            for name in ("balance", "to_send", "settling_at", "min_settle_height")
        ]
    if one.exit is not None and other.exit is not None:
        told.append(("the receipt's exit", one.exit, other.exit))
    return ", ".join(f"{name}: {left} or {right}" for name, left, right in told if left != right)
