"""Tapes of every release go on telling the same story."""

from __future__ import annotations

import json

import pytest
from statetape.engine.inspect import Inspector
from statetape.engine.replay import Replayer
from statetape.engine.transfer import import_events
from statetape.engine.verify import verify
from statetape.storage.files import Files

from .histories import FOLDER, MAKERS, VERSION, ends

HISTORIES = sorted(FOLDER.glob("*.jsonl"))
CHANGES = [
    (b'"kind":"guard_failed"', b'"kind":"guard_faileD"'),
    (b'"to":"DealStatusCompleted"', b'"to":"DealStatusErrored"'),
    (b'"refusal":"AMOUNT_NOT_HIGHER"', b'"refusal":"AMOUNT_NOT_HIGHEr"'),
]
"""What no machine decided; the first that a history has."""


def test_this_release_left_its_histories():
    """Each release adds its own."""
    names = {path.stem for path in HISTORIES}

    assert names >= {f"{VERSION}-{name}" for name in MAKERS}


@pytest.mark.parametrize("history", HISTORIES, ids=lambda path: path.stem)
def test_a_released_history_replays_and_ends_as_it_did(tmp_path, history):
    """Every entry is decided again to the same bytes, and every instance ends where it ended."""
    tape = tmp_path / "tape.db"
    import_events(history, Files.of(tape))

    with Inspector.open(tape) as inspector:
        report = Replayer().run(inspector.reader.read())
        assert verify(inspector.reader) == []
    assert report.difference is None
    assert report.entries == history.read_bytes().count(b"\n")
    assert ends(tape) == json.loads(history.with_suffix(".ends.json").read_text())


@pytest.mark.parametrize("history", HISTORIES, ids=lambda path: path.stem)
def test_one_changed_byte_of_a_history_is_noticed(tmp_path, history):
    """The negative control: an outcome that was not decided does not replay."""
    changed = tmp_path / "changed.jsonl"
    told = history.read_bytes()
    was, now = next(pair for pair in CHANGES if pair[0] in told)
    changed.write_bytes(told.replace(was, now, 1))
    tape = tmp_path / "tape.db"
    import_events(changed, Files.of(tape))

    with Inspector.open(tape) as inspector:
        difference = Replayer().run(inspector.reader.read()).difference
    assert difference is not None
    lines = told.splitlines()
    assert was in lines[difference.pos - 1]
