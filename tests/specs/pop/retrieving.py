"""A small world of a client and a provider, on tapes of their own."""

from __future__ import annotations

from statetape.engine.driver import Driver
from statetape.engine.engine import Engine
from statetape.fsm.driving import delivered
from statetape.fsm.entry import decode
from statetape.specs.pop.delivery import Outside, Terms

from ...engine.machines import Clock, fixed_entropy

ROOT = "bafyroot"
SECRETS = {"client": bytes([1] * 32), "provider": bytes([2] * 32)}
BALANCES = {"client": 10**18, "provider": 10**18}
DEAL = "pop.deal_client/tx-1"
DEAL_P = "pop.deal_provider/client/tx-1"
SERVING = "pop.serving/client/tx-1"
LANE = "pop.payment_channel/provider"
LANE_P = "pop.payment_channel/client"
TRANSFER = "filecoin.dt_channel_v1_11_5/client-provider-tx-1"


def world(sizes=(100, 100, 50), price=2, interval=100, increase=50, **options):
    """The outside of both nodes, with one DAG."""
    terms = Terms(price, 0, interval, increase)
    return Outside({ROOT: sizes}, terms, SECRETS, BALANCES, **options)


def opened(folder, clock, kind=Engine):
    """Open both tapes."""
    options = {"clock": clock, "entropy": fixed_entropy, "synchronous": "OFF"}
    return {name: kind.open(folder / f"{name}.db", **options) for name in ("client", "provider")}


def driven(nodes, outside, clock, carry=delivered):
    """Return a driver; each command takes a moment."""

    def slowly(effect, act):
        clock.forward(0.001)
        return carry(effect, act)

    return Driver(nodes, outside, slowly)


class Retrieval:
    """One world on two tapes, driven to rest, with everything that a test asks of it."""

    def __init__(self, folder, outside=None, carry=delivered, clock=None):
        self.clock = clock or Clock()
        self.outside = outside or world()
        self.nodes = opened(folder, self.clock)
        self.driver = driven(self.nodes, self.outside, self.clock, carry)

    def ask(self, **params):
        """Have the client ask for the DAG, and drive both to rest."""
        client = self.nodes["client"]
        client.create("pop.tx", "tx", {"root": ROOT})
        question = {"balance": 10**18, "maxppb": 5} | params
        assert client.send("pop.tx/tx", "QueryStarted", question).accepted
        self.driver.run(1000)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for engine in self.nodes.values():
            engine.close()

    def state(self, instance):
        """The state of an instance, on whichever tape it is."""
        return self._there(instance).state

    def data(self, instance):
        """The data of an instance, on whichever tape it is."""
        return self._there(instance).data

    def _there(self, instance):
        found = [engine.world.instance(instance) for engine in self.nodes.values()]
        [one] = [one for one in found if one is not None][:1]
        return one

    def entries(self, node, event=None):
        """The commands on a node's tape, perhaps of one event alone."""
        found = map(decode, self.nodes[node].tape.read())
        return [one for one in found if one.tape is None and event in (None, one.event)]

    def refusals(self):
        """What was refused on either tape: event and reason."""
        return [
            (entry.event, entry.reason)
            for node in self.nodes
            for entry in self.entries(node)
            if entry.outcome == "rejected"
        ]
