"""Disputes about time: found, not found where it is not the case, and the epochs between."""

from __future__ import annotations

import msgspec
import pytest
from statetape.engine.audit import book
from statetape.engine.inspect import Inspector
from statetape.specs.filecoin.audit_case import open_case
from statetape.specs.filecoin.audit_deadlines import d1, d5, d6, d10, d11, d12
from statetape.specs.filecoin.audits import AUDITOR

from .two_books import CHANNEL, KEY, OURS, PAYEE, PAYER, THEIRS, Books, voucher

SETTLING_AT = 1540
"""Of a Settle at height 100, where every test begins."""


@pytest.fixture
def books(tmp_path):
    """Two tapes of a channel with 1000 attofil, at height 100; ours is the payer's."""
    with Books(tmp_path) as both:
        yield both


def told(verdicts):
    """Return the verdicts as (outcome, bearer, amount)."""
    return [(one.outcome, one.bearer, one.amount) for one in verdicts]


def settle_and_collect(books):
    """The payer settles at once, and collects when it may."""
    books.chain("settle", PAYER)
    books.at(SETTLING_AT)
    assert books.chain("collect", PAYER).accepted


def changed(books, event, **members):
    """Return the case of our tape with the last entry of an event changed."""
    books.tapes[OURS].flush()
    with Inspector.open(books.paths[OURS]) as inspector:
        found = book(OURS, inspector, AUDITOR.belonging(CHANNEL))
    last = [one for one in found.entries if one.event == event][-1]
    entries = [
        msgspec.structs.replace(one, **members) if one is last else one for one in found.entries
    ]
    return open_case(CHANNEL, KEY, [msgspec.structs.replace(found, entries=entries)])


# D1


def test_a_voucher_held_in_time_and_not_redeemed_is_the_payees_loss(books):
    """D1: the loss, the voucher's signature, and where both books have it."""
    late = voucher(2, 1, 70)
    books.redeem(voucher(1, 1, 30))
    books.hand_over(late)
    settle_and_collect(books)

    [found] = books.verdicts(d1)

    assert told([found]) == [("found", "payee", "70")]
    assert [(one.over, one.valid) for one in found.signatures] == [(late.id_hex, True)]
    assert [one.side for one in found.entries] == ["ours"] * 3 + ["theirs"] * 2
    said = " ".join(one.says for one in found.entries)
    assert all(word in said for word in ("issued", "Settle", "Collect", "received", "accepted"))


def test_a_voucher_redeemed_in_time_is_no_dispute(books):
    """D1, the control."""
    late = voucher(2, 1, 70)
    books.hand_over(late)
    books.chain("settle", PAYER)
    books.at(SETTLING_AT - 1)
    assert books.redeem(late).accepted
    books.at(SETTLING_AT)
    books.chain("collect", PAYER)

    assert told(books.verdicts(d1)) == [("clear", "nobody", None)]


@pytest.mark.parametrize(
    ("height", "words"), [(SETTLING_AT - 1, "Held in time"), (SETTLING_AT, "late voucher")]
)
def test_the_epoch_before_settling_at_is_in_time(books, height, words):
    """D1: at settling_at - 1 it is an omission, at settling_at it was worthless; both 70."""
    books.chain("settle", PAYER)
    books.at(height)
    books.hand_over(voucher(2, 1, 70))
    books.at(SETTLING_AT + 10)
    books.chain("collect", PAYER)

    [found] = books.verdicts(d1)

    assert told([found]) == [("found", "payee", "70")]
    assert words in found.finding


def test_nothing_is_lost_while_the_deadline_is_ahead(books):
    """D1: settled, held, not redeemed; one epoch later it is lost, collected or not."""
    books.hand_over(voucher(2, 1, 70))
    books.chain("settle", PAYER)
    books.at(SETTLING_AT - 1)
    books.chain("send", PAYER, value=1)
    [still] = books.verdicts(d1)
    books.at(SETTLING_AT)
    books.chain("send", PAYER, value=1)

    assert told([still]) == [("clear", "nobody", None)]
    assert "holds 70 more" in still.finding
    assert told(books.verdicts(d1)) == [("found", "payee", "70")]


def test_a_loss_by_the_payers_word_alone_is_not_decided(books):
    """D1: the payer's book says that it sent the voucher; the payee's book is not here."""
    one = voucher(2, 1, 70)
    books.claim(OURS, one, "issued")
    books.claim(OURS, one, "sent")
    settle_and_collect(books)

    assert told(books.verdicts(d1, OURS)) == [("undecidable", "undecided", "70")]


def test_a_height_that_no_book_has_decides_nothing(books):
    """D1: the payee's entry has no height, so whether it was in time is not known."""
    one = voucher(2, 1, 70)
    books.hand_over(one)
    settle_and_collect(books)
    found = []
    for side in (OURS, THEIRS):
        with Inspector.open(books.paths[side]) as inspector:
            told_by = book(side, inspector, AUDITOR.belonging(CHANNEL))
        entries = [
            msgspec.structs.replace(entry, height=None)
            if (entry.params or {}).get("role") == "received"
            else entry
            for entry in told_by.entries
            if side == OURS or told_by.names[entry.instance or entry.pos] != CHANNEL
        ]
        found.append(msgspec.structs.replace(told_by, entries=entries))

    assert told(d1(open_case(CHANNEL, KEY, found))) == [("undecidable", "undecided", "70")]


def test_sent_in_time_and_received_late_is_not_decided(books):
    """D1: each book has its own height, and nothing that both signed lies between."""
    one = voucher(2, 1, 70)
    books.claim(OURS, one, "issued")
    books.claim(OURS, one, "sent")
    books.chain("settle", PAYER)
    books.at(SETTLING_AT)
    books.claim(THEIRS, one, "received")
    books.chain("collect", PAYER)

    assert told(books.verdicts(d1)) == [("undecidable", "undecided", "70")]


def test_a_voucher_locked_beyond_the_deadline_was_unsafe(books):
    """D1: time_lock_min at the deadline can be redeemed there, one more never."""
    books.hand_over(voucher(2, 1, 70, time_lock_min=SETTLING_AT))
    settle_and_collect(books)

    [found] = books.verdicts(d1)

    assert told([found]) == [("found", "payee", "70")]
    assert "locked beyond the deadline" in found.finding


def test_what_the_balance_does_not_cover_is_no_loss(books):
    """D1: 700 and 600 are held, 1000 deposited: the best that fits is lost, not their sum."""
    books.hand_over(voucher(1, 1, 700))
    books.hand_over(voucher(2, 1, 600))
    settle_and_collect(books)

    assert told(books.verdicts(d1)) == [("found", "payee", "700")]


def test_a_mark_that_says_submitted_is_no_evidence(books):
    """D1: the payee's book has the voucher as submitted, and no message carried it."""
    one = voucher(2, 1, 70)
    books.hand_over(one)
    books.claim(THEIRS, one, "submitted", message="m-lost")
    settle_and_collect(books)

    [found] = books.verdicts(d1)

    assert told([found]) == [("found", "payee", "70")]
    assert "no evidence" in found.finding


def test_a_strangers_voucher_is_no_loss(books):
    """D1: it was held in time, and the chain would never have taken it."""
    books.hand_over(voucher(2, 1, 70, key=b"\x03" * 32))
    settle_and_collect(books)

    assert told(books.verdicts(d1)) == [("clear", "nobody", None)]


# D5


@pytest.mark.parametrize(
    ("height", "lock", "reason"),
    [
        (199, {"time_lock_min": 200}, "TIME_LOCK_MIN"),
        (200, {"time_lock_min": 200}, None),
        (200, {"time_lock_max": 200}, None),
        (201, {"time_lock_max": 200}, "TIME_LOCK_MAX"),
    ],
)
def test_time_locks_are_inclusive(books, height, lock, reason):
    """D5: found for the attempts that failed, clear for those in the window."""
    one = voucher(1, 1, 30, **lock)
    books.hand_over(one)
    books.at(height)
    receipt = books.redeem(one)

    verdicts = books.verdicts(d5)

    assert (receipt.reason or {}).get("reason") == reason
    attempts = [one for one in verdicts if "attempt" in one.finding]
    assert len(attempts) == (reason is not None)
    assert (verdicts[0].outcome == "clear") == (reason is None)


@pytest.mark.parametrize(("lock", "outcome"), [(SETTLING_AT - 1, "clear"), (SETTLING_AT, "found")])
def test_a_window_without_an_epoch_was_never_good(books, lock, outcome):
    """D5: the last epoch of a window is settling_at - 1; locked to settling_at it has none."""
    books.hand_over(voucher(1, 1, 30, time_lock_min=lock))
    settle_and_collect(books)

    [found] = books.verdicts(d5)

    assert found.outcome == outcome
    assert found.amount == ("30" if outcome == "found" else None)


def test_a_window_that_lapsed_unused_is_told(books):
    """D5: it was good to 200, and nobody redeemed it."""
    books.hand_over(voucher(1, 1, 30, time_lock_max=200))
    books.at(201)
    books.chain("send", PAYER, value=1)

    [found] = books.verdicts(d5)

    assert told([found]) == [("found", "payee", "30")]
    assert "lapsed" in found.finding


def test_no_time_lock_is_no_dispute(books):
    """D5, the control."""
    books.hand_over(voucher(1, 1, 30))

    assert told(books.verdicts(d5)) == [("clear", "nobody", None)]


# D6


@pytest.mark.parametrize(
    ("height", "outcome"), [(SETTLING_AT - 1, "clear"), (SETTLING_AT, "found")]
)
def test_the_epoch_of_inclusion_decides(books, height, outcome):
    """D6: pushed in time by the payee's book, included one epoch before settling_at or at it."""
    one = voucher(1, 1, 30)
    books.hand_over(one)
    books.chain("settle", PAYER)
    books.claim(THEIRS, one, "submitted", message="m-1")
    books.at(height)
    books.redeem(one, message="m-1")

    [found] = books.verdicts(d6)

    assert found.outcome == outcome
    if outcome == "found":
        assert told([found]) == [("found", "payee", "30")]
        assert "Pushed at height 100" in found.finding
        said = " ".join(one.says for one in found.entries)
        assert all(word in said for word in ("Settle", "submitted", "exit 32"))


def test_messages_that_came_late_are_one_verdict(books):
    """D6: three of them on two lanes; what they would have added is the best of each lane."""
    books.chain("settle", PAYER)
    books.at(SETTLING_AT)
    for one in (voucher(1, 1, 30), voucher(1, 2, 50), voucher(2, 1, 7)):
        books.redeem(one)

    assert told(books.verdicts(d6)) == [("found", "payee", "57")]


def test_an_earlier_voucher_that_moved_settling_at_is_named(books):
    """D6: at the first settling_at a voucher still counts, if another had moved it."""
    books.chain("settle", PAYER)
    books.at(200)
    books.redeem(voucher(1, 1, 30, min_settle_height=2000))
    books.at(SETTLING_AT)
    assert books.redeem(voucher(1, 2, 40)).accepted
    assert told(books.verdicts(d6)) == [("clear", "nobody", None)]
    books.at(2000)
    books.redeem(voucher(1, 3, 50))

    [found] = books.verdicts(d6)

    assert told([found]) == [("found", "payee", "10")]
    assert "height 200 had moved settling_at" in found.finding


def test_a_record_of_lateness_that_does_not_follow_is_named(books):
    """D6: recorded as too late while nobody had settled."""
    books.redeem(voucher(1, 1, 30))
    reason = {"kind": "guard_failed", "code": 32, "reason": "CHANNEL_SETTLED"}
    case = changed(books, "update_channel_state", outcome="rejected", reason=reason, set=None)

    [found] = d6(case)

    assert told([found]) == [("found", "undecided", None)]


# D10


def test_a_redeemed_voucher_may_move_settling_at(books):
    """D10: found, and rightly so: the other party signed it."""
    books.chain("settle", PAYER)
    books.redeem(voucher(1, 1, 30, min_settle_height=2000))

    [found] = books.verdicts(d10)

    assert told([found]) == [("found", "nobody", None)]
    assert f"from {SETTLING_AT} to 2000, and may" in found.finding
    assert found.signatures[0].valid


def test_a_second_settle_changes_nothing(books):
    """D10, the control: it fails with 20, and so does one with a lower min_settle_height."""
    books.chain("settle", PAYER)
    books.at(120)
    assert books.chain("settle", PAYEE).reason["code"] == 20
    books.redeem(voucher(1, 1, 30, min_settle_height=SETTLING_AT))

    [found] = books.verdicts(d10)

    assert told([found]) == [("clear", "nobody", None)]
    assert "1 further Settle" in found.finding


def test_a_settling_at_that_falls_is_a_wrong_record(books):
    """D10: nothing ever shortens the delay."""
    books.chain("settle", PAYER)
    books.redeem(voucher(1, 1, 30))
    case = changed(books, "update_channel_state", set={"settling_at": 200})

    assert told(d10(case)) == [("found", "undecided", None)]


# D11


def test_a_redeemed_min_settle_height_is_kept(books):
    """D11, the control: pinned before Settle, it is the floor."""
    books.redeem(voucher(1, 1, 30, min_settle_height=5000))
    books.chain("settle", PAYER)

    [found] = books.verdicts(d11)

    assert told([found]) == [("clear", "nobody", None)]
    assert "settling_at 5000" in found.finding


@pytest.mark.parametrize(
    ("promised", "outcome"), [(SETTLING_AT, "clear"), (SETTLING_AT + 1, "found")]
)
def test_an_unredeemed_min_settle_height_protects_nobody(books, promised, outcome):
    """D11: a promise beyond the settling_at that Settle gave; up to it nothing was broken."""
    books.hand_over(voucher(1, 1, 30, min_settle_height=promised))
    books.chain("settle", PAYER)

    [found] = books.verdicts(d11)

    assert found.outcome == outcome
    if outcome == "found":
        assert found.bearer == "payee"
        assert "a promise, and no protection" in found.finding


def test_a_payee_that_settles_itself_has_no_complaint(books):
    """D11: the promise was the payer's."""
    books.hand_over(voucher(1, 1, 30, min_settle_height=9000))
    books.chain("settle", PAYEE)

    assert told(books.verdicts(d11)) == [("clear", "nobody", None)]


def test_a_delay_shorter_than_the_rule_is_a_wrong_record(books):
    """D11: Settle at 100 gives 1540, the record has 1539."""
    books.chain("settle", PAYER)
    case = changed(books, "settle", set={"settling_at": SETTLING_AT - 1})

    assert told(d11(case)) == [("found", "undecided", None)]


# D12


@pytest.mark.parametrize(("head", "outcome"), [(1540, "clear"), (1541, "found")])
def test_a_party_that_is_silent_for_a_settle_delay_has_vanished(books, head, outcome):
    """D12: the payer was last heard of at 100; the payee redeems, and can go on alone."""
    books.hand_over(voucher(1, 2, 50))
    books.at(head)
    books.redeem(voucher(1, 1, 30))

    found = books.verdicts(d12)

    assert found[0].outcome == outcome
    if outcome == "found":
        assert told(found) == [("found", "nobody", None)]
        assert "The payer was heard of last at height 100" in found[0].finding
        assert "redeems the 20 that it still holds" in found[0].finding
        assert f"collect from height {head + 1 + 1440}" in found[0].finding


def test_a_tape_that_looked_on_shows_the_silence(books):
    """D12: nothing happened after 100, and both tapes have seen height 9000."""
    books.at(9000)

    found = books.verdicts(d12)

    assert [one.outcome for one in found] == ["found", "found"]
    assert "the books end at 9000" in found[0].finding


def test_a_payee_that_is_gone_holds_the_refund_for_a_delay(books):
    """D12: the payer is heard of, the payee is not; after Settle the rest comes back."""
    books.redeem(voucher(1, 1, 30))
    books.at(4000)
    books.chain("settle", PAYER)

    [found] = books.verdicts(d12)

    assert "The payee was heard of last at height 100" in found.finding
    assert "gets back 970" in found.finding
    assert "Collect works from height 5440" in found.finding


def test_a_collected_channel_waits_for_nobody(books):
    """D12, the control."""
    settle_and_collect(books)

    assert told(books.verdicts(d12)) == [("clear", "nobody", None)]
