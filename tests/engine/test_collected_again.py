"""What is asked, told or imported again after its instance was collected: never done twice."""

from __future__ import annotations

import pytest
from statetape.engine import collection
from statetape.engine.commands import Create, Hold, Send
from statetape.engine.importing import import_items
from statetape.engine.inspect import Inspector
from statetape.engine.links import group_of
from statetape.engine.recover import recover
from statetape.engine.replay import Collected
from statetape.engine.transfer import export_events, import_events
from statetape.engine.verify import verify
from statetape.fsm.entry import COLLECTED, Entry, encode
from statetape.fsm.importing import Begin, Event
from statetape.fsm.tombstone import Tombstone, TombstoneInvalid
from statetape.storage.errors import HashesShrunk, TapeDamaged, TapeForked
from statetape.storage.files import Files
from statetape.storage.reader import Reader

from .jobs import HOUR, JOB
from .machines import Clock, open_tape
from .test_collection import jobs, replayed


def test_the_keys_of_refused_creations_go_too(tmp_path):
    """They are the name's, not the instance's: `already_exists` takes its key all the same."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        engine.create(JOB, "a", {"note": "n"}, key="new")
        engine.create(JOB, "a", {"note": "n"}, key="again")
        engine.create(JOB, "b", {"note": "n"}, key="again")
        engine.send("tests.job/a", "finish")
        engine.execute_many([Send("tests.job/b", "add")] * 256)
        clock.forward(3 * HOUR)
        assert collection.collect(engine).instances == 1

        asked = [Create(JOB, f"tests.job/{name}", {"note": "n"}, key="again") for name in "ab"]
        refused, known = engine.execute_many(asked)
        assert refused.reason == {"kind": "collected_instance"}
        assert (known.outcome, known.first) == ("duplicate", "accepted")
        engine.flush()
        assert verify(engine.tape) == []
        assert replayed(engine.tape) is None


def exported(engine, path):
    """Export a tape to a file."""
    with path.open("wb") as out:
        export_events(engine.tape, out)
    return path


@pytest.mark.parametrize("shrinking", [False, True])
def test_a_whole_history_is_recognised_on_the_tape_that_it_was_collected_from(tmp_path, shrinking):
    """By its hashes, or the roots of their blocks: it adds nothing, and nothing parts."""
    path, clock = tmp_path / "t.db", Clock()
    with jobs(path, 300, clock) as engine:
        whole = exported(engine, tmp_path / "whole.jsonl")
        clock.forward(3 * HOUR)
        found = collection.collect(engine, shrinking=shrinking, uncosigned=True)
        assert bool(found.blocks_shrunk) == shrinking
    size = len(whole.read_bytes().splitlines())

    assert import_events(whole, Files.of(path)) == (size, 0)
    other = tmp_path / "other.jsonl"
    other.write_bytes(whole.read_bytes().replace(b'"note":"of 270"', b'"note":"of 666"'))
    with pytest.raises(TapeForked) as parted:
        import_events(other, Files.of(path))
    line = int(parted.value.place.rpartition(":")[2])
    assert line == (257 if shrinking else 273)
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:600]))
    if shrinking:
        with pytest.raises(HashesShrunk):
            import_events(part, Files.of(path))
    else:
        assert import_events(part, Files.of(path)) == (600, 0)


def test_many_causes_that_were_collected_are_looked_up_at_once(tmp_path):
    """Each is named, once; all of them take one look through the tape, however many they are."""
    clock = Clock()
    with jobs(tmp_path / "t.db", 30, clock) as engine:
        told = [Send("tests.job/pad", "add", {}, cause=pos) for pos in range(3, 123)]
        assert all(one.accepted for one in engine.execute_many(told))
        clock.forward(3 * HOUR)
        assert collection.collect(engine).instances == 30
    with Inspector.open(tmp_path / "t.db") as inspector:
        asked: list[str] = []
        inspector.reader.db.set_trace_callback(asked.append)
        group = group_of(inspector, "tests.job/pad", clock())

        assert {one.name for one in group.missing} == {f"tests.job/{n}" for n in range(30)}
        assert {one.why for one in group.missing} == {f"collected (position {engine.tape.size})"}
        assert sum("substr(body" in sql for sql in asked) <= 2  # the last of a look finds nothing


PARAMS = {"cid": "c", "provider": "p", "phase": "query", "phase_start_ns": 1, "event_ns": 2}


def test_importing_again_what_was_collected_adds_nothing(tmp_path):
    """Not even refusals, which would stay for ever; what is still there is known by its keys."""
    clock = Clock()
    with jobs(tmp_path / "t.db", 2, clock) as engine:
        clock.forward(3 * HOUR)
        items = [
            Begin("lassie.retrieval", "r", {}, once="begin", place="1"),
            Event("lassie.retrieval/r", "started", PARAMS, once="s", place="2"),
        ]
        first = import_items(engine, items)
        gone = [Event(f"tests.job/{n}", "add", {}, once="k", place="3") for n in range(2)]
        collection.collect(engine)
        size = engine.tape.size
        again = import_items(engine, [*items, *gone])

        assert (first.added, first.collected) == (2, 0)
        assert (again.read, again.added, again.duplicates, again.collected) == (4, 0, 2, 2)
        assert engine.tape.size == size


def test_what_was_read_of_an_instance_before_another_process_collected_it_is_forgotten(tmp_path):
    """Anchoring reads what others wrote, and decides nothing from it."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as one:
        one.create(JOB, "a", {"note": "n"})
        one.create(JOB, "b", {"note": "n"})
        one.flush()
        with open_tape(path, clock) as other:
            other.send("tests.job/b", "add")
            one.send("tests.job/a", "add", {}, key="k")
            one.send("tests.job/a", "finish")
            one.execute_many([Send("tests.job/b", "add")] * 256)
            other.anchor()
            clock.forward(3 * HOUR)
            assert collection.collect(one).instances == 1

            assert other.send("tests.job/b", "add").accepted
            refused = other.send("tests.job/a", "add", {}, key="k")
            assert refused.reason == {"kind": "collected_instance"}
            other.flush()
            assert verify(other.tape) == []


class Late(Reader):
    """A reader that comes between the anchor and the tree only when everything was collected."""

    meanwhile = None

    def anchored(self):
        """Read the anchor; what `meanwhile` does then happens at once."""
        found = super().anchored()
        run, self.meanwhile = self.meanwhile, None
        if run is not None:
            run()
        return found


def test_a_reader_that_read_the_anchor_before_a_collection_compares_with_the_newer_one(tmp_path):
    """The older one lies in a block that was shrunk since: that is no finding about the tape."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        engine.create(JOB, "a", {"note": "n"})
        engine.execute_many([Send("tests.job/a", "add")] * 600)
        engine.anchor()
        anchored = engine.tape.anchored_size
        engine.execute_many([Send("tests.job/a", "add")] * 300)
        engine.send("tests.job/a", "finish")
        engine.create(JOB, "pad", {"note": "n"})
        engine.execute_many([Send("tests.job/pad", "add")] * 256)
        clock.forward(3 * HOUR)
        with Late.open(Files.of(path)) as reader:
            reader.meanwhile = lambda: collection.collect(engine, shrinking=True, uncosigned=True)
            assert reader.compare_anchor().size > anchored
            assert reader.minimum_index > anchored


@pytest.mark.parametrize("positions", ["1+999999999999999", "5+1*99999999"])
def test_a_tombstone_that_names_what_comes_after_it_is_refused_and_costs_nothing(
    tmp_path, positions
):
    """A stranger's tape may spell more positions than any memory holds."""
    clock = Clock()
    with jobs(tmp_path / "t.db", clock=clock) as engine:
        clock.forward(3 * HOUR)
        collection.collect(engine)
        stone = Tombstone("d", "tests.job/x", 5, positions, 1 << 27, "done")
        said = Entry(at=clock.now, collected=[stone], pos=engine.tape.size + 1, tape=COLLECTED)
        with engine.turn():
            engine.tape.write([encode(said)])
    with Reader.open(Files.of(tmp_path / "t.db")) as reader:
        with pytest.raises(TombstoneInvalid):
            Collected(collection.stones_of(reader))
        assert any("positions after its own" in one.message for one in verify(reader))


def test_a_hold_that_only_the_projection_lost_still_keeps_its_instance(tmp_path):
    """Also those that a program of before holds passed over; folded again, all is well."""
    path, clock = tmp_path / "t.db", Clock()
    with jobs(path, 3, clock) as engine:
        engine.execute(Hold("tests.job/1", "a dispute"))
        engine.flush()
        engine.tape.db.execute("DELETE FROM hold")
        clock.forward(3 * HOUR)
    with open_tape(path, clock) as engine:
        assert engine.world.holds == {}
        with pytest.raises(TapeDamaged) as damaged:
            collection.collect(engine)
        assert damaged.value.place == "table hold"
        assert engine.world.instance("tests.job/1") is not None
    recover(path, rebuild=True, clock=clock)
    with open_tape(path, clock) as engine:
        assert collection.collect(engine).instances == 2
        assert engine.world.instance("tests.job/1") is not None
