"""The tables by which logs are read are those of the exact machines, and so are their machines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from statetape.engine import catalogue
from statetape.fsm.check import check
from statetape.fsm.compiler import load
from statetape.specs.filecoin.emissions import EMISSIONS
from statetape.specs.golog.decode import ALIASES
from statetape.specs.golog.reading import machine_named
from statetape.specs.golog.rules import JUNE, RULES
from statetape.specs.golog.tables import TABLES

from tests.tables.golog import SOURCES, files

SHARED = Path(os.environ.get("STATETAPE_SHARED", Path(__file__).resolve().parents[4] / "shared"))


def test_every_file_that_is_written_is_as_it_would_be_written_now():
    """`python -m tests.tables` writes them: numbers and rows are the exact machines'."""
    assert [path.name for path, text in files().items() if path.read_text() != text] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.machine)
def test_a_table_says_what_its_machine_does(table):
    """Every state and event by its number, and for every pair where it leads."""
    machine = catalogue.machine(table.machine)

    assert {machine.state_numbered(number) for number in table.states} == {*table.states.values()}
    assert {machine.event_numbered(number) for number in table.events} == {*table.events.values()}
    for number, name in table.states.items():
        assert table.state(number) == table.state(name) == name
    for state in machine.states:
        for event in table.events.values():
            rows = machine.table[state].get(event)
            to = None if rows is None else state if rows[0].to is None else rows[0].to
            assert table.after(state, event) == to, (state, event)


@pytest.mark.parametrize("table", [*TABLES, JUNE], ids=lambda table: table.machine)
def test_a_logs_machine_moves_as_its_table(table):
    """The same states and events, each taken in the same states, and no event needs arguments."""
    machine = catalogue.machine(machine_named(table.machine))
    named = [name for name in table.events.values() if name not in table.unused]

    assert sorted(machine.events) == sorted(named)
    assert [event.name for event in machine.events.values() if event.params] == []
    for state in machine.states:
        assert sorted(machine.accepts(state)) == sorted(table.accepts(state)), state


def test_the_machines_are_sound():
    """`spec check` is quiet about all of them."""
    names = [name for name in catalogue.paths() if name.startswith(("golog.", "boost."))]

    assert len(names) == 16 + 1 + 6
    assert [str(finding) for name in names for finding in check(catalogue.machine(name))] == []


def test_a_wrong_row_would_be_noticed():
    """The control: the comparison with the exact machine is no tautology."""
    text = catalogue.paths()["golog.pop_retrieval_provider"].read_text()
    wrong = text.replace("DealStatusCompleting}", "DealStatusOngoing}")
    machine = load(wrong, "wrong.yaml", catalogue.library)
    [row] = machine.table["DealStatusFinalizing"]["ProviderEventComplete"]

    assert wrong != text
    assert (
        row.to
        != catalogue.machine("pop.retrieval_provider")
        .table["DealStatusFinalizing"]["ProviderEventComplete"][0]
        .to
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.table.machine)
def test_what_only_an_entry_raises_is_what_the_originals_entries_raise(rule):
    """The reasons by which a reading is called unlikely are facts of the entry actions."""
    name = rule.table.machine if rule.table is not JUNE else "pop.retrieval_client_at_seed_issues"
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
    systems = ("pop.", "filecoin.")
    own = [name.removeprefix(system) for name in SOURCES for system in systems if system in name]

    assert sorted(name.removeprefix("pop_") for name in declared) == sorted(own)
