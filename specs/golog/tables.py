"""The exact tables, as a log shows them. Written by `python -m tests.tables.golog`.

Each is read off the machine of that name, so no number is maintained twice (a test compares). How
to read one is said in `table.read`.
"""

from __future__ import annotations

from .table import read

TABLES = (
    read(
        "pop.retrieval_client",
        "0:DealStatusNew 1:DealStatusUnsealing- 2:DealStatusUnsealed- "
        "3:DealStatusWaitForAcceptance 4:DealStatusPaymentChannelCreating "
        "5:DealStatusPaymentChannelAddingFunds 6:DealStatusAccepted "
        "7:DealStatusFundsNeededUnseal- 8:DealStatusFailing 9:DealStatusRejected! "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds 12:DealStatusSendFundsLastPayment "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound! 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting- 21:DealStatusCheckComplete "
        "22:DealStatusCheckFunds 23:DealStatusInsufficientFunds "
        "24:DealStatusPaymentChannelAllocatingLane 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusClientWaitingForLastBlocks "
        "28:DealStatusPaymentChannelAddingInitialFunds",
        "0:ClientEventOpen 1:ClientEventWriteDealProposalErrored 2:ClientEventDealProposed "
        "3:ClientEventDealRejected 4:ClientEventDealNotFound 5:ClientEventDealAccepted "
        "6:ClientEventProviderCancelled 7:ClientEventUnknownResponseReceived "
        "8:ClientEventPaymentChannelErrored 9:ClientEventAllocateLaneErrored "
        "10:ClientEventPaymentChannelCreateInitiated 11:ClientEventPaymentChannelReady "
        "12:ClientEventPaymentChannelSkip 13:ClientEventPaymentChannelAddingFunds "
        "14:ClientEventPaymentChannelAddFundsErrored- 15:ClientEventLastPaymentRequested "
        "16:ClientEventAllBlocksReceived 17:ClientEventPaymentRequested "
        "18:ClientEventPaymentNotSent 19:ClientEventUnsealPaymentRequested "
        "20:ClientEventBlocksReceived 21:ClientEventSendFunds 22:ClientEventFundsExpended "
        "23:ClientEventBadPaymentRequested 24:ClientEventCreateVoucherFailed "
        "25:ClientEventWriteDealPaymentErrored 26:ClientEventPaymentSent 27:ClientEventComplete "
        "28:ClientEventDataTransferError 29:ClientEventCancelComplete "
        "30:ClientEventEarlyTermination 31:ClientEventCompleteVerified "
        "32:ClientEventLaneAllocated 33:ClientEventVoucherShortfall 34:ClientEventRecheckFunds "
        "35:ClientEventCancel 36:ClientEventWaitForLastBlocks 37:ClientEventProviderErrored",
        "0:0= 1:*>17 2:0>3 3:3>9 4:3>16 5:3>6 5:27= 7:*>8 37:*>17 12:6>13 8:6,4,5>8 10:6>4 "
        "13:6>28 13:22>5 11:4,28>24 11:6>24 11:5,22>13 9:24>8 32:24>13 15:13,14,10>14 15:11>13 "
        "15:21= 15:18>12 15:3,6,4,24,28. 17:13,18,14,10>10 17:11>13 17:21= 17:3,6,4,24,28. 19:3>6 "
        "16:13,18>18 16:3,6,4,24,28. 16:11,12>13 16:10= 16:14>12 16:27,21>15 20:13,10,14,21,27= "
        "20:11,12>13 20:3,6,4,24,28. 21:11,12>13 21:10>11 21:14>12 22:22>23 23:11,12>8 24:11,12>8 "
        "33:11,12>22 25:*>17 18:13. 18:11>13 18:12>19 26:13. 26:18>21 26:21= 26:10,14,11>13 "
        "26:12>19 34:23>22 27:11,12,10,14>21 27:18,13>21 27:3,6>21 27:19>15 31:21>15 30:21>17 "
        "36:21>27 28:*>17 29:8>17 29:25>26 6:8,25. 6:*>25 35:*>25",
    ),
    read(
        "pop.retrieval_client_at_seed_issues",
        "0:DealStatusNew 1:DealStatusUnsealing- 2:DealStatusUnsealed- "
        "3:DealStatusWaitForAcceptance 4:DealStatusPaymentChannelCreating "
        "5:DealStatusPaymentChannelAddingFunds 6:DealStatusAccepted "
        "7:DealStatusFundsNeededUnseal- 8:DealStatusFailing 9:DealStatusRejected! "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds 12:DealStatusSendFundsLastPayment "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound! 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting- 21:DealStatusCheckComplete "
        "22:DealStatusCheckFunds 23:DealStatusInsufficientFunds "
        "24:DealStatusPaymentChannelAllocatingLane 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusClientWaitingForLastBlocks "
        "28:DealStatusPaymentChannelAddingInitialFunds",
        "0:ClientEventOpen 1:ClientEventWriteDealProposalErrored 2:ClientEventDealProposed "
        "3:ClientEventDealRejected 4:ClientEventDealNotFound 5:ClientEventDealAccepted "
        "6:ClientEventProviderCancelled 7:ClientEventUnknownResponseReceived "
        "8:ClientEventPaymentChannelErrored 9:ClientEventAllocateLaneErrored "
        "10:ClientEventPaymentChannelCreateInitiated 11:ClientEventPaymentChannelReady "
        "12:ClientEventPaymentChannelSkip 13:ClientEventPaymentChannelAddingFunds "
        "14:ClientEventPaymentChannelAddFundsErrored- 15:ClientEventLastPaymentRequested "
        "16:ClientEventAllBlocksReceived 17:ClientEventPaymentRequested "
        "18:ClientEventPaymentNotSent 19:ClientEventUnsealPaymentRequested "
        "20:ClientEventBlocksReceived 21:ClientEventSendFunds 22:ClientEventFundsExpended "
        "23:ClientEventBadPaymentRequested 24:ClientEventCreateVoucherFailed "
        "25:ClientEventWriteDealPaymentErrored 26:ClientEventPaymentSent 27:ClientEventComplete "
        "28:ClientEventDataTransferError 29:ClientEventCancelComplete "
        "30:ClientEventEarlyTermination 31:ClientEventCompleteVerified "
        "32:ClientEventLaneAllocated 33:ClientEventVoucherShortfall 34:ClientEventRecheckFunds "
        "35:ClientEventCancel 36:ClientEventWaitForLastBlocks 37:ClientEventProviderErrored",
        "0:0= 1:*>17 2:0>3 3:3>9 4:3>16 5:3>6 7:*>8 37:*>17 12:6>13 8:6,4,5>8 10:6>4 13:6>28 "
        "13:22>5 11:4,28>24 11:6>24 11:5,22>13 9:24>8 32:24>13 15:13,14,10>14 15:11>13 15:21= "
        "15:18>12 15:3,6,4,24,28. 17:13,18,14,10>10 17:11>13 17:21= 17:3,6,4,24,28. 19:3>6 "
        "16:13,18>18 16:3,6,4,24,28. 16:11,12>13 16:10= 16:14>12 16:27,21>15 20:13,10,14,21,27= "
        "20:11,12>13 20:3,6,4,24,28. 21:11,12>13 21:10>11 21:14>12 22:22>23 23:11,12>8 24:11,12>8 "
        "33:11,12>22 25:*>17 18:13. 18:11>13 18:12>19 26:13. 26:18>21 26:21= 26:10,14,11>13 "
        "26:12>19 34:23>22 27:11,12,10,14>21 27:18,13>21 27:19>15 31:21>15 30:21>17 36:21>27 "
        "28:*>17 29:8>17 29:25>26 6:8,25. 6:*>25 35:*>25",
    ),
    read(
        "pop.retrieval_provider",
        "0:DealStatusNew 1:DealStatusUnsealing- 2:DealStatusUnsealed- "
        "3:DealStatusWaitForAcceptance- 4:DealStatusPaymentChannelCreating- "
        "5:DealStatusPaymentChannelAddingFunds- 6:DealStatusAccepted- "
        "7:DealStatusFundsNeededUnseal- 8:DealStatusFailing 9:DealStatusRejected- "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds- 12:DealStatusSendFundsLastPayment- "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound- 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting 21:DealStatusCheckComplete- "
        "22:DealStatusCheckFunds- 23:DealStatusInsufficientFunds- "
        "24:DealStatusPaymentChannelAllocatingLane- 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusClientWaitingForLastBlocks- "
        "28:DealStatusPaymentChannelAddingInitialFunds-",
        "0:ProviderEventOpen 1:ProviderEventDealNotFound- 2:ProviderEventDealRejected- "
        "3:ProviderEventDealAccepted 4:ProviderEventBlockSent 5:ProviderEventBlocksCompleted "
        "6:ProviderEventPaymentRequested 7:ProviderEventSaveVoucherFailed "
        "8:ProviderEventPartialPaymentReceived 9:ProviderEventPaymentReceived "
        "10:ProviderEventComplete 11:ProviderEventUnsealError- 12:ProviderEventUnsealComplete- "
        "13:ProviderEventDataTransferError 14:ProviderEventCancelComplete "
        "15:ProviderEventCleanupComplete 16:ProviderEventMultiStoreError "
        "17:ProviderEventClientCancelled",
        "0:0= 3:0>13 4:13= 5:13>18 6:13>10 6:10. 6:18>14 7:10,14>8 8:10,14= 9:10>13 9:14>19 "
        "9:18,13,19. 10:18,19>20 15:20>15 14:25>26 14:8>17 13:*>17 16:*>17 17:8,25. 17:*>25",
    ),
    read(
        "pop.retrieval_provider_before_b74d8aa",
        "0:DealStatusNew 1:DealStatusUnsealing- 2:DealStatusUnsealed- "
        "3:DealStatusWaitForAcceptance- 4:DealStatusPaymentChannelCreating- "
        "5:DealStatusPaymentChannelAddingFunds- 6:DealStatusAccepted- "
        "7:DealStatusFundsNeededUnseal- 8:DealStatusFailing 9:DealStatusRejected- "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds- 12:DealStatusSendFundsLastPayment- "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound- 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting 21:DealStatusCheckComplete- "
        "22:DealStatusCheckFunds- 23:DealStatusInsufficientFunds- "
        "24:DealStatusPaymentChannelAllocatingLane- 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusClientWaitingForLastBlocks- "
        "28:DealStatusPaymentChannelAddingInitialFunds-",
        "0:ProviderEventOpen 1:ProviderEventDealNotFound- 2:ProviderEventDealRejected- "
        "3:ProviderEventDealAccepted 4:ProviderEventBlockSent 5:ProviderEventBlocksCompleted "
        "6:ProviderEventPaymentRequested 7:ProviderEventSaveVoucherFailed "
        "8:ProviderEventPartialPaymentReceived 9:ProviderEventPaymentReceived "
        "10:ProviderEventComplete 11:ProviderEventUnsealError- 12:ProviderEventUnsealComplete- "
        "13:ProviderEventDataTransferError 14:ProviderEventCancelComplete "
        "15:ProviderEventCleanupComplete 16:ProviderEventMultiStoreError "
        "17:ProviderEventClientCancelled",
        "0:0= 3:0>13 4:13= 5:13>18 6:13>10 6:10. 6:18>14 7:10,14>8 8:10,14= 9:10>13 9:14>19 "
        "9:18,13,19. 10:18,19>20 15:20>15 14:25>26 14:8>17 13:*>17 16:*>17 17:8,25. 17:*>25",
    ),
    read(
        "filecoin.gfm_retrieval_client_pinned",
        "0:DealStatusNew 1:DealStatusUnsealing- 2:DealStatusUnsealed- "
        "3:DealStatusWaitForAcceptance 4:DealStatusPaymentChannelCreating "
        "5:DealStatusPaymentChannelAddingFunds 6:DealStatusAccepted "
        "7:DealStatusFundsNeededUnseal- 8:DealStatusFailing 9:DealStatusRejected! "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds 12:DealStatusSendFundsLastPayment "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound! 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting- 21:DealStatusCheckComplete "
        "22:DealStatusCheckFunds 23:DealStatusInsufficientFunds "
        "24:DealStatusPaymentChannelAllocatingLane 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusRetryLegacy 28:DealStatusWaitForAcceptanceLegacy "
        "29:DealStatusClientWaitingForLastBlocks 30:DealStatusPaymentChannelAddingInitialFunds",
        "0:ClientEventOpen 1:ClientEventWriteDealProposalErrored 2:ClientEventDealProposed "
        "3:ClientEventDealRejected 4:ClientEventDealNotFound 5:ClientEventDealAccepted "
        "6:ClientEventProviderCancelled 7:ClientEventUnknownResponseReceived "
        "8:ClientEventPaymentChannelErrored 9:ClientEventAllocateLaneErrored "
        "10:ClientEventPaymentChannelCreateInitiated 11:ClientEventPaymentChannelReady "
        "12:ClientEventPaymentChannelAddingFunds 13:ClientEventPaymentChannelAddFundsErrored- "
        "14:ClientEventLastPaymentRequested 15:ClientEventAllBlocksReceived "
        "16:ClientEventPaymentRequested 17:ClientEventUnsealPaymentRequested "
        "18:ClientEventBlocksReceived 19:ClientEventSendFunds 20:ClientEventFundsExpended "
        "21:ClientEventBadPaymentRequested 22:ClientEventCreateVoucherFailed "
        "23:ClientEventWriteDealPaymentErrored 24:ClientEventPaymentSent 25:ClientEventComplete "
        "26:ClientEventDataTransferError 27:ClientEventCancelComplete "
        "28:ClientEventEarlyTermination 29:ClientEventCompleteVerified "
        "30:ClientEventLaneAllocated 31:ClientEventVoucherShortfall 32:ClientEventRecheckFunds "
        "33:ClientEventCancel 34:ClientEventWaitForLastBlocks 35:ClientEventPaymentChannelSkip "
        "36:ClientEventPaymentNotSent",
        "0:0= 1:*>17 2:0>3 2:27>28 2:25. 3:3>27 3:28>9 4:3,28>16 5:3,28>6 7:*>8 35:6>13 8:6,4,5>8 "
        "10:6>4 12:6>30 12:22>5 11:4,30>24 11:5,22>13 9:24>8 30:24>13 14:13,14,10>14 14:11>13 "
        "14:21= 14:18>12 14:3,6,4,24,30,28. 16:13,18,14,10>10 16:11>13 16:21= 16:3,6,4,24,30,28. "
        "17:3>6 17:28>6 15:13,18>18 15:3,6,4,24,30,28. 15:11,12>13 15:10= 15:14>12 15:29,21>15 "
        "18:13,10,14,21,29= 18:11,12>13 18:3,6,4,24,30,28. 19:11,12>13 19:10>11 19:14>12 20:22>23 "
        "21:11,12>8 22:11,12>8 31:11,12>22 23:*>17 36:13. 36:11>13 36:12>19 24:13. 24:18>21 "
        "24:21= 24:10,14,11>13 24:12>19 32:23>22 25:11,12,10,14>21 25:18,13>21 25:19>15 29:21>15 "
        "28:21>17 34:21>29 26:*>17 27:8>17 27:25>26 6:8,25. 6:*>25 33:*>25",
    ),
    read(
        "filecoin.gfm_retrieval_client",
        "0:DealStatusNew 1:DealStatusUnsealing- 2:DealStatusUnsealed- "
        "3:DealStatusWaitForAcceptance 4:DealStatusPaymentChannelCreating "
        "5:DealStatusPaymentChannelAddingFunds 6:DealStatusAccepted "
        "7:DealStatusFundsNeededUnseal- 8:DealStatusFailing 9:DealStatusRejected! "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds 12:DealStatusSendFundsLastPayment "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound! 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting- 21:DealStatusCheckComplete "
        "22:DealStatusCheckFunds 23:DealStatusInsufficientFunds "
        "24:DealStatusPaymentChannelAllocatingLane 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusRetryLegacy 28:DealStatusWaitForAcceptanceLegacy "
        "29:DealStatusClientWaitingForLastBlocks 30:DealStatusPaymentChannelAddingInitialFunds "
        "31:DealStatusErroring 32:DealStatusRejecting 33:DealStatusDealNotFoundCleanup "
        "34:DealStatusFinalizingBlockstore",
        "0:ClientEventOpen 1:ClientEventWriteDealProposalErrored 2:ClientEventDealProposed "
        "3:ClientEventDealRejected 4:ClientEventDealNotFound 5:ClientEventDealAccepted "
        "6:ClientEventProviderCancelled 7:ClientEventUnknownResponseReceived "
        "8:ClientEventPaymentChannelErrored 9:ClientEventAllocateLaneErrored "
        "10:ClientEventPaymentChannelCreateInitiated 11:ClientEventPaymentChannelReady "
        "12:ClientEventPaymentChannelAddingFunds 13:ClientEventPaymentChannelAddFundsErrored- "
        "14:ClientEventLastPaymentRequested 15:ClientEventAllBlocksReceived "
        "16:ClientEventPaymentRequested 17:ClientEventUnsealPaymentRequested "
        "18:ClientEventBlocksReceived 19:ClientEventSendFunds 20:ClientEventFundsExpended "
        "21:ClientEventBadPaymentRequested 22:ClientEventCreateVoucherFailed "
        "23:ClientEventWriteDealPaymentErrored 24:ClientEventPaymentSent 25:ClientEventComplete "
        "26:ClientEventDataTransferError 27:ClientEventCancelComplete "
        "28:ClientEventEarlyTermination 29:ClientEventCompleteVerified "
        "30:ClientEventLaneAllocated 31:ClientEventVoucherShortfall 32:ClientEventRecheckFunds "
        "33:ClientEventCancel 34:ClientEventWaitForLastBlocks 35:ClientEventPaymentChannelSkip "
        "36:ClientEventPaymentNotSent 37:ClientEventBlockstoreFinalized "
        "38:ClientEventFinalizeBlockstoreErrored",
        "0:0= 1:*>31 2:0>3 2:27>28 2:25. 3:3>27 3:28>32 4:3,28>33 5:3,28>6 7:*>8 35:6>13 "
        "8:6,4,5>8 10:6>4 12:6>30 12:22>5 11:4,30>24 11:6>24 11:5,22>13 9:24>8 30:24>13 "
        "14:13,14,10>14 14:11>13 14:21= 14:18>12 14:3,6,4,24,30,28. 16:13,18,14,10>10 16:11>13 "
        "16:21= 16:3,6,4,24,30,28. 17:3>6 17:28>6 15:13,18>18 15:3,6,4,24,30,28. 15:11,12>13 "
        "15:10= 15:14>12 15:29,21>34 18:13,10,14,21,29= 18:11,12>13 18:3,6,4,24,30,28. "
        "19:11,12>13 19:10>11 19:14>12 20:22>23 21:11,12>8 22:11,12>8 31:11,12>22 23:*>31 36:13. "
        "36:11>13 36:12>19 24:13. 24:18>21 24:21= 24:10,14,11>13 24:12>19 32:23>22 "
        "25:11,12,10,14>21 25:18,13>21 25:19>34 29:21>34 28:21>31 34:21>29 34:34. 37:34>15 "
        "37:31>17 37:32>9 37:33>16 38:34>17 26:*>31 27:8>17 27:25>26 6:8,25. 6:*>25 33:*>25",
    ),
    read(
        "filecoin.gfm_retrieval_provider_pinned",
        "0:DealStatusNew 1:DealStatusUnsealing 2:DealStatusUnsealed "
        "3:DealStatusWaitForAcceptance- 4:DealStatusPaymentChannelCreating- "
        "5:DealStatusPaymentChannelAddingFunds- 6:DealStatusAccepted- "
        "7:DealStatusFundsNeededUnseal 8:DealStatusFailing 9:DealStatusRejected- "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds- 12:DealStatusSendFundsLastPayment- "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound- 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting 21:DealStatusCheckComplete- "
        "22:DealStatusCheckFunds- 23:DealStatusInsufficientFunds- "
        "24:DealStatusPaymentChannelAllocatingLane- 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusRetryLegacy- 28:DealStatusWaitForAcceptanceLegacy- "
        "29:DealStatusClientWaitingForLastBlocks- 30:DealStatusPaymentChannelAddingInitialFunds-",
        "0:ProviderEventOpen 1:ProviderEventDealNotFound- 2:ProviderEventDealRejected- "
        "3:ProviderEventDealAccepted 4:ProviderEventBlockSent 5:ProviderEventBlocksCompleted "
        "6:ProviderEventPaymentRequested 7:ProviderEventSaveVoucherFailed "
        "8:ProviderEventPartialPaymentReceived 9:ProviderEventPaymentReceived "
        "10:ProviderEventComplete 11:ProviderEventUnsealError 12:ProviderEventUnsealComplete "
        "13:ProviderEventDataTransferError 14:ProviderEventCancelComplete "
        "15:ProviderEventCleanupComplete 16:ProviderEventMultiStoreError "
        "17:ProviderEventClientCancelled",
        "0:0= 3:0>1 3:7= 11:1>8 12:1>2 4:13= 4:2>13 5:13>18 6:13>10 6:2>10 6:10. 6:18>14 6:0>7 "
        "7:10,14>8 8:10,14= 9:10>13 9:14>19 9:7>1 9:18,13,19. 10:18,19>20 15:20>15 14:25>26 "
        "14:8>17 13:*>17 16:*>17 17:8,25. 17:*>25",
    ),
    read(
        "filecoin.gfm_retrieval_provider",
        "0:DealStatusNew 1:DealStatusUnsealing 2:DealStatusUnsealed "
        "3:DealStatusWaitForAcceptance- 4:DealStatusPaymentChannelCreating- "
        "5:DealStatusPaymentChannelAddingFunds- 6:DealStatusAccepted- "
        "7:DealStatusFundsNeededUnseal 8:DealStatusFailing 9:DealStatusRejected- "
        "10:DealStatusFundsNeeded 11:DealStatusSendFunds- 12:DealStatusSendFundsLastPayment- "
        "13:DealStatusOngoing 14:DealStatusFundsNeededLastPayment 15:DealStatusCompleted! "
        "16:DealStatusDealNotFound- 17:DealStatusErrored! 18:DealStatusBlocksComplete "
        "19:DealStatusFinalizing 20:DealStatusCompleting 21:DealStatusCheckComplete- "
        "22:DealStatusCheckFunds- 23:DealStatusInsufficientFunds- "
        "24:DealStatusPaymentChannelAllocatingLane- 25:DealStatusCancelling "
        "26:DealStatusCancelled! 27:DealStatusRetryLegacy- 28:DealStatusWaitForAcceptanceLegacy- "
        "29:DealStatusClientWaitingForLastBlocks- 30:DealStatusPaymentChannelAddingInitialFunds- "
        "31:DealStatusErroring- 32:DealStatusRejecting- 33:DealStatusDealNotFoundCleanup- "
        "34:DealStatusFinalizingBlockstore-",
        "0:ProviderEventOpen 1:ProviderEventDealNotFound- 2:ProviderEventDealRejected- "
        "3:ProviderEventDealAccepted 4:ProviderEventBlockSent 5:ProviderEventBlocksCompleted- "
        "6:ProviderEventPaymentRequested 7:ProviderEventSaveVoucherFailed "
        "8:ProviderEventPartialPaymentReceived 9:ProviderEventPaymentReceived "
        "10:ProviderEventComplete 11:ProviderEventUnsealError 12:ProviderEventUnsealComplete "
        "13:ProviderEventDataTransferError 14:ProviderEventCancelComplete "
        "15:ProviderEventCleanupComplete 16:ProviderEventMultiStoreError "
        "17:ProviderEventClientCancelled 18:ProviderEventLastPaymentRequested "
        "19:ProviderEventProcessPayment",
        "0:0= 3:0>1 3:7= 11:1>8 12:1>2 4:13= 4:2>13 6:13>10 6:2>10 6:10. 6:0>7 18:13,2>14 19:*= "
        "7:10,14>8 7:7>8 8:10,14= 8:7= 9:10>13 9:14>19 9:7>1 9:18,13,19. 10:*>20 15:20>15 "
        "14:25>26 14:8>17 13:*>17 16:*>17 17:8,25. 17:*>25",
    ),
    read(
        "filecoin.gfm_storage_client_pinned",
        "0:StorageDealUnknown 1:StorageDealProposalNotFound- 2:StorageDealProposalRejected- "
        "3:StorageDealProposalAccepted 4:StorageDealStaged- 5:StorageDealSealing "
        "6:StorageDealFinalizing- 7:StorageDealActive 8:StorageDealExpired! 9:StorageDealSlashed! "
        "10:StorageDealRejecting- 11:StorageDealFailing 12:StorageDealFundsReserved "
        "13:StorageDealCheckForAcceptance 14:StorageDealValidating- 15:StorageDealAcceptWait- "
        "16:StorageDealStartDataTransfer 17:StorageDealTransferring 18:StorageDealWaitingForData- "
        "19:StorageDealVerifyData- 20:StorageDealReserveProviderFunds- "
        "21:StorageDealReserveClientFunds 22:StorageDealProviderFunding- "
        "23:StorageDealClientFunding 24:StorageDealPublish- 25:StorageDealPublishing- "
        "26:StorageDealError! 27:StorageDealProviderTransferAwaitRestart- "
        "28:StorageDealClientTransferRestart 29:StorageDealAwaitingPreCommit "
        "30:StorageDealTransferQueued",
        "0:ClientEventOpen 1:ClientEventReserveFundsFailed 2:ClientEventFundingInitiated "
        "3:ClientEventFundsReserved 4:ClientEventFundsReleased 5:ClientEventFundingComplete "
        "6:ClientEventWriteProposalFailed 7:ClientEventInitiateDataTransfer "
        "8:ClientEventDataTransferInitiated 9:ClientEventDataTransferRestarted "
        "10:ClientEventDataTransferComplete 11:ClientEventWaitForDealState "
        "12:ClientEventDataTransferFailed 13:ClientEventDataTransferRestartFailed "
        "14:ClientEventReadResponseFailed 15:ClientEventResponseVerificationFailed "
        "16:ClientEventResponseDealDidNotMatch 17:ClientEventUnexpectedDealState "
        "18:ClientEventStreamCloseError 19:ClientEventDealRejected 20:ClientEventDealAccepted "
        "21:ClientEventDealPublishFailed 22:ClientEventDealPublished "
        "23:ClientEventDealPrecommitFailed 24:ClientEventDealPrecommitted "
        "25:ClientEventDealActivationFailed 26:ClientEventDealActivated "
        "27:ClientEventDealCompletionFailed 28:ClientEventDealExpired 29:ClientEventDealSlashed "
        "30:ClientEventFailed 31:ClientEventRestart 32:ClientEventDataTransferStalled "
        "33:ClientEventDataTransferCancelled 34:ClientEventDataTransferQueued",
        "0:0>21 2:21>23 1:23,21>11 3:21. 4:3,11. 5:21,23>12 6:12>26 14:12>11 15:12>11 17:12>11 "
        "7:12>16 12:16,17,30>11 13:28>11 34:16>30 8:30>17 9:28,16,30>17 9:17. 32:17,30>11 "
        "33:16,17,28,30>11 10:17,16,30>13 11:13= 16:13>11 19:13>11 20:13>3 18:*>26 21:3>26 "
        "22:3>29 23:29>26 24:29>5 25:5>26 26:29,5>7 29:7>9 28:7>8 27:7>26 30:11>26 31:17>28 31:*=",
    ),
    read(
        "filecoin.gfm_storage_client",
        "0:StorageDealUnknown 1:StorageDealProposalNotFound- 2:StorageDealProposalRejected- "
        "3:StorageDealProposalAccepted 4:StorageDealStaged- 5:StorageDealSealing "
        "6:StorageDealFinalizing- 7:StorageDealActive 8:StorageDealExpired! 9:StorageDealSlashed! "
        "10:StorageDealRejecting- 11:StorageDealFailing 12:StorageDealFundsReserved "
        "13:StorageDealCheckForAcceptance 14:StorageDealValidating- 15:StorageDealAcceptWait- "
        "16:StorageDealStartDataTransfer 17:StorageDealTransferring 18:StorageDealWaitingForData- "
        "19:StorageDealVerifyData- 20:StorageDealReserveProviderFunds- "
        "21:StorageDealReserveClientFunds 22:StorageDealProviderFunding- "
        "23:StorageDealClientFunding 24:StorageDealPublish- 25:StorageDealPublishing- "
        "26:StorageDealError! 27:StorageDealProviderTransferAwaitRestart- "
        "28:StorageDealClientTransferRestart 29:StorageDealAwaitingPreCommit "
        "30:StorageDealTransferQueued",
        "0:ClientEventOpen 1:ClientEventReserveFundsFailed 2:ClientEventFundingInitiated "
        "3:ClientEventFundsReserved 4:ClientEventFundsReleased 5:ClientEventFundingComplete "
        "6:ClientEventWriteProposalFailed 7:ClientEventInitiateDataTransfer "
        "8:ClientEventDataTransferInitiated 9:ClientEventDataTransferRestarted "
        "10:ClientEventDataTransferComplete 11:ClientEventWaitForDealState "
        "12:ClientEventDataTransferFailed 13:ClientEventDataTransferRestartFailed "
        "14:ClientEventReadResponseFailed 15:ClientEventResponseVerificationFailed "
        "16:ClientEventResponseDealDidNotMatch 17:ClientEventUnexpectedDealState "
        "18:ClientEventStreamCloseError 19:ClientEventDealRejected 20:ClientEventDealAccepted "
        "21:ClientEventDealPublishFailed 22:ClientEventDealPublished "
        "23:ClientEventDealPrecommitFailed 24:ClientEventDealPrecommitted "
        "25:ClientEventDealActivationFailed 26:ClientEventDealActivated "
        "27:ClientEventDealCompletionFailed 28:ClientEventDealExpired 29:ClientEventDealSlashed "
        "30:ClientEventFailed 31:ClientEventRestart 32:ClientEventDataTransferStalled "
        "33:ClientEventDataTransferCancelled 34:ClientEventDataTransferQueued",
        "0:0>21 2:21>23 1:23,21>11 3:21. 4:3,11. 5:21,23>12 6:12>26 14:12>11 15:12>11 17:12>11 "
        "7:12>16 12:16,17,30>11 13:28>11 34:16>30 8:30>17 9:28,16,30>17 9:17. 32:17,30>11 "
        "33:16,17,28,30>11 10:17,16,30>13 11:13= 16:13>11 19:13>11 20:13>3 18:*>26 21:3>26 "
        "22:3>29 23:29>26 24:29>5 25:5>26 26:29,5>7 29:7>9 28:7>8 27:7>26 30:11>26 31:17>28 31:*=",
    ),
    read(
        "filecoin.gfm_storage_provider_pinned",
        "0:StorageDealUnknown 1:StorageDealProposalNotFound- 2:StorageDealProposalRejected- "
        "3:StorageDealProposalAccepted- 4:StorageDealStaged 5:StorageDealSealing "
        "6:StorageDealFinalizing 7:StorageDealActive 8:StorageDealExpired! 9:StorageDealSlashed! "
        "10:StorageDealRejecting 11:StorageDealFailing 12:StorageDealFundsReserved- "
        "13:StorageDealCheckForAcceptance- 14:StorageDealValidating 15:StorageDealAcceptWait "
        "16:StorageDealStartDataTransfer- 17:StorageDealTransferring 18:StorageDealWaitingForData "
        "19:StorageDealVerifyData 20:StorageDealReserveProviderFunds "
        "21:StorageDealReserveClientFunds- 22:StorageDealProviderFunding "
        "23:StorageDealClientFunding- 24:StorageDealPublish 25:StorageDealPublishing "
        "26:StorageDealError! 27:StorageDealProviderTransferAwaitRestart "
        "28:StorageDealClientTransferRestart- 29:StorageDealAwaitingPreCommit "
        "30:StorageDealTransferQueued-",
        "0:ProviderEventOpen 1:ProviderEventNodeErrored 2:ProviderEventDealDeciding "
        "3:ProviderEventDealRejected 4:ProviderEventRejectionSent 5:ProviderEventDealAccepted- "
        "6:ProviderEventInsufficientFunds- 7:ProviderEventFundsReserved "
        "8:ProviderEventFundsReleased 9:ProviderEventFundingInitiated 10:ProviderEventFunded "
        "11:ProviderEventDataTransferFailed 12:ProviderEventDataRequested "
        "13:ProviderEventDataTransferInitiated 14:ProviderEventDataTransferRestarted "
        "15:ProviderEventDataTransferCompleted 16:ProviderEventManualDataReceived- "
        "17:ProviderEventDataVerificationFailed 18:ProviderEventVerifiedData "
        "19:ProviderEventSendResponseFailed 20:ProviderEventDealPublishInitiated "
        "21:ProviderEventDealPublished 22:ProviderEventDealPublishError "
        "23:ProviderEventFileStoreErrored 24:ProviderEventDealHandoffFailed "
        "25:ProviderEventDealHandedOff 26:ProviderEventDealPrecommitFailed "
        "27:ProviderEventDealPrecommitted 28:ProviderEventDealActivationFailed "
        "29:ProviderEventDealActivated 30:ProviderEventPieceStoreErrored "
        "31:ProviderEventFinalized 32:ProviderEventDealCompletionFailed "
        "33:ProviderEventMultistoreErrored 34:ProviderEventDealExpired "
        "35:ProviderEventDealSlashed 36:ProviderEventFailed 37:ProviderEventTrackFundsFailed "
        "38:ProviderEventRestart 39:ProviderEventDataTransferRestartFailed- "
        "40:ProviderEventDataTransferStalled 41:ProviderEventDataTransferCancelled",
        "0:0>14 1:*>11 2:14>15 3:14,19,15>10 4:10>11 19:15,10>11 12:15>18 11:17,27>11 13:18,27>17 "
        "14:18,27>17 14:17. 40:17,27. 41:18,17,27>11 15:17,27>19 17:19>11 18:19,18>20 7:20. "
        "8:25,11. 37:20>11 9:20>22 10:22,20>24 20:24>25 22:25>11 21:25>4 23:4,29,5,7>11 33:4>11 "
        "24:4>11 30:4. 25:4>29 26:29>11 27:29>5 28:5>11 29:29,5>6 31:6>7 35:7>9 34:7>8 32:7>26 "
        "36:11>26 38:14,15,10>26 38:17>27 38:*=",
    ),
    read(
        "filecoin.gfm_storage_provider",
        "0:StorageDealUnknown 1:StorageDealProposalNotFound- 2:StorageDealProposalRejected- "
        "3:StorageDealProposalAccepted- 4:StorageDealStaged 5:StorageDealSealing "
        "6:StorageDealFinalizing 7:StorageDealActive 8:StorageDealExpired! 9:StorageDealSlashed! "
        "10:StorageDealRejecting 11:StorageDealFailing 12:StorageDealFundsReserved- "
        "13:StorageDealCheckForAcceptance- 14:StorageDealValidating 15:StorageDealAcceptWait "
        "16:StorageDealStartDataTransfer- 17:StorageDealTransferring 18:StorageDealWaitingForData "
        "19:StorageDealVerifyData 20:StorageDealReserveProviderFunds "
        "21:StorageDealReserveClientFunds- 22:StorageDealProviderFunding "
        "23:StorageDealClientFunding- 24:StorageDealPublish 25:StorageDealPublishing "
        "26:StorageDealError! 27:StorageDealProviderTransferAwaitRestart "
        "28:StorageDealClientTransferRestart- 29:StorageDealAwaitingPreCommit "
        "30:StorageDealTransferQueued-",
        "0:ProviderEventOpen 1:ProviderEventNodeErrored 2:ProviderEventDealDeciding "
        "3:ProviderEventDealRejected 4:ProviderEventRejectionSent 5:ProviderEventDealAccepted- "
        "6:ProviderEventInsufficientFunds- 7:ProviderEventFundsReserved "
        "8:ProviderEventFundsReleased 9:ProviderEventFundingInitiated 10:ProviderEventFunded "
        "11:ProviderEventDataTransferFailed 12:ProviderEventDataRequested "
        "13:ProviderEventDataTransferInitiated 14:ProviderEventDataTransferRestarted "
        "15:ProviderEventDataTransferCompleted 16:ProviderEventManualDataReceived- "
        "17:ProviderEventDataVerificationFailed 18:ProviderEventVerifiedData "
        "19:ProviderEventSendResponseFailed 20:ProviderEventDealPublishInitiated "
        "21:ProviderEventDealPublished 22:ProviderEventDealPublishError "
        "23:ProviderEventFileStoreErrored 24:ProviderEventDealHandoffFailed "
        "25:ProviderEventDealHandedOff 26:ProviderEventDealPrecommitFailed "
        "27:ProviderEventDealPrecommitted 28:ProviderEventDealActivationFailed "
        "29:ProviderEventDealActivated 30:ProviderEventPieceStoreErrored "
        "31:ProviderEventFinalized 32:ProviderEventDealCompletionFailed "
        "33:ProviderEventMultistoreErrored 34:ProviderEventDealExpired "
        "35:ProviderEventDealSlashed 36:ProviderEventFailed 37:ProviderEventTrackFundsFailed "
        "38:ProviderEventRestart 39:ProviderEventDataTransferRestartFailed- "
        "40:ProviderEventDataTransferStalled 41:ProviderEventDataTransferCancelled "
        "42:ProviderEventAwaitTransferRestartTimeout",
        "0:0>14 1:*>11 2:14>15 3:14,19,15>10 4:10>11 19:15,10>11 12:15>18 11:17,27>11 13:18,27>17 "
        "14:18,27>17 14:17. 40:17,27. 41:18,17,27>11 15:17,27>19 42:27>11 42:*. 17:19>11 "
        "18:19,18>20 7:20. 8:25,11. 37:20>11 9:20>22 10:22,20>24 20:24>25 22:25>11 21:25>4 "
        "23:4,29,5,7>11 33:4>11 24:4>11 30:4. 25:4>29 26:29>11 27:29>5 28:5>11 29:29,5>6 31:6>7 "
        "35:7>9 34:7>8 32:7>26 36:11>26 38:14,15,10>26 38:17>27 38:*=",
    ),
    read(
        "filecoin.dt_channel_v1_7_0",
        "0:Requested 1:Ongoing 2:TransferFinished 3:ResponderCompleted 4:Finalizing 5:Completing "
        "6:Completed! 7:Failing 8:Failed! 9:Cancelling 10:Cancelled! 11:InitiatorPaused "
        "12:ResponderPaused 13:BothPaused 14:ResponderFinalizing "
        "15:ResponderFinalizingTransferFinished 16:ChannelNotFoundError-",
        "0:Open 1:Accept 2:Restart 3:DataReceived 4:DataSent 5:Cancel 6:Error 7:CleanupComplete "
        "8:NewVoucher 9:NewVoucherResult 10:PauseInitiator 11:ResumeInitiator 12:PauseResponder "
        "13:ResumeResponder 14:FinishTransfer 15:ResponderCompletes "
        "16:ResponderBeginsFinalization 17:BeginFinalizing 18:Disconnected 19:Complete "
        "20:CompleteCleanupOnRestart 21:DataQueued 22:DataQueuedProgress 23:DataSentProgress "
        "24:DataReceivedProgress 25:RequestTimedOut 26:SendDataError 27:ReceiveDataError "
        "28:TransferRequestQueued",
        "0:*>0 1:0>1 28:*. 2:*. 3:*= 24:0,11,12,13,1,3,14= 4:0,11,12,13,1,3,14= "
        "23:0,11,12,13,1,3,14= 21:0,11,12,13,1,3,14= 22:0,11,12,13,1,3,14= 8:*= 9:*= 10:0,1>11 "
        "10:12>13 10:*. 12:0,1>12 12:11>13 12:*. 11:11>1 11:13>12 11:*. 13:12>1 13:13>11 13:4>5 "
        "13:*. 14:7,9. 14:3>5 14:14>15 14:*>2 16:7,9. 16:2>15 16:*>14 15:7,9. 15:12>14 15:2>5 "
        "15:14>3 15:15>5 15:*>3 17:*>4 19:*>5 7:9>10 7:7>8 7:5>6 20:*= 5:*>9 18:*= 26:*= 27:*= "
        "25:*= 6:*>7",
    ),
    read(
        "filecoin.dt_channel_v1_11_5",
        "0:Requested 1:Ongoing 2:TransferFinished 3:ResponderCompleted 4:Finalizing 5:Completing "
        "6:Completed! 7:Failing 8:Failed! 9:Cancelling 10:Cancelled! 11:InitiatorPaused "
        "12:ResponderPaused 13:BothPaused 14:ResponderFinalizing "
        "15:ResponderFinalizingTransferFinished 16:ChannelNotFoundError-",
        "0:Open 1:Accept 2:Restart 3:DataReceived 4:DataSent 5:Cancel 6:Error 7:CleanupComplete "
        "8:NewVoucher 9:NewVoucherResult 10:PauseInitiator 11:ResumeInitiator 12:PauseResponder "
        "13:ResumeResponder 14:FinishTransfer 15:ResponderCompletes "
        "16:ResponderBeginsFinalization 17:BeginFinalizing 18:Disconnected 19:Complete "
        "20:CompleteCleanupOnRestart 21:DataQueued 22:DataQueuedProgress 23:DataSentProgress "
        "24:DataReceivedProgress 25:RequestTimedOut- 26:SendDataError 27:ReceiveDataError "
        "28:TransferRequestQueued 29:RequestCancelled 30:Opened",
        "0:*>0 1:0>1 28:*. 2:*. 30:*. 3:*= 24:0,11,12,13,1,3,14= 4:0,11,12,13,1,3,14= 4:2= "
        "23:0,11,12,13,1,3,14= 21:0,11,12,13,1,3,14= 21:2= 22:0,11,12,13,1,3,14= 8:*= 9:*= "
        "10:0,1>11 10:12>13 10:*. 12:0,1>12 12:11>13 12:*. 11:11>1 11:13>12 11:*. 13:12>1 "
        "13:13>11 13:4>5 13:*. 14:7,9. 14:3>5 14:14>15 14:*>2 16:7,9. 16:2>15 16:*>14 15:7,9. "
        "15:12>14 15:2>5 15:14>3 15:15>5 15:*>3 17:*>4 19:*>5 7:9>10 7:7>8 7:5>6 20:*= 5:*>9 "
        "18:*= 26:*= 27:*= 29:*= 6:*>7",
    ),
    read(
        "filecoin.dt_channel",
        "0:Requested 1:Ongoing 2:TransferFinished 3:ResponderCompleted 4:Finalizing 5:Completing "
        "6:Completed! 7:Failing 8:Failed! 9:Cancelling 10:Cancelled! 11:InitiatorPaused- "
        "12:ResponderPaused- 13:BothPaused- 14:ResponderFinalizing "
        "15:ResponderFinalizingTransferFinished 16:ChannelNotFoundError- 17:Queued "
        "18:AwaitingAcceptance",
        "0:Open 1:Accept 2:Restart 3:DataReceived 4:DataSent 5:Cancel 6:Error 7:CleanupComplete "
        "8:NewVoucher 9:NewVoucherResult 10:PauseInitiator 11:ResumeInitiator 12:PauseResponder "
        "13:ResumeResponder 14:FinishTransfer 15:ResponderCompletes "
        "16:ResponderBeginsFinalization 17:BeginFinalizing 18:Disconnected 19:Complete "
        "20:CompleteCleanupOnRestart 21:DataQueued 22:DataQueuedProgress 23:DataSentProgress "
        "24:DataReceivedProgress 25:RequestTimedOut- 26:SendDataError 27:ReceiveDataError "
        "28:TransferRequestQueued- 29:RequestCancelled 30:Opened 31:SetDataLimit "
        "32:SetRequiresFinalization 33:DataLimitExceeded 34:TransferInitiated "
        "35:SendMessageError-",
        "0:*>0 1:0>17 1:18>1 34:0>18 34:17>1 34:1. 2:*. 30:*. 3:*= 24:1,3,14,18= 4:1,3,14,18= "
        "4:2= 23:1,3,14,18= 21:1,3,14,18= 21:2= 22:1,3,14,18= 31:*. 32:*. 8:*= 9:*= 10:1,0,17,18. "
        "12:1,0,17,18,2. 33:1,0,17,18,3,14. 11:1,0,17,18,3,14. 13:4>5 13:1,0,17,18,2. 14:7,9. "
        "14:3>5 14:14>15 14:18>5 14:*>2 16:7,9. 16:2>15 16:14,15. 16:*>14 15:7,9. 15:2>5 15:15>5 "
        "15:*>3 17:*>4 19:*>5 7:9>10 7:7>8 7:5>6 20:*= 5:*>9 18:*= 26:*= 27:*= 29:*= 6:*>7",
    ),
)
