"""What expressions compute: exactly what Python computes on exact integers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.errors import SpecError

from .expressions import compiled, evaluate, refused
from .machines import event, kind, send
from .strategies import BIG, PROPERTY

LANES = {1: {"redeemed": 5, "nonce": 1}, 2: {"redeemed": BIG, "nonce": 7}}
NAMES: dict[str, tuple[str, Any]] = {
    "n": ("int", 7),
    "big": ("int", BIG),
    "t": ("text", "héllo"),
    "w": ("word", "up"),
    "b": ("bytes", b"\x01\x02"),
    "yes": ("bool", True),
    "ns": ("list[int]", (3, -1, 2)),
    "empty": ("list[int]", ()),
    "flags": ("list[bool]", (True, False)),
    "nest": ("list[list[int]]", ((1, 2), (3,))),
    "m": ("map[text, int]", {"a": 1, "b": 2}),
    "lanes": ("map[uint64, lane]", LANES),
    "gone": ("int?", None),
    "here": ("int?", 4),
    "maybe": ("maybe", {"sure": 1, "unsure": None}),
    "j": ("json?", {"x": [1, True]}),
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("7 // -2", -4),
        ("big * big", BIG * BIG),
        ("big - big + 1", 1),
        ("- - n", 7),
        ("abs(-big)", BIG),
        ("1_000", 1000),
        ("0x10", 16),
        ("n == 7 and not n != 7", True),
        ("n < 8 or 1 // 0 == 1", True),
        ("n > 8 and 1 // 0 == 1", False),
        ("1 < n <= 7 < 8", True),
        ("1 < n < 7 < 8", False),
        ("10 if n > 5 else 20", 10),
        ("10 if n > 50 else 20", 20),
        ("1 // 0 if n > 50 else 20", 20),
        ("n in (1, 7)", True),
        ("n not in [1, 7]", False),
        ("n in ns", False),
        ('"ll" in t', True),
        ('t + "!"', "héllo!"),
        ('"a" < "b" and "B" < "a"', True),
        ('w == "up"', True),
        ("b < b", False),
        ("len(t)", 5),
        ("len(w)", 2),
        ("len(b)", 2),
        ("len(ns)", 3),
        ("len(m)", 2),
        ("len(empty)", 0),
        ("len([])", 0),
        ("min(3, n, -2)", -2),
        ("max(3, n)", 7),
        ("min(ns)", -1),
        ("max(lanes)", 2),
        ("max([n, big])", BIG),
        ("sum(ns)", 4),
        ("sum(empty)", 0),
        ("sum(lanes)", 3),
        ("sum(values(m))", 3),
        ("values(m)", (1, 2)),
        ("any(flags)", True),
        ("all(flags)", False),
        ("any(x > 2 for x in ns)", True),
        ("all(x > 2 for x in ns)", False),
        ("any(x > 2 for x in empty)", False),
        ("all(x > 2 for x in empty)", True),
        ("sum(lanes[k].redeemed for k in lanes)", BIG + 5),
        ("max(lanes[k].nonce for k in lanes if k > 1)", 7),
        ("[x * 2 for x in ns if x > 0]", (6, 4)),
        ("{x: x * x for x in ns}", {3: 9, -1: 1, 2: 4}),
        ("[len(x) for x in nest]", (2, 1)),
        ("[x for x in [y + 1 for y in ns]]", (4, 0, 3)),
        ("get(m, 'a')", 1),
        ("get(m, 'z')", None),
        ("get(m, 'z', 9)", 9),
        ("get(m, 'a', 9)", 1),
        ("m['b']", 2),
        ("ns[0]", 3),
        ("ns[-1]", 2),
        ("nest[0][1]", 2),
        ("lanes[2].redeemed", BIG),
        ("'a' in m", True),
        ("3 in lanes", False),
        ("gone is None", True),
        ("gone is not None", False),
        ("here is None", False),
        ("here == 4", True),
        ("gone == 4", False),
        ("maybe.unsure is None", True),
        ("maybe == {sure: 1, unsure: None}", True),
        ("{sure: n, unsure: None}", {"sure": 7, "unsure": None}),
        ("{sure: n}.sure", 7),
        ("[]", ()),
        ("()", ()),
        ("(1, 2)", (1, 2)),
        ("{}", {}),
        ("None", None),
        ("none", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes == true", True),
        ("j is None", False),
        ("'it''s'", "its"),
        ('"\\u00e9"', "é"),
        ("(n\n  + 1)", 8),
    ],
)  # fmt: skip
def test_expression_has_the_value_that_python_gives(source: str, value: Any) -> None:
    """Every operator and builtin of the language, by example."""
    assert evaluate(source, NAMES) == value
    assert type(evaluate(source, NAMES)) is type(value)


def bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return expressions for numbers that are made of smaller ones."""
    operators = st.sampled_from(["+", "-", "*", "//", "%"])
    return st.one_of(
        st.builds("({} {} {})".format, inner, operators, inner),
        st.builds("(-{})".format, inner),
        st.builds("abs({})".format, inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
        st.builds("sum([{}, {}])".format, inner, inner),
        st.builds("({} if {} < {} else {})".format, inner, inner, inner, inner),
    )


flat = st.recursive(
    st.sampled_from(["x", "y", "z", "0", "1", "7", str(BIG), "big"]), bigger, max_leaves=6
)
loops = st.builds("sum(v * {} for v in vs if v != {})".format, flat, flat)
numbers = flat | loops | st.builds("{} - {}".format, loops, flat)
truths = st.builds(
    "{} {} {} {} {} {} vs".format,
    numbers,
    st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
    numbers,
    st.sampled_from(["and", "or", "and not", "or not"]),
    flat,
    st.sampled_from(["in", "not in"]),
)


def outcome(run: Any) -> Any:
    """Return a value with its type, or the kind of arithmetic error."""
    try:
        value = run()
    except ZeroDivisionError:
        return ZeroDivisionError
    return type(value), value


within = st.integers(-(2**500), 2**500) | st.integers(-9, 9)
"""Seven factors of this size stay below the bound of numbers."""


@PROPERTY
@given(numbers | truths, within, within, within, st.lists(within, max_size=4))
def test_arithmetic_and_logic_are_pythons_on_large_integers(
    source: str, x: int, y: int, z: int, vs: list[int]
) -> None:
    """The same text, evaluated by the machine and by Python itself."""
    values = {"x": x, "y": y, "z": z, "big": BIG, "vs": tuple(vs)}
    types = dict.fromkeys("xyz", "int") | {"big": "int", "vs": "list[int]"}
    expression = compiled(source, types)

    ours = outcome(lambda: expression.call(values, {}, None))

    assert ours == outcome(lambda: eval(source, dict(values)))


@pytest.mark.parametrize(
    ("source", "type_"),
    [
        ("from == to", "bool"),
        ("class + with", "int"),
        ("from in (to, from)", "bool"),
        ("sum(lambda for lambda in def)", "int"),
        ("yield.redeemed", "attofil"),
        ('len(from) + len("from import class")', "int"),
        ("import[global].nonce", "uint64"),
        ("{from: to}.from", "text"),
        ("[return for return in def if return > class]", "list[int]"),
        ("from_if + fromto", "int"),
        ("(class\n + class)", "int"),
        ("(1\n + class)", "int"),
    ],
)
def test_keyword_of_python_is_a_good_field_name(source: str, type_: str) -> None:
    """`from` is what the specification calls it; the escape never shows."""
    names: dict[str, tuple[str, Any]] = {
        "from": ("text", "f1"),
        "to": ("text", "f1"),
        "class": ("int", 3),
        "with": ("int", 4),
        "def": ("list[int]", (1, 5)),
        "yield": ("lane", LANES[1]),
        "import": ("map[uint64, lane]", LANES),
        "global": ("uint64", 2),
        "from_if": ("int", 1),
        "fromto": ("int", 1),
    }
    types = {name: of for name, (of, _) in names.items()}

    expression = compiled(source, types)

    assert expression.type.name == type_
    assert expression.text == source
    expression.call({name: value for name, (_, value) in names.items()}, {}, None)


@pytest.mark.parametrize(
    "source", ["from_ == 'x'", "import_ == 1", "__from__ == 1", "from__ == 1", "class _ == 1"]
)
def test_escaped_form_of_a_keyword_is_no_name(source: str) -> None:
    """There is one spelling: what is used inside cannot be written."""
    refused(source, {"from": "text", "import": "int"})


@pytest.mark.parametrize(
    ("source", "type_"),
    [
        ("1", "number"),
        ("n + 1", "int"),
        ("a + 1", "attofil"),
        ("1 + a", "attofil"),
        ("a - a", "attofil"),
        ("a * n", "attofil"),
        ("n * a", "attofil"),
        ("a // 3", "attofil"),
        ("a // a", "int"),
        ("a % 3", "attofil"),
        ("a % a", "attofil"),
        ("e + 5", "epoch"),
        ("e + n", "epoch"),
        ("e - e", "int"),
        ("now + d", "time"),
        ("now - now", "int"),
        ("u + u", "int"),
        ("-a", "attofil"),
        ("abs(a)", "attofil"),
        ("min(a, 0)", "attofil"),
        ("max(e, e + 1)", "epoch"),
        ("sum(as)", "attofil"),
        ("get(m, 1)", "attofil?"),
        ("get(m, 1, 0)", "attofil"),
        ("values(m)", "list[attofil]"),
        ("[x + 1 for x in as]", "list[attofil]"),
        ("{x: m[x] for x in m}", "map[int, attofil]"),
        ("a if a > 0 else 0", "attofil"),
        ("0 if a > 0 else a", "attofil"),
        ("a if a > 0 else None", "attofil?"),
        ("None if a > 0 else a", "attofil?"),
        ("o if a > 0 else a", "attofil?"),
        ("a if a > 0 else o", "attofil?"),
        ("as if a > 0 else []", "list[attofil]"),
        ("[] if a > 0 else as", "list[attofil]"),
        ("[o, a]", "list[attofil?]"),
        ("[a, o]", "list[attofil?]"),
        ("[None, 1]", "list[number?]"),
        ("[1, None]", "list[number?]"),
        ("[0, a]", "list[attofil]"),
    ],
)
def test_type_of_an_expression_follows_from_its_parts(source: str, type_: str) -> None:
    """Units are kept, a difference of two points is a number; the order of parts does not count."""
    names = {
        "n": "int",
        "u": "uint",
        "a": "attofil",
        "e": "epoch",
        "d": "duration",
        "o": "attofil?",
    }
    names |= {"as": "list[attofil]", "m": "map[int, attofil]"}

    assert compiled(source, names).type.name == type_


@pytest.mark.parametrize("value", [True, False, 0, 12, -1, BIG])
def test_bare_yaml_value_is_an_expression(value: int | bool) -> None:
    """`that: true` and `set: {n: 5}` need no quotes."""
    assert compiled(value).call({}, {}, None) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("(x for x in ns)", (3, -1, 2)),
        ("len(x for x in ns)", 3),
        ("(x for x in ns)[0]", 3),
        ("(x for x in ns) == (x for x in ns)", True),
        ("3 in (x for x in ns)", True),
        ("[x for x in (y for y in ns)]", (3, -1, 2)),
    ],
)
def test_generator_is_a_list_wherever_it_stands_or_is_refused(source: str, value: Any) -> None:
    """A value can be read twice, measured and compared: nothing is used up by looking at it."""
    try:
        found = evaluate(source, NAMES)
    except SpecError:
        return  # refused at load: as good

    assert found == value


def test_loop_over_a_map_does_not_depend_on_the_order_of_insertion() -> None:
    """Equal maps give equal values: the tape sorts keys, a command brings them as it likes."""
    one = {"a": 1, "b": 2}
    other = {"b": 2, "a": 1}

    for source in ("[k for k in m]", "values(m)", "[m[k] for k in m]", "[k for k in m][0]"):
        expression = compiled(source, {"m": "map[text, int]"})
        assert expression.call({"m": one}, {}, None) == expression.call({"m": other}, {}, None)


def test_order_of_a_map_does_not_decide_whether_a_loop_fails() -> None:
    """`any` stops at the first that holds: which one is first is settled by the keys."""
    expression = compiled("any(10 // m[k] > 3 for k in m)", {"m": "map[text, int]"})

    assert expression.call({"m": {"b": 0, "a": 1}}, {}, None) is True
    with pytest.raises(ZeroDivisionError):
        expression.call({"m": {"b": 1, "a": 0}}, {}, None)


@pytest.mark.parametrize(
    "source", ["{sure: n} == maybe", "get(maybes, 1, {sure: n}).unsure is None"]
)
def test_record_is_written_with_all_its_fields(source: str) -> None:
    """What reads or compares a field never misses it, so what is none is said."""
    names = {"n": "int", "maybe": "maybe", "maybes": "map[int, maybe]"}

    refused(source, names)
    assert compiled(source.replace("n}", "n, unsure: None}"), names).type.name == "bool"


def test_old_is_the_data_before_as_a_whole() -> None:
    """Its fields can be read, and it can be compared."""
    found = event(
        "params: {n: int}\nset: {n: n}",
        """
        data: {n: int}
        invariants: [{name: once, that: "old == {n: 0} or n == old.n"}]
        """,
    )

    assert send(found, params={"n": 3}).outcome == "accepted"
    assert send(found, params={"n": 3}, data={"n": 3}).outcome == "accepted"
    assert kind(send(found, params={"n": 4}, data={"n": 3})) == "invariant_broken"


@pytest.mark.parametrize(
    "source", ["j == true", "j != j", "j in [j]", "r == r", "m == m", "{x: j} == {x: j}"]
)
def test_json_is_not_compared(source: str) -> None:
    """JSON tells 1 from true and Python does not: whether it is there is all that can be asked."""
    names = {"j": "json?", "r": "list[json]", "m": "map[int, json]"}

    assert "json" in refused(source, names).message
    assert compiled("j is None and 1 in m and len(r) == 0", names).type.name == "bool"
