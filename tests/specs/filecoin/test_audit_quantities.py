"""What a payee could still reach: against brute force; and the rows over height."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.specs.filecoin.audit_attainable import Choice, attain, attain_merging
from statetape.specs.filecoin.audit_recheck import Lane
from statetape.specs.filecoin.voucher import Merge, SignedVoucher

from .two_books import OURS, PAYEE_KEY, PAYER, THEIRS, Books, voucher

LANES = st.lists(
    st.tuples(st.integers(0, 20), st.lists(st.integers(0, 40), max_size=4)), max_size=4
)


def by_brute_force(to_send, balance, lanes):
    """Try every choice of at most one voucher per lane."""
    ways = [[0, *(amount - redeemed for amount in amounts)] for redeemed, amounts in lanes]
    sums = [to_send + sum(way) for way in product(*ways)]
    return max(total for total in sums if total <= balance)


@settings(max_examples=300, deadline=None)
@given(LANES, st.integers(0, 60))
def test_attainable_is_the_best_subset_within_the_balance(lanes, room):
    """Exact for small sets, whatever the balance leaves, and the vouchers named give it."""
    to_send = sum(redeemed for redeemed, _ in lanes)
    balance = to_send + room
    offered = [
        (redeemed, [Choice(amount, f"{lane}/{n}") for n, amount in enumerate(amounts)])
        for lane, (redeemed, amounts) in enumerate(lanes)
    ]

    found = attain(to_send, balance, offered)

    assert found.exact
    assert found.least == by_brute_force(to_send, balance, lanes)
    chosen = {name.partition("/")[0]: int(name.partition("/")[2]) for name in found.vouchers}
    assert len(chosen) == len(found.vouchers)
    gained = (lanes[int(lane)][1][n] - lanes[int(lane)][0] for lane, n in chosen.items())
    assert to_send + sum(gained) == found.least


@settings(max_examples=100, deadline=None)
@given(LANES, st.integers(0, 60))
def test_a_search_cut_short_says_so_honestly(lanes, room):
    """At least is reachable, at most is not passed; the truth lies between."""
    to_send = sum(redeemed for redeemed, _ in lanes)
    offered = [(redeemed, [Choice(one, "v") for one in amounts]) for redeemed, amounts in lanes]

    found = attain(to_send, to_send + room, offered, work=0)

    assert found.least <= by_brute_force(to_send, to_send + room, lanes) <= found.most


def paper(lane, nonce, amount, *merges):
    """Return an unsigned voucher."""
    merged = tuple(Merge(*one) for one in merges)
    return SignedVoucher("f0102", 0, 0, b"", None, lane, nonce, amount, 0, merged, None)


def redeem_in_order(to_send, balance, lanes, papers):
    """Redeem vouchers one after the other by the actor's rules; None where one fails."""
    lanes = dict(lanes)
    for one in papers:
        others = 0
        for lane, nonce in one.merges:
            if lane == one.lane or lane not in lanes or lanes[lane].nonce >= nonce:
                return None
            others += lanes[lane].redeemed
            lanes[lane] = Lane(lanes[lane].redeemed, nonce)
        own = lanes.get(one.lane, Lane(0, -1))
        to_send += one.amount - others - own.redeemed
        if own.nonce >= one.nonce or not 0 <= to_send <= balance:
            return None
        lanes[one.lane] = Lane(one.amount, one.nonce)
    return to_send


PAPERS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(1, 4),
        st.integers(0, 30),
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=2),
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(PAPERS, st.integers(0, 40))
def test_with_merges_every_set_and_order_is_tried(drawn, room):
    """Merging is worth it or not: the greatest to_send over all sequences of a small set."""
    lanes = {0: Lane(5, 1)}
    papers = [
        (str(n), paper(lane, nonce, amount, *merges))
        for n, (lane, nonce, amount, merges) in enumerate(drawn)
    ]
    ways = [
        redeem_in_order(5, 5 + room, lanes, [one for _, one in order])
        for size in range(len(papers) + 1)
        for order in permutations(papers, size)
    ]

    found = attain_merging(5, 5 + room, lanes, papers)

    assert found.exact
    assert found.least == max(way for way in ways if way is not None)


@pytest.fixture
def books(tmp_path):
    """Two tapes of a channel with 100 attofil, at height 100."""
    with Books(tmp_path, deposit=100) as both:
        yield both


def column(case, name):
    """Return a measure as (height, value), where it changed."""
    found = []
    for row in case.rows:
        if not found or found[-1][1] != row.values[name]:
            found.append((row.height, row.values[name]))
    return found


def test_rows_follow_deposits_promises_redemptions_and_the_deadline(books):
    """One channel's life: every measure at the heights where it changes."""
    first, second = voucher(1, 1, 30), voucher(2, 1, 90)
    books.at(110)
    books.hand_over(first)
    books.at(120)
    books.hand_over(second)
    books.at(130)
    books.redeem(first)
    books.chain("send", PAYER, value=50)
    books.at(140)
    books.chain("settle", PAYER)
    books.at(1580)
    books.chain("collect", PAYER)
    case = books.case()

    assert column(case, "promised") == [(100, "0"), (110, "30"), (120, "120")]
    assert column(case, "balance") == [(100, "100"), (130, "150"), (1580, "0")]
    assert column(case, "to_send") == [(100, "0"), (130, "30")]
    assert column(case, "entitled") == [
        (100, "0"),
        (110, "30"),
        (120, "100"),
        (130, "120"),
        (1580, "30"),
    ]
    assert column(case, "attainable") == [
        (100, "0"),
        (110, "30"),
        (120, "90"),
        (130, "120"),
        (1580, "30"),
    ]
    assert column(case, "over_issued") == [(100, "0"), (120, "20"), (130, "0"), (1580, None)]
    assert column(case, "exposure") == [
        (100, "0"),
        (110, "30"),
        (120, "100"),
        (130, "90"),
        (1580, "0"),
    ]
    assert column(case, "deadline") == [(100, None), (140, "1579")]


def test_nothing_can_be_had_from_settling_at_on(books):
    """Also before anybody collects: the row of settling_at says so, the row before it does not."""
    books.hand_over(voucher(1, 1, 30))
    books.chain("settle", PAYER)
    books.at(1539)
    assert [row.height for row in books.case().rows] == [100]
    books.at(1540)
    books.chain("collect", PAYER, send_to_exit=16)

    last = books.case().rows[-1]

    assert (last.height, last.values["attainable"], last.values["exposure"]) == (1540, "0", "0")


def test_a_window_that_ends_takes_the_voucher_with_it(books):
    """time_lock_max 200: good at 200, gone at 201; an older one of the lane is good again."""
    books.hand_over(voucher(1, 1, 10))
    books.hand_over(voucher(1, 2, 30, time_lock_max=200))
    books.at(300)
    books.chain("send", PAYER, value=1)

    assert column(books.case(), "attainable") == [(100, "30"), (201, "10")]


def test_a_lock_beyond_the_deadline_counts_again_when_the_deadline_moves(books):
    """A voucher locked to 3000 is worth nothing from Settle on, until another moves settling_at."""
    books.hand_over(voucher(1, 1, 40, time_lock_min=3000))
    books.chain("settle", PAYER)
    books.at(200)
    books.redeem(voucher(2, 1, 5, min_settle_height=3001))

    assert column(books.case(), "attainable") == [(100, "0"), (200, "45")]


def test_only_what_is_surely_redeemable_is_attainable(books):
    """By the payer's word alone: at most; the payer's book does not show that it arrived."""
    one = voucher(1, 1, 30)
    books.claim(OURS, one, "issued")
    books.claim(OURS, one, "sent")

    row = books.case(OURS).rows[-1].values
    assert (row["attainable"], row["attainable_at_most"]) == ("0", "30")
    books.claim(THEIRS, one, "received")
    row = books.case().rows[-1].values
    assert (row["attainable"], row["attainable_at_most"]) == ("30", "30")


def test_a_voucher_of_the_payee_is_no_promise(books):
    """The payee's signature lets the payer take back; it promises the payee nothing."""
    books.claim(OURS, voucher(1, 1, 30, key=PAYEE_KEY), "received")

    row = books.case().rows[-1].values
    assert (row["promised"], row["entitled"]) == ("0", "0")
