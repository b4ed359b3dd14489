"""Key material never reaches a tape, an output, an error, a traceback or the keystore in the clear.

Every wallet command and `voucher create`, as they succeed and as they fail, and then a search of
all that was printed and of all files that were written, for every form and every piece of them.
"""

from __future__ import annotations

import base64

import coincurve
import pytest
from statetape.cli import main
from statetape.engine.wallet import Wallet, read_key
from statetape.specs.filecoin import keys
from statetape.specs.filecoin.demo import ALPHA

from .wallets import NOTE_KEY, PASSPHRASE, SECRET, SEED, Typed

PIECE = 14
"""So many characters of a secret, anywhere, count as shown."""
PAYER = keys.address_of(SECRET)
PAYEE = "f1fib3pv7jua2ockdugtz7viz3cyy6lkhh7rfx3sa"
BAD = SECRET.hex()[:-1] + "g"


def forms():
    """Return a text of every form that the secrets have, without what is no secret in them."""
    found = [PASSPHRASE, PASSPHRASE.encode().hex()]
    for secret in (SECRET, SEED):
        in_note = base64.b64encode(b"\x01" + secret).decode()
        in_lotus = base64.b64encode(secret).decode()
        found += [secret.hex(), secret.hex().upper(), in_note, in_lotus, in_lotus.encode().hex()]
        found += [base64.urlsafe_b64encode(secret).decode(), str(int.from_bytes(secret, "big"))]
        found += [secret.decode("latin-1"), repr(secret)[2:-1]]
    return found


def shown(text):
    """Return the pieces of secrets that are in a text."""
    pieces = {
        form[at : at + PIECE] for form in forms() for at in range(max(1, len(form) - PIECE + 1))
    }
    return sorted(piece for piece in pieces if piece in text)


def left(folder, but=()):
    """Return all that is in the files of a folder, and their names."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in but]
    return "".join(path.name + path.read_bytes().decode("latin-1") for path in files)


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """A wallet of both kinds, the files that commands are given, and tracebacks switched on."""
    monkeypatch.setenv("STATETAPE_DEBUG", "1")
    typed = Typed(tmp_path, monkeypatch, capsys)
    typed.holds()
    typed.write("hex", SECRET.hex())
    typed.write("lotus", keys.lotus_form(SECRET))
    typed.write("note-key", NOTE_KEY.text)
    typed.write("bad", BAD)
    typed.write("bad-lotus", keys.lotus_form(SECRET)[:-2])
    typed.write("bad-json", '{"Type":"secp256k1","PrivateKey":"' + SECRET.hex())
    typed.write("bad-note-key", NOTE_KEY.text[:-4])
    typed.write("binary", SECRET)
    typed.write("passphrase", PASSPHRASE + "\n")
    typed.write("wrong", PASSPHRASE + "!\n")
    typed.write("two-lines", PASSPHRASE + "\n" + PASSPHRASE)
    typed.write("message", "a message")
    return typed


GIVEN = (
    *("hex", "lotus", "note-key", "bad", "bad-lotus", "bad-json", "bad-note-key", "binary"),
    *("passphrase", "wrong", "two-lines"),
)
VOUCHER = ("voucher", "create", ALPHA, "1")
GOOD = (
    ("wallet", "import", "hex", "hex"),
    ("wallet", "import", "lotus", "lotus", "--json"),
    ("wallet", "import", "note", "note-key", "--passphrase-file", "passphrase"),
    ("wallet", "list"),
    ("wallet", "list", "--json"),
    ("wallet", "sign", "payer", "message"),
    ("wallet", "sign", "payer", "message", "--json"),
    ("wallet", "sign", "log", "message"),
    ("wallet", "export", "payer", "-o", "exported"),
    ("wallet", "export", "log", "-o", "exported-log", "--json"),
    (*VOUCHER, "--key", "payer"),
    (*VOUCHER, "--key", "payer", "--json"),
    (*VOUCHER, "--secret-key", "hex"),
    (*VOUCHER, "--secret-key", "lotus", "--json"),
)
FAILING = (
    *(
        (*words, "--passphrase-file", passphrase)
        for words in (
            ("wallet", "sign", "payer", "message"),
            ("wallet", "sign", "log", "message", "--json"),
            ("wallet", "export", "payer", "--show-secret"),
            (*VOUCHER, "--key", "payer"),
        )
        for passphrase in ("wrong", "two-lines", "none", "binary", PASSPHRASE)
    ),
    *(
        ("wallet", "import", "new", name)
        for name in ("bad", "bad-lotus", "bad-json", "bad-note-key", "binary", ".")
    ),
    # Keys where a name or a file is expected.
    *(
        words
        for key in (SECRET.hex(), keys.lotus_form(SECRET), NOTE_KEY.text)
        for words in (
            ("wallet", "new", key),
            ("wallet", "import", "new", key),
            ("wallet", "import", key, "hex", "--json"),
            ("wallet", "sign", key, "message"),
            ("wallet", "sign", "payer", key),
            ("wallet", "export", key, "--show-secret"),
            (*VOUCHER, "--key", key),
            (*VOUCHER, "--secret-key", key),
            (*VOUCHER, "--key", "payer", "--secret", key),
            # And where nothing like them is expected.
            ("wallet", key),
            ("wallet", f"--{key}"),
            ("wallet", "new", "new", key),
            ("wallet", "new", "new", "--kind", key),
            ("wallet", "new", "new", f"--kind={key}", "--json"),
            ("wallet", "import", "new", "hex", key, "--json"),
            ("wallet", "list", "--wallet", key),
            ("wallet", "list", f"--wallet={key}", "--json"),
            ("wallet", "new", "new", "--wallet", f"{key}/wallet"),
            ("voucher", "create", ALPHA, key, "--key", "payer"),
            ("voucher", "create", key, "1", "--key", "payer"),
            (*VOUCHER, key, "--key", "payer"),
            (*VOUCHER, "--key", "payer", f"--lane={key}"),
        )
    ),
    ("cosign", NOTE_KEY.text),
    ("wallet", "new", "new", PASSPHRASE),
    ("wallet", "new", "new", "--kind", PASSPHRASE),
    ("wallet", "sign", "payer", "message", PASSPHRASE, "--json"),
    (SECRET.hex(), "--json"),
    *((*VOUCHER, "--secret-key", name) for name in ("bad", "bad-lotus", "note-key", "binary", ".")),
    *(
        (*words, "--wallet", name)
        for words in (("wallet", "list"), ("wallet", "sign", "payer", "message"))
        for name in ("hex", "lotus", "note-key", "bad-json", "binary")
    ),
    ("wallet", "sign", "payer", "message", "--note"),
    ("wallet", "export", "payer", "-o", "message"),
    ("wallet", "export", "payer"),
    ("wallet", "new", "payer"),
    ("wallet", "import", "payer", "hex"),
    (*VOUCHER, "--key", "log"),
    ("voucher", "create", ALPHA, "-1", "--key", "payer", "--lane", "-1"),
)


def test_no_command_shows_a_secret(typed):
    """Whether it succeeds or fails. The control: the search finds both keys where they belong."""
    for words in GOOD:
        assert (typed(*words).status, words) == (0, words)
    for words in FAILING:
        ended = typed(*words)
        assert ended.status in (1, 2, 74), words
        assert shown(ended.out + ended.err) == [], words

    assert shown(typed.everything) == []
    assert shown(left(typed.folder, (*GIVEN, "exported", "exported-log"))) == []
    assert shown((typed.folder / "exported").read_text())
    assert shown((typed.folder / "exported-log").read_text())
    assert shown(typed("wallet", "export", "payer", "--show-secret").out)


def test_no_damaged_keystore_shows_a_secret(typed):
    """Each byte of the file in turn, or the mode, or where there is none."""
    path = typed.folder / "statetape.wallet"
    content = path.read_bytes()
    for at in range(0, len(content), 23):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert typed("wallet", "sign", "payer", "message").status in (1, 74)
    path.write_bytes(content)
    path.chmod(0o644)
    assert typed(*VOUCHER, "--key", "payer").status == 74
    path.unlink()
    assert typed("wallet", "list").status == 2

    assert shown(typed.everything) == []


def test_no_traceback_of_a_bug_shows_a_secret(typed, monkeypatch):
    """Something fails while the key is in use, and STATETAPE_DEBUG prints where."""

    def fails(*_, **__):
        raise RuntimeError("the library failed")

    monkeypatch.setattr(coincurve.PrivateKey, "sign_recoverable", fails)
    for words in (("wallet", "sign", "payer", "message"), (*VOUCHER, "--secret-key", "hex")):
        ended = typed(*words)
        assert ended.status == 70
        assert "Traceback" in ended.err
        assert "sign_secp256k1" in ended.err
    ended = typed("wallet", "list", STATETAPE_PASSPHRASE=PASSPHRASE + "\udcff")
    assert (ended.status, "argument-invalid" in ended.err) == (2, True)

    assert shown(typed.everything) == []


def test_no_tape_holds_a_secret(typed):
    """A voucher of the wallet's is redeemed on a tape: that holds it, and nothing of its key."""
    voucher = typed(*VOUCHER, "--key", "payer").out.strip()
    assert typed("head", "filecoin", "1").status == 0
    created = typed(
        *("new", "filecoin.payment_channel", ALPHA, "id=f0102", f"from={PAYER}", f"to={PAYEE}"),
        *("value=2 FIL", f"addresses.{PAYER}=f0100", f"addresses.{PAYEE}=f0101"),
    )
    redeemed = typed("send", ALPHA, "update_channel_state", "caller=f0101", f"sv={voucher}")
    exported = typed("export")
    tape = left(typed.folder, GIVEN)

    assert (created.status, redeemed.status, exported.status) == (0, 0, 0)
    assert voucher in tape
    assert shown(tape + typed.everything) == []


def test_no_object_shows_a_secret_in_its_repr(typed):
    """Nor any that holds such an object; what a debugger or a log prints by itself."""
    wallet = Wallet("statetape.wallet")
    opened = [wallet.open(name, PASSPHRASE.encode()) for name in ("payer", "log")]
    read = [read_key("a", text) for text in (SECRET.hex(), NOTE_KEY.text)]
    everything = [*opened, *read, NOTE_KEY, *wallet.keys(), wallet, wallet.store]

    assert (
        shown(repr(everything) + str(everything) + repr([vars(wallet), vars(wallet.store)])) == []
    )
    assert shown(repr(opened[0].secret))


def test_the_search_finds_every_form():
    """The control of the controls: a piece from the middle of any of them is found."""
    assert shown("nothing here but f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi") == []
    for form in forms():
        middle = len(form) // 2 - PIECE // 2
        assert shown(f"x{form[middle : middle + PIECE]}x"), form
    assert main.SECRET_SETTINGS == ("STATETAPE_PASSPHRASE",)
