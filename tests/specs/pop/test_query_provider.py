"""A query at its provider: who is answered, for what money, and which proposals fit the offer."""

from __future__ import annotations

import pytest

Q = "query_provider/req-1"
GAS = 10**17


def asked(node, name=Q, /, **params):
    """Receive a query."""
    return node.begin(name, **({"root": "bafyroot", "selector": "all", "peer": "p1"} | params))


def offered(node, **params):
    """Receive a query, and answer it with a paid offer."""
    asked(node)
    terms = {"size": 10, "price": "2", "pay_to": "f01", "balance": str(GAS)}
    node.ok(Q, "OfferMade", **(terms | params))


def test_the_same_request_is_one_query_and_the_same_bytes_again_another(node):
    """Duplicates are told by the id; asking for the same content again is no duplicate."""
    asked(node)
    again = asked(node)
    other = asked(node, "query_provider/req-2")

    assert (again.outcome, again.reason["kind"]) == ("rejected", "already_exists")
    assert other.outcome == "accepted"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"selector": ""}, "SELECTOR_MISSING"),
        ({"root": ""}, "ROOT_MISSING"),
        ({"region": "Europe", "regions": ["Asia"]}, "ANOTHER_REGION"),
        ({"ref": "pop.tx/a"}, "LINK_INVALID"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(node, params, reason):
    """By its reason; the region is only asked about where both sides name one."""
    assert asked(node, **params).reason["reason"] == reason
    assert asked(node, region="Europe", regions=["Asia", "Europe"]).outcome == "accepted"


def test_a_paid_offer_needs_a_tenth_of_a_fil_for_gas(node):
    """One attofil less is refused, with what there is and what is needed."""
    asked(node)
    paid = {"size": 10, "price": "2", "pay_to": "f01"}
    receipt = node.send(Q, "OfferMade", **paid, balance=str(GAS - 1))

    assert receipt.reason["reason"] == "INSUFFICIENT_GAS"
    assert receipt.reason["saw"] == {"holds": str(GAS - 1), "needs": str(GAS)}
    assert node.refused(Q, "OfferMade", **paid) == "BALANCE_UNKNOWN"
    assert node.effects("SendOffer") == []
    node.ok(Q, "OfferMade", **paid, balance=str(GAS))


def test_a_free_offer_needs_no_gas(node):
    """It never meets the chain."""
    asked(node)
    node.ok(Q, "OfferMade", size=10)

    assert node.effects("SendOffer")[0]["request"] == "req-1"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"size": 0}, "NOTHING_SELECTED"),
        ({"price": "-1"}, "PRICE_NEGATIVE"),
        ({"price": "1", "payment_interval": 0, "interval_increase": 0}, "PAYMENT_INTERVAL_ZERO"),
        ({"price": "1"}, "PAYMENT_ADDRESS_MISSING"),
        ({"valid_for": 0}, "VALID_FOR_NO_TIME"),
    ],
)
def test_an_offer_makes_sense(node, params, reason):
    """Else it is not sent."""
    asked(node)

    assert node.refused(Q, "OfferMade", **({"size": 10} | params)) == reason


def test_silence_is_an_end_as_well(node):
    """Nothing found, or nothing said in ten seconds: whoever asked hears nothing."""
    for name in ("query_provider/none", "query_provider/slow"):
        asked(node, name)
    node.ok("query_provider/none", "NotFound")
    node.crash()
    node.forward(10)

    reasons = [node.data(f"query_provider/{key}")["reason"] for key in ("none", "slow")]
    assert reasons == ["not found", "not answered in time"]
    assert node.effects("SendOffer") == []


@pytest.mark.parametrize(
    ("proposal", "verdict"),
    [
        ({"price": "2"}, ""),
        ({"price": "3", "payment_interval": 1, "interval_increase": 1}, ""),
        ({"price": "1"}, "price per byte too low: 1 below 2 attofil"),
        (
            {"price": "2", "payment_interval": 1048577},
            "payment interval too large: 1048577 above 1048576 bytes",
        ),
        (
            {"price": "2", "interval_increase": 1048577},
            "payment interval increase too large: 1048577 above 1048576 bytes",
        ),
        (
            {"price": "2", "payment_interval": 0, "interval_increase": 0},
            "payment interval and its increase are zero: no payment would ever be due",
        ),
    ],
)
def test_a_proposal_is_held_against_the_offer(node, proposal, verdict):
    """Never less, never later; what is wrong is answered in words, and stays on the tape."""
    offered(node)
    node.ok(Q, "ProposalReceived", deal="p1/1", **proposal)
    answers = node.effects("AcceptDeal") + node.effects("RejectDeal")

    assert [one.get("reason", "") for one in answers] == [verdict]
    assert node.data(Q)["deals"] == {"p1/1": verdict}


def test_a_proposal_below_the_price_of_unsealing_is_rejected(node):
    """The price per byte is not all that an offer asks."""
    offered(node, unseal="4")
    node.ok(Q, "ProposalReceived", deal="p1/1", price="2", unseal="3")

    [answer] = node.effects("RejectDeal")
    assert answer["reason"] == "unseal price too low: 3 below 4 attofil"


def test_a_restart_does_not_touch_the_deal(node):
    """It is accepted whatever it says, if its deal was; a new deal has a new id."""
    offered(node)
    node.ok(Q, "ProposalReceived", deal="p1/1", price="2")
    node.ok(Q, "ProposalReceived", deal="p1/2", price="1")
    node.ok(Q, "ProposalReceived", deal="p1/1", price="0", restart=True)

    assert node.data(Q)["deals"]["p1/1"] == ""
    assert node.effects("AcceptDeal")[-1]["restart"] is True
    assert node.refused(Q, "ProposalReceived", deal="p1/2", restart=True) == "DEAL_WAS_REJECTED"
    assert node.refused(Q, "ProposalReceived", deal="p1/3", restart=True) == "DEAL_UNKNOWN"
    assert node.refused(Q, "ProposalReceived", deal="p1/1", price="2") == "DEAL_KNOWN"


def test_an_offer_expires(node):
    """After an hour nobody's proposal is taken."""
    offered(node)
    node.forward(3600)

    assert node.refused(Q, "ProposalReceived", deal="p1/1", price="2") == "terminated"


def test_an_offer_counts_as_a_use_of_its_content(node):
    """The index entry hears of it in the same commit."""
    node.new("ref/r1", root="bafyroot", size=10)
    asked(node, ref="pop.ref/r1")
    node.ok(Q, "OfferMade", size=10)

    assert node.data("ref/r1")["frequency"] == 1
