"""Entry actions: what entering a state emits, given how the outside answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from statetape.specs.filecoin.emissions import EMISSIONS
from statetape.specs.filecoin.entry_actions import ActionUnknown, ActionUntold, Emitted, run

POP, GFM, PINNED = (
    "pop.retrieval_client",
    "filecoin.gfm_retrieval_client",
    "filecoin.gfm_retrieval_client_pinned",
)
PROVIDER, LATER, OLDER = (
    "pop.retrieval_provider",
    "filecoin.gfm_retrieval_provider",
    "filecoin.gfm_retrieval_provider_pinned",
)
CASES = Path(__file__).resolve().parents[2] / "conformance" / "retrieval-scenarios.json"


def emitted(machine, action, fields=None, env=None, state="DealStatusOngoing"):
    """Return the events that an action emits, without their prefixes, and their parameters."""
    made = run(machine, action, state, fields or {}, env)
    return [
        (one.event.removeprefix("ClientEvent").removeprefix("ProviderEvent"), one.params)
        for one in made.emitted
    ]


@pytest.mark.parametrize(
    ("machine", "env", "event"),
    [
        (POP, {"channel": "f2a", "wait_msg": None}, "PaymentChannelReady"),
        (GFM, {"channel": "f2a", "wait_msg": None}, "PaymentChannelReady"),
        (PINNED, {"channel": "f2a", "wait_msg": None}, "PaymentChannelAddingFunds"),
        (POP, {"channel": "f2a", "wait_msg": "m"}, "PaymentChannelAddingFunds"),
        (POP, {"channel": "", "wait_msg": "m"}, "PaymentChannelCreateInitiated"),
        (POP, {"channel": "f2a", "channel_error": "x"}, "PaymentChannelErrored"),
    ],
)
def test_a_channel_is_ready_made_or_filled(machine, env, event):
    """A channel without a pending message is ready; the pinned version has no such answer."""
    [(name, _)] = emitted(machine, "SetupPaymentChannelStart", {"TotalFunds": "1"}, env)

    assert name == event


@pytest.mark.parametrize(
    ("machine", "env", "event", "params"),
    [
        (GFM, {"confirmed": "300"}, "PaymentChannelReady", {"payCh": "f2a"}),
        (POP, {"confirmed": "300"}, "FundsExpended", {"shortfall": 1700}),
        (POP, {"confirmed": "2000"}, "PaymentChannelReady", {"payCh": "f2a"}),
        (POP, {"confirmed": "2000", "redeemed": "1"}, "FundsExpended", {"shortfall": 1}),
        (
            POP,
            {"pending": 1500, "queued": 500, "pending_msg": "m"},
            "PaymentChannelAddingFunds",
            {"msgCID": "m", "payCh": "f2a"},
        ),
        (POP, {"pending": 1500, "queued": 500}, "FundsExpended", {"shortfall": 0}),
        (GFM, {"funds_error": "no chain"}, "PaymentChannelErrored", {"err": "no chain"}),
    ],
)
def test_pop_wants_all_that_is_due_and_the_original_what_was_asked_for(machine, env, event, params):
    """2000 is due for 1000 bytes at 2; 300 was asked for."""
    fields = {
        "TotalReceived": 1000,
        "CurrentInterval": 1000,
        "PricePerByte": "2",
        "PaymentRequested": "300",
        "PaymentInfo": {"PayCh": "f2a", "Lane": 0},
    }

    assert emitted(machine, "CheckFunds", fields, env) == [(event, params)]


@pytest.mark.parametrize(
    ("spent", "env", "event", "params"),
    [
        ("1999", {}, "PaymentSent", {"voucherAmt": 2000}),
        ("2000", {}, "PaymentNotSent", {}),
        ("0", {"voucher_error": "x"}, "CreateVoucherFailed", {"err": "x"}),
        ("0", {"voucher_shortfall": "7"}, "VoucherShortfall", {"shortfall": 7}),
        ("0", {"voucher_shortfall": 0, "send_error": "y"}, "WriteDealPaymentErrored", {"err": "y"}),
    ],
)
def test_a_voucher_is_for_all_that_is_due(spent, env, event, params):
    """Amounts are cumulative: the voucher says the total, not the difference."""
    fields = {"TotalReceived": 1500, "CurrentInterval": 1000, "PricePerByte": "2"}

    assert emitted(POP, "SendFunds", {**fields, "FundsSpent": spent}, env) == [(event, params)]


@pytest.mark.parametrize(
    ("machine", "action", "env", "events"),
    [
        (PROVIDER, "CancelDeal", {}, ["CancelComplete"]),
        (
            PROVIDER,
            "CancelDeal",
            {"untrack_error": "u", "delete_error": "d"},
            ["DataTransferError"],
        ),
        (PROVIDER, "CancelDeal", {"delete_error": "d", "close_error": "c"}, ["MultiStoreError"]),
        (LATER, "CancelDeal", {"untrack_error": "u"}, ["CancelComplete"]),
        (LATER, "CancelDeal", {"close_error": "c"}, ["DataTransferError"]),
        (PROVIDER, "CleanupDeal", {"delete_error": "d"}, ["CleanupComplete"]),
        (OLDER, "CleanupDeal", {"delete_error": "d"}, ["MultiStoreError"]),
        (OLDER, "UnpauseDeal", {"track_error": "t", "resume_error": "r"}, ["DataTransferError"]),
        (LATER, "UnpauseDeal", {}, []),
        (OLDER, "UnsealData", {"unsealed": [2], "unseal_ok": []}, ["UnsealError"]),
        (OLDER, "UnsealData", {"unsealed": [2], "unseal_ok": [1]}, ["UnsealComplete"]),
        (GFM, "FinalizeBlockstore", {"finalize_error": "f"}, ["FinalizeBlockstoreErrored"]),
        (GFM, "FailsafeFinalizeBlockstore", {"finalize_error": "f"}, ["BlockstoreFinalized"]),
        ("filecoin.dt_channel", "cleanupConnection", {}, ["CleanupComplete"]),
    ],
)
def test_the_first_step_that_fails_decides(machine, action, env, events):
    """In the order of each version, which does not take every step."""
    assert [name for name, _ in emitted(machine, action, {}, env)] == events


FUNDED = {
    "ChannelID": "ch",
    "PricePerByte": "500",
    "PaymentInterval": 1000,
    "PaymentIntervalIncrease": 500,
    "UnsealPrice": "0",
    "FundsReceived": "0",
}


@pytest.mark.parametrize(
    ("state", "env", "events", "limit", "response"),
    [
        (
            "FundsNeeded",
            {"last_voucher": "payment", "queued": 1000, "received": 500_000},
            ["PaymentReceived"],
            2500,
            None,
        ),
        (
            "FundsNeeded",
            {"last_voucher": "payment", "queued": 1000, "received": 1},
            ["PartialPaymentReceived"],
            1000,
            {"status": "DealStatusFundsNeeded", "owed": 499_999},
        ),
        (
            "FundsNeededLastPayment",
            {"last_voucher": "payment", "queued": 1, "received": 500, "finalizing": True},
            ["PaymentReceived"],
            1000,
            {"status": "DealStatusCompleted"},
        ),
        (
            "FundsNeeded",
            {"last_voucher": "payment", "save_error": "bad"},
            ["SaveVoucherFailed"],
            0,
            {"status": "DealStatusErrored", "message": "bad"},
        ),
        ("Ongoing", {"last_voucher": "proposal", "queued": 999}, ["PaymentReceived"], 1000, None),
    ],
)
def test_money_lets_the_transfer_go_on(state, env, events, limit, response):
    """v1.28.3: what came is counted, then the transfer is told how far it may go."""
    made = run(LATER, "UpdateFunding", f"DealStatus{state}", FUNDED, env)

    assert [one.event.removeprefix("ProviderEvent") for one in made.emitted] == events
    assert made.validation is not None
    assert (made.validation.data_limit, made.validation.response) == (limit, response)


def test_what_is_not_known_is_refused_by_name():
    """No such machine, no such action, an action of which only the possible events are known."""
    for machine, action in [("pop.tx", "Query"), (POP, "UnsealData"), (LATER, "TrackTransfer")]:
        with pytest.raises(ActionUnknown):
            run(machine, action, "x", {}, {})
    with pytest.raises(ActionUntold, match="DealRejected"):
        run("filecoin.gfm_storage_client", "CheckForDealAcceptance", "x", {}, {})


def test_every_known_action_of_a_deal_or_transfer_can_run():
    """Without any news of the outside, that is: everything worked."""
    for machine, actions in EMISSIONS.items():
        for action, may_emit in actions.items():
            if "storage" in machine:
                continue
            made = run(machine, action, "DealStatusOngoing", {}, {})
            assert {one.event for one in made.emitted} <= set(may_emit), (machine, action)


def numbers(params):
    """Return the parameters that are numbers."""
    return {name: int(v) for name, v in params.items() if not isinstance(v, str) or v.isdecimal()}


def test_the_amounts_that_cases_send_are_those_that_the_actions_compute():
    """The cases compare names only; here the amounts of what is emitted are compared too."""
    checked = 0
    for case in json.loads(CASES.read_text()):
        if "entry_action" not in case:
            continue
        name = case["machine"]
        machine = name.replace("pop_", "pop.") if name.startswith("pop_") else f"filecoin.{name}"
        fields, env = case["initial_fields"], case["env"]
        made = run(machine, case["entry_action"], case["initial_state"], fields, env)
        for one, step in zip(made.emitted, case["steps"], strict=False):
            assert isinstance(one, Emitted)
            assert numbers(one.params) == numbers(step["params"]), case["name"]
            checked += bool(numbers(one.params))

    assert checked > 15
