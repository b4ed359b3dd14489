"""A decision depends on its inputs alone: nothing is changed in place, and it can be made again.

What an entry records of a command (`Decision.params`) decides the same when it is replayed: that
is promise 5 as far as this folder goes.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.decide import Decision
from statetape.fsm.errors import CallerError
from statetape.fsm.machine import Machine

from .machines import bundled, event, send
from .strategies import BIG, PROPERTY, integers, plain_json, small_json, words

TYPES = ["int", "uint64", "attofil", "bool", "text", "bytes", "time", "json", "list[int]", "lane"]
TYPES += [
    "list[lane]",
    "map[text, int]",
    "map[int, lane]",
    "int?",
    "lane?",
    "json?",
    "open",
    "open?",
]
TOP = """
types:
  lane: {redeemed: attofil, nonce: uint64, note: "text?"}
  open: {any: json, more: "json?"}
data: {count: int, keys: "list[text]"}
"""
MACHINES = {
    of: event(f'params: {{p: "{of}", q: int = 1}}\nset: {{count: count + q}}', TOP) for of in TYPES
}
anything = st.recursive(
    st.none() | st.booleans() | integers | words | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(
            st.sampled_from(["redeemed", "nonce", "note", "any", "a", "1", "é"]), inner
        )
    ),
    max_leaves=6,
)


def recorded(decision: Decision) -> bytes:
    """Return the bytes that an entry would take from a decision."""
    said = {name: getattr(decision, name) for name in decision.__struct_fields__ if name != "data"}
    return msgspec.json.encode(said, order="deterministic")


def from_tape(params: Any) -> Any:
    """Return parameters as they are read back from canonical bytes."""
    return msgspec.json.decode(msgspec.json.encode(params or {}, order="deterministic"))


def check_again(machine: Machine, params: dict[str, Any]) -> None:
    """See that deciding from what was recorded gives the bytes that were recorded."""
    try:
        first = send(machine, params=params)
    except CallerError:
        return  # nothing was recorded

    again = send(machine, params=from_tape(first.params))

    assert recorded(again) == recorded(first)
    assert again.data == first.data


@pytest.mark.parametrize("of", TYPES)
@PROPERTY
@given(value=anything | plain_json | small_json)
def test_decision_made_again_from_its_entry_is_the_same(of: str, value: Any) -> None:
    """Whatever was sent, of whatever type: accepted or refused, the bytes are the same."""
    check_again(MACHINES[of], {"p": value})


@pytest.mark.parametrize(
    ("of", "params"),
    [
        ("bool", {"p": BIG}),
        ("bool", {"p": b"\x01"}),
        ("int", {"p": (1, 2)}),
        ("int", {"p": {"b": 1, "a": 2}}),
        ("lane", {"p": {"zz": 1, "aa": 2}}),
        ("lane", {"p": {"redeemed": 1}}),
        ("map[text, int]", {"p": {"b": "x", "a": "y"}}),
        ("json", {"p": None}),
        ("open", {"p": {"any": None}}),
        ("list[int]", {"p": (1, BIG, "x")}),
        ("text", {"p": "x", "z": BIG, "y": 1}),
        ("text", {"z": b"", "p": 5}),
    ],
    ids=str,
)
def test_refusal_made_again_from_its_entry_is_the_same(of: str, params: dict[str, Any]) -> None:
    """A value that the tape stores in another form is described in the form that is stored."""
    check_again(MACHINES[of], params)


ORDERED = event(
    """
    params: {m: "map[text, int]", n: int = 0}
    require: [{that: n < 5, else: {reason: NO}}]
    set: {keys: "[k for k in m]", first: "[k for k in m][0]", m: m}
    effects: [{do: x, with: {keys: "[k for k in m]", values: values(m), m: m}}]
    """,
    'data: {keys: "list[text]", first: text, m: "map[text, int]"}',
)


@PROPERTY
@given(
    st.dictionaries(words, st.integers(), min_size=1, max_size=5), st.integers(0, 6), st.randoms()
)
def test_decision_does_not_depend_on_the_order_of_its_parameters(
    items: dict[str, int], number: int, chance: Any
) -> None:
    """Neither of the parameters themselves nor of the keys inside them: JSON has no order."""
    shuffled = list(items.items())
    chance.shuffle(shuffled)

    one = send(ORDERED, params={"m": items, "n": number})
    other = send(ORDERED, params={"n": number, "m": dict(shuffled)})

    assert recorded(one) == recorded(other)


@pytest.mark.parametrize("name", ["one", "two"])
def test_refusal_does_not_depend_on_the_order_of_a_records_members(name: str) -> None:
    """Also where the value does not fit and is quoted."""
    orders = [{"a": 1, "b": 2}, {"b": 2, "a": 1}]
    machine = event(f'params: {{{name}: "map[text, bool]", r: "lane?"}}', TOP)

    assert len({recorded(send(machine, params={name: one})) for one in orders}) == 1
    assert len({recorded(send(machine, params={name: {}, "r": one})) for one in orders}) == 1


@PROPERTY
@given(st.data())
def test_nothing_that_a_decision_is_given_is_changed(data: st.DataObject) -> None:
    """Data, timers and parameters are as before, and so is the decision after another one."""
    machine = data.draw(st.sampled_from(list(bundled().values())))
    state = data.draw(st.sampled_from(list(machine.states)))
    name = data.draw(st.sampled_from(list(machine.events)))
    params = {
        param.name: data.draw(anything | st.just(param.default))
        for param in machine.events[name].params
        if data.draw(st.booleans())
    }
    before = {
        "data": {one: field.default for one, field in machine.fields.items()},
        "timers": {"idle": ("at", 5, 1)},
        "params": {key: value for key, value in params.items() if not _is_required(value)},
    }
    inputs = copy.deepcopy(before)

    def run() -> Decision | None:
        try:
            return send(machine, name, state=state, height=5, **inputs)
        except CallerError:
            return None

    first = run()
    kept = copy.deepcopy(first)
    second = run()

    assert inputs == before
    assert first == kept == second


def _is_required(value: Any) -> bool:
    return type(value) is object


def test_accepted_change_leaves_the_data_before_as_it_was() -> None:
    """Maps are copied, not changed: the data before can be decided on once more."""
    machine = event(
        'params: {k: int}\nset: {"m[k]": "{redeemed: 1, nonce: 2}", "m[k + 1]": "m[1]"}',
        'types: {lane: {redeemed: attofil, nonce: uint64}}\ndata: {m: "map[int, lane]"}',
    )
    data = {"m": {1: {"redeemed": 5, "nonce": 1}}}
    before = copy.deepcopy(data)

    decision = send(machine, params={"k": 1}, data=data)

    assert data == before
    assert decision.data == {"m": {1: {"redeemed": 1, "nonce": 2}, 2: {"redeemed": 5, "nonce": 1}}}
    assert decision.data is not data
