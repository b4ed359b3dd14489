"""Looking at a tape while somebody writes it: what an auditor sees is some state of it, and sound.

The interleavings are made, not waited for: the writer moves at a chosen query of the reader.
"""

from __future__ import annotations

import pytest
from statetape.engine.commands import Send
from statetape.engine.inspect import Inspector
from statetape.engine.verify import verify
from statetape.storage.files import Files
from statetape.storage.reader import Reader

from .tapes import GATE, exported, open_engine

A = "tests.gate/a"
VISIT = Send(A, "visit", {"text": "x"})
TURNS = 16


@pytest.fixture
def path(tmp_path):
    """Where the test's tape lies."""
    return tmp_path / "t.db"


@pytest.fixture
def writer(path):
    """An engine at work on the tape."""
    engine = open_engine(path)
    engine.create(GATE, "a", {"owner": "me"})
    engine.send(A, "unlock", {"until": 1000})
    engine.execute_many([VISIT] * 40)
    yield engine
    engine.close()


class Meanwhile(Reader):
    """A reader at whose query number `turn` something happens first."""

    happens = staticmethod(lambda: None)
    turn = 0
    asked = 0

    def query(self, sql, values=()):
        """Ask, after what happens meanwhile."""
        self.asked += 1
        if self.asked == self.turn:
            self.happens()
        return super().query(sql, values)


def moves(engine):
    """What a writer does: entries, enough to complete tree nodes; a flush; a checkpoint."""
    engine.execute_many([VISIT] * 300)
    engine.observe("chain", len(engine.world.heads) + engine.tape.size)
    engine.create(GATE, f"new-{engine.tape.size}", {"owner": "me"}, key="k")
    engine.flush()
    engine.anchor()


def test_verifying_a_tape_that_is_being_written_finds_nothing_wrong(writer, path):
    """Wherever in its work the writer goes on."""
    wrong = {}
    with Reader.open(Files.of(path)) as reader:
        assert verify(reader) == []
    for turn in range(1, TURNS):
        with Meanwhile.open(Files.of(path)) as reader:
            reader.turn, reader.happens = turn, lambda: moves(writer)
            found = verify(reader)
        assert reader.asked >= turn
        if found:
            wrong[turn] = found[0]

    assert not wrong


def test_history_and_state_are_found_after_the_writer_flushed(writer, path):
    """An inspector that was opened before: what it knew from entries is in the index now too."""
    with Inspector.open(path) as inspector:
        before = inspector.history(A)
        writer.flush()
        assert inspector.history(A) == before
        assert inspector.show(A).folded.seq == 42


def test_history_is_found_after_the_writer_went_on(writer, path):
    """Entries that came after the inspector was opened may be shown or not; neither is damage."""
    writer.flush()
    with Inspector.open(path) as inspector:
        before = inspector.history(A)
        writer.execute_many([VISIT] * 5)
        assert inspector.history(A)[: len(before)] == before
        writer.flush()
        assert inspector.history(A)[: len(before)] == before
        assert inspector.show(A).folded.seq >= 42


def test_an_inspector_can_be_opened_at_any_moment(writer, path):
    """Wherever in its opening the writer goes on, it shows one instance in one state."""
    failures = {}
    for turn in range(1, TURNS):
        with Meanwhile.open(Files.of(path)) as reader:
            reader.turn, reader.happens = turn, lambda: moves(writer)
            try:
                inspector = Inspector(reader)
                seq = inspector.show(A).folded.seq
                assert len(inspector.history(A)) >= seq
            except Exception as error:
                failures[turn] = f"{type(error).__name__}: {error}"

    assert not failures


def test_an_export_is_a_prefix_of_the_tape(writer, path):
    """Whatever is appended meanwhile."""
    with Meanwhile.open(Files.of(path)) as reader:
        reader.turn, reader.happens = 2, lambda: moves(writer)
        early = exported(reader)
    with Reader.open(Files.of(path)) as reader:
        whole = exported(reader)

    assert whole.startswith(early)
    assert len(whole) > len(early) > 1000
