"""The channel account against lotus's checks, written once more as plain code.

`Manager` is the domain's section 5.3, 5.5 and 5.6 in the simplest form: a list of stored vouchers,
walked through for every question. It shares nothing with the account's functions.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from statetape.specs.filecoin.voucher import Merge, ModVerifyParams, Signature, SignedVoucher

from ..specs.filecoin.bookkeeping import (
    ACCOUNT,
    CHANNEL,
    OTHER_CHANNEL,
    PAYEE,
    PAYEE_SECRET,
    PAYER,
    PAYER_SECRET,
    STRANGER_SECRET,
    Side,
    record,
    voucher,
)
from .budget import EXAMPLES

LIVES = max(12, EXAMPLES * 3 // 100)
STEPS = 45
LANE_MAX = 2**63 - 1


class Manager:
    """What lotus's manager keeps of one inbound channel, with submitting mended (marks fall)."""

    def __init__(self, policy: str) -> None:
        """Nothing is known of the chain yet."""
        self.policy = policy
        self.present = False
        self.balance = self.to_send = self.settling_at = 0
        self.on_chain: dict[int, tuple[int, int]] = {}
        self.stored: list[SignedVoucher] = []
        self.submitted: dict[int, list[tuple[str, int]]] = {}
        self.next_lane = 0
        self.head = 100

    def lanes(self) -> dict[int, tuple[int, int]]:
        """The lane view: the chain's lanes, then each stored voucher in order (5.3)."""
        view = dict(self.on_chain)
        for one in self.stored:
            if one.lane not in view or one.nonce >= view[one.lane][1]:
                view[one.lane] = (one.amount, one.nonce)
        return view

    def add(self, one: SignedVoucher, signer: str, min_delta: int) -> tuple[str, int, int]:
        """The answer, what it adds, and what the channel lacks (5.5)."""
        if one.encode() in [other.encode() for other in self.stored]:
            return "ok", 0, 0
        view = self.lanes()
        delta = one.amount - view.get(one.lane, (0, 0))[0]
        slug, shortfall = self._examine(one, signer, view, delta)
        if not slug and delta < min_delta:
            slug = "DELTA_TOO_SMALL"
        if not slug:
            self.stored = [other for other in self.stored if other.id != one.id]
            self.stored.append(one)
            self.next_lane = max(self.next_lane, one.lane + 1)
        return slug or "ok", delta, shortfall

    def _examine(
        self, one: SignedVoucher, signer: str, view: dict[int, tuple[int, int]], delta: int
    ) -> tuple[str, int]:
        if one.channel_addr != CHANNEL:
            return "CHANNEL_ADDR_MISMATCH", 0
        refused = self._lotus(one) if self.policy == "lotus" else self._literal(one)
        if refused:
            return refused, 0
        if not self.present:
            return "CHANNEL_NOT_ON_CHAIN", 0
        if signer != "payer":
            return "SIGNATURE_INVALID", 0
        if one.lane in view and one.nonce <= view[one.lane][1]:
            return "NONCE_TOO_LOW", 0
        if one.lane in view and one.amount <= view[one.lane][0]:
            return "AMOUNT_NOT_HIGHER", 0
        if one.merges:
            return "MERGES_NOT_SUPPORTED", 0
        over = sum(amount for amount, _ in view.values()) + delta - self.balance
        return ("INSUFFICIENT_FUNDS", over) if over > 0 else ("", 0)

    def _lotus(self, one: SignedVoucher) -> str:
        if one.extra is not None:
            return "EXTRA_NOT_ALLOWED"
        if one.time_lock_max != 0:
            return "TIME_LOCK_MAX_NOT_ALLOWED"
        if one.time_lock_min != 0:
            return "TIME_LOCK_MIN_NOT_ALLOWED"
        return "SECRET_NOT_ALLOWED" if one.secret_pre_image else ""

    def _literal(self, one: SignedVoucher) -> str:
        if one.extra is not None:
            return "EXTRA_NOT_ALLOWED"
        if one.secret_pre_image:
            return "SECRET_NOT_ALLOWED"
        if self.settling_at and self.head >= self.settling_at:
            return "CHANNEL_SETTLED"
        late = one.time_lock_min > one.min_settle_height + 1440
        return "TIME_LOCK_BEYOND_SETTLE_HEIGHT" if late else ""

    def best(self) -> dict[int, int]:
        """The greatest amount of each lane that is not submitted and would be taken now (5.6)."""
        found: dict[int, int] = {}
        for one in self.stored:
            redeemed, nonce = self.on_chain.get(one.lane, (0, -1))
            marks = [mark for _, mark in self.submitted.get(one.lane, [])]
            if one.nonce <= max([nonce, *marks]):
                continue
            if self.head < one.time_lock_min or (
                one.time_lock_max and one.time_lock_max < self.head
            ):
                continue
            if self.settling_at and self.head >= self.settling_at:
                continue
            if 0 <= self.to_send + one.amount - redeemed <= self.balance:
                found[one.lane] = max(one.amount, found.get(one.lane, -1))
        return found


class Life:
    """The account on a tape and the manager beside it, told the same."""

    def __init__(self, folder: Path, seed: int) -> None:
        """The account, which has seen the channel on the chain."""
        self.rng = Random(seed)
        self.side = Side(folder)
        self.policy = self.rng.choice(("lotus", "lotus", "literal"))
        self.manager = Manager(self.policy)
        self.papers: list[tuple[SignedVoucher, str]] = []
        known = {"direction": 1, "control": PAYEE, "target": PAYER}
        self.side.new(ACCOUNT, **known, policy=self.policy)
        self.sight(balance=self.rng.choice((10, 60)))

    def sight(self, **seen: Any) -> None:
        """The node looks at the chain: funds came, somebody settled, lanes were redeemed."""
        manager = self.manager
        manager.present = True
        manager.balance = seen.get("balance", manager.balance)
        manager.settling_at = seen.get("settling_at", manager.settling_at)
        lanes = {str(n): {"redeemed": str(a), "nonce": m} for n, (a, m) in manager.on_chain.items()}
        self.side.ok(
            ACCOUNT,
            "chain_seen",
            balance=str(manager.balance),
            to_send=str(manager.to_send),
            settling_at=manager.settling_at,
            lanes=lanes,
        )
        manager.next_lane = max([manager.next_lane, *(n + 1 for n in manager.on_chain)])

    def step(self) -> None:
        """One random event, then everything is compared."""
        steps = {
            self.receive: 10,
            self.advance: 2,
            self.look: 1,
            self.submit: 2,
            self.end: 2,
            self.allocate: 1,
        }
        [step] = self.rng.choices(list(steps), list(steps.values()))
        step()
        if self.rng.random() < 0.04:
            self.side.restart()
        self.compare()

    def compare(self) -> None:
        """Lanes, the next lane, and what is best."""
        data, manager = self.side.data(ACCOUNT), self.manager
        lanes = {n: (x["redeemed"], x["nonce"]) for n, x in data["lanes"].items()}
        assert lanes == manager.lanes()
        assert data["next_lane"] == manager.next_lane
        assert self.side.best() == manager.best()

    def receive(self) -> None:
        """A voucher comes, perhaps for the second time, perhaps with another signature."""
        rng = self.rng
        if self.papers and rng.random() < 0.2:
            one, signer = rng.choice(self.papers)
        else:
            one, signer = self.paper()
        if one.signature is not None and rng.random() < 0.1:
            one, signer = one._replace(signature=Signature(1, bytes(65))), "nobody"
        elif one.signature is not None and rng.random() < 0.05:
            one, signer = one._replace(signature=Signature(2, one.signature.data)), "nobody"
        least = rng.choice((0, 0, 0, 3))
        wanted = self.manager.add(one, signer, least)
        self.side.receive(one, least)
        entry = [x for x in self.side.entries() if x.get("event") in ("accepted", "refused")][-1]
        params = entry["params"]
        told = (
            params.get("reason", "ok"),
            int(params.get("delta", 0)),
            int(params.get("shortfall", 0)),
        )
        assert told == wanted, (one, signer)
        self.papers.append((one, signer))

    def paper(self) -> tuple[SignedVoucher, str]:
        rng = self.rng
        fields: dict[str, Any] = {}
        if rng.random() < 0.1:
            fields["time_lock_min"] = rng.choice((-1, 90, 130, 1600))
        if rng.random() < 0.1:
            fields["time_lock_max"] = rng.choice((-1, 110, 140, 2000))
        if rng.random() < 0.05:
            fields["secret_pre_image"] = b"\x07" * 32
        if rng.random() < 0.05:
            fields["extra"] = ModVerifyParams("f0103", 7, b"")
        if rng.random() < 0.05:
            fields["merges"] = (Merge(1, 9),)
        if rng.random() < 0.1:
            fields["min_settle_height"] = rng.choice((150, 200))
        if rng.random() < 0.05:
            fields["channel"] = rng.choice((OTHER_CHANNEL, "f0102"))
        signers = {"payer": PAYER_SECRET, "payee": PAYEE_SECRET, "stranger": STRANGER_SECRET}
        signer = rng.choice(("payer",) * 8 + ("payee", "stranger", "nobody"))
        lane, amount, nonce = rng.randint(0, 3), rng.randint(0, 20), rng.randint(0, 9)
        one = voucher(lane, amount, nonce, secret=signers.get(signer), **fields)
        return one, signer

    def advance(self) -> None:
        self.manager.head += self.rng.choice((1, 10, 40, 700))
        self.side.head(self.manager.head)

    def look(self) -> None:
        seen: dict[str, Any] = {"balance": self.manager.balance + self.rng.choice((0, 5, 30))}
        if self.rng.random() < 0.2 and not self.manager.settling_at:
            seen["settling_at"] = self.manager.head + 1440
        self.sight(**seen)

    def submit(self) -> None:
        """A message with one of the best is pushed."""
        manager = self.manager
        best = manager.best()
        if not best:
            return
        lane = self.rng.choice(sorted(best))
        one = next(x for x in manager.stored if (x.lane, x.amount) == (lane, best[lane]))
        message = f"m{len(self.side.entries())}"
        self.side.ok(record(one), "submitted", message=message)
        manager.submitted.setdefault(lane, []).append((message, one.nonce))

    def end(self) -> None:
        """A message under way is applied or fails."""
        manager = self.manager
        flying = [(lane, *mark) for lane, marks in manager.submitted.items() for mark in marks]
        if not flying:
            return
        lane, message, nonce = self.rng.choice(flying)
        one = next(x for x in manager.stored if (x.lane, x.nonce) == (lane, nonce))
        manager.submitted[lane].remove((message, nonce))
        redeemed, before = manager.on_chain.get(lane, (0, -1))
        after = manager.to_send + one.amount - redeemed
        if self.rng.random() < 0.5 or nonce <= before or after > manager.balance:
            self.side.send(record(one), "failed", message=message, exit=16)
            return
        manager.to_send = after
        manager.on_chain[lane] = (one.amount, nonce)
        manager.submitted[lane] = [mark for mark in manager.submitted[lane] if mark[1] > nonce]
        self.side.ok(record(one), "applied", message=message)

    def allocate(self) -> None:
        [effect] = self.side.ok(ACCOUNT, "allocate_lane")
        assert effect["lane"] == self.manager.next_lane
        self.manager.next_lane += 1


@pytest.mark.parametrize("part", range(3))
def test_the_account_answers_as_lotus_would(part: int, tmp_path: Path) -> None:
    """Random vouchers, messages, sights of the chain and restarts; replayed when it is over."""
    for seed in range(part, LIVES, 3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        life = Life(folder, seed)
        try:
            for _ in range(STEPS):
                life.step()
        except AssertionError as error:
            error.add_note(f"life of seed {seed}, policy {life.policy}")
            raise
        life.side.close()
