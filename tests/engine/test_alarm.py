"""The alarm clock: timers fire by themselves, without anybody sending a command."""

from __future__ import annotations

import threading
import time

from statetape.engine.alarm import Alarm
from statetape.engine.engine import Engine, wall_clock
from statetape.fsm.entry import decode

from .machines import machine, open_tape

SOON = machine("""
machine: test.soon
version: 1
title: It rings after a tenth of a second
data: {snoozed: int = 0}
states:
  set:
    initial: true
    timers:
      ring: {after: 100ms, event: ring}
  rung: {final: true}
events:
  snooze:
    set: {snoozed: snoozed + 1}
    go: [{from: set, to: same}]
  ring:
    go: [{from: set, to: rung}]
""")


def wait_for(event):
    """Wait for a thread's event, with an upper bound that only a failure reaches."""
    assert event.wait(30), "the alarm did not ring"


def ringing(engine):
    """Return an event that is set in the turn in which a timer fires, before its commit."""
    rung = threading.Event()
    fire = engine.ledger.fire

    def noted(*arguments):
        fire(*arguments)
        rung.set()

    engine.ledger.fire = noted
    return rung


def test_a_timer_fires_by_itself(tmp_path):
    """Armed while the alarm runs, it wakes the engine at its deadline, not before."""
    with Engine.open(tmp_path / "t.db") as engine, Alarm(engine):
        rung = ringing(engine)
        armed_at = wall_clock()
        engine.create(SOON, "a")
        wait_for(rung)

        assert wall_clock() - armed_at >= 100_000
        with engine.committer.leader:
            assert engine.world.instance("test.soon/a").state == "rung"


def test_a_timer_of_an_earlier_session_fires_at_once(tmp_path):
    """What came due while nobody was there does not wait for the first command."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(SOON, "a")
    with Engine.open(path) as engine:
        rung = ringing(engine)
        with Alarm(engine):
            wait_for(rung)


def test_a_moved_timer_rings_at_its_new_deadline(tmp_path):
    """Snoozing again and again keeps it silent; it fires once, its time after the last snooze."""
    with Engine.open(tmp_path / "t.db") as engine, Alarm(engine):
        rung = ringing(engine)
        engine.create(SOON, "a")
        for _ in range(20):
            if engine.send("test.soon/a", "snooze").outcome == "rejected":
                break
        wait_for(rung)

        with engine.committer.leader:
            entries = [decode(body, "entry") for body in engine.tape.read()]
        [firing] = [entry for entry in entries if entry.timer == "ring"]
        snoozes = [entry.at for entry in entries if entry.event == "snooze" and not entry.outcome]
        assert firing.at >= max(snoozes) + 100_000


def test_new_entries_are_anchored_while_the_engine_is_idle(tmp_path):
    """The anchor follows within its interval, with no further command."""
    with Engine.open(tmp_path / "t.db") as engine:
        engine.anchor_every_s = 1e9
        anchored = threading.Event()
        anchor = engine.tape.anchor

        def noted():
            checkpoint = anchor()
            if engine.tape.anchored_size == engine.tape.size:
                anchored.set()
            return checkpoint

        engine.tape.anchor = noted
        with Alarm(engine, anchor_every_s=0.05):
            engine.create(SOON, "a")
            anchored.clear()
            engine.send("test.soon/a", "snooze")
            wait_for(anchored)
        assert engine.tape.anchored().size >= 4


def test_leaving_the_alarm_leaves_no_thread(tmp_path):
    """After the context nothing runs any more."""
    before = threading.active_count()
    with Engine.open(tmp_path / "t.db") as engine, Alarm(engine):
        engine.create(SOON, "a")
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        threading.Event().wait(0.01)

    assert threading.active_count() == before
