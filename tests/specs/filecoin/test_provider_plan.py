"""How the provider gets its money, whatever the client does: every wait, every failure."""

from __future__ import annotations

import itertools

import pytest

from .bookkeeping import ACCOUNT, ACTOR, CHANNEL, PAYEE, PAYER, PLAN, record, voucher

M = 5000


def submit(side, one, message="m", *, applied=True):
    """A message with this voucher is pushed, and perhaps its receipt seen."""
    side.ok(record(one), "submitted", message=message)
    if applied:
        side.ok(record(one), "applied", message=message)


def done(side):
    """The channel is gone."""
    side.ok(ACCOUNT, "collect_confirmed")
    assert (side.state(PLAN), side.state(ACCOUNT)) == ("done", "collected")


def counts(side, *effects):
    """Return how often each was to be done."""
    return [len(side.effects(do)) for do in effects]


# the other side settles


def test_when_the_client_settles_each_lanes_best_is_redeemed_then_collected(provider):
    """Lotus's settler, and a Collect at the first height at which it works."""
    ones = [voucher(0, 1, 1), voucher(0, 2, 2), voucher(1, 3, 1)]
    for one in ones:
        provider.receive(one)
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    assert (provider.state(PLAN), provider.submitted()) == ("redeeming", [[(0, 2), (1, 1)]])
    submit(provider, ones[1])
    assert provider.state(PLAN) == "redeeming"
    submit(provider, ones[2])
    assert provider.state(PLAN) == "collecting"
    provider.head(1539)
    assert counts(provider, "PushCollect", "PushSettle") == [0, 0]
    provider.head(1540)
    assert counts(provider, "PushCollect", "PushSettle") == [1, 0]
    done(provider)


@pytest.mark.parametrize("to", [CHANNEL, "t" + CHANNEL[1:], ACTOR])
def test_a_settle_is_seen_in_whatever_form_it_names_the_channel(provider, to):
    """The f2 form, that of a test network, and the f0 form, which lotus's settler misses."""
    provider.receive(voucher(0, 1, 1))
    provider.ok(ACCOUNT, "settle_seen", to=to, settling_at=1540)

    assert provider.submitted() == [[(0, 1)]]


def test_a_settle_of_another_channel_is_not_ours(provider):
    """The control."""
    refused = provider.refused(ACCOUNT, "settle_seen", to="f0103", settling_at=1540)

    assert (refused, provider.state(PLAN)) == ("ANOTHER_CHANNEL", "waiting")


def test_a_settle_through_another_actor_is_seen_by_what_it_did(provider):
    """A multisig's inner call is no message to the channel; the channel's state tells it."""
    provider.receive(voucher(0, 1, 1))
    provider.ok(ACCOUNT, "chain_seen", balance="100", settling_at=1540)

    assert (provider.state(PLAN), provider.submitted()) == ("redeeming", [[(0, 1)]])


def test_a_voucher_that_comes_late_is_submitted_too(provider):
    """Lotus's end-to-end story: the payee lost 1000 on the lane that came after the settler ran."""
    early, late, later = voucher(0, 2, 1), voucher(3, 1, 1), voucher(3, 2, 2)
    provider.receive(early)
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    submit(provider, early)
    assert provider.state(PLAN) == "collecting"
    provider.receive(late)
    submit(provider, late)
    provider.head(1539)
    provider.receive(later)
    provider.head(1540)
    too_late = voucher(4, 1, 1)
    provider.receive(too_late)

    assert provider.submitted() == [[(0, 1)], [(3, 1)], [(3, 2)]]
    assert counts(provider, "PushCollect") == [1]


def fail(side, one):
    """A message with this voucher is pushed, and fails on the chain."""
    submit(side, one, applied=False)
    side.ok(record(one), "failed", message="m", exit=16)


def forward(side, height, until):
    """Go on block by block from `height` until the plan submits again, or to `until`; returns
    where that is.
    """
    before = len(side.submitted())
    while len(side.submitted()) == before and height < until:
        height += 1
        side.head(height)
    return height


def test_a_failed_lane_does_not_hold_up_the_others_and_is_tried_again(provider):
    """After 1, 2, 4, … epochs, eight times; then the lane is given up, and the rest goes on."""
    bad, good = voucher(0, 1, 1), voucher(1, 2, 1)
    for one in (bad, good):
        provider.receive(one)
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    submit(provider, good)
    heights = [100]
    for _ in range(7):
        fail(provider, bad)
        heights.append(forward(provider, heights[-1], 300))
    assert provider.state(PLAN) == "redeeming"
    fail(provider, bad)

    assert provider.submitted() == [[(0, 1), (1, 1)], *[[(0, 1)]] * 7]
    gaps = [later - earlier for earlier, later in itertools.pairwise(heights)]
    assert gaps == [1, 2, 4, 8, 16, 32, 64]
    assert provider.state(PLAN) == "collecting"


def test_what_was_given_up_is_tried_once_more_at_the_last_call(provider):
    """Ten epochs before redeeming ends: there is nothing to lose."""
    one = voucher(0, 1, 1)
    provider.receive(one)
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=2000)
    height = 100
    for _ in range(8):
        fail(provider, one)
        height += 130
        provider.head(height)
    assert (provider.state(PLAN), len(provider.submitted())) == ("collecting", 8)
    provider.head(1988)
    before = len(provider.submitted())
    provider.head(1989)

    assert (before, len(provider.submitted())) == (8, 9)


def test_a_message_without_a_receipt_is_taken_for_lost(provider):
    """After twenty epochs its voucher is pushed again; a second inclusion can only fail."""
    one = voucher(0, 1, 1)
    provider.receive(one)
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    submit(provider, one, applied=False)
    provider.head(119)
    before = len(provider.submitted())
    provider.head(120)

    assert (before, len(provider.submitted())) == (1, 2)


def test_more_funds_make_a_voucher_payable_that_was_not(provider):
    """The chain refuses what it cannot cover, and the nonce is not used up."""
    one = voucher(0, 90, 1)
    provider.receive(one)
    provider.ok(ACCOUNT, "chain_seen", balance="50", settling_at=1540)
    assert provider.submitted() == []
    provider.ok(ACCOUNT, "chain_seen", balance="100", settling_at=1540)

    assert provider.submitted() == [[(0, 1)]]


def test_a_voucher_that_puts_settling_off_puts_off_the_collection(provider):
    """Its MinSettleHeight counts once it is redeemed; the plan goes by what was seen last."""
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    assert provider.state(PLAN) == "collecting"
    one = voucher(0, 1, 1, min_settle_height=2000)
    provider.receive(one)
    submit(provider, one)
    provider.ok(ACCOUNT, "chain_seen", balance="100", settling_at=2000)
    provider.head(1999)
    before = counts(provider, "PushCollect")
    provider.head(2000)

    assert (before, counts(provider, "PushCollect")) == ([0], [1])


def test_a_collect_that_fails_is_pushed_again(provider):
    """By the answer, and without one by height."""
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    provider.head(1540)
    provider.ok(ACCOUNT, "collect_pushed", message="m1")
    provider.ok(ACCOUNT, "collect_failed", message="m1", exit=18)
    provider.head(1541)
    pushed = counts(provider, "PushCollect")
    provider.head(1560)
    pushed += counts(provider, "PushCollect")
    provider.head(1700)
    pushed += counts(provider, "PushCollect")

    assert pushed == [2, 2, 3]


# the client vanishes


def test_a_client_that_vanishes_changes_nothing(provider):
    """At M - 1440 the provider redeems, settles as soon as that is through, and collects at M."""
    one = voucher(0, 4, 1, min_settle_height=M)
    provider.receive(one)
    provider.head(M - 1441)
    assert provider.state(PLAN) == "waiting"
    provider.head(M - 1440)
    assert (provider.state(PLAN), provider.submitted()) == ("redeeming", [[(0, 1)]])
    assert counts(provider, "PushSettle") == [0]
    submit(provider, one)
    assert (provider.state(PLAN), counts(provider, "PushSettle")) == ("settling", [1])
    provider.ok(ACCOUNT, "settle_pushed", message="m-settle")
    provider.ok(ACCOUNT, "settle_confirmed", settling_at=M)
    assert provider.state(PLAN) == "collecting"
    provider.head(M)
    assert counts(provider, "PushCollect") == [1]
    done(provider)


@pytest.mark.parametrize(("lead", "height"), [(1440, M - 1440), (0, M), (100, M - 100)])
def test_when_to_act_is_a_matter_of_policy(side, lead, height):
    """From M - 1440 on, settling costs no time; the issue's own rule is M."""
    side.new(PLAN, lead=lead)
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, plan=f"filecoin.{PLAN}")
    side.ok(ACCOUNT, "chain_seen", balance="100")
    side.receive(voucher(0, 4, 1, min_settle_height=M))
    side.head(height - 1)
    assert side.submitted() == []
    side.head(height)

    assert side.submitted() == [[(0, 1)]]


def test_a_later_voucher_with_a_higher_settle_height_puts_off_acting(provider):
    """The client goes on using the channel."""
    provider.receive(voucher(0, 4, 1, min_settle_height=M))
    provider.receive(voucher(0, 5, 2, min_settle_height=M + 1000))
    provider.head(M - 1440)
    assert provider.state(PLAN) == "waiting"
    provider.head(M - 440)

    assert provider.submitted() == [[(0, 2)]]


def test_without_a_settle_height_a_height_can_be_given(side):
    """Else the plan waits for the client's Settle, or for a person."""
    side.new(PLAN, act_by=400)
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, plan=f"filecoin.{PLAN}")
    side.ok(ACCOUNT, "chain_seen", balance="100")
    side.receive(voucher(0, 4, 1))
    side.head(399)
    assert side.state(PLAN) == "waiting"
    side.head(400)

    assert side.state(PLAN) == "redeeming"


def test_a_settle_height_can_be_pinned(side):
    """One voucher that carries it is redeemed at once: from then on the chain knows it."""
    side.new(PLAN, pin=True)
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, plan=f"filecoin.{PLAN}")
    side.ok(ACCOUNT, "chain_seen", balance="100")
    one = voucher(0, 4, 1, min_settle_height=M)
    side.receive(one)
    submit(side, one)
    side.receive(voucher(0, 5, 2, min_settle_height=M))

    assert (side.state(PLAN), side.submitted()) == ("waiting", [[(0, 1)]])


def test_a_settle_that_the_chain_does_not_show_is_pushed_again(provider):
    """By its failure, and without an answer by height; until settling_at is seen."""
    provider.ok(PLAN, "begin")
    assert provider.state(PLAN) == "settling"
    provider.ok(ACCOUNT, "settle_pushed", message="m1")
    provider.ok(ACCOUNT, "settle_failed", message="m1", exit=7)
    provider.head(101)
    pushed = counts(provider, "PushSettle")
    provider.head(200)
    pushed += counts(provider, "PushSettle")
    provider.ok(ACCOUNT, "chain_seen", balance="100", settling_at=1600)
    provider.head(500)

    assert (pushed, counts(provider, "PushSettle")) == ([2, 3], [3])
    assert provider.state(PLAN) == "collecting"


# time locks


@pytest.fixture
def locked(side):
    """A provider that takes time locks, with one voucher that opens at 600 and one that does not
    need to.
    """
    side.new(PLAN)
    account = {"direction": 1, "control": PAYEE, "target": PAYER, "plan": f"filecoin.{PLAN}"}
    side.new(ACCOUNT, **account, policy="strict")
    side.ok(ACCOUNT, "chain_seen", balance="100")
    side.receive(voucher(0, 4, 1))
    assert side.receive(voucher(0, 5, 2, time_lock_min=600)) == "accepted"
    return side


def test_a_time_locked_voucher_is_redeemed_at_its_height(locked):
    """What is free is redeemed at once, and the better one when its lock opens."""
    locked.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    submit(locked, voucher(0, 4, 1))
    assert (locked.state(PLAN), locked.submitted()) == ("collecting", [[(0, 1)]])
    locked.head(599)
    assert len(locked.submitted()) == 1
    locked.head(600)

    assert locked.submitted() == [[(0, 1)], [(0, 2)]]


def test_a_lock_that_opens_too_late_delays_our_own_settle(side):
    """Settle at 100 gives 1540: a voucher that opens at 1700 would be lost. So it waits to 271."""
    side.new(PLAN)
    account = {"direction": 1, "control": PAYEE, "target": PAYER, "plan": f"filecoin.{PLAN}"}
    side.new(ACCOUNT, **account, policy="literal")
    side.ok(ACCOUNT, "chain_seen", balance="100")
    side.receive(voucher(0, 5, 1, time_lock_min=1700, min_settle_height=300))
    side.ok(PLAN, "begin")
    assert side.state(PLAN) == "redeeming"
    side.head(270)
    assert counts(side, "PushSettle") == [0]
    side.head(271)
    assert counts(side, "PushSettle") == [1]
    side.ok(ACCOUNT, "settle_confirmed", settling_at=271 + 1440)
    side.head(1700)

    assert side.submitted() == [[(0, 1)]]


def test_a_voucher_that_expires_is_redeemed_before_it_does(side):
    """While nobody settles: its end is a deadline of its own."""
    side.new(PLAN)
    account = {"direction": 1, "control": PAYEE, "target": PAYER, "plan": f"filecoin.{PLAN}"}
    side.new(ACCOUNT, **account, policy="strict")
    side.ok(ACCOUNT, "chain_seen", balance="100")
    side.receive(voucher(0, 5, 1, time_lock_max=900))
    side.head(889)
    assert side.submitted() == []
    side.head(890)

    assert (side.state(PLAN), side.submitted()) == ("waiting", [[(0, 1)]])


# restarts


def test_a_restart_in_every_state_loses_nothing(provider):
    """The process dies in each wait; heights that it slept through are caught up with."""
    one = voucher(0, 4, 1, min_settle_height=M)
    provider.receive(one)
    states = []

    def restart():
        provider.restart()
        states.append(provider.state(PLAN))

    restart()
    provider.head(M - 1440)
    restart()
    submit(provider, one, applied=False)
    restart()
    provider.ok(record(one), "applied", message="m")
    restart()
    provider.ok(ACCOUNT, "settle_pushed", message="m-settle")
    restart()
    provider.ok(ACCOUNT, "settle_confirmed", settling_at=M)
    restart()
    provider.head(M + 7)
    restart()

    assert states == [
        "waiting",
        "redeeming",
        "redeeming",
        "settling",
        "settling",
        "collecting",
        "collecting",
    ]
    assert provider.submitted() == [[(0, 1)]]
    assert counts(provider, "PushSettle", "PushCollect") == [1, 1]
    done(provider)


def test_many_lanes_are_submitted_page_by_page(provider):
    """An entry has its bounds: 64 lanes at once, the next with the next block."""
    provider.ok(ACCOUNT, "chain_seen", balance="1000")
    for lane in range(70):
        provider.receive(voucher(lane, 1, 1))
    provider.ok(ACCOUNT, "settle_seen", to=CHANNEL, settling_at=1540)
    provider.head(101)

    assert [len(page) for page in provider.submitted()] == [64, 6]
    assert provider.submitted()[1][0] == (64, 1)


# what a campaign of failures found


def strict_provider(side):
    """Track a channel that pays us, with a plan; time locks are taken."""
    side.new(PLAN)
    known = {"direction": 1, "control": PAYEE, "target": PAYER, "policy": "strict"}
    side.new(ACCOUNT, **known, plan=f"filecoin.{PLAN}")
    side.ok(ACCOUNT, "chain_seen", balance="100", id="f0102")
    return side


@pytest.mark.parametrize("heard", [False, True])
def test_a_message_lost_shortly_before_the_last_call_is_pushed_once_more(provider, heard):
    """Pushed at 1525, never heard of; the last call is at 1529. Control: its receipt came."""
    one = voucher(0, 1, 1)
    provider.ok(ACCOUNT, "settle_seen", settling_at=1540)
    provider.head(1525)
    provider.receive(one)
    submit(provider, one, applied=heard)
    provider.head(1528)
    assert len(provider.submitted()) == 1

    provider.head(1529)
    provider.head(1531)

    assert len(provider.submitted()) == (1 if heard else 2)


def test_after_the_last_call_a_failure_is_tried_again_at_the_next_height(provider):
    """Ten epochs are left: no time for a backoff that doubles."""
    one = voucher(0, 1, 1)
    provider.receive(one)
    provider.head(1528)
    provider.ok(ACCOUNT, "settle_seen", settling_at=1540)
    provider.head(1529)

    for height in range(1530, 1536):
        fail(provider, one)
        assert forward(provider, height - 1, height) == height
        assert len(provider.submitted()) == height - 1528 + 1


@pytest.mark.parametrize(("begun", "again"), [(289, 290), (290, None)])
def test_a_message_lost_before_a_time_lock_closes_is_pushed_once_more(side, begun, again):
    """T_max 300, margin 10: once more at 290; what was pushed from then on is not repeated."""
    provider = strict_provider(side)
    one = voucher(0, 1, 1, time_lock_max=300)
    provider.ok(PLAN, "begin")
    provider.head(begun)
    provider.receive(one)
    submit(provider, one, applied=False)
    assert len(provider.submitted()) == 1

    forward(provider, begun, 300)

    assert len(provider.submitted()) == (1 if again is None else 2)


def test_what_was_given_up_has_a_last_call_before_its_own_time_lock_closes(side):
    """Eight tries failed long before T_max 1200; at 1190 it is tried once more."""
    provider = strict_provider(side)
    one = voucher(0, 1, 1, time_lock_max=1200)
    provider.receive(one)
    provider.ok(PLAN, "begin")
    height = 100
    for _ in range(8):
        fail(provider, one)
        height = forward(provider, height, 600)
    before = len(provider.submitted())
    assert (before, forward(provider, 600, 1189)) == (8, 1189)

    assert forward(provider, 1189, 1200) == 1190


def test_an_older_voucher_is_tried_when_the_newer_one_is_given_up_and_lapses(side):
    """The newer one (T_max 700) failed eight times; the older one of the lane is still good."""
    provider = strict_provider(side)
    older, newer = voucher(0, 1, 1), voucher(0, 2, 2, time_lock_max=700)
    provider.receive(older)
    provider.receive(newer)
    provider.ok(PLAN, "begin")
    height = 100
    for _ in range(9):
        fail(provider, newer)
        height = forward(provider, height, 701)
    provider.head(702)
    provider.ok(ACCOUNT, "settle_seen", settling_at=2142)
    provider.head(2131)

    assert provider.submitted()[-1] == [(0, 1)]
