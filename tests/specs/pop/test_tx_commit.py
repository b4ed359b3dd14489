"""The transaction machine, put and commit: what is staged, what is refused, what a crash leaves."""

from __future__ import annotations

import pytest

TX = "tx/t1"
DISPATCH = "dispatch/d1"


@pytest.fixture
def staged(node):
    """A node with one transaction that has two files."""
    node.new(TX)
    node.ok(TX, "Put", name="a", cid="bafya", size=3, chunker="size", layout="balanced", chunk=128)
    node.ok(TX, "Put", name="b", cid="bafyb", size=4, root="bafyroot")
    return node


def test_put_keeps_how_a_file_was_cut(staged):
    """Chunker, layout and chunk size are data: a replay asks nobody for the file's type."""
    entry = staged.data(TX)["entries"]["a"]

    assert entry == {
        "cid": "bafya",
        "size": 3,
        "chunker": "size",
        "layout": "balanced",
        "chunk": 128,
    }
    assert staged.state(TX) == "Staged"


def test_put_of_the_same_name_overwrites(staged):
    """The bytes are those of the newer file, and there is one entry for the name."""
    staged.ok(TX, "Put", name="a", cid="bafyc", size=10, root="bafynew")
    data = staged.data(TX)

    assert (data["payload"], data["root"], len(data["entries"])) == (14, "bafynew", 2)
    assert data["entries"]["a"]["cid"] == "bafyc"


def test_what_is_staged_survives_a_crash(staged):
    """pop lost it: entries, root and size were in memory."""
    before = staged.data(TX)
    staged.crash()

    assert staged.data(TX) == before
    assert staged.state(TX) == "Staged"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"name": "", "cid": "bafya", "size": 1}, "NAME_MISSING"),
        ({"name": "a", "cid": "", "size": 1}, "CID_MISSING"),
        ({"name": "a", "cid": "bafya", "size": -1}, "bad_arguments"),
    ],
)
def test_a_put_without_name_content_or_size_is_refused(node, params, reason):
    """By its reason."""
    node.new(TX)

    assert node.refused(TX, "Put", **params) == reason
    assert node.state(TX) == "Open"


def test_nothing_staged_is_nothing_to_commit(node):
    """And the refusal says where a commit would be taken."""
    node.new(TX)
    receipt = node.send(TX, "CommitRequested")

    assert receipt.reason["kind"] == "no_transition"
    assert receipt.reason["accepted_in"] == ["Staged"]


def test_an_archive_has_exactly_one_root(node):
    """None and two are refused; one is staged, and takes no further files."""
    node.new(TX)

    assert node.refused(TX, "Imported", roots=[], size=1) == "NOT_ONE_ROOT"
    assert node.refused(TX, "Imported", roots=["r1", "r2"], size=1) == "NOT_ONE_ROOT"
    node.ok(TX, "Imported", roots=["r1"], size=8)
    assert node.data(TX)["payload"] == 8
    assert node.refused(TX, "Put", name="a", cid="bafya", size=1) == "IMPORTED_AS_A_WHOLE"


def test_an_unknown_codec_is_refused(node):
    """The root's codec is dag-cbor or dag-pb."""
    assert node.begin(TX, codec="raw").reason["reason"] == "CODEC_UNKNOWN"
    assert node.begin(TX, codec="dag-pb").outcome == "accepted"


def test_more_peers_than_the_factor_are_refused_and_as_many_are_not(staged):
    """A peer that is listed twice is one."""
    refusal = staged.send(TX, "CommitRequested", rf=2, peers=["p1", "p2", "p3"])

    assert refusal.reason["reason"] == "MORE_PEERS_THAN_FACTOR"
    assert refusal.reason["saw"] == {"listed": 3, "rf": 2}
    staged.ok(TX, "CommitRequested", rf=2, peers=["p1", "p2", "p1"])
    [order] = staged.effects("Dispatch")
    assert (order["peers"], order["root"], order["size"]) == (["p1", "p2"], "bafyroot", 7)


@pytest.mark.parametrize(
    ("params", "reason"),
    [({"rf": 257}, "FACTOR_TOO_LARGE"), ({"attempts": 101}, "TOO_MANY_ATTEMPTS")],
)
def test_a_commit_has_bounds(staged, params, reason):
    """The same as its dispatch has."""
    assert staged.refused(TX, "CommitRequested", **params) == reason


def test_a_factor_of_nothing_commits_without_a_dispatch(staged):
    """Committed at once, its entry effects done, and no dispatch asked for."""
    staged.ok(TX, "CommitRequested", rf=0)

    assert staged.state(TX) == "Committed"
    assert staged.effects("Dispatch") == []
    assert staged.effects("SetRef") == [{"do": "SetRef", "root": "bafyroot", "size": 7, "names": 2}]


def test_a_cache_counts_once(staged):
    """The second word of the same cache is refused; the count is that of the caches."""
    staged.ok(TX, "CommitRequested", rf=3)
    staged.ok(TX, "CacheConfirmed", provider="p1")

    assert staged.refused(TX, "CacheConfirmed", provider="p1") == "CONFIRMED_BEFORE"
    staged.ok(TX, "CacheConfirmed", provider="p2")
    assert staged.data(TX)["confirmations"] == 2


def test_a_dispatch_that_is_never_heard_of_again_does_not_hold_the_content(staged):
    """After all its rounds and an hour more the content is committed, with a note why."""
    staged.ok(TX, "CommitRequested", rf=1, attempts=1, backoffMin=60_000_000)
    staged.forward(60 + 120 + 3600 - 1)
    assert staged.state(TX) == "Dispatching"
    staged.forward(1)

    assert staged.state(TX) == "Committed"
    assert staged.data(TX)["error"] == "the dispatch never said how it ended"


def test_closing_migrates_only_what_was_committed(node):
    """Staged and closed: the blocks go with the temporary store."""
    for name, commits in (("tx/kept", True), ("tx/lost", False)):
        node.new(name)
        node.ok(name, "Put", name="a", cid="bafya", size=1)
        if commits:
            node.ok(name, "CommitRequested", rf=0)
        node.ok(name, "Close")

    assert [effect["migrate"] for effect in node.effects("DumpStore")] == [True, False]
    assert node.refused("tx/kept", "Close") == "terminated"


def test_a_commit_orders_its_dispatch_and_hears_of_its_end_in_the_same_commit(staged):
    """Both hand-overs are on the tape with the entry that made them: none can be lost between."""
    staged.new(DISPATCH)
    staged.ok(TX, "CommitRequested", rf=1, dispatch="pop.dispatch/d1", peers=["p1"])
    assert staged.data(DISPATCH)["root"] == "bafyroot"
    staged.ok(DISPATCH, "PeersSelected", peers=["p2", "p1"])
    staged.crash()
    staged.ok(DISPATCH, "TransferCompleted", peer="p1")

    assert (staged.state(DISPATCH), staged.state(TX)) == ("Fulfilled", "Committed")
    assert list(staged.data(TX)["confirmed"]) == ["p1"]
    handed = [(entry["event"], entry["raised"]) for entry in staged.entries() if "raised" in entry]
    assert [event for event, _ in handed] == [
        "Ordered",
        "CacheConfirmed",
        "FactorReached",
        "DispatchEnded",
    ]


def test_a_dispatch_without_a_known_root_is_refused_before_anything_moves(node):
    """The order would be refused over there, and the commit would wait for ever."""
    node.new(TX)
    node.new(DISPATCH)
    node.ok(TX, "Put", name="a", cid="bafya", size=3)

    assert node.refused(TX, "CommitRequested", dispatch="pop.dispatch/d1") == "ROOT_UNKNOWN"
    assert node.refused(TX, "CommitRequested", dispatch="pop.tx/t1") == "LINK_INVALID"
    assert node.state(TX) == "Staged"


def test_closing_while_it_is_dispatched_ends_the_dispatch(staged):
    """And the dispatch does not answer to a transaction that is closed."""
    staged.new(DISPATCH)
    staged.ok(TX, "CommitRequested", rf=1, dispatch="pop.dispatch/d1")
    staged.ok(TX, "Close")

    assert staged.state(DISPATCH) == "Exhausted"
    assert staged.refusals() == []


def test_a_commit_that_nobody_closes_is_noticed(staged):
    """Ten minutes of silence are an entry, and it names what was refused meanwhile."""
    staged.ok(TX, "CommitRequested", rf=0)
    staged.refused(TX, "CacheConfirmed", provider="p1")
    staged.forward(600)

    last = staged.entries()[-1]
    assert (last["event"], last["params"]) == ("Stalled", {"refused": "CacheConfirmed"})
