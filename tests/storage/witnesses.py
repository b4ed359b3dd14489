"""Witnesses and logs made to order: trees of a few leaves, notes, and proofs by the definition."""

from __future__ import annotations

from pathlib import Path

from statetape.storage.merkle import Edge, leaf_hashes
from statetape.storage.note import SignerKey, sign_note
from statetape.storage.proofs import Tree
from statetape.storage.verifier import Checkpoint
from statetape.storage.witness import Verdict, Witness

NOW = 1_700_000_000
LOG = SignerKey("example.com/log", bytes(range(7, 39)))
NAME = "example.com/witness"
WITNESS_SEED = bytes(range(40, 72))


class Log:
    """A log of up to 256 entries, that signs whatever it is told to."""

    def __init__(self, *entries: str, signer: SignerKey = LOG) -> None:
        self.leaves = leaf_hashes([entry.encode() for entry in entries])
        self.signer = signer

    def checkpoint(self, size: int) -> Checkpoint:
        """What the tree was at a size."""
        edge = Edge()
        edge.extend(self.leaves[:size])
        return Checkpoint(self.signer.name, size, edge.root())

    def note(self, size: int) -> str:
        """The signed checkpoint of a size."""
        return sign_note(self.checkpoint(size).text, self.signer)

    def proof(self, old: int, size: int) -> list[bytes]:
        """The consistency proof between two sizes."""
        if not old:
            return []
        return Tree(size, lambda _, __: self.leaves[:size]).consistency(old)


HONEST = Log(*"abcdefghij")
FORKED = Log(*"abcXefghij")
"""Another history from the fourth entry on."""


def new_witness(folder: Path) -> Witness:
    """A witness that trusts the log and has seen nothing."""
    made = Witness.create(folder / "witness.db", folder / "witness.key", NAME, WITNESS_SEED)
    made.trust([LOG.verifier])
    return made


def reopened(witness: Witness) -> Witness:
    """The same witness, as the next process sees it."""
    return Witness.open(witness.path, witness.path.with_suffix(".key"))


def submit(witness: Witness, log: Log, old: int, size: int, now_s: int = NOW) -> Verdict:
    """Show a witness the log's tree of `size`, with the log's own proof from `old`."""
    proof = log.proof(old, size)
    return witness.advance(log.checkpoint(size), log.note(size), old, proof, now_s)
