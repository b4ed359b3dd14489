"""The actor's table, written once more for the audit, against the machine and what it recorded."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from statetape.engine import catalogue
from statetape.engine.audit import book
from statetape.engine.conform import _play
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.fsm.audit import OURS
from statetape.specs.filecoin.audit_case import open_case
from statetape.specs.filecoin.audit_statements import chain_part, disagreement
from statetape.specs.filecoin.audits import AUDITOR

from .two_books import CHANNEL, KEY, PAYER, Books, voucher

SCENARIOS = Path(__file__).parents[2] / "conformance"
FILES = ("paych-scenarios.json", "paych-derived-scenarios.json")


def cases():
    """Yield every channel scenario's name and steps."""
    [adapter] = [one for one in catalogue.adapters() if "filecoin" in one.__class__.__module__]
    for file in FILES:
        for case in json.loads((SCENARIOS / file).read_text()):
            for variant, steps in adapter.runs(case):
                yield f"{case['name']} {variant}", steps


def audited(folder, steps):
    """Play a scenario on a tape; return the channel's case."""
    path = folder / "case.db"
    with Engine.open(path, synchronous="OFF") as engine:
        for step in steps:
            _play(engine, step)
    channels = [f"{one.machine}/{one.key}" for one in steps]
    with Inspector.open(path) as inspector:
        found = book(OURS, inspector, AUDITOR.belonging(channels[0]))
    return open_case(channels[0], channels[0].partition("/")[2], [found])


def test_every_scenario_ends_as_the_auditors_own_table_says(tmp_path):
    """Upstream's and derived scenarios: exit codes, reasons, and what each message leaves."""
    messages = failed = 0
    for number, (name, steps) in enumerate(cases()):
        folder = tmp_path / str(number)
        folder.mkdir()
        case = audited(folder, steps)
        for one in case.chain.messages:
            if one.expected is None or one.expected.undecided:
                continue
            assert disagreement(one) == [], name
            messages += 1
            failed += one.expected.code != 0
            if one.code:
                assert one.expected.reason == one.reason, name
    assert messages > 120
    assert failed > 35


@pytest.fixture
def found(tmp_path):
    """Our book of a short life: a voucher redeemed, Settle, and a Settle that fails."""
    with Books(tmp_path) as books:
        books.redeem(voucher(1, 1, 10), message="m-1", exit=0)
        books.chain("settle", PAYER)
        books.chain("settle", PAYER)
        books.tapes[OURS].flush()
        with Inspector.open(books.paths[OURS]) as inspector:
            return book(OURS, inspector, AUDITOR.belonging(CHANNEL))


def changed(found, event, **members):
    """Return the book with the first entry of an event changed."""
    [first, *_] = [entry for entry in found.entries if entry.event == event]
    entries = [
        msgspec.structs.replace(entry, **members) if entry is first else entry
        for entry in found.entries
    ]
    return msgspec.structs.replace(found, entries=entries)


def told(found):
    """Return what the chain part of the report says."""
    return " ".join(one.text for one in chain_part(open_case(CHANNEL, KEY, [found])))


def test_a_true_record_is_confirmed(found):
    """The control of the next three."""
    assert "4 of 4 messages" not in told(found)
    assert "3 of 3 messages ended as the rules give" in told(found)


def test_a_record_that_pays_more_than_the_voucher_is_named(found):
    """The `set` of an entry says 100, the voucher says 10."""
    wrong = changed(found, "update_channel_state", set={"to_send": "100"})

    said = told(wrong)

    assert "to_send: recorded 100, the rules give 10" in said
    assert "2 of 3 messages ended as the rules give" in said


def test_a_success_that_the_rules_refuse_is_named(found):
    """Two Settles that took effect: the second must have failed with 20."""
    second = [one for one in found.entries if one.event == "settle"][1]
    entries = [
        msgspec.structs.replace(one, outcome=None, reason=None) if one is second else one
        for one in found.entries
    ]

    said = told(msgspec.structs.replace(found, entries=entries))

    assert "the actor's rules give exit 20 ALREADY_SETTLING, Settle check 2" in said


def test_a_receipt_that_contradicts_the_decision_is_named(found):
    """The tape took the voucher as redeemed; the receipt shows exit 16."""
    [update] = [one for one in found.entries if one.event == "update_channel_state"]
    wrong = changed(found, "update_channel_state", params={**update.params, "exit": 16})

    assert "The receipt shows exit 16, the tape decided exit 0" in told(wrong)
