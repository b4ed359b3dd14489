"""100,000 events of Lassie's recorder, through the command line, with its progress bar.

Raw limit: the same lines decoded, each event encoded and inserted into a plain SQLite log of the
same durability, in transactions of the same size.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
from statetape.engine.importing import BATCH

from .workload import raw_tape, report, seconds, workspace

EVENTS = 100_000
PER_BATCH = 100
ROUNDS = 3
START_S = 1_677_716_150


def main() -> None:
    """Print the figure."""
    with workspace() as path:
        lines = batches(EVENTS)
        file = path / "events.jsonl"
        file.write_text("\n".join(lines) + "\n")
        rates = []
        for number in range(ROUNDS):
            ours = _command(path / f"tape{number}.db", file)
            rates.append((EVENTS / ours, EVENTS / _raw(path / f"raw{number}.db", file)))
        ours, raw = (statistics.median(column) for column in zip(*rates, strict=True))
        again = EVENTS / _command(path / "tape0.db", file)
    what = "import of 100,000 Lassie events, from the command to its end"
    report(what, "1/s", ours, raw, ">= 20,000/s", second_time=round(again))


def _command(tape: Path, file: Path) -> float:
    """Return how long `statetape import` takes, standard error being a terminal."""
    ours, theirs = pty.openpty()
    drain = threading.Thread(target=_drain, args=(ours,), daemon=True)
    drain.start()
    words = ["import", "lassie", str(file), "--tape", str(tape)]
    command = [sys.executable, "-m", "statetape.cli.main", *words]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=theirs)
    took = time.perf_counter() - started
    os.close(theirs)
    drain.join()
    os.close(ours)
    return took


def _drain(descriptor: int) -> None:
    """Read what is drawn on a terminal, so that it never fills up."""
    try:
        while os.read(descriptor, 65536):
            pass
    except OSError:  # nobody writes to it any more
        pass


def _raw(path: Path, file: Path) -> float:
    decode = msgspec.json.Decoder().decode
    encode = msgspec.json.Encoder().encode
    db = raw_tape(path)

    def work() -> None:
        pending: list[tuple[str]] = []
        for line in file.read_bytes().splitlines():
            pending += [(encode(event).decode(),) for event in decode(line)["events"]]
            if len(pending) >= BATCH:
                insert(pending)
                pending = []
        insert(pending)

    def insert(rows: list[tuple[str]]) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO log (body) VALUES (?)", rows)
        db.execute("COMMIT")

    took = seconds(work)
    db.close()
    return took


def batches(count: int) -> list[str]:
    """Return batches of this many events, of retrievals side by side, slightly out of order."""
    shuffled = random.Random(1)
    events: list[dict[str, object]] = []
    number = 0
    while len(events) < count:
        events += _retrieval(number)
        number += 1
    order = sorted(range(count), key=lambda index: index + shuffled.randrange(40))
    return [
        json.dumps({"events": [events[index] for index in order[start : start + PER_BATCH]]})
        for start in range(0, count, PER_BATCH)
    ]


def _retrieval(number: int) -> list[dict[str, object]]:
    """Return the events of one retrieval: three providers, one fails, one delivers."""
    digest = hashlib.sha256(str(number).encode()).digest()
    shown = digest.hex()
    cid = "b" + base64.b32encode(b"\x01\x70\x12\x20" + digest).decode().lower().rstrip("=")
    start_ms = number * 50
    fixed = {
        "retrievalId": "-".join((shown[:8], shown[8:12], shown[12:16], shown[16:20], shown[20:32])),
        "instanceId": "lassie-1",
        "cid": cid,
    }

    def event(name: str, provider: str, after_ms: int, details: object = None) -> dict[str, object]:
        told = fixed | {
            "storageProviderId": provider,
            "phase": "retrieval" if provider else "indexer",
            "phaseStartTime": _time(start_ms + (40 if provider else 0), 479_907),
            "eventName": name,
            "eventTime": _time(start_ms + after_ms, 123_456 + after_ms),
        }
        return told if details is None else told | {"eventDetails": details}

    providers = [f"12D3KooW{shown[i : i + 44]}" for i in range(3)]
    found = {"candidateCount": 3, "protocols": ["transport-graphsync-filecoinv1"]}
    return [
        event("started", "", 0),
        event("candidates-found", "", 30, found),
        event("candidates-filtered", "", 31, found),
        *(event("started", provider, 41 + i) for i, provider in enumerate(providers)),
        *(event("connected-to-provider", one, 60 + i) for i, one in enumerate(providers)),
        event("failed", providers[0], 90, {"error": "failed to dial: context deadline exceeded"}),
        event("first-byte-received", providers[1], 110),
        event("success", providers[1], 210, {"receivedSize": 1_048_576, "receivedCids": 5}),
    ]


def _time(after_ms: int, nanoseconds: int) -> str:
    second, millisecond = divmod(after_ms, 1000)
    moment = time.gmtime(START_S + second)
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment) + f".{millisecond:03d}{nanoseconds:06d}Z"


if __name__ == "__main__":
    main()
