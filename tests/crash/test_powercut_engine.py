"""Power cuts under the real engine: nothing acknowledged is lost, nothing takes effect twice.

Promises 1 and 4. The same workload with synchronous=OFF is the negative control. POWERCUT_PER_MODE
and STATETAPE_SEED say how many images and which.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest
from statetape.engine.engine import Engine

from tests.crash.audit import audited, begin, seeded
from tests.crash.full_disk import clock
from tests.crash.operations import Rename, Sync, Truncate, Unlink
from tests.crash.powercut import Directories, Mode, Trace, missing, record_python

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

PER_MODE = int(os.environ.get("POWERCUT_PER_MODE", "400")) // 20
COMMANDS = 60
WORKLOAD = """
    import sys
    sys.path.insert(0, {root!r})
    from statetape.engine import engine as engine_module
    from statetape.engine.commands import Receipt
    from statetape.engine.engine import Engine
    from statetape.storage import tape as tape_module
    from tests.crash.audit import command
    from tests.crash.full_disk import clock
    engine_module.FLUSH_ENTRIES = 25
    tape_module.WAL_BYTES_MAX = 60_000
    acks = os.open("acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for start in range(0, {commands}, 20):
        engine = Engine.open("t.db", clock=clock, synchronous={synchronous!r})
        for number in range(start, start + 20, 2):
            several = [command("s", number), command("s", number + 1)]
            for one, answer in zip(several, engine.execute_many(several), strict=True):
                os.write(acks, f"{{one.key}} {{answer.pos}}\\n".encode())
            if number % 8 == 0:
                engine.anchor()
        engine.close()
    os.unlink("t.db.lock")  # it was changed through a memory map, which the recorder does not see
"""


@pytest.fixture(scope="module")
def workload(tmp_path_factory) -> Callable[[str], Trace]:
    """The recorded workload on a tape that is there already, once for each `synchronous`."""

    @cache
    def recorded(synchronous: str) -> Trace:
        folder = tmp_path_factory.mktemp(synchronous)
        with Engine.open(folder / "t.db", clock=clock) as engine:
            engine.execute_many(begin())
        root = str(os.getcwd())
        script = WORKLOAD.format(root=root, commands=COMMANDS, synchronous=synchronous)
        return record_python(script, folder)

    return recorded


def judged(trace: Trace, folder, model=Directories.STRICT, modes=tuple(Mode)) -> Counter[str]:
    """What is wrong after cuts of every mode; commands that may be in flight are repeated."""
    found: Counter[str] = Counter()
    images = trace.images(seeded("cut"), per_mode=PER_MODE, directories=model, modes=modes)
    for description, acks, materialise in images:
        materialise(folder)
        acked = {key: int(pos) for key, pos in (line.split() for line in acks)}
        keys = [f"s-{number}" for number in range(max(0, len(acked) - 4), len(acked) + 4)]
        problems, _ = audited(folder / "t.db", acked, keys, clock=clock)
        found["sound" if not problems else f"{problems[0]} ({description})"] += 1
    return found


def test_the_workload_does_what_makes_cuts_dangerous(workload):
    """Without these calls the tests below would pass vacuously."""
    trace = workload("FULL")

    assert len(trace.acks) == COMMANDS
    assert len(trace.of(Sync)) > COMMANDS / 2
    assert len(trace.of(Rename)) > 5
    assert trace.of(Truncate)
    assert trace.of(Unlink)


@pytest.mark.parametrize("model", Directories)
def test_nothing_acknowledged_is_lost_and_nothing_takes_effect_twice(workload, model, tmp_path):
    """Commits, flushes, anchors, moving the WAL, closing and opening again."""
    found = judged(workload("FULL"), tmp_path, model)

    assert found == {"sound": PER_MODE * len(Mode)}, found.most_common(5)


def test_without_syncs_acknowledged_entries_are_lost(workload, tmp_path):
    """Negative control: synchronous=OFF, and the same audit finds what is missing."""
    found = judged(workload("OFF"), tmp_path, modes=[Mode.DROP, Mode.TORN])

    assert found.total() - found["sound"] > PER_MODE / 2
    assert any("was acknowledged" in what or "tape-rolled-back" in what for what in found)
