"""The structure that `check` reads off a machine: each kind of finding, at its place."""

from __future__ import annotations

import pytest
from statetape.fsm.check import ERROR, WARNING, Finding
from statetape.fsm.machine import Machine

from .machines import FILE, HEAD, bundled, check, load, marked


def loaded(body: str) -> tuple[Machine, str]:
    """Return the machine of `body`, and the place of its mark."""
    text, place = marked(HEAD + body)
    return load(text, FILE), place


STRUCTURE = {
    "state that cannot be reached": (
        """
states: {open: {initial: true}, lost: §{}, closed: {final: true}}
events: {go: {go: [{from: open, to: closed}, {from: lost, to: closed}]}}
""",
        ERROR,
        "state 'lost' cannot be reached",
    ),
    "final state that cannot be reached": (
        """
states: {open: {initial: true}, other: , closed: §{final: true}}
events: {go: {go: [{from: open, to: other}, {from: other, to: open}]}}
""",
        ERROR,
        "state 'closed' cannot be reached",
    ),
    "state without a way out": (
        """
states: {open: {initial: true}, stuck: §{}, closed: {final: true}}
events: {go: {go: [{from: open, to: stuck, when: key == "a"}, {from: open, to: closed}]}}
""",
        ERROR,
        "state 'stuck' is not final, and nothing and no timer can leave it",
    ),
    "state that only leads to itself": (
        """
states: {open: {initial: true}, stuck: §{}, closed: {final: true}}
events:
  go: {go: [{from: open, to: stuck, when: key == "a"}, {from: open, to: closed}]}
  stay: {go: [{from: stuck, to: same}, {from: open, to: same}]}
  back: {go: [{from: stuck, to: stuck}]}
  note: {go: [{from: any}]}
""",
        ERROR,
        "state 'stuck' is not final, and nothing and no timer can leave it",
    ),
    "row behind one without a condition": (
        """
states: {open: {initial: true}, closed: {final: true}}
events: {go: {go: [{from: open, to: closed}, §{from: open, to: same}]}}
""",
        ERROR,
        "this row of 'go' never matches: rows before it take every case",
    ),
    "wildcard behind exact rows of every state": (
        """
states: {open: {initial: true}, other: , closed: {final: true}}
events:
  go: {go: [§{from: any}, {from: open, to: other}, {from: other, to: closed}]}
""",
        ERROR,
        "this row of 'go' never matches: rows before it take every case",
    ),
    "timer whose event the state does not take": (
        """
states:
  open: {initial: true, timers: {late: §{event: expire, after: 1s}}}
  other:
  closed: {final: true}
events:
  go: {go: [{from: open, to: other}]}
  expire: {go: [{from: other, to: closed}]}
""",
        ERROR,
        "timer 'late' fires 'expire', which 'open' does not take",
    ),
    "event that no state takes": (
        """
states: {open: {initial: true}, closed: {final: true}}
events:
  go: {go: [{from: open, to: closed}]}
  never: §{otherwise: ignore}
""",
        WARNING,
        "no state takes 'never'",
    ),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_unsound_structure_is_found_at_its_place(name: str) -> None:
    """The finding, its level and its place, and nothing else is found."""
    body, level, message = STRUCTURE[name]
    of, place = loaded(body)

    found = check(of)

    assert Finding(place, level, message) in found
    assert [str(one) for one in found] == [f"{place}: {level}: {message}"]


def test_finding_about_a_state_stands_on_the_line_of_its_name() -> None:
    """In block style too, where the state's parts begin on the next line."""
    of, place = loaded(
        """
states:
  open:
    initial: true
  §lost:
    title: Nobody gets here
  closed:
    final: true
events:
  go:
    go:
      - {from: [open, lost], to: closed}
"""
    )

    [finding] = check(of)

    assert finding.message == "state 'lost' cannot be reached"
    assert finding.place.rsplit(":", 1)[0] == place.rsplit(":", 1)[0]


@pytest.mark.parametrize("name", bundled())
def test_sound_machine_has_no_finding(name: str) -> None:
    """Every machine that comes with statetape, and the benchmarks' one."""
    assert check(bundled()[name]) == []


@pytest.mark.parametrize(
    "body",
    [
        "states: {done: {initial: true, final: true}}",
        """
states: {open: {initial: true, timers: {t: {event: end, after: 1s}}}, closed: {final: true}}
events: {end: {go: [{from: any, to: closed}]}}
""",
        """
data: {n: int}
states: {open: {initial: true}, closed: {final: true}}
events:
  go:
    params: {p: int}
    require: [{that: p > 0 and n < 1000, else: {reason: NO}}]
    set: {n: n + p}
    go:
      - {from: open, when: n > 900, to: closed}
      - {from: open, when: n <= 900}
invariants: [{name: rises, that: n >= old.n}, {name: natural, that: n >= 0}]
create: {}
""",
    ],
    ids=["final at once", "left by a timer", "guarded"],
)
def test_small_sound_machine_has_no_finding(body: str) -> None:
    """Conditions that exclude each other, a timer as the only way out, a final beginning."""
    assert [str(one) for one in check(load(HEAD + body, FILE))] == []


def test_structure_comes_first_and_everything_is_found() -> None:
    """One machine with several faults: all of them, states before rows before timers."""
    of = load(
        HEAD
        + """
data: {n: int}
states:
  open: {initial: true, timers: {t: {event: never, after: 1s}}}
  lost:
events:
  go: {set: {n: n - 1}, go: [{from: open}, {from: open, to: same}]}
  never: {otherwise: ignore}
create: {}
invariants: [{name: natural, that: n >= 0}]
""",
        FILE,
    )

    assert [(one.level, one.message.split(":")[0]) for one in check(of)] == [
        (ERROR, "state 'open' is not final, and nothing and no timer can leave it"),
        (ERROR, "state 'lost' cannot be reached"),
        (ERROR, "state 'lost' is not final, and nothing and no timer can leave it"),
        (ERROR, "this row of 'go' never matches"),
        (ERROR, "timer 't' fires 'never', which 'open' does not take"),
        (WARNING, "no state takes 'never'"),
        (ERROR, "invariant natural is broken by"),
    ]
