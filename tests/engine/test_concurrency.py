"""Commands from several threads and from asyncio: each answered after its sync, none lost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading

import pytest
from statetape.engine.commands import Create, Send
from statetape.engine.committer import Job
from statetape.engine.replay import Replayer
from statetape.engine.verify import verify
from statetape.storage.errors import OutcomeUnknown, TapePoisoned

from .machines import machine, open_tape

TALLY = machine("""
machine: test.tally
version: 1
title: It counts
data: {count: int = 0}
states:
  open: {initial: true}
  shut: {final: true}
events:
  add:
    params: {by: int = 1}
    require:
      - that: by > 0
        else: {reason: NOT_POSITIVE}
    set: {count: count + by}
    go: [{from: open}]
  close:
    go: [{from: open, to: shut}]
""")


def count(engine, name="test.tally/a"):
    """Return the tally."""
    return engine.world.instance(name).data["count"]


def sound(engine):
    """Whether the tape verifies and replays, with dense positions and sequence numbers."""
    entries = [json.loads(body) for body in engine.tape.read()]
    assert [entry["pos"] for entry in entries] == list(range(1, len(entries) + 1))
    assert Replayer().run(engine.tape.read()).difference is None
    engine.flush()
    assert verify(engine.tape) == []


def test_threads_lose_nothing(tmp_path):
    """Eight threads, one tally: every receipt has a position of its own, and the sum is right."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TALLY, "a")
        receipts = []

        def work():
            for _ in range(50):
                receipts.append(engine.send("test.tally/a", "add"))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert count(engine) == 400
        assert sorted(receipt.seq for receipt in receipts) == list(range(2, 402))
        sound(engine)


def test_a_loop_shares_syncs(tmp_path):
    """A hundred commands in flight take far fewer commits than commands."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TALLY, "a")
        commits = []
        engine.after_commit = lambda: commits.append(1)

        async def main():
            sends = [engine.send_async("test.tally/a", "add") for _ in range(100)]
            return await asyncio.gather(*sends)

        receipts = asyncio.run(main())

        assert count(engine) == 100
        assert sorted(receipt.seq for receipt in receipts) == list(range(2, 102))
        assert len(commits) < 50
        sound(engine)


def test_threads_and_a_loop_together(tmp_path):
    """Both lead by turns; nothing is lost or doubled."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TALLY, "a")

        def work():
            for _ in range(50):
                engine.send("test.tally/a", "add")

        async def main():
            for _ in range(10):
                await asyncio.gather(*(engine.send_async("test.tally/a", "add") for _ in range(20)))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        asyncio.run(main())
        for thread in threads:
            thread.join()

        assert count(engine) == 350
        sound(engine)


def test_errors_reach_the_one_who_asked(tmp_path):
    """In a shared commit each caller gets its own outcome: receipt, refusal or error."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TALLY, "a")

        async def main():
            return await asyncio.gather(
                engine.send_async("test.tally/a", "add"),
                engine.send_async("test.tally/a", "add", {"by": -1}),
                engine.send_async("test.tally/a", "add", {"by": 0.5}),
                return_exceptions=True,
            )

        good, refused, failed = asyncio.run(main())

        assert (good.outcome, refused.outcome) == ("accepted", "rejected")
        assert type(failed).__name__ == "ValueInvalid"
        assert count(engine) == 1


def test_many_at_a_time_from_a_loop(tmp_path):
    """`execute_many_async` answers in the order of its commands."""
    with open_tape(tmp_path / "t.db") as engine:

        async def main():
            begin = [Create(TALLY, f"test.tally/{i}") for i in range(5)]
            return await engine.execute_many_async(
                begin + [Send(f"test.tally/{i}", "add", {"by": i + 1}) for i in range(5)]
            )

        receipts = asyncio.run(main())

        assert [receipt.seq for receipt in receipts] == [1] * 5 + [2] * 5
        assert [count(engine, f"test.tally/{i}") for i in range(5)] == [1, 2, 3, 4, 5]


def test_a_cancelled_waiter_changes_nothing_for_the_others(tmp_path):
    """A task that stops waiting does not stop its command, nor anybody else's."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TALLY, "a")

        async def main():
            first = engine.send_async("test.tally/a", "add")
            second = engine.send_async("test.tally/a", "add")
            first.cancel()
            return await second

        receipt = asyncio.run(main())

        assert receipt.outcome == "accepted"
        assert count(engine) == 2


def test_what_is_queued_is_finished_at_close(tmp_path):
    """Commands that were submitted before closing are durable after it."""
    path = tmp_path / "t.db"

    async def main():
        engine = open_tape(path)
        engine.create(TALLY, "a")
        futures = [engine.send_async("test.tally/a", "add") for _ in range(10)]
        engine.close()
        return await asyncio.gather(*futures)

    assert len(asyncio.run(main())) == 10
    with open_tape(path) as engine:
        assert count(engine) == 10


def test_a_closed_engine_takes_nothing(tmp_path):
    """Closing twice does nothing; a command afterwards is refused by name."""
    engine = open_tape(tmp_path / "t.db")
    engine.create(TALLY, "a")
    engine.close()
    engine.close()

    with pytest.raises(TapePoisoned):
        engine.send("test.tally/a", "add")


CLOSED_BY_ANOTHER = """
import sys, threading
from statetape.engine.engine import Engine
from statetape.storage.errors import TapePoisoned

engine = Engine.open(sys.argv[1])
begun = threading.Barrier(5)
acknowledged, refused = [], []

def work():
    sent = 0
    while True:
        try:
            acknowledged.append(engine.send("test.tally/a", "add").pos)
        except TapePoisoned as error:
            refused.append(error)
            return
        sent += 1
        if sent == 20:
            begun.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
begun.wait()
engine.close()
for thread in threads:
    thread.join()
print(len(refused), max(acknowledged))
"""


def test_closing_in_the_middle_of_sending_threads(tmp_path):
    """Each sender is refused by name, what was acknowledged is there, and the tape is sound."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(TALLY, "a")
    for _ in range(5):
        run = [sys.executable, "-c", CLOSED_BY_ANOTHER, str(path)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        refused, last = map(int, done.stdout.split())
        assert refused == 4
        with open_tape(path) as engine:
            assert engine.tape.size >= last
            sound(engine)


def test_a_loop_is_refused_as_often_as_it_asks_a_closed_engine(tmp_path):
    """No future is left without an answer, whether the worker ran before or not."""

    async def ask(engine, before):
        if before:
            await engine.send_async("test.tally/a", "add")
        engine.close()
        sent = [engine.send_async("test.tally/a", "add") for _ in range(3)]
        answers = await asyncio.wait_for(asyncio.gather(*sent, return_exceptions=True), 30)
        with pytest.raises(TapePoisoned):
            await asyncio.wait_for(engine.send_async("test.tally/a", "add"), 30)
        return answers

    for before in (False, True):
        engine = open_tape(tmp_path / f"{before}.db")
        engine.create(TALLY, "a")
        answers = asyncio.run(ask(engine, before))
        assert [type(answer) for answer in answers] == [TapePoisoned] * 3


@pytest.mark.parametrize("end", ["close", "abandon"])
def test_an_ended_engine_refuses_everything_by_name(tmp_path, end):
    """Also what is no command; closing once more does nothing."""
    engine = open_tape(tmp_path / "t.db")
    engine.create(TALLY, "a")
    getattr(engine, end)()
    for asked in (
        lambda: engine.send("test.tally/a", "add"),
        lambda: engine.effects("me"),
        lambda: engine.acknowledge("me", 1),
        lambda: engine.adopt([b"{}"]),
        engine.anchor,
        engine.flush,
    ):
        with pytest.raises(TapePoisoned):
            asked()
    engine.close()


def test_a_bug_in_a_function_spoils_its_batch_and_no_more(tmp_path, monkeypatch):
    """An unforeseen exception rolls the world back, and the engine goes on."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TALLY, "a")
        run = engine.ledger.run

        def broken(command, now):
            receipt = run(command, now)
            if isinstance(command, Send) and command.by == "the bug":
                raise RuntimeError("a bug")
            return receipt

        monkeypatch.setattr(engine.ledger, "run", broken)
        size = engine.tape.size
        with pytest.raises(RuntimeError):
            engine.send("test.tally/a", "add", by="the bug")
        monkeypatch.undo()

        assert engine.tape.size == size
        assert count(engine) == 0
        assert engine.send("test.tally/a", "add").seq == 2
        sound(engine)


def test_an_interrupt_of_the_leader_leaves_nobody_waiting(tmp_path, monkeypatch):
    """Whose batch it was hears that the outcome is unknown; the next command goes through."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TALLY, "a")
        run = engine.ledger.run

        def interrupted(command, now):
            run(command, now)
            raise KeyboardInterrupt

        monkeypatch.setattr(engine.ledger, "run", interrupted)
        [led, followed] = [Job(Send("test.tally/a", "add")) for _ in range(2)]
        engine.committer._queue.extend([led, followed])
        with pytest.raises(KeyboardInterrupt):
            engine.committer._wait(led)
        monkeypatch.undo()

        assert followed.done
        with pytest.raises(OutcomeUnknown):
            followed.result()
        assert engine.send("test.tally/a", "add").seq == 2
        sound(engine)
