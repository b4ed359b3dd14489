"""Vouchers: real ones byte for byte, and everything near them refused with its place."""

from __future__ import annotations

import base64
import tracemalloc
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.fsm.errors import PeerError
from statetape.specs.filecoin import address, voucher
from statetape.specs.filecoin.address import AddressInvalid
from statetape.specs.filecoin.voucher import (
    Merge,
    ModVerifyParams,
    Signature,
    SignedVoucher,
    VoucherInvalid,
)

CHANNEL = "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq"
CHANNEL_2585 = "f242ovcjmx2sfvuxyzzibtoa6xjukola2cqjh7k6a"
V1_CBOR = (
    "8b5502ba57e0f2f67fec9e425c6d86ca148dc9cb4e2330000040f6187b0142000a0080584201561f72ef06879718d6"
    "f2b8cd96450e8d5f0d357a576e9a286e93d36bcdfd7c484482689ab63b109cb90eca1628ce535f640f4c2f02bb131a"
    "9c7c99b9653e210201"
)
TEXTS = {
    "V1": (
        "i1UCulfg8vZ_7J5CXG2GyhSNyctOIzAAAED2GHsBQgAKAIBYQgFWH3LvBoeXGNbyuM2WRQ6NXw01eldumihuk9Nrzf18"
        "SESCaJq2OxCcuQ7KFijOU19kD0wvArsTGpx8mbllPiECAQ"
    ),
    "V2": (
        "i1UCulfg8vZ_7J5CXG2GyhSNyctOIzAAAED2AQFDACcQAIBYQgEuMjEnwFvifcEur_kSdwYE4YIICvzpd2MiEnyivA2U"
        "vw2kmr077Y_tnaLK36T4FibdeRPpSGvpFwOsm6HqLVHKAA"
    ),
    "V3": (
        "i1UC5p1RJZfUi1pfGcoDNwPXTRTlg0IAAED2AAJFADuaygAAgFhCAYdpWxcpIUos5ufI4MDLqvjV5SHwKuOOEfB-uaDe"
        "qIJHPtnh2A9dQ3qQL7GsDQxMDP8MX0PNy9F6RxoL0AqCQT4A"
    ),
    "V4": (
        "i1UC5p1RJZfUi1pfGcoDNwPXTRTlg0IAAED2AANFAHc1lAAAgFhCAa-myCUZEEs-0UrsaTn7nLe6a-uDrvMJwOrc-Y0X"
        "8SJwB9XKaO3piTI1N37WEg1N-SfGHCt2gjy6qr37GJkR0fIB"
    ),
    "S1": (
        "i1UCulfg8vZ_7J5CXG2GyhSNyctOIzAYZBoAAw1AWCCSjbLXvU55PZzCKTi1qWCq9gHUQJwrr7CW2VBG9h9lrYNCAGgC"
        "RAECAwQFB0kADeC2s6dkAAAZC7iCggECggYZA-hYQgHhxdXfyApfiU2c7X1l5l3e_HKqX_Jsf40-2i-s_HFALCLvzPM0"
        "fld8RHGK4pz_St9K6FSFtWLaJPE3YUzX5zDqAA"
    ),
    "S2": (
        "i0IAZiAbf_________9A9ht__________wBAAIBYQgESlh8SEdsFHtYw6onNpq1TAl2fjXp1uo8HmfJD2PwQImbvhmMd"
        "uY6wikTTH77WEeFWtombXEbGd37SbvkRC59CAQ"
    ),
}
SIGNED = {
    "V1": "8b5502ba57e0f2f67fec9e425c6d86ca148dc9cb4e2330000040f6187b0142000a0080f6",
    "V2": "8b5502ba57e0f2f67fec9e425c6d86ca148dc9cb4e2330000040f60101430027100080f6",
    "S1": (
        "8b5502ba57e0f2f67fec9e425c6d86ca148dc9cb4e233018641a00030d405820928db2d7bd4e793d9cc22938b5a960"
        "aaf601d4409c2bafb096d95046f61f65ad83420068024401020304050749000de0b6b3a7640000190bb88282010282"
        "061903e8f6"
    ),
    "S2": "8b420066201b7fffffffffffffff40f61b7fffffffffffffff00400080f6",
}
IDS = {
    "V1": "5a12a0ac58e54343e186ad02bd9a6a6bc7691218e01a8acceae82939a086d3b6",
    "V2": "046e98d37b40aa525b676d3dc30eb00960d61b7f80f17d169dc387fc9f472478",
    "V3": "0aecb55bf7cfd19aacbc28b5315e771bd3bf73521c1266ed32ced1e692739d49",
    "V4": "5c14b1d1d1ac52f33ef527ac586ad7cbc4846dc9ca41d80279c951759e46645e",
    "S1": "f13f0fd22c1dcca7a4f09ab8fdbf575254f6dea34520f6a41002ba7cfcf7c451",
    "S2": "b10b5097610a7268a4e76139c0194413915593a7a60726110eebeb46a682563f",
}
PLAIN = SignedVoucher(CHANNEL, 0, 0, b"", None, 0, 0, 0, 0, (), None)
VALUES = {
    "V1": PLAIN._replace(lane=123, nonce=1, amount=10),
    "V2": PLAIN._replace(lane=1, nonce=1, amount=10_000),
    "V3": PLAIN._replace(channel_addr=CHANNEL_2585, nonce=2, amount=1_000_000_000),
    "V4": PLAIN._replace(channel_addr=CHANNEL_2585, nonce=3, amount=2_000_000_000),
    "S1": SignedVoucher(
        CHANNEL,
        100,
        200_000,
        bytes.fromhex("928db2d7bd4e793d9cc22938b5a960aaf601d4409c2bafb096d95046f61f65ad"),
        ModVerifyParams("f0104", 2, b"\x01\x02\x03\x04"),
        5,
        7,
        10**18,
        3000,
        (Merge(1, 2), Merge(6, 1000)),
        None,
    ),
    "S2": PLAIN._replace(
        channel_addr="f0102", time_lock_min=-1, time_lock_max=2**63 - 1, lane=2**63 - 1
    ),
}
BIG_INTS = {
    0: "40",
    1: "420001",
    -1: "420101",
    255: "4200ff",
    256: "43000100",
    10_000: "43002710",
    10**18: "49000de0b6b3a7640000",
}
# One array of 11 in parts, so that a test can put something else in place of any.
PARTS = ["420066", "00", "00", "40", "f6", "00", "00", "40", "00", "80", "f6"]
NAMES = SignedVoucher._fields

REFUSED_PARTS = [
    *[(at, "c240", "tag 2, where") for at in range(11)],
    *[(at, "d9d9f700", "tag 55799, where") for at in range(11)],
    *[(at, "f93c00", "must be") for at in range(11)],
    *[(at, "f7", "must be") for at in range(11)],
    *[(at, "6161", "must be") for at in range(11)],
    *[(at, "a0", "must be") for at in range(11)],
    *[(at, "5f40ff", "indefinite length") for at in range(11)],
    *[(at, "9fff", "indefinite length") for at in range(11)],
    *[(at, "818181818100", "nesting depth") for at in range(11)],
    *[(at, "f5", "must be") for at in range(11)],
    *[(at, "5bffffffffffffffff", "end of stream") for at in range(11)],
    *[(at, "9bffffffffffffffff", "end of stream") for at in range(11)],
    *[(at, "1800", "canonical") for at in (1, 2, 5, 6, 8)],
    *[(at, "1b0000000000000001", "canonical") for at in (1, 2, 5, 6, 8)],
    *[(at, "f6", "must be") for at in (0, 1, 2, 3, 5, 6, 7, 8, 9)],
    *[(at, "1b8000000000000000", "outside -2^63..2^63-1") for at in (1, 2, 8)],
    *[(at, "3b8000000000000000", "outside -2^63..2^63-1") for at in (1, 2, 8)],
    *[(at, "20", "outside 0..2^64-1") for at in (5, 6)],
    *[(at, "5800", "canonical") for at in (3, 7)],
    (0, "5841" + "00" * 65, "65 bytes; at most 64"),
    (4, "a10000", "map key must be"),  # colliding keys would take quadratic time
    (4, "a240004000", "Duplicate"),
    (4, "82420066 00", "must be an array of 3"),
    (4, "84420066 00 40 40", "must be an array of 3"),
    (7, "4100", "canonical"),
    (7, "4101", "canonical"),
    (7, "420000", "canonical"),
    (7, "420100", "canonical"),
    (7, "43000001", "canonical"),
    (7, "420201", "sign byte 2"),
    (7, "41ff", "sign byte 255"),
    (7, "5881" + "00" + "01" * 128, "129 bytes; at most 128"),
    (9, "8181 00", "must be an array of 2"),
    (9, "81 83 000000", "must be an array of 2"),
    (9, "00", "must be an array"),
    (9, "9800", "canonical"),
    (10, "40", "empty"),
    (10, "4100", "signature type 0"),
    (10, "4104", "signature type 4"),
    (10, "58c9" + "01" * 201, "201 bytes; at most 200"),
    (10, "580101", "canonical"),
]

epochs = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-2, 5000))
unsigned = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 300))
bound = 256**127 - 1
channels = st.one_of(
    st.integers(0, 2**63 - 1).map(address.from_id),
    st.binary(max_size=8).map(address.from_actor_data),
    st.builds(address.from_delegated, st.integers(0, 2**63 - 1), st.binary(max_size=54)),
)
vouchers = st.builds(
    SignedVoucher,
    channels,
    epochs,
    epochs,
    st.binary(max_size=300),
    st.none() | st.builds(ModVerifyParams, channels, unsigned, st.binary(max_size=300)),
    unsigned,
    unsigned,
    st.integers(-bound, bound) | st.integers(-300, 300),
    epochs,
    st.lists(st.builds(Merge, unsigned, unsigned), max_size=30).map(tuple),
    st.none() | st.builds(Signature, st.sampled_from([1, 2, 3]), st.binary(max_size=199)),
)


def with_part(at: int, part: str) -> bytes:
    """Return the plain array with element `at` replaced."""
    return bytes.fromhex("8b" + "".join([*PARTS[:at], part, *PARTS[at + 1 :]]))


def decoded(raw: bytes) -> SignedVoucher | None:
    """Return the voucher, None if it is refused; a refusal has a place and is a declared error."""
    error: VoucherInvalid | AddressInvalid
    try:
        return voucher.decode(raw)
    except (VoucherInvalid, AddressInvalid) as refusal:
        error = refusal
    assert error.place
    return None


@pytest.mark.parametrize("name", TEXTS)
def test_real_voucher_has_its_values_and_its_bytes(name: str) -> None:
    """Each vector decodes to the known values and encodes back to the same string."""
    found = voucher.parse(TEXTS[name])
    assert found._replace(signature=None) == VALUES[name]
    assert found.signature is not None
    assert (found.signature.type_name, len(found.signature.data)) == ("secp256k1", 65)
    assert found.text() == TEXTS[name]
    assert voucher.decode(found.encode()) == found


@pytest.mark.parametrize("name", TEXTS)
def test_real_voucher_is_identified_by_what_was_signed(name: str) -> None:
    """The signing bytes and their digest are the known ones, with and without the signature."""
    found = voucher.parse(TEXTS[name])
    if name in SIGNED:
        assert found.signing_bytes().hex() == SIGNED[name]
        assert found._replace(signature=None).encode().hex() == SIGNED[name]
    assert found.id_hex == IDS[name] == found.id.hex()
    assert found._replace(signature=None).id_hex == IDS[name]


def test_known_cbor_and_known_string_are_the_same_voucher() -> None:
    """The published CBOR of V1 is what its string carries."""
    assert voucher.parse(TEXTS["V1"]).encode().hex() == V1_CBOR


@pytest.mark.parametrize(("amount", "encoded"), BIG_INTS.items())
def test_amount_has_its_published_encoding(amount: int, encoded: str) -> None:
    """Sign byte and shortest magnitude; nothing at all for zero."""
    assert PLAIN._replace(channel_addr="f0102", amount=amount).encode() == with_part(7, encoded)
    assert voucher.decode(with_part(7, encoded)).amount == amount


@pytest.mark.parametrize(("at", "part", "reason"), REFUSED_PARTS)
def test_wrong_element_is_refused_by_name(at: int, part: str, reason: str) -> None:
    """Wrong types, tags, longer forms and values beyond a limit: each names its element."""
    with pytest.raises((VoucherInvalid, AddressInvalid)) as caught:
        voucher.decode(with_part(at, part))
    assert caught.value.place.startswith(f"element {at} ({NAMES[at]})")
    assert reason in caught.value.message


def test_plain_parts_decode_so_only_the_replaced_part_was_at_fault() -> None:
    """Negative control of the cases above."""
    assert voucher.decode(with_part(0, PARTS[0])) == PLAIN._replace(channel_addr="f0102")


@pytest.mark.parametrize(
    ("at", "part", "place"),
    [
        (0, "40", "element 0 (channel_addr), length"),
        (0, "43008000", "element 0 (channel_addr), id"),
        (4, "83 4105 00 40", "element 4 (extra), actor, protocol"),
    ],
)
def test_wrong_address_inside_is_an_address_error_with_its_element(
    at: int, part: str, place: str
) -> None:
    """The element and the part of the address are both named."""
    with pytest.raises(AddressInvalid) as caught:
        voucher.decode(with_part(at, part))
    assert caught.value.place == place


def test_bytes_before_after_or_missing_are_refused() -> None:
    """A voucher is the whole input: every cut and every addition is noticed."""
    raw = bytes.fromhex(V1_CBOR)
    for end in range(len(raw)):
        with pytest.raises(VoucherInvalid):
            voucher.decode(raw[:end])
    for wrong in (b"\x00" + raw, b"\x8a" + raw[1:], b"\x8c" + raw[1:], b"\x98\x0b" + raw[1:]):
        with pytest.raises(VoucherInvalid, match="voucher: not an array of 11"):
            voucher.decode(wrong)
    with pytest.raises(VoucherInvalid, match="voucher: 2 bytes follow it"):
        voucher.decode(raw + b"\xf6\xf6")


def test_refusal_does_not_repeat_a_long_input() -> None:
    """A message stays short although the decoder quotes the key that comes twice."""
    key = "591000" + "ff" * 4096
    with pytest.raises(VoucherInvalid, match="Duplicate map key") as caught:
        voucher.decode(with_part(4, f"a2{key}00{key}00"))
    assert len(str(caught.value)) < 300


def test_every_changed_byte_is_refused_or_makes_another_voucher() -> None:
    """No two byte strings are one voucher: id or signature tells them apart (invariant 1)."""
    raw = bytes.fromhex(V1_CBOR)
    original = voucher.decode(raw)
    accepted = refused = 0
    for at in range(len(raw)):
        for byte in set(range(256)) - {raw[at]}:
            changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
            found = decoded(changed)
            if found is None:
                refused += 1
                continue
            assert found.encode() == changed
            assert (found.id, found.signature) != (original.id, original.signature)
            accepted += 1
    # The address and the signature have no redundancy, so most changes there are other vouchers.
    assert accepted > 20_000
    assert refused > 3_000


@given(vouchers)
@settings(max_examples=200, deadline=None)
def test_any_voucher_survives_bytes_text_and_json(made: SignedVoucher) -> None:
    """Whatever can be built can be sent in each form and read back the same (invariant 3)."""
    assert voucher.decode(made.encode()) == made
    assert voucher.parse(made.text()) == made
    assert voucher.from_lotus_json(made.lotus_json()) == made


@given(vouchers)
@settings(max_examples=200, deadline=None)
def test_encoding_means_the_same_to_a_general_decoder(made: SignedVoucher) -> None:
    """cbor2 on its own sees eleven elements with the values, and null where the signature was."""
    elements = cbor2.loads(made.encode())
    assert len(elements) == 11
    assert address.render(elements[0]) == made.channel_addr
    assert elements[5:7] == [made.lane, made.nonce]
    assert elements[9] == [list(merge) for merge in made.merges]
    signed = cbor2.loads(made.signing_bytes())
    assert signed == [*elements[:10], None]


@given(vouchers, st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_voucher_is_refused_or_another(made: SignedVoucher, data: st.DataObject) -> None:
    """Replaced stretches raise the declared errors only, or mean exactly their bytes."""
    raw = made.encode()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    damaged = raw[:start] + data.draw(st.binary(max_size=12)) + raw[end:]
    found = decoded(damaged)
    assert found is None or found.encode() == damaged


@given(st.binary(max_size=200).map(lambda raw: b"\x8b" + raw) | st.binary(max_size=50))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_voucher_or_refused(raw: bytes) -> None:
    """Nothing but the declared errors leaves `decode`."""
    found = decoded(raw)
    assert found is None or found.encode() == raw


@given(st.text(max_size=60) | st.from_regex(r"i[A-Za-z0-9_-]{0,60}=?"))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_voucher_or_refused(text: str) -> None:
    """Nothing but the declared errors leaves `parse`."""
    with pytest.raises((VoucherInvalid, AddressInvalid)) as caught:
        voucher.parse(text)
    assert caught.value.place


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (TEXTS["V1"] + "=", "text, character 138", "'=' is not"),
        (TEXTS["V1"] + "==", "text, character 138", "'=' is not"),
        (TEXTS["V1"] + "\n", "text, character 138", "'\\n' is not"),
        (" " + TEXTS["V1"], "text, character 0", "' ' is not"),
        (TEXTS["V1"].replace("_", "/"), "text, character 11", "'/' is not"),
        (TEXTS["V3"].replace("-", "+"), "text, character 87", "'+' is not"),
        ("i\u0661", "text, character 1", "'\\u0661' is not"),
        (TEXTS["V1"][:-1], "text", "a character is missing or too many"),
        (TEXTS["V1"][:-1] + "R", "text", "spare bits"),
        ("", "voucher", "not an array of 11"),
        (SIGNED["V1"], "voucher", "not an array of 11"),
        ("A" * 6_000_000, "text", "too many"),
    ],
)
def test_string_that_lotus_would_not_print_is_refused(text: str, place: str, reason: str) -> None:
    """Padding, white space, the other alphabet, spare bits and hexadecimal are no voucher."""
    with pytest.raises(VoucherInvalid) as caught:
        voucher.parse(text)
    assert caught.value.place == place
    assert reason in caught.value.message


UNWRITABLE: list[tuple[dict[str, Any], str]] = [
    ({"channel_addr": "t0102"}, "element 0 (channel_addr)"),
    ({"channel_addr": "f0x"}, "element 0 (channel_addr), id"),
    ({"channel_addr": b"\x00\x66"}, "element 0 (channel_addr), "),
    ({"time_lock_min": 2**63}, "element 1 (time_lock_min)"),
    ({"time_lock_max": -(2**63) - 1}, "element 2 (time_lock_max)"),
    ({"time_lock_max": 1.0}, "element 2 (time_lock_max)"),
    ({"secret_pre_image": "00"}, "element 3 (secret_pre_image)"),
    ({"secret_pre_image": bytes(2_097_153)}, "element 3 (secret_pre_image)"),
    ({"extra": ("f01", 1, b"")}, "element 4 (extra)"),
    ({"extra": ModVerifyParams("f1", 1, b"")}, "element 4 (extra), actor, length"),
    ({"extra": ModVerifyParams("f01", 2**64, b"")}, "element 4 (extra), method"),
    ({"extra": ModVerifyParams("f01", 1, bytes(2_097_153))}, "element 4 (extra), data"),
    ({"lane": -1}, "element 5 (lane)"),
    ({"lane": 2**64}, "element 5 (lane)"),
    ({"lane": 10**5000}, "element 5 (lane)"),
    ({"nonce": True}, "element 6 (nonce)"),
    ({"nonce": None}, "element 6 (nonce)"),
    ({"amount": bound + 1}, "element 7 (amount)"),
    ({"amount": -bound - 1}, "element 7 (amount)"),
    ({"amount": "10"}, "element 7 (amount)"),
    ({"min_settle_height": 2**63}, "element 8 (min_settle_height)"),
    ({"merges": [Merge(1, 2)]}, "element 9 (merges)"),
    ({"merges": (Merge(1, 2),) * 8193}, "element 9 (merges)"),
    ({"merges": (Merge(1, 2), (3, 4))}, "element 9 (merges), entry 1"),
    ({"merges": (Merge(1, 2), Merge(3, 2**64))}, "element 9 (merges), entry 1"),
    ({"signature": (1, b"")}, "element 10 (signature)"),
    ({"signature": Signature(0, b"")}, "element 10 (signature)"),
    ({"signature": Signature(4, b"")}, "element 10 (signature)"),
    ({"signature": Signature(300, b"")}, "element 10 (signature)"),
    ({"signature": Signature(1, bytes(200))}, "element 10 (signature)"),
    ({"signature": Signature(1, "00")}, "element 10 (signature)"),
]


@pytest.mark.parametrize(("change", "place"), UNWRITABLE)
def test_value_out_of_range_is_refused_when_written(change: dict[str, Any], place: str) -> None:
    """Nothing is written that could not be read back, in any of the forms."""
    wrong = PLAIN._replace(**change)
    for write in (wrong.encode, wrong.text, wrong.lotus_json):
        with pytest.raises((VoucherInvalid, AddressInvalid)) as caught:
            write()
        assert caught.value.place.startswith(place)


def test_greatest_voucher_is_accepted_and_one_more_of_anything_refused() -> None:
    """Each limit is inclusive; the announced length of the next size is refused."""
    made = SignedVoucher(
        address.from_delegated(2**63 - 1, b"\xff" * 54),
        -(2**63),
        2**63 - 1,
        bytes(2_097_152),
        ModVerifyParams("f0102", 2**64 - 1, bytes(2_097_152)),
        2**64 - 1,
        2**64 - 1,
        -bound,
        2**63 - 1,
        (Merge(2**64 - 1, 2**64 - 1),) * 8192,
        Signature(3, bytes(199)),
    )
    raw = made.encode()
    assert len(raw) <= voucher.VOUCHER_BYTES_MAX
    assert voucher.decode(raw) == made
    assert voucher.parse(made.text()) == made
    merges = "992001" + "820000" * 8193
    for at, part in ((3, "5a00200001" + "00" * 2_097_153), (9, merges)):
        with pytest.raises(VoucherInvalid, match="at most"):
            voucher.decode(with_part(at, part))
    with pytest.raises(VoucherInvalid, match=r"voucher: \d+ bytes; at most"):
        voucher.decode(raw + bytes(voucher.VOUCHER_BYTES_MAX))


@pytest.mark.parametrize("item", ["80", "a0", "8100", "fb0000000000000000", "6161", "c240", "00"])
def test_hostile_input_takes_memory_in_proportion(item: str) -> None:
    """Four megabytes of little items cost less memory than themselves (invariant 4)."""
    size = 4_000_000
    raw = with_part(9, "9a003d0900")[:10] + bytes.fromhex(item) * (size // (len(item) // 2))
    tracemalloc.start()
    try:
        with pytest.raises(VoucherInvalid, match="more than 24591 items"):
            voucher.decode(raw)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < size


@pytest.mark.parametrize("value", [None, "8b", bytearray(b"\x8b"), 11, []])
def test_what_is_not_bytes_or_text_is_refused(value: object) -> None:
    """The wrong type is the declared error too."""
    with pytest.raises(VoucherInvalid, match="a voucher is bytes"):
        voucher.decode(value)
    if not isinstance(value, str):
        with pytest.raises(VoucherInvalid, match="a voucher string is text"):
            voucher.parse(value)


def test_error_is_the_peers_and_has_a_stable_code() -> None:
    """A wrong voucher comes from a peer; its code is what the reference documents."""
    assert issubclass(VoucherInvalid, PeerError)
    assert VoucherInvalid.code == "voucher-invalid"


def test_lotus_json_has_the_names_and_forms_of_lotus() -> None:
    """Amount is a string, bytes are padded base64, what is empty is null."""
    found = voucher.parse(TEXTS["S1"])
    signature = base64.b64encode(found.encode()[-65:]).decode()
    assert found.lotus_json() == {
        "ChannelAddr": CHANNEL,
        "TimeLockMin": 100,
        "TimeLockMax": 200_000,
        "SecretHash": "ko2y171OeT2cwik4talgqvYB1ECcK6+wltlQRvYfZa0=",
        "Extra": {"Actor": "f0104", "Method": 2, "Data": "AQIDBA=="},
        "Lane": 5,
        "Nonce": 7,
        "Amount": "1000000000000000000",
        "MinSettleHeight": 3000,
        "Merges": [{"Lane": 1, "Nonce": 2}, {"Lane": 6, "Nonce": 1000}],
        "Signature": {"Type": 1, "Data": signature},
    }
    empty = PLAIN.lotus_json()
    assert [key for key, value in empty.items() if value is None] == [
        "SecretHash",
        "Extra",
        "Merges",
        "Signature",
    ]


@pytest.mark.parametrize("name", TEXTS)
def test_lotus_json_of_a_test_network_gives_the_same_voucher(name: str) -> None:
    """Network letter t and empty lists in place of null change nothing."""
    found = voucher.parse(TEXTS[name])
    shown = found.lotus_json()
    shown["ChannelAddr"] = "t" + shown["ChannelAddr"][1:]
    shown["SecretHash"] = shown["SecretHash"] or ""
    shown["Merges"] = shown["Merges"] or []
    assert voucher.from_lotus_json(shown) == found


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"ChannelAddr": "f0x"}, "ChannelAddr, id"),
        ({"ChannelAddr": None}, "ChannelAddr, "),
        ({"TimeLockMin": "1"}, "element 1 (time_lock_min)"),
        ({"Lane": 1.0}, "element 5 (lane)"),
        ({"Nonce": -1}, "element 6 (nonce)"),
        ({"Amount": 10}, "Amount"),
        ({"Amount": "1e3"}, "Amount"),
        ({"Amount": "010"}, "Amount"),
        ({"Amount": "-0"}, "Amount"),
        ({"Amount": "1_0"}, "Amount"),
        ({"Amount": "\u0661"}, "Amount"),
        ({"Amount": "9" * 10_000}, "Amount"),
        ({"Amount": "9" * 307}, "element 7 (amount)"),
        ({"SecretHash": "AA"}, "SecretHash"),
        ({"SecretHash": "AB=="}, "SecretHash"),
        ({"SecretHash": "_w=="}, "SecretHash"),
        ({"SecretHash": "\u0661"}, "SecretHash"),
        ({"SecretHash": [1]}, "SecretHash"),
        ({"Extra": {"Actor": "f01", "Method": 1}}, "Extra"),
        ({"Extra": {"Actor": "x", "Method": 1, "Data": None}}, "Extra.Actor, length"),
        ({"Extra": {"Actor": "f01", "Method": 1, "Data": "?"}}, "Extra.Data"),
        ({"Merges": {}}, "Merges"),
        ({"Merges": [[1, 2]]}, "Merges[0]"),
        ({"Merges": [{"Lane": 1, "Nonce": None}]}, "element 9 (merges), entry 0"),
        ({"Signature": "AQ=="}, "Signature"),
        ({"Signature": {"Type": [], "Data": ""}}, "element 10 (signature)"),
        ({"Signature": {"Type": 4, "Data": ""}}, "element 10 (signature)"),
        ({"Surprise": 1}, "voucher"),
        ({7: 1}, "voucher"),
    ],
)
def test_lotus_json_with_a_wrong_part_is_refused(change: dict[Any, Any], place: str) -> None:
    """The key, or the element for a value out of range, is named."""
    with pytest.raises((VoucherInvalid, AddressInvalid)) as caught:
        voucher.from_lotus_json({**PLAIN.lotus_json(), **change})
    assert caught.value.place.startswith(place)


def test_lotus_json_needs_every_key() -> None:
    """Go would fill in zeros; here what is missing is named."""
    for key in PLAIN.lotus_json():
        part = {name: value for name, value in PLAIN.lotus_json().items() if name != key}
        with pytest.raises(VoucherInvalid, match=f"key {key} is missing"):
            voucher.from_lotus_json(part)
    with pytest.raises(VoucherInvalid, match="must be an object, not list"):
        voucher.from_lotus_json([])
