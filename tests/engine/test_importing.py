"""Importing: items become commands with their own keys, and running a file twice adds nothing."""

from __future__ import annotations

import gc
import json
import sqlite3
import subprocess
import sys

import pytest
from statetape.engine import catalogue, importing
from statetape.engine.importing import NOTES_MAX, import_foreign, import_items
from statetape.engine.replay import Replayer
from statetape.fsm.importing import Begin, Event, Note
from statetape.specs.lassie.imports import IMPORTERS
from statetape.storage.errors import StoreFull
from statetape.storage.files import Files
from statetape.storage.foreign import ForeignInvalid, ForeignMissing
from statetape.storage.reader import Reader

from .machines import SECOND, Clock, open_tape

CID = "bafybeic4jpi2detp5n3q6rjo7ckulebtr7dsvt2tbrtcqlnnzqmi3bzz2y"
MACHINE = "lassie.retrieval"
NOW = 1_700_000_000 * SECOND
PARAMS = {"cid": CID, "provider": "p", "phase": "query", "phase_start_ns": 1, "event_ns": 2}


def retrieval(number):
    """Return a retrieval's UUID."""
    return f"00000000-0000-4000-8000-{number:012d}"


def body(number, name="started", **more):
    """Return a batch of one event of a retrieval, as a line."""
    event = {
        "retrievalId": retrieval(number),
        "instanceId": "node-1",
        "cid": CID,
        "storageProviderId": "12D3KooW",
        "phase": "retrieval",
        "phaseStartTime": "2023-03-02T00:15:50Z",
        "eventName": name,
        "eventTime": "2023-03-02T00:15:52.361371026Z",
    }
    return json.dumps({"events": [event | more]}) + "\n"


@pytest.fixture
def engine(tmp_path):
    """An engine on a new tape."""
    with open_tape(tmp_path / "tape.db", Clock(NOW)) as engine:
        yield engine


@pytest.fixture
def small_batches(monkeypatch):
    """Commits of three items, so that a few lines are many of them."""
    monkeypatch.setattr(importing, "BATCH", 3)


def run(engine, tmp_path, text):
    """Import a file of Lassie's with this content."""
    path = tmp_path / "file.json"
    path.write_text(text)
    return import_foreign(engine, IMPORTERS["lassie"], path)


def entries(engine):
    """Return the entries of instances on the tape."""
    found = (json.loads(one) for one in engine.tape.read())
    return [entry for entry in found if "tape" not in entry]


def test_importers_are_found_not_listed():
    """Each system's `imports.py` offers its own; each says what it reads."""
    found = catalogue.importers()

    assert found["lassie"] is IMPORTERS["lassie"]
    assert all(importer.title for importer in found.values())
    assert [name for name in found if not name.replace("-", "").isalnum()] == []


def test_events_are_recorded_with_their_time_their_reporter_and_their_key(engine, tmp_path):
    """`at` is when it happened, `recorded` when it was told, `by` who told it."""
    done = run(engine, tmp_path, body(1))
    begin, event = entries(engine)

    assert (done.read, done.added, done.duplicates, done.refused, done.left_out) == (2, 2, 0, 0, 0)
    assert (begin["create"], begin["key"]) == (f"{MACHINE}/{retrieval(1)}", "begin")
    assert (event["event"], event["by"]) == ("started", "node-1")
    assert (event["at"], event["recorded"]) == (1_677_716_152_361_371, NOW)
    assert event["params"]["event_ns"] == "1677716152361371026"
    assert len(event["key"]) == 32


def test_twice_adds_nothing(engine, tmp_path):
    """Also from another file that says the same in another way, and in part something new."""
    text = body(1) + body(2) + body(1, "proposed")
    first = run(engine, tmp_path, text)
    size = engine.tape.size
    again = run(engine, tmp_path, text)
    spread = [json.dumps(json.loads(line), indent=1) for line in text.splitlines()]
    more = run(engine, tmp_path, "\n".join([*spread, body(2, "failed")]))

    assert (first.read, first.added, first.duplicates) == (5, 5, 0)
    assert (again.read, again.added, again.duplicates, again.whole) == (5, 0, 5, True)
    assert (more.read, more.added, more.duplicates) == (6, 1, 5)
    assert engine.tape.size == size + 1


def test_twice_adds_nothing_on_a_tape_that_was_reopened(tmp_path):
    """What was imported is known from the tape, projected or not."""
    text = body(1) + body(2) + body(3)
    for expected in ((6, 0), (0, 6), (0, 6)):
        with open_tape(tmp_path / "tape.db", Clock(NOW)) as engine:
            done = run(engine, tmp_path, text)
            assert (done.added, done.duplicates) == expected
    engine = open_tape(tmp_path / "tape.db", Clock(NOW))
    run(engine, tmp_path, body(4))
    engine.abandon()
    with open_tape(tmp_path / "tape.db", Clock(NOW)) as engine:
        assert run(engine, tmp_path, body(4)).duplicates == 2


def test_half_an_import_is_completed_by_the_next(tmp_path, small_batches):
    """Whatever was committed before the crash is found; the rest is added; nothing is doubled."""
    lines = [body(number % 4, name) for name in ("started", "failed") for number in range(6)]
    whole = "".join(lines)
    with open_tape(tmp_path / "whole.db", Clock(NOW)) as engine:
        run(engine, tmp_path, whole)
        expected = entries(engine)

    class Died(BaseException):
        """The process ends here."""

    for reached in (3, 6, 9):

        def die(done, reached=reached):
            if done >= reached:
                raise Died

        tape = tmp_path / f"half{reached}.db"
        engine = open_tape(tape, Clock(NOW))
        path = tmp_path / "file.json"
        with pytest.raises(Died):
            import_foreign(engine, IMPORTERS["lassie"], path, die)
        engine.abandon()
        with open_tape(tape, Clock(NOW)) as engine:
            before = len(entries(engine))
            done = run(engine, tmp_path, whole)
            assert 0 < before < len(expected)
            assert done.added == len(expected) - before
            assert entries(engine) == expected


def test_a_disk_that_fails_ends_the_import_with_its_name(engine, tmp_path, small_batches):
    """What was committed before stays; the error is the disk's, not the file's."""
    write = engine.tape.write
    written = []

    def fail(bodies, also=None):
        if len(written) == 2:
            raise StoreFull("no space")
        written.append(len(bodies))
        return write(bodies, also)

    engine.tape.write = fail
    with pytest.raises(StoreFull):
        run(engine, tmp_path, "".join(body(number) for number in range(6)))
    engine.tape.write = write
    done = run(engine, tmp_path, "".join(body(number) for number in range(6)))

    assert (done.added, done.duplicates) == (6, 6)


def test_what_is_left_out_is_said_with_its_place_each_time(engine, tmp_path):
    """A batch that the recorder refuses says nothing; the others do."""
    text = body(1) + body(2, cid="fish") + "{\n" + body(3, "nosuch") + body(4)
    for added in (4, 0):
        done = run(engine, tmp_path, text)

        assert (done.read, done.added, done.left_out, done.refused) == (4, added, 3, 0)
        assert [note.place for note in done.notes] == [
            "line 2, events[0].cid",
            "line 3",
            "line 4, events[0].eventName",
        ]
        assert not done.whole


def test_the_clock_is_the_engines(tmp_path):
    """What is too far ahead is left out today, and taken tomorrow; ahead is warned of."""
    text = body(1, eventTime="2023-11-15T22:13:21Z")
    with open_tape(tmp_path / "tape.db", Clock(NOW)) as engine:
        early = run(engine, tmp_path, text)
    with open_tape(tmp_path / "tape.db", Clock(NOW + SECOND)) as engine:
        later = run(engine, tmp_path, text)

    assert (early.left_out, early.added, early.warnings) == (1, 0, 0)
    assert (later.left_out, later.added, later.warnings, later.whole) == (0, 2, 1, True)
    assert later.notes[0].warning


def test_what_a_machine_refuses_is_recorded_and_said_each_time(engine, tmp_path):
    """A closed retrieval takes nothing more; the refusal stands on the tape once."""
    run(engine, tmp_path, body(1))
    engine.send(f"{MACHINE}/{retrieval(1)}", "close")
    for added in (1, 0):
        done = run(engine, tmp_path, body(1) + body(1, "success"))

        assert (done.added, done.duplicates, done.refused) == (added, 3 - added, 1)
        assert [(note.place, note.message) for note in done.notes] == [
            ("line 2, events[0]", f"{MACHINE}/{retrieval(1)}: success: terminated")
        ]
    assert entries(engine)[-1]["outcome"] == "rejected"


INSTANCE = f"{MACHINE}/{retrieval(1)}"
LARGE = PARAMS | {"details": "\0" * 20_000}
BEGIN = Begin(MACHINE, retrieval(1), once="begin", place="row 1")
OWN = """
machine: own.light
version: 1
title: A light
states: {off: {initial: true}, on: {}}
events: {Switch: {go: [{from: off, to: on}]}}
"""


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (Begin("no.such", "k", once="b", place="row 2"), "no machine 'no.such'"),
        (Begin("own.light", "k", text="machine: no", once="b", place="row 2"), "the importer:1"),
        (Event(INSTANCE, "started", PARAMS, once="", place="row 2"), "idempotency key"),
        (Event(INSTANCE, "started", PARAMS, once="x" * 201, place="row 2"), "idempotency key"),
        (Event("nothing", "started", PARAMS, once="e", place="row 2"), "does not name an instance"),
        (Event(INSTANCE, "started", PARAMS, at=2**60, once="e", place="row 2"), "not time"),
        (Event(INSTANCE, "started", {"cid": 1.5}, once="e", place="row 2"), "exactly"),
        (
            Event(
                INSTANCE, "started", PARAMS | {"details": "\0" * 20_000}, once="e", place="row 2"
            ),
            "entry",
        ),
        (Event(INSTANCE, "proposed", PARAMS, once="taken", place="row 2"), "key 'taken' was used"),
    ],
)
def test_an_item_that_cannot_be_recorded_is_refused_alone(engine, item, why):
    """With its place and the reason; those before and after it are recorded."""
    taken = Event(INSTANCE, "started", PARAMS, once="taken", place="row 1")
    after = Event(INSTANCE, "accepted", PARAMS, once="after", place="row 3")
    done = import_items(engine, [BEGIN, taken, item, after])

    assert (done.read, done.added, done.refused, done.left_out) == (4, 3, 1, 0)
    [note] = done.notes
    assert note.place == "row 2"
    assert why in note.message
    assert [entry["event"] for entry in entries(engine)] == ["create", "started", "accepted"]


def test_an_instance_may_begin_in_mid_life(engine):
    """Its entry says that it was adopted; a second beginning is the same, or is refused."""
    begin = Begin(
        MACHINE, retrieval(2), {"root_cid": CID}, "receiving", at=5, by="them", once="begin"
    )
    done = import_items(engine, [begin, begin])
    refused = import_items(engine, [Begin(MACHINE, retrieval(2), once="again")])
    entry = entries(engine)[0]

    assert (done.added, done.duplicates) == (1, 1)
    assert (entry["event"], entry["to"], entry["by"], entry["at"]) == (
        "adopted",
        "receiving",
        "them",
        5,
    )
    assert refused.notes[0].message.endswith("already_exists")


def test_an_instance_may_be_of_a_machine_that_the_importer_brings(tmp_path):
    """Its text is kept on the tape, once; afterwards nobody else need know it."""
    items = [
        one
        for key in ("a", "b")
        for one in (
            Begin("own.light", key, text=OWN, once="begin"),
            Event(f"own.light/{key}", "Switch", once="e"),
        )
    ]
    for expected in ((4, 0), (0, 4)):
        with open_tape(tmp_path / "tape.db", Clock(NOW)) as engine:
            done = import_items(engine, items)
            assert (done.added, done.duplicates, done.whole) == (*expected, True)
            assert engine.world.instance("own.light/b").state == "on"
            texts = [json.loads(one).get("text") for one in engine.tape.read()]
            assert [text for text in texts if text] == [OWN]
            assert Replayer().run(engine.tape.read()).difference is None


def test_an_event_of_an_instance_that_never_began_is_recorded_as_refused(engine):
    """It must not be lost."""
    done = import_items(engine, [Event(INSTANCE, "started", PARAMS, once="e")])

    assert (done.added, done.refused) == (1, 1)
    assert entries(engine)[0]["reason"] == {"kind": "unknown_instance"}


def test_notes_are_counted_beyond_what_is_kept(engine):
    """So a file of nothing but refusals does not fill the memory."""
    notes = [Note(f"line {number}", "odd") for number in range(NOTES_MAX + 7)]
    done = import_items(engine, [*notes, Note("line 1", "so so", warning=True)])

    assert (len(done.notes), done.left_out, done.warnings) == (NOTES_MAX, NOTES_MAX + 7, 1)
    assert done.notes[-1].place == f"line {NOTES_MAX - 1}"


def test_what_nobody_expected_to_say_anything_is_no_finding(engine):
    """Lines of other programs in a log, say: counted apart, and the import is whole."""
    done = import_items(engine, [BEGIN, Note("line 2", "GET /", aside=True)])

    assert (done.read, done.added, done.aside, done.left_out, done.whole) == (1, 1, 1, 0, True)
    assert (done.notes, [note.place for note in done.passed]) == ([], ["line 2"])


def test_progress_is_told_after_each_commit(engine, tmp_path, small_batches):
    """The number of items done, at the end all of them."""
    path = tmp_path / "file.json"
    path.write_text("".join(body(number) for number in range(5)))
    told = []
    import_foreign(engine, IMPORTERS["lassie"], path, told.append)

    assert told[:3] == [3, 6, 9]
    assert told[-1] == 10


def test_the_search_for_garbage_goes_on_after_an_import(engine, tmp_path):
    """It rests while a batch runs, also when the batch fails; where it was off it stays off."""
    run(engine, tmp_path, body(1))
    assert gc.isenabled()
    with pytest.raises(TypeError):
        import_items(engine, iter(lambda: 1 / "", None))
    assert gc.isenabled()
    gc.disable()
    try:
        run(engine, tmp_path, body(1))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_tapes_own_files_are_none_to_import(engine, tmp_path):
    """By any name: closing a second descriptor of the tape would drop its locks."""
    (tmp_path / "link").symlink_to(tmp_path / "tape.db")
    (tmp_path / "hard").hardlink_to(tmp_path / "tape.db")
    for name in ("tape.db", "tape.db-wal", "tape.db.key", "link", "hard"):
        with pytest.raises(ForeignInvalid, match="the tape itself"):
            import_foreign(engine, IMPORTERS["lassie"], tmp_path / name)


class FromTables:
    """An importer of a table, as `Importer` describes them."""

    title = "events of a table"
    tables = {"log": ("id", "what")}  # noqa: RUF012

    def items(self, source, machines):
        """Yield each row."""
        yield BEGIN
        for row in source("log"):
            place = f"log row {row['id']}"
            yield Event(INSTANCE, row["what"], PARAMS, once=str(row["id"]), place=place)


def test_tables_of_another_programs_database(engine, tmp_path):
    """The rows and columns that the importer wants, of a file that is left as it is."""
    path = tmp_path / "foreign.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT, secret TEXT)")
        db.executemany("INSERT INTO log VALUES (?, ?, 'x')", [(1, "started"), (2, "nosuch")])
    db.close()
    before = path.read_bytes()
    for added in (3, 0):
        done = import_foreign(engine, FromTables(), path)

        assert (done.read, done.added, done.refused) == (3, added, 1)
        assert done.notes[0].place == "log row 2"
        assert "undeclared_event" in done.notes[0].message
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_read_is_an_error_of_its_own(engine, tmp_path):
    """Nothing is recorded."""
    (tmp_path / "text").write_text("no database")
    size = engine.tape.size

    with pytest.raises(ForeignInvalid):
        import_foreign(engine, FromTables(), tmp_path / "text")
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE unlike (id INTEGER PRIMARY KEY)")
    db.close()
    with pytest.raises(ForeignInvalid, match="none of the tables log"):
        import_foreign(engine, FromTables(), tmp_path / "other.db")
    with pytest.raises(ForeignMissing):
        import_foreign(engine, FromTables(), tmp_path / "nothing")
    with pytest.raises(ForeignMissing):
        import_foreign(engine, IMPORTERS["lassie"], tmp_path / "nothing")
    assert engine.tape.size == size


def test_a_tape_of_an_import_replays(tmp_path):
    """What was recorded follows from what was told."""
    path = tmp_path / "tape.db"
    names = ("started", "failed", "success")
    with open_tape(path, Clock(NOW)) as engine:
        run(
            engine,
            tmp_path,
            "".join(body(number % 3, name) for number in range(6) for name in names),
        )
    with Reader.open(Files.of(path)) as reader:
        replayed = Replayer().run(reader.read())

    assert replayed.difference is None


OTHER_PROCESS = """
import sys
from pathlib import Path
from statetape.engine.engine import Engine
from statetape.engine.importing import import_foreign
from statetape.specs.lassie.imports import IMPORTERS
engine = Engine.open(sys.argv[1])
import_foreign(engine, IMPORTERS["lassie"], Path(sys.argv[2]))
engine.close() if sys.argv[3] == "close" else engine.abandon()
"""


@pytest.mark.parametrize("end", ["close", "abandon"])
def test_a_key_is_known_whoever_recorded_it_and_whoever_projected_it(tmp_path, end):
    """Another process imports the file, and projects it or not; here it adds nothing."""
    path, file = tmp_path / "tape.db", tmp_path / "file.json"
    with open_tape(path, Clock(NOW)) as engine:
        run(engine, tmp_path, body(1))
        engine.flush()
        run(engine, tmp_path, body(2))
        file.write_text(body(3) + body(1, "failed") + body(2, "failed"))
        words = [sys.executable, "-c", OTHER_PROCESS, str(path), str(file), end]
        subprocess.run(words, check=True)
        text = file.read_text() + body(1) + body(2)
        for flush in (False, True, False):
            done = run(engine, tmp_path, text)
            assert (done.added, done.duplicates) == (0, 8)
            if flush:
                engine.flush()


def test_a_file_read_backwards_ends_the_same(tmp_path):
    """Instances, states and data; only the tape tells the order in which it was told."""
    names = ("started", "first-byte-received", "failed", "success", "finished")
    lines = [
        body(
            number,
            name,
            eventTime=f"2023-03-02T00:15:5{second}Z",
            storageProviderId=f"p{second % 2}",
        )
        for number in range(3)
        for second, name in enumerate(names[number:])
    ]
    ends = []
    for order in (lines, lines[::-1]):
        with open_tape(tmp_path / f"tape{len(ends)}.db", Clock(NOW)) as engine:
            run(engine, tmp_path, "".join(order))
            found = [engine.world.instance(f"{MACHINE}/{retrieval(number)}") for number in range(3)]
            ends.append([(one.state, one.data) for one in found])

    assert ends[0] == ends[1]
    assert [state for state, _ in ends[0]] == ["succeeded"] * 3
