"""The outside of a delivery node: a whole retrieval, its vouchers, and what may go wrong."""

from __future__ import annotations

import shutil

import pytest
from statetape.engine.driver import Driver
from statetape.engine.engine import Engine
from statetape.engine.replay import Replayer
from statetape.fsm.driving import DELIVERED, LATE, LOST, Effect, Event, Then
from statetape.fsm.errors import CallerError
from statetape.specs.filecoin.keys import address_of
from statetape.specs.filecoin.signature import signer_of
from statetape.specs.filecoin.voucher import parse
from statetape.specs.pop.vouchers import signed, trouble

from ...engine.machines import START
from .retrieving import (
    DEAL,
    DEAL_P,
    LANE,
    LANE_P,
    SECRETS,
    SERVING,
    TRANSFER,
    Retrieval,
    opened,
    world,
)

CHANNEL = "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq"


def vouchers(told):
    """The vouchers that arrived at the provider, in order."""
    return [parse(one.params["voucher"]) for one in told.entries("provider", "VoucherArrived")]


def test_a_paid_retrieval_completes_on_both_sides(tmp_path):
    """Nothing is refused on the way, and both tapes replay to the byte."""
    with Retrieval(tmp_path).ask() as told:
        ends = {name: told.state(name) for name in (DEAL, DEAL_P, SERVING, "pop.tx/tx")}
        client = told.data(DEAL)
        provider = told.data(DEAL_P)
        replays = [Replayer().run(one.tape.read()).difference for one in told.nodes.values()]
        refusals = told.refusals()

    assert ends == {
        DEAL: "DealStatusCompleted",
        DEAL_P: "DealStatusCompleted",
        SERVING: "Finished",
        "pop.tx/tx": "Closed",
    }
    assert (client["TotalReceived"], client["BytesPaidFor"], client["FundsSpent"]) == (
        250,
        250,
        500,
    )
    assert (provider["TotalSent"], provider["FundsReceived"]) == (250, 500)
    assert refusals == []
    assert replays == [None, None]


def test_money_is_due_at_the_boundaries_and_at_the_end(tmp_path):
    """Boundaries 100 and 250 of 250 bytes: the last voucher is for all; amounts are totals."""
    with Retrieval(tmp_path, world(sizes=(60, 60, 60, 60, 10))).ask() as told:
        made = vouchers(told)
        before = [
            one.params["totalSent"]
            for one in told.entries("provider", "ProviderEventPaymentRequested")
        ]
        promised = told.data(LANE)["lanes"][0]
        counted = told.data(LANE_P)["lanes"][0]

    assert [(one.lane, one.nonce, one.amount) for one in made] == [(0, 1, 200), (0, 2, 500)]
    assert before == [120, 250]
    assert (
        (promised["amount"], promised["nonce"]) == (counted["amount"], counted["nonce"]) == (500, 2)
    )


def test_vouchers_are_signed_by_the_clients_wallet(tmp_path):
    """A real signature over the voucher's bytes; the key is on neither tape."""
    with Retrieval(tmp_path).ask() as told:
        made = vouchers(told)
        tapes = b"".join(body for one in told.nodes.values() for body in one.tape.read())

    signers = {signer_of(one.signing_bytes(), one.signature) for one in made}
    assert signers == {address_of(SECRETS["client"])}
    assert len(made) == 2
    assert SECRETS["client"].hex().encode() not in tapes
    assert SECRETS["provider"].hex().encode() not in tapes


def test_a_free_retrieval_needs_no_channel(tmp_path):
    """No voucher, no payment channel, no pause."""
    with Retrieval(tmp_path, world(price=0)).ask() as told:
        ends = told.state(DEAL), told.state(DEAL_P), told.state(TRANSFER)
        lanes = [one.world.instance(LANE) for one in told.nodes.values()]
        made = vouchers(told)

    assert ends == ("DealStatusCompleted", "DealStatusCompleted", "Completed")
    assert (lanes, made) == ([None, None], [])


def test_content_that_is_not_there_is_answered_with_silence(tmp_path):
    """The query ends, and the transaction waits for another offer."""
    with Retrieval(tmp_path, world()) as told:
        told.nodes["client"].create("pop.tx", "other", {"root": "bafyother"})
        told.nodes["client"].send("pop.tx/other", "QueryStarted", {"balance": 1, "maxppb": 5})
        told.driver.run(100)
        ends = told.state("pop.query_provider/other"), told.state("pop.tx/other")

    assert ends == ("Silent", "Querying")


def test_a_second_retrieval_uses_the_same_channel_on_a_lane_of_its_own(tmp_path):
    """What was promised on the first lane stays; the second adds to it."""
    with Retrieval(tmp_path).ask() as told:
        client = told.nodes["client"]
        client.send(LANE, "FundsRequested", {"amount": 500})
        client.create("pop.tx", "again", {"root": "bafyroot"})
        client.send("pop.tx/again", "QueryStarted", {"balance": 10**18, "maxppb": 5})
        told.driver.run(1000)
        ends = told.state("pop.deal_client/again-1"), told.state("pop.deal_provider/client/again-1")
        lanes = {number: one["amount"] for number, one in told.data(LANE_P)["lanes"].items()}

    assert ends == ("DealStatusCompleted", "DealStatusCompleted")
    assert lanes == {0: 500, 1: 500}


def test_a_short_channel_stops_the_deal_until_somebody_adds_funds(tmp_path):
    """Shortfall, CheckFunds, InsufficientFunds; then RecheckFunds goes on where it stood."""
    with Retrieval(tmp_path) as told:
        client = told.nodes["client"]
        client.create("pop.payment_channel", "provider", {
            "Control": address_of(SECRETS["client"]),
            "Target": address_of(SECRETS["provider"]),
        })  # fmt: skip
        client.send(LANE, "FundsRequested", {"amount": 300})
        told.ask()
        stuck = told.state(DEAL), told.data(DEAL)["VoucherShortfall"], told.state(DEAL_P)
        client.send(LANE, "FundsRequested", {"amount": 200})
        told.driver.run(1000)
        funded = told.data(LANE)["Amount"], told.data(LANE_P)["Amount"], told.state(DEAL)
        client.send(DEAL, "ClientEventRecheckFunds")
        told.driver.run(1000)
        ends = told.state(DEAL), told.state(DEAL_P), told.data(LANE_P)["lanes"][0]["amount"]

    assert stuck == ("DealStatusInsufficientFunds", 200, "DealStatusFundsNeeded")
    assert funded == (500, 500, "DealStatusInsufficientFunds")
    assert ends == ("DealStatusCompleted", "DealStatusCompleted", 500)


def test_what_overtakes_the_acceptance_waits_for_it(tmp_path):
    """Told apart, the provider's deal hears of blocks first: parked, then offered again."""

    def acceptance_is_late(_effect, act):
        event = act.event if isinstance(act, Event) else ""
        late = event == "ProviderEventDealAccepted" or (
            event == "NewVoucherResult"
            and act.params["voucherResultBytes"]["Status"] == "DealStatusAccepted"
        )
        return LATE if late else DELIVERED

    with Retrieval(tmp_path, world(apart=True), acceptance_is_late).ask() as told:
        parked = [one.event for one in told.entries("provider") if one.outcome == "deferred"]
        ends = told.state(DEAL), told.state(DEAL_P)
        refusals = told.refusals()

    assert parked == ["ProviderEventPaymentRequested"]
    assert ends == ("DealStatusCompleted", "DealStatusCompleted")
    assert refusals == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda one: "garbage", "no voucher"),
        (lambda one: one._replace(signature=None).text(), "not signed by"),
        (lambda one: one._replace(amount=one.amount + 1).text(), "not signed by"),
        (lambda one: signed(SECRETS["client"], CHANNEL, 0, 1, 200), "it is for the channel"),
        (
            lambda one: signed(SECRETS["client"], one.channel_addr, 0, 1, 501),
            "the channel holds 500",
        ),
    ],
    ids=["garbage", "unsigned", "changed", "of another channel", "above the funds"],
)
def test_a_bad_voucher_fails_the_deal_and_pays_nothing(tmp_path, spoil, why):
    """As in the original; the provider closes the transfer, and the client hears of it."""
    with Retrieval(tmp_path) as told:
        told.driver.carry = lambda _, act: (
            LOST if isinstance(act, Event) and act.event == "VoucherArrived" else DELIVERED
        )
        told.ask()
        told.driver.carry = lambda *_: DELIVERED
        good = parse(
            told.entries("client", "NewVoucher")[0].params["voucherBytes"]["PaymentVoucher"]
        )
        told.nodes["provider"].send(SERVING, "VoucherArrived", {"voucher": spoil(good)})
        told.driver.run(1000)
        ends = told.state(DEAL_P), told.state(SERVING), told.state(DEAL)
        message = told.data(DEAL_P)["Message"]
        lanes = told.data(LANE_P)["lanes"]

    assert ends == ("DealStatusErrored", "Stopped", "DealStatusCancelled")
    assert why in message
    assert lanes == {}


def test_a_voucher_with_the_numbers_of_an_older_one_is_trouble():
    """Lower than before, an old nonce, another deal's lane; the very same again is none."""
    secret = SECRETS["client"]
    lanes = {0: {"amount": 200, "nonce": 2, "deal": "d"}}
    channel = {"Channel": CHANNEL, "Target": address_of(secret), "Amount": 500, "lanes": lanes}

    def found(lane, nonce, amount, deal="d"):
        return trouble(signed(secret, CHANNEL, lane, nonce, amount), channel, deal)

    assert (found(0, 2, 200), found(0, 3, 200), found(0, 3, 500), found(1, 1, 300)) == ("",) * 4
    assert "less than the 200 before" in found(0, 3, 199)
    assert "its nonce is 1; 2 was used" in found(0, 1, 300)
    assert "its nonce is 2; 2 was used" in found(0, 2, 300)
    assert "that of d" in found(0, 3, 300, deal="other")
    assert "501 would be promised" in found(1, 1, 301)


def test_cancelling_closes_both_sides(tmp_path):
    """The client cancels while the provider waits for money: deal, transfer and serving end."""
    with Retrieval(tmp_path) as told:
        told.driver.carry = lambda _, act: (
            LOST if isinstance(act, Event) and act.event == "VoucherArrived" else DELIVERED
        )
        told.ask()
        told.nodes["client"].send(DEAL, "ClientEventCancel")
        told.driver.run(1000)
        ends = [told.state(one) for one in (DEAL, DEAL_P, SERVING, "pop.tx/tx")]
        transfers = [one.world.instance(TRANSFER).state for one in told.nodes.values()]
        refusals = told.refusals()

    assert ends == ["DealStatusCancelled", "DealStatusCancelled", "Stopped", "Failed"]
    assert transfers == ["Cancelled", "Cancelled"]
    assert refusals == []


def test_a_proposal_below_the_offer_is_rejected_in_words(tmp_path):
    """The client's deal ends as Rejected, with the provider's reason; nothing was begun there."""

    def cheaper(effect, act):
        if isinstance(act, Event) and act.event == "ProposalReceived":
            act.params["price"] = 1
        return DELIVERED

    with Retrieval(tmp_path, carry=cheaper).ask() as told:
        ends = told.state(DEAL), told.state(SERVING), told.state("pop.tx/tx")
        message = told.data(DEAL)["Message"]
        deal = told.nodes["provider"].world.instance(DEAL_P)

    assert ends == ("DealStatusRejected", "Stopped", "Failed")
    assert message == "deal rejected: price per byte too low: 1 below 2 attofil"
    assert deal is None


def test_an_effect_that_nobody_performs_stays_to_be_done():
    """It is refused by name, not dropped."""
    effect = Effect("client", 7, 0, "pop.tx/tx", "Levitate", {})

    with pytest.raises(CallerError, match=r"how is Levitate of pop\.tx performed"):
        world()(effect, lambda name: Then(name, "Open", {}))


class Recording(Engine):
    """An engine that has its folder copied after each operation: what a death there would leave."""

    def copy(self):
        """Nothing, while the story is set up."""

    def execute(self, command):
        receipt = super().execute(command)
        self.copy()
        return receipt

    def acknowledge(self, consumer, pos):
        super().acknowledge(consumer, pos)
        self.copy()


def test_a_death_after_any_command_loses_and_doubles_nothing(tmp_path, monkeypatch):
    """Both tapes go on to the same entries: no voucher twice, no byte unmetered or paid twice."""
    folder, deaths = tmp_path / "whole", []
    folder.mkdir()
    outside = world(sizes=(100, 50), interval=100)
    nodes = reopened(folder, Recording)
    nodes["client"].create("pop.tx", "tx", {"root": "bafyroot"})
    nodes["client"].send("pop.tx/tx", "QueryStarted", {"balance": 10**18, "maxppb": 5})
    monkeypatch.setattr(
        Recording,
        "copy",
        lambda _: deaths.append(shutil.copytree(folder, tmp_path / f"death-{len(deaths)}")),
    )
    Driver(nodes, outside).run(1000)
    expected = ends_of(nodes)
    for engine in nodes.values():
        engine.close()

    assert len(deaths) > 80
    for at, left in enumerate(deaths):
        nodes = reopened(left)
        Driver(nodes, outside).run(1000)
        assert ends_of(nodes) == expected, f"it died after operation {at}"
        for engine in nodes.values():
            engine.abandon()


def reopened(folder, kind=Engine):
    """Open both tapes by a clock that only entries move: so a repetition has the same times."""
    nodes = {}

    def clock():
        return START + 1000 * sum(engine.tape.size for engine in nodes.values())

    nodes |= opened(folder, clock, kind)
    return nodes


def ends_of(nodes):
    """Every byte of both tapes, but for the first entry: it is older than the clock."""
    return {name: list(engine.tape.read(2)) for name, engine in nodes.items()}
