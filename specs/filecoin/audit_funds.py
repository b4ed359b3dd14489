"""Disputes about money: promises beyond the balance, and messages that met too little of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...fsm.audit import CLEAR, FOUND, Verdict
from .audit_case import Case, Story, dispute, verdict
from .audit_chain import Message
from .audit_deadlines import SHOWN_MAX, story_cited
from .audit_papers import PAYEE
from .audit_quantities import value_at

_FUNDS_RULE = (
    "Payment channel actor, UpdateChannelState check 20: what is redeemed in all may not pass the"
    " balance (exit 16). Included messages are served first come; the nonce of a failed one stays"
    " good, so it can be repeated after a deposit, up to the deadline. A payee checks the sum of"
    " all lanes against the balance before it accepts."
)


@dispute("D7")
def d7(case: Case) -> Iterator[Verdict]:
    """Not enough funds: promised more than deposited, and redemptions that met too little."""
    short = [
        one
        for one in case.chain.messages
        if one.expected is not None and one.expected.reason == "INSUFFICIENT_BALANCE"
    ]
    for one in short:
        yield _refused(case, one)
    over = [row for row in case.rows if int(row.values["over_issued"] or "0") > 0]
    collect = case.chain.collected_by
    last = case.head if collect is None or collect.height is None else collect.height - 1
    values = value_at(case.rows, last)
    at_end = int((values or {}).get("over_issued") or "0")
    if over:
        yield _over_issued(case, over[0].height, at_end)
    elif not short:
        finding = "What was promised never passed the balance, and no message met too little of it."
        yield verdict("D7", CLEAR, finding, _FUNDS_RULE)


def _refused(case: Case, one: Message) -> Verdict:
    """A redemption that the balance did not cover: was it repeated, and can it be?"""
    story = case.stories.get(one.voucher.id) if one.voucher is not None else None
    needed = _needed(case, one)
    later = story.applied if story is not None else None
    finding = f"At height {one.height} the balance was {one.before.balance}, needed {needed}."
    if later is not None:
        finding += f" Repeated and redeemed at height {later.height}: nothing was lost."
    elif case.over:
        finding += " It was not redeemed later, and the deadline is past."
    else:
        finding += " It can be repeated after a deposit: its nonce is not used up."
    lost = needed - one.before.balance if later is None and case.over else None
    entries = [one.cited, *([later.cited] if later is not None else [])]
    return verdict(
        "D7",
        FOUND,
        finding,
        _FUNDS_RULE,
        bearer=case.role(one.sender) if lost else "nobody",
        amount=lost,
        entries=[*entries, *(case.end_cited if lost else [])],
        signatures=case.signed([story] if story is not None else []),
    )


def _needed(case: Case, one: Message) -> int:
    """What to_send would have become; without merges, which can only lessen it."""
    terms = one.voucher.terms if one.voucher is not None else None
    if terms is None:
        return one.before.to_send
    own = case.chain.lane(terms.lane, one.number)
    sources = {merge.lane for merge in terms.merges}
    merged = sum(
        lane.redeemed
        for source in sorted(sources)
        if (lane := case.chain.lane(source, one.number)) is not None
    )
    return one.before.to_send + terms.amount - merged - (own.redeemed if own is not None else 0)


def _over_issued(case: Case, since: int, at_end: int) -> Verdict:
    """The payer's promises passed the balance: by how much, and who took them all the same."""
    taken = _taken_beyond(case)
    finding = f"From height {since} the payer had promised more than the channel held"
    finding += f"; in the end {at_end} too much." if at_end else ", and covered it later."
    if taken and at_end:
        finding += (
            f" The payee accepted {len(taken)} of these all the same, against its own check:"
            f" {taken[0].voucher.title}{' and others' if len(taken) > 1 else ''}."
        )
    elif at_end:
        finding += " No book says that the payee accepted beyond the balance."
    return verdict(
        "D7",
        FOUND if at_end else CLEAR,
        finding,
        _FUNDS_RULE,
        bearer=PAYEE if taken and at_end else "nobody",
        amount=at_end or None,
        entries=story_cited(case, taken),
        signatures=case.signed(taken[:SHOWN_MAX]),
    )


def _taken_beyond(case: Case) -> Sequence[Story]:
    """The vouchers that the payee accepted while the sum of the promises passed the balance."""
    found = []
    for story in case.stories.values():
        answer = story.accepted
        if answer is None or answer.height is None:
            continue
        values = value_at(case.rows, answer.height) or {}
        if int(values.get("over_issued") or "0") > 0:
            found.append(story)
    return found
