"""One text, two parsers: what the quick one reads, the authority reads alike; or it reads nothing.

A machine that says one thing here and another there would replay differently.
"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from statetape.engine import catalogue
from statetape.fsm import document
from statetape.fsm.document import read, read_exactly
from statetape.fsm.errors import SpecError

from ..fsm.machines import FILE
from .budget import fuzzing, no_hang

TEXTS = [path.read_text() for path in catalogue.paths().values()]
LINES = [text.split("\n") for text in TEXTS]
SYNTAX = "{}[],:?-#&*!|>'\"%@` \n\t\\~=<.0a\r\x85\u2028\ufeff\u00a0\u00e9\U0001f600\x00"
WORDS = [
    "\n  ",
    ": ",
    "- ",
    "? ",
    ", ",
    "{a: b}",
    "[a]",
    "---",
    "...",
    "\n---\n",
    "# ",
    "|\n",
    ">-\n",
]
WORDS += [
    "''",
    '""',
    "\\n",
    "\\x41",
    "\\u2028",
    '"\\\n',
    "? a\n: b",
    "!!int",
    "&x",
    "*x",
    "<<: ",
    "|2",
]
pieces = st.sampled_from([*SYNTAX, *WORDS])
changes = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 6), st.just("") | pieces), max_size=4
)
parts = st.tuples(st.sampled_from(LINES), st.integers(0, 700), st.integers(1, 40))

needs_libyaml = pytest.mark.skipif(
    not hasattr(yaml, "CSafeLoader"), reason="libyaml is not there: there is one parser"
)


def outcome(reader, text: str):
    """Return data and places of a text, or the words that refuse it."""
    try:
        found = reader(text, FILE)
    except SpecError as error:
        return (error.message, error.place)
    return (found.data, found.positions)


def changed(part, edits) -> str:
    """Return some lines of a machine with some places changed."""
    lines, first, count = part
    first %= len(lines)
    text = "\n".join(lines[first : first + count])
    for place, drop, put in edits:
        at = place % (len(text) + 1)
        text = text[:at] + put + text[at + drop :]
    return text


@needs_libyaml
@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.split("\n", 1)[0][9:])
def test_bundled_machines_are_read_alike_and_quickly(text):
    """None of them is odd; data and places are the same."""
    quick = document._read_quickly(text, FILE)

    assert quick is not None
    assert not document._ODD.search(text)
    assert quick == read_exactly(text, FILE)


@needs_libyaml
@fuzzing(4)
@given(parts, changes)
def test_changed_machines_are_read_alike(part, edits):
    """Accepted with the same data and places, or refused with the same words."""
    text = changed(part, edits)
    with no_hang():
        assert outcome(read, text) == outcome(read_exactly, text)


@needs_libyaml
@pytest.mark.parametrize(
    "text",
    [
        "a: b\tc",
        "{a: b?}",
        "{a?: b}",
        "a: b\n---\nb: c",
        "a: >#\n",
        "a: |1\n  b",
        "%YAML 1.1\n---\na: b",
    ],
    ids=ascii,
)
def test_odd_texts_are_left_to_the_authority(text):
    """These are where the two differ, or nearly: the control of the comparison above."""
    odd = document._ODD.search(text) or document._read_quickly(text, FILE) is None

    assert odd
    assert outcome(read, text) == outcome(read_exactly, text)
