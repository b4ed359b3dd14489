"""Whole histories out and in: byte for byte, idempotent, refused with the line that is wrong."""

from __future__ import annotations

import io

import pytest
from statetape.engine.inspect import Inspector
from statetape.engine.replay import Replayer
from statetape.engine.transfer import export_events, import_events
from statetape.engine.verify import verify
from statetape.fsm.entry import EntryInvalid
from statetape.storage.errors import TapeForked
from statetape.storage.files import Files

from .machines import COUNTER, open_tape
from .test_replay import busy_tape


def exported(path):
    """Return a tape's export."""
    out = io.BytesIO()
    with Inspector.open(path) as inspector:
        export_events(inspector.reader, out)
    return out.getvalue()


@pytest.fixture
def history(tmp_path):
    """The export of a tape with every kind of entry, as a file."""
    file = tmp_path / "history.jsonl"
    file.write_bytes(exported(busy_tape(tmp_path / "busy.db")))
    return file


def test_a_round_trip_is_byte_identical(tmp_path, history):
    """Exported, imported elsewhere and exported again, nothing differs; the copy proves itself."""
    copy = tmp_path / "copy.db"
    count, added = import_events(history, Files.of(copy))

    assert count == added == history.read_bytes().count(b"\n")
    assert exported(copy) == history.read_bytes()
    with Inspector.open(copy) as inspector:
        assert verify(inspector.reader) == []
        assert Replayer().run(inspector.reader.read()).difference is None
        assert inspector.show("test.transfer/t").folded.state == "done"


def test_importing_twice_adds_nothing(tmp_path, history):
    """What is there already is recognised."""
    copy = tmp_path / "copy.db"
    count, _ = import_events(history, Files.of(copy))

    assert import_events(history, Files.of(copy)) == (count, 0)


def test_a_longer_history_extends_a_shorter_one(tmp_path, history):
    """An interrupted import is finished by repeating it."""
    lines = history.read_bytes().splitlines(keepends=True)
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(lines[:9]))
    copy = tmp_path / "copy.db"
    import_events(part, Files.of(copy))

    assert import_events(history, Files.of(copy)) == (len(lines), len(lines) - 9)
    assert exported(copy) == history.read_bytes()


def test_an_imported_tape_can_be_continued(tmp_path, history):
    """It has a signing key of its own, and takes commands like any other."""
    copy = tmp_path / "copy.db"
    import_events(history, Files.of(copy))
    with open_tape(copy) as engine:
        assert engine.create(COUNTER, "new").outcome == "accepted"
    with Inspector.open(copy) as inspector:
        assert verify(inspector.reader) == []


def test_another_history_is_refused_at_the_line_where_it_parts(tmp_path, history):
    """Nothing of it is stored."""
    other = tmp_path / "other.db"
    with open_tape(other) as engine:
        engine.create(COUNTER, "one")
    before = exported(other)

    with pytest.raises(TapeForked, match=r"history.jsonl:\d+"):
        import_events(history, Files.of(other))
    assert exported(other) == before


def spoil(number, find, put):
    """Return a change of one line."""

    def change(lines):
        assert find in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(find, put, 1)
        return lines

    return change


def created_twice(lines):
    """Return the lines with the first instance created once more at the end."""
    again = lines[2].replace(b'"pos":3', b'"pos":%d' % (len(lines) + 1))
    return [*lines, again]


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        (spoil(4, b'"event":', b'"event": '), 4, "canonical"),
        (spoil(4, b'"pos":4', b'"pos":5'), 4, "position 5"),
        (spoil(4, b'"seq":2', b'"seq":2.0'), 4, "float|not an entry"),
        (spoil(4, b'"seq":2', b'"seq":2,"zzz":1'), 4, "not an entry"),
        (spoil(4, b'"event":"add"', b'"event":null'), 4, "canonical|not an entry"),
        (spoil(4, b'"instance":3', b'"instance":77'), 4, "no entry created"),
        (spoil(4, b'"seq":2', b'"seq":3'), 4, "seq 3, and 2 comes next"),
        (spoil(3, b'"spec":2', b'"spec":1'), 3, "entry 1 holds no machine"),
        (created_twice, None, "was created before"),
        (lambda lines: lines[1:], 1, "position 2"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2, "position 1"),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], None, "does not end"),
        (lambda lines: [*lines[:3], b"\n", *lines[3:]], 4, "not an entry"),
        (lambda lines: [*lines[:3], b"x" * 70_000 + b"\n"], 4, "longer than an entry"),
        (lambda lines: [*lines[:3], b'{"at":1,\xff"pos":4}\n'], 4, "not an entry"),
        (lambda _: [], None, "no entry"),
    ],
)
def test_a_bad_line_is_refused_with_its_place_and_nothing_is_stored(
    tmp_path, history, change, line, what
):
    """The file is checked whole before its first line is stored."""
    lines = change(history.read_bytes().splitlines(keepends=True))
    history.write_bytes(b"".join(lines))
    copy = tmp_path / "copy.db"

    with pytest.raises(EntryInvalid, match=what) as caught:
        import_events(history, Files.of(copy))
    if line is not None:
        assert caught.value.place == f"{history}:{line}"
    assert not copy.exists()
