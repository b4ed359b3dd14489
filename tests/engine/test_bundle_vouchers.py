"""Vouchers in a bundle whose log's owner wrote machine and entries: whose channel's they are."""

from __future__ import annotations

import pytest
from statetape.engine import catalogue
from statetape.fsm.compiler import load
from statetape.specs.filecoin.address import from_actor_data
from statetape.specs.filecoin.voucher import parse

from .machines import Clock, open_tape
from .test_bundle import ACTORS, CHANNEL, KEY, PEER, TRUSTING, codes, found, voucher

OTHER = from_actor_data(b"another")
NOTHING_CHECKED = load(
    """
machine: filecoin.voucher
version: 9
title: A record as somebody who lies would write it
data: {sv: text = ""}
create:
  params: {sv: text, role: text}
  set: {sv: sv}
states: {issued: {initial: true, no_deadline: never}}
events:
  accepted:
    go: [{from: issued}]
""",
    "nothing-checked.yaml",
    catalogue.library,
)


def recorded(path, text, name, role="received"):
    """What a bundle says of a voucher that its log recorded, and accepted."""
    with open_tape(path, Clock()) as engine:
        engine.create(NOTHING_CHECKED, name, {"sv": text, "role": role})
        engine.send(f"filecoin.voucher/{name}", "accepted")
    return found(path, f"filecoin.voucher/{name}", alone=True, peers=[PEER])


def named(text, channel=KEY):
    """The name that a voucher's record has."""
    return f"{channel}/{parse(text).id_hex}"


@pytest.mark.parametrize("role", ["received", "issued"])
def test_a_record_is_of_a_voucher_for_its_channel(tmp_path, role):
    """The peer did sign that voucher, but for another channel. The control: for this one."""
    own, other = voucher(10, 1), voucher(10, 1, channel=OTHER)

    assert codes(recorded(tmp_path / "own.db", own, named(own), role)) == []
    result = recorded(tmp_path / "other.db", other, named(other), role)
    assert codes(result) == [(11, "voucher-of-another-channel")]


def test_a_record_is_of_the_voucher_that_it_is_named_after(tmp_path):
    """The peer did sign that voucher, but it is not the one that the record says."""
    result = recorded(tmp_path / "t.db", voucher(10, 1), named(voucher(500, 2)))

    assert codes(result) == [(11, "voucher-unreadable")]


def redeemed(path, text, **params):
    """What a bundle says of a channel created with these parameters, that redeemed a voucher."""
    with open_tape(path, Clock()) as engine:
        engine.observe("filecoin", 100)
        engine.create(TRUSTING, KEY, {**ACTORS, **params})
        engine.send(CHANNEL, "update_channel_state", {"caller": "f0101", "sv": text})
    return found(path, peers=[PEER])


def test_a_channel_has_no_second_address_that_lasts(tmp_path):
    """The log says that another channel's address is this one's: no actor has two."""
    aliased = {PEER: "f0100", OTHER: "f0102"}
    for params in ({"addresses": aliased}, {"id": OTHER}, {"id": PEER, "addresses": aliased}):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.db"
        result = redeemed(path, voucher(10, 1, channel=OTHER), **params)
        assert codes(result) == [(11, "voucher-of-another-channel")]


def test_that_an_id_is_the_channels_only_the_log_says(tmp_path):
    """The chain takes a voucher that names the channel so; nothing here can tell whose ID it is."""
    result = redeemed(tmp_path / "t.db", voucher(10, 1, channel="f0102"))
    plain = redeemed(tmp_path / "plain.db", voucher(10, 1))
    other = redeemed(tmp_path / "other.db", voucher(10, 1, channel="f0103"))

    assert codes(result) == []
    assert [line for line in result.open if "f0102" in line and "only the log says" in line]
    assert plain.open == []
    assert codes(other) == [(11, "voucher-of-another-channel")]


def test_nothing_less_than_nothing_is_redeemed(tmp_path):
    """A negative amount on one lane would make room for more on another."""
    path = tmp_path / "t.db"
    with open_tape(path, Clock()) as engine:
        engine.observe("filecoin", 100)
        engine.create(TRUSTING, KEY, ACTORS)
        for text in (voucher(-500, 1, 1), voucher(1_400, 1)):
            engine.send(CHANNEL, "update_channel_state", {"caller": "f0101", "sv": text})

    assert codes(found(path, peers=[PEER])) == [(11, "amount-not-rising")]
