"""Hostile bytes in the place of an entry: EntryInvalid, or an entry with exactly these bytes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.entry import (
    ENTRY_BYTES_MAX,
    Entry,
    EntryInvalid,
    check_canonical,
    decode,
    encode,
)
from statetape.fsm.fold import fold

from .budget import fuzzing, no_hang

MEMBERS = [one.encode_name for one in msgspec.structs.fields(Entry)]
SAMPLES = [
    encode(
        Entry(at=1, pos=1, create="m/k", seq=1, spec=1, to="open", set={"n": 1, "m": {"a": "2"}})
    ),
    encode(Entry(at=1, pos=2, instance=1, seq=2, event="e", params={"x": [1, None, True, "é"]})),
    encode(Entry(at=1, pos=3, instance=1, seq=3, event="e", timers={"t": {"at": 5}, "u": None})),
    encode(
        Entry(at=1, pos=4, instance=1, outcome="rejected", reason={"kind": "x", "saw": {"n": 1}})
    ),
]
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"null",
    b"1.5",
    b"-0",
    b"1e9",
    b"\\ud800",
    b" ",
]
PIECES += [b"\\u0000", b"\n", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"9" * 20, b"9" * 5000]
PIECES += [b'"at":2,', b"\x00", b'"by":null,', b'"params":{"a":1.0},', b"[" * 1200, b'{"a":' * 1200]
pieces = st.sampled_from(PIECES) | st.binary(max_size=3)
changes = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 9), pieces), min_size=1, max_size=4
)


def read(how: Callable[[bytes, str], Entry], body: bytes) -> Entry | EntryInvalid:
    """Return the entry that `how` finds, or its error."""
    with no_hang():
        try:
            return how(body, "entry 1")
        except EntryInvalid as error:
            return error


def check(body: bytes) -> bool:
    """Decode both ways; returns whether the bytes are an entry's canonical ones."""
    loose, strict = read(decode, body), read(check_canonical, body)
    for one in (loose, strict):
        assert isinstance(one, Entry) or one.place == "entry 1"
    if not isinstance(strict, Entry):
        return False
    assert strict == loose
    assert encode(strict) == body
    assert len(body) <= ENTRY_BYTES_MAX
    return True


@fuzzing(2)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(body: bytes) -> None:
    """No bytes make anything but EntryInvalid."""
    check(body)


@fuzzing(2)
@given(st.sampled_from(SAMPLES), changes)
def test_mutated_entry_is_refused_or_another_entry(
    body: bytes, changed: list[tuple[int, int, bytes]]
) -> None:
    """Bytes replaced, cut and added."""
    for at, cut, piece in changed:
        body = body[:at] + piece + body[at + cut :]

    check(body)


@fuzzing()
@given(st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=4), json, max_size=8))
def test_random_object_is_refused_or_an_entry(members: dict[str, object]) -> None:
    """Known members with any values: types are checked, floats and nulls refused."""
    check(msgspec.json.encode({"at": 1, "pos": 1, **members}, order="sorted"))


@fuzzing()
@given(st.sampled_from(SAMPLES), st.integers(0, 200), st.integers(0, 255))
def test_one_changed_byte_is_refused_or_another_entry(body: bytes, at: int, byte: int) -> None:
    """No two byte strings are one entry."""
    at %= len(body)
    changed = body[:at] + bytes([byte]) + body[at + 1 :]
    if changed == body:
        return

    if check(changed):
        assert decode(changed) != decode(body)


def test_samples_are_entries_and_fold() -> None:
    """Negative control: what is mutated is canonical."""
    assert [check(body) for body in SAMPLES] == [True] * 4
    assert fold(SAMPLES)[1].data == {"n": 1, "m": {"a": "2"}}
