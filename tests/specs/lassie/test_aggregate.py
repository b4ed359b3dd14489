"""The aggregate form: one event per finished retrieval, member by member."""

from __future__ import annotations

import pytest
from statetape.fsm.importing import Note

from .batches import (
    CID,
    GONE,
    INSTANCE,
    PROVIDER,
    aggregate,
    events_of,
    post,
    refusal,
)

MILLISECOND = 1_000_000
ATTEMPT = {"protocol": "transport-bitswap"}


def told(**changes):
    """Return the summary that a version 2 event with these changes becomes."""
    [event] = events_of(post(aggregate(**changes), version=2))
    return event.params["told"]


def test_an_aggregate_becomes_one_command_with_all_that_it_says():
    """Times and durations in nanoseconds, attempts by provider."""
    [event] = events_of(post(aggregate(), version=2))

    assert (event.instance, event.event, event.by) == (INSTANCE, "summarised", "node-1")
    assert event.at == 1_677_716_150_090_000
    assert event.params["told"] == {
        "root_cid": CID,
        "url_path": "/file",
        "provider": "Bitswap",
        "success": True,
        "start_ns": 1_677_716_150 * 10**9,
        "end_ns": 1_677_716_150 * 10**9 + 90 * MILLISECOND,
        "first_byte_after_ns": 40 * MILLISECOND,
        "first_candidate_after_ns": 10 * MILLISECOND,
        "bandwidth": 200_000,
        "bytes": 10_000,
        "candidates_found": 5,
        "candidates_filtered": 3,
        "protocols_allowed": ["transport-bitswap"],
        "protocols_attempted": ["transport-bitswap"],
        "protocol_succeeded": "transport-bitswap",
        "attempts": {
            PROVIDER: {
                "protocol": "transport-graphsync-filecoinv1",
                "error": "failed to dial",
                "bytes": 0,
            },
            "Bitswap": {
                "protocol": "transport-bitswap",
                "error": "",
                "bytes": 20_002,
                "first_byte_after_ns": 20 * MILLISECOND,
            },
        },
    }


@pytest.mark.parametrize("value", [GONE, None])
def test_only_four_members_are_required(value):
    """A retrieval that found nothing says little else."""
    required = ("retrievalId", "instanceId", "startTime", "endTime")
    others = {name: value for name in aggregate() if name not in required}
    summary = told(**others)

    assert (summary["success"], summary["attempts"], summary["root_cid"]) == (False, {}, "")
    assert "first_byte_after_ns" not in summary


@pytest.mark.parametrize(
    ("member", "value", "why"),
    [
        ("retrievalId", GONE, "required"),
        ("retrievalId", "x", "not a UUID"),
        ("retrievalId", "00000000-0000-0000-0000-000000000000", "zero UUID"),
        ("instanceId", GONE, "required"),
        ("instanceId", "", "empty"),
        ("rootCid", "fish", "not a CID"),
        ("urlPath", 1, "expected text"),
        ("startTime", GONE, "required"),
        ("startTime", "0001-01-01T00:00:00Z", "zero time"),
        ("startTime", "then", "not an RFC 3339 time"),
        ("endTime", GONE, "required"),
        ("endTime", "0001-01-01T00:00:00Z", "zero time"),
        ("endTime", "2023-03-02T00:15:49.999999999Z", "before startTime"),
        ("timeToFirstByte", "40", "not a duration"),
        ("timeToFirstByte", 40, "expected text, got int"),
        ("timeToFirstIndexerResult", "soon", "not a duration"),
        ("bandwidth", -1, "not from 0"),
        ("bandwidth", 2**64, "not from 0"),
        ("bandwidth", 1.5, "expected a whole number, got float"),
        ("bandwidth", "1", "expected a whole number, got text"),
        ("bytesTransferred", -1, "not from 0"),
        ("success", "yes", "expected true or false, got text"),
        ("indexerCandidatesReceived", 2**63, "not from"),
        ("indexerCandidatesFiltered", -(2**63) - 1, "not from"),
        ("protocolsAllowed", "x", "expected a list, got text"),
        ("protocolsAttempted", [1], "expected text, got int"),
        ("retrievalAttempts", [], "expected an object, got array"),
        ("retrievalAttempts", {PROVIDER: None}, f"{PROVIDER}: null"),
        ("retrievalAttempts", {"a": {"timeToFirstByte": "x"}}, "a.timeToFirstByte: 'x'"),
        ("retrievalAttempts", {"a": {"bytesTransferred": -1}}, "a.bytesTransferred: not from"),
        ("retrievalAttempts", {"a": {"error": 1}}, "expected text, got int"),
    ],
)
def test_one_bad_member_refuses_the_whole_batch(member, value, why):
    """The good event beside it is not taken either; the place says which event and member."""
    reason = refusal(aggregate(), aggregate(**{member: value}), version=2)

    assert reason.startswith(f"events[1].{member}")
    assert why in reason


@pytest.mark.parametrize(
    "changes",
    [
        {"endTime": "2023-03-02T00:15:50Z"},
        {"endTime": "2023-03-02T02:15:50+02:00"},
        {"bandwidth": 2**64 - 1},
        {"indexerCandidatesReceived": 2**63 - 1},
        {"indexerCandidatesFiltered": -(2**63)},
        {"bandwidth": 0, "bytesTransferred": 0},
        {"retrievalAttempts": {PROVIDER: ATTEMPT | {"bytesTransferred": 0}}},
        {"retrievalAttempts": {PROVIDER: ATTEMPT | {"bytesTransferred": 2**64 - 1}}},
        {"timeToFirstByte": ""},
        {"timeToFirstByte": "-1ms"},
        {"rootCid": ""},
        {"retrievalAttempts": {}},
        {"retrievalAttempts": {"": ATTEMPT}},
        {"storageProviderId": ""},
    ],
)
def test_what_lies_at_the_edge_is_taken(changes):
    """An end at the start, the largest numbers, empty texts."""
    assert told(**changes)


def test_an_end_in_the_future_is_warned_of():
    """The recorder has no bound for it; the event is taken."""
    response = post(aggregate(endTime="2023-11-14T22:13:21Z"), version=2)
    on_time = post(aggregate(endTime="2023-11-14T22:13:20Z"), version=2)
    just_ahead = post(aggregate(endTime="2023-11-14T22:13:20.000001Z"), version=2)

    assert response.items[0] == Note("events[0]", "1s ahead of this clock", warning=True)
    assert len(events_of(response)) == 1
    assert [type(item).__name__ for item in on_time.items] == ["Begin", "Event"]
    assert [type(item).__name__ for item in just_ahead.items] == ["Note", "Begin", "Event"]


def key(**changes):
    """Return the idempotency key of a version 2 event."""
    [event] = events_of(post(aggregate(**changes), version=2))
    return event.once


def test_the_same_summary_has_the_same_key_and_another_has_another():
    """In whichever order its members and attempts stand."""
    attempts = aggregate()["retrievalAttempts"]
    turned = dict(reversed(attempts.items()))

    assert key(retrievalAttempts=turned) == key()
    assert key(endTime="2023-03-02T01:15:50.090+01:00") == key()
    assert len({key(**{name: GONE}) for name in aggregate() if name not in _REQUIRED}) == 14


_REQUIRED = ("retrievalId", "instanceId", "startTime", "endTime")


def test_a_summary_that_no_entry_holds_is_refused():
    """A thousand attempts are more than an entry holds, twice."""
    attempts = {f"provider-{number}": ATTEMPT for number in range(1000)}

    assert "an event is recorded with at most" in refusal(
        aggregate(retrievalAttempts=attempts), version=2
    )
