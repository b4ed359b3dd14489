"""One side's books on a real tape, with keys that are the same every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from statetape.engine.commands import Receipt
from statetape.engine.replay import Replayer
from statetape.specs.filecoin import address
from statetape.specs.filecoin.signature import sign_secp256k1, signer_of
from statetape.specs.filecoin.voucher import SignedVoucher

from ...engine.machines import Clock, open_tape

CHANNEL = "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq"
OTHER_CHANNEL = "f242ovcjmx2sfvuxyzzibtoa6xjukola2cqjh7k6a"
ACTOR = "f0102"

PAYER_SECRET = b"\x01" * 32
PAYEE_SECRET = b"\x02" * 32
STRANGER_SECRET = b"\x03" * 32


def address_of(secret: bytes) -> str:
    """Return the f1 address of a secret key."""
    return signer_of(b"whose?", sign_secp256k1(secret, b"whose?"))


PAYER = address_of(PAYER_SECRET)
PAYEE = address_of(PAYEE_SECRET)
assert address.protocol(PAYER) == 1

ACCOUNT = f"channel_account/{CHANNEL}"
PLAN = f"provider_plan/{CHANNEL}"
QUEUE = "funding_queue/payer-payee"


def voucher(
    lane: int,
    amount: int,
    nonce: int,
    *,
    secret: bytes | None = PAYER_SECRET,
    channel: str = CHANNEL,
    **fields: Any,
) -> SignedVoucher:
    """Return a voucher, signed by the payer unless another secret key, or None, is given."""
    plain = SignedVoucher(channel, 0, 0, b"", None, lane, nonce, amount, 0, (), None)
    made = plain._replace(**fields)
    if secret is None:
        return made
    return made._replace(signature=sign_secp256k1(secret, made.signing_bytes()))


class Side:
    """An engine on the tape of one side. Every tape is replayed when it is closed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "side.db"
        self.clock = Clock()
        self.engine = open_tape(self.path, self.clock, synchronous="OFF")
        self.head(100)

    def head(self, height: int) -> None:
        """Observe the chain's head; what is due fires."""
        self.engine.observe("filecoin", height)

    def new(self, name: str, /, **params: Any) -> Receipt:
        """Begin `filecoin.NAME`, given as machine/key; it must be accepted."""
        machine, _, key = name.partition("/")
        receipt = self.engine.create(f"filecoin.{machine}", key, params)
        assert receipt.outcome == "accepted", receipt.reason
        return receipt

    def send(self, name: str, event: str, /, **params: Any) -> Receipt:
        """Send an event, whatever becomes of it."""
        return self.engine.send(f"filecoin.{name}", event, params)

    def ok(self, name: str, event: str, /, **params: Any) -> list[dict[str, Any]]:
        """Send an event that must be accepted; returns its effects."""
        receipt = self.send(name, event, **params)
        assert receipt.outcome == "accepted", (event, receipt.reason)
        return receipt.effects or []

    def refused(self, name: str, event: str, /, **params: Any) -> str:
        """Send an event that must be refused; returns its reason, or the kind without one."""
        receipt = self.send(name, event, **params)
        assert receipt.outcome == "rejected", (event, receipt.outcome)
        return receipt.reason.get("reason") or receipt.reason["kind"]

    def state(self, name: str) -> str:
        """Return the state of `filecoin.NAME`."""
        return self.engine.world.instance(f"filecoin.{name}").state

    def data(self, name: str) -> dict[str, Any]:
        """Return the typed data of `filecoin.NAME`."""
        return self.engine.world.instance(f"filecoin.{name}").data

    # vouchers

    def receive(self, one: SignedVoucher, min_delta: int = 0, **params: Any) -> str:
        """Take a voucher of the payer; returns its record's state, or why it was refused.

        What came before is offered again.
        """
        name = record(one)
        given = {"sv": one.text(), "role": "received", "min_delta": str(min_delta), **params}
        if self.engine.world.instance(f"filecoin.{name}") is None:
            self.new(name, **given)
        else:
            self.ok(name, "offered_again", copy=one.text(), min_delta=str(min_delta), **params)
        return self.data(name)["refusal"] or self.state(name)

    def issue(self, one: SignedVoucher) -> str:
        """Put a voucher of ours into the book; returns its state, or why it was refused."""
        name = record(one)
        self.new(name, sv=one.text(), role="issued")
        return self.data(name)["refusal"] or self.state(name)

    def best(self) -> dict[int, int]:
        """Return the best spendable amount of each lane."""
        [effect] = self.ok(ACCOUNT, "report_best")
        return {one["lane"]: int(one["amount"]) for one in effect["vouchers"]}

    # the tape

    def entries(self) -> list[dict[str, Any]]:
        """Return every entry of the tape, decoded."""
        return [json.loads(body) for body in self.engine.tape.read()]

    def effects(self, do: str) -> list[dict[str, Any]]:
        """Return what the outside was told to do under this name, in order."""
        return [
            effect
            for entry in self.entries()
            for effect in entry.get("effects", [])
            if effect["do"] == do
        ]

    def submitted(self) -> list[list[tuple[int, int]]]:
        """Return (lane, nonce) of what was to be submitted, each time."""
        asked = self.effects("SubmitVouchers")
        return [[(one["lane"], one["nonce"]) for one in effect["vouchers"]] for effect in asked]

    def restart(self) -> None:
        """Let the process die, and start it again."""
        self.engine.abandon()
        self.engine = open_tape(self.path, self.clock, synchronous="OFF")

    def close(self) -> None:
        """Replay the whole tape: every byte must follow from what was asked."""
        try:
            report = Replayer().run(self.engine.tape.read())
            assert report.difference is None, report.difference
        finally:
            self.engine.close()


def record(one: SignedVoucher) -> str:
    """Return the name of a voucher's record, without the system."""
    return f"voucher/{CHANNEL}/{one.id_hex}"
