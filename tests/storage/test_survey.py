"""A tape surveyed by several processes: the same findings as by one, and no silent end."""

from __future__ import annotations

import subprocess

import pytest
from statetape.storage import survey as surveying
from statetape.storage.errors import StoreFailed
from statetape.storage.files import Files
from statetape.storage.merkle import Edge
from statetape.storage.reader import Reader
from statetape.storage.survey import STRIPE, stripes, survey, surveys
from statetape.storage.verifier import leaf_hash
from statetape.storage.verify import verify

from .tapes import append, new_tape, vandal

ENTRIES = 2 * STRIPE + 300


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A closed tape of three stripes, the last one short, with a checkpoint inside the second."""
    path = tmp_path_factory.mktemp("long") / "t.db"
    tape = new_tape(path)
    append(tape, *(b'{"n":%d}' % n for n in range(2, STRIPE + 1000)))
    tape.anchor()
    append(tape, *(b'{"n":%d}' % n for n in range(STRIPE + 1000, ENTRIES + 1)))
    tape.close()
    return path


@pytest.fixture
def tape(long, tmp_path):
    """A copy of it, to damage."""
    copy = tmp_path / "t.db"
    for suffix in ("", ".anchor", ".key"):
        copy.with_name(f"t.db{suffix}").write_bytes(long.with_name(f"t.db{suffix}").read_bytes())
    return copy


def found(path, workers):
    """What `workers` processes report, stripe by stripe."""
    with Reader.open(Files.of(path)) as reader:
        return list(surveys(reader, reader.stored_size(), workers))


def test_the_hashes_are_those_of_the_tree(long):
    """Roots, and the hashes up to each cut, rebuild what an edge grown leaf by leaf gives."""
    with Reader.open(Files.of(long)) as reader:
        edge = Edge()
        for number, body in enumerate(reader.read(1, STRIPE + 999), 1):
            edge.extend([leaf_hash(body)])
            if number == STRIPE:
                first = edge.levels[2][0]
        second = survey(reader, STRIPE + 1, 2 * STRIPE)

    rebuilt = Edge(STRIPE, [[], [], [first]])
    for root in second.roots[: 999 // 256]:
        rebuilt.add_root(root, 1)
    rebuilt.extend(second.tails[STRIPE + 999])
    assert rebuilt.root() == edge.root()


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_several_processes_report_what_one_does(tape, workers):
    """On a whole tape, and with damage in the first, the second and the last stripe."""
    assert found(tape, workers) == found(tape, 1)
    assert [one.findings for one in found(tape, workers)] == [[], [], []]
    with vandal(tape) as db:
        db.execute("UPDATE entry SET crc = crc + 1 WHERE pos = 7")
        db.execute(f"DELETE FROM entry WHERE pos = {STRIPE + 5000}")
        db.execute(f"UPDATE entry SET body = body || ' ' WHERE pos = {ENTRIES}")

    reported = found(tape, workers)

    assert reported == found(tape, 1)
    assert [one.findings for one in reported] == [
        [("entry 7", "the stored bytes changed")],
        [(f"entry {STRIPE + 5000}", "an entry is missing")],
        [(f"entry {ENTRIES}", "the stored bytes changed")],
    ]


def test_verify_lists_damage_beyond_a_missing_entry(tape):
    """The tree ends there, the search for damage does not."""
    with vandal(tape) as db:
        db.execute("DELETE FROM entry WHERE pos = 500")
        db.execute(f"UPDATE entry SET crc = crc + 1 WHERE pos = {STRIPE + 9}")
    with Reader.open(Files.of(tape)) as reader:
        places = [finding.place for finding in verify(reader)]

    assert places[:2] == ["entry 500", f"entry {STRIPE + 9}"]


def test_a_process_that_dies_is_no_clean_result(tape, monkeypatch):
    """Its stripe is named; what was not looked at never counts as sound."""
    start = surveying._start

    def start_and_kill(files, size, number, workers):
        process = start(files, size, number, workers)
        if number == 1:
            process.kill()
        return process

    monkeypatch.setattr(surveying, "_start", start_and_kill)
    with pytest.raises(StoreFailed, match="ended with status -9") as caught:
        found(tape, 2)
    assert caught.value.place == f"entries {STRIPE + 1} to {2 * STRIPE}"


def test_no_process_outlives_an_abandoned_survey(tape, monkeypatch):
    """Whoever stops half-way leaves nothing running."""
    started: list[subprocess.Popen[bytes]] = []
    start = surveying._start
    monkeypatch.setattr(
        surveying, "_start", lambda *what: started.append(start(*what)) or started[-1]
    )
    with Reader.open(Files.of(tape)) as reader:
        looking = surveys(reader, ENTRIES, 2)
        next(looking)
        looking.close()

    assert len(started) == 2
    assert [process.poll() is None for process in started] == [False, False]


def test_stripes_cover_a_tape_once():
    """No entry is left out or looked at twice; an empty tape has none."""
    assert stripes(0) == []
    assert stripes(STRIPE) == [(1, STRIPE)]
    assert stripes(2 * STRIPE + 1)[1:] == [
        (STRIPE + 1, 2 * STRIPE),
        (2 * STRIPE + 1, 2 * STRIPE + 1),
    ]
