"""Sign notes and checkpoints, and read them where a failure is to be named as statetape's own.

The text forms are C2SP's (signed-note, tlog-checkpoint, tlog-cosignature); reading them is the
verifier's, which stands alone and knows no StatetapeError. A signing key is held by its name and
seed; its text form is for a file of mode 0600, never for a log.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import verifier
from .errors import NoteInvalid
from .verifier import (
    COSIGNER,
    ED25519,
    Checkpoint,
    EvidenceInvalid,
    VerifierKey,
    cosigned_message,
    decode_base64,
)

_SEED_BYTES = 32
_KINDS = (ED25519, COSIGNER)


@contextmanager
def named(place: str = "") -> Iterator[None]:
    """Raise NoteInvalid at `place` where the verifier says EvidenceInvalid."""
    try:
        yield
    except EvidenceInvalid as error:
        raise NoteInvalid(str(error), place=place) from None


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key in its one-line form, or raise NoteInvalid."""
    with named():
        return verifier.parse_verifier_key(text)


def open_note(note: bytes, keys: Sequence[VerifierKey]) -> str:
    """Return the text of a note that at least one of `keys` signed. Raises NoteInvalid."""
    with named():
        return verifier.open_note(note, keys).text


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in a note's text, or raise NoteInvalid."""
    with named():
        return verifier.parse_checkpoint(text)


@dataclass(frozen=True)
class SignerKey:
    """A private key with its name and kind: a log's (ED25519) or a witness's (COSIGNER)."""

    name: str
    seed: bytes
    kind: int = ED25519

    def __repr__(self) -> str:
        """The name alone: key material never shows."""
        return f"SignerKey({self.name!r})"

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        return VerifierKey(self.name, private.public_key().public_bytes_raw(), self.kind)

    @property
    def text(self) -> str:
        """`PRIVATE+KEY+name+id+base64`, the form of Go's note package."""
        key = base64.b64encode(bytes([self.kind]) + self.seed).decode()
        return f"PRIVATE+KEY+{self.name}+{self.verifier.id.hex()}+{key}"

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature over `message`."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def parse_signer_key(text: str) -> SignerKey:
    """Return the key in its text form, or raise NoteInvalid without showing any of it."""
    parts = text.strip().split("+", 4)
    if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"] or not verifier.is_key_name(parts[2]):
        raise NoteInvalid("a signing key is PRIVATE+KEY+name+id+base64")
    with named():
        raw = decode_base64(parts[4], "the signing key")
    if len(raw) != 1 + _SEED_BYTES or raw[0] not in _KINDS:
        raise NoteInvalid("only Ed25519 signing keys are known here")
    key = SignerKey(parts[2], raw[1:], raw[0])
    if key.verifier.id.hex() != parts[3]:
        raise NoteInvalid("the signing key's id is not that of the key")
    return key


def sign_note(text: str, signer: SignerKey) -> str:
    """Return `text` (ending in a newline) as a note signed by `signer`."""
    return f"{text}\n{_line(signer, signer.sign(text.encode()))}"


def cosign(checkpoint_text: str, signer: SignerKey, time_s: int) -> str:
    """Return a witness's signature line (with its newline) over a checkpoint's text.

    It says: at `time_s` (POSIX seconds) this was the largest consistent tree that the witness had
    seen of that origin. Whoever calls has made sure of that, durably.
    """
    signature = signer.sign(cosigned_message(time_s, checkpoint_text))
    return _line(signer, time_s.to_bytes(8, "big") + signature)


def _line(signer: SignerKey, payload: bytes) -> str:
    signature = base64.b64encode(signer.verifier.id + payload).decode()
    return f"\u2014 {signer.name} {signature}\n"
