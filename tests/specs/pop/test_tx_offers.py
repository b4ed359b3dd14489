"""The transaction machine, query and offers: strategies, prices, triage, funds, and its ends."""

from __future__ import annotations

import pytest

from .node import offer

TX = "tx/t1"
BOOK = "offer/bafyroot"


def query(node, name=TX, /, root="bafyroot", **params):
    """Begin a transaction and ask for its root; the wallet holds 1000 unless said otherwise."""
    node.new(name, root=root)
    node.ok(name, "QueryStarted", **({"balance": "1000"} | params))


def deals(node):
    """Return the offers that were executed, in order."""
    return [effect["offer"] for effect in node.effects("Execute")]


# asking


def test_the_same_content_can_be_asked_for_twice(node):
    """Two queries for the same bytes are two: each has an id of its own."""
    query(node, "tx/first")
    query(node, "tx/second")
    asked = node.effects("Query")

    assert [one["root"] for one in asked] == ["bafyroot", "bafyroot"]
    assert [one["request"] for one in asked] == ["first", "second"]


def test_a_query_is_repeated_under_a_new_id_only(node):
    """An id that was used is refused; an offer for any of the ids is an answer."""
    query(node, request="q1")

    assert node.refused(TX, "QueryRepeated", request="q1") == "REQUEST_ID_USED"
    assert node.refused(TX, "QueryRepeated", request="") == "REQUEST_ID_MISSING"
    node.ok(TX, "QueryRepeated", request="q2")
    assert node.refused(TX, "OfferReceived", offer=offer("o1", request="q3")) == (
        "ANSWERS_ANOTHER_REQUEST"
    )
    node.ok(TX, "OfferReceived", offer=offer("o1", request="q1"))
    assert node.state(TX) == "Retrieving"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"strategy": "SelectDearest"}, "STRATEGY_UNKNOWN"),
        ({"maxppb": -2}, "MAXPPB_INVALID"),
        ({"count": 0}, "COUNT_ZERO"),
        ({"timeout": 0}, "TIMEOUT_ZERO"),
        ({"remaining": "-1"}, "AMOUNT_NEGATIVE"),
        ({"offer_book": "pop.tx/t1"}, "LINK_INVALID"),
        ({"paths": ["p"] * 257}, "TOO_MANY_PATHS"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(node, params, reason):
    """By its reason, and the transaction stays open."""
    node.new(TX)

    assert node.refused(TX, "QueryStarted", **params) == reason
    assert node.state(TX) == "Open"


def test_queries_and_offers_are_counted_up_to_a_bound(node):
    """64 ids and 100 offers: what a stranger can send does not fill a transaction."""
    query(node, request="q0", strategy="SelectCheapest", count=1000)
    for number in range(1, 64):
        node.ok(TX, "QueryRepeated", request=f"q{number}")
    for number in range(100):
        node.ok(TX, "OfferReceived", offer=offer(f"o{number}"))

    assert node.refused(TX, "QueryRepeated", request="q64") == "TOO_MANY_REQUESTS"
    assert node.refused(TX, "OfferReceived", offer=offer("o100")) == "TOO_MANY_OFFERS"


# prices


@pytest.mark.parametrize(
    ("params", "cap"),
    [
        ({}, 5),
        ({"maxppb": 0, "node_maxppb": 7}, 7),
        ({"maxppb": 9, "node_maxppb": 7}, 9),
        ({"maxppb": -1, "node_maxppb": 7}, 0),
        ({"maxppb": 0, "node_maxppb": -1}, 0),
        ({"maxppb": 9, "max_price": "3"}, 3),
        ({"maxppb": 2, "max_price": "3"}, 2),
    ],
)
def test_the_highest_price_is_what_maxppb_says(node, params, cap):
    """-1 is only free, 0 the node's value (5 unless it says another); a strategy's only lowers."""
    query(node, **params)

    assert node.refused(TX, "OfferReceived", offer=offer("o1", cap + 1)) == "PRICE_ABOVE_CAP"
    node.ok(TX, "OfferReceived", offer=offer("o2", cap))


def test_a_price_above_the_cap_is_refused_with_both_amounts(node):
    """Whoever asks why sees what was asked, and what may be paid."""
    query(node)
    receipt = node.send(TX, "OfferReceived", offer=offer("o1", 6))

    assert receipt.reason["saw"] == {
        "offer.price": "6",
        "cap": "5",
        "offer.unseal": "0",
    }


def test_only_free_means_no_price_for_unsealing_either(node):
    """A free byte that costs something to unseal is not free."""
    query(node, maxppb=-1)

    assert node.refused(TX, "OfferReceived", offer=offer("o1", 0, unseal=1)) == "PRICE_ABOVE_CAP"


def test_a_strategy_is_chosen_by_the_price_if_none_is_given(node):
    """Where something may be paid, what is dearer is passed over; where nothing, the first wins."""
    for name, maxppb, chosen in (("tx/a", 1, "SelectFirstLowerThan"), ("tx/b", -1, "SelectFirst")):
        query(node, name, maxppb=maxppb)
        assert node.data(name)["strategy"] == chosen


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (offer("", 1), "OFFER_ID_MISSING"),
        (offer("o1", -1), "PRICE_NEGATIVE"),
        (offer("o1", 1, root="bafyother"), "OFFERS_ANOTHER_ROOT"),
        (offer("o1", 1, payment_interval=0, interval_increase=0), "PAYMENT_INTERVAL_ZERO"),
    ],
)
def test_an_offer_that_cannot_be_one_is_refused(node, sent, reason):
    """By its reason; a free offer needs no interval."""
    query(node)

    assert node.refused(TX, "OfferReceived", offer=sent) == reason
    node.ok(TX, "OfferReceived", offer=offer("free", 0, payment_interval=0, interval_increase=0))


# strategies


def test_the_first_offer_is_executed_and_the_others_wait(node):
    """SelectFirst; the same offer again is refused."""
    query(node, strategy="SelectFirst")
    node.ok(TX, "OfferReceived", offer=offer("o1", 3))
    node.ok(TX, "OfferReceived", offer=offer("o2", 1))

    assert node.refused(TX, "OfferReceived", offer=offer("o1", 3)) == "OFFER_KNOWN"
    assert (deals(node), node.data(TX)["queue"]) == (["o1"], ("o2",))


def test_the_cheapest_of_so_many_is_executed(node):
    """At the n-th offer, not before; of two equals the earlier one; the others stay in line."""
    query(node, strategy="SelectCheapest", count=3)
    node.ok(TX, "OfferReceived", offer=offer("o1", 4))
    node.ok(TX, "OfferReceived", offer=offer("o2", 2))
    assert deals(node) == []
    node.ok(TX, "OfferReceived", offer=offer("o3", 2))

    assert (deals(node), node.data(TX)["queue"]) == (["o2"], ("o3", "o1"))


def test_the_cheapest_within_the_window_is_executed(node):
    """Fewer than n offers in 4 seconds: at their end, not before."""
    query(node, strategy="SelectCheapest")
    node.ok(TX, "OfferReceived", offer=offer("o1", 4))
    node.ok(TX, "OfferReceived", offer=offer("o2", 3))
    node.forward(3.999)
    assert deals(node) == []
    node.forward(0.001)

    assert deals(node) == ["o2"]


def test_a_window_without_offers_is_no_end(node):
    """pop indexed an empty list there. Here the next offer is taken as it comes."""
    query(node, strategy="SelectCheapest", count=2)
    node.forward(5)
    assert (node.state(TX), deals(node)) == ("Querying", [])
    assert node.refused(TX, "OfferSelected") == "NO_OFFER_WAITS"
    node.crash()
    node.ok(TX, "OfferReceived", offer=offer("o1", 4))

    assert deals(node) == ["o1"]


def test_the_window_goes_on_while_the_node_is_down(node):
    """Its end is a time on the tape: after a crash it fires when the node is back."""
    query(node, strategy="SelectCheapest")
    node.ok(TX, "OfferReceived", offer=offer("o1", 4))
    node.crash()
    node.forward(60)

    assert deals(node) == ["o1"]


# failures


def retrieving(node, /, *, count=1, **params):
    """Ask, receive `count` offers of price 1, and begin deal 1 for the first."""
    query(node, strategy="SelectFirst", **params)
    for number in range(1, count + 1):
        node.ok(TX, "OfferReceived", offer=offer(f"o{number}", 1))
    node.ok(TX, "DealStarted", dealID=1)


@pytest.mark.parametrize(
    "status",
    [
        "DealStatusErrored",
        "DealStatusCancelled",
        "DealStatusRejected",
        "DealStatusDealNotFound",
    ],
)
def test_every_end_of_a_deal_ends_it_here(node, status):
    """pop waited for its deadline where a deal was rejected or not found."""
    retrieving(node)
    node.ok(TX, "DealFailed", dealID=1, status=status, reason="no")

    assert node.state(TX) == "Failed"
    assert node.data(TX)["error"] == f"{status}: no"


def test_a_running_or_completed_deal_is_no_failure(node):
    """A status that does not end a deal badly is refused."""
    retrieving(node)

    refused = node.refused(TX, "DealFailed", dealID=1, status="DealStatusCompleted", reason="no")
    assert refused == "STATUS_IS_NO_FAILURE"


def test_the_next_offer_is_tried_when_one_fails(node):
    """In the order in which they wait; with none left it failed, with the last error."""
    retrieving(node, count=3)
    for number in (1, 2, 3):
        assert node.state(TX) == "Retrieving"
        if number > 1:
            node.ok(TX, "DealStarted", dealID=number)
        node.ok(TX, "DealFailed", dealID=number, reason=f"reason {number}")

    assert deals(node) == ["o1", "o2", "o3"]
    assert node.data(TX)["error"] == "DealStatusErrored: reason 3"


def test_an_offer_can_fail_before_its_deal_begins(node):
    """Then there is no deal id to tell; with a deal running, the id is needed."""
    query(node)
    node.ok(TX, "OfferReceived", offer=offer("o1", 1))
    node.ok(TX, "OfferReceived", offer=offer("o2", 1))
    node.ok(TX, "DealFailed", reason="cannot be reached")
    node.ok(TX, "DealStarted", dealID=5)

    assert node.refused(TX, "DealFailed", reason="who?") == "DEAL_ID_MISSING"


def test_an_end_is_matched_by_deal_and_not_by_who_tells_it(node):
    """pop took any ending on the client for its own. Each of these is another's, or was told."""
    retrieving(node, count=2)

    assert node.refused(TX, "DealFinished", dealID=99, size=10) == "NOT_OUR_DEAL"
    assert node.refused(TX, "DealFinished", size=10) == "DEAL_ID_MISSING"
    assert node.refused(TX, "DealFailed", dealID=99, reason="x") == "NOT_OUR_DEAL"
    node.ok(TX, "DealFailed", dealID=1, reason="x")
    node.ok(TX, "DealStarted", dealID=2)
    assert node.refused(TX, "DealFinished", dealID=1, size=10) == "DEAL_ENDED_BEFORE"
    node.ok(TX, "DealFinished", dealID=2, size=10, spent="10")
    assert node.state(TX) == "Retrieved"


def test_two_transactions_on_one_node_do_not_take_each_others_end(node):
    """Both run; the end of one moves the other nowhere."""
    for name, deal in (("tx/a", 11), ("tx/b", 12)):
        query(node, name)
        node.ok(name, "OfferReceived", offer=offer("o1", 1))
        node.ok(name, "DealStarted", dealID=deal)

    assert node.refused("tx/b", "DealFinished", dealID=11, size=10) == "NOT_OUR_DEAL"
    node.ok("tx/a", "DealFinished", dealID=11, size=10)
    assert (node.state("tx/a"), node.state("tx/b")) == ("Retrieved", "Retrieving")


def test_several_deals_of_one_offer_end_one_by_one(node):
    """Two at once; then a third that follows. The last one ends the transaction."""
    retrieving(node, balance="1000")
    node.ok(TX, "DealStarted", dealID=2)
    node.ok(TX, "DealFinished", dealID=2, size=1)
    assert node.state(TX) == "Retrieving"
    node.ok(TX, "DealFinished", dealID=1, size=2, more=True)
    assert node.state(TX) == "Retrieving"
    node.ok(TX, "DealStarted", dealID=3)
    node.ok(TX, "DealFinished", dealID=3, size=3)

    assert (node.state(TX), node.data(TX)["received"]) == ("Retrieved", 6)


def test_a_deadline_ends_it_in_every_state_and_says_what_went_before(node):
    """While it asks, and while a deal runs: that one is to be cancelled."""
    query(node, "tx/asking", timeout=60_000_000)
    retrieving(node, timeout=60_000_000)
    node.ok(TX, "OfferReceived", offer=offer("late", 1))
    node.ok(TX, "DealFailed", dealID=1, reason="hung up")
    node.ok(TX, "DealStarted", dealID=2)
    node.forward(60)

    assert node.state("tx/asking") == node.state(TX) == "Failed"
    assert node.data("tx/asking")["error"] == "context deadline exceeded"
    assert node.data(TX)["error"] == (
        "context deadline exceeded; before: DealStatusErrored: hung up"
    )
    assert node.effects("CancelDeals") == [{"do": "CancelDeals", "deals": [2]}]


# triage


def test_in_triage_nothing_is_executed_before_somebody_decides(node):
    """Next passes it over, Confirm takes it: the same events as without a person."""
    query(node, strategy="SelectFirst", triage=True)
    node.ok(TX, "OfferReceived", offer=offer("o1", 2))
    node.ok(TX, "OfferReceived", offer=offer("o2", 1))
    assert deals(node) == []
    node.crash()
    node.ok(TX, "Next", reason="not this one")
    assert [ask["offer"] for ask in node.effects("AskForDecision")] == ["o1", "o2"]
    node.ok(TX, "Confirm")

    assert deals(node) == ["o2"]
    assert node.data(TX)["trouble"] == "not this one"


def test_without_triage_there_is_nothing_to_confirm(node):
    """The two words of a person are refused by the state: nothing waits for a decision."""
    retrieving(node)

    assert node.refused(TX, "Confirm") == "no_transition"
    later = node.clock.now + 60_000_000
    fields = {"running": "o1", "offers": {"o1": offer("o1")}, "deadline": later}
    node.engine.create("pop.tx", "adopted", fields, state="Triage")
    for event in ("Confirm", "Next"):
        assert node.refused("tx/adopted", event) == "NOT_IN_TRIAGE_MODE"


def test_a_person_cannot_take_what_the_wallet_cannot_pay(node):
    """Refused to the person's face; when the wallet has more, it is taken."""
    query(node, triage=True, balance="19")
    node.ok(TX, "OfferReceived", offer=offer("o1", 2))
    assert node.refused(TX, "Confirm") == "INSUFFICIENT_FUNDS"
    assert node.refused(TX, "BalanceSeen", balance="-1") == "AMOUNT_NEGATIVE"
    node.ok(TX, "BalanceSeen", balance="20")
    node.ok(TX, "Confirm")

    assert deals(node) == ["o1"]


def test_somebody_who_never_decides_fails_the_transaction(node):
    """After the time that was given for it."""
    query(node, triage=True, triage_for=30_000_000)
    node.ok(TX, "OfferReceived", offer=offer("o1", 2))
    node.forward(30)

    assert node.data(TX)["error"] == "nobody decided about the offer in time"


def test_a_decision_may_give_less_for_a_part_only(node):
    """Less than the price buys a part, which has to be named."""
    query(node, triage=True)
    node.ok(TX, "OfferReceived", offer=offer("o1", 2))

    node.ok(TX, "Confirm", totalFunds="5")
    assert node.refusals()[-1] == ("OfferAccepted", "FUNDS_BELOW_PRICE")
    node.ok(TX, "Confirm", totalFunds="5", part="entries")
    assert (node.state(TX), node.data(TX)["selector"]) == ("Retrieving", "entries")


# funds


def test_what_the_wallet_cannot_pay_is_refused_with_the_amounts_and_passed_over(node):
    """10 bytes at 2 cost 20, and 19 are there; the cheaper offer behind it is executed."""
    query(node, strategy="SelectCheapest", count=2, balance="19")
    node.ok(TX, "OfferReceived", offer=offer("dear", 2))
    node.ok(TX, "OfferReceived", offer=offer("dearer", 3))

    assert (node.state(TX), deals(node)) == ("Querying", [])
    reasons = [e["reason"] for e in node.entries() if e.get("outcome") == "rejected"]
    assert [reason["reason"] for reason in reasons] == ["INSUFFICIENT_FUNDS"] * 2
    assert reasons[0]["saw"] == {"available": "19", "funds": "20"}
    node.ok(TX, "OfferReceived", offer=offer("cheap", 1))
    assert deals(node) == ["cheap"]


def test_however_many_offers_cannot_be_paid_the_next_is_tried(node):
    """Each is a chain of events; beyond the depth of one chain it goes on a moment later."""
    query(node, strategy="SelectCheapest", count=21, balance="15", maxppb=100)
    for number in range(20):
        node.ok(TX, "OfferReceived", offer=offer(f"dear-{number}", 2 + number))
    node.ok(TX, "OfferReceived", offer=offer("dearest", 99, size=0))
    deep = [event for event, reason in node.refusals() if reason == "links_too_deep"]
    for _ in range(5):
        node.forward(1)

    assert deep

    assert deals(node) == ["dearest"]


def test_what_the_wallet_can_just_pay_is_executed(node):
    """20 are there, and 20 it costs; with what an earlier deal left over, fewer are needed."""
    query(node, balance="20")
    node.ok(TX, "OfferReceived", offer=offer("o1", 2))
    query(node, "tx/t2", balance="15", remaining="5")
    node.ok("tx/t2", "OfferReceived", offer=offer("o1", 2))

    assert (node.state(TX), node.state("tx/t2")) == ("Retrieving", "Retrieving")


def test_an_unknown_balance_pays_nothing_and_gets_what_is_free(node):
    """Nobody said what the wallet holds: a paid offer is refused, a free one executed."""
    node.new(TX, root="bafyroot")
    node.ok(TX, "QueryStarted")
    node.ok(TX, "OfferReceived", offer=offer("paid", 1))
    assert node.refusals() == [("OfferAccepted", "BALANCE_UNKNOWN")]
    node.ok(TX, "OfferReceived", offer=offer("free", 0))

    assert deals(node) == ["free"]


def test_no_deal_spends_more_than_it_was_given(node):
    """Also not several deals of one offer together."""
    retrieving(node)
    node.ok(TX, "DealStarted", dealID=2)
    node.ok(TX, "DealFinished", dealID=1, spent="6")

    refused = node.refused(TX, "DealFinished", dealID=2, spent="5")
    assert refused == "SPENT_MORE_THAN_GRANTED"
    node.ok(TX, "DealFinished", dealID=2, spent="4")


def test_what_is_left_over_is_kept_for_the_root(node):
    """20 were granted and 15 spent: 5 wait for the next transaction, which takes them first."""
    node.new(BOOK)
    query(node, offer_book="pop.offer/bafyroot")
    node.ok(TX, "OfferReceived", offer=offer("o1", 2))
    node.ok(TX, "DealStarted", dealID=1)
    node.ok(TX, "DealFinished", dealID=1, size=10, spent="15")
    node.crash()

    book = node.data(BOOK)
    assert (node.state(BOOK), book["kept"], book["remaining"]) == ("Kept", "o1", 5)
    query(node, "tx/t2", balance="15", remaining="5", offer_book="pop.offer/bafyroot")
    node.ok("tx/t2", "OfferReceived", offer=offer("o1", 2))
    assert node.data(BOOK)["remaining"] == 0
    assert node.data(BOOK)["out"] == {"pop.tx/t2": 5}
    node.ok("tx/t2", "DealFailed", reason="cannot be reached")
    assert node.data(BOOK)["remaining"] == 20
    assert node.data(BOOK)["out"] == {}
