"""What-if: changed histories follow as they would have, unchanged ones give the recorded bytes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from statetape.engine.commands import InstanceUnknown, Send
from statetape.engine.inspect import Inspector, parse_point
from statetape.engine.playing import Insertion
from statetape.engine.recording import LINKS_DEEP_MAX
from statetape.engine.whatif import ChangeInvalid, Changes, what_if
from statetape.fsm.entry import decode, encode

from .lives import NAMES, live, steps
from .machines import COUNTER, LEASE, TRANSFER, Clock, machine, open_tape
from .test_replay import busy_tape

C, L, T = "test.counter/c", "test.lease/l", "test.transfer/t"


def asked(tape, name, **changes):
    """Return a what-if on a closed tape, which is the same afterwards."""
    if isinstance(changes.get("until"), str):
        changes["until"] = parse_point(changes["until"])
    before = fingerprint(tape)
    with Inspector.open(tape) as inspector:
        found = what_if(inspector, name, Changes(**changes))
    assert fingerprint(tape) == before
    return found


def fingerprint(tape):
    """Return what no what-if may change: size, root, and the projections."""
    with Inspector.open(tape) as inspector:
        size = inspector.reader.stored_size()
        ends = [(one.name, one.state, one.seq) for one in inspector.instances()]
        return size, inspector.reader.edge_at(size).root(), ends


def insert(before, event, **params):
    """Return one insertion, as a list of changes."""
    return [Insertion(before, event, params)]


def said(found):
    """Return every step in short: event, and what was decided on both sides."""
    return [
        (
            (step.recorded or step.decided).event,
            outcome(step.recorded),
            outcome(step.decided),
        )
        for step in found.steps
    ]


def outcome(entry):
    """Return an entry's outcome in a word, or None."""
    return (entry.outcome or "accepted") if entry else None


def positions(tape, name):
    """Return an instance's positions by event: the last of each."""
    with Inspector.open(tape) as inspector:
        return {entry.event: entry.pos for entry in inspector.history(name)}


@pytest.fixture(scope="module")
def overtaken(tmp_path_factory):
    """A transfer whose only block came before it was accepted, and was parked."""
    path = tmp_path_factory.mktemp("overtaken") / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "c")
        engine.create(TRANSFER, "t")
        engine.send(T, "block", {"size": 3})
        engine.send(C, "add", {"by": 1})
        engine.send(T, "accept")
        engine.send(T, "complete")
    return path


# nothing changed


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(what=steps)
def test_without_changes_the_recorded_bytes_come_back(tmp_path_factory, what):
    """Of random lives with batches, timers, heights, deferral, hand-overs: every byte."""
    tape = live(tmp_path_factory.mktemp("life") / "t.db", what)
    with Inspector.open(tape) as inspector:
        for name in NAMES:
            found = what_if(inspector, name, Changes())
            recorded = list(inspector.bodies(inspector.world.instance(name).pos))

            assert found.first_difference is None
            assert [encode(step.decided) for step in found.steps] == recorded
            assert found.end == found.recorded


def test_the_same_machine_for_every_instance_changes_nothing(tmp_path):
    """Also where outcomes alone are compared, and time goes on to the tape's end."""
    tape = busy_tape(tmp_path / "t.db")
    with Inspector.open(tape) as inspector:
        for folded in inspector.instances():
            own = inspector.world.machine(folded.spec)

            assert what_if(inspector, folded.name, Changes(machine=own)).same


def test_a_record_that_does_not_follow_is_found(overtaken):
    """The control: one changed byte of the record is a difference, named."""
    with Inspector.open(overtaken) as inspector:
        bodies = inspector.bodies
        inspector.bodies = lambda pos: [
            body.replace(b'"sent":3', b'"sent":4') for body in bodies(pos)
        ]
        found = what_if(inspector, T, Changes())

    assert found.first_difference.differs == ("set",)
    assert not found.same


# dropping and inserting


def test_a_dropped_command_makes_a_later_one_refused(overtaken):
    """Without its acceptance the transfer completes nothing; its block stays parked."""
    at = positions(overtaken, T)
    found = asked(overtaken, T, drop=[at["accept"]])

    assert said(found) == [
        ("create", "accepted", "accepted"),
        ("block", "deferred", "deferred"),
        ("accept", "accepted", None),
        ("block", "accepted", None),
        ("complete", "accepted", "deferred"),
    ]
    assert found.first_difference.recorded.offer is not None
    assert (found.recorded.state, found.end.state) == ("done", "new")
    assert [event for _, event in found.end.parked] == ["block", "complete"]
    assert not found.same


def test_an_inserted_command_mends_it(overtaken):
    """The acceptance dropped and inserted again later: the end is the recorded one."""
    at = positions(overtaken, T)
    found = asked(overtaken, T, drop=[at["accept"]], insert=insert(at["complete"], "accept"))

    assert found.end.state == "done"
    assert found.same_end
    assert [step.how for step in found.steps].count("inserted") == 1


def test_what_is_inserted_stands_where_it_was_asked_for(overtaken):
    """In order, with positions after the tape's end, and what it makes follow right behind it."""
    at = positions(overtaken, T)
    changes = insert(at["accept"], "block", size=5) + insert(None, "hello")
    found = asked(overtaken, T, insert=changes)
    told = [(step.decided.pos, step.decided.event, step.decided.offer) for step in found.steps]
    size = fingerprint(overtaken)[0]

    assert told[2] == (size + 1, "block", None)
    assert told[4:6] == [(at["block"], "block", 6), (size + 2, "block", size + 1)]
    assert told[-1] == (size + 3, "hello", None)
    assert found.steps[-1].decided.reason["kind"] == "terminated"
    assert found.end.data["sent"] == 8


def test_a_dropped_amount_differs_in_what_is_set_and_nowhere_else(tmp_path):
    """The outcome is the same, the data are not; the step that was dropped is no difference."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "c", {"limit": 9})
        for by in (1, 2, 3):
            engine.send(C, "add", {"by": by})
        dropped = engine.world.instance(C).last - 1
    found = asked(tmp_path / "t.db", C, drop=[dropped])

    assert [step.differs for step in found.steps] == [(), (), (), ("set",)]
    assert found.end.data["count"] == 4


def test_an_inserted_event_that_changes_nothing_is_no_difference(overtaken):
    """It is refused in its place, and everything else is as recorded."""
    at = positions(overtaken, T)
    found = asked(overtaken, T, insert=insert(at["complete"], "accept"))

    assert found.same
    assert found.end.refused == {"no_transition": 1}


def test_an_event_that_the_machine_lacks_is_refused_as_the_engine_would(overtaken):
    """Also wrong parameters; nothing is a crash."""
    changes = insert(None, "nonsense", a=1) + insert(None, "block", size="much")
    found = asked(overtaken, T, insert=changes)
    kinds = [step.decided.reason["kind"] for step in found.steps if step.how == "inserted"]

    assert kinds == ["undeclared_event", "terminated"]


# what cannot be changed


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"drop": [5]}, "created test.transfer/t"),
        ({"drop": [7]}, "belongs to test.counter/c, not to test.transfer/t"),
        ({"drop": [1]}, "belongs to the tape itself"),
        ({"drop": [99]}, "the tape ends at 10"),
        ({"drop": [0]}, "the tape ends at 10"),
        ({"drop": [9]}, "block parked at 6, followed by itself"),
        ({"insert": insert(5, "block")}, "there is no test.transfer/t"),
        ({"insert": insert(9, "block")}, "followed at once"),
        ({"insert": insert(7, "block")}, "belongs to test.counter/c"),
        ({"drop": [10], "until": "8"}, "beyond the point"),
    ],
)
def test_a_change_without_a_place_is_refused(overtaken, changes, why):
    """The creation, other instances' positions, what follows by itself: each in words."""
    with pytest.raises(ChangeInvalid, match=why):
        asked(overtaken, T, **changes)


def test_an_instance_that_is_not_there_is_refused(overtaken):
    """Now, or at the point asked for."""
    with pytest.raises(InstanceUnknown):
        asked(overtaken, "test.transfer/nobody")
    with pytest.raises(InstanceUnknown, match="did not exist at pos 3"):
        asked(overtaken, T, until="3")


# time


@pytest.fixture(scope="module")
def renewed(tmp_path_factory):
    """A lease of 10 s, renewed after 8 s and again after 8 s; then it lapsed."""
    clock = Clock()
    path = tmp_path_factory.mktemp("renewed") / "t.db"
    with open_tape(path, clock) as engine:
        engine.observe("moon", 10)
        engine.create(LEASE, "l")
        engine.send(L, "take", {"until": 20})
        for _ in range(2):
            clock.forward(8)
            engine.send(L, "renew")
        clock.forward(60)
        engine.create(COUNTER, "c")
    return path


def test_a_timer_fires_when_the_record_did_not_see_it(renewed):
    """Without the first renewal the lease lapses at its deadline, and the second comes too late."""
    found = asked(renewed, L, drop=[6])
    lapsed = next(step for step in found.steps if step.decided and step.decided.timer)
    renewals = [step for step in found.steps if step.recorded and step.recorded.event == "renew"]

    assert lapsed.recorded is None
    assert lapsed.decided.at == found.steps[1].recorded.at + 10_000_000
    assert renewals[1].decided.reason["kind"] == "terminated"
    assert found.end.data["renewed"] == 0


def test_a_timer_after_the_last_entry_fires_until_the_tape_ends(tmp_path):
    """What is open after its own entries fires while others go on; one not due by then waits."""
    clock = Clock()
    ends = []
    with open_tape(tmp_path / "t.db", clock) as engine:
        engine.create(LEASE, "l")
        engine.send(L, "take")
        released = engine.send(L, "release").pos
        for seconds in (9, 1):
            clock.forward(seconds)
            engine.create(COUNTER, f"c{seconds}")
            engine.flush()
            ends.append(asked(tmp_path / "t.db", L, drop=[released]))

    assert [found.end.state for found in ends] == ["held", "lapsed"]
    assert ends[1].steps[-1].decided.at == ends[1].steps[1].decided.at + 10_000_000


def test_what_comes_before_a_timer_comes_in_time(renewed):
    """An event inserted before a firing happens just before the deadline, and moves it."""
    fired = positions(renewed, L)["lapsed"]
    found = asked(renewed, L, insert=insert(fired, "renew"))
    inserted, lapsed = (step.decided for step in found.steps[-2:])

    assert (found.steps[-2].how, inserted.outcome) == ("inserted", None)
    assert inserted.at == found.steps[3].decided.at + 10_000_000 - 1
    assert found.end.data["renewed"] == 3
    assert lapsed.at == found.steps[-1].recorded.at  # as late as recorded: nobody looked before


def test_heights_pass_where_the_tape_saw_them(tmp_path):
    """A release that is dropped leaves the lease to its height, at the head that reached it."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.observe("moon", 10)
        engine.create(LEASE, "l")
        engine.send(L, "take", {"until": 20})
        released = engine.send(L, "release").pos
        for height in (15, 21, 30):
            engine.observe("moon", height)
        engine.send(L, "renew")
    found = asked(tmp_path / "t.db", L, drop=[released])
    fired = next(step.decided for step in found.steps if step.decided and step.decided.timer)

    assert (fired.timer, fired.height) == ("expiry", 21)
    assert found.end.state == "expired"


def test_before_a_height_is_before_the_head_that_reached_it(tmp_path):
    """An event inserted before the firing is decided at the head before."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.observe("moon", 10)
        engine.create(LEASE, "l")
        engine.send(L, "take", {"until": 20})
        engine.observe("moon", 15)
        fired = engine.observe("moon", 30).pos + 1
    found = asked(tmp_path / "t.db", L, insert=insert(fired, "release"))
    inserted = next(step for step in found.steps if step.how == "inserted")

    assert (inserted.decided.height, inserted.decided.outcome) == (15, None)
    assert found.end.state == "idle"
    assert found.steps[-1].differs == ("only recorded",)


RESTLESS = machine("""
machine: test.restless
version: 1
title: Never comes to rest
data: {turns: int = 0}
states: {on: {initial: true, timers: {beat: {after: 1us, event: beat}}}, off: {}}
events:
  beat: {set: {turns: turns + 1}, go: [{from: on, to: same}]}
  stop: {go: [{from: on, to: off}]}
""")


def test_a_machine_that_fires_without_end_is_slowed_down(tmp_path, monkeypatch):
    """So many firings at their deadlines, then one for each moment of the record."""
    monkeypatch.setattr("statetape.engine.playing.FIRINGS_MAX", 1000)
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        engine.create(RESTLESS, "r")
        stopped = engine.send("test.restless/r", "stop").pos
        for _ in range(2):
            clock.forward(3600)
            engine.send("test.restless/r", "stop")
    found = asked(tmp_path / "t.db", "test.restless/r", drop=[stopped])

    assert found.end.state == "off"
    assert found.end.data["turns"] == 1001
    assert found.steps[-3].decided.at == clock.now - 3600 * 1_000_000


# another machine


def reject(text):
    """Return the transfer's file without deferral."""
    return machine(text.replace("otherwise: defer", "otherwise: reject"))


def test_another_policy_turns_a_refusal_into_an_acceptance(tmp_path):
    """Recorded without deferral the transfer is stuck; with it, it completes."""
    strict = reject(TRANSFER.text)
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(strict, "t")
        for event, params in (("block", {"size": 3}), ("accept", {}), ("complete", {})):
            engine.send(T, event, params)
    found = asked(tmp_path / "t.db", T, machine=TRANSFER)
    first = found.first_difference

    assert (first.recorded.reason["kind"], first.decided.outcome) == ("no_transition", "deferred")
    assert first.differs == ("outcome", "reason")
    assert (found.recorded.state, found.end.state) == ("ongoing", "done")
    assert said(found)[3] == ("block", None, "accepted")
    assert found.recorded.refused == {"no_transition": 2}
    assert found.end.refused == {}


def test_fields_that_only_one_machine_has_are_no_difference(overtaken):
    """A newer file with a field more decides as the old one did."""
    more = TRANSFER.text.replace("sent: int = 0", "sent: int = 0\n  note: text = ''")

    assert asked(overtaken, T, machine=machine(more)).same


@pytest.mark.parametrize(
    ("find", "put", "outcomes", "state"),
    [
        ("data:", "create: {params: {owner: text}}\ndata:", {"rejected": 4}, None),
        ("  accept:\n    go: [{from: new, to: ongoing}]\n", "", None, "new"),
        ("params: {size: int}", "params: {size: int, hash: text}", None, "ongoing"),
        ("  ongoing: {}\n  done:", "  running: {}\n  done:", None, "done"),
        ("sent: int = 0", "sent: text = ''", None, "ongoing"),
    ],
    ids=["creation", "event", "parameter", "state", "type"],
)
def test_a_machine_that_lacks_what_the_history_needs_refuses_it(
    overtaken, find, put, outcomes, state
):
    """A creation, an event, a parameter, a state, a type: each refused, and told, not a crash."""
    text = TRANSFER.text.replace(find, put)
    if "running" in put:
        text = text.replace("ongoing", "running")
    if "text = ''" in put:
        text = text.replace("sent + size", "sent").replace("sent > 0", 'sent != ""')
    found = asked(overtaken, T, machine=machine(text))

    assert not found.same
    assert found.end.state == state
    assert outcomes is None or found.end.outcomes == outcomes


def test_another_machines_timers_fire(tmp_path):
    """Its deadlines are its own: while others went on, the transfer would have given up."""
    impatient = TRANSFER.text.replace(
        "new: {initial: true}", "new: {initial: true, timers: {wait: {after: 1s, event: give_up}}}"
    )
    impatient += "  give_up:\n    go: [{from: new, to: done}]\n"
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        engine.create(TRANSFER, "t")
        clock.forward(5)
        engine.send(T, "accept")
    found = asked(tmp_path / "t.db", T, machine=machine(impatient))

    assert found.first_difference.decided.timer == "wait"
    assert found.first_difference.differs == ("only here",)
    assert found.end.state == "done"


WATCHED = (
    TRANSFER.text.replace(
        "  ongoing: {}",
        "  ongoing: {timers: {stall: {quiet: 5m, event: stalled}}}",
    )
    + "  stalled: {set: {sent: sent + 100}, go: [{from: ongoing}]}\n"
)


def test_a_history_that_was_told_afterwards_has_its_own_clock(tmp_path):
    """Imported long after: silence is counted by the entries' times, and ends with the last."""
    began = 1_500_000_000_000_000
    minutes = [0, 4, 12, 13]
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TRANSFER, "t", {})
        engine.send(T, "accept", at=began)
        for minute in minutes:
            engine.send(T, "block", {"size": 1}, at=began + minute * 60_000_000)
    found = asked(tmp_path / "t.db", T, machine=machine(WATCHED))
    fired = [step.decided for step in found.steps if step.decided.timer]

    assert [(entry.at - began) // 60_000_000 for entry in fired] == [9]
    assert found.end.data["sent"] == 104
    assert found.end.state == "ongoing"


# in mid-life, and among others


def test_an_adopted_instance_is_replayed_from_its_state(tmp_path):
    """Taken over in mid-life; a machine without that state cannot begin it, which is told."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TRANSFER, "t", {"sent": 7}, state="ongoing")
        engine.send(T, "complete")
    other = machine(TRANSFER.text.replace("ongoing", "running"))
    same = asked(tmp_path / "t.db", T, machine=reject(TRANSFER.text))
    lost = asked(tmp_path / "t.db", T, machine=other)

    assert (same.same, same.end.state) == (True, "done")
    assert lost.steps[0].error[0] == "value-invalid"
    assert lost.steps[1].decided.reason["kind"] == "unknown_instance"
    assert (lost.end.state, lost.end.outcomes) == (None, {"rejected": 1})


def test_what_another_instance_raised_is_an_input_and_may_be_dropped(tmp_path):
    """What the instance raises to itself follows; to others it is told, and goes nowhere."""
    tape = live(
        tmp_path / "t.db",
        [
            [Send(NAMES[0], "accept"), Send(NAMES[1], "accept")],
            [Send(NAMES[0], "block", {"size": 9})],
            [Send(NAMES[0], "pause")],
        ],
    )
    a, b = NAMES
    with Inspector.open(tape) as inspector:
        told = [entry for entry in inspector.history(b) if entry.raised is not None]
        own = [entry for entry in inspector.history(a) if entry.raised is not None]
    found = asked(tape, b, drop=[told[0].pos])
    paused = asked(tape, a, drop=[own[0].raised])

    assert [entry.event for entry in told] == ["told", "told"]
    assert said(found)[2:] == [("told", "accepted", None), ("told", "accepted", "accepted")]
    assert ("tick", "accepted", None) in said(paused)
    with pytest.raises(ChangeInvalid, match="tick raised at"):
        asked(tape, a, drop=[own[0].pos])


def test_a_raised_event_of_the_what_if_alone_follows(tmp_path):
    """What an inserted command raises to itself is decided right behind it, in bounded circles."""
    tape = live(tmp_path / "t.db", [[Send(NAMES[0], "accept")], [Send(NAMES[0], "chat")]])
    last = positions(tape, NAMES[0])["chat"]
    found = asked(tape, NAMES[0], insert=insert(last, "block", size=9))
    block, tick = (step.decided for step in found.steps[2:4])

    assert [one["to"] for one in block.raises] == [NAMES[0], NAMES[1]]
    assert (tick.event, tick.raised) == ("tick", block.pos)
    assert found.end.data["count"] == 9 + LINKS_DEEP_MAX


# up to a point


@pytest.mark.parametrize(
    ("until", "count", "state"),
    [("6", 2, "new"), ("8", 3, "ongoing"), ("pos:9", 4, "ongoing"), ("10", 5, "done")],
)
def test_up_to_a_point_both_sides_end_there(overtaken, until, count, state):
    """Also within a turn; without changes every byte is compared."""
    found = asked(overtaken, T, until=until)

    assert found.same
    assert (len(found.steps), found.end.state, found.recorded.state) == (count, state, state)


def test_up_to_a_time_and_a_height(renewed):
    """Points are those that `show --at` takes."""
    with Inspector.open(renewed) as inspector:
        entries = inspector.history(L)
    renewal = entries[2].at

    assert len(asked(renewed, L, until=f"time:{renewal}").steps) == 3
    assert len(asked(renewed, L, until="height:10").steps) == len(entries)


def test_each_step_tells_the_states_and_leads_to_the_data(overtaken):
    """What the instance was before, what it is after, on both sides; and its data at each step."""
    found = asked(overtaken, T, drop=[8])
    states = [
        (step.state_before, step.state_after_recorded, step.state_after) for step in found.steps
    ]
    data = [(folded.state, dict(folded.data)) for _, folded in found.standing()]

    assert states[2:] == [
        ("new", "ongoing", "new"),
        ("new", "ongoing", "new"),
        ("new", "done", "new"),
    ]
    assert data[-1] == ("new", {"sent": 0})


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(what=steps, data=st.data())
def test_any_change_is_decided_or_refused_and_the_tape_stays_as_it_is(tmp_path_factory, what, data):
    """Random lives with random drops and insertions: both sides are told in their order."""
    tape = live(tmp_path_factory.mktemp("life") / "t.db", what)
    name = data.draw(st.sampled_from(NAMES))
    with Inspector.open(tape) as inspector:
        recorded = [entry.pos for entry in inspector.history(name)]
    drop = data.draw(st.lists(st.sampled_from(recorded), max_size=2))
    places = st.sampled_from([*recorded, None])
    events = st.sampled_from(["accept", "block", "complete", "pause", "tick", "nonsense"])
    insertions = data.draw(
        st.lists(st.builds(Insertion, places, events, st.just({"size": 7})), max_size=3)
    )
    try:
        found = asked(tape, name, drop=drop, insert=insertions)
    except ChangeInvalid:
        return
    told = [step.recorded.pos for step in found.steps if step.recorded]

    assert told == recorded
    assert [decode(body).seq for body in found.bodies] == [
        step.decided.seq for step in found.steps if step.decided
    ]
    assert sum(step.how == "inserted" for step in found.steps) == len(insertions)
