"""What all machines of a node hold to: the derived tables, their links, sound files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from statetape.engine import catalogue
from statetape.fsm.check import check
from statetape.fsm.machine import REQUIRED

MACHINES = (
    "tx",
    "offer",
    "dispatch",
    "pull",
    "payment_channel",
    "query_provider",
    "ref",
    "index",
    "replication",
    "node",
)
TABLES = Path(__file__).resolve().parents[4] / "shared/tables/fsm-tables.json"
RENAMED = {"key": "name"}
"""Parameters of the tables whose name is a word of the machine language."""

LINKS = {
    "dispatch": "dispatch",
    "index": "index",
    "node": "node",
    "offer_book": "offer",
    "ref": "ref",
    "replication": "replication",
    "tx": "tx",
}
"""Which machine each name leads to that events are raised to."""


def raised(machine):
    """Yield (target, event, names given) of everything that a machine raises to others."""
    parts = [effect for event in machine.events.values() for effect in event.effects]
    parts += [
        effect for event in machine.events.values() for row in event.rows for effect in row.effects
    ]
    parts += [effect for state in machine.states.values() for effect in state.entry]
    parts += list(machine.create.effects)
    for effect in parts:
        if effect.raises and effect.to is not None:
            name = effect.to.text.partition("[")[0]
            target = LINKS["ref" if name == "told" else name]
            yield target, effect.name, {name for name, _ in effect.arguments}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_is_sound(name):
    """Nothing unreachable, no state to wait in for ever, no invariant to be broken."""
    assert [str(one) for one in check(catalogue.machine(f"pop.{name}"))] == []


@pytest.mark.parametrize("name", MACHINES)
def test_every_hand_over_is_one_that_the_other_side_takes(name):
    """The event is there, it takes what it is given, and needs no more."""
    for target, event, given in raised(catalogue.machine(f"pop.{name}")):
        taken = catalogue.machine(f"pop.{target}").events[event]
        names = {param.name for param in taken.params}
        needed = {param.name for param in taken.params if param.default is REQUIRED}

        assert given <= names, (name, event)
        assert needed <= given, (name, event)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_says_what_it_waits_for(name):
    """And a machine says what story it belongs to, by figures that a person can read."""
    machine = catalogue.machine(f"pop.{name}")
    silent = [one.name for one in machine.states.values() if not one.final and not one.expects]

    assert silent == []
    assert machine.ledger
    assert machine.links


def table(name):
    """Return a derived table, or skip where the tables are not there."""
    if not TABLES.exists():
        pytest.skip("needs ../shared/tables, which comes with the project's domain material")
    return json.loads(TABLES.read_text())[f"pop_{name}_derived"]


DERIVED = pytest.mark.parametrize("name", ["tx", "dispatch", "payment_channel"])


@DERIVED
def test_a_machine_has_the_states_and_events_of_its_derived_table(name):
    """By name and number; the same ones are final, and the same one is first."""
    told, machine = table(name), catalogue.machine(f"pop.{name}")
    states = {one["name"]: (one["code"], one["terminal"]) for one in told["states"]}
    events = {one["name"]: one["code"] for one in told["events"]}

    assert {n: (machine.states[n].code, machine.states[n].final) for n in states} == states
    assert {n: machine.events[n].code for n in events} == events
    assert machine.initial == told["initial"]


@DERIVED
def test_a_machine_takes_the_parameters_of_its_derived_table(name):
    """By name. An offer is known by its id once it was received."""
    machine = catalogue.machine(f"pop.{name}")
    for event in table(name)["events"]:
        named = {RENAMED.get(param["name"], param["name"]) for param in event["params"]}
        taken = {param.name for param in machine.events[event["name"]].params}

        assert named <= taken, event["name"]


@DERIVED
def test_a_machine_has_every_row_of_its_derived_table(name):
    """To the same state, the same state again, or as a record: under a condition at most."""
    machine = catalogue.machine(f"pop.{name}")
    missing = []
    for row in table(name)["transitions"]:
        for source in row["from"]:
            there = machine.table[source].get(row["event"], ())
            ends = ["same" if one.same else one.to for one in there]
            if row["to"] not in ends:
                missing.append((row["event"], source, row["to"], ends))

    assert missing == []
