"""`proof`, `checkpoint`, `tiles`, `vectors` on the command line: what they print and end with."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import pytest
from statetape.cli.evidence import VerifierKeyInvalid
from statetape.cli.output import UsageInvalid
from statetape.engine.engine import Engine
from statetape.storage import cosignatures
from statetape.storage.checkpoints import NotSigned
from statetape.storage.errors import TapeDamaged
from statetape.storage.files import Files
from statetape.storage.merkle import WIDTH
from statetape.storage.note import SignerKey, cosign
from statetape.storage.proofs import BeyondTape
from statetape.storage.reader import Reader
from statetape.storage.tape import Tape
from statetape.storage.verifier import COSIGNER, check_consistency

from ..storage import make_vectors
from ..storage.tapes import long_tape, open_engine, small_tape, vandal
from .inside import Inside

WITNESSES = [SignerKey(f"witness.example/{n}", bytes([n]) * 32, COSIGNER) for n in (1, 2, 3)]
KEYS = [witness.verifier.text for witness in WITNESSES]
TIME = 1_750_000_000


class Alone(Inside):
    """Runs commands as `Inside` does, and keeps what they end with; `offline`: without a tape."""

    def __call__(self, *words: str) -> str:
        self.status = 0
        return super().__call__(*words)

    def offline(self, *words: str) -> tuple[int, str]:
        printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        before, sys.stdout = sys.stdout, printed
        try:
            with self.command.make_context("statetape", list(words)) as context:
                status = context.command.invoke(context)
        finally:
            sys.stdout = before
        return status, printed.buffer.getvalue().decode()


@pytest.fixture
def tape(tmp_path):
    """A closed tape of 20 entries, four checkpoints of it signed."""
    path = tmp_path / "t.db"
    small_tape(path)
    return Alone(path)


def key(tape: Alone) -> str:
    return tape("checkpoint", "key").strip()


def bodies_of(tape: Alone) -> list[str]:
    with Reader.open(Files.of(tape.tape)) as reader:
        return [body.decode() for body in reader.read()]


def cosigned(path: Path, *witnesses: SignerKey) -> None:
    """Let witnesses sign the newest checkpoint, a minute apart."""
    tape = Tape.open_to_write(Files.of(path))
    note = cosignatures.note_of(tape, tape.size)
    text = note.partition("\n\n")[0] + "\n"
    for number, witness in enumerate(witnesses):
        line = cosign(text, witness, TIME + 60 * number).rstrip("\n")
        cosignatures.add(tape, tape.size, line)
    tape.close()


def test_a_proof_holds_offline_by_the_file_and_the_logs_key_alone(tape, tmp_path):
    """Made of every entry, under the newest checkpoint; checked when the tape is gone."""
    vkey = key(tape)
    proofs = [tmp_path / f"{pos}.tlog-proof" for pos in range(1, 21)]
    for pos, path in enumerate(proofs, 1):
        tape("proof", "entry", str(pos), "-o", str(path))
    tape.tape.unlink()
    for pos, path in enumerate(proofs, 1):
        status, said = tape.offline("proof", "verify", str(path), "--log-key", vkey)
        assert (status, said.splitlines()[0]) == (0, f"holds: entry {pos} of {vkey.split('+')[0]}")
        told = json.loads(
            tape.offline("proof", "verify", str(path), "--log-key", vkey, "--json")[1]
        )
        assert (told["holds"], told["index"], told["size"]) == (True, pos - 1, 20)


def test_what_is_proved_and_what_is_not_is_said(tape, tmp_path):
    """Without a witness: not when, and not that all see the same."""
    path = tmp_path / "p"
    tape("proof", "entry", "5", "-o", str(path))
    _, said = tape.offline("proof", "verify", str(path), "--log-key", key(tape))

    proved, _, not_proved = said.partition("not proved:")
    assert "are entry 5 (index 4)" in proved
    assert "no witness was asked" in not_proved
    assert "is true" in not_proved


def test_a_changed_proof_or_another_entry_does_not_hold(tape, tmp_path):
    """Exit code 1, and why; under another log's key too."""
    path, entry = tmp_path / "p", tmp_path / "entry"
    tape("proof", "entry", "5", "--without-entry", "-o", str(path))
    bodies = bodies_of(tape)
    check = ("proof", "verify", str(path), "--log-key", key(tape), "--entry", str(entry))
    entry.write_text(bodies[4])
    assert tape.offline(*check)[0] == 0
    entry.write_text(bodies[4] + "\n")  # as a line of an export
    assert tape.offline(*check)[0] == 0
    for other in (bodies[5], bodies[4] + " ", bodies[4] + "\n\n", ""):
        entry.write_text(other)
        assert tape.offline(*check) == (1, "does not hold: the proof leads to another root\n")
    entry.write_text(bodies[4])
    stranger = SignerKey(key(tape).split("+")[0], bytes(32)).verifier.text
    status, said = tape.offline(*check[:4], stranger, *check[5:])
    assert (status, said) == (1, "does not hold: no known key signed this note\n")
    content = path.read_text()
    path.write_text(content.replace("index 4", "index 5"))
    status, said = tape.offline(*check, "--json")
    assert status == 1
    assert json.loads(said)["holds"] is False


def test_the_entry_may_come_by_standard_input_and_must_come_from_somewhere(
    tape, tmp_path, monkeypatch
):
    """A proof without its entry shows nothing, and that is no verdict: the call is wrong."""
    path = tmp_path / "p"
    tape("proof", "entry", "5", "--without-entry", "-o", str(path))
    body = bodies_of(tape)[4]
    check = ("proof", "verify", str(path), "--log-key", key(tape))
    with pytest.raises(Exception, match="does not hold its entry") as error:
        tape.offline(*check)
    assert error.value.code == "entry-needed"

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body.encode())))
    assert tape.offline(*check, "--entry", "-")[0] == 0
    with pytest.raises(UsageInvalid):
        tape.offline("proof", "verify", "-", "--log-key", key(tape), "--entry", "-")


def test_witnesses_count_by_the_keys_that_are_given(tape, tmp_path):
    """Two signed: one, two of two, two of three hold; three do not, nor does a forged line."""
    cosigned(tape.tape, *WITNESSES[:2])
    path = tmp_path / "p"
    tape("proof", "entry", "5", "-o", str(path))
    check = ("proof", "verify", str(path), "--log-key", key(tape))
    given = [word for vkey in KEYS for word in ("--witness-key", vkey)]

    assert tape.offline(*check)[0] == 0
    assert tape.offline(*check, *given[:2])[0] == 0
    assert tape.offline(*check, *given[:4])[0] == 0
    assert tape.offline(*check, *given, "--threshold", "2")[0] == 0
    status, said = tape.offline(*check, *given)
    assert (status, "2 of the witnesses cosigned" in said) == (1, True)
    _, said = tape.offline(*check, *given[:4])
    assert "by 2025-06-15T15:06:40Z: witness.example/1 cosigned" in said
    assert "no witness" not in said
    told = json.loads(tape.offline(*check, *given[:2], *given[:2], "--json")[1])
    assert told["witnesses"] == [{"name": "witness.example/1", "time": TIME}]
    lines = path.read_text().splitlines(keepends=True)
    lines[-1] = cosign("own\n1\nx\n", WITNESSES[1], TIME)
    path.write_text("".join(lines))
    assert tape.offline(*check, *given[:4])[0] == 1
    assert tape.offline(*check)[0] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--log-key", "x"),
        ("--log-key", KEYS[0]),
        ("--log-key", "LOG", "--witness-key", "LOG"),
        ("--log-key", "LOG", "--witness-key", KEYS[0], "--threshold", "2"),
        ("--log-key", "LOG", "--threshold", "-1"),
    ],
)
def test_keys_that_make_no_sense_are_refused_before_anything_is_read(tape, words):
    """Not a verdict on the evidence: exit code 2."""
    words = [key(tape) if word == "LOG" else word for word in words]
    with pytest.raises((VerifierKeyInvalid, UsageInvalid)) as error:
        tape.offline("proof", "verify", "nowhere", *words)
    assert error.value.exit_status == 2


def test_a_proof_under_an_earlier_checkpoint(tape):
    """--size names one that was signed; another size, or a later entry, is refused by name."""
    told = tape.json("proof", "entry", "3", "--size", "4")
    assert (told["size"], told["position"]) == (4, 3)
    assert told["proof"].split("\n\n")[1].splitlines()[1] == "4"
    for words, error in [
        (("3", "--size", "5"), NotSigned),
        (("5", "--size", "4"), NotSigned),
        (("21",), BeyondTape),
        (("0",), BeyondTape),
    ]:
        with pytest.raises(error):
            tape("proof", "entry", *words)


def test_an_entry_that_is_not_signed_yet_says_how_to_sign(tape):
    """And that works."""
    engine = open_engine(tape.tape)
    engine.send("tests.gate/b", "visit", {"text": "after the checkpoint"})
    engine.abandon()
    with pytest.raises(NotSigned) as error:
        tape("proof", "entry", "21")
    assert "`statetape checkpoint`" in error.value.hint
    assert tape.json("checkpoint", "--no-sign")["size"] == 20
    assert tape.json("checkpoint")["size"] == 21
    assert tape.json("proof", "entry", "21")["size"] == 21


def test_a_collected_entry_is_proved_without_its_bytes(tmp_path, capsys):
    """Its holder can still show it; the note says why it is not in the proof."""
    path = tmp_path / "t.db"
    long_tape(path)
    tape = Alone(path)
    body = bodies_of(tape)[9]
    with Engine.open(path) as engine:
        hashes = b"".join(engine.tape.leaves(1, WIDTH))
    with vandal(path) as db:
        db.execute("INSERT INTO tile VALUES (0, ?)", (hashes,))
        db.execute("DELETE FROM entry WHERE pos = 10")
    proof, entry = tmp_path / "p", tmp_path / "entry"
    tape("proof", "entry", "10", "-o", str(proof))
    entry.write_text(body)

    assert "was collected" in capsys.readouterr().err
    check = ("proof", "verify", str(proof), "--log-key", key(tape), "--entry", str(entry))
    assert tape.offline(*check)[0] == 0


def test_no_proof_is_made_under_a_checkpoint_of_other_entries(tape):
    """A changed entry with a fitting CRC: what is printed would hold nowhere."""
    with vandal(tape.tape) as db:
        db.execute("UPDATE entry SET body = body || ' ', crc = crc32(body || ' ') WHERE pos = 7")
    tape.tape.with_name("t.db.anchor").unlink()
    with pytest.raises(TapeDamaged):
        tape("proof", "entry", "3")


def test_consistency_leads_from_one_checkpoint_to_the_other(tape):
    """A hash a line, in base64; with --json also the roots."""
    lines = tape.lines("proof", "consistency", "5")
    told = tape.json("proof", "consistency", "5", "20")
    hashes = [base64.b64decode(line) for line in lines]

    assert [one.hex() for one in hashes] == told["hashes"]
    roots = bytes.fromhex(told["old_root"]), bytes.fromhex(told["new_root"])
    check_consistency(5, 20, hashes, *roots)
    assert tape("proof", "consistency", "20") == ""
    for words in (("0",), ("21",), ("5", "4"), ("5", "21")):
        with pytest.raises(BeyondTape):
            tape("proof", "consistency", *words)


def test_checkpoints_are_listed_with_who_cosigned_them(tape):
    """Newest first; and each is shown as the note that was signed."""
    cosigned(tape.tape, WITNESSES[0])
    lines = tape.lines("checkpoint", "list")
    assert [line.split()[0] for line in lines] == ["ENTRIES", "20", "8", "6", "4"]
    assert "witness.example/1 2025-06-15T15:06:40Z" in lines[1]
    assert lines[2].endswith("nobody")
    told = tape.json("checkpoint", "list")
    assert told[0]["cosignatures"] == [{"name": "witness.example/1", "time": TIME}]
    fewer = tape.lines("checkpoint", "list", "--last", "2")
    assert fewer == [*lines[:3], "… and 2 earlier; --last 0 lists all"]
    assert tape.lines("checkpoint", "list", "--last", "0") == lines
    note = tape("checkpoint", "show", "20")
    assert note == tape("checkpoint") == tape("checkpoint", "20")
    assert note.count("\n\u2014 ") == 2


def test_tiles_are_exported_and_checked(tape, tmp_path):
    """What is damaged is named, and ends with 1."""
    folder = tmp_path / "tiles"
    assert "3 files written, 0 there already" in tape("tiles", "export", str(folder))
    assert tape.json("tiles", "export", str(folder))["kept"] == 3
    check = ("tiles", "verify", str(folder), "--log-key", key(tape))
    status, said = tape.offline(*check)
    assert (status, "20 entries" in said) == (0, True)
    (folder / "tile/0/000.p/20").write_bytes(bytes(640))
    status, said = tape.offline(*check)
    assert (status, said.splitlines()[0].split(":")[0]) == (1, "tile/0/000.p/20")
    status, said = tape.offline(*check, "--json")
    assert [one["path"] for one in json.loads(said)["findings"]] == ["tile/0/000.p/20"]
    status, _ = tape.offline(*check[:2], str(tmp_path / "nothing"), *check[3:])
    assert status == 1


def test_vectors_say_what_was_run(tape, tmp_path):
    """Counts by section; a disagreement by its name, and exit code 1."""
    files = [str(make_vectors.FOLDER / name) for name in make_vectors.made()]
    status, said = tape.offline("vectors", *files)
    assert status == 0
    assert said.count("0 disagreements") == 2
    told = json.loads(Path(files[1]).read_text())
    told["notes"][0]["valid"] = False
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**told, "else": []}))
    status, said = tape.offline("vectors", *files, str(wrong))
    assert status == 1
    assert "a checkpoint: should be refused, and holds" in said
    assert "else: this section is not known" in said
    status, said = tape.offline("vectors", str(wrong), "--json")
    assert json.loads(said)[0]["unknown"] == ["else"]
