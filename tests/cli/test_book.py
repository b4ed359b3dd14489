"""`voucher add`: a voucher is put into the book by hand, and the answer is shown."""

from __future__ import annotations

import pytest
from statetape.cli.output import UsageInvalid

from ..specs.filecoin.bookkeeping import ACCOUNT, CHANNEL, PAYEE, PAYER, STRANGER_SECRET, voucher
from .inside import Inside


@pytest.fixture
def tape(tmp_path):
    """A tape with an account of a channel that has 10 attofil and pays us."""
    inside = Inside(tmp_path / "book.db")
    inside("head", "filecoin", "100")
    sides = ("direction=1", f"control={PAYEE}", f"target={PAYER}")
    inside("new", "filecoin.channel_account", CHANNEL, *sides)
    inside("send", f"filecoin.{ACCOUNT}", "chain_seen", "balance=10 attofil")
    return inside


def put(tape, one, *words, channel=CHANNEL):
    """Add a voucher; returns what is said."""
    return tape.json("voucher", "add", channel, one.text(), *words)


def test_an_added_voucher_is_answered_by_the_account(tape):
    """Taken, and what it adds; with both rules for MinSettleHeight."""
    told = put(tape, voucher(0, 4, 1), "--received")

    assert told["instance"] == f"filecoin.voucher/{CHANNEL}/{voucher(0, 4, 1).id_hex}"
    assert (told["state"], told["delta"]) == ("accepted", "4")
    assert (told["literal"], told["strict"]) == ("ok", "ok")
    assert "adds 2 attofil" in tape(
        "voucher", "add", CHANNEL, voucher(0, 6, 2).text(), "--received"
    )


def test_a_refusal_says_what_the_channel_lacks(tape):
    """And what adds too little says that."""
    told = put(tape, voucher(0, 12, 1), "--received")
    little = put(tape, voucher(0, 4, 1), "--received", "--min-delta", "5 attofil")

    assert (told["refusal"], told["shortfall"]) == ("INSUFFICIENT_FUNDS", "2")
    assert (little["refusal"], little["delta"]) == ("DELTA_TOO_SMALL", "4")


def test_a_good_signature_may_follow_a_bad_one(tape):
    """The same record."""
    bad, good = voucher(0, 4, 1, secret=STRANGER_SECRET), voucher(0, 4, 1)

    assert put(tape, bad, "--received")["refusal"] == "SIGNATURE_INVALID"
    assert put(tape, good, "--received")["state"] == "accepted"


def test_without_an_account_nobody_answers(tape):
    """It is kept all the same."""
    told = put(tape, voucher(0, 4, 1), "--received", channel="f0999")

    assert (told["state"], told["answer"]) == ("received", "none")


@pytest.mark.parametrize("sides", [(), ("--issued", "--received")])
def test_it_has_to_be_said_which_side_we_are(tape, sides):
    """Exactly one of the two."""
    with pytest.raises(UsageInvalid):
        put(tape, voucher(0, 4, 1), *sides)


def test_what_the_account_has_not_heard_of_the_chain_is_pointed_out(tape):
    """The channel on the same tape is settling; the account was not told, and would take it."""
    keys = f'addresses={{"{PAYER}":"f0100","{PAYEE}":"f0101"}}'
    sides = ("id=f0102", f"from={PAYER}", f"to={PAYEE}", "value=10 attofil", keys)
    tape("new", "filecoin.payment_channel", CHANNEL, *sides)
    assert "unheard" not in put(tape, voucher(0, 4, 1), "--received")

    tape("send", f"filecoin.payment_channel/{CHANNEL}", "settle", "caller=f0100")
    told = put(tape, voucher(0, 5, 2), "--received")

    assert told["unheard"] == ["settling_at: the chain has 1540, the book 0"]
