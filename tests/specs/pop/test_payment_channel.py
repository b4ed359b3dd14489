"""The payment channel as a node knows it: requests in line, messages, lanes, vouchers, settling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .node import Node

P = "payment_channel/c1"


def opened(node, funds="100", **params):
    """Create a channel with funds, and two lanes."""
    node.new(P, Control="f1payer", Target="f1payee", **params)
    node.ok(P, "FundsRequested", amount=funds)
    node.ok(P, "CreateSubmitted", msgCID="m1")
    node.ok(P, "CreateConfirmed", channel="f2channel")
    for lane in (0, 1):
        node.ok(P, "LaneAllocated", lane=lane)


def tracked(node, funds="100"):
    """Track a channel that pays us."""
    node.new(P, Control="f1payee", Target="f1payer", Direction=2)
    node.ok(P, "ChannelTracked", channel="f2channel", amount=funds)


# funds


def test_the_first_request_creates_the_channel_and_those_behind_it_are_added_in_one_message(node):
    """3 creates it; 2 and 4 wait while the message is on its way, then 6 are added at once."""
    node.new(P, Control="f1payer", Target="f1payee")
    for amount in ("3", "2", "4"):
        if amount == "2":
            node.ok(P, "CreateSubmitted", msgCID="m1")
        node.ok(P, "FundsRequested", amount=amount)
    node.ok(P, "CreateConfirmed", channel="f2channel")
    node.ok(P, "AddFundsSubmitted", msgCID="m2")
    node.ok(P, "AddFundsConfirmed")

    assert [one["amount"] for one in node.effects("CreateChannel")] == ["3"]
    assert [one["amount"] for one in node.effects("AddFunds")] == ["6"]
    assert [one["requests"] for one in node.effects("FundsReady")] == [[1], [2, 3]]
    assert node.data(P)["Amount"] == 9


def test_requests_that_wait_survive_a_crash(node):
    """pop lost them: whoever asked waited for ever."""
    opened(node)
    node.ok(P, "FundsRequested", amount="5", deal="pop.deal_client/7")
    node.ok(P, "AddFundsSubmitted", msgCID="m2")
    node.ok(P, "FundsRequested", amount="6", deal="pop.deal_client/8")
    node.crash()
    node.ok(P, "AddFundsConfirmed")

    data = node.data(P)
    assert (data["Amount"], [fund["amount"] for fund in data["waiting"].values()]) == (105, [6])
    assert node.effects("AddFunds")[-1]["amount"] == "6"


def test_a_message_on_its_way_is_waited_for_again_after_a_restart(node):
    """Both kinds: the effect names the message that was stored."""
    node.new(P, Control="f1payer", Target="f1payee")
    node.ok(P, "FundsRequested", amount="5")
    node.ok(P, "CreateSubmitted", msgCID="m1")
    node.crash()
    node.ok(P, "Reattach")
    node.ok(P, "CreateConfirmed", channel="f2channel")
    node.ok(P, "FundsRequested", amount="5")
    node.ok(P, "AddFundsSubmitted", msgCID="m2")
    node.crash()
    node.ok(P, "Reattach")

    assert [one["message"] for one in node.effects("WaitMessage")] == ["m1", "m1", "m2", "m2"]


def test_nobody_has_to_remember_it_either(node):
    """Ten minutes without an answer, then twice as long: it is waited for again by itself."""
    node.new(P, Control="f1payer", Target="f1payee")
    node.ok(P, "FundsRequested", amount="5")
    node.ok(P, "CreateSubmitted", msgCID="m1")
    node.crash()
    again = []
    for minutes in (10, 19, 1):
        node.forward(60 * minutes)
        again.append(len(node.effects("WaitMessage")) - 1)

    assert again == [1, 1, 2]


def test_a_message_carries_what_was_asked_for_when_it_was_made(node):
    """A request that came after the effect, and before its message, waits for the next."""
    opened(node)
    node.ok(P, "FundsRequested", amount="5")
    [effect] = node.effects("AddFunds")
    node.ok(P, "FundsRequested", amount="6")
    node.ok(P, "AddFundsSubmitted", msgCID="m2", upto=effect["upto"])

    assert (node.data(P)["PendingAmount"], list(node.data(P)["waiting"])) == (5, [3])


def test_a_failed_message_tells_who_waited_and_goes_on_with_the_next(node):
    """AddFunds: the channel is as before. Create: there is no channel; the rest is tried again."""
    opened(node)
    node.ok(P, "FundsRequested", amount="5")
    node.ok(P, "AddFundsSubmitted", msgCID="m2")
    node.ok(P, "FundsRequested", amount="6")
    node.ok(P, "AddFundsFailed", reason="out of gas")
    node.new("payment_channel/c2")
    node.ok("payment_channel/c2", "FundsRequested", amount="1")
    node.ok("payment_channel/c2", "CreateSubmitted", msgCID="m3")
    node.ok("payment_channel/c2", "FundsRequested", amount="2")
    node.ok("payment_channel/c2", "CreateFailed", reason="exit code 7")
    node.forward(600)

    assert (node.state(P), node.data(P)["PendingAmount"], node.data(P)["Amount"]) == (
        "Ready",
        0,
        100,
    )
    assert [one["requests"] for one in node.effects("FundsFailed")] == [[2], [1]]
    assert node.effects("AddFunds")[-1]["amount"] == "6"
    assert node.state("payment_channel/c2") == "Absent"
    assert node.effects("CreateChannel")[-1]["amount"] == "2"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"amount": "0"}, "AMOUNT_NOT_POSITIVE"),
        ({"amount": "5", "deal": "nobody"}, "LINK_INVALID"),
        ({"amount": "5", "request": "r1"}, "REQUEST_KNOWN"),
        ({"amount": "5", "balance": "8"}, "INSUFFICIENT_BALANCE"),
    ],
)
def test_a_request_for_funds_is_checked(node, params, reason):
    """The wallet has to cover what waits already (4) and the new request."""
    node.new(P)
    node.ok(P, "FundsRequested", amount="4", request="r1", balance="4")

    assert node.refused(P, "FundsRequested", **params) == reason
    node.ok(P, "FundsRequested", amount="5", balance="9")


def test_a_request_that_is_cancelled_is_not_paid_for(node):
    """As long as it waits; what is on its way is not called back."""
    node.new(P)
    node.ok(P, "FundsRequested", amount="4")
    node.ok(P, "FundsRequested", amount="5")
    node.ok(P, "FundsCancelled", number=1)
    node.ok(P, "CreateSubmitted", msgCID="m1")

    assert node.data(P)["PendingAmount"] == 5
    assert node.refused(P, "FundsCancelled", number=2) == "NOT_WAITING"


def test_a_request_without_a_message_is_noticed(node):
    """Ten minutes after the request; a channel without requests is never overdue."""
    opened(node)
    node.forward(3600)
    quiet = len(node.entries())
    node.ok(P, "FundsRequested", amount="5")
    node.forward(600)

    assert [entry["event"] for entry in node.entries()[quiet:]] == ["FundsRequested", "Stalled"]


# lanes and vouchers


def test_a_lane_is_the_next_one(node):
    """One for each deal, numbered as the chain numbers them."""
    opened(node)

    assert node.refused(P, "LaneAllocated", lane=1) == "NOT_THE_NEXT_LANE"
    assert node.refused(P, "LaneAllocated", lane=3) == "NOT_THE_NEXT_LANE"
    node.ok(P, "LaneAllocated", lane=2, deal="pop.deal_client/7")
    assert node.data(P)["NextLane"] == 3


def test_a_voucher_is_the_whole_of_its_lane(node):
    """5, then 6, is 6 and not 11; the same again adds nothing; less is refused."""
    opened(node)
    node.ok(P, "VoucherCreated", lane=0, amount="5", nonce=1)
    node.ok(P, "VoucherCreated", lane=0, amount="6", nonce=2)
    node.ok(P, "VoucherCreated", lane=0, amount="6", nonce=2)

    refused = node.send(P, "VoucherCreated", lane=0, amount="5", nonce=3).reason
    assert refused["reason"] == "VOUCHER_LOWER_THAN_BEFORE"
    assert refused["saw"] == {"amount": "5", "promised_before": "6"}
    assert node.refused(P, "VoucherCreated", lane=0, amount="7", nonce=2) == "NONCE_OUTDATED"
    assert node.refused(P, "VoucherCreated", lane=7, amount="7", nonce=2) == "LANE_UNKNOWN"
    lane = node.data(P)["lanes"][0]
    assert (lane["amount"], lane["vouchers"]) == (6, 3)


def test_lanes_share_the_channels_funds(node):
    """60 and 40 fit into 100; one more does not, and the refusal has both sums."""
    opened(node)
    node.ok(P, "VoucherCreated", lane=0, amount="60", nonce=1)
    node.ok(P, "VoucherCreated", lane=1, amount="40", nonce=1)

    refused = node.send(P, "VoucherCreated", lane=1, amount="41", nonce=2).reason
    assert refused["reason"] == "INSUFFICIENT_CHANNEL_FUNDS"
    assert refused["saw"] == {"promised": "101", "Amount": "100"}


def test_an_accepted_voucher_may_say_its_difference_its_total_or_both(node):
    """Both have to agree. 0 more is a duplicate, and legal; less is not."""
    tracked(node)
    node.ok(P, "VoucherAccepted", lane=0, delta="5", nonce=1)
    node.ok(P, "VoucherAccepted", lane=0, amount="8", nonce=2)
    node.ok(P, "VoucherAccepted", lane=0, delta="2", amount="10", nonce=3)
    node.ok(P, "VoucherAccepted", lane=0, delta="0", nonce=3)

    wrong = {"delta": "2", "amount": "13"}
    assert node.refused(P, "VoucherAccepted", lane=0, **wrong) == "AMOUNT_AND_DELTA_DISAGREE"
    assert node.refused(P, "VoucherAccepted", lane=0, delta="-1") == "VOUCHER_LOWER_THAN_BEFORE"
    assert node.refused(P, "VoucherAccepted", lane=0, amount="9") == "VOUCHER_LOWER_THAN_BEFORE"
    assert node.refused(P, "VoucherAccepted", lane=0, delta="91") == "INSUFFICIENT_CHANNEL_FUNDS"
    assert node.refused(P, "VoucherAccepted", lane=0, delta="1", nonce=3) == "NONCE_OUTDATED"
    assert node.data(P)["lanes"][0]["amount"] == 10


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), max_size=12))
def test_promises_are_what_a_list_of_vouchers_says(tmp_path_factory, vouchers):
    """The oracle: per lane the highest, taken in order, unless it is lower or the sum too high."""
    node = Node(tmp_path_factory.mktemp("vouchers"))
    tracked(node)
    promised: dict[int, int] = {}
    for lane, amount in vouchers:
        fits = sum({**promised, lane: amount}.values()) <= 100
        if amount >= promised.get(lane, 0) and fits:
            promised[lane] = amount
            node.ok(P, "VoucherAccepted", lane=lane, amount=str(amount))
        else:
            node.refused(P, "VoucherAccepted", lane=lane, amount=str(amount))

    lanes = node.data(P)["lanes"]
    node.close()
    assert {lane: one["amount"] for lane, one in lanes.items()} == promised


def test_a_channel_that_pays_us_is_tracked_and_grows_as_the_chain_shows(node):
    """Ours is created, never tracked; funds only grow."""
    node.new("payment_channel/ours")
    channel = {"channel": "f2channel", "amount": "1"}
    assert node.refused("payment_channel/ours", "ChannelTracked", **channel) == "NOT_INBOUND"
    tracked(node)
    node.ok(P, "FundsSeen", amount="150")

    assert node.refused(P, "FundsSeen", amount="149") == "FUNDS_NEVER_SHRINK"
    node.ok(P, "VoucherAccepted", lane=0, amount="150")


# settling


def test_the_payee_may_settle_from_the_height_that_its_vouchers_demand(node):
    """The highest of them; a voucher that demands a higher one puts it off again."""
    node.head(10)
    tracked(node)
    assert node.refused(P, "SettleRequested") == "NO_VOUCHERS_TO_REDEEM"
    node.ok(P, "VoucherAccepted", lane=0, amount="5", minSettleHeight=100)
    assert node.refused(P, "SettleRequested") == "MIN_SETTLE_HEIGHT_NOT_REACHED"
    node.head(99)
    assert node.state(P) == "Ready"
    node.head(100)
    assert node.state(P) == "SettleAllowed"
    node.ok(P, "VoucherAccepted", lane=0, amount="6", minSettleHeight=200)
    assert node.state(P) == "Ready"
    node.head(200)
    node.ok(P, "SettleRequested")

    assert node.effects("SettleChannel") == [{"do": "SettleChannel", "channel": "f2channel"}]


def test_vouchers_are_redeemed_when_the_other_side_settles(node):
    """The best of each lane that is not on the chain yet, before SettlingAt."""
    node.head(10)
    tracked(node)
    for lane, amount in ((0, "5"), (0, "7"), (1, "3")):
        node.ok(P, "VoucherAccepted", lane=lane, amount=amount)
    node.ok(P, "VoucherSubmitted", lane=1)
    node.ok(P, "SettleConfirmed", settlingAt=1450)

    [effect] = node.effects("SubmitVouchers")
    assert (effect["lanes"], effect["before"]) == ([0], 1450)
    node.ok(P, "VoucherAccepted", lane=0, amount="8")
    node.head(1450)
    refused = node.refused(P, "VoucherAccepted", lane=0, amount="9")
    assert refused == "CHANNEL_SETTLED"


def test_without_a_settlement_what_is_promised_is_redeemed_by_itself(node):
    """A day after it could have been settled."""
    node.head(10)
    tracked(node)
    node.ok(P, "VoucherAccepted", lane=0, amount="5", minSettleHeight=10)
    node.ok(P, "VoucherSubmitted", lane=0)
    node.forward(86_400)
    assert node.effects("SubmitVouchers") == []
    node.ok(P, "VoucherAccepted", lane=0, amount="6")
    node.forward(86_400)

    assert [one["lanes"] for one in node.effects("SubmitVouchers")] == [[0]]


def test_a_settled_channel_is_collected_when_its_height_is_below_the_head(node):
    """Not at it; once; and again after 60 epochs, as long as the chain does not show it."""
    node.head(10)
    opened(node)
    node.ok(P, "SettleConfirmed", settlingAt=1450)
    assert node.refused(P, "CollectConfirmed") == "NOT_SETTLED"
    tries = []
    for height in (1450, 1451, 1500, 1511):
        node.head(height)
        tries.append(len(node.effects("CollectChannel")))
    node.crash()
    node.ok(P, "CollectConfirmed")

    assert tries == [0, 1, 1, 2]
    assert (node.state(P), node.data(P)["Settling"]) == ("Collected", False)


def test_settling_waits_for_the_message_on_its_way(node):
    """The other side settles while funds are being added: both are known in the end."""
    node.head(10)
    opened(node)
    node.ok(P, "FundsRequested", amount="5")
    node.ok(P, "AddFundsSubmitted", msgCID="m2")
    node.ok(P, "SettleConfirmed", settlingAt=1450)
    assert node.state(P) == "AddingFunds"
    node.ok(P, "AddFundsConfirmed")

    assert (node.state(P), node.data(P)["Amount"]) == ("Settling", 105)
    node.ok(P, "SettlingMoved", settlingAt=1500)
    assert node.refused(P, "SettlingMoved", settlingAt=1499) == "EARLIER_THAN_BEFORE"


def test_vouchers_do_not_hide_that_a_message_is_overdue(node):
    """A busy channel is not silent, and yet nobody sends what was asked for."""
    opened(node)
    node.ok(P, "FundsRequested", amount="5")
    for minute in range(1, 11):
        node.forward(60)
        node.ok(P, "VoucherCreated", lane=0, amount=str(minute), nonce=minute)
    stalls = [entry for entry in node.entries() if entry.get("event") == "Stalled"]

    assert len(stalls) == 1
