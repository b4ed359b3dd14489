"""Refusals that no other test tells: an instance begun in mid-life, and one thing wrong."""

from __future__ import annotations

import itertools

import pytest
from statetape.engine import catalogue
from statetape.fsm.compiler import load

from .node import Node, offer

REF = "pop.ref/a"
FREE = {"amount": 0, "nonce": 0, "submitted": 0, "vouchers": 0, "deal": ""}
COUNTED = {"ref": REF, "size": 5, "frequency": 0, "bucket": 1, "since": 0}
TERMS = {"price": 0, "unseal": 0, "payment_interval": 1, "interval_increase": 1}
DEAL = {"offer": "o", "open": True, "instance": "", "size": 0, "spent": 0}
FUNDS = {"amount": 1, "request": "", "deal": ""}
MANY = [f"x{number}" for number in range(513)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One tape for all cases, and a number for each instance."""
    node = Node(tmp_path_factory.mktemp("refusals"))
    yield node, itertools.count()
    node.close()


CREATIONS = [
    ("pull", {"root": "", "size": 1, "peer": "p"}, "ROOT_MISSING"),
    ("pull", {"root": "r", "size": 1, "peer": "p", "seed": "00" * 15}, "SEED_NOT_16_BYTES"),
    ("payment_channel", {"Direction": 3}, "DIRECTION_UNKNOWN"),
    ("offer", {"lifetime": 0}, "LIFETIME_ZERO"),
    ("ref", {"size": 1, "names": MANY}, "TOO_MANY_NAMES_AT_ONCE"),
    ("index", {"node": "pop.tx/a"}, "LINK_INVALID"),
    ("node", {"ppb": "-1"}, "PRICE_NEGATIVE"),
    ("node", {"index": "pop.tx/a"}, "LINK_INVALID"),
    ("node", {"replication": "pop.index/a"}, "LINK_INVALID"),
]


@pytest.mark.parametrize(("machine", "params", "reason"), CREATIONS)
def test_an_instance_does_not_begin_like_this(shared, machine, params, reason):
    """By the reason that its machine gives."""
    node, numbers = shared
    receipt = node.begin(f"{machine}/n{next(numbers)}", **params)

    assert (receipt.outcome, receipt.reason["reason"]) == ("rejected", reason)


LISTED = {"listing": {REF: {"root": "r", "size": 5}}}
INDEXED = {"refs": {"r": COUNTED}, "size": 5}
SWEEPING = {"run": "gc", "sweep_until": 2**52, **INDEXED}
BATCH = {"ref": "pop.ref/b", "root": "s", "blocks": []}
OPEN = {"Amount": 9, "lanes": {0: FREE}, "NextLane": 1}
RETRIEVING = {"running": "o", "offers": {"o": offer("o")}, "deadline": 2**52, "totalFunds": 9}

CASES = [
    ("tx", "Retrieving", RETRIEVING, "DealStarted", {"dealID": 0}, "DEAL_ID_MISSING"),
    (
        "tx",
        "Retrieving",
        RETRIEVING,
        "DealStarted",
        {"dealID": 1, "offer": "p"},
        "NOT_THE_RUNNING_OFFER",
    ),
    (
        "tx",
        "Retrieving",
        RETRIEVING,
        "DealStarted",
        {"dealID": 1, "instance": "x"},
        "LINK_INVALID",
    ),
    (
        "tx",
        "Retrieving",
        RETRIEVING,
        "DealFailed",
        {"reason": "r", "spent": "1"},
        "SPENT_WITHOUT_A_DEAL",
    ),
    (
        "tx",
        "Triage",
        {**RETRIEVING, "triage": True, "triage_for": 10**12},
        "OfferAccepted",
        {"totalFunds": "-1", "part": "entries"},
        "AMOUNT_NEGATIVE",
    ),
    (
        "tx",
        "Retrieving",
        {**RETRIEVING, "deals": {1: DEAL}},
        "DealFinished",
        {"dealID": 1, "spent": "-1"},
        "AMOUNT_NEGATIVE",
    ),
    (
        "dispatch",
        "BackingOff",
        {
            "round_ends": 2**52,
            "factor": 2,
            "asked": {"p": {"round": 0, "at": 0}},
            "confirmed": {"p": "transfer"},
        },
        "TransferCompleted",
        {"peer": "p"},
        "CONFIRMED_BEFORE",
    ),
    (
        "dispatch",
        "BackingOff",
        {"round_ends": 2**52},
        "TransferFailed",
        {"peer": "p"},
        "PEER_NOT_ASKED",
    ),
    ("pull", "Requested", {}, "PullStarted", {"channel": "x"}, "LINK_INVALID"),
    ("payment_channel", "Absent", {}, "CreateSubmitted", {"msgCID": ""}, "MESSAGE_ID_MISSING"),
    ("payment_channel", "Ready", OPEN, "AddFundsSubmitted", {"msgCID": ""}, "MESSAGE_ID_MISSING"),
    ("payment_channel", "Creating", {}, "CreateConfirmed", {"channel": ""}, "CHANNEL_MISSING"),
    (
        "payment_channel",
        "Absent",
        {"Direction": 2},
        "ChannelTracked",
        {"channel": "", "amount": "1"},
        "CHANNEL_MISSING",
    ),
    (
        "payment_channel",
        "Absent",
        {"Direction": 2},
        "ChannelTracked",
        {"channel": "f2", "amount": "-1"},
        "AMOUNT_NEGATIVE",
    ),
    ("payment_channel", "Ready", OPEN, "FundsSeen", {"amount": "9"}, "NOT_INBOUND"),
    (
        "payment_channel",
        "Absent",
        {"waiting": dict.fromkeys(range(256), FUNDS)},
        "FundsRequested",
        {"amount": "1"},
        "TOO_MANY_REQUESTS",
    ),
    ("payment_channel", "Ready", OPEN, "LaneAllocated", {"lane": 1, "deal": "x"}, "LINK_INVALID"),
    (
        "payment_channel",
        "Ready",
        OPEN,
        "VoucherAccepted",
        {"lane": 0, "delta": "1", "deal": "x"},
        "LINK_INVALID",
    ),
    ("payment_channel", "Ready", OPEN, "VoucherSubmitted", {"lane": 1}, "LANE_UNKNOWN"),
    ("payment_channel", "Ready", OPEN, "VoucherSubmitted", {"lane": 0}, "NO_VOUCHER_ON_THIS_LANE"),
    ("payment_channel", "Ready", OPEN, "SettleConfirmed", {"settlingAt": 0}, "HEIGHT_MISSING"),
    (
        "payment_channel",
        "Settling",
        {"SettlingAt": 50, "collect_at": 51},
        "CollectDue",
        {},
        "NOT_SETTLED",
    ),
    (
        "query_provider",
        "Offered",
        {"valid_until": 2**52, "terms": TERMS},
        "ProposalReceived",
        {"deal": ""},
        "DEAL_ID_MISSING",
    ),
    (
        "query_provider",
        "Offered",
        {"valid_until": 2**52, "deals": dict.fromkeys(MANY[:256], "")},
        "ProposalReceived",
        {"deal": "d"},
        "TOO_MANY_DEALS",
    ),
    (
        "ref",
        "Listing",
        {"blocks_expected": 600, "parts": 1, "listing_until": 2**52},
        "BlocksAdded",
        {"part": 1, "blocks": MANY},
        "TOO_MANY_BLOCKS_AT_ONCE",
    ),
    (
        "ref",
        "Listing",
        {"blocks_expected": 1, "listing_until": 2**52},
        "Admitted",
        {},
        "BLOCKS_ARE_MISSING",
    ),
    (
        "ref",
        "Indexed",
        {},
        "KeysMerged",
        {"names": [], "blocks": MANY},
        "TOO_MANY_BLOCKS_AT_ONCE",
    ),
    ("ref", "Indexed", {}, "KeysMerged", {"names": MANY}, "TOO_MANY_NAMES_AT_ONCE"),
    ("ref", "Indexed", {}, "Published", {}, "NOT_BEING_PUBLISHED"),
    ("ref", "Indexed", {}, "Evicted", {"reason": "r"}, "NEVER_ADMITTED"),
    ("ref", "Tagged", {}, "Collected", {"run": ""}, "RUN_MISSING"),
    ("index", "Ready", {}, "RefAnnounced", {"root": "r", "size": 1, "ref": ""}, "LINK_INVALID"),
    (
        "index",
        "Ready",
        LISTED,
        "RefAnnounced",
        {"root": "r", "size": 1, "ref": "pop.ref/b"},
        "REF_BEING_LISTED",
    ),
    (
        "index",
        "Ready",
        LISTED,
        "RefAdded",
        {"root": "s", "ref": REF},
        "ANNOUNCED_FOR_ANOTHER_ROOT",
    ),
    (
        "index",
        "Ready",
        {**LISTED, "upper": 4},
        "RefAdded",
        {"root": "r", "ref": REF},
        "LARGER_THAN_THE_INDEX",
    ),
    ("index", "Ready", INDEXED, "RefUsed", {"root": "r", "ref": "pop.ref/b"}, "NOT_INDEXED"),
    ("index", "Ready", INDEXED, "RefDropped", {"root": "r", "ref": "pop.ref/b"}, "NOT_INDEXED"),
    ("index", "Ready", LISTED, "RefWithdrawn", {"ref": "pop.ref/b"}, "NOT_ANNOUNCED"),
    ("index", "Ready", {}, "InterestAsked", {"replication": ""}, "LINK_INVALID"),
    ("index", "Ready", {}, "GcStarted", {"run": "", "reason": "r", "upto": 1}, "RUN_MISSING"),
    (
        "index",
        "Ready",
        {"leaving": [REF]},
        "GcStarted",
        {"run": "gc", "reason": "r", "upto": 1},
        "EVICTIONS_NOT_TOLD",
    ),
    ("index", "Sweeping", SWEEPING, "BlocksCollected", {**BATCH, "ref": ""}, "LINK_INVALID"),
    (
        "index",
        "Sweeping",
        SWEEPING,
        "BlocksCollected",
        {**BATCH, "blocks": MANY},
        "TOO_MANY_BLOCKS_AT_ONCE",
    ),
    (
        "replication",
        "Idle",
        {"interval": 2**40, "next_at": 2**52},
        "HeyReceived",
        {"peer": "p", "index_root": ""},
        "INDEX_ROOT_MISSING",
    ),
    (
        "replication",
        "Fetching",
        {"interval": 2**40, "next_at": 2**52, "fetching": "p", "fetch_until": 2**52},
        "HeyReceived",
        {"peer": "p", "index_root": "i"},
        "BEING_FETCHED",
    ),
    (
        "replication",
        "Fetching",
        {
            "interval": 2**40,
            "next_at": 2**52,
            "fetch_until": 2**52,
            "waiting": dict.fromkeys(MANY[:256], "i"),
        },
        "HeyReceived",
        {"peer": "p", "index_root": "i"},
        "TOO_MANY_PEERS_WAIT",
    ),
    ("replication", "Idle", {}, "NextFetch", {}, "NOBODY_WAITS"),
    (
        "replication",
        "Fetching",
        {"fetching": "p", "fetch_until": 2**52},
        "InterestLoaded",
        {"peer": "p", "refs": [{"root": r, "size": 1, "frequency": 1} for r in MANY[:257]]},
        "TOO_MANY_REFS_AT_ONCE",
    ),
    (
        "replication",
        "Fetching",
        {"fetching": "p", "fetch_until": 2**52},
        "FetchEnded",
        {"peer": "q"},
        "NOT_BEING_FETCHED",
    ),
    (
        "node",
        "Running",
        {},
        "WalletPaid",
        {"from_address": "f01", "to_address": "f02", "amount": "0", "balance": "9"},
        "AMOUNT_NOT_POSITIVE",
    ),
]


@pytest.mark.parametrize(
    ("machine", "state", "fields", "event", "params", "reason"),
    CASES,
    ids=[f"{case[0]}-{case[3]}-{case[5]}" for case in CASES],
)
def test_an_event_is_refused_by_its_reason(shared, machine, state, fields, event, params, reason):
    """And nothing about the instance changes."""
    node, numbers = shared
    name = f"{machine}/n{next(numbers)}"
    node.engine.create(f"pop.{machine}", name.partition("/")[2], fields, state=state, height=10)
    before = node.data(name)
    receipt = node.engine.send(f"pop.{name}", event, params, height=10)

    assert (receipt.outcome, receipt.reason.get("reason")) == ("rejected", reason)
    assert (node.data(name), node.state(name)) == (before, state)


BOUNDS = [
    (
        "tx",
        "ENTRIES_MAX: 4096",
        "Put",
        [{"name": "a", "cid": "b", "size": 1}, {"name": "c", "cid": "d", "size": 1}],
        "TOO_MANY_ENTRIES",
    ),
    (
        "index",
        "REFS_MAX: 20000",
        "RefAnnounced",
        [
            {"root": "r", "size": 1, "ref": "pop.ref/r"},
            {"root": "s", "size": 1, "ref": "pop.ref/s"},
        ],
        "TOO_MANY_ENTRIES",
    ),
]


@pytest.mark.parametrize(("machine", "bound", "event", "sent", "reason"), BOUNDS)
def test_a_bound_that_is_far_off_holds_where_it_is_near(
    shared, machine, bound, event, sent, reason
):
    """The same file with 1 for its bound: the first is taken, the second is not."""
    node, numbers = shared
    text = catalogue.machine(f"pop.{machine}").text
    name, _, number = bound.partition(": ")
    near = load(text.replace(bound, f"{name}: 1"), "near.yaml", catalogue.library)
    key = f"n{next(numbers)}"
    node.engine.create(near, key)
    outcomes = [node.engine.send(f"pop.{machine}/{key}", event, params) for params in sent]

    assert f"{name}: {number}" in text
    assert [one.outcome for one in outcomes] == ["accepted", "rejected"]
    assert outcomes[1].reason["reason"] == reason


@pytest.mark.parametrize("event", ["LaneAllocated", "VoucherAccepted"])
def test_a_channel_has_a_bound_of_lanes(shared, event):
    """4,096; here 1, which is there already."""
    node, numbers = shared
    text = catalogue.machine("pop.payment_channel").text
    near = load(text.replace("LANES_MAX: 4096", "LANES_MAX: 1"), "near.yaml", catalogue.library)
    key = f"n{next(numbers)}"
    node.engine.create(near, key, OPEN, state="Ready")
    params = {"lane": 1} | ({"delta": "1"} if event == "VoucherAccepted" else {})
    receipt = node.engine.send(f"pop.payment_channel/{key}", event, params)

    assert "LANES_MAX: 4096" in text
    assert receipt.reason["reason"] == "TOO_MANY_LANES"


@pytest.mark.parametrize("event", ["VoucherSubmitted", "LaneAllocated"])
def test_the_nearby_case_is_accepted(shared, event):
    """The control: with nothing wrong, the same instance takes the same event."""
    node, numbers = shared
    used = FREE | {"amount": 5, "vouchers": 1}
    key = f"n{next(numbers)}"
    fields = {**OPEN, "lanes": {0: used}}
    node.engine.create("pop.payment_channel", key, fields, state="Ready")
    lane = 0 if event == "VoucherSubmitted" else 1

    assert node.send(f"payment_channel/{key}", event, lane=lane).outcome == "accepted"
