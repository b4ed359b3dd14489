"""A dispute bundle of 1,000 entries, verified as a command that somebody types.

A payment channel with a voucher in nearly every entry, whose signatures are verified. Raw limit: a
Python that hashes the bundle's bytes and verifies the signature of its checkpoint.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from statetape.engine.bundle import export
from statetape.engine.commands import Send
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.specs.filecoin.address import from_actor_data
from statetape.specs.filecoin.keys import address_of, sign
from statetape.specs.filecoin.voucher import SignedVoucher

from .workload import report, seconds, workspace

ENTRIES = 1_000
LANES = 10
ROUNDS = 7
SECRET = bytes([7] * 32)
MACHINE = "filecoin.payment_channel"
KEY = from_actor_data(b"statetape bench: a channel")
RAW = """
import hashlib, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.from_private_bytes(bytes(32))
signature = key.sign(b"checkpoint")
data = open(sys.argv[1], "rb").read()
for start in range(0, len(data), 3000):
    hashlib.sha256(data[start : start + 3000]).digest()
key.public_key().verify(signature, b"checkpoint")
"""


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        tape, file = path / "tape.db", path / "bundle"
        _fill(tape)
        with Inspector.open(tape) as inspector:
            took = seconds(lambda: file.write_bytes(export(inspector, KEY, now=0).content))
            key = inspector.reader.signers()[-1].text
        raw = _median([sys.executable, "-c", RAW, str(file)])
        report("bundle export, 1,000 entries", "s", took, raw, "", bytes=file.stat().st_size)
        peers = ["--peer-key", address_of(SECRET)]
        _report(
            "bundle verify", ["-m", "statetape.cli.main", "bundle", "verify"], file, key, raw, peers
        )
        _report("the verifier alone", ["-m", "statetape.storage.verifier"], file, key, raw, [])


def _report(
    what: str, program: list[str], file: Path, key: str, raw: float, more: list[str]
) -> None:
    took = _median([sys.executable, *program, str(file), "--log-key", key, *more])
    report(f"{what}, 1,000 entries", "s", took, raw, "< 1 s")


def _fill(path: Path) -> None:
    """Make a tape with a channel of 1,000 entries, its machine's among them."""
    payer = address_of(SECRET)
    many = ENTRIES - 2
    told = {
        "id": "f0102",
        "from": payer,
        "to": "f0101",
        "value": many,
        "addresses": {payer: "f0100"},
    }
    name = f"{MACHINE}/{KEY}"
    with Engine.open(path) as engine:
        engine.observe("filecoin", 100)
        engine.create(MACHINE, KEY, told)
        sends = []
        for number in range(many):
            lane, nonce = number % LANES, number // LANES + 1
            unsigned = SignedVoucher(KEY, 0, 0, b"", None, lane, nonce, nonce, 0, (), None)
            text = unsigned._replace(signature=sign(SECRET, unsigned.signing_bytes())).text()
            sends.append(Send(name, "update_channel_state", {"caller": "f0101", "sv": text}))
        receipts = engine.execute_many(sends)
        assert all(one.outcome == "accepted" for one in receipts)


def _median(command: list[str]) -> float:
    return statistics.median(
        seconds(lambda: subprocess.run(command, check=True, capture_output=True))
        for _ in range(ROUNDS)
    )


if __name__ == "__main__":
    main()
