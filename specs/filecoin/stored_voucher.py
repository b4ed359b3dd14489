"""Vouchers as a node's own books keep them: what a record says of one, under what name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

from ...fsm.errors import StatetapeError
from .voucher import SignedVoucher, parse

ACCOUNT: Final = "filecoin.channel_account"
RECORD: Final = "filecoin.voucher"

_SIGNATURE_MARK_BYTES = 8


@functools.lru_cache(maxsize=256)
def read(text: str) -> SignedVoucher | None:
    """Return the voucher in `text` (base64url), or None where it is none in canonical form."""
    try:
        return parse(text)
    except StatetapeError:
        return None


@functools.lru_cache(maxsize=256)
def described(text: str) -> Mapping[str, Any] | None:
    """Return what a book keeps of a voucher, or None. `mark` tells signatures of one body apart."""
    voucher = read(text)
    if voucher is None:
        return None
    signature = voucher.signature
    signed = bytes((signature.type,)) + signature.data if signature else b""
    return {
        "id": voucher.id_hex,
        "channel_addr": voucher.channel_addr,
        "lane": voucher.lane,
        "nonce": voucher.nonce,
        "amount": voucher.amount,
        "time_lock_min": voucher.time_lock_min,
        "time_lock_max": voucher.time_lock_max,
        "min_settle_height": voucher.min_settle_height,
        "secret_hash": voucher.secret_pre_image.hex(),
        "plain": voucher.extra is None and not voucher.merges,
        "mark": blake2b(signed, digest_size=_SIGNATURE_MARK_BYTES).hexdigest(),
    }


def channel_of(key: str) -> str:
    """Return the channel's part of a voucher record's key, CHANNEL/ID; "" where it has none."""
    return key.rpartition("/")[0]


def identifier_of(key: str) -> str:
    """Return the voucher's part of a voucher record's key, CHANNEL/ID."""
    return key.rpartition("/")[2]


def account_of(channel: str) -> str:
    """Return the name of the account that keeps the book of a channel."""
    return f"{ACCOUNT}/{channel}"


def record_of(channel: str, identifier: str) -> str:
    """Return the name of the record of one voucher."""
    return f"{RECORD}/{channel}/{identifier}"


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function for function in (described, channel_of, identifier_of, account_of)
}
