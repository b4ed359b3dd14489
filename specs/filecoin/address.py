"""Filecoin addresses, as text and as bytes; pure functions of both.

Theory of operation. An address is a protocol byte (0 to 4) and a payload; the text adds a network
letter and, except for f0, a checksum. Invariants, which the tests cite:

1. One text for one address: `render(parse(t)) == canonical(t)`, and no two canonical texts have the
   same bytes. So canonical texts may be compared, and used as keys, in place of the bytes.
2. `parse` and `render` refuse what they would not themselves produce (leading zeros, padding bits,
   long varints, capitals); the letter `t` of the test networks is the one tolerated variant,
   because it stands for the same bytes.
3. Nothing but `AddressInvalid` leaves this module for any text, bytes or int given to it, and the
   work done is bounded by `TEXT_LENGTH_MAX`.

Which f0 belongs to which key is chain state and is not known here. Rules and limits are those of
go-address; derivations are those of builtin-actors.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from hashlib import blake2b
from typing import ClassVar, Final

import cbor2

from ...fsm.errors import PeerError

PROTOCOL_ID: Final = 0
PROTOCOL_SECP256K1: Final = 1
PROTOCOL_ACTOR: Final = 2
PROTOCOL_BLS: Final = 3
PROTOCOL_DELEGATED: Final = 4

ETHEREUM_NAMESPACE: Final = 10
"""The f4 namespace of the Ethereum address manager: `f410f...`."""

ID_MAX: Final = 2**63 - 1
TEXT_LENGTH_MIN: Final = 3
TEXT_LENGTH_MAX: Final = 115
ID_DIGITS_MAX: Final = 19
SUBADDRESS_BYTES_MAX: Final = 54
UNSIGNED_64_MAX: Final = 2**64 - 1

_VARINT_BYTES_MAX = 9  # 63 bits, 7 to a byte
_CHECKSUM_BYTES = 4
_PAYLOAD_BYTES = {PROTOCOL_SECP256K1: 20, PROTOCOL_ACTOR: 20, PROTOCOL_BLS: 48}
_BODY_CHARACTERS = {
    protocol: -(-(size + _CHECKSUM_BYTES) * 8 // 5) for protocol, size in _PAYLOAD_BYTES.items()
}
_CACHE_ENTRIES = 8192

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_NOT_BASE32 = re.compile(r"[^a-z2-7]")
# int(text, 32) is the only base32 decoder in C of the standard library; it has its own digits.
_TO_INT_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")


class AddressInvalid(PeerError):
    """Not a Filecoin address, or not in its one accepted form; `place` is the part at fault."""

    code: ClassVar[str] = "address-invalid"


def parse(text: str) -> bytes:
    """Return the bytes (protocol byte and payload) of the address `text`.

    text: 3 to 115 characters, network letter `f` or `t`. The id of an f0 and the namespace of an
    f4 are plain decimal numbers up to 2^63-1; other bodies are unpadded lower-case base32 ending in
    a 4-byte BLAKE2b checksum (go-address, `decode`).
    Raises AddressInvalid for anything else, the text of no address (`<empty>`) included.
    """
    if not isinstance(text, str):
        raise AddressInvalid(f"an address is text, not {type(text).__name__}")
    return _parse(text)


def render(raw: bytes) -> str:
    """Return the canonical text (network letter `f`) of the address bytes `raw`.

    raw: protocol byte and payload, as they stand inside a message: a minimal LEB128 number for f0,
    20 bytes for f1 and f2, 48 for f3, a minimal LEB128 namespace and at most 54 bytes for f4.
    Raises AddressInvalid for anything else.
    """
    if not isinstance(raw, bytes):
        raise AddressInvalid(f"address bytes are bytes, not {type(raw).__name__}")
    return _render(raw)


def canonical(text: str) -> str:
    """Return the canonical form of the address `text`: the same, with network letter `f`.

    Raises AddressInvalid as `parse` does. Cheap for a text seen before.
    """
    parse(text)
    return text if text[0] == "f" else "f" + text[1:]


def protocol(text: str) -> int:
    """Return the protocol (0 to 4) of the address `text`; raises AddressInvalid as `parse` does."""
    return parse(text)[0]


def is_id(text: str) -> bool:
    """Return whether `text` is an f0 address; raises AddressInvalid when it is no address."""
    return protocol(text) == PROTOCOL_ID


def from_id(actor_id: int) -> str:
    """Return the f0 address of actor number `actor_id`, 0 to 2^63-1; else AddressInvalid."""
    _check_range(actor_id, ID_MAX, "id")
    return f"f0{actor_id}"


def from_secp256k1(public_key: bytes) -> str:
    """Return the f1 address of a secp256k1 public key.

    public_key: 65 bytes, uncompressed (first byte 0x04); else AddressInvalid. Whether the point is
    on the curve is not tested.
    """
    _check_length(public_key, 65, "public key")
    if public_key[0] != 4:
        raise AddressInvalid("an uncompressed key starts with byte 0x04", place="public key")
    return _render(bytes([PROTOCOL_SECP256K1]) + _short_digest(public_key))


def from_actor_data(data: bytes) -> str:
    """Return the f2 address whose payload is the BLAKE2b-160 of `data`, of any length."""
    if not isinstance(data, bytes):
        raise AddressInvalid("must be bytes", place="actor data")
    return _render(bytes([PROTOCOL_ACTOR]) + _short_digest(data))


def from_bls_key(public_key: bytes) -> str:
    """Return the f3 address of a compressed BLS12-381 G1 key of 48 bytes; else AddressInvalid."""
    _check_length(public_key, 48, "public key")
    return _render(bytes([PROTOCOL_BLS]) + public_key)


def from_delegated(namespace: int, subaddress: bytes) -> str:
    """Return the f4 address of `subaddress` under the address manager `namespace`.

    namespace: 0 to 2^63-1 (10 is Ethereum's); subaddress: at most 54 bytes. Else AddressInvalid.
    """
    _check_range(namespace, ID_MAX, "namespace")
    if not isinstance(subaddress, bytes):
        raise AddressInvalid("must be bytes", place="subaddress")
    return _render(bytes([PROTOCOL_DELEGATED]) + _varint(namespace) + subaddress)


def robust_channel_address(origin_text: str, nonce: int, created_before: int) -> str:
    """Return the f2 address that the init actor gives to a new actor, such as a payment channel.

    origin_text: address of the message's sender; nonce: that message's nonce; created_before: how
    many actors the same message created earlier (0 for a plain Exec). Both numbers are u64.
    Source: builtin-actors, init `Exec`; ref-fvm, `next_actor_address`. Raises AddressInvalid.
    """
    _check_range(nonce, UNSIGNED_64_MAX, "nonce")
    _check_range(created_before, UNSIGNED_64_MAX, "created_before")
    origin = cbor2.dumps(parse(origin_text))
    return from_actor_data(origin + nonce.to_bytes(8, "big") + created_before.to_bytes(8, "big"))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _parse(text: str) -> bytes:
    """Do the work of `parse` for a string; only accepted texts stay in the cache."""
    if text == "<empty>":
        raise AddressInvalid("this is how the absence of an address is printed", place="length")
    if not TEXT_LENGTH_MIN <= len(text) <= TEXT_LENGTH_MAX:
        limits = f"{TEXT_LENGTH_MIN} to {TEXT_LENGTH_MAX}"
        raise AddressInvalid(f"{len(text)} characters; an address has {limits}", place="length")
    if text[0] not in "ft":
        raise AddressInvalid(f"unknown network {text[0]!a}; known are f and t", place="network")
    if text[1] not in "01234":
        raise AddressInvalid(f"unknown protocol {text[1]!a}; known are 0 to 4", place="protocol")
    number, body = int(text[1]), text[2:]
    if number == PROTOCOL_ID:
        return b"\x00" + _varint(_decimal(body, "id"))
    if number == PROTOCOL_DELEGATED:
        return _parse_delegated(body)
    if len(body) != _BODY_CHARACTERS[number]:
        wanted = _BODY_CHARACTERS[number]
        raise AddressInvalid(
            f"{len(body)} characters after f{number}; it takes {wanted}", place="length"
        )
    return _without_checksum(bytes([number]), _base32_decode(body))


def _parse_delegated(body: str) -> bytes:
    """Return the bytes of an f4 address from its text after the protocol digit."""
    digits, separator, rest = body.partition("f")
    if not separator:
        raise AddressInvalid("no 'f' between namespace and subaddress", place="namespace")
    head = bytes([PROTOCOL_DELEGATED]) + _varint(_decimal(digits, "namespace"))
    return _check_subaddress(_without_checksum(head, _base32_decode(rest)), len(head))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _render(raw: bytes) -> str:
    """Do the work of `render` for bytes; only accepted bytes stay in the cache."""
    if not raw:
        raise AddressInvalid("no bytes: the empty address", place="length")
    number = raw[0]
    if number == PROTOCOL_ID:
        actor_id, end = _read_varint(raw, "id")
        if end != len(raw):
            raise AddressInvalid(f"{len(raw) - end} bytes follow the number", place="id")
        return f"f0{actor_id}"
    if number == PROTOCOL_DELEGATED:
        namespace, end = _read_varint(raw, "namespace")
        _check_subaddress(raw, end)
        return f"f4{namespace}f" + _base32_encode(raw[end:] + _checksum(raw))
    if number not in _PAYLOAD_BYTES:
        raise AddressInvalid(f"unknown protocol {number}; known are 0 to 4", place="protocol")
    if len(raw) != 1 + _PAYLOAD_BYTES[number]:
        wanted = _PAYLOAD_BYTES[number]
        raise AddressInvalid(
            f"{len(raw) - 1} bytes; f{number} takes {wanted}", place="payload length"
        )
    return f"f{number}" + _base32_encode(raw[1:] + _checksum(raw))


def _check_subaddress(raw: bytes, start: int) -> bytes:
    """Return `raw`, an f4 whose subaddress begins at `start`, if that is short enough."""
    size = len(raw) - start
    if size > SUBADDRESS_BYTES_MAX:
        raise AddressInvalid(f"{size} bytes; at most {SUBADDRESS_BYTES_MAX}", place="subaddress")
    return raw


def _decimal(digits: str, place: str) -> int:
    """Return the number that `digits` are the one plain decimal form of, 0 to 2^63-1."""
    if len(digits) > ID_DIGITS_MAX:
        raise AddressInvalid(f"length {len(digits)}; at most {ID_DIGITS_MAX} digits", place=place)
    # isdigit alone accepts digits of other scripts, and int() signs, spaces and underscores.
    if not (digits.isascii() and digits.isdigit()):
        raise AddressInvalid("not a decimal number", place=place)
    if digits[0] == "0" and len(digits) > 1:
        raise AddressInvalid("leading zeros", place=place)
    number = int(digits)
    if number > ID_MAX:
        raise AddressInvalid("greater than 2^63-1", place=place)
    return number


def _varint(number: int) -> bytes:
    """Return `number` as unsigned LEB128: 7 bits to a byte, least first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(raw: bytes, place: str) -> tuple[int, int]:
    """Return the LEB128 number at byte 1 of `raw`, and the index of the byte after it."""
    number = 0
    for index, byte in enumerate(raw[1 : 1 + _VARINT_BYTES_MAX]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index > 0:
                raise AddressInvalid("number is not in its shortest form", place=place)
            return number, index + 2
    if len(raw) > _VARINT_BYTES_MAX:
        raise AddressInvalid("greater than 2^63-1", place=place)
    raise AddressInvalid("the bytes end inside the number", place=place)


def _without_checksum(head: bytes, decoded: bytes) -> bytes:
    """Return `head` and the payload in `decoded`, whose last 4 bytes must be their checksum."""
    if len(decoded) < _CHECKSUM_BYTES:
        raise AddressInvalid("too short to hold a checksum", place="length")
    raw = head + decoded[:-_CHECKSUM_BYTES]
    if _checksum(raw) != decoded[-_CHECKSUM_BYTES:]:
        raise AddressInvalid("the checksum does not fit: a mistyped address", place="checksum")
    return raw


def _base32_decode(body: str) -> bytes:
    """Return the bytes of unpadded lower-case base32 that an encoder would have written so."""
    wrong = _NOT_BASE32.search(body)
    if wrong:
        raise AddressInvalid(f"{wrong.group()!a} is not a base32 character", place="body")
    spare_bits = len(body) * 5 % 8
    number = int(body.translate(_TO_INT_DIGITS), 32) if body else 0
    if spare_bits >= 5 or number & ((1 << spare_bits) - 1):
        raise AddressInvalid("base32 with bits left over at the end", place="body")
    return (number >> spare_bits).to_bytes(len(body) * 5 // 8, "big")


def _base32_encode(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _checksum(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=_CHECKSUM_BYTES).digest()


def _short_digest(data: bytes) -> bytes:
    """Return the BLAKE2b-160 that makes f1 and f2 payloads."""
    return blake2b(data, digest_size=20).digest()


def _check_range(number: int, maximum: int, place: str) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= maximum:
        raise AddressInvalid(
            f"must be a whole number from 0 to 2^{maximum.bit_length()}-1", place=place
        )


def _check_length(data: bytes, size: int, place: str) -> None:
    if not isinstance(data, bytes) or len(data) != size:
        raise AddressInvalid(f"must be {size} bytes", place=place)
