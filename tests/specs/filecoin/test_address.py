"""Filecoin addresses: published vectors both ways, refusals with their reason, and the limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.fsm.errors import PeerError
from statetape.specs.filecoin import address
from statetape.specs.filecoin.address import AddressInvalid

VECTORS = {
    "f01": "0001",
    "f0102": "0066",
    "f0999999": "00bf843d",
    "f09223372036854775807": "00ffffffffffffffff7f",
    "f1nhudgskmseowv7rp4e6scxsmlt3qoysvpn73tuy": "0169e833494c911d6afe2fe13d215e4c5cf7076255",
    "f1376vktwzuqxmxoxwftqw77qp7p3vfexv3hmgl3a": "01dffd554ed9a42ecbbaf62ce16ffe0ffbf75292f5",
    "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq": "02ba57e0f2f67fec9e425c6d86ca148dc9cb4e2330",
    "f24vg6ut43yw2h2jqydgbg2xq7x6f4kub3bg6as6i": "02e54dea4f9bc5b47d261819826d5e1fbf8bc5503b",
    "t14hsid4nwp724r6dxwgue5kvvzjqjrd6y4lalecq": "01e1e481f1b67ff5c8f877b1a84eaab5ca60988fd8",
    "t242ovcjmx2sfvuxyzzibtoa6xjukola2cqjh7k6a": "02e69d512597d48b5a5f19ca033703d74d14e58342",
    "t3schhtef3m5yshlop3ffwjk5lauaqryx2e67xayngbj5stvha6m6i5noqvtiswykqg5pel4wt5j6zlrbblxbq": (
        "03908e7990bb677123adcfd94b64abab050108e2fa27bf7061a60a7b29d4e0f33c8eb5d0acd12b6150375e45f2d3"
        "ea7d95"
    ),
    "f432f77777777x32lpna": "0420ffffffffff",
    "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa": (
        "040a52963ef50e27e06d72d59fcb4f3c2a687be3cfef"
    ),
}
F1 = "f1nhudgskmseowv7rp4e6scxsmlt3qoysvpn73tuy"
F4 = "f432f77777777x32lpna"

REFUSED_TEXTS = {
    # published by go-address
    "Q2gfvuyh7v2sx3patm5k23wdzmhyhtmqctasbr23y": "network: unknown network 'Q'",
    "t5gfvuyh7v2sx3patm5k23wdzmhyhtmqctasbr23y": "protocol: unknown protocol '5'",
    "t2gfvuyh7v2sx3patm5k23wdzmhyhtmqctasbr24y": "checksum: the checksum does not fit",
    "t2gfvuyh7v2sx3patm1k23wdzmhyhtmqctasbr24y": "body: '1' is not a base32 character",
    "t2gfvuyh7v2sx3paTm1k23wdzmhyhtmqctasbr24y": "body: 'T' is not a base32 character",
    "t0banananananannnnnnn": "id: not a decimal number",
    "t0banananananannnnnnnn": "id: length 20",
    "t0banananananannnnnnnnn": "id: length 21",
    "t2": "length: 2 characters",
    "t": "length: 1 characters",
    "t0": "length: 2 characters",
    # our own
    "": "length: 0 characters",
    "<empty>": "length: this is how the absence",
    "f" + "0" * 115: "length: 116 characters",
    "F01": "network: unknown network 'F'",
    "fx1": "protocol: unknown protocol 'x'",
    "f\u06601": "protocol: unknown protocol '\\u0660'",
    "f001": "id: leading zeros",
    "f000": "id: leading zeros",
    "f0+1": "id: not a decimal number",
    "f0-1": "id: not a decimal number",
    "f0 1": "id: not a decimal number",
    "f01\n": "id: not a decimal number",
    "f01_0": "id: not a decimal number",
    "f0\u0661": "id: not a decimal number",
    "f0\u00b2": "id: not a decimal number",
    "f0\udc80": "id: not a decimal number",
    "f09223372036854775808": "id: greater than 2^63-1",
    "f09999999999999999999": "id: greater than 2^63-1",
    F1[:-1]: "length: 38 characters after f1; it takes 39",
    F1 + "a": "length: 40 characters after f1; it takes 39",
    F1[:-1] + "z": "body: base32 with bits left over",
    F1[:-1] + "=": "body: '=' is not a base32 character",
    F1[:-1] + "\u0661": "body: '\\u0661' is not a base32 character",
    F1.upper().replace("F1", "f1"): "body: 'N' is not a base32 character",
    F1.replace("f1", "f2"): "checksum: the checksum does not fit",
    F1.replace("f1", "f3"): "length: 39 characters after f3; it takes 84",
    "f432": "namespace: no 'f'",
    "f4f77777777x32lpna": "namespace: not a decimal number",
    "f4032f77777777x32lpna": "namespace: leading zeros",
    "f4+32f77777777x32lpna": "namespace: not a decimal number",
    "f49223372036854775808f77777777x32lpna": "namespace: greater than 2^63-1",
    "f432f": "length: too short to hold a checksum",
    "f432faaaaaa": "body: base32 with bits left over",
    "f432faaaaaaa": "checksum: the checksum does not fit",
    "f433f77777777x32lpna": "checksum: the checksum does not fit",
    "f432t77777777x32lpna": "namespace: no 'f'",
}

REFUSED_BYTES = {
    "": "length: no bytes",
    "00": "id: the bytes end inside",
    "0080": "id: the bytes end inside",
    "008000": "id: number is not in its shortest form",
    "00ff00": "id: number is not in its shortest form",
    "000100": "id: 1 bytes follow",
    "00ffffffffffffffffff": "id: greater than 2^63-1",
    "0080808080808080808001": "id: greater than 2^63-1",
    "01" + "00" * 19: "payload length: 19 bytes; f1 takes 20",
    "01" + "00" * 21: "payload length: 21 bytes; f1 takes 20",
    "02": "payload length: 0 bytes; f2 takes 20",
    "03" + "00" * 20: "payload length: 20 bytes; f3 takes 48",
    "04": "namespace: the bytes end inside",
    "0480": "namespace: the bytes end inside",
    "048000": "namespace: number is not in its shortest form",
    "04ffffffffffffffffff01": "namespace: greater than 2^63-1",
    "040a" + "00" * 55: "subaddress: 55 bytes; at most 54",
    "05": "protocol: unknown protocol 5",
    "ff": "protocol: unknown protocol 255",
}

BUILDERS_REFUSING: dict[str, tuple[Callable[[], str], str]] = {
    "negative id": (lambda: address.from_id(-1), "id: must be"),
    "id of 2^63": (lambda: address.from_id(2**63), "id: must be"),
    "boolean id": (lambda: address.from_id(True), "id: must be"),
    "huge id": (lambda: address.from_id(10**5000), "id: must be"),
    "short key": (lambda: address.from_secp256k1(b"\x04" * 64), "public key: must be 65"),
    "compressed key": (lambda: address.from_secp256k1(b"\x02" * 65), "public key: an uncom"),
    "short BLS key": (lambda: address.from_bls_key(bytes(47)), "public key: must be 48"),
    "text as actor data": (lambda: address.from_actor_data("x"), "actor data: must be"),
    "namespace of 2^63": (lambda: address.from_delegated(2**63, b""), "namespace: must be"),
    "long subaddress": (lambda: address.from_delegated(10, bytes(55)), "subaddress: 55 bytes"),
    "text as subaddress": (lambda: address.from_delegated(10, "x"), "subaddress: must be"),
    "nonce of 2^64": (lambda: address.robust_channel_address(F1, 2**64, 0), "nonce: must be"),
    "negative count": (lambda: address.robust_channel_address(F1, 0, -1), "created_before: m"),
    "bad origin": (lambda: address.robust_channel_address("f1x", 0, 0), "length: 1 characters"),
}

addresses = st.one_of(
    st.integers(0, 2**63 - 1).map(address.from_id),
    st.binary(max_size=80).map(address.from_actor_data),
    st.binary(min_size=64, max_size=64).map(lambda key: address.from_secp256k1(b"\x04" + key)),
    st.binary(min_size=48, max_size=48).map(address.from_bls_key),
    st.builds(address.from_delegated, st.integers(0, 2**63 - 1), st.binary(max_size=54)),
)


def answer(function: Callable[[Any], Any], value: object) -> Any:
    """Return what `function` makes of `value`, None if refused; a refusal names its place."""
    try:
        return function(value)
    except AddressInvalid as refusal:
        place = refusal.place
    assert place
    return None


@pytest.mark.parametrize(("text", "raw"), VECTORS.items())
def test_published_address_text_parses_to_its_bytes(text: str, raw: str) -> None:
    """Every vector gives its bytes, whichever network letter it carries."""
    assert address.parse(text).hex() == raw
    assert address.parse("t" + text[1:]).hex() == raw


@pytest.mark.parametrize(("text", "raw"), VECTORS.items())
def test_published_address_bytes_render_to_their_text(text: str, raw: str) -> None:
    """Every vector's bytes give its text, with network letter f."""
    assert address.render(bytes.fromhex(raw)) == "f" + text[1:]
    assert address.canonical(text) == "f" + text[1:]


@pytest.mark.parametrize(("text", "reason"), REFUSED_TEXTS.items())
def test_text_that_is_no_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    """The part at fault and the reason are named, by every function that takes a text."""
    for function in (address.parse, address.canonical, address.protocol, address.is_id):
        with pytest.raises(AddressInvalid) as caught:
            function(text)
        assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(("raw", "reason"), REFUSED_BYTES.items())
def test_bytes_that_are_no_address_are_refused_with_their_reason(raw: str, reason: str) -> None:
    """Long varints, wrong lengths and unknown protocols do not render."""
    with pytest.raises(AddressInvalid) as caught:
        address.render(bytes.fromhex(raw))
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("case", BUILDERS_REFUSING)
def test_builder_refuses_value_out_of_range(case: str) -> None:
    """No builder makes an address that could not be parsed again."""
    build, reason = BUILDERS_REFUSING[case]
    with pytest.raises(AddressInvalid) as caught:
        build()
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("value", [None, 1, b"f01", ["f01"], {}, 1.5])
def test_what_is_not_text_is_refused_as_an_address(value: object) -> None:
    """Unhashable values too, although the work is cached."""
    for function in (address.parse, address.canonical, address.protocol, address.is_id):
        with pytest.raises(AddressInvalid, match="an address is text"):
            function(value)


@pytest.mark.parametrize("value", [None, "0001", bytearray(b"\x00\x01"), [0, 1]])
def test_what_is_not_bytes_is_refused_as_address_bytes(value: object) -> None:
    """Only bytes render."""
    with pytest.raises(AddressInvalid, match="address bytes are bytes"):
        address.render(value)


def test_error_is_the_peers_and_has_a_stable_code() -> None:
    """A wrong address comes from outside; its code is what the reference documents."""
    assert issubclass(AddressInvalid, PeerError)
    assert AddressInvalid.code == "address-invalid"


def test_secp256k1_key_gives_its_published_f1_address() -> None:
    """The digest covers the whole uncompressed key, its first byte included."""
    key = bytes.fromhex(
        "049402fac37e6432a416a3a0ca5426b5185ab3b24f6134efa25ce487c82d2e4e13"
        "bf452511e0d2245421f8613bc10d72fa216666a96c3bc13920d3ff233fd0bc05"
    )
    assert address.from_secp256k1(key) == "f15ihq5ibzwki2b4ep2f46avlkrqzhpqgtga7pdrq"


def test_actor_data_gives_its_published_f2_address() -> None:
    """The digest of the creation data is the payload."""
    data = bytes.fromhex("76128190cdf068d1418044acc03e0b6781970d60")
    assert address.from_actor_data(data) == "f24vg6ut43yw2h2jqydgbg2xq7x6f4kub3bg6as6i"


def test_delegated_and_bls_builders_agree_with_the_vectors() -> None:
    """The builders give the texts of the published bytes."""
    bls = next(text for text in VECTORS if text.startswith("t3"))
    assert address.from_bls_key(bytes.fromhex(VECTORS[bls])[1:]) == "f" + bls[1:]
    assert address.from_delegated(32, b"\xff" * 5) == F4
    ethereum = bytes.fromhex("52963ef50e27e06d72d59fcb4f3c2a687be3cfef")
    assert address.from_delegated(10, ethereum).startswith("f410fkkld55ioe7qg24wvt7fu6pbknb56")


def test_robust_address_of_a_channel_matches_the_chain() -> None:
    """The channel of the test-vectors corpus has the address the init actor gave it."""
    expected = "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq"
    assert address.robust_channel_address(F1, 0, 0) == expected
    assert address.robust_channel_address("t" + F1[1:], 0, 0) == expected


def test_robust_address_depends_on_nonce_and_on_count() -> None:
    """Negative control: neither number is left out of the digest, nor do they trade places."""
    made = {address.robust_channel_address(F1, n, c) for n in range(3) for c in range(3)}
    assert len(made) == 9


def test_protocol_is_told_of_every_kind() -> None:
    """`protocol` is the digit; only f0 is an id."""
    for text in VECTORS:
        assert address.protocol(text) == int(text[1])
        assert address.is_id(text) == (text[1] == "0")


def test_longest_addresses_have_the_greatest_lengths() -> None:
    """64 bytes and 115 characters are reached, so the limits are not lower than they should be."""
    longest = address.from_delegated(2**63 - 1, b"\xff" * 54)
    assert len(longest) == 115
    assert len(address.parse(longest)) == 64


@given(addresses)
@settings(max_examples=200, deadline=None)
def test_any_address_survives_text_and_bytes(text: str) -> None:
    """parse and render undo one another, on both networks (invariant 1)."""
    raw = address.parse(text)
    assert address.render(raw) == text == address.canonical("t" + text[1:])


@given(addresses.filter(lambda text: text[1] != "0"), st.data())
@settings(max_examples=200, deadline=None)
def test_mistyped_character_is_always_noticed(text: str, data: st.DataObject) -> None:
    """A changed character of the body never gives another address by chance of leniency."""
    at = data.draw(st.integers(2, len(text) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz234567").filter(text[at].__ne__))
    with pytest.raises(AddressInvalid):
        address.parse(text[:at] + letter + text[at + 1 :])


@given(st.one_of(st.text(max_size=120), st.from_regex(r"[ft][0-4][a-z2-7f0-9]{0,90}\n?")))
@settings(max_examples=200, deadline=None)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """Nothing but AddressInvalid leaves, and what is accepted is its own canonical text."""
    raw = answer(address.parse, text)
    assert raw is None or address.render(raw) == "f" + text[1:]


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=66).map(lambda raw: b"\x04" + raw)))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_an_address_or_refused(raw: bytes) -> None:
    """Nothing but AddressInvalid leaves, and what is accepted parses back to the same bytes."""
    text = answer(address.render, raw)
    assert text is None or address.parse(text) == raw
