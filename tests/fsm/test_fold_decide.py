"""Folding what was written gives what was decided, over random histories."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from statetape.engine import catalogue
from statetape.specs.filecoin.voucher import Merge, ModVerifyParams, Signature, SignedVoucher

from .expressions import TYPES
from .machines import machine
from .strategies import PROPERTY, integers, small_json, values, words
from .tape import Tape

CHANNEL = catalogue.machine("filecoin.payment_channel")
SMALL = {
    "collections": """
        types: {maybe: {sure: int, unsure: "int?"}}
        data:
          n: int = 0
          o: "int?"
          ns: "list[int] = []"
          m: "map[int, int] = {}"
          rs: "map[text, maybe] = {}"
          r: "maybe?"
        states: {open: {initial: true, timers: {t: {event: tick, after: n, when: n > 0}}}, shut: }
        events:
          tick: {set: {n: n - 1}, go: [{from: any, to: same}]}
          put:
            params: {k: int, v: "int?"}
            set: {"m[k]": "0 if v is None else n", o: v}
            go: [{from: any}]
          drop: {params: {k: int}, set: {m: "{x: m[x] for x in m if x != k}"}, go: [{from: any}]}
          keep: {params: {k: text, r: maybe}, set: {"rs[k]": r, r: r}, go: [{from: any}]}
          clear: {set: {rs: "{}", ns: "[]", r: None, o: None}, go: [{from: any, to: open}]}
          push: {params: {v: int}, set: {ns: "[v, n]", n: v}, go: [{from: any, to: shut}]}
        """,
    "json": """
        data: {j: "json?", m: "map[text, json] = {}"}
        states: {open: {initial: true}}
        events:
          put: {params: {j: "json?"}, set: {j: j}, go: [{from: open}]}
          item:
            params: {k: text, j: "json?"}
            require: [{that: j is not None, else: {reason: NO}}]
            set: {"m[k]": j}
            go: [{from: open}]
        """,
}
PARAMS = {
    "k": st.sampled_from([0, 1, 2, "a", "b", -(2**70), 2**70 + 1]),
    "v": st.none() | st.integers(-2, 3) | integers,
    "r": values(TYPES["maybe"]) | st.just({"sure": "5"}) | words,
    "j": st.none() | small_json,
}


@pytest.mark.parametrize("name", SMALL)
@PROPERTY
@given(data=st.data())
def test_entries_of_a_small_machine_fold_to_what_was_decided(
    name: str, data: st.DataObject
) -> None:
    """Any commands in any order, accepted or refused, timers fired or not."""
    of = machine(SMALL[name])
    tape = Tape(of)
    tape.begin({})
    for now in range(1, data.draw(st.integers(2, 8))):
        event = data.draw(st.sampled_from(list(of.events)))
        if event == "tick" and "t" in tape.timers and data.draw(st.booleans()):
            tape.send("tick", {}, tape.timers["t"][1], firing="t")
        else:
            params = {one.name: data.draw(PARAMS[one.name]) for one in of.events[event].params}
            tape.send(event, params, now)
        tape.check()


PAYER, PAYEE, STRANGER = "f0101", "f0102", "f0999"
parties = st.sampled_from([PAYEE, PAYER, PAYEE, PAYER, PAYEE, STRANGER])
values_sent = st.sampled_from([0, 0, 0, 1, 5, 2**70 + 1, -1])
lanes = st.sampled_from([0, 0, 1, 2, 2**63 - 1, 2**63])
steps = st.sampled_from([1, 1, 1, 2, 0, -1])
oddities = st.sampled_from(["", "", "", "", "", "unsigned", "channel", "early", "late", "extra"])


class PaymentChannel(RuleBasedStateMachine):
    """A channel from its creation on; the chain's record says that every signature is good."""

    def __init__(self) -> None:
        super().__init__()
        self.tape = Tape(CHANNEL)
        self.height = 1
        self.observed = False

    @initialize(value=st.sampled_from([0, 10, 100, 2**70 + 1]))
    def begin(self, value: int) -> None:
        """Create the channel."""
        params = {"id": "f0100", "from": PAYER, "to": PAYEE, "value": value}
        assert self.tape.begin(params, height=self.height).outcome == "accepted"

    def nonce(self, lane: int, step: int) -> int:
        """Return a nonce so far after the one that the lane has."""
        known = self.tape.data["lanes"].get(lane, {"nonce": 0})
        return max(0, known["nonce"] + step)

    @rule(
        lane=lanes,
        step=steps,
        amount=st.sampled_from([0, 1, 3, 7, 50, 2**70 + 1, -1]),
        merges=st.lists(st.tuples(lanes, steps), max_size=2) | st.just([]),
        floor=st.sampled_from([0, 0, 1500, 3000]),
        odd=oddities,
        caller=parties,
        value=values_sent,
    )
    def redeem_oddly(
        self, lane: int, step: int, amount: int, merges: Any, floor: int, odd: str,
        caller: str, value: int,
    ) -> None:  # fmt: skip
        """Redeem a voucher that fits, or nearly."""
        self.redeem(lane, step, amount, merges, floor, odd, caller, value)

    def redeem(
        self, lane: int, step: int, amount: int, merges: Any, floor: int, odd: str,
        caller: str, value: int,
    ) -> None:  # fmt: skip
        """Write and redeem a voucher with one oddity or none."""
        voucher = SignedVoucher(
            "f0104" if odd == "channel" else "f0100",
            self.height + 1 if odd == "early" else 0,
            self.height - 1 if odd == "late" else 0,
            b"",
            ModVerifyParams("f0103", 7, b"\x01") if odd == "extra" else None,
            lane,
            self.nonce(lane, step),
            amount,
            floor,
            tuple(Merge(other, self.nonce(other, by)) for other, by in merges),
            None if odd == "unsigned" else Signature(1, b"\x07" * 65),
        ).text()
        params = {"caller": caller, "sv": voucher, "auth_exit": 0, "value": value}
        self.send("update_channel_state", params)

    @rule(lane=st.integers(0, 2), amount=st.integers(0, 9), merge=st.integers(-1, 2))
    def redeem_well(self, lane: int, amount: int, merge: int) -> None:
        """Redeem a voucher that fits in every way but perhaps the balance and the merged lane."""
        known = merge in self.tape.data["lanes"] and merge != lane
        self.redeem(lane, 1, amount, [(merge, 1)] if known else [], 0, "", PAYEE, 0)

    @rule(caller=parties, value=values_sent)
    def settle(self, caller: str, value: int) -> None:
        """Begin to settle."""
        self.send("settle", {"caller": caller, "value": value})

    @rule(caller=parties, exits=st.sampled_from([0, 0, 2**70 + 1]))
    def collect(self, caller: str, exits: int) -> None:
        """Collect, sometimes with a payout that failed."""
        self.send("collect", {"caller": caller, "send_to_exit": exits})

    @rule(value=values_sent)
    def add(self, value: int) -> None:
        """Add funds."""
        self.send("send", {"value": value})

    @rule(balance=st.integers(0, 20))
    def observe(self, balance: int) -> None:
        """Learn another balance from the chain."""
        if self.send("observe_balance", {"balance": balance}) == "accepted":
            self.observed = True

    @rule(by=st.sampled_from([1, 10, 1440]))
    def pass_time(self, by: int) -> None:
        """Let the chain grow, and fire what is due."""
        self.height += by
        timer = self.tape.timers.get("settle_delay")
        if timer is not None and timer[1] <= self.height:
            self.tape.send("settle_delay_over", {}, 0, self.height, firing="settle_delay")

    def send(self, event: str, params: dict[str, Any]) -> str:
        """Send a command at the present height."""
        return self.tape.send(event, params, height=self.height).outcome

    @invariant()
    def fold_is_what_was_decided(self) -> None:
        """Every entry is canonical, and all of them fold to the typed data."""
        if self.tape.exists:
            self.tape.check()

    @invariant()
    def payee_is_never_owed_more_than_there_is(self) -> None:
        """Unless the chain itself showed another balance."""
        data = self.tape.data
        if data and not self.observed and self.tape.state != "collected":
            assert 0 <= data["to_send"] <= data["balance"]

    @invariant()
    def money_is_conserved(self) -> None:
        """What came in is there or was paid out."""
        data = self.tape.data
        if data and not self.observed:
            assert data["deposited"] == data["balance"] + data["paid_to"] + data["paid_from"]


TestPaymentChannel = PaymentChannel.TestCase
TestPaymentChannel.settings = settings(PROPERTY, max_examples=150, stateful_step_count=30)
