"""Timers: armed, moved, kept, cancelled, and never due in the moment of what armed them."""

from __future__ import annotations

from typing import Any

import pytest
from statetape.fsm.machine import Machine

from .machines import create, event, kind, machine, send

CLOCKS = """
chain: c
data: {at: time, point: epoch = 50, on: bool = true, wait: duration = 5}
states:
  open:
    initial: true
    timers:
      after: {after: wait, event: tick}
      fixed: {at: at, event: tick}
      high: {at_height: point, event: tick, when: on}
  other:
    timers:
      high: {at_height: point, event: tick}
      short: {after: 2s, event: tick}
  bare:
  closed: {final: true}
events:
  tick: {go: [{from: any, to: same}]}
  leave: {go: [{from: any, to: other}]}
  rest: {go: [{from: any, to: bare}]}
  end: {go: [{from: any, to: closed}]}
  note: {go: [{from: any}]}
  set:
    params: {at: time = 0, point: epoch = 50, on: bool = true, wait: duration = 5}
    set: {at: at, point: point, on: on, wait: wait}
    go: [{from: any, to: same}]
"""


@pytest.fixture(scope="module")
def clocks() -> Machine:
    """A machine with every kind of timer."""
    return machine(CLOCKS)


ARMED: dict[str, Any] = {
    "after": ("at", 105, 7),
    "fixed": ("at", 0, 7),
    "high": ("height", 50, 7),
}


def test_creation_arms_the_initial_timers(clocks: Machine) -> None:
    """A duration counts from now; a time and a height are themselves."""
    params = {"at": 77, "point": 60}

    assert create(clocks, params, now=100, height=1).timers == {
        "after": ("at", 105),
        "fixed": ("at", 77),
        "high": ("height", 60),
    }


def test_timer_whose_condition_does_not_hold_is_not_armed(clocks: Machine) -> None:
    """`when` is over the data after."""
    assert create(clocks, {"at": 77, "on": False}, height=1).timers == {
        "after": ("at", 5),
        "fixed": ("at", 77),
    }


def test_entering_again_keeps_what_does_not_change_and_moves_what_does(clocks: Machine) -> None:
    """An unchanged deadline keeps its place in the queue: it is not in the entry."""
    assert send(clocks, "tick", timers=ARMED, now=200).timers == {"after": ("at", 205)}
    assert send(clocks, "tick", timers=ARMED, now=100).timers is None
    moved = send(clocks, "set", {"at": 9, "point": 60}, timers=ARMED, now=100)
    assert moved.timers == {"fixed": ("at", 9), "high": ("height", 60)}


def test_entering_again_cancels_a_timer_whose_condition_no_longer_holds(clocks: Machine) -> None:
    """And arms one whose condition holds now."""
    off = send(clocks, "set", {"on": False}, timers=ARMED, now=100)
    assert off.timers == {"high": None}

    without = {name: armed for name, armed in ARMED.items() if name != "high"}
    on = send(clocks, "set", {"on": True}, timers=without, now=100)
    assert on.timers == {"high": ("height", 50)}


def test_leaving_cancels_the_old_timers_and_arms_the_new_ones(clocks: Machine) -> None:
    """A timer of the same name and deadline in both states is kept."""
    assert send(clocks, "leave", timers=ARMED, now=100).timers == {
        "after": None,
        "fixed": None,
        "short": ("at", 2_000_100),
    }


@pytest.mark.parametrize(("name", "to"), [("rest", "bare"), ("end", "closed")])
def test_state_without_timers_has_none_left(clocks: Machine, name: str, to: str) -> None:
    """All are cancelled, also by a final state."""
    decision = send(clocks, name, timers=ARMED)

    assert (decision.to, decision.timers) == (to, {"after": None, "fixed": None, "high": None})


def test_row_that_only_records_touches_no_timer(clocks: Machine) -> None:
    """No state is entered, so none is armed, moved or cancelled."""
    assert send(clocks, "note", timers=ARMED, now=500, height=100).timers is None
    assert send(clocks, "note", timers={}, now=500, height=100).timers is None


def test_refused_command_touches_no_timer(clocks: Machine) -> None:
    """A refusal changes nothing."""
    assert send(clocks, "tick", {"x": 1}, timers=ARMED).timers is None
    assert send(clocks, "nope", timers=ARMED).timers is None


@pytest.mark.parametrize(("value", "due"), [("0", 101), ("-5", 101), ("1", 101), ("7", 107)])
def test_duration_of_nought_or_less_is_due_in_the_next_instant(value: str, due: int) -> None:
    """Never at the moment itself, so no machine goes on for ever within one moment."""
    found = machine(
        f"""
        data: {{n: int = {value}}}
        states: {{open: {{initial: true, timers: {{t: {{after: n, event: go}}}}}}}}
        events: {{go: {{go: [{{from: open, to: same}}]}}}}
        """
    )

    assert create(found, {}, now=100).timers == {"t": ("at", due)}
    assert send(found, now=100, follows=True, firing="t").timers == {"t": ("at", due)}


@pytest.mark.parametrize("point", ["", "5", "now", "now - 50", "now + 1"])
def test_time_of_what_follows_is_strictly_later(point: str) -> None:
    """What a timer or a parked command arms in the past or at once is due an instant later."""
    source = point or "5"
    found = machine(
        f"""
        states: {{open: {{initial: true, timers: {{t: {{at: {source}, event: go}}}}}}}}
        events: {{go: {{go: [{{from: open, to: same}}]}}}}
        """
    )

    decision = send(found, now=100, follows=True, firing="t", timers={"t": ("at", 100, 1)})

    assert decision.timers == {"t": ("at", 101)}


@pytest.mark.parametrize("source", ["5", "height", "height - 3", "height + 1"])
def test_height_of_what_follows_is_strictly_higher(source: str) -> None:
    """The same for a height of the chain."""
    found = machine(
        f"""
        chain: c
        states: {{open: {{initial: true, timers: {{t: {{at_height: {source}, event: go}}}}}}}}
        events: {{go: {{go: [{{from: open, to: same}}]}}}}
        """
    )

    decision = send(found, height=20, follows=True, firing="t", timers={"t": ("height", 20, 1)})

    assert decision.timers == {"t": ("height", 21)}


def test_later_deadline_of_what_follows_stays_as_it_is() -> None:
    """Only what would be due at once is put off."""
    found = machine(
        """
        states: {open: {initial: true, timers: {t: {at: now + 50, event: go}}}}
        events: {go: {go: [{from: open, to: same}]}}
        """
    )

    assert send(found, now=100, follows=True, firing="t").timers == {"t": ("at", 150)}


def test_command_may_arm_a_deadline_in_the_past() -> None:
    """A late report arms a timer that is due at once: it fires in the next moment."""
    found = machine(
        """
        chain: c
        states:
          open: {initial: true, timers: {t: {at: 5, event: go}, h: {at_height: 5, event: go}}}
        events: {go: {go: [{from: open, to: same}]}}
        """
    )

    assert send(found, now=100, height=100).timers == {"t": ("at", 5), "h": ("height", 5)}


def test_fired_timer_is_armed_again_although_its_deadline_did_not_change(clocks: Machine) -> None:
    """It has been taken off, so the entry has to say that it stands again."""
    decision = send(clocks, "tick", timers=ARMED, now=100, height=50, follows=True, firing="high")

    assert decision.timers is not None
    assert decision.timers["high"] == ("height", 51)


def test_fired_timer_that_is_not_armed_again_is_not_cancelled_either(clocks: Machine) -> None:
    """Firing takes it off; the entry does not say so twice."""
    decision = send(clocks, "rest", timers=ARMED, now=105, follows=True, firing="after")

    assert decision.timers == {"fixed": None, "high": None}


@pytest.mark.parametrize(
    "part",
    [
        "after: 1 // n",
        "at: now + 1 // n",
        "after: 10 * w",
        "at: now + 10 * w",
        "after: 1s, when: 1 // n == 1",
    ],
)
def test_deadline_that_cannot_be_computed_refuses_the_command(part: str) -> None:
    """A division by zero, or a deadline beyond the calendar, is a failed evaluation."""
    found = machine(
        f"""
        data: {{n: int, w: int = 1000000000000000}}
        states: {{open: {{initial: true, timers: {{t: {{{part}, event: go}}}}}}}}
        events: {{go: {{go: [{{from: open, to: same}}]}}}}
        """
    )

    decision = send(found)

    assert (kind(decision), decision.timers, decision.data) == ("evaluation_failed", None, None)


def test_timers_see_the_data_after() -> None:
    """What the same command has set is what the deadline is computed from."""
    found = machine(
        """
        data: {n: int = 1}
        states: {open: {initial: true, timers: {t: {after: n, event: go}}}}
        events: {go: {go: [{from: open}]}, set: {set: {n: n + 10}, go: [{from: open, to: same}]}}
        """
    )

    assert send(found, "set").timers == {"t": ("at", 11)}


def test_deadline_is_a_plain_duration_time_or_expression() -> None:
    """`after: 1h30m` needs no quotes and means microseconds."""
    found = machine(
        """
        states:
          open: {initial: true, timers: {a: {after: 1h30m, event: go}, b: {after: 5, event: go}}}
        events: {go: {go: [{from: open}]}}
        """
    )

    assert create(found).timers == {"a": ("at", 5_400_000_000), "b": ("at", 5)}


def test_machine_that_follows_itself_moves_on_in_time() -> None:
    """A timer that arms itself at once fires once per instant, not for ever within one."""
    found = event(
        "go: [{from: open, to: same}]",
        "data: {n: int}",
    )
    assert send(found).timers is None
    looping = machine(
        """
        data: {n: int}
        states: {open: {initial: true, timers: {t: {at: 0, event: go}}}}
        events: {go: {set: {n: n + 1}, go: [{from: open, to: same}]}}
        """
    )
    now, data, timers = 0, {"n": 0}, {"t": ("at", 0, 1)}
    moments = []
    for _ in range(5):
        decision = send(looping, data=data, timers=timers, now=now, follows=True, firing="t")
        assert decision.data is not None
        assert decision.timers is not None
        data, due = decision.data, decision.timers["t"]
        assert due is not None
        timers, now = {"t": (*due, 1)}, due[1]
        moments.append(now)

    assert moments == [1, 2, 3, 4, 5]
