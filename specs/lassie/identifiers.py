"""UUIDs and content identifiers, as Lassie's recorder takes them.

A CID is decoded as far as its form goes (the CID specification of multiformats): multibase,
version, content codec, multihash, nothing missing and nothing left over. Which codec and which hash
function are meant, whether they exist at all, is not asked.

What is not one raises ValueError with the reason in words.
"""

from __future__ import annotations

import functools
import re

NIL = "00000000-0000-0000-0000-000000000000"
CID_CHARS_MAX = 1000
_CACHE_ENTRIES = 8192
_VARINT_BYTES_MAX = 9  # 63 bits, 7 to a byte
_SHA2_256 = b"\x12\x20"
_V0_BYTES = 34

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_BARE = re.compile(r"[0-9a-f]{32}\Z")

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# A digit of these bases is a whole number of bits: 2, 8, 16, 32 and 64 digits.
_PACKED = {
    "0": "01",
    "7": "01234567",
    "f": _BASE36[:16],
    "F": _BASE36[:16].upper(),
    "v": _BASE36[:32],
    "V": _BASE36[:32].upper(),
    "b": _BASE32,
    "B": _BASE32.upper(),
    "h": "ybndrfg8ejkmcpqxot1uwisza345h769",
    "m": _BASE64 + "+/",
    "u": _BASE64 + "-_",
}
# The same with `=` up to a whole number of groups.
_PADDED = {"c": "b", "C": "B", "t": "v", "T": "V", "M": "m", "U": "u"}
# The whole text is one number, after a zero byte for each leading zero.
_NUMBERS = {
    "9": "0123456789",
    "k": _BASE36,
    "K": _BASE36.upper(),
    "z": _BASE58,
    "Z": "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ",
}
# int(text, 32) is the only base32 decoder in C of the standard library; it has its own digits.
_TO_INT_DIGITS = str.maketrans(_BASE32, _BASE36[:32])
_NOT_BASE32 = re.compile(r"[^a-z2-7]")


@functools.lru_cache(_CACHE_ENTRIES)
def canonical_uuid(text: str) -> str:
    """Return a UUID in lower case with hyphens: what Go's `uuid.UnmarshalText` reads.

    So 32 digits without hyphens, braces around, and `urn:uuid:` before them are one as well.
    """
    if _UUID.match(text):
        return text
    shown = text.lower()
    if shown.startswith("urn:uuid:"):
        shown = shown[9:]
    elif shown.startswith("{") and shown.endswith("}"):
        shown = shown[1:-1]
    elif _BARE.match(shown):
        shown = "-".join((shown[:8], shown[8:12], shown[12:16], shown[16:20], shown[20:]))
    if not _UUID.match(shown):
        raise ValueError(f"{text[:80]!a} is not a UUID")
    return shown


@functools.lru_cache(_CACHE_ENTRIES)
def check_cid(text: str) -> None:
    """Raise ValueError unless `text` is a CID of version 0 or 1."""
    if len(text) > CID_CHARS_MAX:
        raise ValueError(f"not a CID: longer than {CID_CHARS_MAX} characters")
    try:
        if len(text) == 46 and text.startswith("Qm"):
            raw = _number(text, _BASE58)
            if len(raw) != _V0_BYTES or not raw.startswith(_SHA2_256):
                raise ValueError("version 0 is a SHA2-256 multihash")
        else:
            _check_v1(_multibase(text))
    except ValueError as error:
        raise ValueError(f"{text[:80]!a} is not a CID: {error}") from None


def _check_v1(raw: bytes) -> None:
    version, at = _varint(raw, 0, "version")
    if version == 0x12:
        raise ValueError("version 0 carries no multibase prefix")
    if version != 1:
        raise ValueError(f"no version {version}")
    _, at = _varint(raw, at, "content codec")
    _, at = _varint(raw, at, "hash function")
    size, at = _varint(raw, at, "length of the digest")
    if len(raw) - at != size:
        raise ValueError(f"the digest has {len(raw) - at} bytes, and its length says {size}")


def _varint(raw: bytes, at: int, what: str) -> tuple[int, int]:
    """Return an unsigned varint in its shortest form, and where it ends."""
    value = 0
    for index in range(_VARINT_BYTES_MAX):
        if at + index >= len(raw):
            raise ValueError(f"it ends in its {what}")
        byte = raw[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index:
                break
            return value, at + index + 1
    raise ValueError(f"its {what} is no varint in shortest form")


def _multibase(text: str) -> bytes:
    """Return the bytes of a text that begins with the letter of its base."""
    base, digits = text[:1], text[1:]
    if base in _PADDED:
        base, digits = _PADDED[base], _unpadded(digits, 8 if base in "cCtT" else 4)
    if base in _PACKED:
        return _packed(digits, base)
    if base in _NUMBERS:
        return _number(digits, _NUMBERS[base])
    raise ValueError(f"no multibase {base!a}")


def _unpadded(digits: str, group: int) -> str:
    bare = digits.rstrip("=")
    if len(digits) % group or len(digits) - len(bare) >= group:
        raise ValueError("its padding is not that of its base")
    return bare


def _packed(digits: str, base: str) -> bytes:
    """Return the whole bytes; what is left over must be less than a digit, and zero."""
    alphabet = _PACKED[base]
    bits = len(alphabet).bit_length() - 1
    if base == "b":
        if not digits or _NOT_BASE32.search(digits):
            raise ValueError("a letter that its base does not have")
        number = int(digits.translate(_TO_INT_DIGITS), 32)
    else:
        number = _positional(digits, alphabet)
    size, spare = divmod(len(digits) * bits, 8)
    if spare >= bits or number & ((1 << spare) - 1):
        raise ValueError("bits are left over after its last byte")
    return (number >> spare).to_bytes(size, "big")


def _number(digits: str, alphabet: str) -> bytes:
    number = _positional(digits, alphabet)
    zeros = len(digits) - len(digits.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _positional(digits: str, alphabet: str) -> int:
    number = 0
    for letter in digits:
        digit = alphabet.find(letter)
        if digit < 0:
            raise ValueError("a letter that its base does not have")
        number = number * len(alphabet) + digit
    return number
