"""Times and durations as Go writes them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.specs.lassie.moments import duration_ns, nanoseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T10:00:00.09+10:00", 90_000_000),
        ("2023-03-02T00:15:50.479910907Z", 1_677_716_150_479_910_907),
        ("2023-03-02T00:15:50.4Z", 1_677_716_150_400_000_000),
        ("2023-03-01T23:45:50-00:30", 1_677_716_150_000_000_000),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2024-02-29T23:59:59Z", 1_709_251_199_000_000_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800 * 10**9),
    ],
)
def test_times_are_exact_to_the_nanosecond(text, expected):
    """Nine digits, any offset, before 1970 as well."""
    assert nanoseconds(text) == expected


@given(
    st.datetimes(timezones=st.just(datetime.UTC)),
    st.integers(-1439, 1439),
)
def test_times_are_those_of_the_standard_library(moment, minutes):
    """To the microsecond, which is all that it knows."""
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    try:
        moment = moment.astimezone(zone)
    except OverflowError:
        return
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

    assert nanoseconds(moment.isoformat()) == since // datetime.timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2023-03-02",
        "2023-03-02 00:15:50Z",
        "2023-03-02t00:15:50Z",
        "2023-03-02T00:15:50",
        "2023-03-02T00:15:50z",
        "2023-03-02T00:15Z",
        "2023-03-02T0:15:50Z",
        "2023-03-02T24:00:00Z",
        "2023-03-02T00:60:00Z",
        "2023-03-02T00:15:60Z",
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2023-03-02T00:15:50.Z",
        "2023-03-02T00:15:50,5Z",
        "2023-03-02T00:15:50.4799109071Z",
        "2023-03-02T00:15:50+24:00",
        "2023-03-02T00:15:50+00:60",
        "2023-03-02T00:15:50+0000",
        "2023-03-02T00:15:50Z\n",
        "２０23-03-02T00:15:50Z",
    ],
)
def test_what_is_no_time_is_refused(text):
    """Each way in which it may be wrong."""
    with pytest.raises(ValueError, match="not a"):
        nanoseconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("40ms", 40_000_000),
        ("1m2.5s", 62_500_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("2µs", 2_000),
        ("2μs", 2_000),
        ("-1.5h", -5_400_000_000_000),
        ("+.5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("0.1234567891s", 123_456_789),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
def test_durations_are_gos(text, expected):
    """Every unit, fractions, signs."""
    assert duration_ns(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "ms",
        "1 ms",
        "1d",
        "s1",
        "-",
        ".s",
        "1..5s",
        "1ms-1s",
        "1ms\n",
        "9223372036854775808ns",
    ],
)
def test_what_is_no_duration_is_refused(text):
    """Each way in which it may be wrong."""
    with pytest.raises(ValueError, match=r"duration|longer"):
        duration_ns(text)
