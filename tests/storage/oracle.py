"""Merkle trees and their proofs as RFC 6962 and RFC 9162 define them, written out naively.

Nothing of the program is used here, so that program and definition can be compared. The proofs are
made by the recursive definitions (RFC 6962, sections 2.1 to 2.1.2), and checked by going down the
same recursion: what a proof of that shape must give, not how the program walks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

EMPTY = hashlib.sha256(b"").digest()


def leaf(data: bytes) -> bytes:
    """The hash of a leaf's data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(count: int) -> int:
    """The largest power of two below `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


class Definition:
    """The tree over some leaf hashes, by the definition."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.root = cache(self._root)

    def _root(self, first: int, end: int) -> bytes:
        """MTH(D[first:end])."""
        if first == end:
            return EMPTY
        if end - first == 1:
            return self.leaves[first]
        k = split(end - first)
        return node(self.root(first, first + k), self.root(first + k, end))

    def path(self, m: int, first: int, end: int) -> list[bytes]:
        """PATH(m, D[first:end])."""
        n = end - first
        if n == 1:
            return []
        k = split(n)
        if m < k:
            return [*self.path(m, first, first + k), self.root(first + k, end)]
        return [*self.path(m - k, first + k, end), self.root(first, first + k)]

    def subproof(self, m: int, first: int, end: int, known: bool) -> list[bytes]:
        """SUBPROOF(m, D[first:end], known)."""
        n = end - first
        if m == n:
            return [] if known else [self.root(first, end)]
        k = split(n)
        if m <= k:
            return [*self.subproof(m, first, first + k, known), self.root(first + k, end)]
        return [*self.subproof(m - k, first + k, end, False), self.root(first, first + k)]

    def proof(self, old: int, size: int) -> list[bytes]:
        """PROOF(old, D[size])."""
        return self.subproof(old, 0, size, True)


class Refused(Exception):
    """The proof does not hold."""


def sound(proof: Sequence[bytes], *hashes: bytes) -> None:
    """Every hash has 32 bytes, and a proof at most 63 of them."""
    if len(proof) > 63 or any(len(one) != 32 for one in (*proof, *hashes)):
        raise Refused


def holds_inclusion(
    index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether a proof of inclusion holds: the root that PATH's shape and the hashes give."""
    rest = list(proof)

    def climb(m: int, n: int) -> bytes:
        if n == 1:
            return leaf_hash
        k = split(n)
        if m < k:
            below = climb(m, k)
            return node(below, take(rest))
        below = climb(m - k, n - k)
        return node(take(rest), below)

    try:
        sound(proof, leaf_hash, root)
        if not 0 <= index < size < 2**63:
            raise Refused
        return climb(index, size) == root and not rest
    except Refused:
        return False


def holds_consistency(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> bool:
    """Whether a proof of consistency holds: both roots, as SUBPROOF's shape gives them."""
    rest = list(proof)

    def climb(m: int, n: int, known: bool) -> tuple[bytes, bytes]:
        """The roots over the first m of n leaves, and over all of them."""
        if m == n:
            one = old_root if known else take(rest)
            return one, one
        k = split(n)
        if m <= k:
            before, after = climb(m, k, known)
            return before, node(after, take(rest))
        before, after = climb(m - k, n - k, False)
        left = take(rest)
        return node(left, before), node(left, after)

    if old == size:  # one tree: nothing is hashed, and what its roots look like is not asked
        empty = size == 0 and (old_root, root) != (EMPTY, EMPTY)
        return not proof and old_root == root and not empty and 0 <= size < 2**63
    try:
        sound(proof, old_root, root)
        if not 0 < old < size < 2**63:
            raise Refused
        return climb(old, size, True) == (old_root, root) and not rest
    except Refused:
        return False


def take(rest: list[bytes]) -> bytes:
    """The next hash of a proof."""
    if not rest:
        raise Refused
    return rest.pop(0)
