"""Two histories side by side: aligned in order, parted where they part, compared at their ends."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.engine.compare import DIFFERENCES_MAX, align, compare, read_side
from statetape.engine.inspect import Inspector

from .machines import COUNTER, TRANSFER, open_tape

histories = st.lists(st.sampled_from("abc"), max_size=12)


def longest(first, second):
    """Return how much two sequences have in common, by the book: a table of all prefixes."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, two in enumerate(second):
            both = table[i][j] + 1 if one == two else max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = both
    return table[-1][-1]


def check(first, second):
    """Both sequences are there in order, only equal ones are matched; returns how many."""
    pairs = align(first, second)
    matched = [(one, two) for one, two in pairs if one is not None and two is not None]

    assert [one for one, _ in pairs if one is not None] == list(range(len(first)))
    assert [two for _, two in pairs if two is not None] == list(range(len(second)))
    assert all(first[one] == second[two] for one, two in matched)
    return len(matched)


@given(histories, histories)
def test_as_much_as_possible_is_matched(first, second):
    """Whatever the two are: order kept, and no longer common history exists."""
    assert check(first, second) == longest(first, second)


def test_long_histories_of_one_event_are_aligned_quickly():
    """Where every entry looks like every other, and one in fifty is missing."""
    first = ["block"] * 10_000
    second = [("lost" if i % 50 == 7 else "block") for i in range(10_000)]
    started = time.perf_counter()

    assert check(first, second) == 9_800
    assert time.perf_counter() - started < 5


def test_histories_that_have_nothing_in_common_are_told_one_after_the_other():
    """Beyond the bound nothing between the common ends is matched."""
    count = DIFFERENCES_MAX
    pairs = align(["a", *"b" * count, "z"], ["a", *"c" * count, "z"])

    assert pairs[0] == (0, 0)
    assert pairs[-1] == (count + 1, count + 1)
    assert pairs[1] == (1, None)
    assert pairs[count + 1] == (None, 1)


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """Transfers that went well (a), lost their acceptance (b), met a block too early (c)."""
    path = tmp_path_factory.mktemp("compare") / "t.db"
    plays = {
        "a": [("accept", {}), ("block", {"size": 3}), ("block", {"size": 4}), ("complete", {})],
        "same": [("accept", {}), ("block", {"size": 3}), ("block", {"size": 4}), ("complete", {})],
        "more": [("accept", {}), ("block", {"size": 3}), ("block", {"size": 9}), ("complete", {})],
        "b": [("block", {"size": 3}), ("block", {"size": 4}), ("complete", {})],
        "c": [("block", {"size": 3}), ("accept", {}), ("block", {"size": 4}), ("complete", {})],
    }
    with open_tape(path) as engine:
        for key, play in plays.items():
            engine.create(TRANSFER, key)
            for event, params in play:
                engine.send(f"test.transfer/{key}", event, params)
        engine.create(COUNTER, "n")
    return path


def compared(tape, first, second):
    """Compare two transfers on the tape."""
    with Inspector.open(tape) as inspector:
        sides = [read_side(inspector, f"test.transfer/{key}") for key in (first, second)]
        return compare(*sides)


def told(found):
    """Return the rows as events, with what is the same in words."""
    return [
        (
            found.first.entries[row.first].event if row.first is not None else None,
            found.second.entries[row.second].event if row.second is not None else None,
            row.same,
        )
        for row in found.rows
    ]


def test_the_same_history_elsewhere_is_the_same(tape):
    """Positions and times are others, and count for nothing."""
    found = compared(tape, "a", "same")

    assert found.same
    assert found.parted is None
    assert found.differences == []


def test_other_amounts_part_no_history_and_differ_at_the_end(tape):
    """The events are the same, the data are not."""
    found = compared(tape, "a", "more")

    assert (found.parted, found.same, found.differing_data) == (None, False, ["sent"])


def test_a_lost_event_is_where_they_part(tape):
    """Both are told from there: what one has alone, and what was decided otherwise."""
    found = compared(tape, "a", "b")

    assert told(found)[:3] == [
        ("create", "create", True),
        ("accept", None, False),
        ("block", None, False),
    ]
    assert found.parted == 1
    assert [side.states[-1] for side in (found.first, found.second)] == ["done", "new"]
    assert (found.first.parked, found.second.parked) == ((), ("block", "block"))


def test_what_was_parked_and_offered_again_is_an_entry_of_its_own(tape):
    """An overtaken block is two entries on one side and one on the other."""
    found = compared(tape, "a", "c")

    assert told(found) == [
        ("create", "create", True),
        (None, "block", False),
        ("accept", "accept", True),
        ("block", None, False),
        (None, "block", False),
        ("block", "block", True),
        ("complete", "complete", True),
    ]
    assert found.differing_data == []
    assert not found.same


def test_the_same_event_in_another_state_is_no_common_history(tmp_path):
    """Matched by what was asked and its outcome, and not the same: the states differ."""
    with open_tape(tmp_path / "t.db") as engine:
        for key, limit in (("low", 2), ("high", 9)):
            engine.create(COUNTER, key, {"limit": limit})
            engine.send(f"test.counter/{key}", "add", {"by": 2})
    with Inspector.open(tmp_path / "t.db") as inspector:
        found = compare(*(read_side(inspector, f"test.counter/{key}") for key in ("low", "high")))

    assert [(row.first, row.second, row.same) for row in found.rows] == [
        (0, 0, True),
        (1, 1, False),
    ]
    assert found.parted == 1
