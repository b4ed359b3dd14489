"""Disputes about what a party did or says it did: submitting, merging, collecting, keeping books.

A claim of having submitted is no evidence; a receipt is. What is told twice, here and by D1, has
its amount there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ...fsm.audit import CLEAR, FOUND, UNDECIDABLE, Cited, Verdict
from ...fsm.fold import merge
from ...fsm.types import Json
from .audit_case import Case, Story, dispute, sentence, verdict
from .audit_chain import COLLECT, OBSERVED, SETTLE, UPDATE, Message
from .audit_facts import ACCOUNT, SERVICE_DELIVERED, SUBMITTED, BookFacts, Happening
from .audit_papers import PAYEE, PAYER
from .audit_vouchers import cited, still_owed
from .books import ACCOUNT_FIELDS, DEPOSITS, compare

# D8: paid twice

_TOTAL = (
    "A voucher's amount is its lane's total, not an increment: what was redeemed on a lane is its"
    " last amount, however often it was redeemed. Two lanes are two payments."
)


@dispute("D8")
def twice(case: Case) -> Iterator[Verdict]:
    """One voucher took effect twice, or one service was paid on two lanes."""
    counts = Counter(one.voucher.id for one in case.chain.applied if one.voucher is not None)
    double = [case.stories[name] for name, count in counts.items() if count > 1]
    for story in double:
        yield verdict(
            "D8",
            FOUND,
            f"The tape has {story.voucher.title} redeemed {counts[story.voucher.id]}"
            " times, which the actor never does: this record is wrong.",
            _TOTAL,
            bearer="undecided",
            entries=[one.cited for one in story.messages if one.accepted],
        )
    lanes = list(_same_service(case))
    for what, claims, lesser in lanes:
        own = all(claim.role == PAYEE for claim in claims)
        yield verdict(
            "D8",
            FOUND if own else UNDECIDABLE,
            f"“{what}” is said to be what vouchers on {len(claims)} lanes were for; each lane was"
            " redeemed, and that is so many payments.",
            _TOTAL,
            bearer=PAYER if own else "undecided",
            amount=lesser,
            entries=[claim.cited for claim in claims],
        )
    if not double and not lanes:
        total = sum(lane.redeemed for lane in case.chain.lanes().values())
        yield verdict(
            "D8", CLEAR, f"No voucher took effect twice; the lanes' totals come to {total}.", _TOTAL
        )


def _same_service(case: Case) -> Iterator[tuple[str, list[Happening], int]]:
    """Yield what several redeemed lanes are said to have been for, and all but the dearest."""
    told: dict[str, dict[int, Happening]] = defaultdict(dict)
    for book in case.books:
        for one in book.happenings:
            what = one.params.get("what")
            if one.kind == SERVICE_DELIVERED and one.voucher is not None and one.voucher.terms:
                told[str(what)].setdefault(one.voucher.terms.lane, one)
    for what, claims in told.items():
        lanes = {number: case.chain.lane(number) for number in claims}
        redeemed = {n: lane.redeemed for n, lane in lanes.items() if lane and lane.redeemed > 0}
        if len(redeemed) > 1:
            lesser = sum(redeemed.values()) - max(redeemed.values())
            yield what, [claims[number] for number in sorted(redeemed)], lesser


# D9: a merge went wrong

_MERGE = (
    "A merge folds what another lane has redeemed into the voucher's amount and lifts that lane's"
    " nonce. What was outstanding on it up to that nonce is void; what was redeemed on it is"
    " subtracted again by every later merge."
)


class _Merged(NamedTuple):
    """What one applied voucher's merges did: what is void, what was subtracted once more."""

    message: Message
    voided: list[Story]
    lost: int
    again: int


@dispute("D9")
def merges(case: Case) -> Iterator[Verdict]:
    """Merging made vouchers void, or subtracted a lane twice."""
    before: Counter[int] = Counter()
    told = False
    for message in case.chain.applied:
        story = message.voucher and case.stories.get(message.voucher.id)
        if not story or not story.terms.merges:
            continue
        told = True
        found = _merged(case, message, story, before)
        amount = found.lost + found.again
        parts = [f"{message.says} merged {len(story.terms.merges)} lanes"]
        if found.voided:
            names = ", ".join(one.voucher.title for one in found.voided[:5])
            parts.append(f"void are {names}")
            parts.append(f"their {found.lost} is lost" if found.lost else "its amount covers them")
        if found.again:
            parts.append(f"{found.again} was subtracted a second time")
        if message.differs:
            parts.append("the record differs from what the rules give")
        bad = bool(found.voided or found.again or message.differs)
        yield verdict(
            "D9",
            FOUND if bad else CLEAR,
            "; ".join(parts) + ".",
            _MERGE,
            bearer=PAYEE if amount else "nobody",
            amount=amount,
            entries=cited([message], found.voided),
            signatures=case.signed(found.voided[:5]),
        )
    if not told:
        yield verdict("D9", CLEAR, "No voucher that was redeemed merges lanes.", _MERGE)


def _merged(case: Case, message: Message, story: Story, before: Counter[int]) -> _Merged:
    """Return what a voucher's merges did; `before`: what the last merge of a lane subtracted."""
    voided: list[Story] = []
    owed: dict[int, int] = {}
    again = others = 0
    for number, nonce in story.terms.merges:
        lane = case.chain.lane(number, message.number)
        redeemed = lane.redeemed if lane is not None else 0
        others += redeemed
        again += min(redeemed, before[number])  # what an earlier merge has subtracted already
        before[number] = redeemed
        void = [
            one
            for one in case.stories.values()
            if one.terms.lane == number
            and one.terms.nonce <= nonce
            and one.applied is None
            and one.terms.amount > redeemed
            and one.voucher.redeemable_by_signature(PAYER) is True
            and case.held(one) is not None
            and (lane is None or one.terms.nonce > lane.nonce)
            and one not in voided
        ]
        voided += void
        most = max((one.terms.amount for one in void), default=redeemed)
        owed[number] = max(owed.get(number, 0), most - redeemed)
    own = case.chain.lane(story.terms.lane, message.number)
    gain = story.terms.amount - others - (own.redeemed if own is not None else 0)
    return _Merged(message, voided, max(0, sum(owed.values()) - max(0, gain)), again)


# D16: I submitted it

_SUBMITTED = (
    "Only a receipt with exit 0 counts. That a node marked a voucher as submitted, or pushed a"
    " message, shows nothing: messages are replaced, run out of gas (exit 7), or are reverted."
)
_PUSHED = {"settle_pushed": SETTLE, "collect_pushed": COLLECT}


@dispute("D16")
def submitted(case: Case) -> Iterator[Verdict]:
    """A side says that it submitted; does a receipt say so too?"""
    claims = [
        one for book in case.books for one in book.happenings if one.kind in (SUBMITTED, *_PUSHED)
    ]
    failed = [(one, found) for one in claims if (found := _failing(case, one)) is not None]
    for claim, message in failed:
        yield verdict(
            "D16",
            FOUND,
            f"{sentence(claim.says)}; its receipt: {message.outcome}.",
            _SUBMITTED,
            bearer=claim.role or "undecided",
            entries=[claim.cited, message.cited],
        )
    unseen = [one for one in claims if not _taken(case, one) and _failing(case, one) is None]
    if unseen:
        over = case.over or case.collected
        what = "never took effect" if over else "no tape has a receipt of"
        yield verdict(
            "D16",
            FOUND if over else UNDECIDABLE,
            f"{len(unseen)} messages are said to have been pushed that {what}"
            + ("." if over else " yet."),
            _SUBMITTED,
            bearer=unseen[0].role if over and unseen[0].role else "undecided",
            entries=cited(unseen),
        )
    if not failed and not unseen:
        yield verdict(
            "D16",
            CLEAR,
            f"For each of {len(claims)} messages that are said to have been pushed there"
            " is a receipt with exit 0, or another message did the same.",
            _SUBMITTED,
        )


def _taken(case: Case, claim: Happening) -> bool:
    """Whether what a claim says was pushed took effect, by this message or by another."""
    if claim.kind == SUBMITTED:
        return any(one.voucher is claim.voucher for one in case.chain.applied)
    return case.chain.first_accepted(_PUSHED[claim.kind]) is not None


def _failing(case: Case, claim: Happening) -> Message | None:
    """Return the message that a claim is about, if it failed and nothing did the same later."""
    if _taken(case, claim):
        return None
    event = _PUSHED.get(claim.kind, UPDATE)
    name = claim.params.get("message")
    ended = [one for one in case.chain.messages if one.code]
    named = [one for one in ended if one.message and one.message == name]
    same = [
        one
        for one in ended
        if one.event == event and (event != UPDATE or one.voucher is claim.voucher)
    ]
    return next(iter(named or same), None)


# D17: who may collect

_COLLECT = (
    "Either party may collect from settling_at on (before it, or by anybody else: exit 18). If a"
    " payout fails, its exit code is Collect's, everything is rolled back, and it can be tried"
    " again. Who collects does not change the split."
)


_FAILED_COLLECT = {
    "CALLER_NOT_PARTY": "not by a party",
    "NOT_SETTLED": "before settling_at",
    "CHANNEL_DELETED": "the channel was gone already",
    "PAYOUT_TO_FAILED": "the payout to the payee failed, and all was rolled back",
    "PAYOUT_FROM_FAILED": "the refund to the payer failed, and all was rolled back",
}


@dispute("D17")
def collecting(case: Case) -> Iterator[Verdict]:
    """A Collect failed, or paid otherwise than the rules say."""
    tries = [one for one in case.chain.messages if one.event == COLLECT]
    done = case.chain.collected_by
    for one in tries:
        if one.accepted:
            continue
        later = done is not None and done.number > one.number
        then = "it was collected later" if later else "it can be tried again"
        why = _FAILED_COLLECT.get(one.reason, "the call was refused")
        yield verdict(
            "D17",
            FOUND,
            f"{one.says}: {why}; {then}. The split is the same.",
            _COLLECT,
            amount=0,
            entries=[one.cited],
        )
    if done is not None:
        paid, owed = done.after.paid_to, done.before.to_send
        if paid != owed:
            yield verdict(
                "D17",
                FOUND,
                f"The tape has {paid} paid to the payee, and {owed} was redeemed: this"
                " record is wrong.",
                _COLLECT,
                bearer="undecided",
                entries=[done.cited],
            )
            return
    if all(one.accepted for one in tries):
        text = "Collected once, with the split that was redeemed." if done else "Nobody collected."
        yield verdict("D17", CLEAR, text, _COLLECT, entries=[one.cited for one in tries])


# D18: the books

_BOOKS = (
    "What went in less what was paid out is the balance. A node's own sum of deposits leaves out"
    " what others sent; any surplus is the payer's when it is collected."
)


@dispute("D18")
def books(case: Case) -> Iterator[Verdict]:
    """The sums do not come out, or the books differ from the chain or from each other."""
    state = case.state
    told = False
    rest = state.deposited - state.paid_to - state.paid_from - state.balance
    if rest:
        told = True
        seen = [one.cited for one in case.chain.messages if one.event == OBSERVED]
        yield verdict(
            "D18",
            FOUND,
            f"Deposits of {state.deposited} less payouts of"
            f" {state.paid_to + state.paid_from} do not make the balance of {state.balance}.",
            _BOOKS,
            bearer="undecided",
            amount=abs(rest),
            entries=seen,
        )
    for difference in case.differences:
        told = True
        yield verdict(
            "D18",
            FOUND,
            f"{sentence(difference.says)}.",
            _BOOKS,
            bearer="undecided",
            entries=difference.cited,
        )
    for book in case.books:
        for text, place in _account(case, book):
            told = True
            yield verdict("D18", FOUND, text, _BOOKS, amount=0, entries=[place])
    if not told:
        text = "Deposits less payouts make the balance, and the books say so too."
        yield verdict("D18", CLEAR, text, _BOOKS)


def _account(case: Case, book: BookFacts) -> Iterator[tuple[str, Cited]]:
    """Yield where a side's own book differs from the chain: what it never learned of."""
    name = f"{ACCOUNT}/{case.key}"
    mine = {pos for pos, found in book.book.names.items() if found == name}
    data: dict[str, Json] = {}
    last = 0
    for entry in book.book.entries:
        if entry.outcome is None and (entry.create == name or entry.instance in mine):
            patch = entry.set or {}
            merge(data, {field: patch[field] for field in ACCOUNT_FIELDS if field in patch})
            last = entry.pos
    if not last or not data.get("present", True):
        return
    whose = f"The {book.role}'s book" if book.role else "The book"
    place = Cited(book.side, last, f"{whose.lower()}: the account as it was last")
    lanes = {number: lane._asdict() for number, lane in case.chain.lanes().items()}
    for one in compare({**case.state._asdict(), "lanes": lanes}, data):
        if one.what == DEPOSITS:
            if one.book and book.role == PAYER:
                yield _deposits(whose, int(one.chain or 0), int(one.book)), place
        elif not case.collected:
            real, known = one.shown
            yield f"{whose} has {one.figure} {known}; by the chain facts it is {real}.", place


def _deposits(whose: str, came: int, sent: int) -> str:
    """Say that a payer sent another sum than came in."""
    rest = "more is from others" if came > sent else "less never arrived"
    return (
        f"{whose} has sent {sent}; {came} came in. The {abs(came - sent)} {rest}; what is not"
        " redeemed goes back to the payer, whoever sent it."
    )


# D20: after Settle or Collect

_AFTER = (
    "A voucher that is made or taken after Settle can be redeemed only before settling_at, and"
    " after Collect never. Nothing stops a payee from accepting it; a careful one refuses it."
)


@dispute("D20")
def after(case: Case) -> Iterator[Verdict]:
    """A voucher was issued or accepted after Settle or Collect."""
    settle = case.chain.settled_by
    if settle is None or settle.height is None:
        yield verdict("D20", CLEAR, "Nobody has settled.", _AFTER)
        return
    late: list[tuple[Story, Happening]] = []
    for story in case.stories.values():
        claim = story.accepted or story.received or story.issued
        if claim is not None and claim.height is not None and claim.height >= settle.height:
            late.append((story, claim))
    for story, claim in late:
        height = claim.height or 0
        end = case.state.settling_at
        if story.applied is not None:
            then = "it was redeemed in time all the same"
        elif height >= end:
            then = "it was worthless then"
        elif case.over:
            then = f"redeemable up to height {end - 1}, it was not redeemed (D1 has the loss)"
        else:
            then = f"it can be redeemed up to height {end - 1}"
        lost = still_owed(case, story) if height >= end and story.accepted is not None else 0
        yield verdict(
            "D20",
            FOUND if story.applied is None else CLEAR,
            f"{sentence(claim.says)} at height {height}, after Settle at {settle.height}: {then}.",
            _AFTER,
            bearer=PAYEE if case.over and _relied(case, story) else "nobody",
            amount=lost or None,
            entries=[claim.cited, settle.cited],
            signatures=story.voucher.signed,
        )
    if not late:
        yield verdict("D20", CLEAR, "No voucher was made or taken after Settle.", _AFTER)


def _relied(case: Case, story: Story) -> bool:
    """Whether the payee has an unredeemed voucher that it did not refuse."""
    taken = story.accepted is not None or story.refused is None
    return story.applied is None and taken and case.held(story) is not None
