"""Disputes about what a voucher is, each found, and not found where it is not the case."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from statetape.specs.filecoin import audit_vouchers as disputes
from statetape.specs.filecoin.voucher import ModVerifyParams

from .two_books import PAYEE_KEY, PAYER, STRANGER_KEY, Books, voucher

CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def books(tmp_path):
    """Two tapes of a channel with 1000 attofil, at height 100."""
    with Books(tmp_path) as both:
        yield both


def told(verdicts):
    """Return the verdicts as (outcome, bearer, amount)."""
    return [(one.outcome, one.bearer, one.amount) for one in verdicts]


def test_a_stale_voucher_fails_and_takes_nothing(books):
    """D2: the older voucher, pushed after the newer, fails; nobody loses."""
    old, new = voucher(1, 1, 10), voucher(1, 2, 25)
    assert books.redeem(new).accepted
    assert told(books.verdicts(disputes.stale)) == [("clear", "nobody", None)]

    assert books.redeem(old).reason["reason"] == "NONCE_OUTDATED"

    [found] = books.verdicts(disputes.stale)
    assert told([found]) == [("found", "nobody", "0")]
    assert [one.pos for one in found.entries if one.side == "ours"] == [6]


def test_a_payer_cannot_push_its_own_voucher(books):
    """D2: the chain asks for the payee's signature then."""
    assert not books.redeem(voucher(1, 1, 10), PAYER).accepted

    [found] = books.verdicts(disputes.stale)
    assert "its own" in found.finding
    assert found.amount == "0"


def test_two_signatures_for_one_nonce_show_equivocation(books):
    """D3: provable from the signatures alone; the damage is known once one of them is included."""
    low, high = voucher(1, 1, 10), voucher(1, 1, 40)
    books.hand_over(low)
    assert told(books.verdicts(disputes.equivocation)) == [("clear", "nobody", None)]
    books.hand_over(high)

    [open_yet] = books.verdicts(disputes.equivocation)
    assert (open_yet.outcome, open_yet.amount) == ("found", "0")
    assert {one.over for one in open_yet.signatures} == {low.id_hex, high.id_hex}
    assert all(one.valid for one in open_yet.signatures)

    books.redeem(low)
    assert told(books.verdicts(disputes.equivocation)) == [("found", "payee", "30")]


def test_another_form_of_a_signature_is_no_second_voucher(books):
    """D3 and D13: (R, S, V) and (R, n-S, V^1) are over the same bytes: one voucher."""
    paper = voucher(1, 1, 10)
    raw = paper.signature.data
    flipped = raw[:32] + (CURVE - int.from_bytes(raw[32:64])).to_bytes(32) + bytes([raw[64] ^ 1])
    other = paper._replace(signature=paper.signature._replace(data=flipped))
    books.hand_over(paper)
    assert books.redeem(other).accepted

    assert told(books.verdicts(disputes.equivocation)) == [("clear", "nobody", None)]
    [clear] = books.verdicts(disputes.signatures)
    assert clear.outcome == "clear"
    assert "more than one signature" in clear.finding


def test_the_channels_other_address_makes_another_voucher(books):
    """D3 and D13: f0 and f2 name one channel, but what is signed differs."""
    books.hand_over(voucher(1, 1, 10))
    books.hand_over(voucher(1, 1, 12, channel_addr="f0102"))

    assert books.verdicts(disputes.equivocation)[0].outcome == "found"
    assert books.verdicts(disputes.signatures)[0].outcome == "clear"


def test_a_lower_amount_hurts_only_where_it_is_redeemed(books):
    """D4: held, it takes nothing; redeemed by the payee it is its own doing."""
    first, lower = voucher(1, 1, 40), voucher(1, 2, 15)
    books.hand_over(first)
    books.redeem(first)
    assert told(books.verdicts(disputes.less)) == [("clear", "nobody", None)]

    books.hand_over(lower)
    assert told(books.verdicts(disputes.less)) == [("found", "nobody", "0")]

    books.redeem(lower)
    [found] = books.verdicts(disputes.less)
    assert told([found]) == [("found", "payee", "25")]
    assert "its own doing" in found.finding


def test_a_lower_amount_that_the_payee_signed_is_a_refund(books):
    """D4: submitted by the payer with the payee's signature."""
    books.redeem(voucher(1, 1, 40))
    assert books.redeem(voucher(1, 2, 30, PAYEE_KEY), PAYER).accepted

    [found] = books.verdicts(disputes.less)
    assert "agreed refund" in found.finding
    assert found.amount == "10"


def test_a_strangers_signature_is_named(books):
    """D13: the signature leads to another key; whoever believed it bears it."""
    books.hand_over(voucher(1, 1, 10))
    assert told(books.verdicts(disputes.signatures)) == [("clear", "nobody", None)]

    forged = voucher(2, 1, 50, STRANGER_KEY)
    books.hand_over(forged)
    [found] = books.verdicts(disputes.signatures)
    assert told([found]) == [("found", "payee", "50")]
    assert not found.signatures[0].valid
    assert found.signatures[0].signer.startswith("f1")


def test_another_channels_voucher_is_named(books):
    """D13: the signature is the payer's, and the channel another."""
    books.hand_over(voucher(1, 1, 50, channel_addr="f0999"), accepted=False)

    [found] = books.verdicts(disputes.signatures)
    assert found.outcome == "found"
    assert "f0999" in found.finding
    assert found.bearer == "nobody"


@pytest.mark.parametrize(("shared_at", "outcome"), [(1639, "clear"), (1640, "found")])
def test_a_secret_is_of_use_up_to_the_deadline(books, shared_at, outcome):
    """D14: Settle at 200 makes 1639 the last epoch; learned later, the secret is worth nothing."""
    secret = b"open sesame"
    paper = voucher(1, 1, 60, secret_pre_image=blake2b(secret, digest_size=32).digest())
    books.hand_over(paper)
    books.at(200)
    books.chain("settle", PAYER)
    books.at(shared_at)
    books.claim("theirs", paper, "secret_shared", secret=secret.hex())
    books.at(1700)

    [found] = books.verdicts(disputes.secrets)
    assert found.outcome == outcome
    assert (found.bearer, found.amount) == (
        ("payee", "60") if outcome == "found" else ("nobody", None)
    )


def test_a_wrong_secret_uses_up_no_nonce(books):
    """D14: the message fails; with the right one the same voucher is redeemed."""
    paper = voucher(1, 1, 60, secret_pre_image=blake2b(b"right", digest_size=32).digest())
    books.hand_over(paper)
    assert books.redeem(paper, secret=b"wrong".hex()).reason["reason"] == "SECRET_MISMATCH"
    assert books.redeem(paper, secret=b"right".hex()).accepted

    assert told(books.verdicts(disputes.secrets)) == [("found", "nobody", "0")]


def test_a_failing_condition_decides_and_can_be_tried_again(books):
    """D15: the callee's exit code is the message's; a later try may succeed."""
    paper = voucher(1, 1, 60, extra=ModVerifyParams("f0104", 2, b"\x01"))
    books.hand_over(paper)
    [untried] = books.verdicts(disputes.extras)
    assert untried.outcome == "undecidable"

    assert books.redeem(paper, extra_exit=7).reason["code"] == 7
    [failed] = books.verdicts(disputes.extras)
    assert (failed.outcome, failed.amount) == ("found", "0")
    assert "tried again" in failed.finding

    assert books.redeem(paper).accepted
    assert "redeemed later" in books.verdicts(disputes.extras)[0].finding


def test_a_condition_that_never_held_costs_the_payee(books):
    """D15: after the deadline it is too late."""
    paper = voucher(1, 1, 60, extra=ModVerifyParams("f0104", 2, b"\x01"))
    books.hand_over(paper)
    books.redeem(paper, extra_exit=7)
    books.chain("settle", PAYER)
    books.at(1600)

    assert told(books.verdicts(disputes.extras)) == [("found", "payee", "60")]


def test_a_payer_that_counts_from_one_again_makes_worthless_vouchers(books):
    """D19: the lane stands at nonce 7; a voucher of nonce 1 can never be redeemed."""
    books.hand_over(voucher(1, 7, 30))
    books.redeem(voucher(1, 7, 30))
    books.at(110)
    books.hand_over(voucher(1, 8, 40))
    assert told(books.verdicts(disputes.restarted)) == [("clear", "nobody", None)]

    books.hand_over(voucher(1, 1, 45))
    [found] = books.verdicts(disputes.restarted)
    assert told([found]) == [("found", "payee", "15")]
    assert "nonce 7" in found.finding
