"""Times as Go programs print and store them, in microseconds since 1970 UTC."""

from __future__ import annotations

import datetime
import functools
import re

from ...fsm.moments import TIME_MAX_US

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:[.,]([0-9]{1,12}))?\s?(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?"
    r"(?: [A-Z][A-Za-z0-9+-]{0,7})?(?: m=[+-][0-9.]+)?\Z"
)
_NUMBER = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,12}))?\Z")
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
_UNITS = ((10**11, 1_000_000), (10**14, 1_000), (10**17, 1))
"""A count since 1970 below the first is of the unit that has so many microseconds."""


def microseconds(value: object) -> int | None:
    """Return a time as Go prints it, or a count since 1970, in microseconds; None: it is no time.

    `2021-06-11T18:08:46.937Z`, `2021-06-11 18:08:46.937123456+00:00`, with a zone's name or the
    monotonic clock behind it. Without a zone it is UTC. A number is seconds, milliseconds,
    microseconds or nanoseconds, by its size.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return _counted(str(value))
    if not isinstance(value, str) or len(value) > 100:
        return None
    match = _TIME.match(value.strip())
    if match is None:
        return _counted(value.strip())
    day, hour, minute, second, fraction, _zulu, sign, offset_hour, offset_minute = match.groups()
    midnight = _midnight(day)
    if midnight is None or int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        return None
    seconds = midnight + int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign:
        offset = int(offset_hour) * 3600 + int(offset_minute) * 60
        seconds += offset if sign == "-" else -offset
    return _bounded(seconds * 1_000_000 + _micro(fraction))


def _counted(text: str) -> int | None:
    match = _NUMBER.match(text)
    if match is None:
        return None
    count = int(match[1])
    for limit, unit in _UNITS:
        if count < limit:
            return _bounded(count * unit + (_micro(match[2]) * unit // 1_000_000))
    return _bounded(count // 1_000)


def _micro(fraction: str | None) -> int:
    return int((fraction or "0")[:6].ljust(6, "0"))


def _bounded(value: int) -> int | None:
    return value if 0 <= value <= TIME_MAX_US else None


@functools.lru_cache(1024)
def _midnight(day: str) -> int | None:
    try:
        return (datetime.date.fromisoformat(day).toordinal() - _EPOCH_DAY) * 86_400
    except ValueError:
        return None
