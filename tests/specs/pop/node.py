"""A delivery node's machines on a real tape: commands, crashes, and a replay at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from statetape.engine.commands import Receipt
from statetape.engine.replay import Replayer

from ...engine.machines import Clock, open_tape


class Node:
    """An engine on a tape of its own, with short words for what the tests do with it.

    Its crashes are those of a process, not of the power, so no commit waits for the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "node.db"
        self.clock = Clock()
        self.engine = open_tape(self.path, self.clock, synchronous="OFF")

    def new(self, name: str, /, **params: Any) -> Receipt:
        """Begin `pop.NAME`, given as machine/key; it must be accepted."""
        receipt = self.begin(name, **params)
        assert receipt.outcome == "accepted", receipt.reason
        return receipt

    def begin(self, name: str, /, **params: Any) -> Receipt:
        """Ask for an instance, whatever becomes of it."""
        machine, _, key = name.partition("/")
        return self.engine.create(f"pop.{machine}", key, params)

    def send(self, name: str, event: str, /, **params: Any) -> Receipt:
        """Send an event to `pop.NAME`, whatever becomes of it."""
        return self.engine.send(f"pop.{name}", event, params)

    def ok(self, name: str, event: str, /, **params: Any) -> Receipt:
        """Send an event that must be accepted."""
        receipt = self.send(name, event, **params)
        assert receipt.outcome == "accepted", (event, receipt.reason)
        return receipt

    def refused(self, name: str, event: str, /, **params: Any) -> str:
        """Send an event that must be refused; returns its reason, or the kind where it has none."""
        receipt = self.send(name, event, **params)
        assert receipt.outcome == "rejected", (event, receipt.outcome)
        return receipt.reason.get("reason") or receipt.reason["kind"]

    def state(self, name: str) -> str:
        """Return the state of `pop.NAME`."""
        return self.engine.world.instance(f"pop.{name}").state

    def data(self, name: str) -> dict[str, Any]:
        """Return the typed data of `pop.NAME`."""
        return self.engine.world.instance(f"pop.{name}").data

    def forward(self, seconds: float) -> None:
        """Let time pass, and fire what is due, and what that arms a moment later."""
        self.clock.forward(seconds)
        while self.engine.tick():
            self.clock.now += 2

    def head(self, height: int) -> None:
        """Observe the chain's head."""
        self.engine.observe("filecoin", height)

    def crash(self) -> None:
        """Let the process die, and start it again."""
        self.engine.abandon()
        self.engine = open_tape(self.path, self.clock, synchronous="OFF")

    def entries(self) -> list[dict[str, Any]]:
        """Return every entry of the tape, decoded."""
        return [json.loads(body) for body in self.engine.tape.read()]

    def effects(self, do: str) -> list[dict[str, Any]]:
        """Return what the outside was told to do under this name, in order."""
        return [
            effect
            for entry in self.entries()
            for effect in entry.get("effects", [])
            if effect["do"] == do
        ]

    def refusals(self) -> list[tuple[str, str]]:
        """Return (event, reason or kind) of every refusal on the tape, in order."""
        return [
            (entry["event"], entry["reason"].get("reason") or entry["reason"]["kind"])
            for entry in self.entries()
            if entry.get("outcome") == "rejected"
        ]

    def close(self) -> None:
        """Replay the whole tape: every byte must follow from what was asked."""
        try:
            report = Replayer().run(self.engine.tape.read())
            assert report.difference is None, report.difference
        finally:
            self.engine.close()


def offer(
    id: str,  # noqa: A002 - the field's own name
    price: int = 0,
    *,
    size: int = 10,
    root: str = "bafyroot",
    provider: str = "",
    request: str = "",
    unseal: int = 0,
    payment_interval: int = 1000,
    interval_increase: int = 1000,
) -> dict[str, Any]:
    """Return an offer as a provider sends it."""
    return {
        "id": id,
        "request": request,
        "provider": provider or f"peer-{id}",
        "root": root,
        "size": size,
        "price": price,
        "unseal": unseal,
        "payment_interval": payment_interval,
        "interval_increase": interval_increase,
        "pay_to": "f01",
    }
