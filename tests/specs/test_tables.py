"""The machines of deals and transfers: what their facts say, and what the originals' tables say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from statetape.engine import catalogue
from statetape.fsm.compiler import load
from statetape.specs.filecoin.emissions import EMISSIONS
from statetape.specs.filecoin.statuses import RETRIEVAL, RETRIEVAL_OF_POP, STORAGE

from tests.tables.facts import chosen, read
from tests.tables.machine_file import STALLED, path_of, text_of

HERE = Path(__file__).resolve()
SHARED = Path(os.environ.get("STATETAPE_SHARED", HERE.parents[2].parent / "shared"))
FACTS = {facts.name: facts for facts in read()}
LIVE = {"pop.deal_client": "pop.retrieval_client", "pop.deal_provider": "pop.retrieval_provider"}
OVERTAKING = {
    "pop.deal_client": {"ClientEventComplete"},
    "pop.deal_provider": {
        "ProviderEventBlockSent",
        "ProviderEventBlocksCompleted",
        "ProviderEventPaymentRequested",
        "ProviderEventComplete",
    },
}
TYPES = {
    "error": "text",
    "string": "text",
    "ChannelID": "text",
    "cid.Cid": "text",
    "*cid.Cid": "text?",
    "address.Address": "text",
    "abi.TokenAmount": "attofil",
    "abi.DealID": "uint64",
    "abi.SectorNumber": "uint64",
    "abi.ChainEpoch": "epoch",
    "filestore.Path": "text",
    "uint64": "uint64",
    "int64": "int64",
    "bool": "bool",
    "Status": "text",
    "rm.DealStatus": "text",
    "StorageDealStatus": "text",
    "TypeIdentifier": "text",
    "[]byte": "json",
    "TypedVoucher": "json",
    "cid": "text",
    "peer": "text",
    "address": "text",
    "int": "int",
    "amount": "attofil",
    "epoch": "epoch",
    "duration": "json",
    "Offer": "json",
    "[]peer": "list[text]",
    "[]string": "list[text]",
}
"""The originals' types, and ours. A status is written by name or by number, so it is text."""
RENAMED = {("ClientEventDealRejected", "state"): "provider_state", ("Put", "key"): "name"}
"""`state` and `key` are words of the language: the instance's own."""
UNTOLD = {"filecoin.gfm_retrieval_provider": {"UpdateFunding": {"ProviderEventSaveVoucherFailed"}}}
"""What an action emits although its table does not list it: docs/decisions/0018."""


@pytest.mark.parametrize("name", FACTS)
def test_each_file_is_what_its_facts_make(name):
    """`python -m tests.tables` writes it."""
    assert path_of(name).read_text() == text_of(FACTS[name])


def test_nothing_else_says_that_it_was_generated():
    """A file whose facts are gone would stay as it is for ever."""
    generated = {
        name for name, path in catalogue.paths().items() if "tests.tables" in path.read_text()
    }

    assert generated == set(FACTS)


def test_marks_choose_what_belongs_to_a_version():
    """Keys and lines, anywhere; two of one name for one version are a mistake."""
    facts = {"a @x": 1, "b": ["p", "q @y", {"c @x y": 2}], "a @y": 3}

    assert chosen(facts, frozenset("x")) == {"a": 1, "b": ["p", {"c": 2}]}
    assert chosen(facts, frozenset("y")) == {"a": 3, "b": ["p", "q", {"c": 2}]}
    assert chosen(facts, frozenset("z")) == {"b": ["p", {}]}
    with pytest.raises(ValueError, match="twice"):
        chosen(facts, frozenset("xy"))


def tables():
    """Return the originals' tables, or skip."""
    path = SHARED / "tables" / "fsm-tables.json"
    if not path.exists():
        pytest.skip("no shared tables on this machine")
    return {machine_named(name): table for name, table in json.loads(path.read_text()).items()}


def machine_named(table):
    """Return the name of a table's machine."""
    return table.replace("pop_", "pop.", 1) if table.startswith("pop_") else f"filecoin.{table}"


def states_of(table):
    """Return number, name, whether it is final, entry action of each state that is used."""
    return {
        (one["code"], one["name"], one["terminal"], one.get("entry_action"))
        for one in table["states"]
        if not one.get("unused_by_this_machine")
    }


def events_of(table):
    """Return number, name, parameters (name, type) of each event that is declared."""
    return {
        (
            one["code"],
            one["name"],
            tuple(
                (RENAMED.get((one["name"], p["name"]), p["name"]), TYPES[p["type"]])
                for p in one["params"]
            ),
        )
        for one in table["events"]
        if not one.get("undeclared")
    }


def rows_of(table):
    """Return where each event leads from each state, as go-statemachine looks it up."""
    going = [s["name"] for s in table["states"] if not s["terminal"]]
    unused = {s["name"] for s in table["states"] if s.get("unused_by_this_machine")}
    found = {}
    for row in sorted(table["transitions"], key=lambda row: row["from"] != "*"):
        for state in going if row["from"] == "*" else row["from"]:
            if state in going and state not in unused:
                found[row["event"], state] = row["to"]
    return found


def machine_states(machine):
    """Return the same of a machine."""
    return {
        (state.code, name, state.final, next((e.name for e in state.entry if not e.raises), None))
        for name, state in machine.states.items()
    }


def machine_events(machine):
    """Return the same of a machine; the watchdog is ours."""
    return {
        (event.code, name, tuple((param.name, param.type.name) for param in event.params))
        for name, event in machine.events.items()
        if name != STALLED
    }


def machine_rows(machine):
    """Return the same of a machine. A row without a condition is the only one that counts."""
    found = {}
    for state, events in machine.table.items():
        for name, (row, *_) in events.items():
            assert row.when is None
            if name != STALLED:
                found[name, state] = "same" if row.same else row.to
    return found


def unused(machine):
    """Return the numbers that a machine declares and does not use."""
    told = machine.spec.unused
    return {*told.states.items()}, {*told.events.items()}


def test_every_table_has_its_machine():
    """Eighteen of them, named by rule; and two to run."""
    assert len(tables()) == 18
    assert set(tables()) | set(LIVE) == set(FACTS)


@pytest.mark.parametrize("name", [name for name in FACTS if name not in LIVE])
def test_a_machine_is_exactly_its_table(name):
    """Every number, parameter, row and terminal state; and nothing besides."""
    table, machine = tables()[name], catalogue.machine(name)

    assert machine.initial == table["initial"]
    assert machine_states(machine) == states_of(table)
    assert machine_events(machine) == events_of(table)
    assert machine_rows(machine) == rows_of(table)
    assert unused(machine) == (
        {(s["code"], s["name"]) for s in table["states"] if s.get("unused_by_this_machine")},
        {(e["code"], e["name"]) for e in table["events"] if e.get("undeclared")},
    )
    assert FACTS[name].about["commit"] == table["commit"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{from: DealStatusFundsNeeded}", "{from: DealStatusFundsNeeded, to: same}"),
        ("{from: DealStatusNew, to: same}", "{from: DealStatusNew}"),
        ("code: 13\n    expects", "code: 99\n    expects"),
        ("code: 17, final: true", "code: 17, final: true, entry: [{do: CancelDeal}]"),
        ("params: {totalSent: uint64}", "params: {totalSent: int64}"),
        ("11: DealStatusSendFunds", "11: DealStatusSentFunds"),
        (
            "DealStatusFinalizing], to: DealStatusCompleting",
            "DealStatusOngoing], to: DealStatusCompleting",
        ),
    ],
)
def test_a_machine_that_differs_is_noticed(old, new):
    """The control: one row, number, type or name altered."""
    name = "pop.retrieval_provider"
    table, text = tables()[name], path_of(name).read_text()
    assert old in text
    machine = load(text.replace(old, new, 1), "altered.yaml", catalogue.library)

    same = (
        machine_states(machine) == states_of(table),
        machine_events(machine) == events_of(table),
        machine_rows(machine) == rows_of(table),
        unused(machine)[0]
        == {(s["code"], s["name"]) for s in table["states"] if s.get("unused_by_this_machine")},
    )
    assert same.count(False) == 1


@pytest.mark.parametrize("name", LIVE)
def test_the_live_machines_only_wait_where_the_exact_ones_refuse(name):
    """The same states, events and rows; what overtakes is parked."""
    live, exact = catalogue.machine(name), catalogue.machine(LIVE[name])

    assert machine_rows(live) == machine_rows(exact)
    assert machine_events(live) == machine_events(exact)
    assert machine_states(live) == machine_states(exact)
    assert {n for n, e in live.events.items() if e.otherwise == "defer"} == OVERTAKING[name]
    assert {e.otherwise for e in exact.events.values()} == {"reject"}


@pytest.mark.parametrize("name", [name for name in EMISSIONS if name not in LIVE])
def test_entry_actions_may_emit_what_their_table_lists(name):
    """The same actions, the same events; where the table is incomplete, that is written down."""
    listed = {
        action: set(told["may_emit"]) | UNTOLD.get(name, {}).get(action, set())
        for action, told in tables()[name]["entry_actions"].items()
    }

    assert {action: set(events) for action, events in EMISSIONS[name].items()} == listed


def test_the_live_machines_act_as_the_exact_ones():
    """Their entry actions are the same."""
    assert {name: EMISSIONS[name] for name in LIVE} == {
        live: EMISSIONS[exact] for live, exact in LIVE.items()
    }


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("filecoin.gfm_retrieval_client", RETRIEVAL),
        ("pop.retrieval_client", RETRIEVAL_OF_POP),
        ("filecoin.gfm_storage_client", STORAGE),
    ],
)
def test_statuses_have_the_originals_numbers(name, names):
    """As they are printed: some without their prefix, one under another name."""
    printed = [one.get("printed_as") or one["name"] for one in tables()[name]["states"]]

    assert list(names) == printed


@pytest.mark.parametrize("name", FACTS)
def test_a_state_says_how_the_original_prints_it(name):
    """Logs show the printed name; who reads them finds it in the state's title."""
    table = tables()[LIVE.get(name, name)]
    used = dict(catalogue.machine(name).spec.states)
    titles = {
        one["name"]: f"printed as {one['printed_as']}"
        for one in table["states"]
        if one.get("printed_as") and one["name"] in used
    }

    assert {name: part.title for name, part in used.items() if part and part.title} == titles
