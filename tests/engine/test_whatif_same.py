"""What-if without changes: entries that follow from one another find their partners."""

from __future__ import annotations

from statetape.engine.inspect import Inspector
from statetape.engine.whatif import Changes, what_if

from .machines import machine, open_tape


def test_what_timers_parked_is_the_same_when_it_is_offered_in_their_turn(tmp_path):
    """One timer's event is parked and the next one's makes room for it, all after one command."""
    hasty = machine("""
machine: test.hasty
version: 1
title: Its first timer comes too early for its second
data: {due: time}
create: {params: {due: time}, set: {due: due}}
states:
  new: {initial: true, timers: {a: {at: due, event: block}, b: {at: due + 1, event: accept}}}
  ongoing: {}
events:
  block: {otherwise: defer, go: [{from: ongoing}]}
  accept: {go: [{from: new, to: ongoing}]}
""")
    tape = tmp_path / "t.db"
    with open_tape(tape) as engine:
        engine.create(hasty, "h", {"due": 1})
    with Inspector.open(tape) as inspector:
        found = what_if(inspector, "test.hasty/h", Changes())

    assert [step.recorded.event for step in found.steps] == ["create", "block", "accept", "block"]
    assert [step.differs for step in found.steps] == [()] * 4
    assert found.same
