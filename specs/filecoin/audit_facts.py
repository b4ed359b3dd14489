"""One book's facts: what the chain did as it was recorded there, and what that side asserts.

Theory of operation. F1: the two are never mixed: `chain` is folded from the channel's entries
alone, `happenings` are claims of the tape's owner. F2: a book's role is what its account
says (direction), else its vouchers (the payer's issued or the payee's received: by who signed
them, since a refund goes the other way); a voucher event counts as its role's claim. F3: a
claim has the head epoch of its moment; where the entry has none, the newest that the book had seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...fsm.audit import Book, Cited
from ...fsm.entry import Entry
from ...fsm.types import Json
from .audit_chain import Chain, fold_chain
from .audit_papers import NOBODY, OTHER, PAYEE, PAYER, Copy, Shelf, Voucher
from .audit_recheck import whole

CHAIN = "filecoin"
CHANNEL = "filecoin.payment_channel"
ACCOUNT = "filecoin.channel_account"
VOUCHER = "filecoin.voucher"
PLAN = "filecoin.provider_plan"

ISSUED = "issued"
SENT = "sent"
RECEIVED = "received"
OFFERED_AGAIN = "offered_again"
ACCEPTED = "accepted"
REFUSED = "refused"
SUBMITTED = "submitted"
APPLIED = "applied"
FAILED = "failed"
SUPERSEDED = "superseded"
SECRET_SHARED = "secret_shared"  # noqa: S105 - an event
SERVICE_DELIVERED = "service_delivered"
_TOLD = frozenset({"reason", "shortfall", "delta", "message", "exit", "by", "amount"})
_ROLES = {ISSUED: PAYER, RECEIVED: PAYEE}


@dataclass(frozen=True, slots=True)
class Happening:
    """One claim of one side. `about`: the instance it is recorded of; `kind`: what is claimed.

    `voucher` is None for what an account or a plan claims (funds_pushed, settle_pushed, ...);
    `copy` is the text of it that came with the claim, where one did.
    `height`: the head epoch then; None: the book had seen none. `role`: payer, payee or "".
    """

    side: str
    role: str
    pos: int
    at: int
    height: int | None
    kind: str
    about: str
    voucher: Voucher | None
    params: Mapping[str, Json]
    copy: Copy | None = None

    @property
    def says(self) -> str:
        """The claim in words."""
        whose = f"the {self.role}'s book" if self.role else "the book"
        what = self.kind.replace("_", " ")
        of = f"{self.voucher.title} " if self.voucher is not None else ""
        told = ", ".join(
            f"{name} {self.params[name]}"
            for name in self.params
            if name in _TOLD and self.params[name] not in (None, "", [], {})
        )
        return f"{whose}: {of}{what}" + (f" ({told})" if told else "")

    @property
    def cited(self) -> Cited:
        """The claim as evidence."""
        return Cited(self.side, self.pos, self.says, self.height)


@dataclass(slots=True)
class BookFacts:
    """What one tape says. `role`: whose book it is by its vouchers, "" where it has none.

    `misnamed`: vouchers whose instance has another id than what was signed. `head`: the greatest
    height that the tape had seen, 0 where it had seen none.
    """

    book: Book
    role: str
    chain: Chain
    happenings: list[Happening] = field(default_factory=list)
    misnamed: list[Happening] = field(default_factory=list)
    head: int = 0

    @property
    def side(self) -> str:
        """Ours or theirs."""
        return self.book.side


def read_book(book: Book, key: str, shelf: Shelf) -> BookFacts:
    """Return the facts of a book about the channel `key`; every voucher goes onto the shelf."""
    prefix = f"{VOUCHER}/{key}/"
    facts = BookFacts(book, _role(book, prefix), fold_chain(book, f"{CHANNEL}/{key}", shelf))
    held: dict[int, Voucher] = {}
    seen: int | None = None
    for entry in book.entries:
        height = whole(entry.height)
        seen = height if height is not None else seen
        name = entry.create or book.names.get(entry.instance or 0, "")
        if name.startswith(prefix):
            found = _of_voucher(facts, entry, name, prefix, held, seen, shelf)
        else:
            found = _of_account(facts, entry, name, seen)
        if found is not None:
            facts.happenings.append(found)
    heights = [whole(entry.height) for entry in book.entries]
    known = [one for one in heights if one is not None]
    facts.head = max([*known, book.heads.get(CHAIN, 0)])
    return facts


def role_of(facts: BookFacts) -> str:
    """Return whose book it is, now that the signatures are known (F2); "": nothing shows it."""
    votes = Counter(_whose(one) for one in facts.happenings if one.kind in _ROLES)
    voted = PAYER if votes[PAYER] > votes[PAYEE] else PAYEE if votes[PAYEE] else ""
    return _by_account(facts.book) or voted


def take_role(facts: BookFacts, role: str) -> None:
    """Make a book somebody's, and with it every claim in it."""
    if role != facts.role:
        facts.role = role
        facts.happenings = [replace(one, role=role) for one in facts.happenings]
        facts.misnamed = [replace(one, role=role) for one in facts.misnamed]


def _whose(one: Happening) -> str:
    """Whose book a voucher is in: who pays issues what it signed, and receives refunds."""
    role = _ROLES[one.kind]
    by = one.voucher.by if one.voucher is not None else OTHER
    if by in (OTHER, NOBODY):
        return ""
    return {PAYER: PAYEE, PAYEE: PAYER}[role] if by == PAYEE else role


def _by_account(book: Book) -> str:
    """Return whose book it is as its account says, "" where it has none."""
    for entry in book.entries:
        begun = entry.create is not None and entry.outcome is None
        if begun and str(entry.create).startswith(f"{ACCOUNT}/") and isinstance(entry.params, dict):
            return {1: PAYEE, 2: PAYER}.get(whole(entry.params.get("direction", 1)) or 0, "")
    return ""


def _role(book: Book, prefix: str) -> str:
    """Return whose book it seems to be by its vouchers, before any signature is known."""
    roles = Counter(
        _ROLES.get(str(entry.params.get("role")), "")
        for entry in book.entries
        if entry.create is not None
        and entry.outcome is None
        and entry.create.startswith(prefix)
        and isinstance(entry.params, dict)
    )
    return PAYER if roles[PAYER] > roles[PAYEE] else PAYEE if roles[PAYEE] else ""


def _of_voucher(
    facts: BookFacts,
    entry: Entry,
    name: str,
    prefix: str,
    held: dict[int, Voucher],
    seen: int | None,
    shelf: Shelf,
) -> Happening | None:
    """Return what an entry of a voucher's instance claims, None where it claims nothing."""
    params: Mapping[str, Json] = entry.params if isinstance(entry.params, dict) else {}
    copy = None
    if entry.create is not None:
        voucher = shelf.read(params.get("sv"))
        copy = shelf.copy(params.get("sv"))
        held[entry.pos] = voucher
        role = params.get("role")
        kind = role if role in (ISSUED, RECEIVED) and entry.outcome is None else REFUSED
    else:
        kind = entry.event or ""
        found = held.get(entry.instance or 0)
        if found is None or entry.outcome is not None:
            return None
        voucher = found
        again = params.get("copy")
        if kind == OFFERED_AGAIN and again and shelf.read(again) is voucher:
            copy = shelf.copy(again)
    one = Happening(
        facts.side, facts.role, entry.pos, entry.at, seen, str(kind), name, voucher, params, copy
    )
    if entry.create is not None and voucher.id and name != prefix + voucher.id:
        facts.misnamed.append(one)
    return one


def _of_account(facts: BookFacts, entry: Entry, name: str, seen: int | None) -> Happening | None:
    """Return what an entry of an account or a plan claims; timers and refusals claim nothing."""
    machine = name.partition("/")[0]
    if machine not in (ACCOUNT, PLAN) or entry.outcome is not None or entry.timer is not None:
        return None
    params: Mapping[str, Json] = entry.params if isinstance(entry.params, dict) else {}
    kind = entry.event or "created"
    return Happening(facts.side, facts.role, entry.pos, entry.at, seen, kind, name, None, params)
