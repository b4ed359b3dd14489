"""Timers and heights: they fire once, in order, at or after their deadline."""

from __future__ import annotations

import json

import freezegun
import pytest
from statetape.engine.commands import Create, Send
from statetape.engine.engine import Engine
from statetape.engine.replay import Replayer
from statetape.fsm.types import ValueInvalid

from .machines import LEASE, Clock, machine, open_tape

NAME = "test.lease/a"


def fired(engine):
    """Return (instance, timer, event) of every firing on the tape, in order."""
    entries = [json.loads(body) for body in engine.tape.read()]
    return [(e["instance"], e["timer"], e["event"]) for e in entries if "timer" in e]


def held(engine, key="a", **params):
    """Begin a lease and take it; returns its name."""
    engine.create(LEASE, key)
    engine.send(f"test.lease/{key}", "take", params)
    return f"test.lease/{key}"


def test_a_timer_fires_at_its_deadline_and_not_before(tmp_path):
    """One microsecond before the deadline nothing is due; at it, the timer fires, once."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        name = held(engine)
        clock.now += 9_999_999
        early = engine.tick()
        clock.now += 1
        due, again = engine.tick(), engine.tick()

        assert (early, due, again) == (0, 1, 0)
        assert engine.world.instance(name).state == "lapsed"


def test_an_overdue_timer_fires_before_any_other_command(tmp_path):
    """A renewal that comes too late is decided after the lapse."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        name = held(engine)
        clock.forward(60)
        receipt = engine.send(name, "renew")

        assert receipt.reason == {"kind": "terminated"}
        assert fired(engine) == [(3, "lapse", "lapsed")]


def test_entering_again_moves_the_deadline_and_only_recording_does_not(tmp_path):
    """`same` re-arms; a row without `to` leaves the timer alone."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        name = held(engine)
        clock.forward(6)
        engine.send(name, "renew")
        clock.forward(6)
        engine.send(name, "glance")
        assert engine.tick() == 0
        clock.forward(4)

        assert engine.tick() == 1


def test_leaving_the_state_cancels_its_timers(tmp_path):
    """A released lease never lapses."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        name = held(engine)
        engine.send(name, "release")
        clock.forward(1000)

        assert engine.tick() == 0
        assert json.loads(engine.tape.body(5))["timers"] == {"lapse": None}


def test_timers_survive_a_restart_and_a_crash(tmp_path):
    """Whether projected or only in the tail, an armed timer fires after reopening."""
    clock = Clock()
    path = tmp_path / "t.db"
    with open_tape(path, clock) as engine:
        held(engine, "a")
    crashed = open_tape(path, clock)
    held(crashed, "b")
    crashed.abandon()
    clock.forward(10)
    with open_tape(path, clock) as engine:
        assert engine.tick() == 2
        assert [instance for instance, _, _ in fired(engine)] == [3, 5]
    with open_tape(path, clock) as engine:
        assert engine.tick() == 0


def test_many_overdue_timers_fire_in_order_of_deadline_then_position(tmp_path):
    """Not in the order of arming, nor of names."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        names = [held(engine, f"k{i}") for i in range(5)]
        for index in (3, 1, 3):
            clock.forward(1)
            engine.send(names[index], "renew")
        clock.forward(100)
        engine.tick()
        order = [engine.world.instance_at(instance).key for instance, _, _ in fired(engine)]

    assert order == ["k0", "k2", "k4", "k1", "k3"]


def test_thousands_of_overdue_timers_all_fire_once(tmp_path, monkeypatch):
    """Also when they need several commits."""
    monkeypatch.setattr("statetape.engine.engine.FIRE_MAX", 100)
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        count = 450
        engine.execute_many([Create(LEASE, f"test.lease/{i}") for i in range(count)])
        engine.execute_many([Send(f"test.lease/{i}", "take") for i in range(count)])
        clock.forward(11)

        assert engine.tick() == count
        assert len({instance for instance, _, _ in fired(engine)}) == count
        assert Replayer().run(engine.tape.read()).difference is None


def test_height_timers_fire_in_the_commit_of_the_head_that_reached_them(tmp_path):
    """At their height, not one block before; in order of height."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.observe("moon", 5)
        late, soon = held(engine, "late", until=30), held(engine, "soon", until=20)
        engine.observe("moon", 19)
        assert fired(engine) == []
        engine.observe("moon", 40)

        assert [engine.world.instance_at(i).name for i, _, _ in fired(engine)] == [soon, late]
        assert engine.world.instance(late).state == "expired"


def test_a_deadline_in_the_past_fires_at_once(tmp_path):
    """A lease taken until a height that is over expires in the same commit."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.observe("moon", 100)
        name = held(engine, until=50)

        assert engine.world.instance(name).state == "expired"


def test_heads_only_rise(tmp_path):
    """A lower head is recorded as a reorganisation, an equal one not at all."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.observe("moon", 100)
        size = engine.tape.size
        same, lower = engine.observe("moon", 100), engine.observe("moon", 90)
        entry = json.loads(engine.tape.body(lower.pos))

        assert (same.outcome, same.pos) == ("duplicate", size)
        assert (entry["tape"], entry["height"], entry["cause"]) == ("reorg", 90, size)
        assert engine.world.height("moon") == 100


@pytest.mark.parametrize(("chain", "height"), [("", 1), ("a b", 1), ("moon", -1), ("moon", 2**63)])
def test_what_is_no_head_is_refused(tmp_path, chain, height):
    """A chain has a name, a height is not negative and has 63 bits."""
    with open_tape(tmp_path / "t.db") as engine, pytest.raises(ValueInvalid):
        engine.observe(chain, height)


def test_the_clock_may_jump_back(tmp_path):
    """No timer fires early, none is lost, and the tape still replays."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        name = held(engine)
        clock.forward(-7200)
        engine.send(name, "renew")
        clock.forward(9)
        early = engine.tick()
        clock.forward(1)

        assert (early, engine.tick()) == (0, 1)
        assert Replayer().run(engine.tape.read()).difference is None


def test_the_wall_clock_is_the_computers(tmp_path):
    """With the real clock, frozen by freezegun, across a restart and a jump of a day."""
    path = tmp_path / "t.db"
    with freezegun.freeze_time("2030-01-01T00:00:00Z") as frozen:
        with Engine.open(path) as engine:
            engine.create(LEASE, "a")
            receipt = engine.send(NAME, "take")
            assert json.loads(engine.tape.body(receipt.pos))["at"] == 1_893_456_000_000_000
        frozen.move_to("2030-01-02T00:00:00Z")
        with Engine.open(path) as engine:
            assert engine.tick() == 1
            assert engine.world.instance(NAME).state == "lapsed"


TICKER = machine("""
machine: test.ticker
version: 1
title: It arms itself again whenever it fires
chain: moon
data: {fired: int = 0}
states:
  on:
    initial: true
    timers:
      always: {at: now, event: fire}
      block: {at_height: height, event: fire}
events:
  fire:
    set: {fired: fired + 1}
    go: [{from: on, to: same}]
""")


def test_a_machine_that_arms_itself_cannot_stop_the_world(tmp_path):
    """What a firing arms is due in the next instant, so a tick ends."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        engine.observe("moon", 7)
        engine.create(TICKER, "a")
        first = engine.world.instance("test.ticker/a").data["fired"]
        clock.now += 1
        second = engine.tick()
        engine.observe("moon", 8)

        assert (first, second) == (1, 1)
        assert engine.world.instance("test.ticker/a").data["fired"] == 3
        assert Replayer().run(engine.tape.read()).difference is None


def test_a_name_may_wait_for_a_height_in_one_state_and_for_a_time_in_the_next(tmp_path):
    """The height that it no longer waits for does not hide its deadline."""
    mixed = machine("""
machine: test.mixed
version: 1
title: Lapses at a height at first, and then after a while
chain: moon
create: {}
states:
  far: {initial: true, timers: {lapse: {at_height: 100, event: lapse}}}
  near: {timers: {lapse: {after: 5s, event: lapse}}}
  gone: {final: true}
events:
  approach: {go: [{from: far, to: near}]}
  lapse: {go: [{from: any, to: gone}]}
""")
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        engine.observe("moon", 1)
        engine.create(mixed, "m")
        engine.send("test.mixed/m", "approach")
        clock.forward(5)

        assert engine.next_deadline() == clock.now
        assert engine.tick() == 1
        assert engine.world.instance("test.mixed/m").state == "gone"
