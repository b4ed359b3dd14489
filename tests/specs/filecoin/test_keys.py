"""Keys: lotus's own export, address and signature come out; what is no key is refused unshown."""

from __future__ import annotations

import base64
import json
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from statetape.fsm.errors import PeerError
from statetape.specs.filecoin import keys
from statetape.specs.filecoin.keys import SecretKeyInvalid
from statetape.specs.filecoin.signature import SignatureInvalid, SignerUnresolved
from statetape.specs.filecoin.voucher import Signature

# What `lotus wallet export`, its address and `lotus wallet sign` said (tests of go-filsigner).
LOTUS_EXPORT = (
    "7b2254797065223a22736563703235366b31222c22507269766174654b6579223a226b35507976337148327349"
    "586343595a58594f5775453149326e32554539436861556b6c4e36695a5763453d227d"
)
LOTUS_ADDRESS = "f1fib3pv7jua2ockdugtz7viz3cyy6lkhh7rfx3sa"
LOTUS_MESSAGE = b"DUKE"
LOTUS_SIGNATURE = (
    "0103bff286f1371c1a4ce8e33c29d6a20eeb53f17970190d12c5a1c0fc4be9a56e766250d5a82dda2179fa90ae"
    "297696d1dfaa9eea8f2f833da0cf87b927294eb700"
)
LOTUS_BLS_EXPORT = (
    "7b2254797065223a22626c73222c22507269766174654b6579223a226862702f794666527439514c43716b6d56"
    "6171415752436f50556777314b776971716e73684e49704e57513d227d"
)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECRET = keys.parse(LOTUS_EXPORT)


def lotus_json(kind="secp256k1", key=SECRET, **more):
    """Return a key as lotus holds it, in the JSON's own text."""
    return json.dumps({"Type": kind, "PrivateKey": base64.b64encode(key).decode(), **more})


def test_a_key_that_lotus_exported_has_the_address_that_lotus_gave_it():
    """The address depends on the curve, the digest and the text form."""
    assert keys.address_of(SECRET) == LOTUS_ADDRESS


def test_a_signature_is_the_one_that_lotus_makes():
    """To the last byte, because the nonce is that of RFC 6979; and so on every day."""
    made = keys.signature_text(keys.sign(SECRET, LOTUS_MESSAGE))

    assert made == LOTUS_SIGNATURE == keys.signature_text(keys.sign(SECRET, LOTUS_MESSAGE))


def test_lotus_signature_verifies_for_its_address_and_message_alone():
    """And not with a bit of it changed."""
    signature = keys.parse_signature(LOTUS_SIGNATURE + "\n")
    other = Signature(signature.type, bytes([signature.data[0] ^ 1]) + signature.data[1:])

    assert keys.verifies(LOTUS_ADDRESS, LOTUS_MESSAGE, signature)
    assert not keys.verifies(LOTUS_ADDRESS, b"DUKe", signature)
    assert not keys.verifies("f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi", b"DUKE", signature)
    assert not keys.verifies(LOTUS_ADDRESS, LOTUS_MESSAGE, other)
    with pytest.raises(SignerUnresolved):
        keys.verifies("f01234", LOTUS_MESSAGE, signature)


@pytest.mark.parametrize(
    "text",
    [
        LOTUS_EXPORT,
        f"  {LOTUS_EXPORT}\n",
        LOTUS_EXPORT.upper(),
        lotus_json(),
        SECRET.hex(),
        SECRET.hex().upper() + "\r\n",
        lotus_json().replace('"secp256k1"', "1"),
    ],
)
def test_a_key_is_read_in_every_form_that_lotus_takes(text):
    """Its hexadecimal, its JSON, bare digits, and the number that lotus once wrote for the type."""
    assert keys.parse(text) == SECRET


def test_the_lotus_form_is_what_lotus_wrote():
    """Order of the members, spaces and padding included."""
    assert keys.lotus_form(SECRET) == LOTUS_EXPORT


@given(st.integers(1, ORDER - 1))
@example(1)
@example(ORDER - 1)
def test_what_is_exported_can_be_read_again(number):
    """Whatever the key, leading zeros included."""
    secret = number.to_bytes(32, "big")

    assert keys.parse(keys.lotus_form(secret)) == secret


WRONG = {
    "nothing": "",
    "a digit short": SECRET.hex()[:-1],
    "a byte short": SECRET.hex()[:-2],
    "a byte long": SECRET.hex() + "00",
    "not hexadecimal": SECRET.hex()[:-1] + "g",
    "0x before it": "0x" + SECRET.hex(),
    "zero": "00" * 32,
    "the order": ORDER.to_bytes(32, "big").hex(),
    "cut off": LOTUS_EXPORT[:-2],
    "a short key in it": lotus_json(key=SECRET[1:]).encode().hex(),
    "zero in it": lotus_json(key=bytes(32)),
    "more in it": lotus_json(Other=1),
    "no base64 in it": lotus_json().replace("=", "*"),
    "spare bits in it": lotus_json().replace("ZWcE=", "ZWcF="),
    "an unknown type": lotus_json(kind="ed25519"),
    "a true type": lotus_json().replace('"secp256k1"', "true"),
    "a list": f"[{lotus_json()}]",
    "nested": "[" * 2000,
    "too long": SECRET.hex() + " " * 10 + "x" * 5000,
    "another alphabet": SECRET.hex()[:-1] + "１",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_key_is_refused_and_not_shown(text):
    """By name, with the place; neither message nor traceback has any stretch of what was given."""
    with pytest.raises(SecretKeyInvalid) as caught:
        keys.parse(text, "somewhere")

    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert caught.value.place == "somewhere"
    assert caught.value.__context__ is None
    for form in (SECRET.hex(), base64.b64encode(SECRET).decode(), LOTUS_EXPORT[60:]):
        assert not any(form[at : at + 12] in told for at in range(len(form) - 12))


def test_a_bls_key_is_told_from_a_wrong_one():
    """It is one, but not one that signs here."""
    with pytest.raises(SecretKeyInvalid, match="this one is bls"):
        keys.parse(LOTUS_BLS_EXPORT)


@pytest.mark.parametrize("text", ["", "0", "0x01", "01 02", "zz", "01" * 201])
def test_what_is_no_signature_is_refused(text):
    """By name; but a well-formed one that is merely wrong does not hold, and is no error."""
    with pytest.raises(SignatureInvalid):
        keys.parse_signature(text)

    assert not keys.verifies(LOTUS_ADDRESS, LOTUS_MESSAGE, keys.parse_signature("01ff"))


@pytest.mark.parametrize("secret", [b"", bytes(32), b"\x01" * 31, ORDER.to_bytes(32, "big"), "1"])
def test_nothing_is_signed_or_told_of_a_wrong_key(secret):
    """Not even where the library would pad it."""
    for use in (keys.address_of, keys.lotus_form, lambda key: keys.sign(key, b"")):
        with pytest.raises(SecretKeyInvalid):
            use(secret)


def test_the_error_is_the_callers_not_the_peers():
    """A key is given by who calls; a signature comes from a peer."""
    assert not issubclass(SecretKeyInvalid, PeerError)
    assert issubclass(SignatureInvalid, PeerError)


@pytest.mark.parametrize(
    "text",
    [LOTUS_EXPORT, SECRET.hex(), lotus_json(), f"x/{SECRET.hex()}", "PRIVATE+KEY+a+00000000+AQ"],
)
def test_what_may_be_a_key_is_known(text):
    """So that it is not repeated where a name was expected; and names are not taken for keys."""
    assert keys.is_secret(text)
    assert not keys.is_secret(LOTUS_ADDRESS)
    assert not keys.is_secret("keys/payer-2026.lotus")
