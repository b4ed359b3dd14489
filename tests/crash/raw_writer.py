"""Workload of the simulator's own tests: plain sqlite3 in WAL mode, no statetape code.

    python raw_writer.py DIRECTORY SYNCHRONOUS ROWS

Inserts rows 1..ROWS into DIRECTORY/raw.db, one in each commit, and acknowledges each after its
commit. Checkpoints now and then, and reopens the database, so that the WAL restarts, is truncated,
deleted and created again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

DATABASE = "raw.db"


def payload(seq: int) -> bytes:
    """What row `seq` must hold: every ninth spans several pages."""
    digest = hashlib.sha256(str(seq).encode()).digest()
    return digest * (400 if seq % 9 == 0 else 3)


def open_database(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection that neither begins transactions nor checkpoints by itself."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise SystemExit(f"journal mode is {mode}")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS rows (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT"
    )
    return connection


@contextmanager
def acknowledging(directory: Path) -> Iterator[int]:
    """A descriptor of the file of acknowledgements."""
    descriptor = os.open(directory / "acks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def main(directory: Path, synchronous: str, rows: int) -> None:
    """Write and acknowledge `rows` rows."""
    seq = 0
    with acknowledging(directory) as acks:
        while seq < rows:
            with closing(open_database(directory / DATABASE, synchronous)) as connection:
                stop = min(rows, seq + 40)
                while seq < stop:
                    seq += 1
                    connection.execute("INSERT INTO rows VALUES (?, ?)", (seq, payload(seq)))
                    os.write(acks, b"%d\n" % seq)
                    if seq % 7 == 0:
                        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                    if seq % 20 == 0:
                        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
