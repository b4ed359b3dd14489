"""A witness's memory: only growing, durable before anything is signed, one winner of a race."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

import pytest
from statetape.storage import witness as module
from statetape.storage.errors import NoteInvalid, StoreFailed
from statetape.storage.verifier import EMPTY_ROOT, Checkpoint
from statetape.storage.witness import (
    Witness,
    WitnessBusy,
    WitnessExists,
    WitnessMissing,
    WitnessNameInvalid,
    WitnessUnsound,
)

from .tapes import new_tape
from .witnesses import FORKED, HONEST, LOG, NAME, NOW, WITNESS_SEED, new_witness, reopened, submit


@pytest.fixture
def witness(tmp_path):
    """A witness that trusts the log and has seen nothing."""
    return new_witness(tmp_path)


@contextmanager
def vandal(witness):
    """A plain connection to the state, without its triggers."""
    with closing(sqlite3.connect(witness.path, isolation_level=None)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            db.execute(f"DROP TRIGGER {name}")
        yield db


def test_an_honest_log_is_remembered_step_by_step(witness):
    """From first contact on, also by the next process, and again at the same size."""
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 10)):
        witness = reopened(witness)
        assert submit(witness, HONEST, old, size).kind == "remembered"

    [seen] = witness.seen()
    assert (seen.size, seen.root) == (10, HONEST.checkpoint(10).root)
    assert seen.note == HONEST.note(10)


def test_another_history_is_refused_after_a_restart_too(witness):
    """At the size that is held and beyond it; the honest log goes on."""
    submit(witness, HONEST, 0, 5)
    for size in (5, 8, 10):
        assert submit(reopened(witness), FORKED, 5, size).kind == "inconsistent"

    assert submit(witness, HONEST, 5, 6).kind == "remembered"


def test_two_histories_that_agree_so_far_are_one(witness):
    """The control: before they part, the other log's proof is as good."""
    submit(witness, HONEST, 0, 2)

    assert submit(witness, FORKED, 2, 3).kind == "remembered"


def test_only_a_proof_from_what_is_held_counts(witness):
    """From a smaller size and from a larger one the answer is the size that is held."""
    submit(witness, HONEST, 0, 5)

    for old, size in ((0, 3), (0, 8), (3, 8), (6, 8)):
        verdict = submit(witness, HONEST, old, size)
        assert (verdict.kind, verdict.size) == ("stale", 5)
    assert witness.seen()[0].size == 5


def test_an_empty_tree_is_first_contact(witness):
    """It has the empty root; from it every tree follows, and no proof does."""
    wrong = Checkpoint(LOG.name, 0, b"\1" * 32)
    assert witness.advance(wrong, "", 0, [], NOW).kind == "inconsistent"
    assert submit(witness, HONEST, 0, 0).kind == "remembered"
    given = HONEST.checkpoint(2)
    assert witness.advance(given, HONEST.note(2), 0, [EMPTY_ROOT], NOW).kind == "inconsistent"

    assert submit(witness, HONEST, 0, 2).kind == "remembered"
    assert witness.contradictions() == []


def test_logs_are_remembered_apart(witness):
    """What one log shows says nothing about another."""
    other = Checkpoint("example.com/other", 5, FORKED.checkpoint(5).root)
    submit(witness, HONEST, 0, 7)

    assert witness.advance(other, f"{other.text}\n\u2014 x AAAAAAA=\n", 0, [], NOW).size == 5
    assert [seen.size for seen in witness.seen()] == [7, 5]


def test_two_signed_trees_of_one_size_are_kept_as_proof(witness):
    """Both notes, once; a wrong proof from an honest log is kept nowhere."""
    submit(witness, HONEST, 0, 5)
    witness.advance(HONEST.checkpoint(8), HONEST.note(8), 5, [EMPTY_ROOT], NOW)
    assert witness.contradictions() == []
    for _ in range(2):
        submit(witness, FORKED, 5, 5)

    [found] = reopened(witness).contradictions()
    assert (found.held, found.given) == (HONEST.note(5), FORKED.note(5))


def test_times_never_go_back(witness):
    """A clock that was set back does not make the witness say the contrary of what it said."""
    assert submit(witness, HONEST, 0, 3, NOW).time_s == NOW
    assert submit(witness, HONEST, 3, 4, NOW - 100).time_s == NOW
    assert submit(witness, HONEST, 4, 5, NOW + 1).time_s == NOW + 1


def test_nothing_makes_a_witness_forget(witness):
    """Not even SQL from outside, as long as the triggers stand."""
    submit(witness, HONEST, 0, 5)
    changes = (
        "UPDATE seen SET size = 4",
        "UPDATE seen SET root = zeroblob(32)",
        "UPDATE seen SET time_s = 0",
        "UPDATE seen SET origin = 'x'",
        "DELETE FROM seen",
        "REPLACE INTO seen SELECT origin, 1, root, time_s, note FROM seen",
    )
    with closing(sqlite3.connect(witness.path)) as db:
        for change in changes:
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(change)

    assert witness.seen()[0].size == 5


@pytest.mark.parametrize(
    "damage",
    ["size = 4", "root = zeroblob(32)", "origin = 'x'", "note = 'x'", "note = CAST(x'ff' AS TEXT)"],
)
def test_a_memory_that_does_not_fit_its_own_note_signs_nothing(witness, damage):
    """Damage never lets an older tree in."""
    submit(witness, HONEST, 0, 5)
    with vandal(witness) as db:
        db.execute(f"UPDATE seen SET {damage}")

    with pytest.raises(WitnessUnsound):
        witness.seen()
    if "origin" not in damage:
        with pytest.raises(WitnessUnsound):
            submit(witness, HONEST, 5, 6)


# its files


def test_key_and_state_are_their_owners_alone(witness, tmp_path):
    """Mode 0600 both; the key shows in neither repr nor state."""
    for name in ("witness.db", "witness.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600

    assert WITNESS_SEED not in (tmp_path / "witness.db").read_bytes()
    assert NAME in repr(witness.signer)
    assert "PRIVATE" not in repr(witness.signer)


def test_a_new_witness_replaces_nothing(witness, tmp_path):
    """Neither where a state is nor where a key is; and a bad name makes no file."""
    for state, key in (("witness.db", "b.key"), ("b.db", "witness.key")):
        with pytest.raises(WitnessExists):
            Witness.create(tmp_path / state, tmp_path / key, NAME, WITNESS_SEED)
    for name in ("", "a b", "a+b", "a\nb", "a\x01", "x" * 201):
        with pytest.raises(WitnessNameInvalid):
            Witness.create(tmp_path / "c.db", tmp_path / "c.key", name, WITNESS_SEED)

    assert sorted(one.name for one in tmp_path.iterdir()) == ["witness.db", "witness.key"]


def test_a_lost_memory_is_not_begun_anew(witness, tmp_path):
    """Without its state the key signs nothing; with another witness's neither."""
    key = tmp_path / "witness.key"
    other = Witness.create(tmp_path / "o.db", tmp_path / "o.key", NAME, bytes(32))
    with pytest.raises(WitnessUnsound, match="another key"):
        Witness.open(other.path, key)
    witness.path.unlink()
    with pytest.raises(WitnessMissing):
        Witness.open(witness.path, key)
    with pytest.raises(StoreFailed):  # nor does one that is open already
        submit(witness, HONEST, 0, 5)

    assert not witness.path.exists()


def test_what_is_no_state_is_not_touched(witness, tmp_path):
    """A tape, and a file of text, keep every byte."""
    new_tape(tmp_path / "tape.db").close()
    (tmp_path / "text").write_text("something else\n" * 100)
    for name in ("tape.db", "text"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(WitnessUnsound):
            Witness.open(tmp_path / name, tmp_path / "witness.key")
        assert (tmp_path / name).read_bytes() == before


def test_logs_are_trusted_until_dropped(witness):
    """Durably; what was seen outlives the trust. A witness's key is no log's."""
    submit(witness, HONEST, 0, 5)
    assert reopened(witness).trusted(LOG.name) == [LOG.verifier]
    assert witness.trusted("example.com/lo") == []
    witness.distrust([LOG.verifier])

    assert reopened(witness).trusted() == []
    assert witness.seen()[0].size == 5
    with pytest.raises(NoteInvalid, match="not a log's"):
        witness.trust([witness.signer.verifier])


# races and crashes


def race(witness, monkeypatch, wait_s):
    """Submit two histories at once, each by a Witness of its own; return who was remembered.

    Each comparison waits for the other one to come as far, but not for ever.
    """
    barrier = threading.Barrier(2)
    compare = module._check_extends

    def slowly(*args):
        compare(*args)
        try:
            barrier.wait(wait_s)
        except threading.BrokenBarrierError:
            return

    monkeypatch.setattr(module, "_check_extends", slowly)
    won = []

    def run(log):
        try:
            if submit(reopened(witness), log, 3, 5).kind == "remembered":
                won.append(log)
        except WitnessUnsound:
            return

    threads = [threading.Thread(target=run, args=(log,)) for log in (HONEST, FORKED)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return won


def test_of_two_histories_at_once_one_wins(witness, monkeypatch):
    """The second is compared when the first is remembered."""
    submit(witness, HONEST, 0, 3)

    [won] = race(witness, monkeypatch, 0.2)
    assert witness.seen()[0].root == won.checkpoint(5).root


def test_without_the_transaction_both_would_win(witness, monkeypatch):
    """The control: with neither transaction nor triggers the same race forks the witness."""
    submit(witness, HONEST, 0, 3)
    monkeypatch.setattr(Witness, "_transaction", Witness._connection)
    with vandal(witness):
        pass

    assert len(race(witness, monkeypatch, 5)) == 2


def test_without_the_transaction_the_triggers_still_let_one_win(witness, monkeypatch):
    """The same property held in a second place."""
    submit(witness, HONEST, 0, 3)
    monkeypatch.setattr(Witness, "_transaction", Witness._connection)

    assert len(race(witness, monkeypatch, 5)) == 1


RACER = """
import sys
from pathlib import Path
from tests.storage.witnesses import FORKED, HONEST, submit
from statetape.storage.witness import Witness
folder, log = Path(sys.argv[1]), {"honest": HONEST, "forked": FORKED}[sys.argv[2]]
witness = Witness.open(folder / "witness.db", folder / "witness.key")
print("ready", flush=True)
sys.stdin.read(1)
for old, size in zip(range(3, 10), range(4, 11)):
    print(submit(witness, log, old, size).kind, flush=True)
"""


def racer(tmp_path, log):
    """A process that submits a history step by step, once it is told to."""
    command = [sys.executable, "-c", RACER, str(tmp_path), log]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_history_wins(witness, tmp_path):
    """Whichever is first at the fourth entry: of the other's not one tree is remembered."""
    submit(witness, HONEST, 0, 3)
    with racer(tmp_path, "honest") as one, racer(tmp_path, "forked") as other:
        for process in (one, other):
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            process.stdin.write("g")
            process.stdin.flush()
        answers = [set(process.communicate()[0].split()) for process in (one, other)]

    assert sum("remembered" in found for found in answers) == 1
    assert {"remembered"} in answers


def half_committed(witness, folder):
    """Copy state and journal as a crash leaves them while a transaction is being written."""
    folder.mkdir()
    with closing(sqlite3.connect(witness.path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE seen SET size = 9, root = ?, note = ?", (bytes(32), "x" * 100_000))
        rows = [(f"log {number}", number, "x" * 2000, "") for number in range(50)]
        db.executemany("INSERT INTO contradiction VALUES (?, ?, ?, ?)", rows)
        for name in ("witness.db", "witness.db-journal", "witness.key"):
            shutil.copy(witness.path.with_name(name), folder / name)
        db.execute("ROLLBACK")


def test_a_crash_in_the_middle_of_a_commit_is_undone(witness, tmp_path):
    """The journal is played back when the state is next opened; without it there is damage."""
    submit(witness, HONEST, 0, 5)
    half_committed(witness, tmp_path / "crashed")
    path, key = tmp_path / "crashed/witness.db", tmp_path / "crashed/witness.key"
    shutil.copy(path, tmp_path / "bare.db")

    crashed = Witness.open(path, key)
    assert crashed.seen() == witness.seen()
    assert submit(crashed, HONEST, 5, 6).kind == "remembered"
    with pytest.raises(WitnessUnsound):  # the control
        Witness.open(tmp_path / "bare.db", key).seen()


def test_a_state_that_is_held_too_long_is_said_so(witness, monkeypatch):
    """Then nothing was remembered; and afterwards it goes on."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(witness.path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WitnessBusy):
            submit(witness, HONEST, 0, 3)
        db.execute("ROLLBACK")

    assert submit(witness, HONEST, 0, 4).kind == "remembered"


def test_each_connection_is_synced_and_keeps_its_journal_durable(witness):
    """EXTRA, and a rollback journal: what is answered outlives a loss of power."""
    with witness._connection() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (3,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
