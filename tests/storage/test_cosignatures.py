"""Cosignatures on a tape: kept once, beside their checkpoint, and checked for their form."""

from __future__ import annotations

import pytest
from statetape.storage import cosignatures
from statetape.storage.cosignatures import CosignatureInvalid, add
from statetape.storage.files import Files
from statetape.storage.note import SignerKey, cosign
from statetape.storage.reader import Reader
from statetape.storage.verifier import COSIGNER, open_note
from statetape.storage.verify import verify

from .tapes import append, new_tape, open_tape, vandal

WITNESS = SignerKey("example.com/witness", bytes(range(2, 34)), COSIGNER)
OTHER = SignerKey("example.com/other", bytes(range(3, 35)), COSIGNER)


@pytest.fixture
def tape(tmp_path):
    """A tape with checkpoints of 1 and of 3 entries."""
    path = tmp_path / "tape.db"
    new_tape(path).close()
    tape = open_tape(path)
    append(tape, b'{"n":2}', b'{"n":3}')
    tape.anchor()
    yield tape
    tape.abandon()


def line(tape, size, witness=WITNESS, time_s=1_700_000_000):
    """A witness's signature of the checkpoint of that size."""
    text = cosignatures.note_of(tape, size).partition("\n\n")[0] + "\n"
    return cosign(text, witness, time_s).rstrip("\n")


def test_a_stored_cosignature_verifies_with_its_checkpoint(tape):
    """The note that comes out opens with the tape's key and the witness's."""
    assert add(tape, 3, line(tape, 3))

    note = cosignatures.note_with_cosignatures(tape, 3)
    keys = [*tape.signers(), WITNESS.verifier]
    assert [key for key, _ in open_note(note.encode(), keys).signed] == keys
    assert cosignatures.note_with_cosignatures(tape, 2) is None


def test_a_witness_s_first_cosignature_of_a_size_stays(tape):
    """A later one of the same witness adds nothing; another witness's does."""
    first = line(tape, 3)
    assert add(tape, 3, first)

    assert not add(tape, 3, line(tape, 3, time_s=1_800_000_000))
    assert add(tape, 3, line(tape, 3, OTHER))
    assert sorted(cosignatures.of(tape, 3)) == sorted([first, line(tape, 3, OTHER)])


def test_the_newest_size_is_found_for_each_witness(tape):
    """And for all together."""
    assert cosignatures.newest(tape) is None
    add(tape, 1, line(tape, 1))
    add(tape, 3, line(tape, 3, OTHER))

    assert cosignatures.newest(tape, WITNESS.verifier) == 1
    assert cosignatures.newest(tape, OTHER.verifier) == 3
    assert cosignatures.newest(tape) == 3
    assert list(cosignatures.signed_sizes(tape)) == [3, 1]


def test_what_is_no_cosignature_is_not_stored(tape):
    """Nor one of a size that has no checkpoint, nor the tape's own signature."""
    own = cosignatures.note_of(tape, 3).splitlines()[-1]
    for size, wrong in ((3, "garbage"), (3, own), (2, line(tape, 3)), (3, f"{line(tape, 3)}\n")):
        with pytest.raises(CosignatureInvalid):
            add(tape, size, wrong)

    assert cosignatures.newest(tape) is None


def test_more_witnesses_than_a_note_can_bear_are_refused(tape):
    """The note stays one that verifiers read."""
    for number in range(cosignatures.COSIGNATURES_MAX):
        add(tape, 3, line(tape, 3, SignerKey(f"w{number}", bytes([number]) * 32, COSIGNER)))

    with pytest.raises(CosignatureInvalid, match="no more are kept"):
        add(tape, 3, line(tape, 3))
    note = cosignatures.note_with_cosignatures(tape, 3)
    assert open_note(note.encode(), tape.signers())


def test_lines_that_do_not_belong_are_problems(tape, tmp_path):
    """Damage is named with its place; the control: sound lines give none."""
    add(tape, 3, line(tape, 3))
    assert verify(tape) == []
    tape.close()
    with vandal(tmp_path / "tape.db") as connection:
        connection.execute("INSERT INTO cosignature VALUES (2, ?)", (line_of(connection),))
        connection.execute("INSERT INTO cosignature VALUES (3, 'garbage')")

    with Reader.open(Files.of(tmp_path / "tape.db")) as reader:
        places = [place for place, _ in cosignatures.problems(reader)]
        found = [finding.place for finding in verify(reader)]
    assert places == found == ["table cosignature, size 2", "table cosignature, size 3"]


def test_a_tape_from_before_cosignatures_has_none(tape, tmp_path):
    """An older tape that is only read has no table for them."""
    tape.close()
    with vandal(tmp_path / "tape.db") as connection:
        connection.execute("ALTER TABLE cosignature RENAME TO another")

        with Reader.open(Files.of(tmp_path / "tape.db")) as reader:
            assert cosignatures.newest(reader) is None
            assert cosignatures.note_with_cosignatures(reader, 3) == cosignatures.note_of(reader, 3)
            assert list(cosignatures.problems(reader)) == []
        connection.execute("ALTER TABLE another RENAME TO cosignature")


def line_of(connection):
    """The one line that is stored."""
    [[found]] = connection.execute("SELECT line FROM cosignature").fetchall()
    return found
