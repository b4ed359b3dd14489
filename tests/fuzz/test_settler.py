"""The provider's plan among failures: no voucher that can be redeemed is lost, or it was told why.

The promise, exactly. Let a window close at the last epoch at which a voucher can be included: its
time_lock_max, or settling_at - 1. If from `margin` epochs before a window closes every head is
observed, what is asked for is pushed, and what is pushed is included in the next block and its
receipt seen, then each lane ends with the best voucher that the book ever had and whose windows
were so observed. The promise
needs those epochs, and nothing of the time before them: pushes fail, messages are lost or run out
of gas, receipts come late or never, heads jump, the node dies and starts again.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from ..specs.filecoin.bookkeeping import ACCOUNT, ACTOR, PAYEE, PAYER, PLAN, Side, record, voucher
from .budget import EXAMPLES
from .channel_life import PAYEE as PAYEE_ID
from .channel_life import Actor, Text

RUNS = max(12, EXAMPLES * 3 // 100)
MARGIN = 10
FUNDS = 10_000
APPLIED, LOST, OUT_OF_GAS, UNSEEN = "applied", "lost", "out of gas", "applied, receipt never seen"


class Flying(NamedTuple):
    """A message on its way: in which block it comes, when its receipt is seen, and its fate."""

    kind: str
    name: str
    message: str
    block: int
    seen: int
    fate: str


class World:
    """A node with its tape, and the chain beside it."""

    def __init__(self, folder: Path, seed: int) -> None:
        """The channel is on the chain; the plan waits."""
        self.rng = rng = Random(seed)
        self.side = side = Side(folder)
        self.actor = Actor(FUNDS, FUNDS)
        self.head = 100
        self.flying: list[Flying] = []
        self.papers: dict[str, Any] = {}
        self.looked = self.pushed = 0
        self.lanes = rng.choice((1, 2, 3, 5))
        self.next_nonce = dict.fromkeys(range(self.lanes), 1)
        self.promised = dict.fromkeys(range(self.lanes), 0)
        self.kept: list[Any] = []
        self.settles = rng.choice(("client", "client", "provider"))
        self.settle_height = rng.randint(200, 900)
        act_by = self.settle_height if self.settles == "provider" else 0
        side.new(PLAN, act_by=str(act_by), margin=MARGIN)
        side.new(
            ACCOUNT,
            direction=1,
            control=PAYEE,
            target=PAYER,
            plan=f"filecoin.{PLAN}",
            policy=rng.choice(("strict", "literal")),
            margin=MARGIN,
        )
        self.sight()

    def sight(self) -> None:
        """The node looks at the channel."""
        actor = self.actor
        lanes = {str(n): {"redeemed": str(a), "nonce": m} for n, (a, m) in actor.lanes.items()}
        self.side.ok(
            ACCOUNT,
            "chain_seen",
            balance=str(actor.balance),
            to_send=str(actor.to_send),
            settling_at=actor.settling_at,
            min_settle_height=actor.floor,
            lanes=lanes,
            id=ACTOR,
            present=not actor.gone,
        )

    # windows

    def closings(self) -> list[int]:
        """Every last epoch that is known by now."""
        end = self.actor.settling_at - 1
        locks = [one.time_lock_max for one in self.kept if one.time_lock_max]
        return [*locks, end] if end > 0 else locks

    def good_weather(self) -> bool:
        """Whether a window is about to close: then everything works."""
        return any(last - MARGIN <= self.head <= last for last in self.closings())

    # one step

    def step(self) -> None:
        """The node sees another head; before it, what was included and what is known of it."""
        rng = self.rng
        wanted = self.head + (1 if self.good_weather() else rng.choice((1, 1, 2, 7, 30, 90)))
        starts = [last - MARGIN for last in self.closings() if last - MARGIN > self.head]
        self.go_to(min([wanted, *starts]))
        if rng.random() < 0.1:
            self.side.restart()
        if self.head < self.settle_height + 1500 and rng.random() < 0.15:
            self.receive()
        if rng.random() < 0.1 and not self.actor.gone:
            self.sight()

    def go_to(self, height: int) -> None:
        """Reach a height: blocks first, then receipts, then the head, then what is asked for."""
        due = sorted((one for one in self.flying if one.block <= height), key=lambda o: o.block)
        for one in due:
            self.include(one)
        settle = self.settles == "client" and self.settle_height <= height
        if settle and not self.actor.settling_at and not self.actor.gone:
            self.actor.settle(self.settle_height, "f0100", 0)
            self.side.ok(ACCOUNT, "settle_seen", settling_at=self.actor.settling_at)
        self.head = height
        self.side.head(height)
        self.act()
        for one in [one for one in self.flying if one.seen <= height]:
            self.flying.remove(one)
            self.receipt(one)
            self.act()

    def include(self, one: Flying) -> None:
        """A message is in a block, if it ever gets there."""
        self.flying.remove(one)
        fate = one.fate
        if fate in (APPLIED, UNSEEN):
            code = self.run(one)
            fate = fate if code == 0 else f"exit {code}"
        if fate not in (LOST, UNSEEN):
            self.flying.append(one._replace(block=2**60, fate=fate))

    def run(self, one: Flying) -> int:
        if one.kind == "settle":
            return self.actor.settle(one.block, PAYEE_ID, 0)[0]
        if one.kind == "collect":
            return self.actor.collect(one.block, PAYEE_ID, 0, {})[0]
        paper = self.papers[one.name]
        text = Text(paper.text(), paper, "f0100", True)
        return self.actor.update(one.block, PAYEE_ID, text, b"", 0, {})[0]

    def receipt(self, one: Flying) -> None:
        """The node sees how a message ended; what it says of it may come too late to matter."""
        code = {APPLIED: 0, OUT_OF_GAS: 7}.get(one.fate)
        code = int(one.fate.rpartition(" ")[2]) if code is None else code
        if one.kind == "voucher":
            event = "applied" if code == 0 else "failed"
            ended = {} if code == 0 else {"exit": code}
            self.side.send(one.name, event, message=one.message, **ended)
        elif code == 0:
            self.sight()
        else:
            self.side.send(ACCOUNT, f"{one.kind}_failed", message=one.message, exit=code)

    def act(self) -> None:
        """Do what the tape asks for since we looked last."""
        fresh = list(self.side.engine.tape.read(self.looked + 1))
        self.looked += len(fresh)
        for body in fresh:
            for effect in json.loads(body).get("effects", []):
                self.effect(effect)

    def effect(self, effect: dict[str, Any]) -> None:
        if effect["do"] == "SubmitVouchers":
            for one in effect["vouchers"]:
                self.push("voucher", record(self.papers[one["id"]]))
        elif effect["do"] in ("PushSettle", "PushCollect"):
            self.push(effect["do"][4:].lower(), "")

    def push(self, kind: str, name: str) -> None:
        """A message is pushed, and its fate made up."""
        rng, good = self.rng, self.good_weather()
        if not good and rng.random() < 0.3:
            if kind == "voucher":
                self.side.send(name, "push_failed", reason="no funds for gas")
            return
        self.pushed += 1
        message = f"m{self.pushed}"
        fate = APPLIED if good else rng.choice((APPLIED, APPLIED, LOST, OUT_OF_GAS, UNSEEN))
        block = self.head + (1 if good else rng.randint(1, 9))
        seen = block if good else block + rng.choice((0, 5, 60))
        if kind == "voucher":
            self.side.ok(name, "submitted", message=message)
        else:
            self.side.send(ACCOUNT, f"{kind}_pushed", message=message)
        self.flying.append(Flying(kind, name, message, block, seen, fate))

    def receive(self) -> None:
        """The client sends a better voucher of some lane, perhaps with time locks."""
        rng = self.rng
        lane = rng.randrange(self.lanes)
        amount = self.promised[lane] + rng.randint(1, 50)
        locks = {}
        if rng.random() < 0.3:
            locks["time_lock_min"] = self.head + rng.randint(1, 300)
        if rng.random() < 0.2:
            locks["time_lock_max"] = self.head + rng.randint(MARGIN + 1, 900)
        one = voucher(lane, amount, self.next_nonce[lane], **locks)
        self.papers[one.id_hex] = self.papers[record(one)] = one
        if self.side.receive(one) == "accepted":
            self.next_nonce[lane] += 1
            self.promised[lane] = amount
            if self.head < (self.actor.settling_at or 2**60) - 1 - MARGIN:
                self.kept.append(one)
        self.act()


def lost(world: World) -> dict[int, tuple[int, int]]:
    """Return the lanes that ended with less than their best voucher: what, and what it was."""
    end = world.actor.settling_at - 1
    best: dict[int, int] = {}
    for one in world.kept:
        # Its window must have been seen to close: from `margin` before its end, and open then.
        last = min(end, one.time_lock_max or end)
        if one.time_lock_min <= last - MARGIN:
            best[one.lane] = max(one.amount, best.get(one.lane, 0))
    redeemed = {lane: world.actor.lanes.get(lane, (0, 0))[0] for lane in best}
    return {n: (redeemed[n], best[n]) for n in sorted(best) if redeemed[n] < best[n]}


@pytest.mark.parametrize("part", range(3))
def test_what_can_be_redeemed_is_redeemed_if_heads_are_seen_before_windows_close(part, tmp_path):
    """See the module's docstring: `margin` epochs of good weather before each closing suffice."""
    for seed in range(part, RUNS, 3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world = World(folder, seed)
        for _ in range(400):
            world.step()
            if world.actor.gone:
                break
        assert lost(world) == {}, seed
        assert world.actor.gone, seed
        world.side.close()


class Stormy(World):
    """Nothing gets better before a window closes."""

    def good_weather(self) -> bool:
        """Never."""
        return False


def test_without_those_epochs_something_is_lost(tmp_path):
    """The control: the oracle sees a loss where the promise does not hold."""
    for seed in range(RUNS):
        world = Stormy(tmp_path, 5000 + seed)
        for _ in range(200):
            world.step()
        world.side.close()
        if lost(world):
            return
        for path in tmp_path.iterdir():
            path.unlink()
    raise AssertionError("a storm of many weeks, and nothing was lost")
