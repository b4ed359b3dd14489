"""UUIDs and CIDs: every form that there is, and what is none."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.specs.lassie.identifiers import CID_CHARS_MAX, canonical_uuid, check_cid

UUID = "d05a522e-9608-401a-a33f-1eb4ac4111a0"
DIGEST = hashlib.sha256(b"statetape").digest()
MULTIHASH = b"\x12\x20" + DIGEST
V1 = b"\x01\x70" + MULTIHASH
LONG = b"\x01\x55\x00\xeb\x04" + bytes(619)
"""Written in base32, with the letter before it, CID_CHARS_MAX characters."""
ZBASE32 = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "ybndrfg8ejkmcpqxot1uwisza345h769")
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base32(raw):
    """Return base32 in lower case without padding."""
    return base64.b32encode(raw).decode().lower().rstrip("=")


def number(raw, alphabet):
    """Return bytes written as one number, with a zero for each leading zero byte."""
    value, digits = int.from_bytes(raw, "big"), ""
    while value:
        value, digit = divmod(value, len(alphabet))
        digits = alphabet[digit] + digits
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return alphabet[0] * zeros + digits


@pytest.mark.parametrize(
    "text",
    [UUID, UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}"],
)
def test_a_uuid_has_one_form(text):
    """Those that Go reads all mean the same instance."""
    assert canonical_uuid(text) == UUID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bad-retrieval-id",
        UUID[:-1],
        UUID + "0",
        UUID + "\n",
        UUID.replace("a", "g"),
        UUID.replace("-", "", 1),
        UUID.replace("-", "_"),
        f"{{{UUID}",
        f"[{UUID}]",
        f"urn:uuid:{{{UUID}}}"[:-1],
        f"x{UUID}}}",
        "𝟎" * 32,
    ],
)
def test_what_is_no_uuid_is_refused(text):
    """With a reason that shows it."""
    with pytest.raises(ValueError, match="is not a UUID"):
        canonical_uuid(text)


@pytest.mark.parametrize(
    "text",
    [
        "QmTTA2daxGqo5denp6SwLzzkLJm3fuisYEi9CoWsuHpzfb",
        "bafybeic4jpi2detp5n3q6rjo7ckulebtr7dsvt2tbrtcqlnnzqmi3bzz2y",
        "zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7",
        "b" + base32(V1),
        "B" + base32(V1).upper(),
        "c" + base64.b32encode(V1).decode().lower(),
        "v" + base64.b32hexencode(V1).decode().lower().rstrip("="),
        "f" + V1.hex(),
        "F" + V1.hex().upper(),
        "m" + base64.b64encode(V1).decode().rstrip("="),
        "M" + base64.b64encode(V1).decode(),
        "u" + base64.urlsafe_b64encode(V1).decode().rstrip("="),
        "U" + base64.urlsafe_b64encode(V1).decode(),
        "z" + number(V1, BASE58),
        "k" + number(V1, "0123456789abcdefghijklmnopqrstuvwxyz"),
        "9" + number(V1, "0123456789"),
        "0" + "".join(f"{byte:08b}" for byte in V1),
        "C" + base64.b32encode(V1).decode(),
        "V" + base64.b32hexencode(V1).decode().rstrip("="),
        "t" + base64.b32hexencode(V1).decode().lower(),
        "T" + base64.b32hexencode(V1).decode(),
        "h" + base32(V1).translate(ZBASE32),
        "7" + f"{int.from_bytes(V1, 'big'):096o}",
        "K" + number(V1, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "Z" + number(V1, "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"),
        "b" + base32(LONG),
        "f01" + "55" + "0000",  # an identity hash of nothing
        "f01" + "a0e402" + "1e04" + "00112233",  # a codec and a hash of longer numbers
    ],
)
def test_a_cid_in_any_base_is_one(text):
    """Version 0, and version 1 in each base that CIDs are written in."""
    check_cid(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no multibase"),
        ("fish", "a letter that its base does not have"),
        ("test-cid", "padding"),
        ("xabc", "no multibase"),
        ("b", "a letter"),
        ("z", "ends in its version"),
        ("QmTTA2daxGqo5denp6SwLzzkLJm3fuisYEi9CoWsuHpzf", "no multibase"),
        ("QmTTA2daxGqo5denp6SwLzzkLJm3fuisYEi9CoWsuHpzf0", "a letter"),
        ("Qm" + "z" * 44, "version 0 is"),
        ("f" + MULTIHASH.hex(), "version 0 carries no multibase"),
        ("b" + base32(V1)[:-2], "digest has 31 bytes"),
        ("f" + V1.hex()[:-2], "digest has 31 bytes"),
        ("f" + V1.hex() + "00", "digest has 33 bytes"),
        ("f" + V1.hex()[:-1], "left over"),
        ("b" + base32(V1)[:-1] + "7", "left over"),
        ("b" + base32(V1) + "a", "left over"),
        ("z1" + number(V1, BASE58), "no version 0"),
        ("k0" + number(V1, "0123456789abcdefghijklmnopqrstuvwxyz"), "no version 0"),
        ("f" + V1.hex() + "0", "left over"),
        ("M" + base64.b64encode(V1).decode() + "====", "padding"),
        ("b" + base32(LONG + b"\0"), "longer than"),
        ("f00" + V1.hex()[2:], "no version 0"),
        ("f02" + V1.hex()[2:], "no version 2"),
        ("f01", "ends in its content codec"),
        ("f0180", "ends in its content codec"),
        ("f0170", "ends in its hash function"),
        ("f017012", "ends in its length"),
        ("f8100" + V1.hex()[2:], "shortest form"),
        ("f01" + "80" * 9 + "01", "shortest form"),
        ("M" + base64.b64encode(V1).decode() + "=", "padding"),
        ("b" + base32(V1).upper(), "a letter"),
        ("b" + base32(V1)[:-1] + "é", "a letter"),
        ("b" + "a" * CID_CHARS_MAX, "longer than"),
    ],
)
def test_what_is_no_cid_is_refused(text, why):
    """With what is wrong about it."""
    with pytest.raises(ValueError, match=f"not a CID.*{why}"):
        check_cid(text)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader_of_cids(text):
    """It is one, or it is refused as none."""
    with suppress(ValueError):
        check_cid(text)
