"""The projections' tables: what folding found, kept so that opening does not fold everything.

Nothing here is evidence. A projection is written together with later entries, may lag behind them
and may be thrown away and folded again. Each instance row carries a CRC over its columns, so a
damaged row is noticed when it is read and never served as state.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .checksum import crc32
from .connection import named
from .errors import TapeDamaged
from .reader import Reader
from .schema import PROJECTIONS
from .tape import Tape

PROJECTED = "projection"
"""The cursor that says up to which position the projections go."""
WINDOW_MAX = 60_000
"""Entries per window of `history`: an offset has two bytes."""


class InstanceRow(NamedTuple):
    """One instance as projected. `data`, `timers` and `parked` are JSON texts."""

    pos: int
    name: str
    spec: int
    state: str
    seq: int
    last: int
    data: str
    timers: str | None
    parked: str | None


_COLUMNS = ", ".join(InstanceRow._fields)


def _crc(row: Sequence[object]) -> int:
    text = "\x1f".join("" if value is None else str(value) for value in row)
    return crc32(text.encode())


def _instance(row: Sequence[object]) -> InstanceRow:
    instance = InstanceRow(*row[:-1])  # type: ignore[arg-type]
    if _crc(instance) != row[-1]:
        hint = "the entries are the truth: `statetape recover --rebuild` folds them again"
        place = f"table instance, row {instance.pos}"
        raise TapeDamaged("a projected instance changed", place=place, hint=hint)
    return instance


def projected(reader: Reader) -> int:
    """Return the position up to which the projections go."""
    return cursor(reader, PROJECTED)


def cursor(reader: Reader, name: str) -> int:
    """Return how far the consumer `name` has come (0: nowhere). Raises TapeDamaged."""
    rows = reader.query("SELECT pos, crc FROM cursor WHERE name = ?", (name,))
    if not rows:
        return 0
    [(pos, crc)] = rows
    if crc != _crc((name, pos)) or pos > reader.stored_size():
        hint = "the entries are the truth: `statetape recover --rebuild` folds them again"
        raise TapeDamaged("a cursor changed", place=f"table cursor, row {name}", hint=hint)
    return int(pos)


def cursors(reader: Reader) -> dict[str, int]:
    """Return every consumer and how far it has come."""
    rows = reader.query("SELECT name, pos FROM cursor WHERE name <> ? ORDER BY name", (PROJECTED,))
    return {str(name): int(pos) for name, pos in rows}


def instance_by_name(reader: Reader, name: str) -> InstanceRow | None:
    """Return a projected instance, or None. Raises TapeDamaged."""
    rows = reader.query(f"SELECT {_COLUMNS}, crc FROM instance WHERE name = ?", (name,))  # noqa: S608
    return _instance(rows[0]) if rows else None


def instance_by_pos(reader: Reader, pos: int) -> InstanceRow | None:
    """Return a projected instance, or None. Raises TapeDamaged."""
    rows = reader.query(f"SELECT {_COLUMNS}, crc FROM instance WHERE pos = ?", (pos,))  # noqa: S608
    return _instance(rows[0]) if rows else None


def instances(reader: Reader, *, with_timers: bool = False) -> Iterable[InstanceRow]:
    """Yield the projected instances by position; `with_timers`: only those that have any."""
    where = " AND timers IS NOT NULL" if with_timers else ""
    after = 0
    while True:
        rows = reader.query(
            f"SELECT {_COLUMNS}, crc FROM instance WHERE pos > ?{where} "  # noqa: S608
            "ORDER BY pos LIMIT 1000",
            (after,),
        )
        for row in rows:
            yield _instance(row)
        if not rows:
            return
        after = rows[-1][0]


def positions(reader: Reader, instance: int) -> list[int]:
    """Return the positions of an instance's entries, as far as they are projected."""
    found: list[int] = []
    rows = reader.query(
        "SELECT base, offsets FROM history WHERE instance = ? ORDER BY base", (instance,)
    )
    for base, offsets in rows:
        found += [base + offset for offset in _offsets(offsets)]
    return found


def _offsets(stored: bytes) -> array[int]:
    offsets = array("H")
    offsets.frombytes(stored[: len(stored) & -2])
    return offsets


def key_position(reader: Reader, instance: int, key: str) -> int | None:
    """Return the position of the entry that took an idempotency key, or None."""
    rows = reader.query(
        "SELECT pos FROM idempotency WHERE instance = ? AND key = ?", (instance, key)
    )
    return int(rows[0][0]) if rows else None


def keys(reader: Reader) -> Iterable[tuple[tuple[int, str], int]]:
    """Yield ((instance, key), position) of every projected idempotency key."""
    for instance, key, pos in reader.query("SELECT instance, key, pos FROM idempotency"):
        yield (int(instance), str(key)), int(pos)


def indexed(reader: Reader) -> list[int]:
    """Return the instances that the history index knows."""
    return [int(pos) for (pos,) in reader.query("SELECT DISTINCT instance FROM history")]


def heads(reader: Reader) -> dict[str, tuple[int, int]]:
    """Return chain → (height, position), as projected."""
    rows = reader.query("SELECT chain, height, pos FROM head")
    return {str(chain): (int(height), int(pos)) for chain, height, pos in rows}


def specs(reader: Reader) -> list[tuple[int, str, str | None]]:
    """Return (position, digest, chain) of the machines on the tape, as projected."""
    return [
        (int(pos), str(digest), chain)
        for pos, digest, chain in reader.query("SELECT pos, digest, chain FROM spec ORDER BY pos")
    ]


class Projection(NamedTuple):
    """What one flush stores, together: everything that changed since the last."""

    upto: int
    instances: list[InstanceRow]
    window_base: int
    window: list[int]
    keys: list[tuple[int, str, int]]
    heads: dict[str, tuple[int, int]]
    specs: list[tuple[int, str, str, str | None]]


def store(tape: Tape, projection: Projection) -> None:
    """Store a flush inside the running transaction (`Tape.write`'s `also`).

    `window` holds, for each entry from `window_base` on, the position of its instance (0: none).
    """
    grouped: dict[int, array[int]] = {}
    for offset, instance in enumerate(projection.window):
        if instance:
            grouped.setdefault(instance, array("H")).append(offset)
    base = projection.window_base
    db = tape.db
    try:
        db.executemany(
            f"INSERT OR REPLACE INTO instance ({_COLUMNS}, crc) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, _crc(row)) for row in projection.instances],
        )
        db.executemany(
            "INSERT OR REPLACE INTO history VALUES (?, ?, ?)",
            [(instance, base, offsets.tobytes()) for instance, offsets in sorted(grouped.items())],
        )
        db.executemany("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?)", projection.keys)
        db.executemany(
            "INSERT OR REPLACE INTO head VALUES (?, ?, ?)",
            [(chain, height, pos) for chain, (height, pos) in projection.heads.items()],
        )
        db.executemany("INSERT OR REPLACE INTO spec VALUES (?, ?, ?, ?)", projection.specs)
        move_cursor(tape, PROJECTED, projection.upto)
    except sqlite3.Error as error:
        raise named(error, tape.files.tape) from error


def move_cursor(tape: Tape, name: str, pos: int) -> None:
    """Set a consumer's cursor inside the running transaction."""
    try:
        row = (name, pos)
        tape.db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", (*row, _crc(row)))
    except sqlite3.Error as error:
        raise named(error, tape.files.tape) from error


def forget(tape: Tape) -> None:
    """Empty the projections inside the running transaction; consumers' cursors stay."""
    try:
        for table in PROJECTIONS:
            where = " WHERE name = ?" if table == "cursor" else ""
            tape.db.execute(f"DELETE FROM {table}{where}", (PROJECTED,) if where else ())  # noqa: S608
    except sqlite3.Error as error:
        raise named(error, tape.files.tape) from error
