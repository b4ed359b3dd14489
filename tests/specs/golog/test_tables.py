"""Derived from the exact machines: the tables by which logs are read, and a log's machines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from statetape.engine import catalogue
from statetape.fsm.check import check
from statetape.fsm.compiler import load
from statetape.specs.filecoin.emissions import EMISSIONS
from statetape.specs.golog.decode import ALIASES, Decoder
from statetape.specs.golog.logged import logged, machine_named
from statetape.specs.golog.rules import JULY, JUNE, LACKING, RULES

SHARED = Path(os.environ.get("STATETAPE_SHARED", Path(__file__).resolve().parents[4] / "shared"))
DECODER = Decoder(catalogue.machine)
MACHINES = list(dict.fromkeys(rule.machine for rule in RULES))


def compiled(name):
    """Return the machine that refusals read as a table's are recorded in."""
    return load(logged(DECODER.table(name)), name, catalogue.library)


def leads(machine):
    """Return where each pair leads: the source itself where nothing moves.

    Only events of the original count, which have numbers; a watchdog's is the exact machine's own.
    """
    return {
        (state, event): rows[0].to or state
        for state, events in machine.table.items()
        for event, rows in events.items()
        if machine.events[event].code is not None
    }


@pytest.mark.parametrize("name", [name for name in MACHINES if name != JUNE])
def test_a_logs_machine_moves_as_the_exact_one(name):
    """The same states, events and numbers, the same rows, and no event needs arguments."""
    exact, machine = catalogue.machine(name), compiled(name)

    assert machine.name == machine_named(name)
    assert leads(machine) == leads(exact)
    assert machine.initial == exact.initial
    for number in range(60):
        assert machine.state_numbered(number) == exact.state_numbered(number)
        assert machine.event_numbered(number) == exact.event_numbered(number)
    assert [event.name for event in machine.events.values() if event.params] == []
    assert machine.fields == {}


def test_the_client_of_june_is_that_of_july_but_for_one_row():
    """And the row is there in July: the difference is one."""
    june, july = leads(compiled(JUNE)), leads(catalogue.machine(JULY))

    assert LACKING[JUNE][0] == JULY
    assert july.items() - june.items() == {
        (
            ("DealStatusAccepted", "ClientEventPaymentChannelReady"),
            "DealStatusPaymentChannelAllocatingLane",
        )
    }
    assert june.keys() <= july.keys()


@pytest.mark.parametrize("name", MACHINES)
def test_a_logs_machine_is_sound(name):
    """`spec check` would be quiet about it."""
    assert [str(finding) for finding in check(compiled(name))] == []


def test_the_machines_with_files_are_sound():
    """`spec check` is quiet about all of them."""
    names = [name for name in catalogue.paths() if name.startswith(("golog.", "boost."))]

    assert len(names) == 1 + 4
    assert [str(finding) for name in names for finding in check(catalogue.machine(name))] == []


@pytest.mark.parametrize("name", MACHINES)
def test_a_table_knows_states_and_events_by_number_and_by_name(name):
    """Whatever of the two a log prints."""
    table = DECODER.table(name)

    for number, state in table.states.items():
        assert table.state(number) == table.state(state) == state
    for number, event in table.events.items():
        assert table.event(number) == table.event(event) == event
    assert table.state(99) is table.state("DealStatusOfTheFuture") is table.event(99) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.machine)
def test_what_only_an_entry_raises_is_what_the_originals_entries_raise(rule):
    """The reasons by which a reading is called unlikely are facts of the entry actions."""
    name = JULY if rule.machine == JUNE else rule.machine
    machine = catalogue.machine(name)
    for event, states in rule.raised_in.items():
        raising = [
            state.name
            for state in machine.states.values()
            if any(event in EMISSIONS[name].get(effect.name, ()) for effect in state.entry)
        ]
        assert sorted(raising) == sorted(states), event


def shared():
    """Return the tables outside the project, where they are present."""
    path = SHARED / "tables" / "fsm-tables.json"
    if not path.exists():
        pytest.skip("no shared tables on this machine")
    return json.loads(path.read_text())


def test_names_that_are_printed_otherwise_are_all_known():
    """Of retrievals and events; storage deals are printed as numbers."""
    printed = {}
    for name, table in shared().items():
        parts = [*table["events"], *([] if "storage" in name else table["states"])]
        printed |= {part["printed_as"]: part["name"] for part in parts if "printed_as" in part}

    assert printed == ALIASES


def test_every_declared_table_is_read():
    """None of the shared tables is missing here."""
    declared = [name for name, table in shared().items() if table["declared"]]
    own = [name.partition(".")[2] for name in MACHINES if name != JUNE]

    assert sorted(name.removeprefix("pop_") for name in declared) == sorted(own)
