"""Secret keys of Filecoin accounts: whose they are, what they sign, the forms they travel in.

Only secp256k1 (addresses f1) is here, because payers sign vouchers with it. Signatures are over
the BLAKE2b-256 of the bytes, as lotus makes them. Rules, which the tests cite:

1. Secret keys appear in no message, and no exception that leaves this module has one behind it:
   what failed to be read is told after the reading, not while its error is handled.
2. What `lotus_form` writes, `parse` reads, and lotus too (`lotus wallet import`).
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, ClassVar

import coincurve

from ...fsm.errors import CallerError
from . import address
from .signature import SECRET_KEY_BYTES, SignatureInvalid, sign_secp256k1, verify_off_chain
from .voucher import SIGNATURE_BYTES_MAX, Signature

LOTUS_TYPE = "secp256k1"
LOTUS_TYPES = (LOTUS_TYPE, "bls", "delegated")
_TEXT_CHARACTERS_MAX = 4096
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")


class SecretKeyInvalid(CallerError):
    """The text does not hold a secret key of this kind. Nothing of it is shown."""

    code: ClassVar[str] = "secret-key-invalid"


def check(secret: bytes, place: str = "secret key") -> bytes:
    """Return `secret` if it is a secp256k1 key: 32 bytes, big-endian, 1 to n-1.

    Raises SecretKeyInvalid.
    """
    if not isinstance(secret, bytes) or len(secret) != SECRET_KEY_BYTES:
        raise SecretKeyInvalid(f"a secret key has {SECRET_KEY_BYTES} bytes", place=place)
    if _key(secret) is None:
        raise SecretKeyInvalid("a secret key is a number from 1 to n-1", place=place)
    return secret


def _key(secret: bytes) -> Any:
    try:
        return coincurve.PrivateKey(secret)
    except ValueError:
        return None


def address_of(secret: bytes) -> str:
    """Return the f1 address that signs with this secret key. Raises SecretKeyInvalid."""
    public = _key(check(secret)).public_key
    return address.from_secp256k1(public.format(compressed=False))


def sign(secret: bytes, message: bytes) -> Signature:
    """Return the signature over `message`; the same every time. Raises SecretKeyInvalid."""
    return sign_secp256k1(check(secret), message)


def verifies(signer: str, message: bytes, signature: Signature) -> bool:
    """Whether the key of the address `signer` made `signature` over `message`, as lotus sees it.

    Raises as `signature.verify_off_chain` does: for an address that holds no key, for instance.
    """
    return verify_off_chain(message, signature, signer)


def signature_text(signature: Signature) -> str:
    """Return a signature as lotus prints it: its type and its bytes, in hexadecimal."""
    return (bytes([signature.type]) + signature.data).hex()


def parse_signature(text: str) -> Signature:
    """Return the signature in `text`, the form of `signature_text`. Raises SignatureInvalid."""
    given = text.strip()
    if not _HEX.fullmatch(given) or len(given) > 2 * SIGNATURE_BYTES_MAX:
        raise SignatureInvalid(
            "not a signature's type and bytes in hexadecimal",
            place="signature",
            hint="it begins with 01 for secp256k1, 02 for BLS",
        )
    raw = bytes.fromhex(given)
    return Signature(raw[0], raw[1:])


def lotus_form(secret: bytes) -> str:
    """Return a key as `lotus wallet export` prints it. Raises SecretKeyInvalid."""
    key = base64.b64encode(check(secret)).decode("ascii")
    said = {"Type": LOTUS_TYPE, "PrivateKey": key}
    return json.dumps(said, separators=(",", ":")).encode().hex()


def parse(text: str, place: str = "secret key") -> bytes:
    """Return the secret key in `text`: 64 hexadecimal digits, or as lotus exports it.

    Of lotus both forms are taken, the JSON and its hexadecimal. Raises SecretKeyInvalid, with
    `place`, and without anything of the text.
    """
    given = text.strip()
    if len(given) > _TEXT_CHARACTERS_MAX:
        raise SecretKeyInvalid("too long for a secret key", place=place)
    raw = bytes.fromhex(given) if _HEX.fullmatch(given) else b""
    if len(raw) == SECRET_KEY_BYTES:
        return check(raw, place)
    found = _lotus_key(raw or given.encode("utf-8", "replace"))
    if found is None:
        why = "a secret key is 64 hexadecimal digits, or what `lotus wallet export` prints"
        raise SecretKeyInvalid(why, place=place)
    kind, secret = found
    if kind != LOTUS_TYPE:
        named = kind if kind in LOTUS_TYPES else "unknown"
        raise SecretKeyInvalid(f"a {LOTUS_TYPE} key is needed; this one is {named}", place=place)
    return check(secret, place)


def is_secret(text: str) -> bool:
    """Whether `text` may be a secret key in a form that we know: then it is not to be shown."""
    given = text.strip()
    marked = "PRIVATE+KEY" in given or "PrivateKey" in given or b"PrivateKey".hex() in given.lower()
    return marked or bool(re.search(r"[0-9A-Fa-f]{60}", given))


def _lotus_key(document: bytes) -> tuple[str, bytes] | None:
    """Return the type and the bytes of a key that lotus exported, or None if it is none."""
    try:
        held = json.loads(document)
        kind, key = held["Type"], held["PrivateKey"]
        secret = base64.b64decode(key, validate=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if len(held) != 2 or base64.b64encode(secret).decode("ascii") != key:
        return None
    # Lotus once wrote the number of the signature's type, and still reads it.
    return (LOTUS_TYPE if kind == 1 and kind is not True else str(kind)), secret
