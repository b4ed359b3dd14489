"""The node: what a stop leaves, what a crash leaves, and what its operator did."""

from __future__ import annotations

import pytest

N = "node/n"


def test_a_clean_stop_leaves_its_mark_and_the_next_start_recovers_nothing(node):
    """The mark is the last entry of the run."""
    node.new(N)
    node.ok(N, "Started", release="1.0")
    node.ok(N, "ShutdownRequested", in_hand=2)
    node.ok(N, "DrainProgress", in_hand=1)
    assert node.refused(N, "Drained", left=1) == "WORK_IS_LEFT"
    node.ok(N, "Drained")
    assert node.entries()[-1]["set"]["clean"] is True
    node.ok(N, "Started")

    assert (node.effects("Recover"), node.data(N)["crashes"]) == ([], 0)


@pytest.mark.parametrize("draining", [False, True])
def test_a_crash_is_told_from_a_stop(node, draining):
    """No mark: the next start counts a crash, and recovers what the run had begun."""
    node.new(N)
    node.ok(N, "Started")
    began = node.clock.now
    if draining:
        node.ok(N, "ShutdownRequested")
    node.crash()
    node.forward(1)
    node.ok(N, "Started")

    assert node.data(N)["crashes"] == 1
    assert node.effects("Recover") == [{"do": "Recover", "run": 1, "since": began}]


def test_a_drain_that_takes_too_long_is_no_clean_stop_and_no_crash(node):
    """After 30 s it stops with work in hand; the next start recovers it."""
    node.new(N)
    node.ok(N, "Started")
    node.ok(N, "ShutdownRequested", in_hand=3)
    node.forward(30)
    assert (node.state(N), node.data(N)["in_hand"]) == ("Stopped", 3)
    node.ok(N, "Started")

    assert (len(node.effects("Recover")), node.data(N)["crashes"]) == (1, 0)


def test_a_change_of_configuration_leaves_the_rest_as_it_was(node):
    """Only what is given changes; a region that is named twice is one."""
    node.new(N, maxppb=7, ppb="2", regions=["Asia"])
    node.ok(N, "ConfigChanged", ppb="3")
    node.ok(N, "ConfigChanged", regions=["Europe", "Asia", "Europe"])
    config = node.data(N)["config"]

    assert (config["maxppb"], config["ppb"]) == (7, 3)
    assert config["regions"] == ("Europe", "Asia")


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"maxppb": -2}, "MAXPPB_INVALID"),
        ({"ppb": "-1"}, "PRICE_NEGATIVE"),
        ({"capacity": -1}, "bad_arguments"),
        ({"regions": [f"r{number}" for number in range(65)]}, "TOO_MANY_REGIONS"),
    ],
)
def test_a_wrong_configuration_is_refused(node, params, reason):
    """Whole: nothing of it is taken."""
    node.new(N)
    before = node.data(N)

    assert node.refused(N, "ConfigChanged", **params) == reason
    assert node.data(N) == before


def test_the_highest_price_of_the_node_is_5_unless_it_says_another(node):
    """-1 is only free; less is nothing."""
    node.new(N)
    assert node.data(N)["config"]["maxppb"] == 5
    node.ok(N, "ConfigChanged", maxppb=-1)

    assert node.begin("node/m", maxppb=-2).reason["reason"] == "MAXPPB_INVALID"


def test_the_wallet_pays_what_it_holds(node):
    """One attofil more is refused with both amounts; what was exported is known, never the key."""
    node.new(N)
    node.ok(N, "Started")
    pay = {"from_address": "f01", "to_address": "f02", "amount": "10"}
    refused = node.send(N, "WalletPaid", **pay, balance="9").reason
    assert (refused["reason"], refused["saw"]) == (
        "INSUFFICIENT_BALANCE",
        {"balance": "9", "amount": "10"},
    )
    node.ok(N, "WalletPaid", **pay, balance="10")
    node.ok(N, "WalletExported", address="f01")

    assert node.data(N)["wallet_paid"] == 10


def test_an_upgrade_is_on_record_and_runs_from_the_next_start(node):
    """Which release decided what can be read off the tape."""
    node.new(N, release="1.0")
    node.ok(N, "Started")
    node.ok(N, "Upgraded", release="1.1")

    assert node.refused(N, "Upgraded", release="") == "RELEASE_MISSING"
    node.ok(N, "Started")
    assert node.data(N)["version"] == "1.1"
