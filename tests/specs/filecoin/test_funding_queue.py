"""Requests for funds: what is served without a message, what fails, what one message carries."""

from __future__ import annotations

import pytest

from .bookkeeping import ACCOUNT, CHANNEL, OTHER_CHANNEL, PAYEE, PAYER, QUEUE, voucher

OTHER_ACCOUNT = f"channel_account/{OTHER_CHANNEL}"
RESERVE = {"reserve": True}
OFF_CHAIN = {"reserve": True, "off_chain": True}


@pytest.fixture
def queue(side):
    """A queue, and the book that the channel of its first message gets."""
    side.new(QUEUE, payer=PAYER, payee=PAYEE)
    book = {"direction": 2, "control": PAYER, "target": PAYEE, "queue": f"filecoin.{QUEUE}"}
    side.new(ACCOUNT, **book)
    side.new(OTHER_ACCOUNT, **book)
    return side


def ask(queue, amount, **how):
    """Ask for funds."""
    queue.ok(QUEUE, "requested", amount=str(amount), **how)


def push(queue, account=ACCOUNT):
    """The message leaves the node."""
    queue.ok(QUEUE, "pushed", message="m", book=f"filecoin.{account}")


def opened(queue, amount, **how):
    """A channel with so much in it."""
    ask(queue, amount, **how)
    push(queue)
    queue.ok(ACCOUNT, "create_confirmed")


def together(queue, *requests):
    """Make requests that meet in the queue: while a message of 1, reserved, is under way."""
    ask(queue, 10_000, **RESERVE)
    push(queue)
    for amount, how in requests:
        ask(queue, amount, **how)
    before = {do: len(queue.effects(do)) for do in ("PushFunds", "FundsReady", "FundsFailed")}
    queue.ok(ACCOUNT, "funds_confirmed")
    messages = [int(one["amount"]) for one in queue.effects("PushFunds")[before["PushFunds"] :]]
    served = [one["requests"] for one in queue.effects("FundsReady")[before["FundsReady"] + 1 :]]
    failed = [one["requests"] for one in queue.effects("FundsFailed")[before["FundsFailed"] :]]
    return messages, served, failed


@pytest.mark.parametrize(
    ("ahead", "requests", "expected"),
    [
        # a reservation is served out of what was sent ahead; only the rest is sent
        (10, [(5, {}), (3, RESERVE)], ([5], [[4]], [])),
        (10, [(5, OFF_CHAIN), (3, RESERVE)], ([], [[3, 4]], [])),
        (10, [(5, OFF_CHAIN), (6, OFF_CHAIN)], ([], [[3]], [[4]])),
        (0, [(5, RESERVE), (6, OFF_CHAIN)], ([5], [], [[4]])),
        # whole or not at all: 12 are sent, and 10 stay ahead
        (10, [(12, RESERVE)], ([12], [], [])),
        # the smaller first, whatever the order of asking
        (10, [(8, RESERVE), (3, RESERVE), (2, RESERVE)], ([8], [[5, 4]], [])),
        # one sum
        (0, [(3, {}), (2, RESERVE), (4, {})], ([9], [], [])),
    ],
)
def test_requests_that_wait_are_merged_as_in_lotus(queue, ahead, requests, expected):
    """Requests (amount, how) while another message is under way; 1 and 2 are that and the first."""
    opened(queue, ahead or 1, **({} if ahead else RESERVE))

    assert together(queue, *requests) == expected


def test_an_off_chain_request_needs_a_reservation_and_a_channel(queue):
    """The first is refused at once, the second fails: without a channel there is nothing."""
    wrong = {"amount": "5", "off_chain": True}
    assert queue.refused(QUEUE, "requested", **wrong) == "OFF_CHAIN_NEEDS_RESERVE"
    ask(queue, 5, **OFF_CHAIN)

    [failed] = queue.effects("FundsFailed")
    assert (failed["requests"], failed["reason"]) == ([1], "NO_CHANNEL")
    assert queue.state(QUEUE) == "idle"


def test_what_is_cancelled_is_not_sent(queue):
    """One of two; and where all are, nothing is sent at all."""
    opened(queue, 1, **RESERVE)
    ask(queue, 2, **RESERVE)
    push(queue)
    ask(queue, 3)
    ask(queue, 4)
    queue.ok(QUEUE, "cancelled", number=3)
    queue.ok(ACCOUNT, "funds_confirmed")
    assert [int(one["amount"]) for one in queue.effects("PushFunds")] == [2, 4]
    assert queue.refused(QUEUE, "cancelled", number=4) == "NOT_WAITING"
    push(queue)
    ask(queue, 5)
    queue.ok(QUEUE, "cancelled", number=5)
    queue.ok(ACCOUNT, "funds_confirmed")

    assert len(queue.effects("PushFunds")) == 2
    assert queue.state(QUEUE) == "idle"


def report(queue):
    """Return confirmed, pending, queued and redeemed, as lotus reports available funds."""
    account, line = queue.data(ACCOUNT), queue.data(QUEUE)
    queued = sum(one["amount"] for one in line["waiting"].values())
    promised = sum(lane["redeemed"] for lane in account["lanes"].values())
    return (account["amount"], line["pending"], queued, promised)


def test_the_report_of_available_funds_follows_the_messages(queue):
    """Create with 10, add 5 meanwhile, then vouchers of 3 and 2: lotus's own trace."""
    trace = [report(queue)]
    ask(queue, 10, **RESERVE)
    push(queue)
    trace.append(report(queue))
    ask(queue, 5, **RESERVE)
    trace.append(report(queue))
    queue.ok(ACCOUNT, "create_confirmed")
    trace.append(report(queue))
    push(queue)
    queue.ok(ACCOUNT, "funds_confirmed")
    trace.append(report(queue))
    for lane, amount in ((1, 3), (2, 2)):
        queue.issue(voucher(lane, amount, 1))
    trace.append(report(queue))

    assert trace == [
        (0, 0, 0, 0),
        (0, 10, 0, 0),
        (0, 10, 5, 0),
        (10, 5, 0, 0),
        (15, 0, 0, 0),
        (15, 0, 0, 5),
    ]


def test_what_is_sent_ahead_counts_when_it_is_there(queue):
    """Not while it is under way, and in both books."""
    ask(queue, 10)
    push(queue)
    under_way = (queue.data(QUEUE)["available"], queue.data(QUEUE)["pending_available"])
    queue.ok(ACCOUNT, "create_confirmed")
    ask(queue, 4, **RESERVE)

    assert under_way == (0, 10)
    assert queue.data(QUEUE)["available"] == queue.data(ACCOUNT)["available"] == 6


def test_a_failed_creation_is_forgotten_and_those_behind_it_are_tried_again(queue):
    """Who asked for it is told; the next message creates the channel."""
    ask(queue, 10, **RESERVE)
    push(queue)
    ask(queue, 5, **RESERVE)
    queue.ok(ACCOUNT, "create_failed", message="m", exit=7)

    assert queue.state(ACCOUNT) == "none"
    assert [one["requests"] for one in queue.effects("FundsFailed")] == [[1]]
    assert [int(one["amount"]) for one in queue.effects("PushCreate")] == [10, 5]


def test_failed_funds_leave_the_channel_as_it_was(queue):
    """And the next in line are tried."""
    opened(queue, 10, **RESERVE)
    ask(queue, 5, **RESERVE)
    push(queue)
    ask(queue, 6, **RESERVE)
    queue.ok(ACCOUNT, "funds_failed", message="m", exit=7)

    assert queue.data(ACCOUNT)["amount"] == 10
    assert [int(one["amount"]) for one in queue.effects("PushFunds")] == [5, 6]


def test_a_message_that_never_left_the_node_is_no_ones_money(queue):
    """The request fails, and the queue is free."""
    ask(queue, 10)
    queue.ok(QUEUE, "push_failed", reason="the wallet is empty")

    assert queue.effects("FundsFailed")[0]["reason"] == "the wallet is empty"
    assert (queue.state(QUEUE), queue.data(QUEUE)["pending"]) == ("idle", 0)


def test_after_a_settle_the_next_request_opens_a_second_channel(queue):
    """From the moment that Settle is pushed; what was sent ahead of the first stays there."""
    opened(queue, 10)
    queue.ok(ACCOUNT, "settle_pushed", message="m-settle")
    ask(queue, 7, **RESERVE)
    push(queue, OTHER_ACCOUNT)
    queue.ok(OTHER_ACCOUNT, "create_confirmed")

    assert [int(one["amount"]) for one in queue.effects("PushCreate")] == [10, 7]
    assert queue.data(QUEUE)["account"] == f"filecoin.{OTHER_ACCOUNT}"
    assert (queue.data(QUEUE)["available"], queue.data(OTHER_ACCOUNT)["amount"]) == (0, 7)


def test_a_settle_that_failed_gives_the_channel_back(queue):
    """Lotus never clears its flag."""
    opened(queue, 10)
    queue.ok(ACCOUNT, "settle_pushed", message="m-settle")
    queue.ok(ACCOUNT, "settle_failed", message="m-settle", exit=18)
    ask(queue, 7, **RESERVE)

    assert queue.state(ACCOUNT) == "ready"
    assert [one["requests"] for one in queue.effects("FundsReady")] == [[1], [2]]


def test_a_message_under_way_is_waited_for_again_after_a_restart(queue):
    """Both kinds, by whoever asks for it, and by itself after ten minutes."""
    ask(queue, 10)
    push(queue)
    queue.restart()
    queue.ok(ACCOUNT, "reattach")
    queue.clock.forward(600)
    queue.engine.tick()
    queue.ok(ACCOUNT, "create_confirmed")
    ask(queue, 5)
    push(queue)
    queue.restart()
    queue.ok(ACCOUNT, "reattach")

    assert [one["message"] for one in queue.effects("WaitMessage")] == ["m"] * 5
    assert queue.data(ACCOUNT)["channel"] == CHANNEL
