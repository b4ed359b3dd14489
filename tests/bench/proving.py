"""Proofs from a tape of 1,000,000 entries; exporting it as tiles, and checking them.

Raw limits: reading and hashing as many entries and nodes, by SQLite and hashlib alone;
for the export, writing and syncing files of the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import statistics
from contextlib import closing
from pathlib import Path

from statetape.storage.checkpoints import prove_entry
from statetape.storage.files import Files
from statetape.storage.proofs import consistency
from statetape.storage.reader import Reader
from statetape.storage.tile_check import check_tiles
from statetape.storage.tiles import export

from .workload import filled, report, seconds, workspace

ENTRIES = 1_000_000
DRAWS = 200
BLOCKS = 2
"""Blocks of entries that a proof has to hash: the entry's, and the one at the right edge."""


def main() -> None:
    """Print the figures."""
    with workspace() as path:
        tape = path / "tape.db"
        filled(tape, ENTRIES + 100)
        with Reader.open(Files.of(tape)) as reader:
            _proofs(reader, tape)
            _tiles(reader, path / "tiles")


def _proofs(reader: Reader, tape: Path) -> None:
    drawn = random.Random(1)
    positions = [drawn.randrange(1, ENTRIES) for _ in range(DRAWS)]
    included = [seconds(lambda at=at: prove_entry(reader, at)) * 1000 for at in positions]
    size = reader.stored_size()
    grown = [seconds(lambda at=at: consistency(reader, at, size)) * 1000 for at in positions]
    with closing(sqlite3.connect(tape)) as raw:
        limit = statistics.median(
            seconds(lambda at=at: _hashed(raw, at)) * 1000 for at in positions
        )
    for kind, times in (("inclusion, with its checkpoint", included), ("consistency", grown)):
        value, worst = statistics.median(times), round(max(times), 3)
        what = f"proof of {kind}, from 1,000,000 entries"
        report(what, "ms", value, limit, "< 5 ms", slowest=worst)


def _hashed(raw: sqlite3.Connection, pos: int) -> None:
    """Read and hash as many entries as a proof has to, and as many nodes above them."""
    first = pos & -256
    rows = raw.execute(
        "SELECT CAST(body AS BLOB) FROM entry WHERE pos BETWEEN ? AND ?",
        (first, first + 256 * BLOCKS - 1),
    )
    hashes = [hashlib.sha256(body).digest() for (body,) in rows]
    for level in range(1, 4):
        raw.execute("SELECT root FROM node WHERE level = ? LIMIT 256", (8 * level,)).fetchall()
    for one in hashes * BLOCKS:
        hashlib.sha256(one + one).digest()


def _tiles(reader: Reader, folder: Path) -> None:
    value = seconds(lambda: export(reader, folder))
    files = [one.read_bytes() for one in folder.rglob("*") if one.is_file()]
    raw = seconds(lambda: _written(files, folder.with_name("raw")))
    report("export 1,000,000 entries as tiles", "s", value, raw, "as measured", files=len(files))
    again = seconds(lambda: export(reader, folder))
    report("export again, nothing new: every file compared", "s", again, None, "as measured")
    checked = seconds(lambda: check_tiles(folder, reader.signers()))
    report("check the tiles of 1,000,000 entries", "s", checked, None, "as measured")


def _written(files: list[bytes], folder: Path) -> None:
    folder.mkdir()
    for number, content in enumerate(files):
        with (folder / str(number)).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
