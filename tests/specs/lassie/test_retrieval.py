"""The machine: what reports add up to, whichever order they come in."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.engine import catalogue
from statetape.fsm.check import check
from statetape.fsm.decide import ACCEPTED, Moment, create, decide
from statetape.specs.lassie.retrieval import EVENTS, PHASES
from statetape.specs.lassie.retrieval import FUNCTIONS as CALL

from .batches import AGGREGATE, CID, PROVIDER, RETRIEVAL, aggregate, events_of, post, single

MACHINE = catalogue.machine("lassie.retrieval")
OTHER = PROVIDER.replace("H", "J")


class Life:
    """One retrieval, told of events."""

    def __init__(self, *events, version=1):
        self.state = MACHINE.initial
        self.data = create(MACHINE, {}, self.moment()).data
        self.tell(*events, version=version)

    def moment(self):
        return Moment(0, None, RETRIEVAL, self.state, None)

    def tell(self, *events, version=1):
        """Let the machine decide events; all are accepted."""
        for item in events_of(post(*events, version=version)) if events else ():
            self.take(item.event, item.params)
        return self

    def take(self, event, params):
        decision = decide(MACHINE, event, self.state, self.data, {}, params, self.moment())
        assert decision.outcome == ACCEPTED, decision.reason
        self.state = decision.to or self.state
        self.data = decision.data

    @property
    def figures(self):
        """Return the ledger."""
        moment = self.moment()
        return {name: figure.call(self.data, {}, moment) for name, figure in MACHINE.ledger}


def at(second, name, provider=PROVIDER, phase="retrieval", **more):
    """Return an event so many seconds into the retrieval."""
    time = f"2023-03-02T00:15:{second:02d}.000000001Z"
    start = {"phaseStartTime": "2023-03-02T00:15:00Z", "eventTime": time}
    return single(eventName=name, storageProviderId=provider, phase=phase, **(start | more))


def test_the_machine_is_sound():
    """Every state has a way out, and says what it waits for and why it has no deadline."""
    assert check(MACHINE) == []
    assert [s.name for s in MACHINE.states.values() if not s.final and not s.expects] == []
    assert [s.name for s in MACHINE.states.values() if not s.final and not s.no_deadline] == []


def test_every_event_is_declared():
    """By the name that it is told by."""
    assert set(EVENTS) | {"summarised", "close"} == set(MACHINE.events)


def test_a_retrieval_from_the_indexer_to_success():
    """One provider fails, another delivers; the figures say so."""
    life = Life(
        at(1, "started-finding-candidates", "", "indexer"),
        at(2, "candidates-found", "", "indexer", eventDetails={"candidateCount": 2}),
        at(3, "candidates-found", "", "indexer", eventDetails={"candidateCount": 1}),
        at(4, "candidates-filtered", "", "indexer", eventDetails={"candidateCount": 2}),
    )
    states = [life.state]
    for event in (
        at(5, "started-retrieval"),
        at(6, "failed-retrieval", eventDetails={"error": "failed to dial"}),
        at(7, "started-retrieval", OTHER),
        at(8, "first-byte-received", OTHER),
        at(9, "block-received", OTHER, eventDetails={"byteCount": 600}),
        at(10, "success", OTHER, eventDetails={"receivedSize": 700}),
        at(11, "finished", ""),
    ):
        states.append(life.tell(event).state)

    assert states == [
        *["searching", "trying", "exhausted", "trying", "receiving", "receiving"],
        *["succeeded", "succeeded"],
    ]
    assert life.figures == {
        "candidates_found": 3,
        "candidates_filtered": 2,
        "providers_tried": 2,
        "providers_failed": 1,
        "first_byte_after_ns": 8 * 10**9 + 1,
        "bytes": 700,
    }
    assert life.data["root_cid"] == CID
    assert life.data["parties"][PROVIDER]["error"] == "failed to dial"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        *[(name, "trying") for name in ("started", "started-retrieval", "connected-to-provider")],
        *[(name, "trying") for name in ("query-asked", "query-asked-filtered")],
        *[(name, "trying") for name in ("proposed", "accepted")],
        *[(name, "receiving") for name in ("first-byte-received", "block-received")],
        *[(name, "exhausted") for name in ("failed", "failed-retrieval")],
        ("success", "succeeded"),
        ("finished", "failed"),
        *[(name, "searching") for name in ("candidates-found", "candidates-filtered")],
        *[(name, "searching") for name in ("started-finding-candidates", "started-fetch")],
    ],
)
def test_where_one_event_about_a_provider_leads(name, state):
    """From the beginning; every event has its place."""
    assert Life(single(eventName=name)).state == state


def test_failed_of_one_provider_does_not_end_the_retrieval():
    """Neither while another is at it nor when it is the last; finished does."""
    life = Life(at(1, "started"), at(1, "first-byte-received", OTHER))

    assert life.tell(at(2, "failed")).state == "receiving"
    assert life.tell(at(3, "failed", OTHER)).state == "exhausted"
    assert life.tell(at(4, "started", OTHER + "x")).state == "trying"
    assert life.tell(at(5, "failed", OTHER + "x")).state == "exhausted"
    assert life.tell(at(6, "finished", "")).state == "failed"


def test_an_indexer_that_fails_before_any_provider_was_tried():
    """Nothing is left to wait for but another attempt."""
    life = Life(at(1, "started", "", "indexer"))

    assert life.state == "searching"
    assert life.tell(at(2, "failed", "", "indexer")).state == "exhausted"
    assert life.tell(at(3, "candidates-found", "", "indexer")).state == "searching"
    assert life.tell(at(4, "started")).state == "trying"
    assert life.tell(at(5, "failed", "", "indexer")).state == "trying"
    assert life.figures["providers_tried"] == 1


def test_success_after_finished_counts():
    """The word that it is over may come first."""
    life = Life(at(9, "finished", ""))

    assert life.state == "failed"
    assert life.tell(at(8, "success")).state == "succeeded"
    assert life.tell(at(9, "finished", "")).state == "succeeded"


def test_what_is_late_is_recorded_and_counts():
    """After the end: the figures grow, the state stays."""
    life = Life(at(9, "success", eventDetails={"receivedSize": 5}))
    life.tell(
        at(2, "candidates-found", "", "indexer", eventDetails={"candidateCount": 4}),
        at(3, "failed", OTHER),
        at(4, "first-byte-received"),
    )

    assert life.state == "succeeded"
    assert life.figures["candidates_found"] == 4
    assert (life.figures["providers_tried"], life.figures["providers_failed"]) == (2, 1)
    assert life.figures["first_byte_after_ns"] == 4 * 10**9 + 1


def test_an_older_event_of_a_provider_does_not_take_it_back():
    """It is where its newest event says."""
    life = Life(at(5, "first-byte-received"))

    assert life.tell(at(3, "accepted")).state == "receiving"
    assert life.data["parties"][PROVIDER]["event"] == "first_byte_received"
    assert life.tell(at(6, "failed")).tell(at(5, "block-received")).state == "exhausted"


def test_of_two_events_at_one_moment_the_later_step_counts():
    """Of phases, of events, and of two failures one and the same."""
    for events in itertools.permutations([at(5, "accepted"), at(5, "proposed")]):
        assert Life(*events).data["parties"][PROVIDER]["event"] == "accepted"
    for events in itertools.permutations([at(5, "failed", phase="query"), at(5, "started")]):
        assert Life(*events).state == "trying"
    errors = [at(5, "failed", eventDetails={"error": error}) for error in "ab"]
    for events in itertools.permutations(errors):
        assert Life(*events).data["parties"][PROVIDER]["error"] == "b"


def test_reports_without_a_provider_are_of_one_party():
    """Outside of the indexer's phase; the indexer's reports are its own, whoever is named."""
    life = Life(at(1, "started", ""), at(1, "started", PROVIDER, "indexer"))

    assert set(life.data["parties"]) == {"unnamed", "indexer"}
    assert life.figures["providers_tried"] == 1


def test_reports_that_differ_about_the_root_name_one_in_any_order():
    """The first in alphabetical order."""
    cids = [single(cid="QmTTA2daxGqo5denp6SwLzzkLJm3fuisYEi9CoWsuHpzfb"), single()]

    assert {Life(*order).data["root_cid"] for order in itertools.permutations(cids)} == {
        "QmTTA2daxGqo5denp6SwLzzkLJm3fuisYEi9CoWsuHpzfb"
    }


def test_a_summary_that_names_no_root_leaves_the_one_that_is_known():
    """Before it or after it."""
    nameless = aggregate(rootCid="")

    assert Life(single()).tell(nameless, version=2).data["root_cid"] == CID
    assert Life(nameless, version=2).tell(single()).data["root_cid"] == CID


def test_a_summary_alone():
    """Success or not, and its figures."""
    good = Life(aggregate(), version=2)
    bad = Life(aggregate(success=False), version=2)

    assert (good.state, bad.state) == ("succeeded", "failed")
    assert good.figures == {
        "candidates_found": 5,
        "candidates_filtered": 3,
        "providers_tried": 2,
        "providers_failed": 1,
        "first_byte_after_ns": 40_000_000,
        "bytes": 10_000,
    }
    assert bad.tell(aggregate(endTime="2023-03-02T00:15:50.08Z"), version=2).state == "succeeded"


def test_a_summary_and_single_events_complete_each_other():
    """The fuller account counts."""
    found = at(1, "candidates-found", "", "indexer", eventDetails={"candidateCount": 9})
    life = Life(found, at(2, "failed", OTHER), at(3, "failed", "Bitswap"))
    life.tell(aggregate(bytesTransferred=1), version=2)

    assert life.figures["candidates_found"] == 9
    assert life.figures["candidates_filtered"] == 3
    assert (life.figures["providers_tried"], life.figures["providers_failed"]) == (3, 2)
    assert life.figures["bytes"] == 1


def test_of_two_summaries_the_later_counts():
    """By their end; of the same end always the same one."""
    first, second = aggregate(), aggregate(endTime="2023-03-02T00:15:59Z", bandwidth=7)
    same = aggregate(bandwidth=8), aggregate(retrievalAttempts={}), aggregate(timeToFirstByte="")

    for order in itertools.permutations([first, second]):
        assert Life(*order, version=2).data["summary"]["bandwidth"] == 7
    ends = [Life(*order, version=2).data["summary"] for order in itertools.permutations(same)]
    assert all(end == ends[0] for end in ends)


def test_a_closed_retrieval_takes_nothing():
    """It is refused as such; before that nothing about a retrieval is final."""
    life = Life(at(1, "success"))
    life.take("close", {"reason": "a month has passed"})
    [late] = events_of(post(single()))
    refused = decide(MACHINE, late.event, life.state, life.data, {}, late.params, life.moment())

    assert life.state == "closed"
    assert refused.reason == {"kind": "terminated"}


REPORTS = st.builds(
    lambda second, name, provider, phase, count: at(
        second,
        name.replace("_", "-"),
        provider,
        phase,
        eventDetails={"candidateCount": count, "receivedSize": count, "error": f"e{count}"},
    ),
    st.integers(0, 4),
    st.sampled_from(EVENTS),
    st.sampled_from(["", PROVIDER, OTHER]),
    st.sampled_from(PHASES),
    st.integers(0, 2),
)
SUMMARIES = st.builds(
    lambda second, success, found, attempts: aggregate(
        endTime=f"2023-03-02T00:15:5{second}Z",
        success=success,
        indexerCandidatesReceived=found,
        retrievalAttempts=attempts,
    ),
    st.integers(1, 2),
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([{}, AGGREGATE["retrievalAttempts"], {PROVIDER: {"error": "x"}}]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(REPORTS, max_size=8), st.lists(SUMMARIES, max_size=2), st.randoms())
def test_the_order_in_which_reports_come_does_not_matter(reports, summaries, random):
    """State, data and figures are the same in every order."""
    told = [(event, 1) for event in reports] + [(event, 2) for event in summaries]
    ends = []
    for _ in range(3):
        life = Life()
        for event, version in told:
            life.tell(event, version=version)
        ends.append((life.state, life.data, life.figures))
        random.shuffle(told)

    assert ends[0] == ends[1] == ends[2]


def test_an_order_that_mattered_would_be_noticed():
    """The control: were the last report to come the newest, two orders would end differently."""

    def last_wins(parties, event, phase, provider, event_ns, error):
        return CALL["after"]({}, event, phase, provider, event_ns, error)

    ends = []
    for order in ((1, 2), (2, 1)):
        parties = {}
        for second in order:
            name = "failed" if second == 2 else "started"
            parties = last_wins(parties, name, "query", PROVIDER, second, None)
        ends.append(CALL["stage"](parties))

    assert ends[0] != ends[1]
