"""The Merkle tree over a tape's entries (RFC 6962 section 2.1).

    leaf(d)    = SHA-256(0x00 || d)            node(l, r) = SHA-256(0x01 || l || r)
    root of n  = node(root of the first k, root of the rest), k the largest power of two below n

The prefixes keep an entry from passing for an inner node. A tape keeps the roots of complete
subtrees of 256, 65,536, … leaves; what is not complete yet is the tree's right `Edge`, held in
memory, and enough to append and to give the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from .verifier import EMPTY_ROOT, node_hash

WIDTH_BITS = 8
WIDTH = 1 << WIDTH_BITS
"""Children per stored node: the tile width of C2SP tlog-tiles."""

_sha256 = hashlib.sha256

Node = tuple[int, int, bytes]
"""A complete subtree: (level, index, root). It covers the 2**level leaves from index << level."""


def leaf_hashes(bodies: Sequence[bytes]) -> list[bytes]:
    """Return the hashes of entries' bytes, as `leaf_hash` would one by one."""
    return [_sha256(b"\x00" + body).digest() for body in bodies]


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of equal subtrees' roots."""
    level = list(hashes)
    while len(level) > 1:
        nodes = iter(level)
        level = [
            _sha256(b"\x01" + left + right).digest()
            for left, right in zip(nodes, nodes, strict=True)
        ]
    return level[0]


def join(frontier: Iterable[bytes]) -> bytes:
    """Return the root over complete subtrees of falling size, left to right."""
    root = b""
    for subtree in reversed(list(frontier)):
        root = node_hash(subtree, root) if root else subtree
    return root or EMPTY_ROOT


class Edge:
    """The right edge of a growing tree: per level, the roots that have no complete parent yet.

    Invariant: `size` = sum of len(levels[i]) * 256**i, and every list has fewer than 256 items.
    """

    def __init__(self, size: int = 0, levels: Iterable[Iterable[bytes]] = ()) -> None:
        self.size = size
        self.levels = [list(level) for level in levels] or [[]]

    def extend(self, leaves: Sequence[bytes]) -> list[Node]:
        """Append leaf hashes; returns the subtrees that they completed, smallest first."""
        edge = self.levels[0]
        if len(leaves) < WIDTH - len(edge):
            edge += leaves
            self.size += len(leaves)
            return []
        completed: list[Node] = []
        start = 0
        while start < len(leaves):
            some = leaves[start : start + WIDTH - len(edge)]
            start += len(some)
            edge += some
            self.size += len(some)
            if len(edge) == WIDTH:
                root = complete_root(edge)
                edge.clear()
                completed += self._carry(root, 1)
        return completed

    def add_root(self, root: bytes, level: int) -> list[Node]:
        """Append a complete subtree of 256**level leaves by its root, with nothing open below it.

        Returns the subtrees completed: this one, then those that it completed.
        """
        self.size += 1 << level * WIDTH_BITS
        return self._carry(root, level)

    def _carry(self, root: bytes, level: int) -> list[Node]:
        """Put a root in its level, and while that makes the level full, the level's own root."""
        completed: list[Node] = []
        while True:
            if level == len(self.levels):
                self.levels.append([])
            self.levels[level].append(root)
            bits = level * WIDTH_BITS
            completed.append((bits, (self.size >> bits) - 1, root))
            if len(self.levels[level]) < WIDTH:
                return completed
            root = complete_root(self.levels[level])
            self.levels[level].clear()
            level += 1

    def root(self) -> bytes:
        """Return the root of the tree so far."""
        return join(self.frontier())

    def frontier(self) -> list[bytes]:
        """Return the roots of the largest complete subtrees, left to right."""
        found: list[bytes] = []
        for level in reversed(self.levels):
            start = 0
            for bit in reversed(range(WIDTH_BITS)):
                count = 1 << bit
                if len(level) & count:
                    found.append(complete_root(level[start : start + count]))
                    start += count
        return found
