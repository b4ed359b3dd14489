"""Hypothesis strategies for types of the language and for typed values of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from statetape.fsm.composite import BUILTIN, List, Map, Optional, Record
from statetape.fsm.moments import TIME_MAX_US
from statetape.fsm.types import JSON_INT_MAX, Type

PROPERTY = settings(
    max_examples=60, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
"""What every property test of this folder runs with: a slow machine is no failure."""

BIG = 2**70 + 1
EDGES = [0, 1, -1, JSON_INT_MAX, JSON_INT_MAX + 1, -JSON_INT_MAX - 1, BIG, -(2**70)]
EDGES += [2**4096 - 1, 1 - 2**4096]

integers = st.integers() | st.sampled_from(EDGES)
naturals = st.integers(0) | st.sampled_from([edge for edge in EDGES if edge >= 0])
words = st.text('abcxyz_é∂😀 "\\\n\x00\x7f', max_size=8) | st.text(max_size=4)
plain_json = st.recursive(
    st.booleans() | st.integers(-JSON_INT_MAX, JSON_INT_MAX) | words,
    lambda inner: (
        st.lists(inner | st.none(), max_size=3) | st.dictionaries(words, inner, max_size=3)
    ),
    max_leaves=6,
)
small_json = st.recursive(
    st.sampled_from([0, 1, True, False, "", "a"]),
    lambda inner: (
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2) | st.lists(inner, max_size=2)
    ),
    max_leaves=4,
)
"""Few different values, so that two drawn ones have members in common."""
LEAVES: Mapping[str, SearchStrategy[Any]] = {
    "int": integers,
    "uint": naturals,
    "uint64": st.integers(0, 2**64 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "epoch": st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    "attofil": integers,
    "bool": st.booleans(),
    "text": words,
    "bytes": st.binary(max_size=6),
    "time": st.integers(-TIME_MAX_US, TIME_MAX_US),
    "duration": st.integers(0, TIME_MAX_US),
    "json": small_json | plain_json,
}
SCALARS = [of for of in BUILTIN.values() if of.name != "json"]
KEYS = [BUILTIN[name] for name in ("int", "uint64", "epoch", "text")]


def values(of: Type) -> SearchStrategy[Any]:
    """Return a strategy for typed values of a type."""
    if isinstance(of, Optional):
        return st.none() | values(of.of)
    if isinstance(of, List):
        return st.lists(values(of.of), max_size=3).map(tuple)
    if isinstance(of, Map):
        return st.dictionaries(values(of.key), values(of.of), max_size=4)
    if isinstance(of, Record):
        return st.fixed_dictionaries({name: values(part) for name, part in of.fields.items()})
    return LEAVES[of.name]


def _record(fields: Mapping[str, Type]) -> Record:
    return Record("record", fields)


def _bigger(inner: SearchStrategy[Type]) -> SearchStrategy[Type]:
    sure = inner.map(lambda of: of.of if isinstance(of, Optional) else of)
    return st.one_of(
        sure.map(Optional),
        inner.map(List),
        st.builds(Map, st.sampled_from(KEYS), sure),
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=3).map(_record),
    )


types: SearchStrategy[Type] = st.recursive(st.sampled_from(SCALARS), _bigger, max_leaves=5)
"""Every type that a file can declare, but `json` and maps of optional values: see their tests."""


@st.composite
def typed_values(draw: st.DrawFn, count: int = 1) -> tuple[Any, ...]:
    """Draw a type and `count` values of it, the later ones often near the first."""
    of = draw(types)
    drawn = [draw(values(of))]
    while len(drawn) < count:
        drawn.append(draw(st.just(drawn[0]) | values(of)))
    return (of, *drawn)
