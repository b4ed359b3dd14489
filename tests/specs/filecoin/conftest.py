"""One side of a payment channel, for the tests of its books."""

from __future__ import annotations

import pytest

from .bookkeeping import ACCOUNT, PAYEE, PAYER, PLAN, Side


@pytest.fixture
def side(tmp_path):
    """A tape at height 100; it must replay when the test is over."""
    side = Side(tmp_path)
    yield side
    side.close()


@pytest.fixture
def payee(side):
    """Track a channel with 10 attofil that pays us."""
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER)
    side.ok(ACCOUNT, "chain_seen", balance="10")
    return side


@pytest.fixture
def payer(side):
    """Create a channel with 10 attofil that we pay through."""
    side.new(ACCOUNT, direction=2, control=PAYER, target=PAYEE)
    side.ok(ACCOUNT, "create_pushed", message="m-create", amount="10")
    side.ok(ACCOUNT, "create_confirmed")
    return side


@pytest.fixture
def provider(side):
    """Track a channel with 100 attofil that pays us, with a plan."""
    side.new(PLAN)
    side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, plan=f"filecoin.{PLAN}")
    side.ok(ACCOUNT, "chain_seen", balance="100", id="f0102")
    return side
