"""The verifier: who has to check evidence of a tape needs this folder, and no more of statetape.

It needs Python and the package `cryptography`. `log` knows the tree, notes, checkpoints, proofs;
`dispute` verifies a whole bundle. Copied anywhere, the folder runs as it is:

    python -m verifier BUNDLE --log-key VKEY [--witness-key VKEY … --threshold K]

It trusts the keys that its caller gives, and no key that the evidence brings along.
"""

from __future__ import annotations

from .log import (
    COSIGNER,
    ED25519,
    EMPTY_ROOT,
    HASH_BYTES,
    NOTE_BYTES_MAX,
    PROOF_HASHES_MAX,
    PROOF_HEADER,
    SIGNATURES_MAX,
    SIZE_MAX,
    Checkpoint,
    EvidenceInvalid,
    Note,
    Proof,
    Signature,
    VerifierKey,
    check_consistency,
    check_inclusion,
    check_proof,
    check_subtree_consistency,
    check_subtree_inclusion,
    cosigned_message,
    decode_base64,
    is_key_name,
    leaf_hash,
    node_hash,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    parse_proof,
    parse_signature,
    parse_verifier_key,
)

__all__ = [
    "COSIGNER",
    "ED25519",
    "EMPTY_ROOT",
    "HASH_BYTES",
    "NOTE_BYTES_MAX",
    "PROOF_HASHES_MAX",
    "PROOF_HEADER",
    "SIGNATURES_MAX",
    "SIZE_MAX",
    "Checkpoint",
    "EvidenceInvalid",
    "Note",
    "Proof",
    "Signature",
    "VerifierKey",
    "check_consistency",
    "check_inclusion",
    "check_proof",
    "check_subtree_consistency",
    "check_subtree_inclusion",
    "cosigned_message",
    "decode_base64",
    "is_key_name",
    "leaf_hash",
    "node_hash",
    "open_checkpoint",
    "open_note",
    "parse_checkpoint",
    "parse_note",
    "parse_proof",
    "parse_signature",
    "parse_verifier_key",
]
