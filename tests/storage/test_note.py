"""Signed notes, keys and checkpoints: what is accepted, what is refused, and what never shows."""

from __future__ import annotations

import base64
import os

import pytest
from statetape.fsm.errors import StatetapeError
from statetape.storage import verifier
from statetape.storage.errors import KeyInvalid, NoteInvalid
from statetape.storage.files import prepare_key, read_key, settle_key
from statetape.storage.note import (
    SignerKey,
    open_note,
    parse_checkpoint,
    parse_signer_key,
    parse_verifier_key,
    sign_note,
)
from statetape.storage.verifier import (
    NOTE_BYTES_MAX,
    SIGNATURES_MAX,
    Checkpoint,
    EvidenceInvalid,
    VerifierKey,
)

from .tapes import seeded
from .vectors import shared

SIGNER = SignerKey("example.com/tape", bytes(range(32)))
OTHER = SignerKey("example.com/other", bytes(range(1, 33)))
KEYS = [SIGNER.verifier]
CHECKPOINT = Checkpoint(SIGNER.name, 300, bytes(range(100, 132)))
NOTE = sign_note(CHECKPOINT.text, SIGNER)

# The example of the C2SP signed-note specification, and its key.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ON"
    "ncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# Test 1 of RFC 8032, section 7.1: a public key for a secret one.
RFC_SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
RFC_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_the_specification_s_example_opens():
    """The exact bytes of C2SP: the text, its last newline included, comes back."""
    key = parse_verifier_key(SPEC_KEY)

    assert (key.name, key.id.hex(), key.text) == ("example.com/foo", "530d903a", SPEC_KEY)
    assert open_note(SPEC_NOTE.encode(), [key]) == "This is an example message.\n"


def test_the_public_half_is_that_of_rfc_8032():
    """And both text forms come back as they were written."""
    signer = SignerKey("name", bytes.fromhex(RFC_SEED))

    assert signer.verifier.public.hex() == RFC_PUBLIC
    assert parse_signer_key(signer.text) == signer
    assert parse_verifier_key(signer.verifier.text) == signer.verifier


def test_a_signed_checkpoint_comes_back():
    """Origin, size and root, a line each, as tlog-checkpoint wants them."""
    assert NOTE.splitlines()[:3] == [
        "example.com/tape",
        "300",
        base64.b64encode(CHECKPOINT.root).decode(),
    ]
    assert parse_checkpoint(open_note(NOTE.encode(), KEYS)) == CHECKPOINT


def test_lines_after_the_root_are_an_extension_and_signed_too():
    """The specification allows them; this version reads past them."""
    extended = sign_note(CHECKPOINT.text + "extension line\n", SIGNER)

    assert parse_checkpoint(open_note(extended.encode(), KEYS)) == CHECKPOINT


def test_a_blank_line_inside_the_text_belongs_to_it():
    """The last one divides."""
    text = "one\n\ntwo\n"

    assert open_note(sign_note(text, SIGNER).encode(), KEYS) == text


def changes(note: bytes) -> dict[str, bytes]:
    """Every single-byte change of a note: each bit, other values at random, cut out, put in."""
    rng = seeded("notes")
    others = 255 if "STATETAPE_ALL_FLIPS" in os.environ else 12
    made = {}
    for place, byte in enumerate(note):
        values = {byte ^ 1 << bit for bit in range(8)} | set(rng.sample(range(256), others))
        before, after = note[:place], note[place + 1 :]
        for value in values - {byte}:
            made[f"byte {place} becomes {value}"] = before + bytes([value]) + after
        made[f"byte {place} is cut out"] = before + after
        value = rng.randrange(256)
        made[f"{value} comes before byte {place}"] = before + bytes([value, byte]) + after
    return made


def test_every_single_byte_change_of_a_signed_checkpoint_is_refused():
    """Text, blank line, dash, name, key id, signature, last newline: nothing is loose."""
    made = changes(NOTE.encode())

    accepted = []
    for what, changed in made.items():
        try:
            parse_checkpoint(open_note(changed, KEYS))
        except NoteInvalid:
            continue
        accepted.append(what)
    assert not accepted
    assert len(made) > 2000


def test_a_note_of_an_unknown_key_alone_is_refused():
    """A right name with a wrong id is an unknown key; so is a right id with a wrong name."""
    text = CHECKPOINT.text
    same_name = SignerKey(SIGNER.name, OTHER.seed)
    for note in (sign_note(text, OTHER), sign_note(text, same_name)):
        with pytest.raises(NoteInvalid, match="no known key"):
            open_note(note.encode(), KEYS)
    with pytest.raises(NoteInvalid, match="no known key"):
        open_note(NOTE.encode(), [])


def test_unknown_signatures_are_skipped_and_a_known_one_that_fails_refuses():
    """Whatever else signed: what counts is that a known key did, and that none of them failed."""
    line = sign_note(CHECKPOINT.text, OTHER).rpartition("\n\n")[2]
    wrong = sign_note("something else\n", SIGNER).rpartition("\n\n")[2]

    assert open_note((NOTE + line).encode(), KEYS) == CHECKPOINT.text
    assert open_note((NOTE + line).encode(), [*KEYS, OTHER.verifier]) == CHECKPOINT.text
    with pytest.raises(NoteInvalid, match="does not fit"):
        open_note((NOTE + wrong).encode(), KEYS)


def test_sizes_are_bounded():
    """At least 16 signatures are read, at most SIGNATURES_MAX; a note has at most a megabyte."""
    line = sign_note(CHECKPOINT.text, OTHER).rpartition("\n\n")[2]
    long = "x" * NOTE_BYTES_MAX + "\n"

    assert open_note((NOTE + line * 15).encode(), KEYS)
    assert open_note((NOTE + line * (SIGNATURES_MAX - 1)).encode(), KEYS)
    with pytest.raises(NoteInvalid, match="at most"):
        open_note((NOTE + line * SIGNATURES_MAX).encode(), KEYS)
    with pytest.raises(NoteInvalid, match="at most"):
        open_note(sign_note(long, SIGNER).encode(), KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n",
        "origin\n1\n",
        "two words\n1\nROOT\n",
        "plus+plus\n1\nROOT\n",
        "\n1\nROOT\n",
        "origin\n01\nROOT\n",
        "origin\n-1\nROOT\n",
        "origin\n+1\nROOT\n",
        "origin\n1_0\nROOT\n",
        "origin\n 1\nROOT\n",
        "origin\n\u0661\nROOT\n",
        "origin\n9223372036854775808\nROOT\n",
        "origin\n1\nAAAA\n",
        "origin\n1\nROOTAAAA\n",
        "origin\n1\nnot base64\n",
        "origin\n1\nROOT",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    """Although its signature is good."""
    root = base64.b64encode(bytes(32)).decode()
    with pytest.raises(NoteInvalid):
        parse_checkpoint(text.replace("ROOT", root))
    assert parse_checkpoint(f"origin\n9223372036854775807\n{root}\n").size == 2**63 - 1
    assert parse_checkpoint(f"origin\n0\n{root}\n").size == 0


def test_a_root_that_base64_can_write_in_two_ways_has_one():
    """Bits that padding ignores must be zero, or one root would have several signed forms."""
    root = base64.b64encode(bytes(32)).decode()
    assert base64.b64decode(root[:-2] + "B=") == bytes(32)

    with pytest.raises(NoteInvalid, match="canonical"):
        parse_checkpoint(f"origin\n1\n{root[:-2]}B=\n")


def test_shared_verifier_keys():
    """The keys of signers (type 1) and of cosigners (type 4) are read; the damaged are refused."""
    vectors = shared("note-vectors.json")
    for known in vectors["vkeys_expected_ids"]:
        key = parse_verifier_key(known["vkey"])
        assert (key.name, key.id.hex(), key.kind) == (known["name"], known["key_id"], known["type"])
        assert key.public.hex() == known["public_key"]
        assert key.text == known["vkey"]
    for bad in vectors["bad_vkeys"]:
        with pytest.raises(NoteInvalid):
            parse_verifier_key(bad["vkey"])


def test_shared_notes():
    """Every verdict, cosignatures included, and which keys the good ones were signed by."""
    vectors = shared("note-vectors.json")
    assert len(vectors["notes"]) == 19
    for vector in vectors["notes"]:
        keys = [parse_verifier_key(vkey) for vkey in vector["vkeys"]]
        note = base64.b64decode(vector["note_b64"])
        try:
            opened = verifier.open_note(note, keys)
        except EvidenceInvalid:
            assert not vector["valid"], vector["id"]
        else:
            assert vector["valid"], vector["id"]
            assert [key.name for key, _ in opened.signed] == vector["verified_by"]
            assert note.startswith(opened.text.encode() + b"\n")


def test_shared_checkpoints():
    """A checkpoint's size and root come back; it is also the one that our own key signs."""
    vectors = shared("note-vectors.json")
    notes = {vector["id"]: vector for vector in vectors["notes"]}
    vector = notes["checkpoint-8-leaves"]
    key = parse_verifier_key(vector["vkeys"][0])
    checkpoint = parse_checkpoint(open_note(base64.b64decode(vector["note_b64"]), [key]))

    assert (checkpoint.origin, checkpoint.size) == ("log.example/fsm-test", 8)
    roots = shared("merkle-vectors.json")["roots_by_size"]
    assert checkpoint.root.hex() == roots[8]


SECRETS = [SIGNER.seed.hex(), base64.b64encode(SIGNER.seed).decode(), str(SIGNER.seed)]


def secret_parts(text: str) -> list[str]:
    """Return every piece of the key's text of 8 characters that shows in `text`."""
    secret = SIGNER.text.rpartition("+")[2]
    pieces = [secret[i : i + 8] for i in range(len(secret) - 8)]
    return [piece for piece in [*pieces, *SECRETS] if piece in text]


def test_the_signing_key_never_shows():
    """Not in repr or str, and not in the error of any way to break its text."""
    rng = seeded("secret")
    shown = [repr(SIGNER), str(SIGNER), f"{SIGNER}", repr([SIGNER]), repr(SIGNER.verifier)]
    for place in range(len(SIGNER.text)):
        broken = [
            SIGNER.text[:place],
            SIGNER.text[:place] + SIGNER.text[place + 1 :],
            SIGNER.text[:place] + chr(rng.randrange(33, 300)) + SIGNER.text[place + 1 :],
        ]
        for text in broken:
            try:
                parse_signer_key(text)
            except NoteInvalid as error:
                shown += [repr(error), str(error), error.hint, error.place, repr(error.__cause__)]

    assert len(shown) > 300
    assert secret_parts(SIGNER.text)
    assert not [text for text in shown if secret_parts(text)]


def test_a_key_file_is_the_owner_s_alone_and_is_never_replaced(tmp_path):
    """Mode 0600 from the start; a second key is refused, and the first stays."""
    path = tmp_path / "key"
    prepare_key(path, OTHER)  # what a crash left before it had its name
    prepare_key(path, SIGNER)
    assert read_key(path) is None
    settle_key(path)

    assert path.stat().st_mode & 0o777 == 0o600
    prepare_key(path, OTHER)
    with pytest.raises(KeyInvalid, match="already"):
        settle_key(path)
    assert read_key(path) == SIGNER
    assert read_key(tmp_path / "none") is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"PRIVATE+KEY+", b"x" * 10_000])
def test_a_key_file_that_holds_no_key_is_refused_by_name(tmp_path, content):
    """Empty, binary, cut short, too long: KeyInvalid, with the file's path."""
    path = tmp_path / "key"
    path.write_bytes(content)

    with pytest.raises(KeyInvalid) as refused:
        read_key(path)
    assert refused.value.place == str(path)
    assert isinstance(refused.value, StatetapeError)


def test_a_damaged_key_file_does_not_show_the_key(tmp_path):
    """Every cut of it: what is left is refused without being repeated."""
    path = tmp_path / "key"
    for end in range(len(SIGNER.text)):
        path.write_text(SIGNER.text[:end])
        with pytest.raises(KeyInvalid) as refused:
            read_key(path)
        assert not secret_parts(f"{refused.value} {refused.value.hint} {refused.value!r}")


def test_a_key_of_the_wrong_length_verifies_nothing():
    """A public key that is no point, or no key at all, is no error: it does not verify."""
    for public in (b"", bytes(31), bytes(33), b"\xff" * 32):
        assert not VerifierKey("name", public).verifies(b"message", bytes(64))
