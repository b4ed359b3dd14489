"""What a report shows beside its statements: the timeline, and every voucher with its policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from ...fsm.audit import Mark, Table
from .audit_case import Case, Story
from .audit_chain import Message
from .audit_facts import Happening
from .policies import Terms, literal, strict

_COLUMNS = (
    "lane",
    "nonce",
    "amount",
    "voucher",
    "signed by",
    "issued",
    "received",
    "redeemed",
    "window",
    "min settle height",
    "literal",
    "strict",
    "account said",
)


def marks(case: Case) -> Iterator[Mark]:
    """Yield everything that happened, by height, then time, then place."""
    marks = [_mark("chain", one) for one in case.chain.messages]
    marks += [_mark("private", one) for book in case.books for one in book.happenings]
    marks.sort(key=lambda one: (one.height or 0, one.at, one.cited.side, one.cited.pos))
    yield from marks


def _mark(kind: Literal["chain", "private"], one: Message | Happening) -> Mark:
    cited = one.cited
    return Mark(one.height, one.at, kind, cited.says, cited)


def tables(case: Case) -> Iterator[Table]:
    """Yield the table of vouchers: what each says, what became of it, what the policies say."""
    if case.stories:
        rows = tuple(_row(case, story) for story in case.stories.values())
        yield Table("Vouchers", _COLUMNS, rows)


def _row(case: Case, story: Story) -> tuple[str, ...]:
    terms, issued, received, applied = story.terms, story.issued, story.received, story.applied
    known = policy_terms(case, story)
    answer = story.accepted or story.refused
    return (
        str(terms.lane),
        str(terms.nonce),
        str(terms.amount),
        story.voucher.id,
        story.voucher.by,
        "" if issued is None else str(issued.height),
        "" if received is None else str(received.height),
        "" if applied is None else str(applied.height),
        f"{terms.time_lock_min} to {terms.time_lock_max or 'the deadline'}",
        str(terms.min_settle_height),
        literal(terms, known),
        strict(terms, known),
        "" if answer is None else f"{answer.kind} {answer.params.get('reason') or ''}".strip(),
    )


def policy_terms(case: Case, story: Story) -> Terms:
    """Return what was known of the channel when the payee got the voucher."""
    held = case.held(story)
    now = held.height if held is not None else story.first_height or 0
    state = case.chain.state_at(now)
    return Terms(now, state.settling_at, state.min_settle_height)
