"""Statuses by number: what the originals' enums call the numbers that messages carry.

A response names the sender's status by its number, and the originals print the name into the deal's
message. Commands may give either.
"""

from __future__ import annotations

_FIRST = [
    "New",
    "Unsealing",
    "Unsealed",
    "WaitForAcceptance",
    "PaymentChannelCreating",
    "PaymentChannelAddingFunds",
    "Accepted",
    "FundsNeededUnseal",
    "Failing",
    "Rejected",
    "FundsNeeded",
    "SendFunds",
    "SendFundsLastPayment",
    "Ongoing",
    "FundsNeededLastPayment",
    "Completed",
    "DealNotFound",
    "Errored",
    "BlocksComplete",
    "Finalizing",
    "Completing",
    "CheckComplete",
    "CheckFunds",
    "InsufficientFunds",
    "PaymentChannelAllocatingLane",
    "Cancelling",
    "Cancelled",
]
_LATER = [
    "RetryLegacy",
    "WaitForAcceptanceLegacy",
    "WaitingForLastBlocks",
    "PaymentChannelAddingInitialFunds",
    "Erroring",
    "Rejecting",
    "DealNotFoundCleanup",
    "FinalizingBlockstore",
]
_OF_POP = ["WaitingForLastBlocks", "PaymentChannelAddingInitialFunds"]

RETRIEVAL = tuple(f"DealStatus{name}" for name in (*_FIRST, *_LATER))
"""go-fil-markets' retrieval, v1.28.3; v1.6 ends at 30. As printed: 29 is not its own name."""
RETRIEVAL_OF_POP = tuple(f"DealStatus{name}" for name in (*_FIRST, *_OF_POP))
"""pop's retrieval: the same up to 26."""
STORAGE = (
    "Unknown",
    "StorageDealProposalNotFound",
    "StorageDealProposalRejected",
    "StorageDealProposalAccepted",
    "Staged",
    "Sealing",
    "Finalizing",
    "Active",
    "Expired",
    "Slashed",
    "Rejecting",
    "Failing",
    "FundsReserved",
    "StorageDealCheckForAcceptance",
    "Validating",
    "AcceptWait",
    "StorageDealStartDataTransfer",
    "Transferring",
    "StorageDealWaitingForData",
    "StorageDealVerifyData",
    "StorageDealReserveProviderFunds",
    "StorageDealReserveClientFunds",
    "StorageDealProviderFunding",
    "StorageDealClientFunding",
    "Publish",
    "Publishing",
    "Error",
    "ProviderTransferAwaitRestart",
    "StorageDealClientTransferRestart",
    "StorageDealAwaitingPreCommit",
    "StorageDealTransferQueued",
)
"""go-fil-markets' storage deals, as printed: some without their prefix."""


def name_of(status: str, names: tuple[str, ...]) -> str:
    """Return the printed name of a status given by name or by number; "" for an unknown number."""
    if not status.isdecimal():
        return status
    number = int(status[:10])
    return names[number] if number < len(names) else ""


def number_of(status: str, names: tuple[str, ...], prefix: str) -> str:
    """Return the number (as text) of a status given by number, by name, or as it is printed."""
    for number, name in enumerate(names):
        if status in (name, prefix + name):
            return str(number)
    return status
