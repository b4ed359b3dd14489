"""Collect nine tenths of 1,000,000 entries of payment channels, and verify every old checkpoint.

The channels are copies of one that the engine decided entry by entry: created, 20 vouchers
redeemed, settled, collected; each command with an idempotency key, the message's id and exit code,
and who recorded it. 50 of them live at a time, and heads pass. One in ten never ends. Beside it, in
the same run: what SQLite alone takes to delete as many rows and to rewrite the file.
"""

from __future__ import annotations

import base64
import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

import msgspec
from statetape.engine import collection
from statetape.engine.engine import Engine
from statetape.engine.verify import verify
from statetape.fsm.entry import HEAD, SPEC, Entry, decode, encode
from statetape.specs.filecoin.address import from_actor_data
from statetape.specs.filecoin.keys import address_of, sign
from statetape.specs.filecoin.voucher import SignedVoucher
from statetape.storage.note import open_note, parse_checkpoint
from statetape.storage.proofs import root_at

from .workload import report, seconds, workspace

ENTRIES = int(os.environ.get("STATETAPE_BENCH_ENTRIES", "1000000"))
BATCH = 10_000
AT_ONCE = 50
HEAD_EVERY = 500
DAY_US = 86_400_000_000
START = 1_600_000_000_000_000
CHANNEL = "filecoin.payment_channel"
VOUCHERS = 20
KEY = from_actor_data(b"statetape bench: a channel")
SECRET = blake2b(b"statetape bench: the payer's wallet", digest_size=32).digest()
PAYER, PAYEE = address_of(SECRET), address_of(blake2b(b"payee", digest_size=32).digest())


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        tape = path / "tape.db"
        spec, life = _life(path / "one.db")
        now = START
        with Engine.open(tape, clock=lambda: now) as engine:
            engine.anchor_every_s = 1e9
            fill = seconds(lambda: _fill(engine, spec, life))
            report(f"fill a tape with {ENTRIES} entries", "s", fill, None, "as measured")
        raw = path / "raw.db"
        raw.write_bytes(tape.read_bytes())
        now += 181 * DAY_US
        with Engine.open(tape, clock=lambda: now) as engine:
            checkpoints = engine.tape.query("SELECT size, note FROM checkpoint ORDER BY size")
            found = []
            took = seconds(lambda: found.append(collection.collect(engine)))
        [one] = found
        with closing(sqlite3.connect(raw, isolation_level=None)) as db:
            plain = seconds(lambda: _deleted(db))
        what = f"collect {one.entries} of {ENTRIES} entries, {one.instances} channels"
        report(what, "s", took, plain, "as measured")
        ratio = one.bytes_after / one.bytes_before
        sizes = {"before": one.bytes_before, "after": one.bytes_after}
        report("the file after it, of its size before", "", ratio, None, "< 0.2", **sizes)
        with Engine.open(tape, clock=lambda: now) as engine:
            bad = []
            checked = seconds(lambda: bad.extend(_unverified(engine, checkpoints)))
            what = f"recompute {len(checkpoints)} old checkpoints ({len(bad)} fail)"
            report(what, "s", checked, None, "none fails")
            findings = []
            whole = seconds(lambda: findings.extend(verify(engine.tape)))
            report(f"verify the whole tape ({len(findings)} findings)", "s", whole, None, "none")


def _life(path: Path) -> tuple[Entry, list[Entry]]:
    """Return the entries of a channel's life, and that of its machine, as the engine decides."""
    with Engine.open(path, clock=lambda: START) as engine:
        engine.observe("filecoin", 100)
        created = {"id": "f0102", "from": PAYER, "to": PAYEE, "value": 10**9}
        addresses = {PAYER: "f0100", PAYEE: "f0101"}
        told = {**created, "addresses": addresses, **_message("new")}
        engine.create(CHANNEL, KEY, told, key="new", by="watcher")
        name = f"{CHANNEL}/{KEY}"
        for nonce in range(1, VOUCHERS + 1):
            unsigned = SignedVoucher(KEY, 0, 0, b"", None, 0, nonce, nonce * 10, 0, (), None)
            signed = unsigned._replace(signature=sign(SECRET, unsigned.signing_bytes()))
            key = f"voucher-{nonce}"
            params = {"caller": "f0101", "sv": signed.text(), **_message(key)}
            answer = engine.send(name, "update_channel_state", params, key=key, by="watcher")
            assert answer.outcome == "accepted", answer
        settle = {"caller": "f0100", **_message("settle")}
        engine.send(name, "settle", settle, key="settle", by="watcher")
        engine.observe("filecoin", 100 + 1441)
        collect = {"caller": "f0101", **_message("collect")}
        answer = engine.send(name, "collect", collect, key="collect", by="watcher")
        assert answer.state == "collected", answer
        entries = [decode(body) for body in engine.tape.read()]
    [spec] = [entry for entry in entries if entry.tape == SPEC]
    return spec, [entry for entry in entries if entry.tape is None]


def _message(what: str) -> dict[str, object]:
    """Return what a watcher of the chain tells of each message: its id, and its receipt's code."""
    digest = blake2b(what.encode(), digest_size=32).digest()
    cid = base64.b32encode(bytes([1, 0x71, 0xA0, 0xE4, 2, 32]) + digest).decode()
    return {"message": "b" + cid.lower().rstrip("="), "exit": 0}


def _fill(engine: Engine, spec: Entry, life: list[Entry]) -> None:
    batch: list[bytes] = []
    for body in _bodies(spec, life):
        batch.append(body)
        if len(batch) == BATCH:
            engine.adopt(batch)
            engine.anchor()
            batch.clear()
    engine.adopt(batch)


def _bodies(spec: Entry, life: list[Entry]) -> Iterator[bytes]:
    """Yield the entries of very many channels from position 2 on."""
    replace = msgspec.structs.replace
    spec = replace(spec, pos=2)
    yield encode(spec)
    created, *later = life
    living: deque[tuple[int, deque[Entry]]] = deque()
    pos, number, height = 2, 0, 100
    while pos < ENTRIES:
        pos += 1
        if pos % HEAD_EVERY == 0:
            height += 1
            yield encode(Entry(at=START, chain="filecoin", height=height, pos=pos, tape=HEAD))
        elif len(living) < AT_ONCE:
            number += 1
            rest = deque(later if number % 10 else later[:-2])
            living.append((pos, rest))
            yield encode(replace(created, create=f"{CHANNEL}/{number}", pos=pos, spec=2))
        else:
            instance, rest = living.popleft()
            yield encode(replace(rest.popleft(), instance=instance, pos=pos))
            if rest:
                living.append((instance, rest))


def _deleted(db: sqlite3.Connection) -> None:
    """Delete nine rows in ten, and rewrite the file: what SQLite alone takes."""
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.execute("PRAGMA secure_delete = ON")
    db.execute("DELETE FROM entry WHERE pos % 10 <> 0")
    for table in ("history", "idempotency", "instance"):
        db.execute(f"DELETE FROM {table}")
    db.execute("VACUUM")


def _unverified(engine: Engine, checkpoints: list[tuple[int, str]]) -> list[int]:
    """Return the sizes of the checkpoints that do not verify any more."""
    keys = engine.tape.signers()
    bad = []
    for size, note in checkpoints:
        signed = parse_checkpoint(open_note(note.encode(), keys))
        if (signed.size, signed.root) != (size, root_at(engine.tape, size)):
            bad.append(size)
    return bad


if __name__ == "__main__":
    main()
