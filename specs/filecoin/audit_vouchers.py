"""Disputes about what a voucher is: its nonce, its amount, its signature, its conditions.

Each is decided from the signed bytes, the lane's history on the chain, and who held what when. An
amount is told only where it is not in D1's figure already: what could never be redeemed at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from ...fsm.audit import CLEAR, FOUND, UNDECIDABLE, Cited, Verdict
from .audit_case import Case, Story, dispute, sentence, verdict
from .audit_chain import UPDATE, Message
from .audit_facts import Happening
from .audit_papers import NOBODY, OTHER, PAYEE, PAYER, UNKNOWN
from .audit_quantities import redeemable


def refused_for(case: Case, *reasons: str) -> list[Message]:
    """Return the Updates that failed for one of these reasons, as recorded or by the rules."""
    return [
        one
        for one in case.chain.messages
        if one.event == UPDATE
        and not one.accepted
        and (one.reason in reasons or (one.expected is not None and one.expected.reason in reasons))
    ]


def still_owed(case: Case, story: Story) -> int:
    """Return what a voucher says beyond what its lane has redeemed in the end; 0 for nothing."""
    lane = case.chain.lane(story.terms.lane)
    return max(0, story.terms.amount - (lane.redeemed if lane is not None else 0))


def cited(*groups: Iterable[Story | Message | Happening]) -> list[Cited]:
    """Return the entries of stories, messages and claims."""
    found: list[Cited] = []
    for group in groups:
        for one in group:
            found += one.cited if isinstance(one, Story) else [one.cited]
    return found


# D2: a stale voucher

_STALE = (
    "A lane's nonce only rises: the actor refuses a voucher whose nonce is not above the lane's"
    " (exit 16), so resubmitting an old one never takes anything back. Only a newer nonce can lower"
    " an amount, and it needs the signature of the party that is not the sender."
)


@dispute("D2")
def stale(case: Case) -> Iterator[Verdict]:
    """A voucher was submitted once more, or after a newer one; or a payer pushed its own."""
    wrong = [
        (message, before, lane)
        for number in sorted({story.terms.lane for story in case.stories.values()})
        for message, before, lane in _falls(case, number)
    ]
    for message, before, after in wrong:
        why = f"a lane's nonce went from {before} to {after}, which the actor never does"
        yield verdict(
            "D2",
            FOUND,
            f"{message.says}: {why}; this record is wrong.",
            _STALE,
            bearer="undecided",
            entries=[message.cited],
        )
    again = refused_for(case, "NONCE_OUTDATED")
    if again:
        names = ", ".join(one.voucher.title for one in again[:5] if one.voucher is not None)
        yield verdict(
            "D2",
            FOUND,
            f"{len(again)} submissions came too late or twice ({names}). Each failed"
            " and changed nothing; nobody lost by it.",
            _STALE,
            amount=0,
            entries=cited(again),
        )
    own = [
        one
        for one in refused_for(case, "SIGNATURE_REJECTED")
        if one.sender == case.state.payer and one.voucher is not None and one.voucher.by == PAYER
    ]
    if own:
        yield verdict(
            "D2",
            FOUND,
            f"The payer pushed {len(own)} vouchers of its own. Each failed: the chain"
            " asks for the payee's signature then.",
            _STALE,
            amount=0,
            entries=cited(own),
        )
    if not (wrong or again or own):
        yield verdict("D2", CLEAR, "No stale voucher was submitted, and no nonce fell.", _STALE)


def _falls(case: Case, number: int) -> Iterator[tuple[Message, int, int]]:
    """Yield where a lane's recorded nonce does not rise."""
    last: int | None = None
    for message, lane in case.chain.lane_changes(number):
        if last is not None and lane.nonce <= last:
            yield message, last, lane.nonce
        last = lane.nonce


# D3: two vouchers with one nonce

_TWICE = (
    "A signature binds to what it is over. Two different vouchers for one lane and nonce, signed by"
    " one party, contradict each other; of the two only the first that is included counts."
)


@dispute("D3")
def equivocation(case: Case) -> Iterator[Verdict]:
    """Two different vouchers of one signer for one channel, lane and nonce."""
    told = 0
    for by in (PAYER, PAYEE):
        places: dict[tuple[int, int], list[Story]] = defaultdict(list)
        for story in case.stories.values():
            if story.voucher.for_channel and story.voucher.redeemable_by_signature(by) is True:
                places[story.terms.lane, story.terms.nonce].append(story)
        for place in sorted(places):
            if len(places[place]) > 1:
                told += 1
                yield _equivocation(case, by, places[place])
    if not told:
        yield verdict("D3", CLEAR, "No nonce of a lane was signed for twice.", _TWICE)


def _equivocation(case: Case, by: str, stories: Sequence[Story]) -> Verdict:
    lane, nonce = stories[0].terms.lane, stories[0].terms.nonce
    amounts = sorted(story.terms.amount for story in stories)
    applied = next((story for story in stories if story.applied is not None), None)
    held = [story.terms.amount for story in stories if case.held(story) is not None]
    text = (
        f"The {by} signed {len(stories)} different vouchers for lane {lane}, nonce {nonce} (of"
        f" {', '.join(map(str, amounts))}): the signatures alone show it."
    )
    chain_lane = case.chain.lane(lane)
    passed = chain_lane is not None and chain_lane.nonce >= nonce
    if applied is not None:
        text += f" The one of {applied.terms.amount} was included; the others are void."
    elif passed:
        text += " The lane has gone past this nonce; all of them are void."
    else:
        text += " None is included yet; the first one will count."
    damage = 0
    if by == PAYER and held:
        redeemed = chain_lane.redeemed if chain_lane is not None else 0
        floor = max(applied.terms.amount if applied is not None else 0, redeemed)
        damage = max(0, max(held) - floor) if applied is not None or passed else 0
        if damage:
            text += f" If the payee delivered against the one of {max(held)}, it lacks {damage}."
    return verdict(
        "D3",
        FOUND,
        text,
        _TWICE,
        bearer=PAYEE if damage else "nobody",
        amount=damage,
        entries=cited(stories),
        signatures=case.signed(stories),
    )


# D4: a higher nonce for less

_LESS = (
    "Amounts are a lane's total, and on the chain a newer nonce may carry a smaller one: what the"
    " channel pays out falls then. The payee is free not to redeem it; other payees refuse to take"
    " it. Signed by the payee and submitted by the payer it is an agreed refund."
)


@dispute("D4")
def less(case: Case) -> Iterator[Verdict]:
    """A voucher of a higher nonce lowers its lane."""
    told = False
    for message in case.chain.applied:
        story = message.voucher and case.stories.get(message.voucher.id)
        if not story or story.terms.merges:
            continue
        before = case.chain.lane(story.terms.lane, message.number)
        fall = (before.redeemed if before is not None else 0) - story.terms.amount
        if fall > 0:
            told = True
            refund = message.sender == case.state.payer
            whose = "an agreed refund: the payee signed it" if refund else "its own doing"
            yield verdict(
                "D4",
                FOUND,
                f"{message.says} lowered lane {story.terms.lane} by {fall}; {whose}.",
                _LESS,
                bearer=PAYEE,
                amount=fall,
                entries=[message.cited],
                signatures=story.voucher.signed,
            )
    lower = list(_lower(case))
    if lower:
        told = True
        names = ", ".join(story.voucher.title for story in lower[:5])
        yield verdict(
            "D4",
            FOUND,
            f"{len(lower)} vouchers promise less than an older one of their lane"
            f" ({names}). Not redeemed, they take nothing away.",
            _LESS,
            amount=0,
            entries=cited(lower),
            signatures=case.signed(lower[:5]),
        )
    if not told:
        yield verdict("D4", CLEAR, "On every lane a later voucher promises more.", _LESS)


def _lower(case: Case) -> Iterator[Story]:
    """Yield the payer's vouchers, not redeemed, that promise less than one of a lower nonce."""
    best: dict[int, int] = {}
    mine = [
        story
        for story in case.stories.values()  # in order of lane and nonce
        if story.voucher.redeemable_by_signature(PAYER) is True
        and story.voucher.for_channel
        and not story.terms.merges
    ]
    for (lane, _), group in groupby(mine, key=lambda one: (one.terms.lane, one.terms.nonce)):
        same = list(group)  # of one nonce: those contradict each other (D3), none is the later one
        for story in same:
            amount = story.terms.amount
            if amount < best.get(lane, amount) and story.applied is None:
                yield story
        highest = max(story.terms.amount for story in same)
        best[lane] = max(highest, best.get(lane, highest))


# D13: not my signature

_SIGNER = (
    "A voucher is the payer's if its signature leads to the payer's key over exactly these bytes."
    " Another form of the channel's address makes another voucher of the same lane and nonce;"
    " another form of the signature does not."
)


@dispute("D13")
def signatures(case: Case) -> Iterator[Verdict]:
    """A voucher that its supposed signer did not sign, or that is for another channel."""
    foreign = [
        story
        for story in case.stories.values()
        if story.voucher.by in (OTHER, NOBODY) or not story.voucher.for_channel
    ]
    for story in foreign:
        yield _foreign(case, story)
    swapped = [story for story in case.stories.values() if _swapped(case, story)]
    for story in swapped:
        yield _other_copy(case, story)
    unsure = [story for story in case.stories.values() if story.voucher.by == UNKNOWN]
    if unsure:
        why = unsure[0].voucher.copies[0].note
        yield verdict(
            "D13",
            UNDECIDABLE,
            f"Whose signature {len(unsure)} vouchers carry: {why}.",
            _SIGNER,
            bearer="undecided",
            entries=cited(unsure[:20]),
            signatures=case.signed(unsure[:20]),
        )
    if foreign or swapped or unsure:
        return
    text = "Every voucher carries the signature of one of the parties and is for this channel."
    copies = [one for one in case.stories.values() if len(one.voucher.copies) > 1]
    if copies:
        text += f" {len(copies)} were seen with more than one signature: each is one voucher."
    yield verdict("D13", CLEAR, text, _SIGNER, signatures=case.signed(copies[:5]))


def _swapped(case: Case, story: Story) -> bool:
    """Whether the payer signed it, and what the payee got carries another signature."""
    voucher = story.voucher
    return (
        voucher.for_channel
        and voucher.redeemable_by_signature(PAYER) is True
        and story.received is not None
        and story.received.role != PAYER
        and case.held(story) is None
    )


def _other_copy(case: Case, story: Story) -> Verdict:
    believed = story.accepted is not None
    return verdict(
        "D13",
        FOUND,
        f"The payer signed {story.voucher.title}; what the payee got carries another signature,"
        " which the chain does not take."
        + (" The payee accepted it all the same." if believed else ""),
        _SIGNER,
        bearer=PAYEE if believed and still_owed(case, story) else "nobody",
        amount=still_owed(case, story) if believed else 0,
        entries=story.cited,
        signatures=story.voucher.signed,
    )


def _foreign(case: Case, story: Story) -> Verdict:
    voucher = story.voucher
    if not voucher.for_channel:
        why = f"is for the channel {story.terms.channel_addr}"
    elif voucher.by == NOBODY:
        why = "is not signed"
    else:
        why = f"is signed by {voucher.copies[0].signer or 'nobody known'}, who is no party"
    delta = 0
    if story.accepted is not None:
        delta = still_owed(case, story)
    believed = " The payee accepted it all the same." if story.accepted is not None else ""
    return verdict(
        "D13",
        FOUND,
        f"{sentence(voucher.title)} {why}.{believed}",
        _SIGNER,
        bearer=PAYEE if delta else "nobody",
        amount=delta,
        entries=story.cited,
        signatures=voucher.signed,
    )


# D14: the secret

_HASHED = (
    "A voucher with a hash is redeemed with the secret of that hash (BLAKE2b-256), or not at all."
    " A secret that any included message carried, even a failing one, is public from its epoch on."
    " Who had to hand it over is a matter of what was agreed."
)


@dispute("D14")
def secrets(case: Case) -> Iterator[Verdict]:
    """A secret was missing, or wrong."""
    wrong = refused_for(case, "SECRET_MISMATCH", "SECRET_TOO_LONG")
    if wrong:
        yield verdict(
            "D14",
            FOUND,
            f"{len(wrong)} messages carried a wrong secret and failed; the nonces are"
            " not used up by that.",
            _HASHED,
            amount=0,
            entries=cited(wrong),
        )
    told = bool(wrong)
    for story in case.stories.values():
        lacking = story.terms.secret_pre_image and story.applied is None
        held = case.held(story) if lacking and redeemable(story.voucher) else None
        if held is None:
            continue
        known = case.secret_known(story, held.height)
        ends = [
            one for one in (case.deadline, story.terms.time_lock_max or None) if one is not None
        ]
        deadline = min(ends) if ends else None
        if known is not None and (deadline is None or known <= deadline):
            continue
        told = True
        if case.over or (deadline is not None and deadline < case.head):
            lost = still_owed(case, story)
            yield verdict(
                "D14",
                FOUND,
                f"The payee held {story.voucher.title}, and no record shows that it"
                f" knew the secret by height {deadline}: it could not redeem it.",
                _HASHED,
                bearer=PAYEE,
                amount=lost,
                entries=(*story.cited, *held.cited),
                signatures=story.voucher.signed,
            )
        else:
            yield verdict(
                "D14",
                UNDECIDABLE,
                f"Whether the payee will learn the secret of {story.voucher.title} in time.",
                _HASHED,
                bearer="undecided",
                entries=(*story.cited, *held.cited),
            )
    if not told:
        yield verdict("D14", CLEAR, "No voucher failed for want of a secret.", _HASHED)


# D15: the extra condition

_EXTRA = (
    "A voucher's extra call is made when it is redeemed; it fails as that call fails, with its exit"
    " code, and the nonce is not used up."
)


@dispute("D15")
def extras(case: Case) -> Iterator[Verdict]:
    """A voucher's extra call failed, or was never tried."""
    failed = [
        one
        for one in refused_for(case, "EXTRA_CALL_FAILED")
        if one.voucher is not None and one.voucher.terms is not None
    ]
    counted: set[str] = set()
    for one in reversed(failed):  # the last try tells what is lost, and only it
        story = case.stories.get(one.voucher.id) if one.voucher is not None else None
        later = story is not None and story.applied is not None
        then = "it was redeemed later" if later else "it can be tried again before the deadline"
        then = "it was never redeemed" if case.over and not later else then
        lost = 0 if later or story is None or not case.over else still_owed(case, story)
        name = story.voucher.id if story is not None else ""
        if one.sender != case.state.payee or name in counted:
            lost = 0
        counted.add(name)
        yield verdict(
            "D15",
            FOUND,
            f"{one.says}: the condition did not hold then; {then}.",
            _EXTRA,
            bearer=PAYEE if lost else "nobody",
            amount=lost,
            entries=[one.cited],
        )
    untried = [
        story
        for story in case.stories.values()
        if story.terms.extra is not None and not story.messages and case.held(story) is not None
    ]
    if untried:
        yield verdict(
            "D15",
            UNDECIDABLE,
            f"Whether the conditions of {len(untried)} vouchers would have held:"
            " nobody tried them.",
            _EXTRA,
            bearer="undecided",
            entries=cited(untried),
        )
    if not failed and not untried:
        yield verdict("D15", CLEAR, "No voucher's extra condition failed.", _EXTRA)


# D19: the nonces began anew

_ANEW = (
    "A voucher is redeemable only with a nonce above the lane's. A payer that loses its store and"
    " counts from 1 again makes vouchers that no used lane takes; a payee that looks refuses them."
)


@dispute("D19")
def restarted(case: Case) -> Iterator[Verdict]:
    """The payer issued a nonce that its lane had passed already."""
    late = list(_restarted(case))
    for story, passed in late:
        accepted = story.accepted is not None
        lost = still_owed(case, story) if accepted and story.applied is None else 0
        then = "the payee accepted it, and should have refused it" if accepted else "nobody took it"
        came = "was issued" if story.issued is not None else "came to the payee"
        yield verdict(
            "D19",
            FOUND,
            f"{sentence(story.voucher.title)} {came}"
            f" when its lane stood at nonce {passed}: it can never be redeemed; {then}.",
            _ANEW,
            bearer=PAYEE if lost else "nobody",
            amount=lost,
            entries=story.cited,
            signatures=story.voucher.signed,
        )
    if not late:
        yield verdict(
            "D19",
            CLEAR,
            "Every voucher was made with a nonce above its lane's on the chain.",
            _ANEW,
        )


def _restarted(case: Case) -> Iterator[tuple[Story, int]]:
    """Yield the payer's vouchers that came when the chain's lane was past their nonce."""
    for story in case.stories.values():
        claim = story.issued or story.received
        if claim is None or claim.height is None or not redeemable(story.voucher):
            continue
        before = None
        for message, lane in case.chain.lane_changes(story.terms.lane):
            if message.height is not None and message.height < claim.height:
                before = lane
        if before is not None and before.nonce >= story.terms.nonce and story.applied is None:
            yield story, before.nonce
