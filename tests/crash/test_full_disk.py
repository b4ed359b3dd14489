"""No space left: a named refusal, nothing half-applied; and on it goes when there is space."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import threading

import pytest
from statetape.engine.engine import Engine
from statetape.fsm.errors import StatetapeError
from statetape.storage.errors import StoreFailed, StoreFull

from tests.crash.audit import ROOT, audited, begin, command
from tests.crash.full_disk import clock, full_for_a_while

NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def pages(engine: Engine, more: int | None) -> None:
    """Let the tape's file grow by so many pages at most."""
    [count] = engine.tape.db.execute("PRAGMA page_count").fetchone()
    limit = 2**30 if more is None else count + more
    engine.tape.db.execute(f"PRAGMA max_page_count = {limit}").fetchone()


def test_a_tape_that_cannot_grow_refuses_and_goes_on_later(tmp_path):
    """SQLite's own limit, met inside the statement that needs the page."""
    found = full_for_a_while(
        tmp_path / "t.db", lambda engine: pages(engine, 8), lambda engine: pages(engine, None)
    )

    assert not found


def mountable() -> bool:
    """Whether this user may mount a file system of his own."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    tried = [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def test_a_file_system_without_space_refuses_and_goes_on_later(tmp_path):
    """ENOSPC from the kernel, wherever a file of the tape wants to grow."""
    if not mountable():
        pytest.skip("this user may not mount a file system")
    argv = [*NAMESPACE, sys.executable, "-m", "tests.crash.full_disk", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def test_a_write_that_the_system_refuses_is_named_and_loses_nothing(tmp_path):
    """A limit on the size of files: no sync failed, yet the outcome counts as unknown."""
    path = tmp_path / "t.db"
    engine = Engine.open(path, clock=clock)
    engine.execute_many(begin())
    acked, refused = {}, []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, before[1]))
    try:
        for number in range(60):
            one = command("s", number)
            try:
                acked[one.key] = engine.execute(one).pos
            except StatetapeError as error:
                refused.append((one.key, error.code))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    engine.abandon()

    assert {code for _, code in refused} <= {"outcome-unknown", "store-failed", "tape-poisoned"}
    assert refused
    found, _ = audited(path, acked, [key for key, _ in refused], clock=clock)
    assert not found


def test_a_command_is_not_blamed_for_an_anchor_that_cannot_be_written(tmp_path):
    """It is durable, and its sender is told so; the next one hears of the anchor."""
    path = tmp_path / "t.db"
    anchor = tmp_path / "elsewhere" / "anchor"
    anchor.parent.mkdir()
    engine = Engine.open(path, anchor=anchor, clock=clock)
    engine.execute_many(begin())
    engine.anchor_every_s = 0
    shutil.rmtree(anchor.parent)
    answers: list[object] = []

    def send(number: int) -> None:
        answers.append(engine.execute_many([command("s", number)])[0])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    told = [answer for answer in answers if isinstance(answer, StoreFailed)]
    size = engine.tape.size
    engine.abandon()

    assert len(answers) == 6
    assert 1 <= len(told) <= 5
    anchor.parent.mkdir()
    with Engine.open(path, anchor=anchor, clock=clock, new_anchor=True) as again:
        assert again.tape.size == size


def test_opening_on_a_full_disk_is_refused_by_name(tmp_path):
    """Not a byte can be written: no key, no lock, no tape, and no trace of one."""
    path = tmp_path / "t.db"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises((StoreFailed, StoreFull)):
            Engine.open(path, clock=clock)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    Engine.open(path, clock=clock).close()
