"""A paid retrieval between a client and a provider, told whole or with a fault.

Ten blocks of 256 KiB at 2 attofil per byte. The first interval is three blocks long, the next four,
and three are left: so there are two vouchers on the way and one at the end. Everything is made from
fixed seeds, and the clock is the story's own, so it always goes the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ...fsm.driving import DELIVERED, LATE, LOST, Act, Effect, Perform
from ...fsm.driving import Event as Told
from ...fsm.story import (
    Begin,
    Drama,
    Drive,
    Event,
    Figure,
    Look,
    Moment,
    Pass,
    Recover,
    Say,
    Scene,
    Tale,
)
from ..filecoin.address import from_actor_data
from ..filecoin.keys import address_of
from .delivery import Outside, Terms, message_id
from .telling import lines

CLIENT = "client"
PROVIDER = "provider"
ROOT = "bafyreigyp2wigicm64qysbpt66vee5s6rgl27peaafznuuspk3lhc3kzxa"
BLOCK = 262_144
BLOCKS = 10
STARTS_AT = 1_626_166_800_000_000
"""2021-07-13T09:00:00Z."""
STEP_US = 5_000
MINUTE_US = 60_000_000

DEAL = "pop.deal_client/photos-1"
DEAL_P = "pop.deal_provider/client/photos-1"
SERVING = "pop.serving/client/photos-1"
LANE = "pop.payment_channel/provider"
LANE_P = "pop.payment_channel/client"
TX = "pop.tx/photos"

TERMS = Terms(price=2, unseal=0, payment_interval=3 * BLOCK, interval_increase=BLOCK)
FIRST = 3 * BLOCK * TERMS.price
"""What the first voucher promises, in attofil."""
SECOND = 7 * BLOCK * TERMS.price
WHOLE = BLOCKS * BLOCK * TERMS.price


ON_CHAIN = from_actor_data(message_id(LANE, 1).encode())
"""The payment channel's address, which its first message makes."""


def _secret(node: str) -> bytes:
    """Return a key that anybody can compute: nothing of value belongs to it."""
    return blake2b(f"statetape demo: the {node}'s wallet".encode(), digest_size=32).digest()


SECRETS = {node: _secret(node) for node in (CLIENT, PROVIDER)}
FIL = 10**18
OUTSIDE = Outside({ROOT: (BLOCK,) * BLOCKS}, TERMS, SECRETS, {CLIENT: 10 * FIL, PROVIDER: FIL})
APART = Outside(OUTSIDE.contents, TERMS, SECRETS, OUTSIDE.balances, apart=True)


def _status(act: Act) -> str:
    """Return the deal status that a response to the client carries, "" if it is none."""
    if not isinstance(act, Told) or act.event != "NewVoucherResult":
        return ""
    return str(act.params["voucherResultBytes"]["Status"])


def _answer_lost(effect: Effect, act: Act) -> str:
    """Lose the provider's last message to the client: that the deal is complete."""
    last = effect.do == "SendResult" and effect.params["status"] == "DealStatusCompleted"
    return LOST if last and act.node == CLIENT else DELIVERED


def _acceptance_late(_effect: Effect, act: Act) -> str:
    """Let the word that the deal is accepted come late, to both deals."""
    deal = isinstance(act, Told) and act.event == "ProviderEventDealAccepted"
    return LATE if deal or _status(act) == "DealStatusAccepted" else DELIVERED


def _cut(effect: Effect, act: Act) -> str:
    """Lose whatever goes from one node to the other."""
    return DELIVERED if effect.node == act.node else LOST


ASKS: tuple[Scene, ...] = (
    Begin("pop.tx", "photos", {"root": ROOT}, node=CLIENT),
    Event(TX, "QueryStarted", {"balance": "10 FIL", "maxppb": "5"}, node=CLIENT),
)
COMPLETED = "DealStatusCompleted"
DONE = {
    (CLIENT, DEAL): COMPLETED,
    (CLIENT, TX): "Closed",
    (PROVIDER, DEAL_P): COMPLETED,
    (PROVIDER, SERVING): "Finished",
}
ASK = (
    "A client wants ten blocks. It asks; the provider offers them at 2 attofil per byte. From "
    "then on each node does what its tape says is to be done."
)


def _why(node: str, instance: str) -> Look:
    """Ask why an instance is where it is, as of the story's time (the player adds it)."""
    return Look(node, ("explain", instance), until="ledger")


def _what_if(node: str, *words: str | Moment | Sequence[str | Moment]) -> Look:
    return Look(node, ("replay", *words))


def _tale(
    about: str,
    *scenes: Scene,
    ends: Mapping[tuple[str, str], str] = DONE,
    perform: Perform = OUTSIDE,
    apart: Sequence[str] = (),
    more: Sequence[Look] = (),
) -> Tale:
    """Return a telling, with the commands that every telling ends with."""
    steps = (
        *more,
        Look(CLIENT, ("history", "photos-1")),
        Look(CLIENT, ("explain", "photos-1")),
        Look(PROVIDER, ("history", DEAL_P, "--alone")),
        Look(PROVIDER, ("show", SERVING)),
        Look(PROVIDER, ("spec", "diagram", "pop.deal_provider")),
    )
    return Tale(about, scenes, perform, ends, apart, steps)


NONE = _tale(
    "nothing goes wrong",
    Say(ASK),
    *ASKS,
    Drive(),
    Say("Both deals are complete. Why is the client's where it is?"),
    _why(CLIENT, "photos-1"),
    Say(
        "What if the second payment had not reached the provider's deal? It stands still at the "
        "boundary until the next one comes, and its count is short by that voucher."
    ),
    _what_if(
        PROVIDER,
        DEAL_P,
        "--drop",
        Moment(PROVIDER, DEAL_P, "ProviderEventPaymentReceived", 2),
    ),
)

LOST_EVENT = _tale(
    "the provider's last message, that the deal is complete, is lost",
    Say(ASK),
    *ASKS,
    Drive(carry=_answer_lost),
    Say("The provider is done and paid. Its last message was lost, and the client waits for it."),
    Pass(6 * MINUTE_US),
    Say("Nothing was heard for five minutes: the watchdog says so. Why, and whose move is it?"),
    _why(CLIENT, "photos-1"),
    Say("What if that one message had come?"),
    _what_if(CLIENT, DEAL, "--insert", "end ClientEventComplete"),
    ends={
        (CLIENT, DEAL): "DealStatusFinalizing",
        (CLIENT, TX): "Retrieving",
        (PROVIDER, DEAL_P): COMPLETED,
        (PROVIDER, SERVING): "Finished",
    },
    more=(Look(CLIENT, ("send", DEAL, "ClientEventComplete", "--by", "you")),),
)

LATE_BLOCK = _tale(
    "blocks overtake the word that the deal is accepted",
    Say(
        "In this telling the provider's deal hears of its transfer by messages of their own, as in "
        "the original, and that the deal is accepted comes late, to both. Blocks overtake it."
    ),
    *ASKS,
    Drive(carry=_acceptance_late),
    Say(
        "What came too early was parked, and taken when the deal was accepted. The original's "
        "table refuses it (state 0, events 4 and 6). When the client is asked for money, that deal "
        "knows of no block and waits for no payment, for ever."
    ),
    _what_if(
        PROVIDER,
        DEAL_P,
        "--with-spec",
        "pop.retrieval_provider",
        "--until",
        Moment(PROVIDER, DEAL_P, "ProviderEventPaymentRequested"),
    ),
    perform=APART,
)

CRASH_CLIENT = _tale(
    "the client dies when its second voucher is on its tape, and nobody has it yet",
    Say(ASK),
    *ASKS,
    Drive(until=Moment(CLIENT, LANE, "VoucherCreated", 2), dies=True),
    Say("The voucher is promised, and was not sent. The tapes still say what is to be done."),
    Recover(),
    Say("What was half done is performed again: the same voucher to the byte, under the same key."),
    Drive(),
    Say(
        "What if it had arrived twice all the same? Amounts are totals of a lane: it adds nothing."
    ),
    _what_if(
        PROVIDER,
        LANE_P,
        "--insert",
        (
            Moment(PROVIDER, LANE_P, "VoucherAccepted", 3),
            f' VoucherAccepted lane=0 nonce=2 amount="{SECOND} attofil"',
        ),
    ),
)

CRASH_PROVIDER = _tale(
    "the provider dies when a block is counted, and has not left yet",
    Say(ASK),
    *ASKS,
    Drive(until=Moment(PROVIDER, SERVING, "BlockQueued", 5), dies=True),
    Say("The original kept this count in memory. Here it is on the tape, with the block to send."),
    Recover(),
    Say("The block goes out now. It is not counted twice, and none goes out uncounted."),
    Drive(),
    Say(
        "What if that count had been lost? Nothing more would go out: a block leaves only if it is "
        "the next one by the count."
    ),
    _what_if(PROVIDER, SERVING, "--drop", Moment(PROVIDER, SERVING, "BlockQueued", 5)),
)

SILENCE = _tale(
    "after the first voucher nothing gets through, either way",
    Say(ASK),
    *ASKS,
    Drive(until=Moment(CLIENT, DEAL, "ClientEventSendFunds", 2)),
    Say("From here on neither hears the other. The client sends its second voucher."),
    Drive(carry=_cut),
    Pass(31 * MINUTE_US),
    Say("Both watchdogs have noticed. Why does the client's deal not move?"),
    _why(CLIENT, "photos-1"),
    Say("The provider never saw that voucher. What if it had?"),
    _what_if(
        PROVIDER,
        DEAL_P,
        "--insert",
        f'end ProviderEventPaymentReceived fundsReceived="{SECOND - FIRST} attofil" ch={ON_CHAIN}',
    ),
    ends={
        (CLIENT, DEAL): "DealStatusOngoing",
        (CLIENT, TX): "Retrieving",
        (PROVIDER, DEAL_P): "DealStatusFundsNeeded",
        (PROVIDER, SERVING): "Paused",
    },
    apart=("paid for, bytes", "paid, attofil", "promised on the lane", "vouchers"),
)

SHORT = FIRST + BLOCK
"""What the channel holds at first: enough for the first voucher, not for the second."""

INSUFFICIENT = _tale(
    "the payment channel holds too little for the second voucher",
    Say("A payment channel is there from earlier, with enough for one voucher."),
    Begin(
        "pop.payment_channel",
        PROVIDER,
        {"Control": address_of(SECRETS[CLIENT]), "Target": address_of(SECRETS[PROVIDER])},
        node=CLIENT,
    ),
    Event(LANE, "FundsRequested", {"amount": f"{SHORT} attofil"}, node=CLIENT),
    Drive(),
    Say(ASK),
    *ASKS,
    Drive(),
    Say("The second voucher would promise more than the channel holds. Why, and what helps?"),
    _why(CLIENT, "photos-1"),
    Say("Somebody adds funds. The deal does not notice by itself, so it is told to look again."),
    Event(LANE, "FundsRequested", {"amount": f"{WHOLE - SHORT} attofil"}, node=CLIENT),
    Drive(),
    Event(DEAL, "ClientEventRecheckFunds", {}, node=CLIENT),
    Drive(),
    Say("What if nobody had told it?"),
    _what_if(CLIENT, DEAL, "--drop", Moment(CLIENT, DEAL, "ClientEventRecheckFunds")),
)

FIGURES = {
    "bytes": (Figure(CLIENT, DEAL, "received"), Figure(PROVIDER, DEAL_P, "sent")),
    "paid for, bytes": (Figure(CLIENT, DEAL, "paid_for"), Figure(PROVIDER, DEAL_P, "paid_for")),
    "paid, attofil": (Figure(CLIENT, DEAL, "spent"), Figure(PROVIDER, DEAL_P, "funds_received")),
    "promised on the lane": (
        Figure(CLIENT, LANE, "promised"),
        Figure(PROVIDER, LANE_P, "promised"),
    ),
    "vouchers": (Figure(CLIENT, LANE, "vouchers"), Figure(PROVIDER, LANE_P, "vouchers")),
}

RETRIEVAL = Drama(
    title="A paid retrieval, on a client's and a provider's tape",
    nodes=(CLIENT, PROVIDER),
    tales={
        "none": NONE,
        "lost-event": LOST_EVENT,
        "late-block": LATE_BLOCK,
        "crash-client": CRASH_CLIENT,
        "crash-provider": CRASH_PROVIDER,
        "provider-silence": SILENCE,
        "insufficient-funds": INSUFFICIENT,
    },
    starts_at=STARTS_AT,
    step_us=STEP_US,
    tell=lines,
    figures=FIGURES,
)

STORIES: Mapping[str, Any] = {"retrieval": RETRIEVAL}
