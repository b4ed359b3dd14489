"""The compiled table and the `transitions` library take the same row, in every case there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import transitions
from statetape.fsm import dispatch
from statetape.fsm.machine import Machine, Row

from .machines import bundled, machine

MADE = {
    "wildcards": """
        states: {a: {initial: true}, b: , c: , d: {final: true}}
        events:
          one: {go: [{from: any, to: b}, {from: a, to: c}]}
          two: {go: [{from: any, to: same}, {from: [b, c], to: d}]}
          three: {go: [{from: any}, {from: c, to: same}]}
          four: {go: [{from: [a, any], to: a}, {from: b, to: c}]}
          five: {otherwise: ignore}
          six: {otherwise: defer, go: [{from: b}]}
        """,
    "conditions": """
        data: {n: int}
        states: {a: {initial: true}, b: , c: {final: true}}
        events:
          one:
            go:
              - {from: any, to: c, when: n == 1}
              - {from: a, to: b, when: n == 2}
              - {from: [a, b], to: same, when: n == 3}
              - {from: any, when: n == 4}
              - {from: a, to: a, when: n == 5}
          two:
            go:
              - {from: a, to: b, when: n == 1}
              - {from: a, to: c}
              - {from: a, to: a, when: n == 2}
              - {from: any, to: b}
          three:
            otherwise: ignore
            go: [{from: b, when: n == 1}, {from: b, to: same, when: n == 2}]
        """,
    "names of the library": """
        states: {begun: {initial: true}, initial: , trigger: , model: , "final": {final: true}}
        events:
          trigger: {go: [{from: any, to: model}]}
          add_model: {go: [{from: any, to: trigger}]}
          is_begun: {go: [{from: any, to: same}]}
          to_initial: {go: [{from: any, to: initial}]}
          may_trigger: {go: [{from: any}]}
          before: {go: [{from: any, to: final}]}
        """,
    "one state": "states: {only: {initial: true}}\nevents: {go: {go: [{from: only, to: same}]}}",
    "final at once": """
        states: {done: {initial: true, final: true}}
        events: {go: {go: [{from: any}]}}
        """,
}


def machines() -> dict[str, Machine]:
    """Return the bundled machines and those made for this."""
    return {**bundled(), **{name: machine(body) for name, body in MADE.items()}}


MACHINES = machines()


class Model:
    """What the library moves: an object with a state."""

    state_: str


class Driven:
    """A machine as the library itself runs it."""

    def __init__(self, of: Machine) -> None:
        self.taken: list[Row] = []
        self.machine = dispatch.build(
            of.states,
            of.initial,
            of.events.values(),
            after_state_change=self._note,
            finalize_event=self._end,
        )
        self._result = False

    def _note(self, event_data: Any) -> None:
        self.taken.append(event_data.transition.row)

    def _end(self, event_data: Any) -> None:
        self._result = bool(event_data.result)

    def run(
        self, state: str, event: str, holds: Mapping[int, bool]
    ) -> tuple[Row | None, str | None]:
        """Return the row that the library takes and the state after; (None, None) if it refuses."""
        if event not in self.machine.events:
            return None, None  # an event that no row of any state takes
        model = Model()
        setattr(model, dispatch.MODEL_ATTRIBUTE, state)
        self.taken.clear()
        try:
            done = self.machine.events[event].trigger(model, row_holds=lambda row: holds[row.index])
        except transitions.MachineError:
            return None, None
        if not done:
            return None, None
        [row] = self.taken
        return row, getattr(model, dispatch.MODEL_ATTRIBUTE)


def by_table(
    of: Machine, state: str, event: str, holds: Mapping[int, bool]
) -> tuple[Row | None, str | None]:
    """Return the same from the compiled table, as `decide` reads it."""
    for row in of.table[state].get(event, ()):
        if row.when is None or holds[row.index]:
            return row, state if row.to is None else row.to
    return None, None


def cases(of: Machine) -> Iterator[tuple[str, str, dict[int, bool]]]:
    """Yield every state, every event, and every combination of truth of the event's conditions."""
    for state, (name, event) in itertools.product(of.states, of.events.items()):
        conditions = [row.index for row in event.rows if row.when is not None]
        for truths in itertools.product([False, True], repeat=len(conditions)):
            yield state, name, dict(zip(conditions, truths, strict=True))


@pytest.mark.parametrize("name", MACHINES)
def test_library_and_table_take_the_same_row_in_every_case(name: str) -> None:
    """Same row, same state after, or both refuse."""
    of = MACHINES[name]
    driven = Driven(of)
    told = []

    for state, event, holds in cases(of):
        ours = by_table(of, state, event, holds)
        theirs = driven.run(state, event, holds)
        assert (ours, state, event, holds) == (theirs, state, event, holds)
        told.append(ours[0] is not None)

    assert any(told) or name == "final at once"
    assert len(told) >= len(of.states) * len(of.events)


@pytest.mark.parametrize("name", MACHINES)
def test_library_and_table_accept_the_same_events(name: str) -> None:
    """What a state takes, as the library tells and as `accepts` and `accepted_in` tell."""
    of = MACHINES[name]
    built = dispatch.build(of.states, of.initial, of.events.values())

    for state in of.states:
        assert sorted(of.accepts(state)) == sorted(built.get_triggers(state))
    for event in of.events:
        assert of.accepted_in(event) == [
            state for state in of.states if event in built.get_triggers(state)
        ]


@pytest.mark.parametrize("name", MACHINES)
def test_final_states_take_nothing(name: str) -> None:
    """Neither in the table nor in the library, not even from `any`."""
    of = MACHINES[name]

    assert [of.table[state] for state in of.states if of.states[state].final] == [
        {} for state in of.states.values() if state.final
    ]


def test_library_has_the_states_of_the_file() -> None:
    """Negative control: it is the whole machine that is compared."""
    of = MACHINES["filecoin.payment_channel"]
    built = dispatch.build(of.states, of.initial, of.events.values())

    assert list(built.states) == ["open", "settling", "settled", "collected"]
    assert [state for state in built.states if built.states[state].final] == ["collected"]
    assert built.initial == "open"


def test_every_row_is_taken_somewhere_or_shadowed() -> None:
    """The cases above reach every row that can be reached at all."""
    of = MACHINES["conditions"]
    taken = {
        (event, row.index)
        for state, event, holds in cases(of)
        if (row := by_table(of, state, event, holds)[0]) is not None
    }

    rows = {(name, row.index) for name, event in of.events.items() for row in event.rows}
    assert rows - taken == {("two", 2)}
