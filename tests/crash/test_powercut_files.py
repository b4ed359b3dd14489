"""Files and directories under the recorder, without SQLite: renames, unlinks, threads, blind spots.

These are the rules that checkpoint files, anchors and bundles must obey: write a temporary file,
sync it, rename it, sync the directory.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.crash.operations import Rename
from tests.crash.powercut import Directories, Trace, TraceError, missing, record_python

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

SEED = int(os.environ.get("POWERCUT_SEED", "1"))

OLD, NEW = b"old" * 1000, b"new" * 1000

REPLACE = """
    file = os.open("state.tmp", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(file, b"new" * 1000)
    {sync}
    os.close(file)
    os.rename("state.tmp", "state")
    {sync_directory}
    os.write(os.open("acks", os.O_WRONLY | os.O_CREAT), b"replaced\\n")
"""
SYNC_DIRECTORY = 'os.fsync(os.open(".", os.O_RDONLY))'


def contents(
    trace: Trace, path: Path, name: str, model: Directories = Directories.STRICT
) -> dict[bytes | None, set[int]]:
    """Every content of one file found in images (None: absent), with the numbers of acks then."""
    found: dict[bytes | None, set[int]] = {}
    for _, acks, materialise in trace.images(random.Random(SEED), directories=model):
        materialise(path)
        content = (path / name).read_bytes() if (path / name).exists() else None
        found.setdefault(content, set()).add(len(acks))
    return found


@pytest.fixture
def live(tmp_path) -> Path:
    """A directory with a durable file `state`."""
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "state").write_bytes(OLD)
    return tmp_path / "live"


@pytest.mark.parametrize("model", Directories)
def test_a_synced_file_replaces_another_wholly_or_not_at_all(live, tmp_path, model):
    """After the directory is synced, the new content is there for good."""
    trace = record_python(
        REPLACE.format(sync="os.fsync(file)", sync_directory=SYNC_DIRECTORY), live
    )

    assert len(trace.of(Rename)) == 1
    assert contents(trace, tmp_path / "image", "state", model) == {OLD: {0}, NEW: {0, 1}}


def test_a_rename_may_be_lost_until_the_directory_is_synced(live, tmp_path):
    """Even after everything else was done, and acknowledged."""
    trace = record_python(REPLACE.format(sync="os.fsync(file)", sync_directory=""), live)

    assert contents(trace, tmp_path / "image", "state") == {OLD: {0, 1}, NEW: {0, 1}}


@pytest.mark.parametrize("model", Directories)
def test_a_file_renamed_before_it_is_synced_may_be_torn_or_empty(live, tmp_path, model):
    """The defect that fsync before rename prevents: neither the old nor the new content."""
    trace = record_python(REPLACE.format(sync="", sync_directory=SYNC_DIRECTORY), live)
    found = contents(trace, tmp_path / "image", "state", model)

    assert b"" in found
    assert found.keys() - {None, b"", OLD, NEW}
    assert OLD not in {content for content, acks in found.items() if 1 in acks}


def test_an_unlinked_file_may_return_until_the_directory_is_synced(live, tmp_path):
    """An unlink is an operation like any other."""
    trace = record_python(
        f"""
        os.unlink("state")
        acks = os.open("acks", os.O_WRONLY | os.O_CREAT)
        os.write(acks, b"unlinked\\n")
        {SYNC_DIRECTORY}
        os.write(acks, b"synced\\n")
        """,
        live,
    )

    assert contents(trace, tmp_path / "image", "state") == {OLD: {0, 1}, None: {0, 1, 2}}


def test_a_file_in_a_new_directory_needs_both_directories_synced(live, tmp_path):
    """Syncing a file or its directory does not make the way to it durable."""
    trace = record_python(
        f"""
        os.mkdir("sub")
        file = os.open("sub/file", os.O_WRONLY | os.O_CREAT)
        os.write(file, b"data")
        os.fsync(file)
        os.fsync(os.open("sub", os.O_RDONLY))
        acks = os.open("acks", os.O_WRONLY | os.O_CREAT)
        os.write(acks, b"file and its directory\\n")
        {SYNC_DIRECTORY}
        os.write(acks, b"parent\\n")
        """,
        live,
    )

    assert contents(trace, tmp_path / "image", "sub/file")[None] == {0, 1}


EVERY_WAY = """
    import subprocess, sys
    base = os.open(".", os.O_RDONLY)
    file = os.open("state", os.O_RDWR | os.O_APPEND)
    os.write(file, b"appended")
    os.writev(os.dup(file), [b"one", b"", b"two"])
    os.truncate("state", 3005)
    other = os.open("other", os.O_RDWR | os.O_CREAT, dir_fd=base)
    os.pwrite(other, b"x" * 100, 50)
    os.ftruncate(other, 120)
    os.link("other", "linked", src_dir_fd=base, dst_dir_fd=base)
    os.rename("other", "moved", src_dir_fd=base, dst_dir_fd=base)
    os.write(other, b"after the rename")
    os.link("linked", "gone")
    os.unlink("gone", dir_fd=base)
    os.mkdir("sub")
    os.replace("linked", "sub/linked")
    os.mkdir("empty", dir_fd=base)
    os.rmdir("empty")
    if os.fork() == 0:
        os.write(other, b", in a child")
        os._exit(0)
    os.wait()
    run = "print(open('stdout', 'w').write('buffered'), end='', flush=True)"
    subprocess.run([sys.executable, "-c", run], stdout=other, check=True)
    open("stdout", "w").close()
"""


def test_every_way_to_change_a_file_from_python_is_recorded(live):
    """`record` compares the result with the directory; so this fails if one call goes unseen."""
    trace = record_python(EVERY_WAY, live)
    moved = b"after the rename, in a child8".ljust(50, b"\0") + b"x" * 70

    assert trace.final() == {
        "state": OLD + b"appen",
        "moved": moved,
        "sub/linked": moved,
        "stdout": b"",
    }


def test_a_call_that_the_recorder_does_not_see_is_an_error(live):
    """Else a recording with holes could pass as proof."""
    with pytest.raises(TraceError, match=r"does not see: \['state'\]"):
        record_python(
            """
            import mmap
            with mmap.mmap(os.open("state", os.O_RDWR), 0) as memory:
                memory[:3] = b"new"
            """,
            live,
        )


def test_files_written_by_threads_are_recorded_in_order(tmp_path):
    """Each thread acknowledges what it synced; no image misses an acknowledged block."""
    live = tmp_path / "live"
    live.mkdir()
    trace = record_python(
        f"""
        import threading
        acks = os.open("acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        def work(name):
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            {SYNC_DIRECTORY}
            for block in range(1, 21):
                os.write(file, name.encode() * 700)
                os.fdatasync(file)
                os.write(acks, f"{{name}} {{block}}\\n".encode())
        threads = [threading.Thread(target=work, args=[name]) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        """,
        live,
    )
    for description, acks, materialise in trace.images(random.Random(SEED), per_mode=100):
        materialise(tmp_path / "image")
        for name in "abcd":
            synced = sum(ack.startswith(name) for ack in acks) * 700
            path = tmp_path / "image" / name
            content = path.read_bytes() if synced else b""
            assert content[:synced] == name.encode() * synced, f"seed {SEED}: {description}"

    assert len(trace.acks) == 80
    assert trace.final() == {name: name.encode() * 14_000 for name in "abcd"}
