"""A log onto a tape: what was refused is refused again, by the machine that it was read as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from statetape.engine import catalogue
from statetape.engine.engine import Engine
from statetape.engine.importing import import_foreign
from statetape.engine.inspect import Inspector
from statetape.engine.replay import Replayer
from statetape.engine.whatif import Changes, what_if
from statetape.fsm.entry import decode
from statetape.fsm.moments import parse_time
from statetape.specs.golog.imports import IMPORTERS

LOGS = Path(__file__).parent / "logs"
LINE = (
    "2021-07-13T09:13:20.035Z\tERROR\tfsm\tfsm/fsm.go:92\tExecuting event planner failed: "
    "Invalid transition in queue, state `0`, event `4`:\n"
    "    github.com/filecoin-project/go-statemachine/fsm.eventProcessor.Apply\n"
    "        go-statemachine/fsm/eventprocessor.go:137\n"
)
LOOKUP = (
    '{"level":"error","error":"No state for /1626167599029: datastore: key not found",'
    '"time":"2021-07-13T09:13:20Z","message":"attempting to configure data store"}\n'
)


class Log:
    """A tape, and logs that are imported onto it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "node.log"
        self.engine = Engine.open(folder / "t.db")

    def take(self, text):
        """Import a log: a file, or what one holds."""
        if isinstance(text, Path):
            text = text.read_bytes()
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_foreign(self.engine, IMPORTERS["go-log"], self.file)

    def entries(self, name):
        """Return the commands that an instance was sent, and what became of them."""
        pos = self.engine.world.instance(name).pos
        bodies = map(decode, self.engine.tape.read(), iter(lambda: "test", None))
        return [entry for entry in bodies if pos in (entry.instance, entry.pos)]

    def outcomes(self, name):
        """Return event and kind of refusal of all but the beginning."""
        told = self.entries(name)[1:]
        return [(entry.event, (entry.reason or {}).get("kind")) for entry in told]

    def names(self):
        """Return the instances on the tape, in the order of their beginnings."""
        bodies = map(decode, self.engine.tape.read(), iter(lambda: "test", None))
        return [entry.create for entry in bodies if entry.create]

    def story(self, key):
        """Return what is known of a story."""
        return self.engine.world.instance(f"golog.story/{key}").data


@pytest.fixture
def log(tmp_path):
    """An empty tape."""
    made = Log(tmp_path)
    yield made
    made.engine.close()


def test_13_10_of_test_map_field_selector(log):
    """pop's provider in Ongoing was told Complete, which it takes later; the deal is known."""
    log.take(LOGS / "TestMapFieldSelector.log")
    name = "golog.pop_retrieval_provider_before_b74d8aa/1623434925932.DealStatusOngoing"
    begun, refused = log.entries(name)

    assert begun.to == "DealStatusOngoing"
    assert begun.at == parse_time("2021-06-11T18:08:46.937Z")
    assert (refused.event, refused.params) == ("ProviderEventComplete", None)
    assert refused.reason["kind"] == "no_transition"
    assert refused.reason["accepted_in"] == ["DealStatusBlocksComplete", "DealStatusFinalizing"]
    assert "ProviderEventBlocksCompleted" in refused.reason["accepts"]


def test_0_4_of_test_multiple_get(log):
    """Two deals, each refused twice; the lines of one deal differ by a millisecond."""
    log.take(LOGS / "TestMultipleGet.log")

    for deal in ("1623943149477", "1623943149478"):
        name = f"golog.pop_retrieval_provider/{deal}.DealStatusNew"
        assert log.outcomes(name) == [("ProviderEventBlockSent", "no_transition")] * 2
        assert log.story(deal)["refusals"] == 2


def test_6_27_of_test_multi_tx(log):
    """The second deal's client was told Complete while still in Accepted."""
    log.take(LOGS / "TestMultiTx.log")

    assert log.names() == [
        "golog.story/1626167599029",
        "golog.pop_retrieval_provider/1626167599029.DealStatusNew",
        "golog.story/1626167599030",
        "golog.pop_retrieval_provider/1626167599030.DealStatusNew",
        "golog.pop_retrieval_client_at_seed_issues/1626167599030.DealStatusAccepted",
    ]
    assert log.outcomes(log.names()[4]) == [("ClientEventComplete", "no_transition")]
    assert list(log.story("1626167599030")["instances"]) == log.names()[3:]


@pytest.mark.parametrize("name", ["TestMapFieldSelector", "TestMultiTx", "TestMultipleGet"])
def test_a_second_import_adds_nothing(log, name):
    """And every outcome follows from what was recorded."""
    first = log.take(LOGS / f"{name}.log")
    again = log.take(LOGS / f"{name}.log")

    assert first.added > 0
    assert (again.added, again.duplicates) == (0, first.added)
    assert Replayer().run(log.engine.tape.read()).difference is None


def test_the_same_line_twice_is_two_events(log):
    """In one millisecond, word for word: a file tells them apart by their order."""
    log.take(LOOKUP + LINE * 2)

    name = "golog.pop_retrieval_provider/1626167599029.DealStatusNew"
    assert log.outcomes(name) == [("ProviderEventBlockSent", "no_transition")] * 2


@pytest.mark.parametrize("name", ["TestMultiTx", "TestMultipleGet"])
def test_a_log_that_grew_adds_what_is_new(log, name):
    """Cut anywhere, also within a line, and imported as it grows: the end is the same."""
    whole = (LOGS / f"{name}.log").read_bytes()
    for cut in range(0, len(whole) + 190, 190):
        part = whole[:cut]
        log.take(part[: part.rfind(b"\n") + 1])
    grown = log.take(whole)
    expected = {one: log.outcomes(one) for one in log.names()}

    assert grown.added == 0
    assert expected == fresh(log, whole)


def fresh(log, whole):
    """Return the outcomes of every instance when the log is imported at once."""
    folder = log.file.parent / "fresh"
    folder.mkdir()
    other = Log(folder)
    with other.engine:
        other.take(whole)
        return {one: other.outcomes(one) for one in other.names()}


def test_a_log_whose_beginning_was_removed_adds_nothing_twice(log):
    """Rotated away, say: the lines are known by what they say, not by where they stand."""
    whole = (LOGS / "TestMultiTx.log").read_bytes()
    log.take(whole)
    second = whole.index(b'{"level"', 10)

    assert log.take(whole[second:]).added == 0


@pytest.mark.parametrize(
    ("newer", "end"),
    [
        ("pop.retrieval_client", "DealStatusCheckComplete"),
        ("pop.retrieval_client_at_seed_issues", "DealStatusAccepted"),
    ],
    ids=["today's", "the same"],
)
def test_a_newer_table_takes_what_was_refused(log, newer, end):
    """What if: the client of today takes Complete in Accepted. So the log's race is over."""
    log.take(LOGS / "TestMultiTx.log")
    name = log.names()[4]
    log.engine.close()
    with Inspector.open(log.file.parent / "t.db") as inspector:
        found = what_if(inspector, name, Changes(machine=catalogue.machine(newer)))

    assert found.end.state == end


WRITTEN = {
    "console": LINE,
    "colours": LINE.replace("ERROR", "\x1b[31mERROR\x1b[0m"),
    "another zone": LINE.replace("09:13:20.035Z", "17:13:20.035+0800"),
    "zap as JSON": json.dumps(
        {
            "level": "error",
            "ts": "2021-07-13T09:13:20.035Z",
            "logger": "fsm",
            "caller": "fsm/fsm.go:92",
            "msg": LINE.partition("fsm.go:92\t")[2],
        }
    ),
    "zap as JSON, seconds": '{"level":"error","ts":1626167600.035,"msg":"Executing event planner '
    'failed: Invalid transition in queue, state `0`, event `4`:"}',
    "zerolog": '{"level":"error","error":"Invalid transition in queue, state `0`, event `4`",'
    '"time":"2021-07-13T09:13:20.035Z","message":"sending to the machine"}',
    "Windows": LINE.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_each_way_of_writing_is_read(log, how):
    """Console lines and JSON lines of zap, JSON lines of zerolog."""
    log.take(LOOKUP + WRITTEN[how])

    name = "golog.pop_retrieval_provider/1626167599029.DealStatusNew"
    assert log.outcomes(name) == [("ProviderEventBlockSent", "no_transition")]
    assert log.entries(name)[1].at == parse_time("2021-07-13T09:13:20.035Z")


def test_states_by_name_are_upstreams(log):
    """As boost printed it: the data of a retrieval that was cancelled is unsealed after all."""
    log.take(
        "2023-01-15T09:13:20.035Z\tERROR\tfsm\tfsm/fsm.go:92\tExecuting event planner failed: "
        "Invalid transition in queue, state `DealStatusCancelling`, event `12`:\n"
    )
    [_, name] = log.names()

    assert name.startswith("golog.gfm_retrieval_provider/")
    assert log.outcomes(name) == [("ProviderEventUnsealComplete", "no_transition")]


PLANNER = "2021-07-13T09:13:20.035Z\tERROR\tfsm\tfsm/fsm.go:92\t"
STEP = "2021-07-13T09:13:20.035Z\tERROR\tevtsm\tgo-statemachine/machine.go:99\t"


@pytest.mark.parametrize(
    ("line", "event", "params"),
    [
        (f"{STEP}executing step: no such channel", "Stuck", {"error": "no such channel"}),
        (
            '{"level":"error","error":"Unknown event `11`","message":"sending"}',
            "Unsent",
            {"wrong": "Unknown event", "printed_event": "11"},
        ),
        (
            f"{PLANNER}Wrong number of arguments for event `7`",
            "Unsent",
            {"wrong": "Wrong number of arguments for event", "printed_event": "7"},
        ),
        (
            f"{PLANNER}Executing event planner failed: Error applying event transition `9`: nil",
            "ActionFailed",
            {"printed_event": "9", "error": "nil"},
        ),
        (
            f"{PLANNER}Executing event planner failed: badger: disk full",
            "Stopped",
            {"error": "badger: disk full"},
        ),
        ('{"level":"warn","err":"normal shutdown of state machine","msg":"send"}', "Ended", {}),
        (f"{STEP}Executing event planner failed: state machine terminated", "Ended", {}),
    ],
    ids=["stuck", "unknown", "arguments", "action", "stopped", "ended", "terminated"],
)
def test_what_else_go_statemachine_says_is_told_in_the_deals_story(log, line, event, params):
    """Each has an event of its own, whose title says what it means."""
    log.take(LOOKUP + line)
    told = log.entries("golog.story/1626167599029")[-1]

    assert told.event == event
    assert {name: told.params.get(name) for name in params} == params
    assert told.params["said"].replace("\t", " ")[:40] == line.replace("\t", " ")[:40]


def test_an_event_that_no_machine_took_is_named(log):
    """Numbers that a machine has in its enumeration and never declares."""
    log.take('{"level":"error","error":"Unknown event `11`","message":"sending"}')
    [story] = log.names()

    assert (
        "pop.retrieval_provider: ProviderEventUnsealError" in log.entries(story)[1].params["may_be"]
    )


def test_a_look_up_says_what_it_is_and_when_the_node_started(log):
    """Its number is the deal's ID, and a time in milliseconds."""
    log.take(LOOKUP)
    told = log.entries("golog.story/1626167599029")[1]

    assert told.event == "LookedUp"
    assert told.params["begun"] == parse_time("2021-07-13T09:13:19.029Z")


def test_lines_that_no_deal_is_near_are_one_story_as_long_as_they_go_on(log):
    """Of one machine and one state, each within a minute of the one before."""
    later = LINE.replace("09:13", "09:14")
    much_later = LINE.replace("09:13", "09:20")
    log.take(LINE + later + much_later)
    first, second = log.names()[::2]

    assert log.story(first.partition("/")[2])["refusals"] == 2
    assert log.story(second.partition("/")[2])["refusals"] == 1


def test_a_look_up_reaches_no_further_than_a_minute_and_its_test(log):
    """What comes much later, or in another test, is of another deal."""
    much_later = LINE.replace("09:13", "09:20")
    log.take(LOOKUP + much_later + LOOKUP + "=== RUN   TestOther\n" + LINE)

    assert log.story("1626167599029")["refusals"] == 0


def test_what_no_table_can_have_printed_is_kept_undecided(log):
    """With why each table cannot."""
    log.take(LOOKUP + LINE.replace("`4`", "`99`"))
    told = log.entries("golog.story/1626167599029")[-1]

    assert told.event == "Undecided"
    assert "pop.retrieval_provider: it has no event 99" in told.params["excluded"]


def test_a_log_that_repeats_itself_for_ever_is_one_story(log):
    """As lotus wrote them: the pair's reading is said once, each line is an event."""
    pairs = [("21", 3), ("4", 4)] * 100
    lines = [
        f"2021-07-08T18:28:43.{number:03}Z\tERROR\tfsm\tfsm/fsm.go:92\tExecuting event planner "
        f"failed: Invalid transition in queue, state `2`, event `{event}`:\n"
        for number, (event, _) in enumerate(pairs)
    ]
    log.take("".join(lines))
    story, machine = log.names()
    reads = [entry for entry in log.entries(story) if entry.event == "Read"]

    assert machine.startswith("golog.dt_channel_v1_7_0/")
    assert len(log.outcomes(machine)) == 200
    assert len(reads) == 2
