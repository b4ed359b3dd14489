"""Expressions by themselves: compiled in a scope of declared names, and called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from statetape.fsm.composite import BUILTIN, Record, parse_type
from statetape.fsm.errors import SpecError
from statetape.fsm.expression import Binding, Expression, Function, Scope, compile_expression
from statetape.fsm.types import Scalar, Type

LANE = Record("lane", {"redeemed": BUILTIN["attofil"], "nonce": BUILTIN["uint64"]})
TYPES: Mapping[str, Type] = {
    **BUILTIN,
    "lane": LANE,
    "maybe": Record("maybe", {"sure": BUILTIN["int"], "unsure": parse_type("int?", BUILTIN, "")}),
    "word": Scalar("word", str.lower),
}


def typed(text: str) -> Type:
    """Return the type that `text` names."""
    return parse_type(text, TYPES, "type")


def compiled(
    source: str | int | bool,
    names: Mapping[str, str] | None = None,
    functions: Mapping[str, Function] | None = None,
) -> Expression:
    """Return `source` compiled where `names` are data fields of these types."""
    bindings = {name: Binding(typed(of), "d") for name, of in (names or {}).items()}
    bindings["now"] = Binding(BUILTIN["time"], "m")
    return compile_expression(source, Scope(bindings, functions or {}), lambda at: f"at:1:{at + 1}")


def evaluate(source: str, names: Mapping[str, tuple[str, Any]] | None = None) -> Any:
    """Return the value of `source`, where each name has a type and a typed value."""
    names = names or {}
    expression = compiled(source, {name: of for name, (of, _) in names.items()})
    return expression.call({name: value for name, (_, value) in names.items()}, {}, None)


def refused(
    source: str,
    names: Mapping[str, str] | None = None,
    functions: Mapping[str, Function] | None = None,
) -> SpecError:
    """Return the error of compiling `source`."""
    with pytest.raises(SpecError) as caught:
        compiled(source, names, functions)
    return caught.value
