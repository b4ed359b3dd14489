"""The YAML of a machine's file: what it means, and where its parts stand."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from statetape.fsm.compiler import load
from statetape.fsm.document import read
from statetape.fsm.errors import SpecError

from .machines import FILE, HEAD, marked, refused


def data(text: str) -> Any:
    """Return what a file's text means."""
    return read(text, FILE).data


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "yes",
        "no",
        "Yes",
        "NO",
        "y",
        "n",
        "True",
        "TRUE",
        "False",
        "Null",
        "NULL",
        "~",
        "12:30",
        "12:30:45",
        "1:2",
        "0o7",
        "0x1F",
        "0b1",
        "007",
        "-007",
        "1_000",
        "1e3",
        "1.5",
        "-1.5",
        ".5",
        ".inf",
        ".nan",
        "+1",
        "--1",
        "2020-12-01",
        "2020-12-01T00:00:00Z",
        "<<",
        "=",
        "1,000",
        "٣",
    ],
)
def test_word_that_yaml_1_1_would_turn_into_something_else_stays_text(text: str) -> None:
    """Norway is a country: only true, false, null and decimal integers are not text."""
    assert data(f"key: {text}") == {"key": text}


def test_merge_key_is_an_ordinary_key() -> None:
    """`<<` pulls nothing in."""
    assert data("<<: {a: 1}\nb: 2") == {"<<": {"a": 1}, "b": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("0", 0),
        ("-0", 0),
        ("-12", -12),
        ("1180591620717411303425", 2**70 + 1),
        ("'1'", "1"),
        ('"true"', "true"),
        ('""', ""),
        ("a b", "a b"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
        ("[1, a, true]", [1, "a", True]),
    ],
)
def test_scalar_means_what_it_looks_like(text: str, value: Any) -> None:
    """Integers of any size are exact, quotes make text, nothing else is special."""
    found = data(f"key: {text}")

    assert found == {"key": value}
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\n§a: 2", "'a' stands here twice"),
        ("a: {b: 1, §b: 2}", "'b' stands here twice"),
        ("1: a\n§1: b", "1 stands here twice"),
        ("1: a\n'1': b\n§'1': c", "'1' stands here twice"),
        ("- {a: 1}\n- {a: 1, c: 2, §a: 3}", "'a' stands here twice"),
        ("a: §&x 1", "anchors and aliases"),
        ("a: §&x {b: 1}", "anchors and aliases"),
        ("a: §&x\n", "anchors and aliases"),
        ("§&x a: 1", "anchors and aliases"),
        ("a: §*x", "anchors and aliases"),
        ("a: §!!python/object/apply:os.system [ls]", "tags are not part"),
        ("a: §!!int '1'", "tags are not part"),
        ("a: §!x {}", "tags are not part"),
        ("a: §! x", "tags are not part"),
        ("- §!!set {}", "tags are not part"),
        ("§true: 1", "'true' cannot be a key"),
        ("§null: 1", "'null' cannot be a key"),
        ("§[a]: 1", "a key is one word or number"),
        ("? §{a: 1}\n: 2", "a key is one word or number"),
        ("a: 1\n§---\nb: 2", "but found another document"),
        ("a: §%x", "cannot start any token"),
        ("a: §@x", "cannot start any token"),
        ("a: §`x`", "cannot start any token"),
        ("a:\n§\tb: 1", "cannot start any token"),
        ("a: b§: c", "mapping values are not allowed here"),
        ("a: [1\nb§: 2", "expected ',' or ']'"),
        ("a: 'b§", "unexpected end of stream"),
        ('a: "\\§q"', "unknown escape character"),
        ("§", "the file is empty"),
        ("§# nothing but a comment\n", "the file is empty"),
    ],
)
def test_yaml_beyond_the_language_is_refused_where_it_stands(text: str, says: str) -> None:
    """Anchors, tags, documents, doubled and strange keys, and what is no YAML at all."""
    text, place = marked(text)

    with pytest.raises(SpecError) as caught:
        read(text, FILE)

    assert says in caught.value.message
    assert caught.value.place == place


@pytest.mark.parametrize(
    "text",
    [
        "about: one\nx: two\n\n  y§\x07z\n",
        "about: one\nx: §\x00\n",
        "about: one\nx: §\ud800\n",
        "about: one\nx: §\ufffe\n",
    ],
    ids=["bell", "nul", "surrogate", "noncharacter"],
)
def test_character_that_no_file_may_hold_is_reported_where_it_stands(text: str) -> None:
    """The place of an unprintable character is its own, not the file's beginning."""
    text, place = marked(text)

    with pytest.raises(SpecError) as caught:
        read(text, FILE)

    assert caught.value.place == place


EVENT = """
    data: {from: text, count: int}
    states: {open: {initial: true}}
    events:
      go:
        go: [{from: open}]
"""


@pytest.mark.parametrize(
    "require",
    [
        "{that: count == §nope, else: {reason: X}}",
        "{that: 'count == §nope', else: {reason: X}}",
        '{that: "count == §nope", else: {reason: X}}',
        "{that:    count == 1 and   §nope, else: {reason: X}}",
        "{that: from == key and §nope == from, else: {reason: X}}",
        "{that: key == from and from == key and from == §nope, else: {reason: X}}",
        '{that: key == "é∂😀" and count == §nope, else: {reason: X}}',
        "{that: '\"é\" == from and §nope', else: {reason: X}}",
        "{that: (count == §nope), else: {reason: X}}",
        "{that: count == 1, else: {reason: X, code: count + §nope}}",
        "{let: {x: count + §nope}}",
        "{that: §count, else: {reason: X}}",
        "{that: §count > from, else: {reason: X}}",
        "{that: len(§nope) > 0, else: {reason: X}}",
        "{that: any(x for x in §nope), else: {reason: X}}",
    ],
)
def test_error_in_an_expression_of_one_line_stands_at_its_column(require: str) -> None:
    """Plain or quoted, after names that are Python's keywords, after letters of many bytes."""
    refused(EVENT + f"        require: [{require}]\n")


@pytest.mark.parametrize(
    "scalar",
    [
        "§|\n              count ==\n              nope",
        "§>-\n              count ==\n              nope",
        "§|-\n              (count ==\n                 nope)",
        "§count ==\n              nope",
    ],
    ids=["literal", "folded", "stripped", "plain"],
)
def test_error_in_an_expression_of_several_lines_stands_at_its_beginning(scalar: str) -> None:
    """Where a scalar spans lines, its first character is the place."""
    body = f"        require:\n          - that: {scalar}\n            else: {{reason: X}}\n"
    refused(EVENT + body)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_error_in_a_quoted_expression_of_several_lines_stands_inside_the_file(quote: str) -> None:
    """The place exists: its column is not beyond the end of its line."""
    scalar = f"{quote}count ==\n              1 and count == 2 and count == nope{quote}"
    body = f"        require:\n          - that: {scalar}\n            else: {{reason: X}}\n"
    text = HEAD + dedent(EVENT + body)

    with pytest.raises(SpecError) as caught:
        load(text, FILE)

    _, line, column = caught.value.place.split(":")
    assert int(column) <= len(text.split("\n")[int(line) - 1]) + 1


@pytest.mark.parametrize(
    "default",
    ["int = §nope", "int=§nope", "'int = 1 + §nope'", "map[text, int] = §nope", "int = 1 + §now"],
)
def test_error_in_a_default_stands_at_its_column(default: str) -> None:
    """The column counts from the field's type."""
    refused(f"data:\n  x: {default}\nstates: {{a: {{initial: true}}}}\n")


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a: 1", ("a",), "test.yaml:1:4"),
        ("a: 'x'", ("a",), "test.yaml:1:5"),
        ("a:\n  b:\n    - c\n    - {d: e}", ("a", "b", 1, "d"), "test.yaml:4:11"),
        ("a:\n  b:\n    - c", ("a", "b", 0), "test.yaml:3:7"),
        ("a: {b: 1}\nc: 2", ("a", "nope", 3), "test.yaml:1:4"),
        ("a:\nb: 1", ("a",), "test.yaml:1:1"),
        ("a: {b: , c: 1}", ("a", "b"), "test.yaml:1:5"),
        ("a: 1", (), "test.yaml:1:1"),
        ("# x\n\na: |\n  text", ("a",), "test.yaml:3:4"),
        ("é: é", ("é",), "test.yaml:1:4"),
        ("a: 1\r\nb: 2", ("b",), "test.yaml:2:4"),
    ],
)
def test_every_part_knows_its_place(text: str, path: Any, place: str) -> None:
    """File, line and column from 1; a part without a place takes that of what it is in."""
    assert read(text, FILE).place(path) == place


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a:\n  b:\n    c: 1", ("a", "b"), 2),
        ("a:\n  - b\n  - c", ("a",), 1),
        ("x: 1\na:\n\n\n  b: 1", ("a",), 2),
    ],
)
def test_part_of_several_lines_stands_on_the_line_of_its_name(
    text: str, path: Any, line: int
) -> None:
    """`state 'b' cannot be reached` points at `b:`, not at the line below it."""
    assert read(text, FILE).position(path)[0] == line
