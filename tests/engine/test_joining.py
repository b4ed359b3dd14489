"""A process that joins while another writes: it begins with what is there, and only once."""

from __future__ import annotations

import json

import pytest
from statetape.engine.engine import Engine
from statetape.engine.replay import Replayer
from statetape.engine.transfer import import_events
from statetape.storage.errors import TapeForked
from statetape.storage.files import Files
from statetape.storage.tape import Tape

from .machines import COUNTER, Clock, open_tape

NAME = "test.counter/one"


def begun(path):
    """Make a tape with one instance."""
    with open_tape(path) as engine:
        engine.create(COUNTER, "one", {"limit": 99})


@pytest.mark.parametrize("ends", [Engine.abandon, Engine.close, None])
def test_what_others_write_between_opening_and_loading_counts_once(tmp_path, ends):
    """Projected or not: each entry says the position at which it stands, and all replay."""
    path = tmp_path / "t.db"
    begun(path)
    tape = Tape.open_to_write(Files.of(path))
    other = open_tape(path)
    for _ in range(3):
        other.send(NAME, "add")
    if ends is not None:
        ends(other)
    with Engine(tape, Clock()) as engine:
        receipt = engine.send(NAME, "add")
        entries = [json.loads(body) for body in tape.read()]
        report = Replayer().run(tape.read())
        count = engine.world.instance(NAME).data["count"]
    if ends is None:
        other.close()

    assert receipt.pos == len(entries) == 7
    assert [entry["pos"] for entry in entries] == list(range(1, 8))
    assert (count, report.difference) == (4, None)


def test_an_import_does_not_go_on_behind_what_another_process_wrote(tmp_path):
    """Nothing of it is stored at positions that are not its own."""
    path, copy = tmp_path / "t.db", tmp_path / "copy.db"
    begun(path)
    with open_tape(path) as engine:
        first = list(engine.tape.read())
        engine.send(NAME, "add", {"by": 2})
        rest = list(engine.tape.read())[len(first) :]
    history = tmp_path / "history.jsonl"
    history.write_bytes(b"".join(body + b"\n" for body in first))
    import_events(history, Files.of(copy))
    importing = open_tape(copy)
    with open_tape(copy) as other:
        other.send(NAME, "add")
    with pytest.raises(TapeForked, match="another process wrote"):
        importing.adopt(rest)
    importing.close()
    with open_tape(copy) as engine:
        stored = list(engine.tape.read())

    assert len(stored) == len(first) + 1
    assert Replayer().run(stored).difference is None
