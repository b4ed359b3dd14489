"""What random channels and a reading of the rules against the code have found, each as it was."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from statetape.engine import catalogue
from statetape.engine.audit import book
from statetape.engine.commands import Create
from statetape.engine.inspect import Inspector
from statetape.fsm.audit import CLEAR, FOUND, OURS, THEIRS
from statetape.specs.filecoin.audit_case import open_case
from statetape.specs.filecoin.audit_conduct import after, collecting, merges, submitted
from statetape.specs.filecoin.audit_deadlines import d1, d5, d6, d10
from statetape.specs.filecoin.audit_funds import d7
from statetape.specs.filecoin.audit_papers import PAYEE as BY_PAYEE
from statetape.specs.filecoin.audit_papers import PAYER as BY_PAYER
from statetape.specs.filecoin.audit_vouchers import extras, less, restarted, secrets, signatures
from statetape.specs.filecoin.audits import AUDITOR
from statetape.specs.filecoin.payment_channel import blake2b256
from statetape.specs.filecoin.voucher import Merge, ModVerifyParams, Signature

from ...engine.machines import Clock, open_tape
from .two_books import CHANNEL, KEY, PAYEE, PAYEE_KEY, PAYER, STRANGER_KEY, Books, voucher


@pytest.fixture
def books(tmp_path):
    """Both sides' books of a channel with 1000, at height 100."""
    with Books(tmp_path) as books:
        yield books


def end(books, settle=PAYER):
    """Settle, and collect when that works."""
    books.chain("settle", settle)
    settling_at = books.case(OURS).state.settling_at
    books.at(settling_at)
    books.chain("collect", PAYER)


def told(books, dispute):
    """Return outcome, bearer and amount of every verdict."""
    return [(one.outcome, one.bearer, one.amount) for one in books.verdicts(dispute)]


# what could be had


def test_a_voucher_whose_window_ends_before_it_begins_promises_nothing(books):
    """T_min above T_max: no epoch is in the window, at no height."""
    books.hand_over(voucher(0, 1, 50, time_lock_min=300, time_lock_max=200))

    [row] = [row for row in books.case().rows if row.height == 100]

    assert (row.values["best"], row.values["attainable"]) == ("0", "0")


def test_a_window_of_one_epoch_promises_what_it_says(books):
    """The boundary: T_min equal to T_max."""
    books.hand_over(voucher(0, 1, 50, time_lock_min=300, time_lock_max=300))

    [row] = [row for row in books.case().rows if row.height == 100]

    assert (row.values["best"], row.values["attainable"]) == ("50", "50")


@pytest.mark.parametrize(("height", "lost"), [(1540, []), (1539, ["1500"])])
def test_a_deposit_after_the_deadline_makes_nothing_redeemable(books, height, lost):
    """The voucher is above the balance until the deadline 1539; in its last epoch funds come."""
    books.hand_over(voucher(0, 1, 1500))
    books.chain("settle", PAYER)
    books.at(height)
    books.chain("send", PAYER, value=900)
    books.at(1540)
    books.chain("collect", PAYER)

    found = [one.amount for one in books.verdicts(d1) if "not redeemed" in one.finding]

    assert found == lost


@pytest.mark.parametrize(("height", "loss"), [(200, "1500"), (201, None)])
def test_a_deposit_after_a_vouchers_window_does_not_help_it(books, height, loss):
    """T_max 200, above the balance; more funds come at 200 or at 201."""
    books.hand_over(voucher(0, 1, 1500, time_lock_max=200))
    books.at(height)
    books.chain("send", PAYER, value=900)
    end(books)

    sure = [one.amount for one in books.verdicts(d1) if one.outcome == FOUND]

    assert sure == ([loss] if loss else [])


@pytest.mark.parametrize(("height", "found"), [(200, True), (201, False)])
def test_a_secret_known_after_the_window_redeems_nothing(books, height, found):
    """T_max 200; the secret is shared at 200 or at 201."""
    paper = voucher(0, 1, 50, time_lock_max=200, secret_pre_image=blake2b256(b"x"))
    books.hand_over(paper)
    books.at(height)
    books.claim(THEIRS, paper, "secret_shared", secret=b"x".hex())
    end(books)

    assert ((FOUND, BY_PAYEE, "50") in told(books, d1)) is found
    assert ((FOUND, BY_PAYEE, "50") in told(books, secrets)) is not found


def test_terms_without_the_payers_signature_are_not_held(books):
    """The payer's book has it signed; what it sent carried another signature."""
    paper = voucher(0, 1, 50)
    forged = paper._replace(signature=Signature(1, bytes(65)))
    books.claim(OURS, paper, "issued")
    books.claim(THEIRS, forged, "received")
    end(books)

    assert told(books, d1) == [(CLEAR, "nobody", None)]


def test_terms_offered_again_with_the_signature_are_held_from_then(books):
    """The control: the good copy comes later."""
    paper = voucher(0, 1, 50)
    books.claim(OURS, paper, "issued")
    books.claim(THEIRS, paper._replace(signature=Signature(1, bytes(65))), "received")
    books.at(150)
    books.claim(THEIRS, paper, "offered_again", copy=paper.text())

    case = books.case()
    [story] = case.stories.values()

    assert case.held(story).height == 150


def test_a_book_with_refunds_is_still_its_owners(books):
    """The payee signs two refunds, which the payer's book has as received."""
    books.hand_over(voucher(0, 1, 50))
    for nonce in (1, 2):
        refund = voucher(1, nonce, 5, PAYEE_KEY)
        books.claim(THEIRS, refund, "issued")
        books.claim(OURS, refund, "received")

    assert [book.role for book in books.case().books] == [BY_PAYER, BY_PAYEE]


@pytest.mark.parametrize(("opens", "most"), [(200, "87"), (201, "81")])
def test_a_merge_that_must_come_before_its_source_adds_nothing(tmp_path, opens, most):
    """Lane 1 has 65 of 100. Lane 2 (16) opens at `opens`; what merges it is good until 200."""
    with Books(tmp_path, deposit=100) as books:
        books.redeem(voucher(1, 1, 65))
        books.hand_over(voucher(2, 1, 16, time_lock_min=opens))
        books.hand_over(voucher(0, 1, 22, time_lock_max=200, merges=(Merge(2, 9),)))

        values = books.case().rows[-1].values

    assert values["attainable"] == most


@pytest.mark.parametrize(("opens", "most"), [(200, "100"), (201, "60")])
def test_a_fall_that_comes_too_late_makes_no_room(tmp_path, opens, most):
    """Lane 0 falls from 60 to 10 from `opens` on; 90 on lane 1 fits only then, and until 200."""
    with Books(tmp_path, deposit=100) as books:
        books.redeem(voucher(0, 1, 60))
        books.hand_over(voucher(0, 2, 10, time_lock_min=opens))
        books.hand_over(voucher(1, 1, 90, time_lock_max=200))

        values = books.case().rows[-1].values

    assert values["attainable"] == most


def test_a_book_with_strangers_vouchers_alone_is_the_other_sides(books):
    """What nobody of the two signed does not tell whose book it is in; the other book does."""
    books.claim(OURS, voucher(0, 1, 5), "issued")
    books.claim(THEIRS, voucher(1, 1, 5, STRANGER_KEY), "issued")

    assert [book.role for book in books.case().books] == [BY_PAYER, BY_PAYEE]


# the disputes, rule by rule


def test_an_equal_nonce_or_another_channel_is_no_later_voucher_for_less(books):
    """D4 asks for a higher nonce, in this channel; an equal one is D3's."""
    for paper in (
        voucher(0, 2, 50),
        voucher(0, 2, 40),
        voucher(0, 3, 30, channel_addr="f0999"),
    ):
        books.hand_over(paper)

    assert told(books, less) == [(CLEAR, "nobody", None)]


def test_a_higher_nonce_for_less_is_found(books):
    """The control."""
    for paper in (voucher(0, 2, 50), voucher(0, 3, 49)):
        books.hand_over(paper)

    assert told(books, less) == [(FOUND, "nobody", "0")]


@pytest.mark.parametrize(("last", "outcome"), [(1538, FOUND), (1539, CLEAR)])
def test_a_time_lock_that_ends_with_the_deadline_did_not_stand_in_the_way(books, last, outcome):
    """Not redeemed: below the deadline its own lock ended it; from there on, settling did."""
    books.hand_over(voucher(0, 1, 50, time_lock_max=last))
    end(books)

    assert [one.outcome for one in books.verdicts(d5)] == [outcome]


def test_an_extra_call_that_ends_with_32_is_not_too_late(books):
    """D6 goes by the check that failed, not by its exit code."""
    paper = voucher(0, 1, 50, extra=ModVerifyParams("f0103", 7, b""))
    books.redeem(paper, extra_exit=32)

    assert told(books, d6) == [(CLEAR, "nobody", None)]


def test_a_source_that_grew_between_two_merges_is_subtracted_twice_only_in_part(books):
    """Lane 0: 10 merged, then 25 in all; the second merge subtracts 10 once more, 15 rightly."""
    books.redeem(voucher(0, 1, 10))
    books.redeem(voucher(1, 1, 10, merges=(Merge(0, 2),)))
    books.redeem(voucher(0, 3, 25))
    books.redeem(voucher(2, 1, 30, merges=(Merge(0, 4),)))

    assert told(books, merges) == [(CLEAR, "nobody", "0"), (FOUND, BY_PAYEE, "10")]


def test_a_voucher_voided_by_a_lane_listed_twice_is_lost_once(books):
    """One outstanding voucher of 30 on a lane that one voucher merges twice."""
    books.redeem(voucher(0, 1, 10))
    books.hand_over(voucher(0, 2, 30))
    books.redeem(voucher(1, 1, 20, merges=(Merge(0, 3), Merge(0, 4))))

    [found] = books.verdicts(merges)

    assert (found.amount, found.finding.count("lane 0")) == ("30", 1)


def test_a_payee_that_accepted_the_bad_copy_bears_it(books):
    """The payer's signature is good, the payee's copy carries another: D13, whoever holds what."""
    paper = voucher(0, 1, 50)
    books.claim(OURS, paper, "issued")
    books.claim(THEIRS, paper._replace(signature=Signature(1, bytes(65))), "received")
    assert told(books, signatures) == [(FOUND, "nobody", "0")]
    books.claim(THEIRS, paper, "accepted", delta=50)

    assert told(books, signatures) == [(FOUND, BY_PAYEE, "50")]


def test_a_strangers_voucher_with_a_hash_is_no_withheld_secret(books):
    """Nobody could have redeemed it with the secret either."""
    books.hand_over(voucher(0, 1, 50, STRANGER_KEY, secret_pre_image=blake2b256(b"x")))
    end(books)

    assert told(books, secrets) == [(CLEAR, "nobody", None)]


def test_an_extra_condition_that_failed_twice_is_lost_once(books):
    """Each try is told; what is lost, once."""
    paper = voucher(0, 1, 50, extra=ModVerifyParams("f0103", 7, b""))
    books.hand_over(paper)
    for _ in range(2):
        books.redeem(paper, extra_exit=16)
    end(books)

    assert sorted(told(books, extras)) == [(FOUND, "nobody", "0"), (FOUND, BY_PAYEE, "50")]


def test_a_receipt_of_another_voucher_is_none_of_this_one(books):
    """The message that a claim names carried something else, and succeeded."""
    one, other = voucher(0, 1, 50), voucher(1, 1, 60)
    for paper in (one, other):
        books.hand_over(paper)
    books.claim(THEIRS, one, "submitted", message="m1")
    books.redeem(other, message="m1", exit=0)

    [found] = books.verdicts(submitted)

    assert "exit 0" not in found.finding


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"send_to_exit": 18}, "the payout to the payee failed"),
        ({"params": "x"}, "the call was refused"),
        ({}, None),
    ],
)
def test_why_a_collect_failed_goes_by_its_check(books, params, why):
    """A payout may end with 18, too; and parameters are refused before anything is paid."""
    books.chain("settle", PAYER)
    books.at(1540)
    books.chain("collect", PAYEE, **params)

    [found] = books.verdicts(collecting)

    assert (found.outcome == CLEAR) if why is None else why in found.finding


def test_a_strangers_low_nonce_is_no_restart(books):
    """D19 is about what the payer issued; the control is beside it."""
    books.redeem(voucher(0, 5, 50))
    books.at(200)
    books.hand_over(voucher(0, 1, 5, STRANGER_KEY))
    assert [one.outcome for one in books.verdicts(restarted)] == [CLEAR]
    books.hand_over(voucher(0, 1, 6))

    assert [one.outcome for one in books.verdicts(restarted)] == [FOUND]


def test_a_late_voucher_that_was_refused_is_nobodys_loss(books):
    """A careful payee refuses what comes after settling_at; one that accepts bears it."""
    books.chain("settle", PAYER)
    books.at(1540)
    refused, taken = voucher(0, 1, 50), voucher(1, 1, 60)
    books.hand_over(refused, accepted=False)
    books.claim(THEIRS, refused, "refused", reason="CHANNEL_SETTLED")
    books.hand_over(taken)

    assert told(books, after) == [(FOUND, "nobody", None), (FOUND, BY_PAYEE, "60")]


def test_a_payee_that_accepted_within_the_balance_broke_no_rule(books):
    """D7: the payer signs too much elsewhere; what the payee took was covered when it did."""
    books.hand_over(voucher(0, 1, 600))
    books.claim(OURS, voucher(1, 1, 700), "issued")
    assert told(books, d7) == [(FOUND, "nobody", "300")]
    books.claim(THEIRS, voucher(1, 1, 700), "received")
    books.claim(THEIRS, voucher(1, 1, 700), "accepted", delta=700)

    assert told(books, d7) == [(FOUND, BY_PAYEE, "300")]


def test_a_channel_that_is_adopted_while_it_settles_is_no_wrong_record(tmp_path):
    """D10: a tape may begin in the middle; a second Settle may not move settling_at."""
    path = tmp_path / "t.db"
    data = {"id": "f0102", "from": PAYER, "to": PAYEE, "settling_at": 1640}
    data |= {"balance": 100, "deposited": 100}
    with open_tape(path, Clock()) as engine:
        engine.observe("filecoin", 300)
        machine = catalogue.machine("filecoin.payment_channel")
        adopted = engine.execute(Create(machine, CHANNEL, data, state="settling"))
        assert adopted.accepted
    with Inspector.open(path) as inspector:
        seen = book(OURS, inspector, AUDITOR.belonging(CHANNEL))
    [clear] = d10(open_case(CHANNEL, KEY, [seen]))
    assert clear.outcome == "clear"

    last = seen.entries[-1]
    moved = {"instance": last.pos, "create": None, "seq": 2, "event": "settle", "to": "settling"}
    again = replace(last, pos=last.pos + 1, set={"settling_at": 1700}, spec=None, **moved)
    forged = replace(seen, entries=[*seen.entries, again])
    [found] = d10(open_case(CHANNEL, KEY, [forged]))
    assert (found.outcome, found.bearer) == ("found", "undecided")
