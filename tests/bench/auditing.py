"""`audit` of a channel with 10,000 vouchers on 100 lanes, as a command that somebody types.

Beside it, in the same run: `statetape --help`; and the raw limit: a Python that reads the same
entries by their positions, decodes every voucher and recovers who signed it, once each, and does
nothing with them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

from statetape.engine import catalogue
from statetape.engine.commands import Create, Send
from statetape.engine.engine import Engine
from statetape.specs.filecoin.address import from_actor_data
from statetape.specs.filecoin.keys import address_of, sign
from statetape.specs.filecoin.voucher import SignedVoucher

from .workload import report, seconds, workspace

LANES = 100
VOUCHERS = 10_000
ROUNDS = 5
BATCH = 500
SETTLED_AT = 1000
CHANNEL = "filecoin.payment_channel"
ACCOUNT = "filecoin.channel_account"
VOUCHER = "filecoin.voucher"
KEY = from_actor_data(b"statetape bench: a channel")
SECRET = blake2b(b"statetape bench: the payer's wallet", digest_size=32).digest()
PAYER, PAYEE = address_of(SECRET), address_of(blake2b(b"payee", digest_size=32).digest())
RAW = """
import sqlite3, sys, msgspec
from statetape.specs.filecoin.signature import signer_of
from statetape.specs.filecoin.voucher import parse
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
decode = msgspec.json.Decoder().decode
entries = [decode(body) for body, in db.execute("SELECT body FROM entry ORDER BY pos")]
created = [one["params"] for one in entries if "create" in one]
signed = {params["sv"] for params in created if "sv" in params}
for text in signed:
    voucher = parse(text)
    signer_of(voucher.signing_bytes(), voucher.signature)
"""


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        tape = path / "tape.db"
        entries = fill(tape)
        python = [sys.executable, "-m", "statetape.cli.main"]
        bare = _median([*python, "--help"])
        raw = _median([sys.executable, "-c", RAW, str(tape)])
        audit = [*python, "audit", f"{CHANNEL}/{KEY}", "--tape", str(tape)]
        what = f"audit, {VOUCHERS} vouchers on {LANES} lanes, {entries} entries"
        for words in ((), ("--json",), ("--html", str(path / "page.html"))):
            took = _median([*audit, *words])
            shown = " ".join([what, *words[:1]])
            report(shown, "s", took, raw, "< 2 s", help=round(bare, 4))
        found = subprocess.run([*audit, "--json"], check=False, capture_output=True, text=True)
        outcomes = [one["outcome"] for one in json.loads(found.stdout)["verdicts"]]
        report("the same: disputes looked at", "", float(len(outcomes)), None, "20")


def _median(command: list[str]) -> float:
    return statistics.median(
        seconds(lambda: subprocess.run(command, check=False, capture_output=True))
        for _ in range(ROUNDS)
    )


def _signed(lane: int, nonce: int) -> SignedVoucher:
    unsigned = SignedVoucher(KEY, 0, 0, b"", None, lane, nonce, nonce * 10, 0, (), None)
    return unsigned._replace(signature=sign(SECRET, unsigned.signing_bytes()))


def fill(tape: Path, vouchers: int = VOUCHERS, lanes: int = LANES) -> int:
    """Make a payee's tape of a channel's whole life; returns how many entries it has."""
    each = vouchers // lanes
    addresses = {PAYER: "f0100", PAYEE: "f0101"}
    with Engine.open(tape) as engine:
        engine.observe("filecoin", 100)
        created = {"id": "f0102", "from": PAYER, "to": PAYEE, "value": 10 * vouchers}
        engine.create(CHANNEL, KEY, {**created, "addresses": addresses})
        engine.create(ACCOUNT, KEY, {"direction": 1, "control": PAYEE, "target": PAYER})
        engine.send(f"{ACCOUNT}/{KEY}", "chain_seen", {"balance": 10 * vouchers})
        made = [_signed(lane, nonce) for nonce in range(1, each + 1) for lane in range(lanes)]
        machine = catalogue.machine(VOUCHER)
        for start in range(0, len(made), BATCH):
            some = made[start : start + BATCH]
            engine.observe("filecoin", 101 + start // BATCH)
            engine.execute_many(
                [
                    Create(
                        machine,
                        f"{VOUCHER}/{KEY}/{one.id_hex}",
                        {"sv": one.text(), "role": "received"},
                    )
                    for one in some
                ]
            )
        engine.observe("filecoin", SETTLED_AT)
        channel = f"{CHANNEL}/{KEY}"
        engine.send(channel, "settle", {"caller": "f0100"})
        engine.observe("filecoin", SETTLED_AT + 6)
        best = made[-lanes:]
        engine.execute_many(
            [
                Send(channel, "update_channel_state", {"caller": "f0101", "sv": one.text()})
                for one in best
            ]
        )
        engine.observe("filecoin", SETTLED_AT + 1441)
        engine.send(channel, "collect", {"caller": "f0101"})
        return engine.tape.size


if __name__ == "__main__":
    main()
