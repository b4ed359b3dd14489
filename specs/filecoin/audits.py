"""The auditor of payment channels: both sides' books of one channel, and every dispute about it.

A channel's key names it, its account, its provider's plan and its vouchers; all of them belong to
an audit, and only the channel's own entries are chain facts. The disputes D1 to D20 are functions
marked `@dispute` in the modules named here; each is decided in every report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...fsm.audit import Book, Report, Statement, TapeSeen, Verdict
from ...fsm.errors import CallerError
from . import audit_conduct, audit_deadlines, audit_funds, audit_vouchers
from .audit_case import Case, Dispute, open_case
from .audit_facts import ACCOUNT, CHANNEL, PLAN, VOUCHER
from .audit_quantities import MEASURES
from .audit_statements import chain_part, contradicted_part, obtainable_part, undecidable_part
from .audit_tables import marks, tables

MODULES = (audit_conduct, audit_deadlines, audit_funds, audit_vouchers)


class NothingToAudit(CallerError):
    """No tape that was given knows the channel or anything that belongs to it."""

    code = "nothing-to-audit"


def disputes() -> list[Dispute]:
    """Return every dispute that a module decides, by its number in the catalogue."""
    found = [
        value for module in MODULES for value in vars(module).values() if isinstance(value, Dispute)
    ]
    return sorted(found, key=lambda one: int(one.id[1:]))


def verdicts(case: Case) -> Iterator[Verdict]:
    """Yield the verdicts of every dispute."""
    for one in disputes():
        yield from one(case)


class PaymentChannelAuditor:
    """Audits filecoin.payment_channel; also asked by the account of the same key."""

    def audits(self, machine: str) -> bool:
        """Whether instances of this machine can be audited."""
        return machine in (CHANNEL, ACCOUNT)

    def belonging(self, instance: str) -> Sequence[str]:
        """Return the names of the channel, its account and its plan, and its vouchers' prefix."""
        key = instance.partition("/")[2]
        return (f"{CHANNEL}/{key}", f"{ACCOUNT}/{key}", f"{PLAN}/{key}", f"{VOUCHER}/{key}/")

    def report(self, instance: str, books: Sequence[Book], *, timeline: bool = True) -> Report:
        """Return the audit of a channel, without its timeline if told so. Raises NothingToAudit."""
        key = instance.partition("/")[2]
        if not any(book.entries for book in books):
            raise NothingToAudit(f"no entry belongs to the channel {key}", place=instance)
        case = open_case(instance, key, books)
        found = tuple(verdicts(case))
        return Report(
            instance=f"{CHANNEL}/{key}",
            title=f"Payment channel {key}",
            parties=_parties(case),
            tapes=tuple(_seen(book) for book in books),
            measures=MEASURES,
            quantities=tuple(case.rows),
            verdicts=found,
            chain=tuple(chain_part(case)),
            obtainable=tuple(obtainable_part(case)),
            contradicted=tuple(contradicted_part(case)),
            undecidable=(*undecidable_part(case, found), *_otherwise(case, books, found)),
            timeline=tuple(marks(case)) if timeline else (),
            tables=tuple(tables(case)),
        )


def _parties(case: Case) -> dict[str, str]:
    """The channel and both parties, with their key addresses where they are known."""
    state = case.state

    def told(actor: str, keys: Sequence[str]) -> str:
        shown = actor or "not known"
        return f"{shown} ({', '.join(keys)})" if keys else shown

    return {
        "channel": told(state.id, [case.key] if case.key != state.id else []),
        "payer": told(state.payer, case.keys.payer),
        "payee": told(state.payee, case.keys.payee),
    }


def _seen(book: Book) -> TapeSeen:
    return TapeSeen(book.side, book.origin, book.vkey, book.size, book.root)


def _otherwise(case: Case, books: Sequence[Book], found: Sequence[Verdict]) -> Iterator[Statement]:
    """Where the books' chains differ: what the other book's chain facts would change."""
    others = [one.side for one in case.books if one.side != case.chain.side]
    if not case.differences or not others:
        return
    other = tuple(verdicts(open_case(case.instance, case.key, books, prefer=others[0])))
    told = {(one.dispute, one.outcome, one.bearer, one.amount) for one in found}
    instead = [
        one for one in other if (one.dispute, one.outcome, one.bearer, one.amount) not in told
    ]
    if instead:
        what = ", ".join(
            f"{one.dispute} {one.outcome}{f' ({one.amount})' if one.amount else ''}"
            for one in instead
        )
        yield Statement(
            f"The books' chain facts differ. The verdicts rest on those of {case.chain.side}; on"
            f" those of {others[0]} there would be: {what}. A receipt of the chain decides."
        )


AUDITOR = PaymentChannelAuditor()
