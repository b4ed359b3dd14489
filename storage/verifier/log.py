"""The evidence of a log, verified with public keys alone: its tree, its notes, its proofs.

The Merkle tree is that of RFC 6962; signed notes, checkpoints, cosignatures and tlog-proofs are in
C2SP's text forms. Everything here either returns or raises EvidenceInvalid, whatever the input is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
SIZE_MAX = 2**63 - 1
TIME_MAX = 2**63 - 1
"""A cosignature's time, in POSIX seconds, is at most this (C2SP tlog-cosignature)."""
PROOF_HASHES_MAX = 63
NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 100

ED25519 = 1
"""The type byte of a key that signs notes."""
COSIGNER = 4
"""The type byte of a key that signs, with a time, checkpoints of others."""
_PUBLIC_BYTES = 32
_SIGNATURE_BYTES = {ED25519: 64, COSIGNER: 72}
_TIME_BYTES = 8
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE = re.compile("\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)")
_NAME = re.compile(r"[^\s+]+")


class EvidenceInvalid(ValueError):
    """The evidence does not hold, or is no evidence. The message says what is wrong."""


# the tree


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one entry's bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def check_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Raise EvidenceInvalid unless `leaf` (a hash) is the `index`th of `size` under `root`."""
    _check_hashes(proof, leaf, root)
    if not 0 <= index < size <= SIZE_MAX:
        raise EvidenceInvalid(f"a tree of {size} leaves has no leaf {index}")
    first, last = index, size - 1
    found = leaf
    for step in proof:
        if last == 0:
            raise EvidenceInvalid("the proof is longer than the tree is high")
        if first & 1 or first == last:
            found = node_hash(step, found)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, step)
        first, last = first >> 1, last >> 1
    if last:
        raise EvidenceInvalid("the proof ends below the root")
    if found != root:
        raise EvidenceInvalid("the proof leads to another root")


def check_consistency(
    old_size: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Raise EvidenceInvalid unless the tree of `size` extends that of `old_size`.

    An empty old tree promises nothing, so it is refused where the new one is not empty too.
    """
    if not 0 <= old_size <= size <= SIZE_MAX or (size and not old_size):
        raise EvidenceInvalid(f"no proof leads from {old_size} to {size} leaves")
    if not size and root != EMPTY_ROOT:
        raise EvidenceInvalid("an empty tree has the empty root")
    check_subtree_consistency(0, old_size, size, proof, old_root, root)
    if not size and old_root != root:
        raise EvidenceInvalid("the proof leads to another root")


def check_subtree_inclusion(
    index: int, start: int, end: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Raise EvidenceInvalid unless `leaf` is at `index` in the subtree over [start, end)."""
    _check_subtree(start, end, SIZE_MAX)
    check_inclusion(index - start, end - start, leaf, proof, root)


def check_subtree_consistency(
    start: int, end: int, size: int, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Raise EvidenceInvalid unless the subtree over [start, end) is part of the tree of `size`.

    The subtrees of Merkle Tree Certificates; [0, n) is the tree that a log once was. An empty
    subtree is part of every tree. A whole tree is compared with itself: nothing is hashed, so what
    its roots look like is not asked (the public vectors have such a case).
    """
    if not 0 <= start <= end <= size <= SIZE_MAX:
        raise EvidenceInvalid(f"[{start}, {end}) is no subtree of a tree of {size} leaves")
    if start == end or (start, end) == (0, size):
        if proof or old_root != (root if end > start else EMPTY_ROOT):
            raise EvidenceInvalid("the same tree has the same root, and needs no proof")
        return
    _check_hashes(proof, old_root, root)
    _check_subtree(start, end, size)
    first, last, top = start, end - 1, size - 1
    at_the_end = last == top
    while first != last and (at_the_end or last & 1):
        first, last, top = first >> 1, last >> 1, top >> 1
    steps = list(proof)
    if first == last:
        old = new = old_root
    elif steps:
        old = new = steps.pop(0)
    else:
        raise EvidenceInvalid("the proof is empty")
    for step in steps:
        if top == 0:
            raise EvidenceInvalid("the proof is longer than the tree is high")
        if last & 1 or last == top:
            if first < last:
                old = node_hash(step, old)
            new = node_hash(step, new)
            while not last & 1:
                first, last, top = first >> 1, last >> 1, top >> 1
        else:
            new = node_hash(new, step)
        first, last, top = first >> 1, last >> 1, top >> 1
    if top:
        raise EvidenceInvalid("the proof ends below the root")
    if old != old_root:
        raise EvidenceInvalid("the proof leads to another old root")
    if new != root:
        raise EvidenceInvalid("the proof leads to another root")


def _check_subtree(start: int, end: int, size: int) -> None:
    """A subtree begins at a multiple of the smallest power of two that holds it."""
    if not 0 <= start < end <= size <= SIZE_MAX or start % (1 << (end - start - 1).bit_length()):
        raise EvidenceInvalid(f"[{start}, {end}) is no subtree of a tree of {size} leaves")


def _check_hashes(proof: Sequence[bytes], *others: bytes) -> None:
    if len(proof) > PROOF_HASHES_MAX:
        raise EvidenceInvalid(f"a proof has at most {PROOF_HASHES_MAX} hashes")
    if any(len(one) != HASH_BYTES for one in (*proof, *others)):
        raise EvidenceInvalid(f"a hash has {HASH_BYTES} bytes")


# keys and notes


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name; `text` is the one-line form `name+id+base64`."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        """Four bytes that label the key on a signature line; never a means of security."""
        labelled = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(labelled).digest()[:4]

    @property
    def text(self) -> str:
        """The one-line form."""
        key = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{key}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key in its one-line form; Ed25519 of a signer or of a cosigner."""
    parts = text.split("+", 2)  # the key itself may hold a `+`
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise EvidenceInvalid("a verifier key is name+8 hex digits+base64")
    if not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise EvidenceInvalid("a verifier key is name+8 hex digits+base64")
    raw = decode_base64(parts[2], "the key")
    if len(raw) != 1 + _PUBLIC_BYTES or raw[0] not in _SIGNATURE_BYTES:
        raise EvidenceInvalid("only Ed25519 keys (types 1 and 4, 32 bytes) are known here")
    key = VerifierKey(parts[0], raw[1:], raw[0])
    if key.id.hex() != parts[1]:
        raise EvidenceInvalid(f"the key's id is {key.id.hex()}, not {parts[1]}")
    return key


def is_key_name(text: str) -> bool:
    """Whether a key can have this name: no spaces and no `+`."""
    return bool(_NAME.fullmatch(text))


@dataclass(frozen=True)
class Signature:
    """A line under a note: whose it says it is, and what it holds after the key's id."""

    line: str
    name: str
    key_id: bytes
    payload: bytes

    @property
    def time_s(self) -> int | None:
        """Return when a cosigner signed (POSIX seconds), or None where the line has no time."""
        if len(self.payload) != _SIGNATURE_BYTES[COSIGNER]:
            return None
        return int.from_bytes(self.payload[:_TIME_BYTES], "big")


@dataclass(frozen=True)
class Note:
    """A note taken apart: its text, every signature line, and which of the keys given signed."""

    text: str
    signatures: tuple[Signature, ...]
    signed: tuple[tuple[VerifierKey, Signature], ...] = ()


def open_note(note: bytes, keys: Sequence[VerifierKey]) -> Note:
    """Return a note that at least one of `keys` signed.

    Signatures of other keys are skipped; one of `keys` that fails refuses the whole note.
    """
    read = parse_note(note)
    signed = []
    for signature in read.signatures:
        for key in keys:
            if key.name == signature.name and key.id == signature.key_id:
                if not _holds(key, read.text, signature):
                    why = f"the signature of {key.name} does not fit the text"
                    raise EvidenceInvalid(why)
                signed.append((key, signature))
    if not signed:
        raise EvidenceInvalid("no known key signed this note")
    return Note(read.text, read.signatures, tuple(signed))


def parse_note(note: bytes) -> Note:
    """Return a note's parts, with no signature verified."""
    if len(note) > NOTE_BYTES_MAX:
        raise EvidenceInvalid(f"a note has at most {NOTE_BYTES_MAX} bytes")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise EvidenceInvalid("a note is UTF-8") from None
    if any(char < " " and char != "\n" for char in whole):
        raise EvidenceInvalid("a note has no control characters")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise EvidenceInvalid("a note ends with a blank line and signature lines")
    signatures = lines[:-1].split("\n")
    if len(signatures) > SIGNATURES_MAX:
        raise EvidenceInvalid(f"a note has at most {SIGNATURES_MAX} signatures")
    return Note(text + "\n", tuple(parse_signature(line) for line in signatures))


def parse_signature(line: str) -> Signature:
    """Return what a signature line says."""
    match = _SIGNATURE.fullmatch(line)
    if not match or not _NAME.fullmatch(match[1]):
        raise EvidenceInvalid(f"not a signature line: {line[:80]!r}")
    raw = decode_base64(match[2], "a signature")
    if len(raw) < 5:
        raise EvidenceInvalid("a signature has at least 5 bytes")
    return Signature(line, match[1], raw[:4], raw[4:])


def _holds(key: VerifierKey, text: str, signature: Signature) -> bool:
    """Whether a signature line is a key's: over the text, or as a cosigner's with its time."""
    if len(signature.payload) != _SIGNATURE_BYTES[key.kind]:
        return False
    if key.kind == ED25519:
        return key.verifies(text.encode(), signature.payload)
    seconds = int.from_bytes(signature.payload[:_TIME_BYTES], "big")
    if seconds > TIME_MAX:
        return False
    message = cosigned_message(seconds, text)
    return key.verifies(message, signature.payload[_TIME_BYTES:])


def cosigned_message(time_s: int, checkpoint_text: str) -> bytes:
    """Return what a cosigner signs: the time, in POSIX seconds, and the checkpoint's text."""
    return f"cosignature/v1\ntime {time_s}\n{checkpoint_text}".encode()


def decode_base64(text: str, what: str) -> bytes:
    """Return the bytes in standard base64, of which there is one form."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceInvalid(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise EvidenceInvalid(f"{what} is not canonical base64")
    return raw


# checkpoints and proofs


@dataclass(frozen=True)
class Checkpoint:
    """What is signed: the tape `origin` has `size` entries, and their tree has this `root`."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The exact text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in a note's text. Lines after the third are not looked at."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise EvidenceInvalid("a checkpoint is origin, size and root, a line each")
    origin, size, root = lines[:3]
    if not _NAME.fullmatch(origin):
        raise EvidenceInvalid("a checkpoint's origin has no spaces and no `+`")
    raw = decode_base64(root, "the root")
    if len(raw) != HASH_BYTES:
        raise EvidenceInvalid("a checkpoint's root has 32 bytes")
    return Checkpoint(origin, _decimal(size, "a checkpoint's size"), raw)


def _decimal(text: str, what: str) -> int:
    if not _DECIMAL.fullmatch(text) or int(text) > SIZE_MAX:
        raise EvidenceInvalid(f"{what} is a decimal number")
    return int(text)


PROOF_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Proof:
    """A tlog-proof: the entry at `index` (from 0) is in the tree that `checkpoint` (a note) signs.

    `extra` is the application's; nothing vouches for it.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    @property
    def content(self) -> bytes:
        """The file's exact bytes."""
        lines = [PROOF_HEADER]
        if self.extra:
            lines.append(f"extra {base64.b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [base64.b64encode(one).decode() for one in self.hashes]
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint


def parse_proof(content: bytes) -> Proof:
    """Return the proof in a .tlog-proof file. What it claims is not checked: see `check_proof`."""
    head, blank, checkpoint = content.partition(b"\n\n")
    try:
        lines = head.decode().split("\n")
    except UnicodeDecodeError:
        raise EvidenceInvalid("a proof is UTF-8") from None
    if not blank or lines[0] != PROOF_HEADER:
        raise EvidenceInvalid(f"a proof begins with {PROOF_HEADER}, and has a blank line")
    extra = b""
    if lines[1:] and lines[1].startswith("extra "):
        extra = decode_base64(lines.pop(1).removeprefix("extra "), "extra data")
    if len(lines) < 2 or not lines[1].startswith("index "):
        raise EvidenceInvalid("a proof names the entry's index")
    index = _decimal(lines[1].removeprefix("index "), "an index")
    hashes = tuple(decode_base64(line, "a proof's hash") for line in lines[2:])
    _check_hashes(hashes)
    return Proof(index, hashes, checkpoint, extra)


def check_proof(proof: Proof, leaf: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint that one of `keys` signed, if `leaf` is where `proof` says."""
    checkpoint = open_checkpoint(proof.checkpoint, keys)
    check_inclusion(proof.index, checkpoint.size, leaf, proof.hashes, checkpoint.root)
    return checkpoint


def open_checkpoint(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint in a note that the log itself signed: a key with its origin's name."""
    opened = open_note(note, keys)
    checkpoint = parse_checkpoint(opened.text)
    if not any(key.kind == ED25519 and key.name == checkpoint.origin for key, _ in opened.signed):
        raise EvidenceInvalid(f"no known key of {checkpoint.origin} itself signed this checkpoint")
    return checkpoint
