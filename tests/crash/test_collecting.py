"""Dying while entries are collected: a batch went whole or not at all, and a second try ends it.

Promises 1, 2 and 4. A child is killed (SIGKILL) as it is about to run one SQL statement or another
of collecting, shrinking and rewriting the file; and the power is cut anywhere in it.
STATETAPE_CRASH_TRIALS says at how many statements, POWERCUT_PER_MODE how many images.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from statetape.engine import collection
from statetape.engine.commands import Create, Send
from statetape.engine.engine import Engine
from statetape.engine.replay import Collected, Replayer
from statetape.engine.verify import verify
from statetape.fsm.tombstone import positions_of
from statetape.storage import collection as storage
from statetape.storage.files import Files
from statetape.storage.merkle import leaf_hashes
from statetape.storage.reader import Reader

from tests.crash.audit import ROOT, seeded
from tests.crash.powercut import Mode, missing, record_python
from tests.engine.jobs import HOUR, JOB
from tests.engine.machines import SECOND, START

TRIALS = int(os.environ.get("STATETAPE_CRASH_TRIALS", "40"))
PER_MODE = int(os.environ.get("POWERCUT_PER_MODE", "400")) // 20
JOBS = 24
BATCH = 30
"""Entries per batch: there are several."""


def now() -> int:
    """A clock that stands, long after everything ended."""
    return START + 3 * HOUR * SECOND


def then() -> int:
    """A clock that stands, when everything ended."""
    return START


def make(path: Path) -> list[bytes]:
    """Make a closed tape with jobs that are over; returns the leaf hashes of its entries."""
    with Engine.open(path, clock=then) as engine:
        names = [f"tests.job/{number}" for number in range(JOBS)]
        engine.execute_many([Create(JOB, name, {"note": name}, key="new") for name in names])
        for number in range(4):
            engine.execute_many([Send(name, "add", {}, key=f"k{number}") for name in names])
        engine.anchor()
        engine.execute_many([Send(name, "finish") for name in names])
        engine.create(JOB, "pad", {"note": "what fills the last block"})
        engine.execute_many([Send("tests.job/pad", "add")] * 300)
        return leaf_hashes(list(engine.tape.read()))


def collect(path: Path) -> int:
    """Collect, and shrink; returns how many entries went."""
    with Engine.open(path, clock=now) as engine:
        options = {"shrinking": True, "uncosigned": True, "batch_entries": BATCH}
        return collection.collect(engine, **options).entries


def killed_at(path: Path, number: int) -> bool:
    """Whether a child that collects came to its `number`th statement, at which it is killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            engine = Engine.open(path, clock=now)
            left = number

            def traced(_statement: str) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            engine.tape.db.set_trace_callback(traced)
            options = {"shrinking": True, "uncosigned": True, "batch_entries": BATCH}
            collection.collect(engine, **options)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def problems(path: Path, leaves: list[bytes]) -> list[str]:
    """What is wrong with a tape that was being collected from."""
    with Reader.open(Files.of(path)) as reader:
        found = [f"{one.place}: {one.message}" for one in verify(reader)]
        stones = list(collection.stones_of(reader))
        present = reader.query("SELECT count(*) FROM entry WHERE pos <= ?", (len(leaves),))[0][0]
        went = sum(len(positions_of(stone)) for stone in stones)
        if present + went != len(leaves):
            found.append(f"{present} entries are there and {went} went, of {len(leaves)}")
        if any(len(positions_of(stone)) != stone.seq for stone in stones):
            found.append("an instance went in part")
        if reader.minimum_index == 0 and reader.leaves(1, len(leaves)) != leaves:
            found.append("leaf hashes are not what they were")
        if Replayer(collected=Collected(stones)).run(reader.read()).difference is not None:
            found.append("it does not replay")
    return found


def statements(path: Path) -> int:
    """How many statements collecting runs, by a child that is never killed."""
    least, beyond = 1, 1 << 14
    content = {name: name.read_bytes() for name in path.parent.iterdir()}
    while beyond - least > 1:
        middle = (least + beyond) // 2
        if killed_at(path, middle):
            least = middle
        else:
            beyond = middle
        restore(content)
    return least


def restore(content: dict[Path, bytes]) -> None:
    """Bring the files of a tape back."""
    for name in next(iter(content)).parent.iterdir():
        if name not in content:
            name.unlink()
    for name, stored in content.items():
        name.write_bytes(stored)


def test_a_collection_that_is_killed_at_any_statement_went_whole_or_not_at_all(tmp_path):
    """And is ended by the next one; nothing that was asked before takes effect twice."""
    folder = tmp_path / "tape"
    folder.mkdir()
    path = folder / "t.db"
    leaves = make(path)
    content = {name: name.read_bytes() for name in folder.iterdir()}
    count = statements(path)
    rng = seeded("statements")
    chosen = sorted(rng.sample(range(1, count + 1), min(TRIALS, count)))
    gone: Counter[int] = Counter()
    for number in chosen:
        assert killed_at(path, number)
        assert problems(path, leaves) == [], f"killed at statement {number}"
        with Reader.open(Files.of(path)) as reader:
            gone[len({stone.pos for stone in collection.stones_of(reader)})] += 1
        if number % 3 == 0:
            collect(path)
            assert problems(path, leaves) == []
            with Engine.open(path, clock=now) as engine:
                assert len({stone.pos for stone in collection.stones_of(engine.tape)}) == JOBS
                again = [Send("tests.job/0", "add", {}, key="k0"), Send("tests.job/pad", "add")]
                refused, _ = engine.execute_many(again)
                assert refused.reason == {"kind": "collected_instance"}
        restore(content)

    assert len(gone) > 2, gone  # the deaths fell between batches too


def test_half_a_collection_would_be_found(tmp_path):
    """Negative control: entries that went without the entry that says so."""
    path = tmp_path / "t.db"
    leaves = make(path)
    with Engine.open(path, clock=now) as engine:
        tape = engine.tape
        tape.take()
        prepared = storage.prepare(tape, [5, 6])
        tape.write((), lambda: storage.remove(tape, prepared))
        tape.give()
        engine.abandon()

    assert "entry 5: it is gone, and no entry says that it was collected" in problems(path, leaves)


WORKLOAD = """
    import sys
    sys.path.insert(0, {root!r})
    from pathlib import Path
    from tests.crash.test_collecting import collect
    collect(Path("t.db"))
    os.unlink("t.db.lock")  # it was changed through a memory map, which the recorder does not see
"""


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_power_cut_within_a_collection_leaves_whole_batches(tmp_path):
    """Batches, shrinking, the rewritten file, the emptied WAL: every image verifies."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    leaves = make(folder / "t.db")
    (folder / "t.db.lock").unlink()
    trace = record_python(WORKLOAD.format(root=str(ROOT)), folder)
    found: Counter[str] = Counter()
    gone: Counter[int] = Counter()
    images = trace.images(seeded("cut"), per_mode=max(4, PER_MODE // 2), modes=tuple(Mode))
    for description, _, materialise in images:
        target = tmp_path / "image"
        materialise(target)
        Engine.open(target / "t.db", clock=now).close()
        wrong = problems(target / "t.db", leaves)
        found[f"{wrong[0]} ({description})" if wrong else "sound"] += 1
        with Reader.open(Files.of(target / "t.db")) as reader:
            gone[len({stone.pos for stone in collection.stones_of(reader)})] += 1

    assert set(found) == {"sound"}, found.most_common(3)
    assert len(gone) > 2, gone
