"""Disputes about what a party did, each found, and not found where it is not the case."""

from __future__ import annotations

import pytest
from statetape.specs.filecoin import audit_conduct as disputes
from statetape.specs.filecoin.voucher import Merge

from .two_books import CHANNEL, KEY, PAYEE, PAYER, PAYER_ADDRESS, Books, voucher


@pytest.fixture
def books(tmp_path):
    """Two tapes of a channel with 1000 attofil, at height 100."""
    with Books(tmp_path) as both:
        yield both


def told(verdicts):
    """Return the verdicts as (outcome, bearer, amount)."""
    return [(one.outcome, one.bearer, one.amount) for one in verdicts]


def test_a_voucher_redeemed_twice_pays_once(books):
    """D8: amounts are totals; the second time fails. The lanes' totals are told."""
    books.redeem(voucher(1, 1, 10))
    books.redeem(voucher(1, 1, 10))
    books.redeem(voucher(1, 2, 25))

    [clear] = books.verdicts(disputes.twice)
    assert clear.outcome == "clear"
    assert "come to 25" in clear.finding


def test_two_lanes_for_one_service_are_two_payments(books):
    """D8: if the payee's own book says what both were for, the payer bears the lesser one."""
    for lane, amount in ((1, 30), (2, 20)):
        paper = voucher(lane, 1, amount)
        books.hand_over(paper)
        books.redeem(paper)
        books.claim("theirs", paper, "service_delivered", what="photos" if lane == 1 else "maps")
    assert told(books.verdicts(disputes.twice)) == [("clear", "nobody", None)]

    books.claim("theirs", voucher(2, 1, 20), "service_delivered", what="photos")
    assert told(books.verdicts(disputes.twice)) == [("found", "payer", "20")]


def test_only_the_payers_word_for_a_double_payment_decides_nothing(books):
    """D8: a claim in one's own interest."""
    for lane in (1, 2):
        paper = voucher(lane, 1, 20)
        books.hand_over(paper)
        books.redeem(paper)
        books.claim("ours", paper, "service_delivered", what="photos")

    assert [one.outcome for one in books.verdicts(disputes.twice)] == ["undecidable"]


def test_a_merge_voids_what_was_outstanding(books):
    """D9: lane 2 has 50 redeemed and 80 promised; merged at that nonce, the other 30 are void."""
    books.redeem(voucher(2, 1, 50))
    books.hand_over(voucher(2, 2, 80))
    assert told(books.verdicts(disputes.merges)) == [("clear", "nobody", None)]

    assert books.redeem(voucher(1, 1, 60, merges=(Merge(2, 2),))).accepted
    [found] = books.verdicts(disputes.merges)
    assert found.outcome == "found"
    # 60 - 50 already redeemed: 10 of the 30 that became void are in the merged amount.
    assert (found.bearer, found.amount) == ("payee", "20")


def test_a_merge_that_covers_what_it_voids_costs_nothing(books):
    """D9: the merged amount includes the outstanding voucher's."""
    books.redeem(voucher(2, 1, 50))
    books.hand_over(voucher(2, 2, 80))
    assert books.redeem(voucher(1, 1, 90, merges=(Merge(2, 2),))).accepted

    [found] = books.verdicts(disputes.merges)
    assert (found.bearer, found.amount) == ("nobody", "0")
    assert "covers" in found.finding


def test_a_lane_merged_again_is_subtracted_again(books):
    """D9: what lane 2 has redeemed is taken off twice."""
    books.redeem(voucher(2, 1, 50))
    assert books.redeem(voucher(1, 1, 100, merges=(Merge(2, 2),))).accepted
    assert books.verdicts(disputes.merges)[0].outcome == "clear"

    assert books.redeem(voucher(1, 2, 160, merges=(Merge(2, 3),))).accepted
    assert told(books.verdicts(disputes.merges))[1] == ("found", "payee", "50")
    state = books.case().state
    assert state.to_send == 100 - 50 + 50 + 160 - 50 - 100


def test_submitted_is_not_redeemed(books):
    """D16: while the channel is open nobody knows; after the deadline the claim is nothing."""
    paper = voucher(1, 1, 30)
    books.hand_over(paper)
    books.claim("theirs", paper, "submitted", message="bafy1")
    assert told(books.verdicts(disputes.submitted)) == [("undecidable", "undecided", None)]

    books.chain("settle", PAYER)
    books.at(1600)
    [found] = books.verdicts(disputes.submitted)
    assert (found.outcome, found.bearer) == ("found", "payee")


def test_a_receipt_answers_a_claim(books):
    """D16: redeemed, the claim is borne out; failed, its receipt is told."""
    paper, late = voucher(1, 2, 30), voucher(1, 1, 20)
    for one in (paper, late):
        books.hand_over(one)
        books.claim("theirs", one, "submitted", message=f"bafy{one.nonce}")
    books.redeem(paper, message="bafy2")
    books.redeem(late, message="bafy1")

    [found] = books.verdicts(disputes.submitted)
    assert found.outcome == "found"
    assert "NONCE_OUTDATED" in found.finding


def test_collecting_too_early_or_by_a_stranger_fails(books):
    """D17: exit 18 both; the split is the same, whoever collects."""
    books.redeem(voucher(1, 1, 30))
    books.chain("settle", PAYEE)
    books.chain("collect", PAYEE)
    books.at(1540)
    books.chain("collect", "f0999")
    found = books.verdicts(disputes.collecting)
    assert told(found) == [("found", "nobody", "0")] * 2

    books.chain("collect", PAYEE, send_from_exit=7)
    assert "rolled back" in books.verdicts(disputes.collecting)[2].finding
    assert books.chain("collect", PAYER).accepted
    assert "collected later" in books.verdicts(disputes.collecting)[0].finding


def test_one_collect_that_works_is_no_dispute(books):
    """D17: the negative control."""
    books.chain("settle", PAYEE)
    books.at(1540)
    books.chain("collect", PAYER)

    assert told(books.verdicts(disputes.collecting)) == [("clear", "nobody", None)]


def test_books_with_other_chain_facts_do_not_match(books):
    """D18: a deposit that one tape never heard of."""
    assert told(books.verdicts(disputes.books)) == [("clear", "nobody", None)]

    books.tapes["theirs"].send(CHANNEL, "send", {"value": 5, "caller": "f0999"})
    found = books.verdicts(disputes.books)
    assert [one.outcome for one in found] == ["found"]
    assert {one.side for one in found[0].entries} == {"theirs"}


def test_an_account_that_missed_something_is_told(books):
    """D18: the payee's account has seen a balance that the chain facts do not give."""
    theirs = books.tapes["theirs"]
    account = {
        "direction": 1,
        "channel": KEY,
        "target": "f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi",
    }
    assert theirs.create("filecoin.channel_account", KEY, account).accepted
    theirs.send(f"filecoin.channel_account/{KEY}", "chain_seen", {"balance": 1000})
    assert told(books.verdicts(disputes.books)) == [("clear", "nobody", None)]

    books.chain("send", "f0999", value=5)
    [found] = books.verdicts(disputes.books)
    assert "balance 1000; by the chain facts it is 1005" in found.finding


def test_an_account_that_missed_a_redemption_is_told_lane_by_lane(books):
    """D18: until it has seen the lane, the account differs from the chain in that lane too."""
    theirs = books.tapes["theirs"]
    account = {"direction": 1, "channel": KEY, "target": PAYER_ADDRESS}
    assert theirs.create("filecoin.channel_account", KEY, account).accepted
    theirs.send(f"filecoin.channel_account/{KEY}", "chain_seen", {"balance": 1000})
    books.redeem(voucher(1, 3, 30))

    found = " ".join(one.finding for one in books.verdicts(disputes.books))
    assert "to_send 0; by the chain facts it is 30" in found
    assert "redeemed of lane 1 nothing; by the chain facts it is 30" in found
    assert "nonce of lane 1 nothing; by the chain facts it is 3" in found

    seen = {"balance": 1000, "to_send": 30, "lanes": {1: {"redeemed": 30, "nonce": 3}}}
    assert theirs.send(f"filecoin.channel_account/{KEY}", "chain_seen", seen).accepted
    assert told(books.verdicts(disputes.books)) == [("clear", "nobody", None)]


@pytest.mark.parametrize(
    ("height", "then", "amount"),
    [(1539, "redeemable up to height 1539", None), (1540, "worthless", "30")],
)
def test_a_voucher_after_settle_has_until_the_deadline(books, height, then, amount):
    """D20: one epoch before settling_at it could still be redeemed, at it no more."""
    before = voucher(1, 1, 10)
    books.hand_over(before)
    books.redeem(before)
    books.at(101)
    books.chain("settle", PAYER)  # settling_at: 1541
    assert told(books.verdicts(disputes.after)) == [("clear", "nobody", None)]

    books.at(height + 1)
    books.hand_over(voucher(3, 1, 30))
    books.at(1700)
    [found] = books.verdicts(disputes.after)
    assert (found.outcome, found.bearer, found.amount) == ("found", "payee", amount)
    assert then.replace("1539", "1540") in found.finding


def test_a_voucher_after_settle_that_is_redeemed_in_time_is_no_loss(books):
    """D20: it came after Settle, and was redeemed at the last epoch."""
    books.chain("settle", PAYER)  # settling_at: 1540
    books.at(1539)
    late = voucher(3, 1, 30)
    books.hand_over(late)
    assert books.redeem(late).accepted
    books.at(1700)

    assert told(books.verdicts(disputes.after)) == [("clear", "nobody", None)]


def test_nothing_can_be_late_before_settle(books):
    """D20: the negative control."""
    books.hand_over(voucher(1, 1, 10))

    [clear] = books.verdicts(disputes.after)
    assert (clear.outcome, clear.finding) == ("clear", "Nobody has settled.")
