"""The payment channel machine against a second telling of the actor's rules, message by message.

The oracle below was written from the rules alone, as straight-line code over plain integers. It
shares nothing with the machine but the voucher codec. Random messages must get the same exit code
and leave the same state from both.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.engine import catalogue
from statetape.fsm.decide import ACCEPTED, Moment, create, decide
from statetape.specs.filecoin.voucher import Merge, ModVerifyParams, Signature, SignedVoucher

CHANNEL, PAYER, PAYEE, STRANGER = "f0100", "f0101", "f0102", "f0103"
MACHINE = catalogue.machine("filecoin.payment_channel")


@dataclass
class Oracle:
    """A channel, by the rules."""

    balance: int
    to_send: int = 0
    settling_at: int = 0
    min_settle: int = 0
    lanes: dict[int, list[int]] = field(default_factory=dict)
    gone: bool = False

    def send(self, value):
        if self.gone:
            return 5
        self.balance += value
        return 0

    def settle(self, caller, epoch):
        if self.gone:
            return 5
        if caller not in (PAYER, PAYEE):
            return 18
        if self.settling_at:
            return 20
        self.settling_at = max(epoch + 1440, self.min_settle)
        return 0

    def collect(self, caller, epoch):
        if self.gone:
            return 5
        if caller not in (PAYER, PAYEE) or not self.settling_at or epoch < self.settling_at:
            return 18
        self.gone = True
        return 0

    def update(self, caller, epoch, voucher, secret, signer, extra_exit):
        if self.gone:
            return 5
        if caller not in (PAYER, PAYEE):
            return 18
        if voucher.signature is None:
            return 16
        if self.settling_at and epoch >= self.settling_at:
            return 32
        if len(secret) > 256:
            return 16
        if signer != (PAYEE if caller == PAYER else PAYER):
            return 16
        if voucher.channel_addr != CHANNEL:
            return 16
        if epoch < voucher.time_lock_min:
            return 16
        if voucher.time_lock_max and epoch > voucher.time_lock_max:
            return 16
        if voucher.amount < 0:
            return 16
        wanted = voucher.secret_pre_image
        if wanted and hashlib.blake2b(secret, digest_size=32).digest() != wanted:
            return 16
        if voucher.extra and extra_exit:
            return extra_exit
        return self._pay(voucher)

    def _pay(self, voucher):
        if voucher.lane > 2**63 - 1:
            return 16
        lanes = {number: list(lane) for number, lane in self.lanes.items()}
        if voucher.lane in lanes and lanes[voucher.lane][1] >= voucher.nonce:
            return 16
        others = 0
        for number, nonce in voucher.merges:
            if number == voucher.lane or number not in lanes or lanes[number][1] >= nonce:
                return 16
            others += lanes[number][0]
            lanes[number][1] = nonce
        before = lanes[voucher.lane][0] if voucher.lane in lanes else 0
        paying = self.to_send + voucher.amount - others - before
        if paying < 0 or paying > self.balance:
            return 16
        lanes[voucher.lane] = [voucher.amount, voucher.nonce]
        self.lanes = lanes
        self.to_send = paying
        if voucher.min_settle_height:
            if self.settling_at and self.settling_at < voucher.min_settle_height:
                self.settling_at = voucher.min_settle_height
            self.min_settle = max(self.min_settle, voucher.min_settle_height)
        return 0


class Channel:
    """The machine, driven the same way."""

    def __init__(self, balance):
        params = {"id": CHANNEL, "from": PAYER, "to": PAYEE, "value": balance}
        decision = create(MACHINE, params, self.moment(1, "open"))
        assert decision.outcome == ACCEPTED
        self.state, self.data, self.timers = "open", decision.data, {}

    @staticmethod
    def moment(epoch, state):
        return Moment(0, epoch, CHANNEL, state, "filecoin")

    def tell(self, event, epoch, **params):
        moment = self.moment(epoch, self.state)
        decision = decide(MACHINE, event, self.state, self.data, self.timers, params, moment)
        if decision.outcome != ACCEPTED:
            return decision.reason["code"]
        self.state = decision.to or self.state
        self.data = decision.data
        return 0


lanes = st.sampled_from([0, 1, 2, 2**63 - 1, 2**63])
nonces = st.integers(0, 6)
epochs = st.sampled_from([0, 1, 1439, 1440, 1441, 1442, 1443, 3000, 5000])
secrets = st.sampled_from([b"", b"open sesame", b"x" * 256, b"x" * 257])
hashes = [b"", hashlib.blake2b(b"open sesame", digest_size=32).digest(), b"\1" * 32]
merge_counts = st.sampled_from([0, 0, 0, 1, 2, 3])
people = st.sampled_from([PAYER, PAYEE, PAYEE, PAYEE, STRANGER])


@st.composite
def vouchers(draw):
    """A voucher of which most could be redeemed, and every check can fail."""
    often = st.sampled_from([True] * 9 + [False])
    return SignedVoucher(
        channel_addr=CHANNEL if draw(often) else STRANGER,
        time_lock_min=draw(st.sampled_from([0, 0, 0, -5, 1440, 2**62])),
        time_lock_max=draw(st.sampled_from([0, 0, 0, -1, 1, 1441, 2**63 - 1])),
        secret_pre_image=draw(st.sampled_from([hashes[0], hashes[0], *hashes])),
        extra=None if draw(often) else ModVerifyParams(STRANGER, 2, b"\1"),
        lane=draw(lanes),
        nonce=draw(nonces),
        amount=draw(st.sampled_from([0, 1, 2, 3, 5, 8, 13, -1, 2**80])),
        min_settle_height=draw(st.sampled_from([0, 0, 0, -7, 1441, 1500, 4000])),
        merges=tuple(
            Merge(draw(lanes), draw(nonces))
            for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 3])))
        ),
        signature=Signature(2, b"\0") if draw(often) else None,
    )


messages = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 9)),
    st.tuples(st.just("settle"), people),
    st.tuples(st.just("collect"), people),
    *[
        st.tuples(
            st.just("update"),
            people,
            vouchers(),
            secrets,
            st.sampled_from([PAYER, PAYER, PAYER, PAYEE]),
            st.sampled_from([0, 0, 23]),
        )
    ]
    * 6,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 30), st.lists(st.tuples(messages, epochs), max_size=14))
def test_machine_and_oracle_agree(balance, story):
    """Same exit codes, same state, after every message; epochs only rise."""
    oracle, channel = Oracle(balance), Channel(balance)
    epoch = 0
    for message, at in story:
        epoch = max(epoch, at)
        expected, actual = play(oracle, channel, message, epoch)

        assert actual == expected, message
        data = channel.data
        lanes_now = {n: [lane["redeemed"], lane["nonce"]] for n, lane in data["lanes"].items()}
        assert lanes_now == oracle.lanes
        assert (data["to_send"], data["settling_at"]) == (oracle.to_send, oracle.settling_at)
        assert data["min_settle_height"] == oracle.min_settle
        if not oracle.gone:
            assert data["balance"] == oracle.balance
        else:
            assert data["paid_to"] == oracle.to_send
            assert data["paid_to"] + data["paid_from"] == oracle.balance


def play(oracle, channel, message, epoch):
    """Tell both the same message; returns both exit codes."""
    kind, *rest = message
    if kind == "send":
        [value] = rest
        return oracle.send(value), channel.tell("send", epoch, value=value)
    if kind == "settle":
        [caller] = rest
        return oracle.settle(caller, epoch), channel.tell("settle", epoch, caller=caller)
    if kind == "collect":
        [caller] = rest
        return oracle.collect(caller, epoch), channel.tell("collect", epoch, caller=caller)
    caller, voucher, secret, signer, extra_exit = rest
    expected = oracle.update(caller, epoch, voucher, secret, signer, extra_exit)
    params = {
        "caller": caller,
        "sv": voucher.text(),
        "secret": secret,
        "signed_by": signer,
        "extra_exit": extra_exit,
    }
    return expected, channel.tell("update_channel_state", epoch, **params)


def test_the_oracle_reaches_every_kind_of_ending():
    """A control: the sampled messages do redeem, refuse, settle and collect."""
    seen = set()

    @settings(max_examples=400, deadline=None, database=None)
    @given(st.lists(st.tuples(messages, epochs), min_size=8, max_size=14))
    def explore(story):
        oracle, channel = Oracle(20), Channel(20)
        epoch = 0
        for message, at in story:
            epoch = max(epoch, at)
            seen.add((message[0], play(oracle, channel, message, epoch)[0]))

    explore()

    assert {("update", 0), ("update", 16), ("update", 18), ("update", 32)} <= seen
    assert {("settle", 0), ("settle", 20), ("collect", 0), ("collect", 18), ("send", 5)} <= seen
