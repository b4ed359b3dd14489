"""Time and duration as types, and as people write them.

A time is a whole number of microseconds since 1970 UTC; nothing here knows the present.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from .types import Int, ValueInvalid, exact_int

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
DURATION = re.compile(r"(?:[0-9]{1,12}(?:us|ms|s|m|h|d))+\Z")
_PART = re.compile(r"([0-9]+)(us|ms|s|m|h|d)")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?\Z"
)
TIME_MAX_US = 2**52
"""Beyond year 2112 in microseconds: no deadline of a real lifecycle lies further off."""


def parse_duration(text: str, place: str = "") -> int:
    """Return `30s`, `1h30m`, `180d` as microseconds."""
    if not DURATION.match(text):
        raise ValueInvalid(
            f"{text!r} is not a duration: write 250ms, 30s, 1h30m, 180d", place=place
        )
    return sum(int(number) * _UNITS_US[unit] for number, unit in _PART.findall(text))


def show_duration(value: int) -> str:
    """Return microseconds as `1h30m`, exactly."""
    parts = []
    rest = abs(value)
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, rest = divmod(rest, _UNITS_US[unit])
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if value < 0 else "") + ("".join(parts) or "0s")


def show_about(value: int) -> str:
    """Return microseconds as people say them: the two largest units, from seconds on."""
    seconds = abs(value) // _UNITS_US["s"]
    if not seconds:
        return "less than 1s"
    hours, minutes, days = seconds // 3600 % 24, seconds // 60 % 60, seconds // 86400
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds % 60, "s"))
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count)


def parse_time(text: str, place: str = "") -> int:
    """Return an ISO 8601 time with zone, or whole microseconds since 1970 UTC, as microseconds."""
    number = exact_int(text)
    if number is not None:
        return number
    try:
        if not _TIME.match(text):
            raise ValueError(text)
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        why = f"{text!r} is not a time: write 2020-12-01T00:00:00Z, or microseconds since 1970"
        raise ValueInvalid(why, place=place) from None
    if moment.tzinfo is None:
        raise ValueInvalid(f"{text!r} has no time zone: add Z", place=place)
    return (moment - _EPOCH) // _MICROSECOND


def show_time(value: int) -> str:
    """Return microseconds since 1970 as ISO 8601 in UTC; out of the calendar, the number."""
    try:
        moment = _EPOCH + value * _MICROSECOND
    except OverflowError:
        return f"{value}us"
    return moment.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Time(Int):
    """A point in time: whole microseconds since 1970 UTC."""

    name: str = "time"
    low: int | None = -TIME_MAX_US
    high: int | None = TIME_MAX_US
    unit: str | None = "time"

    def parse(self, text: str, place: str) -> int:
        """Read ISO 8601 with a zone, or microseconds."""
        return self.coerce(parse_time(text, place), place)

    def show(self, value: int) -> str:
        """ISO 8601 in UTC."""
        return show_time(value)


@dataclass(frozen=True)
class Duration(Int):
    """A length of time: whole microseconds."""

    name: str = "duration"
    low: int | None = 0
    high: int | None = TIME_MAX_US

    def parse(self, text: str, place: str) -> int:
        """Read `1h30m` and the like."""
        return self.coerce(parse_duration(text, place), place)

    def show(self, value: int) -> str:
        """`1h30m` and the like, exactly."""
        return show_duration(value)
