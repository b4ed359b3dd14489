"""`wallet`: keys are made, taken in, given out; what one signs the other verifies."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from hashlib import blake2b

import pytest
from statetape.engine.wallet import Wallet
from statetape.specs.filecoin import keys
from statetape.specs.filecoin.demo import ALPHA
from statetape.storage.note import SignerKey, open_note
from statetape.storage.verifier import COSIGNER

from ..specs.filecoin.test_keys import (
    LOTUS_ADDRESS,
    LOTUS_EXPORT,
    LOTUS_MESSAGE,
    LOTUS_SIGNATURE,
)
from .wallets import CHEAP, NOTE_KEY, PASSPHRASE, SECRET, SEED, Typed

PAYER = keys.address_of(SECRET)
LOG = NOTE_KEY.verifier.text


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """A command line in a folder without any wallet."""
    return Typed(tmp_path, monkeypatch, capsys)


@pytest.fixture
def held(typed):
    """One whose wallet holds `payer` and `log`."""
    typed.holds()
    return typed


def code(ended):
    """Return the code of the error that a command ended with."""
    return ended.json["error"]["code"]


# making, listing


def test_a_new_key_shows_its_public_part_alone_and_signs(typed):
    """An address, whose signature verifies; the file is its owner's alone."""
    made = typed("wallet", "new", "payer")
    typed.write("message", "hello")
    signature = typed("wallet", "sign", "payer", "message").out.strip()

    assert made.out.startswith("f1")
    assert made.out.count("\n") == 1
    assert typed("wallet", "verify", made.out.strip(), "message", signature).status == 0
    assert (typed.folder / "statetape.wallet").stat().st_mode & 0o777 == 0o600


def test_a_new_ed25519_key_signs_notes_under_its_name(typed):
    """What it prints is a verifier key, and any reader of notes takes it."""
    made = typed("wallet", "new", "example.org/me", "--kind", "ed25519", "--json").json
    note = typed("wallet", "sign", "example.org/me", "-", "--note", stdin=b"one\ntwo\n").out
    typed.write("note", note)

    assert made["kind"] == "ed25519"
    assert made["public"].startswith("example.org/me+")
    assert note.startswith("one\ntwo\n\n— example.org/me ")
    assert typed("wallet", "verify", made["public"], "note", "--note").status == 0
    typed.write("note", note.replace("two", "too"))
    assert typed("wallet", "verify", made["public"], "note", "--note").status == 1


def test_keys_are_listed_without_a_passphrase(held):
    """Name, kind, public part."""
    listed = held("wallet", "list", "--json", STATETAPE_PASSPHRASE=None)
    table = held("wallet", "list", STATETAPE_PASSPHRASE=None).out.splitlines()

    assert listed.json == [
        {"name": "log", "kind": "ed25519", "public": LOG},
        {"name": "payer", "kind": "secp256k1", "public": PAYER},
    ]
    assert table[2].split() == ["payer", "secp256k1", PAYER]


def test_a_wallet_lies_where_it_is_said_to(typed):
    """By option or environment; the option counts."""
    typed.holds("here.wallet")

    assert typed("wallet", "list", "--wallet", "here.wallet").status == 0
    assert typed("wallet", "list", STATETAPE_WALLET="here.wallet").status == 0
    both = typed("wallet", "list", "--wallet", "none", "--json", STATETAPE_WALLET="here.wallet")
    assert (both.status, code(both)) == (2, "keystore-missing")


# import, export


@pytest.mark.parametrize(
    ("text", "public"),
    [
        (SECRET.hex() + "\n", PAYER),
        (LOTUS_EXPORT, LOTUS_ADDRESS),
        (NOTE_KEY.text + "\n", LOG),
        (SignerKey("w", SEED, COSIGNER).text, SignerKey("w", SEED, COSIGNER).verifier.text),
    ],
    ids=["hexadecimal", "lotus", "tape", "witness"],
)
def test_what_is_imported_is_exported_as_it_was(typed, text, public):
    """In the form that lotus, or the tape, reads; to a file that is its owner's alone."""
    made = typed("wallet", "import", "k", "-", stdin=text.encode())
    # The same with less work, because it is opened twice here.
    Wallet("cheap").add("k", text, PASSPHRASE.encode(), work=CHEAP)
    before = os.umask(0)
    exported = typed("wallet", "export", "k", "-o", "out", "--wallet", "cheap")
    os.umask(before)
    again = (typed.folder / "out").read_text()
    shown = typed("wallet", "export", "k", "--show-secret", "--wallet", "cheap").out

    assert (made.out.strip(), exported.status) == (public, 0)
    assert (typed.folder / "out").stat().st_mode & 0o777 == 0o600
    assert again == shown
    assert again.strip() in (text.strip(), keys.lotus_form(SECRET))


def test_an_export_that_fails_leaves_nothing(held):
    """A folder that is not there, a file where a folder should be."""
    held.write("file", "mine")
    for name in ("nowhere/out", "file/out"):
        ended = held("wallet", "export", "payer", "-o", name, "--json")
        assert (ended.status, code(ended)) == (74, "store-failed")

    assert (held.folder / "file").read_text() == "mine"


def test_a_tapes_key_can_be_taken_in(typed):
    """TAPE.key is such a file; what the wallet signs verifies with the tape's verifier key."""
    (typed.folder / "order.yaml").write_text(
        "machine: a.b\nversion: 1\ntitle: t\nstates:\n  s: {initial: true}\n  e: {final: true}\n"
        "events:\n  go:\n    go: [{from: s, to: e}]\n"
    )
    assert typed("new", "order.yaml", "1").status == 0
    made = typed("wallet", "import", "tape", "tape.db.key")
    [first, *_] = (typed.folder / "tape.db.anchor").read_text().splitlines()

    assert made.out.startswith(f"{first}+")


def test_an_export_goes_where_it_was_told_and_over_nothing(held):
    """Neither a file nor a link to one; and without -o the secret shows only when asked to."""
    held.write("there", "mine")
    (held.folder / "link").symlink_to("nowhere")

    for name in ("there", "link", "statetape.wallet"):
        ended = held("wallet", "export", "payer", "-o", name, "--json")
        assert (ended.status, code(ended)) == (2, "key-file-exists")
    assert (held.folder / "there").read_text() == "mine"
    assert not (held.folder / "nowhere").exists()
    assert code(held("wallet", "export", "payer", "--json")) == "usage"
    assert code(held("wallet", "export", "payer", "-o", "x", "--show-secret", "--json")) == "usage"
    assert not (held.folder / "x").exists()


def test_a_key_is_never_replaced(held):
    """Neither by a new one nor by an imported one; this is told before any passphrase is asked."""
    held.write("other", LOTUS_EXPORT)
    for words in (("new", "payer"), ("import", "payer", "other")):
        ended = held("wallet", *words, "--json", STATETAPE_PASSPHRASE=None)
        assert (ended.status, code(ended)) == (2, "key-name-taken")

    assert held("wallet", "list", "--json").json[1]["public"] == PAYER


# signing, verifying


def test_a_signature_is_the_one_that_lotus_prints(typed):
    """`lotus wallet sign` of the same key and bytes."""
    Wallet("statetape.wallet").add("lotus", LOTUS_EXPORT, PASSPHRASE.encode(), work=CHEAP)
    signed = typed("wallet", "sign", "lotus", "-", stdin=LOTUS_MESSAGE)

    assert signed.out.strip() == LOTUS_SIGNATURE


@pytest.mark.parametrize(("name", "public"), [("payer", PAYER), ("log", LOG)])
def test_a_signature_holds_for_its_bytes_and_its_key_alone(held, name, public):
    """One byte more, or the key of another of its kind, and it does not."""
    held.write("message", b"\x00\xff\r\n")
    held.write("longer", b"\x00\xff\r\n\n")
    other = {"payer": LOTUS_ADDRESS, "log": SignerKey("log", SECRET).verifier.text}[name]
    made = held("wallet", "sign", name, "message", "--json").json
    signature = made["signature"]

    assert made["public"] == public
    good = held("wallet", "verify", public, "message", signature)
    assert (good.status, good.out) == (0, f"signed by {public}\n")
    for wrong in ((public, "longer"), (other, "message")):
        ended = held("wallet", "verify", *wrong, signature, "--json")
        assert (ended.status, ended.json["valid"]) == (1, False)
    assert held("wallet", "verify", public, "message", "nonsense").status == 1


def test_keys_sign_only_what_is_theirs(held):
    """A note needs ed25519, a voucher secp256k1; a witness's key signs no note."""
    wallet = Wallet("statetape.wallet")
    witness = SignerKey("w", SEED, COSIGNER).text
    wallet.add("witness", witness, PASSPHRASE.encode(), work=CHEAP)
    note = held("wallet", "sign", "payer", "-", "--note", "--json", stdin=b"x\n")
    cosigner = held("wallet", "sign", "witness", "-", "--note", "--json", stdin=b"x\n")
    voucher = held("voucher", "create", ALPHA, "1", "--key", "log", "--json")

    assert code(note) == code(cosigner) == code(voucher) == "key-kind-wrong"


@pytest.mark.parametrize("text", [b"no newline", b"\xff\n", b"a\x00b\n", b"a\tb\n"])
def test_what_is_no_note_is_not_signed(held, text):
    """Nobody could open it."""
    ended = held("wallet", "sign", "log", "-", "--note", "--json", stdin=text)

    assert (ended.status, code(ended)) == (1, "note-invalid")


def test_a_signed_note_opens_with_its_key(held):
    """The control: one that can be opened is signed."""
    note = held("wallet", "sign", "log", "-", "--note", stdin=b"a\n\nb\n").out

    assert open_note(note.encode(), [NOTE_KEY.verifier]) == "a\n\nb\n"


# passphrases


def test_a_passphrase_comes_from_a_file_before_the_environment(held):
    """One line, however it ends; or from standard input."""
    held.write("right", PASSPHRASE + "\r\n")
    held.write("wrong", "other\n")
    held.write("m", "m")
    words = ("wallet", "sign", "payer", "m", "--json", "--passphrase-file")

    assert held(*words, "right", STATETAPE_PASSPHRASE="other").status == 0
    assert held(*words, "-", stdin=PASSPHRASE.encode(), STATETAPE_PASSPHRASE="x").status == 0
    assert code(held(*words, "wrong")) == "passphrase-wrong"


@pytest.mark.parametrize("content", ["", "\n", "a\nb\n", "a\n\n", "x" * 1025, None])
def test_what_can_be_no_passphrase_is_refused(held, content):
    """Empty, two lines, too long, not there; the file's name may be the passphrase: unshown."""
    if content is not None:
        held.write("file", content)
    ended = held("wallet", "sign", "payer", "-", "--passphrase-file", "file", "--json", stdin=b"")
    ended = (
        ended
        if content is not None
        else held(
            "wallet", "export", "payer", "--show-secret", "--passphrase-file", "hunter2", "--json"
        )
    )

    assert (ended.status, code(ended)) == (2, "passphrase-missing")
    assert "hunter2" not in ended.out + ended.err


def test_without_a_terminal_nobody_is_asked(held):
    """A job that runs by itself ends, and says how to give the passphrase."""
    ended = held("wallet", "export", "payer", "--show-secret", "--json", STATETAPE_PASSPHRASE=None)

    assert (ended.status, code(ended)) == (2, "passphrase-missing")
    assert "STATETAPE_PASSPHRASE" in ended.json["error"]["hint"]


def test_standard_input_is_read_for_one_thing_only(held):
    """Else the passphrase would be signed, or the key taken for one."""
    for words in (
        ("wallet", "sign", "payer", "-"),
        ("wallet", "import", "x", "-"),
        ("voucher", "create", ALPHA, "1", "--secret-key", "-"),
        ("voucher", "create", ALPHA, "1", "--key", "payer", "--secret", "-"),
    ):
        ended = held(*words, "--passphrase-file", "-", "--json", stdin=b"x")
        assert (ended.status, code(ended)) == (2, "usage")


ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "statetape.cli.main", *sys.argv[1:]])
"""


def on_terminal(folder, *words, types):
    """Type a command on a terminal of its own; returns how it ended and all that was to be seen."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if "STATETAPE" not in name}
    child = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    seen, waiting = b"", list(types)
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if waiting and seen.endswith(b": "):
            os.write(ours, waiting.pop(0).encode() + b"\n")
    os.close(ours)
    return child.wait(timeout=60), seen.decode()


def test_a_terminal_is_asked_twice_and_shows_nothing(tmp_path):
    """Two that differ store nothing; two alike make the key, and one opens it."""
    differ = on_terminal(tmp_path, "wallet", "new", "k", types=("hunter2", "hunter3"))
    assert (differ[0], (tmp_path / "statetape.wallet").exists()) == (2, False)
    alike = on_terminal(tmp_path, "wallet", "new", "k", types=("hunter2", "hunter2"))
    (tmp_path / "m").write_bytes(b"m")
    once = on_terminal(tmp_path, "wallet", "sign", "k", "m", types=("hunter2",))

    assert (alike[0], once[0]) == (0, 0)
    assert "The same again" in alike[1]
    assert "hunter" not in differ[1] + alike[1] + once[1]
    assert Wallet(tmp_path / "statetape.wallet").open("k", b"hunter2").name == "k"


# vouchers


def decoded(typed, *words, **more):
    """Return the voucher that `voucher create` makes with the wallet's key, decoded."""
    made = typed("voucher", "create", ALPHA, "1.5 FIL", "--key", "payer", *words, **more)
    assert (made.status, made.err) == (0, "")
    return typed("voucher", "decode", "-", "--json", stdin=made.out.encode()).json


def test_a_voucher_is_signed_with_a_key_of_the_wallet(held):
    """It is the same voucher that the secret key in a file makes."""
    held.write("secret", SECRET.hex())
    by_key = held("voucher", "create", ALPHA, "7", "--key", "payer", "--json").json
    by_file = held("voucher", "create", ALPHA, "7", "--secret-key", "secret", "--json").json

    assert by_key == by_file
    assert by_key["signer"] == PAYER
    both = ("--secret-key", "secret", "--key", "payer")
    assert code(held("voucher", "create", ALPHA, "7", *both, "--json")) == "usage"
    assert code(held("voucher", "create", ALPHA, "7", "--json")) == "usage"


def test_a_voucher_can_need_a_secret(held):
    """Given as its hash, or as a file, of which only the hash goes in: every byte of it counts."""
    held.write("secret", b"open sesame\n")
    wanted = blake2b(b"open sesame\n", digest_size=32).hexdigest()

    by_file = decoded(held, "--secret", "secret")
    assert by_file == decoded(held, "--secret-hash", wanted.upper())
    assert (
        by_file["SecretHash"] != decoded(held, "--secret", "-", stdin=b"open sesame")["SecretHash"]
    )
    assert decoded(held)["SecretHash"] is None


def test_a_voucher_can_call_and_merge(held):
    """The call with and without parameters; merges in the order given."""
    voucher = decoded(
        held, "--extra", "f01234:3:82a0", "--merge", "5:17", "--merge", "2:18446744073709551615"
    )

    assert voucher["Extra"] == {"Actor": "f01234", "Method": 3, "Data": "gqA="}
    assert voucher["Merges"] == [{"Lane": 5, "Nonce": 17}, {"Lane": 2, "Nonce": 2**64 - 1}]
    assert decoded(held, "--extra", "f01234:3")["Extra"]["Data"] is None
    assert (decoded(held)["Extra"], decoded(held)["Merges"]) == (None, None)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--secret-hash", "ab"), "voucher-option-invalid"),
        (("--secret-hash", "zz" * 32), "voucher-option-invalid"),
        (("--secret", "empty"), "voucher-option-invalid"),
        (("--secret", "long"), "key-text-missing"),
        (("--secret", "none"), "key-text-missing"),
        (("--secret", "long", "--secret-hash", "ab" * 32), "usage"),
        (("--extra", "f01234"), "voucher-option-invalid"),
        (("--extra", "f01234:3:8"), "voucher-option-invalid"),
        (("--extra", "nobody:3"), "address-invalid"),
        (("--extra", f"f01234:{2**64}"), "voucher-invalid"),
        (("--merge", "5"), "voucher-option-invalid"),
        (("--merge", "-1:5"), "voucher-option-invalid"),
        (("--merge", f"1:{2**64}"), "voucher-invalid"),
    ],
)
def test_what_a_voucher_cannot_say_is_refused(held, words, found):
    """By its option, and before any passphrase is asked."""
    held.write("empty", "")
    held.write("long", "x" * 257)
    ended = held(
        *("voucher", "create", ALPHA, "1", "--key", "payer", "--json", *words),
        STATETAPE_PASSPHRASE=None,
    )

    assert code(ended) == found
