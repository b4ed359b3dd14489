"""Random lives of a payment channel on two tapes, and the actor's rules written once more.

A life is made from its seed alone: first every command for both tapes, beside them what the rules
(domain, section 3) give for each message, and which side then knows what. So a life's facts come
neither from the machines nor from the auditor. Sides may miss messages, hear of them late, and say
what is not so.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from statetape.engine import catalogue
from statetape.engine.audit import book
from statetape.engine.commands import Command, Create, Observe, Send
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.fsm.audit import OURS, THEIRS, Book
from statetape.specs.filecoin.audits import AUDITOR
from statetape.specs.filecoin.keys import address_of
from statetape.specs.filecoin.signature import sign_secp256k1
from statetape.specs.filecoin.voucher import Merge, ModVerifyParams, Signature, SignedVoucher

from ..specs.filecoin.two_books import (
    CHANNEL,
    KEY,
    PAYEE,
    PAYEE_ADDRESS,
    PAYEE_KEY,
    PAYER,
    PAYER_ADDRESS,
    PAYER_KEY,
    STRANGER_KEY,
)

ACTOR = "f0102"
STRANGER = "f0103"
UNKNOWN = address_of(STRANGER_KEY)
SIDES = (OURS, THEIRS)
KEYS = {PAYER: PAYER_KEY, PAYEE: PAYEE_KEY, STRANGER: STRANGER_KEY}
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
LANE_MAX = 2**63 - 1
DELAY = 1440
SECRETS = (b"sesame", b"<b>open</b>", b"x" * 256, b"y" * 257)
HOSTILE = ("<script>alert(1)</script>", "\"'><img src=x onerror=alert(2)>", "]]>&amp;<!--", "m-1")
SHORT = ("", "!!", "i0IA", "AAAA", "gA", "8" * 40)
ACCOUNT = "filecoin.channel_account"


class Text(NamedTuple):
    """A voucher as somebody recorded it. `signer`: whose signature the chain takes it for, or "".

    `terms` is None: it does not decode at all; `taken`: the actor's decoder takes it.
    """

    raw: str
    terms: SignedVoucher | None
    signer: str
    taken: bool

    @property
    def signed(self) -> bool:
        return self.terms is not None and self.terms.signature is not None


@cache
def text_of(terms: SignedVoucher, signer: str, form: str) -> Text:
    """Return a voucher with a signature of a form: good, malleated, bls, delegated, bad, none."""
    if form == "none":
        return Text(terms.text(), terms, "", True)
    good = sign_secp256k1(KEYS[signer], terms.signing_bytes())
    data, kind = good.data, 1
    if form == "malleated":
        high = ORDER - int.from_bytes(data[32:64], "big")
        data = data[:32] + high.to_bytes(32, "big") + bytes([data[64] ^ 1])
    elif form in ("bls", "delegated"):
        kind = 2 if form == "bls" else 3
    elif form == "bad":
        data, signer = bytes(65), ""
    whole = terms._replace(signature=Signature(kind, data))
    return Text(whole.text(), whole, signer, form != "delegated")


@dataclass
class Actor:
    """The actor's state and rules, as plain code in the order of the domain's section 3."""

    balance: int
    deposited: int
    to_send: int = 0
    settling_at: int = 0
    floor: int = 0
    lanes: dict[int, tuple[int, int]] = field(default_factory=dict)
    merged_away: int = 0
    gone: bool = False
    paid: tuple[int, int] = (0, 0)

    def fund(self, value: int) -> tuple[int, str]:
        """Send; also what every message that succeeds does with its value."""
        if self.gone:
            return 5, "CHANNEL_DELETED"
        self.balance += value
        self.deposited += value
        return 0, ""

    def settle(self, height: int, caller: str, value: int) -> tuple[int, str]:
        """Method 3."""
        if self.gone:
            return 5, "CHANNEL_DELETED"
        if caller not in (PAYER, PAYEE):
            return 18, "CALLER_NOT_PARTY"
        if self.settling_at:
            return 20, "ALREADY_SETTLING"
        self.fund(value)
        self.settling_at = max(height + DELAY, self.floor)
        return 0, ""

    def collect(self, height: int, caller: str, value: int, exits: Any) -> tuple[int, str]:
        """Method 4."""
        if self.gone:
            return 5, "CHANNEL_DELETED"
        if caller not in (PAYER, PAYEE):
            return 18, "CALLER_NOT_PARTY"
        if not self.settling_at or height < self.settling_at:
            return 18, "NOT_SETTLED"
        if exits.get("send_to_exit", 0):
            return exits["send_to_exit"], "PAYOUT_TO_FAILED"
        if exits.get("send_from_exit", 0):
            return exits["send_from_exit"], "PAYOUT_FROM_FAILED"
        self.fund(value)
        self.paid = (self.to_send, self.balance - self.to_send)
        self.balance, self.gone = 0, True
        return 0, ""

    def update(
        self, height: int, caller: str, text: Text, secret: bytes, value: int, world: Any
    ) -> tuple[int, str]:
        """Method 2."""
        v = text.terms
        if self.gone:
            return 5, "CHANNEL_DELETED"
        if v is None or not text.taken:
            return 21, "PARAMS_UNDECODABLE"
        if caller not in (PAYER, PAYEE):
            return 18, "CALLER_NOT_PARTY"
        if not text.signed:
            return 16, "VOUCHER_UNSIGNED"
        if self.settling_at and height >= self.settling_at:
            return 32, "CHANNEL_SETTLED"
        if len(secret) > 256:
            return 16, "SECRET_TOO_LONG"
        other = PAYEE if caller == PAYER else PAYER
        if world.get("auth_exit", 0 if text.signer == other else 16):
            return world.get("auth_exit", 16), "SIGNATURE_REJECTED"
        if v.channel_addr not in (KEY, ACTOR, STRANGER):
            return 16, "CHANNEL_ADDR_UNRESOLVABLE"
        if v.channel_addr == STRANGER:
            return 16, "CHANNEL_ADDR_MISMATCH"
        failed = self._conditions(height, v, secret, world)
        return failed or self.money(v, value)

    def _conditions(
        self, height: int, v: SignedVoucher, secret: bytes, world: Any
    ) -> tuple[int, str] | None:
        if height < v.time_lock_min:
            return 16, "TIME_LOCK_MIN"
        if v.time_lock_max != 0 and height > v.time_lock_max:
            return 16, "TIME_LOCK_MAX"
        if v.amount < 0:
            return 16, "AMOUNT_NEGATIVE"
        if v.secret_pre_image and hashed(secret) != v.secret_pre_image:
            return 16, "SECRET_MISMATCH"
        if v.extra is not None and world.get("extra_exit", 0):
            return world["extra_exit"], "EXTRA_CALL_FAILED"
        if v.lane > LANE_MAX:
            return 16, "LANE_ID_TOO_BIG"
        return None

    def money(self, v: SignedVoucher, value: int) -> tuple[int, str]:
        """Rows 15 to 20, and the effects."""
        lanes = dict(self.lanes)
        if v.lane in lanes and lanes[v.lane][1] >= v.nonce:
            return 16, "NONCE_OUTDATED"
        others = 0
        for lane, nonce in v.merges:
            if lane == v.lane:
                return 16, "MERGE_SELF"
            if lane > LANE_MAX:
                return 16, "LANE_ID_TOO_BIG"
            if lane not in lanes:
                return 16, "MERGE_LANE_MISSING"
            if lanes[lane][1] >= nonce:
                return 16, "MERGE_NONCE_OUTDATED"
            others += lanes[lane][0]
            lanes[lane] = (lanes[lane][0], nonce)
        new = self.to_send + v.amount - others - lanes.get(v.lane, (0, 0))[0]
        if new < 0:
            return 16, "TO_SEND_NEGATIVE"
        if new > self.balance + value:
            return 16, "INSUFFICIENT_BALANCE"
        self.fund(value)
        self.to_send = new
        self.merged_away += others
        if v.min_settle_height:
            if self.settling_at:
                self.settling_at = max(self.settling_at, v.min_settle_height)
            self.floor = max(self.floor, v.min_settle_height)
        self.lanes = {**lanes, v.lane: (v.amount, v.nonce)}
        return 0, ""


def hashed(secret: bytes) -> bytes:
    """Return the hash that a voucher names a secret by."""
    return blake2b(secret, digest_size=32).digest()


class Fact(NamedTuple):
    """A chain fact of one side: what the rules give for it, and the state after it."""

    height: int
    event: str
    caller: str
    text: Text | None
    secret: bytes
    ended: tuple[int, str]
    after: Actor


class Word(NamedTuple):
    """What one side recorded of a voucher: issued, received, sent, secret_shared, ..."""

    height: int
    kind: str
    text: Text
    secret: bytes = b""


class Life:
    """One random channel: the commands for both tapes, and what is so by the rules."""

    def __init__(self, seed: int) -> None:
        """Make up everything; nothing is run yet."""
        self.rng = rng = Random(seed)
        self.head = rng.randint(1, 300)
        self.commands: dict[str, list[Command]] = {side: [] for side in SIDES}
        self.facts: dict[str, list[Fact]] = {side: [] for side in SIDES}
        self.words: dict[str, list[Word]] = {side: [] for side in SIDES}
        self.texts: list[Text] = []
        self.begun: dict[str, set[str]] = {side: set() for side in SIDES}
        self.deposit = rng.choice((5, 30, 100, 100, 1000))
        self.plain = rng.random() < 0.4
        self.lossy = rng.random() < 0.3
        self.late = rng.random() < 0.3
        self.accounts = rng.random() < 0.3
        self._begin()
        for _ in range(rng.randint(2, 5)):
            self._paper()
        for _ in range(rng.randint(8, 30)):
            self._step()
        self._end()

    # what happens

    def _begin(self) -> None:
        self._observe()
        given = {
            "id": ACTOR,
            "from": PAYER_ADDRESS,
            "to": PAYEE_ADDRESS,
            "value": str(self.deposit),
            "addresses": {PAYER_ADDRESS: PAYER, PAYEE_ADDRESS: PAYEE},
        }
        for side in SIDES:
            self._tell(side, Create(catalogue.machine("filecoin.payment_channel"), CHANNEL, given))
            actor = Actor(self.deposit, self.deposit)
            self.facts[side].append(Fact(self.head, "constructor", "", None, b"", (0, ""), actor))
        for side in SIDES if self.accounts else ():
            ours = {"direction": 2, "control": PAYER_ADDRESS, "target": PAYEE_ADDRESS}
            theirs = {"direction": 1, "control": PAYEE_ADDRESS, "target": PAYER_ADDRESS}
            name = f"{ACCOUNT}/{KEY}"
            own = ours if side == OURS else theirs
            self._tell(side, Create(catalogue.machine(ACCOUNT), name, own))
            self._tell(side, Send(name, "chain_seen", {"balance": str(self.deposit)}))

    def _step(self) -> None:
        steps = {
            self._advance: 5,
            self._paper: 8,
            self._hand: 8,
            self._redeem: 9,
            self._claim: 3,
            self._settle: 1,
            self._collect: 1,
            self._fund: 1,
        }
        [step] = self.rng.choices(list(steps), list(steps.values()))
        step()

    def _end(self) -> None:
        """Often it is settled and collected, sometimes with a deposit in between."""
        rng = self.rng
        if rng.random() < 0.6:
            self._settle()
            for _ in range(rng.randint(0, 4)):
                self._step()
            at = self.facts[OURS][-1].after.settling_at
            self.head = max(self.head, at + rng.choice((-1, 0, 0, 1, 30)))
            self._observe()
            for _ in range(rng.randint(0, 2)):
                self._step()
            if rng.random() < 0.7:
                self._collect()
        self._observe()

    def _advance(self) -> None:
        at = self.facts[OURS][-1].after.settling_at
        steps = [1, 1, 5, 40, 300, 1441]
        if at:
            steps += [max(0, at - 1 - self.head), max(0, at - self.head)] * 2
        self.head += self.rng.choice(steps)
        self._observe()

    def _observe(self) -> None:
        for side in SIDES:
            self._tell(side, Observe("filecoin", self.head))

    def _paper(self) -> None:
        """A voucher is made, in one or more forms."""
        rng, odd = self.rng, not self.plain
        conditions: dict[str, Any] = {}
        if odd and rng.random() < 0.25:
            conditions["time_lock_min"] = self.head + rng.choice((-9, 0, 5, 300, 1440, 2000))
        if odd and rng.random() < 0.25:
            last = self.head + rng.choice((-9, 0, 5, 300, 1440))
            conditions["time_lock_max"] = rng.choice((last, last, -5))
        if odd and rng.random() < 0.15:
            conditions["secret_pre_image"] = hashed(rng.choice(SECRETS))
        if odd and rng.random() < 0.08:
            conditions["extra"] = ModVerifyParams(STRANGER, 7, b"<i>")
        if rng.random() < 0.2:
            conditions["min_settle_height"] = self.head + rng.choice((-5, 100, 1445, 3000))
        if odd and rng.random() < 0.15:
            merged = [Merge(rng.randint(0, 3), rng.randint(0, 9)) for _ in range(rng.randint(1, 2))]
            conditions["merges"] = tuple(merged)
        lane = rng.choice((0, 1, 1, 2, 3)) if rng.random() < 0.97 else rng.choice((2**63, LANE_MAX))
        most = rng.choice((self.deposit // 3, self.deposit // 2, self.deposit * 5 // 4))
        amount = rng.randint(0, most)
        fields = {
            "channel_addr": rng.choice((KEY,) * 9 + (ACTOR, ACTOR, STRANGER, UNKNOWN)),
            "time_lock_min": 0,
            "time_lock_max": 0,
            "secret_pre_image": b"",
            "extra": None,
            "lane": lane,
            "nonce": rng.randint(0, 7),
            "amount": amount if rng.random() < 0.97 else -3,
            "min_settle_height": 0,
            "merges": (),
            "signature": None,
            **conditions,
        }
        signer = rng.choice((PAYER,) * 10 + (PAYEE, STRANGER))
        terms = SignedVoucher(**fields)
        forms = ["good"]
        if odd and rng.random() < 0.3:
            forms = rng.sample(("good", "malleated", "bls", "delegated", "bad", "none"), 2)
        self.texts += [text_of(terms, signer, form) for form in forms]

    def _text(self) -> Text:
        if self.rng.random() < 0.03:
            return Text(self.rng.choice(SHORT), None, "", False)
        return self.rng.choice(self.texts[-6:] if self.rng.random() < 0.7 else self.texts)

    def _hand(self) -> None:
        """The payer records a voucher as issued, the payee as received, or only one of them."""
        text, rng = self._text(), self.rng
        refund = text.signer == PAYEE
        if rng.random() < 0.8:
            self._record(OURS, "received" if refund else "issued", text)
        if rng.random() < 0.8:
            self._record(THEIRS, "issued" if refund else "received", text)

    def _record(self, side: str, role: str, text: Text) -> None:
        name = f"filecoin.voucher/{KEY}/{text.terms.id_hex if text.terms else '00' * 32}"
        machine = catalogue.machine("filecoin.voucher")
        if name not in self.begun[side]:
            self._tell(side, Create(machine, name, {"sv": text.raw, "role": role}))
        elif role == "received":
            self._tell(side, Send(name, "offered_again", {"copy": text.raw}))
        if text.terms is not None and (name not in self.begun[side] or role == "received"):
            self.begun[side].add(name)
            self.words[side].append(Word(self.head, role, text))

    def _claim(self) -> None:
        """A side says something of a voucher that it has."""
        rng = self.rng
        side = rng.choice(SIDES)
        had = [one for one in self.words[side] if one.kind in ("issued", "received")]
        if not had:
            return
        text = rng.choice(had).text
        event, params = rng.choice(
            (
                ("sent", {}),
                ("accepted", {"delta": "1"}),
                ("refused", {"reason": rng.choice(HOSTILE)}),
                ("submitted", {"message": rng.choice(HOSTILE)}),
                ("applied", {"message": rng.choice(HOSTILE)}),
                ("failed", {"message": rng.choice(HOSTILE), "exit": rng.choice((0, 7, 16))}),
                ("service_delivered", {"what": rng.choice(HOSTILE)}),
                ("secret_shared", {"secret": rng.choice(SECRETS).hex()}),
                ("secret_shared", {"secret": rng.choice(SECRETS).hex()}),
            )
        )
        self._tell(side, Send(f"filecoin.voucher/{KEY}/{text.terms.id_hex}", event, params))
        secret = bytes.fromhex(params.get("secret", ""))
        self.words[side].append(Word(self.head, event, text, secret))

    # messages

    def _message(self, event: str, caller: str, params: dict[str, Any], text: Any = None) -> None:
        """A message is included; both tapes hear of it, or one of them, or late."""
        rng = self.rng
        height = self.head
        if self.late and rng.random() < 0.2:
            height = max(1, height - rng.choice((1, 30, 400)))
        forms = {PAYER: (PAYER, PAYER_ADDRESS), PAYEE: (PAYEE, PAYEE_ADDRESS)}
        sent = {**params, "caller": rng.choice(forms.get(caller, (caller,)))}
        if rng.random() < 0.3:
            sent["message"] = rng.choice(HOSTILE)
        if rng.random() < 0.1:
            sent["exit"] = rng.choice((0, 7, 16))
        sides = rng.choice(((OURS,), (THEIRS,))) if self.lossy and rng.random() < 0.2 else SIDES
        for side in sides:
            actor = copy.copy(self.facts[side][-1].after)
            secret = bytes.fromhex(params.get("secret", ""))
            value = int(params.get("value", 0))
            if event == "update_channel_state":
                ended = actor.update(height, caller, text, secret, value, params)
            elif event == "settle":
                ended = actor.settle(height, caller, value)
            elif event == "collect":
                ended = actor.collect(height, caller, value, params)
            else:
                ended = actor.fund(value)
            self._tell(side, Send(CHANNEL, event, sent, height=height))
            self.facts[side].append(Fact(height, event, caller, text, secret, ended, actor))

    def _redeem(self) -> None:
        rng, text = self.rng, self._text()
        caller = rng.choice((PAYEE,) * 8 + (PAYER, PAYER, STRANGER))
        if rng.random() < 0.7 and text.signer in (PAYER, PAYEE):
            caller = PAYEE if text.signer == PAYER else PAYER
        params: dict[str, Any] = {"sv": text.raw}
        hashes = {hashed(secret): secret for secret in SECRETS}
        wanted = hashes.get(text.terms.secret_pre_image) if text.terms else None
        if wanted and rng.random() < 0.7:
            params["secret"] = wanted.hex()
        elif rng.random() < 0.1:
            params["secret"] = rng.choice(SECRETS).hex()
        if text.terms and text.terms.extra is not None and rng.random() < 0.5:
            params["extra_exit"] = rng.choice((16, 32, 33))
        if rng.random() < 0.05:
            params["value"] = str(rng.randint(0, 60))
        if rng.random() < 0.03:
            params["auth_exit"] = rng.choice((0, 16, 32))
        self._message("update_channel_state", caller, params, text)

    def _settle(self) -> None:
        self._message("settle", self.rng.choice((PAYER, PAYER, PAYEE, STRANGER)), self._value())

    def _collect(self) -> None:
        params = self._value()
        if self.rng.random() < 0.15:
            name = self.rng.choice(("send_to_exit", "send_from_exit"))
            params[name] = self.rng.choice((7, 16, 18))
        self._message("collect", self.rng.choice((PAYER, PAYEE, PAYEE, STRANGER)), params)

    def _fund(self) -> None:
        params = {"value": str(self.rng.choice((1, 20, 100)))}
        self._message("send", self.rng.choice((PAYER, PAYEE, STRANGER)), params)

    def _value(self) -> dict[str, Any]:
        return {"value": str(self.rng.randint(1, 9))} if self.rng.random() < 0.1 else {}

    # the tapes

    def _tell(self, side: str, command: Command) -> None:
        self.commands[side].append(command)

    def play(self, folder: Path) -> dict[str, Book]:
        """Run the commands through two engines; returns what both tapes say of the channel."""
        return {side: recorded(folder / f"{side}.db", self.commands[side]) for side in SIDES}


def recorded(path: Path, commands: list[Command]) -> Book:
    """Return what a new tape says of the channel after these commands."""
    clock = iter(range(1_700_000_000_000_000, 1_800_000_000_000_000, 1_000_000))
    seed = b"\x07" if path.stem == OURS else b"\x08"
    with Engine.open(
        path, clock=lambda: next(clock), entropy=lambda n: seed * n, synchronous="OFF"
    ) as engine:
        for answer in engine.execute_many(commands):
            if isinstance(answer, Exception):
                raise answer
    with Inspector.open(path) as inspector:
        return book(path.stem, inspector, AUDITOR.belonging(CHANNEL))
