"""Bundles with statetape at hand: decided again by their machine, judged by their system."""

from __future__ import annotations

import json

import pytest
from statetape.engine import catalogue, collection
from statetape.engine.bundle import (
    BundleEmpty,
    PeerKeyInvalid,
    export,
    peer_keys,
    verify,
)
from statetape.engine.commands import Hold, InstanceCollected, InstanceUnknown
from statetape.engine.inspect import Inspector
from statetape.fsm.compiler import load
from statetape.specs.filecoin.address import from_actor_data
from statetape.specs.filecoin.keys import address_of, sign
from statetape.specs.filecoin.voucher import SignedVoucher
from statetape.storage import bundle as storage_bundle
from statetape.storage.files import Files

from ..storage.bundles import (
    changed,
    exported,
    log_key,
    members_of,
    sealed,
    small_tape,
    upto,
    writing,
)
from .jobs import HOUR
from .machines import COUNTER, TRANSFER, Clock, open_tape
from .test_collection import jobs

PAYER, STRANGER = bytes([1] * 32), bytes([2] * 32)
PEER = address_of(PAYER)
KEY = from_actor_data(b"tests: a channel in a bundle")
CHANNEL = f"filecoin.payment_channel/{KEY}"
ACTORS = {"id": "f0102", "from": PEER, "to": "f0101", "value": 1000, "addresses": {PEER: "f0100"}}


def voucher(amount, nonce, lane=0, secret=PAYER, channel=KEY):
    """A voucher's text."""
    unsigned = SignedVoucher(channel, 0, 0, b"", None, lane, nonce, amount, 0, (), None)
    return unsigned._replace(signature=sign(secret, unsigned.signing_bytes())).text()


def channel_tape(path, vouchers, machine="filecoin.payment_channel"):
    """A tape with a channel of 1000, whose payee redeems these vouchers."""
    with open_tape(path, Clock()) as engine:
        engine.observe("filecoin", 100)
        engine.create(machine, KEY, ACTORS)
        for text in vouchers:
            engine.send(CHANNEL, "update_channel_state", {"caller": "f0101", "sv": text})
    return path


TRUSTING = load(
    """
machine: filecoin.payment_channel
version: 9
title: A channel as somebody who lies would write it
chain: filecoin
data: {paid: int = 0}
create:
  event: constructor
  params:
    {id: text, from: text, to: text, value: attofil, addresses: "map[text, text]"}
  set: {paid: 0}
states: {open: {initial: true, no_deadline: never}}
events:
  update_channel_state:
    params: {caller: text, sv: text}
    set: {paid: paid + 1}
    go: [{from: open}]
""",
    "trusting.yaml",
    catalogue.library,
)


def found(path, name=CHANNEL, peers=(), **options):
    """Verify what is exported of an instance."""
    return verify(exported(path, name, **options).content, [log_key(path)], peers=peers)


def codes(result):
    """Step and code of each problem."""
    return [(one.step, one.code) for one in result.problems]


def test_a_channels_bundle_holds_in_every_step(tmp_path):
    """The control: decided again, signed by the peer, in order, within the funds."""
    path = channel_tape(tmp_path / "t.db", [voucher(10, 1), voucher(300, 2), voucher(400, 1, 1)])
    result = found(path, peers=[PEER])

    assert result.problems == []
    assert result.decided == 1
    assert "3 vouchers are signed by the peers given" in result.held
    assert (
        f"{CHANNEL}: 3 redeemed, 700 owed to the payee of 1000 that the log says came in"
        in result.held
    )
    assert result.open == []


def test_without_a_peers_key_the_signers_are_named_and_not_judged(tmp_path):
    """What was not checked is said."""
    result = found(channel_tape(tmp_path / "t.db", [voucher(10, 1)]))

    assert result.problems == []
    assert PEER in result.open[0]


def test_what_was_refused_may_be_by_anybody(tmp_path):
    """A refusal is evidence too; only what was taken must be right."""
    path = channel_tape(tmp_path / "t.db", [voucher(10, 1), voucher(20, 2, secret=STRANGER)])
    result = found(path, peers=[PEER])

    assert result.problems == []
    assert len([name for name in result.bundle.members if name.startswith("vouchers/")]) == 2


@pytest.mark.parametrize(
    ("vouchers", "code"),
    [
        ([voucher(10, 1, secret=STRANGER)], "voucher-of-a-stranger"),
        ([voucher(10, 2), voucher(20, 2)], "nonce-not-rising"),
        ([voucher(900, 1), voucher(900, 1, 1)], "more-than-the-funds"),
        ([voucher(10, 1, channel=from_actor_data(b"another"))], "voucher-of-another-channel"),
        (["no voucher"], "voucher-unreadable"),
    ],
)
def test_a_machine_that_believes_everything_does_not_help(tmp_path, vouchers, code):
    """The log's owner wrote both machine and entries: all steps hold, but for the system's own."""
    path = channel_tape(tmp_path / "t.db", vouchers, TRUSTING)

    assert codes(found(path, peers=[PEER])) == [(11, code)]


def test_an_entry_that_the_machine_does_not_decide_is_named(tmp_path):
    """Signed by the log, in order, and consistent: but five is not what two and one are."""
    path = tmp_path / "t.db"
    with open_tape(path, Clock()) as engine:
        engine.create(COUNTER, "one", {"limit": 9})
        engine.send("test.counter/one", "add", {"by": 2})
    lie = {"at": 1_600_000_000_000_000, "event": "add", "instance": 3, "params": {"by": 1}}
    lie |= {"pos": 5, "seq": 3, "set": {"count": 5}}
    with writing(path) as tape:
        tape.take()
        tape.write([json.dumps(lie, sort_keys=True, separators=(",", ":")).encode()])
        tape.give()
    result = found(path, "test.counter/one", alone=True)

    assert codes(result) == [(10, "replay-differs")]
    assert result.problems[0].place == "entries/000000000005.json"
    assert result.bundle.problems == []


def test_a_history_cut_within_a_turn_lacks_what_must_follow(tmp_path):
    """Parked commands follow at once where they can: a bundle that ends before is incomplete."""
    path = tmp_path / "t.db"
    with open_tape(path, Clock()) as engine:
        engine.create(TRANSFER, "t")
        engine.send("test.transfer/t", "block", {"size": 3})
        engine.send("test.transfer/t", "accept")

    assert codes(found(path, "test.transfer/t", upto=upto(5))) == [(10, "replay-incomplete")]
    assert codes(found(path, "test.transfer/t", upto=upto(4))) == []
    assert codes(found(path, "test.transfer/t")) == []


def test_a_machine_that_cannot_be_loaded_is_a_problem(tmp_path):
    """A text that is no machine, with a digest that fits it."""
    path = small_tape(tmp_path / "t.db")
    data = exported(path, alone=True).content
    spec, text = "entries/000000000002.json", "spec/000000000002.yaml"

    def spoil(members):
        entry = json.loads(members[spec])
        entry["text"] = "machine: [a, b"
        members[text] = entry["text"].encode()
        members[spec] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()

    assert (10, "machine-unloadable") in codes(verify(changed(data, spoil), [log_key(path)]))


def test_a_voucher_that_no_entry_names_is_a_problem(tmp_path):
    """Nor may one be left out that an entry names."""
    path = channel_tape(tmp_path / "t.db", [voucher(10, 1)])
    data, keys = exported(path, CHANNEL).content, [log_key(path)]
    members = members_of(data)
    [name] = [name for name in members if name.startswith("vouchers/")]
    other = f"vouchers/{'0' * 64}.txt"

    moved = {other if n == name else n: c for n, c in members.items()}
    left_out = {n: c for n, c in members.items() if n != name}

    assert set(codes(verify(sealed(moved), keys))) == {(11, "object-not-named")}
    assert codes(verify(sealed(left_out), keys)) == [(11, "object-not-named")]


def test_entries_that_are_not_ours_are_problems(tmp_path):
    """Canonical, signed or not: members that no entry has."""
    path = small_tape(tmp_path / "t.db")
    data = exported(path, alone=True).content

    def spoil(members):
        name = "entries/000000000004.json"
        members[name] = members[name].replace(b'"params"', b'"parama"')

    assert (10, "entry-not-ours") in codes(verify(changed(data, spoil), [log_key(path)]))


def test_what_is_exported_is_chosen(tmp_path):
    """Alone, with others by name, and up to a point; what is not there is said."""
    path = small_tape(tmp_path / "t.db")
    both = exported(path, "test.counter/one", "other")

    assert both.instances == ["test.counter/one", "test.lease/other"]
    assert found(path, "one", upto=upto(4)).bundle.rows[3]["seq"] == 2
    with pytest.raises(InstanceUnknown):
        exported(path, "nobody")
    with pytest.raises(BundleEmpty):
        exported(path, upto=upto(2))


def test_a_collected_instance_has_no_bundle(tmp_path):
    """Its entries are gone, and that is said by name; one on hold still has (the control)."""
    path, clock = tmp_path / "t.db", Clock()
    with jobs(path, clock=clock) as engine:
        clock.forward(3 * HOUR)
        engine.execute(Hold("tests.job/7", "a dispute"))
        collection.collect(engine)

    with pytest.raises(InstanceCollected):
        exported(path, "tests.job/8")
    assert found(path, "tests.job/7").problems == []


def test_a_tape_without_its_key_is_exported_up_to_its_newest_checkpoint(tmp_path):
    """What is not signed is left out, and that is said."""
    path = small_tape(tmp_path / "t.db")
    files = Files.of(path)
    with open_tape(path, Clock()) as engine:
        engine.create(COUNTER, "late")
        held = files.key.read_bytes()
        engine.tape.signer = None  # as after a crash: stored, and not signed
    files.key.unlink()
    refused = storage_bundle.sign(files)
    with Inspector.open(path) as inspector:
        made = export(inspector, "one", now=0)
        with pytest.raises(BundleEmpty):
            export(inspector, "late", now=0)
    files.key.write_bytes(held)

    assert refused.code == "key-invalid"
    assert made.size == 9
    assert "only 9 are signed" in made.notes[0]


def test_peer_keys_are_read_in_any_form():
    """An address of the other network is the same key; what holds no key is refused."""
    assert peer_keys(["t" + PEER[1:], PEER]) == [PEER, PEER]
    for text in ("f0100", KEY, "nonsense", ""):
        with pytest.raises(PeerKeyInvalid):
            peer_keys([text])
