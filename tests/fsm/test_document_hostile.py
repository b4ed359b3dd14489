"""Hostile files: refused by SpecError, at a cost that their size bounds."""

from __future__ import annotations

import pytest
from statetape.fsm.document import DEPTH_MAX, FILE_BYTES_MAX, read
from statetape.fsm.errors import SpecError

from .machines import FILE
from .work import at_most


def refusal(text: str, calls: int) -> SpecError:
    """Return the error of reading `text`, within a bound of work."""
    error = outcome(text, calls)
    assert error is not None
    return error


def outcome(text: str, calls: int) -> SpecError | None:
    """Return the error of reading `text`, None if it is read, within a bound of work."""
    with at_most(calls):
        try:
            read(text, FILE)
        except SpecError as error:
            return error
    return None


def test_huge_file_is_refused_before_it_is_parsed() -> None:
    """Its size alone is the reason, so its content costs nothing."""
    error = refusal("a: [" + "x, " * 3_000_000 + "]", 50)

    assert error.message == "9000005 bytes; a machine's file has at most 56000"
    assert error.place == "test.yaml:1:1"


def test_size_is_counted_in_bytes() -> None:
    """The last allowed byte is read, one more is refused; é is two."""
    fill = FILE_BYTES_MAX - len("a: ")

    assert read("a: " + "x" * fill, FILE).data == {"a": "x" * fill}
    assert read("a: " + "é" * (fill // 2), FILE).data == {"a": "é" * (fill // 2)}
    assert "56001 bytes" in refusal("a: " + "x" * (fill + 1), 50).message
    assert "at most 56000" in refusal("a: " + "é" * (fill // 2 + 1), 50).message


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "a: &a [*a]",
        "a: &a\n  b: *a",
        "\n".join([f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]),
        "a: {<<: *x}",
    ],
    ids=["laughs", "self", "self map", "billion", "merge"],
)
def test_alias_bomb_is_refused_at_its_first_anchor_or_alias(text: str) -> None:
    """Nothing is expanded: no anchor, no alias."""
    error = refusal(text, 5_000)

    assert error.message == "anchors and aliases are not part of the language"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "{a: " * 12_000,
        "- " * 25_000,
        "? " * 25_000,
        "[{a: " * 9_000,
        "[[],[" * 10_000,
    ],
    ids=["lists", "maps", "dashes", "keys", "both", "more"],
)
def test_depth_bomb_is_refused_at_its_41st_level(text: str) -> None:
    """The parser never gets deeper than the limit, so Python's stack does not matter."""
    error = refusal(text, 200_000)

    assert error.message == "nested deeper than 40"


def test_depth_limit_is_the_last_level_that_is_read() -> None:
    """40 levels are read, 41 are not."""
    assert read("[" * DEPTH_MAX + "]" * DEPTH_MAX, FILE).data
    assert "nested deeper" in refusal("[" * 41 + "]" * 41, 5_000).message


@pytest.mark.parametrize(
    "text",
    ["a: [" + "1," * 25_000 + "]", "a: [" + "[]," * 15_000 + "]", "- x\n" * 13_000 + "- {" * 3],
    ids=["numbers", "lists", "lines"],
)
def test_file_of_too_many_parts_costs_what_its_size_allows(text: str) -> None:
    """More than 20,000 parts are refused, or the file is read; both within a bound of work."""
    error = outcome(text, 6_000_000)

    assert error is None or error.place.startswith("test.yaml:")


@pytest.mark.parametrize(
    "text",
    [
        'about: "\\U00110000"',
        'about: "\\UFFFFFFFF"',
        'about: "\\uD800"',
        "%YAML 1" + "1" * 5000 + ".1\n---\na: 1",
        "%YAML 1.9999\n---\na: 1",
        "%TAG ! " + "x" * 100 + "\n---\na: 1",
        "!<%FF> a",
        "a: !<tag:%C3%28> b",
        "\ufeffa: [",
        "a: |" + "9" * 6000 + "\n  x",
        "a: >0\n  x",
        "? " + "a" * 2000 + ": b",
        "a: '" + "''" * 20_000,
        'a: "' + "\\x41" * 10_000,
        "- - - - - a\n  - b\n - c",
        "\x85a: \u2028b: \u2029",
    ],
    ids=lambda text: ascii(text[:18]),
)
def test_strange_yaml_is_refused_by_name_or_read(text: str) -> None:
    """Whatever the YAML library stumbles over is the author's error, with a place."""
    error = outcome(text, 1_000_000)

    assert error is None or error.place.startswith("test.yaml:")


def test_escaped_surrogate_never_becomes_text() -> None:
    """A lone surrogate cannot be written to the tape, so no file may bring one in."""
    with pytest.raises(SpecError):
        read('title: "\\uD800"', FILE)


@pytest.mark.parametrize("breaks", ["\n" * 50_000, "\r\n" * 20_000, "# x\n" * 12_000, " " * 50_000])
def test_empty_file_of_any_length_is_refused(breaks: str) -> None:
    """Nothing but space and comments is an empty file."""
    assert refusal(breaks, 1_000_000).message == "the file is empty"
