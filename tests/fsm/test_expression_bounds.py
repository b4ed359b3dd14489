"""Expressions cost what their text and their data allow: nothing grows faster than both."""

from __future__ import annotations

import pytest
from statetape.fsm.errors import SpecError

from .expressions import compiled, evaluate, refused
from .machines import event, kind, send
from .work import at_most

HOSTILE = ["(" * 1900, "[" * 1900, "not " * 480, "-" * 1900, "{a:" * 600, "n" + ".a" * 900]
HOSTILE += ["n" + "[0" * 900, "f(" * 900, "1if " * 400, "'" * 1999, "\\\n" * 900, "lambda:" * 280]
HOSTILE += ["n<" * 900 + "n"]


def counting(items: range, seen: list[int]) -> tuple[int, ...]:
    """Return integers that note each comparison of theirs in `seen`."""

    class Counted(int):
        def __eq__(self, other: object) -> bool:
            seen.append(1)
            return int(self) == other

        __hash__ = int.__hash__

    return tuple(Counted(item) for item in items)


@pytest.mark.parametrize(
    "source",
    [
        "all(x in ns for x in other)",
        "[x for x in other if x not in ns]",
        "sum(1 for x in other if x in [1, 2, 3])",
        "all(x in m for x in other)",
    ],
)
def test_work_of_a_loop_grows_no_faster_than_its_data(source: str) -> None:
    """A loop that searches a list at every step is a nested loop by another name."""
    types = {"ns": "list[int]", "other": "list[int]", "m": "map[int, int]"}
    try:
        expression = compiled(source, types)
    except SpecError:
        return  # refused at load: as good
    seen: list[int] = []
    keys = range(300, 600)
    ns = counting(keys, seen)

    expression.call({"ns": ns, "other": tuple(keys), "m": dict.fromkeys(keys, 1)}, {}, None)

    assert len(seen) <= 300 * 10


@pytest.mark.parametrize(
    "source",
    [
        "[sum(ns) for x in ns]",
        "[max(ns) - x for x in ns]",
        "[len(values(m)) for x in ns]",
        "[y for y in flags if all(flags)]",
        "[t + t for x in ns]",
    ],
)
def test_work_over_a_whole_collection_inside_a_loop_is_refused(source: str) -> None:
    """`sum` walks, and `+` copies, once for each item: 65,536 times 65,536 in the worst case."""
    names = {"ns": "list[int]", "m": "map[int, int]", "flags": "list[bool]", "t": "text"}

    refused(source, names)


@pytest.mark.parametrize(
    "source",
    [
        "sum(len(x) for x in nest)",
        "[x[0] for x in nest]",
        "sum(m[k] for k in m if k in m)",
        "sum([x + 1 for x in [y * 2 for y in [z for z in ns]]])",
    ],
)
def test_loop_with_constant_work_at_each_step_is_allowed(source: str) -> None:
    """Negative control: look-ups, lengths and loops one after the other are linear."""
    values = {
        "nest": ("list[list[int]]", ((1,), (2, 3))),
        "m": ("map[int, int]", {1: 2, 3: 4}),
        "ns": ("list[int]", (1, 2)),
    }

    evaluate(source, values)


def test_expression_has_at_most_2000_characters_and_400_parts() -> None:
    """The last allowed expression compiles, one more character or part does not."""
    longest = "n" + " " * 1998 + "+ n"

    assert compiled("n + n" + " " * 5000, {"n": "int"}).text == "n + n"
    assert "at most 2000 characters" in refused(longest, {"n": "int"}).message
    assert compiled(f"max({','.join(['n'] * 398)})", {"n": "int"}).call({"n": 2}, {}, None) == 2
    assert "more than 400 parts" in refused(f"max({','.join(['n'] * 399)})", {"n": "int"}).message


def test_expression_has_at_most_100_parts_in_one_another() -> None:
    """A chain of additions is a tower, too: each sum is a part of the next."""
    assert compiled("+".join(["n"] * 100), {"n": "int"}).call({"n": 2}, {}, None) == 200
    assert "100 in one another" in refused("+".join(["n"] * 101), {"n": "int"}).message
    assert compiled("not " * 99 + "yes", {"yes": "bool"}).call({"yes": True}, {}, None) is False
    assert "100 in one another" in refused("not " * 100 + "yes", {"yes": "bool"}).message


@pytest.mark.parametrize(
    "source",
    HOSTILE,
    ids=ascii,
)
def test_hostile_expression_is_refused_at_a_bounded_cost(source: str) -> None:
    """Whatever Python's parser makes of it: SpecError, within a bound of work."""
    with at_most(100_000):
        refused(source, {"n": "int"})


def test_text_of_an_evaluation_is_bounded() -> None:
    """What an expression puts together is bounded like what comes from outside."""
    found = event('params: {t: text}\nset: {t: "t + t"}', "data: {t: text}")

    assert send(found, params={"t": "x" * 30_000}).outcome == "accepted"
    assert kind(send(found, params={"t": "x" * 30_001})) == "evaluation_failed"


def test_integer_of_an_evaluation_is_bounded() -> None:
    """4096 bits may be stored, one more may not."""
    found = event("params: {n: int}\nset: {n: n * 2}", "data: {n: int}")

    assert send(found, params={"n": 2**4094}).outcome == "accepted"
    assert kind(send(found, params={"n": 2**4095})) == "evaluation_failed"
