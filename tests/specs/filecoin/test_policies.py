"""Redemption windows and the policies for MinSettleHeight: every boundary and its neighbours."""

from __future__ import annotations

import pytest
from statetape.specs.filecoin.policies import (
    SETTLE_DELAY,
    Terms,
    Window,
    conditions,
    last_settle_without_delay,
    last_time_lock_min,
    literal,
    lotus,
    settling_at_of,
    settling_at_worst,
    strict,
    window,
)
from statetape.specs.filecoin.voucher import ModVerifyParams, SignedVoucher


def voucher(**fields):
    """Return a voucher with these fields, and no conditions otherwise."""
    plain = SignedVoucher("f0100", 0, 0, b"", None, 0, 1, 5, 0, (), None)
    return plain._replace(**fields)


@pytest.mark.parametrize(
    ("fields", "now", "settling_at", "expected"),
    [
        ({}, 7, 0, Window(7, None)),
        ({"time_lock_min": 9}, 7, 0, Window(9, None)),
        ({"time_lock_min": -1}, 7, 0, Window(7, None)),
        ({"time_lock_max": 9}, 7, 0, Window(7, 9)),
        ({"time_lock_max": 9}, 7, 9, Window(7, 8)),
        ({"time_lock_max": 9}, 7, 11, Window(7, 9)),
        ({}, 7, 100, Window(7, 99)),
        ({"time_lock_max": -1}, 7, 0, Window(7, -1)),
    ],
)
def test_a_window_is_bounded_by_its_locks_the_head_and_the_settlement(
    fields, now, settling_at, expected
):
    """Bounds are inclusive; only exactly 0 means that there is no upper one."""
    assert window(voucher(**fields), now, settling_at) == expected


@pytest.mark.parametrize(("now", "empty"), [(99, False), (100, True)])
def test_a_window_closes_with_the_epoch_before_settling_at(now, empty):
    """At settling_at itself the chain answers 32."""
    assert window(voucher(), now, 100).empty is empty


def test_windows_meet_in_a_single_epoch():
    """[10, 20] and [20, None] have 20 in common; [21, None] has nothing."""
    assert Window(10, 20).meets(20, None)
    assert not Window(10, 20).meets(21, None)
    assert Window(10, None).meets(0, 10)
    assert not Window(10, None).meets(0, 9)
    assert not Window(10, 9).meets(0, None)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms(now=100), 1541),  # a Settle in the next block
        (Terms(now=100, min_settle_height=1541), 1541),
        (Terms(now=100, min_settle_height=1542), 1542),
        (Terms(now=100, settling_at=150), 150),  # it is settling already
    ],
)
def test_the_worst_case_is_a_settle_in_the_next_block(terms, expected):
    """No promise puts it off, only what the chain has learned from redeemed vouchers."""
    assert settling_at_worst(terms) == expected


M = 5000


@pytest.mark.parametrize(
    ("time_lock_min", "verdict"),
    [
        (M + 1439, "ok"),
        (M + 1440, "ok"),
        (M + 1441, "TIME_LOCK_BEYOND_SETTLE_HEIGHT"),
    ],
)
def test_the_literal_rule_refuses_only_beyond_1440_above_the_settle_height(time_lock_min, verdict):
    """The bound of myelnet/pop#144 to the epoch."""
    promised = voucher(time_lock_min=time_lock_min, min_settle_height=M)

    assert literal(promised, Terms(now=10)) == verdict


def test_at_its_bound_the_literal_rule_takes_what_the_chain_refuses():
    """The payer settles at M, as the rule assumes: M + 1440 is too late, M + 1439 is not."""
    settling_at = settling_at_of(M, min_settle_height=M)
    taken = voucher(time_lock_min=M + 1440, min_settle_height=M)
    safe = voucher(time_lock_min=M + 1439, min_settle_height=M)

    assert literal(taken, Terms(now=10)) == "ok"
    assert window(taken, M, settling_at).empty
    assert not window(safe, M, settling_at).empty
    assert last_time_lock_min(settling_at) == M + 1439
    # the strict rule on the same assumption: the head is M - 1, the payer settles next
    eve = Terms(now=M - 1, margin=0)
    assert strict(safe, eve) == "ok"
    assert strict(taken, eve) == "TIME_LOCK_MIN_TOO_LATE"


def test_the_literal_rule_trusts_a_promise_that_the_strict_rule_does_not():
    """The chain lets the payer settle long before M, and then the lock opens after the end."""
    promised = voucher(time_lock_min=M, min_settle_height=M)

    assert literal(promised, Terms(now=10)) == "ok"
    assert strict(promised, Terms(now=10)) == "TIME_LOCK_MIN_TOO_LATE"
    # once a voucher with M was redeemed, the chain itself waits until M
    assert strict(promised._replace(time_lock_min=M - 11), Terms(10, min_settle_height=M)) == "ok"


@pytest.mark.parametrize(
    ("fields", "terms", "verdict"),
    [
        ({"time_lock_min": 1530}, Terms(100), "ok"),  # 1541 - 1 - 10
        ({"time_lock_min": 1531}, Terms(100), "TIME_LOCK_MIN_TOO_LATE"),
        ({"time_lock_min": 1540}, Terms(100, margin=0), "ok"),
        ({"time_lock_min": 1541}, Terms(100, margin=0), "TIME_LOCK_MIN_TOO_LATE"),
        ({"time_lock_min": 1989}, Terms(100, min_settle_height=2000), "ok"),
        ({"time_lock_min": 1990}, Terms(100, min_settle_height=2000), "TIME_LOCK_MIN_TOO_LATE"),
        ({"time_lock_max": 110}, Terms(100), "ok"),
        ({"time_lock_max": 109}, Terms(100), "TIME_LOCK_MAX_TOO_SOON"),
        ({"time_lock_max": -1}, Terms(100), "TIME_LOCK_MAX_TOO_SOON"),
        ({}, Terms(199, settling_at=200, margin=0), "ok"),
        ({}, Terms(200, settling_at=200, margin=0), "CHANNEL_SETTLED"),
        ({}, Terms(189, settling_at=200), "ok"),
        ({}, Terms(190, settling_at=200), "WINDOW_TOO_SHORT"),
        ({"time_lock_min": 300, "time_lock_max": 310}, Terms(100), "ok"),
        ({"time_lock_min": 300, "time_lock_max": 309}, Terms(100), "WINDOW_TOO_SHORT"),
        ({"time_lock_min": 300, "time_lock_max": 200}, Terms(100), "WINDOW_TOO_SHORT"),
    ],
)
def test_the_strict_rule_wants_a_margin_in_the_worst_case(fields, terms, verdict):
    """Each bound with its neighbour."""
    assert strict(voucher(**fields), terms) == verdict


def test_settling_early_costs_nothing_down_to_1440_before_the_settle_height():
    """settling_at is M anyway; one epoch later it is one epoch more."""
    early = last_settle_without_delay(M)

    assert early == M - SETTLE_DELAY
    assert [settling_at_of(epoch, M) for epoch in (early - 100, early, early + 1)] == [M, M, M + 1]


CALL = ModVerifyParams("f0104", 2, b"")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"extra": CALL, "time_lock_max": 5, "time_lock_min": 5}, "EXTRA_NOT_ALLOWED"),
        ({"time_lock_max": 5, "time_lock_min": 5}, "TIME_LOCK_MAX_NOT_ALLOWED"),
        ({"time_lock_min": 5, "secret_pre_image": b"h"}, "TIME_LOCK_MIN_NOT_ALLOWED"),
        ({"secret_pre_image": b"h"}, "SECRET_NOT_ALLOWED"),
        ({"min_settle_height": 5}, "ok"),
    ],
)
def test_lotus_refuses_conditions_in_its_order(fields, refusal):
    """All but MinSettleHeight, which it ignores."""
    assert lotus(voucher(**fields)) == refusal
    assert conditions("lotus", voucher(**fields), Terms(now=10)) == refusal


@pytest.mark.parametrize("policy", ["literal", "strict"])
@pytest.mark.parametrize(
    ("fields", "terms", "refusal"),
    [
        ({"extra": CALL, "secret_pre_image": b"h"}, Terms(10), "EXTRA_NOT_ALLOWED"),
        ({"secret_pre_image": b"h", "time_lock_min": 1000}, Terms(10), "SECRET_NOT_ALLOWED"),
        ({"time_lock_min": 1000, "time_lock_max": 1400}, Terms(10), "ok"),
        ({}, Terms(1450, settling_at=1450), "CHANNEL_SETTLED"),
    ],
)
def test_the_other_policies_take_time_locks_and_nothing_else(policy, fields, terms, refusal):
    """And nothing at all once the channel is settled, which lotus does not ask about."""
    assert conditions(policy, voucher(**fields), terms) == refusal
    assert conditions("lotus", voucher(), terms) == "ok"
