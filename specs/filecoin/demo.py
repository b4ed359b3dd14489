"""The payment channel's story: real vouchers with real signatures, from deposit to collection.

The four vouchers are from public chain test vectors (V1, V2: signed by the payee, so the payer
submits them) and from a bug report of a wallet (V3, V4: signed by the payer). Their signatures
are verified when they are redeemed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...fsm.story import Begin, Event, Height, Recover, Say, Story
from .demo_dispute import DISPUTE

MACHINE = "filecoin.payment_channel"
CHAIN = "filecoin"

V1 = (
    "i1UCulfg8vZ_7J5CXG2GyhSNyctOIzAAAED2GHsBQgAKAIBYQgFWH3LvBoeXGNbyuM2WRQ6NXw01eldumihuk9Nrzf18"
    "SESCaJq2OxCcuQ7KFijOU19kD0wvArsTGpx8mbllPiECAQ"
)
V2 = (
    "i1UCulfg8vZ_7J5CXG2GyhSNyctOIzAAAED2AQFDACcQAIBYQgEuMjEnwFvifcEur_kSdwYE4YIICvzpd2MiEnyivA2U"
    "vw2kmr077Y_tnaLK36T4FibdeRPpSGvpFwOsm6HqLVHKAA"
)
V3 = (
    "i1UC5p1RJZfUi1pfGcoDNwPXTRTlg0IAAED2AAJFADuaygAAgFhCAYdpWxcpIUos5ufI4MDLqvjV5SHwKuOOEfB-uaDe"
    "qIJHPtnh2A9dQ3qQL7GsDQxMDP8MX0PNy9F6RxoL0AqCQT4A"
)
V4 = (
    "i1UC5p1RJZfUi1pfGcoDNwPXTRTlg0IAAED2AANFAHc1lAAAgFhCAa-myCUZEEs-0UrsaTn7nLe6a-uDrvMJwOrc-Y0X"
    "8SJwB9XKaO3piTI1N37WEg1N-SfGHCt2gjy6qr37GJkR0fIB"
)

ALPHA = "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq"
ALPHA_PAYER = "f1nhudgskmseowv7rp4e6scxsmlt3qoysvpn73tuy"
ALPHA_PAYEE = "f1376vktwzuqxmxoxwftqw77qp7p3vfexv3hmgl3a"
BETA = "f242ovcjmx2sfvuxyzzibtoa6xjukola2cqjh7k6a"
BETA_PAYER = "f14hsid4nwp724r6dxwgue5kvvzjqjrd6y4lalecq"

_ALPHA_NAME = f"{MACHINE}/{ALPHA}"
_BETA_NAME = f"{MACHINE}/{BETA}"


def _redeem(channel: str, voucher: str, caller: str) -> Event:
    return Event(channel, "update_channel_state", {"caller": caller, "sv": voucher})


def _row(data: Mapping[str, str]) -> list[str]:
    """Return who got what from one collected channel."""
    payee = f"{data['to']} {data['paid_to']}"
    payer = f"{data['from']} {data['paid_from']}"
    return [data["deposited"], payee, payer]


PAYMENT = Story(
    title="A payment channel, from deposit to collection",
    scenes=(
        Say("The chain is at epoch 100000. A payer opens a channel with 10000 attofil."),
        Height(CHAIN, 100_000),
        Begin(
            MACHINE,
            ALPHA,
            {
                "id": "f0102",
                "from": ALPHA_PAYER,
                "to": ALPHA_PAYEE,
                "value": "10000 attofil",
                f"addresses.{ALPHA_PAYER}": "f0100",
                f"addresses.{ALPHA_PAYEE}": "f0101",
            },
        ),
        Say("The payer redeems two vouchers that the payee signed, for 10 and for 10000 attofil."),
        _redeem(_ALPHA_NAME, V1, "f0100"),
        _redeem(_ALPHA_NAME, V2, "f0100"),
        Say("Refused: 10010 promised, 10000 deposited. The nonce is not used up: add 10, repeat."),
        Event(_ALPHA_NAME, "send", {"value": "10 attofil"}),
        _redeem(_ALPHA_NAME, V2, "f0100"),
        Say("A second channel. Its payee redeems the newer voucher first; then the older is void."),
        Begin(
            MACHINE,
            BETA,
            {
                "id": "f0202",
                "from": BETA_PAYER,
                "to": "f0201",
                "value": "3 nanofil",
                f"addresses.{BETA_PAYER}": "f0200",
            },
        ),
        _redeem(_BETA_NAME, V4, "f0201"),
        _redeem(_BETA_NAME, V3, "f0201"),
        Say("The first payee settles. The process dies after storing it, before anybody is told."),
        Event(_ALPHA_NAME, "settle", {"caller": ALPHA_PAYEE}, key="settle-alpha", dies=True),
        Say("Recovering. Nothing that was acknowledged can be lost; what was in flight is named."),
        Recover(),
        Say("Nobody knows whether it happened, so the sender repeats it with the same key."),
        Event(_ALPHA_NAME, "settle", {"caller": ALPHA_PAYEE}, key="settle-alpha"),
        Event(_BETA_NAME, "settle", {"caller": BETA_PAYER}, key="settle-beta"),
        Say(
            "One epoch before the deadline collecting is refused. At the deadline the timers fire."
        ),
        Height(CHAIN, 101_439),
        Event(_ALPHA_NAME, "collect", {"caller": "f0101"}),
        Height(CHAIN, 101_440),
        Event(_ALPHA_NAME, "collect", {"caller": "f0101"}),
        Event(_BETA_NAME, "collect", {"caller": "f0200"}),
    ),
    columns=("channel", "deposited", "payee got", "payer got back"),
    row=_row,
    next_steps=(
        "history f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq",
        "explain f242ovcjmx2sfvuxyzzibtoa6xjukola2cqjh7k6a",
        "show f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq --at height:101000",
        "replay",
        "verify",
        "spec diagram filecoin.payment_channel",
        f"voucher decode {V1}",
    ),
)

STORIES: Mapping[str, Any] = {"payment": PAYMENT, "dispute": DISPUTE}
