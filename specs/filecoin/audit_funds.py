"""Disputes about money: promises beyond the balance, and messages that met too little of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...fsm.audit import CLEAR, FOUND, Signed, Verdict
from .audit_case import Case, Story, dispute, verdict
from .audit_chain import Message
from .audit_deadlines import SHOWN_MAX, story_cited
from .audit_papers import PAYEE
from .audit_quantities import value_at
from .audit_recheck import merged

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
    repeated = [one for one in short if _later(case, one) is not None]
    if repeated:
        yield _repeated(case, repeated)
    missed = [one for one in short if _later(case, one) is None]
    if missed:
        yield _missed(case, missed)
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


def _later(case: Case, one: Message) -> Message | None:
    """Return the later message that redeemed the voucher after all, or a newer one of its lane."""
    terms = one.voucher.terms if one.voucher is not None else None
    if terms is None:
        return None
    return next(
        (
            later
            for later, lane in case.chain.lane_changes(terms.lane)
            if later.number > one.number and lane.nonce >= terms.nonce
        ),
        None,
    )


def _met(case: Case, those: Sequence[Message]) -> str:
    """What the first of these messages met, and how many more there were."""
    one = those[0]
    more = f", and {len(those) - 1} more" if len(those) > 1 else ""
    return (
        f"At height {one.height} the balance was {one.before.balance + one.value}, needed"
        f" {_needed(case, one)}{more}."
    )


def _repeated(case: Case, those: Sequence[Message]) -> Verdict:
    later = [found for one in those if (found := _later(case, one)) is not None]
    return verdict(
        "D7",
        FOUND,
        f"{_met(case, those)} It, or a later one of its lane, was redeemed at height"
        f" {later[0].height}: nothing was lost.",
        _FUNDS_RULE,
        entries=[one.cited for one in (*those[:SHOWN_MAX], *later[:SHOWN_MAX])],
        signatures=[one for message in those[:SHOWN_MAX] for one in _signed(message)],
    )


def _missed(case: Case, those: Sequence[Message]) -> Verdict:
    finding = _met(case, those)
    if case.over:
        finding += " Not redeemed later, and the deadline is past: the deposit was short of it."
    else:
        finding += " It can be repeated after a deposit: its nonce is not used up."
    lost = max(_needed(case, one) - one.before.balance - one.value for one in those)
    return verdict(
        "D7",
        FOUND,
        finding,
        _FUNDS_RULE,
        bearer=case.role(those[-1].sender) if case.over else "nobody",
        amount=lost if case.over else None,
        entries=[*(one.cited for one in those[:SHOWN_MAX]), *(case.end_cited if case.over else [])],
        signatures=[one for message in those[:SHOWN_MAX] for one in _signed(message)],
    )


def _signed(message: Message) -> Sequence[Signed]:
    return message.voucher.signed if message.voucher is not None else ()


def _needed(case: Case, one: Message) -> int:
    """What to_send would have become."""
    terms = one.voucher.terms if one.voucher is not None else None
    if terms is None:
        return one.before.to_send
    own = case.chain.lane(terms.lane, one.number)
    others = merged(terms, lambda lane: case.chain.lane(lane, one.number)).subtracted
    return one.before.to_send + terms.amount - others - (own.redeemed if own is not None else 0)


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
    """The vouchers with which what the payee had accepted passed the balance of that height."""
    answers = [
        (answer, story)
        for story in case.stories.values()
        if (answer := story.accepted) is not None and answer.height is not None
    ]
    answers.sort(key=lambda one: one[0].pos)
    view: dict[int, int] = {}
    found = []
    for answer, story in answers:
        height = answer.height or 0
        terms = story.terms
        view[terms.lane] = max(terms.amount, view.get(terms.lane, 0))
        state = case.chain.state_at(height)
        if sum(view.values()) - state.merged_away > state.balance and state.phase != "collected":
            found.append(story)
    return found
