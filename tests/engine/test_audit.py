"""Auditing gathers what belongs to an instance, all of it, and from the right tapes."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
from statetape.engine import audit as auditing
from statetape.engine import catalogue, collection
from statetape.engine.audit import AuditImpossible, SameTape, audit, belonging_on, book
from statetape.engine.commands import Create, InstanceUnknown, Send
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.fsm.audit import OURS, Report, TapeSeen
from statetape.fsm.entry import decode
from statetape.storage.errors import TapeDamaged

from .machines import COUNTER, Clock, machine, open_tape

NAMES = ("test.counter/main", "test.counter/part/")


class CounterAuditor:
    """Audits the counters of a test: `main`, and all whose key begins with `part/`."""

    def audits(self, machine):
        """Counters only."""
        return machine == "test.counter"

    def belonging(self, instance):
        """One name, and a beginning of names."""
        return NAMES

    def report(self, instance, books, *, timeline=True):
        """Return what was gathered, as it was."""
        seen = tuple(TapeSeen(b.side, b.origin, b.vkey, b.size, b.root) for b in books)
        return Report(instance, "", {}, seen, (), (), (), (), (), (), (), ())


@pytest.fixture
def counters(monkeypatch):
    """A system that audits counters, beside the bundled ones."""
    monkeypatch.setattr(catalogue, "auditors", lambda: iter([CounterAuditor()]))


def fill(engine, keys, rounds=1):
    """Create counters and add to them, in turns."""
    engine.execute_many([Create(COUNTER, f"test.counter/{key}", {"limit": 99}) for key in keys])
    for _ in range(rounds):
        engine.execute_many([Send(f"test.counter/{key}", "add") for key in keys])


KEYS = ("main", "part/a", "other", "part/b", "partly", "part0")


def tape(folder, name="tape.db", keys=KEYS, lot=b"t"):
    """Return a tape with counters, some of which belong to one another; `lot` draws its name."""
    path = folder / name
    with Engine.open(path, clock=Clock(), entropy=lambda count: lot * count) as engine:
        fill(engine, keys, rounds=2)
    return path


def gathered(path):
    """Return what an audit reads of a tape."""
    with Inspector.open(path) as inspector:
        return book(OURS, inspector, NAMES)


def by_reading(path, names=("test.counter/main", "test.counter/part/a", "test.counter/part/b")):
    """Return the same by reading the whole tape: the definition, in other words."""
    with Inspector.open(path) as inspector:
        entries = list(map(decode, inspector.reader.read()))
    wanted = {one.pos: one.create for one in entries if one.create in names}
    return wanted, [one for one in entries if one.pos in wanted or one.instance in wanted]


def test_a_book_has_every_entry_of_what_belongs_and_no_other(tmp_path):
    """Names that merely look alike are left out; all others are there, in order of position."""
    path = tape(tmp_path)
    found = gathered(path)
    names, entries = by_reading(path)

    assert dict(found.names) == names
    assert list(found.entries) == entries
    assert len(entries) == 9


def test_entries_that_no_flush_has_covered_are_there_too(tmp_path):
    """Of instances that were projected before, and of ones that never were."""
    path = tape(tmp_path)
    engine = open_tape(path, Clock())
    fill(engine, ["part/c", "later"])
    engine.execute_many([Send("test.counter/main", "add"), Send("test.counter/part/a", "add")])
    engine.abandon()
    found = gathered(path)
    names, entries = by_reading(
        path, ("test.counter/main", *(f"test.counter/part/{k}" for k in "abc"))
    )

    assert dict(found.names) == names
    assert list(found.entries) == entries


def test_more_instances_than_one_query_takes(tmp_path):
    """Batches meet without a gap."""
    keys = [f"part/{number}" for number in range(1203)]
    found = gathered(tape(tmp_path, keys=keys))

    assert len(found.names) == 1203
    assert [one.pos for one in found.entries] == sorted(one.pos for one in found.entries)
    assert len(found.entries) == 3 * 1203


def test_a_book_says_exactly_what_was_read(tmp_path):
    """Origin, key, size and root are the tape's own."""
    path = tape(tmp_path)
    found = gathered(path)
    with Inspector.open(path) as inspector:
        reader = inspector.reader
        assert found.origin == reader.origin
        assert found.vkey == reader.signers()[0].text
        assert (found.size, found.root) == (
            reader.stored_size(),
            reader.edge_at(reader.stored_size()).root().hex(),
        )


def change(path, sql, *values):
    """Change a tape behind its back."""
    with sqlite3.connect(path) as connection:
        assert connection.execute(sql, values).rowcount
    connection.close()


def test_an_index_that_leads_to_fewer_entries_is_noticed(tmp_path):
    """Nothing is audited from part of a history. The control is every test above."""
    path = tape(tmp_path)
    change(path, "UPDATE history SET offsets = substr(offsets, 1, 2) WHERE instance = 3")

    with pytest.raises(TapeDamaged):
        gathered(path)


def test_an_index_that_leads_to_anothers_entries_is_noticed(tmp_path):
    """Whose an entry is, the entry says."""
    path = tape(tmp_path)
    change(
        path,
        "UPDATE history SET offsets = (SELECT offsets FROM history WHERE instance = 5) "
        "WHERE instance = 3",
    )

    with pytest.raises(TapeDamaged):
        gathered(path)


def test_the_key_alone_is_enough(tmp_path, counters):
    """As for every other command; names that have one audit in common are not two."""
    with Inspector.open(tape(tmp_path)) as inspector:
        assert audit(inspector, "main").instance == "test.counter/main"
        assert audit(inspector, "part/a").instance == "test.counter/part/a"


def test_two_audits_of_one_key_are_asked_back(tmp_path, monkeypatch):
    """Which is meant, nobody guesses."""

    class Apart(CounterAuditor):
        def audits(self, machine):
            return machine in ("test.counter", "test.second")

        def belonging(self, instance):
            return (instance,)

    second = open_tape(tmp_path / "tape.db", Clock())
    renamed = COUNTER.text.replace("test.counter", "test.second")
    second.create(machine(renamed), "main")
    second.create(COUNTER, "main")
    second.close()
    monkeypatch.setattr(catalogue, "auditors", lambda: iter([Apart()]))
    with Inspector.open(tmp_path / "tape.db") as inspector:
        with pytest.raises(InstanceUnknown, match="2 instances that can be audited"):
            audit(inspector, "main")
        assert audit(inspector, "test.second/main").instance == "test.second/main"


def test_what_nobody_audits_says_what_is_audited(tmp_path):
    """The hint names the machines that are."""
    with Inspector.open(tape(tmp_path)) as inspector:
        with pytest.raises(AuditImpossible) as caught:
            audit(inspector, "main")
        with pytest.raises(InstanceUnknown):
            audit(inspector, "nobody")

    assert "filecoin.payment_channel" in caught.value.hint


def test_both_sides_are_read_ours_first(tmp_path, counters):
    """Two tapes, two books."""
    paths = [tape(tmp_path, "a.db", lot=b"a"), tape(tmp_path, "b.db", lot=b"b")]
    with Inspector.open(paths[0]) as ours, Inspector.open(paths[1]) as theirs:
        found = audit(ours, "main", theirs)

    assert [one.side for one in found.tapes] == ["ours", "theirs"]
    assert found.tapes[0].origin != found.tapes[1].origin


def test_a_tape_is_not_compared_with_itself(tmp_path, counters):
    """Nor with a copy: the name in its checkpoints tells."""
    path = tape(tmp_path)
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    with Inspector.open(path) as ours, Inspector.open(copy) as theirs, pytest.raises(SameTape):
        audit(ours, "main", theirs)


def test_another_sides_tape_that_knows_nothing_of_it_is_refused(tmp_path, counters):
    """The wrong file is a mistake, not a finding."""
    ours = tape(tmp_path)
    other = tape(tmp_path, "other.db", keys=("x",), lot=b"o")
    with (
        Inspector.open(ours) as mine,
        Inspector.open(other) as theirs,
        pytest.raises(InstanceUnknown, match="nothing on the counterparty's tape"),
    ):
        audit(mine, "main", theirs)


def test_belonging_is_by_position(tmp_path):
    """Whichever way an instance is named, it comes once."""
    with Inspector.open(tape(tmp_path)) as inspector:
        twice = belonging_on(inspector, (*NAMES, "test.counter/part/a", "test.counter/missing"))

    assert [one.name.partition("/")[2] for one in twice] == ["main", "part/a", "part/b"]
    assert [one.seq for one in twice] == [3, 3, 3]


def test_what_was_collected_is_said_to_be_missing(tmp_path, counters):
    """An audit from what is left says what is not, and where that is recorded; else nothing."""
    path = tmp_path / "tape.db"
    clock = Clock()
    short = machine(COUNTER.text.replace("{final: true}", "{final: true, retain: 1s}"))
    with Engine.open(path, clock=clock) as engine:
        engine.execute_many(
            [Create(short, f"test.counter/{key}", {"limit": 2}) for key in ("main", "part/a", "x")]
        )
        engine.execute_many([Send(f"test.counter/{key}", "add") for key in ("part/a", "x")] * 2)
        engine.execute_many([Send("test.counter/main", "unknown")] * 300)
        clock.forward(60)
        before = report_of(path)
        assert collection.collect(engine).instances == 2
    after = report_of(path)
    [told] = after.undecidable

    assert before.undecidable == ()
    assert "test.counter/part/a" in told.text
    assert "test.counter/x" not in told.text
    assert [cited.pos for cited in told.entries] == [after.tapes[0].size]


def report_of(path):
    """Return the audit of `main`."""
    with Inspector.open(path) as inspector:
        return audit(inspector, "main")


def test_a_report_survives_json(tmp_path, counters):
    """What the command prints can be read back as what it was."""
    with Inspector.open(tape(tmp_path)) as inspector:
        found = audit(inspector, "main")

    assert msgspec.json.decode(msgspec.json.encode(found), type=Report) == found
    assert auditing.auditor_of("test.counter/x") is not None
