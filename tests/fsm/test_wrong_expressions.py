"""What is not an expression of the language: refused when the file is loaded, at its column."""

from __future__ import annotations

import warnings
from contextlib import suppress

import pytest
from statetape.fsm.errors import SpecError

from .expressions import compiled, refused

NAMES = {
    "n": "int",
    "a": "attofil",
    "e": "epoch",
    "t": "text",
    "b": "bytes",
    "yes": "bool",
    "ns": "list[int]",
    "as": "list[attofil]",
    "nest": "list[list[int]]",
    "m": "map[text, int]",
    "of": "map[int, attofil]",
    "lane": "lane",
    "o": "int?",
    "j": "json?",
    "from": "text",
}

HOSTILE = [
    ("__import__('os').system('ls')", "calls are `name(value, …)`"),
    ("__import__('os')", "no function '__import__'"),
    ("().__class__.__bases__[0].__subclasses__()", "calls are"),
    ("().__class__", "has no fields"),
    ("t.__class__", "text has no fields"),
    ("lane.__class__", "lane has no field '__class__'"),
    ("lane.__dict__", "lane has no field"),
    ("lane.items", "lane has no field 'items'"),
    ("m.keys()", "calls are"),
    ("t.upper()", "calls are"),
    ("t.format(n)", "calls are"),
    ("f'{n}'", "JoinedStr is not part of the language"),
    ("f'{n.__class__}'", "JoinedStr is not part"),
    ("'%s' % n", "text is not a number"),
    ("'a' * 10", "text is not a number"),
    ("ns * 2", "list[int] is not a number"),
    ("ns + ns", "list[int] is not a number"),
    ("lambda: 1", "not an expression"),
    ("(lambda: 1)()", "not an expression"),
    ("(n := 1)", "NamedExpr is not part of the language"),
    ("n := 1", "not an expression"),
    ("n = 1", "not an expression"),
    ("import os", "not an expression"),
    ("from os import path", "not an expression"),
    ("exec('x')", "no function 'exec'"),
    ("eval('x')", "no function 'eval'"),
    ("open('/etc/passwd')", "no function 'open'"),
    ("getattr(lane, 'nonce')", "no function 'getattr'"),
    ("globals()", "no function 'globals'"),
    ("range(10)", "no function 'range'"),
    ("str(n)", "no function 'str'"),
    ("print(n)", "no function 'print'"),
    ("tuple_(ns)", "no function 'tuple_'"),
    ("get_(m, t)", "no function 'get_'"),
    ("values_(m)", "no function 'values_'"),
    ("d", "no name 'd'"),
    ("p['x']", "no name 'p'"),
    ("l_x", "no name 'l_x'"),
    ("__builtins__", "no name '__builtins__'"),
    ("len", "no name 'len'"),
    ("2 ** 99", "Pow is not part of the language"),
    ("n ** n", "Pow is not part of the language"),
    ("1 << n", "LShift is not part of the language"),
    ("n >> 1", "RShift is not part of the language"),
    ("n | 1", "BitOr is not part of the language"),
    ("n & 1", "BitAnd is not part of the language"),
    ("n ^ 1", "BitXor is not part of the language"),
    ("~n", "Invert is not part of the language"),
    ("+n", "UAdd is not part of the language"),
    ("n / 2", "Div is not part of the language"),
    ("n @ n", "MatMult is not part of the language"),
    ("1.5", "1.5 is not a whole number"),
    (".5", "float is not part of the language"),
    ("1e3", "1e3 is not a whole number"),
    ("1j", "1j is not a whole number"),
    ("'''n'''", "a text without its end, or with an unknown escape"),
    ("t == '\\N{BULLET}'", "a text without its end, or with an unknown escape"),
    ("ｎ == 1", "cannot stand here"),
    ("# nothing\rn", "cannot stand here"),
    ("old == old", "no name 'old'"),
    ("b'x'", "bytes is not part of the language"),
    ("...", "ellipsis is not part of the language"),
    ("{1, 2}", "Set is not part of the language"),
    ("{x for x in ns}", "SetComp is not part of the language"),
    ("ns[0:1]", "Slice is not part of the language"),
    ("ns[:]", "Slice is not part of the language"),
    ("(*ns, 1)", "Starred is not part of the language"),
    ("min(*ns)", "Starred is not part of the language"),
    ("len(*ns)", "Starred is not part of the language"),
    ("min(ns, default=0)", "calls are `name(value, …)`"),
    ("min(ns, key=abs)", "calls are"),
    ("await n", "not an expression"),
    ("yield n", "not an expression"),
    ("[x async for x in ns]", "not an expression"),
    ("n;n", "not an expression"),
    ("n # comment\n n", "not an expression"),
    ("", "not an expression"),
    ("   ", "not an expression"),
    ("n +", "not an expression"),
    ("(n", "not an expression"),
    ("n)", "not an expression"),
    ("'n", "not an expression"),
    ("n\x00", "not an expression"),
    ("'\ud800'", "not an expression"),
    ("n if yes", "not an expression"),
    ("{n: 1}[n]", "record has no items"),
    ("{'n': 1}", "a record's field is a plain name"),
    ("{**m}", "a record's field is a plain name"),
    ("{x: 1, x: 2}", "a field stands here twice"),
    ("9" * 1999, "a number too large"),
    ("0x1" + "0" * 1024, "a number too large"),
    ("n + " * 600 + "n", "at most 2000 characters"),
    ("n+" * 399 + "n", "more than 400 parts"),
    ("[" + "n," * 450 + "]", "more than 400 parts"),
]
LOOPS = [
    ("[x for x in ns for y in ns]", "loops do not nest"),
    ("[[y for y in x] for x in nest]", "loops do not nest"),
    ("any(any(y > 0 for y in x) for x in nest)", "loops do not nest"),
    ("sum(sum(y for y in ns) for x in ns)", "loops do not nest"),
    ("{x: [y for y in ns] for x in ns}", "loops do not nest"),
    ("[x for x in ns if any(y > x for y in ns)]", "loops do not nest"),
    ("[x for x in n]", "a loop is `… for name in list or map`"),
    ("[x for x in t]", "a loop is"),
    ("[x for x in lane]", "a loop is"),
    ("[x for (x, y) in nest]", "a loop is"),
    ("[x for ns[0] in ns]", "a loop is"),
    ("[y for x in ns]", "no name 'y'"),
    ("[x for x in x]", "no name 'x'"),
    ("[x for x in ns] == [x]", "no name 'x'"),
    ("[x for x in ns if x]", "int is not true or false"),
]
TYPES = [
    ("a + e", "attofil and epoch do not go together"),
    ("a - e", "attofil and epoch do not go together"),
    ("a * e", "attofil and epoch do not go together"),
    ("a * a", "attofil and attofil do not go together"),
    ("a // e", "attofil and epoch do not go together"),
    ("a % e", "attofil and epoch do not go together"),
    ("10 // a", "number and attofil do not go together"),
    ("a + n", "attofil and int do not go together"),
    ("1 + n + a", "int and attofil do not go together"),
    ("n * 2 + a", "int and attofil do not go together"),
    ("10 // n + a", "int and attofil do not go together"),
    ("a + {x: 2 - n}.x", "attofil and int do not go together"),
    ("e + now", "epoch and time do not go together"),
    ("a < e", "attofil and epoch are never equal"),
    ("a == e", "attofil and epoch are never equal"),
    ("a < n", "attofil and int are never equal"),
    ("now < e", "time and epoch are never equal"),
    ("max(a, e)", "in one place"),
    ("min(a, n)", "in one place"),
    ("[a, e]", "in one place"),
    ("a if yes else e", "in one place"),
    ("sum([a]) + e", "do not go together"),
    ("get(of, 1, 0) + e", "do not go together"),
    ("sum([1] if yes else [a]) + e", "attofil"),
    ("({x: 1} if yes else {x: a}).x + e", "attofil"),
    ("sum([x for x in ([0] if yes else as)]) + e", "attofil"),
    ("e in [a]", "epoch cannot be in list[attofil]"),
    ("t < n", "text and int have no order"),
    ("n < t", "int and text have no order"),
    ("t == n", "text and int are never equal"),
    ("yes == n", "bool and int are never equal"),
    ("yes == 1", "bool and number are never equal"),
    ("yes < yes", "bool and bool have no order"),
    ("ns < ns", "have no order"),
    ("b == t", "bytes and text are never equal"),
    ("m == ns", "are never equal"),
    ("n == None", "int and json? are never equal"),
    ("j == 1", "json? and number are never equal"),
    ("n is 1", "`is` only compares with None"),
    ("n is t", "`is` only compares with None"),
    ("t in n", "text cannot be in int"),
    ("n in t", "int cannot be in text"),
    ("n in m", "int cannot be in map[text, int]"),
    ("t in ns", "text cannot be in list[int]"),
    ("n in lane", "int cannot be in lane"),
    ("not n", "int is not true or false: compare it with something"),
    ("n and yes", "int is not true or false"),
    ("yes or t", "text is not true or false"),
    ("1 if n else 2", "int is not true or false"),
    ("-t", "text is not a number"),
    ("-yes", "bool is not a number"),
    ("yes + 1", "bool is not a number"),
    ("n + t", "text is not a number"),
    ("t + from + 1", "text is not a number"),
    ("n.x", "int has no fields"),
    ("lane.nope", "lane has no field 'nope'"),
    ("n[0]", "int has no items"),
    ("t[0]", "text has no items"),
    ("lane[0]", "lane has no items"),
    ("m[n]", "int where text is meant"),
    ("ns[t]", "text where int is meant"),
    ("ns[a]", "attofil where int is meant"),
    ("of[e]", "epoch where int is meant"),
    ("m[None]", "json? where text is meant"),
    ("o + 1", "int? is not a number"),
    ("o < 1", "int? and number have no order"),
    ("-o", "int? is not a number"),
    ("ns[o]", "int? where int is meant"),
    ("max(o, 1)", "int? is not a number"),
    ("len(o)", "int? has no length"),
    ("len(n)", "int has no length"),
    ("len()", "len takes 1 values"),
    ("len(ns, ns)", "len takes 1 values"),
    ("min()", "min takes a list, or two or more numbers"),
    ("min(n)", "int is not a list or map"),
    ("max(m)", "text is not a number"),
    ("min(t, t)", "text is not a number"),
    ("max([])", "is not a number"),
    ("sum(n)", "int is not a list or map"),
    ("sum(nest)", "list[int] is not a number"),
    ("any(ns)", "int is not true or false"),
    ("all(yes)", "bool is not a list or map"),
    ("abs(t)", "text is not a number"),
    ("abs(n, n)", "abs takes 1 values"),
    ("get(m)", "get takes 2 or 3 values"),
    ("get(ns, 0)", "list[int] is not a map"),
    ("get(m, 1)", "number where text is meant"),
    ("get(m, t, t)", "text where int is meant"),
    ("values(ns)", "list[int] is not a map"),
    ("{x > 1: 1 for x in ns}", ""),
    ("{o: 1 for x in ns}", ""),
    ("{[x]: 1 for x in ns}", ""),
    ("{{y: x}: 1 for x in ns}", ""),
]


@pytest.mark.parametrize(("source", "says"), HOSTILE, ids=lambda text: ascii(text[:40]))
def test_what_is_not_in_the_language_is_refused_at_load(source: str, says: str) -> None:
    """No attribute, call, operator or statement beyond the allow-list ever runs."""
    error = refused(source, NAMES)

    assert says in error.message
    assert error.place.startswith("at:1:")


@pytest.mark.parametrize(("source", "says"), LOOPS)
def test_loop_beyond_one_over_one_collection_is_refused_at_load(source: str, says: str) -> None:
    """Loops do not nest, and go over finite collections only."""
    assert says in refused(source, NAMES).message


@pytest.mark.parametrize(("source", "says"), TYPES)
def test_types_that_do_not_fit_are_refused_at_load(source: str, says: str) -> None:
    """Units never mix, nothing counts as true, and what may be none is checked first."""
    assert says in refused(source, NAMES).message


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("n + nope", 5),
        ("from == t and nope", 15),
        ("from == from and from == nope", 26),
        ("(from == t) and n.x == 1", 17),
        ("n + 2 ** 3", 5),
        ("len(nope)", 5),
        ("'é' == t and nope", 14),
        ("'€😀' == t and nope", 15),
        ("from == 'é' and from == nope", 25),
        ("n +* 2", 4),
        ("'é' +* n", 6),
        ("from +* t", 7),
    ],
)
def test_error_names_the_column_that_its_author_sees(source: str, column: int) -> None:
    """Counted in characters, whatever was escaped and however many bytes a letter takes."""
    assert refused(source, NAMES).place == f"at:1:{column}"


@pytest.mark.parametrize(
    "source",
    [
        "1.if yes else 2",
        "1 is None",
        "'a' is not None",
        "'\\d' == t",
        "'\\8' == t",
        "n == 1if yes else 2",
        "0x1for x in ns",
        "(1) is (None)",
        "[1, 2] is None",
    ],
)
def test_no_warning_of_python_reaches_the_terminal_or_becomes_an_error(source: str) -> None:
    """What Python warns about is refused, or compiled in silence, under any warning filter."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(SpecError):
            compiled(source, NAMES)

    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("source", ["'\\ud800'", "t == '\\udfff'", "'\\x00\\ud800' + t"])
def test_escaped_surrogate_is_no_text(source: str) -> None:
    """It could never be written to the tape, so it is refused when the file is loaded."""
    refused(source, NAMES)


def test_optional_field_that_one_branch_leaves_out_is_none_or_refused() -> None:
    """`{x: 1}` where `{x: 1, y: o}` may stand: reading y of it cannot fail when it runs."""
    try:
        expression = compiled("({x: 1, y: o} if yes else {x: 1}).y", NAMES)
    except SpecError:
        return  # as good

    assert expression.call({"yes": False, "o": 5}, {}, None) is None


def test_message_of_an_unknown_name_lists_the_known_ones() -> None:
    """In the author's spelling, sorted."""
    assert refused("nope", {"from": "text", "a": "int"}).message == (
        "no name 'nope' (there are a, from, now) in `nope`"
    )
