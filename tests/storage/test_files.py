"""The files beside a tape: the lock between processes, and files that are replaced whole."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from statetape.engine.commands import Send
from statetape.storage.errors import FilesOverlap, StoreFailed, TapeBusy
from statetape.storage.files import Files, Lock, read_small, replace
from statetape.storage.reader import Reader

from tests.crash.powercut import missing, record_python

from .tapes import FIRST, append, new_tape, open_engine, open_tape, seeded, small_tape

HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path):
    """Another process holds the lock of the tape at `path`."""
    argv = [sys.executable, "-c", HOLDER, str(Files.of(path).lock)]
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        holder.communicate()


def test_a_tape_that_another_process_holds_is_busy_after_the_timeout(tmp_path):
    """Not before; nothing is stored; and when the other lets go, the same handle goes on."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    tape = open_tape(path, timeout_s=0.05)
    with held(path):
        started = time.monotonic()
        with pytest.raises(TapeBusy, match=r"held the tape for 0\.05 s") as busy:
            tape.take()
        assert 0.05 <= time.monotonic() - started < 5
        with pytest.raises(TapeBusy):
            tape.move_wal(whole=True)
    assert busy.value.exit_status == 75
    append(tape, b"next")

    assert list(tape.read()) == [FIRST, b"next"]
    tape.close()


def test_opening_a_tape_that_another_process_holds_is_busy_too(tmp_path):
    """As long as it does."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    with held(path), pytest.raises(TapeBusy):
        open_tape(path, timeout_s=0.02)

    open_tape(path).close()


def test_a_command_to_a_busy_tape_can_be_sent_again(tmp_path):
    """The engine's world is as before; nothing of the first try was kept."""
    path = tmp_path / "t.db"
    small_tape(path)
    with open_engine(path, timeout_s=0.02) as engine:
        size = engine.tape.size
        send = Send("tests.gate/a", "visit", {"text": "hm"}, key="busy")
        with held(path):
            with pytest.raises(TapeBusy):
                engine.execute(send)
            assert [type(answer) for answer in engine.execute_many([send, send])] == [TapeBusy] * 2
        assert engine.execute(send).outcome == "deferred"
        assert engine.execute(send).outcome == "duplicate"
        assert engine.tape.size == size + 1


def test_readers_do_not_wait_for_the_lock(tmp_path):
    """Looking at a tape is possible while somebody writes."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    with held(path), Reader.open(Files.of(path)) as reader:
        assert list(reader.read()) == [FIRST]


def test_the_lock_may_be_taken_again_by_its_holder(tmp_path):
    """And is free when it was given back as often."""
    first = Lock(tmp_path / "lock", 0.01)
    second = Lock(tmp_path / "lock", 0.01)
    first.acquire()
    first.acquire()
    first.release()
    with pytest.raises(TapeBusy):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    first.close()
    first.close()
    second.close()


def test_the_lock_says_who_wrote_last(tmp_path):
    """A holder need not look at the tape again while its own mark stands; any other must."""
    first, second = Lock(tmp_path / "lock", 1), Lock(tmp_path / "lock", 1)

    assert [first.others_wrote(), first.others_wrote()] == [True, False]
    assert [second.others_wrote(), second.others_wrote()] == [True, False]
    assert [first.others_wrote(), second.others_wrote()] == [True, True]
    first.close()
    second.close()


def test_a_replaced_file_has_the_new_content(tmp_path):
    """And no temporary one stays behind; one that a crash left is overwritten."""
    path = tmp_path / "anchor"
    (tmp_path / "anchor.new").write_bytes(b"left by a crash, and longer than the new content")
    replace(path, b"one")
    replace(path, b"two")

    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["anchor"]
    with pytest.raises(StoreFailed):
        replace(tmp_path / "nowhere" / "anchor", b"x")
    with pytest.raises(StoreFailed):
        replace(tmp_path, b"x")


def test_a_small_file_is_read_with_a_bound(tmp_path):
    """A byte more than the bound shows that it is longer; no file is None; a directory an error."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)

    assert read_small(path, 10) == b"x" * 11
    assert read_small(tmp_path / "none", 10) is None
    with pytest.raises(StoreFailed):
        read_small(tmp_path, 10)


REPLACING = """
    from pathlib import Path
    from statetape.storage.files import replace
    acks = os.open("acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in range(8):
        content = b"%d" % number * 3000
        {how}
        os.write(acks, b"%d\\n" % number)
"""
SAFELY = 'replace(Path("anchor"), content)'
NAIVELY = 'Path("anchor").write_bytes(content)'


def unexplained(how: str, tmp_path, rng: random.Random) -> list[str]:
    """Descriptions of the images in which the file is not one of those that may be there."""
    live = tmp_path / how[:7]
    live.mkdir()
    trace = record_python(REPLACING.format(how=how), live)
    contents = [b"%d" % number * 3000 for number in range(8)]
    bad = []
    for description, acks, materialise in trace.images(rng, per_mode=100):
        materialise(tmp_path / "image")
        found = read_small(tmp_path / "image" / "anchor", 10_000)
        allowed = [*contents[max(0, len(acks) - 1) : len(acks) + 1], *([] if acks else [None])]
        if found not in allowed:
            bad.append(description)
    return bad


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_power_cut_leaves_the_old_content_or_the_new(tmp_path):
    """Never a mixture, an empty file or none; and the new one once `replace` returned."""
    assert not unexplained(SAFELY, tmp_path, seeded("replace"))


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_file_that_is_simply_overwritten_is_not_safe(tmp_path):
    """Negative control."""
    assert unexplained(NAIVELY, tmp_path, seeded("replace"))


@pytest.mark.parametrize(
    ("anchor", "key"),
    [
        ("t.db", None),
        (None, "t.db"),
        ("other", "other"),
        ("./t.db", None),
        ("link", None),
        ("t.db.lock", None),
        ("t.db-wal", None),
        ("t.db.new", None),
        (None, "t.db.anchor.new"),
    ],
)
def test_files_that_would_overwrite_each_other_are_refused(tmp_path, monkeypatch, anchor, key):
    """Before anything is made; and apart they are taken."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("t.db")
    with pytest.raises(FilesOverlap):
        open_engine("t.db", anchor=anchor, key=key)

    assert [path.name for path in tmp_path.iterdir()] == ["link"]
    open_engine("t.db", anchor="a", key="k").close()
