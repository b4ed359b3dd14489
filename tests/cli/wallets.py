"""The command line within this process, whole: what it prints, its errors, and how it ends."""

from __future__ import annotations

import hashlib
import io
import sys

from statetape.cli import main
from statetape.cli.output import complain
from statetape.engine.wallet import Wallet
from statetape.fsm.errors import EXIT_USAGE
from statetape.storage.keystore import Work
from statetape.storage.note import SignerKey

from .shell import Ended

CHEAP = Work(n=2, r=1, p=1)
"""For keys whose passphrase is not the point."""
PASSPHRASE = "a horse, correctly stapled"
# No pattern, so that no piece of them is anything else.
SECRET = hashlib.sha256(b"a payer in tests").digest()
SEED = hashlib.sha256(b"a witness in tests").digest()
NOTE_KEY = SignerKey("example.org/log", SEED)


class Typed:
    """Types commands in a folder, as `run` takes them from there."""

    def __init__(self, folder, monkeypatch, capsys):
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("STATETAPE_TAPE", str(folder / "tape.db"))
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.delenv("STATETAPE_WALLET", raising=False)
        monkeypatch.setenv("STATETAPE_PASSPHRASE", PASSPHRASE)
        self.everything = ""

    def __call__(self, *words, stdin=b"", **environment):
        with self.monkeypatch.context() as patch:
            for name, value in environment.items():
                if value is None:
                    patch.delenv(name, raising=False)
                else:
                    patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            as_json = "--json" in words
            status, error = main._ended(list(words), as_json=as_json)
            if error is not None:
                complain(error, as_json=as_json)
        out, err = self.capsys.readouterr()
        self.everything += out + err
        assert status != EXIT_USAGE or out + err
        return Ended(status, out, err)

    def holds(self, path="statetape.wallet"):
        """Put a key of each kind into a wallet: `payer` and `log`."""
        wallet = Wallet(self.folder / path)
        wallet.add("payer", SECRET.hex(), PASSPHRASE.encode(), work=CHEAP)
        wallet.add("log", NOTE_KEY.text, PASSPHRASE.encode(), work=CHEAP)
        return wallet

    def write(self, name, content, mode=0o600):
        """Write a file."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return name
