"""Books, plan and chain on one tape: lotus's own end-to-end story, with its loss and without it."""

from __future__ import annotations

import pytest
from statetape.specs.filecoin.books import compare

from .bookkeeping import ACCOUNT, ACTOR, CHANNEL, PAYEE, PAYER, PLAN, record, voucher

CHAIN = f"payment_channel/{CHANNEL}"
PAYER_ID, PAYEE_ID = "f0100", "f0101"
STEPS = {lane: [voucher(lane, 1000, 1), voucher(lane, 2000, 2)] for lane in range(3)}
LATE = voucher(3, 1000, 1)


class Executor:
    """Whoever pushes messages: does what the machines ask for, on the chain's machine."""

    def __init__(self, side):
        self.side = side
        self.done = 0

    def run(self):
        """Do everything that was asked for and not done yet, in order."""
        asked = [one for entry in self.side.entries() for one in entry.get("effects", [])]
        for effect in asked[self.done :]:
            if effect["do"] == "SubmitVouchers":
                for item in effect["vouchers"]:
                    self.redeem(f"voucher/{CHANNEL}/{item['id']}")
            elif effect["do"] == "PushCollect":
                self.side.ok(CHAIN, "collect", caller=PAYEE_ID)
                self.side.ok(ACCOUNT, "collect_confirmed")
        self.done = len(asked)

    def redeem(self, name):
        """Push a voucher, see it included, and report its receipt."""
        side = self.side
        side.ok(name, "submitted", message=name)
        sv = side.data(name)["sv"]
        outcome = side.send(CHAIN, "update_channel_state", caller=PAYEE_ID, sv=sv).outcome
        assert outcome == "accepted"
        side.ok(name, "applied", message=name)


def opened(side, **links):
    """A channel with 7000 on the chain, and the payee's book of it."""
    addresses = {PAYER: PAYER_ID, PAYEE: PAYEE_ID}
    parties = {"from": PAYER, "to": PAYEE, "id": ACTOR}
    side.new(CHAIN, **parties, value="7000", addresses=addresses)
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, **links)
    side.ok(ACCOUNT, "chain_seen", balance="7000")
    for ones in STEPS.values():
        for one in ones:
            assert side.receive(one) == "accepted"


def settled(side):
    """The payer settles at 100, and the payee's node sees it."""
    side.ok(CHAIN, "settle", caller=PAYER_ID)
    side.ok(ACCOUNT, "settle_seen", to=ACTOR, settling_at=1540)


def test_with_a_plan_the_late_voucher_is_not_lost(side):
    """6000 by the settler, 1000 late on lane 3: all of the 7000; a lane 4 lacks 1000."""
    side.new(PLAN)
    opened(side, plan=f"filecoin.{PLAN}")
    executor = Executor(side)
    settled(side)
    executor.run()
    assert side.data(CHAIN)["to_send"] == 6000
    assert side.receive(LATE) == "accepted"
    executor.run()
    refused = voucher(4, 1000, 1)
    assert side.receive(refused) == "INSUFFICIENT_FUNDS"
    assert side.data(record(refused))["shortfall"] == 1000
    side.ok(ACCOUNT, "chain_seen", **_seen(side.data(CHAIN)))
    assert compare(side.data(CHAIN), side.data(ACCOUNT)) == []
    side.head(1540)
    executor.run()

    assert (side.data(CHAIN)["paid_to"], side.data(CHAIN)["paid_from"]) == (7000, 0)
    assert (side.state(CHAIN), side.state(PLAN)) == ("collected", "done")


def test_with_lotuss_settler_it_is(side):
    """The control: redeemed once when the Settle is seen, and never again; 1000 go back."""
    opened(side)
    executor = Executor(side)
    settled(side)
    side.ok(ACCOUNT, "redeem_due")
    executor.run()
    assert side.receive(LATE) == "accepted"
    executor.run()
    side.head(1540)
    side.ok(CHAIN, "collect", caller=PAYER_ID)

    assert (side.data(CHAIN)["paid_to"], side.data(CHAIN)["paid_from"]) == (6000, 1000)
    assert side.state(record(LATE)) == "accepted"


@pytest.mark.parametrize("plan", [True, False])
def test_books_never_move_the_chain(side, plan):
    """What is done to the books alone leaves the chain's data as they were, to the byte."""
    if plan:
        side.new(PLAN)
    opened(side, **({"plan": f"filecoin.{PLAN}"} if plan else {}))
    before = dict(side.data(CHAIN))
    side.ok(ACCOUNT, "settle_seen", to=ACTOR, settling_at=1540)
    side.ok(record(STEPS[0][1]), "submitted", message="m")
    side.ok(record(STEPS[0][1]), "applied", message="m")
    side.ok(ACCOUNT, "collect_confirmed")

    assert (side.data(CHAIN), side.state(CHAIN)) == (before, "open")


def _seen(chain):
    lanes = {
        str(lane): {"redeemed": str(one["redeemed"]), "nonce": one["nonce"]}
        for lane, one in chain["lanes"].items()
    }
    figures = {name: str(chain[name]) for name in ("balance", "to_send")}
    return {**figures, "settling_at": chain["settling_at"], "lanes": lanes}
