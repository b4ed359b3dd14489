"""Rows: which one is taken, where it leads, and what it sets and does."""

from __future__ import annotations

import pytest
from statetape.fsm.decide import ACCEPTED
from statetape.fsm.machine import Machine

from .machines import create, event, machine, send
from .strategies import BIG

ROUTES = """
data: {n: int, log: text}
states:
  open:
    initial: true
    entry: [{do: opened, with: {n: n}}]
    timers: {idle: {event: tick, after: 10s}}
  busy:
    entry: [{do: busied, with: {n: n}}]
  closed: {final: true, entry: [{do: ended}]}
events:
  move: {set: {n: n + 1}, go: [{from: open, to: busy}, {from: busy, to: open}]}
  stay: {set: {n: n + 1}, go: [{from: any, to: same}]}
  note: {set: {n: n + 1}, go: [{from: any}]}
  shut: {go: [{from: any, to: closed}]}
  tick: {go: [{from: open, to: busy}]}
  pick:
    params: {n: int}
    go:
      - {from: any, when: n == 1, set: {log: '"any 1"'}}
      - {from: any, set: {log: '"any"'}}
      - {from: open, when: n == 1, set: {log: '"open 1"'}}
      - {from: [busy, open], when: n == 2, set: {log: '"both 2"'}}
      - {from: open, when: n < 3, set: {log: '"open < 3"'}}
"""


@pytest.fixture(scope="module")
def routes() -> Machine:
    """A machine with every kind of row."""
    return machine(ROUTES)


def test_row_to_another_state_enters_it(routes: Machine) -> None:
    """The state changes, its entry runs over the data after, old timers are cancelled."""
    decision = send(routes, "move", timers={"idle": ("at", 5, 1)})

    assert (decision.outcome, decision.to) == (ACCEPTED, "busy")
    assert decision.effects == [{"do": "busied", "n": 1}]
    assert decision.timers == {"idle": None}
    assert decision.patch == {"n": 1}


def test_row_to_same_enters_its_state_again(routes: Machine) -> None:
    """The state does not change, but its entry runs and its timer is armed anew."""
    decision = send(routes, "stay", timers={"idle": ("at", 5, 1)}, now=100)

    assert (decision.outcome, decision.to) == (ACCEPTED, None)
    assert decision.effects == [{"do": "opened", "n": 1}]
    assert decision.timers == {"idle": ("at", 10_000_100)}
    assert decision.patch == {"n": 1}


def test_row_without_to_only_records(routes: Machine) -> None:
    """Data may change; no entry effect, no timer is touched."""
    decision = send(routes, "note", timers={"idle": ("at", 5, 1)}, now=100)

    assert (decision.outcome, decision.to) == (ACCEPTED, None)
    assert (decision.effects, decision.timers) == (None, None)
    assert decision.patch == {"n": 1}


def test_row_to_its_own_state_by_name_enters_it_again(routes: Machine) -> None:
    """`to: open` from open is the same as `to: same`."""
    found = machine(
        """
        states: {open: {initial: true, entry: [{do: hello}]}}
        events: {go: {go: [{from: open, to: open}]}}
        """
    )

    decision = send(found)

    assert (decision.to, decision.effects) == (None, [{"do": "hello"}])


def test_row_to_a_final_state_ends_everything(routes: Machine) -> None:
    """Its entry runs, every timer is cancelled, and nothing is taken any more."""
    decision = send(routes, "shut", timers={"idle": ("at", 5, 1), "x": ("height", 5, 1)})

    assert (decision.to, decision.effects) == ("closed", [{"do": "ended"}])
    assert decision.timers == {"idle": None, "x": None}
    assert routes.accepts("closed") == []


@pytest.mark.parametrize(
    ("state", "n", "log"),
    [
        ("open", 1, "open 1"),
        ("open", 2, "both 2"),
        ("open", 0, "open < 3"),
        ("open", 3, "any"),
        ("busy", 2, "both 2"),
        ("busy", 1, "any 1"),
        ("busy", 0, "any"),
    ],
)
def test_exact_row_beats_any_and_conditions_are_tried_in_order(
    routes: Machine, state: str, n: int, log: str
) -> None:
    """Exact rows first, each kind in the order of the file, the first that holds."""
    decision = send(routes, "pick", {"n": n}, state=state)

    assert decision.patch == {"log": log}


def test_any_is_every_state_but_the_final_ones(routes: Machine) -> None:
    """A final state takes nothing, not even from `any`."""
    assert routes.accepted_in("note") == ["open", "busy"]


def test_any_beside_a_name_is_a_wildcard() -> None:
    """`from: [open, any]` stands behind an exact row."""
    found = event(
        """
        go:
          - {from: [open, any], set: {t: '"any"'}}
          - {from: open, set: {t: '"open"'}}
        """,
        "data: {t: text}",
    )

    assert send(found).patch == {"t": "open"}


def test_set_computes_every_value_from_the_data_before() -> None:
    """Two fields change places; the order in the file does not matter."""
    found = event("set: {a: b, b: a}", "data: {a: int = 1, b: int = 2}")

    assert send(found).data == {"a": 2, "b": 1}


def test_set_of_the_event_comes_before_that_of_the_row() -> None:
    """The row has the last word on a field, and still reads the data before."""
    found = event(
        "set: {a: 10, b: 20}\ngo: [{from: open, set: {a: a + b + 1}}]", "data: {a: int, b: int}"
    )

    assert send(found).data == {"a": 1, "b": 20}


def test_items_of_a_map_are_set_one_by_one_upon_the_whole() -> None:
    """The map itself, then items, then the row's items; keys and values from the data before."""
    found = event(
        """
        params: {k: uint64}
        set:
          m: "{x: 1 for x in [1, 2]}"
          m[k]: len(m) + 100
          "m[k + 1]": 7
        go: [{from: open, set: {"m[1]": 3}}]
        """,
        'data: {m: "map[uint64, int]"}',
    )

    decision = send(found, params={"k": 2}, data={"m": {9: 9}})

    assert decision.data == {"m": {1: 3, 2: 101, 3: 7}}
    assert decision.patch == {"m": {"1": 3, "2": 101, "3": 7, "9": None}}


def test_field_set_to_what_it_was_is_not_in_the_patch() -> None:
    """An entry says what changed, and nothing that did not."""
    found = event("params: {n: int}\nset: {n: n, t: t}", "data: {n: int = 4, t: text}")

    assert send(found, params={"n": 4}).patch is None
    assert send(found, params={"n": 5}).patch == {"n": 5}


def test_effects_of_event_and_row_see_the_data_before_and_entry_the_data_after() -> None:
    """In this order: event, row, entry; each over its own view."""
    found = machine(
        """
        data: {n: int = 1}
        states: {open: {initial: true}, other: {entry: [{do: entry, with: {n: n, now: now}}]}}
        events:
          go:
            params: {p: int}
            require: [{let: {q: p * 2}}]
            set: {n: p}
            effects: [{do: event, with: {n: n, q: q, key: key, state: state}}]
            go: [{from: open, to: other, effects: [{do: row, with: {n: n, p: p}}]}]
        """
    )

    assert send(found, params={"p": 5}, now=3).effects == [
        {"do": "event", "n": 1, "q": 10, "key": "key", "state": "open"},
        {"do": "row", "n": 1, "p": 5},
        {"do": "entry", "n": 5, "now": 3},
    ]


def test_effect_is_left_out_when_its_condition_does_not_hold() -> None:
    """And its arguments that are none are left out of it."""
    found = event(
        """
        params: {to: "text?", n: int}
        effects:
          - {do: one, when: to is not None, with: {to: to, length: len(to)}}
          - {do: two, when: n > 5, with: {half: 10 // (n - 6)}}
          - {do: three, with: {to: to, n: n}}
        """
    )

    assert send(found, params={"n": 1}).effects == [{"do": "three", "n": 1}]
    assert send(found, params={"n": 16, "to": "ab"}).effects == [
        {"do": "one", "to": "ab", "length": 2},
        {"do": "two", "half": 1},
        {"do": "three", "to": "ab", "n": 16},
    ]


def test_effect_argument_is_exact_json() -> None:
    """Amounts and big integers are strings, bytes are hex, lists and records nest."""
    found = event(
        """
        params: {a: attofil, n: int, b: bytes, l: lane, ns: "list[int]"}
        effects:
          - do: it
            with: {a: a, n: n, b: b, l: l, ns: ns, m: "{x: l for x in ns}", lit: 5, t: "key + '!'"}
        """,
        "types: {lane: {redeemed: attofil, note: 'text?'}}",
    )
    params = {"a": 1, "n": BIG, "b": "ff", "l": {"redeemed": BIG}, "ns": [1, BIG]}

    lane = {"redeemed": str(BIG)}
    assert send(found, params=params).effects == [
        {
            "do": "it",
            "a": "1",
            "n": str(BIG),
            "b": "ff",
            "l": lane,
            "ns": [1, str(BIG)],
            "m": {"1": lane, str(BIG): lane},
            "lit": 5,
            "t": "key!",
        }
    ]


def test_parameters_are_stored_as_given_and_defaults_are_not() -> None:
    """An entry keeps what was said; what a default means stands in the machine's text."""
    found = event(
        'params: {a: attofil = 5, t: text = "x", n: "int?", s: int}\nset: {n: s + len(t)}',
        "data: {n: int}",
    )

    decision = send(found, params={"s": str(BIG), "n": None})

    assert decision.params == {"s": str(BIG)}
    assert decision.patch == {"n": str(BIG + 1)}
    assert send(found, params={"s": 1, "a": 5}).params == {"s": 1, "a": "5"}
    assert send(event("params: {a: int = 1}")).params is None


def test_creation_gives_every_field_and_enters_the_initial_state() -> None:
    """Without `create` the data fields are the parameters; what is none is absent."""
    found = machine(
        """
        data: {n: int = 3, t: text, o: "int?", m: "map[int, int] = {}"}
        states: {open: {initial: true, entry: [{do: hello, with: {n: n}}],
                        timers: {t: {event: go, after: 1s}}}}
        events: {go: {go: [{from: open}]}}
        invariants: [{name: positive, that: n > 0 and old.n == 3}]
        """
    )

    decision = create(found, {"n": 7, "t": "a"}, now=5)

    assert (decision.outcome, decision.to) == (ACCEPTED, "open")
    assert decision.data == {"n": 7, "t": "a", "o": None, "m": {}}
    assert decision.patch == {"n": 7, "t": "a", "m": {}}
    assert decision.effects == [{"do": "hello", "n": 7}]
    assert decision.timers == {"t": ("at", 1_000_005)}


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, {"kind": "bad_arguments", "detail": "t: create needs t (text)"}),
        ({"t": 5}, {"kind": "bad_arguments", "detail": "t: 5 is not text"}),
        ({"t": "", "x": 1}, {"kind": "bad_arguments"}),
        ({"t": "", "n": -1}, {"kind": "invariant_broken", "name": "positive"}),
    ],
)
def test_creation_is_refused_like_any_command(params: dict[str, object], reason: object) -> None:
    """By the step that failed."""
    found = machine(
        """
        data: {n: int = 3, t: text}
        states: {open: {initial: true}}
        create: {params: {t: text, n: int = 1}, set: {t: t, n: n}}
        invariants: [{name: positive, that: n > 0}]
        """
    )

    decision = create(found, params)

    assert decision.outcome == "rejected"
    assert {name: decision.reason[name] for name in reason} == reason  # type: ignore[attr-defined]


def test_creation_has_guards_and_effects() -> None:
    """In their order, over the defaults and the parameters."""
    found = machine(
        """
        data: {n: int = 3}
        states: {open: {initial: true}}
        create:
          event: born
          params: {n: int}
          require: [{let: {d: 12 // n}}, {that: d > 2, else: {reason: TOO_MUCH, code: 4}}]
          set: {n: d}
          effects: [{do: announce, with: {d: d}}]
        """
    )

    assert create(found, {"n": 0}).reason == {"kind": "evaluation_failed", "that": "12 // n"}
    assert create(found, {"n": 6}).reason["reason"] == "TOO_MUCH"
    decision = create(found, {"n": 4})
    assert (decision.patch, decision.effects) == ({"n": 3}, [{"do": "announce", "d": 3}])
