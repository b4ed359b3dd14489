"""Files of batches: one document, one per line, one after the other, and broken ones among them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.engine import catalogue
from statetape.fsm.importing import Begin, Event, Note
from statetape.specs.lassie.documents import documents
from statetape.specs.lassie.imports import IMPORTERS

from .batches import NOW, RETRIEVAL, aggregate, batch, single

LASSIE = IMPORTERS["lassie"]


def told(source):
    """Return what a file says: events by name, and notes by place."""
    items = list(LASSIE.as_of(NOW).items(source, catalogue.machine))
    names = [item.event for item in items if isinstance(item, Event)]
    return names, [(item.place, item.message) for item in items if isinstance(item, Note)]


def pretty(*events):
    """Return a batch over many lines."""
    return json.dumps({"events": events}, indent=2).encode()


STARTED, FAILED = single(), single(eventName="failed", eventDetails={"error": 'a } {"events" ] "b'})


@pytest.mark.parametrize(
    "source",
    [
        batch(STARTED) + b"\n" + batch(FAILED) + b"\n",
        batch(STARTED) + b"\r\n\r\n" + batch(FAILED),
        batch(STARTED) + batch(FAILED),
        batch(STARTED) + b" " + batch(FAILED) + b"\n\n",
        pretty(STARTED) + b"\n" + pretty(FAILED),
        pretty(STARTED) + pretty(FAILED),
        pretty(FAILED) + batch(STARTED) + b"\n",
        batch(STARTED, FAILED),
        pretty(STARTED, FAILED),
        b"\xef\xbb\xbf" + pretty(STARTED, FAILED),
        b"\xef\xbb\xbf" + batch(STARTED) + b"\n" + batch(FAILED),
        b"\n  " + pretty(STARTED, FAILED) + b"\n",
    ],
)
def test_batches_however_they_stand_in_a_file(source):
    """Every document is found, whatever its texts hold."""
    names, notes = told(source)

    assert (sorted(names), notes) == (["failed", "started"], [])


def test_both_versions_in_one_file():
    """Each batch is what its members say."""
    names, notes = told(batch(aggregate()) + b"\n" + batch(single()) + b"\n")

    assert (names, notes) == (["summarised", "started"], [])


def test_details_do_not_make_a_single_event_an_aggregate():
    """Whatever they are called."""
    names, notes = told(batch(single(eventDetails={"startTime": 1, "endTime": 2})))

    assert (names, notes) == (["started"], [])


def test_an_instance_begins_once_in_a_file():
    """Also if its events stand in many batches."""
    source = batch(STARTED) + b"\n" + batch(FAILED)
    items = list(LASSIE.as_of(NOW).items(source, catalogue.machine))

    assert [item.key for item in items if isinstance(item, Begin)] == [RETRIEVAL]


@pytest.mark.parametrize(
    ("source", "places"),
    [
        (b"", []),
        (b" \n\n", []),
        (b"x", ["line 1"]),
        (b"\n\nx\n", ["line 3"]),
        (b"{}", ["line 1"]),
        (b"[]\n{}\n1\n", ["line 1", "line 2", "line 3"]),
        (batch(STARTED)[:-1], ["line 1"]),
        (batch(STARTED)[:-30] + b"\n" + batch(FAILED), ["line 1"]),
        (batch(FAILED) + b"\n" + batch(STARTED)[:-30], ["line 2"]),
        (batch(FAILED) + b"\n" + batch(STARTED)[:-30] + b"\n" + batch(FAILED) + b"\n", ["line 2"]),
        (
            batch(STARTED)[:-3] + b"\n" + batch(STARTED)[:-50] + b"\n" + batch(FAILED),
            ["line 1", "line 2"],
        ),
        (pretty(STARTED)[:-30] + b"\n" + pretty(FAILED) + b"\n" + batch(FAILED), ["line 1"]),
        (pretty(STARTED).replace(b"{", b"{,") + b"\n" + pretty(FAILED), ["line 1"]),
        (b"}\n" + pretty(FAILED), ["line 1"]),
        (batch(single(cid="fish")) + b"\n" + batch(FAILED), ["line 1, events[0].cid"]),
        (batch(FAILED) + b"\n\n" + batch(FAILED, single(phase="")), ["line 3, events[1].phase"]),
        (b'{"events":' + b"[" * 100_000 + b"\n" + batch(FAILED), ["line 1"]),
        (batch(STARTED).replace(b"node-1", b"\xff") + b"\n" + batch(FAILED), ["line 1"]),
        (batch(STARTED).replace(b'"node-1"', b"NaN") + b"\n" + batch(FAILED), ["line 1"]),
        (b'{"events":[{"cid":"\n' + batch(FAILED) + b"\n" + batch(FAILED), ["line 1"]),
    ],
)
def test_what_is_broken_is_said_and_the_rest_is_read(source, places):
    """By the line where the document begins; a refused batch is left out whole."""
    names, notes = told(source)
    good = source.count(batch(FAILED)) + source.count(pretty(FAILED))

    assert [place for place, _ in notes] == places
    assert all(message for _, message in notes)
    assert names == ["failed"] * good


def test_a_warning_leaves_nothing_out():
    """It has the place of its event."""
    source = batch(single(eventTime="2023-11-14T22:13:21Z"))
    items = list(LASSIE.as_of(NOW).items(source, catalogue.machine))
    [warning] = [item for item in items if isinstance(item, Note)]

    assert (warning.place, warning.warning) == ("line 1, events[0]", True)
    assert [item.place for item in items if isinstance(item, Event)] == ["line 1, events[0]"]


@given(
    st.lists(st.sampled_from([batch(STARTED), pretty(FAILED), b"{", b'"', b"}", b"\n", b" "])),
)
def test_no_mixture_loses_a_byte(parts):
    """What is found, broken or not, is the file in its order, less the white space between."""
    source = b"".join(parts)
    found = list(documents(source))

    at = 0
    for document in found:
        start = source.index(document.body, at)
        assert not source[at:start].strip()
        assert document.line == 1 + source.count(b"\n", 0, start)
        at = start + len(document.body)
    assert not source[at:].strip()


def test_a_file_of_broken_documents_is_read_in_linear_time():
    """Each one is looked at once or twice, not with everything after it."""
    one = batch(STARTED)[:-30] + b"\n"
    found = list(documents(one * 2000))

    assert len(found) == 2000
    assert all(document.problem for document in found)
