"""Disputes about time: what was not redeemed by the deadline, time locks, settling, silence.

The epoch at which a message is included decides, never when it was pushed. Up to settling_at - 1 a
voucher can be redeemed, from settling_at on the channel can be collected; both never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ...fsm.audit import CLEAR, FOUND, UNDECIDABLE, Cited, Verdict
from .audit_attainable import Attained
from .audit_case import Case, Story, dispute, verdict
from .audit_chain import ADOPTED, SETTLE, UPDATE, Message
from .audit_facts import SUBMITTED
from .audit_papers import PAYEE, PAYER
from .audit_quantities import Candidate, attained, deadline_of
from .audit_recheck import SETTLE_DELAY, Lane, State
from .policies import window

UNDECIDED = "undecided"
SHOWN_MAX = 20
SILENT_EPOCHS = SETTLE_DELAY
"""A party that neither sent a message nor signed a voucher for so long is told to be silent."""

_COLLECT_RULE = (
    "Payment channel actor, Collect: the payee gets exactly to_send, the payer the rest;"
    " UpdateChannelState check 3: nothing can be redeemed from settling_at on."
)


def story_cited(case: Case, stories: Sequence[Story]) -> list[Cited]:
    """Return what each voucher's fate rests on: when it was had, pushed, and what came of it."""
    found: list[Cited] = []
    for story in stories[:SHOWN_MAX]:
        held = case.held(story)
        found += held.cited if held is not None else ()
        for answer in (story.accepted, story.refused, *story.claims(SUBMITTED)):
            found += [answer.cited] if answer is not None else []
        found += [one.cited for one in story.messages]
    return found


def gain(stories: Iterable[Story], lanes: Mapping[int, Lane]) -> int:
    """Return what vouchers say beyond what is redeemed, the best of each lane, summed."""
    gains: dict[int, int] = {}
    for story in stories:
        lane = lanes.get(story.terms.lane)
        more = story.terms.amount - (lane.redeemed if lane is not None else 0)
        gains[story.terms.lane] = max(more, gains.get(story.terms.lane, 0))
    return sum(gains.values())


def _fresh(one: Candidate, lanes: dict[int, Lane]) -> bool:
    lane = lanes.get(one.terms.lane)
    return lane is None or lane.nonce < one.terms.nonce


@dispute("D1")
def d1(case: Case) -> Iterator[Verdict]:
    """You collected before my better voucher: what was held in time, late, or locked too long."""
    state, lanes, _ = case.ending
    deadline = deadline_of(state)
    if deadline is None or not case.over:
        yield _still_open(case, deadline)
        return
    state = state._replace(balance=case.funds_at(deadline))
    fresh = [one for one in case.candidates if _fresh(one, lanes)]
    in_time = [one for one in fresh if one.held <= deadline]
    usable = [one for one in in_time if not window(one.terms, one.held, state.settling_at).empty]
    reach = _reach(case, state, lanes, usable, deadline)
    found = [*_omitted(case, state, reach), *_late(case, state, lanes, fresh, usable, deadline)]
    found += _locked(case, state, lanes, [one for one in in_time if one not in usable], deadline)
    if found:
        yield from found
        return
    told = f"Redeemed were {state.to_send}; nothing better was held and still good by height"
    yield verdict("D1", CLEAR, f"{told} {deadline}.", _COLLECT_RULE, entries=case.end_cited)


def _still_open(case: Case, deadline: int | None) -> Verdict:
    more = case.obtainable(case.head).least - case.state.to_send
    until = "nobody has settled" if deadline is None else f"the deadline is height {deadline}"
    finding = f"Nothing is lost yet: {until}, and the books end at height {case.head}."
    if more > 0:
        finding += f" The payee holds {more} more than was redeemed."
    return verdict("D1", CLEAR, finding, _COLLECT_RULE, entries=case.end_cited)


def _reach(
    case: Case,
    state: State,
    lanes: dict[int, Lane],
    usable: Sequence[Candidate],
    deadline: int,
) -> Attained:
    """What the payee could have reached; told by vouchers that it accepted, where these suffice."""
    every = _with_funds(case, state, lanes, usable, deadline)
    kept = [one for one in usable if case.stories[one.voucher].refused is None]
    if len(kept) == len(usable):
        return every
    accepted = _with_funds(case, state, lanes, kept, deadline)
    return every._replace(vouchers=accepted.vouchers) if accepted.least == every.least else every


def _with_funds(
    case: Case,
    state: State,
    lanes: dict[int, Lane],
    usable: Sequence[Candidate],
    deadline: int,
) -> Attained:
    """What is attainable by the deadline, where the funds may have come after a window closed.

    Such a voucher counts for sure only where what the channel held when it closed suffices.
    """
    every = attained(state, lanes, usable, deadline, since=0)
    last = [min(one.terms.time_lock_max or deadline, deadline) for one in usable]
    funds = {epoch: case.funds_at(epoch) for epoch in dict.fromkeys(last)}
    others = [one for one, epoch in zip(usable, last, strict=True) if funds[epoch] >= state.balance]
    if len(others) == len(usable):
        return every
    before = state._replace(balance=min(funds.values()))
    tried = [
        attained(state, lanes, others, deadline, since=0),
        attained(before, lanes, usable, deadline, since=0),
    ]
    best = max(tried, key=lambda one: one.least)
    return best._replace(most=max(every.most, best.least))


def _omitted(case: Case, state: State, reach: Attained) -> Iterator[Verdict]:
    """Vouchers that the payee had in time."""
    loss, most = reach.least - state.to_send, reach.most - state.to_send
    stories = [case.stories[name] for name in reach.vouchers]
    entries = [*case.end_cited, *story_cited(case, stories)]
    if loss > 0:
        told = ", ".join(story.voucher.title for story in stories[:5])
        finding = (
            f"Held in time and not redeemed: {told}. Up to height {state.settling_at - 1} the payee"
            f" could have had {reach.least}; {state.to_send} was redeemed. The omission is the"
            f" payee's own, or its node's."
        )
        if most > loss:
            finding += f" At most {most} was lost; what exceeds {loss} cannot be proven."
        pushed = [one for story in stories for one in story.claims(SUBMITTED)]
        if pushed:
            finding += " That a book marks it submitted is no evidence: no message was included."
        yield verdict(
            "D1",
            FOUND,
            finding,
            _COLLECT_RULE,
            bearer=PAYEE,
            amount=loss,
            entries=entries,
            signatures=case.signed(stories),
        )
    elif most > 0:
        better = [case.stories[one.voucher] for one in case.candidates if not one.proven]
        yield verdict(
            "D1",
            UNDECIDABLE,
            f"The payee may have lost up to {most}: that it held better vouchers in time, and could"
            " redeem them, is one side's word or rests on what cannot be verified here.",
            _COLLECT_RULE,
            bearer=UNDECIDED,
            amount=most,
            entries=[*case.end_cited, *story_cited(case, better)],
            signatures=case.signed(better[:SHOWN_MAX]),
        )


def _late(
    case: Case,
    state: State,
    lanes: dict[int, Lane],
    fresh: Sequence[Candidate],
    usable: Sequence[Candidate],
    deadline: int,
) -> Iterator[Verdict]:
    """Vouchers that came at or after settling_at: worth nothing when they came."""
    late = [one for one in fresh if one.held > deadline]
    stories = [case.stories[one.voucher] for one in late]
    before = attained(state, lanes, usable, deadline, since=0).least
    with_late = attained(state, lanes, [*usable, *late], case.head, since=0).most
    if not late or with_late <= before:
        return
    promised = with_late - before
    disputed = [
        sent
        for story in stories
        if (sent := story.claim("sent", PAYER)) is not None
        and sent.height is not None
        and sent.height <= deadline
    ]
    if disputed:
        finding = (
            f"The payer's book says that it sent them by height {deadline}, the payee's that it got"
            " them later. Nothing that both signed bounds the time."
        )
    else:
        finding = (
            f"Received from height {late[0].held} on, at or after settling_at {state.settling_at}:"
            " worth nothing when they came. The payee should have refused them."
        )
    yield verdict(
        "D1",
        UNDECIDABLE if disputed else FOUND,
        f"{len(late)} late voucher(s), {promised} more than could be had. {finding}",
        "Payment channel actor, UpdateChannelState check 3: the inclusion epoch must be below"
        " settling_at. Neither party's manager checks settling when it accepts a voucher.",
        bearer=UNDECIDED if disputed else PAYEE,
        amount=promised,
        entries=[*case.end_cited, *story_cited(case, stories), *(one.cited for one in disputed)],
        signatures=case.signed(stories[:SHOWN_MAX]),
    )


def _locked(
    case: Case,
    state: State,
    lanes: dict[int, Lane],
    shut: Sequence[Candidate],
    deadline: int,
) -> Iterator[Verdict]:
    """Vouchers whose time lock ends after the deadline."""
    unsafe = [one for one in shut if one.terms.time_lock_min > deadline]
    stories = [case.stories[one.voucher] for one in unsafe]
    lost = min(gain(stories, lanes), state.balance - state.to_send)
    if lost <= 0:
        return
    yield verdict(
        "D1",
        FOUND,
        f"{len(unsafe)} voucher(s) were locked beyond the deadline {deadline} (first from height"
        f" {min(one.terms.time_lock_min for one in unsafe)}): unsafe when they were taken.",
        "A voucher is safe if time_lock_min is at most the earliest possible settling_at - 1, less"
        " a margin; only redeemed vouchers raise the floor of settling_at.",
        bearer=PAYEE,
        amount=lost,
        entries=[*case.end_cited, *story_cited(case, stories)],
        signatures=case.signed(stories[:SHOWN_MAX]),
    )


_LOCK_RULE = (
    "Payment channel actor, UpdateChannelState checks 9 and 10: inclusion from time_lock_min to"
    " time_lock_max, both inclusive; time_lock_max 0 is no bound. A failed message uses up nothing."
)
_LOCK_REASONS = ("TIME_LOCK_MIN", "TIME_LOCK_MAX")


@dispute("D5")
def d5(case: Case) -> Iterator[Verdict]:
    """A time lock: attempts outside the window, and windows that were empty all along."""
    failed = [
        one
        for one in case.chain.messages
        if one.expected is not None and one.expected.reason in _LOCK_REASONS
    ]
    if failed:
        yield verdict("D5", FOUND, _outside(failed), _LOCK_RULE, entries=_cited(failed))
    state, lanes, _ = case.ending
    empty, lapsed = [], []
    for one in case.candidates:
        if not (_fresh(one, lanes) and _adds(one, lanes)):
            continue
        if window(one.terms, one.held, state.settling_at).empty:
            if one.terms.time_lock_min > one.held or one.terms.time_lock_max != 0:
                empty.append(one)
        elif 0 < one.terms.time_lock_max < min(case.head, deadline_of(state) or case.head):
            lapsed.append(one)
    if empty:
        yield _windows(case, empty, "could never be redeemed: no epoch was in the window", lanes)
    if lapsed:
        yield _windows(case, lapsed, "could be redeemed and lapsed unredeemed", lanes)
    if not (failed or empty or lapsed):
        locked = [
            story
            for story in case.stories.values()
            if story.terms.time_lock_min > 0 or story.terms.time_lock_max != 0
        ]
        told = f"{len(locked)} vouchers have time locks, none stood in the way."
        finding = told if locked else "No voucher has a time lock."
        yield verdict("D5", CLEAR, finding, _LOCK_RULE, entries=story_cited(case, locked))


def _adds(one: Candidate, lanes: dict[int, Lane]) -> bool:
    lane = lanes.get(one.terms.lane)
    return lane is None or one.terms.amount > lane.redeemed


def _outside(failed: Sequence[Message]) -> str:
    told = []
    for one in failed[:5]:
        terms = one.voucher.terms if one.voucher is not None else None
        if terms is not None:
            end = terms.time_lock_max or "no end"
            told.append(f"height {one.height} is outside {terms.time_lock_min} to {end}")
    return f"{len(failed)} attempt(s) outside the window: {'; '.join(told)}."


def _windows(case: Case, those: Sequence[Candidate], what: str, lanes: dict[int, Lane]) -> Verdict:
    stories = [case.stories[one.voucher] for one in those]
    sure = all(one.proven for one in those)
    return verdict(
        "D5",
        FOUND if sure else UNDECIDABLE,
        f"{stories[0].voucher.title}{' and others' if len(stories) > 1 else ''} {what}."
        + ("" if sure else " When the payee had it is one side's word."),
        _LOCK_RULE,
        bearer=PAYEE if sure else UNDECIDED,
        amount=gain(stories, lanes),
        entries=[*case.end_cited, *story_cited(case, stories)],
        signatures=case.signed(stories[:SHOWN_MAX]),
    )


def _cited(messages: Sequence[Message]) -> list[Cited]:
    return [one.cited for one in messages[:SHOWN_MAX]]


_OVER_RULE = (
    "Payment channel actor, UpdateChannelState check 3: exit 32 from settling_at on. The epoch of"
    " inclusion decides, not when the message was pushed."
)


@dispute("D6")
def d6(case: Case) -> Iterator[Verdict]:
    """The voucher came at or after settling_at."""
    updates = [one for one in case.chain.messages if one.event == UPDATE]
    # By its reason: a call into another actor may end with 32 as well.
    over = "CHANNEL_SETTLED"
    late = [one for one in updates if one.expected is not None and one.expected.reason == over]
    wrong = [one for one in updates if one.reason == over and one not in late]
    for role in (PAYEE, PAYER, "nobody"):
        those = [one for one in late if case.role(one.sender) == role]
        if those:
            yield _came_late(case, role, those)
    for one in wrong:
        yield verdict(
            "D6",
            FOUND,
            f"Recorded as too late at height {one.height}, though settling_at was"
            f" {one.before.settling_at or 'not set'} then: the record does not follow.",
            _OVER_RULE,
            bearer=UNDECIDED,
            entries=[*case.end_cited, one.cited],
        )
    if not (late or wrong):
        last = updates[-1] if updates else None
        finding = "No message came at or after settling_at."
        if last is not None and case.deadline is not None:
            finding += f" The last was included at height {last.height}, up to {case.deadline} was"
            finding += " in time."
        entries = [*case.end_cited, *_cited([last] if last is not None else [])]
        yield verdict("D6", CLEAR, finding, _OVER_RULE, entries=entries)


def _came_late(case: Case, role: str, late: Sequence[Message]) -> Verdict:
    """The messages of one party that were included too late, and what they would have added."""
    end = late[0].before.settling_at
    heights = ", ".join(str(one.height) for one in late[:5])
    finding = f"{len(late)} message(s) included at height {heights}; the last that counted was"
    finding += f" {end - 1}."
    moved = [
        one
        for one in case.chain.messages[: late[0].number]
        if one.event == UPDATE and one.before.settling_at not in (0, one.after.settling_at)
    ]
    if moved:
        finding += f" A voucher redeemed at height {moved[-1].height} had moved settling_at there."
    ids = [one.voucher.id for one in late if one.voucher is not None]
    stories = [case.stories[name] for name in dict.fromkeys(ids) if name in case.stories]
    pushed = [one for story in stories for one in story.claims(SUBMITTED)]
    early = [one for one in pushed if one.height is not None and one.height < end]
    if early:
        finding += f" Pushed at height {early[0].height}, as one book says; that is no help."
    lost = gain(stories, case.chain.lanes(late[0].number)) if role == PAYEE else 0
    if lost:
        finding += " What they would have added is the payee's, with D1 where it was held in time."
    return verdict(
        "D6",
        FOUND,
        finding,
        _OVER_RULE,
        bearer=role,
        amount=lost or None,
        entries=[*case.end_cited, *(one.cited for one in early[:SHOWN_MAX]), *_cited(late)],
        signatures=case.signed(stories[:SHOWN_MAX]),
    )


_SETTLING_RULE = (
    "Payment channel actor: Settle sets settling_at once, to the later of epoch + 1440 and"
    " min_settle_height; after that only a redeemed voucher with a later min_settle_height moves"
    " it, forward. A second Settle fails with 20."
)


@dispute("D10")
def d10(case: Case) -> Iterator[Verdict]:
    """The settle delay was reset: each change of settling_at, and whether it may be."""
    legal: list[Message] = []
    wrong: list[Message] = []
    for one in case.chain.messages:
        before, after = one.before.settling_at, one.after.settling_at
        if before == after or one.event == ADOPTED or (one.event == SETTLE and before == 0):
            continue
        terms = one.voucher.terms if one.voucher is not None else None
        raised = terms is not None and before < terms.min_settle_height == after
        (legal if one.event == UPDATE and before and raised else wrong).append(one)
    again = [one for one in case.chain.messages if one.event == SETTLE and one.code == 20]
    for one in wrong:
        yield verdict(
            "D10",
            FOUND,
            f"settling_at went from {one.before.settling_at} to {one.after.settling_at} by"
            f" {one.event}, which cannot be: the record is wrong.",
            _SETTLING_RULE,
            bearer=UNDECIDED,
            entries=[one.cited],
        )
    for one in legal:
        signed = one.voucher.signed if one.voucher is not None else ()
        yield verdict(
            "D10",
            FOUND,
            f"settling_at moved from {one.before.settling_at} to {one.after.settling_at}, and may:"
            f" {case.role(one.sender)} redeemed a voucher with that min_settle_height, signed by"
            " the other party.",
            _SETTLING_RULE,
            entries=[one.cited],
            signatures=signed,
        )
    if not (wrong or legal):
        finding = "settling_at did not change after Settle."
        if again:
            finding += f" {len(again)} further Settle(s) failed with 20 and changed nothing."
        entries = [*case.end_cited, *_cited(again)]
        yield verdict("D10", CLEAR, finding, _SETTLING_RULE, entries=entries)


_FLOOR_RULE = (
    "Payment channel actor, Settle: never forbidden to a party; settling_at is the later of"
    " epoch + 1440 and the min_settle_height of vouchers already redeemed. One that is not redeemed"
    " protects nobody."
)


@dispute("D11")
def d11(case: Case) -> Iterator[Verdict]:
    """Settled too early against MinSettleHeight."""
    settle = case.chain.settled_by
    if settle is None or settle.height is None:
        finding = (
            "Nobody has settled." if settle is None else "When Settle was included is unknown."
        )
        yield verdict("D11", CLEAR if settle is None else UNDECIDABLE, finding, _FLOOR_RULE)
        return
    pinned, given = settle.before.min_settle_height, settle.after.settling_at
    least = max(settle.height + SETTLE_DELAY, pinned)
    if given < least:
        yield verdict(
            "D11",
            FOUND,
            f"Settle at height {settle.height} gave settling_at {given}; with"
            f" {pinned} pinned it is {least}. The record does not follow.",
            _FLOOR_RULE,
            bearer=UNDECIDED,
            entries=[settle.cited],
        )
        return
    promised = [
        story
        for story in case.stories.values()
        if story.terms.min_settle_height > given
        and story.voucher.by == PAYER
        and (held := case.held(story)) is not None
        and held.height <= settle.height
        and (story.applied is None or story.applied.number > settle.number)
    ]
    if promised and case.role(settle.sender) == PAYER:
        yield _promise_broken(case, settle, promised)
        return
    finding = f"Settle at height {settle.height} gave settling_at {given}, as the rule gives"
    finding += f" (pinned: {pinned})." if pinned else "; no min_settle_height was pinned."
    yield verdict("D11", CLEAR, finding, _FLOOR_RULE, entries=[settle.cited])


def _promise_broken(case: Case, settle: Message, promised: Sequence[Story]) -> Verdict:
    height = max(story.terms.min_settle_height for story in promised)
    alone = all((held := case.held(story)) and held.basis == "payer" for story in promised)
    return verdict(
        "D11",
        UNDECIDABLE if alone else FOUND,
        f"The payer settled at height {settle.height} with settling_at {settle.after.settling_at},"
        f" having signed vouchers that promise {height}. None of these was redeemed before, so the"
        " chain did not know it: a promise, and no protection. What was lost by it is D1's.",
        _FLOOR_RULE,
        bearer=UNDECIDED if alone else PAYEE,
        entries=[settle.cited, *story_cited(case, promised)],
        signatures=case.signed(promised[:SHOWN_MAX]),
    )


_ALONE_RULE = (
    "Payment channel actor: either party may Settle and Collect alone, and who collects makes no"
    " difference to the split. Vouchers can be redeemed up to settling_at - 1, whoever is silent."
)


@dispute("D12")
def d12(case: Case) -> Iterator[Verdict]:
    """The counterparty vanished: who was last heard of when, and what the other can do alone."""
    if case.collected:
        entries = case.end_cited
        yield verdict("D12", CLEAR, "The channel was collected.", _ALONE_RULE, entries=entries)
        return
    silent = []
    cited = []
    for role in (PAYER, PAYEE):
        heard = _heard(case, role)
        last = heard.height if heard is not None and heard.height is not None else None
        if last is None or case.head - last > SILENT_EPOCHS:
            silent.append((role, last))
        cited += [heard] if heard is not None else []
    if not silent:
        finding = f"Both were heard of in the last {SILENT_EPOCHS} epochs before {case.head}."
        yield verdict("D12", CLEAR, finding, _ALONE_RULE, entries=cited)
        return
    state = case.state
    for role, last in silent:
        heard_of = "never" if last is None else f"last at height {last}"
        finding = f"The {role} was heard of {heard_of}; the books end at {case.head}. {_way(case)}"
        if role == PAYER:
            more = case.obtainable(case.head).least - state.to_send
            finding += f" The payee loses nothing if it redeems the {more} that it still holds."
        else:
            finding += f" The payer then gets back {state.balance - state.to_send}."
        yield verdict("D12", FOUND, finding, _ALONE_RULE, entries=cited)


def _way(case: Case) -> str:
    """What either party can do alone from here."""
    state = case.state
    if case.over:
        return "Collect works now, by either."
    if state.settling_at:
        return f"Collect works from height {state.settling_at}, by either."
    first = max(case.head + 1 + SETTLE_DELAY, state.min_settle_height)
    return f"A Settle at the next epoch lets either collect from height {first}."


def _heard(case: Case, role: str) -> Cited | None:
    """Return the last thing that shows a party at work: a message, or a voucher it signed."""
    party = case.state.payer if role == PAYER else case.state.payee
    found = [one.cited for one in case.chain.messages if one.sender == party]
    for book in case.books:
        if book.role == role:
            found += [one.cited for one in book.happenings if one.height is not None]
    if role == PAYER:
        found += [
            one.cited
            for story in case.stories.values()
            if story.voucher.by == PAYER and (one := story.received) is not None
        ]
        creation = case.chain.creation
        found += [creation.cited] if creation is not None else []
    return max(found, key=lambda one: (one.height or 0, one.side, one.pos), default=None)
