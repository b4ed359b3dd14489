"""Which tables may have written a log's line: where each ran, and what its program does with it.

Data with its reasons; `decode` applies it. Times are those of the commits that changed what ran.
Where only the day is known, both versions are possible on that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...fsm.moments import parse_time

POP = "pop"
UPSTREAM = "upstream"
"""Programs: myelnet/pop, and those of the Filecoin project (lotus, boost)."""


@dataclass(frozen=True)
class Rule:
    """Where the table of an exact machine ran and what its program does with it.

    `since` and `until` bound the time (microseconds; None: unbounded), as far as it is known.
    `named`: the program prints the states of this table by name. `raised_in`: the events that only
    the entry of these states raises. `never`: the events that nothing sends, and why. `rare`: why
    the program hardly runs this machine.
    """

    machine: str
    programs: tuple[str, ...]
    since: int | None = None
    until: int | None = None
    named: bool = False
    raised_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    never: Mapping[str, str] = field(default_factory=dict)
    rare: str = ""


_TRACKED_EARLIER = parse_time("2021-06-11T21:24:00Z")
"""b74d8aa: the provider tracks a transfer from its validation on."""
_READY_FROM_ACCEPTED = (parse_time("2021-07-09T00:00:00Z"), parse_time("2021-07-10T00:00:00Z"))
"""10fd516, on that day: the client takes PaymentChannelReady in Accepted."""
_NO_STORAGE = parse_time("2021-07-14T00:00:00Z")
"""2021-07-13: pop stops running a storage client."""
_AFTER_PINNED = parse_time("2021-08-09T00:00:00Z")
"""Until then pop required go-fil-markets v1.6.0-rc1; v1.28.3 came later."""
_AFTER_POP = parse_time("2022-01-29T00:00:00Z")
"""pop's last version is of the day before; it had gone from v1.7.0 of data transfer to v1.11.5."""
_COMPLETE_EARLIER = (parse_time("2021-08-25T00:00:00Z"), parse_time("2021-08-26T00:00:00Z"))
"""511a967, on that day: the client takes Complete before the deal goes on."""

_START = ("DealStatusAccepted",)
_WAIT = (
    "DealStatusPaymentChannelCreating",
    "DealStatusPaymentChannelAddingFunds",
    "DealStatusPaymentChannelAddingInitialFunds",
)
_SEND = ("DealStatusSendFunds", "DealStatusSendFundsLastPayment")
_CHECK = ("DealStatusCheckFunds",)
_POP_CLIENT_RAISES: Mapping[str, tuple[str, ...]] = {
    "ClientEventWriteDealProposalErrored": ("DealStatusNew",),
    "ClientEventDealProposed": ("DealStatusNew",),
    "ClientEventPaymentChannelSkip": _START,
    "ClientEventPaymentChannelCreateInitiated": _START,
    "ClientEventPaymentChannelReady": (*_START, *_WAIT, *_CHECK),
    "ClientEventPaymentChannelAddingFunds": (*_START, *_CHECK),
    "ClientEventPaymentChannelErrored": (*_START, *_WAIT, *_CHECK),
    "ClientEventLaneAllocated": ("DealStatusPaymentChannelAllocatingLane",),
    "ClientEventAllocateLaneErrored": ("DealStatusPaymentChannelAllocatingLane",),
    "ClientEventSendFunds": ("DealStatusFundsNeeded", "DealStatusFundsNeededLastPayment"),
    "ClientEventPaymentNotSent": _SEND,
    "ClientEventCreateVoucherFailed": _SEND,
    "ClientEventVoucherShortfall": _SEND,
    "ClientEventWriteDealPaymentErrored": _SEND,
    "ClientEventPaymentSent": _SEND,
    "ClientEventFundsExpended": _CHECK,
    "ClientEventCompleteVerified": ("DealStatusCheckComplete",),
    "ClientEventWaitForLastBlocks": ("DealStatusCheckComplete",),
    "ClientEventEarlyTermination": ("DealStatusCheckComplete",),
    "ClientEventCancelComplete": ("DealStatusFailing", "DealStatusCancelling"),
}
_POP_PROVIDER_RAISES: Mapping[str, tuple[str, ...]] = {
    "ProviderEventCancelComplete": ("DealStatusFailing", "DealStatusCancelling"),
    "ProviderEventCleanupComplete": ("DealStatusCompleting",),
}
_STORAGE_CLIENT_RAISES: Mapping[str, tuple[str, ...]] = {
    "ClientEventFundsReleased": ("StorageDealFailing", "StorageDealProposalAccepted"),
    "ClientEventDealCompletionFailed": ("StorageDealActive",),
}
_POP_CLIENT_NEVER = {
    "ClientEventDealNotFound": "pop's provider always finds a store, so it never answers this",
    "ClientEventUnknownResponseReceived": (
        "pop sends it without its argument, so it fails before it is queued"
    ),
}
_RARE_STORAGE = "pop runs a storage client only for content that it stores on Filecoin"


JULY = "pop.retrieval_client_at_seed_issues"
JUNE = "pop.retrieval_client_before_10fd516"
LACKING: Mapping[str, tuple[str, tuple[str, str]]] = {
    JUNE: (JULY, ("DealStatusAccepted", "ClientEventPaymentChannelReady")),
}
"""Tables that are another's but for one row: whose, and the state and the event of that row."""
_POP = (POP,)
_UPSTREAM = (UPSTREAM,)
_BOTH = (POP, UPSTREAM)

RULES = (
    Rule(
        "pop.retrieval_provider",
        _POP,
        since=_TRACKED_EARLIER,
        raised_in=_POP_PROVIDER_RAISES,
    ),
    Rule(
        "pop.retrieval_provider_before_b74d8aa",
        _POP,
        until=_TRACKED_EARLIER,
        raised_in=_POP_PROVIDER_RAISES,
    ),
    Rule(
        "pop.retrieval_client",
        _POP,
        since=_COMPLETE_EARLIER[0],
        raised_in=_POP_CLIENT_RAISES,
        never=_POP_CLIENT_NEVER,
    ),
    Rule(
        JULY,
        _POP,
        since=_READY_FROM_ACCEPTED[0],
        until=_COMPLETE_EARLIER[1],
        raised_in=_POP_CLIENT_RAISES,
        never=_POP_CLIENT_NEVER,
    ),
    Rule(
        JUNE,
        _POP,
        until=_READY_FROM_ACCEPTED[1],
        raised_in=_POP_CLIENT_RAISES,
        never=_POP_CLIENT_NEVER,
    ),
    Rule("filecoin.dt_channel_v1_7_0", _BOTH, until=_AFTER_POP),
    Rule("filecoin.dt_channel_v1_11_5", _BOTH, since=_NO_STORAGE),
    Rule("filecoin.dt_channel", _UPSTREAM, since=_AFTER_POP),
    Rule("filecoin.gfm_retrieval_provider", _UPSTREAM, since=_AFTER_PINNED, named=True),
    Rule("filecoin.gfm_retrieval_provider_pinned", _UPSTREAM, named=True),
    Rule("filecoin.gfm_retrieval_client", _UPSTREAM, since=_AFTER_PINNED, named=True),
    Rule("filecoin.gfm_retrieval_client_pinned", _UPSTREAM, named=True),
    Rule("filecoin.gfm_storage_provider", _UPSTREAM, since=_AFTER_PINNED),
    Rule("filecoin.gfm_storage_provider_pinned", _UPSTREAM),
    Rule(
        "filecoin.gfm_storage_client",
        _UPSTREAM,
        since=_AFTER_PINNED,
        raised_in=_STORAGE_CLIENT_RAISES,
    ),
    Rule(
        "filecoin.gfm_storage_client_pinned",
        _UPSTREAM,
        raised_in=_STORAGE_CLIENT_RAISES,
    ),
    Rule(
        "filecoin.gfm_storage_client_pinned",
        _POP,
        until=_NO_STORAGE,
        raised_in=_STORAGE_CLIENT_RAISES,
        rare=_RARE_STORAGE,
    ),
)
"""Every table with where it ran, the likeliest first."""
