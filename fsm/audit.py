"""An audit: what both sides' books say of one instance, and what follows for a dispute about it.

A system's `audits.py` turns entries into a `Report` with pure functions; the engine collects the
entries, the command line shows the report. Facts that a chain decided and facts that one side
asserts are kept apart: the former alone say what happened, the latter are compared with it.

Amounts are exact integers in the unit of their measure; in JSON decimal strings. Heights are those
of the instance's chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

import msgspec

from .entry import Entry

OURS = "ours"
THEIRS = "theirs"

FOUND: Final = "found"
CLEAR: Final = "clear"
UNDECIDABLE: Final = "undecidable"
Outcome = Literal["found", "clear", "undecidable"]


class Book(msgspec.Struct, frozen=True):
    """What one tape says of the audited instance and what belongs to it.

    `entries` are in order of position; `names` leads from the position of an instance's creation
    to machine/key. `vkey` is the key that signs the tape's checkpoints. `heads`: the newest height
    of each chain that the tape observed, so how far it looked, also where nothing happened.
    """

    side: str
    origin: str
    vkey: str
    size: int
    root: str
    names: Mapping[int, str]
    entries: Sequence[Entry]
    heads: Mapping[str, int] = {}


class Cited(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry that a statement rests on: on whose tape, where, and what it says, in words."""

    side: str
    pos: int
    says: str
    height: int | None = None


class Signed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signature that a statement rests on: over what (an id), by whom, and whether it holds."""

    over: str
    signer: str
    valid: bool
    says: str = ""


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """One disagreement of the system's catalogue, decided.

    `outcome`: found (it is the case), clear (it is not), undecidable (the tapes cannot tell).
    `bearer`: who bears it - a party's role, `nobody`, or `undecided`. `amount`: what it comes to
    for the bearer, as a decimal string; absent where there is none. `rule`: what it rests on.
    """

    dispute: str
    title: str
    outcome: Outcome
    finding: str
    rule: str
    bearer: str = "nobody"
    amount: str | None = None
    unit: str | None = None
    entries: tuple[Cited, ...] = ()
    signatures: tuple[Signed, ...] = ()


class Statement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sentence of the report, with what it rests on."""

    text: str
    entries: tuple[Cited, ...] = ()
    signatures: tuple[Signed, ...] = ()


class Measure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A quantity that changes over height; `charted`: it belongs into the chart."""

    name: str
    title: str
    unit: str
    charted: bool = False


class Quantities(msgspec.Struct, frozen=True):
    """Every measure's value from this height on, as decimal strings; None: there is none."""

    height: int
    values: dict[str, str | None]


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened, for the timeline. `kind`: chain or private."""

    height: int | None
    at: int
    kind: Literal["chain", "private"]
    says: str
    cited: Cited


class Table(msgspec.Struct, frozen=True):
    """Rows for people: vouchers, say, with what each policy says of them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class TapeSeen(msgspec.Struct, frozen=True):
    """A tape that the audit read: whose, which, and exactly how much of it."""

    side: str
    origin: str
    vkey: str
    size: int
    root: str


class Report(msgspec.Struct, frozen=True):
    """A whole audit. The four parts are told in this order, what cannot be decided last."""

    instance: str
    title: str
    parties: dict[str, str]
    tapes: tuple[TapeSeen, ...]
    measures: tuple[Measure, ...]
    quantities: tuple[Quantities, ...]
    verdicts: tuple[Verdict, ...]
    chain: tuple[Statement, ...]
    obtainable: tuple[Statement, ...]
    contradicted: tuple[Statement, ...]
    undecidable: tuple[Statement, ...]
    timeline: tuple[Mark, ...]
    tables: tuple[Table, ...] = ()
    format: str = "statetape-audit/1"


class Auditor(Protocol):
    """How a system audits an instance of one of its machines."""

    def audits(self, machine: str) -> bool:
        """Whether instances of this machine can be audited."""

    def belonging(self, instance: str) -> Sequence[str]:
        """Return the names (machine/key) of what belongs to an audited instance.

        A name that ends in `/` stands for every instance whose name begins with it.
        """

    def report(self, instance: str, books: Sequence[Book], *, timeline: bool = True) -> Report:
        """Return the audit: the first book is ours, a second one the counterparty's.

        `timeline`: with what happened when, which is most of a long report. Raises CallerError
        where there is nothing to audit.
        """
