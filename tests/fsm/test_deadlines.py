"""`check` proves that nothing waits for ever unnoticed; numbers mean one name each."""

from __future__ import annotations

import pytest
from statetape.fsm.check import ERROR, check
from statetape.fsm.errors import SpecError

from .machines import machine

EVENTS = "events: {end: {go: [{from: any, to: closed}]}}"


def found(state: str) -> list[str]:
    """Return what `check` says of a machine whose open state has these members."""
    of = machine(f"states:\n  open: {{initial: true{state}}}\n  closed: {{final: true}}\n{EVENTS}")
    assert all(one.level == ERROR for one in check(of))
    return [one.message for one in check(of)]


@pytest.mark.parametrize(
    "state",
    [
        ", timers: {t: {after: 1s, event: end}}",
        ", timers: {t: {quiet: 1s, event: end}}",
        ", timers: {t: {after: 1s, event: end}, u: {after: 1s, when: 1 > 2, event: end}}",
        ", no_deadline: the operator decides",
    ],
)
def test_a_state_with_a_deadline_or_a_reason_is_sound(state):
    """Any timer that is always armed, or a stated reason."""
    assert found(state) == []


@pytest.mark.parametrize("state", ["", ", timers: {t: {after: 1s, when: 1 > 2, event: end}}"])
def test_a_state_without_either_is_found(state):
    """Also where the only timer may rest."""
    assert found(state) == ["state 'open' has no deadline, and no reason (`no_deadline`) why not"]


def test_a_number_names_its_state_and_event():
    """As logs of the original print them, also those that this machine does not use."""
    of = machine("""
unused: {states: {7: Unsealing}, events: {9: Unheard}}
states: {open: {initial: true, code: 0}, closed: {final: true, code: 3}}
events: {end: {code: 0, go: [{from: any, to: closed}]}}
""")

    assert [of.state_numbered(code) for code in (0, 3, 7, 8)] == [
        "open",
        "closed",
        "Unsealing",
        None,
    ]
    assert [of.event_numbered(code) for code in (0, 9, 1)] == ["end", "Unheard", None]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("states: {open: {initial: true, code: 1}, b: {code: 1}}", "have the same code"),
        ("states: {open: {initial: true}}\nunused: {states: {1: open}}", "is not unused"),
        ("states: {open: {initial: true, code: 1}}\nunused: {states: {1: b}}", "the same code"),
    ],
)
def test_a_number_means_one_name(part, says):
    """Two states of one number, or an unused name that is used, are refused."""
    with pytest.raises(SpecError, match=says):
        machine(part)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("effects: [{raise: gone}]", "no event 'gone'"),
        ("effects: [{raise: take}]", "'take' needs 'n'"),
        ("effects: [{raise: take, with: {n: 1, m: 2}}]", "takes no 'm'"),
        ("effects: [{do: x, to: key}]", "write `raise`"),
        ("effects: [{do: x, raise: take}]", "either `do` or `raise`"),
        ("effects: [{raise: take, to: 5}]", "text is meant"),
    ],
)
def test_a_wrong_raise_is_refused(part, says):
    """What is raised to oneself is checked against the event; `to` is a name."""
    with pytest.raises(SpecError, match=says):
        machine(f"""
states: {{open: {{initial: true}}}}
events:
  go: {{go: [{{from: open}}], {part}}}
  take: {{params: {{n: int}}, go: [{{from: open}}]}}
""")


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("links: {deal: 5}", "a link is text"),
        ("links: {deal: nobody}", "nobody"),
        ("ledger: {due: 1 +}", "1 \\+"),
        ("links: {deal: key}\nends_with: order", "'order' is none"),
        ("links: {deal: 'split(key)'}\nends_with: deal", "split"),
        ("ends_with: deal", "'deal' is none"),
    ],
)
def test_a_wrong_link_or_figure_is_refused(part, says):
    """Links are names of instances; figures are expressions over the data."""
    with pytest.raises(SpecError, match=says):
        machine(f"states: {{open: {{initial: true}}}}\n{part}")
