"""Recovering after a crash: nothing acknowledged is lost, and what was found is said."""

from __future__ import annotations

import pytest
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.engine.recover import recover
from statetape.engine.verify import verify
from statetape.storage.errors import (
    AnchorMissing,
    KeyInvalid,
    TapeDamaged,
    TapeForked,
    TapeMissing,
    TapeRolledBack,
)

from .machines import COUNTER, LEASE, Clock, fixed_entropy, open_tape

ONE = "test.counter/one"


def crashed(path, clock=None, sends=3):
    """Leave a tape as a crash would: anchored before the last `sends` commands."""
    with open_tape(path, clock) as engine:
        engine.create(COUNTER, "one", {"limit": 100})
    engine = open_tape(path, clock)
    for _ in range(sends):
        engine.send(ONE, "add")
    engine.abandon()


def test_recovery_names_what_was_in_flight_and_anchors_it(tmp_path):
    """Entries after the anchor are kept, counted and named; then the anchor covers them."""
    path = tmp_path / "t.db"
    crashed(path)

    found = recover(path, clock=Clock())
    again = recover(path, clock=Clock())

    assert (found.entries, found.anchored, found.unanchored_count) == (6, 3, 3)
    assert [entry.event for entry in found.unanchored] == ["add"] * 3
    assert (again.anchored, again.unanchored_count) == (6, 0)


def test_projections_are_caught_up(tmp_path):
    """What the crashed session did not project is folded; state is as it was."""
    path = tmp_path / "t.db"
    crashed(path)

    found = recover(path, clock=Clock())

    assert (found.projected, found.entries) == (3, 6)
    with Inspector.open(path) as inspector:
        assert inspector.show(ONE).folded.data["count"] == 3
        assert verify(inspector.reader) == []


def test_overdue_timers_fire_and_are_named(tmp_path):
    """A lease that ran out while nobody was there lapses during recovery."""
    path = tmp_path / "t.db"
    clock = Clock()
    with open_tape(path, clock) as engine:
        engine.create(LEASE, "a")
        engine.send("test.lease/a", "take")
    clock.forward(100)

    found = recover(path, clock=clock)

    assert found.fired_count == 1
    assert [entry.timer for entry in found.fired] == ["lapse"]
    assert found.open_instances == 0


def test_rebuilding_gives_the_same_projections(tmp_path):
    """Thrown away and folded again, they are what they were, and consumers keep their place."""
    path = tmp_path / "t.db"
    crashed(path)
    recover(path, clock=Clock())
    with open_tape(path) as engine:
        engine.acknowledge("sender", 4)

    found = recover(path, clock=Clock(), rebuild=True)

    assert found.rebuilt
    with Inspector.open(path) as inspector:
        assert verify(inspector.reader) == []
        assert inspector.show(ONE).folded.data["count"] == 3
    assert found.effects_behind == {"sender": 2}


def test_a_damaged_projection_is_refused_and_mended_by_rebuilding(tmp_path):
    """State is never served from a row that changed; the entries bring it back."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "one", {"limit": 100})
        engine.send(ONE, "add")
    with open_tape(path) as engine:
        engine.tape.db.execute("UPDATE instance SET data = replace(data, '1', '7')")
    with Inspector.open(path) as inspector, pytest.raises(TapeDamaged, match="table instance"):
        inspector.show(ONE)

    recover(path, clock=Clock(), rebuild=True)

    with Inspector.open(path) as inspector:
        assert inspector.show(ONE).folded.data["count"] == 1


def test_recovery_refuses_what_it_cannot_mend(tmp_path):
    """No tape, a lost tail, another history: each by its name."""
    path = tmp_path / "t.db"
    with pytest.raises(TapeMissing):
        recover(path)
    with open_tape(path) as engine:
        engine.create(COUNTER, "one", {"limit": 100})
    early = path.read_bytes()
    with open_tape(path) as engine:
        engine.send(ONE, "add")
    path.write_bytes(early)
    with pytest.raises(TapeRolledBack):
        recover(path)
    path.with_suffix(".db.anchor").rename(tmp_path / "kept")
    with Engine.open(path, new_anchor=True, clock=Clock(5)) as engine:
        engine.send(ONE, "add")
        engine.send(ONE, "add")
    (tmp_path / "kept").rename(path.with_suffix(".db.anchor"))
    with pytest.raises(TapeForked):
        recover(path)


@pytest.mark.parametrize(("lost", "error"), [("anchor", AnchorMissing), ("key", KeyInvalid)])
def test_a_lost_anchor_or_key_needs_consent(tmp_path, lost, error):
    """The tape is not written without it, until the operator says to go on."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "one", {"limit": 100})
    path.with_suffix(f".db.{lost}").unlink()
    with pytest.raises(error):
        Engine.open(path)
    with Inspector.open(path) as inspector:
        assert inspector.show(ONE).folded.state == "open"

    recover(path, clock=Clock(), new_anchor=True)

    with Engine.open(path) as engine:
        assert engine.send(ONE, "add").outcome == "accepted"
    with Inspector.open(path) as inspector:
        assert verify(inspector.reader) == []


def test_a_deleted_tape_is_remembered_by_its_anchor(tmp_path):
    """A new tape does not silently take the place of one that is gone."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "one")
    path.unlink()

    with pytest.raises(TapeRolledBack, match="remembers"):
        Engine.open(path, entropy=fixed_entropy)
