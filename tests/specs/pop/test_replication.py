"""What other nodes hold: fetched one index at a time, and retrieved where it is worth the room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.specs.pop.interest import interesting

R = "replication/main"
MINUTE = 60_000_000


def begin(node, **params):
    """Begin the replication of a node, with a tick each minute."""
    node.new(R, **({"interval": MINUTE, "index": "pop.index/main"} | params))


def fetch(node, peer, *refs):
    """Fetch a peer's index with these (root, size, frequency)."""
    node.ok(R, "HeyReceived", peer=peer, index_root=f"index-of-{peer}")
    named = [{"root": root, "size": size, "frequency": used} for root, size, used in refs]
    node.ok(R, "InterestLoaded", peer=peer, refs=named)
    node.ok(R, "FetchEnded", peer=peer)


def test_one_index_is_fetched_at_a_time(node):
    """Who says hello meanwhile waits, also over a crash; then it is its turn."""
    begin(node)
    node.ok(R, "HeyReceived", peer="p1", index_root="i1")
    node.ok(R, "HeyReceived", peer="p2", index_root="i2")
    assert [one["peer"] for one in node.effects("FetchIndex")] == ["p1"]
    assert node.refused(R, "InterestLoaded", peer="p2", refs=[]) == "NOT_BEING_FETCHED"
    node.ok(R, "FetchEnded", peer="p1")
    node.crash()
    node.forward(1)

    assert node.effects("FetchIndex")[1:] == [
        {"do": "FetchIndex", "peer": "p2", "index_root": "i2"}
    ]


def test_a_fetch_that_goes_silent_is_over(node):
    """After five minutes; what came of it stays."""
    begin(node)
    node.ok(R, "HeyReceived", peer="p1", index_root="i1")
    one = {"root": "r1", "size": 1, "frequency": 1}
    node.ok(R, "InterestLoaded", peer="p1", refs=[one])
    node.forward(300)

    assert (node.state(R), list(node.data(R)["interests"])) == ("Idle", ["r1"])
    assert node.data(R)["failed"] == {"p1": "nothing came for 5 minutes"}


def test_replication_that_is_off_fetches_nothing(node):
    """Interval 0 is never; the node's configuration turns it on."""
    node.new("node/n", replication="pop.replication/main")
    begin(node, interval=0)
    hello = {"peer": "p1", "index_root": "i1"}
    assert node.refused(R, "HeyReceived", **hello) == "REPLICATION_IS_OFF"
    node.ok("node/n", "ConfigChanged", replication_interval=MINUTE)

    node.ok(R, "HeyReceived", **hello)


def test_the_most_used_content_is_retrieved_while_there_is_room(node):
    """Use is summed over the nodes that name it; each is asked for once."""
    node.new("index/main", upper=100)
    begin(node)
    fetch(node, "p1", ("r1", 60, 3), ("r2", 50, 4))
    fetch(node, "p2", ("r1", 60, 2), ("r3", 40, 1))
    node.forward(60)
    node.forward(60)

    assert node.effects("Retrieve") == [{"do": "Retrieve", "roots": ["r1", "r3"]}]


def test_a_full_index_takes_only_what_is_used_more_than_what_would_leave(node):
    """The least used entry was used once: 1 is not more, 2 is."""
    node.new("index/main", upper=100)
    node.new("ref/mine", size=90, index="pop.index/main")
    node.ok("ref/mine", "Used")
    begin(node)
    fetch(node, "p1", ("r1", 10, 1))
    node.forward(60)
    assert node.effects("Retrieve") == []
    fetch(node, "p2", ("r1", 10, 1))
    node.forward(60)

    assert [one["roots"] for one in node.effects("Retrieve")] == [["r1"]]


def test_what_is_here_is_of_no_interest_any_more(node):
    """And what never was, cannot be dropped."""
    begin(node)
    fetch(node, "p1", ("r1", 1, 1))
    node.ok(R, "DropInterest", root="r1")

    assert node.refused(R, "DropInterest", root="r1") == "NO_SUCH_INTEREST"


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=2), st.tuples(st.integers(1, 9), st.integers(0, 9))
    ),
    st.integers(0, 20),
    st.integers(0, 9),
)
def test_the_choice_fits_and_nothing_better_was_passed_over(named, space, least):
    """What was passed over is used less, or did not fit into what the better ones left."""
    interests = {
        root: {"size": size, "frequency": used, "proposed": False}
        for root, (size, used) in named.items()
    }
    chosen = interesting(interests, space, least, 64)
    if space == 0:
        best = max((used for _, used in named.values()), default=0)
        assert len(chosen) == (best > least)
        assert all(named[root][1] == best for root in chosen)
        return
    assert sum(named[root][0] for root in chosen) <= space
    for root in set(named) - set(chosen):
        rank = (-named[root][1], root)
        better = sum(named[one][0] for one in chosen if (-named[one][1], one) < rank)
        assert better + named[root][0] > space


@pytest.mark.parametrize("link", ["pop.ref/a", "x"])
def test_a_link_that_is_no_index_is_refused(node, link):
    """Nobody there would answer how much room there is."""
    assert node.begin(R, index=link).reason["reason"] == "LINK_INVALID"
