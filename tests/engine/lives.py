"""Random lives of two instances that tell each other things: every way an entry can come about."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import strategies as st
from statetape.engine.commands import Create, Observe, Send
from statetape.fsm.errors import StatetapeError

from .machines import SECOND, Clock, machine, open_tape

LIFE = """
machine: test.life
version: 1
title: Defers, raises to itself and to its peer, waits for silence, deadlines and heights
chain: moon
data:
  peer: text = ""
  count: int = 0
  until: epoch = 0
  asked: text?
create: {params: {peer: text = ""}, set: {peer: peer}}
defer_max: 3
defer_for: 20s
states:
  new: {initial: true, timers: {hurry: {after: 15s, event: late}}}
  ongoing:
    entry: [{do: begin, with: {count: count}}, {raise: tick, when: count > 2}]
    timers:
      stall: {quiet: 10s, event: stalled, with: {refused: refused}}
      expiry: {at_height: until, event: expired, when: until > 0}
  waiting: {timers: {again: {after: 5s, event: retry}}}
  done: {final: true}
events:
  accept: {params: {until: epoch = 0}, set: {until: until}, go: [{from: new, to: ongoing}]}
  block:
    params: {size: int}
    require: [{that: size > 0, else: {code: 3, reason: EMPTY}}]
    set: {count: count + size}
    otherwise: defer
    effects: [{raise: tick, when: size > 5}, {raise: told, to: peer, when: peer != ""}]
    go: [{from: ongoing}, {from: waiting, to: ongoing}]
  complete: {otherwise: defer, go: [{from: ongoing, to: done, when: count > 3}]}
  tick: {set: {count: count + 1}, go: [{from: [ongoing, waiting], to: same}]}
  told: {go: [{from: [new, ongoing]}, {from: waiting, to: ongoing}]}
  pause:
    effects: [{raise: told, to: peer, when: peer != ""}, {raise: tick}]
    go: [{from: ongoing, to: waiting}]
  retry: {set: {count: count + 1}, go: [{from: waiting, to: ongoing}]}
  late: {go: [{from: new, to: waiting}]}
  stalled:
    params:
      refused: text?
    set: {asked: refused}
    effects: [{raise: tick, when: refused is not None}]
    go: [{from: any}]
  expired: {go: [{from: ongoing, to: waiting}]}
  chat: {otherwise: ignore}
"""
MACHINE = machine(LIFE)
NAMES = ("test.life/a", "test.life/b")

_EVENTS = ["accept", "block", "complete", "tick", "pause", "told", "chat", "nonsense"]
_heights = st.integers(1, 60)
_sends = st.builds(
    lambda name, event, size, until, at, height: Send(
        name,
        event,
        {"block": {"size": size}, "accept": {"until": until}}.get(event, {}),
        at=at,
        height=height,
    ),
    st.sampled_from(NAMES),
    st.sampled_from(_EVENTS),
    st.integers(-1, 9),
    st.just(0) | _heights,
    st.none() | st.integers(1_500_000_000 * SECOND, 1_700_000_000 * SECOND),
    st.none() | _heights,
)
_begins = st.builds(
    lambda at, state: Create(
        MACHINE,
        NAMES[at],
        {"peer": NAMES[1 - at]},
        state=state,
    ),
    st.sampled_from((0, 1)),
    st.sampled_from((None, None, "ongoing", "waiting")),
)
_commands = st.one_of(
    _sends, _sends, _sends, st.builds(Observe, st.just("moon"), _heights), _begins
)
steps = st.lists(
    st.one_of(
        st.lists(_commands, min_size=1, max_size=5),
        st.sampled_from([0.000001, 1, 6, 12, 30]),
        st.just("tick"),
    ),
    min_size=3,
    max_size=25,
)
"""What happens: a batch of commands, seconds that pass, or timers that are looked after."""


def live(path, what):
    """Make a tape of two instances to which all this happened."""
    clock = Clock()
    with open_tape(path, clock, synchronous="OFF") as engine:
        engine.observe("moon", 1)
        for at in (0, 1):
            engine.execute(Create(MACHINE, NAMES[at], {"peer": NAMES[1 - at]}))
        for one in what:
            if one == "tick":
                engine.tick()
            elif isinstance(one, list):
                with suppress(StatetapeError):
                    engine.execute_many(one)
            else:
                clock.forward(one)
    return path
