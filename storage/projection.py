"""The projections' tables: what folding found, kept so that opening does not fold everything.

Nothing here is evidence. A projection is written together with later entries, may lag behind them
and may be thrown away and folded again. Each instance row carries a CRC over its columns, so a
damaged row is noticed when it is read and never served as state. The other tables lead to entries,
which are compared with what was asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .checksum import crc32
from .connection import SQLITE_ERRORS, named
from .errors import TapeDamaged
from .reader import BATCH_ROWS, Reader
from .schema import PROJECTIONS
from .tape import Tape

PROJECTED = "projection"
"""The cursor that says up to which position the projections go."""
WINDOW_MAX = 60_000
"""Entries per window of `history`: an offset has two bytes."""
WINDOWS_READ = 8
BASE_MAX = 1 << 62
"""No position that a window leads to passes SQLite's integers."""
HINT = "the entries are the truth: `statetape recover --rebuild` folds them again"


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


class Spec(NamedTuple):
    """One machine on the tape, as projected: where its text stands, and what it is."""

    pos: int
    machine: str
    digest: str
    chain: str | None


def _crc(row: Sequence[object]) -> int:
    text = "\x1f".join("" if value is None else str(value) for value in row)
    return crc32(text.encode())


def damaged(why: str, place: str) -> TapeDamaged:
    """Return the error of a projection that is not what the entries fold to."""
    return TapeDamaged(why, place=place, hint=HINT)


def misled(instance: int) -> TapeDamaged:
    """Return the error of an index that leads to other entries than the instance's."""
    why = "the index does not lead to the instance's entries"
    return damaged(why, f"table history, instance {instance}")


def _instances(reader: Reader, rest: str, values: Sequence[object]) -> list[InstanceRow]:
    rows = reader.table(
        "instance",
        f"{_COLUMNS}, crc",
        tuple[int, str, int, str, int, int, str, str | None, str | None, int],
        rest,
        values,
    )
    found = []
    for row in rows:
        if _crc(row[:-1]) != row[-1]:
            raise damaged("a projected instance changed", f"table instance, row {row[0]}")
        found.append(InstanceRow(*row[:-1]))
    return found


def projected(reader: Reader) -> int:
    """Return the position up to which the projections go."""
    return cursor(reader, PROJECTED)


def cursor(reader: Reader, name: str) -> int:
    """Return how far the consumer `name` has come (0: nowhere). Raises TapeDamaged."""
    return _cursors(reader, "WHERE name = ?", name).get(name, 0)


def cursors(reader: Reader) -> dict[str, int]:
    """Return every consumer and how far it has come. Raises TapeDamaged."""
    return _cursors(reader, "WHERE name <> ? ORDER BY name", PROJECTED)


def _cursors(reader: Reader, rest: str, value: str) -> dict[str, int]:
    found = {}
    rows = reader.table("cursor", "name, pos, crc", tuple[str, int, int], rest, (value,))
    for name, pos, crc in rows:
        if crc != _crc((name, pos)) or pos > reader.stored_size():
            raise damaged("a cursor changed", f"table cursor, row {name}")
        found[name] = pos
    return found


def instance_by_name(reader: Reader, name: str) -> InstanceRow | None:
    """Return a projected instance, or None. Raises TapeDamaged."""
    rows = _instances(reader, "WHERE name = ?", (name,))
    return rows[0] if rows else None


def instance_by_pos(reader: Reader, pos: int) -> InstanceRow | None:
    """Return a projected instance, or None. Raises TapeDamaged."""
    rows = _instances(reader, "WHERE pos = ?", (pos,))
    return rows[0] if rows else None


def instances(reader: Reader, *, with_timers: bool = False) -> Iterator[InstanceRow]:
    """Yield the projected instances by position; `with_timers`: only those that have any."""
    where = " AND timers IS NOT NULL" if with_timers else ""
    after = 0
    while rows := _instances(reader, f"WHERE pos > ?{where} ORDER BY pos LIMIT 1000", (after,)):
        for row in rows:
            if row.pos <= after:  # an index that leads back would be followed for ever
                raise damaged("a row stands before its time", f"table instance, row {row.pos}")
            after = row.pos
            yield row


def instances_named(
    reader: Reader, names: Sequence[str], begins: Sequence[str]
) -> Iterator[InstanceRow]:
    """Yield the projected instances of these names, and all whose names begin so and go on."""
    for start in range(0, len(names), BATCH_ROWS):
        some = names[start : start + BATCH_ROWS]
        yield from _instances(reader, f"WHERE name IN ({_marks(some)})", some)
    for begin in begins:
        after, beyond = begin, f"{begin[:-1]}{chr(ord(begin[-1]) + 1)}"
        rest = "WHERE name > ? AND name < ? ORDER BY name LIMIT 1000"
        while rows := _instances(reader, rest, (after, beyond)):
            for row in rows:
                if row.name <= after:  # an index that leads back would be followed for ever
                    raise damaged("a name stands out of order", "table instance")
                after = row.name
                yield row


def positions(reader: Reader, instance: int) -> list[int]:
    """Return the positions of an instance's entries, as far as they are projected."""
    found: list[int] = []
    rest = "WHERE instance = ? ORDER BY base"
    rows = reader.table("history", "base, offsets", tuple[int, bytes], rest, (instance,))
    for base, stored in rows:
        found += _window(instance, base, stored)
    return found


def positions_of(reader: Reader, instances: Sequence[int]) -> dict[int, list[int]]:
    """Return the same positions of many instances, in few queries."""
    found: dict[int, list[int]] = {instance: [] for instance in instances}
    for start in range(0, len(instances), BATCH_ROWS):
        some = instances[start : start + BATCH_ROWS]
        rest = f"WHERE instance IN ({_marks(some)}) ORDER BY instance, base"
        rows = reader.table(
            "history", "instance, base, offsets", tuple[int, int, bytes], rest, some
        )
        for instance, base, stored in rows:
            if instance not in found:
                raise damaged("the index is no index", f"table history, instance {instance}")
            found[instance] += _window(instance, base, stored)
    return found


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def windows_back(reader: Reader, instance: int) -> Iterator[list[int]]:
    """Yield the same positions newest first by windows, each ascending; read as they are asked."""
    rest = "WHERE instance = ? AND base < ? ORDER BY base DESC LIMIT ?"
    before = BASE_MAX
    while rows := reader.table(
        "history", "base, offsets", tuple[int, bytes], rest, (instance, before, WINDOWS_READ)
    ):
        for base, stored in rows:
            if base >= before:  # an index that leads back would be followed for ever
                raise damaged("the index is no index", f"table history, instance {instance}")
            before = base
            yield _window(instance, base, stored)


def _window(instance: int, base: int, stored: bytes) -> list[int]:
    offsets = array("H", stored[: len(stored) & -2])
    if len(offsets) * 2 != len(stored) or not 0 < base < BASE_MAX:
        raise damaged("the index is no index", f"table history, instance {instance}")
    return [base + offset for offset in offsets]


def names_from(reader: Reader, least: str, limit: int) -> list[str]:
    """Return up to `limit` names of projected instances from `least` on, in order.

    Read from the index alone: what a name leads to is checked when it is looked up.
    """
    rest = "WHERE name >= ? ORDER BY name LIMIT ?"
    return [name for (name,) in reader.table("instance", "name", tuple[str], rest, (least, limit))]


def names_before(reader: Reader, beyond: str, limit: int) -> list[str]:
    """Return up to `limit` names of projected instances before `beyond`, the nearest first."""
    rest = "WHERE name < ? ORDER BY name DESC LIMIT ?"
    return [name for (name,) in reader.table("instance", "name", tuple[str], rest, (beyond, limit))]


def names_ending(reader: Reader, ending: str, limit: int) -> list[str]:
    """Return up to `limit` names of projected instances that end so, in order. Reads them all."""
    rest = "WHERE substr(name, -length(?)) = ? ORDER BY name LIMIT ?"
    rows = reader.table("instance", "name", tuple[str], rest, (ending, ending, limit))
    return [name for (name,) in rows]


def key_position(reader: Reader, instance: int, key: str) -> int | None:
    """Return the position of the entry that took an idempotency key, or None."""
    rest = "WHERE instance = ? AND key = ?"
    rows = reader.table("idempotency", "pos", tuple[int], rest, (instance, key))
    return rows[0][0] if rows else None


def keys(reader: Reader) -> Iterable[tuple[tuple[int, str], int]]:
    """Yield ((instance, key), position) of every projected idempotency key."""
    rows = reader.table("idempotency", "instance, key, pos", tuple[int, str, int])
    for instance, key, pos in rows:
        yield (instance, key), pos


def indexed(reader: Reader) -> list[int]:
    """Return the instances that the history index knows."""
    return [pos for (pos,) in reader.table("history", "DISTINCT instance", tuple[int])]


def heads(reader: Reader) -> dict[str, tuple[int, int]]:
    """Return chain → (height, position), as projected."""
    rows = reader.table("head", "chain, height, pos", tuple[str, int, int])
    return {chain: (height, pos) for chain, height, pos in rows}


def gone(reader: Reader) -> dict[str, int]:
    """Return the names of collected instances → position of the entry that says so."""
    return _names(reader, "gone")


def any_gone(reader: Reader) -> bool:
    """Return whether any instance was collected, as projected."""
    return reader.collects and bool(reader.query("SELECT 1 FROM gone LIMIT 1"))


def gone_ending(reader: Reader, ending: str, limit: int) -> list[str]:
    """Return up to `limit` names of collected instances that end so, in order. Reads them all."""
    rest = "WHERE substr(name, -length(?)) = ? ORDER BY name LIMIT ?"
    return list(_names(reader, "gone", rest, (ending, ending, limit)))


def gone_position(reader: Reader, name: str) -> int | None:
    """Return the position of the entry that says that the instance `name` was collected."""
    return _names(reader, "gone", "WHERE name = ?", (name,)).get(name)


def holds(reader: Reader) -> dict[str, int]:
    """Return the names of instances on hold → position of the entry that put them there."""
    return _names(reader, "hold")


def _names(
    reader: Reader, table: str, rest: str = "", values: Sequence[object] = ()
) -> dict[str, int]:
    if not reader.collects:
        return {}
    return dict(reader.table(table, "name, pos", tuple[str, int], rest, values))


def specs(reader: Reader) -> list[Spec]:
    """Return the machines on the tape, as projected."""
    return reader.table("spec", "pos, machine, digest, chain", Spec, "ORDER BY pos")


class Projection(NamedTuple):
    """What one flush stores, together: everything that changed since the last."""

    upto: int
    instances: list[InstanceRow]
    window_base: int
    window: list[int]
    keys: list[tuple[int, str, int]]
    heads: dict[str, tuple[int, int]]
    specs: list[Spec]
    gone: dict[str, int]
    holds: dict[str, int | None]


def store(tape: Tape, projection: Projection) -> None:
    """Store a flush inside the running transaction (`Tape.write`'s `also`).

    `window` holds, for each entry from `window_base` on, the position of its instance (0: none).
    Of `holds`, None takes one away.
    """
    db = tape.db
    try:
        db.executemany(
            f"INSERT OR REPLACE INTO instance ({_COLUMNS}, crc) "  # noqa: S608
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row, _crc(row)) for row in projection.instances],
        )
        db.executemany(
            "INSERT OR REPLACE INTO history VALUES (?, ?, ?)",
            _windows(projection.window_base, projection.window),
        )
        db.executemany("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?)", projection.keys)
        db.executemany(
            "INSERT OR REPLACE INTO head VALUES (?, ?, ?)",
            [(chain, height, pos) for chain, (height, pos) in projection.heads.items()],
        )
        db.executemany("INSERT OR REPLACE INTO spec VALUES (?, ?, ?, ?)", projection.specs)
        db.executemany("INSERT OR REPLACE INTO gone VALUES (?, ?)", projection.gone.items())
        for name, pos in projection.holds.items():
            db.execute("DELETE FROM hold WHERE name = ?", (name,))
            if pos is not None:
                db.execute("INSERT INTO hold VALUES (?, ?)", (name, pos))
        move_cursor(tape, PROJECTED, projection.upto)
    except SQLITE_ERRORS as error:
        raise named(error, tape.files.tape) from error


def _windows(base: int, owners: Sequence[int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield the rows of `history` for entries from position `base` on."""
    for start in range(0, len(owners), WINDOW_MAX):
        grouped: dict[int, array[int]] = {}
        for offset, instance in enumerate(owners[start : start + WINDOW_MAX]):
            if instance:
                grouped.setdefault(instance, array("H")).append(offset)
        for instance, offsets in sorted(grouped.items()):
            yield instance, base + start, offsets.tobytes()


def collect(
    tape: Tape,
    instances: Sequence[tuple[int, str]],
    keys: Iterable[tuple[int, str]],
    pos: int,
) -> None:
    """Take collected instances out of the projections, inside the running transaction.

    instances: (position, name). `keys`: (instance, key) of all idempotency keys that their entries
    took: those of creations are under no instance. The names are gone as of the entry at `pos`.
    """
    try:
        rows = [(instance,) for instance, _ in instances]
        tape.db.executemany("DELETE FROM instance WHERE pos = ?", rows)
        tape.db.executemany("DELETE FROM history WHERE instance = ?", rows)
        tape.db.executemany("DELETE FROM idempotency WHERE instance = ? AND key = ?", keys)
        tape.db.executemany(
            "INSERT OR IGNORE INTO gone VALUES (?, ?)", [(name, pos) for _, name in instances]
        )
    except SQLITE_ERRORS as error:
        raise named(error, tape.files.tape) from error


def move_cursor(tape: Tape, name: str, pos: int) -> None:
    """Set a consumer's cursor inside the running transaction."""
    try:
        row = (name, pos)
        tape.db.execute("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", (*row, _crc(row)))
    except SQLITE_ERRORS as error:
        raise named(error, tape.files.tape) from error


def forget(tape: Tape) -> None:
    """Empty the projections inside the running transaction.

    Consumers' cursors stay, but for damaged ones: their consumers are given everything again.
    """
    try:
        for table in set(PROJECTIONS) - {"cursor"}:
            tape.db.execute(f"DELETE FROM {table}")  # noqa: S608
        for name, pos, crc in tape.query("SELECT name, pos, crc FROM cursor"):
            if name == PROJECTED or crc != _crc((name, pos)):
                tape.db.execute("DELETE FROM cursor WHERE name = ?", (name,))
    except SQLITE_ERRORS as error:
        raise named(error, tape.files.tape) from error
