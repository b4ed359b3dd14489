"""Exporting into a file: it appears whole or not at all, and never over the tape."""

from __future__ import annotations

import os
import sqlite3
import threading

import pytest

OWN = ("tape.db", "tape.db.anchor", "tape.db.key", "tape.db.lock", "tape.db-wal", "tape.db-shm")


def files(folder):
    """Return the content of every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_an_export_never_writes_over_the_tapes_own_files(sh):
    """By name, by another path to it, by a link of either kind: exit 2, nothing changed."""
    sh.order()
    names = []
    for own in OWN:
        (sh.folder / f"soft {own}").symlink_to(own)
        names += [own, f"../{sh.folder.name}/{own}", f"soft {own}"]
        if (sh.folder / own).exists():
            (sh.folder / f"hard {own}").hardlink_to(sh.folder / own)
            names.append(f"hard {own}")
    before = files(sh.folder)
    for one in names:
        ended = sh("export", one)
        assert (ended.status, "[file-of-tape]" in ended.err) == (2, True), one

    assert {n: c for n, c in files(sh.folder).items() if n in before} == before
    assert sh("verify").status == 0


def test_an_anchor_and_a_key_kept_elsewhere_are_the_tapes_too(sh):
    """Where `--anchor` and `--key-file` say; any other file is replaced."""
    sh.order()
    (sh.folder / "tape.db.anchor").rename(sh.folder / "anchor")
    (sh.folder / "tape.db.key").rename(sh.folder / "key")
    where = ("--anchor", "anchor", "--key-file", "key")

    assert sh("export", "anchor", *where).status == 2
    assert sh("export", "key", *where).status == 2
    assert sh("export", "other", *where).status == 0


def test_an_export_that_fails_leaves_the_earlier_one_alone(sh):
    """A damaged tape: the good file stays byte for byte, and nothing is left beside it."""
    sh.order()
    assert sh("export", "all.jsonl").status == 0
    before = (sh.folder / "all.jsonl").read_bytes()
    with sqlite3.connect(sh.tape) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            db.execute(f"DROP TRIGGER {name}")
        db.execute("UPDATE entry SET body = '{}' WHERE pos = 2")
    db.close()
    ended = sh("export", "all.jsonl")

    assert (ended.status, "[tape-damaged]" in ended.err) == (1, True)
    assert (sh.folder / "all.jsonl").read_bytes() == before
    assert [path.name for path in sh.folder.iterdir() if path.suffix == ".new"] == []


def test_an_export_replaces_what_a_link_leads_to_and_keeps_its_mode(sh):
    """The link stays a link; a second export holds the new entries too."""
    sh.order()
    sh("export", "all.jsonl")
    (sh.folder / "all.jsonl").chmod(0o600)
    (sh.folder / "link").symlink_to("all.jsonl")
    sh("send", "4711", "pay", "amount=1")
    ended = sh("export", "link")

    assert (ended.status, ended.err) == (0, "4 entries written to link\n")
    assert (sh.folder / "link").is_symlink()
    assert (sh.folder / "all.jsonl").stat().st_mode & 0o777 == 0o600
    assert (sh.folder / "all.jsonl").read_text() == sh("export").out


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("nodir/x.jsonl", "No such file or directory"),
        (".", "it is a directory"),
        ("/dev/full", "No space left on device"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(sh, where, why):
    """Exit 74, and nothing is called a bug."""
    sh.order()
    ended = sh("export", where)

    assert ended.status == 74
    assert ended.err == f"error: {where}: cannot be written: {why} [output-failed]\n"


def test_devices_and_pipes_are_written_straight(sh):
    """They stay what they are; a pipe's reader gets every line; nothing is cut off."""
    sh.order()
    pipe = sh.folder / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    ended = sh("export", "pipe")
    reader.join()

    assert (ended.status, got) == (0, [sh("export").out])
    assert pipe.is_fifo()
    assert sh("export", "/dev/null").status == 0
    assert sh.script("for i in 1 2; do statetape export /dev/stdout >>both; done").status == 0
    assert (sh.folder / "both").read_text() == 2 * got[0]
