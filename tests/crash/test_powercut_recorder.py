"""The simulator against the production driver: what FULL keeps, NORMAL loses and OFF destroys.

A crash test that cannot fail proves nothing, so NORMAL and OFF are permanent negative controls, and
each recording is checked to have seen the calls it is about.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

from tests.crash import powercut
from tests.crash.operations import (
    Link,
    Operation,
    Sync,
    SyncDirectory,
    Truncate,
    Unlink,
    Write,
)
from tests.crash.powercut import Directories, Image, Mode, Trace, missing, record, record_python
from tests.crash.raw_writer import DATABASE, payload

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

WRITER = Path(__file__).with_name("raw_writer.py")
ROWS = 60
SEED = int(os.environ.get("POWERCUT_SEED", "1"))
PER_MODE = int(os.environ.get("POWERCUT_PER_MODE", "400"))

Recorder = Callable[[str], Trace]
"""Records the workload at one value of PRAGMA synchronous."""


@pytest.fixture(scope="module")
def workload(tmp_path_factory) -> Recorder:
    """The recorded workload, once for each value of `synchronous`."""

    @cache
    def recorded(synchronous: str) -> Trace:
        directory = tmp_path_factory.mktemp(synchronous)
        return record([sys.executable, WRITER, directory, synchronous, str(ROWS)], directory)

    return recorded


def verdict(database: Path, acks: tuple[str, ...]) -> str:
    """ "ok", "lost" (valid, but without an acknowledged row) or "corrupt"."""
    rows: list[tuple[int, bytes]] = []
    if database.exists():
        try:
            with closing(sqlite3.connect(database)) as connection:
                if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                    return "corrupt"
                if connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
                    rows = connection.execute("SELECT seq, body FROM rows ORDER BY seq").fetchall()
        except sqlite3.DatabaseError:
            return "corrupt"
    if rows != [(seq, payload(seq)) for seq in range(1, len(rows) + 1)]:
        return "corrupt"
    return "lost" if len(rows) < len(acks) else "ok"


def judged(images: Iterable[Image], directory: Path) -> dict[str, list[str]]:
    """Descriptions of the images, by verdict."""
    found: dict[str, list[str]] = {"ok": [], "lost": [], "corrupt": []}
    for description, acks, materialise in images:
        materialise(directory)
        found[verdict(directory / DATABASE, acks)].append(description)
    return found


def test_every_call_by_which_sqlite_changes_files_is_recorded(workload):
    """pwrite64, fdatasync, ftruncate, unlink, open64, and fsync of the directory; and the acks."""
    trace = workload("FULL")
    created = [link.path for link in trace.of(Link)]

    assert created[:3] == [DATABASE, f"{DATABASE}-journal", f"{DATABASE}-wal"]
    assert len(trace.of(Write)) >= 3 * ROWS
    assert len(trace.of(Sync)) >= ROWS
    assert len(trace.of(SyncDirectory)) >= 2
    assert len(trace.of(Truncate)) >= 2
    assert len(trace.of(Unlink)) >= 2
    assert trace.acks == tuple(str(seq) for seq in range(1, ROWS + 1))


@pytest.mark.parametrize("model", Directories)
def test_full_loses_no_acknowledged_row_and_is_never_corrupt(workload, model, tmp_path):
    """Promise of synchronous=FULL, also where directory entries are only durable when synced."""
    rng = random.Random(SEED)
    found = judged(workload("FULL").images(rng, per_mode=PER_MODE, directories=model), tmp_path)

    assert not found["lost"] + found["corrupt"], f"seed {SEED}"
    assert len(found["ok"]) == PER_MODE * len(Mode)


def test_normal_loses_acknowledged_rows_but_is_never_corrupt(workload, tmp_path):
    """Negative control: the ack comes before the sync."""
    found = judged(workload("NORMAL").images(random.Random(SEED), per_mode=PER_MODE), tmp_path)

    assert found["lost"], f"seed {SEED}"
    assert not found["corrupt"], f"seed {SEED}"


def test_off_loses_rows_and_corrupts(workload, tmp_path):
    """Negative control: nothing is ever synced."""
    trace = workload("OFF")
    found = judged(trace.images(random.Random(SEED), per_mode=PER_MODE), tmp_path)

    assert not trace.of(Sync)
    assert found["lost"], f"seed {SEED}"
    assert found["corrupt"], f"seed {SEED}"


def without(trace: Trace, omitted: Callable[[Operation], bool]) -> Trace:
    """The trace of a defective program, which does not make the `omitted` syncs."""
    kept = [step for step in trace.operations if not omitted(step)]
    # `covers` counts operations: here each sync covers all that came before it, as one thread ran.
    operations = tuple(
        dataclasses.replace(step, covers=index) if isinstance(step, Sync | SyncDirectory) else step
        for index, step in enumerate(kept)
    )
    return dataclasses.replace(trace, operations=operations)


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_file_that_is_never_synced_is_noticed(workload, suffix, tmp_path):
    """Negative control: the database before the WAL restarts, and the WAL at each commit."""
    trace = workload("FULL")
    files = {link.file for link in trace.of(Link) if link.path == DATABASE + suffix}
    defective = without(trace, lambda step: isinstance(step, Sync) and step.file in files)
    found = judged(defective.images(random.Random(SEED), per_mode=100), tmp_path)

    assert found["lost"] + found["corrupt"], f"seed {SEED}"


def test_directory_syncs_that_are_missing_are_noticed_in_the_strict_model(workload, tmp_path):
    """Negative control: rows are lost with their file. The journalled model forgives it."""
    defective = without(workload("FULL"), lambda step: isinstance(step, SyncDirectory))
    found = {
        model: judged(
            defective.images(random.Random(SEED), per_mode=100, directories=model), tmp_path
        )
        for model in Directories
    }

    assert found[Directories.STRICT]["lost"], f"seed {SEED}"
    assert not found[Directories.JOURNALLED]["lost"], f"seed {SEED}"


def test_a_second_cut_during_recovery_loses_nothing(workload, tmp_path):
    """An image is a directory like any other: its recovery can be recorded and cut again."""
    rng = random.Random(SEED)
    first = list(workload("FULL").images(rng, per_mode=2, modes=[Mode.MIXED, Mode.TORN]))
    script = f"""
        import sqlite3
        database = sqlite3.connect({DATABASE!r})
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
    """
    operations = 0
    for number, (description, acks, materialise) in enumerate(first):
        directory = tmp_path / str(number)
        materialise(directory)
        trace = record_python(script, directory)
        operations += len(trace.operations)
        for again, _, rematerialise in trace.images(rng, per_mode=20):
            rematerialise(tmp_path / "again")
            found = verdict(tmp_path / "again" / DATABASE, acks)
            assert found == "ok", f"seed {SEED}: {description}, then {again}"

    assert operations


def test_the_trace_of_a_killed_child_is_whole(tmp_path):
    """SIGKILL while other threads write: all that was acknowledged is in the trace."""
    live = tmp_path / "live"
    live.mkdir()
    trace = record_python(
        f"""
        import signal, sys, threading
        sys.path.insert(0, {str(WRITER.parent)!r})
        import raw_writer
        from pathlib import Path
        def scribble(name):
            file = os.open(name, os.O_WRONLY | os.O_CREAT)
            while True:
                os.pwrite(file, b"scribble" * 1000, 0)
                os.fsync(file)
        for name in ("a", "b"):
            threading.Thread(target=scribble, args=[name], daemon=True).start()
        raw_writer.main(Path("."), "FULL", 30)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        live,
        returncode=-signal.SIGKILL,
    )
    found = judged(trace.images(random.Random(SEED), per_mode=100), tmp_path / "image")

    assert len(trace.acks) == 30
    assert not found["lost"] + found["corrupt"], f"seed {SEED}"


def test_equal_seeds_give_equal_images(workload, tmp_path):
    """A failure can be repeated, whether or not the images before it were materialised."""

    def drawn() -> list[Image]:
        return list(workload("OFF").images(random.Random(SEED), per_mode=40))

    first, second = drawn(), drawn()
    first[-1].materialise(tmp_path / "first")
    second[-1].materialise(tmp_path / "second")

    assert [image[:2] for image in first] == [image[:2] for image in second]
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_without_a_compiler_the_reason_is_stated(monkeypatch):
    """These tests then skip with it."""
    monkeypatch.setattr(powercut.shutil, "which", lambda _name: None)

    assert "C compiler" in missing()
