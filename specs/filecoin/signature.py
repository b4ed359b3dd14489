"""Signatures over vouchers: who signed, does it verify, and signing with a secp256k1 key.

Theory of operation. Three schemes exist: secp256k1 over BLAKE2b-256 (keys f1), BLS12-381 over the
bytes themselves (keys f3), and Ethereum's secp256k1 over Keccak-256 (keys f410). Two rules decide
which is used, and they differ, so each has its function:

1. On chain (`verify`) the account of the signer checks, with the scheme of its own address. The
   type byte has to be 1 or 2 for the message to decode at all, and is not looked at again
   (builtin-actors, account `AuthenticateMessage`).
2. Off chain (`verify_off_chain`) the type byte picks the scheme and the signer's address must be of
   the kind that goes with it (lotus, `sigs.Verify`).

What rule 2 takes rule 1 takes too, except type 3: no account on the chain answers for an f410 key,
so a voucher signed by one can be checked here but not redeemed.

ECDSA signatures are malleable: (R, S, V) and (R, n-S, V^1) both verify, on the chain and here.
Secret keys appear in no message, and no exception that saw one is chained.
"""

from __future__ import annotations

import importlib
from hashlib import blake2b
from typing import Any, ClassVar, Final

import coincurve

from ...fsm.errors import PeerError, Unavailable
from . import address
from .voucher import SIGNATURE_BLS, SIGNATURE_DELEGATED, SIGNATURE_SECP256K1, Signature

RECOVERABLE_BYTES: Final = 65
"""R (32), S (32) and V (1) of a secp256k1 signature from which the key can be recovered."""

BLS_SIGNATURE_BYTES: Final = 96
SECRET_KEY_BYTES: Final = 32

_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_ETHEREUM_TEXT = f"4{address.ETHEREUM_NAMESPACE}f"

_KEY_PROTOCOLS = {
    SIGNATURE_SECP256K1: address.PROTOCOL_SECP256K1,
    SIGNATURE_BLS: address.PROTOCOL_BLS,
    SIGNATURE_DELEGATED: address.PROTOCOL_DELEGATED,
}


class SignatureInvalid(PeerError):
    """The signature names no signer, or the key given cannot sign."""

    code: ClassVar[str] = "signature-invalid"


class SignatureUnsupported(PeerError):
    """The question cannot be answered for this kind of signature or signer, or as installed."""

    code: ClassVar[str] = "signature-unsupported"


class SignerUnresolved(PeerError):
    """The signer is given as an f0 or f2 address, which holds no key: resolve it first."""

    code: ClassVar[str] = "signer-unresolved"


def signer_of(signing_bytes: bytes, signature: Signature) -> str:
    """Return the key address whose holder made `signature` over `signing_bytes`.

    An f1 address for type 1, an f410 address for type 3. Any well-formed signature recovers to some
    address, so the result means something only when compared with the expected one.
    Raises SignatureInvalid when no key can be recovered; SignatureUnsupported for BLS (type 2),
    where the signer cannot be told from the signature.
    """
    if signature.type == SIGNATURE_SECP256K1:
        return _recover_f1(signing_bytes, signature.data)
    if signature.type == SIGNATURE_DELEGATED:
        return _recover_f410(signing_bytes, signature.data)
    if signature.type == SIGNATURE_BLS:
        raise SignatureUnsupported(
            "a BLS signature does not tell its signer",
            hint="verify it against the f3 address you expect",
            place="signature",
        )
    raise SignatureInvalid("unknown signature type", place="signature")


def verify(signing_bytes: bytes, signature: Signature, signer: str) -> bool:
    """Return whether `signature` verifies for the key address `signer`, by the chain's rule.

    The scheme is that of the signer's address (rule 1). With an f1 or f3 signer the type must be 1
    or 2, whichever; an f410 signer needs type 3, and True does not mean redeemable then.
    False for whatever does not verify, malformed signatures included.
    Raises SignerUnresolved for f0 and f2, SignatureUnsupported for other f4 signers, Unavailable
    for BLS without the `bls` extra, AddressInvalid when `signer` is no address.
    """
    protocol = _key_protocol(signer)
    is_delegated = protocol == address.PROTOCOL_DELEGATED
    if signature.type not in _KEY_PROTOCOLS:
        return False
    if is_delegated != (signature.type == SIGNATURE_DELEGATED):
        return False
    return _verify_as(protocol, signing_bytes, signature.data, signer)


def verify_off_chain(signing_bytes: bytes, signature: Signature, signer: str) -> bool:
    """Return whether a lotus node would take `signature` as made by the key address `signer`.

    The type byte picks the scheme, and the signer's address must be of its kind (rule 2).
    Returns and raises otherwise as `verify` does.
    """
    protocol = _key_protocol(signer)
    if _KEY_PROTOCOLS.get(signature.type) != protocol:
        return False
    return _verify_as(protocol, signing_bytes, signature.data, signer)


def sign_secp256k1(private_key: bytes, signing_bytes: bytes) -> Signature:
    """Return the type 1 signature over `signing_bytes`; the same input gives the same signature.

    private_key: 32 bytes, big-endian, 1 to n-1. The nonce is that of RFC 6979 and S is in the lower
    half. Raises SignatureInvalid, which does not tell the key, for any other key.
    """
    if not isinstance(private_key, bytes) or len(private_key) != SECRET_KEY_BYTES:
        raise SignatureInvalid(f"must be {SECRET_KEY_BYTES} bytes", place="private key")
    if not 0 < int.from_bytes(private_key, "big") < _CURVE_ORDER:
        raise SignatureInvalid("outside 1 to n-1", place="private key")
    key = coincurve.PrivateKey(private_key)
    data = key.sign_recoverable(_blake2b_256(signing_bytes), hasher=None)
    return Signature(SIGNATURE_SECP256K1, data)


def _key_protocol(signer: str) -> int:
    """Return the protocol of `signer` if it is an address that holds a key we know how to use."""
    protocol = address.protocol(signer)
    if protocol in (address.PROTOCOL_ID, address.PROTOCOL_ACTOR):
        raise SignerUnresolved(
            f"an f{protocol} address holds no key",
            hint="resolve it to the account's key address (f1, f3 or f410) first",
            place="signer",
        )
    if protocol == address.PROTOCOL_DELEGATED and signer[1:5] != _ETHEREUM_TEXT:
        raise SignatureUnsupported("of the f4 addresses only f410 holds keys", place="signer")
    return protocol


def _verify_as(protocol: int, signing_bytes: bytes, data: bytes, signer: str) -> bool:
    """Return whether `data` verifies for `signer` under the scheme of `protocol`."""
    if protocol == address.PROTOCOL_BLS:
        return _verify_bls(signing_bytes, data, address.parse(signer)[1:])
    recover = _recover_f1 if protocol == address.PROTOCOL_SECP256K1 else _recover_f410
    try:
        return recover(signing_bytes, data) == address.canonical(signer)
    except SignatureInvalid:
        return False


def _verify_bls(message: bytes, data: bytes, public_key: bytes) -> bool:
    bls = _bls_scheme()
    if not isinstance(data, bytes) or len(data) != BLS_SIGNATURE_BYTES:
        return False
    # py_ecc answers False to points off the curve or outside the subgroup, and to the zero key.
    return bool(bls.Verify(public_key, message, data))


def _bls_scheme() -> Any:
    """Return py_ecc's scheme without augmentation or proof of possession, which Filecoin uses.

    Imported when needed: it is an optional extra, and takes a third of a second.
    """
    try:
        return importlib.import_module("py_ecc.bls").G2Basic
    except ImportError:
        raise Unavailable(
            "BLS signatures need the py_ecc package",
            hint="pip install 'statetape[bls]'",
            place="signature",
        ) from None


def _recover_f1(signing_bytes: bytes, data: bytes) -> str:
    return address.from_secp256k1(_recover(_blake2b_256(signing_bytes), data))


def _recover_f410(signing_bytes: bytes, data: bytes) -> str:
    public_key = _recover(_keccak_256(signing_bytes), data)
    return address.from_delegated(address.ETHEREUM_NAMESPACE, _keccak_256(public_key[1:])[-20:])


def _recover(digest: bytes, data: bytes) -> bytes:
    """Return the 65-byte public key under which `data` signs `digest`, else SignatureInvalid.

    High S needs no normalising: recovery, unlike coincurve's verification, takes both halves.
    """
    if not isinstance(data, bytes) or len(data) != RECOVERABLE_BYTES:
        raise SignatureInvalid(f"must be {RECOVERABLE_BYTES} bytes", place="signature")
    if data[64] > 3:
        raise SignatureInvalid(f"V is {data[64]}; it must be 0 to 3", place="signature")
    for name, scalar in (("R", data[:32]), ("S", data[32:64])):
        if not 0 < int.from_bytes(scalar, "big") < _CURVE_ORDER:
            raise SignatureInvalid(f"{name} is outside 1 to n-1", place="signature")
    try:
        key = coincurve.PublicKey.from_signature_and_message(data, digest, hasher=None)
    except ValueError:
        raise SignatureInvalid("no key recovers from it", place="signature") from None
    return key.format(compressed=False)


def _blake2b_256(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def _keccak_256(data: bytes) -> bytes:
    keccak = importlib.import_module("Crypto.Hash.keccak")  # slow to import, seldom needed
    digest: bytes = keccak.new(data=data, digest_bits=256).digest()
    return digest
