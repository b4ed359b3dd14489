"""The projections' tables: any change is named, and the entries bring them back."""

from __future__ import annotations

import gc

import pytest
from statetape.engine.commands import Create, Send
from statetape.engine.engine import Engine
from statetape.engine.recover import recover
from statetape.engine.verify import verify
from statetape.fsm.errors import StatetapeError
from statetape.storage import projection
from statetape.storage.errors import TapeDamaged
from statetape.storage.files import Files
from statetape.storage.projection import InstanceRow, Projection
from statetape.storage.reader import Reader

from .damage import Whole, reports, verdict
from .tapes import (
    GATE,
    Clock,
    long_tape,
    new_tape,
    open_engine,
    served,
    small_tape,
    unconstrained,
    vandal,
)


@pytest.fixture
def path(tmp_path):
    """Where the test's tape lies."""
    return tmp_path / "t.db"


PROJECTIONS = {
    "instance": [
        *(
            f"UPDATE instance SET {column} = {value} WHERE pos = 3"
            for column, value in {
                "name": "'tests.gate/z'",
                "spec": 1,
                "state": "'open'",
                "seq": 99,
                "last": 4,
                "data": "'{}'",
                "timers": "NULL",
                "parked": "NULL",
                "crc": 1,
            }.items()
        ),
        "UPDATE instance SET pos = 4 WHERE pos = 3",
        "DELETE FROM instance WHERE pos = 3",
        "INSERT INTO instance VALUES (99, 'tests.gate/z', 2, 'open', 1, 99, '{}', NULL, NULL, 1)",
    ],
    "history": [
        "UPDATE history SET offsets = zeroblob(2)",
        "UPDATE history SET offsets = CAST(offsets || 'x' AS BLOB)",
        "UPDATE history SET offsets = x''",
        "UPDATE history SET base = base + 1",
        "UPDATE history SET instance = 4 WHERE instance = 3",
        "DELETE FROM history WHERE instance = 3",
        "DELETE FROM history",
        "INSERT INTO history VALUES (99, 1, x'0000')",
    ],
    "idempotency": [
        "UPDATE idempotency SET instance = 99 WHERE key = 'k2'",
        "UPDATE idempotency SET key = 'k22' WHERE key = 'k2'",
        "UPDATE idempotency SET pos = 11 WHERE key = 'k2'",
        "DELETE FROM idempotency WHERE key = 'k2'",
        "DELETE FROM idempotency",
        "INSERT INTO idempotency VALUES (3, 'never used', 5)",
    ],
    "head": [
        "UPDATE head SET height = height + 1",
        "UPDATE head SET chain = 'other'",
        "UPDATE head SET pos = 9",
        "DELETE FROM head",
        "INSERT INTO head VALUES ('other', 5, 9)",
    ],
    "spec": [
        "UPDATE spec SET digest = 'other'",
        "UPDATE spec SET chain = 'other'",
        "UPDATE spec SET chain = NULL",
        "UPDATE spec SET machine = 'tests.other'",
        "UPDATE spec SET pos = 3",
        "DELETE FROM spec",
        "INSERT INTO spec VALUES (9, 'tests.other', 'digest', NULL)",
    ],
    "cursor": [
        "UPDATE cursor SET pos = pos - 1 WHERE name = 'projection'",
        "UPDATE cursor SET pos = pos - 1 WHERE name = 'sender'",
        "UPDATE cursor SET pos = 10000 WHERE name = 'projection'",
        "UPDATE cursor SET name = 'receiver' WHERE name = 'sender'",
        "UPDATE cursor SET crc = 1 WHERE name = 'projection'",
    ],
}


def changed(path, sql: str) -> list[str]:
    """Make a tape, change it, and return where verify finds something wrong."""
    small_tape(path)
    with vandal(path) as db:
        before = db.total_changes
        db.execute(sql)
        assert db.total_changes > before, "the statement changed nothing"
    return [place for place, _ in reports(path)]


@pytest.mark.parametrize(
    ("table", "sql"),
    [(table, sql) for table, all_of_it in PROJECTIONS.items() for sql in all_of_it],
)
def test_a_changed_projection_is_named_and_can_be_folded_again(path, table, sql):
    """By its table and row. The entries are the truth, so `recover --rebuild` mends it.

    How far a consumer came is not in the entries: it begins again.
    """
    found = changed(path, sql)
    assert [place for place in found if place.startswith(f"table {table}, ")], found

    recover(path, rebuild=True, clock=Clock())
    assert reports(path) == []


def test_a_projection_thrown_away_is_named(path):
    """The cursor that says how far it goes is gone: rows that nothing accounts for remain."""
    found = changed(path, "DELETE FROM cursor WHERE name = 'projection'")

    assert "table instance, row 3" in found


@pytest.mark.parametrize(
    "sql", [*PROJECTIONS["head"], *PROJECTIONS["spec"], *PROJECTIONS["cursor"]]
)
def test_a_damaged_projection_never_keeps_a_tape_from_being_rebuilt(path, sql):
    """Opening it to send commands may be refused; the hint's command then works."""
    small_tape(path)
    with vandal(path) as db:
        db.execute(sql)
    hint = "recover --rebuild"
    try:
        open_engine(path).abandon()
    except StatetapeError as refused:
        hint = refused.hint
    assert "recover --rebuild" in hint
    recover(path, rebuild=True, clock=Clock())

    open_engine(path).close()


NULL, REAL, TEXT, BLOB, NOT_UTF8 = "NULL", "1.5", "'x'", "x'ffffff'", "CAST(x'ff' AS TEXT)"
WRONG_TYPES = {
    "entry.body": ("pos = 9", [NULL, REAL, BLOB, NOT_UTF8]),
    "entry.crc": ("pos = 9", [NULL, REAL, TEXT, BLOB]),
    "node.root": ("true", [NULL, REAL, TEXT, "7"]),
    "node.level": ("true", [REAL, TEXT, BLOB]),
    "node.idx": ("true", [REAL, TEXT, BLOB]),
    "checkpoint.note": ("size = 8", [NULL, "7", "CAST(note AS BLOB)", NOT_UTF8]),
    "signer.vkey": ("true", ["7", "CAST(vkey AS BLOB)", NOT_UTF8]),
    **{
        f"instance.{column}": ("pos = 3", [NULL, REAL, BLOB, NOT_UTF8])
        for column in ("name", "spec", "state", "seq", "last", "data", "timers", "parked", "crc")
    },
    "history.instance": ("instance = 3 AND base = 1", [REAL, TEXT, BLOB]),
    "history.base": ("instance = 3 AND base = 1", [REAL, TEXT, BLOB]),
    "history.offsets": ("instance = 3", [NULL, "7", REAL, TEXT, NOT_UTF8]),
    "idempotency.instance": ("key = 'k2'", [REAL, TEXT, BLOB]),
    "idempotency.key": ("key = 'k2'", ["7", BLOB, NOT_UTF8]),
    "idempotency.pos": ("key = 'k2'", [NULL, REAL, TEXT, BLOB]),
    "head.chain": ("true", ["7", BLOB, NOT_UTF8]),
    "head.height": ("true", [NULL, REAL, TEXT, BLOB]),
    "head.pos": ("true", [NULL, REAL, TEXT, BLOB]),
    "spec.machine": ("true", [NULL, "7", BLOB, NOT_UTF8]),
    "spec.digest": ("true", [NULL, "7", BLOB, NOT_UTF8]),
    "spec.chain": ("true", ["7", BLOB, NOT_UTF8]),
    "cursor.pos": ("name = 'projection'", [NULL, REAL, TEXT, BLOB]),
    "cursor.crc": ("name = 'projection'", [NULL, REAL, TEXT, BLOB]),
}
"""A record on a damaged page can say that a column is of any type, whatever the table declares."""


@pytest.mark.parametrize("column", WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_reported_and_no_traceback(path, column):
    """When it is verified, when it is looked at, and when it is opened for commands."""
    long_tape(path)
    whole = Whole(path)
    table, name = column.split(".")
    where, values = WRONG_TYPES[column]
    found = {}
    for value in values:
        whole.restore(path)
        with unconstrained(path) as db:
            db.execute(f"UPDATE {table} SET {name} = {value} WHERE {where}")
            assert db.total_changes
        found[value] = verdict(path, whole)
        try:
            assert served(path)["export"] == whole.answers["export"]
        except StatetapeError:
            continue
        except Exception as error:
            found[value] += f"; opening raised {type(error).__name__}"
        finally:
            gc.collect()  # what it left open must be closed before the file is written again

    assert set(found.values()) == {"reported"}, found


ROW = InstanceRow(2, "m/a", 1, "open", 1, 2, "{}", None, None)


def store(tape, **parts: object) -> None:
    """Store a flush of these parts."""
    whole = Projection(
        **{
            "upto": tape.size,
            "instances": [],
            "window_base": 1,
            "window": [],
            "keys": [],
            "heads": {},
            "specs": [],
            "gone": {},
            "holds": {},
            **parts,
        }
    )
    tape.take()
    try:
        tape.write((), lambda: projection.store(tape, whole))
    finally:
        tape.give()


def test_what_is_stored_is_read_back(path):
    """Every table; a second flush replaces and adds."""
    with new_tape(path) as tape:
        store(
            tape,
            instances=[ROW, ROW._replace(pos=5, name="m/b", timers='{"t":["at",1,5]}')],
            window=[0, 2, 2, 0, 5],
            keys=[(2, "key", 3), (0, "m/a key", 2)],
            heads={"chain": (7, 4)},
            specs=[projection.Spec(1, "m", "digest", None)],
        )
        store(tape, instances=[ROW._replace(seq=9)], window_base=6, window=[2, 5], keys=[])

        assert [row.seq for row in projection.instances(tape)] == [9, 1]
        assert [row.pos for row in projection.instances(tape, with_timers=True)] == [5]
        assert projection.instance_by_name(tape, "m/a") == ROW._replace(seq=9)
        assert projection.instance_by_pos(tape, 5).name == "m/b"
        assert projection.instance_by_name(tape, "m/c") is None
        assert projection.positions(tape, 2) == [2, 3, 6]
        assert projection.positions(tape, 5) == [5, 7]
        assert projection.key_position(tape, 2, "key") == 3
        assert projection.key_position(tape, 2, "other") is None
        assert projection.heads(tape) == {"chain": (7, 4)}
        assert projection.specs(tape) == [(1, "m", "digest", None)]
        assert projection.projected(tape) == tape.size


def test_a_window_of_any_length_can_be_stored(path):
    """An offset has two bytes, and a tape that is folded from its beginning has a long window."""
    with new_tape(path) as tape:
        store(tape, instances=[ROW], window=[2 * (pos % 1000 == 2) for pos in range(1, 140_001)])

        assert projection.positions(tape, 2) == list(range(2, 140_001, 1000))


def test_a_tape_of_more_than_65536_entries_can_be_rebuilt(path):
    """`recover --rebuild` folds everything, and stores it again."""
    with open_engine(path) as engine:
        engine.create(GATE, "a", {"owner": "me"})
        engine.send("tests.gate/a", "unlock", {"until": 5})
        visit = Send("tests.gate/a", "visit", {"text": "x"})
        for _ in range(7):
            engine.execute_many([visit] * 10_000)
    recover(path, rebuild=True, clock=Clock())

    with Reader.open(Files.of(path)) as reader:
        assert verify(reader) == []


def test_a_damaged_timers_index_does_not_make_opening_endless(path):
    """An index that leads back to the same rows again and again is damage, not more rows."""
    small_tape(path)
    with Reader.open(Files.of(path)) as reader:
        rows = reader.query("SELECT * FROM instance WHERE pos = 3")
        asked = []

        def query(sql: str, values: object = ()) -> list[tuple[object, ...]]:
            asked.append(values)
            assert len(asked) < 10, "the same rows are read for ever"
            return rows

        reader.query = query
        with pytest.raises(TapeDamaged):
            list(projection.instances(reader, with_timers=True))


@pytest.mark.parametrize("height", [0, 1, 2**53 + 1, 2**62])
def test_a_head_of_any_height_is_found_again(path, height):
    """Projected, closed and opened: no height is taken for damage. A chain begins at 0."""
    with open_engine(path) as engine:
        engine.create(GATE, "a", {"owner": "me"})
        engine.observe("chain", height)

    with open_engine(path) as engine:
        assert engine.world.heads["chain"][0] == height


def test_a_key_that_leads_to_another_entry_is_damage_not_an_answer(path):
    """A repeated command is never told what became of another one."""
    small_tape(path)
    with vandal(path) as db:
        # Entries 4 and 6 are equal commands with equal keys, to two instances.
        db.execute("UPDATE idempotency SET pos = 6 WHERE instance = 3 AND key = 'k1'")
    with open_engine(path) as engine, pytest.raises(TapeDamaged, match="idempotency"):
        engine.send("tests.gate/a", "visit", {"text": "early"}, key="k1")


@pytest.mark.parametrize("pos", [100, 0, -5])
def test_a_key_that_leads_nowhere_is_damage_by_name(path, pos):
    """No entry is there: TapeDamaged, not a LookupError."""
    small_tape(path)
    with vandal(path) as db:
        db.execute("UPDATE idempotency SET pos = ? WHERE key = 'k2'", (pos,))
    with open_engine(path) as engine, pytest.raises(TapeDamaged):
        engine.send("tests.gate/a", "unlock", {"until": 10}, key="k2")


def test_instances_beyond_a_page_are_all_projected(path):
    """More than are read at a time."""
    with open_engine(path) as engine:
        engine.execute_many([Create(GATE, f"tests.gate/{i}", {"owner": "me"}) for i in range(2500)])
    with Reader.open(Files.of(path)) as reader:
        assert [row.name for row in projection.instances(reader)][2499] == "tests.gate/2499"
        assert verify(reader) == []
    with Engine.open(path, clock=Clock()) as engine:
        assert engine.send("tests.gate/2400", "close").outcome == "rejected"
