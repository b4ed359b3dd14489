"""Scalar types: what gets in, in which form it is stored, and what is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.composite import BUILTIN
from statetape.fsm.errors import PeerError
from statetape.fsm.types import JSON_INT_MAX, Scalar, Type, ValueInvalid, as_json

from .strategies import BIG, LEAVES, PROPERTY, values

NAMES = sorted(LEAVES)


def refusal(of: Type, value: object) -> ValueInvalid:
    """Return the error of a value that must not get in."""
    with pytest.raises(ValueInvalid) as caught:
        of.coerce(value, "here")
    return caught.value


def numbers(value: Any) -> list[int]:
    """Return every bare number in a JSON value."""
    if type(value) is int:
        return [value]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    return []


@pytest.mark.parametrize("name", NAMES)
@PROPERTY
@given(data=st.data())
def test_value_comes_back_from_its_json_bytes(name: str, data: st.DataObject) -> None:
    """Typed form, JSON bytes, and back: by `thaw`, and by the strict door `coerce`."""
    of = BUILTIN[name]
    value = data.draw(values(of))

    stored = msgspec.json.decode(msgspec.json.encode(of.to_json(of.coerce(value, "x"))))

    assert of.thaw(stored) == value
    assert of.coerce(stored, "x") == value


@pytest.mark.parametrize("name", NAMES)
@PROPERTY
@given(data=st.data())
def test_json_form_has_no_number_beyond_53_bits(name: str, data: st.DataObject) -> None:
    """What common JSON readers would round is a string on the tape."""
    of = BUILTIN[name]

    stored = of.to_json(data.draw(values(of)))

    assert all(abs(number) <= JSON_INT_MAX for number in numbers(stored))


@pytest.mark.parametrize(
    "value", [BIG, -(2**70), 2**4096 - 1, 1 - 2**4096], ids=["big", "low", "highest", "lowest"]
)
@pytest.mark.parametrize("name", ["int", "attofil"])
def test_big_integer_survives_every_form_exactly(name: str, value: int) -> None:
    """As an int, as JSON, as text that people read, and from each of them back."""
    of = BUILTIN[name]

    assert of.to_json(value) == str(value)
    assert of.thaw(str(value)) == value
    assert of.coerce(str(value), "x") == value
    assert of.parse(of.show(value), "x") == value
    assert as_json(value, "x") == str(value)


@pytest.mark.parametrize("value", [JSON_INT_MAX, -JSON_INT_MAX, 0])
def test_integer_of_53_bits_stays_a_number_in_json(value: int) -> None:
    """Only what has to be a string becomes one."""
    assert BUILTIN["int"].to_json(value) == value
    assert type(BUILTIN["int"].to_json(value)) is int
    assert BUILTIN["int"].to_json(JSON_INT_MAX + 1) == str(JSON_INT_MAX + 1)
    assert BUILTIN["int"].to_json(-JSON_INT_MAX - 1) == str(-JSON_INT_MAX - 1)


def test_amount_is_always_a_string_in_json() -> None:
    """Money has one form, so that no reader has to look at its size."""
    assert BUILTIN["attofil"].to_json(1) == "1"


@pytest.mark.parametrize(
    "value",
    [
        True,
        1.0,
        float("nan"),
        float("inf"),
        None,
        b"1",
        [1],
        "",
        "+1",
        "-0",
        "01",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "1e3",
        "1.0",
        "0x10",
        "NaN",
        "٣",
        "１",
        "²",
        pytest.param("9" * 1301, id="long"),
    ],
)
@pytest.mark.parametrize("name", ["int", "uint64", "attofil", "time", "duration", "epoch"])
def test_only_exact_integers_get_in(name: str, value: object) -> None:
    """Not a bool, a float, another spelling, or a digit of another script."""
    error = refusal(BUILTIN[name], value)

    assert error.place == "here"
    assert f" is not {name}" in error.message


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("uint", 0, None),
        ("uint64", 0, 2**64 - 1),
        ("int64", -(2**63), 2**63 - 1),
        ("epoch", -(2**63), 2**63 - 1),
        ("time", -(2**52), 2**52),
        ("duration", 0, 2**52),
        pytest.param("int", 1 - 2**4096, 2**4096 - 1, id="int"),
        pytest.param("attofil", 1 - 2**4096, 2**4096 - 1, id="attofil"),
    ],
)
def test_bounds_are_inclusive(name: str, low: int, high: int | None) -> None:
    """The last value gets in, the next is refused."""
    of = BUILTIN[name]

    assert of.coerce(low, "x") == low
    assert "not" in refusal(of, low - 1).message
    if high is not None:
        assert of.coerce(high, "x") == high
        assert "not" in refusal(of, high + 1).message


@pytest.mark.parametrize("name", ["int", "uint", "uint64", "attofil", "time", "bool", "text"])
@pytest.mark.parametrize("value", [10**5000, -(10**5000)], ids=["above", "below"])
def test_integer_too_long_for_python_to_print_is_refused_by_name(name: str, value: int) -> None:
    """Python refuses to print more than 4300 digits; a caller gets our error all the same."""
    error = refusal(BUILTIN[name], value)

    assert f"not {name}" in error.message
    assert len(error.message) < 300


@pytest.mark.parametrize("value", [0, 1, "true", None, "True"])
def test_bool_is_true_or_false_and_nothing_else(value: object) -> None:
    """Numbers and words are not truth values."""
    assert "is not bool" in refusal(BUILTIN["bool"], value).message


def test_bool_is_written_as_true_or_false() -> None:
    """What people write is what they read."""
    of = BUILTIN["bool"]

    assert (of.parse("true", "x"), of.parse("false", "x")) == (True, False)
    assert (of.show(True), of.show(False)) == ("true", "false")
    for text in ("True", "yes", "1", ""):
        with pytest.raises(ValueInvalid, match="write true or false"):
            of.parse(text, "x")


def test_text_is_bounded_in_bytes_not_characters() -> None:
    """60,000 bytes of UTF-8 get in, one more does not."""
    of = BUILTIN["text"]

    assert of.coerce("a" * 60_000, "x") == "a" * 60_000
    assert of.coerce("é" * 30_000, "x") == "é" * 30_000
    assert "more than 60000 bytes" in refusal(of, "a" * 60_001).message
    assert "more than 60000 bytes" in refusal(of, "é" * 30_001).message


@pytest.mark.parametrize("value", ["\ud800", "a\udfff", 1, b"a", None])
def test_text_is_unicode_that_utf8_can_carry(value: object) -> None:
    """A lone surrogate has no UTF-8 form, so it can never stand on the tape."""
    assert "is not text" in refusal(BUILTIN["text"], value).message


@pytest.mark.parametrize("value", ["0", "AB", "0x00", "zz", "0 ", "00\n", "٠٠", 0, None, [0]])
def test_bytes_are_lower_case_hex(value: object) -> None:
    """One spelling for each byte string, so that equal bytes are equal entries."""
    assert "is not bytes" in refusal(BUILTIN["bytes"], value).message


def test_bytes_are_bounded() -> None:
    """30,000 bytes get in, one more does not."""
    of = BUILTIN["bytes"]

    assert of.coerce(b"\x00" * 30_000, "x") == b"\x00" * 30_000
    assert of.coerce("00" * 30_000, "x") == b"\x00" * 30_000
    assert "more than 30000 bytes" in refusal(of, b"\x00" * 30_001).message


def test_bytes_are_written_with_or_without_a_prefix() -> None:
    """People write 0xAB; the tape has ab."""
    assert BUILTIN["bytes"].parse("0xABcd", "x") == b"\xab\xcd"
    assert BUILTIN["bytes"].show(b"\xab\xcd") == "abcd"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "json"])
@PROPERTY
@given(data=st.data())
def test_what_is_shown_can_be_written(name: str, data: st.DataObject) -> None:
    """A person may copy any value from a report into a command."""
    of = BUILTIN[name]
    value = data.draw(values(of))

    assert of.parse(of.show(value), "x") == value


def canonical(text: str) -> str:
    """A system's own type: letters, in lower case."""
    if not text.isalpha():
        raise PeerError("letters only")
    return text.lower()


def test_scalar_of_a_system_has_one_spelling_and_says_what_is_wrong() -> None:
    """The system's own words reach the caller, behind the value and the type."""
    word = Scalar("word", canonical)

    assert word.coerce("AbC", "x") == "abc"
    assert refusal(word, "a1").message == "'a1' is not word: letters only"
    assert "is not word" in refusal(word, 1).message


@pytest.mark.parametrize("value", [2**53, 1.5, float("nan"), b"x", (1,), {1: 2}, "\ud800", {"a"}])
@pytest.mark.parametrize("around", [lambda x: x, lambda x: [x], lambda x: {"a": [{"b": x}]}])
def test_json_holds_only_what_is_json_exactly(value: object, around: Any) -> None:
    """No floats, no integers that readers round, no Python objects, at any depth."""
    with pytest.raises(ValueInvalid):
        BUILTIN["json"].coerce(around(value), "here")


def test_json_names_the_place_inside() -> None:
    """The part that is wrong, not only the parameter."""
    with pytest.raises(ValueInvalid) as caught:
        BUILTIN["json"].coerce({"a": [1, {"b": 1.5}]}, "here")

    assert caught.value.place == "here.a[1].b"


@pytest.mark.parametrize("check", [BUILTIN["json"].coerce, as_json])
def test_deep_json_is_refused_before_python_gives_up(check: Any) -> None:
    """Depth is bounded, so no input reaches the recursion limit."""
    value: Any = 1
    for _ in range(100_000):
        value = [value]

    with pytest.raises(ValueInvalid, match="nested deeper than 16"):
        check(value, "here")


def test_as_json_keeps_every_exact_value_and_refuses_floats() -> None:
    """What a refused command said is recorded exactly, or the command is not recorded."""
    said = {"a": BIG, "b": [True, None, "é"], "c": b"\xff", "d": {"e": (-(2**70),)}}
    recorded = {"a": str(BIG), "b": [True, None, "é"], "c": "ff", "d": {"e": [str(-(2**70))]}}

    assert as_json(said, "x") == recorded
    for value in (1.5, float("nan"), object(), {1, 2}, {"a": 1j}, 2**5000):
        with pytest.raises(ValueInvalid, match="cannot be recorded exactly"):
            as_json([value], "x")


def test_refusal_shows_characters_alike_whatever_this_python_knows_of_them() -> None:
    """A refusal is on the tape: a letter and a code point of a later Unicode look the same."""
    assigned = "é" in refusal(BUILTIN["bool"], "é").message
    unassigned = "\u0378" in refusal(BUILTIN["bool"], "\u0378").message

    assert assigned == unassigned
