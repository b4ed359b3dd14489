"""Times and durations as Go writes them, exact to the nanosecond.

Times are whole nanoseconds since 1970 UTC, durations whole nanoseconds. What is not one raises
ValueError with the reason in words.
"""

from __future__ import annotations

import datetime
import functools
import re

SECOND_NS = 1_000_000_000
DAY_US = 86_400_000_000
DURATION_NS_MAX = 2**63 - 1

_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_CACHE_ENTRIES = 4096
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])"
    r"(?:Z|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))\Z"
)
_FRACTION = re.compile(r"\.([0-9]{1,9})(Z|[+-][0-9]{2}:[0-9]{2})\Z")
_DURATION = re.compile(r"([+-]?)((?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+|0)\Z")
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_DURATION_CHARS_MAX = 200


def nanoseconds(text: str) -> int:
    """Return an RFC 3339 time with up to nine digits after the second, in nanoseconds."""
    fraction = text[20:-1]
    if text[-1:] == "Z" and text[19:20] == "." and fraction.isdecimal() and fraction.isascii():
        if len(fraction) > 9:
            raise ValueError(f"{text[:80]!a} is not a time in nanoseconds: too many digits")
        return _seconds(f"{text[:19]}Z") * SECOND_NS + int(f"{fraction:0<9}")
    if "." not in text:
        return _seconds(text) * SECOND_NS
    match = _FRACTION.search(text)
    if match is None:
        raise ValueError(f"{text[:80]!a} is not an RFC 3339 time")
    return _seconds(text[: match.start()] + match[2]) * SECOND_NS + int(f"{match[1]:0<9}")


@functools.lru_cache(_CACHE_ENTRIES)
def _seconds(text: str) -> int:
    """Return an RFC 3339 time without fraction in seconds: those of one batch share a few."""
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"{text[:80]!a} is not an RFC 3339 time")
    day, hour, minute, second, sign, offset_hours, offset_minutes = match.groups()
    offset = int(offset_hours or 0) * 3600 + int(offset_minutes or 0) * 60
    since_midnight = int(hour) * 3600 + int(minute) * 60 + int(second)
    return _midnight(day) + since_midnight + (offset if sign == "-" else -offset)


def _midnight(day: str) -> int:
    """Return the beginning of a day in seconds since 1970 UTC."""
    try:
        return (datetime.date.fromisoformat(day).toordinal() - _EPOCH_DAY) * 86_400
    except ValueError:
        raise ValueError(f"{day} is not a day of the calendar") from None


def duration_ns(text: str) -> int:
    """Return a Go duration (`40ms`, `1m2.5s`) in nanoseconds; below one, cut off as Go does."""
    match = _DURATION.match(text) if len(text) <= _DURATION_CHARS_MAX else None
    if match is None:
        raise ValueError(f"{text[:80]!a} is not a duration, as in 40ms or 1m2.5s")
    total = 0
    for whole, fraction, unit in _PART.findall(match[2]):
        scale = _UNITS_NS[unit]
        total += int(whole or 0) * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
    if total > DURATION_NS_MAX:
        raise ValueError(f"{text[:80]!a} is longer than 292 years")
    return -total if match[1] == "-" else total
