"""Creating a tape: whole or none, whatever happens in between, and always possible again."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from statetape.engine.engine import Engine
from statetape.engine.verify import verify
from statetape.fsm.errors import StatetapeError
from statetape.storage.errors import AnchorMissing, KeyInvalid, TapeExists
from statetape.storage.files import Files
from statetape.storage.note import SignerKey
from statetape.storage.reader import Reader
from statetape.storage.tape import Tape

from tests.crash.operations import Rename, Sync, SyncDirectory
from tests.crash.powercut import Directories, Mode, Trace, missing, record_python

from .tapes import FIRST, GATE, ORIGIN, SEED, entropy, new_tape, open_engine, open_tape, seeded

simulated = pytest.mark.skipif(missing() is not None, reason=missing() or "")

CREATING = """
    from statetape.engine.engine import Engine
    acks = os.open("acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    engine = Engine.open("t.db")
    os.write(acks, b"created\\n")
    engine.{end}()
    os.write(acks, b"ended\\n")
    os.unlink("t.db.lock")  # it was changed through a memory map, which the recorder does not see
"""


@pytest.fixture(scope="module")
def creation(tmp_path_factory):
    """The recorded creation of a tape: left without an anchor, or anchored and closed."""

    @cache
    def recorded(end: str) -> Trace:
        folder = tmp_path_factory.mktemp(end)
        return record_python(CREATING.format(end=end), folder)

    return recorded


@simulated
def test_the_recording_saw_what_creation_is_made_of(creation):
    """Without these calls the tests below would pass vacuously."""
    trace = creation("close")

    renames = [(rename.source, rename.target) for rename in trace.of(Rename)]
    named = ["t.db.anchor", "t.db", "t.db.key", "t.db.anchor"]
    assert renames == [(f"{name}.new", name) for name in named]
    assert trace.acks == ("created", "ended")
    assert len(trace.of(Sync)) > 5
    assert len(trace.of(SyncDirectory)) > 3


@simulated
@pytest.mark.parametrize("model", Directories)
def test_a_power_cut_during_creation_leaves_a_whole_tape_or_none(creation, model, tmp_path):
    """And once it was created, a whole one. `keep` images are those of a process that is killed."""
    path = tmp_path / "t.db"
    rng = seeded("creation")
    seen = set()
    for description, acks, materialise in creation("abandon").images(
        rng, per_mode=120, directories=model
    ):
        materialise(tmp_path)
        seen.add(path.exists())
        assert path.exists() or not acks, description
        if path.exists():
            with Reader.open(Files.of(path)) as reader:
                assert verify(reader) == [], description
                assert reader.stored_size() == 1, description

    assert seen == {True, False}


@simulated
def test_after_a_power_cut_during_creation_the_tape_can_be_created_again(creation, tmp_path):
    """Nobody has to clean up: not a half-made tape, not a key that no tape has."""
    path = tmp_path / "t.db"
    rng = seeded("again")
    refused = {}
    for description, _, materialise in creation("abandon").images(rng, per_mode=60):
        materialise(tmp_path)
        try:
            with Engine.open(path) as engine:
                engine.create(GATE, "a", {"owner": "me"})
        except StatetapeError as error:
            refused.setdefault(f"{error.code}: {error.message[:30]}", []).append(description)

    assert not refused, {why: (len(where), where[0]) for why, where in refused.items()}


@simulated
def test_a_power_cut_while_a_tape_is_anchored_the_first_time_is_no_finding(creation, tmp_path):
    """The tape is ahead of an anchor that is not there yet: T6 of storage/tape.py."""
    path = tmp_path / "t.db"
    rng = seeded("first anchor")
    refused = {}
    for description, acks, materialise in creation("close").images(rng, per_mode=120):
        if "created" not in acks:
            continue
        materialise(tmp_path)
        try:
            Engine.open(path).close()
        except StatetapeError as error:
            refused.setdefault(error.code, []).append(description)

    assert not refused, {why: (len(where), where[0]) for why, where in refused.items()}


@simulated
def test_a_tape_built_under_its_own_name_would_be_found_half_made(tmp_path):
    """Negative control: without the rename, cuts leave files that are no tapes."""
    live = tmp_path / "live"
    live.mkdir()
    trace = record_python(
        """
        import sqlite3
        from statetape.storage.schema import migrate
        connection = sqlite3.connect("t.db", isolation_level=None)
        migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
        """,
        live,
    )
    path = tmp_path / "image" / "t.db"
    refused = 0
    for _, _, materialise in trace.images(seeded("naive"), per_mode=60, modes=[Mode.KEEP]):
        materialise(path.parent)
        try:
            if path.exists():
                Reader.open(Files.of(path)).close()
        except StatetapeError:
            refused += 1

    assert refused


def test_a_tape_is_created_once(tmp_path):
    """A second creation is refused, and what is there stays."""
    path = tmp_path / "t.db"
    new_tape(path).close()
    content = path.read_bytes()
    with pytest.raises(TapeExists):
        new_tape(path)

    assert path.read_bytes() == content


def test_whoever_comes_second_opens_what_the_first_created(tmp_path):
    """Two processes begin on one new path: `Engine.open` makes a tape where there is none."""
    path = tmp_path / "t.db"
    first = []

    def meanwhile(count: int) -> bytes:
        if not first:
            first.append(open_engine(path))
            first[0].close()
        return os.urandom(count)

    with Engine.open(path, entropy=meanwhile) as engine:
        assert engine.tape.origin == f"statetape/{entropy(16).hex()}"


def test_a_key_of_that_origin_is_used_again(tmp_path):
    """An import into a new tape keeps the tape's name, and may keep its key."""
    path = tmp_path / "t.db"
    key = SignerKey(ORIGIN, bytes(reversed(SEED)))
    Path(f"{path}.key").write_text(key.text)
    with new_tape(path) as tape:
        assert tape.signers() == [key.verifier]


def test_a_key_of_another_tape_is_not_taken(tmp_path):
    """It is refused by name, and nothing is created."""
    path = tmp_path / "t.db"
    Path(f"{path}.key").write_text(SignerKey("tests/other", SEED).text)
    with pytest.raises(KeyInvalid, match="tests/other"):
        new_tape(path)

    assert not path.exists()


def test_what_an_earlier_creation_left_is_no_obstacle(tmp_path):
    """Half-made files under the temporary name are thrown away."""
    path = tmp_path / "t.db"
    for suffix in ("", "-wal", "-journal", "-shm"):
        Path(f"{path}.new{suffix}").write_bytes(b"left by a crash" * 500)
    with new_tape(path) as tape:
        assert list(tape.read()) == [FIRST]

    assert {entry.name for entry in tmp_path.iterdir() if ".new" in entry.name} == set()


def test_a_new_tape_is_in_wal_mode_and_closed_without_leftovers(tmp_path):
    """Only the file, its anchor, its key and its lock remain."""
    path = tmp_path / "t.db"
    open_engine(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    names = {entry.name for entry in tmp_path.iterdir()}
    assert names == {"t.db", "t.db.anchor", "t.db.key", "t.db.lock"}
    assert sys.platform != "linux" or Path(f"{path}.key").stat().st_mode & 0o077 == 0


def test_parts_of_a_tape_may_lie_elsewhere(tmp_path):
    """Key and anchor; the lock stays beside the tape, where all processes meet."""
    (tmp_path / "safe").mkdir()
    files = Files.of(tmp_path / "t.db", tmp_path / "safe" / "anchor", tmp_path / "safe" / "key")
    Tape.create(files, FIRST, origin=ORIGIN, seed=SEED).close()

    assert {entry.name for entry in tmp_path.iterdir()} == {"t.db", "t.db.lock", "safe"}
    assert {entry.name for entry in (tmp_path / "safe").iterdir()} == {"anchor", "key"}
    with pytest.raises(AnchorMissing):
        open_tape(tmp_path / "t.db")
    Tape.open_to_write(files).close()
