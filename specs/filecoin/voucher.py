"""The SignedVoucher of Filecoin payment channels, exact to the byte.

Theory of operation. A voucher is a CBOR array of 11 elements; the signature, its last element,
covers the other ten. Invariants, which the tests cite:

1. `decode(raw).encode() == raw` for every `raw` that `decode` accepts, and `decode` accepts only
   the one canonical DAG-CBOR form. Decoders on the chain are laxer and verify over their own
   re-encoding, so without this rule one voucher could reach us as many byte strings.
2. A voucher is known by `id`, the digest of what was signed. Anybody can turn one valid secp256k1
   signature into another, so nothing that includes the signature identifies a voucher.
3. What can be encoded can be decoded: `encode` checks every value, `decode` ends with `encode`.
4. Hostile input costs time and memory in proportion to its length, and nothing but VoucherInvalid
   or AddressInvalid leaves this module. cbor2 is kept to what a voucher can hold: no tags, no
   indefinite lengths, three levels, and few items (it spends 64 bytes on each empty array).

Limits are those of the Go decoders in go-state-types (cbor-gen), which every lotus node applies.
Whether a voucher may be redeemed is the machine's question, and its signature signature.py's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from io import BytesIO
from typing import Any, ClassVar, Final, NamedTuple

import cbor2

from ...fsm.errors import PeerError
from . import address
from .address import AddressInvalid

MERGES_MAX: Final = 8192
BYTE_STRING_BYTES_MAX: Final = 2_097_152
BIG_INT_BYTES_MAX: Final = 128  # the sign byte included
ADDRESS_BYTES_MAX: Final = 64
SIGNATURE_BYTES_MAX: Final = 200  # the type byte included
EPOCH_MIN: Final = -(2**63)
EPOCH_MAX: Final = 2**63 - 1
UNSIGNED_64_MAX: Final = 2**64 - 1

VOUCHER_BYTES_MAX: Final = 2 * BYTE_STRING_BYTES_MAX + 19 * MERGES_MAX + 1024
"""No voucher is longer: two byte strings, the merges at 19 bytes each, and all the rest."""

SIGNATURE_SECP256K1: Final = 1
SIGNATURE_BLS: Final = 2
SIGNATURE_DELEGATED: Final = 3
SIGNATURE_TYPE_NAMES: Final[Mapping[int, str]] = {
    SIGNATURE_SECP256K1: "secp256k1",
    SIGNATURE_BLS: "bls",
    SIGNATURE_DELEGATED: "delegated",
}

_ARRAY_OF_11 = 0x8B
# An item takes at least one byte, so shorter inputs need not be counted before they are decoded.
_UNCOUNTED_BYTES_MAX = 65_536
_ITEMS_MAX = 1 + 11 + 3 + 3 * MERGES_MAX

_NOT_BASE64URL = re.compile(r"[^A-Za-z0-9_-]")
_PLAIN_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
_AMOUNT_CHARACTERS_MAX = 307  # a minus sign and the 306 digits of 127 bytes


class VoucherInvalid(PeerError):
    """Not a voucher in its canonical form, or with a value out of range; `place` is the element."""

    code: ClassVar[str] = "voucher-invalid"


class Merge(NamedTuple):
    """One entry of `merges`: fold what `lane` has redeemed and raise its nonce to `nonce`; u64."""

    lane: int
    nonce: int


class ModVerifyParams(NamedTuple):
    """The call that must succeed before a voucher is redeemed: `method` of `actor` with `data`."""

    actor: str
    method: int
    data: bytes


class Signature(NamedTuple):
    """A signature as it travels: its type (1, 2 or 3) and the bytes after the type byte."""

    type: int
    data: bytes

    @property
    def type_name(self) -> str:
        """`secp256k1`, `bls` or `delegated`; `unknown` for a type that cannot be encoded."""
        return SIGNATURE_TYPE_NAMES.get(self.type, "unknown")


class SignedVoucher(NamedTuple):
    """A voucher, signed or (with `signature` None) about to be; fields in the order of the wire.

    channel_addr: canonical address text. Time locks and min_settle_height: epochs, i64, where a
    time_lock_max of 0 means none. secret_pre_image: despite its name the BLAKE2b-256 of the secret,
    or empty. lane, nonce: u64. amount: attoFIL, cumulative for the lane, at most 127 bytes of
    magnitude; a negative one can be written. merges: at most 8192.
    Values are checked when the voucher is encoded, not when it is built (docs: voucher encoding).
    """

    channel_addr: str
    time_lock_min: int
    time_lock_max: int
    secret_pre_image: bytes
    extra: ModVerifyParams | None
    lane: int
    nonce: int
    amount: int
    min_settle_height: int
    merges: tuple[Merge, ...]
    signature: Signature | None

    def encode(self) -> bytes:
        """Return the canonical CBOR, signature included.

        Raises VoucherInvalid or AddressInvalid, with the element, for a value out of range.
        """
        return cbor2.dumps([*_signed_elements(self), _signature_element(self.signature)])

    def signing_bytes(self) -> bytes:
        """Return the bytes a signature covers: the CBOR with null in place of the signature.

        Raises as `encode` does.
        """
        return cbor2.dumps([*_signed_elements(self), None])

    @property
    def id(self) -> bytes:
        """BLAKE2b-256 of the signing bytes: the same whatever the signature (invariant 2)."""
        return blake2b(self.signing_bytes(), digest_size=32).digest()

    @property
    def id_hex(self) -> str:
        """`id` as 64 lower-case hexadecimal digits."""
        return self.id.hex()

    def text(self) -> str:
        """Return the string the lotus command line prints: base64url of the CBOR, unpadded."""
        return _base64url(self.encode())

    def lotus_json(self) -> dict[str, Any]:
        """Return the JSON object lotus shows for the voucher; empty parts are null, as in Go.

        Raises as `encode` does, so what comes back can be read by `from_lotus_json`.
        """
        self.encode()
        extra, signature = self.extra, self.signature
        merges = [{"Lane": merge.lane, "Nonce": merge.nonce} for merge in self.merges]
        values = (
            self.channel_addr,
            self.time_lock_min,
            self.time_lock_max,
            _json_base64(self.secret_pre_image),
            extra
            and {"Actor": extra.actor, "Method": extra.method, "Data": _json_base64(extra.data)},
            self.lane,
            self.nonce,
            str(self.amount),
            self.min_settle_height,
            merges or None,
            signature and {"Type": signature.type, "Data": _json_base64(signature.data)},
        )
        return dict(zip(_JSON_KEYS, values, strict=True))


_PLACES = tuple(f"element {index} ({name})" for index, name in enumerate(SignedVoucher._fields))
# Go's names are ours in capitals, but for the one field that Go names after what it holds.
_JSON_KEYS = tuple(
    "SecretHash" if name == "secret_pre_image" else name.title().replace("_", "")
    for name in SignedVoucher._fields
)


def decode(raw: bytes) -> SignedVoucher:
    """Return the voucher that `raw` is the canonical CBOR of.

    Raises VoucherInvalid, or AddressInvalid for an address inside it, naming the element: wrong
    types, tags, indefinite lengths, longer forms than needed, values beyond the limits of this
    module, bytes missing or left over (docs: voucher encoding).
    """
    if not isinstance(raw, bytes):
        raise VoucherInvalid(f"a voucher is bytes, not {type(raw).__name__}", place="voucher")
    if len(raw) > VOUCHER_BYTES_MAX:
        raise VoucherInvalid(f"{len(raw)} bytes; at most {VOUCHER_BYTES_MAX}", place="voucher")
    if not raw or raw[0] != _ARRAY_OF_11:
        raise VoucherInvalid("not an array of 11 elements", place="voucher")
    if len(raw) > _UNCOUNTED_BYTES_MAX:
        _refuse_crowded(raw)
    try:
        elements = cbor2.loads(raw, max_depth=3, **_STRICT)
    except Exception as error:  # whatever the decoder stumbles over is the input's fault
        reason = str(error.__cause__ or error)[:200]  # it may quote the input, at any length
        raise VoucherInvalid(f"not plain CBOR: {reason}", place=_place_of_failure(raw)) from None
    voucher = _from_elements(elements)
    encoded = voucher.encode()
    if encoded != raw:
        raise _not_canonical(raw, encoded, voucher)
    return voucher


def parse(text: str) -> SignedVoucher:
    """Return the voucher in `text`, the string that lotus prints and accepts.

    text: base64url without padding, nothing before or after it. Raises VoucherInvalid for any other
    alphabet, padding, white space or spare bits, and as `decode` does for what it encodes.
    """
    if not isinstance(text, str):
        raise VoucherInvalid(f"a voucher string is text, not {type(text).__name__}", place="text")
    if len(text) > VOUCHER_BYTES_MAX * 4 // 3 + 1:
        raise VoucherInvalid(f"{len(text)} characters are too many", place="text")
    wrong = _NOT_BASE64URL.search(text)
    if wrong:
        raise VoucherInvalid(
            f"{wrong.group()!a} is not a base64url character",
            place=f"text, character {wrong.start()}",
            hint="base64url has - and _; neither padding nor white space",
        )
    if len(text) % 4 == 1:
        raise VoucherInvalid("a character is missing or too many", place="text")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _base64url(raw) != text:
        raise VoucherInvalid("spare bits of the last character are set", place="text")
    return decode(raw)


def from_lotus_json(obj: object) -> SignedVoucher:
    """Return the voucher that lotus shows as the JSON object `obj`, already parsed from its text.

    All 11 keys must be there and no other; numbers are JSON integers, Amount is a decimal string,
    byte strings are padded base64, or null when empty. Addresses may use either network letter.
    Raises VoucherInvalid or AddressInvalid with the key, or with the element of a value out of
    range.
    """
    values = _json_object(obj, _JSON_KEYS, "voucher")
    extra, merges, signature = values["Extra"], values["Merges"], values["Signature"]
    if extra is not None:
        extra = ModVerifyParams(**_json_parts(extra, ModVerifyParams._fields, "Extra"))
    if signature is not None:
        signature = Signature(**_json_parts(signature, Signature._fields, "Signature"))
    if not isinstance(merges, list | None):
        raise VoucherInvalid("must be a list or null", place="Merges")
    voucher = SignedVoucher(
        _json_address(values["ChannelAddr"], "ChannelAddr"),
        values["TimeLockMin"],
        values["TimeLockMax"],
        _json_bytes(values["SecretHash"], "SecretHash"),
        extra,
        values["Lane"],
        values["Nonce"],
        _json_amount(values["Amount"]),
        values["MinSettleHeight"],
        tuple(
            [
                Merge(**_json_parts(merge, Merge._fields, f"Merges[{index}]"))
                for index, merge in enumerate(merges or ())
            ]
        ),
        signature,
    )
    voucher.encode()
    return voucher


class _RefuseTags(dict[int, Callable[[Any, bool], Any]]):
    """What cbor2 asks for the handler of a tag, its own tags included: a voucher has no tags."""

    __slots__ = ()

    def __missing__(self, tag: int) -> Callable[[Any, bool], Any]:
        raise ValueError(f"tag {tag}, where no tag belongs")


_STRICT: dict[str, Any] = {
    "semantic_decoders": _RefuseTags(),
    "allow_indefinite": False,
    "allow_duplicate_keys": False,
    "strict_hashable_types": True,
}


def _refuse_crowded(raw: bytes) -> None:
    """Refuse `raw` if it has more items than a voucher can, before anything is built from it.

    Without indefinite lengths CBOR is a flat sequence of heads, some followed by a string, so no
    nesting has to be followed. Whatever else is wrong is left for the decoder to find.
    """
    at = items = 0
    while at < len(raw):
        major, argument = divmod(raw[at], 32)
        at += 1
        if 24 <= argument < 28:
            size = 1 << (argument - 24)
            argument = int.from_bytes(raw[at : at + size], "big")
            at += size
        if major in (2, 3):
            at += argument
        items += 1
        if items > _ITEMS_MAX:
            raise VoucherInvalid(f"more than {_ITEMS_MAX} items", place="voucher")


def _place_of_failure(raw: bytes) -> str:
    """Return the element at which `raw`, an array of 11 that does not decode, goes wrong."""
    decoder = cbor2.CBORDecoder(BytesIO(raw[1:]), max_depth=2, **_STRICT)
    for place in _PLACES:
        try:
            decoder.decode()
        except Exception:  # as in decode
            return place
    return "voucher"


def _not_canonical(raw: bytes, encoded: bytes, voucher: SignedVoucher) -> VoucherInvalid:
    """Return the error for `raw`, which means `voucher` but is not its encoding `encoded`."""
    if raw.startswith(encoded):
        return VoucherInvalid(f"{len(raw) - len(encoded)} bytes follow it", place="voucher")
    at, element = 1, 0
    parts = [*_signed_elements(voucher), _signature_element(voucher.signature)]
    while raw.startswith(part := cbor2.dumps(parts[element]), at):
        at += len(part)
        element += 1
    return VoucherInvalid(f"byte {at}: not in its one canonical form", place=_PLACES[element])


def _from_elements(elements: list[Any]) -> SignedVoucher:
    """Return the voucher of 11 decoded elements.

    Looks at what has to be taken apart; the rest is left for `encode` to check.
    """
    extra, merges, signature = elements[4], elements[9], elements[10]
    if extra is not None:
        actor, method, data = _array(extra, 3, _PLACES[4])
        extra = ModVerifyParams(_address_text(actor, f"{_PLACES[4]}, actor"), method, data)
    if not isinstance(merges, list):
        raise VoucherInvalid("must be an array", place=_PLACES[9])
    if signature is not None:
        _byte_string(signature, SIGNATURE_BYTES_MAX, _PLACES[10])
        if not signature:
            raise VoucherInvalid("empty: the type byte is missing", place=_PLACES[10])
        signature = Signature(signature[0], signature[1:])
    return SignedVoucher(
        _address_text(elements[0], _PLACES[0]),
        elements[1],
        elements[2],
        elements[3],
        extra,
        elements[5],
        elements[6],
        _amount_of(elements[7]),
        elements[8],
        tuple([Merge(*_array(merge, 2, _PLACES[9])) for merge in merges]),
        signature,
    )


def _signed_elements(voucher: SignedVoucher) -> list[Any]:
    """Return the ten elements before the signature as cbor2 is to write them, each checked."""
    extra: Any = voucher.extra
    if extra is not None:
        if not isinstance(extra, ModVerifyParams):
            raise VoucherInvalid("must be ModVerifyParams or None", place=_PLACES[4])
        extra = [
            _address_bytes(extra.actor, f"{_PLACES[4]}, actor"),
            _integer(extra.method, 0, UNSIGNED_64_MAX, f"{_PLACES[4]}, method"),
            _byte_string(extra.data, BYTE_STRING_BYTES_MAX, f"{_PLACES[4]}, data"),
        ]
    return [
        _address_bytes(voucher.channel_addr, _PLACES[0]),
        _integer(voucher.time_lock_min, EPOCH_MIN, EPOCH_MAX, _PLACES[1]),
        _integer(voucher.time_lock_max, EPOCH_MIN, EPOCH_MAX, _PLACES[2]),
        _byte_string(voucher.secret_pre_image, BYTE_STRING_BYTES_MAX, _PLACES[3]),
        extra,
        _integer(voucher.lane, 0, UNSIGNED_64_MAX, _PLACES[5]),
        _integer(voucher.nonce, 0, UNSIGNED_64_MAX, _PLACES[6]),
        _amount_bytes(voucher.amount),
        _integer(voucher.min_settle_height, EPOCH_MIN, EPOCH_MAX, _PLACES[8]),
        _merge_elements(voucher.merges),
    ]


def _merge_elements(merges: tuple[Merge, ...]) -> list[Any]:
    if not isinstance(merges, tuple) or len(merges) > MERGES_MAX:
        raise VoucherInvalid(f"must be a tuple of at most {MERGES_MAX}", place=_PLACES[9])
    elements = []
    for index, merge in enumerate(merges):
        place = f"{_PLACES[9]}, entry {index}"
        if not isinstance(merge, Merge):
            raise VoucherInvalid("must be a Merge", place=place)
        elements.append([_integer(number, 0, UNSIGNED_64_MAX, place) for number in merge])
    return elements


def _signature_element(signature: Signature | None) -> bytes | None:
    if signature is None:
        return None
    if not isinstance(signature, Signature):
        raise VoucherInvalid("must be a Signature or None", place=_PLACES[10])
    kind = _integer(signature.type, 0, 255, _PLACES[10])
    if kind not in SIGNATURE_TYPE_NAMES:
        raise VoucherInvalid(f"signature type {kind} is unknown", place=_PLACES[10])
    return bytes([kind]) + _byte_string(signature.data, SIGNATURE_BYTES_MAX - 1, _PLACES[10])


def _amount_of(raw: Any) -> int:
    """Return the number in a big-int byte string: nothing for 0, else sign byte and magnitude."""
    _byte_string(raw, BIG_INT_BYTES_MAX, _PLACES[7])
    if raw and raw[0] > 1:
        raise VoucherInvalid(f"sign byte {raw[0]}; known are 0 and 1", place=_PLACES[7])
    magnitude = int.from_bytes(raw[1:], "big")
    return -magnitude if raw and raw[0] else magnitude


def _amount_bytes(amount: int) -> bytes:
    bound = 256 ** (BIG_INT_BYTES_MAX - 1)
    amount = _integer(amount, 1 - bound, bound - 1, _PLACES[7])
    if amount == 0:
        return b""
    magnitude = abs(amount)
    return bytes([amount < 0]) + magnitude.to_bytes((magnitude.bit_length() + 7) // 8, "big")


def _integer(value: Any, minimum: int, maximum: int, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise VoucherInvalid(f"must be an integer, not {type(value).__name__}", place=place)
    if not minimum <= value <= maximum:
        # The value is left out: it may be longer than Python is willing to print.
        low = f"-2^{(-minimum).bit_length() - 1}" if minimum else "0"
        raise VoucherInvalid(f"outside {low}..2^{maximum.bit_length()}-1", place=place)
    return int(value)


def _byte_string(value: Any, size_max: int, place: str) -> bytes:
    if not isinstance(value, bytes):
        raise VoucherInvalid(f"must be a byte string, not {type(value).__name__}", place=place)
    if len(value) > size_max:
        raise VoucherInvalid(f"{len(value)} bytes; at most {size_max}", place=place)
    return bytes(value)


def _array(value: Any, size: int, place: str) -> list[Any]:
    if not isinstance(value, list) or len(value) != size:
        raise VoucherInvalid(f"must be an array of {size}", place=place)
    return value


def _address_text(raw: Any, place: str) -> str:
    try:
        return address.render(_byte_string(raw, ADDRESS_BYTES_MAX, place))
    except AddressInvalid as error:
        raise AddressInvalid(error.message, place=f"{place}, {error.place}") from None


def _address_bytes(text: str, place: str) -> bytes:
    try:
        raw = address.parse(text)
    except AddressInvalid as error:
        raise AddressInvalid(error.message, place=f"{place}, {error.place}") from None
    if text[0] != "f":
        raise VoucherInvalid("not canonical: the network letter must be f", place=place)
    return raw


def _json_object(obj: object, keys: tuple[str, ...], place: str) -> dict[str, Any]:
    if not isinstance(obj, dict):
        raise VoucherInvalid(f"must be an object, not {type(obj).__name__}", place=place)
    for key in obj:
        if key not in keys:
            name = f"{key[:40]!a}" if isinstance(key, str) else "that is not text"
            raise VoucherInvalid(f"unknown key {name}", place=place)
    for key in keys:
        if key not in obj:
            raise VoucherInvalid(f"key {key} is missing", place=place)
    return obj


def _json_parts(obj: object, fields: tuple[str, ...], place: str) -> dict[str, Any]:
    """Return the fields of a nested object: lotus names them as we do, with a capital letter."""
    parts = _json_object(obj, tuple([field.capitalize() for field in fields]), place)
    readers = {"Actor": _json_address, "Data": _json_bytes}
    return {
        key.lower(): readers[key](value, f"{place}.{key}") if key in readers else value
        for key, value in parts.items()
    }


def _json_address(value: Any, place: str) -> str:
    try:
        return address.canonical(value)
    except AddressInvalid as error:
        raise AddressInvalid(error.message, place=f"{place}, {error.place}") from None


def _json_amount(value: Any) -> int:
    if not isinstance(value, str) or len(value) > _AMOUNT_CHARACTERS_MAX:
        raise VoucherInvalid("must be a decimal string", place="Amount")
    if not _PLAIN_DECIMAL.fullmatch(value):
        raise VoucherInvalid("not a plain decimal number", place="Amount")
    return int(value)


def _json_bytes(value: Any, place: str) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str) or len(value) > BYTE_STRING_BYTES_MAX * 4 // 3 + 4:
        raise VoucherInvalid("must be a base64 string or null", place=place)
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError as error:
        raise VoucherInvalid(f"not base64: {error}", place=place) from None
    if base64.b64encode(data).decode("ascii") != value:
        raise VoucherInvalid("not the base64 an encoder writes", place=place)
    return data


def _json_base64(data: bytes) -> str | None:
    return base64.b64encode(data).decode("ascii") if data else None


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
