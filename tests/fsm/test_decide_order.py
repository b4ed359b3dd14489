"""The order of a decision: where two steps would refuse, the first one is named."""

from __future__ import annotations

import pytest
from statetape.fsm.decide import ACCEPTED, DEFERRED, IGNORED, REJECTED, HeightUnknown
from statetape.fsm.machine import Machine

from .machines import event, kind, machine, send

ALL = """
data: {n: int = 1, m: "map[int, int]"}
states:
  open: {initial: true}
  other: {entry: [{do: entered, with: {x: "m[77]"}}]}
  closed: {final: true}
events:
  go:
    params: {a: int, b: int = 0}
    require:
      - {that: b != 5, else: {reason: FIVE}}
      - {let: {half: 10 // (b - 7)}}
      - {that: b != 6, else: {reason: SIX}}
    set: {n: 10 // (b - 8)}
    effects:
      - {do: before, when: b == 10, with: {x: "m[99]"}}
    go:
      - {from: open, to: other, when: b == 11}
      - {from: open, when: b < 100, set: {n: 5 if b == 9 or b == 10 else 1}}
  later: {otherwise: defer, params: {a: int}, go: [{from: other}]}
  never: {otherwise: ignore, params: {a: int}, go: [{from: other}]}
  strict: {params: {a: int}, require: [{that: a > 0, else: {reason: NO}}], go: [{from: other}]}
invariants:
  - {name: not_five, that: n != 5}
"""


@pytest.fixture(scope="module")
def steps() -> Machine:
    """A machine whose parameter `b` chooses the step that refuses."""
    return machine(ALL)


def test_undeclared_event_wins_over_final_state(steps: Machine) -> None:
    """Step 1 before step 2."""
    assert kind(send(steps, "nope", {"a": "x"}, state="closed")) == "undeclared_event"


def test_final_state_wins_over_bad_arguments(steps: Machine) -> None:
    """Step 2 before step 3, also for an event that would be deferred or ignored."""
    for name in ("go", "later", "never"):
        assert kind(send(steps, name, {"a": "x"}, state="closed")) == "terminated"


@pytest.mark.parametrize("name", ["go", "later", "never", "strict"])
def test_bad_arguments_win_over_a_missing_row(steps: Machine, name: str) -> None:
    """Step 3 before step 4: nothing that does not fit is parked or noted."""
    state = "other" if name == "go" else "open"

    assert kind(send(steps, name, {"a": "x"}, state=state)) == "bad_arguments"
    assert kind(send(steps, name, {}, state=state)) == "bad_arguments"
    assert kind(send(steps, name, {"a": 1, "z": 1}, state=state)) == "bad_arguments"


def test_missing_row_wins_over_a_failing_guard(steps: Machine) -> None:
    """Step 4 before step 5."""
    assert kind(send(steps, "strict", {"a": 0})) == "no_transition"


def test_guards_are_checked_in_order(steps: Machine) -> None:
    """Within step 5 the first that fails is the refusal, a failing `let` among them."""
    assert send(steps, params={"a": 1, "b": 5}).reason["reason"] == "FIVE"
    assert send(steps, params={"a": 1, "b": 6}).reason["reason"] == "SIX"
    failing = send(steps, params={"a": 1, "b": 7}).reason
    assert failing == {"kind": "evaluation_failed", "that": "10 // (b - 7)"}


def test_failing_guard_wins_over_conditions_that_do_not_hold() -> None:
    """Step 5 before step 6."""
    found = event(
        """
        params: {b: int}
        require: [{that: b < 3, else: {reason: NO}}]
        go: [{from: open, when: b < 2}]
        """
    )

    assert kind(send(found, params={"b": 5})) == "guard_failed"
    assert kind(send(found, params={"b": 2})) == "no_transition"
    assert send(found, params={"b": 1}).outcome == ACCEPTED


def test_conditions_that_do_not_hold_win_over_a_failing_set() -> None:
    """Step 6 before step 7."""
    found = event("set: {n: 1 // 0}\ngo: [{from: open, when: n > 5}]", "data: {n: int}")

    assert kind(send(found)) == "no_transition"
    assert kind(send(found, data={"n": 6})) == "evaluation_failed"


def test_failing_condition_is_a_failed_evaluation() -> None:
    """Step 6 itself: a `when` that divides by zero, unless an earlier row is taken."""
    found = event(
        "go: [{from: open, when: n > 5}, {from: open, when: 1 // n == 1}]", "data: {n: int}"
    )

    assert kind(send(found)) == "evaluation_failed"
    assert send(found, data={"n": 6}).outcome == ACCEPTED


def test_failing_set_wins_over_a_broken_invariant(steps: Machine) -> None:
    """Step 7 before step 8: the row would set n to 5, the event's own set fails."""
    assert kind(send(steps, params={"a": 1, "b": 8})) == "evaluation_failed"
    assert kind(send(steps, params={"a": 1, "b": 9})) == "invariant_broken"


def test_broken_invariant_wins_over_a_failing_effect(steps: Machine) -> None:
    """Step 8 before step 9: with b = 10 the effect fails and the invariant is broken."""
    assert kind(send(steps, params={"a": 1, "b": 10})) == "invariant_broken"


def test_broken_invariant_wins_over_a_failing_entry_effect_and_timer() -> None:
    """Step 8 before the rest of step 9."""
    found = machine(
        """
        data: {n: int}
        states:
          open: {initial: true}
          other:
            entry: [{do: x, with: {y: 1 // n}}]
            timers: {t: {event: tick, after: 1 // n}}
        events:
          go: {params: {n: int}, set: {n: n}, go: [{from: open, to: other}]}
          tick: {go: [{from: other, to: open}]}
        invariants: [{name: small, that: n < 9 and old.n == 0 and n != 0}]
        """
    )

    assert kind(send(found, params={"n": 0})) == "invariant_broken"
    assert kind(send(found, params={"n": 9})) == "invariant_broken"
    assert send(found, params={"n": 1}).outcome == ACCEPTED


def test_effect_of_the_event_wins_over_the_entry_effect() -> None:
    """Within step 9: both fail, and either way the whole command is refused."""
    found = machine(
        """
        data: {m: "map[int, int]"}
        states: {open: {initial: true}, other: {entry: [{do: x, with: {y: "m[1]"}}]}}
        events:
          one: {effects: [{do: x, with: {y: "m[2]"}}], go: [{from: open, to: other}]}
          two: {go: [{from: open, to: other}]}
        """
    )

    for name in ("one", "two"):
        decision = send(found, name)
        assert (decision.outcome, kind(decision)) == ("rejected", "evaluation_failed")
        assert (decision.to, decision.data, decision.patch, decision.effects) == (None,) * 4


@pytest.mark.parametrize(
    ("name", "outcome"), [("strict", "rejected"), ("later", DEFERRED), ("never", IGNORED)]
)
def test_event_without_a_row_does_what_the_file_says(
    steps: Machine, name: str, outcome: str
) -> None:
    """Rejected, parked or only noted; the parameters are kept in each case."""
    decision = send(steps, name, {"a": "7"})

    assert (decision.outcome, decision.params) == (outcome, {"a": 7})
    assert (decision.to, decision.patch, decision.timers, decision.effects) == (None,) * 4


def test_missing_row_says_what_would_have_worked(steps: Machine) -> None:
    """The events that this state takes, and the states that take this event."""
    assert send(steps, "strict", {"a": 1}).reason == {
        "kind": "no_transition",
        "accepts": ["go"],
        "accepted_in": ["other"],
    }
    assert send(steps, "nope").reason == {"kind": "undeclared_event", "accepts": ["go"]}


def test_conditions_that_do_not_hold_are_told(steps: Machine) -> None:
    """The refusal quotes what each row would have needed."""
    assert send(steps, params={"a": 1, "b": 100}).reason == {
        "kind": "no_transition",
        "accepts": ["go"],
        "needs": ["b == 11", "b < 100"],
    }


@pytest.mark.parametrize(
    ("otherwise", "outcome"), [("reject", REJECTED), ("defer", REJECTED), ("ignore", IGNORED)]
)
def test_conditions_that_do_not_hold_are_refused_or_noted_but_never_parked(
    otherwise: str, outcome: str
) -> None:
    """A command is parked until another state takes it (step 4), not until a condition holds."""
    found = event(f"otherwise: {otherwise}\ngo: [{{from: open, when: n > 5}}]", "data: {n: int}")

    assert send(found).outcome == outcome


def test_unknown_height_is_an_error_and_not_a_decision() -> None:
    """Nothing is refused for want of a height: the caller is told to bring one."""
    parts = [
        "require: [{that: height > 1, else: {reason: NO}}]",
        "require: [{let: {h: height}}]",
        "set: {e: height}",
        "effects: [{do: x, with: {h: height}}]",
        "effects: [{do: x, when: height > 1}]",
        "go: [{from: open, when: height > 1}]",
        "go: [{from: open, set: {e: height}}]",
    ]
    for part in parts:
        found = event(part, "chain: test\ndata: {e: epoch}")

        with pytest.raises(HeightUnknown, match="no height of chain test is known") as caught:
            send(found)

        assert "statetape head test HEIGHT" in caught.value.hint
        assert send(found, height=2).outcome == ACCEPTED


def test_unknown_height_in_an_invariant_an_entry_or_a_timer_is_an_error() -> None:
    """The same where a state is entered."""
    rest = "events: {go: {go: [{from: open, to: same}]}}"
    for part in (
        "states: {open: {initial: true}}\ninvariants: [{name: i, that: height > 0}]",
        "states: {open: {initial: true, entry: [{do: x, with: {h: height}}]}}",
        "states: {open: {initial: true, timers: {t: {event: go, at_height: height + 1}}}}",
        "states: {open: {initial: true, timers: {t: {event: go, after: 1s, when: height > 0}}}}",
    ):
        found = machine(f"chain: test\n{part}\n{rest}")

        with pytest.raises(HeightUnknown):
            send(found)
        assert send(found, height=2).outcome == ACCEPTED


def test_height_that_is_not_needed_need_not_be_known() -> None:
    """A rule that stops before the height decides without it."""
    found = event(
        "params: {n: int}\nrequire: [{that: n > 1 and height > 1, else: {reason: NO}}]", "chain: c"
    )

    assert kind(send(found, params={"n": 1})) == "guard_failed"
