"""Lassie's event recorder: what it takes, what it refuses, and what each event says.

Theory of operation. A batch is decoded, then each event of it is checked, its members in the order
of the recorder's own checks; the first that is wrong refuses the whole batch, with its place and
member. What is taken becomes items for the engine: an instance `lassie.retrieval/UUID` begins
with the first event of its retrieval, and each event is a command whose idempotency key is a digest
of all that the event says. So a batch that is posted twice, or twice in part, adds nothing.

`now` is a parameter (microseconds since 1970 UTC): events from the future are refused or warned of.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ...fsm.importing import Begin, Event, Item, Note
from ...fsm.moments import TIME_MAX_US, show_duration
from .identifiers import NIL, canonical_uuid, check_cid
from .moments import DAY_US, duration_ns, nanoseconds
from .retrieval import EVENTS, PHASES

MACHINE = "lassie.retrieval"
SINGLE = 1
AGGREGATE = 2
PATHS = {"/v1/retrieval-events": SINGLE, "/v2/retrieval-events": AGGREGATE}
EVENT_BYTES_MAX = 24_000
"""What an event says at most, written as JSON: twice that, and the rest, must fit into an entry."""
ERROR_CHARS_MAX = 300
UINT64_MAX = 2**64 - 1
ZERO_TIME_NS = -62_135_596_800 * 10**9
"""Go's zero time, the first of January of the year 1: a time that is not there."""

_EVENT_NAMES = {name.replace("_", "-"): name for name in EVENTS}
# What the eventDetails of Lassie's own events hold that adds up.
_COUNTS = {
    "candidates_found": ("candidateCount", "candidates"),
    "candidates_filtered": ("candidateCount", "candidates"),
    "success": ("receivedSize", "bytes"),
    "block_received": ("byteCount", "bytes"),
}
_FAILURES = ("failed", "failed_retrieval")
_RECEIVED = "indexerCandidatesReceived"
_FILTERED = "indexerCandidatesFiltered"
_GIVEN = {
    "str | null": "text",
    "int | null": "a whole number",
    "bool | null": "true or false",
    "array | null": "a list",
    "object | null": "an object",
    "object": "an object",
    "str": "text",
}
_WHERE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?\Z", re.DOTALL)
_EXPECTED = re.compile(r"Expected `([^`]*)`, got `([^`]*)`\Z")


_NO_DETAILS = msgspec.Raw(b"null")


class Response(NamedTuple):
    """What the recorder answers, and the items of what it took (warnings among them)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    items: tuple[Item, ...] = ()


class Refused(ValueError):
    """A batch that is not taken: where, and why."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}" if place else why)
        self.place = place
        self.why = why


class _Single(msgspec.Struct, rename="camel", gc=False):
    """An event of version 1, as it is written."""

    retrieval_id: str | None = None
    instance_id: str | None = None
    cid: str | None = None
    storage_provider_id: str | None = None
    phase: str | None = None
    phase_start_time: str | None = None
    event_name: str | None = None
    event_time: str | None = None
    event_details: msgspec.Raw = _NO_DETAILS


class _Singles(msgspec.Struct, gc=False):
    events: list[_Single] | None = None


class _Attempt(msgspec.Struct, rename="camel", gc=False):
    error: str | None = None
    time_to_first_byte: str | None = None
    bytes_transferred: int | None = None
    protocol: str | None = None


class _Aggregate(msgspec.Struct, rename="camel", gc=False):
    """An event of version 2, as it is written."""

    retrieval_id: str | None = None
    instance_id: str | None = None
    root_cid: str | None = None
    url_path: str | None = None
    storage_provider_id: str | None = None
    time_to_first_byte: str | None = None
    time_to_first_indexer_result: str | None = None
    bandwidth: int | None = None
    bytes_transferred: int | None = None
    success: bool | None = None
    start_time: str | None = None
    end_time: str | None = None
    indexer_candidates_received: int | None = None
    indexer_candidates_filtered: int | None = None
    protocols_allowed: list[str] | None = None
    protocols_attempted: list[str] | None = None
    protocol_succeeded: str | None = None
    retrieval_attempts: dict[str, _Attempt | None] | None = None


class _Aggregates(msgspec.Struct, gc=False):
    events: list[_Aggregate] | None = None


_DECODERS: Mapping[int, msgspec.json.Decoder[Any]] = {
    SINGLE: msgspec.json.Decoder(_Singles),
    AGGREGATE: msgspec.json.Decoder(_Aggregates),
}
# Numbers in eventDetails keep their digits: a float becomes the text that it was written as.
_ANY = msgspec.json.Decoder(float_hook=lambda digits: msgspec.Raw(digits.encode()))
_CANONICAL = msgspec.json.Encoder(order="sorted")
_ENCODE = msgspec.json.Encoder().encode


def respond(method: str, path: str, content_type: str, body: bytes, now: int) -> Response:
    """Return what the recorder answers to a request.

    200 with the items of what is to be recorded; 400 with the reason, and nothing is; 404, 405.
    """
    path = path.partition("?")[0]
    if path == "/ready":
        if method == "GET":
            return Response(200, {}, b"")
        return Response(405, {"Allow": "GET"}, b"")
    version = PATHS.get(path)
    if version is None:
        return _told(404, "there is nothing here")
    if method != "POST":
        return Response(405, {"Allow": "POST"}, b"")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return _told(400, f"content type {content_type[:80]!a}: only application/json is taken")
    try:
        events = read_batch(version, body, now)
    except Refused as refusal:
        return _told(400, str(refusal))
    return Response(200, {}, b"", tuple(beginning(events, set())))


def _told(status: int, why: str) -> Response:
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{why}\n".encode())


def beginning(items: Iterable[Item], begun: set[str]) -> Iterator[Item]:
    """Yield items, and before the first of each instance not yet in `begun` that it begins."""
    for item in items:
        if type(item) is Event and item.instance not in begun:
            begun.add(item.instance)
            key = item.instance.partition("/")[2]
            yield Begin(MACHINE, key, at=item.at, once="begin", place=item.place)
        yield item


def read_batch(version: int, body: bytes, now: int, place: str = "") -> list[Item]:
    """Return the events of one batch, and warnings of what is odd. Raises Refused.

    `place` says where the batch stands; the items' places begin with it.
    """
    try:
        events = _DECODERS[version].decode(body).events
    except RecursionError:
        raise Refused(place, "nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _undecodable(error, place) from None
    if not events:
        raise Refused(place, "events is required, at least one")
    prefix = f"{place}, events[" if place else "events["
    take: Callable[..., list[Item]] = _single if version == SINGLE else _aggregate
    items: list[Item] = []
    for index, event in enumerate(events):
        items += take(event, f"{prefix}{index}]", now)
    return items


def _undecodable(error: Exception, place: str) -> Refused:
    """Return the refusal of what does not decode, with its member in place of a JSON path."""
    match = _WHERE.match(str(error))
    what, member = match.groups() if match else (str(error), None)
    expected = _EXPECTED.match(what)
    if expected:
        wanted, got = (_GIVEN.get(name, name) for name in expected.groups())
        what = f"expected {wanted}, got {got}"
    if isinstance(error, UnicodeDecodeError):
        what = "not UTF-8"
    return Refused(", ".join(part for part in (place, member) if part), what)


def _single(event: _Single, place: str, now: int) -> list[Item]:
    """Return the item of a version 1 event, after a warning if it is ahead of `now`."""
    retrieval = _retrieval(event.retrieval_id, place)
    instance = event.instance_id or _required(event.instance_id, place, "instanceId")
    cid = event.cid or _required(event.cid, place, "cid")
    phase = event.phase or _required(event.phase, place, "phase")
    if phase not in PHASES:
        raise Refused(f"{place}.phase", f"{phase[:80]!a} is none of {', '.join(PHASES)}")
    limit_ns = (now + DAY_US) * 1000
    phase_start_ns = _moment(event.phase_start_time, place, "phaseStartTime", limit_ns)
    written = event.event_name or _required(event.event_name, place, "eventName")
    name = _EVENT_NAMES.get(written)
    if name is None:
        raise Refused(
            f"{place}.eventName", f"{written[:80]!a} is none of {', '.join(_EVENT_NAMES)}"
        )
    event_ns = _moment(event.event_time, place, "eventTime", limit_ns)
    try:
        check_cid(cid)
    except ValueError as error:
        raise Refused(f"{place}.cid", str(error)) from None
    provider = event.storage_provider_id or ""
    params: dict[str, Any] = {
        "cid": cid,
        "provider": provider,
        "phase": phase,
        "phase_start_ns": phase_start_ns,
        "event_ns": event_ns,
    }
    details = None
    raw = event.event_details
    if raw is not _NO_DETAILS and raw != _NO_DETAILS:
        details = _details(raw, name, params, f"{place}.eventDetails")
        params["details"] = details
    said = (name, instance, cid, provider, phase, phase_start_ns, event_ns, details)
    once = _digest(said, place)
    at = _at(event_ns)
    item = Event(f"{MACHINE}/{retrieval}", name, params, at, instance, once=once, place=place)
    ahead_us = max(event_ns, phase_start_ns) // 1000 - now
    return [item] if ahead_us <= 0 else [_ahead(ahead_us, place), item]


def _aggregate(event: _Aggregate, place: str, now: int) -> list[Item]:
    """Return the item of a version 2 event, after a warning if it is ahead of `now`."""
    retrieval = _retrieval(event.retrieval_id, place)
    instance = event.instance_id or _required(event.instance_id, place, "instanceId")
    start_ns = _moment(event.start_time, place, "startTime")
    end_ns = _moment(event.end_time, place, "endTime")
    if end_ns < start_ns:
        raise Refused(f"{place}.endTime", "it is before startTime")
    if event.root_cid:
        try:
            check_cid(event.root_cid)
        except ValueError as error:
            raise Refused(f"{place}.rootCid", str(error)) from None
    summary: dict[str, Any] = {
        "root_cid": event.root_cid or "",
        "url_path": event.url_path or "",
        "provider": event.storage_provider_id or "",
        "success": event.success or False,
        "start_ns": start_ns,
        "end_ns": end_ns,
        "bandwidth": _whole(event.bandwidth, place, "bandwidth", 0, UINT64_MAX),
        "bytes": _whole(event.bytes_transferred, place, "bytesTransferred", 0, UINT64_MAX),
        "candidates_found": _whole(event.indexer_candidates_received, place, _RECEIVED),
        "candidates_filtered": _whole(event.indexer_candidates_filtered, place, _FILTERED),
        "protocols_allowed": event.protocols_allowed or [],
        "protocols_attempted": event.protocols_attempted or [],
        "protocol_succeeded": event.protocol_succeeded or "",
        "attempts": _attempts(event.retrieval_attempts or {}, f"{place}.retrievalAttempts"),
    }
    _duration(event.time_to_first_byte, summary, "first_byte_after_ns", f"{place}.timeToFirstByte")
    where = f"{place}.timeToFirstIndexerResult"
    _duration(event.time_to_first_indexer_result, summary, "first_candidate_after_ns", where)
    once = _digest(("summarised", instance, sorted(summary.items())), place)
    item = Event(
        f"{MACHINE}/{retrieval}",
        "summarised",
        {"told": summary},
        _at(end_ns),
        instance,
        once=once,
        place=place,
    )
    ahead_us = end_ns // 1000 - now
    return [item] if ahead_us <= 0 else [_ahead(ahead_us, place), item]


def _attempts(attempts: Mapping[str, _Attempt | None], place: str) -> dict[str, Any]:
    told = {}
    for provider in sorted(attempts):
        attempt = attempts[provider]
        where = f"{place}.{provider[:80]}"
        if attempt is None:
            raise Refused(where, "null: an attempt has a value")
        one: dict[str, Any] = {
            "protocol": attempt.protocol or "",
            "error": attempt.error or "",
            "bytes": _whole(attempt.bytes_transferred, where, "bytesTransferred", 0, UINT64_MAX),
        }
        _duration(
            attempt.time_to_first_byte, one, "first_byte_after_ns", f"{where}.timeToFirstByte"
        )
        told[provider] = one
    return told


def _retrieval(text: str | None, place: str) -> str:
    """Return the retrieval's UUID in its one form."""
    try:
        retrieval = canonical_uuid(text or _required(text, place, "retrievalId"))
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"{place}.retrievalId", str(error)) from None
    if retrieval == NIL:
        raise Refused(f"{place}.retrievalId", "the zero UUID names no retrieval")
    return retrieval


def _required(text: str | None, place: str, member: str) -> str:
    if not text:
        raise Refused(f"{place}.{member}", "required, and not there" if text is None else "empty")
    return text


def _moment(text: str | None, place: str, member: str, limit_ns: int | None = None) -> int:
    """Return a required time in nanoseconds, at most `limit_ns`."""
    try:
        moment = nanoseconds(text or _required(text, place, member))
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"{place}.{member}", str(error)) from None
    if moment == ZERO_TIME_NS:
        raise Refused(f"{place}.{member}", "the zero time is no time")
    if limit_ns is not None and moment > limit_ns:
        raise Refused(f"{place}.{member}", "more than 24 hours in the future")
    return moment


def _at(moment_ns: int) -> int | None:
    """Return the time of an entry in microseconds, or None where no tape's time reaches."""
    at = moment_ns // 1000
    return at if -TIME_MAX_US <= at <= TIME_MAX_US else None


def _ahead(ahead_us: int, place: str) -> Note:
    return Note(place, f"{show_duration(ahead_us)} ahead of this clock", warning=True)


def _whole(
    value: int | None, place: str, member: str, low: int = -(2**63), high: int = 2**63 - 1
) -> int:
    """Return a number in the bounds of its type in Go; absent, zero."""
    if value is not None and not low <= value <= high:
        raise Refused(f"{place}.{member}", f"not from {low} to {high}")
    return value or 0


def _duration(text: str | None, into: dict[str, Any], name: str, place: str) -> None:
    """Put a duration into a record, if there is one."""
    if text:
        try:
            into[name] = duration_ns(text)
        except ValueError as error:
            raise Refused(place, str(error)) from None


def _details(raw: msgspec.Raw, name: str, params: dict[str, Any], place: str) -> str:
    """Return details as canonical JSON, and put what adds up beside them into the parameters."""
    try:
        details = _ANY.decode(raw)
        text = _CANONICAL.encode(details).decode()
    except RecursionError:
        raise Refused(place, "nested too deeply") from None
    except UnicodeDecodeError:
        raise Refused(place, "not UTF-8") from None
    except msgspec.DecodeError as error:
        raise Refused(place, str(error)) from None
    if type(details) is dict:
        if name in _COUNTS:
            member, param = _COUNTS[name]
            count = details.get(member)
            if type(count) is int and 0 <= count <= UINT64_MAX:
                params[param] = count
        elif name in _FAILURES:
            error_text = details.get("error")
            if type(error_text) is str and error_text:
                params["error"] = error_text[:ERROR_CHARS_MAX]
    return text


def _digest(said: tuple[Any, ...], place: str) -> str:
    """Return the idempotency key of an event: it is the same only for the same event."""
    written = _ENCODE(said)
    if len(written) > EVENT_BYTES_MAX:
        why = f"{len(written)} bytes of JSON; an event is recorded with at most {EVENT_BYTES_MAX}"
        raise Refused(place, why)
    return hashlib.blake2b(written, digest_size=16).hexdigest()
