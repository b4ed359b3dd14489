"""Folding: RFC 7396 to the letter, and entries applied in order."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.decide import DEFERRED
from statetape.fsm.entry import Entry, encode
from statetape.fsm.fold import fold, merge

from .strategies import PROPERTY, plain_json

RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""The test cases of RFC 7396, appendix A: original, patch, result."""


@pytest.mark.parametrize(("original", "patch", "result"), RFC_7396)
def test_merge_gives_the_results_of_rfc_7396(original: Any, patch: Any, result: Any) -> None:
    """Each case as a member of an object; there a patch of null removes the member."""
    target = {"x": copy.deepcopy(original), "other": 1}

    merge(target, {"x": copy.deepcopy(patch)})

    assert target == ({"other": 1} if result is None else {"x": result, "other": 1})


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [case for case in RFC_7396 if isinstance(case[0], dict) and isinstance(case[1], dict)],
)
def test_merge_gives_the_results_of_rfc_7396_at_the_top(
    original: Any, patch: Any, result: Any
) -> None:
    """The cases whose original and patch are objects, as they stand in the appendix."""
    target = copy.deepcopy(original)

    merge(target, patch)

    assert target == result


def test_merge_of_the_long_example_of_rfc_7396() -> None:
    """Section 3's document of an author and his title."""
    target: dict[str, Any] = {
        "title": "Goodbye!",
        "author": {"givenName": "John", "familyName": "Doe"},
        "tags": ["example", "sample"],
        "content": "This will be unchanged",
    }

    merge(
        target,
        {
            "title": "Hello!",
            "phoneNumber": "+01-123-456-7890",
            "author": {"familyName": None},
            "tags": ["example"],
        },
    )

    assert target == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }


def by_the_rfc(target: Any, patch: Any) -> Any:
    """The pseudocode of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = by_the_rfc(result.get(name), value)
    return result


objects = st.dictionaries(st.sampled_from("abc"), plain_json | st.none(), max_size=3)
nested = st.dictionaries(st.sampled_from("abc"), objects | plain_json | st.none(), max_size=3)


@PROPERTY
@given(nested, nested)
def test_merge_is_the_algorithm_of_rfc_7396(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """For any object and any patch, and the patch is not changed by applying it."""
    patched = copy.deepcopy(target)
    before = copy.deepcopy(patch)

    merge(patched, patch)

    assert patched == by_the_rfc(target, before)
    assert patch == before


@PROPERTY
@given(nested, nested)
def test_merging_twice_is_merging_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """A patch may be applied again after a crash."""
    once = copy.deepcopy(target)
    merge(once, copy.deepcopy(patch))
    twice = copy.deepcopy(once)

    merge(twice, copy.deepcopy(patch))

    assert twice == once


def entries(*members: dict[str, Any]) -> list[bytes]:
    """Return encoded entries at positions 1, 2, …"""
    return [encode(Entry(at=5, pos=at + 1, **one)) for at, one in enumerate(members)]


def test_fold_applies_entries_in_order() -> None:
    """Creation, changes, a rejection, timers armed, moved, fired and cancelled."""
    bodies = entries(
        {"tape": "opened"},
        {"create": "m/k", "spec": 1, "seq": 1, "to": "open", "set": {"n": 1, "m": {"a": 1}},
         "timers": {"t": {"at": 9}, "h": {"height": str(2**60)}}},
        {"instance": 2, "seq": 2, "event": "e", "set": {"n": "7", "m": {"a": None, "b": 2}},
         "to": "busy"},
        {"instance": 2, "seq": 3, "event": "e", "outcome": "rejected", "reason": {"kind": "x"}},
        {"instance": 2, "seq": 4, "event": "tick", "timer": "t", "timers": {"u": {"at": 11}}},
        {"instance": 2, "seq": 5, "event": "e", "timers": {"h": None, "u": {"at": 12}}},
    )  # fmt: skip

    folded = fold(bodies)

    assert list(folded) == [2]
    one = folded[2]
    assert (one.name, one.spec, one.state, one.seq, one.last) == ("m/k", 1, "busy", 5, 6)
    assert one.data == {"n": "7", "m": {"b": 2}}
    assert one.timers == {"u": ("at", 12, 6)}
    assert fold(bodies[:2])[2].timers == {"t": ("at", 9, 2), "h": ("height", 2**60, 2)}


def test_fold_keeps_and_takes_up_parked_commands() -> None:
    """Deferred commands wait in order until an entry offers them again."""
    bodies = entries(
        {"create": "m/k", "spec": 1, "seq": 1, "to": "open", "set": {}},
        {"instance": 1, "seq": 2, "event": "a", "params": {"x": 1}, "outcome": DEFERRED},
        {"instance": 1, "seq": 3, "event": "b", "outcome": DEFERRED},
        {"instance": 1, "seq": 4, "event": "a", "offer": 2},
    )

    assert fold(bodies[:3])[1].parked == ((2, "a", {"x": 1}), (3, "b", None))
    assert fold(bodies)[1].parked == ((3, "b", None),)


def test_fold_continues_where_an_earlier_one_ended() -> None:
    """A fold of the whole and a fold in parts are the same."""
    bodies = entries(
        {"create": "m/k", "spec": 1, "seq": 1, "to": "open", "set": {"n": 1}},
        {"create": "m/j", "spec": 1, "seq": 1, "to": "open", "set": {"n": 2}},
        {"instance": 1, "seq": 2, "event": "e", "set": {"n": 3}},
        {"instance": 2, "seq": 2, "event": "e", "to": "shut"},
    )

    def told(folded: Any) -> Any:
        return {
            at: (one.name, one.state, one.data, one.seq, one.last) for at, one in folded.items()
        }

    for cut in range(len(bodies) + 1):
        assert told(fold(bodies[cut:], fold(bodies[:cut]))) == told(fold(bodies))


def test_refused_creation_begins_nothing() -> None:
    """An entry with an outcome is no instance."""
    bodies = entries({"create": "m/k", "event": "create", "outcome": "rejected", "reason": {}})

    assert fold(bodies) == {}


def test_fold_reads_only_canonical_members() -> None:
    """Members that folding does not need are skipped, whatever they hold."""
    body = msgspec.json.encode({"pos": 1, "create": "m/k", "to": "open", "set": {}, "future": [1]})

    assert fold([body])[1].state == "open"
