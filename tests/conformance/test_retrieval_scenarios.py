"""Scenario files of deals and transfers: every case passes, and a wrong expectation does not."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest
from statetape.engine.conform import conform

HERE = Path(__file__).parent
FILE = HERE / "retrieval-scenarios.json"
SHARED = Path(os.environ.get("STATETAPE_SHARED", HERE.parents[2] / "shared"))
CASES = {case["name"] + "|" + case["machine"]: case for case in json.loads(FILE.read_text())}
TWO_VOUCHERS = "path: paid retrieval on pop with two vouchers|pop_retrieval_client"
FREE = "path: free retrieval on pop|pop_retrieval_client"
CANCELS = "path: client cancels twice|pop_retrieval_client"
SENDS = "send funds|gfm_retrieval_client"
SEED = (
    "seed: provider is completed by the transfer while still Ongoing (state 13, event 10)"
    "|pop_retrieval_provider_before_b74d8aa"
)
PARTLY = "update funding: interval partly paid keeps the limit|gfm_retrieval_provider"
SHORTFALL = "check funds: pending funds do not cover the shortfall|gfm_retrieval_client"


def failures(tmp_path, *cases):
    """Run cases; returns what failed, for each."""
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    return [[str(failure) for failure in result.failures] for result in conform(file)]


def test_every_case_passes():
    """State, refusal, fields, whether the entry ran, what it emits; and the replay agrees."""
    results = list(conform(FILE))

    assert len(results) == 86
    assert [str(failure) for result in results for failure in result.failures] == []


def test_every_shared_case_passes():
    """The same for the file outside the project, where it is present."""
    path = SHARED / "scenarios" / FILE.name
    if not path.exists():
        pytest.skip("no shared scenarios on this machine")
    if path.read_bytes() == FILE.read_bytes():
        pytest.skip("the same bytes as our own copy")

    assert [str(f) for result in conform(path) for f in result.failures] == []


WRONG = [
    (FREE, ("expect_final_state",), "DealStatusErrored", "expected to end in"),
    (FREE, ("steps", 1, "expect_state"), "DealStatusAccepted", "state: expected"),
    (FREE, ("steps", 0, "effect"), "recorded_only", "effect: expected recorded_only"),
    (FREE, ("steps", 1, "effect"), "same_state_entry_reruns", "effect: expected same"),
    (FREE, ("steps", 4, "effect"), "recorded_only", "effect"),
    (FREE, ("steps", 4, "expect_fields", "TotalReceived"), 1025, "TotalReceived: expected 1025"),
    (FREE, ("steps", 5, "expect_fields", "AllBlocksReceived"), False, "AllBlocksReceived"),
    (FREE, ("steps", 5, "expect_fields", "AllBlocksReceived"), 1, "AllBlocksReceived"),
    (FREE, ("steps", 8, "rejection_kind"), "no_transition", "expected the refusal no_transition"),
    (FREE, ("steps", 1, "rejection_kind"), "guard_failed", "expected a refusal"),
    (FREE, ("initial_state",), "DealStatusUnsealing", "has no state"),
    (FREE, ("machine",), "pop_retrieval_provider", "undeclared_event"),
    (TWO_VOUCHERS, ("steps", 4, "effect"), "same_state_entry_reruns", "effect"),
    (TWO_VOUCHERS, ("steps", 6, "expect_fields", "WaitMsgCID"), "cid-1", "WaitMsgCID: expected"),
    (TWO_VOUCHERS, ("steps", 10, "expect_fields", "CurrentInterval"), 2000, "CurrentInterval"),
    (TWO_VOUCHERS, ("steps", 14, "params", "voucherAmt"), "5001", "FundsSpent: expected 5000"),
    (TWO_VOUCHERS, ("steps", 10, "expect_fields", "Vouchers"), ["v"], "Vouchers"),
    (CANCELS, ("steps", 0, "expect_fields", "Message"), "client cancelled retrieval", "Message"),
    (CANCELS, ("steps", 0, "expect_fields", "Message"), {"contains": "Provider"}, "Message"),
    (SENDS, ("expect_emits",), ["ClientEventPaymentNotSent"], "emits: expected"),
    (SENDS, ("entry_action",), "CheckFunds", "entry action: expected CheckFunds"),
    (SENDS, ("initial_fields", "FundsSpent"), "1200", "emits"),
    (SENDS, ("env", "voucher_error"), "no key", "emits"),
    (SHORTFALL, ("env", "pending_msg"), None, None),
    (SHORTFALL, ("env", "pending"), "10000", "emits"),
    (SEED, ("steps", 2, "expect_rejected"), None, "expected it to be accepted"),
    (SEED, ("initial_fields", "TotalSent"), -1, "the case cannot begin"),
    (PARTLY, ("env", "expect_validation"), None, "validation: expected None"),
    (PARTLY, ("env", "expect_validation", "data_limit"), 2500, "validation: data_limit"),
    (PARTLY, ("env", "expect_validation", "response", "owed"), 1, "validation: response"),
    (PARTLY, ("env", "expect_validation", "force_pause"), True, "validation: force_pause"),
]


@pytest.mark.parametrize(("name", "path", "value", "what"), WRONG)
def test_a_wrong_expectation_fails(tmp_path, name, path, value, what):
    """One member of a case altered is reported, with what was found. (None: it changes nothing.)"""
    case = copy.deepcopy(CASES[name])
    at = case
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    if path[-1] == "expect_rejected":
        del at["rejection_kind"]

    [found] = failures(tmp_path, case)

    assert (found == []) if what is None else any(what in one for one in found), found


def case(machine, state, *steps, fields=None, **more):
    """Return a case; a step is (event, params, what is expected)."""
    written = [{"event": event, "params": params, **expected} for event, params, expected in steps]
    told = {"initial_state": state, "initial_fields": fields or {}, "steps": written, **more}
    return {"name": f"{machine} in {state}", "machine": machine, **told}


def to(state, effect="moved", **fields):
    """Return the expectation of an accepted step."""
    return {"expect_state": state, "effect": effect, "expect_fields": fields}


def refused(kind):
    """Return the expectation of a refusal."""
    return {"expect_rejected": "refused", "rejection_kind": kind}


OTHERS = [
    # storage deals: funds that are released below zero, poll counts, statuses by number and name
    case(
        "gfm_storage_client",
        "StorageDealCheckForAcceptance",
        (
            "ClientEventWaitForDealState",
            {"pollError": True, "providerState": 24},
            to(
                "StorageDealCheckForAcceptance",
                "same_state_entry_reruns",
                PollRetryCount=3,
                PollErrorCount=1,
                Message="Provider state: Publish",
            ),
        ),
        (
            "ClientEventDealRejected",
            {"state": 10, "reason": "too cheap"},
            to("StorageDealFailing", Message={"contains": "too cheap"}),
        ),
        (
            "ClientEventFundsReleased",
            {"fundsReleased": "7"},
            to("StorageDealFailing", "recorded_only", FundsReserved=-7),
        ),
        ("ClientEventFailed", {}, to("StorageDealError")),
        ("ClientEventRestart", {}, refused("terminated")),
        fields={"PollRetryCount": 2, "PollErrorCount": 0, "Proposal": {"Client": "f01"}},
        entry_action="CheckForDealAcceptance",
        expect_emits=["ClientEventWaitForDealState"],
        expect_final_state="StorageDealError",
    ),
    # an event of the enum that the machine never declared; a wildcard row that only records
    case(
        "gfm_storage_provider",
        "StorageDealActive",
        ("ProviderEventInsufficientFunds", {}, refused("undeclared_event")),
        ("ProviderEventDealSlashed", {}, refused("bad_arguments")),
        (
            "ProviderEventAwaitTransferRestartTimeout",
            {},
            to("StorageDealActive", "recorded_only", Message=""),
        ),
        ("ProviderEventDealSlashed", {"slashEpoch": 99}, to("StorageDealSlashed", SlashEpoch="99")),
    ),
    # a transfer: deltas are deltas, totals are the larger, vouchers are kept in order
    case(
        "dt_channel",
        "Ongoing",
        (
            "DataReceivedProgress",
            {"delta": 5},
            to("Ongoing", "same_state_entry_reruns", Received=12),
        ),
        (
            "DataReceived",
            {"rcvdBlocksTotal": 3},
            to("Ongoing", "same_state_entry_reruns", ReceivedBlocksTotal=9),
        ),
        (
            "NewVoucher",
            {"voucher": {"Type": "b"}},
            to("Ongoing", "same_state_entry_reruns", Vouchers=["a", {"Type": "b"}]),
        ),
        ("PauseResponder", {}, to("Ongoing", "recorded_only", ResponderPaused=True)),
        ("ResponderCompletes", {}, to("ResponderCompleted", InitiatorPaused=False)),
        ("PauseInitiator", {}, refused("no_transition")),
        ("FinishTransfer", {}, to("Completing")),
        ("CleanupComplete", {}, to("Completed")),
        ("Restart", {}, refused("terminated")),
        fields={"Received": 7, "ReceivedBlocksTotal": 9, "Vouchers": ["a"], "TransferID": 4},
    ),
    case(
        "dt_channel_v1_7_0",
        "ResponderPaused",
        ("PauseInitiator", {}, to("BothPaused")),
        ("DataReceived", {}, to("BothPaused", "same_state_entry_reruns")),
        ("ResumeResponder", {}, to("InitiatorPaused")),
        ("Error", {"err": "gone"}, to("Failing", Message="gone")),
    ),
    # what needs the next boundary where there is none: the originals hang
    case(
        "pop_retrieval_provider",
        "DealStatusFundsNeeded",
        (
            "ProviderEventPaymentReceived",
            {"fundsReceived": "1", "ch": "pc"},
            refused("guard_failed"),
        ),
        fields={"PaymentInterval": 0, "PaymentIntervalIncrease": 0, "PricePerByte": "1"},
    ),
    case(
        "pop_retrieval_client",
        "DealStatusOngoing",
        (
            "ClientEventPaymentSent",
            {"voucherAmt": "10"},
            to("DealStatusOngoing", "recorded_only", PaymentRequested="-10", BytesPaidFor=0),
        ),
        (
            "ClientEventUnknownResponseReceived",
            {"status": 20},
            to("DealStatusFailing", Message={"contains": "DealStatusCompleting"}),
        ),
        fields={"PaymentInterval": 0, "PaymentIntervalIncrease": 0, "PricePerByte": "0"},
    ),
    # arguments that no type fits; a machine may be named by its own name too
    case(
        "pop.deal_client",
        "DealStatusOngoing",
        ("ClientEventBlocksReceived", {"totalReceived": 1.5}, refused("bad_arguments")),
        ("ClientEventBlocksReceived", {"totalReceived": None}, refused("bad_arguments")),
        ("ClientEventBlocksReceived", {"totalReceived": -1}, refused("bad_arguments")),
        ("ClientEventBlocksReceived", {"delta": 1}, refused("bad_arguments")),
        (
            "ClientEventBlocksReceived",
            {"totalReceived": "18446744073709551615"},
            to("DealStatusOngoing", "same_state_entry_reruns", TotalReceived=2**64 - 1),
        ),
    ),
    # a field that the machine does not hold stays as it was given
    case(
        "gfm_retrieval_provider",
        "DealStatusOngoing",
        (
            "ProviderEventBlockSent",
            {},
            to("DealStatusOngoing", "same_state_entry_reruns", TotalSent=5000),
        ),
        fields={"TotalSent": 5000},
    ),
    # an instance that nobody began
    case("pop_retrieval_client", None, ("ClientEventOpen", {}, refused("unknown_id"))),
    case(
        "pop_retrieval_client",
        "DealStatusNew",
        ("ClientEventOpen", {}, {**refused("unknown_id"), "id": "another"}),
        ("ClientEventOpen", {}, to("DealStatusNew", "same_state_entry_reruns")),
    ),
    # tables that the original does not declare
    case(
        "pop_payment_channel_derived",
        "Absent",
        ("FundsRequested", {"amount": "5"}, to("Absent", "recorded_only")),
        ("CreateSubmitted", {"msgCID": "m"}, to("Creating", CreateMsg="m", PendingAmount=5)),
        ("CreateConfirmed", {"channel": "f2"}, to("Ready", Amount=5, CreateMsg=None, Channel="f2")),
        ("CreateFailed", {"reason": "x"}, refused("no_transition")),
    ),
]


@pytest.mark.parametrize("number", range(len(OTHERS)), ids=lambda n: OTHERS[n]["name"])
def test_cases_of_any_table_run(tmp_path, number):
    """And with another final state, or another refusal, each of them fails."""
    wrong = copy.deepcopy(OTHERS[number])
    wrong["steps"][-1]["expect_state"] = "Nowhere"

    right, altered = failures(tmp_path, OTHERS[number], wrong)

    assert right == []
    assert altered


def test_what_a_storage_deals_action_emits_must_be_possible(tmp_path):
    """It cannot be run, but it can be wrong."""
    wrong = {**OTHERS[0], "expect_emits": ["ClientEventFailed"]}

    [found] = failures(tmp_path, wrong)

    assert any("never emits ClientEventFailed" in one for one in found)


@pytest.mark.parametrize(
    "damage",
    [
        {"machine": "pop_retrieval_relay"},
        {"machine": 7},
        {"steps": [{"params": {}}]},
        {"steps": {}},
    ],
)
def test_a_case_of_no_known_table_fails(tmp_path, damage):
    """It is a failure of that case, not the end of the run."""
    bad, good = failures(tmp_path, {**OTHERS[0], **damage}, OTHERS[1])

    assert "no system here knows this format" in bad[0]
    assert good == []


@pytest.mark.parametrize(
    "damage", [{"initial_fields": [7]}, {"env": 7}, {"initial_state": 7}, {"expect_emits": 7}]
)
def test_a_malformed_case_fails_alone(tmp_path, damage):
    """One line for what is wrong, and the next case runs."""
    case = {**CASES[SENDS], **damage}

    bad, good = failures(tmp_path, case, OTHERS[1])

    assert bad
    assert good == []
