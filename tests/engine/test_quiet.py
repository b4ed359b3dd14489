"""Silence is told: quiet timers, parked commands that wait too long, instances in mid-life."""

from __future__ import annotations

import json

import pytest
from statetape.engine.commands import Create, IdempotencyConflict
from statetape.engine.replay import Replayer
from statetape.fsm.moments import TIME_MAX_US
from statetape.fsm.types import ValueInvalid

from .machines import SECOND, START, Clock, machine, open_tape

WATCHED = machine("""
machine: test.watched
version: 1
title: A transfer that tells when nothing comes any more
defer_for: 60s
data: {total: uint = 0, stalled: uint = 0}
create: {}
states:
  running:
    initial: true
    timers: {stall: {quiet: 10s, event: stalled, with: {refused: refused}}}
  slow: {timers: {stall: {quiet: 100s, event: stalled, with: {refused: refused}}}}
  done: {final: true}
events:
  block: {params: {total: uint}, set: {total: total}, go: [{from: any}]}
  again: {go: [{from: running, to: same}]}
  slow: {go: [{from: running, to: slow}]}
  early: {otherwise: defer, go: [{from: slow, to: done}]}
  finish: {go: [{from: slow, to: done}]}
  stalled:
    params:
      refused: text?
    set: {stalled: stalled + 1}
    go: [{from: any}]
""")
NAME = "test.watched/a"


def last(engine) -> dict:
    """Return the newest entry."""
    return json.loads(list(engine.tape.read())[-1])


@pytest.fixture
def clock():
    """Stand still until moved."""
    return Clock()


@pytest.fixture
def engine(tmp_path, clock):
    """Hold a tape with one watched instance."""
    with open_tape(tmp_path / "t.db", clock) as engine:
        engine.create(WATCHED, "a")
        yield engine
        report = Replayer().run(engine.tape.read())
        assert report.difference is None


def test_silence_is_told_once_and_names_the_last_refusal(engine, clock):
    """Ten quiet seconds: one event, with the refused event and where it stands; then it rests."""
    refused = engine.send(NAME, "finish")
    clock.forward(10)
    fired = [engine.tick()]
    told = last(engine)
    clock.forward(1000)
    fired.append(engine.tick())

    assert fired == [1, 0]
    assert (told["event"], told["params"], told["cause"]) == (
        "stalled",
        {"refused": "finish"},
        refused.pos,
    )


def test_silence_without_a_refusal_names_none(engine, clock):
    """Negative control: nothing was refused, so nothing is named."""
    clock.forward(10)
    engine.tick()

    assert "params" not in last(engine)
    assert "cause" not in last(engine)


def test_what_is_accepted_breaks_the_silence_and_what_is_refused_does_not(engine, clock):
    """A record-only event moves the deadline; a refusal leaves it."""
    clock.forward(9)
    engine.send(NAME, "block", {"total": 1})
    clock.forward(9)
    engine.send(NAME, "finish")
    early = engine.tick()
    clock.forward(1)

    assert (early, engine.tick()) == (0, 1)


def test_silence_that_was_told_is_told_again_after_something_was_accepted(engine, clock):
    """The watch goes on after the next sign of life."""
    clock.forward(10)
    first = engine.tick()
    engine.send(NAME, "block", {"total": 1})
    clock.forward(10)

    assert (first, engine.tick()) == (1, 1)
    assert engine.world.instance(NAME).data["stalled"] == 2


def test_a_refusal_is_forgotten_when_the_state_is_left(engine, clock):
    """A refusal in an earlier state does not explain a silence in this one."""
    engine.send(NAME, "finish")
    engine.send(NAME, "slow")
    clock.forward(100)
    engine.tick()

    assert last(engine)["event"] == "stalled"
    assert "params" not in last(engine)


def test_the_refusal_is_remembered_across_a_restart(tmp_path, clock):
    """From the projection and from folding alike."""
    path = tmp_path / "r.db"
    for flush in (True, False):
        key = str(flush)
        name = f"test.watched/{key}"
        engine = open_tape(path, clock)
        engine.create(WATCHED, key)
        refused = engine.send(name, "finish")
        if flush:
            engine.flush()
        engine.abandon()
        clock.forward(10)
        with open_tape(path, clock) as engine:
            engine.tick()
            told = last(engine)

        assert (told["cause"], told["params"]) == (refused.pos, {"refused": "finish"})


def test_a_parked_command_expires(engine, clock):
    """After `defer_for` it is refused, with its position; the next state does not offer it."""
    parked = engine.send(NAME, "early")
    clock.forward(59)
    engine.send(NAME, "block", {"total": 1})
    still = len(engine.world.instance(NAME).parked)
    clock.forward(1)
    engine.tick()
    entries = [json.loads(body) for body in engine.tape.read()]
    expired = next(e for e in entries if e.get("offer") == parked.pos)
    engine.send(NAME, "slow")

    assert (still, engine.world.instance(NAME).parked) == (1, ())
    assert (expired["outcome"], expired["reason"]) == ("rejected", {"kind": "deferral_expired"})
    assert engine.world.instance(NAME).state == "slow"


def test_a_parked_command_that_is_taken_in_time_does_not_expire(engine, clock):
    """Negative control: offered after the change of state, its own timer is gone."""
    engine.send(NAME, "early")
    engine.send(NAME, "slow")
    clock.forward(1000)

    assert engine.tick() == 0
    assert engine.world.instance(NAME).state == "done"


def test_an_instance_is_taken_over_in_mid_life(engine, clock):
    """State and data as given, timers armed, replayed; `finish` is taken at once."""
    made = Create(WATCHED, "test.watched/b", {"total": 7}, state="slow", at=START)
    receipt = engine.execute(made)
    entry = last(engine)

    assert (receipt.state, entry["event"], entry["to"]) == ("slow", "adopted", "slow")
    assert entry["set"] == {"total": 7, "stalled": 0}
    assert entry["timers"] == {"stall": {"at": START + 100 * SECOND}}
    assert engine.send("test.watched/b", "finish").accepted


def test_taking_over_in_a_state_that_is_not_there_is_refused(engine):
    """Nothing is recorded, and the error names the states."""
    size = engine.tape.size
    with pytest.raises(ValueInvalid, match=r"no state 'lost'.*running, slow, done"):
        engine.execute(Create(WATCHED, "test.watched/b", {}, state="lost"))

    assert engine.tape.size == size


def test_taking_over_twice_is_told_by_its_key(engine):
    """The idempotency key of an adoption works as any other."""
    made = Create(WATCHED, "test.watched/b", {"total": 7}, key="k", state="slow")

    assert [engine.execute(made).outcome for _ in range(2)] == ["accepted", "duplicate"]


def test_the_key_of_a_taking_over_is_for_one_state(engine):
    """Asked again for another state, it is another command."""
    made = Create(WATCHED, "test.watched/b", {"total": 7}, key="k", state="slow")
    engine.execute(made)

    with pytest.raises(IdempotencyConflict, match="'k' was used"):
        engine.execute(Create(WATCHED, "test.watched/b", {"total": 7}, key="k", state="running"))


def test_a_refused_taking_over_says_in_which_state_it_was_to_begin(tmp_path):
    """The state may be why it was refused: a replay needs it. In another state it is taken."""
    strict = machine("""
machine: test.strict
version: 1
title: Complete only with something in it
data: {total: uint = 0}
create: {}
states: {open: {initial: true}, complete: {}}
invariants: [{name: full, that: state != "complete" or total > 0}]
""")
    with open_tape(tmp_path / "t.db") as engine:
        refused = engine.execute(Create(strict, "test.strict/a", {}, key="k", state="complete"))
        entry = last(engine)
        again = engine.execute(Create(strict, "test.strict/a", {}, key="k", state="complete"))
        taken = engine.execute(Create(strict, "test.strict/a", {}, state="open"))
        report = Replayer().run(engine.tape.read())

    assert refused.reason == {"kind": "invariant_broken", "name": "full"}
    assert (entry["event"], entry["to"]) == ("adopted", "complete")
    assert (again.outcome, taken.outcome) == ("duplicate", "accepted")
    assert report.difference is None


def test_what_is_told_late_brings_no_silence_nearer(engine, clock):
    """A sign of life of a minute ago is no silence now; one of a later time moves the deadline."""
    clock.forward(9)
    engine.send(NAME, "block", {"total": 1}, at=clock.now - 60 * SECOND)
    told = last(engine)
    clock.forward(1)
    fired = engine.tick()
    engine.send(NAME, "block", {"total": 2}, at=clock.now + SECOND)

    assert (told["event"], "timers" in told, fired) == ("block", False, 1)
    assert last(engine)["timers"] == {"stall": {"at": clock.now + 11 * SECOND}}


def test_a_deadline_of_a_parked_command_stays_within_time(tmp_path):
    """Also where it may wait for ages: what is written can be read, shown and imported."""
    patient = machine(WATCHED.text.replace("defer_for: 60s", "defer_for: 999999999999d"))
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(patient, "a")
        engine.send(NAME, "early")

        assert [*last(engine)["timers"].values()] == [{"at": TIME_MAX_US}]
