"""Transfers tell their deals what they see, in the same commit; without a deal they tell nobody."""

from __future__ import annotations

import json

import pytest
from statetape.engine import catalogue
from statetape.engine.commands import Create, Send
from statetape.engine.replay import Replayer
from statetape.fsm.machine import REQUIRED

from ...engine.machines import Clock, open_tape

CHANNELS = ("filecoin.dt_channel_v1_7_0", "filecoin.dt_channel_v1_11_5", "filecoin.dt_channel")
V1_11, V2 = CHANNELS[1:]
CLIENT, PROVIDER = "pop.deal_client/7", "pop.deal_provider/peer-7"
SIDES = {CLIENT: "recipient", PROVIDER: "sender"}


class Tape:
    """A tape with transfers and deals."""

    def __init__(self, folder):
        self.engine = open_tape(folder / "tape.db", Clock())

    def begin(self, name, /, state=None, **params):
        """Begin an instance, in mid-life where a state is given."""
        machine = catalogue.machine(name.partition("/")[0])
        receipt = self.engine.execute(Create(machine, name, params, state=state))
        assert receipt.accepted, receipt.reason

    def send(self, name, event, /, **params):
        """Send an event."""
        return self.engine.execute(Send(name, event, params))

    def entries(self, name=None):
        """Return the entries, or those of an instance."""
        found = [json.loads(body) for body in self.engine.tape.read()]
        if name is None:
            return found
        first = next((entry["pos"] for entry in found if entry.get("create") == name), None)
        return [entry for entry in found if entry.get("instance") == first]

    def instance(self, name):
        """Return an instance."""
        return self.engine.world.instance(name)


@pytest.fixture
def tape(tmp_path):
    """A tape that is replayed in the end."""
    made = Tape(tmp_path)
    yield made
    report = Replayer().run(made.engine.tape.read())
    made.engine.close()
    assert report.difference is None, report.difference


def heard(tape, deal, channel=V1_11, state="Ongoing", deal_state=None):
    """Begin a deal and the transfer that serves it; returns the transfer's name."""
    tape.begin(deal, state=deal_state)
    name = f"{channel}/t"
    tape.begin(name, state=state, deal=deal, side=SIDES[deal], Received=10)
    return name


def result(status, **more):
    """Return the parameters of a voucher result with a deal response."""
    return {"vtype": "RetrievalDealResponse/1", "voucherResultBytes": {"Status": status, **more}}


OWED = {"PaymentOwed": "2000"}
TOLD_TO_CLIENT = [
    ("DataReceivedProgress", {"delta": 5}, "BlocksReceived", {"totalReceived": 15}),
    ("FinishTransfer", {}, "AllBlocksReceived", {}),
    ("Cancel", {}, "ProviderCancelled", {}),
    ("Disconnected", {"err": "reset"}, "DataTransferError", {"err": "stalled, peer hung up"}),
    ("Error", {"err": "rejected"}, "DealRejected", {"message": "unknown reasons"}),
    ("Error", {"err": "no route"}, "DataTransferError", {"err": "no route"}),
    ("NewVoucherResult", result(9, Message="too cheap"), "DealRejected", {"message": "too cheap"}),
    ("NewVoucherResult", result("DealStatusErrored", Message="x"), "ProviderErrored", {"msg": "x"}),
    ("NewVoucherResult", result(16, Message="gone"), "DealNotFound", {"message": "gone"}),
    ("NewVoucherResult", result("DealStatusAccepted"), "DealAccepted", {}),
    ("NewVoucherResult", result(7, **OWED), "UnsealPaymentRequested", {"paymentOwed": "2000"}),
    ("NewVoucherResult", result(14, **OWED), "LastPaymentRequested", {"paymentOwed": "2000"}),
    ("NewVoucherResult", result(15), "Complete", {}),
    ("NewVoucherResult", result(10, **OWED), "PaymentRequested", {"paymentOwed": "2000"}),
    ("NewVoucherResult", result(13), "PaymentRequested", {"paymentOwed": "0"}),
    ("NewVoucherResult", result(22), "UnknownResponseReceived", {}),
]


@pytest.mark.parametrize(("event", "params", "told", "given"), TOLD_TO_CLIENT)
def test_the_client_of_a_deal_hears_what_its_transfer_saw(tape, event, params, told, given):
    """One entry of the transfer, one of the deal, and each names the other."""
    transfer = heard(tape, CLIENT)

    assert tape.send(transfer, event, **params).accepted

    raising = tape.entries(transfer)[-1]
    entry = tape.entries(CLIENT)[-1]
    assert raising["raises"] == [{"event": f"ClientEvent{told}", "to": CLIENT}]
    assert (entry["event"], entry.get("params", {})) == (f"ClientEvent{told}", given)
    assert entry["raised"] == raising["pos"]


TOLD_TO_PROVIDER = [
    ("Requested", "Accept", {}, "DealAccepted", {}),
    ("Ongoing", "Disconnected", {"err": "reset"}, "DataTransferError", {"err": "reset"}),
    ("Ongoing", "Error", {"err": "rejected"}, "DataTransferError", {"err": "rejected"}),
    ("Ongoing", "Cancel", {}, "ClientCancelled", {}),
    ("Completing", "CleanupComplete", {}, "Complete", {}),
]


@pytest.mark.parametrize(("state", "event", "params", "told", "given"), TOLD_TO_PROVIDER)
def test_the_provider_of_a_deal_hears_what_its_transfer_saw(
    tape, state, event, params, told, given
):
    """That the channel completed is told at its last event."""
    transfer = heard(tape, PROVIDER, state=state)

    assert tape.send(transfer, event, **params).accepted

    entry = tape.entries(PROVIDER)[-1]
    assert (entry["event"], entry.get("params", {})) == (f"ProviderEvent{told}", given)


def test_a_provider_hears_nothing_of_progress_or_other_ends(tape):
    """It counts blocks itself; a cancelled or failed channel is no completion."""
    transfer = heard(tape, PROVIDER)
    for event, params in [
        ("DataReceivedProgress", {"delta": 1}),
        ("NewVoucherResult", result(15)),
        ("FinishTransfer", {}),
    ]:
        tape.send(transfer, event, **params)
    other = f"{V1_11}/cancelled"
    tape.begin(other, state="Cancelling", deal=PROVIDER, side="sender")
    tape.send(other, "CleanupComplete")

    assert len(tape.entries(PROVIDER)) == 0


@pytest.mark.parametrize(
    ("deal", "named"),
    [
        ("pop.retrieval_provider_before_b74d8aa/p", True),
        ("filecoin.gfm_retrieval_provider/p", True),
        ("filecoin.gfm_retrieval_provider_pinned/p", True),
        ("pop.retrieval_provider/p", False),
        ("pop.deal_provider/p", False),
    ],
)
def test_the_acceptance_names_the_channel_where_the_deal_takes_it(tape, deal, named):
    """As each version's event does."""
    tape.begin(deal)
    tape.begin(f"{V1_11}/t", deal=deal, side="sender")

    tape.send(f"{V1_11}/t", "Accept")

    entry = tape.entries(deal)[-1]
    assert "outcome" not in entry
    assert entry.get("params") == ({"channelID": "t"} if named else None)


def small(param):
    """Return some value of a parameter's type."""
    by_type = {"uint64": 1, "int64": 1, "bool": True, "json": {"Status": "DealStatusAccepted"}}
    return by_type.get(param.type.name, "x")


@pytest.mark.parametrize("channel", CHANNELS)
def test_without_a_deal_nothing_is_raised(tape, channel):
    """Every event, in every state that takes it: the table is untouched."""
    machine = catalogue.machine(channel)
    commands = []
    for number, state in enumerate(machine.states):
        for event in machine.accepts(state):
            name = f"{channel}/{number}-{event}"
            params = {one.name: small(one) for one in machine.events[event].params}
            commands += [Create(machine, name, {}, state=state), Send(name, event, params)]

    receipts = tape.engine.execute_many(commands)

    assert {receipt.outcome for receipt in receipts} == {"accepted"}
    assert not any("raises" in entry for entry in tape.entries())


def test_an_answer_that_means_nothing_is_refused_by_the_deal_alone(tape):
    """As in the original: the event comes without its argument. The transfer goes on."""
    transfer = heard(tape, CLIENT, deal_state="DealStatusOngoing")

    assert tape.send(transfer, "NewVoucherResult", **result("DealStatusCheckFunds")).accepted

    refusal = tape.entries(CLIENT)[-1]
    assert (refusal["outcome"], refusal["reason"]["kind"]) == ("rejected", "bad_arguments")
    assert tape.instance(CLIENT).state == "DealStatusOngoing"
    assert tape.instance(transfer).state == "Ongoing"


@pytest.mark.parametrize("undecoded", ["a16474797065", {"Type": "x"}, {"Status": [1]}, 7])
def test_a_result_that_was_not_decoded_says_nothing_to_a_deal(tape, undecoded):
    """It is kept with the transfer all the same."""
    transfer = heard(tape, CLIENT)

    tape.send(transfer, "NewVoucherResult", vtype="t", voucherResultBytes=undecoded)

    assert len(tape.entries(CLIENT)) == 0
    assert tape.instance(transfer).data["VoucherResults"] == {
        0: {"Type": "t", "Voucher": undecoded}
    }


def test_a_deal_that_is_not_there_does_not_stop_the_transfer(tape):
    """The hand-over is a recorded refusal."""
    tape.begin(f"{V2}/t", state="Ongoing", deal="pop.deal_client/none", side="recipient")

    assert tape.send(f"{V2}/t", "DataReceivedProgress", delta=1).accepted

    assert tape.entries()[-1]["reason"]["kind"] == "unknown_instance"


@pytest.mark.parametrize(
    "params", [{"deal": CLIENT}, {"side": "sender"}, {"deal": CLIENT, "side": "relay"}]
)
def test_a_link_has_a_deal_and_a_side(tape, params):
    """One without the other is refused at the beginning."""
    receipt = tape.engine.execute(Create(catalogue.machine(V2), f"{V2}/t", params))

    assert receipt.reason["reason"] == "SIDE_UNKNOWN"


def test_what_overtakes_over_a_link_is_parked_and_offered_again(tape):
    """The provider's transfer ends before the end of its blocks is told: the live deal waits."""
    transfer = heard(tape, PROVIDER, state="Completing", deal_state="DealStatusOngoing")

    tape.send(transfer, "CleanupComplete")
    assert tape.instance(PROVIDER).state == "DealStatusOngoing"
    tape.send(PROVIDER, "ProviderEventBlocksCompleted")

    assert tape.instance(PROVIDER).state == "DealStatusCompleting"


def test_vouchers_are_kept_by_number_and_entries_stay_small(tape):
    """The newest hundred; the tape has all. What an entry stores does not grow with them."""
    name = f"{V2}/t"
    tape.begin(name, state="Ongoing")
    sends = [Send(name, "NewVoucher", {"voucher": {"nonce": number}}) for number in range(130)]
    tape.engine.execute_many(sends)

    vouchers = tape.instance(name).data["Vouchers"]
    changes = [entry["set"] for entry in tape.entries(name)]
    assert sorted(vouchers) == list(range(30, 130))
    assert vouchers[129] == {"nonce": 129}
    assert changes[-1] == {"Vouchers": {"129": {"nonce": 129}, "29": None}}


def test_the_stage_log_counts_lines_and_keeps_the_last(tape):
    """By the state before the event; an empty line and a repetition add none."""
    name = f"{V2}/t"
    tape.begin(name, state="Ongoing")
    for event, params in [
        ("DataReceivedProgress", {"delta": 1}),
        ("DataReceivedProgress", {"delta": 1}),
        ("DataSentProgress", {"delta": 1}),
        ("Restart", {}),
        ("ResponderCompletes", {}),
        ("Disconnected", {"err": "reset"}),
    ]:
        tape.send(name, event, **params)

    assert tape.instance(name).data["Stages"] == {
        "Ongoing": {"Lines": 2, "Log": "sending data"},
        "ResponderCompleted": {"Lines": 1, "Log": "data transfer disconnected: reset"},
    }


def misfits(raising, told, prefix):
    """Return (event, parameters) that `raising` hands over and `told` would not take."""
    found = []
    machine, target = catalogue.machine(raising), catalogue.machine(told)
    parts = [event.effects for event in machine.events.values()]
    parts += [row.effects for event in machine.events.values() for row in event.rows]
    parts += [state.entry for state in machine.states.values()]
    for effect in (one for effects in parts for one in effects if one.raises):
        given = {name for name, _ in effect.arguments}
        event = target.events.get(effect.name)
        params = event.params if event else ()
        needed = {one.name for one in params if one.default is REQUIRED}
        fits = event and needed <= given <= {one.name for one in params}
        if effect.name.startswith(prefix) and not fits:
            found.append((effect.name.removeprefix(prefix), tuple(sorted(given))))
    return found


NO_ARGUMENT = ("UnknownResponseReceived", ())
NOT_DECLARED = ("ProviderErrored", ("msg",))
WITH_CHANNEL, WITHOUT = ("DealAccepted", ("channelID",)), ("DealAccepted", ())


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("deal", "prefix", "known"),
    [
        ("pop.deal_client", "ClientEvent", [NO_ARGUMENT]),
        ("pop.retrieval_client", "ClientEvent", [NO_ARGUMENT]),
        ("pop.retrieval_client_at_seed_issues", "ClientEvent", [NO_ARGUMENT]),
        ("filecoin.gfm_retrieval_client", "ClientEvent", [NOT_DECLARED, NO_ARGUMENT]),
        ("filecoin.gfm_retrieval_client_pinned", "ClientEvent", [NOT_DECLARED, NO_ARGUMENT]),
        ("pop.deal_provider", "ProviderEvent", [WITH_CHANNEL]),
        ("pop.retrieval_provider", "ProviderEvent", [WITH_CHANNEL]),
        ("pop.retrieval_provider_before_b74d8aa", "ProviderEvent", [WITHOUT]),
        ("filecoin.gfm_retrieval_provider", "ProviderEvent", [WITHOUT]),
        ("filecoin.gfm_retrieval_provider_pinned", "ProviderEvent", [WITHOUT]),
    ],
)
def test_every_deal_takes_what_a_transfer_tells_it(channel, deal, prefix, known):
    """But what the original's mapping gets wrong, and the other form of the acceptance."""
    assert misfits(channel, deal, prefix) == known


def test_a_transaction_takes_what_its_deal_tells_it():
    """How the deal ended, with its id."""
    assert misfits("pop.deal_client", "pop.tx", "Deal") == []
