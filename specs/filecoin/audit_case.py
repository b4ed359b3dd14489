"""A case: everything that the disputes are decided from, and how a verdict is written.

Theory of operation. A dispute is a function from a case to verdicts, marked `@dispute("D1")`; the
registry (audits.py) finds it by that mark. It always yields: found, clear with why, or undecidable.

K1  `case.chain` is what the chain did. `case.stories` says of every voucher which claims the books
    make of it and which messages carried it. A claim never stands in for a message.
K2  A claim against its owner's interest decides; one in it does not. The time at which the payee
    got a voucher is its own book's word (`Held.basis`), bounded by what the payer's book issued
    and by the message that carried it.
K3  Amounts are attofil. `bearer` is payer, payee, nobody or undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from ...fsm.audit import (
    CLEAR,
    FOUND,
    UNDECIDABLE,
    Book,
    Cited,
    Outcome,
    Quantities,
    Signed,
    Verdict,
)
from ...fsm.types import Json
from .audit_attainable import Attained
from .audit_chain import COLLECT, SETTLE, UPDATE, Chain, Message
from .audit_compare import Difference, compare_chains
from .audit_facts import (
    ACCEPTED,
    ISSUED,
    OFFERED_AGAIN,
    RECEIVED,
    REFUSED,
    SECRET_SHARED,
    SENT,
    BookFacts,
    Happening,
    read_book,
    role_of,
    take_role,
)
from .audit_papers import PAYEE, PAYER, UNKNOWN, Keys, Shelf, Voucher, may_be_payers
from .audit_quantities import (
    UNIT,
    Candidate,
    Promise,
    attained,
    deadline_of,
    feasible,
    quantities,
    redeemable,
)
from .audit_recheck import Lane, State, secret_of
from .payment_channel import is_key
from .voucher import SignedVoucher

TITLES: Mapping[str, str] = {
    "D1": "You collected before my better voucher",
    "D2": "A stale voucher, or a nonce that went back",
    "D3": "Two vouchers with one nonce",
    "D4": "A higher nonce for a lower amount",
    "D5": "A time lock",
    "D6": "The voucher came at or after settling_at",
    "D7": "Not enough funds",
    "D8": "Redeemed twice, or paid twice",
    "D9": "A merge went wrong",
    "D10": "The settle delay was reset",
    "D11": "Settled before MinSettleHeight",
    "D12": "The counterparty vanished",
    "D13": "Not my signature, or another channel",
    "D14": "The secret was withheld or wrong",
    "D15": "The extra condition",
    "D16": "I submitted it",
    "D17": "Collect failed, or who may collect",
    "D18": "The books do not match",
    "D19": "The nonces began anew",
    "D20": "A voucher after Settle or Collect",
}


class Held(NamedTuple):
    """From which height the payee had a voucher, and on whose word.

    `basis`: both (the payer's book had issued it by then), payee (its book alone), chain (a message
    of the payee carried it), payer (only the payer's book says it was sent), unknown (the payee's
    book has it, and had seen no head). `cited`: the entries.
    """

    height: int
    basis: str
    cited: tuple[Cited, ...]


@dataclass(slots=True)
class Story:
    """One voucher: what the books claim of it, in order of the books, and what the chain did."""

    voucher: Voucher
    happenings: list[Happening] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    _first: dict[tuple[str, str], Happening] = field(default_factory=dict)

    def add(self, one: Happening) -> None:
        """Append a claim."""
        self.happenings.append(one)
        for role in {one.role: None, "": None}:
            known = self._first.setdefault((one.kind, role), one)
            if known.height is None and one.height is not None:
                self._first[one.kind, role] = one

    @property
    def terms(self) -> SignedVoucher:
        """Its terms: every story is of a voucher that decodes."""
        if self.voucher.terms is None:
            raise AssertionError(self.voucher.problem)
        return self.voucher.terms

    def claims(self, kind: str, role: str = "") -> list[Happening]:
        """Return the claims of a kind, by one role's book or by any."""
        return [one for one in self.happenings if one.kind == kind and role in ("", one.role)]

    def claim(self, kind: str, role: str = "") -> Happening | None:
        """Return the first claim of a kind that has a height, else the first."""
        return self._first.get((kind, role))

    @property
    def issued(self) -> Happening | None:
        """The payer's claim to have issued it."""
        return self.claim(ISSUED)

    @property
    def received(self) -> Happening | None:
        """The payee's claim to have received it."""
        return self.claim(RECEIVED)

    @property
    def accepted(self) -> Happening | None:
        """The payee's claim to have accepted it."""
        return self.claim(ACCEPTED, PAYEE)

    @property
    def refused(self) -> Happening | None:
        """The payee's claim to have refused it."""
        return self.claim(REFUSED, PAYEE)

    @property
    def withheld(self) -> bool:
        """Whether the payer's own account refused it, so that it was signed and never a promise."""
        refused = self.claim(REFUSED, PAYER) is not None and self.claim(SENT, PAYER) is None
        return refused and self.received is None and not self.messages

    @property
    def applied(self) -> Message | None:
        """The message that redeemed it."""
        return next((one for one in self.messages if one.accepted), None)

    @property
    def cited(self) -> tuple[Cited, ...]:
        """Its beginning in each book, and every message that carried it."""
        begins = [one.cited for one in (self.issued, self.received) if one is not None]
        return (*begins, *(one.cited for one in self.messages))

    @property
    def first_height(self) -> int | None:
        """The first height at which any record shows it."""
        heights = [one.height for one in self.happenings]
        heights += [one.height for one in self.messages]
        return min((one for one in heights if one is not None), default=None)


@dataclass
class Case:
    """One channel's books, read. See the module's theory of operation.

    `books`: ours first. `chain`: the chain facts that verdicts rest on, of the book `chain.side`.
    `differences`: where the books' chains differ. `stories`: by voucher id, in order of lane and
    nonce. `head`: the greatest height that any book saw. `keys`: both parties' key addresses.
    """

    instance: str
    key: str
    books: Sequence[BookFacts]
    chain: Chain
    differences: Sequence[Difference]
    shelf: Shelf
    keys: Keys
    stories: Mapping[str, Story]
    head: int
    _held: dict[str, Held | None] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The channel after everything."""
        return self.chain.state

    @property
    def collected(self) -> bool:
        """Whether the channel is gone."""
        return self.state.phase == "collected"

    @property
    def deadline(self) -> int | None:
        """The last epoch at which a voucher could be redeemed, as far as the books go."""
        return deadline_of(self.state)

    @property
    def over(self) -> bool:
        """Whether nothing can be redeemed any more."""
        return self.collected or (self.deadline is not None and self.head > self.deadline)

    def book_of(self, role: str) -> BookFacts | None:
        """Return the book of the payer or the payee, None where it was not given."""
        return next((one for one in self.books if one.role == role), None)

    @property
    def complete(self) -> bool:
        """Whether both sides' books were given."""
        return self.book_of(PAYER) is not None and self.book_of(PAYEE) is not None

    def held(self, story: Story) -> Held | None:
        """Return from when the payee had a voucher, and on whose word; None: nothing says so."""
        name = story.voucher.id
        if name not in self._held:
            self._held[name] = self._find_held(story)
        return self._held[name]

    def _find_held(self, story: Story) -> Held | None:
        received, issued = self._received(story), story.issued
        carried = [
            one
            for one in story.messages
            if one.sender == self.state.payee
            and one.height is not None
            and may_be_payers(self.shelf.copy(one.params.get("sv")))
        ]
        if received is not None and received.height is not None:
            if issued is not None and (issued.height or 0) <= received.height:
                return Held(received.height, "both", (issued.cited, received.cited))
            return Held(received.height, "payee", (received.cited,))
        if carried and carried[0].height is not None:
            return Held(carried[0].height, "chain", (carried[0].cited,))
        if received is not None:
            began = self.chain.heights[0] if self.chain.heights else 0
            return Held(began, UNKNOWN, (received.cited,))
        sent = story.claim(SENT, PAYER)
        if sent is None and self.book_of(PAYEE) is None and not story.withheld:
            sent = issued
        if sent is not None and sent.height is not None:
            return Held(sent.height, "payer", (sent.cited,))
        return None

    def _received(self, story: Story) -> Happening | None:
        """The first that the payee got with a signature that the chain may take.

        Others may have sent the same terms with another signature: that is no voucher yet.
        """
        found = [
            one
            for one in story.happenings
            if one.kind in (RECEIVED, OFFERED_AGAIN)
            and one.role != PAYER
            and may_be_payers(one.copy)
        ]
        return next((one for one in found if one.height is not None), found[0] if found else None)

    def secret_known(self, story: Story, held: int) -> int | None:
        """Return from which height the payee could name a voucher's secret, None: never.

        Its own book's word, or any message that carried it: that is public, also if it failed.
        """
        wanted = story.terms.secret_pre_image
        if not wanted:
            return held
        found = self._secrets.get(wanted)
        return None if found is None else max(held, found)

    @cached_property
    def _secrets(self) -> dict[bytes, int]:
        """The first height at which each secret was known, by its hash."""
        known: dict[bytes, int] = {}

        def note(secret: Json, height: int | None) -> None:
            raw = secret_of(secret)
            if raw and height is not None:
                name = blake2b(raw, digest_size=32).digest()
                known[name] = min(height, known.get(name, height))

        for one in self.chain.messages:
            if one.event == UPDATE:
                note(one.params.get("secret"), one.height)
        payee = self.book_of(PAYEE)
        for claim in payee.happenings if payee is not None else ():
            if claim.kind == SECRET_SHARED:
                note(claim.params.get("secret"), claim.height)
        return known

    @cached_property
    def candidates(self) -> list[Candidate]:
        """Every voucher that the payee had and might have redeemed, by its id and terms."""
        found = []
        for name, story in self.stories.items():
            held = self.held(story) if redeemable(story.voucher) else None
            if held is None:
                continue
            proven = (
                held.basis not in (PAYER, UNKNOWN)
                and story.voucher.redeemable_by_signature(PAYER) is True
                and story.terms.extra is None
            )
            known = self.secret_known(story, held.height)
            found.append(Candidate(name, story.terms, held.height, known, proven))
        return found

    @cached_property
    def promises(self) -> list[Promise]:
        """Every voucher that the payer signed, from the first height that shows it."""
        return [
            Promise(height, story.terms.lane, story.terms.amount)
            for story in self.stories.values()
            if redeemable(story.voucher)
            and not story.withheld
            and (height := story.first_height) is not None
        ]

    @cached_property
    def rows(self) -> list[Quantities]:
        """The quantities over height."""
        return quantities(self.chain, self.candidates, self.promises, self.head)

    def obtainable(self, height: int, number: int | None = None) -> Attained:
        """Return what the payee could still bring `to_send` to at a height.

        `number`: in the state before that message (default: after all of them). What was held at
        `height` counts, and whether it can be redeemed from then to the deadline of that state.
        """
        state = self.state if number is None else self.chain.messages[number].before
        lanes = self.chain.lanes(number)
        held = list(feasible(self.candidates, lanes.get, height, deadline_of(state)))
        return attained(state, lanes, held, height)

    def funds_at(self, height: int) -> int:
        """Return what the channel held at a height: deposits of later epochs came too late."""
        state, _, number = self.ending
        later = sum(
            one.after.balance - one.before.balance
            for one in self.chain.messages[:number]
            if one.height is not None and one.height > height
        )
        return state.balance - later

    @property
    def ending(self) -> tuple[State, dict[int, Lane], int | None]:
        """The channel as Collect met it (else as it is), its lanes, and the Collect's number."""
        collect = self.chain.collected_by
        number = collect.number if collect is not None else None
        state = collect.before if collect is not None else self.state
        return state, self.chain.lanes(number), number

    @cached_property
    def end_cited(self) -> list[Cited]:
        """Settle, Collect, and what moved settling_at between them."""
        return [
            one.cited
            for one in self.chain.messages
            if one.before.settling_at != one.after.settling_at or one is self.chain.collected_by
        ]

    def role(self, actor: str) -> str:
        """Return payer or payee for an actor's ID address, else "nobody"."""
        if actor == self.state.payer:
            return PAYER
        return PAYEE if actor == self.state.payee else "nobody"

    def signed(self, stories: Iterable[Story]) -> tuple[Signed, ...]:
        """Return the signatures of vouchers as evidence."""
        return tuple(one for story in stories for one in story.voucher.signed)


def open_case(instance: str, key: str, books: Sequence[Book], prefer: str = "") -> Case:
    """Read the books of the channel `key`. `prefer`: the side whose chain facts to take."""
    shelf = Shelf()
    facts = [read_book(book, key, shelf) for book in books]
    chains = [one.chain for one in facts if one.chain.creation is not None]
    differences = compare_chains(*chains[:2]) if len(chains) > 1 else []
    chain = _chosen(chains or [facts[0].chain], differences, prefer)
    keys = _keys(chain, shelf)
    shelf.judge(keys, {key, *chain.names_of(chain.state.id)})
    head = max(one.head for one in facts)
    case = Case(instance, key, facts, chain, differences, shelf, keys, {}, head)
    _roles(case)
    case.stories = _stories(case)
    return case


def _chosen(chains: Sequence[Chain], differences: Sequence[Difference], prefer: str) -> Chain:
    """Ours, unless the counterparty's says everything that ours says, and more."""
    for chain in chains:
        if chain.side == prefer:
            return chain
    missing_only = all(one.kind == "missing" and one.side == chains[0].side for one in differences)
    return chains[1] if len(chains) > 1 and differences and missing_only else chains[0]


def _keys(chain: Chain, shelf: Shelf) -> Keys:
    """The key addresses that resolve to the parties, and those that the chain took as theirs."""
    state = chain.state
    found: dict[str, list[str]] = {PAYER: [], PAYEE: []}
    for name, actor in chain.addresses.items():
        for role, party in ((PAYER, state.payer), (PAYEE, state.payee)):
            if actor == party and party and is_key(name):
                found[role].append(name)
    for one in chain.applied:
        asked = one.params.get("auth_exit") in (0, "0") or one.exit == 0
        signer = shelf.recover(one.params.get("sv")) if asked else ""
        role = PAYEE if one.sender == state.payer else PAYER
        if signer and not found[role]:
            found[role].append(signer)
    return Keys(tuple(found[PAYER]), tuple(found[PAYEE]))


def _stories(case: Case) -> dict[str, Story]:
    """Gather what is told of every voucher; in order of lane, nonce and id."""
    found = {name: Story(voucher) for name, voucher in case.shelf.vouchers.items()}
    for book in case.books:
        for one in book.happenings:
            if one.voucher is not None and one.voucher.id:
                found[one.voucher.id].add(one)
    for message in case.chain.messages:
        if message.voucher is not None and message.voucher.id:
            found[message.voucher.id].messages.append(message)
    told = [one for one in found.values() if one.happenings or one.messages]
    told.sort(key=lambda one: (one.terms.lane, one.terms.nonce, one.voucher.id))
    return {one.voucher.id: one for one in told}


def _roles(case: Case) -> None:
    """Whose each book is; one without vouchers is the side's that the other book is not."""
    shown = {book.side: role_of(book) for book in case.books}
    for book in case.books:
        others = {role for side, role in shown.items() if side != book.side}
        left = {PAYER: PAYEE, PAYEE: PAYER}.get(next(iter(others)), "") if len(others) == 1 else ""
        take_role(book, shown[book.side] or left or book.role)


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute of the catalogue: its number and the function that decides it."""

    id: str
    decide: Callable[[Case], Iterator[Verdict]]

    def __call__(self, case: Case) -> Iterator[Verdict]:
        """Yield the dispute's verdicts of a case: at least one."""
        if case.chain.creation is None:
            why = "No tape that was given has chain facts of the channel."
            yield verdict(
                self.id, UNDECIDABLE, why, "A claim is no chain fact.", bearer="undecided"
            )
        else:
            yield from self.decide(case)


def dispute(name: str) -> Callable[[Callable[[Case], Iterator[Verdict]]], Dispute]:
    """Mark the function that decides the dispute `name` of the catalogue (see TITLES)."""

    def marked(decide: Callable[[Case], Iterator[Verdict]]) -> Dispute:
        return Dispute(name, decide)

    return marked


def sentence(text: str) -> str:
    """Return `text` with the capital letter that a sentence begins with."""
    return text[:1].upper() + text[1:]


def verdict(
    name: str,
    outcome: Outcome,
    finding: str,
    rule: str,
    *,
    bearer: str = "nobody",
    amount: int | None = None,
    entries: Iterable[Cited] = (),
    signatures: Iterable[Signed] = (),
) -> Verdict:
    """Return a verdict of dispute `name`; every entry is cited once, in order of side and place."""
    cited = {(one.side, one.pos): one for one in entries}
    return Verdict(
        dispute=name,
        title=TITLES[name],
        outcome=outcome,
        finding=finding,
        rule=rule,
        bearer=bearer,
        amount=None if amount is None else str(amount),
        unit=None if amount is None else UNIT,
        entries=tuple(cited[place] for place in sorted(cited)),
        signatures=tuple(dict.fromkeys(signatures)),
    )


__all__ = [
    "CLEAR",
    "COLLECT",
    "FOUND",
    "PAYEE",
    "PAYER",
    "SETTLE",
    "TITLES",
    "UNDECIDABLE",
    "UPDATE",
    "Case",
    "Dispute",
    "Held",
    "Story",
    "dispute",
    "open_case",
    "sentence",
    "verdict",
]
