"""The caching proof: a keyed hash over a DAG's blocks, which only who holds them can answer.

A dispatcher draws a seed of 16 random bytes for one peer, computes the proof from its own blocks,
and asks the peer for it. Exactly:

    proof = BLAKE2b(digest 32 bytes, key = seed, person = b"pop/caching/1", of:
        length(root) root                         the root's binary CID
        count                                     how many distinct blocks the DAG has
        for each block, by binary CID ascending:
            length(CID) CID length(block) block)

Each length, and the count, is 8 bytes, big-endian. `person` keeps these digests apart from those of
any other use of BLAKE2b with the same key. The key is mixed in before the first block, so nothing
that was computed for another seed is of use, and a digest cannot be continued or combined. Lengths
stand before what they measure, so bytes cannot move from one block into the next. Every block's
bytes go in, so who kept only the CIDs cannot answer. A DAG may name a block twice; it counts once,
and the order is that of the CIDs: it does not depend on who walks the DAG, or how.

What a proof does not show: that the peer keeps the blocks for longer than the question, nor that it
did not ask somebody else who has them. Therefore each peer gets a seed of its own, so that an
answer cannot be copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

from ...fsm.types import ValueInvalid

SEED_BYTES = 16
PROOF_BYTES = 32
PERSON = b"pop/caching/1"
_LENGTH_BYTES = 8


def caching_proof(
    root: bytes, seed: bytes, cids: Iterable[bytes], read: Callable[[bytes], bytes]
) -> bytes:
    """Return the proof for the DAG under `root`: 32 bytes.

    `cids` are the binary CIDs of all its blocks, in any order, also repeated; `read` returns the
    bytes of one. One block at a time is held, so a DAG may be larger than memory. What `read`
    raises for a block that is missing goes through: there is no proof without it.
    Raises ValueInvalid for another seed.
    """
    if len(seed) != SEED_BYTES:
        raise ValueInvalid(f"a seed has {SEED_BYTES} bytes, this one {len(seed)}", place="seed")
    blocks = sorted(set(cids))
    digest = hashlib.blake2b(digest_size=PROOF_BYTES, key=seed, person=PERSON)
    digest.update(_measured(root))
    digest.update(len(blocks).to_bytes(_LENGTH_BYTES, "big"))
    for cid in blocks:
        digest.update(_measured(cid))
        digest.update(_measured(read(cid)))
    return digest.digest()


def proof_of_blocks(root: bytes, seed: bytes, blocks: Mapping[bytes, bytes]) -> bytes:
    """Return the proof for blocks that are in memory, by CID."""
    return caching_proof(root, seed, blocks, blocks.__getitem__)


def _measured(part: bytes) -> bytes:
    return len(part).to_bytes(_LENGTH_BYTES, "big") + part
