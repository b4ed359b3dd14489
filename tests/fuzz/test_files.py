"""Hostile machine files: SpecError with a place that exists in the file, or a machine."""

from __future__ import annotations

import re
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from statetape.engine import catalogue
from statetape.fsm.check import check as check_machine
from statetape.fsm.compiler import load
from statetape.fsm.diagram import diagram
from statetape.fsm.errors import SpecError
from statetape.fsm.machine import Machine

from .budget import fuzzing, no_hang

BUNDLED = catalogue.paths()["filecoin.payment_channel"].read_text()
SMALL = """machine: fuzz.small
version: 1
title: Small
chain: c
constants: {MAX: 5, NAME: "x"}
codes: {1: ONE}
types: {lane: {redeemed: attofil, nonce: uint64, note: "text?"}}
data:
  from: text
  n: int = 3
  o: "int?"
  m: "map[int, lane] = {}"
create: {event: born, params: {from: text}, set: {from: from}}
states:
  open:
    initial: true
    entry: [{do: hello, with: {n: n}}]
    timers: {late: {event: expire, after: 1h, when: n > 0}, high: {event: expire, at_height: 7}}
  closed: {final: true, retain: 1d}
events:
  put:
    params: {k: int, v: lane, w: "int?"}
    require:
      - {let: {twice: k * 2}}
      - {that: twice < MAX or from == "x", else: {reason: NO, code: 1}}
      - {that: w is not None, else: {reason: NONE, code: k}}
    set: {"m[k]": v, n: "sum(m[x].nonce for x in m) + w"}
    effects: [{do: send, when: k > 1, with: {k: k, rest: "[x for x in m if x != k]"}}]
    go: [{from: open, when: k < 9}, {from: any, to: closed}]
  expire: {go: [{from: any, to: same}]}
  later: {otherwise: defer}
invariants: [{name: grows, that: len(m) >= len(old.m)}]
rejections: {terminated: {reason: GONE, code: 1}}
check: {depth: 2, heights: [1, 2], create: [{from: x}], samples: {put: [{k: 1, w: 2}]}}
"""
FILE = "fuzz.yaml"
PLACE = re.compile(r"fuzz\.yaml:([1-9][0-9]*):([1-9][0-9]*)\Z")
BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

characters = st.characters() | st.sampled_from("{}[]:,#&*!|>'\"%@`-? \n\t\x00\x85\u2028é😀\ufeff")
SNIPPETS = ["&a", "*a", "!!int", "<<: ", "---\n", "...\n", "%YAML 1.9\n", "? ", ": ", "- ", "|\n  "]
SNIPPETS += [">-\n  ", '"\\UFFFFFFFF"', '"\\uD800"', '"\\x41"', "'''", "[" * 60, "{a: " * 60, "\t"]
SNIPPETS += ["null", "true", "99999999999999999999", "-1", "1e3", "any", "same", "1 // 0", "None"]
SNIPPETS += [
    "2 ** 99",
    "().__class__",
    "lambda: 1",
    "(x for x in m)",
    "old",
    "now",
    "height",
    "__x",
]
SNIPPETS += ["list[list[int]]", "map[int, text]?", "1w", "180d", "\r\n", "9" * 5000, "a" * 3000]
snippets = st.text(characters, max_size=6) | st.sampled_from(SNIPPETS)
MEMBERS = sorted(set(re.findall(r"[A-Za-z_]+", SMALL)) | set(re.findall(r"[a-z_]+:", BUNDLED)))


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """Draw `text` with a few characters, lines, words or values changed."""
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["insert", "delete", "word", "line", "swap", "copy", "value"]))
        at = draw(st.integers(0, max(0, len(text) - 1)))
        lines = text.split("\n")
        row = draw(st.integers(0, len(lines) - 1))
        if kind == "insert":
            text = text[:at] + draw(snippets) + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + draw(st.integers(1, 40)) :]
        elif kind == "word":
            words = list(re.finditer(r"[A-Za-z_0-9]+", text)) or [None]
            word = draw(st.sampled_from(words))
            other = draw(st.sampled_from(MEMBERS) | snippets)
            text = text if word is None else text[: word.start()] + other + text[word.end() :]
        elif kind == "value":
            values = list(re.finditer(r": [^\n{},]+", text)) or [None]
            value = draw(st.sampled_from(values))
            text = (
                text
                if value is None
                else f"{text[: value.start()]}: {draw(snippets)}{text[value.end() :]}"
            )
        elif kind == "line":
            text = "\n".join(lines[:row] + lines[row + 1 :])
        elif kind == "copy":
            text = "\n".join(lines[: row + 1] + lines[row:])
        else:
            other_row = draw(st.integers(0, len(lines) - 1))
            lines[row], lines[other_row] = lines[other_row], lines[row]
            text = "\n".join(lines)
    return text


def check(text: str) -> Machine | None:
    """Load `text`: a machine, or SpecError at a place that an editor can go to."""
    with no_hang():
        try:
            return load(text, FILE, catalogue.library)
        except SpecError as error:
            place, said = error.place, str(error)
    found = PLACE.match(place)
    assert found, said
    assert int(found[1]) <= len(BREAKS.split(text)) + 1, said
    assert len(said) < 10_000
    return None


@fuzzing(0.5)
@given(mutated(SMALL))
def test_mutated_small_file_is_loaded_or_refused_with_its_place(text: str) -> None:
    """Every part of the language stands in the file; what is loaded can be checked and drawn."""
    found = check(text)
    if found is not None:
        with no_hang():
            check_machine(found)
            diagram(found, "mermaid")


@fuzzing(0.1)
@given(mutated(BUNDLED))
def test_mutated_bundled_file_is_loaded_or_refused_with_its_place(text: str) -> None:
    """The longest real file there is."""
    check(text)


@fuzzing()
@given(st.text(characters, max_size=200) | st.lists(snippets, max_size=12).map("".join))
def test_random_text_is_refused_with_its_place(text: str) -> None:
    """No text makes anything but SpecError."""
    check(text)


@fuzzing()
@given(st.binary(max_size=300))
def test_random_bytes_read_as_any_text_are_refused_with_their_place(raw: bytes) -> None:
    """Decoded in a way that lets everything through."""
    check(raw.decode("latin-1"))
    check(raw.decode("utf-8", "surrogateescape"))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.sampled_from(MEMBERS),
    st.sampled_from(
        ["int", "text?", "list[int]", "n + 1", "true", "key == state", "any", "1h", "A"]
    ),
    st.text(max_size=5),
)
keys = st.sampled_from([one for one in MEMBERS if one.endswith(":")]).map(lambda one: one[:-1])
PARTS = ["data", "states", "events", "types", "constants", "codes", "create", "invariants", "check"]
PARTS += ["functions", "rejections", "chain", "defer_max", "about", "source", "machine", "version"]
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            keys | st.sampled_from(["open", "e", "from", "go", "that"]), inner, max_size=4
        )
    ),
    max_leaves=15,
)


@fuzzing(0.5)
@given(st.dictionaries(st.sampled_from(PARTS), trees, max_size=6), trees, trees)
def test_structured_random_document_is_loaded_or_refused_with_its_place(
    parts: dict[str, Any], state: Any, event: Any
) -> None:
    """Documents of the right outline, with anything in the places of its parts."""
    document = {"machine": "fuzz.made", "version": 1, "title": "Made"}
    document |= {"states": {"open": {"initial": True}, "x": state}, "events": {"e": event}}

    check(yaml.safe_dump({**document, **parts}, sort_keys=False, allow_unicode=True))


def test_files_that_are_mutated_are_machines() -> None:
    """Negative control: without a mutation both are loaded."""
    assert isinstance(check(SMALL), Machine)
    assert isinstance(check(BUNDLED), Machine)
