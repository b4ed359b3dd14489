"""Vouchers between the two ends of a payment channel: made by the payer, looked at by the payee."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...fsm.errors import PeerError
from ..filecoin import address, keys
from ..filecoin.signature import verify_off_chain
from ..filecoin.voucher import SignedVoucher, parse


def signed(secret: bytes, channel: str, lane: int, nonce: int, amount: int) -> str:
    """Return the text of a voucher for `amount` on a lane altogether; the same every time."""
    unsigned = SignedVoucher(
        channel_addr=address.canonical(channel),
        time_lock_min=0,
        time_lock_max=0,
        secret_pre_image=b"",
        extra=None,
        lane=lane,
        nonce=nonce,
        amount=amount,
        min_settle_height=0,
        merges=(),
        signature=None,
    )
    return unsigned._replace(signature=keys.sign(secret, unsigned.signing_bytes())).text()


def trouble(text: str, channel: Mapping[str, Any], deal: str) -> str:
    """Return why a payee should not take a voucher, in words; "" if it is good.

    `channel`: the data of the payee's pop.payment_channel. The same voucher again is good: it adds
    nothing. What the chain would say of it besides is for whoever redeems it.
    """
    try:
        voucher = parse(text)
    except PeerError as error:
        return f"no voucher: {error}"
    if voucher.channel_addr != channel["Channel"]:
        return f"it is for the channel {voucher.channel_addr}, not for {channel['Channel']}"
    if voucher.secret_pre_image or voucher.extra or voucher.merges or voucher.time_lock_max:
        return "it has conditions"
    payer = channel["Target"]
    try:
        good = voucher.signature is not None and verify_off_chain(
            voucher.signing_bytes(), voucher.signature, payer
        )
    except PeerError as error:
        return f"its signature cannot be verified: {error}"
    if not good:
        return f"it is not signed by {payer}"
    return _refused(voucher, channel, deal)


def _refused(voucher: SignedVoucher, channel: Mapping[str, Any], deal: str) -> str:
    """Return why its numbers do not fit what was promised before; "" if they do."""
    lanes = channel["lanes"]
    known = lanes.get(voucher.lane)
    if known is not None and known["deal"] not in ("", deal):
        return f"lane {voucher.lane} is that of {known['deal']}"
    before = known["amount"] if known is not None else 0
    nonce = known["nonce"] if known is not None else 0
    if voucher.amount < before:
        return f"it promises {voucher.amount}, less than the {before} before"
    if voucher.nonce < nonce or (voucher.nonce == nonce and voucher.amount != before):
        return f"its nonce is {voucher.nonce}; {nonce} was used"
    others = sum(one["amount"] for number, one in lanes.items() if number != voucher.lane)
    if others + voucher.amount > channel["Amount"]:
        holds = channel["Amount"]
        return f"{others + voucher.amount} would be promised, and the channel holds {holds}"
    return ""
