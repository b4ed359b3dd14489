"""Hostile machines: loading and deciding cost what the file's size allows, whatever it says."""

from __future__ import annotations

import pytest
from statetape.fsm.errors import SpecError
from statetape.fsm.machine import Machine

from .machines import event, kind, machine, send
from .work import at_most

CALLS = 3_000_000


def load_bounded(body: str) -> Machine | SpecError:
    """Return the machine or the error, within a bound of work."""
    with at_most(CALLS):
        try:
            return machine(body)
        except SpecError as error:
            return error


def event_bounded(members: str, top: str = "") -> Machine | SpecError:
    """Return a machine with one event or the error, within a bound of work."""
    with at_most(CALLS):
        try:
            return event(members, top)
        except SpecError as error:
            return error


def lets(count: int, first: str, following: str, name: str = "a") -> str:
    """Return `count` steps that name values a0, a1, …, each made of the one before (PRIOR)."""
    steps = [f'{{let: {{{name}0: "{first}"}}}}']
    for number in range(1, count):
        value = following.replace("PRIOR", f"{name}{number - 1}")
        steps.append(f'{{let: {{{name}{number}: "{value}"}}}}')
    return ", ".join(steps)


def require(steps: str, test: str) -> str:
    """Return a `require` of these steps and one test."""
    return f'require: [{steps}, {{that: "{test}", else: {{reason: X}}}}]'


def test_record_types_that_double_do_not_double_the_work() -> None:
    """40 types, each with two fields of the type before: 2^40 leaves if anybody walks them."""
    types = "".join(f"  t{n}: {{x: t{n - 1}, y: t{n - 1}}}\n" for n in range(1, 40))

    load_bounded(
        f"types:\n  t0: {{x: int}}\n{types}"
        'data: {a: "t39?", b: "t39?"}\n'
        "states: {open: {initial: true}}\n"
        "events: {e: {set: {a: b}, go: [{from: open}]}}\n"
    )


def test_let_records_that_double_do_not_double_the_work() -> None:
    """The same with values that only an expression makes."""
    event_bounded(require(lets(40, "{x: 1}", "{x: PRIOR, y: PRIOR}"), "a39 == a39"))


def test_let_lists_that_nest_do_not_exhaust_the_stack() -> None:
    """A thousand levels: an error of the file or a machine, never a RecursionError."""
    steps = f"{lets(1000, '[1]', '[PRIOR]')}, {lets(1000, '[1]', '[PRIOR]', 'b')}"

    event_bounded(require(steps, "a999 == b999"))


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("not ", 390),
        ("-", 390),
        ("abs(", 195),
        ("(", 500),
        ("[", 150),
        ("1 if true else ", 120),
        ("1 + ", 190),
        ("1 - (", 150),
        ("true and (", 150),
        ("x[", 190),
        ("{a: ", 190),
        ("len([", 90),
    ],
)
def test_nested_expression_is_refused_or_compiled(source: str, parts: int) -> None:
    """Depth within the limits of length and parts never meets Python's recursion limit."""
    closing = "".join({"(": ")", "[": "]", "{": "}"}.get(char, "") for char in reversed(source))
    text = source * parts + "1" + closing * parts

    event_bounded(f'require: [{{let: {{a: "{text}"}}}}]', 'data: {x: "map[int, int]"}')


def test_chain_of_products_is_refused_when_it_passes_the_bound_of_integers() -> None:
    """Squared twelve times, a number of 4096 bits has 16 million: refused long before."""
    steps = lets(12, "n", "PRIOR * PRIOR")
    found = event("params: {n: int}\n" + require(steps, "a11 >= 0"))

    decision = send(found, params={"n": 2**4095})

    assert kind(decision) == "evaluation_failed"


def test_chain_of_concatenations_is_refused_when_it_passes_the_bound_of_text() -> None:
    """Doubled eight times, a text of 60,000 bytes has 15 million: refused long before."""
    steps = lets(9, "t", "PRIOR + PRIOR")
    found = event("params: {t: text}\n" + require(steps, "a8 == a8"))

    decision = send(found, params={"t": "x" * 60_000})

    assert kind(decision) == "evaluation_failed"


def test_many_states_and_rows_are_bounded_together() -> None:
    """A wildcard row stands in every state: 1500 of them in 1500 states are refused, or cheap."""
    states = "".join(f"  s{n}:\n" for n in range(1500))
    rows = "    - {from: any}\n" * 1500

    load_bounded(f"states:\n  i: {{initial: true}}\n{states}events:\n  e:\n    go:\n{rows}")


def test_long_file_of_expressions_is_loaded_within_bounds() -> None:
    """Negative control: as many honest guards as fit into a file are not refused."""
    steps = "".join(
        f"          - {{that: n + {n} > {n}, else: {{reason: X}}}}\n" for n in range(900)
    )
    found = load_bounded(
        f"""
data: {{n: int}}
states: {{open: {{initial: true}}}}
events:
  e:
    require:
{steps}
    go: [{{from: open}}]
"""
    )

    assert isinstance(found, Machine)
    assert len(found.events["e"].steps) == 900


@pytest.mark.parametrize(
    "source",
    ["n * n" + " * n" * 300, "'x'" + " + 'x'" * 300, "n // 7", "max(" + "n, " * 150 + "n)"],
    ids=["product", "text", "quotient", "arguments"],
)
def test_wide_expression_is_refused_or_evaluated(source: str) -> None:
    """400 parts at most, so what one expression makes stays small."""
    found = event_bounded(f'params: {{n: int}}\nrequire: [{{let: {{a: "{source}"}}}}]')

    if isinstance(found, Machine):
        assert send(found, params={"n": 2**4095}).outcome in ("accepted", "rejected")
    else:
        assert "more than 400 parts" in found.message
