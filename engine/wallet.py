"""The wallet: keys by their names, made, taken in, given out, and signing.

The keystore knows no kinds of keys, and the systems' modules no files; here they meet. A secret
lives in an `OpenKey` from when its passphrase opened it until nobody holds that any more. Python
cannot wipe memory: who can read this process's memory can read the key.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..fsm.errors import CallerError
from ..specs.filecoin import keys
from ..specs.filecoin.keys import SecretKeyInvalid
from ..specs.filecoin.signature import SignatureInvalid
from ..specs.filecoin.voucher import Signature
from ..storage.errors import NoteInvalid
from ..storage.keystore import (
    NEW_WORK,
    PUBLIC_CHARACTERS_MAX,
    KeyNameInvalid,
    KeyRecord,
    Keystore,
    KeystoreDamaged,
    NewKey,
    Work,
    check_name,
)
from ..storage.note import (
    SignerKey,
    open_note,
    parse_signer_key,
    parse_verifier_key,
    sign_note,
)
from ..storage.verifier import COSIGNER

SECP256K1 = "secp256k1"
ED25519 = "ed25519"
_NOTE_KEY = "PRIVATE+KEY+"
ED25519_SIGNATURE_BYTES = 64


class KeyKindWrong(CallerError):
    """The key is of a kind that cannot do this."""

    code = "key-kind-wrong"


@dataclass(frozen=True)
class OpenKey:
    """A key whose passphrase was given: it can sign, and be given out."""

    name: str
    kind: str
    public: str
    secret: bytes

    def __repr__(self) -> str:
        """Without the secret: key material never shows."""
        return f"OpenKey({self.name!r}, {self.kind!r}, {self.public!r})"

    def sign(self, message: bytes) -> str:
        """Return the signature over `message` as text.

        secp256k1: type and bytes in hexadecimal, as lotus prints it. ed25519: base64.
        """
        if self.kind == SECP256K1:
            return keys.signature_text(self.sign_voucher(message))
        return base64.b64encode(self._note_key().sign(message)).decode("ascii")

    def sign_voucher(self, signing_bytes: bytes) -> Signature:
        """Return the signature for a voucher. Raises KeyKindWrong for ed25519."""
        if self.kind != SECP256K1:
            raise KeyKindWrong("vouchers are signed with secp256k1 keys", place=f"key {self.name}")
        return keys.sign(self.secret, signing_bytes)

    def sign_note(self, text: str) -> str:
        """Return `text` as a signed note. Raises KeyKindWrong for secp256k1, or NoteInvalid."""
        if self.kind != ED25519:
            raise KeyKindWrong("notes are signed with ed25519 keys", place=f"key {self.name}")
        signer = self._note_key()
        if signer.kind == COSIGNER:
            why = "a witness's key cosigns checkpoints, and signs no other note"
            raise KeyKindWrong(why, place=f"key {self.name}")
        if not text.endswith("\n"):
            raise NoteInvalid("a note's text ends with a newline")
        note = sign_note(text, signer)
        open_note(note.encode(), [parse_verifier_key(self.public)])
        return note

    def text(self) -> str:
        """Return the secret as other programs read it: lotus's export, or `PRIVATE+KEY+…`."""
        if self.kind == SECP256K1:
            return keys.lotus_form(self.secret)
        return self._note_key().text

    def _note_key(self) -> SignerKey:
        return _signer(self.public, self.secret)


class Wallet:
    """The keys in the keystore at `path`. Raises what `storage.keystore` raises."""

    def __init__(self, path: str | Path) -> None:
        self.store = Keystore(path)

    def keys(self) -> tuple[KeyRecord, ...]:
        """Return every key, without its secret; needs no passphrase."""
        return self.store.records()

    def refuse_taken(self, name: str) -> None:
        """Raise KeyNameTaken or KeyNameInvalid for what no new key can be called."""
        if keys.is_secret(name):
            raise KeyNameInvalid("this looks like a key, not like its name", place="name")
        self.store.refuse_taken(name)

    def create(
        self,
        name: str,
        kind: str,
        passphrase: bytes,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        work: Work = NEW_WORK,
    ) -> KeyRecord:
        """Make a key and store it durably; returns what is public of it.

        An ed25519 key signs notes under its own name.
        """
        self.refuse_taken(name)
        secret = entropy(32)
        if kind == SECP256K1:
            key = _secp256k1(name, secret)
        else:
            key = _ed25519(name, SignerKey(name, secret))
        return self.store.add(key, passphrase, entropy, work)

    def add(
        self,
        name: str,
        text: str,
        passphrase: bytes,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        work: Work = NEW_WORK,
    ) -> KeyRecord:
        """Store the key that `text` holds; returns what is public of it.

        text: 64 hexadecimal digits or lotus's export (secp256k1), or `PRIVATE+KEY+…` (ed25519).
        Raises SecretKeyInvalid, without anything of the text.
        """
        self.refuse_taken(name)
        return self.store.add(read_key(name, text), passphrase, entropy, work)

    def open(self, name: str, passphrase: bytes) -> OpenKey:
        """Return a key that can sign. Its public part is what its secret gives: looked at again."""
        record = self.store.record(name)
        secret = self.store.unlock(name, passphrase)
        found = OpenKey(record.name, record.kind, record.public, secret)
        if not _belongs(found):
            why = "its secret is not that of its public part"
            raise KeystoreDamaged(why, place=f"{self.store.path}, key {name}")
        return found


def read_key(name: str, text: str) -> NewKey:
    """Return the key in `text`, to be called `name`. Raises SecretKeyInvalid."""
    if not text.strip().startswith(_NOTE_KEY):
        return _secp256k1(name, keys.parse(text))
    try:
        signer = parse_signer_key(text)
    except NoteInvalid as error:
        why = error.message
    else:
        key = _ed25519(name, signer)
        if len(key.public) <= PUBLIC_CHARACTERS_MAX and key.public.isprintable():
            return key
        why = "the name in the key is too long, or cannot be printed"
    raise SecretKeyInvalid(why, place="secret key")


def _secp256k1(name: str, secret: bytes) -> NewKey:
    return NewKey(check_name(name), SECP256K1, keys.address_of(secret), secret)


def _ed25519(name: str, signer: SignerKey) -> NewKey:
    return NewKey(check_name(name), ED25519, signer.verifier.text, signer.seed)


def _signer(public: str, seed: bytes) -> SignerKey:
    """Return the signing key: its name and what it is for (notes, cosignatures) are public."""
    known = parse_verifier_key(public)
    return SignerKey(known.name, seed, known.kind)


def _belongs(key: OpenKey) -> bool:
    """Whether the secret is that of the public part."""
    try:
        if key.kind == SECP256K1:
            return keys.address_of(key.secret) == key.public
        return _signer(key.public, key.secret).verifier.text == key.public
    except (SecretKeyInvalid, NoteInvalid, ValueError):
        return False


def verifies(public: str, message: bytes, signature: str) -> bool:
    """Whether `signature`, as `OpenKey.sign` writes it, is that of the key `public`.

    public: a key address (f1; f3 and f410 too), or a verifier key `name+id+base64`.
    Raises SignatureInvalid for what is no signature's text, AddressInvalid or NoteInvalid for what
    is no public key.
    """
    if "+" not in public:
        return keys.verifies(public, message, keys.parse_signature(signature))
    key = parse_verifier_key(public)
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != ED25519_SIGNATURE_BYTES:
        why = f"an ed25519 signature is the base64 of {ED25519_SIGNATURE_BYTES} bytes"
        raise SignatureInvalid(why, place="signature")
    return key.verifies(message, raw)


def note_text(public: str, note: bytes) -> str:
    """Return the text of a note that the verifier key `public` signed. Raises NoteInvalid."""
    return open_note(note, [parse_verifier_key(public)])
