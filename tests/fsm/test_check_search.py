"""The search of `check`: the shortest way to break an invariant, no false alarm, bounded work."""

from __future__ import annotations

import pytest

from .machines import FILE, HEAD, check, load
from .work import at_most


def found(body: str) -> list[str]:
    """Return what the search finds in a machine whose structure is sound."""
    text = HEAD + body
    return [str(one).removeprefix(f"{FILE}:") for one in check(load(text, FILE))]


def counter(invariant: str, more: str = "") -> str:
    """Return a machine with a counter that goes up and down, and may be shut."""
    return f"""
data: {{n: int = 0}}
create: {{}}
states: {{open: {{initial: true}}, shut: {{final: true}}}}
events:
  up: {{set: {{n: n + 1}}, go: [{{from: open}}]}}
  double: {{set: {{n: n * 2}}, go: [{{from: open}}]}}
  down:
    require: [{{that: n > 0, else: {{reason: NO}}}}]
    set: {{n: n - 1}}
    go: [{{from: open}}]
  shut: {{go: [{{from: open, to: shut, when: n == 3}}]}}
invariants: [{{name: held, that: {invariant}}}]
{more}
"""


@pytest.mark.parametrize(
    ("invariant", "path"),
    [
        ("n != 1", "create() → up()"),
        ("n != 2", "create() → up() → up()"),
        ("n < 4", "create() → up() → up() → double()"),
        ("n != 8", "create() → up() → up() → double() → double()"),
        ("n >= old.n", "create() → up() → down()"),
        ("n + old.n != 5", "create() → up() → up() → up()"),
        ("false", "create()"),
        ('state == "open" or n != 3', None),
    ],
)
def test_broken_invariant_is_told_by_its_shortest_sequence(
    invariant: str, path: str | None
) -> None:
    """Exactly the commands, in the order of the file where several are as short."""
    place = "16:14"

    expected = [f"{place}: error: invariant held is broken by: {path}"]
    assert found(counter(invariant)) == (expected if path else [])


def test_parameters_and_heights_of_the_sequence_are_told() -> None:
    """The samples of the file, with the height at which each was sent."""
    body = """
chain: c
data: {at: epoch, n: int}
states: {open: {initial: true}, shut: {final: true}}
create: {params: {n: int}, set: {n: n, at: height}}
events:
  add: {params: {p: int, q: text = "x"}, set: {n: n + p}, go: [{from: open}]}
  shut: {require: [{that: height > 6, else: {reason: NO}}], go: [{from: open, to: shut}]}
invariants: [{name: small, that: n < 9 or height < 7 or at > 0}]
check:
  heights: [0, 5, 7]
  create: [{n: 1}]
  samples: {add: [{p: 2}, {p: 9, q: y}]}
"""

    assert found(body) == [
        "12:14: error: invariant small is broken by: create(n=1) → add(p=9, q=y) at 7"
    ]


def test_failing_evaluation_is_found_with_its_sequence() -> None:
    """An expression that divides by zero after two steps, and where the machine is."""
    findings = found(counter("n >= 0").replace("n == 3}", "12 // (n - 2) == 12}"))

    assert len(findings) == 1
    assert "cannot be evaluated after: create() → up() → up() → shut()" in findings[0]


def test_each_trouble_is_told_once() -> None:
    """By its shortest sequence, although longer ones reach it as well."""
    assert len(found(counter("n < 1"))) == 1


def test_depth_bounds_the_search() -> None:
    """A search of `depth` commands after the creation: what takes one more is not found."""
    body = counter("n < 3", "check: {depth: 2, samples: {double: []}}").replace("n * 2", "n")

    assert found(body) == []
    assert len(found(body.replace("depth: 2", "depth: 3"))) == 1
    assert found(counter("n < 1", "check: {depth: 0}")) == []


@pytest.mark.parametrize(
    ("of", "values"),
    [
        ("int", "n=0|n=1|n=-1"),
        ("uint", "n=0|n=1"),
        ("bool", "n=False|n=True"),
        ("text", "n=a|n="),
        ("list[int]", "n=()"),
        ("map[int, int]", "n={}"),
    ],
)
def test_parameters_without_samples_get_small_values_of_their_type(of: str, values: str) -> None:
    """Zero, one, minus one where it fits; empty and not empty: what often breaks things."""
    tried = values.split("|")
    paths = []
    for number in range(len(tried)):
        body = f"""
data: {{c: int}}
create: {{}}
states: {{open: {{initial: true}}, shut: {{final: true}}}}
events:
  add: {{params: {{n: "{of}"}}, set: {{c: c + 1}}, go: [{{from: open}}]}}
  end: {{go: [{{from: open, to: shut}}]}}
invariants: [{{name: first, that: c < 1}}]
check: {{depth: {number + 1}}}
"""
        paths += [line.split("→ ")[1] for line in found(body)]

    assert paths == [f"add({tried[0]})"] * len(tried)


def test_timer_is_fired_by_the_search() -> None:
    """Its event, without parameters, once it is armed."""
    body = """
data: {n: int}
create: {}
states:
  open: {initial: true}
  busy: {timers: {late: {event: expire, after: 1s}}}
  shut: {final: true}
events:
  work: {go: [{from: open, to: busy}]}
  expire: {params: {n: int = 5}, set: {n: n}, go: [{from: busy, to: shut}]}
invariants: [{name: never, that: n != 5}]
"""

    assert found(body) == [
        "14:14: error: invariant never is broken by: create() → work() → expire()"
    ]


SOUND_BY_TIME = {
    "after": """
data: {began: time, ended: time}
create: {set: {began: now, ended: now + 3600000000}}
states:
  open: {initial: true, timers: {late: {event: expire, after: 1h}}}
  shut: {final: true}
events:
  expire: {set: {ended: now}, go: [{from: open, to: shut}]}
invariants: [{name: an_hour, that: ended - began >= 3600000000}]
""",
    "at": """
data: {due: time = 100000000, ended: time = 100000000}
create: {}
states:
  open: {initial: true, timers: {late: {event: expire, at: due}}}
  shut: {final: true}
events:
  expire: {set: {ended: now}, go: [{from: open, to: shut}]}
invariants: [{name: not_before, that: ended >= due}]
""",
    "height": """
chain: c
data: {due: epoch = 50, ended: epoch = 50}
create: {}
states:
  open: {initial: true, timers: {late: {event: expire, at_height: due}}}
  shut: {final: true}
events:
  expire: {set: {ended: height}, go: [{from: open, to: shut}]}
invariants: [{name: not_before, that: ended >= due}]
check: {heights: [1, 20, 60]}
""",
}


@pytest.mark.parametrize("name", SOUND_BY_TIME)
def test_timer_does_not_fire_before_its_deadline_in_the_search(name: str) -> None:
    """No engine fires it early, so a finding that needs that would be a false alarm."""
    assert found(SOUND_BY_TIME[name]) == []


def test_event_of_a_timer_is_not_sent_by_hand_while_it_is_armed() -> None:
    """Only where nothing is armed may anybody send such an event."""
    body = SOUND_BY_TIME["height"].replace("at_height: due}", "at_height: due, when: due < 0}")

    assert len(found(body)) == 1


HUGE = {
    "states": """
data: {x: int, y: int}
create: {}
states: {open: {initial: true}, shut: {final: true}}
events:
  a: {params: {p: int, q: int, r: int}, set: {x: x * 3 + p + q * 2, y: y + r}, go: [{from: open}]}
  b: {params: {p: int, q: int}, set: {x: x * 5 + p, y: y * 7 + q}, go: [{from: open}]}
  end: {go: [{from: open, to: shut}]}
check: {depth: 12}
""",
    "events": """
data: {x: int}
create: {}
states: {open: {initial: true}, shut: {final: true}}
events:
  end: {go: [{from: open, to: shut}]}
"""
    + "".join(
        f"  e{n}:\n    params: {{p: int, q: int}}\n    set: {{x: x * 3 + p + q + {n}}}\n"
        "    go: [{from: open}]\n"
        for n in range(300)
    ),
    "samples and heights": """
chain: c
data: {x: int}
create: {}
states: {open: {initial: true}, shut: {final: true}}
events:
  a: {params: {p: int}, set: {x: x * 3 + p}, go: [{from: open}]}
  end: {go: [{from: open, to: shut}]}
check:
  depth: 12
"""
    f"  heights: [{', '.join(map(str, range(300)))}]\n"
    f"  samples: {{a: [{', '.join(f'{{p: {n}}}' for n in range(300))}]}}\n",
}


@pytest.mark.parametrize("name", HUGE)
def test_search_of_a_huge_space_is_bounded(name: str) -> None:
    """However many states, events, samples or heights a file has: so much work and no more."""
    of = load(HEAD + HUGE[name], FILE)

    with at_most(5_000_000):
        assert check(of) == []


def test_a_timer_gives_its_event_what_it_says() -> None:
    """The search fires it with its `with`, so what then breaks is found."""
    body = """
data: {n: int = 7}
create: {}
states:
  open: {initial: true, timers: {t: {after: 1s, event: told, with: {m: n}}}}
  closed: {final: true}
events:
  told: {params: {m: int}, set: {n: m + 1}, go: [{from: open, to: closed}]}
invariants: [{name: low, that: n < 8}]
"""

    assert "invariant low is broken by: create() → told(m=7)" in found(body)[0]
