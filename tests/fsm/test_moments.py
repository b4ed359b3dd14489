"""Times and durations as people write them, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.composite import BUILTIN
from statetape.fsm.moments import TIME_MAX_US, parse_duration, show_duration, show_time
from statetape.fsm.types import ValueInvalid

from .strategies import PROPERTY

TIME = BUILTIN["time"]
DURATION = BUILTIN["duration"]


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1us", 1),
        ("250ms", 250_000),
        ("30s", 30_000_000),
        ("5m", 300_000_000),
        ("1h30m", 5_400_000_000),
        ("180d", 15_552_000_000_000),
        ("1d1h1m1s1ms1us", 90_061_001_001),
        ("0s", 0),
        ("90m", 5_400_000_000),
        ("1m1m", 120_000_000),
    ],
)
def test_duration_is_read_in_microseconds(text: str, microseconds: int) -> None:
    """Parts add up, each with its unit."""
    assert parse_duration(text) == microseconds
    assert DURATION.parse(text, "x") == microseconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "1.5h", "-1s", "1 h", "1h ", "1h\n", "1w", "1H", "1e3s", "٣s", "1_0s"],
)
def test_what_is_no_duration_is_refused_by_name(text: str) -> None:
    """Every part needs a whole number and a unit."""
    with pytest.raises(ValueInvalid, match="is not a duration"):
        DURATION.parse(text, "x")


def test_duration_longer_than_the_calendar_is_refused() -> None:
    """Bounded like a time, so that a deadline stays one; 13 digits are none at all."""
    with pytest.raises(ValueInvalid, match="is not a duration"):
        DURATION.parse("1" * 13 + "s", "x")
    with pytest.raises(ValueInvalid, match="above"):
        DURATION.parse("999999999999d", "x")
    with pytest.raises(ValueInvalid, match="below 0"):
        DURATION.coerce(-1, "x")


@PROPERTY
@given(st.integers(-TIME_MAX_US, TIME_MAX_US))
def test_duration_is_shown_exactly(value: int) -> None:
    """No unit is rounded away; a negative one has its sign in front."""
    shown = show_duration(value)

    assert parse_duration(shown.removeprefix("-")) == abs(value)
    assert shown.startswith("-") == (value < 0)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2020-12-01T00:00:00Z", 1_606_780_800_000_000),
        ("2020-12-01T02:00:00+02:00", 1_606_780_800_000_000),
        ("2020-12-01T00:00:00.000001Z", 1_606_780_800_000_001),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1606780800000000", 1_606_780_800_000_000),
        ("-1", -1),
    ],
)
def test_time_is_read_in_microseconds_since_1970_utc(text: str, microseconds: int) -> None:
    """ISO 8601 with a zone, or the number itself."""
    assert TIME.parse(text, "x") == microseconds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2020-12-01T00:00:00", "has no time zone"),
        ("2020-12-01", "has no time zone"),
        ("yesterday", "is not a time"),
        ("2020-13-01T00:00:00Z", "is not a time"),
        ("", "is not a time"),
        ("1e15", "is not a time"),
        ("NaN", "is not a time"),
        ("٢٠٢٠-12-01T00:00:00Z", "is not a time"),
        ("\ud800", "is not a time"),
        pytest.param("9" * 1301, "is not a time", id="1301 digits"),
        ("2200-01-01T00:00:00Z", "above"),
        ("0001-01-01T00:00:00+23:59", "below"),
        ("9999-12-31T23:59:59-23:59", "above"),
    ],
)
def test_what_is_no_time_is_refused_by_name(text: str, says: str) -> None:
    """Without a zone a time is ambiguous; beyond the calendar it is no deadline."""
    with pytest.raises(ValueInvalid, match=says) as caught:
        TIME.parse(text, "deadline")

    assert caught.value.place == "deadline"


@pytest.mark.parametrize(
    "text",
    [
        "2020-12-01T00:00:00Z\x00",
        "2020-12-01T00:00:00Z\x00and more",
        "2020-12-01é00:00:00Z",
        "2020-12-01X00:00:00Z",
        "2020-12-01T00:00:00.0000009Z",
    ],
)
def test_time_is_refused_rather_than_half_read(text: str) -> None:
    """Nothing is skipped or rounded off: not what follows a NUL, not a tenth of a microsecond."""
    with pytest.raises(ValueInvalid):
        TIME.parse(text, "x")


@PROPERTY
@given(st.integers(-TIME_MAX_US, TIME_MAX_US))
def test_time_is_shown_in_utc_to_the_microsecond(value: int) -> None:
    """Every time of the calendar has an ISO form that is read back exactly."""
    shown = show_time(value)

    assert shown.endswith("Z")
    assert TIME.parse(shown, "x") == value


def test_number_out_of_the_calendar_is_still_shown() -> None:
    """A report never fails on a value."""
    assert show_time(10**30) == f"{10**30}us"
