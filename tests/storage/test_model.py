"""A tape against a plain list: whatever is done to it in whatever order, it holds what was written.

Two handles, failures, and opening again at any point, after a good end or none.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from statetape.storage.files import Files
from statetape.storage.merkle import Edge, leaf_hashes
from statetape.storage.reader import Reader
from statetape.storage.tape import Tape
from statetape.storage.verify import verify

from .tapes import FIRST, append, new_tape, open_tape

bodies = st.lists(st.text(max_size=20).map(str.encode), max_size=4) | st.builds(
    lambda body, count: [body] * count,
    st.binary(min_size=1, max_size=9).map(lambda raw: raw.hex().encode()),
    st.integers(200, 600),
)
MEMORY = Path("/dev/shm")


class TapeModel(RuleBasedStateMachine):
    """Two handles on one tape, and the list of everything that was written."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
        self.path = Path(self.folder, "t.db")
        self.written = [FIRST]
        self.handles: list[Tape] = [new_tape(self.path), open_tape(self.path)]

    @rule(which=st.integers(0, 1), more=bodies)
    def write(self, which: int, more: list[bytes]) -> None:
        """Store some entries, or none."""
        append(self.handles[which], *more)
        self.written += more

    @rule(which=st.integers(0, 1), more=bodies)
    def fail(self, which: int, more: list[bytes]) -> None:
        """What is to be stored with the entries fails."""
        tape = self.handles[which]
        tape.take()
        with pytest.raises(RuntimeError):
            tape.write(more, self.broken)
        tape.give()

    @staticmethod
    def broken() -> None:
        """Fail."""
        raise RuntimeError

    @rule(which=st.integers(0, 1))
    def anchor(self, which: int) -> None:
        """Sign what is stored."""
        self.handles[which].anchor()

    @rule(which=st.integers(0, 1))
    def move_wal(self, which: int) -> None:
        """Move the WAL into the file."""
        self.handles[which].move_wal(whole=True)

    @rule(which=st.integers(0, 1), properly=st.booleans())
    def reopen(self, which: int, properly: bool) -> None:
        """Close a handle or let it go as a crash does, and open another."""
        tape = self.handles[which]
        if properly:
            tape.close()
        else:
            tape.abandon()
        self.handles[which] = open_tape(self.path)

    @rule(first=st.integers(1, 900), last=st.integers(1, 900))
    def read(self, first: int, last: int) -> None:
        """Read some of it, and one entry."""
        tape = self.handles[0]
        assert list(tape.read(first, last)) == self.written[first - 1 : last]
        expected = self.written[first - 1] if first <= len(self.written) else None
        assert tape.body(first) == expected

    @invariant()
    def both_handles_have_the_same_tree(self) -> None:
        """Each learns of what the other wrote when its turn comes."""
        edge = Edge()
        edge.extend(leaf_hashes(self.written))
        for tape in self.handles:
            append(tape)
            tape.foreign()
            assert (tape.size, tape.edge.root()) == (len(self.written), edge.root())

    def teardown(self) -> None:
        """Everything is there, in order, and sound."""
        for tape in self.handles:
            tape.abandon()
        with Reader.open(Files.of(self.path)) as reader:
            assert list(reader.read()) == self.written
            assert verify(reader) == []
        shutil.rmtree(self.folder)


TestTapeModel = TapeModel.TestCase
TestTapeModel.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
