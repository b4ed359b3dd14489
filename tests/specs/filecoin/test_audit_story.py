"""Lotus's own end-to-end story, on both sides' tapes: who lost 1000, and why.

7000 are deposited. Lanes 0 to 2 get vouchers for 1000 and then 2000. The payer settles, the payee's
settler redeems 6000. A voucher for 1000 on lane 3 comes late and is accepted; one more, on lane 4,
would need 1000 that are not there. Collect, after 1440 epochs, gives the payer 1000 back.
"""

from __future__ import annotations

import pytest
from statetape.engine.audit import audit
from statetape.engine.inspect import Inspector
from statetape.engine.replay import Replayer
from statetape.fsm.audit import OURS, THEIRS
from statetape.specs.filecoin.signature import sign_secp256k1
from statetape.specs.filecoin.voucher import parse

from .two_books import (
    CHANNEL,
    KEY,
    PAYEE,
    PAYEE_ADDRESS,
    PAYER,
    PAYER_ADDRESS,
    PAYER_KEY,
    Books,
)

ACCOUNT = f"filecoin.channel_account/{KEY}"
SETTLED_AT, REDEEMED_AT, LATE_AT = 200, 206, 300
SETTLING_AT = SETTLED_AT + 1440


class Story(Books):
    """Both ends, each with its account: ours is the payee, theirs the payer."""

    def accounts(self) -> None:
        """Both sides track the channel, and see 7000 in it."""
        payee = {"direction": 1, "control": PAYEE_ADDRESS, "target": PAYER_ADDRESS}
        payer = {"direction": 2, "control": PAYER_ADDRESS, "target": PAYEE_ADDRESS}
        for side, params in ((OURS, payee), (THEIRS, payer)):
            tape = self.tapes[side]
            assert tape.create("filecoin.channel_account", KEY, params).accepted
        create = {"message": "m-create", "amount": 7000}
        assert self.tapes[THEIRS].send(ACCOUNT, "create_pushed", create).accepted
        confirmed = {"channel": KEY, "id": "f0102"}
        assert self.tapes[THEIRS].send(ACCOUNT, "create_confirmed", confirmed).accepted
        seen = {"balance": 7000, "id": "f0102"}
        assert self.tapes[OURS].send(ACCOUNT, "chain_seen", seen).accepted

    def pay(self, lane: int, amount: int) -> str:
        """The payer's account makes a voucher; it is signed, sent and received. Or: why not."""
        wanted = {"lane": lane, "amount": amount}
        [effect] = self.tapes[THEIRS].send(ACCOUNT, "voucher_wanted", wanted).effects
        if effect["do"] != "SignVoucher":
            return f"{effect['reason']} {effect['shortfall']}"
        draft = parse(effect["sv"])
        paper = draft._replace(signature=sign_secp256k1(PAYER_KEY, draft.signing_bytes()))
        self.claim(THEIRS, paper, "issued")
        self.claim(THEIRS, paper, "sent")
        self.claim(OURS, paper, "received")
        return "ok"

    def settler(self) -> None:
        """The payee's node submits the best of each lane; each message is included."""
        [effect] = self.tapes[OURS].send(ACCOUNT, "redeem_due").effects
        for item in effect["vouchers"]:
            name = f"filecoin.voucher/{KEY}/{item['id']}"
            paper = self.tapes[OURS].world.instance(name).data["sv"]
            message = f"m-{item['lane']}-{item['nonce']}"
            assert self.tapes[OURS].send(name, "submitted", {"message": message}).accepted
            for tape in self.tapes.values():
                params = {"caller": PAYEE, "sv": paper, "message": message, "exit": 0}
                assert tape.send(CHANNEL, "update_channel_state", params).accepted
            assert self.tapes[OURS].send(name, "applied", {"message": message}).accepted

    def report(self):
        """Return the audit of both tapes, as the command gives it."""
        for tape in self.tapes.values():
            tape.flush()
        with (
            Inspector.open(self.paths[OURS]) as ours,
            Inspector.open(self.paths[THEIRS]) as theirs,
        ):
            return audit(ours, CHANNEL, theirs)


def lived(folder, *, in_time: bool):
    """Tell the story; `in_time`: the payee's node looks once more before the deadline."""
    with Story(folder, deposit=7000) as story:
        story.accounts()
        for amount in (1000, 2000):
            for lane in range(3):
                assert story.pay(lane, amount) == "ok"
        story.at(SETTLED_AT)
        story.chain("settle", PAYER, message="m-settle", exit=0)
        seen = {"to": KEY, "settling_at": SETTLING_AT, "message": "m-settle"}
        assert story.tapes[OURS].send(ACCOUNT, "settle_seen", seen).accepted
        story.at(REDEEMED_AT)
        story.settler()
        story.at(LATE_AT)
        assert story.pay(3, 1000) == "ok"
        assert story.pay(4, 1000) == "INSUFFICIENT_FUNDS 1000"
        if in_time:
            story.at(SETTLING_AT - 1)
            story.settler()
        story.at(SETTLING_AT + 5)
        assert story.chain("collect", PAYER, message="m-collect", exit=0).accepted
        for tape in story.tapes.values():
            assert Replayer().run(tape.tape.read()).difference is None
        return story.report()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Return the audit of the story as it went."""
    return lived(tmp_path_factory.mktemp("late"), in_time=False)


def only(report, dispute):
    """Return the one verdict of a dispute."""
    [found] = [one for one in report.verdicts if one.dispute == dispute]
    return found


def test_the_late_voucher_is_d1_and_the_payees_loss(report):
    """1000 attofil, lane 3, with every deciding position on both tapes."""
    found = only(report, "D1")

    assert (found.outcome, found.bearer, found.amount, found.unit) == (
        "found",
        "payee",
        "1000",
        "attofil",
    )
    assert "lane 3, nonce 1, 1000" in found.finding
    assert "could have had 7000; 6000 was redeemed" in found.finding
    [signature] = found.signatures
    assert (signature.signer, signature.valid) == (PAYER_ADDRESS, True)
    cited = [(one.side, one.height, one.says) for one in found.entries]
    assert [(side, height) for side, height, _ in cited] == [
        ("ours", SETTLED_AT),
        ("ours", LATE_AT),
        ("ours", LATE_AT),
        ("ours", SETTLING_AT + 5),
        ("theirs", LATE_AT),
    ]
    for (_, _, says), word in zip(
        cited, ("Settle", "received", "accepted", "Collect", "issued"), strict=True
    ):
        assert word in says


def test_what_was_obtainable_rises_and_ends_with_the_deadline(report):
    """Entitled: 3000, 6000, 7000 once the late voucher is there, and 6000 from settling_at on."""
    entitled = []
    for row in report.quantities:
        if not entitled or entitled[-1][1] != row.values["entitled"]:
            entitled.append((row.height, row.values["entitled"]))

    assert entitled == [(100, "6000"), (LATE_AT, "7000"), (SETTLING_AT, "6000")]
    assert report.quantities[-1].values["deadline"] == str(SETTLING_AT - 1)


def test_the_chain_obeyed_and_the_books_agree(report):
    """Part one: five messages as the rules give, 6000 and 1000 paid; nothing is contradicted."""
    said = " ".join(one.text for one in report.chain)

    assert "paid 6000 to the payee and 1000 back to the payer" in said
    assert "5 of 5 messages ended as the rules give" in said
    assert report.contradicted == ()
    assert any("delivered" in one.text for one in report.undecidable)


def test_every_dispute_of_the_catalogue_is_decided(report):
    """D1 to D20, each at least once; found are only the loss and the late acceptance."""
    decided = [one.dispute for one in report.verdicts]

    assert sorted(set(decided), key=lambda one: int(one[1:])) == [f"D{n}" for n in range(1, 21)]
    assert [one.dispute for one in report.verdicts if one.outcome == "found"] == ["D1", "D20"]


def test_redeemed_in_time_nobody_loses(tmp_path):
    """The control: one epoch before settling_at the payee's node looks once more."""
    report = lived(tmp_path, in_time=True)

    found = only(report, "D1")
    assert (found.outcome, found.bearer, found.amount) == ("clear", "nobody", None)
    said = " ".join(one.text for one in report.chain)
    assert "paid 7000 to the payee and 0 back to the payer" in said


def test_one_book_alone_shows_the_loss_and_says_whose_word_it_is(tmp_path):
    """The payee's own book speaks against the payee; that the payer's is missing is said."""
    with Story(tmp_path, deposit=7000) as story:
        story.accounts()
        story.pay(3, 1000)
        story.chain("settle", PAYER)
        story.at(100 + 1440)
        story.chain("collect", PAYER)
        story.tapes[OURS].flush()
        with Inspector.open(story.paths[OURS]) as ours:
            report = audit(ours, CHANNEL)

    assert only(report, "D1").outcome == "found"
    said = " ".join(one.text for one in report.undecidable)
    assert "What the payer claims is not here" in said
    assert "one side alone says so" in said
