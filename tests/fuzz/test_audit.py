"""Random channels on two tapes, audited: the auditor against rules written a second time.

What a channel's history is, is known from how it was made (channel_life.py), not from the tapes;
what follows for the payee is recomputed here from the definitions (domain, section 6.2), slowly:
every subset and order of the vouchers, with the epochs at which each could be included.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jsonschema
import msgspec
import pytest
from statetape.cli.audit_markdown import report_lines as markdown_lines
from statetape.cli.audit_page import page
from statetape.cli.audit_text import report_lines as text_lines
from statetape.fsm.audit import CLEAR, FOUND, OURS, THEIRS, UNDECIDABLE, Book, Report
from statetape.specs.filecoin.audit_case import Case, open_case
from statetape.specs.filecoin.audit_statements import disagreement
from statetape.specs.filecoin.audits import AUDITOR
from statetape.specs.filecoin.voucher import SignedVoucher

from .budget import EXAMPLES
from .channel_life import (
    ACTOR,
    CHANNEL,
    KEY,
    LANE_MAX,
    PAYEE,
    PAYER,
    SIDES,
    Actor,
    Fact,
    Life,
    hashed,
)

LIVES = max(30, EXAMPLES * 14 // 100)
SEARCHED_MAX = 6
SCHEMA = Path(__file__).parents[2] / "docs/reference/audit.schema.json"
LIMITLESS = 2**70


# the definitions, once more


class Paper(NamedTuple):
    """A voucher of the payer as the payee had it: from when, and from when with its secret."""

    id: str
    terms: SignedVoucher
    held: int
    known: int | None
    sure: bool

    def epochs(self, first: int, last: int, *, secret: bool = True) -> tuple[int, int]:
        """From when to when it can be included within [first, last]."""
        starts = [first, self.held, self.terms.time_lock_min]
        starts += [self.known] if secret and self.known is not None else []
        return max(starts), min(last, self.terms.time_lock_max or last)


def papers(life: Life, side: str) -> list[Paper]:
    """What the payee had, by its own book and by the messages that it sent."""
    secrets: dict[bytes, int] = {}
    first: dict[str, tuple[int, str, SignedVoucher]] = {}
    good: set[str] = set()
    for text in [one.text for known in SIDES for one in life.words[known]] + [
        fact.text for fact in life.facts[side] if fact.text is not None
    ]:
        if text.terms is not None and text.signer == PAYER and text.taken:
            good.add(text.terms.id_hex)
    for word in life.words[THEIRS]:
        if word.kind == "secret_shared":
            secrets.setdefault(hashed(word.secret), word.height)
        if word.kind == "received" and word.text.signer == PAYER and word.text.taken:
            known = (word.height, "payee", word.text.terms)
            first.setdefault(word.text.terms.id_hex, known)
    for fact in life.facts[side]:
        if fact.event == "update_channel_state" and fact.secret:
            known = secrets.get(hashed(fact.secret), LIMITLESS)
            secrets[hashed(fact.secret)] = min(known, fact.height)
    _carried(life, side, first)
    for word in life.words[OURS]:
        if word.kind == "sent" and word.text.terms.id_hex in good:
            known = (word.height, "payer", word.text.terms)
            first.setdefault(word.text.terms.id_hex, known)
    found = []
    for name, (height, basis, terms) in first.items():
        wanted = terms.secret_pre_image
        known = secrets.get(wanted) if wanted else height
        if terms.channel_addr in (KEY, ACTOR) and terms.amount >= 0 and terms.lane <= LANE_MAX:
            sure = basis != "payer" and terms.extra is None
            found.append(Paper(name, terms, height, known, sure))
    return found


def _carried(life: Life, side: str, first: dict[str, tuple[int, str, SignedVoucher]]) -> None:
    """A message of the payee shows that it had what it carried."""
    for fact in life.facts[side]:
        text = fact.text
        if fact.caller == PAYEE and text is not None and text.signer == PAYER and text.taken:
            first.setdefault(text.terms.id_hex, (fact.height, "chain", text.terms))


Funds = Sequence[tuple[int, int]]
"""From which epoch on the channel held how much, the epochs ascending."""


def most(
    actor: Actor, had: Sequence[Paper], first: int, last: int, funds: Funds | None = None
) -> int:
    """The greatest to_send over every subset and order of vouchers, and when each is included.

    `funds`: default: what the channel holds now, all along.
    """
    best = actor.to_send
    waiting = [(actor.to_send, actor.lanes, first, frozenset())]
    seen = set()
    while waiting:
        total, lanes, at, used = waiting.pop()
        best = max(best, total)
        for number, one in enumerate(had):
            start, end = one.epochs(at, last)
            if number in used:
                continue
            for epoch, held in funds or [(start, actor.balance)]:
                trial = Actor(held, 0, to_send=total, lanes=lanes)
                at_least = max(epoch, start)
                if at_least > end or trial.money(one.terms, 0)[0] != 0:
                    continue
                mark = (
                    trial.to_send,
                    tuple(sorted(trial.lanes.items())),
                    at_least,
                    used | {number},
                )
                if mark not in seen:
                    seen.add(mark)
                    waiting.append((trial.to_send, trial.lanes, at_least, used | {number}))
    return best


def heights_of(facts: Sequence[Fact]) -> list[int]:
    """Return for each fact the greatest height so far: a fact that is reported late counts then."""
    found: list[int] = []
    for fact in facts:
        found.append(max(fact.height, found[-1] if found else 0))
    return found


def state_at(facts: Sequence[Fact], height: int) -> Actor | None:
    """Return the channel after every fact up to a height."""
    known = [fact.after for fact, at in zip(facts, heights_of(facts), strict=True) if at <= height]
    return known[-1] if known else None


def expected_row(life: Life, side: str, case: Case, height: int) -> dict[str, int | None] | None:
    """What the quantities are at a height, from the definitions."""
    actor = state_at(life.facts[side], height)
    if actor is None:
        return None
    deadline = actor.settling_at - 1 if actor.settling_at else LIMITLESS
    had = [one for one in papers(life, side) if one.held <= height]
    fresh = [one for one in had if actor.lanes.get(one.terms.lane, (0, -1))[1] < one.terms.nonce]
    good = [one for one in fresh if _some_epoch(one, height, deadline)]
    gains: dict[int, int] = {}
    for one in good if not actor.gone else ():
        gain = one.terms.amount - actor.lanes.get(one.terms.lane, (0, 0))[0]
        gains[one.terms.lane] = max(gain, gains.get(one.terms.lane, 0))
    bound = actor.to_send + sum(gains.values())
    promised = _promised(case, height)
    claims = {lane: redeemed for lane, (redeemed, _) in actor.lanes.items()}
    for lane, amount in promised.items():
        claims[lane] = max(amount, claims.get(lane, 0))
    over = max(0, sum(claims.values()) - actor.merged_away - actor.balance)
    entitled = min(actor.balance, bound) if gains else actor.to_send
    return {
        "balance": actor.balance,
        "deposited": actor.deposited,
        "promised": sum(promised.values()),
        "to_send": actor.to_send,
        "best": bound,
        "entitled": max(entitled, actor.to_send) if actor.gone else entitled,
        "over_issued": None if actor.gone else over,
        "deadline": None if deadline == LIMITLESS else deadline,
    }


def _some_epoch(one: Paper, height: int, deadline: int) -> bool:
    start, end = one.epochs(height, deadline, secret=False)
    return start <= end


def _promised(case: Case, height: int) -> dict[int, int]:
    """The highest promise of each lane: what the payer signed and did not keep to itself."""
    found: dict[int, int] = {}
    for story in case.stories.values():
        first = story.first_height
        terms = story.terms
        mine = story.voucher.redeemable_by_signature("payer") and story.voucher.for_channel
        seen = not story.withheld and first is not None and first <= height
        if mine and seen and terms.amount >= 0 and terms.lane <= LANE_MAX:
            found[terms.lane] = max(terms.amount, found.get(terms.lane, 0))
    return found


# what is checked of every life


def check_rules(life: Life, case: Case) -> None:
    """Machine, auditor's table and the rules here give every message the same end."""
    facts = life.facts[case.chain.side]
    messages = [one for one in case.chain.messages if one.event != "observe_balance"]
    assert [one.event for one in messages] == [fact.event for fact in facts]
    for one, fact in zip(messages, facts, strict=True):
        code, reason = fact.ended
        assert (one.code, one.reason) == (code, reason), (one.says, one.pos, fact.ended)
        if one.expected is not None:
            assert not one.expected.undecided, one.expected.undecided
            assert (one.expected.code, one.expected.reason) == (code, reason), one.says
            said = [text for text in disagreement(one) if "receipt" not in text]
            assert said == []
        after = fact.after
        lanes = {n: (x.redeemed, x.nonce) for n, x in case.chain.lanes(one.number + 1).items()}
        assert lanes == after.lanes
        state = one.after
        assert (state.balance, state.to_send, state.settling_at) == (
            after.balance,
            after.to_send,
            after.settling_at,
        )
        assert (state.min_settle_height, state.merged_away) == (after.floor, after.merged_away)


def check_invariants(case: Case) -> None:
    """I1 to I7, over the states that the auditor folded."""
    before = None
    for one in case.chain.messages:
        state, lanes = one.after, case.chain.lanes(one.number + 1)
        assert state.to_send == sum(x.redeemed for x in lanes.values()) - state.merged_away
        assert 0 <= state.to_send <= state.balance + state.paid_to + state.paid_from
        assert state.settling_at == 0 or state.settling_at >= state.min_settle_height
        assert state.deposited == state.balance + state.paid_to + state.paid_from
        if before is not None:
            assert state.settling_at >= before[0].settling_at
            assert state.min_settle_height >= before[0].min_settle_height
            for lane, value in before[1].items():
                assert lanes[lane] == value or lanes[lane].nonce > value.nonce
        before = (state, lanes)


def check_rows(life: Life, case: Case) -> None:
    """Every quantity at every height at which something could change, and beside it."""
    side = case.chain.side
    interesting = {row.height for row in case.rows} | set(heights_of(life.facts[side]))
    for one in papers(life, side):
        locks = (one.terms.time_lock_min, one.terms.time_lock_max)
        interesting |= {one.held, one.known or 1, *locks}
    interesting |= {one - 1 for one in interesting} | {one + 1 for one in interesting}
    for height in sorted(one for one in interesting if 0 < one <= case.head):
        wanted = expected_row(life, side, case, height)
        rows = [row for row in case.rows if row.height <= height]
        if wanted is None:
            assert not rows
            continue
        told = {name: value and int(value) for name, value in rows[-1].values.items()}
        for name, value in wanted.items():
            assert (told[name] or 0, told[name] is None) == (value or 0, value is None), (
                height,
                name,
                told,
                wanted,
            )
        assert told["exposure"] == max(0, told["entitled"] - told["to_send"])
        check_attainable(life, side, height, told)


def check_attainable(life: Life, side: str, height: int, told: dict[str, int | None]) -> None:
    """At least and at most enclose what every order of every subset gives; few are exact."""
    actor = state_at(life.facts[side], height)
    deadline = actor.settling_at - 1 if actor.settling_at else LIMITLESS
    had = [
        one
        for one in papers(life, side)
        if one.held <= height and actor.lanes.get(one.terms.lane, (0, -1))[1] < one.terms.nonce
    ]
    least, greatest = told["attainable"], told["attainable_at_most"]
    assert actor.gone or least <= greatest <= max(told["entitled"], actor.to_send)
    if len(had) > SEARCHED_MAX or actor.gone:
        return
    sure = [one for one in had if one.sure and one.known is not None and one.known <= height]
    known = [one._replace(known=None) for one in had]
    assert least == most(actor, sure, height, deadline), (height, sure)
    assert greatest >= most(actor, known, height, deadline), (height, had)


def check_loss(life: Life, case: Case, report: Report) -> None:
    """D1's loss of what was held in time is what every order of every subset gives."""
    side = case.chain.side
    facts = life.facts[side]
    collected = [number for number, fact in enumerate(facts) if fact.after.gone]
    end = facts[collected[0] - 1].after if collected else facts[-1].after
    told = [one for one in report.verdicts if one.dispute == "D1"]
    deadline = end.settling_at - 1
    if not end.settling_at or not (collected or case.head > deadline):
        assert [one.outcome for one in told] == [CLEAR]
        return
    had = [
        one
        for one in papers(life, side)
        if one.sure and one.known is not None and _fresh(one, end) and one.held <= deadline
    ]
    if len(had) > SEARCHED_MAX:
        return
    loss = max(0, best_in_time(facts, end, had, deadline) - end.to_send)
    omitted = [one for one in told if one.outcome == FOUND and "not redeemed" in one.finding]
    amounts = [int(one.amount) for one in omitted]
    if _no_funds_after_a_window(facts, end, had, deadline):
        assert amounts == ([loss] if loss else []), (told, had)
    else:
        assert sum(amounts) <= loss, (told, had)


def best_in_time(facts: Sequence[Fact], end: Actor, had: Sequence[Paper], deadline: int) -> int:
    """As `most`, up to the deadline, with the funds that the channel had at each epoch."""

    came: dict[int, int] = {}
    known = 0
    for fact in facts:
        came[fact.height] = came.get(fact.height, 0) + fact.after.deposited - known
        known = fact.after.deposited
        if fact.after is end:
            break
    funds = [(epoch, sum(came[one] for one in came if one <= epoch)) for epoch in sorted(came)]
    return most(end, had, 0, deadline, funds)


def _no_funds_after_a_window(
    facts: Sequence[Fact], end: Actor, had: Sequence[Paper], deadline: int
) -> bool:
    """Whether no deposit came between a window's end and the deadline: then D1 is exact."""
    ends = [one.terms.time_lock_max for one in had if 0 < one.terms.time_lock_max < deadline]
    heights = [
        fact.height
        for before, fact in itertools.pairwise(facts)
        if fact.after.deposited != before.after.deposited
    ]
    return not any(last < height <= deadline for last in ends for height in heights)


def _fresh(one: Paper, actor: Actor) -> bool:
    return actor.lanes.get(one.terms.lane, (0, -1))[1] < one.terms.nonce


def evidence(report: Report) -> Iterator:
    """Yield everything that the report cites."""
    for verdict in report.verdicts:
        yield from verdict.entries
    for part in (report.chain, report.obtainable, report.contradicted, report.undecidable):
        for statement in part:
            yield from statement.entries
    for mark in report.timeline:
        yield mark.cited


def check_evidence(books: dict[str, Book], report: Report) -> None:
    """Every position is an entry of the book, at that height, of what the words name."""
    entries = {(side, one.pos): one for side in books for one in books[side].entries}
    for cited in evidence(report):
        entry = entries[cited.side, cited.pos]
        name = entry.create or books[cited.side].names[entry.instance]
        assert cited.height is None or cited.height == entry.height, cited
        named = re.findall(r"voucher ([0-9a-f]{8})", cited.says)
        if name.startswith("filecoin.voucher/"):
            assert all(name.rpartition("/")[2].startswith(one) for one in named), cited
        assert cited.says.strip()


def check_report(report: Report) -> None:
    """Each dispute is decided; nothing is negative; the words are those that are known."""
    assert {one.dispute for one in report.verdicts} == {f"D{n}" for n in range(1, 21)}
    for one in report.verdicts:
        assert one.outcome in (FOUND, CLEAR, UNDECIDABLE)
        assert one.bearer in ("payer", "payee", "nobody", "undecided")
        assert one.amount is None or int(one.amount) >= 0, one
    for row in report.quantities:
        for name, value in row.values.items():
            assert value is None or int(value) >= 0 or name == "deadline", row
    json.dumps(msgspec.to_builtins(report))


def check_renderings(report: Report) -> None:
    """JSON by its schema, and no text of a tape is HTML."""
    validator().validate(json.loads(msgspec.json.encode(report)))
    html = "\n".join(page(report))
    for tag in ("<script>alert", "<img src=x", "<b>open", "]]>&amp;<!--"):
        assert tag not in html, tag
    for everything in (False, True):
        list(text_lines(report, everything=everything))
        list(markdown_lines(report, everything=everything))


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


def audited(life: Life, books: dict[str, Book]) -> tuple[Case, Report]:
    """Audit both books, check what holds of every audit; also each book alone."""
    both = [books[side] for side in SIDES]
    report = AUDITOR.report(CHANNEL, both)
    assert msgspec.json.encode(report) == msgspec.json.encode(AUDITOR.report(CHANNEL, both))
    for one in (report, *(AUDITOR.report(CHANNEL, [books[side]]) for side in SIDES)):
        check_report(one)
        check_evidence(books, one)
    return open_case(CHANNEL, KEY, both), report


@pytest.mark.parametrize("part", range(5))
def test_random_channels_are_decided_as_the_rules_say(part: int, tmp_path: Path) -> None:
    """Every part is another fifth of the lives; what fails names its seed."""
    for seed in range(part, LIVES, 5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        life = Life(seed)
        books = life.play(folder)
        try:
            case, report = audited(life, books)
            check_rules(life, case)
            check_invariants(case)
            check_rows(life, case)
            check_loss(life, case, report)
            if seed % 5 == seed // 5 % 5:
                check_renderings(report)
        except Exception as error:
            error.add_note(f"life of seed {seed}")
            raise
