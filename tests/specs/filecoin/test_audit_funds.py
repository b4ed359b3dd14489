"""Disputes about money: promised beyond the balance, and redemptions that met too little of it."""

from __future__ import annotations

import pytest
from statetape.specs.filecoin.audit_funds import d7

from .two_books import OURS, PAYER, Books, voucher


@pytest.fixture
def books(tmp_path):
    """Two tapes of a channel with 100 attofil, at height 100."""
    with Books(tmp_path, deposit=100) as both:
        yield both


def told(verdicts):
    """Return the verdicts as (outcome, bearer, amount)."""
    return [(one.outcome, one.bearer, one.amount) for one in verdicts]


@pytest.mark.parametrize(("amount", "outcome"), [(40, "clear"), (41, "found")])
def test_promises_up_to_the_balance_are_covered(books, amount, outcome):
    """D7: 60 and 40 are 100; one more is one too much, and the payee took it all the same."""
    books.hand_over(voucher(1, 1, 60))
    books.at(110)
    beyond = voucher(2, 1, amount)
    books.hand_over(beyond)

    [found] = books.verdicts(d7)

    assert found.outcome == outcome
    if outcome == "found":
        assert told([found]) == [("found", "payee", "1")]
        assert [one.over for one in found.signatures] == [beyond.id_hex]
        assert "From height 110" in found.finding


def test_promises_that_nobody_accepted_are_nobodys_loss(books):
    """D7: found, with no book that says the payee took them."""
    books.claim(OURS, voucher(1, 1, 130), "issued")
    books.claim(OURS, voucher(1, 1, 130), "sent")

    assert told(books.verdicts(d7)) == [("found", "nobody", "30")]


def test_a_later_deposit_covers_the_promises(books):
    """D7: over-issued for a while, and clear in the end."""
    books.hand_over(voucher(1, 1, 130))
    books.at(120)
    books.chain("send", PAYER, value=30)

    [found] = books.verdicts(d7)

    assert found.outcome == "clear"
    assert "covered it later" in found.finding


def test_a_redemption_that_met_too_little_can_be_repeated(books):
    """D7: exit 16 uses up nothing; after a deposit the same voucher is redeemed."""
    one = voucher(1, 1, 130)
    assert books.redeem(one).reason["reason"] == "INSUFFICIENT_BALANCE"
    open_yet = books.verdicts(d7)
    books.at(110)
    books.chain("send", PAYER, value=30)
    assert books.redeem(one).accepted

    repeated = books.verdicts(d7)

    assert told(open_yet[:1]) == told(repeated[:1]) == [("found", "nobody", None)]
    assert "can be repeated" in open_yet[0].finding
    assert "height 110: nothing was lost" in repeated[0].finding


def test_a_redemption_overtaken_by_a_later_voucher_is_no_loss(books):
    """D7: 130 was too much; a newer voucher for 90 on the same lane was redeemed."""
    books.redeem(voucher(1, 1, 130))
    books.at(110)
    assert books.redeem(voucher(1, 2, 90)).accepted
    books.chain("settle", PAYER)
    books.at(1550)
    books.chain("collect", PAYER)

    assert told(books.verdicts(d7)[:1]) == [("found", "nobody", None)]


def test_a_redemption_never_covered_is_lost_at_the_deadline(books):
    """D7: 30 were missing, and the channel is over."""
    books.redeem(voucher(1, 1, 130))
    books.chain("settle", PAYER)
    books.at(1540)
    books.chain("collect", PAYER)

    assert told(books.verdicts(d7)[:1]) == [("found", "payee", "30")]


def test_a_channel_with_enough_has_no_dispute_about_funds(books):
    """D7, the control."""
    books.redeem(voucher(1, 1, 100))

    assert told(books.verdicts(d7)) == [("clear", "nobody", None)]
