"""The four parts of a report: what the chain did, what could be had, whose claim is contradicted by
a signature or a receipt, and what nobody can decide.

The first is reproducible from chain facts alone; the second says whose word it rests on; the third
names the entry and what speaks against it; the last is everything that the tapes do not show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ...fsm.audit import UNDECIDABLE, Cited, Statement, Verdict
from .audit_case import Case, Story, sentence
from .audit_chain import ADOPTED, CHECKED, OBSERVED, Message
from .audit_facts import ACCEPTED, APPLIED, FAILED, SERVICE_DELIVERED, SUBMITTED
from .audit_papers import NOBODY, OTHER, PAYEE, PAYER, UNKNOWN

SHOWN_MAX = 20


def some(cited: Iterable[Cited]) -> tuple[Cited, ...]:
    """Return the first of many entries; a statement that rests on thousands names twenty."""
    return tuple(islice(cited, SHOWN_MAX))


def chain_part(case: Case) -> Iterator[Statement]:
    """What the chain did, and whether that is what the actor's rules give."""
    if case.chain.creation is None:
        yield Statement("No tape has chain facts of this channel.")
        return
    messages = case.chain.messages
    applied = sum(one.accepted for one in messages if one.event in CHECKED)
    failed = sum(not one.accepted for one in messages if one.event in CHECKED)
    state = case.state
    yield Statement(
        f"The channel began at {_height(case.chain.creation)} between payer {state.payer} and payee"
        f" {state.payee}; {applied} messages took effect and {failed} failed up to height"
        f" {case.head}. Deposited {state.deposited}, redeemed {state.to_send}.",
        (case.chain.creation.cited,),
    )
    yield from _end(case)
    yield from _obeyed(case)
    for problem, cited in case.chain.problems:
        yield Statement(f"An entry cannot be read as it should: {problem}.", (cited,))


def _height(message: Message) -> str:
    return "an unknown height" if message.height is None else f"height {message.height}"


def _end(case: Case) -> Iterator[Statement]:
    """How settling went, as far as it did."""
    settle, collect, state = case.chain.settled_by, case.chain.collected_by, case.state
    if settle is not None:
        yield Statement(
            f"{_role(case, settle.sender)} settled at {_height(settle)}; vouchers could be redeemed"
            f" up to height {state.settling_at - 1}, Collect works from {state.settling_at}.",
            (settle.cited,),
        )
    if collect is not None:
        yield Statement(
            f"Collect at {_height(collect)} paid {state.paid_to} to the payee and"
            f" {state.paid_from} back to the payer.",
            (collect.cited,),
        )


def _role(case: Case, actor: str) -> str:
    roles = {case.state.payer: "The payer", case.state.payee: "The payee"}
    return roles.get(actor, actor or "Somebody")


def _obeyed(case: Case) -> Iterator[Statement]:
    """Each message against the actor's own table, and against its receipt."""
    checked = agreed = 0
    last = None
    for one in case.chain.messages:
        if one.height is not None and last is not None and one.height < last:
            yield Statement(
                f"Reported late: included at height {one.height}, after the tape had recorded a"
                f" message of height {last}. It was decided in the order of the tape.",
                (one.cited,),
            )
        last = one.height if one.height is not None else last
        if one.event in (ADOPTED, OBSERVED):
            yield Statement(
                "Taken over as it was seen, not from messages: "
                + ("the channel in mid-life." if one.event == ADOPTED else "a balance."),
                (one.cited,),
            )
        if one.expected is None:
            continue
        checked += 1
        found = disagreement(one)
        agreed += not found
        for text in found:
            yield Statement(text, (one.cited,))
    yield Statement(
        f"Checked once more with the actor's own rules, in their order: {agreed} of {checked}"
        " messages ended as the rules give."
    )


def disagreement(one: Message) -> list[str]:
    """Return where the rules, the tape's decision and the receipt of a message are not one."""
    expected = one.expected
    if expected is None:
        return []
    found = []
    if expected.undecided:
        found.append(f"Whether it was right cannot be told: {expected.undecided}.")
    elif one.accepted != (expected.code == 0) or (one.code or 0) != expected.code:
        found.append(f"The tape has {one.outcome}; the actor's rules give {expected.says}.")
    if one.exit is not None and one.exit != (one.code if one.code is not None else one.exit):
        found.append(
            f"The receipt shows exit {one.exit}, the tape decided {one.outcome}; by the rules it is"
            f" {expected.says}. What follows on the tape rests on the tape's decision."
        )
    elif one.exit is not None and one.exit == 0 and not one.accepted:
        found.append("The receipt shows exit 0, and the tape refused the message.")
    found += [f"Recorded otherwise than the rules give: {text}." for text in one.differs]
    return found


def obtainable_part(case: Case) -> Iterator[Statement]:
    """What each side could still have obtained, over height."""
    rows = case.rows
    if not rows:
        return
    exposed = max(rows, key=lambda row: int(row.values["exposure"] or 0))
    word = "both books" if case.complete else "one book's word"
    yield Statement(
        f"On {word}: most was at stake at height {exposed.height}, when the payee held"
        f" {exposed.values['exposure']} beyond what was redeemed."
    )
    state, _, number = case.ending
    if case.deadline is not None:
        at_end = case.obtainable(min(case.deadline, case.head), number)
        least = at_end.least
        reach = f"{least}" if at_end.exact else f"at least {least}, at most {at_end.most}"
        tense = "could have brought" if case.over else "can still bring"
        told = [case.stories[name] for name in at_end.vouchers[:SHOWN_MAX]]
        yield Statement(
            f"Up to height {case.deadline} the payee {tense} its share to {reach};"
            f" {state.to_send} was redeemed.",
            tuple(cited for story in told for cited in story.cited),
        )
        yield Statement(
            f"From height {case.deadline + 1} the payer can have what is not redeemed: at least"
            f" {max(0, state.balance - at_end.most)} had the payee redeemed all it could,"
            f" {state.balance - state.to_send} as it stands."
        )
    yield from _refundable(case)
    over = [row for row in rows if (row.values["over_issued"] or "0") != "0"]
    if over:
        yield Statement(
            f"At height {over[0].height} the payer had promised {over[0].values['over_issued']}"
            " more than the channel held."
        )


def _refundable(case: Case) -> Iterator[Statement]:
    """What the payer can take back with vouchers that the payee signed."""
    _, lanes, _ = case.ending
    falls: dict[int, int] = {}
    told = []
    for story in case.stories.values():
        lane = lanes.get(story.terms.lane)
        if story.voucher.redeemable_by_signature(PAYEE) is not True or lane is None:
            continue
        less = lane.redeemed - story.terms.amount
        if story.voucher.for_channel and less > 0 and lane.nonce < story.terms.nonce:
            falls[story.terms.lane] = max(less, falls.get(story.terms.lane, 0))
            told.append(story)
    if told:
        yield Statement(
            f"With {len(told)} voucher(s) that the payee signed the payer could have lowered what"
            f" was redeemed by up to {sum(falls.values())}, up to the deadline.",
            some(cited for story in told for cited in story.cited),
            case.signed(told[:SHOWN_MAX]),
        )


def contradicted_part(case: Case) -> Iterator[Statement]:
    """Claims that a signature, a receipt or the other book speaks against."""
    for difference in case.differences:
        yield Statement(f"{sentence(difference.says)}.", difference.cited)
    for book in case.books:
        for one in book.misnamed:
            yield Statement(
                "A voucher is recorded under another id than that of what was signed.",
                (one.cited,),
            )
    for voucher in case.shelf.unreadable:
        claims = [one for book in case.books for one in book.happenings if one.voucher is voucher]
        cited = [one.cited for one in claims]
        cited += [one.cited for one in case.chain.messages if one.voucher is voucher]
        yield Statement(f"What is recorded as a voucher is none: {voucher.problem}.", some(cited))
    for story in case.stories.values():
        yield from _against_signature(story)
        yield from _against_receipts(story)
        yield from _against_each_other(case, story)


def _against_signature(story: Story) -> Iterator[Statement]:
    voucher = story.voucher
    if voucher.by not in (OTHER, NOBODY):
        return
    claims = [one.cited for one in story.happenings if one.kind in (ACCEPTED, "issued")]
    if claims:
        yield Statement(
            f"{voucher.title} is recorded as a payment, and the payer did not sign it.",
            some(claims),
            voucher.signed,
        )


def _against_receipts(story: Story) -> Iterator[Statement]:
    """`applied` and `failed` are claims about messages that the chain facts have or lack."""
    carried = [one for one in story.messages if one.message]
    for claim in story.happenings:
        name = claim.params.get("message")
        if claim.kind not in (APPLIED, FAILED):
            continue
        match = [one for one in carried if one.message == name] or story.messages
        if not match:
            continue
        if (claim.kind == APPLIED) not in [one.accepted for one in match]:
            yield Statement(
                f"{sentence(claim.says)}; the chain facts say: {match[0].outcome}.",
                (claim.cited, *(one.cited for one in match)),
            )


def _against_each_other(case: Case, story: Story) -> Iterator[Statement]:
    issued, received = story.issued, story.received
    if issued is not None and received is not None:
        early = received.height is not None and (issued.height or 0) > received.height
        if early:
            yield Statement(
                f"{story.voucher.title}: the payee's book has it before the payer's book issued it."
                " One of the two heights is wrong.",
                (issued.cited, received.cited),
            )
    missing = received is not None and issued is None and case.book_of(PAYER) is not None
    if missing and story.voucher.redeemable_by_signature(PAYER):
        yield Statement(
            f"{story.voucher.title} carries the payer's signature, and the payer's book does not"
            " have it.",
            (received.cited,) if received is not None else (),
            story.voucher.signed,
        )


def undecidable_part(case: Case, verdicts: Sequence[Verdict]) -> Iterator[Statement]:
    """What the tapes do not show."""
    for role, other in ((PAYER, PAYEE), (PAYEE, PAYER)):
        if case.book_of(role) is None:
            have = f"only the {other}'s book was given" if case.book_of(other) else "no vouchers"
            yield Statement(
                f"What the {role} claims is not here: {have}. Whatever only its book could show"
                " (what it issued or received, and when) is the other side's word or nothing."
            )
    yield from _receipt_times(case)
    delivered = [
        one.cited for book in case.books for one in book.happenings if one.kind == SERVICE_DELIVERED
    ]
    yield Statement(
        "Whether what was paid for was delivered, and what it was worth, is not on any chain or in"
        " any signature.",
        some(delivered),
    )
    unsure = [
        story
        for story in case.stories.values()
        if story.voucher.redeemable_by_signature(PAYER) is None
    ]
    if unsure:
        notes = [copy.note for copy in unsure[0].voucher.copies if copy.by == UNKNOWN]
        why = notes[0] if notes else "not known"
        yield Statement(
            f"Whose signature {len(unsure)} vouchers carry: {why}.",
            some(cited for story in unsure for cited in story.cited),
        )
    for one in case.chain.messages:
        if one.expected is not None and one.expected.undecided:
            yield Statement(f"Whether {one.says} is right: {one.expected.undecided}.", (one.cited,))
    waiting = [
        claim.cited
        for story in case.stories.values()
        for claim in story.happenings
        if claim.kind == SUBMITTED and not story.messages
    ]
    if waiting:
        yield Statement(
            "What became of messages that a book says were submitted, and that no chain fact shows:"
            " replaced, out of gas, or never sent.",
            some(waiting),
        )
    for verdict in verdicts:
        if verdict.outcome == UNDECIDABLE:
            yield Statement(
                f"{verdict.dispute}, {verdict.title}: {verdict.finding}", verdict.entries
            )


def _receipt_times(case: Case) -> Iterator[Statement]:
    """When vouchers were received, where one side alone says so."""
    alone = [
        story
        for story in case.stories.values()
        if (held := case.held(story)) is not None and held.basis in (PAYEE, PAYER, UNKNOWN)
    ]
    if alone:
        yield Statement(
            f"When the payee received {len(alone)} vouchers: one side alone says so. An"
            " acknowledgement by the other, or a checkpoint that it cosigned, would bound it.",
            some(cited for story in alone for cited in story.cited),
        )
