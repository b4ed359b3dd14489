"""The Merkle tree against its definition, RFC 6962 section 2.1, written here a second time."""

from __future__ import annotations

import hashlib
from functools import cache

import pytest
from statetape.storage.merkle import Edge, complete_root, join, leaf_hashes
from statetape.storage.verifier import EMPTY_ROOT, leaf_hash, node_hash

from .tapes import append, new_tape, seeded
from .vectors import shared

LEAVES = [hashlib.sha256(b"\x00%d" % number).digest() for number in range(66_200)]

KNOWN_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "db3426e878068d28d269b6c87172322ce5372b65756d0789001d34835f601c03",
    2: "cb00989d94a569c0a678ae042b63dcd4625db96440517f37a6eb7976ea24ed4b",
    3: "725d5230db68f557470dc35f1d8865813acd7ebb07ad152774141decbae71327",
    7: "a3e23b32ccb6bf96d092d165d8aa546e09829de8f03b0e8957581d1e16b92bdf",
    255: "32f85bcaa87d7bcd05728f09e9aeba350ba6a2f733830087f0597682848be5cb",
    256: "828515d033c19d8c901f37eccb8aed919667703486f8d2fff1cf7040321c5db1",
    257: "1eda049a4351d86f76252bd7ec0b7746ad75b7fa0316ad5f541dbda458a312c4",
    65_537: "dc8795a25fd4bd52a0b84f639fd3139ba160824023d188e428eb5db0f3ce221a",
}
"""The roots over the first n of the entries b"0", b"1", b"2", …, computed from the bottom up by a
program of a few lines that shares nothing with this one."""


@cache
def root(first: int, end: int) -> bytes:
    """MTH(D[first:end]), as the RFC writes it."""
    count = end - first
    if count == 0:
        return hashlib.sha256(b"").digest()
    if count == 1:
        return LEAVES[first]
    half = 1 << (count - 1).bit_length() - 1
    left, right = root(first, first + half), root(first + half, end)
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize(("size", "expected"), KNOWN_ROOTS.items())
def test_known_roots(size, expected):
    """The definition above and the tree both give the roots that another program gave."""
    edge = Edge()
    edge.extend(LEAVES[:size])

    assert root(0, size).hex() == expected
    assert edge.root().hex() == expected


def test_leaves_and_nodes_are_hashed_apart():
    """The prefixes: an entry made of two hashes is not the node over them."""
    left, right = LEAVES[:2]

    assert leaf_hash(b"0") == LEAVES[0]
    assert leaf_hashes([b"0", b"1"]) == [left, right]
    assert node_hash(left, right) == root(0, 2)
    assert leaf_hash(left + right) != node_hash(left, right)
    assert root(0, 0) == EMPTY_ROOT == join([]) == Edge().root()


def test_every_size_up_to_600_has_the_root_of_the_definition():
    """Growing one leaf at a time, over two borders of stored nodes."""
    edge = Edge()
    nodes = []
    for size in range(601):
        assert edge.root() == root(0, size), size
        assert edge.size == size
        nodes += edge.extend(LEAVES[size : size + 1])

    assert nodes == [(8, 0, root(0, 256)), (8, 1, root(256, 512))]


def test_it_makes_no_difference_how_leaves_arrive():
    """In pieces of any size, also across 256 and 65,536, with the nodes of the definition."""
    rng = seeded("pieces")
    edge = Edge()
    nodes = []
    while edge.size < len(LEAVES):
        piece = rng.choice([0, 1, 2, 255, 256, 257, rng.randrange(3000), rng.randrange(20_000)])
        nodes += edge.extend(LEAVES[edge.size : edge.size + piece])
        assert edge.root() == root(0, edge.size), edge.size

    levels = [(8, 256), (16, 65_536)]
    expected = {
        (level, idx, root(idx * width, (idx + 1) * width))
        for level, width in levels
        for idx in range(len(LEAVES) // width)
    }
    assert set(nodes) == expected
    assert len(nodes) == len(expected)


def test_an_edge_made_of_stored_nodes_goes_on_like_one_in_memory():
    """Sizes on both sides of 256 and 65,536: lists of stored roots, the rest as leaves."""
    rng = seeded("edges")
    sizes = {
        255,
        256,
        257,
        511,
        512,
        65_535,
        65_536,
        65_537,
        *(rng.randrange(66_000) for _ in range(20)),
    }
    for size in sorted(sizes):
        thousands, hundreds = size >> 16, size >> 8
        levels = [
            LEAVES[size & -256 : size],
            [root(i << 8, (i + 1) << 8) for i in range(hundreds & -256, hundreds)],
            [root(i << 16, (i + 1) << 16) for i in range(thousands)],
        ]
        edge = Edge(size, levels)
        assert edge.root() == root(0, size), size
        edge.extend(LEAVES[size : size + 200])
        assert edge.root() == root(0, size + 200), size


def test_the_root_depends_on_every_leaf_and_their_order():
    """Negative control: one changed bit, two swapped leaves, one leaf less, each give another."""
    rng = seeded("changes")
    leaves = LEAVES[:300]
    for place in range(300):
        changed = leaves.copy()
        flipped = bytearray(changed[place])
        flipped[rng.randrange(32)] ^= 1 << rng.randrange(8)
        changed[place] = bytes(flipped)
        swapped = leaves.copy()
        swapped[place], swapped[place - 1] = leaves[place - 1], leaves[place]
        for wrong in (changed, swapped, leaves[:place] + leaves[place + 1 :]):
            edge = Edge()
            edge.extend(wrong)
            assert edge.root() != root(0, 300), place


@pytest.mark.parametrize("count", [1, 2, 4, 128, 256])
def test_a_complete_subtree_has_the_root_of_the_definition(count):
    """And joining two of equal size gives the next."""
    assert complete_root(LEAVES[:count]) == root(0, count)
    assert join([root(0, count), root(count, 2 * count)]) == root(0, 2 * count)


def test_a_tape_gives_the_edge_at_every_size(tmp_path):
    """From its stored nodes and entries, for every earlier size, not only the newest."""
    with new_tape(tmp_path / "t.db") as tape:
        append(tape, *(b"%d" % number for number in range(1, 600)))
        bodies = list(tape.read())
        whole = Edge()
        for size, leaf in enumerate(leaf_hashes(bodies), 1):
            whole.extend([leaf])
            edge = tape.edge_at(size)
            assert (edge.size, edge.root(), edge.levels) == (size, whole.root(), whole.levels)


def test_a_tape_crosses_65536_entries(tmp_path):
    """Stored nodes of the second level, and edges made of them."""
    rng = seeded("large")
    with new_tape(tmp_path / "t.db") as tape:
        bodies = [b"%d" % number for number in range(66_200)]
        append(tape, *bodies[1:40_000])
        append(tape, *bodies[40_000:])
        first = leaf_hash(next(tape.read()))
        stored = {(level, idx): node for level, idx, node in tape.query("SELECT * FROM node")}

        assert len(stored) == 66_200 // 256 + 1
        assert stored[8, 255] == root(65_280, 65_536)
        for size in [65_535, 65_536, 65_537, 66_048, *(rng.randrange(66_200) for _ in range(5))]:
            edge = Edge()
            edge.extend([first, *LEAVES[1:size]])
            assert tape.edge_at(size).root() == edge.root(), size


def test_shared_vectors():
    """Leaf hashes and roots of transparency-dev/merkle."""
    vectors = shared("merkle-vectors.json")
    leaves = [leaf_hash(bytes.fromhex(data)) for data in vectors["leaves"]]

    assert [leaf.hex() for leaf in leaves] == vectors["leaf_hashes"]
    for size, expected in enumerate(vectors["roots_by_size"]):
        edge = Edge()
        edge.extend(leaves[:size])
        assert edge.root().hex() == expected
