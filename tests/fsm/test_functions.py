"""Functions that a machine names: which modules there are, what they offer, how they are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from statetape.engine import catalogue
from statetape.fsm.types import Scalar

from .machines import Functions, event, kind, machine, refused, send

STATES = "states: {open: {initial: true}}\n"


def double(value: int) -> int:
    """Twice the value."""
    return 2 * value


def join(left: str, right: str) -> str:
    """Both texts."""
    return left + right


def fail(value: int) -> int:
    """Never return."""
    raise KeyError(f"secret {value}")


def pair(value: int) -> dict[str, int]:
    """Return a record."""
    return {"a": value, "b": -value}


def total(values: Mapping[str, int]) -> int:
    """Return the sum of a map."""
    return sum(values.values())


FUNCTIONS = Functions(
    {
        "double": double,
        "join": join,
        "fail": fail,
        "pair": pair,
        "total": total,
        "d": double,
        "p": double,
        "m": double,
        "l_x": double,
        "sum": double,
    },
    {"word": Scalar("word", str.lower)},
)


def signatures(*lines: str) -> str:
    """Return the `functions` part of a file with these signatures."""
    return "functions: {module: a.b, signatures: {" + ", ".join(lines) + "}}\n"


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("os.path", "no functions module 'os.path'"),
        ("sys.modules", "no functions module 'sys.modules'"),
        ("filecoin.nope", "no functions module 'filecoin.nope'"),
        ("nope.payment_channel", "no functions module"),
        ("filecoin.payment_channel.functions", "no functions module"),
        ("filecoin.scenarios", "offers no functions"),
        ("filecoin.voucher", "offers no functions"),
        ("filecoin.signature", "offers no functions"),
        ("filecoin.demo", "offers no functions"),
        ("engine.catalogue", "no functions module"),
        ("statetape.fsm", "no functions module"),
        ("a.b.c.d", "no functions module"),
    ],
)
def test_module_that_offers_nothing_to_machines_is_refused_at_its_place(
    module: str, says: str
) -> None:
    """A file reaches the functions of the bundled systems, and no other code."""
    body = f"functions: {{module: §{module}, signatures: {{}}}}\n{STATES}"

    assert says in refused(body, catalogue.library).message


@pytest.mark.parametrize(
    "module", ["../x", "../../etc.passwd", "filecoin/x.y", "filecoin..x", ".x", "x.", "Filecoin.x"]
)
def test_module_that_is_a_path_is_refused_by_its_shape(module: str) -> None:
    """No name of a module can leave the folder of the systems."""
    body = f'functions: {{module: §"{module}", signatures: {{}}}}\n{STATES}'.replace('§"', '"§')

    assert "functions.module" in refused(body, catalogue.library).message


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        ("nope: §int -> int", "no function 'nope' (there are d, double"),
        ("double: §int", "a signature is `(TYPE, …) -> TYPE`"),
        ("double: §int -> ", "a type is missing"),
        ("double: §(int, int) -> int", "double takes 1 values, not 2"),
        ("double: §() -> int", "double takes 1 values, not 0"),
        ("join: §(text) -> text", "join takes 2 values, not 1"),
        ("double: §(money) -> int", "no type 'money'"),
        ("double: §(int) -> money", "no type 'money'"),
        ("double: §(int -> int", "no type 'in'"),
        ("double: '§(int,) -> int'", "a type is missing"),
        ("double: §int -> int -> int", "is not a type"),
    ],
)
def test_wrong_signature_is_refused_at_its_place(signature: str, says: str) -> None:
    """What a function takes and gives has to fit the function."""
    body = f"functions:\n  module: a.b\n  signatures:\n    {signature}\n{STATES}"

    assert says in refused(body, FUNCTIONS).message


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("§double() == 1", "double takes 1 values"),
        ("§double(1, 2) == 1", "double takes 1 values"),
        ("double(§key) == 1", "text where int is meant"),
        ("double(§true) == 1", "bool where int is meant"),
        ("double(1) == §join(key)", "join takes 2 values"),
        ("§join(key, key)", "text where bool is meant"),
        ("§double(value=1) == 1", "calls are"),
        ("double(§*[1]) == 1", "Starred is not part of the language"),
        ("§nope(1) == 1", "no function 'nope'"),
    ],
)
def test_wrong_call_is_refused_at_its_place(source: str, says: str) -> None:
    """A call has to fit the signature."""
    body = f"""
        {signatures("double: int -> int", "join: '(text, text) -> text'")}
        states: {{open: {{initial: true}}}}
        events: {{e: {{go: [{{from: open, when: "{source}"}}]}}}}
    """

    assert says in refused(body, FUNCTIONS).message


def test_function_computes_on_typed_values() -> None:
    """Exact integers, texts, records and maps go in and come out."""
    top = signatures(
        "double: int -> int",
        "join: '(text, word) -> text'",
        "pair: '(int) -> ab'",
        "total: '(map[text, int]) -> int'",
    )
    found = event(
        """
        params: {n: int, w: word}
        set:
          n: double(n)
          t: join(key, w)
          s: total(of) + pair(n).b
          of: "{}"
        """,
        f"{top}types: {{ab: {{a: int, b: int}}}}\n"
        'data: {n: int, t: text, s: int, of: "map[text, int] = {}"}',
        FUNCTIONS,
    )

    decision = send(
        found, params={"n": 2**70 + 1, "w": "UP"}, data={"n": 0, "t": "", "s": 0, "of": {"a": 5}}
    )

    assert decision.data == {"n": 2**71 + 2, "t": "keyup", "s": 5 - 2**70 - 1, "of": {}}


def test_failing_function_is_a_failed_evaluation_without_its_words() -> None:
    """Python's text of an error never reaches the tape."""
    found = event("set: {n: fail(n)}", signatures("fail: int -> int") + "data: {n: int}", FUNCTIONS)

    decision = send(found)

    assert decision.reason == {"kind": "evaluation_failed"}


@pytest.mark.parametrize("name", ["d", "p", "m", "l_x", "sum"])
def test_function_of_any_name_is_called(name: str) -> None:
    """No name collides with what a compiled expression uses inside, or with a builtin."""
    found = event(
        f'params: {{n: int}}\nset: {{n: "{name}(n)", ns: "[{name}(x) for x in [1, n]]"}}',
        signatures(f"{name}: int -> int") + 'data: {n: int, ns: "list[int]"}',
        FUNCTIONS,
    )

    decision = send(found, params={"n": 3})

    assert (decision.reason, decision.data) == (None, {"n": 6, "ns": (2, 6)})


def test_function_that_a_machine_does_not_name_cannot_be_called() -> None:
    """The library has it, the file does not declare it: no such function."""
    top = signatures("double: int -> int") + STATES
    body = top + "invariants: [{name: i, that: '§join(key, key) == key'}]"

    assert "no function 'join'" in refused(body, FUNCTIONS).message


def test_default_may_call_a_function_and_its_failure_is_an_error_of_the_file() -> None:
    """Whatever a function raises at load is told with the field's place."""
    top = signatures("double: int -> int", "fail: int -> int")

    assert (
        machine(f"{top}data: {{n: int = double(4)}}\n{STATES}", FUNCTIONS).fields["n"].default == 8
    )
    assert (
        "not a default" in refused(f"{top}data: {{n: §int = fail(4)}}\n{STATES}", FUNCTIONS).message
    )


def test_digest_changes_with_the_text_and_with_the_functions() -> None:
    """The same file over other functions is another machine."""
    body = signatures("double: int -> int") + STATES
    one = machine(body, FUNCTIONS)
    other: Any = Functions(FUNCTIONS.functions, FUNCTIONS.types, "1" * 64)

    assert one.digest == machine(body, FUNCTIONS).digest
    assert (
        len({one.digest, machine(body, other).digest, machine(body + "\n", FUNCTIONS).digest}) == 3
    )


def test_refused_call_leaves_no_trace_of_which_function_failed() -> None:
    """In `require` the failing expression itself is named, in the file's own words."""
    found = event(
        "require: [{that: fail(n) == 1, else: {reason: X}}]",
        signatures("fail: int -> int") + "data: {n: int}",
        FUNCTIONS,
    )

    decision = send(found)

    assert (kind(decision), decision.reason["that"]) == ("evaluation_failed", "fail(n) == 1")
    assert "secret" not in str(decision.reason)
