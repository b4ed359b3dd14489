"""What each entry action may emit, for each machine: the events that it triggers as it ends.

An entry action is the code of the original that runs when a state is entered. Names of actions and
events are the originals'. Of the storage deals' actions this is all that is known here; those of
retrievals and transfers can be run (`entry_actions`).
"""

from __future__ import annotations

from collections.abc import Mapping

Emissions = Mapping[str, tuple[str, ...]]
"""Entry action → events."""


def _table(prefix: str, rows: str) -> dict[str, tuple[str, ...]]:
    """Read lines `Action: Event Event`; every event gets the prefix."""
    found = {}
    for line in rows.strip().splitlines():
        action, _, events = line.partition(":")
        found[action.strip()] = tuple(prefix + event for event in events.split())
    return found


_CLIENT = _table(
    "ClientEvent",
    """
    AllocateLane: AllocateLaneErrored LaneAllocated
    CancelDeal: DataTransferError CancelComplete
    CheckComplete: CompleteVerified WaitForLastBlocks EarlyTermination
    CheckFunds: PaymentChannelAddingFunds PaymentChannelErrored PaymentChannelReady FundsExpended
    Ongoing: LastPaymentRequested PaymentRequested
    ProcessPaymentRequested: SendFunds
    ProposeDeal: WriteDealProposalErrored DealProposed
    SendFunds: PaymentNotSent CreateVoucherFailed VoucherShortfall WriteDealPaymentErrored \
PaymentSent
    SetupPaymentChannelStart: PaymentChannelSkip PaymentChannelErrored \
PaymentChannelCreateInitiated PaymentChannelReady PaymentChannelAddingFunds
    WaitPaymentChannelReady: PaymentChannelErrored PaymentChannelReady
    """,
)
_CLIENT_PINNED = _CLIENT | _table(
    "ClientEvent",
    """
    SetupPaymentChannelStart: PaymentChannelSkip PaymentChannelErrored \
PaymentChannelCreateInitiated PaymentChannelAddingFunds
    """,
)
_CLIENT_V1_28 = _CLIENT | _table(
    "ClientEvent",
    """
    FailsafeFinalizeBlockstore: BlockstoreFinalized
    FinalizeBlockstore: FinalizeBlockstoreErrored BlockstoreFinalized
    """,
)
_PROVIDER_OF_POP = _table(
    "ProviderEvent",
    """
    CancelDeal: DataTransferError MultiStoreError CancelComplete
    CleanupDeal: DataTransferError CleanupComplete
    """,
)
_TRACKING = _table("ProviderEvent", "TrackTransfer: DataTransferError")
_PROVIDER_PINNED = (
    _PROVIDER_OF_POP
    | _TRACKING
    | _table(
        "ProviderEvent",
        """
        CleanupDeal: DataTransferError MultiStoreError CleanupComplete
        UnpauseDeal: DataTransferError
        UnsealData: UnsealError UnsealComplete
        """,
    )
)
_PROVIDER_V1_28 = _table(
    "ProviderEvent",
    """
    CancelDeal: MultiStoreError DataTransferError CancelComplete
    CleanupDeal: MultiStoreError CleanupComplete
    UnpauseDeal: DataTransferError
    UnsealData: UnsealError UnsealComplete
    UpdateFunding: DataTransferError SaveVoucherFailed PartialPaymentReceived PaymentReceived
    """,
)
_STORAGE_CLIENT = _table(
    "ClientEvent",
    """
    CheckForDealAcceptance: DealRejected ResponseDealDidNotMatch DealAccepted WaitForDealState
    FailDeal: Failed FundsReleased
    InitiateDataTransfer: DataTransferComplete DataTransferFailed
    ProposeDeal: WriteProposalFailed ReadResponseFailed ResponseVerificationFailed \
UnexpectedDealState InitiateDataTransfer
    ReserveClientFunds: ReserveFundsFailed FundsReserved FundingComplete FundingInitiated
    RestartDataTransfer: DataTransferRestartFailed
    ValidateDealPublished: DealPublishFailed DealPublished FundsReleased
    VerifyDealActivated: DealActivationFailed DealActivated
    VerifyDealPreCommitted: DealPrecommitFailed DealActivated DealPrecommitted
    WaitForDealCompletion: DealCompletionFailed DealExpired DealSlashed
    WaitForFunding: ReserveFundsFailed FundingComplete
    """,
)
_STORAGE_CLIENT_PINNED = _STORAGE_CLIENT | _table(
    "ClientEvent",
    """
    ProposeDeal: WriteProposalFailed ReadResponseFailed ResponseVerificationFailed \
StreamCloseError UnexpectedDealState InitiateDataTransfer
    """,
)
_STORAGE_PROVIDER_PINNED = _table(
    "ProviderEvent",
    """
    CleanupDeal: Finalized
    DecideOnProposal: DealRejected SendResponseFailed DataRequested
    FailDeal: Failed FundsReleased
    HandoffDeal: FileStoreErrored DealHandoffFailed PieceStoreErrored DealHandedOff
    PublishDeal: NodeErrored DealPublishInitiated
    RejectDeal: SendResponseFailed RejectionSent
    ReserveProviderFunds: NodeErrored FundsReserved Funded FundingInitiated
    ValidateDealProposal: DealRejected DealDeciding
    VerifyData: DataVerificationFailed VerifiedData
    VerifyDealActivated: DealActivationFailed DealActivated
    VerifyDealPreCommitted: DealPrecommitFailed DealActivated DealPrecommitted
    WaitForDealCompletion: DealCompletionFailed DealExpired DealSlashed
    WaitForFunding: NodeErrored Funded
    WaitForPublish: DealPublishError DealPublished FundsReleased
    """,
)
_STORAGE_PROVIDER = _STORAGE_PROVIDER_PINNED | _table(
    "ProviderEvent", "WaitForTransferRestart: AwaitTransferRestartTimeout"
)
_CHANNEL = _table("", "cleanupConnection: CleanupComplete")

EMISSIONS: Mapping[str, Emissions] = {
    "filecoin.dt_channel": _CHANNEL,
    "filecoin.dt_channel_v1_7_0": _CHANNEL,
    "filecoin.dt_channel_v1_11_5": _CHANNEL,
    "filecoin.gfm_retrieval_client": _CLIENT_V1_28,
    "filecoin.gfm_retrieval_client_pinned": _CLIENT_PINNED,
    "filecoin.gfm_retrieval_provider": _PROVIDER_V1_28,
    "filecoin.gfm_retrieval_provider_pinned": _PROVIDER_PINNED,
    "filecoin.gfm_storage_client": _STORAGE_CLIENT,
    "filecoin.gfm_storage_client_pinned": _STORAGE_CLIENT_PINNED,
    "filecoin.gfm_storage_provider": _STORAGE_PROVIDER,
    "filecoin.gfm_storage_provider_pinned": _STORAGE_PROVIDER_PINNED,
    "pop.deal_client": _CLIENT,
    "pop.deal_provider": _PROVIDER_OF_POP,
    "pop.retrieval_client": _CLIENT,
    "pop.retrieval_client_at_seed_issues": _CLIENT,
    "pop.retrieval_provider": _PROVIDER_OF_POP,
    "pop.retrieval_provider_before_b74d8aa": _PROVIDER_OF_POP | _TRACKING,
}
"""Machine → its entry actions → what each may emit."""
