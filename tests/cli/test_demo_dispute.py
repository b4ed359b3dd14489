"""`demo dispute`: lotus's end-to-end story ends in D1, with 1000 lost to the payee."""

from __future__ import annotations

import pytest
from statetape.cli import command_demo
from statetape.engine.audit import audit
from statetape.engine.inspect import Inspector
from statetape.fsm.audit import FOUND
from statetape.specs.filecoin.demo_dispute import ACCOUNT, CHANNEL, KEY, NODES


@pytest.fixture(scope="module")
def tapes(tmp_path_factory):
    """Both tapes of both tellings, and what was printed."""
    found = {}
    for fault in ("late-voucher", "none"):
        folder = tmp_path_factory.mktemp(fault)
        command_demo.demo("dispute", fault, folder / "demo.db")
        found[fault] = {node: folder / f"demo-{node}.db" for node in NODES}
    return found


def report(paths, ours="payee", theirs="payer"):
    """Return the audit of a telling, from one side."""
    with Inspector.open(paths[ours]) as mine, Inspector.open(paths[theirs]) as other:
        return audit(mine, KEY, other)


def seen(path, name):
    """Return an instance's data."""
    with Inspector.open(path) as inspector:
        return inspector.show(name).folded.data


def test_the_late_voucher_is_lost_to_the_payee(tapes):
    """D1 is found, the payee bears 1000, and the evidence has the payer's signature on it."""
    found = [one for one in report(tapes["late-voucher"]).verdicts if one.outcome == FOUND]
    lost = found[0]

    assert lost.dispute == "D1"
    assert (lost.bearer, lost.amount, lost.unit) == ("payee", "1000", "attofil")
    assert {cited.side for cited in lost.entries} == {"ours", "theirs"}
    assert [signed.valid for signed in lost.signatures] == [True]


def test_both_sides_find_the_same(tapes):
    """Whoever asks: the verdicts, who bears what, and what the chain did."""
    paths = tapes["late-voucher"]
    ours, theirs = report(paths), report(paths, "payer", "payee")

    def decided(one):
        return [(v.dispute, v.outcome, v.bearer, v.amount) for v in one.verdicts]

    assert decided(ours) == decided(theirs)
    assert ours.quantities == theirs.quantities


def test_looking_once_more_before_the_deadline_leaves_no_dispute(tapes):
    """The control: the same story, with the late voucher redeemed."""
    told = report(tapes["none"])

    assert "D1" not in [one.dispute for one in told.verdicts if one.outcome == FOUND]
    assert seen(tapes["none"]["payee"], CHANNEL)["paid_to"] == "7000"


def test_the_money_is_where_lotus_test_has_it(tapes):
    """6000 to the payee, exactly 1000 back to the payer, and the lane-4 voucher never made."""
    paths = tapes["late-voucher"]
    for node in NODES:
        data = seen(paths[node], CHANNEL)

        assert (data["deposited"], data["paid_to"], data["paid_from"]) == ("7000", "6000", "1000")
    book = seen(paths["payer"], ACCOUNT)

    assert sorted(book["lanes"]) == ["0", "1", "2", "3"]


def test_the_story_says_what_to_try_next(tmp_path, capsys):
    """The audit of both tapes, its page, and a bundle of the evidence."""
    assert command_demo.demo("dispute", None, tmp_path / "demo.db") == 0
    out = capsys.readouterr().out

    assert "FOUND  D1" in out
    assert "the payee bears 1000 attofil" in out
    assert "--html dispute.html" in out
    assert "bundle export" in out
