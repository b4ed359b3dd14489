"""The index and its entries: bounds, what leaves first, what is local, what the world is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .node import Node

INDEX = "index/main"
LINK = "pop.index/main"


def add(node, name, size=10, **params):
    """Announce a root and list all its blocks: one, of its own."""
    given = {"size": size, "index": LINK, "blocks": [f"block-{name}"]}
    node.new(f"ref/{name}", **(given | params))


def roots(node):
    """Return the roots that the index counts."""
    return sorted(node.data(INDEX)["refs"])


# bounds


def test_what_fits_stays_and_one_byte_more_evicts_down_to_four_fifths(node):
    """100 bytes fit. With 101 the least used leave until the whole is at most 80."""
    node.new(INDEX, upper=100)
    for name in ("a", "b", "c"):
        add(node, name, 30)
    add(node, "d", 10)
    assert (roots(node), node.data(INDEX)["size"]) == (["a", "b", "c", "d"], 100)
    add(node, "e", 1)

    assert (roots(node), node.data(INDEX)["size"]) == (["b", "c", "d", "e"], 71)
    assert (node.state("ref/a"), node.data("ref/a")["left"]) == ("Evicted", "room for e")


def test_the_least_used_leave_first_and_new_content_is_protected(node):
    """A new entry takes the highest bucket; one that was used less than others leaves before it."""
    node.new(INDEX, upper=30)
    add(node, "old")
    add(node, "used")
    for _ in range(2):
        node.ok("ref/used", "Used")
    add(node, "new")
    buckets = {root: ref["bucket"] for root, ref in node.data(INDEX)["refs"].items()}
    add(node, "newer")

    assert buckets == {"old": 1, "used": 3, "new": 3}
    assert node.state("ref/old") == node.state("ref/used") == "Evicted"
    assert roots(node) == ["new", "newer"]


def test_what_is_evicted_does_not_come_back_after_a_restart(node):
    """pop kept it in its stored index, although the blocks could be gone."""
    node.new(INDEX, upper=20)
    for name in ("a", "b", "c"):
        add(node, name)
    node.crash()

    assert (roots(node), node.state("ref/a")) == (["c"], "Evicted")
    assert node.refused("ref/a", "Used") == "no_transition"
    assert node.refused("ref/a", "IsLocal") == "no_transition"
    assert node.refused("ref/a", "KeysMerged", names=["k"]) == "no_transition"


def test_the_same_root_is_indexed_once_and_may_come_again_when_it_left(node):
    """Under another instance: what left stays as it is."""
    node.new(INDEX, upper=100)
    add(node, "a")
    add(node, "a2", root="a")
    assert node.state("ref/a2") == "Listing"
    assert node.refusals() == [("RefAnnounced", "REF_EXISTS"), ("RefAdded", "NOT_ANNOUNCED")]
    node.ok("ref/a", "Tagged", reason="not wanted")
    add(node, "a3", root="a")

    assert (node.state("ref/a"), node.state("ref/a3")) == ("Tagged", "Indexed")
    assert node.data(INDEX)["refs"]["a"]["ref"] == "pop.ref/a3"


def test_an_entry_that_the_index_does_not_take_leaves_by_itself(node):
    """Larger than the index: refused there, and after ten minutes the entry is over."""
    node.new(INDEX, upper=100)
    add(node, "a", 101)
    node.forward(600)

    assert node.refusals()[0] == ("RefAnnounced", "LARGER_THAN_THE_INDEX")
    assert (node.state("ref/a"), node.data("ref/a")["left"]) == ("Evicted", "never admitted")
    assert node.data(INDEX)["size"] == 0


def test_dropped_content_no_longer_counts(node):
    """pop did not reduce the size."""
    node.new(INDEX, upper=100)
    add(node, "a", 60)
    node.ok("ref/a", "Tagged", reason="transfer failed")

    assert (node.data(INDEX)["size"], roots(node)) == (0, [])
    add(node, "b", 100)
    assert node.state("ref/b") == "Indexed"


def test_many_that_leave_at_once_are_all_told(node):
    """Each by an entry of its own, in order, a few in each commit."""
    node.new(INDEX, upper=100)
    for number in range(10):
        add(node, f"r{number}")
    add(node, "large", 100)
    assert sum(node.state(f"ref/r{number}") == "Evicted" for number in range(10)) == 4
    node.crash()
    node.forward(1)

    assert [node.state(f"ref/r{number}") for number in range(10)] == ["Evicted"] * 10
    assert (roots(node), node.data(INDEX)["leaving"], node.refusals()) == (["large"], (), [])


def test_a_smaller_bound_evicts_at_once(node):
    """The node's configuration reaches the index in the same commit."""
    node.new("node/n", index=LINK, capacity=100)
    node.new(INDEX, upper=100)
    for name in ("a", "b", "c"):
        add(node, name, 30)
    node.ok("node/n", "ConfigChanged", capacity=50)
    node.forward(1)

    assert (roots(node), node.state("ref/a")) == (["c"], "Evicted")


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 12), st.integers(1, 60)),
            st.tuples(st.just("use"), st.integers(1, 12), st.just(0)),
            st.tuples(st.just("drop"), st.integers(1, 12), st.just(0)),
        ),
        max_size=25,
    )
)
def test_the_index_holds_what_a_naive_cache_would(tmp_path_factory, moves):
    """The oracle keeps buckets as lists, and evicts from the front of the lowest."""
    node = Node(tmp_path_factory.mktemp("lfu"))
    node.new(INDEX, upper=100)
    buckets: dict[int, list[str]] = {}
    sizes: dict[str, int] = {}
    names: dict[str, str] = {}

    def leave(root):
        for line in buckets.values():
            if root in line:
                line.remove(root)
        del sizes[root]

    for step, (move, number, size) in enumerate(moves):
        root = f"r{number}"
        if move == "add" and root not in sizes:
            names[root] = f"ref/{root}-{step}"
            add(node, f"{root}-{step}", size, root=root)
            if sum(sizes.values()) + size > 100:
                while sizes and sum(sizes.values()) + size > 80:
                    leave(next(line for _, line in sorted(buckets.items()) if line)[0])
            top = max((bucket for bucket, line in buckets.items() if line), default=1)
            buckets.setdefault(top, []).append(root)
            sizes[root] = size
        elif move == "use" and root in sizes:
            node.ok(names[root], "Used")
            bucket = next(bucket for bucket, line in buckets.items() if root in line)
            buckets[bucket].remove(root)
            buckets.setdefault(bucket + 1, []).append(root)
        elif move == "drop" and root in sizes:
            node.ok(names[root], "Tagged", reason="not wanted")
            leave(root)
        node.forward(1)

    held = {root: ref["size"] for root, ref in node.data(INDEX)["refs"].items()}
    refusals = node.refusals()
    node.close()
    assert (held, refusals) == (sizes, [])


# keys


def test_knowing_one_key_is_not_knowing_the_root(node):
    """Another key is not here, nor is the whole; both come with more of it."""
    node.new(INDEX, upper=100)
    add(node, "a", names=["photo"], whole=False)
    node.ok("ref/a", "IsLocal", name="photo")
    assert node.refused("ref/a", "IsLocal", name="film") == "KEY_NOT_LOCAL"
    assert node.refused("ref/a", "IsLocal") == "ROOT_NOT_LOCAL"
    node.ok("ref/a", "KeysMerged", names=["film"], added_bytes=5, blocks=["b2"], complete=True)

    node.ok("ref/a", "IsLocal", name="film")
    node.ok("ref/a", "IsLocal", name="photo")
    node.ok("ref/a", "IsLocal")
    assert (node.data(INDEX)["size"], node.data("ref/a")["size"]) == (15, 15)


def test_a_root_is_indexed_when_all_its_blocks_are_listed(node):
    """List by list, in order; too many are refused, and so is a list that is not next."""
    node.new(INDEX, upper=100)
    node.new("ref/a", size=10, index=LINK, blocks=["b1"], more=2)
    assert node.refused("ref/a", "Listed") == "BLOCKS_ARE_MISSING"
    assert node.refused("ref/a", "BlocksAdded", part=2, blocks=["b2"]) == "NOT_THE_NEXT_LIST"
    too_many = {"part": 1, "blocks": ["b2", "b3", "b4"]}
    assert node.refused("ref/a", "BlocksAdded", **too_many) == "MORE_BLOCKS_THAN_ANNOUNCED"
    node.ok("ref/a", "BlocksAdded", part=1, blocks=["b2"])
    node.crash()
    assert (node.state("ref/a"), roots(node)) == ("Listing", [])
    node.ok("ref/a", "BlocksAdded", part=2, blocks=["b3"])

    assert (node.state("ref/a"), roots(node)) == ("Indexed", ["a"])


def test_an_entry_of_the_tape_takes_so_many_blocks(node):
    """512 fit into one; of more, further entries have to tell."""
    node.new(INDEX, upper=0)
    blocks = [f"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevten{n:07}" for n in range(1025)]
    many = node.begin("ref/a", size=10, index=LINK, blocks=blocks[:513])
    assert many.reason["reason"] == "TOO_MANY_BLOCKS_AT_ONCE"
    node.new("ref/a", size=10, index=LINK, blocks=blocks[:512], more=513)
    node.ok("ref/a", "BlocksAdded", part=1, blocks=blocks[512:1024])
    node.ok("ref/a", "BlocksAdded", part=2, blocks=blocks[1024:])

    assert (node.state("ref/a"), node.data("ref/a")["block_count"]) == ("Indexed", 1025)


def test_growth_that_never_comes_leaves_what_was_there(node):
    """It was announced, and its lists did not come: the entry is as it was before."""
    node.new(INDEX, upper=100)
    add(node, "a", 10)
    node.ok("ref/a", "KeysMerged", names=["k"], added_bytes=5, more=3)
    assert node.data(INDEX)["listing"] != {}
    node.forward(600)

    assert (node.state("ref/a"), node.data("ref/a")["size"]) == ("Indexed", 10)
    assert (node.data(INDEX)["size"], node.data(INDEX)["listing"]) == (10, {})


# the remote index


def test_the_remote_index_is_told_and_told_again_until_it_answers(node):
    """After one minute, two, four; what left is withdrawn there the same way."""
    node.new(INDEX, upper=100)
    add(node, "a")
    node.ok("ref/a", "PublishRequested")
    node.ok("ref/a", "RemoteFailed", reason="no answer")
    tries = []
    for seconds in (60, 119, 1, 240):
        node.forward(seconds)
        tries.append(len(node.effects("Publish")))
    node.ok("ref/a", "Published")
    assert node.refused("ref/a", "PublishRequested") == "PUBLISHED_BEFORE"
    node.ok("ref/a", "Tagged", reason="not wanted")
    node.crash()
    node.forward(60)

    assert tries == [2, 2, 3, 4]
    assert len(node.effects("Unpublish")) == 2


def test_an_entry_ends_when_its_blocks_and_its_publication_are_gone(node):
    """In whichever order; a publication that comes too late is taken back."""
    node.new(INDEX, upper=100)
    for name in ("a", "b", "c"):
        add(node, name)
        node.ok(f"ref/{name}", "PublishRequested")
        if name != "c":
            node.ok(f"ref/{name}", "Published")
        node.ok(f"ref/{name}", "Tagged", reason="not wanted")
    node.ok("ref/a", "Unpublished")
    node.ok("ref/a", "Collected", run="gc-1")
    node.ok("ref/b", "Collected", run="gc-1")
    assert (node.state("ref/a"), node.state("ref/b")) == ("Collected", "Withdrawing")
    node.ok("ref/b", "Unpublished")
    node.ok("ref/c", "Published")

    assert (node.state("ref/b"), node.data("ref/c")["remote"]) == ("Collected", "unpublishing")
    assert len(node.effects("Unpublish")) == 4


@pytest.mark.parametrize("link", ["pop.tx/a", "nobody", "pop.index/"])
def test_a_link_that_is_no_index_is_refused(node, link):
    """Later it could not be told of anything."""
    assert node.begin("ref/a", size=1, index=link).reason["reason"] == "LINK_INVALID"
