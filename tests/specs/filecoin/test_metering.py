"""Payment intervals: the boundaries, what is due at them, and the provider's count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.specs.filecoin.metering import (
    IntervalZero,
    Meter,
    Terms,
    amount_to_send,
    data_limit,
    interval_lower_bound,
    next_interval,
    outstanding_balance,
    payment,
    payment_owed,
)

INTERVALS = st.integers(0, 50)
COUNTS = st.integers(0, 2_000)


def walked(interval, increase, current, passed):
    """Walk the boundaries as the originals do: the last that is `passed`, and the one after."""
    size, last, target = interval, 0, 0
    while passed(target, current):
        last = target
        target += size
        size += increase
    return last, target


@given(INTERVALS, INTERVALS, COUNTS)
def test_boundaries_are_those_that_the_originals_walk_to(interval, increase, current):
    """The next one; and the last one below, or below and at, which is where versions differ."""
    if interval == increase == 0:
        return
    at_or_below = walked(interval, increase, current, lambda n, c: n <= c)
    below = walked(interval, increase, current, lambda n, c: n < c)

    assert next_interval(interval, increase, current) == at_or_below[1]
    assert interval_lower_bound(interval, increase, current, reached=True) == at_or_below[0]
    assert interval_lower_bound(interval, increase, current, reached=False) == below[0]


def test_boundaries_of_an_interval_that_grows():
    """I, 2I+d, 3I+3d: cumulative bytes."""
    boundaries = [0]
    for _ in range(4):
        boundaries.append(next_interval(1000, 100, boundaries[-1]))

    assert boundaries == [0, 1000, 2100, 3300, 4600]


def test_a_boundary_far_away_is_computed_not_walked_to():
    """One byte an interval, and a count near the end of 64 bits."""
    assert next_interval(1, 0, 2**63) == 2**63 + 1
    assert next_interval(0, 1, 10**18) - 10**18 < 2 * 10**9


@pytest.mark.parametrize("reached", [True, False])
def test_no_interval_at_all_is_refused(reached):
    """The originals never come back from it."""
    with pytest.raises(IntervalZero):
        next_interval(0, 0, 5)
    with pytest.raises(IntervalZero):
        interval_lower_bound(0, 0, 5, reached=reached)


@pytest.mark.parametrize(
    ("received", "unseal_paid", "all_received", "due"),
    [
        (999, 200, False, 0),
        (1000, 200, False, 1200),
        (1999, 200, False, 1200),
        (1999, 200, True, 2199),
        (999, 199, False, 1199),
        (0, 0, False, 200),
        (0, 200, True, 200),
    ],
)
def test_a_client_pays_for_whole_intervals(received, unseal_paid, all_received, due):
    """Interval 1000, 1 a byte, 200 for unsealing; until that is paid, and at the end, all count."""
    assert amount_to_send(received, 1000, 1, 200, unseal_paid, all_received) == due


TERMS = Terms(price_per_byte=500, interval=1000, increase=500, unseal_price=500_000)


@pytest.mark.parametrize(
    ("funds", "sent", "finalizing", "owed", "limit"),
    [
        (0, 0, False, 500_000, 1000),
        (500_000, 999, False, 0, 1000),
        (500_000, 1000, False, 500_000, 1000),
        (999_999, 1000, False, 1, 1000),
        (1_000_000, 1000, False, 0, 2500),
        (1_000_000, 2000, False, 0, 2500),
        (1_000_000, 2000, True, 500_000, 2500),
        (9_000_000, 2000, True, 0, 17500),
    ],
)
def test_a_later_provider_derives_its_limit_from_the_money(funds, sent, finalizing, owed, limit):
    """v1.28.3: a boundary just reached is due; at the end every byte is."""
    assert outstanding_balance(TERMS, funds, sent, finalizing=finalizing) == owed
    assert data_limit(TERMS, funds) == limit


def test_a_free_deal_owes_nothing_and_has_no_limit():
    """Whatever its intervals: they are never looked at."""
    free = Terms(0, 0, 0, 10)

    assert outstanding_balance(free, 9, 10**9, finalizing=True) == 1
    assert outstanding_balance(free, 10, 10**9, finalizing=True) == 0
    assert data_limit(free, 10) == 0


@pytest.mark.parametrize(
    ("interval", "paid", "owed"), [(1000, 0, 500_000), (1000, 500_000, 0), (2500, 900_000, 100_000)]
)
def test_an_earlier_provider_owes_up_to_the_boundary_below_its_interval(interval, paid, owed):
    """pop and v1.6: a boundary just reached is not due yet."""
    assert payment_owed(TERMS, interval, paid) == owed


def deal(**fields):
    """Return a provider's data: 2 a byte, intervals of 1000, 2000, 3000 bytes."""
    return {
        "PricePerByte": "2",
        "PaymentInterval": 1000,
        "PaymentIntervalIncrease": 1000,
        "CurrentInterval": 1000,
        "TotalSent": 0,
        "FundsReceived": "0",
        **fields,
    }


def test_the_meter_asks_for_money_at_the_interval_and_pauses():
    """Below it a block is only counted; at it the transfer waits, and the client hears why."""
    meter, counted = Meter.of(deal()).block(999)
    _, asked = meter.block(1)

    assert (counted.events, counted.pause) == (
        (("ProviderEventBlockSent", {"totalSent": 999}),),
        False,
    )
    assert asked.events == (("ProviderEventPaymentRequested", {"totalSent": 1000}),)
    assert (asked.pause, asked.status, asked.owed) == (True, "DealStatusFundsNeeded", 2000)


def test_the_meter_begins_again_where_the_deal_stands():
    """After a payment, and after a crash: nothing is counted twice and nothing is forgotten."""
    paid = deal(TotalSent=1000, FundsReceived="2000", CurrentInterval=3000)
    meter, more = Meter.of(paid).block(1500)

    assert more.events == (("ProviderEventBlockSent", {"totalSent": 2500}),)
    assert meter.owed == 3000
    assert meter.end().events == (
        ("ProviderEventBlocksCompleted", {}),
        ("ProviderEventPaymentRequested", {"totalSent": 2500}),
    )


def test_a_free_transfer_ends_completed():
    """Nothing owed: the end is told at once."""
    meter, _ = Meter.of(deal(PricePerByte=0)).block(10**9)

    assert meter.end().events == (("ProviderEventBlocksCompleted", {}),)
    assert meter.end().status == "DealStatusCompleted"


@pytest.mark.parametrize(
    ("status", "interval", "received", "event", "result"),
    [
        ("DealStatusFundsNeeded", 1000, 2000, "PaymentReceived", ("", 0)),
        (
            "DealStatusFundsNeeded",
            3000,
            1500,
            "PartialPaymentReceived",
            ("DealStatusFundsNeeded", 500),
        ),
        (
            "DealStatusFundsNeededLastPayment",
            1000,
            0,
            "PaymentReceived",
            ("DealStatusCompleted", 0),
        ),
    ],
)
def test_a_payment_is_enough_or_partial(status, interval, received, event, result):
    """Enough for the boundary below the interval; the last one also answers Completed."""
    made = payment(deal(CurrentInterval=interval), status, received, "pc-1")

    [(name, params)] = made.events
    assert (name, params) == (f"ProviderEvent{event}", {"fundsReceived": received, "ch": "pc-1"})
    assert (made.status, made.owed) == result
    assert made.pause == (event == "PartialPaymentReceived")
