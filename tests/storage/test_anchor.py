"""The anchor's rules: what a tape may not be found to be, each refused by its name.

Every refusal says what to do, and doing that works.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from statetape.engine.engine import Engine
from statetape.engine.recover import recover
from statetape.engine.verify import verify
from statetape.storage.checksum import crc32
from statetape.storage.errors import (
    AnchorInvalid,
    AnchorMissing,
    KeyInvalid,
    StoreFailed,
    TapeDamaged,
    TapeForked,
    TapeRolledBack,
)
from statetape.storage.files import Files
from statetape.storage.note import SignerKey, open_note, parse_checkpoint, sign_note
from statetape.storage.reader import Reader
from statetape.storage.tape import Tape
from statetape.storage.verify import verify as verify_evidence

from .tapes import (
    GATE,
    ORIGIN,
    SEED,
    append,
    long_tape,
    new_tape,
    open_engine,
    open_tape,
    small_tape,
    vandal,
)


@pytest.fixture
def path(tmp_path):
    """Where the test's tape lies."""
    return tmp_path / "t.db"


@pytest.fixture
def small(path):
    """A closed tape with an anchor."""
    small_tape(path)
    return path


def copy(path: Path, to: Path) -> None:
    """Copy a closed tape and everything beside it."""
    for suffix in ("", ".anchor", ".key"):
        shutil.copy(f"{path}{suffix}", f"{to}{suffix}")


def anchor_of(path: Path) -> Path:
    return Path(f"{path}.anchor")


def key_of(path: Path) -> Path:
    return Path(f"{path}.key")


def refused(path: Path, error: type[Exception]) -> Exception:
    """The error that both opening and recovering raise; looking at the tape finds it too."""
    with pytest.raises(error):
        recover(path)
    with pytest.raises(error) as found:
        open_engine(path)
    return found.value


def found_by_verify(path: Path) -> list[str]:
    with Reader.open(Files.of(path)) as reader:
        return [f"{finding.place}: {finding.message}" for finding in verify(reader)]


def test_the_anchor_says_what_is_stored(small):
    """Origin, size and root of the closed tape, signed by its key; the tape holds it too."""
    with open_engine(small) as engine:
        tape = engine.tape
        note = anchor_of(small).read_text()
        checkpoint = parse_checkpoint(open_note(note.encode(), tape.signers()))

        assert (checkpoint.origin, checkpoint.size) == (tape.origin, tape.size)
        assert checkpoint.root == tape.edge.root()
        assert tape.anchored_size == tape.size
        assert (tape.size, note) in tape.query("SELECT * FROM checkpoint")


def test_a_tape_that_only_grew_is_no_finding(small):
    """Ahead of its anchor: what a crash leaves."""
    engine = open_engine(small)
    engine.send("tests.gate/b", "visit", {"text": "after the anchor"})
    engine.abandon()

    assert found_by_verify(small) == []
    open_engine(small).close()


def test_a_lost_tail_is_refused_as_rolled_back(small):
    """Entries after a position are gone, and nothing else."""
    with vandal(small) as db:
        db.execute("DELETE FROM entry WHERE pos > 15")
        db.execute("DELETE FROM checkpoint WHERE size > 15")
        for table in ("instance", "history", "idempotency", "head", "cursor"):
            db.execute(f"DELETE FROM {table}")

    error = refused(small, TapeRolledBack)
    assert "15 entries" in error.message
    assert "restore" in error.hint
    assert any("15 entries" in line for line in found_by_verify(small))


def test_an_older_copy_put_back_is_refused_as_rolled_back(small):
    """A whole and sound tape, but an earlier one; the newer copy opens again."""
    older = small.read_bytes()
    with open_engine(small) as engine:
        engine.send("tests.gate/b", "visit", {"text": "one more"})
    newer = small.read_bytes()
    small.write_bytes(older)

    refused(small, TapeRolledBack)
    assert any("its anchor signed" in line for line in found_by_verify(small))
    small.write_bytes(newer)
    open_engine(small).close()


def test_an_older_copy_with_its_older_anchor_is_not_seen(small):
    """The limit, stated: whoever puts both back is not noticed here, only by a copy elsewhere."""
    older = {suffix: Path(f"{small}{suffix}").read_bytes() for suffix in ("", ".anchor")}
    with open_engine(small) as engine:
        engine.send("tests.gate/b", "visit", {"text": "one more"})
    kept_elsewhere = anchor_of(small).read_bytes()
    for suffix, content in older.items():
        Path(f"{small}{suffix}").write_bytes(content)
    open_engine(small).close()

    elsewhere = small.with_name("elsewhere.anchor")
    elsewhere.write_bytes(kept_elsewhere)
    with pytest.raises(TapeRolledBack):
        open_engine(small, anchor=elsewhere)


def test_a_deleted_tape_is_not_begun_anew(small):
    """Its anchor remembers it; without anchor and key the operator said so, and may begin."""
    small.unlink()
    with pytest.raises(TapeRolledBack, match="remembers") as error:
        open_engine(small)
    assert "anchor and key" in error.value.hint
    assert not small.exists()

    anchor_of(small).unlink()
    key_of(small).unlink()
    open_engine(small).close()


def forked(path: Path, elsewhere: Path) -> None:
    """Two continuations of one tape: one here, with the anchor of the other."""
    copy(path, elsewhere)
    for one, text in ((path, "this"), (elsewhere, "that")):
        with open_engine(one) as engine:
            engine.send("tests.gate/b", "visit", {"text": text})
    shutil.copy(anchor_of(elsewhere), anchor_of(path))


def test_two_continuations_of_one_tape_are_a_fork(small, tmp_path):
    """Same size, same beginning, another end."""
    forked(small, tmp_path / "other.db")

    error = refused(small, TapeForked)
    assert "not those that the anchor signed" in error.message
    assert error.hint
    assert any("not those that" in line for line in found_by_verify(small))


def test_a_fork_that_goes_on_is_still_a_fork(small, tmp_path):
    """The longer tape does not extend what its anchor signed."""
    forked(small, tmp_path / "other.db")
    kept = anchor_of(small).read_bytes()
    anchor_of(small).unlink()
    with open_engine(small, new_anchor=True) as engine:
        for _ in range(5):
            engine.send("tests.gate/b", "visit", {"text": "more"})
    anchor_of(small).write_bytes(kept)

    refused(small, TapeForked)


def test_a_changed_entry_with_a_fitting_crc_is_a_fork(small):
    """Whoever edits history and knows the format, but has not the key."""
    with vandal(small) as db:
        body = db.execute("SELECT body FROM entry WHERE pos = 4").fetchone()[0]
        changed = body.replace("early", "EARLY")
        assert changed != body
        row = (changed, crc32(changed.encode()))
        db.execute("UPDATE entry SET body = ?, crc = ? WHERE pos = 4", row)

    refused(small, TapeForked)


def test_a_handle_refuses_to_sign_what_its_anchor_contradicts(small, tmp_path):
    """The anchor file changed under an open tape: another process on another copy wrote it."""
    copy(small, tmp_path / "other.db")
    with open_engine(tmp_path / "other.db") as engine:
        engine.send("tests.gate/b", "visit", {"text": "that"})
    engine = open_engine(small)
    engine.send("tests.gate/b", "visit", {"text": "this"})
    shutil.copy(anchor_of(tmp_path / "other.db"), anchor_of(small))
    signed = anchor_of(small).read_bytes()

    with pytest.raises(TapeForked):
        engine.anchor()
    engine.abandon()
    assert anchor_of(small).read_bytes() == signed


def test_a_handle_refuses_to_sign_beside_an_anchor_of_the_same_size(small, tmp_path):
    """Another continuation, as long as what this handle last signed: its root tells them apart.

    The control is the last line: with its own anchor back, the same handle signs.
    """
    copy(small, tmp_path / "other.db")
    with open_engine(tmp_path / "other.db") as engine:
        engine.send("tests.gate/b", "visit", {"text": "that"})
    engine = open_engine(small)
    engine.send("tests.gate/b", "visit", {"text": "this"})
    engine.anchor()
    ours = anchor_of(small).read_bytes()
    engine.send("tests.gate/b", "visit", {"text": "and this"})
    shutil.copy(anchor_of(tmp_path / "other.db"), anchor_of(small))
    theirs = anchor_of(small).read_bytes()
    assert theirs.splitlines()[1] == ours.splitlines()[1]

    with pytest.raises(TapeForked):
        engine.anchor()
    assert anchor_of(small).read_bytes() == theirs
    assert engine.tape.query("SELECT max(size) FROM checkpoint") == [(engine.tape.size - 1,)]
    anchor_of(small).write_bytes(ours)
    assert engine.anchor().size == engine.tape.size
    engine.abandon()


def test_a_checkpoint_that_signs_another_tree_is_not_made_the_anchor(small):
    """One of that size is on the tape already, and of other entries: it is not handed out."""
    engine = open_engine(small)
    engine.send("tests.gate/b", "visit", {"text": "one more"})
    wrong = sign_note(f"{ORIGIN}\n{engine.tape.size}\n{'A' * 43}=\n", SignerKey(ORIGIN, SEED))
    engine.tape.db.execute("INSERT INTO checkpoint VALUES (?, ?)", (engine.tape.size, wrong))

    with pytest.raises(TapeDamaged, match="not those that were signed"):
        engine.anchor()
    engine.abandon()


def test_damage_in_an_entry_is_not_called_a_fork(small):
    """The bytes do not fit their CRC: the disk's doing, with its position."""
    with vandal(small) as db:
        db.execute("UPDATE entry SET body = replace(body, 'late', 'LATE') WHERE pos = 16")

    error = refused(small, TapeDamaged)
    assert error.place == "entry 16"


@pytest.mark.parametrize("sql", ["UPDATE node SET root = zeroblob(32)", "DELETE FROM node"])
def test_damage_in_a_node_is_not_called_a_fork(path, sql):
    """The entries give the anchor's root, so it is the stored node that is wrong."""
    long_tape(path)
    with vandal(path) as db:
        db.execute(sql)

    error = refused(path, TapeDamaged)
    assert error.place.startswith("table node")


def test_a_missing_entry_is_damage_not_a_fork(small):
    """In the middle: the tape is as long as before."""
    with vandal(small) as db:
        db.execute("DELETE FROM entry WHERE pos = 7")

    error = refused(small, TapeDamaged)
    assert error.place == "entry 7"


def test_a_missing_anchor_is_refused_and_the_hint_s_command_goes_on(small):
    """A lost tail could not be noticed without it; the operator may say to go on."""
    anchor_of(small).unlink()
    error = refused(small, AnchorMissing)
    assert "recover --new-anchor" in error.hint

    found = recover(small, new_anchor=True)
    assert found.anchored is None
    assert anchor_of(small).exists()
    with open_engine(small) as engine:
        assert engine.tape.anchored_size == engine.tape.size
    assert found_by_verify(small) == []


def test_a_new_anchor_is_never_an_excuse_for_a_lost_tail(small):
    """`new_anchor` accepts that files are gone, not that they disagree."""
    older = small.read_bytes()
    with open_engine(small) as engine:
        engine.send("tests.gate/b", "visit", {"text": "one more"})
    small.write_bytes(older)

    with pytest.raises(TapeRolledBack):
        recover(small, new_anchor=True)


def test_the_anchor_of_another_tape_is_refused(small, tmp_path):
    """It was signed by a key that this tape does not know."""
    other = tmp_path / "other.db"
    with Engine.open(other) as engine:
        engine.create(GATE, "a", {"owner": "me"})
    shutil.copy(anchor_of(other), anchor_of(small))

    refused(small, AnchorInvalid)


def test_an_anchor_that_names_another_tape_is_refused_although_our_key_signed(path):
    """One key, two names: the name is part of what is signed."""
    new_tape(path).close()
    key = SignerKey(ORIGIN, SEED)
    text = anchor_of(path).read_text().partition("\n\n")[0] + "\n"
    anchor_of(path).write_text(sign_note(text.replace(ORIGIN, "tests/other"), key))

    with pytest.raises(AnchorInvalid, match="another tape"):
        open_tape(path)


BROKEN = {
    "a changed size": lambda note: note.replace(b"\n20\n", b"\n21\n"),
    "a changed signature": lambda note: note[:-10] + b"AAAAAAAA=\n",
    "nothing in it": lambda note: b"",
    "half of it": lambda note: note[: len(note) // 2],
    "binary": lambda note: b"\xff" * 100,
    "far too much": lambda note: note * 1000,
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_anchor_is_refused_with_a_way_to_go_on(small, how):
    """Its path, and what the operator can do: putting it away and asking for a new one works."""
    note = anchor_of(small).read_bytes()
    broken = BROKEN[how](note)
    assert broken != note
    anchor_of(small).write_bytes(broken)

    error = refused(small, AnchorInvalid)
    assert error.place == str(anchor_of(small))
    anchor_of(small).unlink()
    recover(small, new_anchor=True)
    open_engine(small).close()


def test_a_broken_anchor_s_error_says_what_to_do(small):
    """Like every other refusal of a tape: a broken anchor can be put away, and made anew."""
    note = anchor_of(small).read_bytes()
    hints = set()
    for how in BROKEN.values():
        anchor_of(small).write_bytes(how(note))
        hints.add(refused(small, AnchorInvalid).hint)

    assert all("--new-anchor" in hint for hint in hints), hints


def test_a_missing_key_is_refused_and_the_hint_s_command_goes_on(small):
    """With a new key, whose checkpoints then count beside the old one's."""
    key_of(small).unlink()
    error = refused(small, KeyInvalid)
    assert "recover --new-anchor" in error.hint

    recover(small, new_anchor=True)
    with Engine.open(small) as engine:
        assert len(engine.tape.signers()) == 2
        engine.send("tests.gate/b", "visit", {"text": "signed by the new key"})
    with open_engine(small) as engine:
        assert engine.tape.anchored_size == engine.tape.size
    assert found_by_verify(small) == []


def test_key_and_anchor_both_gone_need_one_command(small):
    """The whole folder but the tape was lost."""
    key_of(small).unlink()
    anchor_of(small).unlink()

    recover(small, new_anchor=True)
    open_engine(small).close()
    assert found_by_verify(small) == []


def test_a_foreign_key_is_refused_by_name(small, tmp_path):
    """It never signed for this tape, and it is not replaced."""
    other = tmp_path / "other.db"
    new_tape(other).close()
    shutil.copy(key_of(other), key_of(small))
    content = key_of(small).read_bytes()

    error = refused(small, KeyInvalid)
    assert error.place == str(key_of(small))
    assert key_of(small).read_bytes() == content


def test_a_foreign_key_s_hint_leads_to_an_open_tape(small, tmp_path):
    """Either the command that it names works as it stands, or it says what to do before."""
    other = tmp_path / "other.db"
    new_tape(other).close()
    shutil.copy(key_of(other), key_of(small))
    hint = refused(small, KeyInvalid).hint

    if "move" in hint:
        key_of(small).rename(tmp_path / "moved.key")
    recover(small, new_anchor=True)
    open_engine(small).close()


def test_an_anchor_that_could_not_be_written_is_written_the_next_time(path, tmp_path):
    """Its folder was not there for a while; when it is again, anchoring again must not be a no-op.

    Otherwise the tape holds a checkpoint that its anchor file never had, and is refused when it is
    opened the next time.
    """
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    tape = new_tape(path)
    tape.close()
    anchor = folder / "anchor"
    anchor_of(path).rename(anchor)
    tape = Tape.open_to_write(Files.of(path, anchor))
    append(tape, b"two")
    anchor.unlink()
    folder.rmdir()
    with pytest.raises(StoreFailed):
        tape.anchor()
    folder.mkdir()
    tape.anchor()

    assert anchor.exists()
    tape.close()
    Tape.open_to_write(Files.of(path, anchor)).close()


def test_two_handles_keep_one_anchor(path):
    """Whoever anchors says what both have stored; neither finds the other's anchor wrong."""
    new_tape(path).close()
    one, two = open_tape(path), open_tape(path)
    for writer, signer in [(one, two), (two, one), (one, one), (two, two)]:
        append(writer, b"one more")
        append(signer)
        signer.anchor()
        assert writer.compare_anchor().size == writer.size
        assert writer.anchor() is signer.anchor() is None
    one.close()
    two.close()
    with Reader.open(Files.of(path)) as reader:
        assert verify_evidence(reader) == []
        assert reader.query("SELECT size FROM checkpoint") == [(n,) for n in range(1, 6)]
