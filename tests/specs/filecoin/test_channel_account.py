"""The book of one side: lotus's checks in their order, nonces, lanes, what is best to redeem."""

from __future__ import annotations

import pytest
from statetape.specs.filecoin.books import Difference, compare
from statetape.specs.filecoin.payment_channel import blake2b256
from statetape.specs.filecoin.voucher import Merge, ModVerifyParams

from .bookkeeping import (
    ACCOUNT,
    ACTOR,
    CHANNEL,
    OTHER_CHANNEL,
    PAYEE,
    PAYEE_SECRET,
    PAYER,
    STRANGER_SECRET,
    record,
    voucher,
)

LOW_NONCE, LOW_AMOUNT, SHORT = "NONCE_TOO_LOW", "AMOUNT_NOT_HIGHER", "INSUFFICIENT_FUNDS"


def seen(lanes):
    """Return lanes as the chain shows them: lane to (redeemed, nonce)."""
    return {
        str(lane): {"redeemed": str(redeemed), "nonce": nonce}
        for lane, (redeemed, nonce) in lanes.items()
    }


@pytest.mark.parametrize(
    ("balance", "lanes", "offered", "verdict"),
    [
        (10, {}, (0, 5, 0), "accepted"),
        (5, {}, (0, 10, 0), SHORT),
        (10, {1: (2, 3)}, (1, 5, 2), LOW_NONCE),
        (10, {1: (2, 2)}, (1, 5, 2), LOW_NONCE),
        (10, {1: (2, 2)}, (1, 5, 3), "accepted"),
        (10, {1: (2, 3)}, (2, 5, 2), "accepted"),
        (10, {1: (6, 2)}, (1, 5, 3), LOW_AMOUNT),
        (10, {1: (5, 2)}, (1, 5, 3), LOW_AMOUNT),
        (10, {1: (4, 1)}, (1, 6, 2), "accepted"),
        (10, {2: (5, 1)}, (1, 6, 1), SHORT),
        (10, {1: (5, 1), 2: (5, 1)}, (1, 6, 2), SHORT),
        (10, {1: (4, 1), 2: (5, 1)}, (1, 5, 2), "accepted"),
    ],
)
def test_a_voucher_is_measured_by_the_lanes_that_the_chain_shows(
    payee, balance, lanes, offered, verdict
):
    """Cases of lotus's own tests, on chain lanes (redeemed, nonce) and an offer (lane, amount,
    nonce).
    """
    payee.ok(ACCOUNT, "chain_seen", balance=str(balance), lanes=seen(lanes))

    assert payee.receive(voucher(*offered)) == verdict


def test_lanes_in_the_book_count_as_those_on_the_chain(payee):
    """Promised is promised, submitted or not."""
    assert payee.receive(voucher(1, 6, 2)) == "accepted"
    assert payee.receive(voucher(1, 7, 2)) == LOW_NONCE
    assert payee.receive(voucher(1, 6, 3)) == LOW_AMOUNT
    refused = voucher(2, 5, 1)
    assert payee.receive(refused) == SHORT
    assert payee.data(record(refused))["shortfall"] == 1
    assert payee.receive(voucher(2, 4, 1)) == "accepted"


def test_what_was_refused_for_want_of_funds_is_taken_when_they_are_there(payee):
    """The same voucher, offered again."""
    one = voucher(0, 12, 1)
    assert payee.receive(one) == SHORT
    payee.ok(ACCOUNT, "chain_seen", balance="12")
    payee.ok(record(one), "offered_again")

    data = payee.data(record(one))
    assert (payee.state(record(one)), data["refusal"], data["delta"]) == ("accepted", "", 12)


@pytest.mark.parametrize(
    "secret", [PAYEE_SECRET, STRANGER_SECRET, None], ids=["payee", "stranger", "nobody"]
)
def test_only_the_payers_signature_counts(payee, secret):
    """Not the payee's, though the chain would take it from the payer; not a stranger's; and a bad
    copy that came first does not keep out the good one, whose ID is the same.
    """
    assert payee.receive(voucher(0, 5, 1, secret=secret)) == "SIGNATURE_INVALID"
    assert payee.receive(voucher(0, 5, 1)) == "accepted"
    assert payee.data(record(voucher(0, 5, 1)))["sv"] == voucher(0, 5, 1).text()


CALL = ModVerifyParams("f0104", 2, b"")
EVERYTHING_WRONG = {
    "channel": OTHER_CHANNEL,
    "extra": CALL,
    "time_lock_max": 1,
    "time_lock_min": 9,
    "secret_pre_image": b"\1" * 32,
    "secret": None,
    "merges": (Merge(3, 1),),
}


def test_the_checks_come_in_lotuss_order(payee):
    """Everything is wrong with the voucher; one mend after the other shows the next check."""
    payee.ok(ACCOUNT, "chain_seen", balance="1", present=True, lanes=seen({1: (7, 5)}))
    wrong = dict(EVERYTHING_WRONG)
    slugs = [payee.receive(voucher(1, 6, 4, **wrong), proof="p", min_delta=9)]
    for mended in ("channel", "extra", "time_lock_max", "time_lock_min", "secret_pre_image"):
        slugs.append(payee.receive(voucher(1, 6, 4, **wrong), min_delta=9))
        del wrong[mended]
    slugs.append(payee.receive(voucher(1, 6, 4, **wrong), min_delta=9))
    del wrong["secret"]
    slugs.append(payee.receive(voucher(1, 6, 4, **wrong), min_delta=9))
    slugs.append(payee.receive(voucher(1, 6, 6, **wrong), min_delta=9))
    slugs.append(payee.receive(voucher(1, 8, 6, **wrong), min_delta=9))
    slugs.append(payee.receive(voucher(1, 8, 6), min_delta=9))
    payee.ok(ACCOUNT, "chain_seen", balance="99", lanes=seen({1: (7, 5)}))
    slugs.append(payee.receive(voucher(1, 8, 6), min_delta=9))

    assert slugs == [
        "PROOF_NOT_EMPTY",
        "CHANNEL_ADDR_MISMATCH",
        "EXTRA_NOT_ALLOWED",
        "TIME_LOCK_MAX_NOT_ALLOWED",
        "TIME_LOCK_MIN_NOT_ALLOWED",
        "SECRET_NOT_ALLOWED",
        "SIGNATURE_INVALID",
        "NONCE_TOO_LOW",
        "AMOUNT_NOT_HIGHER",
        "MERGES_NOT_SUPPORTED",
        "INSUFFICIENT_FUNDS",
        "DELTA_TOO_SMALL",
    ]


def test_a_channel_has_to_be_known_and_on_the_chain(side):
    """Without an account the hand-over is refused, and the voucher rests where it is."""
    one = voucher(0, 5, 1)
    assert side.receive(one) == "received"
    assert side.entries()[-1]["reason"] == {"kind": "unknown_instance"}
    key = "c1"
    side.new(f"channel_account/{key}", direction=2, control=PAYER)
    [answer] = side.ok(f"channel_account/{key}", "voucher_received", sv=one.text())
    assert answer["answer"] == "CHANNEL_UNKNOWN"
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER)
    side.ok(record(one), "offered_again")

    assert side.data(record(one))["refusal"] == "CHANNEL_NOT_ON_CHAIN"


def test_the_channels_address_is_compared_to_the_letter(payee):
    """The f0 form of the same channel is another voucher, and lotus does not resolve it."""
    assert payee.receive(voucher(0, 5, 1, channel=ACTOR)) == "CHANNEL_ADDR_MISMATCH"


def test_a_duplicate_is_accepted_for_nothing_and_a_check_of_it_fails(payee):
    """To the last byte; another signature of the same body is no duplicate. A check that lotus
    makes of a stored voucher says that its nonce is too low (lotus #2582).
    """
    one = voucher(0, 5, 1)
    assert payee.receive(one) == "accepted"
    payee.ok(record(one), "offered_again", min_delta="100")
    payee.ok(ACCOUNT, "voucher_received", sv=one.text(), min_delta="100")
    twice = payee.effects("VoucherAnswered")[-1]
    malleated = one._replace(signature=_malleated(one.signature))
    payee.ok(ACCOUNT, "voucher_received", sv=malleated.text())
    other = payee.effects("VoucherAnswered")[-1]
    [checked] = payee.ok(ACCOUNT, "check_voucher", sv=one.text())

    assert payee.data(record(one))["delta"] == 5
    assert (twice["answer"], twice["delta"]) == ("ok", "0")
    assert malleated.id == one.id
    assert (other["answer"], checked["answer"]) == (LOW_NONCE, LOW_NONCE)
    assert payee.data(ACCOUNT)["count"] == 1


def _malleated(signature):
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    r, s, v = signature.data[:32], signature.data[32:64], signature.data[64]
    flipped = order - int.from_bytes(s, "big")
    return signature._replace(data=r + flipped.to_bytes(32, "big") + bytes([v ^ 1]))


def test_the_least_gain_is_measured_by_the_lane(payee):
    """With 2 as the least: 1 is too little; 2; then 5 adds 3; another lane begins at 0."""
    payee.ok(ACCOUNT, "chain_seen", balance="20")
    little = voucher(1, 1, 1)
    assert payee.receive(little, 2) == "DELTA_TOO_SMALL"
    assert payee.data(record(little))["delta"] == 1
    taken = [voucher(1, 2, 2), voucher(1, 5, 3), voucher(2, 6, 1)]
    assert [payee.receive(one, 2) for one in taken] == ["accepted"] * 3

    assert [payee.data(record(one))["delta"] for one in taken] == [2, 3, 6]


# lanes and new vouchers


def test_the_next_lane_is_above_every_lane_that_was_used(payee):
    """A voucher on lane 2 → 3; allocated 3 → 4; lane 1 → 4; lane 7 → 8."""
    nexts = []
    payee.receive(voucher(2, 1, 1))
    nexts.append(payee.data(ACCOUNT)["next_lane"])
    [effect] = payee.ok(ACCOUNT, "allocate_lane", request="deal-1")
    nexts.append(payee.data(ACCOUNT)["next_lane"])
    for lane in (1, 7):
        payee.receive(voucher(lane, 1, 1))
        nexts.append(payee.data(ACCOUNT)["next_lane"])

    assert effect == {"do": "LaneAllocated", "lane": 3, "request": "deal-1"}
    assert nexts == [3, 4, 4, 8]


def test_the_next_lane_of_a_channel_from_the_chain_is_above_its_lanes(payee):
    """None: 0. Lanes 0 and 5: 6."""
    assert payee.data(ACCOUNT)["next_lane"] == 0
    payee.ok(ACCOUNT, "chain_seen", balance="10", lanes=seen({0: (1, 1), 5: (1, 1)}))

    assert payee.data(ACCOUNT)["next_lane"] == 6


def make(payer, lane, amount, **params):
    """Ask for a voucher; returns its (nonce, amount), or the shortfall, after it was stored."""
    [effect] = payer.ok(ACCOUNT, "voucher_wanted", lane=lane, amount=str(amount), **params)
    if effect["do"] == "VoucherNotMade":
        assert effect["reason"] == SHORT
        return int(effect["shortfall"])
    one = voucher(lane, amount, effect["nonce"], **params)
    assert one._replace(signature=None).text() == effect["sv"]
    assert payer.issue(one) == "issued"
    return (effect["nonce"], amount)


def test_vouchers_are_made_with_rising_nonces_until_the_funds_are_used_up(side):
    """Balance 20: lane 1 gets 5, then 8; lane 2 gets 12; 13 is 1 too much, and none is made."""
    side.new(ACCOUNT, direction=2, control=PAYER, target=PAYEE)
    side.ok(ACCOUNT, "create_pushed", message="m1", amount="20")
    side.ok(ACCOUNT, "create_confirmed", channel=CHANNEL)
    made = [make(side, 1, 5), make(side, 1, 8), make(side, 2, 12), make(side, 2, 13)]

    assert made == [(1, 5), (2, 8), (1, 12), 1]
    assert side.data(ACCOUNT)["count"] == 3


def test_after_a_top_up_the_voucher_is_made(payer):
    """Balance 10: lane 1 gets 10, lane 2 lacks 5; with 5 more it does not."""
    made = [make(payer, 1, 10), make(payer, 2, 5)]
    payer.ok(ACCOUNT, "funds_pushed", message="m2", amount="5")
    payer.ok(ACCOUNT, "funds_confirmed")

    assert [*made, make(payer, 2, 5)] == [(1, 10), 5, (1, 5)]


def test_a_lost_book_begins_with_nonce_1_and_the_chains_lanes_refuse_it(side):
    """The nonce comes from the book alone, as in lotus; what was redeemed is seen all the same."""
    side.new(ACCOUNT, direction=2, control=PAYER, target=PAYEE)
    side.ok(ACCOUNT, "chain_seen", balance="10", lanes=seen({1: (2, 4)}))
    [effect] = side.ok(ACCOUNT, "voucher_wanted", lane=1, amount="5")

    assert (effect["do"], effect["reason"]) == ("VoucherNotMade", LOW_NONCE)


def test_two_vouchers_that_are_being_signed_never_share_a_nonce(payer):
    """The second is asked for before the first is signed."""
    nonces = [
        payer.ok(ACCOUNT, "voucher_wanted", lane=1, amount=amount)[0]["nonce"]
        for amount in ("5", "6")
    ]

    assert nonces == [1, 2]


def test_min_settle_height_is_the_one_condition_that_a_new_voucher_may_have(payer):
    """Under lotus's policy; the strict one takes time locks that can be met."""
    [plain] = payer.ok(ACCOUNT, "voucher_wanted", lane=1, amount="5", min_settle_height=3000)
    [locked] = payer.ok(ACCOUNT, "voucher_wanted", lane=2, amount="5", time_lock_min=200)

    assert plain["do"] == "SignVoucher"
    assert locked["reason"] == "TIME_LOCK_MIN_NOT_ALLOWED"


# policies


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("lotus", "TIME_LOCK_MIN_NOT_ALLOWED"),
        ("literal", "accepted"),
        ("strict", "TIME_LOCK_MIN_TOO_LATE"),
    ],
)
def test_every_voucher_has_both_policies_verdicts_whatever_the_account_follows(
    side, policy, verdict
):
    """T_min at M + 1440: the literal rule takes it, the strict one does not."""
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, policy=policy)
    side.ok(ACCOUNT, "chain_seen", balance="10")
    one = voucher(0, 5, 1, time_lock_min=4440, min_settle_height=3000)
    assert side.receive(one) == verdict

    data = side.data(record(one))
    assert (data["literal"], data["strict"]) == ("ok", "TIME_LOCK_MIN_TOO_LATE")


@pytest.mark.parametrize(
    ("policy", "verdict"), [("lotus", "accepted"), ("literal", "CHANNEL_SETTLED")]
)
def test_what_comes_at_settling_at_is_refused_unless_the_policy_is_lotuss(side, policy, verdict):
    """Lotus takes what can never be redeemed."""
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, policy=policy)
    side.ok(ACCOUNT, "chain_seen", balance="10", settling_at=1540)
    side.head(1540)

    assert side.receive(voucher(0, 5, 1)) == verdict


# what can be redeemed


def test_the_best_of_each_lane_is_its_greatest_that_was_not_submitted(payee):
    """Lotus's test: a submitted voucher marks the lower ones of its lane, and no other."""
    ones = {nonce: voucher(1, nonce, nonce) for nonce in (1, 2, 3)}
    two = voucher(2, 2, 1)
    for one in (*ones.values(), two):
        payee.receive(one)
    best = [payee.best()]
    payee.ok(record(two), "submitted", message="m1")
    best.append(payee.best())
    payee.ok(record(ones[1]), "submitted", message="m2")
    best.append(payee.best())
    payee.ok(record(ones[3]), "submitted", message="m3")
    best.append(payee.best())

    assert best == [{1: 3, 2: 2}, {1: 3}, {1: 3}, {}]


def test_a_failed_message_gives_back_what_it_had_marked(payee):
    """Lotus never does. What an earlier message carries stays marked."""
    ones = [voucher(1, nonce, nonce) for nonce in (1, 2, 3)]
    for one in ones:
        payee.receive(one)
    payee.ok(record(ones[0]), "submitted", message="m1")
    payee.ok(record(ones[2]), "submitted", message="m3")
    payee.ok(record(ones[2]), "failed", message="m3", exit=16)
    after_failure = payee.best()
    payee.ok(record(ones[2]), "submitted", message="m4")
    payee.ok(record(ones[2]), "applied", message="m4")

    assert (after_failure, payee.best()) == ({1: 3}, {})
    assert payee.data(ACCOUNT)["seen_lanes"] == {1: {"redeemed": 3, "nonce": 3}}
    assert payee.data(ACCOUNT)["to_send"] == 3


def test_only_what_the_chain_would_take_is_spendable(side):
    """A time lock, its end, the end of settling, a nonce redeemed by others, the balance."""
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, policy="literal")
    side.ok(ACCOUNT, "chain_seen", balance="50")
    side.receive(voucher(0, 5, 1))
    side.receive(voucher(0, 6, 2, time_lock_min=200))
    side.receive(voucher(1, 7, 1, time_lock_max=250))
    best = [side.best()]
    for height in (200, 250, 251):
        side.head(height)
        best.append(side.best())
    side.ok(ACCOUNT, "chain_seen", balance="50", lanes=seen({0: (5, 1)}), settling_at=1800)
    best.append(side.best())
    side.ok(ACCOUNT, "chain_seen", balance="5", lanes=seen({0: (5, 1)}), settling_at=1800)
    best.append(side.best())
    side.ok(ACCOUNT, "chain_seen", balance="50", lanes=seen({0: (5, 1)}), settling_at=1800)
    side.head(1800)
    best.append(side.best())

    assert best == [{0: 5, 1: 7}, {0: 6, 1: 7}, {0: 6, 1: 7}, {0: 6}, {0: 6}, {}, {}]


def test_a_hash_locked_voucher_is_spendable_once_its_secret_is_known(payee):
    """It gets into the book only by being submitted by hand, unvalidated, as in lotus."""
    secret = b"open sesame"
    one = voucher(0, 5, 1, secret_pre_image=blake2b256(secret))
    [effect] = payee.ok(ACCOUNT, "submit", sv=one.text())
    without = payee.best()
    payee.ok(ACCOUNT, "secret_learned", secret=secret.hex())

    assert [item["nonce"] for item in effect["vouchers"]] == [1]
    assert (without, payee.best()) == ({}, {0: 5})


def test_submitting_twice_is_refused(payee):
    """The voucher itself, and one below it."""
    low, high = voucher(0, 4, 1), voucher(0, 5, 2)
    for one in (low, high):
        payee.receive(one)
    payee.ok(ACCOUNT, "submit", sv=high.text())
    payee.ok(record(high), "submitted", message="m1")

    assert payee.refused(ACCOUNT, "submit", sv=high.text()) == "ALREADY_SUBMITTED"
    assert payee.refused(ACCOUNT, "submit", sv=low.text()) == "ALREADY_SUBMITTED"


def test_a_record_is_superseded_by_one_that_is_better_in_all(side):
    """Worth more and free sooner: yes. Worth more but locked: the older one may be needed."""
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, policy="literal")
    side.ok(ACCOUNT, "chain_seen", balance="50")
    ones = [voucher(0, 5, 1), voucher(0, 6, 2), voucher(0, 7, 3, time_lock_min=200)]
    for one in ones:
        side.receive(one)

    assert [side.state(record(one)) for one in ones] == ["superseded", "accepted", "accepted"]
    assert side.data(record(ones[0]))["superseded_by"] == ones[1].id_hex


# what a record refuses


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sv": "i1UC"}, "VOUCHER_UNDECODABLE"),
        ({"role": "found"}, "ROLE_UNKNOWN"),
        ({"sv": voucher(0, 6, 1).text()}, "VOUCHER_ID_MISMATCH"),
    ],
)
def test_a_record_is_of_one_voucher_under_its_own_name(payee, change, reason):
    """The creation is refused, and on the tape."""
    one = voucher(0, 5, 1)
    params = {"sv": one.text(), "role": "received", **change}
    key = record(one).partition("/")[2]
    receipt = payee.engine.create("filecoin.voucher", key, params)

    assert (receipt.outcome, receipt.reason["reason"]) == ("rejected", reason)


# two folds


def test_the_book_and_the_chain_are_compared_and_never_folded_into_each_other(payee):
    """The chain moves on; the book is old until it sees that, and says of deposits its own."""
    chain = f"payment_channel/{CHANNEL}"
    addresses = {PAYER: "f0100", PAYEE: "f0101"}
    payee.new(chain, **{"from": PAYER, "to": PAYEE}, id=ACTOR, value="10", addresses=addresses)
    one = voucher(1, 5, 1)
    payee.receive(one)
    assert compare(payee.data(chain), payee.data(ACCOUNT)) == []
    payee.ok(chain, "update_channel_state", caller="f0101", sv=one.text(), message="m1", exit=0)
    found = compare(payee.data(chain), payee.data(ACCOUNT))
    payee.ok(record(one), "submitted", message="m1")
    payee.ok(record(one), "applied", message="m1")

    assert found == [
        Difference("to_send", None, 5, 0),
        Difference("redeemed", 1, 5, None),
        Difference("nonce", 1, 1, None),
    ]
    assert compare(payee.data(chain), payee.data(ACCOUNT)) == []
