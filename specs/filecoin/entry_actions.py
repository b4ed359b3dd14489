"""Entry actions of deals and transfers, as pure functions: what happened outside in, events out.

When an instance enters a state, the state's entry effect names an action (`{"do": "SendFunds"}`).
Whoever performs it tells `run` how the outside answered (`env`) and gets the events to send, in
order. The outside is real (a node's driver), played (a demonstration) or mocked (a scenario).

`env` holds only what differs from "it worked": an `…_error` is the text of a failure, null or
absent means there was none. Amounts are exact: ints or decimal strings.

| member of `env` | says |
|---|---|
| `open_error`, `channel_id` | how opening the transfer failed, or its channel |
| `channel`, `wait_msg`, `channel_error` | the payment channel, the message it waits for, why not |
| `wait_result`, `wait_error` | the channel that the awaited message made, or why not |
| `lane`, `lane_error` | the lane that was allocated |
| `voucher_shortfall`, `voucher_error`, `send_error` | what came of making and sending a voucher |
| `confirmed`, `redeemed`, `pending`, `queued`, `pending_msg`, `funds_error` | the channel's money |
| `track_error`, `untrack_error`, `delete_error` | a provider's books and stores |
| `close_error`, `resume_error` | closing the transfer, letting it go on |
| `prepare_error`, `unseal_error`, `unseal_ok`, `read_error` | unsealing; the sectors that worked |
| `finalize_error` | closing the client's blockstore |
| `channel_state_error`, `last_voucher`, `queued`, `received`, `finalizing` | the transfer's state |
| `chain_head_error`, `save_error`, `update_error` | saving a payment, and telling the transfer |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fsm.errors import CallerError
from .emissions import EMISSIONS
from .metering import Terms, amount, amount_to_send, data_limit, outstanding_balance


class ActionUnknown(CallerError):
    """The machine has no such entry action."""

    code = "entry-action-unknown"


class ActionUntold(CallerError):
    """Of this entry action only the events are known that it may emit, not when it emits which."""

    code = "entry-action-untold"


@dataclass(frozen=True)
class Emitted:
    """An event that an entry action sends to its own instance."""

    event: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Validation:
    """What a v1.28.3 provider tells its transfer: go on or not, how far, and what the client owes.

    `response` is the voucher result (`status`, perhaps `owed` and `message`), or None.
    """

    accepted: bool
    force_pause: bool = False
    requires_finalization: bool = False
    data_limit: int = 0
    response: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """What an entry action led to: events for its instance, and what the transfer was told."""

    emitted: tuple[Emitted, ...] = ()
    validation: Validation | None = None


@dataclass(frozen=True)
class _Deal:
    """What an action looks at: whose it is, its state and data, and how the outside answered."""

    machine: str
    state: str
    fields: Mapping[str, Any]
    env: Mapping[str, Any]

    @property
    def of_pop(self) -> bool:
        return self.machine.startswith("pop.")

    def amount(self, name: str) -> int:
        """Return a data field as a number."""
        return amount(self.fields, name)

    def failed(self, *names: str) -> str | None:
        """Return the first of these errors that happened."""
        for name in names:
            error = self.env.get(name)
            if error is not None:
                return str(error)
        return None

    def told(self, name: str, other: Any) -> Any:
        """Return what the outside answered, or `other` where it said nothing."""
        value = self.env.get(name)
        return other if value is None else value

    def channel(self) -> str:
        """Return the payment channel of the deal, "" if it has none yet."""
        return str((self.fields.get("PaymentInfo") or {}).get("PayCh", ""))


def run(
    machine: str,
    action: str,
    state: str,
    fields: Mapping[str, Any],
    env: Mapping[str, Any] | None = None,
) -> Outcome:
    """Return what an entry action of `machine` emits in `state` with the data `fields`.

    `fields` are typed or in JSON form. Raises ActionUnknown, ActionUntold for storage deals, and
    IntervalZero where money is counted by intervals that a deal does not have.
    """
    known = EMISSIONS.get(machine)
    if known is None or action not in known:
        there = ", ".join(known or EMISSIONS)
        raise ActionUnknown(f"no entry action {action!r} of {machine}", hint=f"there are {there}")
    perform = _ACTIONS.get((_family(machine), action))
    if perform is None:
        events = ", ".join(known[action])
        raise ActionUntold(f"{machine} does not say when {action} emits which of {events}")
    made = perform(_Deal(machine, state, fields, env or {}))
    return made if isinstance(made, Outcome) else Outcome(tuple(made))


def _family(machine: str) -> str:
    """Return which actions a machine has: the client's, the provider's, the channel's."""
    for family in ("dt_channel", "storage", "client", "provider"):
        if family in machine:
            return family
    return ""


def _client(event: str, **params: Any) -> list[Emitted]:
    return [Emitted(f"ClientEvent{event}", params)]


def _provider(event: str, **params: Any) -> list[Emitted]:
    return [Emitted(f"ProviderEvent{event}", params)]


def _propose_deal(deal: _Deal) -> list[Emitted]:
    error = deal.failed("open_error")
    if error is not None:
        return _client("WriteDealProposalErrored", err=error)
    channel = deal.told("channel_id", f"transfer-of-{deal.fields.get('DealID', '')}")
    return _client("DealProposed", channelID=str(channel))


def _setup_payment_channel(deal: _Deal) -> list[Emitted]:
    if deal.amount("TotalFunds") == 0:
        return _client("PaymentChannelSkip")
    error = deal.failed("chain_head_error", "channel_error")
    if error is not None:
        return _client("PaymentChannelErrored", err=error)
    channel, message = deal.env.get("channel"), deal.env.get("wait_msg")
    if not channel:
        return _client("PaymentChannelCreateInitiated", msgCID=message or "")
    ready = "ClientEventPaymentChannelReady" in EMISSIONS[deal.machine]["SetupPaymentChannelStart"]
    if not message and ready:
        return _client("PaymentChannelReady", payCh=channel)
    return _client("PaymentChannelAddingFunds", msgCID=message or "", payCh=channel)


def _wait_payment_channel(deal: _Deal) -> list[Emitted]:
    error = deal.failed("wait_error", "channel_error")
    if error is not None:
        return _client("PaymentChannelErrored", err=error)
    return _client("PaymentChannelReady", payCh=deal.told("wait_result", deal.channel()))


def _allocate_lane(deal: _Deal) -> list[Emitted]:
    error = deal.failed("lane_error")
    if error is not None:
        return _client("AllocateLaneErrored", err=error)
    return _client("LaneAllocated", lane=deal.told("lane", 0))


def _ongoing(deal: _Deal) -> list[Emitted]:
    """Take up a payment that was requested while the deal could not look at it."""
    if deal.amount("PaymentRequested") <= 0:
        return []
    last = bool(deal.fields.get("LastPaymentRequested"))
    return _client("LastPaymentRequested" if last else "PaymentRequested", paymentOwed=0)


def _process_payment_requested(deal: _Deal) -> list[Emitted]:
    received = deal.amount("TotalReceived")
    if deal.amount("UnsealPrice") > deal.amount("UnsealFundsPaid"):
        return _client("SendFunds")
    if deal.amount("BytesPaidFor") >= received:
        return []
    due = deal.fields.get("AllBlocksReceived") or received >= deal.amount("CurrentInterval")
    return _client("SendFunds") if due else []


def total_due(fields: Mapping[str, Any]) -> int:
    """Return what a client owes in total for what it has received (`metering.amount_to_send`)."""
    return amount_to_send(
        amount(fields, "TotalReceived"),
        amount(fields, "CurrentInterval"),
        amount(fields, "PricePerByte"),
        amount(fields, "UnsealPrice"),
        amount(fields, "UnsealFundsPaid"),
        bool(fields.get("AllBlocksReceived")),
    )


def _send_funds(deal: _Deal) -> list[Emitted]:
    due = total_due(deal.fields)
    if due <= deal.amount("FundsSpent"):
        return _client("PaymentNotSent")
    error = deal.failed("chain_head_error", "voucher_error")
    if error is not None:
        return _client("CreateVoucherFailed", err=error)
    shortfall = int(deal.told("voucher_shortfall", 0))
    if shortfall > 0:
        return _client("VoucherShortfall", shortfall=shortfall)
    error = deal.failed("send_error", "write_error")
    if error is not None:
        return _client("WriteDealPaymentErrored", err=error)
    return _client("PaymentSent", voucherAmt=due)


def _check_funds(deal: _Deal) -> list[Emitted]:
    """Look at the channel's money: pop wants all that is due, go-fil-markets what was asked for."""
    waiting = deal.fields.get("WaitMsgCID")
    if waiting:
        return _client("PaymentChannelAddingFunds", msgCID=waiting, payCh=deal.channel())
    error = deal.failed("funds_error", "channel_error")
    if error is not None:
        return _client("PaymentChannelErrored", err=error)
    wanted = total_due(deal.fields) if deal.of_pop else deal.amount("PaymentRequested")
    shortfall = wanted - (amount(deal.env, "confirmed") - amount(deal.env, "redeemed"))
    if shortfall <= 0:
        return _client("PaymentChannelReady", payCh=deal.channel())
    in_flight = amount(deal.env, "pending") + amount(deal.env, "queued")
    message = deal.env.get("pending_msg")
    if in_flight < shortfall or not message:
        return _client("FundsExpended", shortfall=shortfall - in_flight)
    return _client("PaymentChannelAddingFunds", msgCID=message, payCh=deal.channel())


def _cancel_deal(deal: _Deal) -> list[Emitted]:
    error = deal.failed("close_error")
    if error is not None:
        return _client("DataTransferError", err=error)
    return _client("CancelComplete")


def _check_complete(deal: _Deal) -> list[Emitted]:
    if deal.fields.get("AllBlocksReceived"):
        return _client("CompleteVerified")
    free = deal.amount("PricePerByte") == 0
    return _client("WaitForLastBlocks" if free else "EarlyTermination")


def _finalize_blockstore(deal: _Deal) -> list[Emitted]:
    error = deal.failed("finalize_error")
    if error is not None:
        return _client("FinalizeBlockstoreErrored", err=error)
    return _client("BlockstoreFinalized")


def _failsafe_finalize_blockstore(_: _Deal) -> list[Emitted]:
    """The deal ends as it was to end, whether or not the blockstore can be closed."""
    return _client("BlockstoreFinalized")


def _steps(deal: _Deal, action: str, success: str | None) -> list[Emitted]:
    """Run a provider's steps until one fails; each failure has its own event.

    A machine whose action may not emit that event does not make that step.
    """
    may_emit = EMISSIONS[deal.machine][action]
    for name, event in _PROVIDER_STEPS[action]:
        error = deal.failed(name)
        skipped = name == "untrack_error" and deal.machine == "filecoin.gfm_retrieval_provider"
        if error is not None and f"ProviderEvent{event}" in may_emit and not skipped:
            return _provider(event, err=error)
    return _provider(success) if success else []


_TRANSFER, _STORE = "DataTransferError", "MultiStoreError"
_PROVIDER_STEPS = {
    "CancelDeal": (
        ("untrack_error", _TRANSFER),
        ("delete_error", _STORE),
        ("close_error", _TRANSFER),
    ),
    "CleanupDeal": (("untrack_error", _TRANSFER), ("delete_error", _STORE)),
    "TrackTransfer": (("track_error", _TRANSFER),),
    "UnpauseDeal": (("track_error", _TRANSFER), ("resume_error", _TRANSFER)),
}


def _unseal_data(deal: _Deal) -> list[Emitted]:
    """Sectors that are unsealed already are tried first, then the others: one is enough."""
    error = deal.failed("prepare_error", "unseal_error", "read_error")
    worked = deal.env.get("unseal_ok")
    if error is None and worked is not None and not worked:
        error = "no sector could be unsealed"
    if error is not None:
        return _provider("UnsealError", err=error)
    return _provider("UnsealComplete")


def _update_funding(deal: _Deal) -> Outcome:
    """Count the last voucher, and let the transfer go as far as the money reaches."""
    if deal.fields.get("ChannelID") is None:
        return Outcome()
    error = deal.failed("channel_state_error")
    if error is not None:
        return Outcome(tuple(_provider("DataTransferError", err=error)))
    emitted, validation = _fund(deal)
    error = deal.failed("update_error")
    if error is not None:
        emitted = [*emitted, *_provider("DataTransferError", err=error)]
    return Outcome(tuple(emitted), validation)


def _fund(deal: _Deal) -> tuple[list[Emitted], Validation]:
    received = 0
    voucher = deal.env.get("last_voucher")
    if voucher == "payment":
        error = deal.failed("chain_head_error", "save_error", "voucher_error")
        if error is not None:
            return _provider("SaveVoucherFailed", err=error), _errored(error)
        received = amount(deal.env, "received")
    elif voucher not in ("proposal", None):
        return [], _errored("wrong voucher type")
    terms = Terms.of(deal.fields)
    paid = deal.amount("FundsReceived") + received
    finalizing = bool(deal.env.get("finalizing"))
    owed = outstanding_balance(terms, paid, amount(deal.env, "queued"), finalizing=finalizing)
    last = deal.state == "DealStatusFundsNeededLastPayment"
    unsealing = deal.state in ("DealStatusUnsealing", "DealStatusFundsNeededUnseal")
    emitted: list[Emitted] = []
    response: dict[str, Any] | None = None
    if owed > 0:
        if received > 0:
            emitted = _provider("PartialPaymentReceived", fundsReceived=received)
        if received > 0 or deal.state != "DealStatusFundsNeededUnseal":
            response = {"status": deal.state, "owed": owed}
    else:
        emitted = _provider("PaymentReceived", fundsReceived=received)
        response = {"status": "DealStatusCompleted"} if last else None
    needs_more = owed > 0 or not last
    limit = data_limit(terms, paid)
    return emitted, Validation(True, unsealing, needs_more, limit, response)


def _errored(message: str) -> Validation:
    return Validation(False, response={"status": "DealStatusErrored", "message": message})


def _cleanup_connection(_: _Deal) -> list[Emitted]:
    return [Emitted("CleanupComplete")]


_ACTIONS: Mapping[tuple[str, str], Callable[[_Deal], list[Emitted] | Outcome]] = {
    ("client", "AllocateLane"): _allocate_lane,
    ("client", "CancelDeal"): _cancel_deal,
    ("client", "CheckComplete"): _check_complete,
    ("client", "CheckFunds"): _check_funds,
    ("client", "FailsafeFinalizeBlockstore"): _failsafe_finalize_blockstore,
    ("client", "FinalizeBlockstore"): _finalize_blockstore,
    ("client", "Ongoing"): _ongoing,
    ("client", "ProcessPaymentRequested"): _process_payment_requested,
    ("client", "ProposeDeal"): _propose_deal,
    ("client", "SendFunds"): _send_funds,
    ("client", "SetupPaymentChannelStart"): _setup_payment_channel,
    ("client", "WaitPaymentChannelReady"): _wait_payment_channel,
    ("provider", "CancelDeal"): lambda deal: _steps(deal, "CancelDeal", "CancelComplete"),
    ("provider", "CleanupDeal"): lambda deal: _steps(deal, "CleanupDeal", "CleanupComplete"),
    ("provider", "TrackTransfer"): lambda deal: _steps(deal, "TrackTransfer", None),
    ("provider", "UnpauseDeal"): lambda deal: _steps(deal, "UnpauseDeal", None),
    ("provider", "UnsealData"): _unseal_data,
    ("provider", "UpdateFunding"): _update_funding,
    ("dt_channel", "cleanupConnection"): _cleanup_connection,
}
