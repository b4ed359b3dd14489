"""Batches as Lassie posts them, and what becomes of them."""

from __future__ import annotations

import json

from statetape.fsm.importing import Begin, Event
from statetape.specs.lassie.recorder import respond

NOW = 1_700_000_000_000_000
"""2023-11-14T22:13:20Z."""
RETRIEVAL = "d05a522e-9608-401a-a33f-1eb4ac4111a0"
CID = "bafybeic4jpi2detp5n3q6rjo7ckulebtr7dsvt2tbrtcqlnnzqmi3bzz2y"
PROVIDER = "12D3KooWHwRmkj4Jxfo2YnKJC4YBzTNEGDW6Et4E68r7RYVXk46h"
INSTANCE = f"lassie.retrieval/{RETRIEVAL}"
GONE = object()
"""Stands for a member that is not there."""

SINGLE = {
    "retrievalId": RETRIEVAL,
    "instanceId": "node-1",
    "cid": CID,
    "storageProviderId": PROVIDER,
    "phase": "retrieval",
    "phaseStartTime": "2023-03-02T00:15:50.479910907Z",
    "eventName": "started",
    "eventTime": "2023-03-02T00:15:52.361371026Z",
}
AGGREGATE = {
    "retrievalId": RETRIEVAL,
    "instanceId": "node-1",
    "rootCid": CID,
    "urlPath": "/file",
    "storageProviderId": "Bitswap",
    "timeToFirstByte": "40ms",
    "timeToFirstIndexerResult": "10ms",
    "bandwidth": 200_000,
    "bytesTransferred": 10_000,
    "success": True,
    "startTime": "2023-03-02T00:15:50Z",
    "endTime": "2023-03-02T00:15:50.09Z",
    "indexerCandidatesReceived": 5,
    "indexerCandidatesFiltered": 3,
    "protocolsAllowed": ["transport-bitswap"],
    "protocolsAttempted": ["transport-bitswap"],
    "protocolSucceeded": "transport-bitswap",
    "retrievalAttempts": {
        PROVIDER: {"error": "failed to dial", "protocol": "transport-graphsync-filecoinv1"},
        "Bitswap": {
            "timeToFirstByte": "20ms",
            "bytesTransferred": 20_002,
            "protocol": "transport-bitswap",
        },
    },
}


def changed(event, changes):
    """Return an event with some members changed, or gone."""
    return {name: value for name, value in {**event, **changes}.items() if value is not GONE}


def single(**changes):
    """Return a version 1 event."""
    return changed(SINGLE, changes)


def aggregate(**changes):
    """Return a version 2 event."""
    return changed(AGGREGATE, changes)


def batch(*events):
    """Return the body of a batch."""
    return json.dumps({"events": events}).encode()


def post(*events, version=1, now=NOW):
    """Return what the recorder answers to a batch."""
    path = f"/v{version}/retrieval-events"
    return respond("POST", path, "application/json", batch(*events), now)


def refusal(*events, version=1, now=NOW):
    """Return the reason of a refusal. A batch that is taken fails."""
    response = post(*events, version=version, now=now)

    assert (response.status, response.items) == (400, ())
    return response.body.decode().removesuffix("\n")


def events_of(response):
    """Return the events among the items of a response that took its batch."""
    assert response.status == 200, response.body
    return [item for item in response.items if isinstance(item, Event)]


def beginnings_of(response):
    """Return the instances that begin in a response."""
    return [item.key for item in response.items if isinstance(item, Begin)]
