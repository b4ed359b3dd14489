"""Merge patches: applied to the old JSON form they give the new one, and they are small."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.composite import List, Map, Optional
from statetape.fsm.errors import SpecError
from statetape.fsm.fold import merge
from statetape.fsm.types import Anything, Type

from .expressions import TYPES, typed
from .machines import event, send
from .strategies import PROPERTY, typed_values, values

TEXTS = [
    "int",
    "attofil?",
    "text?",
    "bool",
    "bytes",
    "json?",
    "list[int]",
    "list[int?]",
    "list[json]",
    "maybe?",
    "map[text, int]",
    "map[int, text]",
    "map[text, list[int?]]",
    "map[uint64, lane]",
    "map[text, maybe]",
    "map[text, map[int, maybe]]",
    "map[text, json]",
    "map[int, bool]?",
    "holder?",
]
RECORDS = """
types:
  lane: {redeemed: attofil, nonce: uint64}
  maybe: {sure: int, unsure: "int?"}
  inner: {here: "maybe?", lanes: "map[text, lane]?", tags: "map[int, text]"}
  holder: {inner: "inner?", note: "json?"}
"""
MACHINES = {
    text: event(f'params: {{n: "{text}"}}\nset: {{f: n}}', f'{RECORDS}data: {{f: "{text}"}}')
    for text in TEXTS
}


def member(of: Type, value: Any) -> dict[str, Any]:
    """Return the JSON of an object with one field `f`, absent where it is none."""
    return {} if value is None else {"f": copy.deepcopy(of.to_json(value))}


def exact(value: Any) -> bytes:
    """Return JSON bytes, which tell 1 from true and {} from nothing."""
    return msgspec.json.encode(value, order="deterministic")


def patched(of: Type, old: Any, new: Any) -> dict[str, Any]:
    """Return the old object with the patch from old to new applied."""
    target = member(of, old)
    merge(target, copy.deepcopy({"f": of.patch(old, new)}))
    return target


@PROPERTY
@given(typed_values(2))
def test_patch_turns_old_json_into_new_json(drawn: tuple[Type, Any, Any]) -> None:
    """RFC 7396 applied to the old form is the new form, for every type and any two values."""
    of, old, new = drawn

    assert exact(patched(of, old, new)) == exact(member(of, new))


@pytest.mark.parametrize("text", TEXTS)
@PROPERTY
@given(data=st.data())
def test_set_member_of_a_decision_turns_old_data_into_new_data(
    text: str, data: st.DataObject
) -> None:
    """The patch that an entry carries, applied to the data before, is the data after."""
    machine = MACHINES[text]
    of = machine.fields["f"].type
    old = data.draw(values(of))
    new = data.draw(st.just(old) | values(of))

    decision = send(machine, params={} if new is None else {"n": new}, data={"f": old})

    assert decision.outcome == "accepted"
    folded = member(of, old)
    merge(folded, copy.deepcopy(decision.patch or {}))
    assert exact(folded) == exact(machine.freeze(decision.data or {}))


@pytest.mark.parametrize(
    ("text", "old", "new", "patch"),
    [
        ("map[int, int]", {1: 1, 2: 2}, {1: 1, 2: 3}, {"2": 3}),
        ("map[int, int]", {1: 1, 2: 2}, {1: 1}, {"2": None}),
        ("map[int, int]", {1: 1, 2: 2}, {}, {"1": None, "2": None}),
        ("map[int, int]", {1: 1}, {2: 1}, {"1": None, "2": 1}),
        ("map[int, int]?", {1: 1}, None, None),
        ("map[int, int]?", None, {}, {}),
        ("map[int, lane]", {1: {"redeemed": 1, "nonce": 1}}, {1: {"redeemed": 1, "nonce": 2}},
         {"1": {"nonce": 2}}),
        ("maybe", {"sure": 1, "unsure": 2}, {"sure": 1, "unsure": None}, {"unsure": None}),
        ("maybe", {"sure": 1, "unsure": None}, {"sure": 1, "unsure": 2}, {"unsure": 2}),
        ("list[int]", (1, 2), (1, 3), [1, 3]),
        ("map[text, list[int]]", {"a": (1,)}, {"a": ()}, {"a": []}),
    ],
)  # fmt: skip
def test_patch_says_what_changed_and_nothing_else(
    text: str, old: Any, new: Any, patch: Any
) -> None:
    """A removed key is null, an unchanged part is absent, a list is whole."""
    assert typed(text).patch(old, new) == patch


def test_entry_that_moves_one_lane_of_a_hundred_stores_one_lane() -> None:
    """The patch grows with the change, not with the data."""
    lanes = {lane: {"redeemed": lane, "nonce": 1} for lane in range(100)}
    after = {**lanes, 7: {"redeemed": 8, "nonce": 2}}

    assert typed("map[uint64, lane]").patch(lanes, after) == {"7": {"redeemed": "8", "nonce": 2}}


def test_json_field_is_replaced_and_not_merged() -> None:
    """{"a":1} set to {"b":2} folds to {"b":2}: what is gone has to be nulled in the patch."""
    assert patched(Optional(Anything()), {"a": 1}, {"b": 2}) == {"f": {"b": 2}}
    assert patched(Optional(Anything()), {"a": {"x": 1}}, {"a": {}}) == {"f": {"a": {}}}


def test_json_field_that_changes_from_one_to_true_is_recorded() -> None:
    """Python says that 1 == True; the tape has to know the difference."""
    decision = send(MACHINES["json?"], params={"n": True}, data={"f": 1})

    assert decision.patch == {"f": True}


def test_map_cannot_lose_an_item_that_is_none() -> None:
    """A null in a patch removes the key, so a map of optional values could not be folded."""
    try:
        machine = event('params: {k: text}\nset: {"m[k]": None}', 'data: {m: "map[text, int?]"}')
    except SpecError:
        return  # refused at load: as good

    decision = send(machine, params={"k": "a"})
    folded: dict[str, Any] = {"m": {}}
    merge(folded, copy.deepcopy(decision.patch or {}))
    assert machine.thaw(folded) == decision.data


def test_map_of_json_cannot_lose_an_item_that_is_null() -> None:
    """The same for a map whose values are any JSON: null there is refused, or kept by the fold."""
    machine = event('params: {n: "map[text, json]"}\nset: {m: n}', 'data: {m: "map[text, json]"}')

    decision = send(machine, params={"n": {"a": None}})
    if decision.outcome == "rejected":
        return
    folded: dict[str, Any] = {"m": {}}
    merge(folded, copy.deepcopy(decision.patch or {}))
    assert machine.thaw(folded) == decision.data


def test_nested_types_of_the_strategy_are_what_a_file_can_declare() -> None:
    """Negative control: the property above is about types that the grammar names."""
    of = Map(TYPES["text"], List(Optional(TYPES["lane"])))

    assert typed(of.name) == of
