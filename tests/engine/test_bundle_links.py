"""Events between the instances of one bundle: sent as raised, and raised as sent."""

from __future__ import annotations

import json

import pytest
from statetape.engine.bundle import verify
from statetape.specs.filecoin.voucher import parse

from ..storage.bundles import exported, log_key
from ..storage.forging import LOG, bodies_of, body, forged
from .machines import Clock, open_tape
from .test_bundle import KEY, PEER, codes, voucher

ACCOUNT = f"filecoin.channel_account/{KEY}"
TEXT = voucher(10, 1)
RECORD = f"filecoin.voucher/{KEY}/{parse(TEXT).id_hex}"


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """A payee's book without a channel: a voucher is offered to the account, which refuses it."""
    path = tmp_path_factory.mktemp("links") / "t.db"
    with open_tape(path, Clock()) as engine:
        engine.observe("filecoin", 100)
        engine.create(
            "filecoin.channel_account", KEY, {"control": "f0101", "target": PEER, "payer_key": PEER}
        )
        name = RECORD.partition("/")[2]
        engine.create("filecoin.voucher", name, {"sv": TEXT, "role": "received"})
    return path


def entries(tape):
    return [json.loads(one) for one in bodies_of(tape)]


def said(told, tape, left_out=()):
    """Verify a log's own bundle of these entries, with the vouchers that the honest one has."""
    honest = verify(exported(tape, RECORD, ACCOUNT).content, [log_key(tape)])
    objects = {n: c for n, c in honest.bundle.members.items() if n.startswith("vouchers/")}
    shown = [pos for pos in sorted(honest.bundle.entries) if pos not in left_out]
    return verify(forged([body(one) for one in told], shown, objects), [LOG.verifier])


def test_the_links_of_a_tape_hold(tape):
    """The control, as exported and as the forger's own log has it; and the links are there."""
    told = entries(tape)

    assert codes(verify(exported(tape, RECORD, ACCOUNT).content, [log_key(tape)])) == []
    assert codes(said(told, tape)) == []
    assert [one for one in told if "raised" in one]
    assert [one for one in told if "raises" in one]


def test_an_event_that_nobody_raised_is_found(tape):
    """It says that it came from an entry that is there, or that is to come, which raised none."""
    told = entries(tape)
    [at] = [at for at, one in enumerate(told) if one.get("event") == "refused"]
    for by in (told[at]["instance"], at + 1, at + 9):
        forgery = [*told[:at], {**told[at], "raised": by}, *told[at + 1 :]]
        assert "replay-differs" in {code for _, code in codes(said(forgery, tape))}


def test_an_event_that_never_arrived_is_found(tape):
    """The account's verdict is left out of the record, which goes on as if there had been none."""
    told = entries(tape)
    [at] = [at for at, one in enumerate(told) if one.get("event") == "refused"]
    sent = {"at": told[at]["at"], "event": "no_such_event", "instance": told[at]["instance"]}
    found = said([*told[:at], {**sent, "pos": at + 1, "seq": told[at]["seq"]}], tape)

    assert (10, "replay-incomplete") in codes(found)
