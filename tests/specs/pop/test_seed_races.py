"""The three races of pop's issues: refused and stuck as the logs show, completed with deferral.

In all of them an event overtakes another that would have made room for it. The exact machine
refuses it, and nobody sends it again; where a machine parks it (`otherwise: defer`), it is offered
again after the next change of state. Deferral brings nothing that was never sent: see the last
tests.
"""

from __future__ import annotations

import re

import pytest
from statetape.engine import catalogue
from statetape.engine.commands import Create, Send
from statetape.fsm.compiler import load
from statetape.fsm.machine import Machine

from .node import Node

SEED_PROVIDER = "pop.retrieval_provider_before_b74d8aa"
SEED_CLIENT = "pop.retrieval_client_at_seed_issues"
PROVIDER = "pop.retrieval_provider"
FREE = {"DealID": 1623434925932}
PAID = {"PricePerByte": "2", "PaymentInterval": 1000, "PaymentIntervalIncrease": 1000}
OVERTAKES = ("BlockSent", "BlocksCompleted", "Complete")


def deferring(name: str) -> Machine:
    """Return an exact machine, with the policy edited into the events that overtake."""
    text = catalogue.paths()[name].read_text()
    for event in OVERTAKES:
        pattern = rf"(  (?:Client|Provider)Event{event}:\n    code: \d+\n)"
        text = re.sub(pattern, r"\1    otherwise: defer\n", text)
    return load(text, f"{name} with deferral", catalogue.library)


class Deal:
    """One deal on a node's tape."""

    def __init__(self, node: Node, machine: Machine, terms: dict[str, object]) -> None:
        self.node = node
        self.machine = machine
        self.name = f"{machine.name}/1623434925932"
        assert node.engine.execute(Create(machine, self.name, terms)).accepted
        prefix = "ClientEvent" if "client" in machine.name else "ProviderEvent"
        self.prefix = prefix

    def hear(self, *events: str | tuple[str, dict[str, object]]) -> list[str]:
        """Send events in order; returns what became of each at once."""
        outcomes = []
        for event in events:
            name, params = event if isinstance(event, tuple) else (event, {})
            receipt = self.node.engine.execute(Send(self.name, self.prefix + name, params))
            outcomes.append(receipt.outcome)
        return outcomes

    @property
    def state(self) -> str:
        """The state it is in, without its prefix."""
        instance = self.node.engine.world.instance(self.name)
        return instance.state.removeprefix("DealStatus")

    @property
    def data(self) -> dict[str, object]:
        """Its typed data."""
        return self.node.engine.world.instance(self.name).data

    def refusals(self) -> list[tuple[int, int]]:
        """Return (state, event) of every refusal, as the log prints them."""
        states, events = self.machine.states, self.machine.events
        return [
            (states[entry["from"]].code, events[entry["event"]].code)
            for entry in self.node.entries()
            if entry.get("outcome") == "rejected"
        ]


def machines(name: str, live: str) -> list[Machine]:
    """Return the exact machine with the policy edited in, and the live one."""
    return [deferring(name), catalogue.machine(live)]


BLOCKS = ("BlockSent", {"totalSent": 512})


# 13/10: the transfer completes a deal that still waits for the end of its blocks


def test_13_10_is_refused_and_the_provider_is_stuck(node):
    """The channel was not tracked yet, so BlocksCompleted was never sent; Complete comes once."""
    deal = Deal(node, catalogue.machine(SEED_PROVIDER), FREE)

    outcomes = deal.hear("Open", ("DealAccepted", {"channelID": "ch"}), "Complete")

    assert outcomes == ["accepted", "accepted", "rejected"]
    assert deal.refusals() == [(13, 10)]
    assert deal.state == "Ongoing"
    refusal = node.entries()[-1]["reason"]
    assert refusal["accepted_in"] == ["DealStatusBlocksComplete", "DealStatusFinalizing"]


def test_13_10_is_told_by_the_watchdog_with_its_cause(node):
    """Five minutes of silence: the event that was refused last is named, and its entry."""
    deal = Deal(node, catalogue.machine(SEED_PROVIDER), FREE)
    deal.hear("Open", ("DealAccepted", {"channelID": "ch"}), "Complete")
    refused_at = node.entries()[-1]["pos"]

    node.forward(300)

    stalled = node.entries()[-1]
    assert (stalled["event"], stalled["timer"]) == ("Stalled", "stall")
    assert stalled["params"] == {"refused": "ProviderEventComplete"}
    assert stalled["cause"] == refused_at
    assert deal.state == "Ongoing"


@pytest.mark.parametrize(
    "machine", machines(SEED_PROVIDER, "pop.deal_provider"), ids=lambda m: m.name
)
def test_13_10_completes_when_the_end_of_the_blocks_comes_late(node, machine):
    """The order of the race, with deferral: Complete waits, and nobody has to send it again."""
    deal = Deal(node, machine, FREE)
    channel = {"channelID": "ch"} if machine.events["ProviderEventDealAccepted"].params else {}

    outcomes = deal.hear("Open", ("DealAccepted", channel), "Complete")
    assert (outcomes[-1], deal.state) == ("deferred", "Ongoing")
    deal.hear("BlocksCompleted")
    assert deal.state == "Completing"
    deal.hear("CleanupComplete")

    assert deal.state == "Completed"
    assert deal.refusals() == []


# 0/4: blocks are sent before the acceptance is heard of


def test_0_4_is_refused_and_bytes_are_forgotten(node):
    """The deal completes, but says that nothing was sent."""
    deal = Deal(node, catalogue.machine(PROVIDER), FREE)

    outcomes = deal.hear("Open", BLOCKS, BLOCKS, "DealAccepted", "BlocksCompleted", "Complete")
    deal.hear("CleanupComplete")

    assert outcomes[1:3] == ["rejected", "rejected"]
    assert deal.refusals() == [(0, 4), (0, 4)]
    assert (deal.state, deal.data["TotalSent"]) == ("Completed", 0)


def test_0_4_and_0_5_end_in_13_10(node):
    """The whole transfer overtakes the acceptance: everything is refused, and the deal is stuck."""
    deal = Deal(node, catalogue.machine(PROVIDER), FREE)

    deal.hear("Open", BLOCKS, "BlocksCompleted", "DealAccepted", "Complete")

    assert deal.refusals() == [(0, 4), (0, 5), (13, 10)]
    assert deal.state == "Ongoing"


@pytest.mark.parametrize("machine", machines(PROVIDER, "pop.deal_provider"), ids=lambda m: m.name)
@pytest.mark.parametrize(
    "order",
    [
        ("Open", BLOCKS, "DealAccepted", "BlocksCompleted", "Complete"),
        ("Open", BLOCKS, "BlocksCompleted", "DealAccepted", "Complete"),
        ("Open", BLOCKS, "BlocksCompleted", "Complete", "DealAccepted"),
        ("Open", BLOCKS, "Complete", "DealAccepted", "BlocksCompleted"),
    ],
)
def test_0_4_completes_in_whatever_order_it_comes(node, machine, order):
    """What overtook the acceptance is taken after it, in the order in which it came."""
    deal = Deal(node, machine, FREE)

    deal.hear(*order)
    deal.hear("CleanupComplete")

    assert (deal.state, deal.data["TotalSent"]) == ("Completed", 512)
    assert deal.refusals() == []


def test_a_lost_request_for_payment_leaves_both_sides_waiting(node):
    """0/6: the transfer is paused for money that the deal does not know was asked for."""
    exact = Deal(node, catalogue.machine(PROVIDER), PAID)
    live = Deal(node, catalogue.machine("pop.deal_provider"), PAID)
    asked = ("PaymentRequested", {"totalSent": 1000})

    for deal in (exact, live):
        deal.hear("Open", asked, "DealAccepted")

    assert (exact.state, exact.data["TotalSent"]) == ("Ongoing", 0)
    assert (live.state, live.data["TotalSent"]) == ("FundsNeeded", 1000)


# 6/27: the client is told that all was sent while it still sets up its payment channel

PROPOSED = ("Open", ("DealProposed", {"channelID": "ch"}), "DealAccepted")


def test_6_27_is_refused_and_the_client_waits_for_ever(node):
    """Every block is there, and the Complete that was refused was the only one."""
    deal = Deal(node, catalogue.machine(SEED_CLIENT), FREE)

    deal.hear(*PROPOSED, "Complete", "PaymentChannelSkip")
    deal.hear(("BlocksReceived", {"totalReceived": 512}), "AllBlocksReceived")

    assert deal.refusals() == [(6, 27)]
    assert (deal.state, deal.data["TotalReceived"]) == ("BlocksComplete", 512)


@pytest.mark.parametrize("last", ["Complete before the blocks", "blocks before the end"])
def test_6_27_completes_with_deferral(node, last):
    """Complete waits until the channel is skipped; then, as in the original, for the blocks."""
    deal = Deal(node, deferring(SEED_CLIENT), FREE)
    blocks = (("BlocksReceived", {"totalReceived": 512}), "AllBlocksReceived")

    assert deal.hear(*PROPOSED, "Complete")[-1] == "deferred"
    if last == "Complete before the blocks":
        deal.hear("PaymentChannelSkip")
        assert deal.state == "CheckComplete"
        deal.hear("WaitForLastBlocks", *blocks)
    else:
        deal.hear(*blocks, "PaymentChannelSkip")
        deal.hear("CompleteVerified")

    assert (deal.state, deal.data["TotalReceived"]) == ("Completed", 512)
    assert deal.refusals() == []


def test_6_27_on_the_live_client_is_taken_at_once(node):
    """pop's later table has a row for it; what is refused now is the skip, and it does no harm."""
    deal = Deal(node, catalogue.machine("pop.deal_client"), FREE)

    deal.hear(*PROPOSED, "Complete", "PaymentChannelSkip", "WaitForLastBlocks")
    deal.hear(("BlocksReceived", {"totalReceived": 512}), "AllBlocksReceived")

    assert deal.state == "Completed"
    assert deal.refusals() == [(21, 12)]


def test_a_complete_before_the_proposal_waits_for_it(node):
    """The live client parks it where its table has no row at all."""
    deal = Deal(node, catalogue.machine("pop.deal_client"), FREE)

    assert deal.hear("Open", "Complete")[-1] == "deferred"
    deal.hear(("DealProposed", {"channelID": "ch"}))

    assert deal.state == "CheckComplete"


# what deferral cannot do


def test_deferral_brings_no_event_that_was_never_sent(node):
    """13/10 as it was logged: the deal waits with its Complete parked, and the silence is told."""
    deal = Deal(node, catalogue.machine("pop.deal_provider"), FREE)
    deal.hear("Open", "DealAccepted", "Complete")

    node.forward(300)

    assert deal.state == "Ongoing"
    assert node.entries()[-1]["event"] == "Stalled"
    node.forward(3600)
    expired = [e for e in node.entries() if e.get("reason", {}).get("kind") == "deferral_expired"]
    assert [entry["event"] for entry in expired] == ["ProviderEventComplete"]


def test_a_crash_between_parking_and_offering_loses_nothing(node):
    """What was parked is on the tape."""
    deal = Deal(node, catalogue.machine("pop.deal_provider"), FREE)
    deal.hear("Open", BLOCKS, "BlocksCompleted", "Complete")

    node.crash()
    deal.hear("DealAccepted")

    assert (deal.state, deal.data["TotalSent"]) == ("Completing", 512)
