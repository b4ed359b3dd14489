"""Verify names the place of every change that somebody with SQLite and no key can make."""

from __future__ import annotations

import re

import pytest
from statetape.engine.verify import verify
from statetape.storage import survey
from statetape.storage.checksum import crc32
from statetape.storage.files import Files
from statetape.storage.note import SignerKey, sign_note
from statetape.storage.reader import Reader
from statetape.storage.verify import FINDINGS_MAX

from .damage import reports
from .tapes import append, long_tape, new_tape, open_engine, small_tape, unconstrained, vandal


@pytest.fixture
def path(tmp_path):
    """Where the test's tape lies."""
    return tmp_path / "t.db"


def places(path) -> list[str]:
    """Where verify finds something wrong."""
    return [place for place, _ in reports(path)]


def changed(path, *statements: str, make=small_tape) -> list[str]:
    """Make a tape, change it, and return where verify finds something wrong."""
    make(path)
    assert places(path) == []
    with vandal(path) as db:
        before = db.total_changes
        for sql in statements:
            db.execute(sql)
        assert db.total_changes > before, "the statement changed nothing"
    return places(path)


def test_whole_tapes_have_no_findings(path, tmp_path):
    """Negative control: the guards that were taken away and put back are no finding either."""
    small_tape(path)
    long_tape(tmp_path / "long.db")
    with vandal(path):
        pass
    with unconstrained(tmp_path / "long.db"):
        pass

    assert places(path) == places(tmp_path / "long.db") == []


def refit(sql: str) -> str:
    """A change of an entry's body, and of its CRC to fit."""
    return f"UPDATE entry SET body = {sql}, crc = crc32({sql}) WHERE pos = 9"


EVIDENCE = {
    "a changed byte": ("UPDATE entry SET body = body || ' ' WHERE pos = 9", "entry 9"),
    "a changed byte and a fitting CRC": (
        refit("replace(body, 'chain', 'chaim')"),
        r"checkpoint 20",
    ),
    "a changed CRC": ("UPDATE entry SET crc = crc + 1 WHERE pos = 9", "entry 9"),
    "an entry gone": ("DELETE FROM entry WHERE pos = 9", "entry 9"),
    "the first entry gone": ("DELETE FROM entry WHERE pos = 1", "entry 1"),
    "the last entry gone": ("DELETE FROM entry WHERE pos = 20", "checkpoint 20"),
    "all entries gone": ("DELETE FROM entry", "checkpoint 4"),
    "an entry moved": ("UPDATE entry SET pos = 99 WHERE pos = 9", "entry 9"),
    "an entry before the first": (
        "INSERT INTO entry SELECT 0, body, crc FROM entry WHERE pos = 9",
        "entry 0|page structure|table entry",
    ),
    "a changed note": (
        "UPDATE checkpoint SET note = replace(note, 'A', 'B') WHERE size = 8",
        "checkpoint 8",
    ),
    "a checkpoint of another size": (
        "UPDATE checkpoint SET size = 7 WHERE size = 8",
        "checkpoint 7",
    ),
    "a checkpoint beyond the end": (
        "UPDATE checkpoint SET size = 700 WHERE size = 8",
        "checkpoint 700",
    ),
    "the anchor's checkpoint gone": (
        "DELETE FROM checkpoint WHERE size = 20",
        "checkpoint 20|table checkpoint",
    ),
    "all checkpoints gone": ("DELETE FROM checkpoint", "checkpoint|table checkpoint"),
    "a changed key": ("UPDATE signer SET vkey = replace(vkey, 'st', 'ts')", "table signer"),
    "no key": ("DELETE FROM signer", "checkpoint 4"),
    "a node of nothing": ("INSERT INTO node VALUES (8, 0, zeroblob(32))", "table node"),
}


@pytest.mark.parametrize("what", EVIDENCE)
def test_changed_evidence_is_named(path, what):
    """Its position, table or size."""
    sql, place = EVIDENCE[what]

    found = changed(path, sql)
    assert [one for one in found if re.match(place, one)], found


def test_a_changed_version_is_named(path):
    """An older number would let an older program write; `total_changes` does not count it."""
    small_tape(path)
    with vandal(path) as db:
        db.execute("PRAGMA user_version = 0")

    assert places(path) == ["header"]


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("UPDATE node SET root = zeroblob(32)", "table node, level 8, index 0"),
        ("UPDATE node SET idx = 1", "table node, level 8, index 1"),
        ("UPDATE node SET level = 16", "table node, level 16, index 0"),
        ("DELETE FROM node", "table node, level 8, index 0"),
    ],
)
def test_a_changed_tree_node_is_named(path, sql, place):
    """And the entries that it stands for."""
    assert place in changed(path, sql, make=long_tape)


def test_a_key_of_another_name_is_named(path):
    """A tape's checkpoints are signed in its own name: a key of another has no place there."""
    foreign = SignerKey("aaa/foreign", bytes(32)).verifier.text

    found = changed(path, f"INSERT INTO signer VALUES ('{foreign}')")
    assert [place for place in found if place.startswith("table signer")], found


def test_a_checkpoint_signed_by_a_foreign_key_is_named(path):
    """Well-formed, and nobody's."""
    small_tape(path)
    with open_engine(path) as engine:
        text = f"{engine.tape.origin}\n5\n{'A' * 43}=\n"
        note = sign_note(text, SignerKey(engine.tape.origin, bytes(32)))
    with vandal(path) as db:
        db.execute("INSERT INTO checkpoint VALUES (5, ?)", (note,))

    assert "checkpoint 5" in places(path)


def test_a_page_full_of_missing_entries_is_reported(path):
    """More in a row than are read at a time."""
    tape = new_tape(path)
    append(tape, *[b"x"] * 3000)
    tape.close()
    with vandal(path) as db:
        db.execute("DELETE FROM entry WHERE pos BETWEEN 2 AND 2500")

    assert "entry 2" in places(path)


def test_findings_are_all_listed_up_to_a_limit(path):
    """Not only the first; and a tape that is damaged all over does not fill the memory."""
    long_tape(path, 400)
    with vandal(path) as db:
        db.execute("UPDATE entry SET crc = 1 WHERE pos IN (5, 50, 300)")
        db.execute("DELETE FROM node")
        db.execute("DELETE FROM checkpoint WHERE size = 8")
    found = places(path)
    assert {"entry 5", "entry 50", "entry 300", "table node, level 8, index 0"} <= set(found)

    with vandal(path) as db:
        db.execute("UPDATE entry SET crc = 1")
        for _ in range(3):
            db.execute("INSERT INTO checkpoint SELECT max(size) + pos, 'x' FROM checkpoint, entry "
                       "GROUP BY pos")  # fmt: skip
    assert len(places(path)) <= FINDINGS_MAX + 1


def test_progress_tells_the_position_reached(path, monkeypatch):
    """After every stripe, and at last of the end."""
    monkeypatch.setattr(survey, "STRIPE", 1024)
    long_tape(path, 3000)
    seen: list[int] = []
    with Reader.open(Files.of(path)) as reader:
        assert verify(reader, seen.append) == []

    assert seen == [1024, 2048, 3000]


def test_the_crc_is_no_proof(path):
    """Negative control: with a fitting CRC, reading serves the change; the tree is what sees it."""
    small_tape(path)
    with vandal(path) as db:
        db.execute(refit("replace(body, 'chain', 'chaim')"))
    with Reader.open(Files.of(path)) as reader:
        body = reader.body(9)
        assert body is not None
        assert b"chaim" in body
        assert crc32(body) == reader.query("SELECT crc FROM entry WHERE pos = 9")[0][0]
    assert places(path)
