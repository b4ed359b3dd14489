"""The provider's side of a transfer: blocks are counted before they leave, and wait for money."""

from __future__ import annotations

import pytest
from statetape.engine.engine import Engine

from ...engine.machines import Clock, fixed_entropy

SERVING = "pop.serving/c/1"
TERMS = {"PricePerByte": 2, "PaymentInterval": 100, "PaymentIntervalIncrease": 50}
LINKS = {"deal": "pop.deal_provider/c/1", "transfer": "filecoin.dt_channel_v1_11_5/t"}


@pytest.fixture
def serve(tmp_path):
    """Begin serving blocks of these sizes; the deal and the transfer are not on this tape."""
    engine = Engine.open(tmp_path / "t.db", clock=Clock(), entropy=fixed_entropy, synchronous="OFF")

    def begin(*sizes, **terms):
        engine.create("pop.serving", "c/1", {"peer": "c"} | TERMS | terms)
        engine.send(SERVING, "Accepted", LINKS | {"sizes": list(sizes)})
        return engine

    yield begin
    engine.close()


def tell(engine, event, **params):
    """Send an event; returns the outcome, the state, and what is to be done."""
    receipt = engine.send(SERVING, event, params)
    does = [one["do"] for one in receipt.effects or []]
    return receipt.outcome, engine.world.instance(SERVING).state, does


def test_blocks_go_out_until_the_interval_is_reached(serve):
    """Each asks for the next one; the one that reaches the boundary asks for money instead."""
    engine = serve(60, 60, 60)

    assert tell(engine, "BlockQueued", number=0) == ("accepted", "Sending", ["SendBlock"])
    assert tell(engine, "BlockQueued", number=1) == ("accepted", "Paused", ["SendResult"])
    assert tell(engine, "BlockQueued", number=2)[0] == "rejected"


def test_only_the_next_block_may_leave(serve):
    """A block that was counted is not counted again, and none is left out."""
    engine = serve(10, 10, 10)
    tell(engine, "BlockQueued", number=0)

    for wrong in (0, 2, 7):
        assert engine.send(SERVING, "BlockQueued", {"number": wrong}).reason["reason"] == (
            "NOT_THE_NEXT_BLOCK"
        )
    assert engine.world.instance(SERVING).data["total_sent"] == 10


def test_the_provider_is_an_interval_ahead_of_its_money(serve):
    """As in the original: what is below the boundary that was reached has to be paid, not more."""
    engine = serve(100, 150, 10)
    tell(engine, "BlockQueued", number=0)
    first = tell(engine, "VoucherSaved", received=0, channel="f2c")
    tell(engine, "BlockQueued", number=1)
    part = tell(engine, "VoucherSaved", received=100, channel="f2c")
    told = engine.effects("any")[-1].effect
    rest = tell(engine, "VoucherSaved", received=100, channel="f2c")
    data = engine.world.instance(SERVING).data

    assert first == ("accepted", "Sending", ["ResumeClient", "SendBlock"])
    assert part == ("accepted", "Paused", ["SendResult"])
    assert (told["status"], told["owed"]) == ("DealStatusFundsNeeded", "100")
    assert rest == ("accepted", "Sending", ["ResumeClient", "SendBlock"])
    assert (data["funds_received"], data["paid_for"], data["interval"]) == (200, 100, 450)


def test_the_end_is_told_once_everything_is_out(serve):
    """Unpaid, it waits for the last voucher; free, it is finished at once."""
    paid = serve(60)
    assert tell(paid, "BlockQueued", number=0) == ("accepted", "PausedLast", [])
    assert [one.effect["do"] for one in paid.effects("any")[-2:]] == [
        "FinishTransfer",
        "SendResult",
    ]
    assert tell(paid, "VoucherSaved", received=120, channel="f2c")[1] == "Finished"


def test_what_is_free_is_never_paused(serve):
    """No boundary counts, and the end is complete."""
    engine = serve(600, 600, PricePerByte=0)
    states = [tell(engine, "BlockQueued", number=number)[1] for number in (0, 1)]

    assert states == ["Sending", "Finished"]
    assert engine.effects("any")[-1].effect["status"] == "DealStatusCompleted"


def test_terms_without_any_boundary_are_refused(serve, tmp_path):
    """A paid deal without an interval would never ask for money."""
    engine = serve(1)
    receipt = engine.create("pop.serving", "c/2", {"peer": "c", "PricePerByte": 2})

    assert receipt.reason["reason"] == "INTERVAL_ZERO"
