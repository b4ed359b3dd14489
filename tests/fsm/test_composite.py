"""Types made of other types: what they take, how they are stored, and the grammar naming them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from statetape.fsm.composite import BUILTIN, List, Map, Optional, parse_type
from statetape.fsm.errors import SpecError
from statetape.fsm.types import Type, ValueInvalid

from .expressions import LANE, TYPES, typed
from .strategies import BIG, PROPERTY, typed_values


@PROPERTY
@given(typed_values())
def test_nested_value_comes_back_from_its_json_bytes(drawn: tuple[Type, Any]) -> None:
    """Through canonical bytes and back, by `thaw` and by the strict door `coerce`."""
    of, value = drawn

    body = msgspec.json.encode(of.to_json(of.coerce(value, "x")), order="deterministic")
    stored = msgspec.json.decode(body)

    assert of.thaw(stored) == value
    assert of.coerce(stored, "x") == value


@PROPERTY
@given(typed_values())
def test_typed_value_is_taken_as_it_is(drawn: tuple[Type, Any]) -> None:
    """What `coerce` gives, `coerce` and `admit` take unchanged."""
    of, value = drawn

    assert of.coerce(value, "x") == value
    assert of.admit(value, value, "x") == value
    assert of.admit(None, value, "x") == value


@pytest.mark.parametrize(
    ("text", "value", "stored"),
    [
        ("list[int]", (BIG, 1), [str(BIG), 1]),
        ("list[int?]", (None, BIG), [None, str(BIG)]),
        ("map[int, attofil]", {-BIG: 5}, {str(-BIG): "5"}),
        ("map[text, list[bytes]]", {"a": (b"\x01",)}, {"a": ["01"]}),
        ("lane", {"redeemed": BIG, "nonce": 7}, {"redeemed": str(BIG), "nonce": 7}),
        ("maybe", {"sure": 1, "unsure": None}, {"sure": 1}),
        ("maybe", {"sure": 1, "unsure": BIG}, {"sure": 1, "unsure": str(BIG)}),
        ("maybe?", None, None),
        ("map[uint64, lane]", {}, {}),
    ],
)
def test_nested_value_is_stored_by_the_rules_of_its_parts(
    text: str, value: Any, stored: Any
) -> None:
    """Big integers and amounts are strings, keys are text, what is none is absent."""
    of = typed(text)

    assert of.to_json(value) == stored
    assert of.thaw(stored) == value


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        ("list[int]", [1, "x"], "here[1]"),
        ("list[int]", {"a": 1}, "here"),
        ("list[int]", "12", "here"),
        ("map[int, int]", {"x": 1}, "here.x"),
        ("map[text, int]", {"a": 1.5}, "here.a"),
        ("map[text, int]", {1: 1}, "here.1"),
        ("map[text, int]", [1], "here"),
        ("map[text, lane]", {"a": {"redeemed": 1, "nonce": -1}}, "here.a.nonce"),
        ("lane", {"redeemed": 1}, "here"),
        ("lane", {"redeemed": 1, "nonce": 1, "more": 1}, "here"),
        ("lane", [], "here"),
        ("lane?", {"redeemed": None, "nonce": 1}, "here.redeemed"),
        ("list[lane?]", [None, {"redeemed": 1, "nonce": "x"}], "here[1].nonce"),
    ],
)
def test_wrong_part_is_refused_at_its_place(text: str, value: Any, place: str) -> None:
    """The path to the part, not only the parameter."""
    with pytest.raises(ValueInvalid) as caught:
        typed(text).coerce(value, "here")

    assert caught.value.place == place


def test_two_spellings_of_one_key_are_refused() -> None:
    """5 and "5" are the same integer, so one of the two items would be lost."""
    with pytest.raises(ValueInvalid, match="two keys mean the same"):
        typed("map[int, int]").coerce({5: 1, "5": 2}, "x")


def test_collections_are_bounded() -> None:
    """65,536 items get in, one more does not."""
    for of, items in (
        (typed("list[bool]"), lambda count: [True] * count),
        (typed("map[int, bool]"), lambda count: dict.fromkeys(range(count), True)),
    ):
        assert len(of.coerce(items(65_536), "x")) == 65_536
        with pytest.raises(ValueInvalid, match="more than 65536 items"):
            of.coerce(items(65_537), "x")
        with pytest.raises(ValueInvalid, match="more than 65536 items"):
            of.admit(of.zero(), items(65_537), "x")


def test_admitting_a_map_checks_what_is_new_in_it() -> None:
    """Unchanged items are not checked again, new and changed ones are."""
    of = typed("map[int, uint]")
    old = {1: 1, 2: 2}

    assert of.admit(old, {**old, 3: "7"}, "x") == {1: 1, 2: 2, 3: 7}
    for wrong in ({**old, 2: -1}, {**old, 3: -1}, {**old, "x": 1}, [1]):
        with pytest.raises(ValueInvalid):
            of.admit(old, wrong, "x")


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("int", BUILTIN["int"]),
        (" int ", BUILTIN["int"]),
        ("int?", Optional(BUILTIN["int"])),
        ("int ?", Optional(BUILTIN["int"])),
        ("list[int]", List(BUILTIN["int"])),
        ("list [ int? ] ?", Optional(List(Optional(BUILTIN["int"])))),
        ("map[uint64, lane]", Map(BUILTIN["uint64"], LANE)),
        ("map[text,map[int,list[lane]]]", Map(BUILTIN["text"], Map(BUILTIN["int"], List(LANE)))),
        ("map[word, int]", Map(TYPES["word"], BUILTIN["int"])),
    ],
)
def test_type_is_what_its_text_says(text: str, of: Type) -> None:
    """Names, list, map, and a question mark; spaces do not count."""
    assert parse_type(text, TYPES, "p") == of


@pytest.mark.parametrize("text", ["int", "int?", "list[map[text, lane]]?", "map[int, list[int?]]"])
def test_name_of_a_type_means_that_type(text: str) -> None:
    """What an error calls a type can be written into a file."""
    assert parse_type(text, TYPES, "p").name == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a type is missing"),
        ("  ", "a type is missing"),
        ("nope", "no type 'nope'"),
        ("Int", "no type 'Int'"),
        ("int??", "'?' is too much"),
        ("int int", "'int' is too much"),
        ("list", "a type needs '['"),
        ("list[]", "no type ']'"),
        ("list[int", "a type needs ']'"),
        ("list[int]]", "']' is too much"),
        ("list[int, int]", "a type needs ']'"),
        ("map[int]", "a type needs ','"),
        ("map[text, int", "a type needs ']'"),
        ("map[bool, int]", "cannot be a map's key"),
        ("map[bytes, int]", "cannot be a map's key"),
        ("map[attofil, int]", "cannot be a map's key"),
        ("map[int?, int]", "cannot be a map's key"),
        ("map[list[int], int]", "cannot be a map's key"),
        ("map[int, int?]", "a map cannot hold int?"),
        ("map[text, map[int, lane?]]", "a map cannot hold lane?"),
        ("int-int", "is not a type"),
        ("lane.nonce", "is not a type"),
        ("int\x00", "is not a type"),
        ("ｉnt", "is not a type"),
        ("list[" * 7 + "int" + "]" * 7, "nest too deep"),
        pytest.param("list[" * 5000, "nest too deep", id="deep"),
        pytest.param("int" + "?" * 5000, "is too much", id="many marks"),
        pytest.param("map[" * 5000, "nest too deep", id="deep maps"),
    ],
)
def test_what_is_no_type_is_refused_at_its_place(text: str, says: str) -> None:
    """Each wrong text gets its own reason; depth is bounded before Python's stack is."""
    with pytest.raises(SpecError) as caught:
        parse_type(text, TYPES, "file:3:7")

    assert says in caught.value.message
    assert caught.value.place == "file:3:7"


def test_unknown_type_lists_the_known_ones() -> None:
    """The hint names what may stand there, a system's own types included."""
    with pytest.raises(SpecError) as caught:
        parse_type("money", TYPES, "p")

    assert "attofil" in caught.value.hint
    assert "word" in caught.value.hint
