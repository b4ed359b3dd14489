"""Lines of any file: whatever its octets, they are read, and what is not understood is told."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.engine import catalogue
from statetape.fsm.importing import Event, Note
from statetape.specs.golog.imports import IMPORTERS
from statetape.specs.golog.lines import LINE_BYTES_MAX
from statetape.specs.golog.times import microseconds

REFUSAL = (
    b"2021-07-13T09:13:20.035Z\tERROR\tfsm\tfsm/fsm.go:92\tExecuting event planner failed: "
    b"Invalid transition in queue, state `0`, event `4`:\n"
)


def items(source):
    """Return what the importer makes of a file."""
    return list(IMPORTERS["go-log"].items(source, catalogue.machine))


def refusals(source):
    """Return the refused events of a file, as commands to machines."""
    found = [one for one in items(source) if isinstance(one, Event)]
    return [one for one in found if not one.instance.startswith("golog.story")]


def notes(source):
    """Return place and words of what says nothing of a machine."""
    return [(one.place, one.message) for one in items(source) if isinstance(one, Note)]


def test_noise_is_noted_with_its_lines():
    """What `go test` and other programs say around: blocks of it, by their first line."""
    noise = b"=== RUN   TestX\n--- FAIL: TestX (0.00s)\n    x_test.go:4: no\n\npanic: no\n"

    assert notes(noise + REFUSAL + b"ok  \tpop\t0.1s\n") == [
        ("lines 1-5", "nothing of a machine: === RUN   TestX (and 4 more)"),
        ("line 7", "nothing of a machine: ok   pop 0.1s"),
    ]


def test_a_stack_belongs_to_its_line():
    """It is no noise; what a test says behind it is."""
    stack = b"    github.com/filecoin-project/go-statemachine/fsm.Apply\n        a/b.go:137\n"

    assert notes(REFUSAL + stack + b"    tx_test.go:415: could not finish\n") == [
        ("line 4", "nothing of a machine: tx_test.go:415: could not finish")
    ]


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00\xff\xfe\x80" * 500 + b"\n",
        b"\x1f\x8b\x08\x00 a compressed log\n",
        b'{"level":' + b"[" * 50_000 + b"\n",
        b'{"level":"error","msg":' + b"9" * 10_000 + b"}\n",
        b'{"level":"error","time":{"a":[]},"message":["x"]}\n',
        b"Invalid transition in queue, state `0`\n",
        b"\r\n\r\n\n",
        b"2021-99-99T99:99:99Z\tERROR\tfsm\tno day\n",
    ],
    ids=["octets", "gzip", "deep", "number", "shapes", "cut", "empty", "no day"],
)
def test_what_stands_around_noise_is_read(noise):
    """Before it and behind it, in the same file."""
    assert len(refusals(REFUSAL + noise + REFUSAL)) == 2


def test_a_line_is_read_as_far_as_is_sensible():
    """One of a megabyte is shortened, and said to be; the next one is whole."""
    long = REFUSAL.rstrip() + b" x" * LINE_BYTES_MAX + b"\n"

    assert len(refusals(long + REFUSAL)) == 2
    assert notes(long) == [("line 1", "longer than is read; its beginning counts")]


def test_a_last_line_without_an_end_counts():
    """The program may be writing it."""
    assert len(refusals(REFUSAL.rstrip())) == 1


def test_a_truncated_log_loses_its_last_line_only():
    """Cut at any octet, what is whole is read."""
    for cut in range(len(REFUSAL), 2 * len(REFUSAL)):
        assert len(refusals((REFUSAL * 2)[:cut])) in (1, 2)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_octets_are_an_error(parts):
    """Nothing is raised, and everything is said with its place."""
    for one in items(b"\n".join(parts)):
        assert one.place.startswith("line")


@given(st.integers(0, 2**32))
def test_a_damaged_log_is_still_read(seed):
    """Octets changed at random: every other line keeps its meaning."""
    dice = random.Random(seed)
    octets = bytearray(REFUSAL * 3)
    octets[dice.randrange(len(REFUSAL), 2 * len(REFUSAL) - 1)] = dice.randrange(256)

    assert len(refusals(bytes(octets))) >= 2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2021-06-11T18:08:46.937Z", 1_623_434_926_937_000),
        ("2021-06-11T18:08:46.937123456Z", 1_623_434_926_937_123),
        ("2021-06-12T02:08:46.937+0800", 1_623_434_926_937_000),
        ("2021-06-11 18:08:46.937+00:00", 1_623_434_926_937_000),
        ("2021-06-11 18:08:46.937 +0000 UTC m=+0.000123", 1_623_434_926_937_000),
        ("2021-06-11 18:08:46", 1_623_434_926_000_000),
        ("1623434926.937", 1_623_434_926_937_000),
        ("1623434926937", 1_623_434_926_937_000),
        (1_623_434_926, 1_623_434_926_000_000),
        (1_623_434_926_937_123, 1_623_434_926_937_123),
        (1_623_434_926_937_123_456, 1_623_434_926_937_123),
        ("0001-01-01 00:00:00+00:00", None),
        ("2021-02-30T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("soon", None),
        (True, None),
        (None, None),
        (1.5, None),
    ],
)
def test_times_as_go_programs_write_them(written, expected):
    """To the microsecond; what is none is none."""
    assert microseconds(written) == expected
