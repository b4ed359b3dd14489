"""Collection: what is over goes, what may still matter stays, and every proof stands."""

from __future__ import annotations

import os
import threading
from io import BytesIO
from random import Random

import pytest
from statetape.engine import collection
from statetape.engine.commands import (
    Create,
    Hold,
    InstanceCollected,
    InstanceUnknown,
    NotOnHold,
    Send,
)
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.engine.links import group_of
from statetape.engine.recover import recover
from statetape.engine.replay import Collected, Replayer
from statetape.engine.transfer import export_events, import_events
from statetape.engine.verify import verify
from statetape.fsm.entry import EntryInvalid, decode
from statetape.fsm.fold import fold
from statetape.fsm.tombstone import digest, positions_of
from statetape.storage import projection, verifier
from statetape.storage.errors import EntryCollected, HashesShrunk, StoreFull, TapeDamaged
from statetape.storage.files import Files
from statetape.storage.merkle import leaf_hashes
from statetape.storage.proofs import consistency, inclusion, root_at, tree_over
from statetape.storage.reader import Reader

from ..storage.tapes import dumped, seeded
from .jobs import HOUR, JOB, Life
from .machines import Clock, machine, open_tape

LIVES = int(os.environ.get("STATETAPE_LIVES", "3"))
STEPS = 300
WRITTEN_MAX = 2_000


def jobs(path, count: int = 60, clock: Clock | None = None, **options) -> Engine:
    """A tape of some jobs, all done, the last of them far from the end of the tape."""
    engine = open_tape(path, clock or Clock(), synchronous="OFF", **options)
    engine.execute_many([Create(JOB, f"tests.job/{n}", {"note": f"of {n}"}) for n in range(count)])
    for event in ("add", "add", "finish"):
        engine.execute_many([Send(f"tests.job/{n}", event) for n in range(count)])
    engine.create(JOB, "pad", {"note": "what fills the last block"})
    engine.execute_many([Send("tests.job/pad", "add")] * 256)
    return engine


def replayed(reader: Reader) -> object:
    """The first difference that replaying a tape finds, or None."""
    collected = Collected(collection.stones_of(reader))
    return Replayer(collected=collected).run(reader.read()).difference


def assert_proofs(life: Life, rng: Random, *, shrunk: bool) -> None:
    """Every root, inclusion and consistency proof is what it was when all entries were there.

    Where blocks were shrunk, it is that or HashesShrunk; never another.
    """
    tape = life.engine.tape
    leaves = life.leaves
    size = len(leaves)
    for old, root in life.checkpoints.items():
        assert tree_over(leaves, old).root() == root
        if not shrunk or old > tape.minimum_index:
            assert root_at(tape, old) == root
    refused = 0
    for _ in range(60):
        one, other = sorted(rng.randrange(1, size + 1) for _ in range(2))
        index = rng.randrange(other)
        try:
            assert root_at(tape, other) == tree_over(leaves, other).root()
            assert inclusion(tape, index, other) == tree_over(leaves, other).inclusion(index)
            assert consistency(tape, one, other) == tree_over(leaves, other).consistency(one)
        except HashesShrunk:
            refused += 1
            assert shrunk
            assert min(one, index) <= tape.minimum_index
    assert refused < 60


@pytest.mark.parametrize("number", range(LIVES))
def test_a_random_life_is_proved_replayed_and_folded_after_collecting_as_before(tmp_path, number):
    """Against a list of everything that was ever on the tape."""
    rng = seeded(f"life {number}")
    life = Life(tmp_path / "t.db", rng)
    shrinking = number % 2 == 1
    went = 0
    for _ in range(3):
        for _ in range(STEPS // 3):
            life.step()
        life.clock.forward(rng.randrange(30) * HOUR)
        life.engine.tick()
        life.learn()
        went += life.collect(shrinking=shrinking).entries
        if rng.random() < 0.5:
            life.reopen()
    tape = life.engine.tape

    assert went > 100
    assert verify(tape) == []
    there = {decode(body).pos: body for body in tape.read()}
    assert len(there) == len(life.bodies) - went
    assert [life.bodies[pos - 1] for pos in there] == list(there.values())
    gone = {pos for stone in collection.stones_of(tape) for pos in positions_of(stone)}
    assert gone == set(range(1, len(life.bodies) + 1)) - there.keys()
    assert replayed(tape) is None
    assert_proofs(life, rng, shrunk=shrinking)

    life.engine.close()
    before = dumped(life.path)
    recover(life.path, rebuild=True, clock=life.clock)
    with Reader.open(Files.of(life.path)) as reader:
        assert verify(reader) == []
        assert replayed(reader) is None
    assert {table: dumped(life.path)[table] for table in ("instance", "gone", "hold")} == {
        table: before[table] for table in ("instance", "gone", "hold")
    }


def test_a_tombstone_says_what_the_instance_was(tmp_path):
    """Who kept the entries folds them, and finds position, state, count and digest."""
    with jobs(tmp_path / "t.db") as engine:
        folded = fold(engine.tape.read())
        positions = {pos: projection.positions(engine.tape, pos) for pos in folded}
        engine.flush()
        positions = {pos: projection.positions(engine.tape, pos) for pos in folded}
        engine.clock.forward(3 * HOUR)
        collection.collect(engine, by="ops")
        stones = list(collection.stones_of(engine.tape))
        [entry] = collection.entries_about(engine.tape)

    assert entry.by == "ops"
    assert len(stones) == 60
    for stone in stones:
        was = folded[stone.pos]
        assert (stone.name, stone.state, stone.seq) == (was.name, "done", was.seq)
        assert stone.digest == digest(was)
        assert positions_of(stone) == positions[stone.pos]


def test_what_may_still_matter_stays(tmp_path):
    """Live, kept for ever, retained, held, not consumed, in the last block: each says why."""
    clock = Clock()
    with jobs(tmp_path / "t.db", clock=clock) as engine:
        engine.create(JOB, "kept", {"note": ""})
        engine.send("tests.job/kept", "keep")
        engine.create(JOB, "young", {"note": ""})
        engine.send("tests.job/young", "finish")
        engine.execute(Hold("tests.job/7", "a dispute", by="me"))
        engine.acknowledge("printer", 200)
        clock.forward(2 * HOUR)
        now = collection.plan(engine.tape, engine.world, clock())
        clock.forward(1)
        later = collection.plan(engine.tape, engine.world, clock())

    assert now.instances == 0
    why = {one.name.partition("/")[2]: one.why for one in later.staying}
    assert why["pad"] == collection.LIVE
    assert why["kept"] == collection.FOREVER
    assert why["young"] == collection.RECENT
    assert "a dispute" in why["7"]
    assert why["59"] == "printer has not come so far"
    assert "0" not in why
    assert {one.name.partition("/")[2] for one in later.going} == {str(n) for n in range(60)} - {
        name for name in why if name.isdigit()
    }


def test_collecting_takes_what_the_plan_says(tmp_path):
    """And what is on hold stays; released, it goes too (negative control)."""
    clock = Clock()
    with jobs(tmp_path / "t.db", clock=clock) as engine:
        clock.forward(3 * HOUR)
        engine.execute(Hold("tests.job/7", "a dispute"))
        planned = collection.plan(engine.tape, engine.world, clock())
        found = collection.collect(engine)

        assert (found.instances, found.entries) == (planned.instances, planned.entries)
        assert found.instances == 59
        assert engine.world.instance("tests.job/7").state == "done"
        assert collection.collect(engine).instances == 0

        engine.execute(Hold("tests.job/7", "it is over", release=True))
        assert collection.collect(engine).instances == 1
        assert engine.world.instance("tests.job/7") is None
        with pytest.raises(InstanceCollected):
            engine.execute(Hold("tests.job/7", "too late"))


def test_a_consumer_that_is_behind_keeps_what_it_has_not_seen(tmp_path):
    """Acknowledged, it goes (negative control)."""
    clock = Clock()
    with jobs(tmp_path / "t.db", clock=clock) as engine:
        clock.forward(3 * HOUR)
        engine.acknowledge("printer", 100)
        assert collection.collect(engine).instances == 0
        effects = engine.effects("printer", 10_000)

        engine.acknowledge("printer", engine.tape.size)
        assert collection.collect(engine).instances == 60
        assert len(effects) > 60
        assert engine.effects("printer") == []


def test_holds_are_recorded_and_asked_for_again_they_are_the_same(tmp_path):
    """Another reason is another entry; a release lifts them all; replay follows."""
    with jobs(tmp_path / "t.db") as engine:
        name = "tests.job/1"
        first = engine.execute(Hold(name, "one", by="me"))
        again = engine.execute(Hold(name, "one", by="me"))
        other = engine.execute(Hold(name, "another", by="me"))
        engine.execute(Hold(name, "over", release=True))
        with pytest.raises(NotOnHold):
            engine.execute(Hold(name, "over", release=True))
        with pytest.raises(InstanceUnknown):
            engine.execute(Hold("tests.job/none", "why"))

        assert (again.outcome, again.pos) == ("duplicate", first.pos)
        assert other.pos == first.pos + 1
        assert engine.world.holds == {}
        assert replayed(engine.tape) is None
        engine.execute(Hold(name, "again"))
    with open_tape(tmp_path / "t.db") as engine:
        assert engine.world.holds[name].why == "again"
        assert verify(engine.tape) == []


def test_a_hold_that_was_not_stored_holds_nothing(tmp_path):
    """It is rolled back with its transaction: here the file may not grow."""
    with jobs(tmp_path / "t.db") as engine:
        engine.execute(Hold("tests.job/1", "one"))
        [[pages]] = engine.tape.query("PRAGMA page_count")
        engine.tape.query(f"PRAGMA max_page_count = {pages}")
        asked = [Hold(f"tests.job/{n}", "x" * 2000) for n in range(10, 20)]
        answers = engine.execute_many([Hold("tests.job/1", "over", release=True), *asked])
        engine.tape.query("PRAGMA max_page_count = 1000000")

        assert {type(answer) for answer in answers} == {StoreFull}
        assert set(engine.world.holds) == {"tests.job/1"}
        assert engine.execute(Hold("tests.job/1", "one")).outcome == "duplicate"
        assert engine.execute(asked[0]).outcome == "accepted"
    with open_tape(tmp_path / "t.db") as engine:
        assert verify(engine.tape) == []


@pytest.mark.parametrize("reopened", [False, True])
def test_a_collected_name_is_never_used_again(tmp_path, reopened):
    """Promise 4: commands with keys that were taken are refused and recorded, not done again."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        engine.create(JOB, "a", {"note": "n"}, key="new")
        engine.send("tests.job/a", "add", {"by": 2}, key="k")
        engine.send("tests.job/a", "finish")
        engine.create(JOB, "teller", {"note": "n", "partner": "tests.job/a"})
        engine.execute_many([Send("tests.job/teller", "rest", {"until": 9})] * 300)
        engine.observe("chain", 9)
    engine = open_tape(path, clock)
    clock.forward(3 * HOUR)
    assert collection.collect(engine).instances == 1
    if reopened:
        engine.close()
        engine = open_tape(path, clock)
    repeated = [
        Create(JOB, "tests.job/a", {"note": "n"}, key="new"),
        Send("tests.job/a", "add", {"by": 2}, key="k"),
        Send("tests.job/a", "add", {"by": 2}),
    ]
    answers = engine.execute_many(repeated)
    again = engine.execute_many(repeated[:2])
    engine.send("tests.job/teller", "add")
    told = [decode(body) for body in engine.tape.read(engine.tape.size)]

    assert [one.reason for one in answers] == [{"kind": "collected_instance"}] * 3
    assert [(one.outcome, one.first) for one in again] == [("duplicate", "rejected")] * 2
    assert told[0].reason == {"kind": "collected_instance"}
    assert told[0].name == "tests.job/a"
    assert engine.world.instance("tests.job/a") is None
    engine.flush()
    assert verify(engine.tape) == []
    assert replayed(engine.tape) is None
    engine.close()


def test_a_second_engine_that_knew_the_instances_learns_that_they_are_gone(tmp_path):
    """It has them in memory, partly not yet projected; what it appends then is sound."""
    path, clock = tmp_path / "t.db", Clock()
    with jobs(path, clock=clock) as one, open_tape(path, clock, synchronous="OFF") as other:
        other.create(JOB, "late", {"note": "n"}, key="new")
        other.execute_many([Send("tests.job/late", "add", {}, key=f"k{n}") for n in range(9)])
        other.send("tests.job/late", "finish")
        one.execute_many([Send("tests.job/pad", "add")] * 256)
        for number in range(60):
            assert other.world.instance(f"tests.job/{number}") is not None
        clock.forward(3 * HOUR)
        assert collection.collect(one).instances == 61

        refused = other.send("tests.job/late", "add", {}, key="k1")
        created = other.create(JOB, "new", {"note": "n"})
        other.flush()
        assert refused.reason == {"kind": "collected_instance"}
        assert created.accepted
        assert verify(other.tape) == []
        assert one.send("tests.job/new", "add").accepted
        assert replayed(one.tape) is None
    with Reader.open(Files.of(path)) as reader:
        assert verify(reader) == []


def test_others_write_while_entries_are_collected(tmp_path):
    """Each in a thread with an engine of its own: nobody is refused, and everything fits."""
    path, clock = tmp_path / "t.db", Clock()
    stop = threading.Event()
    failed: list[BaseException] = []

    def write(writer: str) -> None:
        try:
            with open_tape(path, clock, synchronous="OFF", timeout_s=60) as engine:
                for number in range(WRITTEN_MAX):
                    if stop.is_set() and number > 20:
                        return
                    name = f"tests.job/{writer}-{number}"
                    asked = [Create(JOB, name, {"note": writer}, key="new")]
                    asked += [Send(name, "add", {}, key=f"k{n}") for n in range(5)]
                    asked += [Send(name, "finish"), Send(f"tests.job/{writer}-0", "add")]
                    clock.forward(HOUR)
                    for answer in engine.execute_many(asked)[:-1]:
                        assert answer.outcome == "accepted", answer
        except BaseException as error:
            failed.append(error)

    with jobs(path, clock=clock, timeout_s=60) as engine:
        threads = [threading.Thread(target=write, args=(writer,)) for writer in "xy"]
        for thread in threads:
            thread.start()
        went = [collection.collect(engine, batch_entries=40).instances for _ in range(12)]
        stop.set()
        for thread in threads:
            thread.join()
        went.append(collection.collect(engine).instances)
        engine.flush()

        assert failed == []
        assert sum(went) > 60
        assert verify(engine.tape) == []
        assert replayed(engine.tape) is None


def test_an_engine_that_was_far_behind_catches_up_over_the_holes(tmp_path):
    """It never saw the entries that are gone, nor, after shrinking, their hashes."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as behind:
        behind.create(JOB, "old", {"note": "n"})
        with jobs(path, 400, clock) as one:
            clock.forward(3 * HOUR)
            found = collection.collect(one, shrinking=True, uncosigned=True)
            assert found.blocks_shrunk > 0
        assert behind.send("tests.job/old", "add").accepted
        assert behind.tape.edge.root() == root_at(behind.tape, behind.tape.size)
        assert verify(behind.tape) == []


def test_what_is_collected_is_told_in_words(tmp_path):
    """By position, by name, and in the stories of those that are still there."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        engine.create(JOB, "gone", {"note": "n", "partner": "tests.job/here"})
        engine.create(JOB, "here", {"note": "n", "partner": "tests.job/gone"})
        engine.send("tests.job/gone", "add")
        engine.send("tests.job/gone", "finish")
        engine.create(JOB, "pad", {"note": "what fills the last block"})
        engine.execute_many([Send("tests.job/pad", "add")] * 256)
        clock.forward(3 * HOUR)
        assert collection.collect(engine).instances == 1
        [entry] = collection.entries_about(engine.tape)
    with Inspector.open(path) as inspector:
        with pytest.raises(EntryCollected) as collected:
            inspector.reader.body(3)
        with pytest.raises(EntryCollected):
            inspector.reader.bodies_of([3])
        with pytest.raises(InstanceCollected):
            inspector.show("tests.job/gone")
        with pytest.raises(InstanceCollected):
            inspector.find("gone")
        grave = inspector.grave("gone")
        history = inspector.history("tests.job/gone")
        group = group_of(inspector, "tests.job/here", clock())

    assert collected.value.place == "entry 3"
    assert grave.entry.pos == entry.pos
    assert grave.stone.name == "tests.job/gone"
    assert all(one.reason == {"kind": "collected_instance"} for one in history)
    [missing] = group.missing
    assert (missing.name, missing.why) == ("tests.job/gone", f"collected (position {entry.pos})")


def test_what_was_deleted_and_not_collected_is_a_finding(tmp_path):
    """And what is said to be collected and is there; a tile or a mark that nothing vouches for."""
    path, clock = tmp_path / "t.db", Clock()
    with jobs(path, clock=clock) as engine:
        clock.forward(3 * HOUR)
        collection.collect(engine)
        engine.flush()
        db = engine.tape.db
        db.set_authorizer(None)
        kept = db.execute("SELECT min(pos) FROM entry WHERE pos > 2").fetchone()[0]
        row = db.execute("SELECT * FROM entry WHERE pos = ?", (kept,)).fetchone()
        db.execute("DELETE FROM entry WHERE pos = ?", (kept,))
        places = [finding.place for finding in verify(engine.tape)]

        assert f"entry {kept}" in places
        db.execute("DROP TRIGGER entry_next")
        db.execute("INSERT INTO entry VALUES (?, ?, ?)", row)
        db.execute("INSERT INTO entry VALUES (3, 'forged', 0)")
        places = [finding.place for finding in verify(engine.tape)]
        assert "entry 3" in places
        assert f"entry {kept}" not in places


def test_damaged_entries_are_not_collected(tmp_path):
    """They would take the evidence of the damage along; nothing of that batch goes."""
    path, clock = tmp_path / "t.db", Clock()
    with jobs(path, clock=clock) as engine:
        clock.forward(3 * HOUR)
        engine.tape.db.set_authorizer(None)
        engine.tape.db.execute("DROP TRIGGER entry_no_update")
        engine.tape.db.execute(
            "UPDATE entry SET body = replace(body, 'of 5', 'by 5') WHERE pos = 8"
        )
        with pytest.raises(TapeDamaged) as damaged:
            collection.collect(engine)

        assert damaged.value.place == "entry 8"
        assert engine.tape.query("SELECT count(*) FROM tile") == [(0,)]
        assert engine.world.instance("tests.job/9") is not None


def test_only_a_whole_history_is_imported(tmp_path):
    """What is left is exported; the line of the first hole is named."""
    clock = Clock()
    with jobs(tmp_path / "t.db", clock=clock) as engine:
        clock.forward(3 * HOUR)
        engine.execute(Hold("tests.job/1", "one"))
        whole, left = BytesIO(), BytesIO()
        export_events(engine.tape, whole)
        collection.collect(engine)
        export_events(engine.tape, left)
    (tmp_path / "whole.jsonl").write_bytes(whole.getvalue())
    (tmp_path / "left.jsonl").write_bytes(left.getvalue())

    with pytest.raises(EntryInvalid) as refused:
        import_events(tmp_path / "left.jsonl", Files.of(tmp_path / "left.db"))
    assert refused.value.place.endswith("left.jsonl:3")
    assert "holes" in refused.value.hint
    assert not (tmp_path / "left.db").exists()
    import_events(tmp_path / "whole.jsonl", Files.of(tmp_path / "whole.db"))
    with open_tape(tmp_path / "whole.db", clock) as engine:
        assert set(engine.world.holds) == {"tests.job/1"}
        assert verify(engine.tape) == []


RING = machine("""
machine: tests.ring
version: 1
title: It hands on what it gets
data: {next: text}
create: {params: {next: text}, set: {next: next}}
states:
  open: {initial: true}
  over: {final: true, retain: 1h}
events:
  hand:
    effects: [{raise: hand, to: next}]
    go: [{from: open}]
  end:
    go: [{from: open, to: over}]
""")


def test_a_chain_of_links_that_lost_some_replays_to_its_end(tmp_path):
    """How deep it is cannot be counted any more: that it was refused there is taken as told."""
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        for name, following in (("a", "b"), ("b", "c"), ("c", "a")):
            engine.create(RING, name, {"next": f"tests.ring/{following}"})
        engine.send("tests.ring/a", "hand")
        refused = [decode(body).reason for body in engine.tape.read()][-1]
        engine.send("tests.ring/b", "end")
        engine.send("tests.ring/a", "hand")
        engine.create(JOB, "pad", {"note": "what fills the last block"})
        engine.execute_many([Send("tests.job/pad", "add")] * 256)
        clock.forward(2 * HOUR)
        assert collection.collect(engine).instances == 1
        engine.send("tests.ring/a", "hand")

        assert refused == {"kind": "links_too_deep"}
        assert replayed(engine.tape) is None


def test_shrinking_needs_a_witness_unless_told_otherwise(tmp_path):
    """Then proofs of what is above the shrunk blocks stand, and those within are refused."""
    clock = Clock()
    with jobs(tmp_path / "t.db", 400, clock) as engine:
        clock.forward(3 * HOUR)
        tape = engine.tape
        size = tape.size
        leaves = leaf_hashes(list(tape.read()))
        kept = inclusion(tape, 700, size)
        root = tape.edge.root()
        collection.collect(engine)
        with pytest.raises(collection.NotCosigned):
            collection.shrink(engine)
        blocks = collection.shrink(engine, uncosigned=True)

        assert blocks > 2
        assert tape.minimum_index >= blocks * 256
        with pytest.raises(HashesShrunk):
            inclusion(tape, 700, size)
        verifier.check_inclusion(700, size, leaves[700], kept, root)
        last = len(leaves) - 1
        assert inclusion(tape, last, size) == tree_over(leaves, size).inclusion(last)
        assert tape.subtree(8, 3) == tree_over(leaves, 1024).complete(8, 3)
        assert verify(tape) == []
        assert collection.shrink(engine, uncosigned=True) == 0


PAPER = machine("""
machine: tests.paper
version: 1
title: A paper that matters for as long as its job does
data: {job: text}
links: {job: job}
ends_with: job
states:
  filed: {initial: true}
events:
  stamp: {go: [{from: filed}]}
""")


def test_what_ends_with_another_goes_when_that_is_over(tmp_path):
    """A paper is never final. It goes with its job: after it, or in the same run; never before."""
    clock = Clock()
    with jobs(tmp_path / "t.db", 2, clock) as engine:
        for name in ("over", "open", "held"):
            engine.create(JOB, name, {"note": name})
            engine.create(PAPER, name, {"job": f"tests.job/{name}"})
        engine.create(PAPER, "lost", {"job": "tests.job/nowhere"})
        for name in ("over", "held"):
            engine.send(f"tests.job/{name}", "finish")
        engine.execute(Hold("tests.job/held", why="a dispute"))
        engine.execute_many([Send("tests.job/pad", "add")] * 256)
        assert collection.collect(engine).instances == 0

        clock.forward(3 * HOUR)
        planned = collection.plan(engine.tape, engine.world, clock.now)
        whys = {one.name: one.why for one in planned.staying}
        assert "tests.paper/over" not in whys
        assert whys["tests.paper/open"] == whys["tests.paper/lost"] == collection.LIVE
        assert "tests.job/held, with which it ends, is held" in whys["tests.paper/held"]

        assert collection.collect(engine).instances == planned.instances
        assert engine.world.gone_position("tests.paper/over")
        assert engine.send("tests.paper/open", "stamp").accepted
        assert not engine.send("tests.paper/over", "stamp").accepted
