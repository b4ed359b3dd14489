"""Values of a row, as far as they are what their column should hold.

A foreign file may hold anything in any column. What does not fit is left out and complained of; the
rest of the row counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...fsm.importing import Note, Row
from ..golog.times import microseconds

TEXT_CHARS_MAX = 8_000
KEY_CHARS_MAX = 150
_DIGITS_MAX = 100


class Columns:
    """Reads the columns of one row."""

    def __init__(self, row: Row, place: str) -> None:
        self.row = row
        self.place = place
        self._complaints: dict[str, Note] = {}

    @property
    def complaints(self) -> list[Note]:
        """What did not fit, of the columns that were read."""
        return list(self._complaints.values())

    def text(self, name: str) -> str:
        """Return a text, shortened; "" where there is none."""
        value = self.row.get(name)
        if value is None:
            return ""
        if isinstance(value, bytes):
            self._complain(name, "octets where text should be")
            return ""
        text = str(value)
        text = "".join(char if char.isprintable() or char == "\n" else " " for char in text)
        left = len(text) - TEXT_CHARS_MAX
        return text if left <= 0 else f"{text[:TEXT_CHARS_MAX]}… ({left} more)"

    def key(self, name: str) -> str:
        """Return what may be part of an instance's name; "" where it may not."""
        value = self.row.get(name)
        text = "" if value is None or isinstance(value, bytes) else str(value)
        if not text or not text.isprintable() or len(text) > KEY_CHARS_MAX:
            if text:
                self._complain(name, "names nothing")
            return ""
        return text

    def whole(self, name: str) -> int | None:
        """Return a whole number, not negative; None where there is none."""
        value = self.row.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS_MAX:
            return int(value)
        if isinstance(value, int) and value >= 0:
            return value
        self._complain(name, "no whole number")
        return None

    def flag(self, name: str) -> bool | None:
        """Return whether a column says yes; None where it says nothing."""
        value = self.row.get(name)
        if value is None:
            return None
        if value in (0, 1):
            return bool(value)
        self._complain(name, "neither yes nor no")
        return None

    def time(self, name: str) -> int | None:
        """Return a time in microseconds since 1970 UTC; None where there is none."""
        value = self.row.get(name)
        if value is None or value == "":
            return None
        at = microseconds(value)
        if at is None and not str(value).startswith("0001-01-01"):
            self._complain(name, "no time")
        return at

    def given(self, **parameters: Callable[[], Any]) -> dict[str, Any]:
        """Return the parameters whose columns hold something, by name."""
        read = {name: column() for name, column in parameters.items()}
        return {name: value for name, value in read.items() if value not in (None, "")}

    def _complain(self, name: str, why: str) -> None:
        self._complaints[name] = Note(self.place, f"{name}: {why}; left out", warning=True)


def numbered(table: str, rows: Iterable[Row]) -> Iterator[Columns]:
    """Yield a table's rows with their places."""
    for number, row in enumerate(rows, 1):
        yield Columns(row, f"{table} row {number}")


def digest(*parts: object) -> str:
    """Return what tells one content from another, short enough for an idempotency key."""
    hashed = hashlib.sha256()
    for part in parts:
        octets = repr(part).encode("utf-8", "backslashreplace")
        hashed.update(len(octets).to_bytes(8, "big") + octets)
    return hashed.hexdigest()[:24]


class Identities:
    """Names rows by what they say, and by how often the same was said before."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def of(self, row: Mapping[str, Any]) -> str:
        """Return what names a row, also in a file that lost older rows or gained newer ones."""
        identity = digest(*(item for item in sorted(row.items())))
        count = self._seen[identity] = self._seen.get(identity, 0) + 1
        return identity if count == 1 else f"{identity}.{count}"
