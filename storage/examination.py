"""Examine a tlog-proof with public keys alone: what it shows, or why it shows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .verifier import (
    Checkpoint,
    EvidenceInvalid,
    Signature,
    VerifierKey,
    check_inclusion,
    leaf_hash,
    open_checkpoint,
    open_note,
    parse_proof,
)


@dataclass(frozen=True)
class Witnessed:
    """A witness had seen the checkpoint, and no larger one, at this time (POSIX seconds)."""

    key: VerifierKey
    time_s: int


@dataclass(frozen=True)
class Shown:
    """What a proof shows: these bytes are the entry at `index` (from 0) under `checkpoint`."""

    index: int
    leaf: bytes
    checkpoint: Checkpoint
    signers: tuple[VerifierKey, ...]
    witnesses: tuple[Witnessed, ...]


def entry_in(content: bytes) -> bytes | None:
    """Return the entry that a proof carries, as its extra data, or None."""
    return parse_proof(content).extra or None


def examine(
    content: bytes,
    entry: bytes,
    log_keys: Sequence[VerifierKey],
    witness_keys: Sequence[VerifierKey] = (),
    threshold: int | None = None,
) -> Shown:
    """Return what a proof shows of `entry`, or raise EvidenceInvalid with what does not hold.

    `threshold` of the witnesses (default: all of them) have to have cosigned; a key counts once,
    whatever its names, and with its earliest time.
    """
    proof = parse_proof(content)
    checkpoint = open_checkpoint(proof.checkpoint, log_keys)
    opened = open_note(proof.checkpoint, [*log_keys, *witness_keys])
    if {key.public for key in log_keys} & {key.public for key in witness_keys}:
        raise EvidenceInvalid("a witness given has the log's own key: it is no witness")
    witnesses = _witnesses(opened.signed, witness_keys)
    wanted = len({key.public for key in witness_keys}) if threshold is None else threshold
    if len(witnesses) < wanted:
        why = f"{len(witnesses)} of the witnesses cosigned the checkpoint, and {wanted} have to"
        raise EvidenceInvalid(why)
    leaf = leaf_hash(entry)
    check_inclusion(proof.index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    signers = tuple(dict.fromkeys(key for key, _ in opened.signed if key in log_keys))
    return Shown(proof.index, leaf, checkpoint, signers, witnesses)


def _witnesses(
    signed: Sequence[tuple[VerifierKey, Signature]], known: Sequence[VerifierKey]
) -> tuple[Witnessed, ...]:
    """Return which of the known witnesses signed, earliest first."""
    times: dict[bytes, Witnessed] = {}
    for key, line in signed:
        if key in known and line.time_s is not None:
            seen = Witnessed(key, line.time_s)
            earlier = times.setdefault(key.public, seen)
            if seen.time_s < earlier.time_s:
                times[key.public] = seen
    return tuple(sorted(times.values(), key=lambda one: (one.time_s, one.key.name)))
