"""Hostile expressions: SpecError at load, or a value or a declared error, in bounded time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.composite import BUILTIN, List, Map, Record, parse_type
from statetape.fsm.decide import EVALUATION_ERRORS, Moment
from statetape.fsm.errors import SpecError
from statetape.fsm.expression import (
    Binding,
    Expression,
    Function,
    Scope,
    compile_expression,
)
from statetape.fsm.types import Type, ValueInvalid

from .budget import fuzzing, no_hang

LANE = Record("lane", {"redeemed": BUILTIN["attofil"], "nonce": BUILTIN["uint64"]})
TYPES: Mapping[str, Type] = {**BUILTIN, "lane": LANE}
FIELDS: Mapping[str, tuple[str, Any]] = {
    "n": ("int", 3),
    "zero": ("int", 0),
    "big": ("int", 2**70 + 1),
    "widest": ("int", 2**4096 - 1),
    "a": ("attofil", 5),
    "e": ("epoch", 7),
    "t": ("text", "héllo"),
    "from": ("text", "f01"),
    "b": ("bytes", b"\x01"),
    "yes": ("bool", True),
    "o": ("int?", None),
    "p": ("int?", 4),
    "ns": ("list[int]", (1, 2, 3)),
    "none": ("list[int]", ()),
    "many": ("list[int]", tuple(range(2000))),
    "m": ("map[text, int]", {"a": 1, "b": 2}),
    "lanes": ("map[int, lane]", {1: {"redeemed": 5, "nonce": 1}}),
    "lane": ("lane", {"redeemed": 5, "nonce": 1}),
    "j": ("json?", {"a": [1]}),
}
DATA = {name: value for name, (_, value) in FIELDS.items()}
MOMENT = Moment(5, None, "key", "open", "chain")


def _binding(of: str, where: str) -> Binding:
    return Binding(parse_type(of, TYPES, ""), where)


SCOPE = Scope(
    {
        **{name: _binding(of, "d") for name, (of, _) in FIELDS.items()},
        "arg": _binding("int", "p"),
        "MAX": Binding(BUILTIN["int"], "constant", 9),
        "now": _binding("time", "m"),
        "height": _binding("epoch", "m"),
        "key": _binding("text", "m"),
    },
    {"double": Function("double", (BUILTIN["int"],), BUILTIN["int"], lambda value: value * 2)},
)

NAMES = [*FIELDS, "arg", "MAX", "now", "height", "key", "x", "y", "nope"]
TOKENS = r"""
    // ** << >> == != <= >= := -> and or not in is if else for lambda True None none old
    yield await async import from class def return del global ... 1_0 1j 1.5 1e9 0x1F 0 1 -1 2
    len( min( max( sum( any( all( abs( get( values( double( __import__( eval( open(
    .__class__ .__dict__ __builtins__ f'{n}' 'a' "é" '\ud800' '\x00' b'x' ''' [x]
"""
WORDS = [
    *TOKENS.split(),
    *"+-*%()[]{}.,:<>=!~@&|^/;`$?#\\\"' \n\t\x00\ud800\u2028ｎﬁé😀",
    *("9" * 400, "for x in ns", "for x in m", "if x", "x for x in ns", "is not None", "# x"),
]
soup = st.lists(st.sampled_from(WORDS + NAMES) | st.text(max_size=3), max_size=14).map(" ".join)
dense = st.lists(st.sampled_from(WORDS + NAMES), max_size=10).map("".join)
repeated = st.builds(
    lambda piece, times, middle: piece * times + middle,
    st.sampled_from(
        [*WORDS, "n + ", "(n, ", "[[", "{a: ", "n if yes else ", "not ", "-", "n.", "n < "]
    ),
    st.integers(1, 700),
    st.sampled_from(["", "n", ")" * 50, "]" * 50]),
)
RULES = """
int ::= n | zero | big | widest | arg | MAX | 7 | 0 | lane.nonce | (INT + INT) | (INT - INT) |
    (INT * INT) | (INT // INT) | (INT % INT) | -INT | abs(INT) | min(INT, INT) |
    max(INT, INT, INT) | sum(INTS) | min(INTS) | len(INTS) | len(MAP) | len(TEXT) |
    (INT if BOOL else INT) | INTS[INT] | MAP[TEXT] | get(MAP, TEXT, INT) | double(INT) |
    (AMOUNT // AMOUNT) | (height - height) | RECORD.x | sum(values(MAP)) |
    sum(FLAT for x in INTS if TEST) | max(FLAT for x in INTS if TEST) | lanes[INT].nonce
amount ::= a | 0 | lane.redeemed | (AMOUNT + AMOUNT) | (AMOUNT * INT) | (AMOUNT % AMOUNT) |
    (AMOUNT // 3) | max(AMOUNT, 0) | sum(lanes[x].redeemed for x in lanes) |
    (AMOUNT if BOOL else AMOUNT) | get(lanes, INT, lane).redeemed
bool ::= yes | true | (INT < INT <= INT) | (AMOUNT >= AMOUNT) | (BOOL and BOOL) | (BOOL or BOOL)
    | not BOOL | (INT in INTS) | (TEXT not in MAP) | (TEXT == TEXT) | (TEXT < TEXT) |
    (OPTION is not None) | (OPTION == INT) | any(TEST for x in INTS) | all([BOOL, BOOL]) |
    (INTS == INTS) | (RECORD == RECORD) | (j is None) | (b < b)
text ::= t | from | key | 'é' | 'a' | (TEXT + TEXT) | (TEXT if BOOL else TEXT) | RECORD.y |
    [k for k in MAP][INT]
ints ::= ns | none | many | [INT, INT] | (INT, INT, INT) | [FLAT for x in INTS] |
    [FLAT for x in INTS if TEST] | values(MAP) | [x for x in lanes] |
    (INTS if BOOL else INTS) | []
map ::= m | {k: m[k] for k in m} | {key: INT for x in INTS} | (MAP if BOOL else MAP) |
    {k: 1 for k in MAP if k in m}
record ::= {x: 3, y: t} | {x: INT, y: TEXT} | (RECORD if BOOL else RECORD) | {y: TEXT, x: INT}
option ::= o | p | None | get(MAP, TEXT) | INT | (INT if BOOL else None)
flat ::= x | n | 2 | (x + FLAT) | (x * FLAT) | (x // FLAT) | -x | min(x, FLAT) | ns[x] |
    (x if TEST else FLAT) | double(x) | lanes[x].nonce | get(m, t, x)
test ::= x > 1 | x != FLAT | x in lanes | not x < FLAT | x % 2 == 0 or x < n
"""
"""The language by kind of value; a kind in capitals stands for any expression of that kind."""
GRAMMAR = {
    rule.split(" ::= ")[0]: rule.split(" ::= ")[1].split(" | ")
    for rule in re.sub(r"\n    +", " ", RULES).strip().split("\n")
}
KIND = re.compile("|".join(kind.upper() for kind in sorted(GRAMMAR, reverse=True)))


@st.composite
def well_formed(draw: st.DrawFn, kind: str, depth: int) -> str:
    """Draw an expression of one kind; nearly all of them compile."""
    forms = GRAMMAR[kind]
    if depth == 0:
        forms = [form for form in forms if not KIND.search(form)]
    form = draw(st.sampled_from(forms))
    return KIND.sub(lambda found: draw(well_formed(found[0].lower(), depth - 1)), form)


grown = st.sampled_from(sorted(set(GRAMMAR) - {"flat", "test"})).flatmap(
    lambda kind: st.integers(0, 4).flatmap(lambda depth: well_formed(kind, depth))
)


def compiled(source: str) -> Expression | None:
    """Return the compiled expression; None for one that is refused by SpecError with its place."""
    place = ""
    with no_hang():
        try:
            return compile_expression(source, SCOPE, lambda at: f"f:1:{at + 1}")
        except SpecError as error:
            place = error.place
    assert 1 <= int(place.removeprefix("f:1:")) <= len(source.strip()) + 2
    return None


def run(expression: Expression) -> None:
    """Evaluate: a value of the type that was told, or one of the declared errors."""
    failure: BaseException | None = None
    value = stored = None
    with no_hang():
        try:
            value = expression.call(DATA, {"arg": 1}, MOMENT)
            stored = None if value is None else expression.type.to_json(value)
        except EVALUATION_ERRORS as error:
            failure = error
    if failure is None:
        assert fits(expression.type, value)
        assert "object at 0x" not in repr(stored)
    else:
        assert not isinstance(failure, TypeError | AttributeError), failure
        assert not isinstance(failure, KeyError) or failure.args[0] not in ("x", "y", "nonce")


def fits(of: Type, value: Any) -> bool:
    """Whether a value is of its expression's type, but for the bounds, which only `set` checks."""
    try:
        return bool(of.coerce(value, "x") == value) or isinstance(of, Map | Record | List)
    except ValueInvalid as error:
        bounds = re.search("more than .* (bits|bytes|items)|below|above", error.message)
        return bounds is not None or "is missing" in error.message


@fuzzing()
@given(soup | dense)
def test_soup_of_tokens_is_refused_or_evaluates(source: str) -> None:
    """From the language's own tokens and from hostile ones, in any order."""
    expression = compiled(source)
    if expression is not None:
        run(expression)


@fuzzing()
@given(repeated)
def test_repetition_is_refused_or_evaluates(source: str) -> None:
    """Depth and length: the parser's limits, the language's and Python's."""
    expression = compiled(source)
    if expression is not None:
        run(expression)


@fuzzing(2)
@given(grown)
def test_well_formed_expression_is_refused_or_evaluates(source: str) -> None:
    """Nested forms of the language over every type; what compiles has the type it was given."""
    expression = compiled(source)
    if expression is not None:
        run(expression)


@fuzzing()
@given(st.text(max_size=60))
def test_any_text_is_refused_or_evaluates(source: str) -> None:
    """No text makes anything but SpecError."""
    expression = compiled(source)
    if expression is not None:
        run(expression)


@pytest.mark.parametrize("kind", sorted(set(GRAMMAR) - {"flat", "test"}))
def test_every_form_of_the_grammar_compiles(kind: str) -> None:
    """Negative control: what is called well-formed is, with the simplest part in each place."""
    simple = {kind.upper(): forms[0] for kind, forms in GRAMMAR.items()}
    for form in GRAMMAR[kind]:
        source = KIND.sub(lambda found: simple[found[0]], form)

        assert compiled(source) is not None, source
