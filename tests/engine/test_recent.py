"""Reading back from an instance's end: as far as it is worth, and only what is its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from statetape.engine.commands import Send
from statetape.engine.inspect import Inspector
from statetape.storage.errors import TapeDamaged

from .machines import COUNTER, open_tape

ONE = "test.counter/one"


def counting(path, sends: int) -> None:
    """Make a tape of two counters that count in turn, one entry of each refused."""
    with open_tape(path) as engine:
        for key in ("one", "two"):
            engine.create(COUNTER, key, {"limit": 10**6})
        engine.send(ONE, "nonsense")
        commands = [Send(f"test.counter/{key}", "add") for key in ("one", "two")]
        engine.execute_many(commands * sends)


def recent(path, limit: int, keep: int = 1000):
    """Return what the last entries of the first counter say."""
    with Inspector.open(path) as inspector:
        return inspector.recent(inspector.show(ONE).folded, limit, keep)


def test_all_of_a_short_life_is_read(tmp_path):
    """What says something, newest first; the entry that it entered its state by."""
    path = tmp_path / "t.db"
    counting(path, 600)
    told = recent(path, 10_000)

    assert (told.whole, len(told.positions)) == (True, 602)
    assert [entry.event for entry in told.telling] == ["nonsense", "create"]
    assert told.entered is told.telling[-1]
    assert told.oldest.pos == 3


def test_a_long_life_is_read_from_its_end_and_not_beyond(tmp_path):
    """The last entries, and that there are more; what lies further back is not known."""
    path = tmp_path / "t.db"
    counting(path, 600)
    told = recent(path, 501)

    assert (told.whole, len(told.positions), told.telling) == (False, 501, ())
    assert told.entered is None
    assert told.oldest.seq == 602 - 501 + 1


def test_no_more_is_kept_than_was_asked_for(tmp_path):
    """Of what says something the newest; the entry it came to its state by is looked for alone."""
    path = tmp_path / "t.db"
    counting(path, 600)
    with open_tape(path) as engine:
        last = [engine.send(ONE, "nonsense").pos for _ in range(4)]
    told = recent(path, 10_000, keep=3)

    assert [entry.pos for entry in told.telling] == [last[3], last[2], last[1]]
    assert (told.entered.pos, told.whole) == (3, False)
    assert recent(path, 10_000, keep=7).whole


def test_entries_that_are_not_projected_yet_come_first(tmp_path):
    """A session that goes on has not flushed them; they are read all the same."""
    path = tmp_path / "t.db"
    counting(path, 5)
    engine = open_tape(path)
    refused = engine.send(ONE, "nonsense")
    told = recent(path, 3)
    whole = recent(path, 100)
    engine.abandon()

    assert [entry.pos for entry in told.telling] == [refused.pos]
    assert [entry.pos for entry in whole.telling] == [refused.pos, 5, 3]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE history SET offsets = substr(offsets, 3) WHERE instance = 3",
        "UPDATE history SET offsets = substr(offsets, 1, length(offsets) - 2) WHERE instance = 3",
        "UPDATE history SET offsets = CAST(offsets || x'0400' AS BLOB) WHERE instance = 3",
        "UPDATE history SET instance = CASE instance WHEN 3 THEN 4 ELSE 3 END",
        "DELETE FROM history",
    ],
    ids=["first", "last", "order", "another's", "gone"],
)
def test_an_index_that_leads_astray_is_noticed(tmp_path, sql):
    """Nothing of another instance is told as this one's; the sound index is the control."""
    path = tmp_path / "t.db"
    counting(path, 5)
    assert recent(path, 100).whole
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        if "CASE" in sql:
            db.execute("UPDATE history SET instance = -instance")
            sql = sql.replace("CASE instance WHEN 3", "CASE -instance WHEN 3")
        db.execute(sql)
        db.commit()

    with pytest.raises(TapeDamaged, match="table history, instance 3"):
        recent(path, 100)
