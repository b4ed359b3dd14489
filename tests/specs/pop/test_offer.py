"""Offers and funds of one root: what is remembered, until when, and no amount is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from .node import Node, offer

B = "offer/bafyroot"


def test_an_offer_lapses_by_itself(node):
    """Each by its own time; the last one leaves nothing."""
    node.new(B)
    node.ok(B, "Received", offer=offer("o1"))
    node.forward(60)
    node.ok(B, "Received", offer=offer("o2"))
    node.crash()
    node.forward(3540)
    assert list(node.data(B)["offers"]) == ["o2"]
    node.forward(60)

    assert (node.state(B), node.data(B)["offers"]) == ("Vacant", {})


def test_the_offer_that_served_is_kept_until_its_time_is_over(node):
    """Its time begins again when it serves; after it, another offer is only known."""
    node.new(B)
    node.ok(B, "Received", offer=offer("o1"))
    node.forward(3000)
    node.ok(B, "Kept", offer=offer("o1"))
    node.forward(3000)
    node.ok(B, "Received", offer=offer("o2"))
    assert (node.state(B), node.data(B)["kept"]) == ("Kept", "o1")
    node.forward(600)

    assert (node.state(B), node.data(B)["kept"]) == ("Received", "")


def test_an_offer_above_the_cap_or_for_another_root_is_refused(node):
    """The cap itself is not above."""
    node.new(B, cap="5")
    node.new("offer/bafyfree")

    assert node.refused(B, "Received", offer=offer("o1", 6)) == "PRICE_ABOVE_CAP"
    assert node.refused(B, "Received", offer=offer("o1", -1)) == "PRICE_NEGATIVE"
    assert node.refused("offer/bafyfree", "Received", offer=offer("o1")) == "OFFERS_ANOTHER_ROOT"
    node.ok(B, "Received", offer=offer("o1", 5))
    node.ok("offer/bafyfree", "Received", offer=offer("o1", 999, root="bafyfree"))


def test_a_removed_offer_is_gone_and_no_other(node):
    """What was kept is no longer first; what is unknown cannot be removed."""
    node.new(B)
    for name in ("o1", "o2"):
        node.ok(B, "Received", offer=offer(name))
    node.ok(B, "Kept", offer=offer("o1"))
    node.ok(B, "Removed", offer="o1", reason="hung up")
    assert (node.state(B), node.data(B)["kept"]) == ("Received", "")
    assert node.refused(B, "Removed", offer="o1") == "OFFER_UNKNOWN"
    node.ok(B, "Removed", offer="o2")

    assert node.state(B) == "Vacant"


def test_money_is_not_forgotten(node):
    """Neither what remains nor what a transaction took and did not account for."""
    node.new(B)
    node.ok(B, "FundsLeft", amount="5")
    assert node.refused(B, "Forget") == "FUNDS_REMAIN"
    assert node.refused(B, "FundsTaken", amount="6") == "MORE_THAN_REMAINS"
    node.ok(B, "FundsTaken", amount="5", tx="pop.tx/a")
    assert node.refused(B, "Forget") == "FUNDS_ARE_OUT"
    node.ok(B, "FundsWrittenOff", tx="pop.tx/a", reason="closed without a word")
    node.ok(B, "Forget")

    assert node.refused(B, "FundsLeft", amount="1") == "terminated"


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=15))
def test_what_remains_is_what_was_left_less_what_was_taken(tmp_path_factory, moves):
    """Whatever the order; what is not there cannot be taken."""
    node = Node(tmp_path_factory.mktemp("funds"))
    node.new(B)
    purse = 0
    for takes, amount in moves:
        if not takes:
            purse += amount
            node.ok(B, "FundsLeft", amount=str(amount))
        elif 0 < amount <= purse:
            purse -= amount
            node.ok(B, "FundsTaken", amount=str(amount))
        else:
            node.refused(B, "FundsTaken", amount=str(amount))

    remaining = node.data(B)["remaining"]
    node.close()
    assert remaining == purse
