"""The recorder's answers: what a batch must be, member by member, and how it is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.importing import Note
from statetape.fsm.moments import TIME_MAX_US
from statetape.specs.lassie.recorder import EVENT_BYTES_MAX, respond
from statetape.specs.lassie.retrieval import EVENTS

from .batches import (
    CID,
    GONE,
    INSTANCE,
    NOW,
    PROVIDER,
    RETRIEVAL,
    batch,
    beginnings_of,
    events_of,
    post,
    refusal,
    single,
)

SHARED = Path(os.environ.get("STATETAPE_SHARED", Path(__file__).parents[4] / "shared"))
SAMPLES = SHARED / "examples" / "lassie"
V1 = "/v1/retrieval-events"
JSON = "application/json"
NIL = "00000000-0000-0000-0000-000000000000"


def said(body, path=V1, now=NOW):
    """Return status and reason of a raw body."""
    response = respond("POST", path, JSON, body, now)
    return response.status, response.body.decode()


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("bad-eventName", "events[0].eventName: 'bad-eventName'"),
        ("bad-phase", "events[0].phase: 'bad-phase'"),
        ("bad-retrievalid", "events[0].retrievalId: 'bad-retrieval-id'"),
        ("future-event-time", "events[0].eventTime: more than 24 hours"),
        ("future-start-time", "events[0].phaseStartTime: more than 24 hours"),
        ("invalid-cid", "events[0].cid: 'fish'"),
        ("missing-event-time", "events[0].eventTime: required"),
        ("missing-events", "events is required"),
        ("missing-events-empty-array", "events is required"),
        ("missing-instanceid", "events[0].instanceId: required"),
        ("missing-retrievalid", "events[0].retrievalId: required"),
        ("good", None),
        ("aggregategood", None),
    ],
)
def test_every_shared_sample_is_answered_as_the_recorder_does(name, member):
    """The recorder's own samples: two are taken, of the others the wrong member is named."""
    file = SAMPLES / f"{name}.json"
    if not file.exists():
        pytest.skip("no shared samples on this machine")
    path = "/v2/retrieval-events" if name.startswith("aggregate") else V1
    response = respond("POST", path, JSON, file.read_bytes(), NOW)

    if member is None:
        assert (response.status, response.body) == (200, b"")
        assert len(events_of(response)) == len(json.loads(file.read_bytes())["events"])
    else:
        assert response.status == 400
        assert response.body.decode().startswith(member)


def test_a_path_that_is_not_there():
    """404, whatever is sent to it; a query does not matter."""
    assert respond("POST", "/v3/retrieval-events", JSON, b"", NOW).status == 404
    assert respond("GET", "/", "", b"", NOW).status == 404
    assert respond("POST", f"{V1}/", JSON, b"", NOW).status == 404
    assert respond("POST", f"{V1}?a=b", JSON, batch(single()), NOW).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE", "OPTIONS", "post"])
@pytest.mark.parametrize("path", [V1, "/v2/retrieval-events"])
def test_only_post_is_allowed(method, path):
    """405, and the header says what is."""
    response = respond(method, path, JSON, batch(single()), NOW)

    assert (response.status, response.headers, response.items) == (405, {"Allow": "POST"}, ())


def test_ready():
    """GET says so; nothing else does."""
    assert respond("GET", "/ready", "", b"", NOW).status == 200
    refused = respond("POST", "/ready", JSON, b"", NOW)
    assert (refused.status, refused.headers) == (405, {"Allow": "GET"})


@pytest.mark.parametrize("kind", [JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken_as_json(kind):
    """With parameters, in any case."""
    assert respond("POST", V1, kind, batch(single()), NOW).status == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/jsonp", "x/application/json"])
def test_any_other_content_type_is_refused(kind):
    """400, also where the body would do."""
    response = respond("POST", V1, kind, batch(single()), NOW)

    assert (response.status, response.items) == (400, ())
    assert b"content type" in response.body


def test_an_event_becomes_one_command_with_all_that_it_says():
    """Exact to the nanosecond; the reporter is who asked; the time is the event's own."""
    response = post(single(eventDetails={"b": 1.50, "a": [None, 2**70]}))
    [event] = events_of(response)

    assert beginnings_of(response) == [RETRIEVAL]
    assert (event.instance, event.event, event.by) == (INSTANCE, "started", "node-1")
    assert event.at == 1_677_716_152_361_371
    assert event.params == {
        "cid": CID,
        "provider": PROVIDER,
        "phase": "retrieval",
        "phase_start_ns": 1_677_716_150_479_910_907,
        "event_ns": 1_677_716_152_361_371_026,
        "details": f'{{"a":[null,{2**70}],"b":1.5}}',
    }


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_name_old_and_new(name):
    """Eleven, and six of newer nodes."""
    [event] = events_of(post(single(eventName=name.replace("_", "-"))))

    assert event.event == name


@pytest.mark.parametrize(
    ("member", "value", "why"),
    [
        ("retrievalId", GONE, "required"),
        ("retrievalId", None, "required"),
        ("retrievalId", "", "empty"),
        ("retrievalId", "bad", "not a UUID"),
        ("retrievalId", NIL, "zero UUID"),
        ("retrievalId", 7, "expected text, got int"),
        ("instanceId", GONE, "required"),
        ("instanceId", None, "required"),
        ("instanceId", "", "empty"),
        ("instanceId", [], "expected text, got array"),
        ("cid", GONE, "required"),
        ("cid", "", "empty"),
        ("cid", "fish", "not a CID"),
        ("storageProviderId", 1, "expected text"),
        ("phase", GONE, "required"),
        ("phase", "fetch", "none of indexer, query, retrieval"),
        ("phase", "Query", "none of"),
        ("phaseStartTime", GONE, "required"),
        ("phaseStartTime", "", "empty"),
        ("phaseStartTime", "yesterday", "not an RFC 3339 time"),
        ("phaseStartTime", "0001-01-01T00:00:00Z", "zero time"),
        ("phaseStartTime", 1677716150, "expected text, got int"),
        ("eventName", GONE, "required"),
        ("eventName", "started_fetch", "none of"),
        ("eventName", "connected", "none of"),
        ("eventTime", GONE, "required"),
        ("eventTime", "2023-03-02T00:15:52", "not an RFC 3339 time"),
        ("eventTime", "0001-01-01T00:00:00Z", "zero time"),
    ],
)
def test_one_bad_member_refuses_the_whole_batch(member, value, why):
    """The good event beside it is not taken either; the place says which event and member."""
    reason = refusal(single(), single(**{member: value}))

    assert reason.startswith(f"events[1].{member}: ")
    assert why in reason


@pytest.mark.parametrize("value", [GONE, None, ""])
def test_a_provider_may_be_unnamed(value):
    """Absent, null and empty are the same."""
    [event] = events_of(post(single(storageProviderId=value)))

    assert event.params["provider"] == ""


@pytest.mark.parametrize("value", [GONE, None])
def test_details_may_be_absent(value):
    """Absent and null are the same."""
    [event] = events_of(post(single(eventDetails=value)))

    assert "details" not in event.params


def test_members_that_nobody_knows_do_not_matter():
    """As in the recorder: newer nodes may say more."""
    assert events_of(post(single(more={"a": 1}))) == events_of(post(single()))


DAY_AHEAD = "2023-11-15T22:13:20Z"


@pytest.mark.parametrize("member", ["phaseStartTime", "eventTime"])
def test_a_day_ahead_is_the_limit(member):
    """24 hours to the nanosecond; ahead at all is taken with a warning, not ahead without one."""
    beyond = "2023-11-15T22:13:20.000000001Z"
    at_limit = post(single(**{member: DAY_AHEAD}))
    ahead = post(single(**{member: "2023-11-14T22:13:20.000001Z"}))
    on_time = post(single(**{member: "2023-11-14T22:13:20Z"}))

    assert refusal(single(**{member: beyond})) == (
        f"events[0].{member}: more than 24 hours in the future"
    )
    assert [item.message for item in at_limit.items if isinstance(item, Note)] == [
        "1d ahead of this clock"
    ]
    assert [item for item in ahead.items if isinstance(item, Note)] == [
        Note("events[0]", "1us ahead of this clock", warning=True)
    ]
    assert [item for item in on_time.items if isinstance(item, Note)] == []
    assert len(events_of(at_limit)) == len(events_of(ahead)) == len(events_of(on_time)) == 1


def test_the_clock_is_the_one_given():
    """What is refused today is taken later."""
    assert refusal(single(eventTime="2223-03-02T00:15:52Z"))
    assert events_of(post(single(eventTime="2223-03-02T00:15:52Z"), now=7_989_062_400_000_000))


def test_the_last_moment_that_an_entry_can_have():
    """A microsecond later the entry has the time of its recording."""
    limit = "2112-09-17T23:53:47.370496Z"
    beyond = "2112-09-17T23:53:47.370497Z"
    [at_limit, late] = events_of(
        post(single(eventTime=limit), single(eventTime=beyond), now=TIME_MAX_US)
    )

    assert (at_limit.at, late.at) == (TIME_MAX_US, None)


@pytest.mark.parametrize("year", ["0002", "1500", "1800"])
def test_a_time_that_no_entry_can_have_is_kept_in_the_parameters(year):
    """The event is taken; its entry has the time of its recording."""
    [event] = events_of(post(single(eventTime=f"{year}-01-01T00:00:00Z")))

    assert event.at is None
    assert event.params["event_ns"] < 0


@pytest.mark.parametrize(
    ("name", "details", "expected"),
    [
        ("candidates-found", {"candidateCount": 7}, {"candidates": 7}),
        ("candidates-filtered", {"candidateCount": 0}, {"candidates": 0}),
        ("candidates-found", {"candidateCount": -1}, {}),
        ("candidates-found", {"candidateCount": 2**64}, {}),
        ("candidates-found", {"candidateCount": True}, {}),
        ("candidates-found", {"candidateCount": "7"}, {}),
        ("candidates-found", {"candidateCount": 7.0}, {}),
        ("candidates-found", [7], {}),
        ("success", {"receivedSize": 2**64 - 1, "receivedCids": 3}, {"bytes": 2**64 - 1}),
        ("block-received", {"byteCount": 9}, {"bytes": 9}),
        ("failed", {"error": "no route"}, {"error": "no route"}),
        ("failed-retrieval", {"error": "x" * 301}, {"error": "x" * 300}),
        ("failed", {"error": ""}, {}),
        ("failed", {"error": 5}, {}),
        ("started", {"error": "x", "candidateCount": 7}, {}),
    ],
)
def test_what_adds_up_is_taken_out_of_the_details(name, details, expected):
    """Counts and errors where Lassie puts them; anything else only stays in the details."""
    [event] = events_of(post(single(eventName=name, eventDetails=details)))
    more = {"cid", "provider", "phase", "phase_start_ns", "event_ns", "details"}

    assert {name: event.params[name] for name in event.params.keys() - more} == expected
    assert json.loads(event.params["details"]) == details


def keys(*events, version=1):
    """Return the idempotency keys of events."""
    return [event.once for event in events_of(post(*events, version=version))]


def test_the_same_report_has_the_same_key():
    """Written differently, or said elsewhere in a batch."""
    plain = single(eventDetails={"a": 1, "b": [1.0]})
    raw = json.dumps(plain, indent=3).replace('"b"', '"\\u0062"').replace("Z", "+00:00")
    pretty = respond("POST", V1, JSON, b'{"events": [' + raw.encode() + b"]}", NOW)
    turned = dict(reversed(plain.items())) | {"retrievalId": RETRIEVAL.upper(), "x": 1}

    [first] = keys(plain)
    assert [event.once for event in events_of(pretty)] == [first]
    assert keys(single(), turned)[1] == first


@pytest.mark.parametrize(
    "changes",
    [
        {"instanceId": "node-2"},
        {"cid": "QmTTA2daxGqo5denp6SwLzzkLJm3fuisYEi9CoWsuHpzfb"},
        {"storageProviderId": ""},
        {"phase": "query"},
        {"phaseStartTime": "2023-03-02T00:15:50.479910908Z"},
        {"eventName": "proposed"},
        {"eventTime": "2023-03-02T00:15:52.361371027Z"},
        {"eventDetails": {}},
        {"eventDetails": {"a": 1}},
        {"eventDetails": {"a": 1.0}},
    ],
)
def test_every_member_is_in_the_key(changes):
    """Two reports that differ anywhere are two."""
    first, second = keys(single(), single(**changes))

    assert first != second


def test_an_event_that_no_entry_holds_is_refused():
    """By its size as JSON; one byte less is taken."""
    size = int(refusal(single(eventDetails="x" * 50_000)).split()[1])
    fits = 50_000 - (size - EVENT_BYTES_MAX)

    assert len(events_of(post(single(eventDetails="x" * fits)))) == 1
    assert f"at most {EVENT_BYTES_MAX}" in refusal(single(eventDetails="x" * (fits + 1)))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b'{"events":[', "truncated"),
        (b"null", "expected an object, got null"),
        (b"[]", "expected an object, got array"),
        (b'"events"', "expected an object, got text"),
        (b"{}", "events is required"),
        (b'{"events":null}', "events is required"),
        (b'{"events":[]}', "events is required"),
        (b'{"events":{}}', "events: expected a list, got an object"),
        (b'{"events":[null]}', "events[0]: expected an object, got null"),
        (b'{"events":[1]}', "events[0]: expected an object, got int"),
        (b'{"Events":[]}', "events is required"),
        (batch(single()) + b"x", "trailing"),
        (batch(single()) + batch(single()), "trailing"),
        (batch(single()).replace(b'"node-1"', b"'node-1'"), "malformed"),
        (batch(single()).replace(b'"node-1"', b"NaN"), "malformed"),
        (batch(single()).replace(b'"node-1"', b"01"), "malformed"),
        (batch(single()).replace(b"node-1", b"\xff\xfe"), "not UTF-8"),
        (batch(single()).replace(b"node-1", b"\\ud800"), "surrogate"),
        (batch(single()).replace(b"node-1", b"a\nb"), "malformed"),
        (batch(single(eventDetails="D")).replace(b'"D"', b"NaN"), "malformed"),
        (batch(single(eventDetails="D")).replace(b'"D"', b"-Infinity"), "malformed"),
        (batch(single(eventDetails="D")).replace(b'"D"', b'"\xff"'), "events[0].eventDetails: not"),
        (
            batch(single(eventDetails="D")).replace(b'"D"', b"9" * 5000),
            "events[0].eventDetails: Integer value out of range",
        ),
        (
            batch(single(eventDetails="D")).replace(b'"D"', b"[" * 100_000 + b"]" * 100_000),
            "nested too deeply",
        ),
        (b"[" * 200_000, "expected an object, got array"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_does_not_decode_is_refused(body, why):
    """400 with the reason, and the place where there is one."""
    status, reason = said(body)

    assert status == 400
    assert why in reason


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (b"1e999", "1e999"),
        (b"-0.0", "-0.0"),
        (b"1.10", "1.10"),
        (b"1E5", "1E5"),
        (b"1e99999999999999999999", "1e99999999999999999999"),
        (b"123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_numbers_in_details_keep_their_digits(number, kept):
    """No float ever stands between what was sent and what is recorded."""
    body = batch(single(eventDetails=["D"])).replace(b'"D"', number)
    [event] = events_of(respond("POST", V1, JSON, body, NOW))

    assert event.params["details"] == f"[{kept}]"


def test_of_a_member_that_stands_twice_the_last_counts():
    """As in the recorder's own decoder."""
    body = batch(single()).replace(b'"phase": "retrieval"', b'"phase": "no", "phase": "query"')
    [event] = events_of(respond("POST", V1, JSON, body, NOW))

    assert event.params["phase"] == "query"


def test_each_retrieval_of_a_batch_begins_once():
    """Before its first event."""
    other = RETRIEVAL.replace("d", "e")
    response = post(single(), single(retrievalId=other), single(eventName="proposed"))

    assert beginnings_of(response) == [RETRIEVAL, other]
    assert [type(item).__name__ for item in response.items] == [
        "Begin",
        "Event",
        "Begin",
        "Event",
        "Event",
    ]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_recorder(body):
    """They are refused, with a reason in one line."""
    status, reason = said(body)

    assert status == 400
    assert reason.strip()


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(single())), JSONS, max_size=3), JSONS)
def test_no_members_break_the_recorder(members, details):
    """Any JSON in any member is taken or refused, and the answer says which member."""
    body = batch(single(**members, eventDetails=details))
    for version in (1, 2):
        response = respond("POST", f"/v{version}/retrieval-events", JSON, body, NOW)

        assert response.status in (200, 400)
        assert (response.status == 200) == bool(response.items)
