"""Signed notes and checkpoints, in the text forms of C2SP (signed-note, tlog-checkpoint).

A note is text, a blank line, and signature lines; a checkpoint is a note whose text is an origin,
a size and a root. The text's exact bytes, up to and including its last newline, are what is
signed. A reader skips signatures of keys that it does not know, refuses a note on which a known
key's signature fails, and needs one known key that verifies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import NoteInvalid
from .merkle import HASH_BYTES

ED25519 = 1
NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 100
SIZE_MAX = 2**63 - 1
_SIGNATURE = re.compile("\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)\\Z")
_NAME = re.compile(r"[^\s+]+\Z")


def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def _decode64(text: str, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteInvalid(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise NoteInvalid(f"{what} is not canonical base64")
    return raw


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name; `text` is the one-line form `name+id+base64`."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that label the key on a signature line; never a means of security."""
        return _key_id(self.name, ED25519, self.public)

    @property
    def text(self) -> str:
        """The one-line form."""
        key = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{key}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key in its one-line form, or raise NoteInvalid. (A key may hold `+`.)"""
    parts = text.split("+", 2)
    if len(parts) != 3 or not _NAME.match(parts[0]) or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise NoteInvalid("a verifier key is name+8 hex digits+base64")
    raw = _decode64(parts[2], "the key")
    if len(raw) != 33 or raw[0] != ED25519:
        raise NoteInvalid("only Ed25519 keys (type 1, 32 bytes) are known here")
    key = VerifierKey(parts[0], raw[1:])
    if key.id.hex() != parts[1]:
        raise NoteInvalid(f"the key's id is {key.id.hex()}, not {parts[1]}")
    return key


@dataclass(frozen=True)
class SignerKey:
    """A private key with its name. Its text form is for a file of mode 0600, never for a log."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        """The name alone: key material never shows."""
        return f"SignerKey({self.name!r})"

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        return VerifierKey(self.name, private.public_key().public_bytes_raw())

    @property
    def text(self) -> str:
        """`PRIVATE+KEY+name+id+base64`, the form of Go's note package."""
        key = base64.b64encode(bytes([ED25519]) + self.seed).decode()
        return f"PRIVATE+KEY+{self.name}+{self.verifier.id.hex()}+{key}"

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature over `message`."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


def parse_signer_key(text: str) -> SignerKey:
    """Return the key in its text form, or raise NoteInvalid without showing any of it."""
    parts = text.strip().split("+", 4)
    if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"] or not _NAME.match(parts[2]):
        raise NoteInvalid("a signing key is PRIVATE+KEY+name+id+base64")
    raw = _decode64(parts[4], "the signing key")
    if len(raw) != 33 or raw[0] != ED25519:
        raise NoteInvalid("only Ed25519 signing keys are known here")
    key = SignerKey(parts[2], raw[1:])
    if key.verifier.id.hex() != parts[3]:
        raise NoteInvalid("the signing key's id is not that of the key")
    return key


def sign_note(text: str, signer: SignerKey) -> str:
    """Return `text` (ending in a newline) as a note signed by `signer`."""
    signature = base64.b64encode(signer.verifier.id + signer.sign(text.encode())).decode()
    return f"{text}\n\u2014 {signer.name} {signature}\n"


def open_note(note: bytes, keys: Sequence[VerifierKey]) -> str:
    """Return the text of a note that at least one of `keys` signed. Raises NoteInvalid."""
    if len(note) > NOTE_BYTES_MAX:
        raise NoteInvalid(f"a note has at most {NOTE_BYTES_MAX} bytes")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise NoteInvalid("a note is UTF-8") from None
    if any(char < " " and char != "\n" for char in whole):
        raise NoteInvalid("a note has no control characters")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise NoteInvalid("a note ends with a blank line and signature lines")
    text += "\n"
    signatures = lines[:-1].split("\n")
    if len(signatures) > SIGNATURES_MAX:
        raise NoteInvalid(f"a note has at most {SIGNATURES_MAX} signatures")
    verified = [_check(line, text, keys) for line in signatures]
    if not any(verified):
        raise NoteInvalid("no known key signed this note")
    return text


def _check(line: str, text: str, keys: Sequence[VerifierKey]) -> bool:
    """Whether a known key signed; an unknown key is skipped, a known one that fails raises."""
    match = _SIGNATURE.match(line)
    if not match or not _NAME.match(match[1]):
        raise NoteInvalid(f"not a signature line: {line[:80]!r}")
    raw = _decode64(match[2], "a signature")
    if len(raw) < 5:
        raise NoteInvalid("a signature has at least 5 bytes")
    for key in keys:
        if key.name == match[1] and key.id == raw[:4]:
            if not key.verifies(text.encode(), raw[4:]):
                raise NoteInvalid(f"the signature of {key.name} does not fit the text")
            return True
    return False


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
    """Return the checkpoint in a note's text, or raise NoteInvalid."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise NoteInvalid("a checkpoint is origin, size and root, a line each")
    origin, size, root = lines[:3]
    if not _NAME.match(origin):
        raise NoteInvalid("a checkpoint's origin has no spaces and no `+`")
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", size) or int(size) > SIZE_MAX:
        raise NoteInvalid("a checkpoint's size is a decimal number")
    raw = _decode64(root, "the root")
    if len(raw) != HASH_BYTES:
        raise NoteInvalid("a checkpoint's root has 32 bytes")
    return Checkpoint(origin, int(size), raw)
