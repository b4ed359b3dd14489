"""Prove that an entry is in a tape, and that a tape extends what it was, from stored hashes.

A tree is read a tile at a time: 256 leaf hashes, or 256 roots of complete subtrees of 256, 65,536,
… leaves, which the tape stores. So a proof from a million entries needs two tiles of each level,
and hashes two blocks of entries. What was collected in blocks is still proved, from the leaf
hashes that stayed; where those were shrunk to their root, nothing below that root can be, and
HashesShrunk says so. Nothing is handed out that does not verify.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..fsm.errors import CallerError
from .errors import RESTORE, TapeDamaged
from .merkle import WIDTH, WIDTH_BITS, complete_root, join
from .reader import Reader
from .verifier import EvidenceInvalid, check_consistency, check_inclusion

TileSource = Callable[[int, int], Sequence[bytes]]
"""(level, index) → the hashes of that tile: of leaves at level 0, of 256**level leaves above."""


class BeyondTape(CallerError):
    """The tape has no entry at that position, or never had that size."""

    code = "beyond-tape"


class Tree:
    """The tree over the first `size` leaves of a log, whose tiles come from anywhere."""

    def __init__(self, size: int, source: TileSource) -> None:
        self.size = size
        self.source = source
        self._read: dict[tuple[int, int], Sequence[bytes]] = {}

    def tile(self, level: int, idx: int) -> Sequence[bytes]:
        """Return a tile's hashes; at the right edge there may be fewer than 256."""
        if (level, idx) not in self._read:
            self._read[level, idx] = self.source(level, idx)
        return self._read[level, idx]

    def leaf(self, index: int) -> bytes:
        """Return the hash of a leaf."""
        return self.tile(0, index // WIDTH)[index % WIDTH]

    def complete(self, bits: int, idx: int) -> bytes:
        """Return the root over the 2**bits leaves from `idx << bits`."""
        level, rest = divmod(bits, WIDTH_BITS)
        first = idx << rest
        start = first % WIDTH
        return complete_root(self.tile(level, first // WIDTH)[start : start + (1 << rest)])

    def root(self, first: int = 0, end: int | None = None) -> bytes:
        """Return the root over the leaves from `first` to before `end` (default: the tree's).

        `first` is a multiple of every power of two below the number of leaves.
        """
        end = self.size if end is None else end
        frontier = []
        for bits in reversed(range((end - first).bit_length())):
            if (end - first) >> bits:
                frontier.append(self.complete(bits, first >> bits))
                first += 1 << bits
        return join(frontier)

    def inclusion(self, index: int) -> list[bytes]:
        """Return PATH(index, D[size]) of RFC 6962, section 2.1.1."""
        proof = []
        first, end = 0, self.size
        while end - first > 1:
            middle = _middle(first, end)
            if index < middle:
                proof.append(self.root(middle, end))
                end = middle
            else:
                proof.append(self.root(first, middle))
                first = middle
        return proof[::-1]

    def consistency(self, old: int) -> list[bytes]:
        """Return PROOF(old, D[size]) of RFC 6962, section 2.1.2; `old` is at least 1."""
        proof = []
        first, end = 0, self.size
        while end != old:
            middle = _middle(first, end)
            if old <= middle:
                proof.append(self.root(middle, end))
                end = middle
            else:
                proof.append(self.root(first, middle))
                first = middle
        if first:  # else it is the old tree itself, whose root the verifier has
            proof.append(self.root(first, end))
        return proof[::-1]


def _middle(first: int, end: int) -> int:
    """Return where RFC 6962 divides: after the largest power of two that leaves something."""
    return first + (1 << (end - first - 1).bit_length() - 1)


def tree_over(leaves: Sequence[bytes], size: int) -> Tree:
    """Return the tree over the first `size` of some leaf hashes in memory."""

    def tile(level: int, idx: int) -> Sequence[bytes]:
        bits = level * WIDTH_BITS
        first = idx * WIDTH
        count = min(WIDTH, (size >> bits) - first)
        return [
            complete_root(leaves[at << bits : at + 1 << bits]) for at in range(first, first + count)
        ]

    return Tree(size, tile)


def tree_of(reader: Reader, size: int) -> Tree:
    """Return the tree over the first `size` entries of a tape. Raises BeyondTape."""
    stored = reader.stored_size()
    if not 0 <= size <= stored:
        why = f"the tape has {stored} entries; there is no tree over {size}"
        raise BeyondTape(why, place=str(reader.files.tape))

    def tile(level: int, idx: int) -> list[bytes]:
        bits = level * WIDTH_BITS
        first = idx * WIDTH
        count = min(WIDTH, (size >> bits) - first)
        if level:
            return reader.nodes(bits, first, count)
        return reader.leaves(first + 1, first + count)

    return Tree(size, tile)


def root_at(reader: Reader, size: int) -> bytes:
    """Return the root over the first `size` entries.

    Raises BeyondTape, TapeDamaged, and HashesShrunk for a size within a shrunk block.
    """
    with reader.snapshot():
        return tree_of(reader, size).root()


def inclusion(reader: Reader, index: int, size: int) -> list[bytes]:
    """Return the hashes that show the entry at `index` (from 0) in the tree over `size` entries.

    Raises BeyondTape, TapeDamaged, and HashesShrunk where the entry's block, or the block that
    `size` cuts, was shrunk.
    """
    with reader.snapshot():
        tree = tree_of(reader, size)
        if not 0 <= index < size:
            why = f"there is no entry {index + 1} among the first {size}"
            raise BeyondTape(why, place=str(reader.files.tape))
        proof = tree.inclusion(index)
        try:
            check_inclusion(index, size, tree.leaf(index), proof, tree.root())
        except EvidenceInvalid as error:
            raise _damaged(error) from None
        return proof


def consistency(reader: Reader, old: int, size: int) -> list[bytes]:
    """Return the hashes that show that the tree over `size` entries extends that over `old`.

    An empty tree is the beginning of every other, so nothing shows it: BeyondTape. Raises
    TapeDamaged, and HashesShrunk where a block that `old` or `size` cuts was shrunk.
    """
    with reader.snapshot():
        tree = tree_of(reader, size)
        if not 0 < old <= size:
            why = f"no proof leads from {old} to {size} entries"
            raise BeyondTape(why, place=str(reader.files.tape))
        proof = tree.consistency(old)
        try:
            check_consistency(old, size, proof, tree_of(reader, old).root(), tree.root())
        except EvidenceInvalid as error:
            raise _damaged(error) from None
        return proof


def _damaged(error: EvidenceInvalid) -> TapeDamaged:
    why = f"the stored tree nodes do not fit one another: {error}"
    return TapeDamaged(why, place="table node", hint=RESTORE)
