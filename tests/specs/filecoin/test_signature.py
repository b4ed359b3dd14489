"""Signatures: real ones recover to their signer, and every other way to sign or claim fails."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.fsm.errors import PeerError, Unavailable
from statetape.specs.filecoin import address, signature, voucher
from statetape.specs.filecoin.address import AddressInvalid
from statetape.specs.filecoin.signature import (
    SignatureInvalid,
    SignatureUnsupported,
    SignerUnresolved,
)
from statetape.specs.filecoin.voucher import Signature

from .test_voucher import SIGNED, TEXTS

PAYEE = "f1376vktwzuqxmxoxwftqw77qp7p3vfexv3hmgl3a"
PAYER_2585 = "f14hsid4nwp724r6dxwgue5kvvzjqjrd6y4lalecq"
OWN = "f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi"
SIGNERS = {
    "V1": PAYEE,
    "V2": PAYEE,
    "V3": PAYER_2585,
    "V4": PAYER_2585,
    "S1": OWN,
    "S2": OWN,
}
OWN_KEY = b"\x01" * 32
V1M = bytes.fromhex(
    "561f72ef06879718d6f2b8cd96450e8d5f0d357a576e9a286e93d36bcdfd7c48"
    "bb7d976549c4ef6346f135e9d731ac9f569f90b7ac8d8d212355c4d36af8203f00"
)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

BLS_SIGNER = (
    "f3tcgq5scpfhdwh4dbalwktzf6mbv3ng2nw7tyzni5cyrsgvineid6jybnweecpa6misa6lk4tvwtxj2gkwpzq"
)
BLS_DATA = bytes.fromhex(
    "9927444bfcffdca34af57b78757b9b90f1cd28d2a3aeed2aa6bde299f8bbb9184756f2287b0588e6d3f2860d2bb206"
    "6e0c59778c1e644fb2cfb35fba8f09fa824a9ed825108c82ff4bf634c1037eeaf185f45673d4a1c1c6eeb712b7d72a"
    "5498"
)
V1 = voucher.parse(TEXTS["V1"])
V1_BYTES = V1.signing_bytes()


def data_of(name: str) -> bytes:
    """Return the signature bytes of a vector."""
    found = voucher.parse(TEXTS[name]).signature
    assert found is not None
    return found.data


def verified(signing_bytes: bytes, made: Signature, signer: str) -> tuple[bool, bool]:
    """Return what the rule of the chain says, and what the rule of lotus says."""
    return (
        signature.verify(signing_bytes, made, signer),
        signature.verify_off_chain(signing_bytes, made, signer),
    )


@pytest.mark.parametrize("name", TEXTS)
def test_real_signature_recovers_to_its_signer_and_verifies(name: str) -> None:
    """Each vector was signed by the address that the chain, or the issue, shows."""
    found = voucher.parse(TEXTS[name])
    assert found.signature is not None
    assert signature.signer_of(found.signing_bytes(), found.signature) == SIGNERS[name]
    assert verified(found.signing_bytes(), found.signature, SIGNERS[name]) == (True, True)
    test_text = "t" + SIGNERS[name][1:]
    assert verified(found.signing_bytes(), found.signature, test_text) == (True, True)


@pytest.mark.parametrize("name", TEXTS)
def test_signature_does_not_verify_for_anybody_else_or_anything_else(name: str) -> None:
    """Negative control: another signer, another voucher, another key's kind of address."""
    found = voucher.parse(TEXTS[name])
    assert found.signature is not None
    raw = found.signing_bytes()
    for other in {*SIGNERS.values(), address.from_delegated(10, bytes(20))} - {SIGNERS[name]}:
        assert verified(raw, found.signature, other) == (False, False)
    changed = found._replace(amount=found.amount + 1).signing_bytes()
    assert verified(changed, found.signature, SIGNERS[name]) == (False, False)
    assert signature.signer_of(changed, found.signature) != SIGNERS[name]


def test_malleated_signature_of_v1_verifies_as_on_chain() -> None:
    """The other half of S is taken, so a voucher's identity cannot rest on its signature."""
    made = Signature(1, V1M)
    assert data_of("V1") != V1M
    assert signature.signer_of(V1_BYTES, made) == PAYEE
    assert verified(V1_BYTES, made, PAYEE) == (True, True)
    assert V1._replace(signature=made).id == V1.id


@pytest.mark.parametrize("name", TEXTS)
def test_every_signature_has_a_twin_but_only_with_v_flipped(name: str) -> None:
    """(R, n-S, V^1) recovers the signer; either change alone does not."""
    raw = voucher.parse(TEXTS[name]).signing_bytes()
    data = data_of(name)
    other_s = (ORDER - int.from_bytes(data[32:64], "big")).to_bytes(32, "big")
    other_v = bytes([data[64] ^ 1])
    twin = Signature(1, data[:32] + other_s + other_v)
    assert verified(raw, twin, SIGNERS[name]) == (True, True)
    for wrong in (data[:32] + other_s + data[64:], data[:64] + other_v):
        assert verified(raw, Signature(1, wrong), SIGNERS[name]) == (False, False)


R, S = data_of("V1")[:32], data_of("V1")[32:64]
N_BYTES = ORDER.to_bytes(32, "big")
MALFORMED = {
    "empty": (b"", "must be 65 bytes"),
    "64 bytes": (R + S, "must be 65 bytes"),
    "66 bytes": (R + S + b"\x01\x00", "must be 65 bytes"),
    "text": ("00" * 65, "must be 65 bytes"),
    "V of 4": (R + S + b"\x04", "V is 4"),
    "V as Ethereum writes it": (R + S + b"\x1b", "V is 27"),
    "V of 255": (R + S + b"\xff", "V is 255"),
    "R of 0": (bytes(32) + S + b"\x01", "R is outside"),
    "S of 0": (R + bytes(32) + b"\x01", "S is outside"),
    "R of n": (N_BYTES + S + b"\x01", "R is outside"),
    "S of n": (R + N_BYTES + b"\x01", "S is outside"),
    "R of all ones": (b"\xff" * 32 + S + b"\x00", "R is outside"),
    "R too great for V of 2": (R + S + b"\x02", "no key recovers"),
    "R too great for V of 3": (R + S + b"\x03", "no key recovers"),
    "R on no point": ((5).to_bytes(32, "big") + S + b"\x00", "no key recovers"),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("kind", [1, 3])
def test_malformed_signature_recovers_nobody(case: str, kind: int) -> None:
    """Verification answers no; recovery says what is wrong."""
    data, reason = MALFORMED[case]
    made = Signature(kind, data)
    signer = PAYEE if kind == 1 else address.from_delegated(10, bytes(20))
    assert verified(V1_BYTES, made, signer) == (False, False)
    with pytest.raises(SignatureInvalid, match=reason) as caught:
        signature.signer_of(V1_BYTES, made)
    assert caught.value.place == "signature"


def test_greatest_v_recovers_where_r_is_small_enough() -> None:
    """V of 2 and 3 mean that R lost a multiple of n; rare, and not refused for that."""
    found = set()
    for small in range(1, 40):
        for v in range(4):
            data = small.to_bytes(32, "big") + S + bytes([v])
            try:
                found.add((v, signature.signer_of(V1_BYTES, Signature(1, data))))
            except SignatureInvalid:
                continue
    assert {v for v, _ in found} == {0, 1, 2, 3}
    assert len({signer for _, signer in found}) == len(found)


@pytest.mark.parametrize("name", ["S1", "S2"])
def test_signing_reproduces_the_vectors(name: str) -> None:
    """Deterministic nonce and low S: the bytes are the known ones, whenever it is done."""
    made = signature.sign_secp256k1(OWN_KEY, bytes.fromhex(SIGNED[name]))
    assert made == Signature(1, data_of(name))
    unsigned = voucher.decode(bytes.fromhex(SIGNED[name]))
    assert unsigned._replace(signature=made).text() == TEXTS[name]


@given(st.integers(1, ORDER - 1), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_what_is_signed_recovers_to_one_low_s_signer(secret: int, raw: bytes) -> None:
    """Any key's signature has the lower S, verifies for its signer, and is the same again."""
    key = secret.to_bytes(32, "big")
    made = signature.sign_secp256k1(key, raw)
    assert made.type == 1
    assert int.from_bytes(made.data[32:64], "big") <= ORDER // 2
    signer = signature.signer_of(raw, made)
    assert signer == signature.signer_of(b"other", signature.sign_secp256k1(key, b"other"))
    assert verified(raw, made, signer) == (True, True)
    assert signature.sign_secp256k1(key, raw) == made


@pytest.mark.parametrize(
    "key", [b"", bytes(32), bytes(31) + b"\x01\x01", N_BYTES, b"\xff" * 32, b"\xa5" * 31, "a5" * 32]
)
def test_key_that_cannot_sign_is_refused_and_not_shown(key: bytes) -> None:
    """The message has the range and nothing of the key; nothing else is chained to the error."""
    with pytest.raises(SignatureInvalid) as caught:
        signature.sign_secp256k1(key, V1_BYTES)
    error = caught.value
    assert error.place == "private key"
    assert error.message in {"must be 32 bytes", "outside 1 to n-1"}
    assert (error.__cause__, error.__context__) == (None, None)


@given(st.binary(max_size=100) | st.binary(min_size=65, max_size=65), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_arbitrary_signature_never_verifies_and_never_crashes(data: bytes, kind: int) -> None:
    """Only the declared errors leave, and chance does not sign for anybody."""
    for signer in (PAYEE, address.from_delegated(10, bytes(20))):
        assert verified(V1_BYTES, Signature(kind, data), signer) == (False, False)
    try:
        assert signature.signer_of(V1_BYTES, Signature(kind, data))[:2] in {"f1", "f4"}
    except (SignatureInvalid, SignatureUnsupported) as refusal:
        error = refusal
        assert str(error)


def ethereum_address_of(key: bytes) -> str:
    """Return the f410 address of a key, from the definition: Keccak of the point."""
    coincurve = pytest.importorskip("coincurve")
    keccak = pytest.importorskip("Crypto.Hash.keccak")
    point = coincurve.PrivateKey(key).public_key.format(compressed=False)[1:]
    return address.from_delegated(10, keccak.new(data=point, digest_bits=256).digest()[12:])


def delegated_signature(key: bytes, raw: bytes) -> Signature:
    """Return the type 3 signature of a key."""
    coincurve = pytest.importorskip("coincurve")
    keccak = pytest.importorskip("Crypto.Hash.keccak")
    digest = keccak.new(data=raw, digest_bits=256).digest()
    return Signature(3, coincurve.PrivateKey(key).sign_recoverable(digest, hasher=None))


def test_ethereum_key_has_its_well_known_address() -> None:
    """Keccak as Ethereum has it, not SHA-3: the address of private key 1 is known everywhere."""
    known = bytes.fromhex("7e5f4552091a69125d5dfcb7b8c2659029395bdf")
    key = (1).to_bytes(32, "big")
    made = delegated_signature(key, V1_BYTES)
    assert signature.signer_of(V1_BYTES, made) == address.from_delegated(10, known)
    assert ethereum_address_of(key) == address.from_delegated(10, known)


def test_delegated_signature_verifies_for_its_f410_signer_only() -> None:
    """The f1 address of the same key is another signer, and type 1 is another digest."""
    made = delegated_signature(OWN_KEY, V1_BYTES)
    signer = ethereum_address_of(OWN_KEY)
    assert verified(V1_BYTES, made, signer) == (True, True)
    assert verified(V1_BYTES, made, OWN) == (False, False)
    assert verified(V1_BYTES + b"\x00", made, signer) == (False, False)
    assert verified(V1_BYTES, made._replace(type=1), signer) == (False, False)


def test_type_byte_is_ignored_on_chain_and_picks_the_scheme_off_chain() -> None:
    """A voucher whose type byte says BLS redeems for an f1 signer, while lotus refuses it."""
    assert verified(V1_BYTES, Signature(2, data_of("V1")), PAYEE) == (True, False)
    for kind in (0, 3, 4):
        assert verified(V1_BYTES, Signature(kind, data_of("V1")), PAYEE) == (False, False)


@pytest.mark.parametrize("signer", ["f0102", "t0102", "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq"])
def test_signer_without_a_key_must_be_resolved_first(signer: str) -> None:
    """An f0 or f2 signer is an error, not a no, and the hint says what to do."""
    for function in (signature.verify, signature.verify_off_chain):
        with pytest.raises(SignerUnresolved, match="holds no key") as caught:
            function(V1_BYTES, Signature(1, V1M), signer)
        assert "resolve it to the account's key address" in caught.value.hint


def test_signer_of_another_kind_is_refused() -> None:
    """Other f4 namespaces hold no known key; what is no address is an address error."""
    for function in (signature.verify, signature.verify_off_chain):
        with pytest.raises(SignatureUnsupported, match="only f410"):
            function(V1_BYTES, Signature(3, V1M), "f432f77777777x32lpna")
        with pytest.raises(AddressInvalid):
            function(V1_BYTES, Signature(1, V1M), "f1x")


def test_signer_cannot_be_told_from_bls_or_from_an_unknown_type() -> None:
    """BLS is unsupported for the question; an unknown type is invalid."""
    with pytest.raises(SignatureUnsupported, match="does not tell its signer"):
        signature.signer_of(b"potato", Signature(2, BLS_DATA))
    with pytest.raises(SignatureInvalid, match="unknown signature type"):
        signature.signer_of(b"potato", Signature(4, BLS_DATA))


def test_errors_are_the_peers_and_have_stable_codes() -> None:
    """The codes are those the reference documents."""
    codes = {
        SignatureInvalid: "signature-invalid",
        SignatureUnsupported: "signature-unsupported",
        SignerUnresolved: "signer-unresolved",
    }
    for error, code in codes.items():
        assert issubclass(error, PeerError)
        assert error.code == code


def test_bls_vector_of_lotus_verifies() -> None:
    """The six bytes "potato", without prefix or digest; by either rule."""
    pytest.importorskip("py_ecc")
    assert verified(b"potato", Signature(2, BLS_DATA), BLS_SIGNER) == (True, True)


def test_bls_type_byte_differs_between_the_rules() -> None:
    """An f3 signer's scheme is BLS on chain even where the type byte says secp256k1."""
    pytest.importorskip("py_ecc")
    assert verified(b"potato", Signature(1, BLS_DATA), BLS_SIGNER) == (True, False)
    assert verified(b"potato", Signature(3, BLS_DATA), BLS_SIGNER) == (False, False)


BLS_WRONG = {
    "other message": (b"potatoe", BLS_DATA, BLS_SIGNER),
    "other signer": (
        b"potato",
        BLS_DATA,
        "f3schhtef3m5yshlop3ffwjk5lauaqryx2e67xayngbj5stvha6m6i5noqvtiswykqg5pel4wt5j6zlrbblxbq",
    ),
    "zero signer": (b"potato", BLS_DATA, address.from_bls_key(b"\xc0" + bytes(47))),
    "signer on no point": (b"potato", BLS_DATA, address.from_bls_key(b"\xff" * 48)),
    "zero signature": (b"potato", b"\xc0" + bytes(95), BLS_SIGNER),
    "negated signature": (b"potato", bytes([BLS_DATA[0] ^ 0x20]) + BLS_DATA[1:], BLS_SIGNER),
    "uncompressed flag": (b"potato", bytes([BLS_DATA[0] & 0x7F]) + BLS_DATA[1:], BLS_SIGNER),
    "signature on no point": (b"potato", b"\x80" + bytes(95), BLS_SIGNER),
    "coordinate too great": (b"potato", b"\x9f" + b"\xff" * 95, BLS_SIGNER),
    "all zero bytes": (b"potato", bytes(96), BLS_SIGNER),
    "one byte short": (b"potato", BLS_DATA[:-1], BLS_SIGNER),
    "one byte more": (b"potato", BLS_DATA + b"\x00", BLS_SIGNER),
    "text": (b"potato", BLS_DATA.hex()[:96], BLS_SIGNER),
    "empty": (b"potato", b"", BLS_SIGNER),
}


@pytest.mark.parametrize("case", BLS_WRONG)
def test_bls_signature_that_is_wrong_does_not_verify(case: str) -> None:
    """Every error of the input is a no."""
    pytest.importorskip("py_ecc")
    message, data, signer = BLS_WRONG[case]
    assert signature.verify_off_chain(message, Signature(2, data), signer) is False


def test_bls_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra is an error, never a no; the other schemes do without it."""
    monkeypatch.setitem(sys.modules, "py_ecc.bls", None)
    for function in (signature.verify, signature.verify_off_chain):
        with pytest.raises(Unavailable) as caught:
            function(b"potato", Signature(2, BLS_DATA), BLS_SIGNER)
        assert caught.value.hint == "pip install 'statetape[bls]'"
        assert function(V1_BYTES, Signature(1, V1M), PAYEE)
