"""What the books claim, hostile ones included, and what differs between two of them."""

from __future__ import annotations

from hashlib import blake2b
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.engine.audit import book
from statetape.engine.inspect import Inspector
from statetape.fsm.audit import OURS, THEIRS, Book
from statetape.fsm.entry import Entry
from statetape.specs.filecoin import signature
from statetape.specs.filecoin.audit_papers import Shelf
from statetape.specs.filecoin.audits import AUDITOR, NothingToAudit, disputes
from statetape.specs.filecoin.voucher import Merge, Signature

from .two_books import (
    CHANNEL,
    KEY,
    PAYEE,
    PAYEE_KEY,
    PAYER,
    PAYER_ADDRESS,
    PAYER_KEY,
    STRANGER_KEY,
    Books,
    voucher,
)

SEEDS = 150
CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@pytest.fixture
def books(tmp_path):
    """Two tapes of a channel with 1000 attofil, at height 100; ours is the payer's."""
    with Books(tmp_path) as both:
        yield both


def read(books, *sides):
    """Return the books of these sides."""
    found = []
    for side in sides or (OURS, THEIRS):
        books.tapes[side].flush()
        with Inspector.open(books.paths[side]) as inspector:
            found.append(book(side, inspector, AUDITOR.belonging(CHANNEL)))
    return found


def report(books, *sides):
    """Return the audit of these sides' tapes."""
    return AUDITOR.report(CHANNEL, read(books, *sides))


def said(statements):
    """Return what statements say, in one text."""
    return " ".join(one.text for one in statements)


def test_a_claim_never_moves_the_chain(books):
    """The payee's book says applied; no message was included, so nothing is redeemed."""
    one = voucher(1, 1, 30)
    books.hand_over(one)
    before = report(books).quantities[-1]
    books.claim(THEIRS, one, "submitted", message="m-1")
    books.claim(THEIRS, one, "applied", message="m-1")

    found = report(books)

    assert found.quantities[-1] == before
    assert before.values["to_send"] == "0"
    assert "no chain fact shows" not in said(found.contradicted)
    assert "submitted, and that no chain fact shows" in said(found.undecidable)


def test_a_claim_that_a_receipt_contradicts_is_named(books):
    """Said to be applied; the message is on both tapes, and failed."""
    one = voucher(1, 1, 3000)
    books.hand_over(one)
    books.redeem(one, message="m-1", exit=16)
    books.claim(THEIRS, one, "submitted", message="m-1")
    assert report(books).contradicted == ()
    books.claim(THEIRS, one, "applied", message="m-1")

    [found] = report(books).contradicted

    assert "applied" in found.text
    assert "INSUFFICIENT_BALANCE" in found.text
    assert {entry.side for entry in found.entries} == {"ours", "theirs"}


def test_books_that_agree_have_no_difference(books):
    """The control of the next two."""
    books.redeem(voucher(1, 1, 30), message="m-1")
    books.chain("settle", PAYER, message="m-2")

    assert report(books).contradicted == ()


def test_a_message_that_one_book_lacks_is_named(books):
    """Ours lacks a redemption; verdicts rest on the counterparty's book, which has more."""
    books.redeem(voucher(1, 1, 30))
    books.chain("update_channel_state", PAYEE, (THEIRS,), sv=voucher(1, 2, 45).text())

    found = report(books)

    assert "Ours does not have the message that theirs has" in said(found.contradicted)
    [entry] = found.contradicted[0].entries
    assert (entry.side, entry.height) == ("theirs", 100)
    assert found.quantities[-1].values["to_send"] == "45"


def test_one_message_told_with_two_ends_is_named_with_both_places(books):
    """The same message id: ours has it at another epoch, with another end."""
    one = voucher(1, 1, 30, time_lock_max=100)
    params = {"sv": one.text(), "message": "m-1"}
    books.chain("update_channel_state", PAYEE, (THEIRS,), **params)
    books.at(101)
    books.chain("update_channel_state", PAYEE, (OURS,), **params)

    found = report(books)

    assert "accepted: False or True" in said(found.contradicted)
    assert {entry.side for entry in found.contradicted[0].entries} == {"ours", "theirs"}
    assert "The verdicts rest on those of ours; on those of theirs" in said(found.undecidable)


def test_the_same_voucher_with_another_signature_is_one_voucher(books):
    """Malleated: S becomes n - S, V is flipped; the id is that of the signed bytes."""
    one = voucher(1, 1, 30)
    data = one.signature.data
    turned = (CURVE - int.from_bytes(data[32:64], "big")).to_bytes(32, "big")
    other = one._replace(signature=Signature(1, data[:32] + turned + bytes([data[64] ^ 1])))
    books.claim(OURS, one, "issued")
    books.claim(THEIRS, other, "received")
    assert one.text() != other.text()

    [story] = books.case().stories.values()

    assert [copy.by for copy in story.voucher.copies] == ["payer", "payer"]
    assert story.issued is not None
    assert story.received is not None


def test_whose_signature_it_is_is_recovered(books):
    """The payer's, the payee's, a stranger's, nobody's: only the first is a payment."""
    papers = [voucher(lane, 1, 10, key) for lane, key in enumerate([PAYER_KEY, PAYEE_KEY])]
    papers += [voucher(2, 1, 10, STRANGER_KEY), voucher(3, 1, 10)._replace(signature=None)]
    for one in papers:
        books.claim(THEIRS, one, "received")
    books.claim(THEIRS, papers[2], "accepted", delta=10)

    case = books.case()

    assert [story.voucher.by for story in case.stories.values()] == [
        "payer",
        "payee",
        "other",
        "nobody",
    ]
    assert [one.terms.lane for one in case.candidates] == [0]
    assert "the payer did not sign it" in said(report(books).contradicted)


def test_a_type_that_the_chain_cannot_decode_is_no_claim_to_money(books):
    """Type 3 verifies off chain; on the chain it is undecodable."""
    one = voucher(1, 1, 30)
    delegated = one._replace(signature=Signature(3, one.signature.data))
    books.claim(THEIRS, delegated, "received")
    assert books.redeem(delegated).reason["code"] == 21

    found = report(books)

    assert found.quantities[-1].values["entitled"] == "0"
    assert "2 of 2" not in said(found.chain)
    assert "1 of 1 messages ended as the rules give" in said(found.chain)


def test_without_the_means_to_verify_nothing_is_claimed(tmp_path, monkeypatch):
    """BLS is not installed: the voucher is "at most", and why is said. With it, it is judged."""
    monkeypatch.setattr(signature.importlib, "import_module", _missing)
    payer = "f3tcgq5scpfhdwh4dbalwktzf6mbv3ng2nw7tyzni5cyrsgvineid6jybnweecpa6misa6lk4tvwtxj2gkwpzq"
    one = voucher(1, 1, 30)._replace(signature=Signature(2, bytes(96)))
    with Books(tmp_path) as both:
        both.claim(THEIRS, one, "received")
        found = read(both)
        entries = [_paid_by(entry, payer) for entry in found[1].entries]
        told = AUDITOR.report(CHANNEL, [msgspec.structs.replace(found[1], entries=entries)])

    values = told.quantities[-1].values
    assert (values["attainable"], values["attainable_at_most"]) == ("0", "30")
    assert "py_ecc" in said(told.undecidable)


def _missing(name):
    raise ImportError(name)


def _paid_by(entry, payer):
    """Return an entry in which the payer has this key address."""
    if entry.create != CHANNEL:
        return entry
    addresses = {payer: PAYER, KEY: "f0102"}
    return msgspec.structs.replace(entry, set={**entry.set, "addresses": addresses})


def test_a_voucher_under_another_id_is_named(books):
    """The instance is named after the bytes that were signed; a book that says otherwise errs."""
    books.hand_over(voucher(1, 1, 30))
    ours, theirs = read(books)
    false = f"filecoin.voucher/{KEY}/{'0' * 64}"
    entries = [
        msgspec.structs.replace(one, create=false)
        if one.create and one.create.startswith("filecoin.voucher")
        else one
        for one in theirs.entries
    ]

    found = AUDITOR.report(CHANNEL, [ours, msgspec.structs.replace(theirs, entries=entries)])

    assert "under another id" in said(found.contradicted)


def test_received_before_it_was_issued_is_named(books):
    """The payee's book has it at 100, the payer's issued it at 120: one of them is wrong."""
    one = voucher(1, 1, 30)
    books.claim(THEIRS, one, "received")
    books.at(120)
    books.claim(OURS, one, "issued")

    found = report(books)

    assert "before the payer's book issued it" in said(found.contradicted)
    assert "one side alone says so" in said(found.undecidable)


def test_a_signature_that_the_payers_book_leaves_out_is_named(books):
    """The payer signed it, as anybody can check, and its book does not have it."""
    books.hand_over(voucher(1, 1, 30))
    assert report(books).contradicted == ()
    books.claim(THEIRS, voucher(2, 1, 50), "received")

    [found] = report(books).contradicted

    assert "carries the payer's signature" in found.text
    assert found.signatures[0].signer == PAYER_ADDRESS


@pytest.mark.parametrize(("side", "missing"), [(OURS, "payee"), (THEIRS, "payer")])
def test_with_one_book_the_other_sides_claims_are_said_to_be_missing(books, side, missing):
    """Whatever only its book could show; with both books nothing of the kind is said."""
    books.hand_over(voucher(1, 1, 30))

    assert f"What the {missing} claims is not here" in said(report(books, side).undecidable)
    assert "claims is not here" not in said(report(books).undecidable)


def test_what_the_payee_signed_back_is_told_for_the_payer(books):
    """The payer holds the payee's voucher for less on a redeemed lane; it can lower the share."""
    books.redeem(voucher(1, 1, 30))
    assert "lowered" not in said(report(books).obtainable)
    books.claim(OURS, voucher(1, 2, 10, PAYEE_KEY), "received")

    assert "lowered what was redeemed by up to 20" in said(report(books).obtainable)


def test_a_claim_without_the_channel_has_no_chain_facts(books):
    """Every dispute is undecidable then, and none fails."""
    books.hand_over(voucher(1, 1, 30))
    ours = read(books, OURS)[0]
    entries = [one for one in ours.entries if one.create != CHANNEL]

    found = AUDITOR.report(CHANNEL, [msgspec.structs.replace(ours, entries=entries)])

    assert {one.outcome for one in found.verdicts} == {"undecidable"}
    assert len(found.verdicts) == len(disputes()) == 20


def test_a_book_without_entries_is_nothing_to_audit():
    """Neither tape knows the channel."""
    with pytest.raises(NothingToAudit):
        AUDITOR.report(CHANNEL, [Book(OURS, "t", "", 0, "", {}, [])])


@pytest.mark.parametrize("text", [None, 7, "", "i1UC", "!", "gA", ["i1UC"], {"a": 1}, "x" * 5000])
def test_a_text_that_is_no_voucher_is_kept_with_its_problem(text):
    """Whatever was recorded instead of a voucher: a statement, never a failure."""
    shelf = Shelf()

    assert shelf.read(text).terms is None
    assert shelf.read(text).problem
    assert shelf.recover(text) == ""
    assert len(shelf.unreadable) == 1


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(["", "0", "-5", "f0100", KEY, "x", voucher(1, 1, 5).text(), "ff", "2.5"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["1", "x", "redeemed", "nonce", "f0100", "caller"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
NAMES = (
    *("caller", "value", "sv", "secret", "message", "exit", "auth_exit", "auth_returned"),
    *("extra_exit", "send_to_exit", "params", "role", "delta", "reason", "signed_by", "actors"),
    *("id", "from", "to", "balance", "to_send", "settling_at", "lanes", "addresses"),
)
MEMBERS = st.none() | st.dictionaries(st.sampled_from(NAMES), JUNK, max_size=8)
EVENTS = ("constructor", "update_channel_state", "settle", "collect", "send", "adopted", "issued")
EVENTS += ("accepted", "submitted", "secret_shared", "observe_balance", "settle_delay_over", "call")


@st.composite
def hostile(draw):
    """Draw a book whose entries have the shapes of entries, and anything in their members."""
    names = {
        1: CHANNEL,
        2: f"filecoin.voucher/{KEY}/{voucher(1, 1, 5).id_hex}",
        3: f"filecoin.channel_account/{KEY}",
    }
    entries = []
    for pos in range(1, draw(st.integers(1, 10))):
        entries.append(
            Entry(
                at=pos,
                pos=pos,
                create=names.get(pos),
                instance=None if pos in names else draw(st.sampled_from([1, 2, 3, 99])),
                event=draw(st.sampled_from(EVENTS)) if pos != 1 else "constructor",
                height=draw(st.sampled_from([None, 1, "7", 1500, 2**60, -3, "x"])),
                outcome=draw(st.sampled_from([None, None, None, "rejected", "ignored"])),
                params=draw(MEMBERS),
                set=draw(MEMBERS),
                to=draw(st.sampled_from([None, "open", "settling", "collected", "?"])),
                reason=draw(st.sampled_from([None, {}, {"code": "x"}, {"code": 16, "reason": 5}])),
            )
        )
    return Book(draw(st.sampled_from([OURS, THEIRS])), "tape", "", len(entries), "", names, entries)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """Both sides' books of a life with everything in it: locks, merges, secrets, failures."""
    with Books(tmp_path_factory.mktemp("rich")) as both:
        for paper in (
            voucher(1, 1, 30),
            voucher(1, 2, 50, time_lock_min=120, time_lock_max=150),
            voucher(2, 1, 60, **_HASHED),
            voucher(3, 1, 900),
            voucher(4, 1, 40, merges=(Merge(1, 5),), min_settle_height=5000),
            voucher(5, 1, 10, PAYEE_KEY),
        ):
            both.hand_over(paper)
            both.redeem(paper, message=f"m-{paper.lane}-{paper.nonce}", exit=0)
        both.claim(THEIRS, voucher(2, 1, 60, **_HASHED), "secret_shared", secret=b"s")
        both.redeem(voucher(2, 1, 60, **_HASHED), secret=b"s")
        both.chain("send", PAYER, value=5)
        both.chain("settle", PAYER)
        both.at(1600)
        both.redeem(voucher(1, 3, 70))
        both.chain("collect", PAYER)
        both.at(6000)
        both.chain("collect", PAYER)
        return read(both)


_HASHED = {"secret_pre_image": blake2b(b"s", digest_size=32).digest()}


ODD = [None, True, [], {}, [1], {"1": 2}, "", "x", "0", "-5", 0, -1, 5, 2**70, str(2**70)]
ODD += ["f0100", "f0101", "f0102", KEY, "ff", "i1UC", voucher(1, 1, 5).text(), {"1": {"nonce": []}}]
HEIGHTS = [None, 0, -1, 99, 1539, 1540, 2**62, "9" * 30]


def mutated(random, entry):
    """Return an entry with one thing in it changed."""
    member = random.choice(["params", "set", "params", "set", "height", "outcome", "event", "to"])
    value = getattr(entry, member)
    if member in ("params", "set"):
        inside = random.choice([*(value or {}), *NAMES])
        new = {**(value or {}), inside: random.choice(ODD)}
    elif member == "height":
        new = random.choice(HEIGHTS)
    elif member == "outcome":
        new = random.choice([None, "rejected", "deferred", "ignored"])
    else:
        new = random.choice([*EVENTS, "settled", "collected", "absent", None])
    return msgspec.structs.replace(entry, **{member: new})


def test_no_change_to_a_real_book_makes_the_audit_fail(rich):
    """Any member of any entry of a real life, replaced by something else; nothing is changed."""
    for seed in range(SEEDS):
        random = Random(seed)
        changed = []
        for one in rich:
            entries = list(one.entries)
            for _ in range(random.randint(0, 4)):
                at = random.randrange(len(entries))
                entries[at] = mutated(random, entries[at])
            changed.append(msgspec.structs.replace(one, entries=entries))
        before = msgspec.json.encode(changed)

        told = AUDITOR.report(CHANNEL, changed)

        msgspec.json.encode(told)
        assert len({one.dispute for one in told.verdicts}) == 20, seed
        assert msgspec.json.encode(changed) == before, seed


@settings(max_examples=100, deadline=None)
@given(st.lists(hostile(), min_size=1, max_size=2))
def test_no_book_makes_the_audit_fail(found):
    """Amounts that are lists, heights that are words, vouchers that are none: a report, always."""
    if not any(one.entries for one in found):
        return
    told = AUDITOR.report(CHANNEL, found)

    msgspec.json.encode(told)
    assert len({one.dispute for one in told.verdicts}) == 20
