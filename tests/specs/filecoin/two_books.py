"""Both ends of a payment channel, each with a tape of its own, filled through the engine.

What the chain does is told to both tapes; a voucher to the side that claims to have it. Keys are
fixed, so every signature is the same on every run.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Self

from statetape.engine.audit import book
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.fsm.audit import OURS, THEIRS, Verdict
from statetape.specs.filecoin.audit_case import Case, Dispute, open_case
from statetape.specs.filecoin.audits import AUDITOR
from statetape.specs.filecoin.voucher import SignedVoucher

from .bookkeeping import CHANNEL as KEY
from .bookkeeping import PAYEE as PAYEE_ADDRESS
from .bookkeeping import PAYEE_SECRET, PAYER_SECRET, STRANGER_SECRET
from .bookkeeping import PAYER as PAYER_ADDRESS
from .bookkeeping import voucher as made

PAYER_KEY, PAYEE_KEY, STRANGER_KEY = PAYER_SECRET, PAYEE_SECRET, STRANGER_SECRET
CHANNEL = f"filecoin.payment_channel/{KEY}"
PAYER, PAYEE = "f0100", "f0101"


def voucher(lane: int, nonce: int, amount: int, key: bytes = PAYER_KEY, **terms) -> SignedVoucher:
    """Return a signed voucher of the channel; terms as SignedVoucher's fields."""
    return made(lane, amount, nonce, secret=key, **terms)


class Books:
    """Two tapes and their clock. Use as a context manager."""

    def __init__(self, folder: Path, *, deposit: int = 1000, height: int = 100) -> None:
        """Create the channel with a deposit, at a height, on both tapes."""
        clock = count(1_700_000_000_000_000, 1_000_000)
        self.paths = {side: folder / f"{side}.db" for side in (OURS, THEIRS)}
        self.tapes = {
            side: Engine.open(path, clock=lambda: next(clock), entropy=lambda n: bytes([7]) * n)
            if side == OURS
            else Engine.open(path, clock=lambda: next(clock), entropy=lambda n: bytes([8]) * n)
            for side, path in self.paths.items()
        }
        self.at(height)
        channel = {
            "id": "f0102",
            "from": PAYER_ADDRESS,
            "to": PAYEE_ADDRESS,
            "value": deposit,
            "addresses": {PAYER_ADDRESS: PAYER, PAYEE_ADDRESS: PAYEE},
        }
        for tape in self.tapes.values():
            assert tape.create("filecoin.payment_channel", KEY, channel).accepted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for tape in self.tapes.values():
            tape.close()

    def at(self, height: int) -> None:
        """Let the chain reach a height, on both tapes."""
        for tape in self.tapes.values():
            tape.observe("filecoin", height)

    def chain(self, event: str, caller: str, sides: tuple[str, ...] = (OURS, THEIRS), **params):
        """Tell both tapes (or one) of a message; returns how the last of them decided it."""
        receipt = None
        for side in sides:
            sent = {"caller": caller, **params}
            receipt = self.tapes[side].send(CHANNEL, event, sent)
        return receipt

    def redeem(self, paper: SignedVoucher, caller: str = PAYEE, **params):
        """A message with a voucher is included."""
        return self.chain("update_channel_state", caller, sv=paper.text(), **params)

    def claim(self, side: str, paper: SignedVoucher, event: str, **params) -> None:
        """A side says something of a voucher: issued and received begin its record."""
        key = f"{KEY}/{paper.id_hex}"
        tape = self.tapes[side]
        if event in ("issued", "received"):
            receipt = tape.create("filecoin.voucher", key, {"sv": paper.text(), "role": event})
        else:
            receipt = tape.send(f"filecoin.voucher/{key}", event, params)
        assert receipt.accepted, receipt.reason

    def hand_over(self, paper: SignedVoucher, *, delta: int = 0, accepted: bool = True) -> None:
        """The payer (ours) issues a voucher, the payee (theirs) receives and accepts it."""
        self.claim(OURS, paper, "issued")
        self.claim(THEIRS, paper, "received")
        if accepted:
            self.claim(THEIRS, paper, "accepted", delta=delta)

    def case(self, *sides: str) -> Case:
        """Return the case from both books, or from one."""
        books = []
        for side in sides or (OURS, THEIRS):
            self.tapes[side].flush()
            with Inspector.open(self.paths[side]) as inspector:
                books.append(book(side, inspector, AUDITOR.belonging(CHANNEL)))
        return open_case(CHANNEL, KEY, books)

    def verdicts(self, dispute: Dispute, *sides: str) -> list[Verdict]:
        """Return what a dispute comes to."""
        return list(dispute(self.case(*sides)))
